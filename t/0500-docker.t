#!/usr/bin/env bash
# Images of a real store are streamed into a real Docker, and their programs run.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need /usr/bin/python3 jq ctr

small=${DT_TEST_SMALL:-/var/tmp/dt-small} medium=${DT_TEST_MEDIUM:-/var/tmp/dt-medium}
ok 'a real store' "$t_dir/realstore" small "$small"
ok 'a larger one' "$t_dir/realstore" medium "$medium"
hello=$(root hello) bash=$(root bash) coreutils=$(root coreutils)
start_dockerd

# layers PATH...: a layer archive of their closure.
layers() { dt-closure --store "$small" "$@" | dt-popularity --max-layers 98 | dt-layer --store "$small"; }
links() { dt-root --store "$small" --tree "$T/root" "${@/#/--links=}"; }
loaded() { # DESCRIPTION IMAGE: `docker load` was run by `ok`
	is "$1: the name that Docker tells" "$(cat "$T/out")" "Loaded image: $2"
}
inspect() { docker image inspect --format '{{json .}}' "$1" | jq -c "$2"; }

# What all images have at their root, but for store paths.
mkdir -p "$T/root"/{bin,etc,run,tmp,data}
chmod 1777 "$T/root/tmp" "$T/root/data"
ln -s "$bash/bin/bash" "$T/root/bin/sh"
printf '%s:x:%d:%d::/:/bin/sh\n' root 0 0 www-data 33 33 user 1000 1000 >"$T/root/etc/passwd"
printf '%s:x:%d:\n' root 0 www-data 33 user 1000 >"$T/root/etc/group"

# --- hello ---

jq -n --arg hello "$hello" '{Cmd: [$hello + "/bin/hello"], Env: ["GREETING=hi"], Labels: {a: "b"}, WorkingDir: "/nix",
	ExposedPorts: {"80/tcp": {}}, Volumes: {"/data": {}}, User: "1000:1000", StopSignal: "SIGINT"}' >"$T/config.json"
layers "$hello" | dt-manifest --name hello --tag 1 --config "$T/config.json" --created @86400 >"$T/hello.tar"
archive show "$T/hello.tar" >"$T/shown"
ok 'docker loads hello' on "$T/hello.tar" docker load -q
loaded hello hello:1
says hello 'Hello, world!' in_docker hello:1
is 'the image ID is the digest of the configuration' "$(inspect hello:1 .Id)" "$(jq -c .id "$T/shown")"
is 'the layers are those of the image' "$(inspect hello:1 .RootFS.Layers)" "$(jq -c .config.rootfs.diff_ids "$T/shown")"
is 'the configuration is what was given' \
	"$(inspect hello:1 '.Config | {Cmd, Env, Labels, WorkingDir, ExposedPorts, Volumes, User, StopSignal}')" \
	"$(jq -c '{Cmd, Env, Labels, WorkingDir, ExposedPorts, Volumes, User, StopSignal}' "$T/config.json")"
is 'time, platform, tags' "$(inspect hello:1 '[.Created, .Os, .Architecture, .RepoTags]')" \
	"[\"1970-01-02T00:00:00Z\",\"linux\",\"$(dpkg --print-architecture)\",[\"hello:1\"]]"
is 'docker history tells what is in each layer' "$(docker history --no-trunc --format '{{.Comment}}' hello:1 | tac)" \
	"$(jq -r '.config.history[].comment' "$T/shown")"
