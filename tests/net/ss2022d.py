#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""ss2022d - a Shadowsocks 2022 server (SIP022, SIP023) for the tests: no package of Debian 12 has one.

    ss2022d.py --method 2022-blake3-aes-256-gcm --key KEY [--user KEY …] [--port 8388]

TCP with all three methods, UDP with those of AES; with --user, --key is the server's own and each user's
key has an identity header. It is strict where the specification asks it to be: types, clocks within 30 s,
no salt and no packet twice, no request without payload and padding. Who breaks a rule is reset and named
on stderr. --shift moves its clock; --careless lets it believe any other.
"""
import argparse
import asyncio
import base64
import ipaddress
import os
import socket
import struct
import sys
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

METHODS = {"2022-blake3-aes-128-gcm": (16, AESGCM), "2022-blake3-aes-256-gcm": (32, AESGCM),
           "2022-blake3-chacha20-poly1305": (32, ChaCha20Poly1305)}
SKEW_MAX = 30           # seconds
CHUNK_MAX = 0xffff
PADDING_MAX = 900
TAG = 16
TCP_REQUEST, TCP_RESPONSE = 0, 1


class Refused(Exception):
    """What the client did wrong."""


# ---- BLAKE3, of one block ---------------------------------------------------------------------------

IV = (0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
LANES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
         (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
WHOLE = 1 | 2 | 8       # first block, last block, root
CONTEXT, MATERIAL = 32, 64
MASK = 0xffffffff


def quarter(v, a, b, c, d, x, y):
    for word, turn_d, turn_b in ((x, 16, 12), (y, 8, 7)):
        v[a] = (v[a] + v[b] + word) & MASK
        v[d] ^= v[a]
        v[d] = (v[d] >> turn_d | v[d] << (32 - turn_d)) & MASK
        v[c] = (v[c] + v[d]) & MASK
        v[b] ^= v[c]
        v[b] = (v[b] >> turn_b | v[b] << (32 - turn_b)) & MASK


def blake3(data, key=IV, mode=0):
    """32 bytes, of at most 64 (section 2.2 of the paper)."""
    assert len(data) <= 64
    m = list(struct.unpack("<16I", data.ljust(64, b"\0")))
    v = [*key, *IV[:4], 0, 0, len(data), WHOLE | mode]
    for _ in range(7):
        for i, lane in enumerate(LANES):
            quarter(v, *lane, m[2 * i], m[2 * i + 1])
        m = [m[i] for i in ORDER]
    return struct.pack("<8I", *(v[i] ^ v[i + 8] for i in range(8)))


def derive_key(context, material):
    key = struct.unpack("<8I", blake3(context.encode(), mode=CONTEXT))
    return blake3(material, key, MATERIAL)


# ---- Keys and ciphers -------------------------------------------------------------------------------

def session_key(method, psk, salt):
    size, cipher = METHODS[method]
    return cipher(derive_key("shadowsocks 2022 session subkey", psk + salt)[:size])


def block(key, data, encrypt):
    """One block of AES, as it is."""
    c = Cipher(algorithms.AES(key), modes.ECB())
    c = c.encryptor() if encrypt else c.decryptor()
    return c.update(data) + c.finalize()


class Direction:
    """One direction of a connection: the nonce counts."""

    def __init__(self, cipher):
        self.cipher, self.count = cipher, 0

    def nonce(self):
        self.count += 1
        return (self.count - 1).to_bytes(12, "little")

    def seal(self, data):
        return self.cipher.encrypt(self.nonce(), data, None)

    def open(self, data):
        return self.cipher.decrypt(self.nonce(), data, None)


# ---- Messages ---------------------------------------------------------------------------------------

def get_address(data):
    """(host, port, bytes that it took) of what SOCKS calls an address."""
    kind = data[0]
    if kind == 3:
        n = 2 + data[1]
        host = data[2:n].decode()
    elif kind in (1, 4):
        n = 1 + (4 if kind == 1 else 16)
        host = str(ipaddress.ip_address(data[1:n]))
    else:
        raise Refused(f"an address of type {kind}")
    return host, struct.unpack(">H", data[n:n + 2])[0], n + 2


def put_address(host, port):
    a = ipaddress.ip_address(host)
    a = getattr(a, "ipv4_mapped", None) or a
    return bytes([1 if a.version == 4 else 4]) + a.packed + struct.pack(">H", port)


class Server:
    def __init__(self, o):
        self.method, self.port, self.shift, self.careless = o.method, o.port, o.shift, o.careless
        self.size = METHODS[o.method][0]
        self.key = base64.b64decode(o.key)
        users = [base64.b64decode(u) for u in o.user]
        assert all(len(k) == self.size for k in [self.key, *users])
        self.users = {blake3(u)[:16]: u for u in users}
        self.salts = set()

    def now(self):
        return int(time.time()) + self.shift

    def check(self, kind, when):
        if kind != TCP_REQUEST:
            raise Refused(f"type {kind}")
        if abs(self.now() - when) > SKEW_MAX and not self.careless:
            raise Refused(f"a clock that differs by {self.now() - when} s")

    def user(self, digest):
        if digest not in self.users:
            raise Refused("an unknown user")
        return self.users[digest]

    # TCP ---------------------------------------------------------------------------------------------

    async def hello(self, reader):
        """Reads the request: (the user's key, its salt, the direction up, host, port, payload)."""
        salt = await reader.readexactly(self.size)
        key = self.key
        if self.users:
            header = await reader.readexactly(16)
            subkey = derive_key("shadowsocks 2022 identity subkey", self.key + salt)[:self.size]
            key = self.user(block(subkey, header, False))
        up = Direction(session_key(self.method, key, salt))
        kind, when, n = struct.unpack(">BQH", up.open(await reader.readexactly(11 + TAG)))
        self.check(kind, when)
        if salt in self.salts:
            raise Refused("a salt for the second time")
        self.salts.add(salt)
        rest = up.open(await reader.readexactly(n + TAG))
        host, port, at = get_address(rest)
        padding, = struct.unpack(">H", rest[at:at + 2])
        payload = rest[at + 2 + padding:]
        if padding > PADDING_MAX or not (padding or payload):
            raise Refused(f"padding of {padding} bytes, payload of {len(payload)}")
        return key, salt, up, host, port, payload

    async def pump_up(self, reader, up, writer):
        while head := await reader.read(1):
            head += await reader.readexactly(1 + TAG)
            n, = struct.unpack(">H", up.open(head))
            writer.write(up.open(await reader.readexactly(n + TAG)))
            await writer.drain()
        writer.write_eof()

    async def pump_down(self, reader, key, request_salt, writer):
        down = None
        while data := await reader.read(CHUNK_MAX):
            if down:
                writer.write(down.seal(struct.pack(">H", len(data))) + down.seal(data))
            else:
                salt = os.urandom(self.size)
                down = Direction(session_key(self.method, key, salt))
                head = struct.pack(">BQ", TCP_RESPONSE, self.now()) + request_salt
                writer.write(salt + down.seal(head + struct.pack(">H", len(data))) + down.seal(data))
            await writer.drain()
        writer.write_eof()

    async def session(self, reader, writer):
        key, salt, up, host, port, payload = await self.hello(reader)
        far_reader, far_writer = await asyncio.open_connection(host, port)
        try:
            far_writer.write(payload)
            await asyncio.gather(self.pump_up(reader, up, far_writer),
                                 self.pump_down(far_reader, key, salt, writer))
        finally:
            far_writer.transport.abort() if sys.exc_info()[0] else far_writer.close()

    async def connection(self, reader, writer):
        try:
            await self.session(reader, writer)
            writer.close()
        except (Refused, InvalidTag) as e:
            print(f"refused: {e if isinstance(e, Refused) else 'it does not open'}", file=sys.stderr,
                  flush=True)
            reset(writer)
        except (OSError, asyncio.IncompleteReadError):
            reset(writer)

    # UDP ---------------------------------------------------------------------------------------------

    def open_datagram(self, data):
        """(the user's key, the client's session, its packet's number, host, port, payload)."""
        head = block(self.key, data[:16], False)
        at, key = 16, self.key
        if self.users:
            key = self.user(bytes(a ^ b for a, b in zip(block(self.key, data[16:32], False), head)))
            at = 32
        body = session_key(self.method, key, head[:8]).decrypt(head[4:], data[at:], None)
        kind, when, padding = struct.unpack(">BQH", body[:11])
        self.check(kind, when)
        host, port, n = get_address(body[11 + padding:])
        return key, head[:8], head[8:], host, port, body[11 + padding + n:]

    def seal_datagram(self, key, mine, number, client, host, port, payload):
        head = mine + struct.pack(">Q", number)
        body = struct.pack(">BQ", TCP_RESPONSE, self.now()) + client + bytes(2) + put_address(host, port)
        sealed = session_key(self.method, key, mine).encrypt(head[4:], body + payload, None)
        return block(key, head, True) + sealed


def reset(writer):
    sock = writer.get_extra_info("socket")
    if sock and sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Association(asyncio.DatagramProtocol):
    """What a client's session is to the internet: one socket, whoever it speaks to."""

    def __init__(self, listener, key, client):
        self.listener, self.key, self.client = listener, key, client
        self.mine, self.number, self.seen, self.peer = os.urandom(8), 0, set(), None

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, remote):
        sealed = self.listener.server.seal_datagram(self.key, self.mine, self.number, self.client,
                                                    remote[0], remote[1], data)
        self.number += 1
        self.listener.transport.sendto(sealed, self.peer)

    def send(self, number, host, port, payload):
        if number in self.seen:
            raise Refused("a packet for the second time")
        self.seen.add(number)
        self.transport.sendto(payload, (host if ":" in host else "::ffff:" + host, port))


