#!/usr/bin/env bash
# Same in, same out: nothing but the inputs and the options tells in what comes out.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # functions are run by name, and text by other shells
. "$(dirname "$0")/lib.sh"
need localedef runuser taskset unshare jq nix-store

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
roots() { awk '$1 ~ /^(bash|hard-links|hello|odd-names|plain-file|self-reference|symlink)$/ { print $2 }' "$small/roots"; }
chmod 755 "$T"

jq -n --arg odd "$(root odd-names)" --arg hello "$(root hello)" --arg links "$(root hard-links)" '{
	name: "TITLE/I-i", contents: [$hello, $links], maxLayers: 4, uid: 7, gid: 8, uname: "ä",
	config: {Cmd: [$hello + "/bin/hello"], Env: ["ODD=" + $odd, "B=1", "A=2"]},
	extraCommands: "mkdir -p z/y a; echo x > z/y/x; ln -s x a/l; touch a/{b,B,_,.c,é}; ls -la > /dev/null; echo ok > $(echo lower I | tr A-Z a-z | tr -d \" \")"}' >"$T/spec.json"
echo '{"Env": ["A=1"]}' >"$T/config.json"

# Both ways to an image: the filters by hand, and the script. $at is where the store is.
at=$small
by_hand() {
	roots | dt-closure --scan --store "$at" | dt-popularity --max-layers 9 | dt-layer --store "$at" |
		dt-manifest --name By-Hand --config "$T/config.json"
}
by_script() { dt-stream-layered-image --store "$at" "$T/spec.json"; }
both() { by_hand >"$1.1" && { [ "$ways" = 1 ] || by_script >"$1.2"; }; }
export ways='1 2'

# repeats DESCRIPTION COMMAND...: it makes what was made first. COMMAND writes $T/new.1 and $T/new.2.
repeats() {
	local what=$1 status=0
	shift
	rm -f "$T/new".?
	"$@" 2>"$T/err" || status=$?
	is "$what: status, and silent" "$status:$(cat "$T/err")" 0:
	same "$what: by hand" "$T/new.1" "$T/first.1"
	[ "$ways" = 1 ] || same "$what: by script" "$T/new.2" "$T/first.2"
}
new() { both "$T/new"; }

# What runs in another process gets the functions this way.
export -f roots by_hand by_script both new
export small at T build top
fresh() { rm -rf "$T/none" && env DT_CACHE="$T/none" "$@"; } # with an empty cache

# --- the environment ---

DT_CACHE=$T/cache-of-first both "$T/first"
is 'the first one: whole' "$("$t_dir/fixtures/archive.py" check "$T/first.1"; "$t_dir/fixtures/archive.py" check "$T/first.2")" ''
rm -rf "$DT_CACHE"
repeats 'nothing cached' new
repeats 'everything cached' new

mkdir "$T/locale"
localedef -i tr_TR -f UTF-8 "$T/locale/tr_TR.UTF-8"
localedef -i de_DE -f ISO-8859-1 "$T/locale/de_DE"
in_locale() { fresh LOCPATH="$T/locale" LC_ALL="$1" LANG="$1" LANGUAGE="$1" bash -c new; }
for locale in tr_TR.UTF-8 de_DE C.UTF-8; do
	repeats "locale $locale" in_locale "$locale"
done
in_zone() { fresh TZ="$1" bash -c new; }
for zone in Asia/Kathmandu America/St_Johns XYZ-14:30; do
	repeats "time zone $zone" in_zone "$zone"
done
with_umask() (umask "$1" && fresh bash -c new)
for mask in 000 077 027; do
	repeats "umask $mask" with_umask "$mask"
done
in_directory() (cd "$1" && DT_CACHE='' HOME=$T/nowhere new)
repeats 'in another directory' in_directory /
mkdir "$T/a directory  with blanks "
repeats 'in another directory, with blanks' in_directory "$T/a directory  with blanks "
with_tmp() { TMPDIR="$T/a directory  with blanks " DT_CACHE="$T/another" new; }
repeats 'another TMPDIR' with_tmp
is 'TMPDIR is left as it was' "$(ls -A "$T/a directory  with blanks ")" ''

