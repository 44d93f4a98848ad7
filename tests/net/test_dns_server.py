# SPDX-License-Identifier: Apache-2.0
"""The DNS server as apps see it: whom they ask and how, what is kept, what is answered from here. The laboratory
is that of dnsnet.py; its upstreams are knot, unbound and dnsmasq, or the test's own where it has to know what
they were asked.
"""
import re
import socket
import struct
import time

import pytest

import dnsmsg
from directnet import connect, inet
from dnsnet import DIRECT_DNS, OTHER_DNS, OTHER_DNS6, Net, Steered, seen_by
from lab import wait_for
from nameserver import ask, dig, dig_short, read_message, zone_answer
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
MANY = [f"198.19.7.{i}" for i in range(1, 61)]
CHAIN = {"www.vpn.example": {"CNAME": ["edge.cdn.example."]},
         "edge.cdn.example": {"CNAME": ["pop7.cdn.example."]},
         "pop7.cdn.example": {"A": ["198.18.70.7", "198.18.70.8"], "AAAA": ["2001:db8:99::707"]},
         "svc.vpn.example": {"HTTPS": ["1 . alpn=h2 ipv4hint=198.18.71.1,198.18.71.2 "
                                       "ipv6hint=2001:db8:99::711"]},
         "mail.vpn.example": {"MX": ["10 mx.vpn.example."], "TXT": ['"v=spf1 -all"']}}
PLAIN = {"big.example": {"A": MANY, "TXT": ['"' + "x" * 250 + f'{i}"' for i in range(14)]},
         "www.plain.example": {"A": ["198.19.3.3"], "AAAA": ["2001:db8:99:1::33"]}}
LISTEN = ["10.66.0.1", "fd66::1", "127.0.0.1:5353", "[::1]:5353"]


def start(lab, names=(), more=None, *, real=False, **kw):
    net = Net(lab, names, more, real=real)
    dns = {"system": "off", "direct_servers": [DIRECT_DNS], **kw.pop("dns", {})}
    end = Steered(net, dns=dns, **kw).start()
    return net, end


class Zone:
    """What the direct servers say, while a test changes it: name -> (ttl, {type: data}). Names that are not
    there do not exist. `silent`: they do not answer."""

    def __init__(self, net, negative=30):
        self.known, self.silent, self.negative = {}, False, negative
        net.direct_dns.answer = self._answer
        self.server = net.direct_dns

    def _answer(self, asked):
        if self.silent:
            return None
        ttl, records = self.known.get(asked.name.lower(), (0, None))
        zone = {} if records is None else {asked.name.lower(): records}
        return zone_answer(zone, ttl, self.negative)(asked)

    def times_asked(self, name, qtype="A"):
        return sum(a.name.lower() == name and a.type == qtype for a in self.server.asked)


# ---- Whom apps ask, and how --------------------------------------------------------------------------


def test_dig(lab):
    """UDP and TCP, IPv4 and IPv6: servers that are caught, and ours, inside the tunnel and on a socket."""
    net, _ = start(lab, more={"direct": PLAIN}, real=True, dns={"listen": LISTEN})
    for server, port in ((OTHER_DNS, 53), (OTHER_DNS6, 53), ("10.66.0.1", 53), ("fd66::1", 53),
                         ("127.0.0.1", 5353), ("::1", 5353)):
        for transport in ("+notcp", "+tcp"):
            for qtype, want in PLAIN["www.plain.example"].items():
                said = dig(net.home, server, "www.plain.example", qtype, transport, "-p", str(port))
                assert "status: NOERROR" in said and want[0] in said, said
                assert f"SERVER: {server}#{port}" in said
                assert "flags: qr rd ra;" in said or "flags: qr aa rd ra;" in said, said
        said = dig(net.home, server, "nobody.plain.example", "A", "-p", str(port))
        assert "status: NXDOMAIN" in said and "SOA" in said, said


