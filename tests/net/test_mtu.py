# SPDX-License-Identifier: Apache-2.0
"""MTU 1280 to 9000, and what happens to what does not fit.

    a (ours) ── veth, MTU 1500 or 9216 ── b (wireguard-go)
"""
import pytest

from test_tunnel import transfer
from wgend import pair


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("mtu", [1280, 1281, 1420, 2000, 4096, 9000])
def test_full_packets_pass(lab, ours, mtu, outer):
    a, b = pair(lab, ours, "wireguard-go", mtu=mtu, outer=outer,
                link_mtu=1500 if mtu <= 1420 else 9216)
    a.host.ping_until(b.ip4(), 10)
    for me, other in ((a, b), (b, a)):
        for version, header in ((4, 28), (6, 48)):
            fits = mtu - header
            for size in (fits, fits - 1, fits - 15, fits - 16):
                me.host.ping(other.inner(version), size=size, df=True)
            # The device itself must refuse the next larger one, or this test proves nothing.
            assert me.host.ping(other.inner(version), size=fits + 1, df=True, check=False,
                                wait=0.3) == 0
    transfer(a.host, b.host, b.ip4(), 3_000_000)
    transfer(b.host, a.host, a.ip6(), 3_000_000, port=7001)


def test_inner_larger_than_outer(lab, ours):
    """MTU 9000 inside over an outer 1500: the outer datagrams are fragmented and arrive."""
    a, b = pair(lab, ours, "wireguard-go", mtu=9000, link_mtu=1500)
    a.host.ping_until(b.ip4(), 10)
    a.host.ping(b.ip4(), size=8972, df=True)
    transfer(a.host, b.host, b.ip4(), 3_000_000)


@pytest.mark.mintflow_only
@pytest.mark.parametrize("version", [4, 6])
def test_packet_too_big_comes_back(lab, ours, version):
    """TUN of 1500, WireGuard interface of 1300: the app hears of it and adapts."""
    a, b = pair(lab, ours, "wireguard-go", mtu=1300, a_kw={"tunnel_mtu": 1500})
    a.host.ping_until(b.ip4(), 10)
    header = 28 if version == 4 else 48
    dst = b.inner(version)
    r = a.host.run(["ping", "-n", "-c2", "-i0.3", "-W1", "-M", "do", "-s", 1400 - header, dst],
                   check=False)
    assert "1300" in r.stdout, f"no word of MTU 1300 in: {r.stdout}"
    route = a.host.out(["ip", "route", "get", dst])
    assert "mtu 1300" in route, f"the kernel has not learned the path MTU: {route}"
    a.host.ping(dst, size=1300 - header, df=True)
    a.host.ip("-4 route flush cache")
    a.host.ip("-6 route flush cache")
    transfer(a.host, b.host, dst, 3_000_000)
    if version == 4:
        # Without DF too: we never fragment, the host learns the size and does it. The first is lost.
        r = a.host.run(["ping", "-n", "-c3", "-i0.3", "-W1", "-M", "dont", "-s", "1400", dst],
                       check=False)
        assert "2 received" in r.stdout or "3 received" in r.stdout, r.stdout


@pytest.mark.mintflow_only
def test_too_big_errors_are_rate_limited(lab, ours):
    a, b = pair(lab, ours, "wireguard-go", mtu=1300, a_kw={"tunnel_mtu": 1500})
    a.host.ping_until(b.ip4(), 10)
    before = a.host.snmp("IcmpInDestUnreachs")
    script = ("import socket\n"
              "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
              "s.setsockopt(socket.IPPROTO_IP,10,3)\n"      # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
              "for i in range(20000):\n"
              "  try: s.sendto(bytes(1440),('10.10.0.2',9))\n"
              "  except OSError: pass\n")
    a.host.run(["/usr/bin/python3", "-c", script])
    got = a.host.snmp("IcmpInDestUnreachs") - before
    assert 1 <= got < 5000, f"{got} ICMP errors for 20000 packets"
    a.host.ping(b.ip4())
