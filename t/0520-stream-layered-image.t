#!/usr/bin/env bash
# dt-stream-layered-image: the assertions of nixpkgs' own tests (their numbers are in brackets), and bad specs.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/images.sh"
. "$t_dir/docker.sh"
need jq setsid pgrep zstd xz

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
hello=$(root hello) bash=$(root bash)
links=$(root hard-links) self=$(root self-reference) odd=$(root odd-names) # need nothing else, and little room
mkdir "$T/tmp"
export TMPDIR=$T/tmp
tool() { dt-stream-layered-image --store "$small" "$@"; }

# spec JQ-OBJECT: $T/spec.json of a name, a tag, and that. In it, $hello and the like are store paths.
spec() {
	jq -n --arg hello "$hello" --arg bash "$bash" --arg T "$T" --arg file "$(root plain-file)" \
		--arg link "$(root symlink)" --arg odd "$odd" --arg links "$links" --arg self "$self" \
		--arg coreutils "$(root coreutils)" \
		'{name: "x", tag: "t"} + '"$1" >"$T/spec.json"
}

# streams DESCRIPTION JQ-OBJECT: $T/image is an image of that; $T/shown has its documents.
streams() {
	local status=0
	spec "$2"
	rm -f "$T/shown"
	tool "$T/spec.json" >"$T/image" 2>"$T/err" || status=$?
	sed -i "/^dt-root: .nix-support.depends is in both/d" "$T/err" # all packages have one
	archive show "$T/image" >"$T/shown" 2>"$T/not-whole"
	is "$1: a whole image, nothing said" "$status:$(cat "$T/err" "$T/not-whole")" 0:
	is "$1: no scratch directory is left" "$(ls -A "$T/tmp")" ''
}

top() { layer >"$T/layer" && archive ls "$T/layer"; }
all_layers() { archive layers "$T/image" | sed 's/^[0-9]* //'; }

# refuses STATUS REGEX DESCRIPTION JQ-OBJECT
refuses() {
	spec "$4"
	fails "$1" "^$2\$" "$3" tool "$T/spec.json"
	is "$3: no image" "$(ended "$T/out")" no
	is "$3: no scratch directory is left" "$(ls -A "$T/tmp")" ''
}

# --- what is in an image ---

streams 'a name alone' '{}'
is 'a name alone: one layer, of nothing' "$(shown '.config.rootfs.diff_ids | length'):$(top)" 1:
is '[8] created in the first second' "$(shown .config.created)" 1970-01-01T00:00:01Z
streams 'null is as good as nothing' '{tag: null, fromImage: null, contents: null, config: null, architecture: null, created: null,
	mtime: null, maxLayers: null, uid: null, gid: null, uname: null, gname: null, extraCommands: null, includeStorePaths: null,
	fakeRootCommands: null, enableFakechroot: null, includeNixDB: null, layeringPipeline: null}'
is 'null is as good as nothing: the tag' "$(shown '.docker[0].RepoTags[0] | test("^x:[0-9a-z]{32}$")')" true

streams 'contents' '{contents: [$hello, $bash]}'
top | grep -v -e ' share' -e ' etc' -e nix-support >"$T/list"
is 'contents: links' "$(cat "$T/list")" "d0755 bin
l0777 bin/bash -> $bash/bin/bash
l0777 bin/bashbug -> $bash/bin/bashbug
l0777 bin/clear_console -> $bash/bin/clear_console
l0777 bin/hello -> $hello/bin/hello
l0777 bin/rbash -> bash"
is 'contents: their closure is in the image' "$(store_paths)" "$(closure "$hello" "$bash")"
dt-closure --store "$small" "$hello" "$bash" | dt-popularity --strategy transfer --max-layers 99 |
	dt-layer --store "$small" >"$T/layers"
is 'contents: the layers are those of the filters' "$(shown '.config.rootfs.diff_ids[:-1][]')" \
	"$(archive members "$T/layers" | jq -r '"sha256:" + .sha256')"
