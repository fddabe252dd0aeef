#!/usr/bin/env bash
# dt-manifest --from: base images of all dialects, and what is none.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `fails` runs functions
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need /usr/bin/python3 jq skopeo podman gzip xz bzip2 zstd

mkdir "$T/tree"
echo mine >"$T/tree/mine"
dt-root --tree "$T/tree" >"$T/layers"
mine=$(archive members "$T/layers" | jq -r .sha256)
mapfile -t base_ids < <("$t_dir/fixtures/bases.py" diff-ids)
for kind in good bad several; do
	mkdir "$T/$kind"
	ok "$kind ones are made" "$t_dir/fixtures/bases.py" "$kind" "$T/$kind"
done

# takes DESCRIPTION FILE [OPTION]...: the base image's layers and configuration get into the image.
takes() {
	local what=$1 status=0
	shift
	on "$T/layers" dt-manifest --name x --tag t --from "$@" >"$T/image" 2>"$T/err" || status=$?
	is "$what: status, and silent" "$status:$(cat "$T/err")" 0:
	is "$what: a whole image, its layers, its configuration" \
		"$(archive show "$T/image" 2>&1 | jq -c '[.config.rootfs.diff_ids, .config.config.Env, .config.config.Cmd, .config.architecture]')" \
		"[[\"sha256:${base_ids[0]}\",\"sha256:${base_ids[1]}\",\"sha256:$mine\"],[\"BASE=1\"],[\"base\"],\"amd64\"]"
}

# refuses DESCRIPTION REGEX FILE [OPTION]...
refuses() {
	local what=$1 regex=$2
	shift 2
	fails 1 "^dt-manifest: $regex\$" "$what" on "$T/layers" timeout 20 dt-manifest --name x --from "$@"
	is "$what: no end of archive" "$(ended "$T/out"):$(grep -ac manifest.json "$T/out")" no:0
}

# --- dialects ---

for base in "$T/good"/*.tar; do
	kind=${base##*/}
	takes "${kind//[-.]/ }" "$base" --arch amd64
done
cp "$T/good/oci-platforms.tar" "$T/base.tar"
is 'the platform of --arch is taken' \
	"$(on "$T/layers" dt-manifest --name x --from "$T/base.tar" --arch arm64 | { cat >"$T/image"; archive show "$T/image"; } |
		jq -c '[.config.architecture, (.config.rootfs.diff_ids | index("sha256:'"${base_ids[0]}"'"))]')" '["arm64",null]'
refuses 'a platform that is not there' ".*/base.tar: no image .*" "$T/base.tar" --arch riscv64

# A layer that is listed twice; one that is nothing but its end; one with something behind that.
twice() { # LAYER...: Docker's archive of layers in these files
	/usr/bin/python3 - "$@" <<'END'
import filetar, hashlib, json, sys
files, ids, names = {}, [], []
for file in sys.argv[1:]:
    data = open(file, 'rb').read()
    ids.append('sha256:' + hashlib.sha256(data).hexdigest())
    names.append(ids[-1][7:] + '/layer.tar')
    files[names[-1]] = data
config = json.dumps({'architecture': 'amd64', 'os': 'linux', 'rootfs': {'type': 'layers', 'diff_ids': ids}}).encode()
files['c.json'] = config
files['manifest.json'] = json.dumps([{'Config': 'c.json', 'RepoTags': ['a:b'], 'Layers': names}]).encode()
filetar.write(sys.stdout.buffer, files)
END
}
dt-root --raw --tree "$T/tree" >"$T/one"
head -c 1024 /dev/zero >"$T/two"
{ cat "$T/one"; head -c 20480 /dev/zero; echo and more; } >"$T/three"
mkdir "$T/nothing"
dt-root --raw --tree "$T/nothing" >"$T/four"
twice "$T/one" "$T/two" "$T/one" "$T/three" "$T/four" "$T/one" >"$T/base.tar"
on "$T/layers" dt-manifest --name x --from "$T/base.tar" >"$T/image" 2>"$T/err"
is 'layers of all sorts, some of them again and again: a whole image' "$?:$(archive check "$T/image" 2>&1)" 0:
is 'layers of all sorts: in order' "$(archive show "$T/image" | jq -r '.config.rootfs.diff_ids[]')" \
	"$(sha256sum "$T/one" "$T/two" "$T/one" "$T/three" "$T/four" "$T/one" "$T/one" | awk '{ print "sha256:" $1 }')"

