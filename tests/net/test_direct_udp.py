# SPDX-License-Identifier: Apache-2.0
"""UDP that goes `direct`: how the translation behaves towards the internet (RFC 4787), sizes, errors,
time-outs.

    app = home (ours) ── isp ── net: servers on many addresses
                              ^
                              narrow: MTU 1300, in one test
"""
import errno
import json
import re
import socket
import struct
import threading
import time

import pytest

from directnet import BAD, HOME4, HOME6, WEB, WEB4, Internet, inet
from lab import wait_for

pytestmark = pytest.mark.direct
SECOND = {4: "198.18.0.2", 6: "2001:db8:99::2"}
HOME = {4: HOME4, 6: HOME6}
SOL_UDP, UDP_SEGMENT = 17, 103
INDEX = {4: 0, 6: 1}
# A path MTU that the kernel has learned makes a route of 128 bits under the default route of the main
# table, and `suppress_prefixlength 0` then lets apps use it.
PAST_THE_TUNNEL = pytest.param(6, marks=pytest.mark.xfail(
    strict=True, reason="IPv6 path MTU exceptions get past suppress_prefixlength"))


def udp(host, address, port=0, timeout=10):
    """A datagram socket of this host with this address."""
    s = host.socket(inet(address), socket.SOCK_DGRAM)
    s.bind((address, port))
    s.settimeout(timeout)
    return s


def client(host, version, timeout=10):
    return udp(host, "0.0.0.0" if version == 4 else "::", timeout=timeout)


def echo(sock):
    """Answers every datagram, in a thread, until the socket is closed."""
    def loop():
        sock.settimeout(None)
        while True:
            try:
                data, peer = sock.recvfrom(65535)
                sock.sendto(data, peer)
            except OSError:
                return
    threading.Thread(target=loop, daemon=True).start()
    return sock.getsockname()[:2]


def silent(sock, seconds=0.5):
    sock.settimeout(seconds)
    try:
        return sock.recvfrom(65535)
    except TimeoutError:
        return None
    finally:
        sock.settimeout(10)


@pytest.mark.parametrize("version", [4, 6])
def test_mapping_and_filtering(lab, ours, version):
    """What a STUN client measures: one mapping for all destinations, open to all of them (RFC 4787,
    REQ-1 and REQ-8; RFC 5780, 4.3 and 4.4)."""
    it = Internet(lab, ours)
    one, two = udp(it.net, WEB[version], 3478), udp(it.net, SECOND[version], 3479)
    third = udp(it.net, SECOND[version], 4000)
    app = client(it.app, version)
    seen = []
    for server in (one, two, third):
        app.sendto(b"who am I?", server.getsockname()[:2])
        data, peer = server.recvfrom(100)
        assert data == b"who am I?"
        seen.append(peer[:2])
        server.sendto(b"you", peer)
        assert app.recvfrom(100)[1][:2] == server.getsockname()[:2]
    assert seen[0][0] == HOME[version]
    assert seen[0] == seen[1] == seen[2], "the mapping depends on the destination"
    # Somebody who was never spoken to, from another address and from another port.
    for address, port in ((SECOND[version], 5001), (WEB[version], 5002)):
        stranger = udp(it.net, address, port)
        stranger.sendto(b"hello", seen[0])
        data, peer = app.recvfrom(100)
        assert data == b"hello" and peer[:2] == (address, port)
        app.sendto(b"hello yourself", peer[:2])
        assert stranger.recvfrom(100)[0] == b"hello yourself"
    # Another socket of the app is another mapping.
    other = client(it.app, version)
    other.sendto(b"x", one.getsockname()[:2])
    assert one.recvfrom(100)[1][:2] != seen[0]


@pytest.mark.parametrize("version", [4, 6])
def test_nobody_listens(lab, ours, version):
    """ICMP port unreachable from the server becomes ECONNREFUSED at the app's socket."""
    it = Internet(lab, ours)
    app = client(it.app, version)
    app.connect((WEB[version], 9))
    app.send(b"x")
    with pytest.raises(ConnectionRefusedError):
        app.recv(1)
    # The mapping lives on.
    port = echo(udp(it.net, WEB[version]))[1]
    app.connect((WEB[version], port))
    app.send(b"y")
    assert app.recv(10) == b"y"


@pytest.mark.parametrize("version", [4, 6])
def test_unreachable(lab, ours, version):
    """What a router says on the way reaches the socket, too (IP_RECVERR)."""
    it = Internet(lab, ours)
    app = client(it.app, version)
    level, option = (socket.IPPROTO_IP, 11) if version == 4 else (socket.IPPROTO_IPV6, 25)
    app.setsockopt(level, option, 1)
    app.connect((BAD["unreachable"][INDEX[version]], 9))
    app.send(b"x")
    with pytest.raises(OSError) as e:
        app.recv(1)
    assert e.value.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH)


@pytest.mark.parametrize("version", [4, PAST_THE_TUNNEL])
def test_too_big_for_the_path(lab, ours, version):
    """A datagram that must not be cut meets a narrow link: the app hears of its MTU."""
    it = Internet(lab, ours)
    for host, dev in ((it.isp, "to-net"), (it.net, "to-isp")):
        host.ip(f"link set {dev} mtu 1300")
    port = echo(udp(it.net, WEB[version]))[1]
    app = client(it.app, version)
    if version == 4:
        app.setsockopt(socket.IPPROTO_IP, 10, 2)        # IP_MTU_DISCOVER, IP_PMTUDISC_DO
    else:
        app.setsockopt(socket.IPPROTO_IPV6, 23, 2)
    app.connect((WEB[version], port))
    fits = 1300 - (28 if version == 4 else 48)

    def told():
        try:
            app.send(bytes(fits + 1))
        except OSError as e:
            assert e.errno == errno.EMSGSIZE
            return True
        return False
    wait_for("EMSGSIZE", told, 10, 0.2)
    level, option = (socket.IPPROTO_IP, 14) if version == 4 else (socket.IPPROTO_IPV6, 24)
    assert app.getsockopt(level, option) == 1300
    app.settimeout(10)
    app.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)      # said twice: clear it
    app.send(bytes(fits))
    assert len(app.recv(65535)) == fits


