# SPDX-License-Identifier: Apache-2.0
"""Shadowsocks when something is wrong: servers that are killed, silent or asked wrongly, and profiles that change
under running sessions. The laboratory is that of proxynet.py.
"""
import errno
import os
import signal
import threading
import time

import pytest

from directnet import BAD, WEB4, Server, connect, connect_errno, echo, read_all, read_exactly
from lab import wait_for
from nameserver import Dnsmasq
from proxynet import NAME, PX4, PX6, ProxyNet, ss_server
from test_proxy_ss import shadowsocks, start
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
MIB = 1 << 20
SECOND = Plain("1s")
SILENT = ("the proxy takes our bytes and says nothing; type, password, uuid or method may be wrong, or the clock, or the "
          "target is silent")


def said(sock):
    """What becomes of a connection: "data", "end" or "reset"; anything but an answer hangs."""
    try:
        return "data" if sock.recv(1 << 16) else "end"
    except ConnectionResetError:
        return "reset"


def reset_after(it, seconds, address=WEB4, port=80):
    """An app asks, hears nothing, and is reset after so long."""
    with connect(it.app, address, port) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        begin = time.monotonic()
        assert said(sock) == "reset"
        took = time.monotonic() - begin
    assert seconds - 0.1 <= took, took


def expect_silent(end, state="failing"):
    i = end.interface()
    assert (i["state"], i["fault"]) == (state, "silent"), i
    assert SILENT.split("; ")[1] in i["fault_hint"]
    assert SILENT in end.faults()


# ---- Servers that do not answer ------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [{"password": "quite another"}, {"method": "aes-256-gcm"}],
                         ids=["password", "method"])
def test_wrong(lab, wrong):
    """ss-server reads and says nothing. The app is reset, the rest is in `show interfaces` and in the log."""
    it, end = start(lab)
    end.interfaces = [shadowsocks(first_byte_timeout=SECOND, **wrong)]
    end.reload()
    assert end.interface()["state"] == "untried"
    reset_after(it, 1)
    expect_silent(end)
    assert SILENT.split("; ")[0] in end.cli("show", "interfaces").stdout


def test_a_server_that_is_stopped(lab):
    """It accepts, and says nothing, until it goes on."""
    it = ProxyNet(lab)
    server = ss_server(it.px)
    end = it.run(shadowsocks(first_byte_timeout=SECOND))
    assert it.whoami() == PX4
    assert end.interface()["state"] == "up"
    server.kill(signal.SIGSTOP)
    try:
        reset_after(it, 1)
        expect_silent(end)
    finally:
        server.kill(signal.SIGCONT)
    assert it.whoami() == PX4
    assert end.interface()["state"] == "up"


def test_a_target_that_is_silent(lab):
    """While the proxy answers others it is the target that is silent: its session is left alone, and it can
    speak as late as it likes. When nobody is answered any more the session is reset."""
    it, end = start(lab, first_byte_timeout=SECOND)
    server, other = Server(it.net), Server(it.net, echo)
    mine = connect(it.app, WEB4, server.port)
    mine.sendall(b"well?")
    theirs = server.accept()
    assert read_exactly(theirs, 5) == b"well?"
    with connect(it.app, WEB4, other.port) as busy:
        for _ in range(10):
            busy.sendall(b"x")
            assert read_exactly(busy, 1) == b"x"
            time.sleep(0.3)
    theirs.sendall(b"well")
    assert read_exactly(mine, 4) == b"well"
    time.sleep(2.5)             # what has been answered may be as silent as it likes
    theirs.sendall(b"!")
    assert read_exactly(mine, 1) == b"!"
    assert not end.faults()
    reset_after(it, 1, port=server.port)
    expect_silent(end)


