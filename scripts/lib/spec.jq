# Specifications: what is wrong with one, and its fields.
#
# A table of keys is an object, {"KEY": [TYPE, DEFAULT]}; a key without a default is required.
# The types are "string", "integer", "boolean", "object", "list", "any", "paths" (a string or a
# list of them), "contents" (the same, and objects of a "helper"), "roots" (the same, and objects
# of "paths"), and "later" for a key that dt does not support yet. null stands for no value.

def is_content: type == "string" or (type == "object" and (.helper | type == "string"));
def is_root: is_content or (type == "object" and (.paths | type == "array"));

def fits($kind):
	if $kind == "integer" then type == "number" and . == floor and . >= 0
	elif $kind == "list" then type == "array"
	elif $kind == "any" then true
	elif $kind == "paths" then type == "string" or (type == "array" and all(.[]; type == "string"))
	elif $kind == "contents" then is_content or (type == "array" and all(.[]; is_content))
	elif $kind == "roots" then is_root or (type == "array" and all(.[]; is_root))
	else type == $kind end;

# What is wrong with the specification, or "".
def problem($keys):
	. as $spec |
	if type != "object" then "the spec is not a JSON object"
	else first((to_entries[] | select(.value != null) |
		if $keys[.key] == null then "unknown key \(.key)"
		elif $keys[.key][0] == "later" then "\(.key) is not supported yet"
		elif .key as $key | .value | fits($keys[$key][0]) | not then "\(.key) is not of type \($keys[.key][0])"
		elif .value | type == "string" and (explode | index(0)) then "\(.key) has a NUL"
		else empty end),
		($keys | to_entries[] | select((.value | length) == 1 and $spec[.key] == null) |
			"the key \(.key) is missing")) // ""
	end;

# The name and the value of each key, a string as it is and all else as JSON. A NUL ends each.
def fields: to_entries[] | select(.value != null) | (.key, (.value | strings // tojson)) + "\u0000";

# Of the list of all values in a file: what is wrong, ended by a NUL; if nothing is, the fields.
def checked($keys):
	if length == 1 then .[0] else error end | problem($keys) as $problem |
	$problem + "\u0000", (select($problem == "") | fields);

# The value of each key.
def with_defaults($keys):
	. as $spec | $keys | with_entries(.value = if $spec[.key] == null then .value[1] else $spec[.key] end);
