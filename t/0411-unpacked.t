#!/usr/bin/env bash
# How much an image may unpack to: a blob is unpacked once, and --max-unpacked bounds the sum.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `fails` runs functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 unshare gzip zstd jq

mkdir "$T/tree" "$T/mine"
truncate -s 30M "$T/tree/zeroes"
echo mine >"$T/mine/mine"
dt-root --raw --tree "$T/tree" >"$T/layer.tar"
dt-root --tree "$T/mine" >"$T/layers"
size=$(stat -c %s "$T/layer.tar")

# image TIMES [--copies]: an archive that lists the compressed layer this often, as one member or as copies.
image() {
	/usr/bin/python3 - "$T/layer.tar" "$@" <<'END_PYTHON'
import filetar, gzip, hashlib, json, sys
data = open(sys.argv[1], 'rb').read()
n, copies = int(sys.argv[2]), '--copies' in sys.argv
packed = gzip.compress(data, mtime=0)
files = {f'{i if copies else 0}/layer.tar': packed for i in range(n)}
names = list(files) if copies else list(files) * n
files['c.json'] = json.dumps({'architecture': 'amd64', 'os': 'linux', 'rootfs': {
    'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(data).hexdigest()] * n}}).encode()
files['manifest.json'] = json.dumps([{'Config': 'c.json', 'RepoTags': ['a:b'], 'Layers': names}]).encode()
filetar.write(sys.stdout.buffer, files)
END_PYTHON
}

# in_small MIB COMMAND...: with a TMPDIR that holds no more than this.
in_small() {
	local mib=$1
	shift
	# shellcheck disable=SC2016 # for the inner shell
	unshare -rm sh -c 'mount -t tmpfs -o "size=$1M" tmpfs /mnt && shift && TMPDIR=/mnt exec "$@"' sh "$mib" "$@"
}
image 40 >"$T/forty.tar"
image 40 --copies >"$T/copies.tar"
image 1 >"$T/one.tar"

# --- once ---

ok 'a layer that is listed once, in the space of one' in_small 35 dt-flatten "$T/one.tar"
cp "$T/out" "$T/flat"
ok 'a layer that is listed 40 times, in the space of one' in_small 35 dt-flatten "$T/forty.tar"
same 'the same files' "$T/out" "$T/flat"
ok 'the same by --no-verify' in_small 35 dt-flatten --no-verify "$T/forty.tar"
fails 1 'No space left on device$' '40 copies do not fit' in_small 35 dt-flatten "$T/copies.tar"
ok 'dt-root --from, in the space of one' in_small 35 dt-root --tree "$T/mine" --from "$T/forty.tar"
ok 'dt-inspect, in no space' in_small 1 dt-inspect "$T/forty.tar"
from() { on "$T/layers" in_small 35 dt-manifest --name x --from "$T/forty.tar"; }
ok 'dt-manifest --from, in the space of one' from
is 'all are listed' "$(on "$T/out" dt-inspect | jq '.layers | length')" 41
ok 'dt-merge, in the space of one' in_small 35 dt-merge "$T/forty.tar" "$T/one.tar"

# One blob, listed for two digests.
/usr/bin/python3 - "$T/forty.tar" "$T/wrong.tar" <<'END'
import re, sys
data = open(sys.argv[1], 'rb').read()
hexes = [m.start() for m in re.finditer(rb'sha256:[0-9a-f]{64}', data)]
at = hexes[20] + 7
open(sys.argv[2], 'wb').write(data[:at] + b'0' * 64 + data[at + 64:])
import re, sys
data = open(sys.argv[1], 'rb').read()
hexes = [m.start() for m in re.finditer(rb'sha256:[0-9a-f]{64}', data)]
at = hexes[20] + 7
open(sys.argv[2], 'wb').write(data[:at] + b'0' * 64 + data[at + 64:])
END
fails 1 '^dt-flatten: .*/wrong.tar: layer 21 has the digest [0-9a-f]{64}, not its diff_id 0{64}$' \
	'a blob that is listed with two digests' dt-flatten "$T/wrong.tar"
ok 'it is not compared with --no-verify' dt-flatten --no-verify "$T/wrong.tar"

# --- the sum ---

too_much() { # DESCRIPTION LIMIT COMMAND...
	local what=$1 limit=$2
	shift 2
	fails 1 "^dt-[a-z]*: .*: more than $limit to unpack in all; --max-unpacked sets the limit\$" "$what" "$@"
}
ok 'the limit is just met' dt-flatten --max-unpacked "$size" "$T/forty.tar"
too_much 'a byte more' "$((size - 1))" dt-flatten --max-unpacked "$((size - 1))" "$T/forty.tar"
too_much 'the sum of all layers' 1G dt-flatten --max-unpacked 1024M "$T/copies.tar"
is 'the message names the layer' "$(grep -c 'copies.tar: layer 3[0-9]' "$T/err")" 1
ok 'the sum of all layers, just met' dt-flatten --no-verify --max-unpacked $((40 * size)) "$T/copies.tar"
too_much 'dt-root --from' 29M dt-root --tree "$T/mine" --from "$T/one.tar" --max-unpacked 29M
from() { on "$T/layers" dt-manifest --name x --from "$T/one.tar" "$@"; }
too_much 'dt-manifest --from' 29M from --max-unpacked 29M
merge() { dt-merge "$@" "$T/one.tar" "$T/one.tar.gz"; }
gzip -c "$T/one.tar" >"$T/one.tar.gz"
unpacked=$((size + $(stat -c %s "$T/one.tar")))
ok 'dt-merge, just met' merge --max-unpacked "$unpacked"
too_much 'dt-merge' "$((unpacked - 1))" merge --max-unpacked "$((unpacked - 1))"
too_much 'a compressed archive counts' 1K dt-flatten --max-unpacked 1K "$T/one.tar.gz"
zstd -q "$T/layer.tar"
too_much 'dt-root --tar' 29M dt-root --tar "$T/layer.tar.zst" --max-unpacked 29M
vmrun() {
	local status=0
	on "$T/one.tar" dt-vmrun --backend userns --max-unpacked 29M "$T/script" || status=$?
	[ "$status" -ne 125 ] || return 1
	return "$status"
}
echo : >"$T/script"
too_much 'dt-vmrun' 29M vmrun

# Layers that are not compressed need no space, and do not count.
/usr/bin/python3 - "$T/one.tar" "$T/plain.tar" "$T/layer.tar" <<'END'
import io, sys, tarfile
source, out = tarfile.open(sys.argv[1]), tarfile.open(sys.argv[2], 'w')
for member in source:
    data = source.extractfile(member).read()
    if member.name.endswith('layer.tar'):
        data = open(sys.argv[3], 'rb').read()
    member.size = len(data)
    out.addfile(member, io.BytesIO(data))
out.close()
END
ok 'a layer that is not compressed does not count' in_small 1 dt-flatten --max-unpacked 1 "$T/plain.tar"
same 'and gives the same' "$T/out" "$T/flat"

# The holes of a sparse file count, since they are written to the output.
truncate -s 64M "$T/sparse"
tar -C "$T" -S --format=gnu -cf "$T/sparse.tar" sparse
too_much 'the holes of a sparse file' 63M dt-root --tar "$T/sparse.tar" --max-unpacked 63M
ok 'the holes of a sparse file, just met' dt-root --tar "$T/sparse.tar" --max-unpacked 64M

# --- the option ---

for value in '' 0 K -1 1k 1.5G 1P 16777216T ' 1' 1KB; do
	fails 2 "^dt-flatten: --max-unpacked takes a size in bytes, which K, M, G or T may follow, not '$value'" \
		"--max-unpacked '$value'" dt-flatten --max-unpacked "$value" "$T/one.tar"
done
for value in $((31 << 20)) 31744K 31M 1G 1T 16777215T; do
	ok "--max-unpacked $value" dt-flatten --max-unpacked "$value" "$T/one.tar"
done

finish
