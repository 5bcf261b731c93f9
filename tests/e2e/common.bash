#!/bin/bash
# shellcheck disable=SC2154 # job sets output, stderr and status
# What the tests of the product share; a bats file loads it after ../lib/ground.
# Every test starts without state below /run/deployfence and with the installed policies only.

HOOK=/usr/libexec/oci/hooks.d/deployfence
PROXY=/usr/libexec/deployfence/deployfence-proxy
RUNDIR=/run/deployfence
POLICIES=/etc/deployfence/policies
TABLES=/var/lib/deployfence/policies
REPORTS=/var/lib/deployfence/reports
export HOOK PROXY RUNDIR POLICIES TABLES REPORTS

setup_file() {
	world_up && image_import && image_build && product_install
}

setup() {
	begin_test
}

begin_test() {
	world_dns_mode
	world_mark
	rm -rf "$RUNDIR" "$TABLES" "$REPORTS"
	SYSLOG_MARK=$(($(wc -l <"$DF_SYSLOG") + 1))
	leftovers_mark
}

teardown() {
	end_test
}

# bats runs a teardown without errexit: what is wrong is remembered.
end_test() {
	local status=0
	job_stop_all
	find /etc/deployfence -type f ! -name default.policy -delete
	aftermath_check || status=1
	events_validate || status=1 # behind it, since the last event is written at the very end
	texts_validate || status=1
	return "$status"
}

# --- what a container does, and what is expected of it

# One name that the default policy blocks, one that it allows, with the same client.
# shellcheck disable=SC2016,SC2034 # for the shell in the container; used by the tests
VISIT='for host in github.com ok.example; do curl -sS -m 10 http://$host; echo "$host rc=$?"; done'

# curl's 6 is "could not resolve", at once; a time-out would be 28.
expect_fenced() {
	expect_match "$output" 'github\.com rc=6'
	expect_match "$output" 'hello from ok\.example'
	expect_match "$output" 'ok\.example rc=0'
	refute_match "$output" 'hello from github'
}

expect_unfenced() {
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'github\.com rc=0'
	expect_match "$output" 'ok\.example rc=0'
}

# One blocked name, and nothing but a client that would ask for it.
policy_sealed() { # NAME [STATEMENT]…
	local name=$1
	shift
	printf '%s\n' 'mode enforce' 'default allow' 'pin-blocked no' "$@" 'block github.com' >"$POLICIES/$name.policy"
}

policy() { # NAME: the text comes on stdin
	cat >"$POLICIES/$1.policy"
}

# --- further programs for containers

# A directory for the programs of this host that a test file mounts at /more.
more_up() {
	export MORE=$DF_HOST/more
	mkdir -p "$MORE/lib"
}

# The programs of this host at /more in the container, with their libraries beside them.
more() { # PACKAGE PROGRAM…
	local package=$1 program library
	shift
	for program in "$@"; do
		[ -e "$program" ] || skip "package $package is not installed"
		[ ! -e "$MORE/${program##*/}" ] || continue
		cp -L "$program" "$MORE/"
		more_libraries "$program"
	done
}

more_libraries() { # FILE…
	ldd "$@" 2>/dev/null | grep -o '/[^ :]*\.so[^ :]*' | grep -v '/libc\.so\|/ld-linux' | sort -u | while read -r library; do
		[ -e "$MORE/lib/${library##*/}" ] || cp -L "$library" "$MORE/lib/"
	done
}

refute() { # COMMAND…
	if "$@"; then
		echo "should not be: $*"
		expect false
	fi
}

refute_match() { # TEXT REGEX
	[[ ! $1 =~ $2 ]] && return 0
	printf 'match for /%s/ in: %s\n' "$2" "$1"
	expect false
}

# Until a condition holds, at most 10 s; for what happens soon, but not at once.
eventually() { # COMMAND…
	local round
	for round in {1..200}; do
		"$@" && return 0
		sleep 0.05
	done
	echo "not even after a while ($round rounds): $*"
	expect false
}

# podman's bridge changes its hardware address when a container leaves, and the others lose the network for a while.
pin_bridge() {
	ip link set podman0 address "$(cat /sys/class/net/podman0/address)"
}

# --- what it leaves in the logs

