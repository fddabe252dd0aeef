#!/usr/bin/env bash
# dt-vmrun without a virtual machine: the changes of a script, and failures.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/vmrun.sh"
. "$t_dir/users.sh"
need python3 busybox unshare setpriv newuidmap pgrep
export DT_BACKEND=userns
mkdir -m 1777 "$T/tmp"
chmod 755 "$T"
export TMPDIR=$T/tmp

for kind in plain corners device foreign dirs linked; do
	python3 "$t_dir/fixtures/vmimage.py" "$kind" >"$T/$kind.tar"
done


# vmrun KIND OPTION...: the script on this image; what is in the layer is in $T/shown.
vmrun() {
	local kind=$1
	shift
	dt-vmrun "$@" "$T/script" <"$T/$kind.tar" >"$T/layer.tar" || return
	python3 "$t_dir/fixtures/vmimage.py" show <"$T/layer.tar" >"$T/shown"
}

# changes DESCRIPTION KIND SCRIPT WANT...: the lines that the layer has.
changes() {
	local what=$1 kind=$2
	script "$3"
	shift 3
	ok "$what" vmrun "$kind"
	is "$what: the layer" "$(cat "$T/shown")" "$(printf '%s\n' "$@")"
}


# --- what changes ---

changes 'a directory' plain 'mkdir -p /data' 'data 5 755 0:0 1'
same 'whole' <(tail -c 1024 "$T/layer.tar") <(head -c 1024 /dev/zero)
changes 'nothing' plain ':' ''
changes 'made and removed again' plain 'echo x >/tmp/x; rm /tmp/x' ''
changes 'a file' plain 'echo new >/etc/issue' 'etc 5 755 0:0 1' \
	"etc/issue 0 644 0:0 1 $(echo new | sha256sum | head -c 8)"
changes 'a removed file' plain 'rm /lib/a' 'lib 5 755 0:0 1' 'lib/.wh.a 0 644 0:0 0'
changes 'a removed directory' plain 'rm -r /lib' '.wh.lib 0 644 0:0 0'
changes 'a directory made anew hides the old one' plain 'rm -r /lib; mkdir /lib; echo d >/lib/d' \
	'lib 5 755 0:0 1' 'lib/.wh..wh..opq 0 644 0:0 0' "lib/d 0 644 0:0 1 $(echo d | sha256sum | head -c 8)"
changes 'modes, owners, links, devices' corners 'cd /own; chown 1:2 setuid; chmod 4711 setuid; ln -s a b
	mknod real c 1 3; mkfifo fifo; echo 1 >f; ln f g; chown -h 9:9 b; touch -d @0 g; mkdir -m 1777 t' \
	'own 5 2750 7:8 1' 'own/b 2 777 9:9 1 a' "own/f 0 644 0:8 0 $(echo 1 | sha256sum | head -c 8)" \
	'own/fifo 6 644 0:8 1' 'own/g 1 644 0:8 0 own/f' 'own/real 3 644 0:8 1 1,3' \
	"own/setuid 0 4711 1:2 1 $(printf s | sha256sum | head -c 8)" 'own/t 5 1777 0:8 1'
changes 'attributes stay with a file' corners 'cd /own; chmod 600 cap attr' \
	'own 5 2750 7:8 1' "own/attr 0 600 0:0 1 $(printf x | sha256sum | head -c 8) user.one='eins' user.two='zwei'" \
	"own/cap 0 600 0:0 1 $(printf c | sha256sum | head -c 8) security.capability='\\x01\\x00\\x00\\x02\\x00 $(printf '\\x00%.0s' {1..14})'"
changes 'what lower layers hide is hidden' corners 'ls /gone >/out' \
	"out 0 644 0:0 1 $(echo z | sha256sum | head -c 8)"
changes 'empty directories that something is mounted on' dirs 'ls -d /dev/null /proc/1 /sys' ''
changes "the root's own mode" plain 'chmod 700 /' '. 5 700 0:0 1'
script 'truncate -s 3000000 /s; echo end >>/s; yes | head -c 2000000 >/t'
ok 'a file with holes' vmrun plain
like 'its contents' "$T/shown" "^s 0 644 0:0 1 $({ head -c 3000000 /dev/zero; echo end; } | sha256sum | head -c 8)"
like 'and those of a large one' "$T/shown" "^t 0 644 0:0 1 $(yes | head -c 2000000 | sha256sum | head -c 8)"
changes 'a long name' plain "touch /$(printf 'n%.0s' {1..200})" "$(printf 'n%.0s' {1..200}) 0 644 0:0 1"
script 'touch /.wh.a'
fails 125 '\.wh\.a: a layer can have no file of this name$' 'a name that is a whiteout' vmrun plain

