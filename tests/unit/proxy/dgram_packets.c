/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams as packets to a proxy, with a codec that is easily seen through: a letter, padding that
 * a test chooses, the target as SOCKS5 writes it, and the payload with some bits turned.
 */
#include "dgramlab.h"

#include "wire/icmp.h"

/* ---- The codec ------------------------------------------------------------------------------- */

enum { LETTER = 'T', TURNED = 0x5a };

struct toy {
	struct mf_packet_codec codec;
};

static unsigned pad_max; /* every packet has 0..pad_max bytes of it */
static bool skewed;      /* what does not open says so */
static unsigned wiped;

static size_t toy_put(const struct mf_endpoint *who, unsigned pad, const void *payload, size_t n,
		      uint8_t *out)
{
	struct mf_proxy_target to = { .addr = *who };
	size_t at = 0;

	out[at++] = LETTER;
	out[at++] = (uint8_t)pad;
	memset(out + at, 0, pad);
	at += pad;
	at += mf_target_put_socks(&to, out + at);
	for (size_t i = 0; i < n; i++)
		out[at++] = ((const uint8_t *)payload)[i] ^ TURNED;
	return at;
}

static size_t toy_seal(struct mf_packet_codec *c, const struct mf_proxy_target *to,
		       struct mf_span payload, uint8_t *out, size_t room)
{
	unsigned pad = pad_max ? (unsigned)mf_prng_below(&lab.prng, pad_max + 1) : 0;

	(void)c;
	if (2 + pad + mf_target_len(to) + payload.n > room)
		return 0;
	return toy_put(&to->addr, pad, payload.p, payload.n, out);
}

static mf_err toy_open(struct mf_packet_codec *c, uint8_t *in, size_t n, struct mf_span *payload,
		       struct mf_endpoint *from)
{
	struct mf_proxy_target who;
	size_t used, at = 2;

	c->fault = skewed ? MF_PROXY_CLOCK : MF_PROXY_AUTH;
	if (n < 2 || in[0] != LETTER || in[1] > n - 2)
		return MF_E_AUTH;
	at += in[1];
	if (mf_target_get_socks(mf_span(in + at, n - at), &who, &used))
		return MF_E_MALFORMED;
	at += used;
	for (size_t i = at; i < n; i++)
		in[i] ^= TURNED;
	*from = who.addr;
	*payload = mf_span(in + at, n - at);
	return MF_OK;
}

static void toy_wipe(struct mf_packet_codec *c)
{
	(void)c;
	wiped++;
}

static struct mf_packet_codec *toy_init(void *at, const struct mf_proxy_config *cfg,
					const struct mf_codec_env *env)
{
	static const struct mf_packet_ops ops = { "toy", toy_seal, toy_open, toy_wipe };
	struct toy *t = at;

	(void)cfg;
	t->codec = (struct mf_packet_codec){ .ops = &ops, .env = env };
	return &t->codec;
}

static const struct mf_dgram_proto toy_proto = {
	.kind = &mf_mapping_packets,
	.codec_size = sizeof(struct toy),
	.packets = toy_init,
};

/* ---- Around each test ------------------------------------------------------------------------ */

static struct app app;

static int up(void **state)
{
	(void)state;
	pad_max = 0;
	skewed = false;
	wiped = 0;
	lab_up(&toy_proto, 2000, 200);
	return 0;
}

static int down(void **state)
{
	(void)state;
	lab_down();
	return 0;
}

static void give(const struct mf_endpoint *from, const void *bytes, size_t n)
{
	uint8_t packet[200];

	fakedgram_give(lab.via.last, &lab.server[0], packet, toy_put(from, 0, bytes, n, packet), 0,
		       0);
}

