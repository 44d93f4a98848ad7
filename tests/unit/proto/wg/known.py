# SPDX-License-Identifier: Apache-2.0
"""Writes known.h: a WireGuard handshake and a cookie made from fixed keys, straight from the white
paper, with Python's hashlib and the `cryptography` package. Nothing of it is shared with src/.
Run: known.py > known.h"""
import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def HASH(x):
    return hashlib.blake2s(x).digest()


def MAC(k, x):
    return hashlib.blake2s(x, key=k, digest_size=16).digest()


def HMAC(k, x):
    return hmac.new(k, x, hashlib.blake2s).digest()


def KDF(n, k, x):
    t0 = HMAC(k, x)
    out, prev = [], b""
    for i in range(1, n + 1):
        prev = HMAC(t0, prev + bytes([i]))
        out.append(prev)
    return out


def AEAD(k, counter, plain, aad):
    return ChaCha20Poly1305(k).encrypt(b"\0\0\0\0" + struct.pack("<Q", counter), plain, aad)


def pub(priv):
    return X25519PrivateKey.from_private_bytes(priv).public_key().public_bytes(
        Encoding.Raw, PublicFormat.Raw)


def DH(priv, p):
    return X25519PrivateKey.from_private_bytes(priv).exchange(X25519PublicKey.from_public_bytes(p))


def hchacha20(key, nonce):
    w = list(struct.unpack("<16I", b"expand 32-byte k" + key + nonce))
    mask = 0xFFFFFFFF

    def quarter(a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            w[x] = (w[x] + w[y]) & mask
            w[z] ^= w[x]
            w[z] = (w[z] << r | w[z] >> (32 - r)) & mask

    for _ in range(10):
        quarter(0, 4, 8, 12), quarter(1, 5, 9, 13), quarter(2, 6, 10, 14), quarter(3, 7, 11, 15)
        quarter(0, 5, 10, 15), quarter(1, 6, 11, 12), quarter(2, 7, 8, 13), quarter(3, 4, 9, 14)
    return struct.pack("<8I", *(w[0:4] + w[12:16]))


def XAEAD(k, nonce, plain, aad):
    return ChaCha20Poly1305(hchacha20(k, nonce[:16])).encrypt(b"\0\0\0\0" + nonce[16:], plain, aad)


def fixed(label):
    return hashlib.sha256(label.encode()).digest()


Si, Sr, Ei, Er = (fixed(x) for x in ("initiator", "responder", "ephemeral i", "ephemeral r"))
PSK = fixed("preshared")
IDX_I, IDX_R = 0x01020304, 0xF1F2F3F4
TS = struct.pack(">QI", 2**62 + 10 + 1700000000, 0x12000000)

C0 = HASH(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
H0 = HASH(C0 + b"WireGuard v1 zx2c4 Jason@zx2c4.com")

c, h = C0, HASH(H0 + pub(Sr))
init = struct.pack("<II", 1, IDX_I) + pub(Ei)
c, = KDF(1, c, pub(Ei))
h = HASH(h + pub(Ei))
c, k = KDF(2, c, DH(Ei, pub(Sr)))
enc = AEAD(k, 0, pub(Si), h)
init += enc
h = HASH(h + enc)
c, k = KDF(2, c, DH(Si, pub(Sr)))
enc = AEAD(k, 0, TS, h)
init += enc
h = HASH(h + enc)
init += MAC(HASH(b"mac1----" + pub(Sr)), init) + bytes(16)

resp = struct.pack("<III", 2, IDX_R, IDX_I) + pub(Er)
c, = KDF(1, c, pub(Er))
h = HASH(h + pub(Er))
c, = KDF(1, c, DH(Er, pub(Ei)))
c, = KDF(1, c, DH(Er, pub(Si)))
c, t, k = KDF(3, c, PSK)
h = HASH(h + t)
resp += AEAD(k, 0, b"", h)
resp += MAC(HASH(b"mac1----" + pub(Si)), resp) + bytes(16)
key_i, key_r = KDF(2, c, b"")

# A cookie reply to the initiation from 192.0.2.7:51820, and the initiation again, with mac2.
SECRET, NONCE = fixed("cookie secret"), fixed("cookie nonce")[:24]
cookie = MAC(SECRET, bytes([192, 0, 2, 7]) + struct.pack(">H", 51820))
cookie6 = MAC(SECRET, bytes.fromhex("20010db8000000000000000000000007") + struct.pack(">H", 51820))
mac1 = init[-32:-16]
reply = struct.pack("<II", 3, IDX_I) + NONCE + XAEAD(HASH(b"cookie--" + pub(Sr)), NONCE, cookie, mac1)
mac2 = MAC(cookie, init[:-16])


def arr(name, b, what):
    print(f"/* {what} */\nstatic const uint8_t {name}[{len(b)}] = {{")
    for i in range(0, len(b), 12):
        print("\t" + " ".join(f"0x{x:02x}," for x in b[i:i + 12]))
    print("};\n")


print("/* SPDX-License-Identifier: Apache-2.0\n *\n * known - a handshake made by known.py.\n */")
print("#ifndef MF_TEST_WG_KNOWN_H\n#define MF_TEST_WG_KNOWN_H\n\n#include <stdint.h>\n")
arr("known_chain", C0, "HASH(construction)")
arr("known_hash", H0, "HASH(that || identifier)")
for name, v in (("known_si", Si), ("known_sr", Sr), ("known_ei", Ei), ("known_er", Er)):
    arr(name, v, "private key")
arr("known_psk", PSK, "preshared key")
arr("known_stamp", TS, "time stamp")
print(f"enum {{ KNOWN_IDX_I = {IDX_I:#x} }};\n#define KNOWN_IDX_R {IDX_R:#x}u\n")
arr("known_init", init, "initiation, with mac1")
arr("known_resp", resp, "response, with mac1")
arr("known_key_i", key_i, "the initiator sends with")
arr("known_key_r", key_r, "the responder sends with")
arr("known_secret", SECRET, "the responder's cookie secret")
arr("known_nonce", NONCE, "nonce of the cookie reply")
arr("known_cookie", cookie, "cookie for 192.0.2.7:51820")
arr("known_cookie6", cookie6, "cookie for [2001:db8::7]:51820")
arr("known_reply", reply, "cookie reply to the initiation")
arr("known_mac2", mac2, "mac2 of the initiation with that cookie")
print("#endif")
