#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# What an application sees of a refusal, on every path: an error at once, never a time-out. And what must not be refused.

load ../lib/ground
load common
load escapes

setup_file() {
	escapes_setup_file
}

@test "refuse-with: the errno of connect and of unconnected sends, for IPv4, IPv6 and mapped sockets" {
	local name
	for name in EPERM EACCES ECONNREFUSED EHOSTUNREACH ENETUNREACH; do
		printf '%s\n' "refuse-with $name" 'pin-blocked no' 'block 198.51.100.0/24' 'block 2001:db8:51::/64' | policy "with-$name"
		job "${PROBES[@]}" -a "deployfence.policy=with-$name" -- python3 /escape.py blocked tcp tcp-ip6 tcp-mapped mptcp \
			tcp-fastopen-sendto udp-connect udp-sendto udp-sendto-ip6 udp-sendto-mapped udp-sendmmsg ping-connect uring-connect
		echo "$name"
		expect [ "$(cut -f 3 <<<"$output" | sort | uniq -c | tr -s ' ')" = " 12 $name" ]
	done
}

@test "refuse-dns: what getent, curl, dig and musl say, at once" {
	local how
	for how in nxdomain refused sinkhole; do
		printf '%s\n' "refuse-dns $how" 'pin-blocked no' 'block github.com' | policy "dns-$how"
		job "${PROBES[@]}" -a "deployfence.policy=dns-$how" -- sh -c '
			getent ahosts github.com >/dev/null; echo "getent rc=$?"
			curl -sS -m 20 http://github.com; echo "curl rc=$?"
			dig +tries=1 +time=10 github.com | grep -o "status: [A-Z]*"
			mclient-musl github.com >/dev/null; echo "musl rc=$?"
			python3 -c "import urllib.request as u; u.urlopen(\"http://github.com\", timeout=20)" 2>&1 | tail -n 1
			curl -sS -m 20 http://ok.example; echo "twin rc=$?"'
		echo "$how"
		case $how in
		nxdomain) expect_match "$output" $'getent rc=2\ncurl rc=6\nstatus: NXDOMAIN\nmusl rc=1\n[^\n]*Name or service not known' ;;
		refused) expect_match "$output" $'getent rc=2\ncurl rc=6\nstatus: REFUSED\nmusl rc=1\n[^\n]*(Name or service not known|Temporary failure)' ;;
		sinkhole) expect_match "$output" $'getent rc=0\ncurl rc=7\nstatus: NOERROR\nmusl rc=0\n[^\n]*Operation not permitted' ;;
		esac
		expect_match "$output" 'twin rc=0'
	done
}

@test "egress: what neither connect nor sendmsg sees is an error of send, or nothing" {
	policy nets <<<'block 198.51.100.0/24'
	job "${PROBES[@]}" -a deployfence.policy=nets -- python3 /escape.py blocked ping raw-icmp source-route-hop-udp
	expect [ "$(cut -f 3 <<<"$output")" = $'EPERM\nEPERM\nEPERM' ]
	expect_event ".event == \"packet_blocked\" and .ip == \"$(head -n 1 <<<"$output" | cut -f 2)\""
}

@test "TLS and HTTP on a shared address, and a proxy: the connection ends at once" {
	printf 'block github.com\n' | policy names
	start_pinned 140.82.112.3 -a deployfence.policy=names
	job_exec "$JOB" sh -c 'getent hosts shared.example >/dev/null
		curl -sS -m 20 --cacert /etc/ca.pem --resolve github.com:443:140.82.112.3 https://github.com; echo "tls rc=$?"
		curl -sS -m 20 -H "Host: github.com" http://shared.example; echo "http rc=$?"
		curl -sS -m 20 -x http://203.0.113.5:3128 http://github.com; echo "proxy rc=$?"
		curl -sS -m 20 -p -x http://203.0.113.5:3128 http://github.com; echo "connect rc=$?"
		curl -sS -m 20 --cacert /etc/ca.pem https://shared.example; echo "twin rc=$?"
		curl -sS -m 20 -x http://203.0.113.5:3128 http://ok.example; echo "twin proxy rc=$?"'
	expect_match "$output" 'tls rc=(35|56)'
	expect_match "$output" 'http rc=(52|56)'
	expect_match "$output" 'proxy rc=(52|56)'
	expect_match "$output" 'connect rc=(52|56)'
	expect_match "$output" 'twin rc=0'
	expect_match "$output" 'twin proxy rc=0'
	expect_match "$stderr" '(reset|abort)' # what curl says of it
}

