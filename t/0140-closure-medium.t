#!/usr/bin/env bash
# dt-closure on a store of over 200 paths and 500 MB: all sources give the same graph.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need nix nix-store openssl

medium=${DT_TEST_MEDIUM:-/var/tmp/dt-medium}
ok 'a real store' "$t_dir/realstore" medium "$medium"
nix_root=$medium
all=$(sed -n 's/^everything //p' "$medium/roots")

# timed FILE COMMAND...: runs the command, says how long that took.
timed() {
	local start=$EPOCHREALTIME out=$1
	shift
	"$@" >"$out"
	echo "# $(((${EPOCHREALTIME/./} - ${start/./}) / 1000)) ms: ${*##*/}"
}

timed "$T/db" dt-closure --store "$medium" "$all"
in_nix nix-store -qR "$all" | sort >"$T/want"
cut -d' ' -f1 "$T/db" | sort >"$T/got"
same 'db is nix-store -qR' "$T/got" "$T/want"
is 'over 200 paths' $(($(wc -l <"$T/db") > 200)) 1
is 'over 500 MB' "$(awk '{ n += $2 } END { print (n > 5e8) }' "$T/db")" 1

timed "$T/scan" dt-closure --scan --store "$medium" "$all"
same 'scan is db' "$T/scan" "$T/db"
timed "$T/scan" dt-closure --scan --store "$medium" --no-cache "$all"
same 'scan is db, without a cache' "$T/scan" "$T/db"
timed "$T/scan" dt-closure --scan --store "$medium" "$all"
same 'scan is db, remembered' "$T/scan" "$T/db"
sed "s,^\([^ ]*\).*,$medium\1," "$T/db" | tr '\n' '\0' |
	xargs -0 -I '{}' find '{}' -type f -print0 >"$T/files"
timed "$T/sums" xargs -0 -a "$T/files" openssl dgst -sha256

in_nix nix-store --dump-db >"$T/dump"
timed "$T/out" dt-closure --graph "$T/dump" "$all"
same 'nix-store --dump-db is db' "$T/out" "$T/db"
in_nix nix --extra-experimental-features nix-command path-info --json -r "$all" >"$T/info"
timed "$T/out" dt-closure --graph "$T/info" "$all"
same 'nix path-info --json is db' "$T/out" "$T/db"

# The size of every path that the store holds, needed or not.
sed -n 's,^\(/nix/store/.*\)$,\1,p' "$T/dump" | grep -v '\.drv$' | sort -u >"$T/roots"
dt-closure --store "$medium" <"$T/roots" >"$T/db"
dt-closure --scan --store "$medium" <"$T/roots" >"$T/scan"
same 'scan is db, all outputs' "$T/scan" "$T/db"

finish
