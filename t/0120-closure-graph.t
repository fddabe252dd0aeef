#!/usr/bin/env bash
# dt-closure --graph: each shape in which a store graph is written down, and bad ones.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # functions that only the checks call
. "$(dirname "$0")/lib.sh"
need jq

# A graph of paths that exist nowhere. app refers to itself, too.
base=/nix/store/0bfkkw9pslsa6q9ndx9k1hrcryi86v21-base
lib=/nix/store/1n2hv8s1wd4fhrajxn4jhl2wwi6rp3f3-lib-1.0
app=/nix/store/z3dyx7yd5wvqhbm6vgvrs6wb2c19fb0l-app
more=/nix/store/2a5wyyjv7a1xq8ak7qyrvnj1cpb1wlza-more
drv=/nix/store/5v9qfcxysvsl0dr8n9x9v2ni1q9dr2v0-app.drv
sum=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
all="$base 96
$lib 104 $base
$more 128
$app 9007199254740993 $base $lib"
of_app=$(grep -v more <<<"$all")

lines() { printf '%s\n' "$@"; }
graph() { dt-closure --graph "$T/graph" "$@"; }

# gives DESCRIPTION [WANT]: this is what all of the graph, and the closure of app is.
gives() {
	ok "$1: status" graph
	is "$1: all" "$(cat "$T/out")" "${2-$all}"
	ok "$1: status, a root" graph "$app"
	is "$1: a root" "$(cat "$T/out")" "$(grep -v more <<<"${2-$all}")"
}

# refuses REGEX DESCRIPTION: the graph is none, and nothing is printed.
refuses() {
	fails 1 "^dt-closure: $T/graph:?$1\$" "$2" graph
	is "$2: nothing is printed" "$(cat "$T/out")" ''
}

# Registrations.
lines "$app" $sum 9007199254740993 $drv 3 $lib $app $base \
	$base sha256:$sum 96 '' 0 \
	$more sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= 128 $drv 0 \
	$lib sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73 104 '' 1 $base >"$T/graph"
gives 'registrations with hashes'
cp "$T/graph" "$T/registration"

# JSON, old to new.
jq -n --arg base $base --arg lib $lib --arg app $app --arg more $more '[
	{path: $app, narSize: 9007199254740993, references: [$lib, $app, $base],
		closureSize: 1, narHash: "sha256:x", deriver: null, valid: true},
	{path: $base, narSize: 96, references: []},
	{path: $lib, narSize: 104, references: [$base]},
	{path: $more, narSize: 128, references: []}
]' | sed 's/9007199254740992/9007199254740993/' >"$T/graph"
gives 'a JSON array of paths'
cp "$T/graph" "$T/array"
jq --arg drv $drv '. + [{path: $drv, valid: false}]' "$T/array" |
	sed 's/9007199254740992/9007199254740993/' >"$T/graph"
gives 'with one that is not valid'
jq --arg drv $drv 'map({key: .path, value: del(.path)}) + [{key: $drv, value: null}] | from_entries' \
	"$T/array" | sed 's/9007199254740992/9007199254740993/' >"$T/graph"
gives 'a JSON object by path'
jq '{version: 2, storeDir: "/nix/store", info: (map({key: (.path | .[11:]),
		value: (del(.path) | .references |= map(.[11:]))}) + [{key: "x", value: null}] | from_entries)}' \
	"$T/array" | sed 's/9007199254740992/9007199254740993/' >"$T/graph"
gives 'a JSON object by base name'
jq --arg app $app '{builder: "/bin/sh", outputs: {out: "/x"}, exportReferencesGraph: {one: [$app], two: [$app]},
	list: [], words: ["a"], one: .[:3], two: .[1:], env: {path: "/x"}}' \
	"$T/array" | sed 's/9007199254740992/9007199254740993/' >"$T/graph"
gives "a derivation's attributes"
tr -d '\n' <"$T/graph" >"$T/graph-2" && mv "$T/graph-2" "$T/graph"
gives "a derivation's attributes, one line"

