#!/usr/bin/env bash
# dt-drv: JSON is what Nix makes of the same derivations, paths are those that Nix gives them;
# bad derivations.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC1003,SC2016,SC2317 # `ok` and `fails` run what is passed to them
. "$(dirname "$0")/lib.sh"
need cmp jq nix nix-instantiate nix-store python3

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
features='nix-command ca-derivations impure-derivations'
in_nix() { "$t_dir/with-nix" "$@"; }

# shown DIR PATH...: by Nix, its keys sorted
shown() { in_nix "$1" nix --option experimental-features "$features" show-derivation "${@:2}" | jq -S .; }
# as_nix FILE: what dt-drv printed, without what Nix 2.8 does not have
as_nix() { jq -S 'map_values(del(.name))' "$1"; }

# compare DESCRIPTION DIR PATH...: with what Nix shows
compare() {
	local what=$1
	shift
	shown "$@" >"$T/want"
	ok "$what" dt-drv --store "$@"
	as_nix "$T/out" >"$T/got"
	same "$what: what Nix shows" "$T/got" "$T/want"
	is "$what: by the same paths" "$(jq -r keys[] "$T/out" | sort)" "$(printf '%s\n' "${@:2}" | sort)"
}

# --- real ones ---

mapfile -t all < <(cd "$small" && printf '/%s\n' nix/store/*.drv)
is 'there are many' "$([ "${#all[@]}" -gt 70 ] && echo yes)" yes
compare 'all of a real store' "$small" "${all[@]}"
is 'the keys are sorted' "$(jq -c 'to_entries[0].value | keys_unsorted == keys, (.env | keys_unsorted == keys)' "$T/out" | sort -u)" true
is 'their names' "$(jq -r '.[].name' "$T/out" | sort)" "$(printf '%s\n' "${all[@]}" | sed 's,.*/[^-]*-,,; s/[.]drv$//' | sort)"

# --- one of each kind ---

mkdir -p "$T/s/nix"
cat >"$T/kinds.nix" <<'END'
let
  make = attrs: derivation ({ name = "x"; system = "x86_64-linux"; builder = "/bin/sh"; } // attrs);
  two = make { name = "two"; outputs = [ "lib" "dev" ]; };
  floating = make { name = "floating"; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; };
in [
  two floating
  (make { name = "uses"; inherit two; dev = two.dev; lib2 = two.lib; src = ./kinds.nix; args = [ "-c" "echo \"a\tb\" \\ $x\n" "" ]; })
  (make { name = "text"; text = "line\nline\ttab\r\"quoted\" 'too' \\ back äöü€🐧 \${x}"; passAsFile = [ "text" ]; list = [ "a" "b c" ]; no = false; yes = true; nothing = null; n = 5; })
  (make { name = "flat"; outputHash = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="; outputHashMode = "flat"; })
  (make { name = "recursive"; outputHash = "d41d8cd98f00b204e9800998ecf8427e"; outputHashAlgo = "md5"; outputHashMode = "recursive"; })
  (make { name = "sha512"; outputHash = "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e"; outputHashAlgo = "sha512"; outputHashMode = "flat"; })
  (make { name = "deferred"; inherit floating; })
  (make { name = "impure"; __impure = true; })
  (make { name = "structured"; __structuredAttrs = true; a = [ 1 2 ]; b = { c = "d\n"; }; e = null; f = 1.5; outputs = [ "out" "man" ]; })
  (make { name = "structured-floating"; __structuredAttrs = true; __contentAddressed = true; outputHashMode = "recursive"; outputHashAlgo = "sha256"; })
]
END
mapfile -t kinds < <(in_nix "$T/s" nix-instantiate --option experimental-features "$features" "$T/kinds.nix" 2>/dev/null | sed 's/!.*//' | sort -u)
is 'eleven kinds' "${#kinds[@]}" 11
compare 'one of each kind' "$T/s" "${kinds[@]}"
is 'the names of those whose paths nobody knows yet' "$(jq -r '.[].name' "$T/out" | sort | xargs)" \
	'deferred flat floating impure recursive sha512 structured structured-floating text two uses'
cp "$T/out" "$T/kinds.json"
kind() { printf '%s\n' "${kinds[@]}" | grep -e "-$1.drv\$"; }
for path in "${kinds[@]}"; do
	dt-drv <"$T/s$path"
done | jq -sS add >"$T/stdin.json"
jq -S . "$T/kinds.json" >"$T/want"
same 'standard input: the path is told by the content' "$T/stdin.json" "$T/want"
cp "$T/s$(kind text)" "$T/renamed.drv"
ok 'a file of any name' dt-drv "$T/renamed.drv"
is 'a file of any name: the path is told by the content' "$(jq -r keys[] "$T/out")" "$(kind text)"
ok 'its place on this machine' dt-drv --store "$T/s" "$T/s$(kind text)"
is 'variables to the byte' "$(jq -j '.[].env.text' "$T/out" | od -c)" \
	"$(printf 'line\nline\ttab\r"quoted" '"'too'"' \\ back äöü€🐧 ${x}' | od -c)"
ok 'the same one twice' dt-drv "$T/renamed.drv" "$T/s$(kind text)"
is 'the same one twice: is there once' "$(jq length "$T/out")" 1

# --- what Nix never writes, and reads ---

# derive OUTPUTS INPUTS SOURCES [VARIABLES]: prints a derivation
a=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a b=/nix/store/zyxwvsrqpnmlkjihgfdcba9876543210-b
derive() {
	printf 'Derive([%s],[%s],[%s],"s","/b",[],[%s])' "$1" "$2" "$3" "${4-}"
}
out='("out","'$a'","","")'
# show DESCRIPTION TEXT: compares, once it is in the store by the path that dt-drv tells
show() {
	local path
	printf %s "$2" >"$T/text"
	ok "$1: is read" on "$T/text" dt-drv
	path=$(jq -r keys[] "$T/out")
	cp "$T/text" "$T/s$path"
	python3 -c 'import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("insert into ValidPaths (path, hash, registrationTime) values (?, ?, 1)", (sys.argv[2], "sha256:" + 64 * "0"))
db.commit()' "$T/s/nix/var/nix/db/db.sqlite" "$path"
	compare "$1" "$T/s" "$path"
}
show 'sets in no order, things twice' "$(derive '("z","'$a-z'","",""),("lib","'$a-lib'","",""),("z","'$b'","","")' \
	'("'$b.drv'",["y","x","y"]),("'$a.drv'",["out"]),("'$b.drv'",["z","a","z"])' "\"$b\",\"$a\",\"$b\"" \
	'("z","1"),("a","2"),("z","3"),("","empty")')"
show 'escapes' "$(derive "$out" '' '' '("x","\a\b\"\\\n\r\t'$'\t\n\x01''")')"
show 'nothing in it' "$(derive "$out" '' '')"

# --- bad ones ---

bad() { # REGEX DESCRIPTION TEXT
	printf '%b' "${3//\\/\\\\}" >"$T/bad.drv"
	fails 1 "^dt-drv: stdin:[0-9]+: $1\$" "$2" on "$T/bad.drv" dt-drv
	is "$2: nothing on stdout" "$(wc -c <"$T/out")" 0
}
derive "$out" "(\"$b.drv\",[\"out\"])" "\"$a\"" '("x","\n")' >"$T/whole"
ok 'a whole one' dt-drv "$T/whole"
whole=$(cat "$T/whole")
cut=0
for ((i = 1; i < ${#whole}; i++)); do
	printf %s "${whole:0:i}" >"$T/cut"
	dt-drv "$T/cut" >"$T/out" 2>"$T/err"
	[ "$?:$(wc -c <"$T/out")" = 1:0 ] && grep -Eq "^dt-drv: $T/cut:[0-9]+: (truncated|truncated in a string|'.*' is expected)\$" "$T/err" && cut=$((cut + 1))
done
is 'truncated anywhere' "$cut" "$((${#whole} - 1))"
bad "'Derive\(' is expected" 'no derivation' 'hello'
bad "a dynamic derivation, which is not supported" 'a dynamic one' 'DrvWithVersion("xp-dyn-drv",[],[],[],"","",[],[])'
bad 'extra data after the derivation' 'more behind it' "$whole "
bad 'no outputs' 'no outputs' "$(derive '' '' '')"
bad "',' is expected" 'no comma' "$(derive "$out$out" '' '')"
bad "'\"' is expected" 'a comma too many' "$(derive "$out" '' "\"$a\",")"
bad "'\(' is expected" 'no pair' "$(derive "$out" '' '' '"x"')"
bad "'\)' is expected" 'a pair of three' "$(derive "$out" '' '' '("x","y","z")')"
bad "'\[' is expected" 'an input without outputs' "$(derive "$out" "(\"$a.drv\",\"out\")" '')"
for path in '' a /a /nix/store/short-a "$a/x" "$a " "/gnu${b#/nix}" '/nix/store/../store/x'; do
	bad '.*not a .*path.*' "a source that is in no store, '$path'" "$(derive "$out" '' "\"$path\"")"
	bad '.*not a .*path.*' "an input that is in no store, '$path'" "$(derive "$out" "(\"$path\",[])" '')"
	[ -z "$path" ] ||
		bad '.*not a .*path.*' "an output in no store, '$path'" "$(derive "$out,(\"dev\",\"$path\",\"\",\"\")" '' '')"
done
hex=$(printf '%064d' 7)
bad 'an unknown hash algorithm' 'an unknown hash algorithm' "$(derive '("out","","sha257","")' '' '')"
bad 'an unknown hash algorithm' 'a method twice' "$(derive '("out","","r:r:sha256","")' '' '')"
bad 'a hash without an algorithm' 'a hash of no algorithm' "$(derive '("out","'$a'","","'"$hex"'")' '' '')"
for hash in "${hex}0" "${hex:1}" "${hex:1}x" "${hex:1}A"; do
	bad 'a hash that does not fit its algorithm' "a bad hash, $hash" "$(derive '("out","'$a'","sha256","'"$hash"'")' '' '')"
done
bad 'a path that cannot be known before the build' 'a floating output with a path' "$(derive '("out","'$a'","r:sha256","")' '' '')"
bad 'a path that cannot be known before the build' 'an impure output with a path' "$(derive '("out","'$a'","r:sha256","impure")' '' '')"
bad 'a hash without a path' 'a fixed output without a path' "$(derive '("out","","sha256","'"$hex"'")' '' '')"
bad 'the preceding string is not UTF-8' 'a variable that is no UTF-8' "$(derive "$out" '' '' $'("x","a\xff")')"
bad 'the preceding string is not UTF-8' 'its name neither' "$(derive "$out" '' '' $'("\xc0\x80","")')"
{ derive "$out" '' '' '("x","a' | head -c -2; printf '\0")])'; } >"$T/nul"
fails 1 '^dt-drv: stdin:[0-9]+: a NUL byte$' 'a NUL byte' on "$T/nul" dt-drv
{ derive "$out" '' '' '("x","a\' | head -c -2; printf '\0")])'; } >"$T/nul"
fails 1 '^dt-drv: stdin:[0-9]+: a NUL byte$' 'a NUL byte that is escaped' on "$T/nul" dt-drv
for name in '' ',("name","")' ',("name","a/b")' ',("name","..\n/x")' ',("__json","{")' ',("__json","[]")'; do
	derive '("out","","r:sha256","")' '' '' '("x","")'"$name" >"$T/nameless"
	fails 1 "^dt-drv: stdin: (the name of the derivation is missing|'.*' is not a valid name of a store path)\$" \
		"a name that is none, '$name'" on "$T/nameless" dt-drv
done
cp "$T/whole" "$T/$(basename "$b").drv"
fails 1 '/zyx.*: with this content it would be /nix/store/.*-a[.]drv$' 'a file called like another one' dt-drv "$T/$(basename "$b").drv"
fails 1 ': No such file or directory$' 'a file that is not there' dt-drv "$T/whole" "$T/nothing"
is 'a file that is not there: nothing on stdout' "$(wc -c <"$T/out")" 0
fails 1 ': Is a directory$' 'a directory' dt-drv "$T"
fails 1 '^dt-drv: --store /nothing: No such file or directory$' 'no such store' dt-drv --store /nothing "$T/whole"
fails 1 '/whole:[0-9]+: .*not a path in the store '"$T"'$' 'a derivation of another store' dt-drv --store "$T" "$T/whole"
truncate -s 17M "$T/large"
fails 1 '/large: more than 16777216 bytes$' 'a file that is too large' dt-drv "$T/large"

finish
