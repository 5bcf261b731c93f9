#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# More lives and deaths of a fenced container: restarts, deaths at the wrong moment, other namespaces, cgroups below its own.

load ../lib/ground
load common

teardown() {
	rm -f "$DF_HOOKS_DIR"/{10,90}-test.json
	end_test
}

count_events() { # EVENT
	event_lines | jq -s "[.[] | select(.event == \"$1\")] | length"
}

# --- restarts by podman itself

restart_on_failure() { # RUNTIME
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -o --restart=on-failure:2 -- sh -c "echo begin; $VISIT; exit 7"
	expect [ "$status" = 0 ]
	eventually eval '[ "$(job_logs "$JOB" | grep -c "^ok.example rc=")" = 3 ]'
	eventually eval '[ "$(podman inspect -f "{{.State.Status}} {{.RestartCount}}" "$JOB")" = "exited 2" ]'
	output=$(job_logs "$JOB")
	expect [ "$(grep -c '^begin$' <<<"$output")" = 3 ]
	expect [ "$(grep -c 'github\.com rc=6$' <<<"$output")" = 3 ]
	expect [ "$(grep -c '^ok\.example rc=0$' <<<"$output")" = 3 ]
	# every life tells its refusal, once
	expect [ "$(grep -c '^deployfence: WARN DNS BLOCKED ' <<<"$output")" = 3 ]
	refute world_dns_log ' github\.com '
	expect_fence_gone
	expect [ "$(count_events start) $(count_events stop)" = '3 3' ]
}
@test "podman with crun: --restart=on-failure: every life is fenced" { restart_on_failure podman+crun; }
@test "podman with runc: --restart=on-failure: every life is fenced" { restart_on_failure podman+runc; }

@test "--restart=on-failure: a killed init comes back fenced; what the fence refuses to start stays away" {
	local pid
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -o --restart=on-failure -- sleep 1000
	pid=$(job_pid "$JOB")
	kill -9 "$pid"
	eventually eval '[ "$(podman inspect -f "{{.State.Status}}" "$JOB")" = running ] && [ "$(job_pid "$JOB")" != "$pid" ]'
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	eventually eval '[ "$(fence_pid df-worker | wc -l)" = 1 ]'
	# the policy disappears while it runs: with no table to go by it must not come back unfenced
	rm "$POLICIES/sealed.policy"
	rm -rf /var/lib/deployfence/*
	world_mark
	kill -9 "$(job_pid "$JOB")"
	expect_fence_gone
	sleep 0.5
	expect [ "$(podman inspect -f '{{.State.Status}}' "$JOB")" != running ]
	expect_syslog 'refused: .*sealed\.policy'
}

# --- death at the wrong moment

# A hook of the tests beside the product's: NAME sorts before or after it. Its script gets init's pid as $pid.
test_hook() { # 10|90 SCRIPT
	install_hook "$1-test" 'pid=$(sed "s/.*\"pid\" *: *\([0-9]*\).*/\1/"); '"$2"
}

@test "init is dead before the hook: refused or ended, and nothing stays" {
	local runtime
	test_hook 10 'kill -9 "$pid"; sleep 0.05'
	for runtime in $DF_RUNTIMES; do
		job -r "$runtime" -a deployfence=on -- echo ran
		echo "$runtime"
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
		expect_fence_gone
		leftovers_check
	done
	# fail=open cannot fence what is not there either, and does not hang
	job -a deployfence=on -a deployfence.fail=open -- echo ran
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_fence_gone
}

@test "init dies during the hook, at twelve moments of it: nothing stays" {
	local runtime moment
	# crun 1.8.1 can miss the hook's end among those of its other children, and waits for the hook's timeout: less of it
	for moment in 0 0.001 0.002 0.003 0.004 0.006 0.008 0.010 0.013 0.017 0.022 0.030; do
		test_hook 10 "(sleep $moment; kill -9 \"\$pid\") </dev/null >/dev/null 2>&1 &"
		for runtime in runc podman+runc crun; do
			case $runtime$moment in crun0.003 | crun0.010 | crun0.022) ;; crun*) continue ;; esac
			job -r "$runtime" -a deployfence=on -- sleep 5
			echo "$runtime $moment"
			expect [ "$status" != 0 ]
			expect [ "$status" != 124 ]
			expect_fence_gone
		done
	done
	leftovers_check
}

@test "init dies after the hook, before it starts: nothing stays" {
	local runtime
	test_hook 90 'kill -9 "$pid"'
	for runtime in $DF_RUNTIMES; do
		job -r "$runtime" -a deployfence=on -- echo ran
		echo "$runtime"
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
		expect_fence_gone
		leftovers_check
	done
}

@test "a later hook fails: nothing stays, although podman and crun call no poststop" {
	local runtime
	test_hook 90 'exit 3'
	for runtime in $DF_RUNTIMES; do
		job -r "$runtime" -a deployfence=on -- echo ran
		echo "$runtime"
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
		expect_fence_gone
		leftovers_check
	done
}

# --- namespaces

