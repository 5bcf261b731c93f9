#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# A fence lives exactly as long as its container, whoever is killed. teardown() looks for what is left of it.

load ../lib/ground
load common

start_fenced() { # RUNTIME [OPTION]…
	local runtime=$1
	shift
	policy_sealed sealed
	job_start -r "$runtime" -a deployfence.policy=sealed "$@" -- sh -c 'trap "" TERM; sleep 1000 & wait; sleep 1000'
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	expect [ "$(fence_pid df-worker | wc -l)" = 1 ]
}

# Asks for the blocked and for the allowed name until the container ends; one word a look-up.
LOOP='while :; do
	getent ahosts github.com >/dev/null && echo LEAK
	if getent ahosts ok.example >/dev/null; then echo ok; else echo none; fi
	sleep 0.02
done'

words() { # WORD: how often the loop has written it
	job_logs "$JOB" | grep -cx "$1"
}

has_more_than() { # WORD NUMBER
	[ "$(words "$1")" -gt "$2" ]
}

ends_with_container() { # RUNTIME
	local how pid
	for how in stop remove kill; do
		start_fenced "$1"
		pid=$(job_pid "$JOB")
		case $how in
		stop) podman stop -t 0 "$JOB" >/dev/null 2>&1 ;;
		remove) podman rm -f -t 0 "$JOB" >/dev/null 2>&1 ;;
		kill) kill -9 "$pid" ;;
		esac
		echo "$how"
		expect_fence_gone
		job_stop "$JOB"
		leftovers_check
	done
}
@test "podman with crun: stop, rm -f and a killed init end the fence" { ends_with_container podman+crun; }
@test "podman with runc: stop, rm -f and a killed init end the fence" { ends_with_container podman+runc; }

conmon_killed() { # RUNTIME
	local conmon pid
	start_fenced "$1"
	pid=$(job_pid "$JOB")
	conmon=$(podman inspect -f '{{.State.ConmonPid}}' "$JOB")
	kill -9 "$conmon"
	job_wait_gone "$conmon"
	# the fence does not hang on it
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	expect [ "$(fence_pid df-worker | wc -l)" = 1 ]
	kill -9 "$pid"
	expect_fence_gone
	expect [ "$(ls "$RUNDIR"/[!@]*/{lock,fence,pid} 2>/dev/null)" = "" ]
	podman_forget "$JOB"
}

# Without conmon, podman takes two attempts to remove a container, and its cgroup stays.
podman_forget() { # NAME
	podman rm -f -t 0 "$1" >/dev/null 2>&1 || podman rm -f -t 0 "$1" >/dev/null 2>&1 || true
	find "$DF_CGROUP2" -depth -name 'libpod-*' -exec rmdir {} +
}
@test "podman with crun: conmon killed, then init: nothing is left" { conmon_killed podman+crun; }
@test "podman with runc: conmon killed, then init: nothing is left" { conmon_killed podman+runc; }

restart_fences_again() { # RUNTIME
	start_fenced "$1"
	podman restart -t 0 "$JOB" >/dev/null 2>&1
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	eventually has_one_worker
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "start")] | length')" = 2 ]
	podman stop -t 0 "$JOB" >/dev/null 2>&1
	expect_fence_gone
	podman start "$JOB" >/dev/null 2>&1
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
}
has_one_worker() { [ "$(fence_pid df-worker | wc -l)" = 1 ]; }
@test "podman with crun: a restarted container is fenced again" { restart_fences_again podman+crun; }
@test "podman with runc: a restarted container is fenced again" { restart_fences_again podman+runc; }

@test "the process that calls podman may die: the fence stays" {
	policy_sealed sealed
	local id
	# a group of its own, killed as a whole: what a CI runner does to a job
	setsid bash -c 'podman --runtime crun run -d --name caller --dns 10.89.53.1 --annotation deployfence.policy=sealed \
		"$DF_IMAGE" sleep 1000; sleep 1000' >/dev/null 2>&1 3>&- 4>&- &
	local caller=$!
	mkdir -p "$DF_HOST/jobs/caller"
	echo podman+crun >"$DF_HOST/jobs/caller/runtime"
	: >"$DF_HOST/jobs/caller/running"
	JOB=caller
	eventually podman exec caller true >/dev/null 2>&1
	kill -9 -- "-$caller"
	job_exec caller sh -c "$VISIT"
	expect_fenced
	# signals of a terminal or a unit do not end it either
	for id in $(fence_processes | cut -d' ' -f1); do kill -TERM "$id" && kill -HUP "$id" && kill -INT "$id"; done
	sleep 0.2
	job_exec caller sh -c "$VISIT"
	expect_fenced
}

