# SPDX-License-Identifier: Apache-2.0
"""No question leaves by another way than its rule says. The laboratory is that of dnsnet.py; captures on every
device of home and of the VPN's host look for the names themselves, in whatever packet they may be:

    x.vpn.example     routed to the VPN: asked of 8.8.8.8 or 8.8.4.4, and seen only inside of WireGuard
    x.direct.example  in no set: asked of 1.1.1.1 or 1.0.0.1, and seen only on home's cable
    x.ads.example     routed to drop: seen nowhere but where the app asks
"""
import collections
import concurrent.futures
import itertools
import socket
import threading
import time

import pytest

import dnsmsg
from dnsnet import (DIRECT_DNS, DIRECT_DNS6, DIRECT_DNS_2, HOME4, HOME6, OTHER_DNS, OTHER_DNS6, ROUTER4,
                    ROUTER6, VPN_DNS, VPN_DNS6, VPN_DNS_2, Net, Steered, layers, seen_by)
from lab import wait_for
from nameserver import ask, zone_answer

pytestmark = pytest.mark.mintflow_only
KINDS = ("vpn", "direct", "ads")
DIRECT, VPN = {DIRECT_DNS, DIRECT_DNS_2}, {VPN_DNS, VPN_DNS_2}
NAMES = {kind: [f"n{i}-{kind}.{kind}.example" for i in range(400)] for kind in KINDS}
SERVERS = [VPN_DNS, OTHER_DNS, DIRECT_DNS, "10.66.0.1", "203.0.113.53", VPN_DNS6, OTHER_DNS6, DIRECT_DNS6]


class Watch:
    """A home with MintFlow, and captures on all its devices and on the VPN's host."""

    def __init__(self, lab, start=True, **kw):
        self.net = Net(lab, sum(NAMES.values(), []), real=False)
        self.home, self.vpn = self.net.home, self.net.vpn
        self.fresh = {kind: iter(NAMES[kind]) for kind in KINDS}
        self.asked = collections.defaultdict(list)
        self.silent = set()             # servers
        for server, kind in ((self.net.vpn_dns, "vpn"), (self.net.direct_dns, "direct")):
            server.answer = self._unless_silent(zone_answer(self.net.zones[kind]))
        dns = {"vpn_servers": [VPN_DNS, VPN_DNS_2], "system": "off", "timeout": 3, **kw.pop("dns", {})}
        self.end = Steered(self.net, dns=dns, **kw)
        self.captures = {}
        for host, devices in ((self.home, ("eth0", "lo")), (self.vpn, ("eth0", "wg0"))):
            for dev in devices:
                self.captures[host.name, dev] = host.capture(dev)
        if start:
            self.end.start()
            self.captures["home", "mint0"] = self.home.capture("mint0")

    def _unless_silent(self, answer):
        return lambda asked: None if asked.server in self.silent else answer(asked)

    def name(self, kind):
        """One that nobody has asked for."""
        name = next(self.fresh[kind])
        self.asked[kind].append(name)
        return name

    def ask(self, kind, server=OTHER_DNS, **kw):
        return ask(self.home, server, self.name(kind), **kw)

    def check(self, kind, m):
        """An answer is what the rule of its name wants it to be."""
        if kind == "ads":
            assert m.rcode == "NXDOMAIN" and not m.answer, m
        else:
            assert m.rcode == "NOERROR" and {seen_by(a) for a in m.addresses} == {kind}, m

    def verdict(self, all_seen=True):
        """The captures, device by device."""
        seen = {}
        for where, capture in self.captures.items():
            packets = capture.packets()
            assert not capture.lost(), where
            seen[where] = {k: found(packets, names) for k, names in self.asked.items()}
            if where == ("home", "eth0"):
                assert asked_servers(packets, HOME4, HOME6) <= DIRECT
            elif where == ("vpn", "wg0"):
                assert asked_servers(packets, "10.10.0.2", "fd10::2") <= VPN
        assert not seen["home", "eth0"]["vpn"], "in clear on the cable"
        assert not seen["vpn", "wg0"].get("direct"), "in the VPN"
        for where in seen:
            if where != ("home", "mint0"):
                assert not seen[where].get("ads"), f"a blocked name at {where}"
        for where in (("home", "lo"), ("vpn", "eth0")):
            assert not any(seen[where].values()), where
        if all_seen:        # or the captures would be no proof
            assert seen["vpn", "wg0"]["vpn"] == set(self.asked["vpn"])
            assert seen["home", "eth0"]["direct"] == set(self.asked["direct"])


