#!/usr/bin/env bash
# dt-closure and a real Nix: the database, a scan and a graph that Nix exports give the same as
# nix-store. Databases that are locked, damaged or read-only, and logs that a killed program has left.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # functions that only the checks call
. "$(dirname "$0")/lib.sh"
need jq nix nix-build nix-store python3 runuser

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
all=$(root everything)

# A tool that nobody else may start either.
chmod 755 "$T"
cp "$(command -v dt-closure)" "$T/dt-closure"
as_nobody() { (cd / && runuser -u nobody -- env -u DT_CACHE HOME=/ TMPDIR=/tmp "$T/dt-closure" "$@"); }

# The three sources, and nix-store.
cut -d' ' -f2 "$small/roots" | grep -v -e '-everything$' -e build-only >"$T/roots"
dt-closure --store "$small" <"$T/roots" >"$T/all"
# shellcheck disable=SC2046 # a list
in_nix nix-store -qR $(cat "$T/roots") | sort -u >"$T/want"
cut -d' ' -f1 "$T/all" | sort >"$T/got"
same 'db is nix-store -qR' "$T/got" "$T/want"
dt-closure --scan --no-cache --store "$small" <"$T/roots" >"$T/scan"
same 'scan is db' "$T/scan" "$T/all"
ok 'auto' dt-closure --store "$small" "$all"
cp "$T/out" "$T/db"
dt-closure --scan --store "$small" "$all" >"$T/scan"
same 'auto is scan' "$T/scan" "$T/db"
dt-closure --scan --store "$small" "$all" >"$T/scan"
same 'auto is scan, remembered' "$T/scan" "$T/db"
in_nix "$(command -v dt-closure)" --no-cache "$all" >"$T/inside"
same 'the store at /nix is that at --store DIR' "$T/inside" "$T/db"
for name in hard-links odd-names plain-file self-reference symlink bash; do
	dt-closure --store "$small" "$(root $name)" >"$T/out"
	is "$name is nix-store -qR" "$(cut -d' ' -f1 "$T/out" | sort)" \
		"$(in_nix nix-store -qR "$(root $name)" | sort)"
	is "$name is as long as its NAR" "$(sed -n "s,^$(root $name) \([0-9]*\).*,\1,p" "$T/out")" \
		"$(in_nix nix-store --dump "$(root $name)" | wc -c)"
done

# What Nix exports.
in_nix nix-store --dump-db >"$T/dump"
dt-closure --graph "$T/dump" "$all" >"$T/out"
same 'nix-store --dump-db' "$T/out" "$T/db"
in_nix nix --extra-experimental-features nix-command path-info --json -r "$all" >"$T/info"
dt-closure --graph "$T/info" </dev/null >"$T/out"
same 'nix path-info --json' "$T/out" "$T/db"
dt-closure --graph "$T/db" "$all" >"$T/out"
same "dt-closure's own graph" "$T/out" "$T/db"
mkdir -p "$T/built/nix"
cat >"$T/export.nix" <<'END'
let
  make = name: text: attrs: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/bash";
    # To Nix, a builder that has closed its output is done, and is killed; as coreutils
    # close it a moment before they end, none of them must be what bash runs last.
    args = [ "-c" "set -e; ${text}; :" ];
    PATH = "/usr/bin:/bin";
  } // attrs);
  base = make "base" "echo base > $out" { };
  lib = make "lib" "mkdir $out; echo ${base} > $out/x" { };
  app = make "app" "mkdir $out; echo ${lib} $out > $out/x; chmod +x $out/x" { };
in {
  text = make "text" "cat closure > $out" { exportReferencesGraph = [ "closure" app ]; };
  attrs = make "attrs" ". .attrs.sh; /bin/cat .attrs.json > \${outputs[out]}" {
    __structuredAttrs = true;
    exportReferencesGraph = { one = [ app ]; two = [ lib ]; };
  };
}
END
ok 'nix-build' "$t_dir/with-nix" "$T/built" nix-build -Q --no-out-link "$T/export.nix"
text=$(grep -- -text$ "$T/out") attrs=$(grep -- -attrs$ "$T/out")
app=$(jq -r '.one[] | select(.path | endswith("-app")).path' "$T/built$attrs")
dt-closure --store "$T/built" "$app" >"$T/want"
is 'a small closure' "$(wc -l <"$T/want")" 3
dt-closure --store "$T/built" --graph "$T/built$text" </dev/null >"$T/out"
same 'exportReferencesGraph' "$T/out" "$T/want"
dt-closure --graph "$T/built$attrs" </dev/null >"$T/out"
same '.attrs.json' "$T/out" "$T/want"
jq '.one' "$T/built$attrs" | dt-closure --graph - >"$T/out"
same 'a closure graph' "$T/out" "$T/want"
# As nixpkgs' closureInfo makes it.
jq -r '.one[] | [.path, .narHash, .narSize, "", (.references | length)] + .references | .[]' \
	"$T/built$attrs" | dt-closure --graph - >"$T/out"
