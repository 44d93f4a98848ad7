/* SPDX-License-Identifier: Apache-2.0
 *
 * packets - see packets.h.
 */
#include "proxy/packets.h"

#include "wire/icmp.h"

enum {
	BURST = 32,          /* packets in one call below */
	RUN_SEGMENTS = 64,   /* datagrams in one super-packet: what UDP_SEGMENT takes at least */
	RUN_BYTES = 65000,   /* bytes likewise: UDP's own limit, with room to spare */
	ERRORS = 32,         /* looked at in one call */
	FETCHES = 4,         /* calls below for one of recv: anybody may send us nonsense */
	PAYLOAD_MAX = 65507, /* of UDP over IPv4 */
};

/* ---- The port below -------------------------------------------------------------------------- */

static void wake(struct mf_dgram *d)
{
	mf_mapping_notify(MF_CONTAINER_OF(d, struct mf_packets, lower)->m);
}

void mf_packets_init(struct mf_packets *k, struct mf_mapping *m, struct mf_packet_codec *codec)
{
	*k = (struct mf_packets){ .m = m, .codec = codec };
}

static void free_in(struct mf_packets *k)
{
	for (struct mf_pkt *p; (p = k->in);) {
		k->in = p->next;
		mf_pkt_free(p);
	}
	k->at = 0;
	k->has_ahead = false;
}

void mf_packets_close(struct mf_packets *k)
{
	free_in(k);
	if (!k->open)
		return;
	k->lower.out->ops->dgram_close(&k->lower);
	k->open = false;
	k->proven = false;
}

void mf_packets_fini(struct mf_packets *k)
{
	mf_packets_close(k);
	k->codec->ops->wipe(k->codec);
}

static enum mf_stream_error open_lower(struct mf_packets *k, uint8_t family)
{
	struct mf_dgrams *x = k->m->of;
	struct mf_outbound *o = x->via(x->ctx);
	struct mf_target to = { .addr = k->relay, .app.addr.family = family };

	if (!o)
		return MF_STREAM_E_NO_DEVICE;
	if (!o->ops->dgram_open)
		return MF_STREAM_E_UNSUPPORTED;
	k->lower = (struct mf_dgram){
		.out = o,
		.kind = MF_DGRAM_UDP,
		.family = family,
		.wake = wake,
	};
	if (!o->ops->dgram_open(o, &k->lower, &to))
		k->open = true;
	else if (!k->lower.error)
		k->lower.error = MF_STREAM_E_OTHER;
	return k->open ? MF_STREAM_E_NONE : (enum mf_stream_error)k->lower.error;
}

enum mf_stream_error mf_packets_aim(struct mf_packets *k, const struct mf_endpoint *relay)
{
	enum mf_stream_error why;

	k->relay = *relay;
	if (k->open && k->lower.family == relay->addr.family)
		return MF_STREAM_E_NONE;
	mf_packets_close(k);
	why = open_lower(k, relay->addr.family);
	if (why == MF_STREAM_E_NO_DEVICE)
		mf_mapping_fault(k->m, MF_PROXY_VIA, mf_stream_error_text(why));
	else if (why)
		mf_mapping_fault(k->m, mf_mapping_fault_of(why), mf_stream_error_text(why));
	return why;
}

/* The relay cannot be reached: why; MF_PROXY_NONE: it says something else. */
static enum mf_proxy_fault fault_of_error(const struct mf_dgram_error *e)
{
	if (e->remote.addr.family == MF_AF_IP4) {
		if (e->type == MF_ICMP4_UNREACHABLE && e->code == 3)
			return MF_PROXY_REFUSED;
		if (e->type == MF_ICMP4_UNREACHABLE && e->code != 4)
			return MF_PROXY_UNREACHABLE;
		return e->type == MF_ICMP4_TIME_EXCEEDED ? MF_PROXY_UNREACHABLE : MF_PROXY_NONE;
	}
	if (e->type == MF_ICMP6_UNREACHABLE)
		return e->code == 4 ? MF_PROXY_REFUSED : MF_PROXY_UNREACHABLE;
	return e->type == MF_ICMP6_TIME_EXCEEDED ? MF_PROXY_UNREACHABLE : MF_PROXY_NONE;
}

static bool heed_errors(struct mf_packets *k)
{
	struct mf_dgram_error e = { 0 };
	enum mf_proxy_fault f = MF_PROXY_NONE, one;

	for (unsigned i = 0; k->lower.out->ops->dgram_error(&k->lower, &e); i++) {
		one = mf_endpoint_equal(&e.remote, &k->relay) ? fault_of_error(&e) : MF_PROXY_NONE;
		f = one ? one : f;
		e = (struct mf_dgram_error){ 0 };
		if (i == ERRORS) {
			mf_mapping_notify(k->m);
			break;
		}
	}
	if (f)
		mf_mapping_fault(k->m, f, NULL);
	return f != MF_PROXY_NONE;
}

