#!/usr/bin/env bash
# dt-root: copies, environments, owners as on disk, one layer of several sources, a layer on top of an image.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need tar jq fakeroot setcap setfattr mknod strace unshare

S=$T/s
one=$(store_path one) two=$(store_path two) dep=$(store_path dep)
mkdir -p "$S$one"/{bin,share/one,nix-support} "$S$two"/{bin,lib} "$S$dep"/{lib/sub,empty}
echo "$dep" >"$S$one/bin/one"
echo one >"$S$one/share/one/text"
echo x >"$S$one/nix-support/x"
echo two >"$S$two/bin/two"
ln -s two "$S$two/bin/second"
ln -s "$dep/lib" "$S$two/lib/deep"      # a directory, in the store
ln -s ../bin "$S$two/lib/up"            # a directory, in the tree itself
ln -s .. "$S$two/lib/loop"              # a directory that it stands in
ln -s "$dep/lib/file" "$S$two/lib/file" # no directory
ln -s /etc "$S$two/lib/outside"         # a directory of this machine
ln -s nowhere "$S$two/lib/dangling"
echo file >"$S$dep/lib/file"
echo sub >"$S$dep/lib/sub/text"
chmod -R a-w "$S$one" "$S$two" "$S$dep"
chmod 1755 "$S$dep/lib/sub" # a mode that somebody chose

# list [OPTION]...: the members of the one layer, as TYPEMODE OWNER NAME [-> TARGET]; messages in $T/said.
list() {
	dt-root --store "$S" --raw "$@" 2>"$T/said" </dev/null >"$T/layer.tar" || echo "status $?"
	show "$T/layer.tar"
}
show() { tar --numeric-owner -tvf "$1" 2>&1 | awk '{ name = $6; for (i = 7; i <= NF; i++) name = name " " $i; print $1, $2, name }'; }
said() { sed 's/^dt-root: //' "$T/said"; }

# --- copies ---

is 'a copy: files are files, its directories are 0755' "$(list --copy "$one" | grep -v nix-support)" \
	"drwxr-xr-x 0/0 bin/
-r--r--r-- 0/0 bin/one
drwxr-xr-x 0/0 share/
drwxr-xr-x 0/0 share/one/
-r--r--r-- 0/0 share/one/text"
is 'a copy: links to directories are followed in the store and in itself, others stay' "$(list --copy "$two")" \
	"drwxr-xr-x 0/0 bin/
lrwxrwxrwx 0/0 bin/second -> two
-r--r--r-- 0/0 bin/two
drwxr-xr-x 0/0 lib/
lrwxrwxrwx 0/0 lib/dangling -> nowhere
drwxr-xr-x 0/0 lib/deep/
-r--r--r-- 0/0 lib/deep/file
drwxr-xr-t 0/0 lib/deep/sub/
-r--r--r-- 0/0 lib/deep/sub/text
lrwxrwxrwx 0/0 lib/file -> $dep/lib/file
lrwxrwxrwx 0/0 lib/loop -> ..
lrwxrwxrwx 0/0 lib/outside -> /etc
drwxr-xr-x 0/0 lib/up/
lrwxrwxrwx 0/0 lib/up/second -> two
-r--r--r-- 0/0 lib/up/two"
fails 1 "^dt-root: $T/s$dep/lib(/file)?: Input/output error\$" 'a copy: a link that cannot be followed for a damaged disk' \
	traced -fqq -o /dev/null -P "$T/s$dep/lib" -e inject=readlink:error=EIO \
	dt-root --store "$S" --raw --copy "$two"
is 'a copy: what the files hold' "$(tar -xOf "$T/layer.tar" lib/deep/sub/text lib/up/two)" $'sub\ntwo'
is '--keep-dirlinks: all links stay' "$(list --copy "$two" --keep-dirlinks | grep -c ^l)" 7
mkdir -p "$T/plain/lib/deep" "$T/plain/tmp"
echo new >"$T/plain/lib/deep/new"
chmod 1777 "$T/plain/tmp"
is 'a copy of any directory keeps the modes that say something' "$(list --copy "$T/plain" | grep tmp)" 'drwxrwxrwt 0/0 tmp/'
is 'two copies are merged' "$(list --copy "$T/plain" --copy "$two" | grep lib/deep)" \
	"drwxr-xr-x 0/0 lib/deep/
