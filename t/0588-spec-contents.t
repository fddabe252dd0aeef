#!/usr/bin/env bash
# Specifications: contents as nixpkgs' users write them, strings that no program can be given, and
# errors that name the key.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # the variables are jq's
. "$(dirname "$0")/lib.sh"
need jq tar busybox python3 zstd

app=/nix/store/00000000000000000000000000000001-app-1.0
mkdir -p "$T/store$app/bin" "$T/store$app/share" "$T/plain/bin" "$T/plain/opt"
touch "$T/store$app/bin/app" "$T/store$app/share/text" "$T/plain/bin/own" "$T/plain/opt/other"

# makes TOOL DESCRIPTION JQ-OBJECT WANT: the names of the image's files but for those in the store
makes() {
	jq -n --arg app "$app" --arg T "$T" '{name: "x"} + '"$3" >"$T/spec.json"
	ok "$1: $2" "$1" --store "$T/store" "$T/spec.json"
	cp "$T/out" "$T/image"
	is "$1: $2: the files" "$(dt-flatten "$T/image" | tar -t | grep -v -e '^nix' -e '/$' | paste -sd ' ')" "$4"
}
# refuses TOOL STATUS REGEX DESCRIPTION TEXT
refuses() {
	printf '%s' "$5" >"$T/spec.json"
	fails "$2" "^$3\$" "$1: $4" "$1" --store "$T/store" "$T/spec.json"
	is "$1: $4: no image" "$(wc -c <"$T/out")" 0
}

for tool in dt-build-image:copyToRoot dt-stream-layered-image:contents; do
	key=${tool#*:} tool=${tool%:*}
	makes "$tool" 'lists in lists, and null' "{$key: [[\$app], null, [[\$T + \"/plain\"]]]}" 'bin/app bin/own opt/other share/text'
	makes "$tool" 'a helper and a directory in an environment' \
		"{$key: {paths: [\"fakeNss\", [\$app], null, \$T + \"/plain\"], pathsToLink: [\"/bin\", \"etc/\", \"/none\"]}}" \
		'bin/app bin/own etc/group etc/nsswitch.conf etc/passwd'
	makes "$tool" 'the helper as an object' \
		"{$key: {paths: [{helper: \"fakeNss\", extraPasswdLines: [\"a:x:1:1::/:/a\"]}], pathsToLink: \"/etc\"}}" \
		'etc/group etc/nsswitch.conf etc/passwd'
	makes "$tool" 'pathsToLink is a string' "{$key: {paths: \$app, pathsToLink: \"/bin\"}}" bin/app
	makes "$tool" 'pathsToLink is null' "{$key: {paths: [\$app], pathsToLink: null}}" 'bin/app share/text'
	refuses "$tool" 1 "$tool: $key: unknown key pathToLink of an object with paths" 'an unknown key of an environment' \
		"{\"name\": \"x\", \"$key\": {\"paths\": [], \"pathToLink\": []}}"
	refuses "$tool" 1 "$tool: .*: $key must be a path, a helper, an object with paths or a list of these" 'a wrong type' \
		"{\"name\": \"x\", \"$key\": [1]}"
	refuses "$tool" 1 "$tool: .*: $key has a NUL" 'a NUL in a list' \
		"{\"name\": \"x\", \"$key\": [{\"helper\": \"fakeNss\", \"extraPasswdLines\": [\"a:x:1:1::/:/a\\u0000a:x:1:\"]}]}"
	refuses "$tool" 1 "$tool: .*: a key has a NUL" 'a NUL in a key' "{\"name\": \"x\", \"a\\u0000b\": 1}"
	refuses "$tool" 1 "$tool: .*: not JSON: .* at line 2, column [0-9]+" 'no JSON' $'{"name": "x",\n "tag" "y"}'
	refuses "$tool" 1 "$tool: .*: 2 JSON values, one object is expected" 'two objects' '{"name": "x"} {}'
	refuses "$tool" 1 'dt-manifest: config: Cmd: .*' 'a wrong configuration' '{"name": "x", "config": {"Cmd": [1]}}'
done

# Another spelling of a store path, or a symlink to it, is this store path.
ln -s "$T/store$app" "$T/result"
ln -s result "$T/again"
ln -s "$app" "$T/elsewhere"
for tool in dt-build-image:copyToRoot dt-stream-layered-image:contents; do
	key=${tool#*:} tool=${tool%:*}
	for entry in '$app' "{paths: [\$app], pathsToLink: [\"/bin\"]}" "{paths: [\$app], pathsToLink: [\"/\"]}"; do
		jq -n --arg app "$app" '{name: "x", '"$key: [$entry]}" >"$T/spec.json"
		"$tool" --store "$T/store" "$T/spec.json" >"$T/want"
		for path in "$T/result" "$T/again" "$T/elsewhere" "$T//result" "/nix//store/${app##*/}" "/nix/./store/../store/${app##*/}"; do
			jq -n --arg app "$path" '{name: "x", '"$key: [$entry]}" >"$T/spec.json"
			ok "$tool: $entry: ${path#"$T"}" "$tool" --store "$T/store" "$T/spec.json"
			same "$tool: $entry: ${path#"$T"}: the image of the store path" "$T/out" "$T/want"
		done
	done
done

mkdir "$T/line"$'\n'
touch "$T/line"$'\n/file'
makes dt-stream-layered-image 'a path that ends in a newline' '{contents: ($T + "/line\n")}' file
mkdir "$T/a b  'c'"
TMPDIR="$T/a b  'c'" makes dt-build-image 'blanks in TMPDIR' '{copyToRoot: {paths: ["fakeNss"], pathsToLink: "/etc"}, extraCommands: "touch own"}' \
	'etc/group etc/nsswitch.conf etc/passwd own'
refuses dt-stream-layered-image 1 '.*: maxLayers must be an integer of .*' 'maxLayers beyond all bounds' '{"name": "x", "maxLayers": 1e300}'
makes dt-stream-layered-image 'maxLayers 128' '{contents: $app, maxLayers: 128}' 'bin/app share/text'
is 'maxLayers 128: a warning' "$(grep -c 'maxLayers is 128' "$T/err")" 1
makes dt-stream-layered-image 'one layer and no store paths' '{contents: "fakeNss", maxLayers: 1}' 'etc/group etc/nsswitch.conf etc/passwd'
refuses dt-stream-layered-image 1 "dt-popularity: layeringPipeline: .*no such.*" 'a wrong pipeline' \
	"{\"name\": \"x\", \"contents\": \"$app\", \"layeringPipeline\": [[\"no such\"]]}"

ok 'random and hostile specifications: no command runs, and there is an image or one line' "$t_dir/fuzz/specs" 6

finish
