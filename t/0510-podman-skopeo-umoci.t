#!/usr/bin/env bash
# Images of a real store in podman, skopeo and umoci.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/images.sh"
. "$t_dir/docker.sh"
need jq podman skopeo umoci gzip zstd

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
hello=$(root hello)

jq -n --arg hello "$hello" '{Entrypoint: [$hello + "/bin/hello"], Env: ["A=1"], Labels: {a: "b"}, User: "1000"}' >"$T/config.json"
echo "$hello" | dt-closure --store "$small" | dt-popularity | dt-layer --store "$small" |
	dt-manifest --name Example/Hello --tag 1 --config "$T/config.json" >"$T/hello.tar"
archive show "$T/hello.tar" >"$T/shown"
id=$(shown .id) manifest=$(shown '.index.manifests[0].digest')

# --- podman ---

ok 'podman loads it' in_podman load -q -i "$T/hello.tar"
is 'podman: its name' "$(cat "$T/out")" 'Loaded image: docker.io/example/hello:1'
in_podman image inspect example/hello:1 >"$T/inspected"
is 'podman: the image ID is the digest of the configuration' "sha256:$(jq -r '.[0].Id' "$T/inspected")" "$id"
is 'podman: the layers' "$(jq -c '.[0].RootFS.Layers' "$T/inspected")" "$(shown .config.rootfs.diff_ids)"
is 'podman: the configuration' "$(jq -c '.[0].Config | {Entrypoint, Env, Labels, User}' "$T/inspected")" \
	"$(jq -c '{Entrypoint, Env, Labels, User}' "$T/config.json")"
is 'podman: the history' "$(in_podman history --no-trunc --format '{{.Comment}}' example/hello:1 | tac)" \
	"$(shown '.config.history[].comment')"
ok 'podman runs it' in_podman run --rm example/hello:1
is 'podman runs it: hello' "$(cat "$T/out")" 'Hello, world!'
in_podman rmi -f example/hello:1 >/dev/null
load_gzipped() { gzip -c "$T/hello.tar" | in_podman load -q; }
ok 'podman loads it compressed, from a pipe' load_gzipped
is 'podman: the same image' "sha256:$(in_podman image inspect --format '{{.Id}}' example/hello:1)" "$id"
ok 'podman pulls it as an OCI archive' in_podman pull -q "oci-archive:$T/hello.tar"
is 'podman: the same image as OCI archive' "$(cat "$T/out")" "${id#sha256:}"

mkdir -p "$T/many/nix/store"
for i in {1..126}; do
	path=/nix/store/$(printf %032d "$i")-many
	echo "$i" >"$T/many$path"
	echo "$path"
done >"$T/plan"
{
	dt-layer --store "$T/many" <"$T/plan"
	dt-root --tree "$T/many"
} | dt-manifest --name many --tag 1 2>"$T/err" >"$T/many.tar"
is '127 layers are warned of' "$(cat "$T/err")" 'dt-manifest: 127 layers; Docker loads no image of more than 125'
ok '127 layers: podman loads them' in_podman load -q -i "$T/many.tar"
is '127 layers: podman has them' "$(in_podman image inspect many:1 | jq '.[0].RootFS.Layers | length')" 127
mounted=$(in_podman image mount many:1)
is '127 layers: what is in them' "$(find "$mounted/nix/store" -name '*-many' | wc -l)" 126
in_podman image unmount many:1 >/dev/null

# --- skopeo ---

for from in docker-archive oci-archive; do
	for name in '' ':1'; do
		[ "$from$name" != docker-archive:1 ] || name=:example/hello:1
		ok "skopeo inspects $from:FILE$name" skopeo inspect --config --raw "$from:$T/hello.tar$name"
		is "skopeo: the configuration of $from:FILE$name" "sha256:$(sha256sum <"$T/out" | cut -d ' ' -f 1)" "$id"
	done
	rm -rf "$T/layout" "$T/dir"
	ok "skopeo copies it from $from: to oci:" skopeo copy -q --insecure-policy "$from:$T/hello.tar" "oci:$T/layout:tag"
	(cd "$T/layout/blobs/sha256" && sha256sum -- *) | awk '$1 != $2' >"$T/wrong"
	is "skopeo, $from: to oci: all blobs bear their digests" "$(cat "$T/wrong")" ''
	ok "skopeo, $from: to oci: umoci reads it" umoci stat --json --image "$T/layout:tag"
	is "skopeo, $from: to oci: the history" "$(jq -r '.history[].comment' "$T/out")" "$(shown '.config.history[].comment')"
	ok "skopeo copies it from $from: to dir:" skopeo copy -q --insecure-policy "$from:$T/hello.tar" "dir:$T/dir"
	for hex in $(shown '.config.rootfs.diff_ids[], .id' | sed 's/sha256://'); do
		{ zstd -dc --pass-through "$T/dir/$hex" || cat "$T/dir/$hex"; } 2>/dev/null | sha256sum | cut -d ' ' -f 1
	done >"$T/got"
	is "skopeo, $from: to dir: layers and configuration" "$(cat "$T/got")" \
		"$(shown '.config.rootfs.diff_ids[], .id' | sed 's/sha256://')"
