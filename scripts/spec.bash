# What the scripts share: the command line, the JSON spec, the tools, a scratch folder.
# shellcheck shell=bash disable=SC2034 # the scripts use what is set here
set -euo pipefail
export LC_ALL=C
unset BASH_ENV CDPATH GREP_OPTIONS TAR_OPTIONS
umask 022

self=$(basename "$0")
here=$(dirname "$(readlink -f "$0")")
# The filters: beside the script where both are installed, or where make puts them.
export PATH="$here:${DT_BUILD:-$here/../build}:$PATH"

# die TEXT: one line, whatever names are in it.
die() {
	printf '%s: %s\n' "$self" "${1//[[:cntrl:]]/?}" >&2
	exit 1
}

# print TEXT: as a line on standard output.
print() { printf '%s\n' "$1" 2>/dev/null || die 'standard output: cannot be written'; }

die_usage() {
	printf "%s: %s: try '%s --help'\n" "$self" "${1//[[:cntrl:]]/?}" "$self" >&2
	exit 2
}

# parse_args HELP ARG...: the command line, by the options that HELP lists, a line
# `  --name TEXT` or `  --name ARG  TEXT` each. Answers --help and --version; sets $options,
# the name and the value of each other one by turns, and $operands.
parse_args() {
	local help=$1 name
	shift
	options=() operands=()
	while [ $# -gt 0 ]; do
		name=${1%%=*}
		if [ "$1" = -- ]; then
			operands+=("${@:2}")
			return
		elif [[ $1 != -?* ]]; then
			operands+=("$1")
		elif [[ $help == *$'\n  '"$name "[A-Z]* ]]; then
			if [[ $1 == *=* ]]; then
				options+=("$name" "${1#*=}")
			else
				[ $# -gt 1 ] || die_usage "'$name' needs an argument"
				options+=("$name" "$2")
				shift
			fi
		elif [[ $help != *$'\n  '"$name  "* ]]; then
			die_usage "unknown option '$1'"
		elif [[ $1 == *=* ]]; then
			die_usage "'$name' takes no argument"
		else
			case $name in
			--help)
				print "$help"
				exit
				;;
			--version)
				print "$self $(dt-layer --version | cut -d ' ' -f 2)"
				exit
				;;
			esac
			options+=("$name" '')
		fi
		shift
	done
}

# spec_args HELP ARG...: the command line of a script that reads a spec; --store only where
# HELP has it. Sets $spec_file; $store, the options that dt-closure and dt-layer get; and
# $print_build_args.
spec_args() {
	parse_args "$@"
	[ "${#operands[@]}" -le 1 ] || die_usage "unexpected operand '${operands[1]}'"
	spec_file=${operands[0]--} store=() print_build_args=false
	set -- "${options[@]}"
	while [ $# -gt 0 ]; do
		case $1 in
		--store) store=(--store "$2") ;;
		--print-build-args) print_build_args=true ;;
		esac
		shift 2
	done
}

# What the script knows of a spec, as a filter of jq on it: all of it, and the name and the
# value of each key, a string as it is and all else as JSON. A NUL ends each.
# shellcheck disable=SC2034 # nix-shell.bash uses it
spec_fields='tojson, (to_entries[] | select(.value != null) | .key, (.value | strings // tojson)) | . + "\u0000"'

