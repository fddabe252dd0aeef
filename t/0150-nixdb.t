#!/usr/bin/env bash
# dt-nixdb: the database is equal to that of Nix for the same paths, Nix works with it, and NARs
# have the same hashes as in Nix. Bad graphs, files that change, outputs that fail.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # `eval` and `fails` run what is passed to them
. "$(dirname "$0")/lib.sh"
need cmp jq nix nix-hash nix-store python3 runuser strace taskset

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
chmod 755 "$T"

# query DATABASE SQL: the rows, NULL apart from an empty string.
query() {
	python3 -c 'import sqlite3, sys
for row in sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True).execute(sys.argv[2]):
    print("|".join("NULL" if value is None else str(value) for value in row))' "$@"
}
refs='select a.path, b.path from Refs, ValidPaths a, ValidPaths b
	where referrer = a.id and reference = b.id order by 1, 2'

# --- what Nix makes of the same paths ---

grep -v build-only "$small/roots" | cut -d' ' -f2 | dt-closure --store "$small" >"$T/graph"
cut -d' ' -f1 "$T/graph" >"$T/paths"
is 'a closure' "$([ "$(wc -l <"$T/paths")" -gt 70 ] && echo yes)" yes
mapfile -t paths <"$T/paths"
ok 'a database' on "$T/graph" dt-nixdb --store "$small"
cp "$T/out" "$T/db"

# What Nix registers in an empty root.
mkdir -p "$T/loaded/nix"
in_nix nix-store --dump-db "${paths[@]}" >"$T/registration"
ok 'nix-store --load-db' on "$T/registration" "$t_dir/with-nix" "$T/loaded" nix-store --load-db
loaded=$T/loaded/nix/var/nix/db/db.sqlite
columns='select path, hash, deriver, narSize, ultimate, sigs, ca from ValidPaths order by path'
is 'every column is as --load-db leaves it' "$(query "$T/db" "$columns")" "$(query "$loaded" "$columns")"
is 'every path has a deriver' "$(query "$T/db" "select count(*) from ValidPaths where deriver like '/nix/store/%.drv'")" "${#paths[@]}"
is 'references, those to oneself too' "$(query "$T/db" "$refs")" "$(query "$loaded" "$refs")"
is 'there is one to oneself' "$(query "$T/db" "$refs" | awk -F'|' '$1 == $2 && /-self-reference$/' | wc -l)" 1
is 'no derivations' "$(query "$T/db" 'select count(*) from DerivationOutputs')" \
	"$(query "$loaded" 'select count(*) from DerivationOutputs')"
is 'every path was registered in the first second' \
	"$(query "$T/db" 'select distinct registrationTime from ValidPaths')" 1
is 'paths are numbered in the order of the graph' \
	"$(query "$T/db" 'select id, path from ValidPaths order by id')" "$(awk '{ print NR "|" $1 }' "$T/graph")"
is 'the next one gets the next number' "$(query "$T/db" 'select * from sqlite_sequence')" "ValidPaths|${#paths[@]}"

# The schema, but for comments and blanks.
schema() {
	python3 -c 'import re, sqlite3, sys
db = sqlite3.connect("file:" + sys.argv[1] + "?mode=ro", uri=True)
for row in sorted(db.execute("select type, name, tbl_name, coalesce(sql, 0) from sqlite_master")):
    sql = re.sub("--[^\n]*", "", str(row[3])).lower()
    print(*row[:3], re.sub(r"\s*([(),;])\s*", r"\1", re.sub(r"\s+", " ", sql)).strip())
for pragma in "page_size", "auto_vacuum", "encoding", "user_version", "application_id":
    print(pragma, *db.execute("pragma " + pragma))' "$1"
}
is 'the schema is that of Nix' "$(schema "$T/db")" "$(schema "$loaded")"
is 'the schema: it is all there' "$(schema "$T/db" | cut -d' ' -f1 | sort | uniq -c | xargs)" \
	'1 application_id 1 auto_vacuum 1 encoding 6 index 1 page_size 4 table 1 trigger 1 user_version'
