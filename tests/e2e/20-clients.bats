#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031,SC2086 # job sets output, stderr and status; scripts for containers; lists
# Whatever client asks, over whatever kind of socket: the refusal comes at once, and it looks like the resolver's.

load ../lib/ground
load common

# try NAME COMMAND…, for the shell in the container: one line "NAME rc=STATUS OUTPUT".
TRY='try() { name=$1; shift; "$@" >/tmp/try.out 2>&1; echo "$name rc=$? $(tr "\n\t" "  " </tmp/try.out)"; }'

CLIENTS=$TRY'
for host in github.com ok.example; do
	try "curl $host" curl -sS -m 10 http://$host
	try "getent $host" getent ahosts $host
	try "hosts $host" getent hosts $host
	try "dig $host" dig +tries=1 $host
	try "dig-tcp $host" dig +tries=1 +tcp $host
	try "dig-noedns $host" dig +tries=1 +noedns $host
	try "nslookup $host" busybox nslookup $host
	try "glibc $host" mclient $host
	try "musl $host" mclient-musl $host
	try "python $host" python3 -c "import socket, sys; print(socket.gethostbyname(sys.argv[1]))" $host
	try "git $host" git ls-remote http://$host/repository
done'

# Each with its own words for "no such name"; "try again" would be what a time-out or SERVFAIL leads to.
expect_clients() {
	expect_match "$output" $'(^|\n)curl github\.com rc=6 '
	expect_match "$output" $'\ngetent github\.com rc=2 *\n'
	expect_match "$output" $'\nhosts github\.com rc=2 *\n'
	expect_match "$output" $'\ndig github\.com rc=0 [^\n]*status: NXDOMAIN[^\n]*ANSWER: 0'
	expect_match "$output" $'\ndig-tcp github\.com rc=0 [^\n]*status: NXDOMAIN[^\n]*\(TCP\)'
	expect_match "$output" $'\ndig-noedns github\.com rc=0 [^\n]*status: NXDOMAIN'
	expect_match "$output" $'\nnslookup github\.com rc=1 [^\n]*NXDOMAIN'
	expect_match "$output" $'\nglibc github\.com rc=1 getaddrinfo: Name or service not known'
	expect_match "$output" $'\nmusl github\.com rc=1 getaddrinfo: Name (does not resolve|has no usable address)'
	expect_match "$output" $'\npython github\.com rc=1 [^\n]*\[Errno -2\]'
	expect_match "$output" $'\ngit github\.com rc=128 [^\n]*Could not resolve host'

	expect_match "$output" $'\ncurl ok\.example rc=0 hello'
	expect_match "$output" $'\ngetent ok\.example rc=0 [^\n]*203\.0\.113\.10'
	expect_match "$output" $'\nhosts ok\.example rc=0 2001:db8:80::10'
	expect_match "$output" $'\ndig ok\.example rc=0 [^\n]*status: NOERROR[^\n]*203\.0\.113\.10'
	expect_match "$output" $'\ndig-tcp ok\.example rc=0 [^\n]*203\.0\.113\.10[^\n]*\(TCP\)'
	expect_match "$output" $'\ndig-noedns ok\.example rc=0 [^\n]*203\.0\.113\.10'
	expect_match "$output" $'\nnslookup ok\.example rc=0 [^\n]*203\.0\.113\.10'
	expect_match "$output" $'\nglibc ok\.example rc=0 [^\n]*203\.0\.113\.10'
	expect_match "$output" $'\nmusl ok\.example rc=0 [^\n]*203\.0\.113\.10'
	expect_match "$output" $'\npython ok\.example rc=0 203\.0\.113\.10'
	expect_match "$output" $'\ngit ok\.example rc=128 [^\n]*not valid: is this a git repository'
	refute_match "$output" '140\.82|2606:50c0'
}

