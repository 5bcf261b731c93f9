#!/usr/bin/python3
"""odd.py table|many|cookies|… [ARGUMENT]…: what a client sees of a resolver, to the octet; runs in a container.

A line of `table` is  HABIT TYPE TRANSPORT EDNS PACE OUTCOME…  with the octets of each message but for its id, in
hexadecimal, or the error in its place. PACE is "fast" or "waits": a client that would give up.
"""
import os
import socket
import struct
import sys
import threading
import time

SERVER = "10.89.53.1"
ID = 0x4711
A, SOA, MX, TXT, AAAA, HTTPS, ANY, AXFR = 1, 6, 15, 16, 28, 65, 255, 252
PATIENCE = 1.5
LOCK = threading.Lock()


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".") if label) + b"\0"


def opt(options=b"", size=1232, flags=0):
    return b"\0" + struct.pack("!HHIH", 41, size, flags, len(options)) + options


def query(qname, qtype=A, edns=None, flags=0x0100, qclass=1, ident=ID):
    more = b"" if edns is None else edns
    return struct.pack("!6H", ident, flags, 1, 0, 0, bool(more)) + name(qname) + struct.pack("!2H", qtype, qclass) + more


def exactly(sock, size):
    data = b""
    while len(data) < size:
        more = sock.recv(size - len(data))
        if not more:
            raise EOFError(data)
        data += more
    return data


def kind(error):
    """A connection that cannot be had fails when it is made, or when it is used: one kind for both."""
    if isinstance(error, (ConnectionResetError, ConnectionRefusedError, BrokenPipeError)):
        return "refused"
    if isinstance(error, EOFError):
        return "closed" + (":" + error.args[0].hex() if error.args and error.args[0] else "")
    if isinstance(error, socket.timeout):
        return "timeout"
    return type(error).__name__


def is_final(message, asked):
    """What a client takes for the answer: id and question are its own."""
    return message[:2] == asked[:2] and len(message) >= 12 and message[2] & 0x80 and \
        (message[4:6] == b"\0\0" or message[12:].lower().startswith(asked[12:12 + len(name_of(asked)) + 4].lower()))


def name_of(message):
    at = 12
    while message[at]:
        at += 1 + message[at]
    return message[12:at + 1]


def udp(asked, server=SERVER, patience=PATIENCE):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(patience)
    sock.connect((server, 53))
    sock.send(asked)
    while True:
        try:
            message = sock.recv(65535)
        except (OSError, EOFError) as error:
            yield kind(error)
            return
        if message[:2] != asked[:2]:
            yield "other-id"  # no client takes it
            continue
        yield message[2:].hex()
        if is_final(message, asked):
            return


def tcp(asked, server=SERVER, patience=PATIENCE, count=1):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(patience)
    try:
        sock.connect((server, 53))
        sock.sendall(struct.pack("!H", len(asked)) + asked)
        for _ in range(count):
            message = exactly(sock, struct.unpack("!H", exactly(sock, 2))[0])
            yield message.hex()
    except (OSError, EOFError) as error:
        yield kind(error)


def show(label, ask, asked, **how):
    begin = time.monotonic()
    # a datagram of another id is nobody's
    outcome = [line for line in ask(asked, **how) if line != "other-id"]
    pace = "fast" if time.monotonic() - begin < 1 else "waits"
    outcome = [line if len(line) < 3000 else f"{len(line)}:{hash(line)}" for line in outcome]
    with LOCK:
        print(label, ask.__name__, pace, *outcome, flush=True)


def table(habits):
    """Every habit by every way; what waits, waits at the same time."""
    jobs = []
    for habit in habits:
        for ask in udp, tcp:
            for label, edns in ("plain", None), ("edns", opt(struct.pack("!HH", 10, 8) + b"clientCK", 4096, 0x8000)):
                for qtype in A, MX:
                    jobs.append((f"{habit} {qtype} {label}", ask, query(f"{habit}.odd.example", qtype, edns)))
    for label, asked in OTHERS.items():
        jobs += [(label, udp, asked), (label, tcp, asked)]
    threads = [threading.Thread(target=show, args=job) for job in jobs]
    for at in range(0, len(threads), 40):
        for thread in threads[at:at + 40]:
            thread.start()
        for thread in threads[at:at + 40]:
            thread.join()


