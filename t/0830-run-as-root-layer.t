#!/usr/bin/env bash
# What root's commands may leave in a layer: the same in all backends, for every user, and in
# the image that dt-build-image makes of it.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2028,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/users.sh"
need busybox jq ldd setcap setfattr python3 fakeroot unshare setpriv newuidmap qemu-system-x86_64 mke2fs
unset DT_BACKEND
mkdir -m 1777 "$T/tmp"
chmod 755 "$T"
export TMPDIR=$T/tmp
cd "$T" || exit 1
mkdir -p s/nix/store

"$t_dir/fixtures/programs" programs bash cat chmod chown dd ln mkdir mkfifo mknod mv rm rmdir setcap setfattr touch truncate
python3 "$t_dir/fixtures/vmimage.py" deep >deep.tar
{
	dt-root --tree programs | dt-manifest --from deep.tar --name base --tag 1 >base.tar
	mkdir -p one/more
	dt-root --tree one | dt-manifest --from base.tar --name most --tag 1 >most.tar
} 2>/dev/null
is 'a base of as many layers as there may be' "$(dt-inspect most.tar | jq '.layers | length')" 127

# Everything but devices, which an unprivileged user cannot make.
long=$(printf 'long%.0s' {1..40})
cat >script <<'END2'
#!/bin/bash
set -e
mkdir /new /new/empty /new/caps
cd /new
for id in 0 1 999 65534 65535; do echo $id >o$id; chown $id:$((65535 - id)) o$id; done
for mode in 0 1 4755 2711 6711 1644 7777; do echo $mode >m$mode; chmod $mode m$mode; done
chmod 1777 empty
cat /bin/mkdir >caps/ping
setcap cap_net_raw,cap_net_admin+ep caps/ping
cat /bin/mkdir >caps/owned
chown 7:8 caps/owned
chmod 750 caps/owned
setcap cap_chown=ei caps/owned
echo attributes >attr
setfattr -n user.text -v 'a = b' attr
setfattr -n user.binary -v 0x00ff0a00 attr
setfattr -n system.posix_acl_access -v 0x0200000001000600ffffffff02000400e703000004000400ffffffff10000600ffffffff20000400ffffffff attr
setfattr -n user.directory -v x caps
ln attr attr-too
ln attr empty/attr-three
ln -s ../../nowhere dangling
chown -h 5:6 dangling
ln dangling dangling-too
ln -s / absolute
mkfifo -m 622 fifo
chown 11:12 fifo
ln fifo fifo-too
truncate -s 3000000 holes
echo end >>holes
dd if=/dev/zero of=zeroes bs=100000 count=1 2>/dev/null
mkdir -p LONG/LONG
echo deep >LONG/LONG/LONG
ln -s LONG/LONG/LONG long-link
ln LONG/LONG/LONG deep-too
echo x >$'new\nline'
echo x >'quotes "and'\''blanks\'
echo x >-dash
echo x >$'\xff\xfe'
echo x >ümlaut
echo x >.wh
touch -d 2001-01-01T00:00:00 newer
cat /deep/* >deep
echo /deep/* /dev/null /proc/self/root >>deep
# what is gone, or new
rm /lib/a
rm -r /lib/sub
mkdir /lib/sub
echo new >/lib/sub/d
mv /gone/z /gone/w
rm -r /tmp
echo x >/tmp
rm /own/link
mkdir -p /own/link/now
rm -r /own/pipe
chmod 600 /own/attr /own/cap
chmod 00755 /own
chown 0:0 /own
chmod 711 /
END2
sed -i "s/LONG/$long/g" script

layer_of() { tar --wildcards -xOf "$1" 'blobs/sha256/*'; }
show() { python3 "$t_dir/fixtures/vmimage.py" show; }

# --- in all backends, for every user ---

ok 'root, without a virtual machine' dt-vmrun --backend userns --from most.tar script
mv out root.tar
show <root.tar >shown
is 'something of each kind' "$(cut -d ' ' -f 2 shown | sort -u | tr '\n' ' ')" '0 1 2 5 6 '
like 'capabilities' shown '^new/caps/ping .* security.capability='
like 'capabilities of another owner' shown '^new/caps/owned 0 750 7:8 .* security.capability='
like 'attributes, and an access control list' shown "^new/attr .* system.posix_acl_access=.* user.binary=.* user.text='a = b'"
like 'an owner' shown '^new/o65535 0 644 65535:0 '
like 'a long name' shown "^new/$long/$long/$long "
like 'a directory that hides' shown '^lib/sub/.wh..wh..opq '
like 'a whiteout' shown '^own/.wh.pipe '
is 'all layers were there' "$(layer_of root.tar | tar -xO new/deep)" $'125\n/deep/125 /deep/last /dev/null /proc/self/root'
is 'nothing of what is mounted' "$(grep -cE '^(dev|proc|sys|.wh.(dev|proc|sys))( |/)' shown)" 0
like 'the root' shown '^\. 5 711 0:0 '

make_user 30830
user+=(env "DT_CACHE=$T/tmp/cache")
make_subids
chmod 644 most.tar script
cp "$build/dt-vmrun" dt-vmrun # the checkout may not be readable
ok 'a user, without a virtual machine' as subids ./dt-vmrun --backend userns --from most.tar script
same 'the same layer' out root.tar
ok 'an emulated virtual machine' dt-vmrun --backend tcg --from most.tar script
same 'the same layer, too' out root.tar

# --- in an image ---

export DT_BACKEND=userns
# layer NAME: the topmost one of NAME.tar; top NAME: what it has in it.
layer() { tar -xOf "$1.tar" "$(tar -xOf "$1.tar" manifest.json 2>/dev/null | jq -r '.[0].Layers[-1]')" 2>/dev/null; }
top() {
	layer "$1" | python3 "$t_dir/fixtures/vmimage.py" list | without_times
}
# An image levels all times.
without_times() { sed -E 's/^([^ ]+ [^ ]+ [^ ]+ [^ ]+) [^ ]+/\1/'; }
# builds NAME SPEC: with the script on the base as runAsRoot.
builds() {
	jq -n --rawfile run script --arg name "$1" '{name: $name, tag: "1", compressor: "none", fromImage: "base.tar",
		runAsRoot: $run} + '"$2" >"$1.json"
	dt-build-image --store "$T/s" "$1.json" >"$1.tar"
}

cat >>script <<'END2'
mknod -m 600 zero c 1 5
mknod disk b 259 70000
ln zero zero-too
chown 3:4 disk
END2
ok "root's layer, with devices" dt-vmrun --from base.tar script
show <out | without_times | sed "s/ system.posix_acl_access='[^']*'//" >want # these are lost
like 'a device' want '^new/disk 4 644 3:4'
ok 'an image' builds plain '{}'
is 'the same in its layer' "$(top plain)" "$(cat want)"
is 'the base is as it was' "$(dt-inspect plain.tar | jq -c '.layers[:-1]')" \
	"$(dt-inspect base.tar | jq -c .layers)"
ok 'again' builds again '{name: "plain"}'
same 'the same image' again.tar plain.tar

path=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x
mkdir -p "s$path"
echo x >"s$path/file"
ok 'store paths' builds store "{config: {Env: [\"X=$path\"]}}"
top store >got
is 'are all that is more' "$(comm -13 <(sort want) <(sort got))" "nix 5 755 0:0
nix/store 5 755 0:0
${path#/} 5 755 0:0
${path#/}/file 0 644 0:0 $(echo x | sha256sum | head -c 8)"
is 'and nothing is less, or there twice' "$(comm -23 <(sort want) <(sort got); cut -d ' ' -f 1 got | sort | uniq -d)" ''

# The same for other users.
chmod 644 base.tar plain.json
emulated() { "${user[@]}" env DT_BACKEND=tcg dt-build-image --store "$T/s" plain.json; }
ok 'a user, an emulated virtual machine' emulated
same 'the same image' out plain.tar
grep -v mknod script >script-without
sed -i '/zero\|disk/d' script-without
mv script-without script
ok 'no devices' builds without '{}'
chmod 644 without.json
ok 'a user with ids' as subids env DT_BACKEND=userns dt-build-image --store "$T/s" without.json
same 'the same image, too' out without.tar

# extraCommands see it as root left it, and change what they name. Directories that they make are
# those of the image below, and go where its links lead, as do files in them; but what root
# made of directories and links stays.
cat >script <<'END2'
#!/bin/bash
set -e
mkdir /new
cd /new
for n in 1 2 3; do echo x >f$n; chown $n:$n f$n; done
chmod 6711 f1
mknod disk b 259 7
setcap cap_chown=ei f3
setfattr -n user.text -v y f3
ln f3 f4
chmod 00755 /own
chown 0:0 /own
rm /moved
mkdir -p /moved/in /var
END2
python3 "$t_dir/fixtures/vmimage.py" corners >corners.tar
mkdir -p links/usr links/run links/tmp
cp -a programs/lib* links
cp -a programs/bin links/usr/bin
chmod 1777 links/tmp
ln -s usr/bin links/bin
ln -s run links/moved
dt-root --tree links | dt-manifest --from corners.tar --name base --tag 2 >linked.tar
sed -i 's/echo x/printf x/' script
ok 'extraCommands' builds extra '{fromImage: "linked.tar", extraCommands: "
	stat -c \"%n %F %a %u:%g %t,%T\" new/* >seen
	getfattr --only-values -n user.text new/f3 >>seen; echo >>seen
	getcap new/f3 >>seen
	rm new/f2 new/f4
	chown 9:10 new/f1; chmod 4711 new/f1
	mkdir tmp bin
	echo x | tee tmp/new bin/tool moved/new own/new >new/new
	mknod new/null c 1 3"}'
is 'what they see' "$(layer extra | tar -xO seen)" \
"new/disk block special file 644 0:0 103,7
new/f1 regular file 6711 1:1 0,0
new/f2 regular file 644 2:2 0,0
new/f3 regular file 644 3:3 0,0
new/f4 regular file 644 3:3 0,0
y
new/f3 cap_chown=ei"
is 'what they leave' "$(top extra)" "moved 5 755 0:0
moved/in 5 755 0:0
moved/new 0 644 0:0 73cb3858
new 5 755 0:0
new/disk 4 644 0:0
new/f1 0 4711 9:10 2d711642
new/f3 0 644 3:3 2d711642 security.capability='\\x01\\x00\\x00\\x02\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00' user.text='y'
new/new 0 644 0:0 73cb3858
new/null 3 644 0:0 1,3
own 5 755 0:0
own/new 0 644 0:0 73cb3858
seen 0 644 0:0 $(layer extra | tar -xO seen | sha256sum | head -c 8)
tmp 5 1777 0:0
tmp/new 0 644 0:0 73cb3858
usr 5 755 0:0
usr/bin 5 755 0:0
usr/bin/tool 0 644 0:0 73cb3858
var 5 755 0:0"
jq '.extraCommands = "chmod 000 new; exit 3"' extra.json >bad.json
fails 1 'dt-build-image: extraCommands failed with status 3$' 'extraCommands that fail' dt-build-image --store "$T/s" bad.json
is 'no image' "$(wc -c <out)" 0
is 'no file is left' "$(ls -A "$T/tmp" -I cache -I .cache)" ''
is 'no process is left' "$(pgrep -f "$T/" | grep -v "^$$\$" || true)" ''

finish
