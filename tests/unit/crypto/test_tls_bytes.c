/* SPDX-License-Identifier: Apache-2.0
 *
 * The bytes of TLS connections: that they come through whatever the pieces, in both versions and
 * with every AEAD; what a server may send between them and what not, and what an idle connection
 * costs. Servers that break the protocol are made of the client's own keys.
 */
#include "tlspair.h"

#include <malloc.h>

#include "base/endian.h"

/* ---- Bytes ---- */

/* Both directions at once, in pieces of random size, over a transport that carries `step` bytes at
 * a time. */
static void talk(struct pair *p, size_t total, size_t step, struct mf_prng *g)
{
	static uint8_t sent[PIPE_MAX], up[PIPE_MAX], down[PIPE_MAX];
	size_t written = 0, at_server = 0, at_client = 0, answered = 0, n;
	bool end;

	assert_true(total <= PIPE_MAX);
	fill(g, sent, total);
	while (at_server < total || at_client < total) {
		size_t piece = mf_min(total - written, mf_prng_below(g, MF_TLS_WRITE_MAX) + 1);
		ptrdiff_t got;

		if (piece && mf_tls_write(p->t, mf_span(sent + written, piece)) == MF_OK)
			written += piece;
		if (answered < total &&
		    SSL_write_ex(p->ssl, sent + answered, mf_min(total - answered, WHOLE), &n) == 1)
			answered += n;
		tlslab_carry(p->t, p->ssl, step);
		while (SSL_read_ex(p->ssl, up + at_server, total - at_server + 1, &n) == 1)
			at_server += n;
		while ((got = mf_tls_read(p->t, down + at_client,
					  mf_min(total - at_client, 1 + mf_prng_below(g, 40000)),
					  &end)) > 0)
			at_client += (size_t)got;
		assert_int_equal(got, 0);
		assert_false(end);
		ERR_clear_error();
	}
	assert_memory_equal(up, sent, total);
	assert_memory_equal(down, sent, total);
}

