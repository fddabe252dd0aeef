#!/usr/bin/env bash
# dt-build-layered-image, and fakeRootCommands, enableFakechroot, includeNixDB and
# layeringPipeline of dt-stream-layered-image, for root and for a user. The numbers are those of the
# assertions of nixpkgs' own tests.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2001,SC2012,SC2016,SC2119,SC2120,SC2154,SC2317 # jq and what is passed on expand these
. "$(dirname "$0")/lib.sh"
. "$t_dir/images.sh"
need jq bwrap fakeroot setcap setpriv nix-store python3 zstd

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
hello=$(root hello) links=$(root hard-links) self=$(root self-reference) odd=$(root odd-names) file=$(root plain-file)
mkdir -m 1777 "$T/tmp"
chmod 755 "$T"
export TMPDIR=$T/tmp
tool() { dt-build-layered-image --store "$small" "$@"; }

# What is run as root runs as a user, too.
user=(env "HOME=$T/tmp" "DT_CACHE=$T/tmp/.cache-of-user" setpriv --reuid=30001 --regid=30001 --clear-groups)
as_user() { "${user[@]}" dt-build-layered-image --store "$small" "$@"; }

# spec JQ-OBJECT: $T/spec.json of a name, a tag, and that. In it, $hello and the like are store paths.
spec() {
	jq -n --arg hello "$hello" --arg links "$links" --arg self "$self" --arg odd "$odd" --arg T "$T" --arg commands "${commands-}" --arg file "$file" \
		'{name: "x", tag: "t", compressor: "none"} + '"$1" >"$T/spec.json"
}
# builds DESCRIPTION JQ-OBJECT [TOOL]: $T/image is an image of that; $T/shown has its documents,
# $T/list what is in its top layer.
builds() {
	local status=0
	spec "$2"
	rm -f "$T/shown"
	"${3:-tool}" "$T/spec.json" >"$T/image" 2>"$T/err" || status=$?
	archive show "$T/image" >"$T/shown" 2>"$T/not-whole"
	is "$1: a whole image, nothing said" "$status:$(cat "$T/err" "$T/not-whole")" 0:
	is "$1: no scratch directory is left" "$(left)" ''
	layer >"$T/layer"
	python3 "$T/list.py" "$T/layer" >"$T/list"
}
cat >"$T/list.py" <<'PY'
import sys, tarfile
for m in tarfile.open(sys.argv[1]):
    more = [f"{m.devmajor},{m.devminor}"] if m.ischr() or m.isblk() else ["-> " + m.linkname] if m.issym() else []
    more += [key[13:] for key in sorted(m.pax_headers) if key.startswith("SCHILY.xattr")]
    print(m.name, m.type.decode(), f"{m.uid}:{m.gid} {m.mode:o}", *more)
PY
# refuses STATUS REGEX DESCRIPTION JQ-OBJECT [TOOL]: the last line matches
refuses() {
	local status=0
	spec "$4"
	"${5:-tool}" "$T/spec.json" >"$T/out" 2>"$T/err" || status=$?
	is "$3: status" "$status" "$1"
	like "$3: says so" <(tail -n 1 "$T/err") "^dt-build-layered-image: $2\$"
	is "$3: no image, no scratch directory" "$(wc -c <"$T/out"):$(left)" 0:
}

# --- compressed ---

