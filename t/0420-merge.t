#!/usr/bin/env bash
# dt-merge, and the scripts dt-merge-images and dt-export-image.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `fails` runs functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 jq perl gzip xz zstd

diff_id() { archive members "$T/$1.layers" | jq -r '"sha256:" + .sha256'; }
for kind in good bad several; do
	mkdir "$T/$kind"
	ok "$kind images are made" "$t_dir/fixtures/bases.py" "$kind" "$T/$kind"
done
cd "$T" || exit 1
for name in a b c; do
	mkdir -p "tree/$name"
	echo "$name" >"tree/$name/$name"
	dt-root --tree "tree/$name" --comment "layer $name" >"$name.layers"
done
echo '{"Env": ["A=1"], "Cmd": ["a"]}' >config.json
dt-manifest --name a --tag 1 --config config.json <a.layers >a.tar
cat a.layers b.layers | dt-manifest --name example.org/b --tag 2 >b.tar
cat c.layers a.layers c.layers | dt-manifest --name c --arch s390x >c.tar

# merged DESCRIPTION WARNING FILE...: $T/merged is whole, its images are in $T/shown, and it was made with
# just this (extended regular expression) to say.
merged() {
	local what=$1 warning=$2 status=0
	shift 2
	dt-merge "$@" >merged 2>err </dev/null || status=$?
	archive images merged >shown 2>not-whole
	is "$what: status, and whole" "$status:$(cat not-whole)" 0:
	is "$what: what is said" "$(grep -Evx -- "${warning:-nothing}" err)$([ -z "$warning" ] || wc -l <err)" "${warning:+1}"
}
images() { jq -c "$1" shown; }

# --- what is in it ---

for name in a b c; do
	merged "$name alone" '' "$name.tar"
	same "$name alone: the archive stays as it is" merged "$name.tar"
done
merged 'three images' '' a.tar b.tar c.tar
is 'three images: their IDs' "$(images .id)" "$(for i in a b c; do archive show "$i.tar" | jq -c .id; done)"
is 'three images: their names' "$(images .tags)" "$(for i in a b c; do archive show "$i.tar" | jq -c '.docker[0].RepoTags'; done)"
is 'three images: their configurations' "$(images .config)" "$(for i in a b c; do archive show "$i.tar" | jq -c .config; done)"
is 'three images: their manifests' "$(images .manifest)" \
	"$(for i in a b c; do archive show "$i.tar" | jq -c '.index.manifests[0].digest'; done)"
is 'three images: each layer once, with its history' \
	"$(archive members merged | jq -r 'select(.note) | "sha256:" + .sha256 + " " + .note.history.comment')" \
	"$(for i in a b c; do echo "$(diff_id "$i") layer $i"; done)"
is 'three images: no member has an owner or a time' \
	"$(archive members merged | jq -c '[.kind, .mode, .owner, .mtime]' | sort -u)" '["-",420,[0,0,"",""],0]'
mv merged abc.tar
merged 'the images merged again' '' abc.tar
same 'the images merged again: the same' merged abc.tar
dt-merge b.tar c.tar >bc.tar
merged 'merged step by step' '' a.tar bc.tar
same 'merged step by step: the same' merged abc.tar
merged 'another order' '' c.tar a.tar b.tar
is 'another order: that of the operands' "$(images .id)" "$(for i in c a b; do archive show "$i.tar" | jq -c .id; done)"
for image in a: example.org/b: c:; do
	dt-flatten --from-name "${image%:*}" --arch s390x abc.tar >one
	name=${image%:*}
	dt-flatten --arch s390x "${name##*/}.tar" | cmp - one >difference 2>&1
	is "$name is found in it" "$?$(cat difference)" 0
done

# --- names ---

dt-manifest --name other/a --tag 9 --config config.json <a.layers >a9.tar
merged 'an image with two names' '' a.tar a9.tar a.tar
is 'an image with two names: one image' "$(images .id)" "$(archive show a.tar | jq -c .id)"
is 'an image with two names: both' "$(images .tags)" '["a:1","other/a:9"]'
is 'an image with two names: a descriptor for each' \
	"$(tar -xOf merged index.json 2>/dev/null | jq -c '.manifests[].annotations["io.containerd.image.name"]')" \
	$'"docker.io/library/a:1"\n"docker.io/other/a:9"'
