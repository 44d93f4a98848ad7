/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testnet.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void die(const char *what, const char *why)
{
	fprintf(stderr, "testnet: %s: %s\n", what, why);
	exit(99);
}

/* ---- Queues ------------------------------------------------------------------------------------ */

static struct testnet_item *item_new(const void *bytes, uint32_t len)
{
	struct testnet_item *i = calloc(1, sizeof(*i) + len);

	if (!i)
		die("item", "out of memory");
	i->len = len;
	i->segments = 1;
	if (bytes && len)
		memcpy(i->bytes, bytes, len);
	return i;
}

static void push(struct testnet_queue *q, struct testnet_item *i)
{
	if (!q->tail)
		q->tail = &q->head;
	*q->tail = i;
	q->tail = &i->next;
	q->n++;
}

static struct testnet_item *pop(struct testnet_queue *q)
{
	struct testnet_item *i = q->head;

	if (!i)
		return NULL;
	q->head = i->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	i->next = NULL;
	return i;
}

static struct mf_pkt *to_pkt(struct mf_pkt_pool *pool, const struct testnet_item *i)
{
	struct mf_pkt *p = i->len <= MF_PKT_SMALL_MAX ? mf_pkt_small(pool) : mf_pkt_large(pool);

	if (!p)
		return NULL;
	memcpy(p->data, i->bytes, i->len);
	p->len = i->len;
	p->gso_type = i->gso_type;
	p->gso_size = i->gso_size;
	p->segments = i->segments;
	p->tos = i->tos;
	p->remote = i->from;
	p->local = i->to.addr;
	if (i->needs_csum) {
		p->flags |= MF_PKT_NEEDS_CSUM;
		p->csum_start = i->csum_start;
		p->csum_offset = i->csum_offset;
	}
	return p;
}

static size_t take(struct testnet_queue *q, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	size_t n = 0;

	while (n < max && q->head) {
		struct testnet_item *i;

		out[n] = to_pkt(pool, q->head);
		if (!out[n])
			break;
		n++;
		i = pop(q);
		free(i);
	}
	return n;
}

/* ---- Ports ------------------------------------------------------------------------------------- */

static size_t tun_recv(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max,
		       size_t bytes)
{
	struct testnet_side *s = ctx;

	(void)bytes;
	return take(&s->tun_in, pool, out, max);
}

static void tun_send(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t n)
{
	struct testnet_side *s = ctx;

	(void)pool;
	for (size_t k = 0; k < n; k++) {
		struct testnet_item *i = item_new(NULL, mf_pkt_len(pkts[k]));

		mf_pkt_gather(pkts[k], i->bytes, i->len);
		i->gso_type = pkts[k]->gso_type;
		i->gso_size = pkts[k]->gso_size;
		i->segments = mf_pkt_wire_count(pkts[k]);
		i->needs_csum = pkts[k]->flags & MF_PKT_NEEDS_CSUM;
		i->csum_start = pkts[k]->csum_start;
		i->csum_offset = pkts[k]->csum_offset;
		pkts[k]->drop = MF_DROP_NONE;
		push(&s->tun_out, i);
	}
}

static size_t udp_recv(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	struct testnet_port *port = ctx;

	return take(port->in, pool, out, max);
}

static void udp_release(void *ctx)
{
	struct testnet_port *port = ctx;

	__atomic_fetch_add(&port->side->released, 1, __ATOMIC_RELAXED);
}

static bool lost(struct testnet *t)
{
	return t->cut || (t->lose_per_1000 && mf_prng_below(&t->prng, 1000) < t->lose_per_1000);
}

static void deliver(const struct testnet_port *from, struct testnet_port *to,
		    const struct mf_pkt *p, const uint8_t *bytes, uint32_t len, uint32_t stride)
{
	struct testnet_item *i = item_new(bytes, len);

	i->from.addr = from->side->address;
	i->from.port = from->port;
	i->to = p->remote;
	i->tos = p->tos;
	if (stride && stride < len) {
		i->gso_type = MF_GSO_UDP;
		i->gso_size = (uint16_t)stride;
		i->segments = (len + stride - 1) / stride;
	}
	push(to->in, i);
}

static struct testnet_port *port_at(struct testnet_side *s, const struct mf_endpoint *e)
{
	for (int i = 0; i < TESTNET_PORTS; i++)
		if (s->ports[i].open && s->ports[i].port == e->port &&
		    mf_addr_equal(&e->addr, &s->address))
			return &s->ports[i];
	return NULL;
}