spec '{contents: [$links, $self]}'
jq 'del(.compressor)' "$T/spec.json" >"$T/gz.json"
jq 'del(.compressor)' "$T/spec.json" | dt-stream-layered-image --store "$small" >"$T/streamed"
ok '[10] none' tool "$T/spec.json"
same '[10] none: what dt-stream-layered-image writes' "$T/out" "$T/streamed"
tool "$T/gz.json" >"$T/out"
is 'gz is the default' "$(od -An -tx1 -N2 "$T/out")" ' 1f 8b'
gzip -dc "$T/out" >"$T/uncompressed"
same '[10] gz: the same' "$T/uncompressed" "$T/streamed"
jq '.compressor = "zstd"' "$T/spec.json" | tool >"$T/out"
zstd -dqc "$T/out" >"$T/uncompressed"
same '[10] zstd: the same' "$T/uncompressed" "$T/streamed"
refuses 1 "compressor must be none, gz or zstd, not 'xz'" 'another compressor' '{compressor: "xz"}'
fails 1 '^dt-compress: .*No space left on device$' 'no room on stdout' full tool "$T/gz.json"
is 'no room on stdout: no scratch directory' "$(left)" ''
ok '--print-build-args' dt-build-layered-image --print-build-args "$T/gz.json"
is '--print-build-args: all keys, with the defaults' "$(jq -cS 'del(.contents)' "$T/out")" \
	'{"annotations":{},"architecture":null,"compressor":"gz","config":{},"created":"1970-01-01T00:00:01Z","debug":false,"enableFakechroot":false,"extraCommands":"","fakeRootCommands":"","fromImage":null,"gid":0,"gname":"root","includeNixDB":false,"includeStorePaths":true,"inheritConfig":true,"layeringPipeline":null,"maxLayers":100,"meta":{},"mtime":"1970-01-01T00:00:01Z","name":"x","passthru":{},"tag":"t","uid":0,"uname":"root"}'
ok '--print-build-args of dt-stream-layered-image' dt-stream-layered-image --print-build-args "$T/gz.json"
is '--print-build-args of dt-stream-layered-image: no compressor' "$(jq -c 'has("compressor")' "$T/out")" false

# --- fakeRootCommands ---

commands='[ "$(id -u)" = 0 ]; mkdir data; chown 1000:7 data; echo x >data/file; chown 12345:12345 data/file; chmod 4755 data/file
	mknod null c 1 3; mknod -m 640 disk b 8 1; mkfifo pipe; ln -s nowhere link; chown -h 5:6 link
	cp one able; chown 0:0 able; setcap cap_net_raw+ep able; echo '"$odd"' >ref; mkdir -m 0 closed
	chmod 755 sub/dir; rm a/two; mv b c'
made="a 5 0:0 755
a/one 2 0:0 777 -> $links/a/one
able 0 0:0 644 security.capability
c 5 0:0 755
c/three 2 0:0 777 -> $links/b/three
closed 5 0:0 0
data 5 1000:7 755
data/file 0 12345:12345 4755
disk 4 0:0 640 8,1
link 2 5:6 777 -> nowhere
null 3 0:0 644 1,3
one 0 0:0 644
pipe 6 0:0 644
ref 0 0:0 644
sub 5 0:0 700
sub/dir 5 0:0 755"
for kind in tool as_user; do
	for chroot in false true; do
		builds "[40] [52] $kind, enableFakechroot $chroot" '{contents: $links, extraCommands: "echo 1 >one; mkdir -m 700 sub sub/dir",
			fakeRootCommands: $commands, uid: 1000, gid: 100, enableFakechroot: '"$chroot"'}' "$kind"
		is "[40] [52] $kind, enableFakechroot $chroot: owners, modes, devices, capabilities" "$(cat "$T/list")" "$made"
		is "[44] $kind, enableFakechroot $chroot: what the result refers to is in the image" "$(store_paths)" "$(closure "$links" "$odd")"
		cp "$T/image" "$T/$kind.$chroot.tar"
	done
done
layer 0 >"$T/layer"
is '[53] store paths are owned as uid and gid say' "$(python3 -c '
import sys, tarfile
print(*sorted({f"{m.uid}:{m.gid}" for m in tarfile.open(sys.argv[1])}))' "$T/layer")" 1000:100
for image in tool.true as_user.false as_user.true; do
	same "$image: the image that root makes" "$T/$image.tar" "$T/tool.false.tar"
done
ok 'flattened' dt-flatten "$T/as_user.true.tar"
is '[40] owners survive flattening' "$(python3 "$T/list.py" "$T/out" | grep data)" $'data 5 1000:7 755\ndata/file 0 12345:12345 4755'

