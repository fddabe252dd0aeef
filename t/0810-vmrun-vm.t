#!/usr/bin/env bash
# dt-vmrun in an emulated virtual machine: the same layers, and the failures that only it has.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/vmrun.sh"
need python3 busybox qemu-system-x86_64 mke2fs unshare setpriv pgrep
unset DT_BACKEND
mkdir -m 1777 "$T/tmp"
chmod 755 "$T"
export TMPDIR=$T/tmp

for kind in plain corners; do
	python3 "$t_dir/fixtures/vmimage.py" "$kind" >"$T/$kind.tar"
done

# our_qemus: the PIDs of those that this test's dt-vmrun started; their files are in $T/tmp.
our_qemus() {
	local pid
	for pid in $(pgrep -x qemu-system-x86); do
		! readlink "/proc/$pid/fd/"* 2>/dev/null | grep -qF "$T/tmp/" || echo "$pid"
	done
}
nothing_left() {
	is "$1: no file is left" "$(ls -A "$T/tmp")" ''
	is "$1: no process is left" "$(our_qemus)" ''
}

# --- the same layer as without a virtual machine ---

mkdir -p "$T/tree/etc" "$T/tree/opt" "$T/bound/in"
echo tree >"$T/tree/etc/issue"
ln -s x "$T/tree/opt/y"
printf '#!/.dt/bin/sh\necho ran\n' >"$T/bound/in/run"
chmod 755 "$T/bound/in/run"
echo alone >"$T/alone"
echo literal >"$T/bound/.wh.in" # a name like any other: this is no layer
ln "$T/bound/.wh.in" "$T/bound/in/hard"
script "set -e
cd /own; chown 70000:3000000 setuid; chmod 4711 setuid; chmod 600 cap attr hard; ln -s a b
mknod real c 1 3; mknod disk b 8 0; mkfifo fifo; echo 1 >f; ln f g; touch -d @0 g; mkdir -m 1777 t
cat /etc/issue $T/bound/in/run $T/bound/.wh.in $T/bound/in/hard $T/alone >/out; $T/bound/in/run >/ran
rm -r /lib; mkdir /lib; echo d >/lib/d; rm /gone/z; rmdir /gone
truncate -s 5000000 /holes; echo end >>/holes; yes | head -c 3000000 >/large
echo new >/etc/new; touch /$(printf 'n%.0s' {1..250}); chmod 711 /; echo hello; echo x >/tmp/x; rm /tmp/x"
options=(--from "$T/corners.tar" --add-tree "$T/tree" --bind "$T/bound" --bind "$T/alone" --clamp-mtime @1000000000)
ok 'without a virtual machine' dt-vmrun --backend userns "${options[@]}" "$T/script"
mv "$T/out" "$T/userns.tar"
umask 0 # what is for this user only is so in any case
ok 'in one' dt-vmrun --backend tcg "${options[@]}" "$T/script"
umask 022
same 'the same layer' "$T/out" "$T/userns.tar"
like 'what the script prints' "$T/err" '^hello$'
python3 "$t_dir/fixtures/vmimage.py" show <"$T/userns.tar" >"$T/shown"
like 'capabilities' "$T/shown" '^own/cap 0 600 .* security.capability='
like 'attributes' "$T/shown" "^own/attr 0 600 .* user.one='eins' user.two='zwei'"
like 'owners' "$T/shown" '^own/setuid 0 4711 70000:3000000 '
like 'devices' "$T/shown" '^own/disk 4 644 '
like 'hidden directories' "$T/shown" '^lib/.wh..wh..opq '
like 'removed ones' "$T/shown" '^.wh.gone '
nothing_left 'success'

# --- the kernel that is kept ---

