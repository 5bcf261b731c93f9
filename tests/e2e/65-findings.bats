#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# What would let a container around its fence: each cause for real, logged or refused as the policy says, beside its twin.

load ../lib/ground
load common

teardown() {
	helper_stop
	podman pod rm -af -t 0 >/dev/null 2>&1 || true
	ip netns del taken 2>/dev/null || true
	rm -rf /run/podman /run/systemd/resolve /srv/sockets
	end_test
}

helper_stop() {
	[ -n "${HELPER:-}" ] || return 0
	kill "$HELPER" 2>/dev/null || true
	wait "$HELPER" 2>/dev/null || true
	HELPER=
}

# Sockets where nobody answers, made by a process that waits: sockets PATH…
sockets() {
	/usr/bin/python3 -c '
import os, socket, sys, time
made = []
for path in sys.argv[1:]:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    made.append(socket.socket(socket.AF_UNIX))
    made[-1].bind(path)
    made[-1].listen()
time.sleep(1000)' "$@" 3>&- 4>&- &
	HELPER=$!
	eventually test -S "${@: -1}"
}

# Execs COMMAND with descriptors 3, 4, … of these kinds: with_fds tcp,unix,… [--listen] COMMAND…
with_fds() {
	exec 3>&- 4>&-
	exec /usr/bin/python3 -c '
import os, socket, sys
kinds, argv = sys.argv[1].split(","), sys.argv[2:]
def make(kind):
    if kind == "file": return os.open("/etc/passwd", os.O_RDONLY)
    if kind == "dir": return os.open("/etc", os.O_RDONLY)
    if kind == "unix": return socket.socketpair()[0].detach()
    if kind == "packet": return socket.socket(socket.AF_PACKET, socket.SOCK_RAW).detach()
    return socket.socket(socket.AF_INET6 if kind == "udp6" else socket.AF_INET,
                         socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM).detach()
made = [os.dup2(make(kind), 100 + i, inheritable=False) for i, kind in enumerate(kinds)]
os.closerange(3, 100)
for i, fd in enumerate(made): os.dup2(fd, 3 + i, inheritable=True)
if argv[0] == "--listen":
    os.environ.update(LISTEN_FDS=str(len(made)), LISTEN_PID=str(os.getpid()))
    argv = argv[1:]
os.execvp(argv[0], argv)' "$@"
}

expect_finding() { # FINDING REGEX-OF-SEEN
	expect_event ".event == \"finding\" and .finding == \"$1\" and (.seen | test(\"$2\")) and (.remedy | length > 10)"
}

findings() { # one line, sorted, of all fences of this test
	event_lines | jq -rs '[.[] | select(.event == "finding") | .finding] | sort | unique | join(" ")'
}

strict() { # FINDING: a policy "strict-FINDING" that refuses it and warns of all others
	policy "strict-$1" <<-POLICY
		default allow
		pin-blocked no
		on-leak all warn
		on-leak $1 refuse
		block github.com
	POLICY
}

# A cause, logged where the policy warns and refused where it refuses: try FINDING REGEX-OF-SEEN JOB-OPTION…
try() {
	local finding=$1 seen=$2
	shift 2
	echo "$finding: $*"
	strict "$finding"
	rm -rf "$RUNDIR" "$REPORTS"
	job "$@" -a deployfence=on -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_finding "$finding" "$seen"
	expect_syslog "WARN finding finding=$finding seen=\""

	job "$@" -a "deployfence.policy=strict-$finding" -- echo ran
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" "refused: finding $finding: "
	expect_match "$stderr" "refused by strict-$finding\.policy: on-leak $finding refuse; "
	case $J_RUNTIME in
	podman+crun) expect_match "$stderr" 'exit code: 78' ;;
	podman+runc) expect_match "$stderr" 'exit status 78' ;;
	esac
	expect_fence_gone

	# audit is inert, and says the same
	rm -rf "$RUNDIR" "$REPORTS"
	job "$@" -a deployfence=audit -a "deployfence.policy=strict-$finding" -- echo ran
	expect [ "$output" = ran ]
	expect_finding "$finding" "$seen"
}

