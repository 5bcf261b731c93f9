#!/usr/bin/python3
"""syslog.py FILE SOCKET…: appends every datagram sent to one of the unix sockets as one line to FILE."""
import os
import selectors
import socket
import sys


def as_line(data):
    """Journal entries (KEY=value lines) become one line, too; binary fields of the native protocol stay escaped."""
    text = data.rstrip(b"\n\0").decode("utf-8", "backslashreplace")
    return " ".join(text.split("\n"))


def main():
    out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    selector = selectors.DefaultSelector()
    for path in sys.argv[2:]:
        if os.path.lexists(path):
            os.unlink(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(path)
        os.chmod(path, 0o666)
        selector.register(sock, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            os.write(out, as_line(key.fileobj.recv(1 << 18)).encode() + b"\n")


main()
