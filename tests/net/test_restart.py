# SPDX-License-Identifier: Apache-2.0
"""kill -9 and restart of either side, and a change of network under a running tunnel.

    a (ours) ── b (wireguard-go)

             ┌─ 198.51.100.0/24 ─┐
    a (ours) ┤                   r ── 192.0.2.0/24 ── b (wireguard-go)
             └─ 203.0.113.0/24 ──┘
"""
import time

import pytest

from lab import hostport
from wgend import INNER, make, pair


def test_ours_is_killed_and_restarted(lab, ours):
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    for _ in range(3):
        a.kill9()
        a.start()
        # The first packet starts a handshake with a newer timestamp: no waiting for timers.
        assert a.host.ping_until(b.ip4(), 15) < 6
        b.host.ping(a.ip4(), 3, interval=0.1)


def test_theirs_is_killed_and_restarted(lab, ours):
    a, b = pair(lab, ours, "wireguard-go", initiator="a")
    a.host.ping_until(b.ip4(), 10)
    b.kill9()
    b.start()
    # Ours gets no answers: after keepalive + rekey timeout (15 s) it must try a handshake.
    took = a.host.ping_until(b.ip4(), 30)
    assert took < 25
    b.host.ping(a.ip4(), 3, interval=0.1)


def test_theirs_is_away_for_a_while(lab, ours):
    """Packets sent while nobody answers; when the peer comes back, so does the tunnel."""
    a, b = pair(lab, ours, "wireguard-go", initiator="a", start=False)
    a.start()
    assert a.host.ping(b.ip4(), 6, interval=0.5, wait=0.5, check=False) == 0
    b.start()
    assert a.host.ping_until(b.ip4(), 15) < 12


@pytest.mark.parametrize("how", ["link-down", "address-gone", "new-default-route"])
def test_change_of_network(lab, ours, how):
    a, r, b = lab.host("a"), lab.host("r", forward=True), lab.host("b")
    lab.link(a, r, ["198.51.100.2/24"], ["198.51.100.1/24"], a_dev="up0", b_dev="d0")
    lab.link(a, r, ["203.0.113.2/24"], ["203.0.113.1/24"], a_dev="up1", b_dev="d1")
    lab.link(r, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    b.ip("route add default via 192.0.2.1")
    a.ip("route add default via 198.51.100.1 dev up0 metric 10")
    a.ip("route add default via 203.0.113.1 dev up1 metric 20")
    ea = make(ours, a, INNER["a"], port=51001)
    eb = make("wireguard-go", b, INNER["b"], port=51002)
    ea.peer(eb, endpoint=hostport("192.0.2.2", 51002))
    eb.peer(ea)
    ea.start()
    eb.start()
    a.ping_until(eb.ip4(), 10)
    assert eb.show()[ea.public].endpoint.startswith("198.51.100.2:")
    if how == "link-down":
        a.ip("link set up0 down")
    elif how == "address-gone":
        a.del_addr("up0", "198.51.100.2/24")
    else:
        a.ip("route add default via 203.0.113.1 dev up1 metric 5")
        r.ip("route add blackhole 198.51.100.2/32")
    took = a.ping_until(eb.ip4(), 20)
    assert eb.show()[ea.public].endpoint.startswith("203.0.113.2:")
    eb.host.ping(ea.ip4(), 3, interval=0.1)
    if ours == "mintflow":
        assert took < 3, f"{took:.1f} s until traffic went on"


@pytest.mark.mintflow_only
def test_a_change_of_network_brings_a_handshake_at_once(lab, ours):
    """Without any traffic of the apps: the other side learns the new address by itself."""
    a, r, b = lab.host("a"), lab.host("r", forward=True), lab.host("b")
    lab.link(a, r, ["198.51.100.2/24"], ["198.51.100.1/24"], a_dev="up0", b_dev="d0")
    lab.link(a, r, ["203.0.113.2/24"], ["203.0.113.1/24"], a_dev="up1", b_dev="d1")
    lab.link(r, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    b.ip("route add default via 192.0.2.1")
    a.ip("route add default via 198.51.100.1 dev up0 metric 10")
    a.ip("route add default via 203.0.113.1 dev up1 metric 20")
    ea = make(ours, a, INNER["a"], port=51001)
    eb = make("wireguard-go", b, INNER["b"], port=51002)
    ea.peer(eb, endpoint=hostport("192.0.2.2", 51002))
    eb.peer(ea)
    ea.start()
    eb.start()
    a.ping_until(eb.ip4(), 10)
    time.sleep(1)
    a.ip("link set up0 down")
    end = time.monotonic() + 8
    while time.monotonic() < end:
        if eb.show()[ea.public].endpoint.startswith("203.0.113.2:"):
            break
        time.sleep(0.1)
    assert eb.show()[ea.public].endpoint.startswith("203.0.113.2:")
    b.ping(ea.ip4(), 3, interval=0.1)
