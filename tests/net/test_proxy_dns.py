# SPDX-License-Identifier: Apache-2.0
"""Names that belong to a proxy: asked through it, seen by nobody else. The laboratory is that of proxynet.py, with
name servers in the internet and where a home has one:

    8.8.8.8, 2001:4860:4860::8888  `vpn_servers`: should only ever hear from px, of names below px.example
    1.1.1.1                        `direct_servers`: should only ever hear from home, of all others
    9.9.9.9, 192.0.2.1             which home's apps ask: should never hear anything
"""
import concurrent.futures
import itertools
import time

import pytest

import dnsmsg
from directnet import EVERYWHERE, HOME4, HOME6
from dnsnet import layers
from lab import hostport, wait_for
from nameserver import NameServer, Unbound, ask, certificate, zone_answer
from proxynet import (NAME, PASSWORD, PX4, PX6, UUID, ProxyNet, danted, microsocks, ss_server, tinyproxy, trojan, v2ray,
                      v2ray_inbound)
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
THERE, THERE6, HERE, OTHER, ROUTER = "8.8.8.8", "2001:4860:4860::8888", "1.1.1.1", "9.9.9.9", "192.0.2.1"
NAMES = {kind: [f"n{i}.{kind}.example" for i in range(400)] for kind in ("px", "home")}
# Where names are, as the two say; each knows all of them.
ZONES = {who: {name: {"A": [f"198.18.{net}.{i % 200}"], "AAAA": [f"2001:db8:99::{net}:{i}"]}
               for kind in NAMES for i, name in enumerate(NAMES[kind])}
         for who, net in (("px", 100), ("home", 200))}


def seen_by(address):
    """Who has said it."""
    return {"198.18.100": "px", "2001:db8:99::100": "px", "198.18.200": "home", "2001:db8:99::200": "home"}.get(
        address.rsplit("." if "." in address else ":", 1)[0])


class Named(ProxyNet):
    """`real`: unbound, with TLS and HTTPS, instead of the test's own name server at `vpn_servers`."""

    def __init__(self, lab, real=False):
        super().__init__(lab)
        self.net.add_addr("lo", *[a + "/32" for a in (THERE, HERE, OTHER)], THERE6 + "/128")
        for a in (THERE, HERE, OTHER):
            self.isp.ip(f"route add {a} via 198.51.100.2")
        self.isp.ip(f"-6 route add {THERE6} via 2001:db8:5::2")
        self.home.etc("resolv.conf", f"nameserver {OTHER}\n")
        self.ca = None
        if real:
            *tls, self.ca = certificate(lab, [THERE, "dns.px.example"])
            Unbound(self.net, [THERE, THERE6], ZONES["px"], tls=tls).start()
        else:
            self.there = NameServer(self.net, [THERE, THERE6], zone_answer(ZONES["px"]))
        self.here = NameServer(self.net, [HERE], zone_answer(ZONES["home"]))
        self.traps = [NameServer(self.net, [OTHER], zone_answer({})), NameServer(self.isp, [ROUTER], zone_answer({}))]
        self.fresh = {kind: iter(names) for kind, names in NAMES.items()}
        self.asked = {kind: [] for kind in NAMES}
        self.cable = self.home.capture("to-isp")
        self.at_net = self.net.capture("to-isp", f"dst host {THERE} or dst host {THERE6}")

    def run(self, interface, servers=THERE, fallback="direct", **dns):
        if isinstance(servers, str):
            servers = [servers]
        dns = {"vpn_servers": servers, "direct_servers": [HERE], "system": "off", "timeout": Plain("3s"), **dns}
        if self.ca:
            dns["ca_file"] = self.ca
        sections = {"domain_sets": {"px": {"domains": ["px.example"]}, "home": {"domains": ["home.example"]}},
                    "dns": dns, "app_routing": {"routes": [
                        {"domain_set": "px", "to": "px"}, {"domain_set": "home", "to": "direct"}, *EVERYWHERE],
                        "dns_fallback": fallback}}
        return super().run(interface, sections=sections)

    def name(self, kind):
        """One that nobody has asked for."""
        name = next(self.fresh[kind])
        self.asked[kind].append(name)
        return name

    def ask(self, kind, server=OTHER, qtype="A", **kw):
        return ask(self.home, server, self.name(kind), qtype, **kw)

    def check(self, kind, server=OTHER, qtype="A", **kw):
        """One question, whose answer must be that of the right one."""
        m = self.ask(kind, server, qtype, **kw)
        assert m.rcode == "NOERROR" and [seen_by(a) for a in m.addresses] == [kind], m

    def verdict(self, *, secret=True, whole=True):
        """What the captures say, and the name servers. `secret`: what goes to px cannot be read on its way;
        `whole`: all questions have been answered."""
        cable = self.cable.packets()
        assert not self.cable.lost()
        told = [got for got in map(layers, cable) if got and got[0] in (HOME4, HOME6)]
        assert {to for _, to, _, port in told if port in (53, 853, 5353)} <= {HERE}
        assert not [t for t in told if t[1] in (THERE, THERE6, OTHER, ROUTER)]
        words = [dnsmsg.pack_name(n)[:-1] for n in self.asked["px"]]
        for p in cable:
            got, raw = layers(p), bytes(p).lower()
            if any(w in raw for w in words):
                assert not secret and PX4 in got[:2], p.summary()
        assert all(not t.asked for t in self.traps)
        assert {a.client for a in self.here.asked} <= {HOME4}
        assert not set(self.here.names()) & set(self.asked["px"])
        sources = {got[0] for got in map(layers, self.at_net.packets()) if got}
        assert sources <= {PX4, PX6}, sources
        if whole:
            assert sources and set(self.asked["home"]) <= set(self.here.names())


