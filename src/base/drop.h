/* SPDX-License-Identifier: Apache-2.0
 *
 * drop - the one list of reasons for which a packet ends without being sent or delivered. It makes
 * the enum, the text of `mintflow show drops`, the comments in captures and docs/drops.md.
 */
#ifndef MF_DROP_H
#define MF_DROP_H

/* X(NAME, "text") - the printed name is NAME in lower case with dashes. */
#define MF_DROP_LIST(X)                                                                       \
	X(NONE, "not dropped")                                                                \
	/* ip-input: what is not a well-formed IP packet */                                   \
	X(IP_VERSION, "neither IPv4 nor IPv6")                                                \
	X(IP_TRUNCATED, "shorter than its headers or its length field say")                   \
	X(IP_HEADER, "malformed IP header or options")                                        \
	X(IP_CHECKSUM, "wrong IPv4 header checksum")                                          \
	X(IP_MARTIAN_SOURCE, "source address that no packet may have")                        \
	X(IP_MARTIAN_DESTINATION, "destination address that must not be forwarded")           \
	X(IP_TTL, "TTL or hop limit used up")                                                 \
	X(OFFLOAD_META, "offload metadata contradicts the packet")                            \
	/* route-lookup and policy */                                                         \
	X(NO_ROUTE, "no route for the destination")                                           \
	X(POLICY_DROP, "a route to `drop`")                                                   \
	X(POLICY_REJECT, "a route to `reject`, answered with RST where it is TCP")            \
	X(INTERFACE_DOWN, "the interface of the route is not up")                             \
	/* wg-output */                                                                       \
	X(WG_NO_PEER, "no peer has the destination in its allowed IPs")                       \
	X(WG_NO_ENDPOINT, "the peer has no known endpoint")                                   \
	X(WG_STAGED_FULL, "staged for a handshake, oldest dropped because the queue is full") \
	X(WG_HANDSHAKE_GAVE_UP, "staged for a handshake that did not complete in 90 s")       \
	X(TOO_BIG, "longer than the MTU of the interface")                                    \
	/* wg-input */                                                                        \
	X(WG_SHORT, "shorter than any WireGuard message")                                     \
	X(WG_TYPE, "not a WireGuard message type")                                            \
	X(WG_LENGTH, "wrong length for its WireGuard message type")                           \
	X(WG_INDEX, "no session has the receiver index")                                      \
	X(WG_EXPIRED, "the session is older than 180 s")                                      \
	X(WG_COUNTER, "counter beyond the last one allowed")                                  \
	X(WG_REPLAY, "counter seen before or too old")                                        \
	X(WG_AUTH, "authentication tag does not match")                                       \
	X(WG_SOURCE, "source address is not in the peer's allowed IPs")                       \
	X(WG_ECN, "outer congestion mark on a packet that cannot carry it (RFC 6040)")        \
	X(WG_HANDSHAKE_QUEUE, "handshake queue full")                                         \
	X(WG_MAC1, "mac1 does not match any interface")                                       \
	X(WG_MAC2, "under load and without a valid mac2, answered with a cookie")             \
	X(WG_RATE, "handshake above the rate limit of its source")                            \
	X(WG_HANDSHAKE, "handshake message of an unknown peer, replayed, or out of state")    \
	X(WG_COOKIE, "cookie reply that matches nothing we sent")                             \
	/* host stack */                                                                      \
	X(L4_TRUNCATED, "TCP, UDP or ICMP header not whole")                                  \
	X(L4_CHECKSUM, "wrong TCP, UDP or ICMP checksum")                                     \
	X(PROTOCOL, "a protocol that sessions cannot carry")                                  \
	X(NO_SESSION, "belongs to no session and cannot begin one")                           \
	X(SESSIONS_FULL, "the session table is full; answered with RST where it is TCP")      \
	X(SESSIONS_SOURCE, "its source has as many sessions as it may have")                  \
	X(HALF_OPEN_SOURCE, "its source has as many half-open sessions as it may have")       \
	X(OUTBOUND_DOWN, "the interface cannot carry sessions now")                           \
	X(OUTBOUND_BUSY, "the far side takes no more datagrams now")                          \
	X(OUTBOUND_REFUSED, "the operating system refused the datagram")                      \
	X(PROXY_QUEUE_FULL, "too many datagrams wait for a way to the proxy")                 \
	X(PROXY_LENGTH, "of a length that the protocol of the proxy cannot carry")            \
	X(ICMP_UNMATCHED, "ICMP message that matches no session")                             \
	X(FRAGMENT_OVERLAP, "fragments that overlap (RFC 5722)")                              \
	X(FRAGMENT_INVALID, "a fragment of impossible length or place")                       \
	X(FRAGMENT_TIMEOUT, "fragments whose rest did not come in 30 s")                      \
	X(FRAGMENT_FULL, "too many datagrams wait for fragments")                             \
	X(DNS_FRAGMENT, "a question about a name, in fragments")                              \
	X(HANDOFF_FULL, "the queue to the worker that has the session is full")               \
	X(OWN_QUEUE_FULL, "too much waits to be read at a port of our own inside a VPN")      \
	X(NAME_DROP, "the name that its session has shown is routed to `drop`")               \
	X(NAME_REJECT, "the name that its session has shown is routed to `reject`")           \
	/* host stack: TCP */                                                                 \
	X(TCP_STATE, "a segment that has no place in the state of its connection")            \
	X(TCP_OPTIONS, "malformed TCP options")                                               \
	X(TCP_PAWS, "TCP timestamp older than the last one, or missing")                      \
	X(TCP_WINDOW, "outside the TCP receive window")                                       \
	X(TCP_ACK, "acknowledges what was not sent, or no ACK where there must be one")       \
	X(TCP_BUDGET, "no memory left for the payload of TCP connections")                    \
	/* edges and resources */                                                             \
	X(BUFFERS, "no packet buffer free")                                                   \
	X(TUN_SEND, "the TUN device refused the packet")                                      \
	X(UDP_SEND, "the UDP socket refused the datagram")                                    \
	X(UDP_UNREACHABLE, "no route to the endpoint outside the tunnel")                     \
	X(SHUTDOWN, "still queued when the engine stopped")

enum mf_drop {
#define X(name, text) MF_DROP_##name,
	MF_DROP_LIST(X)
#undef X
		MF_DROP_COUNT
};

/* "ip-truncated" and so on, and the sentence. Never NULL. */
const char *mf_drop_name(enum mf_drop r);
const char *mf_drop_text(enum mf_drop r);

#endif
