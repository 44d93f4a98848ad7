# SPDX-License-Identifier: Apache-2.0
"""SOCKS5: what apps do through Debian's dante-server and microsocks, and what they are told when it cannot be
done. The laboratory is that of proxynet.py.
"""
import concurrent.futures
import errno
import os
import re
import signal
import socket

import pytest

from directnet import BAD, WEB, WEB4, WEB6, Server, connect, connect_errno, echo, read_exactly, reset
from lab import hostport, wait_for
from proxynet import PX4, PX6, ProxyNet, danted, microsocks
from proxyuse import SHORT, kill_under_load, streams
from test_direct_udp import (SECOND, SOL_UDP, UDP_SEGMENT, client, numbered, receive_numbered, silent, udp)
from test_direct_udp import echo as udp_echo
from test_tunnel import transfer
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
PX = {4: PX4, 6: PX6}
WHO = {"username": "alice", "password": "a very good one"}
MIB = 1 << 20
UNREACHABLE = (errno.EHOSTUNREACH, errno.ENETUNREACH)


def socks5(port=1080, name="px", server=PX4, **kw):
    return {"name": name, "type": "socks5", "server": hostport(server, port), **kw}


def serve(it, which, login=False):
    """Starts "danted" or "microsocks" on px."""
    if which == "danted":
        return danted(it.px, users={WHO["username"]: WHO["password"]} if login else None)
    return microsocks(it.px, user=WHO["username"] if login else None, password=WHO["password"])


both = pytest.mark.parametrize("which", ["danted", "microsocks"])


# ---- Sessions ----------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("login", [False, True], ids=["open", "login"])
def test_pages(lab, which, login):
    """The web sees px, for IPv4 and IPv6."""
    it = ProxyNet(lab)
    serve(it, which, login)
    end = it.run(socks5(**(WHO if login else {})))
    assert it.whoami(WEB4) == PX4 and it.whoami(WEB6) == PX6
    assert not end.faults()


def test_a_server_with_an_ipv6_address(lab):
    it = ProxyNet(lab)
    danted(it.px)
    it.run(socks5(server=PX6))
    assert it.whoami(WEB4) == PX4 and it.whoami(WEB6) == PX6


@both
def test_credentials_that_nobody_asks_for(lab, which):
    it = ProxyNet(lab)
    serve(it, which)
    end = it.run(socks5(**WHO))
    assert it.whoami() == PX4 and not end.faults()


@both
@pytest.mark.parametrize("login", [{}, {**WHO, "password": "a wrong one"}, {**WHO, "username": "bob"}],
                         ids=["none", "password", "user"])
def test_wrong_credentials(lab, which, login):
    """The app's connection is reset at once, nobody is asked for anything, and the log says why."""
    it = ProxyNet(lab)
    serve(it, which, login=True)
    end = it.run(socks5(**login))
    web = it.net.capture("to-isp", "tcp")
    for address in (WEB4, WEB6):
        e, took = connect_errno(it.home, address, 80)
        assert e == errno.ECONNREFUSED and took < 9, (e, took)
    said, = end.faults()[:1]
    assert said == "the proxy wants another user or password; look at `username` and `password`"
    i = end.interface()
    assert (i["state"], i["fault"], i["fault_hint"]) == ("failing", "credentials", "look at `username` and `password`"), i
    assert not web.packets(), "somebody has asked the web"


@both
@pytest.mark.parametrize("version", [4, 6])
def test_what_is_wrong_with_a_target(lab, which, version):
    """Refused is refused, and unreachable unreachable: the app is told what the proxy says, at once; and it
    is no fault of the proxy, which goes on."""
    it = ProxyNet(lab)
    serve(it, which)
    end = it.run(socks5())
    e, took = connect_errno(it.home, WEB[version], 81)
    assert e == errno.ECONNREFUSED and took < 5, (e, took)
    for kind in ("unreachable", "no route"):
        e, took = connect_errno(it.home, BAD[kind][version == 6], 80)
        assert e in UNREACHABLE and took < 5, (kind, e, took)
    assert it.whoami(WEB[version]) == PX[version]
    i = end.interface()
    assert (i["state"], i["fault"]) == ("up", None) and not end.faults(), i


