#!/usr/bin/env bash
# dt-push: images in a real registry; the bytes that are read and sent; other programs pull the images.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need skopeo jq strace openssl htpasswd python3 ip
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
unset CURL_CA_BUNDLE NIX_SSL_CERT_FILE SSL_CERT_FILE SSL_CERT_DIR
start_registry r
mkdir "$T/tmp"
export TMPDIR=$T/tmp

# --- images ---

layers() { for n in "$@"; do random_layer "$n" $((n * 100000)) --comment "layer $n"; done; }
make_image() { dt-manifest --name x --tag 1 --arch amd64 "$@"; }
layers {1..20} | make_image >"$T/a.tar"
layers {1..9} 30 {11..20} | make_image >"$T/b.tar" # one layer is another one
layers 1 2 1 | make_image >"$T/twice.tar"
echo '{"Cmd": ["/x"], "Healthcheck": {"Test": ["CMD", "/x"]}}' >"$T/health.json"
layers 1 2 | make_image --config "$T/health.json" >"$T/health.tar"
rm -r "$T/tree"
# thin ARCHIVE DIFF_ID...: the archive, of which only these layers are there
thin() {
	python3 - "$@" <<'END'
import sys, tarfile, json
name, keep = sys.argv[1], [d.removeprefix('sha256:') for d in sys.argv[2:]]
with tarfile.open(name) as a:
    image = json.load(a.extractfile('manifest.json'))[0]
    absent = {x for x in image['Layers'] if x.split('/')[-1] not in keep}
    with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.PAX_FORMAT) as out:
        for m in a.getmembers():
            if m.name not in absent:
                out.addfile(m, a.extractfile(m))
END
}
diff_ids() { dt-inspect "$1" | jq -r '.layers[]'; }

push() { # FILE NAME:TAG [OPTION]...
	local file=$1 name=$2
	shift 2
	dt-push --tls-verify=false "$@" "$r/$name" <"$file"
}
said() { sed -n "s/^$1 //p" "${2:-$T/out}"; } # KEY [FILE]
# The requests since `mark`, one per line: METHOD PATH STATUS.
mark() { from=$(stat -c %s "$T/r.log"); }
requests() { tail -c +$((from + 1)) "$T/r.log" | grep -aoE '"[A-Z]+ /v2/[^"]*" [0-9]+' | sed 's/^"//; s/ HTTP[^"]*"//'; }
count() { requests | grep -Ec -- "${1:-.}"; }
no_cache() { rm -rf "$DT_CACHE"; }
# same_image WHAT NAME:TAG FILE: the files of the image in the registry are those of the archive
same_image() {
	rm -rf "$T/pulled.tar"
	skopeo copy -q --insecure-policy --override-arch amd64 --src-tls-verify=false "docker://$r/$2" "docker-archive:$T/pulled.tar"
	same "$1: the files, by skopeo" <(dt-flatten <"$T/pulled.tar") <(dt-flatten <"$3")
	dt-pull --no-cache --tls-verify=false --format dt --arch amd64 "$r/${2%:*}@$(dt-pull --tls-verify=false --print digest "$r/$2")" >"$T/pulled.tar"
	same "$1: the files, by dt-pull" <(dt-flatten <"$T/pulled.tar") <(dt-flatten <"$3")
	is "$1: the layers" "$(diff_ids "$T/pulled.tar")" "$(diff_ids "$3")"
}

# --- the first push ---

ok 'an image is pushed' push "$T/a.tar" a:1
cp "$T/out" "$T/a.said"
is 'nothing to say' "$(cat "$T/err")" ''
is 'the output has four lines' "$(sed 's/ .*//' "$T/out" | paste -sd ' ')" 'manifest config sent reused'
is 'the digest of the manifest' "$(said manifest)" "sha256:$(raw a:1 | sha256sum | cut -c 1-64)"
is 'the digest of the configuration' "$(said config)" "$(raw a:1 | jq -r .config.digest)"
is 'the configuration is that of the archive' "$(said config)" \
	"sha256:$(tar -xOf "$T/a.tar" manifest.json | jq -r '.[0].Config' | sed 's,.*/,,')"
