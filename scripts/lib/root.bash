# Runs commands as root in a directory without being root. Filters then see the owners, modes,
# devices and extended attributes that the commands set. Load this file after env.bash.
#
#     root_begin KEY TREE CHROOT; root_do KEY COMMANDS...; root_check; root_see FILTER...; root_end
#
# A failure exits the script with a message that names KEY, the key of the specification. Do not
# call these functions in a subshell or a pipe, where the script's traps have no effect.
#
# fakeroot records what dynamically linked programs set, and does not change the files. A static
# program changes the files. In a user namespace, or as root, root_check compares both. Without a
# user namespace, such a change is an error.
#
# A dynamically linked program under fakeroot waits forever for the daemon, faked, if the daemon was
# killed. So every such program is run by root_wait, which also watches the daemon.
# shellcheck shell=bash disable=SC2034,SC2154 # it shares with spec.bash
load chroot

# root_not_killed STATUS PROGRAM: exits if the status means that a signal killed the program, or a
# program that it ran.
root_not_killed() {
	[ "$1" -le 128 ] || die "$root_key: $2 was killed by signal $(($1 - 128))"
}

# root_mapped: a command prefix in a user namespace. If the namespace lacks IDs, it fails as if it was killed: unshare
# ignores that the program that maps them was killed.
# shellcheck disable=SC2016 # the inner shell expands it
root_mapped=(sh -c 'read -r _ </proc/self/uid_map && read -r _ </proc/self/gid_map || exit 137; exec "$@"' sh)

# root_find_user: sets $root_user to a command prefix that enters a user namespace as root, with as
# many IDs as possible; or to nothing. Sets $root_real to true if root is real in this sense, and
# $root_owner to the owner UID:GID of unchanged files, as this process sees it.
root_find_user() {
	local map status
	root_user=() root_real=true root_owner=0:0
	[ "$EUID" -ne 0 ] || return 0
	for map in '--map-root-user --map-auto' --map-root-user; do
		# shellcheck disable=SC2206 # several words
		root_user=(unshare --user $map -- "${root_mapped[@]}")
		status=0
		attempt "${root_user[@]}" true 2>/dev/null || status=$?
		root_not_killed "$status" unshare
		[ "$status" -ne 0 ] || return 0
	done
	capture id -g
	root_user=() root_real=false root_owner=$EUID:$REPLY
}

# root_start: starts fakeroot's daemon. Sets $root_fake, a command prefix for programs under
# fakeroot, $root_variables, its variables, and $root_library, the path of fakeroot's library.
#
# The daemon is a background job of this shell. A second job, fakeroot, finds the path of the
# library. It terminates the daemon when no process has the FIFO `hold` open, even if this shell is
# killed. Each job has a FIFO for its output; its reader gets an end of file if the job is killed.
root_start() {
	local both id file
	file=$(type -P fakeroot) || die "$root_key needs fakeroot"
	run mkfifo "$root_dir/hold" "$root_dir/id" "$root_dir/library"
	root_find_daemon "$file"
	exec {both}<>"$root_dir/id"
	root_serve >&"$both" {both}>&- &
	root_daemon=$!
	exec {root_id}<"$root_dir/id" {both}>&-
	if ! IFS= read -r id <&"$root_id"; then
		wait "$root_daemon" 2>/dev/null || true # bash prints no message for a job that was killed
		root_die "faked ended before the commands"
	fi
	[ -f "$root_dir/key" ] || printf '%s\n' "${id%%:*}" >"$root_dir/key"

	exec {root_hold}<>"$root_dir/hold" {both}<>"$root_dir/library"
	root_guard "$id" <"$root_dir/hold" >&"$both" {both}>&- {root_hold}>&- &
	root_guard=$!
	exec {root_said}<"$root_dir/library" {both}>&-
	# A program under fakeroot waits forever if the daemon was killed.
	until IFS= read -t 1 -r root_library <&"$root_said"; do
		{ [ "$?" -gt 128 ] && root_serves; } || root_die 'fakeroot ended before the commands'
	done
	[[ $root_library == */libfakeroot* ]] || die "$root_key: fakeroot has no library"
	root_variables=("DT_ROOT=$root_mark" "LD_PRELOAD=$root_library" "FAKEROOTKEY=${id%%:*}" FAKEROOTDONTTRYCHOWN=1)
	root_fake=(env "${root_variables[@]}")
}

