# What the scripts that make images share. After spec.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # the scripts use what is set here

# image_options: sets the arrays $image, $from and $arch, options of dt-manifest.
image_options() {
	spec_list image '
		option("--name"; .name), option("--tag"; .tag), option("--created"; .created)'
	spec_list from 'option("--from"; .fromImage),
		option("--from-name"; .fromImageName), option("--from-tag"; .fromImageTag)'
	spec_list arch 'option("--arch"; .architecture)'
	jq '.config // {}' <<<"$spec" >"$work/config"
}

# is_store_path PATH: it is one, or in one, going by how it reads.
is_store_path() { [[ $1 =~ ^(/.+)?/[0-9a-z]{32}-[^/]+(/.*)?$ ]]; }

# real_path KEY PATH: what a path of the spec stands for. A link to a store path works in
# the image; a link to anything else would not.
real_path() {
	if is_store_path "$2"; then
		printf '%s\n' "$2"
	else
		realpath -e -- "$2" 2>/dev/null || die "$1: $2: no such path"
	fi
}

# run_commands KEY DIR: runs the commands of this key in DIR.
run_commands() {
	local commands
	commands=$(spec_get ".$1")
	(cd "$2" && exec bash -euo pipefail -c "$commands") </dev/null >&2 || die "$1 failed with status $?"
}

# unpack_layer DIR OPTION...: the files of a layer of dt-layer, in DIR.
unpack_layer() {
	local dir=$1
	shift
	dt-layer --raw "${store[@]}" "$@" >"$work/unpacked.tar"
	tar --warning=no-unknown-keyword --no-same-owner -xpf "$work/unpacked.tar" -C "$dir"
	rm "$work/unpacked.tar"
}

# find_named FILTER [OPTION]...: writes to $work/named the graph of the store paths that the jq
# filter yields, which must be there, with all that they need.
find_named() { jq "$1" <<<"$spec" | dt-closure "${store[@]}" --text "${@:2}" >"$work/named"; }

# find_graph FILE LAYER: writes to FILE the graph of all store paths that the image needs: those
# in $work/named, and those that LAYER, a tar, mentions, which need not be there.
find_graph() {
	local named
	mapfile -t named < <(cut -d ' ' -f 1 "$work/named")
	dt-closure "${store[@]}" --text --ignore-missing "${named[@]}" <"$2" >"$1"
}

# make_database GRAPH FILTER: makes in $work/db what Nix needs to know the store paths of
# the graph, and to keep those that the jq filter yields.
make_database() {
	local nix=$work/db/nix/var/nix root
	mkdir -p "$nix/db" "$nix/gcroots/docker"
	[ -s "$1" ] || return 0 # Nix makes one of nothing by itself
	dt-nixdb "${store[@]}" <"$1" >"$nix/db/db.sqlite"
	printf 10 >"$nix/db/schema"
	while IFS= read -r root; do
		ln -sfn "$root" "$nix/gcroots/docker/"
	done < <(jq "$2" <<<"$spec" | grep -oE '/[^"]*/[0-9a-z]{32}-[0-9A-Za-z+._?=-]+' | sort -u)
}

# end_pipeline STATUS...: ends the script as its pipeline failed: with 2 if a tool was given
# what it does not take, whatever those before and behind it made of that.
end_pipeline() {
	[[ " $* " == *' 2 '* ]] || exit 1
	exit 2
}

# find_compressor: sets $compress, the filter that the spec's compressor means.
find_compressor() {
	local format
	format=$(spec_get '.compressor // "gz"')
	case $format in
	none | gz | zstd) compress=(dt-compress --format "$format") ;;
	*) die "compressor '$format' is none of none, gz and zstd" ;;
	esac
}
