#!/usr/bin/env bash
# root.bash, if a program that it uses is killed: the script exits with a message, does not wait without
# end, and leaves no daemon.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2016,SC2317 # what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/users.sh"
need fakeroot bwrap proot perl newuidmap getcap getfattr busybox unshare setpriv setsid timeout ipcrm pkill

mkdir -m 1777 "$T/tmp"
mkdir "$T/host" "$T/bin" "$T/lib"
cp "$top"/scripts/lib/*.bash "$T/lib"
chmod 777 "$T"
export TMPDIR=$T/tmp

# Wrappers of the programs, first on PATH. Each call adds a line to $T/calls. The call of number $COUNT of
# the program $FAULT is killed.
wrap() { # NAME FILE
	cat >"$T/bin/$1" <<-END
		#!/bin/sh
		echo '$1' >>'$T/calls'
		if [ "\$FAULT" = '$1' ]; then
		    n=0
		    while read -r name; do [ "\$name" != '$1' ] || n=\$((n + 1)); done <'$T/calls'
		    [ "\$n" -ne "\$COUNT" ] || kill -KILL \$\$
		fi
		[ '$1' != faked ] || echo \$\$ >'$T/faked'
		case "$1.\$FAULT" in
		fakeroot.daemon) kill -KILL \$(cat '$T/faked') ;;
		fakeroot.both) kill -KILL \$(cat '$T/script' '$T/faked') ;;
		esac
		[ "\$FAULT.\${FAKEROOTKEY:+fake}" != 'slow-$1.fake' ] || { : >'$T/under'; exec sleep 10542; }
		exec '$2' "\$@"
	END
	chmod 755 "$T/bin/$1"
}
for name in awk bwrap chmod chown cp cut dt-layer dt-root dt-vmrun fakeroot find getcap getfattr getopt grep head id ldd ln mkdir \
	mkfifo newgidmap newuidmap paste perl proot realpath rmdir sed setpriv setsid sort tee true unshare xargs; do
	wrap "$name" "$(type -P "$name")"
done
faked=$(realpath "$(type -P fakeroot)")
wrap faked "${faked%/fakeroot*}/faked${faked##*/fakeroot}"

cat >"$T/run" <<'END'
#!/usr/bin/env bash
. "${0%/*}/lib/script.bash"
load env root
self=script store=()
echo $$ >"${0%/*}/script"
make_work
export PATH=${0%/*}/bin:$PATH
run mkdir "$work/tree"
: >"${0%/*}/calls"
root_run "$work/tree" "$CHROOT" "$COMMANDS" dt-root --raw --tree "$work/tree" --owner keep
END
chmod 755 "$T/run"

make_user 30011
make_subids

# left: the files and processes that a script left.
left() {
	ls -A "$T/tmp"
	processes_left
}

# processes_left: a process has some time to end. A zombie has no environment.
processes_left() {
	local processes tries
	for tries in {1..100}; do
		processes=$(grep -lsaz "^DT_TEST=$T$" /proc/[0-9]*/environ | tr -cd '0-9\n' |
			while read -r pid; do ps -o stat=,args= -p "$pid" | grep -v ^Z; done)
		[ -n "$processes" ] || return
		[ "$tries" -eq 100 ] || sleep 0.05
	done
	echo "$processes"
}

# script KIND CHROOT FAULT COUNT: leaves $T/stdout, $T/stderr and $T/status.
script() {
	local status=0
	(umask 0 && : >"$T/calls" && : >"$T/faked" && : >"$T/script")
	CHROOT=$2 FAULT=$3 COUNT=$4 DT_TEST=$T as "$1" timeout -k 5 120 "$T/run" >"$T/stdout" 2>"$T/stderr" </dev/null ||
		status=$?
	echo "$status" >"$T/status"
}

# is_reported REGEX: the script failed by itself, with one line that the regex matches, and without output.
is_reported() {
	local status
	status=$(cat "$T/status")
	[[ $status -ne 0 && $status -ne 124 && $status -ne 137 ]] && [ ! -s "$T/stdout" ] &&
		[ "$(wc -l <"$T/stderr")" -eq 1 ] && grep -Eq -e "$1" "$T/stderr"
}

