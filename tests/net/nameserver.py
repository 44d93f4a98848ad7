# SPDX-License-Identifier: Apache-2.0
"""nameserver - DNS servers of the laboratory: Debian's dnsmasq, unbound and knot with made-up zones, and
one of our own for what real ones never do.

A zone is {name: {type: [data, …], "ttl": seconds}}; where no TTL is given, it is TTL.
"""
import dataclasses
import os
import socket
import struct
import subprocess
import threading

import dnsmsg
from directnet import inet, read_exactly
from lab import LabError, is_v6, wait_for

TTL = 300
NEGATIVE_TTL = 30


def zone_file(zone, ttl=TTL, negative=NEGATIVE_TTL):
    """The whole internet as one zone: the root's."""
    out = [f". {ttl} SOA ns.test. admin.test. 1 3600 600 86400 {negative}", ". NS ns.test.",
           "ns.test. A 192.0.2.53"]
    for name, records in zone.items():
        out += [f"{name}. {records.get('ttl', ttl)} {rtype} {x}" for rtype, data in records.items()
                if rtype != "ttl" for x in data]
    return "\n".join(out) + "\n"


def write(lab, name, text):
    path = lab.path(f"{name}-{lab.serial()}")
    with open(path, "w") as f:
        f.write(text)
    return path


def directory(lab, name):
    path = lab.path(f"{name}-{lab.serial()}")
    os.mkdir(path)
    return path


class Daemon:
    """A program that answers on port 53 of some addresses of a host."""

    def __init__(self, host, addresses, zone, **kw):
        self.host, self.addresses, self.zone, self.proc = host, list(addresses), zone, None
        self.options = kw

    def start(self):
        self.proc = self.host.popen(self.argv(), type(self).__name__.lower())

        def ready():
            if not self.proc.alive():
                raise LabError(f"{self.proc.label} ended at once:\n" + self.proc.tail())
            return all(self.answers(a) for a in self.addresses)
        wait_for(f"{self.proc.label} on {self.host.name}", ready, 20)
        return self

    def answers(self, address):
        """Does it say anything at all?"""
        try:
            ask(self.host, address, "ns.test", timeout=0.3)
        except OSError:
            return False
        return True

    def stop(self):
        self.proc.stop()


class Dnsmasq(Daemon):
    """`default`: the address of every name that is not in the zone."""

    def argv(self):
        argv = ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null",
                "--user=root", "--pid-file=", "--bind-interfaces", "--cache-size=0", "--log-facility=-",
                f"--local-ttl={self.options.get('ttl', TTL)}", "--local=/#/"]
        argv += [f"--listen-address={a}" for a in self.addresses]
        for name, records in self.zone.items():
            for target in records.get("CNAME", []):
                argv.append(f"--cname={name},{target.rstrip('.')}")
            argv += [f"--host-record={name},{a}" for a in records.get("A", []) + records.get("AAAA", [])]
        if "default" in self.options:
            argv.append(f"--address=/#/{self.options['default']}")
        return argv


class Knot(Daemon):
    def argv(self):
        where = directory(self.host.lab, "knot")
        with open(os.path.join(where, "root.zone"), "w") as f:
            f.write(zone_file(self.zone, **self.options))
        listen = ", ".join(f"{a}@53" for a in self.addresses)
        conf = write(self.host.lab, "knot.conf", f"""\
server:
    rundir: "{where}"
    listen: [ {listen} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: warning
database:
    storage: "{where}"
zone:
  - domain: .
    file: "{where}/root.zone"
    zonefile-sync: -1
    journal-content: none
    semantic-checks: soft
""")
        return ["knotd", "-c", conf]


class Unbound(Daemon):
    """`tls`: (certificate, key) makes it listen for DNS over TLS and HTTPS, too."""

    def argv(self):
        ports = ["53"] + (["853", "443"] if "tls" in self.options else [])
        options = {k: v for k, v in self.options.items() if k != "tls"}
        path = write(self.host.lab, "root.zone", zone_file(self.zone, **options))
        conf = "server:\n" + "".join(f"  interface: {a}@{p}\n" for a in self.addresses for p in ports)
        if "tls" in self.options:
            cert, key = self.options["tls"]
            conf += (f'  tls-service-pem: "{cert}"\n  tls-service-key: "{key}"\n'
                     '  tls-port: 853\n  https-port: 443\n  http-endpoint: "/dns-query"\n')
        conf += f"""\
  directory: "{directory(self.host.lab, "unbound")}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  num-threads: 1
  module-config: "iterator"
  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  minimal-responses: no
auth-zone:
  name: "."
  zonefile: "{path}"
  for-downstream: yes
  for-upstream: no
remote-control:
  control-enable: no
"""
        return ["unbound", "-d", "-p", "-c", write(self.host.lab, "unbound.conf", conf)]


