/* SPDX-License-Identifier: Apache-2.0
 *
 * hostnet - see hostnet.h.
 */
#include "hostnet.h"

#include <stdlib.h>

#include "salted.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/reply.h"

enum { MAX_ROUNDS = 200000, MAX_WIRES = 100000 };

/* ---- Wires ----------------------------------------------------------------------------------------- */

static void queue_init(struct hostnet_queue *q)
{
	*q = (struct hostnet_queue){ .tail = &q->head };
}

static void queue_put(struct hostnet_queue *q, struct hostnet_wire *w)
{
	w->next = NULL;
	*q->tail = w;
	q->tail = &w->next;
	q->n++;
	MF_ASSERT(q->n < MAX_WIRES);
}

static struct hostnet_wire *queue_get(struct hostnet_queue *q)
{
	struct hostnet_wire *w = q->head;

	if (!w)
		return NULL;
	q->head = w->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return w;
}

static void queue_clear(struct hostnet_queue *q)
{
	struct hostnet_wire *w;

	while ((w = queue_get(q)))
		free(w);
}

static struct hostnet_wire *wire_new(size_t len)
{
	struct hostnet_wire *w = calloc(1, sizeof(*w) + len);

	MF_ASSERT(w);
	w->len = (uint32_t)len;
	w->segments = 1;
	return w;
}

/* Ends p: its bytes and its tail's become a wire. */
static struct hostnet_wire *wire_of(struct mf_pkt *p)
{
	struct hostnet_wire *w = wire_new((size_t)p->len + p->tail_len);

	memcpy(w->bytes, p->data, p->len);
	if (p->tail_len)
		memcpy(w->bytes + p->len, p->tail, p->tail_len);
	w->gso_type = p->gso_type;
	w->gso_size = p->gso_size;
	w->segments = p->segments;
	w->needs_csum = p->flags & MF_PKT_NEEDS_CSUM;
	w->csum_start = p->csum_start;
	w->csum_offset = p->csum_offset;
	mf_pkt_free(p);
	return w;
}

/* NULL: no packet is free. */
static struct mf_pkt *pkt_of(struct mf_pkt_pool *pool, const struct hostnet_wire *w)
{
	struct mf_pkt *p = w->len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	memcpy(p->data, w->bytes, w->len);
	p->len = w->len;
	p->gso_type = w->gso_type;
	p->gso_size = w->gso_size;
	p->segments = w->segments;
	p->csum_start = w->csum_start;
	p->csum_offset = w->csum_offset;
	if (w->needs_csum)
		p->flags |= MF_PKT_NEEDS_CSUM;
	return p;
}

/* ---- The host's port ------------------------------------------------------------------------------- */

static void emit(void *ctx, struct mf_pkt *p)
{
	struct hostnet *n = ctx;

	n->emitted += p->segments;
	queue_put(&n->to_apps, wire_of(p));
}

static void drop(void *ctx, struct mf_pkt *p, enum mf_drop reason)
{
	struct hostnet *n = ctx;

	MF_ASSERT(reason > MF_DROP_NONE && reason < MF_DROP_COUNT);
	n->drops[reason] += p->segments;
	mf_pkt_free(p);
}

static void consume(void *ctx, struct mf_pkt *p)
{
	struct hostnet *n = ctx;

	n->consumed += p->segments;
	mf_pkt_free(p);
}

static void taken(void *ctx, uint32_t segments, uint32_t trace)
{
	struct hostnet *n = ctx;

	MF_ASSERT(segments > 0 && trace == 7);
	n->taken += segments;
}

static void handoff(void *ctx, struct mf_pkt *p, unsigned worker)
{
	struct hostnet *n = ctx;

	n->handed += p->segments;
	n->handed_to = worker;
	mf_pkt_free(p);
}

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	struct hostnet *n = ctx;

	MF_ASSERT(hop == HOSTNET_HOP || hop == HOSTNET_OTHER);
	return n->down ? NULL : hop == HOSTNET_HOP ? &n->out.out : &n->other.out;
}