# dt's own, in any order.
shuf <<<"$all" >"$T/graph"
gives 'a graph of dt-closure'

# Sizes that are not told are those on disk.
S=$T/store
a=$S/00000000000000000000000000000001-a
b=$S/00000000000000000000000000000002-b
mkdir -p "$a"
echo b >"$b"
lines "$a" '' 1 "$b" "$b" '' 0 >"$T/graph"
ok 'registrations without sizes' graph
is 'registrations without sizes: from disk' "$(cat "$T/out")" "$b 120
$a 96 $b"
jq -n --arg a "$a" --arg b "$b" \
	'[{path: $a, references: [$b], narSize: null}, {path: $b, references: [], narSize: 0}]' >"$T/graph"
ok 'JSON without sizes' graph
is 'JSON without sizes: from disk' "$(cat "$T/out")" "$b 120
$a 96 $b"
mv "$b" "$T/b"
fails 1 "^dt-closure: $b: No such file or directory\$" 'a path without size is not there' graph
echo "$b" >"$T/listing"
ok '... which does not matter if it is left out' graph --exclude "$T/listing"
is '... at all' "$(cat "$T/out")" "$a 96"
mkdir -p "$T/system/nix/store" "$T/system$base"
lines $base '' 0 >"$T/graph"
ok 'with --store, sizes are those there' graph --store "$T/system"
is 'with --store' "$(cat "$T/out")" "$base 96"
lines "$base 0" >"$T/graph"
ok 'a size of 0 in a graph of dt-closure' graph
is 'is as good as any' "$(cat "$T/out")" "$base 0"

