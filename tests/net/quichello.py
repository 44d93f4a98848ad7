# SPDX-License-Identifier: Apache-2.0
"""quichello - the first datagram of a QUIC connection (RFC 9000 17.2.2, RFC 9001 5), for a name: what a browser
sends first, for tests that have no QUIC client.
"""
import hashlib
import hmac
import os
import ssl
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")     # of version 1
SIZE = 1200


def client_hello(name):
    """The handshake message that OpenSSL sends for this name."""
    out = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()[5:]               # without the header of its record


def _expand(secret, label, n):
    label = b"tls13 " + label
    info = struct.pack("!HB", n, len(label)) + label + b"\0"
    return hmac.new(secret, info + b"\1", hashlib.sha256).digest()[:n]


def initial(name, cid=None):
    """One datagram that has the whole ClientHello."""
    cid = cid or os.urandom(8)
    client = _expand(hmac.new(SALT, cid, hashlib.sha256).digest(), b"client in", 32)
    key, iv, hp = (_expand(client, b"quic " + x, n) for x, n in ((b"key", 16), (b"iv", 12), (b"hp", 16)))
    hello = client_hello(name)
    frames = b"\x06\x00" + struct.pack("!H", 0x4000 | len(hello)) + hello
    head = b"\xc3" + struct.pack("!IB", 1, len(cid)) + cid + b"\0\0"
    room = SIZE - len(head) - 2 - 4 - 16
    head += struct.pack("!H", 0x4000 | (4 + room + 16)) + bytes(4)      # packet number 0
    sealed = AESGCM(key).encrypt(iv, frames.ljust(room, b"\0"), head)
    mask = Cipher(algorithms.AES(hp), modes.ECB()).encryptor().update(sealed[:16])
    head = bytearray(head)
    head[0] ^= mask[0] & 0x0f
    for i in range(4):
        head[-4 + i] ^= mask[1 + i]
    return bytes(head) + sealed