-r--r--r-- 0/0 lib/deep/file
-rw-r--r-- 0/0 lib/deep/new
drwxr-xr-t 0/0 lib/deep/sub/
-r--r--r-- 0/0 lib/deep/sub/text"
mkdir -p "$T/links/real/x" "$T/more/via"
ln -s real "$T/links/via"
echo more >"$T/more/via/more"
is '--keep-dirlinks: files go where a link of another leads' "$(list --keep-dirlinks --copy "$T/links" --copy "$T/more")" \
	"drwxr-xr-x 0/0 real/
-rw-r--r-- 0/0 real/more
drwxr-xr-x 0/0 real/x/
lrwxrwxrwx 0/0 via -> real"
is '--keep-dirlinks: in any order' "$(list --keep-dirlinks --copy "$T/more" --copy "$T/links" | grep more)" '-rw-r--r-- 0/0 real/more'
ln -sfn via2 "$T/links/via"
ln -sfn via "$T/links/via2"
fails 1 'dt-root: /via is a directory in only one of' '--keep-dirlinks: links that go round in a circle lead nowhere' \
	timeout 20 dt-root --raw --keep-dirlinks --copy "$T/links" --copy "$T/more"

# --- environments ---

env() { jq -nc --args '{paths: $ARGS.positional} + '"$1" -- "${@:2}"; }
is 'an environment of one: its directories are copied, in the root are links' "$(list --env <(env '{}' "$one" "$(store_path two)") | grep -v lib/)" \
	"drwxr-xr-x 0/0 bin/
lrwxrwxrwx 0/0 bin/one -> $one/bin/one
lrwxrwxrwx 0/0 bin/second -> $two/bin/second
lrwxrwxrwx 0/0 bin/two -> $two/bin/two
drwxr-xr-x 0/0 share/
drwxr-xr-x 0/0 share/one/
-r--r--r-- 0/0 share/one/text"
is 'an environment: a directory that one path has is copied' "$(list --env <(env '{}' "$one"))" \
	"drwxr-xr-x 0/0 bin/
-r--r--r-- 0/0 bin/one
drwxr-xr-x 0/0 share/
drwxr-xr-x 0/0 share/one/
-r--r--r-- 0/0 share/one/text"
is 'pathsToLink: links in just these' "$(list --env <(env '{pathsToLink: ["/bin/"]}' "$one"))" \
	"drwxr-xr-x 0/0 bin/
lrwxrwxrwx 0/0 bin/one -> $one/bin/one"
is 'pathsToLink: a directory below' "$(list --env <(env '{pathsToLink: ["/share/one", "/none"]}' "$one"))" \
	"drwxr-xr-x 0/0 share/
drwxr-xr-x 0/0 share/one/
lrwxrwxrwx 0/0 share/one/text -> $one/share/one/text"
list --env <(env '{}' "$one") --env <(env '{}' "$one") >/dev/null
is 'two environments are none of each other' "$(said)" \
	"/bin/one is in both $one and $one; the first one is taken
/share/one/text is in both $one and $one; the first one is taken"
for json in '[]' '{}' '{"paths": "/x"}' '{"paths": [1]}' '{"paths": [], "x": 1}' '{"paths": [], "pathsToLink": "/bin"}' '{' ''; do
	printf %s "$json" >"$T/env.json"
	fails 1 "^dt-root: $T/env.json:" "no environment: $json" dt-root --raw --env "$T/env.json"
done
echo '{"paths": ["/bin"]}' >"$T/env.json"
fails 1 '^dt-root: --env /bin: not in a store' 'an environment of what is in no store' dt-root --raw --env "$T/env.json"
fails 1 "^dt-root: $T/none: No such file or directory\$" '--env of what is not there' dt-root --raw --env "$T/none"
env '{}' "$one" >"$T/env.json"
is '--env: of standard input' "$(dt-root --store "$S" --raw --env - <"$T/env.json" | sha256sum)" \
	"$(dt-root --store "$S" --raw --env "$T/env.json" | sha256sum)"

