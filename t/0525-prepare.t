#!/usr/bin/env bash
# Layered images in two steps: prepared directories, the images streamed from them, the files that the second step reads,
# and faults.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # jq's variables; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need jq strace fakeroot bwrap busybox

# A store with a library, a shell, a program that needs both, and a path that nothing needs.
library=/nix/store/00000000000000000000000000000001-library-1.0
bash=/nix/store/00000000000000000000000000000002-bash-5.2
app=/nix/store/00000000000000000000000000000004-app-1.0
mkdir -p "$T/s$library" "$T/s$bash/bin" "$T/s$app/bin" "$T/tmp"
echo library >"$T/s$library/library"
echo "$library" >"$T/s$bash/bin/bash"
echo "$bash" >"$T/s$app/bin/app"
export TMPDIR=$T/tmp
cd "$T" || exit 1
stream() { dt-stream-layered-image --store s "$@"; }
spec() { # FILE JQ-OBJECT
	jq -n --arg app "$app" --arg bash "$bash" --arg T "$T" '{name: "x", contents: [$app]} + '"$2" >"$1"
}
facts() { find "$1" -printf '%P %y %m\n' | sort; }

# both DESCRIPTION SPEC: the image in two steps is that in one. Leaves the directory $T/d and the image $T/whole.
both() {
	rm -rf d
	stream "$2" >whole 2>said
	ok "$1: --prepare" stream --prepare d "$2"
	is "$1: nothing is printed" "$(cat out):$(cmp err said)" :
	is "$1: only the directory is left" "$(ls -A tmp; ls -d d*)" d
	ok "$1: the second step" stream d
	same "$1: the same image" out whole
	is "$1: which says nothing" "$(cat err)" ''
	stream --only /dev/null "$2" >thin 2>/dev/null
	same "$1: thin.tar is the thin image" d/thin.tar thin
	ok "$1: the thin image" stream --only /dev/null d
	same "$1: is thin.tar" out thin
	while read -r id; do
		echo "$id" >only
		stream --only only "$2" >want 2>/dev/null
		ok "$1: only $id" stream --only only d
		same "$1: only $id: the same" out want
	done < <(dt-inspect whole | jq -r '.layers[0, -1]')
}

# --- the same image ---
spec plain '{}'
both 'store paths' plain
for list in /dev/null only; do
	stream --format oci --only "$list" plain >want
	ok "--format oci, and the layers in $list" stream --format oci --only "$list" d
	same 'gives the same archive' out want
done
is 'the files' "$(facts d)" ' d 755
plan f 644
prepared.json f 644
stubs.tar f 644
thin.tar f 644
top.tar f 644'
is 'the plan has the closure' "$(tr ' ' '\n' <d/plan | sort)" "$(printf '%s\n' "$library" "$bash" "$app")"
spec rich '{tag: "t", config: {Cmd: [$app + "/bin/app"], Healthcheck: {Test: ["NONE"]}}, includeNixDB: true,
	uid: 1000, gid: 100, uname: "me", gname: "us", mtime: "2002-03-04T05:06:07Z", created: "2001-02-03T04:05:06Z",
	maxLayers: 4, extraCommands: "echo run >&2; echo x >>$T/../runs", fakeRootCommands: "touch file; chown 3:4 file"}'
sed -i "s,\$T/../runs,$T/runs," rich
both 'all keys' rich
: >runs
stream d >/dev/null
is 'the second step runs no command' "$(cat runs)" ''
jq '.name = "y" | .fromImage = "whole.tar"' plain >on-base
cp whole whole.tar
both 'on a base image' on-base
is 'the base image is absolute' "$(jq -r .fromImage d/prepared.json)" "$T/whole.tar"
jq '.includeStorePaths = false' plain >none
both 'no store paths' none
is 'then the plan is empty' "$(cat d/plan d/stubs.tar)" ''

