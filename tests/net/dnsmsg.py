# SPDX-License-Identifier: Apache-2.0
"""dnsmsg - DNS messages for tests (RFC 1035): enough to ask, to understand an answer, and to make good and
bad ones. It shares no code with the program under test.
"""
import dataclasses
import ipaddress
import os
import struct

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "OPT": 41,
         "SVCB": 64, "HTTPS": 65, "ANY": 255}
NAMES = {v: k for k, v in TYPES.items()}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
          16: "BADVERS"}
QR, AA, TC, RD, RA = 0x8000, 0x0400, 0x0200, 0x0100, 0x0080
EDE = 15                # the EDNS option of RFC 8914


def pack_name(name):
    out = b""
    for label in name.rstrip(".").split(".") if name.rstrip(".") else []:
        out += bytes([len(label)]) + label.encode()
    return out + b"\0"


def unpack_name(msg, at):
    """(name, where it ends); ValueError for a loop."""
    labels, end, jumps = [], None, 0
    while True:
        n = msg[at]
        if n >= 0xc0:
            end = end or at + 2
            at = (n & 0x3f) << 8 | msg[at + 1]
            jumps += 1
            if jumps > 64:
                raise ValueError("compression loop")
        elif n == 0:
            return ".".join(labels), end or at + 1
        else:
            labels.append(msg[at + 1:at + 1 + n].decode("latin-1"))
            at += 1 + n


def question(name, qtype="A", ident=None, flags=RD, edns=1232, do=False):
    """A query. `edns`: the size that is offered; None: no OPT record."""
    ident = int.from_bytes(os.urandom(2), "big") if ident is None else ident
    out = struct.pack("!6H", ident, flags, 1, 0, 0, edns is not None)
    out += pack_name(name) + struct.pack("!2H", TYPES[qtype], 1)
    if edns is not None:
        out += b"\0" + struct.pack("!2HIH", TYPES["OPT"], edns, 0x8000 if do else 0, 0)
    return out


@dataclasses.dataclass
class Record:
    name: str
    type: str
    ttl: int
    data: str           # an address, a name, or hexadecimal


@dataclasses.dataclass
class Message:
    ident: int
    flags: int
    name: str           # of the question
    type: str
    question: bytes     # as it stands there
    edns: int = None
    ede: int = None
    answer: list = dataclasses.field(default_factory=list)
    authority: list = dataclasses.field(default_factory=list)

    @property
    def rcode(self):
        return RCODES.get(self.flags & 15, self.flags & 15)

    @property
    def truncated(self):
        return bool(self.flags & TC)

    def data(self, rtype):
        return [r.data for r in self.answer if r.type == rtype]

    @property
    def addresses(self):
        return self.data("A") + self.data("AAAA")


def _data(msg, rtype, at, n):
    if rtype in ("A", "AAAA"):
        return str(ipaddress.ip_address(msg[at:at + n]))
    if rtype in ("CNAME", "NS", "PTR"):
        return unpack_name(msg, at)[0]
    return msg[at:at + n].hex()


def _extended_error(msg, at, n):
    end = at + n
    while at + 4 <= end:
        code, length = struct.unpack_from("!2H", msg, at)
        if code == EDE:
            return struct.unpack_from("!H", msg, at + 4)[0]
        at += 4 + length
    return None


def parse(msg):
    ident, flags, qd, an, ns, ar = struct.unpack_from("!6H", msg)
    at, m = 12, Message(ident, flags, "", "", b"")
    if qd:
        m.name, end = unpack_name(msg, at)
        qtype, = struct.unpack_from("!H", msg, end)
        m.type = NAMES.get(qtype, f"TYPE{qtype}")
        m.question = msg[at:end + 4]
        at = end + 4
    for section in [m.answer] * an + [m.authority] * ns + [None] * ar:
        name, at = unpack_name(msg, at)
        rtype, rclass, ttl, n = struct.unpack_from("!2HIH", msg, at)
        at += 10
        rtype = NAMES.get(rtype, f"TYPE{rtype}")
        if rtype == "OPT":
            m.edns, m.ede = rclass, _extended_error(msg, at, n)
        elif section is not None:
            section.append(Record(name, rtype, ttl, _data(msg, rtype, at, n)))
        at += n
    return m


def record(name, rtype, ttl, data):
    """In wire format; `data`: text as Record has it, or bytes."""
    if isinstance(data, str):
        data = (ipaddress.ip_address(data).packed if rtype in ("A", "AAAA")
                else pack_name(data) if rtype in ("CNAME", "NS", "PTR") else bytes.fromhex(data))
    return pack_name(name) + struct.pack("!2HIH", TYPES[rtype], 1, ttl, len(data)) + data


def reply(query, records=(), rcode=0, flags=0, soa=None):
    """An answer to a query (bytes). `soa`: (zone, TTL) of a negative one."""
    q = parse(query)
    extra = b""
    if soa:
        numbers = struct.pack("!5I", 1, 3600, 600, 86400, soa[1])
        extra = record(soa[0], "SOA", soa[1], pack_name("ns.test") + pack_name("a.test") + numbers)
    head = struct.pack("!6H", q.ident, QR | RA | (q.flags & RD) | flags | rcode, 1, len(records),
                       bool(soa), 0)
    return head + q.question + b"".join(records) + extra