# Roots.
cp "$T/registration" "$T/graph"
is 'roots on stdin' "$(lines $lib $app | graph)" "$of_app"
is 'an empty stdin is none' "$(graph </dev/null)" "$all"
is '--graph -' "$(dt-closure --graph - <"$T/graph")" "$all"
is '--graph - and a root' "$(dt-closure --graph - "$app/bin/app" <"$T/graph")" "$of_app"
is '--text' "$(echo "run ${app#/}.sh" | graph --text)" "$of_app"
is '--text, no mention' "$(echo "run" | graph --text)" ''
is 'mentions of another store' "$(echo "/gnu/store/${app##*/}" | graph --text)" ''
echo "$base/x" >"$T/listing"
is '--exclude' "$(graph --exclude "$T/listing" $app)" "$lib 104
$app 9007199254740993 $lib"
fails 1 "^dt-closure: $drv: not in the graph $T/graph\$" 'a root that is not in it' graph $drv
fails 1 '^dt-closure: stdin: .* is mentioned but not there$' 'a mention that is not in it' \
	bash -c "echo $drv | dt-closure --graph '$T/graph' --text"
fails 1 '^dt-closure: /gnu/store/.*: not in the store /nix/store$' 'a root in another store' \
	graph "/gnu/store/${app##*/}"

# A path that is referred to and not described matters only if it is needed.
lines $app $sum 96 '' 1 $lib $base $sum 96 '' 0 >"$T/graph"
fails 1 "^dt-closure: $lib: not in the graph $T/graph\$" 'a path that is not described' graph $app
is 'a path that is not described and not needed' "$(graph $base)" "$base 96"
lines $app $sum 96 '' 1 $lib $lib $sum 96 '' 1 $app $base $sum 96 '' 0 >"$T/graph"
fails 1 '^dt-closure: the references form a cycle: ' 'a circle' graph
is 'a circle that is not needed' "$(graph $base)" "$base 96"

# Twice the same is once; a difference is not.
cat "$T/registration" "$T/registration" >"$T/graph"
gives 'all of it twice'
lines $base $sum 96 '' 0 $base $sum 104 '' 0 >"$T/graph"
refuses ":10: $base has two different entries" 'two sizes of one path'
lines $base $sum 96 '' 0 $base $sum 96 '' 1 $lib >"$T/graph"
refuses ":11: $base has two different entries" 'two sets of references'

# What is no graph.
fails 1 "^dt-closure: $T/none: No such file or directory\$" 'no such file' \
	dt-closure --graph "$T/none"
: >"$T/graph"
refuses ' empty, a graph is expected' 'an empty file'
echo hello >"$T/graph"
refuses ":1: 'hello' is not a store path" 'a word'
echo hello world >"$T/graph"
refuses ":1: 'world' is not a size in bytes" 'two words'
lines "$app" $sum 96 '' 2 $lib >"$T/graph"
refuses ':7: truncated' 'fewer references than were told'
lines "$app" $sum 96 '' 18446744073709551616 $lib >"$T/graph"
refuses ":5: '18446744073709551616' is not the number of references" 'too many references'
lines "$app" $sum 96 '' 1 "/nix/store/x" >"$T/graph"
refuses ":6: '/nix/store/x' is not a store path in /nix/store" 'a reference that is none'
lines "$app" $sum 96 '' 1 "/gnu/store/${lib##*/}" >"$T/graph"
refuses ":6: '/gnu/store/.*' is not a store path in /nix/store" 'a reference to elsewhere'
lines "$app" $sum -1 '' 0 >"$T/graph"
refuses ":3: '-1' is not the NAR size" 'a negative size'
lines "$app" $sum 96 nobody 0 >"$T/graph"
refuses ":4: 'nobody' is not a deriver" 'a deriver that is none'
lines "$app" $sum 96 /etc/passwd 0 >"$T/graph"
refuses ":4: '/etc/passwd' is not a deriver" 'a deriver that is no store path'
for deriver in 1 '"x"'; do
	echo "{\"$app\": {\"references\": [], \"deriver\": $deriver}}" >"$T/graph"
	refuses ": $app: .* not a (deriver|string)" "JSON: a deriver $deriver"
done
printf '%s\n%s\n96\n\n0' "$app" $sum >"$T/graph"
refuses ':5: truncated' 'a last line without newline'
head -n 9 "$T/registration" >"$T/graph"
refuses ':10: truncated' 'a cut file'
lines "/nix/a b/${app##*/}" '' 0 >"$T/graph"
refuses ":1: .*" 'a store with a blank in its name'
echo "/nix/store/${app##*/}/bin 1" >"$T/graph"
refuses ": '.*/bin' is not a store path in /nix/store" 'a path inside of a store path'
echo '{' >"$T/graph"
refuses ':2:0: not JSON: .*' 'JSON that is cut'
for doc in '{}' '[]' '{"a": [1], "b": {}}'; do
	echo "$doc" >"$T/graph"
	refuses ': no store graph in it' "JSON: $doc"
done
for doc in '[1]' '[null]' '[{"references": []}]' '[{"path": 1, "references": []}]'; do
	echo "$doc" >"$T/graph"
	refuses ': element 0 of a graph has no "path"' "JSON: $doc"
done
for info in '{}' '{"references": null}' '{"references": {}}'; do
	echo "{\"$app\": $info}" >"$T/graph"
	refuses ": $app: no array \"references\"" "JSON: $info"
done
for info in '"narSize": -1' '"narSize": 1.5' '"narSize": "1"'; do
	echo "{\"$app\": {\"references\": [], $info}}" >"$T/graph"
	refuses ": $app: its narSize is not a size" "JSON: $info"
done
for ref in '1' 'null' '""' '"x"' '"/etc"' "\"$app\\u0000\"" "\"$app/x\"" "\"$app\\n\""; do
	echo "{\"$app\": {\"references\": [$ref]}}" >"$T/graph"
	refuses ":.*(not a store path|not a string|u0000 is not allowed).*" "JSON: a reference $ref"
done
echo "{\"$app\": {\"references\": []}, \"$app\": {\"references\": []}}" >"$T/graph"
refuses ':1:[0-9]*: not JSON: duplicate .*' 'JSON: a key twice'
echo "{\"$app\": 1}" >"$T/graph"
refuses ": the value of '$app' is not an object" 'JSON: a number for a path'
printf '[%.0s' {1..100000} >"$T/graph"
refuses ':1:[0-9]*: not JSON: .*' 'JSON: very deep'

finish
