#!/usr/bin/env bash
# dt-stream-nix-shell-image and dt-build-nix-shell-image: the contents of their images, compared with
# those that Nix has for the derivations; bad specs and derivations.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2001,SC2016,SC2119,SC2154,SC2317 # jq and what is passed on expand these
. "$(dirname "$0")/lib.sh"
. "$t_dir/images.sh"
. "$t_dir/nix-shell.sh"
need jq bwrap fakeroot nix python3 setpriv

make_store
mkdir -m 1777 "$T/tmp"
chmod 755 "$T"
export TMPDIR=$T/tmp
tool() { dt-stream-nix-shell-image --store "$S" "$@"; }
user=(env "HOME=$T/tmp" "DT_CACHE=$T/tmp/.cache-of-user" setpriv --reuid=30001 --regid=30001 --clear-groups)
as_user() { "${user[@]}" dt-stream-nix-shell-image --store "$S" "$@"; }
bash=$(root bash) hello=$(root hello)

# spec DRV JQ-OBJECT: $T/spec.json of the derivation's path, a tag, and that
spec() {
	jq -n --arg drv "$1" --arg bash "$bash" --arg hello "$hello" --arg T "$T" "{drv: \$drv, tag: \"t\"} + $2" >"$T/spec.json"
}
# builds DESCRIPTION NAME JQ-OBJECT [TOOL]: $T/image is an image of that; $T/shown has its documents,
# $T/files the files that are not in the store, $T/store the store paths.
builds() {
	local status=0
	drv=$(instantiate "$2")
	spec "$drv" "$3"
	"${4:-tool}" "$T/spec.json" >"$T/image" 2>"$T/err" || status=$?
	is "$1: an image, nothing said, nothing left" "$status:$(cat "$T/err"):$(left)" 0::
	dt-inspect "$T/image" >"$T/shown"
	dt-flatten "$T/image" >"$T/flat"
	tar -tf "$T/flat" | sed -nE 's,^nix/store/([^/]+)/?$,/nix/store/\1,p' | sort >"$T/store"
	rm -rf "$T/files"
	mkdir "$T/files"
	tar -x --exclude='nix/store/*' -C "$T/files" -f "$T/flat"
}
made() { cat "$T/files/usr/lib/nix-shell/$1"; }

# What Nix says of a derivation, and what the environment is by that.
cat >"$T/environment.py" <<'PY'
import json, sys, urllib.parse
drv, = json.load(sys.stdin).values()
bash, home = sys.argv[1:]
lib = "/usr/lib/nix-shell"
env = dict.fromkeys(("SSL_CERT_FILE", "NIX_SSL_CERT_FILE"), "/etc/ssl/certs/ca-bundle.crt")
env |= {"PATH": f"{bash}/bin:{lib}/bin", "HOME": home, "NIX_STORE": "/nix/store", "NIX_BUILD_CORES": "1"}
if "__json" in drv["env"]:
    env |= {f"NIX_ATTRS_{kind}_FILE": f"/build/.attrs.{kind.lower()}" for kind in ("JSON", "SH")}
else:
    passed = drv["env"].get("passAsFile", "").split()
    for key, value in drv["env"].items():
        env |= {key + "Path": f"{lib}/attr-" + urllib.parse.quote(key, safe="")} if key in passed else {key: value}
env |= {name: output["path"] for name, output in drv["outputs"].items()}
env |= dict.fromkeys(("NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"), "/build")
env["TERM"] = "xterm-256color"
json.dump([f"{key}={env[key]}" for key in sorted(env)], sys.stdout)
PY
environment() {
	in_nix nix --extra-experimental-features nix-command show-derivation "$drv" | python3 "$T/environment.py" "$bash" "${1:-/build}" | jq -c .
}
# The closure of what a derivation is built of, by Nix
inputs() {
	local path
	for path in $(in_nix nix-store -q --references "$drv"); do
		case $path in
		*.drv) in_nix nix-store -q --outputs "$path" ;;
		*) echo "$path" ;;
		esac
	done | in_nix xargs nix-store -qR | sort
}

# --- what is in it ---

