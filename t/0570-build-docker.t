#!/usr/bin/env bash
# Images of dt-build-image and dt-build-layered-image in a real Docker: what nixpkgs asserts of its
# own, by numbers; servers; bases that Docker saved.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2001,SC2012,SC2016,SC2119,SC2120,SC2154,SC2317 # jq and what is passed on expand these
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need jq python3 skopeo zstd

small=${DT_TEST_SMALL:-/var/tmp/dt-small} medium=${DT_TEST_MEDIUM:-/var/tmp/dt-medium}
ok 'a real store' "$t_dir/realstore" small "$small"
ok 'a larger one' "$t_dir/realstore" medium "$medium"
medium() { awk -v name="$1" '$1 == name { print $2 }' "$medium/roots"; }
start_dockerd

# loads SCRIPT DESCRIPTION JQ-OBJECT: what the script makes of a name, a tag and that is loaded;
# $T/image is it. In the object, $hello and the like are store paths.
store=$small
loads() {
	jq -n --arg T "$T" --arg hello "$(root hello)" --arg bash "$(root bash)" --arg coreutils "$(root coreutils)" \
		--arg file "$(root plain-file)" --arg link "$(root symlink)" --arg nginx "$(root nginx)" \
		--arg redis "$(root redis-server)" --arg tools "$(root redis-tools)" --arg sh "$(medium bash)" \
		--arg postgres "$(medium postgresql-15)" --arg psql "$(medium postgresql-client-15)" --arg core "$(medium coreutils)" \
		--arg port "${port-}" --arg commands "${commands-}" \
		'{name: "x", tag: "t", compressor: "none"} + '"$3" >"$T/spec.json"
	"$1" --store "$store" "$T/spec.json" >"$T/image" 2>"$T/warnings" || cat "$T/warnings"
	# Docker reads zstd from version 23 on.
	! zstd -tq "$T/image" 2>/dev/null || zstd -dqf "$T/image" -o "$T/image.tar"
	[ ! -e "$T/image.tar" ] || mv "$T/image.tar" "$T/image"
	ok "$2: docker loads it" docker load -q -i "$T/image"
	image=$(sed -n 's/^Loaded image: //p' "$T/out")
}
build() { loads dt-build-image "$@"; }
layered() { loads dt-build-layered-image "$@"; }
inspect() { docker image inspect --format '{{json .}}' "$1" | jq -rc "$2"; }
hello=$(root hello) bash=$(root bash)

# --- buildImage ---

build '[1] hello at the root' '{name: "Registry/HELLO", tag: null, compressor: null, copyToRoot: $hello, config: {Cmd: ["/bin/hello"]}}'
is '[9] [17] [38] the name is in lower case, the tag made of the content' "$(sed 's/:[0-9a-z]\{32\}$/:TAG/' <<<"$image")" registry/hello:TAG
is '[8] created in the first second, and listed' "$(inspect "$image" .Created) $(docker images -q "$image" | wc -l)" '1970-01-01T00:00:01Z 1'
says '[1] [65] hello' 'Hello, world!' in_docker "$image"
is '[34] no more store paths than the copy of hello needs' "$(docker export "$(docker create "$image")" | tar -t | sed -nE 's,^nix/store/([^/]+)/$,/nix/store/\1,p' | sort)" \
	"$(dt-closure --store "$small" "$hello" | cut -d ' ' -f 1 | grep -vxF "$hello" | sort)"
for compressor in none zstd; do
	build "[10] $compressor" "{copyToRoot: \$hello, config: {Cmd: [\"hello\"], Env: [\"PATH=/bin\"]}, compressor: \"$compressor\"}"
	says "[10] $compressor: hello" 'Hello, world!' in_docker "$image"
done
build '[12] [37]' '{copyToRoot: {paths: [$bash, $coreutils, $hello], pathsToLink: ["/bin"]}, config: {Env: ["PATH=/bin", "LINK=" + $link, "FILE=" + $file], Cmd: ["bash"]},
	extraCommands: "mkdir -m 1777 tmp; mkdir data \u0027a (b)\u0027; echo \"it\u0027s (here)\" >\u0027a (b)/c\u0027", uid: 1000, gid: 100}'
says '[12] [67] somebody runs bash, and the store is open' $'/nix 755\n/nix/store 755\nHello, world!' \
	in_docker -u 1234:5 "$image" bash -euc 'stat -c "%n %a" /nix /nix/store; hello; : >/tmp/x'
