#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# What an annotation asks for.

load ../lib/ground
load common

LINE='WARN DNS BLOCKED reason=FromDNSRequest blocked=true blockedAt=dns domain=github\.com\. pid=[0-9]+ cmd="curl '

on_and_enforce() { # RUNTIME
	local value
	for value in on enforce; do
		job -r "$1" -a "deployfence=$value" -- sh -c "$VISIT"
		expect [ "$status" = 0 ]
		expect_fenced
		expect_match "$stderr" "(^|"$'\n'")deployfence: $LINE"
		expect [ "$(grep -c '^deployfence: ' <<<"$stderr")" = 1 ]
	done
	refute world_web_log 'host=github\.com'
}
@test "podman with crun: on and enforce refuse the blocked name, others work" { on_and_enforce podman+crun; }
@test "podman with runc: on and enforce refuse the blocked name, others work" { on_and_enforce podman+runc; }

audit() { # RUNTIME
	job -r "$1" -a deployfence=audit -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	refute_match "$stderr" deployfence
	expect_fence_gone
	expect_match "$(event_texts)" 'INFO DNS BLOCKED reason=FromDNSRequest blocked=false [^'$'\n'']*domain=github\.com\.'
	expect_match "$(event_texts)" 'INFO DNS BLOCKED [^'$'\n'']*would_block=true'
	refute_match "$(event_texts)" 'WARN DNS|blocked=true'
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .blocked == false and .would_block == true'
	expect_event '.domain == "ok.example." and .blocked == false and (has("would_block") | not) and .mode == "audit"'
}
@test "podman with crun: audit refuses nothing and logs what would be" { audit podman+crun; }
@test "podman with runc: audit refuses nothing and logs what would be" { audit podman+runc; }

off_and_absent() { # RUNTIME
	job -r "$1" -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	refute_match "$stderr" deployfence
	expect [ ! -e "$RUNDIR" ]
	expect [ "$(syslog_lines)" = "" ]

	job -r "$1" -a deployfence=off -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	refute_match "$stderr" deployfence
	expect_syslog 'deployfence.*UNFENCED container=[0-9a-f]+.*deployfence=off'
	expect [ "$(event_lines | jq -r '.event + ": " + .message')" = 'unfenced: annotation deployfence=off' ]
}
@test "podman with crun: off is unfenced and logged, without annotation nothing happens" { off_and_absent podman+crun; }
@test "podman with runc: off is unfenced and logged, without annotation nothing happens" { off_and_absent podman+runc; }

typos() { # RUNTIME
	local annotation
	for annotation in deployfence=On deployfence= deployfence.polcy=default Deployfence=on deployfence-policy=default; do
		job -r "$1" -a "$annotation" -- echo ran
		echo "$annotation"
		expect [ "$status" = 126 ]
		expect [ "$output" = "" ]
		expect_match "$stderr" "annotation .*${annotation%%=*}"
		case $annotation in
		deployfence=*) expect_match "$stderr" 'accepted: on, enforce, audit, off' ;;
		*) expect_match "$stderr" 'accepted: .*deployfence\.policy' ;;
		esac
		expect_syslog "refused: annotation .*${annotation%%=*}"
	done
	job -r "$1" -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
}
@test "podman with crun: a typo refuses the container and shows what is accepted" { typos podman+crun; }
@test "podman with runc: a typo refuses the container and shows what is accepted" { typos podman+runc; }

@test "any other key of ours fences, too" {
	job -a deployfence.owner=team-deploy -- sh -c "$VISIT"
	expect_fenced
}

own_policy() { # RUNTIME
	policy mine <<-'POLICY'
		mode enforce
		default allow
		block ok.example
	POLICY
	job -r "$1" -a deployfence=on -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'ok\.example rc=6'
	expect_match "$stderr" 'domain=ok\.example\. .*rule="mine\.policy:3 block ok\.example"'
	expect_event '.domain == "ok.example." and .rule == "mine.policy:3 block ok.example" and .policy == "mine"'
	job -r "$1" -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
}
@test "podman with crun: a policy of one's own, chosen by name" { own_policy podman+crun; }
@test "podman with runc: a policy of one's own, chosen by name" { own_policy podman+runc; }

@test "on means the mode of the policy; enforce overrides it" {
	policy watch <<-'POLICY'
		mode audit
		block github.com
	POLICY
	job -a deployfence=on -a deployfence.policy=watch -- sh -c "$VISIT"
	expect_unfenced
	refute_match "$stderr" deployfence
	expect_event '.domain == "github.com." and .would_block == true'
	job -a deployfence=enforce -a deployfence.policy=watch -- sh -c "$VISIT"
	expect_fenced
}

broken_policy() {
	policy broken <<-'POLICY'
		mode enforce
		blok github.com
		block a..b
	POLICY
}

