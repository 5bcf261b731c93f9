#!/usr/bin/env bats
# shellcheck disable=SC2154 # job sets output, stderr and status
# The ground itself, without the product: if this fails, no other result means anything.

load ../lib/ground

setup_file() {
	world_up && image_import && image_build
	# only the hooks of these tests
	export DF_HOOKS_DIR=$DF_HOST/ground-hooks.d
	mkdir -p "$DF_HOOKS_DIR"
}

resolves_and_fetches() { # RUNTIME
	job -r "$1" -- sh -c 'getent ahostsv4 github.com; curl -sS http://github.com; curl -sS -6 http://ok.example'
	expect [ "$status" = 0 ]
	expect_match "$output" '140\.82\.112\.3'
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'hello from ok\.example \(2001:db8:80::10\)'
	world_dns_log ' UDP .* github\.com A '
	world_web_log ' HTTP .* host=github\.com'
}

@test "podman with crun: an unfenced container resolves and fetches" { resolves_and_fetches podman+crun; }
@test "podman with runc: an unfenced container resolves and fetches" { resolves_and_fetches podman+runc; }
@test "crun: an unfenced container resolves and fetches" { resolves_and_fetches crun; }
@test "runc: an unfenced container resolves and fetches" { resolves_and_fetches runc; }
@test "containerd: an unfenced container resolves and fetches" { resolves_and_fetches ctr; }

@test "the host is private: cgroups, network, configuration" {
	local net mnt pid
	expect [ "$(sed -n 's/^0:://p' /proc/self/cgroup)" = /host ]
	read -r net mnt pid <<<"$DF_MACHINE"
	expect [ "$(readlink /proc/self/ns/net)" != "$net" ]
	expect [ "$(readlink /proc/self/ns/mnt)" != "$mnt" ]
	expect [ "$(readlink /proc/self/ns/pid)" = "$pid" ] # or process ids of the product mean nothing
	expect [ ! -e /etc/deployfence/deployfence.conf ]
	expect [ "$(findmnt -rno FSTYPE --mountpoint "$DF_CGROUP2")" = cgroup2 ]
	logger -t ground "one line"
	sleep 0.1
	grep 'ground: one line' "$DF_SYSLOG"
}

@test "networks none and host" {
	local runtime
	for runtime in $DF_RUNTIMES; do
		job -r "$runtime" -n none -- getent hosts github.com
		expect [ "$status" = 2 ]
		job -r "$runtime" -n host -- curl -sS http://ok.example
		expect_match "$output" 'hello from ok\.example'
	done
}

@test "detached jobs: exec, logs, pid, cgroup, stop" {
	local runtime pid
	for runtime in $DF_RUNTIMES; do
		job_start -r "$runtime" -s corp.example -- sh -c 'echo started; exec sleep 1000'
		expect [ "$status" = 0 ]
		pid=$(job_pid "$JOB")
		expect [ "$(tr '\0' ' ' <"/proc/$pid/cmdline")" = "sleep 1000 " ]
		grep -qx "$pid" "$(job_cgroup "$JOB")/cgroup.procs"
		job_exec "$JOB" sh -c 'getent ahostsv4 wiki; exit 7'
		expect [ "$status" = 7 ]
		expect_match "$output" '203\.0\.113\.30'
		expect_match "$(job_logs "$JOB")" started
		job_stop "$JOB"
		job_wait_gone "$pid"
	done
}

@test "two resolvers in each family, told apart, over UDP and TCP" {
	local resolver
	for resolver in $DF_DNS4 $DF_DNS6; do
		job -d "$resolver" -- sh -c 'dig +short whoami.example TXT; dig +short +tcp whoami.example TXT'
		expect_match "$output" "resolver=$resolver source=[^ ]* port=[0-9]* transport=UDP"
		expect_match "$output" "resolver=$resolver source=[^ ]* port=[0-9]* transport=TCP"
	done
}

@test "answers of every size, truncation and TCP" {
	run dig @10.89.53.1 +noedns +ignore big.example TXT
	expect_match "$output" 'flags: qr aa tc'
	run dig @10.89.53.1 +bufsize=1232 +ignore bigger.example TXT
	expect_match "$output" 'flags: qr aa tc'
	run dig @10.89.53.1 +tcp huge.example TXT
	expect_match "$output" 'MSG SIZE +rcvd: 40[0-9][0-9]'
	run dig @10.89.53.1 +short chain1.example
	expect [ "${lines[3]}" = 140.82.112.4 ]
	run dig @10.89.53.1 nothing.example
	expect_match "$output" 'status: NXDOMAIN.*SOA'
	expect [ "$(dig @10.89.53.1 +short many.example | wc -l)" = 20 ]
}

@test "resolvers that misbehave on request" {
	world_dns_mode '10.89.53.1 dead'
	job -- mclient -u4 10.89.53.1 ok.example
	expect [ "$status" = 2 ]
	job -- mclient-musl ok.example
	expect_match "$output" '203\.0\.113\.10'
	world_dns_mode '* rcode 5 name=github.com' '* wrong-id'
	job -- sh -c 'mclient -u4 10.89.53.1 github.com; mclient -u4 10.89.53.1 ok.example'
	expect_match "$output" 'rcode=5'
	expect_match "$output" 'id=wrong'
}

@test "both C libraries and every kind of socket" {
	local client
	for client in mclient mclient-musl; do
		job -- sh -c "$client github.com; for how in u4 m4 c4 t4 um mm cm tm; do $client -\$how 10.89.53.2 ok.example; done
			for how in u6 m6 c6 t6; do $client -\$how fd00:53::2 ok.example; done"
		expect [ "$status" = 0 ]
		expect_match "$output" '2606:50c0:8000::153'
		expect [ "$(grep -c '^from=10.89.53.2#53$' <<<"$output")" = 2 ]
		expect [ "$(grep -c '^peer=::ffff:10.89.53.2#53$' <<<"$output")" = 2 ]
		expect [ "$(grep -c '^address=203.0.113.10$' <<<"$output")" = 12 ]
	done
}

