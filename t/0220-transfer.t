#!/usr/bin/env bash
# dt-popularity and dt-cost: the models of updates, the strategy transfer, --weights, --previous.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2094 # two programs read the same graph
. "$(dirname "$0")/lib.sh"
export PYTHONPATH=$t_dir/fixtures
need perl python3 jq shuf

graph() { printf '%s\n' "$@" >"$T/graph"; }

# wants DESCRIPTION PLAN ARG...: the plan of $T/graph is this, "|" between layers.
wants() {
	local what=$1 want=$2 status=0
	shift 2
	dt-popularity "$@" <"$T/graph" >"$T/out" 2>"$T/err" || status=$?
	is "$what" "$status:$(tr '\n' '|' <"$T/out")$(cat "$T/err")" "0:$want|"
}

# json FILTER ARG...: jq's answer on the cost of the plan that dt-popularity makes of $T/graph.
json() {
	local filter=$1
	shift
	dt-popularity "$@" <"$T/graph" | dt-cost --format json "$T/graph" | jq -c "$filter"
}

cat >"$T/model.py" <<'END'
import json, random, subprocess, sys
import plans

def tool(text, *args, name='dt-popularity'):
    p = subprocess.run([name, *args], input=text, text=True,
                       stdout=subprocess.PIPE, check=True)
    return p.stdout

def dag(r, n):
    names = ['/nix/store/%032x-p%d' % (r.getrandbits(128), i) for i in range(n)]
    return {v: (int(r.lognormvariate(9, 3)), r.sample(names[:i], r.randint(0, min(i, 4))))
            for i, v in enumerate(names)}

def text(graph, r):
    lines = [' '.join([v, str(s), *refs]) + '\n' for v, (s, refs) in graph.items()]
    r.shuffle(lines)
    return ''.join(lines)

def cost(graph, layers, weight):
    """By updates: what each sends, and then the mean. Returns mean, worst, and bound."""
    above = {v: {v} for v in graph}
    for v in reversed(list(graph)):
        for ref in graph[v][1]:
            above[ref] |= above[v]
    size = [(set(l), sum(graph[v][0] for v in l)) for l in layers]
    sent = {v: sum(s for l, s in size if l & above[v]) for v in graph}
    total = sum(weight.values())
    return (sum(sent[v] * weight[v] for v in graph) / total,
            max(sent[v] for v in graph if weight[v]),
            sum(graph[u][0] * weight[v] for v in graph for u in above[v]) / total)

for seed in range(int(sys.argv[1])):
    r = random.Random(seed)
    graph = dag(r, r.randint(1, 120))
    limit = r.choice([1, 2, 3, 5, 10, 30, 200])
    weight = {v: r.choice([1, 1, 0, 50]) for v in graph}
    args = ['--max-layers', str(limit)]
    if seed % 2 and any(weight.values()):
        with open('weights', 'w') as f:
            f.write('# seed %d\n\n7 *\n' % seed + ''.join('%d %s\n' % (w, v) for v, w in weight.items()))
        weights = ['--weights', 'weights']
    else:
        weight = dict.fromkeys(graph, 1)
        weights = []
    given = text(graph, r)
    means = {}
    for strategy in 'transfer', 'auto', 'popularity':
        own = args + ['--strategy', strategy] + (weights if strategy == 'transfer' else [])
        out = tool(given, *own)
        if out != tool(text(graph, r), *own):
            sys.exit('seed %d: line order matters to %s' % (seed, strategy))
        layers = [line.split(' ') for line in out.splitlines()]
        if sorted(v for l in layers for v in l) != sorted(graph) or len(layers) > limit:
            sys.exit('seed %d: no plan: %s' % (seed, out))
        with open('graph', 'w') as f:
            f.write(given)
        got = json.loads(tool(out, *weights, '--format', 'json', 'graph', name='dt-cost'))
        mean, worst, bound = cost(graph, layers, weight)
        judged, chain = plans.judge(graph, layers, weight)
        sums = [sum(l[key] for l in got['layers']) for key in ('resent', 'chain')]
        if (abs(mean - judged) > 1 or abs(got['chain'] - chain) > 1 or
                any(abs(s - want) > len(layers) for s, want in zip(sums, (mean, chain)))):
            sys.exit('seed %d: %s is not %s, or for chains %s' % (seed, got, judged, chain))
        if (abs(got['mean'] - mean) > 1 or got['worst']['bytes'] != worst or
                abs(got['bound'] - bound) > 1 or
                got['bytes'] != sum(s for s, _ in graph.values()) or
                [l['paths'] for l in got['layers']] != layers):
            sys.exit('seed %d: %s is not %s' % (seed, got, (mean, worst, bound)))
        means[strategy] = mean
    if limit > 1 and means['transfer'] > means['popularity'] * 1.001 + 1:
        sys.exit('seed %d: %s' % (seed, means))