like 'one of them hello' <(docker history --no-trunc --format '{{.Comment}}' hello:1) "^store paths: \['$hello'\]\$"
ok 'as another user' in_docker --user 1234 hello:1 "$hello/bin/hello"
ok 'loaded again' on "$T/hello.tar" docker load -q
is 'the same image' "$(docker images -q | sort -u | wc -l)" 1
# shellcheck disable=SC2086 # options
load_hello() { layers "$hello" | dt-manifest --name "$1" $2 --config "$T/config.json" | docker load -q; }
ok 'streamed into docker' load_hello Registry.Example.org/a/HELLO '--tag 2'
loaded 'streamed into docker' registry.example.org/a/hello:2
ok 'with the tag of its content' load_hello hello ''
like 'with the tag of its content' "$T/out" '^Loaded image: hello:[0-9a-z]{32}$'
is 'that is the tag of the image' "$(docker images --format '{{.Repository}}:{{.Tag}}' | grep -cxF "$(sed 's/.*: //' "$T/out")")" 1

# containerd, which newer versions of Docker leave it to, goes by index.json.
ctr_address=$daemon/exec/containerd/containerd.sock
[ -S "$ctr_address" ] || ctr_address=/run/containerd/containerd.sock
ok 'containerd imports it' ctr -a "$ctr_address" -n dt-test images import --no-unpack "$T/hello.tar"
is 'containerd names it' "$(ctr -a "$ctr_address" -n dt-test images ls -q)" docker.io/library/hello:1
ctr -a "$ctr_address" -n dt-test images rm docker.io/library/hello:1 >/dev/null

# --- all of a store, with links to some of it ---

# What the servers need at the root.
nginx_files "$T/root" www-data 80

{ root everything; for odd in hard-links odd-names plain-file self-reference symlink; do root "$odd"; done; } >"$T/roots"
dt-closure --store "$small" <"$T/roots" >"$T/graph"
jq -n '{Env: ["PATH=/bin"], Entrypoint: ["bash", "-euc"]}' >"$T/config.json"
{
	dt-popularity --strategy popularity --max-layers 20 <"$T/graph" | dt-layer --store "$small"
	links "$bash" "$coreutils" 2>/dev/null
} | dt-manifest --name all --tag 1 --config "$T/config.json" >"$T/all.tar"
ok 'docker loads all of a store' on "$T/all.tar" docker load -q
loaded 'all of a store' all:1
is 'two images have layers in common' "$(comm -12 <(inspect hello:1 '.RootFS.Layers[]' | sort) \
	<(inspect all:1 '.RootFS.Layers[]' | sort) | grep -c sha256)" 3

in_bash() { in_docker all:1 "$@"; }
says 'bash and coreutils' $'6\n/tmp\nlink' in_bash 'echo abcdef | wc -c | { read n; echo $((n - 1)); }; cd /tmp; pwd; [ -L /bin/ls ] && echo link'
says 'owners and modes' $'/nix 755 root:root\n/nix/store 755 root:root\n/tmp 1777 root:root' \
	in_bash 'stat -c "%n %a %U:%G" /nix /nix/store /tmp'
says 'the time of all files' 1 in_bash 'stat -c %Y /nix /nix/store/* /bin /tmp | sort -u'
says 'a user reads all of it' user in_docker --user user all:1 'ls -R /nix >/dev/null; id -un'
says 'a user writes where all may' ok in_docker --user user all:1 'echo ok >/data/x; cat /data/x; ! touch /bin/x 2>/dev/null'
says 'a store path that is a file, and one that is a link' $'hello is '"$hello"$'\nHello, world!' \
	in_bash "cat $(root plain-file); $(root symlink)"

# Odd names and all, it is in the container as it is in the store.
mkdir "$T/export"
docker export "$(docker create all:1 none)" | tar -x -C "$T/export" nix
cut -d ' ' -f 1 "$T/graph" | sed 's,^/,,' >"$T/paths"
listing "$small" >"$T/want"
listing "$T/export" >"$T/got"
same 'names, types, modes, sizes, owners, targets, times' "$T/got" "$T/want"
is 'no other store path is there' "$(ls "$T/export/nix/store")" "$(sed 's,.*/,,' "$T/paths" | sort)"
while read -r path; do diff -r --no-dereference "$small/$path" "$T/export/$path"; done <"$T/paths" >"$T/diff" 2>&1
is 'contents' "$(cat "$T/diff")" ''
is 'what no one refers to is not shipped' "$(find "$T/export/nix" -name '*-build-only')" ''
rm -rf "$T/export"

