#!/usr/bin/env bash
# dt-compress --layers and --format oci: other programs read the output; bad input.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need jq skopeo umoci zstd gzip python3 taskset unshare openssl

judge() { "$t_dir/fixtures/layout.py" "$1"; }
flat() { dt-flatten <"$1"; }
suffix() { case $1 in gz) echo +gzip ;; *) echo +zstd ;; esac; }
copy() { skopeo copy -q --insecure-policy "$@"; }

# --- an image: small layers, a large one, one that occurs twice ---

mkdir -p "$T"/{a/etc,b/opt,c/etc}
echo one >"$T/a/etc/one"
chmod 1777 "$T/a/etc"
openssl enc -aes-128-ctr -K 0 -iv 0 -nosalt -in <(head -c 5000000 /dev/zero) 2>/dev/null >"$T/b/opt/noise"
truncate -s 3M "$T/b/opt/zeroes"
ln "$T/b/opt/noise" "$T/b/opt/noise2"
ln -s noise "$T/b/opt/link"
rm -f "$T/c/etc/one"
echo two >"$T/c/etc/two"
for n in a b c; do dt-root --tree "$T/$n" --comment "layer $n" >"$T/$n.layer"; done
echo '{"Cmd": ["/x"], "Env": ["A=1"]}' >"$T/config"
cat "$T"/{a,b,c,a}.layer | dt-manifest --name x --tag 1 --arch amd64 --config "$T/config" >"$T/x.tar"
judge "$T/x.tar" >"$T/x.json"
flat "$T/x.tar" >"$T/x.flat"
is 'the image has four layers, three of which differ' \
	"$(jq -c '[.layers | length, (unique | length)]' "$T/x.json")" '[4,3]'

for format in gz zstd; do
	ok "$format: layers are compressed" on "$T/x.tar" dt-compress --layers --format "$format"
	cp "$T/out" "$T/x.$format"
	is "$format: nothing to say" "$(cat "$T/err")" ''
	ok "$format: an image archive by its documents" judge "$T/x.$format"
	cp "$T/out" "$T/x.$format.json"
	is "$format: the name, the ID and the diff_ids stay" "$(jq -c '[.name, .id, (.layers[] | .[2])]' "$T/out")" \
		"$(jq -c '[.name, .id, (.layers[] | .[2])]' "$T/x.json")"
	is "$format: the media types" "$(jq -r '.layers[][0]' "$T/out" | sort -u)" "$(suffix "$format")"
	tar -xOf "$T/x.tar" "blobs/sha256/$(jq -r '.layers[1][1]' "$T/x.json" | cut -d : -f 2)" |
		dt-compress --format "$format" | sha256sum >"$T/sum"
	is "$format: a layer is compressed as by dt-compress" "$(jq -r '.layers[1][1]' "$T/out")" "sha256:$(cut -c 1-64 "$T/sum")"
	is "$format: the archive ends" "$(ended "$T/x.$format")" yes
	same "$format: dt-flatten: the same files" <(flat "$T/x.$format") "$T/x.flat"
	is "$format: dt-inspect: the same image" "$(dt-inspect <"$T/x.$format" | jq 'del(.manifest, .blobs)')" \
		"$(dt-inspect <"$T/x.tar" | jq 'del(.manifest, .blobs)')"
	ok "$format: compressed again" on "$T/x.$format" dt-compress --layers --format gz
	same "$format: compressed layers stay as they are" "$T/out" "$T/x.$format"
	taskset -c "$(taskset -cp $$ | sed -E 's/.*: ([0-9]+).*/\1/')" dt-compress --layers --format "$format" <"$T/x.tar" >"$T/one"
	same "$format: on one core" "$T/one" "$T/x.$format"
	perl -e '$| = 1; while (read(STDIN, $x, 1 + ($n++ * 7919) % 50000)) { print $x }' <"$T/x.tar" |
		dt-compress --layers --format "$format" >"$T/pieces"
	same "$format: in pieces, through a pipe" "$T/pieces" "$T/x.$format"
	ok "$format: dt-manifest --from reads it" on "$T/c.layer" dt-manifest --from "$T/x.$format" --name y --tag 1
	cp "$T/out" "$T/on"
	on "$T/c.layer" dt-manifest --from "$T/x.tar" --name y --tag 1 >"$T/want"
	is "$format: dt-manifest --from: the same image" "$(judge "$T/on")" "$(judge "$T/want")"
	dt-merge "$T/x.$format" >"$T/merged"
	is "$format: dt-merge uncompresses it" "$(judge "$T/merged")" "$(judge "$T/x.tar")"
