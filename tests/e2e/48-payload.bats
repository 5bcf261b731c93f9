#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; the containers' scripts are in single quotes
# What a connection says first, where that decides: addresses that a blocked and an unlisted name share, and requests to
# HTTP proxies. A refusal ends the connection at once; no test waits for a time-out.

load ../lib/ground
load common

# servers/web.py is a proxy, too, at every address.
PROXY_AT=203.0.113.50:3128

# Visits with curl, one line each: WHAT rc=STATUS. 56 and 35 are a connection that was aborted, 28 would be a time-out.
VISITS='visit() { local what=$1; shift; curl -gsSk -m 15 "$@"; echo "$what rc=$?"; }; '

# From here on 140.82.112.3 is known to be an address of github.com: the alias is refused for it.
PINNED='getent ahosts alias.example >/dev/null; '

# python3 in the container: connect(HOST, PORT), attempt(WHAT, FUNCTION) prints WHAT and "ok …" or the errno's name.
CLIENT='
import errno, socket, ssl, sys, time
def connect(host, port):
    s = socket.create_connection((host, port), 10)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s
def attempt(what, run):
    began = time.monotonic()
    try:
        said = "ok " + repr(run())
    except OSError as e:
        said = errno.errorcode.get(e.errno, repr(e))
    print(what, said, "soon" if time.monotonic() - began < 8 else "late", flush=True)
def first(host, port, *parts):
    s = connect(host, port)
    for part in parts:
        s.sendall(part)
        time.sleep(0.05)
    return s.recv(4096)
'

shared_policy() { # [STATEMENT]…
	policy shared < <(printf '%s\n' 'pin-blocked on-refusal' "$@" 'block github.com')
}

proxy_log() { # REGEX
	world_web_log "203\.0\.113\.50#3128 .*$1"
}

@test "a request to an HTTP proxy: the blocked name is refused at once, the other one passes" {
	shared_policy
	job -a deployfence.policy=shared -- sh -c "$VISITS"'
		visit tunnel-blocked -x http://'$PROXY_AT' https://github.com
		visit tunnel -x http://'$PROXY_AT' https://ok.example
		visit plain-blocked -x http://'$PROXY_AT' http://api.github.com
		visit plain -x http://'$PROXY_AT' http://ok.example
		visit upper-blocked -x http://'$PROXY_AT' -X POST -d x http://GitHub.COM.:8080/x'
	expect_match "$output" 'tunnel-blocked rc=56'
	expect_match "$output" 'hello from ok\.example .*tunnel rc=0'
	expect_match "$output" 'plain-blocked rc=56'
	expect_match "$output" 'hello from ok\.example .*plain rc=0'
	expect_match "$output" 'upper-blocked rc=56'
	expect_match "$stderr" 'Software caused connection abort'
	expect_match "$stderr" 'WARN PROXY BLOCKED reason=FromProxyRequest blocked=true blockedAt=proxy domain=github\.com\. port=443 pid=[0-9]+ cmd="curl [^"]*https://github\.com " firewallMethod=blocklist rule="shared\.policy:2 block github\.com" .* proxy=203\.0\.113\.50 proxy_port=3128'
	expect_event '.event == "proxy_blocked" and .domain == "api.github.com." and .port == 80 and .blocked and .proxy == "203.0.113.50"
		and .comm == "curl" and .uid == 0 and .container_pid > 0 and (.ancestry | length) > 0'
	expect_event '.event == "proxy_blocked" and .domain == "github.com." and .port == 443'
	expect_event '.event == "proxy_request" and .domain == "ok.example." and .port == 443 and .blocked == false and (.cmd | startswith("curl"))'
	expect_event '.event == "proxy_request" and .domain == "ok.example." and .port == 80'
	refute proxy_log 'github'
	proxy_log 'ok\.example:443'
	proxy_log 'GET http://ok\.example/'
}

