#!/usr/bin/env bash
# dt-merge --index: one image for several platforms, in dt's tools, engines and a registry.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; `ok` and `fails` run functions
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
. "$t_dir/registry.sh"
need /usr/bin/python3 setarch jq busybox bsdtar fakeroot podman skopeo ctr

cd "$T" || exit 1
here=$(dpkg --print-architecture)
there=$([ "$here" = arm64 ] && echo amd64 || echo arm64)

# Images that share a layer.
mkdir -p shared/etc here there riscv
echo shared >shared/etc/shared
dt-root --tree shared >shared.layers
for i in here there riscv; do
	echo "$i" >"$i/which"
	dt-root --tree "$i" >"$i.layers"
done
make_image() { # LAYERS ARCH [OPTION]...
	cat shared.layers "$1.layers" | dt-manifest --name app --tag 1 --arch "$2" "${@:3}"
}
make_image here "$here" >here.tar
make_image there "$there" >there.tar
make_image riscv riscv64 >riscv.tar
ok 'an index' dt-merge --index -o index.tar here.tar there.tar
is 'an index: nothing to say' "$(cat err)" ''

# --- the archive ---

document() { tar -xOf "$1" "$2"; }
blob() { document index.tar "blobs/sha256/${1#sha256:}"; }
id() { dt-inspect "$1" | jq -r .config; }
manifest_of() { dt-inspect "$1" | jq -r .manifest; }
is 'index.json: one index, with the names' \
	"$(document index.tar index.json | jq -c '.manifests[] | .mediaType, .platform, .annotations')" \
	'"application/vnd.oci.image.index.v1+json"
null
{"io.containerd.image.name":"docker.io/library/app:1","org.opencontainers.image.ref.name":"1"}'
digest=$(document index.tar index.json | jq -r '.manifests[0].digest')
is 'the index: its digest' "sha256:$(blob "$digest" | sha256sum | cut -d ' ' -f 1)" "$digest"
is 'the index: its size' "$(blob "$digest" | wc -c)" "$(document index.tar index.json | jq '.manifests[0].size')"
is 'the index: the manifests of both, without names' "$(blob "$digest" | jq -c '.manifests[] | [.digest, .platform, .annotations]')" \
	"[\"$(manifest_of here.tar)\",{\"architecture\":\"$here\",\"os\":\"linux\"},null]
