/* SPDX-License-Identifier: Apache-2.0
 *
 * outbound - the seam between a session and what carries it on: `direct`, a proxy.
 *
 * An outbound is a table of functions and a context, one for each worker; all of it runs on that worker's
 * thread and never blocks. A session owns a struct mf_stream (TCP) or struct mf_dgram (UDP, echo), the
 * outbound keeps its own state in `impl`. The outbound calls *up* only with mf_stream_notify and
 * mf_dgram_notify, which do nothing but put the session on its worker's list: so it may call them from
 * anywhere, also from inside the functions below, and is never called back from within.
 *
 * Readiness is edge-triggered, as epoll's EPOLLET: after READABLE the session reads until read says
 * MF_STREAM_AGAIN or less than it had room for; after a write that took less than it was given it waits
 * for WRITABLE. So an outbound that has more must say so again only after it has said "no more".
 *
 * A new outbound is one file that fills in struct mf_outbound_ops; docs/host-stack.md has an example.
 */
#ifndef MF_OUTBOUND_H
#define MF_OUTBOUND_H

#include "base/pkt.h"

struct mf_outbound;
struct mf_stream;
struct mf_dgram;
struct mf_steps;

enum mf_stream_event {
	MF_STREAM_OPENED = 1 << 0,
	MF_STREAM_READABLE = 1 << 1, /* bytes, or the end of them */
	MF_STREAM_WRITABLE = 1 << 2,
	MF_STREAM_FAILED = 1 << 3, /* `error` says why; only stream_close is called after that */
};

/* X(NAME, "text"): why a stream could not be opened, or ended before its time. */
#define MF_STREAM_ERROR_LIST(X)                                \
	X(NONE, "no error")                                    \
	X(REFUSED, "connection refused")                       \
	X(RESET, "connection reset by the far side")           \
	X(TIMED_OUT, "the far side does not answer")           \
	X(HOST_UNREACHABLE, "host unreachable")                \
	X(NET_UNREACHABLE, "network unreachable")              \
	X(PROHIBITED, "prohibited by a firewall")              \
	X(NO_DEVICE, "no egress device")                       \
	X(NO_RESOURCES, "out of descriptors, ports or memory") \
	X(UNSUPPORTED, "this interface cannot carry it")       \
	X(PROXY, "the proxy has failed")                       \
	X(OTHER, "the operating system reports another error")
enum mf_stream_error {
#define X(name, text) MF_STREAM_E_##name,
	MF_STREAM_ERROR_LIST(X)
#undef X
		MF_STREAM_ERROR_COUNT
};
/* "connection refused" and so on; never NULL. */
const char *mf_stream_error_text(enum mf_stream_error e);

/* What read returns besides a number of bytes. */
enum { MF_STREAM_AGAIN = 0, MF_STREAM_EOF = -1, MF_STREAM_ERR = -2 };

/* Where a session wants to go. */
struct mf_target {
	struct mf_endpoint addr; /* as the app asked */
	struct mf_endpoint app;  /* whose session it is */
	const char *name;        /* the name that the app meant, if it is known; NULL */
};

/* The far half of a TCP session. Embedded in the session, zeroed before open. */
struct mf_stream {
	struct mf_outbound *out; /* open may put another one here, who carries it from then on */
	void *impl;              /* the outbound's */
	uint32_t ready; /* enum mf_stream_event: what was notified; the session clears it */
	uint8_t error;  /* enum mf_stream_error, with MF_STREAM_FAILED */
	void (*wake)(struct mf_stream *s); /* the session's: puts it on its worker's list */
	/* Who has opened it wants to know its way (host/steps.h), and will close it with `reset`, so
	 * that nothing is written there later. NULL, mostly. */
	struct mf_steps *steps;
};

struct mf_stream_info {
	mf_nsec rtt;     /* of the far half, 0: unknown */
	char device[16]; /* that it goes out through; empty: unknown */
};

enum mf_dgram_kind { MF_DGRAM_UDP, MF_DGRAM_ECHO };

