# SPDX-License-Identifier: Apache-2.0
"""ICMP that goes `direct`: echo, and what routers on the way have to say.

    app = home (ours) ── isp (192.0.2.1) ── net
"""
import re

import pytest

from directnet import BAD, WEB, Internet

pytestmark = pytest.mark.direct
INDEX = {4: 0, 6: 1}
ISP = {4: "192.0.2.1", 6: "2001:db8:2::1"}


@pytest.mark.parametrize("version", [4, 6])
def test_ping(lab, ours, version):
    it = Internet(lab, ours)
    for size in (0, 8, 56, 1472 if version == 4 else 1452):
        it.app.ping(WEB[version], 2, size=size, interval=0.1)
    for size in (1473, 8000, 30000):
        it.app.ping(WEB[version], size=size)
    # Several at a time do not get each other's answers.
    pingers = [it.app.pinger(WEB[version], 0.05) for _ in range(5)]
    it.app.ping(WEB[version], 10, interval=0.05)
    for p in pingers:
        sent, got, _ = p.stop()
        assert sent - got <= 1, f"{got} of {sent}"
        assert "DUP" not in p.proc.log()
    if ours == "mintflow":
        pings = [s for s in it.end.sessions() if s["kind"] == "echo"]
        assert len(pings) > 5 and {s["destination"] for s in pings} == {WEB[version]}


@pytest.mark.parametrize("version", [4, 6])
def test_ping_to_nowhere(lab, ours, version):
    """The router's answer reaches ping; silence stays silence."""
    it = Internet(lab, ours)
    r = it.app.run(["ping", "-n", "-c2", "-i0.3", "-W1", BAD["unreachable"][INDEX[version]]],
                   check=False)
    assert "0 received" in r.stdout
    assert re.search(r"[Uu]nreachable|No route", r.stdout), r.stdout
    r = it.app.run(["ping", "-n", "-c2", "-i0.3", "-W1", BAD["blackhole"][INDEX[version]]],
                   check=False)
    assert "0 received" in r.stdout and "nreachable" not in r.stdout, r.stdout


@pytest.mark.mintflow_only
def test_the_kernels_default_lets_nobody(lab):
    """So Debian has it: we let ourselves, and what somebody has chosen stays."""
    it = Internet(lab, start=False)
    for before, after in (("1 0", ["0", "0"]), ("7 8", ["7", "8"])):
        it.home.sysctl("net.ipv4.ping_group_range", before)
        it.end.start()
        assert it.home.out(["sysctl", "-n", "net.ipv4.ping_group_range"]).split() == after
        assert it.app.ping(WEB[4], check=False) == (after == ["0", "0"])
        it.end.cli("stop")


@pytest.mark.mintflow_only
@pytest.mark.parametrize("version", [4, 6])
def test_without_the_systems_leave(lab, version):
    """No ping sockets for us: each ping is answered with "prohibited" at once, and the log says why."""
    it = Internet(lab)
    it.home.sysctl("net.ipv4.ping_group_range", "1 0")
    r = it.app.run(["ping", "-n", "-c3", "-i0.3", "-W1", WEB[version]], check=False)
    told = [x for x in r.stdout.splitlines() if re.search("(?i)filtered|prohibited", x)]
    assert [re.search(r"icmp_seq=(\d+)", x)[1] for x in told] == ["1", "2", "3"], r.stdout
    assert it.end.proc.log().count("ping_group_range") == 1


@pytest.mark.parametrize("version", [4, 6])
def test_time_to_live(lab, ours, version):
    """A ping with a TTL of 1 does not get further than the first router, which says so."""
    it = Internet(lab, ours)
    r = it.app.run(["ping", "-n", "-c2", "-i0.3", "-W1", "-t1", WEB[version]], check=False)
    assert "0 received" in r.stdout
    assert re.search(r"(?i)from \S+.*(time to live exceeded|hop limit)", r.stdout), r.stdout


@pytest.mark.parametrize("kind", ["-I", "-U"], ids=["icmp", "udp"])
@pytest.mark.parametrize("version", [4, 6])
def test_traceroute(lab, ours, version, kind):
    it = Internet(lab, ours)
    out = it.app.out(["traceroute", f"-{version}", "-n", "-q", "2", "-w", "5", "-m", "6", kind,
                      WEB[version]], timeout=60)
    hops = [re.findall(r"[0-9a-f:.]{3,}[0-9a-f]", x.split(None, 1)[1])[:1]
            for x in out.splitlines()[1:]]
    hops = [h[0] for h in hops if h]
    assert hops and hops[-1] == WEB[version], out
    assert ISP[version] in hops, out
