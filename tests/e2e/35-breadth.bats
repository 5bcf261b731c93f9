#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# What the fence lets through is what the resolver said: every type, every size, every transport, every mood of the resolver.

load ../lib/ground
load common

SHOW='+noall +comments +question +answer +authority +additional +time=10'

setup_file() {
	export DF_ZONE=$DF_HOST/breadth.zone BREADTH=$DF_HOST/breadth
	mkdir -p "$BREADTH"
	/usr/bin/python3 "$DF_LIB/servers/breadth.py" zone >"$DF_ZONE" || return
	/usr/bin/python3 "$DF_LIB/servers/breadth.py" queries >"$BREADTH/queries" || return
	world_up && image_import && image_build || return
	product_install
}

# Both sides read their questions from a file: one dig for all of them.
ask_both() { # QUERIES OPTION…: direct answers in $BREADTH/direct, those in a fenced container in $BREADTH/fenced
	local queries=$1
	shift
	[ -e "$POLICIES/sealed.policy" ] || policy_sealed sealed
	# shellcheck disable=SC2086 # words
	dig @10.89.53.1 $SHOW "$@" -f "$queries" >"$BREADTH/direct.raw" || true
	job -a deployfence.policy=sealed -v "$queries:/queries:ro" -- sh -c "dig @10.89.53.1 $SHOW $* -f /queries; true"
	cp "$J_DIR/stdout" "$BREADTH/fenced.raw"
}

expect_same() { # COUNT [-e]
	/usr/bin/python3 "$BATS_TEST_DIRNAME/answers.py" "${@:2}" <"$BREADTH/direct.raw" >"$BREADTH/direct"
	/usr/bin/python3 "$BATS_TEST_DIRNAME/answers.py" "${@:2}" <"$BREADTH/fenced.raw" >"$BREADTH/fenced"
	diff "$BREADTH/direct" "$BREADTH/fenced" >"$BREADTH/diff" || { head -n 20 "$BREADTH/diff" && wc -l <"$BREADTH/diff" && return 1; }
	# dig names no question when it had no answer
	expect [ "$(grep -c ' IN ' "$BREADTH/direct")" = "$1" ]
}

same() { # OPTION…: every query of the generated zone
	ask_both "$BREADTH/queries" "$@"
	expect_same "$(wc -l <"$BREADTH/queries")"
}

@test "hundreds of names, every type: the same answers by UDP" { same +notcp; }
@test "hundreds of names, every type: the same answers by TCP" { same +tcp; }
@test "hundreds of names, every type: the same answers on one TCP connection" { same +tcp +keepopen; }
@test "hundreds of names, every type: the same answers without EDNS" { same +notcp +noedns; }

@test "hundreds of names, every type: the same answers with DO, signatures and AD" {
	ask_both "$BREADTH/queries" +notcp +dnssec
	expect_same "$(wc -l <"$BREADTH/queries")" -e
	expect_match "$(cat "$BREADTH/fenced")" 'IN MX \| NOERROR \| qr rd ra ad \| ; EDNS: version: 0, flags: do[^|]*\| AN: [^|]* RRSIG MX 13'
	expect_match "$(cat "$BREADTH/fenced")" 'IN DNSKEY \| NOERROR \| qr rd ra ad \| [^|]*\| AN: [^|]* RRSIG DNSKEY 13'
}

@test "RD, AD and CD are the client's, and their answers the resolver's" {
	local option
	grep -E '^[^ ]*\.?n[0-9]*[05]\.' "$BREADTH/queries" >"$BREADTH/some"
	for option in +norecurse +noadflag +cdflag '+cdflag +dnssec' '+norecurse +noedns +noadflag'; do
		# shellcheck disable=SC2086 # words
		ask_both "$BREADTH/some" $option
		expect_same "$(wc -l <"$BREADTH/some")"
	done
}

@test "types by number and meta types pass, and classes other than the internet's" {
	local unfenced
	printf '%s\n' "n22.breadth.example TYPE65302" "n22.breadth.example TYPE65022" "n22.breadth.example TYPE62" \
		"n22.breadth.example TYPE1" "ok.example TYPE64999" "ok.example TYPE258" "ok.example TYPE0" "ok.example MAILB" \
		"ok.example ANY" "_none._tcp.ok.example SRV" >"$BREADTH/odd"
	ask_both "$BREADTH/odd" +notcp
	expect_same 10
	expect_match "$(cat "$BREADTH/fenced")" 'TYPE65302 \| NOERROR \| qr aa rd ra \| AN: n22\.breadth\.example\. [0-9]+ IN TYPE65302 \\# 22 '
	job -- dig +tries=1 version.bind CH TXT
	unfenced=$(grep -o 'status: [A-Z]*' <<<"$output")
	expect [ -n "$unfenced" ]
	job -a deployfence=on -- dig +tries=1 version.bind CH TXT
	expect [ "$(grep -o 'status: [A-Z]*' <<<"$output")" = "$unfenced" ]
	job -a deployfence=on -- dig +tries=1 github.com CH TXT
	expect_match "$output" 'status: (NXDOMAIN|REFUSED)'
}

