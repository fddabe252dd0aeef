#!/usr/bin/env bash
# dt-pull: images of a real registry are equal, byte for byte, to those of skopeo; the cache.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
. "$t_dir/docker.sh"
need skopeo jq strace busybox
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
start_registry r

# --- images of many kinds, pushed by skopeo ---

# layer N SIZE: a layer archive with a file of so many random bytes, the same each time
layer() {
	rm -rf "$T/tree"
	mkdir -p "$T/tree/d$1"
	openssl enc -aes-128-ctr -nosalt -K "$(printf %032x "$1")" -iv 0 -in /dev/zero 2>/dev/null | head -c "$2" >"$T/tree/d$1/file"
	dt-root --tree "$T/tree" --comment "layer $1"
}
# busybox, so that it runs
base() {
	rm -rf "$T/tree"
	mkdir -p "$T/tree/bin"
	cp "$(command -v busybox)" "$T/tree/bin/"
	dt-root --tree "$T/tree"
}
empty() { rm -rf "$T/tree" && mkdir "$T/tree" && dt-root --tree "$T/tree"; }
echo '{"Cmd": ["/bin/busybox", "echo", "<hello> & \"goodbye\""], "Env": ["A=é"], "Labels": {"a<b": "c"}}' >"$T/config.json"
make_image() { dt-manifest --name x --tag 1 --arch amd64 --config "$T/config.json"; }
push() { # REPOSITORY FILE [OPTION]...
	skopeo copy -q --insecure-policy --dest-tls-verify=false "${@:3}" "docker-archive:$2" "docker://$r/$1:1"
}
base | make_image >"$T/one.tar"
{
	base
	for i in {1..30}; do layer "$i" $((i * i * 100)); done
} | make_image >"$T/many.tar"
{ layer 1 70000; layer 2 10; layer 1 70000; } | make_image >"$T/twice.tar"
{ empty; layer 3 1000; empty; } | make_image >"$T/empty.tar"
layer 4 3000000 | make_image >"$T/large.tar"
for image in one many twice empty large; do push "$image" "$T/$image.tar"; done
push oci "$T/many.tar" --format oci
for i in 41 42; do layer $i 50000; done | make_image >"$T/zstd.tar" # new ones, or skopeo reuses those with gzip
skopeo copy -q --insecure-policy "docker-archive:$T/zstd.tar" "oci:$T/zstd:1"
skopeo copy -q --insecure-policy --dest-tls-verify=false --dest-compress-format zstd "oci:$T/zstd:1" "docker://$r/oci-zstd:1"
push deep/er/name "$T/one.tar"

# digest REPOSITORY: of what has the tag 1 there
digest() { skopeo inspect --raw --tls-verify=false "docker://$r/$1:1" | sha256sum | sed 's/ .*//; s/^/sha256:/'; }
skopeo_pull() { # REPOSITORY NAME:TAG
	rm -f "$T/want.tar"
	skopeo copy -q --insecure-policy --src-tls-verify=false "docker://$r/$1@$(digest "$1")" "docker-archive:$T/want.tar:$2"
}
for image in one many twice empty large oci deep/er/name; do
	skopeo_pull "$image" example.org/a/b:c
	ok "$image: comes" pull --name example.org/a/b --tag c "$r/$image@$(digest "$image")"
	same "$image: as skopeo writes it" "$T/out" "$T/want.tar"
	is "$image: nothing to say" "$(cat "$T/err")" ''
	cp "$T/out" "$T/got.$(basename "$image")"
done
# Debian's skopeo writes no docker-archive of zstd, but one of the image that was pushed.
skopeo copy -q --insecure-policy "oci:$T/zstd:1" "docker-archive:$T/plain.tar:example.org/a/b:c"
ok 'oci-zstd: comes' pull --name example.org/a/b --tag c "$r/oci-zstd@$(digest oci-zstd)"
same 'oci-zstd: as skopeo writes it' "$T/out" "$T/plain.tar"
kinds() { skopeo inspect --raw --tls-verify=false "docker://$r/$1:1" | jq -r '.mediaType, .layers[].mediaType' | sort -u; }
is 'these are of schema 2' "$(kinds many)" $'application/vnd.docker.distribution.manifest.v2+json\napplication/vnd.docker.image.rootfs.diff.tar.gzip'
is 'and these of OCI, zstd' "$(kinds oci-zstd)" $'application/vnd.oci.image.layer.v1.tar+zstd\napplication/vnd.oci.image.manifest.v1+json'

