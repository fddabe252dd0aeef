#!/usr/bin/env bash
# dt-closure --verify and a real Nix: both accept and refuse the same stores.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # functions that only the checks call
. "$(dirname "$0")/lib.sh"
need nix nix-build nix-store python3

# A store with a path that refers to itself and others, a file, a tree, and a text with a reference.
mkdir -p "$T/built/nix" "$T/tree"
echo tree >"$T/tree/file"
cat >"$T/expr.nix" <<END
let
  # To Nix, a builder that has closed its output is done, so coreutils must not be what bash runs last.
  make = name: text: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/bash";
    args = [ "-c" "set -e; \${text}; :" ];
    PATH = "/usr/bin:/bin";
  };
  lib = make "lib" "echo lib > \$out";
  flat = derivation {
    name = "flat";
    system = builtins.currentSystem;
    builder = "/bin/bash";
    args = [ "-c" "echo flat > \$out; :" ];
    outputHashMode = "flat";
    outputHashAlgo = "sha256";
    outputHash = "$(echo flat | sha256sum | cut -c 1-64)";
  };
  text = builtins.toFile "text" "\${builtins.toFile "leaf" "leaf"}";
  tree = builtins.path { name = "tree"; path = $T/tree; };
in make "app" "mkdir \$out; echo \${lib} \${flat} \${text} \${tree} \$out > \$out/x"
END
ok 'a real store' "$t_dir/with-nix" "$T/built" nix-build -Q --no-out-link "$T/expr.nix"
app=$(grep -- '-app$' "$T/out")
dt-closure --store "$T/built" "$app" >"$T/graph"
is 'a closure' "$(wc -l <"$T/graph")" 6
path() { cut -d ' ' -f 1 "$T/graph" | grep -- "-$1\$"; }

for key in one two other; do
	nix-store --generate-binary-cache-key "$key-1" "$T/$key.secret" "$T/$key.public"
done
one=$(cat "$T/one.public") two=$(cat "$T/two.public") other=$(cat "$T/other.public")

# A store $S for the next checks: fresh makes it a copy.
S=$T/store
fresh() {
	chmod -R u+w "$S" 2>/dev/null
	rm -rf "$S"
	cp -a "$T/built" "$S"
}
nix_here() { "$t_dir/with-nix" "$S" nix --extra-experimental-features nix-command "$@"; }
sign() { nix_here store sign -k "$T/$1.secret" "${@:2}"; } # KEY PATH...
# sql STATEMENT...: changes the database.
sql() {
	python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
for statement in sys.argv[2:]: db.execute(statement)
db.commit()' "$S/nix/var/nix/db/db.sqlite" "$@"
}
foreign() { sql 'update ValidPaths set ultimate = null'; }
# forge PATH TEXT: writes to a file of the store, and keeps its size, mode and times.
forge() {
	local file=$S$1
	[ ! -d "$file" ] || file+=/x
	touch -r "$file" "$T/time"
	chmod u+w "$file"
	printf %s "$2" | dd of="$file" conv=notrunc status=none
	chmod 444 "$file"
	touch -r "$T/time" "$file"
}
verify() { dt-closure --store "$S" --verify --trusted-public-keys "$@" "$app"; } # KEYS [OPTION]...
judge() { nix_here store verify --recursive --trusted-public-keys "$@" "$app"; }

