#!/usr/bin/env bash
# dt-manifest: the documents of an image, with its configuration, history, names and tags.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `fails` runs functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 jq nix-hash skopeo


# layers NAME...: a layer archive, $T/layers/NAME each, of a file each.
layers() {
	local name
	for name; do
		mkdir -p "$T/tree/$name" "$T/layers"
		echo "$name" >"$T/tree/$name/$name"
		dt-root --tree "$T/tree/$name" --comment "layer $name" >"$T/layers/$name"
	done
}
layers a b c
a=$T/layers/a b=$T/layers/b c=$T/layers/c

# image OPTION...: an image x:t of layer a, in $T/image; $shown has its documents.
image() {
	image_of "$a" --name x --tag t "$@"
}
image_of() { # LAYERS OPTION...
	local from=$1 status=0
	shift
	rm -f "$T/image" "$T/shown"
	on "$from" dt-manifest "$@" >"$T/image" 2>"$T/err" || status=$?
	[ "$status" -eq 0 ] || echo "status $status: $(cat "$T/err")"
	archive show "$T/image" >"$T/shown" 2>"$T/not-whole" || true
}
shown() { jq -c "$1" "$T/shown"; }
whole() { is "$1: whole and by the specifications" "$(cat "$T/not-whole")" ''; }

# --- what there is in an image ---

cat "$a" "$b" "$a" >"$T/aba"
image_of "$T/aba" --name x --tag t
whole 'an image'
is 'an image is silent' "$(cat "$T/err")" ''
cp "$T/image" "$T/of-stdin"
ok 'operands' dt-manifest --name x --tag t "$a" "$b" "$a"
same 'operands: the image of the archives in this order' "$T/out" "$T/of-stdin"
ok 'standard input among operands' on "$b" dt-manifest --name x --tag t "$a" - "$a"
same 'standard input among operands: the same image' "$T/out" "$T/of-stdin"
fails 1 "^dt-manifest: $T/none: No such file or directory$" 'an operand that does not exist' dt-manifest --name x "$a" "$T/none"
head -c 3000 "$a" >"$T/part"
fails 1 "^dt-manifest: $T/part: " 'a truncated operand' on "$b" dt-manifest --name x "$T/part" -
is 'a truncated operand: no image' "$(ended "$T/out")" no
fails 1 '^dt-manifest: stdin: empty' 'an empty standard input before an operand' on /dev/null dt-manifest --name x - "$a"
is 'an empty standard input: no image' "$(ended "$T/out")" no
id() { archive members "$1" | jq -r .sha256; }
is 'layers in order, one of them twice' "$(shown '.config.rootfs.diff_ids')" \
	"[\"sha256:$(id "$a")\",\"sha256:$(id "$b")\",\"sha256:$(id "$a")\"]"
is 'stored once' "$(archive members "$T/image" | jq -r .name | grep -c "$(id "$a")")" 1
is 'the members, in order' \
	"$(archive members "$T/image" | jq -r .name | sed 's,^blobs/sha256/.*,blob,' | paste -sd ' ')" \
	'blob blob blob blob index.json oci-layout manifest.json'
is 'none of which has an owner or a time' \
	"$(archive members "$T/image" | jq -c '[.kind, .mode, .owner, .mtime]' | sort -u)" '["-",420,[0,0,"",""],0]'
is 'the history' "$(shown '.config.history')" \
	"$(jq -nc '["layer a", "layer b", "layer a"] | map({created: "1970-01-01T00:00:01Z", comment: .})')"
is 'no base, no config: an empty one' "$(shown .config.config)" '{}'
is 'the platform is that of this machine' "$(shown '[.config.architecture, .config.os]')" \
	"[\"$(dpkg --print-architecture)\",\"linux\"]"
is 'the name' "$(shown '.docker[0].RepoTags')" '["x:t"]'
same 'an image is a layer archive' <(on "$T/image" dt-manifest --name x --tag t) "$T/image"

dt-root --tree "$T/tree/a" --comment '' >"$T/uncommented"
image_of "$T/uncommented" --name x
is 'a layer without a comment' "$(shown '.config.history')" '[{"created":"1970-01-01T00:00:01Z"}]'

for format in docker-archive oci-archive; do
	image
	ok "skopeo inspects it as $format:" skopeo inspect "$format:$T/image"
	is "$format: the layers" "$(jq -c .Layers "$T/out")" "[\"sha256:$(id "$a")\"]"
	ok "skopeo shows its config as $format:" skopeo inspect --config --raw "$format:$T/image"
	is "$format: the config" "$(jq -cS . "$T/out")" "$(jq -cS .config "$T/shown")"
done

# --- the tag ---

