#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# The same fence under every runtime: five columns for each of five, and the table of what held. Then the files of
# packaging/kubernetes, as far as they can be run without a kubelet.

load ../lib/ground
load common

PACKAGING=$BATS_TEST_DIRNAME/../../packaging/kubernetes
COLUMNS_OF_TABLE='fenced attributed typo-refused reason-visible cleaned-up'

setup_file() {
	world_up && image_import && image_build || return
	product_install || return
	export TABLE=$BATS_FILE_TMPDIR/table
	: >"$TABLE"
}

teardown_file() {
	table_print | sed 's/^/# /' >&3
	world_down
}

table_print() {
	local runtime column cell
	# shellcheck disable=SC2086 # words
	printf '%-12s %-8s %-12s %-14s %-16s %s\n' runtime $COLUMNS_OF_TABLE
	for runtime in $DF_RUNTIMES; do
		printf '%-12s' "$runtime"
		for column in $COLUMNS_OF_TABLE; do
			cell=$(awk -v key="$runtime $column" '$1 " " $2 == key { cell = $3 } END { print cell }' "$TABLE")
			printf " %-$((${#column} + 2))s" "${cell:--}"
		done
		echo
	done | sed 's/ *$//'
}

# A column that does not come to its end stays NO in the table; - was not run.
check() { # COLUMN RUNTIME
	echo "$2 $1 NO" >>"$TABLE"
	"column_${1//-/_}" "$2"
	job_stop_all
	leftovers_check
	echo "$2 $1 yes" >>"$TABLE"
}

# Every way to ask, beside an allowed name that works; the twin without annotation shows that the fence is what refuses.
column_fenced() { # RUNTIME
	policy_sealed sealed
	job -r "$1" -a deployfence.policy=sealed -- sh -c "$VISIT"'
		getent ahosts api.github.com; echo "getent rc=$?"; mclient-musl github.com; echo "musl rc=$?"
		mclient -t6 fd00:53::1 github.com; dig +tcp +short github.com; mclient-musl other.example'
	expect [ "$status" = 0 ]
	expect_fenced
	expect_match "$output" $'\ngetent rc=2\n'
	expect_match "$output" $'\nmusl rc=1\n'
	expect_match "$output" '203\.0\.113\.11'
	refute_match "$output" '140\.82|2606:50c0'
	refute world_dns_log -i ' ([a-z.]*\.)?github\.com '
	refute world_web_log 'host=github\.com'
	job -r "$1" -- sh -c "$VISIT"
	expect_unfenced
	refute_match "$stderr" deployfence
}

# The process that asked still lives: its pid can be looked up on the host.
column_attributed() { # RUNTIME
	local pid id
	policy_sealed sealed
	job_start -r "$1" -a deployfence.policy=sealed -- sh -c 'cd /tmp; python3 -c "
import socket, time
for name in (\"github.com\", \"ok.example\"):
    try: socket.gethostbyname(name)
    except OSError: pass
time.sleep(1000)" deploy; true'
	expect [ "$status" = 0 ]
	expect_event '.event == "dns_blocked" and .domain == "github.com."'
	expect_event '.event == "query" and .domain == "ok.example." and .blocked == false'
	pid=$(event '.event == "dns_blocked"' .pid)
	grep -qx "$pid" "$(job_cgroup "$JOB")/cgroup.procs"
	expect_match "$(tr '\0' ' ' <"/proc/$pid/cmdline")" '^python3 -c .*import socket.* deploy $'
	expect [ "$(event '.event == "dns_blocked"' .cmd)" = "$(tr '\0' ' ' <"/proc/$pid/cmdline")" ]
	expect [ "$(awk '/^NSpid:/ { print $NF }' "/proc/$pid/status")" = "$(event '.event == "dns_blocked"' .container_pid)" ]
	expect [ "$(event '.event == "dns_blocked"' '.ancestry | map(.pid) | join(" ")')" = "$(job_pid "$JOB")" ]
	expect [ "$(event '.event == "dns_blocked"' '[.uid, .cwd, .resolver, .rule] | join(" ")')" = \
		"0 /tmp 10.89.53.1 sealed.policy:4 block github.com" ]
	expect [ "$(event '.domain == "ok.example."' .pid)" = "$pid" ]
	case $1 in
	podman+*) id=$(podman inspect -f '{{.Id}}' "$JOB") ;;
	*) id=$JOB ;;
	esac
	expect [ "$(event '.event == "dns_blocked"' .container.id)" = "$id" ]
	expect_syslog "WARN DNS BLOCKED reason=FromDNSRequest .*domain=github\.com\. pid=$pid cmd=\"python3 "
	case $1 in
	crun | runc) ;; # detached, their stderr is a file of job_start's, where nothing of ours is written
	*) expect_match "$(job_logs "$JOB")" "deployfence: WARN DNS BLOCKED .*domain=github\.com\. pid=$pid cmd=\"python3 " ;;
	esac
	# who comes in later is told apart
	job_exec "$JOB" getent hosts github.com
	expect [ "$status" = 2 ]
	expect_event ".event == \"dns_blocked\" and .cmd == \"getent hosts github.com \" and .pid != $pid"
}

