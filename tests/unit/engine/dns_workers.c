/* SPDX-License-Identifier: Apache-2.0
 *
 * The DNS server among several workers with threads of their own, which sleep and are woken as those of the daemon:
 * questions come in everywhere and are answered by the first one, sessions elsewhere hold the routes that it learns,
 * and meanwhile the control thread exchanges profiles and domain sets, and looks at everything. All questions are
 * answered, all routes let go of, all old rules freed, and (under TSan) nothing races. A wake-up that is lost leaves
 * the test waiting for ever.
 */
#include "unit.h"

#include <pthread.h>

#include "base/endian.h"
#include "engine/internal.h"
#include "proto/dns/message.h"
#include "support/testnet.h"

#define ANY_SERVER "203.0.113.53"

enum {
	WORKERS = 3,
	ROUNDS = 1000,
	PACKETS = 48, /* that each worker gets in a round */
	NAMES = 100,  /* n0.one.example ..., and as many below two.example */
	SETS = 2,
	PORTS = 64,
	WAITING = 16,
	ORDERS = 1000, /* more than a ring takes */
	PACKET_MAX = 300,
	SILENT_ONE_IN = 16,
};

/* ---- Far sides ------------------------------------------------------------------------------------------- */

struct datagram {
	struct mf_endpoint remote;
	size_t n;
	uint8_t bytes[PACKET_MAX];
};

/* One port: what has come back waits for the next look, as in a socket. */
struct port {
	struct far *far;
	struct mf_dgram *d;
	struct port *next, **prev;
	uint32_t n;
	bool told;
	struct datagram waiting[WAITING];
};

/* Everything outside, for one worker. Port 53 answers names of NAMES, mostly. */
struct far {
	struct mf_outbound out;
	struct port *open;
	uint32_t asked;
};

static mf_err open_dgram(struct mf_outbound *o, struct mf_dgram *d, const struct mf_target *to)
{
	struct far *f = o->ctx;
	struct port *p = calloc(1, sizeof(*p));

	(void)to;
	assert_non_null(p);
	p->far = f;
	p->d = d;
	p->next = f->open;
	p->prev = &f->open;
	if (p->next)
		p->next->prev = &p->next;
	f->open = p;
	d->impl = p;
	return MF_OK;
}

static void close_dgram(struct mf_dgram *d)
{
	struct port *p = d->impl;

	*p->prev = p->next;
	if (p->next)
		p->next->prev = p->prev;
	free(p);
	d->impl = NULL;
}

/* The first label is a letter and a number, the first letter of the second one says which set. */
static size_t answer_to(struct mf_span q, uint8_t *out)
{
	uint8_t rr[] = { 0xc0, 12, 0, MF_DNS_A, 0, MF_DNS_IN, 0, 0, 1, 44, 0, 4, 45, 0, 0, 0 };
	struct mf_dns_query query;
	const uint8_t *b = query.name.b;

	assert_int_equal(mf_dns_query_read(q, &query), MF_OK);
	rr[14] = b[b[0] + 2] == 't';
	for (unsigned i = 2; i <= b[0]; i++)
		rr[15] = (uint8_t)(rr[15] * 10 + b[i] - '0');
	memcpy(out, q.p, query.question_end);
	mf_store_be16(out + 2, MF_DNS_QR | MF_DNS_RA | MF_DNS_RD);
	mf_store_be16(out + 6, 1);
	memset(out + 8, 0, 4);
	memcpy(out + query.question_end, rr, sizeof(rr));
	return query.question_end + sizeof(rr);
}

static void send_dgrams(struct mf_dgram *d, struct mf_pkt **pkts, size_t n)
{
	struct port *p = d->impl;

	for (size_t i = 0; i < n; i++) {
		struct datagram *to = &p->waiting[p->n];

		pkts[i]->drop = MF_DROP_NONE;
		if (pkts[i]->remote.port != MF_DNS_PORT || p->n == WAITING ||
		    ++p->far->asked % SILENT_ONE_IN == 0)
			continue;
		to->remote = pkts[i]->remote;
		to->n = answer_to(mf_span(pkts[i]->data, pkts[i]->len), to->bytes);
		p->n++;
		p->told = false;
	}
}

