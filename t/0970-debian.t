#!/usr/bin/env bash
# make dist, and the Debian package that is built from its archive.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
need make git gzip dpkg-buildpackage dh lintian man jq busybox qemu-system-x86_64
unset MAKEFLAGS MFLAGS MAKELEVEL DEB_BUILD_OPTIONS
version=$(sed -nE 's/^VERSION *= *//p' "$top/Makefile")

# --- the archive ---
# A commit of these sources, whether they are a checkout or not.
export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x@example.org GIT_AUTHOR_DATE='2026-01-02T03:04:05Z' GIT_CONFIG_GLOBAL=/dev/null
export GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x@example.org GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
mkdir "$T/tree"
find "$top" -mindepth 1 -maxdepth 1 ! -name 'build*' ! -name sample ! -name .git -exec cp -a -t "$T/tree" -- {} +
cd "$T/tree" || exit 1
chown -R "$EUID" .
{ git init && git add -A && git commit -m x; } >/dev/null 2>&1
echo changed >>README.md
touch untracked
archive=dist/dt-$version.tar.gz
ok 'make dist' make -s dist B="$T/one"
is 'it prints nothing' "$(cat "$T/out" "$T/err")" ''
# shellcheck disable=SC2016 # the inner shell expands it
ok 'make dist elsewhere' bash -c 'umask 077; git clone -q "$1" "$2" && cd "$2" && TZ=Asia/Tokyo make -s dist B=made' - "$T/tree" "$T/clone"
same 'the bytes are the same' "$T/one/$archive" "$T/clone/made/$archive"
is 'it is the only file' "$(cd "$T/one" && find . -type f)" "./$archive"
is 'it has the files of the commit' "$(tar -tzf "$T/one/$archive" | grep -v '/$' | sort)" \
	"$(git ls-tree -r --name-only HEAD | sed "s,^,dt-$version/," | sort)"
is 'all of root, with the time of the commit' "$(tar --numeric-owner --full-time -tvzf "$T/one/$archive" | awk '{ print $2, $4, $5 }' | uniq)" \
	'0/0 2026-01-02 03:04:05'
is 'modes do not depend on the umask' "$(tar -tvzf "$T/clone/made/$archive" | awk '{ print substr($1, 2) }' | sort -u | paste -sd ' ')" \
	'rw-r--r-- rwxr-xr-x'
tar -xzf "$T/one/$archive" -C "$T"
cd "$T/dt-$version" || exit 1
is 'it is the committed state' "$(tail -n 1 README.md)" "$(git -C "$T/tree" show HEAD:README.md | tail -n 1)"
no_checkout() { make -s dist B="$T/none" 2>&1 | grep '^make dist' >&2; return "${PIPESTATUS[0]}"; }
fails 2 '^make dist needs a git checkout$' 'make dist in an unpacked archive' no_checkout

# --- the lists agree ---
is 'the changelog has the version' "$(dpkg-parsechangelog -S Version)" "$version"
mkdir "$T/played"
ln -s "$(type -P bash)" "$T/played"
printf '#!/bin/sh\nexit 1\n' >"$T/played/dpkg-query"
chmod 755 "$T/played/dpkg-query"
ln -s "$(type -P grep)" "$T/played" # no apt-get, so scripts/deps prints what is missing: all
PATH=$T/played scripts/deps build 2>&1 | tr ' ' '\n' | grep -E '^(lib.*|zlib1g)-dev$' | grep -vE '^(linux-libc|libc6)-dev$' | sort >"$T/wanted"
is 'Build-Depends has the libraries of scripts/deps' \
	"$(sed -nE 's/^ ((lib[a-z0-9-]*|zlib1g)-dev),$/\1/p' debian/control | sort)" "$(cat "$T/wanted")"
is 'these are some' "$([ "$(wc -l <"$T/wanted")" -gt 8 ] && echo yes)" yes

# --- the package ---
cp -a . "$T/source"
ok 'dpkg-buildpackage' env "DEB_BUILD_OPTIONS=parallel=2 noautodbgsym" DEB_CFLAGS_APPEND=-O1 dpkg-buildpackage -us -uc
package=$(echo "$T"/dt_"$version"_*.deb)
ok 'lintian finds no errors and no warnings in the package and its sources' lintian --allow-root --fail-on error,warning "$T"/dt_*.changes
is 'lintian has nothing to say' "$(cat "$T/out")" ''
declare -A field=([base]=Depends [root]=Recommends [vm]=Suggests [engine]=Suggests [fallback]=Suggests)
while read -r program group names _; do
	[[ -n $program && $program != '#'* ]] || continue
	[ "$(dpkg-query -W -f '${Essential}' "${names%%|*}" 2>/dev/null)" != yes ] || continue
	dpkg-deb -f "$package" "${field[$group]}" | tr -d ' ' | tr ',' '\n' | grep -Fqx "$names" || echo "$program: $names"
done <scripts/lib/programs.txt >"$T/lacking"
is 'the package depends on, recommends or suggests all programs' "$(cat "$T/lacking")" ''
ok 'debian/rules clean' debian/rules clean
is 'it leaves the sources as they were' "$(diff -r . "$T/source")" ''

# --- what is installed ---
dpkg-deb -x "$package" "$T/root"
usr=$T/root/usr
installed() { env -i "PATH=/usr/bin:/usr/sbin" "HOME=$T" "TMPDIR=$T" "DOCKER_HOST=unix://$T/none" "CONTAINERD_ADDRESS=$T/none" "$@"; }
for file in "$usr"/bin/dt-*; do
	name=${file##*/}
	is "$name --version" "$(installed "$file" --version)" "$name $version"
	is "$name has a page of the manual" "$(man -M "$usr/share/man" -w "$name" 2>&1)" "$usr/share/man/man1/$name.1.gz"
	is "$name has completions" "$(find "$usr/share/bash-completion/completions/$name" "$usr/share/zsh/vendor-completions/_$name" \
		"$usr/share/fish/vendor_completions.d/$name.fish" -printf x 2>/dev/null)" xxx
done
is 'all tools are there' "$(cd "$usr/bin" && ls)" "$(cd "$T/source" && basename -s .c -a cmd/*.c scripts/dt-* | sort)"
examples=$usr/share/doc/dt/examples
is 'the examples are there' "$(cd "$examples" && find . -type f -printf '%p %m\n' | sort)" \
	"$(cd "$T/source/doc/examples" && find . -type f \( -perm -u+x -printf '%p 755\n' -o -printf '%p 644\n' \) | sort)"
ok 'an example makes an image' installed "PATH=$usr/bin:/usr/bin" "$examples/static-image" /bin/busybox
is 'of the installed filters' "$(on "$T/out" "$usr/bin/dt-inspect" | jq -r '.image.config.Entrypoint[0]')" /bin/busybox
ok 'dt-doctor' installed "$usr/bin/dt-doctor"
like 'it finds the installed filters' "$T/out" "^ok +filters +[0-9]+ filters of version $version in $usr/bin\$"
like 'which make images' "$T/out" '^ok +layered-image '
echo 'echo hello >/made' >"$T/script"
ok 'dt-vmrun boots the installed program' installed "$usr/bin/dt-vmrun" --no-image --backend tcg --timeout 100 -o "$T/layer.tar" "$T/script"
"$usr/bin/dt-manifest" --name x --tag 1 <"$T/layer.tar" | "$usr/bin/dt-flatten" >"$T/files.tar"
is 'its layer' "$(tar -xOf "$T/files.tar" made)" hello
finish
