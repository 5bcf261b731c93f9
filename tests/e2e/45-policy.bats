#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; the containers' scripts are in single quotes
# What a policy and the host's configuration say beyond a list of blocked names.

load ../lib/ground
load common

# --- default deny

@test "default deny: listed names work with their aliases' targets, all others are refused and never asked" {
	policy closed <<-'POLICY'
		default deny
		allow ok.example
		allow =okchain1.example
		allow =alias.example
		block github.com
	POLICY
	job -a deployfence.policy=closed -- sh -c '
		for name in ok.example www.ok.example okchain1.example other.example notgithub.com alias.example; do
			echo "$name $(dig +tries=1 +noall +comments "$name" | sed -n "s/.*status: \([A-Z]*\),.*/\1/p")"
		done
		curl -sS http://ok.example
		dig other.example'
	expect [ "$status" = 0 ]
	expect_match "$output" $'ok\\.example NOERROR\nwww\\.ok\\.example NOERROR\nokchain1\\.example NOERROR\n'
	expect_match "$output" $'\nother\\.example NXDOMAIN\nnotgithub\\.com NXDOMAIN\nalias\\.example NXDOMAIN\n'
	expect_match "$output" 'hello from ok\.example'
	expect_match "$output" 'EDE: 15 \(Blocked\): [^'$'\n'']*not in the allowlist; closed\.policy default deny'
	expect_match "$stderr" 'WARN DNS BLOCKED reason=NotInAllowlist blocked=true blockedAt=dns domain=other\.example\. pid=[0-9]+ cmd="dig [^'$'\n'']*firewallMethod=allowlist rule="closed\.policy default deny"'
	expect_event '.domain == "other.example." and .reason == "NotInAllowlist" and .blocked and .firewallMethod == "allowlist" and .rule == "closed.policy default deny"'
	expect_event '.domain == "alias.example." and .reason == "FromCNAME" and .rule == "closed.policy:5 block github.com"'
	expect_event '.event == "query" and .domain == "okchain1.example." and .rule == "closed.policy:3 allow =okchain1.example" and .blocked == false'
	refute world_dns_log ' (other\.example|notgithub\.com) '
	world_dns_log ' ok\.example ' # the twin
}

@test "default deny: an empty policy refuses everything, and check says so; in audit nothing is refused" {
	policy nothing <<<'default deny'
	job -a deployfence.policy=nothing -- sh -c "$VISIT"
	expect_match "$output" 'github\.com rc=6'
	expect_match "$output" 'ok\.example rc=6'
	refute world_dns_log ' (github\.com|ok\.example) '
	status=0
	stderr=$(deployfence check -p nothing 2>&1 >/dev/null) || status=$?
	expect [ "$status" = 0 ]
	expect_match "$stderr" "nothing\.policy:1:1: warning: 'default deny' without an allow rule blocks everything"
	job -a deployfence=audit -a deployfence.policy=nothing -- sh -c "$VISIT"
	expect_unfenced
	expect_event '.domain == "ok.example." and .reason == "NotInAllowlist" and .would_block'
}

@test "default deny: a search list leads on to the allowed name, and by no way to another" {
	local way
	for way in nxdomain refused sinkhole; do
		printf '%s\n' 'default deny' "refuse-dns $way" 'allow ok.example' 'allow =db.corp.example' | policy searching
		job -s corp.example -a deployfence.policy=searching -- sh -c '
			echo "options ndots:5" >>/etc/resolv.conf
			curl -sS -m 10 http://ok.example
			echo "db $(getent ahostsv4 db | head -n 1)"
			echo "other $(getent ahostsv4 other.example | grep -v "^0\.0\.0\.0" | head -n 1)"'
		echo "refuse-dns $way"
		expect_match "$output" 'hello from ok\.example'
		expect_match "$output" 'db 203\.0\.113\.30'
		expect_match "$output" $'\nother $'
	done
}

