#!/usr/bin/env bash
# dt-layer: bad plans, files that change, outputs that fail. No output passes for complete.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # `eval` and `fails` run what is passed to them
. "$(dirname "$0")/lib.sh"
need runuser unshare skopeo

chmod 755 "$T"
store=$T/s/nix/store
mkdir -p "$store"
a=$(store_path a) b=$(store_path b)
mkdir "$T/s$a"
echo a >"$T/s$a/file"
echo b >"$T/s$b"

layer() { dt-layer --store "$T/s" "${@}"; }
# shellcheck disable=SC2059 # it is one
plan() { printf "$@" >"$T/plan"; } # FORMAT ARG...

# is_cut DESCRIPTION FILE: no reader takes what a failed run left.
is_cut() {
	is "$1: no end-of-archive mark" "$(ended "$2")" no
	fails 1 '^dt-manifest: stdin: ' "$1: dt-manifest refuses it" on "$2" dt-manifest --name x
	cp "$T/out" "$T/refused"
	is "$1: and makes no image of it" "$(ended "$T/refused"):$(grep -ac manifest.json "$T/refused")" no:0
}

# --- bad plans ---

# bad_plan REGEX DESCRIPTION FORMAT ARG...
bad_plan() {
	local regex=$1 what=$2
	shift 2
	plan "$@"
	fails 1 "^dt-layer: stdin:$regex\$" "$what" on "$T/plan" layer
	is "$what: nothing on stdout" "$(wc -c <"$T/out")" 0
}

bad_plan ' empty, a plan is expected' 'an empty plan' ''
bad_plan '1: truncated in the middle of a line' 'no newline at the end' '%s' "$a"
bad_plan '2: truncated in the middle of a line' 'no newline at the end of the second line' '%s\n%s' "$a" "$b"
bad_plan '1: a NUL byte' 'a NUL byte' '%s\0\n' "$a"
bad_plan '2: a NUL byte' 'a NUL byte after a line' '%s\n\0\n' "$a"
blanks='a layer is store paths, separated by single blanks'
bad_plan "1: $blanks" 'an empty line' '\n'
bad_plan "2: $blanks" 'an empty line between others' '%s\n\n%s\n' "$a" "$b"
bad_plan "2: $blanks" 'two blanks' '%s\n%s  %s\n' "$a" "$a" "$b"
bad_plan "1: $blanks" 'a blank in front' ' %s\n' "$a"
bad_plan "1: $blanks" 'a blank at the end' '%s \n' "$a"
bad_plan "1: $a is listed twice in the layer" 'a path twice in a layer' '%s %s %s\n' "$a" "$b" "$a"
bad_plan "1: $a/file: not a store path but something inside of $a" 'part of a path' '%s/file\n' "$a"
bad_plan "1: $a/: not a store path but something inside of $a" 'a slash at the end' '%s/\n' "$a"
bad_plan "1: $a/\\.\\./x: not a store path but something inside of $a" 'a way out of a path' '%s/../x\n' "$a"
for bad in /nix/store /nix/store/ /nix/store/x /etc/passwd "${a#/}" "/nix/store/../..$a" \
	"/nix/store/${a##*/}é" "/nix/store/.links" "/gnu/store/${b##*/}" /nix/store/ABCDEFGHIJKLMNOPQRSTUVWXYZ012345-x \
	"/nix/store/$(printf %0244d 0)-x" "//nix/store/${b##*/}" "/nix//store/${b##*/}" "tab	$b"; do
	bad_plan '2: .*: not a path in the store /nix/store' "not a store path: $bad" '%s\n%s\n' "$a" "$bad"
done
plan '/etc/passwd\n'
fails 1 '^dt-layer: stdin:1: /etc/passwd: not a path in the store \(DIR/HASH-NAME is expected\)$' \
	'in no store at all' on "$T/plan" dt-layer
bad_plan "1: .*\\\\033\\[31m.*" 'control characters do not reach the terminal' '/nix/store/\033[31m\n'
bad_plan '1: 12: not a path in the store /nix/store' 'no plan but another stream: a graph' '%s 12 %s\n' "$b" "$a"
echo "$a" | dt-layer --store "$T/s" >"$T/archive"
fails 1 '^dt-layer: stdin' 'no plan but another stream: an archive' on "$T/archive" layer
head -c 269000000 /dev/zero >"$T/huge"
fails 1 '^dt-layer: stdin: more than 268435456 bytes$' 'a plan without end' on "$T/huge" layer
rm "$T/huge"
fails 1 '^dt-layer: stdin: Is a directory$' 'stdin is a directory' on "$T" layer
plan '%s\n%s\n' "$a" "$b"
fails 1 '^dt-layer: --raw writes one layer, but the plan has 2$' '--raw and two layers' on "$T/plan" layer --raw
for option in '--tree' '--tar' '--copy' '--links' '--comment' '--keep-dirlinks' '--keep-directories' \
	'--from' '--from-name' '--from-tag' '--arch' '--os' '--max-unpacked' '--owner keep'; do
	# shellcheck disable=SC2086 # words
	fails 2 "^dt-layer: $option is now dt-root $option: try 'dt-layer --help'$" "$option is answered with the new spelling" \
		on "$T/plan" layer $option x
