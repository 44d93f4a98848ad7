# SPDX-License-Identifier: Apache-2.0
"""Ours behind a NAT that forgets quickly; persistent keepalive holds the door open.

    a (ours) ── 10.1.0.0/24 ── nat (masquerade, UDP forgotten after 3 s) ── 192.0.2.0/24 ── b

Only a knows an endpoint.
"""
import time

from lab import hostport
from wgend import INNER, make


def build(lab, ours, keepalive):
    a, nat, b = lab.host("a"), lab.host("nat", forward=True), lab.host("b")
    lab.link(a, nat, ["10.1.0.2/24"], ["10.1.0.1/24"])
    lab.link(nat, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    a.ip("route add default via 10.1.0.1")
    nat.masquerade("to-b")
    nat.sysctl("net.netfilter.nf_conntrack_udp_timeout", 3)
    nat.sysctl("net.netfilter.nf_conntrack_udp_timeout_stream", 3)
    ea = make(ours, a, INNER["a"], port=51001)
    eb = make("wireguard-go", b, INNER["b"], port=51002)
    ea.peer(eb, endpoint=hostport("192.0.2.2", 51002), keepalive=keepalive)
    eb.peer(ea)
    return ea.start(), eb.start(), nat


def test_keepalive_holds_the_mapping(lab, ours):
    a, b, _ = build(lab, ours, 1)
    # No traffic of ours but the keepalive: that alone must bring the tunnel up.
    b_sees = None
    for _ in range(100):        # the first initiation may be too early for b: 5.3 s until the next
        b_sees = b.show()[a.public]
        if b_sees.endpoint and b_sees.handshake:
            break
        time.sleep(0.1)
    assert b_sees.endpoint.startswith("192.0.2.1:"), "the NAT's address"
    time.sleep(8)
    b.host.ping(a.ip4(), 3, interval=0.2)


def test_without_keepalive_the_mapping_goes(lab, ours):
    """The control: the laboratory's NAT does forget."""
    a, b, _ = build(lab, ours, 0)
    a.host.ping_until(b.ip4(), 10)
    time.sleep(16)      # beyond the passive keepalive (10 s) and the NAT's memory (3 s)
    assert b.host.ping(a.ip4(), 2, interval=0.2, check=False) == 0
    a.host.ping_until(b.ip4(), 10)
    b.host.ping(a.ip4(), 2, interval=0.2)


def test_the_nat_changes_its_address(lab, ours):
    a, b, nat = build(lab, ours, 1)
    a.host.ping_until(b.ip4(), 10)
    nat.del_addr("to-b", "192.0.2.1/24")
    nat.add_addr("to-b", "192.0.2.77/24")
    nat.ip("route flush cache")
    end = time.monotonic() + 10
    while time.monotonic() < end:
        if b.show()[a.public].endpoint.startswith("192.0.2.77:"):
            break
        time.sleep(0.1)
    assert b.show()[a.public].endpoint.startswith("192.0.2.77:")
    b.host.ping(a.ip4(), 3, interval=0.2)