class Listener(asyncio.DatagramProtocol):
    def __init__(self, server):
        self.server, self.associations = server, {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        try:
            key, client, *rest = self.server.open_datagram(data)
            asyncio.get_running_loop().create_task(self.forward(key, client, peer, rest))
        except (Refused, InvalidTag, ValueError, struct.error) as e:
            print(f"refused a datagram: {e or 'it does not open'}", file=sys.stderr, flush=True)

    async def forward(self, key, client, peer, rest):
        if client not in self.associations:
            a = self.associations[client] = Association(self, key, client)
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: a, local_addr=("::", 0))
        a = self.associations[client]
        a.peer = peer           # it may roam
        while not hasattr(a, "transport"):
            await asyncio.sleep(0)
        try:
            a.send(*rest)
        except Refused as e:
            print(f"refused a datagram: {e}", file=sys.stderr, flush=True)


async def serve(server):
    loop = asyncio.get_running_loop()
    if METHODS[server.method][1] is AESGCM:
        await loop.create_datagram_endpoint(lambda: Listener(server), local_addr=("::", server.port))
    listener = socket.create_server(("::", server.port), family=socket.AF_INET6, dualstack_ipv6=True,
                                    backlog=1024)
    async with await asyncio.start_server(server.connection, sock=listener, limit=1 << 20) as s:
        await s.serve_forever()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, default=8388)
    p.add_argument("--method", choices=METHODS, required=True)
    p.add_argument("--key", required=True)
    p.add_argument("--user", action="append", default=[])
    p.add_argument("--shift", type=int, default=0)
    p.add_argument("--careless", action="store_true")
    asyncio.run(serve(Server(p.parse_args())))


if __name__ == "__main__":
    main()
