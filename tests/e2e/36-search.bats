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
