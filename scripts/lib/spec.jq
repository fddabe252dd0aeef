# Specifications: what is wrong with one, and its fields.
#
# A table of keys is an object, {"KEY": [TYPE, DEFAULT]}; a key without a default is required.
# null stands for no value.

# The types of keys, and how messages call them.
def types: {
	"string": "a string",
	"integer": "an integer of 0 to 999999999999999",
	"boolean": "true or false",
	"object": "an object",
	"list": "a list",
	"paths": "a path or a list of paths",
	"contents": "a path, a helper, an object with paths or a list of these"};

# Lists in lists and null in lists are allowed, as in nixpkgs.
def fits($kind):
	def leaves: [.] | flatten | map(values);
	if $kind == "integer" then type == "number" and . == floor and . >= 0 and . < 1e15
	elif $kind == "list" then type == "array"
	elif $kind == "paths" then leaves | all(type == "string")
	elif $kind == "contents" then leaves | all(type == "string" or
		(type == "object" and ((.helper | type == "string") or has("paths"))))
	else type == $kind end;

# Whether a string in the value is one that no program could be given.
def has_nul: any(.. | strings, (objects | keys[]); explode | index(0));

# What is wrong with the specification, or "".
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

# The name and the value of each key, a string as it is and all else as JSON. A NUL ends each.
def fields: to_entries[] | select(.value != null) | (.key, (.value | strings // tojson)) + "\u0000";

# Of the list of all values in a file: what is wrong, ended by a NUL; if nothing is, the fields.
def checked($keys):
	(if length == 0 then "empty, a JSON object is expected"
	elif length > 1 then "\(length) JSON values, one object is expected"
	else .[0] | problem($keys) end) as $problem |
	$problem + "\u0000", (select($problem == "") | .[0] | fields);

# The value of each key.
def with_defaults($keys):
	. as $spec | $keys | with_entries(.value = if $spec[.key] == null then .value[1] else $spec[.key] end);
