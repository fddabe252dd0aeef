#!/usr/bin/env bash
# An image of dt that dt makes. In Docker, the dt of the image makes the same image again.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need make jq patchelf ldd
version=$(sed -nE 's/^VERSION *= *//p' "$top/Makefile")

# A store of three paths: dt, the programs that its scripts run, and the libraries of both.
libraries=$(store_path libraries) programs=$(store_path programs) dt=$(store_path "dt-$version")
mkdir -p "$T/s$libraries/lib" "$T/s$programs/bin"
ok 'make install' make -s -C "$top" install B="$build" DESTDIR="$T/s" PREFIX="$dt"
while read -r program group _; do
	[[ $program != '#'* && $group = base ]] || continue
	cp -L "$(type -P "$program")" "$T/s$programs/bin/"
done <"$top/scripts/lib/programs.txt"
ln -s bash "$T/s$programs/bin/sh"
for file in "$T/s$programs"/bin/* "$T/s$dt"/bin/*; do
	{ [ ! -L "$file" ] && patchelf --print-needed "$file"; } >/dev/null 2>&1 || continue # a symlink or a script
	ldd "$file" | grep -oE '/[^ ]+' >>"$T/needed"
	patchelf --set-interpreter "$libraries/lib/ld-linux.so" --force-rpath --set-rpath "$libraries/lib" "$file"
done
sort -u "$T/needed" | while read -r file; do
	if [[ ${file##*/} == ld-* ]]; then cp -L "$file" "$T/s$libraries/lib/ld-linux.so"; else cp -L "$file" "$T/s$libraries/lib/"; fi
done
chmod -R u+w "$T/s"
for file in "$T/s$libraries"/lib/lib*; do
	[[ $file == */libc.so* ]] || patchelf --force-rpath --set-rpath "$libraries/lib" "$file"
done

jq -n --arg dt "$dt" --arg programs "$programs" --arg version "$version" '{
	name: "dt", tag: $version, contents: [$dt, $programs, "usrBinEnv", "fakeNss"],
	extraCommands: "mkdir -m 1777 tmp", config: {Cmd: ["dt-layer", "--version"], Env: ["PATH=/bin", "HOME=/tmp"]}}' >"$T/spec.json"
ok 'dt makes an image of dt' dt-stream-layered-image --store "$T/s" -o "$T/dt.tar" "$T/spec.json"
is 'each store path is in a layer of its own' "$(dt-inspect "$T/dt.tar" | jq '.layers | length')" 4
start_dockerd
ok 'Docker loads it' docker load -q -i "$T/dt.tar"
image=dt:$version
says 'dt runs in it' "dt-layer $version" in_docker "$image"
ok 'so does dt-doctor' in_docker "$image" dt-doctor
like 'which makes an image there' "$T/out" '^ok +layered-image '
like 'and lists the libraries' "$T/out" '^ok +libraries .*libarchive\.so'
# again OPTION...: the image that the container makes of its own store.
again() { docker run -i --rm --network=none "$@" "$image" dt-stream-layered-image <"$T/spec.json"; }
ok 'the image makes an image of dt' again
same 'it is the same image' "$T/out" "$T/dt.tar"
ok 'a user who may not write does so, too' again --user 1234:5 --read-only --tmpfs /tmp
same 'the image is the same' "$T/out" "$T/dt.tar"
finish
