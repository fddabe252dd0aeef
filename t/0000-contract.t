#!/usr/bin/env bash
# What every tool must do.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/samples.sh"
need make mandoc perl jq busybox script

# The value of one of the Makefile's variables.
make_var() {
	make -s -C "$top" --no-print-directory --eval "show: ; @echo '\$($1)'" show 2>/dev/null
}

# statuses TOOL: sets $failed and $misused, its statuses for input and command line.
statuses() {
	failed=1 misused=2
	[ "$1" != dt-diff ] || failed=2 # as diff(1): 1 is a difference
	[ "$1" != dt-vmrun ] || failed=125 misused=125 # the others belong to its script
}

# What `ok` and `fails` run a command by.
# shellcheck disable=SC2317
{
	on() { local file=$1; shift; "$@" <"$file"; }
	full() { "$@" >/dev/full; }
	closed() { "$@" >&-; }
	# The messages go through a pipe, which has no limit.
	with_tmp() { TMPDIR=$1 "${@:2}"; }
	limited() { (ulimit -f 0; "$@" 2>&1 >/dev/null) | cat >&2; return "${PIPESTATUS[0]}"; }
}

# silent DESCRIPTION: the command that failed last printed nothing.
silent() { is "$1: nothing on stdout" "$(wc -c <"$T/out")" 0; }

# unfinished DESCRIPTION: it printed nothing that could be taken for an answer: no text,
# and no archive with an end-of-archive mark.
unfinished() {
	local rest
	rest=$(tail -c 1024 "$T/out" | tr -d '\0' | wc -c)
	if [ "$rest" -eq 0 ] && [ -s "$T/out" ]; then
		t_report 1 "$1: no end of archive"
	elif [ -s "$T/out" ] && ! grep -qa ustar "$T/out"; then
		t_report 1 "$1: no text"
	else
		t_report 0 "$1: no answer"
	fi
}

# usage_error TOOL ARG...
usage_error() {
	local what="$*"
	fails "$misused" "^$1: .*: try '$1 --help'\$" "$what" "$@"
	silent "$what"
}

check_help() { # TOOL
	ok "$1 --help" "$1" --help
	cp "$T/out" "$T/help"
	is "$1 --help: nothing on stderr" "$(cat "$T/err")" ''
	like "$1 --help: the usage" "$T/help" "^usage: $1( |\$)"
	is "$1 --help: no long lines" "$(awk 'length > 90' "$T/help")" ''
	fails "$failed" . "$1 --help, no room" full "$1" --help
	fails "$failed" . "$1 --help, stdout closed" closed "$1" --help
	usage_error "$1" --no-such-option
	usage_error "$1" -xy
}

check_io() { # TOOL, after `sample`
	ok "$1: the sample" on "$input" "$1" "${args[@]}"
	is "$1: an answer" "$([ -s "$T/out" ] && echo yes)" yes
	is "$1: nothing to say" "$(cat "$T/err")" ''
	fails "$failed" "^dt-[a-z-]*: " "$1: no room" full on "$input" "$1" "${args[@]}"
	fails "$failed" "^dt-[a-z-]*: " "$1: stdout closed" closed on "$input" "$1" "${args[@]}"
	[ -n "$cut" ] || return 0
	fails "$failed" "^dt-[a-z-]*: " "$1: empty stdin" on /dev/null "$1" "${args[@]}"
	silent "$1: empty stdin"
	fails "$failed" "^dt-[a-z-]*: " "$1: a cut stream" on "$cut" "$1" "${args[@]}"
	unfinished "$1: a cut stream"
}

# The draft of a file is beside it until it is complete.
check_output() { # TOOL, after `sample`
	local dir=$T/output file=$T/output/file
	rm -rf "$dir"
	mkdir "$dir"
	on "$input" "$1" "${args[@]}" >"$T/plain" 2>/dev/null
	is "$1 -o FILE" "$(umask 027; on "$input" "$1" -o "$file" "${args[@]}" 2>&1)" ''
	same "$1 -o FILE: all that goes to stdout" "$file" "$T/plain"
	is "$1 -o FILE: the mode by the umask, and no other file" \
		"$(stat -c %a "$file"):$(ls -A "$dir")" 640:file
	ok "$1 --output /dev/null" on "$input" "$1" --output /dev/null "${args[@]}"
	is "$1 --output /dev/null: which is still a device" "$(stat -c %F /dev/null)" 'character special file'
	fails "$failed" ': No such file or directory$' "$1 -o into no directory" \
		on "$input" "$1" -o "$dir/none/file" "${args[@]}"
	fails "$failed" ': Is a directory$' "$1 -o DIRECTORY" on "$input" "$1" -o "$dir" "${args[@]}"
	# The scratch files of a script have no room either.
	[ ! -e "$build/$1" ] || fails "$failed" '(file|sample\.plan|busybox): File too large$' "$1 -o FILE, which has no room" \
		limited on "$input" "$1" -o "$file" "${args[@]}"
	[ -e "$build/$1" ] || fails "$failed" . "$1 -o FILE, which has no room" with_tmp "$T/none" on "$input" "$1" -o "$file" "${args[@]}"
	[ -z "$cut" ] ||
		fails "$failed" . "$1 -o FILE, a cut stream" on "$cut" "$1" -o "$file" "${args[@]}"
	same "$1 -o FILE, after failures: as it was" "$file" "$T/plain"
	is "$1 -o FILE, after failures: no other file" "$(ls -A "$dir")" file
}

