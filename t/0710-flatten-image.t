#!/usr/bin/env bash
# dt-flatten: images of all dialects by all ways, what is no image, sub-trees, --list, and what it costs.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `ok` and `fails` run functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 perl gzip xz bzip2 zstd tar bsdtar mtree setpriv

layers() { "$t_dir/fixtures/layers.py" "$@"; }
bases() { "$t_dir/fixtures/bases.py" "$@"; }
flat() { "$t_dir/fixtures/flat.py" "$@"; }
cd "$T" || exit 1
for kind in good bad several; do
	mkdir "$kind"
	ok "$kind images are made" bases "$kind" "$kind"
done

# gives DESCRIPTION WANTED COMMAND...: it writes the tar in the file WANTED and says nothing.
gives() {
	local what=$1 want=$2 status=0
	shift 2
	"$@" >"$T/got" 2>"$T/err" || status=$?
	if [ "$status" -eq 0 ] && [ ! -s "$T/err" ]; then
		same "$what" "$T/got" "$want"
	else
		is "$what: status, and silent" "$status:$(cat "$T/err")" 0:
	fi
}

# refuses DESCRIPTION REGEX ARG...
refuses() {
	local what=$1 regex=$2
	shift 2
	fails 1 "^dt-flatten: $regex\$" "$what" timeout 20 dt-flatten "$@"
	[ "$(ended "$T/out")" = no ] || t_report 1 "$what: no end of archive"
}

# --- dialects ---

