#!/usr/bin/env bash
# The directory of an OCI image layout is read like an archive of it.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `fails` runs functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 jq skopeo umoci tar strace

cd "$T" || exit 1
mkdir -p "$T/lower/etc" "$T/upper/etc" "$T/mine/etc"
echo lower >"$T/lower/etc/lower"
truncate -s 3M "$T/lower/zeroes"
echo upper >"$T/upper/etc/upper"
echo mine >"$T/mine/etc/mine"
dt-root --tree "$T/mine" >"$T/layers"
{ dt-root --tree "$T/lower"; dt-root --tree "$T/upper"; } >"$T/base.layers"
for arch in amd64 arm64; do
	echo "{\"Env\": [\"ARCH=$arch\"]}" >"$T/config"
	on "$T/base.layers" dt-manifest --name base --tag 1 --arch "$arch" --config "$T/config" >"$T/$arch.tar"
done
dt-flatten --arch amd64 "$T/amd64.tar" >"$T/flat"

copy() { skopeo copy -q --insecure-policy "$@"; }
ok 'skopeo writes a layout' copy "docker-archive:$T/amd64.tar" "oci:$T/gzip:base:1"
ok 'skopeo writes a layout with zstd layers' copy --dest-compress --dest-compress-format zstd "docker-archive:$T/amd64.tar" "oci:$T/zstd:base:1"
mkdir "$T/plain"
tar -C "$T/plain" -xf "$T/amd64.tar"
rm "$T/plain/manifest.json"
ok 'umoci adds a tag' umoci tag --image "$T/gzip:base:1" other
magic() { find "$1/blobs" -type f -exec head -qc 4 {} + | od -An -v -tx1 | tr -d '\n'; }
like 'one is gzip' <(magic "$T/gzip") '1f 8b 08'
like 'one is zstd' <(magic "$T/zstd") '28 b5 2f fd'
is 'one is neither' "$(magic "$T/plain" | grep -cE '1f 8b 08|28 b5 2f fd')" 0

# --- the same as the archive ---

for kind in gzip zstd plain; do
	tar -C "$T/$kind" -cf "$T/$kind.tar" .
	ok "$kind: dt-flatten" dt-flatten "$T/$kind"
	same "$kind: the files" "$T/out" "$T/flat"
	ok "$kind: dt-flatten, with a slash at the end" dt-flatten "$T/$kind/"
	same "$kind: the files again" "$T/out" "$T/flat"
	for from in "$kind" "$kind.tar"; do
		on "$T/layers" dt-manifest --name x --tag t --from "$T/$from" --arch amd64 >"$T/image.$from" 2>"$T/err"
		is "$from: dt-manifest --from: status, and silent" "$?:$(cat "$T/err")" 0:
		dt-inspect "$T/$from" >"$T/inspect.$from"
		dt-merge "$T/$from" >"$T/merge.$from" 2>/dev/null
		dt-root --tree "$T/mine" --from "$T/$from" >"$T/layer.$from"
	done
	for what in image inspect merge layer; do
		same "$kind: $what: as from the archive" "$T/$what.$kind" "$T/$what.$kind.tar"
	done
	is "$kind: its layers and ours" "$(dt-inspect "$T/image.$kind" | jq '.layers | length')" 3
done
ln -s gzip "$T/link"
ok 'a symlink to the directory' dt-flatten "$T/link"
same 'a symlink: the files' "$T/out" "$T/flat"
ok 'a relative name' dt-flatten gzip
fails 1 '^dt-flatten: .*: more than 3M to unpack in all; --max-unpacked sets the limit$' 'the limit of what is unpacked' \
	dt-flatten --max-unpacked 3M "$T/gzip"
ok 'plain layers do not count' dt-flatten --max-unpacked 1 "$T/plain"
mkdir "$T/tmp"
TMPDIR=$T/none ok 'plain layers need no TMPDIR' dt-flatten "$T/plain"
ok 'what it was in is not changed' umoci stat --image "$T/gzip:base:1"

