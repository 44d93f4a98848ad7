# SPDX-License-Identifier: Apache-2.0
"""VMess and VLESS: what apps do through Debian's v2ray, in all the ways to reach it, and what they are told
when it cannot be done. The laboratory is that of proxynet.py.
"""
import base64
import concurrent.futures
import contextlib
import errno
import hashlib
import json
import os
import socket
import ssl
import subprocess
import time

import pytest

from directnet import WEB4, WEB6, Server, connect, read_all, read_exactly
from lab import bench_program, hostport, wait_for
from nameserver import certificate
from proxynet import NAME, PX4, PX6, UUID, ProxyNet, nginx, v2ray, v2ray_inbound
from proxyuse import (DNS, ELSEWHERE, RIGHT, SHORT, dig, film, kill_under_load, know_names, late_answer, one_socket,
                      page, serve_names, sizes)
from test_tunnel import transfer
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
MIB = 1 << 20
PORT = {"tcp": 10000, "tls": 443, "ws": 80, "wss": 443, "nginx": 443}
WAYS = ["vmess-tcp", "vmess-tls", "vmess-ws", "vmess-wss", "vmess-nginx",
        "vless-tls", "vless-wss", "vless-nginx"]
ways = pytest.mark.parametrize("way", WAYS)
CLOCK = "the clock"     # what every hint about it says
# VMess requests that v2ray 4.34 may take for repeated ones and not answer, its own client's as well: its filter
# tells them apart by a byte. Of a thousand at once it is one in eight runs, of four thousand one or two.
UNHEARD = 3
OTHER_UUID = "6f1d7a3e-5c0b-4d29-8a47-2b9e0c6d1f36"


def interface(it, way, *, tls=None, server=PX4, **kw):
    """What a profile says of a server that is reached in this way. `tls`: more about that."""
    protocol, net = way.split("-")
    i = {"name": "px", "type": protocol, "server": hostport(server, PORT[net]), "uuid": UUID}
    if net in ("ws", "wss", "nginx"):
        i["websocket"] = {"path": "/ray"}
    if net in ("tls", "wss", "nginx"):
        i["tls"] = {"server_name": NAME, "ca_file": it.certificate()[2]} | (tls or {})
    return i | kw


def serve(it, way):
    """v2ray on px, reached in this way; all its programs, the one that home talks to first."""
    protocol, net = way.split("-")
    inner = 10000 if net == "nginx" else PORT[net]
    inbound = v2ray_inbound(protocol, inner, net="tcp" if net in ("tcp", "tls") else "ws", path="/ray",
                            tls=it.certificate() if net in ("tls", "wss") else None)
    procs = [v2ray(it.px, [inbound])]
    if net == "nginx":
        procs.insert(0, nginx(it.px, it.certificate(), path="/ray", upstream=inner))
    return procs


def start(lab, way, *, sections=None, **kw):
    """The laboratory, a server and MintFlow: (laboratory, MintFlow, the server's programs)."""
    it = ProxyNet(lab)
    procs = serve(it, way)
    return it, it.run(interface(it, way, **kw), sections=sections), procs


# ---- Sessions ----------------------------------------------------------------------------------------


@ways
def test_pages_and_films(lab, way):
    it, end, _ = start(lab, way)
    for version in (4, 6):
        page(it, version)
        film(it, version)
    assert not end.faults()


@pytest.mark.parametrize("way", ["vmess-tcp", "vless-wss"])
def test_a_server_with_an_ipv6_address(lab, way):
    it, end, _ = start(lab, way, server=PX6)
    page(it, 4)
    page(it, 6)
    assert not end.faults()


@pytest.mark.parametrize("padding", [True, False], ids=["padded", "bare"])
@pytest.mark.parametrize("security", ["auto", "aes-128-gcm", "chacha20-poly1305", "none", "zero"])
def test_securities(lab, security, padding):
    it, end, _ = start(lab, "vmess-tcp", security=security, global_padding=padding)
    serve_names(it)
    page(it, 4)
    transfer(it.home, it.net, WEB6, 48 * MIB)
    dig(it, 4)
    sizes(it, 6, [1, 1200, 1800])
    assert not end.faults()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["vmess-wss", "vless-nginx"])
def test_a_long_transfer(lab, way):
    """A gigabyte each way at once, sums compared."""
    it, end, _ = start(lab, way)
    transfer(it.home, it.net, WEB4, 1 << 30)
    assert not end.faults()