says '[35] [37] a store path that is a symlink is one, and one that is a file' $'symbolic link\nregular file' \
	in_docker "$image" bash -c 'stat -c %F "$LINK" "$FILE"'
says '[18] what extraCommands made, whatever its name' "it's (here)" in_docker "$image" cat '/a (b)/c'
says '[53] [68] whoever owns it may write' yes in_docker -u 1000:100 "$image" bash -euc 'touch /data/x; [ ! -w /nix/store ]; echo yes'
build '[19] created now' '{created: "now"}'
is '[19] created now is now' "$((($(date +%s) - $(date -d "$(inspect "$image" .Created)" +%s)) < 600))" 1
arch=$([ "$(dpkg --print-architecture)" = arm64 ] && echo amd64 || echo arm64)
build '[36] [49] another architecture' "{architecture: \"$arch\"}"
is '[36] [49] architecture' "$(inspect "$image" .Architecture)" "$arch"
mkdir "$T/bare"
echo 'a bare path' >"$T/bare/hello.txt"
build '[48] a bare path' '{copyToRoot: [($T + "/bare"), {paths: [$coreutils], pathsToLink: ["/bin"]}]}'
says '[48] a bare path' 'a bare path' in_docker "$image" /bin/cat /hello.txt

# --- buildLayeredImage ---

commands='mkdir -p home/jane; chown -R 1000:100 home/jane; chmod 700 home/jane; echo 1 >file; chown 12345:12345 file
	mknod -m 666 null c 1 3; echo >suid; chown 7:8 suid; chmod 6755 suid; echo '"$hello"' >ref'
layered '[40] owners' '{name: "registry/Layered", compressor: null, contents: [$bash, $coreutils], extraCommands: "echo extra >extra",
	fakeRootCommands: $commands, config: {Env: ["PATH=/bin"], Cmd: [$hello + "/bin/hello"], WorkingDir: "/home/jane"}}'
is '[39] the name' "$image" registry/layered:t
says '[21] Cmd runs' 'Hello, world!' in_docker "$image"
says '[40] [52] owners, modes, a device' $'1000:100 700 directory\n12345:12345 644 regular file\n7:8 6755 regular file\n0:0 666 character special file' \
	in_docker "$image" stat -c '%u:%g %a %F' /home/jane /file /suid /null
says '[21] the file that extraCommands made' extra in_docker "$image" cat /extra
says '[22] its WorkingDir can be written to' '/home/jane' in_docker -u 1000:100 "$image" bash -euc 'pwd; : >x'
says '[44] what is only mentioned in what fakeRootCommands made' 'Hello, world!' in_docker "$image" bash -c '$(cat /ref)/bin/hello'
layers=$(inspect "$image" '.RootFS.Layers[]' | sort)
cp "$T/image" "$T/layered.gz"
commands='mkdir /bin /data; ln -s '"$bash"'/bin/bash /bin/sh; chown 12345:12345 /data; install -D -m 640 /dev/null /etc/made'
layered '[47] enableFakechroot' '{fakeRootCommands: $commands, enableFakechroot: true, config: {Cmd: [$coreutils + "/bin/stat", "-c", "%u:%g %a", "/data", "/etc/made"]}}'
says '[47] [50] [52] absolute names' $'12345:12345 755\n0:0 640' in_docker "$image"
says '[44] a shell that only this refers to' ok in_docker "$image" /bin/sh -c 'echo ok'
layered '[20] created now' '{created: "now", contents: $hello}'
is '[20] created now is now' "$((($(date +%s) - $(date -d "$(inspect "$image" .Created)" +%s)) < 600))" 1
layered '[24] another one' '{contents: [$hello, $bash], maxLayers: 40}'
is '[24] two images have layers in common' "$([ "$(inspect "$image" '.RootFS.Layers[]' | sort | comm -12 <(echo "$layers") - | wc -l)" -ge 3 ] && echo yes)" yes
layered '[31] maxLayers 2' '{contents: [$hello], maxLayers: 2, config: {Cmd: ["/bin/hello"]}}'
is '[31] two layers' "$(inspect "$image" '.RootFS.Layers | length')" 2
says '[32] nothing is lost' 'Hello, world!' in_docker "$image"

# --- bases ---

