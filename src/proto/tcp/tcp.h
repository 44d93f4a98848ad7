/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp - one TCP connection without I/O (RFC 9293): segments and `now` in, segments and the next deadline
 * out. Accepts connections (of apps behind the TUN) and opens them (through an L3VPN interface).
 *
 * Payload is never copied. A segment that comes in stays in the packet it came in until the reader is
 * done with it; data to send stays in the packets they were given in until they are acknowledged, and a
 * segment that goes out is a small packet with the headers and a *tail* that points into them.
 *
 * Order of a turn, for each connection that something has happened to:
 *	mf_tcp_input (any number), mf_tcp_timeout; mf_tcp_recv_spans/_done; mf_tcp_send, mf_tcp_shutdown;
 *	mf_tcp_output once, at the end: it decides what to send and acknowledges in bulk.
 *
 * Everything belongs to one thread. Nothing allocates but packets of the pool and records of the
 * environment; a connection that has nothing queued holds neither.
 *
 * Beside RFC 9293: RFC 7323 (window scale, timestamps, PAWS), 2018 and 2883 (SACK, D-SACK), 6298 (RTO),
 * 8985 (RACK-TLP), 9438 (CUBIC), 9937 (PRR), 6928 (IW10), 5961 (blind attacks), 6191 (TIME-WAIT reuse),
 * 6528 (ISN), 1191/8201 with 5927 (path MTU).
 */
#ifndef MF_TCP_CORE_H
#define MF_TCP_CORE_H

#include "base/pkt.h"
#include "wire/tcp.h"

struct mf_tcp;

enum mf_tcp_state {
	MF_TCP_CLOSED,
	MF_TCP_SYN_HELD, /* a SYN came in; it is answered when the far side has (mf_tcp_accept) */
	MF_TCP_SYN_SENT,
	MF_TCP_SYN_RECEIVED,
	MF_TCP_ESTABLISHED, /* from here on data flows */
	MF_TCP_FIN_WAIT_1,
	MF_TCP_FIN_WAIT_2,
	MF_TCP_CLOSE_WAIT,
	MF_TCP_CLOSING,
	MF_TCP_LAST_ACK,
	MF_TCP_TIME_WAIT,
	MF_TCP_STATE_COUNT,
};
/* "established" and so on, as `ss` prints them. */
const char *mf_tcp_state_name(enum mf_tcp_state s);

/* What happened since the last look; the owner reads and clears them (mf_tcp_events). */
enum mf_tcp_event {
	MF_TCP_EV_CONNECTED = 1 << 0, /* the handshake is complete */
	MF_TCP_EV_READABLE = 1 << 1,  /* more in-order bytes */
	MF_TCP_EV_EOF = 1 << 2,    /* the peer's FIN is in order: nothing follows what is queued */
	MF_TCP_EV_ROOM = 1 << 3,   /* acknowledged: there is more room to send */
	MF_TCP_EV_CLOSED = 1 << 4, /* the connection has ended; mf_tcp_info says why */
};

/* Why a connection ended. */
enum mf_tcp_end {
	MF_TCP_END_NONE,
	MF_TCP_END_DONE,        /* both sides had closed */
	MF_TCP_END_RESET,       /* RST from the peer */
	MF_TCP_END_ABORTED,     /* mf_tcp_abort */
	MF_TCP_END_TIMEOUT,     /* the peer did not answer: handshake, data, probes or keepalive */
	MF_TCP_END_REFUSED,     /* RST to our SYN */
	MF_TCP_END_UNREACHABLE, /* ICMP, before the connection was established */
};

/* One for each thread: what its connections share. Fill in, then mf_tcp_env_init. */
struct mf_tcp_env {
	struct mf_pkt_pool *pool;
	struct mf_rng rng;
	void *ctx;
	/* A segment to send: the callee owns it. Headers at data/len (ip_version, l4_off, l4_proto,
	 * gso_*, csum_* and MF_PKT_NEEDS_CSUM are set: the checksum holds the pseudo-header sum), payload in
	 * tail/tail_len, which stays valid until mf_tcp_env_sweep. */
	void (*emit)(void *ctx, struct mf_tcp *c, struct mf_pkt *p);
	/* Bytes of packet memory (2 KiB or 64 KiB a packet, whatever is in it) that all connections
	 * together may hold, in each direction. 0: no limit. */
	uint64_t rx_budget, tx_budget;
	uint32_t n_records; /* segment records, for all connections of this thread; 0: 8192 */

