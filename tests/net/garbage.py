#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""garbage.py HOST PORT COUNT - datagrams that look a little like WireGuard: right types with wrong
lengths, right lengths with random content, empty ones, large ones. The seed is printed."""
import random
import socket
import struct
import sys
import time

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
seed = int(sys.argv[4]) if len(sys.argv) > 4 else time.time_ns()
print("seed", seed)
rng = random.Random(seed)
family = socket.AF_INET6 if ":" in host else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM)
s.connect((host, port))
LENGTHS = [0, 1, 4, 15, 16, 31, 32, 33, 63, 64, 65, 91, 92, 93, 147, 148, 149, 1452, 9000]
for i in range(count):
    n = rng.choice(LENGTHS)
    kind = rng.choice([0, 1, 2, 3, 4, 4, 4, 5, 255, 0x01000000])
    data = (struct.pack("<I", kind) + rng.randbytes(max(0, n - 4)))[:n]
    try:
        s.send(data)
    except ConnectionRefusedError:
        sys.exit("nothing listens there")
    if i % 200 == 0:
        time.sleep(0.002)
