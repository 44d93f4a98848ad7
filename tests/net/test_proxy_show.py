# SPDX-License-Identifier: Apache-2.0
"""What MintFlow says of proxies: `test`, `show interfaces`, `why`, `status`, with servers of Debian that
work, that are asked wrongly, and that are not there. The laboratory is that of proxynet.py.
"""
import json
import subprocess

import pytest

from directnet import WEB4
from lab import mintflow_path, wait_for
from nameserver import certificate
from proxynet import (NAME, PASSWORD, PX4, SS_METHODS, UUID, ProxyNet, microsocks, nginx, ss_server, v2ray,
                      v2ray_inbound)
from test_proxy_via import FAR4, Chained
from wgend import Plain

pytestmark = pytest.mark.mintflow_only
SITE = "www.films.example"
NOBODY = "203.0.113.99"
PAGE = f"http://{WEB4}/whoami"


def hk(name="hk", **kw):
    return {"name": name, "type": "shadowsocks", "server": PX4 + ":8388", "method": SS_METHODS[0],
            "password": PASSWORD, "first_byte_timeout": Plain("1s"), "connect_timeout": Plain("1s"), **kw}


def ray(ca, name="ray", path="/ray", server_name=NAME, **kw):
    return {"name": name, "type": "vmess", "server": PX4 + ":443", "uuid": UUID,
            "tls": {"server_name": server_name, "ca_file": ca}, "websocket": {"path": path}, **kw}


def socks(name="socks", **kw):
    return {"name": name, "type": "socks5", "server": PX4 + ":1080", **kw}


class Show(ProxyNet):
    """Shadowsocks, VMess over WebSocket and TLS behind nginx, SOCKS5, all on px; nothing is routed to them
    unless `routes` says so. `more`: a function of the certificate's authority that makes other interfaces."""

    def __init__(self, lab, more=lambda ca: [], **kw):
        super().__init__(lab)
        self.ca = self.certificate()[2]
        ss_server(self.px)
        v2ray(self.px, [v2ray_inbound("vmess", 10000, net="ws", path="/ray")])
        nginx(self.px, self.certificate())
        microsocks(self.px)
        kw.setdefault("routes", [{"cidr": "0.0.0.0/0", "to": "direct"}, {"cidr": "::/0", "to": "direct"}])
        self.run(hk(), ray(self.ca), socks(), *more(self.ca), **kw)

    def test(self, interface, url=PAGE, ok=True):
        """What `mintflow test --json` says, and that it ends with the right status."""
        r = self.end.cli("test", interface, url, "--json", check=False)
        assert r.returncode == (0 if ok else 1), r.stdout + r.stderr
        found = json.loads(r.stdout)
        assert found["ok"] == ok and found["interface"] == interface
        assert bool(r.stderr) != ok
        found["said"] = r.stderr
        return found


def stages(found):
    return [s["stage"] for s in found["stages"]]


def expect_failure(found, stage, fault):
    assert (found["failed"], found["fault"]) == (stage, fault), found
    assert stages(found)[-1] == stage and [s["failed"] for s in found["stages"]].count(True) == 1
    assert found["said"].startswith(f"mintflow: {found['interface']}: {stage}: {found['why']}")
    if fault:
        assert found["hint"] in found["said"]


# ---- test ------------------------------------------------------------------------------------------------


def test_what_works(lab):
    """Whatever the routes say; the stages are those of the interface, and make up the whole."""
    it = Show(lab)
    want = {"hk": ["connect", "first byte", "download"],
            "ray": ["connect", "tls", "websocket", "first byte", "download"],
            "socks": ["connect", "answer", "first byte", "download"],
            "direct": ["connect", "first byte", "download"]}
    for name, names in want.items():
        found = it.test(name)
        assert stages(found) == names and found["status"] == 200
        assert all(s["time"] > 0 for s in found["stages"])
        spent = sum(s["time"] for s in found["stages"])
        assert spent <= found["total"] + 1e-6
        assert found["address"] == {"hk": PX4 + ":8388", "ray": PX4 + ":443", "socks": PX4 + ":1080",
                                    "direct": WEB4 + ":80"}[name]
    assert it.test("hk", f"http://{WEB4}/nothing-here")["status"] == 404