bool mf_packets_heed(struct mf_packets *k)
{
	uint32_t ready = k->lower.ready;

	if (!k->open || !ready)
		return false;
	k->lower.ready = 0;
	if (!(ready & MF_STREAM_FAILED))
		return heed_errors(k);
	mf_mapping_fault(k->m, MF_PROXY_VIA, mf_stream_error_text(k->lower.error));
	mf_packets_close(k);
	return true;
}

/* ---- Up -------------------------------------------------------------------------------------- */

/* Sealed packets that leave together, and which of the app's each is made of. */
struct outbox {
	struct mf_packets *k;
	struct mf_pkt **src;
	uint32_t n;
	bool run;           /* the last one takes more datagrams, if their payload has */
	uint32_t payload_n; /* this length */
	uint8_t family;     /* ... and their target this family */
	struct mf_pkt *pkt[BURST];
	uint32_t first[BURST], last[BURST]; /* indices into src */
};

static void settle(struct outbox *b, uint32_t j)
{
	struct mf_mapping *m = b->k->m;
	struct mf_pkt *p = b->pkt[j];

	if (!p->drop) {
		mf_count(&m->of->health->count.datagrams_up, p->segments);
	} else {
		mf_mapping_count_lost(m, p->segments);
		for (uint32_t i = b->first[j]; i <= b->last[j]; i++)
			b->src[i]->drop = p->drop;
	}
	mf_pkt_free(p);
}

static void flush(struct outbox *b)
{
	struct mf_packets *k = b->k;

	for (uint32_t j = 0; j < b->n; j++) {
		struct mf_pkt *p = b->pkt[j];

		p->remote = k->relay;
		p->flags |= MF_PKT_MAY_FRAGMENT;
		if (p->segments > 1)
			p->gso_type = MF_GSO_UDP;
		else
			p->gso_size = 0;
	}
	if (b->n)
		k->lower.out->ops->dgram_send(&k->lower, b->pkt, b->n);
	for (uint32_t j = 0; j < b->n; j++)
		settle(b, j);
	b->n = 0;
	b->run = false;
}

/* For n bytes, or for several datagrams of that many. */
static struct mf_pkt *take(struct outbox *b, size_t n, bool several)
{
	struct mf_pkt_pool *pool = b->k->m->of->pool;
	struct mf_pkt *p = several || n > MF_PKT_SMALL_MAX ? mf_pkt_large(pool) : NULL;

	if (!p && n <= MF_PKT_SMALL_MAX)
		p = mf_pkt_small(pool);
	if (p)
		p->segments = 0;
	return p;
}

/* The i-th packet's datagrams go into p from now on. */
static void push(struct outbox *b, uint32_t i, struct mf_pkt *p)
{
	if (b->n == BURST)
		flush(b);
	b->pkt[b->n] = p;
	b->first[b->n++] = i;
}

static size_t room(const struct mf_pkt *p)
{
	size_t max = p->flags & MF_PKT_LARGE ? MF_PKT_LARGE_MAX : MF_PKT_SMALL_MAX;

	return max - p->len;
}

static bool joins(const struct outbox *b, const struct mf_endpoint *to, size_t payload_n)
{
	const struct mf_pkt *p;

	if (!b->run || payload_n != b->payload_n || to->addr.family != b->family)
		return false;
	p = b->pkt[b->n - 1];
	return p->segments < RUN_SEGMENTS &&
	       payload_n + MF_PACKET_OVERHEAD_MAX <= mf_min(room(p), RUN_BYTES - p->len);
}

/* The datagram of n bytes behind p is longer than those in it (padding of the protocol's): it
 * begins anew. */
static struct mf_pkt *move(struct outbox *b, uint32_t i, const struct mf_pkt *p, size_t n)
{
	struct mf_pkt *q = take(b, n, true);

	if (!q)
		return NULL;
	memcpy(q->data, p->data + p->len, n);
	push(b, i, q);
	return q;
}

/* n bytes behind p are one more datagram, of the i-th packet. */
static void append(struct outbox *b, uint32_t i, struct mf_pkt *p, size_t n)
{
	if (!p->segments)
		p->gso_size = (uint16_t)n;
	p->len += (uint32_t)n;
	p->segments++;
	b->last[b->n - 1] = i;
	b->run = n == p->gso_size;
}

