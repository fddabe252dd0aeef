#!/usr/bin/env bash
# dt-vmrun with a kernel that is not in /boot, in a sandbox like that of a build of Nix: one user, no /boot, no /dev/kvm
# and no /dev/fuse.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need bwrap jq busybox qemu-system-x86_64 mke2fs xz
unset DT_BACKEND DT_KERNEL DT_MODULES
kernels=(/boot/vmlinuz-*)
release=${kernels[-1]#*-}
mkdir -p "$T/tmp" "$T/modules/$release"
export TMPDIR=$T/tmp
cp "${kernels[-1]}" "$T/bzImage"
# The modules are compressed, as in NixOS and Debian 13.
source=/lib/modules/$release
cp "$source/modules.dep" "$T/dep"
grep -E '/(virtio_pci|virtio_pci_legacy_dev|virtio_pci_modern_dev|virtio|virtio_ring|virtio_blk|virtio_console|crc.*|overlay|erofs|ext4|jbd2|mbcache|netfs|fscache|libcrc32c)\.ko:' \
	"$T/dep" >"$T/used"
sed -E 's/\.ko( |:|$)/.ko.xz\1/g' "$T/used" >"$T/modules/$release/modules.dep"
for module in $(tr -d : <"$T/used" | tr ' ' '\n' | sort -u); do
	mkdir -p "$T/modules/$release/${module%/*}"
	xz -0 -c "$source/$module" >"$T/modules/$release/$module.xz"
done
echo 'id -u >/user; uname -r >/kernel' >"$T/script"

# in_sandbox COMMAND...
in_sandbox() {
	bwrap --unshare-all --uid 1000 --gid 100 --ro-bind / / --tmpfs /boot --tmpfs "$(readlink -f /lib/modules)" \
		--dev /dev --proc /proc --bind "$T" "$T" "$@"
}
is 'the sandbox has no kernel and no devices' "$(in_sandbox bash -c 'echo /boot/* /lib/modules/* /dev/[kf]u* /dev/kvm*; id -u')" \
	'/boot/* /lib/modules/* /dev/full /dev/kvm*
1000'
no_image=(dt-vmrun --no-image)
fails 125 '^dt-vmrun: no kernel in /boot with modules in /lib/modules: install .*, or name one by --kernel and --modules$' \
	'neither KVM nor a kernel' in_sandbox "${no_image[@]}" "$T/script"
is 'no layer' "$(wc -c <"$T/out")" 0
fails 125 '^dt-vmrun: /dev/kvm: No such file or directory$' 'KVM alone' in_sandbox "${no_image[@]}" --backend kvm "$T/script"
fails 125 "bzImage: no modules of this kernel in /lib/modules\$" 'a kernel without modules' \
	in_sandbox "${no_image[@]}" --kernel "$T/bzImage" "$T/script"
fails 125 "bzImage: no modules of this kernel in $T/none\$" 'a directory that is not there' \
	in_sandbox "${no_image[@]}" --kernel "$T/bzImage" --modules "$T/none" "$T/script"
fails 125 "/none .*: No such file" 'DT_KERNEL' in_sandbox env "DT_KERNEL=$T/none" "${no_image[@]}" "$T/script"
ok '--kernel and --modules' in_sandbox "${no_image[@]}" --kernel "$T/bzImage" --modules "$T/modules" "$T/script"
layer() { tar -xOf "$1" --wildcards 'blobs/sha256/*'; }
is 'the script ran as root, by this kernel' "$(layer "$T/out" | tar -xO user kernel)" "$release
0"
export DT_KERNEL=$T/bzImage DT_MODULES=$T/modules/$release
jq -n '{name: "x", tag: "t", runAsRoot: "id -u >/user; uname -r >/kernel", compressor: "none"}' >"$T/spec"
ok 'dt-build-image takes them from the environment' in_sandbox dt-build-image "$T/spec"
is 'and runs runAsRoot' "$(dt-flatten "$T/out" | tar -xO user kernel)" "$release
0"
ok '--print-kernel' in_sandbox dt-vmrun --print-kernel
is '--print-kernel: the kernel and its modules' "$(cat "$T/out")" "$T/bzImage
$DT_MODULES"
unset DT_KERNEL DT_MODULES
fails 125 '^dt-vmrun: no kernel in /boot' '--print-kernel without a kernel' in_sandbox dt-vmrun --print-kernel
fails 1 '^dt-build-image: no kernel in /boot .*: runAsRoot failed with status 125$' 'dt-build-image without a kernel' \
	in_sandbox dt-build-image "$T/spec"
is 'no scratch file is left' "$(ls -A "$T/tmp")" ''
finish
