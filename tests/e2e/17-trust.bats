#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# What the hook takes for the host's word, and for a start: files that root alone can have written, a kill switch that
# somebody wrote, and a state whose process lives.

load ../lib/ground
load common

conf() { # STATEMENT…
	printf '%s\n' "$@" >/etc/deployfence/deployfence.conf
}

teardown() {
	umount /etc/deployfence/disabled 2>/dev/null || true
	rm -rf /etc/deployfence/disabled
	chown -R root:root /etc/deployfence
	chmod -R u=rwX,go=rX /etc/deployfence
	end_test
}

# The hook itself, with JSON on stdin: sets status and stderr.
hook() { # [ARGUMENT]…
	status=0
	"$HOOK" "$@" >"$DF_HOST/hook.out" 2>"$DF_HOST/hook.err" || status=$?
	stderr=$(cat "$DF_HOST/hook.err")
}

# The state of a job that runs, as a runtime would hand it over.
state_of() { # JOB STATUS [ANNOTATION=VALUE]…
	local job=$1 state=$2 annotation annotations='{}'
	shift 2
	for annotation in "$@"; do
		annotations=$(jq -c --arg k "${annotation%%=*}" --arg v "${annotation#*=}" '.[$k] = $v' <<<"$annotations")
	done
	jq -nc --arg id "$job" --arg status "$state" --argjson pid "$(job_pid "$job")" --arg bundle "$DF_HOST/jobs/$job" \
		--argjson a "$annotations" \
		'{ociVersion: "1.0.2", id: $id, status: $status, pid: $pid, bundle: $bundle, annotations: $a}'
}

# --- the kill switch

VOID='/etc/deployfence/disabled does not count as kill switch: '

@test "an empty kill switch, as touch or a runtime makes it, does not count, and that is said" {
	touch /etc/deployfence/disabled
	for runtime in crun runc; do
		job -r "$runtime" -a deployfence=on -- sh -c "$VISIT"
		expect [ "$status" = 0 ]
		expect_fenced
		expect_match "$stderr" "deployfence: container=[^ ]*: ${VOID}it is empty; .*: echo 'reason TEXT' >/etc/deployfence/disabled, else remove it"
		expect [ "$(grep -c 'does not count' <<<"$stderr")" = 1 ] # it is read twice
	done
	expect_syslog "container=.*: ${VOID}it is empty"
	# podman attaches to the container's stderr later, and has the line in the log
	job_start -r podman+crun -a deployfence=on -- sleep 1000
	expect_match "$(job_logs "$JOB")" "${VOID}it is empty"
	# the twin: written by hand
	echo 'reason an incident' >/etc/deployfence/disabled
	job -a deployfence=on -- sh -c "$VISIT"
	expect_unfenced
	refute_match "$stderr" deployfence
}

@test "only its own lines make a kill switch" {
	local text
	for text in 'reason a\nanything' 'deployfence: container x refused: reason y' 'reason' 'reason a\nreason b' \
		'reason a\nuntil tomorrow' 'until 2099-01-01T00:00:00Z' '# reason a'; do
		printf '%b\n' "$text" >/etc/deployfence/disabled
		echo "$text"
		job -r crun -n none -a deployfence.policy=none -- echo ran
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
		expect_match "$stderr" "$VOID"
		expect_match "$stderr" 'no such policy'
	done
	for text in 'reason a' '\n# who did it\n reason a \nuntil 2099-01-01T00:00:00Z'; do
		printf '%b\n' "$text" >/etc/deployfence/disabled
		job -r crun -n none -a deployfence.policy=none -- echo ran
		expect [ "$output" = ran ]
	done
	printf 'reason over\nuntil 2020-01-01T00:00:00Z\n' >/etc/deployfence/disabled
	job -r crun -n none -a deployfence.policy=none -- echo ran
	expect [ "$output" = "" ]
	refute_match "$stderr" "$VOID"
}