is 'sound' "$(query "$T/db" 'pragma integrity_check'; query "$T/db" 'pragma foreign_key_check')" ok
is 'no log is needed to read it' "$(query "$T/db" 'pragma journal_mode')" delete

# And the one that Nix had when it built them. It knows more: that they were built here.
real=$small/nix/var/nix/db/db.sqlite
columns="select path, hash, deriver, narSize, sigs, ca from ValidPaths order by path"
query "$real" "$columns" | grep -Ff "$T/paths" >"$T/want"
is 'the real database: every column' "$(query "$T/db" "$columns")" "$(cat "$T/want")"
query "$real" "$refs" | awk -F'|' 'NR == FNR { is[$1] = 1; next } $1 in is' "$T/paths" - >"$T/want"
is 'the real database: references' "$(query "$T/db" "$refs")" "$(cat "$T/want")"

# A graph with derivations in it.
drv=$(in_nix nix-store -q --deriver "$(root plain-file)")
in_nix nix-store -qR "$drv" | dt-closure --store "$small" >"$T/graph-drv"
dt-nixdb --no-cache --store "$small" <"$T/graph-drv" >"$T/db-drv"
outputs='select v.path, o.id, o.path from DerivationOutputs o, ValidPaths v where v.id = o.drv order by 1, 2'
mkdir -p "$T/loaded-drv/nix/store"
cut -d' ' -f1 "$T/graph-drv" | sed "s,^,$small," | xargs -d '\n' cp -a -t "$T/loaded-drv/nix/store"
cut -d' ' -f1 "$T/graph-drv" | in_nix xargs nix-store --dump-db >"$T/registration-drv"
ok 'derivations: nix-store --load-db' on "$T/registration-drv" "$t_dir/with-nix" "$T/loaded-drv" nix-store --load-db
is 'derivations: their outputs' "$(query "$T/db-drv" "$outputs")" "$(query "$T/loaded-drv/nix/var/nix/db/db.sqlite" "$outputs")"
is 'derivations: there are outputs' "$(query "$T/db-drv" "$outputs" | grep -c "^$drv|out|$(root plain-file)\$")" 1

# --- same in, same out ---

repeats() { # DESCRIPTION COMMAND...
	ok "$@"
	same "$1: the same bytes" "$T/out" "$T/db"
}
nixdb() { dt-nixdb --store "$small" "$@"; }
is 'what was computed is remembered' "$(find "$DT_CACHE/nar-2" -type f | wc -l)" "${#paths[@]}"
repeats 'remembered' on "$T/graph" nixdb
repeats 'without the cache' on "$T/graph" nixdb --no-cache
repeats 'on one core' on "$T/graph" taskset -c 0 dt-nixdb --no-cache --store "$small"
for byte in 1 170; do
	repeats "memory full of $byte" on "$T/graph" env MALLOC_PERTURB_=$byte dt-nixdb --store "$small"
done
sort -R "$T/graph" >"$T/shuffled"
repeats 'lines in another order' on "$T/shuffled" nixdb
awk '{ line = $1 " " $2; for (i = NF; i > 2; i--) line = line " " $i; print line, $1 }' "$T/graph" >"$T/backwards"
repeats 'references in another order' on "$T/backwards" nixdb
repeats 'the store at /nix' on "$T/graph" in_nix "$(command -v dt-nixdb)"
repeats '--store /nix/store' on "$T/graph" in_nix "$(command -v dt-nixdb)" --store /nix/store
ok 'no derivers' on "$T/graph" nixdb --derivers /dev/null
is 'no derivers: there are none' "$(query "$T/out" 'select distinct deriver from ValidPaths')" NULL
cp "$T/out" "$T/db-none"
ok 'derivers of a graph that has none' on "$T/graph" nixdb --derivers "$T/graph"
same 'derivers of a graph that has none: none' "$T/out" "$T/db-none"
repeats 'derivers of a registration' on "$T/graph" nixdb --derivers "$T/registration"
repeats 'derivers of a pipe' on "$T/graph" nixdb --derivers <(cat "$T/registration")
repeats 'derivers of another database' on "$T/graph" nixdb --derivers "$loaded"
in_nix nix --extra-experimental-features nix-command path-info --json "${paths[@]}" >"$T/info"
repeats 'derivers of JSON' on "$T/graph" nixdb --derivers "$T/info"
find "$DT_CACHE/nar-2" -type f -exec sh -c 'for f; do echo damaged >"$f"; done' sh {} +
repeats 'a damaged cache' on "$T/graph" nixdb
rm -rf "$DT_CACHE"
ok '--no-cache' on "$T/graph" nixdb --no-cache
is '--no-cache: nothing is remembered' "$(ls "$DT_CACHE" 2>/dev/null)" ''
ok 'SOURCE_DATE_EPOCH' on "$T/graph" env SOURCE_DATE_EPOCH=315532800 dt-nixdb --store "$small"
is 'SOURCE_DATE_EPOCH is when they were registered' \
	"$(query "$T/out" 'select distinct registrationTime from ValidPaths')" 315532800
