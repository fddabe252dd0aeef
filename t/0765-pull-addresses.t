#!/usr/bin/env bash
# dt-pull: servers that lead to addresses which only this machine reaches. The test has a
# network of its own, in which all addresses are this machine's, and its own names.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_liar sets them; what is passed on is run by others
if [ -z "${DT_TEST_NETWORK-}" ]; then
	DT_TEST_NETWORK=own exec unshare --user --map-root-user --mount --net "$0"
fi
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need ip mount
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY REGISTRY_AUTH_FILE XDG_RUNTIME_DIR

# 192.0.2.0/24 and 2001:db8::/32 are for documentation, and pass for elsewhere.
ip link set lo up
for address in 192.0.2.1/32 192.0.2.2/32 169.254.169.254/32 168.63.129.16/32 2001:db8::1/128 \
	fd00:ec2::254/128 64:ff9b::7f00:1/128 64:ff9b::a9fe:a9fe/128; do
	ip addr add "$address" dev lo || { echo "Bail out! no address $address"; exit 1; }
done
cat >"$T/names" <<'END'
far.example 192.0.2.2
far6.example 2001:db8::1
home.example 127.0.0.1
near.example 127.0.0.1
near6.example 64:ff9b::7f00:1
link.example 169.254.169.254
cloud.example fd00:ec2::254
wavering.example 192.0.2.2 127.0.0.1
returning.example 127.0.0.1 192.0.2.2
END
echo 'nameserver 127.0.0.1' >"$T/resolv.conf"
echo 'hosts: files dns' >"$T/nsswitch.conf"
for file in resolv nsswitch; do
	[ ! -e /etc/$file.conf ] || mount --bind "$T/$file.conf" /etc/$file.conf
done
mkfifo "$T/stdin" "$T/ready"
"$t_dir/fixtures/names.py" "$T/names" <"$T/stdin" >"$T/ready" &
at_exit "kill $! 2>/dev/null"
exec 8>"$T/stdin"
read -r _ <"$T/ready" || { echo 'Bail out! no name server'; exit 1; }
liar_address=::
start_liar
port=${liar#*:}

# pull HOST HOW TARGET [IMAGE]: of the registry HOST, which leads to TARGET
pull() {
	rm -rf "$DT_CACHE" "$L/reached"
	echo "$3" >"$L/target"
	dt-pull --tls-verify=false --jobs 1 --timeout 5 --name example/x --tag 1 \
		"$1:$port/$2/${4:-good}@$(digest_of "${4:-good}")"
}
pull 192.0.2.1 honest none >"$T/want"

# takes HOST HOW TARGET ADDRESS
takes() {
	ok "$2: $1 leads to $3" pull "$1" "$2" "$3"
	same "$2: $1 leads to $3: the image" "$T/out" "$T/want"
	is "$2: $1 leads to $3: what was reached there" "$(grep -Ev 'manifests/|/v2/lead' "$L/reached" | cut -d ' ' -f 1 | sort -u)" "$4"
}
for target in 192.0.2.2 far.example; do
	takes 192.0.2.1 lead $target 192.0.2.2
	takes 192.0.2.1 lead-token $target 192.0.2.2
done
takes 192.0.2.1 lead far6.example 2001:db8::1
takes far.example lead 192.0.2.1 192.0.2.1

# refuses HOST HOW TARGET
refuses() {
	fails 1 "http://.*:[0-9]+ is a local address; a remote server may not refer to it" \
		"$2: $1 may not lead to $3" pull "$1" "$2" "$3"
	is "$2: $1 may not lead to $3: nothing but the registry was asked" "$(grep -Evc '^192.0.2.1 /v2/lead' "$L/reached")" 0
}
for target in 127.0.0.1 127.1 localhost near.example link.example 169.254.169.254 168.63.129.16 cloud.example \
	'[fd00:ec2::254]' near6.example '[64:ff9b::7f00:1]' '[64:ff9b::a9fe:a9fe]' returning.example; do
	refuses 192.0.2.1 lead "$target"
done
for target in near.example cloud.example; do
	refuses 192.0.2.1 lead-token "$target"
done
fails 1 'http://127.0.0.1:[0-9]+ is a local address' 'a layer that is elsewhere may not be here' pull 192.0.2.1 lacking none foreign
is 'a layer that is elsewhere may not be here: it was not asked for' "$(grep -c elsewhere/ "$L/reached")" 0

# A name with another address each time it is looked up.
takes 192.0.2.1 lead wavering.example 192.0.2.2

# A registry here may lead here.
for host in 127.0.0.1 localhost home.example; do
	for target in 127.0.0.1 near.example; do
		takes $host lead $target 127.0.0.1
		takes $host lead-token $target 127.0.0.1
	done
done

finish
