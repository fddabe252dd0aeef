#!/usr/bin/env bash
# Compressed images in Docker, podman and skopeo.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need jq podman skopeo

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
hello=$(awk '$1 == "hello" { print $2 }' "$small/roots")

echo "$hello" | dt-closure --store "$small" | dt-popularity | dt-layer --store "$small" |
	dt-manifest --name hello --tag 1 >"$T/hello.tar"
for format in gz zstd none; do
	dt-compress --format "$format" <"$T/hello.tar" >"$T/hello.$format"
done
ok 'it is more than one member of gzip' test "$(wc -c <"$T/hello.tar")" -gt 2000000
id=$("$t_dir/fixtures/archive.py" show "$T/hello.tar" | jq -r .id)
start_dockerd
major=$(docker version --format '{{.Server.Version}}' | cut -d . -f 1)

# loads FORMAT: Docker loads it, from a file and from a pipe, and runs it.
loads() {
	ok "docker loads it, $1" docker load -q -i "$T/hello.$1"
	is "docker loads it, $1: its name" "$(cat "$T/out")" 'Loaded image: hello:1'
	ok "docker runs it, $1" in_docker hello:1 "$hello/bin/hello"
	docker image rm -f hello:1 >/dev/null
	ok "docker loads it from a pipe, $1" on "$T/hello.$1" docker load -q
	docker image rm -f hello:1 >/dev/null
}
loads gz
loads none
if [ "$major" -lt 23 ]; then
	ok "docker $major does not know zstd" test ! "$(docker load -q -i "$T/hello.zstd" 2>/dev/null)"
else
	loads zstd
fi

# What a run that was truncated leaves is no image.
layers=$(($(wc -c <"$T/hello.tar") - 20000))
for format in gz zstd none; do
	head -c "$layers" "$T/hello.tar" | dt-compress --format "$format" 2>/dev/null >"$T/cut"
	is "an archive that is truncated, $format" "${PIPESTATUS[1]}" 1
	ok "docker refuses it, $format" test ! "$(docker load -q -i "$T/cut" 2>/dev/null)"
done
is 'no image is left of it' "$(docker images -q)" ''

for format in gz zstd; do
	ok "podman loads it, $format" in_podman load -q -i "$T/hello.$format"
	is "podman: its name, $format" "$(cat "$T/out")" 'Loaded image: docker.io/library/hello:1'
	is "podman: the same image, $format" "sha256:$(in_podman images -q --no-trunc | sed s/sha256://)" "$id"
	in_podman rmi -f hello:1 >/dev/null
	ok "skopeo copies it, $format" \
		skopeo copy -q --insecure-policy "oci-archive:$T/hello.$format" "oci:$T/layout:$format"
done
# skopeo 1.9 reads no docker-archive that gzip(1) compressed, not even of its own.
ok 'skopeo copies it as an archive of Docker, zstd' \
	skopeo copy -q --insecure-policy "docker-archive:$T/hello.zstd" "oci:$T/layout:docker"

finish
