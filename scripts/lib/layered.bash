# Layered images: many store paths have their own layers. Load this file after image.bash,
# contents.bash and root.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set by name, and by spec.bash

# layered_image [KEY...]: writes the image of the specification to standard output. Without KEYs,
# the image has the closure of all store paths that it mentions. With KEYs, it has the store paths
# in $work/named, the closure of those that these keys mention.
layered_image() {
	local image from arch times owner contents room layers named missing=()
	if [ "${key[debug]-}" = true ]; then
		exec {BASH_XTRACEFD}>&2
		set -x
	fi
	key_options image --name name --tag tag --created created
	key_options from --from fromImage
	key_options arch --arch architecture
	[ "${#from[@]}" -eq 0 ] || from+=("${arch[@]}") # for each tool that reads the base image
	key_options times --mtime mtime
	key_options owner --uname uname --gname gname
	owner+=(--owner "${key[uid]-0}:${key[gid]-0}")
	layers=(layered_layers "${store[@]}" "${only[@]}" "${times[@]}" "${owner[@]}")
	check_image "${image[@]}" "${arch[@]}"
	room=0
	if [ ! -v 'key[layeringPipeline]' ]; then
		find_room "${arch[@]}"
		room=$REPLY
	fi

	resolve_contents contents
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
	[ ! -v 'key[fromImage]' ] || [ ! -s "$work/graph" ] || leave_out_base "$work/graph" "${arch[@]}" "${key[fromImage]}"
	make_plan "$room"
	write_image layers "${image[@]}" "${from[@]}" "${arch[@]}" "${only[@]}"
}

# find_room [BASE...]: sets $REPLY to the number of layers that store paths may have. BASE are
# options of dt-manifest that name a base image.
find_room() {
	local max=${key[maxLayers]-100} base=0 other=1 limit=125
	if [ -v 'key[fromImage]' ]; then
		run dt-inspect "$@" -- "${key[fromImage]}" >"$work/base"
		capture jq '.layers | length' "$work/base"
		base=$REPLY
	fi
	[ "${key[includeNixDB]-}" != true ] || other=2
	[ $((base + other)) -lt "$limit" ] || limit=127
	if [ "$max" -gt "$limit" ]; then
		printf '%s: maxLayers is %d, but an image can have only %d layers; maxLayers is reduced to that\n' "$self" "$max" "$limit" >&2
		max=$limit
	fi
	REPLY=$((max - base - other))
	[ "$REPLY" -ge 0 ] ||
		die "maxLayers is $max, but the base image has $base layers and the customisation takes $other"
}

# make_plan ROOM: makes $work/plan, with at most ROOM layers for the store paths in $work/graph. If
# the specification has a layeringPipeline, that decides instead.
make_plan() {
	: >"$work/plan"
	if [ ! -s "$work/graph" ]; then
		return
	elif [ -v 'key[layeringPipeline]' ]; then
		printf '%s\n' "${key[layeringPipeline]}" >"$work/pipeline"
		run_about layeringPipeline "$work/pipeline" \
			dt-popularity --pipeline "$work/pipeline" <"$work/graph" >"$work/plan"
	elif [ "$1" -eq 0 ]; then
		die 'maxLayers leaves no layer for store paths'
	else
		run dt-popularity --max-layers "$1" <"$work/graph" >"$work/plan"
	fi
}

# find_contents ARRAY: sets the array to options of dt-root for the key contents. A store path
# becomes --links; helpers and other directories become --tree.
find_contents() {
	local -n content_options=$1
	local parts i
	content_options=()
	read_parts parts contents false
	for ((i = 0; i < ${#parts[@]}; i += 3)); do
		if [ "${parts[i]}" = path ] && [ -z "${parts[i + 2]}" ] && is_store_path "${parts[i + 1]}"; then
			content_options+=(--links "${parts[i + 1]}")
		else
			part_tree contents "${parts[@]:i:3}"
			content_options+=(--tree "$REPLY")
		fi
	done
}

# customise ARRAY OPTION...: makes $work/customisation, a layer with the contents after the commands
# of the specification were run. The array and the OPTIONs are options of dt-root; the array names
# the contents.
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
	layer=(dt-root --no-cache "${store[@]}" "${@:2}" --tree "$work/tree" "${sources[@]}")
	if [ -n "$fake_commands" ]; then
		root_run "$work/tree" "${key[enableFakechroot]-false}" "$fake_commands" \
			"${layer[@]}" --owner keep >"$work/customisation"
	else
		run "${layer[@]}" >"$work/customisation"
	fi
}

# layered_database ARRAY KEY...: makes $work/database, a layer with the Nix database for the store
# paths in $work/graph. The store paths that these keys mention are garbage collector roots. The
# array has options of dt-root.
layered_database() {
	local -n time_options=$1
	local owner
	key_options owner --owner databaseOwner
	make_database "$work/graph" "${@:2}"
	run dt-root --no-cache "${only[@]}" "${time_options[@]}" "${owner[@]}" --tree "$work/db" --comment 'Nix database' >"$work/database"
}

# layered_layers OPTION...: prints the layers, the bottom one first. The options are those of
# dt-layer. Returns the status of the program that failed. In that case a text that is not an
# archive follows, so that a reader does not accept the incomplete list.
layered_layers() {
	local status=0
	[ ! -s "$work/plan" ] || attempt dt-layer "$@" <"$work/plan" || status=$?
	[ "$status" -ne 0 ] || attempt cat "$work/database" "$work/customisation" || status=$?
	[ "$status" -eq 0 ] || echo 'not all layers'
	return "$status"
}
