# SPDX-License-Identifier: Apache-2.0
"""The DNS server's answers over a restart (dns.cache_file), and where they may not be taken for true: other
interfaces, another network, a damaged file; and what a reload cannot change. The laboratory is that of dnsnet.py,
with servers that count.
"""
import os

import pytest

from dnsnet import OTHER_DNS, Net, Steered, seen_by
from lab import wait_for
from nameserver import dig, dig_short

pytestmark = pytest.mark.mintflow_only
NAMES = ["www.vpn.example", "www.example.org"]


class Restart:
    """MintFlow with a cache file beside its profile, and both of `NAMES` in it."""

    def __init__(self, lab, **kw):
        self.net = Net(lab, NAMES, real=False)
        self.end = Steered(self.net, dns={"cache_file": "answers"}, **kw).start()
        self.path = lab.path("answers")
        self.before = {n: dig_short(self.net.home, OTHER_DNS, n) for n in NAMES}
        assert [seen_by(self.before[n][0]) for n in NAMES] == ["vpn", "direct"]

    def asked(self):
        return self.net.vpn_dns.names() + self.net.direct_dns.names()

    def forget_asked(self):
        self.net.vpn_dns.asked.clear()
        self.net.direct_dns.asked.clear()

    def again(self):
        """Stop, and start."""
        assert self.end.stop() == 0
        self.forget_asked()
        self.end.start()


def ttl_of(text, name):
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith(name + "."))


def test_known_from_before(lab):
    """Nobody is asked again, the TTL has gone on, and the route of the name is in force with the answer."""
    s = Restart(lab)
    first = ttl_of(dig(s.net.home, OTHER_DNS, NAMES[0]), NAMES[0])
    wait_for("a TTL that has gone down", lambda: ttl_of(dig(s.net.home, OTHER_DNS, NAMES[0]), NAMES[0]) < first)
    s.again()
    assert os.stat(s.path).st_mode & 0o777 == 0o600
    assert "answers are known from before" in s.end.proc.log()
    assert not s.end.json("show", "routes")["learned"]
    for n in NAMES:
        assert dig_short(s.net.home, OTHER_DNS, n) == s.before[n]
    assert s.asked() == []
    assert ttl_of(dig(s.net.home, OTHER_DNS, NAMES[0]), NAMES[0]) < first
    assert s.end.why(s.before[NAMES[0]][0]) == "vpn"
    assert s.net.way(NAMES[0], "-4") == "vpn" and s.net.way(NAMES[1], "-4") == "direct"
    assert s.end.stop() == 0


def test_by_another_way(lab):
    """An answer that came by another way than its name has now is asked for again."""
    s = Restart(lab)
    s.end.sets["vpn"] = {"domains": ["example.org"]}
    s.again()
    assert [seen_by(dig_short(s.net.home, OTHER_DNS, n)[0]) for n in NAMES] == ["direct", "vpn"]
    assert sorted(s.asked()) == sorted(NAMES)
    assert s.end.stop() == 0


def test_another_network(lab):
    """Behind another gateway the file is left out; and a change of network empties the cache."""
    s = Restart(lab)
    s.net.isp.add_addr("to-home", "192.0.2.9/24")
    s.forget_asked()
    s.net.home.ip("route replace default via 192.0.2.9")
    wait_for("an empty cache", lambda: not s.end.json("show", "dns-cache")["dns-cache"])
    for n in NAMES:
        assert dig_short(s.net.home, OTHER_DNS, n) == s.before[n]
    assert sorted(s.asked()) == sorted(NAMES)
    assert s.end.stop() == 0
    s.forget_asked()
    s.net.home.ip("route replace default via 192.0.2.1")
    s.end.start()
    assert "of another network: left out" in s.end.proc.log()
    assert dig_short(s.net.home, OTHER_DNS, NAMES[1]) == s.before[NAMES[1]]
    assert s.asked() == [NAMES[1]]
    assert s.end.stop() == 0


@pytest.mark.parametrize("what", ["garbage", "half", "directory", "link"])
def test_bad_file(lab, what):
    """What cannot be used is said, and stops nothing. A link is not followed."""
    s = Restart(lab)
    assert s.end.stop() == 0
    good = open(s.path, "rb").read()
    os.unlink(s.path)
    if what == "directory":
        os.mkdir(s.path)
    elif what == "link":
        os.symlink("/etc/hostname", s.path)
    else:
        with open(s.path, "wb") as f:
            f.write(good[:len(good) // 2] if what == "half" else os.urandom(3000))
    s.end.start()
    for n in NAMES:
        assert dig_short(s.net.home, OTHER_DNS, n) == s.before[n]
    log = s.end.proc.log()
    assert {"garbage": "holds no answers", "half": "are known from before", "directory": "cannot read",
            "link": "cannot read"}[what] in log
    assert s.end.stop() == 0
    if what == "directory":
        assert "cannot write" in s.end.proc.log()
    else:
        assert os.path.isfile(s.path) and not os.path.islink(s.path)


def test_reload_that_needs_a_restart(lab):
    """What is there from the start is not changed in silence: the reload is refused, and says what to do."""
    net = Net(lab, NAMES, real=False)
    end = Steered(net, dns={"listen": ["127.0.0.1:5353", "10.66.0.1:53"]}).start()
    first = dict(end.dns)
    for key, value, said in (("listen", ["127.0.0.1:5354"], "dns.listen: a change needs a restart"),
                             ("direct_servers", ["tls://1.1.1.1"], "the first tls:// or https:// server"),
                             ("cache_size", 1 << 20, "dns.cache_size: a change needs a restart")):
        end.dns = {**first, key: value}
        end.write_profile()
        r = end.cli("reload", check=False)
        assert r.returncode == 1 and said in r.stdout + r.stderr, r.stdout + r.stderr
        assert "direct" in {seen_by(a) for a in dig_short(net.home, "127.0.0.1", NAMES[1], "A", "-p5353")}
    end.dns = {**first, "listen": ["10.66.0.1:5300", "127.0.0.1:5353"]}
    end.reload()
    assert dig_short(net.home, "10.66.0.1", NAMES[1], "A", "-p5300"), "an address in the tunnel changes in place"
    assert end.stop() == 0