	/* tcp's own. */
	struct mf_tcp_env_state *s;
};
MF_MUST_CHECK mf_err mf_tcp_env_init(struct mf_tcp_env *env);
/* Every connection has been freed (asserted). Accepts a zeroed one. */
void mf_tcp_env_fini(struct mf_tcp_env *env);
/* Gives packets back whose payload no emitted segment can refer to any more. When all that was emitted
 * has been sent, at least once in each pass. */
void mf_tcp_env_sweep(struct mf_tcp_env *env);
/* Packet memory that connections hold now. */
uint64_t mf_tcp_env_rx_held(const struct mf_tcp_env *env);
uint64_t mf_tcp_env_tx_held(const struct mf_tcp_env *env);

/* X(name, "text"): events of all connections of an environment. */
#define MF_TCP_COUNTER_LIST(X)                                                       \
	X(segs_in, "segments received, a super-packet counts once")                  \
	X(segs_out, "segments sent, a super-packet counts once")                     \
	X(retransmits, "segments sent again")                                        \
	X(fast_recoveries, "times loss was repaired without waiting for the timer")  \
	X(rtos, "retransmission timeouts")                                           \
	X(tlps, "tail loss probes")                                                  \
	X(undos, "congestion responses taken back because nothing had been lost")    \
	X(dup_data, "segments whose data we had already")                            \
	X(out_of_order, "segments that came before their turn")                      \
	X(reassembly_full, "out-of-order segments let go because there was no room") \
	X(paws, "segments refused because of an old timestamp")                      \
	X(challenge_acks, "challenge ACKs (RFC 5961)")                               \
	X(zero_window_probes, "probes of a closed window")                           \
	X(keepalives, "keepalive probes")                                            \
	X(no_memory, "segments let go because the memory budget was used up")
struct mf_tcp_counters {
#define X(name, text) uint64_t name;
	MF_TCP_COUNTER_LIST(X)
#undef X
};
const struct mf_tcp_counters *mf_tcp_env_counters(const struct mf_tcp_env *env);

/* How one connection should be. Zero means the default of each. */
struct mf_tcp_config {
	uint32_t mtu;           /* of the link to the peer, IP header included; default 1500 */
	uint32_t rcv_wnd_max;   /* bytes; default 4 MiB; autotuned from rcv_wnd_init up to it */
	uint32_t rcv_wnd_init;  /* default 64 KiB */
	uint32_t snd_buf_max;   /* bytes queued for the peer at most; default 4 MiB, autotuned */
	mf_nsec keepalive_idle; /* 0: no keepalive */
	mf_nsec keepalive_interval;
	uint32_t keepalive_count;
	mf_nsec user_timeout; /* unacknowledged data for so long ends it; default 15 min */
	mf_nsec syn_timeout;  /* default 127 s, as Linux */
	mf_nsec time_wait;    /* default 60 s */
	bool pacing;          /* the way to the peer is a network, not the local TUN */
	bool no_tso;          /* segments of one MSS only */
	bool no_sack, no_timestamps, no_window_scale; /* for tests */
	uint8_t tos;
};

/* Size of the object to embed: `struct mf_tcp` is defined in proto/tcp/conn.h, for its owner to embed and
 * for nobody but proto/tcp to look inside. A zeroed one is closed. */

/* A SYN (after mf_ip_input, checksum known to be right) that no connection wants: takes down addresses,
 * ports and options, sends nothing. The packet stays the caller's. MF_E_MALFORMED: not a lone SYN. */
MF_MUST_CHECK mf_err mf_tcp_hold(struct mf_tcp_env *env, struct mf_tcp *c,
				 const struct mf_tcp_config *cfg, const struct mf_pkt *syn,
				 mf_nsec now);
/* SYN_HELD: answer it. The SYN-ACK goes out with mf_tcp_output. */
void mf_tcp_accept(struct mf_tcp_env *env, struct mf_tcp *c, mf_nsec now);
/* CLOSED: opens a connection from `local` to `remote` (one family, both with ports). */
MF_MUST_CHECK mf_err mf_tcp_connect(struct mf_tcp_env *env, struct mf_tcp *c,
				    const struct mf_tcp_config *cfg, const struct mf_endpoint *local,
				    const struct mf_endpoint *remote, mf_nsec now);

/* A segment (after mf_ip_input, TCP header whole, checksum known to be right; super-packets whole) from the
 * peer to this connection. MF_DROP_NONE: taken, the packet is the connection's or freed. Otherwise the
 * reason, and the packet is still the caller's: it goes to the drop node. What the RFC wants sent in
 * answer (an ACK, a challenge, a reset) goes out with mf_tcp_output either way. */