static size_t recv_dgrams(struct mf_dgram *d, struct mf_pkt_pool *pool, struct mf_pkt **out,
			  size_t max)
{
	struct port *p = d->impl;
	size_t n = 0;

	for (; p->n && n < max && (out[n] = mf_pkt_small(pool)); n++) {
		const struct datagram *from = &p->waiting[--p->n];

		out[n]->data = out[n]->room_start + MF_PKT_HEADROOM - 16;
		memcpy(out[n]->data, from->bytes, from->n);
		out[n]->len = (uint32_t)from->n;
		out[n]->remote = from->remote;
	}
	return n;
}

static bool no_error(struct mf_dgram *d, struct mf_dgram_error *e)
{
	(void)d;
	(void)e;
	return false;
}

static mf_err open_stream(struct mf_outbound *o, struct mf_stream *s, const struct mf_target *to)
{
	(void)to;
	s->impl = o;
	mf_stream_notify(s, MF_STREAM_OPENED | MF_STREAM_WRITABLE);
	return MF_OK;
}

static size_t write_stream(struct mf_stream *s, const struct mf_span *v, size_t n)
{
	size_t sum = 0;

	(void)s;
	for (size_t i = 0; i < n; i++)
		sum += v[i].n;
	return sum;
}

static ptrdiff_t read_stream(struct mf_stream *s, const struct mf_room *v, size_t n)
{
	(void)s;
	(void)v;
	(void)n;
	return MF_STREAM_AGAIN;
}

static void shutdown_stream(struct mf_stream *s)
{
	(void)s;
}

static void close_stream(struct mf_stream *s, bool reset)
{
	(void)reset;
	s->impl = NULL;
}

static void stream_info(const struct mf_stream *s, struct mf_stream_info *out)
{
	(void)s;
	*out = (struct mf_stream_info){ 0 };
}

static const struct mf_outbound_ops far_ops = {
	.name = "far",
	.stream_open = open_stream,
	.stream_write = write_stream,
	.stream_read = read_stream,
	.stream_shutdown = shutdown_stream,
	.stream_close = close_stream,
	.stream_info = stream_info,
	.dgram_open = open_dgram,
	.dgram_send = send_dgrams,
	.dgram_recv = recv_dgrams,
	.dgram_error = no_error,
	.dgram_close = close_dgram,
};

/* What a poller does. True: something has come in. */
static bool tell(struct far *f)
{
	bool some = false;

	for (struct port *p = f->open; p; p = p->next) {
		if (!p->n || p->told)
			continue;
		p->told = some = true;
		mf_dgram_notify(p->d, MF_STREAM_READABLE);
	}
	return some;
}

/* ---- Apps ------------------------------------------------------------------------------------------------ */

/* A worker, and the apps whose packets come in there. */
struct side {
	struct mf_worker *w;
	struct far far;
	struct mf_prng prng;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool woken;
	uint32_t left;     /* atomic: packets to be read */
	uint64_t asked;    /* questions that were read */
	uint64_t answered; /* atomic */
	uint32_t sleeps;   /* atomic */
	/* Of TCP: what is to be said next. */
	struct datagram next[WAITING];
	uint32_t n_next;
};

static struct testnet net;
static struct mf_engine *engine;
static struct side side[WORKERS];
static struct mf_config *profile[2];
static mf_nsec began;
static uint32_t stop, running;

/* The engine's clock begins at the test net's. */
static mf_nsec clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return 1000 * MF_SEC + (mf_nsec)ts.tv_sec * MF_SEC + (mf_nsec)ts.tv_nsec - began;
}

static unsigned below(struct mf_prng *prng, unsigned n)
{
	return (unsigned)mf_prng_below(prng, n);
}

static void name_of(char out[32], unsigned set, unsigned number)
{
	snprintf(out, 32, "n%u.%s.example", number, set ? "two" : "one");
}