worker_killed() { # RUNTIME
	local before round answered
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -o --dns-option=timeout:1 -- sh -c "$LOOP"
	expect [ "$status" = 0 ]
	eventually has_more_than ok 3
	for round in 1 2 3 4 5; do
		before=$(fence_pid df-worker)
		expect [ -n "$before" ]
		kill -9 "$before"
		eventually is_other_pid df-worker "$before"
	done
	answered=$(words ok)
	eventually has_more_than ok "$((answered + 3))"
	expect [ "$(words LEAK)" = 0 ]
	refute world_dns_log ' github\.com '
	expect_event '.event == "worker_restarted"'
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
}
@test "podman with crun: a killed worker comes back, and nothing resolves meanwhile" { worker_killed podman+crun; }
@test "podman with runc: a killed worker comes back, and nothing resolves meanwhile" { worker_killed podman+runc; }

@test "a worker that hangs is replaced" {
	local before
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -- sh -c "$LOOP"
	eventually has_more_than ok 1
	before=$(fence_pid df-worker)
	kill -STOP "$before"
	eventually is_other_pid df-worker "$before"
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	expect [ "$(words LEAK)" = 0 ]
}

@test "a worker that aborts is replaced; a build with sanitizers reports it" {
	local before
	start_fenced podman+crun
	before=$(fence_pid df-worker)
	kill -ABRT "$before"
	eventually is_other_pid df-worker "$before"
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	if is_instrumented; then
		run faults_check
		expect [ "$status" = 1 ]
		expect_match "$output" "==$before==ERROR: AddressSanitizer: ABRT"
	fi
}

@test "a killed reader of /proc comes back, names are judged meanwhile" {
	local before
	start_fenced podman+crun
	before=$(fence_pid df-reader)
	expect [ -n "$before" ]
	kill -9 "$before"
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	job_exec "$JOB" curl -sS -m 10 http://api.github.com
	expect [ "$status" = 6 ]
	expect_event '.event == "dns_blocked" and .domain == "api.github.com." and .cmd == "curl -sS -m 10 http://api.github.com "'
}

monitor_killed() { # RUNTIME
	local monitor
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -o --dns-option=timeout:1 -- sh -c "$LOOP"
	eventually has_more_than ok 1
	monitor=$(fence_pid deployfence-pro)
	expect [ -n "$monitor" ]
	kill -9 "$monitor"
	expect_fence_gone # the worker goes with it
	# DNS is refused, for every name; the rest of the network is as before
	job_exec "$JOB" sh -c "$VISIT; curl -sS -m 10 http://203.0.113.10; dig +tries=1 +time=2 @10.89.53.1 github.com; mclient -t6 fd00:53::1 github.com"
	expect_match "$output" 'github\.com rc=6'
	expect_match "$output" 'ok\.example rc=6'
	expect_match "$output" 'hello from 203\.0\.113\.10'
	refute_match "$output" 'status: NOERROR|140\.82'
	eventually has_more_than none 3
	expect [ "$(words LEAK)" = 0 ]
	refute world_dns_log ' github\.com '
	# the container ends as always, and podman's poststop sweeps
	podman stop -t 0 "$JOB" >/dev/null 2>&1
	podman rm -f -t 0 "$JOB" >/dev/null 2>&1
	leftovers_check
}
@test "podman with crun: monitor killed: DNS is refused, nothing leaks, the next stop sweeps" { monitor_killed podman+crun; }
@test "podman with runc: monitor killed: DNS is refused, nothing leaks, the next stop sweeps" { monitor_killed podman+runc; }

@test "monitor, conmon and init killed: the next start sweeps" {
	local first second
	start_fenced podman+crun -n host # the one network whose route stays
	first=$JOB
	second=$(podman inspect -f '{{.State.ConmonPid}}' "$first")
	kill -9 "$second"
	kill -9 "$(fence_pid deployfence-pro)"
	kill -9 "$(job_pid "$first")"
	expect_fence_gone
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	expect_fence_gone
	expect [ "$(ls "$RUNDIR"/[!@]*/lock "$RUNDIR"/[!@]*/fence 2>/dev/null)" = "" ]
	expect [ "$(ip -6 route show table local | grep -c fd64:6670)" = 0 ]
	podman_forget "$first"
}