static uint32_t route(void *ctx, const struct mf_addr *dst)
{
	struct hostnet *n = ctx;

	MF_ASSERT(dst->family != MF_AF_NONE);
	return n->route;
}

static bool settles(void *ctx, const struct mf_addr *dst)
{
	struct hostnet *n = ctx;

	MF_ASSERT(dst->family != MF_AF_NONE);
	return n->settles;
}

static uint32_t settle_name(void *ctx, const struct mf_addr *dst, const char *name, size_t len,
			    uint32_t *rule)
{
	struct hostnet *n = ctx;

	MF_ASSERT(len && strlen(name) == len);
	for (uint32_t i = 0; i < MF_ARRAY_LEN(n->rules); i++)
		if (n->rules[i].name && !strcmp(n->rules[i].name, name)) {
			*rule = i;
			return n->rules[i].hop;
		}
	*rule = UINT32_MAX;
	return route(ctx, dst);
}

static enum mf_host_fate fate(void *ctx, uint32_t hop)
{
	(void)ctx;
	return hop == HOSTNET_DROP     ? MF_FATE_DROP
	       : hop == HOSTNET_REJECT ? MF_FATE_REJECT
				       : MF_FATE_CARRY;
}

static bool hold(void *ctx, const struct mf_addr *dst)
{
	struct hostnet *n = ctx;

	MF_ASSERT(dst->family != MF_AF_NONE);
	n->held += n->learned;
	return n->learned;
}

static void release(void *ctx, const struct mf_addr *dst)
{
	struct hostnet *n = ctx;

	MF_ASSERT(dst->family != MF_AF_NONE && n->held > 0);
	n->held--;
}

static void check_ledger(const struct hostnet *n)
{
	uint64_t ended = n->consumed + n->taken + n->handed;

	for (unsigned i = 0; i < MF_DROP_COUNT; i++)
		ended += n->drops[i];
	MF_ASSERT(ended == n->injected);
}

/* ---- Apps ------------------------------------------------------------------------------------------ */

static void app_emit(void *ctx, struct mf_tcp *c, struct mf_pkt *p)
{
	struct hostnet *n = ctx;

	(void)c;
	if (mf_prng_below(&n->prng, 1000) < n->lose_per_1000)
		mf_pkt_free(p);
	else
		queue_put(&n->up, wire_of(p));
}

static struct hostnet_app *app_of(struct hostnet *n, const struct mf_pkt *p)
{
	const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);
	struct mf_addr src = mf_ip_src(p), dst = mf_ip_dst(p);

	if (p->l4_proto != MF_IPPROTO_TCP)
		return NULL;
	for (struct hostnet_app *a = n->apps; a; a = a->next)
		if (mf_be16_get(t->dport) == a->local.port &&
		    mf_be16_get(t->sport) == a->remote.port &&
		    mf_addr_equal(&dst, &a->local.addr) && mf_addr_equal(&src, &a->remote.addr))
			return a;
	return NULL;
}

static void app_look(struct hostnet_app *a)
{
	uint32_t ev = mf_tcp_events(&a->tcp);
	struct mf_tcp_info info;

	a->connected |= (ev & MF_TCP_EV_CONNECTED) != 0;
	a->eof |= (ev & MF_TCP_EV_EOF) != 0;
	if (!(ev & MF_TCP_EV_CLOSED))
		return;
	mf_tcp_info(&a->tcp, &info);
	a->closed = true;
	a->end = info.end;
}

/* What the host sent must be right before an app gets it. */
static void check_packet(const struct mf_pkt *p)
{
	if (p->flags & MF_PKT_NEEDS_CSUM)
		MF_ASSERT(p->csum_start == p->l4_off && p->l4_proto == MF_IPPROTO_TCP);
	else if (p->ip_version == 6 || p->l4_proto != MF_IPPROTO_ICMP)
		MF_ASSERT(mf_ip_l4_csum_ok(p));
}

