#!/usr/bin/env bash
# The programs that the scripts run are in scripts/lib/programs.txt. The scripts find their library and their name in any
# place, and if they are called by another name.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need make jq bwrap fakeroot proot busybox qemu-system-x86_64
list=$top/scripts/lib/programs.txt
scripts=("$top"/scripts/dt-* "$top"/scripts/lib/*.bash)
rows() { sed '/^#/d; /^$/d' "$list"; }

# --- the list ---
is 'a row has four columns' "$(rows | awk 'NF != 4')" ''
is 'the rows are sorted in each group' "$(rows | awk '{ print > "'"$T"'/" $2 ".group" }'; for file in "$T"/*.group; do sort -c "$file" 2>&1; done)" ''
is 'the groups' "$(rows | awk '{ print $2 }' | uniq | paste -sd ' ')" 'base root vm engine fallback'

# commands FILE...: the words that are in the place of a command.
commands() {
	sed -E "/^chroot_tools=/,/'\$/d; /^[[:space:]]*#/d" "$@" |
		sed -E ':a; /\\$/ { N; s/\\\n[[:space:]]*//; ba }; s/^[[:space:]]+//' |
		grep -oP '(?:^|[|;&({!] ?|\[@\]\}" |type -P |-exec )(?:(?:[!{]|run|attempt|may_fail|exec|command|capture|then|do|else|if|elif|while|until|env \S+|root_wait|root_see|run_about \S+ \S+|read_lines \S+|read_strings \S+|type -P|\w+=\S*) )*\K[a-z][a-z0-9_.+-]*(?![a-z0-9_.+-]|[=(\[)])' |
		sort -u
}
commands "${scripts[@]}" >"$T/commands"
is 'they are found' "$(grep -cxE 'jq|tar|sort|bsdtar|setpriv|fakeroot|getcap|proot|perl' "$T/commands")" 9
# Names of functions and arrays, and some words, are no programs here.
{
	compgen -b
	compgen -k
	sed -nE 's/^([a-z_]+)\(\).*/\1/p' "${scripts[@]}"
	printf '%s\n' containerd dir file root
} | sort -u >"$T/known"
is 'each program of this machine that a script runs is in the list' \
	"$(comm -23 <(comm -12 "$T/commands" <(bash -c 'compgen -c' | sort -u)) "$T/known" | grep -v '^dt-' | comm -23 - <(rows | awk '{ print $1 }' | sort))" ''
rows | awk '{ print $3 }' | tr '|' '\n' | sort -u >"$T/packages"
xargs dpkg -L <"$T/packages" 2>/dev/null | sed -n 's,.*/s\?bin/,,p' | sort -u >"$T/files"
is 'the packages of Debian have the programs, except names that are alternatives' \
	"$(rows | awk '{ print $1 }' | sort | comm -23 - "$T/files" | paste -sd ' ')" 'awk faked fakeroot'

# --- with these programs alone ---
mkdir "$T/bin" "$T/tmp"
while read -r program _; do
	[ "$program" = faked ] || ln -s "$(type -P "$program")" "$T/bin/$program"
done < <(rows | awk '$2 != "fallback" && $2 != "engine"')
app=/nix/store/00000000000000000000000000000001-app-1.0
mkdir -p "$T/s$app/bin"
echo app >"$T/s$app/bin/app"
cp "$(command -v bash)" "$T/s$app/bin/bash"
alone() { env -i PATH="$T/bin" DT_BUILD="$build" HOME="$T" TMPDIR="$T/tmp" DT_BACKEND=userns "$@"; }
jq -n --arg app "$app" '{name: "x", tag: "t", contents: [$app, "fakeNss", "caCertificates", "binSh"],
	includeNixDB: true, extraCommands: ": >a", fakeRootCommands: "chown 1:1 a; : >b"}' >"$T/layered"
jq '.enableFakechroot = true' "$T/layered" >"$T/chroot"
jq -n --arg app "$app" '{name: "x", tag: "t", copyToRoot: [$app], runAsRoot: "echo x >/x", extraCommands: ": >a"}' >"$T/image"
printf 'Derive([("out","%s","","")],[],["%s"],"any","/bin/sh",[],[])' "${app}x" "$app" >"$T/x.drv"
echo "{\"drv\": \"$T/x.drv\"}" >"$T/shell"
echo "$app 1" >"$T/graph"
for spec in layered chroot; do
	ok "dt-stream-layered-image: $spec" alone "$top/scripts/dt-stream-layered-image" --store "$T/s" "$T/$spec"
	cp "$T/out" "$T/$spec.tar"
