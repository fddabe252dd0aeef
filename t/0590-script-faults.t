#!/usr/bin/env bash
# The scripts, if a program that they run is killed: they fail with one line, or their output is the
# same, byte for byte.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need jq busybox timeout

# A store with a shell, its library, and a program that needs both.
library=/nix/store/00000000000000000000000000000001-library-1.0
bash=/nix/store/00000000000000000000000000000002-bash-5.2
older=/nix/store/00000000000000000000000000000003-bash-5.1
app=/nix/store/00000000000000000000000000000004-app-1.0
mkdir -p "$T/store$library" "$T/store$bash/bin" "$T/store$older/bin" "$T/store$app/bin" "$T/tmp" "$T/dir/sub"
echo library >"$T/store$library/library"
echo "$library" >"$T/store$bash/bin/bash"
echo "$library" >"$T/store$older/bin/bash"
echo "$bash $older" >"$T/store$app/bin/app"
echo "$app" >"$T/dir/sub/file"
export TMPDIR=$T/tmp

# Wrappers of the programs, first on PATH; the filters are found in $DT_BUILD. Each call adds a
# line to $T/calls. The call of number $FAULT is killed, with a half of its output if $HALF is
# true.
helpers='awk basename cat chmod comm cp cut dirname env find grep head install ldd ln ls mkdir mktemp mv nl od paste
	printf readlink realpath rm rmdir sed sort tail tar tee touch tr uniq wc xargs jq sh'
wrap() { # NAME FILE
	cat >"$T/bin/$1" <<-END
		#!/bin/sh
		echo '$1' >>'$T/calls'
		n=0
		while read -r name; do n=\$((n + 1)); done <'$T/calls'
		[ "\$n" -eq "\${FAULT:-0}" ] || exec '$2' "\$@"
		if [ "\$HALF" = true ]; then
		    '$2' "\$@" >'$T/output' 2>/dev/null
		    PATH=/usr/bin:/bin
		    head -c "\$((\$(wc -c <'$T/output') / 2))" '$T/output'
		fi
		kill -KILL \$\$
	END
	chmod 755 "$T/bin/$1"
}
mkdir "$T/bin"
for name in $helpers; do
	file=$(type -P "$name") && wrap "$name" "$file"
done
for file in "$build"/dt-*; do
	[ ! -x "$file" ] || wrap "${file##*/}" "$file"
done

# script FAULT HALF COMMAND...: with the wrappers. Sets $status; leaves $T/out and $T/err.
script() {
	: >"$T/calls"
	status=0
	PATH=$T/bin:$PATH DT_BUILD=$T/bin FAULT=$1 HALF=$2 timeout 60 bash "$(type -P "$3")" "${@:4}" >"$T/out" 2>"$T/err" </dev/null || status=$?
}

# survives DESCRIPTION COMMAND...: each call of a program is killed in turn, before it has printed
# anything; one that prints text, also after a half of it.
survives() {
	local what=$1 calls n half halves bad=''
	shift
	script 0 false "$@"
	cp "$T/out" "$T/good"
	is "$what: no fault" "$status:$(cat "$T/err"):$([ -s "$T/out" ] && echo output)" 0::output
	mapfile -t calls <"$T/calls"
	for n in "${!calls[@]}"; do
		halves=(false)
		[[ ! ${calls[n]} =~ ^(jq|sort|cat)$ ]] || halves+=(true)
		for half in "${halves[@]}"; do
			script $((n + 1)) "$half" "$@"
			[ "$(wc -l <"$T/err")" -eq 1 ] && [ "$status" -ne 0 ] ||
				{ [ "$status" -eq 0 ] && cmp -s "$T/out" "$T/good"; } ||
				bad+="call $((n + 1)), ${calls[n]}, half $half: status $status, $(cat "$T/err")"$'\n'
			chmod -R u+rwx "$T/tmp" && rm -rf "$T/tmp" && mkdir "$T/tmp"
		done
	done
	is "$what: ${#calls[@]} calls that are killed" "$bad" ''
}

spec() { # FILE JQ-OBJECT
	jq -n --arg app "$app" --arg bash "$bash" --arg T "$T" "$2" >"$T/$1.json"
}
store=(--store "$T/store")

# shellcheck disable=SC2016 # the variables are jq's
{
	spec layered '{name: "x", tag: "t", contents: [$app, "fakeNss", "binSh", $T + "/dir"], includeNixDB: true,
		config: {Cmd: [$app + "/bin/app"]}, extraCommands: ": >a", compressor: "none"}'
	spec plain '{name: "x", tag: "t", contents: $app}'
	spec image '{name: "x", tag: "t", copyToRoot: ["binSh", {paths: [$app], pathsToLink: ["/bin"]}, $T + "/dir"],
		config: {Cmd: [$app]}, extraCommands: ": >a", includeNixDB: true}'
	spec merge '{images: [$T + "/one.tar", $T + "/two.tar"]}'
	spec export '{fromImage: ($T + "/one.tar")}'
}
survives dt-build-layered-image dt-build-layered-image "${store[@]}" "$T/layered.json"
dt-stream-layered-image "${store[@]}" "$T/plain.json" >"$T/one.tar"
jq '.name = "y" | .fromImage = $base' --arg base "$T/one.tar" "$T/plain.json" >"$T/base.json"
survives 'dt-stream-layered-image, on a base' dt-stream-layered-image "${store[@]}" "$T/base.json"
cp "$T/good" "$T/two.tar"
dt-stream-layered-image "${store[@]}" --prepare "$T/prepared" "$T/base.json"
survives 'a prepared directory' dt-stream-layered-image "${store[@]}" "$T/prepared"
survives dt-build-image dt-build-image "${store[@]}" "$T/image.json"
survives dt-merge-images dt-merge-images "$T/merge.json"
survives dt-export-image dt-export-image "$T/export.json"
survives dt-env-helper dt-env-helper caCertificates
survives 'dt-env-helper shadowSetup' dt-env-helper shadowSetup
survives '--print-build-args' dt-stream-layered-image --print-build-args "$T/plain.json"
survives '--version' dt-merge-images --version

# A symlink as the output, whose target cannot be found out.
mkdir "$T/killed"
printf '#!/bin/sh\nkill -KILL $$\n' >"$T/killed/realpath"
chmod 755 "$T/killed/realpath"
echo old >"$T/old"
ln -s old "$T/link"
fails 1 '^dt-stream-layered-image: realpath was killed by signal 9$' 'realpath of --output is killed' \
	env "PATH=$T/killed:$PATH" dt-stream-layered-image "${store[@]}" -o "$T/link" "$T/plain.json"
is 'realpath of --output is killed: the symlink and the old file stay' "$(readlink "$T/link"):$(cat "$T/old")" old:old

finish
