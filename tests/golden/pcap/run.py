#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""run.py MINTFLOW_PG [--update | --tshark] - the cases of `cases` against what is expected.

--update takes what comes out now for what is expected. --tshark reads the pcapng files with tshark
instead, and wants to see every verdict as the comment of its packet; exit status 77 without tshark.
"""
import argparse
import difflib
import os
import shlex
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# One of each kind of packet and of node is enough for tshark, which takes a second to start.
FOR_TSHARK = {"plain-up", "reject", "routes", "messages", "stream-tcp6-big"}


def cases():
    with open(os.path.join(HERE, "cases")) as f:
        for line in f:
            if line.strip() and not line.startswith("#"):
                name, *args = shlex.split(line)
                yield name, args


def run(program, args, out):
    p = subprocess.run([program, "--out", out] + args, cwd=HERE, text=True, timeout=120,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return p.stdout + (f"exit {p.returncode}\n" if p.returncode else "")


def options(body):
    """[(code, value)] of a block's options."""
    out = []
    while len(body) >= 4:
        code, n = struct.unpack_from("=HH", body)
        if code == 0:
            break
        out.append((code, body[4:4 + n]))
        body = body[4 + (n + 3 & ~3):]
    return out


def read_pcapng(path):
    """What is in the file, a line for each block; padding, and which program wrote it, do not count."""
    with open(path, "rb") as f:
        data = f.read()
    lines, at = [], 0
    while at < len(data):
        kind, n = struct.unpack_from("=II", data, at)
        body = data[at + 8:at + n - 4]
        assert n >= 12 and n % 4 == 0 and at + n <= len(data), f"{path}: block of {n} bytes at {at}"
        assert struct.unpack_from("=I", data, at + n - 4)[0] == n, f"{path}: lengths differ at {at}"
        at += n
        if kind == 0x0a0d0d0a:
            lines.append("section %#x version %d.%d" % struct.unpack_from("=IHH", body))
        elif kind == 1:
            lines.append("interface link %d snaplen %d" % struct.unpack_from("=H2xI", body)
                         + f" {options(body[8:])}")
        elif kind == 6:
            iface, high, low, caplen, length = struct.unpack_from("=IIIII", body)
            lines.append(f"packet on {iface} at {high << 32 | low} {length} bytes: "
                         f"{body[20:20 + caplen].hex()} {options(body[20 + (caplen + 3 & ~3):])}")
        else:
            lines.append(f"block {kind}: {body.hex()}")
    return lines


def differences(name, expected, got):
    return list(difflib.unified_diff(expected, got, f"{name} expected", f"{name} now", lineterm="", n=2))


def compare(name, said, new, update):
    """Differences between what came out and what is expected, as lines."""
    verdicts, golden = (os.path.join(HERE, f"{name}.{x}") for x in ("verdicts", "pcapng"))
    if update:
        with open(verdicts, "w") as f:
            f.write(said)
        if os.path.exists(new):
            shutil.copy(new, golden)
        elif os.path.exists(golden):
            os.unlink(golden)
    if not os.path.exists(verdicts):
        return [f"{name}.verdicts is missing"]
    with open(verdicts) as f:
        out = differences(f"{name}.verdicts", f.read().splitlines(), said.splitlines())
    if os.path.exists(new) != os.path.exists(golden):
        return out + [f"{name}.pcapng: only one of both is there"]
    if os.path.exists(new):
        out += [x[:2000] for x in differences(f"{name}.pcapng", read_pcapng(golden),
                                              read_pcapng(new))]
    return out


def by_tshark(said, path):
    """What tshark shows against what was said: numbers of packets, and comments in order."""
    if not os.path.exists(path):
        return []
    p = subprocess.run(["tshark", "-n", "-r", path, "-T", "fields", "-E", "separator=|",
                        "-e", "frame.interface_name", "-e", "frame.comment"],
                       capture_output=True, text=True, timeout=60)
    if p.returncode:
        return p.stderr.splitlines()
    shown = [x.split("|", 1) for x in p.stdout.splitlines()]
    lines = said.splitlines()
    verdicts = [lines[i + 1].strip() for i, x in enumerate(lines[:-1]) if x[0].isdigit()
                and lines[i + 1].startswith("  ")]
    out = differences("comments", verdicts, [c for _, c in shown if c])
    for what in ("tun", "peer"):
        n = sum(x.startswith(f"  {what}: ") for x in lines)
        if n != sum(name == what and not c for name, c in shown):
            out.append(f"{n} packets came out at {what}, tshark shows others: {shown}")
    return out


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("program")
    p.add_argument("--update", action="store_true")
    p.add_argument("--tshark", action="store_true")
    o = p.parse_args()
    program = os.path.abspath(o.program)
    if o.tshark and not shutil.which("tshark"):
        print("tshark is not installed")
        return 77
    failed = 0
    for name, args in cases():
        if o.tshark and name not in FOR_TSHARK:
            continue
        with tempfile.TemporaryDirectory(prefix="mintgolden-") as tmp:
            new = os.path.join(tmp, "out.pcapng")
            said = run(program, args, new)
            bad = by_tshark(said, new) if o.tshark else compare(name, said, new, o.update)
        if bad:
            failed += 1
            print("\n".join(bad))
        print(f"[ {'FAILED' if bad else 'OK':>8} ] {name}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
