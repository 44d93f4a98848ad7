/* SPDX-License-Identifier: Apache-2.0
 *
 * The obfuscation layer: what goes out begins as it should and carries every byte, what comes back
 * has its disguise taken off, in pieces of any size; and a server that does not play along. What is
 * written is in tests/unit/proto/obfs.
 */
#include "proxy/obfs_layer.h"
#include "support/layerlab.h"
#include "unit.h"

enum { SERVER_HELLO = 91 }; /* bytes behind its header */

static const struct mf_obfs_config http = {
	.mode = MF_OBFS_HTTP,
	.port = 80,
	.host = "cdn.example",
};
static const struct mf_obfs_config tls = { .mode = MF_OBFS_TLS, .port = 443, .host = "cdn.example" };

struct obfslab {
	struct layerlab lab;
	struct mf_layer_outbound out;
	struct lab_user u;
	struct fake_stream *below;
};

static void init(struct obfslab *l, const struct mf_obfs_config *cfg, uint64_t seed)
{
	layerlab_open(&l->lab, seed, false);
	mf_obfs_layer_init(&l->out, cfg, &l->lab.layers, &l->lab.far.out, &l->lab.health, "test");
	assert_int_equal(lab_user_open(&l->u, &l->lab, &l->out.out, "192.0.2.1:443"), MF_OK);
	layerlab_run(&l->lab);
	l->below = l->lab.far.last;
	fake_open(l->below);
	layerlab_run(&l->lab);
	lab_user_turn(&l->u);
	assert_true(l->u.opened);
	assert_int_equal(l->below->n_got, 0);
}

static void fini(struct obfslab *l)
{
	lab_user_fini(&l->u);
	layerlab_run(&l->lab);
	assert_int_equal(mf_layers_held(&l->lab.layers), 0);
	layerlab_close(&l->lab);
}

static void turn(struct obfslab *l)
{
	layerlab_run(&l->lab);
	lab_user_turn(&l->u);
	layerlab_run(&l->lab);
}

/* All of it comes up. */
static void settle(struct obfslab *l)
{
	size_t before;

	do {
		before = l->below->n_got + l->below->given + l->u.n_got;
		fake_take(l->below, SIZE_MAX);
		turn(l);
	} while (before != l->below->n_got + l->below->given + l->u.n_got);
}

static uint8_t *any_bytes(struct mf_prng *g, size_t n)
{
	uint8_t *p = malloc(n);

	assert_non_null(p);
	mf_prng_fill(g, p, n);
	return p;
}

/* What a server would make of it; `out` has room for n bytes. */
static size_t undo_http(const uint8_t *p, size_t n, uint8_t *out)
{
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

	assert_non_null(end);
	assert_memory_equal(p, "GET / HTTP/1.1\r\n", 16);
	n -= (size_t)(end + 4 - p);
	memcpy(out, end + 4, n);
	return n;
}

static size_t undo_tls(const uint8_t *p, size_t n, uint8_t *out)
{
	const uint8_t *ticket = p + 5 + 4 + 2 + 32 + 33 + 58 + 2 + 2;
	size_t len = 0, at = 0;

	assert_memory_equal(p, "\x16\x03\x01", 3);
	len = (size_t)(ticket[2] << 8 | ticket[3]);
	memcpy(out, ticket + 4, len);
	at = 5 + (size_t)(p[3] << 8 | p[4]);
	while (at < n) {
		size_t k = (size_t)(p[at + 3] << 8 | p[at + 4]);

		assert_memory_equal(p + at, "\x17\x03\x03", 3);
		memcpy(out + len, p + at + 5, k);
		len += k;
		at += 5 + k;
	}
	assert_int_equal(at, n);
	return len;
}

static void answer_http(struct obfslab *l, const uint8_t *p, size_t n)
{
	static const char head[] =
		"HTTP/1.1 101 Switching Protocols\r\nServer: nginx/1.9.1\r\n\r\n";

	fake_give(l->below, head, sizeof(head) - 1);
	fake_give(l->below, p, n);
}

static void answer_tls(struct obfslab *l, const uint8_t *p, size_t n)
{
	uint8_t hello[5 + SERVER_HELLO] = { 0x16, 3, 1, 0, SERVER_HELLO }, head[5] = { 0x16, 3, 3 };

	fake_give(l->below, hello, sizeof(hello));
	fake_give(l->below, "\x14\x03\x03\x00\x01\x01", 6);
	while (n) {
		size_t k = mf_min(n, 1 + mf_prng_below(&l->lab.prng, 16384));

		head[3] = (uint8_t)(k >> 8);
		head[4] = (uint8_t)k;
		fake_give(l->below, head, sizeof(head));
		fake_give(l->below, p, k);
		head[0] = 0x17;
		p += k;
		n -= k;
	}
}

static void both_ways(void **state)
{
	struct mf_prng g = unit_prng("obfs_layer");

	(void)state;
	for (int i = 0; i < 60; i++) {
		size_t n = 1 + mf_prng_below(&g, 300000), down = 1 + mf_prng_below(&g, 300000);
		uint8_t *out, *p;
		struct obfslab l;

		init(&l, i % 2 ? &tls : &http, mf_prng_u64(&g));
		l.u.prng = l.lab.far.prng = i % 4 < 2 ? NULL : &l.lab.prng;
		p = any_bytes(&l.lab.prng, n);
		lab_user_write(&l.u, p, n);
		settle(&l);
		assert_int_equal(l.u.given, n);
		out = malloc(l.below->n_got);
		assert_non_null(out);
		assert_int_equal((i % 2 ? undo_tls : undo_http)(l.below->got, l.below->n_got, out),
				 n);
		assert_memory_equal(out, p, n);
		free(out);
		free(p);
		p = any_bytes(&l.lab.prng, down);
		(i % 2 ? answer_tls : answer_http)(&l, p, down);
		fake_end(l.below);
		settle(&l);
		lab_user_turn(&l.u);
		assert_int_equal(l.u.n_got, down);
		assert_memory_equal(l.u.got, p, down);
		assert_true(l.u.eof);
		free(p);
		lab_user_shutdown(&l.u);
		assert_true(l.below->shut);
		fini(&l);
	}
}

static void refused(void **state)
{
	static const char *const bad[] = { "HTTP/1.1 404 Not Found\r\n\r\n",
					   "SSH-2.0-OpenSSH\r\n" };

	(void)state;
	for (size_t i = 0; i < 2 * MF_ARRAY_LEN(bad); i++) {
		struct obfslab l;

		init(&l, i % 2 ? &tls : &http, i);
		lab_user_write(&l.u, "x", 1);
		fake_give(l.below, bad[i / 2], strlen(bad[i / 2]));
		turn(&l);
		assert_true(l.u.failed);
		assert_int_equal(l.u.s.error, MF_STREAM_E_PROXY);
		assert_int_equal(l.lab.health.count.fault[MF_PROXY_TRANSPORT], 1);
		assert_string_equal(l.lab.health.facts.detail, "obfs");
		fini(&l);
	}
}

/* A head that does not end is neither waited for nor held for ever. */
static void head_without_end(void **state)
{
	static char line[4096];
	struct obfslab l;

	(void)state;
	memset(line, 'x', sizeof(line));
	init(&l, &http, 1);
	fake_give(l.below, "HTTP/1.1 101 ", 13);
	for (int i = 0; i < 5; i++)
		fake_give(l.below, line, sizeof(line));
	turn(&l);
	assert_true(l.u.failed);
	fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ways),
		cmocka_unit_test(refused),
		cmocka_unit_test(head_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
