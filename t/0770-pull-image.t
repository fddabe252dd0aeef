#!/usr/bin/env bash
# dt-pull-image and dt-prefetch-image: nixpkgs' pullImage and nix-prefetch-docker.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need skopeo jq nix-instantiate nix-hash nix-build
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR
start_registry r
start_liar

mkdir "$T/tree"
echo hello >"$T/tree/file"
dt-root --tree "$T/tree" | dt-manifest --name x --tag 1 --arch amd64 >"$T/x.tar"
for tag in 1 latest; do
	skopeo copy -q --insecure-policy --dest-tls-verify=false "docker-archive:$T/x.tar" "docker://$r/my/app:$tag"
done
digest=$(skopeo inspect --tls-verify=false "docker://$r/my/app:1" | jq -r .Digest)
# want NAME:TAG [OPTION]...: what nixpkgs' builder writes, and its hash
want() {
	rm -f "$T/want.tar"
	skopeo --insecure-policy --override-os linux --override-arch amd64 copy -q --src-tls-verify=false \
		"docker://${2:-$r/my/app@$digest}" "docker-archive://$T/want.tar:$1"
	hash=$(nix-hash --flat --type sha256 --base32 "$T/want.tar")
	sri=sha256-$(openssl dgst -sha256 -binary "$T/want.tar" | base64)
}
spec() { jq -n "{imageName: \"$r/my/app\", imageDigest: \"$digest\", sha256: \"$hash\", tlsVerify: false} + ($1)" >"$T/spec.json"; }

# --- dt-pull-image ---

want "$r/my/app:latest"
spec '{}'
ok 'only what is required' dt-pull-image "$T/spec.json"
same 'only what is required: what nixpkgs gets' "$T/out" "$T/want.tar"
ok 'from stdin' on "$T/spec.json" dt-pull-image
same 'from stdin: the same' "$T/out" "$T/want.tar"
want other/name:2.11.1
spec "{finalImageName: \"other/name\", finalImageTag: \"2.11.1\", os: \"linux\", arch: \"x86_64\", name: \"x.tar\", sha256: null, hash: \"$sri\"}"
ok 'all keys' dt-pull-image "$T/spec.json"
same 'all keys: what nixpkgs gets' "$T/out" "$T/want.tar"
spec "{finalImageName: \"other/name\", finalImageTag: \"2.11.1\", sha256: \"wrong\", hash: \"$sri\"}"
ok 'hash counts before sha256' dt-pull-image "$T/spec.json"
want other/name:3
spec "{finalImageName: \"other/name\", finalImageTag: \"4\"}"
fails 1 '^dt-pull: .*: hash mismatch: specified: sha256-.* got: sha256-' 'another tag is another hash' dt-pull-image "$T/spec.json"
want "$r/my/app:latest"
fake=sha256-$(printf %043d= 0 | tr 0 A)
for keys in "sha256: null, hash: \"$fake\"" "sha256: \"$(printf %064d 0)\"" 'sha256: ""' 'hash: ""' 'sha256: null'; do
	spec "{$keys}"
	fails 1 "^dt-pull: .*: hash mismatch: specified: ${fake//+/[+]} got: ${sri//+/[+]}\$" "a hash that is not known yet, $keys" \
		dt-pull-image "$T/spec.json"
done
# In a fixed-output derivation, Nix compares the hash.
nix() {
	env NIX_STORE_DIR="$T/nix/store" NIX_STATE_DIR="$T/nix/var" NIX_LOG_DIR="$T/nix/log" NIX_CONF_DIR="$T/nix" NIX_REMOTE= \
		nix-build --option sandbox false --option build-users-group '' --no-out-link "$@"
}
derivation() { # HASH
	cat <<-END
		derivation {
		    name = "image.tar"; system = builtins.currentSystem; builder = "$BASH";
		    args = [ "-c" "dt-pull-image --ignore-hash -o \$out $T/spec.json" ];
		    PATH = "$PATH"; HOME = "$T"; DT_CACHE = "$DT_CACHE"; DT_BUILD = "$build";
		    outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "$1";
		}
	END
}
for keys in "sha256: null, hash: \"$fake\"" 'sha256: null' 'sha256: "wrong"'; do
	spec "{$keys}"
	ok "--ignore-hash, $keys" dt-pull-image --ignore-hash "$T/spec.json"
	same "--ignore-hash, $keys: the image" "$T/out" "$T/want.tar"