@test "a container that is started in the cgroup of a dead one is fenced anew" {
	local bundle
	policy_sealed sealed
	job_start -r crun -a deployfence.policy=sealed -- sleep 1000
	bundle=$DF_HOST/jobs/$JOB
	kill -9 "$(fence_pid deployfence-pro)"
	kill -9 "$(job_pid "$JOB")"
	expect_fence_gone
	# the first one is not deleted: its cgroup stays, and so do the programs there
	expect [ "$(bpftool cgroup show "$DF_CGROUP2/jobs/$JOB" | grep -c fence_connect4)" = 1 ]
	crun run --detach --bundle "$bundle" again </dev/null >/dev/null 2>&1 3>&- 4>&-
	status=0
	output=$(crun exec again sh -c "$VISIT" 2>/dev/null) || status=$?
	# one program of a kind: those of the dead fence would refuse the tokens of the new one
	programs=$(bpftool cgroup show "$DF_CGROUP2/jobs/$JOB")
	crun kill again KILL
	crun delete --force again
	expect_fenced
	expect [ "$(grep -c fence_connect4 <<<"$programs")" = 1 ]
}

@test "fail=open: without a heartbeat DNS passes unfiltered, and it is logged" {
	policy_sealed sealed
	job_start -a deployfence=on -a deployfence.fail=open -a deployfence.policy=sealed -- sleep 1000
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	sleep 2.5 # a heartbeat is there: nothing changes with time
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	kill -9 "$(fence_pid deployfence-pro)"
	eventually resolves_inside
	job_exec "$JOB" sh -c "$VISIT"
	expect_unfenced
	# who let it pass must say so, at the latest when the container has ended
	job_stop "$JOB"
	expect_syslog 'UNFENCED .*container='
	expect_event '.event == "fence_lost" and (.message | test("passed unfiltered \\(fail=open\\)"))'
}
resolves_inside() {
	job_exec "$JOB" sh -c 'curl -sS -m 3 http://github.com'
	[ "$status" = 0 ]
}

@test "a container that ends at once, ten times" {
	local round
	for round in 1 2 3 4 5 6 7 8 9 10; do
		job -r crun -a deployfence=on -- true
		echo "$round"
		expect [ "$status" = 0 ]
	done
	expect_fence_gone
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "stop")] | length')" = 10 ]
}

@test "a command that does not exist leaves nothing, although no poststop is called" {
	local runtime
	for runtime in podman+crun podman+runc crun runc; do
		rm -rf "$RUNDIR"
		job -r "$runtime" -a deployfence=on -- /no/such/command
		expect [ "$status" != 0 ]
		expect_fence_gone
		expect_event '.event == "start"'
		expect_event '.event == "stop"'
	done
}

@test "init ends first in a shared pid namespace: nothing is asked unfenced, and the fence ends" {
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -o --pid=host -- sh -c "$LOOP & exit 0"
	# podman kills the rest of the cgroup; whatever it does, nobody is left unfenced
	expect_fence_gone
	refute world_dns_log ' github\.com '
}

