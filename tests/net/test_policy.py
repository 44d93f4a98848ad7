# SPDX-License-Identifier: Apache-2.0
"""What goes where: two tunnels, drop, reject, CIDR sets, and `mintflow why` that agrees.

                 ┌── p1 (wireguard-go) ──┐
    home (ours) ─┤                       ├ net: 198.18.0.0/15 on lo, httpd tells who asked
                 └── p2 (wireguard-go) ──┘

p1 and p2 masquerade, so the web server sees which of them a request came through.
"""
import json

import pytest

from lab import genkey, hostport
from wgend import Peer, make

pytestmark = pytest.mark.mintflow_only

P1_OUT, P2_OUT = "203.0.113.1", "203.0.113.5"


def build(lab, ours="mintflow", routes=None, tweak=None, one_address=True):
    home, p1, p2, net = (lab.host("home"), lab.host("p1", forward=True),
                         lab.host("p2", forward=True), lab.host("net"))
    lab.link(home, p1, ["192.0.2.1/30"], ["192.0.2.2/30"])
    lab.link(home, p2, ["192.0.2.5/30"], ["192.0.2.6/30"])
    lab.link(p1, net, [P1_OUT + "/30"], ["203.0.113.2/30"])
    lab.link(p2, net, [P2_OUT + "/30"], ["203.0.113.6/30"])
    for p, gw in ((p1, "203.0.113.2"), (p2, "203.0.113.6")):
        p.ip(f"route add 198.18.0.0/15 via {gw}")
        p.masquerade("to-net")
    net.ip("route add local 198.18.0.0/15 dev lo")
    net.http_server(80, bind="0.0.0.0")
    e1 = make("wireguard-go", p1, ["10.10.0.254/24"], port=51820)
    e2 = make("wireguard-go", p2, ["10.20.0.254/24"], port=51820)
    ours_end = make(ours, home, ["10.10.0.1/24"], routes=routes or [
        {"cidr": "10.10.0.0/24", "to": "wg0"},
        {"cidr": "198.18.0.0/16", "to": "wg0"},
        {"cidr_set": "second", "to": "wg1"},
        {"cidr": "198.18.13.0/24", "to": "drop"},
        {"cidr": "198.18.66.0/24", "to": "reject"},
        {"cidr": "198.18.66.7/32", "to": "wg0"},
    ], tweak=None)
    ours_end.peer(e1, ["0.0.0.0/0"], hostport("192.0.2.2", 51820))
    private2, public2 = (ours_end.private, ours_end.public) if one_address else genkey()
    address2 = "10.10.0.1/32" if one_address else "10.20.0.1/32"

    def both(profile):
        profile["interfaces"].append({
            "name": "wg1", "type": "wireguard", "private_key": private2,
            "address": [address2], "mtu": 1420,
            "peers": [{"public_key": e2.public, "endpoint": hostport("192.0.2.6", 51820),
                       "allowed_ips": ["0.0.0.0/0"]}]})
        profile["cidr_sets"] = {"second": {"cidrs": ["198.19.0.0/16", "198.18.200.0/24"]}}
        if tweak:
            tweak(profile)
    ours_end.tweak = both
    e1.peer(ours_end, ["10.10.0.1/32"])
    e2.peers.append(Peer(public2, [address2]))
    e1.start()
    e2.start()
    if one_address:
        p2.ip("route replace 10.10.0.1/32 dev wg0")
    ours_end.start()
    home.ip(f"route add 198.18.0.0/15 dev {ours_end.dev}")
    return ours_end, home, p1, p2, net


def whoami(host, address, timeout=5):
    r = host.run(["curl", "-s", "-m", timeout, f"http://{address}/whoami"], check=False)
    return json.loads(r.stdout)["client"] if r.returncode == 0 else None


def connect(host, address, port=80, wait=3):
    """errno of a TCP connect, and the seconds it took."""
    script = ("import socket,sys,time\ns=socket.socket(); s.settimeout(%g); t=time.time()\n"
              "try: e=s.connect_ex((sys.argv[1],int(sys.argv[2])))\n"
              "except TimeoutError: e=110\n"
              "print(e, time.time()-t)" % wait)
    e, t = host.out(["/usr/bin/python3", "-c", script, address, port]).split()
    return int(e), float(t)


ECONNREFUSED, EAGAIN, ETIMEDOUT = 111, 11, 110