userns_auto() { # RUNTIME
	grep -q '^containers:' /etc/subuid || echo 'containers:2000000:1000000' >>/etc/subuid
	grep -q '^containers:' /etc/subgid || echo 'containers:2000000:1000000' >>/etc/subgid
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -o --userns=auto:size=65536 -- sleep 1000
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT; cat /proc/self/uid_map"
	expect_fenced
	expect_match "$output" ' 0 +[1-9][0-9]{5,} +65536'
	expect_event '.event == "dns_blocked" and .uid >= 100000 and .cmd == "curl -sS -m 10 http://github.com "'
	expect [ "$(event '.event == "dns_blocked"' .uid)" = "$(awk '/^Uid:/ { print $2 }' "/proc/$(job_pid "$JOB")/status")" ]
	# root of that namespace cannot take the fence away: neither detach, nor leave the cgroup
	job_exec "$JOB" sh -c 'echo $$ >/sys/fs/cgroup/cgroup.procs; mount -t cgroup2 none /tmp; '"$VISIT"
	expect_fenced
	job_stop "$JOB"
	expect_fence_gone
}
@test "podman with crun: a user namespace of podman's choice" { userns_auto podman+crun; }
@test "podman with runc: a user namespace of podman's choice" { userns_auto podman+runc; }

@test "a user namespace made inside the container changes nothing" {
	policy_sealed sealed
	job -a deployfence.policy=sealed -c SYS_ADMIN -o --security-opt=seccomp=unconfined -- sh -c '
		unshare -Ur true && echo "unshared"; unshare -Ur sh -c '"'$VISIT'"'; unshare -Urpf sh -c '"'$VISIT'"
	expect_match "$output" 'unshared'
	expect [ "$(grep -c 'github\.com rc=6$' <<<"$output")" = 2 ]
	expect [ "$(grep -c '^ok\.example rc=0$' <<<"$output")" = 2 ]
	refute world_dns_log ' github\.com '
	expect_fence_gone
	expect_event '.event == "dns_blocked" and .domain == "github.com." and (.cmd | startswith("curl"))'
}

pid_host() { # RUNTIME
	local pid
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -o --pid=host -- sh -c 'python3 -c "
import socket, time
try: socket.gethostbyname(\"github.com\")
except OSError: pass
time.sleep(1000)"; true'
	expect [ "$status" = 0 ]
	expect_event '.event == "dns_blocked"'
	pid=$(event '.event == "dns_blocked"' .pid)
	expect_match "$(tr '\0' ' ' <"/proc/$pid/cmdline")" '^python3 -c '
	expect [ "$(event '.event == "dns_blocked"' '.container_pid // .pid')" = "$pid" ]
	# the ancestry stops at the container's init, not at pid 1
	expect [ "$(event '.event == "dns_blocked"' '.ancestry | map(.pid) | join(" ")')" = "$(job_pid "$JOB")" ]
	# who sees all processes of the host is fenced no less
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	job_stop "$JOB"
	expect_fence_gone
}
@test "podman with crun: --pid=host: the right process, the right ancestry" { pid_host podman+crun; }
@test "podman with runc: --pid=host: the right process, the right ancestry" { pid_host podman+runc; }

# A raw bundle in the host's pid namespace: no namespace ends with init, and until `delete` nobody kills the others.
@test "the host's pid namespace, raw: who outlives init stays fenced to the last process" {
	local runtime pid
	policy_sealed sealed
	for runtime in crun runc; do
		echo "$runtime"
		job_parse -r "$runtime" -a deployfence.policy=sealed -- \
			sh -c 'setsid sh -c "while :; do '"for host in github.com ok.example; do getent ahosts \\\$host >/dev/null && echo got \\\$host; done"'; sleep 0.1; done" & sleep 0.2'
		job_bundle
		jq '.linux.namespaces |= map(select(.type != "pid"))' "$J_DIR/config.json" >"$J_DIR/config.new"
		mv "$J_DIR/config.new" "$J_DIR/config.json"
		job_capture_start "$runtime" run --detach --pid-file "$J_DIR/pid" --bundle "$J_DIR" "$JOB"
		: >"$J_DIR/running"
		expect [ "$status" = 0 ]
		pid=$(job_pid "$JOB")
		job_wait_gone "$pid"
		expect [ -n "$(cat "$DF_CGROUP2/jobs/$JOB/cgroup.procs")" ]
		: >"$J_DIR/stdout"
		eventually grep -q 'got ok.example' "$J_DIR/stdout" # the proxy is there for it, too
		refute grep -q 'got github' "$J_DIR/stdout"
		expect [ "$(fence_pid df-worker | wc -l)" = 1 ]
		echo 1 >"$DF_CGROUP2/jobs/$JOB/cgroup.kill"
		expect_fence_gone
		job_forget "$JOB"
		leftovers_check
	done
	refute world_dns_log ' github\.com '
}

# --- cgroups below the container's own

child_from_outside() { # RUNTIME
	local cgroup pid
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -- sh -c 'until [ -e /tmp/go ]; do sleep 0.05; done; '"$VISIT"'; sleep 1000'
	expect [ "$status" = 0 ]
	cgroup=$(job_cgroup "$JOB")
	pid=$(job_pid "$JOB")
	mkdir -p "$cgroup/child/grandchild"
	echo "$pid" >"$cgroup/child/grandchild/cgroup.procs"
	expect_match "$(cat "/proc/$pid/cgroup")" '0::[^'$'\n'']*/child/grandchild'
	touch "/proc/$pid/root/tmp/go"
	eventually eval 'job_logs "$JOB" | grep -q "^ok.example rc="'
	output=$(job_logs "$JOB")
	expect_fenced
	expect_match "$output" 'deployfence: WARN DNS BLOCKED .*domain=github\.com\.'
	expect_event '.event == "dns_blocked" and .cmd == "curl -sS -m 10 http://github.com " and (.ancestry[-1].cmd | startswith("sh -c "))'
	# programs of the container's own below would not replace ours, and nobody has detached them
	expect [ "$(bpftool cgroup show "$cgroup/child/grandchild" effective | grep -c fence_connect4)" = 1 ]
	job_stop "$JOB"
	[ ! -d "$cgroup" ] || find "$cgroup" -depth -type d -exec rmdir {} +
	expect_fence_gone
}
@test "podman with crun: processes in cgroups made below the container's are fenced" { child_from_outside podman+crun; }
@test "podman with runc: processes in cgroups made below the container's are fenced" { child_from_outside podman+runc; }
@test "containerd: processes in cgroups made below the container's are fenced" { child_from_outside ctr; }

# As systemd or a nested engine does it.
child_from_inside() { # RUNTIME
	policy_sealed sealed
	job -r "$1" -a deployfence.policy=sealed -o --privileged -o --cgroupns=private -- sh -c '
		cat /proc/self/cgroup
		mkdir -p /sys/fs/cgroup/init.scope /sys/fs/cgroup/system.slice/deploy.service && echo made
		echo $$ >/sys/fs/cgroup/init.scope/cgroup.procs
		(sh -c "echo \$PPID" >/sys/fs/cgroup/system.slice/deploy.service/cgroup.procs
			cat /proc/self/cgroup; '"$VISIT"')
		echo ===; cat /proc/self/cgroup; '"$VISIT"
	expect [ "$status" = 0 ]
	expect_match "$output" $'(^|\n)0::/\n.*made\n'
	expect_match "$output" $'\n0::/system\.slice/deploy\.service\n.*===.*\n0::/init\.scope\n'
	expect [ "$(grep -c 'github\.com rc=6$' <<<"$output")" = 2 ]
	expect [ "$(grep -c '^ok\.example rc=0$' <<<"$output")" = 2 ]
	refute world_dns_log ' github\.com '
	expect_fence_gone
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "dns_blocked" and .domain == "github.com.") | .pid] | unique | length')" = 2 ]
}
@test "podman with crun: cgroups that the container makes itself are fenced" { child_from_inside podman+crun; }
@test "podman with runc: cgroups that the container makes itself are fenced" { child_from_inside podman+runc; }

