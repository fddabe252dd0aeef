# The images that scripts make. Source it after lib.sh. The image is $T/image, its documents are in $T/shown, and scratch
# directories are in $T/tmp.
# shellcheck shell=bash disable=SC2154 # lib.sh sets t_dir

# shown FILTER: prints the result of the jq filter on the documents of the image.
shown() { jq -rc "$1" "$T/shown"; }

# layer [NUMBER]: prints a layer of the image, by default the top one.
layer() { tar -xOf "$T/image" "$(shown ".docker[0].Layers[${1:--1}]")" 2>/dev/null; }

# store_paths: prints the store paths that the history of the image mentions, sorted.
store_paths() { shown '.config.history[].comment' | grep -o '/nix/store/[^'"'"']*' | sort; }

# closure PATH...: prints the closure of the paths in the store $small, sorted.
closure() { dt-closure --store "${small:?}" "$@" | cut -d ' ' -f 1 | sort; }

# in_image COMMAND...: runs the command where the store of the image, unpacked in $T/rootfs, is /nix.
in_image() { "$t_dir/with-nix" "$T/rootfs" "$@"; }

# left: prints the scratch directories that a script has left.
left() { ls "$T/tmp"; }