clients() { # RESOLVER…
	local options=() resolver
	for resolver in "$@"; do options+=(-d "$resolver"); done
	policy_sealed sealed
	job "${options[@]}" -a deployfence.policy=sealed -- sh -c "$CLIENTS"
	expect [ "$status" = 0 ]
	expect_clients
	refute world_dns_log ' github\.com '
	refute world_web_log 'host=github\.com|140\.82\.'
}
@test "every client through two IPv4 resolvers" { clients $DF_DNS4; }
@test "every client through two IPv6 resolvers" { clients $DF_DNS6; }
@test "every client through an IPv4 and an IPv6 resolver" { clients 10.89.53.2 fd00:53::1; }

@test "without a fence the same clients reach the blocked name" {
	job -- sh -c "$CLIENTS"
	expect [ "$(grep -c '^[a-z-]* github.com rc=0 .*\(140.82.112.3\|2606:50c0:8000::153\)' <<<"$output")" = 10 ]
}

@test "every kind of socket sees the resolver that it asked" {
	local client how over resolver shown expected
	policy_sealed sealed
	job -a deployfence.policy=sealed -- sh -c "$TRY"'
		for client in mclient mclient-musl; do
			for how in u m c t; do
				for over in 4 m 6; do
					resolver=10.89.53.2
					[ $over != 6 ] || resolver=fd00:53::2
					for host in github.com ok.example; do
						try "$client $how$over $host" $client -$how$over $resolver $host
					done
				done
			done
		done'
	expect [ "$status" = 0 ]
	for client in mclient mclient-musl; do
		for how in u m c t; do
			for over in 4 m 6; do
				resolver=10.89.53.2
				[ $over != 6 ] || resolver=fd00:53::2
				# what getnameinfo() shows: glibc and musl differ for mapped addresses
				shown="(::ffff:)?$resolver#53"
				case $how in [um]) shown="from=$shown" ;; *) shown="peer=$shown" ;; esac
				expected="(^|"$'\n'")$client $how$over github\.com rc=0 $shown rcode=3 id=ok ("$'\n'"|$)"
				expect_match "$output" "$expected"
				expected="(^|"$'\n'")$client $how$over ok\.example rc=0 $shown rcode=0 id=ok address=203\.0\.113\.10 ("$'\n'"|$)"
				expect_match "$output" "$expected"
			done
		done
	done
	refute world_dns_log ' github\.com '
}

@test "any resolver is fenced, and it is the one asked that answers" {
	policy_sealed sealed
	job -a deployfence.policy=sealed -- sh -c "$TRY"'
		for resolver in 8.8.8.8 2001:db8::53 10.89.53.2 203.0.113.10; do
			try "$resolver github.com" dig +tries=1 @$resolver github.com
			try "$resolver github.com tcp" dig +tries=1 +tcp @$resolver github.com
			try "$resolver whoami.ok.example" dig +tries=1 +short @$resolver whoami.ok.example TXT
		done'
	expect [ "$(grep -c '^[^ ]* github.com.* rc=0 .*status: NXDOMAIN' <<<"$output")" = 8 ]
	expect_match "$output" $'8\.8\.8\.8 whoami[^\n]*resolver=8\.8\.8\.8'
	expect_match "$output" $'2001:db8::53 whoami[^\n]*resolver=2001:db8::53'
	expect_match "$output" $'10\.89\.53\.2 whoami[^\n]*resolver=10\.89\.53\.2'
	refute world_dns_log ' github\.com '
}

@test "both of two nameservers are asked by a client that asks both" {
	job -a deployfence=on -- sh -c 'mclient-musl github.com; echo "blocked rc=$?"; mclient-musl v4only.example; echo "allowed rc=$?"'
	expect_match "$output" 'blocked rc=1'
	expect_match "$output" '203\.0\.113\.13'$'\n''allowed rc=0'
	world_dns_log ' UDP .* 10\.89\.53\.1 v4only\.example A '
	world_dns_log ' UDP .* 10\.89\.53\.2 v4only\.example A '
}

