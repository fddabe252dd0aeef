# The differences of two images, except those of their files.
#
#     jq -rs -f diff.jq A B
#
# A and B: the outputs of dt-inspect. stdout: a line for each difference, as dt-diff(1) describes it.

# Text on one line, without characters that change a terminal, of at most 60 characters.
def short: gsub("[\\p{Cc}\\p{Cf}\\x{2028}\\x{2029}]"; "?") | if length > 60 then .[:57] + "..." else . end;

# A value in an array, as JSON. The array is null if there is no value.
def shown: if . == null then "(none)" else (.[0] | tojson | short) end;

# A path in a document, in the syntax of jq.
def path_text: map(if type == "number" then "[\(.)]" elif test("^[A-Za-z_][A-Za-z0-9_]*$") then ".\(.)" else "[\(tojson)]" end)
	| add | short;

# All values of a document that contain no others, by their paths: {"PATH": [VALUE]}.
def leaves: [paths as $path | getpath($path) as $value
	| select(($value | type | . != "array" and . != "object") or $value == [] or $value == {})
	| {key: ($path | tojson), value: [$value]}] | from_entries;

# differ(KIND; A; B): a line for each value that differs in two documents.
def differ($kind; $a; $b): ($a | leaves) as $old | ($b | leaves) as $new
	| [$old + $new | keys[] | select($old[.] != $new[.]) | {path: fromjson, old: $old[.], new: $new[.]}]
	| sort_by(.path[0] != "created", .path[0] == "history", .path)[]
	| "\($kind) \(.path | path_text) \(.old | shown) -> \(.new | shown)";

# The start of a digest.
def digest: if . == null then "(none)" else .[:19] end;

# The layers of the first list that the second one lacks; twice, if they are there twice.
def lacking($a; $b): reduce range($a | length) as $i ({left: $b, at: []};
	(.left | index([$a[$i]])) as $place
	| if $place == null then .at += [$i] else .left |= .[:$place] + .[$place + 1:] end) | .at;

def layers($a; $b): lacking($a; $b) as $old | lacking($b; $a) as $new
	| ([range($a | length)] - $old | map($a[.])) as $kept
	| (if $kept != ([range($b | length)] - $new | map($b[.])) then "layers are in another order" else empty end),
	($old + $new | unique[] | . as $i | "layer \($i + 1) \(if $i | IN($old[]) then $a[$i] else null end | digest) -> "
		+ (if $i | IN($new[]) then $b[$i] else null end | digest));

.[0] as $a | .[1] as $b
| differ("config"; $a.image | del(.rootfs.diff_ids); $b.image | del(.rootfs.diff_ids)),
differ("annotation"; $a.annotations; $b.annotations),
layers($a.layers; $b.layers),
(if $a.config != $b.config and $a.image == $b.image then "config the same values are spelled in another way" else empty end)
