#!/usr/bin/python3
"""dns.py --zone FILE… --log FILE --control FILE --ready FILE

The resolvers of the test world: port 53 over UDP and TCP on every address of its network namespace. One line of log per
query:  TIME UDP|TCP SOURCE#PORT RESOLVER NAME TYPE id=N edns=SIZE|- RCODE

--control is read whenever it changes; a line is  ADDRESS|* MODE [VALUE] [name=NAME] [type=TYPE] [by=UDP|TCP]  and the first that fits is used:
  dead               no answer at all (TCP: accepted, then silence)
  refuse-tcp         TCP connections are closed at once
  delay MS           answers after MS milliseconds
  rcode NUMBER       no records, this RCODE
  truncate           UDP answers are empty and have TC set
  no-edns            FORMERR to whoever sends an OPT record
  HOSTILE            a name in the table HOSTILE below
  refer              a referral to ns.refer.example, 10.89.53.2; for the root's own records itself

Names below odd.example choose a habit of odd.py by themselves.
"""
import argparse
import asyncio
import base64
import ipaddress
import os
import socket
import struct
import time

import odd

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "SVCB": 64,
         "HTTPS": 65, "CAA": 257, "ANY": 255}
TYPE_NAMES = {number: name for name, number in TYPES.items()}
OPT, RRSIG = 41, 46
NOERROR, FORMERR, NXDOMAIN, NOTIMP = 0, 1, 3, 4
IP_PKTINFO, IP_FREEBIND, IPV6_FREEBIND = 8, 15, 78
QR, OPCODE, AA, TC, RD, RA, AD, CD, DO = 0x8000, 0x7800, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010, 0x8000


# --- names and records

def encode_name(name):
    wire = b""
    for label in name.encode("latin-1").rstrip(b".").split(b"."):
        if label:
            wire += bytes([len(label)]) + label
    return wire + b"\0"


def encode_text(data):
    chunks = [data[i:i + 255] for i in range(0, len(data), 255)] or [b""]
    return b"".join(bytes([len(chunk)]) + chunk for chunk in chunks)


def encode_svcb(words):
    wire = struct.pack("!H", int(words[0])) + encode_name(words[1])
    params = {}
    for word in words[2:]:
        key, _, value = word.partition("=")
        items = value.split(",")
        if key == "alpn":
            params[1] = b"".join(bytes([len(item)]) + item.encode() for item in items)
        elif key == "port":
            params[3] = struct.pack("!H", int(value))
        elif key in ("ipv4hint", "ipv6hint"):
            params[4 if key == "ipv4hint" else 6] = b"".join(ipaddress.ip_address(item).packed for item in items)
        elif key == "ech":
            params[5] = base64.b64decode(value)
        else:
            raise ValueError(f"unknown parameter {key}")
    return wire + b"".join(struct.pack("!HH", key, len(params[key])) + params[key] for key in sorted(params))


def encode_rdata(rtype, text):
    words = text.split()
    if rtype in ("A", "AAAA"):
        return ipaddress.ip_address(text).packed
    if rtype in ("NS", "CNAME", "PTR"):
        return encode_name(text)
    if rtype == "MX":
        return struct.pack("!H", int(words[0])) + encode_name(words[1])
    if rtype == "SRV":
        return struct.pack("!HHH", *map(int, words[:3])) + encode_name(words[3])
    if rtype == "TXT":
        return encode_text(b"x" * int(text[1:]) if text.startswith("@") else text.strip('"').encode())
    if rtype == "CAA":
        tag = words[1].encode()
        return bytes([int(words[0]), len(tag)]) + tag + words[2].strip('"').encode()
    if rtype in ("SVCB", "HTTPS"):
        return encode_svcb(words)
    if rtype.startswith("TYPE"):  # all others in hexadecimal digits
        return bytes.fromhex(text)
    raise ValueError(f"unknown type {rtype}")