END
ok 'random graphs: plans, independent of line order; costs by the definition' \
	bash -c "cd '$T' && python3 model.py 120"

# Both measures for a real closure, by a judge and a simple method that share no code with dt.
cat >"$T/real.py" <<'END'
import sys
import plans

with open(sys.argv[1]) as f:
    graph = plans.parse(f.read())
changed = plans.changed_by(graph)
for limit in 98, 60, 30, 15:
    simple = plans.judge(graph, plans.simple(graph, limit, changed), None, changed)
    auto = plans.judge(graph, plans.plan(graph, 'auto', limit), None, changed)
    transfer = plans.judge(graph, plans.plan(graph, 'transfer', limit), None, changed)
    print('# %3d layers: MB of sets and chains: auto %.1f %.1f, simple %.1f %.1f, transfer %.1f %.1f' % (
        limit, *[n / 1e6 for n in auto + simple + transfer]))
    if transfer[0] > simple[0] * 1.01 or transfer[0] > auto[0]:
        sys.exit('%d layers: an update sends %.0f bytes to a receiver of sets' % (limit, transfer[0]))
    if transfer[1] > simple[1] * 0.97:
        sys.exit('%d layers: an update sends %.0f bytes to a receiver of chains' % (limit, transfer[1]))
END
ok 'a real closure: both measures are about as low as those of a simple method, or lower' \
	python3 "$T/real.py" "$t_dir/golden/debian.graph"
cat "$T/out"
ok 'weights enter both measures' python3 -c "
import plans
with open('$t_dir/golden/debian.graph') as f:
    graph = plans.parse(f.read())
weight = {path: 200 if 'python3-pandas-1' in path else 1 for path in graph}
with open('$T/weights', 'w') as f:
    f.write('200 python3-pandas-1*\n')
plain = plans.judge(graph, plans.plan(graph, 'transfer', 30), weight)
weighted = plans.judge(graph, plans.plan(graph, 'transfer', 30, '--weights', '$T/weights'), weight)
print('#', plain, weighted)
assert weighted[0] < plain[0] * 0.9 and weighted[1] < plain[1] * 0.8
"
cat "$T/out"

graph '/s/h1-app 10 /s/h2-lib' '/s/h2-lib 100' '/s/h3-font 1000'
wants 'a layer a path' '/s/h3-font|/s/h2-lib|/s/h1-app' --strategy transfer
wants 'all in one layer' '/s/h1-app /s/h2-lib /s/h3-font' --strategy transfer --max-layers 1
wants 'what is large and stable stays alone' '/s/h3-font|/s/h1-app /s/h2-lib' \
	--strategy transfer --max-layers 2
is 'the cost: mean, bound and worst' \
	"$(json '[.mean,.bound,.worst.bytes,.worst.path]' --strategy transfer)" \
	'[373,373,1000,"/s/h3-font"]'
is 'the cost of one layer' "$(json '[.mean,.bound,.worst.bytes,.worst.path]' --max-layers 1)" \
	'[1110,373,1110,"/s/h1-app"]'
