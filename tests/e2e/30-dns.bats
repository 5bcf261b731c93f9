#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Which names are refused, and what the answer looks like.

load ../lib/ground
load common

# "NAME ADDRESS" or "NAME STATUS" for each, as dig sees it.
LOOK_UP='look_up() {
	for name in "$@"; do
		dig +tries=1 "$name" >/tmp/dig.out
		set -- $(sed -n "/^;; ANSWER/,/^$/ s/.*\tA\t//p" /tmp/dig.out)
		echo "$name $(sed -n "s/.*status: \([A-Z]*\),.*/\1/p" /tmp/dig.out) $*"
	done
}'

@test "names compare as labels: case, trailing dot, below; neighbours are not caught" {
	policy_sealed sealed
	job -a deployfence.policy=sealed -- sh -c "$LOOK_UP"'
		look_up github.com GitHub.COM gItHuB.cOm. github.com. www.github.com api.github.com a.b.c.github.com nothing.github.com
		look_up notgithub.com github.com.example github.community xn--gthub-n4a.com OK.example ok.example. nothing.example
		for name in GitHub.COM github.com. API.GitHub.com; do getent ahosts "$name"; echo "getent $name rc=$?"; done
		getent ahostsv4 NotGithub.com'
	expect [ "$status" = 0 ]
	expect [ "$(grep -ci '^[a-z.]*github\.com\.\? NXDOMAIN $' <<<"$output")" = 8 ]
	expect [ "$(grep -ci '^getent [a-z.]*github.com\.\? rc=2$' <<<"$output")" = 3 ]
	expect_match "$output" $'\nnotgithub\.com NOERROR 203\.0\.113\.20\n'
	expect_match "$output" $'\ngithub\.com\.example NOERROR 203\.0\.113\.21\n'
	expect_match "$output" $'\ngithub\.community NOERROR 203\.0\.113\.22\n'
	expect_match "$output" $'\nxn--gthub-n4a\.com NOERROR 203\.0\.113\.23\n'
	expect_match "$output" $'\nOK\.example NOERROR 203\.0\.113\.10\n'
	expect_match "$output" $'\nok\.example\. NOERROR 203\.0\.113\.10\n'
	expect_match "$output" $'\nnothing\.example NXDOMAIN \n'
	expect_match "$output" '203\.0\.113\.20 +STREAM'
	refute world_dns_log -i ' ([a-z.]*\.)?github\.com '
}

@test "the name alone, the names below, and the more specific rule" {
	policy names <<-'POLICY'
		block =ok.example
		block *.ghcr.io
		block github.com
		allow status.github.com
		block githubusercontent.com
		allow githubusercontent.com
	POLICY
	job -a deployfence.policy=names -- sh -c "$LOOK_UP"'
		look_up ok.example mail.ok.example ghcr.io pkg.ghcr.io api.github.com status.github.com raw.githubusercontent.com'
	# RFC 8020: NXDOMAIN would deny the names below, too
	expect [ "$output" = "$(printf '%s\n' 'ok.example NOERROR ' 'mail.ok.example NOERROR 203.0.113.25' \
		'ghcr.io NOERROR 140.82.112.33' 'pkg.ghcr.io NXDOMAIN ' 'api.github.com NXDOMAIN ' \
		'status.github.com NOERROR 140.82.112.18' 'raw.githubusercontent.com NXDOMAIN ')" ]
}

@test "an allow below a block: the blocked name has no data, the other one resolves" {
	policy hole <<-'POLICY'
		hint "ask #deploy-platform"
		block github.com
		allow status.github.com
	POLICY
	job -a deployfence.policy=hole -- sh -c "$VISIT; curl -sS http://status.github.com; dig github.com; dig api.github.com"
	expect_match "$output" 'github\.com rc=6'
	expect_match "$output" 'hello from status\.github\.com'
	expect_match "$output" 'ok\.example rc=0'
	# RFC 8020: NXDOMAIN would deny the allowed name, too
	expect_match "$output" $'status: NOERROR[^\n]*\n[^\n]*ANSWER: 0[^?]*EDE: 15 \(Blocked\): [^\n]*ask #deploy-platform[^?]*;github\.com\.'
	expect_match "$output" $'status: NXDOMAIN[^\n]*\n[^\n]*ANSWER: 0[^?]*EDE: 15 \(Blocked\)[^?]*;api\.github\.com\.'
}

