#!/usr/bin/env bash
# What dt-manifest writes, it reads: the limit of documents holds for writing, too.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `fails` runs functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 jq

history_of() { (
	set -o pipefail
	dt-inspect "$1" | jq -r '.image.history[].comment'
); }
LIMIT=4194304

# --- 70,000 store paths, in 100 layers ---

/usr/bin/python3 - "$T" <<'END'
import os, sys
digits = '0123456789abcdfghijklmnpqrsvwxyz'
def name(i):
    return ''.join(digits[i >> 5 * k & 31] for k in range(32)) + f'-a-store-path-{i:05}'
os.makedirs(sys.argv[1] + '/nix/store')
paths = [f'/nix/store/{name(i)}' for i in range(70000)]
for path in paths:
    os.mkdir(sys.argv[1] + path)
with open(sys.argv[1] + '/plan', 'w') as out:
    for i in range(100):
        print(' '.join(paths[i * 700:(i + 1) * 700]), file=out)
END
ok '70,000 store paths: dt-layer' on "$T/plan" dt-layer --store "$T"
cp "$T/out" "$T/layers"
ok '70,000 store paths: dt-manifest' on "$T/layers" dt-manifest --name x --tag t
cp "$T/out" "$T/image"
ok '70,000 store paths: it is read again' history_of "$T/image"
is 'each comment counts the others' "$(/usr/bin/python3 - "$T/plan" "$T/out" <<'END'
import re, sys
for line, comment in zip(open(sys.argv[1]), open(sys.argv[2])):
    paths = line.split()
    listed = re.findall("'([^']*)'", comment)
    kept = "', '".join(listed)
    if comment != f"store paths: ['{kept}', and {len(paths) - len(listed)} more]\n" or listed != paths[:len(listed)] or len(comment) > 33000:
        print(comment[-200:])
END
)" ''
mkdir "$T/tree"
dt-root --tree "$T/tree" >"$T/one"
ok 'it is a base image' on "$T/one" dt-manifest --name y --from "$T/image"
head -n 50 "$T/plan" >"$T/half"
on "$T/half" dt-layer --store "$T" >"$T/layers"
on "$T/layers" dt-manifest --name x >"$T/image"
is 'what fits stays complete' "$(history_of "$T/image" | sha256sum)" \
	"$(sed "s/ /', '/g; s/^/store paths: ['/; s/\$/']/" "$T/half" | sha256sum)"
rm -rf "$T/nix"

# --- comments ---

# layers COMMENT N: this many different layers, the comment of each with its number behind it
layers() {
	local i
	mkdir -p "$T/tree"
	for ((i = 0; i < $2; i++)); do
		echo "$i" >"$T/tree/file"
		dt-root --tree "$T/tree" --comment "$1$i"
	done
}
text=$(head -c 120000 /dev/zero | tr '\0' x)
layers "$text" 40 >"$T/long"
says="the image's configuration would have [0-9]+ bytes, but dt, podman and skopeo read at most $LIMIT; shorten --config or the layers' --comment"
fails 1 "^dt-manifest: $says\$" '40 comments of 120 KB that are no lists' on "$T/long" dt-manifest --name x
is 'no end of archive, no document' "$(ended "$T/out"):$(grep -ac manifest.json "$T/out")" no:0
layers "$text" 30 >"$T/long"
ok '30 of them' on "$T/long" dt-manifest --name x
cp "$T/out" "$T/image"
is 'are written as they are' "$(history_of "$T/image" | sha256sum)" "$(for i in {0..29}; do echo "$text$i"; done | sha256sum)"
layers "$text" 10 >"$T/more"
fails 1 "^dt-manifest: $says\$" 'ten more on top of a base image' on "$T/more" dt-manifest --name x --from "$T/image"
{ cat "$T/image"; cat "$T/more"; } >"$T/both"
fails 1 "^dt-manifest: $says\$" 'ten more on top of an image in front of them' on "$T/both" dt-manifest --name x