@test "plain containers have no finding: every runtime, with a network and without" {
	local runtime network
	policy strict <<-'POLICY'
		on-leak all refuse
		pin-blocked no
		block github.com
	POLICY
	for runtime in $DF_RUNTIMES; do
		for network in bridge none; do
			echo "$runtime $network"
			job -r "$runtime" -n "$network" -a deployfence.policy=strict -- echo ran
			expect [ "$status" = 0 ]
			expect [ "$output" = ran ]
		done
	done
	for option in -t --user=1234 --read-only --systemd=always --cgroupns=host --uidmap=0:100000:65536; do
		echo "$option"
		job -a deployfence.policy=strict -o "$option" -- echo ran
		expect_match "$output" '^ran'
	done
	job -a deployfence.policy=strict -v /sys/fs/cgroup:/sys/fs/cgroup:ro -e no_proxy=x -- echo ran
	expect [ "$output" = ran ]
	expect [ "$(findings)" = "" ]
}

capabilities() { # RUNTIME
	try cap-net-raw 'CAP_NET_RAW in process\\.capabilities' -r "$1" -c NET_RAW
	try cap-net-admin CAP_NET_ADMIN -r "$1" -c NET_ADMIN
	try cap-sys-admin CAP_SYS_ADMIN -r "$1" -c SYS_ADMIN
	try cap-bpf CAP_BPF -r "$1" -c BPF
}
@test "podman with crun: capabilities" { capabilities podman+crun; }
@test "podman with runc: capabilities" { capabilities podman+runc; }
@test "runc and containerd: a capability" {
	try cap-net-raw CAP_NET_RAW -r runc -c NET_RAW
	try cap-net-admin CAP_NET_ADMIN -r ctr -c NET_ADMIN
}

@test "capabilities in a user namespace of its own: those that only count in the initial one are no finding" {
	job -o --uidmap=0:100000:65536 -c SYS_ADMIN -c BPF -a deployfence=on -- echo ran
	expect [ "$output" = ran ]
	expect [ "$(findings)" = "" ]
	try cap-net-admin CAP_NET_ADMIN -o --uidmap=0:100000:65536 -c NET_ADMIN
}

@test "privileged, under crun and runc; one capability that is as good" {
	try privileged 'CAP_SYS_ADMIN without seccomp' -o --privileged
	expect [ "$(findings)" = "cap-bpf cap-net-admin cap-net-raw cap-sys-admin host-mount privileged tun-device" ]
	try privileged 'CAP_SYS_ADMIN without seccomp' -r podman+runc -o --privileged
	try privileged CAP_DAC_READ_SEARCH -c DAC_READ_SEARCH
	try privileged "CAP_SYS_PTRACE in the host's pid namespace" -o --pid=host -c SYS_PTRACE
}

@test "host-cgroup: what can be written, recursive read-only mounts included" {
	try host-cgroup 'mount /sys/fs/cgroup' -v /sys/fs/cgroup:/sys/fs/cgroup
	try host-cgroup 'mount /sys with /sys/fs/cgroup' -v /sys:/host/sys:ro
	# the twin: it can indeed be written
	job -v /sys:/host/sys:ro -- mkdir /host/sys/fs/cgroup/leak
	expect [ "$status" = 0 ]
	rmdir "$DF_CGROUP2/leak"
	try host-cgroup 'writable cgroup mount at /sys/fs/cgroup' -o --privileged -o --cgroupns=host
	try host-cgroup 'mount /sys/fs/cgroup' -r crun -v /sys/fs/cgroup:/mnt
}

