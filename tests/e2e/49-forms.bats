#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; the containers' scripts are in single quotes
# Forms in which an address or a name hides: IPv4 inside of IPv6, the container's own addresses, two names in one request.

load ../lib/ground
load common

# In the container: one line for each address, connect by TCP and sendto by UDP, "ok" or the errno's name.
TOUCH='
import errno, socket, sys
def attempt(run):
    try:
        run()
        return "ok"
    except OSError as e:
        return errno.errorcode.get(e.errno, type(e).__name__)
def touch(address, port=9999):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    tcp = attempt(lambda: socket.create_connection((address, port), 10).close())
    udp = attempt(lambda: socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", (address, port)))
    print(address, tcp, udp, flush=True)
'

# All forms that hold the IPv4 address, whose octets are given in hex beside it: 6to4, Teredo by server and by client (whose
# bits are inverted), IPv4-compatible, and two prefixes of the local-use NAT64 network.
FORMS='
import ipaddress
def forms(text):
    v4 = int(ipaddress.IPv4Address(text))
    other = int(ipaddress.IPv4Address("192.0.2.1"))
    yield from (str(ipaddress.IPv6Address(n)) for n in (
        0x2002 << 112 | v4 << 80 | 1,
        0x20010000 << 96 | v4 << 64 | (other ^ 0xffffffff),
        0x20010000 << 96 | other << 64 | (v4 ^ 0xffffffff),
        v4,
        0x64ff9b0001 << 80 | v4,
        0x64ff9b0001123456789abc << 32 | v4))
'

@test "IPv4 inside of IPv6: a block of the IPv4 address holds for every form that has it in it" {
	policy nets <<-'POLICY'
		pin-blocked no
		block 203.0.113.0/24
		allow 203.0.113.10
	POLICY
	local fence
	for fence in off on; do
		job -a "deployfence=$fence" -a deployfence.policy=nets -- python3 -c "$TOUCH$FORMS"'
for form in forms("203.0.113.11"):
    touch(form)
print("--")
for form in forms("203.0.113.10"):
    touch(form)
touch("64:ff9b::203.0.113.11")'
		if [ "$fence" = off ]; then
			expect [ "$(grep -c ' ok ok$' <<<"$output")" = 13 ]
		else
			expect [ "$(sed '/^--/,$d' <<<"$output" | grep -c ' EPERM EPERM$')" = 6 ]
			expect [ "$(sed '1,/^--/d' <<<"$output" | grep -c ' ok ok$')" = 6 ]
			expect_match "$output" '64:ff9b::203\.0\.113\.11 EPERM EPERM'
		fi
	done
	expect_event '.ip == "2002:cb00:710b::1" and .reason == "AddressRule" and .blocked and .rule == "nets.policy:2 block 203.0.113.0/24"'
	expect_event '.ip == "2001:0:c000:201::34ff:8ef4" and .reason == "AddressRule" and .rule == "nets.policy:2 block 203.0.113.0/24"'
}

@test "IPv4 inside of IPv6: allowing an IPv4 address opens 64:ff9b::/96 and no other network; rules for IPv6 go on to count" {
	policy nets <<-'POLICY'
		default deny
		on-leak all warn
		allow 203.0.113.10
		allow 198.51.100.9
		block 203.0.113.11
		allow 2002:cb00:710a::/48
		allow 2002:cb00:710b::/48
	POLICY
	job -a deployfence.policy=nets -- python3 -c "$TOUCH$FORMS"'
touch("203.0.113.10")
touch("64:ff9b::203.0.113.10")
touch("2002:cb00:710a::1")
touch("2002:cb00:710b::1")
print("--")
for form in forms("198.51.100.9"):
    touch(form)'
	expect_match "$output" $'^203\\.0\\.113\\.10 ok ok\n64:ff9b::203\\.0\\.113\\.10 ok ok\n2002:cb00:710a::1 ok ok\n2002:cb00:710b::1 EPERM EPERM\n--'
	expect [ "$(sed '1,/^--/d' <<<"$output" | grep -c ' EPERM EPERM$')" = 6 ]
	expect_event '.ip == "2002:cb00:710b::1" and .rule == "nets.policy:5 block 203.0.113.11"'
	expect_event '.ip == "2002:c633:6409::1" and .reason == "RawAddress" and .blocked'
}

@test "IPv4 inside of IPv6: the addresses of a blocked name are refused in every form, those of an allowed one are not" {
	policy pins <<<'block github.com'
	job_start -a deployfence.policy=pins -- sleep 1000
	job_exec "$JOB" python3 -c "$TOUCH$FORMS"'
import time
for _ in range(200):
    if attempt(lambda: socket.create_connection(("140.82.112.3", 80), 10).close()) != "ok":
        break
    time.sleep(0.05)
socket.getaddrinfo("ok.example", 80)
for form in forms("140.82.112.3"):
    touch(form)
touch("64:ff9b::140.82.112.3")
print("--")
for form in forms("203.0.113.10"):
    touch(form)
touch("64:ff9b::203.0.113.10")'
	expect [ "$(sed '/^--/,$d' <<<"$output" | grep -c ' EPERM EPERM$')" = 7 ]
	expect [ "$(sed '1,/^--/d' <<<"$output" | grep -c ' ok ok$')" = 7 ]
	expect_event '.ip == "2002:8c52:7003::1" and .reason == "AddressOfName" and .domain == "github.com." and .rule == "pins.policy:1 block github.com"'
}

@test "IPv4 inside of IPv6, in audit: everything passes, and is told" {
	policy nets <<-'POLICY'
		mode audit
		block 203.0.113.0/24
	POLICY
	job -a deployfence.policy=nets -- python3 -c "$TOUCH$FORMS"'
for form in forms("203.0.113.11"):
    touch(form)'
	expect [ "$(grep -c ' ok ok$' <<<"$output")" = 6 ]
	expect_event '.ip == "::203.0.113.11" and .blocked == false and .would_block and .rule == "nets.policy:2 block 203.0.113.0/24"'
}

# --- the container's own addresses

# A server on every address, and one client for each of ours and for the hostname; addresses come as arguments too.
OWN='
import errno, os, re, socket, subprocess, sys, threading
def addresses():
    lines = subprocess.run(["ip", "-o", "addr", "show", "scope", "global"], capture_output=True, text=True).stdout
    return re.findall(r"inet6? ([0-9a-f.:]+)", lines)
def serve(kind):
    s = socket.socket(socket.AF_INET6, kind)
    s.bind(("::", 7777))
    if kind == socket.SOCK_STREAM:
        s.listen()
        while True:
            client = s.accept()[0]
            client.sendall(b"hello")
            client.close()
    while True:
        s.sendto(b"hello", s.recvfrom(99)[1])
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    ready = threading.Thread(target=serve, args=(kind,), daemon=True)
    ready.start()
import time
time.sleep(0.2)
def ask(address, kind, is_connected=True):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, kind)
    s.settimeout(2)
    try:
        if is_connected:
            s.connect((address, 7777))
        if kind == socket.SOCK_DGRAM:
            s.send(b"x") if is_connected else s.sendto(b"x", (address, 7777))
        return s.recv(99).decode()
    except OSError as e:
        return errno.errorcode.get(e.errno, type(e).__name__)
