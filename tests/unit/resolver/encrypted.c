/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS over TLS and over HTTPS, from the transport's interface down to a server in memory: what goes
 * over the wire, who is believed, many questions on one connection, and how connections and
 * questions end.
 */
#include "unit.h"

#include "base/endian.h"
#include "far.h"
#include "resolver/transport.h"

enum { ASKERS = 250 };

struct asker {
	struct mf_ask a;
	struct mf_dns_name name;
	bool done;
	enum mf_transport_error err;
	uint8_t answer[MF_DNS_MESSAGE_MAX];
	size_t n;
};

static struct tlslab_ca ca;
static struct mf_tls_context *tls;
static const struct tlslab_cert good = { .san = "DNS:dns.example, IP:192.0.2.53, IP:2001:db8::53" },
				wrong = { .san = "DNS:other.example" };

/* ---- The laboratory ---- */

static struct far far;
static struct mf_transport *t;
static struct mf_transport_counters count;
static struct mf_transport_env env;
static struct mf_dns_server server;
static struct mf_prng prng;
static struct mf_log log_;
static struct asker asker[ASKERS];
static mf_nsec now;
static bool woken;
static char last_line[512];

static struct mf_outbound *outbound(void *ctx, uint32_t hop)
{
	(void)ctx, (void)hop;
	return &far.out.out;
}

static void wake(void *ctx)
{
	(void)ctx;
	woken = true;
}

static void write_line(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx, (void)level;
	snprintf(last_line, sizeof(last_line), "%s", line);
}

static void begin_with(enum mf_dns_scheme scheme, const struct tlslab_cert *cert, const char *alpn)
{
	prng = unit_prng(__func__);
	far_open(&far, &ca, cert, alpn);
	far.https = scheme == MF_DNS_OVER_HTTPS;
	log_ = (struct mf_log){ .write = write_line, .level = MF_LOG_DEBUG };
	env = (struct mf_transport_env){
		.outbound = outbound,
		.wake = wake,
		.rng = { mf_prng_fill, &prng },
		.tls = tls,
		.log = &log_,
	};
	server = (struct mf_dns_server){
		.text = "the server",
		.scheme = (uint8_t)scheme,
		.name = "dns.example",
		.path = "/dns-query",
		.n_addrs = 1,
	};
	assert_int_equal(
		mf_endpoint_parse(&server.addr[0], far.https ? "192.0.2.53:443" : "192.0.2.53:853"),
		MF_OK);
	memset(&count, 0, sizeof(count));
	memset(asker, 0, sizeof(asker));
	now = 1000 * MF_SEC;
	last_line[0] = 0;
	t = mf_transport_new(&env, &server, 0, &count);
	assert_non_null(t);
}

static void begin_dot(void)
{
	begin_with(MF_DNS_OVER_TLS, &good, "\3dot");
}

static void begin_doh(void)
{
	begin_with(MF_DNS_OVER_HTTPS, &good, "\2h2");
}

static void finish(void)
{
	mf_transport_free(t);
	assert_int_equal(far.out.n_open, 0);
	far_close(&far);
}

/* Both sides, until nothing moves. */
static void settle(void)
{
	bool moved;

	do {
		woken = false;
		moved = mf_transport_run(t, now) <= now;
		moved |= far_turn(&far);
	} while (moved || woken);
}

static void on_done(struct mf_ask *a, enum mf_transport_error err, struct mf_span answer, mf_nsec when)
{
	struct asker *k = MF_CONTAINER_OF(a, struct asker, a);

	assert_false(k->done);
	assert_int_equal(when, now);
	k->done = true;
	k->err = err;
	k->n = answer.n;
	memcpy(k->answer, answer.n ? answer.p : k->answer, answer.n);
}

/* Number i asks for iI.example. */
static struct asker *ask(unsigned i)
{
	struct asker *k = &asker[i];
	char text[32];