@test "0x20: the case of every letter comes back, from the fence and from the resolver" {
	job -a deployfence=on -- dig +noall +question oK.eXaMpLe GiThUb.CoM WWW.oK.ExAmPlE n1.BREADTH.example MX
	expect_match "$output" $'^;oK\.eXaMpLe\.\t'
	expect_match "$output" $'\n;GiThUb\.CoM\.\t'
	expect_match "$output" $'\n;WWW\.oK\.ExAmPlE\.\t'
	expect_match "$output" $'\n;n1\.BREADTH\.example\.\t'
	# or the resolver's own 0x20 further on would be spoilt
	world_dns_log ' oK\.eXaMpLe A '
	world_dns_log ' n1\.BREADTH\.example MX '
}

# --- sizes

@test "answers cut short are cut in the fence, and whole by TCP" {
	local name size
	for name in small big bigger huge; do
		for size in 512 1232; do echo "$name.example TXT +bufsize=$size"; done
		echo "$name.example TXT +noedns"
	done >"$BREADTH/sizes"
	echo 'crowd.example A +noedns' >>"$BREADTH/sizes"
	echo 'crowd.example A +bufsize=1232' >>"$BREADTH/sizes"
	ask_both "$BREADTH/sizes" +notcp +ignore
	expect_same 14
	expect [ "$(grep -c ' | NOERROR | qr aa tc rd ra | AN: *| AU: *| AD:' "$BREADTH/fenced")" = 10 ]
	# to the resolver the fence announces 1232 octets at most (RFC 9715): what is larger comes by TCP
	for name in bigger huge; do
		for size in 1452 4096; do echo "$name.example TXT +bufsize=$size"; done
	done >>"$BREADTH/sizes"
	for size in +notcp +tcp; do
		ask_both "$BREADTH/sizes" "$size"
		sed -i '/^;; Truncated, retrying/d' "$BREADTH/direct.raw" "$BREADTH/fenced.raw"
		expect_same 18
		refute_match "$(cat "$BREADTH/fenced")" '\| qr aa tc'
		expect [ "$(grep -o 'crowd\.example\. 60 in a 198\.51\.100\.[0-9]*' "$BREADTH/fenced" | sort -u | wc -l)" = 120 ]
	done
}

@test "a resolver that truncates everything: the client repeats by TCP through the fence" {
	world_dns_mode '* truncate'
	job -a deployfence=on -- sh -c '
		dig ok.example; getent ahostsv4 ok.example; mclient-musl ok.example
		python3 -c "import socket; print(socket.gethostbyname(\"other.example\"))"; getent ahosts github.com; echo "rc=$?"'
	expect_match "$output" 'Truncated, retrying in TCP mode.*203\.0\.113\.10.*\(TCP\)'
	expect_match "$output" $'203\.0\.113\.10 +STREAM'
	expect_match "$output" $'\n203\.0\.113\.11\nrc=2'
	world_dns_log ' TCP .* ok\.example A '
}

# --- TCP

@test "a hundred queries in one write on one TCP connection, answers out of order" {
	local names=() i
	for i in {0..99}; do
		case $((i % 5)) in
		0) names+=(github.com) ;;
		1) names+=("n$i.corp.example") ;;
		2) names+=("slow.corp.example") ;;
		3) names+=("api.github.com") ;;
		4) names+=("other.example") ;;
		esac
	done
	policy_sealed sealed
	world_dns_mode '* delay 700 name=slow.corp.example'
	job -a deployfence.policy=sealed -v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- \
		python3 /probe.py pipeline 10.89.53.1 "${names[@]}"
	expect [ "$status" = 0 ]
	expect [ "$(grep -c '^github\.com rcode=3$' <<<"$output")" = 20 ]
	expect [ "$(grep -c '^api\.github\.com rcode=3$' <<<"$output")" = 20 ]
	expect [ "$(grep -c '^n[0-9]*\.corp\.example rcode=0 203\.0\.113\.30$' <<<"$output")" = 20 ]
	expect [ "$(grep -c '^slow\.corp\.example rcode=0 203\.0\.113\.30$' <<<"$output")" = 20 ]
	expect [ "$(grep -c '^other\.example rcode=0 203\.0\.113\.11$' <<<"$output")" = 20 ]
	refute world_dns_log 'github\.com'
}

@test "a resolver without TCP: an error or an end of the connection, no silence, and UDP goes on" {
	world_dns_mode '* refuse-tcp'
	job -a deployfence=on -- sh -c '
		timeout 9 dig +tcp +tries=1 +time=8 ok.example; echo "tcp rc=$?"; dig +tcp +tries=1 github.com; dig +short ok.example'
	expect_match "$output" 'tcp rc=(0|9)'
	refute_match "$output" 'timed out'
	expect_match "$output" 'status: NXDOMAIN'
	expect_match "$output" $'\n203\.0\.113\.10$'
}

