# SPDX-License-Identifier: Apache-2.0
"""Lists: domain sets and CIDR sets from files that change, and from URLs. The laboratory is that of
dnsnet.py; what is in force is seen by names that are routed to drop: they do not exist then.

    home: MintFlow ── isp ┬ vpn: lists.vpn.example, inside the VPN only
                          └ net: lists.example, and the DNS servers
"""
import os
import ssl
import subprocess
import threading
import time

import pytest

from directnet import Server
from dnsnet import HOME4, OTHER_DNS, VPN4, Net, Steered
from lab import LabError, wait_for
from nameserver import dig
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
NAMES = ["lists.example", "lists.vpn.example", "a.example", "b.example", "c.example", "vpn.example"]
ROUTES = [{"domain_set": "ads", "to": "drop"}, {"domain_set": "vpn", "to": "vpn"},
          {"cidr": "0.0.0.0/0", "to": "direct"}, {"cidr": "::/0", "to": "direct"}]
MORE = {"vpn": {"lists.vpn.example": {"A": ["10.20.0.80"]}},
        "direct": {"lists.example": {"A": ["198.19.0.80"]}}}


class Lists:
    """Serves what the test says: `page` is {path: bytes, or a function that gets the request's headers and
    returns the whole response}. `asked` is what was asked for, with headers in lower case."""

    def __init__(self, host, port=8080, tls=None):
        self.page, self.asked, self.tls = {}, [], tls
        self.server = Server(host, self.answer, port=port)

    def answer(self, sock):
        if self.tls:
            sock = self.tls.wrap_socket(sock, server_side=True)
        data = b""
        while b"\r\n\r\n" not in data:
            part = sock.recv(4096)
            if not part:
                return
            data += part
        first, *rest = data.decode().split("\r\n\r\n")[0].split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in rest)}
        path = first.split()[1]
        self.asked.append((path, headers))
        page = self.page.get(path)
        if callable(page):
            page = page(headers)
        elif page is None:
            page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        else:
            page = ok(page)
        try:
            sock.sendall(page)
            sock.shutdown(2)
        except OSError:
            pass        # who has had enough
        sock.close()

    def close(self):
        self.server.close()


def ok(body, *headers):
    head = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def moved(to):
    return f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


class Home:
    """MintFlow with a set `ads` of this description, and what its files hold."""

    def __init__(self, lab, monkeypatch, ads, *, cidr_sets=None, routes=(), start=True, servers=True,
                 vpn=None):
        monkeypatch.setenv("STATE_DIRECTORY", lab.path("state"))
        self.lab = lab
        self.net = Net(lab, NAMES, MORE, real=False, servers=servers)
        self.net.net.ip("route add local 198.19.0.80/32 dev lo")
        self.file = lab.path("ads.txt")
        sets = {"ads": ads(self.file) if callable(ads) else ads, "vpn": vpn or {"domains": ["vpn.example"]}}
        self.end = Steered(self.net, sets=sets, cidr_sets=cidr_sets, routes=list(routes) + ROUTES)
        self.began = 0
        if start:
            self.end.start(30)

    def write(self, text, path=None):
        with open(path or self.file, "w") as f:
            f.write(text)

    def blocked(self, name):
        return "status: NXDOMAIN" in dig(self.net.home, OTHER_DNS, name)

    def wait_blocked(self, name, blocked=True):
        wait_for(f"{name} blocked: {blocked}", lambda: self.blocked(name) == blocked, 20, 0.1)

    def log(self):
        return self.end.proc.log()

    def wait_log(self, text, n=1):
        wait_for(f"{text!r} in the log", lambda: self.log().count(text) >= n, 30, 0.1)


def from_file(**kw):
    return lambda path: {"files": [path], **kw}


@pytest.fixture
def make(lab, monkeypatch):
    """Writes the set's file first."""
    def one(text, ads=from_file(), **kw):
        if text is not None:
            with open(lab.path("ads.txt"), "w") as f:
                f.write(text)
        return Home(lab, monkeypatch, ads, **kw)
    return one


# Files ----------------------------------------------------------------------------------------------