is 'the bytes sent are those of all blobs' "$(said sent)" "$(raw a:1 | jq '[.config, .layers[]] | map(.size) | add')"
is 'nothing was reused' "$(said reused)" 0
is 'the media types' "$(raw a:1 | jq -r '.mediaType, .config.mediaType, (.layers[].mediaType)' | sort -u | sed 's,.*image.,,')" \
	$'config.v1+json\nlayer.v1.tar+gzip\nmanifest.v1+json'
same_image 'an image' a:1 "$T/a.tar"
first=$(diff_ids "$T/a.tar" | sed -n 's/sha256://; 20p')
tar -xOf "$T/a.tar" "blobs/sha256/$first" >"$T/layer.tar"
is 'a layer is compressed as by dt-compress' "$(raw a:1 | jq -r '.layers[19].digest')" "sha256:$(dt-compress <"$T/layer.tar" | sha256sum | cut -c 1-64)"
ok 'zstd' push "$T/a.tar" zstd:1 --compress zstd
is 'zstd: as by dt-compress' "$(raw zstd:1 | jq -r '.layers[19].digest')" "sha256:$(dt-compress --format zstd <"$T/layer.tar" | sha256sum | cut -c 1-64)"
is 'zstd: the media type' "$(raw zstd:1 | jq -r '.layers[].mediaType' | sort -u)" application/vnd.oci.image.layer.v1.tar+zstd
dt-pull --tls-verify=false --format dt "$r/zstd@$(said manifest)" >"$T/pulled.tar"
same 'zstd: the files' <(dt-flatten <"$T/pulled.tar") <(dt-flatten <"$T/a.tar")
piped() { # shellcheck disable=SC2002 # a pipe is what is tested
	cat "$T/a.tar" | dt-push --no-cache --tls-verify=false "$r/piped:1"
}
ok 'through a pipe' piped
same 'through a pipe: the same' "$T/out" "$T/a.said"
ok 'a compressed archive' push <(dt-compress <"$T/a.tar") gz:1
same 'a compressed archive: the same' "$T/out" "$T/a.said"
ok 'a layer twice' push "$T/twice.tar" twice:1
is 'a layer twice: sent once, listed twice' "$(raw twice:1 | jq -c '[.layers[].digest] | [length, (unique | length)]')" '[3,2]'
ok 'a Healthcheck' push "$T/health.tar" health:1
is "a Healthcheck: Docker's media types" "$(raw health:1 | jq -r '.mediaType, .config.mediaType, (.layers[].mediaType)' | sort -u | sed 's,.*docker.,,')" \
	$'container.image.v1+json\ndistribution.manifest.v2+json\nimage.rootfs.diff.tar.gzip'
skopeo inspect --raw --config --tls-verify=false "docker://$r/health:1" >"$T/inspected"
is 'a Healthcheck: it is there' "$(jq -c .config.Healthcheck.Test "$T/inspected")" '["CMD","/x"]'
mkdir "$T/tree"
seq 200000 >"$T/tree/numbers"
dt-root --tree "$T/tree" | make_image >"$T/numbers.tar"
tar -xOf "$T/numbers.tar" "blobs/sha256/$(diff_ids "$T/numbers.tar" | cut -d : -f 2)" >"$T/numbers"
for format in gz zstd; do
	ok "--level, $format" push "$T/numbers.tar" "level-$format:1" --compress $format --level 1
	dt-compress --format $format --level 1 <"$T/numbers" >"$T/level1"
	is "--level, $format: as by dt-compress" "$(raw "level-$format:1" | jq -r '.layers[].digest')" "sha256:$(sha256sum <"$T/level1" | cut -c 1-64)"
	is "--level, $format: not the default" "$(dt-compress --format $format <"$T/numbers" | cmp -s - "$T/level1"; echo $?)" 1
done
rm -r "$T/tree" "$T/numbers" "$T/level1"
is 'no temporary files are left' "$(ls -A "$T/tmp")" ''

# --- again ---

