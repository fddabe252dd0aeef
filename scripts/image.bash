# What the scripts that make images share. After spec.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # the scripts use what is set here

# image_options: sets the arrays $image, $from and $arch, options of dt-manifest.
image_options() {
	key_options image --name name --tag tag --created created
	key_options from --from fromImage --from-name fromImageName --from-tag fromImageTag
	key_options arch --arch architecture
	printf '%s\n' "${key[config]-"{}"}" >"$work/config"
}

# is_store_path PATH: it is one, or in one, going by how it reads.
is_store_path() { [[ $1 =~ ^(/.+)?/[0-9a-z]{32}-[^/]+(/.*)?$ ]]; }

# real_path KEY PATH: what a path of the spec stands for. A link to a store path works in
# the image; a link to anything else would not.
real_path() {
	if is_store_path "$2"; then
		printf '%s\n' "$2"
	else
		realpath -e -- "$2" 2>/dev/null || die "$1: $2: no such path"
	fi
}

# run_commands KEY DIR: runs the commands of this key in DIR.
run_commands() {
	(cd "$2" && exec bash -eo pipefail -c "${key[$1]}") </dev/null >&2 || die "$1 failed with status $?"
}

# unpack_layer DIR OPTION...: the files of a layer of dt-layer, in DIR.
unpack_layer() {
	local dir=$1
	shift
	dt-layer --raw "${store[@]}" "$@" >"$work/unpacked.tar"
	tar --warning=no-unknown-keyword --no-same-owner -xpf "$work/unpacked.tar" -C "$dir"
	rm "$work/unpacked.tar"
}

# run_as_root TREE: runs the commands of runAsRoot as root, on top of the base image and
# of what is in TREE, in which the layer of what is new then, TREE's files too, is unpacked;
# its folders are listed in $work/folders. The store paths that the commands mention are
# there, with all that they need. After root.bash.
run_as_root() {
	local base=("${from[@]}") binds=() path
	command -v bsdtar >/dev/null || die 'runAsRoot needs bsdtar, of libarchive-tools'
	command -v fakeroot >/dev/null || die 'runAsRoot needs fakeroot'
	[ "${#base[@]}" -gt 0 ] || base=(--no-image)
	write_script "$work/runAsRoot"
	dt-closure "${store[@]}" --text <<<"${key[runAsRoot]}" >"$work/bound"
	while read -r path; do
		binds+=(--bind "$(locate "$path"):$path")
	done < <(cut -d ' ' -f 1 "$work/bound")
	key_options limits --disk-size diskSize --memory buildVMMemorySize
	dt-vmrun "${base[@]}" --tree "$1" "${binds[@]}" "${limits[@]}" "$work/runAsRoot" >"$work/archive" ||
		die "runAsRoot failed with status $?"
	tar --warning=no-unknown-keyword -xOf "$work/archive" --wildcards 'blobs/sha256/*' >"$work/run"
	rm -r "$work/archive" "$1"
	mkdir "$1"
	unpack_run "$1"
}

# write_script FILE: the commands of runAsRoot, a shell's with `set -e`.
write_script() {
	local text first
	text=${key[runAsRoot]}
	first=${text%%$'\n'*}
	if [[ $first =~ ^#!.*[/\ ](ba|da|a)?sh([[:space:]].*)?$ ]]; then
		text=$first$'\nset -e'${text#"$first"}
	elif [[ $first != '#!'* ]]; then
		text=$'set -e\n'$text
	fi
	printf '%s\n' "$text" >"$1"
}

# unpack_run TREE: what is in the tar $work/run, as root. The root is one of the folders
# only if it is in the tar.
unpack_run() {
	local dir
	printf -v dir %q "$work"
	root_begin runAsRoot "$1" false
	root_do runAsRoot "
		export LC_ALL=C.UTF-8
		bsdtar -xSpf $dir/run
		bsdtar -tf $dir/run | sed -n '1s,^\./\$,.,p' | tr '\\n' '\\0' >$dir/folders
		find . -mindepth 1 -type d -print0 >>$dir/folders"
	rm "$work/run"
}

# locate PATH: where the store path lies on this machine.
locate() {
	local dir=${store[1]:-}
	if [ -z "$dir" ]; then
		printf '%s\n' "$1"
	elif [ -d "$dir/nix/store" ] || [ -d "$dir/gnu/store" ]; then
		realpath -s -- "$dir$1"
	else
		realpath -s -- "$dir/${1##*/}"
	fi
}

# key_texts KEY...: prints the values of these keys.
key_texts() {
	local name
	for name; do
		printf '%s\n' "${key[$name]-}"
	done
}

# find_named [--ignore-missing] KEY...: writes to $work/named the graph of the store paths that these
# keys mention, which must be there, with all that they need.
find_named() {
	local option=()
	[ "$1" != --ignore-missing ] || option=("$1")
	shift ${#option[@]}
	key_texts "$@" | dt-closure "${store[@]}" --text "${option[@]}" >"$work/named"
}

# find_graph FILE LAYER: writes to FILE the graph of all store paths that the image needs: those
# in $work/named, and those that LAYER, a tar, mentions, which need not be there.
find_graph() {
	local named
	mapfile -t named < <(cut -d ' ' -f 1 "$work/named")
	dt-closure "${store[@]}" --text --ignore-missing "${named[@]}" <"$2" >"$1"
}

# make_database GRAPH KEY...: makes in $work/db what Nix needs to know the store paths of the
# graph, and to keep those that these keys mention.
make_database() {
	if [ -s "$1" ]; then
		key_texts "${@:2}" >"$work/roots"
		dt-nixdb "${store[@]}" --tree "$work/db" --roots "$work/roots" <"$1"
	else # Nix makes a database of nothing by itself
		mkdir -p "$work/db/nix/var/nix/db" "$work/db/nix/var/nix/gcroots/docker"
	fi
}

# end_pipeline STATUS...: ends the script as its pipeline failed: with 2 if a tool was given
# what it does not take, whatever those before and behind it made of that.
end_pipeline() {
	[[ " $* " == *' 2 '* ]] || exit 1
	exit 2
}

# find_compressor: sets $compress, the filter that the spec's compressor means.
find_compressor() {
	local format=${key[compressor]-gz}
	case $format in
	none | gz | zstd) compress=(dt-compress --format "$format") ;;
	*) die "compressor '$format' is none of none, gz and zstd" ;;
	esac
}
