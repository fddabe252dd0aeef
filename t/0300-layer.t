#!/usr/bin/env bash
# dt-layer and dt-root: layers of store paths, of a directory and of links are equal, byte for byte, to those of Python's
# tarfile.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 perl mknod jq unshare

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"

reference() { "$t_dir/fixtures/layer.py" "$@"; }
members() { archive members "$1"; }
plan() { printf '%s\n' "$*"; }

mkdir -p "$T/s/nix/store"

# layer_is DESCRIPTION [--OPTION=VALUE]... PATH...: of these store paths below $T/s.
layer_is() {
	local what=$1 word options=() paths=()
	shift
	for word; do
		case $word in
		--*) options+=("$word") ;;
		*) paths+=("$word") ;;
		esac
	done
	plan "${paths[@]}" | dt-layer --store "$T/s" --raw "${options[@]}" >"$T/got.tar" 2>"$T/err" ||
		echo "status $?" | cat - "$T/err" >>"$T/got.tar"
	reference --root "$T/s" "${options[@]}" "${paths[@]}" >"$T/want.tar"
	same "$what" "$T/got.tar" "$T/want.tar"
}

# --- a real store ---

awk '{ print $2 }' "$small/roots" >"$T/plan"
dt-layer --store "$small" <"$T/plan" >"$T/real.tar"
while read -r path; do
	reference --root "$small" "$path" | sha256sum | cut -d ' ' -f 1
done <"$T/plan" >"$T/want"
members "$T/real.tar" >"$T/members"
is 'all layers of a real store, as they are called' \
	"$(jq -r .name "$T/members")" "$(awk '{ print "blobs/sha256/" $1 }' "$T/want")"
is 'all layers of a real store, as they are' "$(jq -r .sha256 "$T/members")" "$(cat "$T/want")"

# --- store paths of all shapes: each is a file, a symlink or a directory in $T/s/nix/store ---

cd "$T/s/nix/store" || exit 1
new() { basename "$(store_path "$1")"; }

echo contents >"$(new file)"
: >"$(new empty_file)"
echo 'echo executable' >"$(new executable_file)"
chmod 755 "$(new executable_file)"
chmod 444 "$(new file)"
ln -s "$(store_path file)" "$(new symlink)"
ln -s /nowhere "$(new dangling_symlink)"
mkdir "$(new empty_directory)"

dir=$(new hard_links)
mkdir -p "$dir/b"
echo 'one file, three names' >"$dir/a"
ln "$dir/a" "$dir/b/c"
ln "$dir/a" "$dir/d"
ln -s nowhere "$dir/link"
ln -P "$dir/link" "$dir/link to the link"

dir=$(new modes)
mkdir "$dir"
for mode in 0000 0111 0444 0600 0640 0777 1644 2755 4755 6711; do
	echo "$mode" >"$dir/file $mode"
	mkdir "$dir/directory $mode"
	chmod "$mode" "$dir/file $mode" "$dir/directory $mode"
done
chmod 1777 "$dir"

dir=$(new order)
mkdir -p "$dir"/{a,a-b,b,B}/z
touch "$dir"/{a.b,'a b',a/.z,a/-,'!',_,~,A,0,a0,aa,b/z/z}

# Any name but those that no file may have: each byte; UTF-8 of each length at its ends;
# what is none: surrogates, overlong, too big, truncated, mixed with what is.
mkdir "$(new any_name)"
/usr/bin/python3 - "$(new any_name)" <<'END'
import os, sys
names = [bytes([i]) for i in range(1, 256) if i not in b'/.'] + [b'a' + bytes([i]) for i in range(1, 256) if i != 47]
names += [chr(c).encode() + end for end in (b'', b'z', b'\xff') for c in
          (0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x1f427, 0x10ffff)]