# counted FILE NAME:TAG [OPTION]...: also counts the bytes that are read of the archive and written to sockets
counted() {
	local file=$1 name=$2
	shift 2
	traced -qq -f -y -e trace=read,pread64,readv,preadv,copy_file_range,sendfile,splice,write,writev,sendto,sendmsg -o "$T/trace" \
		dt-push --tls-verify=false "$@" "$r/$name" <"$file"
}
bytes_read() { grep -aE "^[0-9]+ +(read|pread64|readv|preadv|copy_file_range|sendfile|splice)\(.*<$1>" "$T/trace" | sed -nE 's/.*\) = ([0-9]+)$/\1/p' | paste -sd + | sed 's/^$/0/' | bc; }
bytes_sent() { grep -aE '^[0-9]+ +(write|writev|sendto|sendmsg|sendfile|splice)\([0-9]+<(TCP|socket)' "$T/trace" | sed -nE 's/.*\) = ([0-9]+)$/\1/p' | paste -sd + | sed 's/^$/0/' | bc; }
below() { is "$1" "$([ "$2" -le "$3" ] && echo yes || echo "$2 > $3")" yes; }
total=$(stat -c %s "$T/a.tar")
for cache in empty filled; do
	[ $cache = filled ] || no_cache
	mark
	ok "unchanged, cache $cache" counted "$T/a.tar" a:1
	is "unchanged, cache $cache: the digests" "$(said manifest) $(said config)" "$(said manifest "$T/a.said") $(said config "$T/a.said")"
	is "unchanged, cache $cache: all is reused" "$(said sent) $(said reused)" "0 $(said sent "$T/a.said")"
	is "unchanged, cache $cache: one request" "$(requests)" 'GET /v2/a/manifests/1 200'
	below "unchanged, cache $cache: only headers and documents are read" "$(bytes_read "$T/a.tar")" 2500000
	below "unchanged, cache $cache: only a request is sent" "$(bytes_sent)" 1000
done
below 'the image is larger than that' 20000000 "$total"

# One layer of twenty is another one.
for cache in empty filled; do
	push "$T/a.tar" "change$cache:1" >"$T/out"
	[ $cache = filled ] || no_cache
	mark
	ok "one change, cache $cache" counted "$T/b.tar" "change$cache:1"
	requests >"$T/requests"
	like "one change, cache $cache: what is sent" "$T/out" "^sent $(raw "change$cache:1" | jq '.layers[9].size + .config.size')\$"
	is "one change, cache $cache: two blobs are stored" "$(grep -c '^PUT .*blobs/uploads' "$T/requests")" 2
	blob=$(raw "change$cache:1" | jq -r '.layers[9].digest')
	# Those of the layer are a HEAD, a POST and a PUT.
	below "one change, cache $cache: the requests" "$(($(wc -l <"$T/requests") - 3))" 10
	is "one change, cache $cache: the layer is asked for once" "$(grep -c "^HEAD .*$blob" "$T/requests")" 1
	below "one change, cache $cache: only the new layer is read" "$(bytes_read "$T/b.tar")" $((30 * 100000 + 2500000))
	below "one change, cache $cache: only the new layer is sent" "$(bytes_sent)" $((30 * 100000 + 30000))
	same_image "one change, cache $cache" "change$cache:1" "$T/b.tar"
done

# A machine without memory, and a tag that does not exist yet.
no_cache
mark
ok 'a new tag, nothing remembered' counted "$T/a.tar" a:2
is 'a new tag, nothing remembered: nothing is sent' "$(said sent)" 0
is 'a new tag, nothing remembered: no upload' "$(count 'uploads')" 0
below 'a new tag, nothing remembered: little is read' "$(bytes_read "$T/a.tar")" 2500000
mark
ok 'a new tag, remembered' counted "$T/a.tar" a:3
is 'a new tag, remembered: nothing is sent' "$(said sent)" 0
is 'a new tag, remembered: the tags are not listed' "$(count 'tags/list')" 0
same 'a new tag: the same image' <(raw a:3) <(raw a:1)
ok 'a new tag and --no-cache' push "$T/a.tar" a:4 --no-cache
is 'a new tag and --no-cache: nothing is sent' "$(said sent)" 0
# Blobs of another program's compressor are reused, too.
skopeo copy -q --insecure-policy --dest-tls-verify=false "oci-archive:$T/a.tar" "docker://$r/skopeo:1"
no_cache
ok 'after skopeo' push "$T/a.tar" skopeo:1
is 'after skopeo: nothing is sent' "$(said sent)" 0
is 'after skopeo: its layers' "$(raw skopeo:1 | jq -r '.layers[].mediaType' | sort -u)" application/vnd.oci.image.layer.v1.tar+gzip
same_image 'after skopeo' skopeo:1 "$T/a.tar"
ok 'gzip in the registry, zstd is wanted' push "$T/a.tar" a:1 --compress zstd
like 'gzip in the registry, zstd is wanted: it is sent' "$T/out" '^sent [1-9]'
same_zstd=$(raw a:1 | jq -r '.layers[].mediaType' | sort -u)
is 'gzip in the registry, zstd is wanted: zstd' "$same_zstd" application/vnd.oci.image.layer.v1.tar+zstd