# root_find_daemon FAKEROOT: sets $root_faked to the daemon of this fakeroot. Debian has pairs of
# names: fakeroot-sysv and faked-sysv, fakeroot-tcp and faked-tcp.
root_find_daemon() {
	local name
	run realpath -ze -- "$1" >"$work/output"
	read_output
	name=${REPLY##*/}
	root_faked=${REPLY%/*}/${name/fakeroot/faked}
	[ -x "$root_faked" ] || root_faked=$(type -P faked) || die "$root_key needs faked, of fakeroot"
}

# root_serve: prints the daemon's KEY:PID, and exits when the daemon exits. A signal, or the end of the
# script, terminates the daemon. The shell between them prevents a message of this shell if the daemon is
# killed.
root_serve() {
	local flags=() key
	[ "$root_real" = false ] || flags=(--unknown-is-real)
	if [[ $root_faked == *-sysv ]]; then
		# The key is recorded before there are queues, so that they are found even if everything is killed.
		key=$((SRANDOM % 0x7ffe0000 + 0x10000))
		flags+=(--key "$key")
		printf '%s\n' "$key" >"$root_dir/key"
	fi
	release_locks
	# shellcheck disable=SC2016 # the inner shell expands it
	exec setpriv --pdeathsig TERM "$BASH" -c "$(declare -f attempt root_forget)"'
		root_dir=${0%/*} ended=""
		trap '\''ended=true; kill "$!" || true'\'' HUP TERM
		{
			[ "$PPID" -eq "$1" ] || exit 1
			setsid setpriv --pdeathsig TERM "${@:2}" </dev/null 2>&3 3>&- &
			[ -z "$ended" ] || kill "$!" || true
			wait "$!" || true
			wait "$!" || true # a signal interrupts the first wait
			root_forget # the signal may have come before the daemon was ready for it
		} 3>"$0" 2>/dev/null
		exit 1' "$root_dir/messages" "$$" "$root_faked" --foreground "${flags[@]}"
}

# root_guard KEY:PID: prints the path of the library and waits for the end of standard input. Then
# fakeroot terminates the daemon. Its program is killed if it waits for a daemon that is dead.
root_guard() {
	local line tries
	trap '' HUP INT TERM
	release_locks
	# shellcheck disable=SC2016 # the inner shell expands it
	attempt env "DT_ROOT_GUARD=$root_mark" fakeroot -f "echo $1" -- "$BASH" -c '
		while IFS= read -r line && [[ $line != */libfakeroot* ]]; do :; done </proc/self/maps
		printf "/%s\n" "${line#*/}"
		read -r line' <&0 2>"$root_dir/messages" &
	while root_guards; do
		read -t 1 -r line || [ "$?" -gt 128 ] || break
	done
	for tries in {1..100}; do
		root_guards || exit 1
		sleep 0.02 || true
	done 2>/dev/null
	root_kill DT_ROOT_GUARD
	root_forget # such a program makes the queues again
	exit 1
}

# root_guards: whether fakeroot of root_guard runs.
root_guards() { kill -0 "$!"; } 2>/dev/null

# root_die TEXT: exits because of an error of the daemon. The message includes the first line that
# the daemon or fakeroot printed, if any.
root_die() {
	local line=''
	IFS= read -r line <"$root_dir/messages" || true
	die "$root_key: $1${line:+: $line}"
}

# root_wait COMMAND...: runs a program and returns its status. A signal to the script also
# terminates the program, and so does the end of the script: a program under fakeroot would wait
# forever for the daemon, which ends, too. If the daemon exits, the script exits.
root_wait() {
	local status=0 tick
	# shellcheck disable=SC2016 # the inner shell expands it
	(release_locks && exec {root_hold}>&- {root_id}<&- {root_said}<&- &&
		exec setpriv --pdeathsig KILL "$BASH" -c '[ "$PPID" -eq "$0" ] || exit 137; exec "$@"' "$$" "$@") <&0 &
	root_child=$!
	# `wait -n` can miss a process that exits before it begins. So it never waits for more than a second.
	while kill -0 "$root_child" && root_serves; do
		sleep 1 {root_hold}>&- &
		tick=$!
		wait -n "$root_child" "$root_daemon" "$root_guard" "$tick" || true
		kill "$tick" || true
		wait "$tick" || true
	done 2>/dev/null
	root_serves || root_die 'fakeroot ended before the commands'
	wait "$root_child" 2>/dev/null || status=$?
	root_child=''
	return "$status"
}

# root_serves: whether the daemon runs.
root_serves() { kill -0 "$root_daemon" && kill -0 "$root_guard"; } 2>/dev/null

