#!/usr/bin/env bash
# dt-env-helper, and the environment helpers in specs: their bytes, the targets of their links, and errors.
# 0570-build-docker.t tests them in containers.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # jq, and what is passed on, expand these
. "$(dirname "$0")/lib.sh"
. "$t_dir/images.sh"
need busybox chroot fakeroot jq python3 setpriv tar unshare

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
mkdir -m 1777 "$T/tmp"
chmod 755 "$T"
export TMPDIR=$T/tmp
unset NIX_SSL_CERT_FILE SSL_CERT_FILE

user=(env "HOME=$T/tmp" "DT_CACHE=$T/tmp/.cache-of-user" setpriv --reuid=30001 --regid=30001 --clear-groups)
clean() { is "$1: no scratch directory is left" "$(left)" ''; }
# layer NAME ARG...: $T/layer is the layer that dt-env-helper makes, $T/list what is in it
layer() {
	ok "$*: a layer" dt-env-helper "$@"
	tar -xOf "$T/out" >"$T/layer"
	archive ls "$T/layer" >"$T/list"
	clean "$*"
}
# directory NAME ARG...: the directory $T/NAME is what dt-env-helper makes
directory() {
	ok "$*: a directory" dt-env-helper "$@" --directory "$T/$1"
	is "$*: nothing on stdout" "$(wc -c <"$T/out")" 0
}
held() { (cd "$1" && find . -mindepth 1 -printf '%M %P %l\n' | sort -k 2 | sed 's/ $//'); }

# --- fakeNss ---

layer fakeNss
is 'fakeNss: what is in it' "$(cat "$T/list")" 'd0755 etc
-0644 etc/group
-0644 etc/nsswitch.conf
-0644 etc/passwd
d0755 var
d0555 var/empty'
is 'fakeNss: passwd' "$(tar -xOf "$T/layer" etc/passwd)" 'root:x:0:0:root user:/var/empty:/bin/sh
nobody:x:65534:65534:nobody:/var/empty:/bin/sh'
printf 'root:x:0:\nnobody:x:65534:\n' >"$T/group"
tar -xOf "$T/layer" etc/group | cmp - "$T/group" >"$T/cmp" 2>&1
is 'fakeNss: group, to the byte' "$?" 0
is 'fakeNss: nsswitch.conf' "$(tar -xOf "$T/layer" etc/nsswitch.conf)" 'hosts: files dns'
is 'fakeNss: time and owner' "$(tar --numeric-owner -tvf "$T/layer" | awk '{ print $2, $4, $5 }' | sort -u)" '0/0 1970-01-01 00:00'
cp "$T/out" "$T/nss.tar"
again() { (umask 077 && cd / && TZ=Asia/Tokyo "$@"); }
ok 'fakeNss: as another user, elsewhere' again "${user[@]}" dt-env-helper fakeNss
same 'fakeNss: the same bytes' "$T/out" "$T/nss.tar"
layer --mtime @86400 --owner 7:8 fakeNss
is 'fakeNss: another time and owner' "$(tar --numeric-owner -tvf "$T/layer" | awk '{ print $2, $4, $5 }' | sort -u)" '7/8 1970-01-02 00:00'
directory fakeNss --passwd-line 'nixbld:x:1000:100:Build user:/build:/noshell' --passwd-line=a:::::: --group-line 'nixbld:!:100:'
is 'fakeNss: more users, between root and nobody' "$(cut -d : -f 1,5 "$T/fakeNss/etc/passwd")" $'root:root user\nnixbld:Build user\na:\nnobody:nobody'
is 'fakeNss: more groups' "$(cat "$T/fakeNss/etc/group")" $'root:x:0:\nnixbld:!:100:\nnobody:x:65534:'
ok 'fakeNss: the directory is that of the layer' dt-root --tree "$T/fakeNss" --comment fakeNss
cp "$T/out" "$T/tree.tar"
ok 'fakeNss: the layer' dt-env-helper fakeNss --passwd-line 'nixbld:x:1000:100:Build user:/build:/noshell' --passwd-line=a:::::: --group-line 'nixbld:!:100:'
same 'fakeNss: the same bytes, by both ways' "$T/out" "$T/tree.tar"

