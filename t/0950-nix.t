#!/usr/bin/env bash
# scripts/dockertools.nix: the functions of nixpkgs' dockerTools in a stub of nixpkgs, with builds in a sandbox. dt itself
# is built by scripts/package.nix there.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2154,SC2317 # Nix and jq have variables, too; nix.sh sets some; what is passed on is run
. "$(dirname "$0")/lib.sh"
. "$t_dir/nix.sh"
. "$t_dir/registry.sh"
need jq python3 skopeo strace tar

make_packages
small=$N
cd "$T" || exit 1
shown() { dt-inspect "${built[$1]}" | jq -c "$2"; }
flat() { dt-flatten "${built[$1]}"; }
# says DESCRIPTION EXPRESSION JSON: the value of an expression of Nix. `said` tests all of them by one evaluation.
said_what=() said_values=() said_expressions=''
says() { said_what+=("$1") said_expressions+=" ($2)" said_values+=("$3"); }
said() {
	local i values
	ok 'the expressions have values' evaluates "with pkgs; with pkgs.dockerTools; let examples = import $t_dir/fixtures/nixpkgs/examples.nix pkgs; in [$said_expressions ]"
	mapfile -t values < <(jq -c '.[]' out)
	for i in "${!said_what[@]}"; do
		is "${said_what[i]}" "${values[i]-}" "${said_values[i]}"
	done
}
# throws DESCRIPTION EXPRESSION TEXT: Nix fails with this message at evaluation
throws() {
	in_nix nix-instantiate --eval --strict -E "$(stub "with pkgs; with pkgs.dockerTools; ($2).drvPath")" >out 2>err </dev/null
	is "$1: status" "$?" 1
	is "$1: the message" "$(grep -o 'error: .*' err)" "error: $3"
}

# --- names, attributes and messages ---

says 'the functions' 'builtins.attrNames dockerTools' \
	'["binSh","buildImage","buildImageWithNixDb","buildLayeredImage","buildLayeredImageWithNixDb","buildNixShellImage","caCertificates","exportImage","fakeNss","mergeImages","nix-prefetch-docker","pullImage","shadowSetup","streamLayeredImage","streamNixShellImage","usrBinEnv"]'
says 'the names of derivations' 'map (image: image.name) (with examples; [ redis onBase (onBase.override { compressor = "zstd"; }) links layeredOnBase streamed nixShell shellRun merged export onBase.layer layered.conf usrBinEnv binSh caCertificates fakeNss ])' \
	'["docker-image-redis.tar.gz","docker-image-OnBase.tar","docker-image-OnBase.tar.zst","hello.tar.gz","on-base.tar.zst","stream-hello","small-env.tar.gz","stream-small-env","merge-docker-images","hello.tar.gz","docker-layer-OnBase","hello-conf.json","usr-bin-env","bin-sh","ca-certificates","fake-nss"]'
says 'names of images are in lower case' 'map (image: image.imageName) (with examples; [ onBase sandboxed nixShell ])' \
	'["registry.example.org/some/onbase","sandboxed","small-env"]'
says 'a tag that was given' 'map (image: image.imageTag) (with examples; [ redis layeredOnBase sandboxed shellRun ])' '["latest","1","1","run"]'
says 'the default tag is the hash of the output, or of the specification' \
	'with examples; let hash = drv: builtins.substring 11 32 drv.outPath; in [ (onBase.imageTag == hash onBase) (layered.imageTag == hash layered.conf) (streamed.imageTag == layered.imageTag) ]' '[true,true,true]'
says 'passthru and meta' 'with examples; [ sandboxed.isExe (layered.isExe or false) sandboxed.more sandboxed.meta.description zstd.more layered.stream.name onBase.buildArgs.compressor layered.buildArgs.name ]' \
	'[true,false,"passed","an image","passed","stream-hello","none","hello"]'
says 'override takes a function, and can be repeated' '((examples.onBase.override (old: { name = old.name + "x"; })).override { tag = "9"; }).buildArgs.name' '"registry.example.org/Some/OnBasex"'
says 'override after overrideAttrs' '((examples.layered.overrideAttrs (old: { name = "x" + old.name; })).override { name = "y"; }).name' '"xy.tar.gz"'
says 'override of all' 'with examples; [ ((merged.override { images = [ ]; }).images) (nix-prefetch-docker.override { skopeo = null; }).name (binSh.override { bashInteractive = "/x"; }).arguments (usrBinEnv ? override && caCertificates ? override && fakeNss ? override) ]' \
	'[[],"nix-prefetch-docker",["--package","/x"],true]'
