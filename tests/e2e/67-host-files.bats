#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Files of the host that a container may write, by further ways and of further sorts.

load ../lib/ground
load common

teardown() {
	end_test
}

strict() {
	policy strict <<-'POLICY'
		default allow
		pin-blocked no
		on-leak all warn
		on-leak host-mount refuse
		block github.com
	POLICY
}

# Refused by a policy that refuses this: shown REGEX JOB-OPTION…
shown() {
	local seen=$1
	shift
	echo "shown: $*"
	job "$@" -a deployfence.policy=strict -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" "refused: finding host-mount: $seen"
}

# The twin: it starts.
hidden() { # JOB-OPTION…
	echo "hidden: $*"
	job "$@" -a deployfence.policy=strict -- echo ran
	expect [ "$output" = ran ]
}

@test "host-mount: what root of the host runs or goes by, wherever it is" {
	local path mounts=() readonly=()
	local paths=(/etc/cdi /run/cdi /etc/docker /etc/profile.d /etc/profile /etc/bash.bashrc /etc/environment /etc/cron.daily /etc/cron.hourly
		/var/spool/cron /etc/ssh /root/.ssh /etc/ld.so.conf.d /etc/init.d /etc/modprobe.d /etc/sysctl.d /etc/default /etc/apt
		/etc/dbus-1 /etc/security /etc/group /etc/nsswitch.conf /etc/alternatives /opt/cni/bin)
	strict
	for path in "${paths[@]}"; do
		case $path in
		*/profile | */bash.bashrc | */environment | */group | */nsswitch.conf) touch "$path" ;;
		*) mkdir -p "$path" ;;
		esac
		# one of them is the beginning of another: both are told
		mounts+=(-v "$path:/x$path")
		readonly+=(-v "$path:/x$path:ro")
	done
	job "${mounts[@]}" -a deployfence=on -- echo ran
	expect [ "$output" = ran ]
	for path in "${paths[@]}"; do
		expect_event ".event == \"finding\" and .finding == \"host-mount\" and (.seen | split(\", \") | index(\"mount $path\") != null)"
	done
	hidden "${readonly[@]}"
	# the whole home of root, by what is below it
	shown 'mount /root with /root/\.ssh' -v /root:/x
}

@test "no host-mount: further things that containers are ordinarily given" {
	rm -rf /opt/cni
	mkdir -p /srv/data /opt/app /home/user/src /var/log/app /var/cache/app /var/www /mnt/disk
	strict
	hidden -r podman+crun -v /etc/group:/etc/group:ro -v /etc/passwd:/etc/passwd:ro -v /srv/data:/srv \
		-v /opt/app:/opt/app -v /home/user/src:/src -v /var/log/app:/var/log/app -v /var/cache/app:/cache -v /var/www:/www -v /mnt/disk:/mnt \
		-v /etc/machine-id:/x/machine-id:ro -v /etc/resolv.conf:/x/resolv.conf -v /etc/ssl/certs:/x/certs -v /dev/null:/x/null \
		-o --device=/dev/null -o --device=/dev/zero:/dev/zz -o --tmpfs=/run -o --shm-size=1m
	hidden -r podman+runc -v /home:/home -v /srv:/srv -v /opt:/opt -v /mnt:/mnt -v /var/log:/var/log -v /tmp:/tmp
}
