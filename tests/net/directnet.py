# SPDX-License-Identifier: Apache-2.0
"""directnet - a home, its provider and the internet, for what goes `direct`; and Debian's pasta, the
peer of the benchmarks.

    app ┄┄ home ── 192.0.2.0/24, 2001:db8:2::/64 ── isp ── 198.51.100.0/24, 2001:db8:5::/64 ── net

    app   the apps run here: home itself, unless `router`: then it is a machine of its own behind home
          (10.9.0.0/24, fd09::/64)
    home  MintFlow runs here
    isp   forwards; some destinations are unreachable, forbidden or swallowed (BAD)
    net   answers on every address of 198.18.0.0/16 and 2001:db8:99::/64

The tests of `direct` run with --ours=kernel, too, with nothing between the apps and the provider: what
they ask for is what an app may expect of any way, and a test that the kernel fails is wrong.
"""
import errno
import hashlib
import os
import socket
import struct
import threading
import time

from lab import LabError, is_v6, wait_for
from wgend import Mintflow

TUN4, TUN6 = "10.66.0.2", "fd66::2"
HOME4, HOME6 = "192.0.2.2", "2001:db8:2::2"     # as the internet sees what comes from home
WEB4, WEB6 = "198.18.0.1", "2001:db8:99::1"
WEB = {4: WEB4, 6: WEB6}
# What the provider says of destinations there.
BAD = {"unreachable": ("198.19.1.1", "2001:db8:98:1::1"),
       "prohibit": ("198.19.2.1", "2001:db8:98:2::1"),
       "blackhole": ("198.19.3.1", "2001:db8:98:3::1"),
       "no route": ("203.0.113.99", "2001:db8:97::1")}
EVERYWHERE = [{"cidr": "0.0.0.0/0", "to": "direct"}, {"cidr": "::/0", "to": "direct"}]


class Direct(Mintflow):
    """MintFlow that sends everything `direct`, and has no other interface."""

    def __init__(self, host, *, direct=None, sessions=None, limits=None, routes=None, mtu=1500,
                 addrs=(TUN4 + "/24", TUN6 + "/64"), auto_route=True, **kw):
        super().__init__(host, addrs, routes=routes or EVERYWHERE, auto_route=auto_route, mtu=mtu,
                         **kw)
        self.sections = {"direct": direct, "sessions": sessions, "limits": limits}

    def profile(self):
        d = {"version": 1,
             "tunnel": {"name": self.dev, "address": self.addrs, "mtu": self.mtu,
                        "auto_route": self.auto_route, "exclude_lan": self.exclude_lan},
             "app_routing": {"enabled": True, "routes": self.routes}}
        d.update({k: v for k, v in self.sections.items() if v})
        if self.tweak:
            self.tweak(d)
        return d

    def sessions(self):
        return self.json("show", "sessions")["sessions"]


class Pasta:
    """pasta --config-net at `host`, serving a network of its own (`app`)."""

    def __init__(self, host, app, *, mtu=1500):
        self.host, self.app, self.mtu, self.proc = host, app, mtu, None

    def start(self):
        # It may not look into /proc/PID/ns of others once it has locked itself in.
        ns = f"/run/{self.app.name}.ns"
        self.host.sh(f"touch {ns}; mount --bind /proc/{self.app.pid}/ns/net {ns}")
        # No forwarding of ports, and the provider's address is the provider's.
        self.proc = self.host.popen(
            ["pasta", "-f", "-q", "--config-net", "--netns-only", "--runas", "0", "--no-map-gw",
             "-m", self.mtu, "-t", "none", "-u", "none", "-T", "none", "-U", "none",
             "--netns", ns], "pasta")

        def ready():
            if not self.proc.alive():
                raise LabError("pasta ended at once:\n" + self.proc.tail())
            return "default" in self.app.ip("-4 route")
        wait_for("pasta", ready)
        return self

    def stop(self):
        return self.proc.stop()


class Internet:
    """The whole laboratory, started. `ours`: "mintflow" or "kernel"; `end` is None then."""

    def __init__(self, lab, ours="mintflow", *, router=False, mtu=1500, link_mtu=1500, start=True,
                 **kw):
        self.lab, self.ours, self.router = lab, ours, router
        self.home = lab.host("home", forward=router)
        self.isp, self.net = lab.host("isp", forward=True), lab.host("net")
        lab.link(self.home, self.isp, [HOME4 + "/24", HOME6 + "/64"],
                 ["192.0.2.1/24", "2001:db8:2::1/64"], mtu=link_mtu)
        lab.link(self.isp, self.net, ["198.51.100.1/24", "2001:db8:5::1/64"],
                 ["198.51.100.2/24", "2001:db8:5::2/64"], mtu=link_mtu)
        self.home.ip("route add default via 192.0.2.1")
        self.home.ip("-6 route add default via 2001:db8:2::1")
        self._provider()
        self.net.ip("route add default via 198.51.100.1")
        self.net.ip("-6 route add default via 2001:db8:5::1")
        self.net.ip("route add local 198.18.0.0/16 dev lo")
        self.net.ip("-6 route add local 2001:db8:99::/64 dev lo")
        # These are to bind to as well.
        self.net.add_addr("lo", WEB4 + "/32", WEB6 + "/128", "2001:db8:99::2/128")
        self.app = self._behind(lab.host("app")) if router else self.home
        # The device at home that an app's packets go through.
        self.dev, self.end = "to-isp", None
        if ours == "mintflow":
            self.end = Direct(self.home, mtu=mtu, **kw)
            self.dev = self.end.dev
            if start:
                self.end.start()

    def _provider(self):
        isp = self.isp
        for key in ("net.ipv4.icmp_ratelimit", "net.ipv6.icmp.ratelimit"):
            isp.sysctl(key, 0)
        isp.ip("route add 198.18.0.0/16 via 198.51.100.2")
        isp.ip("-6 route add 2001:db8:99::/64 via 2001:db8:5::2")
        for kind, (v4, v6) in BAD.items():
            if kind != "no route":
                isp.ip(f"route add {kind} {v4}/32")
                isp.ip(f"-6 route add {kind} {v6}/128")

    def _behind(self, app):
        self.lab.link(app, self.home, ["10.9.0.2/24", "fd09::2/64"], ["10.9.0.1/24", "fd09::1/64"])
        app.ip("route add default via 10.9.0.1")
        app.ip("-6 route add default via fd09::1")
        if self.ours == "kernel":
            self.home.masquerade("to-isp")
        return app


