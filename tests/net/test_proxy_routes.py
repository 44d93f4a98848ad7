# SPDX-License-Identifier: Apache-2.0
"""Proxies among other ways: what goes where in one profile, and that our own connections to a proxy never go into
the tunnel. The laboratory is that of proxynet.py; the provider speaks WireGuard, too, so that the web sees

    px 203.0.113.7    what goes through the proxy
    192.0.3.7         what goes through the other proxy, far
    198.51.100.1      what goes through the VPN
    home 192.0.2.2    what goes direct
"""
import errno
import socket

import pytest

import quichello
from directnet import EVERYWHERE, HOME4, WEB4, WEB6, Server, connect, connect_errno, echo, inet
from lab import hostport, wait_for
from nameserver import NameServer, ask, zone_answer
from proxynet import NAME, PASSWORD, PX4, PX6, microsocks, ss_server
from test_direct_udp import client, silent, udp
from test_proxy_via import FAR4, FAR6, METHOD, Chained

pytestmark = pytest.mark.mintflow_only
VPN4 = "198.51.100.1"
THERE, HERE, OTHER, ROUTER = "8.8.8.8", "1.1.1.1", "9.9.9.9", "192.0.2.1"
WAYS = {"px": PX4, "vpn": VPN4, "here": HOME4, "far": FAR4}
SETS = {way: {"domains": [f"{way}.example"]} for way in (*WAYS, "ads")}
NUMBERS = dict(zip(SETS, range(10, 20)))
ROUTES = [{"domain_set": "px", "to": "px"}, {"domain_set": "vpn", "to": "wg"}, {"domain_set": "here", "to": "direct"},
          {"domain_set": "far", "to": "far"}, {"domain_set": "ads", "to": "reject"},
          {"cidr": "198.18.60.0/24", "to": "px"}, {"cidr": "198.18.61.0/24", "to": "wg"},
          {"cidr": "198.18.62.0/24", "to": "reject"}, {"cidr": "198.18.63.0/24", "to": "far"}, *EVERYWHERE]
BY_ADDRESS = {"198.18.60.1": "px", "198.18.61.1": "wg", "198.18.62.1": None, "198.18.63.1": "far",
              "198.18.64.1": "direct"}
SEEN = {"px": PX4, "wg": VPN4, "far": FAR4, "direct": HOME4}


def name_of(way, host="www"):
    return f"{host}.{way}.example"


class Ways(Chained):
    """One name server of the test's own, which everybody asks: both groups of the profile, and apps."""

    def __init__(self, lab, start=True):
        super().__init__(lab, wireguard=True)
        self.isp.nft("table inet nat {\n chain post {\n type nat hook postrouting priority 100;\n"
                     " iifname wg0 masquerade\n }\n}\n")
        self.zone = {name_of(way, host): {"A": [f"198.18.{n}.{i}"], "AAAA": [f"2001:db8:99::{n}:{i}"]}
                     for way, n in NUMBERS.items() for i, host in enumerate(("www", "quic", "late"), 1)}
        addresses = (THERE, HERE, OTHER)
        self.net.add_addr("lo", *[a + "/32" for a in addresses])
        for a in addresses:
            self.isp.ip(f"route add {a} via 198.51.100.2")
        self.dns = NameServer(self.net, addresses, zone_answer(self.zone))
        for host in (self.px, self.far):        # names go to proxies as names
            host.etc("resolv.conf", f"nameserver {THERE}\n")
        ss_server(self.px, METHOD)
        microsocks(self.far)
        if start:
            self.start()

    def start(self, **more):
        return self.run({"name": "px", "type": "shadowsocks", "server": hostport(PX4, 8388), "method": METHOD,
                         "password": PASSWORD}, self.wg_interface(),
                        {"name": "far", "type": "socks5", "server": hostport(FAR4, 1080), **more},
                        routes=ROUTES, sections={"domain_sets": SETS, "dns": {
                            "vpn_servers": [THERE], "direct_servers": [HERE], "system": "off"}})

    def address(self, name, qtype="A"):
        return ask(self.home, OTHER, name, qtype).addresses[0]


