# A list of the software in an image, by CycloneDX 1.5: a component for each store path.
#
#     jq -nR --arg name NAME --arg version TAG -f sbom.jq <GRAPH
#
# stdin: a graph, dt-graph(5). A package URL has the form that syft gives to packages of Nix.

# The name and the version in the name of a store path. The version begins after the first "-" that no
# letter follows, as for builtins.parseDrvName of Nix.
def package: capture("^(?<hash>[^-]*)-(?<name>.*?)(?:-(?<version>[^A-Za-z].*))?$");

[inputs / " "] as $paths
| {
	bomFormat: "CycloneDX", specVersion: "1.5", version: 1,
	metadata: {component: ({type: "container", "bom-ref": "image", name: $name} + if $version == "" then {} else {version: $version} end)},
	components: [$paths[] | .[0] as $path | ($path | sub(".*/"; "") | package) | {
		type: "library", "bom-ref": $path, name: .name,
		version: (.version // ""),
		purl: "pkg:nix/\(.name | @uri)\(if .version then "@" + (.version | @uri) else "" end)?outputhash=\(.hash)"
	} | if .version == "" then del(.version) else . end],
	dependencies: ([{ref: "image", dependsOn: [$paths[][0]]}] +
		[$paths[] | {ref: .[0], dependsOn: (.[0] as $path | .[2:] - [$path])}])
}
