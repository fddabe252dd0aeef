# The difference that most likely caused all others.
#
#     awk -f reason.awk REPORT
#
# REPORT: the lines of diff.jq and diff.awk. stdout: a line, as dt-diff(1) describes it.

BEGIN {
	n = split("config layers removed added type content link device mode owner time layer history annotation spelling", kind, " ")
	for (i = 1; i <= n; i++)
		rank[kind[i]] = i
	best = n + 1
}
{
	name = $1
	if (name == "config")
		name = $2 ~ /^\.history/ ? "history" : $2 ~ /^[.[]/ ? "config" : "spelling"
	if (rank[name] >= best)
		next
	best = rank[name]
	text = substr($0, length($1) + 2)
	if (name == "config" || name == "history" || name == "spelling")
		reason = "in the configuration: " text
	else if (name == "layers")
		reason = "the order of the layers"
	else if (name == "removed" || name == "added")
		reason = text " is only in the " (name == "added" ? "second" : "first") " image"
	else if (name == "layer")
		reason = "layer " $2 ": the order, hard links or extended attributes of its files, or hidden files"
	else
		reason = "the " name " of " text
}
END { print "first reason: " reason }
