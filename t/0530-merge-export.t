#!/usr/bin/env bash
# Merged and exported images in Docker, podman, skopeo and containerd: what nixpkgs asserts of its own (the numbers in brackets).
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need /usr/bin/python3 jq podman skopeo ctr gzip zstd

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
hello=$(root hello) bash=$(root bash) coreutils=$(root coreutils)
start_dockerd
echo '{}' >"$DOCKER_CONFIG/config.json" # podman looks for it, too
cd "$T" || exit 1

says() { # DESCRIPTION WANTED COMMAND...
	local what=$1 want=$2
	shift 2
	ok "$what: runs" "$@"
	is "$what: says" "$(cat out)" "$want"
}
docker_id() { docker image inspect --format '{{.Id}}' "$1"; }
podman_id() { echo "sha256:$(in_podman image inspect --format '{{.Id}}' "$1")"; }
no_images() { docker images -aq | sort -u | xargs -r docker image rm -f >/dev/null; }

# Four images that have layers in common; each is made and compressed in another way.
layers() { dt-closure --store "$small" "$@" | dt-popularity --max-layers 6 | dt-layer --store "$small"; }
jq -n --arg hello "$hello" '{Cmd: [$hello + "/bin/hello"]}' >hello.json
jq -n --arg bash "$bash" --arg coreutils "$coreutils" \
	'{Entrypoint: [$bash + "/bin/bash", "-c"], Env: ["PATH=" + $coreutils + "/bin"]}' >bash.json
layers "$hello" | dt-manifest --name hello --tag 1 --config hello.json | gzip -1 >hello.tar.gz
layers "$bash" "$hello" "$coreutils" | dt-manifest --name example/Bash --config bash.json >bash.tar
mkdir -p owned/srv/deep
echo theirs >owned/srv/deep/file
chmod 2750 owned/srv/deep
dt-root --tree owned --owner 1000:3000000 >owned.layers
dt-manifest --from bash.tar --name owned --tag 2 <owned.layers | zstd -q >owned.tar.zst

# What Docker makes of each alone.
zstd -qdc owned.tar.zst >owned.tar
gzip -dc hello.tar.gz >hello.tar
for file in hello.tar bash.tar owned.tar; do
	ok "docker loads $file" on "$file" docker load -q
	sed 's/^Loaded image: //' out >>names
done
mapfile -t name <names
is 'three names' "${#name[@]}" 3
for i in "${name[@]}"; do docker_id "$i"; done >ids
docker save "${name[0]}" "${name[2]}" >saved.tar
no_images

# --- merged ---

echo '{"images": ["hello.tar.gz", "bash.tar", "owned.tar.zst"]}' >merge.json
merge() { dt-merge-images merge.json; }
ok '[45] images compressed by gzip, by nothing, by zstd are merged' merge
mv out merged.tar
is 'nothing is said' "$(cat err)" ''
archive images merged.tar >shown 2>not-whole
is 'the archive is whole' "$(cat not-whole)" ''
is 'image IDs are what Docker calls them before' "$(jq -r .id shown)" "$(cat ids)"
layers_of() { for i; do archive members "$i" | jq -c 'select(.note) | [.name, .size]'; done; }
is 'each of their layers is there' "$(layers_of merged.tar | sort)" "$(layers_of hello.tar bash.tar owned.tar | sort -u)"
is 'which is less than all of them' \
	"$(($(layers_of merged.tar | wc -l) < $(layers_of hello.tar bash.tar owned.tar | wc -l) - 5))" 1
is 'the archive is no larger than the layers and some documents' \
	"$(($(wc -c <merged.tar) < $(layers_of merged.tar | jq -s 'map(.[1]) | add') + 100000))" 1
stream() { dt-merge-images merge.json | docker load -q; }
ok '[41] docker loads the merged images from a pipe' stream
is '[41] all of them' "$(sed 's/^Loaded image: //' out)" "$(cat names)"
is '[41] image IDs are unchanged' "$(for i in "${name[@]}"; do docker_id "$i"; done)" "$(cat ids)"
says '[41] an image with a tag' 'Hello, world!' in_docker hello:1
like '[42] the tag of a content is kept' names '^example/bash:[0-9a-z]{32}$'
says '[42] an image with such a tag' $'/\nHello, world!' in_docker "${name[1]}" "pwd; $hello/bin/hello"
says '[43] owners are kept' $'1000:3000000 755 /srv\n1000:3000000 2750 /srv/deep\n1000:3000000 644 /srv/deep/file' \
	in_docker owned:2 'stat -c "%u:%g %a %n" /srv /srv/deep /srv/deep/file'
