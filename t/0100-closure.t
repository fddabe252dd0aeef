#!/usr/bin/env bash
# dt-closure: the command line, roots, text, --exclude, and errors.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # functions that only the checks call
. "$(dirname "$0")/lib.sh"
need nix-store runuser strace

# A store made by hand: app needs lib and data, lib needs base, link is a symlink to app.
S=$T/store
base=$S/00000000000000000000000000000001-base
lib=$S/00000000000000000000000000000002-lib-1.0
data=$S/00000000000000000000000000000003-data
app=$S/00000000000000000000000000000004-app
link=$S/00000000000000000000000000000005-link
gone=$S/00000000000000000000000000000009-gone
mkdir -p "$base" "$lib" "$app/bin"
echo base >"$base/file"
echo "$base" >"$lib/needs"
echo data >"$data"
echo "$lib $data $app" >"$app/bin/app"
chmod +x "$app/bin/app"
ln -s "$app/bin/app" "$link"

# node PATH REF...: its line in a graph.
node() {
	local path=$1
	shift
	echo "$path $(nix-store --dump "$path" | wc -c)${*:+ $*}"
}
of_base=$(node "$base")
of_lib=$of_base$'\n'$(node "$lib" "$base")
of_app=$of_lib$'\n'$(node "$data")$'\n'$(node "$app" "$lib" "$data")
of_link=$of_app$'\n'$(node "$link" "$app")

# gives DESCRIPTION WANT COMMAND...: the command succeeds and prints this.
gives() {
	local what=$1 want=$2
	shift 2
	ok "$what: status" "$@"
	is "$what" "$(cat "$T/out")" "$want"
}

# from TEXT ARG...: dt-closure ARG... with this on stdin, \n and \0 and all.
from() {
	# shellcheck disable=SC2059 # a format it is
	printf "$1" >"$T/in"
	shift
	dt-closure "$@" <"$T/in"
}

# Roots as operands.
gives 'a store path' "$of_app" dt-closure "$app"
gives 'two store paths, one twice' "$of_app" dt-closure "$lib" "$app" "$lib"
gives 'a path inside of a store path' "$of_app" dt-closure "$app/bin/app"
gives 'a trailing slash' "$of_app" dt-closure "$app/"
gives 'a store path that is a file' "$(node "$data")" dt-closure "$data"
gives 'a store path that is a symlink' "$of_link" dt-closure "$link"
ln -s "$app" "$T/result"
ln -s result "$T/result-2"
ln -s "$T/../${T##*/}/result-2" "$T/result-3"
ln -s "../${T##*/}/store/${app##*/}/bin" "$T/bin"
ln -s "$link" "$T/to-link"
gives 'a symlink' "$of_app" dt-closure "$T/result"
gives 'a chain of symlinks' "$of_app" dt-closure "$T/result-3"
gives 'a path through a symlink' "$of_app" dt-closure "$T/result/bin/app"
gives 'a relative symlink into a store path' "$of_app" dt-closure "$T/bin"
gives 'a symlink to a store path that is one' "$of_link" dt-closure "$T/to-link"
cd "$T" || exit
gives 'a relative name' "$of_app" dt-closure result
gives 'a relative name with dots' "$of_app" dt-closure ././store/../result-3
gives 'a store path by a relative name' "$of_lib" dt-closure "store/${lib##*/}/needs"
gives '--store' "$of_lib" dt-closure --store store "$lib"
gives '--store, a relative name' "$of_lib" dt-closure --store store "store/${lib##*/}"
cd "$app/bin" || exit
gives 'the working directory' "$of_app" dt-closure .
cd / || exit
gives 'an operand after --' "$of_base" dt-closure -- "$base"

# Roots on stdin.
gives 'a line' "$of_app" from "$app\n"
gives 'lines of all kinds' "$of_link" from "$lib/needs\n$T/to-link\n$lib\n"
fails 1 '^dt-closure: stdin: empty' 'an empty stdin' from ''
fails 1 '^dt-closure: stdin:2: an empty line$' 'an empty line' from "$app\n\n$lib\n"
fails 1 '^dt-closure: stdin:2: truncated' 'a last line without newline' from "$app\n$lib"
fails 1 '^dt-closure: stdin:1: a NUL byte$' 'a NUL byte' from "$app\\0\n"
fails 1 "^dt-closure: stdin:2: .*/etc: not in the store $S\$" 'a line that is elsewhere' \
	from "$app\n/etc\n"
fails 1 '^dt-closure: stdin:1: .* : No such file' 'a line with a blank behind' from "$app \n"

