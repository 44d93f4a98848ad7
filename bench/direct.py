# SPDX-License-Identifier: Apache-2.0
"""direct - the benches of what goes `direct`: the same apps and the same server, and between them

    app ── MintFlow ──┐
    app ── pasta ─────┼── server: 198.18.0.1
    app ──────────────┘  bare: nothing in between

each with a machine and a cable of its own, so that none of them is in another's way. MTU 1500 on all
of it. pasta's own default for its device is 65520, which no app behind a router or on a phone has; that
figure stands beside the others as `pasta-65520`.
"""
import json
import shutil
import subprocess
import time

from common import (LabError, all_rounds, bench_program, in_turn, medians, note, result, rounded,
                    udp_without_loss, wait_for)
from directnet import Direct, Pasta
from lab import Lab, mintflow_path

SERVER, PORT, PORTS = "198.18.0.1", 7000, 64
JUMBO = "pasta-65520"
# name: (unit, better, what, the ratio to pasta that is asked for)
BENCHES = {
    "direct-tcp-1": ("Gbit/s", "higher", "one TCP stream that goes direct, MTU 1500", 4.0),
    "direct-tcp-1-rev": ("Gbit/s", "higher", "one TCP stream, the other way", 4.0),
    "direct-tcp-10": ("Gbit/s", "higher", "ten TCP streams", 4.0),
    "direct-udp-1200": ("packets/s", "higher", "1200-byte datagrams, at most 0.1 % loss", 2.0),
    "direct-udp-64": ("packets/s", "higher", "64-byte datagrams, at most 0.1 % loss", 2.0),
    "direct-rr": ("us", "lower", "median of request and response, 64 bytes over TCP", None),
    "direct-crr": ("1/s", "higher", "connect, request, response, close; 16 at a time", 2.0),
    "direct-sessions": ("MiB", "lower", "resident memory with 10 000 idle TCP sessions", None),
    "direct-churn": ("1/s", "higher", "200 000 connections in sequence, 256 at a time", None),
}
TARGET_BARE, TARGET_ADDED_US, TARGET_RSS, TARGET_P99 = 0.4, 40, 40, 10


def pasta_version():
    r = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "passt"], capture_output=True,
                       text=True)
    return r.stdout.strip() or None


class Web:
    """The server of a bed, and what its apps ask of it: {way: the host on which its apps run}."""

    def __init__(self, lab, options, backlog):
        self.lab, self.options, self.server_proc, self.iperf_proc = lab, options, None, None
        self.server = lab.host("server", forward=True)
        self.server.add_addr("lo", SERVER + "/32")
        self.server.sysctl("net.core.somaxconn", backlog)
        self.app, self.proc = {}, {}

    def iperf(self, way, *args):
        if not self.iperf_proc or not self.iperf_proc.alive():
            self.iperf_proc = self.server.iperf_server()
        j = self.app[way].iperf(SERVER, *args, seconds=self.options.seconds)
        return j["end"]["sum_received"]["bits_per_second"] / 1e9

    def tcp1(self, way):
        return self.iperf(way)

    def tcp1_rev(self, way):
        return self.iperf(way, "-R")

    def tcp10(self, way):
        return self.iperf(way, "-P", "10")

    def udp_64(self, way):
        return udp_without_loss(self.app[way], self.server, SERVER, 64, self.options.seconds)

    def serve(self):
        if not self.server_proc or not self.server_proc.alive():
            self.server_proc = self.server.popen(
                [bench_program("sockbench"), "serve", SERVER, PORT, PORTS], "serve")
            wait_for("the server", lambda: self.server.listening(PORT + PORTS - 1))