@test "default deny: encrypted resolvers are refused, also where networks are allowed; a rule of one's own is an exception" {
	policy closed <<-'POLICY'
		default deny
		allow ok.example
		allow 0.0.0.0/0:443
		allow 1.1.1.1
	POLICY
	job -a deployfence.policy=closed -- sh -c '
		for url in https://8.8.8.8 https://9.9.9.9 https://203.0.113.10 https://1.1.1.1 https://ok.example; do
			curl -ks -m 10 -o /dev/null "$url"; echo "$url rc=$?"
		done
		python3 -c "import socket; socket.create_connection((\"203.0.113.10\", 853), 10)" 2>&1 | tail -n 1
		dig +tries=1 dns.google'
	expect_match "$output" 'https://8\.8\.8\.8 rc=7'
	expect_match "$output" 'https://9\.9\.9\.9 rc=7'
	expect_match "$output" 'https://203\.0\.113\.10 rc=0'
	expect_match "$output" 'https://1\.1\.1\.1 rc=0'
	expect_match "$output" 'https://ok\.example rc=0'
	expect_match "$output" 'PermissionError: \[Errno 1\]'
	expect_match "$output" 'status: NXDOMAIN'
	expect_event '.ip == "8.8.8.8" and .port == 443 and .reason == "AddressRule" and (.rule | test("^encrypted-dns\\.policy:[0-9]+ block 8\\.8\\.8\\.8$"))'
	expect_event '.event == "dns_blocked" and .domain == "dns.google." and (.rule | test("^encrypted-dns\\.policy:[0-9]+ block dns\\.google$"))'
	refute world_dns_log ' dns\.google ' # nobody resolves them
	status=0
	output=$(deployfence check -p closed 8.8.8.8:443 dns.google 1.1.1.1:443 203.0.113.10:853 2>&1) || status=$?
	expect [ "$status" = 1 ]
	expect_match "$output" '8\.8\.8\.8:443 +blocked +encrypted-dns\.policy:[0-9]+ block 8\.8\.8\.8'
	expect_match "$output" 'dns\.google +blocked +encrypted-dns\.policy:[0-9]+ block dns\.google'
	expect_match "$output" '1\.1\.1\.1:443 +allowed +closed\.policy:4 allow 1\.1\.1\.1'
	expect_match "$output" '203\.0\.113\.10:853 +blocked +encrypted-dns\.policy:[0-9]+ block 0\.0\.0\.0/0:853'
	# the twin: the same without the list
	printf '%s\n' 'default deny' 'encrypted-dns allow' 'allow 0.0.0.0/0:443' 'allow ok.example:853' | policy open
	job -a deployfence.policy=open -- sh -c 'curl -ks -m 10 -o /dev/null https://8.8.8.8; echo "rc=$?"'
	expect_match "$output" 'rc=0'
	# a name's own rule for the port of DNS over TLS
	printf '%s\n' 'default deny' 'allow ok.example:853' | policy tls
	job -a deployfence.policy=tls -- python3 -c 'import socket; socket.create_connection(("ok.example", 853), 10); print("connected")'
	expect [ "$output" = connected ]
}

# --- deployfence.conf

conf() { # STATEMENT…
	printf '%s\n' "$@" >/etc/deployfence/deployfence.conf
}

expect_refused() { # REGEX
	expect [ "$status" = 126 ]
	expect [ "$output" = "" ]
	expect_match "$stderr" "$1"
	expect_syslog "refused: $1"
}

@test "annotations may not weaken: each that does is refused, with what the host demands" {
	policy_sealed sealed
	printf 'mode audit\nblock github.com\n' | policy watch
	conf 'annotations-may-weaken no' 'selectable-policies sealed watch'
	job -a deployfence=off -- echo ran
	expect_refused 'annotation "deployfence=off": this host demands a fence'
	job -a deployfence=audit -- echo ran
	expect_refused 'annotation "deployfence=audit": this host demands mode enforce'
	job -a deployfence.fail=open -- echo ran
	expect_refused 'annotation "deployfence\.fail=open": this host demands fail closed'
	job -a deployfence.log=none -- echo ran
	expect_refused 'annotation "deployfence\.log=none": this host demands log stderr'
	policy other <<<'block ok.example'
	job -a deployfence.policy=other -- echo ran
	expect_refused "annotation \"deployfence\.policy=other\": this host demands its default policy 'default' or one of"
	# the twins
	job -a deployfence=enforce -a deployfence.fail=closed -a deployfence.log=stderr -a deployfence.policy=sealed -- sh -c "$VISIT"
	expect_fenced
	job -a deployfence=audit -a deployfence.policy=watch -- sh -c "$VISIT"
	expect_unfenced
	conf 'annotations-may-weaken yes' 'selectable-policies sealed'
	job -a deployfence=off -- sh -c "$VISIT"
	expect_unfenced
	job -a deployfence.policy=other -- sh -c "$VISIT"
	expect_match "$output" 'ok\.example rc=6'
}