def test_a_wildcard_socket_serves_the_lan_alone(lab):
    """`0.0.0.0` and `[::]`: whoever asks from a public address gets nothing."""
    net, end = start(lab, more={"direct": PLAIN}, real=True,
                     dns={"listen": ["0.0.0.0:5300", "[::]:5300"]})
    net.isp.add_addr("to-home", "192.168.77.1/24")
    net.home.add_addr("eth0", "192.168.77.2/24")
    assert ask(net.isp, "192.168.77.2", "www.plain.example", port=5300).addresses == ["198.19.3.3"]
    assert ask(net.isp, "192.168.77.2", "www.plain.example", port=5300, tcp=True).addresses == ["198.19.3.3"]
    for server in ("192.0.2.2", "2001:db8:2::2"):       # from 192.0.2.1, which is not private
        with pytest.raises(OSError):
            ask(net.isp, server, "www.plain.example", port=5300, timeout=1)
        with pytest.raises((OSError, EOFError)):
            ask(net.isp, server, "www.plain.example", port=5300, tcp=True, timeout=1)
    assert end.proc.alive()


def test_sizes_and_truncation(lab):
    """What does not fit is truncated, says so, and comes whole over TCP; dig finds that out itself."""
    net, _ = start(lab, more={"direct": PLAIN}, real=True, dns={"listen": LISTEN})
    for server, port in ((OTHER_DNS, 53), ("127.0.0.1", 5353)):
        for edns, whole in ((None, False), (512, False), (1232, True), (4096, True)):
            m = ask(net.home, server, "big.example", port=port, edns=edns)
            assert m.truncated == (not whole), (edns, m)
            assert set(m.addresses) == set(MANY) if whole else len(m.addresses) < 60
            assert (m.edns is None) == (edns is None)
        for edns in (None, 4096):       # 3.6 KB: more than we ever send in one datagram
            assert ask(net.home, server, "big.example", "TXT", port=port, edns=edns).truncated
            m = ask(net.home, server, "big.example", "TXT", port=port, edns=edns, tcp=True)
            assert not m.truncated and len(m.data("TXT")) == 14
        said = dig(net.home, server, "big.example", "TXT", "+noedns", "+ignore", "-p", str(port))
        assert "flags: qr tc" in said or "flags: qr aa tc" in said, said
        assert len(dig_short(net.home, server, "big.example", "TXT", "+noedns", "-p", str(port))) == 14
        assert "status: BADVERS" in dig(net.home, server, "big.example", "A", "+edns=1", "+noednsneg",
                                        "-p", str(port))


@pytest.mark.parametrize("server", [(OTHER_DNS, 53), ("fd66::1", 53), ("127.0.0.1", 5353)],
                         ids=["caught", "tunnel", "socket"])
def test_pipelined_tcp(lab, server):
    """RFC 7766: many questions at once on one connection, in pieces of any size; a close with questions open;
    a half-closed connection still gets its answers; garbage ends this one connection."""
    names = [f"n{i}.plain.example" for i in range(300)]
    net, end = start(lab, names, dns={"listen": LISTEN})
    ask_one = [struct.pack("!H", len(q)) + q for q in
               (dnsmsg.question(n, ident=i) for i, n in enumerate(names))]
    with connect(net.home, *server) as s:
        s.sendall(b"".join(ask_one))
        got = [dnsmsg.parse(read_message(s)) for _ in names]
        assert {m.ident: m.addresses for m in got} == {
            i: net.zones["direct"][n]["A"] for i, n in enumerate(names)}
        for byte in ask_one[0]:
            s.send(bytes([byte]))
        assert dnsmsg.parse(read_message(s)).name == names[0]
        s.sendall(ask_one[1])
        s.shutdown(socket.SHUT_WR)
        assert dnsmsg.parse(read_message(s)).name == names[1]
        assert s.recv(1) == b"", "the end"
    with connect(net.home, *server) as s:
        s.sendall(b"".join(ask_one))
    with connect(net.home, *server) as garbage:
        garbage.sendall(b"\xff\xff" + b"garbage" * 1000)
        assert ask(net.home, server[0], names[2], port=server[1], tcp=True).addresses
    assert ask(net.home, server[0], names[2], port=server[1], tcp=True).addresses
    assert end.proc.alive()


