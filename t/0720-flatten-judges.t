#!/usr/bin/env bash
# dt-flatten's trees are those of umoci, podman and docker, but for what a rule of ours says.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/docker.sh"
need /usr/bin/python3 tar umoci podman skopeo jq

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
judge() { "$t_dir/fixtures/judge.py" "$@"; }
cd "$T" || exit 1

# Where they differ, by the rule that has it so. u: umoci; p: podman, on vfs; d: docker, on overlay2; with
# a !: it refuses the image.
cat >table <<'END'
# A whiteout hides what lower layers brought and only that, wherever in its layer it stands.
p  d! a whiteout hides nothing of its own layer, behind it
p  d! a whiteout in the only layer
p  d! a whiteout far from its siblings
p! d! a directory remade before the whiteout that hides it
p  d! something below it, then a whiteout: attributes are reset
p  d! something far below, then a whiteout: attributes of all between are reset
p! d! linked behind a whiteout to what its own layer made
d  a directory remade in the layer that hides it
d! a whiteout, then something below it: attributes are reset
d! a whiteout above, then something far below it: attributes of all between are reset
d! a whiteout resets the directories that it does not remake, and those only
d! a whiteout of a symlink, then a directory there
u! p! d! a whiteout of a file that is a directory in the same layer
# An opaque marker does so, too.
p  an opaque marker resets the directories in it
p  an opaque marker keeps the directories that its layer implies
p  opaque markers in a directory and in one below it
d! an opaque marker in what is whited out
# A whiteout or an opaque marker implies the directories it stands in.
u  a whiteout implies the directories it stands in
u  a whiteout implies its directory in the first layer
u  p! a whiteout in what was a file
u  p  a whiteout in what was a symlink
u  d! a whiteout below what the same layer has whited out
u  an opaque marker implies its directory
u  p  an opaque marker in what was a file
u  p  an opaque marker in what was a symlink
# Names that begin with ".wh..wh." are passed over, with all below them.
u  p  d  what aufs leaves is passed over
u  p  d  what aufs leaves hides nothing
u  p  what aufs leaves in a directory is passed over
d! a whiteout below what aufs leaves is passed over
# A child, a whiteout or an opaque marker does not renew its directory's attributes.
d  a child does not renew its directory
d  a whiteout in a directory leaves the directory as it is
d  a whiteout of the last name in a directory
d  an opaque marker hides what lower layers put there
d  an opaque marker behind its siblings
d  an opaque marker and nothing else
d  an opaque marker resets the directories in it
# What a child's parent is, that is no directory, is replaced by an implied one; nothing goes through a symlink.
u  p  a child of a symlink of a lower layer
u  p  d  a child of a symlink of the same layer
u  p  children of a symlink: one warning
u  p! children of two symlinks: two warnings
u  p  a child of a symlink that leads out, 0
u  p  a child of a symlink that leads out, 1
u  p! a child of a symlink that leads out, 2
u  p! a child of a symlink that leads out, 3
u! p! a child of a symlink that leads out, 4
u  p  a child of a symlink that leads out, 5
u  a child of a symlink, through ..
u  p  a hard link below a symlink
u  p  d  a symlink below a symlink
u! p! a child of a file of a lower layer
u! p! d! a child of a file of the same layer
u! p! a grandchild of a file
u! p! a child of a device
u! p! a child of a FIFO
u! p! the name with the bytes is replaced by an implied directory
# A hard link's own attributes are ignored; one to a symlink is a hard link of that.
p  d  a hard link has the attributes of the file
p  d  a hard link that survives has the attributes of the file
p  d  a hard link to a device
p  d  a hard link to a block device, whose name comes first
p  d  a hard link to a FIFO
p  a hard link to a symlink
p  a hard link to a symlink, whose name comes first
# A directory over a directory renews all attributes.
p  a directory over a directory renews all attributes
# Xattrs and device nodes are kept, all of them.
u  d  overlayfs's own markers are data: an xattr
d  overlayfs's own markers are data: a device 0, 0
u  p  xattrs are sorted by name
u  p  an xattr, user.0
p  xattrs of everything
d  a file capability of version 3
# Times are kept, with fractions and before 1970.
p  d  mtime -1
p  d  mtime -2000000000
p  d  mtime -0.5
p  d  mtime -1.25
p  d  mtime -2000000000.000000001
p  d  mtimes with zeros at their end
p  d  mtimes of everything
d  mtime 0.5
d  mtime 1.000000001
d  mtime 1234567890.123456789
d  an xattr and a long path, in this order
d  pax records are for one member
# Other dialects of tar are read.
u! contiguous files are files
u! a pax global header is ignored
u! sparse old: a hole, data and a hole
u! sparse old: data first and last
u! sparse old: nothing but a hole
u! sparse old: many spans
u! sparse old: replaced and hidden
# These are errors.
u  the name d/.wh. is an error
u  the name d/.wh.. is an error
u  a directory in mid-path that is a whiteout is an error
u  a directory deep in mid-path that is a whiteout is an error
u  a directory in mid-path that is an empty whiteout is an error
u  a directory in mid-path that is an opaque marker is an error
u  a whiteout in a whiteout's directory is an error
u  a hard link to what aufs leaves is one to nothing
u  a hard link through a symlink
u  a hard link through a symlink of a lower layer
u  a layer cut in padding
u  a layer cut behind an extended header
u  a layer cut behind a GNU long name
END