@pytest.mark.parametrize("way, lost", [("vmess-wss", UNHEARD), ("vless-wss", 0)])
def test_a_thousand_sessions(lab, way, lost):
    """Opened over WebSockets in TLS, idle, each asked twice, closed: none lost."""
    it, end, _ = start(lab, way, sections={"sessions": {"per_source": 4096}})
    program = bench_program("sockbench")
    it.net.popen([program, "serve", "198.18.0.1", 7000, 16], "serve")
    wait_for("the server", lambda: it.net.listening(7015))
    r = it.home.run([program, "sessions", WEB4, 7000, 16, 1000, 2, 3.9], input="\n\n", timeout=100)
    opened, active = [json.loads(x) for x in r.stdout.splitlines()]
    assert opened["count"] == 1000 and not opened["lost"], opened
    assert active["count"] >= 1900 and active["lost"] <= lost, active
    assert not end.faults()
    wait_for("the sessions' end", lambda: len(end.sessions()) < 10, 30)


def test_after_a_pause(lab):
    """Longer than connect_timeout has nobody needed the proxy. Each worker's first connection is a good one."""
    it, end, _ = start(lab, "vmess-wss", connect_timeout=Plain("1s"))
    for _ in range(2):
        time.sleep(1.5)
        for _ in range(8):
            page(it, 4)
    assert not end.faults()


# ---- The end -----------------------------------------------------------------------------------------


@ways
def test_half_close_by_the_app_first(lab, way):
    """The app has said all; the answer takes longer than v2ray waits, and comes in two parts."""
    it, end, _ = start(lab, way)
    late_answer(it, 300_000, 700_000)
    assert not end.faults()


@ways
def test_the_end_of_the_app_reaches_the_target(lab, way):
    """An app that closes when it has its answer, and one that never gets any: the target sees the end of both,
    and the sessions are over."""
    it, end, _ = start(lab, way)
    for answered in (True, False):
        server = Server(it.net)
        mine = connect(it.home, WEB4, server.port)
        mine.sendall(b"question")
        theirs = server.accept()
        assert read_exactly(theirs, 8) == b"question"
        if answered:
            theirs.sendall(b"answer")
            assert read_exactly(mine, 6) == b"answer"
        mine.close()
        with contextlib.suppress(ConnectionResetError):
            assert theirs.recv(1) == b""
        theirs.close()
    wait_for("the sessions' end", lambda: not [s for s in end.sessions() if s["state"] != "time-wait"], 20)
    assert not end.faults()


@pytest.mark.parametrize("way", ["vmess-tcp", "vmess-wss"])
def test_half_close_by_the_server_first(lab, way):
    """The target sends its file and ends; what the app says after that still arrives. (VLESS has no word for an
    end: v2ray ends both.)"""
    it, end, _ = start(lab, way)
    motd, late = os.urandom(400_000), os.urandom(600_000)
    server = Server(it.net)
    with connect(it.home, WEB4, server.port) as mine:
        theirs = server.accept()
        theirs.sendall(motd)
        theirs.shutdown(socket.SHUT_WR)
        assert read_all(mine) == motd
        mine.sendall(late)
        assert read_all(theirs) == late
    assert not end.faults()


@pytest.mark.parametrize("way", ["vless-tls", "vless-wss"])
def test_the_end_of_the_target_reaches_the_app(lab, way):
    it, end, _ = start(lab, way)
    motd = os.urandom(400_000)

    def handler(sock):
        sock.sendall(motd)
    with connect(it.home, WEB4, Server(it.net, handler).port) as mine:
        assert read_all(mine) == motd
    assert not end.faults()


# ---- Datagrams ---------------------------------------------------------------------------------------


@ways
def test_datagrams(lab, way):
    """dig; datagrams of all sizes that v2ray can carry (its buffers have 2 KiB, of which VMess needs some); one
    socket and several remotes. Each pair is a connection of its own to v2ray, which makes a mapping of its own
    of each: symmetric."""
    it, end, _ = start(lab, way)
    serve_names(it)
    for version in (4, 6):
        dig(it, version)
        dig(it, version, "+tcp")
        sizes(it, version, [1, 2, 100, 512, 1200, 1472, 1473, 1500, 1900])
        assert len(set(one_socket(it, version)[2])) == 3
    assert not end.faults()


# ---- Names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["vmess-tcp", "vmess-wss", "vless-tls"])
def test_names_go_as_names(lab, way):
    """px has an idea of its own of where a name is: that is where an app comes to that shows it, whatever
    address it has. Who shows none comes to the address that our resolver gave."""
    it = ProxyNet(lab)
    server, *_ = serve(it, way)
    end = it.run_named(interface(it, way), sections={"dns": DNS})
    know_names(it)
    serve_names(it)
    cert, key, ca = certificate(lab, ["four.px.example"])
    it.net.http_server(443, tls=(cert, key))
    it.net.http_server(7000)
    for name, version in (("four", 4), ("six", 6)):
        for elsewhere in ELSEWHERE.values():
            said = it.page(name + ".px.example", elsewhere)
            assert said["address"] == RIGHT[version], said
    said = json.loads(it.home.out(["curl", "-gsSf", "-m", "10", "--cacert", ca, "--resolve",
                                   f"four.px.example:443:{ELSEWHERE[4]}", "https://four.px.example/whoami"]))
    assert said["address"] == RIGHT[4], said
    assert "accepted tcp:four.px.example:443" in server.log()
    at, = it.home.out(["dig", f"@{WEB4}", "+short", "four.px.example"]).split()
    assert at == ELSEWHERE[4]
    said = json.loads(it.home.out(["curl", "-gsSf", "-m", "10", f"http://{at}:7000/whoami"]))
    assert (said["address"], said["client"]) == (at, PX4), said
    assert it.whoami() != PX4 and not end.faults()