@test "annotations may not weaken: a policy with an error opens for no annotation" {
	conf 'annotations-may-weaken no' 'default-policy broken'
	policy broken <<<'blok github.com'
	job -a deployfence=audit -- echo ran
	expect_refused '.*broken\.policy:1:1: '
	conf 'annotations-may-weaken no' 'default-policy broken' 'fail open'
	job -a deployfence=on -- sh -c "$VISIT" # the host's own wish
	expect_unfenced
	job -a deployfence=off -- echo ran
	expect_refused 'annotation "deployfence=off": '
	# nobody knows what a file with an error demands
	conf 'annotations-may-weaken nope'
	for annotation in deployfence=off deployfence=audit deployfence.fail=open; do
		job -a "$annotation" -- echo ran
		expect_refused '.*deployfence\.conf:1:24: '
	done
	echo 'reason an emergency' >/etc/deployfence/disabled
	job -a deployfence=on -- sh -c "$VISIT"
	expect_unfenced
}

@test "only the annotations that the host honours" {
	conf 'annotations deployfence deployfence.x-job'
	job -a deployfence.policy=default -- echo ran
	expect_refused 'annotation "deployfence\.policy": this host does not honour it'
	job -a deployfence=on -a deployfence.x-team=a -- echo ran
	expect_refused 'annotation "deployfence\.x-team": this host does not honour it'
	job -a deployfence=on -a deployfence.x-job=a -- sh -c "$VISIT"
	expect_fenced
}

# --- last good tables

@test "a policy that got an error: the last good table is used, and it is said; where there is none, 78" {
	policy mine <<<'block ok.example'
	job -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_match "$output" 'ok\.example rc=6'
	expect [ "$(stat -c '%a %U %s' "$TABLES/mine.table" | cut -d' ' -f1,2)" = '600 root' ]
	expect [ "$(stat -c '%a %U' "$TABLES")" = '700 root' ]
	expect [ "$(ls -A "$TABLES")" = mine.table ]
	policy mine <<<'blok ok.example'
	job -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_match "$output" 'hello from github\.com'
	expect_match "$output" 'ok\.example rc=6'
	expect_syslog 'STALE POLICY container=[0-9a-f]+, .*mine\.policy:1:1: unknown statement'
	expect_event '.event == "stale_policy" and (.message | test("mine.policy:1:1: "))'
	rm "$POLICIES/mine.policy"
	job -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_match "$output" 'ok\.example rc=6'
	# no earlier table, or one that is not to be trusted
	policy fresh <<<'blok ok.example'
	job -a deployfence.policy=fresh -- echo ran
	expect_refused '.*policy fresh: .*fresh\.policy:1:1: '
	chmod 644 "$TABLES/mine.table"
	job -a deployfence.policy=mine -- echo ran
	expect_refused '.*policy mine: .*its last good table: '
	chmod 600 "$TABLES/mine.table"
	truncate -s -1 "$TABLES/mine.table"
	job -a deployfence.policy=mine -- echo ran
	expect_refused '.*policy mine: .*its last good table: '
}

@test "on-policy-error refuse: no last good table is used" {
	policy_sealed mine
	conf 'on-policy-error refuse'
	job -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_fenced
	policy mine <<<'blok ok.example'
	job -a deployfence.policy=mine -- echo ran
	expect_refused '.*mine\.policy:1:1: '
	conf 'on-policy-error last-good'
	job -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_fenced
}

# --- enforce-share

