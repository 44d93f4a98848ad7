# SPDX-License-Identifier: Apache-2.0
"""proxy - the benches of what goes through a proxy: the same apps, the same proxy's server, the same web
server, and between them

    app ── MintFlow: TUN ─────────────────────┐
    app ── ss-redir, behind an nft redirect ──┼── ss-server or v2ray ── iperf3: 198.18.0.1
    app ── v2ray's dokodemo-door, the same ───┤
    app ──────────────────────────────────────┘  bare: nothing in between, not even the proxy

each with a machine and a cable of its own. Both ends, and the far server, share the machine: what the far
server takes is the same for everybody, and nobody can be faster than it.
"""
import json
import shutil
import subprocess
import time

from common import LabError, all_rounds, in_turn, medians, note, result, rounded, wait_for
from direct import Asker, Web
from lab import Lab, mintflow_path
from proxynet import (NAME, PASSWORD, Proxied, UUID, ss_server, v2ray, v2ray_inbound)

# The one that costs ss-server least: libsodium has AES-256 only, and mbed TLS takes 1.5 Gbit/s of AES-128.
METHOD = "aes-256-gcm"
SECURITY = "aes-128-gcm"
TARGET_MIB = 48
# name: (unit, better, what, the ratio to the peer that is asked for)
BENCHES = {
    "ss-tcp-1": ("Gbit/s", "higher", f"one TCP stream through Shadowsocks ({METHOD})", 1.5),
    "ss-tcp-1-rev": ("Gbit/s", "higher", "one TCP stream, the other way", None),
    "ss-tcp-10": ("Gbit/s", "higher", "ten TCP streams", 1.5),
    "ss-udp": ("packets/s", "higher", "64-byte datagrams, at most 0.1 % loss", 2.0),
    "vmess-tcp-1": ("Gbit/s", "higher", "one TCP stream through VMess over TCP", 2.0),
    "vmess-tcp-1-rev": ("Gbit/s", "higher", "one TCP stream, the other way", None),
    "vmess-wss-tcp-1": ("Gbit/s", "higher", "one TCP stream through VMess over WebSocket and TLS", 2.0),
    "vmess-wss-tcp-1-rev": ("Gbit/s", "higher", "one TCP stream, the other way", None),
    "proxy-sessions": ("MiB", "lower", "memory that 5 000 idle sessions over VMess, WebSocket and TLS take",
                       None),
}
SS_PORT, VMESS_PORT, WSS_PORT, LOCAL = 8388, 10000, 10001, 1081


def version_of(package):
    r = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True)
    return r.stdout.strip() or None


def redirect(host):
    """TCP to the web goes to the local port; so does UDP, by TPROXY."""
    host.nft(f"""
table ip to_proxy {{
  chain output {{
    type nat hook output priority -100;
    ip daddr 198.18.0.0/16 meta l4proto tcp redirect to :{LOCAL}
  }}
}}""")


def tproxy(host):
    host.nft(f"""
table ip to_proxy_udp {{
  chain output {{
    type route hook output priority mangle;
    ip daddr 198.18.0.0/16 meta l4proto udp meta mark set 1
  }}
  chain prerouting {{
    type filter hook prerouting priority mangle;
    ip daddr 198.18.0.0/16 meta l4proto udp tproxy to 127.0.0.1:{LOCAL} meta mark set 1 accept
  }}
}}""")
    host.ip("rule add fwmark 1 lookup 100")
    host.ip("route add local default dev lo table 100")


def vmess_outbound(server, port, stream):
    return {"protocol": "vmess", "settings": {"vnext": [{"address": server, "port": port, "users": [
        {"id": UUID, "alterId": 0, "security": SECURITY}]}]}, "streamSettings": stream}


class Bed(Web):
    """The proxy's server, on the machine of the web server, and the ways to it."""

    def __init__(self, lab, options, kind):
        super().__init__(lab, options, 8192)
        self.kind, self.tls = kind, None
        self._far()
        self._add("mintflow", self._mintflow)
        if kind == "ss" and shutil.which("ss-redir"):
            self._add("ss-redir", self._ss_redir)
        if kind != "ss" and shutil.which("v2ray"):
            self._add("dokodemo-door", self._dokodemo)
        self._add("bare", lambda home, gateway: None)

    def _far(self):
        if self.kind == "ss":
            ss_server(self.server, METHOD)
        elif self.kind == "vmess":
            v2ray(self.server, [v2ray_inbound("vmess", VMESS_PORT)])
        else:
            from nameserver import certificate
            self.tls = certificate(self.lab, [NAME])
            v2ray(self.server, [v2ray_inbound("vmess", WSS_PORT, net="ws", path="/ray", tls=self.tls)])

    def _add(self, way, start):
        if way in self.options.without:
            return
        n = len(self.lab.hosts)
        home, gateway = self.lab.host(way), f"192.0.2.{n * 4 + 2}"
        self.lab.link(home, self.server, [f"192.0.2.{n * 4 + 1}/30"], [gateway + "/30"], a_dev="eth0")
        home.ip(f"route add default via {gateway}")
        home.sysctl("net.ipv4.ip_local_port_range", "10000 65000")
        try:
            proc = start(home, gateway)
        except LabError as e:
            note(f"{way}: not measured: {e}")
            return
        self.app[way] = home
        if proc:
            self.proc[way] = proc

    def interface(self, gateway):
        if self.kind == "ss":
            return {"name": "px", "type": "shadowsocks", "server": f"{gateway}:{SS_PORT}",
                    "method": METHOD, "password": PASSWORD}
        i = {"name": "px", "type": "vmess", "uuid": UUID, "security": SECURITY}
        if self.kind == "vmess":
            return i | {"server": f"{gateway}:{VMESS_PORT}"}
        return i | {"server": f"{gateway}:{WSS_PORT}", "websocket": {"path": "/ray"},
                    "tls": {"server_name": NAME, "ca_file": self.tls[2]}}

    def _mintflow(self, home, gateway):
        mintflow_path()
        end = Proxied(home, [self.interface(gateway)], tweak=self.options.tweak,
                      routes=[{"cidr": "0.0.0.0/0", "to": "px"}],
                      sections={"sessions": {"per_source": 1 << 20}})
        return end.start().proc

    def _ss_redir(self, home, gateway):
        proc = home.popen(["ss-redir", "-s", gateway, "-p", SS_PORT, "-l", LOCAL, "-b", "0.0.0.0", "-k",
                           PASSWORD, "-m", METHOD, "-t", "600", "-u"], "ss-redir")
        wait_for("ss-redir", lambda: home.listening(LOCAL))
        redirect(home)
        tproxy(home)
        return proc

    def _dokodemo(self, home, gateway):
        stream = {"network": "tcp"}
        port = VMESS_PORT
        if self.kind == "wss":
            port = WSS_PORT
            stream = {"network": "ws", "security": "tls", "wsSettings": {"path": "/ray"},
                      "tlsSettings": {"serverName": NAME, "allowInsecure": True}}
        inbound = {"port": LOCAL, "listen": "0.0.0.0", "protocol": "dokodemo-door",
                   "settings": {"network": "tcp", "followRedirect": True}}
        proc = v2ray(home, [inbound], [vmess_outbound(gateway, port, stream)], label="dokodemo")
        redirect(home)
        return proc


