# SPDX-License-Identifier: Apache-2.0
"""Shadowsocks 2022, with a server of the tests (ss2022d.py), for Debian 12 has none. The laboratory is that of
proxynet.py.
"""
import base64
import hashlib

import pytest

import ss2022d
from directnet import WEB, WEB4, Server, ask_and_end, connect, end_and_listen, read_all, read_exactly
from lab import HERE, PYTHON, wait_for
from proxynet import ProxyNet
from proxyuse import dig, one_socket, page, serve_names, sizes
from test_direct_udp import SECOND, udp
from test_proxy_ss import shadowsocks
from test_tunnel import transfer
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
AES128, AES256, CHACHA = ss2022d.METHODS
AES = pytest.mark.parametrize("method", [AES128, AES256])
MIB = 1 << 20


def key(method, seed):
    """In base64, the same each time."""
    return base64.b64encode(hashlib.sha256(seed.encode()).digest()[:ss2022d.METHODS[method][0]]).decode()


def serve(it, method, *options, users=()):
    argv = [PYTHON, f"{HERE}/ss2022d.py", "--method", method, "--key", key(method, "server"), *options]
    for u in users:
        argv += ["--user", key(method, u)]
    proc = it.px.popen(argv, "ss2022d")
    wait_for("ss2022d", lambda: it.px.listening(8388))
    return proc


def start(lab, method, *options, users=(), password=None, **kw):
    """The laboratory, the server, and MintFlow: (laboratory, MintFlow, the server)."""
    it = ProxyNet(lab)
    server = serve(it, method, *options, users=users)
    password = password or ":".join(key(method, u) for u in ["server", *users[:1]])
    return it, it.run(shadowsocks(method=method, password=password, **kw)), server


def test_the_server(lab):
    """Known answers: the empty BLAKE3, and keys as sing-shadowsocks derives them."""
    psk, salt = bytes(range(1, 17)), bytes(range(0x30, 0x40))
    assert ss2022d.blake3(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert (ss2022d.derive_key("shadowsocks 2022 session subkey", psk + salt)[:16].hex()
            == "6495ba6c0b3f13e64dfdf2d7757789f8")
    assert (ss2022d.derive_key("shadowsocks 2022 identity subkey", psk + salt)[:16].hex()
            == "f8a984c6b39a730cd222517a97527e33")


# ---- What works --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, users", [(AES128, []), (AES256, []), (CHACHA, []), (AES128, ["bob", "alice"]),
                                           (AES256, ["bob", "alice"])],
                         ids=["aes-128", "aes-256", "chacha20", "aes-128-user", "aes-256-user"])
def test_sessions(lab, method, users):
    it, end, server = start(lab, method, users=users)
    for version in (4, 6):
        page(it, version)
        it.up_and_down(WEB[version], 8 * MIB)
    transfer(it.app, it.net, WEB4, 8 * MIB)
    assert not end.faults() and "refused" not in server.log()


def test_half_close_by_the_app_first(lab):
    """nc -N: the app has said all; the server answers only when it has seen the end of that."""
    it, end, _ = start(lab, AES128)
    ask_and_end(it, read_all)
    assert not end.faults()


def test_half_close_by_the_server_first(lab):
    """nc -N at the server: it sends its file and ends; what the app says after that still arrives."""
    it, end, _ = start(lab, AES128)
    end_and_listen(it)
    assert not end.faults()


def test_who_speaks_first_is_the_server(lab):
    """The request goes without payload, padded."""
    it, end, server = start(lab, AES256)
    far = Server(it.net, lambda sock: sock.sendall(b"220 ready"))
    assert read_exactly(connect(it.app, WEB4, far.port), 9) == b"220 ready"
    assert not end.faults() and "refused" not in server.log()


@AES
@pytest.mark.parametrize("users", [[], ["bob"]], ids=["alone", "user"])
def test_datagrams(lab, method, users):
    """dig, all sizes, and a full cone."""
    it, end, server = start(lab, method, users=users)
    serve_names(it)
    for version in (4, 6):
        dig(it, version)
        dig(it, version, "+tcp")
        sizes(it, version, [1, 512, 1200, 1400, 1473, 8000, 30000])
        _, app, seen = one_socket(it, version)
        assert len(set(seen)) == 1
        stranger = udp(it.net, SECOND[version], 5001)
        stranger.sendto(b"hello", seen[0])
        data, peer = app.recvfrom(100)
        assert data == b"hello" and peer[:2] == (SECOND[version], 5001)
    assert not end.faults() and "refused" not in server.log()


# ---- What does not ------------------------------------------------------------------------------------


def failure(it, end):
    """An app asks and is reset: what `show interfaces` says of that."""
    r = it.app.run(["curl", "-gsS", "-m", "20", f"http://{WEB4}/whoami"], check=False)
    assert r.returncode == 56, r    # reset
    i = end.interface()
    assert i["state"] == "failing", i
    return i


@pytest.mark.parametrize("shift", [-300, 300])
def test_a_server_whose_clock_is_wrong(lab, shift):
    """One that answers all the same tells us by how much; one that does not leaves us to guess."""
    it, end, _ = start(lab, AES256, "--careless", "--shift", shift)
    i = failure(it, end)
    assert i["fault"] == "clock" and abs(i["clock_skew"] - shift) <= 2, i
    assert "set the clock" in end.faults()[0]


def test_a_server_that_minds_our_clock(lab):
    it, end, server = start(lab, AES256, "--shift", "300")
    i = failure(it, end)
    assert i["fault"] == "closed" and "the clock" in i["fault_hint"], i
    assert "clock that differs by 300 s" in server.log() or "clock that differs by 299 s" in server.log()


@pytest.mark.parametrize("shift", [-25, 25])
def test_a_clock_that_is_good_enough(lab, shift):
    it, end, server = start(lab, AES256, "--shift", shift)
    serve_names(it)
    page(it, 4)
    dig(it, 4)
    assert not end.faults() and "refused" not in server.log()


@pytest.mark.parametrize("users, password", [([], "another"), (["bob"], "server:eve"), (["bob"], "another:bob")],
                         ids=["key", "user", "server"])
def test_wrong_keys(lab, users, password):
    it, end, server = start(lab, AES128, users=users,
                            password=":".join(key(AES128, k) for k in password.split(":")))
    i = failure(it, end)
    assert i["fault"] == "closed" and "password or uuid" in i["fault_hint"], i
    assert "refused" in server.log()


def test_datagrams_with_a_wrong_clock(lab):
    """The answers open, but are too old."""
    it, end, _ = start(lab, AES128, "--careless", "--shift", "-300", first_byte_timeout=Plain("1s"))
    serve_names(it)
    r = it.app.run(["dig", "@" + WEB4, "+tries=1", "+time=2", "www.example.net"], check=False)
    assert r.returncode, r
    i = end.interface()
    assert (i["state"], i["fault"]) == ("failing", "clock"), i