# At addresses that nobody blocks: what is in no answer is told by what the connection says first.
@test "SNI and Host at addresses that no answer named: told, and a blocked name ends the connection" {
	local at=203.0.113.77 sites
	sites='--resolve github.com:443:'$at' --resolve api.github.com:80:'$at' --resolve new.example:443:'$at' --resolve new.example:80:'$at
	policy seen < <(printf '%s\n' 'pin-blocked no' 'block github.com')
	world_mark
	job -a deployfence.policy=seen -- sh -c "$VISITS"'
		visit tls-blocked '"$sites"' https://github.com; visit http-blocked '"$sites"' http://api.github.com
		visit tls '"$sites"' https://new.example; visit http '"$sites"' http://new.example; visit asked http://ok.example'
	expect_match "$output" 'tls-blocked rc=(35|56)'
	expect_match "$output" 'http-blocked rc=(52|56)'
	expect_match "$output" 'hello from new\.example .*tls rc=0'
	expect_match "$output" $'hello from new\\.example .*\nhttp rc=0'
	expect_match "$output" 'asked rc=0'
	refute world_web_log 'github'
	world_web_log '203\.0\.113\.77#443 sni=new\.example'
	expect_event '.event == "tls_blocked" and .domain == "github.com." and .reason == "FromSNI" and .blocked and .ip == "'$at'" and (.rule | test("block github.com"))'
	expect_event '.event == "http_blocked" and .domain == "api.github.com." and .reason == "FromHostHeader" and .blocked and .port == 80'
	expect_event '.event == "tls_connection" and .domain == "new.example." and .blocked == false and .ip == "'$at'" and .port == 443 and (.cmd | startswith("curl"))'
	expect_event '.event == "http_request" and .domain == "new.example." and .port == 80'
	refute has_event '.domain == "ok.example." and .event != "query" and .event != "summary"'
	rm -rf "$RUNDIR"
	# an address that was asked for by another name: the payload is not held, and told
	policy seen < <(printf '%s\n' 'pin-blocked no' 'block github.com')
	job -a deployfence.policy=seen -- sh -c "$VISITS"' getent hosts ok.example; visit tls --resolve github.com:443:203.0.113.10 https://github.com
		visit other --resolve new.example:80:203.0.113.10 http://new.example'
	expect_match "$output" 'other rc=0'
	expect_event '.event == "tls_blocked" and .domain == "github.com." and .reason == "FromSNI" and .blocked and .ip == "203.0.113.10"'
	expect_event '.event == "http_request" and .domain == "new.example." and .ip == "203.0.113.10"'
	rm -rf "$RUNDIR"
	# a shadow policy that allows the address changes nothing
	policy seen < <(printf '%s\n' 'pin-blocked no' 'block github.com')
	policy shade <<<"allow $at"
	job -a deployfence.policy=seen -a deployfence.shadow=shade -- sh -c "$VISITS"' visit tls '"$sites"' https://github.com; visit other '"$sites"' http://new.example'
	expect_match "$output" 'tls rc=(35|56)'
	expect_match "$output" 'other rc=0'
	rm -rf "$RUNDIR"
	# by a rule that allows the address it is nobody's matter
	policy seen < <(printf '%s\n' 'pin-blocked no' 'block github.com' "allow $at")
	job -a deployfence.policy=seen -- sh -c "$VISITS"' visit tls '"$sites"' https://github.com; visit http '"$sites"' http://api.github.com'
	expect_match "$output" 'hello from github\.com .*tls rc=0'
	expect_match "$output" $'\nhttp rc=0'
	refute has_event '.domain'
	rm -rf "$RUNDIR"
	# audit only tells
	policy seen < <(printf '%s\n' 'mode audit' 'pin-blocked no' 'block github.com')
	job -a deployfence.policy=seen -- sh -c "$VISITS"' visit tls '"$sites"' https://github.com; visit other '"$sites"' https://new.example'
	expect_match "$output" 'hello from github\.com .*tls rc=0'
	expect_event '.event == "tls_blocked" and .domain == "github.com." and .blocked == false and .would_block'
	expect_event '.event == "tls_connection" and .domain == "new.example."'
	report_lists new.example
}

