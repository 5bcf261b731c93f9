#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# What cannot be fenced is not started, and the person who typed the command reads why.

load ../lib/ground
load common

# The hook itself, with JSON on stdin: sets status, output (stdout), stderr.
hook() { # [ARGUMENT]…
	status=0
	"$HOOK" "$@" >"$DF_HOST/hook.out" 2>"$DF_HOST/hook.err" || status=$?
	output=$(cat "$DF_HOST/hook.out")
	stderr=$(cat "$DF_HOST/hook.err")
}

# Somebody whose pid can stand in a state, and a bundle.
setup_hook() {
	BUNDLE=$DF_HOST/bundle
	mkdir -p "$BUNDLE"
	echo '{"ociVersion": "1.0.2"}' >"$BUNDLE/config.json"
	sleep 1000 3>&- 4>&- &
	SLEEPER=$!
}

# In a cgroup of its own, as a runtime would put it.
setup_sleeper_cgroup() {
	mkdir "$DF_CGROUP2/hooktest"
	echo "$SLEEPER" >"$DF_CGROUP2/hooktest/cgroup.procs"
}

teardown() {
	if [ -n "${SLEEPER:-}" ]; then
		kill -9 "$SLEEPER" 2>/dev/null || true
		wait "$SLEEPER" 2>/dev/null || true
		expect_fence_gone
		[ ! -d "$DF_CGROUP2/hooktest" ] || rmdir "$DF_CGROUP2/hooktest"
	fi
	end_test
}

state() { # [ANNOTATION=VALUE]…
	local annotation annotations='{}'
	for annotation in "$@"; do
		annotations=$(jq -c --arg k "${annotation%%=*}" --arg v "${annotation#*=}" '.[$k] = $v' <<<"$annotations")
	done
	jq -nc --argjson pid "$SLEEPER" --arg bundle "$BUNDLE" --argjson a "$annotations" \
		'{ociVersion: "1.0.2", id: "hooktest", status: "creating", pid: $pid, bundle: $bundle, annotations: $a}'
}

@test "help and version" {
	hook --help </dev/null
	expect [ "$status" = 0 ]
	expect_match "$output" 'usage: .*--require-annotation'
	expect [ "$stderr" = "" ]
	hook --version </dev/null
	expect [ "$status" = 0 ]
	expect_match "$output" '^deployfence [0-9]'
	hook --no-such-option </dev/null
	expect [ "$status" != 0 ]
	expect_match "$stderr" 'usage: '
}

@test "65: a state that is none" {
	setup_hook
	local bad
	for bad in '' 'garbage' '{' '[]' '"text"' '{}' "$(state | jq -c 'del(.id)')" "$(state | jq -c 'del(.pid)')" \
		"$(state | jq -c '.pid = 1')" "$(state | jq -c '.pid = 0')" "$(state | jq -c '.pid = -5')" \
		"$(state | jq -c '.pid = "7"')" "$(state | jq -c '.id = "../../etc"')" "$(state | jq -c '.id = ""')" \
		"$(state | jq -c '.bundle = "relative"')" "$(state | jq -c '.status = "paused"')" \
		"$(state | jq -c '.annotations = []')" "$(state | jq -c '.annotations.deployfence = 1')" \
		"$(state | sed 's/"id":/"id":"other","id":/')" "$(state | sed 's/hooktest/hook\\u0000test/')" \
		"$(state)$(state)" "$(printf '[%.0s' {1..100})"; do
		hook <<<"$bad"
		echo "$bad"
		expect [ "$status" = 65 ]
		expect_match "$stderr" '^deployfence: '
	done
	hook < <(head -c 2000000 /dev/zero | tr '\0' ' ')
	expect [ "$status" = 65 ]
	hook <<<"$(state deployfence=off)"
	expect [ "$status" = 0 ]
	rm "$BUNDLE/config.json"
	hook <<<"$(state deployfence=on)"
	expect [ "$status" = 65 ]
	expect_match "$stderr" 'config\.json'
	echo 'garbage' >"$BUNDLE/config.json"
	hook <<<"$(state deployfence=on)"
	expect [ "$status" = 65 ]
	kill "$SLEEPER"
	wait "$SLEEPER" || true
	echo '{}' >"$BUNDLE/config.json"
	hook <<<"$(state deployfence=on)" # a pid that is gone
	expect [ "$status" = 65 ]
	expect [ "$(ls "$RUNDIR"/[!@]*/{fence,lock,pid} 2>/dev/null)" = "" ]
}

