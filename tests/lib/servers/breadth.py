#!/usr/bin/python3
"""breadth.py zone|queries: some hundred names of every type below breadth.example, the same on every run, as lines for
dns.py's zone, or as what to ask about them, one "NAME TYPE" a line, for `dig -f`.
"""
import random
import struct
import sys

DOMAIN, NAMES = "breadth.example", 240
CHANCE = random.Random(1035)
HINTS = "ipv4hint=203.0.113.{0} ipv6hint=2001:db8:80::{0} ech=AEX+DQBB"


def blob(length):
    return bytes(CHANCE.randrange(256) for _ in range(length))


def text(value):
    return bytes([len(value)]) + value.encode()


def wire_name(name):
    return b"".join(text(label) for label in name.split(".")) + b"\0"


def addresses4():
    return [("A", f"{CHANCE.choice(('198.51.100', '203.0.113'))}.{CHANCE.randrange(1, 255)}")
            for _ in range(CHANCE.randrange(1, 6))]


def addresses6():
    return [("AAAA", f"2001:db8:{CHANCE.randrange(1, 0x7fff):x}::{CHANCE.randrange(1, 0xffff):x}")
            for _ in range(CHANCE.randrange(1, 4))]


def rrsig(covered):
    return "TYPE46", (struct.pack("!HBBIIIH", covered, 13, 2, 60, 2000000000, 1600000000, 4711) +
                      wire_name(DOMAIN) + blob(64)).hex()


# One function per kind of name: of (number, name) to [(type, rdata)], the rdata of types that dns.py does not know in hex.
KINDS = [
    lambda i, _: addresses4(),
    lambda i, _: addresses4() + addresses6(),
    lambda i, _: [("MX", f"{j * 10} mail{j}.{DOMAIN}") for j in range(1 + i % 3)] + [("TXT", '"v=spf1 mx -all"')],
    lambda i, _: [("TXT", f"@{10 + i * 4}"), ("TXT", f'"number {i}"')],
    lambda i, _: [("SRV", f"{j} {i} {5000 + i} n{i - 3}.{DOMAIN}") for j in range(2)],
    lambda i, _: [("CAA", f'0 issue "ca{i}.example"'), ("CAA", '128 iodef "mailto:ca@example"')],
    lambda i, name: [("TYPE35", (struct.pack("!HH", 100, i) + text("S") + text("SIP+D2U") + text("") +
                                 wire_name(f"_sip._udp.{name}")).hex()),
                     ("TYPE35", (struct.pack("!HH", 102, i) + text("u") + text("E2U+sip") +
                                 text(f"!^.*$!sip:n{i}@{DOMAIN}!") + b"\0").hex())],
    lambda i, _: addresses4() + addresses6() + [
        ("TYPE43", (struct.pack("!HBB", 4711, 13, 2) + blob(32)).hex()), rrsig(43),
        ("TYPE48", (struct.pack("!HBB", 257, 3, 13) + blob(64)).hex()), rrsig(48),
        rrsig(1), rrsig(28), ("MX", f"10 mail.{DOMAIN}"), rrsig(15)],
    lambda i, _: [("HTTPS", f"1 . alpn=h2,h3 port={8000 + i} " + (HINTS.format(i) if i % 2 else "")),
                  ("SVCB", f"2 n{i - 7}.{DOMAIN} alpn=h2")],
    lambda i, _: [("CNAME", f"n{i - (8, 9, 2, 12, 24)[i // 12 % 5]}.{DOMAIN}")],
    lambda i, _: [(f"TYPE{65280 + i}", blob(i).hex()), ("TYPE62", blob(6).hex()), ("TYPE13", (text("PC") + text("X")).hex()),
                  ("TYPE44", (b"\1\1" + blob(20)).hex()), ("TYPE52", (b"\3\1\1" + blob(32)).hex()),
                  ("TYPE29", "0012161389172dd070be15f000988d20"), (f"TYPE{65000 + i}", "")],
    lambda i, _: [("NS", f"ns{j}.{DOMAIN}") for j in range(2)] + [("TYPE257", "0005697373756563612e6578616d706c65")],
]


def records():
    """(name, ttl, type, rdata)"""
    for i in range(NAMES):
        name = f"n{i}.{DOMAIN}"
        if i % 7 == 3:  # underscores, long labels, deep names
            name = CHANCE.choice((f"_s{i}._tcp.{name}", "l" * 63 + "." + name, ".".join("deep" + "x" * 30) + "." + name))
        for rtype, rdata in KINDS[i % len(KINDS)](i, name):
            yield name, CHANCE.choice((0, 1, 59, 300, 86400, 604800)), rtype, rdata
    for i in range(1, 9):
        yield f"{i}.100.51.198.in-addr.arpa", 60, "PTR", f"n{i}.{DOMAIN}"
        yield f"{i:x}." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", 60, "PTR", f"n{i}.{DOMAIN}"
    yield f"*.any.{DOMAIN}", 60, "A", "203.0.113.77"
    yield f"*.any.{DOMAIN}", 60, "TXT", '"from the wildcard"'
    yield f"*.alias.{DOMAIN}", 30, "CNAME", f"n1.{DOMAIN}"


def queries():
    types = {}
    for name, _, rtype, _ in records():
        types.setdefault(name, {})[rtype] = None
    for i, (name, own) in enumerate(types.items()):
        usual = ("A", "AAAA", "MX", "TXT", "HTTPS", "ANY", "NS", "TYPE65399")
        for rtype in dict.fromkeys([*own, usual[i % 8], usual[(i + 3) % 8], "A"]):
            for owner in (name, "".join(c.upper() if CHANCE.random() < .5 else c for c in name)):
                if not owner.startswith("*") and (owner == name or i % 4 == 0):
                    yield owner, rtype
    for name in ("any", "alias", "below.any", "a.b.c.alias", "MiXed.Any", "nothing", "a.nothing"):
        for rtype in ("A", "AAAA", "TXT", "MX", "CNAME", "SOA"):
            yield f"{name}.{DOMAIN}", rtype


if sys.argv[1] == "zone":
    for words in records():
        print(*words)
else:
    for words in queries():
        print(*words)
