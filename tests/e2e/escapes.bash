#!/bin/bash
# shellcheck disable=SC2154 # job sets output, stderr and status
# What 91-escapes.bats shares with the files beside it: a fence, probes in it, packets that left. Load it after common.

E2E=${BATS_TEST_DIRNAME:?}

escapes_setup_file() {
	export DF_ZONE=$E2E/escapes.zone
	world_up && world_sniff_up && image_import || return
	product_install
	gcc -O1 -static -o "$DF_HOST/bin/uring" "$E2E/uring.c"
}

# Everything that would refuse a probe before the fence does is out of the way: seccomp, and a capability.
# shellcheck disable=SC2034 # for the tests
PROBES=(-c NET_RAW -o --security-opt=seccomp=unconfined -o '--sysctl=net.ipv4.ping_group_range=0 0'
	-v "$DF_HOST/bin/uring:/uring:ro" -v "$E2E/escape.py:/escape.py:ro" -v "$E2E/probe.py:/probe.py:ro"
	-v "$DF_HOST/world/ca.pem:/etc/ca.pem:ro")

packets_to() { # ADDRESS FILE: how many packets there are for it
	awk -v address="$1" '$6 == address || index($6, address "#") == 1 { n++ } END { print n + 0 }' "$2"
}

expect_no_packet() { # ADDRESS…: since world_mark
	local address
	left_packets >"$BATS_TEST_TMPDIR/packets" || true
	for address in "$@"; do
		[ "$(packets_to "$address" "$BATS_TEST_TMPDIR/packets")" != 0 ] || continue
		echo "packets left for $address:"
		grep -F " $address" "$BATS_TEST_TMPDIR/packets" | cut -c 1-200
		expect false
	done
}

expect_packet() { # ADDRESS…: the twin
	local address
	left_packets >"$BATS_TEST_TMPDIR/packets" || true
	for address in "$@"; do
		[ "$(packets_to "$address" "$BATS_TEST_TMPDIR/packets")" = 0 ] || continue
		echo "no packet left for $address"
		expect false
	done
}

# One line of the matrix, which is printed at the end of the file, behind what files before it have.
matrix() { # TECHNIQUE RESULT HOW
	printf '%s\t%s\t%s\n' "$@" >>"$BATS_FILE_TMPDIR/matrix"
}

# The line is there as a failure until its test has ended well.
matrix_open() { # TECHNIQUE
	matrix "$1" FAILED -
}

matrix_close() { # TECHNIQUE RESULT HOW
	sed -i '$d' "$BATS_FILE_TMPDIR/matrix"
	matrix "$@"
}

matrix_print() {
	[ -e "$BATS_FILE_TMPDIR/matrix" ] || return 0
	cat "$BATS_FILE_TMPDIR/matrix" >>"$DF_HOST/matrix"
	{
		printf 'technique\tresult\thow closed\n'
		cat "$DF_HOST/matrix"
	} | awk -F '\t' '{ printf "# %-28s | %-34s | %s\n", $1, $2, $3 }' >&3
}

# A fence whose blocked names have been looked up: from then on their addresses are refused. Sets JOB.
start_pinned() { # ADDRESS JOB-OPTION…
	local address=$1
	shift
	job_start "${PROBES[@]}" "$@" -- sleep 1000
	expect [ "$status" = 0 ]
	job_exec "$JOB" python3 /escape.py until "$address"
	expect [ "$output" = "until refused" ]
	world_mark
}

# shellcheck disable=SC2034 # HELPER is for the tests
# Sockets of somebody outside, handed to whoever connects to PATH: from the host's network namespace and cgroup.
hand_sockets() { # PATH
	/usr/bin/python3 -c '
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
while True:
    client, handed = server.accept()[0], socket.socket()
    socket.send_fds(client, [b"x"], [handed.fileno()])' "$1" 3>&- 4>&- &
	HELPER=$!
	eventually test -S "$1" >/dev/null
}

stop_helper() {
	[ -z "${HELPER:-}" ] || { kill "$HELPER" && wait "$HELPER"; } 2>/dev/null || true
	HELPER=
}
