# SPDX-License-Identifier: Apache-2.0
"""proxynet - a home, a proxy's server somewhere else, and the internet behind both.

    app = home ── 192.0.2.0/24, 2001:db8:2::/64 ── isp ── 198.51.100.0/24, 2001:db8:5::/64 ── net
                                                    │
                                                    └── 203.0.113.0/24, 2001:db8:7::/64 ── px

    home  MintFlow runs here
    px    the proxies' servers run here, on 203.0.113.7 and 2001:db8:7::7: programs that we did not write
    net   the web: answers on every address of 198.18.0.0/16 and 2001:db8:99::/64

Who asks net through a proxy is seen there as px, who asks directly as home. Each server below is started on
px (or on any other host), waited for, and returned as the Proc that it is.
"""
import hashlib
import json
import os
import time

from directnet import EVERYWHERE, Internet, WEB4, WEB6
from lab import LabError, hostport, wait_for
from nameserver import certificate
from wgend import Mintflow

PX4, PX6 = "203.0.113.7", "2001:db8:7::7"       # as the internet sees what comes through a proxy
NAME = "px.example.net"                         # in the certificate of its TLS servers
UUID = "6f1d7a3e-5c0b-4d29-8a47-2b9e0c6d1f35"
PASSWORD = "it is not this one"
TUN4, TUN6 = "10.66.0.2", "fd66::2"
SS_METHODS = ["aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305"]


class Proxied(Mintflow):
    """MintFlow with these interfaces (profile sections, a list); everything goes to the first of them,
    unless `routes` says otherwise."""

    def __init__(self, host, interfaces, *, routes=None, sections=None, mtu=1500, auto_route=True, **kw):
        to = interfaces[0]["name"]
        super().__init__(host, (TUN4 + "/24", TUN6 + "/64"), mtu=mtu, auto_route=auto_route,
                         routes=routes or [{"cidr": "0.0.0.0/0", "to": to}, {"cidr": "::/0", "to": to}],
                         **kw)
        self.interfaces, self.sections = interfaces, sections or {}

    def profile(self):
        d = {"version": 1,
             "tunnel": {"name": self.dev, "address": self.addrs, "mtu": self.mtu,
                        "auto_route": self.auto_route, "exclude_lan": self.exclude_lan},
             "interfaces": self.interfaces,
             "app_routing": {"enabled": True, "routes": self.routes}}
        d.update({k: v for k, v in self.sections.items() if v})
        if self.tweak:
            self.tweak(d)
        return d

    def interface(self, name=None):
        """What `show interfaces` says of one; the first if it is not named."""
        name = name or self.interfaces[0]["name"]
        return next(i for i in self.json("show", "interfaces")["interfaces"] if i["name"] == name)

    def sessions(self):
        return self.json("show", "sessions")["sessions"]

    def faults(self, name=None):
        """What the log says against a proxy, the first if it is not named; one line each."""
        name = name or self.interfaces[0]["name"]
        return [x.split(f"warning: {name}: ")[1] for x in self.proc.log().splitlines()
                if f"warning: {name}: " in x]

    def reload(self):
        self.write_profile()
        return self.cli("reload")


class ProxyNet(Internet):
    """The laboratory without MintFlow; `run` starts it."""

    def __init__(self, lab, *, link_mtu=1500, web=True):
        super().__init__(lab, ours="kernel", link_mtu=link_mtu)
        self.px = lab.host("px")
        lab.link(self.px, self.isp, [PX4 + "/24", PX6 + "/64"], ["203.0.113.1/24", "2001:db8:7::1/64"],
                 mtu=link_mtu)
        self.px.ip("route add default via 203.0.113.1")
        self.px.ip("-6 route add default via 2001:db8:7::1")
        if web:
            self.net.http_server(80)
        self.tls = None

    def make(self, *interfaces, **kw):
        """MintFlow at home with these interfaces, not started; stays in self.end."""
        self.end = Proxied(self.home, list(interfaces), **kw)
        self.dev = self.end.dev
        return self.end

    def run(self, *interfaces, **kw):
        """The same, started."""
        return self.make(*interfaces, **kw).start()

    def certificate(self):
        """(certificate, key, CA) of px, the same each time."""
        if not self.tls:
            self.tls = certificate(self.lab, [NAME, PX4, PX6])
        return self.tls

    def run_named(self, *interfaces, **kw):
        """As run; but only names below px.example go to the first interface, by the set "px"."""
        sections = {"domain_sets": {"px": {"domains": ["px.example"]}},
                    "dns": {"vpn_servers": ["198.18.0.53"], "direct_servers": ["198.18.0.54"], "system": "off"}}
        return self.run(*interfaces, sections={**sections, **kw.pop("sections", {})}, routes=[
            {"domain_set": "px", "to": interfaces[0]["name"]}, *EVERYWHERE], **kw)

    def page(self, name, at, *options, port=80):
        """What the web says to an app that has found this address for the name by itself."""
        at = f"[{at}]" if ":" in at else at
        return json.loads(self.home.out(["curl", "-gsSf", "-m", "10", "--resolve", f"{name}:{port}:{at}", *options,
                                         f"http://{name}:{port}/whoami"]))

    def up_and_down(self, address, size):
        """A file goes to the web, and comes back; both sums must agree. For proxies that cannot end one direction
        of a connection alone, or do both at once."""
        where = self.lab.path(f"files-{self.lab.serial()}")
        os.mkdir(where)
        path = os.path.join(where, "file")
        with open(path, "wb") as f:
            f.write(os.urandom(size))
        server = self.net.http_server(8000, where)
        url = f"http://{hostport(address, 8000)}/file"
        said = json.loads(self.home.out(["curl", "-gsSf", "-T", path, url], timeout=240))
        self.home.out(["curl", "-gsSf", "-o", path + ".came", url], timeout=240)
        server.stop()
        assert [said["sha256"]] * 2 == [_sum(path), _sum(path + ".came")]

    def whoami(self, address=WEB4, *options, timeout=10):
        """Whom the web sees when home asks for a page."""
        host = f"[{address}]" if ":" in address else address
        return json.loads(self.home.out(["curl", "-gsSf", "-m", timeout, *options,
                                         f"http://{host}/whoami"]))["client"]