@test "enforce-share: image and name decide, an annotation overrides, and the event says the mode" {
	local image=io.kubernetes.cri.image-name=img name=io.kubernetes.cri.container-name
	printf 'enforce-share 50%%\nblock github.com\n' | policy half
	job -a deployfence.policy=half -a "$image" -a "$name=a" -- sh -c "$VISIT" # 15 of 100
	expect_fenced
	expect_event '.event == "dns_blocked" and .container.name == "a" and .mode == "enforce" and .blocked'
	job -a deployfence.policy=half -a "$image" -a "$name=b" -- sh -c "$VISIT" # 78 of 100
	expect_unfenced
	expect_event '.event == "dns_blocked" and .container.name == "b" and .mode == "audit" and .would_block'
	job -a deployfence=enforce -a deployfence.policy=half -a "$image" -a "$name=b" -- sh -c "$VISIT"
	expect_fenced
	# who is audited by the share weakens nothing
	conf 'annotations-may-weaken no' 'default-policy half'
	job -a deployfence=audit -a "$image" -a "$name=b" -- sh -c "$VISIT"
	expect_unfenced
	job -a deployfence=audit -a "$image" -a "$name=a" -- echo ran
	expect_refused 'annotation "deployfence=audit": this host demands mode enforce'
}

# --- base and shadow policies

@test "base-policy: always judged too, the stricter verdict wins and its rule is named" {
	printf 'block github.com\n' | policy base
	printf 'mode audit\nblock ok.example\n' | policy mine
	conf 'base-policy base'
	job -a deployfence.policy=mine -- sh -c "$VISIT; curl -sS http://alias.example; echo alias rc=\$?"
	expect_match "$output" 'github\.com rc=6'
	expect_match "$output" 'hello from ok\.example'
	expect_match "$output" 'alias rc=6'
	expect_event '.event == "start" and (.message | test("policy mine, base policy base"))'
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .blocked and .rule == "base.policy:1 block github.com"'
	expect_event '.event == "dns_blocked" and .domain == "alias.example." and .reason == "FromCNAME" and .blocked and .rule == "base.policy:1 block github.com"'
	expect_event '.event == "dns_blocked" and .domain == "ok.example." and .would_block and .rule == "mine.policy:2 block ok.example"'
	# an allow of the own policy opens nothing that the base policy keeps shut
	printf 'allow github.com\n' | policy mine
	job -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_fenced
	conf
	job -a deployfence.policy=mine -- sh -c "$VISIT"
	expect_unfenced
	conf 'base-policy missing'
	job -a deployfence.policy=mine -- echo ran
	expect_refused '.*missing\.policy in '
}

@test "shadow: judged beside the policy, never enforced, and told at first sight" {
	printf 'default deny\nallow github.com\nblock =okchain2.example\nallow =okchain1.example\nallow other.example\n' | policy next
	job -a deployfence=on -a deployfence.shadow=next -- sh -c "$VISIT
		curl -sS http://okchain1.example; curl -sS http://other.example"
	expect_fenced
	expect_match "$output" 'hello from okchain1\.example'
	expect_match "$output" 'hello from other\.example'
	expect_fence_gone
	expect_event '.event == "shadow" and .domain == "ok.example." and .would_block == true and .reason == "NotInAllowlist" and .rule == "next.policy default deny" and (.cmd | test("^curl ")) and (has("blocked") | not)'
	expect_event '.event == "shadow" and .domain == "github.com." and .would_block == false and .rule == "next.policy:2 allow github.com"'
	expect_event '.event == "shadow" and .domain == "okchain1.example." and .would_block and .reason == "FromCNAME" and .rule == "next.policy:3 block =okchain2.example"'
	refute has_event '.event == "shadow" and .domain == "other.example."'
	refute_match "$stderr" 'next\.policy'
	job -a deployfence.shadow=nowhere -- echo ran
	expect_refused '.*nowhere\.policy in '
}

# --- more files than one