script '[ "$$" -ne 1 ] && [ "$(pwd)" = / ] && [ "$(id -u)" = 0 ] && ! read -r x && [ "$(hostname)" = localhost ] &&
	[ "$(ls /sys/class/net)" = lo ] && echo hello && echo there >&2'
ok 'what a script finds' vmrun plain
is 'what it prints' "$(grep -c '^hello$\|^there$' "$T/err")" 2

mkdir -p "$T/tree/etc" "$T/tree/bin" "$T/bound/in"
echo tree >"$T/tree/etc/issue"
ln -s x "$T/tree/bin/y"
echo bound >"$T/bound/in/file"
script "cat /etc/issue $T/bound/in/file >/out; ! touch $T/bound/x"
ok 'a tree over the image, a directory beside it' vmrun plain --add-tree "$T/tree" --bind "$T/bound"
is 'both are read, and the tree is in the layer' "$(cut -d ' ' -f 1-4,6 "$T/shown")" \
	"$(printf '%s\n' 'bin 5 755 0:0' 'bin/y 2 777 0:0 x' 'etc 5 755 0:0' \
		"etc/issue 0 644 0:0 $(echo tree | sha256sum | head -c 8)" \
		"out 0 644 0:0 $(printf 'tree\nbound\n' | sha256sum | head -c 8)")"
script 'echo x >/x'
for moved in tree:add-tree mtime:clamp-mtime; do
	fails 125 "^dt-vmrun: --${moved%:*} is now --${moved#*:}: try 'dt-vmrun --help'\$" "--${moved%:*}, of former versions" \
		dt-vmrun "--${moved%:*}" x "$T/script"
done
ok 'no image' dt-vmrun --no-image --clamp-mtime @1234567890 "$T/script"
is 'the time' "$(python3 "$t_dir/fixtures/vmimage.py" show <"$T/out" | cut -d ' ' -f 1-5)" 'x 0 644 0:0 1.23457e+09'
nothing_left 'success'

# --- how it fails ---

# refuses STATUS REGEX DESCRIPTION KIND SCRIPT OPTION...: that, and no layer.
refuses() {
	local status=$1 regex=$2 what=$3 kind=$4
	script "$5"
	shift 5
	fails "$status" "$regex" "$what" dt-vmrun --from "$T/$kind.tar" "$@" "$T/script"
	is "$what: no layer" "$(wc -c <"$T/out")" 0
	nothing_left "$what"
}

