#!/usr/bin/env bash
# dt-build-image: the files at the root are those of Nix' buildEnv and rsync; the closure and base
# images; commands that fail; bad specs. The numbers are those of the assertions of nixpkgs' own tests.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2001,SC2012,SC2016,SC2119,SC2120,SC2154,SC2317 # jq and what is passed on expand these
. "$(dirname "$0")/lib.sh"
. "$t_dir/images.sh"
need jq nix-build nix-store python3 rsync setsid zstd

mkdir -m 1777 "$T/tmp"
chmod 755 "$T"

# --- a store that Nix made ---

# add NAME: what $T/new/NAME holds becomes a store path; sets NAME to it.
nix_root=$T
add() {
	printf -v "$1" %s "$(in_nix nix-store --add "$T/new/$1")"
	rm -r "${T:?}/new/$1"
}
mkdir -p "$T/nix" "$T/new"
export TMPDIR=/tmp # Nix would build in a directory that the store shall not be seen from
new() { mkdir -p "$T/new/$1" && cd "$T/new/$1" || exit 1; }
new one
mkdir -p bin share/one/deep share/both/inner lib64 etc nix-support
echo one | tee bin/one share/one/deep/file share/both/one share/both/inner/one lib64/lib.so nix-support/depends >etc/same
chmod 755 bin/one
ln -s lib64 lib
ln -s deep/file share/one/link
ln -s ../lib64 share/up
add one
new two
mkdir -p bin share/both/inner share/two lib etc/two empty
echo two | tee bin/two share/both/two share/both/inner/two lib/two.so share/two/"it's (two) \"  \" \$x *" >etc/two/file
chmod 755 bin/two
ln -s "$one/share/one" share/elsewhere
ln -s "$one/bin/one" bin/again
ln -s nowhere/at/all dangling
printf 'refers to %s\n' "$one" >share/two/reference
add two
new three
mkdir -p bin share/both/inner etc
echo three | tee bin/three share/both/inner/three >etc/same
ln -s three bin/trois
add three
cd "$T" || exit 1
printf 'a file, and %s\n' "$three" >"$T/new/file"
add file
ln -s "$two/share" "$T/new/directory_link"
add directory_link
new loop
mkdir share
echo loop >share/file
ln -s . share/self
add loop
cd "$T" || exit 1
# And an environment of three.
cat >"$T/env.nix" <<END
derivation {
  name = "env"; system = "builtin"; builder = "builtin:buildenv"; manifest = "/nowhere";
  derivations = [ [ "true" "5" "1" (builtins.storePath $one) ] [ "true" "6" "1" (builtins.storePath $two) ]
    [ "true" "7" "1" (builtins.storePath $three) ] ];
}
END
env=$(in_nix nix-build -Q --no-out-link "$T/env.nix" 2>"$T/err")
ok 'Nix makes an environment' test -d "$T$env"
# Nix does not know what the sources it was given refer to.
rm -rf "$T/nix/var"
chmod 755 "$T/nix" "$T/nix/store"
export TMPDIR=$T/tmp

tool() { dt-build-image --store "$T" "$@"; }

# spec JQ-OBJECT: $T/spec.json of a name, a tag, and that. In it, $one and the like are store paths.
spec() {
	jq -n --arg one "$one" --arg two "$two" --arg three "$three" --arg file "$file" --arg link "$directory_link" --arg loop "$loop" --arg T "$T" \
		'{name: "x", tag: "t", compressor: "none"} + '"$1" >"$T/spec.json"
}
# builds DESCRIPTION JQ-OBJECT [STDERR-REGEX]: $T/image is an image of that, $T/shown has its
# documents, $T/list what is in its top layer. Lines on stderr match the regex.
builds() {
	local status=0
	spec "$2"
	rm -f "$T/shown"
	tool "$T/spec.json" >"$T/image" 2>"$T/err" || status=$?
	archive show "$T/image" >"$T/shown" 2>"$T/not-whole"
	[ -z "${3-}" ] || sed -i -E "/$3/d" "$T/err"
	is "$1: a whole image, nothing said" "$status:$(cat "$T/err" "$T/not-whole")" 0:
	is "$1: no scratch directory is left" "$(ls -A "$T/tmp")" ''
	layer >"$T/layer"
	archive ls "$T/layer" >"$T/list"
}
at_root() { grep -v ' nix/' "$T/list" | grep -vx 'd0755 nix'; }
store_paths() { sed -nE 's/ -> .*//; s|^.[0-9]* (nix/store/[^/]*)$|/\1|p' "$T/list" | sort; }
# refuses STATUS REGEX DESCRIPTION JQ-OBJECT [LINES]: one line, or so many, matches
refuses() {
	local status=0
	spec "$4"
	tool "$T/spec.json" >"$T/out" 2>"$T/err" || status=$?
	is "$3: status" "$status" "$1"
	is "$3: says so" "$(grep -Evx "$2" "$T/err"):$(wc -l <"$T/err")" ":${5-1}"
	is "$3: no image, no scratch directory" "$([ ! -s "$T/out" ] || archive ended "$T/out"):$(ls -A "$T/tmp")" :
}

