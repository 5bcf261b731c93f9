#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Search lists as Kubernetes writes them, with ndots 5 and with wildcards: what is refused is not found by a detour, what is
# allowed is found, whatever a refusal looks like.

load ../lib/ground
load common

# The wildcards answer for everything below them, so that any name that slips through has an address.
setup_file() {
	export DF_ZONE=$DF_HOST/search.zone
	cat >"$DF_ZONE" <<-'ZONE'
		db.prod.svc.cluster.test        A      203.0.113.41
		api.svc.cluster.test            A      203.0.113.42
		git.lan.test                    A      203.0.113.43
		*.wild.test                     A      203.0.113.66
		*.wild.test                     AAAA   2001:db8:66::1
		*.deep.wild.test                A      203.0.113.67
		wiki.wild.test                  A      203.0.113.44
		*.learn.example                 A      203.0.113.45
	ZONE
	world_up && image_import && image_build || return
	product_install
}

# One line "CLIENT NAME rc=STATUS OUTPUT" for each client that uses the search list.
ASK='ask() {
	for name in "$@"; do
		try "getent $name" getent ahosts $name
		try "musl $name" mclient-musl $name
		try "python $name" python3 -c "import socket, sys; print(socket.gethostbyname(sys.argv[1]))" $name
		try "dig $name" dig +search +noall +comments +answer $name
		try "curl $name" curl -sS -m 10 http://$name
	done
}
try() { client=$1; shift; "$@" >/tmp/out 2>&1; echo "$client rc=$? $(tr "\n\t" "  " </tmp/out)"; }
'

in_search() { # POLICY SCRIPT: in a container of Kubernetes' habits, $SEARCH its search list
	local domain options=()
	for domain in $SEARCH; do options+=(-s "$domain"); done
	# musl takes REFUSED for no answer, and waits for another one
	options+=(-o --dns-option=ndots:5 -o --dns-option=timeout:1 -o --dns-option=attempts:1)
	job "${options[@]}" -a "deployfence.policy=$1" -- sh -c "$ASK$2"
	expect [ "$status" = 0 ]
	# neither the name that is blocked nor what a wildcard has for it
	refute_match "$output" '140\.82|2606:50c0|203\.0\.113\.6[67]|2001:db8:66|timed out|rc=28'
}

# Every client has no address for these names, or the unspecified one.
expect_none() { # NAME…
	local name
	for name in "$@"; do
		if [ "$REFUSE" = sinkhole ]; then
			expect_match "$output" "(^|"$'\n'")getent $name rc=0 (0\.0\.0\.0|::) "
			expect_match "$output" $'\n'"musl $name rc=0 (0\.0\.0\.0|::)"
			expect_match "$output" $'\n'"python $name rc=0 0\.0\.0\.0"
			expect_match "$output" $'\n'"curl $name rc=7 "
		else
			expect_match "$output" "(^|"$'\n'")getent $name rc=2 "
			expect_match "$output" $'\n'"musl $name rc=1 "
			expect_match "$output" $'\n'"python $name rc=1 "
			expect_match "$output" $'\n'"curl $name rc=6 "
		fi
		# no such name, or none with an address: neither is to be tried again
		[ "$REFUSE" != nxdomain ] || expect_match "$output" $'\n'"python $name rc=1 [^"$'\n'"]*Errno -[25]\]"
	done
}

expect_address() { # NAME ADDRESS
	local client
	for client in getent musl python dig curl; do
		expect_match "$output" "(^|"$'\n'")$client $1 rc=0 [^"$'\n'"]*${2//./\\.}"
	done
}

