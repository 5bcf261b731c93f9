#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016 # job sets output, stderr and status; the containers' scripts are in single quotes
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
	expect_match "$stderr" "nothing\.policy:1:1: warning: 'default deny' without an allow rule blocks every name"
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
