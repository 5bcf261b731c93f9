#!/bin/bash
# The world outside the test host: one network namespace that answers for every address. Needs host.bash's ground.
#
#   world_up                     resolvers and servers run; once per bats file, in setup_file
#   world_down
#   world_mark                   from here on …
#   world_dns_log [REGEX]        … queries that reached a resolver (servers/dns.py says what a line is)
#   world_web_log [REGEX]        … requests and connections that reached a server (servers/web.py)
#   world_dns_mode LINE…         changes how resolvers behave (servers/dns.py --control); without a line: honest again
#   world_sniff_up               from now on packets of containers are recorded, too (servers/sniff.py says what a line is)
#   world_sniff_down             … no more; world_down does that as well
#   world_packets [REGEX]        … that arrived at the world's interface since world_mark
#   near_packets [REGEX]         … that left a container by its link, wherever they went
#   left_packets [REGEX]         … of these, without neighbour discovery and questions to DF_DNS4 and DF_DNS6
#
# DF_ZONE=FILE has more names for the resolvers, in the syntax of servers/zone.
# DF_NEAR=NAME puts the near end into a network namespace NAME of its own instead of the private host: for the
# demonstration on a machine whose network is not to be touched.
#
# Exported: DF_WORLD (directory: ca.pem, dns.log, web.log, sniff.log), DF_DNS4 and DF_DNS6 (two resolvers each, words).
# The host reaches the world by its default routes; containers of any network reach it through the host.

export DF_DNS4="10.89.53.1 10.89.53.2" DF_DNS6="fd00:53::1 fd00:53::2"

world_up() {
	[ -n "${DF_HOST:-}" ] || { echo "net.bash: not inside df_host_enter" >&2 && return 1; }
	export DF_WORLD=${DF_WORLD:-$DF_HOST/world}
	mkdir -p "$DF_WORLD"
	: >"$DF_WORLD/dns.control"
	: >>"$DF_WORLD/dns.log"
	: >>"$DF_WORLD/web.log"
	world_network || return
	world_certificates || return
	world_start dns --zone "$DF_LIB/servers/zone" ${DF_ZONE:+--zone "$DF_ZONE"} --control "$DF_WORLD/dns.control"
	world_start web --cert "$DF_WORLD/server.pem" --key "$DF_WORLD/server.key"
	world_wait_ready
	world_mark
}

world_near() { # ip's options for the near end
	[ -z "${DF_NEAR:-}" ] || printf '%s\n' -n "$DF_NEAR"
}

world_network() {
	local address near
	mapfile -t near < <(world_near)
	[ -z "${DF_NEAR:-}" ] || ip netns add "$DF_NEAR" || return
	ip netns add world || return
	nsenter --net=/run/netns/world sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
	ip "${near[@]}" link add world address 02:00:00:00:53:fe type veth peer name host0 address 02:00:00:00:53:01 netns world
	ip "${near[@]}" link set lo up
	ip "${near[@]}" addr add 10.89.53.254/24 dev world
	ip "${near[@]}" addr add fd00:53::fe/64 dev world nodad
	ip "${near[@]}" link set world up
	ip -n world link set lo up
	for address in $DF_DNS4; do ip -n world addr add "$address/24" dev host0; done
	for address in $DF_DNS6; do ip -n world addr add "$address/64" dev host0 nodad; done
	ip -n world link set host0 up
	# A solicitation sent while the link comes up can be lost, and the next one follows a second later.
	for address in $DF_DNS4 $DF_DNS6; do
		ip "${near[@]}" neigh add "$address" lladdr 02:00:00:00:53:01 dev world
	done
	for address in 10.89.53.254 fd00:53::fe; do
		ip -n world neigh add "$address" lladdr 02:00:00:00:53:fe dev host0
	done
	# Every other address is this machine's, too; in the main table, so that narrower routes win.
	ip -n world route add local 0.0.0.0/0 dev lo table main
	ip -n world -6 route add local ::/0 dev lo table main
	ip -n world route add 10.88.0.0/14 via 10.89.53.254
	ip -n world -6 route add fd00::/16 via fd00:53::fe
	ip "${near[@]}" route add default via 10.89.53.1
	ip "${near[@]}" -6 route add default via fd00:53::1
}

world_certificates() {
	local names # a wildcard right below a top-level domain is not accepted, so every name of the zone
	names=$(cat "$DF_LIB/servers/zone" ${DF_ZONE:+"$DF_ZONE"} |
		awk '!/^#/ && /^[a-z0-9*]/ && $2 !~ /\*/ && !seen[$1]++ { printf "DNS:%s,", $1 }')
	# those of an earlier test file do, if its zone has the same names
	[ ! -e "$DF_WORLD/server.pem" ] || [ "$names" != "$(cat "$DF_WORLD/server.names")" ] || return 0
	echo "$names" >"$DF_WORLD/server.names"
	(
		cd "$DF_WORLD" || exit
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=deployfence test CA" \
			-keyout ca.key -out ca.pem
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=world" -keyout server.key -out server.csr
		openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out server.pem \
			-extfile <(echo "subjectAltName=${names%,}")
	) >"$DF_WORLD/openssl.log" 2>&1 || { cat "$DF_WORLD/openssl.log" >&2; return 1; }
}