/* A wire from the host to whom it is for. */
static void deliver(struct hostnet *n, struct hostnet_wire *w)
{
	struct mf_pkt *p = pkt_of(n->app_pool, w);
	struct hostnet_app *a;

	MF_ASSERT(p && mf_ip_input(p) == MF_DROP_NONE && p->len == w->len);
	check_packet(p);
	a = app_of(n, p);
	if (!a || a->deaf || mf_prng_below(&n->prng, 1000) < n->lose_per_1000) {
		mf_pkt_free(p);
		if (a)
			free(w);
		else
			queue_put(&n->raw, w);
		return;
	}
	if (mf_tcp_input(&n->app_env, &a->tcp, p, n->now) != MF_DROP_NONE)
		mf_pkt_free(p);
	app_look(a);
	free(w);
}

static void run_apps(struct hostnet *n)
{
	mf_tcp_env_sweep(&n->app_env);
	for (struct hostnet_app *a = n->apps; a; a = a->next) {
		if (a->deaf)
			continue;
		if (mf_tcp_deadline(&a->tcp) <= n->now)
			mf_tcp_timeout(&n->app_env, &a->tcp, n->now);
		mf_tcp_output(&n->app_env, &a->tcp, n->now);
		app_look(a);
	}
}

struct hostnet_app *hostnet_connect(struct hostnet *n, const char *local, const char *remote,
				    const struct mf_tcp_config *cfg)
{
	struct mf_tcp_config standard = { .mtu = n->cfg.mtu };
	struct hostnet_app *a = calloc(1, sizeof(*a));

	MF_ASSERT(a);
	MF_ASSERT(mf_endpoint_parse(&a->local, local) == MF_OK);
	MF_ASSERT(mf_endpoint_parse(&a->remote, remote) == MF_OK);
	a->net = n;
	a->salt = mf_prng_u64(&n->prng);
	a->next = n->apps;
	n->apps = a;
	MF_ASSERT(mf_tcp_connect(&n->app_env, &a->tcp, cfg ? cfg : &standard, &a->local, &a->remote,
				 n->now) == MF_OK);
	return a;
}

/* ---- Bytes ----------------------------------------------------------------------------------------- */

size_t hostnet_write(struct hostnet_app *a, size_t n)
{
	return salted_send(&a->net->app_env, &a->tcp, a->salt, &a->up, n);
}

void hostnet_say(struct hostnet_app *a, const void *bytes, size_t n)
{
	const uint8_t *b = bytes;

	while (n) {
		size_t part = mf_min(n, MF_PKT_SMALL_MAX);
		struct mf_pkt *p = mf_pkt_small(a->net->app_pool);

		MF_ASSERT(p);
		memcpy(p->data, b, part);
		p->len = (uint32_t)part;
		mf_tcp_send(&a->net->app_env, &a->tcp, p);
		b += part;
		n -= part;
	}
}

size_t hostnet_read(struct hostnet_app *a, size_t n)
{
	return salted_read(&a->net->app_env, &a->tcp, a->salt + 1, &a->down, n);
}

void hostnet_shutdown(struct hostnet_app *a)
{
	mf_tcp_shutdown(&a->tcp);
}

void hostnet_abort(struct hostnet_app *a)
{
	mf_tcp_abort(&a->net->app_env, &a->tcp, false, a->net->now);
	app_look(a);
}

void hostnet_forget(struct hostnet_app *a)
{
	a->deaf = true;
}

void hostnet_give(struct fake_stream *st, const struct hostnet_app *a, size_t n)
{
	uint8_t *b = malloc(n + 1);

	MF_ASSERT(b);
	salted_fill(b, a->salt + 1, st->n_give, n);
	fake_give(st, b, n);
	free(b);
}

void hostnet_check_got(const struct fake_stream *st, const struct hostnet_app *a)
{
	MF_ASSERT(st->n_got <= a->up);
	MF_ASSERT(salted_right(st->got, a->salt, 0, st->n_got));
}

/* ---- Packets by hand ------------------------------------------------------------------------------- */

void hostnet_send(struct hostnet *n, const void *bytes, size_t len)
{
	struct hostnet_wire *w = wire_new(len);

	memcpy(w->bytes, bytes, len);
	queue_put(&n->up, w);
}