# ---- One profile, many ways --------------------------------------------------------------------------


def test_sets_and_prefixes(lab):
    """Names and addresses to two proxies, the VPN, the local internet, and nowhere."""
    it = Ways(lab)
    for way, seen in WAYS.items():
        address = it.address(name_of(way))
        # By name: the proxy chooses the family.
        assert it.page(name_of(way), address)["client"] in (seen, FAR6 if way == "far" else seen), way
        assert it.whoami(address) == seen, f"{way}, without its name"
    for address, way in BY_ADDRESS.items():
        if way:
            assert it.whoami(address) == SEEN[way], address
        else:
            assert connect_errno(it.home, address, 80)[0] == errno.ECONNREFUSED
    assert ask(it.home, OTHER, name_of("ads")).rcode == "NXDOMAIN"
    e, _ = connect_errno(it.home, "198.18.14.1", 80)
    assert not e, "nobody has heard the name, so the address goes direct"
    r = it.home.run(["curl", "-sS", "-m", "5", "--resolve", f"{name_of('ads')}:80:198.18.14.1",
                     f"http://{name_of('ads')}/"], check=False)
    assert r.returncode in (52, 56), "but the name that it shows is rejected"
    # Each name has been asked for through its own interface.
    who = {a.name.lower(): a.client for a in it.dns.asked}
    assert {way: who[name_of(way)] for way in ("px", "vpn", "here")} == {k: WAYS[k] for k in ("px", "vpn", "here")}


def test_why(lab):
    """Of addresses and names, before and after they are known; and of a session."""
    it = Ways(lab)
    end = it.end
    for address, way in BY_ADDRESS.items():
        said = end.json("why", address)
        assert said["interface"] == way and said["verdict"] == ("sent" if way else "dropped"), said
    for way in WAYS:
        interface = {"vpn": "wg", "here": "direct"}.get(way, way)
        said = end.json("why", name_of(way))
        assert said["interface"] == interface == said["through"] and said["domain_set"] == way, said
        assert not said["addresses"]
        address = it.address(name_of(way))
        assert [x["interface"] for x in end.json("why", name_of(way))["addresses"]] == [interface]
        said = end.json("why", address)
        assert (said["interface"], said["learned_of"]) == (interface, name_of(way)), said
        assert said["where"] and said["domain_set"] == way
    text = end.cli("why", it.address(name_of("px"))).stdout
    assert "px" in text and "domain set px" in text
    server = Server(it.net, echo)
    with connect(it.home, "198.18.60.1", server.port) as s:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
        session, = [x for x in end.sessions() if x["destination"].endswith(f":{server.port}")]
        assert session["interface"] == "px"
        said = end.json("why", session["id"])
        assert said["interface"] == "px" and said["route"] == "198.18.60.0/24", said
        assert said["bytes_up"] == 1


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_by_name(lab, version):
    """To a learned address: through the proxy, the VPN, or direct; a proxy that has none says so."""
    it = Ways(lab)
    qtype = {4: "A", 6: "AAAA"}[version]
    seen = {"px": {4: PX4, 6: PX6}[version], "here": {4: HOME4, 6: "2001:db8:2::2"}[version]}
    if version == 4:
        seen["vpn"] = VPN4
    server = udp(it.net, "0.0.0.0" if version == 4 else "::", 4433)
    for way, who in seen.items():
        with client(it.home, version) as app:
            where = (it.address(name_of(way, "quic"), qtype), 4433)
            app.sendto(b"hello", where)
            data, peer = server.recvfrom(100)
            assert (data, peer[0]) == (b"hello", who), way
    with client(it.home, version) as app:
        app.connect((it.address(name_of("far", "quic"), qtype), 4433))
        app.send(b"hello")
        with pytest.raises(OSError) as e:
            app.recv(1)
        assert e.value.errno == (errno.EHOSTUNREACH if version == 4 else errno.EACCES)
        assert silent(server) is None


