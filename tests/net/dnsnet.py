# SPDX-License-Identifier: Apache-2.0
"""dnsnet - a laboratory for names: who asks whom, on which way, and where the traffic goes then.

                                                ┌ vpn ═ WireGuard, NAT; 192.0.3.10, 2001:db8:3::10
    home ── 192.0.2.0/24, 2001:db8:2::/64 ── isp ┤       8.8.8.8, 8.8.4.4: the VPN's DNS servers
     MintFlow, apps            192.0.2.1: a DNS  │       10.20.0.0/16, 203.0.113.0/24: an office
                               server, as most   └ net   1.1.1.1, 1.0.0.1: the direct DNS servers
                               routers have one          8.8.8.8, 9.9.9.9: others (traps)
                                                         all of 198.18.0.0/15, 2001:db8:99::/48, and
                                                         198.51.100.0/24, 2001:db8:ad::/48: the web

The addresses are those of the example profiles; they exist only inside the namespaces. Three views of the
same names tell who has answered: the VPN's servers say 198.18.x.y and 2001:db8:99::, the direct ones
198.19.x.y and 2001:db8:99:1::, and the traps (the router, 9.9.9.9, and 8.8.8.8 outside the VPN), which
nobody should ever hear of, 198.18.66.66. Every web server says whom it has seen: the way that was taken.
"""
import json
import os
import shutil
import time

from lab import ROOT, genkey
from nameserver import Dnsmasq, Knot, NameServer, Unbound, zone_answer
from wgend import Mintflow, Peer, WireguardGo

HOME4, HOME6 = "192.0.2.2", "2001:db8:2::2"
ROUTER4, ROUTER6 = "192.0.2.1", "2001:db8:2::1"
VPN4, VPN6 = "192.0.3.10", "2001:db8:3::10"
WAY = {HOME4: "direct", HOME6: "direct", VPN4: "vpn", VPN6: "vpn"}
VPN_DNS, VPN_DNS_2, VPN_DNS6 = "8.8.8.8", "8.8.4.4", "2001:4860:4860::8888"
DIRECT_DNS, DIRECT_DNS_2, DIRECT_DNS6 = "1.1.1.1", "1.0.0.1", "2606:4700:4700::1111"
OTHER_DNS, OTHER_DNS6 = "9.9.9.9", "2620:fe::fe"
TRAP = "198.18.66.66"
ENDPOINT = f"{VPN4}:51820"


def view(names, kind):
    """A zone in which each name has an address of its own and of this view: "vpn" or "direct"."""
    four, six = ("198.18", "2001:db8:99:0") if kind == "vpn" else ("198.19", "2001:db8:99:1")
    zone = {}
    for i, name in enumerate(names, 256):
        zone[name] = {"A": [f"{four}.{i >> 8}.{i & 255}"], "AAAA": [f"{six}::{i:x}"]}
    return zone


def seen_by(address):
    """Whose answer an address is: "vpn", "direct", "trap" or None."""
    if address == TRAP:
        return "trap"
    for kind, starts in (("vpn", ("198.18.", "2001:db8:99::")), ("direct", ("198.19.", "2001:db8:99:1:"))):
        if address.startswith(starts):
            return kind
    return None