class Bed(Web):
    """The ways to it."""

    def __init__(self, lab, options, jumbo=True):
        super().__init__(lab, options, 4096)
        if "mintflow" not in options.without:
            self._add("mintflow", self._mintflow)
        if "pasta" not in options.without and shutil.which("pasta"):
            self._add("pasta", lambda home: self._pasta(home, 1500))
            if jumbo:
                self._add(JUMBO, lambda home: self._pasta(home, 65520))
        self._add("bare", lambda home: (home, None))

    def _add(self, way, start):
        n = len(self.lab.hosts)
        home = self.lab.host(way)
        self.lab.link(home, self.server, [f"192.0.2.{n * 4 + 1}/30"], [f"192.0.2.{n * 4 + 2}/30"],
                      a_dev="eth0")
        home.ip(f"route add default via 192.0.2.{n * 4 + 2}")
        try:
            app, proc = start(home)
            for h in {home, app}:
                h.sysctl("net.ipv4.ip_local_port_range", "10000 65000")
            app.ping_until(SERVER, 10)
        except LabError as e:
            note(f"{way}: not measured: {e}")
            return
        self.app[way] = app
        if proc:
            self.proc[way] = proc

    def _mintflow(self, home):
        mintflow_path()
        # As it comes, but for one app that may have all the sessions there are.
        end = Direct(home, addrs=["10.66.0.2/24"], tweak=self.options.tweak,
                     sessions={"per_source": 1 << 20},
                     routes=[{"cidr": "0.0.0.0/0", "to": "direct"}]).start()
        return home, end.proc

    def _pasta(self, home, mtu):
        app = self.lab.host("at-" + home.name)
        end = Pasta(home, app, mtu=mtu).start()
        return app, end.proc

    def ways(self, *but):
        return [w for w in self.app if w not in but]

    def udp_1200(self, way):
        return udp_without_loss(self.app[way], self.server, SERVER, 1200, self.options.seconds)

    def sockbench(self, way, *args, timeout=None):
        """What bench/sockbench.c says, against its server."""
        self.serve()
        out = self.app[way].out([bench_program("sockbench"), *args],
                                timeout=timeout or self.options.seconds + 60)
        return json.loads(out.splitlines()[-1])

    def rr(self, way):
        r = self.sockbench(way, "rr", SERVER, PORT, 64, 1, self.options.seconds)
        if r["lost"] or not r["count"]:
            raise LabError(f"{r['lost']} lost: {r['error']}")
        self.aside.setdefault(way, []).append(r["p99"])
        return r["p50"]

    def crr(self, way):
        r = self.sockbench(way, "crr", SERVER, PORT, PORTS, 16, 0, self.options.seconds)
        self.aside.setdefault(way, []).append(r["lost"])
        return r["count"] / r["seconds"]


MEASURE = {"direct-tcp-1": Bed.tcp1, "direct-tcp-1-rev": Bed.tcp1_rev, "direct-tcp-10": Bed.tcp10,
           "direct-udp-1200": Bed.udp_1200, "direct-udp-64": Bed.udp_64, "direct-rr": Bed.rr,
           "direct-crr": Bed.crr}


def ratio(a, b):
    return round(a / b, 3) if a and b else None


def way_bench(bed, name):
    """Everybody in turn, and the median."""
    spec = BENCHES[name]
    # The larger MTU matters to bulk alone.
    ways = bed.ways() if name.startswith("direct-tcp") else bed.ways(JUMBO)
    bed.aside, cpu = {}, {}

    def measure(way):
        before = bed.proc[way].cpu_seconds() if way in bed.proc else 0
        got = MEASURE[name](bed, way)
        if way in bed.proc:
            cpu.setdefault(way, []).append(bed.proc[way].cpu_seconds() - before)
        return got
    values = in_turn(name, spec[0], bed.options.rounds, ways, measure)
    middle = medians(values)
    ours, peer, bare = (middle.get(w) for w in ("mintflow", "pasta", "bare"))
    extra = {"bare": bare, "rounds": bed.options.rounds, "all": all_rounds(values),
             "cpu_seconds": medians(cpu)}
    if name.startswith("direct-tcp"):
        extra |= {JUMBO: middle.get(JUMBO), "bare_ratio": ratio(ours, bare),
                  "target_bare": TARGET_BARE}
    if name == "direct-rr":
        extra |= {"p99": medians(bed.aside), "target_added": TARGET_ADDED_US,
                  "added": rounded(ours - bare) if ours and bare else None,
                  "peer_added": rounded(peer - bare) if peer and bare else None}
    if name == "direct-crr":
        extra["lost"] = {w: sum(v) for w, v in bed.aside.items()}
    return result(spec, name, ours, "pasta", pasta_version(), peer, **extra)


# Many sessions: one round, each way with a fresh process. ------------------------------------------

def rss(bed, way):
    return bed.proc[way].rss_kib() / 1024 if way in bed.proc else None


