#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2046 # run sets output and status; scripts for the inner ground; names of variables
# A machine on which the product is installed already, and broken: on the ground nothing of it is seen, and no result of
# the tests changes. The machine is an inner ground, between whose layers the broken installation lies.

load ../lib/ground
load common

setup_file() {
	image_build || return
	export DIRTY=$BATS_FILE_TMPDIR/dirty DF_TEST_CACHE=$BATS_FILE_TMPDIR/cache
	mkdir -p "$DF_TEST_CACHE"
	cp -a "$DF_ROOTFS" "$DF_ROOTFS.stamp" "$DF_TEST_CACHE/"
	dirty_machine
}

teardown_file() {
	rm -rf "$DIRTY" "$DF_TEST_CACHE"
}

setup() {
	leftovers_mark
}

teardown() {
	leftovers_check
}

# Programs that fail, hooks that lead nowhere, settings and policies with errors: in /usr, in /usr/local, and where an
# administrator or an older version may have put them.
dirty_machine() {
	local prefix file
	for prefix in usr usr/local; do
		for file in bin/deployfence sbin/deployfenced libexec/oci/hooks.d/deployfence libexec/deployfence/deployfence-proxy; do
			dirty "$prefix/$file" '#!/bin/sh' 'echo "the installed one ran" >&2' 'exit 1'
			chmod +x "$DIRTY/$prefix/$file"
		done
		dirty_hook "$prefix/share/containers/oci/hooks.d/50-deployfence.json" /nowhere/deployfence
		dirty_hook "$prefix/share/containers/oci/hooks.d/99-site.json" /usr/libexec/oci/hooks.d/deployfence
		dirty "$prefix/share/deployfence/policies/default.policy" 'mode perhaps'
		dirty "$prefix/share/deployfence/policies/encrypted-dns.policy" 'blok x'
		dirty "$prefix/share/man/man1/deployfence.1" .Dd
		dirty "$prefix/share/bash-completion/completions/deployfence.bash" 'exit 1'
		dirty "$prefix/share/zsh/site-functions/_deployfence" 'exit 1'
		dirty "$prefix/lib/systemd/system/deployfence-watch.timer" '[Timer]'
		dirty "$prefix/etc/deployfence/disabled" 'reason of the machine'
	done
	dirty_hook etc/containers/oci/hooks.d/50-deployfence.json /usr/libexec/oci/hooks.d/deployfence
	dirty etc/containers/containers.conf.d/10-site.conf '[containers]' 'annotations = ["deployfence=perhaps"]' \
		'[engine]' 'hooks_dir = ["/etc/containers/oci/hooks.d"]'
	dirty etc/systemd/system/timers.target.wants/deployfence-watch.timer '[Timer]'
	dirty etc/deployfence/deployfence.conf 'fail perhaps' 'default-policy none-such'
	dirty etc/deployfence/policies/default.policy 'block'
	dirty etc/deployfence/policies/old.rules 'block'
	dirty var/lib/deployfence/policies/default 'no table'
	dirty var/lib/deployfence/reports/report 'no report'
	dirty var/lib/dpkg/info/deployfence.list /usr/bin/deployfence
}

dirty() { # PATH LINE…
	local path=$DIRTY/$1
	shift
	mkdir -p "${path%/*}"
	printf '%s\n' "$@" >"$path"
}

dirty_hook() { # PATH PROGRAM: one that is called for every container
	dirty "$1" "{\"version\": \"1.0.0\", \"hook\": {\"path\": \"$2\"}, \"when\": {\"always\": true}, \"stages\": [\"createRuntime\"]}"
}

# On a ground of that machine; bats inside must not take itself for a part of this one.
inner() { # [NAME=VALUE]… COMMAND…
	run env -u DF_HOST -u DF_SYSLOG -u DF_WORLD -u DF_CGROUP2 -u DF_ROOTFS \
		$(compgen -e BATS_ | sed 's/^/-u /') DF_UNDER="$DIRTY" "$@" 3>&- 4>&- </dev/null
}

traces() { # [NAME=VALUE]…: paths of the product on a ground of that machine
	inner "$@" bash "$DF_LIB/host.bash" \
		find /etc /usr /var/lib -xdev \( -iname '*deployfence*' -o -path '*/hooks.d/*.json' -o -name 10-site.conf \)
	output=$(grep -v "^${DF_LIB%/tests/lib}" <<<"$output" || true) # the tree itself may be there
}

@test "no trace of an installed product on the ground" {
	traces
	expect [ "$status" = 0 ]
	expect [ "$output" = "" ]
	# the twin: there it is
	traces DF_KEEP_PRODUCT=yes
	expect_match "$output" '/usr/libexec/oci/hooks\.d/deployfence'
	expect_match "$output" '/usr/local/bin/deployfence'
	expect_match "$output" '/usr/share/containers/oci/hooks\.d/99-site\.json'
	inner DF_KEEP_PRODUCT=yes bash "$DF_LIB/host.bash" deployfence check github.com
	expect [ "$status" = 1 ]
	expect_match "$output" 'the installed one ran'
}

# One test of each sort: a fence, a refusal, the command, none at all.
results() { # FILE FILTER NUMBER
	inner FILTER="$2" bash "$DF_LIB/../run-root" "$DF_LIB/../e2e/$1"
	expect [ "$status" = 0 ]
	expect_match "$output" "(^|"$'\n'")1\.\.$3"
	refute_match "$output" 'not ok|# skip|the installed one ran'
}

@test "fences, refusals and unfenced containers are as without a broken installation: an empty kill switch" {
	: >"$DIRTY/etc/deployfence/disabled"
	results 10-annotations.bats '^podman with crun: (on|off|a typo)' 3
}

@test "the same with a kill switch that has a reason" {
	printf 'reason of the machine\n' >"$DIRTY/etc/deployfence/disabled"
	results 10-annotations.bats '^podman with crun: (on|off|a typo)' 3
}
