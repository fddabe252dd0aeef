#!/usr/bin/env bash
# The rules that the sources keep.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need gcc clang-format clang-tidy cppcheck make nm readelf shellcheck
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

# The module of a file of common/: DIRECTORY/NAME. What follows a dash in the file's name is a part of the module.
module_of() {
	local name
	name=${1%.?}
	name=${name#common/}
	echo "${name%%-*}"
}

# A directory of common/, and the other directories whose headers its files may include.
declare -A below=(
	[base]='' [archive]='base' [tree]='base archive' [store]='base tree' [plan]='base store'
	[image]='base archive tree store' [registry]='base archive image' [run]='base archive image'
)

# scripts/check compiles all of them with gcc and with clang, where any warning is an error. A header compiles alone, since
# it is the first that its module's files include.
for source in common/*/*.c; do
	[ "$(sed -nE 's/^#include (.*)/\1/p' "$source" | head -n 1)" = "\"$(module_of "$source").h\"" ] || echo "$source"
done | none 'the first header that a module includes is its own'
for file in common/*; do
	[ -n "${below[${file#common/}]+set}" ] || echo "$file"
done | none 'common/ holds the directories of the subjects, and nothing else'
for header in common/*/*.h; do
	module=common/$(module_of "$header")
	[ -e "$module.c" ] || compgen -G "$module-*.c" >/dev/null || echo "$header"
done | none 'each header has a module'
for file in cmd/*.c common/*/*.[ch] guest/*.c t/unit/*.c t/fuzz/*.c; do
	sed -nE 's/^#include "(.*-.*)"/\1/p' "$file" | while read -r header; do
		[ "$(module_of "common/$header")" = "$(module_of "$file")" ] || echo "$file: $header"
	done
done | none 'only its own module includes a header with a dash in its name'
for source in common/*/*.c; do
	[ -e "common/$(module_of "$source").h" ] || echo "$source"
done | none 'each module has a header'

for file in common/*/*.[ch]; do
	directory=$(basename "$(dirname "$file")")
	sed -nE 's/^#include "(.*)"/\1/p' "$file" | while read -r header; do
		[ -e "common/$header" ] && [[ " $directory ${below[$directory]} " == *" ${header%/*} "* ]] ||
			echo "$file: $header"
	done
done | none 'a directory of common/ includes itself and those that it may'
for file in guest/*.c; do
	sed -nE 's/^#include "(.*)"/\1/p' "$file" | grep -vE '^(base|archive|run)/'
done | none 'the guest includes base, archive and run'
# An edge from each module to each that it includes; a cycle makes tsort fail.
for file in common/*/*.[ch]; do
	sed -nE "s,^#include \"(.*)\.h\",$(module_of "$file") \1,p" "$file" | awk '$1 != $2'
done | sort -u | tsort 2>&1 >/dev/null | none 'no modules include each other'

foreign='archive|archive_entry|openssl/.*|sodium|jansson|sqlite3|curl/.*|zlib|zstd|lzma|bzlib'
foreign+='|seccomp|libdeflate|isa-l.*|igzip_lib|fuse.*'
for file in cmd/*.c common/*/*.[ch]; do
	sed -nE "s#^.include [<\"](($foreign)\\.h)[>\"].*#\\1 $(dirname "$file")#p" "$file"
done | sort -u | awk '{ n[$1]++; by[$1] = by[$1] " " $2 }
	END { for (h in n) if (n[h] > 1) print h ":" by[h] }' |
	none 'one directory includes a library'"'"'s header'

modules=()
for file in common/*/*.c; do
	case $file in
	common/base/err.c | common/base/opt.c) ;; # opt answers --help
	*) modules+=("$file") ;;
	esac
done
calls '_?exit|_Exit|quick_exit|abort' "${modules[@]}" |
	none 'only err, opt and the tools end the process'
calls 'strcpy|strcat|v?sprintf|gets|strtok|ato[il]|system|popen|tmpnam' cmd/*.c common/*/*.[ch] guest/*.c |
	none 'no function is used that has a better one'
grep -nE 'TO''DO|FIX''ME' -r Makefile cmd common doc guest scripts t |
	none 'nothing is left for later'
grep -nE '^typedef +(struct|union)' cmd/*.c common/*/*.[ch] | none 'no struct hides its being one'

grep -nE '(<|>) *<\(|>\(|(local|declare|export|readonly) [^#]*=["]?\$\(' scripts/lib/*.bash scripts/dt-* |
	grep -vE '^[^:]*:[0-9]*:#|# waited for$' |
	none 'no script loses the status of a substitution'

for part in format shell cppcheck tidy; do
	make -s "lint-$part" 2>&1 | none "make lint-$part"
done

# --- the binaries ---

# The test of a build with sanitizers, which have their own checks in place of _FORTIFY_SOURCE, wants the rest.
fortified='_chk'
! grep -qE '__(asan|tsan)_init' "$build/dt-layer" || fortified='__(asan|tsan)_init'
for program in "$build"/dt-* "$build/guest/init"; do
	name=${program#"$build/"}
	readelf --wide --file-header --program-headers --dynamic "$program" >"$T/elf"
	[ -s "$T/elf" ] || echo "$name: no program"
	grep -qE '^ +Type: +DYN ' "$T/elf" || echo "$name: no PIE"
	grep -q '^  GNU_RELRO ' "$T/elf" || echo "$name: no RELRO"
	grep -qE '\((FLAGS|BIND_NOW)\).*(BIND_NOW|NOW)|\(BIND_NOW\)' "$T/elf" || echo "$name: symbols are bound late"
	! grep -qE '^  GNU_STACK .* E ' "$T/elf" && grep -q '^  GNU_STACK ' "$T/elf" || echo "$name: the stack is executable"
	[ "$name" != guest/init ] || continue # it has no symbols
	nm -D --undefined-only "$program" >"$T/symbols"
	nm "$program" >>"$T/symbols"
	grep -q ' __stack_chk_fail' "$T/symbols" || echo "$name: no stack protector"
	grep -qE "(__[a-z]+$fortified|$fortified)(@|\$)" "$T/symbols" || echo "$name: no _FORTIFY_SOURCE"
done | none 'the programs are hardened'

finish