dt-flatten good/docker-20.tar >want
is 'the tree of the bases' "$(layers ls want | sed 's/ [0-9]*:[0-9a-f]*:.*//')" "directory 0644 0:0 0 'etc' 
file 0644 0:0 0 'etc/base'
file 0644 0:0 0 'etc/top'
directory 0644 0:0 0 'usr' "
is 'the contents of the bases' "$(tar -xOf want etc/base etc/top | uniq -c | tr -s ' ')" $' 100 base\n 1 top'
for image in good/*.tar; do
	gives "$image" want dt-flatten --arch amd64 "$image"
	gives "$image, not verified" want dt-flatten --arch amd64 --no-verify "$image"
done
like 'the platform of --arch is taken' <(dt-flatten --arch arm64 good/oci-platforms.tar | tar -t) '^arm64$'
refuses 'a platform that is not there' 'good/oci-platforms.tar: no image .*' --arch riscv64 good/oci-platforms.tar

# --- by all ways ---

cp good/docker-20.tar base.tar
gives 'standard input' want on base.tar dt-flatten
gives 'standard input, as -' want on base.tar dt-flatten -
gives 'a pipe' want dt-flatten < <(cat base.tar)
gives 'a pipe, as -' want dt-flatten - < <(cat base.tar)
gives 'a pipe, as a file' want dt-flatten <(cat base.tar)
gives 'a slow pipe' want dt-flatten < <(perl -e '$| = 1; syswrite STDOUT, $x while sysread STDIN, $x, 777' <base.tar)
cp base.tar 'a -b "c".tar'
gives 'a name with blanks and quotes' want dt-flatten 'a -b "c".tar'
gives 'an absolute name' want dt-flatten "$T/base.tar"
mkfifo fifo
cat base.tar >fifo &
gives 'a FIFO' want dt-flatten fifo
wait
gives 'output into a pipe' want bash -c 'set -o pipefail; dt-flatten base.tar | cat'
echo before >joined
cat want >>joined
echo before >appended
dt-flatten base.tar >>appended
same 'output appended to a file' appended joined
echo behind >>joined
{ echo before && dt-flatten base.tar && echo behind; } >appended
same 'output amid other output' appended joined
for command in gzip xz bzip2 zstd 'zstd -19'; do
	$command -c base.tar >base.z
	gives "compressed by $command" want dt-flatten base.z
	gives "compressed by $command, from a pipe" want dt-flatten < <(cat base.z)
done
split -b 5000 --filter='gzip -c' base.tar >base.z
gives 'several gzip members' want dt-flatten base.z
for kind in layers-gzip layers-gzip-members layers-zstd layers-xz layers-bzip2; do
	gzip -c "good/$kind.tar" >base.z
	gives "the archive compressed, and $kind" want dt-flatten base.z
done
TMPDIR=$T/none gives 'a plain file: no TMPDIR is needed' want dt-flatten base.tar
mkdir tmp
TMPDIR=$T/tmp gives 'TMPDIR: an archive and layers that are compressed' want dt-flatten base.z
TMPDIR=$T/tmp gives 'TMPDIR: a pipe' want dt-flatten < <(cat base.tar)
TMPDIR=$T/tmp refuses 'TMPDIR: an error' 'bad/a-gzip-layer-is-cut.tar: .*' bad/a-gzip-layer-is-cut.tar
is 'TMPDIR: nothing is left there' "$(ls -A tmp)" ''
TMPDIR=$T/none refuses 'no TMPDIR' '.*temporary file.*: No such file or directory' base.z

# --- several images ---

chosen() { # DESCRIPTION WANTED [OPTION]...: the layer of the image N has a file N
	local what=$1 want=$2
	shift 2
	is "$what" "$(dt-flatten "$@" several.tar | tar -t)" "$want"
}
for kind in docker oci; do
	cp "several/$kind-several.tar" several.tar
	chosen "$kind: the first one" 0
	chosen "$kind: redis:1 is not redis:10" 1 --from-name redis --from-tag 1
	chosen "$kind: redis:10" 0 --from-name redis --from-tag 10
	chosen "$kind: with a registry" 3 --from-name localhost:5000/redis --from-tag 1
	chosen "$kind: its second name" 1 --from-name two --from-tag names
	chosen "$kind: a name" 6 --from-name x/redis
	chosen "$kind: a tag" 4 --from-tag latest
	refuses "$kind: not there" 'several.tar: no image redis:100 in it; it has redis:10 .*' --from-name redis --from-tag 100 several.tar
	refuses "$kind: no such name" 'several.tar: no image y:\(any tag\) in it; it has .*' --from-name y several.tar
done

# --- what is no image ---

for image in bad/*.tar; do
	refuses "$image" "$image: .*" --arch amd64 "$image"
done
refuses 'no such file' 'none: No such file or directory' none
refuses 'a directory' "$T: a directory, but not an OCI image layout: it has no file oci-layout" "$T"
: >bad.tar
refuses 'an empty file' 'bad.tar: empty, not an image' bad.tar
for size in 512 1024 10240; do
	head -c "$size" /dev/zero >bad.tar
	refuses "$size zero bytes" 'bad.tar: .*' bad.tar
	head -c "$size" /dev/urandom >bad.tar
	refuses "$size random bytes" 'bad.tar: .*' bad.tar
done
refuses 'a rootfs tar is no image' 'want: .*' want

# --- digests ---

flat forge
dt-flatten honest.tar >honest.want
is 'an honest image' "$(layers ls honest.want | cut -d ' ' -f 1-6)" "file 0644 0:0 1 'a' 4:$(printf good | sha256sum | head -c 8):b'good'
file 0644 0:0 1 'b' 1:$(printf x | sha256sum | head -c 8):b'x'"
for image in forge.*.tar; do
	refuses "a layer that is not that of its diff_id, $image" "$image: .*" "$image"
done
for image in forge.rubbish*.tar; do
	gives "--no-verify: $image" honest.want dt-flatten --no-verify "$image"
done
is '--no-verify: other contents' "$(dt-flatten --no-verify forge.contents.docker-old.tar | tar -xO a)" evil

# --- truncated ---

for kind in docker-20 docker-25 oci layers-gzip; do
	cp "good/$kind.tar" base.tar
	content=$(/usr/bin/python3 -c 'import sys, tarfile
tar = tarfile.open(sys.argv[1])
last = tar.getmembers()[-1]
print(last.offset_data + last.size)' base.tar)
	for cut in 100 512 1000 1536 3000 $((content / 3)) $((content / 2)) $((content - 3000)) $((content - 700)) "$content" \
		$(((content + 511) / 512 * 512)) $(((content + 511) / 512 * 512 + 512)); do
		head -c "$cut" base.tar >bad.tar
		refuses "$kind cut after $cut bytes of $content" 'bad.tar: .*' bad.tar
	done
done
cp good/docker-20.tar base.tar
for command in gzip xz bzip2 zstd; do
	$command -c base.tar >base.z
	size=$(wc -c <base.z)
	for cut in 3 $((size / 2)) $((size - 9)) $((size - 1)); do
		head -c "$cut" base.z >bad.z
		refuses "compressed by $command, cut after $cut bytes of $size" 'bad.z: .*' bad.z
	done
done
cut_stdin() { head -c 3000 base.tar | dt-flatten; }
fails 1 '^dt-flatten: stdin: .*' 'a cut pipe' cut_stdin
is 'a cut pipe: no end of archive' "$(ended "$T/out")" no

# Any one bit of an image changed: that is refused, or it does not matter; not verified, nothing crashes.
layers image 'a hard link has the attributes of the file' docker-old >links.tar
layers expect 'a hard link has the attributes of the file' >links.want
for kind in docker-25 oci-gzip layers-zstd; do
	ok "$kind, any one bit changed" flat flip "good/$kind.tar" want 40
	ok "$kind, any one bit changed and not verified" flat flip "good/$kind.tar" want 20 --no-verify
done
ok 'hard links and xattrs, any one bit changed' flat flip links.tar links.want 40
ok 'hard links and xattrs, any one bit changed and not verified' flat flip links.tar links.want 60 --no-verify

# --- sub-trees ---

flat tree
dt-flatten tree.tar >tree.want
is 'a tree with something of everything' "$(tar -tf tree.want 2>/dev/null | wc -l)" 27

# names ARG...: the members of what dt-flatten writes to $T/sub
names() { dt-flatten "$@" >"$T/sub" && ended "$T/sub" && tar --quoting-style=c -tf "$T/sub" 2>/dev/null; }
is 'a sub-tree' "$(names tree.tar etc)" 'yes
"etc/"
"etc/deep/"
"etc/deep/er/"
"etc/deep/er/file"
"etc/deep/er/link"
"etc/pass word"
"etc/passwd"'
cp sub sub.want
for spelling in /etc etc/ ./etc //etc/. tmp/../etc ../etc; do
	gives "a sub-tree spelled $spelling" sub.want dt-flatten tree.tar "$spelling"
done
is 'a hard link: the first name there carries the bytes' "$(layers ls sub | grep -E '^(file|link).*(passwd|link)' | cut -d ' ' -f 1,5-7)" \
	"file 'etc/deep/er/link' 22:880a0678:b'root:x:0:0::/:/bin/s'
link 'etc/passwd' -> 'etc/deep/er/link'"
is 'a sub-tree that is a file' "$(names tree.tar etc/passwd)" $'yes\n"etc/passwd"'
is 'a name of a hard link, alone' "$(names tree.tar bin/sudo)" $'yes\n"bin/sudo"'
is 'it carries the bytes' "$(tar -xOf sub bin/sudo | wc -c)" 1400
is 'its attributes too' "$(layers ls sub | cut -d ' ' -f 1-4)" 'file 4755 0:42 1600000000.25'
names tree.tar bin/sudo bin/su >both
is 'the other is a link to it where both are asked for' "$(layers ls sub | cut -d ' ' -f 1)" $'file\nlink'
is 'a symlink is not followed' "$(names tree.tar lib)" $'yes\n"lib"'
refuses 'what is behind a symlink' '(.*: )?lib/a.*' tree.tar lib/a
is 'an empty directory' "$(names tree.tar tmp)" $'yes\n"tmp/"'
is 'several, in canonical order' "$(names tree.tar zero dev/null etc/deep/er)" 'yes
"dev/null"
"etc/deep/er/"
"etc/deep/er/file"
"etc/deep/er/link"
"zero"'
is 'several that overlap: nothing twice' "$(names tree.tar etc etc/deep etc/deep/er/file etc | sort | uniq -d)" ''
is 'odd names' "$(names tree.tar $'usr/lib/a#b\\c\n' $'usr/lib/\xff')" $'yes\n"usr/lib/a#b\\\\c\\n"\n"usr/lib/\\377"'
for spelling in / . ./ ..; do
	gives "the root as a sub-tree, $spelling" tree.want dt-flatten tree.tar "$spelling"
done
refuses 'a sub-tree that is not there' '(.*: )?none.*' tree.tar none
refuses 'one that is there and one that is not' '(.*: )?etc/none.*' tree.tar etc etc/none
refuses 'a part of a name' '(.*: )?et:.*' tree.tar et
refuses 'a child of a file' '(.*: )?etc/passwd/x.*' tree.tar etc/passwd/x
layers image 'a whiteout hides a file' >case.tar
refuses 'a sub-tree that is whited out' '(.*: )?a:.*' case.tar a

# --- --list ---

dt-flatten --list tree.tar >tree.mtree
is '--list: the root is the first' "$(sed -n '/^[^#\/]/{s/ .*//;p;q}' tree.mtree)" .
layers mtree tree.mtree | grep -v "^b'.' " | sort >listed
layers mtree-of tree.want | sort >listed.want
same '--list: all of each name' listed listed.want
is '--list: as libarchive reads it' "$(bsdtar -tf tree.mtree 2>/dev/null | sed 's,^\./,,' | grep -vx . | sort)" \
	"$(bsdtar -tf tree.want 2>/dev/null | sed 's,/$,,' | sort)"