names=''
for name in small quoted structured outputs hello; do
	builds "$name" "$name" '{}'
	is "$name: the environment" "$(shown .image.config.Env)" "$(environment)"
	is "$name: the store paths are the closure of the inputs" "$(cat "$T/store")" "$(inputs)"
	names+="$(shown '.repoTags[0]') "
	cp -R "$T/files" "$T/files.$name"
done
is 'named after their derivations, as far as an image may be' "$names" \
	'small-env:t quo-ted-env:t structured-env:t outputs-2-env:t hello-c-1.0-env:t '
is 'who it runs as, where and what' "$(shown '.image.config | [.User, .WorkingDir, .Cmd]')" \
	"[\"1000:1000\",\"/build\",[\"$bash/bin/bash\",\"--rcfile\",\"/usr/lib/nix-shell/rc\"]]"
is 'outputs are not in it, though one is built' "$(
	before=$(sha256sum <"$T/image")
	in_nix nix-build -Q --no-out-link "$t_dir/fixtures/stdenv" --arg packages "$S/roots" -A hello >/dev/null 2>&1 || echo not built
	tool "$T/spec.json" >"$T/image"
	[ "$(sha256sum <"$T/image")" = "$before" ] && echo the same image
)" 'the same image'

builds 'includeNixDB' small '{includeNixDB: true, uid: 1234, gid: 5, homeDirectory: "/homeless-shelter", name: "X/y"}'
is 'includeNixDB: the store paths are valid' "$("$t_dir/with-nix" "$T/files" nix-store -q --requisites "$(root hello)" "$bash" 2>&1 | sort)" \
	"$(in_nix nix-store -qR "$(root hello)" "$bash" | sort)"
is 'includeNixDB: no others are' "$(python3 -c 'import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute("select path from ValidPaths order by path"): print(*row)' "$T/files/nix/var/nix/db/db.sqlite")" "$(inputs)"
is 'includeNixDB: what is kept' "$(cd "$T/files/nix/var/nix/gcroots/docker" && readlink -- * | sort)" \
	"$(for path in $(in_nix nix-store -q --references "$drv"); do [[ $path == *.drv ]] && in_nix nix-store -q --outputs "$path" || echo "$path"; done | sort)"
is 'uid, gid, name' "$(shown '[.image.config.User, .repoTags[0]]')" '["1234:5","x/y:t"]'
is 'homeDirectory' "$(shown .image.config.Env)" "$(environment /homeless-shelter)"
is 'files and their owners' "$(tar -tvf "$T/flat" --numeric-owner --exclude='nix/store/*' --exclude='usr/lib/nix-shell/*' | awk '{ print $1, $2, $6, $7, $8 }' | sed 's/ *$//')" \
	"drwxr-xr-x 0/0 bin/
lrwxrwxrwx 0/0 bin/sh -> $bash/bin/bash
drwxr-xr-x 1234/5 build/
drwxr-xr-x 0/0 etc/
-rw-r--r-- 0/0 etc/group
drwxr-xr-x 1234/5 etc/nix/
-rw-r--r-- 0/0 etc/nsswitch.conf
-rw-r--r-- 0/0 etc/passwd
drwxr-xr-x 0/0 etc/pki/
drwxr-xr-x 0/0 etc/pki/tls/
drwxr-xr-x 0/0 etc/pki/tls/certs/
lrwxrwxrwx 0/0 etc/pki/tls/certs/ca-bundle.crt -> ../../../ssl/certs/ca-certificates.crt
drwxr-xr-x 0/0 etc/ssl/
drwxr-xr-x 0/0 etc/ssl/certs/
lrwxrwxrwx 0/0 etc/ssl/certs/ca-bundle.crt -> ca-certificates.crt
-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt
drwxr-xr-x 1234/5 nix/
drwxr-xr-x 1234/5 nix/store/
drwxr-xr-x 1234/5 nix/var/
drwxr-xr-x 1234/5 nix/var/nix/
drwxr-xr-x 1234/5 nix/var/nix/db/
-rw-r--r-- 1234/5 nix/var/nix/db/db.sqlite
-rw-r--r-- 1234/5 nix/var/nix/db/schema
drwxr-xr-x 1234/5 nix/var/nix/gcroots/
drwxr-xr-x 1234/5 nix/var/nix/gcroots/docker/
$(cd "$T/files/nix/var/nix/gcroots/docker" && for link in *; do echo "lrwxrwxrwx 1234/5 nix/var/nix/gcroots/docker/$link -> $(readlink "$link")"; done)
drwxr-xr-x 0/0 usr/
drwxr-xr-x 0/0 usr/bin/
lrwxrwxrwx 0/0 usr/bin/env -> $(root coreutils)/bin/env
drwxr-xr-x 0/0 usr/lib/
drwxr-xr-x 0/0 usr/lib/nix-shell/
drwxr-xr-x 0/0 var/
dr-xr-xr-x 0/0 var/empty/"
is 'users' "$(cat "$T/files/etc/passwd")" 'root:x:0:0:root user:/var/empty:/bin/sh
nixbld:x:1234:5:Build user:/homeless-shelter:/noshell
nobody:x:65534:65534:nobody:/var/empty:/bin/sh'
is 'groups' "$(cat "$T/files/etc/group")" $'root:x:0:\nnixbld:!:5:\nnobody:x:65534:'

