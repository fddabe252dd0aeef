# Images with the build environment of a derivation, like nix-shell. Load this file after
# layered.bash and the files that it needs.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set by name, and by spec.bash

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

# drv_jq FILTER [OPTION...]: prints the output of a jq filter for the derivation. The filter may use
# nix-shell.jq.
drv_jq() { run jq -L "$lib" "${@:2}" 'include "nix-shell"; '"$1" "$work/drv"; }

# find_derivation PATH: makes $work/drv, the derivation as JSON with the key path.
find_derivation() {
	run dt-drv "${store[@]}" -- "$1" >"$work/drvs"
	run jq 'to_entries[] | .value + {path: .key}' "$work/drvs" >"$work/drv"
	drv_jq derivation_problem -r >"$work/output"
	read_output
	[ -z "$REPLY" ] || die "drv: $1: ${REPLY%$'\n'}"
}

# find_inputs: sets the key inputs to the store paths that the build of the derivation needs. Makes
# $work/named, the graph of all store paths of the image.
find_inputs() {
	local drvs input
	read_lines drvs jq -r '.inputDrvs | keys[]' "$work/drv"
	echo '{}' >"$work/inputs"
	[ "${#drvs[@]}" -eq 0 ] || run dt-drv "${store[@]}" "${drvs[@]}" >"$work/inputs"
	# shellcheck disable=SC2016 # the variable is jq's
	drv_jq 'inputs($inputs[0])' -r --slurpfile inputs "$work/inputs" >"$work/paths"
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

# write_passed DIR: writes each variable of passAsFile to a file in DIR.
write_passed() {
	local names i
	# shellcheck disable=SC2016 # the variable is jq's
	drv_jq 'passed[] | (., file) + "\u0000"' -j >"$work/output"
	mapfile -d '' -t names <"$work/output"
	for ((i = 0; i < ${#names[@]}; i += 2)); do
		run jq -j --arg name "${names[i]}" '.env[$name]' "$work/drv" >"$1/${names[i + 1]}"
	done
}

# make_files SHELL: makes $work/shell, the generated files of the image.
make_files() {
	local build=$work/shell/build dir=$work/shell$nix_shell_dir
	run mkdir -p "$build" "$dir/bin"
	print_rc "$1" >"$dir/rc"
	{
		printf '#!%s\nexec ' "$1"
		drv_jq '[.builder] + .args | @sh' -r
	} >"$dir/bin/buildDerivation"
	run chmod 755 "$dir/bin/buildDerivation"
	capture jq '.env | has("__json")' "$work/drv"
	if [ "$REPLY" = true ]; then
		drv_jq 'attributes | tojson' -r >"$build/.attrs.json"
		drv_jq 'attributes | attributes_sh' -r >"$build/.attrs.sh"
	else
		write_passed "$dir"
	fi
}

# spec_of_layered SHELL: replaces the specification by that of a layered image.
spec_of_layered() {
	local certificates=true problem
	# shellcheck disable=SC2016 # the variables are jq's
	drv_jq 'environment($dir; $bin; $home)' --arg dir "$nix_shell_dir" --arg bin "${1%/*}" \
		--arg home "${key[homeDirectory]-/build}" >"$work/environment"
	helper_find caCertificates
	if [ -z "$REPLY" ]; then
		problem=$(find_certificates caCertificates 2>&1) || {
			certificates=false
			printf '%s; the image will have none\n' "$problem" >&2
		}
	fi
	# shellcheck disable=SC2016 # the variables are jq's
	spec_change 'include "nix-shell";
		.inputs = $inputs | layered($drv[0]; $env[0]; $files; $shell; $rc; $certificates)' \
		--slurpfile drv "$work/drv" --slurpfile env "$work/environment" --rawfile inputs "$work/paths" \
		--arg files "$work/shell" --arg shell "$1" --arg rc "$nix_shell_dir/rc" --argjson certificates "$certificates"
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