# root_kill VARIABLE PID...: kills the processes that have this variable for this script in their environment, except
# these. Those under fakeroot and those that the commands left running have DT_ROOT, those of root_guard DT_ROOT_GUARD.
root_kill() {
	local IFS=$'\n' file pid variables left=true name=$1
	shift
	while [ "$left" = true ]; do
		left=false
		for file in /proc/[0-9]*/environ; do
			pid=${file//[!0-9]/}
			[[ $IFS$*$IFS != *"$IFS$pid$IFS"* ]] || continue
			mapfile -d '' -t variables <"$file" || continue
			[[ "$IFS${variables[*]}$IFS" == *"$IFS$name=$root_mark$IFS"* ]] || continue
			! kill -KILL "$pid" || left=true
		done
	done 2>/dev/null
}

# root_forget: removes the message queues and the semaphore of a daemon that was killed. Their keys are
# recorded in $root_dir. fakeroot may use TCP instead; then the number is a port.
root_forget() {
	local key=0
	[ ! -f "$root_dir/key" ] || IFS= read -r key <"$root_dir/key" || true
	[[ $key =~ ^[0-9]+$ && $key -gt 65535 ]] || return 0
	attempt ipcrm -Q "$key" -Q "$((key + 1))" -S "$((key + 2))" 2>/dev/null || true
}

# root_sweep DIR: removes what the script of this scratch directory has left: processes of its commands,
# and message queues.
root_sweep() {
	root_mark=${1##*/} root_kill DT_ROOT
	root_mark=${1##*/} root_kill DT_ROOT_GUARD
	root_dir=$1/fakeroot root_forget
}
at_sweep=root_sweep

# root_has_bwrap: succeeds if bubblewrap works.
root_has_bwrap() {
	local status=0
	attempt "${root_user[@]}" bwrap --dev-bind / / --unshare-pid --proc /proc true 2>/dev/null || status=$?
	root_not_killed "$status" bwrap
	[ "$status" -eq 0 ]
}

# root_find_box CHROOT: sets $root_box, the command prefix for a script of the commands. Sets
# $root_place to the path of $work/root for the commands; the script is in it.
root_find_box() {
	local bwrap=false
	root_place=$work/root
	! root_has_bwrap || bwrap=true
	root_box=(env "DT_ROOT=$root_mark")
	# Otherwise files could be left that only chattr can make removable.
	[ "$EUID" -ne 0 ] || root_box+=(setpriv --bounding-set=-linux_immutable --)
	root_box+=("${root_user[@]}")
	if [ "$1" = true ]; then
		chroot_box "$bwrap"
		return
	elif [ "$bwrap" = true ]; then
		root_box+=(bwrap --die-with-parent --unshare-pid --dev-bind / / --proc /proc --chdir "$root_tree")
	else
		root_box+=(env -C "$root_tree")
	fi
	root_box+=("${root_fake[@]}" bash -eo pipefail)
}

# root_own: gives all files of the tree to this user. If that fails, returns 1 and leaves the
# messages in $root_dir/messages.
root_own() {
	attempt "${root_user[@]}" find "$root_tree" \( ! -uid "${root_owner%:*}" -o ! -gid "${root_owner#*:}" \) \
		-exec chown -h "$root_owner" {} + 2>"$root_dir/messages" || return 1
}

# root_list FILE FORMAT [PREFIX...]: writes to FILE what find prints for each file of the tree. If
# the prefix is $root_fake, it prints what fakeroot has recorded.
root_list() {
	root_wait "${root_user[@]}" "${@:3}" find "$root_tree" -printf "$2" >"$root_dir/$1" ||
		die "$root_key: find cannot list the files"
}

# root_check_attributes: fails if a file has a capability and belongs to the user or group of
# $root_owner. fakeroot shows unknown files as root's, but with $root_owner once they have a
# capability. So the owner of such a file is unknown.
root_check_attributes() {
	local file files
	root_wait "${root_fake[@]}" find "$root_tree" -type f \( -uid "${root_owner%:*}" -o -gid "${root_owner#*:}" \) \
		-print0 >"$root_dir/files" || die "$root_key: find cannot list the files"
	mapfile -d '' -t files <"$root_dir/files"
	for file in "${files[@]}"; do
		root_wait "${root_fake[@]}" getcap "$file" >"$root_dir/capabilities" || die "$root_key: getcap failed"
		[ ! -s "$root_dir/capabilities" ] ||
			die "$root_key: ${file#"$root_tree/"}: without user namespaces, needs a chown (not to $root_owner) and then setcap"
	done
}

# root_check_hidden: fails if a file has extended attributes that a static program set. fakeroot
# shows only those that it has recorded.
root_check_hidden() {
	local status=0 line
	attempt "${root_user[@]}" getfattr -Rhm '^(user|trusted|security[.]capability)' --absolute-names \
		"$root_tree" >"$root_dir/attributes" 2>"$root_dir/messages" || status=$?
	root_not_killed "$status" getfattr
	while IFS= read -r line; do # a file system without extended attributes has none to check
		[[ $line == *': Operation not supported' ]] || die "$root_key: $line"
	done <"$root_dir/messages"
	! IFS= read -r line <"$root_dir/attributes" ||
		die "$root_key: fakeroot cannot see the attributes in $line"
}

# root_check: call this after the last commands. It fails if static programs made changes that
# fakeroot has not recorded. The layer would lack these changes.
root_check() {
	local inode real mode inode_too fake fake_mode type keep extra missing
	chroot_remove_points
	root_list real '%i %U:%G %m\n'
	root_list fake '%i %U:%G %m %y\n' "${root_fake[@]}"
	run paste -d ' ' "$root_dir/real" "$root_dir/fake" >"$root_dir/both"
	# shellcheck disable=SC2016 # the variables are awk's
	run awk -v owner="$root_owner" '$2 != owner || $1 != $4 || $3 != $6' "$root_dir/both" >"$root_dir/differ"
	while read -r inode real mode inode_too fake fake_mode type; do
		# fakeroot always adds the permission to read and write.
		keep=0600 extra=07777
		[ "$type" != d ] || keep=0700 extra=05777
		extra=$((0$mode & ~(0$fake_mode | keep) & extra))
		missing=$((0$fake_mode & ~0$mode & 01777))
		if [ "$inode" != "$inode_too" ] || { [ "$real" != "$root_owner" ] && [ "$real" != "$fake" ]; } ||
			{ [ "$type" != l ] && [ $((extra | missing)) -ne 0 ]; }; then
			capture "${root_user[@]}" find "$root_tree" -inum "$inode" -printf '%P\n' -quit
			die "$root_key: $REPLY: fakeroot cannot see that a static program set owner $real, mode $mode"
		fi
	done <"$root_dir/differ"
	[ "$root_real" = true ] || root_check_attributes
	root_check_hidden
}

# root_drain FD: waits until all writers of the FIFO have exited, and closes it.
root_drain() {
	local line fd=$1
	[ -n "$fd" ] || return 0
	while IFS= read -r line <&"$fd"; do :; done
	exec {fd}<&-
}

# root_end: terminates the processes of root_begin, and makes the tree removable.
root_end() {
	local pid
	at_exit=:
	# Does not wait for the child: after a signal, bash could wait for it forever. bash prints
	# no message for a disowned job that is killed.
	[ -z "$root_child" ] || { disown "$root_child" && kill -KILL "$root_child"; } 2>/dev/null || true
	root_kill DT_ROOT
	[ -z "$root_hold" ] || exec {root_hold}>&-
	root_drain "$root_said"
	# A signal may have arrived before $root_daemon was set.
	for pid in $(jobs -p); do kill "$pid" 2>/dev/null || true; done
	root_drain "$root_id"
	root_forget
	root_child='' root_hold='' root_id='' root_said=''
	attempt "${root_user[@]}" chmod -R u+rwX "$root_tree" 2>/dev/null || true
	root_own || true
}

# root_begin KEY TREE CHROOT: prepares commands in TREE, a directory in $work. Its files become
# root's. If CHROOT is true, TREE is the root directory of the commands, else the working directory.
root_begin() {
	root_key=$1
	unset FAKEROOTKEY LD_PRELOAD
	root_child='' root_daemon='' root_guard='' root_hold='' root_id='' root_said=''
	root_points=() root_mark=${work##*/} root_dir=$work/fakeroot
	run realpath -ze -- "$2" >"$work/output"
	read_output
	root_tree=$REPLY
	run mkdir "$root_dir" "$work/root"
	: >"$root_dir/messages"
	root_find_user
	at_exit=root_end
	root_start
	root_own || root_die 'the owner of the files cannot be set'
	root_find_box "$3"
}

# root_do KEY COMMANDS: runs shell commands. Their output goes to stderr.
root_do() {
	local status=0
	root_key=$1
	printf '%s' "$2" >"$work/root/$1"
	root_wait "${root_box[@]}" "$root_place/$1" </dev/null >&2 || status=$?
	root_kill DT_ROOT
	[ "$status" -eq 0 ] || die "$root_key failed with status $status"
}

# root_see FILTER [ARG...]: runs a filter that sees the owners, modes, devices and extended
# attributes that the commands set. Returns its status.
root_see() {
	local status=0
	root_wait "${root_user[@]}" "${root_fake[@]}" "$@" || status=$?
	root_not_killed "$status" "$1"
	return "$status"
}

# root_run TREE CHROOT COMMANDS FILTER [ARG...]: does all steps for fakeRootCommands. Returns the
# status of the filter.
root_run() {
	local status=0
	root_begin fakeRootCommands "$1" "$2"
	root_do fakeRootCommands "$3"
	root_check
	shift 3
	root_see "$@" || status=$?
	root_end
	return "$status"
}
