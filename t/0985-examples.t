#!/usr/bin/env bash
# The programs in doc/examples: each makes or loads real images.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2094,SC2154,SC2317 # functions set variables, and run what is passed on
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
. "$t_dir/registry.sh"
need skopeo make jq gcc git busybox htpasswd mmdebstrap dpkg-deb dpkg-scanpackages podman ctr unshare rustc curl
examples=$top/doc/examples
export PATH=$examples:$PATH
start_dockerd
cri=true start_containerd
cd "$T" || exit 1

# --- a store ---
ok 'a sample store' "$top/scripts/sample-store" store
busybox=$(grep -e -busybox out)
# package NAME TEXT [STORE]: makes a program that prints the text, and sets $path to its store path.
package() {
	path=$(dirname "$busybox")/$(sha256sum <<<"$1 $2" | cut -c 1-32)-$1
	mkdir -p "$T/store$path/bin"
	printf '#!%s/bin/sh\necho "%s"\n' "$busybox" "$2" >"$T/store$path/bin/$1"
	chmod 755 "$T/store$path/bin/$1"
}
command_of() { jq -n --arg program "$1" '{Cmd: [$program]}'; }
# stamp FILE...: the identity of files, which changes if a file is replaced.
stamp() { stat -c '%n %i %y' -- "$@"; }
layers() { dt-inspect "$1" | jq -r '.layers[]'; }

