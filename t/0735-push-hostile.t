#!/usr/bin/env bash
# dt-push: registries that send wrong answers, fail and disappear; full disks.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_liar sets them; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need jq openssl unshare
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
start_liar
mkdir "$T/tmp"
export TMPDIR=$T/tmp

# --- images ---

{ random_layer 1 300000; random_layer 2 100000; random_layer 3 1000; } | dt-manifest --name x --tag 1 --arch amd64 >"$T/small.tar"
{ random_layer 1 300000; random_layer 2 100000; random_layer 4 1000; } | dt-manifest --name x --tag 1 --arch amd64 >"$T/changed.tar"
random_layer 5 70000000 | dt-manifest --name x --tag 1 --arch amd64 >"$T/large.tar" # three chunks
rm -r "$T/tree"

# push HOW ARCHIVE [OPTION]...: with an empty cache
push() {
	local how=$1 file=$2
	shift 2
	rm -rf "$DT_CACHE"
	forget_asked
	: >"$L/sent"
	timeout 120 dt-push --tls-verify=false --timeout 2 --compress zstd "$@" "$liar/push.$how/x:1" <"$T/$file.tar"
}
manifest_of() { printf '%s\n' "$L/pushed/$1/${2:-x}/1"; }

push good small >"$T/small.said"
push good-large large >"$T/large.said"
push good-changed changed >"$T/changed.said"
for image in small large changed; do
	like "$image: is pushed" "$T/$image.said" '^sent [1-9]'
	is "$image: nothing was there" "$(grep '^reused' "$T/$image.said")" 'reused 0'
done
manifest() { sed -n 's/^manifest sha256://p' "$T/$1.said"; }

# takes HOW [ARCHIVE [OPTION]...]: the tag becomes what an honest registry gets
takes() {
	local how=$1 image=${2:-small}
	ok "$how, $image: is pushed" push "$how" "$image" "${@:3}"
	is "$how, $image: nothing to say" "$(cat "$T/err")" ''
	same "$how, $image: the output" "$T/out" "$T/$image.said"
	is "$how, $image: the manifest of the tag" "$(sha256sum <"$(manifest_of "$how")" | cut -c 1-64)" "$(manifest "$image")"
	is "$how, $image: no temporary file" "$(ls -A "$T/tmp")" ''
}
# refuses HOW ARCHIVE REGEX [OPTION]...: an error of one line, and the tag does not exist
refuses() {
	fails 1 "^dt-push: 127[^ ]+: .*$3" "$1, $2: fails" push "$1" "$2" "${@:4}"
	is "$1, $2: nothing on stdout" "$(cat "$T/out")" ''
	is "$1, $2: no tag" "$([ -e "$(manifest_of "$1")" ] || echo none)" none
	is "$1, $2: no temporary file" "$(ls -A "$T/tmp")" ''
	no_secret "$1, $2" "$T/err"
}

# --- failures that pass ---

takes gone-n2
takes gone-n3 large
takes gone-head-n2
takes gone-head-n1 large
takes lost-n1 large
is 'an upload that is lost begins again' "$(asked 'POST .*uploads/ ')" 3 # the layer twice, the configuration
takes 404-n1 large
takes 400-n1
takes 416-n1 large
is '416: goes on with the same upload' "$(asked 'POST .*uploads/ '):$(asked 'GET .*uploads/[0-9]')" 2:1
takes 500-n2
takes beyond-n1 large
is 'a registry with more bytes than were sent: begins again' "$(asked 'POST .*uploads/ ')" 3 # the layer twice, the configuration
start=$(date +%s%N)
takes busy-n1
is 'a Retry-After is heeded' "$([ $(($(date +%s%N) - start)) -ge 1000000000 ] && echo yes)" yes
takes append-n1 large
takes append-n1
takes invalid-n1
takes end-cut-n2
is 'a response that was lost: the blob is not sent again' "$(cut -d ' ' -f 1 "$L/sent" | sort | uniq -d)" ''
takes tag-cut-n1
takes tag-503-n2
takes manifest-503-n1
takes stall-n1
takes location-relative large
takes chunk-min large
is 'a chunk has the size that the registry wants' "$(asked 'PATCH .* 0-41943039$')" 1
takes subject
takes tags-evil
takes tags-endless
is 'tags that are none are in no URL' "$(asked 'manifests/(\.|a%| |x)')" 0
is 'tags: no more than eight are read' "$([ "$(asked 'GET .*manifests/t')" -le 8 ] && echo yes)" yes

