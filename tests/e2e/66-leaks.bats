#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# What a fence stands on, attacked by way of the host: its processes, its cgroup, programs above it, its files.

load ../lib/ground
load common

teardown() {
	local pid
	helper_stop
	for pid in $(fence_pid deployfence-pro); do kill -CONT "$pid" || true; done
	podman pod rm -af -t 0 >/dev/null 2>&1 || true
	podman rm -af -t 0 >/dev/null 2>&1 || true
	[ -z "${SLICE:-}" ] || slice_down
	umount "$DF_HOST"/leaks-other/{bind,var} 2>/dev/null || true
	end_test
}

helper_stop() {
	[ -n "${HELPER:-}" ] || return 0
	kill "$HELPER" 2>/dev/null || true
	wait "$HELPER" 2>/dev/null || true
	HELPER=
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

# Logged by a policy that warns, refused by one that refuses, and said in audit, where nothing is refused.
try() { # FINDING REGEX-OF-SEEN JOB-OPTION…
	local finding=$1 seen=$2
	shift 2
	echo "$finding: $*"
	strict "$finding"
	rm -rf "$RUNDIR" "$REPORTS"
	job "$@" -a deployfence=on -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_finding "$finding" "$seen"
	job "$@" -a "deployfence.policy=strict-$finding" -- echo ran
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" "refused: finding $finding: .*refused by strict-$finding\.policy: on-leak $finding refuse; "
	expect_fence_gone
	rm -rf "$RUNDIR" "$REPORTS"
	job "$@" -a deployfence=audit -a "deployfence.policy=strict-$finding" -- echo ran
	expect [ "$output" = ran ]
	expect_finding "$finding" "$seen"
}

# The twin: with every finding refused it starts, is fenced, and nothing is said.
try_none() { # JOB-OPTION…
	echo "none: $*"
	policy strict <<-'POLICY'
		default allow
		pin-blocked no
		on-leak all refuse
		block github.com
	POLICY
	rm -rf "$RUNDIR" "$REPORTS"
	job "$@" -a deployfence.policy=strict -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_event '.event == "start"'
	expect [ "$(findings)" = "" ]
}

# --- its processes

# Unprivileged root in the host's pid namespace, nothing but the fence in its way.
HOST_PID=(-o --pid=host -o --security-opt=seccomp=unconfined)

@test "the proxy's processes can neither be read nor steered by root of a container that sees them" {
	local name pid
	job_start "${HOST_PID[@]}" -a deployfence=on -- sleep 1000
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	# the twin: a process of root without a capability, as the worker is
	setpriv --bounding-set=-all --inh-caps=-all sleep 1000 3>&- 4>&- &
	HELPER=$!
	eventually grep -q '^CapPrm:.0000000000000000' "/proc/$HELPER/status"
	job_exec "$JOB" intrude "$HELPER"
	expect_match "$output" 'ptrace-attach ok'
	expect_match "$output" 'successes 13$'
	for name in deployfence-pro df-worker df-reader; do
		eventually test -n "$(fence_pid $name)"
		for pid in $(fence_pid $name); do
			job_exec "$JOB" intrude "$pid" "$([ $name = df-worker ] && echo 10 || echo 1)"
			echo "$name: $output"
			expect_match "$output" 'ptrace-attach Operation not permitted'
			expect_match "$output" 'successes 0$'
		done
	done
	# a worker that was started again is no exception
	pid=$(fence_pid df-worker)
	kill -9 "$pid"
	eventually is_other_pid df-worker "$pid"
	job_exec "$JOB" intrude "$(fence_pid df-worker)"
	expect_match "$output" 'successes 0$'
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	job_stop "$JOB"
}

@test "the hook, too, while it runs" {
	local fifo=$DF_HOST/state-fifo
	[ -p "$fifo" ] || mkfifo "$fifo"
	job_start "${HOST_PID[@]}" -- sleep 1000
	# it waits for its state; without a capability, or these alone would keep the container out
	setpriv --bounding-set=-all --inh-caps=-all "$HOOK" <"$fifo" 3>&- 4>&- &
	HELPER=$!
	exec 9>"$fifo"
	eventually grep -q '^Name:.deployfence' "/proc/$HELPER/status"
	eventually grep -q '^State:.S' "/proc/$HELPER/status"
	job_exec "$JOB" intrude "$HELPER"
	exec 9>&-
	expect_match "$output" 'successes 0$'
	job_stop "$JOB"
}

@test "host-pid and shared-pid: findings" {
	local runtime
	for runtime in podman+crun podman+runc; do
		try host-pid "^the host's pid namespace$" -r "$runtime" -o --pid=host
		podman run -d --name neighbour "$DF_IMAGE" sleep 1000 >/dev/null 3>&- 4>&-
		try shared-pid '^pid namespace of process [0-9]+ sleep$' -r "$runtime" -o --pid=container:neighbour
		podman rm -f -t 0 neighbour >/dev/null
		try_none -r "$runtime"
	done
}

@test "shared-pid: a pod that shares it, and one that does not" {
	local out=$DF_HOST/pod
	strict shared-pid
	podman pod create --name pod --share-parent=false --share=net,pid --infra-image "$DF_IMAGE" --infra-command "sleep 1000" >/dev/null
	podman run --rm --pod pod --annotation deployfence.policy=strict-shared-pid "$DF_IMAGE" echo ran >"$out" 2>&1 3>&- 4>&- || true
	expect grep -q 'finding shared-pid: pid namespace of ' "$out"
	refute grep -qx ran "$out"
	podman pod rm -f -t 0 pod >/dev/null
	podman pod create --name pod --share-parent=false --share=net --infra-image "$DF_IMAGE" --infra-command "sleep 1000" >/dev/null
	podman run --rm --pod pod --annotation deployfence.policy=strict-shared-pid "$DF_IMAGE" echo ran >"$out" 2>&1 3>&- 4>&-
	expect grep -qx ran "$out"
	podman pod rm -f -t 0 pod >/dev/null
}

@test "default deny refuses both" {
	printf 'default deny\n' | policy deny
	job -o --pid=host -a deployfence.policy=deny -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding host-pid: .*on-leak host-pid refuse, as by default with default deny; '
	job -a deployfence.policy=deny -- echo ran
	expect [ "$output" = ran ]
}

# Stops the monitor from inside, waits longer than a heartbeat may be old, and asks for what is refused.
STOP='kill -STOP $MONITOR; sleep 4; for i in 1 2 3; do curl -sS -m 5 http://github.com; done; curl -sS -m 5 http://140.82.112.3'

@test "a container that sees the proxy cannot open its fence by stopping it: fail=open does not count" {
	local monitor
	policy open <<-'POLICY'
		pin-blocked no
		block github.com
		block 140.82.112.3
	POLICY
	for monitor in inside outside; do
		job_start -a deployfence.policy=open -a deployfence.fail=open \
			-o "$([ $monitor = inside ] && echo --pid=host || echo --read-only)" -- sleep 1000
		expect [ "$status" = 0 ]
		eventually test -n "$(fence_pid deployfence-pro)"
		job_exec "$JOB" curl -sS -m 10 http://ok.example
		expect_match "$output" hello
		if [ $monitor = inside ]; then
			job_exec -e MONITOR="$(fence_pid deployfence-pro)" "$JOB" sh -c "$STOP"
			refute_match "$output" hello
			expect_finding host-pid "^the host's pid namespace, so fail=open does not count, and the fence fails closed$"
		else # the twin, stopped by the host
			kill -STOP "$(fence_pid deployfence-pro)"
			job_exec -e MONITOR=0 "$JOB" sh -c "${STOP#*;}"
			expect_match "$output" 'hello from github\.com'
		fi
		kill -CONT "$(fence_pid deployfence-pro)"
		job_stop "$JOB"
		expect_fence_gone
	done
	# nor is it started without a fence
	policy broken <<<'nonsense'
	job -a deployfence.policy=broken -a deployfence.fail=open -o --pid=host -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'fail=open does not count for a container that sees the processes of others'
	job -a deployfence.policy=broken -a deployfence.fail=open -- echo ran
	expect [ "$output" = ran ]
	# audit is inert
	job -a deployfence.policy=broken -a deployfence=audit -o --pid=host -- echo ran
	expect [ "$output" = ran ]
}

# --- its cgroup

# Leaves the cgroup where it was put for one beside it, for the root of what it sees, and for one below; visits from each.
MOVE='mkdir -p /sys/fs/cgroup/free && for to in free . container/below free/a/b; do
	mkdir -p /sys/fs/cgroup/$to && echo $$ >/sys/fs/cgroup/$to/cgroup.procs && echo "moved to $(sed -n s/^0:://p /proc/self/cgroup)"
	'"$VISIT"'
done'

expect_moved_and_fenced() {
	expect_match "$output" 'moved to /free'
	expect_match "$output" $'moved to /\n'
	expect_match "$output" 'moved to /free/a/b'
	expect_match "$output" 'hello from ok\.example'
	expect_match "$output" 'github\.com rc=6'
	refute_match "$output" 'hello from github'
}

@test "run.oci.delegate-cgroup: the fence stands at the root of the cgroup namespace, not where init is put" {
	local delegated
	for delegated in sub /deep//./er/; do
		echo "$delegated"
		# the twin: it can indeed move
		job -a "run.oci.delegate-cgroup=$delegated" -o --systemd=always -- sh -c "$MOVE"
		expect_match "$output" $'moved to /free\nhello from github\.com'
		job -a "run.oci.delegate-cgroup=$delegated" -o --systemd=always -a deployfence=on -- sh -c "$MOVE"
		expect_moved_and_fenced
		expect_fence_gone
	done
	# without a namespace, and without a way to write: what enters later stands above init
	job_start -a run.oci.delegate-cgroup=sub -o --cgroupns=host -a deployfence=on -- sleep 1000
	expect [ "$status" = 0 ]
	expect_match "$(job_cgroup "$JOB")" '/sub$'
	job_exec "$JOB" sh -c "cat /proc/self/cgroup; $VISIT"
	expect_fenced
	job_stop "$JOB"
	# a process that is attributed, wherever it stands
	rm -rf "$RUNDIR"
	job -a run.oci.delegate-cgroup=sub -o --systemd=always -a deployfence=on -- sh -c "$MOVE"
	expect_event '.event == "dns_blocked" and (.cmd | test("curl"))'
}

@test "run.oci.delegate-cgroup with the host's cgroup namespace and its cgroups to write: host-cgroup" {
	strict host-cgroup
	job -a run.oci.delegate-cgroup=sub -o --cgroupns=host -o --privileged -a deployfence.policy=strict-host-cgroup -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding host-cgroup: '
}

@test "--systemd=always and nested cgroups that the payload makes stay fenced, in every runtime" {
	local runtime option
	for runtime in podman+crun podman+runc; do
		job -r "$runtime" -o --systemd=always -- sh -c "$MOVE"
		expect_match "$output" $'moved to /free\nhello from github\.com'
		try_none -r "$runtime" -o --systemd=always
		job -r "$runtime" -o --systemd=always -a deployfence=on -- sh -c "$MOVE"
		expect_moved_and_fenced
		for option in --cgroupns=private --cgroupns=host --cgroups=no-conmon; do
			try_none -r "$runtime" -o "$option"
		done
	done
}

@test "a cgroup namespace whose root is not the container's alone: host-cgroup where it can write there" {
	local ns=$DF_CGROUP2/jobs-shared runtime
	mkdir -p "$ns"
	(
		echo "$BASHPID" >"$ns/cgroup.procs"
		exec unshare --cgroup sleep 1000 3>&- 4>&-
	) &
	HELPER=$!
	eventually grep -q '^0::/jobs-shared' "/proc/$HELPER/cgroup"
	eventually grep -q '^Name:.sleep' "/proc/$HELPER/status"
	strict host-cgroup
	for runtime in crun runc; do
		job_parse -r "$runtime" -n none -a deployfence.policy=strict-host-cgroup -- sh -c 'mkdir -p /sys/fs/cgroup/x; cat /proc/self/cgroup; echo ran'
		job_bundle
		jq '(.linux.namespaces[] | select(.type == "cgroup")).path = "/proc/'"$HELPER"'/ns/cgroup" | (.mounts[] | select(.type == "cgroup")).options -= ["ro"]' \
			"$J_DIR/config.json" >"$J_DIR/new" && mv "$J_DIR/new" "$J_DIR/config.json"
		job_capture "$runtime" run --bundle "$J_DIR" "$JOB"
		refute_match "$output" ran
		expect_match "$stderr$(cat "$RUNDIR"/*/hook.log 2>/dev/null)" 'finding host-cgroup: '
		job_forget "$JOB"
	done
	helper_stop
	rmdir "$ns"
}

# --- programs of others on its cgroup's parents

# A program of a type that a fence has too, attached to a cgroup: attach CGROUP TYPE multi|override|exclusive [RESULT]
attach() {
	local section program=$DF_HOST/foreign.o pin=/sys/fs/bpf/foreign-$2
	case $2 in
	egress) section=cgroup_skb/egress ;;
	sock_create) section=cgroup/sock_create ;;
	*) section=cgroup/$2 ;;
	esac
	printf '%s\n' '#include <linux/bpf.h>' "__attribute__((section(\"$section\"), used))" \
		"int f_$2(void *ctx) { return ${4:-1}; }" '__attribute__((section("license"), used)) char gpl[] = "GPL";' >"$DF_HOST/foreign.c"
	clang -O2 -target bpf -I"/usr/include/$(uname -m)-linux-gnu" -c -o "$program" "$DF_HOST/foreign.c"
	bpftool prog load "$program" "$pin"
	# shellcheck disable=SC2046 # no word for an exclusive one
	bpftool cgroup attach "$1" "$2" pinned "$pin" $([ "$3" = exclusive ] || echo "$3")
	rm "$pin"
}

