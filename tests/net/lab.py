# SPDX-License-Identifier: Apache-2.0
"""lab - small laboratories of network namespaces, for the net tests, ./demo and bench/run.

A Host is a process that sleeps in a network, mount and UTS namespace of its own; everything the
laboratory does to it goes through nsenter. Nothing gets a name on the outside: no /run/netns, no
interface in the machine's own namespace. The kernel takes a namespace apart when its last process
ends, every process here is told to die with us (PR_SET_PDEATHSIG), and so even a SIGKILL of the
test runner leaves nothing behind.

Each host has a /run of its own (tmpfs): two hosts do not see each other's /run/wireguard and
/run/mintflow, and the machine's own are never touched. Nor is its /etc, which every host sees through
an overlay: what is written there, such as resolv.conf, stays in the laboratory.

    with Lab("pair") as lab:
        a, b = lab.host("a"), lab.host("b")
        lab.link(a, b, a_addr=["192.0.2.1/24"], b_addr=["192.0.2.2/24"])
        a.run("ping -c1 192.0.2.2")
"""
import base64
import contextlib
import ctypes
import fcntl
import json
import os
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"
PR_SET_PDEATHSIG = 1
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    pass


BUILD = os.path.join(ROOT, "build", "gcc")      # where ./check, ./demo and bench/run build


def mintflow_path():
    """The program under test: $MINTFLOW, else what was built last."""
    env = os.environ.get("MINTFLOW")
    if env:
        return env
    for d in (BUILD, os.path.join(ROOT, "build")):
        for sub in ("cli/mintflow", "daemon/mintflow", "mintflow"):
            p = os.path.join(d, sub)
            if os.access(p, os.X_OK):
                return p
    raise LabError("no mintflow binary: set MINTFLOW=path or build into build/gcc")


def build():
    """Configure and compile build/gcc, unless $MINTFLOW names a program. LabError says what failed."""
    if os.environ.get("MINTFLOW"):
        return
    steps = [["ninja", "--quiet", "-C", BUILD]]
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        steps.insert(0, ["meson", "setup", BUILD, ROOT])
    for argv in steps:
        r = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT)
        if r.returncode:
            raise LabError(f"{' '.join(argv)} failed:\n{r.stdout}{r.stderr}")
    mintflow_path()


def build_dir():
    """The meson build directory of the program under test, or None."""
    try:
        d = os.path.dirname(os.path.realpath(mintflow_path()))
    except LabError:
        return None
    while d != "/" and not os.path.exists(os.path.join(d, "build.ninja")):
        d = os.path.dirname(d)
    return d if d != "/" else None


def bench_program(name):
    """A program of bench/*.c: the one that was built with the program under test, else compiled here
    (into build/NAME, when it is not there or its source is newer)."""
    source = os.path.join(ROOT, "bench", name + ".c")
    for path in (os.path.join(build_dir() or "/nonexistent", "bench", name),
                 os.path.join(ROOT, "build", name)):
        if os.access(path, os.X_OK) and os.path.getmtime(path) >= os.path.getmtime(source):
            return path
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tmp = f"{path}.{os.getpid()}"
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-std=gnu17", "-o", tmp, source], check=True)
    os.replace(tmp, path)
    return path


def wait_for(what, fn, timeout=10.0, step=0.02):
    """Poll fn until it returns something true, and return that; LabError names what was awaited."""
    end = time.monotonic() + timeout
    while True:
        got = fn()
        if got:
            return got
        if time.monotonic() > end:
            raise LabError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(step)


def genkey():
    """A private key and its public key, both base64 (Curve25519)."""
    private = subprocess.run(["wg", "genkey"], capture_output=True, text=True, check=True).stdout
    public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, text=True,
                            check=True).stdout
    return private.strip(), public.strip()


def genpsk():
    return base64.b64encode(os.urandom(32)).decode()


def is_v6(addr):
    return ":" in addr


def hostport(addr, port):
    return f"[{addr}]:{port}" if is_v6(addr) else f"{addr}:{port}"


