# SPDX-License-Identifier: Apache-2.0
"""Shadowsocks with Debian's ss-server: what apps do through it, over TCP and UDP, plain and behind plugins.
What goes wrong is in test_proxy_ss_faults.py. The laboratory is that of proxynet.py.
"""
import json
import os

import pytest

from directnet import QUESTION, WEB, WEB4, Server, ask_and_end, read_all, read_exactly
from lab import bench_program, hostport, wait_for
from proxynet import NAME, PASSWORD, PX4, PX6, SS_METHODS, ProxyNet, ss_server
from proxyuse import ELSEWHERE, RIGHT, dig, know_names, one_socket, page, serve_names, sizes, streams
from test_direct_udp import SECOND, bursts, client, udp
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
MIB = 1 << 20
methods = pytest.mark.parametrize("method", SS_METHODS)


def shadowsocks(port=8388, name="px", server=PX4, method=SS_METHODS[0], password=PASSWORD, **kw):
    return {"name": name, "type": "shadowsocks", "server": hostport(server, port), "method": method,
            "password": password, **kw}


def start(lab, method=SS_METHODS[0], **kw):
    """The laboratory, a server, and MintFlow that sends everything to it."""
    it = ProxyNet(lab)
    ss_server(it.px, method)
    return it, it.run(shadowsocks(method=method, **kw))


# ---- TCP ---------------------------------------------------------------------------------------------


@methods
def test_pages_and_films(lab, method):
    """Of both versions, down and up; and the web sees the proxy."""
    it, end = start(lab, method)
    for version in (4, 6):
        page(it, version)
        it.up_and_down(WEB[version], 48 * MIB)
    assert not end.faults()


def test_a_server_with_an_ipv6_address(lab):
    it, end = start(lab, server=PX6)
    page(it, 4)
    page(it, 6)
    assert not end.faults()


def test_names_go_as_names(lab):
    """px knows other addresses for a name than home does."""
    it = ProxyNet(lab)
    know_names(it)
    ss_server(it.px)
    end = it.run_named(shadowsocks())
    for version, name in ((4, "four.px.example"), (6, "six.px.example")):
        assert it.page(name, ELSEWHERE[version])["address"] == RIGHT[version]
    assert not end.faults()


@pytest.mark.parametrize("version", [4, 6])
def test_iperf(lab, version):
    """Streams that the server resets at their end, on which it has never said a byte, are no fault of it; and
    while it is slower than the apps these are told to wait, rather than to send what is let go: of a hundred
    packets at most one."""
    it, end = start(lab)
    streams(it, end, version)
    nodes = end.json("show", "nodes")
    taken = sum(n["packets"] for n in nodes["nodes"] if n["node"] == "tun-input")
    assert end.drops().get("tcp-budget", 0) < taken / 100


@pytest.mark.slow
def test_a_long_transfer(lab):
    """SHA-256 of what came is that of what went: a gigabyte each way."""
    it, end = start(lab)
    it.up_and_down(WEB4, 1 << 30)
    assert not end.faults()


def test_a_thousand_sessions(lab):
    """Opened, idle, each asked twice, closed: none lost."""
    it, end = start(lab)
    program = bench_program("sockbench")
    it.net.popen([program, "serve", WEB4, 7000, 16], "serve")
    wait_for("the server", lambda: it.net.listening(7015))
    r = it.app.run([program, "sessions", WEB4, 7000, 16, 1000, 2, 3.9], input="\n\n", timeout=100)
    opened, active = [json.loads(x) for x in r.stdout.splitlines()]
    assert opened["count"] == 1000 and not opened["lost"], opened
    assert active["count"] >= 1900 and not active["lost"], active
    assert not end.faults()
    wait_for("the sessions' end", lambda: len(end.sessions()) < 10, 20)


def test_churn(lab):
    """2000 connections, 64 at a time, every other one closed by the server."""
    it, end = start(lab)
    program = bench_program("sockbench")
    it.net.popen([program, "serve", WEB4, 7000, 16], "serve")
    wait_for("the server", lambda: it.net.listening(7015))
    r = json.loads(it.app.out([program, "crr", WEB4, 7000, 16, 64, 2000, 0], timeout=100))
    assert r["count"] == 2000 and not r["lost"], r
    assert not end.faults()


def test_what_is_said_after_the_end_of_a_question(lab):
    """nc -N: the app has said all. ss-server takes that for the end of both directions, so it is told only when
    the answer has had its time."""
    it, end = start(lab)
    ask_and_end(it, lambda sock: read_exactly(sock, QUESTION), pause=0.5)
    assert not end.faults()


