# SPDX-License-Identifier: Apache-2.0
"""rawtcp - an app whose TCP is the test itself: segments made by hand go into the tunnel, and what
comes back is looked at one by one.

The app's address belongs to nobody at home, so the kernel there answers nothing of what we get.
"""
import logging
import random
import socket
import time

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import IP, TCP, IPv6, Raw  # noqa: E402

from directnet import WEB  # noqa: E402

APP = {4: "10.66.0.99", 6: "fd66::99"}
KERNEL_APP = {4: "192.0.2.99", 6: "2001:db8:2::99"}
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 3, 0x800, 0x86dd
MASK = 0xffffffff


class Wire:
    """Sends packets into the tunnel's route, and sees what comes out of its device."""

    def __init__(self, it):
        self.app, self.checksums = APP, it.ours == "mintflow"
        if it.ours == "kernel":         # then the server's own TCP is what we talk to
            self.app = KERNEL_APP
            it.net.no_segmentation("to-isp")
            it.isp.ip(f"route add {self.app[4]}/32 via 192.0.2.2")
            it.isp.ip(f"-6 route add {self.app[6]}/128 via 2001:db8:2::2")
        self.tx = {4: it.home.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
                   6: it.home.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW)}
        self.rx = it.home.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.rx.bind((it.dev, ETH_P_ALL))
        self.ports = iter(range(20000 + random.randrange(20000), 65000))

    def send(self, packet):
        version = 6 if IPv6 in packet else 4
        dst = packet[IPv6].dst if version == 6 else packet[IP].dst
        self.tx[version].sendto(bytes(packet), (dst, 0))

    def receive(self, until):
        """The next packet for the app; None: none came before that time."""
        while (left := until - time.monotonic()) > 0:
            self.rx.settimeout(left)
            try:
                data, at = self.rx.recvfrom(65535)
            except TimeoutError:
                break
            if at[2] == socket.PACKET_OUTGOING or at[1] not in (ETH_P_IP, ETH_P_IPV6):
                continue
            p = IP(data) if at[1] == ETH_P_IP else IPv6(data)
            if p.dst in self.app.values():
                return p
        return None


class RawTcp:
    """One connection's app side. Numbers are as in RFC 9293: snd_nxt is ours, rcv_nxt the next of
    theirs; both absolute."""

    def __init__(self, wire, port, version=4, isn=None, dst=None, window=65000):
        self.wire, self.version, self.dport = wire, version, port
        self.sport = next(wire.ports)
        self.isn = random.getrandbits(32) if isn is None else isn
        self.snd_nxt, self.rcv_nxt, self.window = self.isn, 0, window
        self.src, self.dst = wire.app[version], dst or WEB[version]
        self.seen = []

    def ip(self, **kw):
        layer = IPv6 if self.version == 6 else IP
        return layer(src=self.src, dst=self.dst, **kw)

    def segment(self, flags, data=b"", seq=None, ack=None, options=(), **kw):
        t = TCP(sport=self.sport, dport=self.dport, flags=flags, window=kw.pop("window", self.window),
                seq=(self.snd_nxt if seq is None else seq) & MASK,
                ack=(self.rcv_nxt if ack is None else ack) & MASK if "A" in flags else 0,
                options=list(options), **kw)
        return self.ip() / t / Raw(data) if data else self.ip() / t

    def send(self, flags, data=b"", **kw):
        """Does not move snd_nxt: tests say themselves what counts as sent."""
        self.wire.send(self.segment(flags, data, **kw))

    def say(self, data, **kw):
        """Data as it should be: in order, acknowledged."""
        self.send("PA", data, **kw)
        self.snd_nxt = (self.snd_nxt + len(data)) & MASK

    def next(self, timeout=5.0):
        """The next segment of this connection, its checksum looked at; None: none came."""
        until = time.monotonic() + timeout
        while (p := self.wire.receive(until)) is not None:
            if TCP not in p or p[TCP].dport != self.sport or p[TCP].sport != self.dport:
                continue
            if self.wire.checksums:
                self._check(p)
            self.seen.append(p)
            return p[TCP]
        return None

    @staticmethod
    def _check(p):
        again = p.copy()
        del again[TCP].chksum
        again = again.__class__(bytes(again))
        assert again[TCP].chksum == p[TCP].chksum, "wrong checksum: " + p.summary()

    def expect(self, flags, timeout=5.0, want=lambda t: True):
        """The next segment with just these flags (PSH aside) for which want() holds. Others before it
        are repetitions of what was said already, or the test says so with its own numbers."""
        until = time.monotonic() + timeout
        other = []
        while (t := self.next(until - time.monotonic())) is not None:
            if set(str(t.flags)) - {"P"} == set(flags) and want(t):
                return t
            other.append(t.summary())
        raise AssertionError(f"no {flags} came; but: {other}")

    def silence(self, seconds=0.3):
        t = self.next(seconds)
        assert t is None, f"not asked for: {t.summary()}"

    def open(self, options=(("MSS", 1460),), server=None, quiet=True):
        """The handshake; with a Server, its accepted socket."""
        self.send("S", options=options)
        t = self.expect("SA")
        assert t.ack == (self.isn + 1) & MASK
        self.syn_ack = t
        self.snd_nxt, self.rcv_nxt = t.ack, (t.seq + 1) & MASK
        self.send("A", options=self.stamp())
        return server.accept() if server else None

    def stamp(self):
        """A timestamp option, if the connection has them."""
        ts = dict(x for x in self.syn_ack.options if len(x) == 2).get("Timestamp")
        return [("NOP", None), ("NOP", None), ("Timestamp", (self.ts_now(), ts[0]))] if ts else []

    tsval = 1000

    def ts_now(self):
        self.tsval += 1
        return self.tsval

    def is_pure_ack(self, t):
        """Acknowledges just what has been said in order, and carries nothing."""
        return t.ack == self.snd_nxt and payload(t) == b""

    def expect_ack(self, timeout=5.0):
        return self.expect("A", timeout, self.is_pure_ack)

    def read(self, n, timeout=10.0):
        """Their data up to n bytes beyond rcv_nxt, acknowledged one by one."""
        data = bytearray()
        until = time.monotonic() + timeout
        while len(data) < n:
            t = self.next(until - time.monotonic())
            assert t is not None, f"{len(data)} of {n} bytes came"
            part = payload(t)
            if t.seq == self.rcv_nxt and part:
                data += part
                self.rcv_nxt = (self.rcv_nxt + len(part)) & MASK
                self.send("A")
        return bytes(data)

    def alive(self, theirs, word=b"alive"):
        """Both directions still work."""
        self.say(word)
        got = b""
        while len(got) < len(word):
            part = theirs.recv(len(word) - len(got))
            assert part, "the server sees the end"
            got += part
        assert got == word
        theirs.sendall(word)
        assert self.read(len(word)) == word


def payload(t):
    return bytes(t.payload) if Raw in t else b""


def option(t, name):
    return dict(x for x in t.options if len(x) == 2).get(name)
