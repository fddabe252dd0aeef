# Checks of specifications.
#
# A table of keys is an object {"KEY": [TYPE, DEFAULT]}. A key without a default is required. null
# means no value.

# The types of keys, and their names in messages.
def types: {
	"string": "a string",
	"integer": "an integer of 0 to 999999999999999",
	"boolean": "true or false",
	"object": "an object",
	"list": "a list",
	"texts": "an object of strings",
	"paths": "a path or a list of paths",
	"contents": "a path, a helper, an object with paths or a list of these"};

# Whether a value has the type. Nested lists and null in lists are allowed, as in nixpkgs.
def fits($kind):
	def leaves: [.] | flatten | map(values);
	if $kind == "integer" then type == "number" and . == floor and . >= 0 and . < 1e15
	elif $kind == "list" then type == "array"
	elif $kind == "texts" then type == "object" and all(.[]; type == "string")
	elif $kind == "paths" then leaves | all(type == "string")
	elif $kind == "contents" then leaves | all(type == "string" or
		(type == "object" and ((.helper | type == "string") or has("paths"))))
	else type == $kind end;

# Whether a string in the value has a NUL. It cannot be an argument of a program.
def has_nul: any(.. | strings, (objects | keys[]); explode | index(0));

# The error in the specification, or "".
def problem($keys):
	. as $spec |
	if type != "object" then "the spec is not a JSON object"
	else first((to_entries[] | select(.value != null) |
		if .key | has_nul then "a key has a NUL"
		elif $keys[.key] == null then "unknown key \(.key)"
		elif .value | has_nul then "\(.key) has a NUL"
		elif .key as $key | .value | fits($keys[$key][0]) | not then "\(.key) must be \(types[$keys[.key][0]])"
		else empty end),
		($keys | to_entries[] | select((.value | length) == 1 and $spec[.key] == null) |
			"the key \(.key) is missing")) // ""
	end;

# The name and the value of each key. A string is unquoted; other values are JSON. Each is followed
# by a NUL.
def fields: to_entries[] | select(.value != null) | (.key, (.value | strings // tojson)) + "\u0000";

# The input is the list of all JSON values in a file. The output is the error, followed by a NUL; if
# it is empty, the fields follow.
def checked($keys):
	(if length == 0 then "empty, a JSON object is expected"
	elif length > 1 then "\(length) JSON values, one object is expected"
	else .[0] | problem($keys) end) as $problem |
	$problem + "\u0000", (select($problem == "") | .[0] | fields);

# The specification with default values.
def with_defaults($keys):
	. as $spec | $keys | with_entries(.value = if $spec[.key] == null then .value[1] else $spec[.key] end);
