# A Docker daemon and podman for tests. Both keep their state in a scratch directory of the test.
# shellcheck shell=bash

# d_make_directory: sets $D to a scratch directory. It is not below $T, because images cannot be on
# an overlay or have long paths. d_remove_directory unmounts what the daemon left mounted there.
d_make_directory() {
	D=$(mktemp -d /var/tmp/dt-docker.XXXXXX)
	at_exit "d_remove_directory"
}

d_remove_directory() {
	awk -v dir="$D/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r |
		while read -r mount; do umount -l "$mount"; done
	rm -rf "$D"
}

# start_dockerd: starts a daemon without images. From then on, `docker` uses it.
start_dockerd() {
	need docker dockerd
	[ -n "${D:-}" ] || d_make_directory
	TMPDIR=$D dockerd --bridge=none --iptables=false --ip6tables=false --data-root "$D/data" \
		--exec-root "$D/exec" --pidfile "$D/pid" -H "unix://$D/sock" >"$D/log" 2>&1 </dev/null &
	D_pid=$!
	at_exit 'stop_dockerd'
	export DOCKER_HOST=unix://$D/sock DOCKER_CONFIG=$D
	local i
	for ((i = 0; i < 600; i++)); do
		docker version >/dev/null 2>&1 && return
		kill -0 "$D_pid" 2>/dev/null || break
		sleep 0.1
	done
	echo 'Bail out! dockerd does not start'
	tail -n 20 "$D/log" | t_note
	exit 1
}

# stop_dockerd: removes the containers first, because their files would stay mounted.
stop_dockerd() {
	[ -n "$D_pid" ] || return 0
	docker ps -aq 2>/dev/null | xargs -r docker rm -f >/dev/null 2>&1
	kill "$D_pid" 2>/dev/null && wait "$D_pid" 2>/dev/null
	D_pid=''
}

# in_docker [OPTION]... IMAGE [ARG]...: runs a container without network until it exits.
in_docker() { docker run --rm --network=none "$@"; }

# in_podman ARG...: runs podman with its own images. Containers have limits that a test machine
# allows.
in_podman() {
	[ -n "${D:-}" ] || d_make_directory
	local limits=()
	[ "$1" != run ] || limits=(--ulimit nofile=1024:1024 --ulimit nproc=1000:1000 --network=none)
	CONTAINERS_REGISTRIES_CONF=/dev/null podman --root "$D/podman" --runroot "$D/podman.run" \
		--tmpdir "$D/podman.tmp" --storage-driver vfs --events-backend none \
		--cgroup-manager cgroupfs "$1" "${limits[@]}" "${@:2}"
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
