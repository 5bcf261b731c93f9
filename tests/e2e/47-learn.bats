#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; the containers' scripts are in single quotes
# Which addresses belong to which names: learned from answers, kept, pinned, and never a lever.

load ../lib/ground
load common

setup_file() {
	export DF_ZONE=$DF_HOST/learn.zone
	local i
	{
		for i in {1..300}; do
			echo "n$i.learn.example 1 A 198.51.$((i / 100)).$((i % 100 + 1))"
			echo "n$i.learn.example 1 AAAA 2001:db8:90::$i"
		done
		for i in {1..36}; do echo "crowd$i.learn.example A*120 198.51.$((20 + i)).1"; done
		echo 'once.learn.example      1 A 198.51.10.1'
		echo 'idle.learn.example      1 A 198.51.10.2'
		echo 'lo.github.com             A 127.0.0.1'
		echo 'gateway.github.com        A 10.88.0.1'
		echo 'resolver.github.com       A 10.89.53.1'
		echo 'metadata.learn.example    A 169.254.169.254'
		echo 'first.learn.example       A 10.89.53.1'
		echo 'many.github.com        A*70 198.51.11.1'
		echo 'synth.learn.example    AAAA 64:ff9b::8c52:7003'
		echo 'hinted.learn.example  HTTPS 1 . alpn=h2 ipv4hint=198.51.10.3'
		echo 'broken.learn.example TYPE65 00010000030001ff'
	} >"$DF_ZONE"
	world_up && image_import && image_build || return
	product_install
}

# In the containers: connects(ADDRESS, PORT) is "ok" or the errno's name; resolve(NAME) is its first address.
PYTHON='
import errno, os, random, socket, sys, time
def connects(address, port=80):
    try:
        socket.create_connection((address, port), 10).close()
        return "ok"
    except OSError as e:
        return errno.errorcode.get(e.errno, str(e))
def resolve(name, family=socket.AF_INET):
    return socket.getaddrinfo(name, 80, family, socket.SOCK_STREAM)[0][4][0]
'

# A worker may still be asking; what is refused then stays so.
is_pinned() { # NAME of a running job, ADDRESS
	job_exec "$1" python3 -c "$PYTHON"'print(connects(sys.argv[1]))' "$2"
	[ "$output" = EPERM ]
}

# --- permissions

@test "default deny: 300 names, each connected to as soon as it is resolved, IPv4 and IPv6" {
	policy deny <<-'POLICY'
		default deny
		keep-learned 1s
		allow *.learn.example
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$PYTHON"'
for family in socket.AF_INET, socket.AF_INET6:
    print(sum(connects(resolve(f"n{i}.learn.example", family)) == "ok" for i in range(1, 301)))
print(connects("203.0.113.99"))'
	expect [ "$output" = $'300\n300\nEPERM' ]
}

@test "default deny: short TTLs over thousands of lookups, while entries lapse all the time" {
	policy deny <<-'POLICY'
		default deny
		keep-learned 1s
		allow *.learn.example
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$PYTHON"'
random.seed(1)
n = refused = 0
end = time.monotonic() + 20
while time.monotonic() < end or n < 3000:
    address = resolve(f"n{random.randrange(1, 301)}.learn.example")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.sendto(b"x", (address, 9999))
        except OSError:
            refused += 1
    n += 1
print(n >= 3000, refused)'
	expect [ "$output" = 'True 0' ]
}

@test "keep-learned: a client that resolves once goes on, one that does not come back is forgotten" {
	policy deny <<-'POLICY'
		default deny
		keep-learned 2s
		allow *.learn.example
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$PYTHON"'
once, idle = resolve("once.learn.example"), resolve("idle.learn.example")
seen = set()
flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
flow.connect((idle, 9999))
stream = socket.create_connection((idle, 9999), 10)
for _ in range(16):
    seen.add(connects(once))
    time.sleep(1)
print(seen, connects(idle))
flow.send(b"x") # what was connected stays so
stream.sendall(b"x")
print(connects(resolve("idle.learn.example")))'
	expect [ "$status" = 0 ]
	expect [ "$output" = $'{\'ok\'} EPERM\nok' ]
	expect_event '.reason == "RawAddress" and .ip == "198.51.10.2" and .blocked'
}