mv merged a19.tar
merged 'both of them again' '' a19.tar
same 'both of them again: the same' merged a19.tar
dt-manifest --name docker.io/library/a --tag 1 <b.layers >stolen.tar
merged 'two images of a name' 'dt-merge: stolen.tar: docker.io/library/a:1 also names an image in a.tar; the last image gets the name' a.tar stolen.tar
is 'two images of a name: the last one has it' "$(images .tags)" $'[]\n["a:1"]'
mv merged stolen2.tar
merged 'an image without a name' '' stolen2.tar
same 'an image without a name: has none' merged stolen2.tar
merged 'it gets its name back' 'dt-merge: a.tar: a:1 also names an image in stolen2.tar; the last image gets the name' stolen2.tar a.tar
is 'it gets its name back: the order is that of the images' "$(images .tags)" $'["a:1"]\n[]'

for kind in docker oci; do
	cp "several/$kind-several.tar" several.tar
	status=0
	dt-merge several.tar a.tar >merged 2>err || status=$?
	archive images merged >shown 2>not-whole
	is "$kind, several: status, and whole" "$status:$(cat not-whole)" 0:
	is "$kind, several: all of them" "$(images '.config.config.Labels.image')" "$(printf '"%d"\n' {0..8}; echo null)"
	[ "$kind" = oci ] || untagged='"untagged:latest"'
	is "$kind, several: their names" "$(images .tags)" "[\"redis:10\"]