kept=("$DT_CACHE"/kernel/*.elf)
is 'the uncompressed kernel is kept' "${#kept[@]} $(head -c 4 "${kept[0]}" | tail -c 3)" '1 ELF'
is 'for this user only' "$(stat -c %a "$DT_CACHE" "$DT_CACHE/kernel" "${kept[0]}" | tr '\n' ' ')" '700 700 600 '
cp "${kept[0]}" "$T/kernel"
head -c 4096 /dev/zero | dd of="${kept[0]}" bs=4096 seek=1000 conv=notrunc status=none
script 'echo x >/x'
ok 'it is damaged' dt-vmrun --backend tcg --from "$T/plain.tar" "$T/script"
same 'and made again' "${kept[0]}" "$T/kernel"

# --- what cannot start ---

# with_kvm DEVICE COMMAND...: /dev/kvm is this device; none if it is empty.
with_kvm() {
	unshare -m bash -ec 'dev=$0/dev
		mkdir -p "$dev"
		mount -t tmpfs none "$dev"
		for name in null zero full random urandom fuse; do
			[ ! -e "/dev/$name" ] || { touch "$dev/$name"; mount --bind "/dev/$name" "$dev/$name"; }
		done
		ln -s /proc/self/fd "$dev/fd"
		[ -z "$1" ] || { touch "$dev/kvm"; mount --bind "$1" "$dev/kvm"; }
		mount --move "$dev" /dev
		shift
		exec "$@"' "$T" "$@"
}
fails 125 'dt-vmrun: /dev/kvm: No such file or directory$' 'a machine without KVM' \
	with_kvm '' dt-vmrun --backend kvm --from "$T/plain.tar" "$T/script"
fails 125 'dt-vmrun: qemu-system-x86_64: .*(KVM|kvm)' 'a machine whose KVM does not work' \
	with_kvm /dev/null dt-vmrun --backend kvm --from "$T/plain.tar" "$T/script"
ok 'it is not needed' with_kvm /dev/null dt-vmrun --from "$T/plain.tar" "$T/script"
is 'but missed' "$(grep -c '^dt-vmrun: KVM does not work here: qemu-system-x86_64: .*; using --backend tcg$' "$T/err")" 1
same 'the layer is there' <(python3 "$t_dir/fixtures/vmimage.py" show <"$T/out" | cut -d ' ' -f 1) <(echo x)
fails 125 'none \(install linux-image.*: No such file or directory$' 'no kernel' \
	dt-vmrun --backend tcg --kernel "$T/none" --from "$T/plain.tar" "$T/script"
cp "$(command -v busybox)" "$T/vmlinuz-1"
fails 125 'vmlinuz-1: no modules of this kernel' 'a kernel without modules' \
	dt-vmrun --backend tcg --kernel "$T/vmlinuz-1" --from "$T/plain.tar" "$T/script"
chmod 000 "$T/vmlinuz-1"
cp "$build/dt-vmrun" "$T/dt-vmrun"
chmod 644 "$T/script" "$T/plain.tar"
fails 125 'vmlinuz-1: only root may read it' 'a kernel that may not be read' \
	env HOME="$T/tmp" DT_CACHE="$T/tmp" setpriv --reuid=30001 --regid=30001 --clear-groups \
	"$T/dt-vmrun" --backend tcg --kernel "$T/vmlinuz-1" --from "$T/plain.tar" "$T/script"
mkdir "$T/bin"
cp "$(command -v busybox)" "$T/bin"
ln -s "$(PATH=$PATH:/sbin:/usr/sbin command -v mke2fs)" "$T/bin"
fails 125 'qemu-system-x86_64: .* \(install qemu-system-x86\)$' 'no QEMU' \
	unshare -m bash -c 'for dir in /usr/bin /bin; do
		mount --bind /dev/null "$dir/qemu-system-x86_64" && break; done; exec "$@"' - \
	env PATH="$T/bin" "$build/dt-vmrun" --backend tcg --from "$T/plain.tar" "$T/script"
fails 125 'dt-vmrun: /: all files of this machine do not fit on a disk$' 'all files of this machine' \
	dt-vmrun --backend tcg --from "$T/plain.tar" --bind /:/srv "$T/script"
mkdir "$T/secret" "$T/guest"
cp "$build/guest/init" "$T/guest"
echo x >"$T/secret/file"
chmod 000 "$T/secret/file"
kernels=(/boot/vmlinuz-*)
kernel=$T/${kernels[-1]##*/}
install -m 644 "${kernels[-1]}" "$kernel"
fails 125 "dt-vmrun: $T/secret/file: Permission denied\$" 'a bound file that may not be read' \
	env HOME="$T/tmp" DT_CACHE="$T/tmp" setpriv --reuid=30001 --regid=30001 --clear-groups \
	"$T/dt-vmrun" --backend tcg --kernel "$kernel" --from "$T/plain.tar" --bind "$T/secret" "$T/script"
