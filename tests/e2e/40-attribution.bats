#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Who asked, what for, and where it is told.

load ../lib/ground
load common

LINE='WARN DNS BLOCKED reason=FromDNSRequest blocked=true blockedAt=dns domain=github\.com\. pid=[0-9]+ cmd="curl [^"]*github.com " firewallMethod=blocklist rule="default\.policy:[0-9]+ block github\.com" container=[0-9a-f]+'

# Every line of the log is one JSON object of the known version.
expect_valid_json() {
	local file
	for file in "$RUNDIR"/*/events.jsonl; do
		jq -se 'all(.[]; type == "object" and .schema == 1 and (.event | type == "string") and .container.id
			and (.time | test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{6}(Z|[+-][0-9:]{5})$")))' <"$file" >/dev/null ||
			{ cat "$file" && expect false; }
		expect [ "$(jq -c . <"$file" | wc -l)" = "$(wc -l <"$file")" ]
	done
}

# The file that is looked for first, and is there.
default_policy() {
	local file
	for file in "$POLICIES/default.policy" /usr/share/deployfence/policies/default.policy; do
		[ ! -e "$file" ] || { echo "$file" && return; }
	done
}

deploy_script() {
	cat >"$DF_HOST/deploy.sh" <<-'SH'
		curl -sS -m 10 http://github.com &
		echo "curl is $!"
		wait $!
		echo "github.com rc=$?"
		curl -sS -m 10 http://ok.example
		echo "ok.example rc=$?"
		sleep 0.1
	SH
}

published_line() { # RUNTIME
	local pid id number
	deploy_script
	job -r "$1" -a deployfence=on -v "$DF_HOST/deploy.sh:/deploy.sh:ro" -- sh ./deploy.sh
	expect_fenced
	expect_fence_gone
	expect_valid_json
	pid=$(sed -n 's/^curl is //p' <<<"$output")
	id=$(basename "$RUNDIR"/[!@]*)

	expect_match "$stderr" "(^|"$'\n'")deployfence: $LINE"
	grep -Eq "^$LINE" "$RUNDIR/$id/events.log"
	expect_syslog "^MESSAGE=$LINE"
	expect [ "$(grep -Eo "$LINE" <<<"$stderr")" = "$(grep -Eo "$LINE" "$RUNDIR/$id/events.log")" ]

	# the pid that the container knows, the command, the rule with its line
	expect_event ".event == \"dns_blocked\" and .container_pid == $pid and .cmd == \"curl -sS -m 10 http://github.com \""
	expect [ "$(event '.event == "dns_blocked"' '.container.id')" = "$id" ]
	expect_match "$stderr" "pid=$(event '.event == "dns_blocked"' .pid) cmd=\"curl "
	number=$(event '.event == "dns_blocked"' .rule | sed 's/^default\.policy:\([0-9]*\) .*/\1/')
	expect_match "$(sed -n "${number}p" "$(default_policy)")" '^block github\.com( |$)'
	# up to the container's init: the deploy
	expect [ "$(event '.event == "dns_blocked"' '.ancestry[-1].cmd')" = 'sh ./deploy.sh ' ]
	expect [ "$(event '.event == "dns_blocked"' '[.uid, .comm, .exe, .cwd, .resolver, .qtype] | join(" ")')" = \
		"0 curl /usr/bin/curl / 10.89.53.1 1" ]
	expect_event '.event == "query" and .domain == "ok.example." and .cmd == "curl -sS -m 10 http://ok.example "
		and .blocked == false and .answers == ["203.0.113.10"] and .ancestry[-1].cmd == "sh ./deploy.sh "'
}
@test "podman with crun: the published line, the right pid and command, and the deploy above it" { published_line podman+crun; }
@test "podman with runc: the published line, the right pid and command, and the deploy above it" { published_line podman+runc; }