[\"$(manifest_of there.tar)\",{\"architecture\":\"$there\",\"os\":\"linux\"},null]"
is 'manifest.json: the first image, with the names' "$(document index.tar manifest.json)" \
	"$(document here.tar manifest.json)"
is 'each layer once' "$(tar -tf index.tar | sort | uniq -d)" ''
is 'the shared layer once, both others' "$(archive members index.tar | jq -c 'select(.note)' | wc -l)" 3
is 'a complete archive' "$(ended index.tar)" yes

for option in "$there" "linux/$there"; do
	dt-merge --index --arch "$option" here.tar there.tar >other.tar
	is "--arch $option: manifest.json has that image" "$(document other.tar manifest.json)" "$(document there.tar manifest.json)"
	is "--arch $option: the index is the same" "$(document other.tar index.json)" "$(document index.tar index.json)"
done
dt-merge --index here.tar >one.tar
is 'an index of one image' "$(document one.tar "blobs/sha256/$(document one.tar index.json | jq -r '.manifests[0].digest[7:]')" | jq '.manifests | length')" 1
dt-merge --index there.tar riscv.tar here.tar >three.tar
is 'three images: in the order of the operands' \
	"$(document three.tar "blobs/sha256/$(document three.tar index.json | jq -r '.manifests[0].digest[7:]')" | jq -r '.manifests[].digest')" \
	"$(for i in there riscv here; do manifest_of $i.tar; done)"

as_i686() { setarch linux32 "$@"; }
is 'as_i686: another machine' "$(as_i686 uname -m | grep -cx "$(uname -m)")" 0
ok 'on another machine' as_i686 dt-merge --index here.tar there.tar
same 'on another machine: the same' out index.tar

# Archives of other forms. An index with a single image does not depend on this machine.
skopeo copy -q --insecure-policy docker-archive:there.tar "docker-archive:docker.tar:app:1"
skopeo copy -q --insecure-policy oci-archive:there.tar oci:layout:1
for form in nested oci; do
	"$t_dir/fixtures/platforms.py" $form there.tar >$form.tar
	dt-merge --index here.tar $form.tar >other.tar 2>err
	same "an image in an index, $form: the same" other.tar index.tar
done
for form in docker.tar layout; do
	dt-merge --index here.tar $form >other.tar 2>err
	is "$form: the same images" "$(for arch in "$here" "$there"; do dt-inspect --arch "$arch" other.tar | jq -c '[.config, .layers]'; done)" \
		"$(for i in here there; do dt-inspect $i.tar | jq -c '[.config, .layers]'; done)"
done

# --- names ---

names() { document named.tar index.json | jq -r '.manifests[].annotations["io.containerd.image.name"]'; document named.tar manifest.json | jq -c '.[].RepoTags'; }
ok '--name, --tag' dt-merge --index --name Example.org/App --tag 2 -o named.tar here.tar there.tar
is '--name, --tag: nothing to say' "$(cat err)" ''
is '--name, --tag: the names' "$(names)" $'example.org/app:2\n["example.org/app:2"]'
dt-manifest --name other --tag 1 --arch "$here" <here.tar >here-other.tar
dt-merge here.tar here-other.tar >here-both.tar
ok 'two names' dt-merge --index -o named.tar here-both.tar there.tar
is 'two names: both' "$(names)" $'docker.io/library/app:1\ndocker.io/library/other:1\n["app:1","other:1"]'
ok 'another name' dt-merge --index -o named.tar here-other.tar there.tar
is 'another name: a warning' "$(cat err)" 'dt-merge: there.tar: the name app:1 is left out; the index has the names of here-other.tar'
is 'another name: that of the first' "$(names)" $'docker.io/library/other:1\n["other:1"]'
ok 'another name, --name' dt-merge --index --name x --tag 1 -o named.tar here-other.tar there.tar
is 'another name, --name: no warning' "$(cat err)" ''
"$t_dir/fixtures/platforms.py" oci here.tar | python3 -c '
import json, sys, tarfile, io
source = tarfile.open(fileobj=io.BytesIO(sys.stdin.buffer.read()))
out = tarfile.open(fileobj=sys.stdout.buffer, mode="w|")
for m in source:
    data = source.extractfile(m).read()
    if m.name == "index.json":
        data = data.replace(b"io.containerd.image.name", b"x").replace(b"org.opencontainers.image.ref.name", b"y")
    m.size = len(data)
    out.addfile(m, io.BytesIO(data))
out.close()' >unnamed.tar
dt-merge --index --name x --tag 3 unnamed.tar >named.tar
is 'an image without a name, --name' "$(names)" $'docker.io/library/x:3\n["x:3"]'
dt-merge --index unnamed.tar >named.tar
is 'an image without a name' "$(names)" $'null\n[]'

# --- errors ---

for wrong in '--name x here.tar' '--tag 1 here.tar' '--index --name x here.tar' '--index --tag 1 here.tar' \
	'--index --name x: --tag 1 here.tar' '--index --name x --tag - here.tar' '--index'; do
	# shellcheck disable=SC2086 # words
	fails 2 "^dt-merge: .*: try 'dt-merge --help'\$" "dt-merge $wrong" dt-merge $wrong
done
refuses() { # DESCRIPTION REGEX ARG...
	fails 1 "^dt-merge: $2\$" "$1" dt-merge --index "${@:3}"
	is "$1: nothing is written" "$(wc -c <out)" 0
}
make_image riscv "$here" >here2.tar
make_image riscv arm64/v8 >v8.tar
make_image riscv arm64 >arm64.tar
refuses 'two images of a platform' "here2.tar: an image for linux/$here, as in here.tar; .*" here.tar there.tar here2.tar
refuses 'the same image twice' "here.tar: an image for linux/$here, as in here.tar; .*" here.tar here.tar
refuses 'arm64/v8 is arm64' 'v8.tar: an image for linux/arm64, as in arm64.tar; .*' arm64.tar v8.tar
make_image riscv arm/v6 >v6.tar
make_image here arm/v7 >v7.tar
ok 'arm/v6 is not arm/v7' dt-merge --index v6.tar v7.tar
dt-merge here.tar riscv.tar >several.tar 2>/dev/null
refuses 'several images in an archive' 'several.tar: 2 images; --index takes one image from each archive' several.tar there.tar
refuses 'an archive for several platforms' "index.tar: an image for several platforms; choose one with 'dt-merge --arch', and merge that" index.tar riscv.tar
refuses 'a platform that is not there' 'the index: no image for linux/s390x in it' --arch s390x here.tar there.tar
fails 1 '^dt-manifest: stdin: not an image archive of one image; use --from for other archives$' \
	'an index on the standard input of dt-manifest' on index.tar dt-manifest --name x

# --- dt's tools ---

tools() { # OPTION...: what each tool finds in the index
	dt-flatten "$@" index.tar which | tar -xO
	dt-inspect "$@" index.tar | jq -r .config
	dt-inspect "$@" index.tar | jq -r .manifest
	dt-root --tree "$T/shared" --from index.tar "$@" | dt-manifest --name x --from index.tar "$@" | dt-flatten - which | tar -xO
	on index.tar dt-vmrun --backend userns "$@" script | tar -xO --wildcards 'blobs/*' 2>/dev/null | tar -xO copy
}
echo 'cp /which /copy' >script
found() { printf '%s\n' "$1" "$(id "$1.tar")" "$(manifest_of "$1.tar")" "$1" "$1"; }
is "dt's tools: this machine's image" "$(tools)" "$(found here)"
is "dt's tools: --arch" "$(tools --arch "$there")" "$(found there)"
mv index.tar kept.tar
dt-merge --index there.tar here.tar >index.tar
is "dt's tools: this machine's image, which manifest.json lacks" "$(tools)" "$(found here)"
mv kept.tar index.tar
dt-merge --index there.tar here.tar >other.tar
is "dt-merge: this machine's image, which manifest.json lacks" "$(dt-merge other.tar | dt-inspect | jq -r .config)" "$(id here.tar)"
dt-merge --index there.tar riscv.tar >other.tar
is "dt-merge: none for this machine: manifest.json's" "$(dt-merge other.tar | dt-inspect | jq -r .config)" "$(id there.tar)"
is 'dt-merge: --arch' "$(dt-merge --arch "$there" index.tar | dt-inspect | jq -r .config)" "$(id there.tar)"
gzip_index() { dt-compress <index.tar; }
ok 'dt-compress' gzip_index
is 'dt-compress: the image is in it' "$(dt-inspect --arch "$there" "$T/out" | jq -r .config)" "$(id there.tar)"
echo '{"images": ["here.tar", "there.tar"], "index": true}' >merge.json
ok 'dt-merge-images' dt-merge-images merge.json
same 'dt-merge-images: the same' out index.tar
echo '{"images": ["here.tar", "there.tar"], "index": 1}' >merge.json
fails 1 '^dt-merge-images: merge.json: index must be true or false$' 'dt-merge-images, a wrong index' dt-merge-images merge.json

# --- a registry ---

start_registry r
raw() { skopeo inspect --raw --tls-verify=false "docker://$r/$1"; }
ok 'dt-push' on index.tar dt-push --tls-verify=false "$r/app:1"
is 'dt-push: an index of both' "$(raw app:1 | jq -r '.mediaType, .manifests[].platform.architecture')" \
	"application/vnd.oci.image.index.v1+json
$here
$there"
is 'dt-push: each configuration' "$(for i in $(raw app:1 | jq -r '.manifests[].digest'); do raw "app@$i" | jq -r .config.digest; done)" \
	"$(id here.tar)
$(id there.tar)"
pull() { dt-pull --tls-verify=false --format dt "$@" "$r/app@$(dt-pull --tls-verify=false --print digest "$r/app:1")"; }
for i in here there; do
	ok "dt-pull, $i" pull --arch "${!i}" --name app --tag 1
	same "dt-pull, $i: the documents" <(document out index.json) <(document $i.tar index.json)
	same "dt-pull, $i: the files" <(dt-flatten out) <(dt-flatten $i.tar)
done

# --- engines ---

for from in oci-archive:index.tar oci:unpacked; do
	mkdir -p unpacked
	tar -xf index.tar -C unpacked 2>/dev/null
	ok "skopeo copies all of $from" skopeo copy -q --all --insecure-policy --dest-tls-verify=false "$from" "docker://$r/skopeo:1"
	is "skopeo, $from: both platforms" "$(raw skopeo:1 | jq -r '.manifests[].platform.architecture')" "$here"$'\n'"$there"
	ok "skopeo copies one of $from" skopeo copy -q --override-arch "$there" --insecure-policy --dest-tls-verify=false "$from" "docker://$r/skopeo:2"
	is "skopeo, $from: the configuration" "$(raw skopeo:2 | jq -r .config.digest)" "$(id there.tar)"
done
ok 'podman loads it' in_podman load -q -i index.tar
is 'podman: its name' "$(cat out)" 'Loaded image: docker.io/library/app:1'
is "podman: this machine's image" "sha256:$(in_podman image inspect --format '{{.Id}}' app:1)" "$(id here.tar)"

start_dockerd
ok 'docker loads it' on index.tar docker load -q
is 'docker: its name' "$(cat out)" 'Loaded image: app:1'
is "docker: this machine's image" "$(docker image inspect --format '{{.Architecture}}' app:1)" "$here"
address=$daemon/exec/containerd/containerd.sock
[ -S "$address" ] || address=/run/containerd/containerd.sock
in_ctr() { ctr -a "$address" -n dt-index "$@"; }
ok 'containerd imports all of it' in_ctr images import --no-unpack --all-platforms index.tar
is 'containerd: one image, of both platforms' "$(in_ctr images ls | awk 'NR > 1 { print $1, $2, $3 }')" \
	"docker.io/library/app:1 application/vnd.oci.image.index.v1+json $digest"
is 'containerd: it has all blobs' \
	"$(comm -13 <(in_ctr content ls -q | sort) <(tar -tf index.tar | sed -n 's,blobs/sha256/,sha256:,p' | sort))" ''
in_ctr images rm docker.io/library/app:1 >/dev/null
ok 'containerd imports it' in_ctr images import --no-unpack index.tar
ok 'containerd finds it complete' in_ctr images check -q
is 'containerd finds it complete: its name' "$(cat out)" docker.io/library/app:1
in_ctr images rm docker.io/library/app:1 >/dev/null

finish