# --- moods of the resolver

@test "a slow resolver is waited for, by UDP and TCP" {
	world_dns_mode '* delay 3000 name=ok.example'
	job -a deployfence=on -- sh -c '
		dig +tries=1 +time=8 +short ok.example & dig +tries=1 +time=8 +short +tcp ok.example AAAA &
		curl -sS http://ok.example & sleep 1; dig +tries=1 +time=1 +short other.example; dig +tries=1 +time=1 github.com; wait'
	expect_match "$output" $'(^|\n)203\.0\.113\.10(\n|$)'
	expect_match "$output" $'(^|\n)2001:db8:80::10(\n|$)'
	expect_match "$output" 'hello from ok\.example'
	# others do not wait behind it
	expect_match "$output" $'(^|\n)203\.0\.113\.11\n[^$]*NXDOMAIN'
	refute_match "$output" 'timed out'
}

@test "a resolver slower than the client's patience: the client asks again and has its answer" {
	world_dns_mode '* delay 1500 name=ok.example'
	job -a deployfence=on -o --dns-option=timeout:1 -o --dns-option=attempts:3 -- getent ahostsv4 ok.example
	expect_match "$output" '203\.0\.113\.10'
}

@test "dead resolvers: every client ends as without a fence, none earlier as if the name were not there" {
	local how ends='dig +tries=1 +time=2 ok.example >/tmp/out; echo "dig rc=$?"; grep -o "status: [A-Z]*" /tmp/out
		dig +tcp +tries=1 +time=2 ok.example >/tmp/out; echo "tcp rc=$?"; grep -o "status: [A-Z]*" /tmp/out
		getent ahostsv4 ok.example; echo "getent rc=$?"
		python3 -c "import socket; socket.getaddrinfo(\"ok.example\", 80)" 2>&1 | tail -n 1
		dig +tries=1 +time=2 github.com | grep -o "status: [A-Z]*"'
	policy_sealed sealed
	for how in dead 'rcode 2'; do
		world_dns_mode "* $how"
		job -a deployfence.policy=sealed -o --dns-option=timeout:1 -o --dns-option=attempts:1 -- sh -c "$ends"
		expect_match "$output" $'^dig rc=(9|0\nstatus: SERVFAIL)\ntcp rc=(9|0\nstatus: SERVFAIL)\ngetent rc=2\n'
		expect_match "$output" 'Errno -3\] Temporary failure in name resolution'
		# what needs no resolver is answered all the same
		expect_match "$output" 'status: NXDOMAIN$'
		world_dns_log ' ok\.example A '
	done
}

@test "the first resolver is dead: libc and dig go to the second" {
	world_dns_mode '10.89.53.1 dead'
	job -a deployfence=on -o --dns-option=timeout:1 -- sh -c '
		getent ahostsv4 ok.example; mclient-musl other.example; dig +short +time=1 +tries=2 dual.example
		busybox nslookup -type=a v4only.example; curl -sS -m 15 http://ok.example'
	expect_match "$output" '203\.0\.113\.10 +STREAM'
	expect_match "$output" $'\n203\.0\.113\.11\n'
	expect_match "$output" $'\n203\.0\.113\.12\n'
	expect_match "$output" '203\.0\.113\.13'
	expect_match "$output" 'hello from ok\.example'
	world_dns_log ' 10\.89\.53\.2 ok\.example A '
}

@test "SERVFAIL, REFUSED, NOTIMP, FORMERR and what else a resolver says pass unchanged" {
	local rcode modes=()
	for rcode in 1 2 3 4 5 6 9 10; do
		printf '%s\n' "code$rcode.example A" "code$rcode.example AAAA" "code$rcode.example MX" "code$rcode.example HTTPS"
		modes+=("* rcode $rcode name=code$rcode.example")
	done >"$BREADTH/codes"
	world_dns_mode "${modes[@]}"
	ask_both "$BREADTH/codes" +notcp +tries=1
	expect_same 32
	expect [ "$(grep -c '| SERVFAIL |' "$BREADTH/fenced")" = 4 ]
	expect [ "$(grep -c '| REFUSED |' "$BREADTH/fenced")" = 4 ]
	ask_both "$BREADTH/codes" +tcp +tries=1 +dnssec
	expect_same 32 -e
}

@test "a resolver that does not know EDNS: its FORMERR reaches the client, which asks without" {
	world_dns_mode '* no-edns'
	printf '%s\n' 'ok.example A' 'ok.example MX' 'big.example TXT' 'n1.breadth.example A' >"$BREADTH/few"
	ask_both "$BREADTH/few" +notcp
	expect_same 4
	ask_both "$BREADTH/few" +notcp +noedns
	expect_same 4
	job -a deployfence=on -- sh -c "$VISIT; getent ahostsv4 ok.example"
	expect_fenced
	expect_match "$output" '203\.0\.113\.10 +STREAM'
}