@test "an alias of a blocked name is refused, other aliases are followed" {
	job -a deployfence=on -- sh -c "$LOOK_UP"'
		look_up alias.example chain1.example chain3.example n1.wild.example www.github.com
		look_up okchain1.example www.ok.example shared.example dangling.example
		for name in alias.example chain1.example okchain1.example; do getent ahosts "$name" >/dev/null; echo "getent $name rc=$?"; done
		dig alias.example'
	# the alias is there, but without an address: what is below it is not refused
	expect [ "$(grep -Ec '^(alias|chain1|chain3|n1\.wild)\.example NOERROR $' <<<"$output")" = 4 ]
	expect_match "$output" $'\nwww\.github\.com NXDOMAIN \n'
	expect_match "$output" $'\ndangling\.example NXDOMAIN '
	expect_match "$output" $'\nokchain1\.example NOERROR 203\.0\.113\.10\nwww\.ok\.example NOERROR 203\.0\.113\.10\n'
	# an address alone is no name: not refused in this policy
	expect_match "$output" $'\nshared\.example NOERROR 140\.82\.112\.3\n'
	expect_match "$output" $'\ngetent alias\.example rc=2\ngetent chain1\.example rc=2\ngetent okchain1\.example rc=0\n'
	expect_match "$output" 'EDE: 15 \(Blocked\): [^)]*block github\.com'
	expect_event '.event == "dns_blocked" and .reason == "FromCNAME" and .domain == "alias.example." and (.rule | test("block github.com$"))'
	expect_event '.event == "dns_blocked" and .reason == "FromCNAME" and .domain == "n1.wild.example."'
	expect_fence_gone
	expect_match "$(event_texts)" $'\nWARN DNS BLOCKED reason=FromCNAME blocked=true blockedAt=dns domain=alias\.example\. '
}

@test "an answer that was found through the search list is that of the bare name" {
	job -s corp.example -a deployfence=on -- sh -c '
		getent ahostsv4 github.com; echo "glibc rc=$?"
		mclient-musl github.com; echo "musl rc=$?"
		dig github.com.corp.example; getent ahosts github.com.corp.example.; echo "full rc=$?"
		getent ahostsv4 wiki; echo "wiki rc=$?"
		mclient-musl wiki; echo "musl wiki rc=$?"'
	expect_match "$output" 'glibc rc=2'
	expect_match "$output" 'musl rc=1'
	expect_match "$output" 'EDE: 15 \(Blocked\)'
	expect_match "$output" 'full rc=2'
	expect_match "$output" $'203\.0\.113\.30 [^\n]*\nwiki rc=0'
	expect_match "$output" $'203\.0\.113\.30\nmusl wiki rc=0'
	expect_event '.event == "dns_blocked" and .reason == "FromSearchList" and .domain == "github.com.corp.example."'
	refute world_dns_log ' github\.com\.corp\.example '
}

@test "an explicit allow of the full name wins over the search list; other domains are not concerned" {
	policy search <<-'POLICY'
		block github.com
		allow =github.com.corp.example
	POLICY
	job -s corp.example -a deployfence.policy=search -- sh -c '
		getent ahostsv4 github.com; echo "allowed rc=$?"
		getent ahostsv4 api.github.com; echo "other rc=$?"'
	expect_match "$output" $'203\.0\.113\.30 [^\n]*\nallowed rc=0'
	expect_match "$output" 'other rc=2'
	job -a deployfence=on -- getent ahostsv4 github.com.corp.example
	expect_match "$output" '203\.0\.113\.30'
}

