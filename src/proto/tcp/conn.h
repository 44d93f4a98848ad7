/* SPDX-License-Identifier: Apache-2.0
 *
 * conn - what one TCP connection remembers. Its owner embeds it and leaves what is inside to
 * src/proto/tcp; the names are those of RFC 9293 3.3.1 where it has one.
 *
 * There are tens of thousands of these: what hurts at that number is not here (a template of the
 * headers, a copy of the options), what is touched for every segment stands together at the top.
 */
#ifndef MF_TCP_CONN_H
#define MF_TCP_CONN_H

#include "proto/tcp/cubic.h"
#include "proto/tcp/reass.h"
#include "proto/tcp/rtt.h"
#include "proto/tcp/tcp.h"

/* What is to be sent at the end of the turn, beside data. */
enum mf_tcp_todo {
	MF_TCP_TODO_ACK = 1 << 0,
	MF_TCP_TODO_SYN = 1 << 1,   /* SYN or SYN-ACK */
	MF_TCP_TODO_RST = 1 << 2,   /* at rst_seq: the segment it answers cannot be ours */
	MF_TCP_TODO_PROBE = 1 << 3, /* an old sequence number, which the peer must answer */
	MF_TCP_TODO_TLP = 1 << 4,   /* tail loss probe */
	MF_TCP_TODO_TUNE = 1 << 5,  /* the reader has moved: look at the window again */
	MF_TCP_TODO_FORCE = 1 << 6, /* send what fits the window, however little */
};

enum mf_tcp_flag {
	MF_TCP_F_SACK = 1 << 0,
	MF_TCP_F_TS = 1 << 1,
	MF_TCP_F_WSCALE = 1 << 2,
	MF_TCP_F_PASSIVE = 1 << 3,        /* the peer opened it */
	MF_TCP_F_FIN_QUEUED = 1 << 4,     /* a FIN follows what is queued */
	MF_TCP_F_FIN_SENT = 1 << 5,       /* snd_nxt stands behind it */
	MF_TCP_F_FIN_HEARD = 1 << 6,      /* rcv_fin is known */
	MF_TCP_F_EOF = 1 << 7,            /* ... and reached */
	MF_TCP_F_CWND_LIMITED = 1 << 8,   /* cwnd is what held the sender up */
	MF_TCP_F_REORDERING = 1 << 9,     /* seen on this path (RFC 8985 5.2) */
	MF_TCP_F_TLP_RETRANS = 1 << 10,   /* the tail loss probe was a retransmission */
	MF_TCP_F_TLP_OUT = 1 << 11,       /* tlp_end is valid */
	MF_TCP_F_UNDO = 1 << 12,          /* this recovery may yet turn out to be needless */
	MF_TCP_F_WND_LIMITED = 1 << 13,   /* the peer's window is what held the sender up */
	MF_TCP_F_SYN_AGAIN = 1 << 14,     /* the SYN was sent more than once: no RTT from it */
	MF_TCP_F_DSACK_ROUND = 1 << 15,   /* dsack_end is valid */
	MF_TCP_F_RETRANS_STAMP = 1 << 16, /* retrans_ts is valid */
};

enum mf_tcp_recovery {
	MF_TCP_OPEN,     /* no loss is being repaired */
	MF_TCP_RECOVERY, /* found by SACK, RACK or duplicate ACKs; PRR rules cwnd */
	MF_TCP_LOSS,     /* after a timeout */
};

/* What the timer of the send side is for. */
enum mf_tcp_xmit_kind {
	MF_TCP_XMIT_NONE,
	MF_TCP_XMIT_RTO,
	MF_TCP_XMIT_TLP,
	MF_TCP_XMIT_REORDER,
	MF_TCP_XMIT_PERSIST,
};

enum mf_tcp_rec_flag {
	MF_TCP_REC_SACKED = 1 << 0,
	MF_TCP_REC_LOST = 1 << 1,    /* and not sent again yet */
	MF_TCP_REC_RETRANS = 1 << 2, /* sent more than once */
	MF_TCP_REC_NO_RTT = 1 << 3,  /* `xmit` is not that of all its bytes */
	MF_TCP_REC_FIN = 1 << 4,     /* its last sequence number is the FIN */
	MF_TCP_REC_PART = 1 << 5,    /* only its beginning was sent again: it could not be cut */
};

/* Consecutive sequence numbers that were sent at one time. */
struct mf_tcp_rec {
	struct mf_tcp_rec *next;
	struct mf_pkt *p; /* of the send queue, in which it begins; it may reach into the next ones */
	mf_nsec xmit;
	uint32_t seq, len;
	uint32_t part; /* MF_TCP_REC_PART: up to where */
	uint8_t flags;
};