@test "engine-socket and resolver-socket: the socket, what is above it, a link, the host's root" {
	sockets /srv/sockets/app.sock /srv/sockets/engine/docker.sock /run/systemd/resolve/io.systemd.Resolve /run/podman/podman.sock
	ln -s /run/podman/podman.sock /srv/sockets/link
	try engine-socket 'mount /run/podman/podman\\.sock$' -v /run/podman/podman.sock:/engine
	try engine-socket 'mount /run/podman with /run/podman/podman\\.sock' -v /run/podman:/engine:ro
	try engine-socket 'mount /srv/sockets/link' -v /srv/sockets/link:/engine
	try engine-socket 'mount /srv/sockets/engine with docker\\.sock' -v /srv/sockets/engine:/engine
	try resolver-socket 'mount /run/systemd/resolve/io\\.systemd\\.Resolve' -v /run/systemd/resolve/io.systemd.Resolve:/resolve
	try resolver-socket 'mount /run with /run/nscd/socket' -r podman+runc -v /run:/host/run:ro
	try engine-socket 'mount / with /run/podman/podman\\.sock' -r crun -v /:/mnt:ro
	# a directory with an application's own is no finding
	rm -rf "$RUNDIR" "$REPORTS"
	rm /srv/sockets/link
	rm -r /srv/sockets/engine
	job -v /srv/sockets:/sockets -a deployfence=on -- echo ran
	expect [ "$output" = ran ]
	expect [ "$(findings)" = "" ]
}

@test "host-socket: any other socket that is mounted, which is a circumstance" {
	sockets /srv/sockets/app.sock
	try host-socket 'mount /srv/sockets/app\\.sock$' -v /srv/sockets/app.sock:/app.sock
	printf 'default deny\n' | policy closed
	rm -rf "$RUNDIR" "$REPORTS"
	job -v /srv/sockets/app.sock:/app.sock -a deployfence.policy=closed -- echo ran
	expect [ "$output" = ran ]
	expect_event '.event == "finding" and .finding == "host-socket"'
}

@test "tun-device" {
	try tun-device 'device /dev/net/tun' -o --device=/dev/net/tun
	try tun-device 'device /dev/net/tun' -r podman+runc -o --device=/dev/net/tun
	try tun-device 'mount /dev/net/tun' -v /dev/net/tun:/dev/net/tun
	try tun-device 'CAP_MKNOD with the device' -c MKNOD -o '--device-cgroup-rule=c 10:200 rwm'
}

@test "http-proxy: whatever the case, and without the password" {
	try http-proxy 'environment https_proxy=http://…@10\\.0\\.0\\.1:3128$' -e https_proxy=http://user:geheim@10.0.0.1:3128
	refute grep -q geheim "$DF_SYSLOG" <(event_lines)
	job -r crun -e ALL_PROXY=socks5h://10.0.0.1 -a deployfence.policy=strict-http-proxy -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding http-proxy: environment ALL_PROXY=socks5h://10\.0\.0\.1;'
	# as podman hands the host's into containers
	job -a deployfence.policy=strict-http-proxy -o --http-proxy=true -- echo ran
	expect [ "$output" = ran ]
	HTTP_PROXY=http://10.0.0.1:1 job -a deployfence.policy=strict-http-proxy -o --http-proxy=true -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding http-proxy: environment HTTP_PROXY=http://10\.0\.0\.1:1;'
}

@test "loopback-resolver, but not in the host's network" {
	strict loopback-resolver
	job -d 127.0.0.53 -d 10.89.53.1 -a deployfence=on -- echo ran
	expect_finding loopback-resolver 'nameserver 127\\.0\\.0\\.53'
	job -d ::1 -a deployfence.policy=strict-loopback-resolver -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding loopback-resolver: nameserver ::1; refused by '
	job -n host -d 127.0.0.53 -a deployfence.policy=strict-loopback-resolver -- echo ran
	expect [ "$output" = ran ]
}

@test "host-network" {
	local runtime
	for runtime in podman+crun podman+runc crun ctr; do
		try host-network "the host's network namespace" -r "$runtime" -n host
	done
}

