# SPDX-License-Identifier: Apache-2.0
"""Sessions as a user sees them: the table, `why`, closing one, a reload, and what happens when there
are too many.

    app = home (ours) ── isp ── net
"""
import errno
import socket
import time

import pytest

from directnet import (TUN4, WEB, WEB4, Internet, Server, connect, connect_errno, echo, joined,
                       read_exactly)
from lab import wait_for

pytestmark = [pytest.mark.direct, pytest.mark.mintflow_only]


def of_port(it, port):
    """The session towards this port; None, if there is none."""
    found = [s for s in it.end.sessions() if str(s["destination"]).endswith(f":{port}")]
    assert len(found) <= 1
    return found[0] if found else None


def alive(mine, theirs):
    mine.sendall(b"ping")
    assert read_exactly(theirs, 4) == b"ping"
    theirs.sendall(b"pong")
    assert read_exactly(mine, 4) == b"pong"


@pytest.mark.parametrize("version", [4, 6])
def test_show_sessions(lab, version):
    it = Internet(lab)
    mine, theirs = joined(it.app, it.net, WEB[version])
    for _ in range(10):
        alive(mine, theirs)
    mine.sendall(bytes(100_000))
    read_exactly(theirs, 100_000)
    port = mine.getpeername()[1]
    time.sleep(1.2)
    s = of_port(it, port)
    assert s["proto"] == "tcp" and s["interface"] == "direct" and s["state"] == "established"
    assert str(mine.getsockname()[1]) in s["app"]
    assert s["bytes_up"] == 100_040 and s["bytes_down"] == 40
    assert "/0" in s["route"], "the rule that decided"
    text = it.end.cli("show", "sessions").stdout
    assert WEB[version] in text and "direct" in text and "established" in text
    status = it.end.json("status")
    assert str(status).count("sessions") >= 1
    mine.shutdown(socket.SHUT_WR)
    assert theirs.recv(1) == b""
    wait_for("the half-closed state", lambda: of_port(it, port)["state"] == "app-closed")
    theirs.close()
    mine.close()
    wait_for("its end", lambda: (of_port(it, port) or {"state": "gone"})["state"]
             in ("gone", "time-wait"))


def test_why_explains_a_live_session(lab):
    it = Internet(lab)
    assert it.end.why(WEB4) == "direct"
    mine, theirs = joined(it.app, it.net, WEB4)
    alive(mine, theirs)
    text = it.end.cli("why", WEB4).stdout
    assert "direct" in text
    assert str(mine.getsockname()[1]) in text, "the live session is named: " + text


def test_close_one_by_hand(lab):
    """Both sides are told by a reset; the others live on."""
    it = Internet(lab)
    (mine, theirs), (other, others) = joined(it.app, it.net, WEB4), joined(it.app, it.net, WEB4)
    alive(mine, theirs)
    alive(other, others)
    s = of_port(it, mine.getpeername()[1])
    it.end.cli("close", s["id"])
    for sock in (mine, theirs):
        sock.settimeout(5)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
    alive(other, others)
    assert it.end.cli("close", s["id"], check=False).returncode == 1, "it is gone"


@pytest.mark.parametrize("drop", [False, True], ids=["keep", "drop-sessions"])
def test_a_reload_that_changes_the_route(lab, drop):
    """New sessions follow the new route. Running ones go on, or end with --drop-sessions; and the reload
    says how many."""
    it = Internet(lab)
    server = Server(it.net, echo)
    mine = connect(it.app, WEB4, server.port)
    elsewhere = connect(it.app, "198.18.7.7", server.port)
    for sock in (mine, elsewhere):
        sock.sendall(b"a")
        assert sock.recv(1) == b"a"
    it.end.routes = it.end.routes + [{"cidr": WEB4 + "/32", "to": "reject"}]
    it.end.write_profile()
    said = it.end.cli("reload", *(["--drop-sessions"] if drop else [])).stdout
    assert connect_errno(it.app, WEB4, server.port)[0] == errno.ECONNREFUSED
    if drop:
        mine.settimeout(5)
        with pytest.raises(ConnectionResetError):
            mine.recv(1)
        assert "closed" in said, said
    else:
        mine.sendall(b"b")
        assert mine.recv(1) == b"b"
        assert "kept" in said, said
    elsewhere.sendall(b"c")
    assert elsewhere.recv(1) == b"c", "its route has not changed"


