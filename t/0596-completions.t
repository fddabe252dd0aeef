#!/usr/bin/env bash
# The completions for bash, zsh and fish.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2086 # other shells expand it; several words
. "$(dirname "$0")/lib.sh"
need make bash zsh fish python3
ok 'make install' make -s -C "$top" install B="$build" DESTDIR="$T/root" PREFIX=/usr
bash_dir=$T/root/usr/share/bash-completion/completions
zsh_dir=$T/root/usr/share/zsh/site-functions
fish_dir=$T/root/usr/share/fish/vendor_completions.d
tools=$(cd "$T/root/usr/bin" && ls)
is 'there are tools' "$([ "$(wc -w <<<"$tools")" -gt 25 ] && echo yes)" yes
is 'each tool has completions for bash' "$(ls "$bash_dir")" "$tools"
is 'each tool has completions for zsh' "$(cd "$zsh_dir" && for file in _*; do echo "${file#_}"; done)" "$tools"
is 'each tool has completions for fish' "$(basename -s .fish "$fish_dir"/* | sort)" "$tools"

# --- all options of all tools, as --help prints them ---
for tool in $tools; do
	"$tool" --help | sed -nE 's/^  (-o, )?(--[a-z0-9-]+)( .*)?$/\2/p' | sort | sed "s/^/$tool /"
done >"$T/options"
is 'there are options' "$([ "$(wc -l <"$T/options")" -gt 250 ] && echo yes)" yes
bash --norc -c 'for tool; do
	. "$0/$tool"
	COMP_WORDS=("$tool" --) COMP_CWORD=1
	"_${tool//-/_}" "$tool" -- "$tool"
	printf "$tool %s\n" "${COMPREPLY[@]}"
done' "$bash_dir" $tools >"$T/out" 2>&1
sort -o "$T/out" "$T/out"
sort -o "$T/options" "$T/options"
same 'bash completes each option' "$T/out" "$T/options"
for tool in $tools; do
	sed -nE "s/^\t'\*(--[a-z0-9-]+).*/$tool \1/p" "$zsh_dir/_$tool"
done | sort >"$T/out"
same 'the files for zsh name each option' "$T/out" "$T/options"
mkdir "$T/fish"
in_fish() { HOME=$T/fish XDG_CONFIG_HOME=$T/fish XDG_DATA_HOME=$T/fish fish -N "$@"; }
in_fish -c 'for tool in $argv[2..]
	source $argv[1]/$tool.fish
	complete -C "$tool --" | string replace -r "\t.*" "" | string replace -r "^" "$tool "
end' "$fish_dir" $tools >"$T/out" 2>"$T/err"
is 'fish reads the files' "$(cat "$T/err")" ''
sort -o "$T/out" "$T/out"
same 'fish completes each option' "$T/out" "$T/options"

# --- arguments and operands ---
mkdir -p "$T/files/one directory" "$T/files/onedir"
touch "$T/files/one file" "$T/files/other"
cd "$T/files" || exit 1
# in_bash WORD...: the completions of the last word, separated by |.
in_bash() {
	bash --norc -c '. "$0/$1"
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		"_${1//-/_}" "$1" "${!#}" "${@:$#-1:1}"
		IFS="|"
		echo "${COMPREPLY[*]}"' "$bash_dir" "$@" | tr '|' '\n' | sort | paste -sd '|'
}
is 'bash: an option' "$(in_bash dt-compress --la)" --layers
is 'bash: words' "$(in_bash dt-compress --format '')" 'gz|none|zstd'
is 'bash: words after =' "$(in_bash dt-compress --format = z)" zstd
is 'bash: all words after =' "$(in_bash dt-compress --format =)" 'gz|none|zstd'
is 'bash: a file' "$(in_bash dt-manifest --config on)" 'one directory|one file|onedir'
is 'bash: a directory' "$(in_bash dt-layer --store o)" 'one directory|onedir'
is 'bash: -o' "$(in_bash dt-layer -o ot)" other
is 'bash: an operand' "$(in_bash dt-inspect ot)" other
is 'bash: an operand after --' "$(in_bash dt-inspect -- ot)" other
is 'bash: no options after --' "$(in_bash dt-inspect -- --)" ''
is 'bash: no options after an operand' "$(in_bash dt-inspect ./other --)" ''
is 'bash: no options of a script after an operand' "$(in_bash dt-load other --)" ''
is 'bash: options after arguments' "$(in_bash dt-layer --raw --owner 0 : 0 --store = /x -o other --no)" --no-cache
is 'bash: options after the argument --' "$(in_bash dt-manifest --name -- --ta)" --tag
is 'bash: options after redirections' "$(in_bash dt-layer '<' other 2 '>' err --no)" --no-cache
is 'bash: the file of a redirection' "$(in_bash dt-layer '<' ot)" other
is 'bash: no operand' "$(in_bash dt-doctor ot)" ''
is 'bash: an operand that is no file' "$(in_bash dt-env-helper ot)" ''
is 'bash: any argument' "$(in_bash dt-manifest --name ot)" ''
# of_fish LINE: the completions of the line.
of_fish() {
	in_fish -c 'source $argv[1]; complete -C $argv[2] | string replace -r "\t.*" ""' "$fish_dir/${1%% *}.fish" "$1" |
		sort | paste -sd '|'
}
is 'fish: words' "$(of_fish 'dt-compress --format ')" 'gz|none|zstd'
is 'fish: words after =' "$(of_fish 'dt-compress --format=z')" '--format=zstd'
is 'fish: a directory' "$(of_fish 'dt-layer --store one')" 'one directory/|onedir/'
is 'fish: -o' "$(of_fish 'dt-layer -o ot')" other
is 'fish: an operand' "$(of_fish 'dt-inspect ot')" other
is 'fish: no options after --' "$(of_fish 'dt-inspect -- --')" ''
is 'fish: no options after an operand' "$(of_fish 'dt-inspect other --')" ''
is 'fish: options after arguments' "$(of_fish 'dt-layer --raw --owner 0:0 --store=/x -o other --no')" --no-cache
is 'fish: options after a redirection' "$(of_fish 'dt-layer <other --no')" --no-cache
is 'fish: no operand' "$(of_fish 'dt-doctor ot')" ''

# --- typed, with tabs ---
# typed SHELL: prints the arguments that the shell completes; the words of a line are in brackets.
typed() {
	"$t_dir/fixtures/typed.py" 'show() { printf "<%s>" "$@"; echo; }; alias dt-compress=show dt-layer=show dt-inspect=show' \
		$'dt-compress --for\tz\t --lay\t' $'dt-compress --format=z\t' $'dt-layer --store onedi\t' $'dt-inspect one\\ f\t' \
		$'dt-inspect other --siz\t' $'dt-inspect -- --siz\t' $'dt-layer <othe\t --ra\t' -- "$@" |
		tr -d '\r' | grep -a '^<'
}
cat >"$T/bashrc" <<END
PS1='ready> '
bind 'set enable-bracketed-paste off'
for tool in dt-compress dt-layer dt-inspect; do . '$bash_dir'/\$tool; done
END
typed bash --rcfile "$T/bashrc" -i >"$T/out"
is 'bash, typed' "$(cat "$T/out")" '<--format><zstd><--layers>
<--format=zstd>
<--store><onedir/>
<one file>
<other><--siz>
<--><--siz>
<--raw>'
cat >"$T/.zshrc" <<END
PROMPT='ready> '
fpath=('$zsh_dir' \$fpath)
autoload -Uz compinit
compinit -u -D
setopt complete_aliases
END
ZDOTDIR=$T typed zsh -i >"$T/out"
is 'zsh, typed' "$(cat "$T/out")" '<--format=zstd><--layers>
<--format=zstd>
<--store><onedir>
<one file>
<other><--siz>
<--><--siz>
<--raw>'
# Each file must be sound for zsh. -n only parses it.
for tool in $tools; do
	zsh -n "$zsh_dir/_$tool" 2>&1
done >"$T/out"
is 'zsh parses the files' "$(cat "$T/out")" ''
finish