static uint32_t question(struct side *s, uint8_t *pkt, unsigned set, unsigned number)
{
	uint8_t q[PACKET_MAX] = { 0 };
	struct mf_dns_name wire;
	char name[32];
	size_t at = MF_DNS_HEADER;

	name_of(name, set, number);
	assert_int_equal(mf_dns_name_parse(&wire, name, strlen(name)), MF_OK);
	mf_store_be16(q, (uint16_t)s->asked++);
	mf_store_be16(q + 2, MF_DNS_RD);
	mf_store_be16(q + 4, 1);
	memcpy(q + at, wire.b, wire.n);
	at += wire.n;
	mf_store_be16(q + at, MF_DNS_A);
	mf_store_be16(q + at + 2, MF_DNS_IN);
	return testnet_udp4(pkt, "10.9.0.1", ANY_SERVER, (uint16_t)(4000 + s->w->index),
			    MF_DNS_PORT, q, (uint32_t)at + 4);
}

static uint32_t make(struct side *s, uint8_t *pkt)
{
	unsigned set = below(&s->prng, SETS), number = below(&s->prng, NAMES);
	uint16_t port = (uint16_t)(1000 + s->w->index * 1000 + below(&s->prng, PORTS));
	char dst[16];

	snprintf(dst, sizeof(dst), "45.0.%u.%u", set, number);
	switch (below(&s->prng, 4)) {
	case 0:
		return testnet_udp4(pkt, "10.9.0.1", dst, port, 5000, "hello", 5);
	case 1:
		return testnet_tcp4(pkt, "10.9.0.1", dst, port, 80, 1000, 0, 2, NULL, 0);
	default:
		return question(s, pkt, set, number);
	}
}

static size_t recv_some(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **out, size_t max,
			size_t bytes)
{
	struct side *s = ctx;
	size_t n = 0;

	(void)bytes;
	for (; n < max && (s->n_next || __atomic_load_n(&s->left, __ATOMIC_RELAXED)); n++) {
		out[n] = mf_pkt_small(pool);
		if (!out[n])
			break;
		if (s->n_next) {
			const struct datagram *d = &s->next[--s->n_next];

			memcpy(out[n]->data, d->bytes, d->n);
			out[n]->len = (uint32_t)d->n;
			continue;
		}
		__atomic_fetch_sub(&s->left, 1, __ATOMIC_RELAXED);
		out[n]->len = make(s, out[n]->data);
	}
	return n;
}

/* A connection that is open shows a name, of whatever set; one that has been heard ends. */
static void on_tcp(struct side *s, const uint8_t *ip, const uint8_t *tcp)
{
	uint32_t seq = mf_load_be32(tcp + 8), ack = mf_load_be32(tcp + 4) + 1;
	bool opened = tcp[13] == 0x12;
	char src[16], request[100], name[32];
	struct datagram *d = &s->next[s->n_next];
	int n;

	if (s->n_next == WAITING || (!opened && tcp[13] != 0x10))
		return;
	name_of(name, below(&s->prng, SETS), below(&s->prng, NAMES));
	n = opened ? snprintf(request, sizeof(request), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", name)
		   : 0;
	snprintf(src, sizeof(src), "%u.%u.%u.%u", ip[12], ip[13], ip[14], ip[15]);
	d->n = testnet_tcp4(d->bytes, "10.9.0.1", src, mf_load_be16(tcp + 2), 80, seq,
			    opened ? ack : 0, opened ? 0x18 : 4, request, (uint32_t)n);
	s->n_next++;
}

static void send_all(void *ctx, struct mf_pkt_pool *pool, struct mf_pkt **pkts, size_t n)
{
	struct side *s = ctx;

	(void)pool;
	for (size_t i = 0; i < n; i++) {
		const uint8_t *ip = pkts[i]->data, *l4 = ip + 20;

		pkts[i]->drop = MF_DROP_NONE;
		if (ip[9] == 17 && mf_load_be16(l4) == MF_DNS_PORT)
			__atomic_fetch_add(&s->answered, 1, __ATOMIC_RELAXED);
		else if (ip[9] == 6)
			on_tcp(s, ip, l4);
	}
}

/* ---- Threads --------------------------------------------------------------------------------------------- */

static void wake_worker(void *ctx, unsigned i)
{
	struct side *s = &side[i];

	(void)ctx;
	pthread_mutex_lock(&s->lock);
	s->woken = true;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->lock);
}