@test "init in a child cgroup ends, others live on: the fence ends with the container, not before" {
	local cgroup
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -o --privileged -o --cgroupns=private -- sh -c '
		mkdir /sys/fs/cgroup/init.scope /sys/fs/cgroup/work
		echo $$ >/sys/fs/cgroup/init.scope/cgroup.procs
		while :; do getent ahosts github.com >/dev/null && echo LEAK; getent ahosts ok.example >/dev/null && echo ok; sleep 0.05; done &
		echo $! >/sys/fs/cgroup/work/cgroup.procs
		wait'
	expect [ "$status" = 0 ]
	eventually eval 'job_logs "$JOB" | grep -qx ok'
	cgroup=$(job_cgroup "$JOB")
	expect_match "$cgroup" '/init\.scope$'
	# nobody is in the container's own cgroup any more: no reason to go
	expect [ "$(cat "${cgroup%/*}/cgroup.procs")" = "" ]
	sleep 0.5
	expect [ "$(fence_pid df-worker | wc -l)" = 1 ]
	# who comes in by exec is in one of them, or above: fenced
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	kill -9 "$(job_pid "$JOB")"
	expect_fence_gone
	refute world_dns_log ' github\.com '
	expect [ "$(job_logs "$JOB" | grep -c LEAK)" = 0 ]
	job_stop "$JOB"
	[ ! -d "${cgroup%/*}" ] || find "${cgroup%/*}" -depth -type d -exec rmdir {} +
}

# --- the other arrangement of cgroups: a ground inside the ground

@test "hybrid cgroups: one fenced job, one typo, nothing left" {
	env -u DF_HOST -u DF_SYSLOG -u DF_WORLD -u DF_CGROUP2 DF_CGROUPS=hybrid bash "$DF_LIB/host.bash" \
		bash "$BATS_TEST_DIRNAME/hybrid.bash" >"$DF_HOST/hybrid.out" 2>&1 3>&- 4>&- </dev/null || status=$?
	cat "$DF_HOST/hybrid.out"
	expect [ "${status:-0}" = 0 ]
}