/* Every AEAD of both versions. */
static const struct suite {
	int version;
	const char *name;
} suites[] = {
	{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305" },
	{ TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256" },
	{ TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384" },
	{ TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256" },
};

static struct pair connected_by(const struct suite *suite)
{
	struct pair p = pair(&good, "dns.example", NULL, NULL);

	SSL_set_max_proto_version(p.ssl, suite->version);
	if (suite->version == TLS1_2_VERSION)
		assert_int_equal(SSL_set_cipher_list(p.ssl, suite->name), 1);
	else
		assert_int_equal(SSL_set_ciphersuites(p.ssl, suite->name), 1);
	assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
	assert_string_equal(SSL_get_cipher_name(p.ssl), suite->name);
	return p;
}

static void test_bytes(void **state)
{
	struct mf_prng g = seeded();

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(suites); i++) {
		struct pair p = connected_by(&suites[i]);

		talk(&p, PIPE_MAX - 1, WHOLE, &g);
		talk(&p, 40000, 1 + mf_prng_below(&g, 1500), &g);
		part(&p);
	}
}

static void test_byte_by_byte(void **state)
{
	struct pair p = pair(&good, "dns.example", NULL, NULL);
	struct mf_prng g = seeded();

	(void)state;
	assert_int_equal(tlslab_handshake(p.t, p.ssl, 1, NULL), MF_OK);
	talk(&p, 300, 1, &g);
	part(&p);
}

/* Cuts n bytes at p into pieces of random size, some of them empty. */
static size_t cut(struct mf_prng *g, uint8_t *p, size_t n, struct mf_room *v, size_t cap)
{
	size_t k = 0, most = 1 + mf_prng_below(g, 20000);

	for (; k < cap && n; k++) {
		size_t part = k + 1 == cap ? n : mf_min(n, mf_prng_below(g, most));

		v[k] = (struct mf_room){ p, part };
		p += part;
		n -= part;
	}
	return k;
}

/* The caller's memory: what is read and written is the caller's pieces, and the input is kept by
 * the caller from call to call. */
static void talk_spans(struct pair *p, size_t total, struct mf_prng *g)
{
	static uint8_t sent[PIPE_MAX], up[PIPE_MAX], down[PIPE_MAX], wire[1 << 17], input[1 << 17];
	size_t written = 0, at_server = 0, answered = 0, at_client = 0, have = 0, n, len;
	struct mf_room room[80], in;
	struct mf_span span[80];

	fill(g, sent, total);
	while (at_server < total || at_client < total) {
		size_t piece = mf_min(total - written, mf_prng_below(g, 60000));
		size_t k = cut(g, sent + written, piece, room, MF_ARRAY_LEN(room)), taken;

		for (size_t i = 0; i < k; i++)
			span[i] = mf_span(room[i].p, room[i].n);
		taken = mf_tls_seal(p->t, span, k, wire, mf_prng_below(g, sizeof(wire)), &len);
		assert_true(taken <= piece && len >= taken);
		written += taken;
		tlslab_feed(p->ssl, mf_span(wire, len));
		while (SSL_read_ex(p->ssl, up + at_server, total - at_server + 1, &n) == 1)
			at_server += n;
		if (answered < total &&
		    SSL_write_ex(p->ssl, sent + answered,
				 mf_min(total - answered, 1 + mf_prng_below(g, WHOLE)), &n) == 1)
			answered += n;
		have += tlslab_take(p->ssl, input + have, 1 + mf_prng_below(g, sizeof(input) - have));

		piece = mf_min(total - at_client, mf_prng_below(g, 60000));
		k = cut(g, down + at_client, piece, room, MF_ARRAY_LEN(room));
		in = (struct mf_room){ input, have };
		if (mf_tls_open(p->t, &in, room, k, &n) != MF_OK)
			fail_msg("%s", mf_tls_error(p->t));
		assert_true(n <= piece);
		at_client += n;
		have = in.n;
		memmove(input, in.p, have);
		ERR_clear_error();
	}
	assert_memory_equal(up, sent, total);
	assert_memory_equal(down, sent, total);
	assert_int_equal(mf_tls_outgoing(p->t).n, 0);
	assert_null(p->t->in.p);
}

static void test_spans(void **state)
{
	struct mf_prng g = seeded();

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(suites); i++) {
		struct pair p = connected_by(&suites[i]);
		uint8_t none[1];
		bool end;

		assert_int_equal(mf_tls_read(p.t, none, sizeof(none), &end), 0); /* tickets */
		talk_spans(&p, PIPE_MAX / 2 - 1, &g);
		part(&p);
	}
}

/* 64 KiB in one span are four records and fit the room that is promised, and no less room. */
static void test_seal_room(void **state)
{
	static uint8_t payload[1 << 16], wire[MF_TLS_SEALED(sizeof(payload))];
	struct pair p = connected("dns.example");
	struct mf_span v = mf_span(payload, sizeof(payload));
	size_t len, records = 0;

	(void)state;
	assert_int_equal(mf_tls_seal(p.t, &v, 1, wire, sizeof(wire), &len), sizeof(payload));
	for (size_t at = 0; at < len; at += 5u + mf_load_be16(wire + at + 3))
		records++;
	assert_int_equal(records, 4);
	assert_int_equal(mf_tls_seal(p.t, &v, 1, wire, MF_TLS_OVERHEAD, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(mf_tls_seal(p.t, &v, 0, wire, sizeof(wire), &len), 0);
	assert_int_equal(len, 0);
	mf_tls_close(p.t);
	mf_tls_sent(p.t, mf_tls_outgoing(p.t).n);
	assert_int_equal(mf_tls_seal(p.t, &v, 1, wire, sizeof(wire), &len), 0);
	part(&p);
}

static void test_bounds(void **state)
{
	static uint8_t big[MF_TLS_BACKLOG_MAX + 1];
	struct pair p = connected("dns.example");
	size_t accepted = 0, n;
	uint8_t buf[16];
	mf_err err;
	bool end;

	(void)state;
	assert_int_equal(mf_tls_write(p.t, mf_span(big, MF_TLS_WRITE_MAX + 1)), MF_E_RANGE);
	assert_int_equal(mf_tls_write(p.t, mf_span(NULL, 0)), MF_OK);
	/* Nobody sends: it must refuse before long, and then take again. */
	while ((err = mf_tls_write(p.t, mf_span(big, 5000))) == MF_OK)
		assert_true((accepted += 5000) < 1 << 20);
	assert_int_equal(err, MF_E_AGAIN);
	assert_true(mf_tls_outgoing(p.t).n > accepted);
	carry_all(&p);
	assert_int_equal(mf_tls_write(p.t, mf_span(big, MF_TLS_WRITE_MAX)), MF_OK);
	/* Nobody reads. */
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 0); /* tickets */
	assert_int_equal(mf_tls_feed(p.t, mf_span(big, sizeof(big))), MF_E_FULL);
	for (n = 0; (err = mf_tls_feed(p.t, mf_span(big, 4096))) == MF_OK; n += 4096)
		assert_true(n <= MF_TLS_BACKLOG_MAX);
	assert_int_equal(err, MF_E_FULL);
	assert_int_equal(n, MF_TLS_BACKLOG_MAX);
	part(&p);
}

/* A record that somebody has changed on its way. */
static void test_tampering(void **state)
{
	struct pair p = connected("dns.example");
	uint8_t record[256], buf[16];
	size_t n;
	bool end;

	(void)state;
	assert_int_equal(SSL_write(p.ssl, "hello", 5), 5);
	carry_all(&p); /* tickets and the record */
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), 5);
	assert_int_equal(SSL_write(p.ssl, "hello", 5), 5);
	n = tlslab_take(p.ssl, record, sizeof(record));
	record[n - 1] ^= 1;
	assert_int_equal(mf_tls_feed(p.t, mf_span(record, n)), MF_OK);
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), MF_E_MALFORMED);
	assert_string_not_equal(mf_tls_error(p.t), "");
	print_message("  %s\n", mf_tls_error(p.t));
	assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), MF_E_GONE);
	assert_int_equal(mf_tls_feed(p.t, mf_span(record, n)), MF_E_GONE);
	assert_int_not_equal(mf_tls_outgoing(p.t).n, 0); /* the alert */
	part(&p);
}