static struct mf_proxy_counters *count(void)
{
	return &lab.health.count;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void test_full_cone(void **state)
{
	struct mf_endpoint a = lab_at("198.51.100.1:53"), b = lab_at("198.51.100.2:3478"),
			   c = lab_at("192.0.2.9:999");

	(void)state;
	app_open(&app);
	assert_int_equal(app_say(&app, &a, "to a", 4, 0), MF_DROP_NONE);
	assert_int_equal(app_say(&app, &b, "and b", 5, 0), MF_DROP_NONE);
	assert_int_equal(lab.via.n_opened, 1);
	assert_int_equal(lab.via.last->n_sent, 2);
	assert_true(mf_endpoint_equal(&fakedgram_sent(lab.via.last)->remote, &lab.server[0]));
	assert_true(fakedgram_sent(lab.via.last)->flags & MF_PKT_MAY_FRAGMENT);
	assert_int_equal(fakedgram_sent(lab.via.last)->tos, 0);

	give(&b, "from b", 6);
	give(&c, "from a stranger", 15);
	app_run(&app);
	assert_int_equal(app.n, 2);
	app_expect(&app, 0, &b, "from b", 6);
	app_expect(&app, 1, &c, "from a stranger", 15);
	assert_int_equal(count()->datagrams_up, 2);
	assert_int_equal(count()->datagrams_down, 2);
	assert_true(lab.health.facts.last_ok > 0);

	app_close(&app);
	assert_int_equal(lab.idle, 1);
	assert_int_equal(wiped, 1);
}

static void test_equal_lengths_leave_as_one(void **state)
{
	static const uint8_t bytes[64 * 200 + 7];
	struct mf_endpoint a = lab_at("198.51.100.1:53"), b = lab_at("198.51.100.2:53");
	struct mf_pkt *p[5];
	const struct fake_sent *s;

	(void)state;
	app_open(&app);
	p[0] = lab_pkt(&a, bytes, 200, 0);
	p[1] = lab_pkt(&b, bytes, 200, 0);
	p[2] = lab_pkt(&a, bytes, 2000, 200);
	p[3] = lab_pkt(&a, bytes, 199, 0);
	p[4] = lab_pkt(&a, bytes, 0, 0);
	mf_dgrams_send(&app.d, p, 5);
	s = lab.via.last->sent;
	assert_int_equal(lab.via.last->calls, 1);
	assert_int_equal(lab.via.last->n_sent, 3);
	assert_int_equal(s[0].gso_size, 200 + 2 + 7);
	assert_int_equal(s[0].n, 12 * (200 + 2 + 7));
	assert_int_equal(s[1].gso_size, 0);
	assert_int_equal(s[2].n, 2 + 7);
	assert_int_equal(count()->datagrams_up, 14);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(p[i]->drop, MF_DROP_NONE);
		mf_pkt_free(p[i]);
	}
	app_close(&app);
}

/* ---- Both ways, against lists of what must come ---------------------------------------------- */

struct said {
	struct mf_endpoint who;
	size_t n;
	uint8_t first; /* byte; the others count up */
};

enum { SAID = 20000, LONGEST = 3000 };
static struct {
	struct said of[SAID];
	size_t n, at;
} list;

static void fill_with(uint8_t *out, const struct said *s)
{
	for (size_t i = 0; i < s->n; i++)
		out[i] = (uint8_t)(s->first + i);
}

static struct mf_endpoint somebody(struct mf_prng *g)
{
	static const char *const who[] = { "198.51.100.1:53", "198.51.100.2:443", "192.0.2.1:5" };

	return lab_at(who[mf_prng_below(g, 3)]);
}

/* Payload of one packet, or super-packet of up to `max` datagrams, noted; returns how many
 * bytes. */
static size_t speak(struct mf_prng *g, const struct mf_endpoint *who, size_t max, uint8_t *out,
		    uint16_t *gso_size)
{
	size_t n = mf_prng_below(g, 4) ? mf_prng_below(g, 300) : mf_prng_below(g, LONGEST);
	size_t k = mf_prng_below(g, 3) && n ? 1 : 1 + mf_prng_below(g, max), at = 0;

	k = n ? mf_min(k, 60000 / n) : 1;
	*gso_size = k > 1 ? (uint16_t)n : 0;
	for (size_t i = 0; i < k; i++) {
		struct said *s = &list.of[list.n++];

		assert_true(list.n < SAID);
		*s = (struct said){ .who = *who, .n = n, .first = (uint8_t)mf_prng_u64(g) };
		if (k > 1 && i == k - 1)
			s->n = 1 + mf_prng_below(g, n);
		fill_with(out + at, s);
		at += s->n;
	}
	return at;
}

