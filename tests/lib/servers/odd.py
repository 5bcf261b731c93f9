"""Habits of resolvers, good and bad: the answer to HABIT.odd.example, whatever was asked of it. dns.py asks this module.

A habit is a function of (query, the honest answer) to the messages that are sent. Some are of the connection: see TCP.
"""
import ipaddress
import struct

A, NS, CNAME, SOA, MX, TXT, AAAA, DNAME, OPT, RRSIG, NSEC, TSIG = 1, 2, 5, 6, 15, 16, 28, 39, 41, 46, 47, 250
QR, AA, TC, RD, RA, AD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080, 0x0020, 0x0010
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 1, 2, 3, 4, 5
COOKIE = 10
SERVER_COOKIE = b"odd-server-ckie!"
SUFFIX = ".odd.example"


def encode(name):
    labels = [label.encode("latin-1") for label in name.strip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def record(owner, rtype, rdata, ttl=60, rclass=1):
    return encode(owner) + struct.pack("!HHIH", rtype, rclass, ttl, len(rdata)) + rdata


def address(owner, last=10, count=1):
    return [record(owner, A, ipaddress.ip_address(f"203.0.113.{last + i}").packed) for i in range(count)]


def alias(owner, target, rtype=CNAME):
    return record(owner, rtype, encode(target))


def signature(owner, covered):
    fixed = struct.pack("!HBBIIIH", covered, 13, 3, 60, 2 ** 31 - 1, 0, 4711)
    return record(owner, RRSIG, fixed + encode("odd.example") + bytes(64))


def cookie(query):
    """The client's COOKIE with a server part, as BIND, Knot and Unbound give it (RFC 7873 5.2.3)."""
    at = query.question_end + 11
    while query.edns is not None and at + 4 <= len(query.data):
        code, size = struct.unpack_from("!HH", query.data, at)
        if code == COOKIE and size >= 8:
            return struct.pack("!HH", COOKIE, 24) + query.data[at + 4:at + 12] + SERVER_COOKIE
        at += 4 + size
    return b""


def opt(query, flags=0):
    if query.edns is None:
        return b""
    options = cookie(query)
    return b"\0" + struct.pack("!HHIH", OPT, 1232, flags, len(options)) + options


def message(query, answers=(), authority=(), additional=(), flags=RA, rcode=0, has_opt=True):
    tail = opt(query, 0x8000 if query.dnssec else 0) if has_opt else b""
    head = struct.pack("!6H", query.id, QR | flags | query.flags & (RD | CD) | rcode, 1, len(answers), len(authority),
                       len(additional) + bool(tail))
    return head + query.data[12:query.question_end] + b"".join([*answers, *authority, *additional]) + tail


def bare(query, rcode, tail=b""):
    return struct.pack("!6H", query.id, QR | RA | query.flags & RD | rcode, 0, 0, 0, bool(tail)) + tail


def soa(name="odd.example"):
    return record(name, SOA, encode("ns.invalid") + encode("admin.invalid") + struct.pack("!5I", 1, 3600, 600, 86400, 5), 5)


def cut(query, keep=None, back=None, count=40):
    """TC, and the datagram ends inside a record; by TCP all of it."""
    if query.transport == "TCP":
        return [message(query, address(query.name, 1, 12))]
    whole = message(query, address(query.name, 1, count), flags=RA | TC)
    return [whole[:keep] if keep else whole[:-back]]


def referral(query):
    return [message(query, flags=0, authority=[alias("deleg.odd.example", "ns1.deleg.odd.example", NS),
                                               alias("deleg.odd.example", "ns2.deleg.odd.example", NS)],
                    additional=address("ns1.deleg.odd.example", 53) +
                    [record("ns2.deleg.odd.example", AAAA, ipaddress.ip_address("2001:db8::53").packed)])]


def with_flags(query, flags):
    return [message(query, address(query.name), flags=flags)]


def counted(query):
    """TC, and the header counts more records than there are."""
    whole = message(query, address(query.name, 1, 3), flags=RA | (TC if query.transport == "UDP" else 0), has_opt=False)
    return [whole[:6] + struct.pack("!H", 9) + whole[8:]] if query.transport == "UDP" else [whole]


HABITS = {
    "plain": lambda q, a: [message(q, address(q.name))],
    "tc-empty": lambda q, a: [message(q, flags=RA | TC)] if q.transport == "UDP" else [message(q, address(q.name))],
    "tc-in-rdata": lambda q, a: cut(q, 500),
    "tc-in-owner": lambda q, a: cut(q, q.question_end + 3 * len(address(q.name)[0]) + 7),
    "tc-in-question": lambda q, a: cut(q, q.question_end - 6),
    "tc-no-opt": lambda q, a: cut(q, back=len(opt(q)) or 1, count=3),
    "tc-counts": lambda q, a: counted(q),
    "big": lambda q, a: [message(q, address(q.name, 1, 45))],
    "same-alias": lambda q, a: [message(q, [alias(q.name, "Ok.odd.example"), signature(q.name, CNAME),
                                            alias(q.name, "ok.odd.example"), *address("ok.odd.example")])],
    "same-dname": lambda q, a: [message(q, [alias("odd.example", "d.other.example", DNAME)] * 2 +
                                        [alias(q.name, q.name.split(".")[0] + ".d.other.example")] * 2 +
                                        address(q.name.split(".")[0] + ".d.other.example"))],
    "fork": lambda q, a: [message(q, [alias(q.name, "a.odd.example"), alias(q.name, "b.odd.example"),
                                      *address("a.odd.example", 10), *address("b.odd.example", 11)])],
    "stray": lambda q, a: [message(q, address("edge.elsewhere.example", 12))],
    "stray-too": lambda q, a: [message(q, address("edge.elsewhere.example", 12) + address(q.name) +
                                       [alias("edge.elsewhere.example", "x.elsewhere.example")])],
    "stray-blocked": lambda q, a: [message(q, address(q.name) + [alias("x.elsewhere.example", "github.com")])],
    "loop": lambda q, a: [message(q, [alias(q.name, "a.odd.example"), alias("a.odd.example", q.name)])],
    "referral": lambda q, a: referral(q),
    "flag-none": lambda q, a: with_flags(q, 0),
    "flag-aa": lambda q, a: with_flags(q, AA),
    "flag-ad": lambda q, a: with_flags(q, RA | AD),
    "proof": lambda q, a: [message(q, address(q.name) + [signature(q.name, A)], additional=address("ns.odd.example"),
                                   authority=[alias("odd.example", "ns.odd.example", NS), signature("odd.example", NS)])],
    "denial": lambda q, a: [message(q, authority=[soa(), signature("odd.example", SOA),
                                                  record("odd.example", NSEC, encode("z.odd.example") + b"\0\1\x40"),
                                                  signature("odd.example", NSEC)], rcode=NXDOMAIN)],
    "bare-formerr": lambda q, a: [bare(q, FORMERR)],
    "bare-formerr-opt": lambda q, a: [bare(q, FORMERR, b"\0" + struct.pack("!HHIH", OPT, 1232, 0, 0))],
    "bare-servfail": lambda q, a: [bare(q, SERVFAIL)],
    "bare-notimp": lambda q, a: [bare(q, NOTIMP)],
    "bare-refused": lambda q, a: [bare(q, REFUSED)],
    "bare-badvers": lambda q, a: [bare(q, 0, b"\0" + struct.pack("!HHIH", OPT, 1232, 1 << 24, 0))],
    "refused": lambda q, a: [message(q, rcode=REFUSED)],
    "signed": lambda q, a: [message(q, address(q.name), additional=[], has_opt=False)[:11] + b"\1" +
                            message(q, address(q.name), has_opt=False)[12:] + record("key", TSIG, b"mac", 0, 255)],
    "wrong-id": lambda q, a: [struct.pack("!H", q.id ^ 1) + a[2:]],
    "wrong-question": lambda q, a: [a[:13] + bytes([a[13] ^ 1]) + a[14:]],
    "no-question": lambda q, a: [a[:4] + b"\0\0" + a[6:12] + a[q.question_end:]],
    "echo-query": lambda q, a: [q.data],
    "garbage": lambda q, a: [a[:2] + b"\xff" * 40],
    "short": lambda q, a: [a[:11]],
    "trailing": lambda q, a: [a + b"trailing"],
    "ends-early": lambda q, a: [a[:-3]],
    "wrong-then-right": lambda q, a: [a[:13] + bytes([a[13] ^ 1]) + a[14:], a],
    "dead": lambda q, a: [],
    "once": lambda q, a: [message(q, address(q.name))],
    "half": lambda q, a: [message(q, address(q.name))],
    "hang-up": lambda q, a: [message(q, address(q.name))],
    "reset": lambda q, a: [message(q, address(q.name))],
}
# What a resolver does to its connection: it closes after one answer, inside one, without one, or resets it.
TCP = {"once", "half", "hang-up", "reset"}


def habit(query):
    """The habit of a name, or None."""
    name = query.name.lower()
    label = name[:-len(SUFFIX)].rsplit(".", 1)[-1] if name.endswith(SUFFIX) else ""
    return label if label in HABITS else None