static bool wait_worker(void *ctx, unsigned i)
{
	(void)ctx;
	if (!running)
		return false;
	wake_worker(NULL, i);
	usleep(50);
	return true;
}

static void sleep_until(struct side *s, mf_nsec deadline)
{
	mf_nsec at = deadline - 1000 * MF_SEC + began;
	struct timespec ts = { .tv_sec = (time_t)(at / MF_SEC), .tv_nsec = (long)(at % MF_SEC) };
	int err = 0;

	pthread_mutex_lock(&s->lock);
	while (!s->woken && !err)
		err = deadline == MF_NEVER ? pthread_cond_wait(&s->wake, &s->lock)
					   : pthread_cond_timedwait(&s->wake, &s->lock, &ts);
	s->woken = false;
	pthread_mutex_unlock(&s->lock);
	__atomic_fetch_add(&s->sleeps, 1, __ATOMIC_RELAXED);
}

static void *work(void *arg)
{
	struct side *s = arg;
	mf_nsec deadline;

	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		bool busy = mf_worker_pass(s->w, clock_now());

		if (tell(&s->far) || busy || !mf_worker_sleep(s->w, &deadline))
			continue;
		sleep_until(s, deadline);
		mf_worker_wake(s->w);
	}
	return NULL;
}

static void start(void)
{
	stop = 0;
	running = 1;
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&side[i].thread, NULL, work, &side[i]), 0);
}

static void finish(void)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORKERS; i++)
		wake_worker(NULL, i);
	for (unsigned i = 0; i < WORKERS; i++)
		pthread_join(side[i].thread, NULL);
	running = 0;
}

/* ---- The engine ------------------------------------------------------------------------------------------- */

static const char head[] = "version: 1\n"
			   "tunnel: { name: tun0, address: 10.9.0.1/24 }\n"
			   "domain_sets:\n"
			   "  one: { domains: [one.example] }\n"
			   "  two: { domains: [two.example] }\n"
			   "dns:\n"
			   "  direct_servers: [198.51.100.53]\n"
			   "  vpn_servers: [10.8.0.53]\n"
			   "interfaces:\n";
static const char wg0[] = "  - name: wg0\n"
			  "    type: wireguard\n"
			  "    private_key: yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
			  "    address: 10.7.0.1/24\n";
static const char wg1[] = "  - name: wg1\n"
			  "    type: wireguard\n"
			  "    private_key: 4MLX8wOKwUQcM3iJKPGWcBURp/GNnzQJHZxqPkqAWFQ=\n"
			  "    address: 10.8.0.1/24\n"
			  "    peers:\n"
			  "      - public_key: HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\n"
			  "        endpoint: \"192.0.2.2:51001\"\n"
			  "        allowed_ips: [0.0.0.0/0]\n";

/* The names of the second set are nobody's, or go to an interface that comes and goes. */
static struct mf_config *parse(bool second)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text text = { 0 }, out = { 0 };
	struct mf_config *cfg = NULL;

	mf_text_printf(&text,
		       "%s%s%sapp_routing:\n  enabled: true\n  routes:\n"
		       "    - { domain_set: one, to: direct }\n"
		       "    - { domain_set: two, to: %s }\n"
		       "    - { cidr: 0.0.0.0/0, to: reject }\n"
		       "  dns_fallback: direct\n",
		       head, wg0, second ? wg1 : "", second ? "wg1" : "drop");
	if (mf_config_parse(text.s, text.len, "workers.yaml", 0, &cfg, &errs)) {
		mf_config_errors_print(&errs, &out);
		fail_msg("%s", out.s);
	}
	mf_text_free(&text);
	return cfg;
}

static void open_side(unsigned i, uint64_t seed)
{
	struct side *s = &side[i];
	struct mf_tun_port tun = { .ctx = s, .recv = recv_some, .send = send_all };
	pthread_condattr_t attr;

	*s = (struct side){ .w = mf_engine_worker(engine, i), .prng.state = seed + i };
	s->far.out = (struct mf_outbound){ .ops = &far_ops, .ctx = &s->far };
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->wake, &attr);
	pthread_condattr_destroy(&attr);
	s->w->host.wake_worker = wake_worker;
	mf_worker_set_tun(s->w, &tun);
	mf_worker_set_direct(s->w, &s->far.out);
}