@test "ports of a name: learned for those alone; DNS answers if any is allowed" {
	policy ports <<-'POLICY'
		default deny
		allow ok.example:443
		allow other.example:80/tcp
		block other.example:443
	POLICY
	job -a deployfence.policy=ports -- python3 -c "$PYTHON"'
ok, other = resolve("ok.example"), resolve("other.example")
print(connects(ok, 443), connects(ok, 80), connects(other, 443), connects(other, 80), connects(other, 25))'
	expect [ "$output" = 'ok EPERM EPERM ok EPERM' ]
	expect_event '.event == "connect_blocked" and .reason == "PortNotAllowed" and .domain == "ok.example." and .port == 80 and .rule == "ports.policy:2 allow ok.example:443" and .blocked'
	expect_event '.reason == "PortNotAllowed" and .domain == "other.example." and .port == 25 and .rule == "ports.policy:3 allow other.example:80/tcp"'
	expect_match "$(event_texts)" 'WARN CONNECT BLOCKED reason=PortNotAllowed blocked=true blockedAt=connect domain=ok\.example\. ip=203\.0\.113\.10 port=80 '
	refute_event '.reason == "RawAddress"'
	expect_event '.reason == "AddressOfName" and .domain == "other.example." and .port == 443 and .rule == "ports.policy:4 block other.example:443"'
}

@test "the worker dies in between: known addresses go on, pinned ones stay refused, new ones are learned" {
	policy deny <<-'POLICY'
		default deny
		raw-ip allow
		allow *.learn.example
		block github.com
	POLICY
	local worker round
	job_start -a deployfence.policy=deny -- sleep 1000
	eventually is_pinned "$JOB" 140.82.112.3
	for round in 1 2 3; do
		job_exec "$JOB" python3 -c "$PYTHON"'
print(connects(resolve("n1.learn.example")), connects(resolve("n2.learn.example")))'
		expect [ "$output" = 'ok ok' ]
		worker=$(fence_pid df-worker)
		kill -9 "$worker"
		job_exec "$JOB" python3 -c "$PYTHON"'print(connects("198.51.0.2"), connects("198.51.0.3"), connects("140.82.112.3"))'
		expect [ "$output" = 'ok ok EPERM' ]
		eventually is_other_pid df-worker "$worker"
		job_exec "$JOB" python3 -c "$PYTHON"'
print(connects("140.82.112.3"), connects(resolve(f"n{sys.argv[1]}.learn.example")))' "$((round + 10))"
		expect [ "$output" = 'EPERM ok' ]
	done
	expect_event '.reason == "AddressOfName" and .domain == "github.com." and .ip == "140.82.112.3" and .blocked'
}

@test "more addresses than there is room for: those that are known go on, the others are refused, and that is told" {
	policy deny <<-'POLICY'
		default deny
		allow *.learn.example
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$PYTHON"'
def all_of(name):
    return {a[4][0] for a in socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)}
def refused(addresses):
    n = 0
    for address in addresses:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", (address, 9999))
        except OSError:
            n += 1
    return n
first = resolve("n1.learn.example")
crowds = [all_of(f"crowd{i}.learn.example") for i in range(1, 37)]
known, late = refused(crowds[0] | crowds[20]), refused(set().union(*crowds))
print(sum(map(len, crowds)), known, 4320 - 3072 < late < 4320 - 2976, connects(first))'
	expect [ "$output" = '4320 0 True ok' ]
	expect_event '.event == "table_full" and (.domain | test("^crowd[0-9]+\\.learn\\.example\\.$")) and .ip and .count >= 1'
	expect_event '.reason == "RawAddress" and .blocked'
}

@test "more addresses than there is room for, and fail open: they pass with an event, as does whatever raw-ip would refuse" {
	policy deny <<-'POLICY'
		default deny
		allow *.learn.example
		block 198.51.100.0/24
	POLICY
	job -a deployfence.policy=deny -a deployfence.fail=open -- python3 -c "$PYTHON"'
before = connects("203.0.113.10")
for i in range(1, 37):
    addresses = [a[4][0] for a in socket.getaddrinfo(f"crowd{i}.learn.example", 80, socket.AF_INET, socket.SOCK_STREAM)]
time.sleep(1) # the monitor writes it
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print(before, sum(udp.sendto(b"x", (a, 9999)) for a in addresses), connects(addresses[0]), connects("203.0.113.10"), connects("198.51.100.1"))'
	expect [ "$output" = 'EPERM 120 ok ok EPERM' ]
	expect_event '.event == "table_full" and .count >= 1'
	expect_event '.reason == "RawAddress" and .ip == "203.0.113.10" and .blocked'
	expect_event '.reason == "RawAddress" and (.ip | startswith("198.51.")) and .would_block'
}