# --- a registry that lost a blob ---

lost=$(raw a:2 | jq -r '.layers[3].digest')
config=$(raw a:2 | jq -r .config.digest)
mark
ok '--check: nothing is lost' push "$T/a.tar" a:2 --check
is '--check: nothing is lost: nothing is sent' "$(said sent)" 0
is '--check: nothing is lost: each blob is asked for once' "$(requests | grep -c '^HEAD .* 200$') $(requests | sort -u | grep -c '^HEAD')" '21 21'
is '--check: nothing is lost: the tag stays' "$(count '^(PUT|POST|PATCH)')" 0
rm -r "$T/r.data/docker/registry/v2/blobs/sha256/${lost:7:2}/${lost:7}" "$T/r.data/docker/registry/v2/blobs/sha256/${config:7:2}/${config:7}"
ok 'a blob is lost: not noticed without --check' push "$T/a.tar" a:2
is 'a blob is lost: not noticed without --check: nothing is sent' "$(said sent)" 0
ok 'a blob is lost: --check --missing' push "$T/a.tar" a:2 --check --missing
is 'a blob is lost: --check --missing: its layer' "$(cat "$T/out")" "$(diff_ids "$T/a.tar" | sed -n 4p)"
ok 'a blob is lost: --check' push "$T/a.tar" a:2 --check
is 'a blob is lost: --check: it and the configuration are sent' "$(said sent)" "$(raw a:2 | jq '.layers[3].size + .config.size')"
same_image 'a blob is lost: --check' a:2 "$T/a.tar"

# --- another repository ---

no_cache
mark
ok '--mount-from' counted "$T/a.tar" team/other:1 --mount-from a
is '--mount-from: only the configuration is sent' "$(said sent)" "$(raw a:2 | jq .config.size)"
is '--mount-from: all layers are mounted' "$(count '^POST .*mount=.* 201')" 20
below '--mount-from: little is read' "$(bytes_read "$T/a.tar")" 2500000
same_image '--mount-from' team/other:1 "$T/a.tar"
no_cache
ok '--mount-from, with the host' push "$T/a.tar" team/third:1 --mount-from "$r/team/other"
is '--mount-from, with the host: only the configuration is sent' "$(said sent)" "$(raw a:2 | jq .config.size)"
ok '--mount-from a repository that is not there' push "$T/twice.tar" team/fourth:1 --mount-from none
like '--mount-from a repository that is not there: all is sent' "$T/out" '^reused 0$'
for bad in other.example:5000/X a:1 "a@sha256:$(printf %064d 0)" '' ../a; do
	fails 2 '--mount-from' "--mount-from '$bad'" push "$T/a.tar" x:1 --mount-from "$bad"
done

# --- thin archives ---

