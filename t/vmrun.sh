# Scripts that dt-vmrun runs. Source it after lib.sh. The script is $T/script.
# shellcheck shell=bash

# script TEXT: makes the script.
script() { printf '%s\n' "$1" >"$T/script"; }

# nothing_left DESCRIPTION: tests that no file is left in $T/tmp, and no process of the script.
nothing_left() {
	is "$1: no file is left" "$(ls -A "$T/tmp")" ''
	is "$1: no process is left" "$(pgrep -f "$T/script" | grep -v "^$$\$" || true)" ''
}