@test "the same under default allow: nothing is refused, and nobody need be told" {
	policy allow <<<'block github.com'
	job_start -a deployfence.policy=allow -- sleep 1000
	eventually is_pinned "$JOB" 140.82.112.3
	job_exec "$JOB" python3 -c "$PYTHON"'
addresses = [a[4][0] for i in range(1, 37) for a in socket.getaddrinfo(f"crowd{i}.learn.example", 80, socket.AF_INET, socket.SOCK_STREAM)]
print(len(addresses), connects(addresses[0]), connects(addresses[-1]), connects("140.82.112.3"))'
	expect [ "$output" = '4320 ok ok EPERM' ]
	refute has_event '.event == "table_full"'
}

@test "a table full of what a rule allows: addresses of refused names are still refused under raw-ip allow" {
	policy allow <<-'POLICY'
		pin-blocked on-refusal
		allow *.learn.example
		block github.com
	POLICY
	job_start -a deployfence.policy=allow -- sleep 1000
	job_exec "$JOB" python3 -c "$PYTHON"'
crowds = [socket.getaddrinfo(f"crowd{i}.learn.example", 80, socket.AF_INET, socket.SOCK_STREAM) for i in range(1, 37)]
print(sum(map(len, crowds)), connects("140.82.112.4"), connects(crowds[0][0][4][0]), connects(crowds[35][-1][4][0]))
try:
    resolve("gist.github.com")
except OSError:
    print("refused")'
	expect [ "$output" = $'4320 ok ok ok\nrefused' ]
	expect_event '.event == "table_full"'
	eventually is_pinned "$JOB" 140.82.112.4
	job_exec "$JOB" python3 -c "$PYTHON"'print(connects("198.51.21.1"), connects("203.0.113.10"))'
	expect [ "$output" = 'ok ok' ]
	expect_event '.event == "connect_blocked" and .domain == "gist.github.com." and .ip == "140.82.112.4"'
}

# --- refusals

@test "pin-blocked: listed names from the start, others once they were asked for, none with no" {
	local mode
	for mode in yes on-refusal no; do
		printf '%s\n' "pin-blocked $mode" 'block github.com' | policy "pin-$mode"
		job_start -a deployfence.policy="pin-$mode" -- sleep 1000
		[ "$mode" != yes ] || eventually is_pinned "$JOB" 140.82.112.3
		job_exec "$JOB" python3 -c "$PYTHON"'
for name in "github.com", "gist.github.com":
    try:
        resolve(name)
    except OSError:
        print(name, "refused")'
		expect [ "$output" = $'github.com refused\ngist.github.com refused' ]
		if [ "$mode" = no ]; then
			job_exec "$JOB" python3 -c "$PYTHON"'print(connects("140.82.112.3"), connects("2606:50c0:8000::153"))'
			expect [ "$output" = 'ok ok' ]
			refute world_dns_log ' github\.com '
		else
			eventually is_pinned "$JOB" 140.82.112.3
			eventually is_pinned "$JOB" 140.82.112.4
			eventually is_pinned "$JOB" 2606:50c0:8000::153
			job_exec "$JOB" python3 -c "$PYTHON"'print(connects("64:ff9b::140.82.112.4"), connects("203.0.113.10"))'
			expect [ "$output" = 'EPERM ok' ]
			expect_event '.event == "connect_blocked" and .reason == "AddressOfName" and .domain == "gist.github.com." and .ip == "140.82.112.4" and .rule == "pin-'"$mode"'.policy:2 block github.com"'
			# our own questions are no event of the container's
			expect [ "$(event_lines | jq -s '[.[] | select(.domain == "github.com." and .txid)] | length')" = 1 ]
		fi
		job_stop "$JOB"
		world_mark
		rm -rf "${RUNDIR:?}"
	done
}

