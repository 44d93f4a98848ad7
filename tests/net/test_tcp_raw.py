# SPDX-License-Identifier: Apache-2.0
"""Segments that no kernel sends, each with the answer that the RFC asks for.

    raw segments from 10.66.0.99, fd66::99 ── tunnel, home (ours) ── isp ── net: listening sockets

--ours=kernel sends the same to the server's own TCP: what Linux does otherwise is marked
mintflow_only, with the reason.
"""
import errno
import socket
import threading
import time

import pytest

from directnet import BAD, WEB, Internet, Server
from lab import Lab, wait_for
from rawtcp import IP, MASK, TCP, IPv6, Raw, RawTcp, Wire, option, payload

pytestmark = pytest.mark.direct
WINDOWS = [("MSS", 1460), ("NOP", None), ("WScale", 7)]
SACK = [("MSS", 1460), ("NOP", None), ("NOP", None), ("SAckOK", b"")]
STAMPS = [("MSS", 1460), ("NOP", None), ("NOP", None), ("Timestamp", (1000, 0))]


@pytest.fixture(scope="module")
def lab():
    with Lab("raw") as the_lab:
        yield the_lab


@pytest.fixture(scope="module")
def it(lab, request):
    # Without offloads every segment comes as it is, with its checksum.
    def tweak(d):
        d["tunnel"]["offload"] = {"checksum": False, "tso": False, "uso": False}
    return Internet(lab, request.config.getoption("--ours"), tweak=tweak)


@pytest.fixture(scope="module")
def wire(it):
    return Wire(it)


@pytest.fixture
def server(it):
    s = Server(it.net)
    yield s
    s.close()


@pytest.fixture
def joined(wire, server):
    """An established connection: (our hands, the server's socket)."""
    c = RawTcp(wire, server.port)
    theirs = c.open(server=server)
    yield c, theirs
    theirs.close()
    c.send("RA")


def reset_seen(theirs):
    theirs.settimeout(10)
    try:
        return theirs.recv(100) == b"never"
    except OSError as e:
        return e.errno in (errno.ECONNRESET, errno.EPIPE)


# ---- Before there is a connection: RFC 9293, 3.10.7.1 and .2 ---------------------------------------

@pytest.mark.parametrize("version", [4, 6])
def test_handshake(wire, server, version):
    c = RawTcp(wire, server.port, version)
    theirs = c.open(server=server)
    assert option(c.syn_ack, "MSS") in range(536, 1461)
    c.alive(theirs)


@pytest.mark.parametrize("version", [4, 6])
def test_refused(wire, version):
    """<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>"""
    c = RawTcp(wire, 81, version)
    c.send("S")
    t = c.expect("RA")
    assert t.ack == (c.isn + 1) & MASK and t.seq == 0


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "SA"])
def test_no_connection_with_ack(wire, server, flags):
    """<SEQ=SEG.ACK><CTL=RST>: an app that outlived us is told so."""
    c = RawTcp(wire, server.port)
    c.send(flags, b"data" if "P" in flags else b"", ack=777)
    t = c.expect("R")
    assert t.seq == 777


@pytest.mark.parametrize("flags", ["R", "RA"])
def test_no_connection_with_rst(wire, server, flags):
    """"An incoming RST is discarded": no answer to it, ever."""
    c = RawTcp(wire, server.port)
    c.send(flags, ack=777)
    c.silence()


@pytest.mark.parametrize("flags", ["SR", "SRA", "", "FPU"])
def test_nonsense_without_a_connection(wire, server, flags):
    """Whatever is said to it, it opens nothing."""
    c = RawTcp(wire, server.port)
    c.send(flags)
    t = c.next(0.3)
    assert t is None or "R" in str(t.flags), t.summary()
    with pytest.raises(TimeoutError):
        server.accept(timeout=0.2)


