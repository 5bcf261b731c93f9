#!/usr/bin/env bats
# shellcheck disable=SC2154,SC2016,SC2030,SC2031 # job sets output, stderr and status; single-quoted scripts for containers
# DNS that the proxy cannot read: an error at once where policies are enforced, the same octets in audit.

load ../lib/ground
load common

setup_file() {
	export DF_ZONE=$DF_HOST/unreadable.zone
	{
		echo 'two-hundred.example   A*200 198.51.100.1'
		echo 'flood.example         A*4000 198.51.0.1'
		for i in {1..17}; do echo "long$i.example CNAME long$((i + 1)).example"; done
		echo 'long18.example        A 203.0.113.10'
		echo 'cut.example           A 203.0.113.10'
		echo 'zone.example          A 203.0.113.10'
	} >"$DF_ZONE"
	world_up && image_import && image_build || return
	product_install
}

# ask(NAME, MESSAGE, is_tcp): every answer to these octets, in hexadecimal; or what came in their place.
ASK='
import socket, struct
def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"
def question(text, qtype, qclass=1, flags=0x0100, more=b"", id=0x4711):
    return struct.pack("!6H", id, flags, 1, 0, 0, 0) + name(text) + struct.pack("!2H", qtype, qclass) + more
def exactly(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data
def answers(message, is_tcp, count):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM)
    s.settimeout(8)
    s.connect(("10.89.53.1", 53))
    s.sendall(struct.pack("!H", len(message)) + message if is_tcp else message)
    for _ in range(count):
        yield exactly(s, struct.unpack("!H", exactly(s, 2))[0]) if is_tcp else s.recv(65535)
def ask(what, message, is_tcp=False, count=1):
    try:
        for data in answers(message, is_tcp, count):
            print(what, "tcp" if is_tcp else "udp", data.hex() if len(data) < 2000 else f"{len(data)} {hash(data)}")
    except (OSError, EOFError) as error:
        print(what, "tcp" if is_tcp else "udp", type(error).__name__)
A, TXT, ANY, SOA, AXFR = 1, 16, 255, 6, 252
for is_tcp in False, True:
    ask("notify", question("zone.example", SOA, flags=0x2400), is_tcp)
    ask("update", question("zone.example", SOA, flags=0x2800), is_tcp)
    ask("chaos", question("version.bind", TXT, 3), is_tcp)
    ask("huge", question("ok.example", A, more=bytes(5000)), is_tcp)
    ask("loop", question("loop.example", A), is_tcp)
    ask("long", question("long1.example", A), is_tcp)
    ask("cut", question("cut.example", A), is_tcp)
ask("crowd", question("two-hundred.example", A), True)
ask("flood", question("flood.example", A), True)
ask("transfer", question("zone.example", AXFR), True, 3)
ask("plain", question("ok.example", A))
'

unreadable() { # ANNOTATION…
	world_dns_mode '* alias-loop name=loop.example' '* cut name=cut.example' '* transfer name=zone.example'
	job "$@" -- env PYTHONHASHSEED=1 python3 -c "$ASK"
	expect [ "$status" = 0 ]
}

answer() { # WHAT TRANSPORT: of the last job
	awk -v what="$1" -v how="$2" '$1 == what && $2 == how { print $3 }' <<<"$output"
}

@test "audit: what the proxy cannot read passes both ways, octet by octet, and is told" {
	local unfenced
	unreadable -a deployfence=off
	unfenced=$output
	expect [ "$(grep -c 'Error' <<<"$unfenced")" = 0 ]
	expect [ "$(answer transfer tcp | wc -l)" = 3 ]
	unreadable -a deployfence=audit
	diff <(echo "$unfenced") <(echo "$output")
	expect_event '.event == "unobserved" and .reason == "UnreadableQuery" and .ip == "10.89.53.1" and .port == 53 and .count == 1'
	expect_event '.event == "unobserved" and .reason == "UnreadableAnswer" and .message == "passed on unread: the answer about loop.example."'
	expect_event '.event == "query" and .domain == "ok.example."'
	expect_match "$(event_texts)" 'WARN unobserved reason=UnreadableAnswer ip=10\.89\.53\.1 port=53 container='
	refute_event '.blocked == true'
	# a resolver that does not answer: nothing is made up
	world_dns_mode '* dead'
	job -a deployfence=audit -- sh -c 'dig +tries=1 +time=1 version.bind CH TXT; dig +tries=1 +time=1 +tcp version.bind CH TXT; dig +short +time=1 +tries=1 ok.example'
	expect_match "$output" 'timed out.*timed out'
}

@test "enforced: the same is an error at once, and an event, and the next query is fine; other opcodes and classes pass" {
	local how what
	unreadable -a deployfence=enforce
	for how in udp tcp; do
		for what in loop cut; do
			expect_match "$(answer $what $how)" '^4711818200010000' # SERVFAIL, no record
		done
		expect [ "$(answer huge $how)" = 471181010000000000000000 ] # FORMERR
		# what is understood passes, and the resolver answers
		expect_match "$(answer notify $how)" '^4711a4800001000100000000'
		expect_match "$(answer update $how)" '^4711ac800001000100000000'
		expect_match "$(answer chaos $how)" '^47118583000100000001'
	done
	expect_match "$(answer long tcp)" '^4711818200010000'
	expect_match "$(answer crowd tcp)" '^4711818200010000'
	expect_match "$(answer flood tcp)" '^4711818200010000'
	expect [ "$(answer transfer tcp | wc -l)" = 3 ]
	expect_match "$(answer plain udp)" '^4711858000010001.*cb00710a$'
	world_dns_log ' version\.bind '
	expect_match "$(event '.event == "stop"' .message)" ' 9 malformed'
	expect_event '.event == "unreadable" and .reason == "UnreadableQuery" and .ip == "10.89.53.1" and .port == 53 and .count == 1'
	expect_event '.event == "unreadable" and .reason == "UnreadableAnswer" and (.message | test("about loop.example"))'
	refute_event '.event == "unobserved"'
}
