#!/usr/bin/env bash
# What only Docker's configuration has, such as a Healthcheck, in every engine.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `ok` runs functions
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need jq podman skopeo ctr


mkdir "$T/tree"
echo hello >"$T/tree/hello"
echo '{"Cmd": ["/hello"], "Healthcheck": {"Test": ["CMD", "/hello", "now"], "Interval": 30000000000, "Retries": 5},
	"OnBuild": ["RUN x"], "Shell": ["/bin/ash", "-c"], "StopTimeout": 7}' >"$T/config.json"
dt-root --tree "$T/tree" | dt-manifest --name healthy --tag 1 --config "$T/config.json" >"$T/image.tar"
want=$(jq -cS '{Healthcheck, OnBuild, Shell}' "$T/config.json")
keys='{Healthcheck, OnBuild, Shell}'

# --- podman ---

ok 'podman loads it' in_podman load -q -i "$T/image.tar"
is 'podman: its name' "$(cat "$T/out")" 'Loaded image: docker.io/library/healthy:1'
in_podman image inspect healthy:1 >"$T/inspected"
is 'podman: the Healthcheck' "$(jq -cS '.[0].Healthcheck' "$T/inspected")" "$(jq -cS .Healthcheck "$T/config.json")"
ok 'podman makes a container' in_podman create --name c healthy:1
is "podman: the container's Healthcheck" "$(in_podman container inspect c | jq -c '.[0].Config.Healthcheck | [.Test, .Interval]')" \
	"$(jq -c '.Healthcheck | [.Test, .Interval]' "$T/config.json")"
in_podman rm c >/dev/null 2>&1 # it reports that there is no systemd
ok 'podman loads it as an OCI archive' in_podman pull -q "oci-archive:$T/image.tar"
in_podman save -q --format docker-archive -o "$T/saved.tar" healthy:1
ok 'what podman saves is a base' dt-inspect "$T/saved.tar"
is 'what podman saves: all of the configuration' "$(jq -cS ".image.config | $keys" "$T/out")" "$want"

# --- skopeo ---

for from in docker-archive oci-archive; do
	ok "skopeo inspects it as $from:" skopeo inspect --config --raw "$from:$T/image.tar"
	is "skopeo, $from: all of the configuration" "$(jq -cS ".config | $keys" "$T/out")" "$want"
	rm -rf "$T/dir"
	ok "skopeo copies it from $from: to dir:" skopeo copy -q --insecure-policy "$from:$T/image.tar" "dir:$T/dir"
	is "skopeo, $from: to dir: a manifest of Docker's" "$(jq -r .mediaType "$T/dir/manifest.json")" \
		application/vnd.docker.distribution.manifest.v2+json
done

# --- Docker and containerd ---

start_dockerd
ok 'docker loads it' on "$T/image.tar" docker load -q
is 'docker: its name' "$(cat "$T/out")" 'Loaded image: healthy:1'
is 'docker: all of the configuration' "$(docker image inspect --format '{{json .Config}}' healthy:1 | jq -cS "$keys")" "$want"
address=$daemon/exec/containerd/containerd.sock
[ -S "$address" ] || address=/run/containerd/containerd.sock
ok 'containerd imports it' ctr -a "$address" -n dt-types images import --no-unpack "$T/image.tar"
ok 'containerd finds it complete' ctr -a "$address" -n dt-types images check -q
is 'containerd finds it complete: its name' "$(cat "$T/out")" docker.io/library/healthy:1
ctr -a "$address" -n dt-types images rm docker.io/library/healthy:1 >/dev/null

finish