size_t hostnet_tcp(uint8_t *out, const char *src, const char *dst, uint32_t seq, uint32_t ack,
		   uint8_t flags, const void *payload, size_t len)
{
	struct mf_pkt_pool *pool = mf_pkt_pool_new(1, 1);
	struct mf_endpoint s, d;
	struct mf_tcp_hdr *t;
	struct mf_pkt *p;
	size_t n;

	MF_ASSERT(pool && mf_endpoint_parse(&s, src) == MF_OK && mf_endpoint_parse(&d, dst) == MF_OK);
	p = mf_reply_start(pool, &s.addr, &d.addr, MF_IPPROTO_TCP, sizeof(*t) + len, 0);
	t = (void *)(p->data + p->l4_off);
	*t = (struct mf_tcp_hdr){
		.sport = mf_be16_of(s.port),
		.dport = mf_be16_of(d.port),
		.seq = mf_be32_of(seq),
		.ack = mf_be32_of(ack),
		.off = 5 << 4,
		.flags = flags,
		.window = mf_be16_of(UINT16_MAX),
	};
	if (len)
		memcpy(t + 1, payload, len);
	mf_reply_finish(p, MF_TCP_CSUM_OFF);
	n = p->len;
	memcpy(out, p->data, n);
	mf_pkt_free(p);
	mf_pkt_pool_free(pool);
	return n;
}

struct hostnet_wire *hostnet_raw(struct hostnet *n)
{
	return queue_get(&n->raw);
}

/* ---- Passes ---------------------------------------------------------------------------------------- */

/* As the nodes before the host do. A fragment goes where the protocol in its header says. */
static void inject(struct hostnet *n, struct mf_pkt *p)
{
	uint8_t proto;

	if (mf_ip_input(p) != MF_DROP_NONE) {
		mf_pkt_free(p);
		return;
	}
	proto = p->ip_version == 4 ? p->data[offsetof(struct mf_ip4_hdr, proto)] : p->l4_proto;
	p->next_hop = HOSTNET_HOP;
	p->trace = 7;
	n->injected += p->segments;
	if (proto == MF_IPPROTO_UDP)
		mf_host_udp(n->host, &p, 1);
	else if (proto == MF_IPPROTO_ICMP || proto == MF_IPPROTO_ICMP6)
		mf_host_icmp(n->host, &p, 1);
	else
		mf_host_tcp(n->host, &p, 1);
}

static void inject_all(struct hostnet *n)
{
	struct hostnet_wire *w;

	for (unsigned i = 0; i < HOSTNET_BATCH && (w = queue_get(&n->up)); i++) {
		struct mf_pkt *p = pkt_of(n->pool, w);

		if (p)
			inject(n, p);
		free(w);
	}
}

static void pass(struct hostnet *n)
{
	struct hostnet_wire *w;

	run_apps(n);
	mf_host_begin(n->host, n->now);
	inject_all(n);
	mf_host_run(n->host, n->now);
	while ((w = queue_get(&n->to_apps)))
		deliver(n, w);
	run_apps(n);
	check_ledger(n);
}

void hostnet_settle(struct hostnet *n)
{
	unsigned rounds = 0;

	do {
		pass(n);
		MF_ASSERT(++rounds < MAX_ROUNDS);
	} while (n->up.n || mf_host_pending(n->host) || mf_host_deadline(n->host) <= n->now);
}

static mf_nsec next_deadline(const struct hostnet *n)
{
	mf_nsec at = mf_host_deadline(n->host);

	for (const struct hostnet_app *a = n->apps; a; a = a->next)
		if (!a->deaf)
			at = mf_min(at, mf_tcp_deadline(&a->tcp));
	return at;
}

void hostnet_advance(struct hostnet *n, mf_nsec by)
{
	mf_nsec end = n->now + by;

	hostnet_settle(n);
	while (n->now < end) {
		n->now = mf_min(end, mf_max(n->now + 1, next_deadline(n)));
		hostnet_settle(n);
	}
}

/* ---- Life ------------------------------------------------------------------------------------------ */

static struct mf_host_config config_of(const struct mf_host_config *c)
{
	struct mf_host_config r = *c;

