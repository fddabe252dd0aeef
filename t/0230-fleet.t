#!/usr/bin/env bash
# dt-popularity --fleet: several images planned together.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need python3 shuf

cat >"$T/fleet.py" <<'END'
import json, os, random, subprocess, sys

def run(*args):
    return subprocess.run(['dt-popularity', '--fleet', *args], text=True,
                          stdout=subprocess.PIPE, check=True).stdout

def closure(graph, roots):
    seen, todo = set(), list(roots)
    while todo:
        v = todo.pop()
        if v not in seen:
            seen.add(v)
            todo += graph[v][1]
    return seen

for seed in range(int(sys.argv[1])):
    r = random.Random(seed)
    n = r.choice([5, 30, 200])
    names = ['/nix/store/%032x-p%d' % (r.getrandbits(128), i) for i in range(n)]
    graph = {v: (int(r.lognormvariate(9, 3)), r.sample(names[:i], r.randint(0, min(i, 3))))
             for i, v in enumerate(names)}
    limit = r.choice([1, 2, 5, 20, 300])
    images = [closure(graph, r.sample(names, r.randint(1, 3)))
              for _ in range(r.choice([1, 3, 70]))]
    files = ['%d.graph' % i for i in range(len(images))]
    plans = {}
    for again in range(2):
        for file, image in zip(files, images):
            lines = [' '.join([v, str(graph[v][0]), *graph[v][1]]) + '\n' for v in image]
            r.shuffle(lines)
            with open(file, 'w') as f:
                f.writelines(lines)
        os.makedirs('out%d' % again, exist_ok=True)
        if run('--max-layers', str(limit), '--output', 'out%d' % again, *files) != '':
            sys.exit('seed %d: output' % seed)
        for file in files:
            with open('out%d/%s' % (again, file.replace('.graph', '.plan'))) as f:
                plans[again, file] = f.read()
    held, apart, layers = 0, 0, set()
    for file, image in zip(files, images):
        if plans[0, file] != plans[1, file]:
            sys.exit('seed %d: line order matters' % seed)
        plan = [line.split(' ') for line in plans[0, file].splitlines()]
        if sorted(v for l in plan for v in l) != sorted(image) or len(plan) > limit:
            sys.exit('seed %d: no plan: %s' % (seed, plan))
        apart += sum(graph[v][0] for v in image)
        layers |= {tuple(l) for l in plan}
    want = {'images': len(images), 'layers': len(layers), 'apart': apart,
            'held': sum(graph[v][0] for l in layers for v in l),
            'bound': sum(graph[v][0] for v in set().union(*images))}
    got = json.loads(run('--max-layers', str(limit), '--cost', '--json', *files))
    if got != want:
        sys.exit('seed %d: %s is not %s' % (seed, got, want))
    if limit == 300 and got['held'] != got['bound']:
        sys.exit('seed %d: layers enough for all, but %s' % (seed, got))
    for strategy in 'auto', 'popularity', 'transfer':
        own = json.loads(run('--max-layers', str(limit), '--cost', '--json', '--strategy',
                             strategy, *files))
        if own['bound'] != got['bound'] or own['apart'] != apart:
            sys.exit('seed %d: %s: %s' % (seed, strategy, own))
END
ok 'random fleets: plans within the limit, costs by the definition' \
	bash -c "cd '$T' && python3 fleet.py 60"

cd "$T" || exit 1
mkdir plans
printf '%s\n' 'a 10 l' 'l 1000' 'x 5' >a.graph
printf '%s\n' 'b 20 l' 'l 1000' 'y 5' >b.graph
ok 'two images' dt-popularity --fleet --max-layers 2 --output plans a.graph ./b.graph
is 'nothing on stdout' "$(cat out)" ''
is 'what both have is a layer of its own' "$(paste -s -d '|' plans/a.plan) $(paste -s -d '|' plans/b.plan)" \
	'l|a x l|b y'
ok 'what a registry holds' dt-popularity --fleet --cost --max-layers 2 a.graph b.graph
is 'as a table' "$(tr -s ' ' <out | paste -s -d '|')" \
	'apart 2040 in 2 images|held 1040 in 3 layers that differ|bound 1040 with a layer for each path'
ok 'a graph on stdin' bash -c 'dt-popularity --fleet --cost a.graph - <b.graph'
is 'nothing else is left in the folder' "$(find plans -type f -printf '%f\n' | sort | paste -s -d ' ')" 'a.plan b.plan'

printf '%s\n' 'b 20 l' 'l 1001' >c.graph
fails 1 '^dt-popularity: c\.graph: l differs from that of another image$' 'images that disagree' \
	dt-popularity --fleet --output plans a.graph c.graph
fails 1 '^dt-popularity: none: No such file or directory$' 'no such graph' \
	dt-popularity --fleet --cost none
fails 1 '^dt-popularity: none/a.plan: No such file or directory$' 'no such folder' \
	dt-popularity --fleet --output none a.graph
mkdir other
cp a.graph other
fails 2 "two graphs would have the plan 'a\.plan'" 'two graphs of one name' \
	dt-popularity --fleet --output plans a.graph other/a.graph
fails 2 "needs named graphs, not '-'" 'stdin has no name' \
	dt-popularity --fleet --output plans a.graph -
for args in '--fleet' '--fleet a.graph' '--fleet --cost' \
	'--fleet --rank a.graph' '--fleet --cost --svg a.graph' '--fleet --cost --second b.graph a.graph' \
	'a.graph'; do
	# shellcheck disable=SC2086 # words
	fails 2 "^dt-popularity: .*--help'\$" "$args" dt-popularity $args
done
ok 'the cost, in a file' dt-popularity --fleet --cost -o cost a.graph b.graph
is 'it is all there' "$(cat cost)" "$(dt-popularity --fleet --cost a.graph b.graph)"

finish
