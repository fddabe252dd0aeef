# Scripts that read a specification, a JSON object: their command line, and the keys.
#
#     spec_begin 'Reads a JSON object and writes an image.' 'store' 'image_keys' "$@"
#     [ -v 'key[name]' ] && key_options options --name name
# shellcheck shell=bash disable=SC2034,SC2154 # other files set and use variables of this one
declare -gA key

# spec_begin SUMMARY FEATURES KEYS ARG...: parses the command line and reads the specification.
# Handles --print-build-args. Redirects standard output to --output, until output_end.
#
# SUMMARY is the sentence in --help. KEYS is a jq expression for the table of known keys, see spec.jq; in it, $compress
# is whether the image will be compressed. FEATURES are words that allow options:
#
#     compress, format, only    the option of this name
#     hash                      --ignore-hash
#     prepare                   --prepare, and a prepared directory instead of the specification
#     store                     --store and --graph
#     verbose                   --verbose
#
# Makes $work, where the file `spec` is the specification. Sets these variables:
#
#     $key                      see spec_take
#     $store                    options for dt-closure, dt-layer and dt-root
#     $references               options for dt-closure
#     $image_format             options for dt-manifest
#     $only                     options for dt-layer and dt-root
#     $compress, $ignore_hash   true or false
#     $prepare                  the argument of --prepare, or nothing
#     $prepared                 the prepared directory, or nothing
spec_begin() {
	local summary=$1 features=$2 keys=$3 file to=- kind=binary listed='' given=' '
	shift 3
	store=() references=() only=() image_format=() compress=${compress:-false} prepare='' prepared='' ignore_hash=false
	[ -z "${DT_GRAPH-}" ] || references=(--graph "$DT_GRAPH")
	spec_help "$summary" "$features"
	parse_args "$REPLY" "$@"
	[ "${#operands[@]}" -le 1 ] || die_usage "unexpected operand '${operands[1]}'"
	file=${operands[0]--}
	set -- "${options[@]}"
	while [ $# -gt 0 ]; do
		given+="$1 "
		case $1 in
		--store) store=(--store "$2") ;;
		--graph) references=(--graph "$2") ;;
		--only) listed=$2 ;;
		--prepare) prepare=$2 ;;
		--ignore-hash) ignore_hash=true ;;
		--compress) compress=true self=${self/dt-stream-/dt-build-} ;;
		--format) spec_format "$2" ;;
		--print-build-args) kind=text ;;
		--output) to=$2 ;;
		--verbose) verbose=(--verbose) ;;
		esac
		shift 2
	done
	if [[ " $features " == *' prepare '* && -d $file ]]; then
		prepared=$file
		spec_exclude 'a prepared directory' --graph --prepare --print-build-args
		[ -f "$file/prepared.json" ] || die "$file: not a prepared directory, it has no file prepared.json"
		file=$file/prepared.json keys=prepared_keys
	fi
	[ "$compress" = false ] || spec_exclude compression --only
	if [[ $given == *' --prepare '* ]]; then
		spec_exclude --prepare --compress --only --format --output --print-build-args
		stage_name "$prepare"
	else
		output_begin "$to" "$kind"
	fi
	make_work
	[[ $given != *' --only '* ]] || spec_only "$listed"
	spec_read "$file" "$keys"
	[ "$kind" != text ] || spec_print "$keys"
}

# spec_exclude WHAT OPTION...: exits if one of the options is in $given of spec_begin.
spec_exclude() {
	local option
	for option in "${@:2}"; do
		[[ $given != *" $option "* ]] || die_usage "$option does not go with $1"
	done
}

# spec_only FILE: copies the list of diff_ids to $work/only, and completes $only.
spec_only() {
	may_fail cat -- "$1" >"$work/only" || die "$1: cannot be read"
	! may_fail grep -Evxnm 1 '(sha256:)?[0-9a-f]{64}' "$work/only" >"$work/output" || {
		read_output
		die "$1:${REPLY%%:*}: not a diff_id"
	}
	only=(--only "$work/only")
}