@test "dig shows why: EDE 15 with rule and hint; no OPT for who sent none" {
	policy_sealed sealed 'hint "Deploys must not need github.com; ask #deploy-platform"'
	job -a deployfence.policy=sealed -- sh -c 'dig github.com; echo ===; dig +tcp github.com AAAA; echo ===; dig +noedns github.com; echo ===; dig +noedns ok.example'
	local part text='EDE: 15 \(Blocked\): \([^)]*sealed\.policy:5 block github\.com; Deploys must not need github\.com; ask #deploy-platform\)'
	mapfile -d '' -t part < <(awk 'BEGIN { RS = "===\n"; ORS = "\0" } 1' <<<"$output")
	expect [ "${#part[@]}" = 4 ]
	expect_match "${part[0]}" "status: NXDOMAIN.*OPT PSEUDOSECTION.*$text.*;github\.com\.[^;]*IN[^;]*A"
	expect_match "${part[1]}" "status: NXDOMAIN.*$text.*\(TCP\)"
	expect_match "${part[2]}" 'status: NXDOMAIN'
	refute_match "${part[2]}" 'OPT PSEUDOSECTION|EDE'
	expect_match "${part[3]}" 'status: NOERROR.*203\.0\.113\.10'
	refute_match "${part[3]}" 'OPT PSEUDOSECTION'
}

@test "refuse-dns refused" {
	policy_sealed refused 'refuse-dns refused'
	job -a deployfence.policy=refused -- sh -c "$VISIT; dig +tries=1 github.com; dig +tries=1 alias.example"
	expect_fenced
	expect [ "$(grep -c 'status: REFUSED' <<<"$output")" = 2 ]
	expect [ "$(grep -c 'EDE: 15 (Blocked)' <<<"$output")" = 2 ]
}

@test "refuse-dns sinkhole: the unspecified address, which cannot be connected to" {
	policy_sealed sinkhole 'refuse-dns sinkhole'
	job -a deployfence.policy=sinkhole -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- sh -c '
		busybox httpd -p 0.0.0.0:80 -h /etc
		busybox httpd -p "[::]:81" -h /etc
		dig +short github.com A; dig +short github.com AAAA; dig github.com MX
		curl -sS -m 10 http://github.com/resolv.conf; echo "github.com rc=$?"
		curl -sS -m 10 http://github.com:81/resolv.conf; echo "github.com:81 rc=$?"
		curl -sS -m 10 http://127.0.0.1/resolv.conf; echo "loopback rc=$?"
		curl -sS -m 10 http://ok.example; echo "ok.example rc=$?"
		dig +short ok.example'
	expect_match "$output" $'^0\.0\.0\.0\n::\n'
	expect_match "$output" $'status: NOERROR[^\n]*\n[^\n]*ANSWER: 0'
	# a server of the container's own on that port must not answer for the blocked name
	expect_match "$output" $'\ngithub\.com rc=7'
	expect_match "$output" $'\ngithub\.com:81 rc=7'
	expect_match "$output" $'nameserver 10\.89\.53\.1[^=]*\nloopback rc=0'
	expect_match "$output" $'\nok\.example rc=0\n203\.0\.113\.10$'
	refute world_dns_log ' github\.com '
}

# getaddrinfo connects UDP sockets to what it got, to put it in order (RFC 6724).
@test "refuse-dns sinkhole: a lookup alone is no attempt to connect" {
	policy_sealed sinkhole 'refuse-dns sinkhole'
	job -a deployfence.policy=sinkhole -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- sh -c '
		python3 /probe.py sort github.com 200; curl -sS -m 10 http://github.com; echo "rc=$?"'
	expect [ "$output" = 'rc=7' ]
	expect_fence_gone
	expect_event '.event == "connect_blocked" and .reason == "Sinkhole" and .port == 80' # the twin: curl's
	refute_event '.reason == "Sinkhole" and .port != 80'
	expect_event '.event == "stop" and (.message | test("; lost: 0 events, 0 dropped")) and (.message | test("; [0-9]+ UDP sockets for sorting addresses met the sinkhole"))'
}

