#!/usr/bin/env bash
# root.bash: commands as a root of the tree, for every kind of user that may run them.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2054,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/users.sh"
need fakeroot bwrap proot perl newuidmap getcap setcap setfattr busybox unshare setpriv setsid pgrep tar python3

small=${DT_TEST_SMALL:-/var/tmp/dt-small}
ok 'a real store' "$t_dir/realstore" small "$small"
store_path() { awk -v name="$1" '$1 == name { print $2 }' "$small/roots"; }
cp "$top"/scripts/lib/*.bash "$T"
mkdir -m 1777 "$T/tmp"
mkdir "$T/host"
chmod 755 "$T"
export TMPDIR=$T/tmp STORE=$small SETUP=''

# --- who may run it ---

make_user 30540 # no other test runs as this user, so message queues of this user are of this test
make_subids
kinds='root user subids alone contained'

# The script: run CHROOT COMMANDS FILTER [ARG...], its $SETUP makes the tree.
cat >"$T/run" <<'END'
#!/usr/bin/env bash
. "$(dirname "$0")/script.bash"
load env root
store=(--store "$STORE")
[ -z "${PID_FILE-}" ] || echo $$ >"$PID_FILE"
make_work
mkdir "$work/tree"
(cd "$work/tree" && eval "$SETUP")
chroot=$1 commands=$2
shift 2
root_run "$work/tree" "$chroot" "$commands" env -C "$work/tree" "$@"
END
chmod 755 "$T/run"
pack=(tar -cf - --sort=name --mtime=@1 --numeric-owner --xattrs '--xattrs-include=*' --format=pax
	--pax-option=delete=atime,delete=ctime,exthdr.name=%d/PaxHeaders/%f .)

cat >"$T/list" <<'END'
import sys, tarfile
for m in tarfile.open(sys.argv[1]):
    print(m.name, m.type.decode(), "%d:%d %o" % (m.uid, m.gid, m.mode), end="")
    if m.ischr() or m.isblk():
        print(" %d,%d" % (m.devmajor, m.devminor), end="")
    if m.issym():
        print(" -> " + m.linkname, end="")
    for key in sorted(m.pax_headers):
        if key.startswith("SCHILY.xattr"):
            value = m.pax_headers[key].encode("utf-8", "surrogateescape")
            print(" " + key[13:] + "=" + value.hex(), end="")
    print()
END

# left: what is there that should not be: scratch directories, processes
left() {
	ls -A "$T/tmp"
	grep -lsaz "^TMPDIR=$T/tmp$" /proc/[0-9]*/environ | tr -cd '0-9\n' | while read -r pid; do
		[ "$pid" -eq $$ ] || ps -o stat=,args= -p "$pid" | grep -v -e '^Z' -e "t/[0]540" -e grep -e ps
	done
}
clean() { is "$1: nothing is left" "$(left)" ''; }

# makes KIND CHROOT DESCRIPTION COMMANDS LIST: what the commands make
makes() {
	ok "$1, chroot $2: $3" as "$1" "$T/run" "$2" "$4" "${pack[@]}"
	cp "$T/out" "$T/$1.$2.tar"
	is "$1, chroot $2: $3: as they said" "$(python3 "$T/list" "$T/out")" "$5"
	clean "$1, chroot $2: $3"
}
# refuses KIND CHROOT REGEX DESCRIPTION COMMANDS
refuses() {
	local status=0
	as "$1" "$T/run" "$2" "$5" "${pack[@]}" >"$T/out" 2>"$T/err" </dev/null || status=$?
	is "$1, chroot $2: $4: status, output" "$status:$(wc -c <"$T/out")" 1:0
	is "$1, chroot $2: $4: says so" "$(tail -n 1 "$T/err" | grep -Ex "run: $3")" "$(tail -n 1 "$T/err")"
	clean "$1, chroot $2: $4"
}

# --- what is kept ---

all='[ "$(id -u)" = 0 ]; echo out
	mkdir data; chown 1000:7 data; echo x >data/file; chown 30540:30540 data/file; chmod 4755 data/file
	touch plain secret; chmod 000 secret; mkdir closed; touch closed/in; chmod 000 closed
	mknod null c 1 3; mknod -m 640 disk b 8 1; mkfifo pipe; ln -s nowhere link; chown -h 5:6 link
	echo 1 >able; chown 0:0 able; setcap cap_net_raw+ep able; setfattr -n user.x -v y able'