# ---- Names, addresses, routes ------------------------------------------------------------------------


def test_chains_and_hints_are_learned(lab):
    """Addresses at the end of CNAMEs, of all types, and hints in HTTPS records: routes before the app knows."""
    net, end = start(lab, more={"vpn": CHAIN}, real=True)
    said = dig(net.home, OTHER_DNS, "www.vpn.example")
    for part in ("edge.cdn.example.", "pop7.cdn.example.", *CHAIN["pop7.cdn.example"]["A"]):
        assert part in said
    dig(net.home, OTHER_DNS, "www.vpn.example", "AAAA")
    said = dig(net.home, OTHER_DNS, "svc.vpn.example", "TYPE65")
    assert "198.18.71.1" in said or "C61247" in said.replace(" ", ""), said
    assert end.learned() == {
        **{a: ("vpn", "www.vpn.example") for a in ("198.18.70.7", "198.18.70.8", "2001:db8:99::707")},
        **{a: ("vpn", "svc.vpn.example") for a in ("198.18.71.1", "198.18.71.2", "2001:db8:99::711")}}
    for address in end.learned():
        assert net.way(f"[{address}]" if ":" in address else address) == "vpn"
    # The middle of a chain has no rule of its own, and the direct servers do not know it.
    assert ask(net.home, OTHER_DNS, "pop7.cdn.example").rcode == "NXDOMAIN"
    assert dig_short(net.home, OTHER_DNS, "mail.vpn.example", "MX") == ["10", "mx.vpn.example."]
    assert dig_short(net.home, OTHER_DNS, "mail.vpn.example", "TXT") == ['"v=spf1', '-all"']


@pytest.mark.parametrize("kind", ["nxdomain", "zero", "refused", "route"])
def test_block_answers(lab, kind):
    """Each kind of answer; with `route`, the truth, and the addresses are not reached."""
    net, end = start(lab, ["x.ads.example", "www.plain.example"], dns={"block_answer": kind, "block_ttl": 7})
    a, aaaa = (ask(net.home, OTHER_DNS, "x.ads.example", t) for t in ("A", "AAAA"))
    if kind == "route":
        assert a.addresses == net.zones["direct"]["x.ads.example"]["A"]
        assert end.learned()[a.addresses[0]] == ("drop", "x.ads.example")
        assert net.whoami("x.ads.example", timeout=1)[0] == 28
        return
    want = {"nxdomain": ("NXDOMAIN", []), "zero": ("NOERROR", ["0.0.0.0"]), "refused": ("REFUSED", [])}[kind]
    assert (a.rcode, a.addresses) == want
    assert aaaa.addresses == (["::"] if kind == "zero" else [])
    assert a.ede == 15 or kind == "zero", "RFC 8914: blocked"
    ttls = [r.ttl for r in a.answer + a.authority]
    assert set(ttls) <= {7}
    assert ask(net.home, OTHER_DNS, "x.ads.example", "TXT").rcode == ("NOERROR" if kind == "zero" else want[0])
    assert ask(net.home, OTHER_DNS, "ads.example").rcode == a.rcode, "the set's own name"
    assert ask(net.home, OTHER_DNS, "noads.example").rcode == "NXDOMAIN", "not in the set, nor in the world"
    assert not any("x.ads" in n for n in net.direct_dns.names() + net.vpn_dns.names())
    assert not end.learned()
    assert end.count("dns", "blocked") >= 4


