# The basis of all scripts: strict mode, PATH, messages, options, the scratch directory, and
# functions that check the status of programs.
#
#     run sort "$work/a" >"$work/b"           a command that must succeed
#     read_lines paths dt-drv -- "$drv"       the same; its lines become an array
#     read_strings names find . -print0       the same; its NUL-terminated strings become an array
#     capture jq -r .name "$work/spec"        the same; its output becomes $REPLY
#     may_fail rmdir "$dir" || made=false     a command that may fail, but must not be killed
#
# A function that yields one string sets $REPLY to it. After loading this file, a script sets $self
# to its name.
#
# Command and process substitutions are used only where no status is lost. bash ignores the status
# in `< <(...)`, in `local x=$(...)`, and of commands inside a function in `$(...)`.
# shellcheck shell=bash disable=SC2034 # the scripts use what is set here
set -euo pipefail
export LC_ALL=C
unset BASH_ENV CDPATH GREP_OPTIONS TAR_OPTIONS
user_umask=$(umask)
umask 022

# lib: the directory of this file. Installed filters are in the same directory as the scripts. In
# the source tree, they are where make puts them.
lib=${BASH_SOURCE[0]%/*}
self=${0##*/}
case $lib in
*/share/dt) PATH=${lib%/share/dt}/bin:$PATH ;;
*) PATH=${DT_BUILD:-$lib/../../build}:${lib%/lib}:$PATH ;;
esac
export PATH

# load MODULE...: loads files of the library. They declare global variables with `declare -g`,
# because they are loaded in a function.
load() {
	local module
	for module; do
		# shellcheck source=/dev/null
		. "$lib/$module.bash"
	done
}

# failure: the exit status of an error. A script whose status 1 has another meaning sets it to 2.
failure=1

# die TEXT: prints a message on one line and exits with status $failure. Control characters become "?".
die() {
	printf '%s: %s\n' "$self" "${1//[[:cntrl:]]/?}" >&2
	exit "$failure"
}

# die_usage TEXT: prints a message about the command line and exits with status 2.
die_usage() {
	printf "%s: %s: try '%s --help'\n" "$self" "${1//[[:cntrl:]]/?}" "$self" >&2
	exit 2
}

# print TEXT: prints a line on standard output. Exits if that fails.
print() { printf '%s\n' "$1" 2>/dev/null || die 'standard output: cannot be written'; }

# inform TEXT: prints a decision of the script on stderr, if --verbose was given. $verbose is the option, for the
# filters, or empty.
verbose=()
inform() { [ "${#verbose[@]}" -eq 0 ] || printf '%s: %s\n' "$self" "${1//[[:cntrl:]]/?}" >&2; }

# attempt COMMAND...: runs a program and returns its status. bash prints no message if a signal
# kills the program.
attempt() { { command "$@" 2>&3 3>&-; } 3>&2 2>/dev/null; }

# run COMMAND...: runs a program. If it fails, the script exits. The message is the program's. If a
# signal killed the program, this function prints one.
run() { attempt "$@" || give_up $? "$1"; }

# may_fail COMMAND...: runs a program without its messages, and returns its status. If a signal killed
# the program, the script exits, because the status is no answer.
may_fail() {
	local status=0
	{ command "$@"; } 2>/dev/null || status=$?
	not_killed "$status" "$1"
	return "$status"
}

# not_killed STATUS PROGRAM: exits if the status means that a signal killed the program.
not_killed() { [ "$1" -le 128 ] || give_up "$1" "$2"; }