def type_number(rtype):
    return int(rtype[4:]) if rtype.startswith("TYPE") else TYPES[rtype]


class Zone:
    """name -> type -> [(ttl, rdata)]; aliases also by text, to follow them."""

    def __init__(self, paths):
        self.names, self.aliases = {}, {}
        for path in paths:
            self.read(path)
        self.parents = set()
        for name in self.names:
            while "." in name:
                name = name.split(".", 1)[1]
                self.parents.add(name)

    def read(self, path):
        with open(path, encoding="ascii") as lines:
            for number, line in enumerate(lines, 1):
                words = line.split("#")[0].split(None, 2)
                try:
                    if words:
                        self.add(*words)
                except ValueError as error:
                    raise SystemExit(f"{path}:{number}: {error}")

    def add(self, name, rtype, rest):
        ttl = 60
        if rtype.isdigit():
            ttl, (rtype, rest) = int(rtype), (rest.split(None, 1) + [""])[:2]
        rtype, _, count = rtype.partition("*")
        rest = rest.strip()
        records = self.names.setdefault(name.lower(), {}).setdefault(type_number(rtype), [])
        for i in range(int(count or 1)):
            records.append((ttl, encode_rdata(rtype, str(ipaddress.ip_address(rest) + i) if count else rest)))
        if rtype == "CNAME":
            self.aliases[name.lower()] = rest.lower()

    def find(self, name):
        """The entry that answers for a name (itself or a wildcard above it) and its key, or None."""
        if name in self.names:
            return name
        parent = name
        while "." in parent and parent not in self.parents:
            parent = parent.split(".", 1)[1]
            if "*." + parent in self.names:
                return "*." + parent
        return None

    def is_signed(self, name):
        return RRSIG in self.names.get(self.find(name), {})

    def answer(self, name, qtype, dnssec=False):
        """RCODE and [(owner, type, ttl, rdata)] with the whole CNAME chain, and signatures for who wants them."""
        records = []
        for _ in range(24):
            key = self.find(name)
            if key is None:
                return (NOERROR if name in self.parents else NXDOMAIN), records
            entry = self.names[key]
            if key in self.aliases and qtype not in (TYPES["CNAME"], TYPES["ANY"]):
                records.append((name, TYPES["CNAME"], *entry[TYPES["CNAME"]][0]))
                name = self.aliases[key]
                continue
            for rtype, values in entry.items():
                if qtype in (rtype, TYPES["ANY"]):
                    records += [(name, rtype, ttl, rdata) for ttl, rdata in values]
                elif rtype == RRSIG and dnssec:
                    records += [(name, rtype, ttl, rdata) for ttl, rdata in values if rdata[:2] == struct.pack("!H", qtype)]
            return NOERROR, records
        return 2, []


# --- messages

class Query:
    def __init__(self, data, transport, source, resolver):
        self.data, self.transport, self.source, self.resolver = data, transport, source, resolver
        self.id, self.flags, questions, _, _, additional = struct.unpack_from("!6H", data)
        if questions != 1 or self.flags & 0x8000:
            raise ValueError("not a query")
        labels, at = [], 12
        while data[at]:
            if data[at] > 63:
                raise ValueError("compressed question")
            # a dot in a label parts nothing (RFC 4343 2.1)
            labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1").replace(".", "\\."))
            at += 1 + data[at]
        self.name = ".".join(labels)
        self.qtype, self.qclass = struct.unpack_from("!HH", data, at + 1)
        self.question_end = at + 5
        self.edns, self.dnssec = None, False
        if additional and data[self.question_end:self.question_end + 3] == b"\0" + struct.pack("!H", OPT):
            self.edns, _, edns_flags = struct.unpack_from("!HHH", data, self.question_end + 3)
            self.dnssec = bool(edns_flags & DO)


