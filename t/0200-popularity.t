#!/usr/bin/env bash
# dt-popularity --strategy popularity: nixpkgs' order, the split into layers, and bad graphs.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `ok` runs the functions
. "$(dirname "$0")/lib.sh"
need python3 jq shuf

graph() { printf '%s\n' "$@" >"$T/graph"; }

# plan ARG...: the plan of $T/graph, by popularity.
plan() { dt-popularity --strategy popularity "$@" <"$T/graph"; }

# wants DESCRIPTION PLAN ARG...: the plan of $T/graph is this, "|" between layers.
wants() {
	local what=$1 want=$2 status=0
	shift 2
	plan "$@" >"$T/out" 2>"$T/err" || status=$?
	is "$what" "$status:$(tr '\n' '|' <"$T/out")$(cat "$T/err")" "0:$want|"
}

# refuses REGEX DESCRIPTION: $T/graph is no graph, and no plan comes out.
refuses() {
	fails 1 "^dt-popularity: $1\$" "$2" plan
	is "$2: no plan" "$(wc -c <"$T/out")" 0
}

# What popularity is, written down twice: by ways and ancestors, as dt-popularity does,
# and by nixpkgs' definition, in which counters climb from the leaves to a top.
cat >"$T/reference.py" <<'END'
import json, random, subprocess, sys
from functools import lru_cache

sys.setrecursionlimit(100000)

def key(path):
    first, dash, rest = path.partition('-')
    return rest + dash + first

def ordered(score):
    return sorted(score, key=lambda v: (-score[v], key(v).encode()))

def roots(refs):
    return set(refs) - {c for u in refs for c in refs[u]}

def by_ways(refs):
    above = {u: [] for u in refs}
    for u in refs:
        for c in refs[u]:
            above[c].append(u)
    @lru_cache(None)
    def ways(v):
        return sum(map(ways, above[v])) if above[v] else 1
    @lru_cache(None)
    def ancestors(v):
        return frozenset({v}.union(*map(ancestors, above[v])))
    return {v: sum(map(ways, ancestors(v))) for v in refs}

def by_counters(refs):
    def climb(children):
        total = {}
        for c in children:
            total[c] = total.get(c, 0) + 1
            for v, count in counters(c).items():
                total[v] = total.get(v, 0) + count + 1
        return total
    @lru_cache(None)
    def counters(u):
        return climb(refs[u])
    return climb(roots(refs))

def text(refs, shuffle=random):
    lines = [' '.join([u, '1', *refs[u]]) + '\n' for u in refs]
    shuffle.shuffle(lines)
    return ''.join(lines)

def tool(refs, *args):
    p = subprocess.run(['dt-popularity', *args], input=text(refs), text=True,
                       stdout=subprocess.PIPE, check=True)
    return p.stdout

def check(refs, score, what):
    want = ''.join('%d %s\n' % (score[v], v) for v in ordered(score))
    got = tool(refs, '--rank')
    if got != want:
        sys.exit('%s:\n%s--- wanted:\n%s--- got:\n%s' % (what, text(refs), want, got))

def dag(r):
    n = r.randint(1, 150)
    letters = r.choice(['ab-', 'abcdefgh-.0', 'A-Z\u00e9\u4e2d'])
    names = set()
    while len(names) < n:
        names.add(''.join(r.choice(letters) for _ in range(r.randint(1, 9))))
    names = sorted(names)
    r.shuffle(names)
    most = r.choice([1, 2, 5, 30])
    return {u: r.sample(names[:i], r.randint(0, min(i, most)))
            for i, u in enumerate(names)}

def ladder(n):
    refs = {'bottom': []}
    at = 'bottom'
    for i in range(n):
        refs['left-%d' % i] = refs['right-%d' % i] = [at]
        at = 'top-%d' % i
        refs[at] = ['left-%d' % i, 'right-%d' % i]
    return refs

