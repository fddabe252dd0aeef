#!/usr/bin/env bash
# The examples of nixpkgs' manual, built by scripts/dockertools.nix in a sandbox, run in Docker.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154,SC2317 # an image's shell expands these; nix.sh sets some; what is passed on is run
. "$(dirname "$0")/lib.sh"
. "$t_dir/nix.sh"
. "$t_dir/docker.sh"
. "$t_dir/registry.sh"
need busybox jq podman zstd

make_packages
small=$N
start_dockerd
build_examples '"merged"' '"withDb1"' '"cost"' '"zstd"' '"onBaseAll"' '"topLayer"'
cd "$T" || exit 1

# loads NAME: loads the image of this example. Sets $image to its name.
loads() {
	local file=${built[$1]}
	if [[ $file == *.zst ]]; then # Docker 20.10 does not read it
		zstd -dqf "$file" -o image.tar
		file=image.tar
	elif [ "$(head -c 2 "$file" 2>/dev/null | tr -d '\0')" = '#!' ]; then
		in_nix "${file#"$N"}" >image.tar
		file=image.tar
	fi
	ok "$1: docker loads it" docker load -q -i "$file"
	image=$(sed -n 's/^Loaded image: //p' "$T/out")
}
hello=$'Hello, world!'
for name in hello now layered streamed; do
	loads "$name"
	says "$name" "$hello" in_docker "$image"
done
loads links
says 'links' "$hello" in_docker "$image" /bin/hello
loads layeredOnBase
says 'on a base image' "$hello" in_docker "$image" /bin/hello
loads onBase
says 'on a base image: its shell and variables' 'base 2' in_docker "$image" /bin/sh -c 'echo $FROM $B'
loads environment
says 'environment helpers' 'root:x:0:0:root user:/var/empty:/bin/sh' in_docker "$image" /usr/bin/env sh -c 'read -r line </etc/passwd && echo "$line" && [ -s /etc/ssl/certs/ca-certificates.crt ]'
loads nss
says 'users of an environment' 'uid' in_docker -u nobody "$image" /bin/sh -c 'while read -r key id _; do [ "$key$id" != Uid:65534 ] || echo uid; done </proc/self/status'
loads shadow
ok 'shadowSetup and useradd' docker create --name shadow "$image" x
docker cp shadow:/etc/passwd - | tar -xO >passwd
like 'shadowSetup and useradd: the user' passwd '^redis:x:[0-9]*:[0-9]*::'
is 'its directory' "$(docker cp shadow:/data - | tar -tv --numeric-owner | awk '{ print $2 }')" \
	"$(awk -F : '$1 == "redis" { print $3 "/" $4 }' passwd)"
is 'its shell is that of nixpkgs' "$(sed -n 's/^root:.*://p' passwd)" "$(root bash)/bin/bash"
loads redis
is 'redis' "$image" redis:latest
redis_answers() { docker logs redis | grep -q 'Ready to accept connections'; }
ok 'redis starts' docker run -d --name redis --network=none redis:latest
ok 'redis answers' answers redis_answers
is 'redis works in /data' "$(docker inspect redis | jq -r '.[0].Config.WorkingDir')" /data
docker rm -fv redis >/dev/null
docker import "${built[export]}" exported:1 >/dev/null
says 'exportImage' "$hello" in_docker exported:1 "$(root hello)/bin/hello"
loads sandboxed
says 'commands as root, and the owner of the store' '1000' in_docker "$image" "$(root hello)/bin/hello" -g 1000

# --- the image of a nix-shell ---

loads nixShell
says 'buildDerivation' "$hello" in_docker "$image" bash -c 'buildDerivation && read -r line <"$out/said" && echo "$line"'
loads shellRun
says 'run' "said: $hello" in_docker "$image"

loads shellStructured
says 'structured attributes' "$(root hello)/bin/hello" in_docker "$image" bash -c 'buildDerivation && read -r line </nix/store/*-structured && echo "$line/bin/hello"'

ok 'runAsRoot makes the same bytes again' builds "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).redis" --check

# --- pullImage ---

# A builder of a fixed output has the network of the machine. Nix accepts no such output that mentions store paths of
# the builder, so this image has no store paths.
start_registry registry
mkdir -p tree/bin
cp "$(type -P busybox)" tree/bin/busybox
echo FROM=base >tree/it
echo '{"Env": ["FROM=base"], "Cmd": ["/bin/busybox", "cat", "/it"]}' >config.json
dt-root --tree tree | dt-manifest --name nixos/nix --tag 2.11.1 --config config.json >nix.tar
ok 'a registry has an image' on nix.tar dt-push --tls-verify false "$registry/nixos/nix:2.11.1"
dt-prefetch-image --tls-verify false --quiet --json --final-image-name nix "$registry/nixos/nix" 2.11.1 >prefetched
pull="pkgs.dockerTools.pullImage {
	imageName = \"$registry/nixos/nix\";
	imageDigest = $(jq .imageDigest prefetched);
	finalImageName = \"nix\";
	finalImageTag = \"2.11.1\";
	sha256 = $(jq .hash prefetched);
	os = \"linux\";
	arch = \"x86_64\";
	tlsVerify = false;
}"
ok 'pullImage, and an image on it' builds "rec {
	pulled = $pull;
	onPulled = pkgs.dockerTools.buildImage { name = \"on-pulled\"; tag = \"1\"; fromImage = pulled; config.Cmd = [ \"\${pkgs.hello}/bin/hello\" ]; };
}"
mapfile -t paths <"$T/out"
for path in "${paths[@]}"; do built[${path#*-docker-image-}]=$N$path; done
loads nix-2.11.1.tar
is 'pullImage: the name' "$image" nix:2.11.1
says 'pullImage' 'FROM=base' in_docker "$image"
loads on-pulled.tar.gz
says 'on a pulled image' "$hello" in_docker "$image"
says 'on a pulled image: its files and variables' 'base' in_docker "$image" /bin/busybox sh -c 'grep -q "FROM=$FROM" /it && echo $FROM'

# --- load ---

load=$(builds "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).layered.load")
docker image ls -q hello | sort -u | xargs docker rmi -f >/dev/null
ok 'load' in_nix "$load/bin/load" --engine docker
tag=$(evaluates "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).layered.imageTag" | jq -r .)
says 'load: the image' "$hello" in_docker "hello:$tag"
copy=$(builds "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).layered.copyTo")
ok 'copyTo docker-daemon:NAME:TAG' in_nix "$copy/bin/copy-to" docker-daemon:foo:2
says 'copyTo docker-daemon:NAME:TAG: the image' "$hello" in_docker foo:2
podman_in "$T"
engine() { PATH=$T:$PATH in_nix "$@"; }
ok 'copyTo containers-storage:NAME:TAG' engine "$copy/bin/copy-to" containers-storage:foo:3
says 'copyTo containers-storage:NAME:TAG: the image' "$hello" in_podman run --rm foo:3
ok 'copyTo containers-storage:' engine "$copy/bin/copy-to" containers-storage:
ok 'copyTo containers-storage: the image has its own name' in_podman image exists "hello:$tag"
ok 'load again' in_nix "$load/bin/load" --engine docker
is 'load again: nothing is sent' "$(grep ^sent "$T/out")" 'sent 0'
finish
