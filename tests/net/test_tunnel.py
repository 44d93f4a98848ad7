# SPDX-License-Identifier: Apache-2.0
"""A tunnel between ours and wireguard-go: both roles, PSK, IPv4 and IPv6 in and out.

    a (ours) ── 192.0.2.0/24, 2001:db8::/64 ── b (wireguard-go)
    10.10.0.1, fd10::1   ═══ tunnel ═══   10.10.0.2, fd10::2
"""
import json
import time

import pytest

from lab import PYTHON, HERE, genpsk, wait_for
from wgend import pair


def transfer(src, dst, address, size=4_000_000, port=7000, timeout=240):
    """`size` bytes each way over one TCP connection; both SHA-256 sums must agree."""
    server = dst.popen([PYTHON, f"{HERE}/xfer.py", "listen", port, size], "xfer")
    wait_for("xfer", lambda: dst.listening(port))
    mine = json.loads(src.out([PYTHON, f"{HERE}/xfer.py", "connect", address, port, size],
                              timeout=timeout))
    server.wait(20)
    other = json.loads(server.log())
    assert mine["bytes"] == other["bytes"] == size
    assert mine["sent"] == other["received"]
    assert mine["received"] == other["sent"]


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("psk", [False, True], ids=["nopsk", "psk"])
@pytest.mark.parametrize("initiator", ["a", "b"])
def test_both_roles(lab, ours, outer, psk, initiator):
    a, b = pair(lab, ours, "wireguard-go", outer=outer, psk=genpsk() if psk else None,
                initiator=initiator)
    first, second = (a, b) if initiator == "a" else (b, a)
    for version in (4, 6):
        first.host.ping_until(second.inner(version), 10)
        second.host.ping(first.inner(version), 3, interval=0.1)
        transfer(first.host, second.host, second.inner(version), port=7000 + version)
    for me, other in ((a, b), (b, a)):
        state = me.show()[other.public]
        assert abs(state.handshake - time.time()) < 60
        assert state.rx > 0 and state.tx > 0
        assert (state.psk is not None) == psk


def test_large_and_small_datagrams(lab, ours):
    """Every size from empty to more than one packet (the inner stack fragments) comes back."""
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    for size in (0, 1, 15, 16, 17, 100, 1391, 1392, 1393, 4000, 20000):
        a.host.ping(b.ip4(), size=size)
        a.host.ping(b.ip6(), size=size)


def test_wrong_psk_passes_nothing(lab, ours):
    a, b = pair(lab, ours, "wireguard-go", start=False)
    a.peers[0].psk, b.peers[0].psk = genpsk(), genpsk()
    a.start()
    b.start()
    assert a.host.ping(b.ip4(), 3, interval=0.2, check=False) == 0
    assert b.host.ping(a.ip4(), 3, interval=0.2, check=False) == 0
    assert a.show()[b.public].handshake == 0
    # And the right one, set while running, does it.
    psk = genpsk()
    for me, other in ((a, b), (b, a)):
        me.set("peer", other.public, "preshared-key", "/dev/stdin", input=psk + "\n")
    a.host.ping_until(b.ip4(), 15)


def test_source_outside_allowed_ips_is_dropped(lab, ours):
    """What comes out of the tunnel with an address that is not the peer's never reaches the host."""
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    b.host.add_addr("wg0", "10.10.0.77/32")
    before = a.host.snmp("IcmpInEchos")
    assert b.host.ping(a.ip4(), 3, interval=0.1, src="10.10.0.77", check=False) == 0
    assert a.host.snmp("IcmpInEchos") == before
    b.host.ping(a.ip4(), src=b.ip4())


def test_garbage_costs_nothing(lab, ours):
    """Random and truncated datagrams at the port: the session goes on, nothing dies."""
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    pinger = b.host.pinger(a.ip4())
    b.host.run([PYTHON, f"{HERE}/garbage.py", "192.0.2.1", "51001", "20000"])
    sent, got, _ = pinger.stop()
    assert sent - got <= 1, f"{sent - got} of {sent} pings lost"
    assert a.proc.alive()
