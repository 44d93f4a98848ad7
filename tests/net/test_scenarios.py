# SPDX-License-Identifier: Apache-2.0
"""The scenarios of the manual: each profile of examples/ as it stands, but for keys and endpoints, with dig and
curl. The laboratory is that of dnsnet.py. What an app gets is one half; what the captures on home's cable and
inside the VPN show to have left is the other.
"""
import os

import pytest

from dnsnet import (DIRECT_DNS, DIRECT_DNS_2, HOME4, HOME6, OTHER_DNS, OTHER_DNS6, VPN4, VPN_DNS,
                    VPN_DNS_2, Example, Net, seen_by, sent_from, telling)
from nameserver import certificate, dig, dig_short
from proxynet import UUID, nginx, ss_server, v2ray, v2ray_inbound

pytestmark = pytest.mark.mintflow_only
STREAMING = ["www.netflix.com", "assets.nflxvideo.net", "img.nflximg.net", "fast.com"]
PLAIN = ["www.example.org", "www.fast.com", "good.adserver.example.org", "notnetflix.com"]
ADS = ["ads.example.com", "tracker.example.net", "pixel.example.net", "adserver.example.org",
       "cdn.adserver.example.org"]
WIKI = ["www.wikipedia.org", "upload.wikimedia.org"]
CHAT = ["www.signal.org", "cdn.whispersystems.org"]
WORK = ["wiki.corp.example.com", "corp.example.com"]
HK, JP = ("192.0.5.10", "2001:db8:5::10"), ("192.0.6.10", "2001:db8:6::10")
AD_NETWORK, AD_NETWORK6 = "198.51.100.7", "[2001:db8:ad::7]"
WIREGUARD = {("udp", VPN4, 51820)}
INNER = ("10.10.0.2", "fd10::2")


class Scenario:
    """An example that runs, with captures where packets leave."""

    def __init__(self, lab, profile, edit=None, *, names=STREAMING + PLAIN + ADS, more=None, prepare=None):
        self.net = Net(lab, names, more)
        if prepare:
            prepare(self.net)
        self.home = self.net.home
        self.cable = self.home.capture("eth0")
        self.inside = self.net.vpn.capture("wg0")
        self.end = Example(self.net, profile, edit).start()

    def check_name(self, name, way, server=OTHER_DNS, server6=OTHER_DNS6):
        """dig and curl, IPv4 and IPv6: the answer comes from that way's servers (those abroad say what the
        VPN's do), the page by that way."""
        view = way if way == "direct" else "vpn"
        for qtype, at, version in (("A", server, "-4"), ("AAAA", server6, "-6")):
            got = dig_short(self.home, at, name, qtype)
            assert got and {seen_by(a) for a in got} == {view}, (name, qtype, got)
            assert self.net.way(name, version) == way, (name, version)

    def check_blocked(self, name):
        for qtype in ("A", "AAAA", "HTTPS"):
            said = dig(self.home, OTHER_DNS, name, qtype)
            assert "status: NXDOMAIN" in said and "ANSWER: 0" in said, said
        status, _, took = self.net.whoami(name)
        assert status == 6 and took < 2, "curl could resolve it, or had to wait"

    def left(self):
        """What home has sent over its cable, and through the VPN."""
        self.on_cable, self.in_vpn = self.cable.packets(), self.inside.packets()
        return sent_from(self.on_cable, HOME4, HOME6), sent_from(self.in_vpn, *INNER)

    def stop(self):
        assert self.end.stop() == 0


def web(left):
    """The addresses of web servers among what left."""
    return {address for proto, address, port in left if (proto, port) == ("tcp", 80)}


def dns(left):
    return {(proto, address) for proto, address, port in left if port == 53}


def test_privacy_vpn(lab):
    """All of it through the VPN, and nothing but WireGuard on the cable; whomever an app asks."""
    s = Scenario(lab, "privacy-vpn")
    for name in STREAMING + PLAIN + ADS:
        s.check_name(name, "vpn")
    assert s.net.way("198.19.1.1") == "vpn", "an address without a name"
    s.home.ping("198.19.1.1", 2, interval=0.1)
    cable, inside = s.left()
    assert cable == WIREGUARD
    assert dns(inside) <= {("udp", VPN_DNS), ("udp", VPN_DNS_2)} and dns(inside)
    assert not telling(s.on_cable, "netflix", "example")
    s.stop()


def test_selective_vpn(lab):
    """Sites by name and networks by address through the VPN, their names asked there; the rest beside it."""
    s = Scenario(lab, "selective-vpn")
    for name in STREAMING:
        s.check_name(name, "vpn")
    for name in PLAIN + ADS:
        s.check_name(name, "direct")
    for office in ("10.20.30.40", "203.0.113.80"):
        status, said, _ = s.net.whoami(office)
        assert status == 0 and said["server"] == "vpn" and said["client"] == "10.10.0.2", said
    assert s.net.way("198.18.3.3") == "direct" and s.net.way("[2001:db8:99::77:7]") == "direct"
    # The profile names 8.8.8.8: apps get answers of ours from it, and a ping goes through the VPN.
    assert seen_by(dig_short(s.home, VPN_DNS, "www.example.org")[0]) == "direct"
    s.home.ping(VPN_DNS, 2, interval=0.1)
    cable, inside = s.left()
    assert {x for x in cable if x[0] == "udp"} <= WIREGUARD | {("udp", DIRECT_DNS, 53),
                                                             ("udp", DIRECT_DNS_2, 53)}
    assert all(seen_by(a) == "direct" for a in web(cable) - {"198.18.3.3", "2001:db8:99::77:7"})
    assert {p for p, _, _ in cable} == {"udp", "tcp"}
    assert dns(inside) == {("udp", VPN_DNS)}
    assert all(seen_by(a) == "vpn" for a in web(inside) - {"10.20.30.40", "203.0.113.80"})
    assert len(web(inside)) == 2 * len(STREAMING) + 2
    assert not telling(s.on_cable, "\7netflix", "www.netflix", "nflx"), "a secret name in clear"
    assert not telling(s.in_vpn, "example")
    s.stop()