done
derivation "$fake" >"$T/fake.nix"
nix "$T/fake.nix" >"$T/out" 2>"$T/err"
is 'lib.fakeHash: Nix shows the right hash' "$(sed -nE 's/^ *got: *//p' "$T/err")" "$sri"
derivation "$sri" >"$T/right.nix"
ok 'with this hash, Nix builds the image' nix "$T/right.nix"
same 'the image in the store' "$(cat "$T/out")" "$T/want.tar"
spec "{imageDigest: \"sha256:$(printf %064d 1)\"}"
fails 1 '^dt-pull: ' '--ignore-hash does not ignore the digest of the image' dt-pull-image --ignore-hash "$T/spec.json"
spec '{tlsVerify: true}'
fails 1 '^dt-pull: .*(SSL|TLS)' 'tlsVerify' env DT_CACHE="$T/empty" dt-pull-image "$T/spec.json"
bad_spec() { # REGEX JSON
	printf '%s' "$2" >"$T/bad.json"
	fails 1 "^dt-pull-image: $T/bad.json: $1\$" "a bad spec: $2" dt-pull-image "$T/bad.json"
	is "a bad spec: $2: nothing" "$(wc -c <"$T/out")" 0
}
bad_spec 'empty, a JSON object is expected' ''
bad_spec 'not JSON: .*' '{'
bad_spec 'the spec is not a JSON object' '[]'
bad_spec 'the key imageName is missing' '{}'
bad_spec 'the key imageDigest is missing' '{"imageName": "x"}'
bad_spec 'unknown key digest' '{"imageName": "x", "digest": "y"}'
for bad in 'imageName: 1' 'imageDigest: []' 'tlsVerify: "false"' 'finalImageTag: 5' 'arch: ["x"]'; do
	bad_spec "${bad%%:*} must be .*" "$(jq -nc "{$bad}")"
done
for bad in 'imageDigest: "sha256:0"' 'imageDigest: "latest"' 'imageName: "a b"' 'imageName: "--help"' 'imageName: "x:1"' 'sha256: "x"' \
	'arch: "a b"' 'os: ""' 'finalImageName: "A"' 'finalImageTag: "-"'; do
	spec "{$bad}"
	fails 2 '^dt-pull: ' "what dt-pull does not take, $bad" dt-pull-image "$T/spec.json"
	is "what dt-pull does not take, $bad: nothing" "$(wc -c <"$T/out")" 0
done
fails 2 "^dt-pull-image: unknown option '--store'" '--store' dt-pull-image --store x

mkdir "$T/dir"
echo old >"$T/dir/image"
spec "{sha256: \"$fake\"}"
fails 1 '^dt-pull: .*: hash mismatch: ' '-o FILE, and the wrong hash' dt-pull-image -o "$T/dir/image" "$T/spec.json"
is '-o FILE, and the wrong hash: the file as it was' "$(cat "$T/dir/image"):$(ls -A "$T/dir")" old:image
spec '{}'
ok '-o FILE' dt-pull-image -o "$T/dir/image" "$T/spec.json"
same '-o FILE: what goes to stdout' "$T/dir/image" <(dt-pull-image "$T/spec.json")

# --- dt-prefetch-image ---