	snprintf(text, sizeof(text), "i%u.example", i);
	memset(k, 0, sizeof(*k));
	assert_int_equal(mf_dns_name_parse(&k->name, text, strlen(text)), MF_OK);
	k->a = (struct mf_ask){
		.name = &k->name,
		.type = MF_DNS_A,
		.deadline = now + 5 * MF_SEC,
		.done = on_done,
	};
	assert_int_equal(mf_transport_ask(t, &k->a, 0, now), MF_OK);
	return k;
}

/* The address that answers a question: made of its name. */
static struct mf_addr address_for(const struct mf_dns_name *name)
{
	uint8_t b[4] = { 10, 0, 0, 0 };

	for (unsigned i = 0; i < name->n; i++)
		b[1 + i % 3] = (uint8_t)(b[1 + i % 3] * 31 + name->b[i]);
	return mf_addr_ip4(b);
}

static size_t make_answer(const struct far_question *q, uint8_t *out, uint32_t ttl)
{
	struct mf_dns_query query;
	struct mf_addr addr;

	assert_int_equal(mf_dns_query_read(mf_span(q->msg, q->n), &query), MF_OK);
	addr = address_for(&query.name);
	return mf_dns_reply_addrs(out, MF_DNS_MESSAGE_MAX, mf_span(q->msg, q->n), &query, &addr, 1,
				  ttl);
}

static void answer(struct far_question *q)
{
	static uint8_t out[MF_DNS_MESSAGE_MAX];

	far_answer(q, mf_span(out, make_answer(q, out, 300)));
}

static void is_answered(const struct asker *k)
{
	struct mf_dns_facts f;
	struct mf_addr want = address_for(&k->name);

	assert_true(k->done);
	assert_int_equal(k->err, MF_TRANSPORT_OK);
	assert_int_equal(mf_dns_facts_read(mf_span(k->answer, k->n), &f), MF_OK);
	assert_int_equal(f.n_addrs, 1);
	assert_true(mf_addr_equal(&f.addr[0], &want));
}

static void has_failed(const struct asker *k, enum mf_transport_error why)
{
	assert_true(k->done);
	assert_int_equal(k->err, why);
	assert_int_equal(k->n, 0);
}

/* One question, answered. */
static void warm_up(void)
{
	struct asker *k = ask(0);

	settle();
	assert_int_equal(far.n_asked, 1);
	answer(&far.asked[0]);
	settle();
	is_answered(k);
}

/* Asks 1 to n, lets the server have them, and answers in random order. */
static void ask_many(unsigned n)
{
	unsigned left = n;
	size_t first = far.n_asked;

	for (unsigned i = 0; i < n; i++)
		ask(i);
	while (left) {
		static size_t open[FAR_QUESTIONS];
		size_t n_open = 0;

		settle();
		for (size_t i = first; i < far.n_asked; i++)
			if (far.asked[i].n)
				open[n_open++] = i;
		assert_true(n_open > 0);
		for (size_t k = 1 + mf_prng_below(&prng, n_open); k && n_open; k--) {
			size_t at = mf_prng_below(&prng, n_open);

			answer(&far.asked[open[at]]);
			far.asked[open[at]].n = 0; /* so much for that one */
			open[at] = open[--n_open];
			left--;
		}
	}
	settle();
	for (unsigned i = 0; i < n; i++)
		is_answered(&asker[i]);
}

/* ---- TLS ---- */

