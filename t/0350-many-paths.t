#!/usr/bin/env bash
# A store of 50,000 paths: dt-layer and dt-nixdb need little memory, and all paths are in what they write.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `ok` runs the functions
. "$(dirname "$0")/lib.sh"
need python3 /usr/bin/time

# Each path is a symlink, whose NAR has 120 bytes, and refers to up to five of those before it.
cat >"$T/store.py" <<'END'
import os, random, sys
r = random.Random(1)
names = ['/nix/store/%032d-p%d' % (r.getrandbits(96), i) for i in range(50000)]
os.makedirs(sys.argv[1] + '/nix/store')
for i, name in enumerate(names):
    os.symlink('x', sys.argv[1] + name)
    refs = {max(0, i - 1 - int(r.expovariate(1 / 30))) for _ in range(r.choice([0, 1, 2, 5]) if i else 0)}
    print(name, 120, *sorted(names[k] for k in refs))
END
python3 "$T/store.py" "$T/s" >"$T/graph"
dt-popularity --max-layers 98 <"$T/graph" >"$T/plan"

# measured INPUT OUTPUT COMMAND...: runs the command. $T/memory is the most memory that it had resident, in KiB.
measured() { /usr/bin/time -q -f %M -o "$T/memory" "${@:3}" <"$1" >"$2"; }
little() { is "$1: in 64 MiB ($(cat "$T/memory") KiB)" "$([ "$(cat "$T/memory")" -lt "$(memory_limit)" ] && echo yes)" yes; }

ok 'dt-layer' measured "$T/plan" "$T/layers" dt-layer --no-cache --store "$T/s"
little 'dt-layer'
ok 'dt-layer: an image' on "$T/layers" dt-manifest --name x --verify
dt-flatten "$T/out" | tar -t | sed -n 's,^\(nix/store/.*[^/]\)$,/\1,p' | sort >"$T/got"
cut -d ' ' -f 1 "$T/graph" | sort >"$T/want"
same 'dt-layer: all paths are in the layers' "$T/got" "$T/want"

ok 'dt-nixdb' measured "$T/graph" "$T/db" dt-nixdb --no-cache --store "$T/s"
little 'dt-nixdb'
dt-closure --db "$T/db" <"$T/want" >"$T/got"
same 'dt-nixdb: the graph is that of the database' <(sort "$T/got") <(sort "$T/graph")

ok 'dt-nixdb --tree' measured "$T/graph" "$T/out" dt-nixdb --no-cache --store "$T/s" --tree "$T/tree"
little 'dt-nixdb --tree'
same 'dt-nixdb --tree: the same database' "$T/tree/nix/var/nix/db/db.sqlite" "$T/db"

finish
