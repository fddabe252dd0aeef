# What every script begins with: strict mode, the tools, messages, options, the scratch directory,
# and commands whose status counts.
#
#     run sort "$work/a" >"$work/b"           a command that must succeed
#     read_lines paths dt-drv -- "$drv"       ... whose lines become an array
#     read_strings names find . -print0       ... whose strings, each ended by a NUL, do
#     capture jq -r .name "$work/spec"        ... whose output becomes $REPLY
#
# A function that yields one string sets $REPLY to it.
# A script sets $self, its name, after it has loaded this file. Substitutions of commands and of
# processes are not used where a status would be lost: bash does not look at that of `< <(...)`,
# of `local x=$(...)`, nor at a function's in `$(...)`.
# shellcheck shell=bash disable=SC2034 # the scripts use what is set here
set -euo pipefail
export LC_ALL=C
unset BASH_ENV CDPATH GREP_OPTIONS TAR_OPTIONS
user_umask=$(umask)
umask 022

# lib: the directory of this file. The filters are beside a script that is installed, and
# where make puts them otherwise.
lib=${BASH_SOURCE[0]%/*}
self=${0##*/}
case $lib in
*/share/dt) PATH=${lib%/share/dt}/bin:$PATH ;;
*) PATH=${DT_BUILD:-$lib/../../build}:${lib%/lib}:$PATH ;;
esac
export PATH

# load MODULE...: the files of the library that a script uses. Their variables are made by
# `declare -g`, since this is a function.
load() {
	local module
	for module; do
		# shellcheck source=/dev/null
		. "$lib/$module.bash"
	done
}

# die TEXT: prints one line, whatever names are in it, and exits.
die() {
	printf '%s: %s\n' "$self" "${1//[[:cntrl:]]/?}" >&2
	exit 1
}

# die_usage TEXT: the same for a wrong command line.
die_usage() {
	printf "%s: %s: try '%s --help'\n" "$self" "${1//[[:cntrl:]]/?}" "$self" >&2
	exit 2
}

# print TEXT: as a line on standard output.
print() { printf '%s\n' "$1" 2>/dev/null || die 'standard output: cannot be written'; }

# attempt COMMAND...: runs a program; returns its status. bash prints no message of its own if a
# signal killed it.
attempt() { { command "$@" 2>&3 3>&-; } 3>&2 2>/dev/null; }

# run COMMAND...: runs a program. If it fails, the script exits. The message is the program's, or
# this function's if a signal killed it.
run() { attempt "$@" || give_up $? "$1"; }

# run_about NAME FILE COMMAND...: the same. In messages of the program, NAME stands for FILE, which
# is not the user's.
run_about() {
	local status=0 line
	attempt "${@:3}" 2>"$work/messages" || status=$?
	while IFS= read -r line; do
		printf '%s\n' "${line//"$2"/"$1"}" >&2
	done <"$work/messages"
	[ "$status" -eq 0 ] || give_up "$status" "$3"
}

# give_up STATUS PROGRAM: exits because a program failed, with status 2 if a filter did not
# accept its options.
give_up() {
	[ "$1" -le 128 ] || die "$2 was killed by signal $(($1 - 128))"
	[[ $1 -ne 2 || $2 != dt-* ]] || exit 2
	exit 1
}

# read_lines ARRAY COMMAND...: sets the array to the lines that the program prints.
read_lines() {
	run "${@:2}" >"$work/output"
	mapfile -t "$1" <"$work/output"
}

# read_strings ARRAY COMMAND...: sets the array to the strings that it prints, each ended by a NUL.
read_strings() {
	run "${@:2}" >"$work/output"
	mapfile -d '' -t "$1" <"$work/output"
}

# capture COMMAND...: sets $REPLY to all that it prints but for a newline at the end.
capture() {
	run "$@" >"$work/output"
	read_output
	REPLY=${REPLY%$'\n'}
}

# read_output: sets $REPLY to the text in $work/output, up to a NUL.
read_output() { IFS= read -r -d '' REPLY <"$work/output" || true; }

