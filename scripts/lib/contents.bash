# The keys copyToRoot and contents of a specification: the files at the root of an image.
# contents.jq describes the values. Load this file after env.bash.
#
#     resolve_contents contents
#     read_parts parts contents false
# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # variables are set by name and by spec.bash, and jq's

contents_count=0

# resolve_contents KEY: checks the value of this key and replaces it by a list. In the list,
# symlinks to store paths are replaced by the store paths.
resolve_contents() {
	local strings path real=()
	[ -v "key[$1]" ] || return 0
	read_strings strings jq -L "$lib" -j --arg key "$1" \
		'include "contents"; .[$key] | (contents_problem, unresolved) + "\u0000"' "$work/spec"
	[ -z "${strings[0]}" ] || die "$1: ${strings[0]}"
	for path in "${strings[@]:1}"; do
		real_path "$1" "$path"
		! is_store_path "$REPLY" || real+=("$path" "$REPLY")
	done
	spec_change 'include "contents"; $ARGS.positional as $a |
		.[$key] |= resolved([range(0; $a | length; 2) | {key: $a[.], value: $a[. + 1]}] | from_entries)' \
		--arg key "$1" --args "${real[@]}"
}

# read_parts ARRAY KEY ENV: sets the array to the parts of this key. Each part is three strings, see
# contents.jq.
read_parts() {
	read_strings "$1" jq -L "$lib" -j --arg key "$2" --argjson env "$3" \
		'include "contents"; .[$key] // [] | parts($env) + "\u0000"' "$work/spec"
}

# part_tree KEY KIND VALUE DIRECTORIES: sets $REPLY to a directory with the files of a part of the
# kind path or helper. For a store path, these are symlinks to its files.
part_tree() {
	REPLY=$3
	if [ "$2" = helper ]; then
		spec_helper "$1" "$3"
	elif is_store_path "$3"; then
		new_directory "${3##*/}"
		unpack_layer "$REPLY" --links "$3"
	fi
	[ -z "$4" ] || pick_directories "$REPLY" "$4"
}

# new_directory NAME: makes an empty directory of this name. Sets $REPLY to it.
new_directory() {
	REPLY=$work/contents/$((contents_count += 1))/$1
	run mkdir -p "$REPLY"
}

# pick_directories TREE DIRECTORIES: sets $REPLY to a copy of TREE with only these directories, one
# per line.
pick_directories() {
	local names name above
	mapfile -t names <<<"$2"
	new_directory "${1##*/}"
	for name in "${names[@]}"; do
		[ -d "$1/$name" ] || continue
		above=$REPLY/$name
		run mkdir -p "$above"
		run cp -a -- "$1/$name/." "$above"
	done
}

# spec_helper KEY JSON: makes the environment helper of a JSON object in this key. Sets $REPLY to
# its directory. If the object names no package, the graph $work/named is searched for one.
spec_helper() {
	local fields name package n dir passwd group
	printf '%s' "$2" >"$work/helper"
	read_strings fields jq -L "$lib" -j 'include "contents"; helper_fields + "\u0000"' "$work/helper"
	name=${fields[0]} package=${fields[1]} n=${fields[2]}
	join_lines "$1: $name: extraPasswdLines" 7 "${fields[@]:3:n}"
	passwd=$REPLY
	join_lines "$1: $name: extraGroupLines" 4 "${fields[@]:3+n}"
	group=$REPLY
	new_directory "$name"
	dir=$REPLY
	if [ -n "$package" ]; then
		helper_target "$1: $name" "$name" "$package"
	else
		helper_find "$name"
	fi
	helper_make "$1: $name" "$name" "$dir" "$REPLY" "$passwd" "$group"
	REPLY=$dir
}
