# Cases for t/fault/killed: each script with small inputs. Source it after lib.sh, and call make_cases first. $jobs is
# the number of runs at the same time. If $only is not empty, only calls of these programs are killed, "NAME,NAME".
# shellcheck shell=bash disable=SC2016,SC2154 # jq and other shells expand these; lib.sh sets t_dir

# make_cases: makes a store with a shell, its library, and a program that needs both; and the specifications.
make_cases() {
	need jq bwrap fakeroot setpriv busybox bsdtar python3
	chmod 755 "$T"
	library=/nix/store/00000000000000000000000000000001-library-1.0
	bash=/nix/store/00000000000000000000000000000002-bash-5.2
	older=/nix/store/00000000000000000000000000000003-bash-5.1
	app=/nix/store/00000000000000000000000000000004-app-1.0
	mkdir -p "$T/store$library" "$T/store$bash/bin" "$T/store$older/bin" "$T/store$app/bin" "$T/dir/sub"
	mkdir -m 1777 "$T/tmp"
	echo library >"$T/store$library/library"
	echo "$library" >"$T/store$bash/bin/bash"
	echo "$library" >"$T/store$older/bin/bash"
	echo "$bash $older" >"$T/store$app/bin/app"
	echo "$app" >"$T/dir/sub/file"
	export TMPDIR=$T/tmp
	store=(--store "$T/store")
	spec layered '{name: "x", tag: "t", contents: [$app, "fakeNss", "binSh", $T + "/dir"], includeNixDB: true,
		config: {Cmd: [$app + "/bin/app"]}, extraCommands: ": >a", compressor: "none"}'
	spec plain '{name: "x", tag: "t", contents: $app}'
	spec fake '{name: "x", tag: "t", contents: $app, fakeRootCommands: ": >a; chown 1:1 a"}'
	spec chroot '{name: "x", tag: "t", contents: $app, fakeRootCommands: ": >a", enableFakechroot: true}'
	spec image '{name: "x", tag: "t", copyToRoot: ["binSh", {paths: [$app], pathsToLink: ["/bin"]}, $T + "/dir"],
		config: {Cmd: [$app]}, extraCommands: ": >a", includeNixDB: true}'
	spec root '{name: "x", tag: "t", copyToRoot: [$app], runAsRoot: "echo x >/x", extraCommands: ": >a"}'
	spec base '{name: "y", tag: "t", contents: $app, fromImage: ($T + "/one.tar"), config: {Cmd: ["/x"]}}'
	spec merge '{images: [$T + "/one.tar", $T + "/two.tar"]}'
	spec export '{fromImage: ($T + "/one.tar")}'
	"$top/scripts/dt-stream-layered-image" "${store[@]}" "$T/plain.json" >"$T/one.tar"
	"$top/scripts/dt-stream-layered-image" "${store[@]}" "$T/base.json" >"$T/two.tar"
	"$top/scripts/dt-stream-layered-image" "${store[@]}" --prepare "$T/prepared" "$T/plain.json"
	dt-inspect "$T/one.tar" | jq -r '.layers[0]' >"$T/layers"
	local env='("env1","a"),("env2","b"),("passAsFile","env1 env2")'
	local attributes='{\"list\":[1,2],\"name\":\"x\"}'
	derivation passed "$env"
	derivation structured "(\"__json\",\"$attributes\")"
}

# spec NAME JQ-OBJECT: makes $T/NAME.json.
spec() { jq -n --arg app "$app" --arg bash "$bash" --arg T "$T" "$2" >"$T/$1.json"; }

# derivation NAME ENVIRONMENT: makes $T/NAME.json, the specification for dt-build-nix-shell-image, and its derivation.
derivation() {
	printf 'Derive([("out","%s","","")],[],["%s"],"any","%s/bin/bash",[],[%s])' "${app}x" "$app" "$bash" "$2" >"$T/$1.drv"
	jq -n --arg drv "$T/$1.drv" '{drv: $drv}' >"$T/$1.json"
}

