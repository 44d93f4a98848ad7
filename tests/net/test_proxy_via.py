# SPDX-License-Identifier: Apache-2.0
"""Proxies behind something else: inside WireGuard, and behind other proxies. The laboratory is that of
proxynet.py, with one more server, and the provider speaks WireGuard:

    home ── isp ┬─ net: the web
      ║      ║  ├─ px: proxies
      ╚══════╝  └─ 192.0.3.0/24, 2001:db8:3::/64 ── far: more proxies
      10.10.0.2, fd10::2

Whom the web sees is the last one of a chain, and each server sees the one before it.
"""
import errno
import signal

import pytest

from directnet import HOME4, WEB, WEB4, WEB6, Server, connect, connect_errno, echo
from dnsnet import sent_from
from lab import genkey, hostport, wait_for
from proxynet import (PASSWORD, PX4, PX6, UUID, ProxyNet, danted, microsocks, ss_server, tinyproxy, v2ray,
                      v2ray_inbound)
from test_direct_udp import client, silent, udp
from test_direct_udp import echo as udp_echo
from test_tunnel import transfer
from wgend import Peer, Plain, WireguardGo

pytestmark = pytest.mark.mintflow_only
FAR4, FAR6 = "192.0.3.7", "2001:db8:3::7"
FAR = {4: FAR4, 6: FAR6}
INSIDE4 = "10.10.0.2"           # home, as it is seen in the VPN
METHOD = "aes-256-gcm"
VMESS_PORT = 10000
MIB = 1 << 20


class Chained(ProxyNet):
    def __init__(self, lab, wireguard=False, **kw):
        super().__init__(lab, **kw)
        self.far = lab.host("far")
        lab.link(self.far, self.isp, [FAR4 + "/24", FAR6 + "/64"], ["192.0.3.1/24", "2001:db8:3::1/64"])
        self.far.ip("route add default via 192.0.3.1")
        self.far.ip("-6 route add default via 2001:db8:3::1")
        if wireguard:
            self.wg = WireguardGo(self.isp, ["10.10.0.1/24", "fd10::1/64"], port=51820)
            self.private, public = genkey()
            self.wg.peers.append(Peer(public, ["10.10.0.2/32", "fd10::2/128"]))
            self.wg.start()

    def wg_interface(self):
        return {"name": "wg", "type": "wireguard", "private_key": self.private,
                "address": ["10.10.0.2/32", "fd10::2/128"], "mtu": 1420,
                "peers": [{"public_key": self.wg.public, "endpoint": "192.0.2.1:51820",
                           "allowed_ips": ["0.0.0.0/0", "::/0"]}]}


# For each type a server, its port, and what the profile says of it.
KINDS = {
    "socks5": (danted, 1080, {}),
    "http": (tinyproxy, 8888, {}),
    "shadowsocks": (lambda host: ss_server(host, METHOD), 8388, {"method": METHOD, "password": PASSWORD}),
    "vmess": (lambda host: v2ray(host, [v2ray_inbound("vmess", VMESS_PORT)]), VMESS_PORT, {"uuid": UUID}),
}


def serve(kind, host):
    return KINDS[kind][0](host)


def proxy(kind, address, name="px", **kw):
    _, port, settings = KINDS[kind]
    return {"name": name, "type": kind, "server": hostport(address, port), **settings, **kw}


def datagrams(it, version, want):
    """An echo from the web through everything, and whom the web has seen."""
    server, app = udp(it.net, WEB[version], 3478), client(it.home, version)
    for word in (b"one", b"two" * 300):
        app.sendto(word, (WEB[version], 3478))
        data, peer = server.recvfrom(2000)
        assert (data, peer[0]) == (word, want)
        server.sendto(b"re: " + data, peer)
        data, peer = app.recvfrom(2000)
        assert (data, peer[:2]) == (b"re: " + word, (WEB[version], 3478))


def no_datagrams(it):
    """They cannot go; the app is told at once."""
    with client(it.home, 4) as app:
        app.connect((WEB4, 3478))
        app.send(b"x")
        with pytest.raises(OSError) as e:
            app.recv(1)
        assert e.value.errno == errno.EHOSTUNREACH


# ---- Inside WireGuard --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_inside_wireguard(lab, kind):
    """The cable shows WireGuard and nothing else; px sees home's address inside the VPN."""
    it = Chained(lab, wireguard=True)
    serve(kind, it.px)
    end = it.run(proxy(kind, PX4, via="wg"), it.wg_interface())
    cable = it.home.capture("to-isp", "ip or ip6")
    at_px = it.px.capture("to-isp", f"ip and dst host {PX4} and not src net 198.18.0.0/15")
    assert it.whoami(WEB4) == PX4 and it.whoami(WEB6) == PX6
    if kind == "http":
        no_datagrams(it)
    else:
        datagrams(it, 4, PX4)
        datagrams(it, 6, PX6)
    it.up_and_down(WEB4, MIB)
    assert sent_from(cable.packets(), HOME4, "2001:db8:2::2") == {("udp", "192.0.2.1", 51820)}
    assert {p["IP"].src for p in at_px.packets()} == {INSIDE4}
    assert not end.faults()


