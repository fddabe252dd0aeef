# What the executables of dockertools.nix do with an image in the store. They load this file.
#
#     nix_image ACTION IMAGE ARG...
#
# IMAGE is a prepared directory, dt-image(5), or an image archive; of push-facts, the output of the action facts.
# shellcheck shell=bash disable=SC2119,SC2154 # script.bash sets $work
# shellcheck source=scripts/lib/script.bash
. "${BASH_SOURCE[0]%/*}/script.bash"

# nix_image ACTION IMAGE ARG...: the executable $self. ACTION is the name of a function below.
nix_image() {
	image=$2
	self=${0##*/}
	case $1 in
	stream) image_stream "${@:3}" ;;
	load) image_load "${@:3}" ;;
	push) image_push "${@:3}" ;;
	facts) image_facts ;;
	push-facts) image_push_facts "${@:3}" ;;
	copy) image_copy "${@:3}" ;;
	esac
}

# image_stream [-t NAME:TAG]...: writes the image, with another name if one is given.
image_stream() {
	local help='usage: %s [-t NAME:TAG]

Writes the image archive to standard output.

  --repo_tag NAME:TAG     the name and tag, instead of those of the image; also -t
  --help                  print this help
  --version               print the version' name=''
	local args=()
	while [ $# -gt 0 ] && [ "$1" != -- ]; do
		case $1 in
		-t) args+=(--repo_tag) ;;
		-t*) args+=("--repo_tag=${1#-t}") ;;
		*) args+=("$1") ;;
		esac
		shift
	done
	set -- "${args[@]}" "$@"
	# shellcheck disable=SC2059 # the format is a constant
	printf -v help "$help" "$self"
	parse_args "$help" "$@"
	[ "${#operands[@]}" -eq 0 ] || die_usage "unexpected operand '${operands[0]}'"
	[ ! -t 1 ] || die 'stdout is a terminal: redirect it'
	[ "${#options[@]}" -eq 0 ] || name=${options[-1]}
	[ "${#options[@]}" -eq 0 ] || image_is_name "$name" || die_usage "--repo_tag takes NAME:TAG, not '$name'"
	image_write "$name"
}

# image_is_name NAME:TAG: whether an image may have this name.
image_is_name() { [[ $1 =~ ^[A-Za-z0-9][A-Za-z0-9._/:-]*:[A-Za-z0-9_][A-Za-z0-9_.-]*$ ]]; }

# image_write NAME:TAG [OPTION]...: writes the image with this name, or with its own if that is empty. The options are
# those that dt-stream-layered-image and dt-merge have in common, such as -o.
image_write() {
	local names=()
	[ -z "$1" ] || names=(--name "${1%:*}" --tag "${1##*:}")
	if [ ! -d "$image" ]; then
		run dt-merge "${names[@]}" "${@:2}" -- "$image"
	elif [ -z "$1" ]; then
		run dt-stream-layered-image "${@:2}" -- "$image"
	else
		attempt dt-stream-layered-image -- "$image" | attempt dt-merge "${names[@]}" "${@:2}" -- - ||
			pipe_failed "${PIPESTATUS[*]}" dt-stream-layered-image dt-merge
	fi
}

# image_load ARG...: loads the image into an engine. The ARGs are those of dt-load.
image_load() { exec dt-load "$@" -- "$image"; }

# image_push [OPTION]... NAME[:TAG]: sends the image to a registry. The arguments are those of dt-push.
# Of a prepared directory, only the layers that the registry lacks are made.
image_push() {
	local only=() option
	for option; do
		# dt-push --missing would take its output for that of the help.
		[[ $option != @(--help|--version) ]] || { run dt-push "$option"; return; }
	done
	if [ ! -d "$image" ]; then
		run dt-push "$@" <"$image"
		return
	fi
	check_push_options "$@"
	make_work
	run dt-push --missing "$@" <"$image/thin.tar" >"$work/missing"
	only=(--only "$work/missing")
	attempt dt-stream-layered-image "${only[@]}" -- "$image" | attempt dt-push "$@" ||
		pipe_failed "${PIPESTATUS[*]}" dt-stream-layered-image dt-push
}