# killed CASE [OPTION]... SCRIPT ARG...: the case CASE of this script, which is found in scripts/ unless its name has a slash.
killed() {
	local name=$1 options=(--only="${only-}") script
	shift
	while [[ $1 == --* ]]; do
		options+=("$1")
		shift
	done
	script=$1
	[[ $script == */* ]] || script=$top/scripts/$script
	"${around[@]}" "$t_dir/fault/killed" --jobs "${jobs:-1}" "${options[@]}" "$name" "${user[@]}" "$BASH" "$script" "${@:2}"
}
user=() around=()

case_build_layered_image() { killed build_layered_image dt-build-layered-image "${store[@]}" -o @dir/out "$T/layered.json"; }
case_stream_layered_image() { killed stream_layered_image dt-stream-layered-image "${store[@]}" "$T/base.json"; }
case_compressed() { killed compressed dt-stream-layered-image --compress "${store[@]}" "$T/plain.json"; }
case_fakeroot() { killed fakeroot dt-stream-layered-image "${store[@]}" -o @dir/out "$T/fake.json"; }
# The chroot has no wrappers of the programs in it.
case_chroot() { killed chroot --skip=env,bash dt-stream-layered-image "${store[@]}" -o @dir/out "$T/chroot.json"; }
case_user() {
	local user=(/usr/bin/env "HOME=$T/tmp" "DT_CACHE=$T/tmp/cache" "$(type -P setpriv)" --reuid=30590 --regid=30590 --clear-groups)
	killed user dt-stream-layered-image "${store[@]}" "$T/fake.json"
}
case_prepare() { killed prepare dt-stream-layered-image "${store[@]}" --prepare @dir/new "$T/base.json"; }
case_prepared() { killed prepared dt-stream-layered-image "${store[@]}" -o @dir/out "$T/prepared"; }
case_thin() { killed thin dt-stream-layered-image "${store[@]}" --only "$T/layers" "$T/prepared"; }
case_build_args() { killed build_args --text dt-stream-layered-image --print-build-args "$T/plain.json"; }
case_version() { killed version --text dt-merge-images --version; }
case_build_image() { killed build_image dt-build-image "${store[@]}" -o @dir/out "$T/image.json"; }
case_run_as_root() { DT_BACKEND=userns killed run_as_root dt-build-image "${store[@]}" "$T/root.json"; }
case_nix_shell() { killed nix_shell dt-build-nix-shell-image "${store[@]}" -o @dir/out "$T/passed.json"; }
case_nix_shell_attributes() { killed nix_shell_attributes dt-stream-nix-shell-image "${store[@]}" "$T/structured.json"; }
case_merge() { killed merge dt-merge-images "$T/merge.json"; }
case_export() { killed export dt-export-image -o @dir/out "$T/export.json"; }
# Status 1 means that the images differ.
case_diff() {
	printf '%q %q -o "$1" %q %q || [ $? -eq 1 ]\n' "$BASH" "$top/scripts/dt-diff" "$T/one.tar" "$T/two.tar" >"$T/dt-diff"
	killed diff "$T/dt-diff" @dir/out
}
case_sbom() {
	printf '%s\n' "$library 1" "$app 1 $library" >"$T/sbom.graph"
	printf '%q %q "$@" <%q\n' "$BASH" "$top/scripts/dt-sbom" "$T/sbom.graph" >"$T/dt-sbom"
	killed sbom "$T/dt-sbom" -o @dir/out
}
case_bin_sh() { killed bin_sh dt-env-helper -o @dir/out binSh; }
case_certificates() { killed certificates dt-env-helper caCertificates; }
case_nss() { killed nss dt-env-helper --directory @dir/new fakeNss; }
case_shadow_setup() { killed shadow_setup --text dt-env-helper shadowSetup; }
# The other cases kill the programs of dt-stream-layered-image.
case_doctor() {
	DOCKER_HOST=unix://$T/none CONTAINERD_ADDRESS=$T/none REGISTRY_AUTH_FILE='' DT_CACHE=$T/cache \
		killed doctor --report --text --opaque=dt-stream-layered-image dt-doctor "${store[@]}"
}
case_package() { killed package dt-env-helper "${store[@]}" --package "$bash" binSh; }

# --- registries ---

# make_registry: starts a registry with an image, once.
make_registry() {
	[ -z "${r-}" ] || return 0
	# shellcheck source=t/registry.sh
	. "$t_dir/registry.sh"
	unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
	start_registry r
	start_registry target
	dt-push --tls-verify=false "$r/app:1" <"$T/one.tar" >"$T/pushed"
	local digest
	digest=$(dt-pull --tls-verify=false --print digest -- "$r/app:1")
	jq -n --arg name "$r/app" --arg digest "$digest" '{imageName: $name, imageDigest: $digest, tlsVerify: false}' >"$T/pull.json"
	# The cases send app:1 to the registry $target, which is empty before each run.
	reset=(--before="rm -rf '$T/target.data/docker'" --after="dt-pull --tls-verify=false --print digest -- '$target/app:1'")
}

case_pull_image() { make_registry && killed pull_image dt-pull-image --ignore-hash -o @dir/out "$T/pull.json"; }
case_prefetch_image() { make_registry && killed prefetch_image --text dt-prefetch-image --tls-verify false --json "$r/app" 1; }

# --- executables of dockertools.nix ---

# nix_case NAME [OPTION]... ARG...: a case that calls nix_image with these arguments, with the store as /nix.
nix_case() {
	local name=$1 options=() around=("$t_dir/with-nix" "$T/store")
	shift
	while [[ $1 == --* ]]; do
		options+=("$1")
		shift
	done
	printf '. %q\nnix_image "$@"\n' "$top/scripts/lib/nix-image.bash" >"$T/dt-nix-image"
	killed "$name" "${options[@]}" "$T/dt-nix-image" "$@"
}

case_nix_stream() { nix_case nix_stream stream "$T/prepared" -t a:b; }
case_nix_stream_archive() { nix_case nix_stream_archive stream "$T/one.tar"; }
case_nix_copy() { nix_case nix_copy copy "$T/prepared" docker-archive:@dir/out:a:b; }
case_nix_copy_oci() { nix_case nix_copy_oci copy "$T/prepared" oci-archive:@dir/out:b; }
case_nix_facts() { nix_case nix_facts facts "$T/prepared"; }
case_nix_push() { make_registry && jobs=1 nix_case nix_push "${reset[@]}" push "$T/prepared" --tls-verify=false "$target/app:1"; }
case_nix_push_archive() { make_registry && jobs=1 nix_case nix_push_archive "${reset[@]}" push "$T/one.tar" --tls-verify=false "$target/app:1"; }
# The registry has the layers, but not the name.
case_nix_push_facts() {
	make_registry
	tr '\000-\177\200-\377' '\200-\377\000-\177' <"$T/prepared/thin.tar" >"$T/facts"
	dt-push --tls-verify=false "$target/app:2" <"$T/one.tar" >"$T/pushed"
	reset[0]="--before=rm -rf '$T/target.data/docker/registry/v2/repositories/app/_manifests/tags/1'"
	jobs=1 nix_case nix_push_facts "${reset[@]}" push-facts "$T/facts" --tls-verify=false "$target/app:1"
}

# --- engines ---

# make_engines: starts a Docker daemon and containerd, and finds a podman with images of its own, once. Docker and
# podman have the base image of $T/two.tar.
make_engines() {
	[ -z "${engines-}" ] || return 0
	# shellcheck source=t/docker.sh
	. "$t_dir/docker.sh"
	need docker podman ctr
	unset DOCKER_CONTEXT CONTAINERD_NAMESPACE KIND_CLUSTER_NAME
	start_dockerd
	start_containerd
	mkdir "$T/engines"
	podman_in "$T/engines"
	PATH=$T/engines:$PATH
	docker load -q <"$T/one.tar" >/dev/null
	podman load -q <"$T/one.tar" >/dev/null
	dt-flatten "$T/one.tar" >/dev/null
	engines=true
}

# cli_case ENGINE: loads an image whose base image the engine has.
cli_case() {
	make_engines && jobs=1 killed "$1" --before="$1 rmi -f y:t >/dev/null 2>&1 || :" \
		--after="$1 image inspect --format '{{.Id}}' y:t" --text dt-load --engine "$1" --all-images "$T/two.tar"
}
case_nix_copy_docker() {
	make_engines && jobs=1 nix_case nix_copy_docker --before='docker rmi -f z:t >/dev/null 2>&1 || :' \
		--after="docker image inspect --format '{{.Id}}' z:t" copy "$T/prepared" docker-daemon:z:t
}
case_load_docker() { cli_case docker; }
case_load_podman() { cli_case podman; }
case_load_containerd() {
	make_engines && jobs=1 killed containerd --before='ctr images rm docker.io/library/x:t >/dev/null 2>&1 || :' \
		--after='ctr images ls' --text dt-load --engine containerd "${store[@]}" "$T/plain.json"
}
