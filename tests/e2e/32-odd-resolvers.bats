#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Resolvers with habits, and clients that have to live with them: what works without a fence works with one, and in audit
# not an octet is other. tests/lib/servers/odd.py has the habits, tests/e2e/odd.py the clients.

load ../lib/ground
load common

setup_file() {
	export DF_ZONE=$DF_HOST/odd.zone
	printf '%s\n' '*.odd.example A 203.0.113.10' 'edge.elsewhere.example A 203.0.113.12' \
		'corp.test A 203.0.113.10' >"$DF_ZONE"
	world_up && image_import && image_build || return
	product_install
	more_up
}

teardown_file() {
	world_down
}

setup() {
	begin_test
	policy blocks <<<$'pin-blocked no\nblock github.com'
	policy allows <<-'POLICY'
		default deny
		on-leak all warn
		allow odd.example
		allow d.other.example
		allow ok.example
	POLICY
}

ODD=(-v "$BATS_TEST_DIRNAME/odd.py:/odd.py:ro")

enforced() { # POLICY [JOB-OPTION]… -- COMMAND…
	local policy=$1
	shift
	job -a deployfence=enforce -a "deployfence.policy=$policy" "${ODD[@]}" -v "$MORE:/more:ro" "$@"
}

audited() { # POLICY [JOB-OPTION]… -- COMMAND…
	local policy=$1
	shift
	job -a deployfence=audit -a "deployfence.policy=$policy" "${ODD[@]}" -v "$MORE:/more:ro" "$@"
}

unfenced() { # [JOB-OPTION]… -- COMMAND…
	job -a deployfence=off "${ODD[@]}" -v "$MORE:/more:ro" "$@"
}

# Without a fence, and with two policies in audit and two enforced: each time output must match.
everywhere() { # REGEX [JOB-OPTION]… -- COMMAND…
	local regex=$1 policy
	shift
	unfenced "$@"
	expect_match "unfenced: $output" "$regex"
	for policy in blocks allows; do
		audited "$policy" "$@"
		expect_match "audit $policy: $output" "$regex"
		enforced "$policy" "$@"
		expect_match "enforced $policy: $output" "$regex"
	done
}

# --- audit

@test "audit is inert: of every habit, by every way, octets, error and pace are those without a fence" {
	local habits policy
	habits=$(cd "$DF_LIB/servers" && /usr/bin/python3 -c 'import odd; print(*odd.HABITS)')
	# shellcheck disable=SC2086 # words
	unfenced -- env PYTHONHASHSEED=1 python3 /odd.py table $habits
	sort <<<"$output" >"$BATS_TEST_TMPDIR/unfenced"
	expect [ "$(grep -c ' \(udp\|tcp\) fast [0-9a-f]' "$BATS_TEST_TMPDIR/unfenced")" -gt 280 ]
	expect [ "$(grep -c ' waits .*timeout' "$BATS_TEST_TMPDIR/unfenced")" -gt 20 ]
	expect [ "$(grep -c 'tcp fast closed' "$BATS_TEST_TMPDIR/unfenced")" = 8 ]
	expect [ "$(grep -c 'tcp fast refused' "$BATS_TEST_TMPDIR/unfenced")" = 4 ]
	for policy in blocks allows; do
		# shellcheck disable=SC2086 # words
		audited "$policy" -- env PYTHONHASHSEED=1 python3 /odd.py table $habits
		expect [ -z "$(grep BLOCKED <<<"$stderr")" ]
		sort <<<"$output" >"$BATS_TEST_TMPDIR/$policy"
		output="$policy differs"
		diff "$BATS_TEST_TMPDIR/unfenced" "$BATS_TEST_TMPDIR/$policy" | cut -c 1-300
		expect [ "${PIPESTATUS[0]}" = 0 ]
	done
	expect_fence_gone
	# all of it was seen nevertheless
	expect_event '.event == "query" and .domain == "same-alias.odd.example." and .cname_chain == ["ok.odd.example."]'
	expect_event '.event == "unobserved" and .reason == "UnreadableAnswer"'
	expect_event '.event == "unobserved" and .reason == "UnreadableQuery"'
	expect_event '.event == "dns_blocked" and .would_block and .domain == "version.bind."'
	refute_event '.blocked == true'
}

# --- answers