report_lists() { # DOMAIN
	deployfence report --json | jq -e --arg domain "$1." '.containers[0].domains | any(.[]; .domain == $domain and .at == "tls")'
}

@test "a kept connection to a proxy: a later request for a blocked name ends it, also in the packet of an earlier one" {
	shared_policy
	job -a deployfence.policy=shared -- python3 -c "$CLIENT"'
def get(name): return b"GET http://" + name + b"/ HTTP/1.1\r\nHost: " + name + b"\r\n\r\n"
def kept(*names):
    s = connect("203.0.113.50", 3128)
    for name in names:
        s.sendall(get(name))
        answer = b""
        while not (b"hello" in answer and answer.endswith(b"\n")):
            part = s.recv(4096)
            if not part: raise OSError(errno.EPIPE, "closed")
            answer += part
    return answer[:12]
attempt("allowed", lambda: kept(b"ok.example", b"other.example", b"ok.example"))
attempt("later", lambda: kept(b"ok.example", b"github.com"))
attempt("joined", lambda: first("203.0.113.50", 3128, get(b"ok.example") + get(b"github.com")))
def grown(name): # a second request before the first is answered
    s = connect("203.0.113.50", 3128)
    s.sendall(get(b"ok.example"))
    s.sendall(get(name))
    said = b""
    while said.count(b"hello") < 2:
        part = s.recv(4096)
        if not part: raise OSError(errno.EPIPE, "closed")
        said += part
    return said[:12]
attempt("grown", lambda: grown(b"github.com"))
attempt("grown-allowed", lambda: grown(b"other.example"))
attempt("parts", lambda: first("203.0.113.50", 3128, b"GET http://git", b"hub.com/ HTTP/1.1\r\n", b"\r\n"))
attempt("parts-allowed", lambda: first("203.0.113.50", 3128, b"GET http://ok.e", b"xample/ HTTP/1.1\r\n", b"Host: x\r\n\r\n")[:12])
attempt("octets", lambda: first("203.0.113.50", 3128, b"C", b"ONN", b"ECT github.com:443 HTTP/1.1\r\n\r\n"))
attempt("octets-allowed", lambda: first("203.0.113.50", 3128, b"G", b"ET http://ok.example/ HTTP/1.1\r\nHost: x\r\n\r\n")[:12])
attempt("lines", lambda: first("203.0.113.50", 3128, b"\r\n\r\nCONNECT github.com:443 HTTP/1.1\r\n\r\n"))
attempt("lines-apart", lambda: first("203.0.113.50", 3128, b"\r\n", b"CONNECT github.com:443 HTTP/1.1\r\n\r\n"))
attempt("blanks", lambda: first("203.0.113.50", 3128, b"GET  http://github.com/ HTTP/1.1\r\n\r\n"))
attempt("tab", lambda: first("203.0.113.50", 3128, b"CONNECT\tgithub.com:443 HTTP/1.1\r\n\r\n"))
attempt("scheme", lambda: first("203.0.113.50", 3128, b"GET ftp://github.com/ HTTP/1.1\r\n\r\n"))
def behind(name):
    s = connect("203.0.113.50", 3128)
    s.sendall(b"GET / HTTP/1.1\r\nHost: ok.example\r\n\r\n")
    if not s.recv(4096): raise OSError(errno.EPIPE, "closed")
    time.sleep(0.1)
    s.sendall(b"CONNECT " + name + b":443 HTTP/1.1\r\n\r\n")
    while True:
        part = s.recv(4096)
        if b"HTTP/1.1 200" in part: return part[:12]
        if not part: raise OSError(errno.EPIPE, "closed")
attempt("behind", lambda: behind(b"github.com"))
attempt("behind-allowed", lambda: behind(b"ok.example"))
attempt("memcached", lambda: first("203.0.113.50", 7, b"get key\r\n")[:3])
attempt("no-lines", lambda: first("203.0.113.50", 7, b"\r\n")[:3])
attempt("short", lambda: first("203.0.113.50", 7, b"PING\r\n")[:3])
attempt("no-request", lambda: first("203.0.113.50", 7, b"CONNECT {\"verbose\":false}\r\nPING\r\n")[:3])
'
	expect_match "$output" 'allowed ok b.HTTP/1\.1 200. soon'
	expect_match "$output" 'later ECONNABORTED soon'
	expect_match "$output" 'joined ECONNABORTED soon'
	expect_match "$output" 'grown ECONNABORTED soon'
	expect_match "$output" 'grown-allowed ok b.HTTP/1\.1 200. soon'
	expect_match "$output" 'parts ECONNABORTED soon'
	expect_match "$output" 'parts-allowed ok b.HTTP/1\.1 200. soon'
	expect_match "$output" 'octets ECONNABORTED soon'
	expect_match "$output" 'octets-allowed ok b.HTTP/1\.1 200. soon'
	expect_match "$output" 'lines ECONNABORTED soon'
	expect_match "$output" 'lines-apart (ECONNABORTED|ok b..) soon' # the server may have closed for the empty line
	expect_match "$output" 'blanks ECONNABORTED soon'
	expect_match "$output" 'tab ECONNABORTED soon'
	expect_match "$output" 'scheme ECONNABORTED soon'
	expect_match "$output" 'behind ECONNABORTED soon'
	expect_match "$output" 'behind-allowed ok b.HTTP/1\.1 200. soon'
	expect_match "$output" 'memcached ok b.TCP. soon'
	expect_match "$output" 'no-lines ok b.TCP. soon'
	expect_match "$output" 'short ok b.TCP. soon'
	expect_match "$output" 'no-request ok b.TCP. soon'
	refute proxy_log 'github'
	proxy_log 'http://other\.example'
}