@test "pinning waits for a resolver that answers, and never keeps the container waiting" {
	policy pins <<<'block github.com'
	world_dns_mode '* rcode 2'
	job_start -a deployfence.policy=pins -- sleep 1000
	job_exec "$JOB" python3 -c "$PYTHON"'print(connects("140.82.112.3"))'
	expect [ "$output" = ok ]
	world_dns_mode
	eventually is_pinned "$JOB" 140.82.112.3
	job_stop "$JOB"
	world_dns_mode '10.89.53.1 dead'
	job_start -a deployfence.policy=pins -- sleep 1000
	eventually is_pinned "$JOB" 140.82.112.3
}

@test "pinning where the network comes after the hook: --uidmap" {
	policy pins <<<'block github.com'
	job_start -a deployfence.policy=pins -o --uidmap=0:100000:65536 -o --gidmap=0:200000:65536 -- sleep 1000
	eventually is_pinned "$JOB" 140.82.112.3
	job_exec "$JOB" python3 -c "$PYTHON"'print(connects(resolve("ok.example")))'
	expect [ "$output" = ok ]
}

@test "an alias of a refused name pins what it leads to; an address that others share is as shared-address says" {
	local shared
	for shared in allow block; do
		printf '%s\n' "shared-address $shared" 'block github.com' | policy "shared-$shared"
		job_start -a deployfence.policy="shared-$shared" -- sleep 1000
		eventually is_pinned "$JOB" 140.82.112.3
		job_exec "$JOB" python3 -c "$PYTHON"'print(connects(resolve("shared.example")))'
		expect [ "$output" = "$([ "$shared" = allow ] && echo ok || echo EPERM)" ]
		job_stop "$JOB"
	done
	expect_event '.reason == "SharedAddress" and .domain == "github.com." and .ip == "140.82.112.3" and .blocked'
	printf '%s\n' 'pin-blocked on-refusal' 'block github.com' 'allow shared.example' | policy named
	job_start -a deployfence.policy=named -- sleep 1000
	job_exec "$JOB" sh -c 'getent ahosts alias.example; echo "rc=$?"'
	expect [ "$output" = rc=2 ]
	eventually is_pinned "$JOB" 140.82.112.3
	job_exec "$JOB" python3 -c "$PYTHON"'print(connects(resolve("shared.example")))'
	expect [ "$output" = ok ]
	expect_event '.event == "shared_address" and .ip == "140.82.112.3" and .reason == "AllowedByName"'
}

@test "an allowed name that points at a blocked address by NAT64 or in mapped form is refused there" {
	policy pins <<-'POLICY'
		shared-address block
		block github.com
	POLICY
	job_start -a deployfence.policy=pins -- sleep 1000
	eventually is_pinned "$JOB" 140.82.112.3
	job_exec "$JOB" python3 -c "$PYTHON"'
print(connects(resolve("synth.learn.example", socket.AF_INET6)))
print(connects(resolve("rebind-mapped.example", socket.AF_INET6)))
print(connects(resolve("dual.example", socket.AF_INET6)))'
	expect [ "$output" = $'EPERM\nEPERM\nok' ]
}

@test "at most 64 addresses of a name are pinned" {
	policy pins <<<'block many.github.com'
	job_start -a deployfence.policy=pins -- sleep 1000
	eventually is_pinned "$JOB" 198.51.11.1
	job_exec "$JOB" python3 -c "$PYTHON"'
print(sum(connects(f"198.51.11.{i}") == "EPERM" for i in range(1, 71)))'
	expect [ "$output" = 64 ]
}

# --- levers

@test "a blocked zone that points at the inside closes nothing, and that is said once" {
	policy levers <<-'POLICY'
		block lo.github.com
		block gateway.github.com
		block resolver.github.com
		block github.com
		allow 140.82.112.3:80
	POLICY
	job_start -a deployfence.policy=levers -- sleep 1000
	eventually is_pinned "$JOB" 2606:50c0:8000::153
	expect_event '.event == "pin_ignored" and .reason == "Loopback" and .domain == "lo.github.com." and .ip == "127.0.0.1"'
	expect_event '.event == "pin_ignored" and .reason == "Private" and .domain == "gateway.github.com." and .ip == "10.88.0.1"'
	expect_event '.event == "pin_ignored" and .reason == "Resolver" and .domain == "resolver.github.com." and .ip == "10.89.53.1"'
	expect_event '.event == "pin_ignored" and .reason == "AllowedByRule" and .domain == "github.com." and .ip == "140.82.112.3"'
	job_exec "$JOB" python3 -c "$PYTHON"'
print(connects("10.88.0.1", 9), connects("127.0.0.1", 9), connects("10.89.53.1", 80), connects("140.82.112.3", 80))
print(connects("140.82.112.3", 443), resolve("ok.example"))
for _ in range(3):
    try:
        resolve("lo.github.com")
    except OSError:
        pass'
	expect [ "$output" = $'ECONNREFUSED ECONNREFUSED ok ok\nEPERM 203.0.113.10' ]
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "pin_ignored" and .ip == "127.0.0.1")] | length')" = 1 ]
}