def encode_records(records, qname):
    wire = b""
    for owner, rtype, ttl, rdata in records:
        name = b"\xc0\x0c" if owner == qname else encode_name(owner)
        wire += name + struct.pack("!HHIH", rtype, 1, ttl, len(rdata)) + rdata
    return wire


def build(query, rcode, answers=(), authority=(), flags=AA):
    opt = b"" if query.edns is None else b"\0" + struct.pack("!HHIH", OPT, 1232, DO if query.dnssec else 0, 0)
    flags |= QR | RA | query.flags & (OPCODE | RD | CD) | rcode
    head = struct.pack("!6H", query.id, flags, 1, len(answers), len(authority), 1 if opt else 0)
    records = list(answers) + list(authority)
    return head + query.data[12:query.question_end] + encode_records(records, query.name.lower()) + opt


def soa(name):
    rdata = encode_name("ns.invalid") + encode_name("admin.invalid") + struct.pack("!5I", 1, 3600, 600, 86400, 5)
    return [(name.split(".")[-1], TYPES["SOA"], 5, rdata)]


def whoami(query):
    """TXT: the resolver that was asked, and who asked it how."""
    text = f"resolver={query.resolver} source={query.source[0]} port={query.source[1]} transport={query.transport} " \
           f"id={query.id} edns={query.edns or '-'}"
    return [(query.name.lower(), TYPES["TXT"], 0, encode_text(text.encode()))]


class Elsewhere(bytes):
    """A message that comes from the address beside the one that was asked."""


def lie(query):
    return build(query, NOERROR, [(query.name.lower(), TYPES["A"], 60, ipaddress.ip_address("203.0.113.66").packed)])


def some(query, answer):
    """By UDP the first record that is an address and TC, in an answer that fits."""
    if query.transport == "TCP":
        return answer
    records = [(query.name.lower(), query.qtype, 60, bytes([198, 51, 30, 1]) if query.qtype == 1 else bytes(16))]
    return build(query, NOERROR, records, flags=AA | TC)


def head(query, answer):
    """The first alias of a chain, and nothing of where it leads."""
    labels = ["hop2.chain.example" if query.name.lower() == "hop1.chain.example" else "hop1.chain.example"]
    return build(query, NOERROR, [(query.name.lower(), TYPES["CNAME"], 60, encode_name(labels[0]))])


# What a hostile or broken resolver sends instead of the honest answer: functions of (query, answer) to [datagram].
HOSTILE = {
    "wrong-id": lambda q, a: [struct.pack("!H", q.id ^ 1) + a[2:]],
    "spoof-first": lambda q, a: [struct.pack("!H", q.id ^ 1) + a[2:], a],
    "wrong-question": lambda q, a: [a[:13] + bytes([a[13] ^ 1]) + a[14:]],
    "no-question": lambda q, a: [a[:4] + b"\0\0" + a[6:12] + a[q.question_end:]],
    "echo-query": lambda q, a: [q.data],
    "garbage": lambda q, a: [a[:2] + b"\xff" * 40],
    "short": lambda q, a: [a[:11]],
    "trailing": lambda q, a: [a + b"trailing"],
    "cut": lambda q, a: [a[:-3]],
    "twice": lambda q, a: [a, a],
    "some": lambda q, a: [some(q, a)],
    "head": lambda q, a: [head(q, a)],
    "wrong-source": lambda q, a: [Elsewhere(lie(q)), a],
    "alias-loop": lambda q, a: [build(q, NOERROR, [(q.name.lower(), TYPES["CNAME"], 60, encode_name("loop2.example")),
                                                   ("loop2.example", TYPES["CNAME"], 60, encode_name(q.name))])],
    # a zone transfer in three messages, of which only the first has the question: RFC 5936 2.2.1
    "transfer": lambda q, a: [build(q, NOERROR, soa(q.name)), struct.pack("!6H", q.id, QR | AA, 0, 1, 0, 0) +
                              encode_records([("n." + q.name, TYPES["A"], 60, bytes(4))], q.name),
                              build(q, NOERROR, soa(q.name))],
}


