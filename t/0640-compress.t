#!/usr/bin/env bash
# dt-compress: other programs read its output; bad input.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need gzip pigz zstd python3 bsdtar taskset xz openssl


# noise BYTES: bytes that nothing compresses, always the same.
noise() { openssl enc -aes-128-ctr -K 0 -iv 0 -nosalt -in <(head -c "$1" /dev/zero) 2>/dev/null; }

# archive SIZE: a tar of a file of SIZE bytes, half of them noise, which ends in two zero blocks.
archive() {
	python3 -c 'import sys, tarfile
size = int(sys.argv[1])
info = tarfile.TarInfo("file")
info.size = size
sys.stdout.buffer.write(info.tobuf())
data = sys.stdin.buffer.read()
text = b"".join(b"line %d\n" % i for i in range(size // 8 + 1))
data = (data + text)[:size]
sys.stdout.buffer.write(data + bytes(-size % 512) + bytes(1024))' "$1" < <(noise $(($1 / 2)))
}

uncompress_it() { if [ "$1" = gz ]; then gzip -dc; else cat; fi; }

python_gunzip() { python3 -c 'import gzip, shutil, sys
shutil.copyfileobj(gzip.open(sys.stdin.buffer), sys.stdout.buffer)'; }

# same_by DESCRIPTION FILE WANT COMMAND...: what the command makes of the file.
same_by() {
	local what=$1 file=$2 want=$3
	shift 3
	"$@" <"$file" >"$T/back" 2>"$T/err"
	is "$what: status" "$?" 0
	same "$what" "$T/back" "$want"
}

# --- there and back, around the borders of blocks ---

mib=1048576
for size in 0 1 512 513 $((mib - 1536)) $((mib - 1535)) $((2 * mib - 1536)) $((5 * mib + 4321)); do
	archive "$size" >"$T/a.tar"
	for format in gz zstd none; do
		ok "$size bytes, $format" on "$T/a.tar" dt-compress --format "$format"
		is "$size bytes, $format: nothing to say" "$(cat "$T/err")" ''
		cp "$T/out" "$T/a.$format"
	done
	same_by "$size bytes: gzip" "$T/a.gz" "$T/a.tar" gzip -dc
	same_by "$size bytes: pigz" "$T/a.gz" "$T/a.tar" pigz -dc
	same_by "$size bytes: Python" "$T/a.gz" "$T/a.tar" python_gunzip
	same_by "$size bytes: zstd" "$T/a.zstd" "$T/a.tar" zstd -dcq
	same "$size bytes: none" "$T/a.none" "$T/a.tar"
	for format in gz zstd; do
		is "$size bytes, $format: bsdtar" "$(bsdtar -xOf "$T/a.$format" file | sha256sum)" \
			"$(tar -xOf "$T/a.tar" file | sha256sum)"
	done
done
is 'a gzip member has neither name nor time' "$(od -An -tx1 -N 8 "$T/a.gz")" ' 1f 8b 08 00 00 00 00 00'
like 'a zstd frame has a checksum' <(zstd -lv "$T/a.zstd" 2>&1) '^Check: XXH64'
is 'a zstd frame is one' "$(zstd -lv "$T/a.zstd" 2>&1 | sed -n 's/^# Zstandard Frames: //p')" 1

# Several archives on each other are one.
cat "$T/a.tar" "$T/a.tar" >"$T/twice.tar"
ok 'an archive behind another one' on "$T/twice.tar" dt-compress
same_by 'an archive behind another one: gzip' "$T/out" "$T/twice.tar" gzip -dc
tar -cf "$T/padded.tar" -C "$t_dir" lib.sh
ok 'an archive that is padded' on "$T/padded.tar" dt-compress --format zstd
same_by 'an archive that is padded: zstd' "$T/out" "$T/padded.tar" zstd -dcq
truncate -s 3M "$T/holes"
printf end >>"$T/holes"
tar -cSf "$T/sparse.tar" --format=gnu -C "$T" holes
for format in gz none; do
	ok "a sparse file, $format" on "$T/sparse.tar" dt-compress --format "$format"
	same_by "a sparse file, $format" "$T/out" "$T/sparse.tar" uncompress_it "$format"
done

# --- the same bytes ---

{ archive $((7 * mib + 1)); archive $((4 * mib)); } >"$T/b.tar"
for format in gz zstd; do
	dt-compress --format "$format" <"$T/b.tar" >"$T/b.all"
	taskset -c "$(taskset -cp $$ | sed -E 's/.*: ([0-9]+).*/\1/')" \
		dt-compress --format "$format" <"$T/b.tar" >"$T/b.one"
	same "$format: on one core" "$T/b.one" "$T/b.all"
	perl -e '$| = 1; while (read(STDIN, $x, 1 + ($n++ * 7919) % 50000)) { print $x }' <"$T/b.tar" |
		dt-compress --format "$format" >"$T/b.pieces"
	same "$format: in pieces, through a pipe" "$T/b.pieces" "$T/b.all"
done
is 'gz: the level of the gzip program or better' \
	"$(($(dt-compress <"$T/b.tar" | wc -c) <= $(pigz -6 -n -p 1 <"$T/b.tar" | wc -c)))" 1

# --- levels ---

tar -cf "$T/text.tar" -C "$top" doc common
for format in gz zstd; do
	sizes=''
	for level in 1 6 12; do
		ok "level $level of $format" on "$T/text.tar" dt-compress --format "$format" --level "$level"
		sizes+=" $(wc -c <"$T/out")"
		same_by "level $level of $format" "$T/out" "$T/text.tar" zstd -dcq
	done
	is "$format: a higher level makes less" "$(tr ' ' '\n' <<<"${sizes# }" | sort -nr | xargs)" "${sizes# }"
done
ok 'the highest level of zstd' on "$T/text.tar" dt-compress --format zstd --level 19
same_by 'the highest level of zstd' "$T/out" "$T/text.tar" zstd -dcq
fails 2 "^dt-compress: --level .*13" 'gz has 12 levels' dt-compress --level 13
fails 2 "^dt-compress: --level .*20" 'zstd has 19 levels' dt-compress --format zstd --level 20
fails 2 "^dt-compress: --level .*'0'" 'no level 0' dt-compress --level 0
fails 2 "^dt-compress: --level goes with" 'a level of nothing' dt-compress --format none --level 1
fails 2 "^dt-compress: --format takes gz, zstd or none, not 'xz'" 'no such format' dt-compress --format xz
fails 2 "^dt-compress: unexpected operand 'x'" 'an operand' dt-compress x

# --- what is truncated ---

# unreadable DESCRIPTION FORMAT FILE: the file is empty, or no program takes it for whole.
unreadable() {
	local whole=''
	case $2 in
	gz)
		! gzip -t <"$3" 2>/dev/null || whole+=' gzip'
		! pigz -t <"$3" 2>/dev/null || whole+=' pigz'
		! python_gunzip <"$3" >/dev/null 2>&1 || whole+=' python'
		;;
	zstd)
		! zstd -tq <"$3" 2>/dev/null || whole+=' zstd'
		;;
	esac
	[ -s "$3" ] || whole=''
	is "$1, $2: unreadable" "$whole" ''
}

size=$(wc -c <"$T/b.tar")
first=$((7 * mib + 512 + 512 + 1024)) # where the second archive begins
for cut in 0 511 512 1024 $((6 * mib)) $((first - 1024)) $((first - 512)) $((first + 511)) \
	$((size - 1024)) $((size - 512)) $((size - 1)); do
	head -c "$cut" "$T/b.tar" >"$T/cut.tar"
	for format in gz zstd none; do
		fails 1 '^dt-compress: stdin: ' "truncated after $cut bytes, $format" \
			on "$T/cut.tar" dt-compress --format "$format"
		unreadable "truncated after $cut bytes" "$format" "$T/out"
	done
done

# Where the contents end in zeroes it looks like an end, but is none.
{ noise 3000000; head -c 10240 /dev/zero; noise 3000000; } >"$T/file"
tar -cf "$T/zeroes.tar" -C "$T" file
head -c $((512 + (3000000 + 10240) / 512 * 512)) "$T/zeroes.tar" >"$T/cut.tar"
is 'it looks like an end' "$(tail -c 1024 "$T/cut.tar" | tr -d '\0' | wc -c)" 0
fails 1 '^dt-compress: stdin: ' 'truncated where it looks like an end' on "$T/cut.tar" dt-compress
unreadable 'truncated where it looks like an end' gz "$T/out"

fails 1 '^dt-compress: stdin: empty, an archive is expected$' 'nothing' dt-compress
head -c 100000 "$T/file" >"$T/noise"
fails 1 '^dt-compress: stdin: not a' 'no archive' on "$T/noise" dt-compress
fails 1 '^dt-compress: stdin: not a' 'an archive that is compressed' on "$T/a.gz" dt-compress
{ cat "$T/a.tar"; echo garbage; } >"$T/garbage.tar"
fails 1 '^dt-compress: stdin: broken archive' 'something behind the archive' on "$T/garbage.tar" dt-compress
fails 1 '^dt-compress: stdin: Is a directory' 'a directory' on "$T" dt-compress
for format in gz zstd none; do
	fails 1 '^dt-compress: standard output: No space left' "no room, $format" \
		full on "$T/b.tar" dt-compress --format "$format"
done

# A killed one, which was still waiting for more: what it had written is not whole.
archive $((34 * mib)) >"$T/c.tar"
for format in gz zstd; do
	mkfifo "$T/fifo.$format"
	dt-compress --format "$format" <"$T/fifo.$format" >"$T/killed" &
	pid=$!
	exec 9>"$T/fifo.$format"
	head -c $((34 * mib)) "$T/c.tar" >&9
	for ((i = 0; i < 600; i++)); do
		[ "$(wc -c <"$T/killed")" -lt $mib ] || break
		sleep 0.1
	done
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	exec 9>&-
	ok "killed, $format: it had written" test "$(wc -c <"$T/killed")" -ge $mib
	unreadable 'killed' "$format" "$T/killed"
done

# No write ends where a member of gzip does, but the last one. A socket keeps writes apart.
{ printf zero >"$T/file"; truncate -s 8M "$T/file"; tar -cf "$T/zero.tar" -C "$T" file; }
cat >"$T/writes.py" <<'END'
import socket, subprocess, sys, zlib
ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
process = subprocess.Popen(["dt-compress"], stdin=open(sys.argv[1]), stdout=its)
its.close()
data, whole = b"", []
while piece := ours.recv(1 << 20):
    data += piece
    rest = data
    while rest:
        z = zlib.decompressobj(31)
        z.decompress(rest)
        rest = z.unused_data
    whole.append(z.eof)
print(whole)
sys.exit(process.wait() or len(whole) < 16 or whole != [False] * (len(whole) - 1) + [True])
END
ok 'gzip is whole after the last write alone' python3 "$T/writes.py" "$T/zero.tar"

# --- layers are what their digests say ---

mkdir -p "$T/tree/a" "$T/tree/b"
echo one >"$T/tree/a/one"
echo two >"$T/tree/b/two"
{ dt-root --tree "$T/tree/a"; dt-root --tree "$T/tree/b"; } >"$T/layers"
python3 -c 'import sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data.replace(b"\0two\n", b"\0tWo\n"))' <"$T/layers" >"$T/flipped"
dt-manifest --name x <"$T/layers" >"$T/image.tar"
python3 -c 'import sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data.replace(b"\0two\n", b"\0tWo\n"))' <"$T/image.tar" >"$T/flipped.tar"
id=$(tar -tf "$T/layers" --ignore-zeros | tail -n 1)
wrong="^dt-compress: stdin: layer 2 has the digest [0-9a-f]{64}, not its diff_id ${id##*/}\$"
for file in layers image.tar; do
	for format in gz zstd none; do
		ok "$format: $file" on "$T/$file" dt-compress --verify --format "$format"
	done
done
for file in flipped flipped.tar; do
	fails 1 "$wrong" "gz: a byte of $file is another one" on "$T/$file" dt-compress
	is "gz: $file: not complete" "$(gzip -t "$T/out" 2>/dev/null || echo no)" no
	fails 1 "$wrong" "zstd: a byte of $file is another one" on "$T/$file" dt-compress --format zstd
	is "zstd: $file: not complete" "$(zstd -qt "$T/out" 2>/dev/null || echo no)" no
	fails 1 "$wrong" "none: a byte of $file is another one" on "$T/$file" dt-compress --format none --verify
	is "none: $file: no end of archive" "$(tail -c 1024 "$T/out" | tr -d '\0' | wc -c | grep -vx 0 >/dev/null && echo no)" no
	ok "none: $file without --verify" on "$T/$file" dt-compress --format none
	same "none: $file without --verify: as it is" "$T/out" "$T/$file"
done

finish
