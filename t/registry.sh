# Registries for tests, on loopback and ports of their own: Debian's docker-registry, and
# one that lies (t/fixtures/registry.py).
# shellcheck shell=bash disable=SC2154 # lib.sh sets t_dir

# start_registry NAME [LINE...]: one with a directory of its own; LINEs are more of its
# configuration. Sets $NAME to its HOST:PORT and NAME_pid; $T/NAME.log tells what it was asked.
start_registry() {
	local name=$1 port pid try i
	shift
	need docker-registry python3
	for ((try = 0; try < 20; try++)); do
		port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
		printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $T/$name.data}}" \
			'http:' "  addr: 127.0.0.1:$port" '  relativeurls: true' "$@" >"$T/$name.yml"
		# It takes REGISTRY_* of the environment for its configuration.
		env -u REGISTRY_AUTH_FILE docker-registry serve "$T/$name.yml" >"$T/$name.log" 2>&1 </dev/null &
		pid=$!
		for ((i = 0; i < 500; i++)); do
			kill -0 "$pid" 2>/dev/null || break
			if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && kill -0 "$pid" 2>/dev/null; then
				at_exit "kill $pid 2>/dev/null"
				printf -v "$name" %s "127.0.0.1:$port"
				printf -v "${name}_pid" %s "$pid"
				return
			fi
			sleep 0.02
		done
		kill "$pid" 2>/dev/null # somebody else took the port
		wait "$pid" 2>/dev/null
	done
	echo "Bail out! docker-registry does not start"
	t_note <"$T/$name.log"
	exit 1
}

# start_liar: sets $L, its directory; $liar and $liar2, its two HOST:PORTs. It listens at
# 127.0.0.1, or at $liar_address if that is set; :: is all addresses.
start_liar() {
	need python3
	L=$T/liar
	mkdir -p "$L"
	mkfifo "$L/stdin"
	"$t_dir/fixtures/registry.py" "$L" "${liar_address:-127.0.0.1}" <"$L/stdin" >"$L/out" 2>&1 &
	local pid=$! i
	at_exit "kill $pid 2>/dev/null"
	exec 9>"$L/stdin"
	for ((i = 0; i < 500; i++)); do
		[ ! -e "$L/ports" ] || break
		sleep 0.02
	done
	[ -e "$L/ports" ] || { echo "Bail out! the registry does not start"; t_note <"$L/out"; exit 1; }
	read -r liar liar2 <"$L/ports"
	liar=127.0.0.1:$liar liar2=127.0.0.1:$liar2
}

# digest_of NAME: of one of its images.
digest_of() { cat "$L/images/$1"; }

# asked REGEX: how many of the requests, since forget_asked, were like that.
asked() { grep -Ec -- "$1" "$L/log"; }
forget_asked() { : >"$L/log"; }

# no_secret DESCRIPTION FILE...: what must not be told is not in them.
no_secret() {
	local what=$1
	shift
	is "$what: nothing secret is said" "$(grep -aiE 'sesame|dXNlcj|TOPSECRET|re/fresh|re%2F' "$@")" ''
}