names += [b'\xc0\x80', b'\xc1\xbf', b'\xe0\x80\x80', b'\xe0\x9f\xbf', b'\xed\xa0\x80', b'\xed\xbf\xbf', b'\xf0\x80\x80\x80',
          b'\xf0\x8f\xbf\xbf', b'\xf4\x90\x80\x80', b'\xf5\x80\x80\x80', b'\xc3', b'\xe2\x82', b'\xf0\x9f\x90', b'\xf0\x9f\x90z',
          b'\xe2\x82\xc3\xa4', b'\x80\xc3\xa4', b'\xff\xc3\xa4', b'\xee\x80\x80\xff', b'\xed\x9f\xbf\xed\xa0', b' two  blanks ',
          b'new\nline', b'"\'\\$`', b'-n', b'...', b'\xc3\xa4' * 127 + b'z']
for name in set(names):
    with open(os.path.join(os.fsencode(sys.argv[1]), name), 'wb') as f:
        f.write(name)
    os.symlink(name, os.path.join(os.fsencode(sys.argv[1]), b'link ' + name[:200]))
END

# The name field has 100 bytes: what just fits, and what just does not.
dir=$(new long_names)
mkdir "$dir"
x() { printf "%0$1d" 0; }
prefix=$(store_path long_names)/
for length in 98 99 100 101 155 156 255 256 290; do
	echo "$length" >"$dir/$(x $((length - ${#prefix})))"
	mkdir "$dir/d$(x $((length - ${#prefix} - 1)))"
	ln -s "$(x "$length")" "$dir/link of $length"
done
echo 255 >"$dir/f$(x 254)"
ln -s "$(x 4095)" "$dir/longest link"
umlaut=$'\xc3\xa4'
ln -s "$(x 99)$umlaut" "$dir/link of 101 bytes, 100 characters"
ln -s "$(x 97)$umlaut$umlaut" "$dir/link that ends in the middle"$'\xff'
mkdir "$dir/$(x 250)$umlaut"
echo >"$dir/$(x 250)$umlaut/$umlaut"

# Deeper than PATH_MAX allows to say.
mkdir "$(new deep)"
(
	cd -P "$(new deep)" || exit 1
	for i in {1..25}; do
		mkdir "$i-$(x 240)" && cd -P "./$i-$(x 240)" || exit 1
		echo "$i" >file
		head -c 100000 /dev/zero >"large file"
		ln -s "$i" link
	done
)

# Contents around the sizes at which blocks, buffers and records end.
dir=$(new sizes)
mkdir "$dir"
for size in 0 1 511 512 513 1023 1024 9215 9216 10240 65535 65536 65537 262143 262144 262145 \
	524287 524288 524289 1048575 1048577; do
	head -c "$size" /dev/urandom >"$dir/$size"
done
truncate -s 3000000 "$dir/sparse"
printf end >>"$dir/sparse"
for size in {0..20}; do
	head -c "$((size * 512))" /dev/zero >"$(new "padding_$size")"
done

cd "$T" || exit 1
shopt -s nullglob
for path in "$T/s/nix/store"/*; do
	name=${path##*-}
	layer_is "the layer of: ${name//_/ }" "/nix/store/${path##*/}"
done

mapfile -t paths < <(store_path order; store_path file; store_path symlink; store_path modes)
layer_is 'of several paths, in the order of the plan' "${paths[@]}"

/usr/bin/python3 - "$T/s$(store_path order)" <<'END' >"$T/want"
import pathlib, sys
root = pathlib.Path(sys.argv[1])
print(*(str(p)[len(str(root)) - len(root.name):] for p in sorted([root, *root.rglob('*')])), sep='\n')
END
plan "$(store_path order)" | dt-layer --store "$T/s" --raw >"$T/raw"
is 'order is that of pathlib' \
	"$(archive ls "$T/raw" | sed -n '3,$s,^[^/]*/nix/store/,,p')" "$(cat "$T/want")"

# --- owner, names, time ---

path=$(store_path order)
for owner in 0:0 1000:100 1:2097151 2097151:2097152 2097152:2147483647; do
	layer_is "--owner $owner" --owner=$owner "$path"
done
for name in '' nobody "$(x 32)" "$(x 33)" "$(x 300)" "$umlaut" "$(x 31)$umlaut" $'\xff'; do
	layer_is "--uname and --gname $name" "--uname=$name" --gname=users "$path"
	layer_is "--gname $name" --uname=root "--gname=$name" "$path"
