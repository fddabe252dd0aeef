#!/usr/bin/env bash
# --verbose: which decisions are printed, and why they were made.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need jq openssl
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
hex='[0-9a-f]{64}' time='[0-9]+\.[0-9] MB in [0-9]+\.[0-9] s'

# said WHAT REGEX COUNT: so many lines of the messages match. all_said WHAT COUNT: so many lines were tested.
said() {
	is "$1" "$(grep -Ec -- "$2" "$T/err")" "$3"
	lines=$((${lines:-0} + $3))
}
all_said() {
	is "$1: no other messages" "$(wc -l <"$T/err")" "$lines"
	lines=0
}

# --- dt-layer ---

for n in a b c; do
	path=$T$(store_path $n)
	mkdir -p "$path"
	echo "$n" >"$path/file"
	printf '%s\n' "${path#"$T"}"
done >"$T/plan"
settle "$T/nix"
layer() { on "$T/plan" dt-layer --store "$T" "$@"; }
layer >"$T/layers" 2>"$T/err"
is 'dt-layer without --verbose' "$(cat "$T/err")" ''
rm -r "$DT_CACHE"
ok 'dt-layer, no cache yet' layer --verbose
same 'dt-layer, no cache yet: the output is the same' "$T/out" "$T/layers"
said 'dt-layer, no cache yet: all layers are hashed' "^dt-layer: layer [123], sha256:$hex, 1 path: hashed: it is not in the cache, key [0-9a-f]{12}\$" 3
all_said 'dt-layer, no cache yet'
is 'dt-layer: in order' "$(sed -E 's/.*layer ([0-9]).*/\1/' "$T/err" | paste -sd ' ')" '1 2 3'
ok 'dt-layer again' layer --verbose
said 'dt-layer again: all digests are cached' "^dt-layer: layer [123], sha256:$hex, 1 path: cached, key [0-9a-f]{12}\$" 3
all_said 'dt-layer again'
while read -r key; do compgen -G "$DT_CACHE/layer-*/$key*" >/dev/null || echo "$key"; done < <(sed "s/.*key //" "$T/err") >"$T/none"
is 'dt-layer: the keys are those of the cache' "$(cat "$T/none")" ''
echo new >"$T$(sed -n 2p "$T/plan")/file"
settle "$T/nix"
ok 'dt-layer, one file is another' layer --verbose
said 'dt-layer, one file is another: two are cached' ': cached, key' 2
said 'dt-layer, one file is another: its layer is hashed' '^dt-layer: layer 2, .*: hashed: it is not in the cache, key' 1
all_said 'dt-layer, one file is another'
ok 'dt-layer --no-cache' layer --verbose --no-cache
said 'dt-layer --no-cache: the reason' ': hashed: the cache is off, key' 3
all_said 'dt-layer --no-cache'
for file in "$DT_CACHE"/layer-*/*; do printf 'x' >"$file"; done
ok 'dt-layer, damaged entries' layer --verbose
said 'dt-layer, damaged entries: hashed' ': hashed: it is not in the cache, key' 3
all_said 'dt-layer, damaged entries'
sed -n '3s/.*\(sha256:[0-9a-f]*\),.*/\1/p' "$T/err" >"$T/only"
ok 'dt-layer --only' layer --verbose --only "$T/only"
said 'dt-layer --only: two stubs' "^dt-layer: layer [12], .*: cached, key [0-9a-f]{12}; a stub: --only does not list it\$" 2
said 'dt-layer --only: one layer' "^dt-layer: layer 3, .*: cached, key [0-9a-f]{12}\$" 1
all_said 'dt-layer --only'
cp "$T/out" "$T/stubs"
ok 'dt-layer --digests' layer --verbose --only "$T/only" --digests "$T/stubs"
said 'dt-layer --digests: not read' ': not read: its digest is that of --digests; a stub' 2
said 'dt-layer --digests: the layer' '^dt-layer: layer 3, .*: cached, key' 1
all_said 'dt-layer --digests'
touch "$T$(sed -n 1p "$T/plan")/file"
ok 'dt-layer, a fresh file' layer --verbose
like 'dt-layer, a fresh file: the reason' "$T/err" '^dt-layer: layer 1, .*: hashed: it is not in the cache, key [0-9a-f]{12}(; not put into the cache: a file has just changed)?$'
lines=0

