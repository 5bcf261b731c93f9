#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Every event that a fence writes is one that docs/events.schema.json describes.

load ../lib/ground
load common

SCHEMA=$BATS_TEST_DIRNAME/../../docs/events.schema.json

teardown() {
	! mountpoint -q "$RUNDIR" || umount -l "$RUNDIR"
	end_test
}

validate() { # FILE…: sets status and output
	status=0
	output=$(/usr/bin/python3 "$DF_LIB/validate_events.py" "$SCHEMA" "$@") || status=$?
}

has_lines() { # EVENT N
	[ "$(event_lines | jq -s "[.[] | select(.event == \"$1\")] | length")" -ge "$2" ]
}

kinds() { # EVENT…: what the files hold is valid, and these are among it
	local kind
	validate "$RUNDIR"/*/events.jsonl
	expect [ "$status" = 0 ]
	for kind in "$@"; do
		expect_match "$output"$'\n' $'(^|\n)'"$kind "$'[0-9]+\n'
	done
}

# Names asked for, twice each by one process; a reserved address; a raw socket.
PROVOKE='
import socket
def attempt(f, *a):
    try: return f(*a)
    except OSError as e: return e
for name in ("github.com", "ok.example", "alias.example", "www.ok.example", "a b\"=.ok.example") * 2:
    attempt(socket.gethostbyname, name)
def connect(*to): socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(to)
print(attempt(connect, "127.200.0.1", 80))
print(attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 17))
'

provoke() { # MODE
	local before
	policy_sealed sealed 'owner team-x' 'hint "use the mirror"'
	job_start -a deployfence="$1" -a deployfence.policy=sealed -a deployfence.owner=me -a deployfence.x-commit=1c5f0e2 \
		-c NET_RAW -- sleep 1000
	job_exec "$JOB" python3 -c "$PROVOKE"
	eventually has_lines socket_blocked 1
	before=$(fence_pid df-worker)
	kill -9 "$before"
	eventually is_other_pid df-worker "$before"
	# its counts die with a worker: repetitions once more
	job_exec "$JOB" python3 -c "$PROVOKE"
	eventually has_lines socket_blocked 2
	job_stop "$JOB"
	expect_fence_gone
}

@test "events of a fenced container are those that the schema describes" {
	provoke enforce
	expect_match "$(event '.event == "connect_blocked"' '.ip + " " + .reason')" '^127\.200\.0\.1 ReservedAddress$'
	kinds start query dns_blocked summary connect_blocked socket_blocked worker_restarted stop
	expect_event '.event == "dns_blocked" and .reason == "FromCNAME" and .cname_chain == ["github.com."] and .blocked'
	expect_event '.event == "dns_blocked" and .rule_owner == "team-x" and .owner == "me" and .hint == "use the mirror"
		and .annotations == {owner: "me", "x-commit": "1c5f0e2"}'
	refute has_event '.would_block'
}

@test "events in audit mode are those that the schema describes" {
	provoke audit
	kinds start query dns_blocked summary connect_blocked socket_blocked worker_restarted stop
	expect_event '.event == "dns_blocked" and .reason == "FromCNAME" and .would_block'
	refute has_event '.blocked == true'
}

@test "the check of events finds what is wrong" {
	local bad good
	job -a deployfence=on -- getent hosts github.com
	expect_fence_gone
	event '.event == "dns_blocked"' tojson >"$DF_HOST/event"
	validate "$DF_HOST/event"
	expect [ "$status" = 0 ]
	good=$(cat "$DF_HOST/event")
	for bad in '.event = "blocked"' '.reason = "FromUnknown"' '.schema = 2' '.more = 1' 'del(.container)' \
		'.domain = "github.com"' '.domain = "a=b."' '.port = 53' '.ancestry[0].pid = "1"' '.would_block = true' \
		'.blocked = false' '.blocked = 1' 'del(.tid)' '.rcode = 3' '.cname_chain = ["x."]' '.container.more = ""' \
		'.annotations = {}' '.annotations = {team: "x"}' '.txid = 65536' '.time = "2026-12-01 12:00:00"' \
		'.event = "stop"' '.event = "query"' '[.]'; do
		jq -c "$bad" <<<"$good" >"$DF_HOST/event"
		validate "$DF_HOST/event"
		echo "$bad"
		expect [ "$status" = 1 ]
	done
	for bad in '' '{}' '{"schema":1' "${good%\}},\"schema\":1}"; do
		printf '%s\n' "$bad" >"$DF_HOST/event"
		validate "$DF_HOST/event"
		expect [ "$status" = 1 ]
	done
}

@test "the journal gets fields, binary ones framed; without journald syslog gets the line, without both nothing stops" {
	local journal=/run/systemd/journal/socket
	job -a deployfence=on -- sh -c "curl -sS -A 'x
PRIORITY=0' http://github.com; curl -sS http://github.com; curl -sS http://ok.example"
	expect_match "$output" 'hello from ok\.example'
	expect_syslog 'MESSAGE=WARN DNS BLOCKED .*PRIORITY=4 SYSLOG_IDENTIFIER=deployfence DEPLOYFENCE_EVENT=dns_blocked DEPLOYFENCE_REASON=FromDNSRequest DEPLOYFENCE_BLOCKED=true DEPLOYFENCE_BLOCKED_AT=dns .*DEPLOYFENCE_DOMAIN=github\.com\. .*DEPLOYFENCE_CMD=curl -sS http://github\.com .*DEPLOYFENCE_POLICY=default DEPLOYFENCE_MODE=enforce'
	expect_syslog 'DEPLOYFENCE_CMD \+' # a newline in it: 43 octets, the number as 64 bits little-endian
	mv "$journal" "$journal.away"
	job -a deployfence=on -- curl -sS http://github.com
	expect [ "$status" = 6 ]
	expect_syslog '^<28>deployfence\[[0-9]+\]: WARN DNS BLOCKED'
	mv /dev/log /dev/log.away
	job -a deployfence=on -- sh -c "curl -sS http://github.com; curl -sS http://ok.example"
	mv /dev/log.away /dev/log
	mv "$journal.away" "$journal"
	expect_match "$output" 'hello from ok\.example'
	expect_match "$(event_texts)" 'WARN DNS BLOCKED'
	expect_event '.event == "stop" and (.message | test("[1-9][0-9]* lines not logged"))'
}

# How often the refusal of the last job came each way: "JOURNAL SYSLOG FILE".
ways() {
	echo "$(syslog_lines | grep -c '^MESSAGE=WARN DNS BLOCKED') $(syslog_lines | grep -c '^<28>deployfence\[[0-9]*\]: WARN DNS BLOCKED')" \
		"$(event_texts | grep -c '^WARN DNS BLOCKED')"
}

@test "log in deployfence.conf: where refusals go beside the files" {
	local to expected
	for to in file:0:0 none:0:0 syslog:0:1 'journal syslog:1:1' journal:1:0 'file journal:1:0'; do
		IFS=: read -r to expected <<<"$to"
		echo "log $to"
		begin_test
		policy_sealed sealed
		echo "log $to" >/etc/deployfence/deployfence.conf
		job -a deployfence.policy=sealed -- sh -c "$VISIT"
		expect_fenced
		expect_fence_gone
		expect [ "$(ways)" = "${expected/:/ } 1" ]
	done
}

@test "the journal takes nothing, since nobody reads it: enforcement goes on, and the lines are counted" {
	local journal=/run/systemd/journal/socket reader
	mv "$journal" "$journal.away"
	/usr/bin/python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
time.sleep(1000)' "$journal" 3>&- 4>&- &
	reader=$!
	eventually [ -S "$journal" ]
	job -a deployfence=on -- sh -c 'for i in $(seq 60); do getent hosts "n$i.github.com"; done; curl -sS http://github.com; echo "rc=$?"; curl -sS http://ok.example'
	kill "$reader"
	wait "$reader" || true
	rm "$journal"
	mv "$journal.away" "$journal"
	expect_match "$output" 'rc=6'
	expect_match "$output" 'hello from ok\.example'
	expect_fence_gone
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "dns_blocked" and .blocked) | .domain] | unique | length')" = 61 ]
	expect_event '.event == "stop" and (.message | test("; [1-9][0-9]* lines not logged")) and (has("lost") | not)'
	expect_match "$(deployfence report)" $'\nlost: [1-9][0-9]* unlogged'
	output=$(deployfence report --json)
	expect jq -e '.containers[0] | .complete and .lost.unlogged > 0 and .lost.events == 0' <<<"$output"
}

@test "no room in /run: enforcement goes on, what is lost is counted, and the report says that it is not complete" {
	local id names
	mkdir -p "$RUNDIR"
	mount -t tmpfs -o mode=700,size=256k full "$RUNDIR"
	job_start -a deployfence=on -- sleep 1000
	id=$(job_id)
	job_exec "$JOB" getent hosts first.github.com
	expect_event '.event == "dns_blocked" and .domain == "first.github.com."'
	dd if=/dev/zero of="$RUNDIR/.ballast" bs=4k 2>/dev/null || true
	job_exec "$JOB" sh -c 'for i in $(seq 40); do getent hosts "n$i.github.com"; done; curl -sS -m 10 http://github.com; echo "rc=$?"
		curl -sS http://ok.example'
	expect_match "$output" 'rc=6'
	expect_match "$output" 'hello from ok\.example'
	rm "$RUNDIR/.ballast"
	job_exec "$JOB" getent hosts last.github.com
	expect_event '.event == "dns_blocked" and .domain == "last.github.com."'
	job_stop "$JOB"
	expect_fence_gone
	kinds start dns_blocked stop
	names=$(event_lines | jq -s '[.[] | select(.event == "dns_blocked") | .domain] | unique | length')
	expect [ "$names" -lt 43 ]
	expect_event '.event == "stop" and .lost > 0 and (.message | test("; lost: [1-9][0-9]* events, "))'
	expect_match "$(deployfence report "$id")" '\(incomplete: some events could not be written\)'
	output=$(deployfence report "$id" --json)
	expect jq -e '.damaged_lines == 0 and (.containers[0] | (.complete | not) and .ended and .lost.events > 0)' <<<"$output"
	umount "$RUNDIR"
}

@test "a monitor that has no time: what found no room on the way to it is in the counts of the end" {
	local monitor
	job_start -a deployfence=on -- sleep 1000
	monitor=$(fence_pid deployfence-pro)
	job_exec "$JOB" getent hosts ok.example
	kill -STOP "$monitor"
	job_exec "$JOB" python3 -c '
import socket
for name in [f"n{i}.ok.example" for i in range(400)] + [f"n{i}.github.com" for i in range(30)]:
    try: socket.gethostbyname(name)
    except OSError: pass
print("done")'
	kill -CONT "$monitor"
	expect [ "$output" = "done" ]
	job_exec "$JOB" curl -sS -m 10 http://github.com
	expect [ "$status" = 6 ]
	job_stop "$JOB"
	expect_fence_gone
	# curl asked for A and AAAA
	expect_event '.event == "stop" and (.message | test("^container ended: 433 queries, 32 refused; .*, [1-9][0-9]* dropped"))'
	expect [ "$(event_lines | jq -s '[.[] | select(.txid or .event == "summary") | .count // 1] | add')" -lt 433 ]
}

unfenced() { # REGEX [JQ-CONDITION]: the last job ran without a fence, and the report says why
	expect [ "$status" = 0 ]
	expect_unfenced
	validate "$RUNDIR"/*/events.jsonl
	expect [ "$status$output" = "0unfenced 1" ]
	expect_event ".event == \"unfenced\" and (.message | test(\"$1\")) and ${2:-has(\"mode\") == false}"
	expect_match "$(deployfence report)" $'\nunfenced: [^\n]*'"$1"
	rm -rf "$RUNDIR" "$REPORTS"
}

@test "a container without a fence has an event of the hook, which the report shows and report-dir keeps" {
	job -a deployfence=off -a deployfence.owner=team-x -a deployfence.x-job=7 -- sh -c "$VISIT"
	expect_event '.annotations == {"owner": "team-x", "x-job": "7"}'
	eventually eval 'ls "$REPORTS"/*.jsonl >/dev/null 2>&1'
	unfenced 'annotation deployfence=off'
	echo 'reason an incident' >/etc/deployfence/disabled
	job -a deployfence=on -- sh -c "$VISIT"
	rm /etc/deployfence/disabled
	unfenced '/etc/deployfence/disabled exists: an incident'
	job -a deployfence.policy=nowhere -a deployfence.fail=open -- sh -c "$VISIT"
	unfenced 'nowhere'
	# in audit mode: not observed
	echo 'nonsense' >"$POLICIES/broken.policy"
	job -a deployfence=audit -a deployfence.policy=broken -- sh -c "$VISIT"
	unfenced 'broken' '.mode == "audit"'
	# the twin
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	refute has_event '.event == "unfenced"'
}

@test "a fence whose processes were killed: the hook says so in an event, in the report and in report-dir" {
	local id
	job_start -a deployfence=on -- sleep 1000
	id=$(job_id)
	job_exec "$JOB" getent hosts github.com
	expect_event '.event == "dns_blocked"'
	kill -9 "$(fence_pid deployfence-pro)"
	eventually is_fence_gone
	job_stop "$JOB"
	expect_event '.event == "fence_lost" and .message == "its proxy ended before it; DNS was refused from then on"'
	kinds start dns_blocked fence_lost
	expect_match "$(deployfence report "$id")" $'\nfence_lost: its proxy ended before it; DNS was refused from then on'
	eventually eval 'grep -q fence_lost "$REPORTS"/*-"$id".jsonl'
	output=$(deployfence report "$id" --json)
	expect jq -e '.containers[0] | .ended == false and any(.notes[]; .event == "fence_lost" and .count == 1)' <<<"$output"
}