done
is 'skopeo: the digest of the manifest is that in the index' \
	"$(skopeo inspect --raw "oci-archive:$T/hello.tar" | sha256sum | cut -d ' ' -f 1)" "${manifest#sha256:}"
ok 'skopeo copies it from oci-archive: as it is' \
	skopeo copy -q --insecure-policy --preserve-digests "oci-archive:$T/hello.tar" "oci:$T/layout:same"
is 'skopeo: as it is' "$(jq -r '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == "same").digest' \
	"$T/layout/index.json")" "$manifest"

# There and back.
for to in docker-archive oci-archive; do
	rm -f "$T/back.tar"
	skopeo copy -q --insecure-policy "oci-archive:$T/hello.tar" "$to:$T/back.tar:example/hello:1"
	ok "what skopeo makes of it, an $to, is a base" dt-inspect "$T/back.tar"
	is "$to: the same layers and configuration" "$(jq -cS '[.layers, .image]' "$T/out")" \
		"$(jq -cS '[.config.rootfs.diff_ids, .config]' "$T/shown")"
done

# --- umoci: the archive is an OCI layout ---

{ root everything; for odd in hard-links odd-names plain-file self-reference symlink; do root "$odd"; done; } >"$T/roots"
dt-closure --store "$small" <"$T/roots" >"$T/graph"
mkdir -p "$T/tree/etc" "$T/tree/tmp" "$T/layout2"
chmod 1777 "$T/tree/tmp"
chmod 4755 "$T/tree/etc"
{
	dt-popularity --max-layers 12 <"$T/graph" | dt-layer --store "$small"
	dt-root --store "$small" --tree "$T/tree" --links "$hello"
} | dt-manifest --name all --tag v1 --config "$T/config.json" >"$T/all.tar"
tar -xf "$T/all.tar" -C "$T/layout2" 2>/dev/null
is 'umoci lists it' "$(umoci list --layout "$T/layout2")" v1
ok 'umoci unpacks it' umoci unpack --image "$T/layout2:v1" "$T/bundle"
rootfs=$T/bundle/rootfs
cut -d ' ' -f 1 "$T/graph" | sed 's,^/,,' >"$T/paths"
listing "$small" >"$T/want"
listing "$rootfs" >"$T/got"
same 'names, types, modes, sizes, owners, targets, times' "$T/got" "$T/want"
is 'no other store path is there' "$(ls "$rootfs/nix/store")" "$(sed 's,.*/,,' "$T/paths" | sort)"
while read -r path; do diff -r --no-dereference "$small/$path" "$rootfs/$path"; done <"$T/paths" >"$T/diff" 2>&1
is 'contents' "$(cat "$T/diff")" ''
is 'the tree and the links' \
	"$(cd "$rootfs" && find . -path ./nix -prune -o -printf '%y %m %P > %l\n' | sed 's/ $//' | grep -E ' (etc|tmp|bin/hello|bin) ' | sort)" \
	"d 1777 tmp >
d 4755 etc >
d 755 bin >
l 777 bin/hello > $hello/bin/hello"
is 'the configuration, for a runtime' "$(jq -c '[.process.args, .process.env[-1:], .process.user.uid]' "$T/bundle/config.json")" \
	"[[\"$hello/bin/hello\"],[\"A=1\"],1000]"
ok 'what was unpacked runs' chroot "$rootfs" "$hello/bin/hello"

# --- tar ---

for tar in tar bsdtar; do
	ok "$tar lists the archive" "$tar" -tf "$T/hello.tar"
	is "$tar lists it silently" "$(cat "$T/err")" ''
	is "$tar: its members" "$(cat "$T/out")" "$(archive members "$T/hello.tar" | jq -r .name)"
done

finish