cat >"$T/script" <<'END'
#!/bin/sh
cat /etc/lower >/etc/copied
END
ok 'dt-vmrun' dt-vmrun --backend userns --from "$T/gzip" "$T/script"
cp "$T/out" "$T/vmrun"
ok 'dt-vmrun, the archive' dt-vmrun --backend userns --from "$T/gzip.tar" "$T/script"
same 'dt-vmrun: as from the archive' "$T/out" "$T/vmrun"

# --- which image ---

jq -c '.manifests[0].annotations["org.opencontainers.image.ref.name"]' "$T/gzip/index.json" >"$T/name"
is 'skopeo names it' "$(cat "$T/name")" '"base:1"'
for option in '--from-name base' '--from-tag 1' '--from-name base --from-tag 1' '--from-tag other'; do
	# shellcheck disable=SC2086 # options
	ok "$option" dt-flatten $option "$T/gzip"
done
fails 1 "^dt-flatten: $T/gzip: no image \(any name\):2 in it; it has base:1 other\$" 'a tag that is not there' dt-flatten --from-tag 2 "$T/gzip"
"$t_dir/fixtures/platforms.py" oci "$T/amd64.tar" "$T/arm64.tar" >"$T/platforms.tar"
ok 'skopeo writes two platforms' copy --all "oci-archive:$T/platforms.tar" "oci:$T/platforms:base:1"
for arch in amd64 arm64; do
	is "--arch $arch" "$(dt-inspect --arch "$arch" "$T/platforms" | jq -c .image.config.Env)" "[\"ARCH=$arch\"]"
done
fails 1 "^dt-inspect: $T/platforms: no image .*" '--arch of none' dt-inspect --arch riscv64 "$T/platforms"

# --- what is wrong ---

broken() { # NAME: a copy to break
	rm -rf "${T:?}/$1"
	cp -r "$T/gzip" "$T/$1"
}
manifest=$(jq -r '.manifests[0].digest[7:]' "$T/gzip/index.json")
blob() { jq -r "$1.digest[7:]" "$T/gzip/blobs/sha256/$manifest"; }
# shellcheck disable=SC2034 # used by their names
layer=blobs/sha256/$(blob '.layers[0]') config=blobs/sha256/$(blob .config) manifest=blobs/sha256/$manifest
refuses() { # DESCRIPTION REGEX NAME
	fails 1 "^dt-flatten: $T/$3: $2\$" "$1" timeout 20 dt-flatten "$T/$3"
}
for what in layer config manifest; do
	name=$what-missing
	broken "$name"
	rm "$T/$name/${!what}"
	refuses "a missing $what" "(a thin archive, without layer 1, sha256:[0-9a-f]{64}|no member '${!what}')" "$name"
	for to in "../../../gzip/${!what}" "$T/gzip/${!what}" "${layer##*/}x"; do
		ln -sf "$to" "$T/$name/${!what}"
		refuses "a $what that is a symlink" "(a layer is missing: )?member '${!what}' is not a file" "$name"
	done
	rm "$T/$name/${!what}"
	mkfifo "$T/$name/${!what}"
	refuses "a $what that is a FIFO" "(a layer is missing: )?member '${!what}' is not a file" "$name"
	rm "$T/$name/${!what}"
	mkdir "$T/$name/${!what}"
	refuses "a $what that is a directory" "(a layer is missing: )?member '${!what}' is not a file" "$name"
done
for what in config manifest; do
	name=$what-wrong
	broken "$name"
	printf ' ' >>"$T/$name/${!what}"
	refuses "a $what of another digest" "member '${!what}' has the digest [0-9a-f]{64}, which is not its name" "$name"
done
broken layer-wrong
gzip -c "$T/script" >"$T/layer-wrong/$layer"
fails 1 "^dt-flatten: $T/layer-wrong: layer 1" 'a layer of another digest' dt-flatten "$T/layer-wrong"
fails 1 "^dt-manifest: $T/layer-wrong: layer 1 has the digest [0-9a-f]{64}, not its diff_id [0-9a-f]{64}\$" 'its digest' \
	on "$T/layers" dt-manifest --name x --from "$T/layer-wrong"
