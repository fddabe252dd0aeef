# Images with the build environment of a derivation, like nix-shell. Load this file after
# layered.bash and the files that it needs.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set by name, and by spec.bash
declare -ga drv=()

# The directory of the generated files in the image. It is not a store path, because it would be
# missing from the Nix database.
nix_shell_dir=/usr/lib/nix-shell

# nix_shell_script ARG...: the script $self, which is dt-stream-nix-shell-image or
# dt-build-nix-shell-image.
nix_shell_script() {
	spec_begin 'Reads a JSON object and writes an image in which a derivation can be built.' \
		'store compress only prepare format verbose' nix_shell_keys "$@"
	if [ -n "$prepared" ]; then prepared_image; else nix_shell_image; fi
	output_end
}

# find_derivation PATH: makes $work/drv, the derivation as JSON with the key path. Sets $drv to the result of facts in
# nix-shell.jq without these.
find_derivation() {
	run dt-drv "${store[@]}" -- "$1" >"$work/drvs"
	# shellcheck disable=SC2016 # the variable is jq's
	read_strings drv jq -L "$lib" -j --arg dir "$nix_shell_dir" \
		'include "nix-shell"; to_entries[] | .value + {path: .key} | facts($dir) + "\u0000"' "$work/drvs"
	[ -z "${drv[0]}" ] || die "drv: $1: ${drv[0]}"
	printf '%s\n' "${drv[1]}" >"$work/drv"
	drv=("${drv[@]:2}")
}

# find_inputs: sets the key inputs to the store paths that the build of the derivation needs. Makes
# $work/named, the graph of all store paths of the image.
find_inputs() {
	local drvs=("${drv[@]:drv[1] + 2}") input
	echo '{}' >"$work/inputs"
	[ "${#drvs[@]}" -eq 0 ] || run dt-drv "${store[@]}" "${drvs[@]}" >"$work/inputs"
	# shellcheck disable=SC2016 # the variable is jq's
	run jq -L "$lib" -r --slurpfile inputs "$work/inputs" 'include "nix-shell"; inputs($inputs[0])' "$work/drv" >"$work/paths"
	while IFS= read -r input; do
		[[ $input == /* ]] || die "$input"
	done <"$work/paths"
	capture cat "$work/paths"
	key[inputs]=$REPLY
	find_named inputs contents shell
}

# find_shell: sets $REPLY to the bash that the image runs.
find_shell() {
	if [ -z "${key[shell]-}" ]; then
		helper_find binSh
		[[ $REPLY == */bin/bash ]] || die 'shell: the derivation needs no bash, name one'
	else
		REPLY=${key[shell]}
		if ! [[ $REPLY =~ ^(/.*/[0-9a-z]{32}-[^/]+)/(.+)$ ]] ||
			! in_package "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"; then
			die "shell: $REPLY is not a file of a store path"
		fi
	fi
}

# print_rc SHELL: prints the commands that the shell runs first.
print_rc() {
	local path=${1%/*}:$nix_shell_dir/bin commands=${key[command]-${key[run]-}}
	run cat <<-END
		unset PATH
		dontAddDisableDepTrack=1
		[ -z "\${NIX_ATTRS_SH_FILE-}" ] || source "\$NIX_ATTRS_SH_FILE"
		[ ! -e "\${stdenv-}/setup" ] || source "\$stdenv/setup"
		PATH=${path@Q}\${PATH:+:\$PATH}
		SHELL=${1@Q} BASH=${1@Q}
		set +e
		[ -z "\${PS1-}" ] || [ -n "\${NIX_SHELL_PRESERVE_PROMPT-}" ] ||
		    PS1='\\n\\[\\e[1;32m\\][nix-shell:\\w]\\$\\[\\e[0m\\] '
		! declare -F runHook >/dev/null || runHook shellHook
		unset NIX_ENFORCE_PURITY
		shopt -u nullglob
		shopt -s execfail
	END
	[ -z "$commands" ] || printf '%s\nexit\n' "$commands"
}

# make_files SHELL: makes $work/shell, the generated files of the image.
make_files() {
	local root=$work/shell i
	local dir=$root$nix_shell_dir
	run mkdir -p "$root/build" "$dir/bin"
	print_rc "$1" >"$dir/rc"
	printf '#!%s\nexec %s\n' "$1" "${drv[0]}" >"$dir/bin/buildDerivation"
	run chmod 755 "$dir/bin/buildDerivation"
	for ((i = 2; i < drv[1] + 2; i += 2)); do
		printf %s "${drv[i + 1]}" >"$root${drv[i]}"
	done
}

# spec_of_layered SHELL: replaces the specification by that of a layered image.
spec_of_layered() {
	local certificates=true problem
	helper_find caCertificates
	if [ -z "$REPLY" ]; then
		problem=$(find_certificates caCertificates 2>&1) || {
			certificates=false
			printf '%s; the image will have none\n' "$problem" >&2
		}
	fi
	# shellcheck disable=SC2016 # the variables are jq's
	spec_change '.inputs = $inputs |
		layered($drv[0]; $drv[0] | environment($dir; $bin; $home); $files; $shell; $rc; $certificates)' \
		--slurpfile drv "$work/drv" --rawfile inputs "$work/paths" --arg dir "$nix_shell_dir" --arg bin "${1%/*}" \
		--arg home "${key[homeDirectory]-/build}" --arg files "$work/shell" --arg shell "$1" --arg rc "$nix_shell_dir/rc" \
		--argjson certificates "$certificates"
}

# nix_shell_image: writes the image of the specification to standard output.
nix_shell_image() {
	[ ! -v 'key[run]' ] || [ ! -v 'key[command]' ] || die 'run and command: only one of them'
	find_derivation "${key[drv]}"
	find_inputs
	find_shell
	set -- "$REPLY"
	make_files "$1"
	spec_of_layered "$1"
	layered_image inputs contents shell
}
