# An image with the environment in which a derivation is built, as nix-shell has it. After
# spec.bash, image.bash, env.bash, root.bash and layered.bash.
# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # jq expands $, others set and use what is used here

nix_shell_keys=$(jq -c '{tag, contents, architecture, created, mtime, maxLayers, includeNixDB, debug, meta, passthru} + {
	"drv": ["string"], "name": ["string", null], "uid": ["integer", 1000], "gid": ["integer", 1000],
	"homeDirectory": ["string", "/build"], "shell": ["string", null],
	"command": ["string", null], "run": ["string", null]}' <<<"$layered_keys")

# Where the image has what is made here. It is no store path, so that Nix does not miss it in
# its database.
nix_shell_dir=/usr/lib/nix-shell

# What is wrong with a derivation, as a filter of jq.
derivation_problem='
	if any(.outputs[]; .path == null) then "nobody knows the paths of its outputs before they are built"
	elif .builder | startswith("builtin:") then "its builder, \(.builder), is a part of Nix"
	elif .env.__json == null then empty
	else .env.__json | (try fromjson catch null) |
		if type != "object" then "its __json is no JSON object"
		elif any(.. | numbers; fabs > 9007199254740992) then "a number in its __json has too many digits"
		else empty end
	end'

# Makes $work/drv, the derivation as JSON, with its path.
find_derivation() {
	local drv=${key[drv]} problem
	dt-drv "${store[@]}" -- "$drv" | jq 'to_entries[] | .value + {path: .key}' >"$work/drv"
	problem=$(jq -r "$derivation_problem" "$work/drv")
	[ -z "$problem" ] || die "drv: $drv: $problem"
}