def inet(address):
    return socket.AF_INET6 if is_v6(address) else socket.AF_INET


def connect(host, address, port, timeout=30):
    """A connected socket of this host; OSError if there is none."""
    s = host.socket(inet(address))
    s.settimeout(timeout)
    try:
        s.connect((address, port))
    except OSError:
        s.close()
        raise
    return s


def connect_errno(host, address, port, timeout=30):
    """0, or the errno of the attempt (ETIMEDOUT: nothing happened for `timeout` seconds), and how
    long it took."""
    start = time.monotonic()
    try:
        connect(host, address, port, timeout).close()
        e = 0
    except TimeoutError:
        e = errno.ETIMEDOUT
    except OSError as err:
        e = err.errno
    return e, time.monotonic() - start


def reset(sock):
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def read_all(sock):
    data = bytearray()
    while part := sock.recv(1 << 20):
        data += part
    return bytes(data)


def read_exactly(sock, n):
    data = bytearray()
    while len(data) < n:
        part = sock.recv(n - len(data))
        if not part:
            raise EOFError(f"{len(data)} of {n} bytes, then the end")
        data += part
    return bytes(data)


class Server:
    """Listens on a host; each connection is given to handler(sock) in a thread of its own, or waits for
    accept() if there is none."""

    def __init__(self, host, handler=None, address="::", port=0, backlog=128):
        self.listener = host.socket(inet(address))
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if address == "::":
            self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.listener.bind((address, port))
        self.listener.listen(backlog)
        self.port = self.listener.getsockname()[1]
        self.errors = []
        if handler:
            self.serve(handler)

    def serve(self, handler):
        self.handler = handler
        self.listener.settimeout(None)
        threading.Thread(target=self._loop, daemon=True).start()

    def _loop(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.settimeout(60)
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock):
        try:
            self.handler(sock)
        except OSError as e:
            self.errors.append(e)
        finally:
            sock.close()

    def accept(self, timeout=30):
        self.listener.settimeout(timeout)
        sock, peer = self.listener.accept()
        sock.settimeout(60)
        return sock

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)    # wakes the thread
        except OSError:
            pass
        self.listener.close()


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)


def joined(host, server_host, address, port=0):
    """A connection: (the app's socket, the server's socket)."""
    server = Server(server_host, port=port)
    try:
        mine = connect(host, address, server.port)
        return mine, server.accept()
    finally:
        server.close()


# ---- Ends of one direction ------------------------------------------------------------------------------

QUESTION = 300_000      # bytes


def ask_and_end(it, hear, pause=0.3):
    """nc -N: an app says all and ends. The server answers a while after it has heard that; `hear` reads it."""
    question, answer, seen = os.urandom(QUESTION), os.urandom(700_000), []
    path = it.lab.path("question")
    with open(path, "wb") as f:
        f.write(question)

    def handler(sock):
        seen.append(hear(sock))
        time.sleep(pause)
        sock.sendall(answer)
    server = Server(it.net, handler)
    got = it.app.sh(f"nc -N -w 20 {WEB4} {server.port} < {path} | sha256sum")
    assert seen == [question]
    assert got.stdout.split()[0] == hashlib.sha256(answer).hexdigest()


def end_and_listen(it):
    """nc -N at the server: it sends its file and ends; what the app says after that still arrives."""
    motd, late = os.urandom(400_000), os.urandom(600_000)
    path, heard = it.lab.path("motd"), it.lab.path("late")
    with open(path, "wb") as f:
        f.write(motd)
    it.net.popen(["sh", "-c", f"nc -N -l 7000 < {path} > {heard}"], "nc")
    wait_for("nc", lambda: it.net.listening(7000))
    sock = connect(it.app, WEB4, 7000)
    assert read_all(sock) == motd
    time.sleep(0.3)
    sock.sendall(late)
    sock.close()
    wait_for("what was said late", lambda: os.path.getsize(heard) == len(late))
    with open(heard, "rb") as f:
        assert f.read() == late
