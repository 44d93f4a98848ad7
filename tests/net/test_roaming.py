# SPDX-License-Identifier: Apache-2.0
"""Either side changes its address or its port; the other follows the first authentic packet.

    a (ours) ── 192.0.2.0/24, 2001:db8::/64 ── b (wireguard-go)
"""
import pytest

from lab import wait_for
from wgend import pair


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_new_address(lab, ours, who):
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    mover, other = (a, b) if who == "ours" else (b, a)
    dev = "to-b" if who == "ours" else "to-a"
    old = "192.0.2.1" if who == "ours" else "192.0.2.2"
    stays = other.show()[mover.public]
    assert stays.endpoint.startswith(old + ":")
    mover.host.del_addr(dev, f"{old}/24")
    mover.host.add_addr(dev, "192.0.2.99/24")
    if mover.impl == "wireguard-go":
        # It keeps sending from the address that is gone (its sticky source is only cleared when
        # the route's interface changes), so it has to be told.
        addr = "192.0.2.2:51002" if who == "ours" else "192.0.2.1:51001"
        mover.set("peer", other.public, "endpoint", addr)
    # The mover speaks: a packet of the old session from a new address is enough.
    took = mover.host.ping_until(other.ip4(), 10)
    moved = other.show()[mover.public]
    assert moved.endpoint == "192.0.2.99:" + stays.endpoint.rsplit(":", 1)[1]
    other.host.ping(mover.ip4(), 3, interval=0.1)
    assert took < 3


@pytest.mark.parametrize("who", ["ours", "theirs"])
def test_new_port(lab, ours, who):
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    mover, other = (a, b) if who == "ours" else (b, a)
    handshake = other.show()[mover.public].handshake
    mover.set("listen-port", "52345")
    assert mover.listen_port() == 52345
    mover.host.ping_until(other.ip4(), 10)
    assert other.show()[mover.public].endpoint.endswith(":52345")
    assert other.show()[mover.public].handshake >= handshake


def test_from_v4_to_v6(lab, ours):
    a, b = pair(lab, ours, "wireguard-go", initiator="a")
    a.host.ping_until(b.ip4(), 10)
    a.set("peer", b.public, "endpoint", "[2001:db8::2]:51002")
    a.host.ping_until(b.ip4(), 10)
    assert b.show()[a.public].endpoint == "[2001:db8::1]:51001"
    b.host.ping(a.ip6(), 3, interval=0.1)


def test_a_forged_packet_does_not_move_the_endpoint(lab, ours):
    """Copies and mangled copies of real data messages from another address change nothing."""
    a, b = pair(lab, ours, "wireguard-go")
    b.host.add_addr("to-a", "192.0.2.66/24")
    a.host.ping_until(b.ip4(), 10)
    cap = a.host.capture("to-b", "udp and dst port 51001")
    b.host.ping(a.ip4(), 5, interval=0.05)
    packets = [bytes(p["UDP"].payload) for p in cap.packets()]
    data = [p for p in packets if p[:1] == b"\x04"]
    assert data, "no data message captured"
    script = ("import socket,sys\n"
              "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('192.0.2.66',50000))\n"
              "for l in sys.stdin:\n"
              "  d=bytearray.fromhex(l.strip()); s.sendto(d,('192.0.2.1',51001))\n"
              "  d[8]+=1 if d[8]<255 else -1; s.sendto(d,('192.0.2.1',51001))\n"
              "  d[9]^=0x7f; d[-1]^=1; s.sendto(d,('192.0.2.1',51001))\n")
    b.host.run(["/usr/bin/python3", "-c", script], input="\n".join(p.hex() for p in data) + "\n")
    assert a.show()[b.public].endpoint == "192.0.2.2:51002"
    b.host.ping(a.ip4())
    a.host.ping(b.ip4())
    wait_for("the endpoint to be unmoved",
             lambda: a.show()[b.public].endpoint == "192.0.2.2:51002", 1)
