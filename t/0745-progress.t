#!/usr/bin/env bash
# The progress on a terminal: its lines, what is left of them, and where there are none. Colors.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154,SC2317 # jq has variables, too; start_registry sets $r; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need python3 openssl jq
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR NO_COLOR
export TERM=xterm
start_registry r

# terminal SIZE COMMAND...: runs the command with a terminal as its stderr, see t/fixtures/terminal.py.
terminal() { rm -rf "$T/t" && "$t_dir/fixtures/terminal.py" "$T/t" "$@"; }

# frames FILTER: prints the array of all texts of the terminal that match the filter of jq. A text is an array of
# lines, $columns and $rows are the size of the terminal.
frames() { jq -sc "map(.columns as \$columns | .rows as \$rows | .lines | select($1))" "$T/t/frames"; }

# shown WHAT FILTER: tests that the terminal had such a text. none WHAT FILTER: that it had not.
shown() { is "$1" "$(frames "$2" | jq 'length > 0')" true; }
none() { is "$1" "$(frames "$2")" '[]'; }
# remains WHAT TEXT: tests what is on the terminal at the end.
remains() { is "$1" "$(cat "$T/t/screen")" "$2"; }

# The last line of the progress, and the line of a layer. The text after a message may have more lines.
total='test("^dt-[a-z]+: [0-9]+ (of [0-9]+ )?[a-z ]+(, [0-9.]+ (of (about )?[0-9.]+ )?[kMG]B)?(, [0-9.]+ [kMG]B/s)?(, [0-9:]+ left)?$")'
layer='test("^[0-9a-f]{12} (downloading|uncompressing|compressing|checking|uploading)( +\\[=*>? *\\])?( +[0-9.]+ (of [0-9.]+ )?[kMG]B)?( +[0-9.]+ [kMG]B/s)?( +[0-9:]+)?$")'
progress="(length > 0 and (.[-1] | $total) and all(.[:-1][]; $layer))"

# slow FILE RATE: starts a proxy before the registry, and writes its HOST:PORT to the file. Sets $proxy to its process.
slow() {
	rm -f "$1"
	"$t_dir/fixtures/throttle.py" "$1" "$r" "$2" &
	proxy=$!
	at_exit "kill $proxy 2>/dev/null"
	until [ -s "$1" ]; do sleep 0.02; done
}
slow "$T/port" 3000000
slow=$(cat "$T/port")

for n in {1..6}; do random_layer "$n" 3000000 --comment "layer $n"; done | dt-manifest --name x --tag 1 --arch amd64 >"$T/a.tar"
push() { dt-push --tls-verify=false "$@" <"$T/a.tar"; }
pull() { dt-pull --tls-verify=false --no-cache --name x -o "$T/pulled" "$@"; }
export -f push pull
export T

# --- dt-push and dt-pull ---

push "$r/a:1" >"$T/want"
digest=$(sed -n 's/^manifest //p' "$T/want")
pull "$r/a@$digest"
cp "$T/pulled" "$T/want.tar"

ok 'dt-push' terminal 80x24 bash -c "push --jobs 3 $slow/b:1"
same 'dt-push: the output is as usual' "$T/out" "$T/want"
none 'dt-push: only progress' "length > 0 and ($progress | not)"
shown 'dt-push: several layers at once' "$progress and length >= 4"
shown 'dt-push: a rate and the time left, of the total' "$progress and (.[-1] | test(\"^dt-push: [0-9] of 6 layers, [0-9.]+ of (about )?[0-9.]+ MB, [0-9.]+ MB/s, 0:0[0-9] left\$\"))"
shown 'dt-push: a rate and the time left, of a layer' "$progress and any(.[:-1][]; test(\"uploading +\\\\[=+> *\\\\] +[0-9.]+ of 3.0 MB +[0-9.]+ MB/s +0:0[0-9]\$\"))"
remains 'dt-push: nothing is left' ''

