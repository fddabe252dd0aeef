#!/usr/bin/env bash
# README and CONTRIBUTING: their examples run, and they name what is there.
#
# ```console blocks show a terminal, like the examples of the manual (0003-manual.t); all
# of a file run in one shell, in a directory like that in which quickstart ran. Other blocks,
# ```sh among them, are not run.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need awk jq busybox bwrap make tar

# examples FILE DIR: writes its commands to DIR/N.command, what they print to DIR/N.want.
examples() {
	mkdir -p "$2"
	awk -v dir="$2" '
		/^```/ { in_block = $0 == "```console"; next }
		in_block && /^\$ / {
			file = sprintf("%s/%03d", dir, ++n)
			print substr($0, 3) >(file ".command")
			next
		}
		in_block && /^> / { print substr($0, 3) >(file ".command"); next }
		in_block { print >(file ".want") }' "$1"
}

# run DIR: its commands, in one shell.
run() {
	local file at
	(
		cd "$T/checkout" || exit 1
		set -o pipefail
		for file in "$1"/*.command; do
			at=${file%.command}
			eval "$(cat "$file")" >"$at.got" 2>"$at.err" </dev/null
			echo $? >"$at.status"
		done
	)
}

# check DIR WHAT: what the commands printed.
check() {
	local file at
	for file in "$1"/*.command; do
		at=${file%.command}
		if [ "$(cat "$at.status" 2>/dev/null)" != 0 ]; then
			t_report 1 "$2: $(head -n 1 "$file")"
			t_note <"$at.err"
		else
			touch "$at.want"
			is "$2: $(head -n 1 "$file")" "$(cat "$at.got")" "$(cat "$at.want")"
		fi
	done
}

mkdir -p "$T/checkout/sample"
ln -s "$top/scripts" "$T/checkout/scripts"
ln -s "$build" "$T/checkout/build"
ok 'a sample store' "$top/scripts/sample-store" "$T/checkout/sample"
cp "$T/out" "$T/checkout/sample/paths"
examples "$top/README.md" "$T/readme"
run "$T/readme"
check "$T/readme" README.md

# The README fits three screens, and names all there is.
is 'README.md is short' "$(awk 'END { print NR <= 180 }' "$top/README.md")" 1
tools=$(make -s -C "$top" --no-print-directory --eval "show: ; @echo '\$(TOOLS)'" show 2>/dev/null)
is 'there are tools' "$([ -n "$tools" ] && echo yes)" yes
for tool in $tools $(cd "$top/scripts" && echo dt-*); do
	like "README.md: $tool" "$top/README.md" "^\\| (\`dt-[a-z-]+\`, )*\`$tool\`(, \`dt-[a-z-]+\`)* \\|"
done
for page in "$top"/doc/*.5; do
	name=$(basename "$page" .5)
	like "README.md: $name(5)" "$top/README.md" "$name\\(5\\)"
done

# Its figures are those that were measured last.
mapfile -t times < <(sed -n '/^## Figures/,/^## Where/p' "$top/README.md" | grep '^|' | grep -oE '[0-9]+\.[0-9]+ s')
is 'there are figures' "$((${#times[@]} > 8))" 1
for time in "${times[@]}"; do
	ok "doc/figures.md has $time" grep -qF " $time " "$top/doc/figures.md"
done

# The drawing is that of its source.
ok 'the drawing' awk -f "$top/doc/drawing.awk" "$top/doc/architecture.txt"
same 'doc/architecture.svg is what its source gives' "$T/out" "$top/doc/architecture.svg"
fails 1 'drawing.awk: line 1: no box of this name' 'an arrow to no box' \
	on <(echo 'arrow a b') awk -f "$top/doc/drawing.awk"

# What the two refer to is there; foo and NNNN stand for something.
while read -r file; do
	is "$file is there" "$(cd "$top" && ls -d "$file" 2>/dev/null)" "$file"
done < <(cat "$top/README.md" "$top/CONTRIBUTING.md" |
	grep -oE '\b(scripts|cmd|common|doc|t|guest)/[A-Za-z0-9._/-]*[A-Za-z0-9/]' |
	grep -v -e foo -e NNNN | sort -u)

# The table of modules: a line for each directory.
for directory in "$top"/common/*/; do
	directory=$(basename "$directory")
	is "CONTRIBUTING.md: the modules of common/$directory" \
		"$(sed -nE "s/^\| \`$directory\` \|.*\| ([^|]*) \|\$/\1/p" "$top/CONTRIBUTING.md" | tr -d '`,' | tr ' ' '\n')" \
		"$(cd "$top/common/$directory" && basename -s .h -a -- *.h | grep -v -e -)"
done

finish