done
dt-compress --layers --level 12 <"$T/x.tar" >"$T/x.level"
is 'a level' "$(judge "$T/x.level" | jq -r '.layers[0][1]')" \
	"sha256:$(tar -xOf "$T/x.tar" "blobs/sha256/$(jq -r '.layers[0][2]' "$T/x.json" | cut -d : -f 2)" |
		dt-compress --level 12 | sha256sum | cut -c 1-64)"
echo 'cat /etc/two >/read; rm /etc/one' >"$T/script"
ok 'dt-vmrun runs a script on it' dt-vmrun --backend userns --from "$T/x.zstd" "$T/script"
cp "$T/out" "$T/ran"
dt-manifest --from "$T/x.zstd" --name y --tag 1 <"$T/ran" >"$T/y.tar"
is 'dt-vmrun: what the script read' "$(dt-flatten "$T/y.tar" | tar -xO read)" two

# --- --format oci ---

ok 'an OCI layout' on "$T/x.tar" dt-manifest --name x --tag 1 --format oci
cp "$T/out" "$T/x.oci"
is 'an OCI layout: without manifest.json' "$(tar -tf "$T/x.oci" | tail -n 2 | paste -sd ' ')" 'index.json oci-layout'
is 'an OCI layout: the rest is the same' "$(judge "$T/x.oci")" "$(cat "$T/x.json")"
ok '--format dt is the default' on "$T/x.tar" dt-manifest --name x --tag 1 --format dt
same '--format dt is the default: the same' "$T/out" "$T/x.tar"
fails 2 "^dt-manifest: --format takes dt or oci, not 'x'" 'no such format' dt-manifest --name x --format x
for format in gz zstd; do
	dt-compress --layers --format "$format" <"$T/x.oci" >"$T/oci.$format"
	is "$format: an OCI layout" "$(judge "$T/oci.$format")" "$(cat "$T/x.$format.json")"
	is "$format: an OCI layout: its lists" "$(tar -tf "$T/oci.$format" | tail -n 2 | paste -sd ' ')" 'index.json oci-layout'
	mkdir "$T/$format.dir"
	tar -C "$T/$format.dir" -xf "$T/oci.$format"
	for at in "oci-archive:$T/x.$format" "oci-archive:$T/oci.$format" "oci:$T/$format.dir:1"; do
		ok "$format: skopeo inspects ${at%%:*}" skopeo inspect "$at"
		is "$format: skopeo inspects ${at%%:*}: the layers" "$(jq -c .Layers "$T/out")" "$(jq -c '[.layers[][1]]' "$T/x.$format.json")"
	done
	rm -rf "$T/sk"
	ok "$format: skopeo copies the directory as it is" copy --preserve-digests "oci:$T/$format.dir:1" "oci:$T/sk:1"
	is "$format: skopeo: the same manifest" "$(jq -r '.manifests[].digest' "$T/sk/index.json")" "$(jq -r .manifest "$T/x.$format.json")"
	same "$format: dt-flatten reads what skopeo wrote" <(dt-flatten "$T/sk") "$T/x.flat"
	rm -f "$T/sk.tar"
	ok "$format: skopeo reads the half of Docker" copy "docker-archive:$T/x.$format" "docker-archive:$T/sk.tar:x:1"
	same "$format: skopeo reads the half of Docker: the files" <(flat "$T/sk.tar") "$T/x.flat"
	same "$format: dt-flatten reads the directory" <(dt-flatten "$T/$format.dir") "$T/x.flat"