@test "targets of a proxy: ports, address rules, addresses of blocked names, and what cannot be read" {
	policy shared <<-'POLICY'
		pin-blocked on-refusal
		block github.com
		block ok.example:8443/tcp
		block 198.51.100.0/24
		allow 198.51.100.7:443
	POLICY
	job -a deployfence.policy=shared -- sh -c "$PINNED$VISITS"'
		x() { visit $1 -p -x http://'$PROXY_AT' $2; }
		x port-blocked https://ok.example:8443
		x port https://ok.example
		x rule-blocked https://198.51.100.1
		x rule-allowed https://198.51.100.7
		x pinned-blocked https://140.82.112.3
		x other https://203.0.113.77
		x number-blocked http://2354212867'
	expect_match "$output" 'port-blocked rc=56'
	expect_match "$output" 'port rc=0'
	expect_match "$output" 'rule-blocked rc=56'
	expect_match "$output" 'rule-allowed rc=0'
	expect_match "$output" 'pinned-blocked rc=56'
	expect_match "$output" 'other rc=0'
	expect_event '.event == "proxy_blocked" and .reason == "AddressRule" and .ip == "198.51.100.1" and .port == 443
		and .rule == "shared.policy:4 block 198.51.100.0/24" and .proxy_port == 3128'
	expect_event '.event == "proxy_blocked" and .reason == "AddressOfName" and .ip == "140.82.112.3" and .rule == "shared.policy:2 block github.com"'
	expect_event '.event == "proxy_blocked" and .domain == "ok.example." and .port == 8443'
	expect_event '.event == "proxy_request" and .ip == "203.0.113.77" and .blocked == false'
	refute proxy_log '198\.51\.100\.1:'
	proxy_log '198\.51\.100\.7:'
}

@test "default deny holds for requests to a proxy" {
	policy shared <<-'POLICY'
		default deny
		allow ok.example
		allow 203.0.113.50:3128
	POLICY
	job -a deployfence.policy=shared -- sh -c "$VISITS"'
		visit listed -x http://'$PROXY_AT' https://ok.example
		visit unlisted-blocked -x http://'$PROXY_AT' https://other.example
		visit address-blocked -p -x http://'$PROXY_AT' https://203.0.113.11'
	expect_match "$output" 'listed rc=0'
	expect_match "$output" 'unlisted-blocked rc=56'
	expect_match "$output" 'address-blocked rc=56'
	expect_event '.event == "proxy_blocked" and .reason == "NotInAllowlist" and .domain == "other.example." and .firewallMethod == "allowlist"'
	expect_event '.event == "proxy_blocked" and .reason == "RawAddress" and .ip == "203.0.113.11" and .rule == "shared.policy raw-ip block"'
	proxy_log 'ok\.example'
	refute proxy_log 'other'
}

@test "a shared address: the unlisted name passes, the blocked one and no name at all do not" {
	shared_policy
	job -a deployfence.policy=shared -- sh -c "$PINNED$VISITS"'
		visit https https://shared.example
		visit http http://shared.example
		visit sni-blocked --resolve github.com:443:140.82.112.3 https://github.com
		visit host-blocked -H "Host: github.com" http://shared.example
		visit unlearned-blocked --resolve other.example:443:140.82.112.3 https://other.example
		visit nosni-blocked https://140.82.112.3
		visit nohost-blocked -H "Host:" http://shared.example
		visit port-blocked http://shared.example:8080'
	expect_match "$output" 'hello from shared\.example .*https rc=0'
	expect_match "$output" 'hello from shared\.example .*http rc=0'
	expect_match "$output" 'sni-blocked rc=35'
	expect_match "$output" 'host-blocked rc=56'
	expect_match "$output" 'unlearned-blocked rc=35'
	expect_match "$output" 'nosni-blocked rc=35'
	expect_match "$output" 'nohost-blocked rc=56'
	expect_match "$output" 'port-blocked rc=7'
	expect_match "$stderr" 'WARN TLS BLOCKED reason=FromSNI blocked=true blockedAt=tls domain=github\.com\. ip=140\.82\.112\.3 port=443 pid='
	expect_match "$stderr" 'WARN HTTP BLOCKED reason=FromHostHeader blocked=true blockedAt=http domain=github\.com\. ip=140\.82\.112\.3 port=80 pid='
	expect_match "$stderr" 'WARN TLS BLOCKED reason=NoName blocked=true blockedAt=tls ip=140\.82\.112\.3 port=443 .* rule="shared\.policy:2 block github\.com"'
	expect_event '.event == "tls_blocked" and .reason == "NameNotLearned" and .domain == "other.example." and .rule == "shared.policy:2 block github.com"'
	expect_event '.event == "http_blocked" and .reason == "NoName" and .port == 80'
	world_web_log '140\.82\.112\.3#443 sni=shared\.example'
	refute world_web_log '140\.82\.112\.3#(443|80) (sni=|GET).*(github|other|sni=-)'
}

@test "a shared address: a ClientHello in parts, IPv6 and mapped sockets, other protocols" {
	shared_policy
	job -a deployfence.policy=shared -- sh -c "$PINNED"'getent ahosts shared.example >/dev/null
		exec python3 -c "$0"' "$CLIENT"'
def hello(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
def records(data, n): # the same handshake in records of n octets
    body = data[5:]
    return b"".join(data[:3] + len(body[i:i+n]).to_bytes(2, "big") + body[i:i+n] for i in range(0, len(body), n))
A, ok, bad = "140.82.112.3", hello("shared.example"), hello("github.com")
for what, data in ("ok", ok), ("bad", bad):
    attempt(what + "-whole", lambda: first(A, 443, data)[:1])
    attempt(what + "-two", lambda: first(A, 443, data[:60], data[60:])[:1])
    attempt(what + "-octet", lambda: first(A, 443, data[:1], data[1:3], data[3:])[:1])
    attempt(what + "-records", lambda: first(A, 443, records(data, 40))[:1])
    attempt(what + "-mapped", lambda: first("::ffff:" + A, 443, data)[:1])
attempt("half", lambda: first(A, 443, ok[:60]))
attempt("ssh", lambda: first(A, 443, b"SSH-2.0-OpenSSH_9.2\r\n"))
attempt("zeros", lambda: first(A, 80, bytes(3000)))
attempt("late-name", lambda: first(A, 80, b"GET / HTTP/1.1\r\nX: " + b"x" * 3000 + b"\r\nHost: shared.example\r\n\r\n"))
attempt("long", lambda: first(A, 80, b"GET / HTTP/1.1\r\nHost: shared.example\r\nX: " + b"x" * 3000 + b"\r\n\r\n")[:12])
'
	for what in whole two octet records mapped; do
		expect_match "$output" "ok-$what ok b'.x16' soon"
		expect_match "$output" "bad-$what ECONNABORTED soon"
	done
	expect_match "$output" 'half ECONNABORTED soon'
	expect_match "$output" 'ssh ECONNABORTED soon'
	expect_match "$output" 'zeros ECONNABORTED soon'
	expect_match "$output" 'late-name ECONNABORTED soon'
	expect_match "$output" 'long ok b.HTTP/1\.1 200. soon'
}

@test "audit: nothing waits and nothing is refused, what would be is said" {
	shared_policy 'mode audit'
	job -a deployfence.policy=shared -- sh -c "$PINNED$VISITS"'
		visit tunnel -x http://'$PROXY_AT' https://github.com
		visit plain -x http://'$PROXY_AT' http://github.com
		visit allowed https://shared.example
		visit sni --resolve github.com:443:140.82.112.3 https://github.com
		visit nosni https://140.82.112.3'
	for what in tunnel plain sni allowed nosni; do
		expect_match "$output" "$what rc=0"
	done
	expect_event '.event == "proxy_blocked" and .domain == "github.com." and .port == 443 and .would_block and .blocked == false'
	expect_event '.event == "proxy_blocked" and .domain == "github.com." and .port == 80 and .would_block'
	expect_event '.event == "tls_blocked" and .domain == "github.com." and .reason == "FromSNI" and .would_block'
	expect_event '.event == "tls_blocked" and .reason == "NoName" and .would_block'
	refute_event '.blocked == true'
	refute_event '.event == "tls_blocked" and .domain == "shared.example."'
	refute_match "$stderr" 'BLOCKED'
}

@test "a refused connection is ended at once under every runtime, and in a user namespace" {
	local runtime
	shared_policy
	for runtime in $DF_RUNTIMES; do
		job -r "$runtime" -a deployfence.policy=shared -- sh -c "$VISITS"'
			visit blocked -x http://'$PROXY_AT' https://github.com
			visit allowed -x http://'$PROXY_AT' https://ok.example'
		expect_match "$output" 'blocked rc=56'
		expect_match "$output" 'allowed rc=0'
	done
	job -o --uidmap=0:100000:65536 -a deployfence.policy=shared -- sh -c "$VISITS"'
		visit blocked -x http://'$PROXY_AT' https://github.com
		visit allowed -x http://'$PROXY_AT' https://ok.example'
	expect_match "$output" 'blocked rc=56'
	expect_match "$output" 'allowed rc=0'
	refute_event '.event == "abort_unavailable"'
}

@test "the host's own network: only connections of the container are ended" {
	shared_policy
	job -n host -a deployfence.policy=shared -- sh -c "$VISITS"'
		visit blocked -x http://'$PROXY_AT' https://github.com
		visit allowed -x http://'$PROXY_AT' https://ok.example'
	expect_match "$output" 'blocked rc=56'
	expect_match "$output" 'allowed rc=0'
	# the same from the host, which no fence holds
	run curl -gsSk -m 10 -o /dev/null -x http://$PROXY_AT https://github.com
	expect [ "$status" = 0 ]
}

@test "a worker that is killed costs connections a while, and opens nothing" {
	local worker
	shared_policy
	job_start -a deployfence.policy=shared -- sleep 1000
	worker=$(fence_pid df-worker)
	kill -STOP "$worker"
	job_exec "$JOB" sh -c "$VISITS"'
		visit blocked -x http://'$PROXY_AT' https://github.com &
		visit allowed -x http://'$PROXY_AT' https://ok.example &
		wait' &
	sleep 1
	kill -KILL "$worker"
	wait $!
	output=$(<"$DF_HOST/jobs/$JOB/exec/stdout")
	expect_match "$output" 'blocked rc=56'
	expect_match "$output" 'allowed rc=0'
	refute proxy_log 'github'
}

# optmem_max limits what is kept with a socket, and a filter that a program attaches counts as well. Some kernels let only
# CAP_NET_ADMIN attach one.
FULL='
import ctypes, struct
def attach(s, n, more):
    code = [(0x05, 0, 0, n), *[(0xb1, 0, 0, 0)] * n, (0x05, 0, 0, more), *[(0x00, 0, 0, 0)] * more, (0x06, 0, 0, 0xffff)]
    data = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in code))
    s.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", len(code), ctypes.addressof(data)))
