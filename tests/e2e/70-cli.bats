#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; the containers' scripts are in single quotes
# The command deployfence.

load ../lib/ground
load common

cli() { # ARGUMENT…: sets status, output and stderr
	status=0
	output=$(deployfence "$@" 2>"$DF_HOST/cli.err") || status=$?
	stderr=$(cat "$DF_HOST/cli.err")
}

cli_as_nobody() { # ARGUMENT…
	status=0
	output=$(setpriv --reuid=65534 --regid=65534 --clear-groups deployfence "$@" 2>"$DF_HOST/cli.err") || status=$?
	stderr=$(cat "$DF_HOST/cli.err")
}

@test "help and version; what is not there says so" {
	local name
	for name in '' check logs report; do
		# shellcheck disable=SC2086 # nothing is no argument
		cli $name --help
		expect [ "$status" = 0 ]
		expect_match "$output" "^usage: deployfence ${name:-COMMAND}"
		expect [ "$stderr" = "" ]
	done
	cli --version
	expect [ "$status" = 0 ]
	expect_match "$output" '^deployfence [0-9.]+$'
	for name in init list inspect reload restart bypass disable enable doctor run policy metrics; do
		cli "$name"
		expect [ "$status" = 64 ]
		expect [ "$stderr" = "deployfence: $name: not in this version" ]
	done
	for name in nonsense -x $'x\e[31m'; do
		cli "$name"
		expect [ "$status" = 64 ]
		expect_match "$stderr" '^deployfence: unknown command'
		refute_match "$stderr" $'\e'
	done
	for name in 'check -x' 'check -p' 'logs -x' 'logs a b' 'report -x' 'report --format x' 'report --all x' 'report -o' \
		'report --since yesterday' 'report --summary --graph' 'report --summary --format html' 'report --graph --format sarif' \
		'report --graph --baseline ./x.json'; do
		# shellcheck disable=SC2086 # words
		cli $name
		expect [ "$status" = 64 ]
		expect [ "$output" = "" ]
	done
	status=0
	deployfence --help >/dev/full 2>&1 || status=$?
	expect [ "$status" = 74 ]
}

@test "check: verdict, rule and hint of each name, without root" {
	cli_as_nobody check github.com ok.example API.GitHub.com.
	expect [ "$status" = 1 ]
	expect [ "$stderr" = "" ]
	expect_match "$output" $'^github\.com       blocked  default\.policy:[0-9]+ block github\.com  hint: [^\n]+\nok\.example       allowed  default allow\nAPI\.GitHub\.com\.  blocked  default\.policy:'
	cli_as_nobody check ok.example notgithub.com
	expect [ "$status" = 0 ]
	expect_match "$output" $'^ok\.example     allowed  default allow\nnotgithub\.com  allowed  default allow$'
	cli_as_nobody check
	expect [ "$status" = 0 ]
	expect [ "$output" = "policy default: ok, mode enforce, default allow" ]
}

@test "check: a policy by name and by file, the host's default policy" {
	policy mine <<-'POLICY'
		mode audit
		owner team@example
		block ok.example
		allow =www.ok.example
	POLICY
	cli check -p mine ok.example
	expect [ "$status" = 1 ]
	expect [ "$output" = "ok.example  would-block  mine.policy:3 block ok.example" ]
	cp "$POLICIES/mine.policy" "$DF_HOST/other"
	cli check --policy "$DF_HOST/other" www.ok.example github.com
	expect [ "$status" = 0 ]
	expect_match "$output" $'^www\.ok\.example  allowed      other:4 allow =www\.ok\.example\ngithub\.com      allowed      default allow$'
	cd "$POLICIES"
	cli check -p mine.policy
	expect [ "$status" = 0 ]
	expect [ "$output" = "policy mine: ok, mode audit, default allow" ]
	echo 'default-policy mine' >/etc/deployfence/deployfence.conf
	cli check ok.example
	expect [ "$status" = 1 ]
	expect_match "$output" 'mine\.policy:3'
}