def test_a_name_that_the_proxy_does_not_know(lab):
    it = ProxyNet(lab)
    serve(it, "vmess-wss")
    it.run_named(interface(it, "vmess-wss"))
    know_names(it)
    r = it.home.run(["curl", "-gsS", "-m", "20", "--resolve", f"none.px.example:80:{ELSEWHERE[4]}",
                     "http://none.px.example/"], check=False)
    assert r.returncode in (52, 56), "reset, not silent"


# ---- What is wrong -----------------------------------------------------------------------------------


def asks(it, timeout=20):
    """What becomes of an app that asks for a page: an errno, 0 for an answer, and how long that took."""
    start = time.monotonic()
    try:
        with connect(it.home, WEB4, 80, timeout) as s:
            s.sendall(b"GET /whoami HTTP/1.0\r\n\r\n")
            e = 0 if read_all(s) else errno.ECONNRESET
    except TimeoutError:
        e = errno.ETIMEDOUT
    except OSError as err:
        e = err.errno
    return e, time.monotonic() - start


def expect_fault(it, *words, seconds=8):
    """An app is refused or reset, soon, and the log says why in these words."""
    e, took = asks(it)
    assert e in (errno.ECONNREFUSED, errno.ECONNRESET) and took < seconds, (errno.errorcode.get(e), took)
    said = wait_for("a word about the proxy", it.end.faults)
    assert all(w in said[0] for w in words), said


@pytest.mark.parametrize("way", ["vmess-tcp", "vmess-wss", "vmess-nginx", "vless-tls", "vless-nginx"])
def test_wrong_uuid(lab, way):
    it, end, _ = start(lab, way, uuid=OTHER_UUID, **SHORT)
    expect_fault(it, "uuid")
    assert end.interface()["state"] != "up"


@pytest.mark.parametrize("way", ["vmess-ws", "vmess-wss", "vmess-nginx", "vless-nginx"])
def test_wrong_path(lab, way):
    it, end, _ = start(lab, way, websocket={"path": "/other"})
    expect_fault(it, "another status", "`websocket.path`")
    assert ("status 200" if way.endswith("nginx") else "status 404") in end.faults()[0]


@contextlib.contextmanager
def clock(shift):
    """What is started meanwhile believes that it is so much later. Nothing but the time of day is shifted."""
    library = f"/usr/lib/{os.uname().machine}-linux-gnu/faketime/libfaketime.so.1"
    with pytest.MonkeyPatch.context() as m:
        m.setenv("LD_PRELOAD", library)
        m.setenv("FAKETIME", shift)
        m.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        m.setenv("FAKETIME_DONT_RESET", "1")
        yield


def shifted(lab, way, shift, **kw):
    it = ProxyNet(lab)
    serve(it, way)
    end = it.make(interface(it, way, **kw))
    with clock(shift):
        end.start()
    return it, end


@pytest.mark.parametrize("way", ["vmess-tcp", "vmess-ws"])
@pytest.mark.parametrize("shift", ["-119", "+119"])
def test_clocks_that_differ_a_little(lab, way, shift):
    it, end = shifted(lab, way, shift)
    page(it, 4)
    assert not end.faults()


@pytest.mark.parametrize("way", ["vmess-tcp", "vmess-ws"])
@pytest.mark.parametrize("shift", ["-130", "+130"])
def test_clocks_that_differ_too_much(lab, way, shift):
    it, _ = shifted(lab, way, shift, **SHORT)
    expect_fault(it, CLOCK)


def test_a_certificate_of_nobody_we_know(lab):
    """The authorities of the system have not signed it."""
    it = ProxyNet(lab)
    serve(it, "vless-wss")
    i = interface(it, "vless-wss")
    del i["tls"]["ca_file"]
    it.run(i)
    expect_fault(it, "certificate is not good")


# ---- TLS ---------------------------------------------------------------------------------------------


def pin_of(certificate):
    key = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"],
                         capture_output=True, check=True)
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=key.stdout,
                         capture_output=True, check=True)
    return base64.b64encode(hashlib.sha256(der.stdout).digest()).decode()


