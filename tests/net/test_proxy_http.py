# SPDX-License-Identifier: Apache-2.0
"""HTTP proxies: what apps do through CONNECT, with Debian's tinyproxy, in clear and in TLS; and what becomes of
datagrams, which it cannot carry. The laboratory is that of proxynet.py.
"""
import concurrent.futures
import errno

import pytest

from directnet import BAD, HOME4, HOME6, WEB, WEB4, WEB6, Server, connect, connect_errno, echo, read_exactly
from lab import hostport, wait_for
from proxynet import NAME, PX4, PX6, ProxyNet, tinyproxy, tls_front
from proxyuse import SHORT, kill_under_load, streams
from test_direct_udp import client, silent, udp
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
PX = {4: PX4, 6: PX6}
HOME = {4: HOME4, 6: HOME6}
WHO = {"username": "alice", "password": "agoodone"}
MIB = 1 << 20


def http(port=8888, name="px", server=PX4, **kw):
    return {"name": name, "type": "http", "server": hostport(server, port), **kw}


def serve(it, login=False, **kw):
    return tinyproxy(it.px, **({"user": WHO["username"], "password": WHO["password"]} if login else {}), **kw)


def serve_in_tls(it, login=False):
    """The same at port 8443 in TLS. Returns nginx, that does this, and the CA that has signed for it."""
    serve(it, login)
    cert, key, ca = it.certificate()
    return tls_front(it.px, (cert, key)), ca


def connections(front):
    """What nginx says of the connections that are over."""
    with open(front.access) as f:
        return f.read().splitlines()


# ---- Sessions ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("login", [False, True], ids=["open", "login"])
def test_pages(lab, login):
    it = ProxyNet(lab)
    serve(it, login)
    end = it.run(http(**(WHO if login else {})))
    assert it.whoami(WEB4) == PX4 and it.whoami(WEB6) == PX6
    assert not end.faults()


@pytest.mark.parametrize("login", [{}, {**WHO, "password": "awrongone"}, {**WHO, "username": "bob"}],
                         ids=["none", "password", "user"])
def test_wrong_credentials(lab, login):
    it = ProxyNet(lab)
    serve(it, login=True)
    end = it.run(http(**login))
    web = it.net.capture("to-isp", "tcp")
    for address in (WEB4, WEB6):
        e, took = connect_errno(it.home, address, 80)
        assert e == errno.ECONNREFUSED and took < 9, (e, took)
    status = 401 if login else 407      # tinyproxy's ideas
    assert end.faults()[0] == f"the proxy wants another user or password (status {status}); look at `username` and `password`"
    i = end.interface()
    assert (i["state"], i["fault"], i["fault_detail"]) == ("failing", "credentials", f"status {status}"), i
    assert not web.packets(), "somebody has asked the web"


@pytest.mark.parametrize("version", [4, 6])
def test_what_is_wrong_with_a_target(lab, version):
    """A status says less than SOCKS5 does: only what is forbidden is told apart. None of it is the proxy's
    fault."""
    it = ProxyNet(lab)
    serve(it, ports=[80, 81])
    end = it.run(http())
    for address, port in ((WEB[version], 81), (BAD["unreachable"][version == 6], 80)):
        e, took = connect_errno(it.home, address, port)
        assert e == errno.ECONNREFUSED and took < 5, (address, e, took)
    e, took = connect_errno(it.home, WEB[version], 22)
    assert e == (errno.EHOSTUNREACH if version == 4 else errno.EACCES) and took < 5, (e, took)
    assert it.whoami(WEB[version]) == PX[version]
    i = end.interface()
    assert (i["state"], i["fault"]) == ("up", None) and not end.faults(), i


def test_not_a_proxy(lab):
    """A web server listens there: it has no such method."""
    it = ProxyNet(lab)
    it.px.http_server(8888)
    end = it.run(http())
    e, took = connect_errno(it.home, WEB4, 80)
    assert e == errno.ECONNREFUSED and took < 5, (e, took)
    assert end.faults()[0].startswith("the server answers as a web server does (status 501); "), end.faults()


def test_names_go_as_names(lab):
    """tinyproxy finds the web at another address than the app has."""
    it = ProxyNet(lab)
    it.px.etc("hosts", "198.18.0.77 www.px.example\n")
    serve(it)
    it.run_named(http())
    for there in ("198.18.5.5", "2001:db8:99::55"):
        assert it.page("www.px.example", there)["address"] == "198.18.0.77"
    assert it.page("www.other.example", "198.18.5.5")["client"] == HOME4


@pytest.mark.parametrize("version", [4, 6])
def test_traffic(lab, version):
    it = ProxyNet(lab)
    serve(it, login=True)
    it.run(http(**WHO))
    it.up_and_down(WEB[version], 48 * MIB)


def test_iperf(lab):
    it = ProxyNet(lab)
    serve(it)
    streams(it, it.run(http()), 4)


def test_the_server_is_killed_under_load(lab):
    it = ProxyNet(lab)
    proc = serve(it)
    kill_under_load(it, it.run(http(**SHORT)), [proc], lambda: [serve(it)])