form() { # HABIT TRANSPORT: flags and counts of what the client of the last job had
	/usr/bin/python3 -c '
import sys
for line in sys.stdin:
    words = line.split()
    if words[:2] == sys.argv[1:]:
        try:
            data = bytes.fromhex(("0000" if words[1] == "udp" else "") + words[3])
            print(words[2], data[2:4].hex(), *[int.from_bytes(data[i:i + 2], "big") for i in (4, 6, 8, 10)])
        except ValueError:
            print(*words[2:])' "$1" "$2" <<<"$output"
}

@test "cut answers: TC reaches the client with the records that are whole, and TCP has the rest" {
	local policy habit
	for policy in blocks allows; do
		enforced "$policy" -- python3 /odd.py ask tc-in-rdata tc-in-owner tc-in-question tc-no-opt tc-counts tc-empty
		expect [ "$(form tc-in-rdata udp)" = 'fast 8380 1 11 0 0' ]
		expect [ "$(form tc-in-owner udp)" = 'fast 8380 1 3 0 0' ]
		expect [ "$(form tc-in-question udp)" = 'fast 8380 1 0 0 0' ]
		expect [ "$(form tc-no-opt udp)" = 'fast 8380 1 3 0 0' ]
		expect [ "$(form tc-counts udp)" = 'fast 8380 1 3 0 0' ]
		expect [ "$(form tc-empty udp)" = 'fast 8380 1 0 0 1' ]
		for habit in tc-in-rdata tc-in-owner tc-in-question; do
			expect [ "$(form $habit tcp)" = 'fast 8180 1 12 0 1' ]
		done
	done
}