same "closureInfo's registration" "$T/out" "$T/want"

# Databases of our own.
D=$T/db.d
mkdir "$D"
db=$D/db.sqlite
fresh() { rm -rf "$D" && mkdir "$D" && cp "$small/nix/var/nix/db/db.sqlite" "$D" && chmod 755 "$D" && chmod 644 "$db"; }

# sql STATEMENT...: runs them, and ends without closing the database.
sql() {
	python3 -c 'import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma wal_autocheckpoint=0")
for statement in sys.argv[2:]: db.execute(statement)
os._exit(0)' "$db" "$@"
}

# holding STATEMENT... -- COMMAND...: runs the command while another process holds the
# database as the statements leave it.
holding() {
	local statements=() status=0
	while [ "$1" != -- ]; do statements+=("$1"); shift; done
	shift
	mkfifo "$T/ready" "$T/done"
	python3 -c 'import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[4:]: db.execute(statement).fetchall()
open(sys.argv[2], "w").close()
open(sys.argv[3]).read()
os._exit(0)' "$db" "$T/ready" "$T/done" "${statements[@]}" &
	read -r _ <"$T/ready"
	"$@" || status=$?
	: >"$T/done"
	wait $!
	rm "$T/ready" "$T/done"
	return "$status"
}

# The size of `everything` is what changes.
size() { sed -n "s,^$all \([0-9]*\) .*,\1,p" "$T/out"; }
sized() { echo "update ValidPaths set narSize = $1 where path = '$all'"; }
files() { (cd "$D" && ls); }

fresh
ok '--db, by another user' as_nobody --db "$db" "$all"
same '--db, by another user, is the same' "$T/out" "$T/db"
ok '--db' dt-closure --db "$db" "$all"
is 'nothing is left beside it' "$(files)" db.sqlite
odd="$D/a?b#c%20d&e"
cp "$db" "$odd"
ok 'a database of an odd name' dt-closure --db "$odd" "$all"
rm "$odd"
cd "$D" || exit
ok 'a database of a relative name' dt-closure --db db.sqlite "$all"
cd / || exit
if unshare -m true 2>/dev/null; then
	ok 'a read-only file system' unshare -m sh -c "mount --bind '$D' '$D' &&
		mount -o remount,ro,bind '$D' && exec dt-closure --db '$db' '$all'"
fi

sql 'pragma journal_mode=wal' "$(sized 1001)"
is 'a log was left behind' "$(files | tr '\n' ' ')" 'db.sqlite db.sqlite-shm db.sqlite-wal '
ok 'a log, by another user' as_nobody --db "$db" "$all"
is 'a log, by another user: it counts' "$(size)" 1001
rm "$db-shm"
ok 'a log and no index of it, by another user' as_nobody --db "$db" "$all"
is 'a log and no index of it: it counts' "$(size)" 1001
is 'a log and no index of it: nothing is left' "$(files | tr '\n' ' ')" 'db.sqlite db.sqlite-wal '
is 'a log and no index of it: no copy is left' "$(compgen -G '/tmp/dt-closure.*')" ''
ok 'a log and no index of it' dt-closure --db "$db" "$all"
is 'a log: it counts' "$(size)" 1001
: >"$db-wal"
ok 'an empty log, by another user' as_nobody --db "$db" "$all"
is 'an empty log: the database counts' "$(size)" "$(sed -n "s,^$all \([0-9]*\) .*,\1,p" "$T/db")"

rm "$db-wal"
mkdir -m 700 "$T/private"
ln -s "$T/private/x" "$db-wal"
fails 1 "^dt-closure: $db-wal: Permission denied\$" 'a log that cannot be examined' as_nobody --db "$db" "$all"

fresh
for who in dt-closure as_nobody; do
	ok "$who: a writer at work" holding 'begin immediate' -- $who --db "$db" "$all"
	ok "$who: a writer at work that has written" \
		holding 'begin exclusive' "$(sized 1002)" -- $who --db "$db" "$all"
	same "$who: what is not committed does not count" "$T/out" "$T/db"
	ok "$who: a commit in a log" holding "$(sized 1003)" -- $who --db "$db" "$all"
	is "$who: a commit in a log counts" "$(size)" 1003
	fresh