# Names in the archive.
one=$r/one@$(digest one)
for name in hello hello/x docker.io/hello index.docker.io/a/b localhost/x localhost:5000/x a.b/c; do
	skopeo_pull one "$name:v1"
	ok "--name $name" pull --name "$name" --tag v1 "$one"
	same "--name $name: as skopeo writes it" "$T/out" "$T/want.tar"
done
skopeo_pull one "$r/one:latest"
ok 'no name, no tag' pull "$one"
same "no name, no tag: the registry's, latest" "$T/out" "$T/want.tar"

# --- pins ---

hash=$(sha256sum "$T/want.tar" | cut -d ' ' -f 1)
sri=sha256-$(openssl dgst -sha256 -binary "$T/want.tar" | base64)
nix32=$(nix-hash --type sha256 --to-base32 "$hash")
for pin in "$hash" "$sri" "$nix32" "sha256:$hash" "sha256:$nix32" "${sri#sha256-}"; do
	ok "--sha256 $pin" pull --sha256 "$pin" "$one"
	same "--sha256 $pin: the image" "$T/out" "$T/want.tar"
done
ok '--print hash' pull --print hash "$one"
is '--print hash: what it is' "$(cat "$T/out")" "$sri"
zeros=$(printf %064d 0)
for pin in "$zeros" "sha256-$(printf %043d= 0 | tr 0 A)" "$(printf %052d 0)" ''; do
	fails 1 "^dt-pull: $r/one: hash mismatch: specified: sha256-A{43}= got: ${sri//+/[+]}\$" "another hash, '$pin'" \
		pull --sha256 "$pin" "$one"
done
is 'another hash: no end of archive' "$(archive ended "$T/out")" no
for pin in x "${hash}0" "${hash%?}" "sha256-$hash" "z$nix32" "${nix32%?}e" 'sha512-AAAA' "sha256-$(base64 <<<short)"; do
	fails 2 "not a SHA-256" "--sha256 '$pin'" pull --sha256 "$pin" "$one"
done

# --- tags ---

ok '--print digest of a tag' pull --print digest "$r/many:1"
is '--print digest: what it is' "$(cat "$T/out")" "$(digest many)"
fails 1 'status 404, not found' '--print digest of latest, which is not there' pull --print digest "$r/many"
fails 1 'status 404, not found' 'no such repository' pull --no-cache "$r/none@$(digest one)"
fails 1 'status 404, not found' 'no such image' pull --no-cache "$r/one@sha256:$zeros"
pull "$r/many@sha256:$zeros" >"$T/out" 2>"$T/err"
is 'no such image: nothing is left of it' "$(find "$DT_CACHE/blobs" -size 0)" ''
of_cache() { env -u DT_CACHE -u XDG_CACHE_HOME "HOME=$T" "$@" dt-pull --print cache; }
is '--print cache' "$(dt-pull --print cache)" "$DT_CACHE"
is '--print cache: XDG_CACHE_HOME' "$(of_cache XDG_CACHE_HOME=/x)" /x/dt
is '--print cache: HOME' "$(of_cache)" "$T/.cache/dt"
fails 1 'there is no directory for the cache: set DT_CACHE' '--print cache: none' of_cache "HOME=$T/none"
fails 2 'has a digest already' '--print digest of a digest' pull --print digest "$one"
for bad in "$r/one" "$r/one:1" "$r/one:1@$(digest one)" "$r/one@sha256:0" "$r/one@sha512:$zeros" "$r/ONE@$(digest one)" "$r/one@" "@$(digest one)" ''; do
	fails 2 "dt-pull: .*: try 'dt-pull --help'\$" "'$bad' is no NAME@DIGEST" pull "$bad"
done

# --- the other format ---

ok '--format dt' pull --format dt --name example/many --tag 2 "$r/many@$(digest many)"
cp "$T/out" "$T/dt.tar"
ok '--format dt: an image archive' archive check "$T/dt.tar"
is '--format dt: nothing wrong with it' "$(cat "$T/out")" ''
is '--format dt: the configuration, to the byte' "$(tar -xOf "$T/dt.tar" "$(tar -xOf "$T/dt.tar" manifest.json | jq -r '.[0].Config')" | sha256sum)" \
	"$(skopeo inspect --raw --config --tls-verify=false "docker://$r/many:1" | sha256sum)"