# --- compressed, and by other ways than a file ---

cp "$T/good/docker-20.tar" "$T/base.tar"
for command in gzip 'gzip -9' xz bzip2 zstd 'zstd -19'; do
	$command -c "$T/base.tar" >"$T/base.tar.z"
	takes "the archive compressed by $command" "$T/base.tar.z"
done
split -b 5000 --filter='gzip -c' "$T/base.tar" >"$T/base.tar.gz"
takes 'the archive compressed, several gzip members' "$T/base.tar.gz"
gzip -c "$T/good/layers-gzip.tar" >"$T/base.tar.gz"
takes 'the archive compressed, and its layers too' "$T/base.tar.gz"
cp "$T/base.tar" "$T/a -b \"c\".tar"
takes 'a name with blanks and quotes' "$T/a -b \"c\".tar"
cd "$T" || exit 1
takes 'a relative name' base.tar
takes 'a relative name with a colon' ./base.tar
takes 'a pipe' <(cat "$T/base.tar")
takes 'a pipe, compressed' <(xz -c "$T/base.tar")
mkfifo "$T/fifo"
cat "$T/base.tar" >"$T/fifo" &
takes 'a FIFO' "$T/fifo"
wait
ln -s base.tar "$T/link.tar"
takes 'a symlink' "$T/link.tar"
exec 5<"$T/base.tar"
takes 'a descriptor' /dev/fd/5
exec 5<&-
TMPDIR=$T/none takes 'a plain file: no TMPDIR is needed' "$T/base.tar"
mkdir "$T/tmp"
TMPDIR=$T/tmp takes 'TMPDIR' "$T/base.tar.gz"
is 'TMPDIR: nothing is left there' "$(ls -A "$T/tmp")" ''
no_tmp() { TMPDIR=$T/none on "$T/layers" dt-manifest --name x --from "$T/base.tar.gz"; }
fails 1 '^dt-manifest: .*temporary file.*: No such file or directory$' 'no TMPDIR' no_tmp

# --- what other tools write ---

ok 'podman loads the base' in_podman load -q -i "$T/base.tar"
for format in docker-archive oci-archive; do
	ok "podman saves it as $format" in_podman save -q --format "$format" -o "$T/podman.tar" localhost/base:1
	takes "podman's $format" "$T/podman.tar"
	rm -f "$T/podman.tar" "$T/skopeo.tar"
	ok "skopeo copies it to $format:" skopeo copy -q --insecure-policy "docker-archive:$T/base.tar" "$format:$T/skopeo.tar:base:1"
	takes "skopeo's $format" "$T/skopeo.tar"
done
ok 'podman tags it' in_podman tag localhost/base:1 localhost/other:2
ok 'podman saves both' in_podman save -q --multi-image-archive -o "$T/podman.tar" localhost/base:1 localhost/other:2
takes "podman's archive of several images" "$T/podman.tar" --from-name localhost/other --from-tag 2
ok 'skopeo copies it to an OCI layout' skopeo copy -q --insecure-policy --dest-compress-format zstd --dest-compress \
	"docker-archive:$T/base.tar" "oci:$T/layout:1"
tar -C "$T/layout" -cf "$T/layout.tar" .
takes "skopeo's OCI layout in a tar, compressed by zstd" "$T/layout.tar" --from-tag 1
on "$T/layers" dt-manifest --name x --tag t --from "$T/base.tar" >"$T/ours.tar"
dt-inspect "$T/ours.tar" >"$T/inspected"
is "dt's own" "$(jq -c '[.repoTags, .image.config.Env, (.layers | length)]' "$T/inspected")" '[["x:t"],["BASE=1"],3]'

# --- several images ---

