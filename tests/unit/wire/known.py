# SPDX-License-Identifier: Apache-2.0
"""Writes known.h: packets whose bytes were made by somebody else (scapy). Run: known.py > known.h"""
from scapy.all import *

def arr(name, b, comment):
    print(f"/* {comment} */")
    print(f"static const uint8_t {name}[] = {{")
    for i in range(0,len(b),12):
        print("\t"+" ".join(f"0x{x:02x}," for x in b[i:i+12]))
    print("};\n")
print('/* SPDX-License-Identifier: Apache-2.0\n *\n * known - packets made by scapy (known.py).\n */')
print('#ifndef MF_TEST_WIRE_KNOWN_H\n#define MF_TEST_WIRE_KNOWN_H\n\n#include <stdint.h>\n')
p4=IP(src="192.0.2.1",dst="198.51.100.7",id=0x1234,flags="DF",ttl=61,tos=0x2a)/TCP(sport=40000,dport=443,seq=0xfffffff0,ack=0x01020304,flags="A",window=501,options=[("NOP",None),("NOP",None),("Timestamp",(111,222))])/Raw(b"hello, checksum")
arr("tcp4", bytes(p4), "scapy: TCP over IPv4 with time stamps, 15 bytes of payload")
p6=IPv6(src="2001:db8::1",dst="2001:db8:1::2",fl=0xabcde,tc=0x12,hlim=64)/UDP(sport=5353,dport=53)/Raw(b"odd")
arr("udp6", bytes(p6), "scapy: UDP over IPv6, odd payload")
syn=IP(src="192.0.2.1",dst="198.51.100.7",id=7,ttl=64)/TCP(sport=1025,dport=80,seq=1000,flags="S",window=64240)
arr("syn4", bytes(syn), "scapy: SYN")
rst=IP(src="198.51.100.7",dst="192.0.2.1",id=0,flags="DF",ttl=64)/TCP(sport=80,dport=1025,seq=0,ack=1001,flags="RA",window=0)
arr("rst4", bytes(rst), "scapy: the reset that answers it")
pu=IP(src="192.0.2.1",dst="198.51.100.7",id=9,ttl=64)/UDP(sport=33434,dport=33435)/Raw(b"probe")
arr("probe4", bytes(pu), "scapy: a UDP probe")
er=IP(src="10.66.0.1",dst="192.0.2.1",id=0,flags="DF",ttl=64,tos=0xc0)/ICMP(type=3,code=4,nexthopmtu=1420)/Raw(bytes(pu))
arr("fragneeded4", bytes(er), "scapy: fragmentation needed, MTU 1420, about the probe")
er6=IPv6(src="fd66::1",dst="2001:db8::1",hlim=64)/ICMPv6PacketTooBig(mtu=1380)/Raw(bytes(p6))
arr("toobig6", bytes(er6), "scapy: packet too big, MTU 1380, about udp6")
er7=IPv6(src="fd66::1",dst="2001:db8::1",hlim=64)/ICMPv6TimeExceeded()/Raw(bytes(p6))
arr("exceeded6", bytes(er7), "scapy: hop limit exceeded in transit, about udp6")
ext=IPv6(src="2001:db8::1",dst="2001:db8:1::2")/IPv6ExtHdrHopByHop(options=[PadN(optdata=b"\0"*4)])/IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0"*4)])/TCP(sport=1,dport=2,seq=5,flags="F")
arr("ext6", bytes(ext), "scapy: hop-by-hop and destination options before TCP")
frag=IPv6(src="2001:db8::1",dst="2001:db8:1::2")/IPv6ExtHdrFragment(offset=3,m=1,id=77,nh=17)/Raw(b"x"*16)
arr("frag6", bytes(frag), "scapy: a fragment in the middle")

print('#endif')