# --- what is copied, as rsync does it ---

cat >"$T/listing.py" <<'PY'
"""listing.py FILE [STORE]: a line for all but store paths in a layer; of directories only that they are there."""
import hashlib, os, sys, tarfile
lines = {}
if os.path.isdir(sys.argv[1]):
    for top, dirs, files in os.walk(sys.argv[1]):
        for name in dirs + files:
            path = os.path.join(top, name)
            short = os.path.relpath(path, sys.argv[1])
            if os.path.islink(path):
                lines[short] = 'l ' + os.readlink(path)
            elif os.path.isdir(path):
                lines[short] = 'd'
            else:
                lines[short] = 'f %o %s' % (os.stat(path).st_mode & 0o7777, hashlib.sha256(open(path, 'rb').read()).hexdigest())
else:
    tar = tarfile.open(sys.argv[1])
    for info in tar:
        assert info.name not in lines, info.name
        lines[info.name] = ('l ' + info.linkname if info.issym() else 'd' if info.isdir() else
                            'f %o %s' % (info.mode, hashlib.sha256(tar.extractfile(info).read()).hexdigest()))
for name in sorted(lines):
    if name != 'nix' and not name.startswith('nix/'):
        print(repr(name), lines[name])
PY
cat >"$T/rsync.sh" <<'SH'
flags=$1 to=$2
shift 2
mkdir "$to"
for item; do rsync "$flags" "$item/" "$to/" && chmod -R u+w "$to"; done
SH
# copies_as FLAGS DESCRIPTION JQ-LIST ITEM...: what rsync makes of the items is what the list makes;
# which of two files of one name it took is warned of.
copies_as() {
	local flags=$1 what=$2 list=$3
	shift 3
	builds "$what" "{copyToRoot: $list, keepContentsDirlinks: $([ "$flags" = -rltK ] && echo true || echo false)}" '^dt-root: .* is in both '
	python3 "$T/listing.py" "$T/layer" >"$T/got"
	in_nix bash -euc ". $T/rsync.sh" - "$flags" "$T/rsynced" "$@"
	# Nix' own environments have this, and no links that lead nowhere, as those of nixpkgs have.
	rm -f "$T/rsynced/manifest.nix"
	python3 "$T/listing.py" "$T/rsynced" >"$T/want"
	sed -i 's/ f 6/ f 4/; s/ f 7/ f 5/' "$T/want" # made writable for the next item
	# Its links lead through no others.
	[[ $what != *environment* ]] || sed -i "/^'dangling' /d; s,/lib64/lib.so$,/lib/lib.so," "$T/got" "$T/want"
	is "$what: as rsync $flags makes it" "$(cat "$T/got")" "$(cat "$T/want")"
	rm -r "$T/rsynced"
}
for flags in -rltk -rltK; do
	copies_as "$flags" "rsync $flags: one" '$one' "$one"
	copies_as "$flags" "rsync $flags: two, of which the first has lib as a directory" '[$two, $three]' "$two" "$three"
	copies_as "$flags" "rsync $flags: lib, a symlink, then lib, a directory" '[$one, $two]' "$one" "$two"
	copies_as "$flags" "rsync $flags: three, the last one wins" '[$one, $three, $two]' "$one" "$three" "$two"
	copies_as "$flags" "rsync $flags: a directory in a store path" '[$one + "/share", $two + "/bin"]' "$one/share" "$two/bin"
done

