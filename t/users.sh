# Commands as users with different rights. Source it after lib.sh.
# shellcheck shell=bash disable=SC2016 # what is passed on is run by others
declare -a user subids

# make_user ID: sets $user, a prefix that makes a command one of the user and the group ID. Tests that run at
# the same time have different IDs. The user's home is $T/tmp.
make_user() { user_id=$1 user=(env "HOME=$T/tmp" setpriv "--reuid=$1" "--regid=$1" --clear-groups); }

# make_subids: gives the user subordinate IDs in $T/etc, which has passwd, group, subuid and subgid. Sets $subids, a
# prefix that makes a command one of this user.
make_subids() {
	local name
	mkdir -p "$T/etc"
	for name in passwd group; do
		{ cat "/etc/$name" && echo "dt-test:x:$user_id:$user_id::/:/bin/sh"; } >"$T/etc/$name"
	done
	echo dt-test:3000000:65536 | tee "$T/etc/subuid" >"$T/etc/subgid"
	chmod 644 "$T"/etc/*
	subids=(unshare -m bash -ec 'for name in passwd group subuid subgid; do
		touch "/etc/$name"
		mount --bind "$0/etc/$name" "/etc/$name"
	done
	exec "$@"' "$T" "${user[@]}")
}

# as KIND COMMAND...: runs the command as
#     root         root
#     user         the user
#     subids       the user, with the subordinate IDs of make_subids
#     alone        the user, who may make no user namespaces because of a chroot, in $T/host
#     contained    root, who may not mount
as() {
	local kind=$1
	shift
	case $kind in
	root) "$@" ;;
	user) "${user[@]}" "$@" ;;
	subids) "${subids[@]}" "$@" ;;
	alone) unshare -m bash -ec 'mount --rbind / "$0/host"; exec chroot "$0/host" "$@"' "$T" "${user[@]}" "$@" ;;
	contained) setpriv --bounding-set=-sys_admin "$@" ;;
	esac
}