static int open_net(void **state)
{
	struct mf_prng prng = unit_prng("workers");

	(void)state;
	began = 0;
	began = clock_now() - 1000 * MF_SEC;
	for (unsigned i = 0; i < 2; i++)
		profile[i] = parse(i);
	testnet_open(&net, &(struct testnet_options){ .seed = prng.state,
						      .n_workers = WORKERS,
						      .config = { profile[0], profile[0] } });
	net.swallow = true;
	engine = net.side[0].engine;
	engine->host.wake_worker = wake_worker;
	engine->host.wait_worker = wait_worker;
	for (unsigned i = 0; i < WORKERS; i++)
		open_side(i, prng.state);
	return 0;
}

/* A test that has failed has left its threads behind. */
static int close_net(void **state)
{
	(void)state;
	if (running)
		finish();
	assert_true(testnet_balanced(&net.side[0]));
	testnet_close(&net);
	for (unsigned i = 0; i < WORKERS; i++) {
		assert_null(side[i].far.open);
		pthread_mutex_destroy(&side[i].lock);
		pthread_cond_destroy(&side[i].wake);
	}
	for (unsigned i = 0; i < 2; i++)
		mf_config_free(profile[i]);
	return 0;
}

/* ---- What the control thread does ------------------------------------------------------------------------- */

/* Half of the names that the profile has in its second set. */
static struct mf_domain_set *some_names(struct mf_prng *prng)
{
	struct mf_domain_builder *b = mf_domain_builder_new((const uint8_t *)"0123456789abcdef");
	char name[32];

	assert_non_null(b);
	for (unsigned i = 0; i < NAMES; i++) {
		name_of(name, 1, i);
		if (below(prng, 2))
			assert_int_equal(mf_domain_builder_add(b, MF_DOMAIN_BELOW, name,
							       strlen(name), false, NULL),
					 MF_OK);
	}
	return mf_domain_builder_finish(b);
}

static void count_one(struct mf_worker *w, void *ctx)
{
	(void)w;
	++*(uint32_t *)ctx;
}

static void end_routes(struct mf_worker *w, void *ctx)
{
	struct mf_learned *t = mf_engine_learned(engine);

	(void)ctx;
	/* The first look finds those that packets have used. */
	(void)mf_learned_expire(t, w->graph.now + 3600 * MF_SEC, MF_SEC);
	(void)mf_learned_expire(t, w->graph.now + 7200 * MF_SEC, MF_SEC);
}

static void clear_routes(struct mf_worker *w, void *ctx)
{
	(void)w;
	(void)ctx;
	mf_learned_clear(mf_engine_learned(engine));
}

/* Orders keep their order, those that did not fit the ring as well. */
static void call_many(unsigned worker)
{
	uint32_t n = 0;
	struct mf_order o = { .kind = MF_ORDER_CALL, .call = { count_one, &n, NULL } };

	for (int i = 0; i < ORDERS; i++)
		mf_engine_order(engine, worker, &o);
	mf_engine_call(engine, worker, count_one, &n, clock_now());
	assert_int_equal(n, ORDERS + 1);
}

static void look_at_everything(void)
{
	struct mf_learned *t = mf_engine_learned(engine);
	struct mf_host_counters c;
	struct mf_tcp_counters tcp;
	struct mf_learned_info info;
	struct mf_why why;
	struct mf_addr a = { .family = MF_AF_IP4, .b = { 45, 0, 0, 1 } };

	mf_engine_host_counters(engine, &c, &tcp);
	for (uint32_t i = 0; i < mf_learned_places(t); i++)
		if (mf_learned_info(t, i, &info))
			assert_memory_equal(info.addr.b, "\x2d\0", 2);
	mf_engine_why(engine, &a, &why);
}