shared() { # RUNTIME
	local name=df-shared out=$DF_HOST/shared
	strict shared-netns
	in_neighbour() { # NETWORK-OPTION… : runs two containers, with and without the refusal
		rm -rf "$RUNDIR" "$REPORTS"
		podman --runtime "$RUNTIME" run --rm "$@" --annotation deployfence=on "$DF_IMAGE" echo ran >"$out" 2>&1 3>&- 4>&-
		expect grep -qx ran "$out"
		expect_finding shared-netns 'network namespace of process [0-9]+ '
		! podman --runtime "$RUNTIME" run --rm "$@" --annotation deployfence.policy=strict-shared-netns "$DF_IMAGE" echo ran \
			>"$out" 2>&1 3>&- 4>&-
		expect grep -q 'finding shared-netns: network namespace of process [0-9]* .*refused by strict-shared-netns' "$out"
		refute grep -qx ran "$out"
	}
	RUNTIME=$1
	podman run -d --name $name "$DF_IMAGE" sleep 1000 >/dev/null
	in_neighbour --network "container:$name"
	podman rm -f -t 0 $name >/dev/null
	podman pod create --name pod --share-parent=false --infra-image "$DF_IMAGE" --infra-command "sleep 1000" >/dev/null
	in_neighbour --pod pod
	podman pod rm -f -t 0 pod >/dev/null
}
@test "podman with crun: shared-netns of a container and of a pod" { shared crun; }
@test "podman with runc: shared-netns of a container and of a pod" { shared runc; }

@test "shared-netns: a namespace by name, as long as somebody is in it" {
	strict shared-netns
	ip netns add taken
	ip netns exec taken sleep 1000 3>&- 4>&- &
	HELPER=$!
	eventually eval '[ "$(ip netns pids taken)" != "" ]'
	job -r crun -n /run/netns/taken -a deployfence=on -- echo ran
	expect_finding shared-netns "network namespace of process $(ip netns pids taken) sleep"
	job -r runc -n /run/netns/taken -a deployfence.policy=strict-shared-netns -- echo ran
	expect [ "$output" = "" ]
	helper_stop
	rm -rf "$RUNDIR" "$REPORTS"
	job -r crun -n /run/netns/taken -a deployfence.policy=strict-shared-netns -- echo ran
	expect [ "$output" = ran ]
	expect [ "$(findings)" = "" ]
	# CRI's annotations and path
	job -r crun -n /run/netns/taken -a io.kubernetes.cri.container-type=container -a io.kubernetes.cri.sandbox-name=web-0 \
		-a deployfence=on -- echo ran
	expect_finding shared-netns 'network namespace of pod web-0'
}

passed() { # RUNTIME: of podman
	local out=$DF_HOST/passed
	strict passed-fds
	run() { # KINDS OPTION… : podman's, between "run" and the image
		local kinds=$1
		shift
		(with_fds "$kinds" ${LISTEN:+--listen} podman --runtime "$RUNTIME" run --rm "$@" "$DF_IMAGE" echo ran) >"$out" 2>&1 || true
	}
	RUNTIME=$1
	run tcp,unix --preserve-fds=2 --annotation deployfence=on
	expect grep -qx ran "$out"
	expect_finding passed-fds '^descriptor 3: socket TCP, descriptor 4: socket UNIX-STREAM$'
	run packet,dir --preserve-fds=2 --annotation deployfence.policy=strict-passed-fds
	refute grep -qx ran "$out"
	expect grep -q 'finding passed-fds: descriptor 3: socket PACKET, descriptor 4: directory; refused by ' "$out"
	LISTEN=1 run udp6 --annotation deployfence.policy=strict-passed-fds
	expect grep -q 'finding passed-fds: descriptor 3: socket UDPv6; refused by ' "$out"
	# the twins: files may be handed in, and what is not handed in does not matter
	run file --preserve-fds=1 --annotation deployfence.policy=strict-passed-fds
	expect grep -qx ran "$out"
	run tcp --annotation deployfence.policy=strict-passed-fds
	expect grep -qx ran "$out"
}
@test "podman with crun: passed-fds" { passed crun; }
@test "podman with runc: passed-fds" { passed runc; }