says '[45] what was compressed' theirs in_docker owned:2 'read x </srv/deep/file; echo $x'
is 'the history tells the layers' "$(docker history --no-trunc --format '{{.Comment}}' owned:2 | tac)" \
	"$(jq -r 'select(.tags == ["owned:2"]).config.history[].comment' shown)"

# What newer versions of Docker leave to containerd goes by index.json.
ctr_address=$daemon/exec/containerd/containerd.sock
[ -S "$ctr_address" ] || ctr_address=/run/containerd/containerd.sock
in_ctr() { ctr -a "$ctr_address" -n dt-merge-test images "$@"; }
ok 'containerd imports it' in_ctr import --no-unpack merged.tar
is 'containerd has all of them' "$(in_ctr ls -q | sort)" \
	"$(sed -E 's,^([^/]*)$,library/\1,; s,^,docker.io/,' names | sort)"
is 'containerd: the manifests' "$(in_ctr ls | awk 'NR > 1 { print $3 }' | sort)" "$(jq -r .manifest shown | sort)"
in_ctr ls -q | while read -r i; do in_ctr rm "$i"; done >/dev/null

ok 'podman loads it' in_podman load -q -i merged.tar
is 'podman: image IDs' "$(for i in "${name[@]}"; do podman_id "$i"; done)" "$(cat ids)"
ok 'podman runs one of them' in_podman run --rm hello:1
is 'podman runs one of them: hello' "$(cat out)" 'Hello, world!'

for i in 0 1 2; do
	skopeo inspect --config --raw "docker-archive:merged.tar:${name[i]}" | sha256sum | sed 's/ .*//; s/^/sha256:/' >>by-name
	skopeo inspect --config --raw "docker-archive:merged.tar:@$i" | sha256sum | sed 's/ .*//; s/^/sha256:/' >>by-number
	skopeo inspect --config --raw "oci-archive:merged.tar:${name[i]##*:}" | sha256sum | sed 's/ .*//; s/^/sha256:/' >>by-tag
done
same 'skopeo: by name' by-name ids
same 'skopeo: by number' by-number ids
same 'skopeo: as an OCI archive, by tag' by-tag ids
ok 'skopeo copies one of them' skopeo copy -q --insecure-policy docker-archive:merged.tar:owned:2 oci:layout:2
(cd layout/blobs/sha256 && sha256sum -- *) | awk '$1 != $2' >wrong
is 'skopeo: all blobs bear their digests' "$(cat wrong)" ''

# --- archives of other tools ---

dt-merge saved.tar >from-docker.tar
archive images from-docker.tar >shown
is 'an archive of docker save: images and names' "$(jq -c '[.id, .tags[]]' shown | sort)" \
	"$(paste -d ' ' ids names | sed -n '1p;3p' | jq -Rc 'split(" ")' | sort)"
# docker save writes several images in an order that differs from run to run.
is 'an archive of docker save: in its order' "$(jq -r .id shown)" \
	"$(tar -xOf saved.tar manifest.json | jq -r '.[].Config | "sha256:" + .[:64]')"
in_podman save -q --multi-image-archive -o several.tar "${name[0]}" "${name[1]}" 2>/dev/null
in_podman save -q --format oci-archive -o oci.tar owned:2 2>/dev/null
ok 'archives of podman' dt-merge several.tar oci.tar
mv out from-podman.tar
archive images from-podman.tar >shown
oci_manifest=$(tar -xOf oci.tar index.json | jq -r '.manifests[0].digest' | tr : /)
is 'archives of podman: images' "$(jq -r .id shown)" \
	"$(head -n 2 ids; tar -xOf oci.tar "blobs/$oci_manifest" | jq -r .config.digest)"
