# The keys copyToRoot and contents of a specification: the files at the root of an image.
# contents.jq describes the values. Load this file after env.bash.
#
#     read_contents parts contents false
# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # variables are set by name and by spec.bash, and jq's

contents_count=0

# read_contents ARRAY KEY ENV: checks the value of this key, and sets the array to its parts. Each part is three
# strings, see contents.jq. Symlinks to store paths are replaced by the store paths, in the specification, too.
read_contents() {
	local strings path real=()
	contents_strings "$2" "$3"
	for path in "${strings[@]:1:strings[0]}"; do
		real_path "$2" "$path"
		[ "$REPLY" = "$path" ] || ! is_store_path "$REPLY" || real+=("$path" "$REPLY")
	done
	if [ "${#real[@]}" -gt 0 ]; then
		spec_change '$ARGS.positional as $a |
			.[$key] |= resolved([range(0; $a | length; 2) | {key: $a[.], value: $a[. + 1]}] | from_entries)' \
			--arg key "$2" --args "${real[@]}"
		contents_strings "$2" "$3"
	fi
	local -n contents_parts=$1
	contents_parts=("${strings[@]:strings[0] + 1}")
}

# contents_strings KEY ENV: sets $strings to the number of the paths that may be symlinks, these paths, and the parts.
contents_strings() {
	strings=(0)
	[ -v "key[$1]" ] || return 0
	read_strings strings jq -L "$lib" -j --arg key "$1" --argjson env "$2" 'include "contents"; .[$key] |
		contents_problem as $problem | ($problem, (select($problem == "") | ([unresolved] | (length | tostring), .[]),
			(resolved({}) | parts($env)))) + "\u0000"' "$work/spec"
	[ -z "${strings[0]}" ] || die "$1: ${strings[0]}"
	strings=("${strings[@]:1}")
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

# spec_helper KEY VALUE: makes the environment helper of a part of this key. Sets $REPLY to its
# directory. If the part names no package, the graph $work/named is searched for one.
spec_helper() {
	local fields name package n dir passwd group
	eval "fields=($2)" # jq has quoted it
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