# take_fields FIELD...: sets $spec, and the array $key, to what $spec_fields yielded. A key that
# has no value, or null, is not set.
declare -A key
take_fields() {
	spec=$1 key=()
	shift
	while [ $# -gt 0 ]; do
		key[$1]=$2
		shift 2
	done
}

# spec_read KEYS: reads $spec_file into $spec and $key and checks it. KEYS is a JSON object of
# all keys, each with a list of its type and its default; without one, the key is required.
# Types are "string", "integer", "boolean", "object", "list", "paths" (a string or a list
# of them), "contents" (the same, where an object of a "helper" may stand for a string),
# "roots" (the same, and an object of "paths" too), "any", or "later" for what dt does not do
# yet. null is as good as not there.
spec_read() {
	local text fields what=$spec_file
	if [ "$spec_file" = - ]; then
		what=stdin
		text=$(cat)
	else
		text=$(cat -- "$spec_file" 2>/dev/null) || die "$what: cannot be read"
	fi
	[ -n "$text" ] || die "$what: empty, a JSON object is expected"
	# shellcheck disable=SC2016 # these are jq's variables
	mapfile -d '' -t fields < <(jq -js --argjson keys "$1" '
		def is_content: type == "string" or (type == "object" and (.helper | type == "string"));
		def is_root: is_content or (type == "object" and (.paths | type == "array"));
		def is($t):
			if $t == "integer" then type == "number" and . == floor and . >= 0
			elif $t == "list" then type == "array"
			elif $t == "any" then true
			elif $t == "paths" then type == "string" or
				(type == "array" and all(.[]; type == "string"))
			elif $t == "contents" then is_content or (type == "array" and all(.[]; is_content))
			elif $t == "roots" then is_root or (type == "array" and all(.[]; is_root))
			else type == $t end;
		def problem:
			. as $spec |
			if type != "object" then "the spec is not a JSON object"
			else first((to_entries[] | select(.value != null) |
				if $keys[.key] == null then "unknown key \(.key)"
				elif $keys[.key][0] == "later" then "\(.key) is not supported yet"
				elif .key as $k | .value | is($keys[$k][0]) | not then
					"\(.key) is not of type \($keys[.key][0])"
				elif .value | type == "string" and (explode | index(0)) then "\(.key) has a NUL"
				else empty end),
				($keys | to_entries[] | select((.value | length) == 1 and $spec[.key] == null) |
					"the key \(.key) is missing")) // ""
			end;
		if length == 1 then .[0] else error end | problem as $problem |
		$problem + "\u0000", (select($problem == "") | '"$spec_fields"')' <<<"$text" 2>/dev/null)
	[ "${#fields[@]}" -gt 0 ] || die "$what: not one JSON object"
	[ -z "${fields[0]}" ] || die "$what: ${fields[0]}"
	take_fields "${fields[@]:1}"
	[ "$print_build_args" = false ] || print_args "$1"
}

# print_args KEYS: the spec with the defaults filled in, on standard output; ends the script.
print_args() {
	# shellcheck disable=SC2016 # these are jq's variables
	jq --argjson keys "$1" '. as $spec | $keys | with_entries(
		.value = if $spec[.key] == null then .value[1] else $spec[.key] end)' <<<"$spec" 2>/dev/null ||
		die 'standard output: cannot be written'
	exit 0
}

# key_options ARRAY [OPTION KEY]...: sets the array to those of the options, of tools, whose keys
# have values; with these.
key_options() {
	local -n array=$1
	shift
	array=()
	while [ $# -gt 0 ]; do
		[ ! -v "key[$2]" ] || array+=("$1" "${key[$2]}")
		shift 2
	done
}

# spec_list ARRAY FILTER: sets the array to the strings that the jq filter yields of the spec.
spec_list() {
	mapfile -d '' -t "$1" < <(jq -j "($2) | . + \"\\u0000\"" <<<"$spec")
}

# static_busybox: prints where this machine has one that needs no libraries; returns 1 where
# it has none.
static_busybox() {
	local file
	while IFS= read -r file; do
		[[ $(ldd "$file" 2>/dev/null) != */* ]] || continue
		printf '%s\n' "$file"
		return
	done < <(type -aP busybox busybox.static)
	return 1
}

# make_work [PATH]: makes $work, a scratch folder, beside PATH if that is not empty. It goes
# away with the script, after the command $at_exit.
make_work() {
	local path=${1:-${TMPDIR:-/tmp}/$self}
	at_exit=:
	work=$(mktemp -d "$path.XXXXXX" 2>/dev/null) || die "cannot make a scratch folder $path.XXXXXX"
	trap 'trap "" HUP INT TERM; set +e; "$at_exit"; chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}
