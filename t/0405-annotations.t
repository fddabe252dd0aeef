#!/usr/bin/env bash
# Annotations of images: written by dt-manifest and the scripts, kept by the tools that pass images on, and accepted by
# engines and a registry.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; `ok` and `fails` run functions
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
. "$t_dir/registry.sh"
need jq podman skopeo ctr

cd "$T" || exit 1
mkdir tree
echo hello >tree/hello
dt-root --tree tree >layers
make_image() { dt-manifest --name app --tag 1 --arch amd64 "$@" <layers; }
noted() { dt-inspect "$@" | jq -c .annotations; }
# manifest FILE: the bytes of the image's manifest
manifest() { tar -xOf "$1" "blobs/sha256/$(tar -xOf "$1" index.json | jq -r '.manifests[0].digest[7:]')"; }

# --- dt-manifest ---

echo '{"org.opencontainers.image.source": "https://example.org/app", "example": "\u00fc = \"1\"", "a=b": ""}' >notes.json
all='{"org.opencontainers.image.source":"https://example.org/app","example":"ü = \"1\"","a=b":""}'
make_image >plain.tar
make_image --annotations notes.json >noted.tar
is 'none: the manifest has no key' "$(manifest plain.tar | jq -c 'keys')" '["config","layers","mediaType","schemaVersion"]'
is 'none: dt-inspect' "$(noted plain.tar)" '{}'
is 'the manifest, in order' "$(manifest noted.tar | jq -c 'keys_unsorted, .annotations')" \
	'["schemaVersion","mediaType","config","layers","annotations"]'$'\n'"$all"
is 'dt-inspect prints them' "$(noted noted.tar)" "$all"
is 'the configuration is the same' "$(dt-inspect noted.tar | jq -c '[.config, .image]')" "$(dt-inspect plain.tar | jq -c '[.config, .image]')"
is 'the names in index.json are the same' "$(tar -xOf noted.tar index.json | jq -c '.manifests[].annotations')" \
	"$(tar -xOf plain.tar index.json | jq -c '.manifests[].annotations')"
echo '{}' >empty.json
make_image --annotations empty.json >other.tar
same 'an empty object: the same as none' other.tar plain.tar

# Labels.
jq -n '{Labels: {"org.opencontainers.image.title": "App", "org.opencontainers.image.source": "label",
	"org.opencontainers.image.ref.name": "x", "org.opencontainers.imagery": "x", "maintainer": "x"}}' >config.json
make_image --config config.json >labels.tar
is 'labels with names of OCI' "$(noted labels.tar)" '{"org.opencontainers.image.title":"App","org.opencontainers.image.source":"label"}'
make_image --config config.json --annotations notes.json >both.tar
is 'an annotation wins over a label' "$(noted both.tar | jq -cS .)" \
	"$(jq -cS '. + {"org.opencontainers.image.title": "App"}' notes.json)"
is 'the labels stay as they are' "$(dt-inspect both.tar | jq -c .image.config)" "$(jq -c . config.json)"
jq -n '{Labels: {maintainer: "x"}}' >other.json
make_image --config other.json >other.tar
is 'other labels are no annotations' "$(manifest other.tar | jq -c '.annotations')" null

# A base image.
make_image --from both.tar >other.tar
is 'the annotations of a base are not inherited, its labels are' "$(noted other.tar)" "$(noted labels.tar)"
cat both.tar layers | dt-manifest --name app --tag 1 --arch amd64 >again.tar
is 'nor those of a base on standard input' "$(noted again.tar)" "$(noted labels.tar)"
make_image --from plain.tar --annotations notes.json >other.tar
is 'annotations on top of a base' "$(noted other.tar)" "$all"