def test_options_are_offered_only_to_who_offers(wire, server):
    """RFC 7323, 2.2 and 3.2; RFC 2018, 2: window scale, timestamps and SACK are answers."""
    for options in ([], WINDOWS, SACK, STAMPS):
        c = RawTcp(wire, server.port)
        c.open(options, server=server).close()
        got = {x[0] for x in c.syn_ack.options}
        for name in ("WScale", "SAckOK", "Timestamp"):
            assert (name in got) == (name in {x[0] for x in options}), (name, options)
        if options is STAMPS:
            assert option(c.syn_ack, "Timestamp")[1] == 1000, "TSecr echoes TSval"
        c.send("RA")


@pytest.mark.mintflow_only      # what of a SYN's data is kept is the receiver's choice
def test_data_on_a_syn(wire, server):
    """RFC 9293, 3.4: it may be kept or not, but the server gets it once, after the handshake."""
    c = RawTcp(wire, server.port)
    c.send("S", b"early")
    t = c.expect("SA")
    kept = (t.ack - c.isn - 1) & MASK
    assert kept in (0, 5)
    c.rcv_nxt, c.snd_nxt = (t.seq + 1) & MASK, (c.isn + 1 + kept) & MASK
    c.send("A")
    theirs = server.accept()
    c.say(b"early"[kept:] + b" bird")
    theirs.settimeout(5)
    got = b""
    while len(got) < 10:
        got += theirs.recv(100)
    assert got == b"early bird"


MALFORMED = {"length 0": b"\x02\x00\x05\xb4", "length 1": b"\x03\x01\x01\x01",
             "beyond the header": b"\x01\x01\x08\x0a", "mss too long": b"\x02\x08\x05\xb4\0\0\0\0",
             "unknown": b"\xfe\x04\x12\x34", "end, then rubbish": b"\0\xff\xff\xff",
             "scale of 200": b"\x03\x03\xc8\x01", "only a kind": b"\x01\x01\x01\x02"}