mkdir unpacked
tar -xpf tree.want -C unpacked --numeric-owner --delay-directory-restore --xattrs --xattrs-include='*' 2>/dev/null
chmod 755 unpacked
chown 0:0 unpacked
touch -d @0 unpacked
on_disk() { mtree -f tree.mtree -p unpacked; }
ok '--list: as mtree finds it on disk' on_disk
is '--list: and nothing else' "$(cat "$T/out" "$T/err")" ''
echo x >>unpacked/etc/passwd
is '--list: mtree sees what was changed' "$(on_disk 2>&1 | grep -c passwd)" 1
dt-flatten --list tree.tar etc dev >sub.mtree
is '--list of sub-trees' "$(bsdtar -tf sub.mtree | sed 's,^\./,,' | grep -vx . | sort)" \
	"$(dt-flatten tree.tar etc dev | bsdtar -tf - | sed 's,/$,,' | sort)"
refuses '--list verifies' 'forge.contents.*' --list forge.contents.docker-old.tar
is '--list: an error, and nothing on stdout' "$(wc -c <"$T/out")" 0

# --- the same tree, whatever the layers, and wherever ---

flat again
for image in again.*.tar; do
	gives "the same tree, $image" tree.want dt-flatten "$image"
done
gives 'another time zone' tree.want env TZ=Asia/Tokyo dt-flatten tree.tar
for locale in C.UTF-8 POSIX de_DE.UTF-8; do
	gives "locale $locale" tree.want env LC_ALL="$locale" LANG="$locale" dt-flatten tree.tar