# The root of a system that has a store.
mkdir -p "$T/system/nix"
cp -a "$S" "$T/system/nix/store"
inner=/nix/store/${base##*/}
gives '--store DIR with nix/store in it' "$inner ${of_base##* }" \
	dt-closure --store "$T/system" "$inner"
gives 'a store path as it is seen from outside' "$inner ${of_base##* }" \
	dt-closure --store "$T/system" "$T/system$inner/file"
mkdir -p "$T/guix/gnu/store"
cp -a "$base" "$T/guix/gnu/store"
gives '--store DIR with gnu/store in it' "/gnu/store/${base##*/} ${of_base##* }" \
	dt-closure --store "$T/guix" "/gnu/store/${base##*/}"
fails 1 "not in the store /nix/store\$" 'a root in another store' \
	dt-closure --store "$T/system" "$base"
fails 1 '^dt-closure: --store .*/none: No such file or directory$' '--store of what is not there' \
	dt-closure --store "$T/none" "$base"

# Roots that are none.
fails 1 "^dt-closure: $gone: " 'a root that is not there' dt-closure "$app" "$gone"
fails 1 '^dt-closure: /etc/passwd: not in the store$' 'a root in no store' dt-closure /etc/passwd
fails 1 "^dt-closure: /etc: not in the store $S\$" 'a second root in no store' \
	dt-closure "$app" /etc
fails 1 "^dt-closure: $T/nowhere: No such file" 'a name that is not there' \
	dt-closure "$T/nowhere"
ln -s loop "$T/loop"
fails 1 "^dt-closure: $T/loop: Too many levels" 'symlinks in a circle' dt-closure "$T/loop"
fails 1 '^dt-closure: .*: points outside its store path' '.. behind a store path' \
	dt-closure "$app/bin/../../$lib"
fails 1 '^dt-closure: an empty file name$' 'an empty operand' dt-closure ''
fails 1 'has a blank in its name$' 'a store whose directory has a blank in its name' \
	bash -c "mkdir -p '$T/a b' && cp -a '$base' '$T/a b' && dt-closure '$T/a b/${base##*/}'"

# --text.
text() { from "$1" --store "$S" --text "${@:2}"; }
gives 'text: a mention' "$of_app" text "exec $app/bin/app"
gives 'text: several in JSON, in any order' "$of_link" \
	text "{\"Cmd\":[\"$link\",\"$lib/x\"],\"Env\":[\"A=$base:$data\"]}"
gives 'text: a name that runs on' "$of_lib" text "See $lib.tar.gz-or-so."
gives 'text: a name that is cut short' "$of_lib" text "${lib%.0}"
gives 'text: without the first slash' "$of_lib" text "./${lib#/}/needs"
gives 'text: NUL bytes' "$of_lib" text "\\0\\0$lib\\0\\377"
gives 'text: operands too' "$of_app" text "$lib" "$app"
gives 'text: no mention' '' text 'nothing of the kind'
gives 'text: no mention, and no store on this machine' '' \
	from 'nothing' --text --store "$T/system"
gives 'text: a hash without name is none' '' text "$S/00000000000000000000000000000009 "
fails 1 '^dt-closure: stdin: empty' 'text: an empty stdin' text ''
fails 1 '^dt-closure: stdin: empty' 'text: an empty stdin with operands' text '' "$app"
fails 1 "^dt-closure: stdin: $gone is mentioned but not there\$" \
	'text: a mention that is not there' text "$app $gone and"
is 'text: nothing is printed then' "$(cat "$T/out")" ''
gives 'text: --ignore-missing' "$of_app" text "$app $gone and" --ignore-missing
gives 'text: --ignore-missing, nothing left' '' text "$gone and" --ignore-missing
cd "$T/system" || exit
is 'text: of /nix/store, or of none' "$(echo x | dt-closure --text; echo $?)" 0
cd / || exit

# A store that cannot be read is not one without the paths that a text mentions.
chmod 755 "$T"
cp "$(command -v dt-closure)" "$T/dt-closure"
as_nobody() { (cd / && runuser -u nobody -- env -u DT_CACHE HOME=/ "$T/dt-closure" "$@" <"$T/in"); }
echo "exec $inner/file" >"$T/in"
chmod 700 "$T/system/nix"
fails 1 "^dt-closure: --store $T/system: $T/system/nix/store: Permission denied\$" \
	'text: a store that may not be entered' as_nobody --store "$T/system" --text
fails 1 "^dt-closure: --store $T/system: .*: Permission denied\$" \
	'... with --ignore-missing' as_nobody --store "$T/system" --text --ignore-missing
chmod 755 "$T/system/nix"
chmod 711 "$T/system/nix/store"
fails 1 "^dt-closure: $T/system/nix/store: Permission denied\$" 'text: a store that may not be listed' \
	as_nobody --store "$T/system" --text --ignore-missing
chmod 755 "$T/system/nix/store"
on_in() { "$@" <"$T/in"; }
failing() { # CALL COMMAND...: the calls for the store's directory fail
	on_in traced -qq -o /dev/null -P "$T/system/nix/store" -e "inject=$1:error=EIO" "${@:2}"
}
fails 1 "^dt-closure: --store $T/system: $T/system/nix/store: Input/output error\$" 'text: a store on a damaged disk' \
	failing newfstatat dt-closure --store "$T/system" --text --ignore-missing

# Text comes in blocks: a mention is found wherever it lies.
for at in 262100 262143 262144 262145 262200 524000 524287; do
	head -c "$at" /dev/zero | tr '\0' x >"$T/text"
	printf '%s %s' "/$gone" "$lib" >>"$T/text"
	head -c 300000 /dev/zero >>"$T/text"
	is "text: a mention at byte $at" \
		"$(dt-closure --store "$S" --text --ignore-missing <"$T/text")" "$of_lib"
	is "text: a mention at byte $at is named in full" \
		"$(dt-closure --store "$S" --text <"$T/text" 2>&1)" \
		"dt-closure: stdin: $gone is mentioned but not there"
done

# --exclude.
echo "${base#/}/" >"$T/listing"
without_base=$(sed "/^${base//\//\\/} /d; s, $base,," <<<"$of_app")
gives 'exclude: without the first slash' "$without_base" \
	dt-closure --exclude "$T/listing" "$app"
echo "./${base#/}/file" >"$T/listing"
gives 'exclude: as tar lists it' "$without_base" dt-closure --exclude "$T/listing" "$app"
echo "-rw-r--r-- 0/0 0 1970-01-01 $base.txt" >"$T/listing"
gives 'exclude: in a longer line, a name that runs on' "$without_base" \
	dt-closure --exclude "$T/listing" "$app"
echo "$gone" >"$T/listing"
gives 'exclude: what is not in it' "$of_app" dt-closure --exclude "$T/listing" "$app"
: >"$T/listing"
gives 'exclude: nothing' "$of_app" dt-closure --exclude "$T/listing" "$app"
echo "$app $lib $base" >"$T/listing"
gives 'exclude: a root' "$(node "$data")" dt-closure --exclude "$T/listing" "$app"
echo "$app $lib $base $data" >"$T/listing"
gives 'exclude: all' '' dt-closure --exclude "$T/listing" "$app"
tar -C / -cf "$T/base.tar" "${base#/}" "${lib#/}"
gives 'exclude: a tar' "$(sed '1,2d; s, [^ ]*-lib-1.0,,' <<<"$of_app")" \
	dt-closure --exclude "$T/base.tar" "$app"
fails 1 "^dt-closure: $T/none: No such file" 'exclude: no such file' \
	dt-closure --exclude "$T/none" "$app"

# The command line.
for source in '--scan --db x' '--db x --graph x' '--graph x --scan'; do
	# shellcheck disable=SC2086 # options they are
	fails 2 '^dt-closure: more than one of --db, --graph and --scan: ' "$source" dt-closure $source "$app"
done
for source in '--source scan' --source=db --source; do
	# shellcheck disable=SC2086 # options they are
	fails 2 "^dt-closure: --source is now --scan, --db FILE or --graph FILE: try 'dt-closure --help'\$" \
		"$source, of former versions" dt-closure $source "$app"
done
fails 2 '^dt-closure: --ignore-missing goes with --text' '--ignore-missing without --text' \
	dt-closure --ignore-missing "$app"
fails 2 '^dt-closure: --graph - and --text' '--graph - with --text' \
	dt-closure --graph - --text "$app"

# References in a circle.
mkdir "$T/circle"
one=$T/circle/00000000000000000000000000000001-one
two=$T/circle/00000000000000000000000000000002-two
echo "$two" >"$one"
echo "$one" >"$two"
fails 1 '^dt-closure: the references form a cycle: .* -> .* -> ' 'a circle' dt-closure "$one"

# auto: no database here, so what is above was scanned; with one, it counts.
mkdir -p "$T/var/nix/db"
: >"$T/var/nix/db/db.sqlite"
fails 1 "^dt-closure: $T/.*db.sqlite: not a database of Nix\$" 'auto takes the database' \
	dt-closure "$app"
gives '--scan does not' "$of_app" dt-closure --scan "$app"

finish