no_cache
push "$T/a.tar" thin:1 >/dev/null
mark
ok '--missing: nothing' push "$T/a.tar" thin:1 --missing
is '--missing: nothing: no line' "$(cat "$T/out")" ''
ok '--missing: all' push "$T/a.tar" empty:1 --missing
is '--missing: all: the diff_ids in order' "$(cat "$T/out")" "$(diff_ids "$T/a.tar")"
thin "$T/b.tar" >"$T/none.tar"
is 'an archive without layers' "$(tar -tf "$T/none.tar" | grep -c blobs)" 2
ok '--missing of an archive without layers' push "$T/none.tar" thin:1 --missing
new=$(diff_ids "$T/b.tar" | sed -n 10p)
is '--missing of an archive without layers: the new one' "$(cat "$T/out")" "$new"
ok '--missing, a new tag' push "$T/none.tar" thin:2 --missing
is '--missing, a new tag: the new one' "$(cat "$T/out")" "$new"
ok '--missing and --mount-from' push "$T/none.tar" thin-mounted:1 --missing --mount-from thin
is '--missing and --mount-from: the new one' "$(cat "$T/out")" "$new"
is '--missing writes nothing' "$(requests | cut -d ' ' -f 1 | sort -u | paste -sd ' ')" 'GET HEAD'
thin "$T/b.tar" "$new" >"$T/thin.tar"
below 'the thin archive is small' "$(stat -c %s "$T/thin.tar")" $((30 * 100000 + 60000))
fails 1 "layer 10, $new, is not in the archive and the registry does not have it\$" 'too thin' push "$T/none.tar" thin:1
is 'too thin: the tag stays' "$(raw thin:1 | sha256sum)" "$(raw a:2 | sha256sum)"
fails 1 'layer 1, sha256:[0-9a-f]{64}, is not in the archive and the registry does not have it$' 'an empty registry' \
	push "$T/thin.tar" empty:1
ok 'a thin archive is pushed' push "$T/thin.tar" thin:1
ok 'the complete archive' push "$T/b.tar" complete:1 --no-cache
same 'a thin archive: the same manifest' <(raw thin:1) <(raw complete:1)
same_image 'a thin archive' thin:1 "$T/b.tar"
ok 'a thin archive and --mount-from' push "$T/thin.tar" thin-mounted:1 --mount-from thin
same 'a thin archive and --mount-from: the same manifest' <(raw thin-mounted:1) <(raw complete:1)
no_cache
ok 'a thin archive, another tag, nothing remembered' push "$T/none.tar" thin:9
same 'a thin archive, another tag: the same manifest' <(raw thin:9) <(raw complete:1)

# --- images of other programs ---

skopeo copy -q --insecure-policy "oci-archive:$T/a.tar" "oci:$T/layout:1"
tar -C "$T/layout" -cf "$T/layout.tar" .
ok 'an OCI layout with compressed layers' push "$T/layout.tar" layout:1
is 'an OCI layout with compressed layers: its manifest, to the byte' "$(said manifest)" "$(jq -r '.manifests[0].digest' "$T/layout/index.json")"
same_image 'an OCI layout with compressed layers' layout:1 "$T/a.tar"
# A base by reference: the manifest names the base's blobs, and the archive does not have them.
python3 - "$T/layout" <<'END' >"$T/reference.tar"
import json, os, sys, tarfile
base = sys.argv[1]
read = lambda d: open('%s/blobs/sha256/%s' % (base, d[7:]), 'rb').read()
index = json.load(open(base + '/index.json'))
manifest = json.loads(read(index['manifests'][0]['digest']))
keep = {index['manifests'][0]['digest'], manifest['config']['digest']}
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|') as out:
    for d in sorted(keep):
        out.add('%s/blobs/sha256/%s' % (base, d[7:]), 'blobs/sha256/' + d[7:])
    for name in 'index.json', 'oci-layout':
        out.add(base + '/' + name, name)
END
mark
ok 'a base by reference' push "$T/reference.tar" layout:2
is 'a base by reference: the same manifest' "$(raw layout:2 | sha256sum)" "$(raw layout:1 | sha256sum)"
is 'a base by reference: nothing is uploaded' "$(count uploads)" 0
ok 'a base by reference and --mount-from' push "$T/reference.tar" referred:1 --mount-from layout
is 'a base by reference and --mount-from: the same manifest' "$(raw referred:1 | sha256sum)" "$(raw layout:1 | sha256sum)"
fails 1 'layer 1, sha256:[0-9a-f]{64}, is not in the archive and the registry does not have it$' \
	'a base by reference that is not there' push "$T/reference.tar" empty:1
ok 'a base by reference, --missing' push "$T/reference.tar" empty:1 --missing
is 'a base by reference, --missing: its layers' "$(cat "$T/out")" "$(diff_ids "$T/a.tar")"
skopeo copy -q --insecure-policy "oci-archive:$T/a.tar" "docker-archive:$T/docker.tar:x:1"
ok "Docker's archive" push "$T/docker.tar" docker:1 --no-cache
same_image "Docker's archive" docker:1 "$T/a.tar"

# --- several platforms ---