refuses 3 'script: exit status 3$' 'a script that exits with 3' plain 'exit 3'
refuses 143 'script: killed by signal 15$' 'one that is killed' plain 'kill $$'
refuses 137 'script: killed by signal 9$' 'one that is killed by all means' plain 'kill -9 $$'
refuses 127 'script: its interpreter /no/such: No such file or directory$' 'no interpreter' plain '#!/no/such'
refuses 126 'script: its interpreter /etc/issue: Permission denied$' 'an interpreter that is none' plain '#!/etc/issue'
refuses 3 'script: exit status 3$' 'one that would kill init' plain 'kill -9 1; exit 3'
refuses 125 'script: timed out after 1 s$' 'one that takes too long' plain 'sleep 1000 & sleep 1000' --timeout 1
refuses 125 'the changes are larger than 8 MiB$' 'one that writes too much' plain 'yes | head -c 9000000 >/x' --disk-size 8
refuses 125 '/dev: not a directory in the image$' 'an image with a link for /dev' linked ':'
refuses 125 ': not an absolute path$' 'a relative bind' plain ':' --bind x
refuses 125 ': No such file or directory$' 'a tree that is not there' plain ':' --add-tree "$T/none"
fails 127 'none: No such file or directory$' 'a script that is not there' dt-vmrun --no-image "$T/none"
fails 125 'truncated|no end|[Tt]runcated' 'an image that is truncated' dt-vmrun --from <(head -c 5000 "$T/plain.tar") "$T/script"
cut() { head -c 5000 "$T/plain.tar" | dt-vmrun "$T/script"; }
fails 125 'truncated|no end|[Tt]runcated' 'one on standard input' cut
is 'one on standard input: no layer' "$(wc -c <"$T/out")" 0
small_disk() { unshare -m bash -c 'mount -t tmpfs -o size=3M none "$TMPDIR" && "$@"; status=$?
	ls -A "$TMPDIR"; exit "$status"' - "$@"; }
for bytes in 2000000 9000000; do # the layer does not fit, nor do the changes
	script "head -c $bytes /dev/zero >/x 2>/dev/null; true"
	fails 125 'the disk is full$|No space left on device$' "the machine's disk is full, $bytes bytes" \
		small_disk dt-vmrun --from "$T/plain.tar" "$T/script"
	is "the machine's disk is full, $bytes bytes: no layer, no file" "$(wc -c <"$T/out")" 0
done
printf '\177' | dd of="$T/plain.tar" bs=1 seek=1536 conv=notrunc status=none
refuses 125 'digest|sha256' 'a layer that is not what its digest says' plain ':'
python3 "$t_dir/fixtures/vmimage.py" plain >"$T/plain.tar"

# What is left when dt-vmrun is ended goes by itself, whatever the script started.
seconds=$((1000000 + $$)) # by which its processes are known
script "trap '' HUP INT TERM; sleep $seconds & setsid sleep $seconds & echo started; sleep $seconds"
for signal in TERM HUP KILL; do
	dt-vmrun "$T/script" <"$T/plain.tar" >"$T/out" 2>"$T/err" &
	pid=$!
	disown
	until grep -q started "$T/err"; do kill -0 "$pid" || break; done
	kill "-$signal" "$pid"
	for ((i = 0; i < 600; i++)); do
		[ -n "$(ls -A "$T/tmp")$(pgrep -f "$T/script|sleep $seconds")" ] || break
		sleep 0.1
	done
	nothing_left "ended by $signal"
	is "ended by $signal: none of the script's processes is left" "$(pgrep -f "sleep $seconds")" ''
	is "ended by $signal: no layer" "$(wc -c <"$T/out")" 0
	is "ended by $signal: nothing is mounted" "$(grep -cF "$T/" /proc/self/mountinfo)" 0
done

# --- a user who is not root ---

# Root's own answer is in $T/root.tar.
make_user 30001
make_subids
chmod 644 "$T"/*.tar
# a sanitizer's runtime and the checkout must be readable for that user
cp "$build/dt-vmrun" "$T/dt-vmrun"
script 'echo x >/etc/x; rm -r /lib; mkdir /lib; rm /etc/issue; chmod 4755 /etc/x'
dt-vmrun "$T/script" <"$T/plain.tar" >"$T/root.tar"
ok 'a user' as user "$T/dt-vmrun" --from "$T/plain.tar" "$T/script"
same 'the same layer as for root' "$T/out" "$T/root.tar"
script 'chown 5:6 /etc/issue; chmod 600 /own/* 2>/dev/null; chown 1000:1000 /lib/a'
dt-vmrun "$T/script" <"$T/corners.tar" >"$T/root.tar"
ok 'a user with subordinate ids' as subids "$T/dt-vmrun" --from "$T/corners.tar" "$T/script"
same 'the same layer as for root, with owners and capabilities' "$T/out" "$T/root.tar"
fails 125 'etc/shadow: its owner 0:42 does not exist in this user namespace; .*/etc/subuid' "an owner that a user cannot give" \
	as user "$T/dt-vmrun" --from "$T/foreign.tar" "$T/script"
script 'stat -c "%F %t:%T" /srv/null >/is'
dt-vmrun "$T/script" <"$T/device.tar" >"$T/root.tar"
ok 'a device in the image' as subids "$T/dt-vmrun" --from "$T/device.tar" "$T/script"
same 'it shows as it does for root' "$T/out" "$T/root.tar"
script 'chmod 600 /srv/null'
fails 1 'script: exit status 1$' 'a device in the image that changes' \
	without chmod as subids "$T/dt-vmrun" --from "$T/device.tar" "$T/script"
script 'mknod /x c 1 3'
fails 1 'script: exit status 1$' 'a device of the script' \
	without mknod as subids "$T/dt-vmrun" --from "$T/plain.tar" "$T/script"
nothing_left 'a user'

finish
