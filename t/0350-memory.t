#!/usr/bin/env bash
# Tools need little memory for 50,000 store paths and for large files. All paths are in what they write.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `ok` runs the functions
. "$(dirname "$0")/lib.sh"
need python3 openssl /usr/bin/time

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

# measured INPUT OUTPUT COMMAND...: runs the command. $T/memory is the most memory that it had resident, in KiB.
measured() { /usr/bin/time -q -f %M -o "$T/memory" "${@:3}" <"$1" >"$2"; }
little() { is "$1: in 64 MiB ($(cat "$T/memory") KiB)" "$([ "$(cat "$T/memory")" -lt "$(memory_limit)" ] && echo yes)" yes; }

for strategy in popularity transfer; do
	ok "dt-popularity --strategy $strategy" measured "$T/graph" "$T/plan" dt-popularity --strategy "$strategy" --max-layers 98
	little "dt-popularity --strategy $strategy"
	same "dt-popularity --strategy $strategy: all paths are in the plan" <(tr ' ' '\n' <"$T/plan" | sort) <(cut -d ' ' -f 1 "$T/graph" | sort)
done

ok 'dt-layer' measured "$T/plan" "$T/layers" dt-layer --no-cache --store "$T/s"
little 'dt-layer'
ok 'dt-layer: an image' on "$T/layers" dt-manifest --name x --verify
dt-flatten "$T/out" | tar -t | sed -n 's,^\(nix/store/.*[^/]\)$,/\1,p' | sort >"$T/got"
cut -d ' ' -f 1 "$T/graph" | sort >"$T/want"
same 'dt-layer: all paths are in the layers' "$T/got" "$T/want"

dt-manifest --name x <"$T/layers" >"$T/image"
ok 'dt-inspect --sizes' measured "$T/image" "$T/sizes" dt-inspect --sizes
little 'dt-inspect --sizes'
same 'dt-inspect --sizes: all paths are in the object' <(grep -oE '"/nix/store/[^"]*"' "$T/sizes" | tr -d '"' | sort -u) "$T/want"

ok 'dt-nixdb' measured "$T/graph" "$T/db" dt-nixdb --no-cache --store "$T/s"
little 'dt-nixdb'
dt-closure --db "$T/db" <"$T/want" >"$T/got"
same 'dt-nixdb: the graph is that of the database' <(sort "$T/got") <(sort "$T/graph")

ok 'dt-nixdb --tree' measured "$T/graph" "$T/out" dt-nixdb --no-cache --store "$T/s" --tree "$T/tree"
little 'dt-nixdb --tree'
same 'dt-nixdb --tree: the same database' "$T/tree/nix/var/nix/db/db.sqlite" "$T/db"

# --- large files ---

large=$(store_path large)
mkdir "$T/s$large"
truncate -s 150M "$T/s$large/sparse"
echo "$large $((157286400 + 280))" >"$T/graph"
ok 'dt-nixdb: 150 MB' measured "$T/graph" "$T/db" dt-nixdb --no-cache --store "$T/s"
little 'dt-nixdb: 150 MB'

gigabyte() { # a tenth cannot be compressed
	python3 -c 'import sys, tarfile
info = tarfile.TarInfo("file")
info.size = 1000 << 20
sys.stdout.buffer.write(info.tobuf())'
	openssl enc -aes-128-ctr -K 0 -iv 0 -nosalt -in <(head -c $((100 << 20)) /dev/zero) 2>/dev/null
	head -c $(((900 << 20) + 1024)) /dev/zero
}
for format in gz zstd; do
	ok "dt-compress: 1 GB, $format" measured <(gigabyte) "$T/out" dt-compress --format "$format"
	little "dt-compress: 1 GB, $format"
done

finish
