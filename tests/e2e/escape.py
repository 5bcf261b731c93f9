#!/usr/bin/python3
"""escape.py blocked|allowed [ROW]…: every way that this machine knows to send something to an address.
escape.py at ADDRESS ROW…: some of them, to this address
escape.py HOW [ARGUMENT]…: what is no row, see the functions below HOW

One line per row: NAME DESTINATION RESULT, words parted by tabs. Each row has a destination of its own, so that packets
tell which row sent them; "blocked" and "allowed" choose networks (tests/e2e/91-escapes.bats has the policies). RESULT is
"ok" (an answer came), "sent" (none is expected), "silence", "hang", "unavailable ERRNO" (this kernel has no such thing),
or the errno of what failed. What is sent on the way to a destination that is always allowed ("via") says so in its row.
"""
import ctypes
import errno
import os
import signal
import socket
import struct
import sys
import time

PORT, TEXT = 9999, b"escape\n"
NETS = {"blocked": ("198.51.100.", "2001:db8:51::", "239.51.100.", "ff0e::51:"),
        "allowed": ("203.0.113.", "2001:db8:80::", "239.0.113.", "ff0e::80:")}
VIA4, VIA6 = "192.0.2.", "2001:db8:99::"  # allowed, whatever is asked for
VIA_ALLOWED = 128  # added to the row, so that packets on the way to what is allowed are apart
TIMEOUT_S = 1.5
LIBC = ctypes.CDLL(None, use_errno=True)
IP_OPTIONS, IP_PKTINFO, IP_UNICAST_IF, IPV6_UNICAST_IF, IPV6_HDRINCL = 4, 8, 50, 76, 36
IPV6_PKTINFO, IPV6_HOPOPTS, IPV6_RTHDR, IPV6_DSTOPTS = 50, 54, 57, 59
SOL_UDP, UDP_SEGMENT, TCP_FASTOPEN_CONNECT, MSG_FASTOPEN, MSG_MORE = 17, 103, 30, 0x20000000, 0x8000
IPPROTO_MPTCP, IPPROTO_UDPLITE, IPPROTO_SCTP, SO_BINDTODEVICE = 262, 136, 132, 25
DEVICE = "eth0"


class Address:
    def __init__(self, address):
        self.four = self.six = self.multi4 = self.multi6 = self.shown = address
        self.via4, self.via6 = f"{VIA4}1", f"{VIA6}1"


class Target:
    def __init__(self, kind, row):
        four, six, multi4, multi6 = NETS[kind]
        self.four, self.six = f"{four}{row}", f"{six}{row:x}"
        self.multi4, self.multi6 = f"{multi4}{row}", f"{multi6}{row:x}"
        via = row + (VIA_ALLOWED if kind == "allowed" else 0)
        self.via4, self.via6 = f"{VIA4}{via}", f"{VIA6}{via:x}"
        self.shown = self.four


def new(family, kind, protocol=0):
    sock = socket.socket(family, kind, protocol)
    sock.settimeout(TIMEOUT_S)
    return sock


def tcp4(protocol=0):
    return new(socket.AF_INET, socket.SOCK_STREAM, protocol)


def tcp6(protocol=0):
    return new(socket.AF_INET6, socket.SOCK_STREAM, protocol)


def udp4(protocol=0):
    return new(socket.AF_INET, socket.SOCK_DGRAM, protocol)


def udp6(protocol=0):
    return new(socket.AF_INET6, socket.SOCK_DGRAM, protocol)


def raw4(protocol):
    return new(socket.AF_INET, socket.SOCK_RAW, protocol)


def raw6(protocol):
    return new(socket.AF_INET6, socket.SOCK_RAW, protocol)


def talk(sock, is_sent=False):
    """Over a connection that echoes."""
    if not is_sent:
        sock.sendall(TEXT)
    data = b""
    while TEXT not in data:
        more = sock.recv(4096)
        if not more:
            return "closed"
        data += more
    return "ok"


def heard(sock):
    return "ok" if TEXT in sock.recv(65535) else "strange"


def connect(sock, address):
    sock.connect((address, PORT))
    return sock


def disconnect(sock):
    unspec = struct.pack("=H14x", socket.AF_UNSPEC)
    if LIBC.connect(sock.fileno(), unspec, len(unspec)) != 0:
        raise OSError(ctypes.get_errno(), "AF_UNSPEC")
    return sock


