#!/usr/bin/env bash
# The examples of the manual, run.
#
# In EXAMPLES, what stands between `.Bd -literal` and `.Ed` is what a terminal shows:
# `$ COMMAND`, goes on with `> `, then what it prints on stdout; where nothing is shown,
# the command only has to succeed. All blocks of a page run in one shell, in a directory
# that holds the store of dt(7)'s first block, and, but in dt(7), its variables.
# Displays of other kinds (.Dl) are not run.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need mandoc jq tar awk make man python3

# examples PAGE DIR: writes its commands to DIR/N.command, what they print to DIR/N.want.
examples() {
	mkdir -p "$2"
	awk -v dir="$2" '
		function text(s) {
			gsub(/\\\(aq/, "\x27", s)
			gsub(/\\\(dq/, "\"", s)
			gsub(/\\&/, "", s)
			gsub(/\\e/, "\\", s)
			return s
		}
		/^\.Sh / { in_examples = $2 == "EXAMPLES" }
		/^\.Ed/ { in_block = 0 }
		in_block && /^\$ / {
			file = sprintf("%s/%03d", dir, ++n)
			print text(substr($0, 3)) >(file ".command")
			next
		}
		in_block && /^> ?/ { print text(substr($0, 3)) >(file ".command"); next }
		in_block { print text($0) >(file ".want") }
		in_examples && /^\.Bd -literal/ { in_block = 1 }' "$1"
}

# run DIR [BEFORE...]: the commands of DIR, after those in the files BEFORE, in one shell.
run() {
	local dir=$1 file number
	shift
	(
		# What the shell of the examples has of ours.
		unset T top build t_dir t_count t_failed t_at_exit
		umask 022
		set -u -o pipefail
		cd "$dir" || exit 1
		for file; do
			eval "$(cat "$file")"
		done
		for file in *.command; do
			number=${file%.command}
			eval "$(cat "$file")" >"$number.got" 2>"$number.err" </dev/null
			echo $? >"$number.status"
		done
	)
}

# check DIR PAGE: what the commands printed.
check() {
	local file at what
	for file in "$1"/*.command; do
		at=${file%.command}
		what="$2: $(head -n 1 "$file")"
		if [ "$(cat "$at.status" 2>/dev/null)" != 0 ]; then
			t_report 1 "$what"
			{ echo "status $(cat "$at.status")"; cat "$at.err"; } | t_note
		elif [ -e "$at.want" ]; then
			is "$what" "$(cat "$at.got")" "$(cat "$at.want")"
		else
			t_report 0 "$what"
		fi
	done
}

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
	if [ "$name" = dt.7 ]; then
		run "$dir"
	else
		run "$dir" "${sample[@]}"
	fi
	check "$dir" "$name"
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
