#!/usr/bin/env bash
# Thin archives: stubs in place of layers, the images made of them, tools that reject them, and engines that load them.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2119,SC2120,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need jq strace docker podman

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
hello=$(root hello)
cd "$T" || exit 1
dt-closure --store "$small" "$hello" | dt-popularity --max-layers 6 >plan
layers() { dt-layer --store "$small" "$@" <plan; }
image() { dt-manifest --name thin --tag 1 "$@"; }
shown() { dt-inspect "$2" | jq -c "$1"; }
layers >full.layers
image <full.layers >full
n=$(shown '.layers | length' full)
first=$(shown -r full | jq -r '.layers[0]') last=$(shown -r full | jq -r '.layers[-1]')

# --- stubs ---
ok 'with an empty list each layer is a stub' layers --only /dev/null
cp out stubs
is 'a stub is an empty member' "$(tar tvf stubs | awk '{ print $3 }' | sort -u)" 0
is 'its name has the diff_id' "$(tar tf stubs | sed 's|absent/sha256/|sha256:|')" "$(shown '.layers[]' full | jq -r .)"
is 'its size is that of the layer' \
	"$(python3 -c 'import json, sys, tarfile
for m in tarfile.open(sys.argv[1]): print(json.loads(m.pax_headers["comment"]).get("size", m.size))' stubs)" \
	"$(tar tvf full.layers | awk '{ print $3 }')"
stubs_again() { traced -f -e trace=openat,open -o trace dt-layer --store "$small" --only /dev/null <plan; }
ok 'stubs are made again, by the digests in the cache' stubs_again
same 'they are the same' out stubs
is 'no file of a layer is opened' "$(grep "$hello" trace | grep -cv O_DIRECTORY)" 0
printf '%s\n' "$last" >last
printf '%s\n' "${last#sha256:}" >bare
ok 'a layer that is listed is written' layers --only last
cp out one.layers
is 'all others are stubs' "$(tar tf one.layers | cut -d / -f 1 | sort | uniq -c | tr -s ' ')" " $((n - 1)) absent
 1 blobs"
ok 'a list may lack "sha256:"' layers --only bare
same 'and means the same' out one.layers
echo "${last#sha256:}x" >wrong
fails 1 'wrong:1: not a diff_id' 'another line is an error' layers --only wrong
printf '%s' "$last" >part
fails 1 'part:1: ' 'so is a truncated line' layers --only part
fails 1 'gone: No such file' 'so is a missing list' layers --only gone
fails 2 'raw.*only|only.*raw' '--raw has no stubs' layers --raw --only last
fails 2 'standard input' 'the list is not on standard input' layers --only -
mkdir files
echo text >files/file
ok 'dt-root writes a stub, too' dt-root --tree files --only /dev/null
is 'one' "$(tar tf out | cut -d / -f 1,2)" absent/sha256
cp out root.stub
dt-root --tree files >root.layer

# --- images ---
image <stubs >none
image <one.layers >one
is 'the documents of a thin image are those of the complete one' "$(shown 'del(.absent)' none)" "$(shown 'del(.absent)' full)"
is 'dt-inspect lists what is absent' "$(shown .absent one)" "$(shown '.layers[:-1]' full)"
is 'nothing is absent from a complete image' "$(shown .absent full)" '[]'
is 'no member stands for a layer' "$(tar tf none | grep -c absent/)" 0
is 'and blobs are the configuration and the manifest' "$(tar tf none | grep -c blobs/)" 2
is 'the manifest is the one that dt-inspect names' \
	"$(shown .manifest none | jq -r . | cut -d : -f 2)" "$(tar xOf none index.json | jq -r '.manifests[0].digest' | cut -d : -f 2)"
is 'the configuration, too' "$(tar xOf none "blobs/sha256/$(shown .config none | jq -r . | cut -d : -f 2)" | sha256sum | cut -d ' ' -f 1)" \
	"$(shown .config none | jq -r . | cut -d : -f 2)"
cat stubs full.layers | image >both
is 'a layer that follows its stub counts' "$(shown .absent both)" '[]'
cat full.layers stubs | image | dt-inspect | jq -c .absent >absent
is 'so does one that precedes it' "$(cat absent)" '[]'
on full.layers image --only last >by-manifest
same 'dt-manifest --only makes the same thin image of complete layers' by-manifest one
image --from full --only /dev/null <root.layer >on-base
is 'also of the layers of a base image' "$(shown '.absent == .layers' on-base)" true
cat none root.layer | image >on-thin
cat full root.layer | image >on-full
is 'a thin image can be in front of layers' "$(shown 'del(.absent)' on-thin)" "$(shown 'del(.absent)' on-full)"
is 'its layers are absent then' "$(shown .absent on-thin)" "$(shown '.layers[:-1]' on-full)"
cat full root.stub | image >top-thin
is 'and a stub can be on top of an image' "$(shown .absent top-thin)" "$(shown '.layers[-1:]' on-full)"