static unsigned sessions(bool close)
{
	struct mf_session_facts f;
	unsigned n = 0;

	for (unsigned w = 0; w < WORKERS; w++)
		for (uint32_t i = 0; i < mf_engine_session_slots(engine, w); i++)
			if (mf_engine_session(engine, w, i, &f)) {
				n++;
				if (close)
					(void)!mf_engine_session_close(engine, w, f.ref);
			}
	return n;
}

/* Ports of interfaces that have gone are free when no worker has them any more, and the test net has few of them: on a
 * busy machine profiles would come faster than that. */
static void apply(const struct mf_config *cfg, bool drop)
{
	struct mf_errbuf eb = { 0 };
	mf_err err;

	mf_engine_drop_sessions(engine, drop);
	while ((err = mf_engine_apply(engine, cfg, clock_now(), NULL, &eb)) == MF_E_FULL) {
		(void)mf_engine_control(engine, clock_now());
		usleep(1000);
	}
	if (err)
		fail_msg("%s", eb.text);
}

static void apply_sets(const struct mf_config *cfg, struct mf_domain_set *two)
{
	struct mf_errbuf eb;

	assert_int_equal(mf_engine_set_domains(engine, "two", two), MF_OK);
	assert_int_equal(mf_engine_apply_domains(engine, cfg, &eb), MF_OK);
}

static void round_of_control(struct mf_prng *prng, unsigned *which)
{
	switch (below(prng, 8)) {
	case 0:
	case 1:
		*which = !*which;
		apply(profile[*which], below(prng, 2));
		break;
	case 2:
		/* One after the other, so that nobody can have seen the first. */
		apply(profile[!*which], false);
		apply(profile[*which], false);
		break;
	case 3:
		apply_sets(profile[*which], some_names(prng));
		break;
	case 4:
		apply_sets(profile[*which], NULL);
		break;
	case 5:
		mf_engine_call(engine, 0, below(prng, 4) ? end_routes : clear_routes, NULL,
			       clock_now());
		break;
	case 6:
		call_many(below(prng, WORKERS));
		break;
	default:
		look_at_everything();
		(void)sessions(below(prng, 2));
	}
	(void)mf_engine_control(engine, clock_now());
}

static void give(uint32_t packets)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		__atomic_fetch_add(&side[i].left, packets, __ATOMIC_RELAXED);
		wake_worker(NULL, i);
	}
}

static uint64_t answered(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < WORKERS; i++)
		n += __atomic_load_n(&side[i].answered, __ATOMIC_RELAXED);
	return n;
}

static bool all_read(void)
{
	bool all = true;

	for (unsigned i = 0; i < WORKERS; i++)
		all &= !__atomic_load_n(&side[i].left, __ATOMIC_RELAXED);
	return all;
}

static bool all_answered(void)
{
	const struct mf_dns_front_counters *c = mf_engine_dns_counters(engine);
	uint64_t asked = mf_counter_read(&c->tunnel_queries);

	return all_read() && answered() + mf_counter_read(&c->no_buffer) == asked;
}

/* However long that takes. */
static void wait_for(bool (*done)(void))
{
	while (!done()) {
		(void)mf_engine_control(engine, clock_now());
		usleep(1000);
	}
}

static bool no_sessions(void)
{
	return !sessions(true);
}

static bool nothing_retired(void)
{
	return !engine->retired;
}

/* No session is left: nobody holds a route. */
static void check_released(void)
{
	struct mf_learned *t = mf_engine_learned(engine);
	struct mf_learned_info info;

	for (uint32_t i = 0; i < mf_learned_places(t); i++)
		if (mf_learned_info(t, i, &info))
			assert_int_equal(info.held, 0);
}

/* ---- Tests ------------------------------------------------------------------------------------------------ */

