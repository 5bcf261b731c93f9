#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# The same fence in every network: names are judged, and what is allowed works.

load /work/main/tests/lib/ground
load /work/main/tests/e2e/common

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
