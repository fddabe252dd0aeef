# drawing.awk: draws boxes and arrows as SVG.
#
#     awk -f doc/drawing.awk doc/architecture.txt >doc/architecture.svg
#
# The lines of the source:
#
#     size WIDTH HEIGHT
#     legend TEXT
#     box NAME COLUMN ROW tool|data TEXT     TEXT may have two lines, with a | between them
#     arrow FROM TO [LABEL]                  from the right side of a box to the left side of another
#     under FROM TO [LABEL]                  below all rows, from one box to another
#
# The colours follow the reader's scheme, light or dark. The drawing has a background of its own, so that it is
# legible on any page.
function rest(n,   s) {
	s = $0
	while (n-- > 0)
		sub(/^[^ ]+ */, "", s)
	return s
}
function escaped(s) {
	gsub(/&/, "\\&amp;", s)
	gsub(/</, "\\&lt;", s)
	return s
}
function colours(back, text, lines, tool, edge) {
	printf "text{fill:%s}rect,polyline{stroke:%s}marker path{fill:%s}", text, lines, lines
	printf ".tool{fill:%s;stroke:%s}.back{fill:%s;stroke:none}\n", tool, edge, back
}
function label(px, py, s) {
	if (s != "")
		printf "<text x=\"%d\" y=\"%d\" class=\"label\">%s</text>\n", px, py, escaped(s)
}
function line(points) {
	printf "<polyline points=\"%s\" marker-end=\"url(#head)\"/>\n", points
}
BEGIN { width = 108; height = 44; across = 166; down = 84; left = 18; top = 48 }
/^#/ || NF == 0 { next }
$1 == "size" {
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", $2, $3, $2, $3
	print "<style>"
	print "text{font:13px sans-serif;text-anchor:middle}.label,.legend{font-size:12px}.legend{text-anchor:start}"
	print "rect,polyline{fill:none;stroke-width:1}.tool{stroke-width:2}.back{stroke:none}"
	colours("#ffffff", "#1f2328", "#57606a", "#ddf4ff", "#0969da")
	print "@media(prefers-color-scheme:dark){"
	colours("#0d1117", "#e6edf3", "#9198a1", "#12304f", "#4493f8")
	print "}"
	print "</style>"
	print "<defs><marker id=\"head\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\">" \
		"<path d=\"M0 0L8 4L0 8z\"/></marker></defs>"
	printf "<rect width=\"%d\" height=\"%d\" rx=\"6\" class=\"back\"/>\n", $2, $3
	bottom = $3
	next
}
$1 == "legend" {
	printf "<text x=\"%d\" y=\"24\" class=\"legend\">%s</text>\n", left, escaped(rest(1))
	next
}
$1 == "box" {
	x[$2] = left + $3 * across
	y[$2] = top + $4 * down
	printf "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\" class=\"%s\"/>\n", x[$2], y[$2], width, height, $5
	n = split(rest(5), lines, "|")
	for (i = 1; i <= n; i++)
		printf "<text x=\"%d\" y=\"%d\">%s</text>\n", x[$2] + width / 2, y[$2] + (n == 1 ? 27 : 2 + 17 * i), escaped(lines[i])
	next
}
($1 == "arrow" || $1 == "under") && !(($2 in x) && ($3 in x)) {
	printf "drawing.awk: line %d: no box of this name\n", NR | "cat >&2"
	failed = 1
	exit
}
$1 == "arrow" {
	from = x[$2] + width
	# Arrows between rows end above or below those of one row.
	slope = (y[$3] > y[$2]) - (y[$3] < y[$2])
	line(sprintf("%d,%d %d,%d", from, y[$2] + height / 2 + 16 * slope, x[$3] - 1, y[$3] + height / 2 - 16 * slope))
	label((from + x[$3]) / 2, (y[$2] + y[$3] + height) / 2 - 6, rest(3))
	next
}
$1 == "under" {
	from = x[$2] + width / 2
	to = x[$3] + width / 2
	line(sprintf("%d,%d %d,%d %d,%d %d,%d", from, y[$2] + height, from, bottom - 18, to, bottom - 18, to, y[$3] + height + 1))
	label((from + to) / 2, bottom - 24, rest(3))
	next
}
{
	printf "drawing.awk: line %d: unknown word %s\n", NR, $1 | "cat >&2"
	failed = 1
	exit
}
END {
	if (failed)
		exit 1
	print "</svg>"
}