@pytest.mark.parametrize("address", ["198.18.99.9", "2001:db8:99::909"], ids=["v4", "v6"])
def test_quic_shows_its_name(lab, address):
    """An app with a resolver of its own: the address goes direct, but the name in the first datagram of QUIC goes to
    the proxy."""
    it = Ways(lab)
    far = it.net.socket(inet(address), socket.SOCK_DGRAM)
    far.bind(("::" if ":" in address else "0.0.0.0", 443))
    seen = {"px": PX6 if ":" in address else PX4, "here": "2001:db8:2::2" if ":" in address else HOME4}
    for way in ("px", "here", "px"):
        datagram = quichello.initial(name_of(way))
        with it.home.socket(inet(address), socket.SOCK_DGRAM) as s:
            s.sendto(datagram, (address, 443))
            far.settimeout(10)
            got, peer = far.recvfrom(2000)
            assert (got, peer[0]) == (datagram, seen[way])
            far.sendto(b"answer", peer)
            assert s.recv(100) == b"answer"


def test_learned_later(lab):
    """A session that has begun stays where it is when its address is learned; the next one goes to the proxy, and so
    does the same app's next datagram to a new remote."""
    it = Ways(lab)
    name = name_of("px", "late")
    address, = it.zone[name]["A"]
    server = Server(it.net)
    old = connect(it.home, address, server.port)
    far_end = server.accept()
    assert far_end.getpeername()[0].removeprefix("::ffff:") == HOME4
    assert it.address(name) == address
    old.sendall(b"still here")
    assert far_end.recv(100) == b"still here"
    far_end.sendall(b"so am I")
    assert old.recv(100) == b"so am I"
    new = connect(it.home, address, server.port)
    assert server.accept().getpeername()[0].removeprefix("::ffff:") == PX4
    both = {s["app"]: s["interface"] for s in it.end.sessions() if s["destination"] == f"{address}:{server.port}"}
    assert both == {hostport(*old.getsockname()): "direct", hostport(*new.getsockname()): "px"}
    assert it.end.json("why", address)["interface"] == "px"


def test_a_reload_moves_a_set(lab):
    """From one proxy to the other: new sessions follow at once, running ones go on."""
    it = Ways(lab)
    address = it.address(name_of("px"))
    server = Server(it.net, echo)
    old = connect(it.home, address, server.port)
    old.sendall(b"x")
    assert old.recv(1) == b"x"
    it.end.routes = [{"domain_set": "px", "to": "far"}] + [r for r in ROUTES if r.get("domain_set") != "px"]
    it.end.reload()
    assert it.whoami(address) == FAR4 and it.end.why(address) == "far"
    old.sendall(b"y")
    assert old.recv(1) == b"y"


# ---- Outside of the tunnel ---------------------------------------------------------------------------


def shadowsocks(server=PX4, **kw):
    return {"name": "px", "type": "shadowsocks", "server": hostport(server, 8388), "method": METHOD,
            "password": PASSWORD, **kw}


class Alone(Chained):
    """A proxy and nothing else, and everything goes to it. The home's router has a name server, and there is one at
    1.1.1.1: both say what `zone` has."""

    def __init__(self, lab, zone=None):
        super().__init__(lab)
        self.net.add_addr("lo", HERE + "/32")
        self.isp.ip(f"route add {HERE} via 198.51.100.2")
        self.zone = zone or {}
        self.dns = NameServer(self.net, [HERE], zone_answer(self.zone))
        self.router = NameServer(self.isp, [ROUTER], zone_answer(self.zone))
        self.home.etc("resolv.conf", f"nameserver {ROUTER}\noptions timeout:1 attempts:2\n")
        ss_server(self.px, METHOD)

    def run_by_name(self, how):
        return self.run(shadowsocks(NAME), sections={
            "dns": {"direct_servers": [HERE], "system": "off"}} if how == "dns" else None)

    def into_the_tunnel(self):
        """What home itself sends into it to anybody but the web."""
        return self.home.capture("mint0", "not net 198.18.0.0/16 and not net 2001:db8:99::/64 and (ip or ip6 and "
                                 "not icmp6)")


