#!/usr/bin/env bash
# dt-pull: registries that lie, stall, cut, redirect and never end.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_liar sets them; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need skopeo jq
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
start_liar
mkdir "$T/tmp"
export TMPDIR=$T/tmp

# pull HOW IMAGE [OPTION]...: with an empty cache
pull() {
	local how=$1 image=$2
	shift 2
	rm -rf "$DT_CACHE"
	forget_asked
	dt-pull --tls-verify=false --timeout 2 --arch amd64 "$@" "$liar/$how/$image@$(digest_of "$image")"
}
# named IMAGE: as it is called in the archives that are compared
named() { pull "$1" "$2" --name example/x --tag 1; }

# takes HOW [IMAGE]: the image comes, and is what skopeo makes of the honest one
takes() {
	local how=$1 image=${2:-good}
	[ -e "$T/$image.tar" ] || skopeo copy -q --insecure-policy --src-tls-verify=false --override-arch amd64 \
		"docker://$liar/honest/$image@$(digest_of "$image")" "docker-archive:$T/$image.tar:example/x:1"
	ok "$how, $image: comes" named "$how" "$image"
	same "$how, $image: the image" "$T/out" "$T/$image.tar"
	is "$how, $image: nothing to say" "$(cat "$T/err")" ''
}

# refuses HOW IMAGE REGEX [OPTION]...: nothing that could pass for an image, one line
refuses() {
	fails 1 "^dt-pull: [^ ]+: .*$3" "$1, $2: refused" pull "$1" "$2" "${@:4}"
	[ ! -s "$T/out" ] || is "$1, $2: no end of archive" "$("$t_dir/fixtures/archive.py" ended "$T/out")" no
	is "$1, $2: no temporary file" "$(ls -A "$T/tmp")" ''
}

takes honest
takes honest many
takes honest plain-layers
takes honest no-layers
takes honest untyped
takes honest gzip-two
takes honest docker
takes honest twice
takes honest twice-packed
takes honest empty
takes honest odd-config
takes honest bare-config

# --- digests and documents ---

refuses other-manifest good 'another digest'
refuses other-config good 'another digest'
refuses other-layer good 'another digest'
refuses short-layer good 'another size'
refuses empty-layer good 'another size'
refuses long-layer good 'more than [0-9]+ bytes'
refuses honest diff-id 'not to its diff_id'
refuses honest few-diff-ids 'manifest has 3 layers, the configuration has 2'
refuses honest no-config 'configuration'
refuses honest both 'both a manifest and an index'
refuses honest neither 'neither a manifest nor an index'
refuses honest schema1 'not a manifest of schema 2'
refuses honest no-json 'not JSON'
refuses honest misnamed 'media type'
refuses honest unknown "media type 'text/html'"
for image in digest-path digest-upper digest-sha512 digest-short; do
	refuses honest $image 'digest that is not sha256'
done
is 'such a digest is in no URL' "$(asked 'blobs/.*(passwd|sha512)')" 0
refuses honest size-less 'more than [0-9]+ bytes'
refuses honest size-more 'another size'
refuses honest size-negative 'no size'
refuses honest size-none 'no size'
refuses honest artifact 'not a container image'
refuses honest encrypted 'encrypted'
refuses honest chart 'media type'
refuses honest config-huge 'configuration of more than'
refuses honest gzip-cut 'layer sha256:.*'

# --- media types ---

takes type.params
for type in html index docker none; do
	refuses "type.$type" good 'media type'
done

# --- text that a terminal would obey ---

evil() { # HOW IMAGE
	fails 1 '^dt-pull: [^ ]+: ' "$1, $2: fails" pull "$1" "$2"
	is "$1, $2: nothing that a terminal obeys" "$(grep -aP '[\x00-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]' "$T/err")" ''
}
for where in type redirect realm name; do
	evil evil.$where good
done
for what in type layer digest config rootfs platform url; do
	evil honest evil-$what
done

# --- indexes ---

for arch in amd64 x86_64 x86_64-linux; do
	ok "index, $arch" pull honest index --arch "$arch" --name x
	cp "$T/out" "$T/chosen.tar"
	ok "only $arch" pull honest only-amd64 --name x
	same "index, $arch: the first that fits" "$T/out" "$T/chosen.tar"
done
# arm/v8 runs what is for v7; arm alone says nothing of the variant.
for pair in arm/v7:armv7 armv7l:armv7 arm/v8:armv7 arm/v6:armv6 arm:armv6 arm64:arm64 aarch64-linux:arm64; do
	ok "index, ${pair%:*}" pull honest index --arch "${pair%:*}" --name x
	cp "$T/out" "$T/chosen.tar"
	pull honest "only-${pair#*:}" --name x >"$T/want.tar"
	same "index, ${pair%:*}: the one for ${pair#*:}" "$T/chosen.tar" "$T/want.tar"
done
for arch in amd64 arm64 arm/v7; do
	variant=()
	[ "$arch" = "${arch#*/}" ] || variant=(--override-variant "${arch#*/}")
	rm -f "$T/want.tar"
	skopeo copy -q --insecure-policy --src-tls-verify=false --override-os linux --override-arch "${arch%/*}" "${variant[@]}" \
		"docker://$liar/honest/index@$(digest_of index)" "docker-archive:$T/want.tar:example/x:1"
	ok "index, $arch: comes" pull honest index --arch "$arch" --name example/x --tag 1
	same "index, $arch: as skopeo chooses" "$T/out" "$T/want.tar"
