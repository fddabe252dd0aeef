#!/usr/bin/env bash
# The output of a list of commands, over every tool and script, is the same bytes as ever: t/golden/bytes has its
# digests, for a store of made-up paths.
#
# After a change that moves no byte, the same list shows it on a real store. With DT_BYTES_PRINT it prints a line
# `SHA256 NAME` for each command, on the store paths that ROOT needs; DIR is the root of a system with a store:
#
#     DT_BYTES_PRINT=1 DT_BYTES=DIR:ROOT t/0010-bytes.t >before
#     DT_BYTES_PRINT=1 t/0010-bytes.t >t/golden/bytes    accepts a change of bytes that was made on purpose
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # a shell of its own expands these
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need jq skopeo docker-registry fakeroot

export DT_BACKEND=userns
[ -n "${DT_BYTES-}" ] || DT_BYTES=$T/store:$("$t_dir/fixtures/madeup" "$T/store")
S=$(realpath "${DT_BYTES%:*}") root=${DT_BYTES##*:}
W=$T/work
mkdir "$W"
cd "$W" || exit 1
# The certificates of authorities are those of the machine, so bytes would depend on it.
export NIX_SSL_CERT_FILE=$W/authorities
printf '%s\n' '-----BEGIN CERTIFICATE-----' AAAA '-----END CERTIFICATE-----' >authorities

# b NAME COMMAND: a line for the output of a command of bash; it is kept in the file NAME.
b() {
	local status=0
	bash -euo pipefail -c "$2" >"$1" 2>"$1.err" </dev/null || status=$?
	if [ "$status" -eq 0 ]; then
		printf '%s %s\n' "$(sha256sum <"$1" | cut -d ' ' -f 1)" "$1"
	else
		printf 'status-%s %s: %s\n' "$status" "$1" "$(head -n 1 "$1.err")"
	fi >>"$T/lines"
}
# spec FILE JQ: makes a specification
spec() { jq -n --arg shell "${shell-}" --arg root "$root" --arg W "$W" "${@:3}" "$2" >"$1"; }
export S root W

# --- inputs that no store path is ---
mkdir -p tree/etc/deep tree/bin tree/var/empty other/etc
printf 'hello\n' >tree/etc/motd
printf 'more\n' >other/etc/more
printf '#!/bin/sh\necho hi\n' >tree/bin/hi
chmod 755 tree tree/etc tree/etc/deep tree/bin tree/bin/hi tree/var other other/etc
chmod 711 tree/var/empty
chmod 4755 tree/bin/hi
chmod 644 tree/etc/motd other/etc/more
ln -s hi tree/bin/hello
ln -s etc other/conf
ln tree/etc/motd tree/etc/deep/same
printf '5 %s\n1 *\n' "${root##*/}" >weights
printf '{"Cmd":["%s/bin/x"],"Env":["A=1","B=2"],"ExposedPorts":{"80/tcp":{}},"Labels":{"k":"v"}}\n' "$root" >config.json
printf '[["subcomponent_out",["%s"]],["over","main",["pipe",[["popularity_contest"],["limit_layers",4]]]]]\n' "$root" >pipeline.json

# --- graphs and plans ---
b graph 'dt-closure --scan --store "$S" "$root"'
shell=$(cut -d ' ' -f 1 graph | while read -r path; do [ ! -e "$S$path/bin/bash" ] || echo "$path"; done | head -n 1)
export shell
b graph-text 'printf "see %s/bin, or not" "$root" | dt-closure --scan --store "$S" --text'
b graph-missing 'printf "%s and /nix/store/00000000000000000000000000000000-none" "$root" | dt-closure --scan --store "$S" --text --ignore-missing'
tail -n +3 graph | head -n 1 | cut -d ' ' -f 1 >excluded
b graph-exclude 'dt-closure --scan --store "$S" --exclude excluded "$root"'
b graph-of-graph 'dt-closure --graph graph "$root"'
awk '{ print $1; print ""; print NF - 2; for (i = 3; i <= NF; i++) print $i }' graph >registration
b graph-of-registration 'dt-closure --graph registration --store "$S" "$root"'
for n in 3 8 60; do
	b "plan-popularity-$n" "dt-popularity --strategy popularity --max-layers $n <graph"
	b "plan-auto-$n" "dt-popularity --strategy auto --max-layers $n <graph"
	b "plan-transfer-$n" "dt-popularity --strategy transfer --max-layers $n <graph"
done
b plan-weights 'dt-popularity --strategy transfer --max-layers 8 --weights weights <graph'
b plan-previous 'dt-popularity --strategy transfer --max-layers 8 --previous plan-transfer-3 <graph'
b plan-pipeline 'dt-popularity --pipeline pipeline.json <graph'
b rank 'dt-popularity --rank <graph'
b cost 'dt-cost graph plan-auto-8'
b cost-json 'dt-cost --format json graph plan-popularity-8'
b cost-svg 'dt-cost --format svg graph plan-popularity-8'
b fleet 'dt-closure --scan --store "$S" "$shell" >graph-shell && mkdir fleet.d && dt-fleet --max-layers 8 graph graph-shell fleet.d >/dev/null && cat fleet.d/*'
dt-popularity --max-layers 3 <graph-shell >plan-shell
b cost-second 'dt-cost graph plan-popularity-8 graph-shell plan-shell'

# --- layers ---
b layers 'dt-layer --store "$S" <plan-transfer-8'
b layers-owner 'dt-layer --store "$S" --owner 1000:2000000 --uname me --gname us --mtime 2001-02-03T04:05:06Z <plan-popularity-3'
b layers-single 'dt-root --store "$S" --plan - --tree tree <plan-auto-3'
b layers-raw 'dt-root --store "$S" --raw --plan - <plan-auto-3'
b layer-tree 'dt-root --raw --tree tree --tree other'
b layer-tree-owner 'dt-root --raw --owner 7:8 --tree tree'
b layer-copy 'dt-root --raw --copy tree --copy other'
b layer-dirlinks 'dt-root --raw --keep-dirlinks --copy other --copy tree'
b layer-links 'dt-root --raw --store "$S" --links "$root"'
b layer-env 'dt-root --raw --store "$S" --env <(echo "{\"paths\":[\"$root\"],\"pathsToLink\":[\"/bin\",\"/etc\"]}")'
b customisation 'dt-root --store "$S" --tree tree --links "$root" --comment "a comment"'
b layer-keep 'dt-root --raw --owner keep --tree tree'

# --- images ---
b image 'dt-manifest --name Some/Name --tag 1 --config config.json <layers'
b image-tagless 'cat layers customisation | dt-manifest --name app --created 2020-02-02T02:02:02Z'
b image-arch 'dt-manifest --name app --tag arm --arch arm64 <layers'
b image-from 'dt-manifest --name app --tag 2 --from image --config config.json <customisation'
b customisation-from 'dt-root --from image --raw --tree tree'
b inspect 'dt-inspect image'
b inspect-from 'dt-inspect image-from'
b diff-ids 'for i in image image-tagless image-from; do dt-inspect $i | jq -r ".layers[] | .diff_id? // ."; done'
b merged 'dt-merge image image-arch image-from'
b merged-inspect 'dt-inspect --from-name app --from-tag 2 merged'
b flat 'dt-flatten image-from'
b flat-list 'dt-flatten --list image-from'
b flat-path 'dt-flatten image-from etc bin'
b flat-of-merged 'dt-flatten --from-name app --from-tag 2 merged'
b gz 'dt-compress <image'
b gz-1 'dt-compress --level 1 <image'
b zstd 'dt-compress --format zstd <image'
b none 'dt-compress --format none <image'
b nixdb 'dt-nixdb --store "$S" <graph'
b graph-of-db 'dt-closure --db nixdb --store "$S" "$root"'
printf 'mkdir -p /made/dir; echo text >/made/file; rm -f /etc/motd; chmod 700 /made/dir; ln -s file /made/link\n' >script
b vmrun 'dt-vmrun script <image-from'
b vmrun-none 'dt-vmrun --no-image --add-tree tree --clamp-mtime 2001-02-03T04:05:06Z script'

# --- the functions ---
spec build.json '{name: "b", tag: "1", compressor: "none", copyToRoot: [$root, "\($W)/tree"], config: {Cmd: ["\($root)/bin/x"]}, extraCommands: "echo 1 >extra"}'
b build-image 'dt-build-image --store "$S" build.json'
spec build-from.json '{name: "b", tag: "2", fromImage: "\($W)/image", copyToRoot: "\($W)/tree", uid: 5, gid: 6, keepContentsDirlinks: true, architecture: "arm64"}'
b build-image-from 'dt-build-image --store "$S" build-from.json'
spec build-env.json '{name: "b", tag: "3", compressor: "none", copyToRoot: {paths: [$root], pathsToLink: ["/bin"]}, includeNixDB: true}'
b build-image-env 'dt-build-image --store "$S" build-env.json'
spec build-root.json '{name: "b", tag: "4", compressor: "none", fromImage: "\($W)/build-image", runAsRoot: "mkdir /data; echo x >/data/y; chown 3:4 /data/y", extraCommands: "echo z >data/z"}'
b build-image-root 'dt-build-image --store "$S" build-root.json'
spec build-helper.json '{name: "b", tag: "5", compressor: "zstd", copyToRoot: ["fakeNss", {helper: "fakeNss", extraPasswdLines: ["u:x:1:1:U:/:/bin/sh"], extraGroupLines: ["g:x:1:"]}]}'
b build-image-helper 'dt-build-image --store "$S" build-helper.json'
b build-args 'dt-build-image --print-build-args build.json | sed "s,$W,W,g"'
spec layered.json '{name: "l", tag: "1", contents: [$root], maxLayers: 6, config: {Cmd: ["\($root)/bin/x"]}}'
b layered-image 'dt-build-layered-image --store "$S" layered.json'
b layered-stream 'dt-stream-layered-image --store "$S" layered.json'
spec layered-fake.json '{name: "l", tag: "2", contents: [$root, "\($W)/tree", "fakeNss"], maxLayers: 9, fakeRootCommands: "mkdir -p srv; echo s >srv/s; chown 1000:1000 srv/s; chmod 4755 srv/s", extraCommands: "echo 2 >two", uid: 1, gid: 2, uname: "u", gname: "g", includeNixDB: true}'
b layered-fake 'dt-stream-layered-image --store "$S" layered-fake.json'
spec layered-chroot.json '{name: "l", tag: "3", contents: ["\($W)/tree"], enableFakechroot: true, fakeRootCommands: "mkdir -p /srv; echo s >/srv/s; chown 1000:1000 /srv/s"}'
b layered-chroot 'dt-stream-layered-image --store "$S" layered-chroot.json'
spec layered-from.json '{name: "l", tag: "4", fromImage: "\($W)/image", contents: "\($W)/tree", includeStorePaths: false, mtime: "2001-02-03T04:05:06Z", created: "2002-02-03T04:05:06Z"}'
b layered-from 'dt-stream-layered-image --store "$S" layered-from.json'
jq --slurpfile p pipeline.json -n --arg root "$root" '{name: "l", tag: "5", contents: [$root], layeringPipeline: $p[0]}' >layered-pipeline.json
b layered-pipeline 'dt-stream-layered-image --store "$S" layered-pipeline.json'
b flat-layered 'dt-flatten layered-fake'
spec merge.json '{images: ["\($W)/build-image", "\($W)/layered-image", "\($W)/image"]}'
b merge-images 'dt-merge-images merge.json'
spec export.json '{fromImage: "\($W)/image-from"}'
b export-image 'dt-export-image export.json'
b why 'dt-closure --graph graph --why "$(head -n 1 graph | cut -d " " -f 1)" "$root"'
b sizes 'dt-inspect --sizes build-image'
b diff 'dt-diff build-image layered-fake || [ $? = 1 ]'
# The version of dt is not the same as ever.
b sbom 'dt-sbom --name x --tag 1 <graph | jq "del(.documentNamespace, .creationInfo.creators)"'
b sbom-cyclonedx 'dt-sbom --format cyclonedx <graph | jq "del(.serialNumber, .metadata.tools)"'
b env-nss 'dt-env-helper fakeNss --passwd-line u:x:1:1:U:/:/bin/sh --group-line g:x:1: --owner 3:4'
b env-shadow 'dt-env-helper shadowSetup --shell /bin/bash'
b env-sh 'dt-env-helper binSh --package "$shell" --store "$S"'

# --- a shell for a derivation ---
mkdir -p drvs/nix/store
cp -a "$S/nix/store/." drvs/nix/store/
printf 'Derive([("out","/nix/store/%s-x","","")],[],["%s"],"x86_64-linux","%s/bin/bash",["-c","echo $out"],[("a","1"),("name","x"),("out","/nix/store/%s-x"),("passAsFile","a"),("system","x86_64-linux")])' \
	cccccccccccccccccccccccccccccccc "$root" "$shell" cccccccccccccccccccccccccccccccc >x.drv
mkdir one
b drv 'dt-drv x.drv'
cp x.drv "drvs$(jq -r 'keys[0]' drv)"
spec shell.json '{drv: $drv[0][0], tag: "1", shell: "\($shell)/bin/bash", command: "true"}' --slurpfile drv <(jq keys drv)
b nix-shell-stream 'dt-stream-nix-shell-image --store drvs shell.json'
b nix-shell-build 'dt-build-nix-shell-image --store drvs shell.json'

# --- registries ---
start_registry registry
skopeo --insecure-policy copy -q --dest-tls-verify=false "docker-archive:image" "docker://$registry/some/name:1" >skopeo.err 2>&1 </dev/null
export registry
b pull-digest 'dt-pull --tls-verify false --print digest "$registry/some/name:1"'
b pull 'dt-pull --tls-verify false --name some/name "$registry/some/name@$(cat pull-digest)"'
b pull-dt 'dt-pull --tls-verify false --name some/name --format dt "$registry/some/name@$(cat pull-digest)"'
b prefetch 'dt-prefetch-image --tls-verify false --json --quiet --final-image-name n --final-image-tag t "$registry/some/name" 1 | grep -v imageName'
b pull-image 'jq ". + {imageName: \"$registry/some/name\", tlsVerify: false}" prefetch | dt-pull-image'

if [ -n "${DT_BYTES_PRINT-}" ]; then
	cat "$T/lines"
	exit
fi
while read -r digest name; do
	is "$name" "$(grep -E " $name(:|\$)" "$T/lines")" "$digest $name"
done <"$t_dir/golden/bytes"
is 'as many commands as there are digests' "$(wc -l <"$T/lines")" "$(wc -l <"$t_dir/golden/bytes")"
finish
