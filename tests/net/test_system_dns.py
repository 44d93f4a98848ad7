# SPDX-License-Identifier: Apache-2.0
"""Whom the machine's programs ask for names while MintFlow runs, and that it is as before afterwards: whoever ends,
and in whatever way.

    a (ours; mint0 10.66.0.2/30) ── 192.0.2.0/24 ── b (the way to everywhere)

The host has an /etc and a /run of its own (lab.py).
"""
import json
import os
import shutil
import signal
import socket
import time

import pytest

from lab import HERE, PYTHON, LabError, mintflow_path, wait_for
from wgend import Mintflow

pytestmark = pytest.mark.mintflow_only

OLD = "# by hand\nsearch home.arpa\nnameserver 192.0.2.53\noptions edns0\n"
OTHER = "# by dhclient\nsearch cafe.example\nnameserver 203.0.113.53\n"


def machine(lab, addrs=("10.66.0.2/30",), text=OLD, exclude_lan=True, **dns):
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, ["192.0.2.1/24"], ["192.0.2.2/24", "192.0.2.9/24"])
    a.ip("route add default via 192.0.2.2")
    if text is not None:
        a.etc("resolv.conf", text)
    end = Mintflow(a, list(addrs), auto_route=True, exclude_lan=exclude_lan,
                   routes=[{"cidr": "0.0.0.0/0", "to": "direct"}, {"cidr": "::/0", "to": "direct"}])
    end.dns = {"direct_servers": ["192.0.2.53"], **dns}

    def tweak(profile):
        del profile["interfaces"]
        profile["dns"] = end.dns
    end.tweak = tweak
    return end


def conf(end):
    return end.host.file("/etc/resolv.conf")


def state(end):
    """All there is to know of the file, and of what stands beside it."""
    path = conf(end)
    beside = sorted(f for f in os.listdir(os.path.dirname(path)) if f.startswith("resolv.conf"))
    try:
        st = os.lstat(path)
    except FileNotFoundError:
        return None, beside
    if os.path.islink(path):
        return os.readlink(path), st.st_ino, st.st_mtime_ns, beside
    with open(path) as f:
        return f.read(), st.st_ino, st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns, beside


def servers(end):
    """Those that programs of the host would ask."""
    r = end.host.run(["cat", "/etc/resolv.conf"], check=False)
    return [line.split()[1] for line in r.stdout.splitlines() if line.startswith("nameserver")]


def keepers(end):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as f:
                if f.read().strip() == "mintflow-dns" and \
                        os.readlink(f"/proc/{pid}/ns/net") == end.host.netns:
                    found.append(int(pid))
        except OSError:
            pass
    return found


def kill_keeper(end):
    pid, = keepers(end)
    os.kill(pid, signal.SIGKILL)


def reload(end):
    end.write_profile()
    end.cli("reload")


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "absent"])
def test_set_and_put_back(lab, kind):
    end = machine(lab)
    path = conf(end)
    if kind == "file":
        os.chmod(path, 0o640)
        os.chown(path, 12345, 54321)
        os.utime(path, ns=(1_000_000_007, 2_000_000_009))
    else:
        os.unlink(path)
    if kind == "link":
        with open(end.host.file("/run/theirs.conf"), "w") as f:
            f.write(OLD)
    if kind in ("link", "dangling"):
        os.symlink("../run/theirs.conf", path)
    before = state(end)
    end.start()
    assert servers(end) == ["10.66.0.1"]      # by the time it says that it is ready
    with open(path) as f:
        text = f.read()
    assert text.startswith("# MintFlow")
    assert ("search home.arpa\n" in text and "options edns0\n" in text) == (kind in ("file", "link"))
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert len(keepers(end)) == 1
    assert end.stop() == 0
    assert state(end) == before
    assert keepers(end) == []


@pytest.mark.parametrize("kw, want", [
    ({"listen": ["10.66.0.3:53"], "addrs": ["10.66.0.1/28"]}, "10.66.0.3"),
    ({"listen": ["10.66.0.3:5353"], "addrs": ["10.66.0.1/28"]}, "10.66.0.2"),
    ({"addrs": ["10.66.0.6/31"]}, "10.66.0.7"),
    ({"addrs": ["10.66.0.2/32"]}, "198.51.100.53"),
    ({"addrs": ["fd66::1/64"]}, "fd66::2"),
    ({"addrs": ["10.66.0.2/30"], "exclude_lan": False}, "10.66.0.1"),
    ({"listen": ["127.0.0.1:53"], "hijack": False}, "127.0.0.1"),
])
def test_which_address(lab, kw, want):
    """One that the machine's routes lead into the tunnel."""
    end = machine(lab, **kw)
    end.start()
    assert servers(end) == [want]
    if want != "127.0.0.1":
        assert f"dev {end.dev} " in end.host.ip(f"route get {want}")
    assert end.stop() == 0
    assert servers(end) == ["192.0.2.53"]


