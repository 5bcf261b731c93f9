#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# The same fence in every network: names are judged, and what is allowed works.

load ../lib/ground
load common

teardown() {
	relay_stop
	podman pod rm -af -t 0 >/dev/null 2>&1 || true
	job_stop_all
	[ ! -e /run/netns/docker ] || job_netns_remove docker
	networks_remove
	end_test
}

# --- a resolver elsewhere: what listens on ADDRESS PORT passes UDP and TCP on to 10.89.53.1

RELAY='
import socket, sys, threading
address, port, log = sys.argv[1], int(sys.argv[2]), open(sys.argv[3], "a", 1)
UP = ("10.89.53.1", 53)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((address, port))
tcp = socket.create_server((address, port))
def name(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
        at += 1 + message[at]
    return ".".join(labels)
def ask(message, client):
    print("UDP", name(message), file=log)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as up:
        up.settimeout(5)
        up.sendto(message, UP)
        udp.sendto(up.recv(65535), client)
def pump(source, sink, first):
    data = source.recv(65535)
    if first and len(data) > 14: print("TCP", name(data[2:]), file=log)
    while data:
        sink.sendall(data)
        data = source.recv(65535)
    sink.close()
def serve():
    while True:
        client, up = tcp.accept()[0], socket.create_connection(UP)
        threading.Thread(target=pump, args=(client, up, True), daemon=True).start()
        threading.Thread(target=pump, args=(up, client, False), daemon=True).start()
threading.Thread(target=serve, daemon=True).start()
print("ready", file=log)
while True:
    threading.Thread(target=ask, args=udp.recvfrom(65535), daemon=True).start()
'

relay_start() { # ADDRESS PORT [COMMAND]…: COMMAND may enter another namespace first
	local address=$1 port=$2
	shift 2
	RELAY_LOG=$DF_HOST/relay.log
	rm -f "$RELAY_LOG"
	"$@" /usr/bin/python3 -c "$RELAY" "$address" "$port" "$RELAY_LOG" >"$DF_HOST/relay.err" 2>&1 </dev/null 3>&- 4>&- &
	RELAY_PID=$!
	eventually grep -q ready "$RELAY_LOG" || { cat "$DF_HOST/relay.err" && return 1; }
}

relay_stop() {
	[ -n "${RELAY_PID:-}" ] || return 0
	kill "$RELAY_PID" 2>/dev/null || true
	wait "$RELAY_PID" 2>/dev/null || true
	RELAY_PID=
}

# --- networks of podman, removed by teardown

network() { # NAME OPTION…
	podman network create "$@" >/dev/null
	echo "$1" >>"$DF_HOST/networks"
}

networks_remove() {
	local name
	[ -e "$DF_HOST/networks" ] || return 0
	while read -r name; do podman network rm -f -t 0 "$name" >/dev/null 2>&1 || true; done <"$DF_HOST/networks"
	rm "$DF_HOST/networks"
}

# Over every family and protocol the blocked name is refused, the allowed one answers.
EVERY_WAY='for ask in "-u4 10.89.53.1" "-t4 10.89.53.1" "-u6 fd00:53::1" "-t6 fd00:53::1"; do
	for name in github.com ok.example; do echo "$ask $name $(mclient $ask $name 2>&1 | tr "\n" " ")"; done
done'

expect_every_way() {
	expect [ "$(grep -Ec '^-[ut][46] [^ ]* github\.com .*rcode=3' <<<"$output")" = 4 ]
	expect [ "$(grep -Ec '^-[ut][46] [^ ]* ok\.example .*address=203\.0\.113\.10' <<<"$output")" = 4 ]
	refute_match "$output" '140\.82|2606:50c0'
}

@test "bridge: every runtime, both families, UDP and TCP" {
	local runtime
	policy_sealed sealed
	for runtime in $DF_RUNTIMES; do
		job -r "$runtime" -a deployfence.policy=sealed -- sh -c "$VISIT; $EVERY_WAY"
		echo "$runtime"
		expect_fenced
		expect_every_way
	done
	refute world_dns_log ' github\.com '
}

@test "host: every runtime is fenced inside, and the host is not" {
	local runtime
	policy_sealed sealed
	for runtime in podman+runc crun runc ctr; do # podman with crun: 20-clients
		world_mark
		job_start -r "$runtime" -n host -a deployfence.policy=sealed -- sleep 1000
		echo "$runtime"
		expect [ "$status" = 0 ]
		job_exec "$JOB" sh -c "$VISIT; $EVERY_WAY"
		expect_fenced
		expect_every_way
		refute world_dns_log ' github\.com '
		expect [ "$(dig +short @10.89.53.1 github.com)" = 140.82.112.3 ]
		expect [ "$(dig +short +tcp @fd00:53::1 github.com)" = 140.82.112.3 ]
		job_stop "$JOB"
		expect_fence_gone
		leftovers_check
	done
}

@test "none: every runtime refuses the blocked name, and a network that comes later is fenced" {
	local runtime pid
	policy_sealed sealed
	for runtime in podman+runc crun runc ctr; do
		job -r "$runtime" -n none -a deployfence.policy=sealed -- sh -c '
			dig +tries=1 @10.89.53.1 github.com; dig +tries=1 @10.89.53.1 ok.example'
		echo "$runtime"
		expect_match "$output" 'status: NXDOMAIN.*EDE: 15.*status: SERVFAIL'
	done
	# CNI by hand, or `podman network connect`: after the fence was built
	job_start -r crun -n none -a deployfence.policy=sealed -- sleep 1000
	pid=$(job_pid "$JOB")
	job_bridge 2>/dev/null || true
	ip link add late type veth peer name eth0 netns "$pid"
	ip link set late master jobs up
	nsenter -t "$pid" -n sh -c 'ip link set eth0 up; ip addr add 10.90.7.7/16 dev eth0; ip route add default via 10.90.0.1'
	job_exec "$JOB" sh -c "$VISIT; mclient -u4 10.89.53.1 ok.example; mclient -t4 10.89.53.1 ok.example"
	job_stop "$JOB"
	ip link del late 2>/dev/null || true
	expect_fenced
	expect [ "$(grep -c '^address=203\.0\.113\.10$' <<<"$output")" = 2 ]
	refute world_dns_log ' github\.com '
}

uidmap() { # RUNTIME: podman configures that network only after the hook
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -o --uidmap=0:100000:65536 -o --gidmap=0:200000:65536 -- sleep 1000
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT; $EVERY_WAY"
	expect_fenced
	expect_every_way
	refute world_dns_log ' github\.com '
	# whoever it is inside, on the host it is this one
	expect_event '.event == "dns_blocked" and .uid == 100000 and .cmd == "curl -sS -m 10 http://github.com "'
	expect [ "$(awk '/^Uid:/ { print $2 }' "/proc/$(job_pid "$JOB")/status")" = 100000 ]
}
@test "podman with crun: --uidmap, whose network comes after the hook" { uidmap podman+crun; }
@test "podman with runc: --uidmap, whose network comes after the hook" { uidmap podman+runc; }

pod_policies() { # RUNTIME
	local first second
	policy_sealed sealed
	policy mine <<-'POLICY'
		mode enforce
		pin-blocked no
		block ok.example
	POLICY
	podman --runtime "$1" pod create --name pod --share-parent=false --infra-image "$DF_IMAGE" --infra-command "sleep 1000" \
		--dns 10.89.53.1 --dns 10.89.53.2 >/dev/null
	pod_run() { # NAME [ANNOTATION]…
		local name=$1 word annotations=()
		shift
		for word in "$@"; do annotations+=(--annotation "$word"); done
		podman --runtime "$RUNTIME" run -d --pod pod --name "$name" "${annotations[@]}" "$DF_IMAGE" sleep 1000 >/dev/null
	}
	RUNTIME=$1
	pod_run first deployfence.policy=sealed
	pod_run second deployfence.policy=mine
	pod_run third
	expect [ "$(for name in first second third; do readlink "/proc/$(podman inspect -f '{{.State.Pid}}' $name)/ns/net"; done | uniq | wc -l)" = 1 ]
	expect [ "$(fence_pid df-worker | wc -l)" = 2 ]

	# at the same time, and again after one of them went
	podman exec first sh -c "$VISIT; $EVERY_WAY" >"$DF_HOST/first" 2>&1 3>&- 4>&- &
	podman exec second sh -c "$VISIT; $EVERY_WAY" >"$DF_HOST/second" 2>&1 3>&- 4>&- &
	wait
	output=$(cat "$DF_HOST/first")
	expect_fenced
	expect_every_way
	output=$(cat "$DF_HOST/second")
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'ok\.example rc=6'
	expect [ "$(grep -Ec '^-[ut][46] [^ ]* github\.com .*address=140\.82\.112\.3' <<<"$output")" = 4 ]
	expect [ "$(grep -Ec '^-[ut][46] [^ ]* ok\.example .*rcode=3' <<<"$output")" = 4 ]
	output=$(podman exec third sh -c "$VISIT" 2>&1)
	expect_unfenced
	# each in its own log, with its own policy's rule
	first=$(podman inspect -f '{{.Id}}' first)
	second=$(podman inspect -f '{{.Id}}' second)
	expect_event ".event == \"dns_blocked\" and .container.id == \"$first\" and .rule == \"sealed.policy:4 block github.com\""
	expect_event ".event == \"dns_blocked\" and .container.id == \"$second\" and .rule == \"mine.policy:3 block ok.example\""
	refute has_event ".event == \"dns_blocked\" and .container.id == \"$first\" and .domain == \"ok.example.\""
	refute has_event ".event == \"dns_blocked\" and .container.id == \"$second\" and .domain == \"github.com.\""

	podman rm -f -t 0 first >/dev/null
	eventually eval '[ "$(fence_pid df-worker | wc -l)" = 1 ]'
	output=$(podman exec second sh -c "$VISIT" 2>&1)
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'ok\.example rc=6'
	output=$(podman exec third sh -c "$VISIT" 2>&1)
	expect_unfenced
	podman pod rm -f -t 0 pod >/dev/null
	expect_fence_gone
}
@test "podman with crun: a pod, two policies in one namespace, each judged by its own" { pod_policies crun; }
@test "podman with runc: a pod, two policies in one namespace, each judged by its own" { pod_policies runc; }

two_networks() { # RUNTIME
	network one --subnet 10.91.1.0/24 --disable-dns
	network two --subnet 10.91.2.0/24 --disable-dns
	policy_sealed sealed
	job_start -r "$1" -n one,two -a deployfence.policy=sealed -- sleep 1000
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT"'
		ip -o -4 addr show; mclient -u4 10.89.53.1 ok.example; mclient -t4 10.89.53.2 ok.example
		for device in eth0 eth1; do python3 -c "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
try:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, sys.argv[1].encode())
    s.sendto(b\"\0\1\1\0\0\1\0\0\0\0\0\0\6github\3com\0\0\1\0\1\", (\"10.89.53.1\", 53))
    print(\"bound\", sys.argv[1], s.recv(512)[3] & 15)
except OSError as e: print(\"bound\", sys.argv[1], type(e).__name__)
" $device; done'
	expect_fenced
	expect [ "$(grep -c ' eth[01] .* 10\.91\.[12]\.' <<<"$output")" = 2 ]
	expect [ "$(grep -c '^address=203\.0\.113\.10$' <<<"$output")" = 2 ]
	expect_match "$output" 'bound eth0 (PermissionError|3).*bound eth1 (PermissionError|3)'
	refute world_dns_log ' github\.com '
	# a third one, later
	network three --subnet 10.91.3.0/24 --disable-dns
	podman network connect three "$JOB"
	job_exec "$JOB" sh -c "$VISIT; ip -o -4 addr show"
	expect_match "$output" '10\.91\.3\.'
	expect_fenced
	refute world_dns_log ' github\.com '
	job_stop "$JOB"
	expect_fence_gone
}
@test "podman with crun: two networks, and one that is connected later" { two_networks podman+crun; }
@test "podman with runc: two networks, and one that is connected later" { two_networks podman+runc; }

@test "custom --dns, with options and a search list; and --dns=none" {
	policy_sealed sealed
	job -a deployfence.policy=sealed -d 198.51.100.53 -d 2001:db8:53::53 -s corp.example -o --dns-option=ndots:5 -- sh -c "$VISIT"'
		cat /etc/resolv.conf; dig +short whoami.ok.example TXT
		getent ahostsv4 wiki; getent ahosts github.com; echo "getent rc=$?"; mclient-musl github.com; echo "musl rc=$?"'
	expect_fenced
	expect_match "$output" 'search corp\.example.*nameserver 198\.51\.100\.53.*nameserver 2001:db8:53::53'
	expect_match "$output" 'resolver=198\.51\.100\.53'
	expect_match "$output" '203\.0\.113\.30'
	expect_match "$output" 'getent rc=2.*musl rc=1'
	refute world_dns_log -i ' github\.com(\.corp\.example)? '
	world_dns_log ' UDP .* 198\.51\.100\.53 wiki\.corp\.example '
	expect_fence_gone
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .resolver == "198.51.100.53"'

	printf 'nameserver 203.0.113.53\n' >"$DF_HOST/resolv.conf"
	output=$(podman run --rm --annotation deployfence.policy=sealed --dns=none -v "$DF_HOST/resolv.conf:/etc/resolv.conf:ro" \
		"$DF_IMAGE" sh -c "$VISIT; dig +short whoami.ok.example TXT" 2>&1 3>&- 4>&-)
	expect_fenced
	expect_match "$output" 'resolver=203\.0\.113\.53'
}

aardvark() { # RUNTIME
	local peer
	cp /etc/resolv.conf "$DF_HOST/resolv.conf.host"
	echo 'nameserver 10.89.53.1' >/etc/resolv.conf # where aardvark takes what it does not know
	network names --subnet 10.91.4.0/24
	policy_sealed sealed
	podman run -d --name peer --network names "$DF_IMAGE" busybox httpd -f -p 80 -h /etc >/dev/null
	peer=$(podman inspect -f '{{.NetworkSettings.Networks.names.IPAddress}}' peer)
	podman --runtime "$1" run -d --name fenced --network names --annotation deployfence.policy=sealed "$DF_IMAGE" sleep 1000 >/dev/null
	output=$(podman exec fenced sh -c "$VISIT"'
		cat /etc/resolv.conf; getent hosts peer; mclient-musl peer; echo "dig $(dig +short peer.dns.podman)" # 1.4 of it has no TCP
		curl -sS -m 5 http://peer/hostname; echo "peer rc=$?"
		getent ahosts github.com; echo "getent rc=$?"; dig +tcp @10.91.4.1 github.com; mclient-musl api.github.com; echo "musl rc=$?"' 2>&1 || true)
	cp "$DF_HOST/resolv.conf.host" /etc/resolv.conf
	podman exec peer sh -c "$VISIT" >"$DF_HOST/peer" 2>&1 || true
	podman rm -f -t 0 fenced peer >/dev/null
	expect_fenced
	expect_match "$output" 'nameserver 10\.91\.4\.1'
	expect_match "$output" "${peer//./\\.} +peer"
	expect_match "$output" $'\n'"${peer//./\\.}"$'\n'"dig ${peer//./\\.}"
	expect_match "$output" 'peer rc=0'
	expect_match "$output" 'getent rc=2.*status: NXDOMAIN.*EDE: 15.*musl rc=1'
	refute_match "$output" '140\.82'
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .resolver == "10.91.4.1"'
	# the neighbour on the same resolver is as free as before
	output=$(cat "$DF_HOST/peer")
	expect_unfenced
	expect_fence_gone
	networks_remove
}
@test "podman with crun: names of aardvark resolve, blocked ones do not" { aardvark crun; }
@test "podman with runc: names of aardvark resolve, blocked ones do not" { aardvark runc; }

@test "a resolver on 127.0.0.53, in the host's network" {
	local runtime
	policy_sealed sealed
	relay_start 127.0.0.53 53
	for runtime in $DF_RUNTIMES; do
		echo "$runtime"
		: >"$RELAY_LOG"
		job_start -r "$runtime" -n host -d 127.0.0.53 -a deployfence.policy=sealed -- sleep 1000
		expect [ "$status" = 0 ]
		job_exec "$JOB" sh -c "$VISIT"'
			cat /etc/resolv.conf; mclient -u4 127.0.0.53 ok.example; mclient -t4 127.0.0.53 ok.example; mclient -um 127.0.0.53 ok.example
			mclient -t4 127.0.0.53 github.com; dig @127.0.0.53 api.github.com; mclient-musl other.example; mclient-musl github.com; echo "musl rc=$?"'
		expect_fenced
		expect_match "$output" 'nameserver 127\.0\.0\.53'
		expect [ "$(grep -c '^address=203\.0\.113\.10$' <<<"$output")" = 3 ]
		expect_match "$output" '203\.0\.113\.11'
		expect_match "$output" 'EDE: 15 \(Blocked\).*musl rc=1'
		refute_match "$output" '140\.82'
		refute grep -q github "$RELAY_LOG"
		grep -q '^UDP ok.example' "$RELAY_LOG"
		grep -q '^TCP ok.example' "$RELAY_LOG"
		expect_event '.event == "dns_blocked" and .domain == "github.com." and .resolver == "127.0.0.53"'
		# whom it serves besides is not judged
		expect [ "$(dig +short @127.0.0.53 github.com)" = 140.82.112.3 ]
		expect [ "$(dig +short +tcp @127.0.0.53 github.com)" = 140.82.112.3 ]
		job_stop "$JOB"
		expect_fence_gone
	done
}

# As dockerd does it: a resolver on a random port of 127.0.0.11 in the container's namespace, reached by DNAT from 53.
docker_resolver() {
	mkdir -p "$DF_HOST/jobs/docker"
	job_netns_add docker
	relay_start 127.0.0.11 39999 nsenter --net=/run/netns/docker
	nsenter --net=/run/netns/docker nft -f - <<-'NFT'
		table ip docker {
			chain output {
				type nat hook output priority -100; policy accept;
				ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:39999
				ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:39999
			}
			chain postrouting {
				type nat hook postrouting priority 100; policy accept;
				ip saddr 127.0.0.11 udp sport 39999 snat to :53
				ip saddr 127.0.0.11 tcp sport 39999 snat to :53
			}
		}
	NFT
}

@test "127.0.0.11 with DNAT in the container's namespace: judged and working" {
	local runtime
	docker_resolver
	policy_sealed sealed
	# the ground: without a fence it works, and the DNAT is what makes it work
	job -r crun -n /run/netns/docker -d 127.0.0.11 -- sh -c "$VISIT"
	expect_unfenced
	grep -q '^UDP github.com' "$RELAY_LOG"
	for runtime in $DF_RUNTIMES; do
		echo "$runtime"
		: >"$RELAY_LOG"
		job -r "$runtime" -n /run/netns/docker -d 127.0.0.11 -a deployfence.policy=sealed -- sh -c "$VISIT"'
			cat /etc/resolv.conf; mclient -u4 127.0.0.11 ok.example; mclient -t4 127.0.0.11 ok.example; mclient -um 127.0.0.11 ok.example
			mclient -t4 127.0.0.11 github.com; dig @127.0.0.11 api.github.com; mclient-musl other.example; mclient-musl github.com; echo "musl rc=$?"'
		expect_match "$output" 'nameserver 127\.0\.0\.11'
		expect_fenced
		expect [ "$(grep -c '^address=203\.0\.113\.10$' <<<"$output")" = 3 ]
		expect_match "$output" '203\.0\.113\.11'
		expect_match "$output" 'EDE: 15 \(Blocked\).*musl rc=1'
		refute_match "$output" '140\.82'
		refute grep -q github "$RELAY_LOG"
		grep -q '^UDP ok.example' "$RELAY_LOG"
		grep -q '^TCP ok.example' "$RELAY_LOG"
		expect_fence_gone
		expect_event '.event == "dns_blocked" and .domain == "github.com." and .resolver == "127.0.0.11"'
	done
}