@pytest.mark.parametrize("server", [PX4, PX6])
def test_our_own_connections_stay_outside(lab, server):
    """Everything goes to the proxy, its server is in no list of exceptions, and its connections do not enter the
    tunnel."""
    it = Alone(lab)
    end = it.run(shadowsocks(server))
    inside = it.into_the_tunnel()
    for _ in range(3):
        assert it.whoami(WEB4) == PX4 and it.whoami(WEB6) == PX6
    with client(it.home, 4) as app:
        app.sendto(b"x", (WEB4, 9))
    assert end.why(server) == "px", "an app's would go to the proxy"
    assert not inside.packets()
    said = end.json("show", "interfaces")["interfaces"]
    assert next(i for i in said if i["name"] == "direct")["opened"] == 0


def test_an_app_asks_the_server_itself(lab):
    """An app's own connection to the proxy's server goes through the proxy, as everything does, and not in a circle."""
    it = Alone(lab)
    it.px.http_server(80)
    it.run(shadowsocks())
    said = it.home.out(["curl", "-sSf", "-m", "10", f"http://{PX4}/whoami"])
    assert f'"client": "{PX4}"' in said
    assert it.whoami() == PX4


@pytest.mark.parametrize("how", ["hosts", "system", "dns"])
def test_a_server_given_by_name(lab, how):
    """Its address is found before there is a way through it: in /etc/hosts, by the system's resolver in the LAN, or
    by `dns.direct_servers`; always outside of the tunnel."""
    it = Alone(lab, {NAME: {"A": [PX4], "AAAA": [PX6]}} if how != "hosts" else {})
    if how == "hosts":
        it.home.etc("hosts", f"{PX4} {NAME}\n")
    end = it.run_by_name(how)
    inside = it.into_the_tunnel()
    assert it.whoami(WEB4) == PX4 and it.whoami(WEB6) == PX6
    assert not inside.packets() and not end.faults()
    for server, used in ((it.dns, how == "dns"), (it.router, how == "system")):
        assert {a.client for a in server.asked if a.name.lower() == NAME} == ({HOME4} if used else set())


@pytest.mark.slow
@pytest.mark.parametrize("how", ["system", "dns"])
def test_the_server_moves(lab, how):
    """Its old address is gone and its name has another one: asked for again, outside of the tunnel, when the old one
    does not answer."""
    new = "203.0.113.8"
    it = Alone(lab, {NAME: {"A": [PX4], "ttl": 1}})
    it.run_by_name(how)
    assert it.whoami() == PX4
    it.px.del_addr("to-isp", PX4 + "/24")
    it.px.add_addr("to-isp", new + "/24")
    it.px.ip("route add default via 203.0.113.1")
    it.zone[NAME]["A"] = [new]
    wait_for("the way to its new address", lambda: f'"client": "{new}"' in it.home.run(
        ["curl", "-sSf", "-m", "10", f"http://{WEB4}/whoami"], check=False).stdout, 90, 0.2)
    with client(it.home, 4) as app:
        server = udp(it.net, WEB4, 3478)
        wait_for("datagrams", lambda: app.sendto(b"x", (WEB4, 3478)) and silent(server, 0.5), 20)


def test_the_cable_is_pulled(lab):
    """Without a network the app is told at once; with one all is as before."""
    it = Alone(lab)
    it.run(shadowsocks())
    assert it.whoami() == PX4
    it.home.ip("link set to-isp down")
    wait_for("the network's end", lambda: connect_errno(it.home, WEB4, 80, 3)[0] in (
        errno.ECONNREFUSED, errno.ENETUNREACH, errno.EHOSTUNREACH), 10)
    it.home.ip("link set to-isp up")
    it.home.ip("route add default via 192.0.2.1")
    wait_for("the way", lambda: it.home.run(["curl", "-sSf", "-m", "3", f"http://{WEB4}/whoami"],
                                            check=False).returncode == 0, 20, 0.2)
