#!/usr/bin/env bash
# dt-doctor: what it reports on machines that lack something.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
. "$t_dir/users.sh"
need gcc bwrap python3 fakeroot jq busybox qemu-system-x86_64 mke2fs newuidmap patchelf podman ctr
doctor=$top/scripts/dt-doctor
export DOCKER_HOST=unix://$T/none CONTAINERD_ADDRESS=$T/none
unset DT_BACKEND DT_KERNEL DT_MODULES REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
mkdir -m 1777 "$T/tmp"
mkdir "$T/host"
chmod 755 "$T"
export TMPDIR=$T/tmp

# item NAME WANT: the line of this item in the last report matches.
item() { like "$what: $1" "$T/out" "^$2 +$1 +${3-}"; }
# healthy COMMAND...: dt-doctor succeeds, and prints no messages.
healthy() {
	ok "$what" "$@"
	is "$what: no messages" "$(cat "$T/err")" ''
}

what='a complete machine'
healthy "$doctor"
is 'each line has a status, an item and a detail' \
	"$(grep -vE '^(ok|limited|missing|broken|unknown) +[a-zA-Z0-9-]+ +[^ ]' "$T/out")" ''
for name in system bash filters programs-base temporary-files cache layered-image programs-root user-namespaces bwrap \
	fakeRootCommands enableFakechroot fuse dt-vmrun-userns programs-vm busybox kernel podman ssh credentials landlock \
	seccomp libraries; do
	item "$name" ok
done
item docker broken '.*Cannot connect'
item containerd broken 'there is no socket'
item dt-vmrun-tcg unknown '.*--boot'
item libraries ok '.*libarchive\.so\.13'
item system ok 'Debian.*, Linux [0-9.]+.*, x86_64, user 0$'
is 'no scratch file is left' "$(ls -A "$T/tmp")" ''
is 'the cache is not used' "$(ls -A "$DT_CACHE" 2>/dev/null)" ''
fails 2 'unexpected operand' 'an operand' "$doctor" x

# --- missing programs ---
mkdir "$T/bin"
while read -r program group _; do
	[[ $program != '#'* && -n $program && $group != fallback && $group != engine && $program != faked ]] || continue
	ln -s "$(type -P "$program")" "$T/bin/$program"
done <"$top/scripts/lib/programs.txt"
bash=$(type -P bash)
# lacking PROGRAM: dt-doctor without this program. bash starts it, because env may be missing.
lacking() {
	local status=0
	mv "$T/bin/$1" "$T/moved"
	PATH=$T/bin "$bash" "$doctor" || status=$?
	mv "$T/moved" "$T/bin/$1"
	return "$status"
}
while read -r program group package _; do
	[[ $program != '#'* && $group = base && $program != bash ]] || continue # bash finds itself
	what="without $program"
	fails 1 "^dt-doctor: images cannot be made here: $program: all scripts: install ${package%%|*}" "$what" lacking "$program"
	item "$program" missing ".*: install ${package//|/ or } \(nixpkgs: [a-z-]+\)\$"
	item other unknown
done <"$top/scripts/lib/programs.txt"
for program in fakeroot bwrap qemu-system-x86_64; do
	what="without $program"
	healthy lacking "$program"
	item "$program" missing '.*: install '
	item layered-image ok
	item docker missing '.*: install docker.io or docker-ce \(nixpkgs: docker-client\)'
	[ "$program" != fakeroot ] || item fakeRootCommands broken '.*needs fakeroot'
done
is 'no scratch file is left' "$(ls -A "$T/tmp")" ''

# --- filters that do not run ---
mkdir "$T/filters"
ln -s "$build"/dt-* "$T/filters"
export DT_BUILD=$T/filters
rm "$T/filters/dt-root"
cp "$build/dt-root" "$T/filters"
patchelf --add-needed libnone.so.1 "$T/filters/dt-root"
what='a missing library'
fails 1 '^dt-doctor: .*: dt-root: .*libnone\.so\.1: cannot open shared object file' "$what" "$doctor"
item dt-root broken '.*libnone\.so\.1'
rm "$T/filters/dt-root"
echo 'int main(void) { __builtin_trap(); }' | gcc -x c -o "$T/filters/dt-root" -
what='a filter that crashes'
fails 1 '^dt-doctor: .*: dt-root: dt-root was killed by signal 4$' "$what" "$doctor"
item dt-root broken
rm "$T/filters/dt-root"
what='a missing filter'
PATH=/usr/bin fails 1 '^dt-doctor: .*: dt-root: build it by make, or install dt$' "$what" "$doctor" -o "$T/report"
cp "$T/report" "$T/out"
item dt-root missing
export DT_BUILD=$build

what='no temporary directory'
fails 1 "^dt-doctor: .*: temporary-files: $T/none is not a writable directory: set TMPDIR\$" "$what" \
	env "TMPDIR=$T/none" "$doctor"