def test_a_file_that_changes(make):
    """Written in place, renamed over, gone, and there again: without a reload, and without a gap."""
    h = make("a.example\n")
    assert h.blocked("a.example") and h.blocked("www.a.example") and not h.blocked("b.example")
    h.write("b.example\n")
    h.wait_blocked("b.example")
    assert not h.blocked("a.example")
    h.write("||c.example^\n", h.file + ".new")
    os.rename(h.file + ".new", h.file)
    h.wait_blocked("c.example")
    assert not h.blocked("b.example")
    os.unlink(h.file)
    h.wait_log("is not there any more")
    assert h.blocked("c.example")
    h.write("a.example\n")
    h.wait_blocked("a.example")
    assert h.end.stop() == 0


def test_a_new_file_that_is_wrong(make):
    """The old set stays, the log says where; a reload is refused as a whole and says the same."""
    h = make("a.example\n")
    h.write("b.example\n" + "in valid..name\n" * 9)
    h.wait_log("stays as it was before")
    assert f"{h.file}:2: error: " in h.log() and f"{h.file}: and 4 more lines" in h.log()
    assert h.blocked("a.example") and not h.blocked("b.example")
    r = h.end.cli("reload", check=False)
    assert r.returncode == 1 and f"{h.file}:2: error: " in r.stderr
    assert h.blocked("a.example")
    h.end.sets["ads"]["lenient"] = True
    h.end.reload()
    assert h.blocked("b.example") and not h.blocked("a.example")
    assert "9 wrong lines are left out" in h.log()


def test_a_reload_reads_what_has_changed_only(make):
    h = make("a.example\n")
    h.end.reload()
    assert h.log().count("domain set ads: 1 name ") == 1
    h.end.sets["ads"] = {"domains": ["b.example"]}
    h.end.reload()
    assert h.blocked("b.example") and not h.blocked("a.example")
    h.end.sets["ads"] = {"files": [h.file], "domains": ["c.example"]}
    h.end.reload()
    assert h.blocked("a.example") and h.blocked("c.example") and not h.blocked("b.example")


def test_a_wrong_list_stops_the_start(make):
    h = make("a.example\nnot a name\n", start=False)
    with pytest.raises(LabError, match="mintflow ended with 1"):
        h.end.start()
    assert f"{h.file}:2: error: " in h.log()


def test_one_line_of_100_megabytes(make):
    h = make("a.example\n", from_file(lenient=True))
    with open(h.file, "w") as f:
        f.write("b.example\n" + "x" * 100_000_000)
    h.wait_blocked("b.example")
    assert "1 wrong line is left out" in h.log()


def test_a_file_that_changes_while_it_is_read(make):
    """Truncated, written and replaced all the time, for some seconds: the program lives, and the last state
    is in force in the end."""
    h = make("a.example\n", from_file(lenient=True))
    body = "".join(f"x{i}.example\n" for i in range(100_000))
    end = time.monotonic() + 6
    while time.monotonic() < end:
        h.write(body)
        os.truncate(h.file, 1000)
        h.write(body[:-7])
    h.write(body + "c.example\n")
    h.wait_blocked("c.example")
    assert not h.blocked("a.example")
    assert h.end.stop() == 0


def test_the_file_of_a_cidr_set(make, lab):
    """It is part of the profile, which is loaded again; one that is wrong changes nothing."""
    path = lab.path("nets.txt")
    with open(path, "w") as f:
        f.write("198.51.100.0/24\n")
    h = make("a.example\n", cidr_sets={"nets": {"files": [path]}},
             routes=[{"cidr_set": "nets", "to": "reject"}])
    assert h.end.why("198.51.100.1") == "reject" and h.end.why("203.0.113.1") == "direct"
    h.write("203.0.113.0/24\n", path)
    wait_for("the new range", lambda: h.end.why("203.0.113.1") == "reject", 20)
    assert h.end.why("198.51.100.1") == "direct"
    h.write("203.0.113.0/24\n198.51.100.0/99\n", path)
    h.wait_log(f"{path}:2")
    assert h.end.why("203.0.113.1") == "reject"


# Subscriptions --------------------------------------------------------------------------------------


def subscribed(url, **kw):
    return {"url": url, "every": Plain("1s"), **kw}


