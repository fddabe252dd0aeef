# Functions for scripts that make images: files, commands, store paths and the archive. Load this
# file after spec.bash, whose $key, $store and $work it uses.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set by name, and by spec.bash

# graph_paths ARRAY GRAPH: sets the array to the store paths in the file GRAPH, dt-graph(5).
graph_paths() {
	local -n graph_lines=$1
	mapfile -t graph_lines <"$2"
	graph_lines=("${graph_lines[@]%% *}")
}

# is_store_path PATH: succeeds if PATH looks like a store path or a path in one.
is_store_path() { [[ $1 =~ ^(/.+)?/[0-9a-z]{32}-[^/]+(/.*)?$ ]]; }

# real_path KEY PATH: sets $REPLY to the file that a path of the specification refers to, in the
# spelling of Nix. A file in the store may be a symlink, because the image has its target. Other
# symlinks are followed: they may lead into the store, as ./result does, even if the store has
# another place on this machine.
real_path() {
	local symlinks
	for symlinks in -s -P; do
		may_fail realpath -zm "$symlinks" -- "$2" >"$work/output" || die "$1: $2: no such path"
		read_output
		if is_store_path "$REPLY"; then
			path_in_store
			return
		fi
	done
	may_fail realpath -ze -- "$2" >"$work/output" || die "$1: $2: no such path"
	read_output
}