def option(sock, level, name, value):
    sock.setsockopt(level, name, value)
    return sock


def sendto(sock, address, data=TEXT, flags=0, port=PORT):
    sock.sendto(data, flags, (address, port))
    return sock


def sockaddr(address, port=PORT, family=socket.AF_INET):
    return struct.pack("=H", family) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8)


def six(target):
    target.shown = target.six
    return target.six


def mapped(target):
    return "::ffff:" + target.four


# --- TCP

def tcp(target):
    return talk(connect(tcp4(), target.four))


def tcp_ip6(target):
    return talk(connect(tcp6(), six(target)))


def tcp_mapped(target):
    return talk(connect(tcp6(), mapped(target)))


def tcp_fastopen_sendto(target):
    # blocking, or the call comes back before the connection is there
    sock = option(socket.socket(), socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@2l", 1, 0))
    option(sock, socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@2l", 1, 0))
    return talk(sendto(sock, target.four, flags=MSG_FASTOPEN), is_sent=True)


def tcp_fastopen_connect(target):
    return talk(connect(option(tcp4(), socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1), target.four))


def mptcp(target):
    return talk(connect(tcp4(IPPROTO_MPTCP), target.four))


def mptcp_ip6(target):
    return talk(connect(tcp6(IPPROTO_MPTCP), six(target)))


def sctp(target):
    return talk(connect(tcp4(IPPROTO_SCTP), target.four))


def tcp_bindtodevice(target):
    sock = option(tcp4(), socket.SOL_SOCKET, SO_BINDTODEVICE, DEVICE.encode() + b"\0")
    return talk(connect(sock, target.four))


def tcp_unspec(target):
    """Connected to what is allowed, disconnected by AF_UNSPEC, connected anew."""
    sock = connect(tcp4(), target.via4)
    talk(sock)
    return talk(connect(disconnect(sock), target.four))


def tcp_child(target):
    """A grandchild that nobody waits for."""
    read, write = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:
            os.setsid()
            os.write(write, outcome(tcp, target).encode())
        os._exit(0)
    os.close(write)
    return os.read(read, 99).decode()


# --- UDP

def udp_connect(target):
    sock = connect(udp4(), target.four)
    sock.send(TEXT)
    return heard(sock)


def udp_connect_ip6(target):
    sock = connect(udp6(), six(target))
    sock.send(TEXT)
    return heard(sock)


def udp_connect_mapped(target):
    sock = connect(udp6(), mapped(target))
    sock.send(TEXT)
    return heard(sock)


def udp_sendto(target):
    return heard(sendto(udp4(), target.four))


def udp_sendto_ip6(target):
    return heard(sendto(udp6(), six(target)))


def udp_sendto_mapped(target):
    return heard(sendto(udp6(), mapped(target)))


def raw_sendto(sock, address):
    if LIBC.sendto(sock.fileno(), TEXT, len(TEXT), 0, address, len(address)) < 0:
        raise OSError(ctypes.get_errno(), "sendto")
    return heard(sock)


def udp_sendto_inet_on_ip6(target):
    """An IPv4 address for an IPv6 socket."""
    return raw_sendto(udp6(), sockaddr(target.four))


def udp_sendto_unspec(target):
    """IPv4 takes the family AF_UNSPEC for its own."""
    return raw_sendto(udp4(), sockaddr(target.four, family=socket.AF_UNSPEC))


def udp_sendmsg(target):
    sock = udp4()
    sock.sendmsg([b"esc", b"ape\n"], [], 0, (target.four, PORT))
    return heard(sock)


class Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_char_p), ("len", ctypes.c_size_t)]


class Msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("namelen", ctypes.c_uint32), ("iov", ctypes.POINTER(Iovec)),
                ("iovlen", ctypes.c_size_t), ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [("header", Msghdr), ("len", ctypes.c_uint32)]


def udp_sendmmsg(target):
    """Two datagrams by one call, the first to what is allowed."""
    sock, iov = udp4(), Iovec(TEXT, len(TEXT))
    messages = (Mmsghdr * 2)()
    for message, address in zip(messages, (target.via4, target.four)):
        name = sockaddr(address)
        message.header = Msghdr(name, len(name), ctypes.pointer(iov), 1)
    # an error at the second one shows at the next call only
    count = LIBC.sendmmsg(sock.fileno(), messages, 2, 0)
    if count == 1:
        count = LIBC.sendmmsg(sock.fileno(), ctypes.byref(messages[1]), 1, 0)
    if count < 0:
        raise OSError(ctypes.get_errno(), "sendmmsg")
    sock.recv(4096)
    return heard(sock)