def shadowsocks(**kw):
    return {"name": "px", "type": "shadowsocks", "server": hostport(PX4, 8388), "method": "aes-128-gcm",
            "password": PASSWORD, **kw}


def serve(it, kind):
    """Starts a server on px; returns the interface."""
    if kind == "trojan":
        cert, key, ca = it.certificate()
        it.px.http_server(80)
        trojan(it.px, (cert, key))
        return {"name": "px", "type": "trojan", "server": hostport(PX4, 443), "password": PASSWORD,
                "tls": {"server_name": NAME, "ca_file": ca}}
    if kind == "vmess":
        v2ray(it.px, [v2ray_inbound("vmess", 10000)])
        return {"name": "px", "type": "vmess", "server": hostport(PX4, 10000), "uuid": UUID}
    if kind == "vless":
        cert, key, ca = it.certificate()
        v2ray(it.px, [v2ray_inbound("vless", 443, net="ws", path="/vl", tls=(cert, key, ca))])
        return {"name": "px", "type": "vless", "server": hostport(PX4, 443), "uuid": UUID,
                "websocket": {"path": "/vl"}, "tls": {"server_name": NAME, "ca_file": ca}}
    if kind == "shadowsocks":
        ss_server(it.px)
        return shadowsocks()
    if kind == "http":
        tinyproxy(it.px)
        return {"name": "px", "type": "http", "server": hostport(PX4, 8888)}
    (danted if kind == "socks5" else microsocks)(it.px)
    return {"name": "px", "type": "socks5", "server": hostport(PX4, 1080)}


KINDS = ["shadowsocks", "trojan", "vmess", "vless", "socks5", "microsocks", "http"]
READABLE = ("socks5", "microsocks", "http")


@pytest.mark.parametrize("tcp", [False, True], ids=["app-udp", "app-tcp"])
@pytest.mark.parametrize("kind", KINDS)
def test_plain_servers(lab, kind, tcp):
    """Whomever the app asks, and however: the server hears of it from px; over UDP, unless the proxy has none,
    which microsocks has to be asked for."""
    it = Named(lab)
    end = it.run(serve(it, kind), [THERE, THERE6])
    for server, qtype in itertools.product((OTHER, ROUTER, THERE, HERE, "203.0.113.53"), ("A", "AAAA")):
        for which in ("px", "home"):
            it.check(which, server, qtype, tcp=tcp)
    it.verdict(secret=kind not in READABLE)
    assert {a.tcp for a in it.there.asked} == {kind in ("http", "microsocks")}
    assert not [f for f in end.faults() if kind != "microsocks" or "does not carry this kind" not in f]


@pytest.mark.parametrize("how", ["drop", "reject", "direct"])
def test_the_proxy_gets_no_datagrams(lab, how):
    """`udp` is not `proxy`: what becomes of an app's datagrams is none of the questions' business, least of all
    with `direct`."""
    it = Named(lab)
    ss_server(it.px)
    it.run(shadowsocks(udp=how))
    for _ in range(5):
        it.check("px")
        it.check("home")
    it.verdict()
    assert {a.tcp for a in it.there.asked} == {True}


@pytest.mark.parametrize("scheme", ["tcp", "tls", "https"])
@pytest.mark.parametrize("kind", KINDS)
def test_in_streams(lab, kind, scheme):
    """tcp://, tls:// and https:// through the proxy: one connection for many questions."""
    it = Named(lab, real=True)
    end = it.run(serve(it, kind), f"{scheme}://{THERE}" + ("/dns-query" if scheme == "https" else ""))
    for qtype in ("A", "AAAA") * 5:
        it.check("px", qtype=qtype)
        it.check("home", qtype=qtype)
    ports = {(proto, port) for _, _, proto, port in filter(None, map(layers, it.at_net.packets()))}
    assert ports == {("tcp", {"tcp": 53, "tls": 853, "https": 443}[scheme])}
    it.verdict(secret=kind not in READABLE or scheme != "tcp")
    assert not end.faults()
    dials = {x["answered"] for x in [end.interface("px")]}
    assert dials == {1}, "connections to the proxy"


def test_a_server_known_by_name(lab):
    """Its certificate is for that name; who answers with its address is told by `bootstrap`."""
    it = Named(lab, real=True)
    ss_server(it.px)
    it.run(shadowsocks(), [{"url": "tls://dns.px.example", "bootstrap": [THERE]}])
    for _ in range(3):
        it.check("px")
    it.verdict(whole=False)


