#!/usr/bin/env bash
# pax records that are malformed, and sparse members: in layers, in rootfs tars, in image archives and in streams.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `fails` runs functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 jq

mkdir "$T/tree" "$T/bad" "$T/good"
echo mine >"$T/tree/mine"
dt-root --tree "$T/tree" >"$T/layers.tar"
on "$T/layers.tar" dt-manifest --name x --tag t >"$T/plain.tar"

# --- malformed records ---

# A layer with each of them, an image of that layer, and an image archive that has one in front of a member.
/usr/bin/python3 - "$T" <<'END'
import sys
from rawtar import base256, dump, config, header, padded, record, sha
bad = {
    'a length too short': b'8 path=abc\n',
    'a length beyond the header': b'99 path=a\n',
    'a length of nothing': b'0 path=a\n',
    'a length of 20 digits': b'99999999999999999999 path=a\n',
    'a length in hex': b'0x9 path=a\n',
    'a blank in front': b' 9 path=a\n',
    'a negative length': b'-9 path=a\n',
    'no length': b'path=a\n',
    'no more than digits': b'12345',
    'no equals sign': b'9 path a\n',
    'no key': b'6 =ab\n',
    'no newline': b'9 path=ab',
    'zeroes behind the records': record('path', 'a') + bytes(3),
    'a size that is none': record('size', '1x'),
    'a time that is none': record('mtime', '1.5.5'),
    'an owner that is none': record('uid', 'root'),
    'a path with NUL': record('path', 'a\0b'),
    'a sparse map that is none': record('GNU.sparse.map', '1,,2'),
    'an error in the second record': record('path', 'a') + b'3 =\n',
}
good = {
    'an empty value': record('uname', ''),
    'times': record('mtime', '-1.5') + record('atime', '5.') + record('ctime', '7'),
    'zeroes in front of a length': b'0011 path=ab\n'[:0] + b'011 path=a\n',
    'a value with newlines and equals signs': record('comment', 'a=b\n=\n'),
    'a key of a vendor': record('VENDOR.x', 'any\0thing'),
}
def members(body, name=b'f', data=b'x', kind=b'x', **more):
    return header(b'PaxHeader', size=len(body), kind=kind, **more) + padded(body) + header(name, size=len(data)) + padded(data)
def image(layer):
    documents = {'c.json': config([layer]), 'l.tar': layer,
                 'manifest.json': dump([{'Config': 'c.json', 'RepoTags': None, 'Layers': ['l.tar']}])}
    return b''.join(header(name.encode(), size=len(data)) + padded(data) for name, data in documents.items())
end = bytes(1024)
for group, cases in ('bad', bad), ('good', good):
    for name, body in cases.items():
        layer = members(body) + end
        outer = members(body, b'other') + image(members(b'') + end) + end
        for kind, data in ('layer', layer), ('image', image(layer) + end), ('outer', outer):
            open(f'{sys.argv[1]}/{group}/{name}.{kind}', 'wb').write(data)
one = bad['no equals sign']
open(f'{sys.argv[1]}/global', 'wb').write(members(one, kind=b'g') + end)
open(f'{sys.argv[1]}/binary', 'wb').write(
    header(b'PaxHeader', size=base256(len(one), 12), kind=b'x') + padded(one) + header(b'f') + end)
long = b'n' * 120 + b'\0'
open(f'{sys.argv[1]}/long', 'wb').write(
    header(b'././@LongLink', size=len(long), kind=b'L') + padded(long) + members(one) + end)
END

says=": a malformed pax record of [a-z ]*: [^:]*\$"
for file in "$T/bad"/*.layer; do
	name=${file##*/} name=${name%.layer}
	case $name in
	*' that is none' | *NUL | 'no key') ;; # GNU tar reports some of these, Go all
	'zeroes behind'*) ;; # GNU tar takes them, Go does not
	*) is "$name: GNU tar reports it" "$(tar -tf "$file" >/dev/null 2>&1; echo $?)" 2 ;;
	esac
	fails 1 "^dt-flatten: .*/$name.image: layer 1$says" "$name: in a layer" dt-flatten "$T/bad/$name.image"
	fails 1 "^dt-root: .*/$name.layer$says" "$name: in a rootfs tar" dt-root --tar "$file"
	fails 1 "^dt-inspect: .*/$name.outer$says" "$name: in an image archive" dt-inspect "$T/bad/$name.outer"
	fails 1 "^dt-manifest: stdin$says" "$name: in a layer archive" on "$file" dt-manifest --name x
	fails 1 "^dt-compress: stdin$says" "$name: in what is compressed" on "$file" dt-compress --format gz
