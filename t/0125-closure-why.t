#!/usr/bin/env bash
# dt-closure --why: the shortest chain of references from each root to a path, from each source, compared with
# `nix why-depends` and with a search of all chains.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need nix python3

path() { printf '/nix/store/%032d-%s\n' "$1" "$2"; }
app=$(path 9 app) other=$(path 8 other) long=$(path 1 long) short=$(path 3 short) twin=$(path 2 twin) base=$(path 5 base)
alone=$(path 7 alone)
cat >"$T/graph" <<END
$app 1 $long $short $twin
$other 1 $app
$long 1 $short
$short 1 $base
$twin 1 $base
$base 1
$alone 1
END
why() { dt-closure --graph "$T/graph" --why "$@"; }

# --- chains ---
ok 'a chain' why "$base" "$app"
is 'a chain: the shortest one, and of these the first' "$(cat "$T/out")" "$app
$twin
$base"
is 'a chain to the root itself' "$(why "$app" "$app")" "$app"
is 'a reference' "$(why "$twin" "$app")" "$app
$twin"
is 'a file in the path' "$(why "$base/bin/x" "$short/lib")" "$short
$base"
is 'a chain for each root that needs the path, sorted by root' "$(why "$base" "$alone" "$app" "$other" "$app")" "$other
$app
$twin
$base

$app
$twin
$base"
is 'a record for each chain, for awk' \
	"$(why "$base" "$app" "$other" | awk 'BEGIN { RS = "" } { print $1, NF - 1, $NF }')" "$other 3 $base
$app 2 $base"
is 'without roots, they are the paths that nothing refers to' "$(why "$base" </dev/null)" "$other
$app
$twin
$base"
is 'roots on stdin' "$(echo "$short" | why "$base")" "$short
$base"
is '--text' "$(echo "run $short/x" | why "$base" --text)" "$short
$base"
ok '--output' why "$base" -o "$T/file" "$short"
is '--output: the chain' "$(cat "$T/file")" "$short
$base"

# --- errors ---
fails 1 "^dt-closure: $alone: not in the closure\$" 'a path outside of the closure' why "$alone" "$app"
is '... and nothing is printed' "$(cat "$T/out")" ''
fails 1 "^dt-closure: $(path 4 none): not in the closure\$" 'a path that is not there' why "$(path 4 none)" "$app"
fails 1 '^dt-closure: /etc/passwd: not in the store /nix/store$' 'a path outside of the store' why /etc/passwd "$app"
fails 1 '^dt-closure: an empty file name$' 'an empty path' why '' "$app"
fails 1 "^dt-closure: $base: not in the closure\$" 'a text without mentions' bash -c "echo | dt-closure --graph '$T/graph' --text --why $base"
fails 2 '^dt-closure: --why prints no graph; it excludes --exclude and --verify: try' '--why and --exclude' why "$base" --exclude "$T/graph" "$app"
fails 2 '^dt-closure: --why prints no graph; it excludes --exclude and --verify: try' '--why and --verify' dt-closure --verify --why "$base" "$app"
printf '%s\n' "$app" x 1 '' 1 "$base" "$base" x 1 '' 1 "$app" >"$T/cycle"
fails 1 '^dt-closure: the references form a cycle: ' 'a cycle' dt-closure --graph "$T/cycle" --why "$base"

# --- random graphs ---
# The search of all chains by their length, and of one length in byte order.
cat >"$T/check.py" <<'END'
import random, subprocess, sys

random.seed(1)
bad = 0
for _ in range(40):
    n = random.randint(1, 30)
    names = ["/nix/store/%032x-p" % random.getrandbits(128) for _ in range(n)]
    refs = {a: sorted(set(random.sample(names[:i], min(i, random.randint(0, 3))))) for i, a in enumerate(names)}
    with open(sys.argv[1], "w") as f:
        for a in random.sample(names, n):
            print(a, 1, *random.sample(refs[a], len(refs[a])), file=f)
    roots, target = random.sample(names, min(n, 3)), names[random.randrange(n)]
    chains = []
    for root in sorted(roots):
        level = [[root]]
        while level and not any(c[-1] == target for c in level):
            level = [c + [r] for c in level for r in refs[c[-1]]]
        chains += [min(c for c in level if c[-1] == target)] if level else []
    got = subprocess.run(["dt-closure", "--graph", sys.argv[1], "--why", target, *roots], stdin=subprocess.DEVNULL,
                         capture_output=True, text=True)
    want = "\n".join("".join(p + "\n" for p in c) for c in chains)
    bad += (got.returncode, got.stdout) != ((0, want) if chains else (1, ""))
print(bad)
END
is 'random graphs: the chains of a search' "$(python3 "$T/check.py" "$T/random")" 0

# --- a real store ---
small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
all=$(root everything)
dt-closure --store "$small" "$all" | cut -d ' ' -f 1 | awk 'NR % 8 == 1' >"$T/some"
is 'some paths' "$(awk 'END { print (NR > 5) }' "$T/some")" 1
while read -r to; do
	in_nix nix --extra-experimental-features nix-command why-depends "$all" "$to" 2>&1 |
		sed 's,[^/]*\(/nix/store/[0-9a-zA-Z+._?=-]*\).*,\1,'
done <"$T/some" >"$T/want"
while read -r to; do dt-closure --store "$small" --why "$to" "$all"; done <"$T/some" >"$T/got"
same 'the database: the paths of nix why-depends' "$T/got" "$T/want"
while read -r to; do dt-closure --store "$small" --scan --why "$to" "$all"; done <"$T/some" >"$T/got"
same 'a scan: the same' "$T/got" "$T/want"
finish