@pytest.mark.parametrize("kind,server", [("shadowsocks", THERE), ("shadowsocks", f"tls://{THERE}"), ("http", THERE)])
def test_the_proxy_is_down(lab, kind, server):
    """Names have no answer then, and nobody else is asked; the others go on; and all is well when it is back."""
    it = Named(lab, real=True)
    interface = serve(it, kind)
    proxy = it.px.procs[-1]
    it.run(interface, server)
    it.check("px")
    for _ in range(2):
        proxy.stop()
        answers = [it.ask("px", s, timeout=8) for s in (OTHER, THERE, ROUTER)]
        assert {m.rcode for m in answers} == {"SERVFAIL"}
        it.check("home")
        serve(it, kind)
        proxy = it.px.procs[-1]
        wait_for("answers again", lambda: it.ask("px", timeout=8).rcode == "NOERROR", 40)
        it.check("px")
    it.verdict(secret=kind != "http", whole=False)


def test_restarts_under_questions(lab):
    """Apps ask all the time while the proxy comes and goes, and the profile is loaded again: answers are right, or
    there are none; and nothing leaks."""
    it = Named(lab)
    proxy = ss_server(it.px)
    end = it.run(shadowsocks())
    end_at, wrong, good = time.monotonic() + 6, [], {"px": 0, "home": 0}

    def app(kind, server):
        while time.monotonic() < end_at:
            try:
                m = it.ask(kind, server, timeout=8)
            except (OSError, StopIteration):
                return
            if m.rcode == "NOERROR" and [seen_by(a) for a in m.addresses] == [kind]:
                good[kind] += 1
            elif m.rcode != "SERVFAIL" or kind == "home":
                wrong.append((kind, m))
            time.sleep(0.02)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        apps = [pool.submit(app, *x) for x in (("px", OTHER), ("px", ROUTER), ("home", OTHER))]
        while time.monotonic() < end_at:
            time.sleep(1)
            proxy.stop()
            end.reload()
            proxy = ss_server(it.px)
        for a in apps:
            a.result()
    assert not wrong, wrong[:3]
    assert good["px"] > 20 and good["home"] > 100, good
    it.verdict(whole=False)


@pytest.mark.parametrize("kind", ["shadowsocks", "trojan"])
def test_many_questions(lab, kind):
    """200 from 16 apps: each has its own answer."""
    it = Named(lab)
    it.run(serve(it, kind))
    names = [it.name("px") for _ in range(200)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: ask(it.home, OTHER, n, timeout=10), names))
    assert [m.addresses for m in answers] == [ZONES["px"][n]["A"] for n in names]
    it.verdict()


@pytest.mark.parametrize("kind", ["shadowsocks", "http"])
def test_a_long_answer(lab, kind):
    """Too long for a datagram: asked again over TCP, through the proxy."""
    it = Named(lab)
    text = (bytes([200]) + bytes(200)) * 15
    usual = it.there.answer

    def answer(asked):
        if asked.type != "TXT":
            return usual(asked)
        if not asked.tcp:
            return dnsmsg.reply(asked.query, flags=dnsmsg.TC)
        return dnsmsg.reply(asked.query, [dnsmsg.record(asked.name, "TXT", 60, text)])
    it.there.answer = answer
    it.run(serve(it, kind))
    m = it.ask("px", qtype="TXT", tcp=True)
    assert [r.data for r in m.answer] == [text.hex()]
    assert {a.tcp for a in it.there.asked} == ({True} if kind == "http" else {False, True})
    it.verdict(secret=kind != "http", whole=False)


def test_a_fallback_to_the_proxy(lab):
    """`dns_fallback: px`: what has no rule is asked there, too; a set that goes direct is not."""
    it = Named(lab)
    ss_server(it.px)
    it.run(shadowsocks(), fallback="px")
    for _ in range(5):
        it.check("px")
        it.check("home")
        m = ask(it.home, OTHER, f"x{time.monotonic_ns()}.nobody.example")
        assert m.rcode == "NXDOMAIN"
    assert {a.client for a in it.there.asked} == {PX4}
    assert not [n for n in it.here.names() if n.endswith("nobody.example")]
    assert len([n for n in it.there.names() if n.endswith("nobody.example")]) == 5
    it.verdict()


def test_why_a_name(lab):
    """`why` says who would be asked, and through what."""
    it = Named(lab)
    ss_server(it.px)
    end = it.run(shadowsocks())
    said = end.json("why", "n0.px.example")
    assert said["through"] == "px" and said["servers"] == [THERE] and said["interface"] == "px", said
    said = end.json("why", "n0.home.example")
    assert said["through"] == "direct" and said["servers"] == [HERE], said
    it.check("px")
    address, = ZONES["px"][NAMES["px"][0]]["A"]
    said = end.json("why", NAMES["px"][0])["addresses"]
    assert [(a["address"], a["interface"]) for a in said] == [(address, "px")], said