layers 1 2 | make_image >"$T/amd64.tar"
layers 1 3 | make_image --arch arm64 >"$T/arm64.tar"
for form in nested flat oci; do
	"$t_dir/fixtures/platforms.py" $form "$T/amd64.tar" "$T/arm64.tar" >"$T/$form.tar"
	ok "platforms, $form" push "$T/$form.tar" "platforms-$form:1" --no-cache
	cp "$T/out" "$T/platforms"
	is "platforms, $form: the output" "$(sed 's/ .*//' "$T/out" | paste -sd ' ')" 'index manifest config manifest config sent reused'
	is "platforms, $form: the tag is the index" "$(said index)" "sha256:$(raw "platforms-$form:1" | sha256sum | cut -c 1-64)"
	is "platforms, $form: the platforms" "$(raw "platforms-$form:1" | jq -r '.mediaType, (.manifests[] | .digest + " " + .platform.architecture)')" \
		"application/vnd.oci.image.index.v1+json
$(said manifest | head -n 1) amd64
$(said manifest | tail -n 1) arm64"
	is "platforms, $form: no names of the archive" "$(raw "platforms-$form:1" | grep -c annotations)" 0
	ok "platforms, $form: skopeo copies all" skopeo copy -q --all --insecure-policy --src-tls-verify=false "docker://$r/platforms-$form:1" "oci:$T/all-$form:1"
	no_cache
	mark
	ok "platforms, $form, again" push "$T/$form.tar" "platforms-$form:1"
	is "platforms, $form, again: nothing is sent" "$(said sent)" 0
	below "platforms, $form, again: the requests" "$(count)" 3
done
same_image 'platforms: amd64' platforms-oci:1 "$T/amd64.tar"
ok 'platforms, --arch' push "$T/oci.tar" platforms-oci:arm --arch arm64
is 'platforms, --arch: one manifest' "$(said manifest)" "$(grep ^manifest "$T/platforms" | sed -n '2s/.* //p')"
is 'platforms, --arch: the tag' "sha256:$(raw platforms-oci:arm | sha256sum | cut -c 1-64)" "$(said manifest)"
fails 1 'no image' 'platforms, --arch that is not there' push "$T/oci.tar" platforms-oci:1 --arch s390x

# --- attachments ---

echo '{"spdxVersion": "SPDX-2.3"}' >"$T/sbom.json"
attach() { dt-push --tls-verify=false --attach "$1" --type application/spdx+json "$r/${2:-a:2}"; }
ok '--attach' attach "$T/sbom.json"
cp "$T/out" "$T/attached"
subject=$(said manifest "$T/a.said")
get() { curl -sS -H 'Accept: application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json' "http://$r/v2/a/$1"; }
get "manifests/$(said manifest)" >"$T/referrer"
is '--attach: the manifest' "sha256:$(sha256sum <"$T/referrer" | cut -c 1-64)" "$(said manifest)"
is '--attach: what it is of' "$(jq -r '.subject.digest, .artifactType, .layers[0].mediaType, .layers[0].annotations["org.opencontainers.image.title"]' "$T/referrer")" \
	"$subject
application/spdx+json
application/spdx+json
sbom.json"
is '--attach: the document' "$(get "blobs/$(jq -r '.layers[0].digest' "$T/referrer")")" "$(cat "$T/sbom.json")"
tag=${subject/:/-}
is '--attach: the list of referrers' "$(get "manifests/$tag" | jq -r '.mediaType, (.manifests[] | .digest, .artifactType)')" \
	"application/vnd.oci.image.index.v1+json
$(said manifest)
application/spdx+json"
ok '--attach, again' attach "$T/sbom.json"
is '--attach, again: the same manifest' "$(said manifest)" "$(said manifest "$T/attached")"
is '--attach, again: nothing is sent' "$(said sent)" 0
is '--attach, again: listed once' "$(get "manifests/$tag" | jq '.manifests | length')" 1
echo '{}' >"$T/other.json"
ok '--attach another document, to a digest' attach "$T/other.json" "a@$subject"
is '--attach another document: both are listed' "$(get "manifests/$tag" | jq '.manifests | length')" 2
fails 1 'status 404, not found' '--attach to an image that is not there' attach "$T/sbom.json" a:none
fails 1 'No such file' '--attach a file that is not there' attach "$T/none.json"
fails 2 '--attach and --type go together' '--attach without --type' dt-push --attach "$T/sbom.json" "$r/a:1"
fails 2 '--attach and --type go together' '--type without --attach' dt-push --type a/b "$r/a:1"
for type in x /x x/ 'a b/c' a/b/c; do
	fails 2 'is not a media type' "--type '$type'" dt-push --attach "$T/sbom.json" --type "$type" "$r/a:1"
