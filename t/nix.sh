# A Nix store and a stub of nixpkgs with dt, for the tests of scripts/dockertools.nix.
# shellcheck shell=bash disable=SC2034,SC2154 # shared with lib.sh and the tests

# make_packages: sets $N to a new directory with a Nix store, in which images can be made in a sandbox. $N/programs lists
# the programs of this machine for the stub.
make_packages() {
	local small=${DT_TEST_SMALL:-/var/tmp/dt-small} program package file
	need nix-build nix-instantiate nix-store busybox make
	ok 'a real store' "$t_dir/realstore" small "$small"
	N=$(mktemp -d /var/tmp/dt-nix.XXXXXX)
	at_exit "chmod -R u+w '$N'; rm -rf '$N'"
	chmod 755 "$N"
	cp -a --reflink=auto "$small/nix" "$N/nix"
	cp "$small/roots" "$N/roots"
	{
		sed '/^#/d; /^$/d' "$top/scripts/lib/programs.txt" | awk '$2 != "engine" { print $1, $4 }'
		echo make make
		echo pkg-config make
		echo sed make
		echo find make
	} | while read -r program package; do
		[ "$package" != shadow ] || continue
		case $program in
		fakeroot | faked) file=$N/$program ;;
		*) file=$(realpath "$(type -P "$program")") ;;
		esac
		echo "$program $package $file"
	done >"$N/programs"
	file=$(realpath "$(type -P fakeroot)")
	sed 's,^FAKED=.*,FAKED=faked,' "$file" >"$N/fakeroot"
	cp "${file/fakeroot/faked}" "$N/faked"
	chmod 755 "$N/fakeroot"
	for file in /boot/vmlinuz-*; do cp "$file" "$N/kernel"; done
	sandbox="/bin/sh=$(type -P busybox) /usr/lib /lib=/usr/lib /lib64=/usr/lib64 /usr/share/qemu /usr/share/seabios /dt-build=$build"
}

in_nix() { "$t_dir/with-nix" "$N" "$@"; }

# stub EXPRESSION: prints an expression of Nix in which `pkgs` is the stub, with dt's overlay.
stub() {
	printf 'let pkgs = import %s { packages = %s; programs = %s; kernel = %s; overlays = [ (import %s) ]; }; in %s\n' \
		"$t_dir/fixtures/nixpkgs" "$N/roots" "$N/programs" "$N/kernel" "$top/scripts/overlay.nix" "$1"
}

# builds EXPRESSION [OPTION]...: builds it in a sandbox, and prints the store paths.
builds() {
	in_nix nix-build --quiet -Q --no-out-link --option sandbox true --option filter-syscalls false \
		--option sandbox-paths "$sandbox" "${@:2}" -E "$(stub "$1")"
}

# build_examples: builds all images of t/fixtures/nixpkgs/examples.nix but those that Nix was told to leave out. Sets
# $built to their places on this machine, by name.
build_examples() {
	local name path
	declare -gA built=()
	local set="removeAttrs (import $t_dir/fixtures/nixpkgs/examples.nix pkgs) [ $* ]"
	ok 'the examples are built in a sandbox' builds "$set"
	while read -r name path; do
		built[$name]=$N$path
	done < <(evaluates "builtins.mapAttrs (_: image: image.outPath) ($set)" | jq -r 'to_entries[] | "\(.key) \(.value)"')
}

# evaluates EXPRESSION: prints its value as JSON.
evaluates() { in_nix nix-instantiate --eval --strict --json -E "$(stub "$1")"; }
