# SPDX-License-Identifier: Apache-2.0
"""65 000 allowed IPs over two peers, and allowed IPs that move from peer to peer.

                 ┌── b (wireguard-go)    has every even /32 of 10.128.0.0/9
    a (ours) ────┤
                 └── c (wireguard-go)    has every odd one

b and c answer for all of 10.128.0.0/9 (a local route), so which of them answers tells where a
packet went.
"""
import ipaddress
import random
import time

from lab import hostport
from wgend import make

COUNT = 65000
BASE = int(ipaddress.ip_address("10.128.0.0"))


def spread(i):
    """The i-th address: scattered over the /9 so that no prefix covers neighbours."""
    return str(ipaddress.ip_address(BASE + ((i * 0x9E3779B1) & 0x7FFFFF)))


def build(lab, ours, b_allowed, c_allowed):
    a, b, c = lab.host("a"), lab.host("b"), lab.host("c")
    lab.link(a, b, ["192.0.2.1/30"], ["192.0.2.2/30"])
    lab.link(a, c, ["192.0.2.5/30"], ["192.0.2.6/30"])
    routes = [{"cidr": "10.128.0.0/9", "to": "wg0"}, {"cidr": "10.10.0.0/24", "to": "wg0"}]
    ea = make(ours, a, ["10.10.0.1/24"], port=51001, routes=routes)
    ends = []
    for host, n, addr in ((b, 2, "192.0.2.2"), (c, 3, "192.0.2.6")):
        e = make("wireguard-go", host, [f"10.10.0.{n}/24"], port=51002)
        e.peer(ea)
        e.start()
        host.ip("route add local 10.128.0.0/9 dev lo")
        ends.append(e)
    ea.peer(ends[0], b_allowed, hostport("192.0.2.2", 51002))
    ea.peer(ends[1], c_allowed, hostport("192.0.2.6", 51002))
    ea.start()
    a.ip(f"route replace 10.128.0.0/9 dev {ea.dev}")
    a.ping_until("10.10.0.2", 10)
    a.ping_until("10.10.0.3", 10)
    return ea, ends[0], ends[1]


def who_answers(a, b, c, address):
    before = b.host.snmp("IcmpInEchos"), c.host.snmp("IcmpInEchos")
    answered = a.host.ping(address, check=False, wait=0.5)
    after = b.host.snmp("IcmpInEchos"), c.host.snmp("IcmpInEchos")
    if not answered:
        return None
    # c first: only b may be pinged by something else at the same time.
    return "c" if after[1] > before[1] else "b" if after[0] > before[0] else "?"


def check_sample(a, b, c, n=25, seed=None):
    seed = seed if seed is not None else time.time_ns()
    rng = random.Random(seed)
    for i in [0, 1, COUNT - 2, COUNT - 1] + rng.sample(range(COUNT), n):
        want = "b" if i % 2 == 0 else "c"
        got = who_answers(a, b, c, spread(i))
        assert got == want, f"seed {seed}: {spread(i)} (number {i}) answered by {got}, not {want}"


def addresses():
    even = [spread(i) + "/32" for i in range(0, COUNT, 2)]
    odd = [spread(i) + "/32" for i in range(1, COUNT, 2)]
    return even, odd


def test_65000_from_the_start(lab, ours):
    even, odd = addresses()
    if ours == "mintflow":      # a profile may have 1 MiB: without /32 they fit
        even, odd = ([x.removesuffix("/32") for x in v] for v in (even, odd))
    a, b, c = build(lab, ours, ["10.10.0.2/32"] + even, ["10.10.0.3/32"] + odd)
    state = a.show()
    assert len(state[b.public].allowed) == len(even) + 1
    assert len(state[c.public].allowed) == len(odd) + 1
    check_sample(a, b, c)
    # An address of the /9 that nobody has goes nowhere.
    have = {int(ipaddress.ip_address(spread(i))) for i in range(COUNT)}
    free = next(x for x in range(BASE + 12345, BASE + 99999) if x not in have)
    assert who_answers(a, b, c, str(ipaddress.ip_address(free))) is None


def test_65000_through_wg(lab, ours):
    """The same, brought in by `wg addconf` while traffic runs; then all of it moved to the other."""
    even, odd = addresses()
    a, b, c = build(lab, ours, ["10.10.0.2/32"], ["10.10.0.3/32"])
    pinger = a.host.pinger("10.10.0.2", 0.05)
    # addconf replaces the allowed IPs of the peers it names.
    for end, mine in ((b, ["10.10.0.2/32"] + even), (c, ["10.10.0.3/32"] + odd)):
        text = f"[Peer]\nPublicKey = {end.public}\n"
        for i in range(0, len(mine), 500):
            text += "AllowedIPs = " + ", ".join(mine[i:i + 500]) + "\n"
        a.setconf(text, "addconf")
    check_sample(a, b, c, 10)
    handshake = a.show()[b.public].handshake
    # One /32 of b's moves to c: it must leave b.
    target = spread(2)
    a.set("peer", c.public, "allowed-ips",
          ",".join(["10.10.0.3/32", target + "/32"]))
    assert who_answers(a, b, c, target) == "c"
    state = a.show()
    assert target + "/32" not in state[b.public].allowed
    assert sorted(state[c.public].allowed) == sorted(["10.10.0.3/32", target + "/32"])
    assert who_answers(a, b, c, spread(1)) is None, "replaced allowed IPs are gone"
    assert state[b.public].handshake == handshake, "b lost its session"
    sent, got, _ = pinger.stop()
    assert sent - got <= 2, f"{sent - got} of {sent} pings lost while allowed IPs changed"


def test_longest_match_wins(lab, ours):
    a, b, c = build(lab, ours, ["10.10.0.2/32", "10.128.0.0/9"],
                    ["10.10.0.3/32", "10.200.0.0/16", "10.200.7.0/24"])
    assert who_answers(a, b, c, "10.130.1.1") == "b"
    assert who_answers(a, b, c, "10.200.1.1") == "c"
    a.set("peer", b.public, "allowed-ips", "10.10.0.2/32,10.128.0.0/9,10.200.7.128/25")
    assert who_answers(a, b, c, "10.200.7.127") == "c"
    assert who_answers(a, b, c, "10.200.7.128") == "b"
    # What comes back is judged by the same table: c may not send as 10.200.7.200.
    b.host.ip("route del local 10.128.0.0/9 dev lo")
    c.host.add_addr("lo", "10.200.7.200/32", "10.200.7.20/32")
    assert c.host.ping("10.10.0.1", check=False, src="10.200.7.200", wait=0.5) == 0
    assert c.host.ping("10.10.0.1", src="10.200.7.20") == 1
