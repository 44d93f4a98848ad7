# SPDX-License-Identifier: Apache-2.0
"""Trojan: what apps do through Debian's trojan (trojan-gfw) and through v2ray, with TLS and with a WebSocket in
it. The laboratory is that of proxynet.py.
"""
import errno
import json
import os
import time

import pytest

from directnet import WEB4, Server, connect, read_all, read_exactly
from lab import bench_program, hostport, wait_for
from proxynet import NAME, PASSWORD, PX4, PX6, ProxyNet, nginx, trojan, v2ray, v2ray_inbound
from proxyuse import (DNS, ELSEWHERE, RIGHT, SHORT, dig, film, kill_under_load, know_names, late_answer, one_socket,
                      page, serve_names, sizes)
from test_direct_udp import udp
from test_tunnel import transfer
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
MIB = 1 << 20
WAYS = ["gfw", "v2ray-tls", "v2ray-wss", "v2ray-nginx"]
ways = pytest.mark.parametrize("way", WAYS)


def web_site(host):
    """Whoever does not know trojan's password is a visitor here."""
    conf = host.lab.path("site.conf")
    with open(conf, "w") as f:
        f.write("daemon off; master_process off; pid /run/site.pid; error_log stderr; events {}\n"
                'http { access_log off; server { listen 127.0.0.1:80; return 200 "a web site"; } }\n')
    host.popen(["nginx", "-c", conf, "-p", "/run"], "nginx")
    wait_for("the web site", lambda: host.listening(80))


def serve(it, way):
    """The server that this way leads to."""
    tls = it.certificate()
    if way == "gfw":
        web_site(it.px)
        return trojan(it.px, tls)
    if way == "v2ray-nginx":
        nginx(it.px, tls)
        return v2ray(it.px, [v2ray_inbound("trojan", 10000, net="ws", path="/ray")])
    net = {"v2ray-tls": "tcp", "v2ray-wss": "ws"}[way]
    return v2ray(it.px, [v2ray_inbound("trojan", 443, net=net, path="/ray", tls=tls)])


def interface(it, way, *, server=PX4, **kw):
    i = {"name": "px", "type": "trojan", "server": hostport(server, 443), "password": PASSWORD,
         "tls": {"server_name": NAME, "ca_file": it.certificate()[2]}}
    if way in ("v2ray-wss", "v2ray-nginx"):
        i["websocket"] = {"path": "/ray"}
    return i | kw


def start(lab, way, *, sections=None, **kw):
    it = ProxyNet(lab)
    serve(it, way)
    return it, it.run(interface(it, way, **kw), sections=sections)


# ---- Sessions ----------------------------------------------------------------------------------------


@ways
def test_pages_and_films(lab, way):
    it, end = start(lab, way)
    for version in (4, 6):
        page(it, version)
        film(it, version)
    assert not end.faults()


def test_a_server_with_an_ipv6_address(lab):
    it, end = start(lab, "gfw", server=PX6)
    page(it, 4)
    page(it, 6)
    assert not end.faults()


@ways
def test_names_go_as_names(lab, way):
    """The server finds the address of a name that is shown by itself."""
    it = ProxyNet(lab)
    know_names(it)
    serve(it, way)
    end = it.run_named(interface(it, way), sections={"dns": DNS})
    serve_names(it)
    for name, version in (("four", 4), ("six", 6)):
        for elsewhere in ELSEWHERE.values():
            said = it.page(name + ".px.example", elsewhere)
            assert said["address"] == RIGHT[version] and said["client"] in (PX4, PX6), said
    assert it.whoami() != PX4 and not end.faults()


def test_many_sessions(lab):
    it, end = start(lab, "gfw")
    program = bench_program("sockbench")
    it.net.popen([program, "serve", "198.18.0.1", 7000, 16], "serve")
    wait_for("the server", lambda: it.net.listening(7015))
    r = it.home.run([program, "sessions", WEB4, 7000, 16, 300, 2, 3.9], input="\n\n", timeout=100)
    opened, active = [json.loads(x) for x in r.stdout.splitlines()]
    assert opened["count"] == 300 and not opened["lost"], opened
    assert active["count"] >= 580 and not active["lost"], active
    assert not end.faults()


# ---- The end -----------------------------------------------------------------------------------------


@ways
def test_half_close_by_the_app_first(lab, way):
    """The app has said all; the answer takes its time, and comes in two parts. trojan would end both directions
    at once if it were told."""
    it, end = start(lab, way)
    late_answer(it, 100_000, 300_000)
    assert not end.faults()