# good NAME KEYS [--sigs-needed N]: both accept the store. bad NAME REGEX KEYS...: both refuse it.
good() {
	ok "$1" verify "${@:2}"
	same "$1: the graph" "$T/out" "$T/graph"
	ok "$1: Nix agrees" judge "${@:2}"
}
bad() {
	fails 1 "$2" "$1" verify "${@:3}"
	is "$1: no output" "$(cat "$T/out")" ''
	judge "${@:3}" >"$T/out" 2>&1
	is "$1: Nix agrees" "$(($? > 0))" 1
}
fresh
good 'paths that were built here' "$one"
bad 'their signatures are required' "^dt-closure: $(path lib): no signature by a trusted key\$" "$one" --sigs-needed 1
ok 'the default keys' dt-closure --store "$S" --verify "$app"
sign one -r "$app"
good 'signatures' "$one" --sigs-needed 1
bad 'one signature where two are required' "-(app|lib): 1 of 2 signatures by trusted keys" "$one $two" --sigs-needed 2
sign two -r "$app"
good 'two signatures' " $two  $one" --sigs-needed 2
bad 'one of the two keys' "-(app|lib): 1 of 2 signatures by trusted keys" "$one" --sigs-needed 2

fresh
foreign
bad 'no signature' '-(app|lib): no signature by a trusted key$' "$one"
sign one -r "$app"
good 'signed paths of another machine' "$one"
good 'several keys' "$other $one"
bad 'another key' '-(app|lib): no signature by a trusted key$' "$other"
bad 'another key of the same name' '-(app|lib): no signature by a trusted key$' "one-1:${other#*:}"
bad 'no key' '-(app|lib): no signature by a trusted key$' ''
sql "update ValidPaths set sigs = null where path = '$(path lib)'"
bad 'a path without a signature' "^dt-closure: $(path lib): no signature" "$one"
ok 'a path that is not printed needs none' verify "$one" --exclude <(path lib)
sql "update ValidPaths set sigs = (select sigs from ValidPaths where path = '$app') where path = '$(path lib)'"
bad 'the signature of another path' "^dt-closure: $(path lib): no signature" "$one"
fresh
foreign
sign one "$app" "$(path lib)"
good 'content-addressed paths need no signature' "$one"
for name in text flat; do
	sql "update ValidPaths set ca = replace(ca, 'sha256:', 'sha256:0') where path = '$(path "$name")'"
	bad "content of another name: $name" "^dt-closure: $(path "$name"): no signature" "$one"
	fresh
	foreign
	sign one "$app" "$(path lib)"
done
sql "delete from Refs where referrer = (select id from ValidPaths where path = '$app') and reference = referrer"
bad 'a reference that is not signed' "^dt-closure: $app: no signature" "$one"

# Files.
for name in lib text app; do
	fresh
	forge "$(path "$name")" X
	bad "a changed file: $name" "^dt-closure: $(path "$name"): NAR hash mismatch: registered: sha256-.* got: sha256-.*" "$one"
done
fresh
chmod u+w "$S$app"
chmod +x "$S$app/x"
bad 'a file that became executable' "^dt-closure: $app: NAR (hash|size) mismatch" "$one"
fresh
chmod u+w "$S$app"
rm "$S$app/x"
bad 'a file that is missing' "^dt-closure: $app: NAR (hash|size) mismatch" "$one"
fresh
sign one -r "$app"
foreign
forge "$(path lib)" X
hash=$("$t_dir/with-nix" "$S" nix-store --dump "$(path lib)" | sha256sum | cut -c 1-64)
sql "update ValidPaths set hash = 'sha256:$hash' where path = '$(path lib)'"
bad 'a changed file, and the hash in the database' "^dt-closure: $(path lib): no signature" "$one"
dt-closure --store "$S" "$app" >"$T/out"
same 'without --verify, nothing is read' "$T/out" "$T/graph"

fails 2 'excludes --scan and --graph' 'no database: --scan' dt-closure --verify --scan "$app"
fails 2 'excludes --scan and --graph' 'no database: --graph' dt-closure --verify --graph "$T/graph" "$app"
fails 2 "'key' is not a public key" 'a wrong key' verify key
fails 2 "is not a public key" 'a short key' verify one-1:AAAA
fails 2 'go with --verify' 'keys for nothing' dt-closure --trusted-public-keys "$one" "$app"
rm "$S/nix/var/nix/db/db.sqlite"
fails 1 '/nix/store: has no database' 'a store without a database' verify "$one"

finish
