# A sample of what each tool and script does: arguments and input with which it succeeds. Source it after lib.sh.
# shellcheck shell=bash source-path=SCRIPTDIR disable=SC2034,SC2154 # lib.sh sets t_dir; others use what is set here
. "$t_dir/registry.sh"

# A store of two paths, of which one refers to the other; it is seen as /nix/store.
app=/nix/store/0123456789abcdfghijklmnpqrsvwxyz-app
lib=/nix/store/zyxwvsrqpnmlkjihgfdcba9876543210-lib
mkdir -p "$T/s$app" "$T/s$lib"
echo "exec cat $lib/text" >"$T/s$app/run"
echo hello >"$T/s$lib/text"

# keep TEXT: puts it into the cache of blobs, and prints its digest and size as JSON.
keep() {
	local digest
	digest=$(printf %s "$1" | sha256sum | cut -d ' ' -f 1)
	mkdir -p "$DT_CACHE/blobs"
	printf %s "$1" >"$DT_CACHE/blobs/$digest"
	printf '"digest": "sha256:%s", "size": %d' "$digest" "${#1}"
}

# sample TOOL: sets `args` and `input`, the arguments and the file on stdin with which the
# tool succeeds, and `cut`, a file that is the same input truncated, or '' if the tool does
# not read stdin. Each tool has one.
sample() {
	args=() input=$T/input cut=$T/cut
	case $1 in
	dt-closure)
		args=(--scan --store "$T/s")
		echo "$app" >"$input"
		;;
	dt-popularity)
		printf '%s\n' 'b 1 a' 'a 1' >"$input"
		;;
	dt-fleet)
		mkdir -p "$T/plans"
		printf '%s\n' 'b 1 a' 'a 1' >"$T/sample.graph"
		args=("$T/sample.graph" "$T/plans")
		input=/dev/null cut=''
		return
		;;
	dt-cost)
		printf '%s\n' 'b 1 a' 'a 1' >"$T/sample.graph"
		args=("$T/sample.graph")
		printf '%s\n' b a >"$input"
		head -c -1 "$input" >"$cut"
		return
		;;
	dt-layer)
		args=(--store "$T/s")
		printf '%s\n' "$lib" "$app" >"$input"
		;;
	dt-root)
		mkdir -p "$T/tree/etc"
		echo hello >"$T/tree/etc/motd"
		args=(--tree "$T/tree")
		input=/dev/null cut=''
		return
		;;
	dt-manifest)
		args=(--name sample)
		printf '%s\n' "$lib" "$app" | dt-layer --store "$T/s" >"$input"
		perl -0777 -pe 's/\0+\z//' "$input" >"$cut" # the end-of-archive mark
		return
		;;
	dt-merge)
		args=(-)
		printf '%s\n' "$lib" "$app" | dt-layer --store "$T/s" | dt-manifest --name sample >"$input"
		perl -0777 -pe 's/\0+\z//' "$input" >"$cut"
		return
		;;
	dt-flatten | dt-inspect)
		printf '%s\n' "$lib" "$app" | dt-layer --store "$T/s" | dt-manifest --name sample >"$input"
		perl -0777 -pe 's/\0+\z//' "$input" >"$cut"
		return
		;;
	dt-sbom)
		printf '%s\n' "$app 1 $lib" "$lib 1" >"$input"
		;;
	dt-nixdb)
		args=(--store "$T/s")
		dt-closure --scan --store "$T/s" "$app" >"$input"
		;;
	dt-compress)
		printf '%s\n' "$lib" "$app" | dt-layer --store "$T/s" >"$input"
		perl -0777 -pe 's/\0+\z//' "$input" >"$cut"
		return
		;;
	dt-vmrun)
		args=(--backend userns "$T/script")
		echo 'echo x >/x' >"$T/script"
		printf '%s\n' "$lib" "$app" | dt-layer --store "$T/s" | dt-manifest --name sample >"$input"
		perl -0777 -pe 's/\0+\z//' "$input" >"$cut"
		return
		;;
	dt-drv)
		printf 'Derive([("out","%s","","")],[],[],"any","/bin/sh",[],[])' "$app" >"$input"
		;;
	dt-build-image)
		args=(--store "$T/s")
		printf '{"name": "sample", "copyToRoot": ["%s"], "compressor": "none"}\n' "$app" >"$input"
		;;
	dt-build-layered-image)
		args=(--store "$T/s")
		printf '{"name": "sample", "contents": ["%s"], "compressor": "none"}\n' "$app" >"$input"
		;;
	dt-merge-images | dt-export-image)
		echo "$lib" | dt-layer --store "$T/s" | dt-manifest --name sample >"$T/sample.tar"
		jq -n --arg file "$T/sample.tar" --arg tool "$1" \
			'if $tool == "dt-merge-images" then {images: [$file]} else {fromImage: $file} end' >"$input"
		;;
	dt-pull)
		# All of it is in the cache, so no registry is asked.
		local layer config manifest types=application/vnd.oci.image
		layer=$(keep 'the layer')
		config=$(keep "{\"rootfs\": {\"type\": \"layers\", \"diff_ids\": [$(cut -d ' ' -f 2 <<<"$layer" | tr -d ,)]}}")
		manifest=$(keep "{\"schemaVersion\": 2, \"config\": {\"mediaType\": \"$types.config.v1+json\", $config},
			\"layers\": [{\"mediaType\": \"$types.layer.v1.tar\", $layer}]}")
		args=("example.invalid/sample@$(cut -d '"' -f 4 <<<"$manifest")")
		input=/dev/null cut=''
		return
		;;
	dt-push)
		[ -n "${liar-}" ] || start_liar
		args=(--tls-verify=false "${liar:?}/push.honest/sample:1")
		printf '%s\n' "$lib" "$app" | dt-layer --store "$T/s" | dt-manifest --name sample >"$input"
		perl -0777 -pe 's/\0+\z//' "$input" >"$cut"
		return
		;;
	dt-env-helper)
		args=(fakeNss)
		input=/dev/null cut=''
		return
		;;
	dt-stream-nix-shell-image | dt-build-nix-shell-image)
		mkdir -p "$T/s$app/bin"
		cp "$T/s$app/run" "$T/s$app/bin/bash"
		printf 'Derive([("out","%s","","")],[],["%s"],"any","/bin/sh",[],[])' "$lib" "$app" >"$T/sample.drv"
		args=(--store "$T/s")
		printf '{"drv": "%s"}\n' "$T/sample.drv" >"$input"
		;;
	dt-stream-layered-image)
		args=(--store "$T/s")
		printf '{"name": "sample", "contents": ["%s"]}\n' "$app" >"$input"
		;;
	*)
		return 1
		;;
	esac
	head -c -5 "$input" >"$cut"
}
