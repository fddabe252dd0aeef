#!/usr/bin/env bash
# dt-diff: each kind of difference alone, the first reason, equal images, and errors.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/samples.sh"
need jq python3 bsdtar
cd "$T" || exit 1

# differ DESCRIPTION WANT ARG...: dt-diff exits with 1 and prints these lines, without those of layers.
differ() {
	local what=$1 want=$2 status=0
	shift 2
	dt-diff "$@" >out 2>err </dev/null || status=$?
	is "$what: status and messages" "$status$(cat err)" 1
	is "$what: the lines" "$(grep -v '^layer [0-9]' out)" "$want"
}
equal() {
	ok "$1" dt-diff "${@:2}"
	is "$1: nothing is printed" "$(cat out err)" ''
}
wrap() { "$t_dir/fixtures/wrap.py" "$@"; }
# files DIR IMAGE: the image of a directory, with its times.
files() {
	tar --sort=name --owner=0 --group=0 --numeric-owner --format=posix --pax-option=delete=atime,delete=ctime -C "$1" -cf layer .
	wrap "$2" layer
}
image() { dt-manifest --name x "$@" <store.tar; }

mkdir -p tree/etc/d tree/bin
echo one >tree/etc/a
echo two >'tree/etc/b c'
ln -s a tree/etc/link
find tree -exec touch -h -d @1000 {} +
printf '%s\n' "$lib" "$app" | dt-layer --store "$T/s" >store.tar
image >1.tar

# --- equal ---
equal 'the same archive' 1.tar 1.tar
dt-manifest --name other --tag 2 <store.tar >2.tar
equal 'other names' 1.tar 2.tar
dt-compress --layers <1.tar >2.tar
equal 'compressed layers' 1.tar 2.tar
gzip <1.tar >2.tar
equal 'a compressed archive' 1.tar 2.tar
mkdir layout
dt-manifest --name x --format oci <store.tar | tar -x -C layout
equal 'the directory of a layout' 1.tar layout
ok 'standard input' on 1.tar dt-diff - 1.tar
ok 'a FIFO' bash -c 'dt-diff <(cat 1.tar) 1.tar'
ok '--output' dt-diff -o file 1.tar 2.tar
is '--output: an empty file' "$(stat -c %s file)" 0
dt-merge --only /dev/null 1.tar >thin.tar
equal 'a thin archive of the same image' 1.tar thin.tar

# --- the configuration ---
image --created 2026-11-29T12:00:00Z >2.tar
differ 'the time of creation' 'first reason: in the configuration: .created "1970-01-01T00:00:01Z" -> "2026-11-29T12:00:00Z"
config .created "1970-01-01T00:00:01Z" -> "2026-11-29T12:00:00Z"
config .history[0].created "1970-01-01T00:00:01Z" -> "2026-11-29T12:00:00Z"
config .history[1].created "1970-01-01T00:00:01Z" -> "2026-11-29T12:00:00Z"' 1.tar 2.tar
differ '--brief' 'first reason: in the configuration: .created "1970-01-01T00:00:01Z" -> "2026-11-29T12:00:00Z"' --brief 1.tar 2.tar
printf '{"Env": ["A=1", "B=2"], "Labels": {"a.b": "x"}, "Cmd": []}' >a.json
printf '{"Env": ["A=1"], "Labels": {"a.b": "%080d"}, "User": "\\u001b[1m\\u0085"}' 0 >b.json
image --config a.json >2.tar
image --config b.json >3.tar
differ 'values' 'first reason: in the configuration: .config.Cmd [] -> (none)
config .config.Cmd [] -> (none)
config .config.Env[1] "B=2" -> (none)
config .config.Labels["a.b"] "x" -> "00000000000000000000000000000000000000000000000000000000...
config .config.User (none) -> "\u001b[1m?"' 2.tar 3.tar
cat >spell.py <<'END'
import hashlib, io, json, sys, tarfile
# Writes the image again, with the configuration changed by an expression.
source, out = tarfile.open(sys.argv[1]), tarfile.open(sys.argv[2], "w")
docker = json.load(source.extractfile("manifest.json"))[0]
config = json.load(source.extractfile(docker["Config"]))
exec(sys.argv[3])
text = json.dumps(config, indent=1).encode()
docker["Config"] = hashlib.sha256(text).hexdigest() + ".json"
for name in docker["Layers"]:
    m = source.getmember(name)
    m.pax_headers = {}
    out.addfile(m, source.extractfile(name))