wrong() { # JSON REASON
	printf '%s' "$1" >wrong.json
	fails 1 "^dt-manifest: $2\$" "wrong: $1" make_image --annotations wrong.json
	is "wrong: $1: no end of archive" "$(ended out)" no
}
wrong '[]' 'annotations: not an object'
wrong 'null' 'annotations: not an object'
wrong '{"": "x"}' 'annotations: a key is empty'
wrong '{"a": "x", "count": 1}' "annotations: the value of 'count' is not a string"
wrong '{"a": null}' "annotations: the value of 'a' is not a string"
wrong '{"a": ["x"]}' "annotations: the value of 'a' is not a string"
wrong '{"a": "x"' 'wrong.json:1:[0-9]*: not JSON: .*'
wrong '{"a": "x", "a": "y"}' 'wrong.json:1:[0-9]*: not JSON: duplicate .*'
printf '{"a": "\xff"}' >wrong.json
fails 1 '^dt-manifest: wrong.json:1:[0-9]*: not JSON: unable to decode byte 0xff' 'a value that is not UTF-8' make_image --annotations wrong.json
fails 1 '^dt-manifest: none.json: No such file or directory$' 'a missing file' make_image --annotations none.json
fails 2 '^dt-manifest: standard input is for the layers' 'not on standard input' make_image --annotations -
jq -n '{a: ("x" * 4194000)}' >large.json
fails 1 '^dt-manifest: the manifest would have [0-9]* bytes, but readers accept at most 4194304; ' \
	'too much for a manifest' make_image --annotations large.json

# --- the tools that pass images on ---

dt-merge plain.tar >merged.tar
same 'dt-merge, none: the same' merged.tar plain.tar
dt-merge noted.tar >merged.tar
same 'dt-merge: the same' merged.tar noted.tar
dt-manifest --name arm --tag 1 --arch arm64 --config config.json <layers >arm.tar
dt-merge noted.tar arm.tar labels.tar >merged.tar 2>err
is 'dt-merge: those of each image' "$(noted --from-name arm merged.tar; archive images merged.tar | wc -l)" "$(noted labels.tar)"$'\n3'
dt-merge --index noted.tar arm.tar >index.tar 2>err
is 'dt-merge --index: those of each image' "$(noted --arch amd64 index.tar; noted --arch arm64 index.tar)" "$all"$'\n'"$(noted labels.tar)"
is 'dt-merge of an index: those of the image' "$(dt-merge --arch amd64 index.tar | noted)" "$all"
is 'dt-compress' "$(dt-compress <noted.tar | noted)" "$all"
# An untrusted archive: values that are not strings are dropped.
skopeo copy -q --insecure-policy oci-archive:noted.tar oci:layout:1
digest=$(jq -r '.manifests[0].digest[7:]' layout/index.json)
jq -c '.annotations.bad = {x: 1}' "layout/blobs/sha256/$digest" >changed
changed=$(sha256sum <changed | cut -d ' ' -f 1)
mv changed "layout/blobs/sha256/$changed"
jq --arg digest "sha256:$changed" --argjson size "$(wc -c <"layout/blobs/sha256/$changed")" \
	'.manifests[0] += {digest: $digest, size: $size}' layout/index.json >index.json
mv index.json layout/index.json
is "skopeo's, with a value that is not a string" "$(noted layout | jq -cS .)" "$(jq -cS . notes.json)"
is "skopeo's: dt-merge" "$(dt-merge layout 2>/dev/null | noted | jq -cS .)" "$(jq -cS . notes.json)"