def fits(n, more):
    try:
        attach(socket.socket(), n, more)
        return True
    except OSError:
        return False
def most(fits, high):
    low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low
def ask(is_full):
    s = socket.socket()
    s.settimeout(10)
    if is_full:
        n = most(lambda n: fits(n, 0), 4000)
        attach(s, n, most(lambda more: fits(n, more), 90))
    else:
        attach(s, 1, 1)
    s.connect(("140.82.112.3", 80))
    s.sendall(b"GET / HTTP/1.1\r\nHost: shared.example\r\nConnection: close\r\n\r\n")
    return s.recv(4096)[:12]
attempt("room", lambda: ask(False))
attempt("full", lambda: ask(True))
'

@test "a socket on which the fence can keep nothing is refused, since nobody would look at its payload" {
	shared_policy
	world_mark
	job -c NET_ADMIN -a deployfence.policy=shared -- sh -c "$PINNED"'getent ahosts shared.example >/dev/null; exec python3 -c "$0"' "$CLIENT$FULL"
	expect_match "$output" 'room ok b.HTTP/1\.1 200. soon'
	expect_match "$output" 'full EPERM soon'
	expect_event '.event == "connect_blocked" and .reason == "TableFull" and .ip == "140.82.112.3" and .blocked'
	expect [ "$(world_web_log '140\.82\.112\.3#80 GET' | wc -l)" = 1 ]
	# without an undecided address it is no matter of audit
	job -c NET_ADMIN -a deployfence=audit -a deployfence.policy=shared -- sh -c "$PINNED"'getent ahosts shared.example >/dev/null; exec python3 -c "$0"' "$CLIENT$FULL"
	expect_match "$output" 'full ok b.HTTP/1\.1 200. soon'
}

