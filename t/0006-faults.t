#!/usr/bin/env bash
# Failing system calls: the first call of each name fails once in each filter. `make fault` makes more calls fail.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"
. "$t_dir/faults.sh"

table_is_good --part 6
finish
