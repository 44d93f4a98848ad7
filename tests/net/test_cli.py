# SPDX-License-Identifier: Apache-2.0
"""The commands in detail, against a tunnel that carries traffic.

    a (ours) ── 192.0.2.0/24, 2001:db8::/64 ── b (wireguard-go)
"""
import json
import os
import signal
import subprocess
import time

import pytest

from lab import genkey, genpsk, mintflow_path, wait_for
from wgend import pair

pytestmark = pytest.mark.mintflow_only


def run(*args, **kw):
    return subprocess.run([mintflow_path(), *args], capture_output=True, text=True, timeout=20, **kw)


def test_wrong_usage_is_2_and_says_so():
    for args in ([], ["fly"], ["show"], ["show", "keys"], ["show", "peers", "more"], ["why"],
                 ["status", "--colour"], ["status", "-x"], ["check"], ["import", "ipsec", "x"],
                 ["capture", "-c", "many"], ["status", "--watch=never"], ["show", "routes", "--json=1"],
                 ["show", "sessions", "to"], ["show", "sessions", "to", "nowhere"],
                 ["show", "sessions", "state", "asleep"], ["show", "sessions", "tcp", "udp"],
                 ["show", "dns-cache", "a b"], ["show", "dns-cache", "a.example", "b.example"],
                 ["show", "sessions", "name", "10.0.0.256"], ["why", "no name"], ["why", "10.0.0.256"],
                 ["flush"], ["flush", "routes"], ["flush", "dns-cache", "keyword:a"],
                 ["close"], ["close", "via"], ["close", "0-1-2", "tcp"], ["close", "all", "tcp"],
                 ["run"], ["run", "--nonsense"], ["help", "fly"]):
        r = run(*args)
        assert r.returncode == 2, (args, r.stdout, r.stderr)
        assert r.stderr and not r.stdout, args


def test_import_of_too_much_says_so(tmp_path):
    text = "#" * (1 << 20) + "\n"
    file = tmp_path / "links"
    file.write_text(text)
    for kind in "link", "subscription", "wireguard":
        r = run("import", kind, "-", input=text)
        assert r.returncode == 1 and not r.stdout, (kind, r.stderr)
        assert "stdin is longer than 1024 KiB; shorten or split it" in r.stderr, (kind, r.stderr)
        if kind != "link":
            same = run("import", kind, str(file))
            assert same.stderr.replace(str(file), "stdin") == r.stderr, kind


def test_wrong_usage_says_what_is_right():
    for args, status, hint in ((["check", "p.yaml"], 2, "with -c: p.yaml"),
                               (["run", "p.yaml"], 2, "with -c: p.yaml"),
                               (["check", "-c", "nofile.yaml"], 1, "mintflow import"),
                               (["run", "-c", "nofile.yaml"], 1, "mintflow import"),
                               (["import", "p.conf"], 2, "mintflow import wireguard p.conf"),
                               (["import", "wireguard"], 2, "FILE"),
                               (["import", "wireguard", "nofile.conf"], 1, "nofile.conf")):
        r = run(*args)
        assert r.returncode == status and hint in r.stderr, (args, r.stderr)
        assert r.stderr.startswith("mintflow") and not r.stdout, (args, r.stderr)


def test_help_and_version():
    for args in (["--help"], ["help"], ["show", "--help"], ["help", "run"], ["run", "--help"],
                 ["capture", "-h"]):
        r = run(*args)
        assert r.returncode == 0 and r.stdout.startswith("usage: mintflow"), args
    assert run("--version").stdout.startswith("mintflow ")


def test_a_full_disk_is_an_error():
    with open("/dev/full", "w") as full:
        r = subprocess.run([mintflow_path(), "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert r.returncode == 1 and "No space left" in r.stderr


def test_keys_in_a_readable_file_are_warned_of(tmp_path):
    path = tmp_path / "key"
    for mode, warned in ((0o644, True), (0o600, False)):
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, mode), "w") as f:
            os.fchmod(f.fileno(), mode)
            r = subprocess.run([mintflow_path(), "genkey"], stdout=f, stderr=subprocess.PIPE, text=True)
        assert ("umask" in r.stderr) == warned
    assert run("pubkey", input="not a key\n").returncode == 1


def test_check_prints_what_it_understood(tmp_path):
    private, public = genkey()[0], genkey()[1]
    path = tmp_path / "p.yaml"
    with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write(f"version: 1\ntunnel:\n  address: 10.1.1.1/32\ninterfaces:\n  - name: x\n"
                f"    type: wireguard\n    private_key: {private}\n    peers:\n"
                f"      - public_key: {public}\n        allowed_ips: 0.0.0.0/0\n")
    r = run("check", "-c", str(path))
    assert r.returncode == 0
    assert r.stdout == f"{path}: good: tunnel mint0, 1 interface, 1 peer, 1 route\n"
    with open(path, "a") as f: # a set of two prefixes is one route
        f.write("cidr_sets:\n  two: { cidrs: [10.2.0.0/16, 10.4.0.0/16] }\n"
                "app_routing:\n  routes: [ { cidr_set: two, to: x }, { cidr: 0.0.0.0/0, to: direct } ]\n")
    assert "1 peer, 2 routes" in run("check", "-c", str(path)).stdout
    r = run("check", "-c", str(path), "--print")
    assert "persistent_keepalive: off" in r.stdout and private not in r.stdout
    r = run("check", "-c", str(path), "--json")
    assert json.loads(r.stdout)["ok"] is True
    path.write_text("version: 2\n")
    r = run("check", "-c", str(path), "--json")
    got = json.loads(r.stdout)
    assert r.returncode == 1 and not got["ok"]
    assert got["errors"][0]["line"] == 1 and got["errors"][0]["file"] == str(path)