on_one_core() { fresh taskset -c 0 bash -c new; }
repeats 'on one core' on_one_core
mkdir -m 777 "$T/nobody"
as_nobody() {
	rm -f "$T/new".?
	runuser -u nobody -- env "PATH=$PATH" "DT_BUILD=$build" HOME="$T/nobody" DT_CACHE='' bash -c 'both "$HOME/new"' &&
		mv "$T/nobody/new".? "$T"
}
repeats 'as another user' as_nobody
is "that user's cache is theirs alone" "$(stat -c '%U %a' "$T/nobody/.cache/dt")" 'nobody 700'
bare() { env -i "PATH=$PATH" "T=$T" "small=$small" "at=$at" "DT_BUILD=$build" \
	bash -c "$(declare -f roots by_hand by_script both new); new"; }
repeats 'in an empty environment' bare
noisy() { SOURCE_DATE_EPOCH='' POSIXLY_CORRECT=1 CDPATH=/:/tmp GREP_OPTIONS=-v TAR_OPTIONS=--verbose \
	BASH_ENV=/dev/null JQ_COLORS=1:2 XDG_CACHE_HOME=$T/xdg DT_CACHE='' new; }
repeats 'in a noisy environment' noisy
is 'XDG_CACHE_HOME is where facts are' "$(find "$T/xdg/dt" -type f | wc -l)" "$(find "$DT_CACHE" -type f | wc -l)"
many_ids() { fresh setpriv --reuid 12345 --regid 54321 --clear-groups env TMPDIR="$T/ids" HOME="$T/ids" DT_CACHE="$T/ids/c" bash -c 'both "$TMPDIR/new"' &&
	mv "$T/ids/new".? "$T"; }
mkdir -m 777 "$T/ids"
repeats 'as a user that has no name' many_ids

# --- the store ---

cp -a "$small" "$T/copy"
at=$T/copy
repeats 'a copy of the store' new
before=$(find "$T/copy/nix/store" -type f -links +1 | wc -l)
"$t_dir/with-nix" "$T/copy" nix-store --optimise 2>/dev/null
after=$(find "$T/copy/nix/store" -type f -links +1 | wc -l)
is 'the copy got hard links' "$((after > before + 100))" 1
repeats 'hard links made by the optimiser' new
cat >"$T/on-tmpfs" <<'END'
mkdir "$T/mnt" && mount -t tmpfs -o size=300m tmpfs "$T/mnt" || exit 9
mkdir -p "$T/mnt/nix/store" "$T/mnt/nix/var/nix"
find "$small/nix/store" -mindepth 1 -maxdepth 1 | sort -r | xargs cp -a -t "$T/mnt/nix/store"
cp -a "$small/nix/var/nix/db" "$T/mnt/nix/var/nix"
mount -o remount,ro "$T/mnt"
at=$T/mnt
new
END
on_tmpfs() { unshare -m bash "$T/on-tmpfs"; }
repeats 'on another file system, in another order, read-only' on_tmpfs

# --- the cache ---

facts() { find "$DT_CACHE" -type f -printf '%P %i\n' | sort; }
at=$small
rm -rf "$DT_CACHE"
repeats 'an empty cache' new
facts >"$T/facts"
is 'there are facts now' "$(($(wc -l <"$T/facts") > 9))" 1
repeats 'a filled cache' new
is 'which was used: no fact was written anew' "$(facts)" "$(cat "$T/facts")"

uncached() {
	roots | dt-closure --no-cache --scan --store "$at" | dt-popularity --max-layers 9 |
		dt-layer --no-cache --store "$at" |
		dt-manifest --name By-Hand --config "$T/config.json" >"$T/new.1"
}
ways=1
rm -rf "$DT_CACHE"
repeats '--no-cache' uncached
is '--no-cache: nothing was cached' "$(ls -A "$DT_CACHE" 2>&1)" "ls: cannot access '$DT_CACHE': No such file or directory"

emptied() {
	local status=0
	while :; do rm -rf "$DT_CACHE" 2>/dev/null; sleep 0.01; done &
	new || status=$?
	kill $! && wait $! 2>/dev/null
	return "$status"
}
repeats 'a cache that is emptied all the time' emptied
rm -rf "$DT_CACHE"
new
find "$DT_CACHE" -type f | awk 'NR % 2' | xargs rm
repeats 'a cache that was half emptied' new

