# Runs the examples of the manual.
#
# In EXAMPLES, a block between `.Bd -literal` and `.Ed` is what a terminal shows: `$ COMMAND`, which goes
# on with `> `, then what it prints on stdout. If nothing is shown, the command only has to succeed.
# Displays of other kinds (.Dl) are not run.
# shellcheck shell=bash disable=SC2154 # lib.sh sets T

# examples PAGE DIR: writes the commands of the page to DIR/N.command, what they print to DIR/N.want.
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
