# SPDX-License-Identifier: Apache-2.0
"""dns - the benches of the DNS server: the same client and the same upstream, and between them

    client ── MintFlow ──┐
    client ── dnsmasq ───┼── upstream: 198.18.255.53, every name has an address of its own
    client ── unbound ───┘

each with a machine and two cables of its own, kept on one core (MintFlow with one worker, unbound with one thread); the
client has the other one. Whoever forwards asks the same upstream, so no one has an answer that another has not.
"""
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from common import LabError, all_rounds, bench_program, in_turn, medians, note, result, rounded, wait_for
from lab import Lab, mintflow_path

UPSTREAM, NAMES, MISSES, CORE, CLIENT_CORE = "198.18.255.53", 5000, 10000, 1, 0
# name: (unit, better, what, the ratio asked for)
BENCHES = {
    "dns-cached": ("1/s", "higher", "answers from the cache, 5000 names, one core", 2.5),
    "dns-miss": ("us", "lower", "added to the median of an answer that is not cached", None),
    "dns-steer": ("1/s", "higher", "new names answered with their learned route in force", None),
}
TARGET_UNBOUND, TARGET_P50, TARGET_P99, TARGET_STEER = 1.5, 60, 250, 50000


def version_of(package):
    r = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return r.stdout.strip() or None


def pin(core, *argv):
    return ["taskset", "-c", str(core), *argv]