# Whatever a test is about: each event that it caused is one that the schema describes.
events_validate() {
	local files text
	files=$(find "$RUNDIR" -name 'events.jsonl*' -size +0 2>/dev/null)
	[ -n "$files" ] || return 0
	# shellcheck disable=SC2086 # ids have no blanks
	text=$(/usr/bin/python3 "$DF_LIB/validate_events.py" "$DF_LIB/../../docs/events.schema.json" $files) && return 0
	printf 'not as the schema says: %s\n' "$text"
	return 1
}

# The expression that deployfence.events(5) gives for refusals, as grep takes it.
refusal_regex() {
	sed -n '/matches this extended regular expression/,/^\.Ed/{/^\.\|regular expression/d;s/\\e/\\/g;p}' \
		"$DF_LIB/../../docs/man/deployfence.events.5" | tr -d '\n'
}

# Each refusal in a text log matches it, unless it was cut.
texts_validate() {
	local files text
	files=$(find "$RUNDIR" -name 'events.log*' -size +0 2>/dev/null)
	[ -n "$files" ] || return 0
	# shellcheck disable=SC2086 # ids have no blanks
	text=$(cat $files | grep -aE '^(WARN|INFO) [A-Z]+ BLOCKED' | awk 'length($0) < 8191' |
		LC_ALL=C grep -avE -- "$(refusal_regex)") || return 0
	printf 'not as deployfence.events(5) says: %s\n' "$text"
	return 1
}

event_lines() {
	cat "$RUNDIR"/*/events.jsonl 2>/dev/null
}

has_event() { # JQ-CONDITION
	event_lines | jq -se "any(.[]; $1)" >/dev/null
}

expect_event() { # JQ-CONDITION
	eventually has_event "$1" >/dev/null && return 0
	printf 'no event with: %s\n' "$1"
	event_lines
	expect false
}

# To be asked where the twin was expected before: what is not there yet is not refuted.
refute_event() { # JQ-CONDITION
	has_event "$1" || return 0
	printf 'an event with: %s\n' "$1"
	event_lines | jq -c "select($1)"
	expect false
}

event() { # JQ-CONDITION [JQ-EXPRESSION]: of the first such event
	event_lines | jq -rs "[.[] | select($1)][0] | ${2:-.}"
}

event_texts() { # the text log
	cat "$RUNDIR"/*/events.log
}

syslog_lines() {
	tail -n "+$SYSLOG_MARK" "$DF_SYSLOG"
}

has_syslog() {
	syslog_lines | grep -Eq -- "$1"
}

expect_syslog() { # REGEX
	eventually has_syslog "$1" >/dev/null && return 0
	printf 'no line of syslog with /%s/ in:\n' "$1"
	syslog_lines
	expect false
}

# The id that the hook knew the last job by.
job_id() {
	case $J_RUNTIME in
	podman+*) find "$RUNDIR" -mindepth 1 -maxdepth 1 -name '[!.@]*' -printf '%T@ %f\n' | sort -n | tail -n 1 | cut -d ' ' -f 2 ;;
	*) echo "$JOB" ;;
	esac
}

# --- processes of fences

# Whether the product under test was built with --enable-sanitizers.
is_instrumented() {
	grep -q __asan_default_options "$PROXY"
}

# PID NAME of every process of the proxy on this ground: deployfence-pro (the monitor), df-worker, df-reader.
fence_processes() {
	local pid
	find "$DF_CGROUP2" -name cgroup.procs -exec cat {} + 2>/dev/null | while read -r pid; do
		if [ "$(readlink "/proc/$pid/exe" 2>/dev/null)" = "$PROXY" ]; then
			echo "$pid $(cat "/proc/$pid/comm" 2>/dev/null)"
		fi
	done
}

fence_pid() { # NAME
	fence_processes | awk -v name="$1" '$2 == name { print $1 }'
}

is_fence_gone() {
	[ -z "$(fence_processes)" ]
}

# The proxy ends with its container: within three seconds on any machine, and its logs are complete then.
expect_fence_gone() {
	for _ in {1..60}; do
		! is_fence_gone || return 0
		sleep 0.05
	done
	fence_processes
	expect false
}

is_other_pid() { # NAME PID: a process of that name that is not this one
	local pid
	pid=$(fence_pid "$1")
	[ -n "$pid" ] && [ "$pid" != "$2" ]
}