done
ok 'tags of referrers are not images' push "$T/a.tar" a:5 --no-cache
is 'tags of referrers are not images: nothing is sent' "$(said sent)" 0

# --- command line ---

fails 2 'has a digest' 'a digest' push "$T/a.tar" "a@sha256:$(printf %064d 0)"
fails 2 'NAME is missing' 'no name' dt-push
fails 2 'unexpected operand' 'two names' dt-push x y
fails 2 'takes gz or zstd' '--compress' dt-push --compress none x
fails 2 "--level takes" '--level, gz' dt-push --level 13 x
fails 2 "--level takes" '--level, zstd' dt-push --level 20 --compress zstd x
fails 2 '.' 'a name that is none' dt-push "$r/UPPER:1"
fails 2 '.' 'a tag that is none' dt-push "$r/x:-"
fails 1 'no image' '--from-name' push "$T/a.tar" x:1 --from-name other
fails 1 'SSL|TLS' 'a registry without TLS is not asked without TLS' on "$T/a.tar" dt-push "$r/a:1"
fails 1 '[Cc]onnect' 'no registry' on "$T/a.tar" dt-push --tls-verify=false 127.0.0.1:1/a:1

# --- killed, and two at once ---

# whole NAME:TAG: the tag is not there, or everything that it refers to
whole() {
	local digest
	digest=$(dt-pull --tls-verify=false --print digest "$r/$1" 2>"$T/pull.err") ||
		{ grep -q 'status 404' "$T/pull.err" && echo none; return; }
	dt-pull --no-cache --tls-verify=false --format dt "$r/${1%:*}@$digest" >"$T/pulled.tar" 2>"$T/pull.err" || cat "$T/pull.err"
	dt-flatten <"$T/pulled.tar" | sha256sum
}
a=$(dt-flatten <"$T/a.tar" | sha256sum)
b=$(dt-flatten <"$T/b.tar" | sha256sum)
for i in {1..15}; do
	no_cache
	setsid dt-push --tls-verify=false "$r/killed:$((i % 3))" <"$T/$([ $((i % 2)) = 0 ] && echo a || echo b).tar" >"$T/out" 2>"$T/err" &
	pid=$!
	python3 -c "import time; time.sleep($i * 0.03)"
	kill -9 "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	now=$(whole "killed:$((i % 3))")
	is "killed after $((i * 30)) ms: the tag is complete or not there" "$([ "$now" = none ] || [ "$now" = "$a" ] || [ "$now" = "$b" ] && echo yes || echo "$now")" yes
done
is 'killed: no temporary files' "$(ls -A "$T/tmp")" ''
for i in 1 2 3; do
	no_cache
	push "$T/a.tar" "both$i:1" >"$T/first" 2>"$T/err1" &
	one=$!
	push "$T/b.tar" "both$i:1" >"$T/second" 2>"$T/err2" &
	two=$!
	wait "$one"
	is "two at once, $i: status of one" "$?" 0
	wait "$two"
	is "two at once, $i: status of the other" "$?" 0
	now=$(whole "both$i:1")
	is "two at once, $i: the tag is one of them" "$([ "$now" = "$a" ] || [ "$now" = "$b" ] && echo yes || echo "$now")" yes
	is "two at once, $i: nothing to say" "$(cat "$T/err1" "$T/err2")" ''
done

# --- large layers ---

random_layer 7 80000000 --comment 'layer 7' | make_image >"$T/large.tar"
mark
ok 'a large layer' push "$T/large.tar" large:1
is 'a large layer: in chunks' "$(count '^PATCH .* 202')" 3
same_image 'a large layer' large:1 "$T/large.tar"
for format in gz zstd; do
	/usr/bin/time -f %M -o "$T/memory" dt-push --no-cache --compress $format --tls-verify=false "$r/large-$format:1" <"$T/large.tar" >"$T/out"
	below "little memory is needed, $format" "$(cat "$T/memory")" "$(memory_limit)"
