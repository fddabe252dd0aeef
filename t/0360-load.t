#!/usr/bin/env bash
# Large inputs and low limits: memory and descriptors are bounded, and the results are those of small inputs.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; `ok` runs the functions
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need python3 /usr/bin/time bsdtar busybox taskset

# measured COMMAND...: runs the command. $T/memory is the most memory that it had resident, in KiB.
measured() { /usr/bin/time -q -f %M -o "$T/memory" "$@"; }

# within DESCRIPTION MIB INPUT COMMAND...: the command succeeds, and has at most this much memory resident.
within() {
	local what=$1 limit=$(($2 * 1024))
	ok "$what" on "$3" measured "${@:4}"
	is "$what: in $2 MiB ($(cat "$T/memory") KiB)" "$([ "$(cat "$T/memory")" -le "$limit" ] && echo yes)" yes
}

# image_of TAR IMAGE: makes an image of a rootfs tar.
image_of() { dt-root --no-cache --tar "$1" | dt-manifest --name x >"$2"; }

# files.py TAR N: a rootfs tar of N files, of which each directory has 1000.
cat >"$T/files.py" <<'END'
import sys, tarfile
with tarfile.open(sys.argv[1], 'w', format=tarfile.USTAR_FORMAT) as out:
    for i in range(int(sys.argv[2])):
        if i % 1000 == 0:
            directory = tarfile.TarInfo('directory-%03d' % (i // 1000))
            directory.type = tarfile.DIRTYPE
            out.addfile(directory)
        out.addfile(tarfile.TarInfo('directory-%03d/file-%06d' % (i // 1000, i)))
END

# odd.py TAR: a rootfs tar of files of all types, with odd names, in directories of several levels.
cat >"$T/odd.py" <<'END'
import io, random, sys, tarfile
r = random.Random(3)
words = [b'a', b'b', b'A', b'a b', b'\xff\xfe', b'\xc3\xa9', b'#x', b'x=y', b'back\\slash', b'new\nline', b'\x7f',
         b'\xf0\x9f\x98\x80', b'\xed\xa0\x80', b'\xef\xbf\xbf', b'a.b', b'a-b', b'a!', b'..x', b'*', b'x' * 250, b'?[]']
words = [word.decode('utf-8', 'surrogateescape') for word in words]
names, directories = set(), ['']
with tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT) as out:
    for i in range(5000):
        name = r.choice(directories) + r.choice(words) + r.choice(['', str(r.randrange(50))])
        if name in names or len(name) > 2000:
            continue
        names.add(name)
        member, data = tarfile.TarInfo(name), bytes(r.randrange(3000))
        member.mode, member.mtime, member.uid = r.choice([0o644, 0o4755]), r.randrange(9999), r.randrange(9)
        if i % 17 == 0:
            member.type = tarfile.DIRTYPE
            directories.append(name + '/')
        elif i % 17 == 1:
            member.type, member.linkname = tarfile.SYMTYPE, '../a #' + str(i)
        elif i % 17 == 2:
            member.type = r.choice([tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
        else:
            member.size = len(data)
        out.addfile(member, io.BytesIO(data) if member.size else None)
END

# --- dt-flatten --list ---

python3 "$T/odd.py" "$T/odd.tar"
image_of "$T/odd.tar" "$T/odd.image"
dt-flatten "$T/odd.image" >"$T/odd.flat"
LC_ALL=C.UTF-8 bsdtar -cf - --format=mtree --options=mtree:sha256 "@$T/odd.flat" 2>/dev/null | sed 's/ nlink=0//' >"$T/want"
dt-flatten --list "$T/odd.image" | sed '/^\. /d' >"$T/got"
is '--list: more entries than a writer holds' "$(($(wc -l <"$T/got") > 3 * 1024))" 1
same '--list: as bsdtar lists the tar' "$T/got" "$T/want"

python3 "$T/files.py" "$T/files.tar" 50000
image_of "$T/files.tar" "$T/files.image"
within '--list: 50,000 files' 16 /dev/null dt-flatten --list "$T/files.image"
is '--list: all of them' "$(grep -c ' type=file' "$T/out")" 50000

within 'dt-flatten: 50,000 files' 15 /dev/null dt-flatten "$T/files.image"

# --- dt-root ---

mkdir "$T/tree"
tar -xf "$T/files.tar" -C "$T/tree"
(cd "$T/tree" && find . -mindepth 1 -type d -print0) >"$T/directories"
within '--tree: 50,000 files' 14 /dev/null dt-root --no-cache --owner keep --keep-directories "$T/directories" --tree "$T/tree"
is '--tree: all of them' "$(tar -xOf "$T/out" --wildcards 'blobs/*' | tar -t | grep -c file)" 50000
within '--tar: 50,000 files' 15 /dev/null dt-root --no-cache --tar "$T/files.tar"
linked=$(store_path linked)
mkdir -p "$T/links/nix/store"
mv "$T/tree" "$T/links$linked"
within '--links: 50,000 files' 15 /dev/null dt-root --no-cache --store "$T/links" --links "$linked"
is '--links: all of them' "$(tar -xOf "$T/out" --wildcards 'blobs/*' | tar -tv | grep -c " -> $linked/directory")" 50000

# --- 64 descriptors ---

# few COMMAND...: runs the command with at most 64 descriptors.
few() (ulimit -n 64 && "$@")
# equal DESCRIPTION COMMAND...: the output is the same with few descriptors as without a limit.
equal() {
	"${@:2}" >"$T/want"
	ok "$1" few "${@:2}"
	same "$1: the same output" "$T/out" "$T/want"
}

mkdir -p "$T/store/nix/store"
for ((i = 0; i < 127; i++)); do
	path=$(store_path "$i")
	ln -s "to-$i" "$T/store$path"
	echo "$path"
done >"$T/plan"
equal 'dt-layer, 127 layers' on "$T/plan" dt-layer --store "$T/store"
equal 'dt-layer, from the cache' on "$T/plan" dt-layer --store "$T/store"
# The image has all layers but one, which dt-manifest adds.
head -n 126 "$T/plan" | dt-layer --store "$T/store" | dt-manifest --name x >"$T/plain" 2>"$T/err"
like 'an image of 126 layers' "$T/err" '126 layers'
dt-compress --layers <"$T/plain" >"$T/packed"
for image in plain packed; do
	mkdir "$T/$image.d"
	tar -xf "$T/$image" -C "$T/$image.d"
done
tail -n 1 "$T/plan" | dt-layer --store "$T/store" >"$T/layer"
printf '%s\n' 'ls /nix/store >/list' >"$T/script"
for image in plain packed plain.d packed.d; do
	equal "dt-flatten, $image" dt-flatten "$T/$image"
	equal "dt-inspect, $image" dt-inspect "$T/$image"
	equal "dt-merge, $image" dt-merge "$T/$image"
	equal "dt-vmrun, $image" dt-vmrun --backend userns --from "$T/$image" "$T/script"
done
for image in plain packed; do
	equal "dt-manifest --from, $image" on "$T/layer" without "127 layers" dt-manifest --from "$T/$image" --name y
	equal "dt-compress, $image" on "$T/$image" dt-compress --layers
done
start_registry r
ok 'dt-push' few on "$T/plain" dt-push --no-cache --tls-verify=false "$r/x:1"
equal 'dt-pull' dt-pull --no-cache --tls-verify=false "$r/x@$(sed -n 's/^manifest //p' "$T/out")"

# --- long names ---

# A name of 255 bytes, and a path of 4095 bytes, which is the longest that system calls take.
cat >"$T/long.py" <<'END'
import os, sys
path = '/nix/store/%032d-long' % 7
os.makedirs(sys.argv[1] + path)
os.chdir(sys.argv[1] + path)
open('n' * 255, 'w').close()
length = len(path)
while 4095 - length > 256:
    os.mkdir('d' * 200)
    os.chdir('d' * 200)
    length += 201
open('e' * (4095 - length - 1), 'w').close()
print(path)
END
python3 "$T/long.py" "$T/long" >"$T/plan.long"
tar -cf - -C "$T/long" nix | tar -t | sed 's,/$,,' | sort >"$T/want"
is 'the longest path' "$(awk '{ print length($0) }' "$T/want" | sort -n | tail -n 1)" 4094
paths_of() { dt-manifest --name x | dt-flatten | tar -t | sed 's,/$,,' | sort; }
dt-layer --no-cache --store "$T/long" <"$T/plan.long" | paths_of >"$T/got"
same 'dt-layer: long names' "$T/got" "$T/want"
dt-root --no-cache --tree "$T/long" | paths_of >"$T/got"
same 'dt-root --tree: long names' "$T/got" "$T/want"
dt-root --no-cache --tree "$T/long" | dt-manifest --name x | dt-flatten --list | sed '1,2d; s/ .*//; s,^\./,,' |
	sort >"$T/got"
same 'dt-flatten --list: long names' "$T/got" "$T/want"

# --- memory does not depend on bytes ---

mkdir -p "$T/big"
truncate -s 300M "$T/big/file"
within 'dt-root: 300 MB' 20 /dev/null dt-root --no-cache -o "$T/big.layer" --tree "$T/big"
within 'dt-manifest: 300 MB' 20 "$T/big.layer" dt-manifest --name x -o "$T/big.image"
within 'dt-flatten: 300 MB' 20 /dev/null dt-flatten -o "$T/big.tar" "$T/big.image"
rm -r "$T"/big*
printf '%s\n' 'truncate -s 300M /big' >"$T/script"
within 'dt-vmrun: 300 MB' 64 /dev/null dt-vmrun --backend userns -o "$T/big.layer" --from "$T/packed" "$T/script"
rm "$T/big.layer"

# --- a limit of the address space ---

# limited KIB COMMAND...: runs the command on one core with this much address space.
core=$(taskset -pc $$ | sed 's/.*: \([0-9]*\).*/\1/')
limited() (ulimit -v "$1" && exec taskset -c "$core" "${@:2}")
# bounded DESCRIPTION INPUT COMMAND...: 160 MiB are sufficient. With less, the output is the same, or there is a message
# of one line. If the libraries cannot be loaded, the status is 127.
bounded() {
	local kib status bad=
	on "$2" "${@:3}" >"$T/want"
	ok "$1: in 160 MiB of address space" on "$2" limited 163840 "${@:3}"
	on "$2" limited 163840 "${@:3}" >"$T/got"
	same "$1: the same output" "$T/got" "$T/want"
	for kib in 10000 25000 40000 48000 52000 58000 64000 80000 100000; do
		status=0
		on "$2" limited $kib "${@:3}" >"$T/got" 2>"$T/err" || status=$?
		case $status in
		0) cmp -s "$T/got" "$T/want" || bad+="$kib: other output. " ;;
		1 | 125 | 127) [ "$(wc -l <"$T/err")" -eq 1 ] || bad+="$kib: $(cat "$T/err"). " ;;
		*) bad+="$kib: status $status. " ;;
		esac
	done
	is "$1: one line if that is too little" "$bad" ''
}
printf '%s\n' 'echo x >/x' >"$T/script"
sed 's/$/ 120/' "$T/plan" >"$T/graph"
bounded dt-closure "$T/plan" dt-closure --graph "$T/graph"
bounded dt-popularity "$T/graph" dt-popularity
bounded dt-nixdb "$T/graph" dt-nixdb --no-cache --store "$T/store"
bounded dt-layer "$T/plan" dt-layer --no-cache --store "$T/store"
bounded dt-root "$T/plan" dt-root --no-cache --tree "$T/store"
bounded dt-manifest "$T/layer" dt-manifest --from "$T/odd.image" --name y
bounded dt-inspect "$T/packed" dt-inspect
bounded dt-merge "$T/plan" dt-merge "$T/packed"
bounded dt-flatten "$T/packed" dt-flatten
bounded 'dt-flatten --list' "$T/packed" dt-flatten --list
bounded dt-compress "$T/plain" dt-compress --layers
bounded dt-vmrun "$T/packed" dt-vmrun --backend userns "$T/script"

# --- 200 pipelines at once, with one empty cache ---

head -n 5 "$T/plan" >"$T/roots"
while read -r path; do
	mkdir -p "$T/few$path"
	echo "$path" >"$T/few$path/file"
done <"$T/roots"
settle "$T/few"
pipeline() {
	dt-closure --store "$T/few" <"$T/roots" | dt-popularity --max-layers 4 | dt-layer --store "$T/few" |
		dt-manifest --name x | sha256sum
}
export -f pipeline
export T
# The names and contents of all files in a directory.
contents() { (cd "$1" && find . -type f -exec sha256sum {} + | sort); }
DT_CACHE=$T/cache.1 pipeline >"$T/want"
seq 200 >"$T/numbers"
DT_CACHE=$T/cache.200 xargs -a "$T/numbers" -P 200 -I {} bash -c 'set -o pipefail; pipeline' >"$T/got" 2>"$T/err"
is '200 pipelines: no message' "$(cat "$T/err")" ''
is '200 pipelines: 200 outputs' "$(wc -l <"$T/got")" 200
same '200 pipelines: all are the same' <(sort -u "$T/got") "$T/want"
is '200 pipelines: the cache is that of one' "$(contents "$T/cache.200")" "$(contents "$T/cache.1")"
is '200 pipelines: four layers in the cache' "$(find "$T/cache.200" -type f -path '*/layer-*/*' | wc -l)" 4

finish
