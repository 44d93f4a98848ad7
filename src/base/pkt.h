/* SPDX-License-Identifier: Apache-2.0
 *
 * pkt - a packet: a descriptor and one contiguous piece of memory with room before and after.
 *
 * Two classes of memory. A *small* packet holds anything up to 2 KiB, a *large* one a super-packet
 * (TSO, USO, UDP GRO) of up to 64 KiB, which stays whole from edge to edge. Every pool belongs to one
 * worker: packets are taken and given back on that worker's thread only, last given first taken, so
 * that the memory in use stays warm and memory never used is never touched.
 */
#ifndef MF_PKT_H
#define MF_PKT_H

#include "base/addr.h"
#include "base/drop.h"

enum {
	MF_PKT_HEADROOM = 128,          /* WireGuard header, virtio header, encapsulation */
	MF_PKT_TAILROOM = 64,           /* padding to 16 and the tag, twice */
	MF_PKT_SMALL_MAX = 2048,        /* data bytes of a small packet */
	MF_PKT_LARGE_MAX = 65536,       /* data bytes of a large packet */
	MF_PKT_LAND = MF_PKT_SMALL_MAX, /* extra headroom of a large one: see mf_pkt_land */
};

enum mf_gso_type { MF_GSO_NONE, MF_GSO_TCP4, MF_GSO_TCP6, MF_GSO_UDP };

enum mf_pkt_flag {
	MF_PKT_NEEDS_CSUM = 1 << 0, /* L4 checksum holds the pseudo-header sum; complete it at
	                               csum_start + csum_offset (virtio 1.2, 5.1.6) */
	MF_PKT_CAPTURED = 1 << 1,   /* wanted by a running capture or trace */
	MF_PKT_LARGE = 1 << 2,      /* class of memory; set by the pool: change flags bit by bit */
	MF_PKT_MAY_FRAGMENT = 1 << 3, /* datagram to send: may go out in fragments (it came without "don't
	                                 fragment", or in fragments); else it is too big at once */
	MF_PKT_FROM_VPN = 1 << 4, /* came out of a VPN for a session of our own */
	MF_PKT_FREE = 1 << 7,     /* lies in its pool; only to catch a second mf_pkt_free */
};

struct mf_pkt {
	/* First cache line: what nodes read and write for each packet. */
	uint8_t *data; /* first byte of the packet (IP header) or of the datagram's payload */
	uint32_t len;
	uint16_t drop;     /* enum mf_drop, set by whoever sends it to the drop node */
	uint8_t flags;     /* enum mf_pkt_flag */
	uint8_t gso_type;  /* enum mf_gso_type: NONE means gso_size is 0 */
	uint16_t gso_size; /* payload bytes of each segment (TCP, UDP), or the stride of a batch of
	                        datagrams outside the tunnel (UDP_SEGMENT, UDP_GRO) */
	uint16_t csum_start; /* offsets from data, valid with MF_PKT_NEEDS_CSUM */
	uint16_t csum_offset;
	uint16_t l4_off;    /* from data to the L4 header; set by ip-input */
	uint8_t ip_version; /* 4 or 6; set by ip-input */
	uint8_t l4_proto; /* final L4 protocol; 0 for a fragment that has no L4 header; set by ip-input */
	uint8_t tos;       /* outer TOS or traffic class of a datagram, received or to send */
	uint8_t rx_port;   /* which input it came from: index into the worker's ports */
	uint32_t next_hop; /* route-lookup's result */
	uint32_t trace;    /* trace record, 0 = none */
	uint32_t segments; /* how many wire packets this stands for, 1 if gso_type is NONE */
	void *owner;       /* whom the nodes between two edges agree on: a peer, a session */
	/* More of the packet, behind data/len: payload that somebody else keeps until this packet has
	 * been sent. Only packets of the host stack on their way to an output have one. */
	const uint8_t *tail;
	uint32_t tail_len;
	uint8_t ttl; /* hop limit of a datagram to send, 0: the system's */

	/* Second line: where the packet's memory is and where a datagram comes from or goes to. */
	uint8_t *room_start, *room_end; /* data may move between these */
	struct mf_pkt_pool *pool;
	struct mf_pkt *next; /* for lists kept by the packet's owner; means nothing elsewhere */
	struct mf_endpoint remote; /* datagrams: where from, where to; family 0 in a fresh packet */
	uint32_t local_if;         /* datagrams: the interface index of `local`, 0 = any */

	/* Third line: edges only. */
	struct mf_addr local; /* datagrams: our address (sticky source); family 0 = any */
} MF_ALIGNED(MF_CACHE_LINE);
static_assert(offsetof(struct mf_pkt, room_start) == 64,
	      "the hot half of a packet is one cache line");
static_assert(sizeof(struct mf_pkt) == 192, "a packet's descriptor is three cache lines");

/* One class of memory. The descriptor stands in front of its packet's room at a fixed distance, so
 * that whoever holds the one can prefetch the other. */
struct mf_pkt_class {
	struct mf_pkt **free; /* last given, first taken */
	uint32_t n_free;
	uint32_t n_made; /* packets that were ever taken; the memory of the others is untouched */
	uint32_t n_total;
	uint8_t *mem;
};

/* Only for the inline functions below and pkt.c. */
struct mf_pkt_pool {
	struct mf_pkt_class small, large;
};

/* Reserves memory for the given numbers of packets; the pages are not touched before use. Returns
 * NULL when the address space is refused. Owned by one thread at a time. */