/* What is left of struct mf_tcp_config; times in ms. */
struct mf_tcp_limits {
	uint32_t rcv_wnd_max, snd_buf_max;
	uint32_t keepalive_idle, keepalive_interval; /* idle 0: none */
	uint32_t user_timeout, syn_timeout, time_wait;
	uint16_t keepalive_count;
	uint8_t tos;
	bool pacing : 1, no_tso : 1, no_sack : 1, no_ts : 1, no_wscale : 1;
};

struct mf_tcp {
	struct mf_tcp_env *env; /* NULL: never opened, or freed */

	uint8_t state, end, events, todo;
	uint32_t flags; /* enum mf_tcp_flag */

	/* Receive side. */
	uint32_t rcv_nxt;
	uint32_t rcv_adv;  /* the right edge of the window as offered; never moves back */
	uint32_t ack_sent; /* what was acknowledged last */
	uint32_t ts_recent;
	uint32_t rcv_queued; /* bytes that wait for the reader */
	uint32_t rcv_buf;    /* bytes that may wait: autotuned */
	struct mf_pkt *rcv_first, *rcv_last;
	uint32_t rcv_mem; /* packet memory of these and of the reassembly queue */
	uint32_t rcv_due; /* the window, if the thread's rx_due counts it; else 0 */
	uint16_t rcv_mss; /* the largest segment seen */
	uint8_t rcv_wscale, snd_wscale;

	/* Send side. Queued: [snd_una, snd_end); sent: [snd_una, snd_nxt). */
	uint32_t snd_una, snd_nxt, snd_end;
	uint32_t snd_wnd, snd_wl1, snd_wl2;
	uint32_t max_wnd; /* the largest window the peer has offered */
	uint32_t mss;     /* payload of a segment, options taken off */
	struct mf_pkt *snd_first, *snd_last, *unsent;
	struct mf_tcp_rec *rec_first, *rec_last;
	uint32_t sacked, lost; /* bytes of the records so marked; `sacked` guesses without SACK */
	uint32_t snd_mem;
	uint16_t n_recs;
	uint8_t recovery;  /* enum mf_tcp_recovery */
	uint8_t xmit_kind; /* enum mf_tcp_xmit_kind */

	/* Timers. MF_NEVER: not running. */
	mf_nsec xmit_at, ack_at, idle_at, pace_at;
	mf_nsec heard;     /* when the peer last sent something acceptable */
	mf_nsec una_since; /* since when snd_una stands still with data in flight */

	struct mf_tcp_rtt rtt;
	struct mf_tcp_cubic cubic;
	mf_nsec pace_next; /* when the next byte may go */

	/* Loss recovery: RFC 8985, RFC 9937. */
	mf_nsec rack_xmit, rack_rtt;
	uint32_t rack_end, fack;
	uint32_t dsack_end; /* the round in which a D-SACK has been counted */
	uint32_t tlp_end;
	uint32_t recover; /* recovery ends here */
	uint32_t prr_delivered, prr_out, prr_flight;
	uint32_t undo_retrans; /* bytes sent again in this recovery and not reported twice */
	uint32_t retrans_ts;   /* our timestamp when the first of them went out */
	uint8_t reo_mult, reo_persist;
	uint8_t dup_acks; /* without SACK */
	uint8_t probes;   /* of a closed window, or keepalive, unanswered */

	/* Receive side, rarely. */
	struct mf_tcp_reass reass;
	struct mf_tcp_range dsack; /* to be reported; start == end: none */
	uint32_t rcv_fin;
	uint32_t drs_copied; /* bytes read since drs_at */
	uint32_t drs_rtt;    /* us, as the receiver sees it; 0: unknown */
	mf_nsec drs_at;
	mf_nsec data_at;  /* when data last came */
	mf_nsec oow_next; /* when the answers to bad segments are used up: GCRA */
	uint8_t pingpong; /* answers so quick that they can take the ACK along, lately */
	bool unanswered;  /* data has come, and nothing was sent since */
	uint8_t n_ooo;    /* segments that came out of order since the last ACK */
	bool pushed;      /* nothing follows at once what came last */
	uint8_t lagging;  /* times that the buffer will not grow though the reader is quick */

	/* From the handshake. */
	uint8_t syn_backoff;
	uint16_t peer_mss;
	uint16_t mtu;
	uint32_t iss, irs;
	uint32_t ts_offset;
	uint32_t rst_seq;
	uint32_t retransmits;
	mf_nsec syn_at, syn_since; /* sent last, and at first */
	struct mf_endpoint local, remote;
	struct mf_tcp_limits cfg;
	struct mf_tcp_rec own_rec; /* so that an empty pool of records stops nobody; len 0: free */
};
static_assert(sizeof(struct mf_tcp) <= 768, "there are tens of thousands of connections");

#endif