@test "check: all errors with their places, status 2" {
	printf 'blok x\nblock a..b\n' >"$DF_HOST/broken.policy"
	cli check -p "$DF_HOST/broken.policy" ok.example
	expect [ "$status" = 2 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" "^$DF_HOST/broken\.policy:1:1: [^"$'\n'"]+block[^"$'\n'"]*"$'\n'"$DF_HOST/broken\.policy:2:9: empty label"
	printf 'block a.example\nblock a.example\n' >"$DF_HOST/twice.policy"
	cli check -p "$DF_HOST/twice.policy"
	expect [ "$status" = 0 ]
	expect_match "$stderr" 'twice\.policy:2:1: warning: '
	expect_match "$output" 'ok with 1 warning'
	cli check -p nowhere
	expect [ "$status" = 2 ]
	expect_match "$stderr" 'no such policy.*/etc/deployfence/policies'
	cli check -p "$DF_HOST"/$'a\e[31m.policy'
	expect [ "$status" = 2 ]
	refute_match "$stderr" $'\e'
	echo 'fail opened' >/etc/deployfence/deployfence.conf
	cli check ok.example
	expect [ "$status" = 2 ]
	expect_match "$stderr" 'deployfence\.conf:1:6: '
	# a policy that is named can be checked all the same
	cli check -p default ok.example
	expect [ "$status" = 0 ]
}

@test "check: what is no name" {
	local argument
	for argument in https://github.com/x a..b '*.ghcr.io' '' $'a\e[31m' 10.0.0.0/8 github.com:1-2 github.com:0 \
		'[10.0.0.1]:80' 10.0.0.1:80/sctp; do
		cli check ok.example "$argument"
		expect [ "$status" = 64 ]
		expect_match "$output" '^ok\.example +allowed'
		refute_match "$stderr" $'\e'
	done
}

@test "check: ports and addresses" {
	policy mine <<-'POLICY'
		allow registry.example:443
		block 10.9.0.0/16
		block registry.example
		allow 10.9.8.0/24:22/tcp
		block [2001:db8::1]:443
	POLICY
	cli check -p mine registry.example registry.example:443 registry.example:80 10.9.1.2 10.9.8.1:22 10.9.8.1:22/udp \
		'[2001:db8::1]:443' '[2001:db8::1]:80' 64:ff9b::10.9.1.2 192.0.2.1 127.0.0.1 127.192.0.1 192.0.2.1:53
	expect [ "$status" = 1 ]
	expect [ "$stderr" = "" ]
	diff - <(sed -E 's/ {2,}/ | /g' <<<"$output") <<-'WANT'
		registry.example | allowed | mine.policy:1 allow registry.example:443
		registry.example:443 | allowed | mine.policy:1 allow registry.example:443
		registry.example:80 | blocked | mine.policy:3 block registry.example
		10.9.1.2 | blocked | mine.policy:2 block 10.9.0.0/16
		10.9.8.1:22 | allowed | mine.policy:4 allow 10.9.8.0/24:22/tcp
		10.9.8.1:22/udp | blocked | mine.policy:2 block 10.9.0.0/16
		[2001:db8::1]:443 | blocked | mine.policy:5 block [2001:db8::1]:443
		[2001:db8::1]:80 | allowed | raw-ip allow | hint: refused if it is an address of a blocked name
		64:ff9b::10.9.1.2 | blocked | mine.policy:2 block 10.9.0.0/16
		192.0.2.1 | allowed | raw-ip allow | hint: refused if it is an address of a blocked name
		127.0.0.1 | allowed | loopback: no rule applies to it
		127.192.0.1 | blocked | 127.192.0.0/10: addresses of the proxies
		192.0.2.1:53 | allowed | port 53: what is asked there is judged by name
	WANT
	# an address that no rule names: what raw-ip says, or is by default
	printf 'default deny\nallow a.example\n' | policy deny
	cli check -p deny 192.0.2.1 a.example:22
	expect [ "$status" = 1 ]
	expect_match "$output" $'^192\\.0\\.2\\.1     blocked  raw-ip block\na\\.example:22  allowed  deny\\.policy:2 allow a\\.example$'
	printf 'default deny\nallow a.example\nraw-ip audit\n' | policy deny
	cli check -p deny 192.0.2.1
	expect_match "$output" '^192\.0\.2\.1  would-block  raw-ip audit$'
	# nothing of it depends on the machine, so it cannot know this
	cli check -p deny 10.88.0.5
	expect_match "$output" 'raw-ip audit  hint: passes if the container itself has this address$'
	printf 'raw-ip block\nrefuse-dns sinkhole\n' | policy sink
	cli check -p sink 0.0.0.0 127.0.0.1 192.0.2.1
	expect_match "$output" '^0\.0\.0\.0 +blocked +refuse-dns sinkhole'
	expect_match "$output" $'\n127\\.0\\.0\\.1 +allowed +loopback'
}

@test "check: the base policy is judged, too, and the kill switch is told" {
	policy base <<<'block ok.example'
	policy audited <<<$'mode audit\nblock github.com'
	echo 'base-policy base' >/etc/deployfence/deployfence.conf
	cli_as_nobody check ok.example github.com
	expect [ "$status" = 1 ]
	expect_match "$output" $'^ok\\.example  blocked  base\\.policy:1 block ok\\.example\ngithub\\.com  blocked  default\\.policy:'
	cli check -p audited ok.example github.com
	expect_match "$output" $'^ok\\.example  blocked      base\\.policy:1 block ok\\.example\ngithub\\.com  would-block  audited\\.policy:2'
	cli check -p audited
	expect [ "$output" = "policy audited: ok, mode audit, default allow, base policy base" ]
	cli check --json ok.example
	expect jq -e '.base_policy == "base" and .names[0].rule == "base.policy:1 block ok.example" and (has("disabled") | not)' <<<"$output"
	# exit status by the policies alone
	echo 'reason maintenance' >/etc/deployfence/disabled
	cli_as_nobody check ok.example
	expect [ "$status" = 1 ]
	expect_match "$output" $'^ok\\.example  blocked  base\\.policy:1 [^\n]+\nthe kill switch is in force, and nothing is refused: maintenance$'
	cli check --json notgithub.com
	expect [ "$status" = 0 ]
	expect jq -e '.disabled == "maintenance"' <<<"$output"
	: >/etc/deployfence/disabled
	cli check notgithub.com
	expect [ "$status" = 0 ]
	expect_match "$stderr" '/etc/deployfence/disabled does not count: it is empty'
	rm /etc/deployfence/disabled
	printf 'blok x\n' >"$POLICIES/base.policy"
	cli check github.com
	expect [ "$status" = 2 ]
	expect_match "$stderr" 'base\.policy:1:1: '
	echo 'base-policy' >/etc/deployfence/deployfence.conf
	cli check -p audited github.com
	expect [ "$status" = 1 ]
	expect_match "$stderr" 'deployfence\.conf cannot be used: a base policy that it names is not judged'
}

@test "check: the rule that the event names, and what it cannot know" {
	printf '%s\n' 'default deny' 'on-leak all warn' 'owner team-net' 'hint "ask #net"' 'allow ok.example:80' | policy ports
	job -a deployfence.policy=ports -a deployfence.owner=team-x -- sh -c 'curl -sS -m 10 http://ok.example; curl -sS -m 10 http://ok.example:8080'
	expect_event '.reason == "PortNotAllowed" and .rule == "ports.policy:5 allow ok.example:80" and .rule_owner == "team-net"
		and .owner == "team-x" and .hint == "ask #net"'
	cli check -p ports ok.example:8080
	expect [ "$output" = 'ok.example:8080  blocked  ports.policy:5 allow ok.example:80  hint: ask #net' ]
	cli check 192.0.2.1
	expect [ "$status" = 0 ]
	expect [ "$output" = '192.0.2.1  allowed  raw-ip allow  hint: refused if it is an address of a blocked name' ]
}

@test "check --json" {
	cli check --json github.com ok.example:443/udp 10.0.0.0/8 192.0.2.1
	expect [ "$status" = 64 ]
	expect jq -e '.schema == 1 and .policy == "default" and .usable and .mode == "enforce" and .errors == 0
		and (.names | length) == 4 and .names[0].verdict == "blocked" and .names[0].domain == "github.com."
		and (.names[0].rule | test("^default.policy:[0-9]+ block github.com$")) and (.names[0].hint | length) > 0
		and .names[1].verdict == "allowed" and .names[1].port == 443 and .names[1].protocol == "udp"
		and (.names[2].error | test("network")) and .names[3].ip == "192.0.2.1" and (.names[3] | has("domain") | not)
		and .names[3].rule == "raw-ip allow"' <<<"$output"
	printf 'blok x\n' >"$DF_HOST/broken.policy"
	cli check --json -p "$DF_HOST/broken.policy" ok.example
	expect [ "$status" = 2 ]
	expect jq -e '(.usable | not) and .errors == 1 and .names == [] and (.messages[0] | test("broken.policy:1:1: "))' <<<"$output"
}

@test "report: what a fenced job asked for, by which command" {
	job -a deployfence=on -a deployfence.owner=team-deploy -- sh -c "$VISIT"
	expect_fenced
	expect_fence_gone
	cli report --all
	expect [ "$status" = 0 ]
	expect [ "$stderr" = "" ]
	expect_match "$output" '^[0-9a-f]{12}  policy default  mode enforce  queries [0-9]+  refused [1-9]'
	expect_match "$output" $'\nVERDICT +COUNT +DOMAIN +CLASS +COMMAND +RULE +OWNER\n'
	expect_match "$output" $'\nblocked +[0-9]+  github\.com  direct  curl -sS -m 10 http://github\.com  default\.policy:[0-9]+ block github\.com  team-deploy'
	expect_match "$output" $'\nallowed +[0-9]+  ok\.example  direct  curl -sS -m 10 http://ok\.example +- +team-deploy'
	refute_match "$output" $'\e'
	# the sums are those of the fence itself
	local line
	line=$(event '.event == "stop"' .message)
	expect_match "$line" "$(sed -nE '1 s/.*queries ([0-9]+)  refused ([0-9]+).*/: \1 queries, \2 refused/p' <<<"$output")"
	local text=$output
	cli report
	expect [ "$output" = "$text" ]
}

@test "report: by id, by file, as JSON; a running fence too" {
	local id
	job_start -a deployfence=on -- sleep 1000
	id=$(basename "$RUNDIR"/[!@]*)
	job_exec "$JOB" sh -c "$VISIT"
	expect_fenced
	expect_event '.domain == "ok.example."'
	cli report "${id:0:12}" --format json
	expect [ "$status" = 0 ]
	expect jq -e --arg id "$id" '.schema == 1 and .damaged_lines == 0 and (.containers | length) == 1 and (.containers[0]
		| .id == $id and .policy == "default" and .complete and .connections == []
		and any(.domains[]; .domain == "github.com." and .verdict == "blocked" and (.cmd | test("^curl .*github.com$")))
		and any(.domains[]; .domain == "ok.example." and .verdict == "allowed" and (has("rule") | not)))' <<<"$output"
	job_stop "$JOB"
	expect_fence_gone
	cp "$RUNDIR/$id/events.jsonl" "$DF_HOST/copy.jsonl"
	cli report "$id"
	local text=$output
	cli report "$DF_HOST/copy.jsonl"
	expect [ "$status" = 0 ]
	expect [ "$output" = "$text" ]
	# a file needs no root
	chmod 644 "$DF_HOST/copy.jsonl"
	output=$(setpriv --reuid=65534 --regid=65534 --clear-groups deployfence report /dev/stdin <"$DF_HOST/copy.jsonl")
	expect [ "$output" = "$text" ]
	# of one that was rotated
	head -n 2 "$DF_HOST/copy.jsonl" >"$RUNDIR/$id/events.jsonl.1"
	tail -n +3 "$DF_HOST/copy.jsonl" >"$RUNDIR/$id/events.jsonl"
	cli report "$id"
	expect [ "$output" = "$text" ]
	rm "$RUNDIR/$id/events.jsonl.1"
	cli report "$id"
	expect [ "$output" = "$text" ] # report-dir has it
	rm -r "$REPORTS"
	cli report "$id"
	expect_match "$output" 'incomplete'
	cli report nothing "$DF_HOST/nothing.jsonl"
	expect [ "$status" = 66 ]
	expect_match "$stderr" "no fence 'nothing'.*nothing\.jsonl: No such file"
}