all_list='. 5 0:0 755
./able 0 0:0 644 security.capability=0100000200200000000000000000000000000000 user.x=79
./closed 5 0:0 0
./closed/in 0 0:0 644
./data 5 1000:7 755
./data/file 0 30540:30540 4755
./disk 4 0:0 640 8,1
./link 2 5:6 777 -> nowhere
./null 3 0:0 644 1,3
./pipe 6 0:0 644
./plain 0 0:0 644
./secret 0 0:0 0'
for kind in $kinds; do
	for chroot in false true; do
		makes "$kind" "$chroot" 'dynamic programs' "$all" "$all_list"
		like "$kind, chroot $chroot: stdout is moved" "$T/err" '^out$'
		same "$kind, chroot $chroot: the bytes are those that root makes" "$T/$kind.$chroot.tar" "$T/root.false.tar"
	done
done

# --- the chroot ---

inside='[ "$PWD" = / ]
	mkdir /etc /home /tmp
	echo root:x:0:0::/root:/bin/sh >/etc/passwd; echo root:x:0: >/etc/group
	groupadd -g 777 web; useradd -u 1000 -g web -M jane
	mkdir /home/jane; chown -R jane:web /home; rm /etc/*-; rm -f /etc/.pwd.lock
	find /home -exec chmod 750 {} +
	ls -ln /home | grep -q "1000 *777"; [ "$(stat -c %u /home/jane)" = 1000 ]
	cd /home; mv jane joe; cd /; chmod 1777 /tmp
	echo >/dev/null; [ "$(head -c 2 /dev/zero | wc -c)" = 2 ]; [ -d /proc/self ]; mktemp >&2
	[ ! -e /usr ]; [ -x '"$(store_path hello)"'/bin/hello ]; '"$(store_path hello)"'/bin/hello >/hello'
inside_list='. 5 0:0 755
./etc 5 0:0 755
./etc/group 0 0:0 644
./etc/passwd 0 0:0 644
./hello 0 0:0 644
./home 5 1000:777 750
./home/joe 5 1000:777 750
./tmp 5 0:0 1777'
for kind in user alone; do
	makes "$kind" true 'a tree with nothing' "$inside" "$inside_list"
done
SETUP="mkdir bin dev nix; ln -s $(store_path bash)/bin/bash $(store_path coreutils)/bin/mkdir bin; cp /bin/busybox bin/static"
for kind in user alone; do
	makes "$kind" true 'a tree with links' '/bin/bash -c "/bin/mkdir /made; chown 8 /made"; rm /bin/static; touch /nix/kept' \
		". 5 0:0 755
./bin 5 0:0 755
./bin/bash 2 0:0 777 -> $(store_path bash)/bin/bash
./bin/mkdir 2 0:0 777 -> $(store_path coreutils)/bin/mkdir
./dev 5 0:0 755
./made 5 8:0 755
./nix 5 0:0 755
./nix/kept 0 0:0 644"
done
SETUP='mkdir -p usr/bin usr/lib; ln -s usr/bin bin; ln -s usr/lib lib; ln -s usr/lib lib64
	cp /bin/bash /bin/chown usr/bin; ln -s bash usr/bin/sh
	ldd /bin/bash /bin/chown | grep -o "/[^ :]*" | grep -F .so | sort -u | xargs cp -Lt usr/lib'
for kind in user alone; do
	ok "$kind: a tree with a system" as "$kind" "$T/run" true '/bin/sh -c "echo >/x; /bin/chown 9:9 /x"' stat -c %u:%g x
	is "$kind: a tree with a system: owner" "$(cat "$T/out")" 9:9
	clean "$kind: a tree with a system"
done
SETUP=''

# --- static programs ---

SETUP='cp /bin/busybox .'
static='./busybox touch f; ./busybox chown 8:9 f; ./busybox chmod 4711 f; rm busybox'
for chroot in false true; do
	for kind in root subids contained; do
		makes "$kind" "$chroot" 'a static chown' "$static" '. 5 0:0 755
./f 0 8:9 4711'
	done
	for kind in user alone; do
		refuses "$kind" "$chroot" 'fakeRootCommands failed with status 1' 'a static chown' "$static"
		makes "$kind" "$chroot" 'a static chmod' './busybox touch f; ./busybox chmod 4711 f; rm busybox' '. 5 0:0 755
./f 0 0:0 4711'
	done
	refuses user "$chroot" 'fakeRootCommands: f: fakeroot cannot see .*' 'a static chmod of what fakeroot knows' \
		'touch f; chown 5 f; ./busybox chmod 4711 f'
	refuses subids "$chroot" 'fakeRootCommands: d: fakeroot cannot see .*' 'a static chown of what fakeroot knows' \
		'mkdir d; chown 5 d; ./busybox chown 8 d'
	makes subids "$chroot" 'directories of others' './busybox mkdir -p d/e; ./busybox touch d/e/f; ./busybox chmod 0 d; ./busybox chown -R 8:9 d; rm busybox' \
		'. 5 0:0 755
./d 5 8:9 0
./d/e 5 8:9 755
./d/e/f 0 8:9 644'
	refuses subids "$chroot" 'fakeRootCommands failed with status 4' 'directories of others, left behind' \
		'./busybox mkdir -p d/e; ./busybox touch d/e/f; ./busybox chown -R 8:9 d; ./busybox chmod 0 d; exit 4'
done
SETUP=''
refuses alone true 'fakeRootCommands: able: without user namespaces, needs a chown .*' 'a capability on what nobody owns' \
	'touch able; setcap cap_net_raw+ep able'

SETUP='touch f; setfattr -n user.x -v y f'
refuses user false 'fakeRootCommands: fakeroot cannot see the attributes in # file: .*/tree/f' 'an attribute of before' true
SETUP=''