ok 'dt-pull' terminal 80x24 bash -c "pull --jobs 3 $slow/a@$digest"
same 'dt-pull: the archive is as usual' "$T/pulled" "$T/want.tar"
none 'dt-pull: only progress, and the message at the end' "length > 0 and ($progress | not) and (.[0] | test(\"^dt-pull: $slow/a: 18.0 MB in [0-9.]+ s, 0 of 6 layers were in the cache\$\") | not)"
shown 'dt-pull: several layers at once' "$progress and length == 4"
none 'dt-pull: no more layers than --jobs' "$progress and length > 4"
shown 'dt-pull: a rate and the time left, of the total' "$progress and (.[-1] | test(\"^dt-pull: [0-9] of 6 layers, [0-9.]+ of 18.0 MB, [0-9.]+ MB/s, 0:0[0-9] left\$\"))"
shown 'dt-pull: a rate and the time left, of a layer' "$progress and any(.[:-1][]; test(\"downloading +\\\\[=+> *\\\\] +[0-9.]+ of 3.0 MB +[0-9.]+ MB/s +0:0[0-9]\$\"))"
is 'dt-pull: one line is left' "$(wc -l <"$T/t/screen")" 1
is 'dt-pull: drawn at most ten times a second' \
	"$(jq -rn --slurpfile f "$T/t/frames" --rawfile s "$T/t/screen" '($s | capture("in (?<s>[0-9.]+) s").s | tonumber) as $seconds | ($f | length) <= 10 * $seconds + 3')" true

# Sizes.
ok 'a low terminal' terminal 80x4 bash -c "pull --jobs 6 $slow/a@$digest"
none 'a low terminal: no more lines than it has, without one' "$progress and length > 3"
shown 'a low terminal: as many as fit' "$progress and length == 3"
is 'a low terminal: nothing scrolled' "$(wc -l <"$T/t/screen")" 1
ok 'a narrow terminal' terminal 40x24 bash -c "pull --jobs 2 $slow/a@$digest"
none 'a narrow terminal: no line is as wide' 'any(.[]; test("downloading")) and any(.[]; length >= $columns)'
shown 'a narrow terminal: layers are shown' 'any(.[]; test("^[0-9a-f]{12} downloading")) and length == 3'
ok 'a wide terminal' terminal 200x24 bash -c "pull --jobs 2 $slow/a@$digest"
shown 'a wide terminal: a longer bar' 'any(.[]; test("\\[[=> ]{40}\\]"))'
ok 'a terminal of one line' terminal 80x1 bash -c "pull $slow/a@$digest"
none 'a terminal of one line: the total' "$progress and length > 1"
ok 'a new size' terminal 120x24,60x3 bash -c "pull $slow/a@$digest"
shown 'a new size: it is used' '$columns == 60 and (.[-2] | test("^[0-9a-f]{12} [du]")) and (.[-1] | test("^dt-pull: ")) and all(.[-2:][]; length < 60)'

# Errors. The process of the proxy is killed when layers are shown.
failing() { # COMMAND TARGET
	local status=0
	slow "$T/dying" 300000
	rm -rf "$T/t"
	{
		until grep -q loading "$T/t/frames" 2>/dev/null; do sleep 0.02; done
		kill "$proxy"
	} &
	terminal 300x24 bash -c "$1 --timeout 2 --retries 0 $(cat "$T/dying")/$2" || status=$?
	wait $!
	return "$status"
}
failed() { # WHAT STATUS MESSAGE
	is "$1: the status" "$status" 1
	is "$1: one line remains" "$(wc -l <"$T/t/screen")" 1
	like "$1: it is the message" "$T/t/screen" "$2"
}
status=0
failing push c:1 >"$T/out" 2>"$T/err" || status=$?
failed 'dt-push fails' '^dt-push: 127\.0\.0\.1:[0-9]+/c: '
status=0
failing pull "a@$digest" >"$T/out" 2>"$T/err" || status=$?
failed 'dt-pull fails' '^dt-pull: 127\.0\.0\.1:[0-9]+/a: '

# --verbose: the messages are above the progress.
ok '--verbose' terminal 300x24 bash -c "pull --verbose --jobs 2 $slow/a@$digest"
is '--verbose: a line for each of eight blobs, and one at the end' "$(wc -l <"$T/t/screen")" 9
is '--verbose: none is mixed with the progress' "$(grep -Ecv '^dt-pull: (manifest|blob) sha256:[0-9a-f]{64}: downloaded, [0-9.]+ MB in [0-9.]+ s: the cache is off$' "$T/t/screen")" 1
shown '--verbose: progress below messages' "(.[0] | test(\": downloaded, \")) and (.[-1] | $total) and any(.[]; test(\"^[0-9a-f]{12} downloading\"))"

# Where nothing is drawn.
piped() { dt-pull --tls-verify=false --no-cache --name x "$slow/a@$digest" | cat >"$T/pulled"; }
export -f piped
export slow digest
ok 'to a pipe' terminal 80x24 bash -o pipefail -c piped
none 'to a pipe: only the total' "$progress and length > 1"
shown 'to a pipe: the total' "$progress and length == 1"
same 'to a pipe: the archive' "$T/pulled" "$T/want.tar"
for term in dumb ''; do
	ok "TERM=$term" terminal 80x24 env TERM="$term" bash -c "pull $slow/a@$digest"
	is "TERM=$term: only the message at the end" "$(tr -d '\r' <"$T/t/raw" | sed -E 's/18.0 MB in [0-9.]+ s/TIME/')" "dt-pull: $slow/a: TIME, 0 of 6 layers were in the cache"