@pytest.mark.parametrize("kw, why", [
    ({"system": "off"}, None),
    ({"hijack": False, "listen": ["10.66.0.1:5353"]}, "dns.listen"),
    ({"system": "resolved"}, "systemd-resolved"),
])
def test_left_alone(lab, kw, why):
    end = machine(lab, **kw)
    before = state(end)
    end.start()
    assert state(end) == before
    if why:
        assert why in end.proc.log(), end.proc.tail()
    assert end.stop() == 0
    assert state(end) == before


def test_killed(lab):
    """SIGKILL of the program: the keeper puts back, and goes."""
    end = machine(lab)
    before = state(end)
    end.start()
    assert state(end) != before
    end.kill9()
    wait_for("the old resolv.conf", lambda: state(end) == before)
    wait_for("the keeper's end", lambda: not keepers(end))
    end.start()
    assert servers(end) == ["10.66.0.1"]
    end.kill9()
    end.start()                 # at once: the keeper of before may still be at work
    assert servers(end) == ["10.66.0.1"]
    assert end.stop() == 0
    assert state(end) == before


@pytest.mark.parametrize("absent", [False, True])
def test_both_killed(lab, absent):
    """As after a loss of power: the next start repairs, also if it does not want the resolver; so does stop."""
    end = machine(lab)
    if absent:
        os.unlink(conf(end))
    before = state(end)

    def kill_both():
        end.start()
        pid, = keepers(end)
        os.kill(pid, signal.SIGSTOP)        # so that it does nothing between the two
        end.kill9()
        os.kill(pid, signal.SIGKILL)
        wait_for("the keeper's end", lambda: not keepers(end))
        assert servers(end) == ["10.66.0.1"]

    kill_both()
    end.start()
    assert servers(end) == ["10.66.0.1"]
    assert end.stop() == 0
    assert state(end) == before
    kill_both()
    assert "put /etc/resolv.conf back" in end.cli("stop").stdout
    assert state(end) == before
    kill_both()
    end.dns["system"] = "off"
    end.start()
    assert state(end) == before
    assert end.stop() == 0


def test_the_comment_says_how_to_get_it_back(lab):
    end = machine(lab)
    end.start()
    with open(conf(end)) as f:
        command = next(x.split(": ", 1)[1] for x in f if x.startswith("# Should"))
    pid, = keepers(end)
    os.kill(pid, signal.SIGSTOP)
    end.kill9()
    os.kill(pid, signal.SIGKILL)
    end.host.sh(command)
    with open(conf(end)) as f:
        assert f.read() == OLD


def test_rewritten_by_others(lab):
    """NetworkManager replaces it, a script writes in place, somebody makes a link: ours again, and theirs at the end."""
    end = machine(lab)
    end.start()

    def ours_again(word):
        wait_for("our resolv.conf", lambda: servers(end) == ["10.66.0.1"]
                 and word in open(conf(end)).read())
    end.host.etc("resolv.conf", OTHER)
    ours_again("search cafe.example")
    end.host.sh("echo search lan.example > /etc/resolv.conf; sleep 0.05; "
                "echo nameserver 203.0.113.1 >> /etc/resolv.conf")
    ours_again("search lan.example")
    end.host.sh(f"printf '{OTHER}' > /run/nm.conf; ln -s /run/nm.conf /etc/r; "
                "mv -f /etc/r /etc/resolv.conf")
    ours_again("search cafe.example")
    assert end.stop() == 0
    assert os.readlink(conf(end)) == "/run/nm.conf"
    assert "rewritten by another program" in end.proc.log()
    assert state(end)[-1] == ["resolv.conf"]


def test_two_that_fight(lab):
    """The other one wins after a few rounds, and the log says so once."""
    end = machine(lab)
    end.start()
    fighter = end.host.popen(["sh", "-c", "while :; do echo 'nameserver 203.0.113.9' > /etc/r; "
                              "mv -f /etc/r /etc/resolv.conf; sleep 0.4; done"])
    wait_for("the end of the fight", lambda: "it can have it" in end.proc.log(), 20)
    time.sleep(1)
    assert servers(end) == ["203.0.113.9"]
    fighter.stop(sig=signal.SIGKILL)
    assert end.proc.log().count("it can have it") == 1
    assert end.stop() == 0
    assert servers(end) == ["203.0.113.9"]
    assert state(end)[-1] == ["resolv.conf"]


