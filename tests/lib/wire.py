#!/usr/bin/python3
"""wire.py FILE: what containers put on the wire, from the lines of servers/sniff.py, in a form in which two runs of the same
programs compare equal: one line per flow, sorted by where it went.

Kept are addresses and ports of destinations, everything that the application says (of TCP the stream, of UDP and ICMP each
message), and what the stack says for it: TTL, TOS, fragments, IP options, IPv6 extension headers, TCP's SYN with its
options, and that it was closed. Left out is what is drawn anew each time, or depends on when something came back: source
addresses and ports, identification, checksums, sequence numbers, time stamps, keys, acknowledgements, retransmissions, and
ICMP errors (they quote the rest).
"""
import collections
import ipaddress
import struct
import sys

NOISE = {"ARP", "2"}  # and IGMP
TIME_STAMP, FAST_OPEN, MPTCP = 8, 34, 30  # TCP options with something drawn in them


def options(data):
    found, at = [], 0
    while at < len(data) and data[at]:
        if data[at] == 1:
            at += 1
            continue
        kind, length = data[at], max(data[at + 1], 2)
        drawn = kind in (TIME_STAMP, FAST_OPEN, MPTCP)
        found.append(f"{kind}:" + (f"{length}" if drawn else data[at + 2:at + length].hex()))
        at += length
    return ",".join(found)


def split_ip(raw):
    """What the IP header says for the application, protocol, fragment offset, and what is behind it."""
    if raw[0] >> 4 == 4:
        length = (raw[0] & 15) * 4
        flags = struct.unpack_from("!H", raw, 6)[0]
        return f"tos={raw[1]} ttl={raw[8]} options={raw[20:length].hex()}", raw[9], flags & 0x1fff, raw[length:]
    protocol, at, headers = raw[6], 40, []
    offset = 0
    while protocol in (0, 43, 44, 60):
        length = 8 if protocol == 44 else 8 + raw[at + 1] * 8
        if protocol == 44:
            offset = struct.unpack_from("!H", raw, at + 2)[0] >> 3
        headers.append(f"{protocol}:{raw[at + 1:at + length].hex() if protocol != 44 else ''}")
        protocol, at = raw[at], at + length
    return f"class={raw[0] & 15}{raw[1] >> 4} hops={raw[7]} headers={','.join(headers)}", protocol, offset, raw[at:]


class Stream:
    """TCP, in one direction."""

    def __init__(self):
        self.first, self.data, self.syn, self.is_closed, self.header = None, {}, "-", False, "-"

    def take(self, header, segment):
        sequence, start = struct.unpack_from("!I", segment, 4)[0], (segment[12] >> 4) * 4
        flags = segment[13]
        self.header = header
        if flags & 2:
            self.first = sequence + 1
            self.syn = options(segment[20:start])
            self.add(segment[start:], 0)
        elif self.first is not None:
            self.add(segment[start:], (sequence - self.first) & 0xffffffff)
        self.is_closed |= bool(flags & 5)

    def add(self, payload, at):
        for i, octet in enumerate(payload):
            self.data.setdefault(at + i, octet)

    def show(self):
        text = bytes(self.data.get(i, 0x3f) for i in range(max(self.data, default=-1) + 1))
        return f"{self.header} syn={self.syn} closed={self.is_closed} data={text.hex()}"


def read(path):
    flows, streams = collections.defaultdict(list), {}
    with open(path, encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            if words[3] in NOISE:
                continue
            raw = bytes.fromhex(words[8].removeprefix("raw="))
            header, protocol, offset, rest = split_ip(raw)
            if protocol == 58 and rest[0] in range(130, 138) or protocol in (1, 58) and rest[0] in (1, 3, 4, 5, 143):
                continue
            destination = words[5]
            if protocol == 6 and not offset:
                source = words[4]
                if (source, destination) not in streams:
                    streams[source, destination] = Stream()
                streams[source, destination].take(header, rest)
            elif offset:
                flows[destination].append(f"{protocol} fragment={offset} {header} {rest.hex()}")
            elif protocol in (17, 136):
                flows[destination].append(f"{protocol} {header} {rest[8:].hex()}")
            elif protocol in (1, 58):
                flows[destination].append(f"{protocol} {header} {rest[:2].hex()} {rest[6:].hex()}")
            else:
                flows[destination].append(f"{protocol} {header} {rest.hex()}")
    for (_, destination), stream in streams.items():
        flows[destination].append("tcp " + stream.show())
    return flows


def place(destination):
    address, _, port = destination.partition("#")
    parsed = ipaddress.ip_address(address)
    return parsed.version, int(parsed), int(port or 0)


def main():
    flows = read(sys.argv[1])
    for destination in sorted(flows, key=place):
        for number, what in enumerate(flows[destination], 1):
            print(destination, number, what)


main()