done

sql 'pragma journal_mode=delete'
ok 'no log at all, by another user' as_nobody --db "$db" "$all"
same 'no log at all' "$T/out" "$T/db"
fails 1 "^dt-closure: $db: database is locked\$" 'a database that is locked' \
	holding 'begin exclusive' "$(sized 1004)" -- dt-closure --db "$db" "$all"
is 'a journal was left behind' "$(files | tr '\n' ' ')" 'db.sqlite db.sqlite-journal '
ok 'a journal, by another user' as_nobody --db "$db" "$all"
same 'a journal: what it takes back does not count' "$T/out" "$T/db"

# A writer that never rests.
fresh
python3 -c 'import sqlite3, sys
n = 10**6
while True:
    db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
    for _ in range(n % 7 + 1):
        n += 1
        db.execute("update ValidPaths set narSize=?", (n,))
        if n == 10**6 + 1: open(sys.argv[2], "w").close()
    db.close()' "$db" "$T/ready" &
writer=$!
at_exit "kill $writer 2>/dev/null"
until [ -e "$T/ready" ]; do sleep 0.1; done
bad=0
for _ in {1..20}; do
	for who in dt-closure as_nobody; do
		$who --db "$db" "$all" >"$T/out" 2>"$T/err" || {
			grep -q 'keeps changing while it is read' "$T/err" || cat "$T/err"
			continue
		}
		[ "$(cut -d' ' -f2 "$T/out" | sort -u | wc -l)" -eq 1 ] || bad=$((bad + 1))
	done
done
kill $writer
wait $writer 2>/dev/null
is 'a writer at work: what is read is of one moment' $bad 0

# Sizes that Nix did not note.
fresh
sql 'update ValidPaths set narSize = null where id % 2 = 0' \
	'update ValidPaths set narSize = 0 where id % 2 = 1' 'pragma wal_checkpoint(truncate)'
ok 'sizes that are not known' dt-closure --store "$small" --db "$db" "$all"
same 'sizes that are not known are those on disk' "$T/out" "$T/db"

# Roots.
fresh
gone=/nix/store/00000000000000000000000000000000-gone
fails 1 "^dt-closure: $gone: not a valid path in .*db.sqlite\$" 'a path that is not valid' \
	dt-closure --store "$small" "$gone"
twin=/nix/store/$(echo "${all##*/}" | cut -c1-32)-twin
echo "exec ${all#/}.tar" >"$T/text"
ok '--text' on "$T/text" dt-closure --store "$small" --text
same '--text is as a root' "$T/out" "$T/db"
ok '--text without --store: that of the database' on "$T/text" dt-closure --db "$db" --text
echo "$gone" >"$T/text"
fails 1 "^dt-closure: stdin: $gone is mentioned but not there\$" 'a mention of what is not there' \
	on "$T/text" dt-closure --store "$small" --text
echo "$all" >"$T/text"
sql "insert into ValidPaths (path, hash, registrationTime) values ('$twin', 'x', 0)"
fails 1 'db.sqlite: /nix/store/.* and /nix/store/.* have the same hash part$' 'twins' \
	on "$T/text" dt-closure --db "$db" --text

# Databases that are none.
fails 1 "^dt-closure: $T/none: No such file or directory\$" 'no database' \
	dt-closure --db "$T/none" "$all"
mkdir -p "$T/empty/nix/store"
fails 1 "^dt-closure: $T/empty/nix/var/nix/db/db.sqlite: No such file" 'no database in the store' \
	dt-closure --db "$T/empty/nix/var/nix/db/db.sqlite" --store "$T/empty" "$gone"
: >"$T/none"
fails 1 "^dt-closure: $T/none: not a database of Nix\$" 'an empty file' \
	dt-closure --db "$T/none" "$all"
head -c 5000 /dev/urandom >"$T/none"
fails 1 "^dt-closure: $T/none: not a database of Nix\$" 'any bytes' \
	dt-closure --db "$T/none" "$all"
rm "$T/none"
python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("create table x (y)")' "$T/none"
fails 1 "^dt-closure: $T/none: no such table: ValidPaths\$" 'another database' \
	dt-closure --db "$T/none" "$all"
fresh
truncate -s 20000 "$db"
fails 1 "^dt-closure: $db: database disk image is malformed\$" 'a database that is cut' \
	dt-closure --db "$db" "$all"
fresh
python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(8192)
    f.write(b"\xff" * 300000)' "$db"
