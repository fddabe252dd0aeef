#!/usr/bin/env bash
# dt-vmrun without a virtual machine: a script cannot reach the host, and after a failure nothing is
# lost or left.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/vmrun.sh"
need python3 busybox strace unshare setpriv prlimit pgrep
export DT_BACKEND=userns
mkdir -m 1777 "$T/tmp"
chmod 755 "$T"
export TMPDIR=$T/tmp
for kind in plain name=255 name=256 name=4084 name=4085; do
	python3 "$t_dir/fixtures/vmimage.py" "$kind" >"$T/$kind.tar"
done
chmod 644 "$T"/*.tar

# shown: what is in the layer $T/out.
shown() { python3 "$t_dir/fixtures/vmimage.py" show <"$T/out" | cut -d ' ' -f 1; }
# A user without subordinate ids; the checkout may not be readable for it.
cp "$build/dt-vmrun" "$T/dt-vmrun"
user=(env "HOME=$T/tmp" setpriv --reuid=30803 --regid=30803 --clear-groups)
user() { "${user[@]}" "$@"; }

# --- what a script cannot reach ---

mkdir "$T/own"
cp "$T/plain.tar" "$T/own/image.tar"
cp "$T/dt-vmrun" "$T/own/dt-vmrun"
echo before >"$T/own/log"
echo private >"$T/own/private"
chmod 600 "$T/own"/*
chmod 700 "$T/own" "$T/own/dt-vmrun"
chown -R 30803:30803 "$T/own"
tried='for n in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		{ echo bad >>/proc/1/fd/$n; cat /proc/1/fd/$n/private; } 2>/dev/null </dev/null
	done
	: >/proc/self/fd/2
	[ -p /proc/self/fd/1 ] && [ -p /proc/self/fd/2 ] || echo a file is its output
	for file in environ mem maps auxv root/ cwd/ exe map_files; do
		cat /proc/1/$file; ls /proc/1/$file/; readlink /proc/1/$file
	done 2>/dev/null >/read
	chmod 4777 /proc/1/exe 2>/dev/null
	for link in /proc/[0-9]*/fd/*; do readlink $link; done 2>/dev/null |
		grep -v "^/dev/null$\|^pipe:\|^/proc/\|^/.dt/script$"
	ls -d /proc/[0-9]* | sort >/processes
	true'
script "$tried"
# The caller's output is the log; descriptors of a file and a directory of its own are open.
# shellcheck disable=SC2094 # that it is read and written is the point
reach() {
	user env SECRET=hidden bash -c '"$@" <image.tar 2>>log 7<private 8<. 9<>image.tar' - "$@"
}
cd "$T/own" || exit 1
ok 'a script that tries what it can reach' reach ./dt-vmrun "$T/script"
same 'the image is as it was' image.tar "$T/plain.tar"
is 'so are the log and a private file' "$(cat log private)" "$(printf 'before\nprivate')"
is 'and the mode of the program' "$(stat -c %a dt-vmrun)" 700
is 'nothing is read from the first process' "$(shown)" "$(printf 'processes\nread')"
python3 - "$T/out" >"$T/read" <<'EOF'
import io, sys, tarfile
outer = tarfile.open(sys.argv[1])
for m in outer:
    if m.name.startswith('blobs/'):
        inner = tarfile.open(fileobj=io.BytesIO(outer.extractfile(m).read()))
        for name in 'read', 'processes':
            sys.stdout.write(inner.extractfile(name).read().decode())
EOF
is 'and it sees no process but that and its own' "$(grep -v '^/proc/[2-9]' "$T/read" | grep -v '^/proc/[1-9][0-9]')" /proc/1
cd / || exit 1

mkdir -p "$T/bound/sub"
echo host >"$T/bound/file"
chown -R 30803:30803 "$T/bound"
script "mount -o remount,rw,bind $T/bound; umount $T/bound; echo x >$T/bound/file
	unshare -rm sh -c 'mount -o remount,rw,bind $T/bound; echo x >$T/bound/file'
	cat $T/bound/file >/out" 
ok 'a script that wants to write to what is bound' user "$T/dt-vmrun" --from "$T/plain.tar" --bind "$T/bound" "$T/script"
is 'cannot' "$(cat "$T/bound/file")" host
is 'but reads it' "$(shown)" out

# below COMMAND...: with a file system mounted below the directory that is bound.
below() { unshare -m bash -ec 'mount -t tmpfs -o noexec,mode=1777 none "$0/bound/sub"; touch "$0/bound/sub/file"
	chown 30803 "$0/bound/sub/file"; "$@"; grep -q . "$0/bound/sub/file" && exit 9 || exit 0' "$T" "$@"; }
script "echo x >$T/bound/sub/file; touch $T/bound/sub/new; ls $T/bound/sub >/out; grep -q file /out"
ok 'what is mounted below what is bound is read-only, for a user' \
	below "${user[@]}" "$T/dt-vmrun" --from "$T/plain.tar" --bind "$T/bound" "$T/script"
is 'and is there' "$(shown)" out
ok 'and for root' below dt-vmrun --from "$T/plain.tar" --bind "$T/bound" "$T/script"
ok 'what is bound may be mounted without execution' \
	below "${user[@]}" "$T/dt-vmrun" --from "$T/plain.tar" --bind "$T/bound/sub" "$T/script"
script 'cat /here/file >/out'
in_bound() { (cd "$T/bound" && dt-vmrun --from "$T/plain.tar" --bind ./:/here "$T/script"); }
ok 'a relative path of this machine' in_bound
script 'echo x >/x'
as_root() { user unshare -Ur "$T/dt-vmrun" --from "$T/plain.tar" "$T/script"; }
ok 'root of a user namespace' as_root
is 'and its layer' "$(shown)" x

# --- what is not lost ---

mkdir -p "$T/tree/a/b"
echo mine >"$T/tree/a/b/file"
failing() { traced -f -qq -o /dev/null -e "inject=$1" dt-vmrun --from "$T/plain.tar" --add-tree "$T/tree" "$T/script"; }
script ':'
fails 125 'Operation not permitted$' 'nothing can be unmounted' failing umount2:error=EPERM
is 'the tree is still there' "$(cat "$T/tree/a/b/file")" mine
nothing_left 'nothing can be unmounted'

# --- names that Linux does not have ---

ok 'a name of 255 bytes' dt-vmrun --from "$T/name=255.tar" "$T/script"
for backend in userns tcg; do
	for length in 256 4084 4085; do
		fails 125 "name=$length.tar: the file name n{64}\.\.\. has $length bytes, more than 255\$" \
			"a name of $length bytes, $backend" \
			timeout 60 dt-vmrun --backend "$backend" --from "$T/name=$length.tar" "$T/script"
	done
done
for length in 255 256 4084 4085; do
	status=0
	timeout 60 "$build/unit/erofs" "$T/name=$length.tar" "$T/disk" 2>"$T/err" || status=$?
	is "a disk with a name of $length bytes" "$status" "$((length > 255))"
done

# --- how a run ends ---

script 'echo x >/x'
relative() { (cd "$T" && TMPDIR=tmp dt-vmrun --from "$T/plain.tar" "$T/script"); }
ok 'a relative TMPDIR' relative
nothing_left 'a relative TMPDIR'
script "dir=\$(printf 'd/%.0s' \$(seq 500)); for i in 1 2 3 4; do mkdir -p \$dir; cd \$dir; done"
fails 125 'd: Too many open files$' 'a tree of 2,000 levels, with few descriptors' \
	prlimit --nofile=100:100 dt-vmrun --from "$T/plain.tar" "$T/script"
nothing_left 'a tree of 2,000 levels, with few descriptors'
# The address sanitizer of clang needs more stack than the usual 8 MiB for a recursion of this depth.
! grep -q __asan_init "$build/dt-vmrun" || ulimit -s 65536
ok 'a tree of 2,000 levels' dt-vmrun --from "$T/plain.tar" "$T/script"
script "dir=\$(printf 'd/%.0s' \$(seq 1500)); mkdir -p \$dir e/\$dir; mv e \$dir/e"
fails 125 'd/\.\.\.: a path of 4097 bytes, more than 4095$' 'a path that is too long' \
	dt-vmrun --from "$T/plain.tar" "$T/script"
nothing_left 'a path that is too long'

# With any number of processes that the user may have: the layer, or one line.
script 'echo x >/x'
user "$T/dt-vmrun" --from "$T/plain.tar" "$T/script" >"$T/want"
for ((n = 1; n < 12; n++)); do
	status=0
	user prlimit "--nproc=$n:$n" "$T/dt-vmrun" --from "$T/plain.tar" "$T/script" >"$T/out" 2>"$T/err" || status=$?
	case $status in
	0) same "$n processes: the layer" "$T/out" "$T/want" ;;
	*) is "$n processes: an error" "$status $(wc -l <"$T/err") $(wc -c <"$T/out")" '125 1 0' ;;
	esac
done
nothing_left 'few processes'

# started OPTION...: dt-vmrun runs in the background, its script too; sets $pid, and $child of its processes.
started() {
	rm -f "$T/err"
	dt-vmrun "$@" "$T/script" >"$T/out" 2>"$T/err" &
	pid=$!
	until grep -qs started "$T/err"; do kill -0 "$pid" || break; done
	keeper=$(pgrep -P "$pid")
	child=$(pgrep -P "$keeper")
}
# ended DESCRIPTION REGEX: it fails with this line, and nothing is left.
ended() {
	wait "$pid"
	is "$1: status" "$?" 125
	like "$1: message" "$T/err" "$2"
	is "$1: one line, and no layer" "$(grep -vc started "$T/err") $(wc -c <"$T/out")" '1 0'
	nothing_left "$1"
}
# server: the process that serves the image.
server() {
	local process
	for process in $(pgrep -P "$child"); do
		! readlink "/proc/$process/fd/"* 2>/dev/null | grep -qx /dev/fuse || echo "$process"
	done
}
script 'echo started; sleep 1000'
started --from "$T/plain.tar"
kill -9 "$child"
ended 'the process that mounts is killed' 'script: its end was not reported$'
until_go="until [ -e $T/bound/go ]; do sleep 0.1; done"
script "echo started; $until_go; cat /lib/sub/c 2>/dev/null; true"
started --from "$T/plain.tar" --bind "$T/bound"
kill -9 "$(server)"
touch "$T/bound/go"
ended 'the process that serves the image is killed' 'dt-vmrun: the process that serves the image was killed$'

# The image is truncated while the script runs, after its digests were found to be right.
head -c 30000000 /dev/zero >"$T/large"
python3 - >"$T/large.tar" <<EOF
import io, sys
sys.argv = ['vmimage.py', 'list']
sys.stdin = io.TextIOWrapper(io.BytesIO(bytes(10240)))
exec(open('$t_dir/fixtures/vmimage.py').read())
image([layer(*PLAIN, ('large', F, open('$T/large', 'rb').read(), {}))])
EOF
rm "$T/bound/go"
script "echo started; $until_go; cat /large >/dev/null 2>&1; true"
started --from "$T/large.tar" --bind "$T/bound"
until [ "$(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l)" -eq 1 ]; do sleep 0.1; done
truncate -s 1000000 "$T/large.tar"
touch "$T/bound/go"
ended 'the image is truncated' 'dt-vmrun: /large: reading it from the image: Input/output error$'

finish
