#!/usr/bin/env bash
# Large inputs and low limits: memory and descriptors are bounded, and the results are those of small inputs.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_registry sets $r; `ok` runs the functions
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need python3 /usr/bin/time bsdtar busybox

# measured COMMAND...: runs the command. $T/memory is the most memory that it had resident, in KiB.
measured() { /usr/bin/time -q -f %M -o "$T/memory" "$@"; }

# within DESCRIPTION MIB COMMAND...: the command succeeds, and has at most this much memory resident.
within() {
	local what=$1 limit=$(($2 * 1024))
	ok "$what" measured "${@:3}"
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
within '--list: 50,000 files' 30 dt-flatten --list "$T/files.image"
is '--list: all of them' "$(grep -c ' type=file' "$T/out")" 50000

# --- dt-root --tree ---

mkdir "$T/tree"
tar -xf "$T/files.tar" -C "$T/tree"
(cd "$T/tree" && find . -mindepth 1 -type d -print0) >"$T/directories"
within '--tree: 50,000 files' 16 dt-root --no-cache --owner keep --keep-directories "$T/directories" --tree "$T/tree"
is '--tree: all of them' "$(tar -xOf "$T/out" --wildcards 'blobs/*' | tar -t | grep -c file)" 50000
within '--tar: 50,000 files' 22 dt-root --no-cache --tar "$T/files.tar"

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

finish