static void expect_next(const struct mf_endpoint *who, const uint8_t *bytes, size_t n)
{
	const struct said *s = &list.of[list.at++];
	uint8_t want[LONGEST];

	assert_true(list.at <= list.n);
	assert_true(mf_endpoint_equal(who, &s->who));
	assert_int_equal(n, s->n);
	fill_with(want, s);
	assert_memory_equal(bytes, want, n);
}

static void expect_sent(struct fake_sent *s)
{
	size_t each = s->gso_size ? s->gso_size : s->n, n;

	assert_true(s->n <= 65507);
	assert_true(!s->gso_size || (s->n > each && (s->n + each - 1) / each <= 64));
	for (size_t at = 0; at < s->n; at += n) {
		struct mf_packet_codec c;
		struct mf_span payload;
		struct mf_endpoint to;

		n = mf_min(each, s->n - at);
		assert_int_equal(toy_open(&c, s->bytes + at, n, &payload, &to), MF_OK);
		expect_next(&to, payload.p, payload.n);
	}
}

static void test_random_up(void **state)
{
	static uint8_t bytes[65536];
	struct mf_prng g = unit_prng("dgram packets up");
	size_t looked = 0;

	(void)state;
	app_open(&app);
	memset(&list, 0, sizeof(list));
	for (int round = 0; round < 60; round++) {
		struct mf_pkt *p[40];
		size_t n = 1 + mf_prng_below(&g, 40);

		pad_max = mf_prng_below(&g, 2) ? (unsigned)mf_prng_below(&g, 40) : 0;
		for (size_t i = 0; i < n; i++) {
			struct mf_endpoint to = somebody(&g);
			uint16_t gso;
			size_t len = speak(&g, &to, 30, bytes, &gso);

			p[i] = lab_pkt(&to, bytes, len, gso);
		}
		mf_dgrams_send(&app.d, p, n);
		for (; looked < lab.via.last->n_sent; looked++)
			expect_sent(&lab.via.last->sent[looked]);
		assert_int_equal(list.at, list.n);
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(p[i]->drop, MF_DROP_NONE);
			mf_pkt_free(p[i]);
		}
	}
	assert_int_equal(count()->datagrams_up, list.n);
	app_close(&app);
}

/* A super-packet as UDP_GRO makes them: sealed datagrams of one length, the last may be shorter;
 * some are spoilt, and some come from others. */
static size_t hear(struct mf_prng *g, uint8_t *out, uint16_t *gso)
{
	struct mf_endpoint who = somebody(g);
	size_t n = mf_prng_below(g, 4) ? mf_prng_below(g, 300) : mf_prng_below(g, LONGEST), at = 0;
	size_t k = mf_prng_below(g, 2) ? 1 : mf_min(1 + mf_prng_below(g, 60), 60000 / (n + 50));
	unsigned pad = (unsigned)mf_prng_below(g, 3);

	for (size_t i = 0; i < k; i++) {
		struct said s = { .who = who, .n = n, .first = (uint8_t)mf_prng_u64(g) };
		uint8_t payload[LONGEST];
		size_t used;

		if (!mf_prng_below(g, 10))
			s.who = who = somebody(g);
		if (i && i == k - 1)
			s.n = mf_prng_below(g, n + 1);
		fill_with(payload, &s);
		used = toy_put(&s.who, pad, payload, s.n, out + at);
		if (!i)
			*gso = (uint16_t)used;
		if (mf_prng_below(g, 20)) {
			assert_true(list.n < SAID);
			list.of[list.n++] = s;
		} else {
			out[at] = 'x';
		}
		at += used;
	}
	if (k == 1)
		*gso = 0;
	return at;
}

