#!/usr/bin/env bash
# Failing system calls: the first call of each name fails once in each filter. `make fault` makes more calls fail.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need strace jq zstd python3

status=0
"$t_dir/fault/run" --part >"$T/table" 2>"$T/err" || status=$?
is 'the faults were made' "$(cat "$T/err")" ''
for file in "$top"/cmd/*.c; do
	tool=$(basename "$file" .c)
	read -r _ faults _ violations _ < <(grep "^$tool  *[0-9]" "$T/table")
	is "$tool: faults, and no violation" "$((${faults:-0} > 5)):${violations:-none}:$(grep "^$tool, " "$T/table")" 1:0:
done
is 'status 0 if there is no violation' "$status" 0

finish
