#!/usr/bin/env bash
# Output depends only on input and options. The list of t/0010-bytes.t, over every tool and script, has the same bytes
# on another day, in another locale and time zone, by a user without a name, on one core, from a store on overlayfs
# and with temporary files on a tmpfs. The build of a tool has the same bytes in another directory.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # a shell of its own expands these; `ok` runs functions
. "$(dirname "$0")/lib.sh"
need faketime localedef make setpriv taskset unshare

# --- images ---

mkdir "$T/locale" "$T/made" "$T/tmpfs"
chmod 755 "$T"
localedef -i tr_TR -f UTF-8 "$T/locale/tr_TR.UTF-8"
root=$("$t_dir/fixtures/madeup" "$T/made")
uid=$((200000 + $$ % 100000))
# A change of the mode copies a file of the lower directory to the upper one.
elsewhere() {
	unshare -m bash -euo pipefail -c '
		mount -t tmpfs -o mode=1777 tmpfs "$T/tmpfs"
		cd "$T/tmpfs"
		mkdir upper work "a store"
		mkdir -m 700 tmp
		chown "$1:$1" tmp
		mount -t overlay -o "lowerdir=$T/made,upperdir=upper,workdir=work" overlay "a store"
		find "a store/nix/store" -name "*.so" -exec chmod u+w {} + -exec chmod u-w {} +
		[ "$(stat -f -c %T "a store")" = overlayfs ]
		export HOME=$T/tmpfs/tmp REGISTRY_AUTH_FILE=$T/tmpfs/none TMPDIR=$T/tmpfs/tmp DT_BYTES="$T/tmpfs/a store:$2" DT_BYTES_PRINT=1
		export DT_BYTES_ENV="LC_ALL=tr_TR.UTF-8 LANG=tr_TR.UTF-8 LOCPATH=$T/locale TZ=Asia/Kathmandu"
		export NO_FAKE_STAT=1 # files keep their times
		exec setpriv "--reuid=$1" "--regid=$1" --clear-groups taskset -c 0 faketime -f +370d "$3"' \
		elsewhere "$uid" "$root" "$t_dir/0010-bytes.t"
}
export T
ok 'the list of outputs, elsewhere' elsewhere
# The first keeps the owners of files, and the second needs other users than this one.
its_own='layer-keep|build-image-root'
is 'every output has the same bytes' "$(grep -Ev " ($its_own)(:|$)" "$T/out")" "$(grep -Ev " ($its_own)$" "$t_dir/golden/bytes")"

# --- the tools ---

# dt-drv, with the modules that it may need. The commands are the same for all tools.
build_in() { # DIRECTORY BUILD JOBS
	mkdir -p "$1"
	cp -r "$top/Makefile" "$top/cmd" "$top/common" "$1"
	make -s -C "$1" -j"$3" B="$2" SOURCES='$(sort $(wildcard common/base/*.c)) common/store/derivations.c common/store/drv.c common/store/store.c' "$2/dt-drv"
}
ok 'dt-drv is built' build_in "$T/one" build 2
ok 'dt-drv is built in another directory' faketime -f +370d env TZ=Asia/Kathmandu LC_ALL=tr_TR.UTF-8 LOCPATH="$T/locale" \
	bash -c "$(declare -f build_in); top='$top'; build_in \"\$@\"" build "$T/another directory" "$T/out-of-tree" 1
same 'its bytes are the same' "$T/one/build/dt-drv" "$T/out-of-tree/dt-drv"
same 'the bytes of the library are the same' "$T/one/build/libdt.a" "$T/out-of-tree/libdt.a"
is 'it names no directory of the build' "$(grep -c -e "$T" "$T/one/build/dt-drv")" 0
finish