static void expect_got(const struct mf_pkt *p)
{
	size_t each = p->gso_size ? p->gso_size : p->len, n, at = 0;

	assert_int_equal(p->gso_type, p->gso_size ? MF_GSO_UDP : MF_GSO_NONE);
	assert_int_equal(p->segments, each ? (p->len + each - 1) / each : 1);
	assert_true(mf_pkt_headroom(p) >= MF_PKT_HEADROOM - 16);
	do {
		n = mf_min(each, p->len - at);
		expect_next(&p->remote, p->data + at, n);
		at += n;
	} while (at < p->len);
}

static void test_random_down(void **state)
{
	static uint8_t bytes[65536];
	struct mf_prng g = unit_prng("dgram packets down");
	uint64_t heard = 0;

	(void)state;
	app_open(&app);
	memset(&list, 0, sizeof(list));
	for (int round = 0; round < 100; round++) {
		app.burst = 1 + mf_prng_below(&g, 40);
		for (size_t i = mf_prng_below(&g, 12); i; i--) {
			uint16_t gso;
			size_t n = hear(&g, bytes, &gso);

			heard += gso ? (n + gso - 1) / gso : 1;
			fakedgram_give(lab.via.last, &lab.server[0], bytes, n, gso, 0);
		}
		app_run(&app);
		for (size_t i = 0; i < app.n; i++)
			expect_got(app.got[i]);
		assert_int_equal(list.at, list.n);
		app_forget(&app);
	}
	assert_int_equal(count()->datagrams_down, list.n);
	assert_int_equal(count()->datagrams_bad, heard - list.n);
	app_close(&app);
}

static void test_equal_ones_stay_together(void **state)
{
	struct mf_endpoint a = lab_at("198.51.100.1:53"), b = lab_at("198.51.100.2:53");
	uint8_t bytes[8 * 64];
	size_t n = 0;

	(void)state;
	app_open(&app);
	for (int i = 0; i < 6; i++)
		n += toy_put(i < 4 ? &a : &b, 0, "0123456789", i == 5 ? 4 : 10, bytes + n);
	fakedgram_give(lab.via.last, &lab.server[0], bytes, n, 2 + 7 + 10, 3);
	app_run(&app);
	assert_int_equal(app.n, 2);
	app_expect(&app, 0, &a, "0123456789012345678901234567890123456789", 40);
	app_expect(&app, 1, &b, "01234567890123", 14);
	assert_int_equal(app.got[0]->segments, 4);
	assert_int_equal(app.got[1]->segments, 2);
	assert_int_equal(app.got[1]->gso_size, 10);
	assert_int_equal(app.got[0]->tos, 0);
	app_close(&app);
}

static void test_bad_ones(void **state)
{
	struct mf_endpoint v4 = lab_at("198.51.100.1:53"), v6 = lab_at("[2001:db8::1]:53"),
			   mapped = lab_at("[::ffff:198.51.100.1]:53"),
			   other = lab_at("203.0.113.8:8388");
	uint8_t packet[100];
	size_t n = toy_put(&v4, 0, "hello", 5, packet);

	(void)state;
	app_open(&app);
	fakedgram_give(lab.via.last, &other, packet, n, 0, 0);
	give(&v6, "of the other family", 19);
	packet[0] = 'x';
	fakedgram_give(lab.via.last, &lab.server[0], packet, n, 0, 0);
	fakedgram_give(lab.via.last, &lab.server[0], packet, 0, 0, 0);
	app_run(&app);
	assert_int_equal(app.n, 0);
	assert_int_equal(count()->datagrams_bad, 4);
	assert_int_equal(count()->fault[MF_PROXY_AUTH], 0); /* anybody could have said that */
	assert_int_equal(lab.health.facts.last_ok, 0);

	skewed = true;
	fakedgram_give(lab.via.last, &lab.server[0], packet, n, 0, 0);
	give(&mapped, "IPv4 all the same", 17);
	app_run(&app);
	assert_int_equal(count()->fault[MF_PROXY_CLOCK], 1);
	assert_int_equal(app.n, 1);
	app_expect(&app, 0, &v4, "IPv4 all the same", 17);
	app_close(&app);
}