@pytest.mark.parametrize("what, way", [(w, x) for w in ("name", "authority", "pin") for x in
                                       ("vmess-tls", "vless-wss")] + [("alpn", "vless-tls")])
def test_tls_that_is_refused(lab, what, way):
    it = ProxyNet(lab)
    serve(it, way)
    stranger = certificate(lab, ["other.example.net"])
    tls = {"name": {"server_name": "other.example.net"}, "authority": {"ca_file": stranger[2]},
           "pin": {"pin_sha256": pin_of(stranger[0])}, "alpn": {"alpn": ["http/0.9"]}}[what]
    it.run(interface(it, way, tls=tls))
    expect_fault(it, {"name": "certificate is not good", "authority": "certificate is not good",
                      "pin": "is not the one in `tls.pin_sha256`", "alpn": "TLS"}[what])


@pytest.mark.parametrize("shift", ["-10d", "+10d"])
def test_a_certificate_that_is_too_old_or_too_new(lab, shift):
    it, _ = shifted(lab, "vless-tls", shift)
    expect_fault(it, "certificate is not good", CLOCK)


@pytest.mark.parametrize("tls", ["pin", "insecure", "pinned authority", "alpn"])
def test_tls_that_is_as_good(lab, tls):
    """The right key is good without an authority, and `insecure` takes everything."""
    it = ProxyNet(lab)
    serve(it, "vless-tls")
    cert, _, ca = it.certificate()
    i = interface(it, "vless-tls")
    i["tls"] = {"pin": {"server_name": NAME, "pin_sha256": pin_of(cert)}, "insecure": {"insecure": True},
                "pinned authority": {"server_name": NAME, "ca_file": ca, "pin_sha256": pin_of(cert)},
                "alpn": {"server_name": NAME, "ca_file": ca, "alpn": ["h2", "http/1.1"]}}[tls]
    end = it.run(i)
    page(it, 4)
    assert not end.faults()


@pytest.mark.parametrize("resumption", [True, False])
def test_sessions_of_tls_are_resumed(lab, resumption):
    """nginx has seen who comes back, whom they ask for, and which protocol they speak."""
    it, end, (front, *_) = start(lab, "vmess-nginx", tls={"session_resumption": resumption})
    for _ in range(12):
        page(it, 4)

    def seen():
        with open(front.access) as f:
            lines = [x.split() for x in f.read().splitlines()]
        return lines if len(lines) == 12 else None
    lines = wait_for("the ends of the connections", seen, 20)
    assert {tuple(x[:2] + x[3:]) for x in lines} == {("101", "/ray", NAME, "http/1.1")}
    resumed = [x[2] for x in lines].count("r")
    assert resumed >= 8 if resumption else resumed == 0, "each worker begins once"


# ---- Servers that hang, and servers that go ----------------------------------------------------------


def say_nothing(sock):
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(65536):
            pass


class Mute:
    """Listens on px at port 443 and says nothing from some stage on: "tls" (it takes a connection), "101" (TLS
    is done), "answer" (so is the WebSocket)."""

    def __init__(self, it, stage):
        self.stage = stage
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*it.certificate()[:2])
        self.server = Server(it.px, self.handle, port=443)

    def handle(self, sock):
        if self.stage != "tls":
            sock = self.context.wrap_socket(sock, server_side=True)
        if self.stage == "answer":
            self.upgrade(sock)
        say_nothing(sock)

    @staticmethod
    def upgrade(sock):
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            request += sock.recv(1)
        key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")


@pytest.mark.parametrize("stage, words", [
    ("tls", "TLS has failed"), ("101", "does not speak this transport"),
    ("answer", "takes our bytes and says nothing")])
def test_a_server_that_says_nothing_any_more(lab, stage, words):
    """It has a limit at each stage, and the app does not hang longer than that; also when many wait."""
    it = ProxyNet(lab)
    Mute(it, stage)
    it.run(interface(it, "vmess-wss", **SHORT))
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        for e, took in pool.map(lambda _: asks(it), range(20)):
            assert e in (errno.ECONNREFUSED, errno.ECONNRESET) and 1.5 < took < 8, (e, took)
    assert words in it.end.faults()[0]
    assert not [s for s in it.end.sessions() if s["state"] == "established"]


@pytest.mark.parametrize("way, which", [("vmess-tcp", 0), ("vmess-nginx", 0), ("vmess-nginx", 1),
                                        ("vless-wss", 0)])
def test_servers_are_killed_under_load(lab, way, which):
    """Of two programs the first is nginx, the second v2ray."""
    it, end, procs = start(lab, way, **SHORT)
    kill_under_load(it, end, procs, lambda: serve(it, way), which, hung=UNHEARD if "vmess" in way else 0)