done
ok 'no terminal' pull "$slow/a@$digest"
is 'no terminal: nothing is printed' "$(cat "$T/err")" ''

# --- one line ---

# feed FILE: prints the file slowly until progress was shown, then the rest.
cat >"$T/feed" <<'END'
import os, sys, time
data = open(sys.argv[1], 'rb').read()
frames, at = sys.argv[2], 0
while at < len(data):
    is_shown = os.path.exists(frames) and os.path.getsize(frames) > 1000
    step = len(data) if is_shown else 10240
    sys.stdout.buffer.write(data[at:at + step])
    sys.stdout.buffer.flush()
    at += step
    time.sleep(0 if is_shown else 0.02)
END
feed() { python3 "$T/feed" "$T/a.tar" "$T/t/frames"; }
export -f feed
ok 'one line' terminal 80x24 bash -c 'feed | dt-compress --format none >"$T/copy"'
same 'one line: the output' "$T/copy" "$T/a.tar"
none 'one line: only progress' "length > 0 and ($progress | not)"
none 'one line: not more' 'length > 1'
shown 'one line: with a rate' 'any(.[]; test("^dt-compress: [0-9]+ members, [0-9.]+ [kM]B, [0-9.]+ [kM]B/s$"))'
remains 'one line: nothing is left' ''
ok 'two tools of a pipeline' terminal 80x24 bash -c 'feed | dt-compress --format none | dt-compress --format none >"$T/copy"'
none 'two tools of a pipeline: one line' "length > 1 or (length == 1 and ($progress | not))"
remains 'two tools of a pipeline: nothing is left' ''
other() {
	feed | dt-compress --format none >"$T/copy" &
	until [ -s "$T/t/frames" ]; do sleep 0.02; done
	dt-layer --nonsense
	wait
}
export -f other
terminal 80x24 bash -c other >"$T/out" 2>"$T/err"
remains 'a message of another tool: it has a line of its own' "dt-layer: unknown option '--nonsense': try 'dt-layer --help'"

# --- colors ---

colored() { TERMINAL_STDOUT=1 terminal 100x100 "$@"; }
differ() { colored env "$1" bash -c "dt-diff $T/old.tar $T/new.tar || [ \$? -eq 1 ]"; }
escapes() { grep -ac $'\e\\[' "$T/t/raw"; }
rm -r "$T/tree"
mkdir "$T/tree"
: >"$T/tree/old"
dt-root --tree "$T/tree" | dt-manifest --name x --tag 1 >"$T/old.tar"
mv "$T/tree/old" "$T/tree/new"
dt-root --tree "$T/tree" | dt-manifest --name x --tag 1 >"$T/new.tar"
dt-diff "$T/old.tar" "$T/new.tar" >"$T/differences"
colored dt-diff "$T/old.tar" "$T/new.tar" >"$T/out" 2>&1
like 'dt-diff: removed files are red' "$T/t/raw" $'^\e\\[31mremoved \./old\e\\[m'
like 'dt-diff: added files are green' "$T/t/raw" $'^\e\\[32madded \./new\e\\[m'
is 'dt-diff: otherwise the same' "$(sed $'s/\e\\[[0-9]*m//g; s/\r//' "$T/t/raw")" "$(cat "$T/differences")"
for off in NO_COLOR=1 TERM=dumb; do
	ok "dt-diff, $off" differ "$off"
	is "dt-diff, $off: no colors" "$(tr -d '\r' <"$T/t/raw")" "$(cat "$T/differences")"
done
ok 'dt-diff, an empty NO_COLOR' differ NO_COLOR=
like 'dt-diff, an empty NO_COLOR: colors' "$T/t/raw" $'\e\\[31m'
is 'dt-diff -o: no colors' "$(colored dt-diff -o "$T/report" "$T/old.tar" "$T/new.tar"; cat "$T/report")" "$(cat "$T/differences")"
colored dt-doctor >"$T/out" 2>&1
like 'dt-doctor: ok is green' "$T/t/raw" $'^\e\\[32mok      \e\\[m '
is 'dt-doctor: each line has a color' "$(tr -d '\r' <"$T/t/raw" | grep -Ecv $'^\e\\[3[123]m(ok|limited|missing|broken|unknown) +\e\\[m |^dt-doctor: ')" 0
finish