/* ---- Between the records ---- */

/* The server asks for new keys, again and again, and both directions go on. */
static void test_key_updates(void **state)
{
	struct mf_prng g = seeded();

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(suites); i++) {
		struct pair p;

		if (suites[i].version != TLS1_3_VERSION)
			continue;
		p = connected_by(&suites[i]);
		for (int k = 0; k < 10; k++) {
			uint8_t before[MF_TLS_SECRET_MAX];

			memcpy(before, p.t->tx.secret, sizeof(before));
			assert_int_equal(SSL_key_update(p.ssl, k % 3 ? SSL_KEY_UPDATE_REQUESTED
								     : SSL_KEY_UPDATE_NOT_REQUESTED),
					 1);
			talk(&p, 20000, WHOLE, &g);
			talk(&p, 20000, WHOLE, &g);
			assert_int_equal(memcmp(before, p.t->tx.secret, sizeof(before)) != 0,
					 k % 3 != 0);
		}
		part(&p);
	}
}

/* What a server sends that has the keys and no manners: records of any type and content. */
struct rogue {
	struct pair p;
	struct mf_tls_half tx; /* the server's */
	uint8_t wire[1 << 17];
	size_t n;
};

static void rogue_begin(struct rogue *r, int version)
{
	uint8_t buf[16];
	bool end;

	r->p = pair(&good, "dns.example", NULL, NULL);
	SSL_set_max_proto_version(r->p.ssl, version);
	assert_int_equal(tlslab_handshake(r->p.t, r->p.ssl, WHOLE, NULL), MF_OK);
	carry_all(&r->p);
	assert_int_equal(mf_tls_read(r->p.t, buf, sizeof(buf), &end), 0); /* tickets */
	r->tx = r->p.t->rx;
	r->tx.nonce = 1; /* any that is new */
	r->n = 0;
}

static void rogue_send(struct rogue *r, enum mf_tls_type type, const void *p, size_t n)
{
	struct mf_span v = mf_span(p, n);

	r->n += mf_tls_record_seal(client->cipher, &r->tx, type, &v, 1, r->wire + r->n);
}

/* Gives all of it to the client, with rooms of `room` bytes, and says what came of it: payload in
 * `got`. */
static mf_err rogue_end(struct rogue *r, size_t room, uint8_t *got, size_t *n_got)
{
	struct mf_room in = { r->wire, r->n };
	uint8_t one[64];
	mf_err err;
	size_t n;

	assert_true(room <= sizeof(one));
	*n_got = 0;
	do {
		struct mf_room v = { one, room };

		err = mf_tls_open(r->p.t, &in, &v, 1, &n);
		memcpy(got + *n_got, one, n);
		*n_got += n;
	} while (!err && n);
	print_message("  %s\n", mf_tls_error(r->p.t));
	assert_int_equal(err == MF_E_MALFORMED, *mf_tls_error(r->p.t) != 0);
	part(&r->p);
	return err;
}

enum { KEY_UPDATE = 24, TICKET = 4 };

/* Whether the records come one by one into room enough, or must be opened in place. */
static const size_t rooms[] = { 64, 1, 7 };