def test_both_ways_at_once_inside_wireguard(lab):
    """danted ends each direction for itself."""
    it = Chained(lab, wireguard=True)
    serve("socks5", it.px)
    it.run(proxy("socks5", PX4, via="wg"), it.wg_interface())
    transfer(it.home, it.net, WEB4, 48 * MIB)
    transfer(it.home, it.net, WEB6, 16 * MIB)


def test_an_ipv6_server_inside_wireguard(lab):
    it = Chained(lab, wireguard=True)
    serve("shadowsocks", it.px)
    it.run(proxy("shadowsocks", PX6, via="wg"), it.wg_interface())
    assert it.whoami(WEB4) == PX4
    datagrams(it, 4, PX4)


def test_the_vpn_goes_silent(lab):
    """Nobody can say why the proxy does not answer, but the app does not wait for ever, and nothing goes
    another way; and all is well when the VPN is back."""
    it = Chained(lab, wireguard=True)
    serve("shadowsocks", it.px)
    end = it.run(proxy("shadowsocks", PX4, via="wg", connect_timeout=Plain("2s")), it.wg_interface())
    assert it.whoami() == PX4
    it.wg.stop()
    cable = it.home.capture("to-isp", "ip or ip6")
    e, took = connect_errno(it.home, WEB4, 80)
    assert e == errno.ECONNREFUSED and 1.5 < took < 15, (e, took)
    assert end.faults()[0].startswith("the proxy does not answer"), end.faults()
    assert sent_from(cable.packets(), HOME4, "2001:db8:2::2") <= {("udp", "192.0.2.1", 51820)}
    it.wg.start()
    wait_for("the way back", lambda: it.home.run(["curl", "-sf", "-m", "3", f"http://{WEB4}/whoami"],
                                                 check=False).returncode == 0, 40, 0.2)


def test_a_reload_takes_the_vpn_away(lab):
    """What went through it ends, and is told; new sessions go as the profile says now."""
    it = Chained(lab, wireguard=True)
    serve("shadowsocks", it.px)
    end = it.run(proxy("shadowsocks", PX4, via="wg"), it.wg_interface())
    server = Server(it.net, echo)
    old = connect(it.home, WEB4, server.port)
    old.sendall(b"x")
    assert old.recv(1) == b"x"
    where = udp_echo(udp(it.net, WEB4))
    app = client(it.home, 4)
    app.sendto(b"x", where)
    assert app.recv(1) == b"x"
    # Named, but not there: the running profile stays.
    whole, end.interfaces = end.interfaces, end.interfaces[:1]
    end.write_profile()
    r = end.cli("reload", check=False)
    assert r.returncode == 1 and "wg" in r.stdout + r.stderr
    old.sendall(b"y")
    assert old.recv(1) == b"y"
    end.interfaces = [proxy("shadowsocks", PX4)]
    end.reload()
    old.settimeout(15)
    with pytest.raises(ConnectionResetError):
        old.sendall(b"z")
        if not old.recv(1):
            raise ConnectionResetError
    assert it.whoami() == PX4
    wait_for("datagrams by the new way", lambda: app.sendto(b"again", where) and silent(app, 0.5), 15)
    # And back into it.
    end.interfaces = whole
    end.reload()
    cable = it.home.capture("to-isp", "tcp")
    assert it.whoami() == PX4 and not cable.packets()


# ---- Behind another proxy ----------------------------------------------------------------------------


CHAINS = [("shadowsocks", "vmess"), ("http", "socks5"), ("http", "vmess"), ("socks5", "shadowsocks"),
          ("shadowsocks", "shadowsocks"), ("socks5", "socks5"), ("vmess", "http"), ("vmess", "shadowsocks"),
          ("http", "shadowsocks")]
# Datagrams of the last one travel in streams (vmess), or as datagrams through one that carries those.
NONE = [c for c in CHAINS if c[0] == "http" and c[1] != "vmess"]


@pytest.mark.parametrize("first,last", CHAINS, ids=lambda x: x)
def test_behind_a_proxy(lab, first, last):
    """The cable shows px alone, px talks to far, and the web sees far."""
    it = Chained(lab)
    serve(first, it.px)
    serve(last, it.far)
    none = {"udp": "reject"} if (first, last) in NONE else {}
    end = it.run(proxy(last, FAR4, "far", via="px", **none), proxy(first, PX4))
    cable = it.home.capture("to-isp", "ip or ip6")
    at_far = it.far.capture("to-isp", f"ip and dst host {FAR4} and not src net 198.18.0.0/15")
    assert it.whoami(WEB4) == FAR4 and it.whoami(WEB6) == FAR6
    if none or last == "http":
        no_datagrams(it)
    else:
        datagrams(it, 4, FAR4)
        datagrams(it, 6, FAR6)
    it.up_and_down(WEB4, MIB)
    assert {d for _, d, _ in sent_from(cable.packets(), HOME4, "2001:db8:2::2")} == {PX4}
    assert {p["IP"].src for p in at_far.packets()} == {PX4}
    assert not end.faults("far") and not end.faults("px")


