#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""httpd - the web server of the laboratory.

GET /whoami  who asked (the address as the server sees it), who answers and at which address, as JSON: the
             proof of which way a request went.
GET /bytes/N N bytes.
GET /FILE    a file of --directory.
PUT /…       the length and the SHA-256 of what came, as JSON.
"""
import argparse
import hashlib
import http.server
import json
import os
import socket
import ssl


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/whoami":
            seen = self.client_address[0].removeprefix("::ffff:")
            at = self.connection.getsockname()[0].removeprefix("::ffff:")
            self.answer({"server": self.server.lab_name, "client": seen, "address": at,
                         "host": self.headers.get("Host", "")})
        elif self.path.startswith("/bytes/"):
            left = int(self.path[len("/bytes/"):])
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(left))
            self.end_headers()
            block = os.urandom(1 << 20)
            while left > 0:
                left -= self.wfile.write(block[:min(left, len(block))])
        else:
            super().do_GET()

    def do_PUT(self):
        left, digest = int(self.headers["Content-Length"]), hashlib.sha256()
        body = {"bytes": left}
        while left > 0 and (part := self.rfile.read(min(left, 1 << 20))):
            digest.update(part)
            left -= len(part)
        body["sha256"] = digest.hexdigest()
        self.answer(body)

    def answer(self, what):
        body = json.dumps(what).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, fmt, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, default=80)
    p.add_argument("--bind", default="::")
    p.add_argument("--name", default="")
    p.add_argument("--directory", default="/nonexistent")
    p.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"))
    o = p.parse_args()
    Server.address_family = socket.AF_INET6 if ":" in o.bind else socket.AF_INET
    handler = lambda *a, **k: Handler(*a, directory=o.directory, **k)
    s = Server((o.bind, o.port), handler)
    s.lab_name = o.name
    if o.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*o.tls)
        # The handshake is the thread's business: one slow client keeps nobody else waiting.
        s.socket = context.wrap_socket(s.socket, server_side=True, do_handshake_on_connect=False)
    s.serve_forever()


if __name__ == "__main__":
    main()