def _die_with_parent():
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Proc:
    """A program running on a host. Its output is in a file, so a full pipe never stalls it."""

    def __init__(self, host, argv, label, env=None, log_path=None, own_session=False):
        self.host, self.argv, self.label = host, argv, label
        self.log_path = log_path or host.lab.path(f"{host.name}-{label}-{host.lab.serial()}.log")
        self._log = open(self.log_path, "wb")
        full_env = dict(os.environ)
        full_env.update(env or {})
        self.p = subprocess.Popen(host.enter(argv), stdin=subprocess.DEVNULL, stdout=self._log,
                                  stderr=subprocess.STDOUT, env=full_env,
                                  start_new_session=True,
                                  preexec_fn=None if own_session else _die_with_parent)
        self.pid = self.p.pid

    def poll(self):
        return self.p.poll()

    def alive(self):
        return self.p.poll() is None

    def wait(self, timeout=None):
        try:
            return self.p.wait(timeout)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.label} on {self.host.name} still runs after {timeout} s\n"
                           + self.tail()) from None

    def log(self):
        with open(self.log_path, "r", errors="replace") as f:
            return f.read()

    def tail(self, lines=40):
        said = [x for x in self.log().splitlines() if x[:1] not in "┌│└"]    # wireguard-go's banner
        return "\n".join(said[-lines:])

    def kill(self, sig=signal.SIGTERM):
        if self.alive():
            self.p.send_signal(sig)

    def stop(self, timeout=5.0, sig=signal.SIGTERM):
        """Ask to end, then insist. The exit status."""
        if self.alive():
            self.p.send_signal(sig)
            try:
                self.p.wait(timeout)
            except subprocess.TimeoutExpired:
                self.p.kill()
                self.p.wait()
        self._log.close()
        return self.p.returncode

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status") as f:
            for line in f:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1])
        raise LabError(f"{self.label}: no VmRSS")

    def memory_kib(self):
        """What the program has asked for and touched, but for packets. Those are reserved at the start and
        touched when first used, the last of them in the worst burst: that they grow says nothing.
        src/base/pkt.c is who refuses huge pages for its mappings."""
        total = mapped = 0
        with open(f"/proc/{self.pid}/smaps") as f:
            for line in f:
                word = line.split()
                if word[0] == "Anonymous:":
                    mapped = int(word[1])
                elif word[0] == "VmFlags:" and "nh" not in word:
                    total += mapped
        return total

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Host:
    """One machine of the laboratory."""

    SETUP = ("set -e; hostname {name}; mount -t tmpfs -o mode=755 tmpfs /run; "
             "mkdir -p /run/wireguard /run/mintflow /run/lock; chmod 700 /run/wireguard; "
             "mkdir -p /run/lab/etc /run/lab/work; "
             # In a container these two are mounts of their own, which an overlay does not show.
             "cp -L /etc/hosts /etc/resolv.conf /run/lab/etc 2>/dev/null || true; "
             "mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/etc,workdir=/run/lab/work etc /etc "
             "2>/dev/null || {{ cp -a /etc/. /run/lab/etc; mount --bind /run/lab/etc /etc; }}; "
             "mount -t sysfs sysfs /sys 2>/dev/null || true; "
             "ip link set lo up; "
             "for f in all default; do "
             "echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; "
             "echo 0 > /proc/sys/net/ipv6/conf/$f/disable_ipv6; "
             "echo 0 > /proc/sys/net/ipv6/conf/$f/router_solicitations; "
             "echo 0 > /proc/sys/net/ipv4/conf/$f/rp_filter; done; "
             "echo '0 2147483647' > /proc/sys/net/ipv4/ping_group_range; "
             # The kernel's own choice, whatever this machine has: BBR paces, and figures halve.
             "echo cubic > /proc/sys/net/ipv4/tcp_congestion_control || true; "
             "echo ready; exec sleep infinity")

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.procs = []
        self.p = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "sh", "-c", self.SETUP.format(name=name)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=True, preexec_fn=None if lab.keep else _die_with_parent)
        self.pid = self.p.pid
        if self.p.stdout.readline().strip() != b"ready":
            said = self.p.stderr.read().decode(errors="replace").strip()
            raise LabError(f"host {name}: cannot make its namespaces (root needed; exit "
                           f"{self.p.wait()}): {said}")
        # Held: when a namespace is gone, the next one may get its number.
        self.held = open(f"/proc/{self.pid}/ns/net")
        self.netns = os.readlink(f"/proc/{self.pid}/ns/net")

    def __repr__(self):
        return f"<host {self.name}>"

    def enter(self, argv):
        if isinstance(argv, str):
            argv = shlex.split(argv)
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "--"] + [str(a) for a in argv]

    def run(self, argv, check=True, timeout=60, input=None, env=None):
        """Run to the end; text in and out. With check, a failure shows what it printed."""
        full_env = dict(os.environ)
        full_env.update(env or {})
        try:
            r = subprocess.run(self.enter(argv), capture_output=True, text=True, timeout=timeout,
                               input=input, env=full_env,
                               **({} if input is not None else {"stdin": subprocess.DEVNULL}))
        except subprocess.TimeoutExpired as e:
            raise LabError(f"{self.name}: {argv} took more than {timeout} s: "
                           f"{e.stdout or ''}{e.stderr or ''}") from None
        if check and r.returncode:
            raise LabError(f"{self.name}: {argv} gave {r.returncode}:\n{r.stdout}{r.stderr}")
        return r

    def out(self, argv, **kw):
        return self.run(argv, **kw).stdout

    def sh(self, script, **kw):
        return self.run(["sh", "-ec", script], **kw)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM, proto=0):
        """A socket of this host in our own hands: a socket stays in the network it was made in, so
        this thread only visits. It times out, as nothing here may wait for ever."""
        with open("/proc/thread-self/ns/net") as mine, open(f"/proc/{self.pid}/ns/net") as theirs:
            if _libc.setns(theirs.fileno(), CLONE_NEWNET):
                raise LabError(f"host {self.name}: cannot enter its network")
            try:
                s = socket.socket(family, kind, proto)
            finally:
                _libc.setns(mine.fileno(), CLONE_NEWNET)
        s.settimeout(30)
        return s

    def popen(self, argv, label=None, **kw):
        if isinstance(argv, str):
            argv = shlex.split(argv)
        label = label or os.path.basename(argv[0])
        proc = Proc(self, argv, label, own_session=self.lab.keep, **kw)
        self.procs.append(proc)
        return proc

    def ip(self, args, **kw):
        return self.out(["ip"] + shlex.split(args), **kw)

    def sysctl(self, key, value):
        """Written through /proc as seen by the host itself: network sysctls are per namespace."""
        self.sh(f"echo {shlex.quote(str(value))} > /proc/sys/{key.replace('.', '/')}")

    def forward(self):
        self.sysctl("net.ipv4.ip_forward", 1)
        self.sysctl("net.ipv6.conf.all.forwarding", 1)

    def nft(self, rules):
        self.run(["nft", "-f", "-"], input=rules)

    def add_addr(self, dev, *addrs):
        for a in addrs:
            self.ip(f"addr add {a} dev {dev}" + (" nodad" if is_v6(a) else ""))

    def del_addr(self, dev, *addrs):
        for a in addrs:
            self.ip(f"addr del {a} dev {dev}")

    def file(self, path):
        """A path inside the host (say /run/wireguard/x.sock) as seen from here."""
        return f"/proc/{self.pid}/root{path}"

    def etc(self, name, text):
        """Give the host its own /etc/NAME (hosts, resolv.conf)."""
        new = self.file(f"/etc/{name}.new")
        with open(new, "w") as f:
            f.write(text)
        os.chmod(new, 0o644)
        os.rename(new, self.file(f"/etc/{name}"))

    def listening(self, port, proto="tcp"):
        want = f":{port:04X} "
        for v in ("", "6"):
            try:
                with open(f"/proc/{self.pid}/net/{proto}{v}") as f:
                    for line in f:
                        local = line.split()[1] + " " if len(line.split()) > 3 else ""
                        if local.endswith(want) and (proto == "udp" or line.split()[3] == "0A"):
                            return True
            except FileNotFoundError:
                pass
        return False

    def snmp(self, name):
        """A counter by the name the kernel gives it: IcmpInEchos, Icmp6InEchos, UdpInErrors …"""
        for line in self.out(["nstat", "-asz", name]).splitlines():
            if line.startswith(name):
                return int(line.split()[1])
        raise LabError(f"no counter {name}")

    # Programs that most laboratories need -------------------------------------------------------

    def ping(self, dst, count=1, size=None, wait=1, interval=None, df=False, check=True, src=None):
        """Echo requests; the number of answers."""
        argv = ["ping", "-n", "-q", "-c", str(count), "-W", str(wait)]
        if size is not None:
            argv += ["-s", str(size)]
        if interval is not None:
            argv += ["-i", str(interval)]
        if df:
            argv += ["-M", "do"]
        if src:
            argv += ["-I", src]
        r = self.run(argv + [dst], check=False, timeout=count * max(interval or 1, 1) + wait + 20)
        m = re.search(r"(\d+) received", r.stdout)
        got = int(m.group(1)) if m else 0
        if check and got != count:
            raise LabError(f"{self.name}: ping {dst}: {got} of {count} answered\n"
                           f"{r.stdout}{r.stderr}")
        return got

    def ping_until(self, dst, timeout=15.0, size=None):
        """Ping until an answer comes; the seconds it took."""
        start = time.monotonic()
        while time.monotonic() - start < timeout:
            if self.ping(dst, wait=0.5, check=False, size=size):
                return time.monotonic() - start
        raise LabError(f"{self.name}: {dst} did not answer a ping for {timeout} s")

    def pinger(self, dst, interval=0.02):
        """A steady ping in the background; Pinger.stop() tells what was lost."""
        return Pinger(self, dst, interval)

    def iperf_server(self, port=5201, bind=None):
        argv = ["iperf3", "-s", "-p", str(port), "--forceflush"] + (["-B", bind] if bind else [])
        proc = self.popen(argv, f"iperf3s{port}")
        wait_for(f"iperf3 on {self.name}", lambda: self.listening(port))
        return proc

    def iperf(self, dst, *args, seconds=2, port=5201, timeout=None):
        """Run iperf3 against a server; its JSON."""
        argv = ["iperf3", "-J", "-c", dst, "-p", str(port)]
        argv += ["-t", str(seconds)] if seconds else []
        argv += [str(a) for a in args]
        for _ in range(5):
            r = self.run(argv, check=False, timeout=timeout or seconds + 30)
            try:
                j = json.loads(r.stdout)
            except ValueError:
                raise LabError(f"{self.name}: iperf3 {dst} gave {r.returncode}:\n"
                               f"{r.stdout}{r.stderr}") from None
            # The server opens its listening socket anew for each test: who connects in between is
            # in the backlog of the old one, and a proxy may make an end of its reset. And it learns the
            # end of the last one late on a slow way.
            if not re.search("control message: Connection reset|closed unexpectedly|busy running",
                             j.get("error", "")):
                break
            time.sleep(0.5)
        if "error" in j:
            raise LabError(f"{self.name}: iperf3 {dst}: {j['error']}")
        return j

    def no_segmentation(self, dev):
        """From here on the device is given packets as they would be on a wire, no super-packets: so that
        a rule which drops one in a hundred does that to packets."""
        for command in (0x1f, 0x24, 0x2c):      # ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", dev.encode(), ctypes.addressof(value))
            with self.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                fcntl.ioctl(s, 0x8946, request + bytes(16))     # SIOCETHTOOL

    def http_server(self, port=80, directory=None, bind="::", tls=None):
        """Serves a directory; GET /whoami answers with the client's address, /bytes/N with N bytes.
        `tls`: (certificate, key)."""
        argv = [PYTHON, os.path.join(HERE, "httpd.py"), "--port", str(port), "--bind", bind,
                "--name", self.name]
        if directory:
            argv += ["--directory", directory]
        if tls:
            argv += ["--tls", *tls]
        proc = self.popen(argv, f"httpd{port}")
        wait_for(f"httpd on {self.name}", lambda: self.listening(port))
        return proc

    def capture(self, dev, expr="", name=None):
        """tcpdump into a file; returns a Capture."""
        return Capture(self, dev, expr, name)

    def lose(self, percent, dev=None, expr="", hook="input"):
        """Drop a share of the packets at random. Returns a function that takes the rule away."""
        table = f"lose{self.lab.serial()}"
        where = ""
        if dev:
            where = ("oifname " if hook in ("output", "postrouting") else "iifname ") + f'"{dev}" '
        self.nft(f"table inet {table} {{\n chain c {{\n type filter hook {hook} priority 0;\n"
                 f" {where}{expr} numgen random mod 1000 < {int(percent * 10)} counter drop\n"
                 " }\n}\n")
        return lambda: self.run(["nft", "delete", "table", "inet", table])

    def masquerade(self, dev):
        self.nft(f"table inet nat {{\n chain post {{\n type nat hook postrouting priority 100;\n"
                 f' oifname "{dev}" masquerade\n }}\n}}\n')


