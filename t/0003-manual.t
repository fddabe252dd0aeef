#!/usr/bin/env bash
# The examples of the manual, run.
#
# All blocks of a page run in one shell, in a directory that holds the store of dt(7)'s first block,
# and, but in dt(7), its variables. t/0984-tutorial.t runs those of dt-tutorial(7).
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/examples.sh"
need mandoc jq tar awk make man python3

examples "$top/doc/dt.7" "$T/dt"
sample=()
for file in "$T"/dt/*.command; do
	sample+=("$file")
	! grep -q '^chmod' "$file" || break
done
like 'dt(7) makes a sample store first' "${sample[0]}" '^lib='

for page in "$top"/doc/*.[157]; do
	name=$(basename "$page")
	dir=$T/$name
	examples "$page" "$dir"
	case $name in
	dt.7) run "$dir" && check "$dir" "$name" ;;
	dt-tutorial.7) ;;
	*) run "$dir" "${sample[@]}" && check "$dir" "$name" ;;
	esac
	is "$name: has examples" "$(ls "$dir"/*.command >/dev/null 2>&1 && echo yes)" yes
	like "$name: refers to other pages" "$page" '^\.Sh SEE ALSO$'
	[ "$name" = dt.7 ] ||
		like "dt(7) refers to $name" "$top/doc/dt.7" "^\\.Xr ${name%.*} ${name##*.}"
done

# --- the manual as a tree for man(1), and as HTML ---
pages=("$top"/doc/*.[157])
ok 'make man and make html' make -s -C "$top" man html B="$T/b"
is 'they print nothing' "$(cat "$T/out" "$T/err")" ''
for page in "${pages[@]}"; do
	name=${page##*/}
	is "man finds ${name%.*} of section ${name##*.}" "$(man -M "$T/b/man" -w "${name##*.}" "${name%.*}" 2>&1)" \
		"$T/b/man/man${name##*.}/$name"
done
ok 'man shows a page' env MANWIDTH=80 man -M "$T/b/man" -P cat dt-layer
like 'the page has its text' "$T/out" '^ *dt-layer .* layers'
html=$T/b/html
is 'each page is there, and an index' "$(ls "$html")" \
	"$({ basename -a "${pages[@]/%/.html}" && echo index.html; } | sort)"
# links FILE: the targets of its links, without those to places in it.
cat >"$T/links.py" <<'END'
import html.parser, sys
class Links(html.parser.HTMLParser):
    ids, links = set(), set()
    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        self.ids.add(a.get("id"))
        if tag == "a" and "href" in a:
            self.links.add(a["href"])
p = Links()
p.feed(open(sys.argv[1]).read())
p.close()
print(*sorted(("broken " + i if i[1:] not in p.ids else "") if i[0] == "#" else i for i in p.links), sep="\n")
END
links() { python3 "$T/links.py" "$1" | sed '/^$/d' | sort -u; }
for page in "${pages[@]}"; do
	name=${page##*/}
	links "$html/$name.html" >"$T/links"
	is "$name: each link is good" "$(grep -vE '^https://manpages\.debian\.org/[a-z.-]+\.[0-9]$' "$T/links" |
		while read -r link; do [ -s "$html/$link" ] || echo "$link"; done)" ''
	sed -nE 's/^\.(It )?Xr (dt[a-z-]*) ([0-9]).*/\2.\3.html/p' "$page" | grep -vx "$name.html" | sort -u >"$T/wanted"
	is "$name: links to all pages that it refers to" "$(comm -23 "$T/wanted" "$T/links")" ''
done
is 'the index links to all pages' "$(links "$html/index.html")" "$(basename -a "${pages[@]/%/.html}" | sort)"
is 'the index describes each page' "$(grep -cE '<li><a href="[a-z0-9.-]+">[a-z-]+\([157]\)</a>: [a-z].{8,}</li>' "$html/index.html")" "${#pages[@]}"

finish
