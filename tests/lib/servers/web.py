#!/usr/bin/python3
"""web.py --cert FILE --key FILE --log FILE --ready FILE

What answers behind every address of the test world, over IPv4 and IPv6:
  TCP 80, 8080, 3128    HTTP; also as a proxy: absolute-form targets are answered, CONNECT leads to this server's TLS
  TCP 443, 8443         HTTPS with one certificate for all names of the world
  TCP 7, 22, 853, 9999  a line "TCP CLIENT SERVER", then everything is echoed
  UDP 7, 123, 443, 9999 every datagram is echoed behind "UDP CLIENT SERVER "
One line of log per request or connection: TIME KIND CLIENT#PORT SERVER#PORT WHAT. The body of every page is
"hello from HOST (SERVER) to CLIENT".
"""
import argparse
import http.server
import os
import socket
import socketserver
import ssl
import struct
import threading
import time

IPV6_FREEBIND = 78
ECHO_PORTS_TCP, ECHO_PORTS_UDP = (7, 22, 853, 9999), (7, 123, 443, 9999)
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


def note_server_name(connection, name, _):
    connection.asked_for = name


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        server = self.request.getsockname()
        log("ECHO", self.client_address, server, "connected")
        self.request.sendall(f"TCP {plain(self.client_address[0])}#{self.client_address[1]} {plain(server[0])}\n".encode())
        while data := self.request.recv(65536):
            self.request.sendall(data)


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
    for port in ECHO_PORTS_UDP:
        echo_datagrams(port)
    with open(options.ready, "w", encoding="ascii") as ready:
        ready.write(f"{os.getpid()}\n")
    threading.Event().wait()


main()
