# SPDX-License-Identifier: Apache-2.0
"""Every offload switched off, one by one and all together: slower, never wrong.

    a (ours, with switches) ── b (wireguard-go), and a (switches) ── b (ours, all on)
"""
import pytest

from test_tunnel import transfer
from wgend import pair

SWITCHES = ["checksum", "tso", "uso", "gso", "gro", "coalesce"]
pytestmark = pytest.mark.mintflow_only


def without(*names):
    def tweak(profile):
        profile["tunnel"]["offload"] = {n: False for n in names}
    return tweak


@pytest.mark.parametrize("theirs", ["wireguard-go", "mintflow"])
@pytest.mark.parametrize("off", [[], *[[s] for s in SWITCHES], SWITCHES],
                         ids=["none", *SWITCHES, "all"])
def test_switched_off(lab, ours, off, theirs):
    a, b = pair(lab, ours, theirs, a_kw={"tweak": without(*off)})
    a.host.ping_until(b.ip4(), 10)
    transfer(a.host, b.host, b.ip4(), 20_000_000)
    transfer(a.host, b.host, b.ip6(), 20_000_000, port=7001)
    # UDP, small and large, both ways: every datagram is whole.
    b.host.iperf_server()
    for extra in ([], ["-R"]):
        def not_read_in_time():         # by iperf3 itself, on a busy machine
            return sum(e.host.snmp("UdpRcvbufErrors") for e in (a, b))
        before = not_read_in_time()
        j = a.host.iperf(b.ip4(), "-u", "-b", "20M", "-l", "1300", *extra, seconds=1)
        s = j["end"]["sum"]
        lost = s["lost_packets"] - (not_read_in_time() - before)
        assert s["packets"] > 500 and lost <= 0.02 * s["packets"], s


@pytest.mark.parametrize("workers", [1, 2])
def test_workers(lab, ours, workers):
    def tweak(profile):
        profile["limits"] = {"workers": workers}
    a, b = pair(lab, ours, ours, a_kw={"tweak": tweak}, b_kw={"tweak": tweak})
    a.host.ping_until(b.ip4(), 10)
    transfer(a.host, b.host, b.ip4(), 50_000_000)
    transfer(b.host, a.host, a.ip6(), 50_000_000, port=7001)


def test_udp_super_packets_arrive_in_pieces(lab, ours):
    """An app that uses UDP_SEGMENT itself: the far end gets its datagrams one by one, in order."""
    script_tx = ("import socket,struct,sys\n"
                 "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                 "s.setsockopt(17,103,1000)\n"                    # SOL_UDP, UDP_SEGMENT
                 "s.connect(('10.10.0.2',9000))\n"
                 "for k in range(100):\n"
                 "  s.send(b''.join(struct.pack('>I',k*20+i)+bytes([i]*996) for i in range(20)))\n"
                 "  import time; time.sleep(0.005)\n"
                 "s2=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s2.connect(('10.10.0.2',9000))\n"
                 "try:\n"
                 "  for k in range(5): s2.send(b'end'); time.sleep(0.05)\n"
                 "except ConnectionRefusedError: pass\n")          # the first one was enough
    script_rx = ("import socket,struct\n"
                 "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('10.10.0.2',9000))\n"
                 "s.setsockopt(socket.SOL_SOCKET,socket.SO_RCVBUF,8<<20); s.settimeout(20)\n"
                 "seen=[]\n"
                 "while True:\n"
                 "  d=s.recv(65535)\n"
                 "  if d==b'end': break\n"
                 "  n,=struct.unpack('>I',d[:4]); assert len(d)==1000, len(d)\n"
                 "  assert d[4:]==bytes([n%20]*996); seen.append(n)\n"
                 "print(len(seen), seen==sorted(seen))\n")
    a, b = pair(lab, ours, "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    rx = b.host.popen(["/usr/bin/python3", "-c", script_rx], "rx")
    from lab import wait_for
    wait_for("the receiver", lambda: b.host.listening(9000, "udp"))
    a.host.run(["/usr/bin/python3", "-c", script_tx])
    rx.wait(25)
    count, in_order = rx.log().split()
    assert in_order == "True"
    assert int(count) >= 1980, f"{count} of 2000 datagrams"
