#!/usr/bin/python3
"""probe.py TEST [ARGUMENT]…: what no ordinary client does; runs inside containers. One line of output per case.

  pipeline RESOLVER NAME…       several queries on one TCP connection before the first answer is read
  alternate NAME RESOLVER…      one unconnected socket, all resolvers in turn, twice
  malformed RESOLVER            messages that are no queries
  malformed-tcp RESOLVER        the same over TCP, each on a connection of its own
  unconnected RESOLVER NAME     the first answer that comes to a socket which takes any, and from where
  crowd COUNT RESOLVER…         that many lookups at once, by all transports and by libc
  evade RESOLVER4 RESOLVER6 NAME INTERFACE   port 53 past the redirect
  reserved                      the addresses and the port that belong to the proxy
  lookup NAME COUNT             gethostbyname() again and again
  sort NAME COUNT               getaddrinfo() again and again, half of them in processes of their own
  ancillary ADDRESS4 ADDRESS6   connected UDP sockets that send with control messages
"""
import ctypes
import errno
import os
import socket
import struct
import sys
import threading
import time

ID = 0x4d43
TIMEOUT = 8
IP_PKTINFO, IP_UNICAST_IF, IPV6_PKTINFO, IPV6_UNICAST_IF = 8, 50, 50, 76
SO_BINDTODEVICE, MSG_FASTOPEN, IPPROTO_MPTCP, IPPROTO_UDPLITE = 25, 0x20000000, 262, 136


def query(name, ident=ID, qtype=1):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack("!6H", ident, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", qtype, 1)


def skip_name(data, at):
    while data[at] not in range(0xc0, 0x100) and data[at] != 0:
        at += 1 + data[at]
    return at + (1 if data[at] == 0 else 2)


def addresses(data, asked):
    at, found = len(asked), []
    for _ in range(struct.unpack("!H", data[6:8])[0]):
        at = skip_name(data, at)
        kind, _, _, length = struct.unpack("!2HIH", data[at:at + 10])
        if kind == 1:
            found.append(socket.inet_ntoa(data[at + 10:at + 14]))
        at += 10 + length
    return found


def describe(data, asked):
    if len(data) < len(asked) or data[:2] != asked[:2] or data[12:len(asked)].lower() != asked[12:].lower():
        return f"strange {data.hex()}"
    return " ".join([f"rcode={data[3] & 15}"] + addresses(data, asked))


def receive_exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise ConnectionResetError(errno.ECONNRESET, "closed")
        data += more
    return data


def receive_message(sock):
    return receive_exactly(sock, struct.unpack("!H", receive_exactly(sock, 2))[0])


def framed(message):
    return struct.pack("!H", len(message)) + message


def family_of(resolver):
    return socket.AF_INET6 if ":" in resolver else socket.AF_INET


def outcome(function, *arguments):
    """What a case comes to, as text: an error by its name."""
    try:
        return function(*arguments)
    except (socket.timeout, BlockingIOError):
        return "silence"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))


# --- ordinary messages in unusual orders

def pipeline(resolver, *names):
    sock = socket.create_connection((resolver, 53), TIMEOUT)
    asked = {ident: query(name, ident) for ident, name in enumerate(names, 1)}
    sock.sendall(b"".join(framed(message) for message in asked.values()))
    answers = {}
    for _ in names:
        data = receive_message(sock)
        ident = struct.unpack("!H", data[:2])[0]
        answers[ident] = describe(data, asked[ident])
    for ident, name in enumerate(names, 1):
        print(name, answers[ident])


def alternate(name, *resolvers):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(TIMEOUT)
    asked = query(name)
    for resolver in resolvers * 2:
        sock.sendto(asked, (resolver, 53))
        data, source = sock.recvfrom(4096)
        print(f"{resolver} from={source[0]}#{source[1]} {describe(data, asked)}")