# path_in_store: changes $REPLY from a file of the system that --store names to its path in that
# system.
path_in_store() {
	local path=$REPLY symlinks
	[ "${#store[@]}" -gt 0 ] || return 0
	for symlinks in -s -P; do
		run realpath -zm "$symlinks" -- "${store[1]}" >"$work/output"
		read_output
		REPLY=${REPLY%/}
		[[ $path != "$REPLY"/nix/store/* && $path != "$REPLY"/gnu/store/* ]] || path=${path#"$REPLY"}
	done
	REPLY=$path
}

# run_commands KEY DIR: runs the commands of this key in DIR. Their output goes to stderr. DT_ROOT is for
# root_kill.
run_commands() {
	local status=0
	{ (release_locks && cd "$2" && exec env "DT_ROOT=${work##*/}" bash -eo pipefail -c "${key[$1]}") </dev/null >&3 2>&3 3>&-; } 3>&2 2>/dev/null ||
		status=$?
	[ "$status" -eq 0 ] || die "$1 failed with status $status"
}

# unpack_layer DIR OPTION...: unpacks the layer that dt-root makes with these options into DIR.
unpack_layer() {
	run dt-root --raw "${store[@]}" "${@:2}" >"$work/unpacked.tar"
	run tar --no-unquote --no-same-owner --warning=no-unknown-keyword -xpf "$work/unpacked.tar" -C "$1"
	run rm "$work/unpacked.tar"
}

# run_as_root TREE [FROM...]: runs the commands of runAsRoot as root, on top of the base image and
# TREE. The options FROM name the base image. Afterwards TREE has the files of the resulting layer,
# and $work/directories lists its directories. The commands can read the closure of the store paths
# in $work/named, and of those that they mention. TREE belongs to root_begin, so load root.bash
# first.
run_as_root() {
	local tree=$1 base=("${@:2}") limits bound path binds=()
	command -v bsdtar >/dev/null || die 'runAsRoot needs bsdtar, of libarchive-tools'
	command -v fakeroot >/dev/null || die 'runAsRoot needs fakeroot'
	[ "${#base[@]}" -gt 0 ] || base=(--no-image)
	write_script "$work/runAsRoot" binds
	key_texts runAsRoot >"$work/texts"
	graph_paths bound "$work/named"
	run dt-closure "${store[@]}" "${references[@]}" --text "${bound[@]}" <"$work/texts" >"$work/bound"
	graph_paths bound "$work/bound"
	for path in "${bound[@]}"; do
		locate "$path"
		binds+=(--bind "$REPLY:$path")
	done
	key_options limits --disk-size diskSize --memory buildVMMemorySize
	run_script "${base[@]}" --add-tree "$tree" "${binds[@]}" "${limits[@]}" "$work/runAsRoot" >"$work/archive"
	run tar -xOf "$work/archive" --wildcards 'blobs/sha256/*' >"$work/run"
	run rm -r "$work/archive" "$tree"
	run mkdir "$tree"
	unpack_run "$tree"
}

# run_script ARG...: runs dt-vmrun. If it fails, the script exits with one message: the reason of
# dt-vmrun, unless that is the status alone, and the status.
run_script() {
	local statuses=(0 0) reason=''
	{ (release_locks && exec env "DT_ROOT=${work##*/}" dt-vmrun "$@") 2>&1 >&4 4>&- | pass_lines >&3 4>&-; } 3>&2 4>&1 2>/dev/null || statuses=("${PIPESTATUS[@]}")
	[ "${statuses[1]}" -eq 0 ] || die 'runAsRoot: its output cannot be passed on'
	[ "${statuses[0]}" -ne 0 ] || return 0
	IFS= read -r reason <"$work/messages" || true
	reason=${reason#dt-vmrun: }
	reason=${reason#"$work/runAsRoot: "}
	[[ $reason != "exit status "* ]] || reason=''
	die "${reason:+$reason: }runAsRoot failed with status ${statuses[0]}"
}

# pass_lines: copies standard input to standard output. If the last line is a message of dt-vmrun,
# it is written to $work/messages instead. The script's output before it may lack the final newline.
pass_lines() {
	local line held='' about="dt-vmrun: $work/runAsRoot: "
	while IFS= read -r line || [ -n "$line" ]; do
		[ -z "$held" ] || printf '%s\n' "$held"
		held=''
		if [[ $line == 'dt-vmrun: '* ]]; then
			held=$line
		elif [[ $line == *"$about"* ]]; then
			held=$about${line##*"$about"}
			printf '%s\n' "${line%"$about"*}"
		else
			printf '%s\n' "$line"
		fi
	done
	printf '%s\n' "$held" >"$work/messages"
}

# write_script FILE ARRAY: writes the script of runAsRoot, which exits at the first command that
# fails. Appends the required options of dt-vmrun to the array. A text without #! is run by the bash
# that runs this script, because the image may have none. Line numbers in messages are those of the
# text.
write_script() {
	local -n script_options=$2
	local text=${key[runAsRoot]} first shell
	first=${text%%$'\n'*}
	if [[ $first != '#!'* ]]; then
		copy_bash "$work/bash"
		printf '%s\n' "$text" >"$work/bash/runAsRoot"
		script_options+=(--bind "$work/bash:/.bash")
		shell=/.bash/bash
		[ -z "$REPLY" ] || shell="/.bash/$REPLY --library-path /.bash --argv0 bash $shell"
		text=$'#!/.dt/bin/sh\n'"exec $shell -e /.bash/runAsRoot"
	elif [[ $first =~ ^#!.*[/\ ](ba|da|a)?sh([[:space:]].*)?$ && $text == *$'\n'* ]]; then
		text=$first$'\nset -e; '${text#*$'\n'}
	fi
	printf '%s\n' "$text" >"$1"
}

# copy_bash DIR: makes DIR with the bash that runs this script and its libraries. Sets $REPLY to the
# file name of their loader, or to nothing if this bash is static.
copy_bash() {
	local loader files
	bash_loader
	loader=$REPLY
	run mkdir "$1"
	run cp -L -- "$BASH" "$1/bash"
	REPLY=''
	[ -n "$loader" ] || return 0
	list_libraries files "$loader" "$BASH"
	run cp -L -t "$1" -- "$loader" "${files[@]}"
	REPLY=${loader##*/}
}

# unpack_run TREE: unpacks the tar $work/run into TREE under fakeroot. Lists its directories in
# $work/directories. The root is listed only if it is in the tar.
unpack_run() {
	local dir
	printf -v dir %q "$work"
	root_begin runAsRoot "$1" false
	# bash prints no message if a signal kills one of the programs.
	root_do runAsRoot "
		exec 3>&2 2>/dev/null
		export LC_ALL=C.UTF-8
		bsdtar -xSpf $dir/run 2>&3
		bsdtar -tf $dir/run 2>&3 | sed -n '1s,^\./\$,.,p' 2>&3 | tr '\\n' '\\0' 2>&3 >$dir/directories
		find . -mindepth 1 -type d -print0 2>&3 >>$dir/directories"
	run rm "$work/run"
}

# locate PATH: sets $REPLY to the place of the store path on this machine.
locate() {
	local dir=${store[1]:-}
	REPLY=$1
	[ -n "$dir" ] || return 0
	[ -d "$dir/nix/store" ] || [ -d "$dir/gnu/store" ] || REPLY=/${1##*/}
	run realpath -zs -- "$dir$REPLY" >"$work/output"
	read_output
}

# key_texts KEY...: prints the values of these keys, each followed by a newline.
key_texts() {
	local name
	for name; do
		printf '%s\n' "${key[$name]-}"
	done
}

# find_named [--ignore-missing] KEY...: writes to $work/named the closure of the store paths that
# these keys mention. Without the option, a missing store path is an error.
find_named() {
	local option=() names
	[ "$1" != --ignore-missing ] || option=("$1")
	shift ${#option[@]}
	names=$*
	key_texts "$@" >"$work/texts"
	run_about "${names// /, }" stdin dt-closure "${verbose[@]}" "${store[@]}" "${references[@]}" --text "${option[@]}" \
		<"$work/texts" >"$work/named"
}

# find_graph FILE LAYER PATH...: writes to FILE the graph of all store paths that the image needs:
# the closure of the PATHs and of those that the tar LAYER mentions. Missing mentions are ignored.
find_graph() {
	run dt-closure "${verbose[@]}" "${store[@]}" "${references[@]}" --text --ignore-missing "${@:3}" <"$2" >"$1"
}

# find_needed ARRAY KEY: sets the array to the references of the store paths that this key mentions.
# An image with copies of these store paths needs their references, but the paths themselves only if
# something refers to them. The graph of all is in $work/named.
find_needed() {
	local -n needed_paths=$1
	local lines line
	needed_paths=()
	mapfile -t lines <"$work/named"
	for line in "${lines[@]}"; do
		[[ ${key[$2]-} == *"${line%% *}"* ]] || continue
		read -ra line <<<"$line"
		needed_paths+=("${line[@]:2}")
	done
}

# leave_out_base GRAPH OPTION...: removes the store paths of the base image from the file GRAPH. The
# options are those of dt-flatten that name the base image.
leave_out_base() {
	run dt-flatten --no-verify --list "${@:2}" >"$work/base"
	# shellcheck disable=SC2094 # it is read twice, and not written
	run dt-closure --graph "$1" --exclude "$work/base" --text <"$1" >"$work/output"
	run cp "$work/output" "$1"
}

# make_database GRAPH KEY...: makes in $work/db the Nix database for the store paths of the graph,
# and garbage collector roots for those that these keys mention.
make_database() {
	if [ -s "$1" ]; then
		key_texts "${@:2}" >"$work/roots"
		run dt-nixdb "${verbose[@]}" "${store[@]}" --tree "$work/db" --roots "$work/roots" <"$1"
	else # Nix creates an empty database itself
		run mkdir -p "$work/db/nix/var/nix/db" "$work/db/nix/var/nix/gcroots/docker"
	fi
}

# find_compressor ARRAY: sets the array to the filter that the key compressor selects. In an OCI
# image layout, it compresses the layers.
find_compressor() {
	local -n compressor=$1
	local format=${key[compressor]-gz} option=()
	[ "${#image_format[@]}" -eq 0 ] || option=(--layers)
	case $format in
	none) compressor=(dt-compress "${verbose[@]}" --format none) ;;
	gz | zstd) compressor=(dt-compress "${verbose[@]}" --format "$format" "${option[@]}") ;;
	*) die "compressor must be none, gz or zstd, not '$format'" ;;
	esac
}

# check_image OPTION...: checks the configuration, the annotations and these options of dt-manifest.
# The script exits here if they are wrong, before the long steps.
check_image() {
	printf '%s\n' "${key[config]-"{}"}" >"$work/config"
	printf '%s\n' "${key[annotations]-"{}"}" >"$work/annotations"
	run mkdir "$work/empty"
	run dt-root --no-cache --tree "$work/empty" >"$work/empty.tar"
	run_about config "$work/config" dt-manifest "$@" --config "$work/config" \
		--annotations "$work/annotations" <"$work/empty.tar" >"$work/output"
}

# write_image ARRAY OPTION...: writes the image to standard output, compressed if $compress is true.
# The array is a command that prints the layers. The options are those of dt-manifest, and may be followed
# by files with layers, in which - stands for the output of the command.
write_image() {
	local -n layers_command=$1
	local filter=() held statuses
	[ "$compress" != true ] || find_compressor filter
	{ held=$(image_pipeline "${image_format[@]}" "${@:2}" 3>&1 >&4 4>&-); } 4>&1
	read -ra statuses <<<"${held##*$'\n'}"
	held=${held%"${held##*$'\n'}"}
	[ "${statuses[*]}" = 0 ] || end_pipeline "$held" "${statuses[@]}"
	printf %s "$held" >&2
}

# image_pipeline OPTION...: runs the pipeline of write_image. Its messages about the layers go to stderr.
# Prints the messages of dt-manifest and dt-compress on descriptor 3, and then a line: the statuses of the
# programs, or 0.
image_pipeline() {
	local statuses=(0)
	if [ "${#filter[@]}" -gt 0 ]; then
		{ "${layers_command[@]}" 2>&5 3>&- | dt-manifest "${verbose[@]}" "$@" 2>&3 | "${filter[@]}" 2>&3; } 5>&2 2>/dev/null ||
			statuses=("${PIPESTATUS[@]}")
	else
		{ "${layers_command[@]}" 2>&5 3>&- | dt-manifest "${verbose[@]}" "$@" 2>&3; } 5>&2 2>/dev/null || statuses=("${PIPESTATUS[@]}")
	fi
	printf '%s\n' "${statuses[*]}" >&3
}

# end_pipeline MESSAGES STATUS...: exits because the pipeline of layers, dt-manifest and dt-compress
# failed with these statuses. Prints those of their MESSAGES that do not follow from an error that
# another program has printed. A killed program has printed no message. If no other program has printed
# one, this function names the killed program. One that SIGPIPE (13) killed is not named: its reader
# failed.
end_pipeline() {
	local programs=('the program that prints the layers' dt-manifest dt-compress) messages=$1 i killed='' status=''
	shift
	for i in "${!programs[@]}"; do
		[ "$i" -eq 0 ] || pass_messages "${programs[i]}" "$status" <<<"$messages"
		case ${*:i+1:1} in
		'' | 0 | 141) ;;
		2) status=${status:-2} ;; # a filter rejected an option
		129 | 1[3-9]?) killed=${killed:-"${programs[i]} was killed"} ;;
		*) status=${status:-1} ;;
		esac
	done
	[ -n "$status" ] || [ -z "$killed" ] || die "$killed"
	exit "${status:-1}"
}

# pass_messages PROGRAM FAILED: copies the messages of the program from standard input to stderr. If FAILED
# is not empty, another program before it has printed an error. Then it leaves out messages about standard
# input, which is incomplete, and about the base image, which the other program has read, too.
pass_messages() {
	local line
	while IFS= read -r line; do
		[[ $line == "$1: "* ]] || continue
		[[ -n $2 && ($line == "$1: stdin: "* || $line == "$1: ${key[fromImage]-stdin}: "*) ]] || printf '%s\n' "$line" >&2
	done
}