class Net:
    """The hosts, cables and servers, all but home's MintFlow. `names`: what the world's servers know, each
    in its view; `more`: {"vpn": zone, "direct": zone} besides. The servers are dnsmasq, unbound and knot;
    with real=False the test's own (NameServer), whose `asked` tells what they were asked; with
    servers=False there are none. `www`: the directory of the web's servers."""

    def __init__(self, lab, names=(), more=None, *, real=True, servers=True, www=None):
        self.lab = lab
        self.home, self.isp = lab.host("home"), lab.host("isp", forward=True)
        self.vpn, self.net = lab.host("vpn", forward=True), lab.host("net")
        self._cables()
        self._addresses()
        self.zones = {k: {**view(names, k), **(more or {}).get(k, {})} for k in ("vpn", "direct")}
        self.ways = dict(WAY)
        self.wg = WireguardGo(self.vpn, ["10.10.0.1/24", "fd10::1/64"], port=51820)
        self.private, public = genkey()
        self.wg.peers.append(Peer(public, ["10.10.0.2/32", "fd10::2/128"]))
        self.wg.start()
        self.vpn.http_server(80)
        self.net.http_server(80, www)
        if servers:
            (self._real_servers if real else self._own_servers)()
            self.traps()

    def _cables(self):
        lab = self.lab
        lab.link(self.home, self.isp, [HOME4 + "/24", HOME6 + "/64"], [ROUTER4 + "/24", ROUTER6 + "/64"],
                 a_dev="eth0")
        lab.link(self.vpn, self.isp, [VPN4 + "/24", VPN6 + "/64"], ["192.0.3.1/24", "2001:db8:3::1/64"],
                 a_dev="eth0")
        lab.link(self.net, self.isp, ["192.0.4.2/24", "2001:db8:4::2/64"],
                 ["192.0.4.1/24", "2001:db8:4::1/64"], a_dev="eth0")
        for h, n in ((self.home, 2), (self.vpn, 3), (self.net, 4)):
            h.ip(f"route add default via 192.0.{n}.1")
            h.ip(f"-6 route add default via 2001:db8:{n}::1")
        self.isp.ip("route add default via 192.0.4.2")
        self.isp.ip("-6 route add default via 2001:db8:4::2")
        self.vpn.masquerade("eth0")

    def _addresses(self):
        for net in ("198.18.0.0/15", "198.51.100.0/24"):
            self.net.ip(f"route add local {net} dev lo")
        for net in ("2001:db8:99::/48", "2001:db8:ad::/48"):
            self.net.ip(f"-6 route add local {net} dev lo")
        self.net.add_addr("lo", *[a + "/32" for a in (DIRECT_DNS, DIRECT_DNS_2, VPN_DNS, VPN_DNS_2,
                                                      OTHER_DNS)],
                          *[a + "/128" for a in (DIRECT_DNS6, VPN_DNS6, OTHER_DNS6)])
        self.vpn.add_addr("lo", VPN_DNS + "/32", VPN_DNS_2 + "/32", VPN_DNS6 + "/128")
        for net in ("10.20.0.0/16", "203.0.113.0/24"):
            self.vpn.ip(f"route add local {net} dev lo")
        for h in (self.isp, self.vpn, self.net):
            h.etc("resolv.conf", "nameserver 127.0.0.1\n")      # nobody: refused at once
        # An app's own idea of whom to ask.
        self.home.etc("resolv.conf", f"nameserver {OTHER_DNS}\noptions timeout:2 attempts:2\n")

    def _real_servers(self):
        Knot(self.vpn, [VPN_DNS, VPN_DNS_2, VPN_DNS6], self.zones["vpn"]).start()
        self.direct = [Unbound(self.net, [DIRECT_DNS, DIRECT_DNS6], self.zones["direct"]).start(),
                       Dnsmasq(self.net, [DIRECT_DNS_2], self.zones["direct"]).start()]

    def _own_servers(self):
        self.vpn_dns = NameServer(self.vpn, [VPN_DNS, VPN_DNS_2, VPN_DNS6],
                                  zone_answer(self.zones["vpn"]))
        self.direct_dns = NameServer(self.net, [DIRECT_DNS, DIRECT_DNS_2, DIRECT_DNS6],
                                     zone_answer(self.zones["direct"]))

    def traps(self):
        """Servers that should never be asked."""
        Dnsmasq(self.net, [VPN_DNS, VPN_DNS_2, VPN_DNS6, OTHER_DNS, OTHER_DNS6], {}, default=TRAP).start()
        Dnsmasq(self.isp, [ROUTER4, ROUTER6], {}, default=TRAP).start()

    def abroad(self, name, n):
        """One more host, for a proxy: 192.0.N.10, 2001:db8:N::10. Its programs ask a DNS server of its own,
        which says what the VPN's do."""
        host, net4, net6 = self.lab.host(name), f"192.0.{n}", f"2001:db8:{n}"
        self.lab.link(host, self.isp, [f"{net4}.10/24", f"{net6}::10/64"], [f"{net4}.1/24", f"{net6}::1/64"],
                      a_dev="eth0")
        host.ip(f"route add default via {net4}.1")
        host.ip(f"-6 route add default via {net6}::1")
        host.add_addr("lo", VPN_DNS + "/32", VPN_DNS6 + "/128")
        host.etc("resolv.conf", f"nameserver {VPN_DNS}\n")
        Dnsmasq(host, [VPN_DNS, VPN_DNS6], self.zones["vpn"]).start()
        self.ways.update({f"{net4}.10": name, f"{net6}::10": name})
        return host

    # What an app sees ---------------------------------------------------------------------------

    def whoami(self, name, *options, path="/whoami", timeout=5):
        """(curl's status, what the web server says of us, seconds)."""
        start = time.monotonic()
        r = self.home.run(["curl", "-gsS", "-m", timeout, *options, f"http://{name}{path}"], check=False)
        took = time.monotonic() - start
        return r.returncode, json.loads(r.stdout) if r.returncode == 0 else None, took

    def way(self, name, *options):
        """Which way a page came: "vpn", "direct" or a host abroad; curl's error if it did not."""
        status, said, _ = self.whoami(name, *options)
        return self.ways.get(said["client"], said["client"]) if said else f"curl gave {status}"