/* Anybody may send to our port, also in the server's name. Whoever does takes a turn, no more. */
static void test_flood(void **state)
{
	enum { FLOOD = 2000 };
	struct mf_endpoint other = lab_at("203.0.113.8:8388");
	size_t n;

	(void)state;
	app_open(&app);
	for (unsigned i = 0; i < FLOOD; i++)
		fakedgram_give(lab.via.last, i & 1 ? &other : &lab.server[0], "junk", 4, 0, 0);
	give(&other, "at last", 7);
	app.d.ready = 0;
	n = mf_dgrams_recv(&app.d, lab.pool, app.got, 32);
	assert_int_equal(n, 0);
	assert_true(count()->datagrams_bad <= 4 * 32);
	assert_true(app.d.ready & MF_STREAM_READABLE);
	app_run(&app);
	assert_int_equal(count()->datagrams_bad, FLOOD);
	assert_int_equal(app.n, 1);
	app_close(&app);
}

static void test_waits_for_the_address(void **state)
{
	struct mf_endpoint a = lab_at("198.51.100.1:53");
	char text[8];
	int k = 0;

	(void)state;
	lab.known = false;
	app_open(&app);
	assert_int_equal(lab.via.n_opened, 0);
	for (; k < MF_WAITING_MAX; k++) {
		(void)snprintf(text, sizeof(text), "%03d", k);
		assert_int_equal(app_say(&app, &a, text, 4, 0), MF_DROP_NONE);
	}
	assert_true(lab.asked > 0);
	assert_int_equal(app_say(&app, &a, "more", 4, 0), MF_DROP_PROXY_QUEUE_FULL);
	assert_int_equal(count()->datagrams_dropped, 1);
	app_run(&app);
	assert_int_equal(lab.x.n_waiting, MF_WAITING_MAX);

	lab.known = true;
	mf_dgrams_resolved(&lab.x, true);
	app_run(&app);
	assert_int_equal(lab.x.n_waiting, 0);
	assert_int_equal(lab.via.last->n_sent, 1);
	for (int i = 0; i < k; i++) {
		(void)snprintf(text, sizeof(text), "%03d", i);
		for (int j = 0; j < 4; j++)
			assert_int_equal(lab.via.last->sent->bytes[i * 13 + 9 + j] ^ TURNED, text[j]);
	}
	app_close(&app);
}

static void test_no_address(void **state)
{
	static const uint8_t bytes[MF_WAITING_BYTES];
	struct mf_endpoint a = lab_at("198.51.100.1:53");

	(void)state;
	lab.known = false;
	app_open(&app);
	assert_int_equal(app_say(&app, &a, bytes, 40000, 1000), MF_DROP_NONE);
	assert_int_equal(app_say(&app, &a, bytes, 40000, 1000), MF_DROP_PROXY_QUEUE_FULL);
	assert_int_equal(count()->datagrams_dropped, 40);
	mf_dgrams_resolved(&lab.x, false);
	assert_int_equal(count()->datagrams_dropped, 80);
	assert_int_equal(lab.x.n_waiting, 0);
	assert_int_equal(app_say(&app, &a, bytes, 40000, 1000), MF_DROP_NONE);
	app_close(&app); /* while it waits */
	assert_int_equal(lab.via.n_opened, 0);
}