@test "report: audit, connections, and what a container sends stays on its line" {
	job -a deployfence=audit -- sh -c "$VISIT"
	expect_unfenced
	expect_fence_gone
	cli report
	expect_match "$output" $' mode audit  queries [0-9]+  refused 0  would-refuse [1-9]'
	expect_match "$output" $'\nwould-block +[0-9]+  github\.com'
	rm -rf "$RUNDIR" "$REPORTS"
	job -c NET_RAW -a deployfence=on -- python3 -c 'import socket, subprocess
try: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
except OSError: pass
try: socket.create_connection(("127.192.0.1", 53))
except OSError: pass
subprocess.run(["getent", "hosts", "github.com", "x\x1b[31m\nblocked 1 forged", "\u202e\u009b"])'
	expect_fence_gone
	cli report
	expect [ "$status" = 0 ]
	expect_match "$output" $'connections 2[^\n]*\n'
	expect_match "$output" $'\nblocked +1  127\.192\.0\.1:53 +- +python3 -c [^\n]*  connect +ReservedAddress +-'
	expect_match "$output" $'\nblocked +[0-9]+  github\.com +direct +getent hosts github\.com x\\\\x1b\[31m\\\\nblocked 1 forged \\\\xe2\\\\x80\\\\xae'
	refute_match "$output" $'\e|\xe2\x80\xae|\xc2\x9b|\nblocked 1 forged'
	local text=$output
	cli report --json
	refute_match "$output" $'\e|\xe2\x80\xae|\xc2\x9b|\nblocked'
	expect jq -e 'any(.containers[0].domains[]; .cmd == "getent hosts github.com x\\x1b[31m\\nblocked 1 forged \\xe2\\x80\\xae\\xc2\\x9b")' <<<"$output"
	expect_match "$text" $'\nblocked +1  AF_INET SOCK_RAW 1 +- +python3 -c [^\n]*  connect +RawSocket +-'
	expect jq -e '.containers[0].connections[1] | .ip == "127.192.0.1" and .port == 53 and .reason == "ReservedAddress"' <<<"$output"
}