# --- faults ---
broken() { python3 - "$@" <<'END'
import json, sys, tarfile, io
out = tarfile.open(sys.argv[1], 'w', format=tarfile.PAX_FORMAT)
m = tarfile.TarInfo('absent/sha256/' + 64 * 'a')
data = sys.argv[3].encode()
m.size = len(data)
m.pax_headers = {'comment': sys.argv[2]}
out.addfile(m, io.BytesIO(data))
out.close()
END
}
id=sha256:$(printf 'a%.0s' {1..64})
for note in "{\"diff_id\":\"$id\"}" "{\"diff_id\":\"$id\",\"size\":-1}" "{\"diff_id\":\"$id\",\"size\":\"1\"}"; do
	broken bad "$note" ''
	fails 1 "absent/.*is not an empty stub" "a stub with the note $note" on bad image
done
broken bad "{\"diff_id\":\"$id\",\"size\":9}" x
fails 1 'is not an empty stub' 'a stub with contents' on bad image
broken bad "{\"diff_id\":\"${id//a/b}\",\"size\":9}" ''
fails 1 'is not named by its diff_id' 'a stub with the name of another layer' on bad image

# --- who refuses thin archives ---
missing="a thin archive, without layer (1, )?$first"
fails 1 "^dt-flatten: stdin: $missing" 'dt-flatten' on none dt-flatten
fails 1 "^dt-flatten: none: $missing" 'dt-flatten with a file' dt-flatten none
fails 125 "^dt-vmrun: stdin: $missing" 'dt-vmrun' on none dt-vmrun /bin/true
fails 1 "^dt-compress: stdin: $missing" 'dt-compress' on none dt-compress
fails 1 "^dt-compress: stdin: $missing" 'dt-compress --format none' on none dt-compress --format none
fails 1 "^dt-compress: stdin: $missing" 'dt-compress of stubs' on stubs dt-compress
fails 1 "^dt-merge: none: $missing" 'dt-merge' dt-merge none
fails 1 "^dt-root: none: $missing" 'dt-root --from' dt-root --from none --tree files
fails 1 "^dt-manifest: none: $missing" 'dt-manifest --from' on root.layer image --from none
ok 'one with all layers is accepted' on both dt-flatten

# --- scripts ---
jq -n --arg hello "$hello" '{name: "thin", tag: "1", config: {Cmd: [$hello + "/bin/hello"]},
	extraCommands: "mkdir etc; echo more >etc/more"}' >spec
stream() { dt-stream-layered-image --store "$small" "$@" spec; }
stream >whole
ok 'dt-stream-layered-image --only' stream --only /dev/null
cp out nothing
is 'has the documents of the complete image' "$(shown 'del(.absent)' nothing)" "$(shown 'del(.absent)' whole)"
is 'and no layer' "$(shown '.absent == .layers' nothing)" true
fails 1 'wrong:1: not a diff_id' 'a wrong list is named' stream --only wrong
fails 2 'compression' 'the archive is not compressed' stream --compress --only last
is 'dt-build-layered-image has no such option' "$(dt-build-layered-image --help | grep -c -e --only)" 0

# --- engines ---
# The second image differs in its last layer alone, which is the customisation.
jq '.tag = "2" | .extraCommands = "mkdir etc; echo other >etc/more"' spec >spec.2
mv spec spec.1 && cp spec.2 spec
stream >whole.2
comm -13 <(shown '.layers[]' whole | jq -r . | sort) <(shown '.layers[]' whole.2 | jq -r . | sort) >new
is 'one layer is new' "$(wc -l <new)" 1
stream --only new >thin.2
is 'the thin archive is small' "$(($(stat -c %s thin.2) < 65536))" 1
start_dockerd
fails 1 . 'docker refuses layers that it does not know' docker load -q -i thin.2
ok 'docker loads the first image' docker load -q -i whole
ok 'and the second one without its layers' docker load -q -i thin.2
is 'it is the complete image' "$(docker image inspect -f '{{.Id}}' thin:2)" "$(shown .config whole.2 | jq -r .)"
says 'docker: the program' 'Hello, world!' in_docker thin:2
files() { docker create --name files "$1" >/dev/null && docker export files | tar xO etc/more; }
is 'docker: the new file' "$(files thin:2)" other
ok 'podman loads the first image' on whole in_podman load -q
ok 'podman loads the second one without its layers' on thin.2 in_podman load -q
is 'podman: all layers' "$(in_podman image inspect thin:2 | jq -c '.[0].RootFS.Layers')" "$(shown .layers whole.2)"
finish
