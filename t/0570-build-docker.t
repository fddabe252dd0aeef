#!/usr/bin/env bash
# Images of dt-build-image and dt-build-layered-image in a real Docker: what nixpkgs asserts of its
# own, by numbers; servers; bases that Docker saved.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # jq and what is passed on expand these
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need jq python3 skopeo

small=${DT_TEST_SMALL:-/var/tmp/dt-small} large=${DT_TEST_LARGE:-/var/tmp/dt-large}
ok 'a real store' "$t_dir/realstore" small "$small"
ok 'a large one' "$t_dir/realstore" large "$large"
root() { awk -v name="$1" '$1 == name { print $2 }' "$small/roots"; }
large() { awk -v name="$1" '$1 == name { print $2 }' "$large/roots"; }
start_dockerd

# loads SCRIPT DESCRIPTION JQ-OBJECT: what the script makes of a name, a tag and that is loaded;
# $T/image is it. In the object, $hello and the like are store paths.
store=$small
loads() {
	jq -n --arg T "$T" --arg hello "$(root hello)" --arg bash "$(root bash)" --arg coreutils "$(root coreutils)" \
		--arg file "$(root plain-file)" --arg link "$(root symlink)" --arg nginx "$(root nginx)" \
		--arg redis "$(root redis-server)" --arg tools "$(root redis-tools)" --arg sh "$(large bash)" \
		--arg postgres "$(large postgresql-15)" --arg psql "$(large postgresql-client-15)" --arg core "$(large coreutils)" \
		--arg port "${port-}" --arg commands "${commands-}" \
		'{name: "x", tag: "t"} + '"$3" >"$T/spec.json"
	"$1" --store "$store" "$T/spec.json" >"$T/image" 2>"$T/warnings" || cat "$T/warnings"
	ok "$2: docker loads it" docker load -q -i "$T/image"
	image=$(sed 's/^Loaded image: //' "$T/out")
}
build() { loads dt-build-image "$@"; }
layered() { loads dt-build-layered-image "$@"; }
says() { # DESCRIPTION WANTED COMMAND...
	local what=$1 want=$2
	shift 2
	ok "$what: runs" "$@"
	is "$what: says" "$(cat "$T/out")" "$want"
}
inspect() { docker image inspect --format '{{json .}}' "$1" | jq -rc "$2"; }
answers() { # COMMAND...: it succeeds before long
	local i
	for ((i = 0; i < 300; i++)); do
		"$@" 2>/dev/null && return
		sleep 0.1
	done
	"$@"
}
hello=$(root hello) bash=$(root bash)

# --- buildImage ---

build '[1] hello at the root' '{name: "Registry/HELLO", tag: null, copyToRoot: $hello, config: {Cmd: ["/bin/hello"]}}'
is '[9] [17] [38] the name is in lower case, the tag made of the content' "$(sed 's/:[0-9a-z]\{32\}$/:TAG/' <<<"$image")" registry/hello:TAG
is '[8] created in the first second, and listed' "$(inspect "$image" .Created) $(docker images -q "$image" | wc -l)" '1970-01-01T00:00:01Z 1'
says '[1] [65] hello' 'Hello, world!' in_docker "$image"
is '[34] no more store paths than hello needs' "$(docker export "$(docker create "$image")" | tar -t | sed -nE 's,^nix/store/([^/]+)/$,/nix/store/\1,p' | sort)" \
	"$(dt-closure --store "$small" "$hello" | cut -d ' ' -f 1 | sort)"
for compressor in none zstd; do
	build "[10] $compressor" "{copyToRoot: \$hello, config: {Cmd: [\"hello\"], Env: [\"PATH=/bin\"]}, compressor: \"$compressor\"}"
	says "[10] $compressor: hello" 'Hello, world!' in_docker "$image"
done
cp "$T/image" "$T/hello.zst"
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

commands='mkdir -p home/jane; chown -R 1000:100 home/jane; chmod 700 home/jane; echo 1 >home/jane/file; chown 12345:12345 home/jane/file
	mknod -m 666 null c 1 3; cp bin/su-like suid; chown 7:7 suid; chmod 4755 suid; echo '"$hello"' >ref'
layered '[40]' '{name: "registry/Layered", contents: [$bash, $coreutils], extraCommands: "cp $(readlink bin/id) bin/su-like",
	fakeRootCommands: $commands, config: {Env: ["PATH=/bin"], Cmd: [$hello + "/bin/hello"], WorkingDir: "/home/jane"}}' 2>/dev/null
commands=${commands/bin\/su-like/\"$small$(root coreutils)\/bin\/id\"}
layered '[40] owners' '{name: "registry/Layered", contents: [$bash, $coreutils],
	fakeRootCommands: $commands, config: {Env: ["PATH=/bin"], Cmd: [$hello + "/bin/hello"], WorkingDir: "/home/jane"}}'
is '[39] the name' "$image" registry/layered:t
says '[21] Cmd runs' 'Hello, world!' in_docker "$image"
says '[40] [52] owners, modes, a device' $'1000:100 700\n12345:12345 644\n7:7 4755\n1:3 character special file\n7 5' \
	in_docker -u 5:5 "$image" bash -euc 'stat -c "%u:%g %a" /home/jane; exec 3>&1; cd /; true' 2>/dev/null
says '[22] its WorkingDir can be written to' '/home/jane' in_docker -u 1000:100 "$image" bash -euc 'pwd; : >x'
says '[44] what is only mentioned in what fakeRootCommands made' 'Hello, world!' in_docker "$image" bash -c '$(cat /ref)/bin/hello'
layers=$(inspect "$image" '.RootFS.Layers[]' | sort)
cp "$T/image" "$T/layered.gz"
