#!/usr/bin/env bash
# The rules that the sources keep.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016 # awk expands it
. "$(dirname "$0")/lib.sh"
need clang-format clang-tidy cppcheck make nm perl readelf shellcheck
cd "$top" || exit 1
shopt -s lastpipe nullglob # `none` counts in this shell

# none DESCRIPTION: standard input, a line for each break of a rule, is empty.
none() { is "$1" "$(cat)" ''; }

# The module of a file of common/: DIRECTORY/NAME. What follows a dash in the file's name is a part of the module.
module='function module(file) { sub(/\.[ch]$/, "", file); sub(/^common\//, "", file); sub(/-.*/, "", file); return file }'

# The directories of common/, and for each the others whose headers its files may include.
below='base
archive base
tree base archive
store base tree
plan base store
image base archive tree store
registry base archive image
run base archive image'

# What is included: FILE MODULE " HEADER for the project's own headers, FILE MODULE < HEADER for the others.
awk "$module"' /^#include [<"]/ {
	header = substr($2, 2, length($2) - 2)
	print FILENAME, module(FILENAME), substr($2, 1, 1), header
}' cmd/*.c common/*/*.[ch] guest/*.c t/unit/*.c t/fuzz/*.c >"$T/includes"
# included PROGRAM: the rule as an awk program, which prints the breaks.
included() { awk "$module $1" "$T/includes"; }

# scripts/check compiles all of them with gcc and with clang, where any warning is an error. A header compiles alone, since
# it is the first that its module's files include.
{
	included '$1 ~ /^common\/.*\.c$/ && !seen[$1]++ && $3 $4 != "\"" $2 ".h" { print $1 }'
	printf '%s\n' common/*/*.c | grep -vxF "$(cut -d ' ' -f 1 "$T/includes")"
} | none 'the first header that a module includes is its own'
for file in common/*; do echo "${file#common/}"; done | grep -vx "$(awk '{ print $1 }' <<<"$below")" |
	none 'common/ holds the directories of the subjects, and nothing else'
modules_of() { printf '%s\n' "$@" | awk "$module"'{ print module($0) }' | sort -u; }
comm -23 <(modules_of common/*/*.h) <(modules_of common/*/*.c) | none 'each header has a module'
included '$3 == "\"" && $4 ~ /-/ && module($4) != $2 { print $1 ": " $4 }' |
	none 'only its own module includes a header with a dash in its name'
modules_of common/*/*.c | while read -r name; do [ -e "common/$name.h" ] || echo "$name"; done |
	none 'each module has a header'

for file in common/*/*.h; do echo "${file#common/}"; done >"$T/headers"
awk 'FILENAME == ARGV[1] { header[$1] = 1; next }
	FILENAME == ARGV[2] { may[$1, $1] = 1; for (i = 2; i <= NF; i++) may[$1, $i] = 1; next }
	$1 ~ /^common\// && $3 == "\"" {
		split($2, from, "/"); split($4, to, "/")
		if (!($4 in header) || !((from[1], to[1]) in may)) print $1 ": " $4
	}' "$T/headers" <(echo "$below") "$T/includes" |
	none 'a directory of common/ includes itself and those that it may'
included '$1 ~ /^guest\// && $3 == "\"" && $4 !~ /^(base|archive|run)\// { print $1 ": " $4 }' |
	none 'the guest includes base, archive and run'
# An edge from each module to each that it includes; a cycle makes tsort fail.
included '$1 ~ /^common\// && $3 == "\"" && module($4) != $2 { print $2, module($4) }' | sort -u | tsort 2>&1 >/dev/null |
	none 'no modules include each other'

foreign='archive|archive_entry|openssl/.*|sodium|jansson|sqlite3|curl/.*|zlib|zstd|lzma|bzlib'
foreign+='|seccomp|libdeflate|isa-l.*|igzip_lib|fuse.*'
grep -E "^(cmd|common)/.* ($foreign)\\.h\$" "$T/includes" | awk '{ sub(/\/[^\/]*$/, "", $1); print $4, $1 }' | sort -u |
	awk '{ n[$1]++; by[$1] = by[$1] " " $2 } END { for (h in n) if (n[h] > 1) print h ":" by[h] }' |
	none 'one directory includes a library'"'"'s header'

# calls FUNCTIONS FILE...: where one of them (a|b|c) is called. Comments, characters and the text of strings are left out.
calls() {
	perl -e '
		my $functions = shift;
		for my $file (@ARGV) {
			open my $in, "<", $file or die "$file: $!\n";
			local $/;
			my $code = <$in>;
			$code =~ s{(/\*.*?\*/|//[^\n]*)|"(\\.|[^"\\])*"|\x27(\\.|[^\x27\\])*\x27}{$1 ? " " : "\"\""}gse;
			print "$file: $&\n" while $code =~ /(?<![A-Za-z0-9_])(?:$functions) ?\([^\n]*/g;
		}' "$@"
}

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
is 'calls are found' "$(calls 'err_init' cmd/dt-layer.c)" 'cmd/dt-layer.c: err_init("");'
grep -nE 'TO''DO|FIX''ME' -r Makefile cmd common doc guest scripts t |
	none 'nothing is left for later'
grep -nE '^typedef +(struct|union)' cmd/*.c common/*/*.[ch] | none 'no struct hides its being one'

grep -nE '(<|>) *<\(|>\(|(local|declare|export|readonly) [^#]*=["]?\$\(' scripts/lib/*.bash scripts/dt-* |
	grep -vE '^[^:]*:[0-9]*:#|# waited for$' |
	none 'no script loses the status of a substitution'

for part in format shell cppcheck tidy; do
	make -s "lint-$part" LINT=quick 2>&1 | none "make lint-$part"
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