config_blob() { tar -xOf "$T/image" "blobs/sha256/$(shown .id | tr -d '"' | cut -d : -f 2)" 2>/dev/null; }
for options in '' '--created @77' '--os plan9'; do
	# shellcheck disable=SC2086 # a list
	image_of "$T/aba" --name n/m $options
	config_blob >"$T/config"
	is "the default tag is what Nix makes of the configuration's digest, $options" \
		"$(shown '.docker[0].RepoTags')" "[\"n/m:$(nix-hash --flat --type sha256 --base32 --truncate "$T/config")\"]"
	whole "the default tag, $options"
done
image_of "$T/aba" --name other --os plan9
same 'the name does not count' <(config_blob) "$T/config"
for tag in a 0 _ latest V1.2_x-y "$(printf %0128d 0)"; do
	image --tag "$tag"
	whole "--tag $tag"
	is "--tag $tag" "$(shown '.docker[0].RepoTags')" "[\"x:$tag\"]"
done
for tag in '' . .a -a a:b a/b 'a b' ä a@b "$(printf %0129d 0)" $'a\n'; do
	fails 2 "^dt-manifest: --tag: .*: try 'dt-manifest --help'\$" "--tag ${tag@Q}" \
		on "$a" dt-manifest --name x --tag "$tag"
done

# --- the name ---

while read -r name full; do
	image_of "$a" --name "$name" --tag t
	whole "--name $name"
	is "--name $name" "$(shown '[.docker[0].RepoTags[0], .index.manifests[0].annotations["io.containerd.image.name"]]')" \
		"[\"${name,,}:t\",\"$full:t\"]"
done <<'END'
hello docker.io/library/hello
HeLLo docker.io/library/hello
library/x docker.io/library/x
USER/IMAGE docker.io/user/image
a/b/c/d docker.io/a/b/c/d
a.b-c_d__e--f docker.io/library/a.b-c_d__e--f
localhost/x localhost/x
localhost:5000/x localhost:5000/x
Registry.Example.org/a/B registry.example.org/a/b
127.0.0.1:5000/x 127.0.0.1:5000/x
docker.io/library/x docker.io/library/x
r-1.example/x r-1.example/x
END
image_of "$a" --name "$(printf %0255d 0)" --tag t
whole '--name of 255 bytes'
for name in '' / a/ /a a//b .a a. a..b a-_b _a a___b -a a- 'a b' a:b a@b ä a/É 'a\b' "$(printf %0256d 0)" \
	.a/b/c:5 a..b/c localhost:x/a a:/b a:5000/ -a.b/c a.b-/c .:5/x ..:5/x a/../b ../a "$(printf %064d 0)"; do
	fails 2 "^dt-manifest: --name: .*: try 'dt-manifest --help'\$" "--name '$name'" on "$a" dt-manifest --name "$name"
done
fails 2 "^dt-manifest: --name is missing" 'no --name' on "$a" dt-manifest --tag t

# --- time and platform ---

created() { shown '[.config.created] + [.config.history[].created] | unique'; }
while read -r time want; do
	image --created "$time"
	is "--created $time" "$(created)" "[\"$want\"]"
done <<'END'
@0 1970-01-01T00:00:00Z
20240101 2024-01-01T00:00:00Z
20240229123456 2024-02-29T12:34:56Z
@86400 1970-01-02T00:00:00Z
2024-02-29T12:34:56Z 2024-02-29T12:34:56Z
2024-02-29T12:34:56.789+05:30 2024-02-29T07:04:56Z
1999-12-31 1999-12-31T00:00:00Z
9999-12-31T23:59:59Z 9999-12-31T23:59:59Z
END
SOURCE_DATE_EPOCH=3600 image
is 'SOURCE_DATE_EPOCH' "$(created)" '["1970-01-01T01:00:00Z"]'
before=$(date -u +%FT%TZ)
image --created now
now=$(shown .config.created | tr -d '"')
is '--created now' "$([[ ! $now < $before && ! $now > $(date -u +%FT%TZ) ]] && echo yes)" yes
whole '--created now'
for time in '' once 2024-02-30 2023-02-29T00:00:00Z 1969-12-31T23:59:59Z 2024-01-01T00:00:00 1 1700000000 20240230 99999999999999999999; do
	fails 2 "^dt-manifest: --created .*'$time'" "--created '$time'" on "$a" dt-manifest --name x --created "$time"
done

while read -r arch want variant; do
	image --arch "$arch"
	whole "--arch $arch"
	is "--arch $arch" "$(shown '[.config.architecture, .config.variant, .index.manifests[0].platform.variant]')" \
		"[\"$want\",${variant:-null},${variant:-null}]"
done <<'END'
amd64 amd64
x86_64 amd64
x86_64-linux amd64
arm64 arm64
aarch64 arm64
aarch64-linux arm64
arm64/v8 arm64 "v8"
linux/arm64 arm64
linux/arm64/v8 arm64 "v8"
linux/arm/v7 arm "v7"
linux/amd64 amd64
amd64/v3 amd64 "v3"
armv7a-linux arm "v7"
armv5tel-linux arm "v5"
arm/v7 arm "v7"
arm/v5 arm "v5"
arm arm
armv7l arm "v7"
armv7l-linux arm "v7"
armv6l-linux arm "v6"
386 386
i686 386
i686-linux 386
ppc64el ppc64le
riscv64 riscv64
riscv64-linux riscv64
s390x s390x
ppc64le ppc64le
powerpc64le-linux ppc64le
loongarch64-linux loong64
mips64el-linux mips64le
END
for arch in '' / /v7 ' ' 'a b' AMD64 amd64-darwin xyz armv7 linux linux/ linux/linux/amd64 linux/xyz windows/amd64 \
	x86_64-darwin x86_64-linux-linux -linux arm/v9 arm/v7/v8 armv7l/v7 arm64/v7 386/v1 ../x 'arm/v 7' arm/v7/x 'arm64/' 'arm/"' "$(printf %0100d 0)"; do
	fails 2 "^dt-manifest: --arch: '$arch' is not an architecture; known, .* amd64 x86_64 .* arm/v7 .*" "--arch '$arch'" on "$a" dt-manifest --name x --arch "$arch"
done
image --os windows
whole '--os windows'
is '--os' "$(shown .config.os)" '"windows"'
for os in '' ' ' 'a b' Linux a/b; do
	fails 2 "^dt-manifest: --os: '$os' is not an operating system" "--os '$os'" on "$a" dt-manifest --name x --os "$os"
done

# --- what a configuration may be ---

configured() { printf '%s' "$1" >"$T/config.json"; shift; image --config "$T/config.json" "$@"; }
while IFS=$'\t' read -r config want; do
	configured "$config"
	whole "config $config"
	is "config $config" "$(shown .config.config)" "${want:-$config}"
done <<'END'
{}
{"Cmd":["/bin/sh","-c","echo \"a b\" ü\n"]}
{"Cmd":"/bin/sh -c x"}	{"Cmd":["/bin/sh -c x"]}
{"Entrypoint":"/bin/x","Cmd":"y"}	{"Entrypoint":["/bin/x"],"Cmd":["y"]}
{"Cmd":null}
{"Env":["A=1","B=","C==","A=2"]}	{"Env":["A=2","B=","C=="]}
{"Cmd":[],"Env":[],"Labels":{},"Volumes":{"/data":{}},"ExposedPorts":{"80/tcp":{}}}
{"User":"1000:1000","WorkingDir":"/w","StopSignal":"SIGINT","Shell":["sh"],"Healthcheck":{"Test":["CMD","x"],"Interval":30000000000}}
{"Unknown":{"z":[1,2.5,true,null],"a":"b"},"ArgsEscaped":true}
END
printf '{"Cmd":["x"]}\n\n' >"$T/config.json"
image --config "$T/config.json"
is 'white space around a config' "$(shown .config.config)" '{"Cmd":["x"]}'

bad_config() { # DESCRIPTION REGEX TEXT
	printf '%s' "$3" >"$T/bad.json"
	fails 1 "^dt-manifest: $2\$" "$1" on "$a" dt-manifest --name x --config "$T/bad.json"
	is "$1: nothing" "$(wc -c <"$T/out")" 0
}
bad_config 'an empty config' "$T/bad.json:.*not JSON.*" ''
bad_config 'a config that is cut' "$T/bad.json:.*not JSON.*" '{"Cmd": ["a"'
bad_config 'a config with something behind it' "$T/bad.json:.*not JSON.*" '{} {}'
bad_config 'a config that is no object' 'config: not a JSON object' '["a"]'
bad_config 'a config that is a string' 'config: not a JSON object' '"a"'
bad_config 'a config that is null' 'config: not a JSON object' null
bad_config 'a key twice' "$T/bad.json:.*not JSON.*" '{"User": "a", "User": "b"}'
bad_config 'not UTF-8' "$T/bad.json:.*not JSON.*" $'{"User": "\xff"}'
bad_config 'a control character' "$T/bad.json:.*not JSON.*" $'{"User": "\x1b[31m"}'
bad_config 'nested without end' "$T/bad.json:.*not JSON.*" "$(printf '[%.0s' {1..100000})"
while read -r key reason value; do
	bad_config "config: $key: $value" "config: $key: ${reason//_/ }" "{\"$key\": $value}"
done <<'END'
Cmd not_a_list_of_strings 1
Cmd not_a_list_of_strings [1]
Cmd not_a_list_of_strings {}
Cmd not_a_list_of_strings ["a", null]
Entrypoint not_a_list_of_strings true
Env not_a_list_of_strings {}
Env not_a_list_of_strings "A=1"
Env not_a_list_of_strings [null]
Env '=x'_is_not_NAME=VALUE ["A=1", "=x"]
Env 'B'_is_not_NAME=VALUE ["A=1", "B"]
Env ''_is_not_NAME=VALUE [""]
Labels not_an_object []
Labels the_value_of_'a'_is_not_a_string {"a": 1}
Labels the_value_of_'b'_is_not_a_string {"a": "1", "b": null}
Volumes not_an_object []
Volumes the_value_of_'/a'_is_not_.. {"/a": "/b"}
Volumes .*root {"/": {}}
Volumes .*root {"": {}}
ExposedPorts not_an_object ["80"]
ExposedPorts the_value_of_'80/tcp'_is_not_.. {"80/tcp": 80}
ExposedPorts '99999'_is_not_a_port_.* {"99999": {}}
ExposedPorts '99999/tcp'_is_not_a_port_.* {"80/tcp": {}, "99999/tcp": {}}
ExposedPorts '0'_is_not_a_port_.* {"0": {}}
ExposedPorts ''_is_not_a_port_.* {"": {}}
ExposedPorts '/tcp'_is_not_a_port_.* {"/tcp": {}}
ExposedPorts '80/'_is_not_a_port_.* {"80/": {}}
ExposedPorts '80/http'_is_not_a_port_.* {"80/http": {}}
ExposedPorts '90-80/tcp'_is_not_a_port_.* {"90-80/tcp": {}}
ExposedPorts '80-/tcp'_is_not_a_port_.* {"80-/tcp": {}}
ExposedPorts 'http'_is_not_a_port_.* {"http": {}}
User not_a_string 0
WorkingDir not_a_string []
WorkingDir 'a'_is_not_an_absolute_path "a"
WorkingDir './a'_is_not_an_absolute_path "./a"
StopSignal not_a_string 2
StopSignal 'SIGNONE'_is_not_a_signal_.* "SIGNONE"
StopSignal '0'_is_not_a_signal_.* "0"
StopSignal '65'_is_not_a_signal_.* "65"
StopSignal 'SIGRTMIN-1'_is_not_a_signal_.* "SIGRTMIN-1"
StopSignal 'SIGRTMIN.16'_is_not_a_signal_.* "SIGRTMIN+16"
StopTimeout not_an_integer "5"
StopTimeout not_an_integer 1.5
Shell not_a_list_of_strings "sh"
OnBuild not_a_list_of_strings "x"
Healthcheck not_an_object "x"
Healthcheck Test:_not_a_list_of_strings {"Test": "true"}
Healthcheck Test:_begins_with_'curl',_not_with_CMD,_CMD-SHELL_or_NONE {"Test": ["curl", "localhost"]}
Healthcheck Interval:_not_an_integer_of_nanoseconds,_.* {"Test": ["NONE"], "Interval": "30s"}
Healthcheck Interval:_not_an_integer_of_nanoseconds,_.* {"Interval": 30}
Healthcheck Timeout:_not_an_integer_of_nanoseconds,_.* {"Timeout": -1}
Healthcheck StartPeriod:_not_an_integer_of_nanoseconds,_.* {"StartPeriod": 1.5e9}
Healthcheck StartInterval:_not_an_integer_of_nanoseconds,_.* {"StartInterval": true}
Healthcheck Retries:_not_an_integer_from_0_on {"Retries": -1}
Memory not_an_integer "1g"
MemorySwap not_an_integer "1g"
CpuShares not_an_integer 0.5
NetworkDisabled neither_true_nor_false 1
ArgsEscaped neither_true_nor_false "true"
Tty neither_true_nor_false 0
OpenStdin neither_true_nor_false []
StdinOnce neither_true_nor_false {}
AttachStdin neither_true_nor_false "yes"
AttachStdout neither_true_nor_false "yes"
AttachStderr neither_true_nor_false "yes"
Hostname not_a_string 1
Domainname not_a_string 1
MacAddress not_a_string 1
Image not_a_string 1
END
bad_config 'a key in lower case is the same key' "config: Labels: the value of 'a' is not a string" '{"labels": {"a": 1}}'
bad_config 'a key twice, in two spellings' "config: Cmd: given twice, also as 'cmd'" '{"Cmd": ["a"], "cmd": ["b"]}'
bad_config 'a key twice, in two other spellings' "config: Cmd: given twice, also as 'CMD'" '{"cmd": ["a"], "CMD": ["b"]}'
configured '{"cmd": "x", "WORKINGDIR": "/", "other": 1}'
is 'keys are spelled as documented' "$(shown .config.config)" '{"Cmd":["x"],"WorkingDir":"/","other":1}'

# All documented keys, with values of each kind.
cat >"$T/full.json" <<'END'
{"User": "1:2", "Env": ["A=1", "B=", "C=="], "Entrypoint": ["e"], "Cmd": [], "WorkingDir": "/", "StopSignal": "SIGRTMIN+3",
	"ExposedPorts": {"80": {}, "80/tcp": {}, "53/udp": {}, "1/sctp": null, "65535/TCP": {}, "8000-8010/tcp": {}},
	"Volumes": {"/data": {}, "data": null}, "Labels": {"a": "", "": "b"}, "StopTimeout": -1, "Shell": ["sh"], "OnBuild": ["RUN x"],
	"Healthcheck": {"Test": ["CMD", "x"], "Interval": 1000000, "Timeout": 0, "StartPeriod": 30000000000, "StartInterval": null,
		"Retries": 3}, "Memory": 1, "MemorySwap": -1, "CpuShares": 0, "ArgsEscaped": true, "NetworkDisabled": false, "Tty": false,
	"OpenStdin": false, "StdinOnce": false, "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Hostname": "",
	"Domainname": "", "MacAddress": "", "Image": "", "other": {"a": [1]}}
END
image --config "$T/full.json"
is 'all documented keys' "$(shown .config.config)" "$(jq -c . "$T/full.json")"
for signal in '' 1 64 15 TERM SIGTERM sigterm SIGHUP SIGSYS SIGIOT SIGCLD SIGPOLL SIGIO SIGSTKFLT RTMIN SIGRTMAX-14; do
	configured "{\"StopSignal\": \"$signal\"}"
	is "StopSignal '$signal'" "$(shown .config.config.StopSignal)" "\"$signal\""
done
for test in '[]' '["NONE"]' '["CMD-SHELL", "x"]' null; do
	configured "{\"Healthcheck\": {\"Test\": $test}}"
	is "a Healthcheck with Test $test" "$(shown .config.config.Healthcheck.Test)" "${test//, /,}"
done
head -c 5000000 /dev/zero | tr '\0' ' ' >"$T/big.json"
echo '{}' >>"$T/big.json"
fails 1 "^dt-manifest: $T/big.json: more than [0-9]+ bytes of JSON" 'a config of 5 MB' on "$a" dt-manifest --name x --config "$T/big.json"
fails 1 "^dt-manifest: $T/none: No such file" 'a config that is not there' on "$a" dt-manifest --name x --config "$T/none"
fails 1 "^dt-manifest: $T: Is a directory" 'a config that is a directory' on "$a" dt-manifest --name x --config "$T"

# Docker's media types if a key is not OCI's. `whole` knows which ones there must be; these say it once more.
types() { shown '[.index.manifests[0].mediaType, .manifest.mediaType, .manifest.config.mediaType] + (.manifest.layers | map(.mediaType))'; }
docker=application/vnd.docker oci=application/vnd.oci.image
docker_types="[\"$docker.distribution.manifest.v2+json\",\"$docker.distribution.manifest.v2+json\",$(
	)\"$docker.container.image.v1+json\",\"$docker.image.rootfs.diff.tar\"]"