def test_a_full_table_refuses_new_ones(lab):
    """`sessions.max`: the one too many is refused by a reset and counted; the old ones go on; room that
    is given back can be used."""
    it = Internet(lab, sessions={"max": 64, "per_source": 64}, limits={"workers": 1})
    server = Server(it.net, echo, backlog=200)
    socks = []
    for _ in range(64):
        try:
            socks.append(connect(it.app, WEB4, server.port, 5))
        except OSError:
            break
    assert len(socks) >= 60
    refused = 0
    for _ in range(64 - len(socks) + 5):
        e, took = connect_errno(it.app, WEB4, server.port, 5)
        refused += e == errno.ECONNREFUSED and took < 2
    assert refused >= 5
    assert "session-table-full" in it.end.drops() or any("session" in r for r in it.end.drops())
    for n, sock in enumerate(socks):
        sock.sendall(bytes([n]))
        assert sock.recv(1) == bytes([n])
    for sock in socks[:10]:
        sock.close()
    wait_for("room", lambda: connect_errno(it.app, WEB4, server.port, 5)[0] == 0, 20)


def test_one_source_does_not_take_it_all(lab):
    """`per_source`: one host behind us has its share, another still gets through."""
    it = Internet(lab, router=True, sessions={"max": 256, "per_source": 100})
    server = Server(it.net, echo, backlog=200)
    socks = []
    while len(socks) < 256:
        try:
            socks.append(connect(it.app, WEB4, server.port, 5))
        except ConnectionRefusedError:
            break
    assert len(socks) == 100
    assert connect_errno(it.home, WEB4, server.port)[0] == 0


def test_half_open_ones_have_a_cap_of_their_own(lab):
    """A flood of SYNs towards silence: what is established goes on, and others can connect."""
    it = Internet(lab, router=True, sessions={"half_open_per_source": 64})
    mine, theirs = joined(it.app, it.net, WEB4)
    waiting = []
    for n in range(200):
        s = it.app.socket()
        s.setblocking(False)
        s.connect_ex((f"198.19.3.1", 1000 + n))
        waiting.append(s)
    time.sleep(0.5)
    opening = [s for s in it.end.sessions() if s["state"] == "opening"]
    assert len(opening) == 64
    alive(mine, theirs)
    server = Server(it.net, echo)
    assert connect_errno(it.home, WEB4, server.port)[0] == 0


def test_reject_and_direct_side_by_side(lab):
    """A longer prefix takes a part away from `direct`, and gives a part of that back."""
    it = Internet(lab, routes=[{"cidr": "0.0.0.0/0", "to": "direct"},
                               {"cidr": "198.18.66.0/24", "to": "reject"},
                               {"cidr": "198.18.66.7/32", "to": "direct"}])
    server = Server(it.net, echo)
    for address, want, why in ((WEB4, 0, "direct"), ("198.18.66.1", errno.ECONNREFUSED, "reject"),
                               ("198.18.66.7", 0, "direct")):
        assert connect_errno(it.app, address, server.port)[0] == want, address
        assert it.end.why(address) == why
    assert connect_errno(it.app, "2001:db8:99::1", server.port, 1)[0] != 0, "no route"


def test_stop_tells_the_apps(lab):
    """At the end of the program no app is left waiting for somebody who has gone."""
    it = Internet(lab)
    mine, theirs = joined(it.app, it.net, WEB4)
    alive(mine, theirs)
    assert it.end.stop() == 0
    theirs.settimeout(5)
    with pytest.raises(OSError):
        if theirs.recv(1) == b"":
            raise ConnectionResetError
    assert TUN4 not in it.home.ip("addr")