is '[13] [14] links in a store path stay what they are' "$(all_layers | grep "$bash/bin/rbash")" "l0777 $bash/bin/rbash -> bash"
streams 'contents: a string' '{contents: $links}'
is 'contents: a string: links' "$(top)" "d0755 a
l0777 a/one -> $links/a/one
l0777 a/two -> $links/a/two
d0755 b
l0777 b/three -> $links/b/three"
streams 'contents: none' '{contents: []}'
is 'contents: none: nothing' "$(shown '.config.rootfs.diff_ids | length')" 1
streams 'contents: part of a path' '{contents: [$links + "/b"]}'
is 'contents: part of a path: links to it' "$(top)" "l0777 three -> $links/b/three"
is 'contents: part of a path: all of it is in the image' "$(store_paths)" "$(closure "$links")"

bare=$T/$'it\'s "bare"  \\ (x) $HOME *\nü'
mkdir -p "$bare/sub dir"
echo 'hello, world' >"$bare/hello.txt"
echo "exec $self/self" >"$bare/sub dir/script"
ln -s hello.txt "$bare/link"
jq -n --arg bare "$bare" '{name: "x", tag: "t", contents: [$bare]}' >"$T/spec.json"
tool "$T/spec.json" >"$T/image"
archive show "$T/image" >"$T/shown"
is '[48] a directory that is no store path: what is in it' "$(top)" "-0644 hello.txt
l0777 link -> hello.txt
d0755 sub dir
-0644 sub dir/script"
is '[48] and what its files refer to' "$(store_paths)" "$(closure "$self")"
is '[48] its contents' "$(layer | tar -xO hello.txt)" 'hello, world'
ln -s "$bare" "$T/result"
(cd "$T" && jq -n '{name: "x", tag: "t", contents: "./result"}' | tool) >"$T/got"
same '[48] a relative symlink to it, in a spec on stdin' "$T/got" "$T/image"
cat >"$T/at-nix" <<'END'
ln -s "$links" "$T/store-result"
cd "$T"
jq -n '{name: "x", tag: "t", contents: "store-result"}' | dt-stream-layered-image - >"$T/got"
END
ok 'a symlink to a store path' env links="$links" T="$T" "$t_dir/with-nix" "$small" bash -euo pipefail "$T/at-nix"
streams 'a store path' '{contents: $links}'
same 'a symlink to a store path is the store path' "$T/got" "$T/image"

streams 'store paths that are no directories' '{config: {Env: ["FILE=" + $file, "LINK=" + $link]}}'
is '[35] a store path that is a file stays one' "$(all_layers | grep -e '-plain-file')" "-0444 $(root plain-file)"
is '[37] a store path that is a symlink stays one' "$(all_layers | grep -e '-symlink')" "l0777 $(root symlink) -> $hello/bin/hello"
is '[34] what is only needed to build is not there' "$(store_paths | grep -c build-only)" 0

# --- config ---

streams 'references in config' \
	'{config: {Cmd: [$links + "/bin/hello", "x"], Env: ["PATH=/x:" + $self + "/bin:/y"], Labels: {($odd): "z"}}}'
is 'references in config join the closure, wherever they are' "$(store_paths)" "$(closure "$links" "$self" "$odd")"
streams '[21] Cmd, as a string' '{config: {Cmd: ($links + "/x y")}}'
is '[21] Cmd, as a string, is a list' "$(shown .config.config.Cmd)" "[\"$links/x y\"]"
streams 'quotes and blanks' \
	'{config: {Cmd: ["a  b", "it\u0027s", "\"", "\\", "$HOME `id` $(id)", "\n\t", "ü", "*", ""], Env: ["A=\" \u0027 \\ \n"]}}'
is 'quotes and blanks stay what they are' "$(shown '.config.config')" "$(jq -c '.config' "$T/spec.json")"
none=/nix/store/00000000000000000000000000000000-none
refuses 1 "dt-closure: contents, config: $none(/bin/x)? is mentioned but not there" 'config mentions a store path that is not there' \
	"{config: {Cmd: [\"$none/bin/x\"]}}"
refuses 1 "dt-closure: contents, config: $none is mentioned but not there" 'contents has a store path that is not there' "{contents: [\"$none\"]}"
refuses 1 'dt-stream-layered-image: contents: /proc/none: no such path' 'contents has a path that is not there' '{contents: ["/proc/none"]}'
refuses 1 'dt-manifest: config: Cmd: not a list of strings' 'a Cmd that is none' '{config: {Cmd: [1]}}'