done
for time in @0 @1 @1000000000 @8589934591 @8589934592 @253402300799; do
	layer_is "--mtime $time" --mtime=$time "$path"
done

raw() { plan "$path" | dt-layer --store "$T/s" --raw "$@"; }
mtimes() { /usr/bin/python3 -c 'import sys, tarfile; print(*{m.mtime for m in tarfile.open(sys.argv[1])})' "$1"; }
raw --mtime @86400 >"$T/want.tar"
for time in 1970-01-02T00:00:00Z 19700102 19700102000000 '1970-01-02 00:00:00' 1970-01-02 1970-01-01T22:30:00.5-01:30 '1970-01-02 02:00:00+02:00'; do
	raw --mtime "$time" >"$T/got.tar"
	same "--mtime '$time'" "$T/got.tar" "$T/want.tar"
done
SOURCE_DATE_EPOCH=86400 raw >"$T/got.tar"
same 'SOURCE_DATE_EPOCH' "$T/got.tar" "$T/want.tar"
SOURCE_DATE_EPOCH=5 raw --mtime @86400 >"$T/got.tar"
same '--mtime is stronger than SOURCE_DATE_EPOCH' "$T/got.tar" "$T/want.tar"
raw >"$T/got.tar"
is 'the default is the first second of 1970' "$(mtimes "$T/got.tar")" 1
before=$(date +%s)
raw --mtime now >"$T/got.tar"
now=$(mtimes "$T/got.tar")
is '--mtime now' "$([ "$before" -le "$now" ] && [ "$now" -le "$(date +%s)" ] && echo yes)" yes
for time in '' yesterday -1 1.5 1970-02-30 1970-01-01T24:00:00Z @253402300800 86400 1970-01-01T00:00:00; do
	fails 2 "^dt-layer: --mtime .*'$time'" "--mtime '$time'" raw --mtime "$time"
done
for owner in '' 1 1: :1 1:2:3 -1:0 2147483648:0 root:root 0x1:0 '1 :1'; do
	fails 2 "^dt-layer: --owner takes UID:GID.*'$owner'" "--owner '$owner'" raw --owner "$owner"
done
# shellcheck disable=SC2317 # `fails` runs it
from_epoch() { SOURCE_DATE_EPOCH=$1 raw; }
fails 1 "^dt-layer: SOURCE_DATE_EPOCH is not a number of seconds: 'x'" \
	'SOURCE_DATE_EPOCH is no number' from_epoch x

# --- other stores ---

path=0123456789abcdfghijklmnpqrsvwxyz-a
for store in "$T/store" "$T/s2/gnu/store" "$T/three/ü ö/store"; do
	mkdir -p "$store/$path/bin"
	chmod 700 "$store"
	echo one >"$store/$path/bin/one"
done
plan "$T/store/$path" | dt-layer --store "$T/store" --raw >"$T/got.tar"
reference --store "$T/store" "$T/store/$path" >"$T/want.tar"
same '--store DIR: its layers have the directories that lead there' "$T/got.tar" "$T/want.tar"
plan "$T/store/$path" | dt-layer --raw >"$T/got.tar"
same 'a store is known by what is in it' "$T/got.tar" "$T/want.tar"
plan "/gnu/store/$path" | dt-layer --store "$T/s2" --raw >"$T/got.tar"
reference --root "$T/s2" --store /gnu/store "/gnu/store/$path" >"$T/want.tar"
same "Guix's store" "$T/got.tar" "$T/want.tar"
cd "$T" || exit 1
plan "/gnu/store/$path" | dt-layer --store ./s2/../s2/ --raw >"$T/got.tar"
same 'its root given another way' "$T/got.tar" "$T/want.tar"

# --- the layer archive ---

mapfile -t paths < <(store_path file; store_path modes; store_path symlink; store_path sizes)
one="${paths[0]}" two="${paths[1]} ${paths[2]}" three=${paths[3]}
printf '%s\n' "$one" "$two" "$three" "$one" "$two" | dt-layer --store "$T/s" >"$T/archive.tar"
for line in "$one" "$two" "$three"; do
	# shellcheck disable=SC2086 # a list
	reference --root "$T/s" $line | sha256sum | cut -d ' ' -f 1
