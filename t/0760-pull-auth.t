#!/usr/bin/env bash
# dt-pull: credentials, tokens, certificates.
# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2154,SC2317 # start_liar sets them; what is passed on is run by others
. "$(dirname "$0")/lib.sh"
. "$t_dir/registry.sh"
need skopeo jq openssl htpasswd
unset http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY
unset REGISTRY_AUTH_FILE XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
unset CURL_CA_BUNDLE NIX_SSL_CERT_FILE SSL_CERT_FILE SSL_CERT_DIR
start_liar
good=$(digest_of good)
auth=$(printf user:sesame | base64)
pull() { # HOW [OPTION]...
	local how=$1 status=0
	shift
	rm -rf "$DT_CACHE"
	forget_asked
	dt-pull --tls-verify=false --timeout 2 --retries 1 --name example/x --tag 1 "$@" "$liar/$how/good@$good" 2>"$T/said" || status=$?
	cat "$T/said" >>"$T/all-said"
	cat "$T/said" >&2
	return "$status"
}
pull honest >"$T/want"
takes() { # DESCRIPTION HOW
	ok "$1" pull "$2"
	same "$1: the image" "$T/out" "$T/want"
}

# --- files ---

file() { # NAME AUTHS-AND-MORE
	mkdir -p "$(dirname "$1")"
	cat >"$1"
}
host=${liar%:*}
fails 1 "$liar asks for credentials, and none are known" 'none' pull basic
is 'none: nothing was tried' "$(asked ' Basic ')" 0
file "$T/auth.json" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$auth\"}}}"
fails 1 "none are known" 'a file that nobody reads' pull basic
export REGISTRY_AUTH_FILE=$T/auth.json
takes 'REGISTRY_AUTH_FILE' basic
is 'only asked for: the first request had none' "$(head -n 1 "$L/log" | cut -d ' ' -f 4)" -
is 'one 401, and all others have them' "$(asked 'GET .* - -$')" 1
for entry in \
	"\"http://$liar/v1/\": {\"auth\": \"$auth\"}" \
	"\"https://$liar\": {\"auth\": \"$auth\"}" \
	"\"$liar/basic\": {\"auth\": \"$auth\"}" \
	"\"$liar/basic/good\": {\"auth\": \"$auth\"}, \"$liar\": {\"auth\": \"$(printf x:y | base64)\"}" \
	"\"$liar\": {\"username\": \"user\", \"password\": \"sesame\"}"; do
	file "$T/auth.json" <<<"{\"auths\": {$entry}}"
	takes "auths, $(cut -d '"' -f 2 <<<"$entry" | sed "s/$liar/HOST/")" basic
done
for entry in \
	"\"$liar/basi\": {\"auth\": \"$auth\"}" \
	"\"$liar/basic/goo\": {\"auth\": \"$auth\"}" \
	"\"$liar/other\": {\"auth\": \"$auth\"}" \
	"\"x$liar\": {\"auth\": \"$auth\"}" \
	"\"${liar}0\": {\"auth\": \"$auth\"}" \
	"\"$host\": {\"auth\": \"$auth\"}" \
	"\"$liar2\": {\"auth\": \"$auth\"}" \
	"\"$liar\": {}" "\"$liar\": null" "\"$liar\": {\"auth\": \"\"}"; do
	file "$T/auth.json" <<<"{\"auths\": {$entry}}"
	fails 1 'none are known' "auths that do not fit, $(cut -d '"' -f 2 <<<"$entry" | sed "s/$liar/HOST/")" pull basic
done
for text in '' '[]' '{' '"sesame"' "{\"auths\": {\"$liar\": {\"auth\": \"$auth\"}}" "{\"auths\": {\"$liar\": {\"auth\": \"sesame!\"}}}" \
	"{\"auths\": {\"$liar\": {\"auth\": \"$(printf sesame | base64)\"}}}" "{\"auths\": {\"$liar\": {\"auth\": \"$(printf 'a\0b:sesame' | base64)\"}}}"; do
	printf %s "$text" >"$T/auth.json"
	fails 1 "$T/auth.json: " "a broken file: $text" pull basic