oci_types="[\"$oci.manifest.v1+json\",\"$oci.manifest.v1+json\",\"$oci.config.v1+json\",\"$oci.layer.v1.tar\"]"
for config in '{"Healthcheck":{"Test":["CMD","x"]}}' '{"OnBuild":["RUN x"]}' '{"Shell":["sh"]}' '{"StopTimeout":0}'; do
	configured "$config"
	whole "Docker's keys: $config"
	is "Docker's keys, Docker's media types: $config" "$(types)" "$docker_types"
done
for config in '{}' '{"Healthcheck":{},"OnBuild":[],"Shell":[]}' '{"Healthcheck":null,"OnBuild":null,"Shell":null,"StopTimeout":null}' \
	'{"Hostname":"h","Domainname":"d","Image":"sha256:x","ArgsEscaped":true,"AttachStdin":false,"Tty":false,"OpenStdin":false,"StdinOnce":false}' \
	'{"Memory":1,"MemorySwap":1,"CpuShares":1,"NetworkDisabled":true,"MacAddress":"m"}'; do
	configured "$config"
	whole "OCI's keys: $config"
	is "OCI's media types: $config" "$(types)" "$oci_types"
done
image_of "$b" --name other --tag t
cp "$T/image" "$T/oci"
configured '{"Healthcheck":{"Test":["CMD","x"]}}'
cp "$T/image" "$T/docker"
ok "Docker's media types: read again by dt-inspect" dt-inspect "$T/docker"
is "Docker's media types: dt-inspect" "$(jq -c '[.repoTags, .image.config]' "$T/out")" '[["x:t"],{"Healthcheck":{"Test":["CMD","x"]}}]'
ok "Docker's media types: dt-flatten reads it" dt-flatten "$T/docker"
is "Docker's media types: its files" "$(archive ls "$T/out")" '-0644 a'
image_of "$b" --name x --tag t --from "$T/docker"
whole 'an image on top inherits the Healthcheck'
is 'an image on top: the media types' "$(types | jq -c '.[1]')" "\"$docker.distribution.manifest.v2+json\""
printf '{"Healthcheck":null}' >"$T/config.json"
image_of "$b" --name x --tag t --from "$T/docker" --config "$T/config.json"
whole 'an image on top without the Healthcheck'
is 'an image on top without it: the media types' "$(types | jq -c '.[1]')" "\"$oci.manifest.v1+json\""
mkdir "$T/layout"
tar -xf "$T/docker" -C "$T/layout"
tar -cf "$T/oci.tar" -C "$T/layout" index.json oci-layout blobs
ok "Docker's media types in an OCI layout: dt-inspect" dt-inspect "$T/oci.tar"
is "Docker's media types in an OCI layout: the image" "$(jq -c .image.config "$T/out")" '{"Healthcheck":{"Test":["CMD","x"]}}'
ok "Docker's media types: merged" dt-merge "$T/docker" "$T/oci"
cp "$T/out" "$T/both"
ok "Docker's and OCI's media types in one archive" archive images "$T/both"