@pytest.mark.parametrize("how", ["drop", "reject"])
def test_adblock_without_vpn(lab, how):
    """Advertisers' names do not exist and their networks are not reached; the rest goes straight out."""
    s = Scenario(lab, "adblock-without-vpn", lambda text: text.replace("to: drop", f"to: {how}"))
    for name in ADS:
        s.check_blocked(name)
    for name in PLAIN + STREAMING:
        s.check_name(name, "direct")
    for address in (AD_NETWORK, AD_NETWORK6):
        status, _, took = s.net.whoami(address, timeout=1.5)
        assert (status, took < 1) == ((28, False) if how == "drop" else (7, True)), (status, took)
    assert s.home.ping(AD_NETWORK, wait=0.5, check=False) == 0
    cable, _ = s.left()
    assert dns(cable) <= {("udp", DIRECT_DNS), ("udp", DIRECT_DNS_2)} and dns(cable)
    assert all(seen_by(a) == "direct" for a in web(cable))
    assert {p for p, _, _ in cable} == {"udp", "tcp"}
    assert not telling(s.on_cable, "tracker", "\3ads\7example", "pixel", "\3cdn"), "a blocked name"
    s.stop()


def test_adblock_with_vpn(lab):
    """The same with everything else through the VPN: the cable carries WireGuard alone."""
    s = Scenario(lab, "adblock-with-vpn")
    for name in ADS:
        s.check_blocked(name)
    for name in PLAIN + STREAMING:
        s.check_name(name, "vpn")
    for address in (AD_NETWORK, AD_NETWORK6):
        status, _, took = s.net.whoami(address)
        assert status == 7 and took < 1, "not refused at once"
    cable, inside = s.left()
    assert cable == WIREGUARD
    assert dns(inside) <= {("udp", VPN_DNS), ("udp", VPN_DNS_2)} and dns(inside)
    assert all(seen_by(a) == "vpn" for a in web(inside))
    assert not telling(s.in_vpn, "tracker", "\3ads\7example", "pixel", "\3cdn"), "a blocked name"
    s.stop()


def test_proxies(lab):
    """Sites through Shadowsocks, through VMess in a WebSocket in TLS, and through WireGuard; the servers' own names
    are asked of the direct servers alone, also at the start, when the machine's resolver would lie."""
    *tls, ca = certificate(lab, ["jp.example.net"])
    abroad = {"hk.example.net": {"A": [HK[0]], "AAAA": [HK[1]]}, "jp.example.net": {"A": [JP[0]], "AAAA": [JP[1]]}}

    def prepare(net):
        ss_server(net.abroad("hk", 5), "chacha20-ietf-poly1305", "correct horse")
        jp = net.abroad("jp", 6)
        v2ray(jp, [v2ray_inbound("vmess", 10000, net="ws", path="/ray")])
        nginx(jp, tls, path="/ray", upstream=10000)

    def edit(text):
        password = lab.path("hk.password")
        with open(os.open(password, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write("correct horse\n")
        assert UUID in text and text.count("tls: {}") == 1
        return text.replace("hk.password", password).replace("tls: {}", f"tls: {{ ca_file: {ca} }}")

    s = Scenario(lab, "proxies", edit, names=WIKI + CHAT + WORK + PLAIN + ADS, more={"direct": abroad},
                 prepare=prepare)
    for names, way in ((WIKI, "hk"), (CHAT, "jp"), (WORK, "vpn"), (PLAIN, "direct")):
        for name in names:
            s.check_name(name, way)
    for name in ADS:
        s.check_blocked(name)
    assert s.net.whoami("10.20.30.40")[1]["client"] == "10.10.0.2"
    cable, inside = s.left()
    proxies = {(proto, a, port) for proto, a, port in cable if a in HK + JP}
    assert proxies <= {(p, a, 8388) for p in ("tcp", "udp") for a in HK} | {("tcp", a, 443) for a in JP}
    assert {port for _, _, port in proxies} == {8388, 443}
    assert dns(cable) <= {("udp", DIRECT_DNS), ("udp", DIRECT_DNS_2)} and dns(cable)
    assert all(seen_by(a) == "direct" for a in web(cable))
    assert {x for x in cable - proxies if x[0] == "udp" and x[2] != 53} == WIREGUARD
    assert not telling(s.on_cable, "wikipedia", "wikimedia", "signal", "whisper", "\4corp\7example", "\7tracker")
    assert not telling(s.in_vpn, "wiki\7", "signal", "example.org")
    s.stop()