def found(packets, names):
    """Which of these names are in the packets, as DNS writes them; letters may have changed their case."""
    everything = b"\n".join(bytes(p).lower() for p in packets)
    return {n for n in names if dnsmsg.pack_name(n)[:-1] in everything}


def asked_servers(packets, *sources):
    """Whom these addresses have sent something to port 53, or to 853, or to 5353."""
    return {got[1] for got in map(layers, packets)
            if got and got[0] in sources and got[3] in (53, 853, 5353)}


def in_parallel(jobs, workers=8):
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        return [f.result() for f in [pool.submit(j) for j in jobs]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_whomever_an_app_asks(lab, kind, tcp):
    """Public servers of all sorts, one that is not there, the VPN's and the direct ones; A and AAAA."""
    w = Watch(lab)
    for server, qtype in itertools.product(SERVERS, ("A", "AAAA")):
        w.check(kind, w.ask(kind, server, qtype=qtype, tcp=tcp))
    for other in KINDS:
        w.check(other, w.ask(other))
    w.verdict()


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_the_router_is_asked(lab, tcp):
    """It is on home's own cable."""
    w = Watch(lab)
    for server in (ROUTER4, ROUTER6):
        for kind in KINDS:
            w.check(kind, w.ask(kind, server, tcp=tcp))
    w.verdict()


def test_other_types_and_odd_questions(lab):
    """What is no question for addresses follows the rule of its name, too, and so does what is damaged."""
    w = Watch(lab)
    for kind in KINDS:
        for qtype in ("HTTPS", "TXT", "MX", "NS", "SOA", "ANY"):
            w.ask(kind, qtype=qtype)
        w.ask(kind, edns=None)
        w.ask(kind, do=True)
        for flags in (0x2800, 0x7800):          # not a standard query
            assert w.ask(kind, flags=flags).rcode == "NOTIMP"
            w.asked[kind].pop()                 # nobody needs to be asked
        with w.home.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            query = dnsmsg.question(w.name(kind))
            for damaged in (query[:-3], query[:20], query + b"x" * 20, query[:4] + b"\0\2" + query[6:]):
                s.sendto(damaged, (OTHER_DNS, 53))
        w.asked[kind].pop()
        w.check(kind, w.ask(kind))
    w.verdict()


def test_multicast_and_names_of_the_machine(lab):
    """Names that are nobody's business outside go nowhere."""
    w = Watch(lab)
    public = ["7.2.0.192.in-addr.arpa", "192.in-addr.arpa", "b._dns-sd._udp.8.8.in-addr.arpa"]
    private = ["printer.local", "x.onion", "localhost", "7.2.168.192.in-addr.arpa",
               "lb._dns-sd._udp.0.2.168.192.in-addr.arpa", "b._dns-sd._udp.10.in-addr.arpa",
               "1.0.d.f.ip6.arpa"]
    for name in private:
        ask(w.home, OTHER_DNS, name)
        ask(w.home, OTHER_DNS, name, "PTR")
        w.asked["ads"].append(name)
    for name in public:
        ask(w.home, OTHER_DNS, name, "PTR")
        w.asked["direct"].append(name)
    for kind in KINDS:
        w.check(kind, w.ask(kind))
    w.verdict()


class Asker:
    """Asks fresh names of all kinds through the tunnel, all the time. What it gets is in `got`."""

    def __init__(self, watch, every=0.005):
        self.watch, self.every, self.got, self.lost = watch, every, [], []
        self.run = True
        self.pool = concurrent.futures.ThreadPoolExecutor(4)
        self.jobs = [self.pool.submit(self._loop, i) for i in range(3)]

    def _loop(self, i):
        servers = itertools.cycle(SERVERS)
        while self.run:
            kind = KINDS[i]
            name = self.watch.name(kind)
            try:
                self.got.append((kind, ask(self.watch.home, next(servers), name, timeout=6)))
            except OSError as e:
                self.lost.append((name, e))
            time.sleep(self.every)

    def stop(self):
        self.run = False
        for j in self.jobs:
            j.result()
        self.pool.shutdown()


def test_reload(lab):
    """Under questions, with a profile that changes each time: no leak, and no answer lost or wrong."""
    w = Watch(lab)
    asker = Asker(w)
    for i in range(6):
        w.end.dns["timeout"] = 3 + i
        w.end.sets[f"more{i}"] = {"domains": [f"more{i}.example"]}
        w.end.routes = [{"domain_set": f"more{i}", "to": "reject"}] + w.end.routes
        w.end.reload()
        time.sleep(0.1)
    asker.stop()
    assert not asker.lost
    assert len(asker.got) > 60
    for kind, m in asker.got:
        w.check(kind, m)
    w.verdict()


def test_start(lab):
    """From the first packet that enters the tunnel: apps that ask while MintFlow is still starting."""
    big = lab.path("big.txt")
    with open(big, "w") as f:
        f.writelines(f"filler-{i}.example.net\n" for i in range(200_000))
        f.write("vpn.example\n")
    w = Watch(lab, start=False, routes=[{"domain_set": "vpn", "to": "vpn"}, {"domain_set": "ads", "to": "drop"},
                                        {"cidr": "0.0.0.0/0", "to": "direct"},
                                        {"cidr": "::/0", "to": "direct"}],
              sets={"vpn": {"files": [big]}, "ads": {"domains": ["ads.example"]}})
    sent, starting = 0, True

    def ask_all():
        """Into the tunnel, as soon as it is there: bound to its device, so that none takes the old way."""
        nonlocal sent
        with w.home.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while starting:
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"mint0")
                    s.sendto(dnsmsg.question(NAMES["vpn"][-1 - sent % 300]), (OTHER_DNS, 53))
                    sent += 1
                except OSError:
                    pass                # not there, or not up
                time.sleep(0.002)

    w.asked["vpn"] += NAMES["vpn"][-300:]
    # Not the start: a program dies with the thread that has started it.
    asking = threading.Thread(target=ask_all, daemon=True)
    asking.start()
    try:
        w.end.start(30)
        wait_for("questions", lambda: sent > 20)
    finally:
        starting = False
        asking.join()
    for kind in KINDS:
        w.check(kind, w.ask(kind))
    w.verdict(all_seen=False)