static enum mf_drop seal(struct outbox *b, uint32_t i, struct mf_span payload, bool several)
{
	struct mf_proxy_target to = { .addr = b->src[i]->remote };
	struct mf_packet_codec *c = b->k->codec;
	bool joined = joins(b, &to.addr, payload.n);
	struct mf_pkt *p;
	size_t n;

	p = joined ? b->pkt[b->n - 1] : take(b, payload.n + MF_PACKET_OVERHEAD_MAX, several);
	b->run = false;
	if (!p)
		return MF_DROP_BUFFERS;
	n = c->ops->seal(c, &to, payload, p->data + p->len, room(p));
	if (!n || n > PAYLOAD_MAX) {
		if (!joined)
			mf_pkt_free(p);
		return MF_DROP_PROXY_LENGTH;
	}
	if (!joined)
		push(b, i, p);
	else if (n > p->gso_size && !(p = move(b, i, p, n)))
		return MF_DROP_BUFFERS;
	append(b, i, p, n);
	b->payload_n = (uint32_t)payload.n;
	b->family = to.addr.addr.family;
	return MF_DROP_NONE;
}

/* Is the datagram behind that of n bytes at `off` of the i-th packet one that may join it? */
static bool next_joins(struct mf_pkt **pkts, size_t n_pkts, size_t i, uint32_t off, uint32_t n)
{
	const struct mf_pkt *p = pkts[i], *q;

	if (off + n < p->len)
		return p->len - off - n >= n;
	if (++i == n_pkts)
		return false;
	q = pkts[i];
	return mf_mapping_stride(q) == n && q->remote.addr.family == p->remote.addr.family;
}

static void send_packet(struct outbox *b, size_t n_pkts, uint32_t i)
{
	struct mf_pkt *p = b->src[i];
	uint32_t stride = mf_mapping_stride(p), off = 0, n;

	do {
		enum mf_drop why;

		n = (uint32_t)mf_min(stride, p->len - off);
		why = seal(b, i, mf_span(p->data + off, n), next_joins(b->src, n_pkts, i, off, n));
		if (why) {
			p->drop = (uint16_t)why;
			mf_mapping_count_lost(b->k->m, 1);
		}
		off += n;
	} while (off < p->len);
}

void mf_packets_send(struct mf_packets *k, struct mf_pkt **pkts, size_t n)
{
	struct outbox b = { .k = k, .src = pkts };

	if (!k->open) {
		mf_mapping_refuse(k->m, pkts, n, MF_DROP_OUTBOUND_DOWN);
		return;
	}
	for (size_t i = 0; i < n; i++)
		pkts[i]->drop = MF_DROP_NONE;
	for (size_t i = 0; i < n; i++)
		send_packet(&b, n, (uint32_t)i);
	flush(&b);
}

void mf_packets_send_waiting(struct mf_packets *k, struct mf_waiting *w)
{
	struct mf_pkt *pkts[BURST];
	size_t n;

	while ((n = mf_waiting_take(w, k->m, pkts, BURST))) {
		mf_packets_send(k, pkts, n);
		for (size_t i = 0; i < n; i++)
			mf_pkt_free(pkts[i]);
	}
}

/* ---- Down ------------------------------------------------------------------------------------ */

static void count_bad(struct mf_packets *k, uint32_t n)
{
	mf_count(&k->m->of->health->count.datagrams_bad, n);
}

static bool open_one(struct mf_packets *k, uint8_t *at, size_t n, struct mf_packets_opened *o)
{
	struct mf_dgrams *x = k->m->of;
	struct mf_span payload;
	mf_err e = k->codec->ops->open(k->codec, at, n, &payload, &o->from);

	if (MF_UNLIKELY(e || !mf_mapping_from(k->m, &o->from))) {
		count_bad(k, 1);
		/* The only fault that is told by somebody who has the key. */
		if (e && k->codec->fault == MF_PROXY_CLOCK)
			mf_proxy_health_fault(x->health, MF_PROXY_CLOCK, NULL, x->layers->log,
					      x->config->name, x->layers->now);
		return false;
	}
	o->payload = at + (payload.p - at);
	o->n = (uint32_t)payload.n;
	return true;
}

/* The next datagram of the first packet that opens; false: there is none. */
static bool next(struct mf_packets *k, struct mf_packets_opened *o)
{
	struct mf_pkt *p = k->in;
	uint32_t stride = mf_mapping_stride(p), n;

	if (k->has_ahead) {
		*o = k->ahead;
		k->has_ahead = false;
		return true;
	}
	while (k->at < p->len) {
		uint8_t *at = p->data + k->at;

		n = (uint32_t)mf_min(stride, p->len - k->at);
		k->at += n;
		if (open_one(k, at, n, o))
			return true;
	}
	return false;
}