class Pinger:
    """ping -i in the background, so that a test can say how many answers were missing."""

    def __init__(self, host, dst, interval):
        self.host, self.dst = host, dst
        self.proc = host.popen(["ping", "-n", "-D", "-O", "-i", str(interval), "-W", "2", dst],
                               "ping")

    def stop(self):
        """(sent, answered, longest gap in seconds between two answers). The last one does not count if it was on
        its way at the end. Afterwards `missing` says which were not answered: the time of day of each."""
        time.sleep(0.3)
        self.proc.kill(signal.SIGINT)
        self.proc.wait(5)
        text = self.proc.log()
        m = re.search(r"(\d+) packets transmitted, (\d+) received", text)
        if not m:
            raise LabError(f"ping printed no summary: {text[-500:]}")
        at = [float(x) for x in re.findall(r"^\[(\d+\.\d+)\] \d+ bytes from", text, re.M)]
        gap = max((b - a for a, b in zip(at, at[1:])), default=float("inf"))
        late = {int(n): float(t) for t, n in
                re.findall(r"^\[(\d+\.\d+)\] no answer yet for icmp_seq=(\d+)", text, re.M)}
        came = {int(n) for n in re.findall(r"bytes from .*icmp_seq=(\d+)", text)}
        self.missing = [t for n, t in sorted(late.items()) if n not in came]
        sent, answered = int(m.group(1)), int(m.group(2))
        return sent - (sent not in came), answered, gap