# --- name, tag, platform, time, owner ---

streams '[17] [38] [39] a name with a registry, in capitals' '{name: "Registry.Example.org:5000/User/Image", tag: "V1"}'
is '[17] [38] [39] its name' "$(shown '.docker[0].RepoTags[]')" registry.example.org:5000/user/image:V1
streams '[9] no tag' '{tag: null}'
tar -xOf "$T/image" "$(shown '.docker[0].Config')" 2>/dev/null >"$T/config"
is '[9] the tag is derived from the content' "$(shown '.docker[0].RepoTags[0]')" \
	"x:$(nix-hash --flat --type sha256 --base32 --truncate "$T/config")"
streams '[36] [49] architecture' '{architecture: "arm64"}'
is '[36] [49] architecture: as it is' "$(shown '[.config.architecture, .config.os]')" '["arm64","linux"]'
streams '[36] a system as Nix calls it' '{architecture: "armv7l-linux"}'
is '[36] a system as Nix calls it: as Docker does' "$(shown '[.config.architecture, .config.variant]')" '["arm","v7"]'
before=$(date -u +%FT%TZ)
streams '[19] [20] created: now' '{created: "now", mtime: "now", extraCommands: "touch x"}'
now=$(shown .config.created)
is '[19] [20] created: now: it is' "$([[ ! $now < $before && ! $now > $(date -u +%FT%TZ) ]] && echo yes)" yes
mtimes() {
	local i
	for i in $(shown '.config.rootfs.diff_ids | keys[]'); do layer "$i" | tar -Ptv --full-time; done |
		awk '{ print $4, $5 }' | sort -u
}
streams 'created and mtime' \
	'{created: "2001-02-03T04:05:06+01:00", mtime: "2002-03-04T05:06:07Z", contents: $links, extraCommands: "touch x"}'
is 'created' "$(shown '[.config.created, .config.history[].created] | unique[]')" 2001-02-03T03:05:06Z
is 'mtime, of all layers' "$(mtimes)" '2002-03-04 05:06:07'
streams 'no mtime' '{contents: $links, extraCommands: "touch x"}'
is 'no mtime: the first second' "$(mtimes)" '1970-01-01 00:00:01'
owners() {
	layer "$1" | /usr/bin/python3 -c 'import sys, tarfile
print(*{(m.uid, m.gid, m.uname, m.gname) for m in tarfile.open(fileobj=sys.stdin.buffer, mode="r|")})'
}
streams '[53] owners' '{contents: $links, uid: 1000, gid: 100, uname: "me ü", gname: "us", extraCommands: "touch x"}'
is '[53] owners of store paths' "$(for i in $(shown '.config.rootfs.diff_ids[:-1] | keys[]'); do owners "$i"; done | sort -u)" \
	"(1000, 100, 'me ü', 'us')"
is '[53] not of the customisation' "$(owners -1)" "(0, 0, 'root', 'root')"
streams 'only a gid' '{contents: $links, gid: 100}'
is 'only a gid: the rest is root' "$(owners 0)" "(0, 100, 'root', 'root')"

# --- extraCommands ---