# --- what an image inherits ---

# inherits DESCRIPTION BASE-CONFIG CONFIG WANTED
inherits() {
	configured "$2" --name base
	mv "$T/image" "$T/base"
	printf '%s' "$3" >"$T/config.json"
	image_of "$b" --name x --tag t --from "$T/base" --config "$T/config.json"
	whole "$1"
	is "$1" "$(jq -cS .config.config "$T/shown")" "$(jq -cS . <<<"$4")"
	is "$1: the order of Env" "$(shown .config.config.Env)" "$(jq -c .Env <<<"$4")"
}
inherits 'all of it' '{"Cmd":["c"],"Env":["A=1"],"User":"u","New":1}' '{}' '{"Cmd":["c"],"Env":["A=1"],"User":"u","New":1}'
inherits 'Env: base first, in its places, ours count' '{"Env":["A=1","B=2","PATH=/bin","C="]}' \
	'{"Env":["D=4","B=x=y","C=c","AA=","D=5"]}' '{"Env":["A=1","B=x=y","PATH=/bin","C=c","D=5","AA="]}'
inherits 'Env: none' '{"Env":["A=1"]}' '{"Env":[]}' '{"Env":["A=1"]}'
inherits 'Labels, Volumes, ExposedPorts: united' \
	'{"Labels":{"a":"1","b":"2"},"Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":{}}}' \
	'{"Labels":{"b":"3","c":"4"},"Volumes":{"/w":{}},"ExposedPorts":{"53/udp":{}}}' \
	'{"Labels":{"a":"1","b":"3","c":"4"},"Volumes":{"/v":{},"/w":{}},"ExposedPorts":{"80/tcp":{},"53/udp":{}}}'