@test "64: annotations that are not accepted, each with what would be" {
	setup_hook
	local bad
	for bad in deployfence=On deployfence=ON deployfence=true deployfence= 'deployfence=on ' deployfence=yes \
		Deployfence=on DEPLOYFENCE=on deployfence.polcy=default deployfence-policy=default deployfence.Policy=default \
		deployfences=on deployfence.=on deployfence.on=on deployfence.policy= deployfence.policy=../default \
		deployfence.policy=.hidden deployfence.policy=a/b deployfence.fail=maybe deployfence.fail= deployfence.log=loud \
		deployfence.x-=1 deployfence.x=1 deployfence.shadow=../x deployfence.containers= deployfence.containers=a,,b; do
		hook <<<"$(state "$bad")"
		echo "$bad"
		expect [ "$status" = 64 ]
		expect_match "$stderr" 'accepted: '
	done
	hook <<<"$(state deployfence.polcy=default)"
	expect_match "$stderr" 'did you mean "deployfence\.policy"'
	# a good one beside it does not help, and off does not hide it
	hook <<<"$(state deployfence=on deployfence.polcy=default)"
	expect [ "$status" = 64 ]
	hook <<<"$(state deployfence=off deployfence.polcy=default)"
	expect [ "$status" = 64 ]
	# what is not ours is nobody's business
	hook <<<"$(state deployfence=off deploy=x io.deployfence=1 xdeployfence=1)"
	expect [ "$status" = 0 ]
}

@test "78: policies and configuration" {
	setup_hook
	setup_sleeper_cgroup
	hook <<<"$(state deployfence.policy=missing)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" 'missing\.policy in /etc/deployfence/policies, [^,]*/deployfence/policies'
	policy broken <<<'block a..b'
	hook <<<"$(state deployfence.policy=broken)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" '/etc/deployfence/policies/broken\.policy:1:[0-9]+: '
	printf 'mode enforce\ninclude common.policy\n' | policy broken
	hook <<<"$(state deployfence.policy=broken)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" 'broken\.policy:2:9: /etc/deployfence/policies/common\.policy: the file is missing'
	echo 'default-polcy x' >/etc/deployfence/deployfence.conf
	hook <<<"$(state deployfence=on)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" '/etc/deployfence/deployfence\.conf:1:1: .*default-policy'
	# the twin: another default policy, and a fence
	policy_sealed sealed
	echo 'default-policy sealed' >/etc/deployfence/deployfence.conf
	hook <<<"$(state deployfence=on)"
	expect [ "$status" = 0 ]
	expect_event '.event == "start" and .policy == "sealed"'
}

@test "69: a cgroup that is not the container's alone" {
	setup_hook
	hook <<<"$(state deployfence=on)" # the caller's own
	expect [ "$status" = 69 ]
	expect_match "$stderr" 'cgroup /host .*not the container.s alone'
	refute grep -q fence_ < <(bpftool cgroup tree "$DF_CGROUP2")

	setup_sleeper_cgroup
	sleep 1000 3>&- 4>&- &
	local stranger=$!
	echo "$stranger" >"$DF_CGROUP2/hooktest/cgroup.procs"
	hook <<<"$(state deployfence=on)"
	expect [ "$status" = 69 ]
	expect_match "$stderr" "pid $stranger"
	echo "$stranger" >"$DF_CGROUP2/host/cgroup.procs"
	mkdir "$DF_CGROUP2/hooktest/child"
	hook <<<"$(state deployfence=on)"
	expect [ "$status" = 69 ]
	expect_match "$stderr" 'child cgroups'
	rmdir "$DF_CGROUP2/hooktest/child"
	expect [ "$(grep -c 'refused: ' "$RUNDIR/hooktest/hook.log")" = 3 ]

	echo "$SLEEPER" >"$DF_CGROUP2/cgroup.procs" 2>/dev/null && { # where the root takes processes
		hook <<<"$(state deployfence=on)"
		expect [ "$status" = 69 ]
		echo "$SLEEPER" >"$DF_CGROUP2/hooktest/cgroup.procs"
	}
	hook <<<"$(state deployfence=on)"
	expect [ "$status" = 0 ]
	kill "$stranger"
}