def malformed(resolver):
    good = query("ok.example")
    cases = {
        "empty": b"",
        "one octet": b"x",
        "header only": good[:12],
        "cut": good[:-3],
        "two questions": good[:4] + b"\0\2" + good[6:] + good[12:],
        "no question": good[:4] + b"\0\0" + good[6:12],
        "trailing": good + b"trailing",
        "pointer": good[:12] + b"\xc0\x0c\0\1\0\1",
        "long label": good[:12] + b"\x80" + b"x" * 128 + b"\0\0\1\0\1",
        "answer": good[:2] + b"\x81" + good[3:],
        "opcode 2": good[:2] + b"\x11" + good[3:],
        "garbage": bytes(range(256)) * 4,
        "oversized": good + bytes(5000),
        "good": good,
    }
    for name, message in cases.items():
        sock = socket.socket(family_of(resolver), socket.SOCK_DGRAM)
        sock.settimeout(0.3 if name != "good" else TIMEOUT)
        sock.connect((resolver, 53))
        sock.send(message)
        try:
            data = sock.recv(4096)
            print(f"{name}: rcode={data[3] & 15} {' '.join(addresses(data, good) if name == 'good' else [])}")
        except socket.timeout:
            print(f"{name}: silence")


def malformed_tcp(resolver):
    good = query("ok.example")
    cases = {
        "length 0": [b"\0\0"],
        "length 11": [framed(good[:11])],
        "length 5000": [framed(good + bytes(5000 - len(good)))],
        "length 65535": [b"\xff\xff" + good],
        "half": [framed(good)[:20]],
        "octets": [bytes([octet]) for octet in framed(good)],
    }
    for name, parts in cases.items():
        sock = socket.create_connection((resolver, 53), TIMEOUT)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            sock.sendall(part)
            time.sleep(0.005)
        if name == "half":
            sock.shutdown(socket.SHUT_WR)
        sock.settimeout(0.5 if name != "octets" else TIMEOUT)
        print(f"{name}: {outcome(lambda: describe(receive_message(sock), good))}")


def unconnected(resolver, name):
    sock = socket.socket(family_of(resolver), socket.SOCK_DGRAM)
    sock.settimeout(TIMEOUT)
    asked = query(name)
    sock.sendto(asked, (resolver, 53))
    data, source = sock.recvfrom(4096)
    print(source[0], describe(data, asked))


# --- many at once

ALLOWED = {
    "ok.example": "203.0.113.10", "other.example": "203.0.113.11", "dual.example": "203.0.113.12",
    "v4only.example": "203.0.113.13", "mail.ok.example": "203.0.113.25", "notgithub.com": "203.0.113.20",
    "github.com.example": "203.0.113.21", "github.community": "203.0.113.22",
}