class Capture:
    def __init__(self, host, dev, expr, name):
        self.path = host.lab.path(name or f"{host.name}-{dev}-{host.lab.serial()}.pcap")
        # Of a size that holds a super-packet, and so many that a busy machine loses none.
        argv = ["tcpdump", "-i", dev, "-n", "-U", "--immediate-mode", "-s", "66000", "-B", "16384",
                "-Z", "root", "-w", self.path]
        self.proc = host.popen(argv + (shlex.split(expr) if expr else []), "tcpdump")
        wait_for("tcpdump", lambda: "listening on" in self.proc.log())

    def stop(self):
        time.sleep(0.2)
        self.proc.stop(sig=signal.SIGINT)
        return self.path

    def lost(self):
        """Packets that it has not seen; after stop()."""
        return int(re.search(r"(\d+) packets dropped by kernel", self.proc.log()).group(1))

    def packets(self):
        """Stop, and read with scapy."""
        self.stop()
        from scapy.all import rdpcap
        return rdpcap(self.path)


def kill_inside(namespaces):
    """SIGKILL for every process in one of these network namespaces, which the caller holds open: one that
    gets the number of another while we look is not meant."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{pid}/ns/net") in namespaces:
                os.kill(int(pid), signal.SIGKILL)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass


def load_saved(path):
    """{name: pid} of a kept laboratory's hosts that still live, or None."""
    try:
        with open(path) as f:
            state = json.load(f)
    except (FileNotFoundError, ValueError):
        return None
    alive = {}
    for name, (pid, netns) in state["hosts"].items():
        try:
            if os.readlink(f"/proc/{pid}/ns/net") == netns:     # the same, not a later process
                alive[name] = pid
        except OSError:
            pass
    return alive


