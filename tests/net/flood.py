#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""flood.py PUBLIC_KEY HOST PORT SECONDS RATE [SOURCE...] - handshake initiations with a valid mac1
and nothing else valid, from several source addresses, until the time is over or a SIGTERM comes. Says
"under load" when the first cookie comes, and at the end what came back, as JSON.

mac1 = keyed BLAKE2s(HASH("mac1----" || responder's public key), message up to mac1), WireGuard
paper 5.4.4: enough to cost the responder a Diffie-Hellman, which is what its cookies are for.
"""
import base64
import hashlib
import json
import os
import select
import signal
import socket
import struct
import sys
import time

public, host, port = base64.b64decode(sys.argv[1]), sys.argv[2], int(sys.argv[3])
seconds, rate, sources = float(sys.argv[4]), int(sys.argv[5]), sys.argv[6:]
family = socket.AF_INET6 if ":" in host else socket.AF_INET
key = hashlib.blake2s(b"mac1----" + public).digest()


def initiation():
    m = struct.pack("<I", 1) + os.urandom(4 + 32 + 48 + 28)
    return m + hashlib.blake2s(m, key=key, digest_size=16).digest() + bytes(16)


COOKIE = "3:64"     # a cookie reply, 64 bytes
messages = [initiation() for _ in range(512)]
sockets = []
for src in sources or [None]:
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    if src:
        s.bind((src, 0))
    s.setblocking(False)
    sockets.append(s)
sent = 0
answers = {}
over = []
signal.signal(signal.SIGTERM, lambda *_: over.append(True))
start = time.monotonic()


def drain():
    ready, _, _ = select.select(sockets, [], [], 0)
    for s in ready:
        try:
            while True:
                d = s.recv(2048)
                k = f"{d[0]}:{len(d)}"
                if k == COOKIE and k not in answers:
                    print("under load", flush=True)
                answers[k] = answers.get(k, 0) + 1
        except (BlockingIOError, ConnectionError):
            pass


while True:
    now = time.monotonic() - start
    if now >= seconds or over:
        break
    due = int(now * rate)
    if sent >= due:
        drain()
        time.sleep(0.001)
        continue
    for _ in range(min(256, due - sent)):
        try:
            sockets[sent % len(sockets)].sendto(messages[sent % 512], (host, port))
        except (BlockingIOError, ConnectionError):
            pass
        sent += 1
time.sleep(0.3)
drain()
print(json.dumps({"sent": sent, "answers": answers}))
