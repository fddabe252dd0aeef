# A list of the software in a graph, as SPDX 2.3 or CycloneDX 1.5: a package for each store path.
#
#     jq -nR --slurpfile options OPTIONS --rawfile hashes HASHES --arg id ID -f sbom.jq <GRAPH
#
# stdin: a graph in canonical form, dt-graph(5). OPTIONS: an object with the keys
#
#     format    spdx or cyclonedx
#     name      of the image, or ""; tag: of the image, or ""
#     roots     the store paths that are the software's own; if the list is empty, all that nothing refers to
#     created   seconds since 1970
#     dt        the version of dt
#
# ID: 64 hex digits, of which the identifier of the document is made.
# HASHES: the output of dt-closure --hashes, or nothing. A package URL has the form that syft gives to packages of Nix.

# The hash, the name and the version in the name of a store path. The version begins after the first "-" that no letter
# follows, as for builtins.parseDrvName of Nix.
def package: split("/")[-1] | capture("^(?<hash>[^-]*)-(?<name>.*?)(?:-(?<version>[^A-Za-z].*))?$");

def purl: "pkg:nix/\(.name | @uri)\(if .version then "@" + (.version | @uri) else "" end)?outputhash=\(.hash)";

# A UUID of version 8, which may be made of a hash.
def uuid: "\(.[:8])-\(.[8:12])-8\(.[13:16])-8\(.[17:20])-\(.[20:32])";

def spdx_id: "SPDXRef-" + (split("/")[-1] | gsub("[^A-Za-z0-9.-]"; "-"));

# Without the keys whose value is null.
def known: with_entries(select(.value != null));

$options[0] as $o
| ($hashes | split("\n") | map(select(. != "") | split(" ") | {key: .[0], value: .[1][7:]}) | from_entries) as $sha256
| [inputs / " " | {path: .[0], refs: .[2:], sha256: $sha256[.[0]]} + (.[0] | package)] as $all
| ([$all[].refs[]] | unique | map({key: ., value: true}) | from_entries) as $needed
| (if $o.roots == [] then [$all[].path | select($needed[.] | not)] else $o.roots | unique end) as $roots
| ($o.created | todate) as $created
| {name: $o.name, version: (if $o.tag == "" then null else $o.tag end)} as $image
| (if $o.name == "" then [$roots[] | package | .name] | join(" ") elif $o.tag == "" then $o.name else "\($o.name):\($o.tag)" end) as $title
| ([$all[] | {key: .path, value: (.path | spdx_id)}] | from_entries) as $id
| if ($id | [.[]] | unique | length) < ($all | length) then
	"dt-sbom: two store paths have the same hash\n" | halt_error(1)
elif $o.format == "cyclonedx" then {
	bomFormat: "CycloneDX", specVersion: "1.5", serialNumber: "urn:uuid:\($ARGS.named.id | uuid)", version: 1,
	metadata: ({
		timestamp: $created,
		tools: {components: [{type: "application", name: "dt", version: $o.dt}]},
		component: (if $o.name == "" then null else {type: "container", "bom-ref": "image"} + $image | known end)
	} | known),
	components: [$all[] | {
		type: "library", "bom-ref": .path, name, version, purl: purl,
		hashes: (if .sha256 then [{alg: "SHA-256", content: .sha256}] else null end)
	} | known],
	dependencies: ([if $o.name == "" then empty else {ref: "image", dependsOn: $roots} end]
		+ [$all[] | {ref: .path, dependsOn: .refs}])
} else {
	spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: $title,
	documentNamespace: "https://spdx.org/spdxdocs/\($title | @uri)-\($ARGS.named.id | uuid)",
	creationInfo: {created: $created, creators: ["Tool: dt-\($o.dt)"]},
	packages: ([if $o.name == "" then empty else {
		SPDXID: "SPDXRef-image", name: $o.name, versionInfo: $image.version,
		primaryPackagePurpose: "CONTAINER", downloadLocation: "NOASSERTION", filesAnalyzed: false
	} | known end] + [$all[] | {
		SPDXID: $id[.path], name, versionInfo: .version, packageFileName: .path,
		downloadLocation: "NOASSERTION", filesAnalyzed: false,
		checksums: (if .sha256 then [{algorithm: "SHA256", checksumValue: .sha256}] else null end),
		externalRefs: [{referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purl}]
	} | known]),
	relationships: [
		(if $o.name == "" then $roots[] | {from: "SPDXRef-DOCUMENT", type: "DESCRIBES", to: $id[.]} else
			{from: "SPDXRef-DOCUMENT", type: "DESCRIBES", to: "SPDXRef-image"},
			($roots[] | {from: "SPDXRef-image", type: "DEPENDS_ON", to: $id[.]}),
			($all[] | {from: "SPDXRef-image", type: "CONTAINS", to: $id[.path]}) end),
		($all[] | $id[.path] as $from | .refs[] | {from: $from, type: "DEPENDS_ON", to: $id[.]})
		| {spdxElementId: .from, relationshipType: .type, relatedSpdxElement: .to}]
} end