def test_a_long_upload(lab):
    """Not a byte comes back: that is a fault of a proxy that has never answered. Of one that has it is none while
    the upload goes on."""
    it, end = start(lab, first_byte_timeout=SECOND)
    server = Server(it.net)
    for proven in (False, True):
        if proven:
            assert it.whoami() == PX4
        mine = connect(it.app, WEB4, server.port)
        mine.sendall(b"x")
        theirs, sent = server.accept(), 1
        try:
            while sent < 40:
                time.sleep(0.1)
                mine.sendall(b"x")
                sent += 1
        except OSError as e:
            assert e.errno in (errno.ECONNRESET, errno.EPIPE) and not proven, e
        assert (sent == 40) == proven
        if proven:
            assert read_exactly(theirs, 40) == b"x" * 40
            theirs.sendall(b"thanks")
            assert read_exactly(mine, 6) == b"thanks"
            assert end.interface()["state"] == "up"
        else:
            expect_silent(end)


# ---- Servers that go and come -------------------------------------------------------------------------


def hold_on(sock, upload, seen, killed):
    """Pushes, or waits and pulls, until the connection is over; how it ended."""
    block = bytes(1 << 16)
    try:
        while upload:
            sock.sendall(block)
        killed.wait(60)
        while sock.recv(1 << 16):
            pass
        seen.append("end")
    except ConnectionError:
        seen.append("reset")
    except TimeoutError:
        seen.append("hangs")
    finally:
        sock.close()


def stream(sock):
    block = bytes(1 << 16)
    while True:
        sock.sendall(block)


def test_killed_under_load(lab):
    """Apps that send and apps that receive: none of them hangs, and what is cut off in the middle of a message does
    not look like an end. Others are refused at once, which `show interfaces` says, and all is well when the
    server is back."""
    it = ProxyNet(lab)
    server = ss_server(it.px)
    end = it.run(shadowsocks())
    source, sink = Server(it.net, stream), Server(it.net, read_all)
    up, down, threads, killed = [], [], [], threading.Event()
    for n in range(20):
        sock = connect(it.app, WEB4, (source, sink)[n % 2].port)
        sock.settimeout(60)
        args = (sock, n % 2, (down, up)[n % 2], killed)
        threads.append(threading.Thread(target=hold_on, args=args, daemon=True))
        threads[-1].start()
    wait_for("some load", lambda: end.interface()["tx_bytes"] > 20 * MIB and end.interface()["rx_bytes"] > MIB)
    time.sleep(1)               # until nobody takes any more of what comes down
    server.kill(signal.SIGKILL)
    server.wait(5)
    killed.set()
    for t in threads:
        t.join(60)
    assert up == ["reset"] * 10, up
    assert len(down) == 10 and "hangs" not in down and "reset" in down, down
    assert connect_errno(it.app, WEB4, 80, 5)[0] == errno.ECONNREFUSED
    i = end.interface()
    assert (i["state"], i["fault"]) == ("failing", "refused"), i
    assert end.faults()[-1].startswith(f"the proxy refuses connections ({PX4}:8388); is the port")
    wait_for("the sessions' end", lambda: all(x["state"] == "time-wait" for x in end.sessions()))
    ss_server(it.px)
    assert it.whoami() == PX4
    assert end.interface()["state"] == "up"


def test_gone_without_a_word(lab):
    """The server's machine is cut off: who connects is told after connect_timeout, who is connected by the time
    to a first byte."""
    it, end = start(lab, connect_timeout=SECOND, first_byte_timeout=SECOND)
    with connect(it.app, WEB4, 80) as idle:
        time.sleep(0.2)         # the request has gone out alone
        it.px.ip("link set to-isp down")
        idle.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert said(idle) == "reset"
        e, took = connect_errno(it.app, WEB4, 80, 20)
        assert e and took < 15, (e, took)
        assert end.interface()["fault"] in ("timed_out", "unreachable")
    it.px.ip("link set to-isp up")
    it.px.ip("route add default via 203.0.113.1")
    wait_for("its return", lambda: connect_errno(it.app, WEB4, 80)[0] == 0, 30)
    assert it.whoami() == PX4


# ---- Profiles that change -----------------------------------------------------------------------------


def talk(sock, n=1000):
    data = os.urandom(n)
    sock.sendall(data)
    assert read_exactly(sock, n) == data