commands='[ "$PWD" != / ]; [ -e /usr ]; touch f'
builds '[40] without enableFakechroot / is that of the machine' '{fakeRootCommands: $commands}' as_user
is '[40] and the commands run in the tree' "$(cat "$T/list")" 'f 0 0:0 644'
commands='[ "$PWD" = / ]; [ ! -e /usr ]; mkdir -p /bin /etc; echo "absolute" >/etc/file; ln -s '"$hello"'/bin/hello /bin/hi
	/bin/hi >/said; [ "$(ls -A /)" != "" ]; chown 8:9 /etc/file'
builds '[47] absolute names mean the image' '{fakeRootCommands: $commands, enableFakechroot: true}' as_user
is '[47] absolute names mean the image: what is there' "$(cat "$T/list")" "bin 5 0:0 755
bin/hi 2 0:0 777 -> $hello/bin/hello
etc 5 0:0 755
etc/file 0 8:9 644
said 0 0:0 644"
is '[47] the store is seen there' "$(layer | tar -xO said)" 'Hello, world!'
is '[44] and is in the image' "$(store_paths)" "$(closure "$hello")"
commands='mkdir /tmp; chmod 1777 /tmp'
builds 'no store paths' '{fakeRootCommands: $commands, enableFakechroot: true, includeStorePaths: false, config: {Cmd: [$hello]}}'
is '[4] includeStorePaths false: none in the image, with enableFakechroot too' "$(cat "$T/list"):$(shown '.config.rootfs.diff_ids | length')" 'tmp 5 0:0 1777:1'
is '[4] flattened neither' "$(dt-flatten "$T/image" | tar -t)" tmp/

# --- commands that fail ---

for kind in tool as_user; do
	for commands in 'exit 7' 'mkdir d; touch d/e; chmod 0 d; false' 'kill -KILL $$'; do
		refuses 1 'fakeRootCommands failed with status [0-9]+' "$kind, $commands" '{fakeRootCommands: $commands}' "$kind"
	done
	commands='mkdir d; touch d/e; chmod 0 d'
	builds "$kind, a closed directory" '{fakeRootCommands: $commands}' "$kind"
	is "$kind, a closed directory: root may look into it" "$(cat "$T/list")" $'d 5 0:0 0\nd/e 0 0:0 644'
	refuses 1 'extraCommands failed with status 3' "$kind, extraCommands" '{extraCommands: "mkdir -m 0 d; exit 3", fakeRootCommands: "true"}' "$kind"
done
refuses 1 'fakeRootCommands failed with status 2' 'enableFakechroot, exit 2' '{fakeRootCommands: "touch /x; exit 2", enableFakechroot: true}'
small_disk() {
	unshare -m bash -euc 'mount -t tmpfs -o size=40m,mode=1777 none "$TMPDIR"; status=0
		"$@" || status=$?; ls -A --ignore=.cache-of-user "$TMPDIR" >&2; exit "$status"' - "${user[@]}" dt-build-layered-image --store "$small" "$1"
}
for chroot in false true; do
	commands='head -c 100000000 /dev/zero >file'
	refuses 1 'fakeRootCommands failed with status 1' "a full disk, enableFakechroot $chroot" '{fakeRootCommands: $commands, enableFakechroot: '"$chroot"'}' small_disk
done
# --- a base with /bin -> usr/bin ---

