# The environment helpers: files that programs expect at the root of any system. After
# spec.bash and image.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # the scripts use and set what is used and set here

helper_count=0

# For each of them: the names that it gives; the files of a package that these may be links
# to, the first one that is there; and the packages that are looked at first.
declare -A helper_links=(
	[binSh]='bin/sh'
	[caCertificates]='etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ca-bundle.crt
		etc/pki/tls/certs/ca-bundle.crt'
	[fakeNss]=''
	[usrBinEnv]='usr/bin/env')
declare -A helper_files=(
	[binSh]='bin/bash bin/sh'
	[caCertificates]='etc/ssl/certs/ca-bundle.crt etc/ssl/certs/ca-certificates.crt'
	[fakeNss]=''
	[shadowSetup]='bin/groupadd sbin/groupadd'
	[usrBinEnv]='bin/env')
declare -A helper_packages=(
	[binSh]='bash-interactive bash'
	[caCertificates]='nss-cacert'
	[fakeNss]=''
	[usrBinEnv]='coreutils')

# in_package PACKAGE FILE: whether the store path has it. A link is not followed: in a store
# elsewhere it would lead to the store of this machine.
in_package() {
	local dir=${store[1]-} file
	[ -d "$dir/nix/store" ] || [ -d "$dir/gnu/store" ] || dir=''
	file=$dir$1/$2
	[ -e "$file" ] || [ -L "$file" ]
}

# helper_target SUBJECT NAME PACKAGE: prints the file of the package that the helper is about.
helper_target() {
	local package file
	package=$(real_path "$1" "$3") || exit
	is_store_path "$package" || die "$1: $package is not a store path"
	for file in ${helper_files[$2]}; do
		in_package "$package" "$file" || continue
		printf '%s\n' "$package/$file"
		return
	done
	die "$1: $package has no ${helper_files[$2]// / or }"
}

# first_package NAME...: of the store paths on stdin, the one whose package is named first,
# or not named; of several the one of the highest version; of several the first.
first_package() {
	awk -v names="$*" 'BEGIN { n = split(names, name, " ") }
		{
			base = package = substr($1, match($1, /[^\/]*$/) + 33)
			sub(/-[0-9].*/, "", package)
			for (i = 1; i <= n && package != name[i]; i++);
			print i, base, $1
		}' | sort -k 1,1n -k 2,2Vr -k 3,3 | awk 'NR == 1 { print $3 }'
}

# helper_find NAME: of the store paths in the graph $work/named, prints the file that the
# helper is about, or nothing.
helper_find() {
	local file path package
	for file in ${helper_files[$1]}; do
		package=$(while read -r path _; do
			! in_package "$path" "$file" || printf '%s\n' "$path"
		done <"$work/named" | first_package "${helper_packages[$1]}")
		[ -n "$package" ] || continue
		printf '%s\n' "$package/$file"
		return
	done
}

# has_certificates FILE
has_certificates() { grep -qsE '^-----BEGIN (TRUSTED )?CERTIFICATE-----' -- "$1"; }

# find_certificates SUBJECT: prints where this machine has the certificates of authorities.
find_certificates() {
	local file=${NIX_SSL_CERT_FILE:-${SSL_CERT_FILE-}}
	if [ -n "$file" ]; then
		has_certificates "$file" || die "$1: $file, of the environment, has no certificates"
		printf '%s\n' "$file"
		return
	fi
	for file in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-bundle.crt \
		/etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
		has_certificates "$file" || continue
		printf '%s\n' "$file"
		return
	done
	die "$1: no certificates here, give a package or install ca-certificates"
}

# helper_default SUBJECT NAME: prints the file of this machine that does for a package's.
helper_default() {
	case $2 in
	caCertificates) find_certificates "$1" ;;
	*) static_busybox || die "$1: no static busybox here, give a package or install busybox-static" ;;
	esac
}

# fake_nss DIR: the users root and nobody, and those of $passwd_lines and $group_lines.
fake_nss() {
	mkdir -p "$1/etc" "$1/var"
	mkdir -m 555 "$1/var/empty"
	printf '%s\n' 'root:x:0:0:root user:/var/empty:/bin/sh' "${passwd_lines[@]}" \
		'nobody:x:65534:65534:nobody:/var/empty:/bin/sh' >"$1/etc/passwd"
	printf '%s\n' root:x:0: "${group_lines[@]}" nobody:x:65534: >"$1/etc/group"
	echo 'hosts: files dns' >"$1/etc/nsswitch.conf"
}