for name, data in (docker["Config"], text), ("manifest.json", json.dumps([docker]).encode()):
    m = tarfile.TarInfo(name)
    m.size = len(data)
    out.addfile(m, io.BytesIO(data))
out.close()
END
python3 spell.py 1.tar 2.tar ''
differ 'another spelling' 'first reason: in the configuration: the same values are spelled in another way
config the same values are spelled in another way' 1.tar 2.tar
python3 spell.py 1.tar 2.tar 'config["history"][0]["created"] = "2026-01-01T00:00:00Z"; config["author"] = None'
differ 'the history comes last, and null is a value' 'first reason: in the configuration: .author (none) -> null
config .author (none) -> null
config .history[0].created "1970-01-01T00:00:01Z" -> "2026-01-01T00:00:00Z"' 1.tar 2.tar
python3 spell.py 1.tar 2.tar 'for d in config["rootfs"]["diff_ids"], docker["Layers"], config["history"]: d.reverse()'
is 'the order of layers' "$(dt-diff --brief 1.tar 2.tar)" 'first reason: the order of the layers'
is 'the order of layers: no layer is added or removed' "$(dt-diff 1.tar 2.tar | grep -v '^config .history')" 'first reason: the order of the layers
layers are in another order'
echo '{"a": "b"}' >notes.json
image --annotations notes.json >2.tar
differ 'an annotation' 'first reason: the annotation of .a (none) -> "b"
annotation .a (none) -> "b"' 1.tar 2.tar

# --- files: change DESCRIPTION REASON LINES COMMAND: a copy of the tree differs by this command ---
files tree 1.tar
change() {
	rm -rf copy
	cp -a tree copy
	(cd copy && eval "$4")
	[ "${5-}" = touched ] || find copy -newermt @2000 -exec touch -h -d @1000 {} +
	files copy 2.tar
	differ "$1" "first reason: $2
$3" 1.tar 2.tar
}
change 'an added file' './etc/x is only in the second image' 'added ./etc/x' ': >etc/x'
change 'a removed file' './etc/link is only in the first image' 'removed ./etc/link' 'rm etc/link'
change 'an added directory is one line' './etc/d/e/ is only in the second image' 'added ./etc/d/e/' 'mkdir -p etc/d/e/f; : >etc/d/e/f/x; : >etc/d/e/y'
change 'names with a common beginning' './etc/d-e is only in the second image' 'added ./etc/d-e
added ./etc/d/e/' 'mkdir etc/d/e; : >etc/d/e/x; : >etc/d-e'
change 'contents of the same size' 'the content of ./etc/b\040c 4 -> 4' 'content ./etc/b\040c 4 -> 4' 'echo 222 >"etc/b c"'
change 'a target' 'the link of ./etc/link a -> b\040c' 'link ./etc/link a -> b\040c' 'ln -sfn "b c" etc/link'
change 'a mode' 'the mode of ./etc/a 644 -> 4755' 'mode ./etc/a 644 -> 4755' 'chmod 4755 etc/a'
change 'a time' 'the time of ./etc/a 1000.0 -> 1001.0' 'time ./etc/a 1000.0 -> 1001.0' 'touch -d @1001 etc/a' touched
change 'a directory in place of a file' 'the type of ./etc/a file -> dir' 'type ./etc/a file -> dir' 'rm etc/a; mkdir etc/a; : >etc/a/x'
change 'a file in place of a directory' 'the type of ./etc dir -> file' 'type ./etc dir -> file' 'rm -r etc; : >etc'
change 'the first reason is the cause: a new file changes the time of its directory' './etc/x is only in the second image' \
	'time ./etc 1000.0 -> 5000.0
