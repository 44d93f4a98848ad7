# SPDX-License-Identifier: Apache-2.0
"""TCP that goes `direct`: real programs, both ways, half-closed, slow, idle, many.

    app = home (ours) ── isp ── net: every address of 198.18.0.0/16 and 2001:db8:99::/64
"""
import hashlib
import json
import os
import statistics
import time

import pytest

from directnet import (HOME4, HOME6, WEB, WEB4, Internet, Server, ask_and_end, connect, connect_errno, echo,
                       end_and_listen, joined, read_all, read_exactly)
from lab import bench_program, hostport, wait_for
from test_tunnel import transfer

pytestmark = pytest.mark.direct
MIB = 1 << 20


@pytest.mark.parametrize("version", [4, 6])
def test_curl(lab, ours, version):
    """A page, a film down, a film up; and the server sees home, not the tunnel."""
    it = Internet(lab, ours)
    film = os.urandom(MIB) * 48
    digest = hashlib.sha256(film).hexdigest()
    os.mkdir(lab.path("www"))
    with open(lab.path("www/film.bin"), "wb") as f:
        f.write(film)
    it.net.http_server(80, lab.path("www"))
    at = "http://" + hostport(WEB[version], 80)
    seen = json.loads(it.app.out(["curl", "-gsf", "-m", "10", at + "/whoami"]))["client"]
    assert seen == (HOME4 if version == 4 else HOME6)
    got = it.app.sh(f"curl -gsf -m 60 {at}/film.bin | sha256sum").stdout.split()[0]
    assert got == digest
    up = json.loads(it.app.out(["curl", "-gsf", "-m", "60", "-T", lab.path("www/film.bin"), at + "/x"]))
    assert up == {"bytes": len(film), "sha256": digest}


@pytest.mark.parametrize("version", [4, 6])
def test_iperf(lab, ours, version):
    it = Internet(lab, ours)
    it.net.iperf_server()
    for extra in ([], ["-R"], ["-P", "10"], ["--bidir"]):
        j = it.app.iperf(WEB[version], *extra, seconds=1)
        assert j["end"]["sum_received"]["bytes"] > MIB, extra


def test_half_close_by_the_app_first(lab, ours):
    """nc -N: the app has said all; the server answers only when it has seen the end of that."""
    ask_and_end(Internet(lab, ours), read_all)


def test_half_close_by_the_server_first(lab, ours):
    """nc -N at the server: it sends its file and ends; what the app says after that still arrives."""
    end_and_listen(Internet(lab, ours))


def test_interactive(lab, ours):
    """Keystrokes and echoes, as ssh has them: nobody waits for an acknowledgement to send one."""
    it = Internet(lab, ours)
    server = Server(it.net, echo)
    sock = connect(it.app, WEB4, server.port)
    sock.setsockopt(6, 1, 1)        # TCP_NODELAY
    times = []
    for n in range(200):
        key = bytes([n % 256]) * (1 + n % 5)
        start = time.monotonic()
        sock.sendall(key)
        assert read_exactly(sock, len(key)) == key
        times.append(time.monotonic() - start)
        time.sleep(0.002)
    # 40 ms would be somebody's delayed acknowledgement.
    assert statistics.median(times) < 0.02


def push(sock, limit=1 << 30, quiet=1.0):
    """Send until nothing goes any more for `quiet` seconds; how many bytes went."""
    sock.setblocking(False)
    block, sent, last = bytes(range(256)) * 1024, 0, time.monotonic()
    while time.monotonic() - last < quiet and sent < limit:
        try:
            n = sock.send(block[sent % 256:])
        except BlockingIOError:
            time.sleep(0.01)
            continue
        if n:
            sent, last = sent + n, time.monotonic()
    sock.settimeout(60)
    return sent