# --- other filters ---

ok 'dt-closure --scan' dt-closure --verbose --scan --store "$T" "$(head -n 1 "$T/plan")"
said 'dt-closure --scan: why' '^dt-closure: references are taken from the files: --scan$' 1
said 'dt-closure --scan: scanned' '^dt-closure: /nix/store/[0-9a-f]{32}-a: scanned, 0 references$' 1
all_said 'dt-closure --scan'
ok 'dt-root' dt-root --verbose --tree "$T/nix" --no-cache
said 'dt-root: hashed' "^dt-root: layer sha256:$hex: hashed: the cache is off, key [0-9a-f]{12}" 1
all_said 'dt-root'
dt-manifest --name x --tag 1 --arch amd64 <"$T/layers" >"$T/image"
ok 'dt-manifest' on "$T/layers" dt-manifest --verbose --name x --tag 1 --arch amd64
same 'dt-manifest: the output is the same' "$T/out" "$T/image"
said 'dt-manifest: the layers' "^dt-manifest: layer sha256:$hex of stdin: copied\$" 3
all_said dt-manifest
ok 'dt-manifest --from' on "$T/layers" dt-manifest --verbose --name x --tag 1 --from "$T/image" --verify
said 'dt-manifest --from: those of the base image' "^dt-manifest: layer sha256:$hex of $T/image: copied and hashed\$" 3
said 'dt-manifest --from: they are not copied again' "^dt-manifest: layer sha256:$hex of stdin: not copied: the new archive has it\$" 3
all_said 'dt-manifest --from'
ok 'dt-merge --only' dt-merge --verbose --only /dev/null "$T/image"
said 'dt-merge --only: left out' "^dt-merge: layer sha256:$hex of $T/image: left out: --only does not list it\$" 3
all_said 'dt-merge --only'
ok 'dt-compress --layers' on "$T/image" dt-compress --verbose --layers
said 'dt-compress --layers: compressed' "^dt-compress: layer sha256:$hex: compressed, [0-9.]+ MB to [0-9.]+ MB, as blob sha256:$hex\$" 3
all_said 'dt-compress --layers'
cp "$T/out" "$T/packed"
ok 'dt-compress --layers, again' on "$T/packed" dt-compress --verbose --layers
said 'dt-compress --layers, again: copied' "^dt-compress: blob sha256:$hex: copied: it is compressed already\$" 3
all_said 'dt-compress --layers, again'

# --- dt-push ---