static void test_errors_are_the_proxys(void **state)
{
	struct mf_endpoint a = lab_at("198.51.100.1:53");
	struct mf_dgram_error e = { .remote = lab.server[0], .type = MF_ICMP4_UNREACHABLE, .code = 3 };

	(void)state;
	app_open(&app);
	assert_int_equal(app_say(&app, &a, "one", 3, 0), MF_DROP_NONE);
	e.remote = a; /* of nobody that we have sent to */
	fakedgram_error(lab.via.last, &e);
	app_run(&app);
	assert_int_equal(count()->fault[MF_PROXY_REFUSED], 0);

	e.remote = lab.server[0];
	fakedgram_error(lab.via.last, &e);
	app_run(&app); /* app_run looks that no error reaches the app */
	assert_int_equal(count()->fault[MF_PROXY_REFUSED], 1);

	/* The next address is of the other family. */
	assert_int_equal(app_say(&app, &a, "two", 3, 0), MF_DROP_NONE);
	assert_int_equal(lab.via.n_opened, 2);
	assert_int_equal(lab.via.n_open, 1);
	assert_true(mf_endpoint_equal(&fakedgram_sent(lab.via.last)->remote, &lab.server[1]));
	e = (struct mf_dgram_error){ .remote = lab.server[1], .type = MF_ICMP6_TOO_BIG, .mtu = 1280 };
	fakedgram_error(lab.via.last, &e);
	e.type = MF_ICMP6_UNREACHABLE;
	fakedgram_error(lab.via.last, &e);
	app_run(&app);
	assert_int_equal(count()->fault[MF_PROXY_UNREACHABLE], 1);
	assert_int_equal(app_say(&app, &a, "three", 5, 0), MF_DROP_NONE);
	assert_true(mf_endpoint_equal(&fakedgram_sent(lab.via.last)->remote, &lab.server[0]));
	app_close(&app);
}

static void test_port_below_fails(void **state)
{
	struct mf_endpoint a = lab_at("198.51.100.1:53");

	(void)state;
	app_open(&app);
	fakedgram_fail(lab.via.last);
	app_run(&app);
	assert_int_equal(count()->fault[MF_PROXY_VIA], 1);
	assert_int_equal(lab.via.n_open, 0);
	assert_int_equal(app_say(&app, &a, "one", 3, 0), MF_DROP_NONE);
	assert_int_equal(lab.via.n_open, 1);

	/* The second time in a row it has to wait, and each time after that longer. */
	fakedgram_fail(lab.via.last);
	app_run(&app);
	assert_int_equal(app_say(&app, &a, "two", 3, 0), MF_DROP_OUTBOUND_DOWN);
	lab_wait(MF_SEC);
	lab.via.refuse = MF_STREAM_E_NET_UNREACHABLE;
	assert_int_equal(app_say(&app, &a, "two", 3, 0), MF_DROP_OUTBOUND_DOWN);
	assert_int_equal(count()->fault[MF_PROXY_UNREACHABLE], 1);
	lab_wait(MF_SEC);
	lab.via.refuse = MF_STREAM_E_NONE;
	assert_int_equal(app_say(&app, &a, "two", 3, 0), MF_DROP_OUTBOUND_DOWN);
	lab_wait(MF_SEC);
	assert_int_equal(app_say(&app, &a, "two", 3, 0), MF_DROP_NONE);
	assert_int_equal(count()->datagrams_dropped, 3);
	app_close(&app);
}

static void test_cannot_open(void **state)
{
	(void)state;
	lab.carrier = NULL;
	assert_int_not_equal(app_try(&app, MF_AF_IP4), MF_OK);
	assert_int_equal(app.d.error, MF_STREAM_E_NO_DEVICE);
	assert_int_equal(count()->fault[MF_PROXY_VIA], 1);
	lab.carrier = &lab.transport.out; /* has no datagrams */
	assert_int_equal(app_try(&app, MF_AF_IP4), MF_E_UNSUPPORTED);
	assert_int_equal(app.d.error, MF_STREAM_E_UNSUPPORTED);
	assert_int_equal(count()->fault[MF_PROXY_VIA], 2);
	lab.carrier = &lab.via.out;
	lab.via.refuse = MF_STREAM_E_NO_RESOURCES;
	assert_int_not_equal(app_try(&app, MF_AF_IP4), MF_OK);
	assert_int_equal(app.d.error, MF_STREAM_E_NO_RESOURCES);
	assert_int_equal(count()->fault[MF_PROXY_RESOURCES], 1);
	assert_int_equal(wiped, 3);
	app.d.kind = MF_DGRAM_ECHO;
	assert_int_equal(mf_dgrams_open(&lab.x, &lab.out, &app.d, NULL), MF_E_UNSUPPORTED);
}

