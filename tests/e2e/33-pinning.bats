#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; the containers' scripts are in single quotes
# Addresses of blocked names: whatever a resolver answers, they are refused, or an event says that they are not.

load ../lib/ground
load common

setup_file() {
	export DF_ZONE=$DF_HOST/pinning.zone
	cat >"$DF_ZONE" <<-'ZONE'
		few.pin.example       A*6   198.51.30.1
		few.pin.example       AAAA  2001:db8:90::1
		crowd.pin.example     A*120 198.51.31.1
		legion.pin.example    A*200 198.51.32.1
		chain.pin.example     CNAME hop1.chain.example
		hop1.chain.example    CNAME hop2.chain.example
		hop2.chain.example    A     198.51.33.1
		big.pin.example       A*60  198.51.34.1
		other.pin.example     A     198.51.35.1
		c1.pin.example        A     198.51.36.1
		c2.pin.example        A     198.51.36.2
		c3.pin.example        A     198.51.36.3
		c4.pin.example        A     198.51.36.4
		c5.pin.example        A     198.51.36.5
		c6.pin.example        A     198.51.36.6
	ZONE
	world_up && image_import && image_build || return
	product_install
}

# In the containers: refused(ADDRESS…) is the number of those that connect refuses at once.
PYTHON='
import errno, os, socket, sys
def refused(*addresses):
    n = 0
    for address in addresses:
        try:
            socket.create_connection((address, 80), 10).close()
        except OSError as e:
            n += e.errno == errno.EPERM
    return n
'

fence() { # STATEMENT…
	printf '%s\n' "$@" | policy pins
	job_start -a deployfence.policy=pins -- sleep 1000
	expect [ "$status" = 0 ]
}

is_pinned() { # ADDRESS
	job_exec "$JOB" python3 -c "$PYTHON"'print(refused(sys.argv[1]))' "$1"
	[ "$output" = 1 ]
}

refused_of() { # NETWORK COUNT: how many of NETWORK.1 … are refused
	job_exec "$JOB" python3 -c "$PYTHON"'
print(refused(*(f"{sys.argv[1]}.{i}" for i in range(1, int(sys.argv[2]) + 1))))' "$1" "$2"
	echo "$output"
}

# Whatever becomes of pinning, the name itself is refused.
expect_name_refused() { # NAME
	job_exec "$JOB" dig +tries=1 "$1"
	expect_match "$output" 'status: NXDOMAIN'
}

@test "an answer that is cut is asked for again by TCP: all of it is refused, and nothing else" {
	world_dns_mode '* truncate'
	fence 'block few.pin.example' 'block big.pin.example' 'block chain.pin.example'
	eventually is_pinned 198.51.30.6
	eventually is_pinned 2001:db8:90::1
	eventually is_pinned 198.51.34.60
	eventually is_pinned 198.51.33.1
	expect [ "$(refused_of 198.51.30 6)" = 6 ]
	expect [ "$(refused_of 198.51.34 60)" = 60 ]
	expect [ "$(refused_of 198.51.35 1)" = 0 ] # the twin
	world_dns_log ' TCP [^ ]+ [^ ]+ few\.pin\.example A '
	refute_event '.event == "pin_failed"'
	expect_name_refused few.pin.example
}

@test "a cut answer that has some addresses, and no TCP: what is there is refused, an event says that there is more" {
	world_dns_mode '* some name=few.pin.example' '* refuse-tcp'
	fence 'block few.pin.example'
	eventually is_pinned 198.51.30.1
	expect_event '.event == "pin_failed" and .reason == "CutAnswer" and .domain == "few.pin.example."'
	expect [ "$(refused_of 198.51.30 6)" = 1 ]
	expect_name_refused few.pin.example
	world_dns_mode
	eventually is_pinned 198.51.30.6
	expect_event '.event == "pin_recovered" and .domain == "few.pin.example."'
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "pin_failed" and .reason == "CutAnswer")] | length')" = 1 ]
}

@test "more addresses than are refused for one name: which name, how many, and the rest is not refused" {
	fence 'block crowd.pin.example' 'block legion.pin.example' 'block few.pin.example'
	eventually is_pinned 198.51.30.6
	expect_event '.event == "pin_failed" and .reason == "TooManyAddresses" and .domain == "crowd.pin.example." and .count == 120'
	expect_event '.event == "pin_failed" and .reason == "TooManyAddresses" and .domain == "legion.pin.example." and .count == 200'
	expect_match "$(event '.reason == "TooManyAddresses"' .message)" '64 of them'
	expect [ "$(refused_of 198.51.31 120)" = 64 ]
	expect [ "$(refused_of 198.51.32 200)" = 64 ]
	refute_event '.event == "pin_failed" and .domain == "few.pin.example."'
	expect_name_refused crowd.pin.example
	expect_match "$(deployfence report "$(job_id)")" 'incomplete: 2 names have addresses that are not refused'
	deployfence report --format json "$(job_id)" >"$BATS_TEST_TMPDIR/report.json"
	expect [ "$(jq -c '.containers[0] | [.complete, .unpinned]' "$BATS_TEST_TMPDIR/report.json")" = '[false,["crowd.pin.example.","legion.pin.example."]]' ]
	/usr/bin/python3 "$DF_LIB/validate_json.py" "$DF_LIB/../../docs/report.schema.json" "$BATS_TEST_TMPDIR/report.json"
	# what was read from a report is shown again
	expect_match "$(deployfence report "$BATS_TEST_TMPDIR/report.json")" 'incomplete: 2 names have addresses that are not refused'
}