static void udp_send(void *ctx, struct mf_pkt **pkts, size_t n)
{
	struct testnet_port *from = ctx;
	struct testnet_side *s = from->side;
	struct testnet *t = s->net;
	struct testnet_side *other = &t->side[s == &t->side[0]];

	for (size_t k = 0; k < n; k++) {
		struct mf_pkt *p = pkts[k];
		uint32_t stride = p->gso_type == MF_GSO_NONE ? p->len : p->gso_size;
		struct testnet_port *to = port_at(other, &p->remote);

		p->drop = MF_DROP_NONE;
		__atomic_fetch_add(&s->sent, mf_pkt_wire_count(p), __ATOMIC_RELAXED);
		if (t->swallow || !to)
			continue;
		if (!t->lose_per_1000 && !t->cut && !other->split_gso) {
			deliver(from, to, p, p->data, p->len, stride);
			continue;
		}
		for (uint32_t at = 0; at < p->len; at += stride)
			if (!lost(t))
				deliver(from, to, p, p->data + at,
					(uint32_t)mf_min(stride, p->len - at), 0);
	}
}

static size_t udp_nothing(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max)
{
	(void)ctx;
	(void)pool;
	(void)out;
	(void)max;
	return 0;
}

static mf_err udp_open(void *ctx, uint16_t *port, uint32_t mark, struct mf_udp_slot *slots,
		       uint32_t n_workers, void **handle, struct mf_errbuf *eb)
{
	struct testnet_side *s = ctx;
	int k = 0;

	if (s->refuse_port && *port == s->refuse_port)
		return mf_fail(eb, MF_E_EXISTS, "port %u is taken", *port);
	while (k < TESTNET_PORTS && s->ports[k].open)
		k++;
	if (k == TESTNET_PORTS)
		return mf_fail(eb, MF_E_FULL, "no more ports");
	if (!*port)
		*port = (uint16_t)(40000 + k);
	s->ports[k].side = s;
	s->ports[k].in = k ? &s->ports[k].own : &s->udp_in;
	s->ports[k].port = *port;
	s->ports[k].mark = mark;
	s->ports[k].open = true;
	if (!s->port)
		s->port = *port;
	*handle = &s->ports[k];
	for (uint32_t i = 0; i < n_workers; i++)
		for (int f = 0; f < 2; f++)
			slots[i].port[f] = (struct mf_udp_port){
				.ctx = &s->ports[k],
				.recv = i == 0 && f == (s->address.family == MF_AF_IP6) ? udp_recv
											: udp_nothing,
				.send = udp_send,
				.release = udp_release,
			};
	return MF_OK;
}

static void udp_close(void *ctx, void *handle)
{
	struct testnet_port *port = handle;
	struct testnet_item *i;

	(void)ctx;
	port->open = false;
	while ((i = pop(port->in)) != NULL)
		free(i);
}

static void udp_set_mark(void *ctx, void *handle, uint32_t mark)
{
	struct testnet_port *port = handle;

	(void)ctx;
	port->mark = mark;
}

/* ---- Host --------------------------------------------------------------------------------------- */

static struct mf_wg_wall wall(void *ctx)
{
	const struct testnet_side *s = ctx;

	return (struct mf_wg_wall){ 1800000000 + s->net->now / MF_SEC,
				    (uint32_t)(s->net->now % MF_SEC) };
}

static void wake_control(void *ctx)
{
	(void)ctx;
}

static void wake_worker(void *ctx, unsigned index)
{
	struct testnet_side *s = ctx;

	(void)index;
	__atomic_fetch_add(&s->woken, 1, __ATOMIC_RELAXED);
}

static void resolve(void *ctx, const char *name, uint16_t port, uint64_t tag)
{
	struct testnet_side *s = ctx;

	snprintf(s->asked.name, sizeof(s->asked.name), "%s", name);
	s->asked.port = port;
	s->asked.tag = tag;
	s->asked.n++;
}

/* Workers may have threads of their own. */
static void random_bytes(void *ctx, void *out, size_t n)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	pthread_mutex_lock(&lock);
	mf_prng_fill(ctx, out, n);
	pthread_mutex_unlock(&lock);
}

static void log_line(void *ctx, enum mf_log_level level, const char *line)
{
	const struct testnet_side *s = ctx;

	fprintf(stderr, "# side %ld: %d %s\n", (long)(s - s->net->side), (int)level, line);
}

static const char *const private_keys[] = {
	"yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=",
	"4MLX8wOKwUQcM3iJKPGWcBURp/GNnzQJHZxqPkqAWFQ=",
};
static const char *const public_keys[] = {
	"HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=",
	"w4vmA11VEWpcxHYUDsHYFhJfWRxnwFzRYBe9w2jtfH0=",
};

static const char *const inside[] = { "[10.9.0.1/24, \"fd09::1/64\"]",
				      "[10.9.0.2/24, \"fd09::2/64\"]" };

