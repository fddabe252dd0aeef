#!/usr/bin/env bash
# dt-closure --scan: what is found where, NAR sizes, the cache, odd stores.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # functions that only the checks call
. "$(dirname "$0")/lib.sh"
need nix-store python3 runuser taskset

S=$T/store
mkdir "$S"

# hash NUMBER: a hash part.
hash() { printf '%032d' "$1"; }

# path NUMBER NAME: the store path.
path() { echo "$S/$(hash "$1")-$2"; }

needle=$(path 1 needle)
h=$(hash 1)
echo needle >"$needle"
other=$(path 2 other)
echo other >"$other"

# refs ARG... PATH: the references of a store path, by a scan.
refs() {
	dt-closure --scan "$@" >"$T/refs" || return
	sed -n "s,^${!#} [0-9]* *,,p" "$T/refs"
}

# finds DESCRIPTION: the path $p, which is then removed, refers to the needle.
finds() {
	is "found: $1" "$(refs --no-cache "$p")" "$needle"
	rm -rf "$p"
}

# misses DESCRIPTION: the path $p, which is then removed, refers to nothing.
misses() {
	is "not found: $1" "$(refs --no-cache "$p")" ''
	rm -rf "$p"
}

# Where hash parts are.
p=$(path 3 p)
echo "$needle" >"$p"
finds 'in a store path that is a file'
printf %s "$h" >"$p"
finds 'the hash part alone, all of a file'
ln -s "$needle" "$p"
finds 'in a store path that is a symlink'
mkdir "$p" && ln -s "../$h-else/x" "$p/link"
finds 'in the target of a symlink'
mkdir -p "$p/a/b" && : >"$p/a/b/x$h-y"
finds 'in the name of an empty file'
mkdir -p "$p/a/$h/b"
finds 'in the name of an empty directory'
mkdir "$p" && ln -s nowhere "$p/$h"
finds 'in the name of a symlink'
printf 'ABC%s/ABC' "$h" >"$p"
finds 'between other characters'
printf '\0\377%s\0' "$h" >"$p"
finds 'between bytes that are no text'
printf 'abc0%s0abc' "$h" >"$p"
finds 'within a run of characters of the alphabet'
printf 'abc%.0s' {1..30000} >"$p" && printf '%s' "$h" >>"$p" && printf 'abc%.0s' {1..9} >>"$p"
finds 'within a very long one'
printf %s "${h%?}" >"$p"
misses 'a hash part without its end'
printf '%s\n%s' "${h:0:16}" "${h:16}" >"$p"
misses 'a hash part in two lines'
printf %s "$h" | tr 0 O >"$p"
misses 'upper case'
mkdir "$p" && printf %s "${h:0:16}" >"$p/1" && printf %s "${h:16}" >"$p/2"
misses 'half in one file, half in another'
: >"$p"
misses 'anything in an empty file'
mkdir "$p"
misses 'anything in an empty directory'
echo "$p/x" >"$p"
misses 'a path in itself'

# Files are read in blocks (128 KiB) and shared among threads (8 MiB).
block=131072 chunk=8388608
for at in $((block - 32)) $((block - 31)) $((block - 16)) $((block - 1)) $block \
	$((2 * block - 17)) $((chunk - 32)) $((chunk - 31)) $((chunk - 1)) $chunk \
	$((chunk + block - 5)) $((2 * chunk - 9)); do
	truncate -s "$at" "$p" && printf %s "$h" >>"$p" && truncate -s $((2 * chunk + 99)) "$p"
	finds "at byte $at of a large file"
done
for at in $((block - 32)) $((block - 20)) $((chunk - 32)) $((chunk - 20)); do
	truncate -s "$at" "$p" && printf %s "$h" >>"$p"
	finds "at byte $at, which ends the file"
done

