# An image of store paths, many of them in layers of their own. After spec.bash, image.bash,
# env.bash and root.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # others set and use what is used here

layered_keys='{
	"name": ["string"], "tag": ["string", null], "fromImage": ["string", null],
	"contents": ["contents", []], "config": ["object", {}], "architecture": ["string", null],
	"created": ["string", "1970-01-01T00:00:01Z"], "mtime": ["string", "1970-01-01T00:00:01Z"],
	"maxLayers": ["integer", 100], "layeringPipeline": ["list", null],
	"uid": ["integer", 0], "gid": ["integer", 0],
	"uname": ["string", "root"], "gname": ["string", "root"],
	"extraCommands": ["string", ""], "fakeRootCommands": ["string", ""],
	"enableFakechroot": ["boolean", false], "includeStorePaths": ["boolean", true],
	"includeNixDB": ["boolean", false], "debug": ["boolean", false],
	"meta": ["object", {}], "passthru": ["object", {}]}'

# Sets $contents: what is found at the root, as options of dt-layer: links to what is in
# store paths, and the contents of helpers and of other folders.
find_contents() {
	local real i
	contents=()
	spec_roots '[.contents] | flatten[] | values'
	for ((i = 0; i < ${#roots[@]}; i += 2)); do
		if [ "${roots[i]}" = helper ]; then
			spec_helper contents "${roots[i + 1]}"
			contents+=(--tree "$helper_tree")
			continue
		fi
		real=$(real_path contents "${roots[i + 1]}")
		if is_store_path "$real"; then contents+=(--links "$real"); else contents+=(--tree "$real"); fi
	done
}

# Sets $plan: how store paths share layers, as options of dt-popularity.
find_plan() {
	local max=${key[maxLayers]-100} base=0 other=1
	[ "$max" -le 127 ] || die "maxLayers is $max; no engine runs an image of more than 127 layers"
	[ "$max" -le 125 ] || printf '%s: maxLayers is %d; Docker loads no image of more than 125 layers\n' "$self" "$max" >&2
	if [ -v 'key[layeringPipeline]' ]; then
		printf '%s\n' "${key[layeringPipeline]}" >"$work/pipeline"
		plan=(--pipeline "$work/pipeline")
		return
	fi
	if [ "${#from[@]}" -gt 0 ]; then
		base=$(dt-manifest --inspect "${from[@]}" "${arch[@]}" | jq '.layers | length')
	fi
	[ "${key[includeNixDB]-}" != true ] || other=2
	[ $((max - base - other)) -gt 0 ] || die "maxLayers is $max, but the base image has $base layers and the customisation takes $other"
	plan=(--strategy transfer --max-layers $((max - base - other)))
}

# Makes $work/customisation, a layer of the contents and of what the commands make of them.
customise() {
	local commands=${key[extraCommands]-} fake_commands=${key[fakeRootCommands]-} layer
	mkdir "$work/tree"
	if [ -n "$commands$fake_commands" ]; then
		unpack_layer "$work/tree" --tree "$work/tree" "${contents[@]}"
		contents=()
	fi
	[ -z "$commands" ] || run_commands extraCommands "$work/tree"
	layer=(dt-layer "${store[@]}" "${times[@]}" "${from[@]}" --tree "$work/tree" "${contents[@]}")
	if [ -n "$fake_commands" ]; then
		root_run "$work/tree" "${key[enableFakechroot]-false}" "$fake_commands" \
			"${layer[@]}" --owner keep >"$work/customisation"
	else
		"${layer[@]}" >"$work/customisation"
	fi
}

# Makes $work/customisation, and $work/graph, the graph of all store paths.
layered_find() {
	local missing=()
	[ "${key[includeStorePaths]-}" != false ] || missing=(--ignore-missing)
	find_named "${missing[@]}" contents config
	find_contents
	customise
	: >"$work/graph"
	[ "${#missing[@]}" -gt 0 ] || find_graph "$work/graph" "$work/customisation"
}

# layered_database KEY...: makes $work/database, a layer with what Nix needs to know the store
# paths; it keeps those that these keys mention.
layered_database() {
	local owner
	make_database "$work/graph" "$@"
	key_options owner --owner databaseOwner
	dt-layer "${times[@]}" "${owner[@]}" --tree "$work/db" --comment 'Nix database' >"$work/database"
}

# layered_prepare [KEY...]: reads the spec's keys and does all that may fail by what it says.
# With KEYs the store paths are those in $work/named, the closure of those that these keys
# mention, and no others that the image mentions.
layered_prepare() {
	[ "${key[debug]-}" != true ] || set -x
	image_options
	key_options times --mtime mtime
	key_options owner --uname uname --gname gname
	owner+=(--owner "${key[uid]-0}:${key[gid]-0}")
	find_plan
	if [ $# -gt 0 ]; then
		find_contents
		customise
		cp "$work/named" "$work/graph"
	else
		layered_find
	fi
	: >"$work/plan"
	[ ! -s "$work/graph" ] || dt-popularity "${plan[@]}" <"$work/graph" >"$work/plan"
	: >"$work/database"
	[ $# -gt 0 ] || set -- contents config
	[ "${key[includeNixDB]-}" != true ] || layered_database "$@"
}

# The layers, the bottom one first. Nothing follows those that failed.
layered_layers() {
	if [ -s "$work/plan" ]; then
		dt-layer "${store[@]}" "${times[@]}" "${owner[@]}" <"$work/plan" || return
	fi
	cat "$work/database" "$work/customisation"
}

# Writes the image to standard output.
layered_write() {
	layered_layers | dt-manifest "${image[@]}" "${from[@]}" "${arch[@]}" --config "$work/config"
}
