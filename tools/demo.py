#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""./demo [--keep]      the real job, in a laboratory of network namespaces on this machine
./demo enter HOST     a shell on a host of a laboratory that was kept
./demo stop           take it down

Installs what is missing, builds, starts the laboratory, sends real traffic, and prints what went
where and why. Exit status 0 only if all of it was right.
"""
import argparse
import hashlib
import json
import os
import secrets
import signal
import socket
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATE = os.path.join(ROOT, "build", "demo.json")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "net"))

PICTURE = """
                                         ┌─ vpn   192.0.3.10   wireguard-go, NAT; inside: DNS server 8.8.8.8,
                                         │                     an office 10.20.0.0/16
  home (MintFlow) ── 192.0.2.0/24 ── isp ┼─ hk    192.0.5.10   ss-server (shadowsocks-libev)
     │                                   ├─ jp    192.0.6.10   nginx with a web site, behind it v2ray (VMess)
     └── 192.168.7.0/24 ── printer       └─ net   the web, iperf3, DNS servers 1.1.1.1, 1.0.0.1
"""

PROFILE = """\
# The profile that ./demo runs at home: some sites through a VPN, some through each of two proxies, no
# advertisers, the rest straight out. Keys and passwords are made anew each time.
version: 1
tunnel:
  name: mint0
  address: [10.66.0.2/30, "fd66::2/126"]
  auto_route: true              # all of the machine's traffic comes in
  exclude_lan: true             # the printer stays reachable

interfaces:
  - name: home-vpn
    type: wireguard
    private_key_file: home-vpn.key
    address: [10.10.0.2/32, "fd10::2/128"]
    mtu: 1420
    peers:
      - public_key: "{public}"
        endpoint: 192.0.3.10:51820
        allowed_ips: [0.0.0.0/0, "::/0"]
        persistent_keepalive: 25
  - name: hk
    type: shadowsocks
    server: 192.0.5.10:8388
    method: chacha20-ietf-poly1305
    password_file: hk.password
  - name: jp                                        # VMess in a WebSocket in TLS
    type: vmess
    server: jp.example.net:443
    uuid: {uuid}
    tls: {{ ca_file: ca.pem }}
    websocket: {{ path: /ray }}
  - name: stale                                     # hk with a password that was good once
    type: shadowsocks
    server: 192.0.5.10:8388
    method: chacha20-ietf-poly1305
    password: last year's
    first_byte_timeout: 1s

domain_sets:
  streaming: {{ domains: [netflix.com, nflxvideo.net] }}
  wiki: {{ domains: [wikipedia.org, wikimedia.org] }}
  chat: {{ domains: [signal.org, whispersystems.org] }}
  ads: {{ files: [ads.hosts] }}                     # a list as advertisers' blockers publish them

cidr_sets:
  office: {{ cidrs: [10.20.0.0/16], files: [office.txt] }}
  ad-networks: {{ cidrs: [198.51.100.0/24] }}

app_routing:
  routes:
    - {{ domain_set: ads, to: reject }}
    - {{ domain_set: streaming, to: home-vpn }}
    - {{ domain_set: wiki, to: hk }}
    - {{ domain_set: chat, to: jp }}
    - {{ cidr_set: office, to: home-vpn }}
    - {{ cidr_set: ad-networks, to: reject }}
    - {{ cidr: 198.51.100.99/32, to: direct }}      # one good address among theirs
    - {{ cidr: 198.18.13.0/24, to: drop }}
    - {{ cidr: 198.18.14.0/24, to: stale }}
    - {{ cidr: 8.8.8.8/32, to: home-vpn }}          # the VPN's DNS server
    - {{ cidr: 0.0.0.0/0, to: direct }}
    - {{ cidr: "::/0", to: direct }}
  dns_fallback: direct

dns:
  vpn_servers: [8.8.8.8]                          # for what goes to the VPN or a proxy, asked through it
  direct_servers: [1.1.1.1, 1.0.0.1]              # for all else, asked beside it