# check_push_options ARG...: exits if one of the options of dt-push does not go with an image in the store.
check_push_options() {
	local option
	for option; do
		[[ $option != @(-o*|--output*|--attach*|--missing) ]] || die_usage "${option%%=*} does not go with an image in the store"
	done
}

# flip_bits: copies standard input, and inverts the highest bit of each byte. Nix finds no store path in the result, so
# the file has no references. A second call restores the input.
flip_bits() { run tr '\000-\177\200-\377' '\200-\377\000-\177'; }

# image_facts: writes the thin archive of a prepared directory, in a form in which Nix finds no store path.
image_facts() { flip_bits <"$image/thin.tar"; }

# image_push_facts [OPTION]... NAME[:TAG]: sends an image whose layers the registry has. The arguments are those of
# dt-push.
image_push_facts() {
	check_push_options "$@"
	make_work
	flip_bits <"$image" >"$work/thin.tar"
	run dt-push "$@" <"$work/thin.tar"
}

# image_copy DESTINATION: copies the image to a place that is spelled as for skopeo.
image_copy() {
	local usage="usage: $self DESTINATION

Copies the image to DESTINATION, which is one of these:

  docker://NAME[:TAG]     a registry
  docker-daemon:[NAME[:TAG]]
                          the engine docker
  containers-storage:[NAME[:TAG]]
                          the engine podman
  docker-archive:FILE[:NAME[:TAG]]
                          a file
  oci-archive:FILE[:TAG]  the same

Options of dt-push and dt-load may precede DESTINATION."
	[ "${1-}" != --help ] || { print "$usage"; return; }
	[ $# -gt 0 ] || die_usage 'DESTINATION is missing'
	local destination=${!#} file reference=''
	set -- "${@:1:$#-1}"
	case $destination in
	docker://?*) image_push "$@" "${destination#docker://}" ;;
	docker-daemon:) image_load --engine docker "$@" ;;
	containers-storage:) image_load --engine podman "$@" ;;
	docker-daemon:*) image_load_as "${destination#*:}" --engine docker "$@" ;;
	containers-storage:*) image_load_as "${destination#*:}" --engine podman "$@" ;;
	docker-archive:[^:]* | oci-archive:[^:]*)
		file=${destination#*:}
		if [[ $file == *:* ]]; then
			if [[ $destination == docker-* ]]; then image_name "${file#*:}"; else image_retag "${file#*:}"; fi
			reference=$REPLY file=${file%%:*}
		fi
		image_write "$reference" -o "$file" "$@"
		;;
	*) die_usage "'$destination' is not a destination" ;;
	esac
}

# image_load_as NAME[:TAG] ARG...: loads the image under this name. dt-load would copy the output of a pipe to a file,
# too.
image_load_as() {
	image_name "$1"
	make_work
	image_write "$REPLY" >"$work/image"
	run dt-load "${@:2}" -- "$work/image"
}

# image_name NAME[:TAG]: sets $REPLY to NAME:TAG. The default tag is that of skopeo.
image_name() {
	REPLY=$1
	[[ ${1##*/} == *:* ]] || REPLY+=:latest
	image_is_name "$REPLY" || die_usage "'$1' is not NAME[:TAG]"
}

# image_retag TAG: sets $REPLY to the name of the image with this tag.
image_retag() {
	[[ $1 != *[/:]* ]] || die_usage "'$1' is not a tag, and oci-archive takes no NAME"
	local archive=$image
	[ ! -d "$image" ] || archive=$image/thin.tar
	make_work
	run dt-inspect "$archive" >"$work/image"
	capture jq -r '.repoTags[0] // error("has no name") | sub(":[^:/]*$"; "")' "$work/image"
	image_name "$REPLY:$1"
}