@test "a kill switch that others could have written does not count" {
	echo 'reason x' >/etc/deployfence/disabled
	chmod 666 /etc/deployfence/disabled
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	expect_match "$stderr" "$VOID/etc/deployfence/disabled can be written by others than its owner \(mode 0666\): chmod go-w "
	chmod 644 /etc/deployfence/disabled
	chown 1000 /etc/deployfence/disabled
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	expect_match "$stderr" "$VOID/etc/deployfence/disabled belongs to uid 1000; it must be root's"
	chown 0 /etc/deployfence/disabled
	# somebody else's link, and somebody else's file behind root's link
	mv /etc/deployfence/disabled /etc/deployfence/good
	ln -s good /etc/deployfence/disabled
	job -r crun -n none -a deployfence=on -- echo ran
	has_syslog 'UNFENCED container=.*/etc/deployfence/disabled exists: x'
	chown -h 1000 /etc/deployfence/disabled
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	rm /etc/deployfence/disabled
	ln -s nowhere /etc/deployfence/disabled
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	expect_match "$stderr" "${VOID}it is a link to a file that is missing"
	rm /etc/deployfence/disabled
	mkdir /etc/deployfence/disabled
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	expect_match "$stderr" "${VOID}it is no regular file"
}

@test "a runtime that is told to write there switches nothing off" {
	# podman before 4.6 copies annotations out of images; crun opens the file before the hook runs
	job -r podman+crun -a deployfence=on -a run.oci.hooks.stderr=/etc/deployfence/disabled -- sh -c "$VISIT"
	expect [ -e /etc/deployfence/disabled ]
	expect_fenced
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	expect_match "$stderr" "$VOID"
	rm /etc/deployfence/disabled
	# nor does what the hook says end up in the configuration, which would refuse every container
	job -r crun -a deployfence=On -a run.oci.hooks.stderr=/etc/deployfence/deployfence.conf -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'refused: annotation "deployfence"="On"'
	expect [ -e /etc/deployfence/deployfence.conf ]
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
}

@test "the kill switch is first, for whoever calls: no annotation in the state, none at all, unknown arguments" {
	echo 'reason x' >/etc/deployfence/disabled
	policy default <<<'blok github.com'
	job_start -r crun -n none -- sleep 1000
	hook <<<"$(state_of "$JOB" creating)"
	expect [ "$status" = 0 ]
	expect_syslog "UNFENCED container=$JOB: /etc/deployfence/disabled exists: x"
	for text in '' garbage '{"id": "x"}' '{"id": "@x", "status": "created"}' "$(state_of "$JOB" creating deployfence=On)"; do
		hook <<<"$text"
		expect [ "$status" = 0 ]
	done
	hook --no-such-option <<<"$(state_of "$JOB" creating deployfence=on)"
	expect [ "$status" = 0 ]
	# nobody asks for a fence
	# shellcheck disable=SC2034 # common.bash reads it
	SYSLOG_MARK=$(($(wc -l <"$DF_SYSLOG") + 1))
	hook --require-annotation <<<"$(state_of "$JOB" creating)"
	expect [ "$status" = 0 ]
	refute has_syslog UNFENCED
	# the twin: without it each of them is refused
	rm /etc/deployfence/disabled
	hook <<<"$(state_of "$JOB" creating)"
	expect [ "$status" = 78 ]
	hook --no-such-option <<<"$(state_of "$JOB" creating deployfence=on)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" 'refused: unknown arguments of the hook'
	hook <<<garbage
	expect [ "$status" = 65 ]
	rm "$POLICIES/default.policy"
}

# --- files

# What a job is told, and that it did not run.
expect_refused() { # REGEX
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" "$1"
}

@test "configuration, policies, includes and lists count only if root alone can write them, and so their directories" {
	local file dir
	mkdir -p "$POLICIES/lists"
	echo 'block github.com' >"$POLICIES/common.policy"
	echo github.com >"$POLICIES/lists/ads.txt"
	policy mine <<-'POLICY'
		include common.policy
		block-list lists/ads.txt plain
	POLICY
	conf 'default-policy mine' 'on-policy-error refuse'
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	for file in deployfence.conf policies/mine.policy policies/common.policy policies/lists/ads.txt; do
		echo "$file"
		chmod g+w "/etc/deployfence/$file"
		job -r crun -a deployfence=on -- echo ran
		expect_refused "/etc/deployfence/$file can be written by others than its owner \(mode 0664\): chmod go-w /etc/deployfence/$file"
		chmod g-w "/etc/deployfence/$file"
		chown 1000 "/etc/deployfence/$file"
		job -r crun -a deployfence=on -- echo ran
		expect_refused "/etc/deployfence/$file belongs to uid 1000; it must be root's: chown -h root /etc/deployfence/$file"
		chown 0 "/etc/deployfence/$file"
	done
	for dir in /etc/deployfence "$POLICIES" "$POLICIES/lists"; do
		echo "$dir"
		chmod o+w "$dir"
		touch "$POLICIES/lists/ads.txt" # what was compiled before is compiled again
		job -r crun -a deployfence=on -- echo ran
		expect_refused "$dir can be written by others than its owner \(mode 0757\): chmod go-w $dir"
		chmod o-w "$dir"
	done
	# a link of root's to a good file, and to one in a directory of others
	mv "$POLICIES/common.policy" "$POLICIES/real.policy"
	ln -s real.policy "$POLICIES/common.policy"
	job -r crun -a deployfence=on -- sh -c "$VISIT"
	expect_fenced
	mkdir /etc/deployfence/others
	mv "$POLICIES/real.policy" /etc/deployfence/others/real.policy
	chown 1000 /etc/deployfence/others
	ln -sf /etc/deployfence/others/real.policy "$POLICIES/common.policy"
	job -r crun -a deployfence=on -- echo ran
	expect_refused '/etc/deployfence/others belongs to uid 1000'
	rm -r /etc/deployfence/others "$POLICIES/common.policy"
}