def test_three_of_them_by_name(lab):
    """px knows far by a name, and far the last one, which runs at px, too; nobody else knows these names."""
    it = Chained(lab, wireguard=True)
    it.px.etc("hosts", f"{FAR4} far.px.example\n198.18.0.77 www.px.example\n")
    it.far.etc("hosts", f"{PX4} last.far.example\n")
    serve("http", it.px)
    serve("shadowsocks", it.far)
    serve("vmess", it.px)
    end = it.run_named(proxy("vmess", "last.far.example", "last", via="far"),
                       proxy("shadowsocks", "far.px.example", "far", via="px", udp="drop"),
                       proxy("http", PX4, "px", via="wg"), it.wg_interface())
    said = it.page("www.px.example", "198.18.5.5")
    assert said["client"] == PX4 and said["address"] == "198.18.0.77"
    for name in ("last", "far", "px"):
        assert not end.faults(name)

def test_the_one_in_the_middle_is_killed(lab):
    """It is `via` that is to be looked at, and that one's own fault says what is wrong there."""
    it = Chained(lab)
    middle = serve("shadowsocks", it.px)
    serve("vmess", it.far)
    end = it.run(proxy("vmess", FAR4, "far", via="px"), proxy("shadowsocks", PX4))
    server = Server(it.net, echo)
    old = connect(it.home, WEB4, server.port)
    old.sendall(b"x")
    assert old.recv(1) == b"x"
    middle.kill(signal.SIGKILL)
    middle.wait(5)
    old.settimeout(10)
    try:
        assert old.recv(1) == b"", "its end, or a reset"
    except ConnectionResetError:
        pass
    e, took = connect_errno(it.home, WEB4, 80)
    assert e == errno.ECONNREFUSED and took < 5, (e, took)
    assert end.faults("far")[-1].startswith("the interface that leads to the proxy cannot carry it")
    assert end.faults("px")[0].startswith("the proxy refuses connections")
    assert [end.interface(x)["fault"] for x in ("far", "px")] == ["via", "refused"]
    serve("shadowsocks", it.px)
    assert it.whoami() == FAR4


def test_the_last_one_is_not_there(lab):
    """The proxy in the middle says so (socks5): no fault of its own, and the last one's is named."""
    it = Chained(lab)
    microsocks(it.px)
    end = it.run(proxy("socks5", FAR4, "far", via="px"), proxy("socks5", PX4))
    e, took = connect_errno(it.home, WEB4, 80)
    assert e == errno.ECONNREFUSED and took < 5, (e, took)
    assert end.faults("far")[0].startswith("the proxy refuses connections")
    assert not end.faults("px")


@pytest.mark.parametrize("faulty", [
    ([("a", "b"), ("b", "a")], "a via b via a"),
    ([("a", "b"), ("b", "c"), ("c", "b")], "b via c via b"),
    ([("a", "a")], "itself"),
    ([("a", "nobody")], "nobody"),
    ([("a", "reject")], "reject"),
    ([(f"i{k}", f"i{k + 1}") for k in range(12)] + [("i12", "direct")], "at most"),
], ids=["two", "inner", "itself", "nobody", "reject", "too-long"])
def test_loops_are_refused(lab, faulty):
    """`check` and `run` say so, and where."""
    chain, want = faulty
    it = ProxyNet(lab, web=False)
    end = it.make(*[proxy("socks5", PX4, name, via=via) for name, via in chain])
    path = end.write_profile()
    r = end.cli("check", "-c", path, check=False)
    said = r.stdout + r.stderr
    assert r.returncode == 1 and want in said and "mint0.yaml:" in said, said
    assert end.cli("run", "-c", path, check=False).returncode == 1


@pytest.mark.parametrize("last", ["socks5", "shadowsocks"])
def test_datagrams_that_nobody_would_carry(lab, last):
    """`udp: proxy` behind an http proxy is an error, not a surprise."""
    it = ProxyNet(lab, web=False)
    end = it.make(proxy(last, FAR4, "far", via="px"), proxy("http", PX4))
    r = end.cli("check", "-c", end.write_profile(), check=False)
    assert r.returncode == 1 and "`via: px` carries none" in r.stdout + r.stderr


def test_many_through_a_chain(lab):
    """200 sessions at once through WireGuard and two proxies, and none left behind."""
    it = Chained(lab, wireguard=True)
    serve("shadowsocks", it.px)
    serve("vmess", it.far)
    end = it.run(proxy("vmess", FAR4, "far", via="px"), proxy("shadowsocks", PX4, via="wg"), it.wg_interface())
    server = Server(it.net, echo, backlog=256)
    socks = [connect(it.home, WEB4, server.port) for _ in range(200)]
    for i, s in enumerate(socks):
        s.sendall(i.to_bytes(4, "big") * 500)
    for i, s in enumerate(socks):
        got = b""
        while len(got) < 2000:
            got += s.recv(2000)
        assert got == i.to_bytes(4, "big") * 500
        s.close()
    wait_for("the end of all", lambda: not [s for s in end.sessions() if s["state"] != "time-wait"], 20)