def refer(query):
    """As a server of the root zone, for who asks step by step."""
    if not query.name:
        return odd.message(query, [odd.alias(".", "root.refer.example", odd.NS)], flags=AA,
                           additional=[odd.record("root.refer.example", odd.A, ipaddress.ip_address(query.resolver).packed)])
    top = query.name.lower().split(".")[-1]
    return odd.message(query, flags=0, authority=[odd.alias(top, "ns.refer.example", odd.NS)], additional=[
        odd.record("ns.refer.example", odd.A, ipaddress.ip_address("10.89.53.2").packed)])


class Control:
    def __init__(self, path):
        self.path, self.stamp, self.rules = path, None, []

    def mode(self, query):
        try:
            info = os.stat(self.path)
        except FileNotFoundError:
            return "", ""
        if (info.st_mtime_ns, info.st_size, info.st_ino) != self.stamp:
            self.stamp = (info.st_mtime_ns, info.st_size, info.st_ino)
            with open(self.path, encoding="ascii") as lines:
                self.rules = [line.split() for line in lines if line.split()]
        for address, mode, *rest in self.rules:
            only = dict(word.split("=", 1) for word in rest if word.startswith(("name=", "type=", "by=")))
            if address in ("*", query.resolver) and only.get("name") in (None, query.name.lower()) and \
                    only.get("type") in (None, TYPE_NAMES.get(query.qtype)) and only.get("by") in (None, query.transport):
                return mode, rest[0] if rest else ""
        return "", ""


class Server:
    def __init__(self, zone, control, log):
        self.zone, self.control = zone, control
        self.log_fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def log(self, query, what):
        line = f"{time.time():.6f} {query.transport} {query.source[0]}#{query.source[1]} {query.resolver} " \
               f"{query.name or '.'} {TYPE_NAMES.get(query.qtype, f'TYPE{query.qtype}')} id={query.id} " \
               f"edns={'-' if query.edns is None else query.edns} {what}\n"
        os.write(self.log_fd, line.encode("ascii", "backslashreplace"))

    def honest(self, query, mode, value):
        if query.flags & OPCODE:
            return NOTIMP, build(query, NOTIMP)
        if mode == "rcode" or (mode == "no-edns" and query.edns is not None):
            rcode = int(value) if mode == "rcode" else FORMERR
            return rcode, build(query, rcode)
        name, flags = query.name.lower(), AA
        if name.split(".")[0] == "whoami" and query.qtype == TYPES["TXT"]:
            rcode, answers = NOERROR, whoami(query)
        else:
            rcode, answers = self.zone.answer(name, query.qtype, query.dnssec)
            if self.zone.is_signed(name):  # as a resolver that validated would answer
                flags = AD if query.dnssec or query.flags & AD else 0
        last = name if not answers else answers[-1][0]
        authority = [] if rcode == NOERROR and any(a[1] != TYPES["CNAME"] for a in answers) else soa(last)
        message = build(query, rcode, answers, authority, flags)
        limit = 65535 if query.transport == "TCP" else max(512, query.edns or 0)
        if len(message) > limit or (mode == "truncate" and query.transport == "UDP"):
            message = build(query, rcode, flags=flags | TC)
        return rcode, message

    @staticmethod
    def habit(data):
        try:
            return odd.habit(Query(data, "TCP", None, None))
        except (ValueError, IndexError, struct.error):
            return None

    def respond(self, data, transport, source, resolver):
        """Delay in seconds and the messages to send, or None for silence."""
        try:
            query = Query(data, transport, source, resolver)
        except (ValueError, IndexError, struct.error):
            os.write(self.log_fd, f"{time.time():.6f} {transport} {source[0]}#{source[1]} {resolver} "
                                  f"malformed {data[:64].hex()}\n".encode())
            return None
        mode, value = self.control.mode(query)
        habit = odd.habit(query)
        if habit and query.flags & OPCODE == 0:
            self.log(query, habit)
            return 0, odd.HABITS[habit](query, self.honest(query, "", "")[1])
        if mode == "refer":
            self.log(query, mode)
            return 0, [refer(query)]
        if mode == "dead":
            self.log(query, "dead")
            return None
        rcode, message = self.honest(query, mode, value)
        self.log(query, f"rcode={rcode}" + (f" {mode}" if mode else ""))
        messages = HOSTILE[mode](query, message) if mode in HOSTILE else [message]
        return (int(value) / 1000 if mode == "delay" else 0), messages


