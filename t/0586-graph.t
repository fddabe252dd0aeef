#!/usr/bin/env bash
# --graph and DT_GRAPH of the scripts: references come from an exported graph instead of the store. A builder of Nix makes
# prepared directories with such a graph.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # jq's variables; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need jq nix-build nix-store nix-instantiate strace fakeroot
unset DT_GRAPH

# A store where no file mentions another path. Only the graph has references.
library=/nix/store/00000000000000000000000000000001-library-1.0
bash=/nix/store/00000000000000000000000000000002-bash-5.2
app=/nix/store/00000000000000000000000000000004-app-1.0
other=/nix/store/00000000000000000000000000000005-other-1.0
mkdir -p "$T/s$library" "$T/s$bash/bin" "$T/s$app/bin" "$T/s$other" "$T/tmp"
for file in "$library/x" "$bash/bin/bash" "$app/bin/app" "$other/x"; do
	echo "${file##*/}" >"$T/s$file"
done
export TMPDIR=$T/tmp
cd "$T" || exit 1
sum=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
printf '%s 200\n%s 300 %s\n%s 400 %s\n' "$library" "$bash" "$library" "$app" "$bash" >graph.dt
printf '%s\n' "$library" $sum 200 '' 0 "$bash" $sum 300 '' 1 "$library" "$app" $sum 400 '' 1 "$bash" >graph.nix
jq -n --arg app "$app" --arg bash "$bash" --arg library "$library" '{exportReferencesGraph: {graph: [$app]}, name: "x",
	graph: [{path: $app, narSize: 400, references: [$bash]}, {path: $bash, narSize: 300, references: [$library]},
		{path: $library, narSize: 200, references: []}]}' >graph.json
paths() { dt-inspect "$1" | jq -r '.image.history[].comment' | grep -o '/nix/store/[0-9a-z]*-[a-z]*' | sed 's/.*-//' | sort | paste -sd ' '; }
jq -n --arg app "$app" '{name: "x", tag: "t", contents: [$app]}' >spec
stream() { dt-stream-layered-image --store s "$@" spec; }
ok 'no graph' stream
is 'the files have no references' "$(paths out)" app
for graph in graph.dt graph.nix graph.json; do
	ok "--graph $graph" stream --graph $graph
	is "--graph $graph: the references of the graph" "$(paths out)" 'app bash library'
	cp out $graph.tar
	ok "DT_GRAPH=$graph" env DT_GRAPH=$graph dt-stream-layered-image --store s spec
	same "DT_GRAPH=$graph: the same" out $graph.tar
	same "$graph: each form gives the same image" graph.dt.tar $graph.tar
done
ok '--graph counts before DT_GRAPH' env DT_GRAPH=none dt-stream-layered-image --store s --graph graph.dt spec
fails 1 '^dt-closure: none: No such file' 'a graph that is not there' stream --graph none
fails 1 '^dt-closure: none: No such file' 'the same of DT_GRAPH' env DT_GRAPH=none dt-stream-layered-image --store s spec
fails 1 '^dt-closure: spec: no store graph in it' 'a file that is none' stream --graph spec
fails 2 "^dt-export-image: unknown option '--graph'" 'a script that reads no closure' dt-export-image --graph graph.dt
jq --arg other "$other" '.contents += [$other]' spec >also
fails 1 "^dt-closure: (contents, config: )?.*$other.*" 'a path that the graph lacks' dt-stream-layered-image --store s --graph graph.dt also
jq --arg other "$other" --arg library "$library" '.extraCommands = "echo \($other) \($library) >x"' spec >mention
ok 'a file that mentions one' dt-stream-layered-image --store s --graph graph.dt mention
is 'leaves it out' "$(paths out)" 'app bash library'
jq --arg app "$app" '{name, tag, copyToRoot: [], config: {Cmd: [$app]}, compressor: "none"}' spec >image
ok 'dt-build-image' dt-build-image --store s --graph graph.json image
is 'dt-build-image: the references of the graph' "$(dt-flatten out | tar -t | grep -oE 'store/0.*[0-9]/$' | wc -l)" 3
printf 'Derive([("out","%s","","")],[],["%s"],"any","/bin/sh",[],[])' "$other" "$bash" >x.drv
echo '{"drv": "x.drv"}' >shell
ok 'dt-stream-nix-shell-image' dt-stream-nix-shell-image --store s --graph graph.nix shell
is 'dt-stream-nix-shell-image: the references of the graph' "$(paths out)" 'bash library'

# --- in a builder of Nix ---
mkdir -p built/nix
cat >image.nix <<END
let
  make = name: text: attrs: derivation ({
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/bash";
    args = [ "-c" "set -e; \${text}; :" ];
    PATH = "$PATH";
  } // attrs);
  library = make "library" "echo library > \$out" { };
  app = make "app" "mkdir -p \$out/bin; echo \${library} > \$out/bin/app; chmod +x \$out/bin/app" { };
  spec = { name = "x"; tag = "t"; contents = [ app ]; config.Cmd = [ "\${app}/bin/app" ];
    fakeRootCommands = "touch file; chown 1:1 file"; includeNixDB = true; };
in {
  inherit app;
  prepared = make "prepared" ''
    . .attrs.sh
    export PATH="$PATH" DT_BUILD="$build" HOME=\$PWD
    jq .spec .attrs.json >spec
    DT_GRAPH=\$PWD/.attrs.json dt-stream-layered-image --prepare "''\${outputs[out]}" spec'' {
    __structuredAttrs = true;
    inherit spec;
    exportReferencesGraph.graph = [ app ];
  };
}
END
in_nix() { "$t_dir/with-nix" "$T/built" "$@"; }
ok 'nix-build' in_nix nix-build -Q --no-out-link image.nix
prepared=$(grep -- -prepared$ out)
nixapp=$(grep -- -app$ out)
is 'Nix finds all store paths of the image as references' "$(in_nix nix-store -q --references "$prepared" | sort)" \
	"$(in_nix nix-store -qR "$nixapp" | sort)"
is 'no scratch directory is in it' "$(grep -rlaE "nix-build-|$T" "built$prepared")" ''
jq -n --arg app "$nixapp" '{name: "x", tag: "t", contents: [$app], config: {Cmd: [$app + "/bin/app"]},
	fakeRootCommands: "touch file; chown 1:1 file", includeNixDB: true}' >spec
dt-stream-layered-image --store built spec >want
ok 'the image of this directory' dt-stream-layered-image --store built "built$prepared"
same 'is that of the specification' out want
ok 'Nix makes the same directory again' in_nix nix-build -Q --no-out-link --check image.nix
is 'no scratch file is left' "$(ls -A tmp)" ''
finish
