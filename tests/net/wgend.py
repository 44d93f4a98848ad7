# SPDX-License-Identifier: Apache-2.0
"""wgend - one end of a WireGuard tunnel on a host of the laboratory: Debian's wireguard-go or
MintFlow, behind one small interface, so that a test can put either on either side.

Both are spoken to through `wg` and the UAPI socket after they have started, as a user would.
"""
import dataclasses
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess

from lab import LabError, genkey, hostport, is_v6, mintflow_path, wait_for


@dataclasses.dataclass
class Peer:
    public: str
    allowed: list
    endpoint: str = None
    psk: str = None
    keepalive: int = 0


@dataclasses.dataclass
class PeerState:
    public: str
    psk: str
    endpoint: str
    allowed: list
    handshake: int
    rx: int
    tx: int
    keepalive: int


class End:
    """What a test may do with either implementation."""

    impl = "?"

    def __init__(self, host, addrs, *, dev="wg0", port=0, mtu=1420, peers=(), private=None):
        self.host, self.addrs, self.dev, self.port, self.mtu = host, list(addrs), dev, port, mtu
        self.wg = dev                   # the name `wg` knows it by
        if private:
            self.private = private
            self.public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True,
                                         text=True, check=True).stdout.strip()
        else:
            self.private, self.public = genkey()
        self.peers = list(peers)
        self.proc = None

    def ip4(self):
        return next(a.split("/")[0] for a in self.addrs if not is_v6(a))

    def ip6(self):
        return next(a.split("/")[0] for a in self.addrs if is_v6(a))

    def inner(self, version):
        return self.ip6() if version == 6 else self.ip4()

    def peer(self, other, allowed=None, endpoint=None, psk=None, keepalive=0):
        """Add `other` (an End) to the peers this end starts with."""
        if allowed is None:
            allowed = [a.split("/")[0] + ("/128" if is_v6(a) else "/32") for a in other.addrs]
        self.peers.append(Peer(other.public, allowed, endpoint, psk, keepalive))
        return self

    def show(self):
        """{public key: PeerState}, from `wg show dump`."""
        lines = self.host.out(["wg", "show", self.wg, "dump"]).splitlines()
        state = {}
        for line in lines[1:]:
            f = line.split("\t")
            state[f[0]] = PeerState(
                f[0], None if f[1] == "(none)" else f[1], None if f[2] == "(none)" else f[2],
                [] if f[3] == "(none)" else f[3].split(","), int(f[4]), int(f[5]), int(f[6]),
                0 if f[7] == "off" else int(f[7]))
        return state

    def listen_port(self):
        return int(self.host.out(["wg", "show", self.wg, "listen-port"]))

    def set(self, *args, input=None):
        self.host.run(["wg", "set", self.wg] + [str(a) for a in args], input=input)

    def setconf(self, text, how="setconf"):
        path = self.host.lab.path(f"wgconf-{self.host.lab.serial()}")
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, 0o600)
        self.host.run(["wg", how, self.wg, path])

    def wg_conf(self, interface=True):
        """The configuration in the format of `wg setconf`."""
        out = []
        if interface:
            out += ["[Interface]", f"PrivateKey = {self.private}"]
            if self.port:
                out.append(f"ListenPort = {self.port}")
        for p in self.peers:
            out += ["[Peer]", f"PublicKey = {p.public}"]
            if p.psk:
                out.append(f"PresharedKey = {p.psk}")
            if p.endpoint:
                out.append(f"Endpoint = {p.endpoint}")
            if p.keepalive:
                out.append(f"PersistentKeepalive = {p.keepalive}")
            # One line each: `wg` limits the length of a line, not their number.
            for i in range(0, len(p.allowed), 200):
                out.append("AllowedIPs = " + ", ".join(p.allowed[i:i + 200]))
        return "\n".join(out) + "\n"

    def os_routes(self):
        """Allowed IPs that the addresses' own prefixes do not cover go to the device."""
        nets = [ipaddress.ip_interface(a).network for a in self.addrs]
        routes = set()
        for p in self.peers:
            for a in p.allowed:
                n = ipaddress.ip_network(a)
                if not any(n.version == m.version and n.subnet_of(m) for m in nets):
                    routes.add(n)
        if len(routes) > 64:
            return
        for n in sorted(routes, key=str):
            if n.prefixlen:
                self.host.ip(f"route replace {n} dev {self.dev}")

    def kill9(self):
        self.proc.kill(signal.SIGKILL)
        self.proc.wait(5)

    def stop(self):
        return self.proc.stop()


