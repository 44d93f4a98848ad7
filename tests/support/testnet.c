/* SPDX-License-Identifier: Apache-2.0 */
#include "support/testnet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/csum.h"
#include "wire/ip4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

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
	if (len)
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
		struct testnet_item *i = item_new(pkts[k]->data, pkts[k]->len);

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
	struct testnet_side *s = ctx;

	return take(&s->udp_in, pool, out, max);
}

static bool lost(struct testnet *t)
{
	return t->cut || (t->lose_per_1000 && mf_prng_below(&t->prng, 1000) < t->lose_per_1000);
}

static void deliver(struct testnet_side *from, struct testnet_side *to, const struct mf_pkt *p,
		    const uint8_t *bytes, uint32_t len, uint32_t stride)
{
	struct testnet_item *i = item_new(bytes, len);

	i->from.addr = from->address;
	i->from.port = from->port;
	i->to = p->remote;
	i->tos = p->tos;
	if (stride && stride < len) {
		i->gso_type = MF_GSO_UDP;
		i->gso_size = (uint16_t)stride;
		i->segments = (len + stride - 1) / stride;
	}
	push(&to->udp_in, i);
}

static void udp_send(void *ctx, struct mf_pkt **pkts, size_t n)
{
	struct testnet_side *s = ctx;
	struct testnet *t = s->net;
	struct testnet_side *to = &t->side[s == &t->side[0]];

	for (size_t k = 0; k < n; k++) {
		struct mf_pkt *p = pkts[k];
		uint32_t stride = p->gso_type == MF_GSO_NONE ? p->len : p->gso_size;
		bool known = mf_addr_equal(&p->remote.addr, &to->address) &&
			     p->remote.port == to->port;

		p->drop = MF_DROP_NONE;
		s->sent += mf_pkt_wire_count(p);
		if (t->swallow || !known)
			continue;
		if (!t->lose_per_1000 && !t->cut && !to->split_gso) {
			deliver(s, to, p, p->data, p->len, stride);
			continue;
		}
		for (uint32_t at = 0; at < p->len; at += stride)
			if (!lost(t))
				deliver(s, to, p, p->data + at,
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

	(void)mark;
	(void)eb;
	if (!*port)
		*port = 40000;
	s->port = *port;
	*handle = s;
	for (uint32_t i = 0; i < n_workers; i++)
		for (int f = 0; f < 2; f++)
			slots[i].port[f] = (struct mf_udp_port){
				.ctx = s,
				.recv = i == 0 && f == 0 ? udp_recv : udp_nothing,
				.send = udp_send,
			};
	return MF_OK;
}

static void udp_close(void *ctx, void *handle)
{
	(void)ctx;
	(void)handle;
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
	(void)ctx;
	(void)index;
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

static struct mf_config *profile(const struct testnet_options *o, unsigned i, const char *peer_key)
{
	static const char *const address[] = { "10.9.0.1/24", "10.9.0.2/24" };
	struct mf_config_errors errs = { 0 };
	struct mf_text text = { 0 }, out = { 0 };
	struct mf_config *cfg;

	mf_text_printf(
		&text,
		"version: 1\ntunnel:\n  name: tun%u\n  address: %s\n"
		"interfaces:\n  - name: wg0\n    type: wireguard\n    private_key: %s\n"
		"    address: %s\n    listen_port: %u\n    mtu: %u\n    peers:\n"
		"      - public_key: %s\n        endpoint: 192.0.2.%u:%u\n"
		"        allowed_ips: [0.0.0.0/0, \"::/0\"]\n%s"
		"app_routing:\n  enabled: true\n  routes:\n%s",
		i, o->tunnel[i] ? o->tunnel[i] : address[i], private_keys[i], address[i], 51000 + i,
		o->mtu ? o->mtu : 1420, peer_key, 2 - i, 51001 - i,
		o->extra_peer ? o->extra_peer : "",
		o->routes ? o->routes : "    - { cidr: 0.0.0.0/0, to: wg0 }\n    - { cidr: \"::/0\", to: wg0 }\n");
	if (mf_config_parse(text.s, text.len, "testnet.yaml", 0, &cfg, &errs)) {
		mf_config_errors_print(&errs, &out);
		die("profile", out.s);
	}
	mf_text_free(&text);
	return cfg;
}

static void open_side(struct testnet *t, const struct testnet_options *o, unsigned i)
{
	struct testnet_side *s = &t->side[i];
	struct mf_engine_options eo = {
		.n_workers = o->n_workers ? o->n_workers : 1,
		.memory = 48 << 20,
		.aead = o->aead,
		.merge_tcp = !o->no_merge,
		.merge_udp = !o->no_merge,
	};
	struct mf_engine_host host = {
		.ctx = s,
		.log = { log_line, s, t->log_level },
		.rng = { mf_prng_fill, &t->prng },
		.wall_clock = wall,
		.udp_open = udp_open,
		.udp_close = udp_close,
		.wake_control = wake_control,
		.wake_worker = wake_worker,
	};
	struct mf_tun_port port = { .ctx = s, .recv = tun_recv, .send = tun_send };
	struct mf_config *cfg = profile(o, i, public_keys[!i]);
	struct mf_errbuf eb;

	s->net = t;
	s->address = mf_addr_ip4((uint8_t[]){ 192, 0, 2, (uint8_t)(i + 1) });
	if (mf_engine_new(&s->engine, &eo, &host, t->now, &eb))
		die("engine", eb.text);
	if (mf_engine_apply(s->engine, cfg, t->now, NULL, &eb))
		die("apply", eb.text);
	mf_config_free(cfg);
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

void testnet_advance(struct testnet *t, mf_nsec by)
{
	mf_nsec end = t->now + by;

	while (t->now < end) {
		mf_nsec next = end;

		for (unsigned i = 0; i < TESTNET_SIDES; i++) {
			mf_nsec d = mf_engine_control(t->side[i].engine, t->now);

			if (d < next)
				next = d;
		}
		t->now = next > t->now ? next : t->now + MF_MSEC;
		testnet_settle(t);
	}
}

/* ---- Packets ------------------------------------------------------------------------------------ */

static uint16_t l4_sum(const uint8_t *ip, uint8_t proto, const uint8_t *l4, uint32_t n)
{
	uint32_t sum = 0;

	for (int i = 12; i < 20; i += 2)
		sum += (uint32_t)(ip[i] << 8 | ip[i + 1]);
	sum += proto + n;
	for (uint32_t i = 0; i + 1 < n; i += 2)
		sum += (uint32_t)(l4[i] << 8 | l4[i + 1]);
	if (n & 1)
		sum += (uint32_t)(l4[n - 1] << 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void ip4(uint8_t *p, const char *src, const char *dst, uint8_t proto, uint32_t len)
{
	uint32_t sum = 0;

	memset(p, 0, 20);
	p[0] = 0x45;
	mf_store_be16(p + 2, (uint16_t)len);
	mf_store_be16(p + 6, 0x4000);
	p[8] = 64;
	p[9] = proto;
	if (inet_pton(AF_INET, src, p + 12) != 1 || inet_pton(AF_INET, dst, p + 16) != 1)
		die("address", src);
	for (int i = 0; i < 20; i += 2)
		sum += mf_load_be16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	mf_store_be16(p + 10, (uint16_t)~sum);
}

uint32_t testnet_udp4(uint8_t *out, const char *src, const char *dst, uint16_t sport,
		      uint16_t dport, const void *payload, uint32_t n)
{
	uint16_t sum;

	ip4(out, src, dst, 17, 28 + n);
	mf_store_be16(out + 20, sport);
	mf_store_be16(out + 22, dport);
	mf_store_be16(out + 24, (uint16_t)(8 + n));
	mf_store_be16(out + 26, 0);
	if (n)
		memcpy(out + 28, payload, n);
	sum = l4_sum(out, 17, out + 20, 8 + n);
	mf_store_be16(out + 26, sum ? sum : 0xffff);
	return 28 + n;
}

uint32_t testnet_tcp4(uint8_t *out, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		      uint32_t seq, uint32_t ack, uint8_t flags, const void *payload, uint32_t n)
{
	ip4(out, src, dst, 6, 40 + n);
	mf_store_be16(out + 20, sport);
	mf_store_be16(out + 22, dport);
	mf_store_be32(out + 24, seq);
	mf_store_be32(out + 28, ack);
	out[32] = 0x50;
	out[33] = flags;
	mf_store_be16(out + 34, 0xffff);
	mf_store_be32(out + 36, 0);
	if (n)
		memcpy(out + 40, payload, n);
	mf_store_be16(out + 36, l4_sum(out, 6, out + 20, 20 + n));
	return 40 + n;
}

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
