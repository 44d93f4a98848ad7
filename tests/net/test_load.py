# SPDX-License-Identifier: Apache-2.0
"""A flood of handshakes: cookies in both directions, and data goes on.

    a (ours) ── 192.0.2.0/24 ── b (wireguard-go) and, at the same cable, the flooder's addresses
"""
import json
import time

import pytest

from lab import HERE, PYTHON, wait_for
from wgend import pair

SOURCES = [f"192.0.2.{i}" for i in range(100, 108)]


def flood(frm, victim, address, port, seconds, rate):
    return frm.popen([PYTHON, f"{HERE}/flood.py", victim.public, address, port, seconds, rate]
                     + SOURCES, "flood")


def outcome(proc):
    """Of a flood that has ended."""
    return json.loads(proc.log().splitlines()[-1])


@pytest.mark.parametrize("initiator", ["a", "b"], ids=["ours-initiates", "ours-responds"])
def test_a_handshake_succeeds_under_flood(lab, ours, initiator):
    """The responder is flooded; the initiator gets a cookie and uses it."""
    a, b = pair(lab, ours, "wireguard-go", initiator=initiator)
    first, second = (a, b) if initiator == "a" else (b, a)
    address, port = ("192.0.2.2", 51002) if initiator == "a" else ("192.0.2.1", 51001)
    dev = "to-b" if initiator == "a" else "to-a"
    first.host.add_addr(dev, *[s + "/24" for s in SOURCES])
    proc = flood(first.host, second, address, port, 100, 30000)
    wait_for("a cookie reply", lambda: "under load" in proc.log(), 30)
    # Retries are 5 s apart. The first gets a cookie, the second goes through; where wireguard-go
    # responds and its socket overflows, a later one.
    first.host.ping_until(second.ip4(), 80)
    assert proc.alive(), "the flood has ended by itself"
    assert second.show()[first.public].handshake > 0
    proc.stop(20)
    if second.impl == "mintflow":
        assert second.drops()["wg-mac2"] > 0


def test_data_goes_on_under_flood(lab, ours):
    """Handshakes have a budget of their own: the session's packets do not wait for them."""
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    b.host.add_addr("to-a", *[s + "/24" for s in SOURCES])
    proc = flood(b.host, a, "192.0.2.1", 51001, 5, 20000)
    time.sleep(0.5)
    pinger = b.host.pinger(a.ip4(), 0.02)
    proc.wait(20)
    sent, got, gap = pinger.stop()
    result = outcome(proc)
    assert got >= 0.99 * sent, f"{sent - got} of {sent} pings lost under {result}"
    assert gap < 1.0, f"nothing for {gap:.2f} s under {result}"
    # Not one of them was a handshake, so none may be answered as one.
    assert not [k for k in result["answers"] if k.startswith("2:")]


def test_cookies_only_under_load(lab, ours):
    """A trickle of bad initiations is silently dropped: no answer that an attacker could use."""
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    b.host.add_addr("to-a", *[s + "/24" for s in SOURCES])
    proc = flood(b.host, a, "192.0.2.1", 51001, 3, 4)
    proc.wait(20)
    result = outcome(proc)
    assert result["sent"] >= 8
    assert result["answers"] == {}