# NAR sizes, and that many files are no trouble, or deep directories.
odd=$(path 10 odd)
mkdir -p "$odd/empty" "$odd/a/b/c"
for n in 0 1 7 8 9 15 16 17 1000; do
	head -c "$n" /dev/zero >"$odd/a/$n"
done
cp "$odd/a/1" "$odd/a/executable" && chmod 744 "$odd/a/executable"
cp "$odd/a/1" "$odd/a/not-ours" && chmod 677 "$odd/a/not-ours"
ln -s 12345678 "$odd/a/link8"
ln -s . "$odd/a/here"
ln "$odd/a/1000" "$odd/a/hard"
: >"$odd/a/b/"$'new\nline'
: >"$odd/a/b/ two  blanks "
: >"$odd/a/b/"$'\xff\xfe'
: >"$odd/a/b/$(printf 'x%.0s' {1..255})"
many=$(path 11 many)
mkdir "$many"
echo nothing >"$many/0"
python3 -c 'import os, sys
for i in range(1, 9000): os.link(sys.argv[1] + "/0", sys.argv[1] + "/%d" % i)' "$many"
echo "$needle $odd" >"$many/one"
deep=$(path 12 deep)
down=$deep
for _ in {1..300}; do down=$down/0123456789; done
mkdir -p "$down"
echo "$many" >"$down/file"
for path in "$needle" "$odd" "$many" "$deep"; do
	dt-closure --scan --no-cache "$path" >"$T/out"
	is "NAR size of ${path##*-}" "$(sed -n "s,^$path \([0-9]*\).*,\1,p" "$T/out")" \
		"$(nix-store --dump "$path" | wc -c)"
done
dt-closure --scan --no-cache "$deep" >"$T/all"
is 'many files, deep directories' "$(cut -d' ' -f1,3- "$T/all")" "$needle
$odd
$many $needle $odd
$deep $many"
taskset -c "$(taskset -cp $$ | sed 's/.*: //; s/[,-].*//')" \
	dt-closure --scan --no-cache "$deep" >"$T/one"
same 'one core, the same bytes' "$T/one" "$T/all"
rm -r "$many" "$deep"
is 'nothing in the cache with --no-cache' "$(find "$DT_CACHE" -type f 2>/dev/null)" ''

# The cache. What a file holds is changed behind its back to see when files are read.
c=$(path 20 cached)
later=$(path 21 later)
mkdir "$c"
echo "$needle $later $(hash 22)" >"$c/file"
is 'cache: a first scan' "$(refs "$c")" "$needle"
is 'cache: a fact a path' "$(find "$DT_CACHE" -type f | wc -l)" 2
dt-closure --scan "$c" >"$T/first"
echo "$other" >"$c/file"
is 'cache: a second scan reads no file' "$(refs "$c")" "$needle"
is 'cache: --no-cache does' "$(refs --no-cache "$c")" "$other"
echo later >"$later"
is 'cache: a path that came to exist later' "$(refs "$c")" "$needle $later"
mv "$needle" "$T/needle"
is 'cache: a path that went' "$(refs "$c")" "$later"
mv "$T/needle" "$needle"
rm "$later"
for damage in 'truncate -s 50' 'truncate -s 0' 'sed -i s/0/1/g' 'rm' \
	"sh -c 'printf %s 12 >\$0'"; do
	rm -rf "$DT_CACHE"
	refs "$c" >"$T/out"
	echo "$needle $later" >"$c/file"
	find "$DT_CACHE" -type f -print0 | eval "xargs -0rn1 $damage"
	is "cache: damage by $damage" "$(refs "$c")" "$needle"
	echo "$other" >"$c/file"