# A text may go to a terminal.
check_terminal() { # TOOL, after `sample`
	local command
	printf -v command '%q ' "$1" "${args[@]}"
	script -qec "$command <$input" /dev/null >"$T/out" 2>&1 </dev/null
	if [[ $1 =~ ^dt-(closure|popularity|fleet|cost|drv|inspect|push|sbom)$ ]]; then
		is "$1 to a terminal" "$(tr -d '\r' <"$T/out")" "$(on "$input" "$1" "${args[@]}")"
	else
		is "$1 to a terminal" "$(tr -d '\r' <"$T/out")" \
			"$1: stdout is a terminal: redirect it or use -o FILE"
	fi
}

check_manual() { # TOOL, after `check_help`
	sed -nE 's/^  (-. *, )?--([a-z0-9-]+)( .*)?$/\2/p' "$T/help" | sort >"$T/options"
	is "$1: the options in its manual" \
		"$(sed -nE 's/^\.It Fl (. , )?-([a-z0-9-]+)( .*)?$/\2/p' "$top/doc/$1.1" | sort)" \
		"$(cat "$T/options")"
	mandoc -T ascii "$top/doc/$1.1" | col -b >"$T/manual"
	while read -r option; do
		like "$1: --$option, as shown" "$T/manual" "^ +(-., )?--$option( |\$)"
	done <"$T/options"
	like "$1: its manual's EXIT STATUS" "$T/manual" '^EXIT STATUS$'
	like "$1: its manual's EXAMPLES" "$T/manual" '^EXAMPLES$'
}

version=$(make_var VERSION)
tools=$(make_var TOOLS)
is 'there are tools' "$([ -n "$tools" ] && echo yes)" yes
for tool in $tools; do
	statuses "$tool"
	if [ ! -x "$build/$tool" ]; then
		t_report 1 "$tool is built"
		continue
	fi
	check_help "$tool"
	ok "$tool --version" "$tool" --version
	is "$tool --version: what it says" "$(cat "$T/out")" "$tool $version"
	while read -r option; do
		fails "$misused" "^$tool: '$option' needs an argument: try '$tool --help'\$" \
			"$tool $option, and no argument" "$tool" "$option"
		silent "$tool $option"
	done < <(echo -o; sed -nE 's/^  (-o, )?(--[a-z0-9-]+) [A-Z].*/\2/p' "$T/help")
	check_manual "$tool"
	like "$tool: its manual names its streams" "$T/manual" 'dt-[a-z]+\(5\)'
	if sample "$tool"; then
		check_io "$tool"
		check_output "$tool"
		check_terminal "$tool"
	else
		t_report 1 "$tool has a sample in this test"
	fi
done

for script in "$top"/scripts/dt-*; do
	[ -x "$script" ] || continue
	name=$(basename "$script")
	statuses "$name"
	check_help "$name"
	check_manual "$name"
	fails "$misused" "^$name: '-o' needs an argument: try '$name --help'\$" "$name -o, and no argument" "$name" -o
	fails "$misused" "^$name: '--output' needs an argument: try '$name --help'\$" "$name --output, and no argument" \
		"$name" --output
	if sample "$name"; then
		fails "$misused" "^$name: --output takes the name of a file: " "$name -o ''" on "$input" "$name" -o '' "${args[@]}"
		check_io "$name"
		check_output "$name"
		check_terminal "$name"
	fi
done

# The manual.
pages=("$top"/doc/*.[157])
ok 'the manual is sound mdoc' mandoc -T lint -W warning "${pages[@]}"
is 'nothing is said of it' "$(cat "$T/out" "$T/err")" ''
while read -r page; do
	is "$page, which is referred to, is there" "$(ls "$top/doc/$page")" "$top/doc/$page"
done < <(cat "${pages[@]}" "$top"/cmd/*.c "$top"/common/*/*.[ch] |
	sed -nE 's/^\.Xr (dt[a-z-]*) ([0-9]).*/\1.\2/p; s/.*\b(dt[a-z-]*)\(([0-9])\).*/\1.\2/p' |
	sort -u)

finish
