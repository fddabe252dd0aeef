# Container engines: what an engine has, what must be sent to it, and whether it is complete then.
# Load this file after script.bash.
#
#     engine_find
#     load_images
#
# The images are described by three files: $work/about has a line for each image, as dt-inspect
# prints it; $work/thin is an image archive of them without layers; $work/lacking lists the diff_ids
# of layers that cannot be sent. `send_image FILE [NAME TAG]` prints the image archive with the
# layers that FILE lists.
#
# Docker and podman have the same commands. An engine differs from another in these functions, where
# KIND is cli or containerd:
#
#     KIND_state      writes to $work/known the layers that the engine has under the images'
#                     references. Returns 0 if it has the images, and they are complete.
#     KIND_more       writes to $work/known the layers of more images
#     KIND_load FILE  loads the images with the layers that FILE lists
#     KIND_undo       removes references to images that are not complete
# shellcheck shell=bash disable=SC2016,SC2034,SC2154 # awk and jq have variables, too; the script sets and uses some

# reach COMMAND...: runs a program on the machine of the engine. All programs share one connection,
# unless the name of its socket would be too long. Local programs make their temporary files in $work. A
# signal to the script ends the program.
engine_job=''
reach() {
	local words status=0
	reach_words words "$@"
	TMPDIR=$work "${words[@]}" <&0 &
	engine_job=$!
	wait "$engine_job" 2>/dev/null || status=$?
	engine_job=''
	return "$status"
}

# reach_words ARRAY COMMAND...: sets the array to the words of this command, or of the ssh that runs it on
# another host.
reach_words() {
	local -n reached=$1
	local line shared=()
	shift
	reached=("$@")
	[ -n "$host" ] || return 0
	printf -v line '%q ' "$@"
	[ "${#work}" -gt 75 ] || shared=(-o ControlMaster=auto -o ControlPath="$work/ssh" -o ControlPersist=60)
	reached=(ssh "${shared[@]}" -- "$host" "$line")
}

# at_host COMMAND...: does the same without standard input, because ssh would read it.
at_host() { reach "$@" </dev/null; }

# run_at_host COMMAND...: the same; the command must succeed.
run_at_host() { at_host "$@" || give_up $? "$1"; }

# answered STATUS PROGRAM: exits if the program on the machine of the engine was killed, or if the
# connection failed. Otherwise its status is an answer.
answered() {
	[ -z "$host" ] || [ "$1" -ne 255 ] || die "$host: the connection failed"
	not_killed "$1" "$2"
}

# engine_close: ends the program of reach, removes the temporary name of an image, and ends the
# connection to the host.
temporary=''
engine_close() {
	local i
	if [ -n "$engine_job" ]; then
		kill "$engine_job"
		for ((i = 0; i < 50; i++)); do kill -0 "$engine_job" && sleep 0.1; done
		kill -KILL "$engine_job"
		wait "$engine_job"
	fi 2>/dev/null
	[ -z "$temporary" ] || at_host "${ctr[@]}" images rm "$temporary" >/dev/null 2>&1 || true
	[ ! -S "$work/ssh" ] || attempt ssh -o ControlPath="$work/ssh" -O exit -- "$host" 2>/dev/null
}

# engine_note: records the command that removes the temporary name, for the case that the script is killed.
engine_note() {
	local words work=$work
	printf -v work '%76s' '' # without the shared connection, which ends with the script
	reach_words words "${ctr[@]}" images rm "$temporary"
	printf '%s\0' "${words[@]}"
}

# engine_sweep DIR: removes the temporary name that a killed script has recorded in its scratch directory.
engine_sweep() {
	local words
	[ -f "$1/temporary" ] || return 0
	mapfile -d '' -t words <"$1/temporary"
	[ "${#words[@]}" -eq 0 ] || attempt "${words[@]}" </dev/null >/dev/null 2>&1 || true
}
at_sweep=engine_sweep

