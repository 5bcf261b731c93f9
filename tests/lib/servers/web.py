#!/usr/bin/python3
"""web.py --cert FILE --key FILE --log FILE --ready FILE

What answers behind every address of the test world, over IPv4 and IPv6:
  TCP 80, 8080, 3128    HTTP; also as a proxy: absolute-form targets are answered, CONNECT leads to this server's TLS
  TCP 443, 8443         HTTPS with one certificate for all names of the world; /dns-query is DNS (RFC 8484)
  TCP 853               DNS over TLS (RFC 7858), answered by the resolver of this namespace, as for HTTPS
  TCP 25, 587           SMTP that takes every message
  TCP 22                the greeting of an SSH server, then as 7
  TCP 7, 9999           a line "TCP CLIENT SERVER", then everything is echoed
  UDP 7, 123, 443, 9999 every datagram is echoed behind "UDP CLIENT SERVER "
One line of log per request or connection: TIME KIND CLIENT#PORT SERVER#PORT WHAT. The body of every page is
"hello from HOST (SERVER) to CLIENT".
"""
import argparse
import base64
import http.server
import os
import socket
import socketserver
import ssl
import struct
import threading
import time
import urllib.parse

IPV6_FREEBIND = 78
ECHO_PORTS_TCP, ECHO_PORTS_UDP = (7, 9999), (7, 123, 443, 9999)
HTTP_PORTS, HTTPS_PORTS = (80, 8080, 3128), (443, 8443)
LOG = None
TLS = None


def plain(address):
    return address[7:] if address.startswith("::ffff:") else address


def log(kind, client, server, what):
    line = f"{time.time():.6f} {kind} {plain(client[0])}#{client[1]} {plain(server[0])}#{server[1]} {what}\n"
    os.write(LOG, line.encode("ascii", "backslashreplace"))


class Listener(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()

    def handle_error(self, request, client_address):
        pass  # clients that go away are what tests are about


class Page(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kind = "HTTP"
    timeout = 60

    def do_GET(self):
        server = self.connection.getsockname()
        host = self.headers.get("Host", "-")
        log(self.kind, self.client_address, server, f"{self.command} {self.path} host={host}")
        body = f"hello from {host} ({plain(server[0])}) to {plain(self.client_address[0])}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_POST = do_GET

    def answer_dns(self, question):
        log("DOH", self.client_address, self.connection.getsockname(), f"{len(question)} octets")
        answer = resolve(question)
        self.send_response(200)
        self.send_header("Content-Type", "application/dns-message")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def do_CONNECT(self):
        log("CONNECT", self.client_address, self.connection.getsockname(), self.path)
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.close_connection = True
        SecurePage(self.connection, self.client_address, self.server)

    def log_message(self, *_):
        pass


class SecurePage(Page):
    kind = "HTTPS"

    def setup(self):
        server = self.request.getsockname()
        try:
            self.request = TLS.wrap_socket(self.request, server_side=True)
        except (OSError, ssl.SSLError) as error:
            log("TLS-FAILED", self.client_address, server, str(error))
            raise
        log("TLS", self.client_address, server, f"sni={getattr(self.request, 'asked_for', None) or '-'}")
        super().setup()


    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        question = urllib.parse.parse_qs(url.query).get("dns")
        if url.path == "/dns-query" and question:
            self.answer_dns(base64.urlsafe_b64decode(question[0] + "=" * (-len(question[0]) % 4)))
        else:
            super().do_GET()

    def do_POST(self):
        if self.path == "/dns-query":
            self.answer_dns(self.rfile.read(int(self.headers["Content-Length"])))
        else:
            super().do_GET()


def resolve(question):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", 53))
        sock.send(question)
        return sock.recv(65535)


def note_server_name(connection, name, _):
    connection.asked_for = name


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        server = self.request.getsockname()
        log("ECHO", self.client_address, server, "connected")
        self.request.sendall(f"TCP {plain(self.client_address[0])}#{self.client_address[1]} {plain(server[0])}\n".encode())
        while data := self.request.recv(65536):
            self.request.sendall(data)


class Ssh(Echo):
    def handle(self):
        self.request.sendall(b"SSH-2.0-world\r\n")
        super().handle()


class Smtp(socketserver.StreamRequestHandler):
    def handle(self):
        server = self.request.getsockname()
        log("SMTP", self.client_address, server, "connected")
        self.wfile.write(b"220 world ESMTP\r\n")
        while line := self.rfile.readline(4096):
            word = line[:4].upper().strip()
            self.wfile.write({b"EHLO": b"250 world\r\n", b"DATA": b"354 go on\r\n", b"QUIT": b"221 bye\r\n"}
                             .get(word, b"250 ok\r\n"))
            if word == b"DATA":
                while self.rfile.readline(4096) not in (b".\r\n", b""):
                    pass
                log("SMTP", self.client_address, server, "message")
                self.wfile.write(b"250 taken\r\n")
            elif word == b"QUIT":
                break


class DnsOverTls(socketserver.BaseRequestHandler):
    def handle(self):
        server = self.request.getsockname()
        log("DOT", self.client_address, server, "connected")
        stream = TLS.wrap_socket(self.request, server_side=True).makefile("rwb")
        while len(head := stream.read(2)) == 2:
            answer = resolve(stream.read(struct.unpack("!H", head)[0]))
            stream.write(struct.pack("!H", len(answer)) + answer)
            stream.flush()


def echo_datagrams(port):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)
    sock.bind(("::", port))

    def serve():
        while True:
            data, ancillary, _, client = sock.recvmsg(65535, 256)
            to = ancillary[0][2][:16]
            server = plain(socket.inet_ntop(socket.AF_INET6, to))
            log("DATAGRAM", client, (server, port), f"{len(data)} octets")
            answer = f"UDP {plain(client[0])}#{client[1]} {server} ".encode() + data
            try:
                sock.sendmsg([answer], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, to + struct.pack("I", 0))], 0, client)
            except OSError:
                pass

    threading.Thread(target=serve, daemon=True).start()


def listen(ports, handler):
    for port in ports:
        server = Listener(("::", port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    global LOG, TLS
    parser = argparse.ArgumentParser()
    for option in ("cert", "key", "log", "ready"):
        parser.add_argument("--" + option, required=True)
    options = parser.parse_args()
    LOG = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    TLS.load_cert_chain(options.cert, options.key)
    TLS.sni_callback = note_server_name
    listen(HTTP_PORTS, Page)
    listen(HTTPS_PORTS, SecurePage)
    listen(ECHO_PORTS_TCP, Echo)
    listen((22,), Ssh)
    listen((25, 587), Smtp)
    listen((853,), DnsOverTls)
    for port in ECHO_PORTS_UDP:
        echo_datagrams(port)
    with open(options.ready, "w", encoding="ascii") as ready:
        ready.write(f"{os.getpid()}\n")
    threading.Event().wait()


main()