done >"$T/want"
members "$T/archive.tar" >"$T/members"
is 'an archive has each layer once, in order' "$(jq -r .sha256 "$T/members")" "$(cat "$T/want")"
is 'layers are called by their diff_id' \
	"$(jq -r .name "$T/members")" "$(sed 's,^,blobs/sha256/,' "$T/want")"
is 'and bear it in a record' "$(jq -r .note.diff_id "$T/members")" "$(sed 's/^/sha256:/' "$T/want")"
quoted() { printf "store paths: ['%s']\n" "${1// /\', \'}"; }
is 'and what is in them in another' "$(jq -r .note.history.comment "$T/members")" \
	"$(quoted "$one"; quoted "$two"; quoted "$three")"
is 'members have no owner and no time' \
	"$(jq -c '[.kind, .mode, .owner, .mtime]' "$T/members" | sort -u)" '["-",420,[0,0,"",""],0]'
is 'there is an end-of-archive mark' "$(archive ended "$T/archive.tar")" yes
mkdir "$T/unpacked"
for tar in tar bsdtar; do
	ok "$tar lists it" "$tar" -tf "$T/archive.tar"
	is "$tar lists it: silently" "$(cat "$T/err")" ''
	ok "$tar unpacks it" "$tar" -C "$T/unpacked" -xf "$T/archive.tar"
	is "$tar unpacks it: silently" "$(cat "$T/err")" ''
done

# A layer of so many paths that its comment must end somewhere.
many=()
for i in {1..2000}; do
	many+=("/nix/store/$(printf %032d "$i")-$i")
	: >"$T/s/${many[-1]}"
done
plan "${many[@]}" | dt-layer --store "$T/s" >"$T/got.tar"
members "$T/got.tar" >"$T/members"
is 'a layer of 2000 paths' "$(jq -r .sha256 "$T/members")" \
	"$(reference --root "$T/s" "${many[@]}" | sha256sum | cut -d ' ' -f 1)"
jq -r .note.history.comment "$T/members" >"$T/comment"
like 'names the first of them' "$T/comment" "^store paths: \['${many[0]}', '${many[1]}', .*, and [0-9]+ more]\$"
is 'and not all' "$(($(wc -c <"$T/comment") < 100000))" 1

# --- a file over 8 GiB, for which the size field is too small ---

# On a tmpfs, where holes cost nothing.
big=$(store_path big)
cat >"$T/on-tmpfs" <<'END'
mkdir "$1" && mount -t tmpfs -o size=1m tmpfs "$1" && mkdir -p "$1$2"
truncate -s 8589934591 "$1$2/fits"
echo "$2" | dt-layer --store "$1" --raw | head -c 2048 >"$1.fits"
mv "$1$2/fits" "$1$2/over"
truncate -s 8589934592 "$1$2/over"
echo "$2" | dt-layer --store "$1" --raw | head -c 3072 >"$1.over"
echo "$2" | dt-layer --store "$1" | dt-manifest --name big | tar -tvf -
END
unshare -m bash "$T/on-tmpfs" "$T/big" "$big" >"$T/list" 2>/dev/null
header() {
	/usr/bin/python3 -c 'if True:
		import sys, tarfile
		info = tarfile.TarInfo(sys.argv[1])
		info.size, info.mode, info.mtime, info.uname, info.gname = int(sys.argv[2]), 0o644, 1, "root", "root"
		sys.stdout.buffer.write(info.tobuf(tarfile.PAX_FORMAT))' "$@"
}
header "$big/fits" 8589934591 >"$T/want"
same 'the header of a file of 8 GiB - 1' <(tail -c 512 "$T/big.fits") "$T/want"
header "$big/over" 8589934592 >"$T/want"
same 'the header of a file of 8 GiB' <(tail -c 1536 "$T/big.over") "$T/want"
size=$((6 * 512 + 8589934592 + 1024))
is 'a layer of it in an image' "$(awk 'NR == 1 { print $3 }' "$T/list")" \
	"$(((size + 10239) / 10240 * 10240))"