@pytest.mark.parametrize("version", [4, 6])
def test_large_datagrams(lab, ours, version):
    """Larger than any packet: cut and put together on both sides."""
    it = Internet(lab, ours)
    where = echo(udp(it.net, WEB[version]))
    app = client(it.app, version)
    for size in (0, 1, 1472, 1473, 8000, 60000, 65000):
        data = bytes(i * 7 % 251 for i in range(size))
        app.sendto(data, where)
        assert app.recv(65535) == data, size


def numbered(first, count, size):
    return b"".join(struct.pack(">I", first + i) + bytes([(first + i) % 256]) * (size - 4)
                    for i in range(count))


def receive_numbered(sock, count, size):
    seen = []
    while len(seen) < count:
        try:
            d = sock.recv(65535)
        except TimeoutError:
            break
        n, = struct.unpack(">I", d[:4])
        assert len(d) == size and d[4:] == bytes([n % 256]) * (size - 4), (n, len(d))
        seen.append(n)
    return seen


def bursts(it, version, direction):
    """50 times 20 datagrams of 1200 bytes in one call. Who has sent them, who has got them, and whom they were for."""
    server, app = udp(it.net, WEB[version], 4433), client(it.app, version, timeout=3)
    app.sendto(b"hello", server.getsockname()[:2])
    peer = server.recvfrom(10)[1][:2]
    tx, rx, to = (app, server, server.getsockname()[:2]) if direction == "up" else (server, app, peer)
    rx.settimeout(3)
    tx.setsockopt(SOL_UDP, UDP_SEGMENT, 1200)
    seen = []
    for k in range(50):
        tx.sendto(numbered(k * 20, 20, 1200), to)
        seen += receive_numbered(rx, 20, 1200)
    assert seen == list(range(1000)), f"{len(seen)} of 1000, or out of order"
    return tx, rx, to


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_super_packets(lab, ours, version, direction):
    """UDP_SEGMENT, as QUIC uses it: 20 datagrams of 1200 bytes in one call, and a shorter last one.
    They come one by one, whole and in order."""
    tx, rx, to = bursts(Internet(lab, ours), version, direction)
    tx.sendto(bytes(1200) * 3 + bytes(77), to)
    assert [len(rx.recv(65535)) for _ in range(4)] == [1200, 1200, 1200, 77]


def test_dns(lab, ours):
    """dig, over UDP and over TCP, and many at once."""
    it = Internet(lab, ours)
    it.net.popen(["dnsmasq", "-k", "-C", "/dev/null", "-u", "root", "-R", "-h", "-p", "53", "-x",
                  "/run/dns.pid", "--address=/example.net/203.0.113.80", "--max-cache-ttl=60"], "dnsmasq")
    wait_for("dnsmasq", lambda: it.net.listening(53, "udp"))
    for extra in ("", "+tcp"):
        out = it.app.out(f"dig @{WEB4} +short +tries=1 +time=5 {extra} www.example.net")
        assert out.strip() == "203.0.113.80"
    names = "".join(f"n{i}.example.net\n" for i in range(100))
    with open(lab.path("names"), "w") as f:
        f.write(names)
    out = it.app.out(f"dig @{WEB4} +short +tries=2 +time=5 -f {lab.path('names')}")
    assert out.split() == ["203.0.113.80"] * 100


@pytest.mark.mintflow_only
def test_timeouts_by_kind(lab):
    """A mapping for DNS goes before one for QUIC, and that before others; traffic keeps one alive."""
    it = Internet(lab, sessions={"udp_dns": 1, "udp_quic": 3, "udp": 6})
    ports = (53, 443, 9000, 9001)
    socks = [client(it.app, 4) for _ in ports]
    servers = [udp(it.net, WEB4, p) for p in ports]
    for s, p in zip(socks, ports):
        s.sendto(b"x", (WEB4, p))

    def there():
        return {int(re.search(r"(\d+)$", json.dumps(x["destination"]).strip('"')).group(1))
                for x in it.end.sessions()}
    assert there() == set(ports)
    start = time.monotonic()
    gone = {}
    while time.monotonic() - start < 12 and len(gone) < 3:
        socks[3].sendto(b"still here", (WEB4, 9001))
        for p in set(ports) - there() - set(gone):
            gone[p] = time.monotonic() - start
        time.sleep(0.1)
    assert list(gone) == [53, 443, 9000], gone
    assert there() == {9001}
    assert len(servers) == 4


@pytest.mark.mintflow_only
def test_too_many_mappings(lab):
    """A source that asks for more than its share gets no more; what it has goes on."""
    it = Internet(lab, sessions={"per_source": 20})
    where = echo(udp(it.net, WEB4))
    socks = [client(it.app, 4) for _ in range(40)]
    for s in socks:
        s.sendto(b"x", where)
        s.settimeout(1.0)
    answered = [s for s in socks if silent(s, 0.3)]
    assert len(answered) == 20
    for s in answered:
        s.sendto(b"again", where)
        assert s.recv(10) == b"again"
    assert it.end.drops()["sessions-source"] == 20