def golden(file):
    for i, case in enumerate(json.load(open(file))):
        refs = {n['path']: n['references'] for n in case['graph']}
        if tool(refs, '--strategy', 'popularity', '--max-layers', '1000').split() != case['popularity']:
            sys.exit('closure %d differs' % i)

mode = sys.argv[1]
if mode == 'golden':
    golden(sys.argv[2])
elif mode == 'random':
    for seed in range(int(sys.argv[2])):
        refs = dag(random.Random(seed))
        score = by_counters(refs)
        assert score == by_ways(refs)
        check(refs, score, 'seed %d' % seed)
elif mode == 'ladder':
    refs = ladder(int(sys.argv[2]))
    score = by_ways(refs)
    assert max(score.values()) > 1 << int(sys.argv[3])
    check(refs, score, 'ladder')
elif mode == 'complete':
    names = ['n-%d' % i for i in range(int(sys.argv[2]))]
    refs = {u: names[:i] for i, u in enumerate(names)}
    check(refs, by_ways(refs), 'complete')
END
reference() { python3 "$T/reference.py" "$@"; }

# nixpkgs' order.
ok "the order is nixpkgs' for all its closures" \
	reference golden "$t_dir/golden/random-closures.json"
graph 'A 1 B G' 'B 1 C E' 'C 1 D E' 'D 1 F' 'E 1 F' 'F 1' 'G 1'
wants "the example of nixpkgs' manual" 'F|E|D|C|B|G|A'
wants 'its scores' '9 F|5 E|4 D|3 C|2 B|2 G|1 A' --rank
ok "random graphs: nixpkgs' definition" reference random 200
ok 'a ladder whose counts have over 128 bits' reference ladder 300 256
ok 'a ladder whose counts have over 600 bits' reference ladder 700 600
ok 'a graph that refers to all it can' reference complete 400

graph '/s/b-z 1' '/s/a-z 1' '/s/c-y-1 1' '/s/c-y 1' '/s/c-Y 1' 'z 1' '-z 1' 'z- 1'
wants 'names decide where scores are equal' \
	'z-|/s/c-Y|/s/c-y|/s/c-y-1|z|-z|/s/a-z|/s/b-z'
graph '/a-store/a-z 1' '/a-store/b-y 1' '/a-store/c 1' '/a-store/d-y 1'
wants 'a name is behind the hash, whatever the store is called' '/a-store/c|/a-store/b-y|/a-store/d-y|/a-store/a-z'
graph 'a 1 a a' 'b 1 a a b'
wants 'references to itself and repeated ones do not count' '2 a|1 b' --rank
graph 'only 0'
wants 'one path' only
graph 'b 1 a' 'a 1' 'b 1 a'
wants 'a line that stands twice counts once' 'a|b'
jq -r '.[3].graph[] | [.path, (.narSize | tostring), .references[]] | join(" ")' \
	"$t_dir/golden/random-closures.json" >"$T/graph"
plan >"$T/straight"
for seed in 1 2 3 4 5; do
	shuf --random-source=<(yes "$seed") "$T/graph" | dt-popularity --strategy popularity >"$T/shuffled"
	same "shuffled lines, the same bytes ($seed)" "$T/straight" "$T/shuffled"
done

# The split.
graph 'e 1 d' 'd 1 c' 'c 1 b' 'b 1 a' 'a 1'
wants 'one layer for all' 'a b c d e' --max-layers 1
wants 'two layers' 'a|b c d e' --max-layers 2
wants 'one path too many' 'a|b|c|d e' --max-layers 4
wants 'as many layers as paths' 'a|b|c|d|e' --max-layers 5
wants 'more layers than paths' 'a|b|c|d|e' --max-layers=6
wants 'a great many layers' 'a|b|c|d|e' --max-layers 4294967295
wants '--rank knows no layers' '5 a|4 b|3 c|2 d|1 e' --rank --max-layers 2
for n in 99 100 101; do
	seq -f '%03g 1' "$n" >"$T/graph"
	plan >"$T/out"
	is "$n paths, 100 layers: how many" "$(wc -l <"$T/out")" "$((n < 100 ? n : 100))"
	is "$n paths, 100 layers: the last one" "$(tail -n 1 "$T/out")" \
		"$([ "$n" -le 100 ] && printf '%03d' "$n" || echo '100 101')"