# has_fields LINE N: it is one line, of N fields with colons between them.
has_fields() {
	local colons=${1//[!:]/}
	[[ $1 != *$'\n'* && ${#colons} -eq $(($2 - 1)) ]]
}

# helper_make SUBJECT NAME DIR TARGET: makes the helper in DIR: links to the file TARGET, or,
# without one, what works alone.
helper_make() {
	local dir=$3 target=$4 name default copy=''
	mkdir -p "$dir"
	[ "$2" != fakeNss ] || fake_nss "$dir"
	for name in ${helper_links[$2]}; do
		mkdir -p "$dir/${name%/*}"
		if [ -n "$target" ]; then
			ln -s "$target" "$dir/$name"
		elif [ -n "$copy" ]; then
			ln -sr "$copy" "$dir/$name"
		else
			default=$(helper_default "$1" "$2")
			copy=$dir/$name
			cp -- "$default" "$copy"
			chmod "$([ "$2" = caCertificates ] && echo 644 || echo 755)" "$copy"
		fi
	done
}

# spec_roots FILTER: sets $roots to what the values are that the jq filter yields, and the
# values, by turns: path PATH, env JSON, helper JSON.
spec_roots() {
	spec_list roots "$1"' |
		if type == "string" and IN("'"${!helper_files[*]}"'" | splits(" ")) then {helper: .} else . end |
		if type == "string" then "path", . elif has("helper") then "helper", tojson else "env", tojson end'
}

# What is wrong with an object of a helper, as a filter of jq.
# shellcheck disable=SC2016 # these are jq's variables
helper_problem='{binSh: {package: "string"}, caCertificates: {package: "string"},
		fakeNss: {extraPasswdLines: "array", extraGroupLines: "array"}, usrBinEnv: {package: "string"}} as $helpers |
	.helper as $name |
	if $helpers[$name] == null then "no helper \($name), but \($helpers | keys | join(", "))"
	else first(del(.helper) | to_entries[] | select(.value != null) |
		if $helpers[$name][.key] == null then "\($name): unknown key \(.key)"
		elif (.value | type) != $helpers[$name][.key] or (.value | arrays | any(.[]; type != "string"))
		then "\($name): \(.key) is not of type \($helpers[$name][.key])"
		else empty end) // empty end'

# check_lines SUBJECT N LINE...: ends the script unless all are lines of N fields.
check_lines() {
	local line
	for line in "${@:3}"; do
		has_fields "$line" "$2" || die "$1: '$line' is not a line of $2 fields"
	done
}

# spec_helper KEY JSON: makes the helper that an object in the spec's KEY means, and sets
# $helper_tree to where. Without a package, one is looked for in the graph $work/named.
spec_helper() {
	local fields problem name package n target passwd_lines group_lines
	mapfile -d '' -t fields < <(jq -j "([$helper_problem][0] // \"\") as \$problem | \$problem,
		(select(\$problem == \"\") | .helper, .package // \"\", (.extraPasswdLines // [] | length | tostring),
			.extraPasswdLines[]?, .extraGroupLines[]?) | . + \"\\u0000\"" <<<"$2")
	problem=${fields[0]}
	[ -z "$problem" ] || die "$1: $problem"
	name=${fields[1]} package=${fields[2]} n=${fields[3]}
	passwd_lines=("${fields[@]:4:n}") group_lines=("${fields[@]:4+n}")
	check_lines "$1: $name: extraPasswdLines" 7 "${passwd_lines[@]}"
	check_lines "$1: $name: extraGroupLines" 4 "${group_lines[@]}"
	if [ -n "$package" ]; then
		target=$(helper_target "$1: $name" "$name" "$package")
	else
		target=$(helper_find "$name")
	fi
	helper_tree=$work/helpers/$((helper_count += 1))/$name
	helper_make "$1: $name" "$name" "$helper_tree" "$target"
}

# shadow_setup DIR SHELL: prints commands that make in /etc what groupadd and useradd need,
# where it is missing, and put those of DIR, a package, on PATH. SHELL is that of root.
# shellcheck disable=SC2016 # the commands expand it
shadow_setup() {
	local path='' root=root:x:0:0::/root:$2
	[ -z "$1" ] || printf -v path 'export PATH=%q:%q:"$PATH"\n' "$1/bin" "$1/sbin"
	cat <<-END
		if [ "\$PWD" != / ]; then
		    echo 'shadowSetup is for commands that begin in / of an image, as with enableFakechroot' >&2
		    exit 1
		fi
		${path}export SOURCE_DATE_EPOCH="\${SOURCE_DATE_EPOCH:-1}"
		mkdir -p /etc/pam.d
		if [ ! -e /etc/passwd ]; then
		    echo ${root@Q} >/etc/passwd
		    [ -e /etc/shadow ] || (umask 077 && echo 'root:!x:::::::' >/etc/shadow)
		fi
		if [ ! -e /etc/group ]; then
		    echo root:x:0: >/etc/group
		    [ -e /etc/gshadow ] || (umask 077 && echo root:x:: >/etc/gshadow)
		fi
		[ -e /etc/pam.d/other ] || cat >/etc/pam.d/other <<'OTHER'
		account sufficient pam_unix.so
		auth sufficient pam_rootok.so
		password requisite pam_unix.so nullok yescrypt
		session required pam_unix.so
		OTHER
		[ -e /etc/login.defs ] || : >/etc/login.defs
	END
}