def test_the_vpn_is_down(lab):
    """Names of the VPN have no answer then, and are not asked elsewhere; the others go on; and it comes back."""
    w = Watch(lab, dns={"timeout": 1})
    for kind in KINDS:
        w.check(kind, w.ask(kind))
    w.net.wg.proc.stop()
    del w.captures["vpn", "wg0"]
    results = in_parallel([lambda s=s: w.ask("vpn", s, timeout=8) for s in SERVERS])
    assert {m.rcode for m in results} == {"SERVFAIL"}
    for kind in ("direct", "ads"):
        w.check(kind, w.ask(kind))
    w.net.wg.start()
    w.captures["vpn", "wg0"] = w.vpn.capture("wg0")
    wait_for("the VPN's return", lambda: w.ask("vpn", timeout=8).rcode == "NOERROR", 40)
    seen = w.captures["vpn", "wg0"]
    w.asked["vpn"] = w.asked["vpn"][-1:] + w.asked["vpn"][:-1]
    assert seen
    w.verdict(all_seen=False)


def test_servers_fail_over(lab):
    """The first of two servers is silent: the second is asked, on the same way, and nobody else is."""
    w = Watch(lab)
    for kind in KINDS:
        w.check(kind, w.ask(kind))
    w.silent = {VPN_DNS, DIRECT_DNS}
    for _ in range(10):
        for kind in KINDS:
            w.check(kind, w.ask(kind, timeout=8))
    w.silent = {VPN_DNS, VPN_DNS_2, DIRECT_DNS, DIRECT_DNS_2}
    results = in_parallel([lambda k=k: w.ask(k, timeout=8) for k in ("vpn", "direct") for _ in range(3)])
    assert {m.rcode for m in results} == {"SERVFAIL"}
    w.silent = set()
    wait_for("answers again", lambda: w.ask("vpn", timeout=8).rcode == "NOERROR", 30)
    wait_for("answers again", lambda: w.ask("direct", timeout=8).rcode == "NOERROR", 30)
    w.verdict()


def test_a_fallback_through_the_vpn(lab):
    """`dns_fallback: vpn`: what has no rule is asked there, too, and a set that goes direct is not."""
    w = Watch(lab, fallback="vpn", sets={"direct": {"domains": ["direct.example"]},
                                         "ads": {"domains": ["ads.example"]}},
              routes=[{"domain_set": "direct", "to": "direct"}, {"domain_set": "ads", "to": "reject"},
                      {"cidr": "0.0.0.0/0", "to": "vpn"}, {"cidr": "::/0", "to": "vpn"}])
    for server, kind in itertools.product(SERVERS, KINDS):
        w.check(kind, w.ask(kind, server))
    w.verdict()