def udp_more(target):
    """Corked: one datagram of two calls."""
    sock = sendto(udp4(), target.four, b"esc", MSG_MORE)
    return heard(sendto(sock, target.four, b"ape\n"))


def udp_gso(target):
    sock = option(udp4(), SOL_UDP, UDP_SEGMENT, 100)
    return heard(sendto(sock, target.four, TEXT + bytes(900)))


def udp_large(target):
    """Leaves as fragments."""
    return heard(sendto(udp4(), target.four, TEXT + bytes(3000)))


def index():
    return socket.if_nametoindex(DEVICE)


def udp_pktinfo(target):
    sock = udp4()
    sock.sendmsg([TEXT], [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("=i8x", index()))], 0, (target.four, PORT))
    return heard(sock)


def udp_pktinfo_ip6(target):
    sock = udp6()
    info = [(socket.IPPROTO_IPV6, IPV6_PKTINFO, struct.pack("=16xi", index()))]
    sock.sendmsg([TEXT], info, 0, (six(target), PORT))
    return heard(sock)


def udp_unicast_if(target):
    sock = option(udp4(), socket.IPPROTO_IP, IP_UNICAST_IF, struct.pack("!I", index()))
    return heard(sendto(sock, target.four))


def udp_unicast_if_ip6(target):
    sock = option(udp6(), socket.IPPROTO_IPV6, IPV6_UNICAST_IF, struct.pack("!I", index()))
    return heard(sendto(sock, six(target)))


def udp_bindtodevice(target):
    sock = option(udp4(), socket.SOL_SOCKET, SO_BINDTODEVICE, DEVICE.encode() + b"\0")
    return heard(sendto(sock, target.four))


def udp_unspec(target):
    return heard(sendto(disconnect(connect(udp4(), target.via4)), target.four))


def udp_reconnect(target):
    sock = connect(udp4(), target.via4)
    sock.send(TEXT)
    sock.recv(4096)
    connect(sock, target.four)
    sock.send(TEXT)
    return heard(sock)


def udp_sendto_on_connected(target):
    sock = connect(udp4(), target.via4)
    sendto(sock, target.four)
    return "sent"  # the answer would not be the peer's


def udplite(target):
    sendto(udp4(IPPROTO_UDPLITE), target.four)
    return "sent"


def udplite_ip6(target):
    sendto(udp6(IPPROTO_UDPLITE), six(target))
    return "sent"


def multicast(target):
    target.shown = target.multi4
    sendto(udp4(), target.multi4)
    return "sent"


def multicast_ip6(target):
    target.shown = target.multi6
    sendto(udp6(), target.multi6)
    return "sent"


def broadcast(target):
    target.shown = "255.255.255.255"
    sendto(option(udp4(), socket.SOL_SOCKET, socket.SO_BROADCAST, 1), target.shown)
    return "sent"


# --- io_uring

def uring(how):
    def run(target):
        read, write = os.pipe()
        if os.fork() == 0:
            os.dup2(write, 1)
            os.execv("/uring", ["uring", how, target.four, str(PORT)])
        os.close(write)
        return os.read(read, 99).decode().strip()
    return run


# --- the IP header

def lsrr(hops):
    return bytes([131, 3 + 4 * len(hops), 4]) + b"".join(map(socket.inet_aton, hops)) + b"\0"


def source_route_hop_tcp(target):
    """Connected to what is allowed, by way of the target: it is the target that the packet goes to."""
    connect(option(tcp4(), socket.IPPROTO_IP, IP_OPTIONS, lsrr([target.four])), target.via4)
    return "sent"


def source_route_hop_udp(target):
    sendto(option(udp4(), socket.IPPROTO_IP, IP_OPTIONS, lsrr([target.four])), target.via4)
    return "sent"


def source_route_end(target):
    """The other way round: the option says where it ends."""
    target.shown = target.via4
    sendto(option(udp4(), socket.IPPROTO_IP, IP_OPTIONS, lsrr([target.via4])), target.four)
    return "sent"