@test "a policy that others can write is not the last good one either; check warns, and reads anybody's own" {
	policy mine <<<'block github.com'
	job -r crun -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_fenced
	echo 'allow github.com' >"$POLICIES/mine.policy"
	chmod 666 "$POLICIES/mine.policy"
	job -r crun -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_fenced
	expect_syslog 'STALE POLICY container=.*mine\.policy: .*can be written by others'
	status=0
	stderr=$(deployfence check -p mine 2>&1 >/dev/null) || status=$?
	expect [ "$status" = 0 ]
	expect [ "$stderr" = "$POLICIES/mine.policy: warning: the hook refuses this file: $POLICIES/mine.policy can be written by others than its owner (mode 0666): chmod go-w $POLICIES/mine.policy" ]
	# an ordinary user's own, wherever it is
	mkdir -p "$DF_HOST/own"
	echo 'block github.com' >"$DF_HOST/own/x.policy"
	chown -R 1000 "$DF_HOST/own"
	chmod 664 "$DF_HOST/own/x.policy"
	stderr=$(cd "$DF_HOST/own" && setpriv --reuid 1000 --clear-groups deployfence check -p ./x.policy ok.example 2>&1 >/dev/null)
	expect [ "$stderr" = "" ]
	rm -r "$DF_HOST/own"
}

@test "the directory of last good tables, and those above it" {
	policy mine <<<'block github.com'
	job -r crun -a deployfence.policy=mine -- sh -c "$VISIT"
	policy mine <<<'blok github.com'
	job -r crun -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_fenced
	chmod o+w "$(dirname "$TABLES")"
	job -r crun -a deployfence.policy=mine -- echo ran
	expect_refused 'mine\.policy:1:1: .*its last good table: '
	chmod o-w "$(dirname "$TABLES")"
}

@test "an empty policy is an error, for the hook and for check" {
	conf 'on-policy-error refuse'
	for text in '' '\n \n' '# block github.com\n'; do
		printf '%b' "$text" >"$POLICIES/void.policy"
		job -r crun -n none -a deployfence.policy=void -- echo ran
		expect_refused 'void\.policy: the policy is empty; write at least one statement'
		status=0
		deployfence check -p void >/dev/null 2>&1 || status=$?
		expect [ "$status" = 2 ]
	done
	# an empty part of one is none
	echo '# nothing yet' >"$POLICIES/part.policy"
	policy void <<<'include part.policy'
	job -r crun -n none -a deployfence.policy=void -- echo ran
	expect [ "$output" = ran ]
	policy void <<<'default allow'
	job -r crun -n none -a deployfence.policy=void -- echo ran
	expect [ "$output" = ran ]
	expect deployfence check -p void
}

# --- stages

@test "status stopped with a living pid is a start: fenced, or refused" {
	job_start -r crun -- sleep 1000
	# as runc restore calls createRuntime hooks
	hook <<<"$(state_of "$JOB" stopped deployfence=on)"
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	job_stop "$JOB"
	expect_fence_gone
	# what is wrong refuses it
	job_start -r crun -- sleep 1000
	hook <<<"$(state_of "$JOB" stopped deployfence=On)"
	expect [ "$status" = 64 ]
	hook <<<"$(state_of "$JOB" stopped deployfence.policy=none)"
	expect [ "$status" = 78 ]
	hook <<<"$(state_of "$JOB" stopped deployfence=on | jq -c 'del(.bundle)')"
	expect [ "$status" = 65 ]
	hook <<<"$(state_of "$JOB" stopped | jq -c '.pid = 1')"
	expect [ "$status" = 65 ]
	# a process that was there before the caller is nobody's restored init: a number that was used again
	status=0
	stderr=$(sleep 0.1; bash -c '"$0" 2>&1; exit $?' "$HOOK" <<<"$(state_of "$JOB" stopped deployfence=on)") || status=$?
	expect [ "$status" = 65 ]
	expect_match "$stderr" 'status "stopped" with pid [0-9]*, which lives and is older than the runtime'
	job_exec "$JOB" sh -c "$VISIT"
	expect_unfenced
}