like 'the image is whole' "$T/list" ' manifest\.json$'

# --- dt-root --tree: a directory's contents at the root ---

tree_is() { # DESCRIPTION DIR [--OPTION=VALUE]...
	local what=$1 dir=$2
	shift 2
	dt-root --raw --tree "$dir" "$@" >"$T/got.tar"
	reference --tree "$@" "$dir" >"$T/want.tar"
	same "$what" "$T/got.tar" "$T/want.tar"
}

mkdir -p "$T/tree/bin" "$T/tree/etc/empty" "$T/tree/dev" "$T/empty"
echo hello >"$T/tree/bin/hello"
ln "$T/tree/bin/hello" "$T/tree/bin/hello2"
chmod 4755 "$T/tree/bin/hello"
ln -s bin/hello "$T/tree/hello"
ln -s ../../outside "$T/tree/etc/link"
chmod 1777 "$T/tree/etc/empty"
chown 1000:1000 "$T/tree/bin/hello"
tree_is '--tree' "$T/tree"
tree_is '--tree of an empty directory' "$T/empty"
tree_is '--tree, owner and all' "$T/tree" --owner=1000:1001 --uname=me --gname=us --mtime=@12345
for path in "$T/s/nix/store"/*-{any_name,long_names,deep,sizes,modes,order}; do
	tree_is "--tree: ${path##*-}" "$path"
done
mkfifo -m 640 "$T/tree/dev/fifo"
mknod -m 600 "$T/tree/dev/block" b 7 1000
mknod -m 666 "$T/tree/dev/char" c 1 3
tree_is '--tree: FIFOs and devices' "$T/tree"
dt-root --raw --tree "$T/tree" >"$T/want.tar"
ln -s tree "$T/tree-link"
for dir in ./tree tree/ tree/. ./../"${T##*/}"/tree "$T/tree-link" tree-link/; do
	dt-root --raw --tree "$dir" >"$T/got.tar"
	same "--tree $dir" "$T/got.tar" "$T/want.tar"
done
/usr/bin/python3 -c 'import os, socket, sys
os.chdir(sys.argv[1])
socket.socket(socket.AF_UNIX).bind("dev/socket")' "$T/tree"
dt-root --raw --tree "$T/tree" >"$T/got.tar" 2>"$T/err"
same '--tree: a socket is ignored' "$T/got.tar" "$T/want.tar"
is '--tree: which is said, and whose files become root'"'"'s' "$(sort "$T/err")" "dt-root: $T/tree/dev/socket: a socket is ignored
dt-root: $T/tree: files of owner 1000:1000 become 0:0; --owner keep keeps the owners in a --tree"

dt-root --tree "$T/tree" >"$T/got.tar" 2>/dev/null
is '--tree: the layer in an archive' "$(members "$T/got.tar" | jq -r '.sha256, .note.history.comment')" \
	"$(sha256sum <"$T/want.tar" | cut -d ' ' -f 1)"$'\ncustomisation layer'
dt-root --tree "$T/empty" --comment 'ä "b"' >"$T/got.tar"
is '--comment' "$(members "$T/got.tar" | jq -r .note.history.comment)" 'ä "b"'
fails 1 '^dt-root: the comment of a layer is not UTF-8$' 'a --comment that is not UTF-8' dt-root --tree "$T/empty" --comment $'\xff'
is 'a --comment that is not UTF-8: no end of archive' "$(archive ended "$T/out")" no
fails 1 "^dt-root: $T/nowhere: No such file" '--tree of what is not there' dt-root --tree "$T/nowhere"
fails 1 "^dt-root: $T/tree/bin/hello: not a directory" '--tree of a file' dt-root --tree "$T/tree/bin/hello"

