# Registries for tests, on loopback ports of the test: Debian's docker-registry, and one that sends
# wrong answers (t/fixtures/registry.py).
# shellcheck shell=bash disable=SC2154 # lib.sh sets t_dir

# start_registry NAME [LINE...]: starts docker-registry with an empty directory. LINEs are added to
# its configuration. Sets $NAME to its HOST:PORT and $NAME_pid. $T/NAME.log lists the requests.
start_registry() {
	local name=$1 port pid try i
	shift
	need docker-registry python3
	for ((try = 0; try < 20; try++)); do
		port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
		printf '%s\n' 'version: 0.1' "storage: {filesystem: {rootdirectory: $T/$name.data}}" \
			'http:' "  addr: 127.0.0.1:$port" '  relativeurls: true' "$@" >"$T/$name.yml"
		# docker-registry reads its configuration from REGISTRY_* in the environment, too.
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
		kill "$pid" 2>/dev/null # another process has the port
		wait "$pid" 2>/dev/null
	done
	echo "Bail out! docker-registry does not start"
	t_note <"$T/$name.log"
	exit 1
}

# start_liar: starts t/fixtures/registry.py. Sets $L to its directory, and $liar and $liar2 to its
# two HOST:PORTs. It listens at $liar_address, which is 127.0.0.1 by default; :: is all addresses.
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

# random_layer N SIZE [OPTION]...: prints a layer archive with a file of random bytes, the same each time. The OPTIONs
# are for dt-root.
random_layer() {
	rm -rf "$T/tree"
	mkdir -p "$T/tree/d$1"
	openssl enc -aes-128-ctr -nosalt -K "$(printf %032x "$1")" -iv 0 -in /dev/zero 2>/dev/null | head -c "$2" >"$T/tree/d$1/file"
	dt-root --tree "$T/tree" "${@:3}"
}

# digest_of NAME: prints the digest of an image of start_liar.
digest_of() { cat "$L/images/$1"; }

# asked REGEX: prints the number of requests since forget_asked that match.
asked() { grep -Ec -- "$1" "$L/log"; }
forget_asked() { : >"$L/log"; }

# no_secret DESCRIPTION FILE...: tests that the files contain no secret.
no_secret() {
	local what=$1
	shift
	is "$what: nothing secret is said" "$(grep -aiE 'sesame|dXNlcj|TOPSECRET|re/fresh|re%2F' "$@")" ''
}

# pull ARG...: runs dt-pull for a registry without TLS.
pull() { dt-pull --tls-verify=false "$@"; }

# raw NAME: prints the manifest NAME (REPOSITORY:TAG) in the registry $r, as it is stored.
raw() { skopeo inspect --raw --tls-verify=false "docker://${r:?}/$1"; }

# ca NAME ARG...: makes the certificate $T/NAME.crt and its key, with these arguments of `openssl req`.
ca() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout "$T/$1.key" -out "$T/$1.crt" "${@:2}" 2>"$T/err"; }