done
pull honest only-amd64 --name x >"$T/want.tar"
ok 'an index with unknown media types' pull honest index-odd --name x
same 'an index with unknown media types: they are passed over' "$T/out" "$T/want.tar"
arch_of() { pull honest index "$@"; }
fails 1 'no image for linux/s390x in it' 'index: no such architecture' arch_of --arch s390x
fails 1 'no image for plan9/amd64 in it' 'index: no such system' arch_of --os plan9
ok 'index: another system' arch_of --os windows
refuses honest index-empty 'no image for linux/amd64'
refuses honest index-null 'neither a manifest nor an index'
for n in 1 4; do
	ok "indexes, $n deep" pull honest "nested$n" --name x
	pull honest only-amd64 --name x >"$T/want.tar"
	same "indexes, $n deep: what is in them" "$T/out" "$T/want.tar"
done
refuses honest nested6 'indexes are nested'
ok "a manifest list of Docker's" pull honest list --name x
same "a manifest list of Docker's: what is in it" "$T/out" "$T/want.tar"
takes honest no-platform

# --- without end ---

refuses endless.manifests good 'more than 4194304 bytes'
refuses endless.blobs good 'more than [0-9]+ bytes'
refuses endless.headers good 'more than [0-9]+ bytes of headers'
refuses error.404 good 'status 404, not found'
refuses error.403 good 'status 403, denied'

# --- cuts ---

takes cut-once
is 'cut-once: three layers went on where they were cut' "$(asked 'bytes=[0-9]+-$')" 2
takes no-answer-once
takes no-range
takes other-range
takes no-content-range
takes bad-range
refuses partial good 'the part that was requested' --retries 1
refuses cut-always good '(transfer closed|end of response|bytes remaining)' --retries 2
is 'cut-always: not tried without end' "$([ "$(asked 'blobs/')" -le 10 ] && echo yes)" yes
takes busy.503.2
takes busy.500.2
start=$(date +%s%N)
takes busy.429.1
is 'a Retry-After is heeded' "$([ $(($(date +%s%N) - start)) -ge 1000000000 ] && echo yes)" yes
refuses busy.503.99 good 'status 503'
is 'busy.503.99: five tries' "$(asked 'manifests/')" 5
refuses busy.429.99 good 'status 429, too many requests' --retries 0
is 'busy.429.99: one try, if that is asked for' "$(asked 'manifests/')" 1
refuses busy.404.99 good 'status 404'
is 'busy.404.99: one try' "$(asked 'manifests/')" 1

# --- what stands still ---

timed() {
	rm -rf "$DT_CACHE"
	forget_asked
	timeout 60 dt-pull --tls-verify=false --timeout 1 --retries 1 "$liar/$1/$2@$(digest_of "$2")"
}
fails 1 'imed out|too slow|[Tt]imeout' 'stall.head' timed stall.head good
fails 1 'imed out|too slow|[Tt]imeout' 'stall.body' timed stall.body good
is 'stall.body: goes on where it stood' "$([ "$(asked 'bytes=100-')" -ge 1 ] && echo yes)" yes
fails 1 'imed out|too slow|[Tt]imeout' 'a byte now and then' timed drip good
fails 1 'imed out|too slow|[Tt]imeout' 'a few bytes all the time' timed trickle good

# --- redirects ---

for where in other same relative; do
	takes "redirect.$where"
done
refuses redirect.loop good 'too many redirects'
refuses redirect.none good 'a redirect without a target'
for where in file user garbage; do
	refuses "redirect.$where" good 'a URL that'
done
refuses redirect.link good 'http://169.254.169.254:80 is a local address; a remote server may not refer to it'
refuses redirect.link6 good 'http://\[fe80::1\]:80 is a local address'
refuses redirect.signed good 'status 404'
no_secret 'a redirect with a signature' "$T/err"

# A registry elsewhere, which is reached through a proxy; it has no name to be looked up.
proxied() {
	local how=$1
	shift
	rm -rf "$DT_CACHE"
	forget_asked
	http_proxy=http://$liar https_proxy=http://$liar no_proxy='' \
		dt-pull --tls-verify=false --timeout 2 --name example/x --tag 1 "$@" "192.0.2.1/$how/good@$(digest_of good)"
}
ok 'through a proxy' proxied honest
same 'through a proxy: the image' "$T/out" "$T/good.tar"
fails 1 'http://127.0.0.1:[0-9]+ is a local address' 'a registry elsewhere redirects here' proxied redirect.local
fails 1 'http://127.0.0.1:[0-9]+ is a local address' 'a registry elsewhere wants a token of here' proxied bearer.far
is 'a registry elsewhere wants a token of here: it is not asked' "$(asked token/)" 0
ok 'one here may do so' pull redirect.local good

# --- many at once ---

for jobs in 1 3; do
	rm -f "$L/most"
	ok "--jobs $jobs" pull slow many --jobs "$jobs"
	is "--jobs $jobs: never more at once, and so many" "$(cat "$L/most")" "$jobs"
done

finish