blocked_with() { # STATEMENT
	REFUSE=${1#* }
	policy_sealed search "refuse-dns $REFUSE"
	SEARCH='prod.svc.cluster.test svc.cluster.test cluster.test lan.test'
	in_search search 'ask github.com api.github.com github.com. db api.svc git ok.example'
	expect_none github.com api.github.com github.com.
	refute world_dns_log ' ([a-z]*\.)?github\.com'
	expect_address db 203.0.113.41
	expect_address api.svc 203.0.113.42
	expect_address git 203.0.113.43
	expect_address ok.example 203.0.113.10
}
@test "ndots 5, refuse-dns nxdomain: blocked at once, everything else found" { blocked_with 'refuse-dns nxdomain'; }
@test "ndots 5, refuse-dns refused: blocked at once, everything else found" { blocked_with 'refuse-dns refused'; }
@test "ndots 5, refuse-dns sinkhole: blocked at once, everything else found" { blocked_with 'refuse-dns sinkhole'; }

wildcard_with() { # ANSWER
	REFUSE=$1
	policy_sealed search "refuse-dns $REFUSE"
	SEARCH='svc.cluster.test cluster.test wild.test deep.wild.test'
	in_search search 'ask github.com api.github.com; ask wiki api.svc'
	expect_none github.com api.github.com
	refute world_dns_log ' ([a-z]*\.)?github\.com'
	expect_address wiki 203.0.113.44
	expect_event '.event == "dns_blocked" and .reason == "FromSearchList" and (.domain | test("^github.com.(svc.cluster|wild).test.$"))'
}
@test "ndots 5 and wildcards, refuse-dns nxdomain: the wildcard does not answer for the blocked name" { wildcard_with nxdomain; }
@test "ndots 5 and wildcards, refuse-dns refused: the wildcard does not answer for the blocked name" { wildcard_with refused; }
@test "ndots 5 and wildcards, refuse-dns sinkhole: the wildcard does not answer for the blocked name" { wildcard_with sinkhole; }

@test "rules for names below a search domain: wildcard, hole and the bare name" {
	policy domain <<-'POLICY'
		mode enforce
		block *.wild.test
		allow =wiki.wild.test
		block =git.lan.test
		pin-blocked no
	POLICY
	local SEARCH='wild.test lan.test' REFUSE=nxdomain
	in_search domain 'ask wiki git anything x.deep git.lan.test.'
	expect_address wiki 203.0.113.44
	expect_none git anything x.deep
	expect_match "$output" $'\ngetent git\.lan\.test\. rc=2 '
	refute world_dns_log ' (((git|anything|x\.deep)\.wild)|git\.lan)\.test '
}

@test "a name that is blocked with its search domain is free without it" {
	policy domain <<-'POLICY'
		mode enforce
		block ok.example.lan.test
		pin-blocked no
	POLICY
	local SEARCH='lan.test'
	in_search domain 'ask ok.example; try full getent ahosts ok.example.lan.test.'
	expect_address ok.example 203.0.113.10
	expect_match "$output" $'\nfull rc=2 '
}

@test "no search list, or one that is the root: names are as they are" {
	policy_sealed search
	local SEARCH=. REFUSE=nxdomain
	in_search search 'ask github.com ok.example; try wiki getent ahosts wiki'
	expect_none github.com
	expect_address ok.example 203.0.113.10
	expect_match "$output" $'\nwiki rc=2 '
}

# Under default deny each name of these is refused with all its suffixes.
deny_of() { # STATEMENT…
	printf '%s\n' 'mode enforce' 'default deny' 'on-leak all warn' "$@" | policy deny
}

# What the container's stderr has, one name a line, in their order.
shown() {
	grep -o ' domain=[^ ]*' <<<"$stderr" | cut -d = -f 2
}

in_deny() { # SCRIPT
	local domain options=()
	for domain in $SEARCH; do options+=(-s "$domain"); done
	job "${options[@]}" -o "--dns-option=ndots:${NDOTS:-5}" -o --dns-option=timeout:1 -a deployfence.policy=deny \
		-v "$BATS_TEST_DIRNAME/probe.py:/probe.py:ro" -- sh -c "$1"
	expect_fence_gone
}

@test "default deny: attempts of the search list hide no refusal, and are counted apart" {
	local SEARCH='prod.svc.cluster.test svc.cluster.test cluster.test lan.test' report
	deny_of 'allow *.learn.example' 'allow ok.example'
	# 80 commands with a name that is allowed, 320 attempts: and then the refusal that somebody must see
	in_deny 'for i in $(seq 40); do getent hosts n$i.learn.example; getent ahostsv4 ok.example; done >/dev/null
		getent hosts forgotten.example; getent ahosts forgotten2.example; python3 /probe.py lookup forgotten3.example 2; exit 0'
	expect [ "$(shown | sort -u)" = $'forgotten.example.\nforgotten2.example.\nforgotten3.example.' ]
	expect [ "$(shown | wc -l)" = 3 ]
	refute_event '.domain == "forgotten.example." and .search'
	expect_event '.event == "dns_blocked" and .domain == "forgotten.example.lan.test." and .search and .blocked'
	expect_event '.event == "dns_blocked" and .domain == "ok.example.prod.svc.cluster.test." and .search'
	refute_event '(.domain // "" | endswith(".test.")) and .event == "dns_blocked" and (.search | not)'
	expect_event '.event == "stop" and (.message | test("queries, 3 refused|queries, [3-9] refused")) and (.message | test("[0-9]+ attempts of the search list besides"))'
	expect_match "$(event_texts)" 'domain=ok\.example\.lan\.test\. [^'$'\n'']* search=true'
	report=$(deployfence report "$(job_id)")
	refute_match "$report" 'cluster\.test|lan\.test'
	expect_match "$report" 'search-attempts [0-9]+'
	deployfence report --format json "$(job_id)" >"$BATS_TEST_TMPDIR/report.json"
	/usr/bin/python3 "$DF_LIB/validate_json.py" "$DF_LIB/../../docs/report.schema.json" "$BATS_TEST_TMPDIR/report.json"
	expect [ "$(jq '.containers[0].search_attempts' "$BATS_TEST_TMPDIR/report.json")" -ge 320 ]
	expect [ "$(jq -c '[.containers[0].domains[] | select(.verdict == "blocked").domain] | unique' "$BATS_TEST_TMPDIR/report.json")" = \
		'["forgotten.example.","forgotten2.example.","forgotten3.example."]' ]
	deployfence report --summary --format json "$(job_id)" >"$BATS_TEST_TMPDIR/summary.json"
	/usr/bin/python3 "$DF_LIB/validate_json.py" "$DF_LIB/../../docs/report.schema.json" "$BATS_TEST_TMPDIR/summary.json"
	expect [ "$(jq .search_attempts "$BATS_TEST_TMPDIR/summary.json")" -ge 320 ]
}

@test "default deny: every client's order of a search list, with ndots 1 and 5" {
	local SEARCH='svc.cluster.test lan.test' NDOTS client
	deny_of 'allow ok.example'
	for NDOTS in 1 5; do
		for client in 'getent hosts' 'getent ahosts' mclient-musl 'dig +search +short' 'curl -s -m 10' \
			'python3 -c "import socket, sys; socket.gethostbyname(sys.argv[1])"'; do
			echo "ndots $NDOTS, $client"
			rm -rf "$RUNDIR"
			in_deny "$client ok.example; $client forgotten.example; exit 0"
			expect [ "$(shown | sort -u)" = forgotten.example. ]
		done
	done
}

@test "default deny: a name below the search domain that is refused is shown, whoever asks for it and how" {
	local SEARCH='prod.svc.cluster.test svc.cluster.test'
	deny_of 'allow ok.example'
	# with a dot at its end, and as a deploy that ends with it
	in_deny 'getent hosts db.stage.svc.cluster.test.'
	expect [ "$(shown)" = db.stage.svc.cluster.test. ]
	in_deny 'exec getent hosts db.prod.svc.cluster.test.'
	expect [ "$(shown)" = db.prod.svc.cluster.test. ]
	# as the name that it is, after the list had its turn
	in_deny 'getent hosts db.stage.svc.cluster.test; exit 0'
	expect [ "$(shown)" = db.stage.svc.cluster.test. ]
	expect_event '.domain == "db.stage.svc.cluster.test.prod.svc.cluster.test." and .search'
	refute_event '.domain == "db.stage.svc.cluster.test." and .search'
}

@test "default deny in audit: attempts of the search list are marked there, too" {
	local SEARCH='svc.cluster.test lan.test'
	printf '%s\n' 'mode audit' 'default deny' 'allow ok.example' | policy deny
	in_deny 'getent hosts ok.example; getent hosts other.example; exit 0'
	expect_event '.domain == "ok.example.svc.cluster.test." and .search and .would_block'
	expect_event '.domain == "other.example." and .would_block and (.search | not)'
	expect_event '.domain == "other.example.lan.test." and .would_block and .search'
}

# --- search lists that resolv.conf does not have

@test "LOCALDOMAIN is a search list, too: a wildcard of it does not answer for a blocked name" {
	local options try='ask github.com ok.example'
	policy_sealed search
	for options in '-e LOCALDOMAIN=wild.test' '-s lan.test -e LOCALDOMAIN=wild.test' \
		'-s wild.test -e LOCALDOMAIN=lan.test' '-e LOCALDOMAIN=lan.test -e RES_OPTIONS=ndots:4' \
		'-s . -o --hostname=web.wild.test'; do
		echo "$options"
		# shellcheck disable=SC2086 # words
		job $options -- sh -c "${ASK}ask github.com"
		expect_match "$output" '140\.82\.112\.3' # the twin: there is such a name
		# shellcheck disable=SC2086
		job $options -a deployfence.policy=search -- sh -c "$ASK$try"
		refute_match "$output" '203\.0\.113\.6[67]|140\.82'
		expect_match "$output" $'\ncurl ok\.example rc=0'
	done
	# the twin without a fence, for a name that is only there with the suffix
	job -e LOCALDOMAIN=wild.test -- getent ahostsv4 nowhere
	expect_match "$output" '203\.0\.113\.66'
	job -s . -o --hostname=web.wild.test -- getent ahostsv4 nowhere
	expect_match "$output" '203\.0\.113\.66'
	# hostile ones: too long, too many, no names
	local long
	long=$(printf 'd%d.example ' {1..500})
	job -e "LOCALDOMAIN=wild.test $long" -a deployfence.policy=search -- sh -c "$ASK$try"
	refute_match "$output" '203\.0\.113\.6[67]|140\.82'
	# glibc itself aborts over such a list; others do not read it
	job -e "LOCALDOMAIN=$(printf 'x%.0s' {1..300}) .. . wild.test" -e 'RES_OPTIONS=ndots:99999999999' -a deployfence.policy=search -- \
		sh -c 'mclient-musl ok.example; dig +short github.com.wild.test'
	expect_match "$output" '203\.0\.113\.10'
	refute_match "$output" '203\.0\.113\.6[67]|140\.82'
}

@test "default deny: attempts of LOCALDOMAIN's list are no refusals" {
	local SEARCH=lan.test
	deny_of 'allow ok.example'
	job -s lan.test -e 'LOCALDOMAIN=svc.cluster.test cluster.test' -e RES_OPTIONS=ndots:4 -a deployfence.policy=deny -- \
		sh -c 'getent hosts ok.example; getent hosts forgotten.example; exit 0'
	expect [ "$(shown)" = forgotten.example. ]
}