def test_a_subscription(make, lab):
    """There before READY; asked again with its ETag; a new one takes its place, and what is none does not."""
    h = make(None, subscribed("http://lists.example:8080/ads.txt"), start=False)
    lists = Lists(h.net.net)
    body, tag = [b"a.example\n"], ['"one"']

    def page(headers):
        if headers.get("if-none-match") == tag[0]:
            return b"HTTP/1.1 304 Not Modified\r\n\r\n"
        return ok(body[0], f"ETag: {tag[0]}")
    lists.page["/ads.txt"] = page
    h.end.start(30)
    assert h.blocked("a.example") and not h.blocked("b.example")
    h.wait_log("it has not changed")
    assert lists.asked[-1][1]["if-none-match"] == '"one"'
    body[0], tag[0] = b"b.example\n", '"two"'
    h.wait_blocked("b.example")
    assert not h.blocked("a.example")
    for bad, why in ((b" <!doctype html><p>c.example", "web page"), (b"# nothing\n", "no entry"),
                     (b"c.example\nnot a name\n", "line 2"), (b"", "no entry")):
        body[0], tag[0] = bad, f'"{len(lists.asked)}"'
        h.wait_log(why)
        assert h.blocked("b.example") and not h.blocked("c.example")
        body[0], tag[0] = b"b.example\n", f'"{len(lists.asked)}-good"'
        h.end.cli("reload")
        # A failure has made it wait; a restart takes the copy, and then asks.
        assert h.end.stop() == 0
        h.end.start(30)
        assert h.blocked("b.example")


def test_the_copy_lasts_over_a_restart_without_network(make):
    h = make(None, subscribed("http://lists.example:8080/ads.txt", every=Plain("1d")), start=False)
    lists = Lists(h.net.net)
    lists.page["/ads.txt"] = b"a.example\n"
    h.end.start(30)
    assert h.end.stop() == 0
    lists.close()
    h.end.start(5)
    assert h.blocked("a.example") and len(lists.asked) == 1
    assert h.end.stop() == 0


def test_a_server_that_is_down_at_the_start(make):
    """It holds the start up for a moment, not for ever; what else is in the set counts; it is tried again."""
    h = make(None, subscribed("http://lists.example:8080/ads.txt", domains=["b.example"]), start=False)
    h.end.start(30)
    assert h.blocked("b.example") and not h.blocked("a.example")
    h.wait_log("there is no copy; trying again")
    assert "connection refused" in h.log()
    lists = Lists(h.net.net)
    lists.page["/ads.txt"] = b"a.example\n"
    h.wait_blocked("a.example")
    assert h.blocked("b.example")


def test_a_server_that_says_nothing(make):
    """The start does not wait for it for ever, and the end not at all; a reload goes on beside it."""
    h = make(None, subscribed("http://lists.example:8080/ads.txt", domains=["b.example"]), start=False)
    server = Server(h.net.net, lambda sock: sock.recv(1) and time.sleep(120), port=8080)
    h.end.start(30)
    assert h.blocked("b.example")
    h.end.sets["ads"]["domains"] = ["a.example"]
    h.end.reload()
    assert h.blocked("a.example") and not h.blocked("b.example")
    start = time.monotonic()
    assert h.end.stop() == 0
    assert time.monotonic() - start < 4
    server.close()


def test_sizes_and_redirects(make):
    """Up to five redirects, to http and https only; never more than max_size, whatever the server says."""
    h = make(None, subscribed("http://lists.example:8080/1", max_size=Plain("64KiB")), start=False)
    lists = Lists(h.net.net)
    for i in range(1, 6):
        lists.page[f"/{i}"] = lambda _, i=i: moved(f"/{i + 1}" if i < 5 else "http://lists.example:8080/6")
    lists.page["/6"] = b"a.example\n"
    h.end.start(30)
    assert h.blocked("a.example") and [p for p, _ in lists.asked[:6]] == [f"/{i}" for i in range(1, 7)]
    lists.page["/6"] = lambda _: moved("/1")
    h.wait_log("always somewhere else")
    long = b"b.example\n" * 10_000
    endless = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + long
    for answer, why in ((moved("file:///etc/passwd"), "no URL of http"), (ok(long), "max_size"),
                        (endless, "max_size")):
        n = h.log().count(why)
        lists.page["/1"] = lambda _, answer=answer: answer
        assert h.end.stop() == 0
        h.end.start(30)
        h.wait_log(why)
    assert h.blocked("a.example") and not h.blocked("b.example")