@test "unrelated traffic is not touched" {
	job -a deployfence=on -v "$DF_WORLD/ca.pem:/etc/ca.pem:ro" -- sh -c '
		curl -sS -m 10 http://github.com; echo "github.com rc=$?"
		curl -sS -m 10 --cacert /etc/ca.pem https://ok.example
		curl -sS -m 10 http://203.0.113.99:8080
		curl -sS -m 10 -g "http://[2001:db8:80::10]"
		curl -sS -m 10 http://198.51.100.3 -H "Host: ok.example"
		for port in 7 22 9999; do echo "tcp $port" | timeout 5 busybox nc -w 2 203.0.113.10 $port | tail -1; done
		python3 -c "
import socket
for family, address in ((2, \"203.0.113.10\"), (10, \"2001:db8:80::10\")):
    for port in (7, 123, 443, 9999):
        s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(5)
        s.sendto(b\"udp %d\" % port, (address, port)); print(s.recv(99).decode().split()[-2:])"
		python3 -c "
import socket, threading
s = socket.create_server((\"127.0.0.1\", 53000))
threading.Thread(target=lambda: s.accept()[0].send(b\"loopback\"), daemon=True).start()
print(socket.create_connection((\"127.0.0.1\", 53000)).recv(99).decode())"'
	expect_match "$output" 'github\.com rc=6'
	expect [ "$(grep -c '^hello from' <<<"$output")" = 4 ]
	expect [ "$(grep -c '^tcp [0-9]*$' <<<"$output")" = 3 ]
	expect [ "$(grep -c "^\['udp', '[0-9]*'\]$" <<<"$output")" = 8 ]
	expect_match "$output" 'loopback$'
}

# --- port 53 past the redirect

evasions() { # RUNTIME
	local device
	policy_sealed sealed
	device=(-v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -c NET_RAW)
	# without a fence these ways do lead to the blocked name
	job -r "$1" "${device[@]}" -- python3 /probe.py evade 10.89.53.1 fd00:53::1 github.com eth0
	expect [ "$(grep -c ': rcode=0 140.82.112.3$' <<<"$output")" -gt 10 ]
	world_dns_log ' github\.com ' >/dev/null

	world_mark
	job -r "$1" "${device[@]}" -a deployfence.policy=sealed -- sh -c '
		python3 /probe.py evade 10.89.53.1 fd00:53::1 github.com eth0
		echo ===; python3 /probe.py evade 10.89.53.1 fd00:53::1 ok.example lo'
	expect_match "$output" $'(^|\n)plain: rcode=3\n'
	expect_match "$output" $'\ndevice-udp: EPERM\ndevice-udp6: EPERM\ndevice-tcp: EPERM\n'
	expect_match "$output" $'\nraw: (EPERM|EACCES)\nraw6: (EPERM|EACCES)\n'
	expect_match "$output" $'\nudplite: EPERM\n'
	expect_match "$output" $'\nunicast-if: EPERM\nunicast-if6: EPERM\npktinfo: EPERM\npktinfo6: EPERM\npktinfo-connected: EPERM\n'
	expect_match "$output" $'\nreconnected: rcode=3\n'
	expect_match "$output" $'\nfast-open: rcode=3\n'
	refute_match "$output" '140\.82'
	refute world_dns_log ' github\.com '
	# and what is no evasion is answered: the same calls over lo
	local how
	for how in plain device-udp device-tcp unicast-if pktinfo pktinfo-connected fast-open reconnected; do
		expect_match "$output" $'\n'"$how: rcode=0 203\.0\.113\.10"$'\n'
	done
	expect_fence_gone
	expect_event '.event == "socket_blocked" and .reason == "RawSocket" and (.cmd | startswith("python3 /probe.py evade"))'
	expect_event '.event == "connect_blocked" and .reason == "BoundDevice" and .blocked == true and .port == 53 and .ip == "10.89.53.1"'
	expect_event '.event == "connect_blocked" and .reason == "UnsupportedProtocol" and .blocked == true and .port == 53'
	expect_event '.event == "packet_blocked" and .reason == "EvadedRedirect" and .blocked == true'
	expect_match "$stderr" 'deployfence: WARN CONNECT BLOCKED reason=BoundDevice blocked=true blockedAt=connect ip=10\.89\.53\.1 port=53 pid=[0-9]+ cmd="python3 /probe\.py evade '
}
@test "podman with crun: port 53 by devices, raw sockets and other ways is refused" { evasions podman+crun; }
@test "podman with runc: port 53 by devices, raw sockets and other ways is refused" { evasions podman+runc; }

@test "audit lets all of it pass and says so" {
	job -a deployfence=audit -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -c NET_RAW -- \
		python3 /probe.py evade 10.89.53.1 fd00:53::1 github.com eth0
	expect_match "$output" $'(^|\n)plain: rcode=0 140\.82\.112\.3\n'
	expect_match "$output" $'\ndevice-udp: rcode=0 140\.82\.112\.3\n'
	# sockets and messages that choose an interface are not redirected, so nothing of theirs is lost
	local how
	for how in unicast-if unicast-if6 pktinfo pktinfo6; do
		expect_match "$output" $'\n'"$how: rcode=0 140\.82\.112\.3"$'\n'
	done
	# but for a message of a connected socket, which no program sees: deployfence-hook(8), CAVEATS
	expect_match "$output" $'\npktinfo-connected: (silence|EPERM)\n'
	expect_match "$output" $'\nraw: rcode=0 140\.82\.112\.3\n'
	refute_match "$stderr" deployfence
	expect_fence_gone
	expect_event '.reason == "RawSocket" and .blocked == false and .would_block == true'
	expect_event '.reason == "EvadedRedirect" and .blocked == false and .would_block == true'
	expect_event '.reason == "BoundDevice" and .blocked == false and .would_block == true and .ip == "fd00:53::1"'
}

LINK_LOCAL='
import socket
index = socket.if_nametoindex("eth0")
for kind, way in ((socket.SOCK_DGRAM, "udp"), (socket.SOCK_STREAM, "tcp")):
    sock = socket.socket(socket.AF_INET6, kind)
    sock.setblocking(False)
    try:
        to = ("fe80::1", 53, 0, index)
        sock.sendto(b"x" * 12, to) if way == "udp" else sock.connect(to)
        print(way, "sent")
    except OSError as error:
        print(way, error.errno)'

# Its scope would be lost with the address that takes its place, and the query would leave by another interface.
@test "a link-local resolver is refused at once; audit lets it pass and says so" {
	policy_sealed sealed
	job -a deployfence.policy=sealed -- python3 -c "$LINK_LOCAL"
	expect [ "$output" = $'udp 1\ntcp 1' ] # EPERM
	expect_fence_gone
	expect_event '.event == "connect_blocked" and .reason == "LinkLocalResolver" and .blocked == true and .ip == "fe80::1" and .port == 53'
	rm -rf "$RUNDIR"
	job -a deployfence=audit -a deployfence.policy=sealed -- python3 -c "$LINK_LOCAL"
	expect [ "$output" = $'udp sent\ntcp 115' ] # EINPROGRESS
	expect_fence_gone
	expect_event '.event == "connect_blocked" and .reason == "LinkLocalResolver" and .blocked == false and .would_block == true'
	refute_event '.blocked == true'
}

@test "the addresses and the port of the proxy belong to nobody in the container" {
	job -a deployfence=on -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- python3 /probe.py reserved
	expect_match "$output" '^proxy port: found'
	expect_match "$output" 'own server: connected'
	expect [ "$(grep -c '^[a-z]* 127\.\(192\|200\|255\)\.[0-9.]* \(own\|proxy\): EPERM$' <<<"$output")" = 18 ]
	expect_match "$output" $'\nmapped: EPERM\n'
	expect_match "$output" $'\nsendto 127\.0\.0\.1 proxy: (silence|ECONNREFUSED|EPERM)\n'
	expect [ "$(grep -c '^bind \(udp\|tcp\) .*: EADDRINUSE$' <<<"$output")" = 8 ]
	expect_match "$output" $'\nbind elsewhere: bound'
	expect_event '.reason == "ReservedAddress" and .blocked == true and .ip == "127.200.0.1" and (.cmd | startswith("python3 /probe.py reserved"))'
}

@test "sandbox: the worker has no capability and a filter, the reader can only look, and names are still judged" {
	local pids pid name
	job_start -a deployfence=on -- sh -c 'curl -sS http://ok.example; curl -sS http://github.com; sleep 60'
	expect_event '.event == "dns_blocked" and .cmd != null'
	mapfile -t pids < <(cat "$DF_CGROUP2"/deployfence/*/cgroup.procs)
	expect [ ${#pids[@]} = 3 ]
	! is_instrumented || return 0 # the runtime of sanitizers needs more
	for pid in "${pids[@]}"; do
		name=$(cat "/proc/$pid/comm")
		expect_match "$(cat "/proc/$pid/status")" 'NoNewPrivs:[[:space:]]1'
		case $name in
		df-worker)
			expect_match "$(cat "/proc/$pid/status")" 'CapPrm:[[:space:]]0{16}'$'\n''CapEff:[[:space:]]0{16}'
			expect_match "$(cat "/proc/$pid/status")" 'Seccomp:[[:space:]]2'
			refute_match "$(find "/proc/$pid/fd" -printf '%l\n')" '/run/deployfence/[^@]|/sys/|/proc/|deployfence-meta'
			;;
		df-reader)
			# cap_dac_read_search and cap_sys_ptrace
			expect_match "$(cat "/proc/$pid/status")" 'CapPrm:[[:space:]]0{11}80004'
			expect_match "$(cat "/proc/$pid/status")" 'Seccomp:[[:space:]]2'
			;;
		*)
			refute_match "$(cat "/proc/$pid/status")" 'CapPrm:[[:space:]]000001f'
			;;
		esac
	done
}