done
fails 2 "^dt-layer: --single is now dt-root --plan -: try 'dt-layer --help'$" '--single' on "$T/plan" layer --single
fails 2 "^dt-layer: --env is now dt-root --env, which takes a file: try 'dt-layer --help'$" '--env' layer --env '{}'
fails 2 "^dt-layer: --keep-folders is now dt-root --keep-directories: " '--keep-folders' layer --keep-folders x
fails 2 "^dt-root: --keep-directories goes with --owner keep: try 'dt-root --help'$" '--keep-directories alone' \
	dt-root --tree "$T" --keep-directories /dev/null
printf a >"$T/list"
fails 1 "^dt-root: $T/list: truncated, no NUL ends the last name$" '--keep-directories that is truncated' \
	dt-root --tree "$T" --owner keep --keep-directories "$T/list"
fails 1 "^dt-root: $T/none: No such file or directory$" '--keep-directories that is not there' \
	dt-root --tree "$T" --owner keep --keep-directories "$T/none"
fails 1 "^dt-layer: --store $T/none: No such file or directory\$" '--store of what is not there' \
	on "$T/plan" dt-layer --store "$T/none"

# --- paths that cannot be read ---

missing=$(store_path missing)
plan '%s\n%s\n' "$a" "$missing"
fails 1 "^dt-layer: $T/s$missing: No such file or directory\$" 'a path that is not there' on "$T/plan" layer
cp "$T/out" "$T/cut"
is_cut 'a path that is not there' "$T/cut"
plan '%s\n' "$missing"
fails 1 "^dt-layer: $T/s$missing: No such file or directory\$" 'a path that is not there, raw' \
	on "$T/plan" layer --raw
is 'a path that is not there, raw: nothing' "$(wc -c <"$T/out")" 0

secret=$(store_path secret)
mkdir -p "$T/s$secret/d"
echo >"$T/s$secret/d/file"
nobody() { runuser -u nobody -- env "DT_CACHE=$T/none" "PATH=$PATH" "$@" <"$T/plan"; }
plan '%s\n%s\n' "$a" "$secret"
ok 'as nobody' nobody dt-layer --store "$T/s"
chmod 600 "$T/s$secret/d/file"
fails 1 "^dt-layer: $T/s$secret/d/file: Permission denied\$" 'a file that may not be read' nobody dt-layer --store "$T/s"
cp "$T/out" "$T/cut"
is_cut 'a file that may not be read' "$T/cut"
chmod 700 "$T/s$secret/d"
fails 1 "^dt-layer: $T/s$secret/d: Permission denied\$" 'a directory that may not be read' nobody dt-layer --store "$T/s"
chmod 744 "$T/s$secret/d"
fails 1 "^dt-layer: $T/s$secret/d/file: Permission denied\$" 'a directory that may not be searched' nobody dt-layer --store "$T/s"
fails 1 "^dt-root: $T/s$secret/d/file: Permission denied\$" 'in a --tree' nobody dt-root --tree "$T/s$secret"

# --- files that change ---

# The reader is a FIFO that is not read, so dt-layer stands still in the middle of the
# first layer, while the others have been hashed: their facts are in the cache.
head -c 4000000 /dev/urandom >"$T/big"
first=$(store_path first) victim=$(store_path victim)
mkdir "$T/s$first"
cp "$T/big" "$T/s$first/big"
touch -d '1 hour ago' "$T/s$first/big"
mkfifo "$T/fifo"
# More small files than dt-layer keeps in memory, so it reads all files of their layer twice.
mkdir "$T/ballast"
for ((i = 0; i < 300; i++)); do truncate -s 60000 "$T/ballast/$i"; done

