# SPDX-License-Identifier: Apache-2.0
"""Whom the DNS server asks, and what becomes of what they say: TLS and HTTPS, servers that are slow, dead or
evil. The laboratory is that of dnsnet.py.
"""
import socket
import struct
import time

import pytest

import dnsmsg
from directnet import Server
from dnsnet import (DIRECT_DNS, DIRECT_DNS_2, HOME4, OTHER_DNS, VPN_DNS, Net, Steered, seen_by, sent_from, telling)
from lab import wait_for
from nameserver import Asked, Knot, NameServer, Unbound, ask, certificate, read_message, zone_answer
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
NAMES = ["www.vpn.example", "a.vpn.example", "www.plain.example", "a.plain.example", "b.plain.example"]


def start(net, **dns):
    return Steered(net, dns={"system": "off", "stale": Plain("off"), **dns}).start()


def servers(end):
    """{server: what `show dns` says of it}."""
    return {s["server"]: s for s in end.json("show", "dns", "--all")["servers"]}


# ---- Encrypted servers -------------------------------------------------------------------------------


def encrypted(lab, names=("dns.plain.example", DIRECT_DNS, VPN_DNS)):
    """unbound with TLS and HTTPS on both sides; returns the CA, too."""
    net = Net(lab, NAMES, servers=False)
    *tls, ca = certificate(lab, list(names))
    Unbound(net.net, [DIRECT_DNS], net.zones["direct"], tls=tls).start()
    Unbound(net.vpn, [VPN_DNS], net.zones["vpn"], tls=tls).start()
    net.traps()
    return net, ca


@pytest.mark.parametrize("urls", [
    (f"tls://{VPN_DNS}", f"tls://{DIRECT_DNS}#dns.plain.example"),
    (f"https://{VPN_DNS}/dns-query", {"url": "https://dns.plain.example/dns-query", "bootstrap": [DIRECT_DNS]})],
    ids=["tls", "https"])
def test_tls_and_https(lab, urls):
    """Names in nobody's sight: nothing in clear on the cable, one connection for many questions, each way."""
    net, ca = encrypted(lab)
    end = start(net, vpn_servers=[urls[0]], direct_servers=[urls[1]], ca_file=ca)
    cable, inside = net.home.capture("eth0"), net.vpn.capture("wg0")
    for name in NAMES:
        for qtype in ("A", "AAAA"):
            m = ask(net.home, OTHER_DNS, name, qtype)
            assert {seen_by(a) for a in m.addresses} == {"vpn" if "vpn" in name else "direct"}, (name, m)
    assert end.count("servers", "connections") == 2
    assert end.count("servers", "reused") >= 2 * len(NAMES) - 2
    assert all(s["healthy"] and s["failed"] == 0 for s in servers(end).values())
    port = 853 if str(urls[0]).startswith("tls") else 443
    packets = cable.packets()
    assert sent_from(packets, HOME4) == {("udp", "192.0.3.10", 51820), ("tcp", DIRECT_DNS, port)}
    assert sent_from(inside.packets(), "10.10.0.2") == {("tcp", VPN_DNS, port)}
    assert not telling(packets, "\5plain\7example\0", "\3vpn\7example\0")


@pytest.mark.parametrize("wrong", ["name", "address", "issuer"])
@pytest.mark.parametrize("scheme", ["tls", "https"])
def test_certificates_are_checked(lab, scheme, wrong):
    """Another name, an address it does not have, another issuer: no question is asked."""
    net, ca = encrypted(lab, ["dns.plain.example"])
    if wrong == "issuer":
        *_, ca = certificate(lab, ["dns.plain.example"])
    url = {"name": "{}://other.plain.example", "address": "{}://" + DIRECT_DNS,
           "issuer": "{}://dns.plain.example"}[wrong].format(scheme)
    server = {"url": url + ("/dns-query" if scheme == "https" else ""), "bootstrap": [DIRECT_DNS]}
    if wrong == "address":
        del server["bootstrap"]
    end = start(net, direct_servers=[server], ca_file=ca, timeout=2)
    cable = net.home.capture("eth0")
    assert ask(net.home, OTHER_DNS, "www.plain.example", timeout=8).rcode == "SERVFAIL"
    assert end.count("servers", "tls_failed") >= 1
    assert not [s for s in servers(end).values() if s["group"] == "direct" and s["answered"]]
    packets = cable.packets()
    assert ("udp", DIRECT_DNS, 53) not in sent_from(packets, HOME4)
    assert not telling(packets, "\3www\5plain")


