# SPDX-License-Identifier: Apache-2.0
"""What `mintflow run` does around the engine: signals, reloads, routes that others disturb, names.

    a (ours) ── 192.0.2.0/24 ── b (wireguard-go; 198.18.0.1, 10.99.0.1 behind the tunnel)
"""
import os
import signal
import socket
import time

import pytest

from lab import mintflow_path, wait_for
from test_program import auto_pair, net_state
from wgend import pair

pytestmark = pytest.mark.mintflow_only


def wakeups(pid):
    """{thread: times it went to sleep by itself}"""
    out = {}
    for t in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{t}/status") as f:
            out[t] = next(int(x.split()[1]) for x in f if x.startswith("voluntary_ctxt"))
    return out


def test_an_idle_tunnel_wakes_nobody(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    time.sleep(12)              # the last keepalive and what belongs to it
    before, cpu = wakeups(a.proc.pid), a.proc.cpu_seconds()
    time.sleep(5)
    assert wakeups(a.proc.pid) == before
    assert a.proc.cpu_seconds() == cpu
    a.host.ping(b.ip4(), 3, interval=0.1)


def test_one_packet_one_wakeup(lab):
    """20 requests and their answers on an idle machine: each wakes a worker once."""
    def one_worker(profile):
        profile["limits"] = {"workers": 1}
    a, b = pair(lab, "mintflow", "wireguard-go", a_kw={"tweak": one_worker})
    a.host.ping_until(b.ip4(), 10)
    time.sleep(1)
    before = wakeups(a.proc.pid)
    a.host.ping(b.ip4(), 20, interval=0.05)
    woken = sum(n - before[t] for t, n in wakeups(a.proc.pid).items())
    assert 20 <= woken <= 60, f"{woken} wake-ups for 40 packets"


def test_the_watchdog_is_fed(lab):
    a, b = pair(lab, "mintflow", "wireguard-go", start=False)
    a.write_profile()
    name = lab.path("watchdog")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(name)
    notify.settimeout(10)
    a.proc = a.host.popen([mintflow_path(), "run", "-c", a.path], "mintflow",
                          env={"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "200000"})
    said = b""
    while said.count(b"WATCHDOG=1") < 3:
        said += notify.recv(4096) + b"\n"
    assert b"READY=1" in said
    assert a.stop() == 0


def reload(a):
    """SIGHUP, and wait until the program says that it has dealt with it."""
    n = a.proc.log().count("reload")
    os.kill(a.proc.pid, signal.SIGHUP)
    wait_for("the reload", lambda: a.proc.log().count("reload") > n)
    time.sleep(0.1)


def test_reload_refuses_as_a_whole(lab):
    """A wrong profile, and one that needs a restart, change nothing and say so."""
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    good = open(a.path).read()
    for text, word in ((good.replace("version: 1", "version: 9"), "version"),
                       (good.replace('name: "mint0"', 'name: "mint7"'), "tunnel.name"),
                       (good + "limits: { memory: 64MiB }\n", "limits.memory")):
        assert text != good
        with open(a.path, "w") as f:
            f.write(text)
        pinger = a.host.pinger(b.ip4())
        r = a.cli("reload", check=False)
        assert r.returncode == 1 and word in r.stderr + r.stdout, r.stderr + r.stdout
        reload(a)
        sent, answered, _ = pinger.stop()
        assert answered == sent
        assert a.proc.alive() and word in a.proc.log()
    with open(a.path, "w") as f:
        f.write(good)
    assert a.cli("reload").returncode == 0
    a.host.ping(b.ip4(), 2, interval=0.1)


def test_reload_changes_addresses_and_mtu_in_place(lab):
    a, b = pair(lab, "mintflow", "wireguard-go")
    a.host.ping_until(b.ip4(), 10)
    handshake = a.show()[b.public].handshake
    a.addrs.append("10.77.0.1/32")
    a.mtu = 1400
    a.write_profile()
    reload(a)
    assert "10.77.0.1/32" in a.host.ip(f"-o addr show dev {a.dev}")
    assert "mtu 1400" in a.host.ip(f"link show {a.dev}")
    a.addrs.pop()
    a.write_profile()
    reload(a)
    assert "10.77.0.1/32" not in a.host.ip(f"-o addr show dev {a.dev}")
    a.host.ping(b.ip4(), 2, interval=0.1)
    assert a.show()[b.public].handshake == handshake, "the session was lost"


def test_reload_switches_auto_route(lab):
    a, b = auto_pair(lab)
    a.auto_route = False
    before = net_state(a.host)
    a.start()
    without = a.host.ip("rule")
    a.auto_route = True
    a.write_profile()
    reload(a)
    assert a.host.ip("rule") != without
    a.host.ping_until("198.18.0.1", 10)
    a.auto_route = False
    a.write_profile()
    reload(a)
    assert a.host.ip("rule") == without
    assert a.stop() == 0
    assert net_state(a.host) == before


def test_routes_come_back_after_down_and_up(lab):
    a, b = auto_pair(lab)
    a.start()
    a.host.ping_until("198.18.0.1", 10)
    a.host.ip(f"link set {a.dev} down")
    time.sleep(0.3)
    a.host.ip(f"link set {a.dev} up")
    a.host.ping_until("198.18.0.1", 5)


def test_a_rule_that_somebody_removes_comes_back(lab):
    a, b = auto_pair(lab)
    a.start()
    a.host.ping_until("198.18.0.1", 10)
    rules = a.host.ip("-4 rule")
    a.host.ip("-4 rule del pref 19785")
    wait_for("the rule", lambda: a.host.ip("-4 rule") == rules, 5)
    a.host.ping("198.18.0.1", 2, interval=0.1)


def test_fwmark_by_wg_set_does_not_go_in_circles(lab):
    a, b = auto_pair(lab)
    a.start()
    a.host.ping_until("198.18.0.1", 10)
    a.set("fwmark", "0x77")
    a.host.ping_until("198.18.0.1", 5)
    a.set("fwmark", "0")
    a.host.ping("198.18.0.1", 2, interval=0.1)


def test_a_private_range_with_the_endpoint_in_it(lab):
    """exclude_lan, but the profile routes a part of the LAN: it goes in, our datagrams do not."""
    a, b = auto_pair(lab)
    a.exclude_lan = True
    a.routes = [{"cidr": "0.0.0.0/0", "to": "wg0"}, {"cidr": "::/0", "to": "wg0"},
                {"cidr": "10.99.0.0/16", "to": "wg0"}]
    b.host.add_addr("lo", "10.99.0.1/32", "10.98.0.1/32")
    a.host.ip("route add 10.98.0.0/16 via 192.0.2.2")
    a.start()
    a.host.ping_until("198.18.0.1", 10)
    cap = b.host.capture("wg0", "icmp")
    a.host.ping("10.99.0.1", 2, interval=0.1)
    assert len(cap.packets()) >= 2, "10.99.0.1 was reached past the tunnel"
    cap = b.host.capture("wg0", "icmp")
    a.host.ping("10.98.0.1", 2, interval=0.1)
    assert len(cap.packets()) == 0, "10.98.0.1 is in the LAN and went into the tunnel"


def test_sockets_left_behind(lab):
    """Of a killed program: replaced. Of a living one: respected."""
    h = lab.host("h")
    a, b = pair(lab, "mintflow", "wireguard-go", start=False)
    b.start()
    for path in (f"/run/mintflow/{a.dev}.sock", f"/run/wireguard/{a.wg}.sock"):
        s = socket.socket(socket.AF_UNIX)
        s.bind(a.host.file(path))
        s.close()
    a.start()
    a.host.ping_until(b.ip4(), 10)
    assert b.public in a.show()
    mode = os.stat(a.host.file(f"/run/mintflow/{a.dev}.sock")).st_mode
    assert mode & 0o777 == 0o600
    del h


def test_log_lines_are_json_and_kept(lab):
    import json
    a, b = pair(lab, "mintflow", "wireguard-go", start=False)
    a.write_profile()
    proc = a.host.popen([mintflow_path(), "run", "-c", a.path, "--log-json"], "mintflow")
    wait_for("the tunnel", lambda: os.path.exists(a.host.file(f"/run/wireguard/{a.wg}.sock")))
    wait_for("a line", lambda: "is up" in proc.log())
    for line in proc.log().splitlines():
        entry = json.loads(line)
        assert entry["time"].endswith("Z") and entry["level"] and entry["message"]
    shown = a.host.out([mintflow_path(), "show", "log"])
    assert "is up" in shown
    assert proc.stop() == 0


@pytest.mark.parametrize("args", [[], ["-c"], ["-c", "x", "--workers", "0"], ["-c", "x", "y"],
                                  ["-c", "x", "--log-level", "loud"], ["--nonsense"]])
def test_wrong_usage(lab, args):
    h = lab.host("h")
    r = h.run([mintflow_path(), "run", *args], check=False)
    assert r.returncode == 2 and r.stderr.strip()


def test_automatic_mtu_follows_the_path(lab):
    """No MTU in the profile: what fits the way to the endpoint, also when that changes."""
    def no_mtu(profile):
        del profile["tunnel"]["mtu"]
        del profile["interfaces"][0]["mtu"]
    a, b = pair(lab, "mintflow", "wireguard-go", mtu=1300, a_kw={"tweak": no_mtu})
    a.host.ping_until(b.ip4(), 10)
    outer = a.host.out(["ip", "-o", "route", "get", "192.0.2.2"]).split(" dev ")[1].split()[0]
    assert "mtu 1440" in a.host.ip(f"link show {a.dev}")
    a.host.ip(f"link set {outer} mtu 1400")
    a.host.ip(f"link set {outer} down")
    a.host.ip(f"link set {outer} up")
    wait_for("the MTU", lambda: "mtu 1340" in a.host.ip(f"link show {a.dev}"), 5)
    a.host.ping_until(b.ip4(), 10)


def test_names_are_resolved_before_the_routes_lead_into_the_tunnel(lab):
    """auto_route, an endpoint by name, and a name server that is only reached past the tunnel."""
    a, b = auto_pair(lab)
    server = ("import socket\n"
              "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind(('198.51.100.53',53))\n"
              "while True:\n"
              "  q,peer=s.recvfrom(512); end=q.index(b'\\0',12)+5\n"
              "  is_a=q[end-4:end-2]==b'\\0\\1'\n"
              "  r=q[:2]+b'\\x81\\x80\\0\\1\\0'+(b'\\1' if is_a else b'\\0')+bytes(4)+q[12:end]\n"
              "  if is_a: r+=b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0<\\0\\4'+bytes([192,0,2,2])\n"
              "  s.sendto(r,peer)\n")
    b.host.add_addr("lo", "198.51.100.53/32")
    b.host.popen(["/usr/bin/python3", "-c", server], "dns")
    wait_for("the name server", lambda: b.host.listening(53, "udp"))
    a.host.etc("resolv.conf", "nameserver 198.51.100.53\n")
    a.peers[0].endpoint = f"vpn.example.net:{b.listen_port()}"
    a.start()
    a.host.ping_until("198.18.0.1", 10)
