#!/usr/bin/env bash
# dt-fleet: several images planned together; dt-cost: what they take together.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
export PYTHONPATH=$t_dir/fixtures
need python3 shuf

cat >"$T/fleet.py" <<'END'
import json, os, random, subprocess, sys
from plans import closure

def run(*args):
    return subprocess.run(args, text=True, stdout=subprocess.PIPE, check=True).stdout

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
        out = run('dt-fleet', '--max-layers', str(limit), *files, 'out%d' % again)
        if out.splitlines() != ['out%d/%s' % (again, f.replace('.graph', '.plan')) for f in files]:
            sys.exit('seed %d: output: %s' % (seed, out))
        for file in files:
            with open('out%d/%s' % (again, file.replace('.graph', '.plan'))) as f:
                plans[again, file] = f.read()
    held, apart, layers, orders = 0, 0, set(), []
    for file, image in zip(files, images):
        if plans[0, file] != plans[1, file]:
            sys.exit('seed %d: line order matters' % seed)
        plan = [line.split(' ') for line in plans[0, file].splitlines()]
        if sorted(v for l in plan for v in l) != sorted(image) or len(plan) > limit:
            sys.exit('seed %d: no plan: %s' % (seed, plan))
        orders.append([tuple(l) for l in plan])
        apart += sum(graph[v][0] for v in image)
        layers |= {tuple(l) for l in plan}
    for a in orders:
        for b in orders:
            if [l for l in a if l in b] != [l for l in b if l in a]:
                sys.exit('seed %d: two images have the same layers in another order' % seed)
    want = {'images': len(images), 'layers': len(layers), 'apart': apart,
            'held': sum(graph[v][0] for l in layers for v in l),
            'bound': sum(graph[v][0] for v in set().union(*images))}
    pairs = [word for file in files for word in (file, 'out0/' + file.replace('.graph', '.plan'))]
    got = json.loads(run('dt-cost', '--format', 'json', *pairs))
    if len(files) == 1:
        continue # the cost of one image
    if got != want:
        sys.exit('seed %d: %s is not %s' % (seed, got, want))
    if limit == 300 and got['held'] != got['bound']:
        sys.exit('seed %d: layers enough for all, but %s' % (seed, got))
END
ok 'random fleets: plans within the limit, costs by the definition' \
	bash -c "cd '$T' && python3 fleet.py 60"

# Images of some programs of a real closure.
cat >"$T/real.py" <<'END'
import random, subprocess, sys
import plans

with open(sys.argv[1]) as f:
    graph = plans.parse(f.read())
root = next(path for path in graph if path.endswith('-everything'))
draw = random.Random(1)
images = [plans.closure(graph, draw.sample(sorted(graph[root][1]), draw.choice([4, 6, 8]))) for _ in range(8)]
names = []
for i, image in enumerate(images):
    names.append('real%d' % i)
    with open(names[-1] + '.graph', 'w') as f:
        f.write(plans.unparse(image))
subprocess.run(['dt-fleet', '--max-layers', '60', *[n + '.graph' for n in names], '.'], check=True)
apart = [plans.plan(image, 'transfer', 60) for image in images]
fleet = [plans.read(n + '.plan') for n in names]
numbers = [plans.held(graph, some, of) for of in (plans.sets, plans.chains) for some in (apart, fleet)]
print('# MB of sets: apart %.1f, fleet %.1f; of chains: apart %.1f, fleet %.1f' % tuple(n / 1e6 for n in numbers))
total = plans.size_of(graph, set().union(*images))
assert numbers[1] < 1.05 * total and numbers[3] < 0.8 * numbers[2]
for i, image in enumerate(images):
    by_set, by_chain = plans.judge(image, fleet[i])
    other = plans.judge(image, plans.plan(image, 'auto', 60))
    assert by_set < 1.5 * other[0] and by_chain < other[1], (by_set, by_chain, other)
END
ok 'a real fleet shares layers, and chains of layers' bash -c "cd '$T' && python3 real.py '$t_dir/golden/debian.graph'"
grep '^#' "$T/out"

cd "$T" || exit 1
mkdir plans
printf '%s\n' 'a 10 l' 'l 1000' 'x 5' >a.graph
printf '%s\n' 'b 20 l' 'l 1000' 'y 5' >b.graph
ok 'two images' dt-fleet --max-layers 2 a.graph ./b.graph plans
is 'the names of the plans' "$(paste -s -d ' ' out)" 'plans/a.plan plans/b.plan'
is 'what both have is a layer of its own' "$(paste -s -d '|' plans/a.plan) $(paste -s -d '|' plans/b.plan)" \
	'l|a x l|b y'
ok 'what a registry holds' dt-cost a.graph plans/a.plan b.graph plans/b.plan
is 'as a table' "$(tr -s ' ' <out | paste -s -d '|')" \
	'apart 2040 in 2 images|held 1040 in 3 layers that differ|bound 1040 with a layer for each path'
ok 'a graph on stdin' bash -c 'dt-cost a.graph plans/a.plan - plans/b.plan <b.graph'
ok 'a plan on stdin' bash -c 'dt-cost --format json a.graph plans/a.plan b.graph - <plans/b.plan'
is 'as JSON' "$(cat out)" '{"images":2,"layers":3,"apart":2040,"held":1040,"bound":1040}'
printf '%s\n' l 'a x l' >twice.plan
is 'a path in two layers of an image' "$(dt-cost --format json a.graph twice.plan b.graph plans/b.plan)" \
	'{"images":2,"layers":3,"apart":3040,"held":2040,"bound":1040}'
is 'nothing else is left in the directory' "$(find plans -type f -printf '%f\n' | sort | paste -s -d ' ')" 'a.plan b.plan'
printf '9 l\n' >weights
ok 'weights' dt-fleet --max-layers 1 --weights weights a.graph plans
is 'weights: the plan' "$(cat plans/a.plan)" 'a l x'

printf '%s\n' 'b 20 l' 'l 1001' >c.graph
printf 'b l\n' >c.plan
fails 1 '^dt-fleet: c\.graph: l differs from that of another image$' 'images that disagree' \
	dt-fleet a.graph c.graph plans
fails 1 '^dt-cost: c\.graph: l differs from that of another image$' 'images that disagree about their costs' \
	dt-cost a.graph plans/a.plan c.graph c.plan
fails 1 '^dt-cost: c\.plan:1: b is not in the graph$' 'a path that only another graph has' \
	dt-cost b.graph plans/b.plan a.graph c.plan
fails 1 '^dt-fleet: none: No such file or directory$' 'no such graph' dt-fleet none plans
fails 1 '^dt-fleet: none/a.plan: No such file or directory$' 'no such directory' dt-fleet a.graph none
mkdir other
cp a.graph other
fails 2 "two graphs would have the plan 'plans/a\.plan'" 'two graphs of one name' \
	dt-fleet a.graph other/a.graph plans
fails 2 "'-': a graph without a name for its plan" 'stdin has no name' dt-fleet a.graph - plans
for args in '' 'a.graph' '--max-layers 0 a.graph plans' '--cost a.graph plans' '--weights'; do
	# shellcheck disable=SC2086 # words
	fails 2 "^dt-fleet: .*--help'\$" "dt-fleet $args" dt-fleet $args
done

finish
