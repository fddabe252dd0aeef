#!/usr/bin/env bash
# runAsRoot of dt-build-image, with real programs, and what dockerd makes of the images.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2028,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need busybox jq ldd useradd groupadd sha256sum qemu-system-x86_64 mke2fs fakeroot bsdtar
export DT_BACKEND=userns
cd "$T" || exit 1

# build NAME JSON [STORE]: the image $T/NAME.tar of this spec.
build() { jq --arg name "$1" '{name: $name, tag: "1", compressor: "none"} + .' <<<"$2" >"$1.json" &&
	dt-build-image --store "${3-$T/s}" "$1.json" >"$1.tar"; }
# emulated NAME [STORE]: its spec makes the same image where the guest is an emulated one.
emulated() {
	ok "$1, emulated" env DT_BACKEND=tcg dt-build-image --store "${2-$T/s}" "$1.json"
	same "$1: it is the same image" out "$1.tar"
}
flat() { dt-flatten "$1.tar" "${@:2}" | tar -xO; }
layers() { dt-inspect "$1.tar" | jq '.layers | length'; }

# A base of dockerd's making, with programs of this machine and their libraries.
"$t_dir/fixtures/programs" base bash cat chown ls mkdir id touch useradd groupadd
mkdir -p base/etc base/usr/sbin base/tmp
start_dockerd
tar -C base --owner=0 --group=0 -c . | docker import - real:1 >/dev/null
docker save real:1 >real.tar

# A store whose shell the script names.
bash=$T/s/nix/store/0123456789abcdfghijklmnpqrsvwxyz-sh
mkdir -p "$bash/bin" tree/etc
cp "$(command -v busybox)" "$bash/bin/sh"
echo greeting >tree/etc/greeting

accounts() { printf '\n%s\n' "groupadd -r $1" "useradd -r -g $1 $1"; }
shadow=$(printf '%s\n' '#!/bin/bash' 'export PATH=/bin'; dt-env-helper shadowSetup --shell /bin/bash; accounts redis
	printf '%s\n' 'mkdir /data' 'chown redis:redis /data')
ok 'groupadd and useradd' build shadow "$(jq -n --arg run "$shadow" '{fromImage: "real.tar", runAsRoot: $run}')"
like 'the user' <(flat shadow etc/passwd) '^redis:x:999:99[89]:'
like 'the group' <(flat shadow etc/group) '^redis:x:99[89]:'
is 'the directory is its own' "$(dt-flatten shadow.tar data | tar --numeric-owner -tv | awk '{ print $1, $2 }' | sed 's/998$/999/')" 'drwxr-xr-x 999/999'
emulated shadow
is 'one layer more' "$(layers shadow)" "$(($(layers real) + 1))"

# Three steps that read each other's files.
ok '[26] a' build a '{"fromImage": "real.tar", "runAsRoot": "#!/bin/bash\nprintf a >/abc"}'
ok '[26] b on a' build b '{"fromImage": "a.tar", "runAsRoot": "#!/bin/bash\nprintf b >>/abc"}'
ok '[26] c on b' build c '{"fromImage": "b.tar", "runAsRoot": "#!/bin/bash\nprintf c >>/abc"}'
is '[26] what the third has read' "$(flat c abc)" abc
for name in a b c; do emulated "$name"; done
is 'a layer each' "$(layers c)" "$(($(layers real) + 3))"

# Order: copyToRoot, runAsRoot, extraCommands; then the closure.
ok 'an interpreter in the store, and all keys together' build order "$(jq -n --arg sh "$bash" --arg s "${bash#"$T/s"}" '{
	fromImage: "real.tar", copyToRoot: "tree", uid: 5,
	runAsRoot: ("#!" + $s + "/bin/sh\nls " + $s + "/.. >/tmp/store\ncat /etc/greeting >/run-file\nchown 7:8 /run-file\nrm /bin/touch\necho \"(parens) \u0027quoted\u0027\" >/tmp/p\n: " + $s),
	extraCommands: ("cp run-file extra; echo more >>tmp/p; rm tmp/store; echo " + $s + " >mention"), config: {Cmd: ["/bin/cat", "/extra"]}}')"
is 'copyToRoot is there for runAsRoot, and that for extraCommands' "$(flat order extra)" greeting
is 'owners of runAsRoot stay' "$(dt-flatten order.tar run-file extra | tar --numeric-owner -tv | awk '{ print $2, $6 }')" \
	"$(printf '%s\n' '0/0 extra' '7/8 run-file')"
