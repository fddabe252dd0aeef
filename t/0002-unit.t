#!/usr/bin/env bash
# The programs of t/unit, and the fuzzers of t/fuzz over their seeds, of all builds that are there to be tested.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
export TMPDIR=$T

for build in "$build" ${DT_PLAIN_BUILD:+"$DT_PLAIN_BUILD"}; do
	of=${build##*/}
	# One that ends early fails by its status, or by a plan that is missing.
	for source in "$t_dir"/unit/*.c; do
		name=$(basename "$source" .c)
		status=0
		"$build/unit/$name" >"$T/out" 2>"$T/err" </dev/null || status=$?
		plan=$(tail -n 1 "$T/out")
		[ "$plan" = "1..$(grep -cE '^(not )?ok ' "$T/out")" ] || status=1
		sed 's/^/    /' "$T/out"
		t_report "$status" "$of: unit: $name"
		[ "$status" -eq 0 ] || t_note <"$T/err"
	done

	for source in "$t_dir"/fuzz/*.c; do
		[ -e "$source" ] || continue
		name=$(basename "$source" .c)
		seeds=("$t_dir/fuzz/seeds/$name"/*)
		ok "$of: fuzz: $name, its seeds" "$build/fuzz/$name" "${seeds[@]}"
		# In a build for libFuzzer, also inputs that it makes of the seeds, for a second at most.
		! grep -q libFuzzer "$build/fuzz/$name" || {
			mkdir "$T/corpus"
			ok "$of: fuzz: $name, inputs made of its seeds" \
				"$build/fuzz/$name" -runs=2000 -max_total_time=1 -seed=1 -timeout=60 -rss_limit_mb=4096 "$T/corpus" "$t_dir/fuzz/seeds/$name"
			rm -r "$T/corpus"
		}
	done
done

finish