@pytest.mark.parametrize("version", [4, 6])
def test_a_target_that_is_forbidden(lab, version):
    """danted's rules forbid the port. Linux knows no better word for IPv4's "administratively prohibited"."""
    it = ProxyNet(lab)
    danted(it.px, more="socks block { from: 0/0 to: 0/0 port = 23 }")
    end = it.run(socks5())
    e, took = connect_errno(it.home, WEB[version], 23)
    assert e == (errno.EHOSTUNREACH if version == 4 else errno.EACCES) and took < 5, (e, took)
    assert it.whoami(WEB[version]) == PX[version]
    i = end.interface()
    assert (i["state"], i["fault"]) == ("up", None) and not end.faults(), i


def test_a_target_that_does_not_answer(lab):
    """danted gives up after a second; the app is told nothing, as if it had asked itself, and asks again."""
    it = ProxyNet(lab)
    danted(it.px, more="timeout.connect: 1")
    end = it.run(socks5())
    cable = it.px.capture("to-isp", "tcp and dst host " + BAD["blackhole"][0])
    e, _ = connect_errno(it.home, BAD["blackhole"][0], 80, 8)
    assert e == errno.ETIMEDOUT
    assert len({p["TCP"].sport for p in cable.packets()}) >= 2
    assert it.whoami() == PX4 and not end.faults()


def test_a_proxy_that_is_not_there(lab):
    """Nobody listens: connections are refused. Then somebody does."""
    it = ProxyNet(lab)
    end = it.run(socks5())
    e, took = connect_errno(it.home, WEB4, 80)
    assert e == errno.ECONNREFUSED and took < 5, (e, took)
    assert end.faults() == [f"the proxy refuses connections ({PX4}:1080); is the port of `server` right, "
                            "and the server up?"]
    microsocks(it.px)
    wait_for("a good word, of each worker", lambda: it.whoami() == PX4 and "px: the proxy works again"
             in end.proc.log())


@pytest.mark.parametrize("kind", ["silent", "http", "noise", "method", "cut"])
def test_not_a_socks_server(lab, kind):
    """Something else listens there: every app is refused, with a reason; and nobody hangs."""
    say = {"silent": None, "http": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
           "noise": bytes(range(200, 256)) * 20, "method": b"\5\1", "cut": b"\5"}[kind]
    want = {"silent": "takes our bytes and says nothing", "http": "answers as a web server does",
            "noise": "breaks its protocol", "method": "breaks its protocol",
            "cut": "closes the connection before it has answered"}[kind]
    it = ProxyNet(lab)

    def handle(sock):
        sock.recv(100)
        if say is None:
            sock.recv(1)
        else:
            sock.sendall(say)
    Server(it.px, handle, port=1080)
    end = it.run(socks5(connect_timeout=Plain("2s")))
    e, took = connect_errno(it.home, WEB4, 80)
    assert e == errno.ECONNREFUSED and took < 20, (e, took)
    assert want in end.faults()[0], end.faults()


@both
def test_names_go_as_names(lab, which):
    """The app's resolver lives in a world of its own; the proxy asks its own, here /etc/hosts, and finds the web
    at another address, once of the other family."""
    it = ProxyNet(lab)
    it.px.etc("hosts", "198.18.0.77 four.px.example\n2001:db8:99::77 six.px.example\n")
    serve(it, which)
    it.run_named(socks5())
    for name, at in (("four.px.example", "198.18.0.77"), ("six.px.example", "2001:db8:99::77")):
        for there in ("198.18.5.5", "2001:db8:99::55"):
            said = it.page(name, there)
            assert said["address"] == at and said["client"] in (PX4, PX6), said
    r = it.home.run(["curl", "-gsS", "-m", "10", "--resolve", "none.px.example:80:198.18.5.5",
                     "http://none.px.example/"], check=False)
    assert r.returncode in (52, 56), "px knows no such name: reset, not silent"


@both
@pytest.mark.parametrize("version", [4, 6])
def test_traffic(lab, which, version):
    """48 MiB each way, sums compared; at once, but microsocks blocks in one direction."""
    it = ProxyNet(lab)
    serve(it, which, login=True)
    it.run(socks5(**WHO))
    if which == "danted":
        transfer(it.home, it.net, WEB[version], 48 * MIB)
    else:
        it.up_and_down(WEB[version], 48 * MIB)


