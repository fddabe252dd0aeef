#!/usr/bin/env bash
# The scratch directory of the scripts: a TMPDIR with blanks and quotes, a relative one, and signals.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/users.sh"
need timeout busybox bwrap fakeroot jq perl proot setpriv unshare

mkdir "$T/host" "$T/bin" "$T/store"
chmod 755 "$T"
make_user 30021
for chroot in false true; do
	jq -n --argjson chroot "$chroot" '{name: "x", tag: "t", compressor: "none", contents: "fakeNss",
		extraCommands: ": >made", enableFakechroot: $chroot,
		fakeRootCommands: "[ -e made ]; echo 1 >file; chown 5:6 file; sed -n p file | grep -q 1; mktemp >&2"}' >"$T/$chroot.json"
done
build() { # TMPDIR KIND CHROOT
	TMPDIR=$1 as "$2" dt-build-layered-image --store "$T/store" "$T/$3.json"
}

# --- blanks and quotes ---

mkdir -m 1777 "$T/tmp"
build "$T/tmp" root false >"$T/want" 2>"$T/messages"
is 'owners of fakeRootCommands' "$(dt-flatten "$T/want" | tar --numeric-owner -tv file | awk '{ print $2 }')" 5/6
for name in 'a b' "it's" $'a  b\'c"d$e\\f&g'; do
	mkdir -m 1777 "$T/$name"
	for kind in root alone; do
		for chroot in false true; do
			ok "TMPDIR $name, $kind, enableFakechroot $chroot" build "$T/$name" "$kind" "$chroot"
			same "TMPDIR $name, $kind, enableFakechroot $chroot: the same image" "$T/out" "$T/want"
			# mktemp of the commands made a file, in TMPDIR itself if there is no chroot
			is "TMPDIR $name, $kind, enableFakechroot $chroot: no scratch directory" \
				"$(find "$T/$name" -mindepth 1 -type d)" ''
		done
	done
done

# --- a relative one ---

mkdir -m 1777 "$T/relative"
relative() { (cd "$T" && build relative root "$1"); }
for chroot in false true; do
	ok "a relative TMPDIR, enableFakechroot $chroot" relative "$chroot"
	same "a relative TMPDIR, enableFakechroot $chroot: the same image" "$T/out" "$T/want"
	is "a relative TMPDIR, enableFakechroot $chroot: no scratch directory" "$(find "$T/relative" -mindepth 1 -type d)" ''
done
output() { (cd "$T" && dt-env-helper fakeNss --output "relative/nss"); }
ok 'a relative --output' output
is 'a relative --output: nothing else' "$(cd "$T/relative" && echo nss* .[!.]*)" 'nss .[!.]*'

# --- signals ---

# A mktemp that sends a signal to the script, before and after it prints the name.
export TMPDIR=$T/tmp real
real=$(type -P mktemp)
cat >"$T/bin/mktemp" <<'END'
#!/bin/sh
name=$("$real" "$@") || exit
[ "$WHEN" != before ] || kill -"$SIGNAL" "$PPID"
echo "$name"
[ "$WHEN" != after ] || kill -"$SIGNAL" "$PPID"
END
chmod 755 "$T/bin/mktemp"
rm -rf "$T/tmp"/*
signalled() { PATH=$T/bin:$PATH SIGNAL=$1 WHEN=$2 env --default-signal dt-env-helper fakeNss; }
for signal in HUP:129 INT:130 TERM:143; do
	for when in before after; do
		status=0
		signalled "${signal%:*}" "$when" >"$T/out" 2>"$T/err" || status=$?
		is "SIG${signal%:*} $when the name is printed: status, output" "$status:$(wc -c <"$T/out"):$(cat "$T/err")" "${signal#*:}:0:"
		is "SIG${signal%:*} $when the name is printed: nothing is left" "$(ls -A "$T/tmp")" ''
	done
done

# The script gets SIGTERM at many moments, alone or with the programs that it runs.
bad=''
for ((i = 1; i <= 30; i++)); do
	for group in '' --foreground; do
		# shellcheck disable=SC2086 # an option or nothing
		timeout $group "0.0$((i / 10))$((i % 10))" dt-env-helper fakeNss >"$T/out" 2>"$T/err"
		left=$(ls -A "$T/tmp")
		[ -z "$left" ] || bad+="after $i centiseconds: $left"$'\n'
		rm -rf "$T/tmp"/*
	done
done
is 'SIGTERM at 60 moments: nothing is left' "$bad" ''

finish
