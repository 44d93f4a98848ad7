# SPDX-License-Identifier: Apache-2.0
"""One gigabyte in each direction at once over one connection, SHA-256 compared.

    a (ours) ── b (wireguard-go)
"""
import pytest

from test_tunnel import transfer
from wgend import pair

GIB = 1 << 30


@pytest.mark.slow
def test_a_gigabyte_both_ways(lab, ours):
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    a.host.sysctl("net.ipv4.tcp_rmem", "4096 131072 16777216")
    b.host.sysctl("net.ipv4.tcp_rmem", "4096 131072 16777216")
    transfer(a.host, b.host, b.ip4(), GIB)


def test_with_loss_on_the_way(lab, ours):
    """2 % of the outer datagrams lost in each direction: TCP inside copes, sums agree."""
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    a.host.lose(2, "to-b", "udp sport 51002")
    b.host.lose(2, "to-a", "udp sport 51001")
    transfer(a.host, b.host, b.ip4(), 5_000_000)
    transfer(b.host, a.host, a.ip6(), 5_000_000, port=7001)


@pytest.mark.mintflow_only
def test_between_two_of_ours(lab, ours):
    """MintFlow on both ends: whole super-packets from TUN to TUN."""
    a, b = pair(lab, ours, ours)
    a.host.ping_until(b.ip4(), 10)
    transfer(a.host, b.host, b.ip4(), 300_000_000)
    transfer(a.host, b.host, b.ip6(), 100_000_000, port=7001)