def test_tls(make, lab):
    """A certificate that nobody vouches for, or of another name, is not good enough."""
    h = make(None, subscribed("https://lists.example/ads.txt"), start=False)
    key, cert = lab.path("key.pem"), lab.path("cert.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
                    cert, "-days", "2", "-subj", "/CN=lists.example", "-addext",
                    "subjectAltName=DNS:lists.example"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    lists = Lists(h.net.net, 443, context)
    lists.page["/ads.txt"] = b"a.example\n"
    h.end.start(30)
    h.wait_log("certificate")
    assert not h.blocked("a.example") and not lists.asked
    h.end.dns["ca_file"] = cert
    h.end.reload()
    h.wait_blocked("a.example")


@pytest.mark.parametrize("how", ["via", "name"])
def test_through_the_vpn(make, how):
    """The name is asked of the VPN's server, and the list fetched through it; nothing of it on the cable."""
    ads = subscribed("http://lists.vpn.example:8080/ads.txt", every=Plain("1d"), **({"via": "vpn"} if how == "via" else {}))
    h = make(None, ads, start=False, vpn={"domains": ["vpn.example" if how == "name" else "other.example"]})
    lists = Lists(h.net.vpn)
    lists.page["/ads.txt"] = b"".join(b"x%d.other\n" % i for i in range(100_000)) + b"a.example\n"
    cable = h.net.home.capture("eth0", f"src {HOME4} and not udp port 51820")
    h.end.start(30)
    assert h.blocked("a.example") and not h.blocked("b.example")
    assert "through vpn" in h.log()
    sent = cable.packets()
    assert not [p for p in sent if b"lists" in bytes(p)], "asked for beside the VPN"
    assert h.end.stop() == 0


def test_a_cidr_set_by_url(make):
    """Prefixes that contradict the profile are not taken."""
    h = make("a.example\n", cidr_sets={"nets": subscribed("http://lists.example:8080/nets.txt")},
             routes=[{"cidr_set": "nets", "to": "reject"}, {"cidr": "203.0.113.0/24", "to": "vpn"}],
             start=False)
    lists = Lists(h.net.net)
    lists.page["/nets.txt"] = b"198.51.100.0/24\n"
    h.end.start(30)
    wait_for("the range", lambda: h.end.why("198.51.100.1") == "reject", 20)
    lists.page["/nets.txt"] = b"203.0.113.0/24\n192.0.9.0/24\n"
    h.wait_log("the profile cannot take it")
    assert h.end.why("198.51.100.1") == "reject" and h.end.why("203.0.113.1") == "vpn"
    assert h.end.stop() == 0
    h.end.start(30)
    assert h.end.why("198.51.100.1") == "reject"


def test_many_reloads_at_once(make):
    """Clients that ask while one is under way all get an answer, and of a profile that is new enough."""
    h = make("".join(f"x{i}.example\n" for i in range(200_000)))
    assert not h.blocked("a.example")
    h.write("".join(f"y{i}.example\n" for i in range(200_000)) + "a.example\n")
    got = []
    threads = [threading.Thread(target=lambda: got.append(h.end.cli("reload", check=False).returncode))
               for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert got == [0] * 8 and h.blocked("a.example")


@pytest.mark.slow
def test_a_million_names(make):
    """In the background: questions are answered meanwhile, and the program does not stand still."""
    h = make("a.example\n")
    with open(h.file, "w") as f:
        for i in range(1_000_000):
            f.write(f"host{i % 977}.site{i}.test\n")
        f.write("b.example\n")
    longest = 0
    while True:
        start = time.monotonic()
        done = h.blocked("b.example")
        h.end.cli("status")
        longest = max(longest, time.monotonic() - start)
        if done:
            break
    print(next(x for x in h.log().splitlines() if "1000001 names" in x), f"; longest wait {longest:.3f} s;",
          f"{h.end.proc.rss_kib() >> 10} MiB")
    assert not h.blocked("a.example")


# Endpoints ------------------------------------------------------------------------------------------


def test_an_endpoint_by_name_is_asked_of_ourselves(lab, monkeypatch):
    """The first time of the system's resolver, which is pointed at us then; later of a direct server, outside
    the tunnel. Here the system's knows nothing, so that only the latter can bring the tunnel up."""
    net = Net(lab, [], {"direct": {"gate.example": {"A": [VPN4]}}}, real=False)

    def by_name(profile):
        profile["interfaces"][0]["peers"][0]["endpoint"] = "gate.example:51820"
    end = Steered(net, tweak=by_name)
    net.home.etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    end.start(30)
    wait_for("the endpoint", lambda: f"endpoint gate.example is {VPN4}" in end.proc.log(), 30)
    assert any(q.name == "gate.example" for q in net.direct_dns.asked)
    assert not any(q.name == "gate.example" for q in net.vpn_dns.asked)
    wait_for("a handshake", lambda: net.wg.show()[list(net.wg.show())[0]].handshake, 20)