broken layer-empty
: >"$T/layer-empty/$layer"
refuses 'an empty layer' 'layer 1 has the digest [0-9a-f]{64}, not its diff_id [0-9a-f]{64}' layer-empty
broken layer-cut
truncate -s -9 "$T/layer-cut/$layer"
refuses 'a layer that is truncated' 'layer 1: a layer: .*' layer-cut

for part in blobs blobs/sha256; do
	broken linked
	mv "$T/linked/$part" "$T/linked/real"
	ln -s "$T/linked/real" "$T/linked/$part"
	refuses "$part is a symlink" 'reading blobs/sha256: (Not a directory|Too many levels of symbolic links)' linked
	rm -r "$T/linked/$part"
	refuses "$part is missing" 'reading blobs/sha256: No such file or directory' linked
done
for file in index.json oci-layout; do
	broken linked
	mv "$T/linked/$file" "$T/linked/real"
	ln -s real "$T/linked/$file"
	case $file in
	index.json) reason="member 'index.json' is not a file" ;;
	*) reason='a directory, but not an OCI image layout: it has no file oci-layout' ;;
	esac
	refuses "$file is a symlink" "$reason" linked
	rm "$T/linked/$file"
	[ "$file" = oci-layout ] || reason='not an image, it has neither manifest.json nor index.json'
	refuses "$file is missing" "$reason" linked
done
refuses 'any directory' 'a directory, but not an OCI image layout: it has no file oci-layout' tmp

# A digest with a path in it.
broken outside
sed -i "s/${manifest##*/}/..\/..\/..\/gzip\/${manifest##*\/}/" "$T/outside/index.json"
refuses 'a digest that leads out' 'a descriptor without a sha256 digest' outside

# Files that are named by no digest are nothing.
broken more
echo more >"$T/more/blobs/sha256/more"
echo '[]' >"$T/more/manifest.json"
ok 'other files are ignored' dt-flatten "$T/more"
same 'other files are ignored: the files' "$T/out" "$T/flat"

# --- a file that cannot be examined ---

inspect() { traced -qq -o "$T/calls" "$@" dt-inspect "$T/gzip"; }
inspect -e trace=newfstatat >"$T/want"
n=$(grep -cE 'oci-layout|index.json|"[0-9a-f]{64}"' "$T/calls")
is 'each file of a layout is examined' "$((n >= 2 + $(find "$T/gzip/blobs" -type f | wc -l)))" 1
bad=''
while IFS=: read -r number call; do
	name=$(sed -E 's/.*"(oci-layout|index\.json|[0-9a-f]{64})".*/\1/' <<<"$call")
	if inspect -e "inject=newfstatat:error=EIO:when=$number" >"$T/out" 2>"$T/err" ||
		! grep -q "/$name: Input/output error\$" "$T/err"; then
		bad+="$name: $(cat "$T/err")"$'\n'
	fi
done < <(grep -nE 'oci-layout|index\.json|"[0-9a-f]{64}"' "$T/calls")
is 'a file that cannot be examined is an error, not a file that is missing' "$bad" ''

# --- the scripts ---

mkdir -p "$T/nix/store"
for script in dt-build-image dt-build-layered-image dt-stream-layered-image; do
	for from in gzip gzip.tar; do
		echo "{\"name\": \"x\", \"tag\": \"t\", \"fromImage\": \"$T/$from\", \"config\": {\"Cmd\": [\"x\"]}}" >"$T/spec"
		ok "$script of $from" "$script" --store "$T" "$T/spec"
		cp "$T/out" "$T/$script.$from"
	done
	same "$script: as from the archive" "$T/$script.gzip" "$T/$script.gzip.tar"
	is "$script: it has the layers" "$(dt-inspect "$T/$script.gzip" | jq '.layers | length >= 2')" true
done

finish