TYPOS='deployfence=On deployfence=true deployfence= Deployfence=on deployfence.polcy=sealed deployfence-policy=sealed'

column_typo_refused() { # RUNTIME
	local annotation
	policy_sealed sealed
	for annotation in $TYPOS; do
		job -r "$1" -a "$annotation" -- sh -c "echo ran; $VISIT"
		echo "$annotation"
		expect [ "$status" != 0 ]
		expect [ "$output" = "" ]
	done
	refute world_web_log .
	# the same words without the typo
	job -r "$1" -a deployfence=on -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect_fenced
}

column_reason_visible() { # RUNTIME
	job -r "$1" -a deployfence=On -- echo ran
	expect [ "$status" != 0 ]
	expect_match "$stderr" "annotation .*deployfence.*On.*accepted: on, enforce, audit, off"
	expect_syslog 'refused: annotation .*accepted: on, enforce, audit, off'
	grep -q 'refused: annotation .*accepted: on, enforce, audit, off' "$RUNDIR"/*/hook.log
	job -r "$1" -a deployfence.policy=missing -- echo ran
	expect [ "$status" != 0 ]
	expect_match "$stderr" 'missing\.policy in /etc/deployfence/policies, '
	policy broken <<<'blok github.com'
	job -r "$1" -a deployfence.policy=broken -- echo ran
	expect [ "$status" != 0 ]
	expect_match "$stderr" 'broken\.policy:1:1: .*blok'
	# the documented numbers, where the runtime shows them
	expect_match "$stderr" '(exit code: |exit status )78'
	# and with a fence that stands: why a name is refused
	job -r "$1" -a deployfence=on -- sh -c "$VISIT"
	expect_match "$stderr" 'deployfence: WARN DNS BLOCKED [^'$'\n'']*domain=github\.com\. pid=[0-9]+ cmd="curl '
}

column_cleaned_up() { # RUNTIME
	local how pid
	policy_sealed sealed
	for how in end kill stop refuse; do
		echo "$how"
		case $how in
		end) job -r "$1" -a deployfence.policy=sealed -- sh -c "$VISIT" && expect_fenced ;;
		refuse) job -r "$1" -a deployfence.policy=missing -- echo ran && expect [ "$status" != 0 ] ;;
		*)
			job_start -r "$1" -a deployfence.policy=sealed -- sleep 1000
			expect [ "$status" = 0 ]
			expect [ "$(fence_pid df-worker | wc -l)" = 1 ]
			pid=$(job_pid "$JOB")
			[ "$how" = stop ] || kill -9 "$pid"
			[ "$how" = kill ] || job_stop "$JOB"
			expect_fence_gone # by itself: before anything is deleted
			job_stop "$JOB"
			;;
		esac
		expect_fence_gone
		leftovers_check
		expect [ "$(find "$RUNDIR" -mindepth 2 ! -path '*/@policies/*' ! -name '*.log' ! -name '*.jsonl' ! -name reported)" = "" ]
	done
	expect [ "$(event_lines | jq -s '[.[] | select(.event == "stop")] | length')" = 3 ]
}

@test "podman with crun: fenced" { check fenced podman+crun; }
@test "podman with crun: attributed" { check attributed podman+crun; }
@test "podman with crun: a typo is refused" { check typo-refused podman+crun; }
@test "podman with crun: the reason is visible" { check reason-visible podman+crun; }
@test "podman with crun: cleaned up" { check cleaned-up podman+crun; }
@test "podman with runc: fenced" { check fenced podman+runc; }
@test "podman with runc: attributed" { check attributed podman+runc; }
@test "podman with runc: a typo is refused" { check typo-refused podman+runc; }
@test "podman with runc: the reason is visible" { check reason-visible podman+runc; }
@test "podman with runc: cleaned up" { check cleaned-up podman+runc; }
@test "crun: fenced" { check fenced crun; }
@test "crun: attributed" { check attributed crun; }
@test "crun: a typo is refused" { check typo-refused crun; }
@test "crun: the reason is visible" { check reason-visible crun; }
@test "crun: cleaned up" { check cleaned-up crun; }
@test "runc: fenced" { check fenced runc; }
@test "runc: attributed" { check attributed runc; }
@test "runc: a typo is refused" { check typo-refused runc; }
@test "runc: the reason is visible" { check reason-visible runc; }
@test "runc: cleaned up" { check cleaned-up runc; }
@test "containerd: fenced" { check fenced ctr; }
@test "containerd: attributed" { check attributed ctr; }
@test "containerd: a typo is refused" { check typo-refused ctr; }
@test "containerd: the reason is visible" { check reason-visible ctr; }
@test "containerd: cleaned up" { check cleaned-up ctr; }

# --- packaging/kubernetes

# The base spec, made with the very command of the README.
base_spec() {
	local line
	line=$(grep -E '^ *ctr oci spec \|' "$PACKAGING/README.md" | sed 's/>.*//')
	expect [ -n "$line" ]
	(cd "$PACKAGING" && eval "$line") >"$DF_HOST/base.json"
	jq -e '.ociVersion and .process and (.hooks.createRuntime | length) == 1' "$DF_HOST/base.json" >/dev/null
}

