#!/usr/bin/env bash
# dt-load: real engines get only the layers that they lack, and have complete images afterwards.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2094,SC2154,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need jq podman ctr ssh dropbear dropbearkey unshare
unset DOCKER_CONTEXT CONTAINERD_NAMESPACE KIND_CLUSTER_NAME

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
start_dockerd
start_containerd
cd "$T" || exit 1

# --- images ---
# layer NAME: a layer archive of 1 MB that depends on the name.
layer() {
	rm -rf tree
	mkdir -p tree/dir
	yes "$1" | head -c 1000000 >"tree/dir/${1%-*}"
	dt-root --tree tree
}
# image FILE LAYER...: an image archive app:1 of these layers.
image() {
	local file=$1 name
	for name in "${@:2}"; do layer "$name"; done | dt-manifest --name app --tag 1 --config config.json >"$file"
}
echo '{"Cmd": ["/none"], "Env": ["A=b"]}' >config.json
image first a b c d
image top a b c d2
image middle a b2 c d2
image twice a b a-2 b
shown() { dt-inspect "$2" | jq -r "$1"; }
config_of() { shown .config "$1"; }
# layers_of FILE FROM: the sizes of the layers from this number on
layers_of() { dt-inspect "$1" | jq "[.blobs[$2:][].size] | add // 0"; }

# The engines' programs, which count what they get, and run hooks. `docker load` runs before.load first, and so on.
mkdir bin
for program in docker podman ctr; do
	cat >"bin/$program" <<-END
		#!/usr/bin/env bash
		case " \$* " in
		*' load '* | *' import '*)
			if [ -e '$T/hook' ]; then . '$T/hook' >/dev/null 2>&1; rm -f '$T/hook'; fi
			tee '$T/got' | /usr/bin/$program "\$@"
			exit "\${PIPESTATUS[1]}" ;;
		*) exec /usr/bin/$program "\$@" ;;
		esac
	END
	chmod +x "bin/$program"
done
mkdir real
podman_in real
sed -i "s|/usr/bin/podman|$T/real/podman|" bin/podman
PATH=$T/bin:$PATH
hook() { cat >hook; }
# sent DESCRIPTION BYTES: tests the output of dt-load, and that the engine has read little else.
sent() {
	is "$1: says what was sent" "$(grep '^sent' out)" "sent $2"
	local got=0
	[ ! -e got ] || got=$(stat -c %s got)
	is "$1: the engine has read that and the documents" "$((got < $2 + 20000))" 1
	rm -f got
}

