#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; scripts for containers
# One fence that answers all the time while others come and go beside it, for SOAK_SECONDS (1800): its processes take no
# more memory and descriptors at the end than after a tenth of that time, and of the others nothing is left.

load ../lib/ground
load ../e2e/common

# VmRSS in kB and the number of descriptors of the monitor and of its worker
figures() { # MONITOR
	local pid
	for pid in "$1" $(cat "/proc/$1/task/$1/children"); do
		awk '/^VmRSS/ { printf "%d ", $2 }' "/proc/$pid/status"
		find "/proc/$pid/fd" -mindepth 1 | wc -l
	done | tr '\n' ' '
}

@test "a fence that works all the time, others beside it: no growth, nothing left" {
	local seconds=${SOAK_SECONDS:-1800} early late monitor i jobs=0 end
	export DF_JOB_TIMEOUT=$((seconds + 300))
	job_start --name soak -a deployfence=on -- sh -c \
		'while :; do for i in 1 2 3 4 5; do getent hosts ok.example n$i.github.com; curl -s -m 5 -o /dev/null http://ok.example; done; done'
	monitor=$(cat "$RUNDIR"/*/pid)
	end=$((SECONDS + seconds / 10))
	early='' late=''
	for i in 1 2; do
		while [ "$SECONDS" -lt "$end" ]; do
			job -a deployfence=on -- sh -c "$VISIT"
			expect_fenced
			((++jobs))
		done
		[ -n "$early" ] || early=$(figures "$monitor")
		end=$((SECONDS + seconds * 9 / 10))
	done
	late=$(figures "$monitor")
	echo "# $jobs jobs; kB and descriptors of monitor and children: $early, at the end $late" >&3
	job_stop soak
	# a reader may have come or gone; what both have must not grow by more than a tenth
	for i in 1 2 3 4; do
		expect [ "$(cut -d ' ' -f "$i" <<<"$late")" -le $(($(cut -d ' ' -f "$i" <<<"$early") * 11 / 10 + 64)) ]
	done
	expect_fence_gone
}