streams 'extraCommands' '{contents: $bash, extraCommands: ("
	[ -n \"$unset\" ] || mkdir -p a/b tmp; chmod 1777 tmp
	echo \"it\u0027s (here) $((1 + 1)) `echo ok` \\\\\" > \"a/b/c  d\" # (a comment)
	ln -s x l
	rm bin/bashbug
	readlink bin/bash >a/link; umask >a/umask; cat >a/stdin; pwd >a/pwd
	echo " + $hello + " >a/ref
	echo '"$none"' >>a/ref")}'
top >"$T/list"
is '[18] [21] what extraCommands made and took away' "$(grep -v -e ' share' -e nix-support -e ' etc' "$T/list")" "d0755 a
d0755 a/b
-0644 a/b/c  d
-0644 a/link
-0644 a/pwd
-0644 a/ref
-0644 a/stdin
-0644 a/umask
d0755 bin
l0777 bin/bash -> $bash/bin/bash
l0777 bin/clear_console -> $bash/bin/clear_console
l0777 bin/rbash -> bash
l0777 l -> x
d1777 tmp"
is '[18] quotes and parens' "$(layer | tar -xO 'a/b/c  d')" "it's (here) 2 ok \\"
is 'extraCommands see the links, no input, a usual umask' "$(layer | tar -xO a/link a/stdin a/umask)" "$bash/bin/bash"$'\n0022'
like 'extraCommands run in a scratch directory' <(layer | tar -xO a/pwd) "^$T/tmp/"
is '[44] what their output refers to is in the image, if it is there at all' "$(store_paths)" "$(closure "$hello" "$bash")"
spec '{extraCommands: "echo one; echo two >&2"}'
tool "$T/spec.json" >"$T/image" 2>"$T/err"
is 'extraCommands that print' "$(archive check "$T/image" 2>&1):$(sort "$T/err")" $':one\ntwo'
for commands in false 'exit 7' 'ls | false | cat' 'cd nowhere' 'if' 'kill -9 $$'; do
	spec "$(jq -n --arg c "$commands" '{extraCommands: $c}')"
	tool "$T/spec.json" >"$T/out" 2>"$T/err"
	is "extraCommands that fail, $commands: status" "$?" 1
	like "extraCommands that fail, $commands: said so" "$T/err" '^dt-stream-layered-image: extraCommands failed with status [0-9]+$'
	is "extraCommands that fail, $commands: no image, no scratch directory" "$(wc -c <"$T/out"):$(ls -A "$T/tmp")" 0:
done
spec '{extraCommands: "mkdir -m 000 a; mkdir b; touch b/c; chmod 500 b; exit 3"}'
runuser_tool() { chmod 777 "$T/tmp" && chmod 755 "$T" && runuser -u nobody -- env TMPDIR="$T/tmp" DT_CACHE="$T/none" \
	dt-stream-layered-image --store "$small" "$T/spec.json"; }
fails 1 '^dt-stream-layered-image: extraCommands failed with status 3$' 'extraCommands that leave directories nobody may enter' runuser_tool
is 'these go away, too' "$(ls -A "$T/tmp")" ''

# --- includeStorePaths ---

streams '[4] no store paths' '{contents: [$bash, $hello], includeStorePaths: false, config: {Cmd: [$hello + "/bin/hello"]}, extraCommands: "touch x"}'
is '[4] no store paths: none' "$(all_layers | grep -c nix/store/ | tr -d ' '):$(shown '.config.rootfs.diff_ids | length')" \
	"$(top | grep -c ' -> /nix/store/'):1"
is '[4] but links to them' "$(top | grep bin/hello)" "l0777 bin/hello -> $hello/bin/hello"
cp "$T/image" "$T/no-store.tar"

# --- maxLayers ---

layers_of() { shown '.config.rootfs.diff_ids | length'; }
streams '[31] maxLayers 2' '{contents: [$bash, $hello, $odd], maxLayers: 2}'
is '[31] maxLayers 2: two layers' "$(layers_of)" 2
is '[32] nothing is lost' "$(store_paths)" "$(closure "$bash" "$hello" "$(root odd-names)")"
paths=$(store_paths | wc -l)
for max in 3 "$paths" $((paths + 1)) 125; do
	streams "maxLayers $max" "{contents: [\$bash, \$hello, \$odd], maxLayers: $max}"
	is "maxLayers $max: so many of $paths paths and one" "$(layers_of)" "$((max < paths + 1 ? max : paths + 1))"
	is "maxLayers $max: nothing is lost, nothing twice" "$(store_paths)" "$(closure "$bash" "$hello" "$(root odd-names)")"
done
for max in 0 1; do
	refuses 1 "dt-stream-layered-image: maxLayers .*" "maxLayers $max" "{contents: \$links, maxLayers: $max}"
done
for max in 126 128; do
	spec "{contents: \$links, maxLayers: $max}"
	tool "$T/spec.json" >"$T/image" 2>"$T/err"
	is "maxLayers $max is warned of" "$?:$(cat "$T/err")" \
		"0:dt-stream-layered-image: maxLayers is $max, but an image can have only 125 layers; maxLayers is reduced to that"
	is "maxLayers $max: a whole image" "$(archive check "$T/image" 2>&1)" ''
done

# --- fromImage ---

streams 'a base' '{contents: $hello, maxLayers: 2, extraCommands: "echo base >a; echo base >b; echo base >c",
	config: {Env: ["A=base", "B=base"], WorkingDir: "/base"}}'
