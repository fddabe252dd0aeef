#!/usr/bin/env bash
# dt-root --tar: a rootfs tar becomes a layer with the same owners. Untrusted tars, and warnings about
# owners that are lost.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # functions are run by name, and text by other shells
. "$(dirname "$0")/lib.sh"
need bsdtar bzip2 python3 runuser setcap setfattr tar xz zstd

chmod 755 "$T"
cd "$T" || exit 1
raw() { dt-root --raw "$@"; }

# What a system has: owners, modes, devices, hard links, attributes, holes.
mkdir -p r/bin r/dev r/etc/secret r/home/user r/é
echo root:x:0:0 >r/etc/passwd
chown 0:42 r/etc/passwd
chmod 640 r/etc/passwd
chown 1000:1000 r/home/user
chmod 700 r/etc/secret
head -c 200000 /dev/urandom >r/bin/ping
setcap cap_net_raw+ep r/bin/ping
setfattr -n user.note -v text r/bin/ping
ln r/bin/ping r/bin/another
ln -s ping r/bin/link
chown -h 3:4 r/bin/link
mknod r/dev/null c 1 3
mknod r/dev/loop0 b 7 0
mkfifo r/dev/fifo
chown 1000:1000 r/dev/fifo
head -c 5000 /dev/urandom >r/home/user/small
chown 4000000000:5 r/home/user/small
chmod 6755 r/home/user/small
truncate -s 3M r/holes
printf x | dd of=r/holes bs=1M seek=1 conv=notrunc status=none
touch -d '1 hour ago' r/etc/passwd
raw --owner keep --tree r >want.tar

# --- the same as the tree ---

gives() { # DESCRIPTION COMMAND...
	local what=$1
	shift
	ok "$what" "$@"
	is "$what: silent" "$(cat "$T/err")" ''
	same "$what: as the tree" "$T/out" want.tar
}
gnu() { tar --xattrs --xattrs-include='*' --numeric-owner -C r -cf - "$@" .; }
gnu --format=pax >r.tar
gives 'GNU tar' raw --tar r.tar
gives 'on standard input' on r.tar raw --tar -
from_pipe() { raw --tar - < <(cat "$1"); }
gives 'from a pipe' from_pipe r.tar
gnu --format=pax --sparse >sparse.tar
gives 'sparse files' raw --tar sparse.tar
gnu --format=pax --sort=name >sorted.tar
gives 'members in another order' raw --tar sorted.tar
bsdtar --format pax --numeric-owner -C r -cf bsd.tar .
gives 'bsdtar' raw --tar bsd.tar
gives 'a layer of ours' raw --tar want.tar
for command in gzip bzip2 xz zstd; do
	"$command" -c <r.tar >r.z
	gives "$command" raw --tar r.z
	gives "$command, from a pipe" from_pipe r.z
done
dt-root --owner keep --tree r | dt-manifest --name r | dt-flatten >flat.tar
gives "dt-flatten's output" raw --tar flat.tar
dt-root --tar r.tar | dt-manifest --name r | dt-flatten >flat2.tar
same 'an image of it has the same files' flat2.tar flat.tar
dt-root --mtime @5 --owner keep --tree r >mtime.want
dt-root --mtime @5 --tar r.tar >mtime.got
same 'times are those of --mtime' mtime.got mtime.want
dt-root --owner keep --tar r.tar >keep.got
dt-root --tar r.tar >keep.want
same '--owner keep changes nothing' keep.got keep.want
fails 2 '^dt-root: --owner UID:GID does not go with --tar, .*' 'another owner' dt-root --owner 7:8 --tar r.tar

