#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Audit is inert: a container that does everything that would be refused does it as if there were no fence, to the octet.

load ../lib/ground
load common
load escapes

setup_file() {
	escapes_setup_file || return
	export R=$BATS_FILE_TMPDIR
	# what refuses most: addresses, names, service bindings, shared addresses, findings
	policy everything <<-'POLICY'
		default deny
		refuse-with EACCES
		refuse-dns sinkhole
		on-leak all refuse
		nested-netns refuse
		block github.com
		block 198.51.100.0/24
		block 255.255.255.255
	POLICY
	policy blocklist <<-'POLICY'
		default allow
		pin-blocked yes
		block github.com
		block 198.51.100.0/24
		block 2001:db8:51::/64
	POLICY
	both rows -- sh -c 'for kind in blocked allowed; do python3 /escape.py $kind; done'
	both names -- sh -c "$NAMES"
	observe names.enforced deployfence=on deployfence.policy=blocklist -- sh -c "$NAMES"
}

teardown_file() {
	world_down
}

setup() { :; }
teardown() { :; }

# The same commands without a fence, and in audit mode under both policies.
both() { # NAME -- COMMAND…
	local name=$1
	shift 2
	observe "$name.unfenced" deployfence=off -- "$@"
	observe "$name.everything" deployfence=audit deployfence.policy=everything -- "$@"
	observe "$name.blocklist" deployfence=audit deployfence.policy=blocklist -- "$@"
}

observe() { # NAME ANNOTATION… -- COMMAND…
	local name=$1 annotations=()
	shift
	while [ "$1" != -- ]; do
		annotations+=(-a "$1")
		shift
	done
	shift
	world_mark
	rm -rf "$RUNDIR"
	job "${PROBES[@]}" "${annotations[@]}" -- "$@"
	echo "$status" >"$R/$name.status"
	# the fence's own lines begin with its name; it shows refusals only, and there is none
	sed -E 's/(TCP [^ ]*)#[0-9]+/\1/' <<<"$output" >"$R/$name.output" # what echo servers say of the client's port
	echo "$stderr" >"$R/$name.stderr"
	left_packets | grep -v '#53 ' >"$R/$name.packets" || true
	near_packets '#53 ' >"$R/$name.questions" || true
	/usr/bin/python3 "$DF_LIB/wire.py" "$R/$name.packets" >"$R/$name.wire"
	expect_fence_gone
	event_lines >"$R/$name.events" || true
}

# Clients of every refusal by name: DNS of all kinds, service bindings, a shared address, a proxy, searched names, SMTP, SSH.
# Nothing that these clients send over TCP is drawn at random; so TLS is a hello that does not change.
NAMES='
for name in github.com GitHub.COM alias.example chain1.example shared.example ok.example n1.wild.example nothing.example; do
	dig +tries=1 +short +noedns $name A $name AAAA
	getent ahosts $name; echo "getent rc=$?"
	mclient-musl $name; echo "musl rc=$?"
done
dig +tries=1 +short svcb.example HTTPS; dig +tries=1 +short gitsvc.example HTTPS; dig +tries=1 +short +tcp aliasmode.example HTTPS
dig +tries=1 +short @203.0.113.77 github.com; dig +tries=1 +short +tcp @2001:db8::53 github.com TXT
for url in http://github.com http://api.github.com http://alias.example http://shared.example http://140.82.112.3 \
	http://[2606:50c0:8000::153] http://rebind-mapped.example; do
	curl -gsS -m 10 -A probe $url; echo "$url rc=$?"
done
curl -sS -m 10 -A probe -H "Host: github.com" http://shared.example; echo "host rc=$?"
curl -sS -m 10 -A probe -x http://203.0.113.5:3128 http://github.com http://ok.example; echo "proxy rc=$?"
python3 /escape.py pieces 203.0.113.5 3128 "CONNECT github.com:443 HTTP/1.1\r\n\r\n"
python3 /escape.py pieces 140.82.112.3 80 "GET / HT" "TP/1.1\r\nHost: git" "hub.com\r\n\r\n"
python3 /escape.py hello 140.82.112.3 github.com; python3 /escape.py hello 140.82.112.3 shared.example
python3 /escape.py pieces 140.82.112.3 25 "QUIT\r\n"; python3 /escape.py pieces 140.82.112.3 9999 "text\r\n"
python3 /escape.py pieces 140.82.112.3 22 "SSH-2.0-probe\r\n"
'

# Fails with what differs.
same() { # KIND-OF-FILE NAME POLICY
	diff "$R/$2.unfenced.$1" "$R/$2.$3.$1" | cut -c 1-300
	[ "${PIPESTATUS[0]}" = 0 ]
}

@test "the unfenced run is worth comparing with: all rows, many flows, answers" {
	expect [ "$(wc -l <"$R/rows.unfenced.output")" -gt 120 ]
	expect [ "$(wc -l <"$R/rows.unfenced.wire")" -gt 120 ]
	expect [ "$(grep -c 'hello from' "$R/names.unfenced.output")" -gt 8 ]
	grep -q '676974687562' "$R/names.unfenced.wire"
	expect [ "$(jq -r .event "$R/rows.unfenced.events")" = unfenced ]
}

@test "an enforced run is not the same" {
	refute cmp -s "$R/names.unfenced.wire" "$R/names.enforced.wire"
	refute cmp -s "$R/names.unfenced.output" "$R/names.enforced.output"
	refute grep -q '676974687562' "$R/names.enforced.wire"
}

@test "audit, default deny: what every technique of the matrix comes to is the same" {
	same status rows everything
	same output rows everything
	expect [ "$(grep -c BLOCKED "$R/rows.everything.stderr")" = 0 ]
}

@test "audit, blocklist: what every technique of the matrix comes to is the same" {
	same status rows blocklist
	same output rows blocklist
}

@test "audit: the wire is the same, octet by octet, for every technique of the matrix" {
	same wire rows everything
	same wire rows blocklist
}

@test "audit: names, service bindings, proxies and shared addresses: what clients see is the same" {
	same status names everything
	same output names everything
	same output names blocklist
	same stderr names blocklist
}

@test "audit: the wire of clients is the same, octet by octet, but for port 53" {
	same wire names everything
	same wire names blocklist
}

@test "audit: the resolvers that were asked are asked, for the names that were asked for" {
	local name
	for name in unfenced everything blocklist; do
		awk '{ print $4, $6 }' "$R/names.$name.questions" | sort -u >"$R/asked.$name"
	done
	expect [ -s "$R/asked.unfenced" ]
	diff "$R/asked.unfenced" "$R/asked.everything"
	diff "$R/asked.unfenced" "$R/asked.blocklist"
}

@test "audit: everything that would have been refused is in the events, and nothing was" {
	local kind
	for name in rows.everything names.everything names.blocklist; do
		expect [ "$(jq -s '[.[] | select(.blocked == true)] | length' "$R/$name.events")" = 0 ]
	done
	for kind in connect_blocked packet_blocked socket_blocked; do
		jq -se "any(.[]; .event == \"$kind\" and .would_block)" "$R/rows.everything.events"
	done
	for kind in dns_blocked connect_blocked; do
		jq -se "any(.[]; .event == \"$kind\" and .would_block)" "$R/names.everything.events"
	done
	for kind in dns_blocked connect_blocked http_blocked tls_blocked proxy_blocked; do
		jq -se "any(.[]; .event == \"$kind\" and .would_block)" "$R/names.blocklist.events"
	done
}