prefetch() { dt-prefetch-image --tls-verify false "$@"; }
# found NAME DIGEST NAME TAG: JSON with a hash that is what nixpkgs pins
is_spec() { # DESCRIPTION FINAL-NAME FINAL-TAG
	want "$2:$3"
	is "$1" "$(jq -cS . "$T/out")" "$(jq -ncS "{imageName: \"$r/my/app\", imageDigest: \"$digest\", hash: \"$sri\",
		finalImageName: \"$2\", finalImageTag: \"$3\", os: \"linux\", arch: \"amd64\", tlsVerify: false}")"
}
ok 'IMAGE' prefetch --json "$r/my/app"
is_spec 'IMAGE: what it prints' "$r/my/app" latest
is 'IMAGE: what it says' "$(cat "$T/err")" "-> ImageName: $r/my/app
-> ImageDigest: $digest
-> FinalImageName: $r/my/app
-> FinalImageTag: latest
-> ImageHash: $sri"
for args in 'APP 1' 'APP:1' '--image-name APP --image-tag 1' '--image-name=APP --image-tag=1' 'APP --image-tag 1'; do
	# shellcheck disable=SC2086 # a list
	ok "$args" prefetch --json --quiet ${args//APP/$r/my/app}
	is_spec "$args: what it prints" "$r/my/app" 1
	is "$args --quiet: nothing to say" "$(cat "$T/err")" ''
done
for args in "APP $digest" "--image-name APP --image-digest $digest"; do
	# shellcheck disable=SC2086 # a list
	ok "$args" prefetch --json --quiet ${args//APP/$r/my/app}
	is_spec "$args: what it prints" "$r/my/app" latest
done
ok 'final names' prefetch --quiet --json --os linux --arch x86_64-linux --final-image-name my/own --final-image-tag 5 "$r/my/app" 1
want my/own:5
is 'final names: hash' "$(jq -r .hash "$T/out")" "$sri"
is 'final names: what they are' "$(jq -c '[.finalImageName, .finalImageTag, .arch]' "$T/out")" '["my/own","5","x86_64-linux"]'
cp "$T/out" "$T/prefetched.json"
ok '-oFILE' prefetch --quiet --json --os linux --arch x86_64-linux --final-image-name my/own --final-image-tag 5 -o"$T/dir/spec" "$r/my/app" 1
same '-oFILE: what goes to stdout' "$T/dir/spec" "$T/prefetched.json"
ok 'the object is a spec' dt-pull-image "$T/prefetched.json"
same 'the object is a spec: of what nixpkgs gets' "$T/out" "$T/want.tar"
ok 'for Nix' prefetch --quiet --final-image-name my/own --final-image-tag 5 "$r/my/app" 1
nix-instantiate --eval --strict --json -E "$(cat "$T/out")" >"$T/evaluated" 2>"$T/err"
is 'for Nix: the same' "$(jq -cS . "$T/evaluated")" "$(jq -cS '.arch = "amd64"' "$T/prefetched.json")"

# Of an index, by the digest of the index, for an architecture.
ok 'an index' prefetch --quiet --json --arch arm64 "$liar/honest/index" 1
is 'an index: its own digest' "$(jq -r .imageDigest "$T/out")" "$(digest_of index)"
rm -f "$T/want.tar"
skopeo copy -q --insecure-policy --src-tls-verify=false --override-arch arm64 "docker://$liar/honest/index@$(digest_of index)" \
	"docker-archive:$T/want.tar:$liar/honest/index:1"
is 'an index: the hash of the image for that architecture' "$(jq -r .hash "$T/out")" \
	"sha256-$(openssl dgst -sha256 -binary "$T/want.tar" | base64)"

failing() { prefetch --quiet --json "$@"; }
fails 1 '^dt-pull: .*status 404' 'no such tag' failing "$r/my/app" 2
is 'no such tag: nothing' "$(wc -c <"$T/out")" 0
fails 1 '^dt-pull: .*no image for linux/s390x' 'no such architecture' failing --arch s390x "$liar/honest/index" 1
is 'no such architecture: nothing' "$(wc -c <"$T/out")" 0
fails 2 '^dt-prefetch-image: IMAGE is missing: ' 'no image' failing
fails 2 "^dt-prefetch-image: unexpected operand 'c': " 'too many operands' failing a b c
fails 2 "^dt-prefetch-image: '--json' takes no argument: " 'an argument too much' failing --json=1 a
for option in --image-name --image-tag --image-digest --final-image-name --final-image-tag --os --arch --tls-verify; do
	fails 2 "^dt-prefetch-image: '$option' needs an argument: " "$option without argument" failing a "$option"
done
fails 2 '^dt-pull: ' 'a name that is none' failing 'a b"; x'

finish
