# What a root of the image's tree would do, without being one. After spec.bash.
#
#     root_begin KEY TREE CHROOT; root_do KEY COMMANDS...; root_check; root_see FILTER...; root_end
#
# What fails ends the script, and says that it was in KEY of the spec. Not for a subshell or
# a pipe, where the script's traps do not reach.
#
# fakeroot remembers the owners, modes, devices and attributes that dynamically linked
# programs give to files, and leaves these as they are. What static programs do is real.
# In a user namespace, or as root, that can be seen beside it; elsewhere it is refused.
# shellcheck shell=bash disable=SC2034,SC2154 # it shares with spec.bash

# The programs of this machine that a chroot gets, where it has them.
root_tools='[ arch awk b2sum base32 base64 basename bash bzip2 cat chgrp chmod chown chpasswd
	cksum cmp comm cp csplit cut date dd df diff dir dirname du echo env expand expr factor
	false find fmt fold getcap getent getfacl getfattr gpasswd grep groupadd groupdel
	groupmod groups gzip head hostid id install join link ln logname ls md5sum mkdir mkfifo
	mknod mktemp mv nice nl nohup nproc numfmt od paste patch pathchk pr printenv printf
	pwconv pwd grpconv readlink realpath rm rmdir sed seq setcap setfacl setfattr setsid sh
	sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf
	stty sum sync tac tail tar tee test timeout touch tr true truncate tsort tty uname
	unexpand uniq unlink useradd userdel usermod vdir wc who whoami xargs xz yes zstd'

# Sets $root_user, a prefix that makes root: of a user namespace with as many ids as this
# user may have, or nothing. Sets $root_real to whether that worked.
root_find_user() {
	local map
	root_user=() root_real=true
	[ "$(id -u)" -ne 0 ] || return 0
	for map in '--map-root-user --map-auto' --map-root-user; do
		# shellcheck disable=SC2086 # several words
		set -- unshare --user $map --
		if "$@" true 2>/dev/null; then
			root_user=("$@")
			return
		fi
	done
	root_real=false
}

# Starts fakeroot's daemon, which ends with this shell. Sets $root_fake, a prefix that
# makes a program see and do what fakeroot tells, and $root_library.
root_start() {
	local key flags=()
	command -v fakeroot >/dev/null || die "$root_key needs fakeroot"
	[ "$root_real" = false ] || flags=(--unknown-is-real)
	# shellcheck disable=SC2016 # the inner shell expands it
	coproc root_daemon { exec setsid fakeroot "${flags[@]}" -- sh -c '
		echo "$FAKEROOTKEY"
		sed -n "s,.* \(/.*/libfakeroot[^/]*\)$,\1,p" /proc/self/maps | head -n 1
		cat >/dev/null'; }
	{ read -r key && read -r root_library; } <&"${root_daemon[0]}" ||
		die "$root_key: fakeroot does not work"
	root_hold=${root_daemon[1]}
	root_fake=(env LD_PRELOAD="$root_library" FAKEROOTKEY="$key" FAKEROOTDONTTRYCHOWN=1)
}

# What --store says: sets $root_store, where the image has its store, and
# $root_store_here, where it is.
root_find_store() {
	local dir=${store[1]:-/}
	for root_store in /nix/store /gnu/store; do
		root_store_here=$(realpath -e -- "$dir$root_store" 2>/dev/null) || continue
		return 0
	done
	root_store=
	[ "${#store[@]}" -eq 0 ] || root_store=$(realpath -e -- "$dir") || die "--store $dir: no such folder"
	root_store_here=$root_store
}

# root_list_alike DIR: of the programs in DIR that mention the same libraries one, since
# asking the loader takes a process for each.
root_list_alike() {
	(cd "$1" && grep -aoE '[[:alnum:]_.+-]+\.so(\.[0-9]+)*' -- *) | sort -u |
		awk -F: '{ names[$1] = names[$1] " " $2 } END { for (file in names) one[names[file]] = file
			for (set in one) print one[set] }'
}