added ./etc/x' ': >etc/x; touch -d @1000 etc/x; touch -d @5000 etc' touched
cat >owner.py <<'END'
import io, sys, tarfile
with tarfile.open(sys.argv[1], "w") as tar:
    m = tarfile.TarInfo("x")
    m.uid, m.gid, m.type = int(sys.argv[2]), 5, tarfile.CHRTYPE
    m.devmajor, m.devminor = 1, int(sys.argv[3])
    tar.addfile(m)
END
python3 owner.py 1.layer 0 3
python3 owner.py 2.layer 7 5
for i in 1 2; do wrap "$i.tar" "$i.layer"; done
differ 'an owner, and the numbers of a device' 'first reason: the device of ./x native,1,3 -> native,1,5
device ./x native,1,3 -> native,1,5
owner ./x 0:5 -> 7:5' 1.tar 2.tar

# --- layers without a visible difference ---
mkdir hidden
echo hidden >hidden/x
dt-root --tree hidden >low.tar
mkdir -p top
echo top >top/x
dt-root --tree top >top.tar
echo other >hidden/x
dt-root --tree hidden >low2.tar
cat low.tar top.tar | dt-manifest --name x >1.tar
cat low2.tar top.tar | dt-manifest --name x >2.tar
differ 'a hidden file' 'first reason: layer 1: the order, hard links or extended attributes of its files, or hidden files' 1.tar 2.tar
is 'layers are named by their number and digest' "$(dt-diff 1.tar 2.tar | tail -n +2)" \
	"layer 1 $(dt-inspect 1.tar | jq -r '.layers[0][:19]') -> $(dt-inspect 2.tar | jq -r '.layers[0][:19]')"
dt-manifest --name x <top.tar >2.tar
is 'a layer that is missing' "$(dt-diff 1.tar 2.tar | grep '^layer')" "layer 1 $(dt-inspect 1.tar | jq -r '.layers[0][:19]') -> (none)"

# --- other comparisons ---
small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
for name in hello dash; do
	dt-closure --store "$small" "$(root $name)" | dt-popularity | dt-layer --store "$small" | dt-manifest --name "$name" >"$name.tar"
done
dt-diff hello.tar dash.tar >out
is 'store paths are removed and added as directories' "$(grep -E '^(added|removed)' out | sort)" \
	"$(diff <(dt-closure --store "$small" "$(root hello)" | cut -d ' ' -f 1 | sort) \
		<(dt-closure --store "$small" "$(root dash)" | cut -d ' ' -f 1 | sort) |
		sed -n 's,^> \(.*\),added .\1/,p; s,^< \(.*\),removed .\1/,p' | sort)"
is 'the other way round, all is reversed' "$(dt-diff dash.tar hello.tar | grep -c '^added')" "$(grep -c '^removed' out)"
dt-merge hello.tar dash.tar >both.tar
equal '--from-name' --from-name dash both.tar dash.tar

# --- errors ---
error() { fails 2 "$@"; }
error '^dt-diff: two images are needed: try' 'no operand' dt-diff
error '^dt-diff: two images are needed: try' 'one operand' dt-diff 1.tar
error "^dt-diff: unexpected operand '3.tar': try" 'three operands' dt-diff 1.tar 2.tar 3.tar
error '^dt-diff: only one image can be on standard input: try' 'twice standard input' dt-diff - -
error '^dt-inspect: none.tar: No such file or directory$' 'no such file' dt-diff 1.tar none.tar
head -c 5000 1.tar >part.tar
error '^dt-inspect: part.tar: ' 'a truncated archive' dt-diff 1.tar part.tar
error '^dt-inspect: stdin: ' 'a truncated archive on standard input' on part.tar dt-diff - 1.tar
error '^dt-flatten: thin.tar: a thin archive, without layer 1' 'a thin archive of another image' dt-diff 1.tar thin.tar
error '^dt-inspect: --arch: ' 'a wrong architecture' dt-diff --arch x/y 1.tar 2.tar
error ': cannot make a scratch directory' 'no room for files' env TMPDIR="$T/none" dt-diff 1.tar 2.tar
error '^dt-diff: stdout: cannot be written$' 'a full disk' full dt-diff 1.tar 2.tar
is 'no scratch file is left' "$(find "${TMPDIR:-/tmp}" -maxdepth 1 -name 'dt-diff.dt-scratch.*' -newer "$T/1.tar")" ''
finish