def pattern(start, n):
    return (bytes(range(256)) * (n // 256 + 2))[start % 256:][:n]


@pytest.mark.parametrize("direction", ["up", "down"])
def test_a_slow_reader_stops_the_sender(lab, ours, full, direction):
    """Nobody reads for a while (a minute with --full): little is in flight, memory stays where it is,
    and then every byte comes."""
    it = Internet(lab, ours)
    mine, theirs = joined(it.app, it.net, WEB4)
    writer, reader = (mine, theirs) if direction == "up" else (theirs, mine)
    before = it.end.proc.rss_kib() if it.end else 0
    sent = push(writer)
    # Two sockets' buffers on each side of us, 4 to 6 MiB each, and our own queue.
    assert 10_000 < sent < 40 * MIB
    time.sleep(60 if full else 3)
    assert push(writer, quiet=0.3) < MIB, "it went on without a reader"
    if it.end:
        grown = it.end.proc.rss_kib() - before
        assert grown < 12 * 1024, f"{grown} KiB more for one slow reader"
    writer.shutdown(1)
    got = 0
    while part := reader.recv(MIB):
        assert part == pattern(got, len(part)), f"wrong bytes at {got}"
        got += len(part)
    assert got >= sent
    # The other direction was open all the time.
    reader.sendall(b"thanks")
    assert read_exactly(writer, 6) == b"thanks"


@pytest.mark.mintflow_only
def test_memory_is_bounded_with_many_slow_readers(lab):
    """200 apps push at servers that do not read: what they have in flight comes out of the budget, and a
    201st still gets its page."""
    it = Internet(lab, limits={"memory": 32 * MIB, "workers": 1})
    it.net.http_server(80)
    before = it.end.proc.rss_kib()
    pairs = [joined(it.app, it.net, WEB4) for _ in range(200)]
    for mine, _ in pairs:
        push(mine, quiet=0)
    for _ in range(3):
        for mine, _ in pairs:
            push(mine, quiet=0.01)
    assert it.end.proc.rss_kib() - before < 40 * 1024
    assert connect_errno(it.app, WEB4, 80)[0] == 0
    r = it.app.run(["curl", "-gsf", "-m", "20", "-o", "/dev/null",
                    f"http://{WEB4}/bytes/3000000"], check=False)
    assert r.returncode == 0, "starved by those that do not move"


def test_a_server_that_never_accepts(lab, ours):
    """Its backlog takes one connection; the next is not answered before there is room, and is then."""
    it = Internet(lab, ours)
    server = Server(it.net, backlog=0)
    first = connect(it.app, WEB4, server.port)
    e, _ = connect_errno(it.app, WEB4, server.port, timeout=1.5)
    assert e == 110, "answered before the server had"
    sent = push(first)
    assert sent < 40 * MIB
    waiting = it.app.socket()
    waiting.setblocking(False)
    assert waiting.connect_ex((WEB4, server.port)) == 115       # EINPROGRESS
    time.sleep(0.5)
    accepted = server.accept()
    assert read_exactly(accepted, 256) == pattern(0, 256)
    server.serve(echo)
    late = connect(it.app, WEB4, server.port)
    late.sendall(b"hello")
    assert read_exactly(late, 5) == b"hello"


@pytest.mark.parametrize("mtu", [1280, 1500, 9000])
def test_mtu(lab, ours, mtu):
    """The tunnel's MTU is the apps' business only: the far link has its own."""
    it = Internet(lab, ours, mtu=mtu)
    transfer(it.app, it.net, WEB[4], 20_000_000)
    transfer(it.app, it.net, WEB[6], 20_000_000, port=7001)


def test_ten_thousand_sessions(lab, ours):
    """Opened, idle, each asked twice, closed: none lost."""
    it = Internet(lab, ours, sessions={"max": 10240, "per_source": 10240})
    program = bench_program("sockbench")
    server = it.net.popen([program, "serve", "198.18.0.1", 7000, 16], "serve")
    wait_for("the server", lambda: it.net.listening(7015))
    r = it.app.run([program, "sessions", WEB4, 7000, 16, 10000, 2, 3.9], input="\n\n", timeout=100)
    opened, active = [json.loads(x) for x in r.stdout.splitlines()]
    assert opened["count"] == 10000 and not opened["lost"], opened
    assert active["count"] >= 19000 and not active["lost"], active
    assert server.alive()
    if ours == "mintflow":
        wait_for("the sessions' end", lambda: len(it.end.sessions()) < 100, 20)


@pytest.mark.parametrize("version", [4, 6])
def test_churn(lab, ours, version):
    """5000 connections, 64 at a time, every other one closed by the server."""
    it = Internet(lab, ours)
    program = bench_program("sockbench")
    it.net.popen([program, "serve", "::", 7000, 16], "serve")
    wait_for("the server", lambda: it.net.listening(7015))
    r = json.loads(it.app.out([program, "crr", WEB[version], 7000, 16, 64, 5000, 0], timeout=100))
    assert r["count"] == 5000 and not r["lost"], r