# parse_args HELP ARG...: the command line, by the options that HELP lists, a line
# `  --name TEXT` or `  --name ARG  TEXT` each, and a line `  -o, --output FILE  TEXT`.
# Answers --help and --version; sets $options, the name and the value of each other one by
# turns, and $operands.
parse_args() {
	local help=$1 name version
	shift
	options=() operands=()
	while [ $# -gt 0 ]; do
		name=${1%%=*}
		if [[ $1 == -o* && $help == *$'\n  -o, --output '* ]]; then
			if [ "$1" != -o ]; then
				set -- "--output=${1#-o}" "${@:2}"
			elif [ $# -eq 1 ]; then
				die_usage "'-o' needs an argument"
			else
				set -- --output "${@:2}"
			fi
			name=--output
		fi
		if [ "$1" = -- ]; then
			operands+=("${@:2}")
			return
		elif [[ $1 != -?* ]]; then
			operands+=("$1")
		elif [[ $help == *$'\n  '"$name "[A-Z]* || $help == *$'\n  -o, '"$name "[A-Z]* ]]; then
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
				version=$(dt-layer --version) || give_up $? dt-layer
				print "$self ${version##* }"
				exit
				;;
			esac
			options+=("$name" '')
		fi
		shift
	done
}

# watch_exit: from now on, clean_up is called when the script exits, also by a signal.
watch_exit() {
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap clean_up EXIT
}

# make_work [PATH]: makes $work, a scratch directory, beside PATH if that is not empty. It is
# removed when the script exits, after the command $at_exit. $TMPDIR and $work are made absolute,
# because programs run in other directories, too.
make_work() {
	local path new ended='' status=0
	[[ -z ${TMPDIR-} || $TMPDIR == /* ]] || export TMPDIR=${PWD%/}/$TMPDIR
	path=${1:-${TMPDIR:-/tmp}/$self}
	[[ $path == /* ]] || path=${PWD%/}/$path
	# A signal has its effect only after the name of the directory is known, and mktemp ignores it.
	trap 'ended=129' HUP
	trap 'ended=130' INT
	trap 'ended=143' TERM
	new=$(trap '' HUP INT TERM && exec mktemp -d "$path.XXXXXX" 2>/dev/null) || status=$?
	[ "$status" -ne 0 ] || work=$new
	watch_exit
	[ -z "$ended" ] || exit "$ended"
	[ "$status" -eq 0 ] || die "cannot make a scratch directory $path.XXXXXX"
}

# clean_up: the script's last words.
at_exit=: work='' draft=''
clean_up() {
	trap '' HUP INT TERM
	set +e
	"$at_exit"
	[ -z "$draft" ] || attempt rm -f -- "$draft"
	[ -n "$work" ] || return
	attempt chmod -R u+rwX "$work" 2>/dev/null
	attempt rm -rf "$work" || printf '%s: %s: cannot be removed\n' "$self" "$work" >&2
}

# --- the output ---
#
#     output_begin "$file" binary             after the command line is read
#     run dt-flatten "$image"
#     output_end                              after all else

# output_begin FILE KIND: standard output becomes FILE, which is there only once output_end has returned.
# Until then a draft is beside it, under the name and the lock that draft.h describes. A device, FIFO
# or socket is written to directly. If FILE is -, standard output stays what it is. KIND is text, or
# binary, which does not go to a terminal.
output_begin() {
	output_name=$1
	if [ "$1" = - ]; then
		output_name=stdout
	elif [ -z "$1" ]; then
		die_usage '--output takes the name of a file'
	elif [ -e "$1" ] && [ ! -f "$1" ]; then
		[ ! -d "$1" ] || die "$1: Is a directory"
		{ exec >"$1"; } 2>/dev/null || die "$1: cannot be written"
	else
		output_draft "$1"
	fi
	[ "$2" = text ] || [ ! -t 1 ] || die "$output_name is a terminal: redirect it or use -o FILE"
}

# output_draft FILE: makes standard output a new draft of this file. $output_place is the file's name
# without symlinks, which stay.
output_draft() {
	local dir name reason try status
	output_place=$1
	[ ! -e "$1" ] || IFS= read -r -d '' output_place < <(realpath -ze -- "$1") || output_place=$1
	[[ $output_place == */* ]] || output_place=./$output_place
	dir=${output_place%/*}/ name=${output_place##*/}
	[ -n "$name" ] || die "$1: Is a directory"
	output_sweep "$dir"
	watch_exit
	for ((try = 0; try < 100; try++)); do
		printf -v draft '%s.%s.%08x.dt-draft' "$dir" "${name:0:200}" "$SRANDOM"
		reason=$(umask "$user_umask" && set -C && { : >"$draft"; } 2>&1) || {
			draft=''
			die "$1: ${reason##*: }"
		}
		exec >|"$draft"
		# A sweep of another process may have removed it before it was locked.
		status=0
		attempt flock -nx 1 || status=$?
		[ "$status" -eq 1 ] || [ ! "$draft" -ef /dev/fd/1 ] || return 0
	done
	die "$1: cannot be locked"
}

# output_sweep DIR/: removes the drafts whose writers are dead.
output_sweep() {
	local old
	for old in "$1".*.dt-draft; do
		[ ! -f "$old" ] || [ -L "$old" ] || attempt flock -nx "$old" rm -f "$old" || true
	done
}

# output_end: the file is complete.
output_end() {
	[ -n "$draft" ] || return 0
	# The lock lasts until the file has its name.
	attempt mv -fT -- "$draft" "$output_place" 2>/dev/null || die "$output_name: cannot be replaced"
	draft=''
	exec >/dev/null
}