# --- what is made of the derivation ---

rc="unset PATH
dontAddDisableDepTrack=1
[ -z \"\${NIX_ATTRS_SH_FILE-}\" ] || source \"\$NIX_ATTRS_SH_FILE\"
[ ! -e \"\${stdenv-}/setup\" ] || source \"\$stdenv/setup\"
PATH='$bash/bin:/usr/lib/nix-shell/bin'\${PATH:+:\$PATH}
SHELL='$bash/bin/bash' BASH='$bash/bin/bash'
set +e
[ -z \"\${PS1-}\" ] || [ -n \"\${NIX_SHELL_PRESERVE_PROMPT-}\" ] ||
    PS1='\\n\\[\\e[1;32m\\][nix-shell:\\w]\\\$\\[\\e[0m\\] '
! declare -F runHook >/dev/null || runHook shellHook
unset NIX_ENFORCE_PURITY
shopt -u nullglob
shopt -s execfail"
is 'what the shell runs' "$(cat "$T/files.small/usr/lib/nix-shell/rc")" "$rc"
builds 'command' small '{command: "echo \"it'"'"'s\"\n# a comment"}'
is 'command' "$(made rc):$(shown '.image.config.Cmd | length')" "$rc"$'\necho "it\'s"\n# a comment\nexit:3'
builds 'run' small '{run: "true"}'
is 'run' "$(made rc):$(shown .image.config.Cmd)" "$rc"$'\ntrue\nexit:["'"$bash"'/bin/bash","/usr/lib/nix-shell/rc"]'
rm -r "$T/files"
mv "$T/files.quoted" "$T/files"
drv=$(instantiate quoted)
is 'passAsFile' "$(made attr-a%2Fb | od -c):$(made attr--x)" "$(printf 'in\na file' | od -c):"
is 'passAsFile: no others' "$(cd "$T/files/usr/lib/nix-shell" && echo attr-*)" 'attr--x attr-a%2Fb attr-it%27s%281%29%21%2A'
is 'buildDerivation: the builder and its arguments' \
	"$(sed 's/^exec/printf "<%s>"/' "$T/files/usr/lib/nix-shell/bin/buildDerivation" | bash | od -c)" \
	"$(in_nix nix --extra-experimental-features nix-command show-derivation "$drv" | jq -j '.[] | .builder, .args[] | "<\(.)>"' | od -c)"
is 'buildDerivation: by that shell' "$(made bin/buildDerivation | head -n 1)" "#!$bash/bin/bash"
cat >"$T/declared" <<'END'
. "$1"
declare -p builder installPhase list name nativeBuildInputs no nothing number outputs stdenv system table text yes
compgen -v | grep -xE 'nested|not|a'
END
cat >"$T/dump.nix" <<'END'
{ packages }: derivation ((import FIXTURE { inherit packages; }).structured.drvAttrs // {
  args = [ "-c" ''
    . .attrs.sh
    read -rd "" sh <.attrs.sh
    read -rd "" json <.attrs.json
    for path in "''${outputs[@]}"; do
      path=''${path##*/} # or the outputs would refer to each other
      sh=''${sh//''${path%%-*}/HASH}
      json=''${json//''${path%%-*}/HASH}
    done
    printf '%s\n' "$sh" >"''${outputs[out]}"
    printf '%s\n' "$json" >"''${outputs[man]}"
  '' ];
})
END
sed -i "s,FIXTURE,$t_dir/fixtures/stdenv," "$T/dump.nix"
in_nix nix-build -Q --no-out-link "$T/dump.nix" --arg packages "$S/roots" -A all >"$T/dumped" 2>"$T/err" || t_note <"$T/err"
unhashed() { sed -E 's,[0-9a-z]{32}-structured,HASH-structured,g'; }
is 'attributes, for bash, are those that Nix makes' "$(bash "$T/declared" "$T/files.structured/build/.attrs.sh" | unhashed)" \
	"$(bash "$T/declared" "$S$(head -n 1 "$T/dumped")")"
is 'attributes as JSON are those that Nix makes' "$(jq -S . "$T/files.structured/build/.attrs.json" | unhashed)" \
	"$(jq -S . "$S$(tail -n 1 "$T/dumped")")"

# --- other ways to say it ---

builds 'a user' small '{includeNixDB: true}' as_user
cp "$T/image" "$T/user"
tool "$T/spec.json" >"$T/image"
same 'a user makes the image that root makes' "$T/user" "$T/image"
ok 'compressed' dt-build-nix-shell-image --store "$S" "$T/spec.json"
gzip -dc "$T/out" | cmp - "$T/image"
is 'compressed: the same' "$?" 0
cp "$S$drv" "$T/any.drv"
spec "$T/any.drv" '{includeNixDB: true}'
ok 'a derivation that lies elsewhere' tool "$T/spec.json"
same 'a derivation that lies elsewhere: the same' "$T/out" "$T/image"
cp "$T/out" "$T/image"
spec "$S$drv" '{includeNixDB: true}'
ok 'its place on this machine' tool "$T/spec.json"
same 'its place on this machine: the same' "$T/out" "$T/image"
ok 'where it is /nix' in_nix dt-stream-nix-shell-image <(jq --arg drv "$drv" '.drv = $drv' "$T/spec.json")
same 'where it is /nix: the same' "$T/out" "$T/image"
ok '--print-build-args' dt-build-nix-shell-image --print-build-args "$T/spec.json"
is '--print-build-args: all keys, with the defaults' "$(jq -cS 'del(.drv)' "$T/out")" \
	'{"annotations":{},"architecture":null,"command":null,"compressor":"gz","contents":[],"created":"1970-01-01T00:00:01Z","debug":false,"gid":1000,"homeDirectory":"/build","includeNixDB":true,"maxLayers":100,"meta":{},"mtime":"1970-01-01T00:00:01Z","name":null,"passthru":{},"run":null,"shell":null,"tag":"t","uid":1000}'
mkdir -p "$T/more/opt"
echo more >"$T/more/opt/file"
builds 'contents, maxLayers' quoted '{contents: [$hello, ($T + "/more")], maxLayers: 3}'
is 'contents' "$(readlink "$T/files/bin/hello"; cat "$T/files/opt/file"; grep -xF "$hello" "$T/store")" "$hello/bin/hello
more
$hello"
is 'maxLayers' "$(shown '.layers | length')" 3
builds 'a shell that is named, another architecture' bare '{shell: ($bash + "/bin/bash")}'
is 'a shell that is named' "$(shown '.image.config.Cmd[0]'):$(grep -cxF "$bash" "$T/store")" "$bash/bin/bash:1"
is 'another architecture' "$(shown .image.architecture)" arm64
builds 'certificates' certified '{}'
is 'certificates' "$(readlink "$T/files/etc/ssl/certs/ca-bundle.crt" | sed 's,.*/[^-]*-nss,nss,')" nss-cacert-3.1/etc/ssl/certs/ca-bundle.crt

# --- what is refused ---

# refuses STATUS REGEX DESCRIPTION DRV JQ-OBJECT
refuses() {
	spec "$4" "$5"
	fails "$1" "^(dt-stream-nix-shell-image|dt-drv|dt-closure): $2\$" "$3" tool "$T/spec.json"
	is "$3: no image, no scratch directory" "$(wc -c <"$T/out"):$(left)" 0:
}
small=$(instantiate small)
refuses 1 'run and command: only one of them' 'run and command' "$small" '{run: "x", command: "y"}'
refuses 1 '.*: the key drv is missing' 'no drv' "$small" '{drv: null}'
refuses 1 '.*: unknown key config' 'a key of other images' "$small" '{config: {}}'
refuses 1 '.*: uid must be an integer .*' 'a user by name' "$small" '{uid: "nixbld"}'
refuses 1 '/nix/store/.*x[.]drv: No such file or directory' 'no such derivation' "${small/small/x}" '{}'
refuses 1 "$hello/bin/hello:0: 'Derive\\(' is expected" 'no derivation' "$hello/bin/hello" '{}'
refuses 1 'shell: /bin/sh is not a file of a store path' 'a shell of this machine' "$small" '{shell: "/bin/sh"}'
refuses 1 'shell: .*/bin/zsh is not a file of a store path' 'a shell that is not there' "$small" '{shell: ($bash + "/bin/zsh")}'
refuses 1 'shell: the derivation needs no bash, name one' 'no bash' "$(instantiate bare)" '{}'
refuses 1 "contents: fakeNss: extraPasswdLines: '.*' is not a line of 7 fields" 'a home that no line may have' "$small" '{homeDirectory: "/a:b"}'
refuses 1 'drv: .*: its builder, builtin:fetchurl, is a part of Nix' 'a builder that is none' "$(instantiate builtin)" '{}'
for name in floating deferred; do
	refuses 1 'drv: .*: the paths of its outputs are not known before the build' "$name outputs" "$(instantiate "$name")" '{}'
done
# derive INPUTS SOURCES VARIABLES: writes one to $T/made.drv
derive() {
	printf 'Derive([("out","/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x","","")],[%s],[%s],"s","%s",[],[%s])' "$1" "$2" "$bash/bin/bash" "$3" >"$T/made.drv"
}
derive "(\"$small\",[\"out\"])" '' ''
refuses 1 'inputs, contents, shell: .*-small is mentioned but not there' 'an input that is not built' "$T/made.drv" '{}'
derive "(\"$small\",[\"out\",\"doc\"])" '' ''
refuses 1 "drv: $small: the path of its output doc is not known before the build" 'an output that the input does not have' "$T/made.drv" '{}'
derive "(\"$(instantiate floating)\",[\"out\"])" '' ''
refuses 1 "drv: .*-floating.drv: the path of its output out is not known before the build" 'an input whose path nobody knows' "$T/made.drv" '{}'
derive '("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-y.drv",["out"])' '' ''
refuses 1 '/nix/store/.*-y.drv: No such file or directory' 'an input whose derivation is not there' "$T/made.drv" '{}'
for json in '{' '[]' '1' ''; do
	derive '' "\"$bash\"" "(\"__json\",\"$json\")"
	refuses 1 'drv: .*: its __json is not a JSON object' "attributes that are none, '$json'" "$T/made.drv" '{}'
done
derive '' "\"$bash\"" '("__json","{\"n\":[{\"x\":9007199254740993000}]}")'
refuses 1 'drv: .*: a number in its __json has too many digits' 'a number that would change' "$T/made.drv" '{}'
derive '' "\"$bash\"" '("__json","{\"a\":\"x\\u0000y\",\"b\":{\"k\\u0000\":\"v\"},\"c\":\"fine\"}")'
spec "$T/made.drv" '{}'
ok 'attributes with a NUL' tool "$T/spec.json"
is 'bash cannot have them' "$(dt-flatten <"$T/out" | tar -xO build/.attrs.sh | grep -v outputs)" "declare c='fine'"
head -c 100 "$S$small" >"$T/made.drv"
refuses 1 '.*/made.drv:100: truncated in a string' 'a derivation that is truncated' "$T/made.drv" '{}'

finish