# in_table JUDGE: the corners that it sees otherwise; JUDGE is a letter, and ! where it refuses them.
in_table() { sed -nE "s/^(([upd]!? +)*)$1 +(([upd]!? +)*)([^ ].*)/\5/p" table | sort; }

# asks JUDGE LETTER LEFT LOAD TREE [SORT]...: the corners, all in one image, that LOAD loads and whose tree is
# then TREE. LEFT is what it cannot tell; SORTs of corners it cannot take.
asks() {
	local judge=$1 letter=$2 left=$3 load=$4 tree=$5
	shift 5
	{ in_table "$letter!"; printf '%s\n' "$@"; } >without
	judge together "$judge" without
	dt-flatten "$judge.tar" >flat.tar 2>"$T/err"
	same "$judge: what it is asked, by dt-flatten" flat.tar "$judge.want"
	ok "$judge: has the image" "$load" "$judge.tar"
	judge which "$left" "$judge.want" "$("$tree")" 2>differ | sort >told
	in_table "$letter" | grep -Fxf <(judge asked without) >wanted
	is "$judge: differs where a rule says so, and only there" "$(cat told)" "$(cat wanted)"
	grep -vFf wanted differ | t_note
}

# --- umoci ---

umoci_load() {
	rm -rf layout bundle
	mkdir layout
	tar -xf "$1" -C layout && umoci unpack --image layout:1 bundle
}
umoci_tree() { echo bundle/rootfs; }
asks umoci u directory-mtime,symlink-mode umoci_load umoci_tree

