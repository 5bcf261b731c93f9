#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Who is believed to be a resolver: only the one that was asked, none that the container can be, and none that appears in a
# file which the payload can write.

load ../lib/ground
load common

# --- only the resolver answers the proxy

# The forged answer has an address that no zone has.
FORGED=192.0.2.66

# The attack goes on for ten seconds; meanwhile a client of the same container has its answers.
UNDER_ATTACK='
	spoof $RESOLVER ok.example 192.0.2.66 10 >/tmp/spoof & attack=$!
	sleep 0.5
	for i in 1 2 3 4 5 6 7 8 9 10; do mclient -$HOW $RESOLVER other.example; sleep 0.2; done
	wait $attack; cat /tmp/spoof'

expect_unspoofed() {
	expect_match "$output" 'accepted=0 answered=[1-9][0-9]* sent=[1-9][0-9]* sockets=[1-9]'
	expect [ "$(grep -c '^address=203.0.113.11$' <<<"$output")" = 10 ]
	refute_match "$output" "${FORGED//./\\.}"
	expect_event '.event == "forged_answers" and .count > 100'
}

@test "a payload that answers in an IPv6 resolver's name: no answer is taken, true ones go on arriving" {
	local runtime
	policy_sealed sealed
	for runtime in crun podman+crun; do
		echo "$runtime"
		job -r "$runtime" -d fd00:53::1 -a deployfence.policy=sealed -e RESOLVER=fd00:53::1 -e HOW=u6 -- sh -c "$UNDER_ATTACK"
		expect_unspoofed
		job -r "$runtime" -d fd00:53::1 -a deployfence.policy=sealed -e RESOLVER=fd00:53::1 -e HOW=t6 -- sh -c "$UNDER_ATTACK"
		expect_unspoofed
	done
}

@test "a payload with CAP_NET_RAW that answers in an IPv4 resolver's name: no answer is taken, true ones go on arriving" {
	policy_sealed sealed
	job -r crun -c NET_RAW -d 10.89.53.1 -a deployfence.policy=sealed -e RESOLVER=10.89.53.1 -e HOW=u4 -- sh -c "$UNDER_ATTACK"
	expect_unspoofed
}

@test "a neighbour in the network namespace, fenced itself, that answers in the resolver's name: no answer is taken" {
	local neighbour netns
	policy_sealed sealed
	job_start -r crun -d fd00:53::1 -a deployfence.policy=sealed -- sleep 1000
	expect [ "$status" = 0 ]
	neighbour=$JOB
	netns=/run/netns/$JOB
	job_start -r crun -n "$netns" -d fd00:53::1 -a deployfence.policy=sealed -- \
		spoof fd00:53::1 ok.example $FORGED 10 watch
	expect [ "$status" = 0 ]
	world_dns_mode '* delay 1500 name=ok.example' # there is time to guess
	job_exec "$neighbour" sh -c 'for round in 1 2 3 4 5 6; do
		for i in 1 2 3 4 5 6 7 8 9 10 11 12; do mclient -u6 fd00:53::1 ok.example & done; wait; done'
	expect_match "$output" 'address=203\.0\.113\.10'
	refute_match "$output" "${FORGED//./\\.}"
	eventually grep -q '^accepted' "$DF_HOST/jobs/$JOB/stdout" >/dev/null
	expect_match "$(job_logs "$JOB")" 'sent=[1-9][0-9]* sockets=[1-9]'
	expect_event '.event == "forged_answers"'
	job_stop "$JOB"
	job_stop "$neighbour"
}

# The fence asks for a name that it has refused, the resolver is silent about it, and somebody else is not.
@test "forged answers to the fence's own questions: the address that they name stays free" {
	printf '%s\n' 'default allow' 'pin-blocked on-refusal' 'block github.com' | policy pins
	world_dns_mode '* dead name=github.com'
	job -r crun -d fd00:53::1 -a deployfence.policy=pins -- sh -c '
		spoof fd00:53::1 github.com 203.0.113.10 14 watch & attack=$!
		mclient -u6 fd00:53::1 github.com
		wait $attack
		curl -sS -m 5 http://203.0.113.10/; echo "curl rc=$?"'
	expect_match "$output" 'sent=[1-9][0-9]* sockets=[1-9]'
	expect_match "$output" 'curl rc=0'
	# the twin: an address that the resolver names is refused
	world_dns_mode
	job -r crun -d fd00:53::1 -a deployfence.policy=pins -- sh -c '
		mclient -u6 fd00:53::1 github.com; sleep 1
		curl -sS -m 5 http://140.82.112.3/; echo "curl rc=$?"'
	expect_match "$output" 'curl rc=7'
}