inherits 'Labels: only ours' '{}' '{"Labels":{"a":"1"}}' '{"Labels":{"a":"1"}}'
inherits 'Entrypoint drops Cmd' '{"Entrypoint":["e"],"Cmd":["c"]}' '{"Entrypoint":["f"]}' '{"Entrypoint":["f"]}'
inherits 'Entrypoint and Cmd' '{"Entrypoint":["e"],"Cmd":["c"]}' '{"Entrypoint":["f"],"Cmd":["d"]}' '{"Entrypoint":["f"],"Cmd":["d"]}'
inherits 'Entrypoint and Cmd as strings' '{"Cmd":["c"]}' '{"Cmd":"d","Entrypoint":"f"}' '{"Entrypoint":["f"],"Cmd":["d"]}'
inherits 'Cmd keeps Entrypoint' '{"Entrypoint":["e"],"Cmd":["c"]}' '{"Cmd":["d"]}' '{"Entrypoint":["e"],"Cmd":["d"]}'
inherits 'the rest is replaced' \
	'{"User":"a","WorkingDir":"/a","StopSignal":"1","Shell":["a","b"],"Healthcheck":{"Test":["CMD","A"],"Retries":1}}' \
	'{"User":"","WorkingDir":"/b","StopSignal":"2","Shell":["c"],"Healthcheck":{"Test":["CMD","B"]}}' \
	'{"User":"","WorkingDir":"/b","StopSignal":"2","Shell":["c"],"Healthcheck":{"Test":["CMD","B"]}}'
inherits 'null takes away' '{"Cmd":["a"],"Labels":{"a":"1"},"Env":["A=1"],"User":"u"}' \
	'{"Cmd":null,"Labels":null,"User":null}' '{"Cmd":null,"Labels":null,"Env":["A=1"],"User":null}'

# History, platform, author.
base_with() { # JQ-FILTER: an image of a and b, its configuration changed, in $T/base
	cat "$a" "$b" | dt-manifest --name base --tag t --created @1000 >"$T/plain"
	/usr/bin/python3 "$T/rewrite.py" "$T/plain" "$1" >"$T/base"
}
cat >"$T/rewrite.py" <<'END'
import filetar, hashlib, json, subprocess, sys, tarfile
tar = tarfile.open(sys.argv[1])
files = {m.name: tar.extractfile(m).read() for m in tar}
manifest = json.loads(files['manifest.json'])
old = files.pop(manifest[0]['Config'])
new = subprocess.run(['jq', '-c', sys.argv[2]], input=old, stdout=subprocess.PIPE, check=True).stdout
manifest[0]['Config'] = 'blobs/sha256/' + hashlib.sha256(new).hexdigest()
files[manifest[0]['Config']] = new
files['manifest.json'] = json.dumps(manifest).encode()
filetar.write(sys.stdout.buffer, files)
END
base_with '.history = [{"created_by":"FROM scratch","empty_layer":true}, .history[0], {"created":"2020-01-01T00:00:00Z","empty_layer":true},
	.history[1], {"empty_layer":true,"comment":"last"}] | .author = "Someone" | .variant = "v3" | .os = "plan9" | .architecture = "sparc"'