# Exactly the limit.
layers '' 1 >"$T/one"
on "$T/one" dt-manifest --name x --config <(echo '{"Cmd": ["x"]}') >"$T/image"
config() { echo "{\"Cmd\": [\"$(head -c "$1" /dev/zero | tr '\0' x)\"]}"; }
config_size() { tar -xOf "$1" manifest.json | jq -r '.[0].Config' | xargs tar -xOf "$1" | wc -c; }
fill=$((LIMIT - $(config_size "$T/image") + 1))
config "$((fill - 1))" >"$T/config"
ok 'a configuration below the limit of what is read' on "$T/one" dt-manifest --name x --config "$T/config"
config "$fill" >"$T/config"
ok 'a configuration of the limit' on "$T/one" dt-manifest --name x --config "$T/config"
cp "$T/out" "$T/image"
is 'it has the limit' "$(config_size "$T/image")" "$LIMIT"
ok 'it is read again' dt-inspect "$T/image"
config "$((fill + 1))" >"$T/config"
fails 1 "^dt-manifest: $says\$" 'a byte more' on "$T/one" dt-manifest --name x --config "$T/config"

# Another tool's image has a comment that is longer than a header of tar may be.
/usr/bin/python3 - "$T/one" "$T/foreign.tar" <<'END'
import hashlib, io, json, sys, tarfile
source = tarfile.open(sys.argv[1])
layer = source.extractfile(source.next()).read()
config = json.dumps({'architecture': 'amd64', 'os': 'linux', 'history': [{'comment': 'x' * (3 << 20)}], 'rootfs': {
    'type': 'layers', 'diff_ids': ['sha256:' + hashlib.sha256(layer).hexdigest()]}}).encode()
manifest = json.dumps([{'Config': 'c.json', 'RepoTags': None, 'Layers': ['l.tar']}]).encode()
out = tarfile.open(sys.argv[2], 'w')
for name, data in ('l.tar', layer), ('c.json', config), ('manifest.json', manifest):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    out.addfile(info, io.BytesIO(data))
out.close()
END
layers '' 2 >"$T/two"
ok 'a base image with a comment of 3 MiB' on "$T/two" dt-manifest --name x --from "$T/foreign.tar"
cp "$T/out" "$T/image"
ok 'it is read again' history_of "$T/image"
is 'its comment is complete' "$(head -n 1 "$T/out" | wc -c)" $(((3 << 20) + 1))
ok 'and again as an image in front of layers' on "$T/image" dt-manifest --name x

# --- merged ---

/usr/bin/python3 - "$T" <<'END'
import filetar, hashlib, json, sys
layer = bytes(1024)
diff_id = 'sha256:' + hashlib.sha256(layer).hexdigest()
for part in range(3):
    files, images = {'l.tar': layer}, []
    for i in range(1500):
        files[f'{i}.json'] = json.dumps({'architecture': 'amd64', 'os': 'linux', 'comment': f'{part} {i}', 'rootfs': {
            'type': 'layers', 'diff_ids': [diff_id]}}).encode()
        images.append({'Config': f'{i}.json', 'RepoTags': None, 'Layers': ['l.tar']})
    files['manifest.json'] = json.dumps(images).encode()
    with open(f'{sys.argv[1]}/many{part}.tar', 'wb') as out:
        filetar.write(out, files)
END
ok '3,000 images' dt-merge "$T/many0.tar" "$T/many1.tar"
cp "$T/out" "$T/image"
ok 'are read again' dt-merge "$T/image"
fails 1 '^dt-merge: 4500 images, but dt reads at most 4096; merge fewer of them$' '4,500 images' \
	dt-merge "$T/many0.tar" "$T/many1.tar" "$T/many2.tar"
is '4,500 images: no end of archive' "$(ended "$T/out")" no

finish