start_registry r
raw() { skopeo inspect --raw --tls-verify=false "docker://$r/$1"; }
pull() { dt-pull --no-cache --tls-verify=false "${@:2}" "$r/$1@$(dt-pull --tls-verify=false --print digest "$r/$1:1")"; }
ok 'dt-push' on noted.tar dt-push --tls-verify=false "$r/noted:1"
is 'dt-push: the manifest in the registry' "$(raw noted:1 | jq -c .annotations)" "$all"
is 'dt-pull --format dt' "$(pull noted --format dt | noted)" "$all"
is 'dt-pull --thin' "$(pull noted --thin | noted)" "$all"
dt-push --tls-verify=false "$r/index:1" <index.tar >out
is 'dt-push: an index' "$(pull index --format dt --arch arm64 | noted)" "$(noted labels.tar)"
ok 'skopeo copies it' skopeo copy -q --insecure-policy --dest-tls-verify=false oci-archive:noted.tar "docker://$r/skopeo:1"
is 'skopeo: the manifest in the registry' "$(raw skopeo:1 | jq -cS .annotations)" "$(jq -cS . notes.json)"

# --- the scripts ---

export DT_BACKEND=userns
jq -n --slurpfile notes notes.json '{name: "app", tag: "1", architecture: "amd64", compressor: "none", annotations: $notes[0]}' >spec.json
ok 'dt-build-image' dt-build-image spec.json
is 'dt-build-image: they are in the image' "$(noted out)" "$all"
jq 'del(.compressor)' spec.json >layered.json
ok 'dt-stream-layered-image' dt-stream-layered-image layered.json
is 'dt-stream-layered-image: they are in the image' "$(noted out)" "$all"
for value in '"x"' '[]' '{"a": 1}' '{"a": null}'; do
	jq -n --argjson value "$value" '{name: "app", annotations: $value}' >wrong.json
	for script in dt-build-image dt-stream-layered-image; do
		fails 1 "^$script: wrong.json: annotations must be an object of strings\$" "$script, $value" "$script" wrong.json
	done
done
echo '{"name": "app", "annotations": {"": "x"}}' >wrong.json
fails 1 '^dt-manifest: annotations: a key is empty$' 'a script, an empty key' dt-build-image wrong.json
echo '{"name": "app", "annotations": null}' >null.json
ok 'null is as good as nothing' dt-stream-layered-image null.json
is 'null: none' "$(noted out)" '{}'

# --- engines, with both kinds of media types ---

jq '. + {Healthcheck: {Test: ["CMD", "x"]}}' config.json >docker.json
make_image --config docker.json --annotations notes.json >docker.tar
is "Docker's media types: they are there" "$(manifest docker.tar | jq -r '.mediaType, .annotations.example')" \
	'application/vnd.docker.distribution.manifest.v2+json
ü = "1"'
for kind in both docker; do
	id=$(dt-inspect $kind.tar | jq -r .config)
	ok "podman loads it, $kind" in_podman load -q -i $kind.tar
	is "podman, $kind: the image" "sha256:$(in_podman image inspect --format '{{.Id}}' app:1)" "$id"
	ok "dt-push, $kind" on $kind.tar dt-push --tls-verify=false "$r/$kind:1"
	is "dt-push, $kind: they are there" "$(raw $kind:1 | jq -r .annotations.example)" 'ü = "1"'
	ok "skopeo copies it, $kind" skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$r/$kind:1" "dir:dir-$kind"
	ok "podman pulls it, $kind" in_podman pull -q --tls-verify=false "$r/$kind:1"
done
start_dockerd
address=$daemon/exec/containerd/containerd.sock
[ -S "$address" ] || address=/run/containerd/containerd.sock
for kind in both docker; do
	id=$(dt-inspect $kind.tar | jq -r .config)
	ok "docker loads it, $kind" on $kind.tar docker load -q
	is "docker, $kind: the image" "$(docker image inspect --format '{{.Id}}' app:1)" "$id"
	ok "containerd imports it, $kind" ctr -a "$address" -n dt-notes images import --no-unpack $kind.tar
	is "containerd, $kind: the manifest" "$(ctr -a "$address" -n dt-notes images ls | awk 'NR > 1 { print $3 }')" \
		"$(dt-inspect $kind.tar | jq -r .manifest)"
	ctr -a "$address" -n dt-notes images rm docker.io/library/app:1 >/dev/null
done

finish
