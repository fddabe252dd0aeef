#!/usr/bin/env bash
# Specifications as users of nixpkgs write them: runAsRoot, links into the store, copies, base images.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2119,SC2120 # jq and the shells of specifications expand these
. "$(dirname "$0")/lib.sh"
need jq fakeroot bsdtar tar

export DT_BACKEND=userns TMPDIR=$T/tmp
mkdir "$T/tmp"
"$top/scripts/sample-store" "$T/s" >"$T/paths"
store_path() { grep -e "-$1\$" "$T/paths"; }
hello=$(store_path hello) busybox=$(store_path busybox) greeting=$(store_path greeting)
cd "$T" || exit 1

# builds DESCRIPTION JQ-OBJECT [SCRIPT]: image.tar is the image of the specification, `list` the files
# in it, and `flat` their tar.
builds() {
	jq -n --arg hello "$hello" --arg busybox "$busybox" --arg T "$T" '{name: "x", tag: "1"} + '"$2" >spec.json
	ok "$1" "${3:-dt-build-image}" --store "$T/s" spec.json
	mv out image.tar
	dt-flatten image.tar >flat
	tar -tf flat >list
	is "$1: no scratch directory is left" "$(ls -A tmp)" ''
}
# store_paths: the store paths in the image
store_paths() { sed -nE 's,^(nix/store/[^/]+)/?$,/\1,p' list | sort; }
file() { tar -xOf flat "$1"; }
all=$(sort paths)

# --- runAsRoot ---

builds 'runAsRoot runs a program that copyToRoot links to' \
	'{copyToRoot: {paths: [$hello], pathsToLink: ["/bin"]}, runAsRoot: "/bin/hello >/greeting"}'
same 'with all that it needs' <(file greeting) "s$greeting"
builds 'runAsRoot runs a program of the configuration' \
	'{config: {Cmd: ["\($hello)/bin/hello"]}, runAsRoot: ("\($hello)/bin/hello" | split("/") | .[-3] | "/nix/store/\(.)/bin/hello >/greeting")}'
same 'with all that it needs, too' <(file greeting) "s$greeting"

builds 'runAsRoot without an interpreter is for bash' '{runAsRoot: "a=(1 2)\n[[ ${a[1]} == 2 ]]\necho $LINENO >/line"}'
is 'its lines are numbered as in the specification' "$(file line)" 3
is 'bash is not in the layer' "$(grep -v '^\(dev\|proc\|sys\|line\)/\?$' list)" ''
fails_at() { # DESCRIPTION TEXT LINE
	jq -n --arg text "$2" '{name: "x", runAsRoot: $text}' >spec.json
	dt-build-image spec.json >out 2>err
	is "$1: status" "$?" 1
	like "$1: its line" err "$3"
	is "$1: no image" "$(wc -c <out)" 0
}
fails_at 'a command that is missing' $'true\nmissing-command' 'line 2: missing-command'
fails_at 'and in a script of sh' $'#!/bin/sh\ntrue\nmissing-command' 'line 3: missing-command'
fails_at 'the first command that fails ends a script of bash' $'false\nmissing-command' 'status 1'
fails_at 'and one of sh' $'#!/bin/sh\nfalse\nmissing-command' 'status 1'

# --- links, and other spellings of store paths ---

ln -s "$T/s$hello" result
builds 'copyToRoot is a symlink into the store' '{copyToRoot: "./result"}'
same 'its files are copied' <(file bin/hello) "s$hello/bin/hello"
is 'with the store paths that they need' "$(store_paths)" "$(printf '%s\n' "$greeting" "$busybox" | sort)"
cp image.tar of-link.tar
builds 'the same by its path' '{copyToRoot: $hello}'
same 'the same image' image.tar of-link.tar
builds 'the same by its path, with more slashes' '{copyToRoot: ("/nix//store/./" + ($hello | ltrimstr("/nix/store/")))}'
same 'the same image by that' image.tar of-link.tar

# --- what is copied, once ---

builds 'copies of a path that nothing refers to' '{copyToRoot: $busybox}'
is 'are at the root only' "$(store_paths)" ''
builds 'a path that the configuration mentions' '{copyToRoot: $busybox, config: {Cmd: [$busybox]}}'
is 'is at its place, too' "$(store_paths)" "$busybox"
builds 'a path that an environment links to' '{copyToRoot: {paths: [$hello], pathsToLink: ["/bin"]}}'
is 'is at its place, with all that it needs' "$(store_paths)" "$all"

# --- base images ---

cp image.tar base.tar
builds 'a layered image on a base image that has its store paths' '{fromImage: "\($T)/base.tar", contents: $hello}' dt-stream-layered-image
is 'has only the customisation layer above it' "$(dt-inspect image.tar | jq '.layers | length')" 2
is 'and all store paths' "$(store_paths)" "$all"
builds 'a base image that has some of them' '{compressor: "none", config: {Cmd: [$busybox]}}'
cp image.tar base.tar
builds 'a layered image on it' '{fromImage: "\($T)/base.tar", contents: $hello}' dt-stream-layered-image
is 'has all of them' "$(store_paths)" "$all"
is 'and stores none twice' "$(dt-inspect image.tar | jq -r '.image.history[1:][].comment' | grep -c busybox)" 0

# --- what is inherited ---

builds 'a base image with a configuration' '{compressor: "none", config: {Cmd: ["a"], Env: ["A=1"]}}'
cp image.tar base.tar
for script in dt-build-image dt-stream-layered-image; do
	builds "$script: on it" '{fromImage: "\($T)/base.tar", config: {Env: ["B=2"]}}' $script
	is "$script: inherits it" "$(dt-inspect image.tar | jq -c .image.config)" '{"Cmd":["a"],"Env":["A=1","B=2"]}'
	builds "$script: inheritConfig is false" '{fromImage: "\($T)/base.tar", config: {Env: ["B=2"]}, inheritConfig: false}' $script
	is "$script: inherits Env alone" "$(dt-inspect image.tar | jq -c .image.config)" '{"Env":["A=1","B=2"]}'
done

finish
