#!/bin/bash
# shellcheck disable=SC1091,SC2154 # run from another directory; job sets output, stderr and status
# What 55-lifecycle-more.bats runs on a ground with hybrid cgroups: exit status 0 if a job is fenced there, and a typo refused.
set -eE
trap 'echo "line $LINENO: $BASH_COMMAND"; printf "status: %s\noutput: %s\nstderr: %s\n" "$status" "$output" "$stderr"' ERR
. "${DF_LIB:?}/ground.bash"
. "${BASH_SOURCE[0]%/*}/common.bash"
status='' output='' stderr=''

[ "$DF_CGROUP2" = /sys/fs/cgroup/unified ]
[ "$(findmnt -rno FSTYPE --mountpoint /sys/fs/cgroup/unified)" = cgroup2 ]
product_install
world_up
image_build
mkdir -p "$POLICIES"
policy_sealed sealed
for runtime in crun runc; do
	echo "hybrid: $runtime"
	leftovers_mark
	job -r "$runtime" -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_match "$stderr" 'deployfence: WARN DNS BLOCKED .*domain=github\.com\.'
	expect_fence_gone
	expect_event ".event == \"dns_blocked\" and .container.id == \"$JOB\" and (.cmd | startswith(\"curl \"))"
	job -r "$runtime" -- sh -c "$VISIT"
	expect_unfenced
	job -r "$runtime" -a deployfence=On -- echo ran
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'accepted: on, enforce, audit, off'
	aftermath_check
done
world_down