def routing_header2(hop):
    return struct.pack("!4BI", 0, 2, 2, 1, 0) + socket.inet_pton(socket.AF_INET6, hop)


def routing_header4(hop):
    return struct.pack("!6BH", 0, 4, 4, 1, 1, 0, 0) + bytes(16) + socket.inet_pton(socket.AF_INET6, hop)


def by_routing_header(make, new_socket):
    def run(target):
        sock = option(new_socket(), socket.IPPROTO_IPV6, IPV6_RTHDR, make(six(target)))
        sock.connect((target.via6, PORT))
        if new_socket is udp6:
            sock.send(TEXT)
        return "sent"
    return run


def routing_header_message(target):
    """The header comes with one message of a connected socket."""
    sock = connect(udp6(), target.via6)
    sock.sendmsg([TEXT], [(socket.IPPROTO_IPV6, IPV6_RTHDR, routing_header2(six(target)))])
    return "sent"


def source_route_message(target):
    """IP_RETOPTS: the same for IPv4."""
    sock = connect(udp4(), target.via4)
    sock.sendmsg([TEXT], [(socket.IPPROTO_IP, 7, lsrr([target.four]))])
    return "sent"


PADDING = b"\0\0\1\4\0\0\0\0"


def destination_options(target):
    return heard(sendto(option(udp6(), socket.IPPROTO_IPV6, IPV6_DSTOPTS, PADDING), six(target)))


def hop_options(target):
    return heard(sendto(option(udp6(), socket.IPPROTO_IPV6, IPV6_HOPOPTS, PADDING), six(target)))


# --- ICMP and raw sockets

def echo_request(kind):
    return struct.pack("!2B3H", kind, 0, 0, 1, 1) + TEXT


def ping(target):
    return heard(sendto(new(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP), target.four, echo_request(8), port=0))


def ping_ip6(target):
    sock = new(socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)
    return heard(sendto(sock, six(target), echo_request(128), port=0))


