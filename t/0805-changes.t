#!/usr/bin/env bash
# The changes in an overlay: if reading them fails, the result is an error or the same layer.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need python3 strace
cd "$T" || exit 1
changes=$build/unit/changes

python3 - <<'EOF'
import os, stat
def whiteout(path): os.mknod(path, stat.S_IFCHR | 0o600, 0)
for side in 'upper', 'lower':
    for name in 'hidden', 'merged/a/b', 'same':
        os.makedirs(side + '/' + name)
for name in 'gone', 'hidden/x', 'merged/a/b/gone', 'link':
    open('lower/' + name, 'w').close()
os.setxattr('upper/hidden', 'trusted.overlay.opaque', b'y')
os.setxattr('upper/same', 'user.one', b'1')
os.setxattr('lower/same', 'user.one', b'1')
open('upper/hidden/y', 'w').write('new')
for name in 'gone', 'merged/a/b/gone', 'nothing':
    whiteout('upper/' + name)
os.symlink('gone', 'upper/link')
EOF
ok 'an overlay' "$changes" upper lower want.tar
python3 "$t_dir/fixtures/vmimage.py" list <want.tar >shown
is 'what is in the layer' "$(cut -d ' ' -f 1 shown)" "$(printf '%s\n' \
	.wh.gone hidden hidden/.wh..wh..opq hidden/y link merged merged/a merged/a/b merged/a/b/.wh.gone)"

# fault CALL ERROR: that the call fails the first time, the second time and so on.
fault() {
	local call=$1 error=$2 i n bad=''
	traced -qq -o calls -e "trace=$call" "$changes" upper lower got.tar
	n=$(wc -l <calls) && [ "$n" -gt 0 ] || bad=" none"
	for ((i = 1; i <= n; i++)); do
		if traced -qq -o calls -e "inject=$call:error=$error:when=$i" "$changes" upper lower got.tar 2>err; then
			cmp -s want.tar got.tar || bad+=" $i"
		else
			[ "$(wc -l <err)" -eq 1 ] || bad+=" $i"
		fi
	done
	is "$call fails with $error: an error or the same layer, each of $n times" "$bad" ''
}
for call in openat newfstatat getdents64 llistxattr lgetxattr readlinkat pread64 pwrite64; do
	fault "$call" EIO
done
fault openat EMFILE

finish
