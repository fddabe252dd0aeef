# A Docker daemon and podman for tests. Both keep their state in a scratch directory of the test.
# shellcheck shell=bash disable=SC2154 # lib.sh sets t_dir

# d_make_directory: sets $D to a scratch directory. It is not below $T, because images cannot be on
# an overlay or have long paths.
d_make_directory() {
	D=$(mktemp -d /var/tmp/dt-docker.XXXXXX)
	at_exit "d_remove '$D'"
}

# d_remove DIR: removes the directory, and unmounts what a daemon left mounted there.
d_remove() {
	awk -v dir="$1/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r mount; do umount -l "$mount"; done
	rm -rf "$1"
}

# launch_dockerd DIR: starts a daemon that keeps its state in the directory. Sets $daemon_pid.
launch_dockerd() {
	TMPDIR=$1 dockerd --bridge=none --iptables=false --ip6tables=false --data-root "$1/data" \
		--exec-root "$1/exec" --pidfile "$1/pid" -H "unix://$1/sock" >"$1/log" 2>&1 </dev/null &
	daemon_pid=$!
	local i
	for ((i = 0; i < 600; i++)); do
		docker -H "unix://$1/sock" version >/dev/null 2>&1 && return
		kill -0 "$daemon_pid" 2>/dev/null || break
		sleep 0.1
	done
	return 1
}

# start_dockerd: sets up a daemon without images for this test alone. From then on, `docker` uses it, and its state
# is in $daemon. t/run has started daemons in $DT_TEST_DOCKER. If none of them is free, the test starts its own.
start_dockerd() {
	need docker dockerd flock
	[ -n "${D:-}" ] || d_make_directory
	export DOCKER_HOST DOCKER_CONFIG=$D
	at_exit 'stop_dockerd'
	daemon_pid=''
	local found
	for daemon in "${DT_TEST_DOCKER:-/nonexistent}"/*; do
		[ -S "$daemon/sock" ] || continue
		DOCKER_HOST=unix://$daemon/sock
		exec {daemon_lock}<"$daemon"
		flock -n "$daemon_lock" && found=$(docker images -aq && docker ps -aq) && [ -z "$found" ] && return
		exec {daemon_lock}<&-
	done
	daemon=$D DOCKER_HOST=unix://$D/sock
	launch_dockerd "$D" && return
	echo 'Bail out! dockerd does not start'
	tail -n 20 "$D/log" | t_note
	exit 1
}

# stop_dockerd: stops the daemon of this test, or removes all that the test made in a daemon of t/run, and releases it.
# Containers are removed first, because their files would stay mounted.
stop_dockerd() {
	[ -n "$daemon" ] || return 0
	docker ps -aq 2>/dev/null | xargs -r docker rm -fv >/dev/null 2>&1
	if [ -n "$daemon_pid" ]; then
		kill "$daemon_pid" 2>/dev/null && wait "$daemon_pid" 2>/dev/null
	else
		docker system prune -af --volumes >/dev/null 2>&1
		exec {daemon_lock}<&-
	fi
	daemon=''
}

# start_containerd: starts a containerd of this test alone. From then on, `ctr` uses it. If $cri is set, it has the
# interface that the kubelet of Kubernetes uses.
start_containerd() {
	need containerd ctr
	[ -n "${D:-}" ] || d_make_directory
	local pid i
	export CONTAINERD_ADDRESS=$D/containerd.sock
	local off="'io.containerd.grpc.v1.cri'"
	[ -z "${cri-}" ] || off=''
	printf '%s\n' 'version = 2' "root = '$D/containerd'" "state = '$D/containerd.state'" "disabled_plugins = [$off]" \
		'[grpc]' "address = '$CONTAINERD_ADDRESS'" "[plugins.'io.containerd.grpc.v1.cri']" 'disable_tcp_service = true' \
		"stream_server_port = '0'" "[plugins.'io.containerd.grpc.v1.cri'.cni]" "conf_dir = '$D/cni'" >"$D/containerd.toml"
	containerd -c "$D/containerd.toml" >"$D/containerd.log" 2>&1 </dev/null &
	pid=$!
	at_exit "kill $pid 2>/dev/null; wait $pid 2>/dev/null"
	for ((i = 0; i < 300; i++)); do
		ctr version >/dev/null 2>&1 && return
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.1
	done
	echo 'Bail out! containerd does not start'
	tail -n 20 "$D/containerd.log" | t_note
	exit 1
}

# in_docker [OPTION]... IMAGE [ARG]...: runs a container without network until it exits.
in_docker() { docker run --rm --network=none "$@"; }

# in_podman ARG...: runs podman with its own images. Containers have limits that a test machine
# allows.
in_podman() {
	[ -n "${D:-}" ] || d_make_directory
	local limits=()
	[ "$1" != run ] || limits=(--ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --network=none)
	env -u DOCKER_CONFIG CONTAINERS_REGISTRIES_CONF=/dev/null podman --root "$D/podman" --runroot "$D/podman.run" \
		--tmpdir "$D/podman.tmp" --storage-driver vfs --events-backend none \
		--cgroup-manager cgroupfs "$1" "${limits[@]}" "${@:2}"
}

# listing DIR: prints type, mode, size, owner, target and time of each file of the paths in $T/paths, below DIR.
listing() {
	(cd "$1" && xargs -I{} find {} -printf '%p|%y|%m|%s|%U:%G|%l|%Ts\0' <"$T/paths") |
		sed -z 's/|d|\([0-9]*\)|[0-9]*|/|d|\1||/' | sort -z | tr '\0' '\n'
}

# podman_in DIR: makes DIR/podman, a program like in_podman, for programs that run podman.
podman_in() {
	[ -n "${D:-}" ] || d_make_directory
	cat >"$1/podman" <<-END
		#!/usr/bin/env bash
		. '$t_dir/docker.sh'
		D=$D
		PATH=/usr/bin:\$PATH
		in_podman "\$@"
	END
	chmod +x "$1/podman"
}

# says DESCRIPTION WANTED COMMAND...: tests that the command succeeds and prints WANTED.
says() {
	local what=$1 want=$2
	shift 2
	ok "$what: runs" "$@"
	is "$what: says" "$(cat "$T/out")" "$want"
}

# answers COMMAND...: repeats the command until it succeeds, for about 30 seconds.
answers() {
	local i
	for ((i = 0; i < 300; i++)); do
		"$@" 2>/dev/null && return
		sleep 0.1
	done
	"$@"
}

# nginx_files DIR USER PORT: makes the files of an nginx server that serves a page on a loopback
# port. USER is the value of `user` in its configuration.
nginx_files() {
	mkdir -p "$1"/{etc,srv,var/log/nginx,var/lib/nginx}
	echo 'what is served' >"$1/srv/index.html"
	cat >"$1/etc/nginx.conf" <<-END
		user $2;
		daemon off;
		pid /tmp/nginx.pid;
		error_log /dev/stderr;
		events {}
		http {
			access_log off;
			server { listen 127.0.0.1:$3; root /srv; }
		}
	END
}