[\"docker.io/library/two:names\"]
[]
[\"localhost:5000/redis:1\"]
[\"redis:latest\",\"redis:1.2\"]
[]
[\"x/redis:1\"]
[\"redis:1\"]
[${untagged:-}]
[\"a:1\"]"
	unset untagged
	like "$kind, several: a name twice" err '^dt-merge: several.tar: redis:1 also names an image in several.tar; the last image gets the name$'
	like "$kind, several: no name" err "^dt-merge: several.tar: 'Redis' is not an image name: .*; the name is ignored\$"
	is "$kind, several: what else is said" "$(grep -v -e ' redis:1 ' -e "'Redis'" err)" \
		"$([ "$kind" = docker ] || echo "dt-merge: several.tar: an image has the tag 'untagged' but no name; the tag is ignored")"
done

# --- dialects ---

base_id=sha256:$(tar -tf good/docker-20.tar | sed -n 's/\.json$//p' | grep -xE '[0-9a-f]{64}')
base_layers=$("$t_dir/fixtures/bases.py" diff-ids | jq -Rnc '[inputs | "sha256:" + .]')
for base in good/*.tar; do
	kind=${base##*/} warning='' tags='["base:1"]'
	case $kind in
	no-tags.tar | empty-tags.tar) tags='[]' ;;
	oci.tar | oci-with-dots.tar) tags='[]' warning="dt-merge: $base: an image has the tag '1' but no name; the tag is ignored" ;;
	oci-*) tags='[]' ;;
	esac
	merged "$kind" "$warning" --arch amd64 a.tar "$base"
	is "$kind: ID, names, layers" "$(images '[.id, .tags, .layers]' | sed -n 2p)" "[\"$base_id\",$tags,$base_layers]"
done
rm good/oci-platforms.tar # which has two images for amd64
dt-merge --arch amd64 good/*.tar >merged 2>err
archive images merged >shown 2>not-whole
is 'all dialects at once: whole' "$(cat not-whole)" ''
is 'all dialects at once: one image' "$(images '[.id, .tags, .layers]')" "[\"$base_id\",[\"base:1\"],$base_layers]"
merged 'one of several platforms' '' --arch arm64 good/oci-nested.tar
is 'one of several platforms: the one asked for' "$(images .config.architecture)" '"arm64"'
cp bad/oci-no-such-platform.tar s390x.tar
merged 'another platform, alone' '' --arch amd64 s390x.tar
is 'another platform, alone: it is an image like others' "$(images .config.architecture)" '"s390x"'

# --- ways to an archive ---

gzip -k a.tar
xz -k b.tar
zstd -q c.tar
merged 'compressed by gzip, xz, zstd' '' a.tar.gz b.tar.xz c.tar.zst
same 'compressed by gzip, xz, zstd: the same' merged abc.tar
ok 'standard input' on a.tar.gz dt-merge - b.tar c.tar
same 'standard input: the same' out abc.tar
from_pipe() { xz -c b.tar | dt-merge a.tar - c.tar; }
ok 'a pipe' from_pipe
same 'a pipe: the same' out abc.tar
cp -- a.tar --odd
cp b.tar 'b "c" d'
merged 'odd file names' '' -- --odd 'b "c" d' ./c.tar
same 'odd file names: the same' merged abc.tar
mkdir tmp
TMPDIR=$T/tmp merged 'temporary files' '' a.tar.gz b.tar.xz
is 'temporary files: none is left' "$(ls -A tmp)" ''
TMPDIR=$T/none merged 'plain files need none' '' a.tar b.tar

# --- what is wrong ---

for wrong in '' '--name x' '--name x a.tar' '--tag 1 a.tar' '--from a.tar b.tar' '--inspect a.tar' '--config config.json a.tar' \
	'--created @0 a.tar' '--os linux a.tar' '--from-name a a.tar' '- -' '- a.tar -' '--arch A a.tar'; do
	# shellcheck disable=SC2086 # a list
	fails 2 "^dt-merge: .*: try 'dt-merge --help'\$" "dt-merge $wrong" dt-merge $wrong
	is "dt-merge $wrong: nothing" "$(wc -c <out)" 0
done

# refuses DESCRIPTION REGEX FILE...
refuses() {
	local what=$1 regex=$2
	shift 2
	fails 1 "^dt-merge: $regex\$" "$what" timeout 20 dt-merge --arch amd64 "$@"
	is "$what: no end of archive" "$(ended out):$(grep -ac manifest.json out)" no:0
}
for base in bad/*.tar; do
	[ "$base" != bad/oci-no-such-platform.tar ] || continue
	refuses "bad: ${base##*/}" "$base: .*" a.tar "$base"
done
refuses 'no such file' 'none.tar: No such file or directory' a.tar none.tar
is 'no such file: nothing is written before' "$(wc -c <out)" 0
refuses 'a directory' "tmp: .*" a.tar tmp
refuses 'nothing on standard input' 'stdin: empty, not an image' a.tar -
refuses 'a layer archive without an image' 'a.layers: not an image, .*' a.tar a.layers
for file in a.tar a.tar.gz b.tar.xz c.tar.zst; do
	size=$(wc -c <"$file")
	for cut in 100 512 1500 $((size / 2)) $((size - 1024)) $((size - 512)) $((size - 1)); do
		[ "$cut" -lt "$size" ] || continue
		head -c "$cut" "$file" >cut.tar
		refuses "$file, cut after $cut bytes of $size" 'cut.tar: .*' b.tar cut.tar
	done
done
cut_pipe() { head -c 3000 a.tar | dt-merge b.tar -; }
fails 1 '^dt-merge: stdin: .*$' 'a cut pipe' cut_pipe
is 'a cut pipe: no end of archive' "$(ended out)" no
perl -0777 -pe 's/(?<=\0)a\n(?=\0)/b\n/' a.tar >damaged.tar
refuses 'a layer that was changed' 'damaged.tar: layer 1 has the digest [0-9a-f]*, not its diff_id .*' damaged.tar
fails 1 '^dt-merge: standard output: ' 'no room' full dt-merge a.tar b.tar

fails 1 '^dt-manifest: stdin: not an image archive of one image; use --from for other archives$' \
	'several images are no base image' on abc.tar dt-manifest --name x
is 'several images are no base image: no end of archive' "$(ended out)" no

# --- dt-merge-images ---

script_same() { # DESCRIPTION SPEC FILE: what $script makes of the spec is the file
	printf '%s' "$2" >spec.json
	ok "$1" "$script" spec.json
	same "$1: the same" out "$3"
	is "$1: nothing said" "$(cat err)" ''
}
bad_spec() { # REGEX SPEC
	printf '%s' "$2" >spec.json
	fails 1 "^$script: $1\$" "$script, $2" "$script" spec.json
	is "$script, $2: nothing" "$(wc -c <out)" 0
}
script=dt-merge-images
script_same 'dt-merge-images' '{"images": ["a.tar.gz", "b.tar", "c.tar.zst"]}' abc.tar
script_same 'one image' '{"images": "a.tar"}' a.tar
script_same 'odd names' '{"images": ["--odd", "b \"c\" d", "./c.tar"]}' abc.tar
echo '{"images": ["a.tar", "b.tar", "c.tar"]}' >spec.json
ok 'the object on standard input' on spec.json dt-merge-images
same 'the object on standard input: the same' out abc.tar
echo '{"images": ["a.tar", "-", "c.tar"]}' >spec.json
ok 'an image on standard input' on b.tar dt-merge-images spec.json
same 'an image on standard input: the same' out abc.tar
bad_spec 'spec.json: the key images is missing' '{}'
bad_spec 'spec.json: the key images is missing' '{"images": null}'
bad_spec 'images is empty' '{"images": []}'
bad_spec 'spec.json: images must be a path or a list of paths' '{"images": [1]}'
bad_spec 'spec.json: images must be a path or a list of paths' '{"images": {"a.tar": 1}}'
bad_spec 'spec.json: unknown key name' '{"images": ["a.tar"], "name": "x"}'
bad_spec 'spec.json: the spec is not a JSON object' '["a.tar"]'
bad_spec 'spec.json: empty, a JSON object is expected' ''
echo '{"images": ["a.tar", "none.tar"]}' >spec.json
fails 1 '^dt-merge: none.tar: No such file or directory$' 'an image that is not there' dt-merge-images spec.json
is 'an image that is not there: nothing' "$(wc -c <out)" 0
head -c 2000 b.tar >cut.tar
echo '{"images": ["a.tar", "cut.tar"]}' >spec.json
fails 1 '^dt-merge: cut.tar: .*$' 'an image that is truncated' dt-merge-images spec.json
is 'an image that is truncated: no image' "$(ended out)" no
fails 2 "^dt-merge-images: unknown option '--store'" 'no --store' dt-merge-images --store / spec.json

# --- dt-export-image ---

script=dt-export-image
for file in a.tar b.tar a.tar.gz; do
	dt-flatten "$file" >flat
	script_same "export of $file" "{\"fromImage\": \"$file\"}" flat
done
is 'what is in it' "$(archive ls out)" '-0644 a'
dt-flatten --from-name example.org/b abc.tar >flat
script_same 'export by name' '{"fromImage": "abc.tar", "fromImageName": "example.org/b"}' flat
script_same 'export by tag' '{"fromImage": "abc.tar", "fromImageTag": "2"}' flat
script_same 'all keys' \
	'{"fromImage": "abc.tar", "fromImageName": "example.org/b", "fromImageTag": "2", "name": "x.tar", "diskSize": 1024}' flat
dt-flatten abc.tar >flat
script_same 'null is as good as nothing' \
	'{"fromImage": "abc.tar", "fromImageName": null, "fromImageTag": null, "name": null, "diskSize": null}' flat
script_same 'an odd name' '{"fromImage": "--odd"}' flat
echo '{"fromImage": "-"}' >spec.json
ok 'the image on standard input' on a.tar.gz dt-export-image spec.json
same 'the image on standard input: the same' out flat
bad_spec 'spec.json: the key fromImage is missing' '{}'
bad_spec 'spec.json: the key fromImage is missing' '{"name": "x"}'
bad_spec 'spec.json: fromImage must be a string' '{"fromImage": ["a.tar"]}'
bad_spec 'spec.json: diskSize must be an integer of 0 to 999999999999999' '{"fromImage": "a.tar", "diskSize": "1G"}'
bad_spec 'spec.json: diskSize must be an integer of 0 to 999999999999999' '{"fromImage": "a.tar", "diskSize": -1}'
bad_spec 'spec.json: name must be a string' '{"fromImage": "a.tar", "name": 1}'
bad_spec 'spec.json: fromImageName must be a string' '{"fromImage": "a.tar", "fromImageName": true}'
bad_spec 'spec.json: fromImageTag must be a string' '{"fromImage": "a.tar", "fromImageTag": 1}'
bad_spec 'spec.json: unknown key tag' '{"fromImage": "a.tar", "tag": "x"}'
for wrong in '"fromImage": "none.tar"' '"fromImage": "cut.tar"' '"fromImage": "damaged.tar"' \
	'"fromImage": "a.tar", "fromImageTag": "x"' '"fromImage": "abc.tar", "fromImageName": "b"'; do
	echo "{$wrong}" >spec.json
	fails 1 '^dt-flatten: .*$' "export of $wrong" dt-export-image spec.json
	is "export of $wrong: no end of archive" "$(ended out)" no
done
fails 2 "^dt-export-image: unknown option '--store'" 'no --store' dt-export-image --store / spec.json

finish