def _sum(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


# ---- Servers ---------------------------------------------------------------------------------------

def _listening(host, proc, port, proto="tcp"):
    def ready():
        if not proc.alive():
            raise LabError(f"{proc.label} ended at once:\n" + proc.tail())
        return host.listening(port, proto)
    wait_for(f"{proc.label} at port {port}", ready)
    return proc


def _write(host, name, text):
    path = host.lab.path(f"{host.name}-{host.lab.serial()}-{name}")
    with open(path, "w") as f:
        f.write(text)
    os.chmod(path, 0o644)
    return path


def ss_server(host, method=SS_METHODS[0], password=PASSWORD, *, port=8388, plugin=None, plugin_opts=None):
    """ss-server of shadowsocks-libev, TCP and UDP. `plugin`: "obfs-server" or "ss-v2ray-plugin"."""
    argv = ["ss-server", "-s", "::0", "-s", "0.0.0.0", "-p", port, "-m", method, "-k", password, "-t", "600"]
    argv += ["--plugin", plugin, "--plugin-opts", plugin_opts] if plugin else ["-u"]
    return _listening(host, host.popen(argv, "ss-server"), port)


def v2ray(host, inbounds, outbounds=None, label="v2ray", routing=None):
    """v2ray with these inbounds; the port of the first is waited for."""
    config = {"log": {"loglevel": "warning"}, "inbounds": inbounds,
              "outbounds": outbounds or [{"protocol": "freedom"}]}
    if routing:
        config["routing"] = routing
    path = _write(host, "v2ray.json", json.dumps(config))
    return _listening(host, host.popen(["v2ray", "-config", path], label), inbounds[0]["port"])


def v2ray_inbound(protocol, port, *, net="tcp", path="/", tls=None, **settings):
    """An inbound for v2ray(): "vmess", "vless" or "trojan" of UUID or PASSWORD. `tls`: (certificate, key, …)."""
    user = {"vmess": {"clients": [{"id": UUID, "alterId": 0}]},
            "vless": {"clients": [{"id": UUID}], "decryption": "none"},
            "trojan": {"clients": [{"password": PASSWORD}]}}[protocol]
    stream = {"network": net}
    if net == "ws":
        stream["wsSettings"] = {"path": path}
    if tls:
        stream["security"] = "tls"
        stream["tlsSettings"] = {"certificates": [{"certificateFile": tls[0], "keyFile": tls[1]}]}
    return {"port": port, "listen": "::", "protocol": protocol, "settings": {**user, **settings},
            "streamSettings": stream}


def trojan(host, tls, *, port=443, password=PASSWORD, fallback_port=80):
    """trojan-gfw; it wants a web server to fall back to at 127.0.0.1."""
    config = {"run_type": "server", "local_addr": "::", "local_port": port, "remote_addr": "127.0.0.1",
              "remote_port": fallback_port, "password": [password], "log_level": 2,
              "ssl": {"cert": tls[0], "key": tls[1], "alpn": ["http/1.1"], "reuse_session": True,
                      "session_ticket": True, "session_timeout": 600, "plain_http_response": "",
                      "cipher": "", "cipher_tls13": "", "prefer_server_cipher": True, "curves": "",
                      "dhparam": "", "key_password": "", "alpn_port_override": {}},
              "tcp": {"no_delay": True, "keep_alive": True, "reuse_port": False, "fast_open": False,
                      "fast_open_qlen": 20, "prefer_ipv4": False}}
    path = _write(host, "trojan.json", json.dumps(config))
    return _listening(host, host.popen(["trojan", "-c", path], "trojan"), port)


def _system_user(host, name, password, uid):
    """By hand, for useradd writes outside of the host's own /etc, too."""
    sealed = host.out(["openssl", "passwd", "-6", password]).strip()
    for file, line in (("passwd", f"{name}:x:{uid}:{uid}::/:/bin/false"), ("shadow", f"{name}:{sealed}:1::::::")):
        with open(host.file(f"/etc/{file}")) as f:
            rest = [x for x in f if not x.startswith(name + ":")]
        host.etc(file, "".join(rest) + line + "\n")


def danted(host, *, port=1080, users=None, device="to-isp", more=""):
    """dante-server (SOCKS5, with UDP). `users`: {name: password} of those who may use it; none: everybody.
    `more`: options, and rules that come first. Its UDP sockets are not connected, for with IPv6 it does not
    let go of the first remote."""
    for i, (name, password) in enumerate((users or {}).items()):
        _system_user(host, name, password, 64000 + i)
    method = "username" if users else "none"
    path = _write(host, "danted.conf", f"""
logoutput: stderr
internal: 0.0.0.0 port = {port}
internal: :: port = {port}
external: {device}
socksmethod: {method}
clientmethod: none
user.privileged: root
user.unprivileged: nobody
udp.connectdst: no
{more}
client pass {{ from: 0/0 to: 0/0 }}
socks pass {{ from: 0/0 to: 0/0 }}
""")
    return _listening(host, host.popen(["danted", "-f", path], "danted"), port)


def microsocks(host, *, port=1080, user=None, password=None):
    """microsocks (SOCKS5, TCP only)."""
    argv = ["microsocks", "-i", "0.0.0.0", "-p", port]
    if user:
        argv += ["-u", user, "-P", password]
    return _listening(host, host.popen(argv, "microsocks"), port)


def tinyproxy(host, *, port=8888, user=None, password=None, ports=()):
    """tinyproxy (HTTP CONNECT to these ports; none: to any)."""
    auth = f"BasicAuth {user} {password}\n" if user else ""
    auth += "".join(f"ConnectPort {p}\n" for p in ports)
    path = _write(host, "tinyproxy.conf", f"""
Port {port}
Listen 0.0.0.0
Timeout 600
MaxClients 2000
LogLevel Info
{auth}""")
    return _listening(host, host.popen(["tinyproxy", "-d", "-c", path], "tinyproxy"), port)


def nginx(host, tls, *, port=443, path="/ray", upstream=10000):
    """nginx in front of a WebSocket inbound at 127.0.0.1, as people deploy it: TLS, one secret path, a web
    site for everybody else. The file that is its attribute `access` gets a line for each request when that is
    over: status, path, whether the TLS session was resumed ("r") or not ("."), SNI, the protocol of ALPN."""
    access = host.lab.path(f"{host.name}-{host.lab.serial()}-access.log")
    conf = _write(host, "nginx.conf", f"""
daemon off; master_process off; pid /run/nginx-{port}.pid; error_log stderr;
events {{ worker_connections 8192; }}
http {{
  log_format tls '$status $request_uri $ssl_session_reused $ssl_server_name $ssl_alpn_protocol';
  access_log {access} tls;
  server {{
    listen {port} ssl; listen [::]:{port} ssl;
    ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};
    location = {path} {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
      proxy_set_header Host $host;
      proxy_read_timeout 600s;
    }}
    location / {{ return 200 "a web site\\n"; }}
  }}
}}
""")
    proc = _listening(host, host.popen(["nginx", "-c", conf, "-p", "/run"], "nginx"), port)
    proc.access = access
    return proc


def tls_front(host, tls, *, port=8443, upstream=8888):
    """nginx takes TLS off what goes to 127.0.0.1. The file that is its attribute `access` gets a line for each
    connection when that is over: who behind it was asked ("-": nobody), SNI, the protocol of ALPN."""
    access = host.lab.path(f"{host.name}-{host.lab.serial()}-access.log")
    conf = _write(host, "nginx-stream.conf", f"""
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
daemon off; master_process off; pid /run/nginx-{port}.pid; error_log stderr;
events {{ worker_connections 8192; }}
stream {{
  log_format tls '$upstream_addr $ssl_server_name $ssl_alpn_protocol';
  access_log {access} tls;
  server {{
    listen {port} ssl; listen [::]:{port} ssl;
    ssl_certificate {tls[0]}; ssl_certificate_key {tls[1]};
    ssl_alpn http/1.1;
    proxy_pass 127.0.0.1:{upstream};
  }}
}}
""")
    proc = _listening(host, host.popen(["nginx", "-c", conf, "-p", "/run"], "nginx"), port)
    proc.access = access
    return proc
