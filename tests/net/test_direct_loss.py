# SPDX-License-Identifier: Apache-2.0
"""TCP that goes `direct` over a way that loses packets, or is cut for a while. On the far link the
operating system's TCP copes; on the near one it is ours.

    app ── home (ours) ── isp ── net
        ^               ^
        near            far

Lost are single packets of wire size: devices are told not to send super-packets. Quick runs carry
megabytes; --full carries a gigabyte each way.
"""
import socket
import threading

import pytest

from directnet import WEB, WEB4, Internet, joined, read_all
from test_tunnel import transfer

pytestmark = pytest.mark.direct
GB, MB = 1_000_000_000, 1_000_000


def size(full, percent):
    return GB if full else {1: 40 * MB, 5: 8 * MB}[percent]


@pytest.mark.parametrize("percent", [1, 5])
def test_loss_on_the_far_link(lab, ours, full, percent):
    it = Internet(lab, ours)
    it.home.no_segmentation("to-isp")
    it.isp.no_segmentation("to-home")
    it.home.lose(percent, "to-isp")
    it.isp.lose(percent, "to-home", hook="prerouting")
    transfer(it.app, it.net, WEB4, size(full, percent), timeout=3600 if full else 120)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("percent", [1, 5])
def test_loss_on_the_near_link(lab, ours, full, percent, version):
    """The apps' machine is behind us: what is lost there our TCP sends again, in both directions."""
    it = Internet(lab, ours, router=True)
    it.home.no_segmentation("to-app")
    it.app.no_segmentation("to-home")
    it.app.lose(percent, "to-home")
    it.home.lose(percent, "to-app", hook="prerouting")
    transfer(it.app, it.net, WEB[version], size(full, percent), timeout=3600 if full else 120)
    if ours == "mintflow":
        assert retransmits(it.end) > size(full, percent) / 1500 * percent / 100 / 2


def retransmits(end):
    """Segments that our TCP has sent again."""
    rows = [r for table in end.json("show", "nodes", "--all").values() if isinstance(table, list)
            for r in table if r.get("counter") == "retransmits"]
    return sum(r["value"] for r in rows)


@pytest.mark.parametrize("where", ["near", "far"])
def test_the_link_goes_down_and_comes_back(lab, ours, full, where):
    """A cable is out for a few seconds in the middle of a transfer: it stalls, and ends well."""
    it = Internet(lab, ours, router=True)
    mine, theirs = joined(it.app, it.net, WEB4)
    block = bytes(range(256)) * 4096
    total = 400 if full else 60         # blocks of a megabyte
    got = []
    reader = threading.Thread(target=lambda: got.append(read_all(theirs)), daemon=True)
    reader.start()
    host, dev = (it.app, "to-home") if where == "near" else (it.isp, "to-net")
    for n in range(total):
        if n == total // 2:
            host.ip(f"link set {dev} down")
            timer = threading.Timer(10 if full else 2.5, bring_up, (host, dev, it))
            timer.start()
        mine.sendall(block)
    mine.shutdown(socket.SHUT_WR)
    reader.join(60)
    assert got and got[0] == block * total


def bring_up(host, dev, it):
    host.ip(f"link set {dev} up")
    # What the kernel forgets with the link.
    if dev == "to-home":
        host.ip("route replace default via 10.9.0.1")
    else:
        host.ip("route replace 198.18.0.0/16 via 198.51.100.2")