def ping_connect(target):
    sock = new(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    sock.connect((target.four, 0))
    sock.send(echo_request(8))
    return heard(sock)


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff


def raw_icmp(target):
    message = echo_request(8) + b"\0"
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    return heard(sendto(raw4(socket.IPPROTO_ICMP), target.four, message, port=0))


def udp_header(data):
    return struct.pack("!4H", 4711, PORT, 8 + len(data), 0) + data


def raw_udp(target):
    return heard(sendto(raw4(socket.IPPROTO_UDP), target.four, udp_header(TEXT), port=0))


def raw_udp_ip6(target):
    sock = option(raw6(socket.IPPROTO_UDP), socket.IPPROTO_IPV6, 7, 6)  # IPV6_CHECKSUM: where it stands
    sendto(sock, six(target), udp_header(TEXT), port=0)
    return "sent"


def ip_header(destination, data, protocol=17, fragment=0):
    # source, length and checksum are the kernel's
    return struct.pack("!2B3H2BH4s4s", 0x45, 0, 0, 4711, fragment, 64, protocol, 0, bytes(4),
                       socket.inet_aton(destination)) + data


def raw_header(target):
    sendto(raw4(socket.IPPROTO_RAW), target.four, ip_header(target.four, udp_header(TEXT)), port=0)
    return "sent"


def raw_header_lies(target):
    """The call names what is allowed, the header the target."""
    sendto(raw4(socket.IPPROTO_RAW), target.via4, ip_header(target.four, udp_header(TEXT)), port=0)
    return "sent"


def raw_fragment(target):
    """A second fragment without a first one: there are no ports in it."""
    sendto(raw4(socket.IPPROTO_RAW), target.four, ip_header(target.four, bytes(16), fragment=100), port=0)
    return "sent"


def raw_tcp_ack(target):
    """A segment that is no SYN."""
    segment = struct.pack("!2H2I2BHHH", 4711, PORT, 1, 1, 0x50, 0x10, 1000, 0, 0)
    sendto(raw4(socket.IPPROTO_TCP), target.four, segment, port=0)
    return "sent"


def raw_header_ip6(target):
    header = struct.pack("!IHBB", 6 << 28, 8 + len(TEXT), 17, 64) + bytes(16)
    packet = header + socket.inet_pton(socket.AF_INET6, six(target)) + udp_header(TEXT)
    sendto(option(raw6(socket.IPPROTO_RAW), socket.IPPROTO_IPV6, IPV6_HDRINCL, 1), target.six, packet, port=0)
    return "sent"


def raw_gre(target):
    sendto(raw4(47), target.four, b"\0\0\x08\0" + ip_header(target.four, TEXT), port=0)
    return "sent"


# --- what is no row: HOW

def packet(address):
    """A datagram in a frame of its own, past the IP layer."""
    sock = new(socket.AF_PACKET, socket.SOCK_DGRAM)
    data = udp_header(TEXT)
    header = bytearray(ip_header(address, data))
    header[2:4] = struct.pack("!H", len(header))
    header[12:16] = own_address()
    header[10:12] = struct.pack("!H", checksum(bytes(header[:20])))
    sock.sendto(bytes(header), (DEVICE, 0x0800, 0, 0, gateway()))
    return "sent"


def own_address():
    sock = udp4()
    sock.connect(("192.0.2.1", 9))
    return socket.inet_aton(sock.getsockname()[0])


def gateway():
    """Its hardware address, for which it must have been spoken to."""
    with open("/proc/net/arp", encoding="ascii") as table:
        return bytes.fromhex(list(table)[1].split()[3].replace(":", ""))


def family(number, kind):
    """A socket of a family that is not the internet's."""
    new(int(number), int(kind)).close()
    return "created"


def passed(number, address):
    """A descriptor that was there from the start."""
    sock = socket.socket(fileno=int(number))
    sock.settimeout(TIMEOUT_S)
    return talk(connect(sock, address))


def handed(path, address):
    """A socket that somebody outside made and hands over."""
    with socket.socket(socket.AF_UNIX) as helper:
        helper.connect(path)
        _, descriptors, _, _ = socket.recv_fds(helper, 1, 1)
    return passed(descriptors[0], address)


def reroute(via, address):
    """An established connection gets a source route, and a new route by IP_TOS: its segments are no SYN."""
    sock = connect(tcp4(), via)
    option(sock, socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=2i", 1, 0))  # nothing of it stays behind
    talk(sock)
    option(sock, socket.IPPROTO_IP, IP_OPTIONS, lsrr([address]))
    option(sock, socket.IPPROTO_IP, socket.IP_TOS, struct.pack("=i", 0x10))
    sock.sendall(TEXT)
    return heard(sock)


def question(resolver, *labels):
    """A query for labels in hexadecimal digits, over UDP: its RCODE and how many records."""
    name = b"".join(bytes([len(label) // 2]) + bytes.fromhex(label) for label in labels) + b"\0"
    sock = udp4()
    sock.sendto(struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0) + name + struct.pack("!2H", 1, 1), (resolver, 53))
    data = sock.recv(4096)
    return f"rcode={data[3] & 15} records={struct.unpack_from('!H', data, 6)[0]}"


def pieces(address, port, *parts):
    """Each part as a segment of its own; the first line that comes back, or how it ended."""
    sock = option(tcp4(), socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.connect((address, int(port)))
    for part in parts:
        sock.sendall(part.encode().decode("unicode_escape").encode("latin-1"))
    data = sock.recv(4096)
    return data.split(b"\n")[0].rstrip(b"\r").decode() if data else "closed"  # an echo may come with it, or later


def hello(address, name):
    """The shortest TLS hello (RFC 8446 4.1.2, RFC 6066 3), always the same; the type of the record that comes back."""
    server = struct.pack("!HBH", len(name) + 3, 0, len(name)) + name.encode()
    extension = struct.pack("!HH", 0, len(server)) + server
    body = b"\3\3" + bytes(32) + b"\0" + b"\0\2\xc0\x2b" + b"\1\0" + struct.pack("!H", len(extension)) + extension
    handshake = b"\1" + struct.pack("!I", len(body))[1:] + body
    sock = tcp4()
    sock.connect((address, 443))
    sock.sendall(b"\x16\3\1" + struct.pack("!H", len(handshake)) + handshake)
    data = sock.recv(1)
    return f"record {data[0]}" if data else "closed"


def until(address):
    """Looks up nothing, and waits until an address is refused."""
    for _ in range(100):
        if outcome(tcp, Address(address)) == "EPERM":
            return "refused"
        time.sleep(0.05)
    return "never"


HOW = {function.__name__: function for function in (packet, family, passed, handed, reroute, question, pieces, hello, until)}

# The number of a row is the last part of its addresses: new rows go to the end.
ROWS = {
    "tcp": tcp, "tcp-ip6": tcp_ip6, "tcp-mapped": tcp_mapped, "tcp-fastopen-sendto": tcp_fastopen_sendto,
    "tcp-fastopen-connect": tcp_fastopen_connect, "mptcp": mptcp, "mptcp-ip6": mptcp_ip6, "sctp": sctp,
    "tcp-bindtodevice": tcp_bindtodevice, "tcp-unspec": tcp_unspec, "tcp-child": tcp_child,
    "udp-connect": udp_connect, "udp-connect-ip6": udp_connect_ip6, "udp-connect-mapped": udp_connect_mapped,
    "udp-sendto": udp_sendto, "udp-sendto-ip6": udp_sendto_ip6, "udp-sendto-mapped": udp_sendto_mapped,
    "udp-sendto-inet-on-ip6": udp_sendto_inet_on_ip6, "udp-sendto-unspec": udp_sendto_unspec,
    "udp-sendmsg": udp_sendmsg, "udp-sendmmsg": udp_sendmmsg, "udp-more": udp_more,
    "udp-gso": udp_gso, "udp-large": udp_large,
    "udp-pktinfo": udp_pktinfo, "udp-pktinfo-ip6": udp_pktinfo_ip6, "udp-unicast-if": udp_unicast_if,
    "udp-unicast-if-ip6": udp_unicast_if_ip6, "udp-bindtodevice": udp_bindtodevice, "udp-unspec": udp_unspec,
    "udp-reconnect": udp_reconnect, "udp-sendto-on-connected": udp_sendto_on_connected,
    "udplite": udplite, "udplite-ip6": udplite_ip6,
    "multicast": multicast, "multicast-ip6": multicast_ip6, "broadcast": broadcast,
    "uring-connect": uring("connect"), "uring-connect-async": uring("connect-async"),
    "uring-connect-sqpoll": uring("connect-sqpoll"), "uring-sendmsg": uring("sendmsg"),
    "uring-sendmsg-async": uring("sendmsg-async"), "uring-socket": uring("socket"),
    "source-route-hop-tcp": source_route_hop_tcp, "source-route-hop-udp": source_route_hop_udp,
    "source-route-end": source_route_end, "source-route-message": source_route_message,
    "rthdr2-udp": by_routing_header(routing_header2, udp6),
    "rthdr4-tcp": by_routing_header(routing_header4, tcp6), "rthdr4-udp": by_routing_header(routing_header4, udp6),
    "rthdr2-message": routing_header_message, "destination-options": destination_options, "hop-options": hop_options,
    "ping": ping, "ping-ip6": ping_ip6, "ping-connect": ping_connect,
    "raw-icmp": raw_icmp, "raw-udp": raw_udp, "raw-udp-ip6": raw_udp_ip6, "raw-header": raw_header,
    "raw-header-lies": raw_header_lies, "raw-fragment": raw_fragment, "raw-tcp-ack": raw_tcp_ack,
    "raw-header-ip6": raw_header_ip6, "raw-gre": raw_gre,
}


def outcome(function, *arguments):
    try:
        return function(*arguments)
    except (socket.timeout, BlockingIOError):
        return "silence"
    except OSError as error:
        name = errno.errorcode.get(error.errno, str(error))
        return f"unavailable {name}" if name in ("EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EINVAL") else name


def run(name, target):
    """In a process of its own, so that none disturbs the next and none hangs for ever."""
    child = os.fork()
    if child == 0:
        def late(*_):
            print(name, target.shown, "hang", sep="\t", flush=True)
            os._exit(1)
        signal.signal(signal.SIGALRM, late)
        signal.alarm(4)
        result = outcome(ROWS[name], target)
        print(name, target.shown, result, sep="\t", flush=True)
        os._exit(0)
    os.waitpid(child, 0)


def main():
    kind, *wanted = sys.argv[1:]
    if kind in HOW:
        print(kind, outcome(HOW[kind], *wanted))
        return
    if kind == "at":
        for name in wanted[1:]:
            run(name, Address(wanted[0]))
        return
    for number, name in enumerate(ROWS, 1):
        if not wanted or name in wanted:
            run(name, Target(kind, number))


main()