# --- image.mk ---
mkdir -p image/files/etc
cd image || exit 1
package app one
ln -s "../store$path" result
echo text >files/etc/motd
command_of "$path/bin/app" >config.json
cp "$examples/image.mk" .
image() { make -s -f image.mk STORE=../store; }
# remade DESCRIPTION WANT [MAKE IMAGE]: whether another run replaces the image.
remade() {
	local before make=${3-image} file=${4-app.tar}
	before=$(stamp "$file")
	ok "$make.mk: $1" "$make"
	is "$make.mk: $1: replaced" "$([ "$(stamp "$file")" = "$before" ] && echo no || echo yes)" "$2"
}
ok 'image.mk' image
is 'image.mk: three layers' "$(layers app.tar | wc -l)" 3
says 'image.mk: Docker loads it' 'Loaded image: app:latest' on app.tar docker load
says 'image.mk: it runs' one in_docker app:latest
says 'image.mk: the file is in it' text in_docker app:latest "$busybox/bin/busybox" cat /etc/motd
remade 'nothing has changed' no
touch -h result
touch "../store$path/bin/app"
remade 'times of the input that do not count' no
package app two
ln -sfn "../store$path" result
remade 'another store path' yes
is 'image.mk: it is in the image' "$(dt-flatten app.tar | tar -t | grep -c "${path#/}/bin/app\$")" 1
remade 'nothing has changed since' no
echo more >files/etc/issue
remade 'a new file' yes
rm files/etc/issue
remade 'a removed file' yes
is 'image.mk: the file is gone' "$(dt-flatten app.tar | tar -t | grep -c issue)" 0
command_of "$path/bin/app" >config.json
remade 'another configuration' yes
rm result
before=$(stamp app.tar app.graph)
fails 2 '^dt-closure: .*result: No such file' 'image.mk: without the package it fails' without '^make:' image
is 'image.mk: the files stay' "$(stamp app.tar app.graph)" "$before"
cd ..

# --- fleet.mk ---
mkdir -p fleet/images
cd fleet || exit 1
names=(a b c d e)
for name in "${names[@]}"; do
	package "$name" "I am $name"
	command_of "$path/bin/$name" >"images/$name.json"
done
cp "$examples/fleet.mk" .
fleet() { env -u DT_CACHE make -s -j2 -f fleet.mk STORE=../store; }
ok 'fleet.mk' fleet
is 'fleet.mk: all images' "$(ls out/*.tar)" "$(printf 'out/%s.tar\n' "${names[@]}")"
is 'fleet.mk: the cache is in use' "$([ -n "$(ls cache)" ] && echo yes)" yes
is 'fleet.mk: one layer is in all images' \
	"$(for name in "${names[@]}"; do layers "out/$name.tar"; done | sort | uniq -c | awk '{ print $1 }' | sort -n | xargs)" '1 1 1 1 1 5'
for name in a e; do
	on "out/$name.tar" docker load >/dev/null
	says "fleet.mk: $name" "I am $name" in_docker "$name:latest"
done
before=$(stamp out/*.tar)
ok 'fleet.mk: again' fleet
is 'fleet.mk: nothing is made again' "$(stamp out/*.tar)" "$before"
package c 'I am new'
command_of "$path/bin/c" >images/c.json
ok 'fleet.mk: another c' fleet
is 'fleet.mk: only c is made again' "$(diff <(stamp out/*.tar) <(echo "$before") | grep -o 'out/..tar' | sort -u)" out/c.tar
on out/c.tar docker load >/dev/null
says 'fleet.mk: the new c' 'I am new' in_docker c:latest
cd ..

# --- static-image ---
cat >server.c <<'C'
#include <stdio.h>
#include <unistd.h>
int main(int argc, char **argv)
{
	printf("static, user %d\n", (int)getuid());
	return access("/etc/ssl/certs/ca-certificates.crt", R_OK) || access(argv[argc - 1], R_OK);
}
C
gcc -static -o server server.c
echo conf >hello.conf
ok 'static-image' static-image server "$T/hello.conf"
cp out server.tar
says 'static-image: Docker loads it' 'Loaded image: server:latest' on server.tar docker load
says 'static-image: it runs' 'static, user 65534' in_docker server:latest "$T/hello.conf"
sed 's/static,/static 2,/' server.c >server2.c
gcc -static -o server server2.c
ok 'static-image: an update' static-image server "$T/hello.conf"
cp out server2.tar
is 'static-image: an update is one layer' "$(diff <(layers server.tar) <(layers server2.tar) | grep -c '^>')" 1
gcc -o shared server.c
fails 1 'needs shared libraries' 'static-image: a program that is not static' static-image shared
fails 2 '^usage' 'static-image: no program' static-image

# --- rust-image.mk ---
mkdir -p rust/src rust/files/etc
cd rust || exit 1
printf '%s\n' 'mod greeting;' 'fn main() { println!("{}", greeting::text()); }' >src/main.rs
echo 'pub fn text() -> String { format!("Hello, {}", include_str!("../name")) }' >src/greeting.rs
printf Rust >name
echo text >files/etc/motd
command_of /bin/hello >config.json
rust() { make -s -f "$examples/rust-image.mk"; }
# runs IMAGE: runs the program in the files of the image, without an engine.
runs() {
	rm -rf root && mkdir root && dt-flatten "$1" | tar -xC root && unshare -R root /bin/hello
}
ok 'rust-image.mk' rust
is 'rust-image.mk: two files' "$(dt-flatten hello.tar | tar -t | grep -v '/$' | sort | xargs)" 'bin/hello etc/motd'
says 'rust-image.mk: it runs' 'Hello, Rust' runs hello.tar
says 'rust-image.mk: Docker loads it' 'Loaded image: hello:latest' on hello.tar docker load
says 'rust-image.mk: Docker runs it' 'Hello, Rust' in_docker hello:latest
remade 'nothing has changed' no rust hello.tar
layers hello.tar >before
printf World >name
remade 'another file that the program includes' yes rust hello.tar
says 'rust-image.mk: it is in the program' 'Hello, World' runs hello.tar
is 'rust-image.mk: an update is one layer' "$(layers hello.tar | diff before - | grep -c '^>')" 1
sed -i 's/Hello/Hi/' src/greeting.rs
remade 'another module' yes rust hello.tar
says 'rust-image.mk: it is in the program, too' 'Hi, World' runs hello.tar
touch files/etc/issue
remade 'a new file' yes rust hello.tar
rm files/etc/issue
remade 'a removed file' yes rust hello.tar
is 'rust-image.mk: the file is gone' "$(dt-flatten hello.tar | tar -t | grep -c issue)" 0
cp hello.tar ../rust.tar
cp -a . ../elsewhere
rm -rf ../elsewhere/out ../elsewhere/hello.tar
ok 'rust-image.mk: in another directory' make -s -C ../elsewhere -f "$examples/rust-image.mk"
same 'rust-image.mk: the same image' ../elsewhere/hello.tar hello.tar
echo broken >src/greeting.rs
rust_fails() { rust 2>/dev/null; }
is 'rust-image.mk: an error of the compiler' "$(rust_fails; echo $?)" 2
is 'rust-image.mk: the image stays' "$(cksum <hello.tar)" "$(cksum <../rust.tar)"
ok 'static-image: a static PIE' static-image out/hello/bin/hello
cd ..

# --- ci-build ---
htpasswd -Bbn ci sesame >htpasswd 2>err
start_registry own "auth: {htpasswd: {realm: here, path: $T/htpasswd}}"
mkdir -p job/root/bin job/tmp
cp server job/root/bin/app
git -C job init -q
git -C job -c user.name=n -c user.email=e@example.org commit -q --allow-empty -m first
commit=$(git -C job rev-parse HEAD)
ci() { (cd job && TMPDIR=$T/job/tmp DT_PUSH_OPTIONS=--tls-verify=false "$@" ci-build root "$own/team/app"); }
login=(env REGISTRY_USER=ci REGISTRY_PASSWORD=sesame)
ok 'ci-build' ci "${login[@]}"
cp out pushed
is 'ci-build: the last line is the image' "$(tail -n 1 pushed)" "$own/team/app@$(sed -n 's/^manifest //p' pushed)"
is 'ci-build: no scratch file is left' "$(ls -A job/tmp)" ''
ok 'ci-build: the image is in the registry' skopeo inspect --tls-verify=false --creds ci:sesame "docker://$own/team/app:$commit"
is 'ci-build: it has three layers' "$(jq '.Layers | length' out)" 3
is 'ci-build: it has the commit as a label' "$(jq -r '.Labels["org.opencontainers.image.revision"]' out)" "$commit"
ok 'ci-build: again' ci "${login[@]}"
like 'ci-build: nothing is sent again' out '^sent 0$'
is 'ci-build: the image is the same' "$(tail -n 1 out)" "$(tail -n 1 pushed)"
no_secret ci-build out err pushed
fails 1 'asks for credentials, and none are known' 'ci-build: without credentials it fails' ci env

# --- debian-image, with two packages in a repository of this test ---
mkdir -p repository
for package in busybox-only greeting; do
	mkdir -p "deb/$package/DEBIAN"
	printf '%s\n' "Package: $package" 'Version: 1' 'Architecture: all' 'Maintainer: T <t@example.org>' "Description: $package" \
		>"deb/$package/DEBIAN/control"
done
sed -i '/^Arch/aDepends: busybox-only' deb/greeting/DEBIAN/control
mkdir -p deb/busybox-only/bin deb/greeting/etc
cp /bin/busybox deb/busybox-only/bin/busybox
ln -s busybox deb/busybox-only/bin/sh
echo 'from a package' >deb/greeting/etc/greeting
for package in busybox-only greeting; do
	dpkg-deb --root-owner-group -b "deb/$package" repository >/dev/null
done
(cd repository && dpkg-scanpackages -m . >Packages 2>/dev/null)
debian() { VARIANT=extract debian-image "$1" '' "deb [trusted=yes] copy:$T/repository ./"; }
ok 'debian-image' debian greeting
cp out debian.tar
says 'debian-image: Docker loads it' 'Loaded image: debian-greeting:latest' on debian.tar docker load
says 'debian-image: it has the package and what that needs' 'from a package' \
	in_docker debian-greeting:latest /bin/busybox cat /etc/greeting
ok 'debian-image: again' debian greeting
same 'debian-image: the same packages give the same image' out debian.tar
status=0
debian none >none 2>err || status=$?
is 'debian-image: an unknown package: the status, and an end of the archive' "$status $(ended none)" '1 no'
like 'debian-image: an unknown package: the message of apt' err 'Unable to locate package none'

# --- guix-image ---
mkdir -p guix/gnu/store
busybox=/gnu/store/${busybox##*/}
cp -a "store/nix/store/${busybox##*/}" guix/gnu/store
mkdir -p saved && mv store saved && mv guix store
package guix-hello 'from Guix'
mv store guix
ok 'guix-image' env STORE=guix guix-image guix "$path"
cp out guix.tar
says 'guix-image: Docker loads it' 'Loaded image: guix:latest' on guix.tar docker load
says 'guix-image: a link leads to the program' 'from Guix' in_docker guix:latest /bin/guix-hello

# --- load-image ---
mkdir bin
podman_in bin
# A node of Kubernetes: this machine, without the network. t/0505-load.t has real connections.
cat >bin/ssh <<'SSH'
#!/bin/bash
while [ "${1#-}" != "$1" ]; do
	case $1 in -o | -F | -p | -S | -O) shift ;; esac
	shift