done
: >"$c/more"
is 'cache: another directory under the name is read' "$(refs "$c")" "$other"
cp -a "$S" "$T/store-2"
echo "$needle" >"$T/store-2/${c##*/}/file"
is 'cache: another store is read' "$(refs --store "$T/store-2" "$T/store-2/${c##*/}")" \
	"$T/store-2/${needle##*/}"
rm -rf "$DT_CACHE"
ok 'cache: a directory that cannot be made' env DT_CACHE=/dev/null/x dt-closure --scan "$c"
# Too many unknown hashes are not remembered.
seq -f "/%032.0f-x" 1000000 1100001 >"$c/file"
is 'cache: a path with very many mentions' "$(refs "$c")" ''
is 'cache: is not remembered' "$(find "$DT_CACHE" -type f 2>/dev/null)" ''

# What Nix leaves lying about in a store is none of its paths.
left=$(path 30 left)
echo "$(path 31 x) $(path 32 x) $(path 33 x)" >"$left"
: >"$left.lock"
echo x >"$(path 31 x.drv.chroot)"
: >"$(path 32 gone.lock)"
: >"$(path 33 Cargo.lock)"
chmod 444 "$(path 33 Cargo.lock)"
for tail in .lock .check .tmp .tmp-1 .old-1-2; do : >"$(path 33 Cargo.lock)$tail"; done
: >"$S/.lock"
mkdir "$S/.links" "$S/trash"
is 'lock files and the like' "$(refs "$left")" "$(path 33 Cargo.lock)"
fails 1 "^dt-closure: $left.lock: not a path of the store\$" 'a lock file as root' \
	dt-closure --scan "$left.lock"

# Two paths with one hash part.
echo x >"$(path 40 twin-a)"
echo x >"$(path 40 twin-b)"
p=$(path 41 p)
is 'twins that nobody mentions' "$(refs "$left")" "$(path 33 Cargo.lock)"
hash 40 >"$p"
fails 1 "^dt-closure: .*-twin-[ab] and .*-twin-[ab] have the same hash part\$" \
	'twins that are mentioned' dt-closure --scan "$p"
fails 1 'have the same hash part$' 'a twin as root' \
	dt-closure --scan "$(path 40 twin-a)"
rm "$p" "$S"/*twin*

# What cannot be scanned.
mkdir "$p"
mkfifo "$p/fifo"
fails 1 "^dt-closure: $p/fifo: a FIFO" 'a FIFO' dt-closure --scan "$p"
rm "$p/fifo"
if [ "$EUID" -eq 0 ]; then
	echo secret >"$p/secret"
	chmod 600 "$p/secret"
	chmod 755 "$T"
	cp "$(command -v dt-closure)" "$T/dt-closure"
	fails 1 "^dt-closure: $p/secret: Permission denied\$" 'an unreadable file' \
		runuser -u nobody -- "$T/dt-closure" --scan "$p"
	chmod 700 "$p"
	fails 1 "^dt-closure: $p: Permission denied\$" 'an unreadable directory' \
		runuser -u nobody -- "$T/dt-closure" --scan "$p"
fi
rm -rf "$p"
if [ "$EUID" -eq 0 ]; then
	path 32 gone >"$(path 42 mentions)"
	chmod 744 "$S"
	fails 1 "^dt-closure: $S/.*.lock: Permission denied\$" 'a lock file that cannot be examined' \
		runuser -u nobody -- "$T/dt-closure" --scan "$(path 42 mentions)"
	chmod 755 "$S"
	rm "$(path 42 mentions)"
fi
fails 1 "^dt-closure: $T/none: No such file or directory\$" 'no store directory' \
	dt-closure --scan "$T/none/$(hash 1)-x"

# A file that grows meanwhile. It takes luck to meet it; there are several chances.
truncate -s 300M "$p"
while :; do echo x >>"$p"; done &
grower=$!
at_exit "kill $grower 2>/dev/null"
for _ in {1..20}; do
	dt-closure --scan --no-cache "$p" >"$T/out" 2>"$T/err" || break
done
kill "$grower"
wait "$grower" 2>/dev/null
is 'a file that grows' "$(cat "$T/err")" "dt-closure: $p: changed while it was read"
is 'a file that grows: nothing is printed' "$(cat "$T/out")" ''

finish