ok '--format dt: a base image' dt-inspect "$T/dt.tar"
is '--format dt: its layers' "$(jq -r '.layers | length' "$T/out")" 31
ok 'what skopeo would write is a base image, too' dt-inspect "$T/got.many"
ok '--format dt, a layer twice' pull --format dt "$r/twice@$(digest twice)"
is '--format dt, a layer twice: stored once' "$(tar -tf "$T/out" | grep -c blobs)" 4

# --- the cache ---

requests() { grep -c '"GET /v2/' "$T/r.log"; }
: >"$T/r.log"
ok 'once more' pull "$r/many@$(digest many)"
is 'once more: nothing is asked for' "$(grep -c 'GET /v2/many/blobs' "$T/r.log")" 0
before=$(requests)
traced -f -e trace=connect -o "$T/trace" dt-pull --name example.org/a/b --tag c "$r/many@$(digest many)" >"$T/out"
is 'once more: not even by TLS' "$(grep -c connect "$T/trace")" 0
same 'once more: the same' "$T/out" "$T/got.many"
rm -rf "$DT_CACHE"
before=$(requests)
ok '--no-cache' pull --no-cache "$one"
is '--no-cache: asks for a manifest, a configuration and a layer' "$(($(requests) - before))" 3
is '--no-cache: keeps nothing' "$(ls "$DT_CACHE" 2>/dev/null)" ''
no_home() { env -u HOME -u DT_CACHE dt-pull --tls-verify=false "$one"; }
ok 'without a place for a cache' no_home
pull "$one" >"$T/out"
before=$(requests)
pull "$one" >"$T/out"
is 'what it kept is used' "$(requests)" "$before"
skopeo_pull one "$r/one:latest"
for file in "$DT_CACHE"/blobs/*; do
	[ "$(stat -c %a "$file")" = 600 ] || echo "$file"
	echo damaged >"$file"
	before=$(requests)
	ok "damaged: $(basename "$file")" pull "$one"
	same 'damaged: the image' "$T/out" "$T/want.tar"
	is 'damaged: asked for anew' "$(($(requests) - before))" 1
done
printf 'x' | dd of="$(find "$DT_CACHE/blobs" -type f -size +100k)" bs=1 seek=5000 conv=notrunc 2>/dev/null
ok 'damaged in the middle' pull "$one"
same 'damaged in the middle: the image' "$T/out" "$T/want.tar"
read_only() { # even root cannot write to /proc
	DT_CACHE=/proc/none pull "$one"
}
ok 'a cache that cannot be written to' read_only
same 'a cache that cannot be written to: the image' "$T/out" "$T/want.tar"
TMPDIR=$T/none fails 1 'temporary file' 'no place for temporary files' pull --no-cache "$one"

rm -rf "$DT_CACHE"
pull "$one" >"$T/out"
ok 'a layer that was uncompressed before' pull "$one"
same 'a layer that was uncompressed before: the image' "$T/out" "$T/want.tar"
is 'its size is known' "$(find "$DT_CACHE/unpacked" -type f | wc -l)" 1

# --- truncated and killed ---

start_liar
mkdir "$T/tmp"
good=$liar/gate/good@$(digest_of good)
halves() { find "$L" -name 'half.*' | wc -l; }
# until_halves N: waits until the server has sent half of N layers
until_halves() { until [ "$(halves)" -ge "$1" ]; do sleep 0.02; done; }
dt-pull --tls-verify=false --no-cache --name x "$liar/honest/good@$(digest_of good)" >"$T/good.tar"
dt-pull --tls-verify=false --name x "$good" >"$T/cut" 2>"$T/err" &
pid=$!
until_halves 2
parts() { find "$DT_CACHE/blobs" -name '*.part' -size +1 | wc -l; }
until [ "$(parts)" -eq 2 ]; do sleep 0.02; done
kill -9 "$pid"
wait "$pid" 2>/dev/null
touch "$L/open"
forget_asked
ok 'killed, and again' pull --name x "$good"
same 'killed, and again: the image' "$T/out" "$T/good.tar"
is 'killed, and again: goes on with the layers where they were' "$(asked 'GET .*bytes=[1-9][0-9]+-')" 2
is 'killed, and again: no parts are left' "$(find "$DT_CACHE/blobs" -name '*.part')" ''
is 'killed, and again: not much was asked' "$([ "$(asked GET)" -le 3 ] && echo yes)" yes

# A part that is none of it; one that is too long.
large=$(jq -r '.layers[0].digest[7:]' "$DT_CACHE/blobs/$(digest_of good | cut -d : -f 2)")
for size in 1000 10000000; do
	rm "$DT_CACHE/blobs/$large"
	head -c "$size" /dev/urandom >"$DT_CACHE/blobs/$large.part"
	ok "a part of $size other bytes" pull --name x "$good"
	same "a part of $size other bytes: the image" "$T/out" "$T/good.tar"
done

# Two at once, and one that was there first and dies.
rm -rf "$DT_CACHE" "$L"/open "$L"/half.*
forget_asked
dt-pull --tls-verify=false --name x "$good" >"$T/first" 2>"$T/err1" &
first=$!
until_halves 2
dt-pull --tls-verify=false --name x "$good" >"$T/second" 2>"$T/err2" &
second=$!
dt-pull --tls-verify=false --name x "$good" >"$T/third" 2>"$T/err3" &
third=$!
kill -9 "$first"
wait "$first" 2>/dev/null
touch "$L/open"
wait "$second"
is 'two at once: status of one' "$?" 0
wait "$third"
is 'two at once: status of the other' "$?" 0
same 'two at once: one' "$T/second" "$T/good.tar"
same 'two at once: the other' "$T/third" "$T/good.tar"
is 'two at once: nothing to say' "$(cat "$T/err2" "$T/err3")" ''
# What the dead one had asked for without getting any of it is asked for again.
is 'two at once: no part of a layer came twice' \
	"$(grep blobs/ "$L/log" | sort | uniq -c | awk '$1 > (/bytes=/ ? 1 : 2)')" ''
is 'two at once: they go on with what the dead one had' "$(asked 'GET .*bytes=[1-9][0-9]+-')" 2

# One at a registry that does not get on, and one at another registry that has the same.
rm -rf "$DT_CACHE" "$L"/open "$L"/half.*
dt-pull --tls-verify=false --name x "$good" >"$T/first" 2>"$T/err1" &
first=$!
until_halves 2
honest() { timeout 60 dt-pull --tls-verify=false --timeout 1 --name x "$liar/honest/good@$(digest_of good)"; }
ok 'a layer that another process keeps' honest
same 'a layer that another process keeps: the image' "$T/out" "$T/good.tar"
forget_asked
ok 'a layer that another process keeps, once more' honest
same 'a layer that another process keeps, once more: the image' "$T/out" "$T/good.tar"
is 'a layer that another process keeps, once more: it is in the cache' "$(asked GET)" 0
touch "$L/open"
wait "$first"
is 'a layer that another process keeps: the other process goes on' "$?" 0
same 'a layer that another process keeps: what it gets' "$T/first" "$T/good.tar"

# --- a cache without room ---

# in_small SIZE COMMAND...: where the cache has so much room; $T/left are the parts that are left
in_small() {
	# shellcheck disable=SC2016 # for the other shell
	unshare --user --map-root-user --mount bash -c '
		mount -t tmpfs -o "size=$1" none "$DT_CACHE" && shift && "$@"
		status=$?
		find "$DT_CACHE" -name "*.part" >"$HOME/left"
		exit "$status"' bash "$@"
}
cp "$DT_CACHE/blobs/$large" "$T/blob"
rm -rf "$DT_CACHE"
mkdir "$DT_CACHE"
for size in 4k 16k 64k 250k; do
	ok "a cache of $size" in_small $size dt-pull --tls-verify=false --name x "$liar/honest/good@$(digest_of good)"
	same "a cache of $size: the image" "$T/out" "$T/good.tar"
	is "a cache of $size: nothing to say" "$(cat "$T/err")" ''
	is "a cache of $size: no parts are left" "$(cat "$T/left")" ''
done
# What is there of a layer moves along with the rest.
begun() {
	# shellcheck disable=SC2016 # for the other shell
	in_small 250k bash -c 'mkdir "$DT_CACHE/blobs" && head -c 200000 "$1" >"$DT_CACHE/blobs/$2.part" && shift 2 && exec "$@"' \
		bash "$T/blob" "$large" dt-pull --tls-verify=false --name x "$liar/honest/good@$(digest_of good)"
}
forget_asked
ok 'a cache without room for the rest of a layer' begun
same 'a cache without room for the rest of a layer: the image' "$T/out" "$T/good.tar"
is 'a cache without room for the rest of a layer: only the rest is asked for' "$(asked 'bytes=200000-')" 1

# No file may be as large as a layer is: neither in the cache nor elsewhere.
limited() {
	rm -rf "$DT_CACHE"
	(ulimit -f "$1" && exec dt-pull --tls-verify=false "$liar/honest/good@$(digest_of good)" 2>&1 >/dev/null) | cat >&2
	return "${PIPESTATUS[0]}"
}
for size in 1 100; do # with 0, the thread sanitizer cannot start
	fails 1 'cannot write a temporary file in TMPDIR: File too large$' "no file larger than ${size}k" limited $size
done

# --- interfaces ---

# shellcheck disable=SC2016 # for script(1)
tty() { script -qec "dt-pull --tls-verify=false --no-cache '$r/many@$(digest many)' >'$T/tty.tar'" /dev/null </dev/null; }
ok 'on a terminal' tty
like 'on a terminal: one line at the end' "$T/out" "^.*dt-pull: $r/many: [0-9.]+ MB in [0-9.]+ s, 0 of 31 layers were in the cache"
same 'on a terminal: the image' "$T/tty.tar" <(pull "$r/many@$(digest many)")
/usr/bin/time -f %M -o "$T/memory" dt-pull --tls-verify=false --no-cache --jobs 8 "$r/many@$(digest many)" >"$T/out"
is 'little memory is needed' "$([ "$(cat "$T/memory")" -le "$(memory_limit)" ] && echo yes)" yes

# --- a mirror ---

start_registry hub
skopeo copy -q --insecure-policy --dest-tls-verify=false "docker-archive:$T/one.tar" "docker://$hub/library/hello:1"
skopeo copy -q --insecure-policy --dest-tls-verify=false "docker-archive:$T/one.tar" "docker://$hub/cache/library/hello:1"
hello=hello@$(digest one)
skopeo_pull one hello:latest
ok 'a mirror of Docker Hub' pull --no-cache --mirror "$hub" "$hello"
same 'a mirror of Docker Hub: the image' "$T/out" "$T/want.tar"
ok 'a mirror, in a directory' pull --no-cache --mirror "$hub/cache" "docker.io/library/$hello"
export DT_MIRROR=$hub
ok 'a mirror, by the environment' pull --no-cache "$hello"
ok 'a mirror and a tag' pull --print digest hello:1
is 'a mirror and a tag: its digest' "$(cat "$T/out")" "$(digest one)"
fails 1 'status 404' 'other registries have no mirror' pull --no-cache "$r/library/$hello"
unset DT_MIRROR

# --- Docker ---

start_dockerd
load() { docker load -q <"$1"; }
ok 'docker loads it' load "$T/got.one"
is 'docker loads it: its name' "$(cat "$T/out")" 'Loaded image: example.org/a/b:c'
ok 'docker runs it' in_docker example.org/a/b:c
is 'docker runs it: what it says' "$(cat "$T/out")" '<hello> & "goodbye"'
is 'docker: it is the image of the registry' "$(docker image inspect --format '{{.Id}}' example.org/a/b:c)" \
	"$(skopeo inspect --raw --tls-verify=false "docker://$r/one:1" | jq -r .config.digest)"
ok 'docker loads --format dt' load "$T/dt.tar"
ok 'docker runs --format dt' in_docker example/many:2
is 'docker runs --format dt: what it says' "$(cat "$T/out")" '<hello> & "goodbye"'
docker tag example.org/a/b:c "$r/pushed:1"
ok 'docker pushes' docker push -q "$r/pushed:1"
skopeo_pull pushed example/x:1
ok 'what docker pushed comes' pull --name example/x --tag 1 "$r/pushed@$(digest pushed)"
same 'what docker pushed comes: as skopeo writes it' "$T/out" "$T/want.tar"
stop_dockerd

finish