@test "HTTPS with the world's certificate" {
	job -v "$DF_WORLD/ca.pem:/etc/ca.pem:ro" -- curl -sS --cacert /etc/ca.pem https://ok.example https://api.github.com
	expect [ "$status" = 0 ]
	expect_match "$output" 'hello from ok\.example.*hello from api\.github\.com'
	world_web_log ' TLS .* sni=api\.github\.com'
}

@test "SMTP, SSH, DNS over HTTPS and over TLS, a proxy for HTTP" {
	job -v "$DF_WORLD/ca.pem:/etc/ca.pem:ro" -- sh -c '
		echo QUIT | busybox nc -w 2 203.0.113.3 25
		busybox nc -w 1 203.0.113.3 22 </dev/null
		curl -sS --cacert /etc/ca.pem --doh-url https://ok.example/dns-query http://github.com
		curl -sS -x http://203.0.113.5:3128 http://github.com
		curl -sS -p -x http://203.0.113.5:3128 --cacert /etc/ca.pem https://github.com'
	expect [ "$status" = 0 ]
	expect_match "$output" $'220 world ESMTP\r\n221 bye\r\nSSH-2\.0-world\r'
	expect_match "$output" $'hello from github\\.com \\(140\\.82\\.112\\.3\\)[^\n]*\nhello from github\\.com \\(203\\.0\\.113\\.5\\)[^\n]*\nhello'
	world_web_log ' SMTP .* 203\.0\.113\.3#25 '
	world_web_log ' DOH .* 203\.0\.113\.10#443 '
	world_web_log ' CONNECT .* 203\.0\.113\.5#3128 github\.com:443'
}

@test "packets are recorded where they leave the container and where they arrive" {
	world_sniff_up
	job -c NET_RAW -- sh -c 'curl -sS http://ok.example; ping -c 1 203.0.113.9; ping -6 -c 1 2001:db8:80::77'
	expect [ "$status" = 0 ]
	world_packets ' TCP [^ ]* 203\.0\.113\.10#80 S '
	near_packets ' UDP [^ ]* 10\.89\.53\.1#53 '
	left_packets ' ICMP [^ ]* 203\.0\.113\.9 type=8 '
	left_packets ' ICMPv6 [^ ]* 2001:db8:80::77 type=128 '
	run left_packets '#53 |ARP|type=13[0-9]'
	expect [ "$output" = "" ]
	world_mark
	run left_packets
	expect [ "$output" = "" ]
	world_sniff_down
}

@test "200 queries at once are answered" {
	run bash -c 'for i in {1..200}; do dig +short +tries=1 @10.89.53.1 n$i.corp.example & done | grep -c 203.0.113.30'
	expect [ "$output" = 200 ]
	expect [ "$(world_dns_log 'n[0-9]+\.corp\.example' | wc -l)" = 200 ]
}

@test "a hook sees annotations and refuses; without the annotation it does not run" {
	local runtime
	# shellcheck disable=SC2016 # the hook's own variables
	install_hook 50-refuse 'state=$(cat)
		pid=$(echo "$state" | sed "s/.*\"pid\" *: *\([0-9]*\).*/\1/")
		echo "refused: $(echo "$state" | grep -o "deployfence.owner\":\"[a-z-]*")" | tee -a "/proc/$pid/fd/2" >&2
		exit 78'
	for runtime in $DF_RUNTIMES; do
		job -r "$runtime" -a deployfence=on -a deployfence.owner=team-x -- echo ran
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
		expect_match "$stderr" '78'
		case $runtime in # runc quotes the hook's stderr; of crun's, podman shows its own message alone
		crun | runc | podman+runc | ctr) expect_match "$stderr" 'refused: deployfence.owner":"team-x' ;;
		esac
		job -r "$runtime" -- echo ran
		expect [ "$status" = 0 ]
		expect [ "$output" = ran ]
	done
	rm "$DF_HOOKS_DIR/50-refuse.json"
}

@test "what is left behind is found" {
	local pid
	sleep 100 3>&- &
	pid=$!
	mkdir "$DF_CGROUP2/left"
	mkdir -p /run/deployfence/id
	touch /run/deployfence/id/socket /run/deployfence/id/hook.log
	ip -6 route add local fd99::/96 dev lo
	ip netns add left
	run leftovers_check 0
	expect [ "$status" = 1 ]
	expect_match "$output" "process $pid sleep"
	expect_match "$output" 'cgroup /left'
	expect_match "$output" 'file /run/deployfence/id/socket'
	expect_match "$output" 'route -6 local fd99::/96'
	expect_match "$output" 'netns left'
	expect [ "$(grep -c hook.log <<<"$output")" = 0 ]
	kill "$pid"
	rmdir "$DF_CGROUP2/left"
	rm -r /run/deployfence/id
	ip -6 route del local fd99::/96 dev lo
	ip netns del left
}

@test "what a sanitizer found is shown, and fails once" {
	: >"$DF_FAULTS/fault.1" # made by each instrumented proxy
	run faults_check
	expect [ "$status" = 0 ]
	echo 'runtime error: of a test' >"$DF_FAULTS/fault.2"
	run faults_check
	expect [ "$status" = 1 ]
	expect_match "$output" 'runtime error: of a test'
	run faults_check
	expect [ "$status" = 0 ]
}
