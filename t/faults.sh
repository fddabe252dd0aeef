# The table of t/fault/run, for tests.
# shellcheck shell=bash disable=SC2154 # lib.sh sets t_dir, top and T

# table_is_good MODE LEAST: runs t/fault/run in this mode. Each filter must have at least LEAST runs, and no violation.
table_is_good() {
	local status=0 file tool runs violations
	need strace jq zstd python3
	"$t_dir/fault/run" "$1" >"$T/table" 2>"$T/err" || status=$?
	is 'no messages' "$(cat "$T/err")" ''
	for file in "$top"/cmd/*.c; do
		tool=$(basename "$file" .c)
		read -r _ runs _ violations _ < <(grep "^$tool  *[0-9]" "$T/table")
		is "$tool: $2 runs or more, and no violation" \
			"$((${runs:-0} >= $2)):${violations:-none}:$(grep "^$tool, " "$T/table")" 1:0:
	done
	is 'status 0 if there is no violation' "$status" 0
}