done
gives 'another umask, in another directory' tree.want bash -c "umask 077; cd / && dt-flatten '$T/tree.tar'"
gives 'SOURCE_DATE_EPOCH' tree.want env SOURCE_DATE_EPOCH=5 dt-flatten tree.tar
gives 'not as root' tree.want setpriv --reuid 65534 --regid 65534 --clear-groups "$(command -v dt-flatten)" <tree.tar
layers image 'odd names' oci-gzip >odd.tar
layers expect 'odd names' >odd.want
gives 'odd names, without an environment' odd.want env -i "$(command -v dt-flatten)" odd.tar

# What dt-layer makes of a directory is what dt-flatten makes of an image of it.
mkdir -p directory/bin directory/etc/sub
echo hello >directory/etc/hello
echo blank >'directory/etc/with blank'
ln -s etc/hello directory/bin/hello
printf 'x%.0s' {1..3000} >directory/bin/x
chmod 4755 directory/bin/x
dt-root --tree directory --uname '' --gname '' --raw >directory.want
dt-root --tree directory | dt-manifest --name x | dt-flatten >directory.tar
same "dt's own images, through a pipe" directory.tar directory.want

# GNU tar's sparse files.
truncate -s 3M sparse
for at in 100 5000 1000000 2999000; do
	printf 'data at %s' "$at" | dd of=sparse bs=1 seek="$at" conv=notrunc status=none
done
for format in gnu 'pax --sparse-version=0.0' 'pax --sparse-version=0.1' 'pax --sparse-version=1.0'; do
	# shellcheck disable=SC2086 # options
	tar -S --format=$format -cf sparse.tar sparse
	is "GNU tar --format=$format: it is sparse" "$(($(wc -c <sparse.tar) < 200000))" 1
	flat file sparse.tar
	dt-flatten image.tar | tar -xO sparse >expanded
	same "GNU tar --format=$format" expanded sparse
done

# --- what it costs ---

flat large files
read -r status kib size < <(flat peak large.tar)
is '100,000 files in 60 layers: status' "$status" 0
ok "100,000 files in 64 MiB ($kib KiB)" test "$kib" -gt 0 -a "$kib" -lt "$(memory_limit)"
is '100,000 files: the size of what comes out' "$size" $(((100000 * 1024 + (997 + 2) * 512 + 1024 + 10239) / 10240 * 10240))
for what in names whiteouts deep links markers dots; do
	flat large "$what"
	status=0
	timeout 20 dt-flatten large.tar >/dev/null 2>"$T/err" || status=$?
	is "in time: $what" "$status" 0
done

flat huge
dt-flatten --no-verify huge.tar 2>"$T/err" | head -c 1536 | tail -c 1024 >huge.head
is 'a file beyond 8 GiB: its header' "$(head -c 19 huge.head)" '19 size=8589934597'
is 'a file behind one beyond 8 GiB' "$(dt-flatten --no-verify huge.tar small | tar -xO small)" 'behind it'

finish