def test_hosts(lab):
    """dns.hosts: both families, wildcards, the way back, and no other types; nobody is asked."""
    net, end = start(lab, ["www.plain.example"], dns={
        "hosts_ttl": 11, "hosts": {"nas.home.arpa": ["192.168.1.5", "fd00::5"], '"*.lab.example"': "10.0.0.7",
                                   "special.lab.example": "10.0.0.8", "www.ads.example": "192.0.2.77"}})

    def addresses(name, qtype="A"):
        return ask(net.home, OTHER_DNS, name, qtype).addresses
    assert addresses("nas.home.arpa") == ["192.168.1.5"] and addresses("NAS.Home.ARPA", "AAAA") == ["fd00::5"]
    assert addresses("a.lab.example") == addresses("a.b.lab.example") == ["10.0.0.7"]
    assert addresses("special.lab.example") == ["10.0.0.8"]
    assert addresses("www.ads.example") == ["192.0.2.77"], "before any rule"
    m = ask(net.home, OTHER_DNS, "a.lab.example", "AAAA")
    assert m.rcode == "NOERROR" and not m.answer
    m = ask(net.home, OTHER_DNS, "5.1.168.192.in-addr.arpa", "PTR")
    assert m.data("PTR") == ["nas.home.arpa"] and m.answer[0].ttl == 11
    assert not net.direct_dns.asked
    assert ask(net.home, OTHER_DNS, "lab.example").rcode == "NXDOMAIN", "below it, not itself"
    assert end.count("dns", "local") == 8


def test_rebinding(lab):
    """Private addresses are taken out of what direct servers say, but of names that may have them."""
    bad = ["10.1.2.3", "192.168.7.1", "127.0.0.1", "169.254.1.1", "100.64.3.3", "0.0.0.0"]
    bad6 = ["fd00::1", "fe80::1", "::1", "::ffff:192.168.0.1"]
    names = ("evil.example", "x.plex.direct", "nas.lan", "x.vpn.example")
    zone = {n: {"A": bad + ["198.19.5.5"], "AAAA": bad6 + ["2001:db8:99:1::55"]} for n in names}
    zone["only.example"] = {"A": ["10.1.2.3"]}
    net, end = start(lab, more={"direct": zone, "vpn": zone}, dns={"rebind_allow": ["plex.direct"]})
    m = ask(net.home, OTHER_DNS, "evil.example")
    assert m.addresses == ["198.19.5.5"]
    m = ask(net.home, OTHER_DNS, "evil.example", "AAAA")
    assert m.addresses == ["2001:db8:99:1::55"]
    m = ask(net.home, OTHER_DNS, "only.example")
    assert m.rcode == "NOERROR" and not m.answer
    for name in ("x.plex.direct", "nas.lan", "x.vpn.example"):
        assert set(ask(net.home, OTHER_DNS, name).addresses) == set(bad + ["198.19.5.5"]), name
    assert end.count("dns", "rebound") == len(bad) + len(bad6) + 1
    assert "evil.example" in end.proc.log() or "only.example" in end.proc.log()
    end.dns["rebind_protection"] = False
    end.reload()
    end.cli("flush", "dns-cache")
    assert set(ask(net.home, OTHER_DNS, "evil.example").addresses) == set(bad + ["198.19.5.5"])


def test_strip_aaaa(lab):
    """A VPN without IPv6: its names have no IPv6 addresses; the others keep theirs; unless switched off."""
    net, end = start(lab, ["x.vpn.example", "www.plain.example"], vpn6=False)
    m = ask(net.home, OTHER_DNS, "x.vpn.example", "AAAA")
    assert m.rcode == "NOERROR" and not m.answer
    assert ask(net.home, OTHER_DNS, "x.vpn.example").addresses
    assert ask(net.home, OTHER_DNS, "www.plain.example", "AAAA").addresses
    assert end.count("dns", "stripped") == 1
    assert net.way("x.vpn.example") == "vpn"
    end.dns["strip_aaaa"] = False
    end.reload()
    end.cli("flush", "dns-cache")
    assert ask(net.home, OTHER_DNS, "x.vpn.example", "AAAA").addresses


