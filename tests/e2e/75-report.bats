#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; the containers' scripts are in single quotes
# Reports beyond their text: what they hold, their forms, baselines, summaries, graphs.

load ../lib/ground
load common

@test "addresses: those of the container stand in its start, or follow when its network is up" {
	job -a deployfence=on -- ip -o address show dev eth0
	expect_fence_gone
	local address addresses
	mapfile -t addresses < <(grep -oE '(10\.88\.0\.|fd00:88::)[0-9a-f]+/' <<<"$output")
	expect [ "${#addresses[@]}" = 2 ]
	for address in "${addresses[@]}"; do
		expect_event ".event == \"start\" and any(.addresses[]; . == \"${address%/}\")"
	done
	expect has_event '.event == "start" and (.addresses | length) == 2'
	refute has_event '.event == "addresses"'
	rm -rf "$RUNDIR"
	# no network, no address: loopback says nothing
	job -n none -a deployfence=on -- true
	expect_fence_gone
	expect has_event '.event == "start" and (has("addresses") | not)'
	rm -rf "$RUNDIR"
	# with --uidmap the network comes after the hook
	job_start -o --uidmap=0:100000:5000 -a deployfence=on -- sleep 1000
	expect_event '.event == "addresses" and any(.addresses[]; startswith("10.88.0."))'
	expect has_event '.event == "start" and (has("addresses") | not)'
	job_stop "$JOB"
	expect_fence_gone
	rm -rf "$RUNDIR"
}