# Below a slice of its own, with raw runtimes: in_slice RUNTIME JOB-OPTION… -- COMMAND…
in_slice() {
	local runtime=$1
	shift
	job_parse -r "$runtime" "$@"
	job_bundle
	jq --arg path "/leak.slice/$JOB" '.linux.cgroupsPath = $path' "$J_DIR/config.json" >"$J_DIR/new"
	mv "$J_DIR/new" "$J_DIR/config.json"
	job_capture "$runtime" run --bundle "$J_DIR" "$JOB"
	job_forget "$JOB"
}

slice_up() {
	SLICE=$DF_CGROUP2/leak.slice
	mkdir -p "$SLICE"
}

slice_down() { # and with it what is attached
	find "$SLICE" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

@test "a parent's program with ALLOW_OVERRIDE or exclusive: 69 that names it, and it stays in force" {
	local runtime how type
	for runtime in crun runc; do
		for how in override exclusive; do
			for type in egress sock_create connect4 connect6 sendmsg4 sendmsg6 recvmsg4 recvmsg6 getpeername4 getpeername6; do
				[ "$type" = connect4 ] || [ "$runtime $how" = "crun override" ] || continue
				echo "$runtime $how $type"
				slice_up
				attach "$SLICE" "$type" "$how"
				in_slice "$runtime" -a deployfence=on -- echo ran
				expect [ "$output" = "" ]
				expect_syslog "refused: program f_$type \(id [0-9]+\) at $type of cgroup /leak\.slice is attached $([ $how = override ] && echo 'with BPF_F_ALLOW_OVERRIDE' || echo exclusively)"
				expect_match "$stderr" 'exit (code:|status) 69|program f_'
				if [ "$type" != connect4 ]; then
					slice_down
					continue
				fi
				# the twins: without a fence, and in audit, which touches nothing
				in_slice "$runtime" -- echo ran
				expect [ "$output" = ran ]
				in_slice "$runtime" -a deployfence=audit -- echo ran
				expect [ "$output" = ran ]
				expect_syslog 'UNOBSERVED container='
				slice_down
			done
		done
	done
	# one that lets others stand beside it
	slice_up
	attach "$SLICE" recvmsg4 multi
	attach "$SLICE" connect4 multi
	in_slice crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	slice_down
}

@test "a rule with ALLOW_OVERRIDE above what the hook can see: it is not replaced either" {
	slice_up
	mkdir "$SLICE/inner"
	attach "$SLICE" connect4 override 0
	job_parse -r crun -n none -a deployfence=on -- sh -c 'echo ran'
	job_bundle
	# shellcheck disable=SC2016 # for that shell
	job_capture bash -c 'echo $BASHPID >"$1/inner/cgroup.procs" && exec unshare --cgroup --mount bash -c "
		umount -l '"$DF_CGROUP2"' && mount -t cgroup2 cgroup2 '"$DF_CGROUP2"' && mkdir '"$DF_CGROUP2"'/here && echo \$\$ >'"$DF_CGROUP2"'/here/cgroup.procs &&
		exec crun run --bundle $2 $3"' - "$SLICE" "$J_DIR" "$JOB"
	expect [ "$output" = "" ]
	expect_syslog 'refused: program f_connect4 \(id [0-9]+\) at connect4 of a cgroup above /jobs/.* would no longer hold'
	job_forget "$JOB"
	find "$SLICE" -depth -type d -exec rmdir {} + || true
	slice_down
}

@test "parent-filter: a program that judges what the container sends, and not what the proxy sends" {
	local type
	strict parent-filter
	for type in egress connect4 connect6 sendmsg4 sendmsg6; do
		echo "$type"
		rm -rf "$RUNDIR"
		slice_up
		attach "$SLICE" "$type" multi
		in_slice crun -a deployfence=on -- sh -c "$VISIT"
		expect_fenced
		expect_finding parent-filter "^program f_$type \\\\(id [0-9]+\\\\) at $type of cgroup /leak\\\\.slice$"
		in_slice crun -a deployfence.policy=strict-parent-filter -- echo ran
		expect [ "$output" = "" ]
		expect_syslog 'finding parent-filter: program f_'
		slice_down
	done
	# the twins: what filters nothing that is sent, what stands above the proxy as well, and nothing
	rm -rf "$RUNDIR"
	slice_up
	attach "$SLICE" recvmsg4 multi
	attach "$SLICE" sock_create multi
	attach "$DF_CGROUP2" egress multi
	in_slice crun -a deployfence.policy=strict-parent-filter -- sh -c "$VISIT"
	bpftool cgroup detach "$DF_CGROUP2" egress id "$(bpftool -j cgroup show "$DF_CGROUP2" | jq '.[] | select(.name == "f_egress") | .id')"
	expect_fenced
	expect_event '.event == "start"'
	expect [ "$(findings)" = "" ]
	slice_down
	printf 'default deny\n' | policy deny
	slice_up
	attach "$SLICE" egress multi
	in_slice runc -a deployfence.policy=deny -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding parent-filter: .*as by default with default deny; '
	slice_down
}

@test "a fence below a fence: refused, and said why" {
	local outer
	job_start -r crun -a deployfence=on -- sleep 1000
	outer=$JOB
	job_parse -r crun -n none -a deployfence=on -- echo ran
	job_bundle
	jq --arg path "/jobs/$outer/inner" '.linux.cgroupsPath = $path' "$J_DIR/config.json" >"$J_DIR/new"
	mv "$J_DIR/new" "$J_DIR/config.json"
	job_capture crun run --bundle "$J_DIR" "$JOB"
	expect [ "$output" = "" ]
	expect_syslog "refused: program fence_[a-z0-9_]+ \(id [0-9]+\) at [a-z0-9]+ of cgroup /jobs/$outer is of another fence"
	job_forget "$JOB"
	job_stop "$outer"
}

# --- files of the host

# Refused by a policy that refuses this, by what is shown: shown REGEX JOB-OPTION…
shown() {
	local seen=$1
	shift
	echo "shown: $*"
	strict host-mount
	job "$@" -a deployfence.policy=strict-host-mount -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" "refused: finding host-mount: $seen"
}

@test "host-mount: what the fence stands on, by every name that leads there" {
	local other=$DF_HOST/leaks-other
	echo 'block github.com' >"$POLICIES/mine.policy"
	try host-mount '^mount /etc with /etc/deployfence/' -v /etc:/x
	try host-mount '^mount /proc with the host.s /proc$' -r podman+runc -v /proc:/x:ro
	shown 'mount /etc/deployfence' -v /etc/deployfence:/x
	shown 'mount /etc/deployfence/policies/mine\.policy with /etc/deployfence/policies' -v "$POLICIES/mine.policy:/f"
	shown 'mount /usr with ' -v /usr:/x
	shown 'mount /usr/libexec/oci/hooks\.d' -v /usr/libexec/oci/hooks.d:/x
	shown 'mount /usr/share/containers/oci/hooks\.d' -v /usr/share/containers/oci/hooks.d:/x
	shown 'mount /run with /run/deployfence' -v /run:/x
	shown 'mount /run/deployfence' -r crun -v /run/deployfence:/x
	shown 'mount /var/lib with /var/lib/deployfence' -v /var/lib:/x
	shown 'mount / with ' -v /:/x:ro
	shown 'mount /sys with sysfs' -v /sys:/x
	shown 'mount /sys/fs/bpf with BPF objects' -v /sys/fs/bpf:/x:ro
	shown 'writable /proc/sys' -o --security-opt=unmask=/proc/sys
	# by a link, a dot-dot, a bind mount, a bind mount of a parent, and the layer of an overlay
	mkdir -p "$other/bind" "$other/var"
	ln -sfn /etc "$other/link"
	mount --bind /etc/deployfence "$other/bind"
	mount --bind /var "$other/var"
	shown "mount $other/link with /etc/deployfence/" -v "$other/link:/x"
	shown 'mount /usr/\.\./etc/deployfence' -r crun -v /usr/../etc/deployfence:/x
	shown "mount $other/bind with /etc/deployfence/" -v "$other/bind:/x"
	shown "mount $other with /etc/deployfence/" -v "$other:/x:ro" # what is mounted below it is not read-only
	shown "mount $other/var/lib " -r crun -v "$other/var/lib:/x"
	shown "mount $DF_HOST/overlay/etc/upper with /etc/deployfence/" -v "$DF_HOST/overlay/etc/upper:/x"
}

# fsconfig(2), as mount(8) uses it since util-linux 2.39: the kernel then shows each layer as an option of its own.
overlay_by_fsconfig() { # POINT LOWER…
	/usr/bin/python3 - "$@" <<-'PYTHON'
		import ctypes, os, sys
		libc = ctypes.CDLL(None, use_errno=True)
		def call(number, *arguments):
		    result = libc.syscall(number, *arguments)
		    if result < 0:
		        sys.exit(f"system call {number}: {os.strerror(ctypes.get_errno())}")
		    return result
		FSOPEN, FSCONFIG, FSMOUNT, MOVE_MOUNT, SET_STRING, CREATE = 430, 431, 432, 429, 1, 6
		context = call(FSOPEN, b"overlay", 0)
		for lower in sys.argv[2:]:
		    call(FSCONFIG, context, SET_STRING, b"lowerdir+", lower.encode(), 0)
		call(FSCONFIG, context, CREATE, None, None, 0)
		call(MOVE_MOUNT, call(FSMOUNT, context, 0, 0), b"", -100, sys.argv[1].encode(), 4)
	PYTHON
}

@test "host-mount: the layers of an overlay that fsconfig has mounted" {
	local layers=$DF_HOST/layers
	mkdir -p "$layers/first" "$layers/second" "$layers/elsewhere"
	cp "$POLICIES"/*.policy "$layers/second/" 2>/dev/null || true
	echo 'on-leak host-mount refuse' >"$layers/second/strict-host-mount.policy"
	overlay_by_fsconfig "$POLICIES" "$layers/first" "$layers/second"
	for layer in first second; do
		job -v "$layers/$layer:/x" -a deployfence.policy=strict-host-mount -- echo ran
		expect [ "$output" = "" ]
		expect_match "$stderr" "refused: finding host-mount: mount $layers/$layer with /etc/deployfence/policies"
	done
	job -v "$layers/elsewhere:/x" -a deployfence.policy=strict-host-mount -- echo ran
	expect [ "$output" = ran ]
	umount "$POLICIES"
}

@test "host-mount: the device of a file system that is in use" {
	local disk
	disk=$(findmnt -rno MAJ:MIN / | head -n 1)
	disk=/dev/$(basename "$(readlink "/sys/dev/block/$disk")")
	[ -b "$disk" ] || skip "no block device of a mounted file system"
	shown "device $disk \\([0-9:]+\\) with a file system" -o "--device=$disk"
	shown "mount $disk with a file system" -v "$disk:/f" -o "--device-cgroup-rule=b *:* rwm"
	shown "CAP_MKNOD with the device [0-9:]+ allowed, which has a file system" -o --cap-add=MKNOD -o "--device-cgroup-rule=b *:* rwm"
	# the twins: the device cgroup lets nobody open it; a node can be made and not opened, or not made
	try_none -v "$disk:/f"
	try_none -o --cap-add=MKNOD -o "--device-cgroup-rule=b *:* m"
	try_none -o "--device-cgroup-rule=b *:* rwm"
}

@test "no host-mount: what containers are ordinarily given" {
	local runtime volume=$DF_HOST/volume
	mkdir -p "$volume" /run/x /etc/ssl/certs /etc/pki "$DF_HOST/data"
	echo geheim >"$volume/secret"
	ln -sfn "$DF_HOST/data" "$volume/link"
	for runtime in podman+crun podman+runc crun ctr; do
		try_none -r "$runtime" -v /etc/localtime:/etc/localtime:ro -v /etc/ssl:/x/ssl:ro -v /etc/ssl/certs:/x/certs:ro -v /etc/pki:/x/pki:ro \
			-v "$volume/secret:/run/secrets/token:ro" -v /run/x:/x/run -v /usr/share/zoneinfo:/x/zoneinfo:ro -v "$volume:/data" \
			-v "$volume/link:/linked" -v /usr/bin/env:/x/env:ro -v /etc/hosts:/x/hosts -v /proc/cpuinfo:/x/cpuinfo:ro -v /etc:/x/etc:ro -v /usr:/x/usr:ro
	done
	podman secret create token "$volume/secret" >/dev/null
	try_none -v data:/data -o --secret=token -o --tmpfs=/y -o --mount=type=volume,destination=/z -o --read-only
	podman volume rm -f data >/dev/null
	podman secret rm token >/dev/null
}