def show(what, address):
    print(what, ask(address, socket.SOCK_STREAM), ask(address, socket.SOCK_DGRAM), ask(address, socket.SOCK_DGRAM, False), flush=True)
'

policy_own() {
	policy own <<-'POLICY'
		default deny
		on-leak all warn
		allow ok.example
	POLICY
}

@test "the container's own addresses are loopback, under default deny: each of them and the hostname, TCP and UDP" {
	policy_own
	local fence
	for fence in off on; do
		job -a "deployfence=$fence" -a deployfence.policy=own -- python3 -c "$OWN"'
for address in addresses():
    show("v6" if ":" in address else "v4", address)
show("name", socket.gethostbyname(socket.gethostname()))'
		expect_match "$output" 'v4 hello hello hello'
		expect_match "$output" 'v6 hello hello hello'
		expect_match "$output" 'name hello hello hello'
		refute_match "$output" 'EPERM'
	done
	refute_event '.reason == "RawAddress"'
}

@test "own addresses: what is beside them stays refused, and a block rule for them counts" {
	policy_own
	job -a deployfence.policy=own -- python3 -c "$OWN"'
for address in addresses():
    if ":" not in address:
        show("gateway", address.rsplit(".", 1)[0] + ".1")'
	expect_match "$output" 'gateway EPERM EPERM EPERM'
	policy own <<-'POLICY'
		default deny
		on-leak all warn
		block 10.88.0.0/14
		block fd00::/8
	POLICY
	job -a deployfence.policy=own -- python3 -c "$OWN"'
for address in addresses():
    show("own", address)
show("local", "127.0.0.1")'
	expect_match "$output" 'own EPERM EPERM EPERM'
	refute grep '^own .*hello' <<<"$output"
	expect_match "$output" 'local hello hello hello' # the twin
	expect_event '.reason == "AddressRule" and .rule == "own.policy:3 block 10.88.0.0/14"'
}