done
for file in "$T/good"/*.layer; do
	name=${file##*/} name=${name%.layer}
	ok "$name: in a layer" dt-flatten "$T/good/$name.image"
	ok "$name: in a rootfs tar" dt-root --tar "$file"
	ok "$name: in an image archive" dt-inspect "$T/good/$name.outer"
done
fails 1 "$says" 'in a global header' dt-root --tar "$T/global"
fails 1 "$says" 'in a header whose size is binary' dt-root --tar "$T/binary"
fails 1 "$says" 'behind a long name of GNU tar' dt-root --tar "$T/long"
fails 1 "'1x' is not a valid value of size\$" 'the value is named' dt-root --tar "$T/bad/a size that is none.layer"
fails 1 'its length, 99, is beyond the end of its header$' 'the length is named' dt-root --tar "$T/bad/a length beyond the header.layer"

# --- sparse members ---

# A file of holes and of data, more than is kept of headers, in an image that is unpacked into a directory.
mkdir "$T/holes" "$T/image"
/usr/bin/python3 - "$T/holes/sparse" <<'END'
import random, sys
random.seed(1)
with open(sys.argv[1], 'wb') as out:
    for at, size in (100, 20), (1 << 20, 6 << 20), (20 << 20, 100), (29 << 20, 1):
        out.seek(at)
        out.write(random.randbytes(size))
    out.truncate(30 << 20)
END
dt-root --tree "$T/holes" | dt-manifest --name a --tag b >"$T/image.tar"
tar -C "$T/image" -xf "$T/image.tar"
mapfile -t layer < <(find "$T/image" -type f -size +20M)
is 'the image has one large file' "${#layer[@]}" 1
fallocate --dig-holes "${layer[0]}"
for format in gnu 'pax --sparse-version=0.0' 'pax --sparse-version=0.1' 'pax --sparse-version=1.0'; do
	# shellcheck disable=SC2086 # options
	tar -C "$T/image" -S --format=$format -cf "$T/again.tar" .
	is "$format: it is sparse" "$(($(stat -c %s "$T/again.tar") < 8000000))" 1
	ok "$format: dt-flatten" dt-flatten "$T/again.tar"
	is "$format: the file" "$(tar -xOf "$T/out" sparse | sha256sum)" "$(sha256sum <"$T/holes/sparse")"
	ok "$format: dt-manifest --from" on "$T/layers.tar" dt-manifest --name x --tag t --from "$T/again.tar"
	on "$T/layers.tar" dt-manifest --name x --tag t --from "$T/image.tar" >"$T/want"
	same "$format: the image is that of the archive without holes" "$T/out" "$T/want"
	ok "$format: dt-merge" dt-merge "$T/again.tar"
	fails 1 'more than 20M to unpack in all' "$format: the holes count" dt-flatten --max-unpacked 20M "$T/again.tar"
	ok "$format: compressed" on "$T/again.tar" dt-compress --format zstd
	cp "$T/out" "$T/again.tar.zst"
	ok "$format: and read again" dt-inspect "$T/again.tar.zst"
	# shellcheck disable=SC2086 # options
	tar -C "$T/holes" -S --format=$format -cf "$T/layer.tar" sparse
	ok "$format: a rootfs tar" dt-root --tar "$T/layer.tar" --raw
	is "$format: its file" "$(tar -xOf "$T/out" sparse | sha256sum)" "$(sha256sum <"$T/holes/sparse")"
done

# A layer archive with a layer that is sparse.
/usr/bin/python3 - "$T/layers.tar" "$T" <<'END'
import sys, tarfile
from rawtar import extended, header, padded
archive = tarfile.open(sys.argv[1])
for member in archive:
    data = archive.extractfile(member).read()
    cut = len(data.rstrip(b'\0'))
    places = padded(b'1\n0\n%d\n' % cut)
    for name, stored in ('sparse', data[:cut]), ('short', data[:cut - 1]):
        records = [('GNU.sparse.major', '1'), ('GNU.sparse.minor', '0'), ('GNU.sparse.name', member.name),
                   ('GNU.sparse.realsize', str(len(data))), ('comment', member.pax_headers['comment'])]
        open(f'{sys.argv[2]}/{name}.layers', 'wb').write(
            extended(records) + header(b'x', size=len(places + stored)) + padded(places + stored) + bytes(1024))
END
ok 'a sparse layer on standard input' on "$T/sparse.layers" dt-manifest --name x --tag t
same 'is expanded' "$T/out" "$T/plain.tar"
fails 1 '^dt-manifest: stdin: ' 'a sparse layer that lacks data' on "$T/short.layers" dt-manifest --name x --tag t

finish
