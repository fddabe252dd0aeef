# The differences of two file trees.
#
#     comm -3 A B | awk -f diff.awk
#
# A and B: sorted lists of dt-flatten. Lines of B begin with a tab. stdin has only the lines that differ, those of one
# path after the other. stdout: a line for each difference, as dt-diff(1) describes it. Nothing below a directory that
# only one of the trees has is listed.

# parse(LINE, KEYS): sets the keys of a line, KEYS["mode"] = "644", and returns its path.
function parse(line, keys, word, n, i, at) {
	split("", keys)
	n = split(line, word, " ")
	for (i = 2; i <= n; i++) {
		at = index(word[i], "=")
		keys[substr(word[i], 1, at - 1)] = substr(word[i], at + 1)
	}
	return word[1]
}

# is_below(PATH): whether a directory above the path is in `covered`.
function is_below(path, at, rest) {
	for (rest = path; (at = index(rest, "/")) > 0; rest = substr(rest, at + 1))
		if (substr(path, 1, length(path) - length(rest) + at - 1) in covered)
			return 1
	return 0
}

function show(kind, path, old, new) {
	if (old != new)
		print kind, path, (old == "" ? "(none)" : old), "->", (new == "" ? "(none)" : new)
}

# lone(KIND, PATH, KEYS): prints a path that only one tree has.
function lone(kind, path, keys) {
	if (keys["type"] == "dir")
		covered[path] = 1
	print kind, path (keys["type"] == "dir" ? "/" : "")
}

# both(PATH): prints the differences between the keys of a path, `a` and `b`.
function both(path) {
	if (a["type"] != b["type"]) {
		covered[path] = 1
		show("type", path, a["type"], b["type"])
		return
	}
	if (a["sha256digest"] != b["sha256digest"])
		print "content", path, a["size"], "->", b["size"]
	show("link", path, a["link"], b["link"])
	show("device", path, a["device"], b["device"])
	show("mode", path, a["mode"], b["mode"])
	show("owner", path, a["uid"] ":" a["gid"], b["uid"] ":" b["gid"])
	show("time", path, a["time"], b["time"])
	show("links", path, a["nlink"], b["nlink"])
}

function flush() {
	if (path == "" || is_below(path))
		return
	if (has_a && has_b)
		both(path)
	else if (has_a)
		lone("removed", path, a)
	else
		lone("added", path, b)
}

/^#mtree/ { next }
{
	is_b = sub(/^\t/, "")
	if ($1 != path) {
		flush()
		path = $1
		has_a = has_b = 0
	}
	if (is_b)
		has_b = parse($0, b) != ""
	else
		has_a = parse($0, a) != ""
}
END { flush() }