printf '0 *font*\n9 /s/*-app\n' >"$T/weights"
is 'weights, by name and by path' \
	"$(dt-popularity --weights "$T/weights" <"$T/graph" | dt-cost --format json --weights "$T/weights" "$T/graph" |
		jq -c '[.mean,.bound,.worst.path]')" '[20,20,"/s/h2-lib"]'
dt-popularity <"$T/graph" | dt-cost "$T/graph" >"$T/table"
like 'the table: a layer' "$T/table" '^    3      1            10  66\.67%             7            10  /s/h1-app$'
like 'the table: the mean' "$T/table" '^mean             373 re-sent by an update$'
like 'the table: the mean of chains' "$T/table" '^chain            410 re-sent with all layers above$'
like 'the table: the worst' "$T/table" '^worst           1000 re-sent by an update of /s/h3-font$'
printf '/s/h3-font\n' >"$T/plan"
is 'a plan of some of the paths' "$(dt-cost --format json "$T/graph" "$T/plan" | jq -c '[.bytes,.mean]')" '[1000,333]'
printf '%s\n' '/s/h3-font /s/h2-lib' '/s/h2-lib' '/s/h1-app /s/h2-lib' >"$T/plan"
is 'a plan with a path in several layers' "$(dt-cost --format json - "$T/plan" <"$T/graph" | jq -c '[.bytes,.mean,(.layers|map(.bytes))]')" \
	'[1310,840,[1100,100,110]]'
graph 'a 0' 'b 0 a'
wants 'paths without bytes' 'a b' --strategy transfer --max-layers 1
graph 'a 9223372036854775807'
wants 'the largest size there is' a --strategy transfer --max-layers 1

# A plan before this one: same name, same layer, whatever the hash and the version.
graph '/s/h1-app-1.0 10 /s/h2-lib-2' '/s/h2-lib-2 100' '/s/h3-font 1000' '/s/h4-tool 90'
printf '%s\n' '/s/x1-app-0.9 /s/x3-font' '/s/x2-lib-2' '/s/x5-gone' >"$T/before"
wants 'what was together stays together, in the same order' '/s/h1-app-1.0 /s/h3-font|/s/h2-lib-2|/s/h4-tool' \
	--previous "$T/before"
is 'and is merged where there are too many' \
	"$(dt-popularity --previous "$T/before" --max-layers 2 <"$T/graph" | wc -l)" 2
graph '/s/h1-app 10 /s/h2-lib /s/h4-new' '/s/h2-lib 100' '/s/h3-font 1000' '/s/h4-new 5' '/s/h5-last 2000'
printf '%s\n' /s/h3-font /s/h2-lib /s/h1-app >"$T/before"
wants 'a new path is below what needs it, and else at the top' '/s/h3-font|/s/h2-lib|/s/h4-new|/s/h1-app|/s/h5-last' \
	--previous "$T/before"
graph '/s/h1-a 1000' '/s/h2-b 1000' '/s/h3-c 1000' '/s/h4-d 1000'
printf '%s\n' '/s/h3-c /s/h4-d' '/s/h2-b /s/x1-a' >"$T/before"
sed s/x1/y1/ "$T/before" >"$T/before.1"
sed s/x1/z1/ "$T/before" >"$T/before.2"
wants 'one earlier plan: a layer that has changed stays together' '/s/h3-c /s/h4-d|/s/h1-a /s/h2-b' \
	--max-layers 3 --previous "$T/before"
wants 'several: its paths may be separated, those of others are not' '/s/h3-c /s/h4-d|/s/h2-b|/s/h1-a' \
	--max-layers 3 --previous "$T/before.2" --previous "$T/before.1" --previous "$T/before"
graph '/s/h1-a 1000' '/s/h2-b 1000' '/s/h3-c 1000' '/s/h4-d 1000' '/s/h5-e 1000'
printf '%s\n' '/s/h3-c' '/s/h4-d' '/s/h2-b' '/s/x1-a' >"$T/before"
sed s/x1/y1/ "$T/before" >"$T/before.1"
dt-popularity --max-layers 4 --previous "$T/before.1" --previous "$T/before" <"$T/graph" >"$T/out"
like 'a path that was updated stays alone if there are too many layers' "$T/out" '^/s/h1-a$'
for seed in 1 2 3; do
	python3 -c "