# Sets the key inputs to the store paths of which the derivation is built; and makes
# $work/named, the graph of all store paths of the image.
find_inputs() {
	local drvs problem
	mapfile -t drvs < <(jq -r '.inputDrvs | keys[]' "$work/drv")
	echo '{}' >"$work/inputs"
	[ "${#drvs[@]}" -eq 0 ] || dt-drv "${store[@]}" "${drvs[@]}" >"$work/inputs"
	key[inputs]=$(jq -r --slurpfile inputs "$work/inputs" '.inputSrcs[], (.inputDrvs | to_entries[] | .key as $path |
		.value[] | $inputs[0][$path].outputs[.].path // "drv: \($path): nobody knows the path of its output \(.)")' "$work/drv")
	problem=$(grep -m 1 '^[^/]' <<<"${key[inputs]}") || true
	[ -z "$problem" ] || die "$problem"
	find_named inputs contents shell
}

# Sets $shell, the bash that the image runs.
find_shell() {
	shell=${key[shell]-}
	if [ -z "$shell" ]; then
		shell=$(helper_find binSh)
		[[ $shell == */bin/bash ]] || die 'shell: the derivation needs no bash, name one'
	elif ! [[ $shell =~ ^(/.*/[0-9a-z]{32}-[^/]+)/(.+)$ ]] ||
		! in_package "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"; then
		die "shell: $shell is not a file of a store path"
	fi
}

# Prints what the shell runs first.
print_rc() {
	local path=${shell%/*}:$nix_shell_dir/bin
	cat <<-END
		unset PATH
		dontAddDisableDepTrack=1
		[ -z "\${NIX_ATTRS_SH_FILE-}" ] || source "\$NIX_ATTRS_SH_FILE"
		[ ! -e "\${stdenv-}/setup" ] || source "\$stdenv/setup"
		PATH=${path@Q}\${PATH:+:\$PATH}
		SHELL=${shell@Q} BASH=${shell@Q}
		set +e
		[ -z "\${PS1-}" ] || [ -n "\${NIX_SHELL_PRESERVE_PROMPT-}" ] ||
		    PS1='\\n\\[\\e[1;32m\\][nix-shell:\\w]\\$\\[\\e[0m\\] '
		! declare -F runHook >/dev/null || runHook shellHook
		unset NIX_ENFORCE_PURITY
		shopt -u nullglob
		shopt -s execfail
	END
	local commands=${key[command]-${key[run]-}}
	[ -z "$commands" ] || printf '%s\nexit\n' "$commands"
}

# The names of the variables that are passed in files, as a filter of jq on a derivation; and the
# name of a variable's file, as one on its name.
passed_as_file='
	def passed: .env as $env | .env.passAsFile // "" | [splits("[ \t\r\n]+")] | unique | map(select($env[.]));
	def file: {"!": "%21", "*": "%2A", "\u0027": "%27", "(": "%28", ")": "%29"} as $rest |
		"attr-" + @uri | gsub("(?<c>[!*\u0027()])"; $rest[.c]);'

# write_passed DIR: the variables that are passed in files, each in one.
write_passed() {
	local name file
	while IFS= read -r -d '' name && IFS= read -r -d '' file; do
		jq -j --arg name "$name" '.env[$name]' "$work/drv" >"$1/$file"
	done < <(jq -j "$passed_as_file"' passed[] | ., file | . + "\u0000"' "$work/drv")
}

# The attributes as a text for bash, as a filter of jq: those of which bash can hold the name
# and the value.
attributes_sh='
	def word: if type == "string" then @sh elif . == null then "\u0027\u0027" elif . == true then "1"
		elif . == false then "" elif type == "number" and . == floor then tostring else null end;
	to_entries[] | select(.key | test("\\A[A-Za-z_][A-Za-z0-9_]*\\z")) | .key as $key | .value |
	if type == "array" then map(word) | select(all) | "declare -a \($key)=(\(join(" ")))"
	elif type == "object" then map_values(word) | select(all) |
		"declare -A \($key)=(\([to_entries[] | "[\(.key | @sh)]=\(.value)"] | join(" ")))"
	else word | values | "declare \($key)=\(.)" end'

# print_attributes FILTER: what the jq filter makes of the attributes of the derivation, with the
# paths of its outputs.
print_attributes() {
	jq -r '(.outputs | map_values(.path)) as $outputs | .env.__json | fromjson | .outputs = $outputs | '"$1" "$work/drv"
}

# Makes $work/shell, the files of the image that are made of the derivation.
make_files() {
	local build=$work/shell/build dir=$work/shell$nix_shell_dir
	mkdir -p "$build" "$dir/bin"
	print_rc >"$dir/rc"
	{
		printf '#!%s\nexec ' "$shell"
		jq -r '[.builder] + .args | @sh' "$work/drv"
	} >"$dir/bin/buildDerivation"
	chmod 755 "$dir/bin/buildDerivation"
	if [ "$(jq '.env | has("__json")' "$work/drv")" = true ]; then
		print_attributes tojson >"$build/.attrs.json"
		print_attributes "$attributes_sh" >"$build/.attrs.sh"
	else
		write_passed "$dir"
	fi
}

# Prints the variables of the environment, as an object.
print_environment() {
	jq --arg dir "$nix_shell_dir" --arg bin "${shell%/*}" --arg home "${key[homeDirectory]-/build}" '
		def each($value): map({key: ., value: $value}) | from_entries;
		'"$passed_as_file"'
		passed as $passed |
		(["SSL_CERT_FILE", "NIX_SSL_CERT_FILE"] | each("/etc/ssl/certs/ca-bundle.crt")) +
		{PATH: "\($bin):\($dir)/bin", HOME: $home, NIX_STORE: (.path | sub("/[^/]*$"; "")), NIX_BUILD_CORES: "1"} +
		if .env.__json then
			{NIX_ATTRS_JSON_FILE: "/build/.attrs.json", NIX_ATTRS_SH_FILE: "/build/.attrs.sh"}
		else
			.env | with_entries(.key as $key | if IN($key; $passed[]) then
				{key: "\($key)Path", value: "\($dir)/\($key | file)"} else . end)
		end +
		(.outputs | map_values(.path)) +
		(["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] | each("/build")) +
		{TERM: "xterm-256color"}' "$work/drv"
}

# Prints the spec of the layered image that the spec of a derivation comes to, as $spec_fields.
print_layered_spec() {
	print_environment >"$work/environment"
	jq -j --slurpfile drv "$work/drv" --slurpfile env "$work/environment" --arg files "$work/shell" \
		--arg shell "$shell" --arg rc "$nix_shell_dir/rc" --arg certificates "$(helper_find caCertificates)" '
		(.uid // 1000) as $uid | (.gid // 1000) as $gid |
		{x86_64: "amd64", aarch64: "arm64", i686: "386", armv7l: "arm"} as $architectures |
		.name //= ($drv[0].name | gsub("[^0-9A-Za-z]*[^0-9A-Za-z._-][^0-9A-Za-z]*"; "-")) + "-env" |
		.architecture //= $architectures[$drv[0].system | sub("-.*"; "")] |
		.contents = ["binSh", "usrBinEnv", {
				helper: "fakeNss",
				extraPasswdLines: ["nixbld:x:\($uid):\($gid):Build user:\($env[0].HOME):/noshell"],
				extraGroupLines: ["nixbld:!:\($gid):"]
			}, ($certificates | select(. != "") | "caCertificates"), .contents, $files] |
		.config = {
			User: "\($uid):\($gid)",
			WorkingDir: "/build",
			Cmd: [$shell, (select(.run == null) | "--rcfile"), $rc],
			Env: [$env[0] | keys[] as $key | "\($key)=\(.[$key])"]
		} |
		("nix etc/nix build .\($env[0].NIX_STORE | @sh)") as $own |
		.fakeRootCommands = "mkdir -p nix/var/nix \($own); chown -R \($uid):\($gid) \($own)" |
		.databaseOwner = "\($uid):\($gid)" |
		del(.uid, .gid) | '"$spec_fields" <<<"$spec"
}

# Reads the spec's keys and does all that may fail by what it says.
nix_shell_prepare() {
	local fields inputs
	[ ! -v 'key[run]' ] || [ ! -v 'key[command]' ] || die 'run and command: only one of them'
	make_work
	find_derivation
	find_inputs
	find_shell
	make_files
	inputs=${key[inputs]}
	mapfile -d '' -t fields < <(print_layered_spec)
	take_fields "${fields[@]}"
	key[inputs]=$inputs
	layered_prepare inputs contents shell
}
