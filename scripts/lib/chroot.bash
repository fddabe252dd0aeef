# The chroot of enableFakechroot: its shell and tools, and the programs that make the tree the root
# directory. root.bash loads this file.
# shellcheck shell=bash disable=SC2034,SC2154 # it shares with root.bash and spec.bash

# The programs that are copied from this machine into a chroot, if the machine has them.
chroot_tools='[ arch awk b2sum base32 base64 basename bash bzip2 cat chgrp chmod chown chpasswd
	cksum cmp comm cp csplit cut date dd df diff dir dirname du echo env expand expr factor
	false find fmt fold getcap getent getfacl getfattr gpasswd grep groupadd groupdel
	groupmod groups gzip head hostid id install join link ln logname ls md5sum mkdir mkfifo
	mknod mktemp mv nice nl nohup nproc numfmt od paste patch pathchk pr printenv printf
	pwconv pwd grpconv readlink realpath rm rmdir sed seq setcap setfacl setfattr setsid sh
	sha1sum sha224sum sha256sum sha384sum sha512sum shred shuf sleep sort split stat stdbuf
	stty sum sync tac tail tar tee test timeout touch tr true truncate tsort tty uname
	unexpand uniq unlink useradd userdel usermod vdir wc who whoami xargs xz yes zstd'

# chroot_find_store: sets $root_store to the directory of the store in the image, and
# $root_store_here to its directory on this machine. Both are empty if there is no store.
chroot_find_store() {
	local dir=${store[1]:-/}
	for root_store in /nix/store /gnu/store; do
		! chroot_find "$dir$root_store" || return 0
	done
	root_store='' root_store_here=''
	[ "${#store[@]}" -gt 0 ] || return 0
	chroot_find "$dir" || die "--store $dir: no such directory"
	root_store=$root_store_here
}

# chroot_find DIR: sets $root_store_here to the directory without symlinks in its path. Returns 1 if
# it does not exist.
chroot_find() {
	may_fail realpath -ze -- "$1" >"$work/output" || return 1
	read_output
	root_store_here=$REPLY
}

