# SPDX-License-Identifier: Apache-2.0
"""common - what the benches of tunnels and those of `direct` share: rounds in which everybody takes
turns, the search for the rate that is carried without loss, the shape of a result."""
import json
import os
import statistics
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "net"))

from lab import LabError, bench_program, wait_for  # noqa: E402

LOSS = 0.001


def note(text):
    print(text, file=sys.stderr, flush=True)


def rounded(value, digits=4):
    return None if value is None else float(f"{value:.{digits}g}")


def result(spec, name, ours, peer, peer_version, peer_value, **extra):
    """One line of output. `spec`: unit, which way is better, what it is, the ratio asked for."""
    unit, better, _, target = spec
    r = {"bench": name, "unit": unit, "mintflow": ours, "peer": peer,
         "peer_version": peer_version, "peer_value": peer_value,
         "ratio": round(ours / peer_value, 3) if ours and peer_value else None,
         "better": better, "target": target}
    r.update(extra)
    return r


def in_turn(name, unit, rounds, ways, measure):
    """{way: [a value a round]}: every way once in each round. What fails is said and left out."""
    values = {w: [] for w in ways}
    for i in range(rounds):
        for w in ways:
            try:
                got = measure(w)
            except LabError as e:
                note(f"{name}: {w}: {e}")
                continue
            values[w].append(got)
            note(f"{name} round {i + 1}: {w} {got:.4g} {unit}")
    return values


def medians(values):
    return {k: rounded(statistics.median(v)) for k, v in values.items() if v}


def all_rounds(values):
    return {k: [rounded(x) for x in v] for k, v in values.items()}


# UDP: the highest offered rate that loses at most LOSS. --------------------------------------------

def udp_trial(sender, receiver, address, size, rate, seconds):
    """(datagrams/s really offered, share lost, datagrams/s received)"""
    flood = bench_program("udpflood")
    rx = receiver.popen([flood, "recv", address, "9", "5"], "recv")
    wait_for("the receiver", lambda: receiver.listening(9, "udp"))
    tx = json.loads(sender.out([flood, "send", address, "9", size, int(rate), seconds]))
    rx.wait(15)
    got = json.loads(rx.log())["received"]
    sent = max(tx["sent"], 1)
    return sent / tx["seconds"], 1 - got / sent, got / tx["seconds"]


def udp_without_loss(sender, receiver, address, size, seconds):
    """Open the tap fully to see where the limit may be, then search between nothing and there by
    halves. A rate counts when it passes; one that fails is tried once more, because another program's
    moment on a small machine is not the way's loss."""
    seconds = min(1.0, seconds)
    offered, lost, got = udp_trial(sender, receiver, address, size, 0, seconds)
    if lost <= LOSS:
        return offered
    low, high, best = 0.0, min(offered, got * 1.3), 0.0
    for _ in range(8):
        rate = (low + high) / 2
        for _ in range(2):
            offered, lost, _ = udp_trial(sender, receiver, address, size, rate, seconds)
            if lost <= LOSS:
                break
        if lost <= LOSS:
            best, low = max(best, offered), rate
        else:
            high = rate
        if high - low < 0.03 * high:
            break
    return best