@test "a dead or failing nameserver: the client goes on to the next one" {
	local mode
	for mode in dead 'rcode 2'; do
		world_dns_mode "10.89.53.1 $mode"
		world_mark
		job -a deployfence=on -o --dns-option=timeout:1 -o --dns-option=attempts:1 -- sh -c "$TRY"'
			try "getent github.com" getent ahostsv4 github.com
			try "getent ok.example" getent ahostsv4 ok.example'
		expect_match "$output" 'getent github\.com rc=2 '
		expect_match "$output" 'getent ok\.example rc=0 203\.0\.113\.10'
		world_dns_log ' 10\.89\.53\.1 ok\.example A '
		world_dns_log ' 10\.89\.53\.2 ok\.example A '
	done
}

@test "one socket, resolvers in turn; many queries on one TCP connection" {
	job -a deployfence=on -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- sh -c '
		python3 /probe.py alternate ok.example 10.89.53.1 10.89.53.2 8.8.4.4
		python3 /probe.py alternate github.com 10.89.53.1 10.89.53.2
		python3 /probe.py pipeline 10.89.53.1 ok.example github.com other.example n1.corp.example api.github.com dual.example'
	expect [ "$status" = 0 ]
	for resolver in 10.89.53.1 10.89.53.2 8.8.4.4; do
		expect [ "$(grep -c "^$resolver from=$resolver#53 rcode=0 203.0.113.10$" <<<"$output")" = 2 ]
	done
	for resolver in 10.89.53.1 10.89.53.2; do
		expect [ "$(grep -c "^$resolver from=$resolver#53 rcode=3$" <<<"$output")" = 2 ]
	done
	expect_match "$output" $'\nok\.example rcode=0 203\.0\.113\.10\ngithub\.com rcode=3\nother\.example rcode=0 203\.0\.113\.11\n'
	expect_match "$output" $'\nn1\.corp\.example rcode=0 203\.0\.113\.30\napi\.github\.com rcode=3\ndual\.example rcode=0 203\.0\.113\.12$'
}

@test "answers of every type and size pass, truncation and TCP included" {
	job -a deployfence=on -- sh -c "$TRY"'
		for type in MX TXT CAA SOA NS SRV; do
			try "$type ok.example" dig +tries=1 ok.example $type
			try "$type github.com" dig +tries=1 github.com $type
		done
		try srv dig +short _https._tcp.ok.example SRV
		try ptr dig +short -x 203.0.113.10
		try cut dig +noedns +ignore big.example TXT
		try again dig +noedns big.example TXT
		try cut-edns dig +bufsize=1232 +ignore bigger.example TXT
		try large dig huge.example TXT
		try many dig +short many.example'
	expect_match "$output" $'\nMX github\.com rc=0 [^\n]*NXDOMAIN'
	expect_match "$output" $'(^|\n)MX ok\.example rc=0 [^\n]*mail\.ok\.example'
	expect_match "$output" $'\nTXT ok\.example rc=0 [^\n]*hello'
	expect_match "$output" $'\nCAA ok\.example rc=0 [^\n]*ca\.example'
	expect [ "$(grep -c '^[A-Z]* github.com rc=0 .*status: NXDOMAIN' <<<"$output")" = 6 ]
	expect_match "$output" $'\nsrv rc=0 1 2 443 ok\.example'
	expect_match "$output" $'\nptr rc=0 ok\.example'
	expect_match "$output" $'\ncut rc=0 [^\n]*flags: qr [a-z ]*tc'
	expect_match "$output" $'\nagain rc=0 [^\n]*\(TCP\)'
	expect_match "$output" $'\ncut-edns rc=0 [^\n]*flags: qr [a-z ]*tc'
	expect_match "$output" $'\nlarge rc=0 [^\n]*MSG SIZE +rcvd: 40[0-9][0-9]'
	expect_match "$output" $'\nmany rc=0 (198\.51\.100\.[0-9]+ ){20}'
}

@test "the host's network: fenced inside, untouched outside" {
	job_start -n host -a deployfence=on -- sleep 1000
	expect [ "$status" = 0 ]
	job_exec "$JOB" sh -c "$VISIT; dig +short -6 @fd00:53::1 github.com; mclient -t6 fd00:53::1 ok.example"
	expect_fenced
	expect_match "$output" 'peer=fd00:53::1#53'
	expect_match "$output" 'address=203\.0\.113\.10'
	expect [ "$(dig +short @10.89.53.1 github.com)" = 140.82.112.3 ]
	expect [ "$(dig +short @fd00:53::1 github.com)" = 140.82.112.3 ]
}

@test "no network at all: blocked names are refused, others cannot be asked for" {
	job -n none -a deployfence=on -- sh -c "$TRY"'
		try github dig +tries=1 @10.89.53.1 github.com
		try ok dig +tries=1 @10.89.53.1 ok.example'
	expect [ "$status" = 0 ]
	expect_match "$output" $'github rc=0 [^\n]*NXDOMAIN'
	expect_match "$output" $'\nok rc=0 [^\n]*SERVFAIL'
}

ipv6_disabled() { # RUNTIME
	local where
	policy_sealed sealed
	for where in all lo; do
		job -r "$1" -a deployfence.policy=sealed -o "--sysctl=net.ipv6.conf.$where.disable_ipv6=1" -- sh -c "$VISIT; $TRY"'
			mclient() { timeout 8 /bin/mclient "$@"; }
			for how in u4 t4 um; do try "$how" mclient -$how 10.89.53.1 ok.example; done
			for how in u6 c6 t6; do
				try "$how github.com" mclient -$how fd00:53::1 github.com
				try "$how ok.example" mclient -$how fd00:53::1 ok.example
			done'
		expect [ "$status" = 0 ]
		expect_fenced
		expect [ "$(grep -c '^[utm46]* rc=0 .*address=203.0.113.10' <<<"$output")" = 3 ]
		# an error at once, no time-out, and no answer past the fence; runc disables IPv6 only after the hook
		expect [ "$(grep -Ec '^[uct]6 [a-z.]* rc=1 [a-z]*: (E[A-Z]*|error) \(' <<<"$output")" = 6 ]
	done
	refute world_dns_log ' github\.com '
	job -r "$1" -a deployfence.policy=sealed -- mclient -u6 fd00:53::1 ok.example
	expect_match "$output" 'address=203\.0\.113\.10'
}
@test "podman with crun: IPv6 disabled: IPv4 is fenced, IPv6 resolvers are refused" { ipv6_disabled podman+crun; }
@test "podman with runc: IPv6 disabled: IPv4 is fenced, IPv6 resolvers are refused" { ipv6_disabled podman+runc; }

@test "two hundred lookups at once without a wrong answer" {
	policy_sealed sealed
	job -a deployfence.policy=sealed -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- \
		python3 /probe.py crowd 200 10.89.53.1 10.89.53.2
	expect [ "$status" = 0 ]
	expect [ "$(sort <<<"$output" | uniq -c | tr -s ' ')" = " 200 right" ]
	refute world_dns_log ' (api\.)?github\.com '
	expect_fence_gone
	event_lines | jq -se 'all(.[]; type == "object")'
}

@test "messages that are no queries are answered or dropped, and the fence goes on" {
	policy_sealed sealed
	job -a deployfence.policy=sealed -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- sh -c "
		python3 /probe.py malformed 10.89.53.1; echo ===; python3 /probe.py malformed-tcp 10.89.53.1; $VISIT"
	expect [ "$status" = 0 ]
	expect_match "$output" $'\ntwo questions: (rcode=1|silence)'
	expect_match "$output" $'\nno question: (rcode=1|silence)'
	expect_match "$output" $'\nanswer: silence'
	expect_match "$output" $'\nopcode 2: rcode=4'
	expect_match "$output" $'\ngood: rcode=0 203\.0\.113\.10'
	refute_match "$output" $'\n(cut|trailing|pointer|long label|garbage|oversized): rcode=0'
	expect_match "$output" $'\noversized: (rcode=[1-9]|silence)'
	expect [ "$(sed -n '/===/,$ p' <<<"$output" | grep -Ec '^(length [0-9]+|half): (rcode=[1-9]|silence|ECONNRESET|strange 4d438101)')" = 5 ]
	expect_match "$output" $'\noctets: rcode=0 203\.0\.113\.10'
	expect_fenced
	expect_fence_gone
	refute_event '.event == "worker_restarted"'
}