host_pid() { # RUNTIME: the process is still there to be compared with
	local pid
	job_start -r "$1" -a deployfence=on -- sh -c 'cd /tmp; python3 -c "
import socket, time
try: socket.gethostbyname(\"github.com\")
except OSError: pass
time.sleep(1000)"; true'
	expect_event '.event == "dns_blocked"'
	expect_valid_json
	pid=$(event '.event == "dns_blocked"' .pid)
	grep -qx "$pid" "$(job_cgroup "$JOB")/cgroup.procs"
	expect_match "$(tr '\0' ' ' <"/proc/$pid/cmdline")" '^python3 -c .*import socket'
	expect [ "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status")" = "$(event '.event == "dns_blocked"' .container_pid)" ]
	expect [ "$(event '.event == "dns_blocked"' '.ancestry | map(.pid) | join(" ")')" = "$(job_pid "$JOB")" ]
	expect [ "$(event '.event == "dns_blocked"' .cwd)" = /tmp ]
	# the command as it is, with its quotes and line ends; in the text log it is one line
	expect [ "$(event '.event == "dns_blocked"' .cmd)" = "$(tr '\0' ' ' <"/proc/$pid/cmdline")" ]
	expect [ "$(grep -c 'DNS BLOCKED.*import socket' "$RUNDIR"/*/events.log)" = 1 ]
	refute grep -q '^try:' "$RUNDIR"/*/events.log
}
@test "podman with crun: pid and ancestry are those of the host's process table" { host_pid podman+crun; }
@test "podman with runc: pid and ancestry are those of the host's process table" { host_pid podman+runc; }

exec_is_attributed() { # RUNTIME
	local pid
	job_start -r "$1" -a deployfence=on -- sleep 1000
	job_exec "$JOB" sh -c 'getent hosts github.com; getent hosts ok.example >/dev/null; echo "shell $$"'
	expect_event '.event == "dns_blocked" and .cmd == "getent hosts github.com "'
	pid=${output##* }
	# an exec'd process has no ancestor of the container above its own shell
	expect [ "$(event '.event == "dns_blocked"' '.ancestry | map(.cmd | startswith("sh -c getent")) | tostring')" = '[true]' ]
	expect [ "$(event '.event == "dns_blocked"' .container_pid)" -gt "$pid" ]
	expect_match "$stderr" '^$'
	expect_match "$(job_logs "$JOB")" 'deployfence: WARN DNS BLOCKED .*cmd="getent hosts github\.com "'
}
@test "podman with crun: what exec started is attributed, and shown in the container's log" { exec_is_attributed podman+crun; }
@test "podman with runc: what exec started is attributed, and shown in the container's log" { exec_is_attributed podman+runc; }

@test "users, threads and short-lived processes are attributed" {
	job -a deployfence=on -o --user=1234 -- sh -c '
		mclient-musl github.com; mclient -u4 10.89.53.1 api.github.com; mclient -t4 10.89.53.1 gist.github.com
		mclient -u6 fd00:53::1 codeload.github.com; mclient -um 10.89.53.1 raw.githubusercontent.com
		python3 -c "
import socket, threading
def ask():
    try: socket.gethostbyname(\"ghcr.io\")
    except OSError: pass
t = threading.Thread(target=ask, name=\"another\"); t.start(); t.join()"'
	expect_fence_gone
	expect_valid_json
	local domain
	for domain in github.com api.github.com gist.github.com codeload.github.com raw.githubusercontent.com; do
		expect_event ".event == \"dns_blocked\" and .domain == \"$domain.\" and .uid == 1234 and (.cmd | test(\"^mclient.* $domain \$\")) and (.ancestry | length == 1)"
	done
	expect_event '.event == "dns_blocked" and .domain == "gist.github.com." and .transport == "tcp"'
	expect_event '.event == "dns_blocked" and .domain == "codeload.github.com." and .resolver == "fd00:53::1"'
	expect_event '.event == "dns_blocked" and .domain == "raw.githubusercontent.com." and .resolver == "10.89.53.1"'
	expect_event '.event == "dns_blocked" and .domain == "ghcr.io." and (.cmd | startswith("python3 -c")) and .tid != .pid'
	refute has_event '.attribution'
}

@test "a process that ends before it is looked at is gone, never somebody else" {
	# sends and exits, without waiting for the answer
	job -a deployfence=on -- sh -c 'i=0; while [ $i -lt 30 ]; do
		python3 -S -c "
import os, socket
q = bytes.fromhex(\"4d430100000100000000000006\") + b\"github\" + bytes.fromhex(\"03\") + b\"com\" + bytes.fromhex(\"0000010001\")
socket.socket(2, 2).sendto(q, (\"10.89.53.1\", 53)); os._exit(0)"
		i=$((i+1)); done; sleep 0.2'
	expect_fence_gone
	expect_valid_json
	event_lines | jq -se '[.[] | select(.event == "dns_blocked")] | length == 30
		and all(.[]; .attribution == "gone" or .attribution == "unavailable" or (.cmd | startswith("python3 -S -c")))
		and all(.[]; .comm == "python3" and (.ancestry[-1].cmd | startswith("sh -c i=0")))'
}

@test "a refused connection names command and script, though whoever got the refusal is gone by then" {
	policy addresses <<<'block 140.82.112.0/20'
	cat >"$DF_HOST/deploy.sh" <<-'SH'
		for i in 1 2 3 4 5 6 7 8 9 10; do curl -sS -m 10 "http://140.82.112.$i"; done
		curl -sS -m 10 http://203.0.113.10
	SH
	job -a deployfence=on -a deployfence.policy=addresses -v "$DF_HOST/deploy.sh:/deploy.sh:ro" -- sh ./deploy.sh
	expect_match "$output" 'hello from'
	expect_fence_gone
	expect_valid_json
	event_lines | jq -se '[.[] | select(.event == "connect_blocked" and .port == 80)] | length == 10
		and all(.[]; .cmd == "curl -sS -m 10 http://\(.ip) " and .comm == "curl" and .ancestry[-1].cmd == "sh ./deploy.sh ")'
}

@test "1,000 processes at once, each with a name of its own: every event belongs to the right one, none is invented" {
	job -a deployfence=on -a deployfence.log=none -- sh -c '
		i=0; while [ $i -lt 1000 ]; do i=$((i+1)); sh -c "echo \$\$ n$i; exec getent hosts n$i.github.com" & done; wait'
	expect_fence_gone
	expect_valid_json
	expect [ "$(sort -u <<<"$output" | wc -l)" = 1000 ]
	# the number in the name is that of the command, and of the process that the container knows; on a busy machine a few
	# do not wait until they are looked up
	jq -R 'split(" ") | {(.[1] + ".github.com."): (.[0] | tonumber)}' <<<"$output" | jq -s add >"$DF_HOST/processes"
	expect eval 'event_lines | jq -se --slurpfile processes "$DF_HOST/processes" "
		(\$processes[0]) as \$p | [.[] | select(.event == \"dns_blocked\")] | (map(.domain) | unique | length) == 1000
		and all(.[] | select(.attribution | not); \$p[.domain] == .container_pid and .cmd == \"getent hosts \(.domain[:-1]) \")
		and all(.[] | select(.attribution); .comm == \"getent\" and .cmd == \"getent\")
		and ([.[] | select(.attribution | not)] | length) > 100"'
	# glibc asks twice, and again after 5 s on a busy machine: all that is no first sight is in a summary, and none is lost;
	# so many names may find the queue for pinning full
	expect eval 'event_lines | jq -se "(map(select(.event == \"stop\"))[0].totals.queries) as \$n | \$n >= 2000
		and ([.[] | select(.domain and (.event | startswith(\"pin_\") | not)) | .count // 1] | add) == \$n"'
}

# clone3 with set_tid gives a process the number that another had: in the container and on the host.
SUCCESSOR='import ctypes, os, struct, sys
inner, outer = int(sys.argv[1]), int(sys.argv[2])
ids = (ctypes.c_int * 2)(inner, outer)
args = struct.pack("=11Q", 0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(ids), 2, 0)
pid = ctypes.CDLL(None, use_errno=True).syscall(435, args, len(args))
if pid < 0: sys.exit(os.strerror(ctypes.get_errno()))
if pid == 0: os.execvp(sys.argv[3], sys.argv[3:])
os.waitpid(pid, 0); print("successor", pid)'

@test "a number that is used again is another process, with the same name and the same question" {
	local inner outer
	job_start -c CHECKPOINT_RESTORE -o --security-opt=seccomp=unconfined -a deployfence=on -- sleep 1000
	job_exec "$JOB" sh -c 'getent hosts github.com >/tmp/first & echo $!; wait'
	inner=$output
	expect_event '.event == "dns_blocked" and .cmd == "getent hosts github.com "'
	outer=$(event '.event == "dns_blocked"' .pid)
	job_exec "$JOB" python3 -c "$SUCCESSOR" "$inner" "$outer" getent ahosts github.com
	expect_match "$output" "successor $inner\$"
	expect_event ".event == \"dns_blocked\" and .pid == $outer and .container_pid == $inner and .cmd == \"getent ahosts github.com \"
		and (.ancestry[0].cmd | startswith(\"python3 -c import ctypes\"))"
	refute has_event '.attribution'
}

@test "a pid namespace inside of the container: numbers are those that the container knows" {
	job -c SYS_ADMIN -a deployfence=on -- sh -c '
		unshare --pid --fork --mount-proc sh -c "getent hosts github.com; true" & echo "unshare $!"; wait
		echo "last $(sh -c "echo \$\$")"'
	expect_fence_gone
	local first last
	first=$(sed -n 's/^unshare //p' <<<"$output") last=$(sed -n 's/^last //p' <<<"$output")
	expect_event ".event == \"dns_blocked\" and .cmd == \"getent hosts github.com \" and .container_pid > $first and .container_pid < $last
		and (.ancestry | map(.cmd) | any(startswith(\"unshare --pid\")))"
}

@test "counters: every query is in an event or in a summary" {
	job -a deployfence=on -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- sh -c '
		python3 /probe.py lookup ok.example 50; python3 /probe.py lookup github.com 40
		python3 /probe.py lookup ok.example 3'
	expect_fence_gone
	expect_valid_json
	event_lines | jq -se '[.[] | select(.domain == "ok.example.") | .count // 1] | add == 53'
	event_lines | jq -se '[.[] | select(.domain == "github.com.") | .count // 1] | add == 40'
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "query" and .domain == "ok.example.")] | length')" = 2 ]
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "dns_blocked")] | length')" = 1 ]
	expect [ "$(event_texts | grep -c 'DNS BLOCKED')" = 1 ]
	expect [ "$(grep -c 'deployfence: ' <<<"$stderr")" = 1 ]
}

@test "the container's stderr shows a refusal once for each command and name" {
	job -a deployfence=on -- sh -c '
		for i in 1 2 3; do getent hosts github.com; done
		getent hosts api.github.com; getent ahosts github.com'
	expect [ "$(grep -c 'deployfence: WARN DNS BLOCKED' <<<"$stderr")" = 3 ]
	expect_fence_gone
	# the log has each process
	expect [ "$(event_texts | grep -c '^WARN DNS BLOCKED')" = 5 ]
}

on_terminal() { # RUNTIME
	job -r "$1" -t -a deployfence=on -- sh -c "$VISIT"
	expect_match "$output" 'github\.com rc=6'
	expect_match "$output" "deployfence: $LINE"
	expect_match "$output" 'hello from ok\.example'
}
@test "podman with crun: the refusal is shown on the container's terminal" { on_terminal podman+crun; }
@test "podman with runc: the refusal is shown on the container's terminal" { on_terminal podman+runc; }

@test "the refusal is shown in the log of a detached container" {
	local runtime
	for runtime in podman+crun podman+runc ctr; do
		job_start -r "$runtime" -a deployfence=on -- sh -c 'curl -sS -m 10 http://github.com; echo done; sleep 1000'
		expect_match "$(eventually job_has_line "$JOB" && job_logs "$JOB")" "deployfence: ${LINE% container=*} container="
		job_stop "$JOB"
	done
}

job_has_line() { # NAME
	job_logs "$1" | grep -q '^done'
}

@test "nothing is written to what the container made of its stderr; the lines come when that is back" {
	job -v "$DF_HOST:/ground:ro" -a deployfence=on -- sh -c '
		exec 3>&2 2>/tmp/file
		curl -sS -m 10 http://github.com; echo "file rc=$?"
		exec 2>/dev/null
		cat /tmp/file
		curl -sS -m 10 http://api.github.com; echo "null rc=$?"
		exec 2>&3
		curl -sS -m 10 http://gist.github.com; echo "back rc=$?"; sleep 0.5'
	expect_match "$output" 'file rc=6'
	expect_match "$output" 'null rc=6'
	expect_match "$output" 'curl: \(6\) Could not resolve host: github\.com'
	expect_match "$output" 'back rc=6'
	refute_match "$output" 'DNS BLOCKED'
	expect_match "$stderr" 'deployfence: [^'$'\n'']*domain=github\.com[^'$'\n'']*'$'\n''deployfence: [^'$'\n'']*domain=api\.github\.com'
	expect_match "$stderr" 'deployfence: [^'$'\n'']*domain=gist\.github\.com'
	expect_fence_gone
	expect [ "$(event_texts | grep -c '^WARN DNS BLOCKED')" = 3 ]
	refute grep -aPq '[\x00-\x09\x0b-\x1f]' "$RUNDIR"/*/events.log
}

@test "a shell that redirects its own stderr and ends at once: its line is there, in the order of refusals" {
	job -a deployfence=on -- sh -c 'exec 3>&2 2>/dev/null
		curl -sS -m 10 http://github.com; echo "github rc=$?"'
	expect_match "$output" 'github rc=6'
	expect_match "$stderr" '^deployfence: WARN DNS BLOCKED [^'$'\n'']*domain=github\.com'
	expect_fence_gone
	refute has_event '.event == "stderr_unavailable"'
	refute has_event '.event == "stop" and (.message | test("not shown on stderr"))'
}

@test "command lines and names cannot break a line, and long ones are cut" {
	job -a deployfence=on -- sh -c '
		bash -c "exec -a \"\$1\" getent hosts github.com" x "$(printf "evil\nWARN DNS BLOCKED reason=Forged\t\033[31m\"")"
		getent hosts "$(printf "a\042b\nWARN.github.com")"
		dig +tries=1 "x\\010y\\034z.github.com" >/dev/null
		getent hosts github.com "$(head -c 100000 /dev/zero | tr "\0" a)"; echo "rc=$?"
		printf "\377\376" >/tmp/name; bash -c "exec -a \"\$(cat /tmp/name)\" getent hosts github.com"
		curl -sS -m 10 http://ok.example'
	expect_match "$output" 'rc=2'
	expect_match "$output" 'hello from ok'
	expect_fence_gone
	expect_valid_json
	refute grep -aq '^WARN DNS BLOCKED reason=Forged' "$RUNDIR"/*/events.log "$DF_SYSLOG"
	refute_match "$stderr" $'\n(WARN DNS BLOCKED reason=Forged|[^d])'
	refute grep -aPq '[\x00-\x08\x0b-\x1f\x7f]' "$RUNDIR"/*/events.log
	expect [ "$(grep -avc '^\(WARN\|INFO\) ' "$RUNDIR"/*/events.log)" = 0 ]
	expect [ "$(wc -L <"$RUNDIR"/*/events.log)" -lt 9000 ]
	expect_event '.event == "dns_blocked" and (.cmd | startswith("evil\nWARN DNS BLOCKED reason=Forged\t\u001b[31m\""))'
	expect_event '.event == "dns_blocked" and (.cmd | startswith("getent hosts github.com aaaa"))'
	expect_event '.event == "dns_blocked" and (.domain | startswith("x\\010y"))'
}

@test "the log of a fence that ended is kept, and a sweep leaves it" {
	local id
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fence_gone
	id=$(basename "$RUNDIR"/[!@]*)
	expect [ "$(stat -c %a "$RUNDIR/$id")" = 700 ]
	expect [ "$(stat -c %a "$RUNDIR/$id/events.jsonl")" = 600 ]
	expect_event '.event == "start"'
	expect_event '.event == "stop"'
	job -a deployfence=on -- true
	expect_match "$(cat "$RUNDIR/$id/events.log")" "$LINE"
}

# --- the container chooses what its descriptor 2 is, and we have rights that it has not

victim() { # a file of the host that the container may only read
	printf 'line %d of a file that nobody writes to\n' {1..20} >"$DF_HOST/victim"
	sha256sum <"$DF_HOST/victim"
}

@test "stderr that is a file which the container may only read: refused as well, and no octet of it changes" {
	local sum
	sum=$(victim)
	job -a deployfence=on -v "$DF_HOST/victim:/victim:ro" -- sh -c "exec 2</victim; $VISIT; exec 2>&-; curl -sS http://api.github.com; echo \"api rc=\$?\""
	expect_fenced
	expect_match "$output" 'api rc=6'
	expect_fence_gone
	expect [ "$(sha256sum <"$DF_HOST/victim")" = "$sum" ]
	refute_match "$stderr" 'BLOCKED'
	expect_event '.event == "dns_blocked" and .domain == "api.github.com."'
	expect_event '.event == "stderr_unavailable"'
	expect_event '.event == "stop" and (.message | test("; 2 refusals not shown on stderr"))'
	expect_match "$(deployfence report)" $'\nlost: 2 unshown$'
	rm "$DF_HOST/victim"
}

@test "stderr that changes all the time between its pipe and a file: only the pipe is written to" {
	local sum
	sum=$(victim)
	job -a deployfence=on -v "$DF_HOST/victim:/victim:ro" -- bash -c 'exec 3>&2
		(for i in {1..50}; do getent hosts "n$i.github.com"; done; touch /tmp/end) &
		while [ ! -e /tmp/end ]; do exec 2</victim; exec 2>&3; done; sleep 0.2'
	expect_fence_gone
	expect [ "$(sha256sum <"$DF_HOST/victim")" = "$sum" ]
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "dns_blocked") | .domain] | unique | length')" = 50 ]
	expect [ "$(grep -c '^deployfence: WARN DNS BLOCKED .*domain=n[0-9]*\.github\.com\. ' <<<"$stderr")" -gt 0 ]
	expect [ "$(grep -vc '^deployfence: WARN DNS BLOCKED ' <<<"$stderr")" = 0 ]
	rm "$DF_HOST/victim"
}