# pipe_failed STATUSES PROGRAM...: exits because a pipeline of these programs failed. Names the last
# of them that did not succeed, if a signal killed it. The programs before it may only have failed to
# write to it.
#
#     attempt dt-x | attempt dt-y || pipe_failed "${PIPESTATUS[*]}" dt-x dt-y
pipe_failed() {
	local statuses i
	read -ra statuses <<<"$1"
	for ((i = ${#statuses[@]} - 1; i >= 0; i--)); do
		[ "${statuses[i]}" -eq 0 ] || give_up "${statuses[i]}" "${@:i+2:1}"
	done
}

# run_about NAME FILE COMMAND...: runs a program like run. In the program's messages, NAME replaces
# FILE, a scratch file that the user does not know.
run_about() {
	local status=0 line
	attempt "${@:3}" 2>"$work/messages" || status=$?
	while IFS= read -r line; do
		printf '%s\n' "${line//"$2"/"$1"}" >&2
	done <"$work/messages"
	[ "$status" -eq 0 ] || give_up "$status" "$3"
}

# give_up STATUS PROGRAM: exits because a program failed. The status is 2 if a filter rejected its
# options, else $failure.
give_up() {
	[ "$1" -le 128 ] || die "$2 was killed by signal $(($1 - 128))"
	[[ $1 -ne 2 || $2 != dt-* ]] || exit 2
	exit "$failure"
}

# read_lines ARRAY COMMAND...: sets the array to the lines that the program prints.
read_lines() {
	run "${@:2}" >"$work/output"
	mapfile -t "$1" <"$work/output"
}

# read_strings ARRAY COMMAND...: sets the array to the NUL-terminated strings that the program
# prints.
read_strings() {
	run "${@:2}" >"$work/output"
	mapfile -d '' -t "$1" <"$work/output"
}

# capture COMMAND...: sets $REPLY to the output of the program, without a final newline.
capture() {
	run "$@" >"$work/output"
	read_output
	REPLY=${REPLY%$'\n'}
}

# read_output: sets $REPLY to the text in $work/output, up to a NUL.
read_output() { IFS= read -r -d '' REPLY <"$work/output" || true; }

# parse_args HELP ARG...: parses the command line. Handles --help and --version. Sets $options to the
# other options, as alternating names and values, and $operands. HELP lists the options, one per line:
#
#       --name              TEXT
#       --name ARG          TEXT
#       -o, --output FILE   TEXT
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

# watch_exit: makes the script call clean_up when it exits, also after a signal.
watch_exit() {
	trap 'exit 129' HUP
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap clean_up EXIT
}

# --- scratch directories ---
#
# A scratch directory is PATH.dt-scratch.XXXXXX, as scratch.h describes. This shell and the filters that
# it runs hold its lock. If the script is killed, the next script that makes a directory of the same
# PATH removes it.

# make_work [PATH]: makes $work, a scratch directory, next to PATH if that is not empty. clean_up
# removes it. $TMPDIR and $work become absolute, because programs run in other directories, too.
make_work() {
	[[ -z ${TMPDIR-} || $TMPDIR == /* ]] || export TMPDIR=${PWD%/}/$TMPDIR
	make_directory work "${1:-${TMPDIR:-/tmp}/$self}"
}

# make_directory NAME PATH: makes a new scratch directory next to PATH and sets the variable to it.
# NAME is work or stage: clean_up removes these.
make_directory() {
	local path=$2 new try ended='' status=0
	[[ $path == /* ]] || path=${PWD%/}/$path
	sweep_directories "$path"
	# Signals are delayed until the name of the directory is known, and mktemp ignores them.
	trap 'ended=129' HUP
	trap 'ended=130' INT
	trap 'ended=143' TERM
	for ((try = 0; try < 100; try++)); do
		new=$(trap '' HUP INT TERM && exec mktemp -d "$path.dt-scratch.XXXXXX" 2>/dev/null) || status=$?
		[ "$status" -eq 0 ] || break
		printf -v "$1" %s "$new"
		! lock_directory "$1_lock" "$new" || break
	done
	watch_exit
	[ -z "$ended" ] || exit "$ended"
	[ "$status" -eq 0 ] || die "cannot make a scratch directory $path.dt-scratch.XXXXXX"
}

# lock_directory NAME DIR: opens and locks the directory, and sets the variable to the descriptor.
# Returns 1 if another script holds the lock, or has removed the directory. If the file system has no
# locks, sweep_directories removes nothing.
lock_directory() {
	local fd status=0
	{ exec {fd}<"$2"; } 2>/dev/null || return
	attempt flock -nx "$fd" || status=$?
	if [ "$status" -gt 128 ]; then
		attempt rmdir -- "$2" 2>/dev/null || true # only a new directory is empty
		give_up "$status" flock
	fi
	if [ "$status" -ne 1 ] && [ "$2" -ef "/dev/fd/$fd" ]; then
		printf -v "$1" %s "$fd"
		return 0
	fi
	exec {fd}<&-
	return 1
}

# release_locks: closes the descriptors that hold the locks. Commands of the specification do not hold
# them: they may run on after the script was killed.
work_lock='' stage_lock=''
release_locks() {
	[ -z "$work_lock" ] || exec {work_lock}<&-
	[ -z "$stage_lock" ] || exec {stage_lock}<&-
}

# sweep_directories PATH: removes the scratch directories next to PATH that scripts of this user have
# left. Calls $at_sweep with each of them before. A directory in which something is mounted stays.
at_sweep=:
sweep_directories() {
	local old fd
	for old in "$1".dt-scratch.??????; do
		[[ -d $old && ! -L $old && -O $old ]] || continue
		[[ $(</proc/self/mountinfo) != *" $old/"* ]] || continue
		{ exec {fd}<"$old"; } 2>/dev/null || continue
		if attempt flock -nx "$fd" && [ "$old" -ef "/dev/fd/$fd" ]; then
			"$at_sweep" "$old"
			remove_directory "$old" || true
		fi
		exec {fd}<&-
	done
}

# remove_directory DIR: removes the directory. Commands in a user namespace may have made files of other
# users, which can be removed only there.
remove_directory() {
	attempt chmod -R u+rwX "$1" 2>/dev/null || true
	attempt rm -rf --one-file-system "$1" 2>/dev/null ||
		attempt unshare --user --map-root-user --map-auto rm -rf --one-file-system "$1" 2>/dev/null
}

# clean_up: runs $at_exit, and removes the draft, the stage and the scratch directory.
at_exit=: work='' draft='' stage=''
clean_up() {
	trap '' HUP INT TERM
	set +e
	"$at_exit"
	[ -z "$draft" ] || attempt rm -f -- "$draft"
	[ -z "$stage" ] || remove_directory "$stage"
	[ -z "$work" ] || remove_directory "$work" || printf '%s: %s: cannot be removed\n' "$self" "$work" >&2
}

# --- output ---
#
#     output_begin "$file" binary             after parsing the command line
#     run dt-flatten "$image"
#     output_end                              at the end of the script

# output_begin FILE KIND: redirects standard output to FILE, which is created or replaced by
# output_end. Until then the output is a draft in the same directory, named and locked as draft.h
# describes. A device, FIFO or socket is written directly. If FILE is -, standard output stays
# unchanged. KIND is text or binary; binary output to a terminal is an error.
output_begin() {
	output_name=$1
	if [ "$1" = - ]; then
		output_name=stdout
		{ : 4>&1; } 2>/dev/null || die 'stdout is closed: redirect it or use -o FILE'
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

# output_draft FILE: redirects standard output to a new draft of this file. Sets $output_place to
# the file's name without symlinks, so that a symlink is kept.
output_draft() {
	local dir name reason try status
	output_place=$1
	if [ -e "$1" ]; then
		# The slash keeps a newline at the end of the name.
		output_place=$(attempt realpath -e -- "$1" && printf /) || give_up $? realpath
		output_place=${output_place%$'\n'/}
	fi
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
		# Another process may have removed the draft before it was locked.
		status=0
		attempt flock -nx 1 || status=$?
		[ "$status" -eq 1 ] || [ ! "$draft" -ef /dev/fd/1 ] || return 0
	done
	die "$1: cannot be locked"
}

# output_sweep DIR/: removes the drafts of processes that have exited.
output_sweep() {
	local old
	for old in "$1".*.dt-draft; do
		[ ! -f "$old" ] || [ -L "$old" ] || attempt flock -nx "$old" rm -f "$old" || true
	done
}

# output_end: gives the complete file its name.
output_end() {
	[ -n "$draft" ] || return 0
	# The lock is held until the file has its name.
	attempt mv -fT -- "$draft" "$output_place" 2>/dev/null || die "$output_name: cannot be replaced"
	draft=''
	exec >/dev/null
}

# find_colors: sets $red, $green, $yellow and $plain to what a terminal needs for these colors, if standard
# output is one. Otherwise, or if the user does not want colors, they are empty. See https://no-color.org.
red='' green='' yellow='' plain=''
find_colors() {
	[[ -t 1 && -z ${NO_COLOR-} && ${TERM:-dumb} != dumb ]] || return 0
	red=$'\e[31m' green=$'\e[32m' yellow=$'\e[33m' plain=$'\e[m'
}

# print_files FILE...: copies the files to standard output. Exits if that fails.
print_files() { may_fail cat -- "$@" || die "$output_name: cannot be written"; }

# --- a directory as output ---
#
#     stage_begin "$dir"                      makes $stage, a new directory next to DIR
#     run cp "$work/plan" "$stage/plan"
#     stage_end "$dir"                        gives it the name DIR

# stage_name DIR: sets $REPLY to DIR without slashes at its end. If there is something of this name,
# the script exits.
stage_name() {
	REPLY=$1
	while [[ $REPLY == ?*/ ]]; do REPLY=${REPLY%/}; done
	[ -n "$REPLY" ] || die_usage 'a directory needs a name'
	! [[ -e $REPLY || -L $REPLY ]] || die "$REPLY: File exists"
}

# stage_begin DIR: makes the directory $stage next to DIR.
stage_begin() {
	stage_name "$1"
	make_directory stage "$REPLY"
	run chmod 755 "$stage"
}

# stage_end DIR: renames the complete directory. No other name is replaced.
stage_end() {
	stage_name "$1"
	attempt mv -T -- "$stage" "$REPLY" 2>/dev/null || die "$REPLY: cannot be made"
	stage=''
}