def test_tls_connections_that_end(lab):
    """The server restarts, and closes what is idle: the next question opens a new connection, and is answered."""
    net, _ = encrypted(lab)
    *tls, ca = certificate(lab, [DIRECT_DNS_2])
    unbound = Unbound(net.net, [DIRECT_DNS_2], net.zones["direct"], tls=tls).start()
    end = start(net, direct_servers=[f"tls://{DIRECT_DNS_2}"], ca_file=ca)
    for name in (n for n in NAMES if "plain" in n):
        assert ask(net.home, OTHER_DNS, name, timeout=8).addresses, name
        unbound.stop()
        unbound.start()
    assert end.count("servers", "connections") == 3


def test_a_server_known_by_name(lab):
    """Without bootstrap its address is asked of the other servers."""
    net, _ = encrypted(lab)
    *tls, ca = certificate(lab, ["dns.plain.example"])
    net.zones["direct"]["dns.plain.example"] = {"A": [DIRECT_DNS_2]}
    Unbound(net.net, [DIRECT_DNS_2], net.zones["direct"], tls=tls).start()
    Knot(net.net, ["198.19.250.53"], {"dns.plain.example": {"A": [DIRECT_DNS_2]}}).start()
    end = start(net, direct_servers=["198.19.250.53", "tls://dns.plain.example"], ca_file=ca)
    wait_for("its address", lambda: ask(net.home, OTHER_DNS, f"x{time.monotonic_ns()}.example", timeout=8)
             and servers(end)["tls://dns.plain.example"]["answered"], 20)


# ---- Slow and dead ones ------------------------------------------------------------------------------


class Two:
    """Two direct servers of the test's own: `slow` and `fast`, with `delay` and `silent` to be changed."""

    def __init__(self, lab, names=200, **dns):
        self.names = iter(f"n{i}.plain.example" for i in range(names))
        self.net = Net(lab, [f"n{i}.plain.example" for i in range(names)], real=False)
        self.delay, self.silent = {}, set()
        answer = self.net.direct_dns.answer

        def behave(asked):
            time.sleep(self.delay.get(asked.server, 0))
            return None if asked.server in self.silent else answer(asked)
        self.net.direct_dns.answer = behave
        self.end = start(self.net, **dns)

    def ask(self, timeout=8):
        return ask(self.net.home, OTHER_DNS, next(self.names), timeout=timeout)

    def asked(self, server):
        return sum(a.server == server for a in self.net.direct_dns.asked)


def test_the_fastest_is_asked_first(lab):
    """Whichever stands first in the profile."""
    t = Two(lab)
    t.delay = {DIRECT_DNS: 0.1}
    for _ in range(100):
        assert t.ask().addresses
    assert t.asked(DIRECT_DNS_2) >= 90
    assert t.asked(DIRECT_DNS) <= 40, "only to measure it, once in a while"
    latency = {name: s["latency"] for name, s in servers(t.end).items()}
    assert latency[DIRECT_DNS] > latency[DIRECT_DNS_2]
    t.delay = {DIRECT_DNS_2: 0.2}       # and when that changes
    for _ in range(40):
        t.ask()
    before = t.asked(DIRECT_DNS)
    for _ in range(20):
        t.ask()
    assert t.asked(DIRECT_DNS) - before >= 18


def test_a_second_one_is_raced(lab):
    """The best becomes silent: each question is answered by the other, without the whole time-out."""
    t = Two(lab, timeout=5)
    t.delay = {DIRECT_DNS_2: 0.02}
    for _ in range(20):
        t.ask()
    t.silent = {DIRECT_DNS}
    began = time.monotonic()
    for _ in range(10):
        assert t.ask().addresses
    assert time.monotonic() - began < 10 * 5, "it waited for the time-out"
    assert not servers(t.end)[DIRECT_DNS]["healthy"]
    before = t.asked(DIRECT_DNS)
    for _ in range(20):
        assert t.ask().addresses
    assert t.asked(DIRECT_DNS) - before <= 10, "it is left alone for a while"
    t.silent = set()
    wait_for("its return", lambda: t.ask().addresses and servers(t.end)[DIRECT_DNS]["healthy"], 20, step=0.3)


def test_all_are_dead(lab):
    """SERVFAIL when the time for a question is over, with the reason (RFC 8914), and counted."""
    t = Two(lab, timeout=1)
    t.silent = {DIRECT_DNS, DIRECT_DNS_2}
    m = t.ask()
    assert m.rcode == "SERVFAIL" and m.ede in (22, 23)
    assert t.end.count("dns", "failed") >= 1 and t.end.count("dns", "open") == 0
    m = ask(t.net.home, OTHER_DNS, "www.vpn.example", timeout=8)
    assert m.rcode == "NXDOMAIN", "the VPN's servers have nothing to do with it"
    t.silent = set()
    wait_for("answers", lambda: t.ask().addresses, 20)