@test "69: podman --cgroups=disabled" {
	job -a deployfence=on -o --cgroups=disabled -- echo ran
	expect [ "$status" = 126 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'exit code: 69'
	expect_match "$stderr" 'cgroup .*--cgroups=disabled'
	job -o --cgroups=disabled -- echo ran
	expect [ "$output" = ran ]
}

@test "77: without the privilege of the initial user namespace" {
	setup_hook
	state deployfence=on >"$DF_HOST/state.json"
	status=0
	stderr=$(unshare -Ur "$HOOK" <"$DF_HOST/state.json" 2>&1) || status=$?
	expect [ "$status" = 77 ]
	expect_match "$stderr" 'rootless'
}

# The hook as somebody who is not root, where root is: as crun and runc run it for a rootless container without podman.
@test "77: uid 65534 in the initial user namespace, also where the policy cannot be read; audit starts" {
	local mode before nobody=(setpriv --reuid=65534 --regid=65534 --clear-groups --)
	setup_hook
	setup_sleeper_cgroup
	policy_sealed sealed
	state deployfence.policy=sealed >"$DF_HOST/state.json"
	chmod 755 "$DF_HOST" "$BUNDLE"
	chmod 644 "$BUNDLE/config.json"
	"${nobody[@]}" cat "$BUNDLE/config.json" >/dev/null # or it would be another refusal
	before=$(find /run /var/lib/deployfence /etc/deployfence -xdev ! -path "$DF_HOST*" -printf '%p %s %T@\n' | sort)
	for mode in 644 600; do
		chmod "$mode" "$POLICIES/sealed.policy"
		status=0
		stderr=$("${nobody[@]}" "$HOOK" <"$DF_HOST/state.json" 2>&1) || status=$?
		echo "$mode"
		expect [ "$status" = 77 ]
		expect_match "$stderr" '^deployfence: container hooktest refused: rootless containers cannot be fenced: .* uid 65534'
	done
	state deployfence=audit deployfence.policy=sealed >"$DF_HOST/state.json"
	status=0
	stderr=$("${nobody[@]}" "$HOOK" <"$DF_HOST/state.json" 2>&1) || status=$?
	expect [ "$status" = 0 ]
	expect_match "$stderr" 'UNOBSERVED container=hooktest: rootless'
	expect [ "$(find /run /var/lib/deployfence /etc/deployfence -xdev ! -path "$DF_HOST*" -printf '%p %s %T@\n' | sort)" = "$before" ]
	refute grep -q fence_ < <(bpftool cgroup show "$DF_CGROUP2/hooktest")
	# the twin: root
	hook <<<"$(state deployfence.policy=sealed)"
	expect [ "$status" = 0 ]
	grep -q fence_connect4 < <(bpftool cgroup show "$DF_CGROUP2/hooktest")
}

@test "75: a proxy that does not get ready; nothing of the fence stays" {
	mv "$PROXY" "$PROXY.real"
	printf '#!/bin/sh\nexit 1\n' >"$PROXY"
	chmod +x "$PROXY"
	job -a deployfence=on -- echo ran
	expect [ "$status" = 126 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'proxy'
	expect_match "$stderr" 'exit code: 75'
	job -r podman+runc -a deployfence=on -- echo ran
	expect [ "$status" = 126 ]
	expect_match "$stderr" 'exit status 75'
	# with fail=open it starts, without any fence
	job -a deployfence=on -a deployfence.fail=open -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	expect_syslog 'UNFENCED container=[0-9a-f]+: .*proxy'
	# the same by the host's word, which an annotation can take back
	echo 'fail open' >/etc/deployfence/deployfence.conf
	job -a deployfence=on -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	job -a deployfence=on -a deployfence.fail=closed -- echo ran
	expect [ "$status" = 126 ]
	expect_match "$stderr" 'exit code: 75'
	rm /etc/deployfence/deployfence.conf
	printf '#!/bin/sh\nexec sleep 100\n' >"$PROXY"
	job -a deployfence=on -- echo ran
	expect [ "$status" = 126 ]
	expect_match "$stderr" 'not ready within'
	mv "$PROXY.real" "$PROXY"
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
}

refusal_is_visible() { # RUNTIME
	local options
	for options in "" -t -d; do
		case $options in
		-d) job_start -r "$1" -a deployfence.policy=missing -- echo ran ;;
		*) job -r "$1" $options -a deployfence.policy=missing -- echo ran ;;
		esac
		echo "options: $options"
		expect [ "$status" = 126 ]
		expect_match "$output$stderr" 'missing\.policy in /etc/deployfence/policies, '
		refute_match "$output" ran
	done
	expect_syslog 'deployfence.*: container [0-9a-f]+ refused: .*missing\.policy'
	expect [ "$(cat "$RUNDIR"/*/hook.log | grep -c 'refused: .*missing\.policy')" = 3 ]
	policy_sealed missing
	job -r "$1" -a deployfence.policy=missing -- sh -c "$VISIT"
	expect_fenced
}
@test "podman with crun: a refusal is told on the terminal, in the journal and in a file" { refusal_is_visible podman+crun; }
@test "podman with runc: a refusal is told on the terminal, in the journal and in a file" { refusal_is_visible podman+runc; }

