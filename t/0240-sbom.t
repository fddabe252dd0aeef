#!/usr/bin/env bash
# dt-sbom: the rules of SPDX and CycloneDX, the facts of a real store, the same bytes each time, and errors.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need jq nix-instantiate nix-store
cd "$T" || exit 1

# rules DESCRIPTION FILE: the document keeps all rules.
rules() {
	ok "$1: the rules can be checked" jq -r -f "$t_dir/fixtures/sbom.jq" "$2"
	is "$1: the rules" "$(cat out)" ''
}
sbom() { dt-sbom "$@" <graph; }

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
all=$(root everything)
dt-closure --store "$small" "$all" >graph
cut -d ' ' -f 1 graph >paths
db=$small/nix/var/nix/db/db.sqlite

# --- both formats ---
for format in spdx cyclonedx; do
	ok "$format" sbom --format "$format"
	cp out "plain.$format"
	rules "$format" "plain.$format"
	ok "$format: with all options" sbom --format "$format" --name app --tag 1.0 --db "$db" --root "$(root hello)" --root "$all"
	cp out "full.$format"
	rules "$format: with all options" "full.$format"
	shuf graph >shuffled
	is "$format: any order of lines gives the same bytes" "$(dt-sbom --format "$format" <shuffled | sha256sum)" "$(sha256sum <"plain.$format")"
done
is 'the default is SPDX' "$(sbom | sha256sum)" "$(sha256sum <plain.spdx)"
ok '--output' sbom -o file
same '--output: the same' file plain.spdx

# packages FORMAT: a line for each store path: path, name, version or -, hash or -.
packages() {
	if [ "$1" = spdx ]; then
		jq -r '.packages[] | select(.packageFileName) | [.packageFileName, .name, .versionInfo // "-", .checksums[0].checksumValue // "-"] | join(" ")' "full.$1"
	else
		jq -r '.components[] | [."bom-ref", .name, .version // "-", .hashes[0].content // "-"] | join(" ")' "full.$1"
	fi
}
# What Nix says of them.
names=$(jq -nR '[inputs | sub(".*/[^-]*-"; "")]' <paths)
# shellcheck disable=SC2086 # a list
in_nix nix-instantiate --eval --strict --json -E "map builtins.parseDrvName (builtins.fromJSON ''$names'')" |
	jq -r '.[] | [.name, if .version == "" then "-" else .version end] | join(" ")' >parsed
# shellcheck disable=SC2046 # a list
in_nix nix-store -q --hash $(cat paths) | while read -r hash; do
	in_nix nix-hash --type sha256 --to-base16 "${hash#sha256:}"
done >hashes
paste -d ' ' paths parsed hashes >want
for format in spdx cyclonedx; do
	is "$format: names and versions of Nix, and hashes of its database" "$(packages $format)" "$(cat want)"
done
awk '{ for (i = 3; i <= NF; i++) print $1, $i }' graph | sort >edges
is 'cyclonedx: the references' "$(jq -r '.dependencies[] | select(.ref != "image") | .ref as $ref | .dependsOn[] | "\($ref) \(.)"' full.cyclonedx | sort)" "$(cat edges)"
is 'spdx: the references' "$(jq -r '([.packages[] | {key: .SPDXID, value: .packageFileName}] | from_entries) as $path
	| .relationships[] | select(.relationshipType == "DEPENDS_ON" and .spdxElementId != "SPDXRef-image")
	| "\($path[.spdxElementId]) \($path[.relatedSpdxElement])"' full.spdx | sort)" "$(cat edges)"

# --- names, versions and package URLs ---
h=0123456789abcdfghijklmnpqrsvwxy
a=/nix/store/${h}0-a
cat >graph <<END
$a 1
/nix/store/${h}1-b-1.0+c?d=e_f 1 $a
/nix/store/${h}2-x-y-2z 1 $a
/nix/store/${h}3-n- 1
END
sbom >odd.spdx
rules 'odd names' odd.spdx
is 'odd names: ids, names, versions, package URLs' \
	"$(jq -r '.packages[] | [.SPDXID, .name, .versionInfo // "none", .externalRefs[0].referenceLocator] | join(" ")' odd.spdx)" \
	"SPDXRef-${h}0-a a none pkg:nix/a?outputhash=${h}0
SPDXRef-${h}1-b-1.0-c-d-e-f b 1.0+c?d=e_f pkg:nix/b@1.0%2Bc%3Fd%3De_f?outputhash=${h}1
SPDXRef-${h}2-x-y-2z x-y 2z pkg:nix/x-y@2z?outputhash=${h}2
SPDXRef-${h}3-n- n- none pkg:nix/n-?outputhash=${h}3"
sbom --format cyclonedx >odd.cyclonedx
rules 'odd names, cyclonedx' odd.cyclonedx

# --- roots and the image ---
described() { jq -r '.relationships[] | select(.relationshipType == "DESCRIBES").relatedSpdxElement' "$1" | cut -c 9- | sort; }
is 'without an image, the document describes the paths that nothing refers to' "$(described odd.spdx)" "${h}1-b-1.0-c-d-e-f
${h}2-x-y-2z
${h}3-n-"
is '... and has their names' "$(jq -r .name odd.spdx)" 'b x-y n-'
sbom --root "$a" >root.spdx
is '--root' "$(described root.spdx) $(jq -r .name root.spdx)" "${h}0-a a"
sbom --name 'my app' --tag 2 >image.spdx
rules 'an image' image.spdx
is 'an image is described, and contains each package' "$(described image.spdx) $(jq '[.relationships[] | select(.relationshipType == "CONTAINS")] | length' image.spdx)" 'image 4'
is 'an image: its name and version' "$(jq -c '[.name, (.packages[0] | .name, .versionInfo, .primaryPackagePurpose)]' image.spdx)" \
	'["my app:2","my app","2","CONTAINER"]'