@both
def test_many_sessions(lab, which):
    """200 that are all open at once, each with bytes of its own."""
    it = ProxyNet(lab)
    serve(it, which)
    end = it.run(socks5())
    server = Server(it.net, echo, backlog=256)
    socks = [connect(it.home, WEB4, server.port) for _ in range(200)]
    assert len([s for s in end.sessions() if s["interface"] == "px"]) == 200

    def use(i):
        data = bytes([i]) * 20_000 + i.to_bytes(4, "big")
        socks[i].sendall(data)
        return read_exactly(socks[i], len(data)) == data
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(use, range(200)))
    for s in socks[:100]:
        s.close()
    for s in socks[100:]:
        reset(s)
    wait_for("the end of all sessions", lambda: not [
        s for s in end.sessions() if s["state"] not in ("time-wait", "app-closed")], 20)


@both
def test_ends(lab, which):
    """An end is an end and a reset a reset, in both directions, and half of a connection can go on."""
    it = ProxyNet(lab)
    serve(it, which)
    it.run(socks5())
    server = Server(it.net)
    mine = connect(it.home, WEB4, server.port)
    theirs = server.accept()
    mine.sendall(b"question")
    if which == "danted":       # microsocks ends both directions when one does
        mine.shutdown(socket.SHUT_WR)
        assert read_exactly(theirs, 8) == b"question" and theirs.recv(1) == b""
        theirs.sendall(b"answer")
        theirs.close()
        assert read_exactly(mine, 6) == b"answer" and mine.recv(1) == b""
    else:
        assert read_exactly(theirs, 8) == b"question"
        theirs.sendall(b"answer")
        theirs.close()
        assert read_exactly(mine, 6) == b"answer" and mine.recv(1) == b""
    mine = connect(it.home, WEB4, server.port)
    theirs = server.accept()
    mine.sendall(b"x")
    assert theirs.recv(1) == b"x"
    reset(mine)
    with pytest.raises(ConnectionResetError):
        if not theirs.recv(1):
            raise ConnectionResetError("the proxy makes an end of it")


def test_the_server_is_killed(lab):
    """Every app hears of it at once; the sessions after it is back go on as before."""
    it = ProxyNet(lab)
    proxy = microsocks(it.px)
    it.run(socks5())
    server = Server(it.net, echo)
    socks = [connect(it.home, WEB4, server.port) for _ in range(20)]
    for s in socks:
        s.sendall(b"x")
        assert s.recv(1) == b"x"
    proxy.stop()
    for s in socks:
        s.settimeout(5)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
    microsocks(it.px)
    assert it.whoami() == PX4


def test_the_server_is_killed_under_load(lab):
    it = ProxyNet(lab)
    proc = microsocks(it.px)
    end = it.run(socks5(**SHORT))
    kill_under_load(it, end, [proc], lambda: [microsocks(it.px)])


@both
def test_iperf(lab, which):
    it = ProxyNet(lab)
    serve(it, which)
    streams(it, it.run(socks5()), 4)


# ---- Datagrams ---------------------------------------------------------------------------------------


def with_dns(it, zone):
    it.net.popen(["dnsmasq", "-k", "-C", "/dev/null", "-u", "root", "-R", "-h", "-p", "53", "-x", "/run/dns.pid",
                  *[f"--address=/{n}/{a}" for n, a in zone.items()]], "dnsmasq")
    wait_for("dnsmasq", lambda: it.net.listening(53, "udp"))