static void write_wg0(struct mf_text *text, const struct testnet_options *o, unsigned i)
{
	static const char *const outside[2][2] = { { "192.0.2.1", "192.0.2.2" },
						   { "[2001:db8::1]", "[2001:db8::2]" } };

	mf_text_printf(text,
		       "  - name: wg0\n    type: wireguard\n    private_key: %s\n"
		       "    address: %s\n    listen_port: %u\n    mtu: %u\n",
		       private_keys[i], inside[i], o->port[i] ? o->port[i] : 51000 + i,
		       o->mtu ? o->mtu : 1420);
	if (o->fwmark)
		mf_text_printf(text, "    fwmark: %u\n", o->fwmark);
	if (o->no_peer)
		return;
	mf_text_printf(text,
		       "    peers:\n      - public_key: %s\n        endpoint: \"%s:%u\"\n"
		       "        allowed_ips: [0.0.0.0/0, \"::/0\"]\n%s",
		       public_keys[!i], outside[o->outside6][!i],
		       o->port[!i] ? o->port[!i] : 51000 + !i, o->extra_peer ? o->extra_peer : "");
}

static struct mf_config *profile(const struct testnet_options *o, unsigned i)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text text = { 0 }, out = { 0 };
	struct mf_config *cfg;

	mf_text_printf(&text, "version: 1\ntunnel:\n  name: tun%u\n  address: %s\ninterfaces:\n", i,
		       o->tunnel[i] ? o->tunnel[i] : inside[i]);
	write_wg0(&text, o, i);
	mf_text_printf(
		&text, "%s%s%s%s%s%s%sapp_routing:\n  enabled: true\n  routes:\n%s",
		o->interfaces ? o->interfaces : "", o->limits ? "limits: " : "",
		o->limits ? o->limits : "", o->limits ? "\n" : "", o->sessions ? "sessions: " : "",
		o->sessions ? o->sessions : "", o->sessions ? "\n" : "",
		o->routes ? o->routes : "    - { cidr: 0.0.0.0/0, to: wg0 }\n    - { cidr: \"::/0\", to: wg0 }\n");
	if (mf_config_parse(text.s, text.len, "testnet.yaml", 0, &cfg, &errs)) {
		mf_config_errors_print(&errs, &out);
		die("profile", out.s);
	}
	mf_text_free(&text);
	return cfg;
}

mf_err testnet_apply(struct testnet *t, unsigned side, const struct testnet_options *o,
		     struct mf_apply_report *report, struct mf_errbuf *eb)
{
	struct mf_config *made = o->config[side] ? NULL : profile(o, side);
	struct mf_errbuf ignored;
	mf_err err = mf_engine_apply(t->side[side].engine, made ? made : o->config[side], t->now,
				     report, eb ? eb : &ignored);

	if (made)
		mf_config_free(made);
	return err;
}

static void open_side(struct testnet *t, const struct testnet_options *o, unsigned i)
{
	struct testnet_side *s = &t->side[i];
	struct mf_engine_options eo = {
		.n_workers = o->n_workers ? o->n_workers : 1,
		.memory = o->memory ? o->memory : 48 << 20,
		.sessions = o->max_sessions,
		.aead = o->aead,
		.merge_tcp = !o->no_merge,
		.merge_udp = !o->no_merge,
	};
	struct mf_engine_host host = {
		.ctx = s,
		.log = { log_line, s, t->log_level },
		.rng = { random_bytes, &t->prng },
		.wall_clock = wall,
		.udp_open = udp_open,
		.udp_close = udp_close,
		.udp_set_mark = udp_set_mark,
		.wake_control = wake_control,
		.wake_worker = wake_worker,
		.resolve = resolve,
	};
	struct mf_tun_port port = { .ctx = s, .recv = tun_recv, .send = tun_send };
	struct mf_errbuf eb;

	s->net = t;
	s->address = mf_addr_ip4((uint8_t[]){ 192, 0, 2, (uint8_t)(i + 1) });
	if (o->outside6)
		s->address =
			mf_addr_ip6((uint8_t[16]){ 0x20, 1, 0xd, 0xb8, [15] = (uint8_t)(i + 1) });
	if (mf_engine_new(&s->engine, &eo, &host, t->now, &eb))
		die("engine", eb.text);
	if (testnet_apply(t, i, o, NULL, &eb))
		die("apply", eb.text);
	mf_worker_set_tun(mf_engine_worker(s->engine, 0), &port);
}

