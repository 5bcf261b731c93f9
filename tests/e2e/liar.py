#!/usr/bin/python3
"""liar.py ADDRESS: a resolver inside of a container, port 53 over UDP and TCP of both families; every name has ADDRESS."""
import socket
import struct
import sys
import threading

RECORD = b"\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4" + socket.inet_aton(sys.argv[1])


def answer(query):
    end = query.index(b"\0", 12) + 5
    has_address = query[end - 4:end - 2] == b"\0\1"  # an A record was asked for
    head = query[:2] + b"\x81\x80" + struct.pack("!4H", 1, int(has_address), 0, 0)
    return head + query[12:end] + (RECORD if has_address else b"")


def serve_udp(sock, family):
    level, option = (socket.IPPROTO_IPV6, 49) if family == socket.AF_INET6 else (socket.IPPROTO_IP, 8)  # …PKTINFO
    sock.setsockopt(level, option, 1)
    while True:
        query, info, _, client = sock.recvmsg(4096, 256)
        sock.sendmsg([answer(query)], info, 0, client)  # from the address that was asked


def serve_tcp(sock):
    while True:
        client = sock.accept()[0]
        with client:
            head = client.recv(2, socket.MSG_WAITALL)
            if len(head) == 2:
                text = answer(client.recv(struct.unpack("!H", head)[0], socket.MSG_WAITALL))
                client.sendall(struct.pack("!H", len(text)) + text)


for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        server = socket.socket(family, kind)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind((address, 53))
        if kind == socket.SOCK_STREAM:
            server.listen()
            threading.Thread(target=serve_tcp, args=(server,)).start()
        else:
            threading.Thread(target=serve_udp, args=(server, family)).start()
print("lying", flush=True)