static void test_everything_at_once(void **state)
{
	struct mf_prng prng = { .state = net.prng.state };
	struct mf_host_counters c;
	struct mf_tcp_counters tcp;
	unsigned which = 0;

	(void)state;
	start();
	for (int i = 0; i < ROUNDS; i++) {
		give(PACKETS);
		round_of_control(&prng, &which);
	}
	apply(profile[0], false);
	wait_for(all_answered);
	wait_for(no_sessions);
	wait_for(nothing_retired);
	mf_engine_call(engine, 0, end_routes, NULL, clock_now());
	check_released();
	finish();
	mf_engine_host_counters(engine, &c, &tcp);
	print_message("%llu questions answered, %u sleeps of the first worker, %llu names shown\n",
		      (unsigned long long)answered(), side[0].sleeps,
		      (unsigned long long)c.settled_http);
	assert_true(answered() > 0);
	assert_true(c.settled_http > 0);
	assert_true(mf_counter_read(&mf_learned_counters(mf_engine_learned(engine))->learned) > 0);
	/* And the end comes while nobody has seen the last rules. */
	apply_sets(profile[0], some_names(&prng));
	apply_sets(profile[0], NULL);
	assert_non_null(engine->retired);
}

static void pass_all(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		while (mf_worker_pass(side[i].w, net.now))
			;
}

/* The first worker takes new rules though it has nothing else to do: others may have. */
static void test_sleeping_over_new_rules(void **state)
{
	mf_nsec deadline;

	(void)state;
	pass_all();
	wait_for(nothing_retired);
	assert_true(mf_worker_sleep(side[0].w, &deadline));
	side[0].woken = false;
	apply_sets(profile[0], NULL);
	assert_true(side[0].woken);
	assert_non_null(engine->retired);
	mf_worker_wake(side[0].w);
	/* What came while it was about to fall asleep keeps it awake. */
	assert_false(mf_worker_sleep(side[0].w, &deadline));
	pass_all();
	wait_for(nothing_retired);
	assert_true(mf_worker_sleep(side[0].w, &deadline));
	mf_worker_wake(side[0].w);
}

static void pass_until_idle(struct side *s, mf_nsec now)
{
	mf_nsec deadline;

	for (;;) {
		while (mf_worker_pass(s->w, now))
			;
		if (!tell(&s->far))
			return;
		assert_false(mf_worker_sleep(s->w, &deadline));
	}
}

/* It does not fall asleep over a question that another worker has given to it, nor over an answer; and if the server
 * is silent it wakes up when it is time to ask again, which nobody else knows. */
static void test_asleep_over_a_question(void **state)
{
	struct side *s = &side[0], *other = &side[1];
	mf_nsec deadline, now = net.now;

	(void)state;
	pass_all();
	s->far.asked = SILENT_ONE_IN - 1;
	other->next[0].n = question(other, other->next[0].bytes, 0, 7);
	other->n_next = 1;
	pass_until_idle(other, now);
	assert_false(mf_worker_sleep(s->w, &deadline));
	pass_until_idle(s, now);
	assert_int_equal(s->far.asked, SILENT_ONE_IN);
	while (!s->answered) {
		assert_true(mf_worker_sleep(s->w, &deadline));
		mf_worker_wake(s->w);
		assert_true(deadline > now && deadline != MF_NEVER);
		now = deadline;
		pass_until_idle(s, now);
	}
	assert_int_equal(s->far.asked, SILENT_ONE_IN + 1);
}

/* The first worker may know an interface that the others have not heard of. */
static void test_a_snapshot_ahead(void **state)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(engine);
	struct mf_learned_route r = {
		.addr = { .family = MF_AF_IP4, .b = { 45, 0, 0, 1 } },
		.hop = snap->n_hops - 1,
		.until = MF_NEVER,
		.name = "one.example",
	};

	(void)state;
	assert_int_equal(mf_learned_put(engine->learned, &r, false, net.now, NULL), MF_OK);
	assert_int_equal(mf_snapshot_route(snap, r.addr.b, 4), snap->n_hops - 1);
	r.hop = snap->n_hops;
	assert_int_equal(mf_learned_put(engine->learned, &r, false, net.now, NULL), MF_OK);
	assert_int_equal(mf_snapshot_route(snap, r.addr.b, 4), MF_HOP_ID_DROP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sleeping_over_new_rules, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_asleep_over_a_question, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_a_snapshot_ahead, open_net, close_net),
		cmocka_unit_test_setup_teardown(test_everything_at_once, open_net, close_net),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