done

# The command line.
fails 2 "^dt-popularity: --max-layers takes a number from 1 .*, not '0': try '.*'\$" \
	'no layers' dt-popularity --max-layers 0
for n in '' -1 +1 1x 0x10 ' 1' 1e3 4294967296 99999999999999999999999; do
	fails 2 "not '" "--max-layers '$n'" dt-popularity "--max-layers=$n"
done
fails 2 "^dt-popularity: --strategy takes transfer, auto or popularity, not 'best': try '.*'\$" \
	'an unknown strategy' dt-popularity --strategy best
fails 2 "unexpected operand 'file'" 'an operand' dt-popularity file

for pair in '--cost|dt-cost' '--fleet|dt-fleet' '--json|dt-cost --format json' '--svg|dt-cost --format svg' \
	'--plan x|an operand of dt-cost' '--second x|an operand of dt-cost'; do
	# shellcheck disable=SC2086 # words
	fails 2 "^dt-popularity: ${pair%%[ |]*} is now ${pair#*|}: try 'dt-popularity --help'\$" \
		"${pair%|*}, of former versions" dt-popularity ${pair%|*}
done

# Bad graphs.
: >"$T/graph"
refuses 'stdin: empty, a graph is expected' 'an empty graph'
printf 'a 1\nb 1 a' >"$T/graph"
refuses 'stdin:2: truncated in the middle of a line' 'a graph truncated'
graph 'a 1' 'b'
refuses "stdin:2: '' is not a size in bytes" 'a line without size'
graph 'a 1' 'b x a'
refuses "stdin:2: 'x' is not a size in bytes" 'a size that is no number'
graph 'a -1'
refuses "stdin:1: '-1' is not a size in bytes" 'a size below 0'
graph 'a 9223372036854775808'
refuses "stdin:1: '9223372036854775808' is not a size in bytes" 'a size beyond all files'
graph 'a 1' '' 'b 1'
refuses 'stdin:2: a line starts with its store path' 'an empty line'
graph ' a 1'
refuses 'stdin:1: a line starts with its store path' 'a blank in front'
graph 'a  1'
refuses "stdin:1: '' is not a size in bytes" 'two blanks'
graph 'a 1' 'b 1  a'
refuses 'stdin:2: words are separated by single blanks' 'two blanks between references'
graph 'a 1 '
refuses 'stdin:1: words are separated by single blanks' 'a blank at the end'
printf 'a 1\nb\0 1\n' >"$T/graph"
refuses 'stdin:2: a NUL byte' 'a NUL byte'
printf 'a 1\r\n' >"$T/graph"
refuses "stdin:1: '1\\\\015' is not a size in bytes" 'a carriage return'
graph 'a 1 b'
refuses 'stdin: b is referred to but has no line' 'a reference without line'
graph 'a 1' 'b 1 a' 'a 2'
refuses 'stdin:3: a has two different lines' 'a path with two sizes'
graph 'a 1' 'b 1 a' 'b 1'
refuses 'stdin:3: b has two different lines' 'a path with two sets of references'
graph 'a 1 b' 'b 1 a'
refuses 'stdin: the references form a cycle: (a -> b -> a|b -> a -> b)' 'a cycle'
graph 'a 1 b' 'b 1 c' 'c 1 d e' 'd 1 b' 'e 1'
refuses 'stdin: the references form a cycle: .*b -> c -> d.*' 'a cycle behind a root'
fails 1 '^dt-popularity: stdin: Is a directory$' 'a directory' bash -c 'dt-popularity </'

finish