# --- each engine: nothing new, the top layer, a layer in the middle ---
docker_id() { docker image inspect --format '{{.Id}}' app:1; }
podman_id() { echo "sha256:$(podman image inspect --format '{{.Id}}' app:1)"; }
containerd_id() {
	local manifest
	manifest=$(ctr images ls name==docker.io/library/app:1 | awk 'NR > 1 { print $3 }')
	ctr content get "$manifest" | jq -r .config.digest
}
docker_files() { docker create --name made app:1 /none >/dev/null && docker export made && docker rm made >/dev/null; }
podman_files() { podman create --name made app:1 /none >/dev/null && podman export made && podman rm made >/dev/null; }
containerd_files() {
	mkdir -p mounted
	ctr images mount docker.io/library/app:1 mounted >/dev/null && tar -cC mounted . && ctr images unmount --rm mounted >/dev/null
}
# sums <TAR: the digests of the files in it
sums() { rm -rf unpacked && mkdir unpacked && tar -xC unpacked && (cd unpacked && sha256sum dir/*); }

for engine in docker podman containerd; do
	try() { on "$1" dt-load --engine "$engine"; }
	ok "$engine: an image" try first
	name=app:1
	[ "$engine" != podman ] || name=docker.io/library/app:1
	is "$engine: its name and digest are said" "$(head -n 2 out)" "image $name
config $(config_of first)"
	sent "$engine: an image" "$(layers_of first 0)"
	is "$engine: it is there" "$("${engine}_id")" "$(config_of first)"
	ok "$engine: the same again" try first
	sent "$engine: the same again" 0
	ok "$engine: another top layer" try top
	sent "$engine: another top layer" "$(layers_of top 3)"
	is "$engine: another top layer: it is there" "$("${engine}_id")" "$(config_of top)"
	is "$engine: its files are those of the image" "$("${engine}_files" | sums)" "$(dt-flatten <top | sums)"
	ok "$engine: another layer in the middle" try middle
	if [ "$engine" = docker ]; then
		sent "$engine: another layer in the middle" "$(layers_of middle 1)"
	else
		sent "$engine: another layer in the middle" "$(dt-inspect middle | jq '.blobs[1].size')"
	fi
	is "$engine: another layer in the middle: it is there" "$("${engine}_id")" "$(config_of middle)"
	is "$engine: all files" "$("${engine}_files" | sums)" "$(dt-flatten <middle | sums)"
	ok "$engine: a layer occurs twice" try twice
	is "$engine: a layer occurs twice: it is there" "$("${engine}_id")" "$(config_of twice)"
	gzip -1 <first >first.gz
	ok "$engine: a compressed archive" dt-load --engine "$engine" first.gz
	is "$engine: a compressed archive: it is there" "$("${engine}_id")" "$(config_of first)"
	dt-merge --only /dev/null top >thin
	ok "$engine: a thin archive of known layers" try top
	ok "$engine: again" try thin
	rm -f got

	# Who has lost a layer is sent all.
	ok "$engine: the image before" try first
	case $engine in
	docker) hook <<<'/usr/bin/docker image ls -q | xargs /usr/bin/docker image rm -f' ;;
	podman) hook <<<"$T/real/podman image rm -af" ;;
	containerd) hook <<<"/usr/bin/ctr images rm --sync docker.io/library/app:1; /usr/bin/ctr content rm $(shown '.layers[1]' first)" ;;
	esac
	ok "$engine: an engine that loses its layers in between" try top
	is "$engine: it is there" "$("${engine}_id")" "$(config_of top)"
	sent "$engine: everything was sent" "$(layers_of top 0)"
done

# --- several images, none, no name ---
image other a b e
dt-merge --name other --tag 1 other >other.tar && dt-merge first other.tar >both
for engine in docker podman containerd; do
	ok "$engine: two images" on both dt-load --engine "$engine"
	is "$engine: two images: both are said" "$(grep image out)" "image app:1
image other:1"
	is "$engine: two images: the first" "$("${engine}_id")" "$(config_of first)"
	ok "$engine: two images again" on both dt-load --engine "$engine"
	is "$engine: two images again: nothing is sent" "$(grep '^sent' out)" 'sent 0'
	rm -f got
done
podman image rm -af >/dev/null 2>&1
dt-merge --name app --tag two first >two
dt-merge first two >names
for engine in docker podman containerd; do
	ok "$engine: one image, two names" on names dt-load --engine "$engine"
	is "$engine: one image, two names: both are said" "$(grep image out)" $'image app:1\nimage app:two'
	ok "$engine: one image, two names, again" on names dt-load --engine "$engine"
	is "$engine: one image, two names, again: nothing is sent" "$(grep '^sent' out)" 'sent 0'
	rm -f got
done
podman image rm -af >/dev/null 2>&1
docker image rm other:1 >/dev/null
ok 'Docker lacks one of the two' on both dt-load --engine docker
sent 'Docker lacks one of the two' "$(layers_of other 2)"
is 'it is there' "$(docker image inspect --format '{{.Id}}' other:1)" "$(config_of other.tar)"

# Another tag: images of the same name are asked first; all if there are none.
docker image ls -q | xargs docker image rm -f >/dev/null 2>&1
on first dt-load --engine docker >/dev/null
rm -f got
dt-merge --name app --tag 2 top >second
ok 'another tag' dt-load --engine docker second
sent 'another tag' "$(layers_of top 3)"
dt-merge --name new --tag 1 middle >new
ok 'another name' dt-load --engine docker new
sent 'another name' "$(layers_of middle 1)"
dt-merge --name app --tag 1 top >again
ok 'the same tag' dt-load --engine docker again
sent 'the same tag' "$(layers_of top 3)"
image base z
on base dt-load --engine docker >/dev/null
rm -f got
ok 'the image of the tag is another' dt-load --engine docker again
sent 'the image of the tag is another' "$(layers_of top 0)"
on base dt-load --engine docker >/dev/null
rm -f got
ok 'all images are asked' dt-load --engine docker --all-images again
sent 'all images are asked' 0

# --- specifications and prepared directories ---
hello=$(root hello)
spec() { jq -n --arg hello "$hello" --arg text "$1" '{name: "app", tag: "1", contents: $hello, extraCommands: "echo \($text) >text"}' >"$2"; }
spec one one.json
spec two two.json
for engine in docker podman containerd; do
	from_spec() { dt-load --engine "$engine" --store "$small" "$1"; }
	ok "$engine: a specification" from_spec one.json
	dt-stream-layered-image --store "$small" two.json >two.tar
	rm -f got
	ok "$engine: a specification, changed at the top" from_spec two.json
	sent "$engine: a specification, changed at the top" "$(dt-inspect two.tar | jq '.blobs[-1].size')"
	is "$engine: it is there" "$("${engine}_id")" "$(config_of two.tar)"
	is "$engine: it is complete" "$("${engine}_files" | tar -xO --wildcards '*text' | sort)" two
done
rm -rf prepared
dt-stream-layered-image --store "$small" --prepare prepared two.json
from_prepared() {
	ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 DT_CACHE=$T/no-cache strace -f -e trace=open,openat -o trace \
		dt-load --engine docker --store "$small" prepared
}
on base dt-load --engine docker >/dev/null
docker image ls -q | xargs docker image rm -f >/dev/null 2>&1
from_spec() { dt-load --engine docker --store "$small" "$1"; }
from_spec one.json >/dev/null
rm -f got
ok 'a prepared directory' from_prepared
sent 'a prepared directory' "$(dt-inspect two.tar | jq '.blobs[-1].size')"
is 'no file of the store is opened' "$(grep -c "$small/nix/store/.*/" trace)" 0
ok 'a prepared directory, again' from_prepared
sent 'a prepared directory, again' 0

# --- an index of several platforms ---
layer there-x | dt-manifest --name app --tag 1 --arch riscv64 >there
dt-merge --index top there >index.tar
for engine in docker podman containerd; do
	on base dt-load --engine "$engine" >/dev/null
	ok "$engine: an index" on index.tar dt-load --engine "$engine"
	is "$engine: the image for this machine is there" "$("${engine}_id")" "$(config_of top)"
done

# --- what Docker says of an image, in an answer of several kilobytes ---
for ((i = 0; i < 40; i++)); do layer "$i-many"; done | dt-manifest --name many --tag 1 >many
on many dt-load --engine docker >/dev/null
rm -f got
has_all() {
	bash -c 'self=x host=; . "$1/scripts/lib/script.bash"; load engine; work=$2; docker_has_all "$3"' - "$top" "$T" "$1"
}
ok 'Docker has all of an image' has_all many:1
is 'an image that Docker does not have is not complete' "$(has_all none:1 2>&1; echo $?)" 1

# --- other forms of input ---
fifo() { dt-load --engine docker <(cat top); }
ok 'a FIFO' fifo
fails 1 '^dt-load: standard input is closed' 'standard input is closed' bash -c 'dt-load --engine docker <&-'
head -c 300000 top >truncated
piped() { head -c 300000 top | dt-load --engine docker; }
fails 1 'dt-inspect: stdin: ' 'a truncated archive from a pipe' piped
layer foreign-x | dt-manifest --name foreign --tag 1 --arch riscv64 >foreign
for engine in docker podman containerd; do
	ok "$engine: an image for another machine" dt-load --engine "$engine" foreign
done
rm -f got

# --- a signal ---
on base dt-load --engine containerd >/dev/null
hook <<<'sleep 30 & echo $! >sleep; mv sleep importing; wait $!'
dt-load --engine containerd <middle >out 2>err & # itself, not a function, so that it gets the signal
load=$!
for ((i = 0; i < 300; i++)); do [ ! -e importing ] || break; sleep 0.1; done
kill -TERM "$load"
kill "$(cat importing)"
wait "$load"
is 'SIGTERM ends it' $? 143
is 'SIGTERM: the name refers to the image that it had' "$(containerd_id)" "$(config_of base)"
is 'SIGTERM: no temporary name is left' "$(ctr images ls -q | grep -c invalid)" 0

# --- a full disk ---
mkdir small
mount -t tmpfs -o size=1M tmpfs small && at_exit "umount '$T/small'"
full() { dt-merge top | TMPDIR=$T/small dt-load --engine docker; }
fails 1 'No space left' 'standard input has no space in TMPDIR' full
is 'nothing is left in TMPDIR' "$(ls small)" ''

# --- on another host, by ssh ---
mkdir -p home/.ssh
dropbearkey -t ed25519 -f host.key >/dev/null 2>&1
ssh-keygen -q -t ed25519 -N '' -f user.key
cat >session <<END
#!/bin/sh
export PATH='$T/bin:/usr/bin:/bin' DOCKER_HOST='$DOCKER_HOST' CONTAINERD_ADDRESS='$CONTAINERD_ADDRESS'
exec sh -c "\$SSH_ORIGINAL_COMMAND"
END
chmod +x session
printf 'command="%s" %s\n' "$T/session" "$(cat user.key.pub)" >home/.ssh/authorized_keys
chmod -R go= home
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
user=$(id -un)
user_home=$(getent passwd "$user" | cut -d : -f 6)
unshare -m sh -c 'mount --bind "$1" "$2" && exec dropbear -EF -p "127.0.0.1:$3" -r "$4" -P "$5"' - "$T/home" "$user_home" "$port" "$T/host.key" "$T/ssh.pid" >ssh.log 2>&1 &
at_exit "kill $! 2>/dev/null"
printf '%s\n' 'Host far' ' HostName 127.0.0.1' " Port $port" " User $user" " IdentityFile $T/user.key" ' StrictHostKeyChecking no' \
	" UserKnownHostsFile $T/known" ' LogLevel ERROR' >ssh.config
printf '#!/bin/sh\nexec /usr/bin/ssh -F "%s" "$@"\n' "$T/ssh.config" >bin/ssh
chmod +x bin/ssh
for ((i = 0; i < 100; i++)); do ! ssh far true 2>/dev/null || break; sleep 0.1; done
far() { DOCKER_HOST=unix:///nonexistent CONTAINERD_ADDRESS=/nonexistent dt-load --host far "$@"; }
for engine in docker containerd; do
	on base dt-load --engine "$engine" >/dev/null
	on first dt-load --engine "$engine" >/dev/null
	rm -f got
	ok "$engine by ssh" far --engine "$engine" top
	sent "$engine by ssh" "$(layers_of top 3)"
	is "$engine by ssh: it is there" "$("${engine}_id")" "$(config_of top)"
	ok "$engine by ssh, again" far --engine "$engine" top
	sent "$engine by ssh, again" 0
	piped() { dt-merge middle | far --engine "$engine"; }
	ok "$engine by ssh, from a pipe" piped
	is "$engine by ssh, from a pipe: it is there" "$("${engine}_id")" "$(config_of middle)"
	rm -f got
done
ok 'the engine of the host is found' far top
fails 1 'nowhere' 'a host that does not exist' dt-load --host nowhere.invalid top
is 'no connection remains' "$(pgrep -fc "ssh.*$T/tmp" || true)" 0

# --- kind: a container with a containerd, as its nodes are ---
mkdir -p node/usr/bin node/lib node/lib64 node/run node/tmp node/etc
cp /usr/bin/containerd /usr/bin/ctr node/usr/bin
cp -L /lib64/ld-linux-*.so.* node/lib64
cp -L "$(ldd /usr/bin/ctr | awk '$1 == "libc.so.6" { print $3 }')" node/lib
echo '{"Cmd": ["/usr/bin/containerd"], "Volumes": {"/var/lib/containerd": {}}}' >node.json
dt-root --tree node | dt-manifest --name node --tag 1 --config node.json | docker load -q >/dev/null
for i in 1 2; do
	in_docker -d --cap-add SYS_ADMIN --security-opt seccomp=unconfined --label io.x-k8s.kind.cluster=many --name "many-$i" node:1 >/dev/null
	answers docker exec "many-$i" ctr version >/dev/null
done
rm -f got
into_kind() { dt-load --engine kind --cluster many "$@"; }
ok 'kind: an image' into_kind first
is 'kind: each node gets it' "$(grep '^sent' out)" "sent $((2 * $(layers_of first 0)))"
ok 'kind: another top layer' into_kind top
is 'kind: each node gets that' "$(grep '^sent' out)" "sent $((2 * $(layers_of top 3)))"
ok 'kind: again' into_kind top
is 'kind: nothing is sent' "$(grep '^sent' out)" 'sent 0'
for i in 1 2; do
	is "kind: node $i has it completely" "$(docker exec "many-$i" ctr -n k8s.io images check -q name==docker.io/library/app:1)" docker.io/library/app:1
done
docker rm -fv many-1 many-2 >/dev/null

# --- errors ---
fails 2 "'rkt' is not docker" 'an unknown engine' dt-load --engine rkt top
fails 2 'namespace' 'Docker has no namespaces' dt-load --engine docker --namespace x top
fails 2 'cluster' 'only kind has clusters' dt-load --engine docker --cluster x top
fails 2 'unexpected' 'two images' dt-load top first
fails 2 'host' 'a host that looks like an option' dt-load --host -oProxyCommand=x top
fails 1 'gone' 'no such file' dt-load --engine docker gone
head -c 300000 top >truncated
fails 1 'truncated' 'a truncated archive' on truncated dt-load --engine docker
echo text >text
fails 1 'text' 'not an archive' dt-load --engine docker text
stopped() { DOCKER_HOST=unix://$T/nothing dt-load --engine docker top; }
fails 1 'Is the docker daemon running' 'no daemon' stopped
fails 1 "no cluster 'none'" 'no such cluster' dt-load --engine kind --cluster none top
on base dt-load --engine docker >/dev/null
dt-merge --only /dev/null other >thin
docker image ls -q | xargs docker image rm -f >/dev/null 2>&1
on base dt-load --engine docker >/dev/null
fails 1 'layer sha256:[0-9a-f]* is not in the archive, and docker does not have it' 'a thin archive of unknown layers' dt-load --engine docker thin
is 'the tag is what it was' "$(docker_id)" "$(config_of base)"

finish