done
ok '--prepare' alone "$top/scripts/dt-stream-layered-image" --store "$T/s" --prepare "$T/prepared" "$T/layered"
ok 'a prepared directory' alone "$top/scripts/dt-stream-layered-image" --store "$T/s" -o "$T/out.tar" "$T/prepared"
ok 'dt-build-layered-image' alone "$top/scripts/dt-build-layered-image" --store "$T/s" "$T/layered"
ok 'dt-build-image' alone "$top/scripts/dt-build-image" --store "$T/s" "$T/image"
ok 'dt-stream-nix-shell-image' alone "$top/scripts/dt-stream-nix-shell-image" --store "$T/s" "$T/shell"
ok 'dt-merge-images' alone "$top/scripts/dt-merge-images" <(echo "{\"images\": \"$T/layered.tar\"}")
ok 'dt-export-image' alone "$top/scripts/dt-export-image" <(echo "{\"fromImage\": \"$T/layered.tar\"}")
ok 'dt-diff' alone "$top/scripts/dt-diff" "$T/layered.tar" "$T/layered.tar"
ok 'dt-sbom' on "$T/graph" alone "$top/scripts/dt-sbom"
ok 'dt-env-helper' alone "$top/scripts/dt-env-helper" binSh
ok 'dt-doctor' alone "$top/scripts/dt-doctor"
is 'which misses only the engines' "$(awk '$1 == "missing" && $2 != "kvm" && $2 !~ /^store/ { print $2 }' "$T/out" | paste -sd ' ')" \
	'docker podman containerd ssh'
is 'no scratch file is left' "$(ls -A "$T/tmp")" ''

# --- where they are ---
ok 'make install' make -s -C "$top" install B="$build" PREFIX="$T/inst"
sums() { (cd "$1" && find . -type f -exec cksum {} + | sort); }
is 'the examples are installed' "$(sums "$T/inst/share/doc/dt/examples")" "$(sums "$top/doc/examples")"
is '... with their modes, whatever the umask was' "$(cd "$T/inst/share/doc/dt/examples" && find . -type f -printf '%p %m\n' | sort)" \
	"$(cd "$top/doc/examples" && find . -type f \( -perm -u+x -printf '%p 755\n' -o -printf '%p 644\n' \) | sort)"
mkdir "$T/profile"
for script in "$T"/inst/bin/dt-*; do
	name=${script##*/}
	ln -s "$script" "$T/profile/$name"
	head -n 1 "$script" | grep -qa bash || continue
	for dir in "$T/inst/bin" "$T/profile"; do
		ok "$dir/$name --version" alone "DT_BUILD=" "$dir/$name" --version
		like "$dir/$name: its name" "$T/out" "^$name "
	done
done
ok 'installed' alone "$T/profile/dt-stream-layered-image" --store "$T/s" "$T/layered"
same 'installed: the same image' "$T/out" "$T/layered.tar"
# As wrapProgram of nixpkgs does it.
for script in "$T"/inst/bin/dt-*; do
	name=${script##*/}
	mv "$script" "$T/inst/bin/.$name-wrapped"
	# shellcheck disable=SC2016 # the wrapper expands it
	printf '#!%s -e\nexport PATH=%q:"$PATH"\nexec -a "$0" %q "$@"\n' "$BASH" "$T/bin" "$T/inst/bin/.$name-wrapped" >"$script"
	chmod 755 "$script"
done
for name in dt-build-layered-image dt-stream-layered-image dt-build-nix-shell-image dt-build-image dt-env-helper; do
	ok "wrapped: $name --help" env -i "PATH=$T/none" "$T/profile/$name" --help
	like "wrapped: $name: its name" "$T/out" "^usage: $name "
	fails 2 "^$name: unknown option '--none': try '$name --help'\$" "wrapped: $name: its messages" env -i "PATH=$T/none" "$T/profile/$name" --none
done
ok 'wrapped' env -i "PATH=$T/none" TMPDIR="$T/tmp" "$T/profile/dt-stream-layered-image" --store "$T/s" "$T/layered"
same 'wrapped: the same image' "$T/out" "$T/layered.tar"
ok 'wrapped, compressed' env -i "PATH=$T/none" TMPDIR="$T/tmp" "$T/profile/dt-build-layered-image" --store "$T/s" "$T/layered"
gzip -dc <"$T/out" >"$T/got"
same 'wrapped, compressed: the same image' "$T/got" "$T/layered.tar"
finish