@test "a policy whose file cannot be read is not replaced by another" {
	ln -s /no/such/file "$POLICIES/dangling.policy"
	mkdir "$POLICIES/directory.policy"
	mkfifo "$POLICIES/fifo.policy"
	local name
	for name in dangling directory fifo; do
		job -r crun -a "deployfence.policy=$name" -- echo ran
		echo "$name"
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
		expect_match "$stderr" "$name\.policy"
	done
	rm -r "${POLICIES:?}"/{dangling,directory,fifo}.policy
}

hostile_policy() { # KIND FILE
	case $1 in
	directory) mkdir "$2" ;;
	dangling) ln -s /no/such/file "$2" ;;
	fifo) mkfifo "$2" ;;
	binary) head -c 4096 "$HOOK" >"$2" ;;
	nul) printf 'mode enforce\0\nblock github.com\0.example\n' >"$2" ;;
	one-line) head -c 1M /dev/zero | tr '\0' x >"$2" ;;
	huge) { echo 'block github.com' && head -c 16M /dev/zero | tr '\0' '\n'; } >"$2" ;;
	unknown) echo 'blok github.com' >"$2" ;;
	twice) printf 'mode enforce\nmode enforce\n' >"$2" ;;
	ports) echo 'allow ok.example:2000-1000' >"$2" ;;
	host-bits) echo 'block 140.82.112.3/20' >"$2" ;;
	label) echo "block $(printf 'x%.0s' {1..64}).example" >"$2" ;;
	non-ascii) printf 'block b\303\274cher.example\n' >"$2" ;;
	esac
}

@test "78: hostile policies: each is named, and nothing of a fence is attached or left" {
	setup_hook
	setup_sleeper_cgroup
	local kind file=$POLICIES/x.policy
	for kind in directory dangling fifo binary nul one-line huge unknown twice ports host-bits label non-ascii; do
		echo "$kind"
		hostile_policy "$kind" "$file"
		[ -e "$file" ] || [ -L "$file" ]
		hook <<<"$(state deployfence.policy=x)"
		expect [ "$status" = 78 ]
		expect_match "$stderr" '^deployfence: container hooktest refused: policy x: .*/x\.policy'
		[ "${#stderr}" -lt 16384 ]                       # whatever the file holds
		refute grep -q '[^[:print:]]' <(LC_ALL=C tr -d '\n' <"$DF_HOST/hook.err")
		refute grep -q fence_ < <(bpftool cgroup show "$DF_CGROUP2/hooktest")
		expect [ "$(ls "$RUNDIR"/[!@]*/{fence,lock,pid} 2>/dev/null)" = "" ]
		expect [ "$(fence_processes)" = "" ]
		rm -r "$file"
	done
	# one of the same name further down takes the place of none
	policy_sealed lower
	mv "$POLICIES/lower.policy" /usr/share/deployfence/policies/x.policy
	ln -s /no/such/file "$file"
	hook <<<"$(state deployfence.policy=x)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" '/etc/deployfence/policies/x\.policy: a link to a file that is missing'
	rm /usr/share/deployfence/policies/x.policy "$file"
	# the twin
	policy_sealed x
	hook <<<"$(state deployfence.policy=x)"
	expect [ "$status" = 0 ]
	grep -q fence_connect4 < <(bpftool cgroup show "$DF_CGROUP2/hooktest")
}

# A hooks directory whose hook runs for every container, annotated or not.
handler_wide() { # [ARGUMENT]…
	local arguments
	arguments=$(printf '"%s",' deployfence "$@")
	export DF_HOOKS_DIR=$DF_HOST/handler.d
	mkdir -p "$DF_HOOKS_DIR"
	cat >"$DF_HOOKS_DIR/50-deployfence.json" <<-JSON
		{"version": "1.0.0", "hook": {"path": "$HOOK", "args": [${arguments%,}], "env": ["PATH=/usr/bin"]},
		 "when": {"always": true}, "stages": ["createRuntime", "poststop"]}
	JSON
}

@test "called for every container: with --require-annotation only annotated ones are fenced, without it all" {
	local runtime
	for runtime in podman+crun podman+runc crun; do
		handler_wide --require-annotation
		rm -rf "$RUNDIR"
		job -r "$runtime" -a io.example=x -- sh -c "$VISIT"
		expect [ "$status" = 0 ]
		expect_unfenced
		expect [ ! -e "$RUNDIR" ]
		job -r "$runtime" -a deployfence=on -- sh -c "$VISIT"
		expect_fenced
		handler_wide
		job -r "$runtime" -- sh -c "$VISIT"
		expect_fenced
	done
}