# --- servers ---

redis=$(root redis-server) tools=$(root redis-tools)
docker run -d --name redis --network=none --user user --entrypoint "$redis/bin/redis-server" all:1 --save '' --dir /data >/dev/null
ok 'redis starts' answers docker exec redis "$tools/bin/redis-cli" ping
is 'redis answers' "$(cat "$T/out")" PONG
says 'redis remembers' OK docker exec redis "$tools/bin/redis-cli" set key 'a value'
says 'redis recalls' 'a value' docker exec redis "$tools/bin/redis-cli" get key
docker rm -f redis >/dev/null

docker run -d --name nginx --network=none --entrypoint "$(root nginx)/sbin/nginx" all:1 -c /etc/nginx.conf >/dev/null
get() { docker exec nginx bash -c 'exec 3<>/dev/tcp/127.0.0.1/80 && printf "GET / HTTP/1.0\r\n\r\n" >&3 && cat <&3'; }
ok 'nginx starts' answers get
like 'nginx serves' "$T/out" '^what is served$'
docker rm -f nginx >/dev/null

postgres=$(awk '$1 == "postgresql-15" { print $2 }' "$medium/roots")
psql=$(awk '$1 == "postgresql-client-15" { print $2 }' "$medium/roots")
bash=$(awk '$1 == "bash" { print $2 }' "$medium/roots")
ln -sfn "$bash/bin/bash" "$T/root/bin/sh"
jq -n --arg bin "$postgres/lib/postgresql/15/bin:$psql/lib/postgresql/15/bin" \
	'{Cmd: ["sh"], Env: ["PATH=" + $bin + ":/bin", "PGDATA=/data/pg", "PGHOST=/tmp", "PGUSER=user", "LC_ALL=C"], User: "user"}' >"$T/config.json"
load_postgres() {
	{
		dt-closure --store "$medium" "$postgres" "$bash" | dt-popularity --max-layers 98 | dt-layer --store "$medium"
		links
	} | dt-manifest --name pg --tag 1 --config "$T/config.json" | docker load -q
}
ok 'a large image: postgres' load_postgres
loaded postgres pg:1
paths=$(dt-closure --store "$medium" "$postgres" "$bash" | wc -l)
is 'in as many layers as it may have' "$(inspect pg:1 '.RootFS.Layers | length')" "$(((paths < 98 ? paths : 98) + 1))"
run_postgres() {
	in_docker -i pg:1 sh -c 'set -e
		initdb -A trust >/dev/null
		postgres -c listen_addresses= -c unix_socket_directories=/tmp >/tmp/log 2>&1 &
		for i in 1 2 3 4 5 6 7 8 9; do
			if psql -d postgres -c "select 1" >/dev/null 2>&1; then break; fi
			read -t 1 </dev/zero || true
		done
		psql -d postgres -At -c "create table t (n int); insert into t select generate_series(1, 1000); select sum(n) from t"
		kill -INT $!
		wait $!'
}
ok 'postgres runs' run_postgres
is 'postgres counts' "$(tail -n 1 "$T/out")" 500500

# --- there and back: what Docker saves is a base image ---

echo '{"Cmd": ["hello"], "Env": ["A=1"]}' >"$T/config.json"
docker save hello:1 >"$T/saved.tar"
ok 'docker save is a base' dt-inspect "$T/saved.tar"
is 'docker save is a base: the same layers' "$(jq -c '[.layers, .repoTags]' "$T/out")" \
	"$(jq -c '[.config.rootfs.diff_ids, ["hello:1"]]' "$T/shown")"