def ask(host, server, name, qtype="A", *, tcp=False, timeout=5, port=53, retries=0, **kw):
    """One question from a host; a dnsmsg.Message. OSError (TimeoutError) if there is no answer."""
    query = dnsmsg.question(name, qtype, **kw)
    for left in range(retries, -1, -1):
        with host.socket(inet(server), socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as s:
            s.settimeout(timeout)
            try:
                s.connect((server, port))
                if tcp:
                    s.sendall(struct.pack("!H", len(query)) + query)
                    return dnsmsg.parse(read_message(s))
                s.send(query)
                while True:
                    m = dnsmsg.parse(s.recv(65535))
                    if m.ident == dnsmsg.parse(query).ident:
                        return m
            except TimeoutError:
                if not left:
                    raise


def read_message(sock):
    return read_exactly(sock, struct.unpack("!H", read_exactly(sock, 2))[0])


@dataclasses.dataclass
class Asked:
    name: str
    type: str
    tcp: bool
    server: str
    client: str
    port: int
    query: bytes


class NameServer:
    """A server in threads of the test itself. `answer(asked)` returns the bytes of an answer, a list of
    them, or None for silence; an exception of OSError's kind resets a connection. What was asked is in
    `asked`, in the order in which it came."""

    def __init__(self, host, addresses, answer, port=53):
        self.host, self.answer, self.asked = host, answer, []
        self.sockets = []
        for a in addresses:
            udp = self._bind(a, socket.SOCK_DGRAM, port)
            tcp = self._bind(a, socket.SOCK_STREAM, port)
            tcp.listen(64)
            threading.Thread(target=self._datagrams, args=(udp, a), daemon=True).start()
            threading.Thread(target=self._connections, args=(tcp, a), daemon=True).start()

    def _bind(self, address, kind, port):
        s = self.host.socket(inet(address), kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(None)
        s.bind((address, port))
        self.sockets.append(s)
        return s

    def names(self):
        return [a.name.lower() for a in self.asked]

    def close(self):
        for s in self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _note(self, query, tcp, server, peer):
        m = dnsmsg.parse(query)
        asked = Asked(m.name, m.type, tcp, server, peer[0], peer[1], query)
        self.asked.append(asked)
        return asked

    @staticmethod
    def _several(answer):
        return [] if answer is None else [answer] if isinstance(answer, bytes) else answer

    def _datagrams(self, sock, address):
        while True:
            try:
                query, peer = sock.recvfrom(65535)
            except OSError:
                return
            if not query:
                return
            threading.Thread(target=self._datagram, args=(sock, address, query, peer),
                             daemon=True).start()

    def _datagram(self, sock, address, query, peer):
        try:
            for part in self._several(self.answer(self._note(query, False, address, peer))):
                sock.sendto(part, peer)
        except OSError:
            pass                        # closed meanwhile, or told to say nothing

    def _connections(self, listener, address):
        while True:
            try:
                sock, peer = listener.accept()
            except OSError:
                return
            sock.settimeout(60)
            threading.Thread(target=self._connection, args=(sock, address, peer), daemon=True).start()

    def _connection(self, sock, address, peer):
        try:
            while True:
                query = read_message(sock)
                for part in self._several(self.answer(self._note(query, True, address, peer))):
                    sock.sendall(struct.pack("!H", min(len(part), 65535)) + part)
        except (OSError, EOFError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            sock.close()


def zone_answer(zone, ttl=TTL, negative=NEGATIVE_TTL):
    """The `answer` of a NameServer that does nothing evil."""
    def answer(asked):
        name, records = asked.name.lower(), []
        for _ in range(8):
            target = zone.get(name, {}).get("CNAME")
            if not target or asked.type == "CNAME":
                break
            records.append(dnsmsg.record(name, "CNAME", ttl, target[0]))
            name = target[0].rstrip(".")
        known = zone.get(name)
        data = known.get(asked.type, []) if known else []
        records += [dnsmsg.record(name, asked.type, known.get("ttl", ttl), d) for d in data]
        return dnsmsg.reply(asked.query, records, 0 if known is not None else 3,
                            soa=None if data else ("test", negative))
    return answer


def certificate(lab, names):
    """A certificate for some names and addresses, and what it is checked against: (certificate, key, CA)."""
    where = directory(lab, "ca")
    ca, cert, key = (os.path.join(where, n) for n in ("ca.pem", "cert.pem", "key.pem"))
    alt = ",".join(("IP:" if n[:1].isdigit() or is_v6(n) else "DNS:") + n for n in names)

    def openssl(*args):
        r = subprocess.run(["openssl"] + list(args), capture_output=True, text=True, cwd=where)
        if r.returncode:
            raise LabError("openssl: " + r.stderr)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/CN=laboratory", "-keyout", "ca.key", "-out", ca, "-days", "2")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            f"/CN={names[0][:60]}", "-keyout", key, "-out", "cert.csr")
    with open(os.path.join(where, "ext"), "w") as f:
        f.write(f"subjectAltName={alt}\nbasicConstraints=CA:FALSE\n")
    openssl("x509", "-req", "-in", "cert.csr", "-CA", ca, "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "ext", "-out", cert)
    return cert, key, ca


def dig(host, server, name, qtype="A", *options, check=True):
    """What dig prints, or with check=False its CompletedProcess."""
    argv = ["dig", f"@{server}", name, qtype, "+tries=1", "+time=5"] + list(options)
    r = host.run(argv, check=check)
    return r.stdout if check else r


def dig_short(host, server, name, qtype="A", *options):
    return dig(host, server, name, qtype, "+short", *options).split()