fails 1 '^dt-nixdb: SOURCE_DATE_EPOCH' 'a bad SOURCE_DATE_EPOCH' \
	on "$T/graph" env SOURCE_DATE_EPOCH=x dt-nixdb --store "$small"

# --- Nix at work on it ---

made=$T/made
in_made() { "$t_dir/with-nix" "$made" "$@"; }
cut -d' ' -f2 "$small/roots" >"$T/roots"
ok '--tree' on "$T/graph" dt-nixdb --store "$small" --tree "$made" --roots "$T/roots"
same '--tree: the database' "$made/nix/var/nix/db/db.sqlite" "$T/db"
is '--tree: its schema' "$(cat "$made/nix/var/nix/db/schema")" 10
is '--tree: nothing is printed' "$(wc -c <"$T/out")" 0
is '--tree: the roots' "$(cd "$made/nix/var/nix/gcroots/docker" && for f in *; do echo "$(readlink "$f") $f"; done)" \
	"$(sort "$T/roots" | grep -Fxf "$T/paths" | sed 's,.*/\(.*\),& \1,')"
mkdir "$made/nix/store"
sed "s,^,$small," "$T/paths" | xargs -d '\n' cp -a -t "$made/nix/store"

ok 'dt-closure --db' dt-closure --db "$T/db" "${paths[@]}"
same 'dt-closure --db: the graph' "$T/out" "$T/graph"
ok 'dt-closure' dt-closure --store "$made" "${paths[@]}"
same 'dt-closure: the graph' "$T/out" "$T/graph"

# ask DESCRIPTION COMMAND...: it says the same of both stores.
ask() {
	local what=$1
	shift
	in_nix "$@" >"$T/want" 2>/dev/null
	ok "$what" in_made "$@"
	same "$what: what the real store says" "$T/out" "$T/want"
	is "$what: it says something" "$([ -s "$T/out" ] && echo yes)" yes
}
libc=$(grep -- -libc6- "$T/paths")
ask 'nix-store -qR' nix-store -qR "${paths[@]}"
ask 'nix-store -q --size' nix-store -q --size "${paths[@]}"
ask 'nix-store -q --deriver' nix-store -q --deriver "${paths[@]}"
ask 'nix-store -q --hash' nix-store -q --hash "${paths[@]}"
ask 'nix-store -q --references' nix-store -q --references "$(root bash)"
ask 'nix-store -q --references, itself' nix-store -q --references "$(root self-reference)"
ask 'nix-store -q --tree' nix-store -q --tree "$(root nginx-light)"
in_nix nix-store -q --referrers "$libc" | sort | grep -Fxf "$T/paths" >"$T/want"
ok 'nix-store -q --referrers' in_made nix-store -q --referrers "$libc"
is 'nix-store -q --referrers: what the real store says' "$(sort "$T/out")" "$(cat "$T/want")"
info() { # STORE
	"$t_dir/with-nix" "$1" nix --extra-experimental-features nix-command path-info --json "${paths[@]}" |
		jq 'map(del(.registrationTime, .ultimate))'
}
is 'nix path-info --json' "$(info "$made")" "$(info "$small")"
is 'nix path-info --json, all of it' "$(info "$made" | jq length)" "${#paths[@]}"
ok 'nix-store --verify --check-contents' in_made nix-store --verify --check-contents
is 'nix-store --verify: nothing is wrong' "$(grep -ciE 'modified|error|disappeared|not valid' "$T/err")" 0
in_nix nix-store --dump-db "${paths[@]}" >"$T/want"
in_made nix-store --dump-db "${paths[@]}" >"$T/got"
same 'nix-store --dump-db' "$T/got" "$T/want"