# ---- Evil ones ---------------------------------------------------------------------------------------


class Evil:
    """A direct server whose behaviour a name's first label chooses. Questions for other names it answers
    properly."""

    def __init__(self, lab):
        self.net = Net(lab, [f"good{i}.plain.example" for i in range(200)], real=False, servers=False)
        self.good = iter(f"good{i}.plain.example" for i in range(200))
        self.well = zone_answer(self.net.zones["direct"])
        self.server = NameServer(self.net.net, [DIRECT_DNS], self.answer)
        NameServer(self.net.vpn, [VPN_DNS], zone_answer(self.net.zones["vpn"]))
        self.net.traps()
        self.stranger = self.net.net.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stranger.bind((DIRECT_DNS_2, 53))
        self.end = start(self.net, direct_servers=[DIRECT_DNS], timeout=1)

    def right(self, asked, **kw):
        return dnsmsg.reply(asked.query, [dnsmsg.record(asked.name, "A", 60, "198.19.200.1")], **kw)

    def wrong(self, asked):
        """What would be a hit if it were believed."""
        return dnsmsg.reply(asked.query, [dnsmsg.record(asked.name, "A", 60, "198.18.66.66")])

    def answer(self, asked):
        how = getattr(self, asked.name.lower().split(".")[0].replace("-", "_"), None)
        return how(asked) if how and "evil" in asked.name.lower() else self.well(asked)

    # Each takes an Asked and returns what is sent.

    def silent(self, asked):
        return None

    def wrong_id(self, asked):
        bad = bytearray(self.wrong(asked))
        bad[0] ^= 0xff
        return [bytes(bad)] * 20 + [self.right(asked)]

    def other_question(self, asked):
        other = dnsmsg.question("other.plain.example", "A", ident=dnsmsg.parse(asked.query).ident)
        return [dnsmsg.reply(other, [dnsmsg.record("other.plain.example", "A", 60, "198.18.66.66")]),
                self.right(asked)]

    def no_question(self, asked):
        return [asked.query[:2] + struct.pack("!5H", 0x8180, 0, 0, 0, 0), self.right(asked)]

    def another_address(self, asked):
        self.stranger.sendto(self.wrong(asked), (asked.client, asked.port))
        time.sleep(0.05)
        return self.right(asked)

    def not_an_answer(self, asked):
        return [asked.query, self.right(asked)]

    def truncated_for_ever(self, asked):
        return self.right(asked, flags=dnsmsg.TC)

    def truncated_then_tcp(self, asked):
        return self.right(asked, flags=0 if asked.tcp else dnsmsg.TC)

    def truncated_then_reset(self, asked):
        if asked.tcp:
            raise ConnectionError
        return dnsmsg.reply(asked.query, flags=dnsmsg.TC)

    def padded_over_tcp(self, asked):
        """As many bytes as there can be, most of them behind the end."""
        if not asked.tcp:
            return dnsmsg.reply(asked.query, flags=dnsmsg.TC)
        return self.right(asked).ljust(65535, b"\0")

    def long_over_tcp(self, asked):
        """Nearly as many as there can be, all of them right."""
        if not asked.tcp:
            return dnsmsg.reply(asked.query, flags=dnsmsg.TC)
        owner = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, 4)
        return dnsmsg.reply(asked.query, [owner + struct.pack("!I", 0xc6130000 + i) for i in range(4000)])

    def long_datagram(self, asked):
        return dnsmsg.reply(asked.query) + bytes(60000)

    def loop(self, asked):
        """A name that points at itself."""
        head = dnsmsg.reply(asked.query, [b""])
        return head + struct.pack("!H2HIH", 0xc000 | len(head), 1, 1, 60, 4) + bytes(4)

    def lies_about_length(self, asked):
        return dnsmsg.reply(asked.query, [b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 60, 4000) + bytes(4)])

    def lies_about_number(self, asked):
        bad = bytearray(self.right(asked))
        bad[6:8] = b"\xff\xff"
        return bytes(bad)

    def garbage(self, asked):
        return asked.query[:2] + bytes(range(256))

    def short(self, asked):
        return [asked.query[:5], b"", asked.query[:2]]

    def flood(self, asked):
        """The right answer, and a thousand more that nobody asked for."""
        return [self.right(asked)] + [self.wrong(asked)] * 1000

    def other_owner(self, asked):
        """An address of a name that was not asked for."""
        return dnsmsg.reply(asked.query, [dnsmsg.record("bank.plain.example", "A", 60, "198.18.66.66")])