@test "include and lists: what they name is refused by the rule that names the list" {
	mkdir -p "$POLICIES/lists"
	printf '! x\n||github.com^\n@@||ok.github.com^\n/regex/\n' >"$POLICIES/lists/ads.txt"
	printf '0.0.0.0 other.example\r\n' >"$POLICIES/lists/hosts.txt"
	printf 'hint "from the common part"\nblock-list lists/ads.txt adblock\n' | policy common
	printf 'include common.policy\nblock-list lists/hosts.txt hosts\n' | policy many
	job -a deployfence.policy=many -- sh -c "$VISIT; curl -sS -m 10 http://other.example; echo other rc=\$?"
	expect_fenced
	expect_match "$output" 'other rc=6'
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .rule == "common.policy:2 block-list lists/ads.txt adblock" and .hint == "from the common part"'
	expect_event '.event == "dns_blocked" and .domain == "other.example." and .rule == "many.policy:2 block-list lists/hosts.txt hosts" and (has("hint") | not)'
	status=0
	stderr=$(deployfence check -p many github.com a.github.com 2>&1 >/dev/null) || status=$?
	expect [ "$status" = 1 ]
	expect [ "$stderr" = "$POLICIES/lists/ads.txt:4:1: warning: 1 of 4 lines are not understood as adblock and left out: 4" ]
	expect deployfence check -p many ok.github.com
	# a policy is refused as a whole if one of its files is missing
	rm "$POLICIES/lists/hosts.txt"
	conf 'on-policy-error refuse'
	job -a deployfence.policy=many -- echo ran
	expect_refused '.*many\.policy:2:12: [^ ]*/lists/hosts\.txt: the file is missing'
}

tables_in_use() { # how many processes map which table
	local pid
	for pid in $(fence_processes | awk '{print $1}'); do
		grep -o -m 1 "$RUNDIR/@policies/[0-9a-f]*\.table" "/proc/$pid/maps"
	done | sort | uniq -c
}

@test "one table for all fences of a policy, compiled once; a change makes another" {
	local before after one two
	echo 'block github.com' | policy shared
	sleep 2.1 # a file that was just written is read again
	job_start -r crun -n none -a deployfence.policy=shared -- sleep 1000
	one=$JOB
	before=$(stat -c '%n %i %y' "$RUNDIR"/@policies/*)
	expect_match "$before" '/shared\.index '
	expect_match "$before" '/[0-9a-f]{32}\.table '
	job_start -r crun -n none -a deployfence.policy=shared -- sleep 1000
	two=$JOB
	after=$(stat -c '%n %i %y' "$RUNDIR"/@policies/*)
	expect [ "$before" = "$after" ]
	expect [ "$(tables_in_use | wc -l)" = 1 ]
	expect [ "$(tables_in_use | awk '{print ($1 >= 4)}')" = 1 ] # monitor and worker of each
	expect [ "$(stat -c '%a %U' "$RUNDIR/@policies" "$RUNDIR"/@policies/*.table | sort -u | paste -sd ' ')" = '400 root 700 root' ]
	# the twin: what was added counts at once, and for new fences only
	echo 'block ok.example' >>"$POLICIES/shared.policy"
	job -a deployfence.policy=shared -- sh -c "$VISIT"
	expect_match "$output" 'ok\.example rc=6'
	job_start -r crun -n none -a deployfence.policy=shared -- sleep 1000
	expect [ "$(tables_in_use | wc -l)" = 2 ]
	job_stop "$JOB"
	job_stop "$one"
	job_stop "$two"
}

@test "a table that was written to, or that others may write, is not used" {
	local table
	echo 'block github.com' | policy shared
	echo 'allow github.com' | policy other
	sleep 2.1
	job -a deployfence.policy=other -- true
	table=$(echo "$RUNDIR"/@policies/*.table)
	job -a deployfence.policy=shared -- sh -c "$VISIT"
	expect_fenced
	# as if another's content stood under its name
	for table in "$RUNDIR"/@policies/*.table; do
		chmod 600 "$table"
		printf 'x' | dd of="$table" bs=1 seek=40 conv=notrunc status=none
		chmod 400 "$table"
	done
	job -a deployfence.policy=shared -- sh -c "$VISIT"
	expect_fenced
	chmod 755 "$RUNDIR/@policies"
	job -a deployfence.policy=shared -- sh -c "$VISIT"
	expect_fenced
}