# --- failures ---

for chroot in false true; do
	refuses user "$chroot" 'fakeRootCommands failed with status 1' 'one in a pipe fails' 'false | true; touch f'
	makes user "$chroot" 'an unset variable is empty' '[ -n "$unset" ] || touch f' '. 5 0:0 755
./f 0 0:0 644'
	fails 7 '^said$' "chroot $chroot: the filter fails" as user "$T/run" "$chroot" true sh -c 'echo said >&2; exit 7'
	clean "chroot $chroot: the filter fails"
	for kind in user alone; do
		refuses "$kind" "$chroot" 'fakeRootCommands failed with status 3' 'they exit' 'mkdir d; chmod 000 d; exit 3'
		refuses "$kind" "$chroot" 'fakeRootCommands failed with status 137' 'they are killed' 'kill -KILL $$'
		ok "$kind, chroot $chroot: left in the background" as "$kind" timeout 60 "$T/run" "$chroot" \
			'sleep 1000 & setsid sleep 1001 & (trap "" TERM HUP; sleep 1002) & [ -z "$(cat)" ]' true
		clean "$kind, chroot $chroot: left in the background"
	done
done
small_disk() { # KIND CHROOT
	unshare -m bash -ec 'mount -t tmpfs -o size=40m,mode=1777 none "$TMPDIR"; "$@"; ls -A "$TMPDIR" >&3' - \
		"${user[@]}" "$T/run" "$1" 'head -c 100000000 /dev/zero >file' "${pack[@]}" 3>"$T/tmp-left"
}
for chroot in false true; do
	small_disk "$chroot" >"$T/out" 2>"$T/err"
	is "chroot $chroot: a full disk" "$(tail -n 1 "$T/err"):$(cat "$T/out" "$T/tmp-left")" 'run: fakeRootCommands failed with status 1:'
done

# --- signals ---

# ended KIND CHROOT SIGNAL: the script gets it while the commands run
ended() {
	local status=0 pid
	rm -f "$T/pid"
	: >"$T/err"
	PID_FILE=$T/pid as "$1" env --default-signal setsid "$T/run" "$2" \
		'mkdir d; chmod 000 d; setsid sleep 1000 & echo ready >&2; sleep 1001' "${pack[@]}" >"$T/out" 2>"$T/err" &
	pid=$!
	until grep -q ready "$T/err" || ! kill -0 "$pid"; do sleep 0.01; done
	kill -"$3" "$(cat "$T/pid")"
	wait "$pid" || status=$?
	is "$1, chroot $2, SIG$3: status, output" "$status:$(wc -c <"$T/out")" "$((128 + $(kill -l "$3"))):0"
	clean "$1, chroot $2, SIG$3"
}
chmod 777 "$T"
for chroot in false true; do
	ended root "$chroot" TERM
	ended user "$chroot" TERM
	ended user "$chroot" INT
	ended alone "$chroot" HUP
done
is 'no message queue is left' "$(ipcs -q | awk '$3 == 30540 || $3 == "dt-test"')" ''

finish