@pytest.mark.parametrize("login", [False, True], ids=["open", "login"])
@pytest.mark.parametrize("version", [4, 6])
def test_datagrams(lab, version, login):
    """UDP ASSOCIATE: dig; one port of an app and several remotes, each answer from the one who gave it; a full
    cone; all sizes."""
    it = ProxyNet(lab)
    serve(it, "danted", login)
    end = it.run(socks5(**(WHO if login else {})))
    with_dns(it, {"www.example.net": "203.0.113.80"})
    cable = it.home.capture("to-isp", "udp")
    for _ in range(3):
        out = it.home.out(f"dig @{WEB[version]} +short +tries=1 +time=5 www.example.net")
        assert out.split() == ["203.0.113.80"]
    app = client(it.home, version)
    remotes = [udp(it.net, WEB[version], 3478), udp(it.net, SECOND[version], 3479),
               udp(it.net, SECOND[version], 4000)]
    for _ in range(2):
        for r in remotes:
            app.sendto(b"who am I?", r.getsockname()[:2])
            data, peer = r.recvfrom(100)
            assert data == b"who am I?" and peer[0] == PX[version]
            r.sendto(b"you", peer)
            assert app.recvfrom(100)[1][:2] == r.getsockname()[:2]
    stranger = udp(it.net, SECOND[version], 5001)       # a full cone: nobody has spoken to it
    stranger.sendto(b"hello", peer)
    assert app.recvfrom(100)[1][:2] == stranger.getsockname()[:2]
    where = udp_echo(udp(it.net, WEB[version]))
    for size in (0, 1, 1000, 1472, 1473, 8000, 60000):
        data = bytes(i * 7 % 251 for i in range(size))
        app.sendto(data, where)
        assert app.recv(65535) == data, size
    assert not end.faults()
    assert {p["IP"].dst for p in cable.packets() if p["IP"].src == "192.0.2.2"} == {PX4}


def test_super_packets(lab):
    """UDP_SEGMENT, as QUIC uses it: whole and in order."""
    it = ProxyNet(lab)
    danted(it.px)
    it.run(socks5())
    server, app = udp(it.net, WEB4, 4433), client(it.home, 4)
    app.setsockopt(SOL_UDP, UDP_SEGMENT, 1200)
    for k in range(20):
        app.sendto(numbered(k * 20, 20, 1200), (WEB4, 4433))
        assert receive_numbered(server, 20, 1200) == list(range(k * 20, k * 20 + 20))


def test_an_association_that_ends(lab):
    """The server is gone and comes back: the next datagram opens another association, on the same port of the
    app."""
    it = ProxyNet(lab)
    proxy = danted(it.px)
    it.run(socks5())
    where = udp_echo(udp(it.net, WEB4))
    app = client(it.home, 4)

    def answered(word):
        app.sendto(word, where)
        got = silent(app, 1)
        return got and got[0] == word
    assert answered(b"one")
    for word in (b"two", b"three"):
        os.killpg(proxy.pid, signal.SIGKILL)        # it is several processes
        assert not answered(b"lost")
        proxy = danted(it.px)
        wait_for("an answer", lambda: answered(word), 20)


def test_a_proxy_without_datagrams(lab):
    """microsocks has no UDP ASSOCIATE: the app is told, so that a browser takes TCP instead of QUIC at once."""
    it = ProxyNet(lab)
    microsocks(it.px)
    end = it.run(socks5())
    udp_echo(udp(it.net, WEB4, 4433))
    for _ in range(3):
        with client(it.home, 4) as app:
            app.connect((WEB4, 4433))
            app.send(b"x")
            with pytest.raises(OSError) as e:
                app.recv(1)
            assert e.value.errno == errno.EHOSTUNREACH, "administratively prohibited"
    assert end.faults()[0] == "the proxy does not carry this kind of session; set `udp`, or ask who runs it"
    assert end.interface()["fault"] == "command"
    assert it.whoami() == PX4
    said = end.cli("why", WEB4).stdout
    # each worker has to find out
    assert re.search(r"up; refused [1-3] times?: the proxy does not carry this kind of session\n +set `udp`", said)
    assert end.json("why", WEB4)["proxy_fault"] == "command"


@pytest.mark.parametrize("how", ["direct", "drop", "reject"])
def test_what_becomes_of_datagrams(lab, how):
    """`udp` for a proxy that could carry them."""
    it = ProxyNet(lab)
    danted(it.px)
    end = it.run(socks5(udp=how))
    server = udp(it.net, WEB4, 4433)
    app = client(it.home, 4)
    app.connect((WEB4, 4433))
    app.send(b"x")
    if how == "direct":
        assert server.recvfrom(10)[1][0] == "192.0.2.2"
        return
    assert silent(server) is None
    if how == "reject":
        with pytest.raises(OSError) as e:
            app.recv(1)
        assert e.value.errno == errno.EHOSTUNREACH
    else:
        assert silent(app) is None
        assert end.drops()["policy-drop"] == 1