@test "status stopped without a living pid is the end, whatever else the state says" {
	local state
	job_start -r crun -- sleep 1000
	state=$(state_of "$JOB" stopped deployfence=On)
	job_stop "$JOB"
	for filter in . '.pid = 0' 'del(.pid)' '.pid = 4194303'; do
		hook <<<"$(jq -c "$filter" <<<"$state")"
		expect [ "$status" = 0 ]
		expect [ "$stderr" = "" ]
	done
}

@test "an init that is restored with a socket open: passed-fds" {
	policy strict <<-'POLICY'
		default deny
		allow ok.example
	POLICY
	job_start -r crun -- /usr/bin/python3 -c 'import socket, time; s = socket.socket(); time.sleep(1000)'
	eventually eval 'readlink /proc/$(job_pid "$JOB")/fd/3 | grep -q socket'
	hook <<<"$(state_of "$JOB" stopped deployfence.policy=strict)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" 'finding passed-fds: descriptor 3: socket TCP, open before the fence; refused by strict\.policy'
	job_stop "$JOB"
	job_start -r crun -- sleep 1000
	hook <<<"$(state_of "$JOB" stopped deployfence.policy=strict)"
	expect [ "$status" = 0 ]
}

# --- builds, and what never brings an annotation

build() { # [OPTION]…
	mkdir -p "$DF_HOST/build"
	printf '%s\n' "FROM $DF_IMAGE" 'RUN echo ran one' 'RUN echo ran two' >"$DF_HOST/build/Containerfile"
	status=0
	output=$(podman build --network none --pull=never --no-cache -t built "$@" "$DF_HOST/build" 2>&1) || status=$?
	podman rmi -f built >/dev/null 2>&1 || true
}

@test "podman build --annotation is refused with the reason; a build is fenced as a whole by a hook for all steps" {
	build --annotation deployfence=on
	expect [ "$status" != 0 ]
	refute_match "$output" $'\nran two'
	expect_match "$output" 'refused: a step of podman build: --annotation is for the image, .*--build in deployfence-hook\(8\)'
	# audit refuses nothing
	printf '%s\n' 'mode audit' 'block github.com' | policy default
	build --annotation deployfence=on
	rm "$POLICIES/default.policy"
	expect [ "$status" = 0 ]
	expect_match "$output" $'\nran two'
	expect_syslog 'UNOBSERVED container=buildah-buildah[0-9]*: a step of podman build'
	# the twin: no annotation, no fence
	build
	expect [ "$status" = 0 ]
	expect_match "$output" $'\nran two'
	rm -rf "$RUNDIR"
	mkdir -p "$DF_HOST/build-hooks"
	jq '.when = {always: true} | .hook.args = ["deployfence", "--build"]' /usr/share/containers/oci/hooks.d/50-deployfence.json \
		>"$DF_HOST/build-hooks/deployfence.json"
	build --hooks-dir "$DF_HOST/build-hooks"
	expect [ "$status" = 0 ]
	expect [ "$(event_lines | jq -rs '[.[] | select(.event == "start") | .container.id] | unique | length')" = 2 ]
	rm -r "$DF_HOST/build" "$DF_HOST/build-hooks"
}

@test "containers.conf fences containers whose annotations do not arrive" {
	cp /etc/containers/containers.conf "$DF_HOST/containers.conf"
	sed -i 's/^annotations = .*/annotations = ["deployfence=on"]/' /etc/containers/containers.conf
	job -- sh -c "$VISIT"
	cp "$DF_HOST/containers.conf" /etc/containers/containers.conf
	expect_fenced
	job -- sh -c "$VISIT"
	expect_unfenced
}

# --- names below /run/deployfence