build '[22] [23] on a layered one' '{fromImage: ($T + "/layered.gz"), name: "two", extraCommands: "echo two >extra; echo two >two", config: {Env: ["A=two"]}}'
is '[22] [28] [29] the configuration is inherited' "$(inspect two:t '.Config | [.Env, .WorkingDir]')" '[["PATH=/bin","A=two"],"/home/jane"]'
says '[22] its WorkingDir can be written to' two in_docker -u 1000:100 two:t bash -euc ': >x; cat /extra'
docker save two:t >"$T/two.tar"
skopeo copy -q "docker-archive:$T/two.tar" "oci-archive:$T/two.oci.tar:two:t"
for base in two.tar two.oci.tar; do
	layered "[25] three, on what was saved as $base" '{fromImage: ($T + "/'"$base"'"), name: "three", contents: $hello, extraCommands: "echo three >extra", config: {Env: ["PATH=/bin:/sbin"]}}'
	says '[25] the child overrides, all parents are seen' $'three\ntwo\n/home/jane\n/bin:/sbin' in_docker three:t bash -euc 'cat /extra /two; pwd; echo "$PATH"'
	is '[30] each variable once' "$(inspect three:t .Config.Env)" '["PATH=/bin:/sbin","A=two"]'
	docker image rm -f three:t >/dev/null
done
docker tag registry/hello two:1 2>/dev/null || docker tag x:t two:1
docker save two:t two:1 >"$T/several.tar"
build 'one of several that docker saved' '{fromImage: ($T + "/several.tar"), fromImageName: "two", fromImageTag: "t", name: "four", copyToRoot: $hello}'
is 'the one that was named' "$(inspect four:t '.RootFS.Layers[:-1]')" "$(inspect two:t .RootFS.Layers)"
is 'the store paths that it has are not there again' "$(tar -xOf "$T/image" "$(tar -xOf "$T/image" manifest.json | jq -r '.[0].Layers[-1]')" | tar -t | grep -c '^nix/store/')" 0
docker export "$(docker create two:t)" | docker import -c 'ENV PATH=/bin' - imported:1 >/dev/null
docker save imported:1 >"$T/imported.tar"
build '[15] [17] on what docker imported' '{fromImage: ($T + "/imported.tar"), name: "five", copyToRoot: $hello, config: {Cmd: ["hello"]}}'
says '[15] [17] on what docker imported' 'Hello, world!' in_docker five:t

# A system whose /bin is a link.
mkdir -p "$T/merged/usr/bin"
ln -s usr/bin "$T/merged/bin"
cp "$(type -P busybox)" "$T/merged/usr/bin/busybox"
ln -s busybox "$T/merged/usr/bin/ls"
ln -s busybox "$T/merged/usr/bin/sh"
tar -c -C "$T/merged" . | docker import - merged:1 >/dev/null
docker save merged:1 >"$T/merged.tar"
for script in build layered; do
	"$script" "UsrMerge, $script" '{fromImage: ($T + "/merged.tar"), '"$([ "$script" = build ] && echo copyToRoot || echo contents)"': $hello, config: {Cmd: ["/bin/hello"]}}'
	says "UsrMerge, $script: what is new" 'Hello, world!' in_docker x:t
	says "UsrMerge, $script: what was there" /bin/ls in_docker x:t /bin/sh -c '/bin/ls /bin/ls'
	like "UsrMerge, $script: a warning" "$T/warnings" '^dt-root: /bin is a symlink in '
done

# --- environment helpers ---