chosen() { # DESCRIPTION WANTED [OPTION]...: the image with this label is taken
	local what=$1 want=$2
	shift 2
	is "$what" "$(dt-inspect "$@" "$T/several.tar" 2>&1 | jq -r .image.config.Labels.image)" "$want"
}
for kind in docker oci; do
	cp "$T/several/$kind-several.tar" "$T/several.tar"
	chosen "$kind: the first one" 0
	chosen "$kind: redis:1 is not redis:10" 1 --from-name redis --from-tag 1
	chosen "$kind: redis:10" 0 --from-name redis --from-tag 10
	chosen "$kind: the same by another name" 1 --from-name docker.io/library/redis --from-tag 1
	chosen "$kind: its second name" 1 --from-name two --from-tag names
	chosen "$kind: with a registry" 3 --from-name localhost:5000/redis --from-tag 1
	chosen "$kind: a name" 0 --from-name redis
	chosen "$kind: another name" 6 --from-name x/redis
	chosen "$kind: a tag" 1 --from-tag 1
	chosen "$kind: latest" 4 --from-name redis --from-tag latest
	chosen "$kind: a tag with a dot" 4 --from-name redis --from-tag 1.2
	[ "$kind" = oci ] || chosen "$kind: a name without a tag is latest" 8 --from-name untagged --from-tag latest
	for wrong in 'redis 100' 'redis 1.' 'redi 1' 'edis 1' 'redis:1 1' 'localhost 5000/redis' '. 1' '.* 1' 'x 1' '5000/redis 1' 'library/redis 11'; do
		refuses "$kind: $wrong is not there" \
			"$T/several.tar: no image ${wrong% *}:${wrong#* } in it; it has redis:10 .*redis:1 .*localhost:5000/redis:1 .*" \
			"$T/several.tar" --from-name "${wrong% *}" --from-tag "${wrong#* }"
	done
	refuses "$kind: no such name" "$T/several.tar: no image y:\\(any tag\\) in it; it has .*" "$T/several.tar" --from-name y
	refuses "$kind: no such tag" "$T/several.tar: no image \\(any name\\):y in it; it has .*" "$T/several.tar" --from-tag y
done
cp "$T/good/no-tags.tar" "$T/base.tar"
refuses 'an image without a name' "$T/base.tar: no image base:1 in it; it has \\(an image without a name\\)" \
	"$T/base.tar" --from-name base --from-tag 1

# --- what is no image, and what is none any more ---

for base in "$T/bad"/*.tar; do
	kind=${base##*/}
	refuses "bad: ${kind//[-.]/ }" "$base: .*" "$base" --arch amd64
done

refuses 'a base that is not there' "$T/none: No such file or directory" "$T/none"
refuses 'a base that is a directory' "$T: a directory, but not an OCI image layout: it has no file oci-layout" "$T"
: >"$T/bad.tar"
refuses 'an empty base' "$T/bad.tar: empty, not an image" "$T/bad.tar"
refuses 'an empty base, from a pipe' '/dev/fd/[0-9]+: empty, not an image' <(:)
refuses '/dev/null as base' '/dev/null: empty, not an image' /dev/null
for size in 1 511 512 1024 10240; do
	head -c "$size" /dev/zero >"$T/bad.tar"
	refuses "a base of $size zero bytes" "$T/bad.tar: .*" "$T/bad.tar"
	head -c "$size" /dev/urandom >"$T/bad.tar"
	refuses "a base of $size random bytes" "$T/bad.tar: .*" "$T/bad.tar"
done
echo '{"Cmd": []}' >"$T/bad.tar"
refuses 'a base that is JSON' "$T/bad.tar: .*" "$T/bad.tar"
gzip -c "$T/bad.tar" >"$T/bad.gz"
refuses 'a base that is compressed JSON' "$T/bad.gz: .*" "$T/bad.gz"