@test "a name that cannot be pinned is an event by its cause, tried again, and told when it is over" {
	local case reason i=0 modes=() rules=()
	local cases=('rcode 2:ServerFailure' 'rcode 5:RefusedByResolver' 'trailing:Malformed' 'cut:Malformed' 'dead:Timeout' 'truncate:CutAnswer')
	for case in "${cases[@]}"; do
		i=$((i + 1))
		modes+=("* ${case%:*} name=c$i.pin.example") rules+=("block c$i.pin.example")
	done
	world_dns_mode "${modes[@]}" '* refuse-tcp'
	fence "${rules[@]}" 'block other.pin.example'
	eventually is_pinned 198.51.35.1 # the twin
	i=0
	for case in "${cases[@]}"; do
		i=$((i + 1)) reason=${case#*:}
		expect_event '.event == "pin_failed" and .domain == "c'"$i"'.pin.example." and .reason == "'"$reason"'"'
		expect_name_refused "c$i.pin.example"
	done
	expect [ "$(refused_of 198.51.36 6)" = 0 ] # the events are true
	expect_match "$(deployfence report "$(job_id)")" 'incomplete: 6 names have addresses that are not refused'
	world_dns_mode
	for i in 1 2 3 4 5 6; do
		expect_event '.event == "pin_recovered" and .domain == "c'"$i"'.pin.example."'
	done
	expect [ "$(refused_of 198.51.36 6)" = 6 ]
	refute_event '.event == "pin_failed" and .domain == "other.pin.example."'
	refute_match "$(deployfence report "$(job_id)")" 'not refused\)'
	# each cause once, however often it was tried; on a busy machine a name may have had a time-out, too
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "pin_failed") | {domain, reason}] | length == (unique | length)')" = true ]
}

@test "the addresses of one family cannot be had: the other ones are refused, the event names the type" {
	world_dns_mode '* rcode 2 name=few.pin.example type=AAAA'
	fence 'block few.pin.example'
	eventually is_pinned 198.51.30.6
	expect_event '.event == "pin_failed" and .reason == "ServerFailure" and .domain == "few.pin.example." and (.message | startswith("AAAA: "))'
	refute_event '.event == "pin_failed" and (.message | startswith("A: "))'
	world_dns_mode
	eventually is_pinned 2001:db8:90::1
	expect_event '.event == "pin_recovered"'
}

@test "a chain that no answer has as a whole is followed" {
	world_dns_mode '* head name=chain.pin.example' '* head name=hop1.chain.example'
	fence 'block chain.pin.example'
	eventually is_pinned 198.51.33.1
	refute_event '.event == "pin_failed"'
	job_stop "$JOB"
	# one that leads in a circle ends, and says so
	world_dns_mode '* head'
	rm -rf "$RUNDIR"
	fence 'block chain.pin.example'
	expect_event '.event == "pin_failed" and .domain == "chain.pin.example."'
	expect_name_refused chain.pin.example
}

@test "the first resolver has no TCP, or is silent: the second is asked" {
	world_dns_mode '10.89.53.1 refuse-tcp' '* truncate name=few.pin.example' '10.89.53.1 dead name=other.pin.example'
	fence 'block few.pin.example' 'block other.pin.example'
	eventually is_pinned 198.51.30.6
	eventually is_pinned 198.51.35.1
	refute_event '.event == "pin_failed"'
}

@test "a name that is pinned on refusal and fails is tried again without another query" {
	world_dns_mode '* rcode 2 name=few.pin.example' '* truncate name=big.pin.example'
	fence 'pin-blocked on-refusal' 'block few.pin.example' 'block big.pin.example'
	refute is_pinned 198.51.30.1
	expect_name_refused few.pin.example
	expect_name_refused big.pin.example
	expect_event '.event == "pin_failed" and .domain == "few.pin.example." and .reason == "ServerFailure"'
	eventually is_pinned 198.51.34.60
	world_dns_mode
	eventually is_pinned 198.51.30.6
	expect_event '.event == "pin_recovered" and .domain == "few.pin.example."'
}

@test "hundreds of refused names that cannot be pinned: their events have a limit, and a name that can be is pinned" {
	world_dns_mode '* rcode 2'
	fence 'pin-blocked on-refusal' 'block pin.example'
	job_exec "$JOB" python3 -c '
import socket
for i in range(400):
    try:
        socket.gethostbyname(f"n{i}.pin.example")
    except OSError:
        pass'
	expect_event '.event == "pin_failed"'
	world_dns_mode
	expect_name_refused few.pin.example
	eventually is_pinned 198.51.30.6
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "pin_failed")] | length')" -le 70 ]
	job_stop "$JOB"
	expect_event '.event == "stop" and (.message | test("pinning failed [0-9]{2,} times"))'
}