@test "ids that could be our own names are refused, and what an earlier version left is removed" {
	local id
	mkdir -p "$RUNDIR/.policies"
	touch "$RUNDIR/.policies/x.index" "$RUNDIR/.policies/lock" "$RUNDIR/.policies/0123456789abcdef0123456789abcdef.table"
	chmod -R go-rwx "$RUNDIR"
	job_start -r crun -- sleep 1000
	for id in .policies .x @policies @x a/b .. .; do
		hook <<<"$(state_of "$JOB" creating deployfence=on | jq -c --arg id "$id" '.id = $id')"
		expect [ "$status" = 65 ]
		expect_match "$stderr" 'bad id '
	done
	job -r runc -a deployfence=on --name .policies -- echo ran
	expect [ "$output" = "" ]
	job -r runc -a deployfence=on --name x.policies -- sh -c "$VISIT"
	expect_fenced
	hook <<<"$(state_of "$JOB" stopped | jq -c '.pid = 0')"
	expect [ ! -e "$RUNDIR/.policies" ]
	expect [ -d "$RUNDIR/@policies" ]
}

# --- annotations for the runtime

@test "annotations that make the runtime write, move or call are a finding, those that do not are none" {
	local key
	policy strict <<-'POLICY'
		default deny
		allow ok.example
	POLICY
	job_start -r crun -- sleep 1000
	for key in run.oci.hooks.stdout=/tmp/x run.oci.hooks.stderr=/tmp/x run.oci.delegate-cgroup=a run.oci.systemd.subgroup=a \
		run.oci.systemd.force_cgroup_v1=/sys/fs/cgroup run.oci.handler=krun run.oci.pidfd_receiver=/x run.oci.seccomp.receiver=/x \
		run.oci.seccomp.plugins=/x.so run.oci.seccomp_bpf_data=AA== run.oci.new=x org.criu.config=/x \
		org.systemd.property.Slice=x.slice org.systemd.property.BPFProgram=egress:/x org.systemd.property.Wants=x.service org.systemd.property.Conflicts=x.service \
		org.systemd.property.OnFailure=x.service org.systemd.property.FailureAction=reboot org.systemd.property.PIDs=1 org.systemd.property.New=x; do
		echo "$key"
		hook <<<"$(state_of "$JOB" creating deployfence.policy=strict "$key")"
		expect [ "$status" = 78 ]
		expect_match "$stderr" "finding runtime-annotation: annotation ${key//./\\.}; refused by strict\.policy: on-leak runtime-annotation refuse"
	done
	# it is in config.json alone, too
	cp "$DF_HOST/jobs/$JOB/config.json" "$DF_HOST/jobs/$JOB/config.orig"
	jq '.annotations["run.oci.handler"] = "krun"' "$DF_HOST/jobs/$JOB/config.orig" >"$DF_HOST/jobs/$JOB/config.json"
	hook <<<"$(state_of "$JOB" creating deployfence.policy=strict)"
	expect [ "$status" = 78 ]
	expect_match "$stderr" 'finding runtime-annotation: annotation run\.oci\.handler=krun'
	cp "$DF_HOST/jobs/$JOB/config.orig" "$DF_HOST/jobs/$JOB/config.json"
	hook <<<"$(state_of "$JOB" creating deployfence.policy=strict run.oci.keep_original_groups=1 run.oci.systemd.subgroup= \
		run.oci.mount_context_type=context run.oci.seccomp_fail_unknown_syscall=1 module.wasm.image/variant=compat \
		org.systemd.property.TimeoutStopUSec=1 org.systemd.property.After=x.service org.systemd.property.CollectMode=inactive-or-failed \
		org.systemd.property.MemoryHigh=1 org.systemd.property.CPUWeight=1 io.podman.annotations.autoremove=TRUE)"
	expect [ "$status" = 0 ]
	refute_event '.finding == "runtime-annotation"'
}

@test "crun that is told to write a file of the host: said, and refused under default deny" {
	policy strict <<-'POLICY'
		default deny
		allow ok.example
	POLICY
	job -r podman+crun -a deployfence.policy=strict -a run.oci.hooks.stdout="$DF_HOST/written" -- echo ran
	expect [ "$output" = "" ]
	expect_match "$stderr" 'finding runtime-annotation: annotation run\.oci\.hooks\.stdout='
	job -r podman+crun -a deployfence=on -a run.oci.hooks.stdout="$DF_HOST/written" -- sh -c "$VISIT"
	expect_fenced
	expect_event '.event == "finding" and .finding == "runtime-annotation" and (.seen | test("run.oci.hooks.stdout"))'
	job -r podman+crun -a deployfence.policy=strict -- echo ran
	expect [ "$output" = ran ]
	rm -f "$DF_HOST/written"
}
