#!/usr/bin/env bash
# dt-inspect --sizes: the sums of Python's tarfile, for plain and compressed layers, thin archives, and entries of all kinds.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need bsdtar jq python3 tar

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
cd "$T" || exit 1

# sums.py IMAGE: the same document, except "blob", of an archive whose layers are not compressed.
cat >sums.py <<'END'
import collections, json, re, sys, tarfile

archive = tarfile.open(sys.argv[1])
image = json.load(archive.extractfile("manifest.json"))[0]
config = json.load(archive.extractfile(image["Config"]))
totals = collections.Counter(), collections.Counter()

def listed(sums):
    return [{"path": p, "files": sums[p]} for p in sorted(sums, key=str.encode)]

def layer(name, diff_id):
    directories, paths, member = collections.Counter(), collections.Counter(), archive.getmember(name)
    for m in tarfile.open(fileobj=archive.extractfile(name)):
        path, size = "/" + m.name.strip("./"), m.size if m.isreg() else 0
        if path == "/" or "/.wh." in path:
            continue
        store = re.match(r"/nix/store/[0-9a-z]{32}-[^/]+", path)
        for sums, key in (directories, "/" + path.split("/")[1]), (paths, store and store[0]):
            if key:
                sums[key] += size
    totals[0].update(directories)
    totals[1].update(paths)
    return {"diff_id": diff_id, "tar": member.size, "files": sum(directories.values()),
            "directories": listed(directories), "storePaths": listed(paths)}

layers = [layer(*both) for both in zip(image["Layers"], config["rootfs"]["diff_ids"])]
print(json.dumps({"repoTags": image["RepoTags"], "config": "sha256:" + image["Config"][-64:],
    "tar": sum(l["tar"] for l in layers), "files": sum(l["files"] for l in layers),
    "directories": listed(totals[0]), "storePaths": listed(totals[1]), "layers": layers}))
END
sums() { python3 sums.py "$1" | jq -S .; }
wrap() { "$t_dir/fixtures/wrap.py" "$@"; }
sizes() { dt-inspect --sizes "$@" | jq -S 'del(.blob, .layers[].blob)'; }

# --- a real image ---
mkdir -p tree/etc tree/bin
echo hello >tree/etc/motd
ln -s ../etc/motd tree/bin/link
dt-closure --store "$small" "$(root hello)" "$(root hard-links)" "$(root odd-names)" | dt-popularity --max-layers 5 |
	dt-layer --store "$small" >layers.tar
dt-root --tree tree >root.tar
cat layers.tar root.tar | dt-manifest --name sizes --tag 1 >image.tar
ok 'the sizes of an image' dt-inspect --sizes image.tar
is 'a line of JSON' "$(wc -l <out) $(jq -r type out)" '1 object'
is 'the sums are those of tarfile' "$(sizes image.tar)" "$(sums image.tar)"
is 'there are store paths and layers' "$(jq '(.storePaths | length > 5) and (.layers | length == 6)' out)" true
is 'the sums of the layers are those of the image' \
	"$(jq -c '[.tar, .blob, .files]' out)" "$(jq -c '[([.layers[].tar] | add), ([.layers[].blob] | add), ([.layers[].files] | add)]' out)"
is 'the sums of the directories are those of the layers' \
	"$(jq '[.directories[].files] | add' out)" "$(jq .files out)"
is 'on standard input, compressed as an archive' "$(gzip -1 <image.tar | dt-inspect --sizes)" "$(cat out)"
for format in gz zstd; do
	dt-compress --layers --format "$format" <image.tar >"$format.tar"
	is "$format: the sums do not change" "$(sizes "$format.tar" | jq 'del(.config)')" "$(sums image.tar | jq 'del(.config)')"
	is "$format: a blob has its size in the manifest" "$(dt-inspect --sizes "$format.tar" | jq -c '[.layers[].blob]')" \
		"$(dt-inspect "$format.tar" | jq -c '[.blobs[].size]')"
done

# --- thin archives ---
first=$(dt-inspect image.tar | jq -r '.layers[0]')
echo "$first" >only
dt-merge --only only image.tar >thin.tar
ok 'a thin archive' dt-inspect --sizes thin.tar
is 'its layer has all sizes' "$(jq -S '.layers[0]' out)" "$(dt-inspect --sizes image.tar | jq -S '.layers[0]')"
is 'absent layers have the sizes of their stubs, and no other' "$(jq -c '[.layers[1:][] | [.tar, .blob, .files, .directories, .storePaths]]' out)" \
	"$(dt-inspect --sizes image.tar | jq -c '[.layers[1:][] | [.tar, .tar, null, null, null]]')"
is 'the sum of the tars is known, that of the files is not' "$(jq -c '[.tar, .files]' out)" "[$(dt-inspect --sizes image.tar | jq .tar),null]"
dt-closure --store "$small" "$(root hello)" | dt-popularity --max-layers 2 | dt-layer --store "$small" --only /dev/null |
	dt-manifest --name stubs >stubs.tar