# --- users ---
make_user 41597
export DT_CACHE=$T/tmp/cache
what='a user'
healthy as user "$doctor"
item user-namespaces limited '.*1 ID, .*/etc/subuid'
item fakeRootCommands ok
item layered-image ok
item cache ok ".*$T/tmp/cache: made when"
make_subids
what='a user with subordinate IDs'
healthy as subids "$doctor"
item user-namespaces ok '6553[67] IDs'
item dt-vmrun-userns ok
what='a user without user namespaces'
healthy as alone "$doctor"
item user-namespaces broken
item bwrap broken
item programs-fallback ok
item dt-vmrun-userns broken
what='a cache of root'
mkdir -m 755 "$T/cache"
echo 12345 >"$T/cache/fact"
DT_CACHE=$T/cache healthy as user "$doctor"
item cache limited ".*$T/cache is not writable"

# --- stores, devices, credentials ---
mkdir -p "$T/system/nix/store" "$T/system/gnu/store" "$T/system/nix/var/nix/db"
touch "$T/system/nix/var/nix/db/db.sqlite"
mkdir -p "$T/alone/00000000000000000000000000000000-x"
what='no devices, no variables, and a store alone'
healthy env -i PATH=/usr/bin "DT_BUILD=$build" bwrap --dev-bind / / --dev /dev --tmpfs /boot "$doctor" --boot --store "$T/alone"
item store limited ".*$T/alone, without a database"
item cache limited 'none.*: set DT_CACHE'
item fuse missing
item kvm missing
item kernel missing '.*: no kernel in /boot'
item dt-vmrun-kvm missing
item dt-vmrun-tcg broken '.*no kernel in /boot'
mkdir "$T/docker" "$T/config" "$T/config/containers"
secret=$(printf user:hidden | base64)
jq -n --arg auth "$secret" '{auths: {"registry.example.org": {auth: $auth}, "https://me:hidden@index.docker.io/v1/": {}},
	credHelpers: {"helped.example.org": "none"}, credsStore: "vault"}' >"$T/docker/config.json"
jq -n --arg auth "$secret" '{auths: {"quay.io/team": {auth: $auth}, "empty.example.org": {}}}' >"$T/config/containers/auth.json"
what='a store, a cache and credentials'
DT_CACHE=$T/cache DOCKER_CONFIG=$T/docker XDG_CONFIG_HOME=$T/config healthy "$doctor" --store "$T/system"
item store-nix ok ".*, with the database $T/system/nix/var/nix/db/db.sqlite"
item store-gnu limited '.*without a database'
item cache ok ".*$T/cache: 1 files, 0\\.0 MB"
item credentials ok "$T/config/containers/auth.json: quay.io/team\$"
item credentials ok "$T/docker/config.json: registry.example.org, https://index.docker.io/v1/, helped.example.org, those of docker-credential-vault\$"
is 'no secret is printed' "$(grep -e hidden -e "$secret" -e me: "$T/out")" ''
what='no store, and bad credentials'
REGISTRY_AUTH_FILE=$T/bin healthy "$doctor" --store "$T/none"
item store missing
item credentials broken "$T/bin: "

# --- an interrupt, while an engine does not answer ---
mkdir "$T/slow"
printf '#!/bin/sh\n: >%q\nexec sleep 600\n' "$T/called" >"$T/slow/docker"
chmod 755 "$T/slow/docker"
cat >"$T/interrupt.py" <<'END'
import os, signal, subprocess, sys, time
# A shell without job control lets its background jobs ignore SIGINT, and so this test.
p = subprocess.Popen(sys.argv[2:], start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
while not os.path.exists(sys.argv[1]):
    time.sleep(0.05)
os.killpg(p.pid, signal.SIGINT)
before = time.monotonic()
status = p.wait()
seconds = time.monotonic() - before
print(status, 'at once' if seconds < 15 else seconds)  # dt-doctor waits for an engine for 20 seconds
END
ok 'an interrupt' env "PATH=$T/slow:$PATH" python3 "$T/interrupt.py" "$T/called" "$doctor"
is 'it ends dt-doctor at once' "$(cat "$T/out" "$T/err")" '130 at once'
is 'no scratch file is left' "$(ls -A "$T/tmp")" ''

# --- engines, and virtual machines ---
start_dockerd
start_containerd
what='engines'
healthy "$doctor" --boot
item docker ok '.*/docker: reaches a daemon of version [0-9]'
item containerd ok '.*/ctr: reaches a daemon'
item podman ok '.*/podman: podman version [0-9]'
item dt-vmrun-tcg ok 'booted a guest'
item dt-vmrun-kvm '(ok|broken|missing)'
is 'no scratch file is left' "$(ls -A "$T/tmp")" ''
finish