@test "report: whatever a file says, nothing of it is obeyed by a terminal" {
	local evil='e\u001b[31m\u009b\u202e\u007f\r\n\u00e4'
	printf '{"schema":1,"time":"t","event":"query","domain":"%s","cmd":"%s","rule":"%s","owner":"%s","container":{"id":"%s","name":"%s","image":"%s"},"policy":"%s","mode":"%s"}\n' \
		"$evil" "$evil" "$evil" "$evil" "$evil" "$evil" "$evil" "$evil" "$evil" >"$DF_HOST/evil.jsonl"
	printf '{"schema":1,"time":"t","event":"unobserved","ip":"%s","port":1,"reason":"%s","container":{"id":"c"}}\n' \
		"$evil" "$evil" >>"$DF_HOST/evil.jsonl"
	cli report "$DF_HOST/evil.jsonl"
	expect [ "$status" = 0 ]
	expect [ "$(wc -l <<<"$output")" = 7 ]
	expect_match "$output" $'allowed +1  e\\\\x1b\[31m\\\\xc2\\\\x9b\\\\xe2\\\\x80\\\\xae\\\\x7f\\\\x0d\\\\n\xc3\xa4  '
	refute_match "$output" $'\e|\xe2\x80\xae|\xc2\x9b|\x7f|\r'
	cli report --json "$DF_HOST/evil.jsonl"
	expect [ "$status" = 0 ]
	refute_match "$output" $'\e|\xe2\x80\xae|\xc2\x9b|\x7f|\r'
	expect jq -e 'any(.containers[]; .policy == "e\u001b[31m\u009b\\xe2\\x80\\xae\u007f\r\n\u00e4")' <<<"$output"
}

