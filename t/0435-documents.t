#!/usr/bin/env bash
# dt-layer --digests and dt-manifest --documents: the digests and documents of another machine, and faults in them.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need jq python3
a=/nix/store/00000000000000000000000000000001-a
b=/nix/store/00000000000000000000000000000002-b
mkdir -p "$T/s$a" "$T/s$b" "$T/tree"
echo a >"$T/s$a/file"
echo b >"$T/s$b/file"
echo c >"$T/tree/file"
cd "$T" || exit 1
printf '%s\n' $a $b >plan
layer() { dt-layer --store s "$@" <plan; }
layer >layers
layer --only /dev/null >stubs
dt-root --tree tree >top
dt-manifest --name base --tag 1 <layers >base.tar
cat layers top | dt-manifest --name x --tag 1 >whole
cat layers top | dt-manifest --name x --tag 1 --only /dev/null >thin
fill() { dt-manifest --documents thin "$@"; }
mapfile -t ids < <(dt-inspect whole | jq -r '.layers[]')

# --- the digests ---
ok 'digests of stubs' layer --digests stubs
same 'give the same layers' out layers
ok 'digests of layers' layer --digests layers --only /dev/null
same 'give the same stubs' out stubs
mv s away
mkdir -p s/nix/store
ok 'stubs without the store paths' layer --digests stubs --only /dev/null
same 'are the same' out stubs
fails 1 '^dt-layer: .*/nix/store/[^/]*: No such file' 'a layer needs its store path' layer --digests stubs
rm -r s
mv away s
fails 1 '^dt-layer: none: No such file' 'no such file' layer --digests none
head -c 700 stubs >part
fails 1 '^dt-layer: part: ' 'a truncated archive' layer --digests part
fails 1 '^dt-layer: plan: ' 'a text' layer --digests plan
fails 1 '^dt-layer: top: made of another plan: layer 1 differs$' 'layers of something else' layer --digests top
head -n 1 plan | dt-layer --store s >first
fails 1 '^dt-layer: first: made of another plan: layer 2 differs$' 'too few layers' layer --digests first
fails 1 '^dt-layer: layer 1 has the digest [0-9a-f]*, not [0-9a-f]* as in stubs: its files changed$' 'another owner' \
	layer --owner 1:1 --digests stubs
is 'has no archive' "$(ended out)" no
fails 2 'standard input is for the plan' 'the digests are not on standard input' layer --digests -
fails 2 'raw.*digests' '--raw' layer --raw --digests stubs

# --- the documents ---
cat layers top >all
ok 'layers' on all fill
same 'give the complete image' out whole
ok 'operands' on layers fill - top
same 'operands give it, too' out whole
fails 1 '^dt-manifest: layers: layer 3 of thin, .* is missing$' 'an operand too few' fill layers
ok '--from has the lower ones' on top fill --from base.tar
same 'it is the same image' out whole
ok 'a complete archive has documents, too' on all dt-manifest --documents whole
same 'the same' out whole
ok '--verify' on all fill --verify
same '--verify: the same' out whole
echo "${ids[1]}" >only
dt-manifest --name x --tag 1 --only only <all >want
ok 'one layer' on all fill --only only
same 'is the thin image with it' out want
cat stubs top >some
ok 'others may be stubs' on some fill --only /dev/null
same 'the thin image' out thin
echo "${ids[2]}" >only
dt-manifest --name x --tag 1 --only only <all >want
ok 'a base image of which no layer is written is not read' on top fill --from none --only only
same 'is that image' out want
fails 1 "^dt-manifest: none: No such file" 'it is read if one is' on top fill --from none
fails 1 "^dt-manifest: stdin: layer 1 of thin, ${ids[0]#*:}, is missing\$" 'a layer that is missing' on top fill
is 'has no image' "$(ended out)" no
fails 1 "^dt-manifest: stdin: layer 1 of thin, ${ids[0]#*:}, is missing\$" 'a stub is not the layer' on some fill
cat top layers >upside
fails 1 "^dt-manifest: stdin: layer ${ids[0]#*:} is not in thin, or in another order\$" 'another order' on upside fill
echo d >tree/other
dt-root --tree tree >foreign
cat all foreign >many
fails 1 "^dt-manifest: stdin: layer [0-9a-f]* is not in thin, or in another order\$" 'a layer of another image' on many fill
is 'has no image either' "$(ended out)" no
fails 1 "^dt-manifest: stdin: member '.*' is not a layer\$" 'an image on standard input' on whole fill
dt-manifest --name y <foreign >stranger
fails 1 '^dt-manifest: stranger: not the base image of thin: layer 1 differs$' 'another base image' on top fill --from stranger
head -c 3000 all >part
fails 1 '^dt-manifest: stdin: ' 'truncated layers' on part fill
head -c 3000 thin >part
fails 1 '^dt-manifest: part: ' 'truncated documents' on all dt-manifest --documents part
fails 1 '^dt-manifest: all: ' 'an archive without documents' on all dt-manifest --documents all
dt-merge whole base.tar >two
fails 1 '^dt-manifest: two: not an archive of one image' 'two images' on all dt-manifest --documents two
python3 - <<'END'
import tarfile
whole, out = tarfile.open('whole'), tarfile.open('docker', 'w')
for m in whole:
    if m.name not in ('index.json', 'oci-layout'): out.addfile(m, whole.extractfile(m))
out.close()
END
fails 1 '^dt-manifest: docker: not an archive of one image that dt-manifest wrote$' 'an archive of Docker' on all dt-manifest --documents docker
for option in --name=x --tag=1 --created=now; do
	fails 2 '--documents excludes' "$option" on all fill $option
done
fails 2 '--documents excludes' '--config' on all fill --config plan
fails 2 'standard input is for the layers' 'the documents are not on standard input' on all dt-manifest --documents -
finish