def test_another_network(lab):
    """Its search domains are taken over: the link's target has changed, which is no change of resolv.conf."""
    end = machine(lab)
    end.host.sh(f"printf '{OLD}' > /run/nm.conf; ln -sf /run/nm.conf /etc/resolv.conf")
    end.start()
    end.host.sh(f"printf '{OTHER}' > /run/nm.conf")
    end.host.ip("route replace default via 192.0.2.9")
    wait_for("the new domains", lambda: "cafe.example" in open(conf(end)).read())
    assert servers(end) == ["10.66.0.1"]
    assert end.stop() == 0
    assert servers(end) == ["203.0.113.53"]


def test_reload(lab):
    end = machine(lab, system="off")
    before = state(end)
    end.start()
    end.dns["system"] = "auto"
    reload(end)
    wait_for("our resolv.conf", lambda: servers(end) == ["10.66.0.1"])
    end.addrs = ["10.77.0.2/30"]
    reload(end)
    wait_for("the new address", lambda: servers(end) == ["10.77.0.1"])
    end.dns["system"] = "off"
    reload(end)
    wait_for("the old resolv.conf", lambda: state(end) == before)
    end.dns["system"] = "resolv.conf"
    reload(end)
    wait_for("our resolv.conf", lambda: servers(end) == ["10.77.0.1"])
    assert end.stop() == 0
    assert state(end) == before


def test_the_keeper(lab):
    """It holds nothing of ours, hears no signal that is meant for all, and is not indispensable."""
    end = machine(lab)
    before = state(end)
    end.start()
    pid, = keepers(end)
    held = {os.readlink(f"/proc/{pid}/fd/{f}") for f in os.listdir(f"/proc/{pid}/fd")}
    assert not any("tun" in h or ".sock" in h or "yaml" in h for h in held), held
    for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT, signal.SIGQUIT):
        os.kill(pid, s)
    time.sleep(0.2)
    assert keepers(end) == [pid]
    kill_keeper(end)
    wait_for("a word about it", lambda: "mintflow-dns has gone" in end.proc.log())
    assert servers(end) == ["10.66.0.1"]
    end.host.ip("route replace default via 192.0.2.9")      # nothing to ask, no harm done
    assert end.stop() == 0
    assert state(end) == before


def test_a_second_run_leaves_it_alone(lab):
    end = machine(lab)
    end.start()
    was = state(end)
    r = end.host.run([mintflow_path(), "run", "-c", end.path], check=False, timeout=15)
    assert r.returncode == 1
    assert state(end) == was
    with open(lab.path("wrong.yaml"), "w") as f:
        f.write("version: 9\n")
    end.host.run([mintflow_path(), "run", "-c", lab.path("wrong.yaml")], check=False, timeout=15)
    assert state(end) == was
    assert end.stop() == 0
    assert servers(end) == ["192.0.2.53"]


@pytest.mark.parametrize("where", ["file", "etc"])
def test_it_cannot_be_written(lab, where):
    """Read-only: a clear word, and the tunnel runs."""
    end = machine(lab)
    what = "/etc/resolv.conf" if where == "file" else "/etc"
    end.host.sh(f"mount --bind {what} {what}; mount -o remount,ro,bind {what}")
    before = state(end)
    end.start()
    assert "Read-only file system" in end.proc.log(), end.proc.tail()
    assert end.proc.log().count("resolv.conf") == 1
    assert state(end) == before
    assert end.stop() == 0


@pytest.mark.parametrize("how", ["stop", "kill", "kill both"])
def test_a_file_that_is_a_mount(lab, how):
    """As in containers and `ip netns exec`: written in place, and as before afterwards."""
    end = machine(lab)
    end.host.sh(f"printf '{OTHER}' > /run/mine.conf; mount --bind /run/mine.conf /etc/resolv.conf")
    os.utime(conf(end), ns=(1_000_000_007, 2_000_000_009))
    before = state(end)
    end.start()
    assert servers(end) == ["10.66.0.1"]
    end.host.sh("echo nameserver 203.0.113.77 > /etc/resolv.conf")
    wait_for("our resolv.conf", lambda: servers(end) == ["10.66.0.1"])
    end.host.sh(f"printf '{OTHER}' > /etc/resolv.conf")
    os.utime(conf(end), ns=(1_000_000_007, 2_000_000_009))
    wait_for("our resolv.conf", lambda: servers(end) == ["10.66.0.1"])
    if how == "stop":
        assert end.stop() == 0
    elif how == "kill":
        end.kill9()
    else:
        pid, = keepers(end)
        os.kill(pid, signal.SIGSTOP)
        end.kill9()
        os.kill(pid, signal.SIGKILL)
        wait_for("the keeper's end", lambda: not keepers(end))
        end.cli("stop")
    wait_for("the keeper's end", lambda: not keepers(end))
    assert state(end) == before


