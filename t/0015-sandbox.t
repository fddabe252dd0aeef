#!/usr/bin/env bash
# The sandbox: what a parser of untrusted input can no longer do, and that each tool enters it in time.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need strace jq

# The attempts to break out. The first line of the output says what this kernel has.
ok 'no attempt to break out succeeds' "$build/unit/sandbox"
cp "$T/out" "$T/attempts"
sed -n 's/^#/& this kernel:/p' "$T/attempts"
features=()
! grep -q 'Landlock version [1-9]' "$T/attempts" || features+=(landlock_restrict_self)
! grep -q 'seccomp yes' "$T/attempts" || features+=(SECCOMP_SET_MODE_FILTER)
if grep -q __asan_init "$build/dt-inspect"; then
	is 'a build with the address sanitizer has no sandbox' "${#features[@]}" 0
fi

mkdir -p "$T/root/etc"
echo text >"$T/root/etc/file"
dt-root --tree "$T/root" >"$T/layer.tar"
dt-manifest --name image --tag 1 <"$T/layer.tar" >"$T/image.tar"
gzip -k "$T/image.tar"
echo '{"Cmd": ["x"]}' >"$T/config.json"
digest=sha256:$(printf x | sha256sum | cut -c 1-64)

# order LOG PATTERN: prints the features that are in force at the first line that matches the pattern. Attempts of
# libseccomp to find out what the kernel has have no filter.
order() {
	pattern=$2 awk '
		/^landlock_restrict_self.* = 0$/ { print "landlock_restrict_self" }
		/^seccomp.*_FILTER, .*len=.* = 0$/ { print "SECCOMP_SET_MODE_FILTER" }
		$0 ~ ENVIRON["pattern"] { print "input"; exit }' "$1" | paste -sd ' '
}

# enters NAME PATTERN STDIN COMMAND...: in the trace of the command, all features come before the pattern, and one
# process beside the tool, the broker, was started before.
enters() {
	local name=$1 pattern=$2 stdin=$3
	shift 3
	traced -o "$T/log" "$@" <"$stdin" >"$T/out" 2>"$T/err"
	is "$name enters the sandbox before it reads" "$(order "$T/log" "$pattern")" \
		"${features[*]}${features[0]+ }input"
	is "$name starts no process afterwards" "$(grep -cE '^(clone|clone3|fork|vfork|execve)\(' "$T/log")" \
		"$((2 + $(grep -c 'clone.*CLONE_THREAD' "$T/log")))"
}
enters dt-inspect '^dup[(]0[)]' "$T/image.tar" dt-inspect
enters 'dt-inspect FILE' "^openat.*$T/image.tar\", O_RDONLY[|]O_CLOEXEC[)]" /dev/null dt-inspect "$T/image.tar"
enters dt-flatten '^dup[(]0[)]' "$T/image.tar" dt-flatten
enters dt-manifest '^fcntl[(]0, F_DUPFD' "$T/layer.tar" dt-manifest --name x
enters 'dt-manifest --config' "^openat.*$T/config.json\", O_RDONLY[|]O_CLOEXEC[)]" "$T/layer.tar" dt-manifest --name x --config "$T/config.json" \
	--from "$T/image.tar"
enters dt-pull '^connect.*htons[(]1[)]' /dev/null dt-pull --retries 0 "localhost:1/x@$digest"
enters dt-push '^dup[(]0[)]' "$T/image.tar" dt-push --retries 0 localhost:1/x

# Files that are not regular have no rule in Landlock.
dt-inspect "$T/image.tar" >"$T/want"
# shellcheck disable=SC2317 # `ok` calls them
by_pipe() { dt-inspect <(cat "$1"); }
# shellcheck disable=SC2317
by_number() { dt-inspect /dev/fd/3 3<"$1"; }
ok 'a named pipe' by_pipe "$T/image.tar"
same 'its image' "$T/out" "$T/want"
ok 'an open file' by_number "$T/image.tar"
same 'its image, too' "$T/out" "$T/want"
ln -s image.tar.gz "$T/link"
ok 'a symlink to a compressed archive' dt-inspect "$T/link"
same 'its image, uncompressed' "$T/out" "$T/want"
mkdir "$T/layout"
gunzip -c "$T/image.tar.gz" | tar -xf - -C "$T/layout"
ok 'a directory' dt-inspect "$T/layout"
is 'its image, of files' "$(jq .config "$T/out")" "$(jq .config "$T/want")"

# The output, which the broker completes.
mkdir "$T/full"
echo old >"$T/full/out"
ok 'an output that exists is replaced' dt-inspect -o "$T/full/out" "$T/link"
same 'by the new one' "$T/full/out" "$T/want"
fails 1 'not an image' 'a failure' dt-inspect -o "$T/full/out" "$T/layer.tar"
same 'changes nothing' "$T/full/out" "$T/want"
is 'and leaves nothing' "$(ls -A "$T/full")" out
rm -r "$T/full/out"
mkfifo "$T/pipe"
dt-inspect -o "$T/full/out" <"$T/pipe" &
exec 3>"$T/pipe"
# The broker is there before the tool gives up its privileges.
until grep -q "^NoNewPrivs:.*1" "/proc/$!/status"; do sleep 0.01; done
kill -KILL $!
wait $! 2>/dev/null
exec 3>&-
until ! compgen -G "$T/full/.out*" >/dev/null; do sleep 0.01; done
is 'a tool that is killed leaves no draft' "$(ls -A "$T/full")" ''
fails 1 'temporary|No such file' 'a missing TMPDIR is reported' env TMPDIR="$T/missing" dt-inspect "$T/link"

finish