@test "stderr that is full, since nobody reads it: the refusal comes at once, and the line is counted" {
	local conmon
	mkdir -p "$DF_HOST/shared"
	cat >"$DF_HOST/shared/fill.py" <<-'PY'
		import os, subprocess, time
		while not os.path.exists("/shared/go"): time.sleep(0.02)
		os.set_blocking(2, False)
		try:
		    while True: os.write(2, b"x" * 1023 + b"\n")
		except BlockingIOError: pass
		os.set_blocking(2, True)
		rc = subprocess.run(["curl", "-s", "-m", "20", "http://github.com"], stderr=subprocess.DEVNULL).returncode
		with open("/shared/rc.new", "w") as f: f.write(f"{rc}\n")
		os.rename("/shared/rc.new", "/shared/rc")
		time.sleep(1000)
	PY
	job_start -a deployfence=on -v "$DF_HOST/shared:/shared" -- python3 /shared/fill.py
	conmon=$(podman inspect -f '{{.State.ConmonPid}}' "$JOB")
	kill -STOP "$conmon"
	touch "$DF_HOST/shared/go"
	for _ in {1..600}; do
		[ ! -e "$DF_HOST/shared/rc" ] || break
		sleep 0.05
	done
	kill -CONT "$conmon"
	expect [ "$(<"$DF_HOST/shared/rc")" = 6 ]
	job_stop "$JOB"
	expect_fence_gone
	expect_event '.event == "dns_blocked" and .blocked and (.cmd | startswith("curl -s "))'
	expect_event '.event == "stop" and (.message | test("; 1 refusals not shown on stderr"))'
	refute has_event '.event == "stderr_unavailable"'
	rm -r "$DF_HOST/shared"
}
