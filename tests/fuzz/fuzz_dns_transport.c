/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS over UDP and TCP with a server that sends anything: datagrams, bytes of a stream, ends,
 * resets, ICMP errors, silence. Every question ends once, no answer is passed up that
 * mf_dns_answer_check has not passed, and nothing is left open.
 *
 * A step is a byte that says what, a byte of detail, two of length, and as many bytes.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "resolver/internal.h"
#include "support/fakedns.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { ASKS = 64, HOP = 1 };

struct asked {
	struct mf_ask ask;
	struct mf_dns_name name;
	bool open;
};

static struct {
	mf_nsec now;
	bool woken, down;
	struct mf_prng prng;
	struct mf_pkt_pool *pool;
	struct fakedns far;
	struct mf_transport_env env;
	struct mf_transport_counters count;
	struct mf_dns_server server;
	struct mf_transport *t;
	struct asked asked[ASKS];
} lab;

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	(void)ctx, (void)hop;
	return lab.down ? NULL : &lab.far.out;
}

static void wake(void *ctx)
{
	(void)ctx;
	lab.woken = true;
}

static void done(struct mf_ask *a, enum mf_transport_error err, struct mf_span answer, mf_nsec now)
{
	struct asked *x = MF_CONTAINER_OF(a, struct asked, ask);
	struct mf_dns_walk walk;
	struct mf_dns_rr rr;

	MF_ASSERT(x->open && now <= a->deadline + MF_SEC);
	x->open = false;
	MF_ASSERT((err == MF_TRANSPORT_OK) == (answer.n > 0));
	if (err)
		return;
	/* Well-formed to the last byte, but for an old server's FORMERR or NOTIMP without a
	 * question. */
	MF_ASSERT(answer.n >= MF_DNS_HEADER && answer.p[2] & 0x80);
	MF_ASSERT(!(mf_load_be16(answer.p + 2) & MF_DNS_TC));
	if (mf_dns_walk_begin(&walk, answer) == MF_OK)
		while (mf_dns_walk_next(&walk, &rr))
			;
	MF_ASSERT(!walk.failed);
}

static void ask(uint8_t detail)
{
	struct asked *x = &lab.asked[detail % ASKS];
	char text[] = "abcdefgh.example";

	if (x->open) {
		mf_transport_cancel(lab.t, &x->ask);
		x->open = false;
		return;
	}
	text[detail % 8] = '.';
	if (detail % 8 == 0 || detail % 8 == 7)
		text[detail % 8] = 'x';
	MF_ASSERT(mf_dns_name_parse(&x->name, text, sizeof(text) - 1) == MF_OK);
	x->ask = (struct mf_ask){
		.name = &x->name,
		.type = detail & 64 ? MF_DNS_AAAA : MF_DNS_A,
		.deadline = lab.now + 5 * MF_SEC,
		.done = done,
	};
	x->open = mf_transport_ask(lab.t, &x->ask, detail >> 7, lab.now) == MF_OK;
}

static struct fake_dgram *a_dgram(uint8_t which)
{
	struct fake_dgram *x = lab.far.dgrams.last;

	for (which %= 8; x && which; which--)
		x = x->next;
	return x && x->d ? x : NULL;
}

/* As it is, or with the id (and the question) of what was sent last. */
static void give_dgram(uint8_t *bytes, size_t n, uint8_t detail)
{
	struct fake_dgram *x = a_dgram(detail);
	const struct fake_sent *sent;
	struct mf_endpoint from;

	if (!x || !x->n_sent || n > MF_PKT_SMALL_MAX)
		return;
	sent = fakedgram_sent(x);
	from = sent->remote;
	from.port = (uint16_t)(from.port + !(detail & 0x78));
	if (detail & 0x10 && n >= 2)
		memcpy(bytes, sent->bytes, 2);
	if (detail & 0x20 && n >= MF_DNS_HEADER)
		memcpy(bytes + MF_DNS_HEADER, sent->bytes + MF_DNS_HEADER,
		       mf_min(n, sent->n) - MF_DNS_HEADER);
	fakedgram_give(x, &from, bytes, n, detail & 0x80 && n > 40 ? (uint16_t)(n / 2) : 0, 0);
}

static void give_error(const uint8_t *bytes, size_t n, uint8_t detail)
{
	struct fake_dgram *x = a_dgram(detail);
	struct mf_dgram_error e = { 0 };

	if (!x || n < 2 || !x->n_sent || x->n_errors == MF_ARRAY_LEN(x->error))
		return;
	e.remote = fakedgram_sent(x)->remote;
	e.type = bytes[0];
	e.code = bytes[1];
	fakedgram_error(x, &e);
}