@test "report: damaged lines are left out and counted" {
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fence_gone
	cli report
	local text=$output file
	file=$(echo "$RUNDIR"/*/events.jsonl)
	{
		head -c 100 /dev/urandom | tr -d '\n'
		printf '\n{"schema":1}\n{"schema":1,"time":"t","event":"query"\n'
		head -c 200000 /dev/zero
		printf '\n{"sch'
	} >>"$file"
	cli report
	expect [ "$status" = 0 ]
	expect [ "$output" = "$text"$'\n\n5 damaged lines were left out' ]
	cli report --json
	expect jq -e '.damaged_lines == 5 and (.containers | length) == 1' <<<"$output"
	rm -r "$RUNDIR" # no event of a fence
}

@test "report: colour on a terminal only, and not with NO_COLOR" {
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fence_gone
	output=$(TERM=xterm script -qec 'deployfence report' /dev/null)
	expect_match "$output" $'\e\\[31mblocked\e\\[0m'
	output=$(TERM=xterm NO_COLOR=1 script -qec 'deployfence report' /dev/null)
	expect_match "$output" 'blocked'
	refute_match "$output" $'\e'
}

@test "logs: hook.log, then the events; of all fences or of one" {
	local first second
	job -a deployfence=on -- sh -c "$VISIT"
	expect_fence_gone
	first=$(basename "$RUNDIR"/[!@]*)
	cli logs "${first:0:8}"
	expect [ "$status" = 0 ]
	expect_match "$output" $'^INFO start container='
	expect_match "$output" $'\nWARN DNS BLOCKED reason=FromDNSRequest blocked=true blockedAt=dns domain=github\.com\. pid=[0-9]+ cmd="curl '
	expect_match "$output" $'\nINFO stop container='
	expect [ "$output" = "$(event_texts)" ]
	job -a deployfence.policy=nowhere -- echo ran
	expect [ "$status" = 126 ]
	second=$(find "$RUNDIR" -mindepth 1 -maxdepth 1 -name '[!.@]*' ! -name "$first" -printf '%f')
	cli logs "$second"
	expect [ "$status" = 0 ]
	expect_match "$output" "^[0-9-]+T[0-9:.]+Z container $second refused: .*nowhere"
	cli logs
	expect [ "$output" = "$(cat "$RUNDIR/$first/events.log" "$RUNDIR/$second/hook.log")" ]
	cli report "$second"
	expect [ "$status" = 66 ]
	expect_match "$stderr" 'see deployfence logs'
	# of one that was rotated
	head -n 1 "$RUNDIR/$first/events.log" >"$RUNDIR/$first/events.log.1"
	sed -i 1d "$RUNDIR/$first/events.log"
	printf '\e[31munfinished' >>"$RUNDIR/$first/events.log"
	cli logs "$first"
	expect [ "$output" = "$(cat "$RUNDIR/$first"/events.log.1 "$RUNDIR/$first"/events.log | sed 's/\x1b/\\x1b/')" ]
	# an id that is the beginning of another stands for itself
	cp -r "$RUNDIR/$second" "$RUNDIR/job"
	cp -r "$RUNDIR/$second" "$RUNDIR/job-2"
	cli logs job
	expect [ "$status" = 0 ]
	cli logs jo
	expect [ "$status" = 66 ]
	expect_match "$stderr" "'jo' is the beginning of 2 ids"
	cli logs ../job
	expect [ "$status" = 66 ]
	rm -rf "$RUNDIR" "$REPORTS"
}

@test "logs -f: what comes, from every fence, over a rotation" {
	local follower one
	mkfifo "$DF_HOST/pipe.$BATS_TEST_NUMBER"
	deployfence logs -f >"$DF_HOST/all.out" 3>&- 4>&- &
	follower=$!
	job_start -a deployfence=on -- sleep 1000
	eventually grep -q '^INFO start' "$DF_HOST/all.out"
	deployfence logs -f "$(basename "$RUNDIR"/[!@]*)" >"$DF_HOST/one.out" 3>&- 4>&- &
	one=$!
	eventually grep -q '^INFO start' "$DF_HOST/one.out"
	job_exec "$JOB" sh -c "$VISIT"
	eventually grep -q '^WARN DNS BLOCKED .*domain=github\.com\.' "$DF_HOST/all.out"
	# as the monitor rotates: rename, then a new file
	for file in "$RUNDIR"/*/events.log; do
		echo last >>"$file"
		mv "$file" "$file.1"
		echo first >"$file"
	done
	eventually grep -qx first "$DF_HOST/all.out"
	eventually grep -qx first "$DF_HOST/one.out"
	expect [ "$(grep -cx last "$DF_HOST/all.out")" = 1 ]
	job_stop "$JOB"
	job -a deployfence=on -- true
	eventually eval '[ "$(grep -c "^INFO start" "$DF_HOST/all.out")" = 2 ]'
	expect [ "$(grep -c '^INFO start' "$DF_HOST/one.out")" = 1 ]
	kill "$follower" "$one"
	wait "$follower" "$one" || true
	# ends when nobody reads any more
	deployfence logs -f 3>&- 4>&- >"$DF_HOST/pipe.$BATS_TEST_NUMBER" &
	follower=$!
	head -n 1 "$DF_HOST/pipe.$BATS_TEST_NUMBER" >/dev/null
	eventually eval '! kill -0 "$follower" 2>/dev/null'
	expect_fence_gone
	rm -rf "$RUNDIR" "$REPORTS"
}

@test "no fence yet is no error; without root the reason is said" {
	cli report
	expect [ "$status" = 0 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" 'no events in /run/deployfence'
	cli report --json
	expect jq -e '.containers == []' <<<"$output"
	cli logs
	expect [ "$status$output$stderr" = 0 ]
	cli logs x
	expect [ "$status" = 66 ]
	job -a deployfence=on -- true
	local name
	for name in logs 'logs -f' 'logs x' report 'report --all --json' 'report x'; do
		# shellcheck disable=SC2086 # words
		cli_as_nobody $name
		expect [ "$status" = 77 ]
		expect_match "$stderr" '^deployfence: cannot read /run/deployfence; that needs root$'
	done
}

@test "completions and manual pages are where they are looked for" {
	local page
	for page in man1/deployfence.1 man5/deployfence.conf.5 man5/deployfence.events.5 man5/deployfence.policy.5 man8/deployfence-hook.8; do
		expect [ -s "/usr/share/man/$page" ]
	done
	expect [ -s /usr/share/zsh/site-functions/_deployfence ]
	complete_words() { # WORD…: what the last one may become
		bash -c '. /usr/share/bash-completion/completions/deployfence.bash
			compopt() { :; }
			COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
			_deployfence
			printf "%s\n" "${COMPREPLY[@]}"' bash "$@"
	}
	expect [ "$(complete_words deployfence re)" = report ]
	expect [ "$(complete_words deployfence check -p def)" = default ]
	expect [ "$(complete_words deployfence report --format j)" = json ]
	expect [ "$(complete_words deployfence report --gr)" = --graph ]
	expect [ "$(complete_words deployfence report --since 3)" = 30d ]
	expect [ "$(complete_words deployfence logs --f)" = --follow ]
	mkdir -p "$RUNDIR/4711"
	expect [ "$(complete_words deployfence logs 47)" = 4711 ]
	rm -rf "$RUNDIR" "$REPORTS"
}
