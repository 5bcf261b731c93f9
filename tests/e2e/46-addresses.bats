#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; the containers' scripts are in single quotes
# Rules for addresses and ports, and what happens to addresses that nobody names.

load ../lib/ground
load common

# One line a URL: its host, curl's exit status and how long it took in whole seconds. 7 is "could not connect".
VISIT_URLS='visit() { for url; do curl -gs -m 10 -o /dev/null "$url"; echo "$url rc=$?"; done; }; '

@test "address rules: longest prefix with a matching port, IPv4, IPv6, mapped and NAT64" {
	policy nets <<-'POLICY'
		pin-blocked no
		block 203.0.113.0/24
		allow 203.0.113.10:80
		block 2001:db8:80::/64
		allow [2001:db8:80::10]:80/tcp
	POLICY
	job -a deployfence.policy=nets -- sh -c "$VISIT_URLS"'
		visit http://203.0.113.11 http://203.0.113.10 https://203.0.113.10 http://198.51.100.1 \
			"http://[2001:db8:80::11]" "http://[2001:db8:80::10]" "https://[2001:db8:80::10]" "http://[2001:db8:81::1]" \
			"http://[::ffff:203.0.113.11]" "http://[::ffff:203.0.113.10]" \
			"http://[64:ff9b::203.0.113.11]" "http://[64:ff9b::203.0.113.10]" "http://[64:ff9b::198.51.100.1]"'
	expect_match "$output" 'http://203\.0\.113\.11 rc=7'
	expect_match "$output" 'http://203\.0\.113\.10 rc=0'
	expect_match "$output" 'https://203\.0\.113\.10 rc=7'
	expect_match "$output" 'http://198\.51\.100\.1 rc=0'
	expect_match "$output" 'http://\[2001:db8:80::11\] rc=7'
	expect_match "$output" 'http://\[2001:db8:80::10\] rc=0'
	expect_match "$output" 'https://\[2001:db8:80::10\] rc=7'
	expect_match "$output" 'http://\[2001:db8:81::1\] rc=0'
	expect_match "$output" 'http://\[::ffff:203\.0\.113\.11\] rc=7'
	expect_match "$output" 'http://\[::ffff:203\.0\.113\.10\] rc=0'
	expect_match "$output" 'http://\[64:ff9b::203\.0\.113\.11\] rc=7'
	expect_match "$output" 'http://\[64:ff9b::203\.0\.113\.10\] rc=0'
	expect_match "$output" 'http://\[64:ff9b::198\.51\.100\.1\] rc=0'
	expect_match "$stderr" 'WARN CONNECT BLOCKED reason=AddressRule blocked=true blockedAt=connect ip=203\.0\.113\.11 port=80 .*rule="nets\.policy:2 block 203\.0\.113\.0/24"'
	expect_event '.event == "connect_blocked" and .ip == "203.0.113.10" and .port == 443 and .rule == "nets.policy:2 block 203.0.113.0/24" and .blocked'
	expect_event '.ip == "64:ff9b::cb00:710b" and .reason == "AddressRule" and .blocked'
	refute world_web_log '203\.0\.113\.11'
	world_web_log '203\.0\.113\.10' # the twin
}

@test "address rules in audit: everything connects, and is said to be against the rule" {
	policy nets <<-'POLICY'
		mode audit
		block 203.0.113.0/24
	POLICY
	job -a deployfence.policy=nets -- sh -c "$VISIT_URLS"'visit http://203.0.113.11'
	expect_match "$output" 'http://203\.0\.113\.11 rc=0'
	expect_event '.event == "connect_blocked" and .ip == "203.0.113.11" and .blocked == false and .would_block and .rule == "nets.policy:2 block 203.0.113.0/24"'
}