static void pop(struct mf_packets *k)
{
	k->in = k->in->next;
	k->at = 0;
}

static struct mf_pkt *filled(struct mf_pkt *p, const struct mf_packets_opened *run, uint32_t total,
			     uint32_t segments)
{
	p->len = total;
	p->remote = run->from;
	p->tos = 0;
	p->ttl = 0;
	p->segments = segments;
	p->gso_type = segments > 1 ? MF_GSO_UDP : MF_GSO_NONE;
	p->gso_size = segments > 1 ? (uint16_t)run->n : 0;
	p->next = NULL;
	return p;
}

/* A packet of its own; NULL: none is free, and so many datagrams are lost. */
static struct mf_pkt *copy_run(struct mf_packets *k, const struct mf_packets_opened *run,
			       uint32_t total, uint32_t segments)
{
	struct mf_pkt_pool *pool = k->m->of->pool;
	struct mf_pkt *p = total <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p) {
		mf_mapping_count_lost(k->m, segments);
		return NULL;
	}
	memcpy(p->data, run->payload, total);
	return filled(p, run, total, segments);
}

static bool continues(const struct mf_packets_opened *run, uint32_t last_n, uint32_t total,
		      const struct mf_packets_opened *o)
{
	return last_n == run->n && o->n && o->n <= run->n && total + o->n <= RUN_BYTES &&
	       mf_endpoint_equal(&o->from, &run->from);
}

/* From a super-packet: the next datagrams of one sender and size. The first of them stays where it
 * is, the others move up to it; so nothing that is still to be opened is written over. NULL:
 * nothing this time. */
static struct mf_pkt *take_run(struct mf_packets *k)
{
	struct mf_packets_opened run, o;
	struct mf_pkt *p = k->in;
	uint32_t total, last_n, segments = 1;
	bool more;

	if (!next(k, &run)) {
		pop(k);
		mf_pkt_free(p);
		return NULL;
	}
	total = last_n = run.n;
	while ((more = next(k, &o)) && continues(&run, last_n, total, &o)) {
		memmove(run.payload + total, o.payload, o.n);
		total += last_n = o.n;
		segments++;
	}
	if (more) {
		k->ahead = o;
		k->has_ahead = true;
		return copy_run(k, &run, total, segments);
	}
	pop(k);
	p->data = run.payload;
	return filled(p, &run, total, segments);
}

/* From a packet with one datagram; NULL: it is bad. */
static struct mf_pkt *take_one(struct mf_packets *k)
{
	struct mf_packets_opened o;
	struct mf_pkt *p = k->in;

	pop(k);
	if (!open_one(k, p->data, p->len, &o)) {
		mf_pkt_free(p);
		return NULL;
	}
	p->data = o.payload;
	return filled(p, &o, o.n, 1);
}

/* From below, at most `max`; what is not from the relay is nothing for us. False: there is no
 * more. */
static bool fetch(struct mf_packets *k, size_t max)
{
	struct mf_pkt *pkts[BURST], **end = &k->in;
	size_t n;

	if (!k->open)
		return false;
	n = k->lower.out->ops->dgram_recv(&k->lower, k->m->of->pool, pkts, mf_min(max, BURST));
	for (size_t i = 0; i < n; i++) {
		if (MF_UNLIKELY(!mf_endpoint_equal(&pkts[i]->remote, &k->relay))) {
			count_bad(k, mf_mapping_datagrams(pkts[i]));
			mf_pkt_free(pkts[i]);
			continue;
		}
		*end = pkts[i];
		end = &pkts[i]->next;
	}
	*end = NULL;
	return n > 0;
}

size_t mf_packets_recv(struct mf_packets *k, struct mf_pkt **out, size_t max)
{
	unsigned fetches = 0;
	size_t n = 0;

	while (n < max) {
		struct mf_pkt *p = NULL;

		if (!k->in && fetches++ == FETCHES) {
			mf_mapping_notify(k->m);
			break;
		}
		if (!k->in && !fetch(k, max - n))
			break;
		if (!k->in)
			continue;
		if (MF_LIKELY(mf_mapping_stride(k->in) == k->in->len))
			p = take_one(k);
		else
			p = take_run(k);
		if (p)
			out[n++] = p;
	}
	if (n) {
		mf_mapping_ok(k->m, !k->proven);
		k->proven = true;
	}
	return n;
}