import random
r = random.Random($seed)
names = ['%08x-p%d-%d' % (r.getrandbits(32), i, i) for i in range(60)]
for i, v in enumerate(names):
    print(v, r.randrange(10**6), *r.sample(names[:i], min(i, 2)))" >"$T/graph"
	dt-popularity --strategy transfer --max-layers 12 <"$T/graph" >"$T/before"
	dt-popularity --max-layers 12 --previous "$T/before" <"$T/graph" >"$T/now"
	same "the same graph, the same plan ($seed)" "$T/before" "$T/now"
	sed -E 's/[0-9a-f]{8}-/x&/g' "$T/graph" |
		dt-popularity --max-layers 12 --previous "$T/before" |
		tr ' ' '\n' | sed 's/^x//' | sort >"$T/now"
	is "new hashes, all paths ($seed)" "$(cksum <"$T/now")" \
		"$(tr ' ' '\n' <"$T/before" | sort | cksum)"
done

# A store in a directory with a dash in its name. Only the hashes of $T/graph.a and .b differ.
# names: the plan on stdin, without directories and hashes, the paths of a layer sorted
names() { sed "s,$store/[0-9a-f]*-,,g" | perl -lane 'print join " ", sort @F'; }
for store in /s /my-store /home/a-b/nix/store; do
	for hash in a b; do
		python3 -c "
import random
r, hashes = random.Random(1), random.Random('$hash')
names = ['$store/%08x-p%d-%d' % (hashes.getrandbits(32), i, i) for i in range(60)]
for i, v in enumerate(names):
    print(v, r.randrange(10**6), *r.sample(names[:i], min(i, 2)))" >"$T/graph.$hash"
	done
	for strategy in popularity auto transfer; do
		is "a store $store: $strategy depends on no hash" \
			"$(dt-popularity --strategy $strategy --max-layers 12 <"$T/graph.b" | names)" \
			"$(dt-popularity --strategy $strategy --max-layers 12 <"$T/graph.a" | names)"
	done
	dt-popularity --strategy auto --max-layers 12 <"$T/graph.a" >"$T/before"
	is "a store $store: --previous knows paths by their names" \
		"$(dt-popularity --max-layers 12 --previous "$T/before" <"$T/graph.b" | names | sort)" \
		"$(names <"$T/before" | sort)"
	is "a store $store: and keeps the order of layers" \
		"$(dt-popularity --max-layers 12 --previous "$T/before" <"$T/graph.b" | names)" "$(names <"$T/before")"
done

# The picture.
graph '/s/h1-app<&>" 10 /s/h2-lib' '/s/h2-lib 100'
dt-popularity <"$T/graph" | dt-cost --format svg "$T/graph" - >"$T/svg"
ok 'the picture is XML' python3 -c "import sys, xml.dom.minidom as m; m.parse('$T/svg')"
like 'a name in the picture' "$T/svg" '>lib<'
like 'sets in the picture' "$T/svg" '; an update re-sends 60 B on average</text>$'
like 'chains in the picture' "$T/svg" 'changed one, an update re-sends 60 B\.</text>$'
is 'three bars a layer' "$(grep -o '<g>.*' "$T/svg" | sed 's/<rect/\n&/g' | grep -c '^<rect')" 6

# Bad input.
# shellcheck disable=SC2317 # called through fails
run() { dt-popularity "$@" <"$T/graph"; }
graph 'a 1' 'b 1 a'
for pair in 'x|truncated in the middle of a line' '1 a\n1|truncated in the middle of a line' '1\n|a line is a weight, a blank and a pattern' \
	'1 \n|a line is a weight, a blank and a pattern' '-1 a\n|.-1. is not a weight from 0 to 1000000' \
	'1000001 a\n|.1000001. is not a weight .*' '1.5 a\n|.1\.5. is not a weight .*' \
	' 1 a\n|.. is not a weight .*'; do
	# shellcheck disable=SC2059 # the escapes are meant
	printf -- "${pair%%|*}" >"$T/weights"
	fails 1 "^dt-popularity: $T/weights:[12]: ${pair#*|}\$" "weights: ${pair%%|*}" \
		run --weights "$T/weights"