@test "UDP: a refused destination is an error at sendto, and a connect alone is no attempt" {
	policy nets <<-'POLICY'
		pin-blocked no
		block 203.0.113.0/24
		allow 203.0.113.10:9999/udp
	POLICY
	job -a deployfence.policy=nets -- python3 -c '
import errno, socket
def attempt(what, run):
    try:
        run()
        print(what, "ok")
    except OSError as e:
        print(what, errno.errorcode[e.errno])
udp = lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
attempt("send-refused", lambda: udp().sendto(b"x", ("203.0.113.11", 9999)))
attempt("send-allowed", lambda: udp().sendto(b"x", ("203.0.113.10", 9999)))
attempt("send-port", lambda: udp().sendto(b"x", ("203.0.113.10", 9998)))
attempt("connect", lambda: udp().connect(("203.0.113.11", 443)))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
attempt("mapped", lambda: six.sendto(b"x", ("::ffff:203.0.113.11", 9999)))
both = udp()
both.connect(("203.0.113.10", 9999))
attempt("elsewhere", lambda: both.sendto(b"x", ("203.0.113.11", 9999)))
attempt("peer", lambda: both.send(b"x"))
'
	expect [ "$status" = 0 ]
	expect_match "$output" 'send-refused EPERM'
	expect_match "$output" 'send-allowed ok'
	expect_match "$output" 'send-port EPERM'
	expect_match "$output" 'connect EPERM'
	expect_match "$output" 'mapped EPERM'
	expect_match "$output" 'elsewhere EPERM'
	expect_match "$output" 'peer ok'
	expect_event '.event == "connect_probe" and .ip == "203.0.113.11" and .port == 443'
	refute_event '.event == "connect_blocked" and .port == 443'
	expect_event '.event == "connect_blocked" and .ip == "203.0.113.11" and .port == 9999'
}

