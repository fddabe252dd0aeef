#!/usr/bin/env bash
# How tools fail: one line for one cause, no file that is not complete, no drafts.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `ok` and `fails` run what is passed to them
. "$(dirname "$0")/lib.sh"
need runuser unshare mkfifo python3

chmod 755 "$T"
cd "$T" || exit 1
store=$T/s/nix/store
a=$(store_path a)
mkdir -p "$store" "$T/s$a" "$T/other"
head -c 300000 /dev/urandom >"$T/s$a/file"
echo "$a" >plan
dt-layer --store s <plan >layers.tar

# --- pipelines ---

# piped DESCRIPTION STATUSES LINES PIPELINE: its statuses, and all that it prints on stderr.
piped() {
	bash -c "( $4; echo \"\${PIPESTATUS[@]}\" >statuses ) 2>err >out"
	is "$1: the statuses" "$(cat statuses)" "$2"
	is "$1: the message" "$(sort err)" "$3"
}

nowhere='dt-closure: /nowhere: No such file or directory'
truncated='stdin: truncated in the middle of a member'
short='Truncated input file (needed 307200 bytes, only 3464 available)'
piped 'four tools, one cause' '1 1 1 1' "$nowhere" \
	'dt-closure /nowhere | dt-popularity | dt-layer | dt-manifest --name a'
piped 'a wrong command line in front' '2 1' "dt-closure: unknown option '--x': try 'dt-closure --help'" \
	'dt-closure --x | dt-popularity'
piped 'a wrong command line behind is a cause of its own' '1 2' \
	"$nowhere"$'\n'"dt-popularity: unknown option '--x': try 'dt-popularity --help'" \
	'dt-closure /nowhere | { cat >x; dt-popularity --x; }'
head -c 5000 layers.tar >cut.tar
piped 'an archive that a tool does not end' '1 1 1' "dt-compress: stdin: broken archive: $short" \
	'dt-compress --format none <cut.tar | dt-manifest --name a | dt-flatten'
piped 'a stream that another program truncated' '0 1 1' "dt-manifest: $truncated" \
	'head -c 5000 layers.tar | dt-manifest --name a | dt-flatten'
piped 'another program in between' '1 0 1' \
	"$nowhere"$'\n''dt-popularity: stdin: empty, a graph is expected' \
	'dt-closure /nowhere | cat | dt-popularity'
piped 'dt-vmrun has a status of its own' '1 125' "$nowhere" \
	'dt-closure /nowhere | dt-vmrun --backend userns plan'
piped 'nothing failed in front' '0 1' \
	"dt-popularity: stdin: empty, a graph is expected" \
	'true | dt-popularity'

# The pipe is as good as before, also to open, and a failed tool's successor is read.
as_nobody() { runuser -u nobody -- env HOME=/nonexistent "$@"; }
is 'a pipe can be opened after a failure in it' \
	"$(as_nobody bash -c '{ dt-closure /nowhere; echo text; } 2>/dev/null | cat /dev/stdin')" text
is 'another tool may take over' \
	"$({ dt-closure /nowhere || cat layers.tar; } 2>/dev/null | dt-manifest --name a | dt-flatten --list - "$a/file" | grep -c sha256)" 1
piped 'a pipe of another user cannot be marked' '1 1' \
	"$nowhere"$'\n''dt-popularity: stdin: empty, a graph is expected' \
	"runuser -u nobody -- env HOME=/nonexistent dt-closure /nowhere | dt-popularity"
mkfifo fifo
fails 1 . 'stdout is a file' bash -c 'dt-closure /nowhere >file'
dt-closure /nowhere >fifo 2>/dev/null &
dt-popularity <fifo 2>err
is 'stdout is a FIFO: its reader reports' "$(cat err)" 'dt-popularity: stdin: empty, a graph is expected'
wait
is 'modes of files and FIFOs stay' "$(stat -c %a file fifo | uniq)" 644

# --- one line ---

fails 1 '^dt-closure: /\\302\\233\\342\\200\\256\\377\\012\\033é: No such file or directory$' \
	'what a terminal would obey, in octal' dt-closure $'/\xc2\x9b\xe2\x80\xae\xff\n\e\xc3\xa9'