/* The far half of a UDP mapping (or of an echo session): one local port, any number of remotes. */
struct mf_dgram {
	struct mf_outbound *out; /* as in struct mf_stream */
	void *impl;
	uint32_t ready; /* READABLE, FAILED */
	uint8_t error;
	uint8_t kind;   /* enum mf_dgram_kind */
	uint8_t family; /* enum mf_family */
	void (*wake)(struct mf_dgram *d);
};

/* An ICMP error about a datagram that was sent through a struct mf_dgram. */
struct mf_dgram_error {
	struct mf_endpoint remote; /* where the datagram was going */
	struct mf_addr offender;   /* who sent the error; family 0: we ourselves */
	uint8_t type, code;        /* of the datagram's family: ICMPv4 or ICMPv6 */
	uint32_t mtu;              /* with "too big" */
	uint16_t echo_seq;         /* echo: sequence number of the request */
};

struct mf_outbound_ops {
	const char *name;

	/* ---- Streams --------------------------------------------------------------------------- */
	/* Begins; OPENED or FAILED is notified, now or later. On an error nothing has begun and
	 * s->error says why. */
	MF_MUST_CHECK mf_err (*stream_open)(struct mf_outbound *o, struct mf_stream *s,
					    const struct mf_target *to);
	/* Takes bytes, from the first span on; returns how many, 0: none now. Only after OPENED. */
	size_t (*stream_write)(struct mf_stream *s, const struct mf_span *v, size_t n);
	/* Fills the rooms, from the first on; returns how many bytes, or MF_STREAM_AGAIN, _EOF, _ERR
	 * (then s->error says why). */
	ptrdiff_t (*stream_read)(struct mf_stream *s, const struct mf_room *v, size_t n);
	/* Nothing will be written any more: the far side sees the end after what has been written. */
	void (*stream_shutdown)(struct mf_stream *s);
	/* The end of it in any state; with `reset` the far side sees a reset. s->impl is NULL then,
	 * and nothing is notified any more. */
	void (*stream_close)(struct mf_stream *s, bool reset);
	void (*stream_info)(const struct mf_stream *s, struct mf_stream_info *out);

	/* ---- Datagrams ------------------------------------------------------------------------- */
	/* d->kind and d->family are set. NULL in an outbound that cannot. For ECHO `id` is the
	 * identifier that the app uses; the outbound may use another one outside. */
	MF_MUST_CHECK mf_err (*dgram_open)(struct mf_outbound *o, struct mf_dgram *d,
					   const struct mf_target *to);
	/* Sends payloads (data/len; gso_type MF_GSO_UDP with gso_size: several of one size), each to
	 * its `remote`, with `tos` and `ttl` unless they are 0. Of ECHO the payload is the ICMP message from its type on. The packets stay the caller's, `drop` of each
	 * becomes MF_DROP_NONE or why not. */
	void (*dgram_send)(struct mf_dgram *d, struct mf_pkt **pkts, size_t n);
	/* Up to `max` of what came in, each with `remote`, `tos`, gso_* and at least MF_PKT_HEADROOM - 16
	 * bytes before data; the caller owns them. 0: no more. */
	size_t (*dgram_recv)(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out,
			     size_t max);
	/* The next error; false: none. Errors are READABLE, too. */
	bool (*dgram_error)(struct mf_dgram *d, struct mf_dgram_error *e);
	void (*dgram_close)(struct mf_dgram *d);
};

struct mf_outbound {
	const struct mf_outbound_ops *ops;
	void *ctx;
	/* Datagrams that are given to it go another way, or nowhere: what must go this way goes in streams. */
	bool streams_only;
};

/* For outbounds. */
static inline void mf_stream_notify(struct mf_stream *s, uint32_t events)
{
	s->ready |= events;
	s->wake(s);
}

static inline void mf_stream_fail(struct mf_stream *s, enum mf_stream_error why)
{
	s->error = (uint8_t)why;
	mf_stream_notify(s, MF_STREAM_FAILED);
}

static inline void mf_dgram_notify(struct mf_dgram *d, uint32_t events)
{
	d->ready |= events;
	d->wake(d);
}

#endif