done
listing() { (cd "$1" && find . -printf '%p|%y|%m|%s|%U:%G|%l|%n|%T@\n' | sort); }
mkdir "$T/plain.dir"
tar -C "$T/plain.dir" -xf "$T/x.oci"
for dir in plain gz; do
	ok "umoci unpacks it, $dir" umoci unpack --image "$T/$dir.dir:1" "$T/$dir.bundle"
	listing "$T/$dir.bundle/rootfs" >"$T/$dir.list"
done
same 'umoci: the same tree' "$T/gz.list" "$T/plain.list"
ok 'umoci: the same contents' diff -r "$T/gz.bundle/rootfs" "$T/plain.bundle/rootfs"
same 'umoci: the same configuration' "$T/gz.bundle/config.json" "$T/plain.bundle/config.json"
same 'umoci: the contents of a layer' "$T/gz.bundle/rootfs/opt/noise" "$T/b/opt/noise"

# --- a registry takes the layers as they are ---

unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
start_registry r
push() { on "$1" dt-push --no-cache --tls-verify=false "${@:3}" "$r/$2"; }
for format in gz zstd; do
	for file in x oci; do
		ok "$format: dt-push, $file" push "$T/$file.$format" "$file-$format:1"
		is "$format: dt-push, $file: the manifest of the archive" "$(sed -n 's/^manifest //p' "$T/out")" \
			"$(jq -r .manifest "$T/x.$format.json")"
	done
	ok "$format: dt-push compresses the same" push "$T/x.tar" "plain-$format:1" --compress "$format"
	is "$format: dt-push compresses the same: the manifest" "$(sed -n 's/^manifest //p' "$T/out")" "$(jq -r .manifest "$T/x.$format.json")"
done

# --- several images, platforms, keys of others ---

dt-manifest --name y --tag 2 --arch amd64 <"$T/c.layer" >"$T/y.tar"
dt-merge "$T/x.tar" "$T/y.tar" >"$T/both.tar"
ok 'two images' on "$T/both.tar" dt-compress --layers
cp "$T/out" "$T/both.gz"
is 'two images: both are there' "$(judge "$T/both.gz" | jq -c '[.name, .id, .layers[][2]]')" "$(judge "$T/both.tar" | jq -c '[.name, .id, .layers[][2]]')"
same 'two images: the second one' <(dt-flatten --from-name y "$T/both.gz") <(flat "$T/y.tar")

# An index below index.json, annotations and other keys, as other tools write them.
dt-manifest --name x --tag 1 --arch arm64 <"$T/a.layer" >"$T/arm.tar"
cat >"$T/nest.py" <<'END'
import hashlib, io, json, sys, tarfile
out = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.PAX_FORMAT)
def put(name, data, like=None):
    info = like or tarfile.TarInfo(name)
    info.name, info.size = name, len(data)
    out.addfile(info, io.BytesIO(data))
def blob(doc):
    data = json.dumps(doc).encode()
    hexa = hashlib.sha256(data).hexdigest()
    put('blobs/sha256/' + hexa, data)
    return {'digest': 'sha256:' + hexa, 'size': len(data)}
inner, done = [], set()
for file in sys.argv[1:]:
    with tarfile.open(file) as tar:
        data = {m.name: tar.extractfile(m).read() for m in tar.getmembers()}
        d = json.loads(data['index.json'])['manifests'][0]
        manifest = 'blobs/sha256/' + d['digest'][7:]
        for m in tar.getmembers():
            if m.name.startswith('blobs/') and m.name not in done | {manifest}:
                put(m.name, data[m.name], m)
                done.add(m.name)
    doc = json.loads(data[manifest])
    doc['annotations'] = {'kept': file}
    doc['layers'][0]['annotations'] = {'layer': 'kept'}
    inner.append({**d, **blob(doc), 'annotations': {'inner': 'kept'}})
index = {'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json'}
top = {'mediaType': index['mediaType'], **blob({**index, 'manifests': inner, 'annotations': {'index': 'kept'}}),
       'annotations': {'org.opencontainers.image.ref.name': '1'}}
