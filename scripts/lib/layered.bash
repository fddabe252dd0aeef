# Layered images: many store paths have their own layers. Load this file after image.bash,
# contents.bash and root.bash.
# shellcheck shell=bash disable=SC2034,SC2154 # variables are set by name, and by spec.bash

# layered_script ARG...: the script $self, which is dt-stream-layered-image or dt-build-layered-image.
layered_script() {
	spec_begin 'Reads a JSON object and writes an image archive with layers of store paths.' \
		'store compress only prepare format verbose' layered_keys "$@"
	if [ -n "$prepared" ]; then prepared_image; else layered_image; fi
	output_end
}

# layered_image [KEY...]: writes the image of the specification to standard output, or makes the
# prepared directory $prepare. Without KEYs, the image has the closure of all store paths that it
# mentions. With KEYs, it has the store paths in $work/named, the closure of those that these keys
# mention.
layered_image() {
	local image from arch times owner parts contents room layer layers named missing=() archives=()
	if [ "${key[debug]-}" = true ]; then
		exec {BASH_XTRACEFD}>&2
		set -x
	fi
	key_options image --name name --tag tag --created created
	[ "${key[inheritConfig]-}" != false ] || image+=(--inherit env)
	key_options from --from fromImage
	key_options arch --arch architecture
	[ "${#from[@]}" -eq 0 ] || from+=("${arch[@]}") # for each tool that reads the base image
	[ -z "$prepare" ] || fix_mtime
	key_options times --mtime mtime
	find_owner
	check_image "${image[@]}" "${arch[@]}"
	room=0
	if [ ! -v 'key[layeringPipeline]' ]; then
		find_room "${arch[@]}"
		room=$REPLY
	fi

	read_contents parts contents false
	[ "${key[includeStorePaths]-}" != false ] || missing=(--ignore-missing)
	[ $# -gt 0 ] || find_named "${missing[@]}" contents config
	find_contents contents "${parts[@]}"
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
	layer=("${store[@]}" "${times[@]}" "${owner[@]}")
	image+=("${from[@]}" "${arch[@]}" --config "$work/config" --annotations "$work/annotations")
	if [ -n "$prepare" ]; then
		prepare_image layer "${image[@]}"
	else
		# dt-manifest reads the archives itself. If a program before it printed several archives, and was
		# killed between two of them, the image would lack layers and pass for complete.
		layers=(true)
		if [ -s "$work/plan" ]; then layers=(print_layers "$work/plan" "${only[@]}" "${layer[@]}") archives=(-); fi
		[ ! -s "$work/database" ] || archives+=("$work/database")
		write_image layers "${image[@]}" "${only[@]}" "${archives[@]}" "$work/customisation"
	fi
}

# find_owner: sets $owner to the options of dt-layer for the owner of store paths.
find_owner() {
	key_options owner --uname uname --gname gname
	owner+=(--owner "${key[uid]-0}:${key[gid]-0}")
}

# fix_mtime: sets the key mtime to a time that does not depend on when and where it is read.
fix_mtime() {
	local mtime=${key[mtime]-}
	if [ "$mtime" = now ]; then
		mtime=@$EPOCHSECONDS
	elif [ -z "$mtime" ]; then
		mtime=${SOURCE_DATE_EPOCH:+@$SOURCE_DATE_EPOCH}
	fi
	# shellcheck disable=SC2016 # the variable is jq's
	spec_change '.mtime = $mtime' --arg mtime "${mtime:-1970-01-01T00:00:01Z}"
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

# find_contents ARRAY [KIND VALUE DIRECTORIES]...: sets the array to options of dt-root for these parts of the key
# contents. A store path becomes --links; helpers and other directories become --tree.
find_contents() {
	local -n content_options=$1
	shift
	content_options=()
	while [ $# -gt 0 ]; do
		if [ "$1" = path ] && [ -z "$3" ] && is_store_path "$2"; then
			content_options+=(--links "$2")
		else
			part_tree contents "${@:1:3}"
			content_options+=(--tree "$REPLY")
		fi
		shift 3
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
	layer=(dt-root "${verbose[@]}" --no-cache "${store[@]}" "${@:2}" --tree "$work/tree" "${sources[@]}")
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
	run dt-root "${verbose[@]}" --no-cache "${only[@]}" "${time_options[@]}" "${owner[@]}" \
		--tree "$work/db" --comment 'Nix database' >"$work/database"
}

# print_layers PLAN OPTION...: prints the layers of the plan. The options are those of dt-layer.
print_layers() { attempt dt-layer "${verbose[@]}" "${@:2}" <"$1"; }

# --- prepared directories, dt-image(5) ---

# prepare_image ARRAY OPTION...: makes the prepared directory $prepare. The array has the options of
# dt-layer. The OPTIONs are those of dt-manifest.
prepare_image() {
	local -n layer_options=$1
	local compress=false layers archives=()
	stage_begin "$prepare"
	run cp "$work/plan" "$stage/plan"
	run cat "$work/database" "$work/customisation" >"$stage/top.tar"
	: >"$stage/stubs.tar"
	[ ! -s "$work/plan" ] ||
		run dt-layer "${verbose[@]}" "${layer_options[@]}" --only /dev/null <"$work/plan" >"$stage/stubs.tar"
	layers=(true)
	[ ! -s "$stage/stubs.tar" ] || archives=("$stage/stubs.tar")
	write_image layers "${@:2}" --only /dev/null "${archives[@]}" "$stage/top.tar" >"$stage/thin.tar"
	print_prepared >"$stage/prepared.json"
	stage_end "$prepare"
}

# print_prepared: prints the keys of the specification that a prepared directory needs. The name of
# the base image becomes absolute.
print_prepared() {
	local base=${key[fromImage]-}
	[[ -z $base || $base == /* ]] || base=${PWD%/}/$base
	# shellcheck disable=SC2016 # the variable is jq's
	run jq --arg base "$base" '{version: 1, fromImage: (if $base == "" then null else $base end),
		architecture, mtime, uid, gid, uname, gname, compressor} | with_entries(select(.value != null))' "$work/spec"
}

# prepared_image: writes the image of the directory $prepared to standard output. It runs no command
# of the specification, and reads only the store paths of the layers that it writes.
prepared_image() {
	local from arch times owner layers archives=()
	[ "${key[version]}" = 1 ] || die "$prepared: prepared by another version of dt, make it again"
	if [ "${#only[@]}" -gt 0 ] && [ ! -s "${only[1]}" ] && [ "${#image_format[@]}" -eq 0 ]; then
		run cat "$prepared/thin.tar"
		return
	fi
	key_options from --from fromImage
	key_options arch --arch architecture
	key_options times --mtime mtime
	find_owner
	layers=(true)
	if [ -s "$prepared/plan" ]; then
		layers=(print_layers "$prepared/plan" "${store[@]}" "${only[@]}" "${times[@]}" "${owner[@]}"
			--digests "$prepared/stubs.tar")
		archives=(-)
	fi
	write_image layers --documents "$prepared/thin.tar" "${from[@]}" "${arch[@]}" "${only[@]}" \
		"${archives[@]}" "$prepared/top.tar"
}