# A container as containerd's CRI makes it: from the base spec, whose hooks it leaves alone; annotations are those that
# pod_annotations lets through, beside CRI's own.
base_job() { # [OPTION]… -- COMMAND…
	[ -s "$DF_HOST/base.json" ] || base_spec
	export DF_HOOKS_DIR=$DF_HOST/no-hooks.d
	job_parse -r ctr -a io.kubernetes.cri.container-type=container -a io.kubernetes.cri.container-name=deploy \
		-a io.kubernetes.cri.image-name=registry.example/deploy:latest -a io.kubernetes.cri.sandbox-name=deploy-x7k2 \
		-a io.kubernetes.cri.sandbox-namespace=team "$@"
	# from the base spec instead of runc's
	rm -f "$DF_HOST/jobs/spec.json"
	cp "$DF_HOST/base.json" "$DF_HOST/jobs/spec.json"
	job_bundle
	rm "$DF_HOST/jobs/spec.json"
	jq --slurpfile base "$DF_HOST/base.json" '.hooks = $base[0].hooks' "$J_DIR/config.json" >"$J_DIR/config.new"
	mv "$J_DIR/config.new" "$J_DIR/config.json"
	job_containerd
	job_capture ctr run --rm --config "$J_DIR/config.json" "$JOB"
	job_forget "$JOB"
}

@test "containerd's base spec: with the annotation fenced, without it untouched" {
	base_job -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_unfenced
	refute_match "$stderr" deployfence
	expect [ ! -e "$RUNDIR" ]
	base_job -a deployfence=on -a deployfence.owner=team-deploy -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_match "$stderr" 'deployfence: WARN DNS BLOCKED .*domain=github\.com\. pid=[0-9]+ cmd="curl '
	expect_fence_gone
	# by the name that people know
	expect_event '.event == "dns_blocked" and .annotations.owner == "team-deploy" and .container.name == "deploy"
		and .container.image == "registry.example/deploy:latest" and .container.pod == "deploy-x7k2" and .container.namespace == "team"'
}

@test "containerd's base spec: what is refused does not start, and ctr shows why" {
	base_job -a deployfence=On -- echo ran
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'accepted: on, enforce, audit, off'
	base_job -a deployfence.policy=missing -- echo ran
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'missing\.policy in /etc/deployfence/policies, '
}

