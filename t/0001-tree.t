#!/usr/bin/env bash
# The rules that the sources keep.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need gcc clang-format shellcheck
cd "$top" || exit 1
shopt -s lastpipe nullglob # `none` counts in this shell

# none DESCRIPTION: standard input, a line for each break of a rule, is empty.
none() { is "$1" "$(cat)" ''; }

# The file without its comments and the text of its strings.
code() { gcc -fpreprocessed -dD -E -P "$1" 2>/dev/null | sed -E 's/"([^"\\]|\\.)*"/""/g'; }

# calls FUNCTIONS FILE...: where one of them (a|b|c) is called.
calls() {
	local functions=$1 file
	shift
	for file; do
		code "$file" | grep -E "(^|[^A-Za-z0-9_])($functions) ?\(" | sed "s|^|$file: |"
	done
}

# The module that a file of common/ or a tool's file belongs to: what stands before a
# dash, in common/, is the module, and the rest the part of it that is in this file.
module_of() {
	local base
	base=$(basename "${1%.?}")
	case $1 in
	common/*) echo "${base%%-*}" ;;
	*) echo "$base" ;;
	esac
}

# The level that a module's header claims.
level() { sed -nE '1,20s/.*Level ([0-9])\..*/\1/p' "common/$1.h" | head -n 1; }

# scripts/check compiles all of them with gcc and with clang, where any warning is an error. A header compiles alone, since
# it is what its module's file includes first.
for source in common/*.c; do
	module=$(module_of "$source")
	[ "$(sed -nE 's/^#include (.*)/\1/p' "$source" | head -n 1)" = "\"$module.h\"" ] || echo "$source"
done | none 'the first header that a module includes is its own'

for header in common/*.h; do
	module=$(basename "$header" .h)
	[ -n "$(level "$module")" ] || echo "$header"
	[ -e "common/$module.c" ] || echo "$header: no $module.c"
done | none 'each header states its level'
for source in common/*.c; do
	[ -e "common/$(module_of "$source").h" ] || echo "$source"
done | none 'each module has a header'

for file in common/*.[ch]; do
	module=$(module_of "$file")
	sed -nE 's/^#include "(.*)\.h"/\1/p' "$file" | while read -r other; do
		[ "$other" != "$module" ] || continue
		# Modules of level 0 may include each other.
		[ -e "common/$other.h" ] && { [ "$(level "$other")" -lt "$(level "$module")" ] ||
			[ "$(level "$other")$(level "$module")" = 00 ]; } ||
			echo "$file (level $(level "$module")): $other.h (level $(level "$other"))"
	done
done | none 'a module includes only modules of lower levels'

foreign='archive|archive_entry|openssl/.*|sodium|jansson|sqlite3|curl/.*|zlib|zstd|lzma|bzlib'
foreign+='|libdeflate|isa-l.*|igzip_lib|fuse.*'
for file in cmd/*.c common/*.[ch]; do
	sed -nE "s#^.include [<\"](($foreign)\\.h)[>\"].*#\\1 $(module_of "$file")#p" "$file"
done | sort -u | awk '{ n[$1]++; by[$1] = by[$1] " " $2 }
	END { for (h in n) if (n[h] > 1) print h ":" by[h] }' |
	none 'one module includes a library'"'"'s header'

modules=()
for file in common/*.c; do
	case $file in
	common/err.c | common/opt.c) ;; # opt answers --help
	*) modules+=("$file") ;;
	esac
done
calls '_?exit|_Exit|quick_exit|abort' "${modules[@]}" |
	none 'only err, opt and the tools end the process'
calls 'strcpy|strcat|v?sprintf|gets|strtok|ato[il]|system|popen|tmpnam' cmd/*.c common/*.[ch] guest/*.c |
	none 'no function is used that has a better one'
grep -nE 'TO''DO|FIX''ME' -r Makefile cmd common doc guest scripts t |
	none 'nothing is left for later'
grep -nE '^typedef +(struct|union)' cmd/*.c common/*.[ch] | none 'no struct hides its being one'

clang-format --dry-run --Werror cmd/*.c common/*.[ch] guest/*.c t/unit/*.[ch] t/fuzz/*.[ch] \
	t/fuzz-main.c 2>&1 | none 'clang-format'
scripts=(t/lib.sh scripts/lib/*.bash)
while IFS= read -r file; do
	! head -n 1 "$file" | grep -qaE '^#!.*[ /](ba)?sh( |$)' || scripts+=("$file")
done < <(find .ci guest scripts t -type f ! -path 't/fuzz/seeds/*')
shellcheck -x "${scripts[@]}" | none 'shellcheck'

finish