# With others.
mkdir -p more/etc other/bin
echo more >more/etc/hostname
echo other >other/bin/link
raw --owner keep --tree r --tree more >want2.tar
tar -C more -cf more.tar .
raw --tar r.tar --tar more.tar >got2.tar
same 'two tars' got2.tar want2.tar
raw --tar r.tar --tree more >got2.tar
is 'a tar and a directory' "$(tar -tv --numeric-owner -f got2.tar)" "$(tar -tv --numeric-owner -f want2.tar)"
raw --tar r.tar --tree other >got2.tar 2>err
is 'the first one wins' "$(cat err)" 'dt-root: /bin/link is in both r.tar and other; the first one is taken'
same 'the first one wins: it is as if the second were not there' got2.tar want.tar
fails 1 '^dt-root: /etc is a directory in only one of r.tar and file$' 'a directory against a file' \
	bash -c 'mkdir file; echo >file/etc; dt-root --tar r.tar --tree file'

# On top of an image whose /bin is a symlink.
mkdir -p usr/usr/bin
ln -s usr/bin usr/bin
dt-root --tree usr | dt-manifest --name usr >usr.tar
raw --from usr.tar --tar r.tar 2>err | tar -t | grep ping >names
is 'what is in /bin goes to /usr/bin' "$(cat names)" usr/bin/ping
like 'a warning names the tar' err 'what r.tar has there goes to /usr/bin$'

# --- what is refused ---

python3 - <<'END'
import rawtar as t
def put(name, entries):
    with open(f'bad-{name}.tar', 'wb') as f:
        f.write(entries if isinstance(entries, bytes) else t.tar(entries))
put('whiteout', [t.directory('etc'), t.file('etc/.wh.passwd', '')])
put('opaque', [t.directory('etc'), t.file('.wh..wh..opq', '')])
put('link', [t.link('a', 'b')])
put('directory', [t.directory('d'), t.link('a', 'd')])
put('root', [t.file('.', 'x')])
put('deep', [t.file('d/' * 3000 + 'x')])
put('escape', [t.file('../../etc/x', 'x'), t.file('/abs', 'x'), t.symlink('l', '..'), t.file('l/y', 'y')])
END
refuses() { # DESCRIPTION REGEX FILE
	fails 1 "^dt-root: $3: $2\$" "$1" dt-root --tar "$3"
	is "$1: nothing comes out" "$(wc -c <"$T/out")" 0
}
refuses 'a whiteout' "'etc/.wh.passwd' is a whiteout: this is a layer, not a rootfs" bad-whiteout.tar
refuses 'an opaque marker' "'.wh..wh..opq' is a whiteout: .*" bad-opaque.tar
refuses 'a hard link to nothing' "'a' is a hard link to 'b', which is not there" bad-link.tar
refuses 'a hard link to a directory' "'a' is a hard link to the directory 'd'" bad-directory.tar
refuses 'a root that is a file' 'the root is not a directory' bad-root.tar
refuses 'a path that is too deep' '.*' bad-deep.tar
refuses 'no such file' 'No such file or directory' none.tar
: >bad-empty.tar
refuses 'an empty file' 'empty, not a rootfs tar' bad-empty.tar
head -c 100000 /dev/urandom >bad-random.tar
refuses 'no tar' '.*' bad-random.tar
head -c 10240 /dev/zero >bad-zero.tar
refuses 'no members' 'an archive without members' bad-zero.tar
perl -0777 -pe 's/\0+\z//' r.tar >bad-mark.tar
refuses 'no end-of-archive mark' '.*' bad-mark.tar
for size in 1000 100000 150000; do
	head -c "$size" r.tar >bad-cut.tar
	refuses "truncated at $size bytes" '.*' bad-cut.tar
	gzip -c r.tar | head -c "$size" >bad-cut.tar.gz
	refuses "compressed, truncated at $size bytes" '.*' bad-cut.tar.gz
done
is 'no name leads out' "$(raw --tar bad-escape.tar 2>/dev/null | tar -t | tr '\n' ' ')" 'abs etc/ etc/x l/ l/y '
fails 2 '^dt-root: standard input can be read but once: ' 'two from standard input' dt-root --tar - --tar -
fails 2 '^dt-root: standard input can be read but once: ' 'a tar and a plan' dt-root --tar - --plan -
fails 2 '^dt-root: standard input can be read but once: ' 'a tar and an image' dt-root --tar - --from -