start_registry r
push() { on "$T/$1" dt-push --verbose --tls-verify=false "${@:3}" "$r/$2"; }
layer="dt-push: layer sha256:$hex" blob="blob sha256:$hex"
ok 'the first push' push image a:1
said 'the first push: nothing is known' "^$layer: no image that was read has it\$" 3
said 'the first push: all is sent' "^$layer: $blob: sent, $time\$" 3
said 'the first push: the configuration' "^dt-push: configuration sha256:$hex: the registry does not have it\$" 1
said 'the first push: it is sent' "^dt-push: configuration sha256:$hex: sent, $time\$" 1
said 'the first push: the manifest' "^dt-push: manifest sha256:$hex: sent\$" 1
said 'the first push: the tag' "^dt-push: tag 1: refers to manifest sha256:$hex now\$" 1
all_said 'the first push'
digest=$(sed -n 's/^manifest //p' "$T/out")
ok 'again' push image a:1
said 'again: all is there' "^$layer: $blob: the image of the tag has it\$" 3
said 'again: the documents' "^dt-push: (configuration|manifest) sha256:$hex: the image of the tag has it\$" 2
said 'again: the tag' '^dt-push: tag 1: refers to the manifest already$' 1
all_said again
ok 'another tag' push image a:2
said 'another tag: an image is read' '^dt-push: repository a: the image (1|sha256:[0-9a-f]{64}) is read for its layers$' 1
said 'another tag: asked' "^$layer: $blob: the registry has it\$" 3
said 'another tag: the configuration' "^dt-push: configuration sha256:$hex: the registry has it\$" 1
said 'another tag: the manifest is sent to it' "^dt-push: manifest sha256:$hex: sent\$" 1
said 'another tag: it is new' "^dt-push: tag 2: refers to manifest $digest now\$" 1
all_said 'another tag'
ok 'one layer is another' push image a:1 # the tag has the image
layer --no-cache 2>/dev/null | dt-manifest --name x --tag 1 --arch amd64 >"$T/changed"
ok 'one layer is another' push changed a:1
said 'one layer is another: two are there' "^$layer: $blob: the image of the tag has it\$" 2
said 'one layer is another: one is not' "^$layer: no image that was read has it\$" 1
said 'one layer is another: that one is sent' "^$layer: $blob: sent, $time\$" 1
lines=0
ok '--mount-from' push image b:1 --mount-from a
said '--mount-from: mounted' "^$layer: $blob: mounted from a\$" 3
lines=0
ok '--missing' push image c:1 --missing --mount-from a
said '--missing: it could be mounted' "^$layer: $blob: can be mounted from a\$" 3
lines=0

# --- dt-pull ---

pull() { dt-pull --verbose --tls-verify=false "$@" "$r/a@$digest"; }
rm -r "$DT_CACHE"
ok 'the first pull' pull
said 'the first pull: all is downloaded' "^dt-pull: (manifest|blob) sha256:$hex: downloaded, $time: it is not in the cache\$" 5
all_said 'the first pull'
cp "$T/out" "$T/pulled"
ok 'pulled again' pull
same 'pulled again: the same' "$T/out" "$T/pulled"
said 'pulled again: from the cache' "^dt-pull: (manifest|blob) sha256:$hex: from the cache(, and uncompressed straight to the output)?\$" 5
all_said 'pulled again'
ok '--no-cache' pull --no-cache
said '--no-cache: the reason' "^dt-pull: (manifest|blob) sha256:$hex: downloaded, $time: the cache is off\$" 5
all_said '--no-cache'
one=$(find "$DT_CACHE/blobs" -type f -printf '%s %p\n' | sort -n | sed -n 's/.* //p; q')
mv "$one" "$one.part"
truncate -s 10 "$one.part"
ok 'an incomplete download' pull
said 'an incomplete download: it is completed' "^dt-pull: [a-z]+ sha256:${one##*/}: downloaded, $time: the cache has an incomplete download\$" 1
said 'an incomplete download: the others' ': from the cache' 4
all_said 'an incomplete download'

# --- scripts ---

jq -n --arg a "$(head -n 1 "$T/plan")" '{name: "x", tag: "1", config: {Cmd: [$a]}}' >"$T/spec"
rm -r "$DT_CACHE"
ok 'a script' dt-stream-layered-image --store "$T" "$T/spec"
is 'a script without --verbose' "$(cat "$T/err")" ''
cp "$T/out" "$T/streamed"
rm -r "$DT_CACHE"
ok 'a script with --verbose' dt-stream-layered-image --verbose --store "$T" "$T/spec"
same 'a script with --verbose: the same output' "$T/out" "$T/streamed"
like 'a script with --verbose: the graph' "$T/err" '^dt-closure: /nix/store/[0-9a-f]{32}-a: scanned, 0 references$'
like 'a script with --verbose: the layer' "$T/err" '^dt-layer: layer 1, sha256:.*: hashed: it is not in the cache'
like 'a script with --verbose: the image' "$T/err" '^dt-manifest: layer sha256:.*: copied'
finish
