# Environment helpers: files that programs expect in every system, such as /bin/sh. Load this file
# after image.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set by name, and by spec.bash

# Tables by helper. helper_links: the file names that the helper makes. helper_files: the files of a
# package to which these can link; the first that exists is used. helper_packages: preferred
# packages.
declare -gA helper_links=(
	[binSh]='bin/sh'
	[caCertificates]='etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-bundle.crt
		etc/pki/tls/certs/ca-bundle.crt'
	[fakeNss]=''
	[usrBinEnv]='usr/bin/env')
declare -gA helper_files=(
	[binSh]='bin/bash bin/sh'
	[caCertificates]='etc/ssl/certs/ca-bundle.crt etc/ssl/certs/ca-certificates.crt'
	[fakeNss]=''
	[shadowSetup]='bin/groupadd sbin/groupadd'
	[usrBinEnv]='bin/env')
declare -gA helper_packages=(
	[binSh]='bash-interactive bash'
	[caCertificates]='nss-cacert'
	[fakeNss]=''
	[usrBinEnv]='coreutils')

# in_package PACKAGE FILE: succeeds if the store path has the file. A symlink is not followed: if
# the store is in another directory, the target would be in the store of this machine.
in_package() {
	local dir=${store[1]-} file
	[ -d "$dir/nix/store" ] || [ -d "$dir/gnu/store" ] || dir=''
	file=$dir$1/$2
	[ -e "$file" ] || [ -L "$file" ]
}

# helper_target SUBJECT NAME PACKAGE: sets $REPLY to the file of the package to which the helper
# links.
helper_target() {
	local package file
	real_path "$1" "$3"
	package=$REPLY
	is_store_path "$package" || die "$1: $package is not a store path"
	for file in ${helper_files[$2]}; do
		REPLY=$package/$file
		! in_package "$package" "$file" || return 0
	done
	die "$1: $package has no ${helper_files[$2]// / or }"
}

# first_package NAMES PATH...: sets $REPLY to the best store path. Packages in NAMES come first, in
# that order; then the highest version; then the first path.
first_package() {
	local path base package names name rank
	read -ra names <<<"$1"
	for path in "${@:2}"; do
		base=${path##*/} rank=1
		base=${base:33}
		package=${base%%-[0-9]*}
		for name in "${names[@]}"; do
			[ "$package" != "$name" ] || break
			rank=$((rank + 1))
		done
		printf '%s %s %s\n' "$rank" "$base" "$path"
	done >"$work/ranked"
	run sort -k 1,1n -k 2,2Vr -k 3,3 "$work/ranked" >"$work/output"
	read -r _ _ REPLY <"$work/output"
}

# helper_find NAME: searches the store paths in the graph $work/named. Sets $REPLY to the file to
# which the helper links, or to nothing.
helper_find() {
	local file path named having
	graph_paths named "$work/named"
	for file in ${helper_files[$1]}; do
		having=()
		for path in "${named[@]}"; do
			! in_package "$path" "$file" || having+=("$path")
		done
		[ "${#having[@]}" -gt 0 ] || continue
		first_package "${helper_packages[$1]}" "${having[@]}"
		REPLY+=/$file
		return
	done
	REPLY=''
}

# has_certificates FILE: succeeds if the file has a PEM certificate.
has_certificates() {
	local line
	[ -f "$1" ] && [ -r "$1" ] || return
	while IFS= read -r line; do
		[[ ! $line =~ ^-----BEGIN\ (TRUSTED )?CERTIFICATE----- ]] || return 0
	done <"$1"
	return 1
}

# find_certificates SUBJECT: sets $REPLY to this machine's file of CA certificates.
find_certificates() {
	REPLY=${NIX_SSL_CERT_FILE:-${SSL_CERT_FILE-}}
	if [ -n "$REPLY" ]; then
		has_certificates "$REPLY" || die "$1: $REPLY, of the environment, has no certificates"
		return
	fi
	for REPLY in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-bundle.crt \
		/etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
		! has_certificates "$REPLY" || return 0
	done
	die "$1: no certificates here, give a package or install ca-certificates"
}

# static_busybox: sets $REPLY to the path of a static busybox. Returns 1 if this machine has none.
static_busybox() {
	may_fail dt-vmrun --print-busybox >"$work/output" || return 1
	read_output
	REPLY=${REPLY%$'\n'}
}

# helper_default SUBJECT NAME: sets $REPLY to the file of this machine that replaces a package's.
helper_default() {
	case $2 in
	caCertificates) find_certificates "$1" ;;
	*) static_busybox || die "$1: no static busybox here, give a package or install busybox-static" ;;
	esac
}

# fake_nss DIR PASSWD GROUP: makes files in DIR/etc with the users root and nobody. PASSWD and GROUP
# are additional lines, each followed by a newline.
fake_nss() {
	run mkdir -p "$1/etc" "$1/var"
	run mkdir -m 555 "$1/var/empty"
	printf '%s' $'root:x:0:0:root user:/var/empty:/bin/sh\n' "$2" \
		$'nobody:x:65534:65534:nobody:/var/empty:/bin/sh\n' >"$1/etc/passwd"
	printf '%s' $'root:x:0:\n' "$3" $'nobody:x:65534:\n' >"$1/etc/group"
	echo 'hosts: files dns' >"$1/etc/nsswitch.conf"
}

# has_fields LINE N: succeeds if LINE is a single line of N fields, separated by colons.
has_fields() {
	local colons=${1//[!:]/}
	[[ $1 != *$'\n'* && ${#colons} -eq $(($2 - 1)) ]]
}

# join_lines SUBJECT N LINE...: sets $REPLY to the lines, each followed by a newline. All lines must
# have N fields.
join_lines() {
	local line
	REPLY=''
	for line in "${@:3}"; do
		has_fields "$line" "$2" || die "$1: '$line' is not a line of $2 fields"
		REPLY+=$line$'\n'
	done
}

# helper_make SUBJECT NAME DIR TARGET PASSWD GROUP: makes the helper in DIR. Its files are symlinks
# to TARGET. If TARGET is empty, they are copies that need no other files. fake_nss takes PASSWD and
# GROUP.
helper_make() {
	local dir=$3 target=$4 name copy='' mode=755
	[ "$2" != caCertificates ] || mode=644
	run mkdir -p "$dir"
	[ "$2" != fakeNss ] || fake_nss "$dir" "$5" "$6"
	for name in ${helper_links[$2]}; do
		run mkdir -p "$dir/${name%/*}"
		if [ -n "$target" ]; then
			run ln -s "$target" "$dir/$name"
		elif [ -n "$copy" ]; then
			run ln -sr "$copy" "$dir/$name"
		else
			helper_default "$1" "$2"
			copy=$dir/$name
			run cp -- "$REPLY" "$copy"
			run chmod "$mode" "$copy"
		fi
	done
}

# shadow_setup DIR SHELL: sets $REPLY to commands that make the missing files in /etc for groupadd and
# useradd. They put the programs of the package DIR on PATH. SHELL is the shell of root. Their text
# is in shadow-setup.sh, which dockertools.nix reads, too.
# shellcheck disable=SC2016 # the commands expand it
shadow_setup() {
	local text path='' root=root:x:0:0::/root:$2
	[ -z "$1" ] || printf -v path 'export PATH=%q:%q:"$PATH"\n' "$1/bin" "$1/sbin"
	capture cat "$lib/shadow-setup.sh"
	text=${REPLY//$'@path@\n'/"$path"}
	REPLY=${text//@root@/"${root@Q}"}
}