# --- without a package ---

for name in binSh:bin/sh usrBinEnv:usr/bin/env; do
	file=${name#*:} name=${name%:*}
	directory "$name"
	is "$name: one file" "$(held "$T/$name" | grep -v ^d)" "-rwxr-xr-x $file"
	same "$name: a static busybox" "$T/$name/$file" "$(type -P busybox)"
done
ok 'binSh: it runs where there is nothing else' chroot "$T/binSh" /bin/sh -c 'echo $((6 * 7)); ls /'
is 'binSh: what it says' "$(cat "$T/out")" $'42\nbin'
ok 'usrBinEnv: it runs, too' chroot "$T/usrBinEnv" /usr/bin/env -i A=1 /usr/bin/env
is 'usrBinEnv: what it says' "$(cat "$T/out")" A=1

printf '%s\n' '# some' '-----BEGIN CERTIFICATE-----' 'of their own' '-----END CERTIFICATE-----' >"$T/some.crt"
sed 's/some/other/' "$T/some.crt" >"$T/other.crt"
SSL_CERT_FILE=$T/some.crt directory caCertificates
is 'caCertificates: what is there' "$(held "$T/caCertificates" | grep -v ^d)" 'lrwxrwxrwx etc/pki/tls/certs/ca-bundle.crt ../../../ssl/certs/ca-certificates.crt
lrwxrwxrwx etc/ssl/certs/ca-bundle.crt ca-certificates.crt
-rw-r--r-- etc/ssl/certs/ca-certificates.crt'
for file in etc/pki/tls/certs/ca-bundle.crt etc/ssl/certs/ca-bundle.crt etc/ssl/certs/ca-certificates.crt; do
	same "[51] caCertificates: $file" "$T/caCertificates/$file" "$T/some.crt"
done
SSL_CERT_FILE=$T/some.crt NIX_SSL_CERT_FILE=$T/other.crt layer caCertificates
tar -xOf "$T/layer" etc/ssl/certs/ca-certificates.crt >"$T/got"
same 'caCertificates: Nix'"'"' file comes first' "$T/got" "$T/other.crt"
layer caCertificates
is 'caCertificates: those of this machine' "$(tar -xOf "$T/layer" etc/ssl/certs/ca-certificates.crt | grep -c 'BEGIN CERT' | awk '{ print ($1 > 50) }')" 1
for file in /proc/none "$T/group"; do
	fails 1 "^dt-env-helper: caCertificates: $file, of the environment, has no certificates\$" "caCertificates: of $file" \
		env "SSL_CERT_FILE=$file" dt-env-helper caCertificates
done
bare() { unshare -m bash -ec 'for dir in /etc/ssl /etc/pki; do [ ! -d "$dir" ] || mount -t tmpfs none "$dir"; done; "$@"' - "$@"; }
fails 1 '^dt-env-helper: caCertificates: no certificates here, .*ca-certificates$' 'caCertificates: a machine without' bare dt-env-helper caCertificates
mkdir "$T/bin"
ln -s -t "$T/bin" /usr/bin/*
rm "$T/bin"/busybox* "$T/bin/ldd"
narrow() { PATH=$build:$top/scripts:$T/bin dt-env-helper "$@"; }
# /bin/busybox is found without PATH, so it is hidden, too.
without_busybox() {
	unshare -m bash -ec 'mount --bind /dev/null "$(realpath /bin/busybox)"; PATH=$0; exec "$@"' \
		"$build:$top/scripts:$T/bin" dt-env-helper "$@"
}
for name in binSh usrBinEnv; do
	fails 1 "^dt-env-helper: $name: no static busybox here, .*busybox-static\$" "$name: a machine without busybox" without_busybox "$name"
	is "$name: a machine without busybox: nothing on stdout" "$(wc -c <"$T/out")" 0
done
cp -L "$(type -P ls)" "$T/bin/busybox"
fails 1 '^dt-env-helper: binSh: no static busybox here' 'binSh: a dynamic busybox' without_busybox binSh
fails 1 '^dt-env-helper: binSh: no static busybox here' 'binSh: a directory is not begun' without_busybox binSh --directory "$T/not-begun"
is 'binSh: no directory is made' "$(ls -d "$T"/not-begun* 2>/dev/null)" ''
ok 'binSh: a dynamic busybox on PATH, no ldd, a static one in /bin' narrow binSh
tar -xOf "$T/out" | tar -xO bin/sh >"$T/sh"
same 'binSh: it is the static one' "$T/sh" /bin/busybox
(head -c 64 "$(type -P busybox)" && echo damaged) >"$T/bin/busybox"
fails 1 '^dt-env-helper: binSh: no static busybox here' 'binSh: a damaged busybox' without_busybox binSh
cp "$(type -P busybox)" "$T/bin/busybox.static"
ok 'binSh: a damaged busybox, and a static one' without_busybox binSh
tar -xOf "$T/out" | tar -xO bin/sh >"$T/sh"
same 'binSh: it is busybox.static' "$T/sh" "$T/bin/busybox.static"
print_busybox() { PATH=$T/bin "$build/dt-vmrun" --print-busybox; }
ok 'dt-vmrun --print-busybox' print_busybox
is 'dt-vmrun --print-busybox: the path' "$(cat "$T/out")" "$T/bin/busybox.static"
rm "$T/bin/busybox.static"
cp -L "$(type -P ls)" "$T/bin/busybox"
no_busybox() { unshare -m bash -ec 'mount --bind /dev/null "$(realpath /bin/busybox)"; PATH=$0; exec "$@"' "$T/bin" "$build/dt-vmrun" --print-busybox; }
fails 125 '^dt-vmrun: busybox: it is not static: install busybox-static$' 'dt-vmrun --print-busybox: a dynamic one' no_busybox

# --- with a package ---

for name in binSh:bash:bin/bash:bin/sh usrBinEnv:coreutils:bin/env:usr/bin/env binSh:dash:bin/sh:bin/sh; do
	IFS=: read -r name package target link <<<"$name"
	layer "$name" --store "$small" --package "$(root "$package")"
	is "$name of $package: a link" "$(grep -v ^d "$T/list")" "l0777 $link -> $(root "$package")/$target"
done
cert=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nss-cacert-3.101
mkdir -p "$T/certs$cert/etc/ssl/certs"
cp "$T/some.crt" "$T/certs$cert/etc/ssl/certs/ca-bundle.crt"
layer caCertificates --store "$T/certs" --package "$cert"
is '[51] caCertificates of a package: three links' "$(grep -v ^d "$T/list" | sort)" "l0777 etc/pki/tls/certs/ca-bundle.crt -> $cert/etc/ssl/certs/ca-bundle.crt
l0777 etc/ssl/certs/ca-bundle.crt -> $cert/etc/ssl/certs/ca-bundle.crt
l0777 etc/ssl/certs/ca-certificates.crt -> $cert/etc/ssl/certs/ca-bundle.crt"
helper() { dt-env-helper --store "$small" "$@"; }
for bad in 'binSh:bin/bash or bin/sh' usrBinEnv:bin/env 'caCertificates:etc/ssl/certs/ca-bundle.crt or etc/ssl/certs/ca-certificates.crt' \
	'shadowSetup:bin/groupadd or sbin/groupadd'; do
	fails 1 "^dt-env-helper: ${bad%%:*}: $(root hello) has no ${bad#*:}\$" "${bad%%:*}: a package without the file" helper "${bad%%:*}" --package "$(root hello)"
	fails 1 "^dt-env-helper: ${bad%%:*}: /usr is not a store path\$" "${bad%%:*}: no store path" helper "${bad%%:*}" --package /usr
	fails 1 "^dt-env-helper: ${bad%%:*}: /none: no such path\$" "${bad%%:*}: nothing" helper "${bad%%:*}" --package /none
done

# --- the command line ---

usage() { fails 2 "^dt-env-helper: $1: try 'dt-env-helper --help'\$" "${*:2}" dt-env-helper "${@:2}"; }
usage 'NAME is missing'
usage "no helper 'binsh', but binSh, caCertificates, fakeNss, shadowSetup and usrBinEnv" binsh
usage "unexpected operand 'fakeNss'" binSh fakeNss
usage '--package does not go with fakeNss' fakeNss --package x
usage '--passwd-line does not go with binSh' binSh --passwd-line x
usage '--directory does not go with shadowSetup' shadowSetup --directory "$T/x"
usage '--mtime and --owner go with a layer, not with --directory' fakeNss --directory "$T/x" --owner 0:0
usage '--output does not go with --directory' fakeNss --directory "$T/x" -o "$T/y"
usage "--output takes a file, not '$T/x/'; --directory makes a directory" fakeNss --output "$T/x/"
mkdir "$T/there"
fails 1 "^dt-env-helper: $T/there: Is a directory\$" 'a directory where a file should be' dt-env-helper fakeNss -o "$T/there"
ok 'shadowSetup -o' dt-env-helper -o "$T/setup.file" shadowSetup --shell /bin/zsh
is 'shadowSetup -o: nothing on stdout' "$(wc -c <"$T/out")" 0
same 'shadowSetup -o: what goes to stdout' "$T/setup.file" <(dt-env-helper shadowSetup --shell /bin/zsh)
for line in a:b a:x:1:1::/ a:x:1:1::/::/bin/sh $'a:x:1:1::/:/x\nb'; do
	usage "--passwd-line takes a line of 7 fields, not '.*'" fakeNss --passwd-line "$line"
done
usage "--group-line takes a line of 4 fields, not 'a:x:1'" fakeNss --group-line a:x:1
usage "--shell takes the name of a file without colons, not 'a:b'" shadowSetup --shell a:b
fails 1 "^dt-env-helper: $T/fakeNss: File exists\$" 'a directory that is there' dt-env-helper fakeNss --directory "$T/fakeNss"
ln -s nowhere "$T/dangling"
fails 1 "^dt-env-helper: $T/dangling: File exists\$" 'a link to nowhere' dt-env-helper fakeNss --directory "$T/dangling"
fails 1 '^dt-env-helper: cannot make a scratch directory /proc/none/x' 'no directory to make it in' dt-env-helper fakeNss --directory /proc/none/x
fails 2 "^dt-root: --owner takes UID:GID" 'an owner that is none' dt-env-helper fakeNss --owner x
clean 'after all these'

# --- shadowSetup ---

# It needs no more than a shell and a few programs, so that a static busybox can tell.
system() { # DIR: one to chroot to
	mkdir -p "$1/bin" "$1/etc"
	cp "$(type -P busybox)" "$1/bin/busybox"
	ln -s busybox "$1/bin/sh"
	ln -s busybox "$1/bin/mkdir"
	ln -s busybox "$1/bin/cat"
}
inside() { env PATH=/bin "$(type -P chroot)" "$T/$1" /bin/sh -euc "cd /; $2"; }
system "$T/fresh"
dt-env-helper shadowSetup --shell '/bin/my shell' >"$T/fresh/setup"
ok 'shadowSetup: nothing is there' inside fresh 'umask 022; . /setup'
is 'shadowSetup: what it made' "$(held "$T/fresh/etc")" '-rw-r--r-- group
-rw------- gshadow
-rw-r--r-- login.defs
drwxr-xr-x pam.d
-rw-r--r-- pam.d/other
-rw-r--r-- passwd
-rw------- shadow'
is 'shadowSetup: users and groups' "$(cd "$T/fresh/etc" && cat passwd shadow group gshadow login.defs)" 'root:x:0:0::/root:/bin/my shell
root:!x:::::::
root:x:0:
root:x::'
is 'shadowSetup: pam.d/other' "$(cat "$T/fresh/etc/pam.d/other")" 'account sufficient pam_unix.so
auth sufficient pam_rootok.so
password requisite pam_unix.so nullok yescrypt
session required pam_unix.so'
system "$T/full"
mkdir "$T/full/etc/pam.d"
for file in passwd shadow group gshadow login.defs pam.d/other; do echo "my own $file" >"$T/full/etc/$file"; done
cp -a "$T/full/etc" "$T/full.etc"
cp "$T/fresh/setup" "$T/full"
ok 'shadowSetup: all is there' inside full '. /setup'
ok 'shadowSetup: nothing was done' diff -r "$T/full.etc" "$T/full/etc"
rm "$T/full/etc/passwd" "$T/full/etc/gshadow"
ok 'shadowSetup: some is there' inside full '. /setup; . /setup'
is 'shadowSetup: what is missing was made' "$(cd "$T/full/etc" && cat passwd shadow; ls)" "root:x:0:0::/root:/bin/my shell
my own shadow
$(cd "$T/full.etc" && printf '%s\n' [!g]* group | sort)"
fails 1 '^shadowSetup is for commands for which / is that of the image' 'shadowSetup: elsewhere' bash -c "cd '$T'; . '$T/fresh/setup'"

spec() { jq -n --arg T "$T" --arg bash "$(root bash)" --arg coreutils "$(root coreutils)" --arg hello "$(root hello)" --arg setup "${setup-}" \
	'{name: "x", tag: "t", compressor: "none"} + '"$1" >"$T/spec.json"; }
setup=$(helper shadowSetup --package "$(root passwd)")
spec '{enableFakechroot: true, fakeRootCommands: "mkdir /data; cd /data\n\($setup)\ntype groupadd useradd\ngroupadd -r redis; useradd -r -g redis redis; chown redis:redis /data"}'
ok 'shadowSetup: fakeRootCommands' dt-build-layered-image --store "$small" "$T/spec.json"
cp "$T/out" "$T/redis.tar"
is 'shadowSetup: the programs are those of the package' "$(grep -c " is $(root passwd)/sbin/" "$T/err")" 2
dt-flatten "$T/redis.tar" >"$T/flat"
is 'shadowSetup: useradd made a user' "$(for file in passwd group shadow gshadow; do tar -xOf "$T/flat" "etc/$file" | grep redis; done)" 'redis:x:999:999::/home/redis:/bin/bash
redis:x:999:
redis:!:::::::
redis:!::'
is 'shadowSetup: and it owns what it was given' "$(tar --numeric-owner -tvf "$T/flat" data | awk '{ print $2 }')" 999/999
is 'shadowSetup: the package is not in the image' "$(tar -tf "$T/flat" | grep -c /store/)" 0
ok 'shadowSetup: as a user' "${user[@]}" dt-build-layered-image --store "$small" "$T/spec.json"
same 'shadowSetup: the image that root makes' "$T/out" "$T/redis.tar"
setup=$(dt-env-helper shadowSetup)
spec '{enableFakechroot: true, contents: "fakeNss", fakeRootCommands: "\($setup)\nuseradd -r -u 5 -g nobody redis"}'
ok 'shadowSetup: on top of fakeNss, with what this machine has' dt-build-layered-image --store "$small" "$T/spec.json"
is 'shadowSetup: on top of fakeNss: the users' "$(dt-flatten "$T/out" | tar -xO etc/passwd | cut -d : -f 1,3,4)" $'root:0:0\nnobody:65534:65534\nredis:5:65534'

# --- in pipelines, and in specs ---

composed() {
	root bash | dt-closure --store "$small" | dt-popularity | dt-layer --store "$small"
	helper binSh --package "$(root bash)"
	dt-env-helper fakeNss
}
composed >"$T/layers"
by_hand() { dt-manifest --name x <"$T/layers"; }
ok 'layers of helpers are composed by cat' by_hand
is 'layers of helpers: history' "$(dt-inspect "$T/out" | jq -rc '[.image.history[-2:][].comment]')" '["binSh","fakeNss"]'

# shows DESCRIPTION TOOL JQ-OBJECT [STORE]: $T/list is all that an image of that has but for
# what is in store paths.
shows() {
	local status=0
	spec "$3"
	"$2" --store "${4-$small}" "$T/spec.json" >"$T/image" 2>"$T/err" || status=$?
	is "$1: made, nothing said" "$status:$(cat "$T/err")" 0:
	clean "$1"
	dt-flatten "$T/image" >"$T/flat"
	archive ls "$T/flat" | grep -vE '^.{5} nix(/store(/[^/]*(/.*)?)?)?$' | grep -v ' nix/store/.*/' >"$T/list"
	archive ls "$T/flat" | grep -oE ' nix/store/[^/]*$' | sed 's,^ ,/,; s, .*,,' | sort >"$T/store_paths"
}
all='d0755 bin
l0777 bin/sh -> BASH/bin/bash
d0755 etc
-0644 etc/group
-0644 etc/nsswitch.conf
-0644 etc/passwd
d0755 usr
d0755 usr/bin
l0777 usr/bin/env -> COREUTILS/bin/env
d0755 var
d0555 var/empty'
all=${all/BASH/$(root bash)}
all=${all/COREUTILS/$(root coreutils)}
for tool in dt-build-image:copyToRoot dt-build-layered-image:contents; do
	key=${tool#*:} tool=${tool%:*}
	shows "$tool: helpers" "$tool" "{$key: [\"binSh\", \"usrBinEnv\", \"fakeNss\"], config: {Env: [\"A=\" + \$bash, \"B=\" + \$coreutils]}}"
	is "$tool: helpers: links to what is in the closure" "$(cat "$T/list")" "$all"
	shows "$tool: packages" "$tool" "{$key: [{helper: \"binSh\", package: \$bash}, \"fakeNss\", {helper: \"usrBinEnv\", package: \$coreutils}]}"
	is "$tool: packages: links to them" "$(cat "$T/list")" "$all"
	is "$tool: packages: they are in the image" "$(cat "$T/store_paths")" \
		"$(dt-closure --store "$small" "$(root bash)" "$(root coreutils)" | cut -d ' ' -f 1 | sort)"
	shows "$tool: extraCommands" "$tool" "{$key: [\"binSh\", \"usrBinEnv\", \"fakeNss\"], config: {Env: [\"A=\" + \$bash, \"B=\" + \$coreutils]}, extraCommands: \"echo a:x:1: >>etc/group\"}"
	is "$tool: extraCommands: the same" "$(cat "$T/list")" "$all"
	is "$tool: extraCommands may add users" "$(tar -xOf "$T/flat" etc/group | tail -n 1)" a:x:1:
	shows "$tool: lines" "$tool" "{$key: {helper: \"fakeNss\", extraPasswdLines: [\"a:x:1:2:it's \\\"A\\\":/:\"], extraGroupLines: [\"a:!:2:\", \"b::3:\"]}}"
	is "$tool: lines" "$(tar -xOf "$T/flat" etc/passwd; tar -xOf "$T/flat" etc/group)" 'root:x:0:0:root user:/var/empty:/bin/sh
a:x:1:2:it'"'"'s "A":/:
nobody:x:65534:65534:nobody:/var/empty:/bin/sh
root:x:0:
a:!:2:
b::3:
nobody:x:65534:'
	SSL_CERT_FILE=$T/some.crt shows "$tool: nothing in the closure" "$tool" "{$key: [\"binSh\", \"usrBinEnv\", \"caCertificates\"], config: {Env: [\"A=\" + \$hello]}}"
	is "$tool: files of this machine" "$(grep -v ^d "$T/list")" '-0755 bin/sh
l0777 etc/pki/tls/certs/ca-bundle.crt -> ../../../ssl/certs/ca-certificates.crt
l0777 etc/ssl/certs/ca-bundle.crt -> ca-certificates.crt
-0644 etc/ssl/certs/ca-certificates.crt
-0755 usr/bin/env'
	shows "$tool: certificates" "$tool" "{$key: \"caCertificates\", config: {Env: [\"A=$cert\"]}}" "$T/certs"
	is "$tool: certificates of a package" "$(grep -c " -> $cert/etc/ssl/certs/ca-bundle.crt\$" "$T/list")" 3
	shows "$tool: a directory of such a name" "$tool" "{$key: (\$T + \"/fakeNss\")}"
	is "$tool: is a directory" "$(tar -xOf "$T/flat" etc/passwd | wc -l)" 4

	refuses() { # REGEX JQ-VALUE
		spec "{$key: [$2]}"
		fails 1 "^$tool: $1\$" "$tool: $2" "$tool" --store "$small" "$T/spec.json"
		is "$tool: $2: no image, no scratch directory" "$(wc -c <"$T/out"):$(left)" 0:
	}
	refuses "$key: binsh: no such path" '"binsh"'
	refuses "$key: no helper shadowSetup, but binSh, caCertificates, fakeNss, usrBinEnv" '"shadowSetup"'
	[ "$tool" = dt-build-layered-image ] || continue
	refuses "$key: no helper binsh, but .*" '{helper: "binsh"}'
	refuses "$key: binSh: unknown key extraPasswdLines" '{helper: "binSh", extraPasswdLines: []}'
	refuses "$key: fakeNss: unknown key package" '{helper: "fakeNss", package: $bash}'
	refuses "$key: fakeNss: extraGroupLines must be a list of strings" '{helper: "fakeNss", extraGroupLines: "a:x:1:"}'
	refuses "$key: fakeNss: extraGroupLines must be a list of strings" '{helper: "fakeNss", extraGroupLines: [1]}'
	refuses "$key: binSh: package must be a path" '{helper: "binSh", package: []}'
	refuses "$key: fakeNss: extraPasswdLines: 'a:x:1:' is not a line of 7 fields" '{helper: "fakeNss", extraPasswdLines: ["a:x:1:"]}'
	refuses "$key: fakeNss: extraGroupLines: 'a:x:1:.b' is not a line of 4 fields" '{helper: "fakeNss", extraGroupLines: ["a:x:1:\nb"]}'
	refuses "$key: binSh: $(root hello) has no bin/bash or bin/sh" '{helper: "binSh", package: $hello}'
	refuses "$key: binSh: /usr is not a store path" '{helper: "binSh", package: "/usr"}'
done
for tool in dt-build-image:copyToRoot dt-build-layered-image:contents; do
	spec "{${tool#*:}: {helper: 1}}"
	fails 1 "^${tool%:*}: .*: ${tool#*:} must be .*\$" "${tool%:*}: a helper that is a number" "${tool%:*}" "$T/spec.json"
done
shows 'includeStorePaths false' dt-build-layered-image '{contents: [{helper: "binSh", package: $bash}], includeStorePaths: false}'
is 'includeStorePaths false: a link into the store that will be there' "$(cat "$T/list" "$T/store_paths")" "d0755 bin
l0777 bin/sh -> $(root bash)/bin/bash"

# --- which of several packages ---

package() { # NUMBER NAME FILE...
	local path file
	path=/nix/store/$(printf '%032d' "$1")-$2
	for file in "${@:3}"; do
		mkdir -p "$T/several$path/${file%/*}"
		: >"$T/several$path/$file"
	done
	echo "$path"
}
other=$(package 1 other-9 bin/bash bin/sh) only_sh=$(package 2 bash-7 bin/sh) plain=$(package 3 bash bin/bash)
old=$(package 4 bash-5.9 bin/bash bin/sh) new=$(package 5 bash-5.10 bin/bash) twin=$(package 6 bash-5.10 bin/bash)
interactive=$(package 7 bash-interactive-4.4 bin/bash) empty=$(package 8 bash-interactive-5.2-man share/man)
# takes WANTED STOREPATH...: what /bin/sh is a link to, where these are in the image
takes() {
	jq -n '{name: "x", contents: ["binSh"], config: {Env: [$ARGS.positional | to_entries[] | "A\(.key)=\(.value)"]}}' --args "${@:2}" | dt-stream-layered-image --store "$T/several" | dt-flatten >"$T/flat"
	is "of $(printf '%s ' "${@:2}" | sed 's,/nix/store/0*,,g')" "$(archive ls "$T/flat" | sed -n 's/.* bin.sh -> //p')" "$1"
}
takes "$interactive/bin/bash" "$empty" "$other" "$only_sh" "$old" "$twin" "$new" "$interactive"
takes "$new/bin/bash" "$other" "$only_sh" "$plain" "$old" "$twin" "$new"
takes "$twin/bin/bash" "$twin" "$old"
takes "$plain/bin/bash" "$other" "$plain"
takes "$other/bin/bash" "$only_sh" "$other"
takes "$only_sh/bin/sh" "$empty" "$only_sh"

finish