# --- the same directory ---
rm -rf d e
mkdir -p other/tmp
stream --prepare d rich 2>/dev/null
(cd other && TMPDIR=$T/other/tmp DT_CACHE=$T/none dt-stream-layered-image --store ../s --prepare e/ ../rich 2>/dev/null)
ok 'a slash may follow the name, and the same specification gives the same directory' diff -r d other/e
is 'it names no scratch directory' "$(grep -rlaF "$T" d)" ''
for path in "$library" "$bash" "$app"; do
	is "a reader of text finds $path" "$(grep -laF "${path#/nix/store/}" d/plan d/stubs.tar d/thin.tar | wc -l)" 3
done
export SOURCE_DATE_EPOCH=1000000000
rm -rf d
stream plain >whole
ok 'SOURCE_DATE_EPOCH' stream --prepare d plain
unset SOURCE_DATE_EPOCH
ok 'counts in the first step' stream d
same 'only there' out whole
spec now '{created: "now", mtime: "now"}'
rm -rf d
ok 'the time now' stream --prepare d now
ok 'is that of the first step' stream d
dt-inspect out | jq 'del(.absent)' >whole.json
is 'in the documents, too' "$(dt-inspect d/thin.tar | jq 'del(.absent)')" "$(cat whole.json)"

# --- in a sandbox with one user and no devices, as builds of Nix have it ---
in_sandbox() {
	bwrap --unshare-all --uid 1000 --gid 100 --ro-bind / / --tmpfs /tmp --dev /dev --proc /proc --bind "$T" "$T" "$@"
}
jq '.enableFakechroot = true | .fakeRootCommands = "mkdir -p etc; touch etc/x; chown 3:4 etc/x"' rich >chroot
rm -rf d e
ok 'outside of the sandbox' stream --prepare d chroot
ok 'in the sandbox' in_sandbox dt-stream-layered-image --store s --prepare e chroot
ok 'it is the same directory' diff -r d e

# --- what the second step reads ---
rm -rf d
stream --prepare d on-base
mv whole.tar away.tar
# The leak sanitizer does not work under strace.
traced() { DT_CACHE=$T/none ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -e trace=openat,open,execve -o trace "$@"; }
ok 'a thin image, without a cache' traced dt-stream-layered-image --store s --only /dev/null d
is 'opens nothing of the store, and no base' "$(grep open trace | grep -cE '[0-9]-[a-z]+-[0-9]|away|whole')" 0
like 'the trace has other files' trace 'd/thin.tar'
own=$(dt-inspect d/thin.tar | jq -r '.layers[-1]')
echo "$own" >only
ok 'the last layer alone' traced dt-stream-layered-image --store s --only only d
# The sandbox names the base by O_PATH, which reads nothing.
is 'opens nothing of it either' "$(grep open trace | grep -v O_PATH | grep -cE '[0-9]-[a-z]+-[0-9]|away|whole')" 0
is 'no planning' "$(grep -cE 'execve.*dt-(closure|popularity|root|nixdb|flatten)' trace)" 0
jq '.tag = "later"' plain >later
rm -rf d
stream --prepare d later
dt-inspect d/thin.tar | jq -r '.layers[1]' >only
ok 'one layer of the store' traced dt-stream-layered-image --store s --only only d
is 'opens the files of this layer alone' "$(grep -oE '/0{31}[0-9]-[a-z]+' trace | sort -u)" "/00000000000000000000000000000002-bash"

# --- faults ---
rm -rf d e
stream --prepare d plain
fails 1 '^dt-stream-layered-image: d: File exists$' 'a directory that is there' stream --prepare d plain
fails 1 '^dt-stream-layered-image: plain: File exists$' 'a file that is there' stream --prepare plain plain
fails 1 'cannot make a scratch directory' 'a directory in none' stream --prepare no/such plain
fails 1 'not a prepared directory' 'another directory' stream s
fails 2 'does not go with --prepare' '--prepare and --only' stream --prepare e --only /dev/null plain
fails 2 'does not go with --prepare' '--prepare and -o' stream --prepare e -o f plain
fails 2 'does not go with a prepared directory' 'a prepared directory is not prepared' stream --prepare e d
fails 2 'does not go with a prepared directory' 'a graph and a prepared directory' stream --graph plan d
fails 2 'does not go with compression' '--only and --compress' stream --compress --only /dev/null d
jq '.version = 2' d/prepared.json >new && cp new d/prepared.json
fails 1 '^dt-stream-layered-image: d: prepared by another version' 'another version' stream d
is 'nothing is written' "$(wc -c <out)" 0
rm -rf d
stream --prepare d plain
spec failing '{extraCommands: "exit 3"}'
fails 1 'extraCommands failed with status 3' 'commands that fail' stream --prepare e failing
is 'leave nothing' "$(ls -A tmp; ls -d e e.* 2>/dev/null)" ''
jq '.name = "y"' on-base | jq --arg base "$T/base.tar" '.fromImage = $base' >gone
cp away.tar base.tar
stream --prepare e gone
rm base.tar
fails 1 'base.tar: No such file' 'a base image that is gone' stream e
dt-root --tree tmp | dt-manifest --name other >base.tar
fails 1 'base.tar: not the base image of e/thin.tar: layer 1 differs' 'another base image' stream e
echo changed >"s$bash/bin/bash"
fails 1 '^dt-layer: layer 2 has the digest [0-9a-f]*, not [0-9a-f]* as in d/stubs.tar: its files changed$' \
	'a store path that changed' stream d
is 'no image' "$(ended out)" no
echo "$library" >"s$bash/bin/bash"
ok 'the same bytes at another time' stream d
rm -r "s$bash"
fails 1 "^dt-layer: .*${bash##*/}" 'a store path that is gone' stream d
echo "$own" >only
ok 'the others need not exist' stream --only only d
mkdir -p "s$bash/bin" && echo "$library" >"s$bash/bin/bash"
head -n 1 d/plan >part && cp part d/plan
fails 1 '^dt-manifest: d/top.tar: layer 2 of d/thin.tar, [0-9a-f]*, is missing$' 'a plan that is truncated' stream d
is 'has no image' "$(ended out)" no
cat part part | sed '2s/.*/'"${app//\//\\/}"'/' >d/plan
fails 1 '^dt-layer: d/stubs.tar: made of another plan: layer 2 differs$' 'another plan' stream d

# --- killed ---
spec slow '{extraCommands: "touch $T/started; sleep 60"}'
sed -i "s,\\\$T,$T," slow
for signal in TERM INT HUP; do
	env --default-signal setsid dt-stream-layered-image --store s --prepare k slow 2>/dev/null &
	pid=$!
	until [ -e started ]; do sleep 0.01; done
	rm started
	kill -"$signal" -- "-$pid"
	wait "$pid"
	is "SIG$signal: status" "$?" $((128 + $(kill -l "$signal")))
	is "SIG$signal: nothing is left" "$(ls -A tmp; ls -d k k.* 2>/dev/null)" ''
done

# --- the other scripts ---
rm -rf d
jq '.compressor = "none"' plain >compressed
ok 'dt-build-layered-image --prepare' dt-build-layered-image --store s --prepare d compressed
ok 'its second step' dt-build-layered-image --store s d
cp out got
dt-build-layered-image --store s compressed >want
same 'dt-build-layered-image in two steps' got want
ok 'without compression' stream d
stream plain >want
same 'is what dt-stream-layered-image gives' out want
printf 'Derive([("out","%s","","")],[],["%s"],"any","/bin/sh",[],[("x","%s")])' "$library" "$bash" "$app" >x.drv
echo '{"drv": "x.drv"}' >shell
dt-stream-nix-shell-image --store s shell >want
ok 'dt-stream-nix-shell-image --prepare' dt-stream-nix-shell-image --store s --prepare n shell
ok 'its second step' dt-stream-nix-shell-image --store s n
same 'dt-stream-nix-shell-image in two steps' out want
ok 'the directories are alike' stream n
same 'each script reads them' out want
finish
