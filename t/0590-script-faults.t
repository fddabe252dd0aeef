#!/usr/bin/env bash
# The scripts, if a program that they run is killed: they fail with one line, or their output is the same, byte for
# byte. t/fault/programs tests more scripts.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154,SC2317 # jq expands; killed.sh sets these; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/killed.sh"
make_cases
jobs=1
for name in merge export version; do
	ok "$name: each program is killed" "case_$name"
	like "$name: and something was killed" "$T/out" '^[a-z_]+: ([4-9]|[0-9]{2,}) killed calls, 0 not reached, 0 violations$'
done

# Scripts that do not notice it.
bad() { # DESCRIPTION REGEX TEXT
	echo "$3" >"$T/dt-bad"
	"$t_dir/fault/killed" --timeout 2 --only sort bad "$BASH" "$T/dt-bad" >"$T/out" 2>&1
	is "$1: that is a violation" "$?" 1
	like "$1: the reason" "$T/out" "$2"
}
printf '%s\n' b a >"$T/lines"
bad 'a process substitution' '^bad: call 1 of sort, half 2: status 0, but another result: out: ' 'mapfile -t a < <(sort "${0%/*}/lines"); echo "${a[@]}" x'
bad 'no message' 'status -9 and 0 lines' 'exec sort "${0%/*}/lines"'
bad 'a hang' 'hangs' 'sort "${0%/*}/lines" && exit; sleep 1000000'
bad 'a scratch file' 'left: x' 'sort "${0%/*}/lines" && exit; : >"$TMPDIR/x"; echo dt-bad: x >&2; exit 1'
bad 'a process' 'left processes: .*sleep 1000000' 'sort "${0%/*}/lines" && exit; sleep 1000000 & echo dt-bad: x >&2; exit 1'

# A symlink as the output, whose target cannot be found out.
mkdir "$T/killed"
printf '#!/bin/sh\nkill -KILL $$\n' >"$T/killed/realpath"
chmod 755 "$T/killed/realpath"
echo old >"$T/old"
ln -s old "$T/link"
fails 1 '^dt-stream-layered-image: realpath was killed by signal 9$' 'realpath of --output is killed' \
	env "PATH=$T/killed:$PATH" dt-stream-layered-image "${store[@]}" -o "$T/link" "$T/plain.json"
is 'realpath of --output is killed: the symlink and the old file stay' "$(readlink "$T/link"):$(cat "$T/old")" old:old

finish