world_start() { # SERVER [ARGUMENT]…
	local server=$1 where=/run/netns/world
	shift
	[ "$server" != sniff ] || where= # it enters the world itself
	rm -f "$DF_WORLD/$server.ready"
	( # closes what bats gave it, or bats waits for it
		if [ -n "${DF_CGROUP2:-}" ]; then
			mkdir -p "$DF_CGROUP2/world"
			echo 0 >"$DF_CGROUP2/world/cgroup.procs"
		fi
		exec ${where:+nsenter "--net=$where"} /usr/bin/python3 "$DF_LIB/servers/$server.py" --log "$DF_WORLD/$server.log" \
			--ready "$DF_WORLD/$server.ready" "$@" </dev/null >>"$DF_WORLD/$server.err" 2>&1 3>&- 4>&-
	) &
	disown
}

world_wait_ready() { # [SERVER]…
	local server
	[ $# != 0 ] || set -- dns web
	for server in "$@"; do
		for _ in {1..250}; do
			[ ! -s "$DF_WORLD/$server.ready" ] || continue 2
			sleep 0.02
		done
		echo "net.bash: the $server server does not start:" >&2
		cat "$DF_WORLD/$server.err" >&2
		return 1
	done
}

world_stop() { # SERVER…
	local server pid
	for server in "$@"; do
		pid=$(cat "$DF_WORLD/$server.ready" 2>/dev/null) || continue
		kill "$pid" 2>/dev/null || true
		while kill -0 "$pid" 2>/dev/null; do sleep 0.01; done
		rm -f "$DF_WORLD/$server.ready"
	done
}

world_down() {
	world_stop sniff dns web
	[ -n "${DF_NEAR:-}" ] || ip link del world 2>/dev/null || true
	ip netns del world 2>/dev/null || true
	[ -z "${DF_NEAR:-}" ] || ip netns del "$DF_NEAR" 2>/dev/null || true
}

world_mark() {
	DF_DNS_MARK=$(($(wc -l <"$DF_WORLD/dns.log") + 1))
	DF_WEB_MARK=$(($(wc -l <"$DF_WORLD/web.log") + 1))
	DF_SNIFF_MARK=1
	if world_sniff_flush; then
		DF_SNIFF_MARK=$(($(wc -l <"$DF_WORLD/sniff.log") + 1))
	fi
	export DF_DNS_MARK DF_WEB_MARK DF_SNIFF_MARK
}

world_dns_log() {
	tail -n "+$DF_DNS_MARK" "$DF_WORLD/dns.log" | grep -E -- "${1:-}"
}

world_web_log() {
	tail -n "+$DF_WEB_MARK" "$DF_WORLD/web.log" | grep -E -- "${1:-}"
}

world_dns_mode() {
	[ $# = 0 ] || printf '%s\n' "$@" >"$DF_WORLD/dns.control.new"
	[ $# != 0 ] || : >"$DF_WORLD/dns.control.new"
	mv "$DF_WORLD/dns.control.new" "$DF_WORLD/dns.control"
}

# --- what containers sent

world_sniff_up() {
	: >>"$DF_WORLD/sniff.log"
	world_start sniff
	world_wait_ready sniff && world_mark
}

world_sniff_down() {
	world_stop sniff
}

# Until everything that was sent before this call is in the log. Status 1: nobody listens.
world_sniff_flush() {
	local number=$BASHPID.$EPOCHREALTIME
	[ -s "$DF_WORLD/sniff.ready" ] || return 1
	echo "sniff-mark $number" >/dev/udp/10.89.53.1/9
	for _ in {1..500}; do
		[ "$(tail -n 500 "$DF_WORLD/sniff.log" | grep -c "^MARK [a-z]* $number\$")" -lt 2 ] || return 0
		sleep 0.01
	done
	echo "net.bash: the packets of the world are not recorded" >&2
	return 1
}

world_packets() {
	sniffed far "${1:-}"
}

near_packets() {
	sniffed near "${1:-}"
}

sniffed() { # SIDE REGEX
	world_sniff_flush || return
	tail -n "+$DF_SNIFF_MARK" "$DF_WORLD/sniff.log" | grep -E "^[0-9.]+ $1 " | grep -E -- "$2"
}

# ICMPv6 133 to 137 are neighbour discovery, 130 to 132 and 143 multicast listeners (as IGMP, 2).
left_packets() {
	sniffed near '' | grep -Ev "^[^ ]+ near [^ ]+ (ARP|2|ICMPv6 [^ ]+ [^ ]+ [^ ]*type=(13[0-7]|143)) " |
		grep -Ev " (UDP|TCP) [^ ]+ ($(echo "$DF_DNS4 $DF_DNS6" | tr ' ' '|'))#53 " | grep -E -- "${1:-}"
}
