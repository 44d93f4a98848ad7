# SPDX-License-Identifier: Apache-2.0
"""Apps routed by the names they use: learned routes, which are in force before the answer, and the names that
sessions show. The laboratory is that of dnsnet.py; each web server says whom it has seen, the way that was
taken.
"""
import concurrent.futures
import json
import re
import shutil
import socket
import threading
import time

import pytest

import quichello
from directnet import Server, connect, inet, read_all, read_exactly
from dnsnet import DIRECT_DNS, OTHER_DNS, WAY, Net, Steered, sent_from, view
from lab import wait_for
from nameserver import Knot, Unbound, ask, certificate, zone_answer

pytestmark = pytest.mark.mintflow_only
EVERYWHERE = [{"cidr": "0.0.0.0/0", "to": "direct"}, {"cidr": "::/0", "to": "direct"}]
SHARED, SHARED6 = "198.18.200.9", "2001:db8:99::c809"


def whoami(net, address, host=None, timeout=5):
    """The way of one request, straight from here: no program has to start. `host`: the name it shows."""
    with connect(net.home, address, 80, timeout) as s:
        s.sendall(f"GET /whoami HTTP/1.1\r\nHost: {host or 'x'}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while part := s.recv(4096):
            answer += part
    seen = json.loads(answer.split(b"\r\n\r\n", 1)[1])["client"]
    return WAY.get(seen, seen)


def start(lab, names=(), *, app_routing=None, dns=None, **kw):
    net = Net(lab, names, kw.pop("zones", None), real=False)
    end = Steered(net, dns={"system": "off", "direct_servers": [DIRECT_DNS], **(dns or {})},
                  app_routing=app_routing, **kw)
    return net, end.start()


# ---- Learned routes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [4, 6])
def test_in_force_before_the_answer(lab, version):
    """Four apps ask 200 new names and use each at once: none by the wrong way, on neither worker."""
    names = [f"n{i}.vpn.example" for i in range(200)]
    net, end = start(lab, names, app_routing={"settle": False}, more={"limits": {"workers": 2}})
    qtype = {4: "A", 6: "AAAA"}[version]
    left = iter(names)
    lock = threading.Lock()

    def app():
        ways = []
        while True:
            with lock:
                name = next(left, None)
            if name is None:
                return ways
            address, = ask(net.home, OTHER_DNS, name, qtype).addresses
            ways.append((name, whoami(net, address)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        ways = sum([f.result() for f in [pool.submit(app) for _ in range(4)]], [])
    assert len(ways) == 200 and not [w for w in ways if w[1] != "vpn"]
    assert end.json("status")["workers"] == 2
    learned = end.learned()
    assert len(learned) == 200 and set(learned.values()) == {("vpn", n) for n in names}


def test_more_names_than_routes(lab):
    """There is room for 256 learned routes: the ones that nobody uses make way, and no address that an app
    hears of goes the wrong way."""
    names = [f"n{i}.vpn.example" for i in range(600)]
    net, end = start(lab, names, app_routing={"settle": False, "max_learned": 256})
    for name in names:
        address, = ask(net.home, OTHER_DNS, name).addresses
        if whoami(net, address) != "vpn":
            pytest.fail(f"{name} went the wrong way")
    assert len(end.learned()) <= 256
    # Kept answers are given with their routes, too.
    address, = ask(net.home, OTHER_DNS, names[0]).addresses
    assert whoami(net, address) == "vpn"


def test_rules_of_precedence(lab):
    """A route of full length beats a learned one, which beats every other; of two sets the earlier route has the
    name."""
    names = ["a.vpn.example", "b.vpn.example", "c.vpn.example", "x.vpn.example"]
    zones = {"vpn": {"a.vpn.example": {"A": ["198.18.5.1"]}, "b.vpn.example": {"A": ["198.18.5.2"]},
                     "c.vpn.example": {"A": ["198.18.66.7"]}}}
    net, end = start(
        lab, names, zones=zones, sets={"x": {"domains": ["x.vpn.example"]}, "vpn": {"domains": ["vpn.example"]}},
        routes=[{"domain_set": "x", "to": "direct"}, {"domain_set": "vpn", "to": "vpn"},
                {"cidr": "198.18.5.1/32", "to": "direct"}, {"cidr": "198.18.66.0/24", "to": "drop"},
                {"cidr": "198.18.5.2/31", "to": "direct"}] + EVERYWHERE)
    for name, want in (("a.vpn.example", "direct"), ("b.vpn.example", "vpn"), ("c.vpn.example", "vpn"),
                       ("x.vpn.example", "direct")):
        address, = ask(net.home, OTHER_DNS, name).addresses
        assert whoami(net, address) == want, name
    overridden = {x["address"]: x["overridden"] for x in end.json("show", "routes")["learned"]}
    assert overridden["198.18.5.1"] and not overridden["198.18.5.2"]
    assert end.why("198.18.5.1") == "direct" and end.why("198.18.66.7") == "vpn"
    assert end.why("198.18.66.8") == "drop"


def test_a_reload_judges_learned_routes_anew(lab):
    """A set that goes elsewhere, or is gone: what was learned follows at once, without a new question."""
    net, end = start(lab, ["x.vpn.example"], app_routing={"settle": False})
    address, = ask(net.home, OTHER_DNS, "x.vpn.example").addresses
    assert whoami(net, address) == "vpn"
    end.routes = [{"domain_set": "vpn", "to": "reject"}, {"domain_set": "ads", "to": "drop"}] + EVERYWHERE
    end.reload()
    with pytest.raises(ConnectionRefusedError):
        whoami(net, address)
    end.routes = [{"domain_set": "ads", "to": "drop"}] + EVERYWHERE
    end.reload()
    assert whoami(net, address) == "direct" and not end.learned()
    # And so do kept answers: nobody is told what the other way's servers said.
    assert ask(net.home, OTHER_DNS, "x.vpn.example").addresses == net.zones["direct"]["x.vpn.example"]["A"]


@pytest.mark.slow
@pytest.mark.first
def test_the_end_of_a_ttl(lab):
    """A route lasts for 60 s at least, and longer while a download through the VPN uses it; when nobody has used
    it for `tcp_idle`, it goes."""
    names = ["used.vpn.example", "idle.vpn.example"]
    net, end = start(lab, names, app_routing={"settle": False}, more={"sessions": {"tcp_idle": 5}})
    net.vpn_dns.answer = zone_answer(net.zones["vpn"], ttl=1)
    used, idle = (ask(net.home, OTHER_DNS, n).addresses[0] for n in names)
    assert whoami(net, idle) == "vpn"
    began, more = time.monotonic(), True

    def drip(sock):
        """A download that is never done, and never quiet for long."""
        assert WAY[sock.getpeername()[0].removeprefix("::ffff:")] == "vpn"
        while more:
            sock.sendall(bytes(1000))
            time.sleep(0.2)
    server = Server(net.net, drip)
    with connect(net.home, used, server.port) as download:
        while idle in end.learned():
            assert time.monotonic() - began < 75 and read_exactly(download, 1000)
        assert time.monotonic() - began > 58
        until = time.monotonic() + 7    # `used` is over its TTL, too, and its only use is the download
        while time.monotonic() < until:
            assert read_exactly(download, 1000)
        assert end.learned() == {used: ("vpn", "used.vpn.example")}
        assert whoami(net, idle) == "direct"
        more = False
    wait_for("the used one's end", lambda: used not in end.learned(), 20, step=0.5)


# ---- Names that sessions show ------------------------------------------------------------------------


class Web:
    """A home whose web servers speak TLS, too; curl as an app with a resolver of its own."""

    def __init__(self, lab, **kw):
        self.net, self.end = start(lab, ["www.plain.example"], **kw)
        *tls, self.ca = certificate(lab, ["*.vpn.example", "*.ads.example", "*.plain.example", "*.bad.example"])
        self.net.net.http_server(443, tls=tls)

    def curl(self, name, address, scheme="https", timeout=4, *options):
        """(curl's status, way, seconds) of a page of a name at an address that DNS has not said."""
        at = f"[{address}]" if ":" in address else address
        port = {"https": 443, "http": 80}[scheme]
        start_at = time.monotonic()
        r = self.net.home.run(["curl", "-gsS", "-m", timeout, "--cacert", self.ca, "--resolve",
                               f"{name}:{port}:{at}", *options, f"{scheme}://{name}/whoami"], check=False)
        took = time.monotonic() - start_at
        seen = json.loads(r.stdout)["client"] if r.returncode == 0 else None
        return r.returncode, WAY.get(seen, seen), took


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("address", ["198.19.9.9", "2001:db8:99:1::909"], ids=["v4", "v6"])
def test_an_app_with_its_own_resolver(lab, scheme, address):
    """Its address goes direct; the name that it shows goes to the VPN, nowhere, or is rejected."""
    w = Web(lab, sets={"vpn": {"domains": ["vpn.example"]}, "ads": {"domains": ["ads.example"]},
                       "bad": {"domains": ["bad.example"]}},
            routes=[{"domain_set": "vpn", "to": "vpn"}, {"domain_set": "ads", "to": "drop"},
                    {"domain_set": "bad", "to": "reject"}] + EVERYWHERE)
    cable = w.net.home.capture("eth0", "tcp")
    assert w.curl("www.vpn.example", address, scheme)[:2] == (0, "vpn")
    assert not sent_from(cable.packets(), "192.0.2.2", "2001:db8:2::2"), "it began on the cable"
    assert w.curl("www.plain.example", address, scheme)[:2] == (0, "direct")
    status, _, took = w.curl("www.bad.example", address, scheme)
    assert status in (35, 56) and took < 3, (status, took)
    status, _, took = w.curl("www.ads.example", address, scheme, 2)
    assert status == 28, "not silent"
    assert not w.end.learned()


def test_two_names_on_one_address(lab):
    """Both go `direct` by their address; each session goes where its own name belongs."""
    zones = {kind: {"one.plain.example": {"A": [SHARED], "AAAA": [SHARED6]},
                    "two.vpn.example": {"A": [SHARED], "AAAA": [SHARED6]},
                    "three.bad.example": {"A": [SHARED], "AAAA": [SHARED6]}} for kind in ("vpn", "direct")}
    w = Web(lab, zones=zones, dns={"block_answer": "route"},
            sets={"plain": {"domains": ["plain.example"]}, "vpn": {"domains": ["vpn.example"]},
                  "bad": {"domains": ["bad.example"]}},
            routes=[{"domain_set": "plain", "to": "direct"}, {"domain_set": "vpn", "to": "vpn"},
                    {"domain_set": "bad", "to": "reject"}] + EVERYWHERE)
    for name in ("one.plain.example", "two.vpn.example", "three.bad.example"):
        assert ask(w.net.home, OTHER_DNS, name).addresses == [SHARED]
        assert ask(w.net.home, OTHER_DNS, name, "AAAA").addresses == [SHARED6]
    for address in (SHARED, SHARED6):
        assert w.end.learned()[address] == ("direct", "one.plain.example"), "the earlier route"
        for scheme in ("https", "http"):
            assert w.curl("one.plain.example", address, scheme)[:2] == (0, "direct")
            assert w.curl("two.vpn.example", address, scheme)[:2] == (0, "vpn")
            assert w.curl("three.bad.example", address, scheme)[0] in (35, 56)
    said = w.end.json("why", SHARED)
    assert said["shared"] and said["shared_with"] in ("two.vpn.example", "three.bad.example"), said
    assert "different routes" in w.end.proc.log()


def test_a_shared_address_in_the_vpn(lab):
    """Packets into a VPN show no names: the address's route has them all, and `why` and `show routes` say so."""
    zones = {"vpn": {"two.vpn.example": {"A": [SHARED]}}, "direct": {"one.plain.example": {"A": [SHARED]}}}
    w = Web(lab, zones=zones)
    for name in ("two.vpn.example", "one.plain.example"):
        assert ask(w.net.home, OTHER_DNS, name).addresses == [SHARED]
    assert w.curl("one.plain.example", SHARED)[:2] == (0, "vpn")
    shared, = [x for x in w.end.json("show", "routes")["learned"] if x["address"] == SHARED]
    assert shared["shared"] and shared["shared_with"] == "one.plain.example"
    why = w.end.json("why", SHARED)
    assert why["shared"] and why["shared_with"] == "one.plain.example"


def test_silent_sessions_and_other_ports(lab):
    """A server that speaks first is waited for settle_wait and no longer; ports that are not looked at are not."""
    w = Web(lab, app_routing={"settle_ports": [80, 443]})
    w.net.net.http_server(8000)
    assert w.curl("www.vpn.example", "198.19.9.9", "http")[1] == "vpn"
    r = w.net.home.run(["curl", "-sS", "--resolve", "www.vpn.example:8000:198.19.9.9",
                        "http://www.vpn.example:8000/whoami"])
    assert WAY[json.loads(r.stdout)["client"]] == "direct"
    with connect(w.net.home, "198.19.9.9", 80) as s:
        wait_for("the session", lambda: any(
            x["destination"].startswith("198.19.9.9:80") and x["state"] == "established"
            for x in w.end.json("show", "sessions")["sessions"]), 5)
        s.sendall(b"GET /whoami HTTP/1.1\r\nHost: www.vpn.example\r\nConnection: close\r\n\r\n")
        body = read_all(s).split(b"\r\n\r\n", 1)[1]
        assert WAY[json.loads(body)["client"]] == "direct", "too late to say"


def test_quic(lab):
    """The name in a QUIC Initial decides, too. There is no QUIC client here: the first datagram is made by hand,
    and what arrives at the far side is looked at."""
    w = Web(lab, sets={"vpn": {"domains": ["vpn.example"]}, "ads": {"domains": ["ads.example"]}},
            routes=[{"domain_set": "vpn", "to": "vpn"}, {"domain_set": "ads", "to": "drop"}] + EVERYWHERE)
    for family, address in ((4, "198.19.9.9"), (6, "2001:db8:99:1::909")):
        far = w.net.net.socket(inet(address), socket.SOCK_DGRAM)
        far.bind(("::" if family == 6 else "0.0.0.0", 443))
        for name, want in (("www.vpn.example", "vpn"), ("www.plain.example", "direct"),
                           ("www.ads.example", None), ("www.vpn.example", "vpn")):
            datagram = quichello.initial(name)
            with w.net.home.socket(inet(address), socket.SOCK_DGRAM) as s:
                s.sendto(datagram, (address, 443))
                far.settimeout(1 if want is None else 10)
                try:
                    got, peer = far.recvfrom(2000)
                except TimeoutError:
                    got, peer = None, (None,)
                assert (WAY.get(peer[0]), got) == (want, datagram if want else None), name
        far.close()


# ---- Under load --------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("dnsperf"), reason="dnsperf is not installed")
@pytest.mark.parametrize("mode", ["udp", "tcp"])
def test_reload_under_questions(lab, mode):
    """dnsperf asks new names and kept ones while the profile changes: no answer is lost, and none is an error."""
    names = [f"n{i}.{kind}.example" for i in range(2000) for kind in ("vpn", "plain")]
    net = Net(lab, servers=False)
    Knot(net.vpn, ["8.8.8.8"], view(names, "vpn")).start()
    Unbound(net.net, [DIRECT_DNS], view(names, "direct")).start()
    end = Steered(net, dns={"system": "off", "direct_servers": [DIRECT_DNS]}).start()
    data = lab.path("names")
    with open(data, "w") as f:
        f.writelines(f"{n} {t}\n" for n in names for t in ("A", "AAAA"))
    load = net.home.popen(["dnsperf", "-s", OTHER_DNS, "-d", data, "-l", "5", "-Q", "3000", "-c", "8",
                           "-m", mode, "-t", "6"])
    reloads = 0
    while load.alive():
        end.sets[f"more{reloads}"] = {"domains": [f"more{reloads}.example"]}
        end.routes = [{"domain_set": f"more{reloads}", "to": "reject"}] + end.routes
        end.reload()
        reloads += 1
        time.sleep(0.4)
    said = load.log()
    lost = re.search(r"Queries lost:\s+(\d+)", said)
    codes = re.search(r"Response codes:\s+(.*)", said)
    assert lost and codes, said
    assert lost.group(1) == "0", said
    assert re.fullmatch(r"NOERROR \d+ \(100\.00%\)", codes.group(1)), said
    assert reloads > 5 and int(re.search(r"Queries completed:\s+(\d+)", said).group(1)) > 5000, said


def test_restart_under_questions(lab):
    """A stop and a start: apps that ask again get their answers, and none that is wrong."""
    names = [f"n{i}.vpn.example" for i in range(200)]
    net, end = start(lab, names)
    answers, run = [], True

    def app():
        for name in names:
            if not run:
                return
            try:
                answers.append((name, ask(net.home, OTHER_DNS, name, timeout=0.5).addresses))
            except OSError:
                pass
            time.sleep(0.01)
    asking = threading.Thread(target=app, daemon=True)
    asking.start()
    time.sleep(0.5)
    assert end.stop() == 0
    end.start()
    end.stop()
    end.start()
    asking.join(60)
    run = False
    assert len(answers) > 50
    right = {n: net.zones["vpn"][n]["A"] for n in names}
    assert all(a in (right[n], ["198.18.66.66"]) for n, a in answers), "while it is off, the old way's"
    assert ask(net.home, OTHER_DNS, names[0]).addresses == right[names[0]]