# chroot_copy_tools: fills $work/root, which is /.dt in the chroot, with the shell and the tools. A
# tool in the store becomes a symlink. Other tools are copied with their libraries. The chroot has
# no loader at the path that they name, so a script for busybox runs the loader.
chroot_copy_tools() {
	local PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin dt=$work/root
	local files real names magic i copied=()
	run mkdir "$dt"/{bin,tools,lib,tmp}
	run cp -- "$root_library" "$dt/lib/libfakeroot.so"
	# shellcheck disable=SC2086 # several words
	names=$(type -P $chroot_tools) || [ -n "$names" ] || die 'enableFakechroot needs tools on PATH'
	mapfile -t files <<<"$names"
	read_strings real realpath -ze -- "${files[@]}"
	for i in "${!files[@]}"; do
		magic=''
		IFS= read -r -N 4 magic <"${files[i]}" || true
		if [ -n "$root_store" ] && [[ ${real[i]} == "$root_store"/* ]]; then
			run ln -s "${real[i]}" "$dt/bin/${files[i]##*/}"
		elif [ "$magic" = $'\x7fELF' ]; then
			copied+=("${files[i]}")
		fi
	done
	[ "${#copied[@]}" -eq 0 ] || chroot_copy "${copied[@]}"
}

# chroot_copy FILE...: copies these programs, their libraries and the loader to $work/root.
chroot_copy() {
	local dt=$work/root names=("${@##*/}") loader busybox program file programs libraries
	static_busybox || die 'enableFakechroot needs a static busybox'
	busybox=$REPLY
	bash_loader
	loader=$REPLY
	[ -n "$loader" ] || die 'enableFakechroot needs a bash that is dynamically linked'
	run cp -- "$busybox" "$dt/busybox"
	run cp -- "$loader" "$dt/loader"
	run cp -- "$@" "$dt/tools"
	chroot_alike programs "${names[@]}"
	local -A all=()
	for program in "${programs[@]}"; do
		list_libraries libraries "$dt/loader" "$dt/tools/$program"
		for file in "${libraries[@]}"; do
			all[${file##*/}]=${all[${file##*/}]-$file}
		done
	done
	[ "${#all[@]}" -eq 0 ] || run cp -t "$dt/lib" -- "${all[@]}"
	# shellcheck disable=SC2016 # the inner shell expands it
	printf '#!/.dt/busybox sh\n%s\n' \
		'exec /.dt/loader --library-path /.dt/lib --argv0 "$0" "/.dt/tools/${0##*/}" "$@"' >"$dt/start"
	run tee -- "${names[@]/#/"$dt/bin/"}" <"$dt/start" >/dev/null
	run chmod 755 -- "${names[@]/#/"$dt/bin/"}"
}

# chroot_alike ARRAY NAME...: sets the array to one program for each set of libraries that the
# programs in $work/root/tools mention. Listing the libraries takes a process for each program.
chroot_alike() {
	local status=0
	attempt env -C "$work/root/tools" grep -aHoE '[[:alnum:]_.+-]+\.so(\.[0-9]+)*' -- "${@:2}" \
		>"$work/mentioned" || status=$?
	[ "$status" -le 1 ] || give_up "$status" grep
	run sort -u "$work/mentioned" >"$work/sorted"
	# shellcheck disable=SC2016 # the variables are awk's
	read_lines "$1" awk -F: '{ names[$1] = names[$1] " " $2 } END { for (file in names) one[names[file]] = file
		for (set in one) print one[set] }' "$work/sorted"
}

# bash_loader: sets $REPLY to the loader of the bash that runs this script, or to nothing if this
# bash is static.
bash_loader() {
	local file
	REPLY=''
	while read -r _ _ _ _ _ file; do
		[[ $file != /*/ld-* ]] || REPLY=$file
	done <"/proc/$$/maps"
}

# list_libraries ARRAY LOADER FILE: sets the array to the shared libraries of a program, without the
# loader. A static program has none; the loader fails for it, or crashes with signal 11.
list_libraries() {
	local -n library_files=$1
	local lines line status=0
	library_files=()
	attempt "$2" --list "$3" >"$work/output" 2>/dev/null || status=$?
	[ "$status" -eq 139 ] || not_killed "$status" "${2##*/}"
	mapfile -t lines <"$work/output"
	for line in "${lines[@]}"; do
		[[ ! $line =~ ' => '(/.*)' (0x' || ${BASH_REMATCH[1]} == */ld-* || ${BASH_REMATCH[1]} == "$2" ]] ||
			library_files+=("${BASH_REMATCH[1]}")
	done
}

# chroot_make_points: makes the missing mount points of the chroot in the tree. Sets $root_points to
# the directories that it made, the innermost first.
chroot_make_points() {
	local dir above='' points=(/dev /proc /.dt)
	while [ "$above" != "$root_store" ]; do
		dir=${root_store#"$above"/}
		above+=/${dir%%/*}
		points+=("$above")
	done
	for dir in "${points[@]}"; do
		[ ! -d "$root_tree$dir" ] || continue
		may_fail mkdir -- "$root_tree$dir" ||
			die "enableFakechroot: cannot make a directory at $dir"
		root_points=("$root_tree$dir" "${root_points[@]}")
	done
}

# chroot_remove_points: removes the directories in $root_points that are still empty.
chroot_remove_points() {
	[ "${#root_points[@]}" -eq 0 ] || may_fail rmdir -- "${root_points[@]}" || true
}

# A prefix that makes statx(2), and all system calls of Linux 5.1 and later, fail as in an older
# kernel. libc then uses older calls. proot of Debian 12 does not know the new calls and passes them
# on unchanged, so they would access the files of the host.
# shellcheck disable=SC2016 # these are perl's variables
chroot_old_kernel=(perl -e '
	my ($prctl, $statx) = `uname -m` =~ /x86_64/ ? (157, 332) : (167, 291);
	my ($errno, $allow) = (0x00050026, 0x7fff0000);
	my $filter = pack "(SCCL)*", 0x20, 0, 0, 0, 0x35, 1, 0, 424, 0x15, 0, 1, $statx,
		0x06, 0, 0, $errno, 0x06, 0, 0, $allow;
	syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!\n";
	syscall($prctl, 22, 2, pack("Sx6P", 5, $filter)) == 0 or die "seccomp: $!\n";
	exec @ARGV or die "$ARGV[0]: $!\n"')

# chroot_box BWRAP: completes $root_box, the command prefix for a script of the commands. Sets
# $root_place to the directory of that script. BWRAP is true if bubblewrap works.
chroot_box() {
	local point
	chroot_find_store
	chroot_copy_tools
	chroot_make_points
	if [ "$1" = true ]; then
		root_box+=(bwrap --die-with-parent --unshare-pid --bind "$root_tree" / --dev /dev --proc /proc
			--bind "$work/root" /.dt --chdir /)
		[ -z "$root_store" ] || root_box+=(--ro-bind "$root_store_here" "$root_store")
	else
		{ type -P proot && type -P perl; } >/dev/null ||
			die 'enableFakechroot needs bubblewrap and user namespaces, or proot and perl'
		run mkdir "$work/root/dev"
		root_box+=("${chroot_old_kernel[@]}" env PROOT_NO_SECCOMP=1 proot -v -1 -r "$root_tree" -b /proc
			-b "$work/root:/.dt" -b "$work/root/dev:/dev" -w /)
		for point in null zero full random urandom tty; do
			: >"$work/root/dev/$point"
			root_box+=(-b "/dev/$point")
		done
		run ln -s /proc/self/fd "$work/root/dev/fd"
		[ -z "$root_store" ] || root_box+=(-b "$root_store_here:$root_store")
	fi
	chroot_path
	root_box+=(/.dt/bin/env -u LD_LIBRARY_PATH TMPDIR=/.dt/tmp "PATH=$REPLY"
		"${root_variables[@]}" LD_PRELOAD=/.dt/lib/libfakeroot.so)
	# proot waits for processes that the commands leave running.
	# shellcheck disable=SC2016 # the inner shell expands it
	[ "$1" = true ] || root_box+=(/.dt/bin/bash -c "root_mark=$root_mark; $(declare -f root_kill)"'
		status=0; "$@" || status=$?; root_kill DT_ROOT "$$" "$PPID"; exit "$status"' -)
	root_box+=(/.dt/bin/bash -eo pipefail)
	root_place=/.dt
}

# chroot_path: sets $REPLY to the PATH of a chroot: the tools, the image's directories, and the
# directories of $PATH that are in the store.
chroot_path() {
	local path=/.dt/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin dirs dir
	IFS=: read -ra dirs <<<"$PATH"
	for dir in "${dirs[@]}"; do
		[[ -n $root_store && -d $dir ]] || continue
		run realpath -ze -- "$dir" >"$work/output"
		read_output
		[[ $REPLY != "$root_store"/* ]] || path+=:$REPLY
	done
	REPLY=$path
}