@test "own addresses that come and go: a new one passes, one that was moved away gets no packet" {
	policy_own
	job_start -a deployfence.policy=own -- sleep 1000
	local net
	net=/proc/$(job_pid "$JOB")/ns/net
	nsenter --net="$net" ip addr add 198.51.100.77/32 dev eth0
	nsenter --net="$net" ip addr add 2001:db8:51::77/128 dev eth0 nodad
	touch_own() { # ADDRESS WANTED
		job_exec "$JOB" python3 -c "$OWN"'show("new", sys.argv[1])' "$1"
		[ "$output" = "$2" ]
	}
	eventually touch_own 198.51.100.77 'new hello hello hello'
	eventually touch_own 2001:db8:51::77 'new hello hello hello'
	nsenter --net="$net" ip addr del 198.51.100.77/32 dev eth0
	nsenter --net="$net" ip addr del 2001:db8:51::77/128 dev eth0
	eventually touch_own 198.51.100.77 'new EPERM EPERM EPERM'
	eventually touch_own 2001:db8:51::77 'new EPERM EPERM EPERM'
	refute world_web_log '198\.51\.100\.77'
}

@test "own addresses: what a connection to one still sends does not leave once the address is elsewhere" {
	policy_own
	job_start -a deployfence.policy=own -- sleep 1000
	local net
	net=/proc/$(job_pid "$JOB")/ns/net
	nsenter --net="$net" ip addr add 198.51.100.77/32 dev eth0
	world_sniff_up
	world_mark
	podman exec "$JOB" python3 -c "$OWN"'
for _ in range(100):
    if ask("198.51.100.77", socket.SOCK_STREAM) == "hello":
        break
    time.sleep(0.05)
source = ([a for a in addresses() if a.startswith("10.88.")][0], 0)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(source) # else there is no route without the address, and nothing is shown
udp.connect(("198.51.100.77", 7777))
udp.send(b"x")
open("/tmp/connected", "w").close()
def is_there():
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).bind(("198.51.100.77", 0))
        return True
    except OSError:
        return False
while is_there():
    time.sleep(0.05)
for _ in range(3):
    try:
        udp.send(b"leak")
        print("sent")
    except OSError as e:
        print("send", errno.errorcode[e.errno])
' >"$DF_HOST/moved.log" 2>&1 3>&- 4>&- &
	local client=$!
	eventually test -e "/proc/$(job_pid "$JOB")/root/tmp/connected"
	nsenter --net="$net" ip addr del 198.51.100.77/32 dev eth0
	wait "$client"
	expect [ "$(grep -c 'send EPERM' "$DF_HOST/moved.log")" = 3 ]
	expect_no_left_packet() { ! near_packets '198\.51\.100\.77' | grep -q .; }
	expect expect_no_left_packet
	world_sniff_down
	expect_event '.event == "packet_blocked" and .ip == "198.51.100.77" and .blocked'
}

@test "own addresses where the network comes after the hook: --uidmap" {
	policy_own
	job -a deployfence.policy=own -o --uidmap=0:100000:65536 -o --gidmap=0:200000:65536 -- python3 -c "$OWN"'
for _ in range(100):
    if addresses() and ask(addresses()[0], socket.SOCK_STREAM) == "hello":
        break
    time.sleep(0.05)
for address in addresses():
    show("v6" if ":" in address else "v4", address)'
	expect_match "$output" 'v4 hello hello hello'
	refute_match "$output" EPERM
}

@test "own addresses: those of the host's namespace do not pass by themselves" {
	policy_own
	job -n host -a deployfence.policy=own -- python3 -c "$OWN"'
show("host", "10.89.53.254")
show("local", "127.0.0.1")'
	expect_match "$output" 'host EPERM EPERM EPERM'
	expect_match "$output" 'local hello hello hello'
}

# --- two names in one request

# servers/web.py answers requests to a proxy, too, at every address. One line each: WHAT and what came back, or an errno.
REQUEST='
import errno, socket, sys
def request(what, *lines, at=("203.0.113.50", 3128), parts=False, end="\r\n\r\n"):
    data = ("\r\n".join(lines) + end).encode()
    try:
        with socket.create_connection(at, 10) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for part in data.splitlines(True) if parts else [data]:
                s.sendall(part)
            said = "passed" if s.recv(99).startswith(b"HTTP/1.") else "nothing"
    except OSError as e:
        said = errno.errorcode.get(e.errno, type(e).__name__)
    print(what, said, flush=True)
'