image_of "$c" --name x --from "$T/base" --created @2000
whole 'a base with history'
is 'the history of the base is kept' "$(shown .config.history)" "$(jq -nc '[{created_by: "FROM scratch", empty_layer: true},
	{created: "1970-01-01T00:16:40Z", comment: "layer a"}, {created: "2020-01-01T00:00:00Z", empty_layer: true},
	{created: "1970-01-01T00:16:40Z", comment: "layer b"}, {empty_layer: true, comment: "last"},
	{created: "1970-01-01T00:33:20Z", comment: "layer c"}]')"
is 'author and platform, too; not the time' \
	"$(shown '[.config.author, .config.os, .config.architecture, .config.variant, .config.created]')" \
	'["Someone","plan9","sparc","v3","1970-01-01T00:33:20Z"]'
image_of "$c" --name x --from "$T/base" --arch arm64 --os linux
whole 'another platform than the base'
is 'another platform than the base' "$(shown '[.config.architecture, .config.os, .config.variant]')" '["arm64","linux",null]'
for history in 'del(.history)' '.history = null' '.history = []' '.history = .history[:1]' '.history += .history' '.history = {}' \
	'.history[0].empty_layer = true' '.history[0] = null'; do
	base_with "$history"
	image_of "$c" --name x --from "$T/base"
	whole "a base whose history does not fit: $history"
	is "a base whose history does not fit: $history" "$(shown '.config.history | map(.comment)')" '[null,null,"layer c"]'
done
for config in null '{}'; do
	base_with ".config = $config"
	image_of "$c" --name x --from "$T/base"
	whole "a base with config $config"
	is "a base with config $config" "$(shown .config.config)" '{}'
done

# --- a base on stdin ---

configured '{"Cmd":["a"],"Env":["A=1"]}' --name base
mv "$T/image" "$T/base"
cat "$T/aba" "$c" >"$T/abac"
on "$T/aba" dt-manifest --name base --config "$T/config.json" >"$T/base"
printf '{"Env":["B=1"]}' >"$T/config.json"
on "$c" dt-manifest --from "$T/base" --name x --config "$T/config.json" >"$T/want"
cat "$T/base" "$c" | dt-manifest --name x --config "$T/config.json" >"$T/image"
contents() { archive members "$1" | jq -c '[.name, .sha256]'; }
is 'cat base layers is --from base' "$(contents "$T/image")" "$(contents "$T/want")"
whole 'cat base layers'
archive show "$T/image" >"$T/shown"
is 'cat base layers: the config' "$(shown .config.config)" '{"Cmd":["a"],"Env":["A=1","B=1"]}'
is 'cat base layers: the layers' "$(shown '.config.history | map(.comment)')" '["layer a","layer b","layer a","layer c"]'
on "$T/base" dt-manifest --name y --tag z >"$T/image"
archive show "$T/image" >"$T/shown"
is 'a base alone gets another name' "$(shown '[.docker[0].RepoTags, .id]')" \
	"$(archive show "$T/base" | jq -c '[["y:z"], .id]')"
on "$T/abac" dt-manifest --name x --tag t >"$T/want"
cat "$a" "$b" "$a" "$c" | dt-manifest --name x --tag t >"$T/got"
same 'archives one after the other are one archive' "$T/got" "$T/want"
on "$T/base" dt-manifest --from "$T/base" --name x >"$T/out" 2>"$T/err"
is 'a base on stdin and --from: status' "$?" 1
like 'a base on stdin and --from: says so' "$T/err" '^dt-manifest: stdin: holds an image, and so does --from'
cat "$T/base" "$T/base" >"$T/two"
fails 1 '^dt-manifest: stdin: member .* occurs twice; an image has only one base image$' 'two bases on stdin' \
	on "$T/two" dt-manifest --name x
is 'two bases on stdin: no end of archive' "$(ended "$T/out")" no
cat "$c" "$T/base" >"$T/behind"
fails 1 '^dt-manifest: stdin: ' 'a base behind its layers' on "$T/behind" dt-manifest --name x

# --- how many layers ---

all=()
for i in {1..128}; do
	mkdir "$T/tree/n$i"
	ln -s "$i" "$T/tree/n$i/n$i"
	dt-root --no-cache --tree "$T/tree/n$i" --comment "" >"$T/layers/n$i"
	all+=("$T/layers/n$i")
done
for n in 1 125 126 127; do
	cat "${all[@]:0:n}" >"$T/many"
	image_of "$T/many" --name x --tag t
	whole "$n layers"
	is "$n layers: in order" "$(shown '.config.rootfs.diff_ids | length')" "$n"
	is "$n layers: what is said" "$(cat "$T/err")" \
		"$([ "$n" -le 125 ] || echo "dt-manifest: $n layers; Docker loads no image of more than 125")"
done
cat "${all[@]}" >"$T/many"
fails 1 '^dt-manifest: 128 layers; no engine runs an image of more than 127$' '128 layers' on "$T/many" dt-manifest --name x
is '128 layers: no end of archive' "$(ended "$T/out")" no
cat "${all[@]:0:100}" | dt-manifest --name base >"$T/base100"
cat "${all[@]:100:26}" >"$T/many"
image_of "$T/many" --name x --from "$T/base100"
is "the base's layers count" "$(cat "$T/err")" 'dt-manifest: 126 layers; Docker loads no image of more than 125'
cat "${all[@]:100:28}" >"$T/many"
fails 1 '^dt-manifest: 128 layers' "the base's layers count, too many" on "$T/many" dt-manifest --name x --from "$T/base100"
cat "$a" "$a" "$a" >"$T/many"
image_of "$T/many" --name x
is 'one layer three times' "$(shown '[.config.rootfs.diff_ids, .manifest.layers] | map(length)')" '[3,3]'
whole 'one layer three times'

# --- dt-inspect ---