builds 'a link to the directory that it is in' '{copyToRoot: $loop}'
is 'a link to the directory that it is in stays a link' "$(at_root)" 'd0755 share
-0444 share/file
l0777 share/self -> .'
builds 'two of a kind' '{copyToRoot: [$one, $three]}' '^dt-root: \/(nix-support|etc\/same).* is in both '
is 'of two files the last one counts' "$(layer | tar -xO etc/same)" three
spec '{copyToRoot: [$one, $three]}'
tool "$T/spec.json" 2>&1 >/dev/null | grep -F etc/same >"$T/err"
is 'and a warning names both' "$(cat "$T/err")" "dt-root: /etc/same is in both $three and $one; the first one is taken"

# --- environments, as Nix' own buildEnv and rsync make them ---

for flags in -rltk -rltK; do
	copies_as "$flags" "an environment, $flags" '{paths: [$one, $two, $three]}' "$env"
done
builds 'pathsToLink' '{copyToRoot: {paths: [$one, $two], pathsToLink: ["/bin", "/etc/two"]}}'
is 'pathsToLink: only these' "$(at_root)" "d0755 bin
l0777 bin/again -> $two/bin/again
l0777 bin/one -> $one/bin/one
l0777 bin/two -> $two/bin/two
d0755 etc
d0755 etc/two
l0777 etc/two/file -> $two/etc/two/file"
builds 'environments and copies' '{copyToRoot: [{paths: [$one], pathsToLink: ["/bin"]}, $three, {paths: [$two], pathsToLink: ["/empty"]}]}'
is 'environments and copies are merged' "$(at_root | grep -v -e share -e etc)" "d0755 bin
l0777 bin/one -> $one/bin/one
-0444 bin/three
l0777 bin/trois -> three
d0755 empty"

# --- the closure ---

