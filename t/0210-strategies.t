#!/usr/bin/env bash
# dt-popularity: nixpkgs' other ways to plan, --strategy auto and --pipeline.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need python3 shuf

# nixpkgs' answers, computed with its own programs; auto-layer once more, in short.
cat >"$T/golden.py" <<'END'
import json, random, subprocess, sys

def text(graph, exclude=()):
    return ''.join(' '.join([n['path'], str(n['narSize'])] + [
        r for r in n['references'] if r not in exclude]) + '\n'
        for n in graph if n['path'] not in exclude)

def tool(graph, *args):
    p = subprocess.run(['dt-popularity', *args], input=graph, text=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    return p.returncode, [line.split() for line in p.stdout.splitlines()], p.stderr

def as_sets(plan):
    return sorted(sorted(layer) for layer in plan)

def auto_layer(graph, limit):
    nodes = {n['path']: set(n['references']) - {n['path']} for n in graph}
    size = {n['path']: n['narSize'] for n in graph}
    below = {}
    def closure(v):
        if v not in below:
            below[v] = {v}.union(*map(closure, nodes[v]))
        return below[v]
    order = sorted(nodes, key=lambda v: (size[v], v), reverse=True)
    split = {v: frozenset() for v in nodes}
    for k in range(1, len(order) + 1):
        top = order[:k]
        new = {}
        for v in nodes:
            above = {p for p in top if v in closure(p)}
            new[v] = frozenset({v}) if v in top else frozenset(
                p for p in above
                if not any(q != p and q in closure(p) for q in above))
        if len(set(new.values())) > limit:
            break
        split = new
    layers = {}
    for v, key in split.items():
        layers.setdefault(key, []).append(v)
    layers = [sorted(l, key=lambda v: (v.partition('-')[2], v)) for l in layers.values()]
    layers.sort(key=lambda l: (sum(size[v] for v in set().union(*map(closure, l))), min(l)))
    return layers

def dag(r):
    n = r.randint(1, 80)
    names = ['%04x-%s' % (r.randrange(65536), r.choice('abc') + str(i)) for i in range(n)]
    return [{'path': v, 'narSize': r.choice([0, 1, 10, 10, 100, r.randrange(1000)]),
             'references': r.sample(names[:i + 1], r.randint(0, min(i, r.choice([1, 3, 9]))))}
            for i, v in enumerate(names)]

mode, file = sys.argv[1:]
if mode == 'auto':
    for i, case in enumerate(json.load(open(file))):
        got = tool(text(case['graph']), '--strategy', 'auto', '--max-layers',
                   str(max(case['limit'], 1)))
        if as_sets(got[1]) not in map(as_sets, case['auto_layer']):
            sys.exit('closure %d differs: %s' % (i, got))
elif mode == 'random':
    for seed in range(int(file)):
        r = random.Random(seed)
        graph, limit = dag(r), r.choice([1, 2, 3, 5, 8, 20, 100])
        want = auto_layer(graph, limit)
        r.shuffle(graph)
        got = tool(text(graph), '--strategy', 'auto', '--max-layers', str(limit))
        if got[1] != want:
            sys.exit('seed %d differs: %s\n%s' % (seed, got, want))
elif mode == 'pipeline':
    for i, case in enumerate(json.load(open(file))):
        given, want = case['input'], case['expect']
        with open('pipeline', 'w') as f:
            json.dump(given['pipeline'], f)
        got = tool(text(given['graph'], given.get('exclude_paths', ())),
                   '--pipeline', 'pipeline')
        if 'error' in want if isinstance(want, dict) else False:
            if got[0] != 1 or got[1] or got[2].count('\n') != 1:
                sys.exit('input %d: no error but %s' % (i, got))
        elif got[:2] != (0, want):
            sys.exit('input %d: %s' % (i, got))
END
# shellcheck disable=SC2317 # called through ok
golden() { (cd "$T" && python3 golden.py "$@"); }

ok "auto: nixpkgs' layers for all its closures" golden auto "$t_dir/golden/random-closures.json"
ok 'auto: the same layers, in the same order, by its definition' golden random 300
ok "pipeline: nixpkgs' answers" golden pipeline "$t_dir/golden/layering-pipelines.json"

# G: a graph with shared and single parts. Sizes give the order in which paths are listed.
printf '%s\n' 'R 5 A B' 'A 50 C L' 'B 3 C L' 'C 20 L' 'L 100' 'Z 7 L' >"$T/graph"

# pipes DESCRIPTION PLAN PIPELINE: the plan, "|" between layers.
pipes() {
	local status=0
	printf '%s\n' "$3" >"$T/pipeline"
	dt-popularity --pipeline "$T/pipeline" <"$T/graph" >"$T/out" 2>"$T/err" || status=$?
	is "$1" "$status:$(tr '\n' '|' <"$T/out")$(cat "$T/err")" "0:$2|"
}

# stops REGEX DESCRIPTION PIPELINE: an error that names the file, and no plan.
# shellcheck disable=SC2317 # called through fails
pipeline_file() { dt-popularity --pipeline "$T/pipeline" <"$T/graph"; }
stops() {
	printf '%s\n' "$3" >"$T/pipeline"
	fails 1 "^dt-popularity: $T/pipeline: $1\$" "$2" pipeline_file
	is "$2: no plan" "$(wc -c <"$T/out")" 0
}

pipes 'popularity_contest' 'L|C|A|B|R|Z' '[["popularity_contest"]]'
pipes 'limit_layers' 'L|C A B R Z' '[["popularity_contest"],["limit_layers",2]]'
pipes 'limit_layers 1' 'L C A B R Z' '[["popularity_contest"],["limit_layers",1]]'
pipes 'limit_layers of more than there are' 'B R Z|C A L' '[["split_every",3],["limit_layers",9]]'
pipes 'reverse' 'A L|Z C|B R' '[["split_every",2],["reverse"]]'
pipes 'split_every of more than there are' 'B R Z C A L' '[["split_every",99]]'
pipes 'remove_paths, one' 'B R Z C A' '[["remove_paths","L"],["split_every",9]]'
pipes 'remove_paths, some, and one that is not there' 'B Z C A' \
	'[["remove_paths",["L","R","none"]],["split_every",9]]'
pipes 'subcomponent_in' 'B R C A|Z L' '[["subcomponent_in",["C"]]]'
pipes 'subcomponent_out of two' 'Z C L|B R A' '[["subcomponent_out",["C","Z"]]]'
pipes 'subcomponent_out of nothing' 'B R Z C A L' '[["subcomponent_out",["none"]]]'
pipes 'split_paths: two' 'C A|L|B R Z' '[["split_paths",["A","C"]]]'
pipes 'split_paths: the children of a path' 'B C A|L|R Z' '[["split_paths",[{"children_of":"R"}]]]'
pipes 'split_paths: the children of two' 'B C A|L|R Z' \
	'[["split_paths",[{"children_of":["R","none"]}]]]'
pipes 'split_paths: one of two roots' 'B R C A|L|Z' '[["split_paths",["R"]]]'
pipes 'split_paths: both roots' 'B R Z C A L' '[["split_paths",["R","Z"]]]'
pipes 'split_paths cuts references' 'C|L|A|B|R|Z' \
	'[["split_paths",["C"]],["over","rest",["popularity_contest"]]]'
pipes 'over, map and pipe' 'C|L|B|R|Z|A' \
	'[["split_paths",["C"]],["over","rest",["pipe",[["split_every",2],["map",["split_every",1]]]]]]'
pipes 'flatten makes a list of parts' 'A|C L|B R Z' \
	'[["split_paths",["A"]],["flatten"],["pipe",[]]]'
pipes 'a merged graph keeps its references' 'L|C|A|B|R|Z' \
	'[["split_every",9],["limit_layers",1],["map",["popularity_contest"]]]'
pipes 'but no reference between what was apart' 'A|B|C|L|R|Z' \
	'[["split_every",1],["limit_layers",1],["map",["popularity_contest"]]]'

stops 'the result is a graph, not a list of layers; .*' 'an empty pipeline' '[]'
stops 'the result is a graph, .*' 'a lone graph' '[["remove_paths","L"]]'
stops 'no path is left for a layer' 'nothing is left' \
	'[["remove_paths",["R","A","B","C","L","Z"]],["split_every",1]]'
stops "operation 2: over: there is no part 'main'" 'a part that is not there' \
	'[["split_paths",["none"]],["over","main",["popularity_contest"]]]'
stops "operation 1: over: needs the parts main, common and rest, not a graph" 'over a graph' \
	'[["over","main",["popularity_contest"]]]'
stops 'operation 2: limit_layers: needs a list, not the parts main, common and rest' \
	'limit_layers of parts' '[["split_paths",["C"]],["limit_layers",2]]'
stops "operation 3: limit_layers: can merge only graphs: 'flatten' comes first" \
	'limit_layers of lists' '[["split_every",3],["map",["split_every",1]],["limit_layers",1]]'
stops 'operation 1: pipe: operation 4: map: popularity_contest: needs a graph, not a list' \
	'an error within' \
	'[["pipe",[["split_every",1],["map",["popularity_contest"]],["map",["reverse"]],["map",["popularity_contest"]]]]]'
stops 'operation 1: flatten: needs a list or parts, not a graph' 'flatten a graph' '[["flatten"]]'
stops 'operation 1: reverse: needs a list, not a graph' 'reverse a graph' '[["reverse"]]'
stops 'operation 1: map: needs a list, not a graph' 'map over a graph' '[["map",["split_every",1]]]'
stops "operation 1: there is no operation 'split'" 'an unknown operation' '[["split",1]]'
stops "operation 1: map: there is no operation 'split'" 'an unknown one within' '[["map",["split"]]]'
stops 'operation 1: an operation is a list that starts with its name' 'no operation' '["reverse"]'
stops 'operation 1: an operation is a list that starts with its name' 'an empty one' '[[]]'
stops 'a pipeline is a list of operations' 'an object' '{"pipeline":[]}'
stops 'operation 1: pipe: a pipeline is a list of operations' 'no list within' '[["pipe","reverse"]]'
stops 'operation 1: reverse: takes 0 arguments, not 1' 'too many arguments' '[["reverse",1]]'
stops 'operation 1: split_every: takes 1 argument, not 0' 'too few arguments' '[["split_every"]]'
for n in 0 -1 1.5 '"1"' null; do
	stops 'operation 1: split_every: takes a number from 1' "the number $n" "[[\"split_every\",$n]]"
done
stops 'operation 1: subcomponent_in: takes a list of paths' 'a path for a list' \
	'[["subcomponent_in","C"]]'
stops 'operation 1: remove_paths: takes a list of paths' 'a number for a path' \
	'[["remove_paths",["C",1]]]'
stops 'operation 1: split_paths: takes a list' 'a path for a list of them' '[["split_paths","C"]]'
stops 'operation 1: split_paths: takes a list of paths and of .*' 'another object' \
	'[["split_paths",[{"parents_of":"C"}]]]'
stops 'operation 1: split_paths: children_of takes a path or a list of them' 'children of 1' \
	'[["split_paths",[{"children_of":1}]]]'
stops "operation 1: over: takes 'main', 'common' or 'rest' and an operation" 'another part' \
	'[["over","other",["reverse"]]]'
deep=$(printf '["map",%.0s' {1..70})'["reverse"]'$(printf ']%.0s' {1..70})
stops '.*more than 64 operations within each other' 'operations too deep' "[$deep]"
printf '[["reverse"]\n' >"$T/pipeline"
fails 1 "^dt-popularity: $T/pipeline:2:0: not JSON: .*" 'no JSON' pipeline_file
fails 1 '^dt-popularity: .*/none: No such file or directory$' 'no such file' \
	bash -c "dt-popularity --pipeline $T/none <$T/graph"
fails 2 '--pipeline' 'a pipeline and a strategy' \
	dt-popularity --pipeline "$T/pipeline" --strategy auto
fails 2 '--pipeline' 'a pipeline and a limit' \
	dt-popularity --pipeline "$T/pipeline" --max-layers 3
printf 'a 1 b\nb 1 a\n' >"$T/graph"
printf '[["split_every",1]]\n' >"$T/pipeline"
fails 1 '^dt-popularity: .*the references form a cycle: .*' 'pipeline: a cycle' pipeline_file
fails 1 '^dt-popularity: stdin: the references form a cycle: .*' 'auto: a cycle' \
	bash -c "dt-popularity --strategy auto <$T/graph"

finish