static void test_dot_question(void **state)
{
	const uint8_t *alpn;
	unsigned n;

	(void)state;
	begin_dot();
	warm_up();
	assert_string_equal(SSL_get_servername(far.last->ssl, TLSEXT_NAMETYPE_host_name),
			    "dns.example");
	SSL_get0_alpn_selected(far.last->ssl, &alpn, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(alpn, "dot", 3);
	assert_int_equal(far.asked[0].n % 128, 0); /* RFC 8467 4.1 */
	assert_int_equal(count.asked, 1);
	assert_int_equal(count.answered, 1);
	assert_int_equal(count.connections, 1);
	assert_int_equal(count.tls_failed, 0);
	finish();
}

static void test_dot_many(void **state)
{
	(void)state;
	begin_dot();
	far.out.prng = &prng; /* reads and writes take what they like */
	ask_many(ASKERS);
	ask_many(ASKERS);
	assert_int_equal(far.n_conns, 1);
	assert_int_equal(count.connections, 1);
	finish();
}

/* The question with one record behind it that fills the message. */
static size_t make_long_answer(const struct far_question *q, uint8_t out[MF_DNS_MESSAGE_MAX])
{
	struct mf_dns_query query;
	size_t at;

	assert_int_equal(mf_dns_query_read(mf_span(q->msg, q->n), &query), MF_OK);
	at = query.question_end;
	for (size_t i = at; i < MF_DNS_MESSAGE_MAX; i++)
		out[i] = (uint8_t)(i * 7);
	memcpy(out, q->msg, at);
	mf_store_be16(out + 2, MF_DNS_QR | MF_DNS_RD | MF_DNS_RA);
	mf_store_be16(out + 6, 1);
	mf_store_be16(out + 10, 0);
	mf_store_be16(out + at, 0xc00c);
	mf_store_be16(out + at + 2, 65280); /* private use (RFC 6895 3.1) */
	mf_store_be16(out + at + 4, MF_DNS_IN);
	mf_store_be32(out + at + 6, 300);
	mf_store_be16(out + at + 10, (uint16_t)(MF_DNS_MESSAGE_MAX - at - 12));
	return MF_DNS_MESSAGE_MAX;
}

/* Several of them, together more than what either side keeps of a connection. */
static void test_long_messages(void **state)
{
	static uint8_t want[MF_DNS_MESSAGE_MAX];

	(void)state;
	for (int https = 0; https < 2; https++) {
		if (https)
			begin_doh();
		else
			begin_dot();
		far.out.prng = &prng;
		for (unsigned i = 0; i < 5; i++)
			ask(i);
		settle();
		for (unsigned i = 0; i < 5; i++)
			far_answer(&far.asked[i],
				   mf_span(want, make_long_answer(&far.asked[i], want)));
		settle();
		for (unsigned i = 0; i < 5; i++) {
			assert_true(asker[i].done);
			assert_int_equal(asker[i].err, MF_TRANSPORT_OK);
			assert_int_equal(asker[i].n, MF_DNS_MESSAGE_MAX);
			/* It is the server's but for the name, which the transport has checked. */
			assert_memory_equal(asker[i].answer + 100, want + 100, sizeof(want) - 100);
		}
		finish();
	}
}

/* Twenty of them at the same time, piece by piece in turn, are more than a server may make us keep:
 * some go, the others come, and the connection stays. */
static void test_doh_too_much(void **state)
{
	static uint8_t out[MF_DNS_MESSAGE_MAX];
	unsigned answered = 0, broken = 0;
	struct asker *k;

	(void)state;
	begin_doh();
	for (unsigned i = 0; i < 20; i++)
		ask(i);
	settle();
	for (unsigned i = 0; i < 20; i++)
		far_answer(&far.asked[i], mf_span(out, make_long_answer(&far.asked[i], out)));
	settle();
	for (unsigned i = 0; i < 20; i++) {
		assert_true(asker[i].done);
		answered += asker[i].err == MF_TRANSPORT_OK;
		broken += asker[i].err == MF_TRANSPORT_BROKEN;
	}
	assert_int_equal(answered + broken, 20);
	assert_true(answered > 0 && broken > 0);
	k = ask(20);
	settle();
	answer(&far.asked[20]);
	settle();
	is_answered(k);
	assert_int_equal(far.n_conns, 1);
	finish();
}

static void fails_in_tls(enum mf_dns_scheme scheme)
{
	struct asker *k, *other;

	begin_with(scheme, &wrong, scheme == MF_DNS_OVER_TLS ? "\3dot" : "\2h2");
	k = ask(0);
	other = ask(1);
	settle();
	has_failed(k, MF_TRANSPORT_TLS);
	has_failed(other, MF_TRANSPORT_TLS);
	assert_int_equal(count.tls_failed, 1);
	assert_int_equal(count.errors, 2);
	assert_int_equal(far.n_asked, 0); /* nothing was said to it */
	assert_non_null(strstr(last_line, "the server"));
	assert_non_null(strstr(last_line, "hostname mismatch"));
	finish();
}

static void test_wrong_certificate(void **state)
{
	(void)state;
	fails_in_tls(MF_DNS_OVER_TLS);
	fails_in_tls(MF_DNS_OVER_HTTPS);
}

/* A server that is known by its address only. */
static void test_by_address(void **state)
{
	static const char *const to[] = { "192.0.2.53:853", "[2001:db8::53]:853" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(to); i++) {
		begin_dot();
		server.name = NULL;
		assert_int_equal(mf_endpoint_parse(&server.addr[0], to[i]), MF_OK);
		warm_up();
		assert_null(SSL_get_servername(far.last->ssl, TLSEXT_NAMETYPE_host_name));
		finish();
	}
	begin_dot();
	server.name = NULL;
	assert_int_equal(mf_endpoint_parse(&server.addr[0], "192.0.2.54:853"), MF_OK);
	ask(0);
	settle();
	has_failed(&asker[0], MF_TRANSPORT_TLS);
	finish();
}

static void test_no_context(void **state)
{
	struct asker *k;

	(void)state;
	begin_dot();
	env.tls = NULL;
	k = ask(0);
	settle();
	has_failed(k, MF_TRANSPORT_RESOURCES);
	assert_int_equal(far.n_conns, 0);
	finish();
}

/* The server is no TLS server: it ends the connection before there is one. */
static void test_handshake_cut(void **state)
{
	struct asker *k;

	(void)state;
	begin_dot();
	far.dead = true;
	k = ask(0);
	settle();
	assert_false(k->done);
	fake_end(far.last->st);
	settle();
	has_failed(k, MF_TRANSPORT_TLS);
	finish();
}

/* A server may hang up when it likes; what was open is asked on a new connection, with the ticket
 * of the first. */
static void hangs_up(bool in_order)
{
	struct asker *k;

	begin_dot();
	warm_up();
	k = ask(1);
	settle();
	assert_int_equal(far.n_asked, 2);
	far_hang_up(far.last, in_order);
	settle();
	assert_int_equal(far.n_conns, 2);
	assert_int_equal(SSL_session_reused(far.last->ssl), 1);
	assert_false(k->done);
	answer(&far.asked[2]);
	settle();
	is_answered(k);
	/* But not forever. */
	k = ask(2);
	settle();
	far_hang_up(far.last, in_order);
	settle();
	far_hang_up(far.last, in_order);
	settle();
	has_failed(k, MF_TRANSPORT_UNREACHABLE);
	assert_int_equal(far.n_conns, 3);
	finish();
}

static void test_dot_hang_up(void **state)
{
	(void)state;
	hangs_up(true);
	hangs_up(false);
}

/* ---- HTTPS ---- */

static void test_doh_question(void **state)
{
	char want[512];

	(void)state;
	begin_doh();
	warm_up();
	snprintf(want, sizeof(want),
		 ":method: POST\n:scheme: https\n:authority: dns.example\n:path: /dns-query\n"
		 "accept: application/dns-message\ncontent-type: application/dns-message\n"
		 "content-length: %zu\n",
		 far.asked[0].n);
	assert_string_equal(far.asked[0].headers, want); /* and not a word more */
	assert_int_equal(mf_load_be16(far.asked[0].msg), 0);
	assert_int_equal(far.asked[0].n % 128, 0);
	finish();
}

static void test_doh_authority(void **state)
{
	static const struct {
		const char *name, *to, *want;
	} cases[] = {
		{ "dns.example", "192.0.2.53:8443", ":authority: dns.example:8443\n" },
		{ NULL, "192.0.2.53:443", ":authority: 192.0.2.53\n" },
		{ NULL, "192.0.2.53:8443", ":authority: 192.0.2.53:8443\n" },
		{ NULL, "[2001:db8::53]:443", ":authority: [2001:db8::53]\n" },
		{ NULL, "[2001:db8::53]:8443", ":authority: [2001:db8::53]:8443\n" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		begin_doh();
		server.name = cases[i].name;
		assert_int_equal(mf_endpoint_parse(&server.addr[0], cases[i].to), MF_OK);
		warm_up();
		assert_non_null(strstr(far.asked[0].headers, cases[i].want));
		finish();
	}
}

static void test_doh_many(void **state)
{
	(void)state;
	begin_doh();
	far.out.prng = &prng;
	far.max_streams = 10;
	warm_up(); /* before it knows of the limit it may open more */
	ask_many(ASKERS);
	ask_many(ASKERS);
	assert_int_equal(far.n_conns, 1);
	assert_int_equal(far.last->n_open_max, 10);
	finish();
}

static void test_doh_no_h2(void **state)
{
	struct asker *k;

	(void)state;
	begin_with(MF_DNS_OVER_HTTPS, &good, NULL);
	k = ask(0);
	settle();
	has_failed(k, MF_TRANSPORT_HTTP);
	assert_int_equal(far.n_asked, 0);
	finish();
}

static void test_doh_garbage(void **state)
{
	struct asker *k;

	(void)state;
	begin_doh();
	far.garbage = true;
	k = ask(0);
	settle();
	has_failed(k, MF_TRANSPORT_BROKEN);
	assert_null(far.last->st->s); /* the connection is gone */
	finish();
}

static void test_doh_responses(void **state)
{
	static const struct {
		const char *status, *type;
		enum mf_transport_error want;
	} cases[] = {
		{ "200", "application/dns-message", MF_TRANSPORT_OK },
		{ "200", "Application/DNS-Message; charset=x", MF_TRANSPORT_OK },
		{ "200", "application/dns-messages", MF_TRANSPORT_HTTP },
		{ "200", "text/html", MF_TRANSPORT_HTTP },
		{ "202", "application/dns-message", MF_TRANSPORT_HTTP },
		{ "404", "application/dns-message", MF_TRANSPORT_HTTP },
		{ "503", "text/plain", MF_TRANSPORT_HTTP },
		{ "301", "text/html", MF_TRANSPORT_HTTP },
	};
	static uint8_t out[MF_DNS_MESSAGE_MAX];

	(void)state;
	begin_doh();
	for (unsigned i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct asker *k = ask(i);

		settle();
		far_reply(&far.asked[i], cases[i].status, cases[i].type, NULL,
			  mf_span(out, make_answer(&far.asked[i], out, 300)));
		settle();
		assert_true(k->done);
		assert_int_equal(k->err, cases[i].want);
	}
	assert_int_equal(far.n_conns, 1); /* none of it is the connection's fault */
	finish();
}

/* RFC 8484 5.1 */
static void test_doh_age(void **state)
{
	static uint8_t out[MF_DNS_MESSAGE_MAX];
	static const struct {
		const char *age;
		uint32_t want;
	} cases[] = { { "0", 300 }, { "100", 200 }, { "300", 0 }, { "999999999", 0 }, { "soon", 300 } };

	(void)state;
	begin_doh();
	for (unsigned i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct asker *k = ask(i);
		struct mf_dns_walk w;
		struct mf_dns_rr rr;

		settle();
		far_reply(&far.asked[i], "200", "application/dns-message", cases[i].age,
			  mf_span(out, make_answer(&far.asked[i], out, 300)));
		settle();
		is_answered(k);
		assert_int_equal(mf_dns_walk_begin(&w, mf_span(k->answer, k->n)), MF_OK);
		assert_true(mf_dns_walk_next(&w, &rr));
		assert_int_equal(rr.ttl, cases[i].want);
	}
	finish();
}

static void test_doh_wrong_answers(void **state)
{
	static uint8_t out[MF_DNS_MESSAGE_MAX], long_one[MF_DNS_MESSAGE_MAX + 1];
	struct asker *k[4];
	size_t n;

	(void)state;
	begin_doh();
	for (unsigned i = 0; i < MF_ARRAY_LEN(k); i++)
		k[i] = ask(i);
	settle();
	n = make_answer(&far.asked[1], out, 300);
	far_answer(&far.asked[0], mf_span(out, n));     /* to another question */
	far_answer(&far.asked[1], mf_span(out, n - 1)); /* cut short */
	far_answer(&far.asked[2], mf_span(NULL, 0));
	far_answer(&far.asked[3], mf_span(long_one, sizeof(long_one)));
	settle();
	for (unsigned i = 0; i < MF_ARRAY_LEN(k); i++)
		has_failed(k[i], MF_TRANSPORT_BROKEN);
	assert_int_equal(count.spoofed, 1);
	assert_int_equal(count.answered, 0);
	k[0] = ask(4);
	settle();
	answer(&far.asked[4]);
	settle();
	is_answered(k[0]);
	assert_int_equal(far.n_conns, 1);
	finish();
}

static void test_doh_reset(void **state)
{
	struct asker *k;

	(void)state;
	begin_doh();
	k = ask(0);
	settle();
	far_reset(&far.asked[0], NGHTTP2_REFUSED_STREAM); /* it has not been looked at */
	settle();
	assert_false(k->done);
	assert_int_equal(far.n_asked, 2);
	answer(&far.asked[1]);
	settle();
	is_answered(k);
	k = ask(1);
	settle();
	far_reset(&far.asked[2], NGHTTP2_INTERNAL_ERROR);
	settle();
	has_failed(k, MF_TRANSPORT_BROKEN);
	k = ask(2);
	settle();
	far_reset(&far.asked[3], NGHTTP2_REFUSED_STREAM);
	settle();
	far_reset(&far.asked[4], NGHTTP2_REFUSED_STREAM);
	settle();
	has_failed(k, MF_TRANSPORT_UNREACHABLE); /* it will not have it */
	assert_int_equal(far.n_conns, 1);
	finish();
}

static void test_doh_goaway(void **state)
{
	struct asker *k, *other;

	(void)state;
	begin_doh();
	warm_up();
	k = ask(1);
	settle();
	far_goaway(far.last);
	settle();
	assert_non_null(far.last->st->s); /* what is open may still be answered here */
	answer(&far.asked[1]);
	settle();
	is_answered(k);
	assert_null(far.last->st->s);

	k = ask(2); /* a new connection */
	settle();
	assert_int_equal(far.n_conns, 2);
	answer(&far.asked[2]);
	settle();
	is_answered(k);
	k = ask(3);
	settle();
	far_goaway(far.last);
	settle();
	other = ask(4); /* and does not wait for what is open on the old one */
	settle();
	assert_int_equal(far.n_conns, 3);
	assert_int_equal(far.n_asked, 6);
	answer(&far.asked[4]);
	answer(&far.asked[5]);
	settle();
	is_answered(k);
	is_answered(other);
	finish();
}

static void test_doh_idle(void **state)
{
	struct far_conn *first;
	struct asker *k;

	(void)state;
	begin_doh();
	warm_up();
	first = far.last;
	now += 29 * MF_SEC;
	settle();
	k = ask(1);
	settle();
	assert_int_equal(far.n_conns, 1);
	assert_int_equal(count.reused, 1);
	answer(&far.asked[1]);
	settle();
	is_answered(k);
	assert_true(mf_transport_run(t, now) <= now + 31 * MF_SEC);
	now += 31 * MF_SEC;
	settle();
	assert_null(first->st->s);
	assert_true(first->said_goodbye);
	assert_true(first->closed);
	k = ask(2);
	settle();
	assert_int_equal(far.n_conns, 2);
	assert_int_equal(SSL_session_reused(far.last->ssl), 1);
	answer(&far.asked[2]);
	settle();
	is_answered(k);
	finish();
}

/* Answers to questions that were taken back go nowhere, and too many of them are called off. */
static void test_doh_cancel(void **state)
{
	(void)state;
	begin_doh();
	warm_up();
	for (unsigned i = 1; i < 100; i++)
		ask(i);
	settle();
	for (unsigned i = 1; i < 99; i++)
		mf_transport_cancel(t, &asker[i].a);
	settle();
	assert_int_equal(far.last->n_resets, 98 - 64);
	for (size_t i = 1; i < far.n_asked; i++)
		if (nghttp2_session_get_stream_remote_close(far.last->h2, far.asked[i].stream) != -1)
			answer(&far.asked[i]);
	settle();
	for (unsigned i = 1; i < 99; i++)
		assert_false(asker[i].done);
	is_answered(&asker[99]);
	assert_int_equal(far.n_conns, 1);
	finish();
}

/* Taken back before they could be sent. */
static void test_doh_cancel_waiting(void **state)
{
	(void)state;
	begin_doh();
	far.max_streams = 1;
	warm_up();
	for (unsigned i = 1; i < 200; i++)
		ask(i);
	settle();
	assert_int_equal(far.n_asked, 2);
	for (unsigned i = 1; i < 199; i++)
		mf_transport_cancel(t, &asker[i].a);
	for (size_t i = 1; i < far.n_asked; i++) { /* asked[] grows meanwhile */
		answer(&far.asked[i]);
		settle();
	}
	is_answered(&asker[199]);
	finish();
}

static void test_doh_deadline(void **state)
{
	struct asker *k;

	(void)state;
	begin_doh();
	warm_up();
	far.dead = true; /* something in between has forgotten the connection */
	k = ask(1);
	settle();
	now = k->a.deadline + 2 * MF_MSEC;
	settle();
	has_failed(k, MF_TRANSPORT_TIMEOUT);
	far.dead = false;
	k = ask(2);
	settle();
	assert_int_equal(far.n_conns, 2);
	answer(&far.asked[far.n_asked - 1]);
	settle();
	is_answered(k);
	finish();
}

static void test_reset(void **state)
{
	(void)state;
	for (int https = 0; https < 2; https++) {
		struct asker *k;

		if (https)
			begin_doh();
		else
			begin_dot();
		warm_up();
		k = ask(1);
		settle();
		mf_transport_reset(t, now);
		settle();
		assert_false(k->done);
		assert_int_equal(far.n_conns, 2);
		answer(&far.asked[2]);
		settle();
		is_answered(k);
		ask(2); /* and is left open at the end */
		settle();
		finish();
	}
}

static int set_up(void **state)
{
	(void)state;
	tlslab_ca_make(&ca);
	tls = tlslab_client(&ca, true);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mf_tls_context_free(tls);
	tlslab_ca_free(&ca);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dot_question),      cmocka_unit_test(test_dot_many),
		cmocka_unit_test(test_long_messages),     cmocka_unit_test(test_doh_too_much),
		cmocka_unit_test(test_wrong_certificate), cmocka_unit_test(test_by_address),
		cmocka_unit_test(test_no_context),        cmocka_unit_test(test_handshake_cut),
		cmocka_unit_test(test_dot_hang_up),       cmocka_unit_test(test_doh_question),
		cmocka_unit_test(test_doh_authority),     cmocka_unit_test(test_doh_many),
		cmocka_unit_test(test_doh_no_h2),         cmocka_unit_test(test_doh_garbage),
		cmocka_unit_test(test_doh_responses),     cmocka_unit_test(test_doh_age),
		cmocka_unit_test(test_doh_wrong_answers), cmocka_unit_test(test_doh_reset),
		cmocka_unit_test(test_doh_goaway),        cmocka_unit_test(test_doh_idle),
		cmocka_unit_test(test_doh_cancel),        cmocka_unit_test(test_doh_cancel_waiting),
		cmocka_unit_test(test_doh_deadline),      cmocka_unit_test(test_reset),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
