# SPDX-License-Identifier: Apache-2.0
"""How connections that go `direct` begin and end: what the far side says is what the app hears, and
the other way round.

    app = home (ours) ── isp ── net
                          └─ says "unreachable", "prohibited" or nothing for some addresses
"""
import errno
import signal
import socket
import time

import pytest

from directnet import (BAD, WEB, WEB4, Internet, Server, connect, connect_errno, joined, read_all,
                       read_exactly, reset)
from lab import PYTHON, wait_for

pytestmark = pytest.mark.direct
INDEX = {4: 0, 6: 1}


@pytest.mark.parametrize("version", [4, 6])
def test_refused(lab, ours, version):
    it = Internet(lab, ours)
    e, took = connect_errno(it.app, WEB[version], 81)
    assert e == errno.ECONNREFUSED and took < 5


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind, v4, v6", [
    ("unreachable", errno.EHOSTUNREACH, errno.ENETUNREACH),     # Linux as a router: ICMPv6 "no route"
    ("prohibit", errno.EHOSTUNREACH, errno.EACCES),
    ("no route", errno.ENETUNREACH, errno.ENETUNREACH)])
def test_unreachable(lab, ours, version, kind, v4, v6):
    """What the provider's router says by ICMP becomes the app's errno, quickly."""
    it = Internet(lab, ours)
    e, took = connect_errno(it.app, BAD[kind][INDEX[version]], 80)
    assert e == (v4 if version == 4 else v6) and took < 5, (errno.errorcode.get(e, e), took)


@pytest.mark.parametrize("version", [4, 6])
def test_silence_stays_silence(lab, ours, version):
    """Nobody answers: the app gets neither SYN-ACK nor RST, its SYNs go on."""
    it = Internet(lab, ours)
    dst = BAD["blackhole"][INDEX[version]]
    cap = it.app.capture(it.dev, f"host {dst}")
    e, took = connect_errno(it.app, dst, 80, timeout=3.5)
    assert e == errno.ETIMEDOUT and took >= 3.4
    packets = cap.packets()
    answers = [p for p in packets if (p["IP"] if version == 4 else p["IPv6"]).src == dst]
    assert not answers, [p.summary() for p in answers]
    assert len(packets) >= 2, "the app's own SYN and its repetition"


def ended(sock):
    """Talk until the connection has failed: the errno."""
    sock.settimeout(10)
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            if not sock.recv(65536):
                sock.send(b"?")         # the end of the other direction: is anybody there?
                time.sleep(0.02)
        except TimeoutError:
            break
        except OSError as e:
            return e.errno
    return 0


RESET = {errno.ECONNRESET, errno.EPIPE}
STATES = ["established", "we-closed", "they-closed", "unread", "unsent"]


def bring_to(state, we, they):
    """`we` is about to reset; `they` must hear of it."""
    if state == "we-closed":
        we.sendall(b"bye")
        we.shutdown(socket.SHUT_WR)
        assert read_all(they) == b"bye"
        they.sendall(b"not yet")
        assert read_exactly(we, 7) == b"not yet"
    elif state == "they-closed":
        they.sendall(b"bye")
        they.shutdown(socket.SHUT_WR)
        assert read_all(we) == b"bye"
    elif state == "unread":
        they.sendall(b"never read")
        time.sleep(0.2)
    elif state == "unsent":
        we.setblocking(False)
        try:
            while True:
                we.send(bytes(65536))
        except BlockingIOError:
            time.sleep(0.2)
    else:
        we.sendall(b"hi")
        assert read_exactly(they, 2) == b"hi"


@pytest.mark.parametrize("who", ["app", "server"])
def test_reset_in_every_state(lab, ours, who):
    it = Internet(lab, ours)
    for state in STATES:
        mine, theirs = joined(it.app, it.net, WEB4)
        we, they = (mine, theirs) if who == "app" else (theirs, mine)
        bring_to(state, we, they)
        reset(we)
        got = ended(they)
        assert got in RESET, f"{state}: {errno.errorcode.get(got, got)}"


@pytest.mark.parametrize("who", ["app", "server"])
def test_close_with_unread_data_is_a_reset(lab, ours, who):
    """As the kernel does it: whoever closes without having read says that data was lost."""
    it = Internet(lab, ours)
    mine, theirs = joined(it.app, it.net, WEB4)
    we, they = (mine, theirs) if who == "app" else (theirs, mine)
    they.sendall(b"never read")
    time.sleep(0.2)
    we.close()
    assert ended(they) in RESET


def process(host, script, *args):
    return host.popen([PYTHON, "-c", script, *args], "program")


HOLD = ("import socket,sys,time\n"
        "s=socket.create_connection((sys.argv[1],int(sys.argv[2])))\n"
        "s.sendall(b'here')\nprint('sent',flush=True)\ntime.sleep(100)\n")
WAIT = ("import socket,time\n"
        "l=socket.create_server(('0.0.0.0',7000))\ns,_=l.accept()\n"
        "s.sendall(b'here')\ntime.sleep(100)\n")


def test_the_app_is_killed(lab, ours):
    it = Internet(lab, ours)
    server = Server(it.net)
    app = process(it.app, HOLD, WEB4, str(server.port))
    theirs = server.accept()
    assert read_exactly(theirs, 4) == b"here"
    app.kill(signal.SIGKILL)
    assert theirs.recv(1) == b"", "its kernel closes in order"
    theirs.close()
    if ours == "mintflow":
        wait_for("the session's end", lambda: not it.end.sessions(), 10)


def test_the_server_is_killed(lab, ours):
    """Killed with something unread: its kernel resets."""
    it = Internet(lab, ours)
    for unread in (False, True):
        server = process(it.net, WAIT)
        wait_for("the server", lambda: it.net.listening(7000))
        mine = connect(it.app, WEB4, 7000)
        assert read_exactly(mine, 4) == b"here"
        if unread:
            mine.sendall(b"unread")
            time.sleep(0.2)
        server.kill(signal.SIGKILL)
        if unread:
            assert ended(mine) in RESET
        else:
            assert mine.recv(1) == b""
        mine.close()
        server.wait(5)
        time.sleep(0.1)


@pytest.mark.mintflow_only
def test_fast_open(lab):
    """Answered at once: who does not listen is told by a reset afterwards."""
    it = Internet(lab, direct={"fast_open": True})
    e, took = connect_errno(it.app, BAD["blackhole"][0], 80, timeout=5)
    assert e == 0 and took < 1
    with pytest.raises(ConnectionResetError):      # maybe before connect() has returned
        connect(it.app, WEB4, 81).recv(1)
    # Data that comes before the far side has answered waits for it.
    mine, theirs = joined(it.app, it.net, WEB4)
    mine.sendall(b"early")
    assert read_exactly(theirs, 5) == b"early"


@pytest.mark.mintflow_only
def test_reject_and_drop_are_no_sessions(lab):
    """`reject` refuses at once, `drop` is silence, and neither enters the host stack."""
    it = Internet(lab, routes=[{"cidr": "0.0.0.0/0", "to": "direct"},
                               {"cidr": "198.18.66.0/24", "to": "reject"},
                               {"cidr": "198.18.13.0/24", "to": "drop"}])
    cap = it.isp.capture("to-home", "net 198.18.66.0/24 or net 198.18.13.0/24")
    e, took = connect_errno(it.app, "198.18.66.1", 80)
    assert e == errno.ECONNREFUSED and took < 1
    e, _ = connect_errno(it.app, "198.18.13.1", 80, timeout=1)
    assert e == errno.ETIMEDOUT
    assert not it.end.sessions()
    assert not cap.packets()