cp "$T/image" "$T/base 'one'.tar"
streams '[33] a base of two layers, and maxLayers 4' '{fromImage: ($T + "/base \u0027one\u0027.tar"), contents: [$bash, $odd], maxLayers: 4,
	extraCommands: "echo two >b; echo two >d", config: {Env: ["C=two", "B=two"]}}'
is '[33] four layers' "$(layers_of)" 4
is '[28] [29] [30] Env: parent and child, the child wins, each once' "$(shown .config.config.Env)" '["A=base","B=two","C=two"]'
is 'the rest is inherited' "$(shown .config.config.WorkingDir)" /base
cp "$T/image" "$T/two.tar"
zstd -q "$T/two.tar"
streams '[23] [25] layered on layered on layered' '{fromImage: ($T + "/two.tar.zst"), extraCommands: "echo three >c; echo three >e", config: {Env: ["A=three"]}}'
is '[25] all parents are there, in order' "$(shown '.config.rootfs.diff_ids | length'):$(for i in 1 3 4; do layer $i | tar -xO; done | paste -sd ' ')" \
	'5:base base base two two three three'
is '[25] Env of all of them' "$(shown .config.config.Env)" '["A=three","B=two","C=two"]'
cp "$T/image" "$T/three.tar"
(cd "$T" && jq -n '{name: "x", tag: "t", fromImage: "two.tar.zst", extraCommands: "echo three >c; echo three >e", config: {Env: ["A=three"]}}' | tool) >"$T/got"
same 'fromImage by a relative name' "$T/got" "$T/three.tar"
streams '[24] an image' '{contents: $hello}'
shown '.config.rootfs.diff_ids[]' | sort >"$T/ids"
streams '[24] another image' '{contents: [$hello, $bash], maxLayers: 30}'
is '[24] two images share the layers of what both need' "$(shown '.config.rootfs.diff_ids[]' | sort | comm -12 "$T/ids" - | wc -l)" \
	"$(closure "$hello" | wc -l)"
refuses 1 'dt-stream-layered-image: maxLayers is 5, but the base image has 5 layers and the customisation takes 1' \
	'maxLayers is no more than the base has' '{fromImage: ($T + "/three.tar"), contents: $coreutils, maxLayers: 5}'
refuses 1 'dt-stream-layered-image: maxLayers leaves no layer for store paths' \
	'maxLayers leaves no layer' '{fromImage: ($T + "/three.tar"), contents: $coreutils, maxLayers: 6}'
refuses 1 "dt-inspect: $T/none.tar: No such file or directory" 'a base that is not there' '{fromImage: ($T + "/none.tar")}'
head -c 20000 "$T/two.tar" >"$T/cut.tar"
refuses 1 "dt-inspect: $T/cut.tar: .*" 'a base that is cut' '{fromImage: ($T + "/cut.tar")}'

# --- a Docker ---

start_dockerd
load() { docker load -q <"$1"; }
says() { # DESCRIPTION WANTED COMMAND...
	local what=$1 want=$2
	shift 2
	ok "$what: runs" "$@"
	is "$what: says" "$(cat "$T/out")" "$want"
}
ok '[25] docker loads three on top of another' load "$T/three.tar"
says '[22] [23] [25] the child overrides the parent' $'base\ntwo\nthree\ntwo\nthree\n/base' \
	in_docker -v "$small$(root coreutils):$(root coreutils):ro" x:t "$bash/bin/bash" -c 'for i in a b c d e; do echo "$(</$i)"; done; pwd; : >/base/new'