damage() { # how to damage the fact in file "$1"
	find "$DT_CACHE" -type f -print0 | xargs -0 -n 1 bash -c "$1" damage
	new
}
flip() { # byte $1, of all facts
	find "$DT_CACHE" -type f -print0 | AT=$1 xargs -0 perl -e 'for (@ARGV) {
		open my $f, "+<", $_ or die; local $/; my $text = <$f>;
		my $at = $ENV{AT} % length $text;
		substr($text, $at, 1) ^= "\1"; seek $f, 0, 0; print $f $text }'
	new
}
repeats 'damage: emptied files' damage ': >"$1"'
repeats 'damage: cut files' damage 'truncate -s 100 "$1"'
repeats 'damage: cut by a byte' damage 'truncate -s -1 "$1"'
repeats 'damage: longer files' damage 'echo 1 >>"$1"'
repeats 'damage: NUL bytes' damage 'truncate -s 1M "$1"'
repeats 'damage: directories for files' damage 'rm "$1"; mkdir "$1"'
rm -rf "$DT_CACHE"
new
for byte in 0 63 64 65 70 128 129 130 -1; do
	repeats "damage: byte $byte" flip "$byte"
done
swapped() { # each fact gets the text of another
	find "$DT_CACHE" -type f | sort >"$T/files"
	while read -r file; do cp "$file" "$T/fact.$((i = ${i:--1} + 1))"; done <"$T/files"
	while read -r file; do cp "$T/fact.$i" "$file"; i=$((i - 1)); done <"$T/files"
	new
}
repeats 'damage: facts of others' swapped
unwritable() { DT_CACHE=$1 new; }
repeats 'a cache that cannot be made' unwritable /proc/none
repeats 'a cache that is a file' unwritable "$T/spec.json"
repeats 'a cache that is a device' unwritable /dev/null
mkfifo "$T/pipe"
chmod 777 "$T/ids"
rm -rf "$T/ids/c"
mkdir "$T/ids/c"
repeats 'a cache that may not be written' many_ids
is 'nothing was written' "$(ls -A "$T/ids/c")" ''
cat >"$T/full-cache" <<'END'
mkdir "$T/full" && mount -t tmpfs -o size=8k tmpfs "$T/full" || exit 9
DT_CACHE=$T/full new
END
full_cache() { unshare -m bash "$T/full-cache"; }
repeats 'a cache on a full file system' full_cache

# --- a tree that changes: the cache does not give the old answer ---

rm -rf "$DT_CACHE"
mkdir -p "$T/tree/d"
echo one >"$T/tree/d/file"
echo other >"$T/tree/other"
ln -s d/file "$T/tree/link"
tree() { dt-root --raw --tree "$T/tree"; }
changes() { # DESCRIPTION COMMAND...
	local what=$1 old
	shift
	dt-root --tree "$T/tree" >"$T/old.tar"
	old=$(dt-root --raw --tree "$T/tree" | sha256sum | cut -d ' ' -f 1)
	"$@"
	dt-root --tree "$T/tree" >"$T/got.tar"
	dt-root --no-cache --tree "$T/tree" >"$T/want.tar"
	same "a tree: $what" "$T/got.tar" "$T/want.tar"
	is "a tree: $what: which tells" \
		"$([ "$(tree | sha256sum | cut -d ' ' -f 1)" != "$old" ] && echo changed)" changed
}
# Each of them twice: at once, and after a while, when there are facts.
touch -d '2020-01-01' "$T/tree/d/file" "$T/tree/other"
for pause in 0 0.3; do
	sleep "$pause"
	stamp() { touch -d '2020-01-01' "$T/tree/d/file"; }
	changed() { echo "$1" >"$T/tree/d/file"; sleep "$pause"; }
	changed_in_secret() { changed "$1"; stamp; sleep "$pause"; }
	replaced_in_secret() { echo "$1" >"$T/tree/new"; mv "$T/tree/new" "$T/tree/d/file"; stamp; sleep "$pause"; }
	exchanged() { mv "$T/tree/other" "$T/tree/x"; mv "$T/tree/d/file" "$T/tree/other"; mv "$T/tree/x" "$T/tree/d/file"; sleep "$pause"; }
	changes 'other contents' changed "two $pause"
	changes 'other contents, same times' changed_in_secret "333 $pause"
	changes 'another file, same times' replaced_in_secret "444 $pause"
	changes 'files exchanged' exchanged
	changes 'another mode' chmod 600 "$T/tree/d/file"
	changes 'and back' chmod 644 "$T/tree/d/file"
	changes 'another target' ln -sfn "d/$pause" "$T/tree/link"
	changes 'another name' mv "$T/tree/d/file" "$T/tree/d/FILE"
	changes 'and back' mv "$T/tree/d/FILE" "$T/tree/d/file"
done
for mtime in 1 2; do
	dt-root --mtime "@$mtime" --tree "$T/tree" >"$T/got.tar"
	dt-root --no-cache --mtime "@$mtime" --tree "$T/tree" >"$T/want.tar"
	same "a tree: --mtime $mtime" "$T/got.tar" "$T/want.tar"
done

finish