fail_closed() { # RUNTIME
	local annotations
	broken_policy
	for annotations in deployfence=on deployfence.fail=closed; do
		job -r "$1" -a "$annotations" -a deployfence.policy=broken -- echo ran
		expect [ "$status" = 126 ]
		expect [ "$output" = "" ]
		expect_match "$stderr" "broken\.policy:2:1: .*blok.*block"
		expect_match "$stderr" "broken\.policy:3:[0-9]+: "
		expect_syslog 'refused: .*broken\.policy:2:1: '
	done
	policy_sealed broken
	job -r "$1" -a deployfence.policy=broken -- sh -c "$VISIT"
	expect_fenced
}
@test "podman with crun: fail=closed and a broken policy: refused with all errors" { fail_closed podman+crun; }
@test "podman with runc: fail=closed and a broken policy: refused with all errors" { fail_closed podman+runc; }

fail_open() { # RUNTIME
	broken_policy
	job -r "$1" -a deployfence=on -a deployfence.fail=open -a deployfence.policy=broken -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	expect_syslog 'UNFENCED container=[0-9a-f]+: .*broken\.policy:2:1: '
	# audit never stops a container either
	job -r "$1" -a deployfence=audit -a deployfence.policy=broken -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	expect_syslog 'UN(FENCED|OBSERVED) container=[0-9a-f]+: .*broken\.policy:2:1: '
	# with a good policy, fail=open is a fence like any other
	job -r "$1" -a deployfence=on -a deployfence.fail=open -- sh -c "$VISIT"
	expect_fenced
}
@test "podman with crun: fail=open and a broken policy: starts unfenced and logged" { fail_open podman+crun; }
@test "podman with runc: fail=open and a broken policy: starts unfenced and logged" { fail_open podman+runc; }

@test "log=none keeps the container's stderr clean; log=stderr is the default" {
	job -a deployfence=on -a deployfence.log=none -- sh -c "$VISIT"
	expect_fenced
	refute_match "$stderr" deployfence
	expect_fence_gone
	expect_match "$(event_texts)" "(^|"$'\n'")$LINE"
	job -a deployfence=on -a deployfence.log=stderr -- sh -c "$VISIT"
	expect_fenced
	expect_match "$stderr" "deployfence: $LINE"
}

@test "owner and x- keys come back in every event, and cannot forge a line" {
	local owner=$'team "deploy"\nWARN DNS BLOCKED reason=Forged'
	# podman reads annotations as CSV before 5.0
	job -r crun -a deployfence=on -a "deployfence.owner=$owner" -a deployfence.x-team=platform -a deployfence.x-commit=4b1d -- sh -c "$VISIT"
	expect_fenced
	expect_fence_gone
	event_lines | jq -se --arg owner "$owner" \
		'length > 2 and all(.[]; .annotations == {owner: $owner, "x-team": "platform", "x-commit": "4b1d"})'
	expect_match "$(event_texts)" 'domain=github\.com\. [^'$'\n'']*owner="team \\"deploy\\"\\[^'$'\n'']*Forged"'
	refute_match "$(event_texts)$stderr" $'(^|\n)WARN DNS BLOCKED reason=Forged'
	refute grep -q '^WARN DNS BLOCKED reason=Forged' "$DF_SYSLOG"
}

exec_is_fenced() { # RUNTIME
	job_start -r "$1" -a deployfence=on -- sleep 1000
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .cmd == "curl -sS -m 10 http://github.com "'
	# meanwhile a container without the annotation, and the host
	job -r "$1" -- sh -c "$VISIT"
	expect_unfenced
	expect [ "$(dig +short @10.89.53.1 github.com)" = 140.82.112.3 ]
	expect_match "$(curl -sS --resolve github.com:80:140.82.112.3 http://github.com)" 'hello from github'
}
@test "podman with crun: exec is fenced, other containers and the host are not" { exec_is_fenced podman+crun; }
@test "podman with runc: exec is fenced, other containers and the host are not" { exec_is_fenced podman+runc; }

@test "two fenced containers at once have nothing in common" {
	local first second
	policy mine <<-'POLICY'
		block ok.example
	POLICY
	job_start -r podman+crun -a deployfence=on -- sleep 1000
	first=$JOB
	job_start -r podman+runc -a deployfence.policy=mine -- sleep 1000
	second=$JOB
	pin_bridge
	job_exec "$first" sh -c "$VISIT"
	expect_fenced
	job_exec "$second" sh -c "$VISIT"
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'ok\.example rc=6'
	job_stop "$first"
	job_exec "$second" sh -c "$VISIT"
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'ok\.example rc=6'
}