printf '{"Env":["B=1"]}' >"$T/config.json"
on "$T/aba" dt-manifest --name x --tag t --config "$T/config.json" >"$T/image"
archive show "$T/image" >"$T/shown"
ok 'dt-inspect' dt-inspect "$T/image"
is 'dt-inspect: what it prints' "$(jq -cS . "$T/out")" \
	"$(jq -cS '{repoTags: .docker[0].RepoTags, layers: .config.rootfs.diff_ids, image: .config,
		absent: [], annotations: {}, blobs: .manifest.layers, manifest: .index.manifests[0].digest, config: ("sha256:" + (.docker[0].Config | sub("blobs/sha256/"; "")))}' "$T/shown")"
on "$T/image" dt-inspect >"$T/got"
same 'dt-inspect: of standard input' "$T/got" "$T/out"
on "$T/image" dt-inspect --all >"$T/got"
same 'dt-inspect --all: of a single image' "$T/got" "$T/out"
on "$T/many" dt-manifest --name y >"$T/other"
dt-merge "$T/image" "$T/other" >"$T/both"
ok 'dt-inspect --all' dt-inspect --all "$T/both"
is 'dt-inspect --all: a line for each image' "$(jq -r '.repoTags[0] | sub(":.*"; "")' "$T/out")" $'x\ny'
for image in image other; do dt-inspect "$T/$image"; done | cmp - "$T/out" >"$T/cmp" 2>&1
is 'dt-inspect --all: the lines are those of each image alone' "$?" 0
fails 2 '--all' 'dt-inspect --all --from-name' dt-inspect --all --from-name x "$T/both"
dt-inspect "$T/image" >"$T/out"
on "$T/image" dt-inspect - >"$T/got"
same 'dt-inspect -' "$T/got" "$T/out"
for wrong in 'a b' '--from a' '--name x'; do
	# shellcheck disable=SC2086 # a list
	fails 2 "^dt-inspect: .*: try 'dt-inspect --help'\$" "dt-inspect $wrong" dt-inspect $wrong
done
for moved in inspect merge; do
	fails 2 "^dt-manifest: --$moved is now dt-$moved: try 'dt-manifest --help'\$" "--$moved is answered with the new name" \
		dt-manifest "--$moved" "$T/image"
done
for option in '--from-name x' '--from-tag x'; do
	# shellcheck disable=SC2086 # a list
	fails 2 '^dt-manifest: --from-name and --from-tag go with --from' "$option without --from" \
		on "$a" dt-manifest --name x $option
done

# --- what comes in ---

bad_input() { # DESCRIPTION REGEX FILE
	fails 1 "^dt-manifest: stdin: $2\$" "$1" on "$3" dt-manifest --name x
	is "$1: no end of archive" "$(ended "$T/out")" no
	is "$1: no image" "$(grep -ac manifest.json "$T/out")" 0
}
bad_input 'an empty stdin' 'empty, an archive is expected' /dev/null
head -c 1024 /dev/zero >"$T/in"
bad_input 'an archive without members' '.*' "$T/in"
head -c 10240 /dev/zero >"$T/in"
bad_input 'an archive without members, a record long' '.*' "$T/in"
head -c 300 /dev/zero >"$T/in"
bad_input 'some zeroes' '.*' "$T/in"
echo 'what is this' >"$T/in"
bad_input 'some text' '.*' "$T/in"
head -c 100000 /dev/urandom >"$T/in"
bad_input 'some bytes' '.*' "$T/in"
gzip -c "$a" >"$T/in"
bad_input 'a compressed archive' '.*' "$T/in"
tar -C "$T/tree" -cf "$T/in" a
bad_input 'a tar of files' "member '.*' does not belong to a layer archive; use --from for images of other tools" "$T/in"
dt-root --raw --tree "$T/tree/a" >"$T/in"
bad_input 'a bare layer' "member '.*' does not belong to a layer archive; use --from for images of other tools" "$T/in"
skopeo copy -q "docker-archive:$T/image" "docker-archive:$T/foreign.tar:x:t" 2>/dev/null
bad_input "another tool's archive" '.*' "$T/foreign.tar"
cat "$a" "$T/foreign.tar" >"$T/in"
bad_input "another tool's archive behind a layer" '.*' "$T/in"
cat "$a" <(echo rubbish) >"$T/in"
bad_input 'rubbish behind the archive' '.*' "$T/in"

# member NAME DIFF_ID COMMENT [TEXT]: an archive of one member, $T/in, with the note of a layer in
# the form of $form.
cat >"$T/member.py" <<'END'
import io, json, sys, tarfile
form, name, diff_id, comment = sys.argv[1:5]
data = sys.argv[5].encode() if len(sys.argv) > 5 else b'x'
info = tarfile.TarInfo(name)
info.size = len(data)
if form == 'old':
    info.pax_headers = {k: v for k, v in (('DT.diff_id', diff_id), ('DT.comment', comment)) if v}
elif diff_id:
    history = {'history': {'comment': comment, 'other': 1}} if comment else {}
    info.pax_headers = {'comment': json.dumps({'more': [], 'diff_id': 'sha256:' + diff_id, **history})}
with tarfile.open(fileobj=sys.stdout.buffer, mode='w|', errors='surrogateescape') as tar:
    tar.addfile(info, io.BytesIO(data))
END
member() { /usr/bin/python3 "$T/member.py" "$form" "$@" >"$T/in"; }
hex=$(printf x | sha256sum | cut -d ' ' -f 1)
for form in new old; do
	member "blobs/sha256/$hex" "$hex" 'ä "comment"'
	image_of "$T/in" --name x
	is "$form form: a layer that another program named" "$(shown '.config.rootfs.diff_ids, [.config.history[].comment]')" \
		"[\"sha256:$hex\"]"$'\n''["ä \"comment\""]'
	member "blobs/sha256/$hex" "$hex" ''
	image_of "$T/in" --name x
	is "$form form: a layer without a comment" "$(shown '.config.history')" '[{"created":"1970-01-01T00:00:01Z"}]'
	member "blobs/sha256/$hex" "$(id "$a")" ''
	bad_input "$form form: a layer by the name of another" "member 'blobs/sha256/$hex' is not named by its diff_id" "$T/in"
	member "blobs/sha256/../../$hex" "$hex" ''
	bad_input "$form form: a layer whose name leads away" "member '.*' is not named by its diff_id" "$T/in"
	member "blobs/sha256/${hex^^}" "${hex^^}" ''
	bad_input "$form form: a digest in capitals" "member '.*' is not named by its diff_id" "$T/in"
	member "blobs/sha256/$hex" "${hex:1}" ''
	bad_input "$form form: a diff_id that is short" "member '.*' is not named by its diff_id" "$T/in"
	member "blobs/sha256/$hex" "$hex" "$(printf %06000000d 0 | head -c 100000)"
	image_of "$T/in" --name x
	is "$form form: a comment of 100 kB" "$(shown '.config.history[0].comment | length')" 100000