# The shell and the tools for a chroot, in $work/root, which is /.dt there: links to those
# that are in the store; of others copies and their libraries, since / has no loader that
# they could use: busybox starts it for them.
root_copy_tools() {
	local PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin dt=$work/root
	local files real file i magic busybox copied=()
	mkdir "$dt"/{bin,tools,lib,tmp}
	cp -- "$root_library" "$dt/lib/libfakeroot.so"
	# shellcheck disable=SC2086 # several words
	mapfile -t files < <(type -P $root_tools)
	mapfile -t real < <(realpath -e -- "${files[@]}")
	for i in "${!files[@]}"; do
		file=${files[i]} magic=''
		IFS= read -r -N 4 magic <"$file" || true
		if [ -n "$root_store" ] && [[ ${real[i]} == "$root_store"/* ]]; then
			ln -s "${real[i]}" "$dt/bin/${file##*/}"
		elif [ "$magic" = $'\x7fELF' ]; then
			copied+=("$file")
		fi
	done
	[ "${#copied[@]}" -gt 0 ] || return 0

	busybox=$(static_busybox) || die 'enableFakechroot needs a static busybox'
	cp -- "$busybox" "$dt/busybox"
	cp -- "${copied[@]}" "$dt/tools"
	cp -- "$(ldd "$(type -P bash)" | awk '$1 ~ /^\// { print $1 }')" "$dt/loader" ||
		die 'enableFakechroot needs a bash that is dynamically linked'
	root_list_alike "$dt/tools" | while IFS= read -r file; do
		"$dt/loader" --list "$dt/tools/$file"
	done | awk '$3 ~ /^\// { name = $3; sub(".*/", "", name); if (!seen[name]++) print $3 }' | xargs -d '\n' cp -t "$dt/lib" --
	# shellcheck disable=SC2016 # the inner shell expands it
	printf '#!/.dt/busybox sh\n%s\n' \
		'exec /.dt/loader --library-path /.dt/lib --argv0 "$0" "/.dt/tools/${0##*/}" "$@"' |
		(cd "$dt/bin" && tee "${copied[@]##*/}" >/dev/null && chmod 755 "${copied[@]##*/}")
}

# root_kill PID...: ends what the commands left running, but for those.
root_kill() {
	local files file pids spared
	printf -v spared ' %s' "$@" ''
	while
		pids=()
		# Waited for, since proot's status is that of whoever ends last.
		files=$(exec env -i "PATH=$PATH" grep -lsxz "DT_ROOT=$root_mark" /proc/[0-9]*/environ) || true
		for file in $files; do
			file=${file//[!0-9]/}
			[[ $spared == *" $file "* ]] || pids+=("$file")
		done
		[ "${#pids[@]}" -gt 0 ]
	do
		kill -KILL "${pids[@]}" 2>/dev/null || true
	done
}

# Whether bubblewrap works here.
root_has_bwrap() {
	"${root_user[@]}" bwrap --dev-bind / / --unshare-pid --proc /proc true 2>/dev/null
}

# root_points TREE: makes the folders that a chroot mounts something at, where they are
# missing. Sets $root_points to those, the innermost first.
root_make_points() {
	local tree=$1 dir
	root_points=()
	# shellcheck disable=SC2046 # the folders above the store, or none
	for dir in /dev /proc /.dt $(root_above "$root_store"); do
		[ ! -d "$tree$dir" ] || continue
		mkdir -- "$tree$dir" || die "enableFakechroot: cannot make a folder at $dir"
		root_points=("$tree$dir" "${root_points[@]}")
	done
}

# root_above DIR: all folders on the way to it, and itself
root_above() {
	[ -n "$1" ] || return 0
	root_above "${1%/*}"
	printf '%s\n' "$1"
}

# A prefix that makes statx(2), and all calls of Linux 5.1 and later, fail as in a kernel
# that has none, so that libc does without: Debian 12's proot knows none of them, passes
# them on as they are, and they would see the files of the host.
# shellcheck disable=SC2016 # these are perl's variables
root_old_kernel=(perl -e '
	my ($prctl, $statx) = `uname -m` =~ /x86_64/ ? (157, 332) : (167, 291);
	my ($errno, $allow) = (0x00050026, 0x7fff0000);
	my $filter = pack "(SCCL)*", 0x20, 0, 0, 0, 0x35, 1, 0, 424, 0x15, 0, 1, $statx,
		0x06, 0, 0, $errno, 0x06, 0, 0, $allow;
	syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!\n";
	syscall($prctl, 22, 2, pack("Sx6P", 5, $filter)) == 0 or die "seccomp: $!\n";
	exec @ARGV or die "$ARGV[0]: $!\n"')

# root_find_box TREE CHROOT: sets $root_box, the prefix for a script of the commands, and
# $root_place, where they see $work/root, which it is in.
root_find_box() {
	local tree=$1 chroot=$2 bwrap=false point
	mkdir "$work/root"
	root_place=$work/root
	! root_has_bwrap || bwrap=true
	root_box=(env "DT_ROOT=$root_mark")
	# Nothing shall be left that only chattr can make removable.
	[ "$(id -u)" -ne 0 ] || root_box+=(setpriv --bounding-set=-linux_immutable --)
	root_box+=("${root_user[@]}")
	if [ "$chroot" = false ]; then
		if [ "$bwrap" = true ]; then
			root_box+=(bwrap --die-with-parent --unshare-pid --dev-bind / / --proc /proc --chdir "$tree")
		else
			root_box+=(env -C "$tree")
		fi
		root_box+=("${root_fake[@]}" bash -eo pipefail)
		return
	fi
	root_find_store
	root_copy_tools
	root_make_points "$tree"
	if [ "$bwrap" = true ]; then
		root_box+=(bwrap --die-with-parent --unshare-pid --bind "$tree" / --dev /dev --proc /proc
			--bind "$work/root" /.dt --chdir /)
		[ -z "$root_store" ] || root_box+=(--ro-bind "$root_store_here" "$root_store")
	else
		command -v proot perl >/dev/null ||
			die 'enableFakechroot needs bubblewrap and user namespaces, or proot and perl'
		mkdir "$work/root/dev"
		root_box+=("${root_old_kernel[@]}" env PROOT_NO_SECCOMP=1 proot -v -1 -r "$tree" -b /proc -b "$work/root:/.dt" -b "$work/root/dev:/dev" -w /)
		for point in null zero full random urandom tty; do
			: >"$work/root/dev/$point"
			root_box+=(-b "/dev/$point")
		done
		ln -s /proc/self/fd "$work/root/dev/fd"
		[ -z "$root_store" ] || root_box+=(-b "$root_store_here:$root_store")
	fi
	root_box+=(/.dt/bin/env -u LD_LIBRARY_PATH TMPDIR=/.dt/tmp "PATH=$(root_path)"
		"${root_fake[@]:1}" LD_PRELOAD=/.dt/lib/libfakeroot.so)
	# proot waits for what the commands leave running.
	# shellcheck disable=SC2016 # the inner shell expands it
	[ "$bwrap" = true ] || root_box+=(/.dt/bin/bash -c "root_mark=$root_mark; $(declare -f root_kill)"'
		status=0; "$@" || status=$?; root_kill "$$" "$PPID"; exit "$status"' -)
	root_box+=(/.dt/bin/bash -eo pipefail)
	root_place=/.dt
}

# The PATH of a chroot: the tools, the image's own, and what of $PATH is in the store.
root_path() {
	local path=/.dt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin dirs dir
	IFS=: read -ra dirs <<<"$PATH"
	for dir in "${dirs[@]}"; do
		dir=$(realpath -e -- "$dir" 2>/dev/null) || continue
		[ -z "$root_store" ] || [[ $dir != "$root_store"/* ]] || path+=:$dir
	done
	printf '%s\n' "$path"
}

# Runs a command that a signal to the script ends as well.
root_wait() {
	(exec {root_hold}>&- && exec "$@") <&0 &
	root_child=$!
	wait "$root_child" 2>/dev/null
}

# root_own TREE: makes all of it this user's.
root_own() {
	local owner=0:0
	[ "$root_real" = true ] || owner=$(id -u):$(id -g)
	"${root_user[@]}" find "$1" \( ! -uid "${owner%:*}" -o ! -gid "${owner#*:}" \) \
		-exec chown -h "$owner" {} +
}

# root_check_attributes TREE UID:GID: where fakeroot takes what it does not know as root's,
# it takes that as of UID or GID once it has got a capability, so it may be either's.
root_check_attributes() {
	local file
	while IFS= read -r -d '' file; do
		[ -z "$("${root_fake[@]}" getcap "$file")" ] ||
			die "$root_key: ${file#"$1/"}: without user namespaces, needs a chown (not to $2) and then setcap"
	done < <("${root_fake[@]}" find "$1" -type f \( -uid "${2%:*}" -o -gid "${2#*:}" \) -print0)
}

# root_check: after the last commands, refuses what static programs did to files that fakeroot remembers
# otherwise, and what it cannot see at all: it would be lost.
root_check() {
	local tree=$root_tree owner=0:0 inode real mode inode_too fake fake_mode type keep extra missing
	[ "${#root_points[@]}" -eq 0 ] || rmdir -- "${root_points[@]}" 2>/dev/null || true
	[ "$root_real" = true ] || owner=$(id -u):$(id -g)
	"${root_user[@]}" find "$tree" -printf '%i %U:%G %m\n' >"$work/root/real" ||
		die "$root_key: what they made cannot be read"
	"${root_user[@]}" "${root_fake[@]}" find "$tree" -printf '%i %U:%G %m %y\n' >"$work/root/fake" ||
		die "$root_key: fakeroot does not work any more"
	paste -d ' ' "$work/root/real" "$work/root/fake" |
		awk -v owner="$owner" '$2 != owner || $1 != $4 || $3 != $6' >"$work/root/differ"
	while read -r inode real mode inode_too fake fake_mode type; do
		# fakeroot leaves itself the right to read and write.
		keep=0600 extra=07777
		[ "$type" != d ] || keep=0700 extra=05777
		extra=$((0$mode & ~(0$fake_mode | keep) & extra))
		missing=$((0$fake_mode & ~0$mode & 01777))
		if [ "$inode" != "$inode_too" ] || { [ "$real" != "$owner" ] && [ "$real" != "$fake" ]; } ||
			{ [ "$type" != l ] && [ $((extra | missing)) -ne 0 ]; }; then
			tree=$("${root_user[@]}" find "$tree" -inum "$inode" -printf '%P\n' -quit)
			die "$root_key: $tree: fakeroot cannot see that a static program set owner $real, mode $mode"
		fi
	done <"$work/root/differ"
	[ "$root_real" = true ] || root_check_attributes "$tree" "$owner"
	# fakeroot shows those attributes only that it remembers.
	real=$("${root_user[@]}" getfattr -Rhm '^(user|trusted|security[.]capability)' "$tree" 2>/dev/null || true)
	[ -z "$real" ] || die "$root_key: fakeroot cannot see the attributes in ${real%%$'\n'*}"
}

# Ends what root_begin() started, and makes the tree one that can be removed.
root_end() {
	at_exit=:
	# Not waited for: after a signal in mid-wait, bash may wait for it in vain.
	[ -z "$root_child" ] || kill -KILL "$root_child" 2>/dev/null || true
	root_kill 0
	exec {root_hold}>&- || true
	"${root_user[@]}" chmod -R u+rwX "$root_tree" || true
	root_own "$root_tree" || true
}

# root_begin KEY TREE CHROOT: makes the folder TREE, which lies in $work, root's own, and
# commands find it as / if CHROOT is true, else as the working folder.
root_begin() {
	local chroot=$3
	root_key=$1
	root_tree=$(realpath -e -- "$2") || die "$2: no such folder"
	unset FAKEROOTKEY LD_PRELOAD
	root_child='' root_points=() root_mark=${work##*/}
	root_find_user
	root_start
	at_exit=root_end
	root_own "$root_tree" || die "$root_tree: its owner cannot be set"
	root_find_box "$root_tree" "$chroot"
}

# root_do KEY COMMANDS: runs shell text; what it prints goes to stderr.
root_do() {
	local status=0
	root_key=$1
	printf '%s' "$2" >"$work/root/$1"
	root_wait "${root_box[@]}" "$root_place/$1" </dev/null >&2 || status=$?
	root_kill 0
	[ "$status" -eq 0 ] || die "$root_key failed with status $status"
}

# root_see FILTER [ARG...]: its status; it sees the owners, modes, devices and attributes
# that the commands made.
root_see() { root_wait "${root_user[@]}" "${root_fake[@]}" "$@"; }

# root_run TREE CHROOT COMMANDS FILTER [ARG...]: all of that for fakeRootCommands.
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