@test "containerd's base spec: a hook that is not there fails the container" {
	mv "$HOOK" "$HOOK.away"
	base_job -- echo ran
	mv "$HOOK.away" "$HOOK"
	expect [ "$status" != 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'hooks\.d/deployfence'
}

@test "containerd reads the handler, and it is the only thing that the snippet adds" {
	local where='.["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]["deployfence"]'
	containerd --config "$PACKAGING/containerd-1.toml" config dump >"$DF_HOST/dump.toml" 2>"$DF_HOST/dump.err"
	toml_json "$DF_HOST/dump.toml" >"$DF_HOST/dump.json"
	expect jq -e "$where | .base_runtime_spec == \"/etc/containerd/deployfence-base.json\" and .pod_annotations == [\"deployfence*\"]
		and .runtime_type == \"io.containerd.runc.v2\" and .options.SystemdCgroup" "$DF_HOST/dump.json"
	# containerd 2 has the same under other names
	toml_json "$PACKAGING/containerd-1.toml" | jq '.plugins[].containerd.runtimes' >"$DF_HOST/one.json"
	toml_json "$PACKAGING/containerd-2.toml" | jq '.plugins[].containerd.runtimes' >"$DF_HOST/two.json"
	cmp "$DF_HOST/one.json" "$DF_HOST/two.json"
	expect [ "$(jq -c keys "$DF_HOST/one.json")" = '["deployfence"]' ]
	# and CRI-O looks where the hook's description was installed
	toml_json "$PACKAGING/crio-50-deployfence.conf" >"$DF_HOST/crio.json"
	expect [ -s "$(jq -r '.crio.runtime.hooks_dir[-1]' "$DF_HOST/crio.json")/50-deployfence.json" ]
}

toml_json() { # FILE
	/usr/bin/python3 -c 'import json, sys, tomllib; json.dump(tomllib.load(open(sys.argv[1], "rb")), sys.stdout)' "$1"
}

@test "the base spec calls the hook that is installed, as the shipped description does" {
	base_spec
	local stage
	for stage in createRuntime poststop; do
		expect jq -e --slurpfile shipped /usr/share/containers/oci/hooks.d/50-deployfence.json ".hooks.${stage}[0]
			| .args == [\"deployfence\", \"--require-annotation\"] and del(.args) == (\$shipped[0].hook | del(.args))" "$DF_HOST/base.json"
	done
	expect [ "$(jq -c '.hooks | keys' "$DF_HOST/base.json")" = "$(jq -c '.stages | sort' /usr/share/containers/oci/hooks.d/50-deployfence.json)" ]
}

yaml_json() { # FILE
	/usr/bin/python3 -c 'import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)' "$1"
}

@test "the example deploy job is fenced by its annotations, and names the handler that the other files make" {
	local annotations=() key value handler
	yaml_json "$PACKAGING/deploy-job.yaml" >"$DF_HOST/job.json"
	yaml_json "$PACKAGING/runtimeclass.yaml" >"$DF_HOST/class.json"
	toml_json "$PACKAGING/containerd-1.toml" >"$DF_HOST/containerd.json"
	expect jq -e '.kind == "Job" and .apiVersion == "batch/v1"' "$DF_HOST/job.json"
	# the API server takes strings only
	expect jq -e '.spec.template.metadata.annotations | length > 0 and all(.[]; type == "string")' "$DF_HOST/job.json"
	while IFS=$'\t' read -r key value; do
		annotations+=(-a "$key=$value")
	done < <(jq -r '.spec.template.metadata.annotations | to_entries[] | [.key, .value] | @tsv' "$DF_HOST/job.json")
	base_job "${annotations[@]}" -- sh -c "$VISIT"
	expect [ "$status" = 0 ]
	expect_fenced
	expect_fence_gone
	expect_event '.event == "start" and .mode == "enforce" and .policy == "default"'
	expect_event '.event == "dns_blocked" and .annotations.owner == "team-deploy"'

	handler=$(jq -r .handler "$DF_HOST/class.json")
	expect jq -e --arg handler "$handler" '.plugins[].containerd.runtimes | keys == [$handler]' "$DF_HOST/containerd.json"
	expect jq -e --arg class "$(jq -r .metadata.name "$DF_HOST/class.json")" '.spec.template.spec.runtimeClassName == $class' "$DF_HOST/job.json"
	expect [ "$(jq -r .spec.template.spec.runtimeClassName "$DF_HOST/job.json")" = "$handler" ]
	# where annotations of the Job itself would not be seen by anybody
	expect jq -e '.metadata | has("annotations") | not' "$DF_HOST/job.json"
}