closure() { printf '%s\n' "$@" | sed 's,^/,/,' | sort; }
builds 'nothing' '{}'
is 'nothing: one empty layer' "$(shown '.config.rootfs.diff_ids | length'):$(cat "$T/list")" 1:
builds 'copyToRoot alone' '{copyToRoot: $two}'
is 'copyToRoot alone: the store paths that it needs, and not itself' "$(store_paths)" "$(closure "$one")"
is 'the directories above them' "$(grep -E '^[^ ]* nix(/store)?$' "$T/list")" $'d0755 nix\nd0755 nix/store'
builds 'config' '{config: {Cmd: [$file], Env: ["A=x:" + $two + "/bin:y"]}}'
is 'config: the closure of what it mentions' "$(store_paths)" "$(closure "$one" "$two" "$three" "$file")"
is '[35] a store path that is a file stays one' "$(grep -c -- "^-0444 ${file#/}\$" "$T/list")" 1
builds 'extraCommands' '{extraCommands: ("echo see " + $two + " >x; echo " + ($one | sub("/[0-9a-z]{32}"; "/00000000000000000000000000000000")) + " >>x")}'
is '[44] what commands made: its closure, of what is there' "$(store_paths)" "$(closure "$one" "$two")"
builds 'a link' '{config: {Cmd: [$link]}}'
is '[37] a store path that is a symlink stays one' "$(grep -F -- "${directory_link#/}" "$T/list")" "l0777 ${directory_link#/} -> $two/share"

plain=$T/$'it\'s "plain"  \\ (x) $HOME *\nü'
mkdir -p "$plain/sub dir"
echo 'hello, world' >"$plain/hello.txt"
echo "exec $two/bin/two" >"$plain/sub dir/"$'script\n"\''
ln -s "$three/bin" "$plain/three"
ln -s nowhere "$plain/nowhere"
ln -s "$plain" "$T/result"
spec '{}'
jq --arg plain "$plain" '.copyToRoot = $plain' "$T/spec.json" >"$T/plain.json"
ok '[48] a plain directory of an odd name' tool "$T/plain.json"
cp "$T/out" "$T/plain.tar"
cp "$T/out" "$T/image"
archive show "$T/image" >"$T/shown"
layer >"$T/layer"
archive ls "$T/layer" >"$T/list"
is '[48] hello.txt and the rest' "$(at_root)" "$(printf '%s\n' '-0644 hello.txt' 'l0777 nowhere -> nowhere' 'd0755 sub dir' $'-0644 sub dir/script\n"\'' 'd0755 three' '-0444 three/three' 'l0777 three/trois -> three')"
is '[48] its contents' "$(layer | tar -xO hello.txt)" 'hello, world'
is '[48] what its files refer to is there' "$(store_paths)" "$(closure "$one" "$two")"
jq '.copyToRoot = "./result"' "$T/spec.json" >"$T/plain.json"
ok '[48] a relative symlink to it' tool "$T/plain.json"
same '[48] the same image' "$T/out" "$T/plain.tar"
cp -r "$T/nix" "$T/elsewhere"
jq --arg one "$one" '.copyToRoot = $one' "$T/spec.json" >"$T/plain.json"
ok 'a store' tool "$T/plain.json"
mv "$T/out" "$T/image"
mkdir "$T/moved root"
cp -r "$T/nix" "$T/moved root"
ok 'a copy of the store, elsewhere' dt-build-image --store "$T/moved root" "$T/plain.json"
same 'a copy of the store, elsewhere: the same image' "$T/out" "$T/image"
ok 'SPEC on stdin' bash -c 'dt-build-image --store="$1" <"$2"' - "$T" "$T/plain.json"
same 'SPEC on stdin: the same image' "$T/out" "$T/image"

# --- owners, modes, times ---

owners() { python3 -c 'import sys, tarfile
for m in tarfile.open(sys.argv[1]):
    print(m.name.split("/")[0] == "nix", m.uid, m.gid, int(m.mtime))' "$T/layer" | sort -u; }
builds 'owners' '{copyToRoot: $one, config: {Cmd: [$one]}, uid: 1000, gid: 100, extraCommands: "touch made; mkdir -m 1777 tmp; touch s; chmod 6711 s"}'
is '[53] of what is copied and made they are those asked for, of the store root; all times are 1' "$(owners)" 'False 1000 100 1
True 0 0 1'
is 'modes that were made' "$(grep -E ' (made|tmp|s)$' "$T/list")" $'-0644 made\n-6711 s\nd1777 tmp'
is '[12] the store is open to all' "$(grep -E ' nix(/store)?$' "$T/list" | cut -c1-5 | sort -u)" d0755

# --- name, tag, time, platform, compression ---

builds '[17] names' '{name: "Registry/HELLO", tag: null}'
is '[9] [17] [38] [39] lower case, and a tag of the content' "$(shown '.docker[0].RepoTags[0] | test("^registry/hello:[0-9a-z]{32}$")')" true
tag=$(shown '.docker[0].RepoTags[0]')
builds 'another content' '{name: "Registry/HELLO", tag: null, extraCommands: "touch x"}'
is 'another content has another tag' "$([ "$(shown '.docker[0].RepoTags[0]')" = "$tag" ]; echo $?)" 1
is '[8] created in the first second' "$(shown .config.created)" 1970-01-01T00:00:01Z
builds '[49] platform' '{architecture: "arm64", created: "2001-02-03T04:05:06Z"}'
is '[49] architecture, created' "$(shown '.config | [.architecture, .created]')" '["arm64","2001-02-03T04:05:06Z"]'
before=$(date +%s)
builds '[19] created now' '{created: "now"}'
created=$(date -d "$(shown .config.created)" +%s)
is '[19] created now is now' "$([ "$created" -ge "$before" ] && [ "$created" -le "$(date +%s)" ] && echo yes)" yes
spec '{copyToRoot: $two, compressor: "none"}'
tool "$T/spec.json" >"$T/plain.tar"
for compressor in gz zstd; do
	jq --arg c "$compressor" '.compressor = $c' "$T/spec.json" >"$T/compressed.json"
	ok "[10] $compressor" tool "$T/compressed.json"
	case $compressor in gz) gzip -dc ;; zstd) zstd -dqc ;; esac <"$T/out" >"$T/uncompressed"
	same "[10] $compressor: of the same image" "$T/uncompressed" "$T/plain.tar"
done
jq 'del(.compressor)' "$T/spec.json" >"$T/compressed.json"
tool "$T/compressed.json" >"$T/out"
is 'gz is the default' "$(od -An -tx1 -N2 "$T/out")" ' 1f 8b'

# --- base images ---