# ---- systemd-resolved ------------------------------------------------------------------------------

STUB = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"
BUS = "unix:path=/run/dbus/system_bus_socket"
POLICY = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>{bus}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/>
<allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>
"""


class Resolved:
    """A bus of the host's own, and a made-up systemd-resolved on it."""

    def __init__(self, host):
        self.host = host
        if not shutil.which("dbus-daemon"):
            pytest.skip("dbus-daemon is not installed")
        r = host.run([PYTHON, "-c", "import dbus, gi"], check=False)
        if r.returncode:
            pytest.skip("python3-dbus or python3-gi is not installed")
        if b"libsystemd.so" not in open(mintflow_path(), "rb").read():
            pytest.skip("this mintflow was built without libsystemd")
        os.makedirs(host.file("/run/dbus"))
        config = host.lab.path("bus.conf")
        with open(config, "w") as f:
            f.write(POLICY.format(bus=BUS))
        host.popen(["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"], "bus")
        wait_for("the bus", lambda: os.path.exists(host.file("/run/dbus/system_bus_socket")))
        self.start()

    def start(self):
        self.proc = self.host.popen([PYTHON, os.path.join(HERE, "resolve1.py")], "resolve1",
                                    env={"DBUS_SYSTEM_BUS_ADDRESS": BUS})
        wait_for("the made-up systemd-resolved", lambda: ["ready"] in self.calls())

    def calls(self):
        out = []
        for line in self.proc.log().splitlines():
            try:
                out.append(json.loads(line))
            except ValueError:
                raise LabError(self.proc.log()) from None
        return out

    def setting(self):
        """{link: {method: argument}} now."""
        links = {}
        for method, *args in self.calls():
            if method.startswith("SetLink"):
                links.setdefault(args[0], {})[method] = args[1]
            elif method == "RevertLink":
                links.pop(args[0], None)
        return links


def ifindex(end):
    return int(end.host.ip(f"-o link show {end.dev}").split(":")[0])


def told(end):
    return {ifindex(end): {"SetLinkDNS": ["10.66.0.1"], "SetLinkDomains": [[".", True]],
                           "SetLinkDefaultRoute": True, "SetLinkDNSOverTLS": "no"}}


def test_resolved(lab):
    """Told about our link, and resolv.conf, which leads to it, left alone."""
    end = machine(lab, text=STUB)
    resolved = Resolved(end.host)
    before = state(end)
    end.start()
    assert resolved.setting() == told(end), resolved.calls()
    assert ["FlushCaches"] in resolved.calls()
    assert state(end) == before
    assert end.stop() == 0
    assert resolved.setting() == {}
    assert resolved.calls()[-1] == ["FlushCaches"]
    assert ["NoSuchLink"] not in [c[:1] for c in resolved.calls()]


def test_resolved_starts_again(lab):
    end = machine(lab, text=STUB)
    resolved = Resolved(end.host)
    end.start()
    resolved.proc.stop(sig=signal.SIGKILL)
    resolved.start()
    wait_for("it to be told again", lambda: resolved.setting() == told(end))
    end.kill9()
    wait_for("the keeper's end", lambda: not keepers(end))
    # The link has gone by itself; answers of ours that it still had are forgotten.
    assert resolved.calls()[-1] == ["FlushCaches"]


def test_resolved_beside_a_resolv_conf_of_its_own(lab):
    """Both ways are in use, so both lead to us; and where resolv.conf leads to systemd-resolved later, it is
    left alone again."""
    end = machine(lab)
    resolved = Resolved(end.host)
    before = state(end)
    end.start()
    assert resolved.setting() == told(end)
    assert servers(end) == ["10.66.0.1"]
    end.host.etc("resolv.conf", STUB)
    wait_for("the stub", lambda: state(end)[0] == STUB and len(state(end)[-1]) == 1)
    end.host.etc("resolv.conf", OTHER)
    wait_for("our resolv.conf", lambda: servers(end) == ["10.66.0.1"])
    assert end.stop() == 0
    assert resolved.setting() == {}
    assert servers(end) == ["203.0.113.53"]
    assert before[0] == OLD


@pytest.mark.parametrize("system", ["resolved", "resolv.conf"])
def test_one_way_only(lab, system):
    end = machine(lab, system=system)
    resolved = Resolved(end.host)
    end.start()
    assert resolved.setting() == (told(end) if system == "resolved" else {})
    assert servers(end) == (["192.0.2.53"] if system == "resolved" else ["10.66.0.1"])
    assert end.stop() == 0
    assert servers(end) == ["192.0.2.53"]
    assert resolved.setting() == {}
