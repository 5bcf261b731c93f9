#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; single-quoted scripts for containers
# What is left of a container's events when it has ended, and after a crash: report-dir and report-keep.

load ../lib/ground
load common

setup_file() {
	world_up && image_import && image_build || return
	product_install
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
	basename "$RUNDIR"/[!@]*/
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
	refute has_event '.event == "report_failed"'
}

# What is said of a container, without what only the other sources know.
report() { # ARGUMENT…
	deployfence report "$@" || expect false
}

@test "deployfence report reads report-dir: after a reboot, beside /run, and no event twice" {
	local id text other
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fence_gone
	id=$(run_id)
	has_kept "$id" 1
	text=$(report "$id")
	expect_match "$text" $'\nblocked +2  github\\.com '
	# both hold the same
	expect [ "$(mv "$REPORTS" "$REPORTS.away" && report "$id"; mv "$REPORTS.away" "$REPORTS")" = "$text" ]
	# a host that was booted again has no /run, and may have a younger fence there
	rm -r "$RUNDIR"
	expect [ "$(report "$id")" = "$text" ]
	expect [ "$(report "${id:0:12}")" = "$text" ]
	expect [ "$(report --all)" = "$text" ]
	job -a deployfence=on -- curl -sS -m 10 http://github.com
	expect_fence_gone
	other=$(run_id)
	expect [ "$(report "$id")" = "$text" ]
	output=$(report --summary --since 1h --json)
	expect jq -e '.containers == 2 and ([.dependencies[] | select(.domain == "github.com.") | .containers] | add == 2)' <<<"$output"
	output=$(report --all --json)
	expect jq -e --arg a "$id" --arg b "$other" '[.containers[].id] == [$a, $b]' <<<"$output"
	# what ended before is not even read
	find "$REPORTS" -name "*-$id.jsonl" -exec touch -d '2 days ago' {} +
	output=$(report --summary --since 1d --json)
	expect jq -e '.containers == 1' <<<"$output"
	deployfence report nobody 2>"$DF_HOST/report.err" && expect false
	expect_match "$(<"$DF_HOST/report.err")" "no fence 'nobody' in /run/deployfence or report-dir"
	rm "$DF_HOST/report.err"
}

@test "deployfence report of a container that runs: what is kept, and what is not yet" {
	local id monitor
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -- sleep 1000
	id=$(run_id)
	monitor=$(fence_pid deployfence-pro)
	job_exec "$JOB" getent hosts github.com
	expect_event '.event == "dns_blocked"'
	kill -TERM "$monitor"
	eventually has_kept "$id" 1
	job_exec "$JOB" getent hosts api.github.com
	expect_event '.event == "dns_blocked" and .domain == "api.github.com."'
	output=$(report "$id" --json)
	expect jq -e '.containers[0] | .ended == false and ([.domains[].domain] | sort == ["api.github.com.", "github.com."])' <<<"$output"
	expect [ "$(report "$id" --json | jq '.containers[0].queries')" = "$(jq -s '[.[] | select(.txid) | .count // 1] | add' "$RUNDIR/$id/events.jsonl")" ]
	# the earlier half is gone from /run, as after a rotation
	job_stop "$JOB"
	expect_fence_gone
	has_kept "$id" 2
	local all
	all=$(report "$id" --json | jq 'del(.time)')
	sed -i 1,3d "$RUNDIR/$id/events.jsonl"
	expect [ "$(report "$id" --json | jq 'del(.time)')" = "$all" ]
	# or from report-dir, as where the oldest have to go: then what is left counts as before
	rm "$(kept "$id" | head -n 1)"
	expect [ "$(report "$id" --json | jq -c '[.containers[0].domains[] | select(.domain == "api.github.com.")]')" = \
		"$(jq -c '[.containers[0].domains[] | select(.domain == "api.github.com.")]' <<<"$all")" ]
}

@test "deployfence report: where report-dir is not to be trusted, or not known, it says so and reads the rest" {
	local status=0
	job -a deployfence=on -- getent hosts github.com
	expect_fence_gone
	chmod 777 "$REPORTS"
	output=$(deployfence report 2>"$DF_HOST/report.err") || status=$?
	expect [ "$status" = 77 ]
	expect_match "$(<"$DF_HOST/report.err")" "report-dir $REPORTS: others than you own it, or may write there"
	expect_match "$output" $'\nblocked +2  github\\.com '
	chmod 700 "$REPORTS"
	echo nonsense >/etc/deployfence/deployfence.conf
	status=0
	output=$(deployfence report 2>"$DF_HOST/report.err") || status=$?
	expect [ "$status" = 78 ]
	expect_match "$output" $'\nblocked +2  github\\.com '
	rm "$DF_HOST/report.err"
}

@test "a log of /run that is rotated away is kept first" {
	local id events size
	policy_sealed sealed
	job_start -a deployfence.policy=sealed -- sleep 1000
	id=$(run_id)
	events=$RUNDIR/$id/events.jsonl
	job_exec "$JOB" getent hosts github.com
	podman stop -t 0 "$JOB" >/dev/null
	expect_fence_gone
	has_kept "$id" 1
	# the same container once more, and what it had to say fills the file
	event '.event == "dns_blocked"' tojson >"$DF_HOST/line"
	for _ in {1..13}; do
		cat "$DF_HOST/line" "$DF_HOST/line" >"$DF_HOST/lines"
		mv "$DF_HOST/lines" "$DF_HOST/line"
	done
	size=$(stat -c %s "$events")
	head -c $(((4 << 20) - size - 600)) "$DF_HOST/line" | sed '$d' >>"$events"
	rm "$DF_HOST/line"
	podman start "$JOB" >/dev/null
	job_exec "$JOB" getent hosts api.github.com
	eventually [ -e "$events.1" ]
	eventually has_kept "$id" 2
	expect [ -n "$(fence_pid deployfence-pro)" ]
	diff "$events.1" <(kept_lines "$id" | head -n "$(wc -l <"$events.1")")
	job_stop "$JOB"
	expect_fence_gone
	diff <(cat "$events.1" "$events") <(kept_lines "$id")
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