SIGNATURE = name("key") + struct.pack("!HHIH", 250, 255, 0, 3) + b"mac"
OTHERS = {
    "notify": query("zone.example", SOA, flags=0x2400),
    "update": query("zone.example", SOA, flags=0x2800),
    "status": struct.pack("!6H", ID, 0x1000, 0, 0, 0, 0),
    "stateful": struct.pack("!6H", ID, 0x3000, 0, 0, 0, 0) + b"\0\1\0\4\0\0\0\0",
    "chaos": query("version.bind", TXT, qclass=3),
    "any-class": query("plain.odd.example", A, qclass=255),
    "signed": query("plain.odd.example", A, SIGNATURE),
    "edns-1": query("plain.odd.example", A, b"\0" + struct.pack("!HHIH", 41, 1232, 1 << 16, 0)),
    "two-questions": struct.pack("!6H", ID, 0x0100, 2, 0, 0, 0) + (name("plain.odd.example") + b"\0\1\0\1") * 2,
    "trailing": query("plain.odd.example", A) + b"trailing",
    "bad-cookie": query("plain.odd.example", A, opt(struct.pack("!HH", 10, 9) + b"clientCKx")),
    "no-recursion": query("flag-none.odd.example", A, flags=0),
    "checking-disabled": query("plain.odd.example", A, flags=0x0130),
}


def client(server, names):
    """One that remembers cookies as RFC 7873 5.3 wants it, c-ares of 1.33 among them."""
    own, known = os.urandom(8), b""
    for text in names:
        qname, _, transport = text.partition("/")
        asked = query(qname, A, opt(struct.pack("!HH", 10, 8 + len(known)) + own + known), ident=struct.unpack("!H", os.urandom(2))[0])
        verdict, shown = "timeout", ""
        if transport == "tcp":
            answers = list(tcp(asked, server))
            answers = [answer[4:] for answer in answers] if len(answers[0]) > 24 else answers
        else:
            answers = list(udp(asked, server))
        for line in answers:
            try:
                message = bytes.fromhex("0000" + line)
            except ValueError:
                continue
            at = message.find(struct.pack("!H", 10), 12)
            while at >= 0 and message[at + 4:at + 12] != own:
                at = message.find(struct.pack("!H", 10), at + 1)
            size = struct.unpack_from("!H", message, at + 2)[0] if at >= 0 else 0
            if at >= 0 and not 16 <= size <= 40:
                verdict = "discarded: a cookie of a wrong length"
            elif known and at < 0:
                verdict = "discarded: no cookie"
            else:
                verdict = f"rcode={message[3] & 15}"
                known = message[at + 12:at + 4 + size] if at >= 0 else known
        print(qname, verdict, shown)


def many(count, qname):
    """Lookups with a connection each, all at once, as with `options use-vc`."""
    results = []

    def one(number):
        try:
            # as slow to ask as a client under load
            results.append(len(list(tcp(query(f"n{number}.{qname}"), patience=20))[0]) > 40)
        except OSError:
            results.append(False)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{sum(results)} of {len(results)}")


def pipeline(names, server=SERVER):
    """One connection, all queries at once: one line for each answer, by name."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(8)
    sock.connect((server, 53))
    asked = [query(text, ident=number) for number, text in enumerate(names)]
    lines = {}
    try:
        sock.sendall(b"".join(struct.pack("!H", len(message)) + message for message in asked))
        while len(lines) < len(names):
            message = exactly(sock, struct.unpack("!H", exactly(sock, 2))[0])
            lines[struct.unpack_from("!H", message)[0]] = f"rcode={message[3] & 15} answers={message[7]}"
    except (OSError, EOFError) as error:
        print(kind(error))
    for number in sorted(lines):
        print(names[number], lines[number])


def main():
    what, *words = sys.argv[1:]
    if what == "table":
        table(words)
    elif what == "cookies":
        client(words[0], words[1:])
    elif what == "many":
        many(int(words[0]), words[1])
    elif what == "pipeline":
        pipeline(words)
    elif what == "other":  # NAME…: by UDP and TCP, the first 12 octets
        for label in words:
            for ask in udp, tcp:
                show(label, ask, OTHERS[label])
    elif what == "ask":  # HABIT…
        for habit in words:
            for ask in udp, tcp:
                show(habit, ask, query(f"{habit}.odd.example", A, opt()))


main()
