#!/usr/bin/env bash
# Processes that are killed by SIGKILL at known moments: no output passes for complete, and the next run removes what a
# killed one has left. t/fault/kills does the same at random moments.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2012,SC2154,SC2016,SC2317 # names are plain; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need jq busybox fakeroot bwrap python3 unshare setpriv timeout flock
mkdir "$T/tmp" "$T/bin"
store=(--store "$T/s")
app=/nix/store/00000000000000000000000000000001-app-1.0
mkdir -p "$T/s$app"
head -c 3000000 /dev/zero >"$T/s$app/file"
spec() { jq -n --arg app "$app" --arg T "$T" "{name: \"k\", tag: \"1\"} + $2" >"$T/$1.json"; }
image='dt-inspect "$OUT" >/dev/null'

# killed DESCRIPTION ARG...: kills.py with these arguments finds nothing wrong.
killed() {
	ok "$1" unshare --ipc --mount --propagation private --pid --fork --kill-child --mount-proc \
		"$t_dir/fixtures/kills.py" --name kill --dir "$T/kill" "${@:2}"
	t_note <"$T/out"
}

# --- dt-vmrun ---

printf '%s\n' '#!/bin/sh' 'mkdir -p /d/e; seq 60000 >/d/e/f' >"$T/script"
vmrun=(dt-vmrun --backend userns --no-image "$T/script")
killed "dt-vmrun's second process" --running '.*sh|seq|busybox' --victim 'dt-vmrun\+1' -- "${vmrun[@]}"
killed 'all processes of dt-vmrun' --running '.*sh|seq|busybox' --all -- "${vmrun[@]}"

# --- fakeroot ---

spec fakeroot '{contents: [$app], fakeRootCommands: ("mkdir d; chown 5:6 d; echo x >d/e; : >" + $T + "/mark; sed -n p d/e >f")}'
killed 'a script, while it runs commands' --when "$T/mark" --victim dt-build-layered-image -- \
	dt-build-layered-image "${store[@]}" -o '{out}' "$T/fakeroot.json"
killed "fakeroot's daemon" --when "$T/mark" --victim 'faked.*' --judge "$image" -- \
	dt-build-layered-image "${store[@]}" "$T/fakeroot.json"

# --- the layers of a stream ---

spec plain '{contents: [$app]}'
killed 'the shell that runs dt-layer' --running dt-layer --victim 'dt-stream-layered-image\+.*' --judge "$image" -- \
	dt-stream-layered-image "${store[@]}" "$T/plain.json"

# --- commands that do not end ---

export TMPDIR=$T/tmp
spec endless '{contents: [$app], extraCommands: ("[ -e " + $T + "/again ] || { echo $$ >" + $T + "/endless; exec sleep 1000; }")}'
setsid dt-build-layered-image "${store[@]}" "$T/endless.json" >"$T/out" 2>/dev/null &
pid=$!
until [ -s "$T/endless" ]; do sleep 0.01; done
endless=$(cat "$T/endless")
kill -KILL "$pid"
wait "$pid" 2>/dev/null
is 'a command that does not end: it runs on after its script was killed' "$(kill -0 "$endless" && ls "$TMPDIR" | wc -l)" 1
: >"$T/again"
ok 'a command that does not end: the next run' dt-build-layered-image "${store[@]}" "$T/endless.json"
is 'a command that does not end: the next run has ended it' "$(grep -c '^State:.[RSD]' "/proc/$endless/status" 2>/dev/null)" "$([ -e "/proc/$endless" ] && echo 0)"
is 'a command that does not end: nothing is left' "$(ls -A "$TMPDIR")" ''

# --- directories that stay ---

# The next run of a script, and of a filter, removes only a directory that is its own, of a dead process.
mkdir "$T"/tmp/dt-env-helper.dt-scratch.{dead00,other0,locked,short} "$T/target"
mkdir "$T/tmp/dt-env-helper.dt-scratch.dead00/x"
chmod 0 "$T/tmp/dt-env-helper.dt-scratch.dead00/x"
ln -s ../target "$T/tmp/dt-env-helper.dt-scratch.link00"
: >"$T/target/file"
chown 12345 "$T/tmp/dt-env-helper.dt-scratch.other0"
exec {lock}<"$T/tmp/dt-env-helper.dt-scratch.locked"
flock -nx "$lock"
for name in dead00 locked; do cp -a "$T/tmp/dt-env-helper.dt-scratch.$name" "$T/tmp/db.dt-scratch.$name"; done
ln -s ../target "$T/tmp/db.dt-scratch.link00"
exec {lock2}<"$T/tmp/db.dt-scratch.locked"
flock -nx "$lock2"
ok 'a script' dt-env-helper fakeNss
ok 'a filter' on <(printf '%s\n' "$app") bash -c 'dt-closure --store "$0" | dt-nixdb --store "$0" --tree "$1"' "$T/s" "$T/tmp/db"
is 'what they leave' "$(ls "$T/tmp" | paste -sd ' ')" \
	"db db.dt-scratch.link00 db.dt-scratch.locked $(printf 'dt-env-helper.dt-scratch.%s ' link00 locked other0)dt-env-helper.dt-scratch.short"
is 'the target of a symlink' "$(ls "$T/target")" file
exec {lock}<&- {lock2}<&-
rm -rf "$T/tmp"/*

# --- dt-load ---

dt-stream-layered-image "${store[@]}" -o "$T/image.tar" "$T/plain.json"
for program in docker ctr; do
	cat >"$T/bin/$program" <<-END
		#!/bin/sh
		echo "\$*" >>'$T/calls'
		case \$* in
		load | *images\ import*) echo \$\$ >'$T/loading'; exec sleep 1000 ;;
		*inspect*) exit 1 ;;
		esac
	END
	chmod 755 "$T/bin/$program"
done
# loading SIGNAL ENGINE: sends the signal to dt-load when the engine's program reads the image. Sets $status.
loading() {
	rm -f "$T/loading" "$T/calls"
	PATH=$T/bin:$PATH env --default-signal setsid dt-load --engine "$2" "$T/image.tar" >"$T/out" 2>"$T/err" &
	pid=$!
	until [ -s "$T/loading" ]; do sleep 0.01; done
	loading=$(cat "$T/loading") status=0
	kill "-$1" "$pid"
	wait "$pid" 2>/dev/null || status=$?
}
for engine in docker containerd; do
	loading TERM "$engine"
	is "SIGTERM to dt-load, $engine: it ends, and so does the engine's program" "$status:$(kill -0 "$loading" 2>/dev/null && echo runs)" 143:
	is "SIGTERM to dt-load, $engine: nothing is left" "$(ls -A "$TMPDIR")" ''
done
like 'SIGTERM to dt-load: the temporary name is removed' "$T/calls" '^images rm dt-load.invalid/image:[0-9a-f]{16}$'
loading KILL containerd
kill -KILL "$loading"
is 'SIGKILL to dt-load: a name stays' "$(grep -c '^images rm' "$T/calls")" 0
flock -w 30 "$TMPDIR"/dt-load.dt-scratch.* true # until its last process has exited
PATH=$T/bin:$PATH timeout 60 dt-load --engine docker "$T/image.tar" >"$T/out" 2>"$T/err" &
pid=$!
until grep -q '^load' "$T/calls"; do sleep 0.01; done
like 'SIGKILL to dt-load: the next run has removed the name' "$T/calls" '^images rm dt-load.invalid/image:[0-9a-f]{16}$'
kill "$pid" && wait "$pid"
is 'SIGKILL to dt-load: nothing is left' "$(ls -A "$TMPDIR")" ''
finish
