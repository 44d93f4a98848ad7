# SPDX-License-Identifier: Apache-2.0
"""A machine as router: packets of other hosts, which the kernel forwards into the tunnel, are served as
those of the machine's own apps.

    app (10.9.0.2, fd09::2) ── home (ours, forwards) ── isp ── net
"""
import json
import socket

import pytest

from directnet import HOME4, HOME6, WEB, WEB4, Internet, Server, connect_errno
from lab import hostport
from test_tunnel import transfer

pytestmark = pytest.mark.direct


@pytest.mark.parametrize("version", [4, 6])
def test_everything_from_behind(lab, ours, version):
    it = Internet(lab, ours, router=True)
    it.net.http_server(80)
    at = "http://" + hostport(WEB[version], 80)
    seen = json.loads(it.app.out(["curl", "-gsf", "-m", "10", at + "/whoami"]))["client"]
    assert seen == (HOME4 if version == 4 else HOME6), "translated to home's address"
    assert connect_errno(it.app, WEB[version], 81)[0] == 111
    it.app.ping(WEB[version], 3, interval=0.1)
    transfer(it.app, it.net, WEB[version], 20_000_000)
    server = it.net.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    server.bind((WEB[version], 9000))
    app = it.app.socket(server.family, socket.SOCK_DGRAM)
    app.sendto(b"x", (WEB[version], 9000))
    data, peer = server.recvfrom(10)
    assert peer[0] == (HOME4 if version == 4 else HOME6)
    server.sendto(b"y", peer)
    assert app.recv(10) == b"y"


@pytest.mark.mintflow_only
def test_home_and_those_behind_it_at_once(lab):
    """The same destination and the same source port from two machines are two sessions."""
    it = Internet(lab, router=True)
    server = Server(it.net)
    socks = []
    for host in (it.app, it.home):
        s = host.socket()
        s.bind(("0.0.0.0", 40000))
        s.connect((WEB4, server.port))
        s.sendall(host.name.encode())
        socks.append(s)
    heard = {server.accept().recv(10) for _ in socks}
    assert heard == {b"app", b"home"}


@pytest.mark.mintflow_only
@pytest.mark.parametrize("version", [4, 6])
def test_mss_fits_the_path(lab, version):
    """The app's own link has 1500, the tunnel 1300: it is told so by the MSS, before it can be wrong; and
    we keep to what the app says of its side."""
    it = Internet(lab, router=True, mtu=1300)
    cap = it.app.capture("to-home", "tcp")
    transfer(it.app, it.net, WEB[version], 3_000_000)
    header = 40 if version == 4 else 60
    packets = cap.packets()
    mss = [dict(p["TCP"].options)["MSS"] for p in packets if p["TCP"].flags == "SA"]
    assert mss and all(m <= 1300 - header for m in mss), mss
    # Super-packets are longer; without them nothing exceeds the app's MSS.
    it.app.ip("link set to-home mtu 1280")
    it.home.no_segmentation("to-app")
    cap = it.app.capture("to-home", "src " + WEB[version])
    transfer(it.app, it.net, WEB[version], 3_000_000, port=7001)
    longest = max(len(p) - 14 for p in cap.packets())
    assert 1000 < longest <= 1280, longest
