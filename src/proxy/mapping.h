/* SPDX-License-Identifier: Apache-2.0
 *
 * mapping - one local UDP port of an app, carried through a proxy: what the three ways of doing
 * that have in common. Packets that wait for the way to the server, bytes that a connection holds
 * back, counters and faults.
 */
#ifndef MF_PROXY_MAPPING_H
#define MF_PROXY_MAPPING_H

#include "base/count.h"
#include "proxy/dgram.h"

enum {
	/* Of what may wait for one way to the server: packets, a super-packet is one, and
	 * payload. */
	MF_WAITING_MAX = 32,
	MF_WAITING_BYTES = 64 * 1024,
	/* Of all mappings of an interface and worker. */
	MF_WAITING_ALL = 512,
};

/* How datagrams go on; the struct of each way begins with struct mf_mapping. */
struct mf_mapping_kind {
	size_t size; /* the codec's struct comes behind it, see mf_mapping_codec */
	/* m is zeroed but for its own part. An error: above->error says why, `end` is not
	 * called. */
	mf_err (*begin)(struct mf_mapping *m);
	/* As in struct mf_outbound_ops. */
	void (*send)(struct mf_mapping *m, struct mf_pkt **pkts, size_t n);
	size_t (*recv)(struct mf_mapping *m, struct mf_pkt **out, size_t max);
	/* Something has happened below, perhaps errors; NULL: recv looks after that. */
	void (*heed)(struct mf_mapping *m);
	/* See mf_dgrams_resolved; NULL: it does not wait for that. */
	void (*resolved)(struct mf_mapping *m, bool known);
	/* Everything that it holds. */
	void (*end)(struct mf_mapping *m);
};

extern const struct mf_mapping_kind mf_mapping_packets, mf_mapping_socks5, mf_mapping_streams;

struct mf_mapping {
	struct mf_dgram *above;
	struct mf_dgrams *of;
	const struct mf_mapping_kind *kind;
	struct mf_mapping *next, **prev; /* in of->first */
	uint32_t faults;                 /* in a row */
	mf_nsec not_before;              /* no new way to the server before that */
	struct mf_endpoint untold;       /* see mf_mapping_forbid; family 0: nobody is to be told */
};

/* What a mapping takes in all, and where in it the protocol's struct for packets is. */
size_t mf_mapping_size(const struct mf_dgram_proto *proto);
void *mf_mapping_codec(struct mf_mapping *m);
/* It is over: its session is told, and closes it. */
void mf_mapping_fail(struct mf_mapping *m);
/* Something is to be done: the session asks for errors and datagrams. */
void mf_mapping_notify(struct mf_mapping *m);

/* Datagrams in p: a super-packet is several of one size, the last may be shorter. */
static inline uint32_t mf_mapping_stride(const struct mf_pkt *p)
{
	return p->gso_type != MF_GSO_NONE && p->gso_size && p->gso_size < p->len ? p->gso_size
										 : p->len;
}
static inline uint32_t mf_mapping_datagrams(const struct mf_pkt *p)
{
	uint32_t stride = mf_mapping_stride(p);

	return p->len > stride ? (p->len + stride - 1) / stride : 1;
}

/* None of them can go: the verdict of each, counted. */
void mf_mapping_refuse(struct mf_mapping *m, struct mf_pkt **pkts, size_t n, enum mf_drop why);
/* The server carries no datagrams: the app is told so about one to `remote`, as about a firewall. */
void mf_mapping_forbid(struct mf_mapping *m, const struct mf_endpoint *remote);
/* What is to be told of that, once; false: nothing. */
bool mf_mapping_tell(struct mf_mapping *m, struct mf_dgram_error *e);
void mf_mapping_count_lost(struct mf_mapping *m, uint32_t datagrams);
/* The sender of a datagram as it is to be told to the app (an IPv4 address in an IPv6 one is taken
 * out); false: of the other family, the datagram is bad. */
bool mf_mapping_from(const struct mf_mapping *m, struct mf_endpoint *from);

/* ---- Faults ---------------------------------------------------------------------------------- */

/* The way to the server has failed. After a second time in a row the next one has to wait.
 * MF_PROXY_NONE: whoever is below has said why. */
void mf_mapping_fault(struct mf_mapping *m, enum mf_proxy_fault f, const char *detail);

/* Only the waiting: for an end that is no fault, unless it comes too often. */
void mf_mapping_back_off(struct mf_mapping *m);
/* The server has shown that it carries datagrams; `fresh`: for the first time on this way. */
void mf_mapping_ok(struct mf_mapping *m, bool fresh);
/* May a new way to the server be tried now? */
bool mf_mapping_may_try(const struct mf_mapping *m);
/* What an outbound below says, as a fault of the way to the server. */
enum mf_proxy_fault mf_mapping_fault_of(enum mf_stream_error e);

/* ---- Waiting --------------------------------------------------------------------------------- */

/* Packets that wait, oldest first. Zeroed, it is empty. */
struct mf_waiting {
	struct mf_pkt *first, *last;
	uint32_t n, bytes;
};
/* A copy of p, as its sender keeps it; or why not. */
enum mf_drop mf_waiting_put(struct mf_waiting *w, struct mf_mapping *m, const struct mf_pkt *p);
/* As mf_waiting_put, of each; the verdicts are in the packets. */
void mf_waiting_put_all(struct mf_waiting *w, struct mf_mapping *m, struct mf_pkt **pkts, size_t n);
/* Up to `max` from the first on, which the caller owns. */
size_t mf_waiting_take(struct mf_waiting *w, struct mf_mapping *m, struct mf_pkt **out, size_t max);
/* They cannot go any more: counted. */
void mf_waiting_drop(struct mf_waiting *w, struct mf_mapping *m);

/* ---- Streams --------------------------------------------------------------------------------- */

/* Working memory of `layers`, MF_CODEC_IN_MAX and MF_LAYER_OUT_MAX bytes, until mf_mapping_done.
 * False: out of memory; then it has been done. */
struct mf_mapping_work {
	uint8_t *in, *out;
};
MF_MUST_CHECK bool mf_mapping_work(struct mf_mapping *m, struct mf_mapping_work *w);
void mf_mapping_done(struct mf_mapping *m);
/* Appends to what is held, in a pool that all proxies of the worker share. A proxy gets as much of it as it leaves
 * free: a server that begins frames and does not end them spoils its own datagrams, and nobody else's. False: it
 * has that, or there is no memory. */
MF_MUST_CHECK bool mf_mapping_hold(struct mf_mapping *m, struct mf_held *h, const void *bytes,
				   size_t n);
/* All of it. */
void mf_mapping_let_go(struct mf_mapping *m, struct mf_held *h);

/* Writes to `s`, behind what is held in `h`; what is not taken is held. False: too much is. */
MF_MUST_CHECK bool mf_mapping_write(struct mf_mapping *m, struct mf_stream *s, struct mf_held *h,
				    struct mf_span bytes);

#endif