@ways
def test_ends_arrive(lab, way):
    """The target's end is the app's, with all before it; and the app's end reaches the target."""
    it, end = start(lab, way)
    motd = os.urandom(400_000)
    with connect(it.home, WEB4, Server(it.net, lambda sock: sock.sendall(motd)).port) as mine:
        assert read_all(mine) == motd
    server = Server(it.net)
    mine = connect(it.home, WEB4, server.port)
    mine.sendall(b"question")
    theirs = server.accept()
    assert read_exactly(theirs, 8) == b"question"
    mine.close()
    try:
        assert theirs.recv(1) == b""
    except ConnectionResetError:
        pass
    theirs.close()
    wait_for("the sessions' end", lambda: not [s for s in end.sessions() if s["state"] != "time-wait"], 20)
    assert not end.faults()


# ---- Datagrams ---------------------------------------------------------------------------------------


@ways
def test_datagrams(lab, way):
    """dig; datagrams of all sizes that the server carries (v2ray: 1 to 2032); one socket and several remotes."""
    it, end = start(lab, way)
    serve_names(it)
    for version in (4, 6):
        dig(it, version)
        dig(it, version, "+tcp")
        sizes(it, version, [1, 2, 100, 512, 1200, 1472, 1473, 1500, 1900] + ([0, 8192] if way == "gfw" else []))
        one_socket(it, version)
    assert not end.faults()


@pytest.mark.parametrize("version", [4, 6])
def test_full_cone(lab, version):
    """trojan has one mapping for all remotes of a socket, and who was never spoken to may answer, too."""
    it, end = start(lab, "gfw")
    servers, app, seen = one_socket(it, version)
    assert len(set(seen)) == 1
    stranger = udp(it.net, servers[1].getsockname()[0], 5001)
    stranger.sendto(b"hello", seen[0])
    data, peer = app.recvfrom(100)
    assert data == b"hello" and peer[:2] == stranger.getsockname()[:2]
    app.sendto(b"hello yourself", peer[:2])
    assert stranger.recvfrom(100)[0] == b"hello yourself"
    assert not end.faults()


# ---- What is wrong -----------------------------------------------------------------------------------


def asks(it):
    """What becomes of an app that asks for a page: an errno, or 0 and the answer; and how long that took."""
    start_at = time.monotonic()
    answer = b""
    try:
        with connect(it.home, WEB4, 80, 20) as s:
            s.sendall(b"GET /whoami HTTP/1.0\r\n\r\n")
            answer = read_all(s)
        e = 0 if answer else errno.ECONNRESET
    except TimeoutError:
        e = errno.ETIMEDOUT
    except OSError as err:
        e = err.errno
    return e, answer, time.monotonic() - start_at


@pytest.mark.parametrize("way", ["v2ray-tls", "v2ray-wss"])
def test_wrong_password_at_v2ray(lab, way):
    """It closes: the app is reset."""
    it, end = start(lab, way, password="a wrong one", first_byte_timeout=Plain("3s"))
    e, _, took = asks(it)
    assert e == errno.ECONNRESET and took < 8, (e, took)
    assert "password" in wait_for("a word about it", end.faults)[0]


def test_wrong_password_at_trojan(lab):
    """It takes us for a visitor of its web site, which has something to say. An app that speaks TLS must not
    hear that."""
    it, end = start(lab, "gfw", password="a wrong one", first_byte_timeout=Plain("3s"))
    r = it.home.run(["curl", "-gksS", "-m", "20", f"https://{WEB4}/"], check=False)
    assert r.returncode == 35, r
    said = wait_for("a word about it", end.faults)[0]
    assert "answers as a web server does" in said and "password" in said


def test_the_server_is_killed(lab):
    """Whoever is connected hears of it, and new sessions go on as soon as it is back."""
    it = ProxyNet(lab)
    proc = serve(it, "gfw")
    it.run(interface(it, "gfw"))
    server = Server(it.net)
    with connect(it.home, WEB4, server.port) as mine:
        mine.sendall(b"x")
        server.accept()
        proc.kill(9)
        mine.settimeout(10)
        try:
            assert mine.recv(1) == b""
        except ConnectionResetError:
            pass
    trojan(it.px, it.certificate())
    page(it, 4)


def test_the_server_is_killed_under_load(lab):
    it = ProxyNet(lab)
    proc = serve(it, "gfw")
    end = it.run(interface(it, "gfw", **SHORT))
    kill_under_load(it, end, [proc], lambda: [trojan(it.px, it.certificate())])


@pytest.mark.slow
@pytest.mark.parametrize("way", ["gfw", "v2ray-wss"])
def test_a_long_transfer(lab, way):
    """A gigabyte down and up again, sums compared."""
    it, end = start(lab, way)
    it.up_and_down(WEB4, 1 << 30)
    assert not end.faults()


def test_both_ways_at_once(lab):
    it, end = start(lab, "v2ray-tls")
    transfer(it.home, it.net, WEB4, 48 * MIB)
    assert not end.faults()