mkdir -p "$T/script/bin"
printf '#!/usr/bin/env sh\necho "$0 is run by $(id -un):$(id -gn), at home in $HOME"\n' >"$T/script/bin/script"
chmod 755 "$T/script/bin/script"
certificates='/etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-bundle.crt /etc/pki/tls/certs/ca-bundle.crt'
for script in build layered; do
	key=$([ "$script" = build ] && echo copyToRoot || echo contents)
	"$script" "helpers, $script" "{$key: [\"binSh\", \"usrBinEnv\", \"caCertificates\", {helper: \"fakeNss\", extraPasswdLines: [\"web:x:80:81:Web:/srv:/bin/sh\"],
		extraGroupLines: [\"www:x:81:\"]}, \$T + \"/script\"], config: {Env: [\"PATH=/bin\"]}}"
	says "helpers, $script: a shell, env, and root" '/bin/script is run by root:root, at home in /var/empty' in_docker "$image" script
	says "helpers, $script: nobody" '/bin/script is run by nobody:nobody, at home in /var/empty' in_docker -u nobody "$image" script
	says "helpers, $script: another user" '/bin/script is run by web:www, at home in /srv' in_docker -u web "$image" script
	says "helpers, $script: the default sh alone" 'yes /var/empty is empty' in_docker "$image" sh -c 'echo yes $(find /var/empty) is empty'
	says "[51] $script: three files of certificates, for all" "3 $(sha256sum </etc/ssl/certs/ca-certificates.crt | cut -d ' ' -f 1)" \
		in_docker -u nobody "$image" sh -c "cat \$0 >/dev/null && echo \$(sha256sum \$0 | cut -d ' ' -f 1 | uniq -c)" "$certificates"
done
build 'helpers and packages' '{copyToRoot: ["binSh", "usrBinEnv", "fakeNss", $T + "/script"], config: {Env: ["PATH=" + $coreutils + "/bin:/bin", "X=" + $bash]}}'
says 'helpers and packages: nobody' '/bin/script is run by nobody:nobody, at home in /var/empty' in_docker -u nobody "$image" script
says 'helpers and packages: sh and env' "$(root bash)/bin/bash $(root coreutils)/bin/env" \
	in_docker "$image" sh -c '[ -n "$BASH_VERSION" ]; echo $(readlink /bin/sh /usr/bin/env)'
commands="$(dt-env-helper --store "$small" shadowSetup --package "$(root passwd)")
groupadd -r redis; useradd -r -g redis redis; mkdir /data; chown redis:redis /data"
layered 'shadowSetup' '{contents: ["binSh", $coreutils], fakeRootCommands: $commands, enableFakechroot: true}'
says 'shadowSetup: a user of its own' $'redis:redis\nredis' in_docker -u redis "$image" /bin/sh -c 'stat -c %U:%G /data; : >/data/x; id -un'

# --- servers ---

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
nginx_files "$T/server" 'nobody nobody' "$port"
build '[16] nginx' '{copyToRoot: [$T + "/server", "fakeNss"], extraCommands: "mkdir -m 1777 tmp", config: {Cmd: [$nginx + "/sbin/nginx", "-c", "/etc/nginx.conf"]}}'
docker run -d --name nginx --network=host x:t >/dev/null
get() { python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode(), end="")' "http://127.0.0.1:$port/"; }
ok '[16] nginx answers' answers get
is '[16] nginx serves, by HTTP' "$(cat "$T/out")" 'what is served'
is '[16] nginx serves as nobody' "$(docker top nginx -eo pid,uid,gid,args | grep worker | awk '{ print $2, $3 }' | sort -u)" '65534 65534'
docker rm -f nginx >/dev/null

commands='mkdir -p data; chown 1000:1000 data'
layered 'redis' '{contents: [$tools], fakeRootCommands: $commands, config: {Cmd: [$redis + "/bin/redis-server", "--save", "", "--dir", "/data"], User: "1000:1000"}}'
docker run -d --name redis --network=none x:t >/dev/null
ok 'redis starts' answers docker exec redis /bin/redis-cli ping
says 'redis remembers' OK docker exec redis /bin/redis-cli set key 'a value'
says 'redis recalls' 'a value' docker exec redis /bin/redis-cli get key
docker rm -f redis >/dev/null

store=$medium
commands='mkdir -p data; chown 1000:1000 data; echo user:x:1000:1000::/:/bin/sh >etc/passwd; mkdir -m 1777 tmp; ln -s bash bin/sh'
layered 'postgres' '{contents: [$sh, $core], extraCommands: "mkdir -p etc; chmod u+w etc bin", fakeRootCommands: $commands, maxLayers: 20, compressor: "zstd",
	config: {Env: ["PATH=/bin:" + $postgres + "/lib/postgresql/15/bin:" + $psql + "/lib/postgresql/15/bin", "PGDATA=/data/pg", "PGHOST=/tmp", "PGUSER=user", "LC_ALL=C"], User: "1000:1000"}}'
docker run -d --name pg --network=none x:t bash -euc 'initdb -A trust >/dev/null
	exec postgres -c listen_addresses= -c unix_socket_directories=/tmp' >/dev/null
ok 'postgres starts' answers docker exec pg psql -d postgres -c 'select 1'
says 'postgres counts' 500500 docker exec pg psql -d postgres -At -c 'select sum(n) from generate_series(1, 1000) n'
docker rm -f pg >/dev/null

finish
