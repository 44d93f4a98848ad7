# SPDX-License-Identifier: Apache-2.0
"""proxyuse - what apps do through a proxy, whichever it is: a page, a film, names, datagrams. The laboratory
is that of proxynet.py.
"""
import hashlib
import json
import os
import socket
import threading
import time

from directnet import WEB, WEB4, Server, connect, read_all, read_exactly
from lab import hostport, wait_for
from proxynet import PX4, PX6
from test_direct_udp import SECOND, client, udp
from test_direct_udp import echo as udp_echo
from wgend import Plain

MIB = 1 << 20
SHORT = {"connect_timeout": Plain("2s"), "first_byte_timeout": Plain("3s")}
SEEN_AS = {4: PX4, 6: PX6}
ELSEWHERE = {4: "198.18.5.5", 6: "2001:db8:99::55"}     # where home believes a name to be
RIGHT = {4: "198.18.0.77", 6: "2001:db8:99::77"}        # where px knows it to be


def page(it, version):
    """The web sees px, and the address that was asked for."""
    at = hostport(WEB[version], 80)
    said = json.loads(it.home.out(["curl", "-gsSf", "-m", "10", f"http://{at}/whoami"]))
    assert (said["client"], said["address"]) == (SEEN_AS[version], WEB[version]), said


def film(it, version, size=48 * MIB):
    """A film down and up again, sums compared. Its web server is at port 8080."""
    www, path = it.lab.path("www"), it.lab.path("www/film.bin")
    if not os.path.exists(www):
        os.mkdir(www)
        with open(path, "wb") as f:
            f.write(os.urandom(MIB) * (size // MIB - 1) + os.urandom(MIB))
        it.net.http_server(8080, www)
    with open(path, "rb") as f:
        digest = hashlib.file_digest(f, "sha256").hexdigest()
    at = "http://" + hostport(WEB[version], 8080)
    got = it.home.sh(f"curl -gsSf -m 100 {at}/film.bin | sha256sum", timeout=110).stdout.split()[0]
    assert got == digest
    up = json.loads(it.home.out(["curl", "-gsSf", "-m", "100", "-T", path, at + "/x"], timeout=110))
    assert up == {"bytes": size, "sha256": digest}


def streams(it, end, version, ways=((), ("-R",), ("-P", "10"), ("-P", "10", "-R"), ("--bidir",))):
    """iperf3, each of these ways: each moves something, and no fault is seen in it."""
    it.net.iperf_server()
    for extra in ways:
        j = it.home.iperf(WEB[version], *extra, seconds=1)
        assert j["end"]["sum_received"]["bytes"] > MIB, extra
    assert not end.faults()


def late_answer(it, question_len, answer_len):
    """An app has said all, and ends; the answer takes longer than servers wait, and comes in two parts."""
    question, answer, got = os.urandom(question_len), os.urandom(answer_len), []

    def handler(sock):
        got.append(read_exactly(sock, len(question)))
        time.sleep(2.5)
        sock.sendall(answer[:1000])
        time.sleep(2.5)
        sock.sendall(answer[1000:])
    server = Server(it.net, handler)
    with connect(it.home, WEB4, server.port) as sock:
        sock.sendall(question)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == answer
    assert got == [question]


# ---- Names -------------------------------------------------------------------------------------------

DNS = {"vpn_servers": [WEB4], "direct_servers": [WEB4], "system": "off"}     # of a profile


def know_names(it):
    """px has a view of its own of two names, and knows no others."""
    it.px.etc("resolv.conf", "nameserver 127.0.0.1\n")
    it.px.etc("hosts", f"{RIGHT[4]} four.px.example\n{RIGHT[6]} six.px.example\n")


def serve_names(it):
    """What a DNS server at WEB4 and WEB6 knows: other addresses for the same names, and one more name."""
    it.net.popen(["dnsmasq", "-k", "-C", "/dev/null", "-u", "root", "-R", "-h", "-p", "53",
                  "-x", "/run/dns.pid", "--max-cache-ttl=60", f"--host-record=four.px.example,{ELSEWHERE[4]}",
                  f"--host-record=six.px.example,{ELSEWHERE[6]}",
                  "--host-record=www.example.net,203.0.113.80"], "dnsmasq")
    wait_for("dnsmasq", lambda: it.net.listening(53, "udp"))


# ---- Datagrams ---------------------------------------------------------------------------------------


def dig(it, version, *options):
    out = it.home.out(["dig", "@" + WEB[version], "+short", "+tries=1", "+time=5", *options,
                       "www.example.net"])
    assert out.split() == ["203.0.113.80"]


def sizes(it, version, all_of_them):
    """Datagrams there and back, each whole; twice, to see that none stays behind."""
    where = udp_echo(udp(it.net, WEB[version]))
    app = client(it.home, version)
    for size in all_of_them + all_of_them:
        data = bytes(i * 7 % 251 for i in range(size))
        app.sendto(data, where)
        assert app.recv(65535) == data, size


def remotes(it, version):
    """Three sockets of the web, at two addresses and three ports."""
    return [udp(it.net, WEB[version], 3478), udp(it.net, SECOND[version], 3479),
            udp(it.net, SECOND[version], 4000)]


def one_socket(it, version):
    """One socket of an app and several remotes, in turn: each answer comes from the one who gave it. Returns
    the remotes, the app's socket, and whom each remote has seen."""
    servers, app, seen = remotes(it, version), client(it.home, version), []
    for turn in range(3):
        for s in servers:
            app.sendto(b"who am I?", s.getsockname()[:2])
            data, peer = s.recvfrom(100)
            assert data == b"who am I?" and peer[0] == SEEN_AS[version]
            s.sendto(b"you, %d" % turn, peer)
            data, whom = app.recvfrom(100)
            assert (data, whom[:2]) == (b"you, %d" % turn, s.getsockname()[:2])
            seen.append(peer[:2])
    assert seen[:3] == seen[3:6] == seen[6:], "a mapping has changed while it was in use"
    return servers, app, seen[:3]


class Load:
    """Apps that ask for pages all the time, each over a connection of its own, and some that download."""

    def __init__(self, it, apps=6):
        self.it, self.stop, self.pages, self.hung = it, False, 0, []
        self.threads = [threading.Thread(target=self.app, args=(i,)) for i in range(apps)]
        for t in self.threads:
            t.start()

    def app(self, i):
        what = "/whoami" if i % 3 else "/bytes/20000000"
        while not self.stop:
            try:
                with connect(self.it.home, WEB4, 80, 10) as s:
                    s.sendall(f"GET {what} HTTP/1.0\r\n\r\n".encode())
                    while s.recv(1 << 20):
                        pass
                    self.pages += 1
            except TimeoutError:
                self.hung.append(i)
            except OSError:
                time.sleep(0.05)

    def end(self):
        self.stop = True
        for t in self.threads:
            t.join()


def kill_under_load(it, end, procs, serve, which=0, hung=0):
    """One of the server's programs is killed and all are started again (`serve`), three times: no app hangs (of
    some thousand `hung` may), and after each time there are pages again."""
    load = Load(it)
    for _ in range(3):
        wait_for("pages", lambda seen=load.pages: load.pages > seen + 20, 30)
        procs[which].kill(9)
        time.sleep(0.5)
        for p in procs:
            p.stop()
        procs = serve()
    wait_for("pages", lambda seen=load.pages: load.pages > seen + 20, 30)
    load.end()
    assert len(load.hung) <= hung, load.hung
    page(it, 4)
    assert end.proc.alive()