says 'overrideAttrs' '(examples.hello.overrideAttrs (old: { name = "x" + old.name; })).name' '"xdocker-image-hello.tar.gz"'
says 'pullImage' 'with pullImage { imageName = "some/name"; imageDigest = "sha256:0"; sha256 = "0000000000000000000000000000000000000000000000000000"; finalImageName = "y/z"; finalImageTag = "1"; }; [ name imageName imageTag imageDigest outputHashMode ]' \
	'["docker-image-y-z-1.tar","y/z","1","sha256:0","flat"]'
says 'pullImage: variables of proxies' 'builtins.sort builtins.lessThan (pullImage { imageName = "x"; imageDigest = "sha256:0"; }).impureEnvVars' \
	'["ALL_PROXY","FTP_PROXY","HTTPS_PROXY","HTTP_PROXY","NIX_SSL_CERT_FILE","NO_PROXY","all_proxy","ftp_proxy","http_proxy","https_proxy","no_proxy"]'
says 'numbers as strings' 'map (image: image.conf.outPath) [ (buildImage { name = "x"; uid = "1"; gid = "0"; diskSize = "2048"; buildVMMemorySize = "1024"; }) (streamLayeredImage { name = "x"; maxLayers = "7"; }) ] ==
	map (image: image.conf.outPath) [ (buildImage { name = "x"; uid = 1; gid = 0; diskSize = 2048; buildVMMemorySize = 1024; }) (streamLayeredImage { name = "x"; maxLayers = 7; }) ]' true
says 'an instance of its own' 'map (f: (f.streamLayeredImage { name = "x"; }).outPath == (streamLayeredImage { name = "x"; }).outPath)
	[ (import '"$top"'/scripts/dockertools.nix { inherit pkgs; inherit (pkgs) dt-images; }) (pkgs.callPackage '"$top"'/scripts/dockertools.nix { }) pkgs.dt-images.dockerTools ]' '[true,true,true]'
says 'the flake' 'let flake = (import '"$top"'/scripts/flake.nix).outputs { self = null; nixpkgs.legacyPackages.${builtins.currentSystem} = pkgs; }; system = builtins.currentSystem; in
	[ (flake.packages.${system}.default.outPath == pkgs.dt-images.outPath) (flake.legacyPackages.${system}.dockerTools.usrBinEnv.outPath == usrBinEnv.outPath) (flake.overlays.default pkgs pkgs ? dockerTools) ]' '[true,true,true]'
says 'what a builder must have' 'let f = (import '"$top"'/scripts/dockertools.nix { inherit pkgs; requiredSystemFeatures = [ "kvm" ]; }).buildImage; in
	[ (f { name = "x"; runAsRoot = "x"; }).requiredSystemFeatures (examples.redis.requiredSystemFeatures) (f { name = "x"; } ? requiredSystemFeatures) ]' '[["kvm"],[],false]'