def test_throughput(lab):
    it = Show(lab)
    found = it.test("ray", f"http://{WEB4}/bytes/{20 << 20}")
    assert found["bytes"] == 20 << 20 and not found["cut"]
    download = found["stages"][-1]
    assert download["stage"] == "download"
    assert found["rate"] == pytest.approx(found["bytes"] / download["time"], rel=0.01)


def test_what_is_wrong_is_named(lab):
    """Each with its stage and its fault; and the interface's state is the same."""
    it = Show(lab, lambda ca: [
        hk("password", password="another"),
        ray(ca, "path", path="/wrong"),
        ray(ca, "name", server_name="other.example"),
        hk("dead", server=PX4 + ":9"),
        hk("nobody", server=NOBODY + ":8388"),
        socks("type", server=PX4 + ":443", connect_timeout=Plain("1s"), first_byte_timeout=Plain("1s"))])
    want = {"password": ("first byte", ("silent", "closed")),
            "path": ("websocket", ("http_status",)),
            "name": ("tls", ("certificate",)),
            "dead": ("connect", ("refused",)),
            "nobody": ("connect", ("timed_out", "unreachable")),
            "type": ("answer", ("protocol", "closed", "not_proxy"))}
    for name, (stage, faults) in want.items():
        found = it.test(name, ok=False)
        assert found["fault"] in faults, found
        expect_failure(found, stage, found["fault"])
        seen = it.end.interface(name)
        assert (seen["state"], seen["up"], seen["fault"]) == ("failing", False, found["fault"])
        assert seen["fault_hint"] == found["hint"] and seen["fault_text"] == found["why"]
    assert "other.example" in it.end.interface("name")["fault_detail"]
    status = it.end.cli("status").stdout
    assert "look at `websocket.path`, `websocket.host` and `tls`" in status
    assert PASSWORD not in status and UUID not in status


def test_a_target_that_is_not_there(lab):
    """That is no fault of a proxy that has worked before."""
    it = Show(lab)
    expect_failure(it.test("direct", f"http://{WEB4}:9/", ok=False), "connect", None)
    it.test("hk")
    expect_failure(it.test("hk", f"http://{WEB4}:9/", ok=False), "first byte", None)
    found = it.test("socks", f"http://{WEB4}:9/", ok=False)
    assert (found["failed"], found["fault"]) == ("answer", "target_refused")
    for name in ("hk", "socks"):
        assert it.end.interface(name)["state"] == "up"


def test_names_go_to_the_proxy(lab):
    """At home nobody can resolve them."""
    it = Show(lab)
    it.px.etc("hosts", f"127.0.0.1 localhost\n{WEB4} {SITE}\n")
    for name in ("ray", "socks"):
        assert it.test(name, f"http://{SITE}/whoami")["status"] == 200
    found = it.test("direct", f"http://{SITE}/whoami", ok=False)
    assert found["failed"] == "resolve" and stages(found) == ["resolve"]
    it.home.etc("hosts", f"127.0.0.1 localhost\n{WEB4} {SITE}\n")
    found = it.test("direct", f"http://{SITE}/whoami")
    assert stages(found) == ["resolve", "connect", "first byte", "download"]


def test_https(lab):
    """The certificate of the URL's server is looked at, end to end."""
    dns = {"vpn_servers": [WEB4], "direct_servers": [WEB4], "system": "off"}
    tls = certificate(lab, [WEB4])
    it = Show(lab, sections={"dns": {**dns, "ca_file": tls[2]}})
    it.net.http_server(443, tls=tls[:2])
    for name in ("hk", "ray", "direct"):
        found = it.test(name, f"https://{WEB4}/whoami")
        assert found["status"] == 200 and stages(found)[-3:] == ["target tls", "first byte", "download"]
    it.net.http_server(444, tls=certificate(lab, ["other.example"])[:2])
    for name in ("hk", "direct"):
        found = it.test(name, f"https://{WEB4}:444/", ok=False)
        assert found["failed"] == "target tls" and not found["fault"] and "certificate" in found["why"]
    assert it.end.interface("hk")["state"] == "up"