@test "refuse-dns sinkhole: connected UDP sockets send with control messages, as without a fence" {
	local unfenced
	policy_sealed sinkhole 'refuse-dns sinkhole'
	job -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -n /run/netns/world -- python3 /probe.py ancillary 203.0.113.10 2001:db8:80::10
	unfenced=$output
	expect [ "$(grep -c ' sent [38].*, 1234\(5678\)\? came$' <<<"$unfenced")" = 19 ]
	for policy in sinkhole default; do
		job -a deployfence.policy=$policy -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -n /run/netns/world -- \
			python3 /probe.py ancillary 203.0.113.10 2001:db8:80::10
		expect [ "$output" = "$unfenced" ]
		refute_event '.event == "connect_blocked"'
	done
	# a message without an address is not what was refused: the address itself still is
	job -a deployfence.policy=sinkhole -- python3 -c '
import socket
for family, to in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::"), (socket.AF_INET6, "::ffff:0.0.0.0")):
    for how in ("connect", "sendto"):
        s = socket.socket(family, socket.SOCK_DGRAM)
        try:
            s.connect((to, 9)) if how == "connect" else s.sendto(b"x", (to, 9))
            print(to, how, "passed")
        except PermissionError:
            print(to, how, "EPERM")'
	expect [ "$(grep -c ' EPERM$' <<<"$output")" = 6 ]
}

@test "answers that do not belong to the question never reach the client" {
	local mode
	job_start -a deployfence=on -- sleep 1000
	for mode in wrong-id wrong-question no-question echo-query garbage short trailing cut; do
		world_dns_mode "* $mode name=ok.example"
		job_exec "$JOB" sh -c 'dig +time=1 +tries=1 +short ok.example; dig +short other.example; dig github.com'
		echo "$mode"
		refute_match "$output" '203\.0\.113\.10'
		expect_match "$output" '203\.0\.113\.11'
		expect_match "$output" 'NXDOMAIN'
	done
	for mode in spoof-first twice; do
		world_dns_mode "* $mode name=ok.example"
		job_exec "$JOB" dig +time=2 +tries=1 +short ok.example
		expect [ "$output" = 203.0.113.10 ]
	done
}

# Without NAT between fence and resolver, which would keep such an answer away by itself.
@test "an answer from another address than the one asked is not taken" {
	world_dns_mode '* wrong-source name=ok.example'
	job -r crun -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- python3 /probe.py unconnected 10.89.53.1 ok.example
	expect [ "$output" = '10.89.53.2 rcode=0 203.0.113.66' ] # it does arrive, and first
	job -r crun -a deployfence=on -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- sh -c '
		python3 /probe.py unconnected 10.89.53.1 ok.example; python3 /probe.py unconnected fd00:53::2 ok.example'
	expect [ "$output" = $'10.89.53.1 rcode=0 203.0.113.10\nfd00:53::2 rcode=0 203.0.113.10' ]
}

@test "queries upstream have random ids and ports" {
	job -a deployfence=on -- sh -c '
		for i in 1 2 3 4 5 6 7 8 9 10; do mclient -u4 10.89.53.1 n$i.corp.example; done'
	expect [ "$(grep -c '^address=203.0.113.30$' <<<"$output")" = 10 ]
	expect [ "$(world_dns_log ' n[0-9]+\.corp\.example ' | wc -l)" = 10 ]
	# mclient always has the same id; on the way to the resolver it must not show
	expect [ "$(world_dns_log ' n[0-9]+\.corp\.example ' | grep -o ' id=[0-9]*' | sort -u | wc -l)" -gt 8 ]
	expect [ "$(world_dns_log ' n[0-9]+\.corp\.example ' | awk '{ print $3 }' | sort -u | wc -l)" -gt 5 ]
}