# --- no resolver that the container can be

# A namespace whose addresses are known.
own_netns() {
	mkdir -p "$DF_HOST/jobs/own"
	job_netns_add own
	ip -n own addr add 10.90.99.9/16 dev eth0
	ip -n own addr add fd00:90::99/64 dev eth0 nodad
}

teardown() {
	[ ! -e /run/netns/own ] || job_netns_remove own
	end_test
}

# What the payload does with a resolver that it is itself; ADDRESS is in resolv.conf. mclient's last letter: 4, 6, m.
LIE='
	python3 /liar.py 203.0.113.66 >/tmp/liar & while ! grep -q lying /tmp/liar; do sleep 0.05; done
	case $ADDRESS in *.*) over=4 ;; *:*) over=6 ;; esac; address=${ADDRESS#::ffff:}
	for how in u t; do
		echo "$how: $(echo $(mclient -$how$over $address ok.example))"
		curl -sS -m 5 http://203.0.113.66/; echo "$how curl rc=$?"
	done; kill $!'

lie() { # ADDRESS JOB-OPTION…
	job -r crun -n /run/netns/own -d "$1" -e "ADDRESS=$1" -v "$BATS_TEST_DIRNAME/liar.py:/liar.py:ro" "${@:2}" -- sh -c "$LIE"
}

# Where it answers to.
NEAR=('allow 10.90.0.0/16' 'allow fd00:90::/64')

LOCAL="127.0.0.1 127.0.0.11 127.9.9.9 0.0.0.0 :: ::1 ::ffff:127.0.0.1 10.90.99.9 fd00:90::99"

@test "default deny: a resolver that the container can be is not asked, teaches nothing and is a finding" {
	local address
	own_netns
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	for address in $LOCAL; do
		echo "$address"
		rm -rf "$RUNDIR"
		lie "$address" -a deployfence.policy=deny
		refute_match "$output" 'address=203'
		expect [ "$(grep -c 'curl rc=7' <<<"$output")" = 2 ]
		expect_event '.event == "dns_blocked" and .domain == "ok.example." and .reason == "NoTrustedResolver"'
		expect_event ".event == \"finding\" and .finding == \"loopback-resolver\" and .seen == \"nameserver ${address#::ffff:}\""
	done
}

@test "default deny: with another resolver in the file that one is asked instead" {
	own_netns
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	lie 10.90.99.9 -d 10.89.53.1 -a deployfence.policy=deny
	expect [ "$(grep -c 'address=203\.0\.113\.10$' <<<"$output")" = 2 ]
	expect [ "$(grep -c 'curl rc=7' <<<"$output")" = 2 ]
	expect_event '.event == "query" and .domain == "ok.example." and .answered_by == "10.89.53.1"'
}

@test "default allow: a resolver that the container can be is asked, and teaches nothing" {
	local address
	own_netns
	printf '%s\n' 'default allow' 'raw-ip block' "${NEAR[@]}" 'block github.com' | policy raw
	for address in $LOCAL; do
		echo "$address"
		lie "$address" -a deployfence.policy=raw
		expect [ "$(grep -c 'address=203\.0\.113\.66$' <<<"$output")" = 2 ]
		expect [ "$(grep -c 'curl rc=7' <<<"$output")" = 2 ]
	done
	# the twin: a resolver outside of it teaches
	job -r crun -d 10.89.53.1 -a deployfence.policy=raw -- sh -c 'curl -sS -m 5 http://203.0.113.10/; echo "rc=$?"
		mclient -u4 10.89.53.1 ok.example; curl -sS -m 5 http://203.0.113.10/; echo "rc=$?"'
	expect_match "$output" 'rc=7.*rc=0'
}

@test "a resolver statement names it: it is believed" {
	local address
	own_netns
	for address in 127.0.0.1 ::1 10.90.99.9 fd00:90::99; do
		echo "$address"
		printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' "${NEAR[@]}" "resolver $address" | policy named
		lie "$address" -a deployfence.policy=named
		expect [ "$(grep -c 'address=203\.0\.113\.66$' <<<"$output")" = 2 ]
		expect [ "$(grep -c 'curl rc=0' <<<"$output")" = 2 ]
	done
}

@test "an address that the namespace gets after the start: from then on its resolver is not believed" {
	local policy
	own_netns
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	printf '%s\n' 'default allow' 'raw-ip block' 'block github.com' | policy raw
	for policy in deny raw; do
		echo "$policy"
		ip -n own addr del 10.89.53.2/32 dev lo 2>/dev/null || true
		job_start -r crun -n /run/netns/own -d 10.89.53.2 -a deployfence.policy=$policy \
			-v "$BATS_TEST_DIRNAME/liar.py:/liar.py:ro" -- python3 /liar.py 203.0.113.66
		expect [ "$status" = 0 ]
		job_exec "$JOB" sh -c 'mclient -u4 10.89.53.2 ok.example; mclient -t4 10.89.53.2 ok.example'
		expect [ "$(grep -c 'address=203\.0\.113\.10$' <<<"$output")" = 2 ]
		eventually grep -q lying "$DF_HOST/jobs/$JOB/stdout" >/dev/null
		ip -n own addr add 10.89.53.2/32 dev lo
		job_exec "$JOB" sh -c 'mclient -t4 10.89.53.2 ok.example; mclient -u4 10.89.53.2 ok.example
			curl -sS -m 5 http://203.0.113.66/; echo "curl rc=$?"'
		expect [ "$(grep -c '^rcode=' <<<"$output")" = 2 ] # nobody is left without an answer
		expect_match "$output" 'curl rc=7'
		[ $policy = raw ] || refute_match "$output" 'address=203\.0\.113\.66'
		job_stop "$JOB"
	done
}

@test "podman --dns=none and an image's own resolv.conf: as any other" {
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	podman run --name own --dns=none "$DF_IMAGE" sh -c 'echo nameserver 127.0.0.1 >/etc/resolv.conf' 3>&- 4>&-
	podman commit -q own own-resolv 3>&- 4>&- >/dev/null
	podman rm -f own >/dev/null
	output=$(podman run --rm --dns=none --annotation deployfence.policy=deny -v "$BATS_TEST_DIRNAME/liar.py:/liar.py:ro" \
		-e ADDRESS=127.0.0.1 own-resolv sh -c "cat /etc/resolv.conf; $LIE" 2>&1 3>&- 4>&-)
	podman rmi -f own-resolv >/dev/null
	expect_match "$output" 'nameserver 127\.0\.0\.1'
	refute_match "$output" 'address=203'
	expect [ "$(grep -c 'curl rc=7' <<<"$output")" = 2 ]
	expect_event '.event == "finding" and .finding == "loopback-resolver"'
}

# --- resolvers that appear or change after the start

# A bundle under crun that is created and not started, its resolv.conf as bound: rw or ro. Sets JOB and J_DIR.
create() { # rw|ro COMMAND…
	job_parse -r crun -d 198.51.100.53 -a deployfence.policy=deny -- "${@:2}"
	job_bundle
	if [ "$1" = rw ]; then
		jq '(.mounts[] | select(.destination == "/etc/resolv.conf") | .options) -= ["ro"]' "$J_DIR/config.json" >"$J_DIR/new"
		mv "$J_DIR/new" "$J_DIR/config.json"
	fi
	crun create --bundle "$J_DIR" --pid-file "$J_DIR/pid" "$JOB" </dev/null >"$J_DIR/stdout" 2>"$J_DIR/stderr" 3>&- 4>&-
	: >"$J_DIR/running"
}

write() { # ADDRESS: in place, as engines do
	echo "nameserver $1" >"$DF_HOST/jobs/$JOB/resolv.conf"
}

# Which resolver has answered the fence, whichever was asked.
asked() {
	job_exec "$JOB" dig +short +tries=2 +time=3 whoami.ok.example TXT
	sed -n 's/.*resolver=\([^ ]*\).*/\1/p' <<<"$output"
}

expect_asked() { # ADDRESS
	local got
	got=$(asked)
	[ "$got" = "$1" ] && return 0
	echo "resolver $got has answered, not $1"
	event_lines
	expect false
}

is_asked() { # ADDRESS
	[ "$(asked)" = "$1" ]
}

n_told() {
	event_lines | jq -s '[.[] | select(.event == "resolvers_changed")] | length'
}

@test "resolv.conf written between create and start: counts, and with every worker" {
	local worker
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	create rw sleep 1000
	write 203.0.113.53
	sleep 0.5
	crun start "$JOB"
	expect_asked 203.0.113.53
	worker=$(fence_pid df-worker)
	kill -9 "$worker"
	eventually is_other_pid df-worker "$worker" >/dev/null
	expect_asked 203.0.113.53
	expect [ "$(n_told)" = 0 ]
}

@test "resolv.conf written after the start, where the payload can write it: told once, and not believed" {
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	create rw sleep 1000
	crun start "$JOB"
	expect_asked 198.51.100.53
	write 203.0.113.53
	expect_event '.event == "resolvers_changed" and (.message | contains("203.0.113.53")) and (.message | contains("restart the container"))'
	expect_syslog 'resolvers_changed .*203\.0\.113\.53'
	expect_asked 198.51.100.53
	# by the payload itself, many times: nothing but one more line
	job_exec "$JOB" sh -c 'for i in 1 2 3 4 5 6 7 8 9; do echo "nameserver 203.0.113.$i" >/etc/resolv.conf; sleep 0.5; done'
	expect_asked 198.51.100.53
	expect [ "$(n_told)" -le 2 ]
}

@test "resolv.conf written after the start, where the payload cannot write it: counts" {
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	create ro sleep 1000
	crun start "$JOB"
	expect_asked 198.51.100.53
	write 203.0.113.53
	eventually is_asked 203.0.113.53
	expect [ "$(n_told)" = 0 ]
}

# conmon's own clean-up may be at it in the same moment, and then podman finds a mount busy.
remove() { # CONTAINER…
	podman rm -f -t 0 "$@" >/dev/null 2>&1 || { sleep 1 && podman rm -f -t 0 "$@" >/dev/null; }
}

# aardvark knows the other container's name; the resolver that podman wrote before the network was there does not.
late_network() { # RUNTIME
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow peer' 'allow ok.example' | policy deny
	cp /etc/resolv.conf "$DF_HOST/resolv.conf.host"
	echo 'nameserver 10.89.53.1' >/etc/resolv.conf
	podman network create --subnet 10.91.7.0/24 late >/dev/null
	podman run -d --name peer --network late "$DF_IMAGE" sleep 1000 >/dev/null
	podman --runtime "$1" run -d --name fenced --network late --uidmap=0:100000:65536 --gidmap=0:200000:65536 \
		--annotation deployfence.policy=deny "$DF_IMAGE" sleep 1000 >/dev/null
	output=$(podman exec fenced sh -c 'cat /etc/resolv.conf; getent ahostsv4 peer.dns.podman; getent ahostsv4 peer; getent ahostsv4 github.com; echo "rc=$?"' 2>&1) || true
	cp "$DF_HOST/resolv.conf.host" /etc/resolv.conf
	remove fenced peer
	podman network rm -f late >/dev/null
	expect_match "$output" 'nameserver 10\.91\.7\.1'
	expect_match "$output" '10\.91\.7\.[0-9]+ +STREAM peer'
	expect_match "$output" 'rc=2'
	expect [ "$(n_told)" = 0 ]
	expect_fence_gone
}
@test "podman with crun: --uidmap, whose resolver comes after the hook" { late_network crun; }
@test "podman with runc: --uidmap, whose resolver comes after the hook" { late_network runc; }

@test "podman network connect: told where the payload can write resolv.conf, believed with --read-only" {
	local option
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	podman network create --subnet 10.91.7.0/24 first >/dev/null
	podman network create --subnet 10.91.8.0/24 second >/dev/null
	for option in --read-only=false --read-only; do
		echo "$option"
		rm -rf "$RUNDIR"
		podman run -d --name fenced --network first $option --annotation deployfence.policy=deny "$DF_IMAGE" sleep 1000 >/dev/null
		podman network connect second fenced
		podman network disconnect first fenced
		if [ "$option" = --read-only ]; then
			sleep 3
			expect [ "$(n_told)" = 0 ]
		else
			expect_event '.event == "resolvers_changed" and (.message | contains("10.91.8.1"))'
		fi
		output=$(podman exec fenced sh -c 'cat /etc/resolv.conf; mclient -u4 10.91.8.1 ok.example' 2>&1) || true
		expect_match "$output" 'nameserver 10\.91\.8\.1'
		[ "$option" != --read-only ] || expect_match "$output" 'address=203\.0\.113\.10'
		remove fenced
		expect_fence_gone
	done
	podman network rm -f first second >/dev/null
}

# --- Docker's resolver

# As dockerd has it: at a random port of 127.0.0.11 in the container's namespace, reached by DNAT from 53.
docker_resolver() {
	own_netns
	nsenter --net=/run/netns/own /usr/bin/python3 -c '
import socket
here, there = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
here.bind(("127.0.0.11", 39999))
there.connect(("10.89.53.1", 53))
while True:
    query, client = here.recvfrom(4096)
    there.send(query)
    here.sendto(there.recv(4096), client)' 3>&- 4>&- &
	RELAY=$!
	nsenter --net=/run/netns/own nft -f - <<-'NFT'
		table ip docker {
			chain output {
				type nat hook output priority -100; policy accept;
				ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:39999
			}
			chain postrouting {
				type nat hook postrouting priority 100; policy accept;
				ip saddr 127.0.0.11 udp sport 39999 snat to :53
			}
		}
	NFT
	mkdir -p "$DF_HOST/docker-hooks"
	jq '.hook.args = ["deployfence", "--engine=docker"]' /usr/share/containers/oci/hooks.d/50-deployfence.json \
		>"$DF_HOST/docker-hooks/50-deployfence.json"
}

docker_resolver_end() {
	kill "$RELAY"
	wait "$RELAY" 2>/dev/null || true
}

@test "Docker's 127.0.0.11: believed with --engine=docker, and not without" {
	docker_resolver
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	job -r crun -n /run/netns/own -d 127.0.0.11 -a deployfence.policy=deny -- sh -c 'mclient -u4 127.0.0.11 ok.example'
	refute_match "$output" 'address='
	expect_event '.event == "finding" and .finding == "loopback-resolver"'
	rm -rf "$RUNDIR"
	DF_HOOKS_DIR=$DF_HOST/docker-hooks job -r crun -n /run/netns/own -d 127.0.0.11 -a deployfence.policy=deny -- sh -c '
		mclient -u4 127.0.0.11 ok.example; curl -sS -m 5 http://203.0.113.10/; echo "curl rc=$?"'
	docker_resolver_end
	expect_match "$output" 'address=203\.0\.113\.10.*curl rc=0'
	refute has_event '.event == "finding" and .finding == "loopback-resolver"'
}

# Its port 53 is nobody's: the payload binds it, and talks first to every port that the proxy can have.
@test "Docker's 127.0.0.11: a payload that takes its place by connection tracking is not believed" {
	docker_resolver
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	DF_HOOKS_DIR=$DF_HOST/docker-hooks job -r crun -n /run/netns/own -d 127.0.0.11 -a deployfence.policy=deny -- python3 -c '
import socket, subprocess
RECORD = b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4" + socket.inet_aton("203.0.113.66")
liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
liar.bind(("127.0.0.11", 53))
sent = 0
for port in range(32768, 61000):
    try:
        sent += liar.sendto(b"x", ("127.0.0.1", port))
    except OSError:
        pass
liar.settimeout(0.2)
for i in range(4):
    client = subprocess.Popen(["mclient", "-u4", "127.0.0.11", "ok.example"])
    try:
        while True:
            query, to = liar.recvfrom(4096)
            end = query.index(b"\0", 12) + 5
            liar.sendto(query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:end] + RECORD, to)
            print("lied", flush=True)
    except OSError:
        pass
    client.wait()
print("sent", sent)'
	docker_resolver_end
	refute_match "$output" 'address=203\.0\.113\.66'
	expect_event '.event == "forged_answers"'
}

# As the DNS capture of a service mesh: what goes to the resolver is led to a process of the namespace.
@test "a DNAT that leads DNS to a process of the namespace: dropped with an event, and in audit as without a fence" {
	local mode
	docker_resolver
	nsenter --net=/run/netns/own nft -f - <<-'NFT'
		flush table ip docker
		table ip docker {
			chain output {
				type nat hook output priority -100; policy accept;
				ip daddr 10.89.53.2 udp dport 53 dnat to 127.0.0.11:39999
			}
		}
	NFT
	nsenter --net=/run/netns/own sysctl -qw net.ipv4.conf.all.route_localnet=1
	policy_sealed sealed
	for mode in off audit enforce; do
		echo "$mode"
		job -r crun -n /run/netns/own -d 10.89.53.2 -a "deployfence=$mode" -a deployfence.policy=sealed -- \
			mclient -u4 10.89.53.2 ok.example
		if [ $mode = enforce ]; then
			refute_match "$output" 'address='
		else
			expect_match "$output" 'address=203\.0\.113\.10'
		fi
		[ $mode = off ] || expect_event '.event == "forged_answers" and (.message | contains("DNAT"))'
		rm -rf "$RUNDIR"
	done
	docker_resolver_end
}