struct mf_pkt_pool *mf_pkt_pool_new(uint32_t n_small, uint32_t n_large);
/* Gives the memory back; every packet must have been freed (asserted). */
void mf_pkt_pool_free(struct mf_pkt_pool *pool);

/* Bytes of address space the pool takes when every packet is in use. */
size_t mf_pkt_pool_bytes(uint32_t n_small, uint32_t n_large);

/* Under AddressSanitizer the room of a free packet may not be touched. */
#if defined(__SANITIZE_ADDRESS__)
#define MF_PKT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MF_PKT_ASAN 1
#endif
#endif
#ifdef MF_PKT_ASAN
void mf_pkt_poison(struct mf_pkt *p, bool large);
void mf_pkt_unpoison(struct mf_pkt *p, bool large);
#else
static inline void mf_pkt_poison(struct mf_pkt *p, bool large)
{
	(void)p, (void)large;
}

static inline void mf_pkt_unpoison(struct mf_pkt *p, bool large)
{
	(void)p, (void)large;
}
#endif

/* Makes the next never used packet of a class and puts it on the free stack; false: all are made. */
bool mf_pkt_make(struct mf_pkt_pool *pool, struct mf_pkt_class *c);

static inline struct mf_pkt *mf_pkt_take(struct mf_pkt_pool *pool, struct mf_pkt_class *c,
					 size_t data_at, uint8_t flags)
{
	struct mf_pkt *p;

	if (MF_UNLIKELY(!c->n_free) && !mf_pkt_make(pool, c))
		return NULL;
	p = c->free[--c->n_free];
	mf_pkt_unpoison(p, c == &pool->large);
	memset(p, 0, offsetof(struct mf_pkt, room_start));
	p->data = (uint8_t *)p + data_at;
	p->flags = flags;
	p->segments = 1;
	p->remote.addr.family = MF_AF_NONE;
	p->local.family = MF_AF_NONE;
	p->local_if = 0;
	return p;
}

/* An empty packet (len 0, no offload, no addresses) with data behind its headroom, or NULL: the pool
 * is used up. The caller owns it until mf_pkt_free or until it is handed on. */
static inline struct mf_pkt *mf_pkt_small(struct mf_pkt_pool *pool)
{
	return mf_pkt_take(pool, &pool->small, sizeof(struct mf_pkt) + MF_PKT_HEADROOM, 0);
}

static inline struct mf_pkt *mf_pkt_large(struct mf_pkt_pool *pool)
{
	return mf_pkt_take(pool, &pool->large,
			   sizeof(struct mf_pkt) + MF_PKT_HEADROOM + MF_PKT_LAND, MF_PKT_LARGE);
}

static inline void mf_pkt_free(struct mf_pkt *p)
{
	struct mf_pkt_pool *pool = p->pool;
	bool large = p->flags & MF_PKT_LARGE;
	struct mf_pkt_class *c = large ? &pool->large : &pool->small;

	MF_ASSERT(!(p->flags & MF_PKT_FREE));
	p->flags |= MF_PKT_FREE;
	c->free[c->n_free++] = p;
	mf_pkt_poison(p, large);
}

/* How many could still be taken. */
static inline uint32_t mf_pkt_pool_free_small(const struct mf_pkt_pool *pool)
{
	return pool->small.n_free + pool->small.n_total - pool->small.n_made;
}

static inline uint32_t mf_pkt_pool_free_large(const struct mf_pkt_pool *pool)
{
	return pool->large.n_free + pool->large.n_total - pool->large.n_made;
}

static inline size_t mf_pkt_headroom(const struct mf_pkt *p)
{
	return (size_t)(p->data - p->room_start);
}

static inline size_t mf_pkt_tailroom(const struct mf_pkt *p)
{
	return (size_t)(p->room_end - p->data) - p->len;
}

/* An edge that cannot know whether the next thing is small or large reads with two iovecs: first
 * MF_PKT_SMALL_MAX bytes at small->data, the rest at large->data. When n bytes have come in this
 * returns the one that holds them all, in one piece (a large packet's extra headroom takes the first
 * 2 KiB); the other stays with the caller for the next read, its data where it was. Both must be as
 * they came from the pool, or with data moved back over headroom that the caller has used up. */
struct mf_pkt *mf_pkt_land(struct mf_pkt *small, struct mf_pkt *large, size_t n);

/* Bytes of the packet, the tail's too. */
static inline uint32_t mf_pkt_len(const struct mf_pkt *p)
{
	return p->len + p->tail_len;
}

/* Copies up to `max` bytes of the packet from its beginning, the tail's too; returns how many. */
size_t mf_pkt_gather(const struct mf_pkt *p, uint8_t *out, size_t max);

/* For outputs that want one piece: `p` itself if it has no tail or has room for it (then it has it in
 * data/len now, and MF_PKT_TAILROOM behind it still), else a large packet of `pool` with a copy of
 * everything and all that goes with it, which the caller frees; `p` is as it was. NULL: the pool is
 * used up. */
struct mf_pkt *mf_pkt_linear(struct mf_pkt_pool *pool, struct mf_pkt *p);

/* Copies what goes with the bytes: offload metadata, L3/L4 offsets, TOS, segments, the capture mark, and
 * whether they may go out in fragments. */
void mf_pkt_copy_meta(struct mf_pkt *to, const struct mf_pkt *from);

#endif