@test "the hook alone: nothing asked for is nothing attached" {
	setup_hook
	setup_sleeper_cgroup
	hook --require-annotation <<<"$(state io.example=x)"
	expect [ "$status" = 0 ]
	expect [ "$output$stderr" = "" ]
	expect [ ! -e "$RUNDIR" ]
	expect [ "$(syslog_lines)" = "" ]
	refute grep -q fence_ < <(bpftool cgroup show "$DF_CGROUP2/hooktest")
	hook --require-annotation <<<"$(state deployfence=on)"
	expect [ "$status" = 0 ]
	grep -q fence_connect4 < <(bpftool cgroup show "$DF_CGROUP2/hooktest")
	# once more for the same container: refused, the first fence stays
	hook <<<"$(state deployfence=on)"
	expect [ "$status" != 0 ]
	expect_match "$stderr" 'still running'
	expect [ "$(bpftool cgroup show "$DF_CGROUP2/hooktest" | grep -c fence_connect4)" = 1 ]
	expect [ "$(fence_pid df-worker | wc -l)" = 1 ]
}

@test "poststop may be called twice, never, and for containers that nobody knows" {
	local time
	for time in first second; do
		echo "$time"
		hook <<<'{"ociVersion": "1.0.2", "id": "unknown", "status": "stopped", "pid": 0, "bundle": "/x", "annotations": {"deployfence": "bad"}}'
		expect [ "$status" = 0 ]
		hook <<<'{"ociVersion":"1.0.2","id":"unknown","status":"stopped","bundle":"/x"}'
		expect [ "$status" = 0 ]
		expect [ "$output$stderr" = "" ]
	done
	expect [ ! -e "$RUNDIR/unknown" ]
}

@test "what a runtime does to its hooks does not matter: blocked signals, few descriptors, no environment" {
	setup_hook
	setup_sleeper_cgroup
	state deployfence=on >"$DF_HOST/state.json"
	status=0
	/usr/bin/python3 -c '
import os, resource, signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
resource.setrlimit(resource.RLIMIT_NOFILE, (24, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
os.umask(0)
os.execve(sys.argv[1], ["deployfence"], {})' "$HOOK" <"$DF_HOST/state.json" || status=$?
	expect [ "$status" = 0 ]
	expect [ "$(stat -c %a "$RUNDIR/hooktest")" = 700 ]
	expect_match "$(cat "/proc/$(fence_pid deployfence-pro)/status")" $'SigBlk:\t0000000000000000'
	# 2 is a file where a sanitizer reports
	expect [ "$(find "/proc/$(fence_pid df-worker)/fd" -name '[012]' \( -lname '/dev/null' -o -lname "$DF_FAULTS/*" \) | wc -l)" = 3 ]
}

@test "a hint that holds at default deny comes with every refusal without a rule" {
	policy hinted <<-'POLICY'
		owner team-platform
		hint "Deploys reach what the list names; ask #deploy-platform"
		default deny
		on-leak all warn
		hint "for ok.example"
		allow ok.example
		block no.ok.example
	POLICY
	job -a deployfence.policy=hinted -- sh -c 'dig +tries=1 other.example; curl -sS -m 10 http://other.example; curl -sS -m 10 http://ok.example
		curl -sS -m 10 http://198.51.100.1; curl -sS -m 10 http://no.ok.example'
	expect_match "$output" 'EDE: 15 \(Blocked\): \(deployfence: not in the allowlist; hinted\.policy default deny; Deploys reach what the list names; ask #deploy-platform\)'
	expect_match "$output" 'hello from ok\.example'
	expect_match "$stderr" 'reason=NotInAllowlist [^'$'\n'']*rule="hinted\.policy default deny" [^'$'\n'']*rule_owner="team-platform" [^'$'\n'']*hint="Deploys reach what the list names; ask #deploy-platform"'
	expect_event '.reason == "NotInAllowlist" and .domain == "other.example." and .rule_owner == "team-platform" and (.hint | startswith("Deploys reach"))'
	expect_event '.reason == "RawAddress" and .ip == "198.51.100.1" and .rule_owner == "team-platform" and (.hint | startswith("Deploys reach"))'
	expect_event '.domain == "no.ok.example." and .hint == "for ok.example"' # a rule has its own
	expect_match "$(deployfence check -p hinted other.example)" 'Deploys reach what the list names'
}
