# SPDX-License-Identifier: Apache-2.0
"""Which device sessions leave through, and that they cannot fall back into the tunnel.

                  ┌ 192.0.2.0/24, 2001:db8:2::/64 (to-isp)   ┐
    app = home ───┤                                          ├── isp ── net
                  └ 192.0.3.0/24, 2001:db8:3::/64 (cellular) ┘
"""
import errno
import json
import time

import pytest

from directnet import HOME4, HOME6, WEB, WEB4, Internet, connect_errno, joined
from lab import hostport, wait_for
from test_tunnel import transfer

pytestmark = [pytest.mark.direct, pytest.mark.mintflow_only]
CELL4, CELL6 = "192.0.3.2", "2001:db8:3::2"
FIRST, SECOND = {4: HOME4, 6: HOME6}, {4: CELL4, 6: CELL6}


def two_links(lab, **kw):
    """The second link has a default route that is used when the first one's has gone."""
    it = Internet(lab, start=False, **kw)
    lab.link(it.home, it.isp, [CELL4 + "/24", CELL6 + "/64"], ["192.0.3.1/24", "2001:db8:3::1/64"],
             a_dev="cellular", b_dev="antenna")
    it.home.ip("route add default via 192.0.3.1 metric 2000")
    it.home.ip("-6 route add default via 2001:db8:3::1 metric 2000")
    it.net.http_server(80)
    it.end.start()
    return it


def whoami(it, version=4, timeout=5):
    r = it.app.run(["curl", "-gsf", "-m", timeout, f"http://{hostport(WEB[version], 80)}/whoami"],
                   check=False)
    return json.loads(r.stdout)["client"] if r.returncode == 0 else None


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("how", ["route", "link"])
def test_auto_follows_the_default_route(lab, how, version):
    """The default route goes, or the device: new sessions take the other way, and come back with it."""
    it = two_links(lab)
    assert whoami(it, version) == FIRST[version]
    gateway = {4: "192.0.2.1", 6: "2001:db8:2::1"}[version]
    if how == "route":
        it.home.ip(f"-{version} route del default via {gateway}")
    else:
        it.home.ip("link set to-isp down")
    wait_for("the second device", lambda: whoami(it, version, 2) == SECOND[version], 10)
    if how == "link":
        it.home.ip("link set to-isp up")
        if version == 6:
            it.home.add_addr("to-isp", HOME6 + "/64")
    it.home.ip(f"-{version} route replace default via {gateway}"
               + (" metric 1024" if version == 6 else ""))
    wait_for("the first device", lambda: whoami(it, version, 2) == FIRST[version], 10)


def test_running_sessions_stay_on_their_device(lab):
    """A new default route is for new sessions; the old device still works, so the old session does."""
    it = two_links(lab)
    mine, theirs = joined(it.app, it.net, WEB4)
    it.home.ip("route add default via 192.0.2.1 metric 3000")
    it.home.ip("route replace default via 192.0.3.1")
    wait_for("the second device", lambda: whoami(it) == CELL4, 10)
    mine.sendall(b"still here")
    assert theirs.recv(20) == b"still here"
    assert theirs.getpeername()[0].removeprefix("::ffff:") == HOME4


def test_a_fixed_device(lab):
    """`device: cellular`: what the default route says does not matter; without it nothing leaves."""
    it = two_links(lab, direct={"device": "cellular"})
    for version in (4, 6):
        assert whoami(it, version) == SECOND[version]
    it.app.ping(WEB4, 2, interval=0.1)
    cap = it.home.capture("to-isp", f"host {WEB4}")
    it.home.ip("link set cellular down")
    time.sleep(0.5)
    e, took = connect_errno(it.app, WEB4, 80, timeout=5)
    assert e in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED), e
    assert took < 4, "the app was left waiting"
    assert it.app.ping(WEB4, wait=0.5, check=False) == 0
    assert not cap.packets(), "it took the other device"
    assert "cellular is not there" in it.end.proc.log()
    it.home.ip("link set cellular up")
    it.home.ip("route replace default via 192.0.3.1 metric 2000")
    wait_for("the device's return", lambda: whoami(it, 4, 2) == CELL4, 10)


def test_no_device_at_all(lab):
    """Off-line: refused at once, not after a time-out; and back when the network is."""
    it = two_links(lab)
    for dev in ("to-isp", "cellular"):
        it.home.ip(f"link set {dev} down")
    time.sleep(0.5)
    e, took = connect_errno(it.app, WEB4, 80, timeout=10)
    assert e in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ECONNREFUSED), e
    assert took < 5
    it.home.ip("link set to-isp up")
    it.home.ip("route replace default via 192.0.2.1")
    wait_for("the network's return", lambda: whoami(it, 4, 2) == HOME4, 10)


@pytest.mark.parametrize("version", [4, 6])
def test_sockets_do_not_enter_the_tunnel(lab, version):
    """Nothing that the tunnel carries comes from home's own addresses: no session goes round in
    circles, not even while devices come and go."""
    it = two_links(lab)
    cap = it.home.capture(it.dev, "ip or ip6")
    for n in range(6):
        whoami(it, version, 2)
        it.app.ping(WEB[version], wait=0.3, check=False)
        connect_errno(it.app, "203.0.113.99", 80, timeout=0.5)
        it.home.ip("link set to-isp " + ("down" if n % 2 == 0 else "up"))
        if n % 2:
            it.home.ip("route replace default via 192.0.2.1")
        time.sleep(0.3)
    sources = set()
    for p in cap.packets():
        layer = p["IP"] if "IP" in p else p["IPv6"]
        if layer.src not in (WEB4, WEB[6]) and not layer.src.startswith(("fe80", "203.0", "::")):
            sources.add(layer.src)
    ours = {FIRST[4], SECOND[4], FIRST[6], SECOND[6]}
    assert sources and not sources & ours, sources


@pytest.mark.parametrize("version", [4, pytest.param(6, marks=pytest.mark.xfail(
    strict=True, reason="IPv6 path MTU exceptions get past suppress_prefixlength"))])
def test_a_learned_path_mtu_is_no_way_past_the_tunnel(lab, version):
    """Our own sockets find a narrow link, and the kernel remembers that as a route of its own under the
    default route: apps must go on into the tunnel."""
    it = two_links(lab)
    it.isp.ip("link set to-net mtu 1300")       # the server does not know, and offers a larger MSS
    transfer(it.app, it.net, WEB[version], 1_000_000)
    own = it.home.ip(f"-{version} route get {WEB[version]} mark 0x4d460000")
    assert "mtu 1300" in own, "or this test proves nothing: " + own
    assert it.dev in it.home.ip(f"-{version} route get {WEB[version]}")