# What comes of each: the address, or the answer's code, and the counter of `show dns` that goes up.
RIGHT = "198.19.200.1"
EVIL = [("silent", "SERVFAIL", "errors"), ("wrong-id", RIGHT, "spoofed"), ("other-question", RIGHT, "spoofed"),
        ("no-question", RIGHT, "spoofed"), ("another-address", RIGHT, "spoofed"),
        ("not-an-answer", RIGHT, "spoofed"), ("truncated-for-ever", "SERVFAIL", "malformed"),
        ("truncated-then-tcp", RIGHT, "tcp_again"), ("truncated-then-reset", "SERVFAIL", "errors"),
        ("padded-over-tcp", "SERVFAIL", "malformed"), ("long-over-tcp", "NOERROR", "tcp_again"),
        ("long-datagram", "SERVFAIL", "malformed"), ("loop", "SERVFAIL", "malformed"),
        ("lies-about-length", "SERVFAIL", "malformed"), ("lies-about-number", "SERVFAIL", "malformed"),
        ("garbage", "SERVFAIL", "spoofed"), ("short", "SERVFAIL", "malformed"),
        ("flood", RIGHT, "unexpected"), ("other-owner", "NOERROR", "answered")]


def test_evil_servers(lab):
    """One after the other, with good questions to the same server all the time: those are answered, and the
    address that would be believed is nobody's answer, and stays in no cache."""
    e = Evil(lab)
    odd = []
    for how, want, counter in EVIL:
        before = e.end.count("servers", counter)
        with e.net.home.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(8)
            s.connect((OTHER_DNS, 53))
            s.send(dnsmsg.question(f"{how}.evil.example"))
            good = [ask(e.net.home, OTHER_DNS, next(e.good), timeout=8) for _ in range(3)]
            m = dnsmsg.parse(s.recv(65535))
        for again in (m, ask(e.net.home, OTHER_DNS, f"{how}.evil.example", timeout=8)):
            if want not in (again.rcode, *again.addresses):
                odd.append((how, want, again))
            if {r.data for r in again.answer if r.name == f"{how}.evil.example"} & {"198.18.66.66"}:
                odd.append((how, "believed", again))
        if not all(g.addresses and seen_by(g.addresses[0]) == "direct" for g in good):
            odd.append((how, "hurts others", good))
        if e.end.count("servers", counter) <= before:
            odd.append((how, "not counted", counter))
    assert not odd, "\n".join(map(str, odd))
    assert ask(e.net.home, OTHER_DNS, "bank.plain.example").rcode == "NXDOMAIN"
    assert ask(e.net.home, OTHER_DNS, "other.plain.example").rcode == "NXDOMAIN"
    assert e.end.proc.alive() and e.end.count("dns", "open") == 0
    assert len(e.end.proc.log().splitlines()) < 60, "a log that an evil server can fill"


@pytest.mark.parametrize("kind", ["cut", "slow", "zeros", "closes"])
def test_evil_over_tcp(lab, kind):
    """A tcp:// server that cuts answers, sends byte by byte, sends lengths of 0, or closes at once."""
    net = Net(lab, ["good.plain.example", "www.vpn.example"], real=False)
    whole = zone_answer(net.zones["direct"])

    def serve(sock):
        while True:
            try:
                query = read_message(sock)
            except EOFError:
                return
            m = dnsmsg.parse(query)
            answer = whole(Asked(m.name, m.type, True, "", "", 0, query))
            data = struct.pack("!H", len(answer)) + answer
            if kind == "cut":
                sock.sendall(data[:-5])
                return
            if kind == "closes":
                return
            if kind == "zeros":
                sock.sendall(bytes(200))
            for byte in data if kind == "slow" else [data]:
                sock.sendall(bytes([byte]) if kind == "slow" else byte)
    Server(net.net, serve, address="198.19.250.53", port=53)
    end = start(net, direct_servers=["tcp://198.19.250.53"], timeout=2)
    m = ask(net.home, OTHER_DNS, "good.plain.example", timeout=8)
    if kind == "slow":
        assert m.addresses == net.zones["direct"]["good.plain.example"]["A"]
    elif kind == "zeros":
        assert m.rcode in ("NOERROR", "SERVFAIL")
    else:
        assert m.rcode == "SERVFAIL"
    assert ask(net.home, OTHER_DNS, "www.vpn.example").addresses
    assert end.proc.alive() and end.count("dns", "open") == 0