def many(it, end, count):
    """Sessions that are all open at once, each with bytes of its own."""
    server = Server(it.net, echo, backlog=256)
    socks = [connect(it.home, WEB4, server.port) for _ in range(count)]
    assert len([s for s in end.sessions() if s["interface"] == "px"]) == count

    def use(i):
        data = bytes([i]) * 20_000 + i.to_bytes(4, "big")
        socks[i].sendall(data)
        return read_exactly(socks[i], len(data)) == data
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(use, range(count)))
    for s in socks:
        s.close()
    wait_for("the end of all sessions", lambda: not [
        s for s in end.sessions() if s["state"] not in ("time-wait", "app-closed")], 20)


def test_many_sessions(lab):
    it = ProxyNet(lab)
    serve(it)
    many(it, it.run(http()), 200)


def test_a_server_that_speaks_first(lab):
    """Its first words may come together with the proxy's answer."""
    it = ProxyNet(lab)
    serve(it)
    it.run(http())
    server = Server(it.net, lambda s: (s.sendall(b"220 hello\r\n"), s.recv(1)))
    for _ in range(20):
        with connect(it.home, WEB4, server.port) as s:
            assert read_exactly(s, 11) == b"220 hello\r\n"


# ---- In TLS ------------------------------------------------------------------------------------------


def test_in_tls(lab):
    """An HTTPS proxy: credentials and names in nobody's sight."""
    it = ProxyNet(lab)
    front, ca = serve_in_tls(it, login=True)
    end = it.run_named(http(8443, **WHO, tls={"server_name": NAME, "ca_file": ca}))
    it.px.etc("hosts", "198.18.0.77 www.px.example\n")
    cable = it.home.capture("to-isp", "tcp")
    assert it.page("www.px.example", "198.18.5.5")["client"] == PX4
    wait_for("nginx's line", lambda: connections(front))
    assert connections(front) == [f"127.0.0.1:8888 {NAME} http/1.1"] and not end.faults()
    packets = cable.packets()
    assert packets and not [p for p in packets if b"px.example\r" in bytes(p) or b"CONNECT" in bytes(p)]


def test_traffic_in_tls(lab):
    it = ProxyNet(lab)
    _, ca = serve_in_tls(it)
    end = it.run(http(8443, tls={"server_name": NAME, "ca_file": ca}))
    it.up_and_down(WEB4, 16 * MIB)
    many(it, end, 50)


def test_the_wrong_certificate(lab):
    """Signed by somebody else: neither name nor password leaves."""
    it = ProxyNet(lab)
    front, _ = serve_in_tls(it, login=True)
    end = it.run(http(8443, **WHO, tls={"server_name": NAME}))
    e, took = connect_errno(it.home, WEB4, 80)
    assert e == errno.ECONNREFUSED and took < 5, (e, took)
    assert end.faults()[0].startswith("the proxy's certificate is not good"), end.faults()
    wait_for("nginx's line", lambda: connections(front))
    assert {line.split()[0] for line in connections(front)} == {"-"}, "tinyproxy was asked"


def test_one_of_both_speaks_tls(lab):
    """A reason, and no app that hangs. tinyproxy goes on waiting for the end of a line."""
    it = ProxyNet(lab)
    _, ca = serve_in_tls(it)
    end = it.run(http(8443), http(8888, "other", tls={"server_name": NAME, "ca_file": ca},
                                  connect_timeout=Plain("2s")),
                 routes=[{"cidr": WEB4 + "/32", "to": "px"}, {"cidr": "0.0.0.0/0", "to": "other"}])
    for address in (WEB4, "198.18.0.2"):
        e, took = connect_errno(it.home, address, 80)
        assert e == errno.ECONNREFUSED and took < 9, (e, took)
    assert end.faults("px")[0].startswith("the proxy closes the connection before it has answered")
    assert end.faults("other")[0].startswith("TLS has failed")


# ---- What it cannot carry ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [None, "reject", "drop", "direct"])
@pytest.mark.parametrize("version", [4, 6])
def test_datagrams(lab, version, how):
    """`udp`: the app is told, which is what happens unless something else is said; nothing happens, and it is
    counted; the web sees home's address."""
    it = ProxyNet(lab)
    serve(it)
    end = it.run(http(**({"udp": how} if how else {})))
    server = udp(it.net, WEB[version], 4433)
    app = client(it.home, version)
    app.connect((WEB[version], 4433))
    app.send(b"question")
    if how == "direct":
        data, peer = server.recvfrom(100)
        assert data == b"question" and peer[0] == HOME[version]
        server.sendto(b"answer", peer)
        assert app.recv(100) == b"answer"
        session, = [s for s in end.sessions() if s["proto"] == "udp"]
        assert session["interface"] == "px", "where the route leads"
    elif how == "drop":
        assert silent(app) is None and end.drops()["policy-drop"] == 1
        app.send(b"again")
        assert silent(app) is None and end.drops()["policy-drop"] == 2
    else:
        with pytest.raises(OSError) as e:
            app.recv(1)
        assert e.value.errno == (errno.EHOSTUNREACH if version == 4 else errno.EACCES)
    if how != "direct":
        assert silent(server) is None, "it has come to the web all the same"
    assert it.whoami(WEB[version]) == PX[version]


def test_echo(lab):
    """Pings are never carried: the app is told."""
    it = ProxyNet(lab)
    serve(it)
    it.run(http())
    for address in (WEB4, WEB6):
        r = it.home.run(["ping", "-n", "-c", "1", "-W", "3", address], check=False)
        assert r.returncode == 1 and ("filtered" in r.stdout or "prohibited" in r.stdout), r.stdout