# --- owners ---

mkdir -p "$T/own/d"
echo x >"$T/own/d/f"
echo p >"$T/own/p"
cat >"$T/as-root" <<'END'
chown 1000:100 d
chown 2000000:2000000 d/f
chmod 4755 d/f
mknod c c 1 3
setcap cap_net_raw+ep p
setfattr -n user.note -v text p
exec "$@"
END
as_root() { (cd "$T/own" && fakeroot -- bash -e "$T/as-root" dt-root --raw --tree . --owner keep); }
ok '--owner keep, under fakeroot' as_root
cp "$T/out" "$T/kept.tar"
is '--owner keep: owners, modes, devices' "$(show "$T/kept.tar")" \
	"crw-r--r-- 0/0 c
drwxr-xr-x 1000/100 d/
-rwsr-xr-x 2000000/2000000 d/f
-rw-r--r-- 0/0 p"
/usr/bin/python3 -c 'import sys, tarfile
for m in tarfile.open(sys.argv[1]):
    for key, value in sorted(m.pax_headers.items()):
        if "xattr" in key:
            print(m.name, key, value.encode("utf-8", "surrogateescape").hex())' "$T/kept.tar" >"$T/xattrs"
is '--owner keep: file capabilities and attributes' "$(cut -d ' ' -f 1,2 "$T/xattrs")" \
	"p SCHILY.xattr.security.capability
p SCHILY.xattr.user.note"
is '--owner keep: as they are' "$(awk '/user.note/ { print $3 }' "$T/xattrs")" 74657874
ln "$T/own/p" "$T/own/d/q"
ok '--owner keep, a file of two names' as_root
is '--owner keep: it is still one' "$(tar -tvf "$T/out" | awk '{ print $1, $6, $7, $8, $9 }' | tail -n 2)" $'-rw-r--r-- d/q   \nhrw-r--r-- p link to d/q'
is 'without it, it is two' "$(list --tree "$T/own/d" --tree "$T/own" | grep -c 'link to')" 0
rm "$T/own/d/q"
is 'a --copy has the owners of the layer' "$(list --owner 5:6 --copy "$T/own" | awk '{ print $2 }' | sort -u)" 5/6

# --- one layer of all, on top of an image ---