# engine_find: sets $engine, if it is empty, to the first engine that the host has. Sets $ctr, the
# command for containerd, and $machine, the architecture of another host.
engine_find() {
	local programs=${engine:-docker podman ctr} program status=0
	machine=''
	programs=${programs/containerd/ctr}
	programs=${programs/kind/docker}
	at_host sh -c "for i in $programs; do if command -v \$i >/dev/null; then break; fi; i=none; done; echo \$i; uname -m" \
		>"$work/output" 2>"$work/messages" || status=$?
	if [ "$status" -ne 0 ]; then
		[ -n "$host" ] || not_killed "$status" sh
		engine_message
		die "${host:-this machine}: ${REPLY:-cannot be reached}"
	fi
	read_output
	program=${REPLY%$'\n'}
	[ -z "$host" ] || machine=${program#*$'\n'}
	program=${program%$'\n'*}
	[ "$program" != none ] || die "there is no ${programs// / or } on ${host:-this machine}: install it, or choose another --engine"
	if [ -z "$engine" ]; then
		engine=${program/ctr/containerd}
		# Some systems have a script `docker` that runs podman.
		if [ "$engine" = docker ]; then
			at_host docker --version >"$work/output" 2>/dev/null || answered $? docker
			read_output
			[[ $REPLY != podman* ]] || engine=podman
		fi
		inform "engine $engine: the first of docker, podman and ctr on ${host:-this machine}"
	fi
	ctr=(ctr)
	[ -z "$namespace" ] || ctr+=(--namespace "$namespace")
}

# load_images: loads all images into the engine, and prints what was loaded.
load_images() {
	local nodes node i sent=0 reused=0
	[ -s "$work/about" ] || die 'the archive has no image'
	list_references
	case $engine in
	docker | podman) load_into cli "$engine" ;;
	containerd) load_into containerd "$engine" ;;
	kind)
		find_nodes nodes
		for node in "${nodes[@]}"; do
			ctr=(docker exec -i "$node" ctr --namespace "${namespace:-k8s.io}")
			load_into containerd "$node"
		done
		;;
	esac
	for i in "${!references[@]}"; do
		[ "${references[i]}" = "${images[i]}" ] || print "image ${references[i]}"
		[ "${images[i]}" = "${images[i + 1]-}" ] || print "config ${images[i]}"
	done
	print "sent $sent"
	print "reused $reused"
}

# find_nodes ARRAY: sets the array to the containers that are the nodes of the cluster.
find_nodes() {
	local -n found=$1
	local name=${cluster:-${KIND_CLUSTER_NAME:-kind}} lines line
	run_at_host docker ps --filter "label=io.x-k8s.kind.cluster=$name" \
		--format '{{.Names}} {{.Label "io.x-k8s.kind.role"}}' >"$work/output"
	mapfile -t lines <"$work/output"
	found=()
	for line in "${lines[@]}"; do
		[[ $line == *' external-load-balancer' ]] || found+=("${line%% *}")
	done
	[ "${#found[@]}" -gt 0 ] || die "there is no cluster '$name' of kind: choose one with --cluster"
}

