#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# Clients that bring a resolver of their own, and caches between client and resolver. Each finds an allowed name, fails at
# once on a blocked one, and waits for nothing; one that is not on this machine is skipped.

load ../lib/ground
load common

setup_file() {
	world_up && image_import && image_build || return
	product_install
	more_up
}

# One line "NAME rc=STATUS OUTPUT" for each command; a client that is still at it after 4 s waits for a time-out.
TRY='try() {
	name=$1; shift
	LD_LIBRARY_PATH=/more/lib timeout 4 "$@" >/tmp/out 2>&1; echo "$name rc=$? $(tr "\n\t" "  " </tmp/out)"
}
'

watched() { # [JOB-OPTION]… -- SCRIPT
	local options=()
	while [ "$1" != -- ]; do options+=("$1") && shift; done
	policy_sealed sealed
	job "${options[@]}" -a deployfence.policy=sealed -v "$MORE:/more:ro" -- sh -c "$TRY$2"
	expect [ "$status" = 0 ]
	refute_match "$output" 'rc=(124|143) '
}

audited() { # [JOB-OPTION]… -- SCRIPT
	watched -a deployfence=audit "$@"
}

fenced() { # [JOB-OPTION]… -- SCRIPT
	watched "$@"
	refute_match "$output" '140\.82|2606:50c0|[Tt]imed out|ETIMEO?D?OUT'
	refute world_dns_log ' ([a-z]*\.)?github\.com '
}

@test "python: every function of the socket module" {
	fenced -- '
		for host in ok.example github.com; do
			for call in "getaddrinfo(host, 80)" "getaddrinfo(host, None, socket.AF_INET6)" "gethostbyname_ex(host)" \
				"create_connection((host, 80), 3).getpeername()" "getfqdn(host)"; do
				try "$host ${call%%(*}" python3 -c "import socket; host = \"$host\"; print(socket.$call)"
			done
			try "$host asyncio" python3 -c "import asyncio; print(asyncio.run(asyncio.open_connection(\"$host\", 80))[1])"
			try "$host urllib" python3 -c "import urllib.request as r; print(r.urlopen(\"http://$host\", timeout=3).read())"
		done'
	expect [ "$(grep -c '^ok\.example [a-z_]* rc=0 ' <<<"$output")" = 7 ]
	expect_match "$output" $'\nok\.example urllib rc=0 [^\n]*hello from ok\.example'
	expect [ "$(grep -c '^github\.com [a-z_]* rc=1 .*Errno -2\] Name or service not known' <<<"$output")" = 6 ]
	expect_match "$output" $'\ngithub\.com getfqdn rc=0 github\.com'
}

@test "apt-get update: the blocked mirror could not be resolved, the other one answers" {
	more apt /usr/bin/apt-get
	mkdir -p "$MORE/methods"
	cp /usr/lib/apt/methods/{http,store,gpgv,file,copy} "$MORE/methods/"
	more_libraries /usr/lib/apt/methods/http
	cat >"$MORE/apt.conf" <<-'CONF'
		Dir::Etc "/tmp/apt";
		Dir::State "/tmp/apt/state";
		Dir::Cache "/tmp/apt/cache";
		Dir::Log "/tmp/apt";
		Dir::Bin::methods "/more/methods";
		APT::Sandbox::User "root";
		Acquire::Retries "0";
		Acquire::Languages "none";
	CONF
	printf '%s\n' "APT::Architecture \"$(dpkg --print-architecture)\";" "APT::Architectures \"$(dpkg --print-architecture)\";" \
		>>"$MORE/apt.conf"
	fenced -v /usr/share/dpkg:/usr/share/dpkg:ro -e APT_CONFIG=/more/apt.conf -- '
		mkdir -p /tmp/apt/apt.conf.d /tmp/apt/preferences.d /tmp/apt/state/lists/partial /tmp/apt/cache/archives/partial; : >/tmp/apt/state/status
		for host in github.com ok.example; do
			echo "deb [trusted=yes] http://$host/debian stable main" >/tmp/apt/sources.list
			try "$host" /more/apt-get -o Dir::State::status=/tmp/apt/state/status update
		done'
	expect_match "$output" $'github\.com rc=[0-9]* [^\n]*Could not resolve .github\.com'
	# the page is no repository, but it is there
	expect_match "$output" $'\nok\.example rc=[0-9]* '
	refute_match "$output" "Could not resolve .ok"
	world_web_log ' GET /debian/dists/stable/InRelease host=ok\.example'
	refute world_web_log 'host=github'
}

