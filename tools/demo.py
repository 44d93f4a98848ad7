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
import signal
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STATE = os.path.join(ROOT, "build", "demo.json")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "tests", "net"))

PICTURE = """
                                              ┌─ hamburg (wireguard-go, NAT)  203.0.113.10 ─┐
  home (MintFlow) ── 192.0.2.0/24 ── isp ─────┤                                             ├─ internet
     │                                        ├─ osaka   (wireguard-go, NAT)  203.0.113.20 ─┤  web, iperf3
     └── 192.168.7.0/24 ── printer            └─ direct: sessions of home's own ────────────┘
"""

PROFILE = """\
# The profile that ./demo runs at home. Keys are made anew each time.
version: 1
tunnel:
  name: mint0
  address: [10.66.0.2/30, "fd66::2/126"]
  mtu: 1420
  auto_route: true              # all of the machine's traffic comes in
  exclude_lan: true             # the printer stays reachable

interfaces:
  - name: hamburg
    type: wireguard
    private_key_file: hamburg.key
    address: [10.10.0.2/32, "fd10::2/128"]
    mtu: 1420
    peers:
      - public_key: "{hamburg}"
        endpoint: 203.0.113.10:51820
        allowed_ips: [0.0.0.0/0, "::/0"]
        persistent_keepalive: 25
  - name: osaka
    type: wireguard
    private_key_file: osaka.key
    address: [10.20.0.2/32]
    mtu: 1420
    peers:
      - public_key: "{osaka}"
        preshared_key: "{psk}"
        endpoint: 203.0.113.20:51820
        allowed_ips: [0.0.0.0/0]

cidr_sets:
  japan: {{ cidrs: [198.19.0.0/16], files: [japan.txt] }}
  nearby: {{ cidrs: [198.18.32.0/19, "2001:db8:77::/64"] }}
  ads: {{ cidrs: [198.18.66.0/24] }}

app_routing:
  enabled: true
  routes:
    - {{ cidr_set: japan, to: osaka }}
    - {{ cidr_set: nearby, to: direct }}          # the local internet, past every VPN
    - {{ cidr_set: ads, to: reject }}
    - {{ cidr: 198.18.13.0/24, to: drop }}
    - {{ cidr: 198.18.66.7/32, to: hamburg }}     # one good address among the ads
    - {{ cidr: 0.0.0.0/0, to: hamburg }}
    - {{ cidr: "::/0", to: hamburg }}
"""
JAPAN = "# one prefix a line\n198.18.200.0/24\n198.18.201.0/24\n"


class Table:
    """What was sent where, what was to happen, and what did."""

    HEAD = ("what", "destination", "should go", "mintflow why", "what happened")

    def __init__(self):
        self.rows = []
        self.wrong = 0

    def add(self, what, destination, want, why, got, right):
        self.rows.append((what, destination, want, why, got, right))
        self.wrong += not right
        print("." if right else "✗", end="", flush=True)

    def show(self):
        print("\n")
        rows = [self.HEAD] + [r[:5] for r in self.rows]
        widths = [max(len(str(r[i])) for r in rows) for i in range(5)]
        for i, r in enumerate(rows):
            mark = "  " if i == 0 else "✓ " if self.rows[i - 1][5] else "✗ "
            print(mark + "  ".join(str(c).ljust(w) for c, w in zip(r, widths)).rstrip())
            if i == 0:
                print("  " + "  ".join("─" * w for w in widths))
        print()