static void test_idle_records(void **state)
{
	static struct rogue r;
	uint8_t got[64];
	size_t n;

	(void)state;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
		for (size_t i = 0; i < MF_ARRAY_LEN(rooms); i++) {
			rogue_begin(&r, version);
			for (int k = 0; k < 90; k++)
				rogue_send(&r, MF_TLS_DATA, "x", k % 30 == 29);
			assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_OK);
			assert_int_equal(n, 3);
			rogue_begin(&r, version);
			for (int k = 0; k < 33; k++)
				rogue_send(&r, MF_TLS_DATA, "", 0);
			assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_MALFORMED);
		}
	rogue_begin(&r, TLS1_3_VERSION);
	for (int k = 0; k < 1000; k++) {
		rogue_send(&r, MF_TLS_HANDSHAKE, (uint8_t[]){ KEY_UPDATE, 0, 0, 1, 1 }, 5);
		assert_true(mf_tls_half_update(&r.tx));
	}
	assert_int_equal(mf_tls_outgoing(r.p.t).n, 0);
	assert_int_equal(rogue_end(&r, 64, got, &n), MF_E_MALFORMED);
}

/* RFC 8446 5.4: zeros behind the type hide a record's length. */
static void test_padding(void **state)
{
	static const uint8_t padded[] = { 'h', 'i', MF_TLS_DATA, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 };
	static struct rogue r;
	uint8_t got[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(rooms); i++) {
		rogue_begin(&r, TLS1_3_VERSION);
		rogue_send(&r, MF_TLS_DATA, "oh", 2);
		rogue_send(&r, 0, padded, sizeof(padded));
		rogue_send(&r, MF_TLS_DATA, "ho", 2);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_OK);
		assert_int_equal(n, 6);
		assert_memory_equal(got, "ohhiho", 6);
		rogue_begin(&r, TLS1_3_VERSION);
		rogue_send(&r, 0, padded + 3, 5);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_MALFORMED);
	}
}

/* Messages may be spread over records, and records hold several; they are not mixed with others. */
static void test_messages(void **state)
{
	static const uint8_t tickets[] = { TICKET, 0, 0, 3, 1, 2, 3, TICKET, 0, 0, 2, 1, 2 };
	static const struct {
		int version;
		uint8_t message[8];
		size_t n;
	} bad[] = {
		{ TLS1_3_VERSION, { 1, 0, 0, 1, 0 }, 5 },  /* ClientHello */
		{ TLS1_3_VERSION, { 0, 0, 0, 0 }, 4 },     /* HelloRequest */
		{ TLS1_3_VERSION, { 13, 0, 0, 1, 0 }, 5 }, /* CertificateRequest */
		{ TLS1_3_VERSION, { TICKET, 0, 0, 0 }, 4 },
		{ TLS1_3_VERSION, { KEY_UPDATE, 0, 0, 1, 2 }, 5 },
		{ TLS1_3_VERSION, { KEY_UPDATE, 0, 0, 0 }, 4 },
		{ TLS1_3_VERSION, { KEY_UPDATE, 0, 0, 1, 0, 4 }, 6 },
		{ TLS1_2_VERSION, { KEY_UPDATE, 0, 0, 1, 0 }, 5 },
		{ TLS1_2_VERSION, { TICKET, 0, 0, 1, 0 }, 5 },
		{ TLS1_2_VERSION, { 0, 0, 0, 1, 0 }, 5 },
	};
	static struct rogue r;
	uint8_t got[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(rooms); i++) {
		for (size_t at = 1; at < sizeof(tickets); at++) {
			rogue_begin(&r, TLS1_3_VERSION);
			rogue_send(&r, MF_TLS_HANDSHAKE, tickets, at);
			rogue_send(&r, MF_TLS_HANDSHAKE, tickets + at, sizeof(tickets) - at);
			rogue_send(&r, MF_TLS_DATA, "on", 2);
			assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_OK);
			assert_int_equal(n, 2);
		}
		rogue_begin(&r, TLS1_3_VERSION);
		rogue_send(&r, MF_TLS_HANDSHAKE, tickets, 5);
		rogue_send(&r, MF_TLS_DATA, "on", 2);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_MALFORMED);
		for (size_t k = 0; k < MF_ARRAY_LEN(bad); k++) {
			rogue_begin(&r, bad[k].version);
			rogue_send(&r, MF_TLS_DATA, "so", 2);
			rogue_send(&r, MF_TLS_HANDSHAKE, bad[k].message, bad[k].n);
			rogue_send(&r, MF_TLS_DATA, "on", 2);
			assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_MALFORMED);
			assert_memory_equal(got, "soon", n); /* what was before it, at most */
		}
	}
}