is 'both have written' "$(flat order tmp/p)" "$(printf '%s\n' "(parens) 'quoted'" more)"
is 'what they removed' "$(dt-flatten order.tar | tar -t | grep -c -e bin/touch -e tmp/store)" 0
is 'the closure of what they mention' "$(dt-flatten order.tar "${bash#"$T/s"}" | tar -t | tail -n 1)" \
	"${bash#"$T/s/"}/bin/sh"
is 'one layer of all' "$(layers order)" "$(($(layers real) + 1))"

ok 'no base image' build none '{"runAsRoot": "mkdir -p /data; echo x >/data/x", "copyToRoot": "tree"}'
is 'its files' "$(dt-flatten none.tar | tar -t | tr '\n' ' ')" 'data/ data/x etc/ etc/greeting '

# fails_as_root STATUS SPEC DESCRIPTION: tests that runAsRoot fails with this status, which the last line names.
fails_as_root() {
	echo "$2" >failing.json
	fails 1 "^dt-build-image: (.*: )?runAsRoot failed with status $1\$" "$3" without ^dt-vmrun dt-build-image --store "$T/s" failing.json
}
fails_as_root 3 '{"name": "x", "runAsRoot": "exit 3"}' 'a script that fails'
fails_as_root 1 '{"name": "x", "runAsRoot": "#!/bin/sh\nfalse\ntrue"}' 'set -e'
fails_as_root 125 '{"name": "x", "diskSize": 8, "runAsRoot": "yes | head -c 9000000 >/x"}' 'diskSize'

# What nixpkgs asserts of its own, by numbers, in a real Docker.

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
# builds NUMBER NAME JQ-OBJECT: docker loads the image; in the object, $bash and the like are
# store paths, and $setup is a text that makes the account web.
builds() {
	ok "[$1] $2" build "$2" "$(jq -n --arg bash "$(root bash)/bin/bash" --arg coreutils "$(root coreutils)" \
		--arg nginx "$(root nginx)" --arg setup "$(dt-env-helper shadowSetup --store "$small" --package "$(root passwd)"; accounts web)" "$3")" "$small"
	ok "[$1] docker load" docker load -q -i "$2.tar"
}

nginx_files server 'web web' 80
builds 16 nginx '{copyToRoot: ["server", {paths: [$bash | split("/bin/")[0]], pathsToLink: ["/bin"]}],
	runAsRoot: ("#!\($bash)\nexport PATH=\($coreutils)/bin\n\($setup)\nmkdir -m 1777 /tmp\nchown -R web:web /var/log /var/lib"),
	config: {Cmd: [$nginx + "/sbin/nginx", "-c", "/etc/nginx.conf"]}}'
docker run -d --name nginx --network=none nginx:1 >/dev/null
get() { docker exec nginx /bin/bash -c 'exec 3<>/dev/tcp/127.0.0.1/80 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && while read -r line; do echo "$line"; done <&3'; }
ok '[16] nginx answers' answers get
like '[16] nginx serves, by HTTP' out '^what is served$'
is '[16] as the account' "$(docker top nginx -o pid,uid,args 2>/dev/null | awk '/worker process/ { print $2 }' | sort -u)" "$(flat nginx etc/passwd | awk -F: '$1 == "web" { print $3 }')"
docker rm -f nginx >/dev/null

builds 18 both '{fromImage: "real.tar", runAsRoot: "#!/bin/bash\necho \"(runAsRoot)\" >runAsRoot", extraCommands: "echo \"(extraCommands)\" >extraCommands"}'
says '[18] what both scripts wrote' $'(runAsRoot)\n(extraCommands)' in_docker both:1 /bin/cat /runAsRoot /extraCommands
emulated both "$small"

jq -n --arg bash "$(root bash)" --arg coreutils "$(root coreutils)" '{name: "layered", tag: "1", contents: [$bash, $coreutils], compressor: "none"}' >layered.json
ok '[22] a layered image' dt-build-layered-image --store "$small" layered.json
mv out layered.tar
builds 22 writable '{fromImage: "layered.tar", runAsRoot: "#!/bin/bash\nmkdir /work\nchown 1000:1000 /work", config: {User: "1000:1000", WorkingDir: "/work"}}'
says '[22] its WorkingDir can be written to' x in_docker writable:1 /bin/bash -c 'echo x >file; cat file'
is '[22] on top of all layers' "$(layers writable)" "$(($(layers layered) + 1))"

mkdir -p twice
echo twice >twice/twice
dt-root --tree twice >twice.layer
cat twice.layer twice.layer | dt-manifest --from real.tar --name twice --tag 1 >twice-base.tar
is '[27] a base that has one layer twice' "$(tar -xOf twice-base.tar manifest.json 2>/dev/null | jq '.[0].Layers | length - (unique | length)')" 1
builds 27 twice '{fromImage: "twice-base.tar", runAsRoot: "#!/bin/bash\ncat /twice >/thrice"}'
says '[27] runAsRoot read it' twice in_docker twice:1 /bin/cat /thrice

# dockerd takes and runs them.
ok 'docker load' docker load -i c.tar
ok 'docker run' in_docker c:1 /bin/cat /abc
is 'what it prints' "$(cat "$T/out")" abc
ok 'docker load, all keys' docker load -i order.tar
ok 'its command' in_docker order:1
is 'what that prints' "$(cat "$T/out")" greeting
ok 'docker load, a user' docker load -i shadow.tar
ok 'as this user' in_docker -u redis shadow:1 /bin/touch /data/x
docker create --name removed order:1 >/dev/null
is 'what was removed is' "$(docker export removed | tar -t | grep -c '^bin/touch$')" 0

finish