static void test_verdicts(void **state)
{
	static const uint8_t bytes[66000];
	struct mf_endpoint a = lab_at("198.51.100.1:53");

	(void)state;
	app_open(&app);
	lab.via.drop = MF_DROP_OUTBOUND_BUSY;
	assert_int_equal(app_say(&app, &a, bytes, 1000, 100), MF_DROP_OUTBOUND_BUSY);
	assert_int_equal(count()->datagrams_dropped, 10);
	lab.via.drop = MF_DROP_NONE;
	assert_int_equal(app_say(&app, &a, bytes, 65507, 0), MF_DROP_PROXY_LENGTH);
	assert_int_equal(app_say(&app, &a, bytes, 65498, 0), MF_DROP_NONE);
	assert_int_equal(count()->datagrams_dropped, 11);
	assert_int_equal(count()->datagrams_up, 1);
	app_close(&app);
}

static void test_no_packets_left(void **state)
{
	struct mf_endpoint a = lab_at("198.51.100.1:53");
	static struct mf_pkt *taken[2300];
	size_t n = 0;

	(void)state;
	app_open(&app);
	while ((taken[n] = mf_pkt_large(lab.pool)))
		n++;
	while (mf_pkt_pool_free_small(lab.pool) > 1)
		taken[n++] = mf_pkt_small(lab.pool);
	assert_int_equal(app_say(&app, &a, "one", 3, 0), MF_DROP_BUFFERS);
	mf_pkt_free(taken[--n]);
	assert_int_equal(app_say(&app, &a, "one", 3, 0), MF_DROP_NONE);
	assert_int_equal(app_say(&app, &a, "onetwo", 6, 3), MF_DROP_NONE);
	assert_int_equal(app_say(&app, &a, "onetw", 5, 3), MF_DROP_BUFFERS); /* for "tw" */
	assert_int_equal(count()->datagrams_up, 4);
	assert_int_equal(count()->datagrams_dropped, 2);
	while (n)
		mf_pkt_free(taken[--n]);
	app_close(&app);
}

static void test_end(void **state)
{
	static struct app other;

	(void)state;
	app_open(&app);
	app_open(&other);
	mf_dgrams_end(&lab.x);
	assert_true(app.d.ready & other.d.ready & MF_STREAM_FAILED);
	app_close(&app);
	assert_int_equal(lab.idle, 0);
	app_close(&other);
	assert_int_equal(lab.idle, 1);
	mf_dgrams_close(&other.d); /* once more does nothing */
}

/* What is left of a super-packet when the app goes. */
static void test_close_with_some_left(void **state)
{
	struct mf_endpoint a = lab_at("198.51.100.1:53"), b = lab_at("198.51.100.2:53");
	uint8_t bytes[400];
	size_t n = 0;

	(void)state;
	app_open(&app);
	for (int i = 0; i < 10; i++)
		n += toy_put(i % 2 ? &a : &b, 0, "0123456789", 10, bytes + n);
	fakedgram_give(lab.via.last, &lab.server[0], bytes, n, 2 + 7 + 10, 0);
	app.n = mf_dgrams_recv(&app.d, lab.pool, app.got, 3);
	assert_int_equal(app.n, 3);
	app_close(&app);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_full_cone),
		TEST(test_equal_lengths_leave_as_one),
		TEST(test_random_up),
		TEST(test_random_down),
		TEST(test_equal_ones_stay_together),
		TEST(test_bad_ones),
		TEST(test_flood),
		TEST(test_waits_for_the_address),
		TEST(test_no_address),
		TEST(test_errors_are_the_proxys),
		TEST(test_port_below_fails),
		TEST(test_cannot_open),
		TEST(test_verdicts),
		TEST(test_no_packets_left),
		TEST(test_end),
		TEST(test_close_with_some_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