@test "getaddrinfo's sorting probes raise no event of a refusal; a connect that follows does" {
	printf '%s\n' 'pin-blocked no' 'block 203.0.113.12' 'block 2001:db8:80::12' | policy nets
	job -a deployfence.policy=nets -- sh -c 'getent ahosts dual.example; python3 -c "
import socket
print(len(socket.getaddrinfo(\"dual.example\", 443)))"'
	expect [ "$status" = 0 ]
	expect_match "$output" '203\.0\.113\.12'
	expect_fence_gone
	expect_event '.event == "connect_probe" and .ip == "203.0.113.12"'
	refute_event '.event == "connect_blocked"'
	refute_match "$stderr" BLOCKED
	job -a deployfence.policy=nets -- curl -sS -m 20 http://dual.example
	expect [ "$status" = 7 ]
	expect_event '.event == "connect_blocked" and .ip == "203.0.113.12" and .port == 80'
}

# A server in the container: HTTP on 80, every datagram back on UDP 9999. Sets address.
serve() { # JOB-OPTION…
	job_start "$@" -- python3 -c '
import http.server, socket, threading
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served\n")
    def log_message(self, *_): pass
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
threading.Thread(target=Server(("::", 80), Page).serve_forever, daemon=True).start()
sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sock.bind(("::", 9999))
print("ready", flush=True)
while True:
    data, client = sock.recvfrom(4096)
    try:
        sock.sendto(data, client)
    except OSError as error:
        print(error.strerror, flush=True)'
	expect [ "$status" = 0 ]
	eventually is_logged ready >/dev/null
	address=$(podman inspect -f '{{.NetworkSettings.IPAddress}}' "$JOB")
	address6=$(podman inspect -f '{{.NetworkSettings.GlobalIPv6Address}}' "$JOB")
}

is_logged() { # REGEX
	[[ $(job_logs "$JOB") =~ $1 ]]
}

# From the world, with the given source addresses.
ask_service() { # SOURCE4 SOURCE6
	nsenter --net=/run/netns/world /usr/bin/python3 - "$1" "$address" "$2" "$address6" <<-'PYTHON'
		import socket, sys
		for source, address in (sys.argv[1:3], sys.argv[3:5]):
		    family = socket.AF_INET6 if ":" in address else socket.AF_INET
		    def new(kind):
		        sock = socket.socket(family, kind)
		        sock.setsockopt(socket.IPPROTO_IPV6 if family == socket.AF_INET6 else socket.IPPROTO_IP,
		                        78 if family == socket.AF_INET6 else 15, 1)
		        sock.settimeout(2)
		        sock.bind((source, 0))
		        return sock
		    for kind, port, text in ((socket.SOCK_STREAM, 80, b"GET / HTTP/1.0\r\n\r\n"), (socket.SOCK_DGRAM, 9999, b"served")):
		        sock = new(kind)
		        try:
		            sock.connect((address, port))
		            sock.send(text)
		            data = b""
		            while b"served" not in data:
		                data += sock.recv(4096) or b"served?"
		            print(family.name, kind.name, "ok")
		        except TimeoutError:
		            print(family.name, kind.name, "silence")
	PYTHON
}

@test "blocklist mode: a service in the fenced container answers, TCP and UDP, both families, even a refused address" {
	local address address6
	printf '%s\n' 'block 198.51.100.0/24' 'pin-blocked no' 'block github.com' | policy nets
	serve -a deployfence.policy=nets
	run ask_service 203.0.113.10 2001:db8:80::10
	expect [ "$(grep -c ' ok$' <<<"$output")" = 4 ]
	run ask_service 198.51.100.9 2001:db8:80::9 # a connection that came in is answered; a datagram is a destination
	expect_match "$output" 'AF_INET SOCK_STREAM ok'
	expect_match "$output" 'AF_INET SOCK_DGRAM silence'
	expect_match "$(job_logs "$JOB")" 'Operation not permitted'
}

@test "allowlist mode: TCP answers everybody, UDP only listed clients" {
	local address address6
	printf '%s\n' 'default deny' 'allow 203.0.113.0/24' 'allow 2001:db8:80::/64' | policy deny
	serve -a deployfence.policy=deny
	run ask_service 203.0.113.10 2001:db8:80::10
	expect [ "$(grep -c ' ok$' <<<"$output")" = 4 ]
	run ask_service 192.0.2.9 2001:db8:99::9
	expect_match "$output" 'AF_INET SOCK_STREAM ok'
	expect_match "$output" 'AF_INET6 SOCK_STREAM ok'
	expect_match "$output" 'AF_INET SOCK_DGRAM silence'
	expect_match "$output" 'AF_INET6 SOCK_DGRAM silence'
	expect_event '.event == "connect_blocked" and .ip == "192.0.2.9" and .reason == "RawAddress"'
}

@test "300 of 300 names can be connected to as soon as they are resolved" {
	printf '%s\n' 'default deny' 'allow race.example' | policy deny
	job -a deployfence.policy=deny -- python3 -c '
import socket
good = 0
for i in range(300):
    try:
        address = socket.getaddrinfo(f"r{i:03d}.race.example", 9999, socket.AF_INET, socket.SOCK_STREAM)[0][4]
        with socket.create_connection(address, 10) as sock:
            good += sock.recv(4) == b"TCP "
    except OSError as error:
        print(i, error)
print("good", good)
try:
    socket.create_connection(("12.1.0.1", 9999), 10)
except OSError as error:
    print(error.strerror)'
	expect [ "$output" = $'good 300\nOperation not permitted' ]
	refute_event '.blocked == true and .ip != "12.1.0.1"'
}

@test "thousands of lookups with short TTLs: nothing that was just answered is refused" {
	printf '%s\n' 'default deny' 'keep-learned 1s' 'allow ttl.example' | policy deny
	job -a deployfence.policy=deny -- python3 -c '
import random, socket, time
good = bad = 0
end = time.monotonic() + 15
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while good + bad < 3000 and time.monotonic() < end:
    name = f"t{random.randrange(40):02d}.ttl.example"
    try:
        for info in socket.getaddrinfo(name, 9999, socket.AF_INET, socket.SOCK_DGRAM):
            sock.sendto(b"x", info[4])
        good += 1
    except OSError as error:
        bad += 1
        print(name, error)
print("bad", bad, "enough" if good > 1000 else good)'
	expect [ "$output" = "bad 0 enough" ]
}

# Two fences at once, whose permissions end an hour and a second after their TTL; waits for the last line of both.
# An entry has up to five seconds to spare. Sets logs_1h and logs_1s.
keep() { # JOB-OPTION… -- COMMAND…
	local keep
	for keep in 1h 1s; do
		printf '%s\n' 'default deny' "keep-learned $keep" 'allow short.example' | policy "keep-$keep"
		job_start -a "deployfence.policy=keep-$keep" "$@"
		expect [ "$status" = 0 ]
		local "job_$keep=$JOB"
		pin_bridge # or the second one loses its network when the first one ends
	done
	for keep in 1h 1s; do
		local -n job=job_$keep logs=logs_$keep
		JOB=$job
		eventually is_logged 'end [0-9]' >/dev/null
		# shellcheck disable=SC2034 # a name reference
		logs=$(job_logs "$JOB" | grep -v '^deployfence: ')
	done
}

# TTL 1
KEEPER='
import socket, time
address = socket.gethostbyname("short.example")
flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flow.settimeout(5)
flow.connect((address, 9999))
for moment in "at once", "later":
    flow.send(b"x")
    print("flow", flow.recv(99)[:3].decode())
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        try:
            sock = socket.socket(socket.AF_INET, kind)
            sock.settimeout(10)
            sock.connect((address, 9999))
            print(moment, "ok")
        except OSError as error:
            print(moment, error.strerror)
    if moment == "at once":
        time.sleep(9)
print("end 0", flush=True)'

@test "a client that never asks twice: its address is good for keep-learned, and no longer; a flow that is there goes on" {
	local logs_1h logs_1s
	keep -- python3 -c "$KEEPER"
	expect [ "$logs_1h" = $'flow UDP\nat once ok\nat once ok\nflow UDP\nlater ok\nlater ok\nend 0' ]
	expect [ "$logs_1s" = $'flow UDP\nat once ok\nat once ok\nflow UDP\nlater Operation not permitted\nlater Operation not permitted\nend 0' ]
	expect [ "$(world_dns_log ' short\.example A ' | wc -l)" = 2 ]
}

@test "a JVM with an infinite cache: the same" {
	local home logs_1h logs_1s options=()
	home=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
	[ -x "$home/bin/java" ] || skip "no Java on this machine"
	/usr/bin/python3 "$E2E/jvm_class.py" >"$BATS_TEST_TMPDIR/Twice.class"
	for directory in /etc/java-*; do options+=(-v "$directory:$directory:ro"); done
	keep "${options[@]}" -v "$home:/java:ro" -v "$BATS_TEST_TMPDIR:/classes:ro" -- sh -c '
		LD_LIBRARY_PATH=/java/lib /java/bin/java -Xshare:auto -Dsun.net.inetaddr.ttl=-1 -cp /classes Twice short.example 2>&1
		echo "end $?"'
	expect [ "$logs_1h" = "end 0" ]
	expect_match "$logs_1s" 'Exception.*end 1$'
	expect [ "$(world_dns_log ' short\.example A ' | wc -l)" = 2 ]
}