# A chunk that was taken is not sent again.
takes 500-n1 large
is 'a failed chunk is sent again, and no other' "$(asked 'PATCH .* 0-33554431$'):$(asked 'PATCH .* 33554432-67108863$')" 2:1

takes second-n1 large
is 'an upload continues behind the chunk that was taken' "$(asked 'PATCH .* 0-33554431$'):$(asked 'PATCH .* 33554432-67108863$')" 1:2

# --- failures that stay ---

refuses gone small '(empty reply|Empty reply|[Rr]ecv|[Ss]end|reset|closed|end of)' --retries 2
is 'gone: tried three times each' "$([ "$(asked 'PUT .*uploads')" -le 12 ] && echo yes)" yes
refuses gone large '(empty reply|Empty reply|[Rr]ecv|[Ss]end|reset|closed|end of)' --retries 1
refuses stall small '(imed out|too slow|[Tt]imeout)' --retries 0 --timeout 1
refuses 403 small 'status 403, denied'
refuses 403 large 'status 403, denied'
refuses 413 small 'status 413'
refuses 416 large 'status 416' --retries 1
refuses 500 small 'status 500' --retries 1
refuses busy small 'status 429, too many requests' --retries 0
refuses append small 'status 400' --retries 1
refuses append large 'the upload has other bytes than were sent' --retries 1
refuses invalid small 'status 400' --retries 1
refuses tag-503 small 'manifests/1: status 503' --retries 1
is 'a tag that fails: the manifest is there' "$(asked "PUT .*manifests/sha256:$(manifest small)")" 1
refuses manifest-503 small 'manifests/sha256:[0-9a-f]{64}: status 503' --retries 0
is 'a manifest that fails: the tag is not tried' "$(asked 'PUT .*manifests/1')" 0
refuses location-none small 'an upload without a Location'
refuses location-link small 'http://169.254.169.254:80 is a local address; a remote server may not refer to it'
refuses location-file small 'a URL that'
refuses location-evil small '.'
is 'location-evil: nothing that a terminal obeys' "$(grep -aP '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\x8e\x8f\xaa-\xae]' "$T/err")" ''

# The old tag stays where it is when the push fails.
for how in 403 tag-503; do
	mkdir -p "$L/pushed/$how/x"
	echo old >"$(manifest_of $how)"
	fails 1 'status' "$how: fails, over an old tag" push $how small --retries 0
	is "$how: the old tag stays" "$(cat "$(manifest_of $how)")" old
done

# A registry that stops in the middle of a blob, and does not come back.
mkdir "$T/second"
mkfifo "$T/second/stdin"
"$t_dir/fixtures/registry.py" "$T/second" 127.0.0.1 <"$T/second/stdin" >"$T/second/out" 2>&1 &
second=$!
at_exit "kill $second 2>/dev/null"
exec 8>"$T/second/stdin"
until [ -e "$T/second/ports" ]; do sleep 0.02; done
read -r port _ <"$T/second/ports"
dt-push --tls-verify=false --timeout 30 --retries 1 "127.0.0.1:$port/push.stall/x:1" <"$T/small.tar" >"$T/out" 2>"$T/err" &
pid=$!
until grep -q 'PUT .*uploads' "$T/second/log" 2>/dev/null; do sleep 0.02; done
kill "$second"
wait "$pid"
is 'a registry that is gone for good: status' "$?" 1
is 'a registry that is gone for good: one line' "$(wc -l <"$T/err")" 1
is 'a registry that is gone for good: nothing on stdout' "$(cat "$T/out")" ''

# --- what a registry claims to have ---