@test "cut answers: glibc goes on by TCP, a client without TCP has the addresses that fit, and both can connect" {
	everywhere $'rc=0.*203\\.0\\.113\\.1\n.*rc=0.*203\\.0\\.113\\.1\n.*connect rc=0' -- sh -c '
		getent ahostsv4 tc-in-rdata.odd.example >/tmp/out; echo "rc=$? $(grep -o "203.0.113.*STREAM" /tmp/out | sort | sed "s/ *STREAM//;q")"
		mclient-musl tc-in-owner.odd.example >/tmp/out; echo "rc=$? $(sort /tmp/out | sed -n "/^address/{s/.*=//;p;q}; /^203/{p;q}")"
		curl -sS -m 5 -o /dev/null http://tc-in-owner.odd.example; echo "connect rc=$?"'
}

@test "more than the client asked for, and no TC: all of it, as without a fence" {
	local policy
	for policy in blocks allows; do
		enforced "$policy" -- python3 /odd.py ask big
		expect [ "$(form big udp)" = 'fast 8180 1 45 0 1' ]
	done
	everywhere 'rc=0' -- sh -c 'mclient-musl big.odd.example >/dev/null; echo "rc=$?"'
}

@test "the same alias twice is one, forks are followed, loops are errors" {
	local policy
	for policy in blocks allows; do
		enforced "$policy" -- python3 /odd.py ask same-alias same-dname fork loop
		expect [ "$(form same-alias udp)" = 'fast 8180 1 3 0 1' ]
		expect [ "$(form same-dname tcp)" = 'fast 8180 1 5 0 1' ]
		expect [ "$(form fork udp)" = 'fast 8180 1 4 0 1' ]
		expect [ "$(form loop udp)" = 'fast 8182 1 0 0 1' ]
	done
	expect_event '.event == "unreadable" and .reason == "UnreadableAnswer" and (.message | test("loop.odd.example"))'
	everywhere $'same-alias rc=0\nsame-dname rc=0\nfork rc=0' -- sh -c '
		for name in same-alias same-dname fork; do
			curl -sS -m 5 -o /dev/null http://$name.odd.example; echo "$name rc=$?"
		done'
}

@test "strays: they pass where everything does, are left out under default deny, and teach nothing; blocked ones are refused" {
	enforced blocks -- python3 /odd.py ask stray stray-too stray-blocked
	expect [ "$(form stray udp)" = 'fast 8180 1 1 0 1' ]
	expect [ "$(form stray-too udp)" = 'fast 8180 1 3 0 1' ]
	expect [ "$(form stray-blocked udp)" = 'fast 8180 1 0 0 1' ]
	expect_event '.event == "dns_blocked" and .reason == "FromCNAME" and .domain == "stray-blocked.odd.example."
		and (.cname_chain | index("github.com."))'
	enforced allows -- sh -c 'python3 /odd.py ask stray stray-too
		for address in 10 12; do curl -sS -m 5 -o /dev/null http://203.0.113.$address; echo "$address rc=$?"; done'
	expect [ "$(form stray udp)" = 'fast 8180 1 0 0 1' ]
	expect [ "$(form stray-too udp)" = 'fast 8180 1 1 0 1' ]
	expect_match "$output" $'\n10 rc=0\n12 rc=7'
	# musl takes whatever address there is
	everywhere $'musl rc=0' -- sh -c 'mclient-musl stray-too.odd.example; echo "musl rc=$?"'
}

@test "referrals, signatures, denials and their flags stay" {
	local policy
	for policy in blocks allows; do
		enforced "$policy" -- python3 /odd.py ask referral flag-none flag-aa flag-ad proof denial
		expect [ "$(form referral udp)" = 'fast 8100 1 0 2 3' ]
		expect [ "$(form flag-none udp)" = 'fast 8100 1 1 0 1' ]
		expect [ "$(form flag-aa tcp)" = 'fast 8500 1 1 0 1' ]
		expect [ "$(form flag-ad udp)" = 'fast 81a0 1 1 0 1' ]
		enforced "$policy" -- sh -c '
			dig +dnssec +noall +comments +answer +authority +additional proof.odd.example; dig +dnssec denial.odd.example'
		expect_match "$output" $'ANSWER: 2, AUTHORITY: 2, ADDITIONAL: 2.*RRSIG\tA 13.*NS\tns\\.odd\\.example.*ns\\.odd\\.example.*203'
		expect_match "$output" $'NXDOMAIN.*AUTHORITY: 4.*NSEC\tz\\.odd'
	done
}

@test "errors without a question: the client has its own with the code, at once" {
	local policy habit code
	for policy in blocks allows; do
		enforced "$policy" -- python3 /odd.py ask bare-formerr bare-formerr-opt bare-servfail bare-notimp bare-refused bare-badvers
		for habit in formerr:8181 servfail:8182 notimp:8184 refused:8185; do
			code=${habit#*:} habit=${habit%:*}
			expect [ "$(form "bare-$habit" udp)" = "fast $code 1 0 0 0" ]
			expect [ "$(form "bare-$habit" tcp)" = "fast $code 1 0 0 0" ]
		done
		expect [ "$(form bare-formerr-opt udp)" = 'fast 8181 1 0 0 1' ]
		expect [ "$(form bare-badvers udp)" = 'fast 8180 1 0 0 1' ] # its upper bits are in the OPT
	done
	enforced blocks -- dig +noedns +tries=1 bare-badvers.odd.example
	expect_match "$output" 'status: SERVFAIL'
}

# --- cookies

@test "a client that remembers cookies takes refusals, failures and answers, by UDP and TCP, before and after a restart" {
	local policy worker
	unfenced -- python3 /odd.py cookies 10.89.53.1 plain.odd.example ok.example plain.odd.example/tcp
	expect [ "$(grep -c 'rcode=0' <<<"$output")" = 2 ] # of a resolver that gives none to all: what the client is for
	expect [ "$(grep -c 'discarded: no cookie' <<<"$output")" = 1 ]
	for policy in blocks allows; do
		job_start "${ODD[@]}" -a "deployfence.policy=$policy" -- sleep 1000
		worker=$(fence_pid df-worker)
		for _ in 1 2; do
			job_exec "$JOB" python3 /odd.py cookies 10.89.53.1 plain.odd.example github.com plain.odd.example/tcp \
				github.com/tcp loop.odd.example bare-servfail.odd.example ok.example
			expect [ "$output" = $'plain.odd.example rcode=0 \ngithub.com rcode=3 \nplain.odd.example rcode=0 \ngithub.com rcode=3 \nloop.odd.example rcode=2 \nbare-servfail.odd.example rcode=2 \nok.example rcode=0 ' ]
			[ "$(fence_pid df-worker)" = "$worker" ] || continue
			kill -KILL "$worker"
			eventually is_other_pid df-worker "$worker"
		done
		job_stop "$JOB"
	done
}

# As after a bypass: the cookie is the resolver's, the refusal ours.
@test "a server's cookie that a client has from elsewhere comes back with every answer of ours" {
	enforced blocks -- sh -c '
		for name in github.com plain.odd.example loop.odd.example stray-blocked.odd.example; do
			dig +tries=1 +cookie=00112233445566778899aabbccddeeff +qr $name | sed -n "s/^; COOKIE: /$name /p"
		done'
	expect [ "$(grep -c ' 00112233445566778899aabbccddeeff' <<<"$output")" = 8 ]
	refute_match "$output" 'bad'
}

# --- other messages than queries

@test "version.bind, NOTIFY, updates: they pass, and blocked zones and names are refused in the opcode's own words" {
	enforced blocks -- python3 /odd.py other chaos notify update status signed edns-1 any-class
	expect [ "$(form chaos udp | cut -d ' ' -f 1-3)" = 'fast 8583 1' ] # what the resolver says
	expect [ "$(form notify udp | cut -d ' ' -f 2-3)" = 'a484 1' ]
	expect [ "$(form update tcp | cut -d ' ' -f 2-3)" = 'ac84 1' ]
	expect [ "$(form signed udp)" = 'fast 8180 1 1 0 0' ]
	expect [ "$(form any-class tcp)" = 'fast 8180 1 1 0 0' ]
	world_dns_log ' UDP .* version\.bind TXT '
	enforced allows -- python3 /odd.py other chaos notify update status signed
	expect [ "$(form chaos udp)" = 'fast 8185 1 0 0 0' ]
	expect [ "$(form notify tcp)" = 'fast a005 1 0 0 0' ]
	expect [ "$(form update udp)" = 'fast a805 1 0 0 0' ]
	expect [ "$(form status udp | cut -d ' ' -f 2)" = 9005 ]
	expect [ "$(form signed udp)" = 'fast 8180 1 1 0 0' ]
	expect_event '.event == "dns_blocked" and .reason == "NotInAllowlist" and .domain == "zone.example." and .blocked'
	expect_event '.event == "dns_blocked" and .domain == "version.bind."'
}

@test "what cannot be read is an error at once with its opcode, and an event" {
	enforced blocks -- python3 /odd.py other two-questions trailing stateful
	expect [ "$(form two-questions udp)" = 'fast 8101 0 0 0 0' ]
	expect [ "$(form trailing tcp)" = 'fast 8101 0 0 0 0' ]
	expect [ "$(form stateful udp)" = 'fast b004 0 0 0 0' ]
	expect_event '.event == "unreadable" and .reason == "UnreadableQuery" and .ip == "10.89.53.1" and .port == 53 and .count == 1'
	refute world_dns_log 'malformed'
}

# The answer to a signed question passes unchanged: what is in it is judged all the same.
@test "a signature is no way around: aliases, bindings and the name itself are judged" {
	enforced blocks -- python3 -c '
import sys
sys.argv = ["odd.py", "none"]
exec(open("/odd.py").read())
for label, qname, qtype in ("name", "github.com", A), ("alias", "alias.example", A), ("binding", "gitsvc.example", HTTPS), \
        ("hints", "svcb.example", HTTPS), ("plain", "ok.example", A):
    show(label, udp, query(qname, qtype, SIGNATURE))
    show(label + "-any", udp, query(qname, qtype, qclass=255))'
	expect [ "$(form name udp)" = 'fast 8183 1 0 0 0' ]
	expect [ "$(form alias udp)" = 'fast 8180 1 0 0 0' ]
	expect [ "$(form binding udp | cut -d ' ' -f 4)" = 0 ]
	expect [ "$(form hints udp)" = 'fast 8182 1 0 0 0' ]
	expect [ "$(form plain udp | cut -d ' ' -f 1-4)" = 'fast 8580 1 1' ]
	expect [ "$(form name-any udp)" = 'fast 8185 1 0 0 0' ]
	expect [ "$(form alias-any udp)" = 'fast 8185 1 0 0 0' ]
	expect [ "$(form hints-any udp)" = 'fast 8182 1 0 0 0' ]
	expect [ "$(form plain-any udp | cut -d ' ' -f 1-4)" = 'fast 8580 1 1' ]
	refute world_dns_log ' github\.com '
}

# --- TCP

@test "150 lookups with a connection each: all have their answer" {
	world_dns_mode '* delay 500'
	everywhere '150 of 150' -- python3 /odd.py many 150 corp.odd.example
	refute_event '.event == "unreadable"'
}

@test "connections that idle do not keep others out" {
	enforced blocks -- python3 -c '
import sys, time
sys.argv = ["odd.py", "none"]
exec(open("/odd.py").read())
idle = []
for _ in range(140):
    idle.append(socket.create_connection((SERVER, 53), 8))
print(*tcp(query("plain.odd.example"), patience=8))'
	expect_match "$output" '^47118180000100010'
}

@test "a resolver that closes after one answer: the rest is asked again, the client keeps its connection" {
	enforced blocks -- python3 /odd.py pipeline {a,b,c,d,e,f}.once.odd.example plain.odd.example
	expect [ "$(grep -c 'once.odd.example rcode=0 answers=1' <<<"$output")" = 6 ]
	expect_match "$output" 'plain\.odd\.example rcode=0 answers=1'
	# its end does not overtake an answer that waits for who asked: each of these is a process of its own
	audited blocks -- sh -c 'for i in $(seq 20); do dig +tcp +short +tries=1 +time=3 $i.once.odd.example; done'
	expect [ "$(grep -c '^203\.0\.113\.10$' <<<"$output")" = 20 ]
	# twins: one that answers nothing, and ends inside an answer
	enforced blocks -- python3 /odd.py pipeline a.hang-up.odd.example b.hang-up.odd.example
	expect [ "$output" = refused ]
	enforced blocks -- python3 /odd.py ask half reset
	expect [ "$(form half tcp)" = 'fast refused' ]
	expect [ "$(form reset tcp)" = 'fast refused' ]
}

tcp_rule() { # TARGET…: what the world does with TCP to the first resolver
	nsenter --net=/run/netns/world iptables -I INPUT -d 10.89.53.1 -p tcp --dport 53 -j "$@"
}

@test "a resolver without TCP: the client's connection is reset, and it asks its second one" {
	tcp_rule REJECT --reject-with tcp-reset
	everywhere $'203\\.0\\.113\\.10.*rc=0' -e RES_OPTIONS=use-vc -- sh -c 'timeout 4 getent ahostsv4 ok.example; echo "rc=$?"'
	enforced blocks -- python3 /odd.py ask plain
	expect [ "$(form plain tcp)" = 'fast refused' ]
	expect [ "$(form plain udp)" = 'fast 8180 1 1 0 1' ]
	nsenter --net=/run/netns/world iptables -F INPUT
	# one that is not there at all: not before its time, but then likewise
	tcp_rule DROP
	enforced blocks -- python3 -c '
import sys
sys.argv = ["odd.py", "none"]
exec(open("/odd.py").read())
show("plain", tcp, query("plain.odd.example"), patience=20)'
	expect [ "$(form plain tcp)" = 'waits refused' ]
	nsenter --net=/run/netns/world iptables -F INPUT
}

# --- programs

# Asks servers step by step, from the root: only referrals lead it on.
UNBOUND='
printf "%s\n" ". 60 NS root.refer.example." "root.refer.example. 60 A 10.89.53.1" >/tmp/hints
printf "%s\n" server: "directory: /tmp" "username: \"\"" "chroot: \"\"" "pidfile: \"\"" "do-daemonize: no" "use-syslog: no" \
	"logfile: /tmp/log" "verbosity: 2" "interface: 127.0.0.1@5353" "module-config: iterator" "root-hints: /tmp/hints" \
	"do-ip6: no" "access-control: 127.0.0.0/8 allow" "num-threads: 1" "outgoing-range: 60" "so-rcvbuf: 0" >/tmp/unbound.conf
LD_LIBRARY_PATH=/more/lib /more/unbound -c /tmp/unbound.conf >/tmp/out 2>&1 & unbound=$!
for i in 1 2 3 4 5 6 7 8 9 10; do dig +time=1 +tries=1 -p 5353 @127.0.0.1 localhost >/dev/null && break; sleep 0.2; done
for name in ok.example okchain1.example github.com; do
	dig +tries=1 +time=6 -p 5353 @127.0.0.1 $name >/tmp/dig
	echo $name $(sed -n "s/.*status: \([A-Z]*\),.*/\1/p" /tmp/dig) $(dig +short +tries=1 +time=6 -p 5353 @127.0.0.1 $name | tail -n 1)
done
curl -sS -m 5 -o /dev/null --resolve x:80:127.0.0.1 http://203.0.113.10; echo "connect rc=$?"
kill $unbound; cat /tmp/out'

@test "unbound as a recursive resolver in the container: it follows referrals as without a fence" {
	more unbound /usr/sbin/unbound
	world_dns_mode '10.89.53.1 refer'
	unfenced -- sh -c "$UNBOUND"
	expect_match "$output" $'ok\.example NOERROR 203\.0\.113\.10\nokchain1\.example NOERROR 203\.0\.113\.10\n'
	expect_match "$output" $'\ngithub\.com NOERROR 140\.82'
	local expected=$output
	audited blocks -- sh -c "$UNBOUND"
	expect [ "$output" = "$expected" ]
	enforced blocks -- sh -c "$UNBOUND"
	expect_match "$output" $'ok\.example NOERROR 203\.0\.113\.10\nokchain1\.example NOERROR 203\.0\.113\.10\n'
	expect_match "$output" $'\ngithub\.com (SERVFAIL|NXDOMAIN)[^0-9]*\n'
	expect_match "$output" 'connect rc=0'
	world_dns_log ' 10\.89\.53\.1 .* refer' # it asked the root, and was referred
	world_dns_log ' 10\.89\.53\.2 ok\.example A '
}

named_up() {
	[ -x /usr/sbin/named ] || skip "package bind9 is not installed"
	local home=$DF_HOST/named
	mkdir -p "$home"
	cat >"$home/zone" <<-'ZONE'
		$TTL 60
		@ SOA ns root 1 3600 600 86400 5
		@ NS ns
		ns A 10.89.53.254
	ZONE
	cp "$home/zone" "$home/git"
	cat >"$home/named.conf" <<-CONF
		key job { algorithm hmac-sha256; secret "c2VjcmV0IG9mIGEgdGVzdA=="; };
		options { directory "$home"; listen-on port 53 { 10.89.53.254; }; listen-on-v6 { none; }; recursion no;
			pid-file none; session-keyfile none; dnssec-validation no; version "bind of a test"; allow-transfer { any; }; };
		controls { };
		zone corp.test { type primary; file "zone"; allow-update { key job; 10.0.0.0/8; }; };
		zone github.com { type primary; file "git"; allow-update { any; }; };
	CONF
	/usr/sbin/named -g -4 -c "$home/named.conf" </dev/null >"$home/log" 2>&1 3>&- 4>&- &
	NAMED=$!
	eventually grep -q ' running$' "$home/log"
}

named_down() {
	kill "$NAMED"
	wait "$NAMED" || true
}

UPDATE='update() { # OPTION… TEXT
	LD_LIBRARY_PATH=/more/lib /more/nsupdate "$@" /tmp/update >/tmp/out 2>&1; echo "rc=$? $(tr "\n" " " </tmp/out)"
}
ask() { dig +short +tries=1 +time=3 @10.89.53.254 "$@"; }
printf "%s\n" "server 10.89.53.254" "zone corp.test" "prereq nxdomain a.corp.test" "update add a.corp.test 60 A 192.0.2.1" send >/tmp/update
update; ask a.corp.test
printf "%s\n" "server 10.89.53.254" "zone corp.test" "update delete a.corp.test A" "update add b.corp.test 60 TXT signed" send >/tmp/update
update -y hmac-sha256:job:c2VjcmV0IG9mIGEgdGVzdA==; update -v -y hmac-sha256:job:c2VjcmV0IG9mIGEgdGVzdA==; ask b.corp.test TXT
dig +noall +answer -y hmac-sha256:job:c2VjcmV0IG9mIGEgdGVzdA== @10.89.53.254 ns.corp.test
dig +noall +answer +time=3 +tries=1 @10.89.53.254 corp.test AXFR | wc -l
ask version.bind CH TXT
# nothing more than a datagram holds
{ echo "server 10.89.53.254"; echo "zone corp.test"; for i in $(seq 150); do echo "update add host-$i.corp.test 60 A 192.0.2.$i"; done; echo send; } >/tmp/update
update -v; ask host-150.corp.test
{ echo "server 10.89.53.254"; echo "zone corp.test"; for i in $(seq 150); do echo "update delete host-$i.corp.test"; done
	echo "update delete b.corp.test"; echo send; } >/tmp/update
update -v
'
REFUSED='
printf "%s\n" "server 10.89.53.254" "zone github.com" "update add x.github.com 60 A 192.0.2.1" send >/tmp/update
echo "blocked $(update)"; echo "signed $(update -y hmac-sha256:job:c2VjcmV0IG9mIGEgdGVzdA==)"; echo "tcp $(update -v)"'

@test "nsupdate, TSIG, transfers and version.bind against BIND: as without a fence, and a blocked zone is refused" {
	more nsupdate /usr/bin/nsupdate
	named_up
	unfenced -d 10.89.53.254 -- sh -c "$UPDATE"
	local expected=$output policy
	expect_match "$output" $'^rc=0 \n192\.0\.2\.1\nrc=0 \nrc=0 \n"signed"\nns\.corp\.test\.[^\n]*10\.89\.53\.254\n.*"bind of a test"\nrc=0 \n192\.0\.2\.150\nrc=0 $'
	policy open <<<'block github.com'
	policy shut <<-'POLICY'
		default deny
		on-leak all warn
		allow corp.test
		allow version.bind
		allow 10.89.53.254:53
	POLICY
	for policy in open shut; do
		job -d 10.89.53.254 -a deployfence=audit -a "deployfence.policy=$policy" -v "$MORE:/more:ro" -- sh -c "$UPDATE"
		expect [ "$output" = "$expected" ]
		# the server is a trusted resolver, then any server
		job -d 10.89.53.254 -a deployfence=enforce -a "deployfence.policy=$policy" -v "$MORE:/more:ro" -- sh -c "$UPDATE$REFUSED"
		# shellcheck disable=SC2001 # a pattern
		expect_match "$output" "^$(sed 's/[.^$*+?()[\{|]/\\&/g' <<<"$expected")"
		expect_match "$output" $'\nblocked rc=2 [^\n]*update failed: REFUSED'
		expect_match "$output" $'\nsigned rc=2 [^\n]*(REFUSED|TSIG)'
		expect_match "$output" $'\ntcp rc=2 [^\n]*update failed: REFUSED'
		expect_event '.event == "dns_blocked" and .domain == "github.com." and .qtype == 6 and (.cmd | test("nsupdate"))'
	done
	refute grep -q 'updating zone .github.com' "$DF_HOST/named/log"
	job -a deployfence=enforce -a deployfence.policy=open -v "$MORE:/more:ro" -- sh -c "$UPDATE"
	expect [ "$output" = "$expected" ]
	# the name that is changed counts as its zone does
	policy half <<<$'allow corp.test\nblock a.corp.test'
	job -d 10.89.53.254 -a deployfence=enforce -a deployfence.policy=half -v "$MORE:/more:ro" -- sh -c "$UPDATE"
	expect_match "$output" '^rc=2 update failed: REFUSED'
	expect_event '.event == "dns_blocked" and .domain == "a.corp.test."'
	named_down
}

@test "dnsmasq as a cache in the container: what it keeps and what is refused, as without a fence" {
	more dnsmasq /usr/sbin/dnsmasq
	local script='
		LD_LIBRARY_PATH=/more/lib /more/dnsmasq -k -p 5354 --user=root --no-hosts --no-resolv --server=10.89.53.1 --pid-file= \
			--cache-size=1000 --log-facility=- >/tmp/out 2>&1 & cache=$!
		for i in 1 2 3 4 5 6 7 8 9 10; do dig +time=1 +tries=1 -p 5354 @127.0.0.1 ok.example >/dev/null && break; sleep 0.2; done
		for name in ok.example ok.example same-alias.odd.example tc-in-owner.odd.example github.com; do
			dig +tries=1 +time=4 -p 5354 @127.0.0.1 $name | sed -n "s/.*status: \([A-Z]*\).*ANSWER.*/$name \1/p; s/.*status: \([A-Z]*\),.*/$name \1/p"
			dig +short +tries=1 +time=4 -p 5354 @127.0.0.1 $name | sort | tail -n 1 | tr A-Z a-z
		done
		kill $cache; cat /tmp/out | grep -v "started\|compile time\|nameserver\|cleared\|exiting\|reducing"'
	unfenced -- sh -c "$script"
	local expected=$output
	expect_match "$output" $'same-alias\.odd\.example NOERROR\nok\.odd\.example\.'
	expect_match "$output" $'github\.com NOERROR\n140\.82'
	audited blocks -- sh -c "$script"
	expect [ "$output" = "$expected" ]
	world_mark
	enforced blocks -- sh -c "$script"
	expect [ "$(sed '/^github/,$d' <<<"$output")" = "$(sed '/^github/,$d' <<<"$expected")" ]
	expect_match "$output" 'github\.com NXDOMAIN'
	expect [ "$(world_dns_log ' UDP .* 10.89.53.1 ok\.example A ' | wc -l)" = 1 ]
}