static void test_alerts(void **state)
{
	static struct rogue r;
	uint8_t got[64];
	size_t n;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(rooms); i++) {
		rogue_begin(&r, TLS1_3_VERSION);
		rogue_send(&r, MF_TLS_DATA, "so", 2);
		rogue_send(&r, MF_TLS_ALERT, (uint8_t[]){ 1, 90 }, 2); /* user_canceled */
		rogue_send(&r, MF_TLS_ALERT, (uint8_t[]){ 1, 0 }, 2);
		rogue_send(&r, MF_TLS_DATA, "on", 2);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_GONE);
		assert_int_equal(n, 2);
		rogue_begin(&r, TLS1_2_VERSION);
		rogue_send(&r, MF_TLS_ALERT, (uint8_t[]){ 1, 112 }, 2); /* a warning */
		rogue_send(&r, MF_TLS_DATA, "on", 2);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_OK);
		assert_int_equal(n, 2);
		rogue_begin(&r, TLS1_3_VERSION);
		rogue_send(&r, MF_TLS_ALERT, (uint8_t[]){ 1, 112 }, 2);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_MALFORMED);
		rogue_begin(&r, TLS1_3_VERSION);
		rogue_send(&r, MF_TLS_ALERT, (uint8_t[]){ 2 }, 1);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_MALFORMED);
		rogue_begin(&r, TLS1_3_VERSION);
		rogue_send(&r, MF_TLS_CHANGE_CIPHER_SPEC, (uint8_t[]){ 1 }, 1);
		assert_int_equal(rogue_end(&r, rooms[i], got, &n), MF_E_MALFORMED);
	}
}

/* Long before a key of AES-GCM is worn out another takes its place (RFC 8446 5.5). */
static void test_rekey(void **state)
{
	struct pair p = connected("dns.example");
	struct mf_tls_half server = p.t->tx;
	struct mf_span v = mf_span("payload", 7), plain;
	uint8_t wire[256];
	enum mf_tls_type type;
	size_t n, len;

	(void)state;
	p.t->tx.seq = server.seq = 1 << 24;
	assert_int_equal(mf_tls_seal(p.t, &v, 1, wire, sizeof(wire), &n), 7);
	assert_int_equal(mf_tls_record_check(&server, wire, n, &len), MF_OK);
	assert_int_equal(
		mf_tls_record_open_in_place(client->cipher, &server, wire, len, &type, &plain),
		MF_OK);
	assert_int_equal(type, MF_TLS_HANDSHAKE);
	assert_int_equal(plain.n, 5);
	assert_memory_equal(plain.p, ((uint8_t[]){ KEY_UPDATE, 0, 0, 1, 0 }), 5);
	assert_true(mf_tls_half_update(&server));
	assert_int_equal(mf_tls_record_open_in_place(client->cipher, &server, wire + len, n - len,
						     &type, &plain),
			 MF_OK);
	assert_int_equal(type, MF_TLS_DATA);
	assert_int_equal(p.t->tx.seq, 1);
	part(&p);
}

/* ---- Memory ---- */

/* What an established and idle connection gives back when it goes is its struct, whatever has gone
 * through it: nothing else was kept. */
static void test_idle_memory(void **state)
{
	enum { N = 64, EACH = 512 };
	static uint8_t bytes[5000], buf[1 << 14];
	SSL_CTX *ctx = tlslab_server(&ca, &good, NULL);
	struct mf_tls *t[N];
	size_t before;
	bool end;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		struct pair p = { .t = mf_tls_new(reusing, "dns.example", NULL),
				  .ssl = tlslab_accept(ctx) };

		assert_int_equal(tlslab_handshake(p.t, p.ssl, WHOLE, NULL), MF_OK);
		assert_int_equal(mf_tls_write(p.t, mf_span(bytes, sizeof(bytes))), MF_OK);
		assert_int_equal(SSL_write(p.ssl, bytes, sizeof(bytes)), sizeof(bytes));
		carry_all(&p);
		assert_int_equal(mf_tls_read(p.t, buf, sizeof(buf), &end), sizeof(bytes));
		t[i] = p.t;
		p.t = NULL;
		part(&p);
	}
	before = mallinfo2().uordblks; /* 0 where the allocator is a sanitizer's */
	for (size_t i = 0; i < N; i++)
		mf_tls_free(t[i]);
	assert_true(before - mallinfo2().uordblks <= (size_t)N * EACH);
	SSL_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),       cmocka_unit_test(test_byte_by_byte),
		cmocka_unit_test(test_spans),       cmocka_unit_test(test_seal_room),
		cmocka_unit_test(test_bounds),      cmocka_unit_test(test_tampering),
		cmocka_unit_test(test_key_updates), cmocka_unit_test(test_idle_records),
		cmocka_unit_test(test_padding),     cmocka_unit_test(test_messages),
		cmocka_unit_test(test_alerts),      cmocka_unit_test(test_rekey),
		cmocka_unit_test(test_idle_memory),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
