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

die() {
	printf '%s: %s\n' "$self" "$1" >&2
	exit 1
}

die_usage() {
	printf "%s: %s: try '%s --help'\n" "$self" "$1" "$self" >&2
	exit 2
}

# spec_args HELP ARG...: the command line that all scripts have. Sets $spec_file, and
# $store, the options that dt-closure and dt-layer get.
spec_args() {
	local help=$1
	shift
	store=() spec_file=-
	while [ $# -gt 0 ]; do
		case $1 in
		--help)
			printf '%s\n' "$help" 2>/dev/null || die 'standard output: cannot be written'
			exit 0
			;;
		--version)
			printf '%s\n' "$self $(dt-layer --version | cut -d ' ' -f 2)" 2>/dev/null ||
				die 'standard output: cannot be written'
			exit 0
			;;
		--store)
			[ $# -gt 1 ] || die_usage "'--store' needs an argument"
			store=(--store "$2")
			shift
			;;
		--store=*) store=(--store "${1#*=}") ;;
		--)
			shift
			break
			;;
		-?*) die_usage "unknown option '$1'" ;;
		*) break ;;
		esac
		shift
	done
	[ $# -le 1 ] || die_usage "unexpected operand '$2'"
	[ $# -eq 0 ] || spec_file=$1
}

# spec_read TYPES: reads $spec_file into $spec and checks it. TYPES is a JSON object of
# all keys: "string", "integer", "boolean", "object", "paths" (a string or a list of
# them), or "later" for what dt does not do yet. null is as good as not there.
spec_read() {
	local problem what=$spec_file
	if [ "$spec_file" = - ]; then
		what=stdin
		spec=$(cat)
	else
		spec=$(cat -- "$spec_file" 2>/dev/null) || die "$what: cannot be read"
	fi
	[ -n "$spec" ] || die "$what: empty, a JSON object is expected"
	spec=$(jq -cs 'if length == 1 then .[0] else error end' <<<"$spec" 2>/dev/null) ||
		die "$what: not one JSON object"
	# shellcheck disable=SC2016 # these are jq's variables
	problem=$(jq -r --argjson types "$1" '
		def is($t):
			if $t == "integer" then type == "number" and . == floor and . >= 0
			elif $t == "paths" then type == "string" or
				(type == "array" and all(.[]; type == "string"))
			else type == $t end;
		if type != "object" then "the spec is not a JSON object"
		else first((to_entries[] | select(.value != null) |
			if $types[.key] == null then "unknown key \(.key)"
			elif $types[.key] == "later" then "\(.key) is not supported yet"
			elif .key as $k | .value | is($types[$k]) | not then
				"\(.key) is not of type \($types[.key])"
			else empty end),
			if .name == null then "the key name is missing" else empty end)
		end // empty' <<<"$spec") || die "$what: not one JSON object"
	[ -z "$problem" ] || die "$what: $problem"
}

# spec_get FILTER: what the jq filter makes of the spec, as text; nothing for null.
spec_get() { jq -r "($1) // empty" <<<"$spec"; }

# spec_list ARRAY FILTER: sets the array to the strings that the filter yields.
spec_list() { mapfile -d '' -t "$1" < <(jq -j "($2) | . + \"\\u0000\"" <<<"$spec"); }

# Makes $work, a scratch folder that goes away with the script, after the command $at_exit.
make_work() {
	at_exit=:
	work=$(mktemp -d "${TMPDIR:-/tmp}/$self.XXXXXX") || die 'cannot make a scratch folder'
	trap 'trap "" HUP INT TERM; set +e; "$at_exit"; chmod -R u+rwX "$work" 2>/dev/null; rm -rf "$work"' EXIT
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
}