@test "DNS rebinding under default deny: an allowed name opens nothing inside but what the policy writes" {
	policy deny <<-'POLICY'
		default deny
		allow *.learn.example
		allow rebind-private.example
		allow rebind-any.example
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$PYTHON"'
print(connects(resolve("metadata.learn.example")), connects(resolve("first.learn.example")))
print(connects(resolve("rebind-private.example"), 9), connects(resolve("n1.learn.example")))
resolve("rebind-any.example")'
	expect [ "$output" = $'EPERM EPERM\nECONNREFUSED ok' ]
	expect_event '.event == "rebinding_ignored" and .reason == "LinkLocal" and .domain == "metadata.learn.example." and .ip == "169.254.169.254"'
	expect_event '.event == "rebinding_ignored" and .reason == "Resolver" and .ip == "10.89.53.1"'
	expect_event '.event == "rebinding_ignored" and .reason == "Unspecified" and .ip == "0.0.0.0"'
	refute has_event '.event == "rebinding_ignored" and .ip == "10.88.0.1"'
	expect_match "$(event_texts)" $'\nWARN rebinding_ignored reason=LinkLocal domain=metadata\\.learn\\.example\\. ip=169\\.254\\.169\\.254 container='
}

# --- resolvers

# A resolver in the container that says 203.0.113.66 whatever it is asked.
LIAR='
import threading
def lie():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind(("127.0.0.1", 53))
    while True:
        query, client = s.recvfrom(512)
        s.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:query.index(0, 12) + 5] +
                 b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\xcb\0\x71\x42", client)
def ask(resolver, name):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    query = b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) + b"\0\0\1\0\1"
    s.sendto(query, (resolver, 53))
    answer = s.recv(512)
    return socket.inet_ntoa(answer[-4:]) if answer[7] else "rcode=%d" % (answer[3] & 15)
threading.Thread(target=lie, daemon=True).start()
time.sleep(0.2)
'

@test "default deny: a query to any resolver is answered by a trusted one, over UDP and TCP" {
	policy deny <<-'POLICY'
		default deny
		allow ok.example
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$PYTHON$LIAR"'
print(ask("127.0.0.1", "ok.example"), ask("9.9.9.9", "ok.example"), connects("203.0.113.10"), connects("203.0.113.66"))'
	expect [ "$output" = '203.0.113.10 203.0.113.10 ok EPERM' ]
	expect_event '.event == "query" and .resolver == "127.0.0.1" and .answered_by == "10.89.53.1" and .answers == ["203.0.113.10"]'
	job -a deployfence.policy=deny -- sh -c 'dig +tcp +short @9.9.9.9 ok.example; curl -sS -m 5 http://203.0.113.10'
	expect_match "$output" $'^203\\.0\\.113\\.10\nhello from'
	refute world_dns_log ' 9\.9\.9\.9 '
}

@test "default allow: an untrusted resolver is asked where its address may be reached, and teaches nothing" {
	policy raw <<-'POLICY'
		raw-ip block
		allow 9.9.9.9
	POLICY
	job -a deployfence.policy=raw -- python3 -c "$PYTHON$LIAR"'
print(ask("127.0.0.1", "ok.example"), connects("203.0.113.66"))
print(ask("9.9.9.9", "ok.example"), connects("203.0.113.10"))
print(ask("9.9.9.10", "ok.example"))
print(connects(resolve("other.example")))'
	expect [ "$output" = $'203.0.113.66 EPERM\n203.0.113.10 EPERM\nrcode=5\nok' ]
	expect_event '.event == "dns_blocked" and .reason == "UntrustedResolver" and .resolver == "9.9.9.10" and .blocked'
	world_dns_log ' 9\.9\.9\.9 ok\.example A '
	refute world_dns_log ' 9\.9\.9\.10 '
}