fails 1 "^dt-closure: $db: database disk image is malformed\$" 'a database that is damaged' \
	dt-closure --db "$db" "$all"
fresh
sql "delete from ValidPaths where path = '$(root bash)'"
fails 1 "^dt-closure: $db: a reference to a path that is not in it\$" 'a reference that leads nowhere' \
	dt-closure --db "$db" "$all"
fresh
sql "update ValidPaths set path = '/nix/store/x y' where path = '$(root bash)'"
fails 1 "^dt-closure: $db: /nix/store/x y: not a path in the store" 'a path that is none' \
	dt-closure --db "$db" "$all"

# A view in place of a table, which never ends.
rm "$T/none"
python3 -c 'import sqlite3, sys
sqlite3.connect(sys.argv[1]).executescript("""create table Refs (referrer, reference);
    create view ValidPaths as with recursive n (id, path, narSize) as (
    select 1, char(47), 1 union all select id + 1, path, 1 from n) select * from n where id < 0""")' "$T/none"
fails 1 "^dt-closure: $T/none: " 'a view that never ends' \
	timeout 30 dt-closure --db "$T/none" "$all"

# Pages of an index that refer to each other: each level leads to the next one 20 times.
rm "$T/none"
python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.executescript("pragma page_size = 512; create table ValidPaths (id integer primary key, path text, narSize);"
    "create table Refs (referrer, reference, primary key (referrer, reference)) without rowid")
db.execute("insert into ValidPaths values (1, ?, 1)", sys.argv[2:])
ids = [1 << 40 | i for i in range(20000)]
db.executemany("insert into ValidPaths values (?, ?, 1)", [(i, sys.argv[2] + str(i)) for i in ids])
db.executemany("insert into Refs values (1, ?)", [(i,) for i in ids])
db.commit()
root = db.execute("select rootpage from sqlite_master where name = ?", ("Refs",)).fetchone()[0]
db.close()
pages = open(sys.argv[1], "rb").read()
pages = [bytearray(pages[i:i + 512]) for i in range(0, len(pages), 512)]
inner = [i for i in range(1, len(pages)) if pages[i][0] == 2 and i + 1 != root]
inner = [i for i in inner if int.from_bytes(pages[i][3:5], "big") > 20][:12]
leaf = next(i for i in range(1, len(pages)) if pages[i][0] == 10)
for at, to in zip([root - 1] + inner, inner + [leaf]):
    page, to = pages[at], (to + 1).to_bytes(4, "big")
    page[8:12] = to
    for cell in range(int.from_bytes(page[3:5], "big")):
        start = int.from_bytes(page[12 + 2 * cell:14 + 2 * cell], "big")
        page[start:start + 4] = to
open(sys.argv[1], "wb").write(b"".join(pages))' "$T/none" "$all"
fails 1 "^dt-closure: $T/none: damaged: a query does not end\$" 'pages that refer to each other' \
	timeout 30 dt-closure --db "$T/none" "$all"

# Guix, and a store of one's own.
schema=$(python3 -c 'import sqlite3, sys
print(";".join(r[0] for r in sqlite3.connect(sys.argv[1]).execute("select sql from sqlite_master where sql is not null and name not like \"sqlite_%\"")))' "$small/nix/var/nix/db/db.sqlite")
make_db() { # DIR STORE: a database of two paths
	mkdir -p "$1"
	python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1] + "/db.sqlite")
db.executescript(sys.argv[3])
for id, name in (1, "1-a"), (2, "2-b"):
    db.execute("insert into ValidPaths (id, path, hash, registrationTime, narSize) values (?, ?, 0, 0, ?)",
               (id, sys.argv[2] + "/" + "0" * 31 + name, id * 96))
db.execute("insert into Refs values (2, 1)")
db.commit()' "$1" "$2" "$schema"
}
a=00000000000000000000000000000001-a b=00000000000000000000000000000002-b
mkdir -p "$T/guix/gnu/store"
make_db "$T/guix/var/guix/db" /gnu/store
ok 'Guix' dt-closure --store "$T/guix" "/gnu/store/$b"
is 'Guix: its database' "$(cat "$T/out")" "/gnu/store/$a 96
/gnu/store/$b 192 /gnu/store/$a"
mkdir -p "$T/own/store"
make_db "$T/own/var/nix/db" "$T/own/store"
ok 'a store of its own' dt-closure "$T/own/store/$b"
is 'a store of its own: its database' "$(cat "$T/out")" "$T/own/store/$a 96
$T/own/store/$b 192 $T/own/store/$a"

finish