plan() { printf '%s\n' "$one $two" "$dep"; }
single() { plan | dt-root --store "$S" --raw --plan - "$@" 2>"$T/said" >"$T/layer.tar" || echo "status $?"; show "$T/layer.tar"; }
is '--plan: the plan and a tree; what is in the store is 0:0' "$(single --owner 7:8 --tree "$T/more" | awk '{ print $2, $3 }' | grep -v -e "${one#/}/." -e "${two#/}/." -e "${dep#/}/.")" \
	"0/0 nix/
0/0 nix/store/
$(printf '0/0 %s/\n' "${one#/}" "${two#/}" "${dep#/}" | sort)
7/8 via/
7/8 via/more"
is '--plan: store paths are as they are' "$(grep -c "nix/store/${two##*/}/lib/deep -> $dep/lib" <(show "$T/layer.tar"))" 1
is '--plan: each name comes once' "$(tar -tf "$T/layer.tar" | sort | uniq -d)" ''
is '--plan: sorted along the path' "$(tar -tf "$T/layer.tar" | grep /$ | tr / '\1')" "$(tar -tf "$T/layer.tar" | grep /$ | tr / '\1' | sort)"
is '--plan: of two plans that hold the same paths' "$(plan | sort -r | dt-root --store "$S" --raw --plan - | sha256sum)" \
	"$(plan | dt-root --store "$S" --raw --plan - | sha256sum)"

mkdir -p "$T/base"/{usr/bin,usr/lib,tmp,etc,opt} "$T/base$two"
chmod 1777 "$T/base/tmp"
chmod 2750 "$T/base/usr/lib"
ln -s usr/bin "$T/base/bin"
ln -s /lib2 "$T/base/lib"
ln -s usr/lib "$T/base/lib2"
ln -s nowhere "$T/base/dangling"
ln -s usr/bin/tool "$T/base/opt/tool"
on_base() { fakeroot -- bash -ec 'chown -h 3:4 "$0/usr/lib"; exec dt-root --tree "$0" --owner keep --mtime @1000000000' "$T/base"; }
on_base | dt-manifest --name base --tag 1 >"$T/base.tar"
mkdir -p "$T/new"/{bin,lib/new,tmp,dangling,usr,opt/tool}
echo b >"$T/new/bin/b"
echo l >"$T/new/lib/new/l"
echo t >"$T/new/tmp/t"
echo d >"$T/new/dangling/d"
ln -s /elsewhere "$T/new/etc"
is '--from: directories go where links of the image lead' "$(list --copy "$T/new" --from "$T/base.tar")" \
	"drwxr-xr-x 0/0 dangling/
-rw-r--r-- 0/0 dangling/d
lrwxrwxrwx 0/0 etc -> /elsewhere
drwxr-xr-x 0/0 opt/
drwxr-xr-x 0/0 opt/tool/
drwxrwxrwt 0/0 tmp/
-rw-r--r-- 0/0 tmp/t
drwxr-xr-x 0/0 usr/
drwxr-xr-x 0/0 usr/bin/
-rw-r--r-- 0/0 usr/bin/b
drwxr-s--- 3/4 usr/lib/
drwxr-xr-x 0/0 usr/lib/new/
-rw-r--r-- 0/0 usr/lib/new/l"
is '--from: what it says' "$(said | sed "s,$T/,,g" | sort)" \
	"/bin is a symlink in base.tar; what new has there goes to /usr/bin
/dangling is a symlink in base.tar, to no directory there; one of new replaces it
/etc is a directory in base.tar, and no longer
/lib is a symlink in base.tar; what new has there goes to /usr/lib
/opt/tool is a symlink in base.tar, to no directory there; one of new replaces it"
is '--from: implied directories have the time of the image, others that of the layer' \
	"$(tar --utc -tvf "$T/layer.tar" tmp/ usr/lib/new/ | awk '/\/$/ { print $4, $NF }')" $'2001-09-09 tmp/\n1970-01-01 usr/lib/new/'
chmod 700 "$T/new/tmp"
is '--from: directories of a --tree whose mode was chosen, and others' "$(list --tree "$T/new" --from "$T/base.tar" | grep -e tmp/$ -e usr/lib/$)" \
	"drwx------ 0/0 tmp/
drwxr-s--- 3/4 usr/lib/"
chmod 755 "$T/new/tmp"
is '--from: 0755 says nothing' "$(list --tree "$T/new" --from "$T/base.tar" | grep tmp/$)" 'drwxrwxrwt 0/0 tmp/'
printf 'tmp\0./lib\0dangling/\0.\0nothing\0' >"$T/list"
is '--keep-directories: as they are' "$(list --owner keep --keep-directories "$T/list" --tree "$T/new" --from "$T/base.tar" 2>/dev/null | grep /$)" \
	"drwxr-xr-x 0/0 ./
drwxr-xr-x 0/0 dangling/
drwxr-xr-x 0/0 lib/
drwxr-xr-x 0/0 lib/new/
drwxr-xr-x 0/0 opt/
drwxr-xr-x 0/0 opt/tool/
drwxr-xr-x 0/0 tmp/
drwxr-xr-x 0/0 usr/
drwxr-xr-x 0/0 usr/bin/"
is '--keep-directories: but for the others' "$(said | sed "s,$T/,,g" | grep -c -e ^/lib -e ^/dangling)" 0
kept() { fakeroot -- bash -ec 'chown 5 "$0/tmp"; exec dt-root --raw --tree "$0" --owner keep --from "$1"' "$T/new" "$T/base.tar" 2>/dev/null; }
kept >"$T/layer.tar"
is '--from: an owner does' "$(show "$T/layer.tar" | grep tmp/$)" 'drwxr-xr-x 5/0 tmp/'
ln -s "$two" "$S$(store_path link)"
is 'a copy of a store path that is a symlink' "$(list --copy "$(store_path link)" | grep two$)" $'lrwxrwxrwx 0/0 bin/second -> two\n-r--r--r-- 0/0 bin/two\nlrwxrwxrwx 0/0 lib/up/second -> two\n-r--r--r-- 0/0 lib/up/two'
is '--from: links go there too' "$(list --links "$two" --from "$T/base.tar" | grep bin/two)" "lrwxrwxrwx 0/0 usr/bin/two -> $two/bin/two"
is '--from: store paths in it are left out' "$(single --from "$T/base.tar" | grep -c "nix/store/${two##*/}")" 0
is '--from: others are not' "$(grep -c "nix/store/${one##*/}/" <(show "$T/layer.tar"))" 8
for kind in ./ / ''; do
	tar -C "$T/base" --transform "s,^\./,$kind,S" -cPf "$T/spelled.tar" .
	jq -nc --arg id "sha256:$(sha256sum "$T/spelled.tar" | cut -d ' ' -f 1)" \
		'{architecture: "amd64", os: "linux", config: {}, rootfs: {type: "layers", diff_ids: [$id]}}' >"$T/config.json"
	echo '[{"Config": "config.json", "RepoTags": null, "Layers": ["spelled.tar"]}]' >"$T/manifest.json"
	tar -C "$T" -cf "$T/other.tar" manifest.json config.json spelled.tar
	is "--from: a base that spells its names '${kind}nix'" "$(single --from "$T/other.tar" | grep -c "nix/store/${two##*/}")" 0
done
fails 1 '^dt-root: .*none: No such file' '--from of what is not there' dt-root --raw --tree "$T/new" --from "$T/none"
head -c 3000 "$T/base.tar" >"$T/cut.tar"
fails 1 '^dt-root: .*/cut.tar: ' '--from of what is truncated' dt-root --raw --tree "$T/new" --from "$T/cut.tar"
fails 1 '^dt-root: .*: no image x:' '--from-name' dt-root --raw --tree "$T/new" --from "$T/base.tar" --from-name x
fails 2 '^dt-root: --from-name, --from-tag, --arch and --os go with --from' '--from-name without --from' dt-root --raw --tree "$T/new" --from-name x
for pair in '--plan - --from -' '--plan - --plan -' '--env - --tar -' '--tree / --owner keep --keep-directories - --from -'; do
	# shellcheck disable=SC2086 # words
	fails 2 '^dt-root: standard input can be read but once: ' "$pair" dt-root --raw $pair
done
fails 2 "^dt-root: no files for the layer: .* is missing: try 'dt-root --help'\$" 'no files' dt-root --comment x
plan >"$T/plan"
single >/dev/null
dt-root --store "$S" --raw --plan "$T/plan" >"$T/got.tar"
same '--plan FILE' "$T/got.tar" "$T/layer.tar"
head -n 1 "$T/plan" >"$T/plan.1"
tail -n +2 "$T/plan" >"$T/plan.2"
dt-root --store "$S" --raw --plan "$T/plan.1" --plan "$T/plan.2" >"$T/got.tar"
same 'several --plan' "$T/got.tar" "$T/layer.tar"
echo /etc >"$T/plan.1"
fails 1 "^dt-root: $T/plan.1:1: /etc: not a path in the store " 'a wrong plan' dt-root --raw --store "$S" --plan "$T/plan.1"
fails 1 "^dt-root: $T/none: No such file or directory\$" 'a plan that is not there' dt-root --raw --plan "$T/none"
fails 1 '^dt-root: stdin: empty' '--plan without a plan' dt-root --raw --plan - --tree "$T/new"

# The same again, in and out of the cache, and with the order of names in a directory turned round.
dt-root --store "$S" --copy "$two" --links "$one" >"$T/first" 2>/dev/null
dt-root --store "$S" --copy "$two" --links "$one" >"$T/second" 2>/dev/null
same 'from the cache' "$T/first" "$T/second"
dt-root --no-cache --store "$S" --copy "$two" --links "$one" >"$T/second" 2>/dev/null
same 'without the cache' "$T/first" "$T/second"

finish
