#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the digests that test_aead.c and test_blake2s.c expect.

ChaCha20-Poly1305 is written out from RFC 8439 with Python's integers, HMAC and BLAKE2s are
Python's own: slow, and independent of every library that src/crypto uses. Not run by the tests;
kept so that the constants can be made again.
"""
import hashlib
import hmac
import struct

MASK = 0xFFFFFFFF
QUARTERS = [
    (0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
    (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14),
]


def quarter(w, a, b, c, d):
    for x, y, z, bits in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        w[x] = (w[x] + w[y]) & MASK
        t = w[z] ^ w[x]
        w[z] = (t << bits | t >> (32 - bits)) & MASK


def chacha_block(key, counter, nonce):
    start = struct.unpack("<16I", b"expand 32-byte k" + key + struct.pack("<I", counter) + nonce)
    w = list(start)
    for _ in range(10):
        for q in QUARTERS:
            quarter(w, *q)
    return struct.pack("<16I", *((a + b) & MASK for a, b in zip(w, start)))


def poly1305(key, msg):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    acc = 0
    for i in range(0, len(msg), 16):
        acc = (acc + int.from_bytes(msg[i:i + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    acc += int.from_bytes(key[16:], "little")
    return (acc & ((1 << 128) - 1)).to_bytes(16, "little")


def seal(key, nonce, text, aad=b""):
    def pad(b):
        return b + bytes(-len(b) % 16)

    stream = b"".join(chacha_block(key, i + 1, nonce) for i in range((len(text) + 63) // 64))
    out = bytes(a ^ b for a, b in zip(text, stream))
    lengths = struct.pack("<QQ", len(aad), len(out))
    return out + poly1305(chacha_block(key, 0, nonce)[:32], pad(aad) + pad(out) + lengths)


def pattern(n, a):
    return bytes((i * 7 + a * 13 + n) & 255 for i in range(n))


def digest(chunks):
    h = hashlib.blake2b(digest_size=32)
    for c in chunks:
        h.update(c)
    return h.hexdigest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def hm(key, data):
    return hmac.new(key, data, hashlib.blake2s).digest()


def kdf(key, data):
    t, out = hm(key, data), b""
    for i in (1, 2, 3):
        out = hm(t, out + bytes([i]))
        yield out


def main():
    # RFC 8439 section 2.8.2: is this reference right?
    text = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
            b"future, sunscreen would be it.")
    sealed = seal(bytes(range(0x80, 0xA0)), bytes.fromhex("070000004041424344454647"), text,
                  bytes.fromhex("50515253c0c1c2c3c4c5c6c7"))
    assert sealed[-16:].hex() == "1ae10b594f09e26a7e902ecbd0600691"

    lengths = list(range(701)) + [1024, 1420, 1424, 1440, 4096, 8192]
    counters = ((n, n * 0x0123456789ABCDEF & (1 << 64) - 1) for n in lengths)
    print("aead", digest(seal(pattern(32, 3), struct.pack("<IQ", 0, c), pattern(n, 1))
                         for n, c in counters))
    ns = range(301)
    print("hash", digest(hashlib.blake2s(pattern(n, 2)).digest() for n in ns))
    print("mac ", digest(mac(pattern(1 + n % 32, 5), pattern(n, 2)) for n in ns))
    print("hmac", digest(hm(pattern(n % 65, 5), pattern(n, 2)) for n in ns))
    print("kdf ", digest(o for n in ns for o in kdf(pattern(32, n), pattern(n, 2))))


if __name__ == "__main__":
    main()
