# An image of store paths, many of them in layers of their own. After image.bash, env.bash and
# root.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set by name, and by spec.bash

# layered_image [KEY...]: writes the image of the specification to standard output.
# With KEYs its store paths are those in $work/named, the closure of those that these keys
# mention, and no others that the image mentions.
layered_image() {
	local image from arch times owner contents plan layers named missing=()
	if [ "${key[debug]-}" = true ]; then
		exec {BASH_XTRACEFD}>&2
		set -x
	fi
	key_options image --name name --tag tag --created created
	key_options from --from fromImage
	key_options arch --arch architecture
	[ "${#from[@]}" -eq 0 ] || from+=("${arch[@]}") # each tool that reads the base
	key_options times --mtime mtime
	key_options owner --uname uname --gname gname
	owner+=(--owner "${key[uid]-0}:${key[gid]-0}")
	layers=(layered_layers "${store[@]}" "${times[@]}" "${owner[@]}")
	find_plan plan "${from[@]}" "${arch[@]}"

	[ "${key[includeStorePaths]-}" != false ] || missing=(--ignore-missing)
	[ $# -gt 0 ] || find_named "${missing[@]}" contents config
	find_contents contents
	customise contents "${times[@]}" "${from[@]}"
	if [ $# -gt 0 ]; then
		run cp "$work/named" "$work/graph"
	else
		: >"$work/graph"
		graph_paths named "$work/named"
		[ "${#missing[@]}" -gt 0 ] || find_graph "$work/graph" "$work/customisation" "${named[@]}"
		set -- contents config
	fi
	: >"$work/database"
	[ "${key[includeNixDB]-}" != true ] || layered_database times "$@"
	: >"$work/plan"
	[ ! -v 'key[fromImage]' ] || [ ! -s "$work/graph" ] || leave_out_base "$work/graph" "${arch[@]}" "${key[fromImage]}"
	[ ! -s "$work/graph" ] || run dt-popularity "${plan[@]}" <"$work/graph" >"$work/plan"
	write_image layers "${image[@]}" "${from[@]}" "${arch[@]}"
}

# find_plan ARRAY [BASE...]: sets the array to how store paths share layers, as options of
# dt-popularity. BASE are options of dt-manifest that name a base image.
find_plan() {
	local -n plan_options=$1
	local max=${key[maxLayers]-100} base=0 other=1
	[ "$max" -le 127 ] || die "maxLayers is $max; no engine runs an image of more than 127 layers"
	[ "$max" -le 125 ] || printf '%s: maxLayers is %d; Docker loads no image of more than 125 layers\n' "$self" "$max" >&2
	if [ -v 'key[layeringPipeline]' ]; then
		printf '%s\n' "${key[layeringPipeline]}" >"$work/pipeline"
		plan_options=(--pipeline "$work/pipeline")
		return
	fi
	if [ -v 'key[fromImage]' ]; then
		run dt-manifest --inspect "${@:2}" >"$work/base"
		capture jq '.layers | length' "$work/base"
		base=$REPLY
	fi
	[ "${key[includeNixDB]-}" != true ] || other=2
	[ $((max - base - other)) -gt 0 ] || die "maxLayers is $max, but the base image has $base layers and the customisation takes $other"
	plan_options=(--strategy transfer --max-layers $((max - base - other)))
}

# find_contents ARRAY: sets the array to what is found at the root, as options of dt-layer: links
# to what is in store paths, and the contents of helpers and of other directories.
find_contents() {
	local -n content_options=$1
	local roots i
	content_options=()
	spec_roots roots '[.contents] | flatten'
	for ((i = 0; i < ${#roots[@]}; i += 2)); do
		if [ "${roots[i]}" = helper ]; then
			spec_helper contents "${roots[i + 1]}"
			content_options+=(--tree "$REPLY")
			continue
		fi
		real_path contents "${roots[i + 1]}"
		if is_store_path "$REPLY"; then content_options+=(--links "$REPLY"); else content_options+=(--tree "$REPLY"); fi
	done
}

# customise ARRAY OPTION...: makes $work/customisation, a layer of the contents that the options of
# dt-layer in the array name, and of what the commands make of them. The OPTIONs are dt-layer's, too.
customise() {
	local -n chosen=$1
	local commands=${key[extraCommands]-} fake_commands=${key[fakeRootCommands]-} layer
	local sources=("${chosen[@]}")
	run mkdir "$work/tree"
	if [ -n "$commands$fake_commands" ]; then
		unpack_layer "$work/tree" --tree "$work/tree" "${sources[@]}"
		sources=()
	fi
	[ -z "$commands" ] || run_commands extraCommands "$work/tree"
	layer=(dt-layer "${store[@]}" "${@:2}" --tree "$work/tree" "${sources[@]}")
	if [ -n "$fake_commands" ]; then
		root_run "$work/tree" "${key[enableFakechroot]-false}" "$fake_commands" \
			"${layer[@]}" --owner keep >"$work/customisation"
	else
		run "${layer[@]}" >"$work/customisation"
	fi
}

# layered_database ARRAY KEY...: makes $work/database, a layer with the files by which Nix knows
# the store paths in $work/graph, and keeps those that these keys mention. The array has
# options of dt-layer.
layered_database() {
	local -n time_options=$1
	local owner
	key_options owner --owner databaseOwner
	make_database "$work/graph" "${@:2}"
	run dt-layer "${time_options[@]}" "${owner[@]}" --tree "$work/db" --comment 'Nix database' >"$work/database"
}

# layered_layers OPTION...: prints the layers, the bottom one first; the options are dt-layer's.
# Nothing follows layers that failed.
layered_layers() {
	if [ -s "$work/plan" ]; then
		dt-layer "$@" <"$work/plan" || return
	fi
	cat "$work/database" "$work/customisation"
}