dead() { in_made nix-store --gc --print-dead 2>/dev/null | grep -Fxf "$T/paths" | sort; }
is 'nothing is garbage' "$(dead)" ''
rm "$made/nix/var/nix/gcroots/docker/"*-{self-reference,everything}
garbage=("$(root self-reference)" "$(root everything)")
is 'garbage' "$(dead)" "$(printf '%s\n' "${garbage[@]}")"
ok 'it is collected' in_made nix-store --delete "${garbage[@]}"
is 'it is gone' "$(ls -d "$made$(root self-reference)" 2>/dev/null)" ''
ok 'a path is added' in_made nix-store --add "$T/graph"
is 'its number is the next one' "$(query "$made/nix/var/nix/db/db.sqlite" "select id from ValidPaths
	where path = '$(cat "$T/out")'")" $((${#paths[@]} + 1))
ok 'nix-store --verify, once more' in_made nix-store --verify --check-contents
victim=$made$(root bash)/bin/bash
chmod u+w "$victim"
printf x | dd of="$victim" conv=notrunc status=none
in_made nix-store --verify --check-contents >"$T/out" 2>&1
is 'nix-store --verify finds what was changed' $? 1
like 'nix-store --verify tells what was changed' "$T/out" "$(root bash | sed 's/[+.]/./g').* was modified"

# --- the tree ---

tree() { (umask 077 && dt-nixdb --store "$small" --tree "$@" <"$T/graph"); } # FILE ARG...
roots_of() { readlink -- "$1"/nix/var/nix/gcroots/docker/* | sort; }
bash=$(root bash) libs=$(root hard-links)
printf '{"Env":["PATH=%s/bin:%s.tar-or-so:/bin"],"Cmd":["%s"]}\n' "$bash" "$libs" \
	/nix/store/00000000000000000000000000000000-gone >"$T/text"
ok 'roots: text' tree "$T/tree" --roots "$T/text"
is 'roots: those in one string, by their hashes' "$(roots_of "$T/tree")" "$(printf '%s\n' "$bash" "$libs" | sort)"
is 'the tree: modes, whatever the umask' "$(cd "$T/tree" && find . ! -type l -printf '%m %p\n' | sort -k 2)" "755 .
755 ./nix
755 ./nix/var
755 ./nix/var/nix
755 ./nix/var/nix/db
644 ./nix/var/nix/db/db.sqlite
644 ./nix/var/nix/db/schema
755 ./nix/var/nix/gcroots
755 ./nix/var/nix/gcroots/docker"
mkdir "$T/tree-2"
ok 'roots: by default' tree "$T/tree-2///"
is 'roots: by default, what nothing refers to' "$(roots_of "$T/tree-2")" \
	"$(awk '{ top[$1]; for (i = 3; i <= NF; i++) used[$i] } END { for (path in top) if (!(path in used)) print path }' "$T/graph" | sort)"
: >"$T/text"
ok 'roots: none' tree "$T/tree-3" --roots "$T/text"
is 'roots: none' "$(ls "$T/tree-3/nix/var/nix/gcroots/docker")" ''
fails 1 "^dt-nixdb: $T/tree: Directory not empty\$" 'a tree that is there' tree "$T/tree"
fails 1 "^dt-nixdb: $T/none/tree: No such file or directory\$" 'a tree without a parent' tree "$T/none/tree"
fails 1 "^dt-nixdb: $T/none: No such file or directory\$" 'roots that are not there' tree "$T/tree-4" --roots "$T/none"
fails 1 '^dt-nixdb: .*/nix/var/nix/gcroots/docker/.*: No space left on device$' 'no room for the last root' \
	traced -fqq -o /dev/null -e inject=symlink:error=ENOSPC bash -c \
	"dt-nixdb --store '$small' --tree '$T/tree-4' <'$T/graph'"
is 'nothing is left of a tree that fails' "$(cd "$T" && echo tree-4* tree.*)" 'tree-4* tree.*'
fails 2 '^dt-nixdb: --roots goes with --tree: ' '--roots alone' on "$T/graph" dt-nixdb --store "$small" --roots "$T/text"

# --- NARs ---

store=$T/s
mkdir -p "$store/nix/store"
hash() { printf %s "$1" | sha256sum | cut -c 1-32; }
path() { printf '/nix/store/%s-%s\n' "$(hash "$1")" "$1"; }
at() { printf '%s%s\n' "$store" "$(path "$1")"; }

mkdir -p "$(at names)"
cd "$(at names)" || exit 1
for name in a a.b a0 B 'two  blanks' "it's" $'new\nline' 'back\slash' -dash é $'\xee\x80\x80' \
	$'\xff' $'\xed\xb3\xbf' $'\xf0\x9f\x90\xa7' "$(printf '%255s' '' | tr ' ' n)" .hidden '*' '(' '~'; do
	echo "$name" >"$name"
done
mkdir -p A/z A.b/x a-/y 'deep/1/2/3/4/5/6/7/8/9' empty z/empty
touch a-/y/f A/z/f A.b/x/f
cd / || exit 1
mkdir "$(at modes)"
for mode in 444 555 644 755 400 500 4711 655 611 100 070; do
	echo "$mode" >"$(at modes)/$mode"
	chmod "$mode" "$(at modes)/$mode"
done
mkdir "$(at lengths)"
for length in {0..17} 4095 4096 65423 65424 65425 65535 65536 65537 131071 131072 131073 200000; do
	head -c "$length" /dev/urandom >"$(at lengths)/$length"
done
# At each place in a block of 64 KiB where a string or a number may end.
mkdir "$(at borders)"
for length in {65200..65440..8} {65300..65330}; do
	head -c "$length" /dev/zero >"$(at borders)/$length"
done
mkdir "$(at links)"
for target in f dangling/a /nowhere . .. 'two blanks' $'\xff' "$(printf '%4000s' '' | tr ' ' t)" 1234567 12345678; do
	ln -s "$target" "$(at links)/$(hash "$target")"
done
mkdir "$(at hard-links)"
echo one >"$(at hard-links)/a"
ln "$(at hard-links)/a" "$(at hard-links)/b"
echo one >"$(at hard-links)/c"
echo plain >"$(at plain)"
printf '#!/bin/sh\n' >"$(at executable)"
chmod 755 "$(at executable)"
: >"$(at empty-file)"
mkdir "$(at empty-directory)"
ln -s "$(path plain)" "$(at symlink)"
ln -s nowhere "$(at dangling)"
python3 -c 'import os, sys
os.chdir(sys.argv[1])
for depth in range(200):
    open("file", "w").close()
    os.mkdir("directory of depth")
    os.chdir("directory of depth")' "$(mkdir "$(at deep)" && at deep)"

# What mentions itself, wherever that is, and what only seems to.
selves=()
rm -rf "$DT_CACHE"
me() { selves+=("$(path "$1")"); mkdir -p "$(at "$1")"; cd "$(at "$1")" || exit 1; }
me self-text && echo "at $(path self-text)/x" >text
me self-name && touch "a$(hash self-name)b"
me self-directory && mkdir "$(hash self-directory)"
me self-target && ln -s "../$(hash self-target)" link
me self-alone && printf %s "$(hash self-alone)" >file
me self-end && { head -c 1000000 /dev/zero; printf %s "$(hash self-end)"; } >file
ln -s "$(path self-link)/x" "$(at self-link)" && selves+=("$(path self-link)")
printf %s "$(hash self-file)" >"$(at self-file)" && selves+=("$(path self-file)")
for shift in {0..33}; do # over the border of two blocks: in the NAR, the contents begin at 232
	me "self-$shift"
	{ head -c $((65536 - 232 - shift)) /dev/zero; printf %s "$(hash "self-$shift")"; head -c 9 /dev/zero; } >file
done
cd / || exit 1
mkdir "$(at not-self)"
printf '%.31s' "$(hash not-self)" >"$(at not-self)/cut"
hash not-self | cut -c 2- >"$(at not-self)/rest"
hash not-self | sed 's/./& /16' >"$(at not-self)/split"
hash not-self | tr a-f A-F >"$(at not-self)/capitals"
ln -s "$(hash not-self | cut -c 1-16)" "$(at not-self)/$(hash not-self | cut -c 17-)"

(cd "$store" && printf '%s\n' nix/store/*) | sed 's,^,/,' >"$T/paths"
dt-closure --scan --no-cache --store "$store" <"$T/paths" >"$T/graph2"
ok 'NARs' on "$T/graph2" dt-nixdb --store "$store"
cp "$T/out" "$T/db2"
sed "s,^,$store," "$T/paths" | xargs -d '\n' nix-hash --type sha256 2>/dev/null |
	paste -d' ' "$T/paths" - | sort >"$T/want"
query "$T/db2" "select path || ' ' || substr(hash, 8) from ValidPaths order by path" >"$T/got"
while read -r name sum; do
	case $name in *-self-[1-9]*) continue ;; esac
	is "${name##*-}: nix-hash" "$(grep -e "^$name " "$T/got")" "$name $sum"
done <"$T/want"
is 'all of them: nix-hash' "$(cat "$T/got")" "$(cat "$T/want")"
is 'sizes are those of the graph' "$(query "$T/db2" "select path || ' ' || narSize from ValidPaths order by path")" \
	"$(cut -d' ' -f1-2 "$T/graph2" | sort)"
is 'who mentions itself' "$(query "$T/db2" "$refs" | awk -F'|' '$1 == $2 { print $1 }')" \
	"$(printf '%s\n' "${selves[@]}" | sort)"
is 'references to others' "$(query "$T/db2" "$refs" | awk -F'|' '$1 != $2')" "$(path symlink)|$(path plain)"
settle "$store"
on "$T/graph2" dt-nixdb --store "$store" >"$T/got"
same 'NARs, some remembered' "$T/got" "$T/db2"
on "$T/graph2" dt-nixdb --store "$store" >"$T/got"
same 'NARs, all remembered' "$T/got" "$T/db2"
is 'NARs, all remembered: they are' "$(find "$DT_CACHE/nar-2" -type f | wc -l)" "$(wc -l <"$T/paths")"

mkdir -p "$T/g/gnu/store"
mv "$(at self-text)" "$T/g/gnu/store"
dt-closure --scan --no-cache --store "$T/g" "/gnu/store/$(basename "$(path self-text)")" |
	dt-nixdb --store "$T/g" >"$T/got"
is '/gnu/store' "$(query "$T/got" "$refs")" "/gnu$(path self-text | cut -c 5-)|/gnu$(path self-text | cut -c 5-)"

# Guix has the database of Nix 1.3. Nix reads it, too: it changes the tables to those of its own version, which fails
# unless they are exactly those.
guix_lib=/gnu/store/00000000000000000000000000000001-lib guix_app=/gnu/store/00000000000000000000000000000002-app
mkdir "$T/g$guix_lib" "$T/g$guix_app"
echo "$guix_lib" | tee "$T/g$guix_lib/itself" >"$T/g$guix_app/lib"
dt-closure --scan --no-cache --store "$T/g" "$guix_app" >"$T/graph5"
tree_of_guix() { (umask 077 && dt-nixdb --store "$T/g" --tree "$T/guix" <"$T/graph5"); }
ok 'Guix: a tree' tree_of_guix
is 'Guix: what is in it' "$(cd "$T/guix" && find . -mindepth 1 -printf '%m %p %l\n' | sort -k 2)" "755 ./var 
755 ./var/guix 
755 ./var/guix/db 
644 ./var/guix/db/db.sqlite 
644 ./var/guix/db/schema 
755 ./var/guix/gcroots 
755 ./var/guix/gcroots/docker 
777 ./var/guix/gcroots/docker/${guix_app##*/} $guix_app
777 ./var/guix/gcroots/profiles /var/guix/profiles
755 ./var/guix/profiles "
is 'Guix: the version of the schema' "$(cat "$T/guix/var/guix/db/schema")" 7
mkdir -p "$T/guix/gnu/store"
cp -a "$T/g$guix_lib" "$T/g$guix_app" "$T/guix/gnu/store"
chmod -R a-w "$T/guix/gnu/store/"*
ok 'Guix: dt-closure' dt-closure --store "$T/guix" "$guix_app"
same 'Guix: dt-closure: the graph' "$T/out" "$T/graph5"
on_guix() { nix-store --store "local?store=/gnu/store&state=$T/guix/var/guix&log=$T/log&real=$T/guix/gnu/store" "$@"; }
ok 'Guix: Nix upgrades and verifies the database' on_guix --verify --check-contents
is 'Guix: Nix finds nothing wrong' "$(grep -ciE 'modified|error|disappeared|not valid' "$T/err")" 0
is 'Guix: Nix has upgraded it' "$(cat "$T/guix/var/guix/db/schema")" 10
is 'Guix: nothing is garbage' "$(on_guix --gc --print-dead 2>/dev/null)" ''

# --- what is wrong ---

bad() { # REGEX DESCRIPTION TEXT
	printf %b "$3" >"$T/bad"
	fails 1 "^dt-nixdb: $1\$" "$2" on "$T/bad" dt-nixdb --store "$store"
	is "$2: nothing on stdout" "$(wc -c <"$T/out")" 0
}
plain=$(path plain) symlink=$(path symlink)
line=$(grep "^$plain " "$T/graph2")
bad 'stdin: .*' 'empty' ''
bad 'stdin:1: .*' 'truncated' "$line"
bad 'stdin:1: .*' 'no size' "$plain\n"
bad 'stdin.*' 'a reference without a line' "$(grep "^$symlink " "$T/graph2")\n"
bad 'stdin: .*cycle.*' 'a cycle' "$plain 1 $symlink\n$symlink 1 $plain\n"
bad 'stdin: /etc/passwd: not a path in the store /nix/store' 'not a store path' '/etc/passwd 1\n'
bad "stdin: $plain/x: not a store path but something inside of $plain" 'inside of one' "$plain/x 1\n"
bad "stdin: /gnu/store/$(hash x)-x: not a path in the store /nix/store" 'another store' "/gnu/store/$(hash x)-x 1\n"
echo x >"$(at broken.drv)"
bad 'stdin:1: .*' 'another stream' "$plain $symlink\n"
bad "$store$(path none): No such file or directory" 'not there' "$line\n$(path none) 112\n"
bad "$plain: its NAR has 120 bytes, but 112 in the graph" 'another size' "$plain 112\n"
mkdir "$(at fifo)" && mkfifo "$(at fifo)/x"
bad "$(at fifo)/x: a store path holds no device or FIFO" 'a FIFO' "$(path fifo) 112\n"
bad "$(path broken.drv):0: 'Derive.' is expected" 'a derivation that is none' "$(path broken.drv) 112\n"
fails 1 "^dt-nixdb: $T/none: No such file or directory\$" 'derivers that are not there' \
	on "$T/graph2" dt-nixdb --store "$store" --derivers "$T/none"
echo hello >"$T/text"
fails 1 "^dt-nixdb: $T/text:1: 'hello' is not a store path\$" 'derivers that are none' \
	on "$T/graph2" dt-nixdb --store "$store" --derivers "$T/text"
printf '%s\n' "$plain" /etc/passwd 0 >"$T/text"
fails 1 "^dt-nixdb: $T/text:2: '/etc/passwd' is not a deriver\$" 'a deriver that is none' \
	on "$T/graph2" dt-nixdb --store "$store" --derivers "$T/text"
cp "$loaded" "$T/other.sqlite"
python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("update ValidPaths set deriver = path || ?", ("/x",))
db.commit()' "$T/other.sqlite"
fails 1 "^dt-nixdb: $T/other.sqlite: .*/x: not a store path but something inside of " 'a deriver that is none, in a database' \
	on "$T/graph" dt-nixdb --store "$small" --derivers "$T/other.sqlite"
head -c 9000 "$loaded" >"$T/other.sqlite"
fails 1 "^dt-nixdb: $T/other.sqlite: " 'a database that is truncated' \
	on "$T/graph" dt-nixdb --store "$small" --derivers "$T/other.sqlite"
fails 1 '^dt-nixdb: --store .*: No such file or directory$' 'no store' on "$T/graph2" dt-nixdb --store "$T/none"
fails 1 '^dt-nixdb: stdin: Is a directory$' 'stdin is a directory' on "$T" dt-nixdb
fails 2 "^dt-nixdb: unexpected operand 'x': try" 'an operand' on "$T/graph2" dt-nixdb x

# nobody: as somebody who may not read all of it.
nobody() { runuser -u nobody -- env DT_CACHE="$T/none" PATH="$PATH" dt-nixdb --store "$store" <"$T/bad"; }
mkdir -p "$(at secret)/d"
echo >"$(at secret)/d/file"
dt-closure --scan --no-cache --store "$store" "$(path secret)" >"$T/bad"
ok 'by nobody' nobody
chmod 600 "$(at secret)/d/file"
fails 1 "^dt-nixdb: $(at secret)/d/file: Permission denied\$" 'a file that may not be read' nobody
chmod 700 "$(at secret)/d"
fails 1 "^dt-nixdb: $(at secret)/d: Permission denied\$" 'a directory that may not be read' nobody

# A file that changes: dt-nixdb is stopped while it reads many zeroes. Sets $status.
stopped() { # COMMAND
	local file pid
	status=0
	mkdir -p "$(at big)"
	file=$(at big)/sparse
	rm -f "$file"
	truncate -s 512M "$file"
	printf '%s %d\n' "$(path big)" $((536870912 + 280)) |
		dt-nixdb --store "$store" >"$T/got" 2>"$T/err" &
	pid=$!
	until readlink "/proc/$pid/fd"/* 2>/dev/null | grep -qxF "$file"; do
		kill -0 "$pid" 2>/dev/null || break
	done
	kill -STOP "$pid"
	eval "$1"
	kill -CONT "$pid"
	wait "$pid" || status=$?
}
hashing() { # WHAT COMMAND
	local file status
	file=$(at big)/sparse
	stopped "$2"
	is "$1 while it is hashed: status" "$status" 1
	is "$1 while it is hashed: says so" "$(cat "$T/err")" "dt-nixdb: $file: changed while it was read"
	is "$1 while it is hashed: nothing comes out" "$(wc -c <"$T/got")" 0
}
hashing 'grows' 'echo >>"$file"'
hashing 'shrinks' 'truncate -s 500M "$file"'
hashing 'changes' 'touch -d 2001-01-01 "$file"'
stopped 'touch -r "$file" "$T/times"
	for block in 0 524287; do printf x | dd of="$file" bs=1K seek="$block" conv=notrunc status=none; done
	touch -r "$T/times" "$file"'
is 'changes while it is hashed, and its times do not: it is hashed again' \
	"$status:$(cat "$T/err"):$(query "$T/got" 'select substr(hash, 8) from ValidPaths')" \
	"0::$(nix-hash --type sha256 "$(at big)" 2>/dev/null)"

# A change that leaves the times of the file as they were.
mkdir "$(at secret-change)"
file=$(at secret-change)/file
echo one >"$file"
touch -d 2020-01-01 "$file"
dt-closure --scan --no-cache --store "$store" "$(path secret-change)" >"$T/graph3"
sum() { query "$T/out" 'select substr(hash, 8) from ValidPaths'; }
for text in one two; do
	echo "$text" >"$file"
	touch -d 2020-01-01 "$file"
	settle "$(at secret-change)"
	ok "contents $text, the same times" on "$T/graph3" dt-nixdb --store "$store"
	is "contents $text: they count" "$(sum)" "$(nix-hash --type sha256 "$(at secret-change)" 2>/dev/null)"
done

finish