builds 'a base' '{extraCommands: "mkdir -p usr/bin; mkdir -m 1777 tmp; echo base >usr/bin/sh; ln -s usr/bin bin"}'
cp "$T/image" "$T/it's a base.tar"
spec '{fromImage: ($T + "/it\u0027s a base.tar"), contents: $hello, config: {Cmd: ["/bin/hello"]}}'
tool "$T/spec.json" >"$T/image" 2>"$T/err"
is 'UsrMerge: status, warning' "$?:$(cat "$T/err")" "0:dt-root: /bin is a symlink in $T/it's a base.tar; what $hello has there goes to /usr/bin"
dt-flatten "$T/image" | tar -tv | awk '$6 ~ /^(bin|usr\/bin\/.|tmp)/ { print $1, $6, $7, $8 }' >"$T/list"
is 'UsrMerge: /bin stays, and the file is where it leads' "$(sed 's/ *$//' "$T/list")" "lrwxrwxrwx bin -> usr/bin
drwxrwxrwt tmp/
lrwxrwxrwx usr/bin/hello -> $hello/bin/hello
-rw-r--r-- usr/bin/sh"
refuses 1 'maxLayers leaves no layer for store paths' 'maxLayers, a base and a database' \
	'{fromImage: ($T + "/it\u0027s a base.tar"), contents: $hello, maxLayers: 3, includeNixDB: true}'

# --- layeringPipeline ---

builds 'layeringPipeline' '{contents: [$hello, $links, $self], maxLayers: 1,
	layeringPipeline: [["subcomponent_out", [$links]], ["over", "rest", ["pipe", [["popularity_contest"], ["limit_layers", 3]]]]]}'
dt-closure --store "$small" "$hello" "$links" "$self" >"$T/graph"
jq .layeringPipeline "$T/spec.json" >"$T/pipeline.json"
dt-popularity --pipeline "$T/pipeline.json" <"$T/graph" >"$T/plan"
is 'layeringPipeline: the layers that it makes, whatever maxLayers is' \
	"$(shown '.config.history[:-1][].comment' | sed "s/store paths: \\[//; s/[],']//g")" "$(cat "$T/plan")"
is 'layeringPipeline: as many as wanted' "$(wc -l <"$T/plan")" 4
for bad in layeringPipeline:{} fakeRootCommands:[] enableFakechroot:1 'includeNixDB:"x"' compressor:false; do
	refuses 1 "$T/spec.json: ${bad%%:*} must be .*" "a bad spec: $bad" "{\"${bad%%:*}\": ${bad#*:}}"
done
spec '{contents: $hello, layeringPipeline: [["no such thing"]]}'
tool "$T/spec.json" >"$T/out" 2>"$T/err"
is 'a pipeline that is none: status, no image, no scratch directory' "$?:$(wc -c <"$T/out"):$(left)" 1:0:
like 'a pipeline that is none: says so' "$T/err" '^dt-popularity: .*no such thing'

# --- includeNixDB ---

builds '[11] a database' '{contents: [$hello, $links], includeNixDB: true, config: {Env: ["PATH=" + $self + "/bin:" + $file + ":/bin"]}}' 2>/dev/null
dt-flatten "$T/image" >"$T/flat"
mkdir "$T/rootfs"
tar -xf "$T/flat" -C "$T/rootfs"
ok '[11] nix-store -qR' in_image nix-store -qR "$hello" "$self"
is '[11] nix-store -qR: the closure' "$(sort "$T/out")" "$(closure "$hello" "$self")"
is '[11] the database knows what is there, and no more' "$(in_image nix-store -q --requisites "$hello" "$links" "$self" "$file" 2>/dev/null | sort)" \
	"$(cd "$T/rootfs" && printf '/%s\n' nix/store/*)"
# Nix counts the processes of other tests, too, if they run files of equal store paths.
is '[11] the garbage collector keeps all that the spec names, two in one string too' \
	"$(in_image nix-store --gc --print-roots 2>/dev/null | sed -n 's,^/nix/var/.* -> ,,p' | sort -u)" "$(printf '%s\n' "$hello" "$links" "$self" "$file" | sort)"
is '[11] derivers are those of the store' "$(in_image nix-store -q --deriver "$hello")" "$("$t_dir/with-nix" "$small" nix-store -q --deriver "$hello")"
ok '[35] nix-store --verify --check-contents' in_image nix-store --verify --check-contents
is '[35] nix-store --verify: nothing is wrong' "$(grep -ciE 'modified|error|disappeared|not valid' "$T/err")" 0
is 'it is a layer of its own, below the customisation' "$(shown '.config.history[-2:][].comment')" $'Nix database\ncustomisation layer'

finish