class Steered(Mintflow):
    """MintFlow at home: WireGuard to vpn, and what a test says of names. `dns`, `routes`, `sets`, … are the
    sections of the profile; `more` is merged into the whole."""

    def __init__(self, net, *, routes=None, sets=None, cidr_sets=None, fallback="direct", dns=None,
                 app_routing=None, more=None, vpn6=True, **kw):
        super().__init__(net.home, ["10.66.0.2/30", "fd66::2/126"], iface="vpn", auto_route=True,
                         exclude_lan=True, private=net.private, **kw)
        self.net, self.sets, self.cidr_sets, self.vpn6 = net, sets or {}, cidr_sets or {}, vpn6
        self.routes = routes if routes is not None else [
            {"domain_set": "vpn", "to": "vpn"}, {"domain_set": "ads", "to": "drop"},
            {"cidr": "0.0.0.0/0", "to": "direct"}, {"cidr": "::/0", "to": "direct"}]
        if routes is None and not sets:
            self.sets = {"vpn": {"domains": ["vpn.example"]}, "ads": {"domains": ["ads.example"]}}
        self.fallback, self.app_routing, self.more = fallback, app_routing or {}, more or {}
        self.dns = {"vpn_servers": [VPN_DNS], "direct_servers": [DIRECT_DNS, DIRECT_DNS_2]}
        self.dns.update(dns or {})

    def profile(self):
        addresses = ["10.10.0.2/32"] + (["fd10::2/128"] if self.vpn6 else [])
        d = {"version": 1,
             "tunnel": {"name": self.dev, "address": self.addrs, "mtu": self.mtu,
                        "auto_route": self.auto_route, "exclude_lan": self.exclude_lan},
             "interfaces": [{"name": "vpn", "type": "wireguard", "private_key": self.private,
                             "address": addresses,
                             "peers": [{"public_key": self.net.wg.public, "endpoint": ENDPOINT,
                                        "allowed_ips": ["0.0.0.0/0", "::/0"],
                                        "persistent_keepalive": 25}]}],
             "app_routing": {"routes": self.routes, "dns_fallback": self.fallback, **self.app_routing},
             "dns": {k: v for k, v in self.dns.items() if v is not None}}
        if self.sets:
            d["domain_sets"] = self.sets
        if self.cidr_sets:
            d["cidr_sets"] = self.cidr_sets
        d.update(self.more)
        if self.tweak:
            self.tweak(d)
        return d

    def reload(self):
        self.write_profile()
        return self.cli("reload")

    def count(self, part, counter):
        """A counter of `show dns`."""
        return next(c["value"] for c in self.json("show", "dns", "--all")["counters"]
                    if (c["part"], c["counter"]) == (part, counter))

    def learned(self):
        """{address: (interface, name)} of the learned routes."""
        return {x["address"]: (x["to"], x["name"]) for x in self.json("show", "routes")["learned"]}


class Example(Mintflow):
    """MintFlow at home with a profile of examples/: copied with its lists, with this laboratory's key and
    endpoint; `edit` may change the text further."""

    def __init__(self, net, name, edit=None):
        super().__init__(net.home, ["10.66.0.2/30", "fd66::2/126"], auto_route=True, private=net.private)
        where = net.lab.path("profile")
        shutil.copytree(os.path.join(ROOT, "examples"), where)
        self.path = os.path.join(where, name + ".yaml")
        with open(os.path.join(where, "home-vpn.key"), "w") as f:
            f.write(net.private + "\n")
        os.chmod(f.name, 0o600)
        os.chmod(self.path, 0o600)      # there may be a uuid in it
        with open(self.path) as f:
            text = f.read()
        if "wireguard" in text:
            assert text.count("vpn.example.net:51820") == 1
            public = text.split("public_key: ")[1].split()[0]
            text = text.replace("vpn.example.net:51820", ENDPOINT).replace(public, net.wg.public)
        self.text = edit(text) if edit else text

    def write_profile(self):
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(self.text)
        return self.path


# What captures show ---------------------------------------------------------------------------------


def layers(packet):
    """(source, destination, "udp"|"tcp"|"icmp"|number, destination port or 0) of an IP packet, or None."""
    ip = packet.getlayer("IP") or packet.getlayer("IPv6")
    if ip is None:
        return None
    for name in ("UDP", "TCP"):
        if name in packet and ip.payload.name == name:
            return ip.src, ip.dst, name.lower(), packet[name].dport
    proto = ip.proto if ip.name == "IP" else ip.nh
    return ip.src, ip.dst, {1: "icmp", 58: "icmp"}.get(proto, proto), 0


def sent_from(packets, *sources):
    """{(protocol, destination, port)} of what these addresses sent, without neighbour discovery."""
    out = set()
    for p in packets:
        got = layers(p)
        if got and got[0] in sources and not got[1].startswith(("ff02", "fe80")) and not is_nd(p):
            out.add((got[2], got[1], got[3]))
    return out


def is_nd(packet):
    return any(packet.haslayer(x) for x in ("ICMPv6ND_NS", "ICMPv6ND_NA", "ICMPv6ND_RS", "ICMPv6ND_RA"))


def telling(packets, *words):
    """The packets that have one of these words in them, in clear, whatever they are."""
    words = [w.lower().encode() for w in words]
    return [p for p in packets if any(w in bytes(p).lower() for w in words)]
