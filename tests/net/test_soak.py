# SPDX-License-Identifier: Apache-2.0
"""64 peers that come and go under traffic for a while; memory stays flat.

    a (ours) ── b: 64 times wireguard-go

One minute in ./check, five with --full.
"""
import random
import time

import pytest

from soak import grew
from wgend import star

PEERS = 64


@pytest.mark.slow
def test_memory_stays_flat(lab, ours, full):
    a, others = star(lab, ours, PEERS)
    for i in range(1, PEERS + 1):
        a.host.ping_until(f"10.30.{i}.1", 10)
    for i in (1, 2):
        others[0].host.iperf_server(5200 + i, bind=f"10.30.{i}.1")
    seed = time.time_ns()
    rng = random.Random(seed)
    end = time.monotonic() + (300 if full else 60)
    load = None
    samples = []
    while time.monotonic() < end:
        if load is None or not load.alive():
            i = rng.choice((1, 2))
            load = a.host.popen(["iperf3", "-c", f"10.30.{i}.1", "-p", 5200 + i, "-t", 5, "-b",
                                 "100M", "-P", 4], "load")
        gone = rng.sample(range(3, PEERS + 1), 8)
        for i in gone:
            a.set("peer", others[i - 1].public, "remove")
        for i in gone:
            a.set("peer", others[i - 1].public, "allowed-ips",
                  f"10.30.{i}.1/32,10.{100 + rng.randrange(100)}.0.0/16", "endpoint",
                  f"192.0.2.2:{52000 + i}")
        for i in rng.sample(gone, 2):
            a.host.ping_until(f"10.30.{i}.1", 15)
        samples.append(a.proc.memory_kib())
        assert a.proc.alive()
    # Go's heap breathes; ours does not, but for a few pages in which what comes and goes finds other places: 40 KiB
    # with 2400 peers that went, while what was allocated stayed within 2. A leak of 30 bytes a peer is more.
    trouble = grew(samples, 64 if ours == "mintflow" else 8192)
    assert not trouble, f"seed {seed}, {len(samples)} rounds: {trouble}"
    for i in range(1, PEERS + 1):
        a.host.ping_until(f"10.30.{i}.1", 15)