def test_another_password(lab):
    """New sessions use it, those that run go on with the old one; and when it is wrong, the bytes that they still get
    say nothing in its favour."""
    it, end = start(lab, first_byte_timeout=SECOND)
    ss_server(it.px, password="the next one", port=8389)
    server = Server(it.net, echo)
    old = connect(it.app, WEB4, server.port)
    talk(old)
    end.interfaces = [shadowsocks(8389, password="the next one", first_byte_timeout=SECOND)]
    end.reload()
    talk(old)
    new = connect(it.app, WEB4, server.port)
    talk(new)
    end.interfaces = [shadowsocks(8389, password="a wrong one", first_byte_timeout=SECOND)]
    end.reload()
    ended = threading.Event()

    def busy():
        while not ended.wait(0.05):
            talk(old)
            talk(new)
    t = threading.Thread(target=busy)
    t.start()
    try:
        reset_after(it, 1)
        expect_silent(end)
    finally:
        ended.set()
        t.join()
    talk(old)
    talk(new)


def test_an_interface_that_is_removed(lab):
    """Its sessions are told, and nothing else is."""
    it, end = start(lab)
    server = Server(it.net, echo)
    end.interfaces = [shadowsocks(), shadowsocks(name="other")]
    end.routes.append({"cidr": "198.18.7.0/24", "to": "other"})
    end.reload()
    mine, others = connect(it.app, WEB4, server.port), connect(it.app, "198.18.7.7", server.port)
    talk(mine)
    talk(others)
    end.interfaces.pop()
    end.routes.pop()
    end.reload()
    assert said(others) == "reset"
    talk(mine)
    assert [s["interface"] for s in end.sessions()] == ["px"]


# ---- Servers by name ------------------------------------------------------------------------------------


def by_name(lab, addresses, **kw):
    """The server's name has these addresses, says a server that the provider has."""
    it = ProxyNet(lab)
    ss_server(it.px)
    zone = {NAME: {"A": [a for a in addresses if ":" not in a], "AAAA": [a for a in addresses if ":" in a]}}
    it.dns = Dnsmasq(it.isp, ["192.0.2.1"],
                     {n: {t: v for t, v in r.items() if v} for n, r in zone.items()}).start()
    dns = {"vpn_servers": ["192.0.2.1"], "direct_servers": ["192.0.2.1"], "system": "off"}
    return it, it.run(shadowsocks(server=NAME, **kw), sections={"dns": dns})


@pytest.mark.parametrize("addresses", [[PX4], [PX6], [PX4, PX6], [BAD["blackhole"][0], PX4],
                                       [BAD["blackhole"][1], PX4], [BAD["unreachable"][0], BAD["blackhole"][0], PX6]],
                         ids=["4", "6", "both", "one-of-4-is-silent", "6-is-silent", "only-6-answers"])
def test_a_server_by_name(lab, addresses):
    """Whichever of its addresses answers."""
    it, end = by_name(lab, addresses)
    for _ in range(3):
        assert it.whoami() == PX4
    assert not end.faults()


def test_a_name_that_nobody_knows(lab):
    it, end = by_name(lab, [], connect_timeout=Plain("2s"))
    e, took = connect_errno(it.app, WEB4, 80, 20)
    assert e == errno.ECONNREFUSED and took < 15, (e, took)
    i = end.interface()
    assert (i["state"], i["fault"]) == ("failing", "name"), i
    assert end.faults()[0].startswith("the proxy's name cannot be resolved")


def test_a_name_that_is_not_found_yet(lab):
    """Nobody waits for the next question after one that has failed; and an answer to that one ends it."""
    it, end = by_name(lab, [], connect_timeout=Plain("5m"))

    def questions():
        return sum(s["asked"] for s in end.json("show", "dns")["servers"])

    for _ in range(20):
        before = questions()
        time.sleep(2.2)
        between = questions()
        assert connect_errno(it.app, WEB4, 80, 60)[0] == errno.ECONNREFUSED
        if before == between == questions():
            break
    else:
        raise AssertionError("each session has waited for a question")
    assert end.interface()["fault"] == "name"
    it.dns.stop()
    it.dns.zone = {NAME: {"A": [PX4]}}
    it.dns.start()
    wait_for("the name to be found", lambda: connect_errno(it.app, WEB4, 80, 60)[0] == 0, 60)
    assert it.whoami() == PX4