def test_each_destination_takes_its_way(lab):
    ours, home, p1, p2, net = build(lab)
    assert whoami(home, "198.18.1.1") == P1_OUT
    assert whoami(home, "198.19.1.1") == P2_OUT
    assert whoami(home, "198.18.200.9") == P2_OUT, "the set's /24 inside the /16 of wg0"
    assert whoami(home, "198.18.201.9") == P1_OUT
    assert whoami(home, "198.18.66.7") == P1_OUT, "the /32 inside the rejected /24"
    # reject: refused at once. drop: silence. Neither reaches a provider.
    errno, took = connect(home, "198.18.66.1")
    assert errno == ECONNREFUSED and took < 1, f"errno {errno} after {took:.2f} s"
    errno, took = connect(home, "198.18.13.1", wait=1.5)
    assert errno in (EAGAIN, ETIMEDOUT) and took > 1.4, f"errno {errno} after {took:.2f} s"
    assert home.ping("198.18.13.1", wait=0.5, check=False) == 0
    assert home.ping("198.18.66.1", wait=0.5, check=False) == 0, "reject is as drop for ICMP"
    home.ping("198.18.1.1", 2, interval=0.2)
    drops = ours.drops()
    assert drops.get("policy-drop", 0) >= 2, drops
    assert drops.get("policy-reject", 0) >= 1, drops


def test_nothing_of_drop_and_reject_leaves(lab):
    ours, home, p1, p2, net = build(lab)
    assert whoami(home, "198.18.1.1") == P1_OUT
    cap = p1.capture("wg0", "net 198.18.13.0/24 or net 198.18.66.0/24")
    cap2 = p2.capture("wg0", "net 198.18.13.0/24 or net 198.18.66.0/24")
    for dst in ("198.18.13.1", "198.18.66.1"):
        connect(home, dst, wait=0.5)
        home.ping(dst, wait=0.3, check=False)
        home.run(["/usr/bin/python3", "-c", "import socket;s=socket.socket(2,2);"
                  f"s.sendto(b'x',('{dst}',53))"])
    assert len(cap.packets()) == 0
    assert len(cap2.packets()) == 0


def test_reject_of_udp_is_silent(lab):
    ours, home, *_ = build(lab)
    script = ("import socket\ns=socket.socket(2,2); s.settimeout(1); s.connect(('198.18.66.1',53))\n"
              "s.send(b'x')\n"
              "try: s.recv(9); print('answer')\n"
              "except TimeoutError: print('silence')\n"
              "except OSError as e: print(e)\n")
    assert home.out(["/usr/bin/python3", "-c", script]).strip() == "silence"


def test_why_agrees_with_the_traffic(lab):
    ours, home, *_ = build(lab)
    for dst, want in (("198.18.1.1", "wg0"), ("198.19.1.1", "wg1"), ("198.18.200.9", "wg1"),
                      ("198.18.13.1", "drop"), ("198.18.66.1", "reject"), ("198.18.66.7", "wg0")):
        assert ours.why(dst) == want, dst
        seen = whoami(home, dst, 0.7)
        assert seen == {"wg0": P1_OUT, "wg1": P2_OUT}.get(want)
    assert ours.why("192.88.99.1") is None, "no route covers it"
    j = ours.json("why", "198.19.1.1")
    assert j["route"] == "198.19.0.0/16" and j["where"].startswith(ours.path + ":")
    assert "wg-output" in j["nodes"]


def test_interface_addresses_are_translated(lab):
    """The tunnel has one address, each provider gave another: both see the one they know."""
    ours, home, p1, p2, net = build(lab, one_address=False)
    assert whoami(home, "198.18.1.1") == P1_OUT
    cap = p2.capture("wg0", "tcp")
    assert whoami(home, "198.19.1.1") == P2_OUT
    sources = {p["IP"].src for p in cap.packets()}
    assert "10.20.0.1" in sources and "10.10.0.1" not in sources, sources


def test_reload(lab):
    """A good profile is taken over with the sessions alive; a bad one changes nothing."""
    ours, home, p1, p2, net = build(lab)
    assert whoami(home, "198.18.1.1") == P1_OUT
    handshake = ours.show()
    pinger = home.pinger("10.10.0.254")
    with open(ours.path) as f:
        good = f.read()
    with open(ours.path, "w") as f:
        f.write(good.replace("version: 1", "version: 1\nnonsense: true"))
    r = ours.cli("reload", check=False)
    assert r.returncode != 0
    assert ".yaml:2:1" in r.stdout + r.stderr, "the error names file, line and column"
    assert whoami(home, "198.18.1.1") == P1_OUT
    # Now 198.18.1.0/24 goes through the other provider.
    with open(ours.path, "w") as f:
        f.write(good.replace('      to: "wg0"', '      to: "wg0"\n    - cidr: "198.18.1.0/24"\n'
                             '      to: "wg1"', 1))
    ours.cli("reload")
    assert whoami(home, "198.18.1.1") == P2_OUT
    assert whoami(home, "198.18.2.1") == P1_OUT
    sent, got, _ = pinger.stop()
    assert sent - got <= 1, f"{sent - got} of {sent} pings lost during reloads"
    for key, state in ours.show().items():
        assert state.handshake == handshake[key].handshake, "a session was lost"
