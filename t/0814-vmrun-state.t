#!/usr/bin/env bash
# dt-vmrun's guest continues from a state that was saved when it had booted.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/vmrun.sh"
need qemu-system-x86_64 mke2fs busybox
unset DT_BACKEND DT_KERNEL DT_MODULES
mkdir -p "$T/tmp" "$T/bin" "$T/bound" "$T/tree"
export TMPDIR=$T/tmp DT_CACHE=$T/cache
echo bound >"$T/bound/file"
echo tree >"$T/tree/added"

# A QEMU that records how it is started: "boot" or "continue". If $T/broken exists, it cannot continue.
cat >"$T/bin/qemu-system-x86_64" <<EOF2
#!/bin/sh
case " \$* " in
*' -incoming '*)
	echo continue >>"$T/starts"
	[ ! -e "$T/broken" ] || exit 1 ;;
*) echo boot >>"$T/starts" ;;
esac
exec "$(command -v qemu-system-x86_64)" "\$@"
EOF2
chmod +x "$T/bin/qemu-system-x86_64"
export PATH=$T/bin:$PATH

# run DESCRIPTION STARTS OPTION...: runs the script, and tests how QEMU was started.
run() {
	rm -f "$T/starts"
	ok "$1" dt-vmrun --backend tcg --no-image --bind "$T/bound" --add-tree "$T/tree" "${@:3}" "$T/script"
	is "$1: starts" "$(tr '\n' ' ' <"$T/starts")" "$2 "
}

# layer_is DESCRIPTION: tests that the layer is that of the guest that booted.
layer_is() { same "$1: the layer" "$T/out" "$T/booted"; }

# facts DESCRIPTION BEFORE AFTER: tests the guest's clock, and that no earlier guest had its random numbers.
facts() {
	local now random
	read -r now random <"$T/err"
	is "$1: the time is between $2 and $3" "$((now >= $2 && now <= $3)) $now" "1 $now"
	is "$1: 32 random digits" "${#random}" 32
	is "$1: new random numbers" "$(grep -c "$random" "$T/randoms" 2>/dev/null || true)" "${4:-0}"
	echo "$random" >>"$T/randoms"
}

touch "$T/randoms"
script "#!/bin/sh
echo \$(date +%s) \$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' ') >&2
cat $T/bound/file /added >/out; df -k / | tail -n 1 | tr -s ' ' | cut -d' ' -f2 >/size"

# drafts: the files in the cache that are being written.
drafts() { find "$DT_CACHE" -name '*.dt-draft' 2>/dev/null; }
dt-vmrun --backend tcg --no-image "$T/script" >/dev/null 2>&1 &
until [ -n "$(drafts)" ]; do sleep 0.01; done
{ kill -KILL "$!" && wait "$!"; } 2>/dev/null
is 'killed before the state is saved: its draft is left' "$(drafts | wc -l)" 1

before=$EPOCHSECONDS
run 'without a state' boot
is 'the next run removes the draft of a dead one' "$(drafts)" ''
facts 'without a state' "$before" "$EPOCHSECONDS"
cp "$T/out" "$T/booted"
states=("$DT_CACHE"/guest/*.state)
is 'the state is kept, for this user only' "${#states[@]} $(stat -c %a "$DT_CACHE/guest" "${states[0]}" | tr '\n' ' ')" '1 700 600 '
nothing_left 'saving'
for i in 1 2 3; do
	before=$EPOCHSECONDS
	run "continued $i" continue
	facts "continued $i" "$before" "$EPOCHSECONDS"
	layer_is "continued $i"
done
nothing_left 'continuing'

run 'another size of the disk' continue --disk-size 64
is 'the file system has this size' "$(($(tar -xOf "$T/out" --wildcards 'blobs/*' | tar -xO size) < 65536))" 1

# --- failures in a guest that continues ---

script 'echo x >/x; exit 3'
rm -f "$T/starts"
fails 3 'exited with status 3|status 3' 'the script fails' dt-vmrun --backend tcg --no-image "$T/script"
script 'while :; do :; done'
fails 125 'timed out after 3 s$' 'the script takes too long' dt-vmrun --backend tcg --no-image --timeout 3 "$T/script"
script 'echo b >/proc/sysrq-trigger; sleep 100'
fails 125 'powered off|crashed|exited' 'the guest ends' dt-vmrun --backend tcg --no-image "$T/script"
is 'all three continued, and none ran twice' "$(tr '\n' ' ' <"$T/starts")" 'continue continue continue '
nothing_left 'failures'

# --- states that cannot be used ---

script "#!/bin/sh
cat $T/bound/file /added >/out; df -k / | tail -n 1 | tr -s ' ' | cut -d' ' -f2 >/size"
head -c 4096 /dev/urandom | dd of="${states[0]}" bs=4096 seek=2000 conv=notrunc status=none
run 'a damaged state' $'continue boot'
layer_is 'a damaged state'
run 'it was removed' boot
run 'and is saved again' continue
layer_is 'and is saved again'
touch "$T/broken"
run 'a QEMU that cannot continue' 'continue boot'
layer_is 'a QEMU that cannot continue'
rm "$T/broken"
touch -d '2001-01-01' "$T/bin/qemu-system-x86_64"
run 'another QEMU' boot
layer_is 'another QEMU'
unset DT_CACHE HOME XDG_CACHE_HOME
run 'no cache' boot
layer_is 'no cache'
finish
