#!/usr/bin/env bash
# dt-flatten: the corners of merging layers.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3

layers() { "$t_dir/fixtures/layers.py" "$@"; }
for seed in 1 2; do
	mkdir "$T/$seed"
	layers random "$seed" 250 "$T/$seed" >"$T/$seed/said" 2>&1 &
	random[seed]=$!
done
# shellcheck disable=SC2016 # at_exit evaluates it
at_exit 'kill "${random[@]}" 2>/dev/null'
mkdir "$T/corners"
ok 'the corners are made' layers make "$T/corners"

# warned FILE: each line of $T/err is a warning of this file, and its regexes are the lines of FILE.
warned() {
	local regexes lines i
	mapfile -t regexes <"$1"
	mapfile -t lines <"$T/err"
	[ "${#lines[@]}" -eq "${#regexes[@]}" ] || return 1
	for i in "${!lines[@]}"; do
		[[ ${lines[i]} =~ ^dt-flatten:\ $image:\ ${regexes[i]} ]] || return 1
	done
}

# merges DESCRIPTION FILE: it is the canonical tar in FILE.
merges() {
	local bad=0
	if [ "$status" -ne 0 ] || ! cmp -s "$T/out" "$2"; then
		bad=1
	fi
	t_report "$bad" "$1"
	[ "$bad" -eq 0 ] || {
		echo "status $status: $(cat "$T/err")"
		diff <(layers ls "$T/out" 2>&1) <(layers ls "$2") || cmp "$T/out" "$2"
	} | t_note
}

for name in "$T/corners"/*.name; do
	corner=${name%.name} what=$(<"$name") status=0
	image=$corner.tar
	timeout 60 dt-flatten "$image" >"$T/out" 2>"$T/err" </dev/null || status=$?
	if [ -e "$corner.want" ] && { [ "$status" -eq 0 ] || [ ! -e "$corner.error" ]; }; then
		merges "$what" "$corner.want"
		if ! warned "$corner.warns"; then
			t_report 1 "$what: warnings, and no others"
			t_note <"$T/err"
		fi
	else
		said=$(<"$T/err")
		is "$what: an error, one line" "$status:$(wc -l <"$T/err"):$(ended "$T/out")" 1:1:no
		if ! [[ $said =~ ^dt-flatten:\ $image:\ .*$(<"$corner.error") ]]; then
			t_report 1 "$what: it says which layer and why"
			echo "$said" | t_note
		fi
	fi
done

# --- a tree and its root, as --list shows them ---

root_of() { dt-flatten --list "$T/image" 2>"$T/err" | grep -E '^\.($| )'; }
for corner in 'the root itself, as ./' 'the root itself, as /' 'the root itself, as a/..'; do
	layers image "$corner" >"$T/image"
	like "$corner: its attributes are listed" <(root_of) '^\. .*type=dir'
	like "$corner: its mode is listed" <(root_of) ' mode=0?700( |$)'
	like "$corner: its owner is listed" <(root_of) ' uid=3( |$)'
done
layers image 'implied directories' >"$T/image"
like 'a root that no layer describes' <(root_of) ' mode=0?755( |$)'
layers image 'the root again leaves what is below it' >"$T/image"
like 'a root that two layers describe' <(root_of) ' mode=0?700( |$)'

# --- random images: what was begun above ---

for seed in "${!random[@]}"; do
	wait "${random[seed]}"
	is "random images, seed $seed: as the model merges them" "$?" 0
	t_note <"$T/$seed/said"
done

finish