class WireguardGo(End):
    impl = "wireguard-go"

    def start(self):
        if not shutil.which("wireguard-go"):
            raise LabError("wireguard-go is not installed")
        sock = self.host.file(f"/run/wireguard/{self.dev}.sock")
        if os.path.exists(sock):        # of one that was killed
            os.unlink(sock)
        self.proc = self.host.popen(["wireguard-go", "-f", self.dev], "wireguard-go",
                                    env={"LOG_LEVEL": os.environ.get("WG_LOG", "error")})

        def ready():
            if not self.proc.alive():
                raise LabError("wireguard-go ended at once:\n" + self.proc.tail())
            return os.path.exists(sock)
        wait_for("wireguard-go", ready)
        self.setconf(self.wg_conf())
        self.host.ip(f"link set {self.dev} mtu {self.mtu}")
        self.host.add_addr(self.dev, *self.addrs)
        self.host.ip(f"link set {self.dev} up")
        self.os_routes()
        return self


def yaml(value, indent=0):
    """Enough YAML for a profile: block maps and lists, quoted strings."""
    pad = "  " * indent
    if isinstance(value, dict):
        if not value:
            return pad + "{}\n"
        out = ""
        for k, v in value.items():
            if isinstance(v, (dict, list)) and v:
                out += f"{pad}{k}:\n" + yaml(v, indent + 1)
            else:
                out += f"{pad}{k}: {scalar(v)}\n"
        return out
    if len(value) > 64 and not isinstance(value[0], (dict, list)):
        # Short: the size of a profile is capped.
        lines = [",".join(value[i:i + 100]) for i in range(0, len(value), 100)]
        return pad + "[" + f",\n{pad}".join(lines) + "]\n"
    out = ""
    for v in value:
        if isinstance(v, dict):
            body = yaml(v, indent + 1)
            out += pad + "- " + body.lstrip(" ")
        else:
            out += f"{pad}- {scalar(v)}\n"
    return out


class Plain(str):
    """Written without quotes: a time, a size."""


def scalar(v):
    if isinstance(v, Plain):
        return str(v)
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, (int, float)):
        return str(v)
    if v == {} or v == []:
        return str(v)
    return json.dumps(v)


class Mintflow(End):
    """`mintflow run` with a profile made from the same description.

    The TUN is `dev`, the WireGuard interface `iface`; routes default to what the peers may send.
    `tweak` may change the profile (a dict) before it is written.
    """
    impl = "mintflow"

    def __init__(self, host, addrs, *, dev="mint0", iface="wg0", routes=None, auto_route=False,
                 exclude_lan=False, tweak=None, tunnel_mtu=None, **kw):
        super().__init__(host, addrs, dev=dev, **kw)
        self.iface = self.wg = iface
        self.routes, self.auto_route, self.exclude_lan = routes, auto_route, exclude_lan
        self.tweak, self.tunnel_mtu = tweak, tunnel_mtu
        self.path = host.lab.path(f"{host.name}-{dev}.yaml")

    def profile(self):
        iface = {"name": self.iface, "type": "wireguard", "private_key": self.private,
                 "address": [a.split("/")[0] + ("/128" if is_v6(a) else "/32")
                             for a in self.addrs],
                 "listen_port": self.port, "mtu": self.mtu, "peers": []}
        for p in self.peers:
            e = {"public_key": p.public, "allowed_ips": p.allowed}
            if p.psk:
                e["preshared_key"] = p.psk
            if p.endpoint:
                e["endpoint"] = p.endpoint
            if p.keepalive:
                e["persistent_keepalive"] = p.keepalive
            iface["peers"].append(e)
        if not iface["peers"]:
            del iface["peers"]
        if self.routes is None:
            nets = {str(ipaddress.ip_interface(a).network) for a in self.addrs}
            nets |= {a for p in self.peers for a in p.allowed if len(p.allowed) <= 64}
            routes = [{"cidr": n, "to": self.iface} for n in sorted(nets)]
        else:
            routes = self.routes
        d = {"version": 1,
             "tunnel": {"name": self.dev, "address": self.addrs,
                        "mtu": self.tunnel_mtu or self.mtu,
                        "auto_route": self.auto_route, "exclude_lan": self.exclude_lan},
             "interfaces": [iface],
             "app_routing": {"enabled": True, "routes": routes}}
        if self.tweak:
            self.tweak(d)
        return d

    def write_profile(self):
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(yaml(self.profile()))
        return self.path

    def start(self, timeout=10.0):
        """Start and wait for READY=1."""
        self.write_profile()
        name = self.host.lab.path(f"notify-{self.host.lab.serial()}")
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(name)
        notify.settimeout(0.1)
        self.proc = self.host.popen([mintflow_path(), "run", "-c", self.path], "mintflow",
                                    env={"NOTIFY_SOCKET": name})

        def ready():
            if not self.proc.alive():
                raise LabError(f"mintflow ended with {self.proc.poll()}:\n" + self.proc.tail())
            try:
                return b"READY=1" in notify.recv(4096)
            except (TimeoutError, socket.timeout):
                return False
        try:
            wait_for("READY=1 from mintflow", ready, timeout)
        finally:
            notify.close()
            os.unlink(name)
        if not self.auto_route:
            self.os_routes()
        return self

    def cli(self, *args, check=True, **kw):
        """mintflow ARGS, on the tunnel of this host."""
        return self.host.run([mintflow_path()] + [str(a) for a in args], check=check, **kw)

    def json(self, *args):
        """A command's --json output."""
        r = self.cli(*args, "--json")
        try:
            return json.loads(r.stdout)
        except ValueError:
            raise LabError(f"mintflow {args} --json printed no JSON: {r.stdout[:500]}") from None

    def why(self, destination):
        """Where a packet to this address would go: an interface's name, "drop", "reject" or None."""
        j = self.json("why", destination)
        return j["interface"] or {"policy-drop": "drop", "policy-reject": "reject"}.get(j["reason"])

    def drops(self):
        """{reason: packets} of what has been dropped so far."""
        return {d["reason"]: d["packets"] for d in self.json("show", "drops")["drops"]}