says 'pullImage: store paths in the image are no references, in Nix 2.18 and later' 'map
	(nixVersion: ((scopedImport { builtins = builtins // { inherit nixVersion; }; } '"$top"'/scripts/dockertools.nix { inherit pkgs; }
		).pullImage { imageName = "x"; imageDigest = "sha256:0"; }).unsafeDiscardReferences or null)
	[ "2.8.0" "2.17.1" "2.18" "2.34.8" ]' '[null,null,{"out":true},{"out":true}]'
said
throws 'contents and copyToRoot' 'buildImage { name = "x"; contents = hello; copyToRoot = hello; }' \
	'in docker image x: You can not specify both contents and copyToRoot.'
throws 'another compressor' 'buildLayeredImage { name = "x"; compressor = "xz"; }' \
	'in docker image x: compressor must be one of: [gz none zstd]'
throws 'maxLayers' 'streamLayeredImage { name = "x"; maxLayers = 1; }' \
	'the maxLayers argument of dockerTools.buildLayeredImage function must be greather than 1 (current value: 1)'
throws 'command and run' 'streamNixShellImage { drv = examples.small; command = "x"; run = "y"; }' \
	"streamNixShellImage: Can't specify both command and run"
throws 'a string that is no number' 'buildLayeredImage { name = "x"; gid = "abc"; }' "in docker image x: gid must be a number, not 'abc'"
in_nix nix-instantiate --eval -E "$(stub '(pkgs.dockerTools.buildImage { name = "x"; contents = pkgs.hello; }).name')" >out 2>err
like 'contents: a warning' err 'in docker image x: The contents parameter is deprecated'
ok 'a package set with another dockerTools' in_nix nix-instantiate --eval --strict --json -E \
	"(import $t_dir/fixtures/nixpkgs { packages = $N/roots; programs = $N/programs; kernel = $N/kernel; overlays = [ (final: prev: { dockerTools.examples = 7; }) (import $top/scripts/overlay.nix) ]; }).dockerTools.examples"
is 'keeps its other functions' "$(cat out)" 7

# --- the images ---

build_examples '"redis"' '"shadow"'
is 'hello' "$(shown hello '[.repoTags, .image.config.Cmd, .image.created]')" '[["hello:latest"],["/bin/hello"],"1970-01-01T00:00:01Z"]'
is 'created is now' "$(shown now '.image.created >= "2020"')" true
is 'a default tag' "$(shown links '.repoTags[0]')" "\"hello:$(evaluates "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).links.imageTag" | jq -r .)\""
is 'a default tag of buildImage' "$(shown environment '.repoTags[0]')" "\"environment-example:$(basename "${built[environment]}" | cut -d - -f 1)\""
is 'contents are links' "$(flat links | tar -tvf - bin/hello | sed 's/.* -> //')" "$(root hello)/bin/hello"
is 'the configuration alone names the store paths' "$(flat layered | tar -t | sed -nE 's,^(nix/store/[^/]+)/$,/\1,p' | sort)" \
	"$(in_nix nix-store -qR "$(root hello)" | sort)"
is 'helpers' "$(flat environment | tar -t | grep -v '^nix\|/$' | paste -sd ' ')" \
	'bin/sh etc/group etc/nsswitch.conf etc/passwd etc/pki/tls/certs/ca-bundle.crt etc/ssl/certs/ca-bundle.crt etc/ssl/certs/ca-certificates.crt usr/bin/env'