done
rm "$T/large.tar"

# --- TLS and passwords ---

ca server -subj '/CN=server' -addext 'subjectAltName=IP:127.0.0.1'
htpasswd -Bbn user sesame >"$T/htpasswd"
start_registry s "  tls: {certificate: $T/server.crt, key: $T/server.key}" "auth: {htpasswd: {realm: here, path: $T/htpasswd}}"
mkdir -p "$T/.docker"
secure() { SSL_CERT_FILE=$T/server.crt dt-push "$s/a:1" <"$T/a.tar"; }
fails 1 'none are known' 'TLS, no password' secure
printf '{"auths": {"%s": {"auth": "%s"}}}' "$s" "$(printf user:wrong | base64)" >"$T/.docker/config.json"
fails 1 'status 401, not authorized' 'TLS, a wrong password' secure
printf '{"auths": {"%s": {"auth": "%s"}}}' "$s" "$(printf user:sesame | base64)" >"$T/.docker/config.json"
no_cache
ok 'TLS and a password' secure
is 'TLS and a password: the same manifest' "$(said manifest)" "$(said manifest "$T/a.said")"
from=$(stat -c %s "$T/s.log")
ok 'TLS and a password, unchanged' secure
below 'TLS and a password, unchanged: the requests' "$(tail -c +$((from + 1)) "$T/s.log" | grep -aoE '"[A-Z]+ /v2/[^"]*" [0-9]+' | wc -l)" 3
fails 1 '(certificate|SSL)' 'an unknown authority' on "$T/a.tar" dt-push "$s/a:1"
rm "$T/.docker/config.json"

# --- several builders, each with a network of its own ---

# They share nothing but the registry: neither the cache nor the loopback device.
cat >"$T/builders" <<'END'
set -e
cd "$1"
ip link set lo up
ip link add br0 type bridge
ip addr add 10.9.8.1/24 dev br0
ip link set br0 up
printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $PWD/shared.data}}" 'http: {addr: 10.9.8.1:5000}' >shared.yml
env -u REGISTRY_AUTH_FILE docker-registry serve shared.yml >shared.log 2>&1 &
registry=$!
trap 'kill $registry $sleepers 2>/dev/null' EXIT
for i in 1 2 3; do
	unshare --net sleep 600 &
	sleepers="${sleepers-} $!" pid=$!
	until [ "$(readlink "/proc/$pid/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do :; done
	ip link add "v$i" type veth peer name eth0 netns "$pid"
	ip link set "v$i" master br0 up
	nsenter --net="/proc/$pid/ns/net" ip addr add "10.9.8.1$i/24" dev eth0
	nsenter --net="/proc/$pid/ns/net" ip link set eth0 up
done
until (exec 3<>/dev/tcp/10.9.8.1/5000) 2>/dev/null; do :; done
i=0
for pid in $sleepers; do
	i=$((i + 1))
	DT_CACHE=$PWD/builder$i nsenter --net="/proc/$pid/ns/net" dt-push --tls-verify=false "10.9.8.1:5000/app:$i" <"$([ $i = 2 ] && echo b || echo a).tar" \
		>"builder$i.out" 2>"builder$i.err" &
	builders="${builders-} $!"
done
for pid in $builders; do wait "$pid"; done
# The next builder has no memory, and finds everything.
set -- $sleepers
DT_CACHE=$PWD/builder4 nsenter --net="/proc/$1/ns/net" dt-push --tls-verify=false 10.9.8.1:5000/app:4 <b.tar >builder4.out
# All of them can be pulled.
for i in 1 2 3 4; do
	dt-pull --no-cache --tls-verify=false --format dt "10.9.8.1:5000/app@$(sed -n 's/^manifest //p' "builder$i.out")" | dt-flatten | sha256sum
done >builders.out
END
ok 'builders in network namespaces' unshare --net bash "$T/builders" "$T"
is 'builders: nothing to say' "$(cat "$T"/builder?.err)" ''
is 'builders: what they pushed' "$(cat "$T/builders.out")" "$a
$b
$a
$b"
is 'builders: one without memory sends nothing' "$(said sent "$T/builder4.out")" 0

finish