class Asker:
    """sockbench's sessions, which waits for a line between its phases."""

    def __init__(self, bed, way, count, think, seconds):
        bed.serve()
        argv = [bench_program("sockbench"), "sessions", SERVER, PORT, PORTS, count, think, seconds]
        self.p = subprocess.Popen(bed.app[way].enter([str(a) for a in argv]), text=True,
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def phase(self):
        line = self.p.stdout.readline()
        if not line:
            raise LabError(f"sockbench ended with {self.p.wait()}")
        return json.loads(line)

    def go_on(self):
        self.p.stdin.write("\n")
        self.p.stdin.flush()

    def close(self):
        self.p.stdin.close()
        try:
            self.p.wait(30)
        except subprocess.TimeoutExpired:
            self.p.kill()
            self.p.wait()


def sessions_of(bed, way, options):
    """One way: memory before, with all sessions open, and after the busy phase; latencies."""
    got = {"before": rss(bed, way)}
    asker = Asker(bed, way, options.sessions, options.think, max(options.seconds, 2 * options.think))
    try:
        opened = asker.phase()
        time.sleep(1)
        got["idle"] = rss(bed, way)
        asker.go_on()
        active = asker.phase()
        got["active"] = rss(bed, way)
    finally:
        asker.close()
    got |= {"open": opened["count"], "lost": active["lost"], "requests": active["count"],
            "p50": active["p50"], "p99": active["p99"], "error": active["error"],
            "p99_p50": ratio(active["p99"], active["p50"])}
    note(f"direct-sessions: {way} {json.dumps(got)}")
    return got


def churn_of(bed, way, options):
    """One way: memory before, after a tenth (pools are warm then), and after all of them."""
    got = {"before": rss(bed, way)}
    first, rest = options.churn // 10, options.churn - options.churn // 10
    parts = []
    for count in (first, rest):
        parts.append(bed.sockbench(way, "crr", SERVER, PORT, PORTS, 256, count, 0, timeout=1200))
        got["warm" if len(parts) == 1 else "after"] = rss(bed, way)
    time.sleep(1)
    got |= {"settled": rss(bed, way), "lost": sum(p["lost"] for p in parts),
            "done": sum(p["count"] for p in parts), "error": parts[-1]["error"],
            "per_second": sum(p["count"] for p in parts) / sum(p["seconds"] for p in parts)}
    note(f"direct-churn: {way} {json.dumps(got)}")
    return got


def fresh_bench(name, options):
    spec, measure = BENCHES[name], sessions_of if name == "direct-sessions" else churn_of
    got = {}
    with Lab(name) as lab:
        bed = Bed(lab, options, jumbo=False)
        for way in bed.ways():
            try:
                got[way] = measure(bed, way, options)
            except LabError as e:
                note(f"{name}: {way}: {e}")
    key = "idle" if name == "direct-sessions" else "per_second"
    ours, peer = (got.get(w, {}).get(key) for w in ("mintflow", "pasta"))
    # Rounded for people; `details` has the rest.
    extra = {"rounds": 1, "details": {w: {k: rounded(v) if isinstance(v, float) else v
                                          for k, v in d.items()} for w, d in got.items()}}
    mine = got.get("mintflow", {})
    if name == "direct-sessions":
        extra |= {"sessions": options.sessions, "target_value": TARGET_RSS,
                  "p99_p50": mine.get("p99_p50"), "target_p99_p50": TARGET_P99}
    else:
        extra |= {"connections": options.churn, "bare": rounded(got.get("bare", {}).get(key))}
    extra["lost"] = {w: d["lost"] for w, d in got.items()}
    return result(spec, name, rounded(ours), "pasta", pasta_version(), rounded(peer), **extra)


def run(name, options, state):
    """One bench. `state` keeps the laboratory of those that share one; close() it at the end."""
    if name not in MEASURE:
        return fresh_bench(name, options)
    if "bed" not in state:
        state["lab"] = Lab("direct").__enter__()
        state["bed"] = Bed(state["lab"], options)
    return way_bench(state["bed"], name)


def close(state):
    if "lab" in state:
        state["lab"].__exit__(None, None, None)


def text_extra(r):
    """What a line of the table says beside value, peer and ratio."""
    def show(v):
        return "-" if v is None else f"{v:g}"
    out = ""
    if "bare_ratio" in r:
        out += (f", ratio {show(r['bare_ratio'])} (asked: at least {r['target_bare']:g}); "
                f"pasta with its own MTU of 65520: {show(r[JUMBO])}")
    if "added" in r:
        out += (f"; adds {show(r['added'])} us (asked: at most {r['target_added']}), "
                f"pasta {show(r['peer_added'])}")
    if r["bench"] == "direct-sessions":
        d = r["details"].get("mintflow", {})
        out += (f" (asked: at most {r['target_value']} MiB); busy: p50 {show(d.get('p50'))} us, "
                f"p99 {show(d.get('p99'))} us, ratio {show(r['p99_p50'])} (asked: under "
                f"{r['target_p99_p50']})")
    if r["bench"] == "direct-churn":
        d = r["details"].get("mintflow", {})
        out += (f"; memory before {show(d.get('before'))}, warm {show(d.get('warm'))}, after "
                f"{show(d.get('settled'))} MiB")
    if r.get("lost"):
        out += "; lost: " + ", ".join(f"{w} {n}" for w, n in r["lost"].items())
    return out
