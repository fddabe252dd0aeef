#!/usr/bin/env bash
# Images for several platforms: each tool that reads one takes the one that --arch and --os name.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # `ok` and `fails` run functions
. "$(dirname "$0")/lib.sh"
need /usr/bin/python3 jq busybox bsdtar fakeroot

cd "$T" || exit 1

# An image for this machine, one for another one, in which /bin is a symlink, and one for FreeBSD.
here=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
there=$([ "$here" = arm64 ] && echo amd64 || echo arm64)
mkdir -p here/bin there/usr/bin bsd
echo here | tee here/which >here/bin/old
echo there | tee there/which >there/usr/bin/old
ln -s usr/bin there/bin
echo bsd >bsd/which
dt-root --tree here | dt-manifest --name x --tag 1 --arch "$here" >here.tar
dt-root --tree there | dt-manifest --name x --tag 1 --arch "$there" >there.tar
dt-root --tree bsd | dt-manifest --name x --tag 1 --arch "$here" --os freebsd >bsd.tar
for form in nested flat oci; do
	"$t_dir/fixtures/platforms.py" $form there.tar here.tar bsd.tar >"$form.tar"
done
echo 'cp /which /copy' >script

# which FILE OPTION...: what each tool finds in the image.
which() {
	local file=$1
	shift
	dt-flatten "$@" "$file" which | tar -xO
	dt-inspect "$@" "$file" | jq -r .image.architecture | sed "s/^$there$/there/; s/^$here$/here/"
	mkdir -p new/bin
	touch new/bin/new
	dt-root --tree new --keep-dirlinks --from "$file" "$@" --raw 2>/dev/null | tar -t | sed 's,^usr/bin/new$,there,; s,^bin/new$,here,; /\/$/d'
	on "$file" dt-vmrun --backend userns "$@" script | tar -xO --wildcards 'blobs/*' 2>/dev/null | tar -xO copy
}

for form in nested flat oci; do
	is "$form: this machine's" "$(which $form.tar)" $'here\nhere\nhere\nhere'
	is "$form: another one" "$(which $form.tar --arch "$there")" $'there\nthere\nthere\nthere'
	is "$form: by name" "$(which $form.tar --from-name x --from-tag 1 --arch "$there")" $'there\nthere\nthere\nthere'
	is "$form: another system" "$(dt-flatten --os freebsd $form.tar which | tar -xO)" bsd
	fails 1 "^dt-flatten: $form.tar: no image .*" "$form, dt-flatten: one that is not there" dt-flatten --arch s390x $form.tar
	fails 1 "^dt-inspect: $form.tar: no image .*" "$form, dt-inspect: one that is not there" \
		dt-inspect --arch s390x $form.tar
	fails 1 "^dt-root: $form.tar: no image .*" "$form, dt-root: one that is not there" dt-root --tree new --from $form.tar --arch s390x
	fails 125 '^dt-vmrun: stdin: no image .*' "$form, dt-vmrun: one that is not there" \
		on $form.tar dt-vmrun --backend userns --arch s390x script
done

"$t_dir/fixtures/platforms.py" nested there.tar bsd.tar >others.tar
is "none for this machine: manifest.json's" "$(which others.tar)" $'there\nthere\nthere\nthere'
"$t_dir/fixtures/platforms.py" nested there.tar there.tar >one.tar
is "one platform only: manifest.json's, as of an archive without platforms" "$(dt-flatten --arch s390x one.tar which | tar -xO)" there

for tool in 'dt-root --tree new' 'dt-root --links new'; do
	for option in '--from-name x' '--from-tag 1' "--arch $there" '--os linux'; do
		# shellcheck disable=SC2086 # words
		fails 2 'go with --from' "$tool $option, without --from" $tool $option
	done
done

# The scripts pass the architecture to each tool that reads the base image.
mkdir -p files/bin
echo new >files/bin/new
jq -n --arg arch "$there" '{name: "y", tag: "1", fromImage: "nested.tar", architecture: $arch, copyToRoot: "files",
	keepContentsDirlinks: true, compressor: "none"}' >spec
ok 'dt-build-image, with an architecture' dt-build-image spec
cp "$T/out" built.tar
is "dt-build-image: its base is this architecture's" "$(dt-flatten --arch "$there" built.tar | tar -t | grep -E 'bin/?(new|old)?$')" \
	$'bin\nusr/bin/\nusr/bin/new\nusr/bin/old'
jq '. + {runAsRoot: "cp /which /copy"}' spec >spec2
ok 'dt-build-image, with runAsRoot' env DT_BACKEND=userns dt-build-image spec2
cp "$T/out" built.tar
is "dt-build-image: runAsRoot sees this architecture's" "$(dt-flatten --arch "$there" built.tar copy | tar -xO)" there
finish