# Several --tree.
mkdir -p "$T"/{m1,m2}/{both,only}
chmod 700 "$T/m1/both"
chmod 750 "$T/m2/both" "$T/m2/only"
rmdir "$T/m1/only"
echo 1 >"$T/m1/both/one"
echo 2 >"$T/m2/both/two"
echo 1 >"$T/m1/file"
echo 22 >"$T/m2/file"
echo 2 >"$T/m2/zwei"
dt-root --raw --tree "$T/m1" --tree "$T/m2" >"$T/got.tar" 2>"$T/err"
is 'several --tree: all of them, directories as in the first' "$(archive ls "$T/got.tar")" "d0700 both
-0644 both/one
-0644 both/two
-0644 file
d0750 only
-0644 zwei"
is 'several --tree: the first has precedence' "$(tar -xOf "$T/got.tar" file)" 1
is 'several --tree: which is said' "$(cat "$T/err")" \
	"dt-root: /file is in both $T/m1 and $T/m2; the first one is taken"
mkdir "$T/m3"
echo >"$T/m3/both"
fails 1 "^dt-root: /both is a directory in only one of $T/m1 and $T/m3\$" \
	'several --tree: a directory against a file' dt-root --tree "$T/m1" --tree "$T/m3"
fails 1 "^dt-root: /both is a directory in only one of $T/m3 and $T/m1\$" \
	'several --tree: a file against a directory' dt-root --tree "$T/m3" --tree "$T/m1"

# --- dt-root --links: links to what is in a package ---

a=$(store_path pkg_a) b=$(store_path pkg_b) c=$(store_path pkg_c)
mkdir -p "$T/s$a"/{bin,lib,share/doc/a,etc} "$T/s$b"/{bin,share/doc/b,libexec} "$T/s$c"
echo a >"$T/s$a/bin/hello"
echo a >"$T/s$a/bin/a b"$'\n\xff"'
echo a >"$T/s$a/lib/liba.so.1.2"
echo a >"$T/s$a/share/doc/a/README"
ln -s liba.so.1.2 "$T/s$a/lib/liba.so"
ln -s ../../bin "$T/s$a/share/doc/in"
ln -s ./../bin/./hello "$T/s$a/share/in"
ln -s ../../../outside "$T/s$a/etc/out"
ln -s .. "$T/s$a/etc/root"
ln -s ../.. "$T/s$a/etc/above"
ln -s "../../${a##*/}/bin" "$T/s$a/etc/around"
ln -s "$b/bin/tool" "$T/s$a/bin/tool"
ln -s /etc/passwd "$T/s$a/etc/passwd"
chmod 555 "$T/s$a" "$T/s$a/bin" "$T/s$a/share/doc"
echo b >"$T/s$b/bin/hello"
ln -s "$b/bin/tool" "$T/s$b/bin/tool"
chmod 700 "$T/s$b/share"
ln -s "$a" "$T/s$c/bin"
layer_is 'a package' "$a"

links() { dt-root --store "$T/s" --raw "$@"; }
of_a="d0755 bin
l0777 bin/a b
?\" -> $a/bin/a b
?\"
l0777 bin/hello -> $a/bin/hello
l0777 bin/tool -> $b/bin/tool
d0755 etc
l0777 etc/above -> $a/etc/above
l0777 etc/around -> $a/etc/around
l0777 etc/out -> $a/etc/out
l0777 etc/passwd -> /etc/passwd
l0777 etc/root -> ..
d0755 lib
l0777 lib/liba.so -> liba.so.1.2
l0777 lib/liba.so.1.2 -> $a/lib/liba.so.1.2
d0755 share
d0755 share/doc
d0755 share/doc/a
l0777 share/doc/a/README -> $a/share/doc/a/README
l0777 share/doc/in -> ../../bin
l0777 share/in -> ./../bin/./hello"
links --links "$a" >"$T/got.tar"
archive ls "$T/got.tar" >"$T/list"
is '--links: directories are directories, files are links, links stay if they can' \
	"$(tr '\377' '?' <"$T/list")" "$of_a"
archive again "$T/got.tar" >"$T/want"
same '--links: the bytes' "$T/got.tar" "$T/want"