dt-closure --store "$small" "$(root hello)" | dt-popularity --max-layers 2 | dt-layer --store "$small" | dt-manifest --name stubs >full.tar
is 'an image of stubs' "$(dt-inspect --sizes stubs.tar | jq -c '[.tar, .layers[].tar]')" "$(dt-inspect --sizes full.tar | jq -c '[.tar, .layers[].tar]')"
bsdtar -cf thin.tar --exclude "$(dt-inspect gz.tar | jq -r '"blobs/" + (.blobs[-1].digest | sub(":"; "/"))')" @gz.tar
is 'of a compressed blob, only its own size is known' \
	"$(dt-inspect --sizes thin.tar | jq -c '.layers[-1] | [.tar, .blob == null, .files]')" '[null,false,null]'

# --- entries of all kinds ---
cat >odd.py <<'END'
import io, tarfile
import wrap

def member(tar, name, data=b"", **more):
    m = tarfile.TarInfo(name)
    m.size = len(data)
    for key, value in more.items():
        setattr(m, key, value)
    tar.addfile(m, io.BytesIO(data))

def layer(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name, data, more in entries:
            member(tar, name, data, **more)
    return out.getvalue()

store = "nix/store/0123456789abcdfghijklmnpqrsvwxyz-a"
layers = [
    layer((".", b"", {"type": tarfile.DIRTYPE}), ("./etc/a", b"12345", {}), ("./etc/../b", b"1", {}),
          (store + "/x", b"1234567", {}), ("/" + store + "/hard", b"", {"type": tarfile.LNKTYPE, "linkname": store + "/x"}),
          ("nix/store/.links/x", b"123", {}), ("home/user/store/0123456789abcdfghijklmnpqrsvwxyz-own/y", b"12", {}),
          ("nix/store/0123456789abcdfghijklmnpqrsvwxyy-link", b"", {"type": tarfile.SYMTYPE, "linkname": "x"}),
          (b"caf\xe9/x".decode("utf-8", "surrogateescape"), b"1234", {})),
    layer(("etc/.wh.a", b"", {}), (".wh.b", b"", {}), ("etc/a", b"123", {}), ("etc/a", b"1", {})),
    b"\0" * 10240,
]
wrap.wrap("odd.tar", layers)
END
python3 odd.py
ok "entries of all kinds, in Docker's old form" dt-inspect --sizes odd.tar
is 'directories and files at the root, and store paths' \
	"$(jq -c '.layers[0] | [.files, (.directories[] | [.path, .files]), (.storePaths[] | [.path, .files])]' out)" \
	'[22,["/b",1],["/caf\\351",4],["/etc",5],["/home",2],["/nix",10],["/home/user/store/0123456789abcdfghijklmnpqrsvwxyz-own",2],["/nix/store/0123456789abcdfghijklmnpqrsvwxyy-link",0],["/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a",7]]'
is 'whiteouts are left out; what they hide, and what a later entry replaces, counts' \
	"$(jq -c '.layers[1] | [.files, .directories, .storePaths]' out)" '[4,[{"path":"/etc","files":4}],[]]'
is 'an empty layer' "$(jq -c '.layers[2] | [.tar, .files, .directories, .storePaths]' out)" '[10240,0,[],[]]'
is 'the image' "$(jq -c '[.files, (.directories[] | select(.path == "/etc").files)]' out)" '[26,9]'
mkdir sparse
truncate -s 3000000 sparse/file
tar --sparse --format=posix -C sparse -cf sparse.layer file
wrap sparse.tar sparse.layer
is 'a sparse file counts with its holes' "$(dt-inspect --sizes sparse.tar | jq -c '[.files, .tar < 20000]')" '[3000000,true]'
wrap twice.tar sparse.layer sparse.layer
is 'a layer that is listed twice counts twice' "$(dt-inspect --sizes twice.tar | jq -c '[.files, (.layers | length)]')" '[6000000,2]'

# --- other images and errors ---
dt-merge image.tar full.tar >both.tar
is '--all' "$(dt-inspect --sizes --all both.tar)" "$(dt-inspect --sizes image.tar; dt-inspect --sizes full.tar)"
is '--from-name' "$(dt-inspect --sizes --from-name stubs both.tar)" "$(dt-inspect --sizes full.tar)"
tar -xOf layers.tar "blobs/sha256/${first#sha256:}" | head -c 50000 >part
wrap part.tar part
fails 1 '^dt-inspect: part.tar: layer 1: ' 'a truncated layer' dt-inspect --sizes part.tar
is '... and nothing is printed' "$(cat out)" ''
python3 - <<'END'
import tarfile
with tarfile.open("many.layer", "w", format=tarfile.USTAR_FORMAT) as tar:
    for i in range(131100):
        tar.addfile(tarfile.TarInfo("%d" % i))
END
wrap many.tar many.layer
fails 1 'layer 1: more than 131072 store paths and names at the root$' 'too many names' dt-inspect --sizes many.tar
finish