def test_why_tells_route_rule_and_peer(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    got = a.json("why", b.ip4())
    assert got["verdict"] == "sent" and got["interface"] == a.wg and got["peer"] == b.public
    assert got["enters_tunnel"] is True and got["where"].startswith(a.path + ":")
    with open(a.path) as f:
        line = f.read().splitlines()[int(got["where"].rsplit(":", 1)[1]) - 1]
    assert got["route"].split("/")[0] in line
    a.host.etc("hosts", f"127.0.0.1 localhost\n{b.ip4()} far.example\n{b.ip6()} far.example\n")
    got = a.json("why", "far.example")
    assert got["name"] == "far.example"
    assert sorted(x["destination"] for x in got["addresses"]) == sorted([b.ip4(), b.ip6()])
    assert "far.example: 2 addresses" in a.cli("why", "far.example").stdout
    assert a.cli("why", "nowhere.invalid", check=False).returncode == 1
    got = a.json("why", "192.0.2.2")
    assert got["verdict"] == "outside" and got["enters_tunnel"] is False, got
    assert got["system_device"] in got["text"] and got["system_device"] != a.dev
    assert a.json("why", "224.0.0.1")["verdict"] == "outside"
    assert "verdict:       stays outside the tunnel" in a.cli("why", "192.0.2.2").stdout


def test_watch_repeats_until_the_reader_goes(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    r = a.host.sh(f"{mintflow_path()} show peers --watch 0.1 --json | head -n 3")
    for line in r.stdout.splitlines():
        assert json.loads(line)["peers"][0]["public_key"] == b.public
    assert len(r.stdout.splitlines()) == 3


def test_the_name_chooses_the_tunnel(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    assert a.json("status", "-n", a.dev)["name"] == a.dev
    assert a.json("status", f"--name={a.dev}")["name"] == a.dev
    r = a.cli("status", "-n", "other", check=False)
    assert r.returncode == 1 and "other" in r.stderr
    r = a.cli("status", "-n", "../../etc/x", check=False)
    assert r.returncode == 1
    # A second socket, of a tunnel that was killed: now the choice is not ours to make.
    import socket
    s = socket.socket(socket.AF_UNIX)
    s.bind(a.host.file("/run/mintflow/dead.sock"))
    s.close()
    r = a.cli("status", check=False)
    assert r.returncode == 1 and "dead" in r.stderr and a.dev in r.stderr
    r = a.cli("status", "-n", "dead", check=False)
    assert r.returncode == 1 and "mintflow stop" in r.stderr
    assert a.cli("stop", "-n", "dead").returncode == 0
    assert not os.path.exists(a.host.file("/run/mintflow/dead.sock"))
    assert a.json("status")["name"] == a.dev
    a.host.ping(b.ip4())


def test_reload_of_a_wrong_profile_changes_nothing(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    with open(a.path) as f:
        good = f.read()
    with open(a.path, "w") as f:
        f.write(good.replace("wireguard", "wireguards").replace("version: 1", "version: 9"))
    r = a.cli("reload", check=False)
    assert r.returncode == 1
    lines = r.stderr.splitlines()
    assert len(lines) == 2 and all(x.startswith(a.path + ":") for x in lines), r.stderr
    a.host.ping(b.ip4())
    with open(a.path, "w") as f:
        f.write(good)
    assert a.cli("reload").returncode == 0
    a.host.ping(b.ip4())


def fields(host, path, *names):
    argv = ["tshark", "-r", path, "-T", "fields"]
    for n in names:
        argv += ["-e", n]
    return [line.split("\t") for line in host.out(argv).splitlines()]


def test_capture_of_super_packets(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    b.host.iperf_server()
    path = lab.path("super.pcapng")
    cap = a.host.popen([mintflow_path(), "capture", "-w", path, "-s", "128", "-c", "200", "tcp", "dst",
                        "port", "5201"], "capture")
    wait_for("the capture's file", lambda: os.path.exists(path) and os.path.getsize(path) > 0)
    a.host.out(["iperf3", "-c", b.ip4(), "-n", "20M"])
    assert cap.wait(10) == 0, "it ends by itself after -c packets"
    got = fields(a.host, path, "frame.len", "ip.len", "frame.cap_len", "frame.comment")
    assert len(got) == 200
    whole = [x for x in got if "segments of" in x[3]]
    assert whole, "the kernel hands over super-packets"
    for length, ip_len, cap_len, comment in got:
        assert length == ip_len and int(cap_len) <= 128
        assert comment.startswith(("sent; " + a.wg, "delivered; " + a.wg)), comment
    segments, mss = whole[0][3].split("; ")[-1].split(" segments of ")
    assert int(whole[0][0]) > int(mss.split()[0]) * (int(segments) - 1)


def test_capture_of_wireguard_messages(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    path = lab.path("wg.pcapng")
    cap = a.host.popen([mintflow_path(), "capture", "-n", "wg-input", "-w", path], "capture")
    wait_for("the capture's file", lambda: os.path.exists(path) and os.path.getsize(path) > 0)
    a.host.ping(b.ip4(), 3, interval=0.1)
    time.sleep(0.3)
    assert cap.stop(sig=signal.SIGINT) == 0
    got = fields(a.host, path, "wg.type", "frame.comment")
    assert [x[0] for x in got].count("4") >= 3, got


def test_captures_come_one_at_a_time_and_end_with_the_client(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    path = lab.path("one.pcapng")
    cap = a.host.popen([mintflow_path(), "capture", "-w", path], "capture")
    wait_for("the capture's file", lambda: os.path.exists(path) and os.path.getsize(path) > 0)
    r = a.cli("capture", check=False)
    assert r.returncode == 1 and "another capture" in r.stderr
    r = a.cli("capture", "no such thing", check=False)
    assert r.returncode == 1 and "filter" in r.stderr
    kept = lab.path("kept.pcapng")
    with open(kept, "w") as f:
        f.write("an earlier capture")
    for wrong in ((), ("-n", "nowhere"), ("-i", "nobody")):
        assert a.cli("capture", "-w", kept, *wrong, check=False).returncode == 1
        assert open(kept).read() == "an earlier capture", wrong
    cap.kill(signal.SIGKILL)
    cap.wait(5)
    # The tunnel notices, and the next one may capture.
    out = lab.path("two.pcapng")
    wait_for("the second capture", lambda: a.cli("capture", "-w", out, "-n", "nowhere", check=False)
             .stderr.find("no node nowhere") >= 0)
    cap = a.host.popen([mintflow_path(), "capture", "-w", out, "-c", "1"], "capture")
    wait_for("the capture's file", lambda: os.path.exists(out) and os.path.getsize(out) > 0)
    a.host.ping(b.ip4())
    assert cap.wait(5) == 0
    assert os.stat(out).st_mode & 0o077 == 0, "what goes through a tunnel is nobody else's business"
    a.host.ping(b.ip4())


def test_a_capture_ends_while_packets_wait_for_a_handshake(lab):
    """Packets that are staged outlive the trace that watched them."""
    a, b = pair(lab, "mintflow", "wireguard-go", start=False, initiator="a")
    a.start()
    path = lab.path("staged.pcapng")
    for _ in range(3):
        cap = a.host.popen([mintflow_path(), "capture", "-w", path], "capture")
        wait_for("the capture's file", lambda: os.path.exists(path) and os.path.getsize(path) > 0)
        a.host.ping(b.ip4(), 3, interval=0.05, wait=0.1, check=False)
        assert cap.stop(sig=signal.SIGINT) == 0
        os.unlink(path)
    b.start()
    a.host.ping_until(b.ip4(), 15)
    assert a.json("show", "drops")["missing"] == 0


def test_wg_setconf_and_syncconf(lab):
    """What wg-quick and its users do: a whole configuration at once, sessions kept."""
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    before = a.show()[b.public]
    others = [genkey()[1] for _ in range(3)]
    conf = lab.path("wg.conf")

    def write(text):
        with open(os.open(conf, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)

    original = a.host.out(["wg", "showconf", a.wg])
    write(original + "".join(f"\n[Peer]\nPublicKey = {k}\nPresharedKey = {genpsk()}\n"
                             f"AllowedIPs = 10.77.{i}.0/24, fd77:{i}::/64\n"
                             f"Endpoint = [2001:db8::99]:{1000 + i}\nPersistentKeepalive = {i + 1}\n"
                             for i, k in enumerate(others)))
    a.host.run(["wg", "syncconf", a.wg, conf])
    assert set(a.show()) == {b.public, *others}
    assert sorted(a.show()[others[1]].allowed) == ["10.77.1.0/24", "fd77:1::/64"]
    a.host.ping(b.ip4())
    assert a.show()[b.public].handshake == before.handshake
    again = a.host.out(["wg", "showconf", a.wg])
    write(again)
    a.host.run(["wg", "setconf", a.wg, conf])
    assert a.host.out(["wg", "showconf", a.wg]) == again
    assert a.show()[b.public].handshake == before.handshake, "the session survives its own configuration"
    write(original)
    a.host.run(["wg", "setconf", a.wg, conf])
    assert a.host.out(["wg", "showconf", a.wg]) == original
    a.host.ping(b.ip4())
    lines = a.host.out(["wg", "show", "all", "dump"]).splitlines()
    assert len(lines) == 2 and lines[0].split("\t")[0] == a.wg and len(lines[1].split("\t")) == 9
