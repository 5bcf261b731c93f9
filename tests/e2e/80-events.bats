#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Every event that a fence writes is one that docs/events.schema.json describes.

load ../lib/ground
load common

SCHEMA=$BATS_TEST_DIRNAME/../../docs/events.schema.json

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
	expect_event '.event == "dns_blocked" and .owner == "team-x" and .hint == "use the mirror"
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
