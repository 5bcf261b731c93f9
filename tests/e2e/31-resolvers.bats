#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; single-quoted scripts for containers
# Who is believed to be a resolver: only the one that was asked, none that the container can be, and none that appears in a
# file which the payload can write.

load ../lib/ground
load common

# --- only the resolver answers the proxy

# The forged answer has an address that no zone has.
FORGED=192.0.2.66

# The attack goes on for ten seconds; meanwhile a client of the same container has its answers.
UNDER_ATTACK='
	spoof $RESOLVER ok.example 192.0.2.66 10 >/tmp/spoof & attack=$!
	sleep 0.5
	for i in 1 2 3 4 5 6 7 8 9 10; do mclient -$HOW $RESOLVER other.example; sleep 0.2; done
	wait $attack; cat /tmp/spoof'

expect_unspoofed() {
	expect_match "$output" 'accepted=0 answered=[1-9][0-9]* sent=[1-9][0-9]* sockets=[1-9]'
	expect [ "$(grep -c '^address=203.0.113.11$' <<<"$output")" = 10 ]
	refute_match "$output" "${FORGED//./\\.}"
	expect_event '.event == "forged_answers" and .count > 100'
}

@test "a payload that answers in an IPv6 resolver's name: no answer is taken, true ones go on arriving" {
	local runtime
	policy_sealed sealed
	for runtime in crun podman+crun; do
		echo "$runtime"
		job -r "$runtime" -d fd00:53::1 -a deployfence.policy=sealed -e RESOLVER=fd00:53::1 -e HOW=u6 -- sh -c "$UNDER_ATTACK"
		expect_unspoofed
		job -r "$runtime" -d fd00:53::1 -a deployfence.policy=sealed -e RESOLVER=fd00:53::1 -e HOW=t6 -- sh -c "$UNDER_ATTACK"
		expect_unspoofed
	done
}

@test "a payload with CAP_NET_RAW that answers in an IPv4 resolver's name: no answer is taken, true ones go on arriving" {
	policy_sealed sealed
	job -r crun -c NET_RAW -d 10.89.53.1 -a deployfence.policy=sealed -e RESOLVER=10.89.53.1 -e HOW=u4 -- sh -c "$UNDER_ATTACK"
	expect_unspoofed
}

@test "a neighbour in the network namespace, fenced itself, that answers in the resolver's name: no answer is taken" {
	local neighbour netns
	policy_sealed sealed
	job_start -r crun -d fd00:53::1 -a deployfence.policy=sealed -- sleep 1000
	expect [ "$status" = 0 ]
	neighbour=$JOB
	netns=/run/netns/$JOB
	job_start -r crun -n "$netns" -d fd00:53::1 -a deployfence.policy=sealed -- \
		spoof fd00:53::1 ok.example $FORGED 10 watch
	expect [ "$status" = 0 ]
	job_exec "$neighbour" sh -c 'end=$(($(date +%s) + 8)); while [ "$(date +%s)" -lt $end ]; do mclient -u6 fd00:53::1 ok.example; done'
	expect_match "$output" 'address=203\.0\.113\.10'
	refute_match "$output" "${FORGED//./\\.}"
	eventually grep -q '^accepted' "$DF_HOST/jobs/$JOB/stdout" >/dev/null
	expect_match "$(job_logs "$JOB")" 'sent=[1-9][0-9]* sockets=[1-9]'
	expect_event '.event == "forged_answers"'
	job_stop "$JOB"
	job_stop "$neighbour"
}

# The fence asks for a name that it has refused, the resolver is silent about it, and somebody else is not.
@test "forged answers to the fence's own questions: the address that they name stays free" {
	printf '%s\n' 'default allow' 'pin-blocked on-refusal' 'block github.com' | policy pins
	world_dns_mode '* dead name=github.com'
	job -r crun -d fd00:53::1 -a deployfence.policy=pins -- sh -c '
		spoof fd00:53::1 github.com 203.0.113.10 14 watch & attack=$!
		mclient -u6 fd00:53::1 github.com
		wait $attack
		curl -sS -m 5 http://203.0.113.10/; echo "curl rc=$?"'
	expect_match "$output" 'sent=[1-9][0-9]* sockets=[1-9]'
	expect_match "$output" 'curl rc=0'
	# the twin: an address that the resolver names is refused
	world_dns_mode
	job -r crun -d fd00:53::1 -a deployfence.policy=pins -- sh -c '
		mclient -u6 fd00:53::1 github.com; sleep 1
		curl -sS -m 5 http://140.82.112.3/; echo "curl rc=$?"'
	expect_match "$output" 'curl rc=7'
}