mkdir alone errors
judge alone alone
judge errors errors
for image in alone/*.tar errors/*.tar; do
	corner=${image%.tar}
	if umoci_load "$image" >/dev/null 2>&1; then
		[ ! -e "$corner.want" ] || mv bundle "$corner"
		echo "$image" >>accepted
	else
		echo "$image" >>refused
	fi
done
names() { sed -n "s,^$1/\(.*\)\.tar,$1/\1.name,p" "$2" | while read -r name; do cat "$name"; echo; done | sort; }
is 'umoci, one by one: refuses' "$(names alone refused)" "$(in_table 'u!' | grep -Fx -f <(names alone refused; names alone accepted))"
is 'umoci, one by one: differs' "$(judge which-alone directory-mtime,symlink-mode alone 2>differ | sort)" \
	"$(in_table u | grep -Fx -f <(names alone accepted))"
is 'umoci takes errors' "$(names errors accepted)" "$(in_table u | grep -Fx -f <(names errors accepted; names errors refused))"
is 'umoci was asked all of them' "$(cat accepted refused | sort)" "$(printf '%s\n' alone/*.tar errors/*.tar | sort)"

ok 'random images: umoci has the same trees' "$t_dir/fuzz/flatten-umoci" 5

# --- podman ---

podman_load() { in_podman load -q -i "$1"; }
podman_tree() { in_podman image mount docker.io/library/case:1; }
asks podman p directory-mtime,symlink-mode podman_load podman_tree 'a name twice'

# --- docker ---

start_dockerd
docker_load() { docker load -q -i "$1"; }
docker_tree() { docker export "$(docker create case:1 none)" >export.tar; echo export.tar; }
asks docker d directory-mtime,symlink-mode,other-xattrs docker_load docker_tree 'a name twice' 'a hard link to a lower layer'

# --- real images, by all of them ---

bash=$(root bash) coreutils=$(root coreutils)
mkdir -p root/{bin,tmp,data/sub}
ln -s "$bash/bin/bash" root/bin/sh
chmod 1777 root/tmp
echo old >root/data/old
echo sub >root/data/sub/file
for name in bash ls cat; do cp "/bin/$name" "root/data/$name"; done
jq -n --arg path "$bash/bin:$coreutils/bin" '{Env: ["PATH=" + $path], Entrypoint: ["bash", "-euc"]}' >config.json
{
	dt-closure --store "$small" "$bash" "$coreutils" "$(root hello)" "$(root hard-links)" "$(root odd-names)" |
		dt-popularity --max-layers 12 | dt-layer --store "$small"
	dt-root --tree root
} | dt-manifest --name real --tag 0 --config config.json >real.tar

# told DESCRIPTION TREE: it is the tree in flat.tar.
told() { ok "$1" judge trees "$2" flat.tar "$3"; }

# exported DESCRIPTION IMAGE: what dt-flatten makes of what docker saves is what docker exports.
exported() {
	docker save "$2" >saved.tar
	ok "$1: dt-flatten" dt-flatten saved.tar
	mv "$T/out" flat.tar
	docker export "$(docker create "$2" none)" >export.tar
	told "$1: what docker exports" other-xattrs,dockers export.tar
}
ok 'docker has a real image' docker_load real.tar
exported 'a real image' real:0
dt-flatten real.tar >real.flat
same 'a real image: saved by docker or not' flat.tar real.flat

changes='cd /data
chown 12:34 old; chmod 4711 cat; chown 1000:1000 sub; chmod 2770 sub
mknod null c 1 3; mknod loop b 7 200; mkfifo pipe; chmod 622 pipe
ln ls ls2; ln ls sub/ls3; ln -s ../nowhere dangling; ln -s sub tosub
touch -d @1000000000 old; touch -h -d @5 dangling; touch -d 1980-01-01 sub/file
mkdir -p deep/er/est; echo x >deep/er/est/file; echo "$RANDOM" >"odd name
with newline"; : >empty'
more='cd /data
rm -rf sub; mkdir sub; echo new >sub/new
rm ls cat; ln ls2 cat; mv deep moved; rm -r moved/er/est; chmod 700 moved
rm tosub; mkdir tosub; echo x >tosub/x
rm -r /tmp; ln -s data /tmp; rm null; echo null >null; touch -d @1234567890 moved'
change() { # FROM TO SCRIPT [FILE]: commits what the script does; FILE gets a capability
	local id merged
	id=$(docker run -d --network=none "$1" "$3; echo done; sleep 1000")
	until docker logs "$id" 2>&1 | grep -q .; do sleep 0.1; done
	merged=$(docker inspect --format '{{.GraphDriver.Data.MergedDir}}' "$id")
	[ -z "${4-}" ] || /usr/bin/python3 -c 'import os, sys
os.setxattr(sys.argv[1], "security.capability", b"\1\0\0\2\0\4\0\0" + bytes(12))' "$merged$4"
	[ "$(docker logs "$id" 2>&1)" = 'done' ] && docker commit "$id" "$2" && docker rm -f "$id"
}
ok 'docker commits changes' change real:0 real:1 "$changes" /data/bash
exported 'changes that docker committed' real:1
is 'a file capability is there' "$(tar -xO data/bash <flat.tar 2>/dev/null | cmp - root/data/bash && "$t_dir/fixtures/layers.py" ls flat.tar |
	grep -c "'data/bash'.*security.capability")" 1
is 'hard links are there' "$("$t_dir/fixtures/layers.py" ls flat.tar | grep -c "^link .* -> 'data/ls'$")" 2
ok 'docker commits changes to that' change real:1 real:2 "$more"
exported 'changes to changes' real:2
is 'the old directory is opaque' "$(tar -xOf saved.tar --wildcards '*/layer.tar' | grep -ac 'data/sub/\.wh\.\.wh\.\.opq')" 1
is 'its new contents' "$(tar -tf flat.tar data/sub 2>/dev/null)" $'data/sub/\ndata/sub/new'
mkdir context
echo copied >context/file
cat >context/Dockerfile <<'END'
FROM real:2
COPY --chown=7:8 file /data/copied
RUN chmod 600 /data/copied; mkdir /data/built; ln /data/copied /data/built/link
RUN rm -rf /data/built /data/moved; echo again >/data/moved; chown -R 5:6 /data/tosub
ADD file /data/tosub/
END
ok 'docker builds on that' env DOCKER_BUILDKIT=0 docker build -q --network=none -t real:3 context
exported 'what docker built' real:3
ok 'podman has it' podman_load saved.tar
told 'what docker built: what podman mounts' directory-mtime,symlink-mode,dockers "$(in_podman image mount localhost/real:3)"
ok 'skopeo copies it' skopeo copy -q --insecure-policy docker-archive:saved.tar oci:real.layout:3
ok 'umoci unpacks it' umoci unpack --image real.layout:3 real.bundle
told 'what docker built: what umoci unpacks' directory-mtime,symlink-mode,dockers real.bundle/rootfs

# --- the way back ---

ok 'docker imports it' docker import --change 'ENTRYPOINT ["bash", "-euc"]' --change "ENV PATH=$bash/bin:$coreutils/bin" flat.tar flat:1
ok 'docker runs it' in_docker flat:1 'cat /data/moved /data/copied; stat -c "%a %u:%g %h" /data/copied /data/cat'
is 'docker runs it: says' "$(cat "$T/out")" $'again\ncopied\n600 7:8 1\n755 0:0 2'
docker save flat:1 | dt-flatten >again.tar
same 'the same tree comes back' again.tar flat.tar

finish