# HEAD says that everything is there, but with another size.
takes head-lies
is 'head-lies: the manifest is accepted at once' "$(asked 'PUT .*manifests/sha256:')" 1
# HEAD says that a blob is there, with the right size. The first manifest is rejected, and then
# all is sent.
jq -n --arg d "$(jq -r '.layers[0].digest' "$(manifest_of good)")" --argjson s "$(jq '.layers[0].size' "$(manifest_of good)")" \
	'{($d): $s}' >"$L/sizes"
ok 'head-exact: is pushed' push head-exact small
is 'head-exact: the manifest of the tag' "$(sha256sum <"$(manifest_of head-exact)" | cut -c 1-64)" "$(manifest small)"
is 'head-exact: the manifest is rejected, then accepted' "$(asked 'PUT .*manifests/sha256:')" 2
is 'head-exact: the blob is sent' "$(grep -c "$(jq -r 'keys[0]' "$L/sizes")" "$L/sent")" 1
is 'head-exact: the other blobs are sent once' "$(cut -d ' ' -f 1 "$L/sent" | sort | uniq -d)" ''

# A mount that is answered with 202 is an ordinary upload.
base() { dt-push --tls-verify=false --compress zstd "$liar/push.$1/base:1" <"$T/small.tar" >/dev/null; }
base mount
ok 'mount: is pushed' push mount small --mount-from push.mount/base
is 'mount: the manifest of the tag' "$(sha256sum <"$(manifest_of mount)" | cut -c 1-64)" "$(manifest small)"
is 'mount: it was asked for' "$(asked 'POST .*mount=')" 3
is 'mount: the uploads that it began are used' "$(asked 'POST .*uploads/ ')" 1
is 'mount: all was sent' "$(wc -l <"$L/sent")" 4
base honest
ok 'a mount that works: is pushed' push honest small --mount-from push.honest/base
is 'a mount that works: only the configuration is sent' "$(wc -l <"$L/sent")" 1

# A lying cache. Its facts name a manifest of the repository; these name another one.
for image in changed small; do
	dt-push --tls-verify=false --compress zstd "$liar/push.cache/x:$image" <"$T/$image.tar" >"$T/out"
