# A store with a compiler and a small stdenv, for the tests of nix-shell images.
# shellcheck shell=bash disable=SC2034,SC2154 # of lib.sh

# make_store: sets $S to the root of a new store. It has the packages of `t/realstore build` and the
# inputs of the derivations in t/fixtures/stdenv. It may be large, so it is not below $T.
make_store() {
	local packages=${DT_TEST_BUILD:-/var/tmp/dt-build}
	need nix-build nix-instantiate nix-store
	ok 'a real store' "$t_dir/realstore" build "$packages"
	S=$(mktemp -d /var/tmp/dt-nix-shell.XXXXXX)
	nix_root=$S
	at_exit "chmod -R u+w '$S'; rm -rf '$S'"
	chmod 755 "$S"
	cp -a --reflink=auto "$packages/nix" "$S/nix"
	cp "$packages/roots" "$S/roots"
	ok 'the inputs are built' build_inputs
}

# instantiate NAME: prints the path of the derivation.
instantiate() {
	in_nix nix-instantiate -Q --option experimental-features ca-derivations "$t_dir/fixtures/stdenv" --arg packages "$S/roots" -A "$1" 2>/dev/null | sed 's/!.*//'
}

build_inputs() {
	local drv
	for drv in hello outputs structured small quoted certified; do
		in_nix nix-store -q --references "$(instantiate "$drv")" | grep '[.]drv$'
	done | sort -u | in_nix xargs nix-store -Q --realise
}