	r.max = r.max ? r.max : 1000;
	r.per_source = r.per_source ? r.per_source : r.max;
	r.half_open_per_source = r.half_open_per_source ? r.half_open_per_source : r.max;
	r.tcp_idle = r.tcp_idle ? r.tcp_idle : 7440 * MF_SEC;
	r.udp = r.udp ? r.udp : 300 * MF_SEC;
	r.udp_dns = r.udp_dns ? r.udp_dns : 10 * MF_SEC;
	r.udp_quic = r.udp_quic ? r.udp_quic : 300 * MF_SEC;
	r.echo = r.echo ? r.echo : 30 * MF_SEC;
	r.mtu = r.mtu ? r.mtu : 1500;
	mf_addr_parse(&r.tunnel4, "10.0.0.2") ? abort() : (void)0;
	mf_addr_parse(&r.tunnel6, "fd00::2") ? abort() : (void)0;
	return r;
}

void hostnet_open(struct hostnet *n, const struct hostnet_options *o)
{
	struct mf_host_port port = {
		.ctx = n,
		.emit = emit,
		.drop = drop,
		.consume = consume,
		.taken = taken,
		.handoff = handoff,
		.outbound = outbound,
		.route = route,
		.settles = settles,
		.settle = settle_name,
		.fate = fate,
		.hold = hold,
		.release = release,
	};
	struct mf_rng rng = { .fill = mf_prng_fill, .ctx = &n->prng };

	*n = (struct hostnet){ .now = 1000 * MF_SEC,
			       .prng = { .state = o->seed },
			       .route = HOSTNET_HOP };
	queue_init(&n->up);
	queue_init(&n->to_apps);
	queue_init(&n->raw);
	n->cfg = config_of(&o->cfg);
	n->pool = mf_pkt_pool_new(o->n_small ? o->n_small : 1024, o->n_large ? o->n_large : 128);
	n->app_pool = mf_pkt_pool_new(16384, 1024);
	fakeout_init(&n->out);
	fakeout_init(&n->other);
	n->app_env = (struct mf_tcp_env){
		.pool = n->app_pool, .rng = rng, .ctx = n, .emit = app_emit, .n_records = 8192
	};
	MF_ASSERT(n->pool && n->app_pool && mf_tcp_env_init(&n->app_env) == MF_OK);
	n->host = mf_host_new(o->worker, &n->cfg, &port, n->pool,
			      o->owners ? &(struct mf_host_shared){ .owners = o->owners } : NULL,
			      &rng, o->budget ? o->budget : 4 << 20, n->now);
	MF_ASSERT(n->host);
}

static void free_app(struct hostnet_app *a)
{
	mf_tcp_free(&a->net->app_env, &a->tcp);
	free(a);
}

void hostnet_close(struct hostnet *n)
{
	struct hostnet_app *a, *next;

	mf_host_free(n->host);
	check_ledger(n);
	for (a = n->apps; a; a = next) {
		next = a->next;
		free_app(a);
	}
	queue_clear(&n->up);
	queue_clear(&n->to_apps);
	queue_clear(&n->raw);
	mf_tcp_env_fini(&n->app_env);
	mf_pkt_pool_free(n->pool);
	mf_pkt_pool_free(n->app_pool);
	MF_ASSERT(!n->held);
	fakeout_fini(&n->out);
	fakeout_fini(&n->other);
}

/* ---- Looking --------------------------------------------------------------------------------------- */

unsigned hostnet_count(const struct hostnet *n, enum mf_session_state state)
{
	struct mf_session_facts f;
	unsigned count = 0;

	for (uint32_t i = 0; i < mf_host_slots(n->host); i++)
		count += mf_host_facts(n->host, i, &f) && f.state == state;
	return count;
}

struct mf_session_facts hostnet_facts(const struct hostnet *n)
{
	struct mf_session_facts f, only = { .state = MF_SESSION_FREE };
	unsigned count = 0;

	for (uint32_t i = 0; i < mf_host_slots(n->host); i++)
		if (mf_host_facts(n->host, i, &f)) {
			only = f;
			count++;
		}
	MF_ASSERT(count == 1);
	return only;
}
