#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# `block github.com` against those who know github.com's address by another name, or by none. Each with its twin.

load ../lib/ground
load common
load escapes

setup_file() {
	escapes_setup_file
}

teardown_file() {
	matrix_print
	world_down
}

# One fence for a test, its addresses looked up: visit PORT-OR-OPTIONS… runs curl in it.
fence() { # [STATEMENT]…
	printf '%s\n' "$@" 'block github.com' | policy names
	start_pinned 140.82.112.3 -a deployfence.policy=names
}

# "HOST rc=N" for each URL; curl's 6: no such name, 7: connect failed, 35: TLS, 52 and 56: cut off. 28 is a time-out.
visit() { # OPTIONS-AND-URL…, one word each
	local url script=''
	for url; do script+="curl -gsS -m 20 --cacert /etc/ca.pem $url; echo '$url' rc=\$?; "; done
	job_exec "$JOB" sh -c "$script"
	refute_match "$output" 'rc=28'
}

expect_name_never_left() { # REGEX of what may have it besides
	run near_packets "$(printf github | od -An -tx1 | tr -d ' \n')"
	expect [ "$output" = "" ]
}

@test "deny by name survives nip.io: a name of one's own for a blocked address" {
	matrix_open nip-io
	fence
	# over HTTP the name itself is what the server is asked for: no other proof is there, and the manual says so
	visit http://140.82.112.3.nip.io https://140.82.112.3.nip.io \
		"-H 'Host: github.com' http://140.82.112.3.nip.io" "--resolve github.com:443:140.82.112.3 https://github.com" \
		http://140.82.112.3.nip.io:8080 telnet://140.82.112.3.nip.io:22 http://ok.example
	expect_match "$output" 'hello from 140\.82\.112\.3\.nip\.io'
	expect_match "$output" "http://140\.82\.112\.3\.nip\.io rc=0"
	expect_match "$output" "Host: github\.com http://140\.82\.112\.3\.nip\.io rc=(52|56)"
	expect_match "$output" "https://github\.com rc=35"
	expect_match "$output" "nip\.io:8080 rc=7"
	expect_match "$output" "telnet://140\.82\.112\.3\.nip\.io:22 rc=7"
	expect_match "$output" "http://ok\.example rc=0"
	expect_name_never_left
	expect_event '.event == "tls_blocked" and .domain == "github.com."'
	expect_event '.event == "connect_blocked" and .ip == "140.82.112.3" and .port == 22'
	job_stop "$JOB"

	# an address rule refuses always
	fence 'block 140.82.112.0/20'
	visit http://140.82.112.3.nip.io https://140.82.112.3.nip.io http://ok.example
	expect [ "$(grep -c "nip\.io rc=7" <<<"$output")" = 2 ]
	expect_match "$output" "http://ok\.example rc=0"
	expect_no_packet 140.82.112.3
	job_stop "$JOB"

	# and so does who gives up shared addresses
	fence 'shared-address block'
	visit http://140.82.112.3.nip.io https://140.82.112.3.nip.io http://ok.example
	expect [ "$(grep -c "nip\.io rc=7" <<<"$output")" = 2 ]
	expect_match "$output" "http://ok\.example rc=0"
	expect_no_packet 140.82.112.3
	matrix_close nip-io "no packet with the name; see the manual" "connect, payload, or an address rule"
}

@test "deny by name survives a shared address: what is asked for decides, at ports 80 and 443 only" {
	matrix_open shared-address
	fence
	visit http://shared.example https://shared.example "-H 'Host: github.com' http://shared.example" \
		"--connect-to github.com:443:shared.example:443 https://github.com" http://shared.example:8080 \
		"-H 'Host: ok.example' http://shared.example" "-k https://140.82.112.3" http://ok.example
	expect_match "$output" "http://shared\.example rc=0"
	expect_match "$output" "https://shared\.example rc=0"
	expect_match "$output" "Host: github\.com http://shared\.example rc=(52|56)"
	expect_match "$output" "https://github\.com rc=35"
	expect_match "$output" "http://shared\.example:8080 rc=7"
	expect_match "$output" "Host: ok\.example http://shared\.example rc=(52|56)" # not a name of this address
	expect_match "$output" "-k https://140\.82\.112\.3 rc=35" # no name at all
	expect_match "$output" "http://ok\.example rc=0"
	expect_name_never_left
	# not HTTP, the name split over segments, an unfinished name, two names
	job_exec "$JOB" sh -c '
		python3 /escape.py pieces 140.82.112.3 80 "hello\n"
		python3 /escape.py pieces 140.82.112.3 80 "GET / HTTP/1.1\r\nHost: git" "hub.com\r\n\r\n"
		python3 /escape.py pieces 140.82.112.3 80 "GET / HTTP/1.1\r\nHost: shared.example" ".github.com\r\n\r\n"
		python3 /escape.py pieces 140.82.112.3 80 "GET / HTTP/1.1\r\nHost: shared.example\r\nHost: github.com\r\n\r\n"
		python3 /escape.py pieces 140.82.112.3 80 "GET http://github.com/ HTTP/1.1\r\nHost: shared.example\r\n\r\n"
		python3 /escape.py pieces 140.82.112.3 80 "GET / HTTP/1.1\r\nHost: sha" "red.example\r\n\r\n"
		python3 /escape.py at 140.82.112.3 udp-sendto udp-connect tcp tcp-mapped'
	expect [ "$(grep -c 'HTTP/1.1 200' <<<"$output")" -le 1 ] # the last one may pass
	expect [ "$(grep -Ec $'\tEPERM$' <<<"$output")" = 4 ]
	expect_name_never_left
	matrix_close shared-address "reset or EPERM, no packet with the name" "payload at 80 and 443, else connect"
}