is 'Env of the base image is inherited, and nothing else' "$(shown onBase .image.config)" '{"Env":["FROM=base","B=2"]}'
is 'inheritConfig inherits all' "$(shown onBaseAll .image.config)" '{"Cmd":["/bin/sh"],"Env":["FROM=base","B=2"]}'
is 'the layers of the base image are there' "$(shown layeredOnBase '.layers[0]')" "$(shown someBaseImage '.layers[0]')"
is 'extraCommands with quotes and parentheses' "$(flat onBase | tar -xO it)" '(it)'
is 'merged images have all names' "$(dt-inspect --all "${built[merged]}" | jq -r '.repoTags[]' | sed 's/:.*//' | paste -sd ' ')" 'hello hello on-base'
same 'the top layer' "${built[topLayer]}/layer.tar" <(tar -xOf "${built[onBase]}" "blobs/sha256/$(shown onBase '.layers[-1]' | tr -d '"' | cut -d : -f 2)")
is 'exportImage' "$(tar -tf "${built[export]}" | grep -c 'bin/hello$')" 1
like 'the picture of the cost' "${built[cost]}" '<svg'
is 'the list of the software: the image' "$(jq -c '[.bomFormat, .specVersion, .metadata.component.name]' "${built[sbom]}")" '["CycloneDX","1.5","sandboxed"]'
is 'the list of the software: the rules of CycloneDX' "$(jq -r -f "$t_dir/fixtures/sbom.jq" "${built[sbom]}")" ''
is 'the list of the software: names and versions' "$(jq -c '.components[] | select(.name == "hello") | [.version, .purl]' "${built[sbom]}")" \
	"$(root hello | sed -E 's,.*/([^-]*)-hello-(.*),["\2"\,"pkg:nix/hello@\2?outputhash=\1"],')"
is 'the list of the software: what depends on what' \
	"$(jq -r --arg hello "$(root hello)" '.dependencies[] | select(.ref == $hello).dependsOn[]' "${built[sbom]}" | sort)" \
	"$(in_nix nix-store -q --references "$(root hello)" | grep -vx "$(root hello)" | sort)"
is 'a database' "$(for i in withDb withDb1; do flat $i | tar -tf - | grep -c 'nix/var/nix/db/db.sqlite'; done | paste -sd ' ')" '1 1'
is 'an image refers to nothing in the store' "$(in_nix nix-store -q --references "${built[layered]#"$N"}")" ''
ok 'nix-build --check: the same bytes again' builds "with import $t_dir/fixtures/nixpkgs/examples.nix pkgs; [ hello layered sandboxed sandboxed.prepared sandboxed.facts merged nixShell environment ]" --check

ok 'the inputs of a nix-shell: nix-build --check' builds "with import $t_dir/fixtures/nixpkgs/examples.nix pkgs; builtins.elemAt nixShell.prepared.exportReferencesGraph.graph 1" --check --cores 7
dt=$(builds pkgs.dt-images)
is 'no script of the package needs /usr/bin/env' "$(head -qn 1 "$N$dt"/bin/dt-* "$N$dt"/bin/.dt-* | tr -d '\0' | grep -ac /usr/bin/env)" 0
is 'the package has completions for each tool' "$(find "$N$dt/share/fish/vendor_completions.d" -name 'dt-*.fish' | wc -l)" \
	"$(find "$N$dt/bin" -name 'dt-*' | wc -l)"
ok 'the installed file, by its name' builds "(import $dt/share/dt/dockertools.nix { inherit pkgs; }).usrBinEnv"
ok 'dt-images, by its name' builds "(import $top/scripts/dockertools.nix { inherit pkgs; dt-images = \"$dt\"; }).binSh"
pure() { # EXPRESSION: evaluates it as flakes are
	in_nix nix-instantiate --option pure-eval true --eval --read-write-mode --json -E "$1"
}
ok 'pure evaluation' pure "let
	path = p: builtins.appendContext p { \${p}.path = true; };
	dt = derivation { name = \"dt\"; system = \"x86_64-linux\"; builder = \"\${path \"$(root bash)\"}/bin/bash\"; args = [ \"-c\" \"\${path \"$(root coreutils)\"}/bin/cp -r \${path \"$dt\"} \$out; :\" ]; };
	pkgs = builtins.listToAttrs (map (name: { inherit name; value = path \"$(root coreutils)\"; }) [ \"bash\" \"coreutils\" \"gnutar\" \"jq\" ]) // { system = \"x86_64-linux\"; };
	in (import \"\${dt}/share/dt/dockertools.nix\" { inherit pkgs; }).usrBinEnv.outPath"
ok 'an image without store paths' builds 'let image = pkgs.dockerTools.streamLayeredImage { name = "x"; tag = "1"; }; in [ image.cost image.sbom ]'
readarray -t paths <out
like 'an image without store paths: the picture' "$N${paths[0]}" '<svg'
is 'an image without store paths: the list' "$(jq -c .components "$N${paths[1]}")" '[]'
ok 'the installed file' builds '((import "${pkgs.dt-images}/share/dt/dockertools.nix" { inherit pkgs; }).streamLayeredImage {
	name = "hello"; config.Cmd = [ "${pkgs.hello}/bin/hello" ]; })'
is 'gives the same image' "$(in_nix "$(cat out)" | sha256sum)" "$(in_nix "${built[streamed]#"$N"}" | sha256sum)"

# --- streams ---

stream=${built[sandboxed]}
is 'a stream is one executable file' "$(find "$stream" -printf '%y %m')" 'f 555'
ok 'it writes the image' in_nix "${stream#"$N"}"
cp out image.tar
is 'with its name' "$(dt-inspect image.tar | jq -c .repoTags)" '["sandboxed:1"]'
is 'what its commands made' "$(dt-flatten image.tar | tar -tvf - extra | cut -c 1-20)" '-rw-r--r-- 1000/1000'
prepared=$(evaluates "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).sandboxed.prepared.outPath" | jq -r .)
is 'it refers to what the image has' "$(in_nix nix-store -q --references "$prepared" | grep -c -e -data -e -more -e -hello)" 3
is 'maxLayers' "$(dt-inspect image.tar | jq '.layers | length')" 5
n=0
while read -r layer; do
	n=$((n + 1))
	# shellcheck disable=SC2086 # store paths
	sum=$("$t_dir/fixtures/layer.py" --root "$N" --mtime 1 --owner 1000:100 --uname user --gname users $layer | sha256sum)
	is "layer $n has the digest that nixpkgs' streamer gives it" "sha256:${sum%% *}" "$(dt-inspect image.tar | jq -r ".layers[$((n - 1))]")"
done <"$N$prepared/plan"
is 'the list of the software has a component for each store path' "$(jq -r '.components[]["bom-ref"]' "${built[sbom]}" | sort)" \
	"$(tr ' ' '\n' <"$N$prepared/plan" | sort)"
is 'there are such layers' "$n" 3
ok 'the plan' builds "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).sandboxed.plan"
same 'the plan: that of the prepared directory' "$N$(cat out)" "$N$prepared/plan"
ok 'another name' in_nix "${stream#"$N"}" -t other/name:2
is 'another name: the image has it' "$(dt-inspect out | jq -c '.repoTags, .config')" $'["other/name:2"]\n'"$(dt-inspect image.tar | jq -c .config)"
ok '--repo_tag' in_nix "${stream#"$N"}" --repo_tag=other/name:2
ok '-tNAME:TAG after another' in_nix "${stream#"$N"}" --repo_tag x:1 -t y:2 -tz:3
is '-tNAME:TAG after another: the image has it' "$(dt-inspect out | jq -c .repoTags)" '["z:3"]'
fails 2 '--repo_tag takes NAME:TAG' 'a name without a tag' in_nix "${stream#"$N"}" -t other/name

# --- pushing, on two machines ---

start_registry registry
mapfile -t programs < <(builds "with import $t_dir/fixtures/nixpkgs/examples.nix pkgs; [
	sandboxed.push zstd.push sandboxed.copyTo sandboxed.pushFacts layered.pushFacts ]")
push=${programs[0]} zstd_push=${programs[1]} copy=${programs[2]} facts_push=${programs[3]} layered_facts=${programs[4]}
facts=${built[facts]#"$N"}
ok 'push --help' in_nix "$push/bin/push" --help
like 'push --help: the options' out '^  --tls-verify BOOL'
ok 'push --version' in_nix "$push/bin/push" --version
ok 'push' in_nix "$push/bin/push" --tls-verify false "$registry/x:1"
is 'the registry has the image' "$(dt-pull --tls-verify false --print digest "$registry/x:1")" "sha256:$(grep ^manifest out | cut -d : -f 2)"
# The other machines have empty stores. They get what they run from a signed cache.
mkdir -p "$N/second/nix" "$N/third/nix"
nix-store --generate-binary-cache-key test-1 "$N/secret" "$N/public" 2>err
copy_paths() { "$t_dir/with-nix" "$1" nix --extra-experimental-features nix-command copy "${@:2}"; }
ok 'the first machine fills a cache' copy_paths "$N" --to "file://$N/cache?compression=none&secret-key=$N/secret" "$push" "$zstd_push" "$facts_push" "$layered_facts"
ok 'the second machine reads it' copy_paths "$N/second" --from "file://$N/cache" --option trusted-public-keys "$(cat "$N/public")" "$push" "$zstd_push"
is 'it has the digests' "$(cmp "$N$prepared/thin.tar" "$N/second$prepared/thin.tar" && echo yes)" yes
for path in data more hello; do
	rm -rf "$N/second/nix/store/"*"-$path" "$N/second/nix/store/"*"-$path-"[0-9]*
done
is 'it loses store paths' "$(find "$N/second/nix/store" -maxdepth 1 -regex '.*-\(data\|more\|hello-[0-9].*\)')" ''
traced() { ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 strace -f -e trace=openat,open,execve -o "$T/trace" "$@"; }
ok 'it pushes an image whose layers the registry has' traced "$t_dir/with-nix" "$N/second" "$push/bin/push" --tls-verify false "$registry/x:2"
is 'sends nothing' "$(grep ^sent out)" 'sent 0'
is 'and reads no store path of it' "$(tr ' ' '\n' <"$N/second$prepared/plan" | grep -e -data -e -more -e -hello | grep -cFf - trace)" 0
like 'the trace has the digests' trace "$prepared/thin.tar"
is 'the same image' "$(dt-pull --tls-verify false --print digest "$registry/x:2")" "$(dt-pull --tls-verify false --print digest "$registry/x:1")"
"$t_dir/with-nix" "$N/second" "$zstd_push/bin/push" --tls-verify false "$registry/y:1" >out 2>err </dev/null
is 'a layer that the registry lacks must be read' "$?:$(grep -c "dt-layer: .*: No such file" err)" 1:1
fails 2 'does not go with an image in the store' 'an option that it cannot have' in_nix "$push/bin/push" -o f "$registry/x:1"

# --- pushing without the store paths ---

third() { "$t_dir/with-nix" "$N/third" "$@"; }
third_gets() { copy_paths "$N/third" --from "file://$N/cache" --option trusted-public-keys "$(cat "$N/public")" "$@"; }
third_has() { find "$N/third/nix/store" -mindepth 1 -maxdepth 1 -name '*-*' -printf '%f\n' | sort; }
is 'the facts refer to nothing' "$(in_nix nix-store -q --references "$facts")" ''
is 'the facts are small' "$(($(in_nix nix-store -q --size "$facts") < 16384))" 1
ok 'the third machine gets the facts of another image, with dt' third_gets "$layered_facts"
third_has >before
ok 'the third machine gets the facts of the image' third_gets "$facts_push"
third_has >after
is 'the facts and the program are all that is copied' "$(comm -13 before after | sed 's/^[^-]*-//' | sort | paste -sd ' ')" 'push-facts sandboxed-facts'
is 'the third machine has no store path of the image alone' "$(grep -cE -e '-(data|more|prepared|hello-[0-9].*)$' after)" 0
is 'the closure has no more' "$(third nix-store -qR "$facts_push" | sed 's,.*/,,' | sort | comm -13 after -)" ''
ok 'it pushes the image' traced "$t_dir/with-nix" "$N/third" "$facts_push/bin/push-facts" --tls-verify false "$registry/x:4"
is 'sends nothing of it' "$(grep ^sent out)" 'sent 0'
is 'and looks for no store path of it' "$(tr ' ' '\n' <"$N$prepared/plan" | grep -e -data -e -more -e -hello | grep -cFf - trace)" 0
like 'the trace has the facts' trace "$facts"
is 'the same image again' "$(dt-pull --tls-verify false --print digest "$registry/x:4")" "$(dt-pull --tls-verify false --print digest "$registry/x:1")"
third "$layered_facts/bin/push-facts" --tls-verify false "$registry/z:1" >out 2>err </dev/null
is 'a layer that the registry lacks: status and message' "$?:$(cat err)" \
	"1:dt-push: $registry/z: stdin: layer 1, $(shown layered '.layers[0]' | tr -d '"'), is not in the archive and the registry does not have it"
fails 1 'not found' 'and no image is written' dt-pull --tls-verify false --print digest "$registry/z:1"
fails 2 'does not go with an image in the store' 'an option that push-facts cannot have' third "$facts_push/bin/push-facts" --missing "$registry/x:1"
changed=$(builds "((import $t_dir/fixtures/nixpkgs/examples.nix pkgs).sandboxed.override { config.Env = [ \"NEW=1\" ]; }).pushFacts")
like 'push-facts --help' <(third "$facts_push/bin/push-facts" --help) '^usage: dt-push'
ok 'a new configuration on layers that the registry has' in_nix "$changed/bin/push-facts" --tls-verify false "$registry/x:5"
is 'the registry has the new configuration' "$(skopeo inspect --config --tls-verify=false "docker://$registry/x:5" | jq -c .config)" '{"Env":["NEW=1"]}'
ok 'copyTo docker://' in_nix "$copy/bin/copy-to" --tls-verify false "docker://$registry/x:3"
ok 'copyTo docker-archive:' in_nix "$copy/bin/copy-to" "docker-archive:$T/copy.tar"
same 'copyTo docker-archive: the image' copy.tar image.tar
ok 'copyTo docker-archive:FILE:NAME' in_nix "$copy/bin/copy-to" "docker-archive:$T/copy.tar:foo/bar"
is 'copyTo docker-archive:FILE:NAME: the name' "$(dt-inspect copy.tar | jq -c .repoTags)" '["foo/bar:latest"]'
ok 'copyTo oci-archive:FILE:TAG' in_nix "$copy/bin/copy-to" "oci-archive:$T/copy.tar:7"
is 'copyTo oci-archive:FILE:TAG: the name' "$(dt-inspect copy.tar | jq -c .repoTags)" '["sandboxed:7"]'
ok 'copyTo oci-archive:FILE:TAG: skopeo finds it' skopeo inspect --raw "oci-archive:$T/copy.tar:7"
fails 2 "'a:b' is not a tag" 'copyTo oci-archive: with a name' in_nix "$copy/bin/copy-to" "oci-archive:$T/copy.tar:a:b"
fails 2 "'@x' is not NAME" 'copyTo docker-daemon: with a wrong name' in_nix "$copy/bin/copy-to" docker-daemon:@x
fails 2 "'\\[vfs@/x]foo' is not NAME" 'copyTo containers-storage: with a place of the storage' in_nix "$copy/bin/copy-to" 'containers-storage:[vfs@/x]foo'
fails 2 "^copy-to: 'oci:x' is not a destination" 'copyTo another place' in_nix "$copy/bin/copy-to" oci:x
archive_push=$(builds "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).hello.push")
archive_copy=$(builds "(import $t_dir/fixtures/nixpkgs/examples.nix pkgs).hello.copyTo")
ok 'an archive: push' in_nix "$archive_push/bin/push" --tls-verify false "$registry/hello:1"
is 'an archive: the registry has the image' "$(dt-pull --tls-verify false --print digest "$registry/hello:1")" "sha256:$(grep ^manifest out | cut -d : -f 2)"
ok 'an archive: copyTo docker-archive:FILE:NAME:TAG' in_nix "$archive_copy/bin/copy-to" "docker-archive:$T/copy2.tar:foo:1"
is 'an archive: copyTo docker-archive:FILE:NAME:TAG: the name' "$(dt-inspect copy2.tar | jq -c .repoTags)" '["foo:1"]'
ok 'an archive: copyTo oci-archive:' in_nix "$archive_copy/bin/copy-to" "oci-archive:$T/copy2.tar"
is 'an archive: the same image' "$(dt-inspect copy2.tar | jq -c '.config, .repoTags')" "$(shown hello '.config, .repoTags')"

# --- pulling ---

# Nix accepts no fixed output that mentions store paths of the builder.
mkdir tree && echo x >tree/file
dt-root --tree tree | dt-manifest --name x --tag 1 >plain.tar
ok 'an image without store paths' on plain.tar dt-push --tls-verify false "$registry/plain:1"
digest=$(dt-pull --tls-verify false --print digest "$registry/plain:1")
pulled() { # HASH
	echo "pkgs.dockerTools.pullImage { imageName = \"$registry/plain\"; imageDigest = \"$digest\"; finalImageName = \"y\"; tlsVerify = false; $1 }"
}
builds "$(pulled '')" >out 2>err </dev/null
hash=$(sed -n 's/^ *got: *//p' err)
like 'pullImage without a hash says which one it got' err '^ *got: *sha256-.{44}$'
ok 'pullImage with it' builds "$(pulled "hash = \"$hash\";")"
is 'pullImage: the image' "$(dt-inspect "$N$(cat out)" | jq -c '.repoTags, .layers')" $'["docker.io/library/y:latest"]\n'"$(dt-inspect plain.tar | jq -c .layers)"
ok 'sha256 is the same' builds "$(pulled "sha256 = \"$hash\";")"
ok 'nix-prefetch-docker' in_nix "$(builds pkgs.dockerTools.nix-prefetch-docker)/bin/nix-prefetch-docker" \
	--tls-verify false --quiet --image-name "$registry/plain" --image-tag 1 --final-image-name y --final-image-tag latest
cp out prefetched
ok 'nix-prefetch-docker prints the arguments' builds "pkgs.dockerTools.pullImage (import $T/prefetched)"
is 'nix-prefetch-docker: the hash' "$(grep -c "$hash" prefetched)" 1
finish