# Names of /etc/hosts, and addresses in the open: the line says why nothing is known of them, and what would permit them.
@test "default deny: an address of /etc/hosts is refused with what would allow it, and that allows it" {
	local allowed=() round
	for round in 1 2; do
		{
			printf '%s\n' 'default deny' 'on-leak all warn' 'hint "ask #platform"' 'owner team-net' "${allowed[@]}" 'allow ok.example'
		} | policy hosts
		job -a deployfence.policy=hosts -o --add-host=db.internal:198.51.100.3 -o --add-host=db6.internal:2001:db8:81::3 -- sh -c "$VISIT_URLS"'
			visit http://db.internal http://db6.internal http://203.0.113.10:8080; visit http://ok.example
			python3 -c "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b\"x\", (\"198.51.100.3\", 9999))"'
		expect_match "$output" 'http://ok\.example rc=0' # the twin
		[ "$round" = 1 ] || break
		[ "$(grep -c 'rc=7' <<<"$output")" = 3 ]
		expect_match "$stderr" 'reason=RawAddress [^'$'\n'']*ip=198\.51\.100\.3 port=80 [^'$'\n'']*rule="hosts\.policy raw-ip block"[^'$'\n'']*hint="ask #platform"[^'$'\n'']* remedy="no lookup of the container named this address; to permit it write: allow 198\.51\.100\.3:80 into hosts\.policy"'
		expect_event '.reason == "RawAddress" and .ip == "2001:db8:81::3" and (.remedy | contains("allow [2001:db8:81::3]:80 into hosts.policy")) and .hint == "ask #platform"'
		expect_event '.reason == "RawAddress" and .ip == "198.51.100.3" and .port == 9999 and (.remedy | contains("allow 198.51.100.3:9999/udp into"))'
		mapfile -t allowed < <(event_lines | jq -r 'select(.reason == "RawAddress" and .remedy) | .remedy | capture("write: (?<rule>allow [^ ]+) ").rule' | sort -u)
		expect [ ${#allowed[@]} = 4 ]
		rm -rf "$RUNDIR"
	done
	expect [ "$(grep -c 'rc=0' <<<"$output")" -ge 3 ]
	refute_event '.reason == "RawAddress"'
}

@test "default deny: an address that nobody names is refused, and raw-ip lets it pass or only tells" {
	local raw
	for raw in block allow audit; do
		printf '%s\n' 'default deny' "raw-ip $raw" 'allow 203.0.113.10' | policy "raw-$raw"
		job -a deployfence.policy="raw-$raw" -- sh -c "$VISIT_URLS"'
			visit http://203.0.113.10 http://203.0.113.11; curl -sS -m 5 http://127.0.0.1:9; echo "local rc=$?"'
		expect_match "$output" 'http://203\.0\.113\.10 rc=0'
		expect_match "$output" 'local rc=7' # nobody listens; refused by nobody
		if [ "$raw" = block ]; then
			expect_match "$output" 'http://203\.0\.113\.11 rc=7'
			expect_event '.reason == "RawAddress" and .ip == "203.0.113.11" and .blocked and .rule == "raw-block.policy raw-ip block" and .firewallMethod == "allowlist"'
		else
			expect_match "$output" 'http://203\.0\.113\.11 rc=0'
		fi
		if [ "$raw" = audit ]; then
			expect_event '.reason == "RawAddress" and .ip == "203.0.113.11" and .blocked == false and .would_block'
		fi
		refute_event '.ip == "127.0.0.1"'
	done
}

@test "base policy and shadow: the stricter address rule counts, the shadow's is only told" {
	policy base <<<'block 203.0.113.11'
	policy own <<<'block 203.0.113.12'
	policy next <<<'block 203.0.113.13'
	echo 'base-policy base' >/etc/deployfence/deployfence.conf
	job -a deployfence.policy=own -a deployfence.shadow=next -- sh -c "$VISIT_URLS"'
		visit http://203.0.113.10 http://203.0.113.11 http://203.0.113.12 http://203.0.113.13'
	rm /etc/deployfence/deployfence.conf
	expect_match "$output" 'http://203\.0\.113\.10 rc=0'
	expect_match "$output" 'http://203\.0\.113\.11 rc=7'
	expect_match "$output" 'http://203\.0\.113\.12 rc=7'
	expect_match "$output" 'http://203\.0\.113\.13 rc=0'
	expect_event '.ip == "203.0.113.11" and .blocked and .rule == "base.policy:1 block 203.0.113.11"'
	expect_event '.ip == "203.0.113.12" and .blocked and .rule == "own.policy:1 block 203.0.113.12"'
	expect_event '.event == "shadow" and .ip == "203.0.113.13" and .would_block and .rule == "next.policy:1 block 203.0.113.13"'
}

@test "refuse-with: the errno that the application sees, for connect and for sendto" {
	local name
	for name in EPERM EACCES ECONNREFUSED EHOSTUNREACH ENETUNREACH; do
		printf '%s\n' "refuse-with $name" 'pin-blocked no' 'block 203.0.113.11' | policy "with-$name"
		job -a deployfence.policy="with-$name" -- python3 -c '
import errno, socket
for kind, run in (("tcp", lambda: socket.create_connection(("203.0.113.11", 80), 10)),
                  ("udp", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("203.0.113.11", 9)))):
    try:
        run()
        print(kind, "passed")
    except OSError as e:
        print(kind, errno.errorcode.get(e.errno, e))'
		expect [ "$output" = "tcp $name"$'\n'"udp $name" ]
	done
}

@test "a burst of refusals is one event a second, and the counts add up" {
	policy nets <<<'block 203.0.113.11'
	job -a deployfence.policy=nets -- python3 -c '
import socket
for _ in range(500):
    try:
        socket.create_connection(("203.0.113.11", 80), 10)
        print("passed")
    except OSError:
        pass'
	expect [ "$output" = '' ]
	expect [ "$(jq -s '[.[] | select(.ip == "203.0.113.11" and .blocked) | .count // 1] | add' "$RUNDIR"/*/events.jsonl)" = 500 ]
	expect [ "$(jq -s '[.[] | select(.ip == "203.0.113.11")] | length < 20' "$RUNDIR"/*/events.jsonl)" = true ]
}

@test "more different ports than a fence can tell apart: the container does not start, and is told why" {
	{
		echo 'default deny'
		for port in {1001..1040}; do echo "allow 203.0.113.$((port - 1000)):$port/tcp"; done
	} | policy ports
	job -a deployfence.policy=ports -- true
	expect [ "$status" != 0 ]
	expect_match "$stderr" 'port'
	policy ports < <(echo 'default deny' && for port in {1001..1020}; do echo "allow 203.0.113.10:$port"; done)
	job -a deployfence.policy=ports -- sh -c "$VISIT_URLS"'visit http://203.0.113.10:1021'
	expect [ "$status" = 0 ]
	expect_match "$output" 'rc=7'
}

@test "a line for stderr waits while the script has redirected it" {
	policy nets <<<'block 203.0.113.11'
	job -a deployfence.policy=nets -- sh -c 'python3 -c "
import socket, time
try:
    socket.create_connection((\"203.0.113.11\", 80), 10)
except OSError:
    time.sleep(0.5)
" 2>/dev/null; sleep 1; echo end'
	expect [ "$output" = end ]
	expect_match "$stderr" 'deployfence: WARN CONNECT BLOCKED reason=AddressRule [^'$'\n'']*cmd="python3 '
	refute_event '.event == "stderr_unavailable"'
}

# --- NAT behind the verdict, as kube-proxy and Cilium do it: what the application asked for is what is judged

# In the container: who answered TCP, a connected UDP socket and sendto for an address; or the errno's name.
ASK_ECHO='
import errno, socket, sys
def tcp(address):
    with socket.create_connection((address, 9999), 10) as s:
        return s.makefile().readline().split()[2]
def udp(address, is_connected):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    if is_connected:
        s.connect((address, 9999))
        s.send(b"x")
    else:
        s.sendto(b"x", (address, 9999))
    return s.recv(999).split()[2].decode()
for address in sys.argv[1:]:
    for how, ask in ("tcp", tcp), ("connected", lambda a: udp(a, True)), ("sendto", lambda a: udp(a, False)):
        try:
            print(address, how, ask(address))
        except OSError as error:
            print(address, how, errno.errorcode.get(error.errno, type(error).__name__))
'

policy_nat() {
	policy nat <<-'POLICY'
		default deny
		on-leak all warn
		allow 203.0.113.77
	POLICY
	job_start -a deployfence.policy=nat -- sleep 1000
	expect [ "$status" = 0 ]
}

@test "NAT after connect, by netfilter in the container's namespace: breaks nothing, opens nothing" {
	policy_nat
	nsenter --net="/proc/$(job_pid "$JOB")/ns/net" nft -f - <<-'NFT'
		table ip nat {
			chain output {
				type nat hook output priority -100;
				ip daddr 203.0.113.77 dnat to 198.51.100.9
				ip daddr 203.0.113.78 dnat to 203.0.113.77
			}
		}
	NFT
	job_exec "$JOB" python3 -c "$ASK_ECHO" 203.0.113.77 198.51.100.9 203.0.113.78
	expect [ "$(grep -c '^203\.0\.113\.77 [a-z]* 198\.51\.100\.9$' <<<"$output")" = 3 ]
	expect [ "$(grep -c '^198\.51\.100\.9 [a-z]* EPERM$' <<<"$output")" = 3 ]
	expect [ "$(grep -c '^203\.0\.113\.78 [a-z]* EPERM$' <<<"$output")" = 3 ]
	expect_event '.event == "connect_blocked" and .ip == "198.51.100.9" and .reason == "RawAddress"'
	refute_event '.event == "packet_blocked"'
}

@test "a program of a parent cgroup rewrites what was connected to: it works, and the verdict is about what was asked" {
	local parent kind
	printf '%s\n' '#include <linux/bpf.h>' \
		'#define ADDR(a, b, c, d) __builtin_bswap32((__u32)(a) << 24 | (b) << 16 | (c) << 8 | (d))' \
		'static inline int rewrite(struct bpf_sock_addr *ctx) {' \
		'	if (ctx->user_ip4 == ADDR(203, 0, 113, 77)) ctx->user_ip4 = ADDR(198, 51, 100, 9);' \
		'	else if (ctx->user_ip4 == ADDR(203, 0, 113, 78)) ctx->user_ip4 = ADDR(203, 0, 113, 77);' \
		'	return 1;' '}' \
		'__attribute__((section("cgroup/connect4"), used)) int connect4(struct bpf_sock_addr *ctx) { return rewrite(ctx); }' \
		>"$DF_HOST/rewrite.c"
	clang -O2 -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$DF_HOST/rewrite.o" "$DF_HOST/rewrite.c"
	policy_nat
	parent=$(dirname "$(job_cgroup "$JOB")")
	expect_match "$parent" "^$DF_CGROUP2/." # a cgroup of the ground, never the machine's root
	bpftool prog load "$DF_HOST/rewrite.o" /sys/fs/bpf/rewrite
	bpftool cgroup attach "$parent" connect4 pinned /sys/fs/bpf/rewrite multi
	job_exec "$JOB" python3 -c "$ASK_ECHO" 203.0.113.77 198.51.100.9 203.0.113.78
	bpftool cgroup detach "$parent" connect4 pinned /sys/fs/bpf/rewrite
	rm /sys/fs/bpf/rewrite
	for kind in tcp connected; do
		expect_match "$output" "203\.0\.113\.77 $kind 198\.51\.100\.9"
		expect_match "$output" "198\.51\.100\.9 $kind EPERM"
		expect_match "$output" "203\.0\.113\.78 $kind EPERM"
	done
	expect_match "$output" '203\.0\.113\.77 sendto 203\.0\.113\.77' # no program there
	refute_event '.event == "packet_blocked"'
}