def build_lab(lab):
    from lab import genkey, genpsk
    from wgend import Mintflow, Peer, WireguardGo
    h = {n: lab.host(n, forward=n in ("isp", "hamburg", "osaka"))
         for n in ("home", "isp", "hamburg", "osaka", "internet", "printer")}
    lab.link(h["home"], h["isp"], ["192.0.2.2/24", "2001:db8:2::2/64"],
             ["192.0.2.1/24", "2001:db8:2::1/64"], a_dev="eth0")
    lab.link(h["home"], h["printer"], ["192.168.7.2/24"], ["192.168.7.1/24"], a_dev="eth1")
    for n, net in (("hamburg", 10), ("osaka", 20)):
        lab.link(h["isp"], h[n], [f"203.0.113.{net + 1}/31"], [f"203.0.113.{net}/31"])
        h[n].ip(f"route add default via 203.0.113.{net + 1}")
    lab.link(h["isp"], h["internet"], ["198.51.100.1/24", "2001:db8:5::1/64"],
             ["198.51.100.2/24", "2001:db8:5::2/64"])
    lab.link(h["hamburg"], h["internet"], ["2001:db8:10::10/64"], ["2001:db8:10::1/64"],
             a_dev="six")
    h["home"].ip("route add default via 192.0.2.1")
    h["home"].ip("-6 route add default via 2001:db8:2::1")
    # Past the tunnel everything is reachable too: a leak would show, not fail.
    h["isp"].ip("route add 198.18.0.0/15 via 198.51.100.2")
    for net in ("2001:db8:99::/64", "2001:db8:77::/64"):
        h["isp"].ip(f"-6 route add {net} via 2001:db8:5::2")
        h["internet"].ip(f"route add local {net} dev lo")
    h["hamburg"].ip("-6 route add default via 2001:db8:10::1")
    h["internet"].ip("route add default via 198.51.100.1")
    h["internet"].ip("-6 route add default via 2001:db8:5::1")
    h["internet"].ip("route add local 198.18.0.0/15 dev lo")
    h["hamburg"].masquerade("to-isp")
    h["hamburg"].nft('table inet nat {\n chain post {\n oifname "six" masquerade\n }\n}\n')
    h["osaka"].masquerade("to-isp")

    files = lab.path("www")
    os.mkdir(files)
    blob = os.urandom(64 << 20)
    with open(os.path.join(files, "film.bin"), "wb") as f:
        f.write(blob)
    h["internet"].http_server(80, files)
    h["internet"].iperf_server()
    h["printer"].http_server(80)

    psk = genpsk()
    hamburg = WireguardGo(h["hamburg"], ["10.10.0.1/24", "fd10::1/64"], port=51820)
    osaka = WireguardGo(h["osaka"], ["10.20.0.1/24"], port=51820)
    keys = {}
    for end, allowed, key in ((hamburg, ["10.10.0.2/32", "fd10::2/128"], None),
                              (osaka, ["10.20.0.2/32"], psk)):
        private, public = genkey()
        end.peers.append(Peer(public, allowed, psk=key))
        end.start()
        keys[end.host.name] = private

    home = Mintflow(h["home"], ["10.66.0.2/30", "fd66::2/126"], iface="hamburg", auto_route=True)
    for name, private in keys.items():
        with open(os.open(lab.path(f"{name}.key"), os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
            f.write(private + "\n")
    with open(lab.path("japan.txt"), "w") as f:
        f.write(JAPAN)
    home.path = lab.path("home.yaml")
    text = PROFILE.format(hamburg=hamburg.public, osaka=osaka.public, psk=psk)

    def write():
        with open(os.open(home.path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)
        return home.path
    home.write_profile = write
    return h, home, hamburg, osaka, hashlib.sha256(blob).hexdigest()


def say_why(home, destination):
    """Where `mintflow why --json` sends it."""
    try:
        return home.why(destination) or "nowhere"
    except LabError as e:
        return f"error: {e}"[:60]


def fetch(host, address, timeout=4, port=80):
    """(curl's status, the address that the server saw, seconds)"""
    at = f"[{address}]" if ":" in address else address
    start = time.monotonic()
    r = host.run(["curl", "-gs", "-m", timeout, f"http://{at}:{port}/whoami"], check=False)
    took = time.monotonic() - start
    return r.returncode, json.loads(r.stdout)["client"] if r.returncode == 0 else None, took


# As the server sees who asks.
SEEN = {"203.0.113.10": "hamburg", "2001:db8:10::10": "hamburg", "203.0.113.20": "osaka",
        "192.0.2.2": "direct", "2001:db8:2::2": "direct"}
NEARBY, NEARBY6 = "198.18.40.1", "2001:db8:77::7"
AT_HOMES_CABLE = "not arp and not icmp6 and not (udp and port 51820)"


def exercise(h, home, hamburg, osaka, film):
    t = Table()
    host = h["home"]
    leak = h["isp"].capture("to-home", f"{AT_HOMES_CABLE} and not net 198.18.32.0/19 "
                            "and not net 2001:db8:77::/64", "leak")

    for what, dst, want in (("web", "198.18.1.1", "hamburg"),
                            ("web, IPv6", "2001:db8:99::7", "hamburg"),
                            ("web, set `japan`", "198.19.4.4", "osaka"),
                            ("web, set from a file", "198.18.201.9", "osaka"),
                            ("web, exception in `ads`", "198.18.66.7", "hamburg"),
                            ("web, set `nearby`", NEARBY, "direct"),
                            ("web, `nearby`, IPv6", NEARBY6, "direct")):
        status, seen, _ = fetch(host, dst)
        got = f"server saw {seen} ({SEEN.get(seen, '?')})" if seen else f"curl gave {status}"
        why = say_why(home, dst)
        t.add(what, dst, want, why, got, SEEN.get(seen) == want and why == want)
    status, _, took = fetch(host, "198.18.66.1")
    why = say_why(home, "198.18.66.1")
    t.add("web, set `ads`", "198.18.66.1", "reject", why,
          f"refused after {took * 1000:.0f} ms" if status == 7 else f"curl gave {status}",
          status == 7 and took < 1 and why == "reject")
    status, _, took = fetch(host, "198.18.13.1", 1.5)
    why = say_why(home, "198.18.13.1")
    t.add("web", "198.18.13.1", "drop", why,
          f"silence for {took:.1f} s" if status == 28 else f"curl gave {status}",
          status == 28 and why == "drop")
    status, seen, _ = fetch(host, "192.168.7.1")
    t.add("printer's page", "192.168.7.1", "stay at home", "-",
          f"printer saw {seen}" if seen else f"curl gave {status}", seen == "192.168.7.2")
    status, _, took = fetch(host, NEARBY, port=81)
    t.add("nobody listens there", NEARBY + ":81", "direct", say_why(home, NEARBY),
          f"refused after {took * 1000:.0f} ms" if status == 7 else f"curl gave {status}",
          status == 7 and took < 1)
    for what, dst, want in (("ping", "198.18.1.1", "hamburg"),
                            ("ping, IPv6", "2001:db8:99::7", "hamburg"),
                            ("ping, `nearby`", NEARBY, "direct"),
                            ("ping, `nearby`, IPv6", NEARBY6, "direct")):
        got = host.ping(dst, 5, interval=0.1, check=False)
        t.add(what, dst, want, say_why(home, dst), f"{got} of 5 answered", got == 5)
    for dst, want, note in (("198.18.1.1", "hamburg", " (wireguard-go at the other end)"),
                            (NEARBY, "direct", "")):
        got = host.run(["sh", "-c", f"curl -gs -m 60 http://{dst}/film.bin | sha256sum"]).stdout
        t.add("64 MiB download", dst, want, say_why(home, dst),
              "SHA-256 agrees" if got.split()[0] == film else "SHA-256 differs!",
              got.split()[0] == film)
        for what, args in (("iperf3 up", []), ("iperf3 down", ["-R"])):
            try:
                rate = host.iperf(dst, *args,
                                  seconds=3)["end"]["sum_received"]["bits_per_second"] / 1e9
            except LabError as e:
                t.add(what, dst, want, "-", str(e)[:60], False)
                continue
            t.add(what, dst, want, say_why(home, dst), f"{rate:.2f} Gbit/s{note}", rate > 0.01)
    a_live_session(t, host, home)
    for end in (hamburg, osaka):
        wg = host.run(["wg", "show", end.host.name, "latest-handshakes"], check=False).stdout
        ok = end.public in wg and not wg.split()[1] == "0"
        t.add("wg show", end.host.name, "handshake", "-", "done" if ok else wg.strip(), ok)
    leaked = [p for p in leak.packets()]
    t.add("the wire at the provider", "home – isp", "WireGuard, nearby", "-",
          f"{len(leaked)} other packets" + (f": {leaked[0].summary()[:50]}" if leaked else ""),
          not leaked)
    return t


def a_live_session(t, host, home):
    """One that stays open while `show sessions` and `why` are asked about it."""
    with host.socket() as s:
        s.connect((NEARBY, 80))
        port = s.getsockname()[1]
        found = [x for x in home.json("show", "sessions")["sessions"]
                 if x["app"].endswith(f":{port}")]
        got = "; ".join(f"{x['proto']} {x['app']} {x['state']}, {x['interface']}" for x in found)
        t.add("show sessions", f"{NEARBY}:80", "direct", say_why(home, NEARBY), got or "not there",
              len(found) == 1 and found[0]["interface"] == "direct"
              and found[0]["state"] == "established")


def take_down(h, home):
    """Stop MintFlow; what it changed at home must be as before."""
    def routes():
        return [h["home"].ip(x) for x in ("-4 rule", "-6 rule", "-4 route", "-6 route")]
    before = home.routes_before
    status = home.stop()
    return status, routes() == before


def demo(keep):
    from lab import Lab
    os.makedirs(os.path.dirname(STATE), exist_ok=True)
    if close_saved(STATE):
        print("took down the laboratory that was kept before")
    started = time.monotonic()
    with Lab("demo", keep=keep) as lab:
        print(PICTURE)
        h, home, hamburg, osaka, film = build_lab(lab)
        home.routes_before = [h["home"].ip(x)
                              for x in ("-4 rule", "-6 rule", "-4 route", "-6 route")]
        try:
            home.start()
            home.host.ping_until("198.18.1.1", 10)
            t = exercise(h, home, hamburg, osaka, film)
        except LabError as e:
            print(f"\ndemo: {e}\n{lab.logs()}", file=sys.stderr)
            lab.close()
            return 1
        t.show()
        print(home.cli("status", check=False).stdout)
        if t.wrong:
            print(lab.logs(), file=sys.stderr)
        if keep:
            lab.save(STATE)
            print("The laboratory is left running. To enter and to end it:\n"
                  "  ./demo enter home        then: mintflow status, mintflow why 198.18.66.1, wg show,\n"
                  "                           curl http://198.19.0.1/whoami, ping 198.18.13.1\n"
                  "  ./demo enter hamburg     (also osaka, isp, internet, printer)\n"
                  "  ./demo stop\n"
                  f"Profile: {lab.path('home.yaml')}")
        else:
            status, clean = take_down(h, home)
            ok = status == 0 and clean
            print(f"stopped with status {status}; routes and rules at home are "
                  + ("as before" if clean else "NOT as before"))
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

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)    # also when started with it ignored
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
