# SPDX-License-Identifier: Apache-2.0
"""New keys in the middle of a transfer, in both roles, with the real 120 seconds.

    a (ours) ── b (wireguard-go)       a is the initiator
    a (ours) ── b (wireguard-go)       b is the initiator

REKEY_AFTER_TIME cannot be shortened from outside, so this test takes two minutes and a quarter;
both roles run at once, the test is started first and mostly waits.
"""
import json

import pytest

from lab import Lab
from wgend import pair

LENGTH = 132


class Transfer:
    """TCP one way, a steady UDP stream the other, and a ping: all small, the machine has other work."""

    def __init__(self, lab, ours, initiator):
        self.role = "ours" if initiator == "a" else "theirs"
        self.a, self.b = pair(lab, ours, "wireguard-go", initiator=initiator)
        first, second = (self.a, self.b) if initiator == "a" else (self.b, self.a)
        first.host.ping_until(second.ip4(), 10)
        self.before = self.a.show()[self.b.public].handshake
        second.host.iperf_server()
        second.host.iperf_server(5202)
        self.pinger = first.host.pinger(second.ip6(), 0.05)
        self.tcp = first.host.popen(["iperf3", "-J", "-c", second.ip4(), "-b", "10M", "-t", LENGTH],
                                    "tcp")
        self.udp = first.host.popen(["iperf3", "-J", "-c", second.ip4(), "-p", 5202, "-u", "-R",
                                     "-b", "2M", "-l", "1200", "-t", LENGTH], "udp")

    def check(self):
        self.tcp.wait(LENGTH + 30)
        self.udp.wait(30)
        sent, got, gap = self.pinger.stop()
        who = f"{self.role} initiating"
        after = self.a.show()[self.b.public].handshake
        assert after - self.before >= 100, f"{who}: no new handshake in 132 s of traffic"
        tcp, udp = json.loads(self.tcp.log()), json.loads(self.udp.log())
        stalls = [i["sum"]["start"] for i in tcp["intervals"] if i["sum"]["bytes"] == 0]
        assert not stalls, f"{who}: TCP stood still at {stalls}"
        # On a busy machine wireguard-go's socket overflows now and then (it keeps the small default
        # buffer), and the kernel counts that. Nothing else may be lost.
        overflowed = sum(e.host.snmp("UdpRcvbufErrors") for e in (self.a, self.b))
        assert gap < 1.0, f"{who}: no answer for {gap:.2f} s"
        assert sent - got <= overflowed, \
            f"{who}: {sent - got} of {sent} pings lost, at {self.pinger.missing}, new keys at {after}"
        s = udp["end"]["sum"]
        assert s["lost_packets"] <= overflowed, \
            f"{who}: {s['lost_packets']} of {s['packets']} datagrams lost"


@pytest.mark.slow
@pytest.mark.first
def test_rekey_in_a_running_transfer(lab, ours):
    with Lab("rekey-b") as other:
        transfers = [Transfer(lab, ours, "a"), Transfer(other, ours, "b")]
        for t in transfers:
            t.check()