# changing WHAT STATUS REGEX SIZE COMMAND: in the layer behind the first one, a file of
# SIZE bytes, $file, is changed by COMMAND after it was hashed, before it is written. The layer has $ballast, too.
changing() {
	local what=$1 want=$2 regex=$3 size=$4 status=0 pid
	file=$T/s$victim/file
	rm -rf "$T/s$victim" "$DT_CACHE"
	mkdir "$T/s$victim"
	[ -z "$ballast" ] || cp -al "$ballast" "$T/s$victim"
	head -c "$size" "$T/big" >"$file"
	touch -d '1 hour ago' "$file"
	settle "$T/s$victim" "$T/s$first"
	printf '%s\n' "$first" "$victim" | dt-layer --store "$T/s" >"$T/fifo" 2>"$T/err" &
	pid=$!
	exec 3<"$T/fifo"
	until [ "$(find "$DT_CACHE" -type f ! -name '.*' 2>/dev/null | wc -l)" -eq 2 ]; do sleep 0.01; done
	eval "$5"
	cat <&3 >"$T/changed"
	exec 3<&-
	wait "$pid" || status=$?
	is "$what: status" "$status" "$want"
	if [ "$want" -eq 0 ]; then
		is "$what: silent" "$(cat "$T/err")" ''
		ok "$what: whole" on "$T/changed" dt-manifest --name x --verify
	else
		is "$what: one line" "$(wc -l <"$T/err")" 1
		like "$what: names the file" "$T/err" "^dt-layer: $T/s$victim$regex\$"
		is_cut "$what" "$T/changed"
	fi
}
ballast=$T/ballast
for size in 1000 3000000; do
	changing "$size bytes: vanishes" 1 '/file: No such file or directory' $size 'rm "$file"'
	changing "$size bytes: grows" 1 '/file: changed while it was read' $size 'echo >>"$file"'
	changing "$size bytes: shrinks" 1 '/file: changed while it was read' $size 'truncate -s 999 "$file"'
	changing "$size bytes: is emptied" 1 '/file: changed while it was read' $size ': >"$file"'
	changing "$size bytes: other contents" 1 '/file: changed while it was read' $size \
		'printf x | dd of="$file" conv=notrunc status=none'
	changing "$size bytes: other contents, times kept" 1 '/file: changed while it was read' $size \
		'touch -r "$file" "$T/times"; printf x | dd of="$file" conv=notrunc status=none; touch -r "$T/times" "$file"'
	changing "$size bytes: another file, times kept" 1 '/file: changed while it was read' $size \
		'cp -p "$file" "$T/new"; printf x | dd of="$T/new" conv=notrunc status=none; touch -r "$file" "$T/new"; mv "$T/new" "$file"'
	changing "$size bytes: becomes a link" 1 '/file: .*' $size 'ln -sf "$T/big" "$file"'
	changing "$size bytes: becomes a FIFO" 1 '/file: changed while it was read' $size 'rm "$file"; mkfifo "$file"'
	changing "$size bytes: becomes a directory" 1 '/file: .*' $size 'rm "$file"; mkdir "$file"'
done
changing 'its directory vanishes' 1 '/ballast/0: No such file or directory' 10 'rm -r "$T/s$victim"'
changing 'is linked to its like, as the optimiser does' 0 '' 1000 \
	'cp -p "$file" "$file.new"; mv "$file.new" "$file"; ln "$file" "$T/link"; rm "$T/link"'
ballast=''
for command in 'rm "$file"' 'printf x | dd of="$file" conv=notrunc status=none'; do
	changing "a file that dt-layer keeps in memory: $command" 0 '' 1000 "$command"
done
changing 'gets another name' 0 '' 3000000 'ln "$file" "$T/link"; rm "$T/link"'

# While it is written: dt-layer stands still in the middle of the file.
writing() { # WHAT COMMAND
	local what=$1 file=$T/s$first/big status=0 pid
	cp "$T/big" "$file"
	touch -d '1 hour ago' "$file"
	printf '%s\n' "$first" | dt-layer --store "$T/s" >"$T/fifo" 2>"$T/err" &
	pid=$!
	exec 3<"$T/fifo"
	head -c 100000 <&3 >"$T/changed"
	eval "$2"
	cat <&3 >>"$T/changed"
	exec 3<&-
	wait "$pid" || status=$?
	is "$what while it is written: status" "$status" 1
	is "$what while it is written: says so" "$(cat "$T/err")" "dt-layer: $file: changed while it was read"
	is_cut "$what while it is written" "$T/changed"
}
writing 'grows' 'echo >>"$file"'
writing 'shrinks' 'truncate -s 3000000 "$file"'
writing 'changes, times kept' \
	'touch -r "$file" "$T/times"; printf x | dd of="$file" conv=notrunc status=none; touch -r "$T/times" "$file"'
writing 'changes' 'printf x | dd of="$file" conv=notrunc status=none'

