#!/usr/bin/env bash
# The two commands of the README, except that they install no packages.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need make gcc jq busybox setpriv unshare
unset DT_BUILD MAKEFLAGS MFLAGS MAKELEVEL

# The sample store.
listing() { (cd "$T/$1" && find nix/store -mindepth 1 -printf '%p %y %m %T@ %s %l\n' | sort); }
ok 'a sample store' "$top/scripts/sample-store" "$T/one"
cp "$T/out" "$T/paths"
like 'it has hello' "$T/paths" '^/nix/store/[0-9a-df-np-sv-z]{32}-hello$'
like 'greeting' "$T/paths" '^/nix/store/[0-9a-df-np-sv-z]{32}-greeting$'
like 'and busybox' "$T/paths" '^/nix/store/[0-9a-df-np-sv-z]{32}-busybox$'
is 'that is what is there' "$(sort "$T/paths")" \
	"$(cd "$T/one" && find nix/store -mindepth 1 -maxdepth 1 -printf '/%p\n' | sort)"
listing one >"$T/one.list"
ok 'the same store again' "$top/scripts/sample-store" "$T/one"
same 'prints the same' "$T/out" "$T/paths"
listing one >"$T/again.list"
same 'and changes nothing' "$T/one.list" "$T/again.list"
(umask 077 && mkdir "$T/two words" && chmod g+s "$T/two words") # its directories would inherit that
ok 'elsewhere, with another umask' bash -c 'umask 077; TZ=Asia/Tokyo exec "$@"' - \
	"$top/scripts/sample-store" "$T/two words"
same 'the paths are the same' "$T/out" "$T/paths"
listing 'two words' >"$T/two.list"
same 'with the same modes, times and links' "$T/one.list" "$T/two.list"
ok 'and the same bytes' diff -r --no-dereference "$T/one/nix/store" "$T/two words/nix/store"
hello=$(grep -e -hello "$T/paths")
dt-closure --store "$T/one" "$hello" | cut -d ' ' -f 1,3- >"$T/closure"
is 'hello refers to the two others' "$(grep -e '^[^ ]*-hello' "$T/closure")" \
	"$hello $(grep -v -e -hello "$T/paths" | sort | paste -sd ' ')"
is 'which refer to nothing' "$(grep -c ' ' "$T/closure")" 1
mkdir "$T/dynamic"
ln -s "$(type -P make)" "$T/dynamic/busybox"
fails 1 'busybox is not static' 'a busybox that would not run in an image' \
	env PATH="$T/dynamic:$PATH" "$top/scripts/sample-store" "$T/three"
fails 2 '^usage: ' 'no directory' "$top/scripts/sample-store"

# The quickstart, of a copy whose path has blanks, from elsewhere.
copy=$T/'a copy of it'
mkdir "$copy"
find "$top" -mindepth 1 -maxdepth 1 ! -name 'build*' ! -name sample ! -name '.git' \
	-exec cp -a -t "$copy" -- {} +
# Most of the build is there, because compiling takes long.
cp -a "$build" "$copy/build"
rm "$copy"/build/{libdt.a,dt-inspect,common/base/num.o}
# shellcheck disable=SC2317 # what `ok` runs
quickstart() { (cd / && exec "$copy/scripts/quickstart"); }
export DOCKER_HOST=unix://$T/none
ok 'the quickstart' quickstart
cp "$T/out" "$T/first"
is 'it complains of nothing' "$(cat "$T/err")" ''
image=$copy/sample/hello.tar
ok 'its image is one' dt-inspect "$image"
cp "$T/out" "$T/inspected"
while read -r path; do
	like "the table shows a layer of ${path##*-}" "$T/first" "^  [0-9a-f]{12} +[0-9]+  $path\$"
	like 'which is in the image' "$T/inspected" "$path"
done <"$T/paths"
like 'and that of links to them' "$T/first" '^  [0-9a-f]{12} +[0-9]+  customisation layer$'
is 'and no more' "$(grep -Ec '^  [0-9a-f]{12} ' "$T/first")" "$(jq '.layers | length' "$T/inspected")"
like 'the four filters make the same' "$T/first" '^the same bytes$'
tag=$(jq -r '.repoTags[0]' "$T/inspected")
like 'without Docker it says how to run it' "$T/first" "^docker run --rm $tag\$"
cp "$image" "$T/image"
ok 'the quickstart once more' quickstart
same 'says the same' "$T/first" "$T/out"
same 'and makes the same' "$T/image" "$image"

# With Docker.
start_dockerd
ok 'the quickstart, with Docker' quickstart
like 'Docker takes the image' "$T/out" "^Loaded image: $tag\$"
is 'and runs it' "$(tail -n 1 "$T/out")" "$(cat "$T"/one/nix/store/*-greeting)"

# Installing, where it does not come to that. The system's tools are played.
mkdir -p "$T/played/lib"
cp "$top/scripts/deps" "$T/played"
cp "$top/scripts/lib/programs.txt" "$T/played/lib"
chmod -R 755 "$T" 2>/dev/null
play() { # TOOL COMMANDS
	printf '#!/bin/sh\n%s\n' "$2" >"$T/played/$1"
	chmod 755 "$T/played/$1"
}
deps() { PATH=$T/played:$PATH "${as[@]}" "$T/played/deps" "$@"; }
as=()
play dpkg-query 'echo installed'
play apt-get "echo called >>'$T/apt-get'"
play sudo 'exit 1'
ok 'all packages are there' deps test
is 'nothing is said of it' "$(cat "$T/out" "$T/err")" ''
ok 'and apt is left alone' test ! -e "$T/apt-get"
fails 2 '^usage: ' 'no group' deps
fails 1 "no group 'tests': use build," 'an unknown group' deps tests
play dpkg-query 'exit 1'
[ "$EUID" -ne 0 ] || as=(setpriv --reuid=65534 --regid=65534 --clear-groups)
fails 1 'only root or sudo can install busybox-static$' 'not root, no sudo' deps sample
as=()
[ "$EUID" -eq 0 ] || as=(unshare -r)
play apt-get 'printf "%s\n" "Remv busybox [1]" "Remv initramfs-tools [2]"'
status=0
deps sample >"$T/out" 2>"$T/err" || status=$?
is 'a package would go' "$status $(tail -n 1 "$T/err")" \
	'1 deps: busybox-static would remove initramfs-tools: install what you want of them'

finish
