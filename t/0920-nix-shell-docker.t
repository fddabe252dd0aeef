#!/usr/bin/env bash
# Images of a nix-shell in a real Docker, without network: what nixpkgs asserts of its own, by
# numbers; and what is built in them, against what nix-build makes.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154,SC2317 # the image's shell expands these
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
. "$t_dir/nix-shell.sh"
need jq nix-hash nix-shell nix-store python3

make_store
start_dockerd

# loads DESCRIPTION NAME JQ-OBJECT [SCRIPT]: the image of the derivation and that is loaded, as x:t
loads() {
	drv=$(instantiate "$2")
	jq -n --arg drv "$drv" "{drv: \$drv, name: \"x\", tag: \"t\"} + $3" >"$T/spec.json"
	"${4:-dt-stream-nix-shell-image}" --store "$S" "$T/spec.json" >"$T/image" || t_note <"$T/spec.json"
	ok "$1: docker loads it" docker load -q -i "$T/image"
}

# in_pty COMMAND [TEXT]...: runs it in a terminal, types each text once there is a prompt, and
# prints what is seen
cat >"$T/terminal.py" <<'PY'
import os, pty, re, signal, sys
signal.alarm(120)
command, texts = sys.argv[1], sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", command])
seen, at = b"", 0
while True:
    try:
        more = os.read(fd, 4096)
    except OSError:
        break
    if not more:
        break
    seen += more
    prompt = re.compile(rb"\[nix-shell:[^]]*\]\$\x1b\[0m ").search(seen, at)
    if prompt and texts:
        at = prompt.end()
        os.write(fd, texts.pop(0).encode() + b"\n")
