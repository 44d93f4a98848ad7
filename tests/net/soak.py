#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""soak.py [--minutes N] [--seed N] - 64 peers that churn under traffic; memory, drops and the ledger.

    a: mintflow, one interface with 64 peers ── 192.0.2.0/24 ── b: two mintflows, 32 interfaces each

    10.31.i.1 on a talks with 10.30.i.1 on b, through b's interface w<i>

All the time: datagrams between all pairs, TCP over one of them. In each round peers are removed and
added again (so they handshake), allowed IPs change, peers roam to another port, and now and then a
profile is changed and reloaded. At the end: nothing may have grown, every packet is accounted for, every
pair talks again. MINTFLOW names the program. Needs root.
"""
import argparse
import json
import os
import random
import signal
import statistics
import sys
import time

from lab import Lab, wait_for
from wgend import Mintflow

PEERS = 64
PORT = 7000
ROUND = 0.5
PARTS = 5
CALM = (1, 2)       # these are left alone: TCP runs over them, and their losses count
HERE = os.path.dirname(os.path.abspath(__file__))


def grew(samples, slack_kib):
    """What is wrong with these samples of memory, or None. What leaks grows all the time; what reaches its
    high-water mark late grows once. So the first third is warming up (tables reach their size), the rest
    is cut in five, and of their medians all but one must be above the one before, and the last above the
    first by more than the slack, before this says that it grew."""
    late = samples[len(samples) // 3:]
    if len(late) < PARTS:
        raise AssertionError(f"too short to say anything about memory: {samples}")
    part = [statistics.median(late[len(late) * k // PARTS:len(late) * (k + 1) // PARTS])
            for k in range(PARTS)]
    steps = sum(after > before for before, after in zip(part, part[1:]))
    if steps < PARTS - 2 or part[-1] - part[0] <= slack_kib:
        return None
    return f"memory grew from {part[0]} to {part[-1]} KiB: {samples}"


def ours(i):
    return f"10.31.{i}.1"


def theirs(i):
    return f"10.30.{i}.1"


class Soak:
    def __init__(self, lab, seed):
        self.rng = random.Random(seed)
        self.a, self.b = lab.host("a"), lab.host("b")
        lab.link(self.a, self.b, ["192.0.2.1/24"], ["192.0.2.2/24"])
        self.keys = [None] + [Mintflow(self.b, []) for _ in range(PEERS)]     # for their keys
        self.port = {i: 52000 + i for i in range(1, PEERS + 1)}
        self.one = Mintflow(self.a, [f"{ours(i)}/32" for i in range(1, PEERS + 1)], port=51001,
                            tweak=self.tweak_one)
        # Two, because a port is opened before another is closed, and there is room for 64.
        self.many = [Mintflow(self.b, [f"{theirs(i)}/32" for i in half], dev=f"mint{k}",
                              tweak=lambda d, half=half: self.tweak_many(d, half))
                     for k, half in enumerate((range(1, PEERS // 2 + 1),
                                               range(PEERS // 2 + 1, PEERS + 1)), 1)]
        self.ends = {"a": self.one, "b1": self.many[0], "b2": self.many[1]}
        self.drops_route = 0
        self.samples = {name: [] for name in self.ends}
        self.done = dict.fromkeys(("removed", "changed", "roamed", "reloaded"), 0)
        self.trouble = []

    # The profiles: one interface with all peers, and an interface for each peer.

    def tweak_one(self, d):
        wg = d["interfaces"][0]
        del wg["address"]       # so that no source address is translated
        wg["peers"] = [{"public_key": self.keys[i].public, "allowed_ips": [f"10.30.{i}.0/24"],
                        "endpoint": f"192.0.2.2:{self.port[i]}"} for i in range(1, PEERS + 1)]
        d["app_routing"]["routes"] = [{"cidr": "10.30.0.0/16", "to": "wg0"}] + \
            [{"cidr": f"10.40.{k}.0/24", "to": "drop"} for k in range(self.drops_route)]

    def tweak_many(self, d, half):
        d["interfaces"] = [
            {"name": f"w{i}", "type": "wireguard", "private_key": self.keys[i].private,
             "listen_port": self.port[i], "mtu": 1420,
             "peers": [{"public_key": self.one.public, "allowed_ips": [f"{ours(i)}/32"],
                        "endpoint": "192.0.2.1:51001", "persistent_keepalive": 1}]}
            for i in half]
        d["app_routing"]["routes"] = [{"cidr": f"{ours(i)}/32", "to": f"w{i}"} for i in half]

    def start(self):
        for end in self.ends.values():
            end.start()
        self.a.ip("route add 10.30.0.0/16 dev mint0")
        for i in range(1, PEERS + 1):
            self.b.ip(f"route add {ours(i)} dev mint{1 if i <= PEERS // 2 else 2}")
        numbers = range(1, PEERS + 1)
        self.echo = self.b.popen([sys.executable, os.path.join(HERE, "soakload.py"), "echo", PORT]
                                 + [theirs(i) for i in numbers], "echo")
        self.load = self.a.popen([sys.executable, os.path.join(HERE, "soakload.py"), "load", PORT, 500]
                                 + [f"{ours(i)}>{theirs(i)}" for i in numbers], "load")
        self.b.iperf_server(5201, bind=theirs(1))
        self.tcp = None

    # What happens in a round.

    def churners(self, n):
        return self.rng.sample([i for i in range(1, PEERS + 1) if i not in CALM], n)

    def remove_and_add(self):
        gone = self.churners(6)
        for i in gone:
            self.one.set("peer", self.keys[i].public, "remove")
        for i in gone:
            self.one.set("peer", self.keys[i].public, "endpoint", f"192.0.2.2:{self.port[i]}",
                         "allowed-ips", f"10.30.{i}.0/24")
        self.done["removed"] += len(gone)

    def change_allowed(self):
        for i in self.churners(4):
            more = ",".join(f"10.{100 + self.rng.randrange(100)}.{self.rng.randrange(256)}.0/24"
                            for _ in range(self.rng.randrange(1, 30)))
            self.one.set("peer", self.keys[i].public, "allowed-ips", f"10.30.{i}.0/24,{more}")
            self.done["changed"] += 1

    def roam(self):
        for i in self.churners(3):
            self.port[i] = 52000 + (self.port[i] - 52000 + 100) % 10000
            self.b.run(["wg", "set", f"w{i}", "listen-port", self.port[i]])
            self.done["roamed"] += 1

    def reload(self):
        """Half the time with other routes, and always with the endpoints and ports of now."""
        if self.rng.randrange(2):
            self.drops_route = self.rng.randrange(200)
        for end in self.ends.values():
            end.write_profile()
            end.proc.kill(signal.SIGHUP)
        self.done["reloaded"] += 1

    def sample(self):
        for name, end in self.ends.items():
            self.samples[name].append(end.proc.memory_kib())

    def run(self, seconds):
        until = time.monotonic() + seconds
        n = 0
        while time.monotonic() < until:
            started = time.monotonic()
            if self.tcp is None or not self.tcp.alive():
                self.tcp = self.a.popen(["iperf3", "-c", theirs(1), "-B", ours(1), "-t", "5", "-b",
                                         "100M"], "iperf3")
            for what in (self.remove_and_add, self.change_allowed, self.roam):
                what()
            if n % 8 == 7:
                self.reload()
            self.sample()
            for name, end in self.ends.items():
                if not end.proc.alive():
                    raise AssertionError(f"{name}: mintflow ended:\n{end.proc.tail()}")
            n += 1
            time.sleep(max(0, started + ROUND - time.monotonic()))

    # What must hold at the end.

    def check_talk(self):
        """Every peer answers again, also those that have just roamed: keepalives tell where they are."""
        for i in range(1, PEERS + 1):
            self.a.run(["ping", "-c", "1", "-W", "1", "-I", ours(i), theirs(i)], check=False)
        for i in range(1, PEERS + 1):
            try:
                wait_for(f"peer {i}", lambda: self.a.run(
                    ["ping", "-c", "1", "-W", "1", "-I", ours(i), theirs(i)],
                    check=False).returncode == 0, 20)
            except Exception as e:      # say all that is wrong
                self.trouble.append(f"peer {i} does not answer at the end: {e}")

    def check_load(self):
        self.load.stop()
        said = json.loads(self.load.log().strip().splitlines()[-1])
        for i in CALM:
            sent, got = said["sent"][i - 1], said["got"][i - 1]
            if sent - got > max(10, sent // 20):
                self.trouble.append(f"{sent - got} of {sent} datagrams of peer {i}, which was left "
                                    "alone, were lost")
        if not all(said["got"]):
            self.trouble.append(f"pairs that never talked: {said['got']}")
        return sum(said["sent"]), sum(said["got"])

    def check_ledger(self, end, name):
        """Everything has stopped sending: what is missing is missing. Keepalives may be on their way."""
        def asked():
            j = end.json("show", "drops", "--name", end.dev)
            return j, j["missing"] if "missing" in j else j["ledger"]["missing"]
        j, missing = asked()
        for _ in range(10):
            if abs(missing) == 0:
                break
            time.sleep(0.3)
            j, missing = asked()
        if missing:
            self.trouble.append(f"{name}: {missing} packets are missing: {json.dumps(j)}")
        drops = {d["reason"]: d["packets"] for d in j["drops"]}
        total = j["dropped"] if "dropped" in j else j["ledger"]["dropped"]
        if sum(drops.values()) != total:
            self.trouble.append(f"{name}: {total} dropped, with a name: {drops}")
        unknown = [r for r in drops if not r or r in ("none", "?")]
        if unknown:
            self.trouble.append(f"{name}: drops without a name: {drops}")
        return drops

    def check_memory(self, name, slack_kib):
        s = self.samples[name]
        trouble = grew(s, slack_kib)
        if trouble:
            self.trouble.append(f"{name}: {trouble}")
        return s[::max(1, len(s) // 8)]


def soak(lab, seconds, seed, slack_kib=256, say=print):
    """Raises AssertionError with everything that was wrong."""
    s = Soak(lab, seed)
    s.start()
    s.run(seconds)
    s.check_talk()
    if s.tcp.alive():
        s.tcp.stop()
    sent, got = s.check_load()
    for name, end in s.ends.items():
        memory = s.check_memory(name, slack_kib)
        drops = s.check_ledger(end, name)
        say(f"{name}: memory but for packets {memory} KiB, all {end.proc.rss_kib()} KiB; drops {drops}")
    say(f"seed {seed}: {s.done}; {got} of {sent} datagrams came back")
    for name, end in s.ends.items():
        if end.stop() != 0:
            s.trouble.append(f"{name}: mintflow ended with {end.proc.p.returncode}")
    assert not s.trouble, f"seed {seed}:\n" + "\n".join(s.trouble)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--minutes", type=float, default=3)
    p.add_argument("--seed", type=int, default=time.time_ns())
    o = p.parse_args()
    with Lab("soak") as lab:
        try:
            soak(lab, o.minutes * 60, o.seed)
        except AssertionError as e:
            sys.exit(f"{e}\n{lab.logs()}")


if __name__ == "__main__":
    main()
