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
need mandoc jq tar awk

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

finish
