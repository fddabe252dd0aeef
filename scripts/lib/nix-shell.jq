# Filters for a derivation, the object that dt-drv prints with the additional key path.
include "spec";

# The error in the derivation, or empty.
def derivation_problem:
	if any(.outputs[]; .path == null) then "the paths of its outputs are not known before the build"
	elif .builder | startswith("builtin:") then "its builder, \(.builder), is a part of Nix"
	elif .env.__json == null then empty
	else .env.__json | (try fromjson catch null) |
		if type != "object" then "its __json is not a JSON object"
		elif any(.. | numbers; fabs > 9007199254740992) then "a number in its __json has too many digits"
		else empty end
	end;

# The store paths that its build needs, or a line that begins with `drv:` and has an error. $inputs:
# the derivations that it needs.
def inputs($inputs):
	.inputSrcs[], (.inputDrvs | to_entries[] | .key as $path | .value[] |
		$inputs[$path].outputs[.].path // "drv: \($path): the path of its output \(.) is not known before the build");

# The names of the variables that are passed in files.
def passed:
	.env as $env | .env.passAsFile // "" | [splits("[ \t\r\n]+")] | unique | map(select($env[.]));

# The file name for a variable of this name.
def file:
	{"!": "%21", "*": "%2A", "\u0027": "%27", "(": "%28", ")": "%29"} as $rest |
	"attr-" + @uri | gsub("(?<c>[!*\u0027()])"; $rest[.c]);

# Its structured attributes, with the paths of its outputs.
def attributes: (.outputs | map_values(.path)) as $outputs | .env.__json | fromjson | .outputs = $outputs;

# Attributes as declarations for bash. Those that bash cannot represent are omitted.
def attributes_sh:
	def word: if type == "string" then @sh elif . == null then "\u0027\u0027" elif . == true then "1"
		elif . == false then "" elif type == "number" and . == floor then tostring else null end;
	to_entries[] | select(.key | test("\\A[A-Za-z_][A-Za-z0-9_]*\\z")) | .key as $key | .value | select(has_nul | not) |
	if type == "array" then map(word) | select(all) | "declare -a \($key)=(\(join(" ")))"
	elif type == "object" then map_values(word) | select(all) |
		"declare -A \($key)=(\([to_entries[] | "[\(.key | @sh)]=\(.value)"] | join(" ")))"
	else word | values | "declare \($key)=\(.)" end;

# The generated files with its variables: the names and the contents. $dir: the directory of those that are passed in files.
def files($dir):
	if .env.__json then "/build/.attrs.json", (attributes | tojson + "\n"),
		"/build/.attrs.sh", ([attributes | attributes_sh + "\n"] | add // "")
	else .env as $env | passed[] | "\($dir)/\(file)", $env[.] end;

# The error in the derivation, or "". If it is "", these strings follow: the derivation as JSON, the command that
# builds it, the number of strings of files($dir), these, and the derivations that it needs.
def facts($dir):
	(first(derivation_problem) // "") as $problem | $problem, (select($problem == "") |
		tojson, ([.builder] + .args | @sh), ([files($dir)] | (length | tostring), .[]), (.inputDrvs | keys[]));

# The environment variables, as an object. $dir: the directory of the generated files in the image;
# $bin: the directory of the shell; $home: the home directory.
def environment($dir; $bin; $home):
	def each($value): map({key: ., value: $value}) | from_entries;
	passed as $passed |
	(["SSL_CERT_FILE", "NIX_SSL_CERT_FILE"] | each("/etc/ssl/certs/ca-bundle.crt")) +
	{PATH: "\($bin):\($dir)/bin", HOME: $home, NIX_STORE: (.path | sub("/[^/]*$"; "")), NIX_BUILD_CORES: "1"} +
	if .env.__json then
		{NIX_ATTRS_JSON_FILE: "/build/.attrs.json", NIX_ATTRS_SH_FILE: "/build/.attrs.sh"}
	else
		.env | with_entries(.key as $key | if IN($key; $passed[]) then
			{key: "\($key)Path", value: "\($dir)/\($key | file)"} else . end)
	end +
	(.outputs | map_values(.path)) +
	(["NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"] | each("/build")) +
	{TERM: "xterm-256color"};

# The specification of a layered image, made of the specification of a nix-shell image. $drv: the
# derivation; $env: its environment; $files: the directory of generated files; $rc: the file that
# the shell runs first; $certificates: whether an input has CA certificates.
def layered($drv; $env; $files; $shell; $rc; $certificates):
	(.uid // 1000) as $uid | (.gid // 1000) as $gid |
	{x86_64: "amd64", aarch64: "arm64", i686: "386", armv7l: "arm"} as $architectures |
	.name //= ($drv.name | gsub("[^0-9A-Za-z]*[^0-9A-Za-z._-][^0-9A-Za-z]*"; "-")) + "-env" |
	.architecture //= $architectures[$drv.system | sub("-.*"; "")] |
	.contents = ["binSh", "usrBinEnv", {
			helper: "fakeNss",
			extraPasswdLines: ["nixbld:x:\($uid):\($gid):Build user:\($env.HOME):/noshell"],
			extraGroupLines: ["nixbld:!:\($gid):"]
		}, (select($certificates) | "caCertificates"), .contents, $files] |
	.config = {
		User: "\($uid):\($gid)",
		WorkingDir: "/build",
		Cmd: [$shell, (select(.run == null) | "--rcfile"), $rc],
		Env: [$env | keys[] as $key | "\($key)=\(.[$key])"]
	} |
	("nix etc/nix build .\($env.NIX_STORE | @sh)") as $own |
	.fakeRootCommands = "mkdir -p nix/var/nix \($own); chown -R \($uid):\($gid) \($own)" |
	.databaseOwner = "\($uid):\($gid)" |
	del(.uid, .gid);