def case(number):
    """Name and answer expected. An alias of a blocked name exists, but has no address."""
    kind = number % 5
    if kind == 0:
        return f"n{number}.corp.example", "rcode=0 203.0.113.30"
    if kind == 1:
        return ("github.com", "api.github.com", "GitHub.Com")[number // 5 % 3], "rcode=3"
    if kind == 2:
        return f"n{number}.wild.example", "rcode=0"
    name, address = list(ALLOWED.items())[number // 5 % len(ALLOWED)]
    return name, f"rcode=0 {address}"


def look_up(number, resolver, name):
    asked = query(name)
    how = number % 4
    if how == 0:
        try:
            return "rcode=0 " + " ".join({info[4][0] for info in socket.getaddrinfo(name, 1, socket.AF_INET)})
        except socket.gaierror as error:
            return {socket.EAI_NONAME: "rcode=3", socket.EAI_NODATA: "rcode=0"}.get(error.errno, str(error))
    sock = socket.socket(family_of(resolver), socket.SOCK_STREAM if how == 3 else socket.SOCK_DGRAM)
    sock.settimeout(TIMEOUT)
    if how == 1:
        sock.sendto(asked, (resolver, 53))
        data, source = sock.recvfrom(4096)
        if source[:2] != (resolver, 53):
            return f"from {source}"
        return describe(data, asked)
    sock.connect((resolver, 53))
    sock.sendall(framed(asked) if how == 3 else asked)
    return describe(receive_message(sock) if how == 3 else sock.recv(4096), asked)


def one_of_crowd(number, resolvers, barrier, results):
    name, expected = case(number)
    barrier.wait()
    got = outcome(look_up, number, resolvers[number % len(resolvers)], name)
    results.append("right" if got == expected else f"wrong: {name} is {got!r}, not {expected!r}")


def crowd_member(first, count, resolvers):
    results, barrier = [], threading.Barrier(count)
    threads = [threading.Thread(target=one_of_crowd, args=(first + i, resolvers, barrier, results))
               for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.write("".join(line + "\n" for line in results))
    sys.stdout.flush()


def crowd(count, *resolvers):
    share = 25
    for first in range(0, int(count), share):
        if os.fork() == 0:
            crowd_member(first, min(share, int(count) - first), resolvers)
            os._exit(0)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return


def lookup(name, count):
    for _ in range(int(count)):
        outcome(socket.gethostbyname, name)


def sort(name, count):
    """libc connects UDP sockets to all addresses to put them in order (RFC 6724)."""
    for number in range(int(count)):
        child = os.fork() if number % 2 else 0
        try:
            socket.getaddrinfo(name, 443)
        except OSError as error:
            print(f"lookup {number}: {error}")
        if number % 2 and child == 0:
            os._exit(0)
        if child:
            os.waitpid(child, 0)


# --- messages with control data, which the kernel sends as if the socket was not connected

def own_source(address):
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.connect((address, 9))
    return socket.inet_pton(sock.family, sock.getsockname()[0])


def control_messages(address):
    """Name, level, type and data of what a client may give with a message."""
    four, six, number = socket.IPPROTO_IP, socket.IPPROTO_IPV6, struct.Struct("i").pack
    common = [("UDP_SEGMENT", socket.IPPROTO_UDP, 103, struct.pack("H", 4)),
              ("SO_TIMESTAMPING", socket.SOL_SOCKET, 37, struct.pack("I", 2))]
    if ":" not in address:
        return common + [("IP_TOS", four, 1, number(0x10)), ("IP_TTL", four, 2, number(9)),
                         ("IP_PKTINFO", four, 8, struct.pack("i", 0) + own_source(address) + bytes(4))]
    return common + [("IPV6_TCLASS", six, 67, number(0x10)), ("IPV6_HOPLIMIT", six, 52, number(9)),
                     ("IPV6_PKTINFO", six, 50, own_source(address) + struct.pack("i", 0)),
                     ("IPV6_DONTFRAG", six, 62, number(1))]


def send_with(peer, item, via):
    """Both ends are in this namespace, which has every address."""
    receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    receiver.bind(("::", 0))
    receiver.settimeout(TIMEOUT)
    sock = socket.socket(family_of(peer), socket.SOCK_DGRAM)
    sock.connect((peer, receiver.getsockname()[1]))
    sent = sendmmsg(sock, item) if via == "sendmmsg" else f"sent {sock.sendmsg([b'12345678'], [item[1:]])}"
    return f"{sent}, {receiver.recv(100).decode()} came"


def sendmmsg(sock, item):
    libc = ctypes.CDLL(None, use_errno=True)
    level, kind, data = item[1:]
    control = struct.pack("@Nii", 16 + len(data), level, kind) + data
    control += bytes(-len(control) % 8)
    octets, ancillary = ctypes.create_string_buffer(b"12345678", 8), ctypes.create_string_buffer(control, len(control))
    vector = struct.pack("@PN", ctypes.addressof(octets), 8)
    vectors = ctypes.create_string_buffer(vector, len(vector))
    header = struct.pack("@PIxxxxPNPNiI", 0, 0, ctypes.addressof(vectors), 1, ctypes.addressof(ancillary),
                         len(control), 0, 0) + struct.pack("@Ixxxx", 0)
    headers = ctypes.create_string_buffer(header * 3, 3 * len(header))
    count = libc.sendmmsg(sock.fileno(), headers, 3, 0)
    if count < 0:
        raise OSError(ctypes.get_errno(), "sendmmsg")
    return f"sent {count} messages"


def ancillary(address4, address6):
    for peer in (address4, address6, "::ffff:" + address4):
        items = control_messages(peer if not peer.startswith("::ffff:") else address4)
        for item in items:
            print(peer, item[0], outcome(send_with, peer, item, "sendmsg"))
        print(peer, items[2][0], "sendmmsg", outcome(send_with, peer, items[2], "sendmmsg"))


# --- past the redirect

def ask_udp(sock, resolver, asked, ancillary=(), flags=0):
    sock.settimeout(1)
    sock.sendmsg([asked], ancillary, flags, (resolver, 53))
    return describe(sock.recv(4096), asked)


def ask_connected(sock, resolver, asked, ancillary):
    """The interface is chosen by the message alone, on a socket that was connected before."""
    sock.settimeout(1)
    sock.connect((resolver, 53))
    sock.sendmsg([asked], ancillary)
    return describe(sock.recv(4096), asked)


def ask_tcp(sock, resolver, asked):
    sock.settimeout(1)
    sock.connect((resolver, 53))
    sock.sendall(framed(asked))
    return describe(receive_message(sock), asked)


def with_option(sock, level, option, value):
    sock.setsockopt(level, option, value)
    return sock


def udp4():
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


def udp6():
    return socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)


def tcp4(protocol=0):
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol)


def fast_open(resolver, asked):
    # blocking: otherwise the call comes back before the connection is there
    sock = with_option(tcp4(), socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@2l", 1, 0))
    sock.sendto(framed(asked), MSG_FASTOPEN, (resolver, 53))
    return describe(receive_message(sock), asked)


def reconnected(resolver, asked):
    """Connected, disconnected by AF_UNSPEC, then unconnected."""
    import ctypes
    sock = udp4()
    sock.connect((resolver, 53))
    unspec = struct.pack("=H14x", socket.AF_UNSPEC)
    ctypes.CDLL(None).connect(sock.fileno(), unspec, len(unspec))
    return ask_udp(sock, resolver, asked)


def connected_elsewhere(resolver, asked):
    sock = udp4()
    sock.connect((resolver, 9999))
    return ask_udp(sock, resolver, asked)


def raw(resolver, asked):
    sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
    sock.settimeout(1)
    sock.sendto(struct.pack("!4H", 4711, 53, 8 + len(asked), 0) + asked, (resolver, 0))
    data = sock.recv(4096)
    return describe(data[28:], asked)


def raw6(resolver, asked):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_UDP)
    with_option(sock, socket.IPPROTO_IPV6, 7, 6)  # IPV6_CHECKSUM: where it stands in the UDP header
    sock.settimeout(1)
    sock.sendto(struct.pack("!4H", 4711, 53, 8 + len(asked), 0) + asked, (resolver, 0))
    return describe(sock.recv(4096)[8:], asked)


def evade(four, six, name, interface):
    asked = query(name)
    index = socket.if_nametoindex(interface)
    device = interface.encode() + b"\0"
    info4 = [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i8x", index))]
    info6 = [(socket.IPPROTO_IPV6, IPV6_PKTINFO, struct.pack("=16xi", index))]
    any_level = socket.SOL_SOCKET
    cases = {
        "plain": lambda: ask_udp(udp4(), four, asked),
        "device-udp": lambda: ask_udp(with_option(udp4(), any_level, SO_BINDTODEVICE, device), four, asked),
        "device-udp6": lambda: ask_udp(with_option(udp6(), any_level, SO_BINDTODEVICE, device), six, asked),
        "device-tcp": lambda: ask_tcp(with_option(tcp4(), any_level, SO_BINDTODEVICE, device), four, asked),
        "unicast-if": lambda: ask_udp(with_option(udp4(), socket.IPPROTO_IP, IP_UNICAST_IF, struct.pack("!I", index)),
                                      four, asked),
        "unicast-if6": lambda: ask_udp(with_option(udp6(), socket.IPPROTO_IPV6, IPV6_UNICAST_IF,
                                                   struct.pack("!I", index)), six, asked),
        "pktinfo": lambda: ask_udp(udp4(), four, asked, info4),
        "pktinfo6": lambda: ask_udp(udp6(), six, asked, info6),
        "pktinfo-connected": lambda: ask_connected(udp4(), four, asked, info4),
        "fast-open": lambda: fast_open(four, asked),
        "mptcp": lambda: ask_tcp(tcp4(IPPROTO_MPTCP), four, asked),
        "udplite": lambda: ask_udp(socket.socket(socket.AF_INET, socket.SOCK_DGRAM, IPPROTO_UDPLITE), four, asked),
        "reconnected": lambda: reconnected(four, asked),
        "connected-elsewhere": lambda: connected_elsewhere(four, asked),
        "raw": lambda: raw(four, asked),
        "raw6": lambda: raw6(six, asked),
    }
    for how, function in cases.items():
        print(f"{how}: {outcome(function)}")


def proxy_port():
    """The port on which somebody listens on every address of this namespace, by UDP."""
    with open("/proc/net/udp", encoding="ascii") as table:
        for line in list(table)[1:]:
            address, port = line.split()[1].split(":")
            if address == "00000000":
                return int(port, 16)
    return 0


def connected(kind, address, port):
    sock = socket.socket(family_of(address), kind)
    sock.settimeout(1)
    sock.connect((address, port))
    return "connected"


def sent(address, port, message):
    sock = socket.socket(family_of(address), socket.SOCK_DGRAM)
    sock.settimeout(0.3)
    sock.sendto(message, (address, port))
    return f"answer {sock.recv(4096).hex()}"


def bound(kind, address, port, options):
    sock = socket.socket(socket.AF_INET, kind)
    for option in options:
        sock.setsockopt(socket.SOL_SOCKET, option, b"lo\0" if option == SO_BINDTODEVICE else 1)
    sock.bind((address, port))
    return "bound"


def reserved():
    own = socket.create_server(("127.0.0.1", 0))
    port, proxy = own.getsockname()[1], proxy_port()
    udp, tcp = socket.SOCK_DGRAM, socket.SOCK_STREAM
    asked = query("ok.example")
    print("proxy port:", "found" if proxy else "not found")
    print("own server:", outcome(connected, tcp, "127.0.0.1", port))
    for address in ("127.192.0.1", "127.200.0.1", "127.255.255.254"):
        for number in (port, proxy):
            which = "own" if number == port else "proxy"
            print(f"tcp {address} {which}:", outcome(connected, tcp, address, number))
            print(f"udp {address} {which}:", outcome(connected, udp, address, number))
            print(f"sendto {address} {which}:", outcome(sent, address, number, asked))
    print("mapped:", outcome(connected, tcp, "::ffff:127.200.0.1", port))
    print("sendto 127.0.0.1 proxy:", outcome(sent, "127.0.0.1", proxy, asked))
    for kind, name in ((udp, "udp"), (tcp, "tcp")):
        for options in ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEPORT,), (socket.SO_REUSEADDR, SO_BINDTODEVICE)):
            print(f"bind {name} {options}:", outcome(bound, kind, "127.192.0.5", proxy, options))
    print("bind elsewhere:", outcome(bound, udp, "127.0.0.5", 4711, ()))


TESTS = {function.__name__: function for function in
         (pipeline, alternate, malformed, malformed_tcp, unconnected, crowd, evade, reserved, lookup, sort, ancillary)}
TESTS[sys.argv[1].replace("-", "_")](*sys.argv[2:])
