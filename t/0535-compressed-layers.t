#!/usr/bin/env bash
# Images whose layers dt-compress compressed, and OCI image layouts, in podman, Docker and containerd.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need jq podman ctr docker zstd gzip python3 openssl

judge() { "$t_dir/fixtures/layout.py" "$1"; }
flat() { dt-flatten <"$1"; }

mkdir -p "$T"/{a/etc,b/opt}
echo one >"$T/a/etc/one"
openssl enc -aes-128-ctr -K 0 -iv 0 -nosalt -in <(head -c 5000000 /dev/zero) 2>/dev/null >"$T/b/opt/noise"
for n in a b; do dt-root --tree "$T/$n" --comment "layer $n" >"$T/$n.layer"; done
echo '{"Cmd": ["/x"], "Env": ["A=1"]}' >"$T/config"
for format in dt oci; do
	cat "$T"/{a,b,a}.layer | dt-manifest --name x --tag 1 --config "$T/config" --format "$format" >"$T/$format"
done
mv "$T/dt" "$T/x.tar"
for format in gz zstd; do
	dt-compress --layers --format "$format" <"$T/x.tar" >"$T/x.$format"
	dt-compress --layers --format "$format" <"$T/oci" >"$T/oci.$format"
done
judge "$T/x.tar" >"$T/x.json"
flat "$T/x.tar" >"$T/x.flat"

# --- podman ---

for format in gz zstd; do
	ok "podman loads it, $format" in_podman load -q -i "$T/x.$format"
	is "podman loads it, $format: its name" "$(cat "$T/out")" 'Loaded image: docker.io/library/x:1'
	is "podman loads it, $format: its ID" "sha256:$(in_podman images -q --no-trunc | sed s/sha256://)" "$(jq -r .id "$T/x.json")"
	mounted=$(in_podman image mount x:1)
	ok "podman, $format: what is in it" cmp "$mounted/opt/noise" "$T/b/opt/noise"
	in_podman image unmount x:1 >/dev/null
	in_podman rmi -f x:1 >/dev/null
	ok "podman pulls the OCI layout, $format" in_podman pull -q "oci-archive:$T/oci.$format"
	is "podman pulls the OCI layout, $format: its ID" "sha256:$(cat "$T/out")" "$(jq -r .id "$T/x.json")"
	in_podman rmi -af >/dev/null
done
# Docker's media types have none for zstd that podman knows. It reads the half of Docker then.
echo '{"Healthcheck": {"Test": ["CMD", "/x"]}}' >"$T/health"
dt-manifest --name health --tag 1 --config "$T/health" <"$T/a.layer" >"$T/health.tar"
for format in gz zstd; do
	dt-compress --layers --format "$format" <"$T/health.tar" >"$T/health.$format"
	is "Docker's media types, $format" "$(judge "$T/health.$format" | jq -r '.layers[][0]')" ".${format/gz/gzip}"
	ok "podman loads a Healthcheck, $format" in_podman load -q -i "$T/health.$format"
	is "podman has the Healthcheck, $format" "$(in_podman image inspect health:1 | jq -c '.[0].Healthcheck.Test')" '["CMD","/x"]'
	in_podman rmi -af >/dev/null
done

# --- Docker ---

start_dockerd
major=$(docker version --format '{{.Server.Version}}' | cut -d . -f 1)
# loads FORMAT: Docker loads it, and has the files.
loads() {
	ok "docker loads it, $1" docker load -q -i "$T/x.$1"
	is "docker loads it, $1: its name" "$(cat "$T/out")" 'Loaded image: x:1'
	is "docker loads it, $1: its ID" "$(docker image inspect --format '{{.Id}}' x:1)" "$(jq -r .id "$T/x.json")"
	docker save x:1 >"$T/saved.tar"
	same "docker, $1: the files" <(flat "$T/saved.tar") "$T/x.flat"
	docker image rm -f x:1 >/dev/null
}
loads gz
if [ "$major" -lt 23 ]; then
	fails 1 '^Error processing tar file' "docker $major does not know zstd, and says so" docker load -q -i "$T/x.zstd"
	is "docker $major has nothing of it" "$(docker images -aq)" ''
else
	loads zstd
fi
fails 1 "^dt-compress: stdin: (member '.*' does not belong to an image archive of dt|blob .* is an uncompressed layer of another|a thin archive, .* or one of another)" \
	'an archive of Docker' on "$T/saved.tar" dt-compress --layers
is 'an archive of Docker: no end' "$(ended "$T/out")" no
dt-merge - <"$T/saved.tar" | dt-compress --layers >"$T/converted"
same 'dt-merge converts an archive of Docker' <(flat "$T/converted") "$T/x.flat"

# --- containerd, which dockerd runs unless the machine has one ---

socket=$(find "$daemon/exec" -name containerd.sock -type s)
socket=${socket:-/run/containerd/containerd.sock}
in_ctr() { ctr -a "$socket" -n "dt-0535-$$" "$@"; }
for format in gz zstd; do
	for file in x oci; do
		ok "containerd imports $file, $format" in_ctr images import "$T/$file.$format"
		like "containerd imports $file, $format: all of it" <(in_ctr images check) '^docker.io/library/x:1 .* complete .* true'
		in_ctr images rm --sync docker.io/library/x:1 >/dev/null
	done
done
# The daemon may be another test's later.
in_ctr snapshots ls | awk 'NR > 1 { print $1 }' | tac | while read -r key; do in_ctr snapshots rm "$key"; done
is 'containerd: nothing is left' "$(ctr -a "$socket" namespaces rm "dt-0535-$$")" "dt-0535-$$"

finish