# ---- What is kept ------------------------------------------------------------------------------------


def test_ttl_counts_down(lab):
    """From the answer on; within what ttl_min and ttl_max allow; and the servers are asked once."""
    net, end = start(lab, dns={"ttl_min": 20, "ttl_max": 500})
    zone = Zone(net)
    zone.known = {"a.example": (100, {"A": ["198.19.1.1"]}), "short.example": (1, {"A": ["198.19.1.2"]}),
                  "long.example": (90000, {"A": ["198.19.1.3"]})}
    began = time.monotonic()
    assert ask(net.home, OTHER_DNS, "a.example").answer[0].ttl == 100
    time.sleep(2.5)
    before = int(time.monotonic() - began)
    ttl = ask(net.home, OTHER_DNS, "a.example").answer[0].ttl
    assert 100 - (time.monotonic() - began) - 1 <= ttl <= 100 - before + 1 and ttl <= 98
    for name, want in (("short.example", 20), ("long.example", 500)):
        assert ask(net.home, OTHER_DNS, name).answer[0].ttl == want
    time.sleep(1.2)
    assert ask(net.home, OTHER_DNS, "short.example").answer[0].ttl < 20
    assert [zone.times_asked(n) for n in zone.known] == [1, 1, 1]
    kept = {x["name"]: x for x in end.json("show", "dns-cache")["dns-cache"]}
    assert kept["a.example"]["server"] == DIRECT_DNS and kept["a.example"]["hits"] == 1


def test_negative_answers_are_kept(lab):
    """RFC 2308: that there is nothing is kept for as long as the SOA says, and no longer."""
    net, _ = start(lab, dns={"stale": Plain("off")})
    zone = Zone(net, negative=2)
    zone.known = {"nodata.example": (50, {"TXT": ["00"]})}
    for name, rcode in (("nobody.example", "NXDOMAIN"), ("nodata.example", "NOERROR")):
        for _ in range(3):
            m = ask(net.home, OTHER_DNS, name)
            assert m.rcode == rcode and not m.answer and m.authority[0].type == "SOA"
            assert m.authority[0].ttl <= 2
        assert zone.times_asked(name) == 1
    zone.known["nobody.example"] = (50, {"A": ["198.19.1.1"]})
    wait_for("the end of the negative answer", lambda: ask(net.home, OTHER_DNS, "nobody.example").addresses, 5)


def test_serve_stale(lab):
    """RFC 8767: the servers are gone, so the app gets what was right until now, marked as such; a name that
    nothing is kept of fails, and is answered when they are back."""
    net, end = start(lab, dns={"timeout": 3})
    zone = Zone(net)
    zone.known = {"a.example": (1, {"A": ["198.19.1.1"]})}
    assert ask(net.home, OTHER_DNS, "a.example").ede is None
    zone.silent = True
    time.sleep(1.3)
    m = ask(net.home, OTHER_DNS, "a.example", timeout=8)
    assert m.addresses == ["198.19.1.1"] and m.ede == 3 and m.answer[0].ttl == 30
    assert ask(net.home, OTHER_DNS, "other.example", timeout=8).rcode == "SERVFAIL"
    assert end.count("dns", "stale") >= 1
    zone.silent = False
    zone.known["new.example"] = (60, {"A": ["198.19.1.9"]})
    wait_for("answers again", lambda: ask(net.home, OTHER_DNS, "new.example", timeout=8).addresses, 20)


def test_without_serve_stale(lab):
    net, _ = start(lab, dns={"timeout": 1, "stale": Plain("off")})
    zone = Zone(net)
    zone.known = {"a.example": (1, {"A": ["198.19.1.1"]})}
    assert ask(net.home, OTHER_DNS, "a.example").addresses
    zone.silent = True
    time.sleep(1.3)
    m = ask(net.home, OTHER_DNS, "a.example", timeout=8)
    assert m.rcode == "SERVFAIL" and not m.answer


