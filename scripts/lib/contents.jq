# The keys copyToRoot and contents of a specification: the files at the root of an image.
#
# A value is one of these, or a list of them, in which null and nested lists are allowed:
#
#     "PATH"                                       a store path or another directory
#     "NAME"                                       an environment helper
#     {"helper": "NAME", ...}                      an environment helper with parameters
#     {"paths": [...], "pathsToLink": ["/bin"]}    an environment: /bin of all paths, merged

# The environment helpers, and the types of their parameters. shadowSetup has no files.
def helpers: {
	binSh: {package: "string"}, caCertificates: {package: "string"},
	fakeNss: {extraPasswdLines: "array", extraGroupLines: "array"}, usrBinEnv: {package: "string"}};
def is_helper: . as $name | helpers + {shadowSetup: {}} | has($name);

def is_store_path: test("\\A(/[\\s\\S]+)?/[0-9a-z]{32}-[^/]+(/[\\s\\S]*)?\\z");
def leaves: [.] | flatten | map(values);
def is_paths: leaves | all(type == "string");

# The error in the object of a helper, or empty.
def helper_problem:
	.helper as $name |
	if helpers[$name] == null then "no helper \($name), but \(helpers | keys | join(", "))"
	else del(.helper) | to_entries[] | select(.value != null) |
		if helpers[$name][.key] == null then "\($name): unknown key \(.key)"
		elif helpers[$name][.key] == "string" and (.value | type != "string") then "\($name): \(.key) must be a path"
		elif helpers[$name][.key] == "array" and (.value | type != "array" or any(.[]; type != "string"))
		then "\($name): \(.key) must be a list of strings"
		else empty end
	end;

# The error in the object of an environment, or empty.
def env_problem:
	(keys[] | select(IN("name", "paths", "pathsToLink") | not) | "unknown key \(.) of an object with paths"),
	(.paths | leaves[] | if type == "string" then (select(is_helper) | {helper: .} | helper_problem)
		elif type == "object" and (.helper | type == "string") then helper_problem
		else "paths must be a path, a helper or a list of these" end),
	(.pathsToLink | if is_paths | not then "pathsToLink must be a path or a list of paths"
		else leaves[] | select(split("/") | index("..")) | "pathsToLink must not have .. in it" end);

# The error in the value of such a key, or "".
def contents_problem:
	first(leaves[] |
		if type == "string" then select(is_helper) | {helper: .} | helper_problem
		elif has("helper") then helper_problem
		else env_problem end) // "";

# The paths in the value that may be symlinks to store paths, or that are not in canonical form.
def unresolved:
	leaves[] | strings, (objects | .paths | leaves[] | strings) |
		select(is_helper or (is_store_path and (test("//|/\\.\\.?(/|$)") | not)) | not);

# The value as a list: names of helpers become objects, and pathsToLink becomes a list. Paths are
# replaced by their values in the object $real.
def resolved($real):
	def member: if type != "string" then . elif is_helper then {helper: .} else $real[.] // . end;
	def env: .paths |= (leaves | map(member)) | .pathsToLink |= (if . == null then ["/"] else leaves end);
	leaves | map(if type == "object" and has("paths") then env else member end);

# The strings that describe a helper, quoted for the shell: its name, its package, the number of its lines for
# /etc/passwd, these lines, and its lines for /etc/group.
def helper_fields:
	[.helper, .package // "", (.extraPasswdLines // [] | length), .extraPasswdLines[]?, .extraGroupLines[]?] | @sh;

# The parts of such a list. Each part is three strings: kind, value and directories. The kinds are path PATH,
# helper FIELDS and env JSON. The directories are lines, or "" for all. If $env is true, the store paths of an
# environment are a single part, of the kind env.
def parts($env):
	def directories: map(split("/") | map(select(. != "" and . != ".")) | join("/")) | if index("") then "" else join("\n") end;
	def member: if type == "string" then "path", . else "helper", helper_fields end;
	.[] | if type == "object" and has("paths") then
		(.pathsToLink | directories) as $directories |
		[.paths[] | strings | select($env and is_store_path)] as $store |
		(select($store != []) | "env", ({paths: $store, pathsToLink} | tojson), ""),
		(.paths[] | select($env and type == "string" and is_store_path | not) | member, $directories)
	else member, "" end;
