# The environment helpers in specifications.

# The helpers, and the type of each key that their objects may have.
def helpers: {
	binSh: {package: "string"}, caCertificates: {package: "string"},
	fakeNss: {extraPasswdLines: "array", extraGroupLines: "array"}, usrBinEnv: {package: "string"}};

# What is wrong with the object of a helper, or "".
def helper_problem:
	.helper as $name |
	if helpers[$name] == null then "no helper \($name), but \(helpers | keys | join(", "))"
	else first(del(.helper) | to_entries[] | select(.value != null) |
		if helpers[$name][.key] == null then "\($name): unknown key \(.key)"
		elif (.value | type) != helpers[$name][.key] or (.value | arrays | any(.[]; type != "string"))
		then "\($name): \(.key) is not of type \(helpers[$name][.key])"
		else empty end) // ""
	end;

# Of the object of a helper: what is wrong; if nothing is, its name, its package, how many lines
# it adds to /etc/passwd, these, and those that it adds to /etc/group. A NUL ends each.
def helper_fields:
	helper_problem as $problem |
	($problem, (select($problem == "") | .helper, .package // "", (.extraPasswdLines // [] | length | tostring),
		.extraPasswdLines[]?, .extraGroupLines[]?)) + "\u0000";

# Of a list of contents: the kind and the value of each, env JSON, helper JSON or path PATH, by
# turns. The name of a helper stands for its object; shadowSetup is one, too, but has no files.
def roots:
	.[] | values |
	if type == "string" and (. as $name | helpers + {shadowSetup: {}} | has($name)) then {helper: .} else . end |
	if type == "string" then "path", . elif has("helper") then "helper", tojson else "env", tojson end;
