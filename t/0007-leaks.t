#!/usr/bin/env bash
# Each case of t/fault/run, without faults. In a build with the address sanitizer, a filter that leaks memory fails.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need strace jq zstd python3

status=0
"$t_dir/fault/run" --none >"$T/table" 2>"$T/err" || status=$?
is 'the cases were run' "$(cat "$T/err")" ''
for file in "$top"/cmd/*.c; do
	tool=$(basename "$file" .c)
	read -r _ runs _ violations _ < <(grep "^$tool  *[0-9]" "$T/table")
	is "$tool: runs, and no violation" "$((${runs:-0} > 0)):${violations:-none}:$(grep "^$tool, " "$T/table")" 1:0:
done
is 'status 0 if there is no violation' "$status" 0

finish
