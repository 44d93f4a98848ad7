# SPDX-License-Identifier: Apache-2.0
"""Questions without a pause while the profile is loaded again, and while MintFlow is stopped and started: each gets
its answer. The laboratory is that of dnsnet.py.
"""
import socket
import struct
import threading
import time

import pytest

from dnsnet import OTHER_DNS, Net, Steered, seen_by
from lab import wait_for

pytestmark = pytest.mark.mintflow_only
NAMES = [f"n{i}.vpn.example" for i in range(20)] + [f"n{i}.example.org" for i in range(20)]
RATE = 1000         # questions a second


def question(number, name):
    labels = b"".join(bytes([len(x)]) + x.encode() for x in name.split("."))
    return struct.pack("!HHHHHH", number & 0xffff, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


class Asker(threading.Thread):
    """Asks at a steady rate; every other name is one that nobody has asked for before."""

    def __init__(self, host, server):
        super().__init__(daemon=True)
        self.sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect((server, 53))
        self.stopped, self.sent, self.rcodes = False, {}, {}

    def run(self):
        self.sock.settimeout(1 / RATE)
        while not self.stopped:
            n = len(self.sent)
            name = NAMES[n // 2 % len(NAMES)] if n % 2 else f"new{n}.{'vpn.example' if n % 4 else 'example.org'}"
            self.sent[n & 0xffff] = name
            self.sock.send(question(n, name))
            self.take()
        self.sock.settimeout(0.1)

    def take(self):
        end = time.monotonic() + 1 / RATE
        while time.monotonic() < end:
            try:
                got = self.sock.recv(4096)
            except (TimeoutError, socket.timeout):
                return
            self.rcodes[struct.unpack("!H", got[:2])[0]] = got[3] & 15

    def missing(self):
        """Which questions have no answer, seconds after the last one."""
        self.stopped = True
        self.join()
        end = time.monotonic() + 8
        while len(self.rcodes) < len(self.sent) and time.monotonic() < end:
            self.take()
        return [self.sent[n] for n in self.sent if n not in self.rcodes]


def wrong(asker):
    """Answers that are neither the truth: the names that there are, and no others."""
    return [(asker.sent[n], code) for n, code in asker.rcodes.items()
            if code != (0 if asker.sent[n] in NAMES else 3)]


def test_reload(lab):
    """Other sets, other servers, other hosts, ten times: no question is lost, and none gets an error."""
    net = Net(lab, NAMES, real=False)
    end = Steered(net).start()
    asker = Asker(net.home, OTHER_DNS)
    asker.start()
    for i in range(10):
        end.sets["vpn"] = {"domains": ["vpn.example", f"also{i}.example"]}
        end.dns["direct_servers"] = ["1.0.0.1"] if i % 2 else ["1.1.1.1", "1.0.0.1"]
        end.dns["hosts"] = {"nas.home.arpa": f"192.168.1.{i}"}
        end.reload()
    wait_for("some thousand questions", lambda: len(asker.sent) > 3000, timeout=30)
    assert asker.missing() == []
    assert wrong(asker) == []
    assert end.stop() == 0


def test_restart(lab):
    """Programs of the machine ask their resolver, whoever that is: MintFlow, or what was there before it."""
    net = Net(lab, NAMES, real=False)
    end = Steered(net).start()
    said, stop = [], threading.Event()

    def ask():
        while not stop.is_set():
            r = net.home.run(["getent", "ahostsv4", NAMES[len(said) % len(NAMES)]], check=False)
            said.append((r.returncode, r.stdout.split()[:1]))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    for _ in range(3):
        before = len(said)
        wait_for("answers", lambda: len(said) > before + 5, timeout=30)
        assert end.stop() == 0
        before = len(said)
        wait_for("answers of the old resolver", lambda: len(said) > before + 5, timeout=30)
        end.start()
    stop.set()
    thread.join()
    assert [s for s in said if s[0] != 0] == []
    assert {seen_by(s[1][0]) for s in said} == {"vpn", "direct", "trap"}
    assert end.stop() == 0