# --- transports

def plain(address):
    return address[7:] if address.startswith("::ffff:") else address


def udp_socket(family):
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_FREEBIND, 1)
    sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 53))
    sock.setblocking(False)
    return sock


def serve_udp(server, loop, family):
    sock = udp_socket(family)

    def send(message, address, source):
        if isinstance(message, Elsewhere):
            address = address[:-1] + bytes([address[-1] ^ 3])
        if family == socket.AF_INET6:
            ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, address + struct.pack("I", 0))]
        else:
            ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("I", 0) + address + bytes(4))]
        try:
            sock.sendmsg([message], ancillary, 0, source)
        except OSError:
            pass  # the client is gone

    def readable():
        for _ in range(64):
            try:
                data, ancillary, _, source = sock.recvmsg(65535, 256)
            except BlockingIOError:
                return
            address = ancillary[0][2][:16] if family == socket.AF_INET6 else ancillary[0][2][8:12]
            response = server.respond(data, "UDP", source, socket.inet_ntop(family, address))
            for message in response[1] if response else []:
                if response[0]:
                    loop.call_later(response[0], send, message, address, source)
                else:
                    send(message, address, source)

    loop.add_reader(sock, readable)


async def serve_tcp(server, reader, writer):
    source = writer.get_extra_info("peername")
    source = (plain(source[0]), source[1])
    resolver = plain(writer.get_extra_info("sockname")[0])
    pending = set()

    def end(habit, message):
        if habit == "once":
            writer.write(struct.pack("!H", len(message)) + message)
        elif habit == "half":
            writer.write(struct.pack("!H", len(message)) + message[:20])
        elif habit == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async def answer(delay, messages):
        await asyncio.sleep(delay)
        for message in messages:
            writer.write(struct.pack("!H", len(message)) + message)
        await writer.drain()

    try:
        while True:
            size = struct.unpack("!H", await reader.readexactly(2))[0]
            data = await reader.readexactly(size)
            response = server.respond(data, "TCP", source, resolver)
            habit = server.habit(data)
            if habit in odd.TCP:
                end(habit, response[1][0])
                return
            if any(rule[1] == "refuse-tcp" and rule[0] in ("*", resolver) for rule in server.control.rules):
                break
            if response:  # answers may overtake each other, as RFC 7766 allows
                task = asyncio.ensure_future(answer(*response))
                pending.add(task)
                task.add_done_callback(pending.discard)
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    await asyncio.gather(*pending, return_exceptions=True)
    writer.close()


async def main():
    parser = argparse.ArgumentParser()
    for option in ("log", "control", "ready"):
        parser.add_argument("--" + option, required=True)
    parser.add_argument("--zone", required=True, action="append")
    options = parser.parse_args()
    server = Server(Zone(options.zone), Control(options.control), options.log)
    loop = asyncio.get_running_loop()
    for family in (socket.AF_INET, socket.AF_INET6):
        serve_udp(server, loop, family)
    listener = socket.create_server(("::", 53), family=socket.AF_INET6, backlog=512, dualstack_ipv6=True)
    await asyncio.start_server(lambda r, w: serve_tcp(server, r, w), sock=listener)
    with open(options.ready, "w", encoding="ascii") as ready:
        ready.write(f"{os.getpid()}\n")
    await asyncio.Event().wait()


asyncio.run(main())