/* As it is, or with the id of the first question on the connection. */
static void give_stream(uint8_t *bytes, size_t n, uint8_t detail)
{
	struct fake_stream *st = lab.far.streams.last;

	if (detail & 1 && st)
		st = st->next;
	if (!st || !st->s || !st->opened || st->failed || st->eof)
		return;
	if (detail & 2 && n >= 4 && st->n_got >= 4) {
		mf_store_be16(bytes, (uint16_t)(n - 2));
		memcpy(bytes + 2, st->got + 2, mf_min(2, st->n_got - 2));
	}
	if (detail & 4 && n > 2 + MF_DNS_HEADER && st->n_got > 2 + MF_DNS_HEADER)
		memcpy(bytes + 14, st->got + 14, mf_min(n, st->n_got) - 14);
	fake_give(st, bytes, n);
	if ((detail & 0xf0) == 0x10)
		fake_end(st);
	if ((detail & 0xf0) == 0x20)
		fake_fail(st, MF_STREAM_E_RESET);
}

static void change(uint8_t detail)
{
	for (unsigned i = 0; i < lab.far.n; i++) {
		struct fakedns_server *s = &lab.far.server[i];

		s->twist = (enum fakedns_twist)((detail + i) % FAKEDNS_TWISTS);
		s->tcp_twist = (enum fakedns_twist)(detail / 3 % FAKEDNS_TWISTS);
		s->deaf = detail % 5 == 0;
		s->refuses = detail % 7 == 0 ? MF_STREAM_E_REFUSED : MF_STREAM_E_NONE;
	}
	lab.down = detail % 11 == 0;
	lab.far.dgrams.drop = detail % 13 ? MF_DROP_NONE : MF_DROP_OUTBOUND_REFUSED;
}

static void run(mf_nsec by)
{
	mf_nsec until = lab.now + by, next;

	for (int i = 0;; i++) {
		MF_ASSERT(i < 100000);
		lab.woken = false;
		next = mf_transport_run(lab.t, lab.now);
		fakedns_run(&lab.far, lab.now);
		if (lab.woken)
			continue;
		next = mf_min(next, fakedns_next(&lab.far));
		if (next > until)
			break;
		lab.now = mf_max(next, lab.now);
	}
	lab.now = until;
}

static void step(uint8_t what, uint8_t detail, uint8_t *bytes, size_t n)
{
	switch (what % 8) {
	case 0:
	case 1:
		ask(detail);
		break;
	case 2:
		give_dgram(bytes, n, detail);
		break;
	case 3:
		give_stream(bytes, n, detail);
		break;
	case 4:
		give_error(bytes, n, detail);
		break;
	case 5:
		change(detail);
		break;
	case 6:
		run((mf_nsec)detail * detail * 100 * MF_USEC);
		break;
	default:
		if (detail % 4 == 0)
			mf_transport_reset(lab.t, lab.now);
		run(0);
	}
}

static void begin(uint8_t how)
{
	memset(&lab, 0, sizeof(lab));
	lab.now = 1000 * MF_SEC;
	lab.prng.state = how;
	lab.pool = mf_pkt_pool_new(600, 16);
	fakedns_init(&lab.far, how);
	lab.env = (struct mf_transport_env){
		.outbound = outbound,
		.wake = wake,
		.pool = lab.pool,
		.rng = { .fill = mf_prng_fill, .ctx = &lab.prng },
		.mix_case = how & 2,
	};
	lab.server = (struct mf_dns_server){ .text = "fuzz", .n_addrs = 2 };
	lab.server.scheme = how & 1 ? MF_DNS_OVER_TCP : MF_DNS_OVER_UDP;
	lab.server.addr[0] = fakedns_add(&lab.far, "192.0.2.53:53")->addr;
	lab.server.addr[1] = fakedns_add(&lab.far, "[2001:db8::53]:53")->addr;
	lab.t = mf_transport_new(&lab.env, &lab.server, HOP, &lab.count);
	MF_ASSERT(lab.t);
	for (unsigned i = 0; i < lab.far.n; i++)
		lab.far.server[i].twist = lab.far.server[i].tcp_twist = FAKEDNS_SILENT;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	uint8_t bytes[4096];

	begin(n ? in[0] : 0);
	in += n > 0;
	n -= n > 0;
	while (n >= 4) {
		size_t len = mf_min(mf_min(mf_load_be16(in + 2), n - 4), sizeof(bytes));

		memcpy(bytes, in + 4, len);
		step(in[0], in[1], bytes, len);
		in += 4 + len;
		n -= 4 + len;
	}
	/* Everything ends in time, and then nothing is held. */
	run(6 * MF_SEC);
	for (unsigned i = 0; i < ASKS; i++)
		MF_ASSERT(!lab.asked[i].open);
	run(60 * MF_SEC);
	MF_ASSERT(!lab.far.streams.n_open && !lab.far.dgrams.n_open);
	mf_transport_free(lab.t);
	fakedns_fini(&lab.far);
	mf_pkt_pool_free(lab.pool);
	return 0;
}