MEASURE = {"ss-tcp-1": ("ss", Bed.tcp1), "ss-tcp-1-rev": ("ss", Bed.tcp1_rev),
           "ss-tcp-10": ("ss", Bed.tcp10), "ss-udp": ("ss", Bed.udp_64),
           "vmess-tcp-1": ("vmess", Bed.tcp1), "vmess-tcp-1-rev": ("vmess", Bed.tcp1_rev),
           "vmess-wss-tcp-1": ("wss", Bed.tcp1), "vmess-wss-tcp-1-rev": ("wss", Bed.tcp1_rev)}


def way_bench(bed, name):
    """Everybody in turn, and the median."""
    spec, (kind, measure) = BENCHES[name], MEASURE[name]
    peer = "ss-redir" if kind == "ss" else "dokodemo-door"
    cpu = {}

    def one(way):
        before = bed.proc[way].cpu_seconds() if way in bed.proc else 0
        got = measure(bed, way)
        if way in bed.proc:
            cpu.setdefault(way, []).append(bed.proc[way].cpu_seconds() - before)
        return got
    values = in_turn(name, spec[0], bed.options.rounds, bed.app, one)
    middle = medians(values)
    return result(spec, name, middle.get("mintflow"), peer,
                  version_of("shadowsocks-libev" if kind == "ss" else "v2ray"), middle.get(peer),
                  bare=middle.get("bare"), rounds=bed.options.rounds, all=all_rounds(values),
                  cpu_seconds=medians(cpu))


def openssl_mib(bed):
    """What OpenSSL itself has allocated, as `mintflow status` says; None: it does not."""
    out = bed.app["mintflow"].out([mintflow_path(), "status", "--json"])
    got = json.loads(out)["memory_openssl"]
    return got / (1 << 20) if got else None


def sessions_bench(name, options):
    """Memory before, and with all sessions open and idle; v2ray's dokodemo-door beside it."""
    spec, count, got = BENCHES[name], 5000, {}
    with Lab(name) as lab:
        bed = Bed(lab, options, "wss")
        bed.serve()
        for way in [w for w in bed.app if w in bed.proc]:
            before = bed.proc[way].rss_kib() / 1024
            asker = Asker(bed, way, count, 60, 60)
            try:
                opened = asker.phase()
                time.sleep(2)
                idle = bed.proc[way].rss_kib() / 1024
                got[way] = {"before": rounded(before), "idle": rounded(idle), "open": opened["count"],
                            "value": idle - before}
                if way == "mintflow":
                    got[way]["openssl"] = rounded(openssl_mib(bed))
            except LabError as e:
                note(f"{name}: {way}: {e}")
            finally:
                asker.close()
            note(f"{name}: {way} {json.dumps(got.get(way))}")
    ours, peer = (got.get(w, {}).get("value") for w in ("mintflow", "dokodemo-door"))
    return result(spec, name, rounded(ours), "dokodemo-door", version_of("v2ray"), rounded(peer), rounds=1,
                  sessions=count, target_value=TARGET_MIB, details=got)


def run(name, options, state):
    """One bench. `state` keeps the laboratories, one for each kind of proxy; close() it at the end."""
    if name not in MEASURE:
        return sessions_bench(name, options)
    kind = MEASURE[name][0]
    if kind not in state:
        lab = Lab("proxy-" + kind).__enter__()
        state[kind] = lab, Bed(lab, options, kind)
    return way_bench(state[kind][1], name)


def close(state):
    for lab, _ in state.values():
        lab.__exit__(None, None, None)


def text_extra(r):
    """What a line of the table says beside value, peer and ratio."""
    def show(v):
        return "-" if v is None else f"{v:g}"
    if r["bench"] == "proxy-sessions":
        d = r["details"].get("mintflow", {})
        return (f" (asked: at most {r['target_value']} MiB); {show(d.get('open'))} open, OpenSSL's own: "
                f"{show(d.get('openssl'))} MiB")
    return f"; bare {show(r['bare'])}"