docker image rm -f x:t >/dev/null
ok '[3] docker loads an image without store paths' load "$T/no-store.tar"
says '[6] [7] it runs where the store is mounted' 'Hello, world!' in_docker -v "$small/nix/store:/nix/store:ro" x:t
fails_without_store() { in_docker x:t >/dev/null 2>&1; }
fails_without_store
is '[2] [3] and not where it is not' "$?" 127
docker export "$(docker create x:t)" | tar -t | grep '^nix/store/' >"$T/list"
is '[4] [5] flattened, it has no store paths' "$(cat "$T/list")" ''
docker image rm -f x:t >/dev/null
spec '{name: "HELLO", tag: null, contents: $bash, config: {Cmd: [$hello + "/bin/hello"]}, extraCommands: "mkdir -m 1777 tmp"}'
load_stream() { tool "$T/spec.json" 2>/dev/null | "$@" | docker load -q; }
ok '[8] streamed into docker' load_stream cat
tag=$(sed 's/.*: //' "$T/out")
is '[8] [9] its tag is listed' "$(docker images --format '{{.Repository}}:{{.Tag}}')" "$tag"
is '[8] its time' "$(docker image inspect --format '{{.Created}}' "$tag")" 1970-01-01T00:00:01Z
says '[1] [8] hello' 'Hello, world!' in_docker "$tag"
says '[12] as somebody' ok in_docker -u 1234:1234 "$tag" "$bash/bin/bash" -c "$hello/bin/hello >/dev/null && : >/tmp/x && echo ok"
docker export "$(docker create "$tag")" | tar -tv nix 2>/dev/null | awk '$6 ~ /^nix\/(store\/)?$/ { print $1, $6 }' >"$T/list"
is '[12] the store is open to all' "$(cat "$T/list")" $'drwxr-xr-x nix/\ndrwxr-xr-x nix/store/'
docker image rm -f "$tag" >/dev/null
for compressor in 'gzip -1' 'xz -0'; do
	# shellcheck disable=SC2086 # a list
	ok "[10] compressed by $compressor" load_stream $compressor -c
	is "[10] compressed by $compressor: the same image" "$(cat "$T/out")" "Loaded image: $tag"
done
docker image rm -f "$tag" >/dev/null
spec '{contents: $hello, uid: 1000, gid: 100, config: {Env: ["BASH=" + $bash]}}'
ok '[53] store paths of an owner' load_stream cat
says '[53] are theirs' yes in_docker -u 1000:100 x:t "$bash/bin/bash" -c "[[ -O $hello/bin/hello && -G /nix/store ]] && : >/nix/store/new && echo yes"

# A server and its account, and a directory to serve.
nginx_files "$T/server" 'nobody nobody' 80
mkdir "$T/server/tmp"
printf '%s:x:%d:%d::/:/bin/sh\n' root 0 0 nobody 65534 65534 >"$T/server/etc/passwd"
printf '%s:x:%d:\n' root 0 nobody 65534 nogroup 65533 >"$T/server/etc/group"
spec '{contents: ["'"$T/server"'", $bash, $coreutils], config: {Cmd: ["'"$(root nginx)"'/sbin/nginx", "-c", "/etc/nginx.conf"], Env: ["PATH=/bin"]}}'
ok '[16] a server' load_stream cat
docker run -d --name server --network=none x:t >/dev/null
get() {
	local i
	for ((i = 0; i < 200; i++)); do
		docker exec server bash -c 'exec 3<>/dev/tcp/127.0.0.1/80 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && cat <&3' && return
		sleep 0.1
	done 2>/dev/null
	return 1
}
ok '[16] it answers' get
like '[16] it serves' "$T/out" '^what is served$'
stop_dockerd

# --- bad specs ---