def with_options(c, flags, blob, data=b""):
    """A segment whose options are these bytes."""
    t = c.segment(flags, data)
    t[TCP].options = []
    raw = bytes(t)
    head = 20 if c.version == 4 else 40
    out = raw[:head + 12] + bytes([(5 + len(blob) // 4) << 4]) + raw[head + 13:head + 20] + blob \
        + data
    # scapy would make them well-formed again: fill in the numbers ourselves.
    return checksummed(c, out)


def checksummed(c, raw):
    from scapy.all import in4_chksum, in6_chksum
    head = 20 if c.version == 4 else 40
    tcp = bytearray(raw[head:])
    tcp[16:18] = b"\0\0"
    if c.version == 4:
        ip = IP(raw[:20])
        ip.len, ip.chksum = len(raw), None
        ip = IP(bytes(ip))
        total = in4_chksum(socket.IPPROTO_TCP, ip, bytes(tcp))
    else:
        ip = IPv6(raw[:40])
        ip.plen = len(tcp)
        total = in6_chksum(socket.IPPROTO_TCP, ip, bytes(tcp))
    tcp[16:18] = total.to_bytes(2, "big")
    return bytes(ip)[:head] + bytes(tcp)


def send_bytes(wire, c, raw):
    wire.tx[c.version].sendto(raw, (c.dst, 0))


@pytest.mark.parametrize("what", MALFORMED)
@pytest.mark.parametrize("version", [4, 6])
def test_malformed_options(wire, server, what, version):
    """RFC 9293, 3.2 (MUST-7): handles an illegal option length without crashing; on a SYN it is ignored
    or the SYN is, and on an established connection the data after it comes or is asked for again."""
    c = RawTcp(wire, server.port, version)
    send_bytes(wire, c, with_options(c, "S", MALFORMED[what]))
    t = c.next(0.5)
    assert t is None or str(t.flags) in ("SA", "RA", "R"), t.summary()
    if t is not None and str(t.flags) == "SA":
        c.snd_nxt, c.rcv_nxt = (c.isn + 1) & MASK, (t.seq + 1) & MASK
        c.send("A")
        server.accept().close()
        c.send("RA")
    c = RawTcp(wire, server.port, version)
    theirs = c.open(server=server)
    send_bytes(wire, c, with_options(c, "PA", MALFORMED[what], b"data"))
    t = c.next(0.5)
    if t is None or t.ack == c.snd_nxt:
        c.say(b"data")
    else:
        c.snd_nxt = (c.snd_nxt + 4) & MASK
    theirs.settimeout(5)
    assert theirs.recv(100) == b"data"
    c.alive(theirs)


@pytest.mark.parametrize("offset", [0, 4, 15])
def test_wrong_data_offset(wire, server, joined, offset):
    """A header that is shorter than a header, or longer than the segment, is no segment."""
    c, theirs = joined
    p = c.segment("PA", b"x")
    p[TCP].dataofs = offset
    c.wire.send(p)
    c.silence()
    c.alive(theirs)


@pytest.mark.parametrize("mss", [0, 1, 40, 65535])
def test_extreme_mss(wire, server, mss):
    """A tiny MSS must not make a packet of every byte (RFC 9293, 3.7.1; Linux knows a least MSS, too),
    a huge one not a packet that the tunnel cannot carry."""
    c = RawTcp(wire, server.port)
    theirs = c.open([("MSS", mss)], server=server)
    # Linux's buffer does not hold so many small ones: it wants us to acknowledge meanwhile.
    threading.Thread(target=theirs.sendall, args=(bytes(3000),), daemon=True).start()
    c.read(3000)
    sizes = [len(payload(p[TCP])) for p in c.seen]
    assert max(len(p) for p in c.seen) <= 1500
    assert len([s for s in sizes if s]) <= 200, f"{len(sizes)} segments for 3000 bytes"


# ---- SYN-RECEIVED --------------------------------------------------------------------------------

def to_syn_received(wire, server):
    c = RawTcp(wire, server.port)
    c.send("S")
    t = c.expect("SA")
    c.rcv_nxt, c.snd_nxt = (t.seq + 1) & MASK, (c.isn + 1) & MASK
    return c, t


def test_syn_again(wire, server):
    """The SYN-ACK was lost: the same SYN gets the same answer; then the handshake completes."""
    c, first = to_syn_received(wire, server)
    c.send("S", seq=c.isn)
    t = c.next(3)
    assert str(t.flags) in ("SA", "A") and t.ack == first.ack
    assert t.seq == (first.seq if str(t.flags) == "SA" else (first.seq + 1) & MASK)
    c.send("A")
    c.alive(server.accept())


def test_syn_ack_is_repeated(wire, server):
    """Nobody acknowledges it: it comes again (RFC 6298, 5.7: after a second)."""
    c, first = to_syn_received(wire, server)
    t = c.expect("SA", 5)
    assert (t.seq, t.ack) == (first.seq, first.ack)
    c.send("A")
    c.alive(server.accept())


def test_unacceptable_ack_in_syn_received(wire, server):
    """3.10.7.4, fifth: <SEQ=SEG.ACK><CTL=RST>, and the connection is still to be had."""
    c, first = to_syn_received(wire, server)
    c.send("A", ack=c.rcv_nxt + 1000)
    t = c.expect("R", 3)
    assert t.seq == (c.rcv_nxt + 1000) & MASK
    c.send("A")
    c.alive(server.accept())


def test_reset_in_syn_received(wire, server):
    """3.10.7.4, second: back to where it began. The far side, which had accepted, is told."""
    c, first = to_syn_received(wire, server)
    c.send("R")
    time.sleep(0.2)
    c.send("A")
    assert c.expect("R", 3).seq == c.rcv_nxt, "there is no connection any more"


@pytest.mark.mintflow_only      # the server's own TCP has completed its handshake before
def test_the_last_ack_may_carry_data_and_fin(wire, server):
    """3.10.7.4: the segment that completes the handshake is processed on."""
    c, first = to_syn_received(wire, server)
    c.send("FPA", b"all at once")
    theirs = server.accept()
    theirs.settimeout(5)
    got = b""
    while part := theirs.recv(100):
        got += part
    assert got == b"all at once"


# ---- SYN held back: the far side has not answered ------------------------------------------------

@pytest.mark.mintflow_only      # only we hold a SYN back
def test_held_syn(it, wire):
    """No answer, whatever the app repeats; and a reset ends it."""
    c = RawTcp(wire, 80, dst=BAD["blackhole"][0])
    for _ in range(3):
        c.send("S", seq=c.isn)
        c.silence(0.15)

    def sessions():
        return [s for s in it.end.sessions() if str(c.sport) in str(s["app"])]
    assert len(sessions()) == 1
    c.send("R", seq=c.isn + 1)
    wait_for("the session's end", lambda: not sessions(), 5)
    c.silence(0.1)


# ---- ESTABLISHED: RFC 9293, 3.10.7.4; RFC 5961 ---------------------------------------------------

def test_syn_in_the_window(joined):
    """RFC 5961, 4: a challenge ACK, whatever its sequence number, and nothing else happens."""
    c, theirs = joined
    for seq in (c.snd_nxt, c.snd_nxt + 100, c.isn):
        c.send("S", seq=seq)
        t = c.expect_ack()
        assert t.seq == c.rcv_nxt
        time.sleep(0.6)         # Linux has one challenge in half a second
    c.alive(theirs)


def test_reset_off_by_one(joined):
    """RFC 5961, 3.2: in the window but not exact: a challenge ACK. Outside: nothing at all."""
    c, theirs = joined
    c.send("R", seq=c.snd_nxt + 1)
    assert c.expect_ack().seq == c.rcv_nxt
    for seq in (c.snd_nxt - 1, c.snd_nxt + (1 << 30)):
        c.send("R", seq=seq)
        c.silence()
    c.alive(theirs)


def test_reset_exact(joined):
    """Just RCV.NXT: it is over, on both sides, and nobody answers."""
    c, theirs = joined
    c.send("R")
    assert reset_seen(theirs)
    c.silence(0.2)
    c.send("A")
    c.expect("R")


def test_challenge_acks_are_limited(joined):
    """RFC 5961, 7: 5000 wrong resets do not bring 5000 answers."""
    c, theirs = joined
    for n in range(5000):
        c.send("R", seq=c.snd_nxt + 1 + n)
    count, end = 0, time.monotonic() + 1
    while time.monotonic() < end:
        count += c.next(0.2) is not None
    assert count < 1500, f"{count} challenges"
    c.alive(theirs)


def test_ack_of_unsent_data(joined):
    """3.10.7.4, fifth: an ACK back; the segment's data does not count."""
    c, theirs = joined
    c.send("PA", b"evil", ack=c.rcv_nxt + 1)
    assert c.expect_ack().seq == c.rcv_nxt
    c.alive(theirs)


def test_ack_far_too_old(joined):
    """RFC 5961, 5.2: older than SND.UNA - MAX.SND.WND: a challenge, and no data."""
    c, theirs = joined
    c.send("PA", b"evil", ack=c.rcv_nxt - (1 << 30))
    assert c.expect_ack().seq == c.rcv_nxt
    c.alive(theirs)


def test_segment_without_ack(joined):
    """3.10.7.4, fifth: "if the ACK bit is off, drop the segment"."""
    c, theirs = joined
    c.send("P", b"evil")
    c.silence()
    c.alive(theirs)


@pytest.mark.parametrize("delta", [-5000, 1 << 24, 1 << 31], ids=["before", "beyond", "half-way"])
def test_out_of_the_window(joined, delta):
    """3.10.7.4, first: an unacceptable segment is answered by an ACK that says what would be."""
    c, theirs = joined
    c.send("PA", b"x" * 100, seq=c.snd_nxt + delta)
    t = c.expect_ack()
    assert t.seq == c.rcv_nxt
    c.alive(theirs)


def test_keepalive_probe(joined):
    """3.8.4: SEG.SEQ = RCV.NXT - 1, with a byte or without, is answered."""
    c, theirs = joined
    c.send("A", seq=c.snd_nxt - 1)
    c.expect_ack()
    c.alive(theirs)
    c.send("A", b"?", seq=c.snd_nxt - 1)
    c.expect_ack()
    c.alive(theirs)


@pytest.mark.parametrize("version", [4, 6])
def test_bad_checksum(wire, server, version):
    """Not a segment at all: no ACK, no data; the right one after it counts."""
    c = RawTcp(wire, server.port, version)
    theirs = c.open(server=server)
    p = c.segment("PA", b"wrong")
    p = p.__class__(bytes(p))
    p[TCP].chksum ^= 0x0101
    wire.send(p)
    c.silence()
    # A SYN with one is none, and a reset with one resets nothing.
    p = c.segment("R")
    p = p.__class__(bytes(p))
    p[TCP].chksum ^= 1
    wire.send(p)
    c.alive(theirs)
    c2 = RawTcp(wire, server.port, version)
    p = c2.segment("S")
    p = p.__class__(bytes(p))
    p[TCP].chksum ^= 1
    wire.send(p)
    c2.silence()


def test_overlapping_data(joined):
    """Every byte once, in order, however the segments lie over each other."""
    c, theirs = joined
    text = bytes(range(100))
    base = c.snd_nxt
    for start, end in ((0, 10), (5, 20), (0, 20), (18, 30), (29, 30), (0, 50)):
        c.send("PA", text[start:end], seq=base + start)
    for start, end in ((80, 100), (60, 90), (70, 85), (50, 61)):
        c.send("PA", text[start:end], seq=base + start)
    c.snd_nxt = (base + 100) & MASK
    c.expect_ack()
    theirs.settimeout(5)
    got = b""
    while len(got) < 100:
        got += theirs.recv(1000)
    assert got == text
    c.alive(theirs)


def test_conflicting_overlap(joined):
    """Two versions of the same bytes, out of order: one of them is delivered, never a number of bytes
    that is wrong, and what had been delivered does not change."""
    c, theirs = joined
    base = c.snd_nxt
    c.say(b"AAAA")
    c.send("PA", b"zzzzBBBB", seq=base)
    c.send("PA", b"DDDD", seq=base + 12)
    c.send("PA", b"CCCCdddd", seq=base + 8)
    c.snd_nxt = (base + 16) & MASK
    c.expect_ack()
    theirs.settimeout(5)
    got = b""
    while len(got) < 16:
        got += theirs.recv(100)
    assert got[:12] == b"AAAABBBBCCCC" and got[12:].upper() == b"DDDD"
    c.alive(theirs)


def test_out_of_order_is_acknowledged_with_sack(wire, server):
    """RFC 2018, 4: the first block is what has just come. RFC 2883: what came twice is told first. RFC
    9293, 3.10.7.4: an immediate ACK for each."""
    c = RawTcp(wire, server.port)
    theirs = c.open(SACK, server=server)
    base = c.snd_nxt
    c.send("PA", b"c" * 10, seq=base + 20)
    assert option(c.expect_ack(), "SAck")[:2] == ((base + 20) & MASK, (base + 30) & MASK)
    c.send("PA", b"e" * 10, seq=base + 40)
    blocks = option(c.expect_ack(), "SAck")
    assert blocks[:2] == ((base + 40) & MASK, (base + 50) & MASK)
    assert blocks[2:4] == ((base + 20) & MASK, (base + 30) & MASK)
    c.send("PA", b"c" * 10, seq=base + 20)
    blocks = option(c.expect_ack(), "SAck")
    assert blocks[:2] == ((base + 20) & MASK, (base + 30) & MASK), "D-SACK"
    c.send("PA", b"ab" * 10, seq=base)
    c.snd_nxt = (base + 30) & MASK
    c.expect_ack()
    c.send("PA", b"d" * 10, seq=base + 30)
    c.snd_nxt = (base + 50) & MASK
    t = c.expect_ack()
    assert option(t, "SAck") is None, "no hole, no block"
    theirs.settimeout(5)
    got = b""
    while len(got) < 50:
        got += theirs.recv(100)
    assert got == b"ab" * 10 + b"c" * 10 + b"d" * 10 + b"e" * 10


def test_urgent_data_is_data(joined):
    """URG and its pointer do not take a byte out of the stream that we carry on."""
    c, theirs = joined
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    c.send("UPA", b"urgent", urgptr=6)
    c.snd_nxt = (c.snd_nxt + 6) & MASK
    theirs.settimeout(5)
    got = b""
    while len(got) < 6:
        got += theirs.recv(100)
    assert got == b"urgent"
    c.alive(theirs)


def test_paws(wire, server):
    """RFC 7323, 5.2 R1: an older timestamp: an ACK, and the segment is dropped; a reset is believed
    without one (5.2 R1: "RST segments MUST NOT be subjected to the PAWS check")."""
    c = RawTcp(wire, server.port)
    theirs = c.open(STAMPS, server=server)
    theirs.settimeout(5)

    def stamped(value):
        return [("NOP", None), ("NOP", None), ("Timestamp", (value, option(c.syn_ack, "Timestamp")[0]))]
    c.send("PA", b"good", options=stamped(2000))
    c.snd_nxt = (c.snd_nxt + 4) & MASK
    t = c.expect_ack()
    assert option(t, "Timestamp")[1] == 2000
    assert theirs.recv(10) == b"good"
    c.send("PA", b"evil", options=stamped(1500))
    c.expect_ack()
    c.send("PA", b"fine", options=stamped(2001))
    c.snd_nxt = (c.snd_nxt + 4) & MASK
    assert theirs.recv(10) == b"fine"
    c.send("R", options=stamped(10))
    assert reset_seen(theirs)


# ---- The end: FIN in every order -----------------------------------------------------------------

def eof(theirs, data=b""):
    theirs.settimeout(5)
    got = b""
    while part := theirs.recv(100):
        got += part
    assert got == data


def test_fin_before_its_turn(joined):
    """A FIN that comes before the data in front of it waits."""
    c, theirs = joined
    base = c.snd_nxt
    c.send("FPA", b"world", seq=base + 6)
    c.expect_ack()
    c.send("PA", b"hello ", seq=base)
    c.snd_nxt = (base + 12) & MASK
    c.expect_ack()
    eof(theirs, b"hello world")
    # Only our direction is closed.
    theirs.sendall(b"and you?")
    assert c.read(8) == b"and you?"
    theirs.close()
    t = c.expect("FA")
    c.rcv_nxt = (t.seq + 1) & MASK
    c.send("A")
    c.silence(0.2)


def test_data_after_the_fin(joined):
    """3.10.7.4, seventh: what lies beyond a FIN is not part of the stream."""
    c, theirs = joined
    c.send("FA")
    c.snd_nxt = (c.snd_nxt + 1) & MASK
    c.expect_ack()
    c.send("PA", b"too late")
    eof(theirs)


def test_fin_again(joined):
    """The ACK of it was lost: it is acknowledged again, in CLOSE-WAIT and after both have closed."""
    c, theirs = joined
    fin = c.snd_nxt
    c.send("FA")
    c.snd_nxt = (fin + 1) & MASK
    c.expect_ack()
    c.send("FA", seq=fin)
    c.expect_ack()
    eof(theirs)
    theirs.close()
    t = c.expect("FA")
    c.rcv_nxt = (t.seq + 1) & MASK
    c.send("A")


def close_by_server(c, theirs):
    """The server closes; its FIN is here, not yet acknowledged."""
    theirs.shutdown(socket.SHUT_WR)
    return c.expect("FA", want=lambda t: t.seq == c.rcv_nxt)


def test_simultaneous_close(joined):
    """Figure 13: FINs cross. CLOSING, then TIME-WAIT; a FIN that comes again there is acknowledged."""
    c, theirs = joined
    close_by_server(c, theirs)
    fin = c.snd_nxt
    c.send("FA")                        # acknowledges nothing of theirs yet
    c.snd_nxt = (fin + 1) & MASK
    c.expect("A", want=lambda t: t.ack == c.snd_nxt)
    c.rcv_nxt = (c.rcv_nxt + 1) & MASK
    c.send("A")
    eof(theirs)
    theirs.close()
    time.sleep(0.2)
    c.send("FA", seq=fin)
    t = c.expect("A", want=lambda x: x.ack == c.snd_nxt)
    assert t.seq == c.rcv_nxt


def to_time_wait(c, theirs):
    close_by_server(c, theirs)
    c.rcv_nxt = (c.rcv_nxt + 1) & MASK
    c.send("A")
    c.send("FA")
    c.snd_nxt = (c.snd_nxt + 1) & MASK
    c.expect("A", want=lambda t: t.ack == c.snd_nxt)
    theirs.close()
    time.sleep(0.2)


def test_syn_in_time_wait(wire, server, joined):
    """RFC 9293, 3.6.1 and RFC 6191: a SYN beyond what the old connection had begins a new one."""
    c, theirs = joined
    to_time_wait(c, theirs)
    again = RawTcp(wire, server.port, isn=(c.snd_nxt + 100000) & MASK)
    again.sport = c.sport
    again.send("S", options=[("MSS", 1460)])
    t = again.expect("SA")
    assert t.ack == (again.isn + 1) & MASK
    again.snd_nxt, again.rcv_nxt = t.ack, (t.seq + 1) & MASK
    again.send("A")
    again.alive(server.accept())
    again.send("R")


def test_old_data_in_time_wait(joined):
    """A late copy is answered by an ACK, not by a reset, and wakes nobody."""
    c, theirs = joined
    c.say(b"once")
    theirs.settimeout(5)
    assert theirs.recv(10) == b"once"
    to_time_wait(c, theirs)
    c.send("PA", b"once", seq=c.snd_nxt - 5)
    assert c.expect("A").ack == c.snd_nxt


@pytest.mark.parametrize("when", ["close-wait", "fin-wait"])
def test_reset_when_half_closed(joined, when):
    c, theirs = joined
    if when == "close-wait":
        c.send("FA")
        c.snd_nxt = (c.snd_nxt + 1) & MASK
        c.expect_ack()
        eof(theirs)
        c.send("R")
        time.sleep(0.3)
        with pytest.raises(OSError):
            for _ in range(20):
                theirs.send(b"anybody?")
                time.sleep(0.05)
    else:
        close_by_server(c, theirs)
        c.rcv_nxt = (c.rcv_nxt + 1) & MASK
        c.send("A")
        c.send("R")
        assert reset_seen(theirs)


# ---- What we send: windows and repetitions -------------------------------------------------------

def test_never_beyond_the_window(wire, server):
    """The app offers 1000 bytes: not one more is under way, ever."""
    c = RawTcp(wire, server.port, window=1000)
    theirs = c.open(server=server)
    theirs.sendall(bytes(20000))
    got, until = 0, time.monotonic() + 20
    while got < 20000:
        t = c.next(until - time.monotonic())
        assert t is not None, f"{got} of 20000"
        end = (t.seq + len(payload(t)) - c.rcv_nxt) & MASK
        if end > 1 << 31 or not payload(t):
            continue
        assert end <= 1000, f"{end} bytes of a window of 1000"
        if t.seq == c.rcv_nxt:
            got += len(payload(t))
            c.rcv_nxt = (c.rcv_nxt + len(payload(t))) & MASK
            c.send("A")


def test_zero_window_is_probed(wire, server):
    """RFC 9293, 3.8.6.1: the window is closed: a probe now and then, at most a byte; the ACK that opens
    it was lost, so the probe's answer must do."""
    c = RawTcp(wire, server.port)
    theirs = c.open(server=server)
    c.send("A", window=0)
    time.sleep(0.1)
    theirs.sendall(b"x" * 5000)
    probes, until = 0, time.monotonic() + 20
    while probes < 2:
        t = c.next(until - time.monotonic())
        assert t is not None, "no probe of the closed window"
        assert len(payload(t)) <= 1, f"{len(payload(t))} bytes into a closed window"
        probes += 1
        c.send("A", window=0)
    c.window = 65000
    c.send("A")
    assert c.read(5000, 20) == b"x" * 5000


def test_lost_data_is_repeated(wire, server):
    """Nobody acknowledges: the same bytes come again (tail loss probe or timer)."""
    c = RawTcp(wire, server.port)
    theirs = c.open(server=server)
    theirs.sendall(b"hear me")
    first = c.expect("A", want=payload)
    again = c.expect("A", 10, want=payload)
    assert (first.seq, payload(first)) == (again.seq, payload(again))
    assert c.rcv_nxt == first.seq
    c.rcv_nxt = (c.rcv_nxt + 7) & MASK
    c.send("A")
    c.alive(theirs)


def test_a_hole_is_filled_at_once(wire, server):
    """SACK tells of a hole: it is repaired without waiting for the timer (RFC 6675, RFC 8985)."""
    c = RawTcp(wire, server.port)
    theirs = c.open(SACK, server=server)
    theirs.sendall(bytes(14600))
    parts = []
    while sum(len(payload(t)) for t in parts) < 14600:
        t = c.next(5)
        assert t is not None
        if payload(t):
            parts.append(t)
    hole = parts[0]
    start, end = parts[1].seq, (parts[-1].seq + len(payload(parts[-1]))) & MASK
    for t in parts[1:]:
        c.send("A", options=[("NOP", None), ("NOP", None),
                             ("SAck", (start, (t.seq + len(payload(t))) & MASK))])
    began = time.monotonic()
    again = c.expect("A", 5, want=lambda x: x.seq == hole.seq and payload(x))
    assert time.monotonic() - began < 0.19, "that was the timer"
    assert payload(again)[:100] == payload(hole)[:100]
    c.rcv_nxt = end
    c.send("A")
    c.alive(theirs)


# ---- Fragments -----------------------------------------------------------------------------------

def fragments(packet, cuts):
    """IPv4 fragments of a packet, cut at these offsets (multiples of 8) of its payload."""
    body = bytes(packet)[20:]
    out = []
    for start, end in cuts:
        ip = IP(src=packet.src, dst=packet.dst, proto=packet.proto, id=packet.id,
                flags="MF" if end < len(body) else 0, frag=start // 8)
        out.append(ip / Raw(body[start:end]))
    return out


@pytest.mark.parametrize("order", ["in order", "reversed", "twice"])
def test_fragmented_segment(wire, joined, order):
    c, theirs = joined
    data = bytes(i % 251 for i in range(1000))
    p = c.segment("PA", data)
    p.id = 4711
    parts = fragments(p, [(0, 400), (400, 800), (800, 1020)])
    parts = {"in order": parts, "reversed": parts[::-1], "twice": parts[:2] + parts[:1] + parts[2:]}[order]
    for f in parts:
        wire.send(f)
    c.snd_nxt = (c.snd_nxt + 1000) & MASK
    if order == "twice":        # may be taken for an overlap: then the datagram is gone as a whole
        try:
            c.expect_ack(0.7)
        except AssertionError:
            c.send("PA", data, seq=c.snd_nxt - 1000)
            c.expect_ack()
    else:
        c.expect_ack()
    theirs.settimeout(5)
    got = b""
    while len(got) < 1000:
        got += theirs.recv(2000)
    assert got == data


def test_overlapping_fragments(wire, joined):
    """They disagree about the middle: nothing of it is believed (RFC 5722's answer; RFC 1858's tiny
    fragment attack), and the segment itself, sent again, is."""
    c, theirs = joined
    p = c.segment("PA", b"A" * 600)
    p.id = 4712
    q = c.segment("PA", b"B" * 600)
    q.id = 4712
    first = fragments(p, [(0, 320), (240, 620)])
    wire.send(first[0])
    wire.send(fragments(q, [(240, 620)])[0])
    wire.send(first[1])
    c.silence()
    c.say(b"C" * 600)
    theirs.settimeout(5)
    got = b""
    while len(got) < 600:
        got += theirs.recv(1000)
    assert got == b"C" * 600
