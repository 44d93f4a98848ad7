#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""soakload.py echo PORT ADDRESS... | load PORT RATE FROM>TO... - datagrams for the soak.

`echo` answers on each address from that address. `load` sends RATE datagrams a second, of all sizes up
to 1400, each on a random pair, and says at SIGTERM how many of each pair came back, as JSON.
"""
import json
import random
import selectors
import signal
import socket
import sys
import time


def sockets(port, addresses):
    sel = selectors.DefaultSelector()
    out = []
    for i, a in enumerate(addresses):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((a, port))
        s.setblocking(False)
        sel.register(s, selectors.EVENT_READ, i)
        out.append(s)
    return sel, out


def receive(s, answer):
    """Everything that has arrived. Errors are what churn brings: unreachable peers, mostly."""
    n = 0
    while True:
        try:
            data, who = s.recvfrom(2048)
            if answer:
                s.sendto(data, who)
            n += 1
        except BlockingIOError:
            return n
        except OSError:
            n += 0


def echo(port, addresses):
    sel, _ = sockets(port, addresses)
    while True:
        for key, _ in sel.select():
            receive(key.fileobj, True)


def load(port, rate, pairs):
    sel, socks = sockets(port, [p.split(">")[0] for p in pairs])
    to = [p.split(">")[1] for p in pairs]
    sent, got = [0] * len(pairs), [0] * len(pairs)
    payload = bytes(1400)
    running = True

    def end(*_):
        nonlocal running
        running = False
    signal.signal(signal.SIGTERM, end)
    next_at = time.monotonic()
    while running:
        for key, _ in sel.select(max(0, next_at - time.monotonic())):
            got[key.data] += receive(key.fileobj, False)
        while time.monotonic() >= next_at:
            i = random.randrange(len(pairs))
            try:
                socks[i].sendto(payload[:random.randrange(1400)], (to[i], port))
                sent[i] += 1
            except OSError:
                pass
            next_at += 1 / rate
    print(json.dumps({"sent": sent, "got": got}), flush=True)


if sys.argv[1] == "echo":
    echo(int(sys.argv[2]), sys.argv[3:])
else:
    load(int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