layer_of() { # PREFIX FILE: a layer that holds the store path $one, names spelled so
	python3 - "$1" "$2" "$T" "$one" <<'PY'
import sys, tarfile
prefix, out, root, path = sys.argv[1:]
with tarfile.open(out, 'w') as tar:
    tmp = tarfile.TarInfo('tmp')
    tmp.type, tmp.mode = tarfile.DIRTYPE, 0o1777
    tar.addfile(tmp)
    tar.add(root + path, prefix + path[1:], filter=lambda m: m)
    for m in ('usr/bin', 'usr/lib'):
        info = tarfile.TarInfo(prefix + m)
        info.type, info.mode, info.uid = tarfile.DIRTYPE, 0o750, 7
        tar.addfile(info)
    info = tarfile.TarInfo(prefix + 'bin')
    info.type, info.linkname = tarfile.SYMTYPE, 'usr/bin'
    tar.addfile(info)
PY
}
python3 -c 'import sys, tarfile; tarfile.open(sys.argv[1], "w").close()' "$T/empty.tar"
for spelling in '' ./ /; do
	name=base${spelling//\//_}
	layer_of "$spelling" "$T/layer.tar"
	mkdir "$T/$name"
	"$t_dir/fixtures/bases.py" good "$T/$name" "$T/layer.tar" "$T/empty.tar"
done
mkdir -p "$T/with-tmp/tmp"
touch "$T/with-tmp/tmp/x"
builds 'no base' '{copyToRoot: $two, config: {Cmd: [$two]}}'
alone=$(cat "$T/list")
kinds=("$T"/base/*.tar)
for i in "${!kinds[@]}"; do
	names=(base base._ base_)
	base=$T/${names[i % 3]}/${kinds[i]##*/}
	spec '{copyToRoot: [$two, ($T + "/with-tmp")], config: {Cmd: [$two]}}'
	jq --arg base "$base" '.fromImage = $base' "$T/spec.json" >"$T/from.json"
	if ! tool "$T/from.json" >"$T/image" 2>"$T/err" || ! archive show "$T/image" >"$T/shown"; then
		is "on ${base#"$T/"}" "$(cat "$T/err")" built
		continue
	fi
	layer >"$T/layer"
	archive ls "$T/layer" >"$T/list"
	is "on ${base#"$T/"}: layers; the store paths that it has not; /tmp as it is; /bin stays" \
		"$(shown '.config.rootfs.diff_ids | length'):$(store_paths):$(grep ' tmp$' "$T/list"):$(grep -c ' bin' "$T/list"):$(grep ' usr/bin/two$' "$T/list")" \
		"3:$two:d1777 tmp:0:-0555 usr/bin/two"
done
is 'a base is tried that docker wrote' "$(ls "$T"/base/docker-2*.tar | wc -l)" 2
is 'without a base all is there' "$(grep -c " ${one#/}" <<<"$alone")" "$(find "$T$one" | wc -l)"
jq '.fromImage = $T' --arg T "$T/base/docker-20.tar" "$T/spec.json" >"$T/from.json"
tool "$T/from.json" >"$T/image" 2>"$T/err"
is 'UsrMerge: a warning' "$(grep -c '^dt-root: /bin is a symlink in ' "$T/err")" 1
ok 'UsrMerge: flattened' dt-flatten "$T/image"
tar -tvf "$T/out" | awk '{ print $1, $2, $6, $7, $8 }' >"$T/flat"
is 'UsrMerge: /bin is what it was, and what is in it can be found' "$(grep -E ' (bin|usr/bin/(|two|again))( |$)' "$T/flat" | sed 's/ *$//')" \
	"lrw-r--r-- 0/0 bin -> usr/bin
drwxr-x--- 7/0 usr/bin/
lrwxrwxrwx 0/0 usr/bin/again -> $one/bin/one
-r-xr-xr-x 0/0 usr/bin/two" 2>/dev/null

"$t_dir/fixtures/bases.py" several "$T"
builds 'several images, the first' '{fromImage: ($T + "/docker-several.tar")}'
first=$(shown '.config.config.Labels')
python3 - "$T/docker-several.tar" >"$T/names" <<'PY'
import json, sys, tarfile
for entry in json.load(tarfile.open(sys.argv[1]).extractfile('manifest.json')):
    for name in entry['RepoTags'] or []:
        if ':' in name:
            print(*name.rsplit(':', 1))
PY
is 'several images: the first of them' "$first" '{"image":"0"}'
while read -r name tag; do
	builds "fromImageName $name, fromImageTag $tag" '{fromImage: ($T + "/docker-several.tar"), fromImageName: "'"$name"'", fromImageTag: "'"$tag"'"}'
	is "fromImageName $name, fromImageTag $tag: that one" "$(shown '.config.config.Labels.image')" \
		"$(python3 -c 'import json, sys, tarfile
for i, entry in enumerate(json.load(tarfile.open(sys.argv[1]).extractfile("manifest.json"))):
    if sys.argv[2] in (entry["RepoTags"] or []):
        print(i)
        break' "$T/docker-several.tar" "$name:$tag")"
	refuses 1 'dt-[a-z]*: .*' "fromImageName $name, a tag that begins so" '{fromImage: ($T + "/docker-several.tar"), fromImageName: "'"$name"'", fromImageTag: "'"$tag"x'"}'
done <"$T/names"
refuses 1 "dt-[a-z]*: $T/none.tar: No such file or directory" 'a base that is not there' '{fromImage: ($T + "/none.tar")}'
head -c 20000 "$T/base/docker-20.tar" >"$T/cut.tar"
refuses 1 "dt-[a-z]*: $T/cut.tar: .*" 'a base that is cut' '{fromImage: ($T + "/cut.tar")}'
refuses 1 "dt-[a-z]*: $T: .*" 'a base that is a directory' '{fromImage: $T}'

builds 'a base of ours' '{extraCommands: "echo base | tee a b >c", config: {Env: ["A=base", "B=base"], WorkingDir: "/base"}}'
cp "$T/image" "$T/it's a base.tar"
builds '[28] [29] Env' '{fromImage: ($T + "/it\u0027s a base.tar"), extraCommands: "echo two | tee b >d", config: {Env: ["C=two", "B=two"]}}'
is '[28] [29] Env: parent and child, the child wins; the rest is inherited' "$(shown '.config.config | [.Env, .WorkingDir]')" '[["A=base","B=two","C=two"],"/base"]'
zstd -q "$T/image" -o "$T/two.tar.zst"
builds '[25] three on top of each other' '{fromImage: ($T + "/two.tar.zst"), extraCommands: "echo three | tee c >e"}'
ok '[25] flattened' dt-flatten "$T/image"
is '[25] the child overrides the parent' "$(for i in a b c d e; do tar -xOf "$T/out" $i; done | xargs)" 'base two three two three'

# --- commands ---

builds '[18] commands' '{copyToRoot: $three, extraCommands: "[ -n \"$unset\" ] || mkdir -p \u0027a (b)\u0027; echo \"it\u0027s (here) $((1+1)) ok \\\\\" >\u0027a (b)/c\u0027
	cat >input; umask >mask; rm bin/trois; echo new >bin/three; [ -w etc ]; pwd >where"}'
is '[18] quotes and parens; what was copied can be changed' "$(layer | tar -xO 'a (b)/c' bin/three mask input)" $'it\'s (here) 2 ok \\\nnew\n0022'
for commands in false 'exit 7' 'ls | false | cat' 'if' 'kill -KILL $$' 'mkdir -m 000 a; mkdir b; touch b/c; chmod 500 b; exit 3'; do
	refuses 1 'dt-build-image: extraCommands failed with status [0-9]+|.*: .*' "commands that fail, $commands" "$(jq -n --arg c "$commands" '{extraCommands: $c}')" \
		"$([ "$commands" != if ] && echo 1 || echo 2)" # bash reports a syntax error, too
	is "commands that fail, $commands: said last" "$(tail -n 1 "$T/err" | sed 's/[0-9]*$//')" 'dt-build-image: extraCommands failed with status '
done
as_nobody() { runuser -u nobody -- env TMPDIR="$T/tmp" DT_CACHE="$T/none" dt-build-image --store "$T" "$T/spec.json"; }
spec '{copyToRoot: $one, extraCommands: "mkdir -m 000 a; mkdir b; touch b/c; chmod 500 b; exit 3"}'
fails 1 'extraCommands failed with status 3$' 'commands that leave directories which a user may not enter' as_nobody
is 'these go away, too' "$(ls -A "$T/tmp")" ''
spec '{copyToRoot: $one, extraCommands: "mkdir a; touch a/b; chmod 000 a; exit 0"}'
as_nobody >"$T/out" 2>"$T/err"
is 'a directory that cannot be read, at the end: status, no scratch directory' "$?:$(ls -A "$T/tmp")" 1:
like 'a directory that cannot be read: said so' "$T/err" '/a: Permission denied$'

small_disk() {
	unshare -m bash -euc 'mount -t tmpfs -o size=1m none "$TMPDIR"; status=0
		dt-build-image --store "$0" "$1" || status=$?; ls -A "$TMPDIR"; exit "$status"' "$T" "$T/spec.json"
}
spec '{copyToRoot: $one, extraCommands: "head -c 3000000 /dev/zero >x"}'
small_disk >"$T/out" 2>"$T/err"
is 'a full disk: status, no output, no scratch directory' "$?:$(cat "$T/out")" 1:
is 'a full disk: said so' "$(tail -n 1 "$T/err")" 'dt-build-image: extraCommands failed with status 1'
head -c 3000000 /dev/zero >"$T/plain-large"
mkdir "$T/large"
mv "$T/plain-large" "$T/large/file"
spec '{copyToRoot: ($T + "/large"), extraCommands: "true"}'
small_disk >"$T/out" 2>"$T/err"
is 'a disk too small for the copies: status, no output, no scratch directory' "$?:$(cat "$T/out")" 1:
like 'a disk too small for the copies: said so' "$T/err" 'No space left on device'

for signal in TERM INT HUP; do
	spec '{extraCommands: "mkdir d; chmod 000 d; touch $T/started; sleep 60"}'
	sed -i "s,\$T/,$T/," "$T/spec.json"
	env --default-signal setsid dt-build-image --store "$T" "$T/spec.json" >"$T/cut" 2>/dev/null &
	pid=$!
	until [ -e "$T/started" ]; do sleep 0.01; done
	rm "$T/started"
	kill -"$signal" -- "-$pid"
	wait "$pid"
	is "SIG$signal in extraCommands: status" "$?" $((128 + $(kill -l "$signal")))
	is "SIG$signal in extraCommands: no image, no scratch directory" "$(wc -c <"$T/cut"):$(ls -A "$T/tmp")" 0:
done
spec '{extraCommands: "kill -KILL $PPID; sleep 60"}'
tool "$T/spec.json" >"$T/cut" 2>/dev/null
is 'the script itself is killed: no image' "$?:$(wc -c <"$T/cut")" 137:0
rm -rf "${T:?}"/tmp/*

# --- the output, and what goes into it ---

spec '{copyToRoot: $one, extraCommands: "touch x"}'
fails 1 '^dt-[a-z]*: .*No space left on device$' 'no room on stdout' full tool "$T/spec.json"
is 'no room on stdout: no scratch directory' "$(ls -A "$T/tmp")" ''
jq -n '{name: "x", uid: 5, copyToRoot: ["/a"]}' >"$T/args.json"
ok '--print-build-args' dt-build-image --print-build-args "$T/args.json"
is '--print-build-args: all keys, with the defaults' "$(jq -cS . "$T/out")" \
	'{"annotations":{},"architecture":null,"buildVMMemorySize":512,"compressor":"gz","config":{},"contents":null,"copyToRoot":["/a"],"created":"1970-01-01T00:00:01Z","diskSize":1024,"extraCommands":"","fromImage":null,"fromImageName":null,"fromImageTag":null,"gid":0,"includeNixDB":false,"inheritConfig":true,"keepContentsDirlinks":false,"meta":{},"name":"x","passthru":{},"runAsRoot":null,"tag":null,"uid":5}'
builds 'null is as good as nothing' "$(jq -c 'map_values(null) | del(.name, .compressor)' "$T/out")"
spec '{contents: $one}'
fails 0 '^dt-build-image: contents is called copyToRoot now$' 'contents: a warning' tool "$T/spec.json"
cp "$T/out" "$T/image"
spec '{copyToRoot: $one}'
tool "$T/spec.json" >"$T/out"
same 'contents is copyToRoot' "$T/out" "$T/image"
refuses 1 'dt-build-image: copyToRoot and contents are the same; contents is its old name' 'both' '{contents: $one, copyToRoot: $one}'
refuses 1 "dt-root: .*: not a directory, .*" 'a store path that is a file' '{copyToRoot: $file}'
refuses 1 "dt-root: .*: not a directory, .*" 'a plain file' '{copyToRoot: ($T + "/spec.json")}'
refuses 1 'dt-build-image: copyToRoot: /proc/none: no such path' 'a path that is not there' '{copyToRoot: "/proc/none"}'
refuses 1 'dt-build-image: copyToRoot: : no such path' 'a path of no name' '{copyToRoot: ""}'
refuses 1 'dt-closure: copyToRoot, config: .* is mentioned but not there' 'a store path that is not there' '{copyToRoot: ($one | sub("/[0-9a-z]{32}"; "/00000000000000000000000000000000"))}'
refuses 1 "dt-build-image: copyToRoot: unknown key pathToLink of an object with paths" 'an environment with an unknown key' '{copyToRoot: {paths: [], pathToLink: []}}'
refuses 1 'dt-root: /etc is a directory in only one of .*' 'a directory against a file' '{copyToRoot: [$one, ($T + "/etc-file")]}' < <(mkdir "$T/etc-file" && touch "$T/etc-file/etc")
bad_spec() { # REGEX TEXT
	printf '%s' "$2" >"$T/bad.json"
	fails 1 "^dt-build-image: $T/bad.json: $1\$" "a bad spec: $2" tool "$T/bad.json"
	is "a bad spec: $2: nothing" "$(wc -c <"$T/out"):$(ls -A "$T/tmp")" 0:
}
bad_spec 'the key name is missing' '{}'
bad_spec 'unknown key maxLayers' '{"name": "x", "maxLayers": 3}'
for bad in copyToRoot:1 'copyToRoot:{}' copyToRoot:true contents:1 keepContentsDirlinks:1 extraCommands:1 uid:-1 gid:1.5 \
	config:1 diskSize:"\"x\"" buildVMMemorySize:false includeNixDB:0 meta:1 compressor:1 created:1 fromImage:1 fromImageName:1 fromImageTag:1; do
	bad_spec "${bad%%:*} must be .*" "{\"name\": \"x\", \"${bad%%:*}\": ${bad#*:}}"
done
refuses 1 "dt-build-image: compressor must be none, gz or zstd, not 'xz'" 'another compressor' '{compressor: "xz"}'
refuses 2 'dt-manifest: --name.*' 'a name that is none' '{name: "a b"}'
fails 1 "^dt-build-image: $T/none.json: cannot be read\$" 'a spec that is not there' tool "$T/none.json"

# --- the database ---

builds '[11] a database' '{copyToRoot: [$two, {paths: [$three], pathsToLink: ["/bin"]}], includeNixDB: true, config: {Env: ["X=" + $file + ":" + $one + "/bin:" + $two]}}' '^dt-root: .* is in both '
dt-flatten "$T/image" | tar -x -C "$T/moved root" --recursive-unlink
rm -rf "$T/rootfs"
mkdir "$T/rootfs"
dt-flatten "$T/image" | tar -x -C "$T/rootfs"
ok '[11] nix-store -qR' in_image nix-store -qR "$file" "$two"
is '[11] nix-store -qR: the closure' "$(sort "$T/out")" "$(closure "$one" "$two" "$three" "$file")"
is '[11] all that is in the layer' "$(cd "$T/rootfs" && printf '/%s\n' nix/store/*)" "$(closure "$one" "$two" "$three" "$file")"
ok '[35] nix-store --verify --check-contents' in_image nix-store --verify --check-contents
is '[35] nix-store --verify: nothing is wrong' "$(grep -ciE 'modified|error|disappeared|not valid' "$T/err")" 0
ok 'garbage collection' in_image nix-store --gc --print-roots
is 'garbage collection: what the spec names is kept' "$(sed 's/.* -> //' "$T/out" | sort)" "$(closure "$one" "$two" "$three" "$file")"
builds 'a database of nothing' '{includeNixDB: true}'
rm -rf "$T/rootfs"
mkdir "$T/rootfs"
dt-flatten "$T/image" | tar -x -C "$T/rootfs"
mkdir -p "$T/rootfs/nix/store"
ok 'a database of nothing can be used' in_image nix-store --verify
builds 'a database on a base' '{fromImage: ($T + "/base/docker-20.tar"), includeNixDB: true, config: {Cmd: [$two]}}'
rm -rf "$T/rootfs"
mkdir "$T/rootfs"
dt-flatten "$T/image" | tar -x -C "$T/rootfs"
ok 'a database on a base that has some of it' in_image nix-store --verify --check-contents
is 'a database on a base: nothing is wrong' "$(grep -ciE 'modified|error|disappeared|not valid' "$T/err")" 0

finish
