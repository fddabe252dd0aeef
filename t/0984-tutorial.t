#!/usr/bin/env bash
# dt-tutorial(7): its commands, in their order, with a registry and a Docker daemon.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
. "$t_dir/examples.sh"
. "$t_dir/registry.sh"
need awk jq tar busybox cmp
start_dockerd
start_registry own

# The page uses the registry of its reader.
examples "$top/doc/dt-tutorial.7" "$T/tutorial"
# It shows all output.
for file in "$T"/tutorial/*.command; do
	touch "${file%.command}.want"
done
is 'there are commands' "$(($(find "$T/tutorial" -name '*.command' | wc -l) > 30))" 1
# shellcheck disable=SC2154 # start_registry sets it
echo "registry=$own" >"$T/registry"
run "$T/tutorial" "$T/registry"
check "$T/tutorial" 'dt-tutorial(7)'
is 'no command prints a message' "$(cat "$T"/tutorial/*.err)" ''

finish