"""
OFFICE = "# one prefix a line\n203.0.113.0/24\n"
ADS = "# a hosts file\n0.0.0.0 ads.example.com\n0.0.0.0 tracker.example.net pixel.example.net\n"
NAMES = ["www.netflix.com", "assets.nflxvideo.net", "www.example.org", "ads.example.com", "tracker.example.net",
         "www.wikipedia.org", "upload.wikimedia.org", "www.signal.org", "cdn.whispersystems.org"]
JP = "jp.example.net"


class Table:
    """What was sent where, what was to happen, and what did."""

    HEAD = ("what", "destination", "asked of", "address", "should go", "why", "what happened")

    def __init__(self):
        self.rows = []
        self.wrong = 0

    def add(self, what, destination, want, got, right, why="-", asked="-", address="-"):
        self.rows.append((what, destination, asked, address, want, why, got, right))
        self.wrong += not right
        print("." if right else "✗", end="", flush=True)

    def show(self):
        print("\n")
        columns = len(self.HEAD)
        rows = [self.HEAD] + [r[:columns] for r in self.rows]
        widths = [max(len(str(r[i])) for r in rows) for i in range(columns)]
        for i, r in enumerate(rows):
            mark = "  " if i == 0 else "✓ " if self.rows[i - 1][columns] else "✗ "
            print(mark + "  ".join(str(c).ljust(w) for c, w in zip(r, widths)).rstrip())
            if i == 0:
                print("  " + "  ".join("─" * w for w in widths))
        print()


class Mirror:
    """Answers datagrams to these addresses of a host with who it has seen."""
    PORT = 3478

    def __init__(self, host, addresses):
        for a in addresses:
            s = host.socket(kind=socket.SOCK_DGRAM)
            s.bind((a, self.PORT))
            threading.Thread(target=self.answer, args=(s,), daemon=True).start()

    @staticmethod
    def answer(s):
        while True:
            _, peer = s.recvfrom(2048)
            s.sendto(peer[0].encode(), peer)


class Demo:
    """The laboratory, and MintFlow at home with the profile above."""

    def __init__(self, lab):
        from dnsnet import (DIRECT_DNS, DIRECT_DNS6, DIRECT_DNS_2, VPN_DNS, VPN_DNS6, Net)
        from nameserver import Dnsmasq, certificate
        from wgend import Mintflow
        self.lab, files = lab, lab.path("www")
        os.mkdir(files)
        film = os.urandom(64 << 20)
        with open(os.path.join(files, "film.bin"), "wb") as f:
            f.write(film)
        self.film = hashlib.sha256(film).hexdigest()
        self.net = net = Net(lab, NAMES, {"direct": {JP: {"A": ["192.0.6.10"], "AAAA": ["2001:db8:6::10"]}}},
                             servers=False, www=files)
        Dnsmasq(net.vpn, [VPN_DNS, VPN_DNS6], net.zones["vpn"]).start()
        Dnsmasq(net.net, [DIRECT_DNS, DIRECT_DNS_2, DIRECT_DNS6], net.zones["direct"]).start()
        net.traps()
        *tls, self.ca = certificate(lab, NAMES)
        net.net.http_server(443, tls=tls)
        net.net.iperf_server()
        self.proxies()
        Mirror(net.net, [net.zones["vpn"][n]["A"][0] for n in ("www.wikipedia.org", "www.signal.org")])
        printer = lab.host("printer")
        lab.link(net.home, printer, ["192.168.7.2/24"], ["192.168.7.1/24"], a_dev="eth1")
        printer.http_server(80)
        self.host = net.home
        self.home = Mintflow(net.home, ["10.66.0.2/30", "fd66::2/126"], iface="home-vpn", auto_route=True,
                             private=net.private)
        self.home.path = lab.path("home.yaml")
        self.home.write_profile = self.write_profile

    def proxies(self):
        """Two hosts abroad."""
        from nameserver import certificate
        from proxynet import UUID, nginx, ss_server, v2ray, v2ray_inbound
        self.uuid, self.password = UUID, secrets.token_urlsafe(16)
        *tls, self.jp_ca = certificate(self.lab, [JP])
        hk, jp = self.net.abroad("hk", 5), self.net.abroad("jp", 6)
        ss_server(hk, "chacha20-ietf-poly1305", self.password)
        v2ray(jp, [v2ray_inbound("vmess", 10000, net="ws", path="/ray")])
        nginx(jp, tls, path="/ray", upstream=10000)

    def write_profile(self):
        with open(self.jp_ca) as f:
            ca = f.read()
        for name, text in (("home-vpn.key", self.net.private + "\n"), ("hk.password", self.password + "\n"),
                           ("ca.pem", ca), ("office.txt", OFFICE), ("ads.hosts", ADS),
                           ("home.yaml", PROFILE.format(public=self.net.wg.public, uuid=self.uuid))):
            with open(os.open(self.lab.path(name), os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
                f.write(text)
        return self.home.path

    def system(self):
        """What MintFlow changes at home, and must put back."""
        return ([self.host.ip(x) for x in ("-4 rule", "-6 rule", "-4 route", "-6 route")]
                + [self.host.out(["cat", "/etc/resolv.conf"])])

    def why(self, destination):
        """(interface, reason) as `mintflow why --json` has them."""
        try:
            j = self.home.json("why", destination)
        except LabError as e:
            return "error", str(e)[:60]
        to = j["interface"] or {"policy-drop": "drop", "policy-reject": "reject"}.get(j.get("reason"))
        if j.get("learned_of"):
            said = f"an address of {j['learned_of']}"
        elif j.get("domain_set"):
            said = f"domain set {j['domain_set']}"
        elif "route" in j:
            said = f"route {j['route']}"
        else:
            said = "dns_fallback"
        return to, said

    def asked_of(self, name):
        """Who has answered for a name, as `mintflow why` knows it: "8.8.8.8 via home-vpn"."""
        kept = self.home.json("why", name)["cached"]
        return ", ".join(sorted({f"{x['server']} via {x['interface']}" if x["interface"] != "direct"
                                 else x["server"] for x in kept})) or "nobody"

    def curl(self, url, *options, timeout=4):
        """(curl's status, what the server says of the client, seconds)"""
        start = time.monotonic()
        r = self.host.run(["curl", "-gs", "-m", timeout, "--cacert", self.ca, *options, url], check=False)
        took = time.monotonic() - start
        return r.returncode, json.loads(r.stdout) if r.returncode == 0 else None, took

    def page(self, t, what, name, want, *options, scheme="http", asked=None):
        """A web page by name or address: the way is what the server has seen."""
        at = f"[{name}]" if ":" in name else name
        status, said, _ = self.curl(f"{scheme}://{at}/whoami", *options)
        way, address, got = None, "-", f"curl gave {status}"
        if said:
            way, address = WAYS.get(said["client"], said["client"]), said["address"]
            if said["server"] == "vpn":         # the office is behind the VPN, before its NAT
                way = "home-vpn" if said["client"] == "10.10.0.2" else said["client"]
            got = f"the server saw {said['client']}"
        to, why = self.why(name)
        by_name = not address.startswith(name)
        asked = asked or (self.asked_of(name) if by_name else "-")
        right = way == want == to and (not by_name or asked in ASKED[want])
        t.add(what, name, want, got, right, why, asked, address)


WAYS = {"192.0.3.10": "home-vpn", "2001:db8:3::10": "home-vpn", "192.0.2.2": "direct",
        "2001:db8:2::2": "direct", "192.0.5.10": "hk", "2001:db8:5::10": "hk", "192.0.6.10": "jp",
        "2001:db8:6::10": "jp"}
OWN = "an app's own resolver"
ASKED = {"direct": ("1.1.1.1", "1.0.0.1", "1.0.0.1, 1.1.1.1"),
         **{to: (f"8.8.8.8 via {to}", OWN) for to in ("home-vpn", "hk", "jp")}}
WEB, WEB6 = "198.18.7.7", "2001:db8:99::77"


def names(d, t):
    """By name: whom MintFlow asks, and which way the page comes."""
    d.page(t, "web, set `streaming`", "www.netflix.com", "home-vpn")
    d.page(t, "the same, IPv6", "assets.nflxvideo.net", "home-vpn", "-6")
    d.page(t, "web, no set", "www.example.org", "direct")
    d.page(t, "the same, IPv6", "www.example.org", "direct", "-6")
    for name in ("ads.example.com", "tracker.example.net"):
        status, _, took = d.curl(f"http://{name}/")
        to, why = d.why(name)
        asked = d.asked_of(name)
        t.add("web, set `ads`", name, "reject", "no such name" if status == 6 else f"curl gave {status}",
              status == 6 and took < 1 and to == "reject" and asked == "nobody", why, asked)
    # Apps that know the address: the name that the session shows decides.
    address = d.net.zones["direct"]["ads.example.com"]["A"][0]
    for scheme, port in (("https", 443), ("http", 80)):
        status, _, took = d.curl(f"{scheme}://ads.example.com/whoami", "--resolve",
                                 f"ads.example.com:{port}:{address}")
        shows = "TLS server name" if port == 443 else "HTTP Host"
        t.add(f"{scheme}, set `ads`", "ads.example.com", "reject",
              f"reset after {took * 1000:.0f} ms" if status in (35, 56) else f"curl gave {status}",
              status in (35, 56) and took < 1, shows, OWN, address)
    address = d.net.zones["direct"]["www.example.org"]["A"][0]
    d.page(t, "https, set `streaming`", "www.netflix.com", "home-vpn", "--resolve",
           f"www.netflix.com:443:{address}", scheme="https", asked=OWN)
    for server in ("9.9.9.9", "8.8.8.8"):
        got = ask(d.host, server, "www.example.org").addresses
        t.add(f"DNS, an app asks {server}", "www.example.org", "direct", f"{got[0]}, as 1.1.1.1 says",
              got == d.net.zones["direct"]["www.example.org"]["A"], "hijacked", d.asked_of("www.example.org"))


def proxies(d, t):
    """Through Shadowsocks, and through VMess over WebSocket and TLS."""
    for to, kind, four, six in (("hk", "wiki", "www.wikipedia.org", "upload.wikimedia.org"),
                                ("jp", "chat", "www.signal.org", "cdn.whispersystems.org")):
        d.page(t, f"web, set `{kind}`", four, to)
        d.page(t, "the same, from IPv6", six, to, "-6")
        # The address is another's: the proxy is told the name that TLS shows, and finds the address itself.
        wrong = d.net.zones["direct"]["www.example.org"]["A"][0]
        d.page(t, f"https, set `{kind}`", four, to, "--resolve", f"{four}:443:{wrong}", scheme="https", asked=OWN)
        datagram(d, t, four, to)
    status, _, took = d.curl("http://198.18.14.1/", timeout=10)
    said = next(x for x in d.home.json("show", "interfaces")["interfaces"] if x["name"] == "stale")
    t.add("a password that was changed", "198.18.14.1", "stale",
          f"reset after {took:.1f} s: {said['fault_text']}" if status in (52, 56) else f"curl gave {status}",
          status in (52, 56) and 1 <= took < 5 and (said["state"], said["fault"]) == ("failing", "silent"),
          d.why("198.18.14.1")[1])


def test_command(d, t, interface, name):
    """What took how long through a proxy."""
    said = json.loads(d.home.cli("test", interface, f"http://{name}/film.bin", "--json", check=False).stdout)
    steps = ", ".join(f"{s['stage']} {s['time'] * 1000:.1f} ms" for s in said["stages"][:-1])
    t.add("mintflow test", name, interface, f"{steps}; {said['rate'] * 8e-9:.2f} Gbit/s" if said["ok"] else said["why"],
          said["ok"] and said["bytes"] == 64 << 20, d.why(name)[1])


def datagram(d, t, name, want):
    """UDP by name: whom the far end has seen."""
    address = ask(d.host, "8.8.8.8", name).addresses[0]
    with d.host.socket(kind=socket.SOCK_DGRAM) as s:
        s.settimeout(2)
        s.sendto(b"who am I?", (address, Mirror.PORT))
        try:
            seen = s.recv(64).decode()
        except OSError as e:
            seen = str(e)
    to, why = d.why(name)
    t.add("UDP", name, want, f"the server saw {seen}", WAYS.get(seen) == want == to, why, d.asked_of(name), address)


def addresses(d, t):
    """By address alone."""
    d.page(t, "web, set `office`", "10.20.30.40", "home-vpn")
    d.page(t, "web, set from a file", "203.0.113.8", "home-vpn")
    d.page(t, "web", WEB, "direct")
    d.page(t, "web, IPv6", WEB6, "direct")
    d.page(t, "exception in `ad-networks`", "198.51.100.99", "direct")
    status, _, took = d.curl("http://198.51.100.1/")
    to, why = d.why("198.51.100.1")
    t.add("web, set `ad-networks`", "198.51.100.1", "reject",
          f"refused after {took * 1000:.0f} ms" if status == 7 else f"curl gave {status}",
          status == 7 and took < 1 and to == "reject", why)
    status, _, took = d.curl("http://198.18.13.1/", timeout=1.5)
    to, why = d.why("198.18.13.1")
    t.add("web", "198.18.13.1", "drop",
          f"silence for {took:.1f} s" if status == 28 else f"curl gave {status}",
          status == 28 and to == "drop", why)
    status, said, _ = d.curl("http://192.168.7.1/whoami")
    t.add("printer's page", "192.168.7.1", "stay at home",
          f"the printer saw {said['client']}" if said else f"curl gave {status}",
          bool(said) and said["client"] == "192.168.7.2")
    status, _, took = d.curl(f"http://{WEB}:81/")
    t.add("nobody listens there", WEB + ":81", "direct",
          f"refused after {took * 1000:.0f} ms" if status == 7 else f"curl gave {status}",
          status == 7 and took < 1, d.why(WEB)[1])
    for dst, want in (("www.netflix.com", "home-vpn"), ("10.20.30.40", "home-vpn"), (WEB, "direct"),
                      (WEB6, "direct")):
        got = d.host.ping(dst, 5, interval=0.1, check=False)
        to, why = d.why(dst)
        t.add("ping", dst, want, f"{got} of 5 answered", got == 5 and to == want, why)


def bulk(d, t):
    """Downloads and throughput, on both ways."""
    for name, want, note in (("www.netflix.com", "home-vpn", " (wireguard-go at the other end)"),
                             ("www.wikipedia.org", "hk", " (ss-server at the other end)"),
                             ("www.signal.org", "jp", " (nginx and v2ray at the other end)"),
                             ("www.example.org", "direct", "")):
        to, why = d.why(name)
        got = d.host.run(["sh", "-c", f"curl -gs -m 60 http://{name}/film.bin | sha256sum"]).stdout.split()[0]
        t.add("64 MiB download", name, want,
              "SHA-256 agrees" if got == d.film else "SHA-256 differs!", got == d.film and to == want, why)
        for what, args in (("iperf3 up", ["-4"]), ("iperf3 down", ["-4", "-R"])):
            try:
                rate = d.host.iperf(name, *args, seconds=1)["end"]["sum_received"]["bits_per_second"] / 1e9
            except LabError as e:
                t.add(what, name, want, str(e)[:60], False)
                continue
            t.add(what, name, want, f"{rate:.2f} Gbit/s{note}", rate > 0.01, why)


def a_live_session(d, t):
    """One that stays open while `show sessions` is asked about it."""
    with d.host.socket() as s:
        s.connect((WEB, 80))
        port = s.getsockname()[1]
        s.sendall(b"GET /whoami HTTP/1.1\r\nHost: plain.example\r\n\r\n")
        s.recv(4096)
        found = [x for x in d.home.json("show", "sessions")["sessions"]
                 if x["app"].endswith(f":{port}")]
        got = "; ".join(f"{x['proto']} {x['app']} {x['state']}, {x['interface']}" for x in found)
        t.add("show sessions", f"{WEB}:80", "direct", got or "not there",
              len(found) == 1 and found[0]["interface"] == "direct"
              and found[0]["state"] == "established", d.why(WEB)[1])


def cable(d, t, capture):
    """What home's cable has carried, but for the two ways that it should."""
    from dnsnet import layers, telling
    packets = capture.packets()
    asked = {got[1] for got in map(layers, packets) if got and got[0] in WAYS and got[3] == 53}
    t.add("DNS servers asked", "home's cable", "1.1.1.1, 1.0.0.1", ", ".join(sorted(asked)) or "none",
          bool(asked) and asked <= {"1.1.1.1", "1.0.0.1"})
    told = telling(packets, "netflix", "nflxvideo", "wikipedia", "wikimedia", "signal", "whisper", "\7tracker")
    t.add("names of VPN, proxies and ads", "home's cable", "none in clear", f"{len(told)} packets"
          + (f": {told[0].summary()[:50]}" if told else ""), not told)


def exercise(d):
    t = Table()
    capture = d.host.capture("eth0", "not arp and not icmp6 and not (tcp port 5201) and not (udp port 51820)",
                             "cable")
    names(d, t)
    proxies(d, t)
    addresses(d, t)
    a_live_session(d, t)
    cable(d, t, capture)
    bulk(d, t)
    test_command(d, t, "jp", "www.signal.org")
    wg = d.host.run(["wg", "show", "home-vpn", "latest-handshakes"], check=False).stdout
    ok = d.net.wg.public in wg and wg.split()[1] != "0"
    t.add("wg show", "home-vpn", "handshake", "done" if ok else wg.strip(), ok)
    return t


def demo(keep):
    from lab import Lab
    os.makedirs(os.path.dirname(STATE), exist_ok=True)
    if close_saved(STATE):
        print("took down the laboratory that was kept before")
    started = time.monotonic()
    with Lab("demo", keep=keep) as lab:
        print(PICTURE)
        try:
            d = Demo(lab)
            before = d.system()
            d.home.start()
            d.host.ping_until("10.20.0.1", 10)
            t = exercise(d)
        except LabError as e:
            print(f"\ndemo: {e}\n{lab.logs()}", file=sys.stderr)
            lab.close()
            return 1
        t.show()
        print(d.home.cli("status", check=False).stdout)
        if t.wrong:
            print(lab.logs(), file=sys.stderr)
        if keep:
            lab.save(STATE)
            print("The laboratory is left running. To enter and to end it:\n"
                  "  ./demo enter home        then: mintflow status, mintflow why www.netflix.com,\n"
                  "                           mintflow show dns-cache, mintflow show routes, wg show,\n"
                  "                           curl http://www.netflix.com/whoami, curl http://ads.example.com,\n"
                  "                           curl http://www.wikipedia.org/whoami, mintflow show interfaces\n"
                  "  ./demo enter vpn         (also hk, jp, isp, net, printer)\n"
                  "  ./demo stop\n"
                  f"Profile: {d.home.path}")
        else:
            ok = d.home.stop() == 0 and d.system() == before
            print("stopped; routes, rules and resolv.conf at home are "
                  + ("as before" if ok else "NOT as before"))
            t.wrong += not ok
        n = len(t.rows)
        print(f"{n - min(t.wrong, n)} of {n} right, {time.monotonic() - started:.0f} s")
        return 1 if t.wrong else 0


def enter(name):
    hosts = load_saved(STATE) or {}
    if name not in hosts:
        sys.exit(f"demo: no host {name!r}; " + (", ".join(hosts) if hosts else "run ./demo --keep"))
    env = dict(os.environ, PS1=f"{name}# ",
               PATH=os.path.dirname(mintflow_path()) + ":" + os.environ.get("PATH", ""))
    os.execvpe("nsenter", ["nsenter", "-t", str(hosts[name]), "-n", "-m", "-u", "--", "bash",
                           "--norc"], env)


def main():
    p = argparse.ArgumentParser(prog="./demo", description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", nargs="?", choices=["enter", "stop"])
    p.add_argument("host", nargs="?")
    p.add_argument("--keep", action="store_true", help="leave it running to play with")
    o = p.parse_args()
    if os.getuid() != 0:
        sys.exit("demo: needs root for network namespaces")
    if o.what == "enter":
        enter(o.host or "home")
    if o.what == "stop":
        print("taken down" if close_saved(STATE) else "nothing was running")
        return 0
    print("building …", flush=True)
    try:
        build()
    except LabError as e:
        sys.exit(f"demo: {e}")
    return demo(o.keep)


from lab import LabError, build, close_saved, load_saved, mintflow_path  # noqa: E402
from nameserver import ask  # noqa: E402

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)    # also when started with it ignored
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