mkdir "$T/bin"
ln -s "$hello/bin/hello" "$T/bin/hello"
load_on_top() {
	dt-root --tree "$T/bin" | dt-manifest --from "$1" --name top --tag 1 --config "$T/config.json" "${@:2}" | docker load -q
}
ok 'on top of what docker saved' load_on_top "$T/saved.tar"
loaded 'on top of what docker saved' top:1
says 'on top of what docker saved' 'Hello, world!' in_docker top:1 /hello
is 'on top of what docker saved: the configuration is inherited' \
	"$(inspect top:1 '.Config | [.Cmd, .Env, .Labels, .User]')" '[["hello"],["GREETING=hi","A=1"],{"a":"b"},"1000:1000"]'
docker save all:1 hello:1 >"$T/saved.tar"
ok 'of several images that docker saved' load_on_top "$T/saved.tar" --from-name hello --from-tag 1
is 'the one that was named' "$(inspect top:1 '.RootFS.Layers[:-1]')" "$(inspect hello:1 .RootFS.Layers)"
docker export "$(docker create hello:1 none)" | docker import - imported:1 >/dev/null
docker save imported:1 >"$T/saved.tar"
ok 'on top of what docker imported' load_on_top "$T/saved.tar"
says 'on top of what docker imported' 'Hello, world!' in_docker top:1 /hello
docker save "$(inspect hello:1 .Id | tr -d '"')" >"$T/saved.tar"
ok 'on top of an image saved without a name' load_on_top "$T/saved.tar"

# --- as many layers as Docker takes: 125 ---

layers "$hello" >"$T/layers"
count=$(archive members "$T/layers" | wc -l)
mkdir -p "$T/many/nix/store"
for ((i = count; i < 125; i++)); do
	path=/nix/store/$(printf %032d "$i")-many
	echo "$i" >"$T/many$path"
	echo "$path"
done >"$T/plan"
dt-layer --store "$T/many" <"$T/plan" >>"$T/layers"
dt-manifest --name many --tag 1 <"$T/layers" >"$T/image"
ok 'docker loads 125 layers' on "$T/image" docker load -q
is 'docker has all of them' "$(inspect many:1 '.RootFS.Layers | length')" 125
says 'an image of 125 layers' 'Hello, world!' in_docker many:1 "$hello/bin/hello"
is 'it has all that is in them' "$(docker export "$(docker create many:1 none)" | tar -t | grep -c -- '-many$')" $((125 - count))

# --- what a failed run leaves is not taken for an image ---

docker images -aq --no-trunc | sort -u >"$T/before"
whole=$(wc -c <"$T/hello.tar")
docker image rm -f hello:1 >/dev/null
refused() { # DESCRIPTION FILE
	local status=0
	docker load -q -i "$2" >"$T/out" 2>"$T/err" || status=$?
	is "$1: docker refuses it" "$([ "$status" -ne 0 ] && echo refused)" refused
}
for size in 0 512 5000 100000 $((whole / 2)) $((whole - 6000)) $((whole - 3000)); do
	head -c "$size" "$T/hello.tar" >"$T/cut"
	refused "an image cut after $size bytes" "$T/cut"
done
broken() { "$@" | dt-manifest --name broken --tag 1 >"$T/cut"; }
cut_layers() { layers "$hello" | head -c "$1"; }
for size in 0 600 100000 1000000; do
	broken cut_layers "$size" 2>/dev/null
	is "layers cut after $size bytes" "${PIPESTATUS[*]}" 1
	refused "layers cut after $size bytes" "$T/cut"
done
missing() { printf '%s\n' "$hello" "$hello-missing" | dt-layer --store "$small" 2>/dev/null; }
broken missing 2>/dev/null
refused 'layers of which some are missing' "$T/cut"
killed() { layers "$hello" | { head -c 300000; kill -9 "$BASHPID"; }; }
broken killed 2>/dev/null
refused 'layers whose sender was killed' "$T/cut"
is 'no image of these is there' "$(docker images -q broken)" ''

finish