@pytest.mark.parametrize("on", [True, False])
def test_prefetch(lab, on):
    """What is asked for in the last tenth of its life is asked again before it ends: no app waits for it."""
    net, end = start(lab, dns={"prefetch": on, "stale": Plain("off")})
    zone = Zone(net)
    zone.known = {"a.example": (10, {"A": ["198.19.1.1"]})}
    began = time.monotonic()
    ask(net.home, OTHER_DNS, "a.example")
    while time.monotonic() - began < 9.9:
        ask(net.home, OTHER_DNS, "a.example")
        time.sleep(0.1)
    if time.monotonic() - began < 9.99:         # or this machine was too slow to say
        assert zone.times_asked("a.example") == (2 if on else 1)
        assert end.count("dns", "prefetched") == on


def test_a_flush(lab):
    """`mintflow flush`, of a name and what is below it, and of all."""
    net, end = start(lab)
    zone = Zone(net)
    zone.known = {n: (600, {"A": ["198.19.2.1"]}) for n in ("a.example", "b.a.example", "xa.example", "c.example")}

    def ask_all():
        for name in zone.known:
            ask(net.home, OTHER_DNS, name)
        return [zone.times_asked(n) for n in zone.known]
    assert ask_all() == [1, 1, 1, 1]
    end.cli("flush", "dns-cache", "a.example")
    assert ask_all() == [2, 2, 1, 1]
    end.cli("flush", "dns-cache")
    assert ask_all() == [3, 3, 2, 2]


def test_one_question_for_all_who_ask(lab):
    """Fifty apps ask the same while the server thinks about it: it is asked once."""
    net, end = start(lab)
    zone = Zone(net)
    zone.known = {"a.example": (60, {"A": ["198.19.1.1"]})}
    answer = net.direct_dns.answer
    net.direct_dns.answer = lambda asked: (time.sleep(0.5), answer(asked))[1]
    asking = []
    for i in range(50):
        s = net.home.socket(inet(OTHER_DNS), socket.SOCK_DGRAM)
        s.connect((OTHER_DNS, 53))
        s.send(dnsmsg.question("A.eXample" if i % 2 else "a.example", ident=i))
        asking.append(s)
    for i, s in enumerate(asking):
        m = dnsmsg.parse(s.recv(4096))
        assert m.ident == i and m.addresses == ["198.19.1.1"]
        assert m.name == ("A.eXample" if i % 2 else "a.example"), "each gets its own question back"
        s.close()
    assert zone.times_asked("a.example") == 1
    assert end.count("dns", "joined") == 49


def test_the_log_and_why(lab):
    """log_queries, and what `why` says of a name: the rule, whom it asks, what is kept."""
    net, end = start(lab, ["x.vpn.example", "www.plain.example", "x.ads.example"], dns={"log_queries": True})
    for name in net.zones["direct"]:
        ask(net.home, OTHER_DNS, name)
    wait_for("the log", lambda: len(re.findall(r"query: ", end.proc.log())) >= 3)
    log = end.proc.log()
    assert re.search(r"query: x\.vpn\.example A from 10\.66\.0\.2: .*NOERROR, vpn \(route 1, set vpn\)", log)
    assert re.search(r"query: www\.plain\.example A from 10\.66\.0\.2: .*NOERROR, direct \(no rule\)", log)
    assert re.search(r"query: x\.ads\.example A from 10\.66\.0\.2: .*NXDOMAIN, drop \(route 2, set ads\)", log)
    why = end.json("why", "x.vpn.example")
    assert why["domain_set"] == "vpn" and why["interface"] == "vpn" and why["through"] == "vpn"
    assert [x["addresses"] for x in why["cached"]] == [net.zones["vpn"]["x.vpn.example"]["A"]]
    assert end.json("why", "x.ads.example")["blocked"]
    assert end.json("why", "www.plain.example")["servers"] == [DIRECT_DNS]
    assert seen_by(why["addresses"][0]["address"]) == "vpn"