links --links "$a" --links "$b" >"$T/got.tar" 2>"$T/err"
archive ls "$T/got.tar" >"$T/list"
like '--links, several: from the first' "$T/list" "^l0777 bin/hello -> $a/bin/hello\$"
like '--links, several: from both' "$T/list" "^d0755 share/doc/a\$"
like '--links, several: empty directories' "$T/list" "^d0755 share/doc/b\$"
is '--links, several: nothing twice' "$(archive ls "$T/got.tar" | sort | uniq -d)" ''
is '--links, several: a conflict is said, the same link is none' "$(cat "$T/err")" \
	"dt-root: /bin/hello is in both $a and $b; the first one is taken"
links --links "$b" --links "$a" >"$T/got.tar" 2>"$T/err"
archive ls "$T/got.tar" >"$T/list"
like '--links, the other way round: the first is first' "$T/list" "^l0777 bin/hello -> $b/bin/hello\$"
is '--links, the other way round: said so' "$(cat "$T/err")" \
	"dt-root: /bin/hello is in both $b and $a; the first one is taken"
fails 1 "^dt-root: /bin is a directory in only one of $a and $c\$" \
	'--links: a directory against a link' links --links "$a" --links "$c"

ln -s "$a" "$T/s$(store_path to_a)"
to_a=$(store_path to_a)
mkdir -p "$T/nix"
cat >"$T/at-nix" <<'END'
mount --bind "$1/s/nix" /nix && shift && exec "$@"
END
at_nix() { unshare -m bash "$T/at-nix" "$T" "$@"; }
mkdir -p /nix
at_nix dt-root --raw --links "$to_a" >"$T/got.tar"
archive ls "$T/got.tar" >"$T/list"
like '--links of a path that is a symlink' "$T/list" "^l0777 bin/hello -> $to_a/bin/hello\$"
links --links "$a/share" >"$T/got.tar"
is '--links of a directory in a package' "$(archive ls "$T/got.tar")" "d0755 doc
d0755 doc/a
l0777 doc/a/README -> $a/share/doc/a/README
l0777 doc/in -> $a/share/doc/in
l0777 in -> $a/share/in"

mkdir -p "$T/over/bin" "$T/over/new"
echo over >"$T/over/bin/hello"
chmod 711 "$T/over/bin"
links --tree "$T/over" --links "$a" >"$T/got.tar" 2>"$T/err"
archive ls "$T/got.tar" >"$T/list"
like '--tree over --links: the tree first' "$T/list" '^-0644 bin/hello$'
like '--tree over --links: its directories' "$T/list" '^d0711 bin$'
like '--tree over --links: what the package adds' "$T/list" "^l0777 lib/liba.so.1.2 -> $a/lib/liba.so.1.2\$"
is '--tree over --links: said so' "$(cat "$T/err")" \
	"dt-root: /bin/hello is in both $T/over and $a; the first one is taken"
links --links "$a" --tree "$T/over" >"$T/got.tar" 2>/dev/null
archive ls "$T/got.tar" >"$T/list"
like '--links over --tree: the package first' "$T/list" "^l0777 bin/hello -> $a/bin/hello\$"
like '--links over --tree: the directories are those of the tree' "$T/list" '^d0711 bin$'
like '--links over --tree: what the tree adds' "$T/list" '^d0755 new$'

fails 1 "^dt-root: --links $T/over: not in a store\$" '--links of what is in no store' links --links "$T/over"
fails 1 "^dt-root: $(store_path file): not a directory" '--links of a file' links --links "$(store_path file)"
fails 1 "$(store_path missing): No such file or directory\$" '--links of what is not there' links --links "$(store_path missing)"

# --- what a store path may not hold ---

for kind in p 'c 1 3' 'b 7 0'; do
	path=$(store_path "kind-${kind%% *}")
	mkdir "$T/s$path"
	# shellcheck disable=SC2086 # several words
	mknod "$T/s$path/special" $kind
	# shellcheck disable=SC2317 # `fails` runs it
	made() { plan "$path" | dt-layer --store "$T/s"; }
	fails 1 "^dt-layer: $T/s$path/special: a store path holds no device or FIFO\$" \
		"a store path with a special file, $kind" made
done

finish