is 'archives of podman: names' "$(jq -r '.tags[]' shown | sed 's,.*/,,')" "$(sed 's,.*/,,' names)"
skopeo copy -q --insecure-policy oci-archive:merged.tar:2 oci-archive:skopeo.tar:docker.io/library/owned:2
ok 'Docker and skopeo, merged' dt-merge from-docker.tar bash.tar skopeo.tar
archive images out >shown
is 'Docker and skopeo, merged: each image once' "$(jq -r .id shown | sort)" "$(sort ids)"
is 'Docker and skopeo, merged: names' "$(jq -r '.tags[]' shown | sort)" "$(sort names)"

# --- names that move, images without a name ---

no_images
dt-manifest --name hello --tag 1 <owned.layers >moved.tar
dt-merge hello.tar.gz bash.tar moved.tar >merged2.tar 2>err
is 'a name that two images have: a warning' "$(cat err)" \
	'dt-merge: moved.tar: hello:1 also names an image in hello.tar.gz; the last image gets the name'
for file in hello.tar.gz moved.tar; do docker load -q <"$file" >/dev/null 2>&1; done
moved=$(docker_id hello:1)
is 'a name that two images have: Docker gives it to the last one' "$moved" "$(archive show moved.tar | jq -r .id)"
no_images
ok 'docker loads an image without a name' on merged2.tar docker load -q
is 'a name that two images have: as when they are loaded one by one' "$(docker_id hello:1)" "$moved"
says 'the image without a name' 'Hello, world!' in_docker "$(head -n 1 ids)"
no_images
in_podman rmi -af >/dev/null 2>&1
ok 'podman loads an image without a name' in_podman load -q -i merged2.tar
is 'podman: the image without a name' "$(podman_id "$(head -n 1 ids | sed 's/sha256://')")" "$(head -n 1 ids)"
is 'skopeo: the image without a name' \
	"sha256:$(skopeo inspect --config --raw docker-archive:merged2.tar:@0 | sha256sum | cut -d ' ' -f 1)" "$(head -n 1 ids)"
ok 'containerd imports what has names' in_ctr import --no-unpack merged2.tar
is 'containerd: that is two images' "$(in_ctr ls -q | wc -l)" 2
in_ctr ls -q | while read -r i; do in_ctr rm "$i"; done >/dev/null

# --- exported ---

docker load -q <owned.tar >/dev/null
docker export "$(docker create owned:2 none)" >docker.tar
echo '{"fromImage": "owned.tar.zst", "diskSize": 2048}' >export.json
ok '[46] an image is exported' dt-export-image export.json
mv out exported.tar
is '[46] its files are listed' "$(tar -tf exported.tar | grep -xF "${bash#/}/bin/bash")" "${bash#/}/bin/bash"
cat >tree.py <<'END'
"""Prints what is in a tar, but for what Docker puts into a container and where."""
import hashlib, re, sys, tarfile
added = re.compile(r'(dev|proc|sys|etc|\.dockerenv)(/|$)')
tar = tarfile.open(sys.argv[1])
for m in sorted(tar.getmembers(), key=lambda m: m.name):
    if not added.match(m.name):
        sha256 = hashlib.sha256(tar.extractfile(m).read()).hexdigest() if m.isreg() else ''
        print(ascii(m.name), m.type, oct(m.mode & 0o7777), m.uid, m.gid, m.size, ascii(m.linkname), int(m.mtime), sha256)
END
/usr/bin/python3 tree.py docker.tar >want
/usr/bin/python3 tree.py exported.tar >got
is 'there is much in it' "$([ "$(wc -l <got)" -gt 100 ] && echo yes)" yes
same 'it is what docker export gives' got want
ok 'docker imports it' on exported.tar docker import - imported:1
says 'docker runs what it imported' theirs in_docker imported:1 "$bash/bin/bash" -c 'read x </srv/deep/file; echo $x'
echo '{"fromImage": "merged.tar", "fromImageName": "owned", "fromImageTag": "2"}' >export.json
ok 'an image of several is exported' dt-export-image export.json
same 'an image of several is exported: the same' out exported.tar
docker ps -aq | xargs -r docker rm -f >/dev/null
stop_dockerd

finish