@test "c-ares, through python3-pycares" {
	local package
	for package in pycares cffi idna; do
		[ -d "/usr/lib/python3/dist-packages/$package" ] || [ "$package" != pycares ] || skip "package python3-pycares is not installed"
		[ ! -d "/usr/lib/python3/dist-packages/$package" ] || cp -r "/usr/lib/python3/dist-packages/$package" "$MORE/"
	done
	find /usr/lib/python3/dist-packages -maxdepth 1 -name '_cffi_backend*.so' -exec cp -t "$MORE" {} +
	more_libraries "$MORE"/pycares/*.so "$MORE"/_cffi_backend*.so
	cat >"$MORE/cares.py" <<-'PY'
		import select, sys, pycares
		channel = pycares.Channel()
		def show(result, error):
		    print(result if error is None else pycares.errno.errorcode[error])
		def wait():
		    while True:
		        reading, writing = channel.getsock()
		        if not reading and not writing:
		            return
		        can_read, can_write, _ = select.select(reading, writing, [], channel.timeout())
		        for fd in can_read: channel.process_fd(fd, pycares.ARES_SOCKET_BAD)
		        for fd in can_write: channel.process_fd(pycares.ARES_SOCKET_BAD, fd)
		        if not can_read and not can_write: channel.process_fd(pycares.ARES_SOCKET_BAD, pycares.ARES_SOCKET_BAD)
		import socket
		for kind in (pycares.QUERY_TYPE_A, pycares.QUERY_TYPE_AAAA, pycares.QUERY_TYPE_MX):
		    channel.query(sys.argv[1], kind, show)
		    wait()
		channel.gethostbyname(sys.argv[1], socket.AF_INET, show)
		wait()
	PY
	fenced -e PYTHONPATH=/more -- 'for host in ok.example github.com; do try $host python3 /more/cares.py $host; done'
	expect_match "$output" $'ok\.example rc=0 [^\n]*203\.0\.113\.10[^\n]*2001:db8:80::10[^\n]*mail\.ok\.example[^\n]*203\.0\.113\.10'
	expect_match "$output" $'\ngithub\.com rc=0 ARES_ENOTFOUND ARES_ENOTFOUND ARES_ENOTFOUND ARES_ENOTFOUND *$'
}

@test "ldns' drill and libunbound's unbound-host" {
	more ldnsutils /usr/bin/drill
	more unbound-host /usr/bin/unbound-host
	fenced -- '
		for host in ok.example github.com; do
			try "$host drill" /more/drill $host
			try "$host drill-tcp" /more/drill -t $host AAAA
			try "$host drill-dnssec" /more/drill -D $host MX
			try "$host unbound" /more/unbound-host -r $host
		done'
	expect_match "$output" $'(^|\n)ok\.example drill rc=0 [^\n]*NOERROR[^\n]*203\.0\.113\.10'
	expect_match "$output" $'\nok\.example drill-tcp rc=0 [^\n]*2001:db8:80::10'
	expect_match "$output" $'\nok\.example drill-dnssec rc=0 [^\n]*mail\.ok\.example'
	expect_match "$output" $'\nok\.example unbound rc=0 [^\n]*has address 203\.0\.113\.10'
	expect [ "$(grep -c '^github\.com drill[-a-z]* rc=0 .*rcode: NXDOMAIN' <<<"$output")" = 3 ]
	expect_match "$output" $'\ngithub\.com unbound rc=[01] [^\n]*not found: 3\(NXDOMAIN\)'
}

@test "busybox: nslookup, wget, ping and telnet" {
	fenced -c NET_RAW -- '
		for host in ok.example github.com; do
			try "$host nslookup" busybox nslookup $host 10.89.53.2
			try "$host nslookup-mx" busybox nslookup -type=mx $host
			try "$host wget" busybox wget -q -O - http://$host/
			try "$host ping" busybox ping -c 1 -W 2 $host
			try "$host nc" sh -c "echo | busybox nc -w 2 $host 7"
		done'
	expect_match "$output" $'(^|\n)ok\.example nslookup rc=0 [^\n]*203\.0\.113\.10'
	expect_match "$output" $'\nok\.example nslookup-mx rc=0 [^\n]*mail\.ok\.example'
	expect_match "$output" $'\nok\.example wget rc=0 hello from ok\.example'
	expect_match "$output" $'\nok\.example nc rc=0 TCP '
	expect_match "$output" $'\ngithub\.com nslookup rc=1 [^\n]*NXDOMAIN'
	expect_match "$output" $'\ngithub\.com nslookup-mx rc=1 [^\n]*NXDOMAIN'
	expect [ "$(grep -c "^github\.com \(wget\|ping\|nc\) rc=1 .*bad address" <<<"$output")" = 3 ]
}

# podman is the Go program that every machine with these tests has; as a client of a remote service it dials a name.
@test "Go: its own resolver and the one of libc" {
	more podman "$(command -v podman)"
	fenced -- '
		for how in go cgo; do
			for host in ok.example github.com; do
				try "$how $host" env GODEBUG=netdns=$how HOME=/tmp /more/podman --remote --url tcp://$host:80 version
			done
		done'
	for how in go cgo; do
		expect_match "$output" $'(^|\n)'"$how"$' github\.com rc=[0-9]+ [^\n]*lookup github\.com[^\n]*no such host'
		expect_match "$output" $'(^|\n)'"$how ok\.example rc="
	done
	refute_match "$output" 'lookup ok\.example'
	expect [ "$(world_web_log 'host=ok\.example|libpod' | wc -l)" -ge 2 ]
}

@test "Java: the JRE's own InetAddress" {
	local home directory options=()
	home=$(dirname "$(dirname "$(readlink -f "$(command -v keytool)")")") || true
	[ -x "$home/bin/keytool" ] || skip "no Java on this machine"
	for directory in /etc/java-*; do options+=(-v "$directory:$directory:ro"); done
	# it has no shorter program that opens a URL; its own start may take a while
	fenced "${options[@]}" -v "$home:/java:ro" -- '
		timeout() { shift; command timeout 20 "$@"; }
		for host in ok.example github.com; do try "$host" /java/bin/keytool -printcrl -file "http://$host/list"; done'
	expect_match "$output" $'\ngithub\.com rc=1 [^\n]*UnknownHostException: github\.com'
	# the page is no list of certificates, but it is there
	refute_match "$output" 'Exception: ok\.example'
	world_web_log ' GET /list host=ok\.example'
}

@test "node: getaddrinfo, and c-ares as it brings it" {
	local node
	node=$(readlink -f "$(command -v node)") || true
	[ -x "$node" ] || skip "no node on this machine"
	more_libraries "$node"
	fenced -v "$node:/node:ro" -- '
		for host in ok.example github.com; do
			try "$host" /node -e "
				const dns = require(\"dns\"), show = how => (e, a) => console.log(how, e ? e.code : JSON.stringify(a));
				dns.lookup(\"$host\", {all: true}, show(\"lookup\")); dns.resolve4(\"$host\", show(\"resolve4\"));
				dns.resolveMx(\"$host\", show(\"mx\"))"
		done'
	expect_match "$output" $'ok\.example rc=0 [^\n]*lookup [^\n]*203\.0\.113\.10'
	expect_match "$output" $'ok\.example rc=0 [^\n]*resolve4 \["203\.0\.113\.10"\]'
	expect_match "$output" $'\ngithub\.com rc=0 [^\n]*lookup ENOTFOUND'
	expect_match "$output" $'\ngithub\.com rc=0 [^\n]*resolve4 ENOTFOUND'
	expect_match "$output" $'\ngithub\.com rc=0 [^\n]*mx ENOTFOUND'
}

@test "nscd in the container: what it caches went through the fence" {
	more nscd /usr/sbin/nscd
	printf '%s\n' 'enable-cache hosts yes' 'positive-time-to-live hosts 600' 'negative-time-to-live hosts 20' \
		'enable-cache passwd no' 'enable-cache group no' 'persistent hosts no' 'shared hosts no' >"$MORE/nscd.conf"
	fenced -- '
		mkdir -p /var/run/nscd /var/cache/nscd /var/db/nscd
		LD_LIBRARY_PATH=/more/lib /more/nscd -F -f /more/nscd.conf & nscd=$!
		for i in 1 2 3 4 5 6 7 8 9 10; do [ ! -S /var/run/nscd/socket ] || break; sleep 0.1; done
		[ -S /var/run/nscd/socket ] && echo "nscd is there"
		for i in 1 2 3; do try "github.com $i" getent ahosts github.com; try "ok.example $i" getent ahosts ok.example; done
		kill $nscd; sleep 0.2; try "github.com 4" getent ahosts github.com'
	expect_match "$output" $'(^|\n)nscd is there\n'
	expect [ "$(grep -c '^ok\.example . rc=0 .*203\.0\.113\.10' <<<"$output")" = 3 ]
	expect [ "$(grep -c '^github\.com . rc=2 ' <<<"$output")" = 4 ]
	expect [ "$(world_dns_log ' UDP .* ok\.example A ' | wc -l)" = 1 ]
	# who asked is the daemon, and that is what is told
	expect_fence_gone
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .comm == "nscd" and (.cmd | test("nscd -F "))
		and (.ancestry[-1].cmd | startswith("sh -c "))'
	# the twin: once the daemon is gone the client asks itself
	expect_event '.event == "dns_blocked" and .domain == "github.com." and .comm == "getent" and .cmd == "getent ahosts github.com "'
}

# From package systemd-resolved, unpacked rather than installed: that would take over the resolv.conf of this machine.
resolved() { # fenced|audited link|global SCRIPT: an own resolved with 10.89.53.1 for its interface or for all, its stub in resolv.conf
	local program
	for program in "${DF_RESOLVED:-}" /usr/lib/systemd/systemd-resolved "${DF_TEST_CACHE:-/nowhere}"/usr/lib/systemd/systemd-resolved \
		"${DF_TEST_CACHE:-/nowhere}"/lib/systemd/systemd-resolved; do
		[ ! -x "$program" ] || break
	done
	[ -x "$program" ] || skip "systemd-resolved is not here"
	more systemd-resolved "$program"
	local shared
	# the one that was unpacked with it, or else the host's; the name has the version
	shared=$(ldd "$program" | grep -o 'libsystemd-shared-[^ ]*\.so' | head -n 1)
	shared=$(find "$(dirname "$program")/../../usr/lib" /usr/lib -path "*/systemd/${shared:-none}" 2>/dev/null | head -n 1)
	[ -z "$shared" ] || { cp -L "$shared" "$MORE/lib/" && more_libraries "$shared"; }
	# as libnss_resolve asks: by its socket, so that it is resolved alone that asks by DNS
	cat >"$MORE/varlink.py" <<-'PY'
		import json, socket, sys
		sock = socket.socket(socket.AF_UNIX)
		sock.connect("/run/systemd/resolve/io.systemd.Resolve")
		call = {"method": "io.systemd.Resolve.ResolveHostname", "parameters": {"name": sys.argv[1], "family": 2}}
		sock.sendall(json.dumps(call).encode() + b"\0")
		print(sock.recv(65536).decode().rstrip("\0"))
	PY
	"$1" -c NET_RAW -- '
		echo "systemd-resolve:x:101:101::/:/bin/sh" >>/etc/passwd; echo "systemd-resolve:x:101:" >>/etc/group
		mkdir -p /etc/systemd /run/systemd/resolve; chown 101:101 /run/systemd/resolve
		printf "%s\n" "[Resolve]" "FallbackDNS=" LLMNR=no MulticastDNS=no DNSSEC=no >/etc/systemd/resolved.conf
		if [ '"$2"' = link ]; then # as networkd tells it
			mkdir -p /run/systemd/netif/links
			printf "%s\n" ADMIN_STATE=configured OPER_STATE=routable DNS=10.89.53.1 \
				>/run/systemd/netif/links/$(cat /sys/class/net/eth0/ifindex)
		else
			echo DNS=10.89.53.1 >>/etc/systemd/resolved.conf
		fi
		LD_LIBRARY_PATH=/more/lib /more/systemd-resolved >/tmp/resolved.log 2>&1 & resolved=$!
		for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
			[ ! -e /run/systemd/resolve/stub-resolv.conf ] || break; sleep 0.1
		done
		cat /run/systemd/resolve/stub-resolv.conf >/etc/resolv.conf && echo "resolved is there" || cat /tmp/resolved.log
		'"$3"'
		kill $resolved; sed "s/^/log: /" /tmp/resolved.log'
	expect_match "$output" $'(^|\n)resolved is there\n'
}

