#!/usr/bin/env bash
# Base images by reference: an image on top of a base of which the builder has only the documents.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2094,SC2154,SC2317 # start_registry sets $r; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
. "$t_dir/docker.sh"
need skopeo jq docker
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
start_registry r
cd "$T" || exit 1
mkdir bin
podman_in bin
PATH=$T/bin:$PATH

mkdir -p base/bin base/etc big own/etc
cp /bin/busybox base/bin/sh
echo base >base/etc/base
head -c 3000000 /dev/urandom >big/big
echo own >own/etc/own
{ dt-root --tree base && dt-root --tree big; } | dt-manifest --name base --tag 1 >base.tar
dt-root --tree own >own.layers
printf '{"Cmd":["/bin/sh","-c","cat /etc/base /etc/own; wc -c </big"]}' >config.json
layers=$(dt-inspect base.tar | jq -r '.layers[]')
push() { dt-push --tls-verify=false "$r/$1" <"$2"; }
# all_of FILE: what of an image is the same whatever its archive lacks
all_of() { dt-inspect "$1" | jq -c 'del(.absent, .blobs, .manifest)'; }

for format in gz zstd; do
	dt-push --compress "$format" --tls-verify=false "$r/base:$format" <base.tar >pushed
	digest=sha256:$(raw "base:$format" | sha256sum | cut -d ' ' -f 1)
	from=$(stat -c %s r.log)
	ok "$format: dt-pull --thin" pull --thin --name base --tag 1 "$r/base@$digest"
	cp out thin
	blobs=$(tail -c +$((from + 1)) r.log | grep -c '"GET /v2/[^ ]*/blobs/')
	is "$format: asks for the configuration at most" "$((blobs <= 1))" 1
	is "$format: the image is the base" "$(all_of thin)" "$(all_of base.tar)"
	is "$format: all layers are absent" "$(dt-inspect thin | jq -r '.absent[]')" "$layers"
	is "$format: the archive is small" "$(($(stat -c %s thin) < 20000))" 1
	manifest=$(dt-inspect thin | jq -r .manifest | cut -d : -f 2)
	is "$format: its manifest has the descriptors of the registry" \
		"$(tar xOf thin "blobs/sha256/$manifest" | jq -c '.layers')" "$(raw "base:$format" | jq -c .layers)"

	on own.layers dt-manifest --name app --tag 1 --config config.json --from thin >app
	on own.layers dt-manifest --name app --tag 1 --config config.json --from base.tar >whole
	is "$format: an image on it is the one on the complete base" "$(all_of app)" "$(all_of whole)"
	is "$format: it lacks the base's layers" "$(dt-inspect app | jq -r '.absent[]')" "$layers"
	cat thin own.layers | dt-manifest --name app --tag 1 --config config.json >by-cat
	same "$format: as with cat" by-cat app
	for wanted in 'dt-flatten app' 'dt-root --from thin --tree own' 'dt-merge app'; do
		# shellcheck disable=SC2086 # words
		fails 1 "a thin archive, without layer 1, sha256:[0-9a-f]{64}" "$format: $wanted" $wanted
	done

	ok "$format: the repository of the base has its layers" push "base:app-$format" app
	is "$format: so only the new layer is sent" "$(($(sed -n 's/^sent //p' out) < 20000))" 1
	is "$format: the base's blobs are the same" "$(raw "base:app-$format" | jq -c '.layers[:2]')" "$(raw "base:$format" | jq -c .layers)"
	pull --format dt --name app --tag 1 "$r/base@sha256:$(raw "base:app-$format" | sha256sum | cut -d ' ' -f 1)" >back
	is "$format: pulled back it is the image" "$(all_of back)" "$(all_of whole)"
	dt-flatten back >back.files
	dt-flatten whole >whole.files
	same "$format: with the same files" back.files whole.files
	fails 1 'does not have|is not in' "$format: a repository without the base" push "other-$format/app:1" app
	ok "$format: can mount the layers" on app dt-push --tls-verify=false --mount-from base "$r/other-$format/app:1"
done

cp thin base.thin
fails 2 '--thin does not' 'a hash is of a complete archive' pull --thin --sha256 '' "$r/base@$digest"
fails 2 '--thin does not' 'so is --print' pull --thin --print hash "$r/base@$digest"

# --- an engine that has the base ---
start_dockerd
ok 'docker has the base' docker load -q -i base.tar
ok 'docker loads the image without it' docker load -q -i app
says 'docker: the program' $'base\nown\n3000000' in_docker app:1

# --- engines that have pulled the base from the registry ---
docker rmi -f app:1 base:1 >/dev/null 2>&1
start_containerd
echo '{}' >"$D/config.json" # podman reads that of Docker, which must exist
dt-push --tls-verify=false "$r/base:pulled" <base.tar >/dev/null
digest=sha256:$(raw base:pulled | sha256sum | cut -d ' ' -f 1)
pull --thin --name base --tag 1 "$r/base@$digest" >thin
dt-manifest --name app --tag 1 --config config.json --from thin <own.layers >app
own=$(dt-inspect app | jq '.blobs[-1].size')
for engine in docker containerd podman; do
	fails 1 "layer sha256:[0-9a-f]{64} is not in the archive, and $engine does not have it" "$engine lacks the base" dt-load --engine "$engine" app
done
ok 'docker pulls the base' docker pull -q "$r/base@$digest"
ok 'containerd pulls it' ctr images pull --plain-http "$r/base@$digest"
ok 'podman pulls it' podman pull -q --tls-verify=false "$r/base@$digest"
for engine in docker containerd podman; do
	ok "$engine: dt-load" dt-load --engine "$engine" app
	is "$engine: only the new layer is sent" "$(grep '^sent' out)" "sent $own"
	ok "$engine: again" dt-load --engine "$engine" app
	is "$engine: nothing is sent" "$(grep '^sent' out)" 'sent 0'
done
says 'docker: the program of the loaded image' $'base\nown\n3000000' in_docker app:1
is 'containerd: the image is complete' "$(ctr images check -q name==docker.io/library/app:1)" docker.io/library/app:1
podman create --name made docker.io/library/app:1 >/dev/null
is 'podman: its files' "$(podman export made | tar -xO etc/base etc/own)" $'base\nown'
finish