# list_references: sets $references to the images' references. For each reference, $images has the
# digest of the configuration, $manifests that of the manifest, and $full the reference with its
# registry. The reference of an image without a name is its digest.
list_references() {
	local lines line fields
	run tar -xOf "$work/thin" index.json >"$work/index"
	run jq -r --slurpfile index "$work/index" '. as $image |
		[$index[0].manifests[] | select(.digest == $image.manifest) | .annotations["io.containerd.image.name"]] as $full |
		if .repoTags == [] then "\(.config) \(.config) \(.manifest) -"
		else range(.repoTags | length) | "\($image.repoTags[.]) \($image.config) \($image.manifest) \($full[.])" end' \
		"$work/about" >"$work/output"
	mapfile -t lines <"$work/output"
	references=() images=() manifests=() full=()
	for line in "${lines[@]}"; do
		read -ra fields <<<"$line"
		references+=("${fields[0]}") images+=("${fields[1]}") manifests+=("${fields[2]}") full+=("${fields[3]}")
	done
	# podman reads an archive with a single name as OCI's, and keeps the registry in the name. It gives
	# several names the registry localhost, which it prefers for a name without a registry.
	[[ $engine != podman || ${#full[@]} -ne 1 || ${full[0]} == - ]] || references=("${full[@]}")
}

# load_into KIND NAME: loads the images, unless the engine has them. NAME is for messages. Adds to
# $sent and $reused.
load_into() {
	run jq -r '.layers[]' "$work/about" >"$work/output"
	run sort -u "$work/output" >"$work/all"
	: >"$work/send"
	if "$1_state"; then
		inform "$2 has the image, and it is complete: nothing is sent"
	else
		if [ "$all" = true ] || [ ! -s "$work/known" ]; then "$1_more"; fi
		find_missing "$1"
		can_send || { "$1_more" && find_missing "$1"; }
		can_send || die "layer $REPLY is not in the archive, and $2 does not have it"
		inform_layers "$2"
		load_checked "$1" "$2"
	fi
	count_bytes
}

# inform_layers NAME: prints for each layer whether it is sent.
inform_layers() {
	local line
	[ "${#verbose[@]}" -gt 0 ] || return 0
	while IFS= read -r line; do
		if may_fail grep -qFx -- "$line" "$work/send"; then
			inform "layer $line: sent: $1 lacks it, or cannot use it alone"
		else
			inform "layer $line: not sent: $1 has it"
		fi
	done <"$work/all"
}

# load_checked KIND NAME: loads the layers in $work/send. If the image is not complete then, loads
# all layers. Sets $work/send to what was sent.
load_checked() {
	! load_complete "$1" || return 0
	if [ "$(<"$work/send")" != "$(<"$work/all")" ]; then
		inform "$2: the image is not complete: all layers are sent"
		run cp "$work/all" "$work/send"
		can_send || die "$2 has lost layer $REPLY, and it is not in the archive"
		! load_complete "$1" || return 0
	fi
	engine_message
	die "$2: ${REPLY:-"it does not have the complete image under its name; did something else change it?"}"
}

# load_complete KIND: loads the layers in $work/send. Returns whether the image is complete then.
load_complete() {
	local status=0
	"$1_load" "$work/send" || status=$?
	if [ "$status" -eq 0 ]; then
		! "$1_state" || return 0
		: >"$work/messages"
	fi
	"$1_undo"
	[ "$status" -eq 255 ] || not_killed "$status" "the program that loads the image"
	return 1
}

# can_send: returns 1 if $work/send has a layer that cannot be sent, and sets $REPLY to it.
can_send() {
	may_fail grep -Fxm 1 -f "$work/lacking" "$work/send" >"$work/output" || return 0
	read_output
	REPLY=${REPLY%$'\n'}
	return 1
}

# find_missing KIND: writes to $work/send the layers that the engine lacks. $work/known has a JSON
# array for each image of the engine, or for containerd of all blobs.
#
# Docker uses a layer only if it has all layers below it, too: its layers are chains. podman accepts
# a thin archive only if it has a single name, and containerd gets several images under their names.
find_missing() {
	local rule=set
	[ "$engine" != docker ] || rule=chain
	[ "$1" != containerd ] || rule=blobs
	[[ $engine != podman || ${#references[@]} -eq 1 ]] || rule=all
	run jq -rn --slurpfile known "$work/known" --arg rule "$rule" '
		def prefix($chain): . as $layers | first(range(length + 1) | select(. == ($layers | length) or $layers[.] != $chain[.]));
		[inputs] as $images | INDEX($known[][]; .) as $has |
		[$images[] | .layers as $layers |
			if $rule == "chain" then $layers[([$known[] | . as $chain | $layers | prefix($chain)] | max // 0):][]
			elif $rule == "all" or ($rule == "blobs" and $images[1]) then $layers[]
			elif $rule == "set" then $layers[] | select($has[.] | not)
			else [$layers, [.blobs[].digest]] | transpose[] | select($has[.[1]] | not)[0] end] | unique[]' \
		"$work/about" >"$work/send"
}

# count_bytes: adds to $sent and $reused the sizes of the layers.
count_bytes() {
	local counts
	run jq -rn --rawfile send "$work/send" 'INDEX($send | split("\n")[]; .) as $sent |
		[inputs | [.layers, .blobs] | transpose[]] | unique_by(.[0]) | group_by($sent[.[0]] != null) |
		INDEX($sent[.[0][0]] != null) | map_values(map(.[1].size) | add) | "\(.true // 0) \(.false // 0)"' \
		"$work/about" >"$work/output"
	read -ra counts <"$work/output"
	sent=$((sent + counts[0])) reused=$((reused + counts[1]))
}

# engine_message: sets $REPLY to the last line that a failed program of the engine printed, or to nothing.
engine_message() {
	local lines line
	REPLY=''
	mapfile -t lines <"$work/messages"
	for line in "${lines[@]}"; do
		[[ $line != *[![:space:]]* ]] || REPLY=${line%$'\r'}
	done
}

# give FILE NAME-AND-TAG COMMAND...: sends the image archive to a command of the engine. Exits if
# the archive cannot be made.
give() {
	local name=() status=0 sender fd
	[ -z "$2" ] || name=("${2%:*}" "${2##*:}")
	exec {fd}< <(send_image "$1" "${name[@]}") # waited for
	sender=$!
	reach "${@:3}" <&"$fd" {fd}<&- >"$work/messages" 2>&1 || status=$?
	exec {fd}<&-
	wait "$sender" 2>/dev/null || case $? in
	141) ;;
	*) give_up $? 'the program that makes the image' ;;
	esac
	return "$status"
}

# --- Docker and podman ---

# cli_ask REFERENCE...: writes the IDs and the layers of these images to $work/answer and
# $work/known. Fails if one is unknown.
cli_ask() {
	local status=0
	at_host "$engine" image inspect --format '{{.Id}} {{json .RootFS.Layers}}' -- "$@" >"$work/answer" 2>/dev/null || status=$?
	answered "$status" "$engine"
	run sed -n 's/^[^ ]* *\(\[.*\]\)$/\1/p' "$work/answer" >"$work/known"
	return "$status"
}

cli_state() {
	local ids id i
	cli_ask "${references[@]}" || return
	run cut -d ' ' -f 1 "$work/answer" >"$work/output"
	mapfile -t ids <"$work/output"
	for i in "${!references[@]}"; do
		id=sha256:${ids[i]#sha256:}
		[ "$id" = "${images[i]}" ] || { [ "$id" = "${manifests[i]}" ] && docker_has_all "${references[i]}"; } || return
	done
}

# docker_has_all REFERENCE: returns whether Docker has the complete image. Images of its containerd
# store may lack layers. Versions before 28 do not report this, but fail to load such an image.
docker_has_all() {
	local pid fd status=0
	run rm -f "$work/request"
	run mkfifo "$work/request"
	reach docker system dial-stdio <"$work/request" >"$work/answer" 2>/dev/null &
	pid=$!
	exec {fd}<>"$work/request"
	# The answer to HTTP/1.0 is not in chunks.
	printf 'GET /images/%s/json?manifests=1 HTTP/1.0\r\n\r\n' "$1" >&"$fd"
	wait "$pid" || status=$?
	exec {fd}>&-
	answered "$status" docker
	run sed '1,/^\r$/d' "$work/answer" >"$work/output"
	may_fail jq -e '.Id != null and ([.Manifests[]? | select(.Kind == "image")] | all(.Available))' "$work/output" >/dev/null
}

# The images of the same names, or all if there are none or if the user wants it.
cli_more() {
	local ids=() reference
	: >"$work/ids"
	if [ "$all" = false ]; then
		for reference in "${references[@]}"; do
			[[ $reference == sha256:* ]] || run_at_host "$engine" image ls -q --no-trunc "${reference%:*}" >>"$work/ids"
		done
	fi
	[ -s "$work/ids" ] || run_at_host "$engine" image ls -q --no-trunc >"$work/ids"
	run sort -u "$work/ids" >"$work/output"
	mapfile -t ids <"$work/output"
	: >"$work/known"
	[ "${#ids[@]}" -eq 0 ] || cli_ask "${ids[@]}" || true # an image may be gone
}

cli_load() { give "$1" '' "$engine" load; }

# Docker's containerd store gives the reference to an image that is not complete.
cli_undo() {
	local i id
	for i in "${!references[@]}"; do
		id=$(at_host "$engine" image inspect --format '{{.Id}}' -- "${references[i]}" 2>/dev/null) || continue
		[ "$id" != "${manifests[i]}" ] || docker_has_all "${references[i]}" ||
			at_host docker image rm "${references[i]}" >/dev/null 2>&1 || true
	done
}

# --- containerd ---

# containerd_state: $work/known becomes all blobs.
containerd_state() {
	local i filters=()
	for i in "${!full[@]}"; do
		[ "${full[i]}" != - ] || die 'the image has no name, so containerd cannot keep it: name it with dt-merge --name'
		filters+=("name==${full[i]}")
	done
	run_at_host "${ctr[@]}" content ls -q >"$work/output"
	run jq -cnR '[inputs]' "$work/output" >"$work/known"
	containerd_check "${filters[@]}"
	for i in "${!full[@]}"; do
		may_fail awk -v name="${full[i]}" -v digest="${manifests[i]}" \
			'$1 == name && $3 == digest && $4 == "complete" { found = 1 } END { exit !found }' "$work/answer" || return
	done
}

# containerd_check FILTER...: writes to $work/answer a line for each image that the filters match.
containerd_check() { run_at_host "${ctr[@]}" images check "$@" >"$work/answer" 2>/dev/null; }

containerd_more() { :; }

# A reference must never refer to an image that is not complete. So an image is loaded under another
# name, which is its only one.
containerd_load() {
	local name lines status=0
	mapfile -t lines <"$work/about"
	if [ "${#lines[@]}" -gt 1 ]; then
		give "$1" '' "${ctr[@]}" images import --all-platforms -
		return
	fi
	printf -v temporary 'dt-load.invalid/image:%08x%08x' "$SRANDOM" "$SRANDOM"
	engine_note >"$work/temporary"
	give "$1" "$temporary" "${ctr[@]}" images import --all-platforms - || status=$?
	if [ "$status" -eq 0 ]; then
		containerd_check "name==$temporary"
		may_fail grep -q ' complete ' "$work/answer" || status=1
	fi
	for name in "${full[@]}"; do
		[ "$status" -ne 0 ] || at_host "${ctr[@]}" images tag --force "$temporary" "$name" >"$work/messages" 2>&1 || status=$?
	done
	# If this fails, engine_close does it again.
	! at_host "${ctr[@]}" images rm "$temporary" >/dev/null 2>&1 || temporary=''
	return "$status"
}

containerd_undo() { :; }