class Bed:
    """The upstream, and the servers: {way: (the host of its client, its address)}."""

    def __init__(self, lab, options, ways=("mintflow", "dnsmasq", "unbound"), ttl=3600, steer=False):
        self.lab, self.options, self.client, self.proc = lab, options, {}, {}
        self.dir = tempfile.mkdtemp(prefix="bench-dns-")
        self.upstream = lab.host("upstream", forward=True)
        self.upstream.add_addr("lo", UPSTREAM + "/32")
        self.upstream.popen(pin(CLIENT_CORE, bench_program("dnsupstream"), UPSTREAM, "53", ttl, "10.128.0.0"), "upstream")
        self.steer = steer
        for way in ways:
            start = getattr(self, "_" + way, None)
            if way in options.without or (way not in ("mintflow", "bare") and not shutil.which(way)):
                continue
            self._add(way, start)

    def _add(self, way, start):
        n = len(self.lab.hosts)
        home = self.lab.host(way, forward=True)
        client = self.lab.host("of-" + way)
        self.lab.link(home, self.upstream, [f"192.0.2.{n * 4 + 1}/30"], [f"192.0.2.{n * 4 + 2}/30"], a_dev="eth0")
        self.lab.link(client, home, ["203.0.113.2/30"], ["203.0.113.1/30"], b_dev="lan0")
        home.ip(f"route add default via 192.0.2.{n * 4 + 2}")
        client.ip("route add default via 203.0.113.1")
        if way == "bare":
            self.upstream.ip(f"route add 203.0.113.0/30 via 192.0.2.{n * 4 + 1}")
        at = UPSTREAM if way == "bare" else "203.0.113.1"
        try:
            if start:
                self.proc[way] = start(home)
            self.client[way] = (client, at)
            wait_for(f"{way} to answer", lambda: self._answers(way), 10)
        except LabError as e:
            note(f"{way}: not measured: {e}\n{self.proc[way].tail() if way in self.proc else ''}")
            self.client.pop(way, None)

    def _answers(self, way):
        client, at = self.client[way]
        out = client.run(["dig", "+short", "+tries=1", "+timeout=1", f"@{at}", "n7.ready.example"],
                         check=False).stdout
        return "10.128.0.7" in out

    def _file(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def _mintflow(self, home):
        profile = {"version": 1, "tunnel": {"name": "mint0", "address": ["10.66.0.2/30"], "auto_route": False},
                   "app_routing": {"routes": [{"cidr": "0.0.0.0/0", "to": "direct"}], "max_learned": 1 << 20},
                   "dns": {"direct_servers": [UPSTREAM], "listen": ["203.0.113.1:53"], "cache_size": 64 << 20,
                           "system": "off", "rebind_protection": False},
                   "limits": {"workers": 1, "memory": 1 << 30}}
        if self.steer:
            profile["domain_sets"] = {"all": {"domains": ["example"]}}
            profile["app_routing"]["routes"].insert(0, {"domain_set": "all", "to": "direct"})
            profile["limits"]["workers"] = 2
        path = self._file("mintflow.yaml", json.dumps(profile))
        run = [mintflow_path(), "run", "-c", path]
        return home.popen(run if self.steer else pin(CORE, *run), "mintflow")

    def _dnsmasq(self, home):
        return home.popen(pin(CORE, "dnsmasq", "-k", "-C", "/dev/null", "--no-resolv", "--no-hosts", f"--server={UPSTREAM}",
                              "--cache-size=10000", "--listen-address=203.0.113.1", "--bind-interfaces",
                              "--user=root", f"--pid-file={self.dir}/dnsmasq.pid"), "dnsmasq")

    def _unbound(self, home):
        conf = self._file("unbound.conf", f"""
server:
  num-threads: 1
  interface: 203.0.113.1
  access-control: 0.0.0.0/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{self.dir}"
  pidfile: ""
  use-syslog: no
  module-config: "iterator"
  so-rcvbuf: 1m
  do-not-query-localhost: no
forward-zone:
  name: "."
  forward-addr: {UPSTREAM}
""")
        return home.popen(pin(CORE, "unbound", "-d", "-c", conf), "unbound")

    def perf(self, way, names, *args):
        client, at = self.client[way]
        path = self._file("names", "".join(n + " A\n" for n in names))
        return client.out(pin(CLIENT_CORE, "dnsperf", "-s", at, "-d", path, *args), timeout=600)

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


def cpu_seconds(proc):
    """Of the process, in the kernel and outside of it: what an answer costs the server, whatever its client can do."""
    with open(f"/proc/{proc.p.pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(out):
    m = re.search(r"Queries per second:\s+([0-9.]+)", out)
    if not m:
        raise LabError("dnsperf said nothing of a rate:\n" + out[-500:])
    lost = re.search(r"Queries lost:\s+(\d+)", out)
    return float(m.group(1)), int(lost.group(1)) if lost else 0


def cached(name, options):
    with Lab("dns-cached") as lab:
        bed = Bed(lab, options)
        names = [f"n{i}.site{i % 97}.example" for i in range(NAMES)]
        for way in bed.client:
            bed.perf(way, names, "-n", "1", "-q", "50")  # everybody knows all of them

        cost = {}

        def measure(way):
            seconds = max(2, int(options.seconds))
            before = cpu_seconds(bed.proc[way])
            got = rate(bed.perf(way, names, "-l", seconds, "-q", "500", "-c", "8"))[0]
            cost.setdefault(way, []).append((cpu_seconds(bed.proc[way]) - before) / got / seconds * 1e6)
            return got
        values = in_turn(name, "1/s", options.rounds, list(bed.client), measure)
        bed.close()
    mid = medians(values)
    ours, peer, unbound = mid.get("mintflow"), mid.get("dnsmasq"), mid.get("unbound")
    return result(BENCHES[name], name, ours, "dnsmasq", version_of("dnsmasq-base"), peer, rounds=options.rounds,
                  unbound=unbound, unbound_version=version_of("unbound"),
                  unbound_ratio=round(ours / unbound, 3) if ours and unbound else None,
                  target_unbound_ratio=TARGET_UNBOUND, all=all_rounds(values),
                  cpu_us={w: rounded(v, 3) for w, v in medians(cost).items()})


def miss(name, options):
    values = {}
    with Lab("dns-miss") as lab:
        bed = Bed(lab, options, ways=("bare", "mintflow", "dnsmasq", "unbound"))
        for i in range(options.rounds):
            for way in bed.client:
                client, at = bed.client[way]
                got = json.loads(client.out([bench_program("dnsask"), at, "53", MISSES, f"r{i}.example"]))
                values.setdefault(way, []).append(got)
                note(f"{name} round {i + 1}: {way} p50 {got['p50']:.1f} us, p99 {got['p99']:.1f} us")
        bed.close()

    def added(way, what):
        if way not in values or "bare" not in values:
            return None
        return rounded(statistics.median(v[what] for v in values[way]) -
                       statistics.median(v[what] for v in values["bare"]), 3)
    return result(BENCHES[name], name, added("mintflow", "p50"), "dnsmasq", version_of("dnsmasq-base"),
                  added("dnsmasq", "p50"), rounds=options.rounds, added_p99=added("mintflow", "p99"),
                  dnsmasq_added_p99=added("dnsmasq", "p99"), unbound_added_p50=added("unbound", "p50"),
                  unbound_added_p99=added("unbound", "p99"), target_p50=TARGET_P50, target_p99=TARGET_P99)


def steered(name, options):
    with Lab("dns-steer") as lab:
        bed = Bed(lab, options, ways=("mintflow",), steer=True)
        count = [0]

        def measure(way):
            n = 40000 * max(1, int(options.seconds))
            names = [f"n{count[0] + i}.example" for i in range(n)]
            count[0] += n
            got, lost = rate(bed.perf(way, names, "-n", "1", "-q", "200", "-c", "8"))
            note(f"{name}: {lost} lost")
            return got
        values = in_turn(name, "1/s", options.rounds, list(bed.client), measure)
        bed.close()
    return result(BENCHES[name], name, medians(values).get("mintflow"), None, None, None, rounds=options.rounds,
                  target_value=TARGET_STEER, all=all_rounds(values))


RUN = {"dns-cached": cached, "dns-miss": miss, "dns-steer": steered}


def bench(name, options):
    if not shutil.which("dnsperf"):
        note(f"{name}: not measured: dnsperf is not installed (tools/deps bench)")
        return result(BENCHES[name], name, None, None, None, None)
    try:
        return RUN[name](name, options)
    except LabError as e:
        note(f"{name}: {e}")
        return result(BENCHES[name], name, None, None, None, None)