void testnet_open(struct testnet *t, const struct testnet_options *o)
{
	*t = (struct testnet){ .now = 1000 * MF_SEC, .prng = { .state = o->seed } };
	t->log_level = getenv("MF_LOG") ? MF_LOG_DEBUG : MF_LOG_ERROR;
	for (unsigned i = 0; i < TESTNET_SIDES; i++)
		open_side(t, o, i);
	testnet_settle(t);
}

void testnet_close(struct testnet *t)
{
	for (unsigned i = 0; i < TESTNET_SIDES; i++) {
		struct testnet_side *s = &t->side[i];
		struct testnet_queue *queues[] = { &s->tun_in, &s->tun_out, &s->udp_in };
		struct testnet_item *item;

		mf_engine_free(s->engine);
		for (size_t q = 0; q < MF_ARRAY_LEN(queues); q++)
			while ((item = pop(queues[q])) != NULL)
				free(item);
		for (int k = 0; k < TESTNET_PORTS; k++)
			while ((item = pop(&s->ports[k].own)) != NULL)
				free(item);
	}
}

void testnet_app_send(struct testnet_side *s, const void *bytes, uint32_t len, uint8_t gso_type,
		      uint16_t gso_size, bool needs_csum, uint16_t csum_start, uint16_t csum_offset)
{
	struct testnet_item *i = item_new(bytes, len);

	i->gso_type = gso_type;
	i->gso_size = gso_size;
	if (gso_size) {
		uint32_t header =
			csum_start +
			(gso_type == MF_GSO_UDP ? 8 : (uint32_t)(i->bytes[csum_start + 12] >> 4) * 4);

		i->segments = (len - header + gso_size - 1) / gso_size;
	}
	i->needs_csum = needs_csum;
	i->csum_start = csum_start;
	i->csum_offset = csum_offset;
	push(&s->tun_in, i);
}

struct testnet_item *testnet_app_recv(struct testnet_side *s)
{
	return pop(&s->tun_out);
}

void testnet_settle(struct testnet *t)
{
	/* An order given in one round shows as work in the next. */
	int idle = 0;

	for (int round = 0; idle < 3 && round < 10000; round++) {
		bool busy = false;

		for (unsigned i = 0; i < TESTNET_SIDES; i++) {
			struct mf_engine *e = t->side[i].engine;
			unsigned n = e ? mf_engine_worker_count(e) : 0;

			for (unsigned w = 0; w < (n && t->only_worker_0 ? 1 : n); w++)
				busy |= mf_worker_pass(mf_engine_worker(e, w), t->now);
			busy |= e && mf_engine_control(e, t->now) <= t->now;
		}
		idle = busy ? 0 : idle + 1;
	}
}

static mf_nsec workers_deadline(struct mf_engine *e)
{
	mf_nsec next = MF_NEVER;

	for (unsigned i = 0; i < mf_engine_worker_count(e); i++) {
		const struct mf_worker *w = mf_engine_worker(e, i);

		next = mf_min(next, mf_host_deadline(w->stack));
		next = mf_min(next, mf_proxies_deadline(w));
		if (w->dns)
			next = mf_min(next, w->dns->next);
	}
	return next;
}

void testnet_advance(struct testnet *t, mf_nsec by)
{
	mf_nsec end = t->now + by;

	while (t->now < end) {
		mf_nsec next = end;

		for (unsigned i = 0; i < TESTNET_SIDES; i++) {
			mf_nsec d = mf_engine_control(t->side[i].engine, t->now);

			if (d < next)
				next = d;
			d = workers_deadline(t->side[i].engine);
			if (d < next)
				next = d;
		}
		t->now = next > t->now ? next : t->now + MF_MSEC;
		testnet_settle(t);
	}
}

/* ---- The books ------------------------------------------------------------------------------- */

bool testnet_balanced(const struct testnet_side *s)
{
	struct mf_ledger l;
	uint64_t in, out;

	mf_engine_ledger(s->engine, &l);
	in = l.received_tun + l.received_udp + l.created;
	out = l.ended[MF_SENT] + l.ended[MF_DELIVERED] + l.ended[MF_CONSUMED] +
	      l.ended[MF_DROPPED] + l.held;
	if (in != out)
		fprintf(stderr,
			"unbalanced: tun %llu + udp %llu + created %llu != sent %llu + delivered "
			"%llu + "
			"consumed %llu + dropped %llu + held %llu\n",
			(unsigned long long)l.received_tun, (unsigned long long)l.received_udp,
			(unsigned long long)l.created, (unsigned long long)l.ended[MF_SENT],
			(unsigned long long)l.ended[MF_DELIVERED],
			(unsigned long long)l.ended[MF_CONSUMED],
			(unsigned long long)l.ended[MF_DROPPED], (unsigned long long)l.held);
	return in == out;
}
