#!/usr/bin/env bash
# The disk that a guest gets the image on, as the tools of erofs-utils see it.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need python3 fsck.erofs dump.erofs tar
cd "$T" || exit 1

# A directory of many blocks, files around the size of a block, a large one, long links and names.
mkdir -p tree/many tree/sizes tree/"$(printf 'd%.0s' {1..255})"
for ((i = 0; i < 3000; i++)); do : >"tree/many/$i-some-file-of-a-name-that-is-not-short"; done
for size in 0 1 4000 4031 4032 4033 4095 4096 4097 8191 8192 8193 1000000; do
	head -c "$size" <(yes "$size") >"tree/sizes/$size"
done
ln -s "$(printf '/target%.0s' {1..580})" tree/sizes/link
echo utf-8 >$'tree/sizes/\xc3\xbc'
echo none >$'tree/sizes/\xff'
python3 "$t_dir/fixtures/vmimage.py" corners >corners.tar
dt-root --tree tree | dt-manifest --from corners.tar --name x --tag 1 >image.tar
rm -r tree

# list DIR: all that is in it, but for what fsck.erofs does not set: set-id bits, attributes
# and names of one file.
list() {
	(cd "$1" && find . -mindepth 1 -printf '%P %y %U:%G %TY-%Tm-%Td %TT %l\n' | sort &&
		find . -not -type l -printf '%P %m\n' | sed -E 's/ [0-9]([0-7]{3})$/ \1/' | sort &&
		find . -type f -print0 | sort -z | xargs -0 sha256sum)
}
for kind in corners image; do
	ok "$kind: a disk" "$build/unit/erofs" "$kind.tar" "$kind.erofs"
	ok "$kind: nothing is wrong with it" fsck.erofs "$kind.erofs"
	ok "$kind: the files on it" fsck.erofs "--extract=$T/$kind.got" --preserve "$kind.erofs"
	mkdir "$kind.want"
	dt-flatten "$kind.tar" >flat.tar
	tar --warning=no-timestamp --warning=no-unknown-keyword --numeric-owner -xpf flat.tar -C "$kind.want"
	is "$kind: what they are" "$(list "$kind.got")" "$(list "$kind.want")"
	is "$kind: its length is that of its blocks" "$(stat -c %s "$kind.erofs")" \
		"$(dump.erofs -s "$kind.erofs" | awk '/Filesystem blocks/ { print $3 * 4096 }')"
done
# What extracting does not show.
entry() { dump.erofs "--path=$1" corners.erofs | tr '\n' ' ' | tr -s ' '; }
is 'an owner' "$(entry /own/setuid | grep -oE 'Uid: [0-9]+ Gid: [0-9]+')" 'Uid: 3 Gid: 4'
nid=$(entry /own/setuid | sed -E 's/.*NID: ([0-9]+).*/\1/')
is 'set-id bits' "$(od -An -to2 -j $((nid * 32 + 4)) -N 2 corners.erofs | tr -d ' ')" 106755
is 'names of one file' "$(entry /own/attr | grep -oE 'NID: [0-9]+ Links: [0-9]+')" "$(entry /own/hard | grep -oE 'NID: [0-9]+ Links: 2')"
is 'attributes' "$(entry /own/attr | grep -oE 'Xattr size: [0-9]+')" 'Xattr size: 36'
is 'none' "$(entry /own/setuid | grep -oE 'Xattr size: [0-9]+')" 'Xattr size: 0'
is 'half a second before 1970' "$(entry /own/old | grep -oE 'Timestamp: .*[0-9]')" 'Timestamp: 1969-12-31 23:59:59.500000000'
is 'no file is on it that a layer hides' "$(ls "$T/corners.got/gone")" z

finish