bad_spec() { # REGEX TEXT
	printf '%s' "$2" >"$T/bad.json"
	fails 1 "^dt-stream-layered-image: $T/bad.json: $1\$" "a bad spec: $2" tool "$T/bad.json"
	is "a bad spec: $2: nothing" "$(wc -c <"$T/out"):$(ls -A "$T/tmp")" 0:
}
bad_spec 'empty, a JSON object is expected' ''
bad_spec 'not JSON: .* at line 1, column [0-9]+' '{'
bad_spec 'not JSON: .* at line 1, column [0-9]+' '{"name": "x",}'
bad_spec '2 JSON values, one object is expected' '{"name": "x"} {"name": "y"}'
bad_spec '(the spec is )?not (a|one) JSON object' '[]'
bad_spec '(the spec is )?not (a|one) JSON object' 'null'
bad_spec '(the spec is )?not (a|one) JSON object' '"x"'
bad_spec 'the key name is missing' '{}'
bad_spec 'the key name is missing' '{"name": null, "tag": "x"}'
bad_spec 'unknown key content' '{"name": "x", "content": ["x"]}'
bad_spec 'unknown key Name' '{"name": "x", "Name": "x"}'
for bad in name:1 'name:["x"]' tag:1 'fromImage:{}' 'contents:{}' 'contents:[1]' 'contents:true' 'config:"x"' 'config:[]' \
	architecture:1 created:0 mtime:false 'maxLayers:"2"' maxLayers:2.5 maxLayers:-1 'uid:"0"' gid:0.5 uname:0 gname:[] \
	'extraCommands:["true"]' 'includeStorePaths:"false"' includeStorePaths:0; do
	bad_spec "${bad%%:*} must be .*" "{\"name\": \"x\", \"${bad%%:*}\": ${bad#*:}}"
done
fails 1 "^dt-stream-layered-image: $T/none.json: cannot be read\$" 'a spec that is not there' tool "$T/none.json"
fails 1 '^dt-stream-layered-image: stdin: empty, a JSON object is expected$' 'no spec on stdin' tool
fails 2 '^dt-stream-layered-image: unexpected operand .*' 'two specs' tool "$T/spec.json" "$T/spec.json"
for bad in 'name: "a b"' 'name: ""' 'tag: "a b"' 'tag: ""' 'architecture: "a b"' 'created: "then"'; do
	refuses 2 'dt-manifest: --[a-z]*:? .*' "what dt-manifest does not take, $bad" "{$bad}"
done
refuses 2 'dt-root: --mtime .*' 'what dt-root does not take' '{mtime: "then"}'
spec '{contents: $hello, uid: 99999999999}'
tool "$T/spec.json" >"$T/out" 2>"$T/err"
like 'an owner out of range is refused' "$T/err" '^dt-layer: --owner takes UID:GID'
is 'an owner out of range: no image' "$(ended "$T/out")" no

# --- killed ---

# What is in the image is more than all pipes hold, so with a reader that does not read,
# all stand still.
mkfifo "$T/fifo"
spec '{contents: [$bash, $hello]}'
for victim in dt-layer dt-manifest; do
	setsid dt-stream-layered-image --store "$small" "$T/spec.json" >"$T/fifo" 2>/dev/null &
	pid=$!
	exec 3<"$T/fifo"
	head -c 100000 <&3 >"$T/cut"
	kill -9 "$(pgrep -g "$pid" -x "$victim")"
	cat <&3 >>"$T/cut"
	exec 3<&-
	wait "$pid"
	status=$?
	is "$victim is killed: status" "$([ "$status" -ne 0 ] && echo failed)" failed
	is "$victim is killed: no image, no scratch directory" "$(ended "$T/cut"):$(ls -A "$T/tmp")" no:
