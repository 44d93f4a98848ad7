#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""xfer - one TCP connection that carries N bytes in each direction at once, both ends printing the
SHA-256 of what they sent and of what they received.

    xfer.py listen PORT BYTES [BIND]
    xfer.py connect HOST PORT BYTES

The data never repeats (a random megabyte with a running number in every 4 KiB), so a segment
that is lost, doubled or moved changes the sum.
"""
import hashlib
import json
import os
import socket
import struct
import sys
import threading

BLOCK = 1 << 20


def send(sock, total, result):
    base = bytearray(os.urandom(BLOCK))
    h = hashlib.sha256()
    n = 0
    while n < total:
        for off in range(0, BLOCK, 4096):
            struct.pack_into("<Q", base, off, n + off)
        part = memoryview(base)[:min(BLOCK, total - n)]
        h.update(part)
        sock.sendall(part)
        n += len(part)
    sock.shutdown(socket.SHUT_WR)
    result["sent"] = h.hexdigest()


def receive(sock, result):
    h = hashlib.sha256()
    n = 0
    buf = bytearray(BLOCK)
    while True:
        got = sock.recv_into(buf)
        if not got:
            break
        h.update(memoryview(buf)[:got])
        n += got
    result["received"] = h.hexdigest()
    result["bytes"] = n


def main():
    mode, args = sys.argv[1], sys.argv[2:]
    if mode == "listen":
        bind = args[2] if len(args) > 2 else "::"
        s = socket.create_server((bind, int(args[0])), reuse_port=False,
                                 family=socket.AF_INET6 if ":" in bind else socket.AF_INET,
                                 dualstack_ipv6=bind == "::")
        sock, _ = s.accept()
        total = int(args[1])
    else:
        sock = socket.create_connection((args[0], int(args[1])), timeout=20)
        sock.settimeout(60)
        total = int(args[2])
    result = {}
    t = threading.Thread(target=send, args=(sock, total, result))
    t.start()
    receive(sock, result)
    t.join()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