@test "containers that share a network namespace are fenced each on its own" {
	local first second third
	policy mine <<-'POLICY'
		block ok.example
	POLICY
	job_start -- sleep 1000
	first=$JOB
	# podman refuses --dns here: resolv.conf is that of the first
	podman run -d --name "$first-b" --network "container:$first" --annotation deployfence=on "$DF_IMAGE" sleep 1000 >/dev/null
	podman --runtime runc run -d --name "$first-c" --network "container:$first" --annotation deployfence.policy=mine \
		"$DF_IMAGE" sleep 1000 >/dev/null
	second=$(podman exec "$first-b" sh -c "$VISIT" 2>&1 || true)
	third=$(podman exec "$first-c" sh -c "$VISIT" 2>&1 || true)
	podman rm -f -t 0 "$first-b" >/dev/null
	job_exec "$first" sh -c "$VISIT; ip -6 route show table local"
	expect_unfenced
	# one of the two routes of the fences is gone with its container
	expect [ "$(grep -c '^local fd64:6670:' <<<"$output")" = 1 ]
	output=$second expect_fenced
	expect_match "$third" 'hello from github\.com'
	expect_match "$third" 'ok\.example rc=6'
	third=$(podman exec "$first-c" sh -c "$VISIT" 2>&1 || true)
	podman rm -f -t 0 "$first-c" >/dev/null
	expect_match "$third" 'hello from github\.com'
	expect_match "$third" 'ok\.example rc=6'
}

@test "whatever else podman is asked for, the fence is there" {
	local option
	for option in --privileged --read-only --cap-drop=all --security-opt=no-new-privileges --user=1234:1234 \
		--pid=host --ipc=host --uts=host --cgroupns=host --uidmap=0:100000:65536; do
		job -a deployfence=on -o "$option" -- sh -c "$VISIT"
		echo "$option"
		expect [ "$status" = 0 ]
		expect_fenced
		expect_match "$stderr" "deployfence: $LINE"
	done
}

@test "the raw runtimes and containerd fence the same" {
	local runtime
	for runtime in crun runc ctr; do
		job -r "$runtime" -a deployfence=on -- sh -c "$VISIT"
		expect [ "$status" = 0 ]
		expect_fenced
		expect_event ".domain == \"github.com.\" and .container.id == \"$JOB\""
		job -r "$runtime" -a deployfence=On -- echo ran
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
		case $runtime in
		crun | runc) expect_match "$stderr" 'accepted: on, enforce, audit, off' ;;
		esac
	done
}

@test "deployfence.containers: of a pod's containers the named ones are fenced, the others start and are logged" {
	local cri=io.kubernetes.cri.container-name runtime
	for runtime in crun runc ctr podman+crun; do
		echo "$runtime"
		[ "$runtime" = podman+crun ] && list=deploy || list=db,deploy # podman reads annotations as CSV before 5.0
		job -r "$runtime" -a deployfence=on -a "deployfence.containers=$list" -a "$cri=deploy" -- sh -c "$VISIT"
		expect [ "$status" = 0 ]
		expect_fenced
		job -r "$runtime" -a deployfence=on -a "deployfence.containers=$list" -a "$cri=sidecar" -- sh -c "$VISIT"
		expect [ "$status" = 0 ]
		expect_unfenced
		expect_syslog "UNFENCED container=$(job_id): annotation deployfence\.containers=$list does not name this container, \"sidecar\"\$"
		expect [ "$(grep -c UNFENCED "$RUNDIR/$(job_id)/hook.log")" = 1 ]
		expect [ "$(jq -r '.event + " " + .container.id' "$RUNDIR/$(job_id)/events.jsonl")" = "unfenced $(job_id)" ]
	done
	# a slip of the finger is pointed out
	job -r crun -a deployfence.containers=depoly -a "$cri=deploy" -- sh -c "$VISIT"
	expect_unfenced
	expect_syslog 'deployfence\.containers=depoly does not name this container, "deploy"; is it "depoly" in that list\?'
	# without a name nobody can tell: fenced
	job -a deployfence.containers=deploy -- sh -c "$VISIT"
	expect_fenced
	expect_syslog 'its runtime tells no name that deployfence\.containers=deploy could be compared with; it is fenced'
	# a host that lets nothing weaken
	echo 'annotations-may-weaken no' >/etc/deployfence/deployfence.conf
	job -r crun -a deployfence.containers=deploy -a "$cri=sidecar" -- echo ran
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'deployfence\.containers=deploy": leaves this container out, and this host demands a fence'
	job -r crun -a deployfence.containers=deploy -a "$cri=deploy" -- sh -c "$VISIT"
	expect_fenced
}

@test "the kill switch: containers start unfenced, and it is logged" {
	printf 'reason maintenance of the fence\n' >/etc/deployfence/disabled
	job -a deployfence=on -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	refute_match "$stderr" deployfence
	expect_syslog 'UNFENCED container=[0-9a-f]+: .*/etc/deployfence/disabled.*maintenance of the fence'
	expect [ "$(event_lines | jq -r '.event + ": " + .message')" = 'unfenced: /etc/deployfence/disabled exists: maintenance of the fence' ]
	printf 'reason over\nuntil 2020-01-01T00:00:00Z\n' >/etc/deployfence/disabled
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
}