@test "passed-fds: raw runtimes, and a socket as stdin" {
	local runtime out=$DF_HOST/passed
	strict passed-fds
	for runtime in crun runc; do
		echo "$runtime"
		job_parse -r "$runtime" -n none -a deployfence.policy=strict-passed-fds -- echo ran
		job_bundle
		(with_fds tcp,unix,udp6 "$runtime" run --bundle "$J_DIR" "$JOB") 2>&1 | cat >"$out"
		expect grep -qx ran "$out" # not handed on, though crun's init still holds them
		(with_fds file,tcp "$runtime" run --preserve-fds 2 --bundle "$J_DIR" "$JOB") 2>&1 | cat >"$out"
		expect grep -q 'finding passed-fds: descriptor 4: socket TCP; refused by ' "$out"
		(with_fds unix --listen "$runtime" run --bundle "$J_DIR" "$JOB") 2>&1 | cat >"$out"
		expect grep -q 'finding passed-fds: descriptor 3: socket UNIX-STREAM; refused by ' "$out"
	done
	# crun hands stdin on as it is; one of the Unix kind is what systemd gives, too
	job_parse -r crun -n none -a deployfence.policy=strict-passed-fds -- echo ran
	job_bundle
	(with_fds tcp bash -c 'exec "$@" <&3 3>&-' - crun run --bundle "$J_DIR" "$JOB") 2>&1 | cat >"$out"
	expect grep -q 'finding passed-fds: descriptor 0: socket TCP; refused by ' "$out"
	(with_fds unix bash -c 'exec "$@" <&3 3>&-' - crun run --bundle "$J_DIR" "$JOB") 2>&1 | cat >"$out"
	expect grep -qx ran "$out"
}

@test "on-leak: defaults, all, and the stricter of own and base policy" {
	policy open <<<'default allow'
	policy shut <<<'default deny'
	policy mild <<-'POLICY'
		default deny
		on-leak all warn
	POLICY
	policy watching <<-'POLICY'
		mode audit
		on-leak all refuse
	POLICY
	refused_with() { # POLICY REGEX
		job -c NET_ADMIN -e http_proxy=http://p:1 -a "deployfence.policy=$1" -- echo ran
		expect [ "$output" = "" ]
		expect_match "$stderr" "$2"
	}
	starts_with() { # POLICY
		job -c NET_ADMIN -e http_proxy=http://p:1 -a "deployfence.policy=$1" -- echo ran
		expect [ "$output" = ran ]
	}
	starts_with open
	starts_with mild
	starts_with watching
	refused_with shut 'finding cap-net-admin: .*; refused by shut\.policy: on-leak cap-net-admin refuse, as by default with default deny; drop CAP_NET_ADMIN'
	refute_match "$stderr" 'finding http-proxy' # opens nothing by itself
	strict cap-net-admin
	echo 'base-policy strict-cap-net-admin' >/etc/deployfence/deployfence.conf
	refused_with mild 'refused by strict-cap-net-admin\.policy: on-leak cap-net-admin refuse;'
	refused_with watching 'refused by strict-cap-net-admin\.policy' # audit of the one is not audit of the other
	echo 'base-policy watching' >/etc/deployfence/deployfence.conf
	starts_with open
	refused_with shut 'refused by shut\.policy'
	# fail open is for what fails
	job -c NET_ADMIN -a deployfence.policy=shut -a deployfence.fail=open -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding cap-net-admin'
	# and the kill switch goes before everything
	echo 'reason test' >/etc/deployfence/disabled
	starts_with shut
}

@test "findings in the report, in the log and in the schema" {
	job -c NET_RAW -e http_proxy=http://p:1 -a deployfence=on -- sh -c "$VISIT"
	expect_fence_gone
	/usr/bin/python3 "$DF_LIB/validate_events.py" "$DF_LIB/../../docs/events.schema.json" "$RUNDIR"/*/events.jsonl
	output=$(deployfence report)
	expect_match "$output" $'\nfinding cap-net-raw: CAP_NET_RAW in process\\.capabilities\nfinding http-proxy: environment http_proxy=http://p:1\nVERDICT'
	output=$(deployfence report --json | jq -c '.containers[0].findings | map({finding, seen})')
	expect [ "$output" = '[{"finding":"cap-net-raw","seen":"CAP_NET_RAW in process.capabilities"},{"finding":"http-proxy","seen":"environment http_proxy=http://p:1"}]' ]
	expect_match "$(deployfence logs)" 'WARN finding finding=cap-net-raw seen="CAP_NET_RAW in process\.capabilities" remedy="drop CAP_NET_RAW'
}