IMPLS = {"mintflow": Mintflow, "wireguard-go": WireguardGo}


def make(impl, host, addrs, **kw):
    """An End of the named implementation; keywords only MintFlow knows are dropped for others."""
    if impl != "mintflow":
        for k in ("iface", "routes", "auto_route", "exclude_lan", "tweak", "tunnel_mtu"):
            kw.pop(k, None)
    return IMPLS[impl](host, addrs, **kw)


V4 = {"a": "192.0.2.1", "b": "192.0.2.2"}
V6 = {"a": "2001:db8::1", "b": "2001:db8::2"}
INNER = {"a": ["10.10.0.1/24", "fd10::1/64"], "b": ["10.10.0.2/24", "fd10::2/64"]}


def pair(lab, ours, theirs, *, outer=4, psk=None, mtu=1420, link_mtu=1500, initiator="both",
         keepalive=0, start=True, a_kw=None, b_kw=None):
    """Two hosts on one cable with a tunnel between them:

        a (ours) ── 192.0.2.0/24, 2001:db8::/64 ── b (theirs)
        10.10.0.1, fd10::1   ═══ tunnel ═══   10.10.0.2, fd10::2

    `initiator` says who knows the other's endpoint: "a", "b" or "both".
    """
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, [V4["a"] + "/24", V6["a"] + "/64"], [V4["b"] + "/24", V6["b"] + "/64"],
             mtu=link_mtu)
    at = V6 if outer == 6 else V4
    ea = make(ours, a, INNER["a"], port=51001, mtu=mtu, **(a_kw or {}))
    eb = make(theirs, b, INNER["b"], port=51002, mtu=mtu, **(b_kw or {}))
    ea.peer(eb, endpoint=hostport(at["b"], 51002) if initiator in ("a", "both") else None,
            psk=psk, keepalive=keepalive)
    eb.peer(ea, endpoint=hostport(at["a"], 51001) if initiator in ("b", "both") else None,
            psk=psk)
    if start:
        ea.start()
        eb.start()
    return ea, eb


def star(lab, impl, peers, first=None):
    """One end with many peers, all of them wireguard-go on one other host:

        a: 10.30.0.1 (impl) ── 192.0.2.0/24 ── b: 10.30.1.1, 10.30.2.1 … one wireguard-go each

    Returns (a's end, [the others]), all started. `first` makes the first of the others, if it shall
    be something else: first(host, addrs, port=, dev=).
    """
    a, b = lab.host("a"), lab.host("b")
    lab.link(a, b, ["192.0.2.1/24"], ["192.0.2.2/24"])
    end = make(impl, a, ["10.30.0.1/16"], port=51001,
               routes=[{"cidr": "10.30.0.0/16", "to": "wg0"}])
    others = []
    for i in range(1, peers + 1):
        cls = first if first and i == 1 else WireguardGo
        e = cls(b, [f"10.30.{i}.1/32"], port=52000 + i, dev=f"w{i}")
        e.peer(end, ["10.30.0.1/32"])
        e.os_routes = lambda: None
        end.peer(e, [f"10.30.{i}.1/32"], hostport("192.0.2.2", 52000 + i))
        others.append(e)
    for i, e in enumerate(others, 1):
        e.start()
        # Answers leave by the interface whose address they come from.
        b.ip(f"rule add from 10.30.{i}.1 lookup {1000 + i} priority {1000 + i}")
        b.ip(f"route add 10.30.0.1 dev {e.dev} table {1000 + i}")
    end.start()
    return end, others