done
shift
[ "${1-}" != -- ] || shift
exec sh -c "$*"
SSH
chmod +x bin/ssh
PATH=$T/bin:$PATH
ok 'load-image' load-image guix.tar podman containerd node:root@node
size=$(dt-inspect guix.tar | jq '[.blobs[].size] | add')
is 'load-image: each target gets all layers' "$(grep -c "^sent $size\$" out)" 3
says 'load-image: podman runs it' 'from Guix' in_podman run --rm guix:latest /bin/guix-hello
for namespace in default k8s.io; do
	is "load-image: containerd has it in $namespace" \
		"$(ctr -n "$namespace" images check -q name==docker.io/library/guix:latest)" docker.io/library/guix:latest
done
# What the kubelet asks for, ListImages, by gRPC. Debian has no crictl.
images_of_cri() {
	printf '\0\0\0\0\0' | curl -sS --http2-prior-knowledge --unix-socket "$CONTAINERD_ADDRESS" -H 'content-type: application/grpc' \
		-H 'te: trailers' --data-binary @- http://localhost/runtime.v1.ImageService/ListImages | grep -ao 'docker.io/[a-z0-9/:-]*'
}
says 'load-image: the kubelet finds the image of the node, and nothing else' docker.io/library/guix:latest images_of_cri
ok 'load-image: again' load-image guix.tar podman containerd node:root@node
is 'load-image: nothing is sent' "$(grep -c '^sent 0$' out)" 3
fails 1 "no cluster 'none'" 'load-image: no such cluster of kind' load-image guix.tar kind:none
fails 2 'rkt: no such target' 'load-image: an unknown target' load-image guix.tar rkt

# Each file in doc/examples is above.
is 'all examples are tested' "$(for file in "$examples"/*; do grep -q "^# --- ${file##*/}[ ,]" "$t_dir/0985-examples.t" || echo "$file"; done)" ''

finish