done
fact() { # FILE TEXT: writes a fact with a valid checksum
	local key=${1##*/}
	{ printf %s "$key$2" | sha256sum | cut -c 1-64; printf %s "$2"; } >"$1"
}
cp -r "$DT_CACHE" "$T/cache"
n=1
for lie in "$(manifest changed)" "$(printf %064d 1)" 'no digest' "$(manifest small)x"; do
	rm -rf "$DT_CACHE"
	cp -r "$T/cache" "$DT_CACHE"
	for file in "$DT_CACHE"/pushed/*; do fact "$file" "$lie"; done
	dt-push --tls-verify=false --compress zstd "$liar/push.cache/x:lie$((n += 1))" <"$T/small.tar" >"$T/out" 2>"$T/err"
	is "a cache that lies, ${lie:0:9}: status" "$?" 0
	is "a cache that lies, ${lie:0:9}: the manifest" "$(sha256sum <"$L/pushed/cache/x/lie$n" | cut -c 1-64)" "$(manifest small)"
done
for file in "$DT_CACHE"/pushed/*; do echo damaged >"$file"; done
dt-push --tls-verify=false --compress zstd "$liar/push.cache/x:2" <"$T/small.tar" >"$T/out" 2>"$T/err"
is 'a damaged cache: status' "$?" 0
is 'a damaged cache: the manifest' "$(sed -n 's/^manifest sha256://p' "$T/out")" "$(manifest small)"

# A manifest in the registry that is damaged is as good as none.
for text in '' '{' '[]' '{"schemaVersion": 2}' '{"schemaVersion": 1, "fsLayers": []}'; do
	printf %s "$text" >"$T/document"
	curl -sS -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' --data-binary "@$T/document" \
		"http://$liar/v2/push.unchecked/x/manifests/1" 2>/dev/null
	ok "a tag with '$text': is pushed" push unchecked small
	is "a tag with '$text': the manifest" "$(sha256sum <"$(manifest_of unchecked)" | cut -c 1-64)" "$(manifest small)"
done

# --- credentials ---

auth=$(printf user:sesame | base64)
mkdir -p "$T/.docker"
printf '{"auths": {"%s": {"auth": "%s"}}}' "$liar" "$auth" >"$T/.docker/config.json"
takes expire
is 'a 401 in the middle: a new token is asked for' "$(asked 'token/plain.*pull%2Cpush')" 2
takes token large
is 'what is asked for: this repository, to pull and push' "$(grep -o 'token/plain[^ ]*' "$L/log" | sort -u)" \
	'token/plain?service=x&scope=repository%3Apush.token%2Fx%3Apull%2Cpush'
ok 'a mount and tokens' push token small --mount-from push.token/base
is 'a mount: the other repository is to be read' "$(grep -c 'scope=repository%3Apush.token%2Fx%3Apull%2Cpush&scope=repository%3Apush.token%2Fbase%3Apull ' "$L/log")" 1
rm -f "$(manifest_of token)"
ok 'what is missing needs no right to write' push token changed --missing
is 'what is missing: the scope' "$(grep -o 'token/plain[^ ]*' "$L/log" | sort -u)" 'token/plain?service=x&scope=repository%3Apush.token%2Fx%3Apull'
is 'what is missing: nothing is written' "$(asked ' (POST|PUT|PATCH|DELETE) ')" 0
takes login
two=${liar2#*:}
ok 'an upload at another host' push location-other small
is 'an upload at another host: no credentials there' "$(asked "^$two .* (Basic|Bearer) "):$(asked "^$two PUT ")" 0:4
printf '{}' >"$T/.docker/config.json"
rm "$(manifest_of login)"
refuses login small 'asks for credentials, and none are known'

# --- no room ---

in_small() { # SIZE ARCHIVE: where TMPDIR has so much room
	# shellcheck disable=SC2016 # for the other shell
	unshare --user --map-root-user --mount bash -c '
		mount -t tmpfs -o "size=$1" none "$TMPDIR" && shift && "$@"
		status=$?
		ls -A "$TMPDIR" >"$HOME/left"
		exit "$status"' bash "$1" dt-push --tls-verify=false "$liar/push.room/x:1" <"$T/$2.tar"
}
for size in 4k 100k; do
	fails 1 'cannot write a temporary file in TMPDIR: No space left on device$' "TMPDIR of $size" in_small $size small
	is "TMPDIR of $size: nothing is left" "$(cat "$T/left")" ''
	is "TMPDIR of $size: no tag" "$([ -e "$(manifest_of room)" ] || echo none)" none
done
fails 1 'No space left on device$' 'TMPDIR of 40M, and a layer that was sent in part' in_small 40M large
is 'TMPDIR of 40M: no tag' "$([ -e "$(manifest_of room)" ] || echo none)" none
limited() {
	(ulimit -f 100 && exec dt-push --tls-verify=false "$liar/push.room/x:1" 2>&1 >/dev/null <"$T/small.tar") | cat >&2
	return "${PIPESTATUS[0]}"
}
fails 1 'cannot write a temporary file in TMPDIR: File too large$' 'no file larger than 100k' limited
TMPDIR=$T/none fails 1 'temporary file' 'no place for temporary files' push room small

# --- signals ---

for signal in TERM HUP KILL; do
	dt-push --tls-verify=false "$liar/push.stall/x:1" <"$T/small.tar" >"$T/out" 2>"$T/err" &
	pid=$!
	forget_asked
	until [ "$(asked 'PUT .*uploads')" -ge 1 ]; do sleep 0.02; done
	kill -$signal "$pid"
	wait "$pid" 2>/dev/null
	is "SIG$signal: nothing is left in TMPDIR" "$(ls -A "$T/tmp")" ''
	is "SIG$signal: no tag" "$([ -e "$(manifest_of stall)" ] || echo none)" none
	is "SIG$signal: nothing on stdout" "$(cat "$T/out")" ''
done

# --- damaged images ---

head -c -600 "$T/small.tar" >"$T/cut.tar"
fails 1 '^dt-push: stdin: ' 'a truncated image' push damaged cut
perl -pe 's/d1\/file/d1\/fole/' "$T/small.tar" >"$T/wrong.tar"
fails 1 'not its diff_id' 'a layer with another digest' push damaged wrong
is 'a damaged image: no manifest, no tag' "$(asked 'PUT .*manifests')" 0

finish