@test "systemd-resolved in the container: through its stub on 127.0.0.53, and what it asks itself" {
	resolved fenced global '
		for host in ok.example github.com alias.example; do
			try "$host getent" getent ahosts $host
			try "$host stub" dig +tries=1 @127.0.0.53 $host
			try "$host curl" curl -sS -m 10 http://$host
			try "$host varlink" python3 /more/varlink.py $host
		done'
	expect_match "$output" $'\nok\.example getent rc=0 203\.0\.113\.10'
	expect_match "$output" $'\nok\.example stub rc=0 [^\n]*203\.0\.113\.10'
	expect_match "$output" $'\nok\.example curl rc=0 hello'
	expect_match "$output" $'\nok\.example varlink rc=0 [^\n]*"address":\[203,0,113,10\]'
	expect [ "$(grep -c '^\(github\.com\|alias\.example\) getent rc=2 ' <<<"$output")" = 2 ]
	expect [ "$(grep -c '^\(github\.com\|alias\.example\) curl rc=6 ' <<<"$output")" = 2 ]
	expect [ "$(grep -c '^\(github\.com\|alias\.example\) varlink rc=0 .*"error":' <<<"$output")" = 2 ]
	expect_match "$output" $'\ngithub\.com stub rc=0 [^\n]*NXDOMAIN'
	expect_event '.event == "dns_blocked" and .domain == "github.com." and (.cmd | test("systemd-resolved"))'
}