# spec_format NAME: sets $image_format, which is empty for the default.
spec_format() {
	case $1 in
	dt) image_format=() ;;
	oci) image_format=(--format oci) ;;
	*) die_usage "--format takes dt or oci, not '$1'" ;;
	esac
}

# spec_help SUMMARY FEATURES: sets $REPLY to the text of --help.
spec_help() {
	REPLY="usage: $self [OPTION]... [SPEC]

$1
"
	[[ " $2 " != *' store '* ]] || REPLY+='
  --store DIR             the store, or the root of a system that has one
  --graph FILE            take references from this graph (DT_GRAPH)'
	[[ " $2 " != *' compress '* ]] || REPLY+="
  --compress              compress, as ${self/dt-stream-/dt-build-} does"
	[[ " $2 " != *' only '* || $compress = true ]] || REPLY+='
  --only FILE             write only the layers with these diff_ids, one a line'
	[[ " $2 " != *' format '* ]] || REPLY+='
  --format NAME           dt, or oci: an OCI image layout (dt)'
	[[ " $2 " != *' prepare '* ]] || REPLY+='
  --prepare DIR           make a prepared directory; give it instead of SPEC later'
	[[ " $2 " != *' hash '* ]] || REPLY+='
  --ignore-hash           write the image whatever its hash is'
	[[ " $2 " != *' verbose '* ]] || REPLY+='
  --verbose               print each decision, and why it was made'
	REPLY+="
  --print-build-args      only print the object, with the defaults filled in
  -o, --output FILE       write to FILE, and replace it only on success
  --help                  print this help
  --version               print the version

See $self(1) for details."
}

# spec_jq FILTER [OPTION...]: prints the output of a jq filter for the specification. The filter may
# use spec.jq and keys.jq. Returns the status of jq.
spec_jq() {
	attempt jq -L "$lib" --argjson compress "$compress" "${@:2}" 'include "spec"; include "keys"; '"$1" "$work/spec"
}

# spec_read FILE KEYS: copies the specification to $work/spec, checks it, and sets $key.
spec_read() {
	local fields what=$1
	if [ "$1" = - ]; then
		what=stdin
		run cat >"$work/spec"
	else
		may_fail cat -- "$1" >"$work/spec" || die "$what: cannot be read"
	fi
	spec_jq "checked($2)" -js >"$work/output" 2>"$work/messages" || spec_syntax "$what" $?
	mapfile -d '' -t fields <"$work/output"
	[ -z "${fields[0]}" ] || die "$what: ${fields[0]}"
	spec_take "${fields[@]:1}"
}

# spec_syntax FILE STATUS: exits with jq's message about invalid JSON.
spec_syntax() {
	local message
	not_killed "$2" jq
	IFS= read -r message <"$work/messages" || true
	message=${message##*error: }
	die "$1: not JSON: ${message,}"
}

# spec_change FILTER [OPTION...]: replaces the specification by the output of a jq filter, which may use spec.jq,
# contents.jq and nix-shell.jq.
spec_change() {
	local strings
	read_strings strings jq -L "$lib" -j 'include "spec"; include "contents"; include "nix-shell";
		'"$1"' | tojson + "\u0000", fields' "$work/spec" "${@:2}"
	printf '%s\n' "${strings[0]}" >"$work/spec"
	spec_take "${strings[@]:1}"
}

# spec_take [NAME VALUE]...: sets $key to the values of the specification. A string is unquoted;
# other values are JSON. A key without a value, or with null, is not set.
spec_take() {
	key=()
	while [ $# -gt 0 ]; do
		key[$1]=$2
		shift 2
	done
}

# spec_print KEYS: prints the specification with default values, and exits.
spec_print() {
	spec_jq "with_defaults($1)" >"$work/output" || give_up $? jq
	read_output
	print "${REPLY%$'\n'}"
	output_end
	exit 0
}

# key_options ARRAY [OPTION KEY]...: sets the array to options for a filter. An option is included,
# with the key's value, if the key is set.
key_options() {
	local -n array=$1
	shift
	array=()
	while [ $# -gt 0 ]; do
		[ ! -v "key[$2]" ] || array+=("$1" "${key[$2]}")
		shift 2
	done
}
