# The library of the tests. Load it first, and call `finish` last.
#
# Each test has a scratch directory, $T, which is also its HOME and its cache. The tools under test
# come first on PATH. Output is TAP, for prove(1).
# shellcheck shell=bash disable=SC2089,SC2090 # it is for eval
set -u
export LC_ALL=C TZ=UTC

t_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(dirname "$t_dir")
build=${DT_BUILD:-$top/build}
T=$(mktemp -d "${TMPDIR:-/tmp}/dt-test.XXXXXX")
# Debian's programs come before other versions on the machine, because the tests are written for
# them.
export PATH=$build:$top/scripts:/usr/bin:$PATH HOME=$T DT_CACHE=$T/.cache
# verify_asan_link_order=0, because fakeroot preloads its library before that of the sanitizer.
export ASAN_OPTIONS=exitcode=99:verify_asan_link_order=0:detect_leaks=${DT_DETECT_LEAKS:-1} UBSAN_OPTIONS=halt_on_error=1:exitcode=99
# die_after_fork=0, because dt-push and dt-pull start credential helpers while they have threads.
# report_thread_leaks=0, because die() waits for no thread.
export TSAN_OPTIONS=exitcode=99:halt_on_error=1:die_after_fork=0:report_thread_leaks=0
# The Python of a test may import the modules in t/fixtures.
export PYTHONPATH=$t_dir/fixtures PYTHONDONTWRITEBYTECODE=1
unset SOURCE_DATE_EPOCH XDG_CACHE_HOME
t_count=0 t_failed=0

# at_exit 'COMMAND': runs a command when the test exits, in all cases.
t_at_exit="rm -rf '$T'"
at_exit() { t_at_exit="$1; $t_at_exit"; }
trap 'chmod -R u+rwx "$T" 2>/dev/null; eval "$t_at_exit"' EXIT
trap 'exit 1' INT TERM

t_report() { # STATUS DESCRIPTION
	t_count=$((t_count + 1))
	if [ "$1" -eq 0 ]; then
		echo "ok $t_count - $2"
	else
		t_failed=$((t_failed + 1))
		echo "not ok $t_count - $2"
		echo "# ${0##*/}: not ok $t_count - $2" >&2
	fi
}

# Why a check failed. prove shows what is on stderr.
t_note() { sed 's/^/# /' | head -n 40 >&2; }

# ok DESCRIPTION COMMAND...: tests that the command exits with 0. Its output is in $T/out and
# $T/err.
ok() {
	local what=$1 status=0
	shift
	"$@" >"$T/out" 2>"$T/err" </dev/null || status=$?
	t_report "$status" "$what"
	[ "$status" -eq 0 ] || { echo "status $status: $*"; cat "$T/err"; head -c 2000 "$T/out"; } | t_note
}

# fails STATUS REGEX DESCRIPTION COMMAND...: tests that the command exits with exactly this status
# and prints exactly one line on stderr. The line must match the extended regex.
fails() {
	local want=$1 regex=$2 what=$3 status=0 lines
	shift 3
	"$@" >"$T/out" 2>"$T/err" </dev/null || status=$?
	mapfile lines <"$T/err"
	if [ "$status" -eq "$want" ] && [ "${#lines[@]}" -eq 1 ] && [[ ${lines[0]} == *$'\n' && ${lines[0]%$'\n'} =~ $regex ]]; then
		t_report 0 "$what"
	else
		t_report 1 "$what"
		{ echo "status $status, not $want, or not one line of /$regex/:"; cat "$T/err"; } | t_note
	fi
}

# is DESCRIPTION GOT WANT: tests that two strings are equal.
is() {
	local bad=0
	[ "$2" = "$3" ] || bad=1
	t_report "$bad" "$1"
	[ "$bad" -eq 0 ] || diff <(printf '%s\n' "$2") <(printf '%s\n' "$3") | t_note
}

# same DESCRIPTION FILE FILE: tests that two files have the same bytes.
same() {
	local status=0
	cmp "$2" "$3" >"$T/cmp" 2>&1 || status=$?
	t_report "$status" "$1"
	[ "$status" -eq 0 ] || { cat "$T/cmp"; diff <(head -c 4000 "$2" | od -c) <(head -c 4000 "$3" | od -c); } | t_note
}

# like DESCRIPTION FILE REGEX: tests that a line of the file matches the extended regex.
like() {
	local status=0
	grep -Eaq -- "$3" "$2" || status=$?
	t_report "$status" "$1"
	[ "$status" -eq 0 ] || { echo "no line of /$3/ in:"; cat "$2"; } | t_note
}

# on FILE COMMAND...: runs the command with its standard input from the file.
on() { "${@:2}" <"$1"; }

# full COMMAND...: runs the command with its output to a full disk. closed COMMAND...: without an output.
full() { "$@" >/dev/full; }
closed() { "$@" >&-; }

# without REGEX COMMAND...: runs the command. Lines that match the basic regex are removed from its stderr.
without() {
	local regex=$1 errors status=0
	shift
	{ errors=$("$@" 2>&1 >&3 3>&-) || status=$?; } 3>&1
	[ -z "$errors" ] || grep -v -e "$regex" <<<"$errors" >&2
	return "$status"
}

# settle PATH...: waits until the last change of the files, and of all files below them, is so long ago that their
# digests are cached: another change would get another time. See tree_is_settled().
settle() {
	local changed
	changed=$(find "$@" -printf '%C@\n' | sort -n | tail -n 1 | tr -d . | cut -c 1-16)
	until [ $((${EPOCHREALTIME/./} - changed)) -gt 20000 ]; do sleep 0.01; done
}

# traced ARG...: strace(1). The leak sanitizer does not work under it.
traced() { ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace "$@"; }

# archive COMMAND ARG...: t/fixtures/archive.py, which reads image archives.
archive() { "$t_dir/fixtures/archive.py" "$@"; }

# ended FILE: prints yes if the archive has an end-of-archive mark, otherwise no.
ended() { if [ -s "$1" ]; then archive ended "$1"; else echo no; fi; }

# root NAME: prints the store path of this name in the store below $nix_root, or else below $small, which
# t/realstore has made.
root() { awk -v name="$1" '$1 == name { print $2 }' "${nix_root:-${small:?}}/roots"; }

# in_nix COMMAND...: runs the command where the store below $nix_root, or else below $small, is /nix.
in_nix() { "$t_dir/with-nix" "${nix_root:-${small:?}}" "$@"; }

# store_path NAME: prints a store path of this name. The path need not exist.
store_path() { printf '/nix/store/%s-%s\n' "$(printf %s "$1" | sha256sum | cut -c 1-32)" "$1"; }

# need COMMAND...: stops the test with an error if one of the programs is missing.
need() {
	local c
	for c in "$@"; do
		command -v "$c" >/dev/null || { echo "Bail out! $c is missing: scripts/deps test installs it"; exit 1; }
	done
}

# memory_limit: prints the limit for the resident memory of a tool, in KiB. The sanitizers of addresses and threads
# need 16 times as much.
memory_limit() {
	if grep -qE "__(asan|tsan)_init" "$build/dt-layer"; then echo $((16 * 65536)); else echo 65536; fi
}

finish() {
	echo "1..$t_count"
	[ "$t_failed" -eq 0 ] || exit 1
	exit 0
}