put('index.json', json.dumps({**index, 'manifests': [top]}).encode())
put('oci-layout', b'{"imageLayoutVersion":"1.0.0"}')
out.close()
END
python3 "$T/nest.py" "$T/x.tar" "$T/arm.tar" >"$T/nested.tar"
ok 'an index of two platforms' on "$T/nested.tar" dt-compress --layers --format zstd
cp "$T/out" "$T/nested.zstd"
for arch in amd64 arm64; do
	same "an index of two platforms: $arch" <(dt-flatten --arch "$arch" "$T/nested.zstd") <(dt-flatten --arch "$arch" "$T/nested.tar")
	ok "an index of two platforms: skopeo, $arch" skopeo inspect --override-arch "$arch" "oci-archive:$T/nested.zstd"
done
mkdir "$T/nested"
tar -C "$T/nested" -xf "$T/nested.zstd"
is 'annotations stay' "$(cat "$T"/nested/blobs/sha256/* | grep -ao '"[a-z]*":"kept"' | sort | uniq -c | xargs)" '1 index:kept 2 inner:kept 2 layer:kept'
ok 'an index of two platforms: dt-push' push "$T/nested.zstd" nested:1
is 'dt-push: the index of the archive' "$(sed -n 's/^index //p' "$T/out")" "$(jq -r '.manifests[].digest' "$T/nested/index.json")"

# --- scripts ---

mkdir -p "$T/s/nix/store/0123456789abcdfghijklmnpqrsvwxyz-app"
echo hello >"$T/s/nix/store/0123456789abcdfghijklmnpqrsvwxyz-app/text"
echo '{"name": "s", "tag": "1", "contents": ["/nix/store/0123456789abcdfghijklmnpqrsvwxyz-app"]}' >"$T/layered.json"
sed s/contents/copyToRoot/ "$T/layered.json" >"$T/image.json"
# script TOOL SPEC COMPRESSOR SUFFIX
script() {
	jq --arg c "$3" 'if $c == "" then . else .compressor = $c end' "$2" >"$T/spec.json"
	ok "$1 --format oci, ${3:-as it is}" "$1" --store "$T/s" --format oci "$T/spec.json"
	cp "$T/out" "$T/script.oci"
	is "$1, ${3:-as it is}: the layers" "$(judge "$T/script.oci" | jq -r '.layers[][0]' | sort -u)" "$4"
	is "$1, ${3:-as it is}: without manifest.json" "$(tar -tf "$T/script.oci" | grep -c manifest.json)" 0
	same "$1, ${3:-as it is}: the files" <(flat "$T/script.oci") <("$1" --store "$T/s" "$T/spec.json" | dt-flatten)
}
for tool in image layered-image; do
	script "dt-build-$tool" "$T/${tool%-image}.json" '' +gzip
	script "dt-build-$tool" "$T/${tool%-image}.json" zstd +zstd
	script "dt-build-$tool" "$T/${tool%-image}.json" none ''
done
script dt-stream-layered-image "$T/layered.json" '' ''
fails 2 "^dt-build-image: --format takes dt or oci, not 'x'" 'a script: no such format' dt-build-image --format x

# --- what is refused ---