def close_saved(path):
    """Take down a kept laboratory. True if there was one."""
    alive = load_saved(path)
    if alive is None:
        return False
    with open(path) as f:
        state = json.load(f)
    with contextlib.ExitStack() as held:
        for pid in alive.values():
            held.enter_context(open(f"/proc/{pid}/ns/net"))
        kill_inside({state["hosts"][n][1] for n in alive})
    shutil.rmtree(state["dir"], ignore_errors=True)
    os.unlink(path)
    return bool(alive)


class Lab:
    """The context in which hosts live. Leaving it ends everything that was started in it."""

    def __init__(self, name="lab", keep=False, directory=None):
        self.name, self.keep = name, keep
        self.dir = directory or tempfile.mkdtemp(prefix=f"mintlab-{name}-")
        self.hosts = {}
        self._serial = 0
        self._lock = threading.Lock()
        self._old_term = None

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            # A SIGTERM must unwind as Ctrl-C does, or the namespaces would wait for the kernel.
            self._old_term = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        return self

    def __exit__(self, *exc):
        if not self.keep or exc[0]:
            self.close()
        if self._old_term is not None:
            signal.signal(signal.SIGTERM, self._old_term)
            self._old_term = None

    def serial(self):
        with self._lock:
            self._serial += 1
            return self._serial

    def path(self, name):
        return os.path.join(self.dir, name)

    def host(self, name, forward=False):
        h = Host(self, name)
        self.hosts[name] = h
        if forward:
            h.forward()
        return h

    def link(self, a, b, a_addr=(), b_addr=(), a_dev=None, b_dev=None, mtu=1500):
        """A cable (veth) between two hosts. Devices are named after the host at the other end."""
        a_dev, b_dev = a_dev or f"to-{b.name}"[:15], b_dev or f"to-{a.name}"[:15]
        subprocess.run(["ip", "link", "add", "name", a_dev, "netns", str(a.pid), "mtu", str(mtu),
                        "type", "veth", "peer", "name", b_dev, "netns", str(b.pid), "mtu",
                        str(mtu)], check=True)
        for h, dev, addrs in ((a, a_dev, a_addr), (b, b_dev, b_addr)):
            h.ip(f"link set {dev} up")
            h.add_addr(dev, *addrs)
        return a_dev, b_dev

    def save(self, path):
        """What close_saved() needs to take down a laboratory that was kept."""
        state = {"dir": self.dir,
                 "hosts": {h.name: [h.pid, h.netns] for h in self.hosts.values()}}
        with open(path, "w") as f:
            json.dump(state, f)

    def logs(self, lines=40):
        """The end of what every program said: for the report of a failed test."""
        text = []
        for h in self.hosts.values():
            for p in h.procs:
                said = p.tail(lines)
                if said:
                    text.append(f"--- {h.name}: {' '.join(map(str, p.argv))[:160]} "
                                f"(exit {p.poll()})\n{said}")
        return "\n".join(text)

    def close(self):
        for h in self.hosts.values():
            for p in reversed(h.procs):
                p.kill()
        end = time.monotonic() + 3
        for h in self.hosts.values():
            for p in reversed(h.procs):
                p.stop(max(0.0, end - time.monotonic()))
        # What our programs started themselves (daemons): known by the namespace they are in.
        kill_inside({h.netns for h in self.hosts.values()})
        for h in self.hosts.values():
            h.p.kill()
            h.p.wait()
            h.held.close()
            h.p.stdout.close()
            h.p.stderr.close()
        self.hosts.clear()
        if not os.environ.get("LAB_KEEP_LOGS"):
            shutil.rmtree(self.dir, ignore_errors=True)