# survives KIND CHROOT [MAX]: each call of each program is killed in turn, or of those in $FAULTS, or each of the first
# MAX calls.
survives() {
	local what="$1, chroot $2" name n count bad='' total=0
	script "$1" "$2" none 0
	cp "$T/stdout" "$T/good"
	is "$what: no fault" "$(cat "$T/status" "$T/stderr"):$([ -s "$T/stdout" ] && echo output)" 0:output
	sort "$T/calls" | uniq -c >"$T/counts"
	while read -r count name; do
		[[ -z ${FAULTS-} || " $FAULTS " == *" $name "* ]] || continue
		for ((n = 1; n <= count && n <= ${3-count}; n++)); do
			total=$((total + 1))
			script "$1" "$2" "$name" "$n"
			{ [ "$(cat "$T/status")" -eq 0 ] && cmp -s "$T/stdout" "$T/good"; } ||
				is_reported "$name|fakeRootCommands|enableFakechroot" ||
				bad+="call $n of $name: status $(cat "$T/status"), $(cat "$T/stderr")"$'\n'
			[ -z "$(left)" ] || bad+="call $n of $name: left $(left)"$'\n'
			rm -rf "$T/tmp"/*
		done
	done <"$T/counts"
	is "$what: $total calls that are killed" "$bad" ''
}
export COMMANDS='echo >f'
survives root false
survives user true
FAULTS='newgidmap newuidmap unshare' survives subids false
survives alone true 1

# The daemon is killed before the first program under fakeroot, which then waits for it forever.
for kind in root subids; do
	script "$kind" false daemon 0
	ok "$kind: the daemon is killed at once" is_reported '^script: fakeRootCommands: fakeroot ended before the commands$'
	is "$kind: the daemon is killed at once: nothing is left" "$(left)" ''
	script "$kind" false both 0
	is "$kind: the daemon and the script are killed at once: no process is left" "$(cat "$T/status"):$(processes_left)" 137:
	rm -rf "$T/tmp"/*
done

# The script is killed while a program of its own runs under fakeroot, which could wait for the daemon forever.
for program in dt-root find; do
	rm -f "$T/under"
	script root false "slow-$program" 0 &
	job=$!
	until [ -e "$T/under" ] || ! kill -0 "$job" 2>/dev/null; do sleep 0.02; done
	kill -KILL "$(cat "$T/script")"
	wait "$job"
	is "$program under fakeroot ends with the script" "$([ -e "$T/under" ] && cat "$T/status"):$(processes_left)" 137:
	rm -rf "$T/tmp"/*
done

# late KIND CHROOT WHICH REGEX: the program is killed while the commands run.
late() {
	local job key=''
	script "$1" "$2" none 0 &
	job=$!
	until key=$(cat "$T/tmp"/*/tree/key 2>/dev/null) && [ -n "$key" ]; do
		kill -0 "$job" 2>/dev/null || break
		sleep 0.02
	done
	case $3 in
	faked) kill -KILL "$(cat "$T/faked")" ;;
	fakeroot) pkill -KILL -f "fakeroot -f echo $key:" ;;
	script) kill -KILL "$(cat "$T/script")" ;;
	esac
	wait "$job"
	if [ "$3" != script ]; then
		ok "$1, chroot $2: $3 is killed while the commands run" is_reported "$4"
		is "$1, chroot $2: $3 is killed: nothing is left" "$(left)" ''
	else
		# fakeroot terminates the daemon now.
		for _ in {1..100}; do
			kill -0 "$(cat "$T/faked")" 2>/dev/null || break
			sleep 0.05
		done
		is "$1, chroot $2: the script is killed: the daemon is not left" "$(ps -o stat= -p "$(cat "$T/faked")" | grep -v ^Z)" ''
		pkill -KILL -f 'sleep 1054[1]'
	fi
	[ "$3" != faked ] || ipcrm -Q "$key" -Q "$((key + 1))" -S "$((key + 2))" 2>/dev/null # it had no time to
	chmod -R u+rwX "$T/tmp"
	rm -rf "$T/tmp"/*
}
# Under proot, the shell of the commands may have something to say when its end comes.
COMMANDS='exec 2>/dev/null; echo "$FAKEROOTKEY" >key; sleep 10541'
ended='^script: fakeRootCommands: fakeroot ended before the commands$'
late root false faked "$ended"
late user true faked "$ended"
late alone true faked "$ended"
late alone false fakeroot "$ended"
late user false script ''

finish