is 'no QEMU is left' "$(our_qemus)" ''
cut() { head -c 5000 "$T/plain.tar" | dt-vmrun --backend tcg "$T/script"; }
fails 125 'truncated|no end|[Tt]runcated' 'an image that is truncated' cut
is 'an image that is truncated: no layer' "$(wc -c <"$T/out")" 0
rm -rf "$T/tmp"/*
nothing_left 'failure'

# --- how a guest ends ---

# refuses STATUS REGEX DESCRIPTION SCRIPT OPTION...
refuses() {
	local status=$1 regex=$2 what=$3
	script "exec >/dev/null 2>&1; $4"
	shift 4
	fails "$status" "$regex" "$what" dt-vmrun --backend tcg --from "$T/plain.tar" "$@" "$T/script"
	is "$what: no layer" "$(wc -c <"$T/out")" 0
}

if ! grep -q __asan_init "$build/dt-vmrun"; then # a guest does not know of sanitizers
	refuses 3 'script: exit status 3$' 'a script that exits with 3' 'kill -9 1; exit 3'
	refuses 137 'script: killed by signal 9$' 'a script that is killed' 'kill -9 $$'
	script '#!/no/such'
	fails 127 'script: its interpreter /no/such: No such file or directory$' 'no interpreter' \
		dt-vmrun --backend tcg --from "$T/plain.tar" "$T/script"
	refuses 125 'script: the guest crashed: .*Kernel panic - not syncing' 'a panic' \
		'echo c >/proc/sysrq-trigger; sleep 100'
	refuses 125 'script: the guest was powered off$' 'power off' 'echo o >/proc/sysrq-trigger; sleep 100'
	refuses 125 'script: the guest .*$' 'a reboot' 'echo b >/proc/sysrq-trigger; sleep 100'
	refuses 125 'script: out of memory, it has 128 MiB$' 'no memory left' \
		'x=x; while :; do x=$x$x; done' --memory 128
	refuses 125 'script: its disk of 16 MiB is full$' 'no disk left' \
		'dd if=/dev/zero of=/x bs=1M; true' --disk-size 16
	refuses 125 'script: timed out after 15 s$' 'no time left' 'sleep 1000' --timeout 15
	script 'dd if=/dev/zero of=/x bs=1M count=300 2>/dev/null && sync'
	fails 125 'TMPDIR is full$|No space left on device' "the machine's disk is full" unshare -m bash -c '
		mount -t tmpfs -o size=100M none "$TMPDIR"; exec "$@"' - \
		dt-vmrun --backend tcg --from "$T/plain.tar" "$T/script"
	nothing_left 'failure'

	# A guest whose script runs.
	start() {
		script 'echo started; sleep 1000'
		dt-vmrun --backend tcg --from "$T/plain.tar" "$T/script" >"$T/out" 2>"$T/err" &
		pid=$!
		until grep -q started "$T/err"; do kill -0 "$pid" || break; done
	}
	start
	kill -9 "$(our_qemus)"
	wait "$pid"
	is 'QEMU is killed' "$? $(grep -v started "$T/err") $(wc -c <"$T/out")" \
		'125 dt-vmrun: QEMU was killed by signal 9 0'
	start
	disown
	kill -9 "$pid"
	for ((i = 0; i < 600; i++)); do
		[ -n "$(our_qemus)" ] || break
		sleep 0.1
	done
	nothing_left 'kill -9'
fi

finish