@test "deny by name survives CNAME: every name of the chain counts, and so do its addresses" {
	matrix_open cname
	fence
	visit http://alias.example http://chain1.example http://n1.wild.example http://okchain1.example \
		"--resolve alias.example:80:140.82.112.3 http://alias.example"
	expect [ "$(grep -Ec "http://(alias|chain1|n1\.wild)\.example rc=6" <<<"$output")" = 3 ]
	expect_match "$output" "http://okchain1\.example rc=0"
	expect_match "$output" '--resolve alias\.example:80:140\.82\.112\.3 http://alias\.example rc=(7|52|56)'
	expect_event '.event == "dns_blocked" and .reason == "FromCNAME" and .domain == "chain1.example."'
	expect_no_packet 140.82.112.4
	expect_name_never_left
	matrix_close cname "NXDOMAIN, no packet" "names of the chain"
}

@test "deny by name survives letters: mixed case, 0x20, a trailing dot, odd octets" {
	matrix_open mixed-case
	fence
	visit http://GitHub.CoM http://gItHuB.cOm. http://API.GITHUB.COM http://GITHUB.COM. http://OK.Example http://ok.example.
	expect [ "$(grep -Eic "github\.com\.? rc=6" <<<"$output")" = 4 ]
	expect [ "$(grep -Eic "ok\.example\.? rc=0" <<<"$output")" = 2 ]
	# labels in hexadecimal digits: gItHuB com; "github.com" as one label; github\0 com; github com\0 example; ok example
	job_exec "$JOB" sh -c 'for labels in "674974487542 636f6d" "6769746875622e636f6d" "67697468756200 636f6d" \
		"676974687562 636f6d00 6578616d706c65" "6f6b 6578616d706c65"; do python3 /escape.py question 10.89.53.1 $labels; done'
	expect [ "$(sed -n 1p <<<"$output")" = "question rcode=3 records=0" ]
	expect [ "$(sed -n 5p <<<"$output")" = "question rcode=0 records=1" ]
	expect_no_packet 140.82.112.3 140.82.112.6
	# what differs in octets is another name: it may be asked for, and there is none
	expect [ "$(sed -n 2,4p <<<"$output" | grep -c 'records=0\|silence')" = 3 ]
	expect_event '.event == "dns_blocked" and (.domain | ascii_downcase) == "github.com."'
	matrix_close mixed-case "NXDOMAIN, no packet" "names as labels"
}

@test "default deny: odd octets do not make an allowed name of another one" {
	printf '%s\n' 'default deny' 'on-leak all warn' 'allow ok.example' | policy deny
	job_start "${PROBES[@]}" -a deployfence.policy=deny -- sleep 1000
	world_mark
	# "ok.example" as one label; ok\0evil example; ok example\0 com; ok example
	job_exec "$JOB" sh -c 'for labels in "6f6b2e6578616d706c65" "6f6b006576696c 6578616d706c65" "6f6b 6578616d706c6500 636f6d" \
		"6f6b 6578616d706c65"; do python3 /escape.py question 10.89.53.1 $labels; done'
	expect [ "$(sed -n 1,3p <<<"$output" | grep -c 'rcode=3 records=0')" = 3 ]
	expect [ "$(sed -n 4p <<<"$output")" = "question rcode=0 records=1" ]
	expect [ "$(world_dns_log | wc -l)" = 1 ]
}

@test "deny by name survives service bindings: no hints, no ECH, no blocked target" {
	matrix_open svcb-ech
	fence
	job_exec "$JOB" sh -c 'dig +short svcb.example HTTPS; echo ===; dig gitsvc.example HTTPS; echo ===; dig github.com HTTPS; echo ===
		dig aliasmode.example HTTPS; echo ===; dig +short ok.example HTTPS; dig +short svcb.example TYPE65
		dig +notcp +noall +answer svcb.example ANY; echo; echo =ANY=; dig +notcp gitsvc.example ANY; echo =ANY=; dig +tcp +short svcb.example ANY'
	refute_match "$output" 'ipv[46]hint|ech=|140\.82'
	expect_match "$output" '^1 \. alpn="h2,h3"'
	expect_match "$output" '===[^=]*status: (NOERROR|NXDOMAIN)[^=]*ANSWER: 0[^=]*===[^=]*status: NXDOMAIN[^=]*===[^=]*ANSWER: 0'
	# the same records behind ANY, with what else there is; a blocked target refuses that, too
	expect_match "$output" $'svcb\\.example\\.[^\n]*HTTPS\t1 \\. alpn="h2,h3"\n[^=]*svcb\\.example\\.[^\n]*A\t203\\.0\\.113\\.15\n'
	expect_match "$output" '=ANY=[^=]*status: (NOERROR|NXDOMAIN)[^=]*ANSWER: 0[^=]*=ANY=[^=]*1 \. alpn="h2,h3"'
	expect_event '.domain == "gitsvc.example." and .reason == "FromTargetName" and .qtype == 255 and .blocked'
	job_stop "$JOB"
	job -a deployfence=off -- dig +short +tcp svcb.example ANY
	expect_match "$output" 'ipv4hint=203\.0\.113\.15.*ech='
	job -a deployfence=off -- dig +short svcb.example HTTPS
	expect_match "$output" 'ipv4hint=203\.0\.113\.15.*ech=' # the twin: this is what the world says
	matrix_close svcb-ech "no hints, no ECH, no blocked target" "answers rebuilt"
}

@test "deny by name survives v4-mapped addresses: sockets and answers" {
	matrix_open v4-mapped
	fence
	job_exec "$JOB" sh -c 'python3 /escape.py at 140.82.112.3 tcp-mapped udp-connect-mapped udp-sendto-mapped udp-sendto-inet-on-ip6
		python3 /escape.py at 203.0.113.10 tcp-mapped udp-connect-mapped udp-sendto-mapped udp-sendto-inet-on-ip6
		python3 /escape.py at 64:ff9b::8c52:7003 tcp-ip6; python3 /escape.py at 64:ff9b::cb00:710a tcp-ip6
		curl -gsS -m 10 "http://[::ffff:140.82.112.3]:9999"; echo "curl rc=$?"
		curl -gsS -m 10 http://rebind-mapped.example:9999; echo "rebind rc=$?"'
	expect [ "$(grep -Ec $'\tEPERM$' <<<"$output")" = 5 ]
	expect [ "$(grep -Ec $'\tok$' <<<"$output")" = 5 ]
	expect_match "$output" 'curl rc=7'
	expect_match "$output" 'rebind rc=(6|7)'
	expect_no_packet 140.82.112.3 ::ffff:140.82.112.3 64:ff9b::8c52:7003
	expect_packet 203.0.113.10
	matrix_close v4-mapped "EPERM, no packet" "connect"
}

@test "deny by name survives cut answers: the rest of the addresses comes by TCP" {
	matrix_open cut-answers
	world_dns_mode '* truncate name=github.com'
	fence
	visit http://140.82.112.3:8080 http://ok.example
	expect_match "$output" 'http://140\.82\.112\.3:8080 rc=7'
	expect_match "$output" 'http://ok\.example rc=0'
	expect_no_packet 140.82.112.3
	matrix_close cut-answers "EPERM, no packet" "own questions by TCP"
}

@test "deny by name survives LOCALDOMAIN: a wildcard of it does not answer" {
	matrix_open localdomain
	printf '%s\n' 'block github.com' | policy names
	job_start "${PROBES[@]}" -e LOCALDOMAIN=corp.example -a deployfence.policy=names -- sleep 1000
	world_mark
	visit http://github.com
	expect_match "$output" 'http://github\.com rc=6'
	expect_no_packet 203.0.113.30
	visit http://wiki
	expect_match "$output" 'http://wiki rc=0' # the twin: there is such a wildcard
	matrix_close localdomain "NXDOMAIN, no packet" "names without the suffix"
}