fails 2 '^dt-compress: --layers goes with --format gz or zstd' 'layers that are not compressed' dt-compress --layers --format none
# refused REGEX DESCRIPTION FILE
refused() {
	fails 1 "^dt-compress: stdin: $1" "$2" on "$3" dt-compress --layers
	is "$2: no end" "$(ended "$T/out")" no
}
refused 'not an image archive, it has no member .index.json.$' 'a layer archive' "$T/a.layer"
cat "$T/x.tar" "$T/c.layer" >"$T/bad"
refused 'layer sha256:[0-9a-f]* belongs to no image$' 'a layer behind the image' "$T/bad"
cat "$T/x.tar" "$T/y.tar" >"$T/bad"
refused "(layer sha256:[0-9a-f]* belongs to no image|member 'index.json' occurs twice)$" 'an image behind the image' "$T/bad"
tar -cf "$T/bad" -C "$t_dir" lib.sh
refused "member 'lib.sh' does not belong to an image archive of dt" 'a tar of files' "$T/bad"
dt-manifest --name x --only /dev/null <"$T/a.layer" >"$T/bad"
refused 'blob sha256:[0-9a-f]{64} does not precede a document that lists it: ' 'a thin archive' "$T/bad"
{ dt-root --tree "$T/a" --only /dev/null; cat "$T/x.tar"; } >"$T/bad"
refused 'a thin archive, without layer sha256:[0-9a-f]{64}$' 'a stub' "$T/bad"
flip() { python3 -c 'import sys
data, old, new = sys.stdin.buffer.read(), *(a.encode() for a in sys.argv[1:])
assert old in data
sys.stdout.buffer.write(data.replace(old, new, 1))' "$@"; }
flip "$(printf 'two\n')" "$(printf 'tWo\n')" <"$T/y.tar" >"$T/bad"
refused 'layer 1 has the digest [0-9a-f]{64}, not its diff_id [0-9a-f]{64}$' 'a byte of a layer' "$T/bad"
flip '"Cmd"' '"cMd"' <"$T/x.tar" >"$T/bad"
refused 'blob sha256:[0-9a-f]{64} has the digest [0-9a-f]{64}$' 'a byte of a configuration' "$T/bad"
python3 -c 'import sys
data = bytearray(sys.stdin.buffer.read())
data[len(data) // 2] ^= 1
sys.stdout.buffer.write(data)' <"$T/x.gz" >"$T/bad"
refused 'blob sha256:[0-9a-f]{64} has the digest [0-9a-f]{64}$' 'a byte of a compressed layer' "$T/bad"
dt-compress <"$T/x.tar" >"$T/bad"
refused 'not an archive' 'a compressed archive' "$T/bad"
for file in c.layer y.tar; do
	on "$T/y.tar" dt-compress --layers | cat - "$T/$file" >"$T/bad"
	fails 1 "^dt-manifest: stdin: member '.*' (is a compressed layer; use --from|does not belong)" \
		"compressed layers in front of $file are not lost" on "$T/bad" dt-manifest --name z
done

size=$(wc -c <"$T/x.tar")
for cut in 0 511 512 1024 2048 $((size / 2)) $((size - 4096)) $((size - 1024)) $((size - 512)) $((size - 1)); do
	head -c "$cut" "$T/x.tar" >"$T/bad"
	refused '' "truncated after $cut bytes" "$T/bad"
done

# --- no room ---

full() { "$@" >/dev/full; }
closed() { "$@" >&-; }
fails 1 '^dt-compress: standard output: No space left' 'no room for the output' full on "$T/x.tar" dt-compress --layers
fails 1 '^dt-compress: .*standard output' 'stdout is closed' closed on "$T/x.tar" dt-compress --layers
fails 1 '^dt-compress: ' 'no directory for temporary files' env TMPDIR="$T/none" dt-compress --layers <"$T/x.tar"
cat >"$T/on-tmpfs" <<'END'
mkdir -p "$1" && mount -t tmpfs -o size=256k tmpfs "$1" || exit 9
TMPDIR=$1 dt-compress --layers "${@:2}"
END
fails 1 '^dt-compress: cannot write a temporary file in TMPDIR: No space left' 'no room for a temporary file' \
	on "$T/x.tar" unshare -m bash "$T/on-tmpfs" "$T/full"
is 'no room for a temporary file: no end' "$(ended "$T/out")" no
fails 1 '^dt-compress: cannot write a temporary file in TMPDIR: No space left' 'no room, -o' \
	on "$T/x.tar" unshare -m bash "$T/on-tmpfs" "$T/full" -o "$T/never"
ok 'no room, -o: no file' test ! -e "$T/never"

# --- memory ---

mkdir -p "$T/large"
openssl enc -aes-128-ctr -K 0 -iv 0 -nosalt -in <(head -c 100M /dev/zero) 2>/dev/null >"$T/large/noise"
truncate -s 200M "$T/large/zeroes"
dt-root --tree "$T/large" | dt-manifest --name large >"$T/large.tar"
for format in gz zstd; do
	kib=$(python3 -c 'import os, subprocess, sys
p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(p.pid, 0)
print(usage.ru_maxrss if status == 0 else 0)' dt-compress --layers --format "$format" <"$T/large.tar")
	ok "a layer of 300 MB in 64 MiB, $format ($kib KiB)" test "$kib" -gt 0 -a "$kib" -lt "$(memory_limit)"
done

finish