def test_an_upload_that_is_not_answered(lab):
    """nc -N to somebody who only listens: all of it arrives, and the end after it is no fault."""
    it, end = start(lab)
    file = os.urandom(3_000_000)
    with open(lab.path("file"), "wb") as f:
        f.write(file)
    server = Server(it.net)
    it.app.popen(["sh", "-c", f"nc -N -w 20 {WEB4} {server.port} < {f.name}"], "nc")
    assert read_all(server.accept()) == file
    wait_for("its end", lambda: all(x["state"] == "time-wait" for x in end.sessions()))
    assert not end.faults()


# ---- UDP ---------------------------------------------------------------------------------------------


@methods
def test_dns(lab, method):
    """dig, over UDP and over TCP."""
    it, end = start(lab, method)
    serve_names(it)
    for version in (4, 6):
        dig(it, version)
        dig(it, version, "+tcp")
    assert not end.faults()


@pytest.mark.parametrize("version", [4, 6])
def test_mapping_and_filtering(lab, version):
    """What a STUN client measures: one mapping for all destinations, open to all of them, a full cone."""
    it, _ = start(lab)
    servers, app, seen = one_socket(it, version)
    assert len(set(seen)) == 1, "the mapping depends on the destination"
    for address, port in ((SECOND[version], 5001), (WEB[version], 5002)):
        stranger = udp(it.net, address, port)
        stranger.sendto(b"hello", seen[0])
        data, peer = app.recvfrom(100)
        assert data == b"hello" and peer[:2] == (address, port)
        app.sendto(b"hello yourself", peer[:2])
        assert stranger.recvfrom(100)[0] == b"hello yourself"
    other = client(it.app, version)
    other.sendto(b"x", servers[0].getsockname()[:2])
    assert servers[0].recvfrom(100)[1][:2] != seen[0], "another socket is another mapping"


@methods
@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_of_all_sizes(lab, version, method):
    """Both ways what fits into a packet. Up also what fits only without what Shadowsocks adds: we cut that;
    ss-server cuts nothing of IPv4, and has room for 2794 bytes."""
    it, end = start(lab, method)
    sizes(it, version, [*range(1, 1400, 23), 1400])
    server, app = udp(it.net, WEB[version]), client(it.app, version)
    for size in (1450, 1472) if version == 4 else (1450, 1472, 1473, 2000, 2700):
        data = os.urandom(size)
        app.sendto(data, server.getsockname()[:2])
        assert server.recv(65535) == data, size
    assert not end.faults()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_bursts(lab, version, direction):
    """UDP_SEGMENT, as QUIC uses it: 20 datagrams of 1200 bytes in one call. They come one by one, whole and in
    order."""
    bursts(start(lab)[0], version, direction)


# ---- Plugins -----------------------------------------------------------------------------------------


def plugin(it, which):
    """Starts the server behind the plugin; what the profile says of it."""
    if which.startswith("obfs"):
        mode = which.split("-")[1]
        ss_server(it.px, plugin="obfs-server", plugin_opts=f"obfs={mode}")
        return {"obfs": {"mode": mode, "host": "www.example.com"}}
    options, said = "server;mux=0;path=/chat", {"websocket": {"path": "/chat", "host": NAME}}
    if which == "websocket-tls":
        cert, key, ca = it.certificate()
        options += f";tls;host={NAME};cert={cert};key={key}"
        said["tls"] = {"server_name": NAME, "ca_file": ca}
    ss_server(it.px, plugin="ss-v2ray-plugin", plugin_opts=options)
    return said


PLUGINS = ["obfs-http", "obfs-tls", "websocket", "websocket-tls"]


@pytest.mark.parametrize("which", PLUGINS)
def test_plugins(lab, which):
    it = ProxyNet(lab)
    end = it.run(shadowsocks(**plugin(it, which)))
    for version in (4, 6):
        page(it, version)
    it.up_and_down(WEB4, 16 * MIB)
    streams(it, end, 4, (("-P", "10"), ("-P", "10", "-R")))


@pytest.mark.parametrize("which", PLUGINS)
def test_a_server_without_the_plugin(lab, which):
    """It says nothing that the plugin would: the app's connection is reset, and the log says what to look at."""
    it = ProxyNet(lab)
    said = plugin(it, which)
    ss_server(it.px, port=8389)
    end = it.run(shadowsocks(port=8389, connect_timeout=Plain("1s"), first_byte_timeout=Plain("1s"), **said))
    r = it.app.run(["curl", "-gsS", "-m", "20", f"http://{WEB4}/whoami"], check=False)
    assert r.returncode in (7, 56), r      # could not connect, or reset
    assert end.faults()