@test "resolver: those of the policy are trusted, that of resolv.conf is not then" {
	policy raw <<-'POLICY'
		raw-ip block
		resolver 9.9.9.9
		allow 10.89.53.1:53
	POLICY
	job -a deployfence.policy=raw -- python3 -c "$PYTHON$LIAR"'
print(ask("10.89.53.1", "ok.example"), connects("203.0.113.10"))
print(ask("9.9.9.9", "ok.example"), connects("203.0.113.10"))'
	expect [ "$output" = $'203.0.113.10 EPERM\n203.0.113.10 ok' ]
}

@test "audit: every query goes where it was sent, every address can be reached, and all of it is told" {
	policy deny <<-'POLICY'
		mode audit
		default deny
		allow ok.example
		block github.com
	POLICY
	job -a deployfence.policy=deny -- python3 -c "$PYTHON$LIAR"'
print(ask("127.0.0.1", "other.example"), ask("9.9.9.9", "ok.example"))
print(connects("203.0.113.66"), connects("203.0.113.10"), connects(resolve("github.com")), connects("198.51.100.1"))'
	expect [ "$output" = $'203.0.113.66 203.0.113.10\nok ok ok ok' ]
	world_dns_log ' 9\.9\.9\.9 ok\.example A '
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .would_block'
	expect_event '.event == "connect_blocked" and .reason == "AddressOfName" and .domain == "github.com." and .would_block'
	expect_event '.event == "connect_blocked" and .reason == "RawAddress" and .ip == "203.0.113.66" and .would_block'
	refute has_event '.event == "connect_blocked" and .ip == "203.0.113.10"'
}

# --- service bindings

@test "HTTPS records: no hints, no ECH; a target that is blocked blocks the answer; malformed ones fail" {
	policy svcb <<-'POLICY'
		pin-blocked no
		block github.com
	POLICY
	job -a deployfence.policy=svcb -- sh -c '
		for name in svcb.example gitsvc.example aliasmode.example broken.learn.example; do
			echo "$name $(dig +tries=1 +noall +comments "$name" HTTPS | sed -n "s/.*status: \([A-Z]*\),.*/\1/p") $(dig +short "$name" HTTPS)"
		done
		dig +short +tcp svcb.example HTTPS'
	expect_match "$output" $'^svcb\\.example NOERROR 1 \\. alpn="h2,h3"\ngitsvc\\.example NOERROR \naliasmode\\.example NOERROR \nbroken\\.learn\\.example SERVFAIL \n1 \\. alpn="h2,h3"$'
	expect_event '.reason == "FromTargetName" and .domain == "gitsvc.example." and .blocked and .cname_chain == ["github.com."] and .rule == "svcb.policy:2 block github.com"'
	expect_event '.reason == "FromTargetName" and .domain == "aliasmode.example." and .blocked'
}

# Answers to HTTPS questions but for their ids, in hexadecimal digits.
HTTPS='
import socket, sys
for name in sys.argv[1:]:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.sendto(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + b"".join(bytes([len(l)]) + l.encode() for l in name.split(".")) +
             b"\0\0\x41\0\1", ("10.89.53.1", 53))
    print(s.recv(4096)[2:].hex())
'

@test "HTTPS records in audit: octet by octet those of the resolver, and their hints count as answers" {
	policy svcb <<-'POLICY'
		mode audit
		default deny
		block github.com
		allow *.example
	POLICY
	local names=(svcb.example gitsvc.example aliasmode.example broken.learn.example hinted.learn.example) direct
	direct=$(/usr/bin/python3 -c "$HTTPS" "${names[@]}")
	job -a deployfence.policy=svcb -- sh -c "python3 -c '$HTTPS' ${names[*]}; curl -s -o /dev/null http://198.51.10.3"
	expect [ "$(wc -l <<<"$direct")" = 5 ]
	expect [ "$output" = "$direct" ]
	expect_event '.reason == "FromTargetName" and .domain == "gitsvc.example." and .would_block'
	refute has_event '.event == "connect_blocked" and .ip == "198.51.10.3"'
}