done
REGISTRY_AUTH_FILE=$T/none fails 1 "$T/none: No such file" 'a file that is not there' pull basic
is 'what needs no credentials needs no file' "$(REGISTRY_AUTH_FILE=$T/none pull honest | sha256sum)" "$(sha256sum <"$T/want")"
file "$T/auth.json" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$(printf user:wrong | base64)\"}}}"
fails 1 'status 401, not authorized' 'wrong ones' pull basic
is 'wrong ones: not tried without end' "$([ "$(asked GET)" -le 2 ] && echo yes)" yes
unset REGISTRY_AUTH_FILE

# The places, each of which comes before the ones after it.
places=("$T/run/containers/auth.json" "$T/config/containers/auth.json" "$T/docker/config.json")
export XDG_RUNTIME_DIR=$T/run XDG_CONFIG_HOME=$T/config DOCKER_CONFIG=$T/docker
for ((i = ${#places[@]} - 1; i >= 0; i--)); do
	file "${places[i]}" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$auth\"}}}"
	takes "${places[i]#"$T"/}" basic
	file "${places[i]}" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$(printf user:wrong | base64)\"}}}"
	fails 1 'status 401' "${places[i]#"$T"/} comes first" pull basic
	file "${places[i]}" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$auth\"}}}"
done
# The list of them.
file "${places[0]}" <<<"{\"auths\": {\"$liar/basic\": {\"auth\": \"$auth\"}, \"none.example.org\": {}}}"
file "${places[2]}" <<<"{\"auths\": {\"https://me:sesame@hub.example.org/v1/\": {}, \"a key\": {\"auth\": \"$auth\"}},
	\"credHelpers\": {\"helped.example.org\": \"good\", \"not.example.org\": \"\"}, \"credsStore\": \"vault\"}"
ok '--print credentials' dt-pull --print credentials
is '--print credentials: each file in its order' "$(cat "$T/out")" "file $liar/basic ${places[0]}
file $liar ${places[1]}
docker-credential-vault https://hub.example.org/v1/ ${places[2]}
docker-credential-good helped.example.org ${places[2]}
docker-credential-vault * ${places[2]}"
is '--print credentials: without secrets' "$(grep -e sesame -e "$auth" "$T/out" "$T/err")" ''
ok '--print credentials: one file' env "REGISTRY_AUTH_FILE=${places[1]}" dt-pull --print credentials
is '--print credentials: only this file' "$(cat "$T/out")" "file $liar ${places[1]}"
file "${places[1]}" <<<"{\"auths\": {\"$liar\": {\"auth\": \"sesame\"}}}"
fails 1 "^dt-pull: ${places[1]}: an 'auth' is not USER:PASSWORD in base 64\$" '--print credentials: a broken file' dt-pull --print credentials
fails 1 "^dt-pull: $T/none: No such file" '--print credentials: a missing file' env "REGISTRY_AUTH_FILE=$T/none" dt-pull --print credentials
fails 2 "unexpected operand 'x'" '--print credentials: no operand' dt-pull --print credentials x
rm "${places[@]}"
ok '--print credentials: no file' dt-pull --print credentials
is '--print credentials: no file, no line' "$(cat "$T/out")" ''
unset XDG_RUNTIME_DIR XDG_CONFIG_HOME DOCKER_CONFIG
for place in .config/containers/auth.json .docker/config.json; do
	file "$T/$place" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$auth\"}}}"
	takes "HOME, $place" basic
	rm "$T/$place"
done

# --- programs ---

mkdir "$T/bin"
PATH=$T/bin:$PATH
helper() { # NAME, and what it does on stdin
	{ echo '#!/bin/bash'; cat; } >"$T/bin/docker-credential-$1"
	chmod 755 "$T/bin/docker-credential-$1"
}
export REGISTRY_AUTH_FILE=$T/auth.json
helper good <<'END'
read -r server
echo "$*:$server" >>"$HOME/helper"
echo "{\"ServerURL\": \"$server\", \"Username\": \"user\", \"Secret\": \"sesame\"}"
END
helper unknown <<<'cat >/dev/null; echo "credentials not found in native keychain"; exit 1'
helper broken <<<'echo TOPSECRET; echo TOPSECRET >&2; exit 1'
helper garbage <<<'echo "{\"Username\": \"TOPSECRET"'
helper odd <<<'echo "{\"Username\": \"user\"}"'
helper endless <<<'exec yes sesame 2>/dev/null'
helper deaf <<<'exec <&-; echo "{\"Username\": \"user\", \"Secret\": \"sesame\"}"'
for config in "{\"credHelpers\": {\"$liar\": \"good\"}}" '{"credsStore": "good"}' \
	"{\"credsStore\": \"broken\", \"credHelpers\": {\"$liar\": \"good\"}}" '{"credsStore": "deaf"}' \
	"{\"credsStore\": \"unknown\", \"auths\": {\"$liar\": {\"auth\": \"$auth\"}}}"; do
	file "$T/auth.json" <<<"$config"
	takes "${config//$liar/HOST}" basic
done
# A program gets the name of the registry on its standard input, and nothing else of ours.
helper curious <<'END'
read -r server
{ tr '\0' '\n' </proc/$PPID/cmdline; env; for fd in /proc/$$/fd/*; do readlink "$fd"; done; } >"$HOME/seen"
ulimit -H -c >"$HOME/core"
echo '{"Username": "user", "Secret": "sesame"}'
END
file "$T/auth.json" <<<"{\"credHelpers\": {\"$liar\": \"curious\"}}"
takes 'a program that looks around' basic
is 'a program that looks around: no file or connection of ours' "$(grep -E '^/.*\.part|^/tmp.*deleted|^socket:' "$T/seen")" ''
no_secret 'a program that looks around' "$T/seen"
is 'no core dump has them' "$(cat "$T/core")" 0
is 'what a program is asked' "$(sort -u "$T/helper")" "get:$liar"
file "$T/auth.json" <<<'{"credsStore": "unknown"}'
fails 1 'none are known' 'a program that knows nothing' pull basic
file "$T/auth.json" <<<'{"credHelpers": {"other.example": "good"}}'
fails 1 'none are known' 'a program for another registry' pull basic
for name in broken garbage odd endless missing; do
	file "$T/auth.json" <<<"{\"credsStore\": \"$name\"}"
	if [ $name = broken ]; then
		pull basic >"$T/out" 2>"$T/err"
		is 'a program that fails: status' "$?" 1
		like 'a program that fails' "$T/err" '^dt-pull: .*: docker-credential-broken failed$'
	else
		fails 1 "docker-credential-$name" "a program that is $name" pull basic
	fi
done
sed -i '/^TOPSECRET$/d' "$T/all-said" # which the program itself said
for name in ../x a/b; do
	file "$T/auth.json" <<<"{\"credsStore\": \"$name\"}"
	fails 1 "'$name' is not a name of a credential helper" "a program elsewhere, $name" pull basic
done

# --- tokens ---

file "$T/auth.json" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$auth\"}}}"
for kind in plain access both short odd query login busy forever past expiring; do
	takes "a token, $kind" "bearer.$kind"
	[ $kind != forever ] || is 'a token that is good for very long is asked for once' "$(asked 'token/forever')" 1
done
is 'tokens that expire on the way are renewed' "$([ "$(asked 'token/expiring')" -ge 2 ] && echo yes)" yes
pull bearer.plain >"$T/out"
is 'a token is asked for once' "$(asked 'token/plain')" 1
is 'what is asked for: this repository, to pull' "$(grep -o 'token/plain[^ ]*' "$L/log")" \
	'token/plain?service=the%20%22registry%22&scope=repository%3Abearer.plain%2Fgood%3Apull'
is 'the realm gets the credentials' "$(asked "token/plain.* Basic $auth ")" 1
is 'the registry does not' "$(asked "v2/.* Basic ")" 0
file "$T/auth.json" <<<'{}'
takes 'a token, for nobody in particular' bearer.plain
is 'a token, for nobody in particular: without credentials' "$(asked 'Basic')" 0
fails 1 'status 401, the credentials are not accepted' 'a token that is only for some' pull bearer.login
for kind in missing array empty lines garbage; do
	fails 1 'the answer has no token' "a token that is none, $kind" pull "bearer.$kind"
done
for kind in huge endless; do
	fails 1 'more than 1048576 bytes' "a token without end, $kind" pull "bearer.$kind"
done
fails 1 'status 401, not authorized' 'a token that does not help' pull bearer.wrong
is 'a token that does not help: not tried without end' "$([ "$(asked GET)" -le 4 ] && echo yes)" yes
fails 1 'status 401' 'a token that is refused' pull bearer.refused
for kind in refused missing; do
	fails 1 "http://127.0.0.1:${liar2#*:}: (status 401|the answer has no token)" "a realm with a secret in its URL, $kind" pull "bearer.secret-$kind"
done
fails 1 'names no realm' 'no realm' pull bearer.none
fails 1 'names no realm' 'a realm with a user' pull bearer.user
fails 1 'unknown kind' 'a challenge of another kind' pull digest-auth
fails 1 'unknown kind' 'a 401 without a challenge' pull no-challenge
file "$T/auth.json" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$auth\", \"identitytoken\": \"re/fresh\"}}}"
rm -f "$L/forms"
takes 'a refresh token' bearer.identity
is 'a refresh token: what is asked' "$(cat "$L/forms")" \
	"grant_type=refresh_token&client_id=dt&refresh_token=re%2Ffresh&service=the%20%22registry%22&scope=repository%3Abearer.identity%2Fgood%3Apull"
fails 1 'status 307' 'a refresh token, and the realm is moved' pull bearer.moved
is 'a refresh token, and the realm is moved: not asked there' "$(asked "^${liar#*:} POST|^${liar#*:} .*token")" 0
helper token <<<'echo "{\"Username\": \"<token>\", \"Secret\": \"re/fresh\"}"'
file "$T/auth.json" <<<'{"credsStore": "token"}'
takes 'a refresh token of a program' bearer.identity

# --- redirects do not carry credentials ---

file "$T/auth.json" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$auth\"}}}"
two=${liar2#*:}
takes 'a redirect to another host' basic-redirect
is 'a redirect to another host: no credentials there' "$(asked "^$two .* Basic "):$(asked "^$two .*honest.* - ")" 0:4
takes 'a redirect to another host, and a token' bearer-redirect
is 'a redirect to another host, and a token: no token there' "$(asked "^$two .*v2/.* Bearer "):$(asked "^$two .*honest.* - ")" 0:4
takes 'a redirect of the realm' bearer.moved
is 'a redirect of the realm: no credentials there' \
	"$(asked "^$two .*token/moved.* Basic "):$(asked "^${liar#*:} .*token/plain.* - "):$(asked "^${liar#*:} .* Basic ")" 1:1:0
takes 'a redirect to the same host' basic-same
takes 'a redirect to another host and back' basic-back
is 'a redirect to another host and back: the credentials do not come back' "$(asked 'honest.* Basic '):$(asked "^${liar#*:} .*honest.* - ")" 0:4
# Only the registry itself may ask for credentials, and say where to get a token for them.
for who in basic bearer back; do
	for how in elsewhere basic-elsewhere; do
		fails 1 'status 401, not authorized, after a redirect to another server$' "$how.$who: a 401 of another host is a failure" pull "$how.$who"
		is "$how.$who: nobody is asked for a token" "$(asked token/)" 0
		is "$how.$who: no credentials elsewhere" "$(asked "^$two .* (Basic|Bearer) ")" 0
		[ $how = basic-elsewhere ] ||
			is "$how.$who: none for the registry, which asked for none" "$(asked ' (Basic|Bearer) ')" 0
	done
done
foreign() {
	rm -rf "$DT_CACHE"
	forget_asked
	dt-pull --tls-verify=false --name example/x --tag 1 "$liar/foreign/foreign@$(digest_of foreign)"
}
ok 'a layer that is elsewhere' foreign
same 'a layer that is elsewhere: the image' "$T/out" "$T/want"
is 'a layer that is elsewhere: no credentials there' "$(asked 'elsewhere/.* - -$'):$(asked 'elsewhere/')" 1:1


# A mirror and Docker Hub, of which each has its own credentials; a proxy plays Docker Hub.
mirrored() {
	rm -rf "$DT_CACHE"
	forget_asked
	http_proxy=http://$liar2 https_proxy=http://$liar2 no_proxy=127.0.0.1 \
		dt-pull --tls-verify=false --mirror "$liar" --name example/x --tag 1 "basic/good@$good"
}
file "$T/auth.json" <<<"{\"auths\": {\"docker.io\": {\"auth\": \"$auth\"}}}"
ok 'a mirror without credentials' mirrored
same 'a mirror without credentials: the image, of Docker Hub' "$T/out" "$T/want"
is "a mirror without credentials: it does not get Docker Hub's" \
	"$(asked "^${liar#*:} .* Basic "):$(asked "^$two GET .* Basic ")" 0:5
file "$T/auth.json" <<<"{\"auths\": {\"$liar\": {\"auth\": \"$(printf user:wrong | base64)\"}}}"
fails 1 'docker.io asks for credentials, and none are known' 'a mirror with credentials, that refuses them' mirrored
is "a mirror with credentials: Docker Hub does not get them" \
	"$(asked "^${liar#*:} .* Basic "):$(asked "^$two GET .* (Basic|Bearer) ")" 1:0

# A proxy or a mirror that is no such thing, with a password in it.
for url in 'http://user:sesame@[::' 'foo://user:sesame@h:1' 'http://user:ses ame@h:99999' 'http://user:sesame@127.0.0.1:1:2' \
	'http://user:sesame@127.0.0.1:1'; do
	proxied() { http_proxy=$url https_proxy=$url no_proxy='' pull honest; }
	fails 1 '[Pp]roxy|[Cc]onnect' "a proxy that does not work, $url" proxied
	like "a proxy that does not work, $url: it is named without what it needs" "$T/err" '^[^@]*$'
done
for url in user:sesame@host http://host user:sesame@host/path; do
	fails 2 'a mirror is HOST' "a mirror that is none, $url" env DT_MIRROR="$url" dt-pull "x/y@$good"
	fails 2 'a mirror is HOST' "a mirror that is none, $url, as an option" dt-pull --mirror "$url" "x/y@$good"
	no_secret "a mirror that is none, $url" "$T/err"
done

no_secret 'all messages' "$T/all-said"

# --- a real registry, with TLS and passwords ---

ca ca -subj '/CN=test CA'
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/server.key" -out "$T/server.csr" -subj /CN=server 2>"$T/err"
openssl x509 -req -in "$T/server.csr" -CA "$T/ca.crt" -CAkey "$T/ca.key" -CAcreateserial -days 2 -out "$T/server.crt" \
	-extfile <(echo 'subjectAltName=IP:127.0.0.1') 2>"$T/err"
htpasswd -Bbn user sesame >"$T/htpasswd"
start_registry r "  tls: {certificate: $T/server.crt, key: $T/server.key}" \
	"auth: {htpasswd: {realm: here, path: $T/htpasswd}}"
mkdir "$T/tree"
echo hello >"$T/tree/file"
dt-root --tree "$T/tree" | dt-manifest --name x --tag 1 --arch amd64 >"$T/x.tar"
skopeo copy -q --insecure-policy --dest-tls-verify=false --dest-creds user:sesame "docker-archive:$T/x.tar" "docker://$r/x/y:1"
skopeo copy -q --insecure-policy --src-tls-verify=false --src-creds user:sesame "docker://$r/x/y:1" "docker-archive:$T/want.tar:x:1"
file "$T/auth.json" <<<"{\"auths\": {\"$r\": {\"auth\": \"$auth\"}}}"
secure() { dt-pull --no-cache --name x --tag 1 "$@" "$r/x/y@$digest"; }
ok '--print digest' dt-pull --tls-verify=false --print digest "$r/x/y:1"
digest=$(cat "$T/out")
for variable in CURL_CA_BUNDLE NIX_SSL_CERT_FILE SSL_CERT_FILE; do
	ok "$variable" env "$variable=$T/ca.crt" dt-pull --no-cache --name x --tag 1 "$r/x/y@$digest"
	same "$variable: the image" "$T/out" "$T/want.tar"
done
fails 1 '(certificate|SSL)' 'an unknown authority' secure
ca other -subj '/CN=other CA'
SSL_CERT_FILE=$T/other.crt fails 1 '(certificate|SSL)' 'another authority' secure
ok '--tls-verify=false' secure --tls-verify=false
export SSL_CERT_FILE=$T/ca.crt
elsewhere() { dt-pull --no-cache "localhost:${r#*:}/x/y@$digest"; }
fails 1 '(certificate|SSL|subject)' 'a certificate for another name' elsewhere
file "$T/auth.json" <<<"{\"auths\": {\"$r\": {\"auth\": \"$(printf user:sesam | base64)\"}}}"
fails 1 'status 401' 'a wrong password' secure
file "$T/auth.json" <<<'{}'
fails 1 'none are known' 'no password' secure
unset SSL_CERT_FILE
insecure() { dt-pull --no-cache "$liar/honest/good@$good"; }
fails 1 'SSL|TLS' 'a registry without TLS is not asked without TLS' insecure

# A registry with TLS may not name a realm without; the token would come from anywhere.
start_registry t "  tls: {certificate: $T/server.crt, key: $T/server.key}" \
	"auth: {token: {realm: 'http://$liar2/token/plain', service: x, issuer: x, rootcertbundle: $T/ca.crt}}"
forget_asked
file "$T/auth.json" <<<"{\"auths\": {\"$t\": {\"auth\": \"$auth\"}}}"
downgraded() { SSL_CERT_FILE=$T/ca.crt dt-pull --no-cache "$t/x/y@$digest"; }
fails 1 "wants a token of http://$liar2, without TLS" 'a registry with TLS, a realm without' downgraded
is 'a registry with TLS, a realm without: it is not asked' "$(asked token)" 0

# A registry with TLS whose realm does not answer is not asked without TLS.
start_registry u "  tls: {certificate: $T/server.crt, key: $T/server.key}" \
	"auth: {token: {realm: 'https://127.0.0.1:1/token', service: x, issuer: x, rootcertbundle: $T/ca.crt}}"
file "$T/auth.json" <<<"{\"auths\": {\"$u\": {\"auth\": \"$auth\"}}}"
deserted() { dt-pull --tls-verify=false --no-cache "$u/x/y@$digest"; }
fails 1 'https://127.0.0.1:1: .*[Cc]onnect' 'a realm that does not answer' deserted

# A proxy is told where to connect to, and no more.
file "$T/auth.json" <<<"{\"auths\": {\"$r\": {\"auth\": \"$auth\"}}}"
through() { SSL_CERT_FILE=$T/ca.crt https_proxy=http://$liar no_proxy='' dt-pull --no-cache --name x --tag 1 "$r/x/y@$digest"; }
forget_asked
ok 'through a proxy' through
same 'through a proxy: the image' "$T/out" "$T/want.tar"
is 'through a proxy: what it is told' "$(cut -d ' ' -f 2- "$L/log" | sort -u)" "CONNECT $r - -"

# Nobody sees them from outside, either.
pull basic >/dev/null 2>&1
is 'no file of ours has them' "$(grep -rlaE 'sesame|dXNlcj' "$DT_CACHE")" ''

finish