def test_wireguard_and_what_is_behind_it(lab):
    """A tunnel, a proxy inside it, and a proxy behind that one."""
    it = Chained(lab, wireguard=True)
    ss_server(it.px)
    microsocks(it.far)
    end = it.run(it.wg_interface(), hk("inside", via="wg"),
                 socks("behind", server=FAR4 + ":1080", via="inside"),
                 routes=[{"cidr": "0.0.0.0/0", "to": "direct"}, {"cidr": "::/0", "to": "direct"}])
    want = {"wg": ["connect"], "inside": ["connect"], "behind": ["connect", "answer"]}
    for name, names in want.items():
        found = end.json("test", name, PAGE)
        assert found["ok"] and found["status"] == 200
        assert stages(found) == names + ["first byte", "download"]
    assert end.interface("behind")["via"] == "inside" and end.interface("inside")["via"] == "wg"


def test_wrong_usage(lab):
    it = Show(lab)
    for args, said in ((("nix", PAGE), "no interface nix"), (("drop", PAGE), "no interface drop"),
                       (("hk", "gopher://x/"), "no URL"), (("hk", "x" * 3000), "URL")):
        r = it.end.cli("test", *args, check=False)
        assert r.returncode == 1 and said in r.stderr
    assert it.end.cli("test", check=False).returncode == 2


def test_who_leaves_ends_it(lab):
    """One at a time; and who has interrupted one need not wait for its end."""
    it = Show(lab, lambda ca: [hk("mute", password="another", first_byte_timeout=Plain("1h"))])
    argv = it.home.enter([mintflow_path(), "test", "mute", PAGE])
    first = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for("a connection", lambda: it.end.interface("mute")["connected"] == 1)
    r = it.end.cli("test", "hk", PAGE, check=False)
    assert r.returncode == 1 and "another test is running" in r.stderr
    first.kill()
    first.wait()
    wait_for("the next test", lambda: it.end.cli("test", "hk", PAGE, check=False).returncode == 0)
    assert not it.end.interface("mute")["sessions"]


# ---- show, why -------------------------------------------------------------------------------------------


def test_show_interfaces(lab):
    it = Show(lab, routes=[{"cidr": "198.18.1.0/24", "to": "ray"}, {"cidr": "0.0.0.0/0", "to": "direct"},
                           {"cidr": "::/0", "to": "direct"}])
    before = it.end.interface("ray")
    assert before["state"] == "untried" and before["last_ok_age"] is None
    assert (before["type"], before["server"], before["transport"], before["via"], before["udp"]) == \
        ("vmess", PX4 + ":443", "websocket+tls", "direct", "proxy")
    assert it.whoami("198.18.1.1") == PX4
    seen = it.end.interface("ray")
    assert seen["state"] == "up" and seen["last_ok_age"] >= 0 and seen["fault"] is None
    assert seen["opened"] == 1 and seen["rx_bytes"] > 0 and seen["tx_bytes"] > 0
    for key in ("connect_time", "tls_time", "transport_time", "first_byte_time"):
        assert seen[key] > 0
    assert it.end.interface("hk")["state"] == "untried"
    text = it.end.cli("show", "interfaces").stdout
    assert "Proxies" in text and "websocket+tls" in text
    assert PASSWORD not in text and UUID not in text


def test_a_fault_that_is_over(lab):
    """The server comes late: what was wrong is remembered, and the state is up."""
    it = Show(lab, lambda ca: [hk("late", server=PX4 + ":8399")])
    assert it.test("late", ok=False)["fault"] == "refused"
    ss_server(it.px, port=8399)
    it.test("late")
    seen = it.end.interface("late")
    assert (seen["state"], seen["fault"]) == ("up", "refused") and seen["fault_age"] > seen["last_ok_age"]


def test_why(lab):
    it = Show(lab, lambda ca: [ray(ca, "path", path="/wrong", udp="reject")],
              routes=[{"cidr": "198.18.1.0/24", "to": "path"}, {"cidr": "0.0.0.0/0", "to": "direct"},
                      {"cidr": "::/0", "to": "direct"}])
    said = it.end.json("why", "198.18.1.1")
    assert said["verdict"] == "sent" and said["interface"] == "path" and said["proxy_state"] == "untried"
    assert said["text"] == f"sent as a session through path (vmess, websocket+tls) to {PX4}:443, via direct"
    assert said["udp"].startswith("rejected")
    it.test("path", ok=False)
    said = it.end.json("why", "198.18.1.1")
    assert (said["proxy_state"], said["proxy_fault"]) == ("failing", "http_status")
    assert "look at `websocket.path`" in it.end.cli("why", "198.18.1.1").stdout