# --- what changes ---

mkfifo fifo
mkdir big
for name in a b; do yes "$name" | head -c 3000000 >"big/$name"; done
changing() { # DESCRIPTION COMMAND STATUS MESSAGE: COMMAND runs after the digest was found
	local status=0 pid
	tar -C big -cf big.tar .
	touch -d '1 hour ago' big.tar
	settle big.tar
	dt-root --tar big.tar >fifo 2>err &
	pid=$!
	exec 3<fifo
	head -c 1000 <&3 >changed
	eval "$2"
	cat <&3 >>changed
	exec 3<&-
	wait "$pid" || status=$?
	is "$1: status" "$status" "$3"
	is "$1: message" "$(sed 's/[ab]:/FILE:/' err)" "$4"
}
message='dt-root: big.tar/FILE: changed while it was read'
change='printf x | dd of=big.tar bs=1 seek=5000000 conv=notrunc status=none'
changing 'the tar changes' "$change" 1 "$message"
changing 'the tar changes, its times do not' "touch -r big.tar times; $change; touch -r times big.tar" 1 "$message"
changing 'the tar gets another name' 'ln -f big.tar link.tar' 0 ''
rm -rf "$DT_CACHE"
facts() { find "$DT_CACHE" -type f 2>/dev/null | wc -l; }
settle big.tar
dt-root --tar big.tar >first
is 'its digest is remembered' "$(facts)" 1
dt-root --tar big.tar >second
same 'and it comes out again' second first
touch -r big.tar times
printf y | dd of=big.tar bs=1 seek=5000000 conv=notrunc status=none
touch -r times big.tar
settle big.tar
dt-root --tar big.tar >second
dt-root --no-cache --tar big.tar >third
same 'but not of a tar that was changed in secret' second third
is 'another one it is' "$(cmp -s first second; echo $?)" 1
rm -rf "$DT_CACHE"
gzip -c big.tar | dt-root --tar - >second
same 'compressed, from a pipe' second third
is 'of that nothing is remembered' "$(facts)" 0

# --- owners that are lost ---

lost() { # DESCRIPTION LINE OPTION...
	local what=$1 line=$2
	shift 2
	dt-root "$@" 2>err >out
	is "owners: $what" "$?:$(cat err)" "0:$line"
}
mkdir -p own strange/d group
echo >own/file
echo >strange/d/file
echo >group/shadow
chown 12:34 strange/d/file
chown 0:42 group/shadow
keeps='become 0:0; --owner keep keeps the owners in a --tree'
lost "root's" '' --tree own
lost "another user's" "dt-root: strange: files of owner 12:34 $keeps" --tree strange
lost "another group's" "dt-root: group: files of owner 0:42 $keeps" --tree group
lost 'said once' "dt-root: strange: files of owner 12:34 $keeps" --tree strange --tree group --copy own
lost 'copies' "dt-root: strange: files of owner 12:34 $keeps" --copy strange
lost 'kept' '' --tree strange --owner keep
lost 'copies have none to keep' "dt-root: group: files of owner 0:42 $keeps" --tree strange --copy group --owner keep
lost 'chosen' '' --tree strange --owner 0:0
mkdir -m 777 home
as_nobody() { runuser -u nobody -- env HOME="$T/home" DT_CACHE='' "PATH=$PATH" "$@"; }
as_nobody bash -c 'mkdir home/tree; echo >home/tree/file'
is "owners: the caller's own" "$(as_nobody dt-root --tree home/tree 2>&1 >/dev/null)" ''
is "owners: neither the caller's nor root's" "$(as_nobody dt-root --tree strange 2>&1 >/dev/null)" \
	"dt-root: strange: files of owner 12:34 $keeps"

finish