sys.stdout.buffer.write(seen.replace(b"\r", b""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
in_pty() { python3 "$T/terminal.py" "$@"; }
terminal='docker run --rm -it --network=none x:t'

# builds NAME COMMAND...: in a container of x:t the command makes all outputs, at the paths and with the NARs
# that nix-build makes
builds() {
	local name=$1 container output path
	container=$(docker create --network=none x:t "${@:2}")
	ok "$name: is built" docker start -a "$container"
	in_nix nix-build -Q --no-out-link "$t_dir/fixtures/stdenv" --arg packages "$S/roots" -A "$name" >/dev/null 2>"$T/err" || t_note <"$T/err"
	while IFS=$'\t' read -r output path; do
		rm -rf "$T/built"
		mkdir "$T/built"
		docker cp "$container:$path" "$T/built/" >/dev/null
		is "$name: the NAR of its output $output" "$(nix-hash --type sha256 --base32 "$T/built/${path##*/}")" \
			"$(in_nix nix-store -q --hash "$path" | cut -d : -f 2)"
	done < <(dt-drv --store "$S" "$drv" | jq -r '.[].outputs | to_entries[] | "\(.key)\t\(.value.path)"')
	docker rm "$container" >/dev/null
}

# --- a C program ---

loads '[55] a C program' hello '{}' dt-build-nix-shell-image
says '[55] buildDerivation, then hello' $'phase: unpackPhase\nphase: buildPhase\nphase: installPhase\nit\'s C' \
	in_docker x:t bash -c 'buildDerivation && exec "$out/bin/again"'
builds hello buildDerivation
is '[55] its output is where Nix has it' "$(in_docker x:t bash -c 'echo "$out"')" \
	"$(in_nix nix-store -q --outputs "$drv")"
says '[61] HOME is that of the user, and can be written to' '/build 1000:1000' \
	in_docker x:t bash -euc '[ "$HOME" = ~nixbld ]; : >~/file; while read -r key id _; do
		case $key in Uid:) uid=$id ;; Gid:) gid=$id ;; esac; done </proc/self/status; echo ~ "$uid:$gid"'
in_pty "$terminal" 'cd "$NIX_STORE"' 'echo "$-" "$SHELL" "${PATH%%:*}"' 'cc --version | head -n 1' \
	'cd; buildDerivation; $out/bin/hello' 'false' 'exit 7' >"$T/seen"
is 'a terminal: the status is that of the shell' "$?" 7
like 'a terminal: the prompt' "$T/seen" '\[1;32m\[nix-shell:~\]\$.\[0m cd "\$NIX_STORE"$'
like 'a terminal: the prompt tells the directory' "$T/seen" '\[nix-shell:/nix/store\]\$'
like 'a terminal: an interactive shell' "$T/seen" '^[a-zA-Z]*i[a-zA-Z]* (/nix/store/[^ ]*-bash-[^ ]*/bin)/bash \1$'
like '[57] a terminal: inputs are on PATH' "$T/seen" '^[a-z0-9_-]*gcc.* 12[.]'
like 'a terminal: builds' "$T/seen" "^it's C\$"

# --- outputs, variables, files ---

loads 'outputs of which none is out' outputs '{uid: 1234, gid: 5, includeNixDB: true, run: "set -e; buildDerivation; $bin/bin/hello; cat $dev/list"}'
ok '[63] build by run' in_docker x:t
is '[63] build by run: what it says' "$(tail -n 2 "$T/out")" $'it\'s C\na b c'
builds outputs
loads 'quoted arguments' quoted '{}'
builds quoted buildDerivation
loads 'structured attributes' structured '{command: "buildDerivation; cat $out/hello; declare -p list"}'
in_pty "$terminal" >"$T/seen"
is 'structured attributes: the status' "$?" 0
like 'structured attributes: are built' "$T/seen" '^Hello, world!$'
like 'structured attributes: the shell has them' "$T/seen" '^declare -a list=\(\[0\]="a b" \[1\]="c"\)$'
builds structured buildDerivation
loads 'a derivation without a compiler' small '{}'
builds small buildDerivation

# --- the shell ---

in_pty "$terminal" 'exit' >"$T/seen"
is '[56] shellHook: the status' "$?" 0
like '[56] shellHook' "$T/seen" '^This is the shell hook!$'
is 'without a terminal, no prompt and no hook' "$(in_docker -i x:t <<<'echo here')" here
loads 'command' small '{command: "hello; echo \"it is $(cat \"$strPath\")\"; echo \"flags:$-\"; false"}'
in_pty "$terminal" >"$T/seen"
is '[60] command: its status' "$?" 1
like '[57] inputs are on PATH' "$T/seen" '^Hello, world!$'
like '[58] passAsFile' "$T/seen" '^it is this is a string$'
like '[60] command: an interactive shell' "$T/seen" '^flags:[a-zA-Z]*i'
loads 'run' small '{run: "echo \"flags:$-\"; exit 3"}'
fails_with() { "$@"; [ $? -eq 3 ]; }
ok '[59] run: its status' fails_with in_docker x:t
is '[59] run: no interactive shell' "$(grep -c '^flags:[^i]*$' "$T/out"):$(head -n 1 "$T/out")" '1:This is the shell hook!'

# What the two say of this machine, or of where files lie, differs.
variables='PATH=${PATH/:\/usr\/lib\/nix-shell\/bin}; env -0 | sort -z | tr "\n\0" " \n" |
	grep -vE "^(_|__.*|HOME|HOSTNAME|IN_NIX_SHELL|NIX_BUILD_(CORES|SHELL|TOP)|(NIX_)?SSL_CERT_FILE|PWD|SHLVL|T[A-Z]*|strPath)="'
loads 'the environment' small "$(jq -n --arg run "$variables" '{$run}')"
says 'the environment is that of nix-shell' \
	"$(in_nix env NIX_BUILD_SHELL="$(root bash)/bin/bash" nix-shell --pure "$drv" --run "$variables")" in_docker x:t
is 'the environment is that of nix-shell: there are variables' "$(grep -cE '^(PATH|NIX_STORE|builder|name|shellHook|stdenv)=' "$T/out")" 6

# --- Nix in it ---

loads '[54] [64] includeNixDB' small '{includeNixDB: true, homeDirectory: "/homeless-shelter"}'
says '[62] a home that is not there' /homeless-shelter in_docker x:t bash -c '[ ! -e ~ ] && [ ! -e ~nixbld ] && echo ~nixbld'
# Debian's Nix, with its libraries.
nix_store=(-v /usr:/usr:ro -v /usr/lib:/lib:ro -e NIX_CONFIG= -e HOME=/build)
[ ! -e /usr/lib64 ] || nix_store+=(-v /usr/lib64:/lib64:ro)
nix_store+=(x:t /usr/bin/nix-store)
says '[54] Nix knows the references' "$(in_nix nix-store -q --references "$(root hello)")" \
	in_docker "${nix_store[@]}" -q --references "$(root hello)"
ok '[54] and misses nothing' in_docker "${nix_store[@]}" --verify --check-contents
is '[54] and misses nothing: says' "$(grep -ciE 'modified|error|disappeared|not valid' "$T/err")" 0
ok '[64] the user may add to the store' in_docker "${nix_store[@]}" --add /etc/passwd

finish
