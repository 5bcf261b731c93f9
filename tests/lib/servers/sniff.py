#!/usr/bin/python3
"""sniff.py --log FILE --ready FILE [--far NETNS] [--far-interface NAME]

What leaves containers, as two pairs of eyes see it: "near" at this host's end of their links (veth*, job*), before any
forwarding, and "far" at the peer's interface in another network namespace. One line of log per packet:

  TIME near|far INTERFACE PROTOCOL SOURCE[#PORT] DESTINATION[#PORT] WHAT len=OCTETS raw=HEX

PROTOCOL is TCP, UDP, UDPLITE, ICMP, ICMPv6, a number, FRAGMENT (not the first one), ARP, or a kind of frame; WHAT has
TCP's flags, ICMP's type, "+N" for an IPv6 extension header or "+options" for those of IPv4, or is "-"; len is that of
the payload, raw the whole packet from its IP header on. A datagram "sniff-mark N" to port 9 gives the line "MARK
near|far N": what stands before it was sent before it (net.bash: world_sniff_flush).
"""
import argparse
import ctypes
import os
import select
import socket
import struct
import time

ETH_P_ALL, ETH_P_IP, ETH_P_IPV6, ETH_P_ARP = 3, 0x0800, 0x86DD, 0x0806
SO_RCVBUFFORCE, PACKET_OUTGOING, CLONE_NEWNET = 33, 4, 0x40000000
PROTOCOLS = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 136: "UDPLITE"}
EXTENSIONS = {0, 43, 44, 51, 60, 135, 139, 140}
MARK = b"sniff-mark "
LINKS = ("veth", "job")


def transport(protocol, data, what):
    """Ports of source and destination as text, what else to say, and where the payload starts."""
    if protocol in (6, 17, 136) and len(data) >= 8:
        source, destination = struct.unpack_from("!2H", data)
        start = 8
        if protocol == 6 and len(data) >= 14:
            flags = data[13]
            what += ["".join(letter for bit, letter in enumerate("FSRPAU") if flags >> bit & 1) or "none"]
            start = (data[12] >> 4) * 4
        return f"#{source}", f"#{destination}", start
    if protocol in (1, 58) and data:
        what.append(f"type={data[0]}")
        return "", "", 8
    return "", "", 0


def describe_ip4(data):
    start, protocol, what = (data[0] & 15) * 4, data[9], []
    addresses = [socket.inet_ntoa(data[at:at + 4]) for at in (12, 16)]
    if start > 20:
        what.append("+options")
    return addresses, protocol, data[start:], struct.unpack_from("!H", data, 6)[0] & 0x1fff, what


def describe_ip6(data):
    protocol, at, what, offset = data[6], 40, [], 0
    addresses = [socket.inet_ntop(socket.AF_INET6, data[at:at + 16]) for at in (8, 24)]
    while protocol in EXTENSIONS and len(data) >= at + 8:
        what.append(f"+{protocol}")
        if protocol == 44:
            offset, length = struct.unpack_from("!H", data, at + 2)[0] >> 3, 8
        else:
            length = 8 + data[at + 1] * 8
        protocol, at = data[at], at + length
    return addresses, protocol, data[at:], offset, what


def describe(kind, data):
    """PROTOCOL SOURCE DESTINATION WHAT len=N raw=HEX, and the payload."""
    if kind == ETH_P_ARP:
        return f"ARP {socket.inet_ntoa(data[14:18])} {socket.inet_ntoa(data[24:28])} - len=0 raw={data.hex()}", b""
    if kind not in (ETH_P_IP, ETH_P_IPV6) or len(data) < (20 if kind == ETH_P_IP else 40):
        return f"0x{kind:04x} - - - len={len(data)} raw={data.hex()}", data
    addresses, protocol, rest, offset, what = describe_ip4(data) if kind == ETH_P_IP else describe_ip6(data)
    if offset:
        name, ports, payload = "FRAGMENT", ("", ""), rest
    else:
        name = PROTOCOLS.get(protocol, str(protocol))
        *ports, start = transport(protocol, rest, what)
        payload = rest[start:]
    return (f"{name} {addresses[0]}{ports[0]} {addresses[1]}{ports[1]} {','.join(what) or '-'} "
            f"len={len(payload)} raw={data.hex()}"), payload


class Eyes:
    def __init__(self, side, out, interface=None):
        self.side, self.out = side, out
        # with an interface no protocol yet: nothing of others is to come in before bind
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0 if interface else socket.htons(ETH_P_ALL))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        if interface:
            self.sock.bind((interface, ETH_P_ALL))
        self.sock.setblocking(False)

    def is_of_container(self, interface, kind):
        return kind != PACKET_OUTGOING and (self.side == "far" or interface.startswith(LINKS))

    def look(self):
        while True:
            try:
                data, (interface, kind, direction, _, _) = self.sock.recvfrom(70000)
            except BlockingIOError:
                return
            except OSError:
                continue  # an interface went down
            text, payload = describe(kind, data)
            if payload.startswith(MARK) and "#9 " in text:
                number = payload[len(MARK):].decode("ascii", "replace").strip()
                os.write(self.out, f"MARK {self.side} {number}\n".encode())
            elif self.is_of_container(interface, direction):
                os.write(self.out, f"{time.time():.6f} {self.side} {interface} {text}\n".encode())


def enter(path):
    with open(path, "rb") as netns:
        if ctypes.CDLL(None, use_errno=True).setns(netns.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {path}")


def main():
    parser = argparse.ArgumentParser()
    for option in ("log", "ready"):
        parser.add_argument("--" + option, required=True)
    parser.add_argument("--far", default="/run/netns/world")
    parser.add_argument("--far-interface", default="host0")
    options = parser.parse_args()
    out = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    eyes = [Eyes("near", out)]
    enter(options.far)
    eyes.append(Eyes("far", out, options.far_interface))
    poll = select.poll()
    for pair in eyes:
        poll.register(pair.sock, select.POLLIN)
    with open(options.ready, "w", encoding="ascii") as ready:
        ready.write(f"{os.getpid()}\n")
    while True:
        poll.poll()
        for pair in eyes:
            pair.look()


main()