enum mf_drop mf_tcp_input(struct mf_tcp_env *env, struct mf_tcp *c, struct mf_pkt *p, mf_nsec now);

/* Sends all that may go now. Cheap when there is nothing. */
void mf_tcp_output(struct mf_tcp_env *env, struct mf_tcp *c, mf_nsec now);

/* When mf_tcp_timeout wants to be called, MF_NEVER for never. May be called early or late. */
mf_nsec mf_tcp_deadline(const struct mf_tcp *c);
void mf_tcp_timeout(struct mf_tcp_env *env, struct mf_tcp *c, mf_nsec now);

/* Returns enum mf_tcp_event bits, and clears them. */
uint32_t mf_tcp_events(struct mf_tcp *c);
enum mf_tcp_state mf_tcp_state(const struct mf_tcp *c);

/* In-order payload that waits for the reader: up to `max` spans, oldest first; returns how many.
 * *bytes (may be NULL) is their sum. They stay valid until mf_tcp_recv_done. */
size_t mf_tcp_recv_spans(const struct mf_tcp *c, struct mf_span *v, size_t max, size_t *bytes);
/* The reader is done with the first n bytes: their packets are freed, the window opens. */
void mf_tcp_recv_done(struct mf_tcp_env *env, struct mf_tcp *c, size_t n);
/* All that waits; 0 and mf_tcp_eof: nothing will follow. */
size_t mf_tcp_recv_queued(const struct mf_tcp *c);
bool mf_tcp_eof(const struct mf_tcp *c);

/* How many bytes to give to mf_tcp_send now at most; 0: wait for MF_TCP_EV_ROOM. */
size_t mf_tcp_send_room(const struct mf_tcp *c);
/* The size that makes best use of one packet: a whole number of segments, at most 64 KiB. */
size_t mf_tcp_send_chunk(const struct mf_tcp *c);
/* Takes p, whose data/len are payload (not empty). ESTABLISHED or CLOSE_WAIT, not after
 * mf_tcp_shutdown (asserted). May exceed send_room by one packet. */
void mf_tcp_send(struct mf_tcp_env *env, struct mf_tcp *c, struct mf_pkt *p);
/* FIN after all that has been given. */
void mf_tcp_shutdown(struct mf_tcp *c);
/* Bytes given and not yet acknowledged. */
size_t mf_tcp_send_queued(const struct mf_tcp *c);

/* Ends it with a reset (none from SYN_HELD with `silent`, or from TIME_WAIT); state is CLOSED then. */
void mf_tcp_abort(struct mf_tcp_env *env, struct mf_tcp *c, bool silent, mf_nsec now);
/* Gives back all that it holds, sends nothing; zeroes it. Any state. */
void mf_tcp_free(struct mf_tcp_env *env, struct mf_tcp *c);

/* TIME_WAIT: may this SYN begin a new connection (RFC 9293 3.10.7.4, RFC 6191)? Then free this one. */
bool mf_tcp_may_reuse(const struct mf_tcp *c, const struct mf_pkt *syn);

/* ICMP about a segment that we have sent, with the sequence number that it quotes (RFC 5927: ignored if
 * that is not in flight). The new MTU of the path, or hard unreachability (matters only before the
 * connection is established). */
void mf_tcp_path_mtu(struct mf_tcp_env *env, struct mf_tcp *c, uint32_t mtu, uint32_t seq,
		     mf_nsec now);
void mf_tcp_unreachable(struct mf_tcp_env *env, struct mf_tcp *c, uint32_t seq);

struct mf_tcp_info {
	enum mf_tcp_state state;
	enum mf_tcp_end end;
	mf_nsec srtt, rttvar, rto; /* 0: not measured yet */
	uint32_t mss;              /* payload bytes of a segment to the peer */
	uint32_t cwnd, ssthresh;   /* bytes; ssthresh UINT32_MAX: none yet */
	uint32_t snd_wnd, rcv_wnd; /* bytes, as last heard and as last offered */
	uint32_t in_flight, retransmits;
	uint32_t syn_seq; /* sequence number of the peer's SYN */
	bool sack, timestamps;
	uint8_t snd_wscale, rcv_wscale;
};
void mf_tcp_info(const struct mf_tcp *c, struct mf_tcp_info *out);
/* The last sequence numbers, for building an answer that looks like the peer's own. */

#endif