# While it is hashed: dt-layer is stopped in the middle of a file of many zeroes.
hashing() { # WHAT COMMAND
	local what=$1 file=$T/s$first/sparse status=0 pid
	rm -f "$file"
	truncate -s 512M "$file"
	printf '%s\n' "$first" | dt-layer --store "$T/s" >"$T/changed" 2>"$T/err" &
	pid=$!
	until readlink "/proc/$pid/fd"/* 2>/dev/null | grep -qxF "$file"; do
		kill -0 "$pid" 2>/dev/null || break
	done
	kill -STOP "$pid"
	eval "$2"
	kill -CONT "$pid"
	wait "$pid" || status=$?
	is "$what while it is hashed: status" "$status" 1
	is "$what while it is hashed: says so" "$(cat "$T/err")" "dt-layer: $file: changed while it was read"
	is "$what while it is hashed: nothing comes out" "$(wc -c <"$T/changed")" 0
	rm -f "$file"
}
hashing 'grows' 'echo >>"$file"'
hashing 'shrinks' 'truncate -s 1000000 "$file"'

# --- outputs that fail ---

for command in dt-layer 'dt-layer --raw' "dt-root --tree $T/s$a" "dt-root --links $a" 'dt-root --plan -'; do
	for path in "$a" "$first"; do
		plan '%s\n' "$path"
		# shellcheck disable=SC2086 # a list
		fails 1 '^dt-[a-z]*: (writing )?standard output: No space left on device$' \
			"no room: $command ${path##*-}" full on "$T/plan" $command --store "$T/s"
		# shellcheck disable=SC2086 # a list
		fails 1 '^dt-[a-z]*: standard output: Bad file descriptor$' \
			"stdout closed: $command ${path##*-}" closed on "$T/plan" $command --store "$T/s"
	done
done

# A file system that fills up, at any place.
cat >"$T/on-tmpfs" <<'END'
mkdir -p "$1" && mount -t tmpfs -o size="$2" tmpfs "$1" || exit 9
dt-layer --store "$3" >"$1/out" 2>"$1.err"
echo $? >"$1.status"
cp "$1/out" "$1.out"
END
plan '%s\n%s\n%s\n' "$a" "$first" "$b"
whole=$(on "$T/plan" layer | wc -c)
for size in 4096 1M 3M $((whole - 4096)); do
	unshare -m bash "$T/on-tmpfs" "$T/full" "$size" "$T/s" <"$T/plan"
	is "a file system of $size bytes: status" "$(cat "$T/full.status")" 1
	is "a file system of $size bytes: one line" "$(wc -l <"$T/full.err")" 1
	like "a file system of $size bytes: says why" "$T/full.err" 'standard output: No space left on device$'
	is_cut "a file system of $size bytes" "$T/full.out"
done

# A reader that goes away.
on "$T/plan" layer 2>"$T/err" | head -c 1000 >"$T/changed"
is 'a reader that goes away' "${PIPESTATUS[0]}:$(cat "$T/err")" 141:
is_cut 'a reader that goes away' "$T/changed"
(
	trap '' PIPE
	on "$T/plan" layer 2>"$T/err" | head -c 1000 >/dev/null
	exit "${PIPESTATUS[0]}"
)
is 'a reader that goes away, SIGPIPE ignored' "$?:$(cat "$T/err")" \
	'1:dt-layer: standard output: Broken pipe'

# --- killed ---

for bytes in 0 100 600 20000 1000000; do
	dt-layer --store "$T/s" <"$T/plan" >"$T/fifo" &
	pid=$!
	exec 3<"$T/fifo"
	head -c "$bytes" <&3 >"$T/changed"
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	cat <&3 >>"$T/changed"
	exec 3<&-
	is_cut "killed after at least $bytes bytes" "$T/changed"
done

# Cut anywhere else.
on "$T/plan" layer >"$T/archive"
mv "$T/archive" "$T/whole"
for bytes in $((whole - 1)) $((whole - 511)) $((whole - 512)) $((whole - 513)) $((whole - 1024)) \
	$((whole - 1025)) 511 512 1024 1536 1537 2048 12000; do
	head -c "$bytes" "$T/whole" >"$T/cut"
	is_cut "cut after $bytes of $whole bytes" "$T/cut"
done
ok 'not cut' on "$T/whole" dt-manifest --name x

# What is an image, but for its end, is none to other tools either.
cp "$T/out" "$T/image.tar"
ok 'skopeo takes the whole image' skopeo inspect "docker-archive:$T/image.tar"
head -c "$whole" "$T/image.tar" >"$T/cut"
is_cut 'an image cut before its documents' "$T/cut"
fails 1 . 'an image cut before its documents: skopeo refuses it' skopeo inspect "docker-archive:$T/cut"

finish