# All threads find something wrong at about the same time.
for ((i = 0; i < 64; i++)); do
	bad=$(store_path "$i")
	mkdir "s$bad"
	mkfifo "s$bad/fifo"
	echo "$bad"
done >bad-plan
for ((i = 0; i < 40; i++)); do
	dt-layer --store s <bad-plan 2>&1 >/dev/null | wc -l
done | sort -u >lines
is 'threads that fail at once print one line' "$(cat lines)" 1

# --- files ---

ls_drafts() { find "$1" -name '*.dt-draft'; }
# start DIR: a tool that writes to DIR/file and waits for its input; sets $pid.
start() {
	mkdir -p "$1"
	dt-manifest --name a -o "$1/file" <&9 &
	pid=$!
	until [ -n "$(ls_drafts "$1")" ]; do sleep 0.02; done
}
exec 9<>fifo
for signal in HUP INT QUIT TERM XCPU USR1; do
	# bash has SIGINT and SIGQUIT ignored in the background.
	python3 -c 'import os, signal, sys
for s in signal.SIGINT, signal.SIGQUIT: signal.signal(s, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])' dt-manifest --name a -o "signal-$signal" <&9 &
	pid=$!
	until [ -n "$(ls_drafts .)" ]; do sleep 0.02; done
	kill -s "$signal" "$pid"
	wait "$pid" 2>/dev/null
	is "SIG$signal ends the tool and removes the draft" \
		"$?:$(ls_drafts .)$(ls "signal-$signal" 2>/dev/null)" "$((128 + $(kill -l "$signal"))):"
done
start killed
pkill -KILL -P "$pid" # the broker, which would remove the draft
kill -s KILL "$pid"
wait "$pid" 2>/dev/null
is 'a killed tool leaves its draft' "$(ls_drafts killed | wc -l)" 1
start killed
is 'another one removes it, and has its own' "$(ls_drafts killed | wc -l)" 1
ok 'a third one leaves a draft in use' on plan dt-closure --scan --store s -o killed/graph
is 'it is still there' "$(ls_drafts killed | wc -l)" 1
kill -s TERM "$pid"
wait "$pid" 2>/dev/null
exec 9<&-

mkdir links
echo old >links/file
ln -s file links/link
ln -s nothing links/dangling
on plan dt-layer --store s -o links/link
same 'the file behind a symlink is replaced' links/file layers.tar
on plan dt-layer --store s -o links/dangling
same 'a symlink to nothing is replaced' links/dangling layers.tar
is 'and the former stays' "$(readlink links/link):$(readlink links/dangling)" 'file:'
on plan dt-layer --store s -o fifo &
cat fifo >from-fifo
wait
same 'a FIFO is written to' from-fifo layers.tar
on plan dt-layer --store s -o - >from-stdout
same '- is standard output' from-stdout layers.tar
long=$(printf %0255d 0)
ok 'a name of 255 bytes' on plan dt-layer --store s -o "links/$long"

# --- the cache ---

cat >on-tmpfs <<'END'
mkdir full && mount -t tmpfs -o size=64k tmpfs full || exit 9
dd if=/dev/zero of=full/file 2>/dev/null
for tool in "dt-layer --store s <plan" "dt-closure --scan --store s -o graph <plan" \
	"dt-nixdb --store s <graph"; do
	eval "DT_CACHE=full/cache $tool" >/dev/null || echo "status $?: $tool"
done
END
ok 'a full disk under the cache' unshare -m bash on-tmpfs
is 'no tool minds' "$(cat "$T/out" "$T/err")" ''
export DT_CACHE=$T/cache
limited=$(bash -c 'ulimit -f 0; for i in 1 2; do dt-layer --store s <plan; done | sha256sum')
is 'no file may be written: no tool minds' "$limited" \
	"$(for i in 1 2; do dt-layer --store s <plan; done | sha256sum)"
is 'no draft is left' "$(ls_drafts "$T")" ''
mkdir -p "$DT_CACHE/drafts"
touch "$DT_CACHE/drafts/.x.dt-draft"
dt-layer --store s --mtime @5 <plan >out
is "the cache's drafts of dead tools are removed" "$(ls_drafts "$T")" ''

finish