done
echo '0 *' >"$T/weights"
fails 1 'weights: the weight of every path is 0$' 'no path weighs anything' \
	run --weights "$T/weights"
for pair in '|empty, a plan is expected' 'a|1: truncated in the middle of a line' 'a\nc\n|2: c is not in the graph' \
	'a\nb b\n|2: b is listed twice in the layer' 'a  b\n|1: a layer is store paths, separated by single blanks' \
	'\n|1: a layer is store paths, .*' 'a \n|1: a layer is store paths, .*' 'a\nb\0\n|2: a NUL byte'; do
	# shellcheck disable=SC2059 # the escapes are meant
	printf -- "${pair%%|*}" >"$T/plan"
	fails 1 "^dt-cost: $T/plan: ?${pair#*|}\$" "a plan: ${pair%%|*}" dt-cost "$T/graph" "$T/plan"
done
graph 'a 9223372036854775807' 'b 1'
fails 1 '^dt-popularity: stdin: the sizes add up to more than 9223372036854775807 bytes$' \
	'sizes that overflow' run
graph 'a 1 b' 'b 1 a'
fails 1 '^dt-popularity: stdin: the references form a cycle' 'a cycle' run --strategy transfer
printf 'a\377 1\n' >"$T/graph"
printf 'a\377\n' >"$T/plan"
fails 1 "^dt-cost: $T/graph: .* is not UTF-8\$" 'a name that JSON cannot hold' dt-cost --format json "$T/graph" "$T/plan"
fails 1 "^dt-cost: $T/graph: .* is not UTF-8\$" 'a name that XML cannot hold' dt-cost --format svg "$T/graph" "$T/plan"
for pair in '|empty, a plan is expected' 'a|1: truncated in the middle of a line' 'a  b\n|1: a layer is store paths, .*' \
	'a b a\n|1: a is listed twice in the layer'; do
	# shellcheck disable=SC2059 # the escapes are meant
	printf -- "${pair%%|*}" >"$T/before"
	fails 1 "^dt-popularity: $T/before: ?${pair#*|}\$" "a plan before: ${pair%%|*}" \
		run --previous "$T/before"
done
for args in '--previous x --strategy auto' '--weights x --strategy popularity' '--weights x --pipeline x' \
	'--rank --pipeline x' 'x'; do
	# shellcheck disable=SC2086 # words
	fails 2 "^dt-popularity: .*--help'\$" "$args" run $args
done
for args in '' '-' '- -' 'a b c' '--format x a' '--format svg a b c d' '--weights x a b c d' '--svg a'; do
	# shellcheck disable=SC2086 # words
	fails 2 "^dt-cost: .*--help'\$" "dt-cost $args" dt-cost $args
done

# A large graph: bounded time.
cat >"$T/large.py" <<'END'
import random, sys
r = random.Random(1)
n = int(sys.argv[1])
names = ['/nix/store/%032x-p%d' % (r.getrandbits(128), i) for i in range(n)]
for i, v in enumerate(names):
    refs = {max(0, i - 1 - int(r.expovariate(1 / 30))) for _ in range(r.choice([0, 1, 2, 5]) if i else 0)}
    print(v, int(r.lognormvariate(11, 2.5)), *[names[k] for k in sorted(refs)])
END
python3 "$T/large.py" 20000 >"$T/graph"
ok '20,000 paths' bash -c "ulimit -t 60; dt-popularity --strategy transfer <'$T/graph'"
is 'all of them are in the plan, once' "$(tr ' ' '\n' <"$T/out" | sort | cksum)" \
	"$(cut -d ' ' -f 1 "$T/graph" | sort | cksum)"

finish
