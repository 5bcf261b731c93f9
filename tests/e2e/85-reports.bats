#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; single-quoted scripts for containers
# What is left of a container's events when it has ended, and after a crash: report-dir and report-keep.

load ../lib/ground
load common

setup_file() {
	world_up && image_import && image_build || return
	[ -e /usr/share/containers/oci/hooks.d/50-deployfence.json ] || product_install
	pin_bridge_of_podman
}

pin_bridge_of_podman() {
	! ip link show podman0 >/dev/null 2>&1 || pin_bridge
}

teardown() {
	! mountpoint -q "$REPORTS" || umount "$REPORTS"
	end_test
}

kept() { # ID: its reports, oldest first
	find "$REPORTS" -name "*-$1.jsonl" 2>/dev/null | sort
}

kept_lines() { # ID
	local files
	mapfile -t files < <(kept "$1")
	[ ${#files[@]} = 0 ] || cat "${files[@]}"
}

has_kept() { # ID NUMBER
	[ "$(kept "$1" | wc -l)" = "$2" ]
}

# Each event stands in a report, once and in order.
expect_whole() { # ID
	diff <(cat "$RUNDIR/$1/events.jsonl") <(kept_lines "$1")
}

run_id() { # the one fence there is
	basename "$RUNDIR"/*/
}

ended_leaves() { # RUNTIME
	local id
	policy_sealed sealed
	job -r "$1" -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_fence_gone
	id=$(run_id)
	has_kept "$id" 1
	expect_whole "$id"
	kept_lines "$id" | jq -se 'first.event == "start" and last.event == "stop" and any(.event == "dns_blocked")' >/dev/null
	expect_match "$(basename "$(kept "$id")")" "^[0-9]{8}T[0-9]{6}\.[0-9]{6}Z-$id\.jsonl$"
	expect [ "$(stat -c %a "$(kept "$id")") $(stat -c %a "$REPORTS")" = "600 700" ]
	expect [ "$(find "$REPORTS" -name '.*.new')" = "" ]
}
@test "podman with crun: an ended container leaves its events in report-dir" { ended_leaves podman+crun; }
@test "podman with runc: an ended container leaves its events in report-dir" { ended_leaves podman+runc; }
@test "containerd: an ended container leaves its events in report-dir" { ended_leaves ctr; }

@test "a container that is restarted: every line is kept once" {
	local id
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -- sleep 1000
	id=$(run_id)
	job_exec "$JOB" sh -c "$VISIT"
	podman restart -t 0 "$JOB" >/dev/null 2>&1
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	eventually has_kept "$id" 1
	job_stop "$JOB"
	expect_fence_gone
	has_kept "$id" 2
	expect_whole "$id"
	expect [ "$(kept_lines "$id" | jq -s '[.[] | select(.event == "start")] | length')" = 2 ]
}

@test "SIGTERM, as a host sends it that shuts down: what there is is kept, and the fence goes on" {
	local id
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -- sleep 1000
	id=$(run_id)
	job_exec "$JOB" sh -c "$VISIT"
	expect_event '.event == "dns_blocked"'
	has_kept "$id" 0
	kill -TERM "$(fence_pid deployfence-pro)"
	eventually has_kept "$id" 1
	kept_lines "$id" | jq -se 'any(.event == "dns_blocked") and last.event != "stop"' >/dev/null
	# nothing new: no second file
	eventually eval '[ -e "$RUNDIR/'"$id"'/reported" ]'
	kill -TERM "$(fence_pid deployfence-pro)"
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	job_stop "$JOB"
	expect_fence_gone
	expect_whole "$id"
	expect [ "$(kept_lines "$id" | jq -rs last.event)" = stop ]
}

monitor_dies() { # RUNTIME: with its worker, as an OOM killer would do it
	local monitor
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -- sleep 1000
	id=$(run_id)
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	expect_event '.event == "dns_blocked"'
	monitor=$(fence_pid deployfence-pro)
	kill -9 "$monitor"
	job_wait_gone "$monitor"
	eventually is_fence_gone
	has_kept "$id" 0
}

expect_rebuilt() { # ID
	has_kept "$1" 1
	expect_whole "$1"
	kept_lines "$1" | jq -se 'any(.event == "dns_blocked") and last.event != "stop"' >/dev/null
}

@test "monitor and worker are killed: poststop keeps what they wrote" {
	local id
	monitor_dies podman+crun
	job_stop "$JOB"
	expect_rebuilt "$id"
	expect_syslog "FENCE LOST container=$id"
}

@test "monitor, worker and container are killed, poststop is not called: the next start keeps it" {
	local id pid
	monitor_dies crun
	pid=$(job_pid "$JOB")
	kill -9 "$pid"
	job_wait_gone "$pid"
	has_kept "$id" 0
	job -r crun -a deployfence.policy=sealed -- sh -c "ls /; $VISIT"
	expect_fenced
	expect_rebuilt "$id"
}

@test "report-dir of the configuration; one that others may write to is not used" {
	local id dir=/var/lib/my/reports first
	policy_sealed sealed
	printf '%s\n' 'report-dir "/var/lib/my/reports"' 'report-keep 1h 16MiB' >/etc/deployfence/deployfence.conf
	job -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect_fence_gone
	first=$(run_id)
	expect [ "$(stat -c %a "$dir")" = 700 ]
	expect [ "$(find "$dir" -name "*-$first.jsonl" | wc -l)" = 1 ]
	expect [ ! -e "$REPORTS" ]
	rm -r "$RUNDIR"
	chmod 777 "$dir"
	job -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect_fenced
	expect_syslog 'report-dir /var/lib/my/reports: others than root .*no report is kept'
	expect_fence_gone
	id=$(run_id)
	expect [ "$(find "$dir" -name "*-$id.jsonl" | wc -l)" = 0 ]
	expect [ -e "$RUNDIR/$id/unreported" ]
	# the next end of a container tries again
	chmod 755 "$dir"
	job -a deployfence.policy=sealed -- true
	expect_fence_gone
	expect [ "$(find "$dir" -name "*-$id.jsonl" | wc -l)" = 1 ]
	expect [ ! -e "$RUNDIR/$id/unreported" ]
	rm -r /var/lib/my
}

@test "a full disk: the container is fenced, the loss is logged, and made good when there is room" {
	local id
	mkdir -p "$REPORTS"
	mount -t tmpfs -o mode=700,size=8k full "$REPORTS"
	dd if=/dev/zero of="$REPORTS/ballast" bs=4k count=2 2>/dev/null || true
	policy_sealed sealed
	job -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_match "$stderr" 'deployfence: WARN DNS BLOCKED'
	expect_fence_gone
	id=$(run_id)
	has_kept "$id" 0
	expect [ "$(find "$REPORTS" -name '.*.new')" = "" ]
	expect_event '.event == "report_failed" and (.message | endswith("No space left on device"))'
	expect_syslog 'WARN report_failed .*No space left on device'
	expect [ -e "$RUNDIR/$id/unreported" ]
	umount "$REPORTS"
	job -a deployfence.policy=sealed -- true
	expect_fence_gone
	has_kept "$id" 1
	expect_whole "$id"
	expect [ ! -e "$RUNDIR/$id/unreported" ]
}

@test "report-dir vanishes while the container runs: it is made again" {
	local id
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -- sleep 1000
	id=$(run_id)
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	rm -r "$REPORTS"
	job_stop "$JOB"
	expect_event '.event == "report_failed"'
	has_kept "$id" 1
	expect_whole "$id"
	expect [ ! -e "$RUNDIR/$id/unreported" ]
}

old_report() { # NAME SIZE AGE
	truncate -s "$2" "$REPORTS/20200101T000000.000000Z-$1.jsonl"
	touch -d "$3" "$REPORTS/20200101T000000.000000Z-$1.jsonl"
}

@test "report-keep: what is too old goes, then the oldest of what is too much" {
	policy_sealed sealed
	mkdir -p "$REPORTS"
	chmod 700 "$REPORTS"
	old_report ancient 1k '31 days ago'
	old_report older 600M '20 days ago'
	old_report old 600M '10 days ago'
	old_report recent 10M '1 day ago'
	truncate -s 2G "$REPORTS/not-a-report"
	job -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect_fence_gone
	expect [ "$(kept ancient)$(kept older)" = "" ]
	has_kept old 1
	has_kept recent 1
	has_kept "$(run_id)" 1
	expect [ -e "$REPORTS/not-a-report" ]
	# a smaller limit holds from the next container on
	printf 'report-keep 12h 500MiB\n' >/etc/deployfence/deployfence.conf
	job -a deployfence.policy=sealed -- true
	expect_fence_gone
	expect [ "$(kept old)" = "" ]
	expect [ "$(kept recent)" = "" ]
	expect [ "$(find "$REPORTS" -name '2*.jsonl' | wc -l)" = 2 ]
}