# connect(2) with AF_UNSPEC: the socket is the same one for the kernel, and its next connection another one.
AGAIN='
import ctypes
def again(name):
    s = connect("140.82.112.3", 80)
    s.sendall(b"GET / HTTP/1.1\r\nHost: shared.example\r\n\r\n")
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1) # what is held stays, and its verdict is there soon
    time.sleep(0.1)
    unspec = ctypes.create_string_buffer(16)
    if ctypes.CDLL(None).connect(s.fileno(), unspec, 16) < 0: raise OSError(errno.EPROTO, "unspec")
    s.connect(("140.82.112.3", 80))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
    s.sendall(b"GET / HTTP/1.1\r\nHost: " + name + b"\r\n\r\n")
    return s.recv(4096)[:12]
for i in range(5):
    attempt("blocked", lambda: again(b"github.com"))
    attempt("allowed", lambda: again(b"shared.example"))
'

@test "a socket that connects again: the verdict of its last connection is none for the next" {
	shared_policy
	world_mark
	job -a deployfence.policy=shared -- sh -c "$PINNED"'getent ahosts shared.example >/dev/null; exec python3 -c "$0"' "$CLIENT$AGAIN"
	expect [ "$(grep -c 'blocked ECONNABORTED soon' <<<"$output")" = 5 ]
	expect [ "$(grep -c 'allowed ok b.HTTP/1\.1 200. soon' <<<"$output")" = 5 ]
	refute world_web_log 'github'
}