done
form=old
member "blobs/sha256/$hex" "$hex" $'\xff'
bad_input 'a comment that is not UTF-8' 'the comment of a layer is not UTF-8' "$T/in"
member "blobs/sha256/$hex" '' ''
bad_input 'a layer that does not say so' "member 'blobs/sha256/$hex' does not belong to a layer archive; use --from for images of other tools" "$T/in"
for note in '' '{' '{}' 'a comment' '[]' '{"diff_id"}' "{\"layer\":\"sha256:$hex\"}" '{"diff_id":null}' '{"diff_id":1}' "{\"diff_id\":\"$hex\"}" \
	"{\"diff_id\":\"sha256:$hex\"} x"; do
	/usr/bin/python3 -c 'import io, sys, tarfile
info = tarfile.TarInfo(sys.argv[1])
info.size, info.pax_headers = 1, {"comment": sys.argv[2]}
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar: tar.addfile(info, io.BytesIO(b"x"))' "blobs/sha256/$hex" "$note" >"$T/in"
	bad_input "a comment that is no layer's: $note" "member 'blobs/sha256/$hex' (does not belong to a layer archive; use --from for images of other tools|is not named by its diff_id)" "$T/in"
done
for text in null '[]' '{}' '[null]' '[{}]' '[{"Config":1}]' '[{"Config":"nowhere"}]' '[{"Config":"manifest.json"},{}]' '' '{' '[{"Config":"manifest.json"}]'; do
	member manifest.json '' '' "$text"
	bad_input "a manifest.json of $text" '.*' "$T/in"
done

# --- --verify, and bytes that pass through the tool ---

cat "$a" "$b" "$c" >"$T/abc"
/usr/bin/python3 -c 'import sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data.replace(b"\0b\n\0", b"\0B\n\0"))' <"$T/abc" >"$T/flipped"
is 'one byte differs' "$(cmp -l "$T/abc" "$T/flipped" | wc -l)" 1
wrong="^dt-manifest: stdin: layer 2 has the digest [0-9a-f]{64}, not its diff_id $(id "$b")\$"
pipe() { local file=$1; shift; "$@" < <(cat "$file"); }
append() { local file=$1; shift; rm -f "$T/appended"; "$@" <"$file" >>"$T/appended"; }
pipe_append() { local file=$1; shift; rm -f "$T/appended"; "$@" < <(cat "$file") >>"$T/appended"; }
for way in on pipe append pipe_append; do
	ok "--verify, $way: an archive" "$way" "$T/abc" dt-manifest --name x --verify
	fails 1 "$wrong" "--verify, $way: a byte is another one" "$way" "$T/flipped" dt-manifest --name x --verify
	case $way in *append) cp "$T/appended" "$T/out" ;; esac
	is "--verify, $way: no end of archive" "$(ended "$T/out")" no
done
on "$T/abc" dt-manifest --name x >"$T/want"
on "$T/abc" dt-manifest --name x --verify >"$T/got"
same '--verify: the same bytes' "$T/got" "$T/want"
fails 1 "$wrong" '--verify -o FILE' on "$T/flipped" dt-manifest --name x --verify -o "$T/flipped.tar"
is '--verify -o FILE: none is there' "$(ls "$T/flipped.tar" 2>/dev/null)" ''
fails 1 "$wrong" 'a file that is appended to: its bytes pass through the tool' pipe_append "$T/flipped" dt-manifest --name x
ok 'a pipe: its bytes do not' pipe "$T/flipped" dt-manifest --name x

# --- what goes out ---

fails 1 '^dt-manifest: .*: No space left on device$' 'no room' full on "$a" dt-manifest --name x
fails 1 '^dt-manifest: standard output: Bad file descriptor$' 'stdout closed' closed on "$a" dt-manifest --name x
on "$T/aba" dt-manifest --name x 2>"$T/err" | head -c 700 >/dev/null
image_of "$T/aba" --name x
whole=$(wc -c <"$T/image")
documents=$(grep -abo 'index.json' "$T/image" | head -n 1 | cut -d : -f 1)
last=$(grep -abo 'manifest.json' "$T/image" | tail -n 1 | cut -d : -f 1)
for size in 1000 12000 "$documents" $((documents + 600)) "$last" $((last + 512)) $((last + 600)); do
	head -c "$size" "$T/image" >"$T/cut"
	fails 1 . "cut after $size bytes: skopeo refuses it as docker-archive:" skopeo inspect "docker-archive:$T/cut"
	[ "$size" -gt "$documents" ] ||
		fails 1 . "cut after $size bytes: skopeo refuses it as oci-archive:" skopeo inspect "oci-archive:$T/cut"
done
for size in "$documents" "$last" $((last + 700)) $((whole - 1024)) $((whole - 512)) $((whole - 1)); do
	head -c "$size" "$T/image" >"$T/cut"
	bad_input "an image cut after $size of $whole bytes" '.*' "$T/cut"
	fails 1 "^dt-manifest: $T/cut: " "an image cut after $size of $whole bytes: as --from" \
		on "$a" dt-manifest --name x --from "$T/cut"
	is "an image cut after $size of $whole bytes: as --from: no end of archive" "$(ended "$T/out")" no
done

finish