is 'an image depends on the roots' \
	"$(sbom --format cyclonedx --name x --root "$a" | jq -c '.dependencies[0], .metadata.component')" \
	"{\"ref\":\"image\",\"dependsOn\":[\"$a\"]}
{\"type\":\"container\",\"bom-ref\":\"image\",\"name\":\"x\"}"

# --- identifiers and times ---
id() { jq -r '.documentNamespace // .serialNumber' "$@" | grep -oE '[0-9a-f-]{36}$'; }
is 'the identifier is made of the contents' "$(for f in odd.spdx root.spdx image.spdx odd.cyclonedx; do id "$f"; done | sort -u | wc -l)" 4
is 'other hashes make another document' "$(id full.spdx plain.spdx full.cyclonedx plain.cyclonedx | sort -u | wc -l)" 4
is 'two runs make the same document' "$(sbom | sha256sum)" "$(sha256sum <odd.spdx)"
is 'the time' "$(jq -r .creationInfo.created odd.spdx) $(jq -r .metadata.timestamp odd.cyclonedx)" '1970-01-01T00:00:01Z 1970-01-01T00:00:01Z'
is 'SOURCE_DATE_EPOCH' "$(SOURCE_DATE_EPOCH=1700000000 dt-sbom <graph | jq -r .creationInfo.created)" 2023-11-14T22:13:20Z
is 'another time is another document' "$(SOURCE_DATE_EPOCH=1700000000 dt-sbom <graph | id | grep -c "$(id odd.spdx)")" 0
is 'the creator' "$(jq -r '.creationInfo.creators[]' odd.spdx)" "Tool: $(dt-layer --version | sed 's/.* /dt-/')"

# --- the rules find errors ---
broken() { # DESCRIPTION FILE FILTER
	jq "$3" "$2" >broken.json
	is "the rules find $1" "$(jq -r -f "$t_dir/fixtures/sbom.jq" broken.json | awk 'END { print (NR > 0) }')" 1
}
broken 'a missing key' odd.spdx 'del(.packages[0].downloadLocation)'
broken 'a key that is not allowed' odd.spdx '.packages[0].license = "MIT"'
broken 'an id with other characters' odd.spdx '.packages[0].SPDXID = "SPDXRef-a+b"'
broken 'an id that is there twice' odd.spdx '.packages[0].SPDXID = .packages[1].SPDXID'
broken 'a reference to nothing' odd.spdx '.relationships[0].relatedSpdxElement = "SPDXRef-none"'
broken 'a wrong package URL' odd.spdx '.packages[0].externalRefs[0].referenceLocator = "pkg:nix/a b"'
broken 'a time without a zone' odd.cyclonedx '.metadata.timestamp = "1970-01-01T00:00:01"'
broken 'a wrong hash' full.cyclonedx '.components[0].hashes[0].content = "00"'
broken 'a dependency on nothing' odd.cyclonedx '.dependencies[1].dependsOn = ["none"]'
broken 'a missing dependency' odd.cyclonedx '.dependencies |= .[1:]'

# --- errors ---
fails 1 '^dt-closure: stdin: empty, a graph is expected$|^dt-closure: .* empty' 'an empty graph' on /dev/null dt-sbom
is 'an empty graph: nothing is printed' "$(cat out)" ''
head -c -5 graph >part
fails 1 '^dt-closure: ' 'a truncated graph' on part dt-sbom
echo 'a 1' >words
fails 1 '^dt-closure: .* is not a store path' 'words' on words dt-sbom
fails 1 "^dt-sbom: /nix/store/${h}9-none: not in the graph\$" 'a root that is not in the graph' on graph dt-sbom --root "/nix/store/${h}9-none"
fails 1 "^dt-closure: .*: not a valid path in $db\$" 'a path that the database lacks' on graph dt-sbom --db "$db"
fails 1 '^dt-closure: none: No such file' 'no database' on graph dt-sbom --db none
printf '%s\n' "/nix/store/${h}0-a+b 1" "/nix/store/${h}0-a-b 1" >twins
fails 1 '^dt-sbom: two store paths have the same hash$' 'two paths of one id' on twins dt-sbom
fails 2 "^dt-sbom: --format takes spdx or cyclonedx, not 'x': try" 'another format' on graph dt-sbom --format x
fails 2 '^dt-sbom: --tag goes with --name: try' 'a tag without a name' on graph dt-sbom --tag 1
fails 2 "^dt-sbom: unexpected operand 'graph': try" 'an operand' dt-sbom graph
fails 2 '^dt-sbom: SOURCE_DATE_EPOCH must be the seconds since 1970' 'a wrong time' on graph env SOURCE_DATE_EPOCH=x dt-sbom

# --- dt-closure --hashes ---
ok '--hashes' dt-closure --store "$small" --hashes "$all"
is '--hashes: those of Nix, in the order of the graph' "$(cat out)" "$(paste -d ' ' paths <(sed 's/^/sha256:/' hashes))"
root hello >list
is '--hashes and --exclude' "$(dt-closure --store "$small" --hashes --exclude list "$(root hello)" | grep -c hello)" 0
fails 2 '^dt-closure: --hashes needs the database; it excludes --scan and --graph: try' '--hashes and --scan' dt-closure --hashes --scan "$all"
fails 2 '^dt-closure: more than one of --hashes and --why: try' '--hashes and --why' dt-closure --hashes --why "$all" "$all"
mkdir -p none/nix/store
cp -r --no-preserve=mode "$small$(root plain-file)" none/nix/store
fails 1 '/nix/store: has no database$' '--hashes without a database' dt-closure --store none --hashes "$(root plain-file)"
finish