for kind in docker-20 docker-25 oci layers-gzip; do
	cp "$T/good/$kind.tar" "$T/base.tar"
	content=$(/usr/bin/python3 -c 'import sys, tarfile
tar = tarfile.open(sys.argv[1])
last = tar.getmembers()[-1]
print(last.offset_data + last.size)' "$T/base.tar")
	for cut in 100 512 513 1000 1536 3000 $((content / 2)) $((content - 3000)) $((content - 700)) $((content - 1)) "$content" \
		$(((content + 511) / 512 * 512)) $(((content + 511) / 512 * 512 + 512)); do
		head -c "$cut" "$T/base.tar" >"$T/bad.tar"
		refuses "$kind cut after $cut bytes of $content" "$T/bad.tar: .*" "$T/bad.tar"
	done
done
cp "$T/good/docker-20.tar" "$T/base.tar"
for command in gzip xz bzip2 zstd; do
	$command -c "$T/base.tar" >"$T/base.tar.z"
	size=$(wc -c <"$T/base.tar.z")
	for cut in 3 20 $((size / 2)) $((size - 9)) $((size - 1)); do
		head -c "$cut" "$T/base.tar.z" >"$T/bad.z"
		refuses "an archive compressed by $command, cut after $cut bytes of $size" "$T/bad.z: .*" "$T/bad.z"
	done
	/usr/bin/python3 -c 'import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 0x55
sys.stdout.buffer.write(data)' "$T/base.tar.z" >"$T/bad.z"
	refuses "an archive compressed by $command, damaged" "$T/bad.z: .*" "$T/bad.z"
done
split -b 5000 --filter='gzip -c' "$T/base.tar" | head -c -5 >"$T/bad.z"
refuses 'the last gzip member is cut' "$T/bad.z: .*" "$T/bad.z"
refuses 'a cut pipe' '/dev/fd/[0-9]+: .*' <(head -c 3000 "$T/base.tar")

# Any one byte of a base changed: that is refused, or it does not matter.
cat >"$T/flip.py" <<'END'
import json, random, subprocess, sys
base, layers, out, archive, *ids = sys.argv[1:]
data = open(base, 'rb').read()
random.seed(data)
outcomes = {0: 0, 1: 0}
for _ in range(60):
    at, bit = random.randrange(len(data)), 1 << random.randrange(8)
    with open(base + '.flip', 'wb') as file:
        file.write(data[:at] + bytes([data[at] ^ bit]) + data[at + 1:])
    with open(layers, 'rb') as stdin, open(out, 'wb') as stdout:
        run = subprocess.run(['dt-manifest', '--name', 'x', '--arch', 'amd64', '--from', base + '.flip'],
                             stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, timeout=20)
    if run.returncode not in outcomes or (run.returncode == 1) != (run.stderr.count(b'\n') == 1):
        sys.exit(f'bit {bit} of byte {at}: status {run.returncode}, {run.stderr}')
    outcomes[run.returncode] += 1
    if run.returncode == 0:
        shown = json.loads(subprocess.run([archive, 'show', out], stdout=subprocess.PIPE, check=True).stdout)
        if [i[7:] for i in shown['config']['rootfs']['diff_ids']] != ids:
            sys.exit(f'bit {bit} of byte {at}: other layers')
    elif subprocess.run([archive, 'ended', out], stdout=subprocess.PIPE, check=True).stdout != b'no\n':
        sys.exit(f'bit {bit} of byte {at}: an image')
if not outcomes[1]:
    sys.exit('nothing was refused')
END
for kind in docker-25 oci-gzip layers-zstd; do
	ok "$kind, any one bit changed" /usr/bin/python3 "$T/flip.py" "$T/good/$kind.tar" "$T/layers" "$T/flipped" \
		"$t_dir/fixtures/archive.py" "${base_ids[@]}" "$mine"
done

# --- --inherit ---

echo '{"Cmd": ["c"], "Env": ["A=1", "B=2"], "Labels": {"a": "1"}}' >"$T/config"
dt-manifest --name x --config "$T/config" <"$T/layers" >"$T/below"
echo '{"Env": ["B=3"], "Labels": {"b": "2"}}' >"$T/config"
ok '--inherit env' on "$T/layers" dt-manifest --name y --from "$T/below" --config "$T/config" --inherit env
is '--inherit env: Env is inherited, and nothing else' "$(dt-inspect "$T/out" | jq -c .image.config)" \
	'{"Env":["A=1","B=3"],"Labels":{"b":"2"}}'
ok '--inherit all' on "$T/layers" dt-manifest --name y --from "$T/below" --config "$T/config" --inherit all
is '--inherit all is the default' "$(cksum <"$T/out")" \
	"$(dt-manifest --name y --from "$T/below" --config "$T/config" <"$T/layers" | cksum)"
fails 2 "^dt-manifest: --inherit takes all or env, not 'Env'" '--inherit of another word' dt-manifest --name x --inherit Env

# --- stdin has but one use ---

fails 2 '^dt-manifest: standard input is for the layers' '--from - would take away the layers' on "$T/base.tar" dt-manifest --name x --from -
is '--from - would take away the layers: nothing' "$(wc -c <"$T/out")" 0

finish
