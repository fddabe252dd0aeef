#!/usr/bin/env bash
# Each case of t/fault/run, without faults. In a build with the address sanitizer, a filter that leaks memory fails.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/faults.sh"

table_is_good --none 1
finish