# Each WHAT of a refusal begins with "no-", of what passes with "yes-".
REQUESTS='
get = lambda target, *fields: ("GET " + target + " HTTP/1.1",) + fields
request("yes-same", *get("http://ok.example/", "Host: ok.example"))
request("yes-case-dot-port", *get("HTTP://OK.Example/", "hOST: ok.example.:80"))
request("yes-another", *get("http://ok.example/", "Host: other.example"))
request("yes-no-host", "GET http://ok.example/ HTTP/1.0")
request("yes-empty-host", *get("http://ok.example/", "Host:"))
request("yes-parts", *get("http://ok.example/", "Accept: */*", "Host: ok.example"), parts=True)
request("no-host", *get("http://ok.example/", "Host: github.com"))
request("no-target", *get("http://github.com/", "Host: ok.example"))
request("no-host-parts", *get("http://ok.example/", "Accept: */*", "Host: github.com"), parts=True)
request("no-host-port", *get("http://ok.example/", "Host: GitHub.COM.:8080"))
request("no-host-behind-padding", *get("http://ok.example/", "X: " + "x" * 3000, "Host: github.com"))
request("no-two-hosts", *get("http://ok.example/", "Host: ok.example", "Host: github.com"))
request("no-folded", *get("http://ok.example/", "Host:", " github.com"))
request("no-blank", *get("http://ok.example/", "Host : github.com"))
request("no-escaped", *get("http://ok.example/", "Host: git%68ub.com"))
request("no-userinfo-host", *get("http://ok.example/", "Host: ok.example@github.com"))
request("no-userinfo", *get("http://ok.example@github.com/", "Host: ok.example"))
request("no-literal", *get("http://203.0.113.10/", "Host: github.com"))
request("no-literal6", *get("http://[2001:db8:80::10]/", "Host: github.com"))
request("no-connect", "CONNECT ok.example:443 HTTP/1.1", "Host: github.com:443")
request("no-upper", *get("HTTP://GITHUB.COM/", "Host: ok.example"))
# to a server at the web port of an address that nobody named, which is no proxy for all that one knows
request("no-server", *get("http://ok.example/", "Host: github.com"), at=("203.0.113.51", 80))
request("yes-server", *get("http://ok.example/", "Host: ok.example"), at=("203.0.113.51", 80))
'

expect_requests() { # WHAT-IS-REFUSED: nothing else is
	local refused
	refute grep "^yes-.* \(EPERM\|ECONN.*\|nothing\|TimeoutError\|ETIMEDOUT\)$" <<<"$output"
	refused=$(grep -c '^no-' <<<"$output")
	expect [ "$refused" = 16 ]
	expect [ "$(grep -c '^no-.* ECONNABORTED$' <<<"$output")" = "$1" ]
	expect [ "$(grep -c '^no-.* passed$' <<<"$output")" = "$((refused - $1))" ]
}

@test "two names in one request: target and Host are judged, and the stricter verdict counts" {
	policy pins <<<'block github.com'
	job -a deployfence.policy=pins -- python3 -c "$REQUEST$REQUESTS"
	expect_requests 16
	expect_event '.blockedAt == "proxy" and .domain == "github.com." and .ip == null and .rule == "pins.policy:1 block github.com"'
	refute world_web_log 'github\.com'
}

@test "two names in one request, without a fence and in audit: all pass, and audit says what would be refused" {
	job -a deployfence=off -- python3 -c "$REQUEST$REQUESTS"
	expect [ "$(grep -c "^no-" <<<"$output")" = 16 ]
	unfenced=$output
	policy pins <<-'POLICY'
		mode audit
		block github.com
	POLICY
	job -a deployfence.policy=pins -- python3 -c "$REQUEST$REQUESTS"
	expect [ "$output" = "$unfenced" ]
	expect_event '.blockedAt == "proxy" and .domain == "github.com." and .blocked == false and .would_block'
}

@test "two names in one request under default deny: an unlisted Host is refused, the same Host is not" {
	policy deny <<-'POLICY'
		default deny
		on-leak all warn
		allow 203.0.113.50
		allow ok.example
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$REQUEST"'
get = lambda target, *fields: ("GET " + target + " HTTP/1.1",) + fields
request("same", *get("http://ok.example/", "Host: ok.example"))
request("unlisted", *get("http://ok.example/", "Host: other.example"))
request("connect-same", "CONNECT ok.example:443 HTTP/1.1", "Host: ok.example:443")
request("connect-unlisted", "CONNECT ok.example:443 HTTP/1.1", "Host: other.example:443")'
	expect [ "$output" = $'same passed\nunlisted ECONNABORTED\nconnect-same passed\nconnect-unlisted ECONNABORTED' ]
}