# For the server of an interface it sets IP_UNICAST_IF: no redirect reaches its UDP, which fails at once and never passes;
# so it goes on by TCP, which is redirected and judged.
@test "systemd-resolved with the server of an interface: UDP is an error, TCP is fenced, nothing passes by" {
	resolved fenced link '
		for host in ok.example github.com; do
			try "$host getent" getent ahosts $host
			try "$host varlink" python3 /more/varlink.py $host
		done'
	expect_match "$output" $'\ngithub\.com getent rc=2 '
	expect_match "$output" $'\ngithub\.com varlink rc=0 [^\n]*"error":'
	expect_match "$output" $'\nok\.example varlink rc=0 [^\n]*("error":|"address":\\[203,0,113,10\\])'
	refute world_dns_log ' github\.com '
	# what came to a resolver came from the fence, which is there to refuse the next name
	expect_event '.event == "dns_blocked" and .domain == "github.com." and (.cmd | test("systemd-resolved"))'
	expect_event '.event == "connect_blocked" and .reason == "BoundDevice" and (.cmd | test("systemd-resolved"))'
}

# Its socket is bound to the interface while it connects (and has IP_UNICAST_IF): in audit that passes as it is.
@test "systemd-resolved with the server of an interface, in audit: both names resolve, by UDP as without a fence" {
	resolved audited link '
		for host in ok.example github.com; do
			try "$host getent" getent ahosts $host
			try "$host varlink" python3 /more/varlink.py $host
		done'
	expect_match "$output" $'\nok\.example getent rc=0 203\.0\.113\.10'
	expect_match "$output" $'\nok\.example varlink rc=0 [^\n]*"address":\\[203,0,113,10\\]'
	expect_match "$output" $'\ngithub\.com getent rc=0 140\.82\.112\.3'
	expect_match "$output" $'\ngithub\.com varlink rc=0 [^\n]*"address":\\[140,82,112,3\\]'
	world_dns_log ' UDP .* github\.com A '
	expect_event '.event == "connect_blocked" and .reason == "BoundDevice" and .would_block and (.cmd | test("systemd-resolved"))'
	refute_event '.blocked == true'
}