done
drafts() { find "$T/dir" -name '.*.dt-draft' | wc -l; }
for signal in TERM INT HUP; do
	spec '{contents: [$bash, $hello]}'
	env --default-signal setsid dt-stream-layered-image --store "$small" "$T/spec.json" >"$T/fifo" 2>/dev/null &
	pid=$!
	exec 3<"$T/fifo"
	head -c 100000 <&3 >"$T/cut"
	kill -"$signal" -- "-$pid"
	cat <&3 >>"$T/cut"
	exec 3<&-
	wait "$pid"
	is "SIG$signal: status" "$?" $((128 + $(kill -l "$signal")))
	is "SIG$signal: no image, no scratch directory" "$(ended "$T/cut"):$(ls -A "$T/tmp")" no:
	spec '{extraCommands: "touch $T/started; sleep 60"}'
	sed -i "s,\\\$T,$T," "$T/spec.json"
	env --default-signal setsid dt-stream-layered-image --store "$small" "$T/spec.json" >"$T/cut" 2>/dev/null &
	pid=$!
	until [ -e "$T/started" ]; do sleep 0.01; done
	rm "$T/started"
	kill -"$signal" -- "-$pid"
	wait "$pid"
	is "SIG$signal in extraCommands: status" "$?" $((128 + $(kill -l "$signal")))
	is "SIG$signal in extraCommands: no image, no scratch directory" "$(wc -c <"$T/cut"):$(ls -A "$T/tmp")" 0:
	mkdir -p "$T/dir"
	echo old >"$T/dir/file"
	env --default-signal setsid dt-stream-layered-image --store "$small" -o "$T/dir/file" "$T/spec.json" 2>/dev/null &
	pid=$!
	until [ -e "$T/started" ]; do sleep 0.01; done
	rm "$T/started"
	is "SIG$signal, -o FILE: a draft is beside it" "$(drafts)" 1
	kill -"$signal" -- "-$pid"
	wait "$pid"
	is "SIG$signal, -o FILE: status" "$?" $((128 + $(kill -l "$signal")))
	is "SIG$signal, -o FILE: the file as it was, no draft" "$(cat "$T/dir/file"):$(ls -A "$T/dir")" old:file
done

# What a killed script left is removed by the next script, and by the next tool; the draft of one that lives is not.
start_draft() {
	setsid dt-stream-layered-image --store "$small" -o "$T/dir/file" "$T/spec.json" 2>/dev/null &
	pid=$!
	until [ -e "$T/started" ]; do sleep 0.01; done
	rm "$T/started"
}
spec '{contents: [$bash, $hello]}'
cp "$T/spec.json" "$T/other.json"
spec '{extraCommands: "touch $T/started; sleep 60"}'
sed -i "s,\\\$T,$T," "$T/spec.json"
for next in script tool; do
	start_draft
	if [ "$next" = script ]; then
		next() { dt-stream-layered-image --store "$small" -o "$T/dir/other" "$T/other.json"; }
	else
		next() { dt-root --tree "$T/dir" -o "$T/dir/other"; }
	fi
	ok "the next $next" next
	is "the next $next: the draft of a script that lives stays" "$(drafts)" 1
	kill -9 -- "-$pid"
	wait "$pid" 2>/dev/null
	is "a killed script leaves a draft" "$(drafts)" 1
	ok "the next $next" next
	is "the next $next removes it" "$(drafts)" 0
done
rm -rf "$T/tmp"/*

# Each filter of a pipeline, by hand; those that write text are killed before they have.
# Sets $statuses and leaves what came out in $T/cut.
kill_filter() { # NUMBER, of 0 to 3
	local pid pids=()
	rm -f "$T"/in.?
	mkfifo "$T"/in.{0,1,2,3}
	dt-closure --store "$small" <"$T/in.0" >"$T/in.1" &
	pids+=($!)
	dt-popularity <"$T/in.1" >"$T/in.2" &
	pids+=($!)
	dt-layer --store "$small" <"$T/in.2" >"$T/in.3" &
	pids+=($!)
	dt-manifest --name x <"$T/in.3" >"$T/fifo" &
	pids+=($!)
	exec 4>"$T/in.0" 3<"$T/fifo"
	: >"$T/cut"
	if [ "$1" -lt 2 ]; then
		kill -9 "${pids[$1]}"
	else
		echo "$bash" >&4
		exec 4>&-
		head -c 100000 <&3 >"$T/cut"
		kill -9 "${pids[$1]}"
	fi
	exec 4>&-
	cat <&3 >>"$T/cut"
	exec 3<&-
	statuses=()
	for pid in "${pids[@]}"; do
		wait "$pid"
		statuses+=($?)
	done
}
for victim in 0 1 2 3; do
	kill_filter "$victim" 2>/dev/null
	is "filter $((victim + 1)) of 4 is killed: no image" "$(ended "$T/cut"):$(grep -ac manifest.json "$T/cut")" no:0
	is "filter $((victim + 1)) of 4 is killed: those behind it fail" "${statuses[*]:victim}" \
		"$(printf '137 1 1 1' | cut -d ' ' -f "1-$((4 - victim))")"
done

finish
