/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections of our own through a WireGuard interface (host/vpn.c): a user of the outbound on one side, a
 * server behind the other engine's TUN.
 */
#include "unit.h"

#include <stdlib.h>

#include "support/netapps.h"

enum { PORT = 853, BUFFER = 1 << 20 };

/* Who uses a stream: writes `out` and reads into `in`, as readiness allows. */
struct user {
	struct mf_stream st; /* first */
	uint32_t heard;
	uint8_t *out, *in;
	size_t n_out, wrote, n_in;
	bool shut, eof;
};

struct lab {
	struct testnet net;
	struct netapps server;
	struct mf_vpn vpn;
	struct user u;
};

static void wake(struct mf_stream *st)
{
	struct user *u = (struct user *)st;

	u->heard |= st->ready;
	st->ready = 0;
}

static void open_lab(struct lab *l, const struct testnet_options *o)
{
	memset(l, 0, sizeof(*l));
	testnet_open(&l->net, o);
	netapps_open(&l->server, &l->net, 1);
	l->server.listen = PORT;
	mf_vpn_init(&l->vpn, mf_engine_worker(l->net.side[0].engine, 0)->stack,
		    MF_HOP_ID_FIRST_INTERFACE, 1420);
	l->u.out = malloc(BUFFER);
	l->u.in = malloc(BUFFER);
	assert_non_null(l->u.out);
	assert_non_null(l->u.in);
}

static void close_lab(struct lab *l)
{
	assert_true(testnet_balanced(&l->net.side[0]));
	testnet_close(&l->net);
	netapps_close(&l->server);
	free(l->u.out);
	free(l->u.in);
}

static mf_err dial(struct lab *l, const char *to)
{
	struct mf_target t = { 0 };

	assert_int_equal(mf_endpoint_parse(&t.addr, to), MF_OK);
	l->u.st.out = &l->vpn.out;
	l->u.st.wake = wake;
	return l->vpn.out.ops->stream_open(&l->vpn.out, &l->u.st, &t);
}

static void serve_user(struct user *u)
{
	const struct mf_outbound_ops *ops = u->st.out->ops;
	ptrdiff_t got;

	if (!(u->heard & MF_STREAM_OPENED) || !u->st.impl)
		return;
	if (u->wrote < u->n_out) {
		size_t half = (u->n_out - u->wrote + 1) / 2;
		struct mf_span v[] = { mf_span(u->out + u->wrote, half),
				       mf_span(u->out + u->wrote + half, u->n_out - u->wrote - half) };

		u->wrote += ops->stream_write(&u->st, v, 2);
	}
	do {
		struct mf_room v[] = { { u->in + u->n_in, 100 }, { u->in + u->n_in + 100, 5000 } };

		assert_true(u->n_in + 5100 <= BUFFER);
		got = u->eof ? 0 : ops->stream_read(&u->st, v, 2);
		u->eof |= got == MF_STREAM_EOF;
		u->n_in += got > 0 ? (size_t)got : 0;
	} while (got > 0);
}

static void run(struct lab *l, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		netapps_advance(&l->server, MF_MSEC);
		serve_user(&l->u);
		for (struct netapp *a = l->server.first; a; a = a->next)
			netapp_read(a, SIZE_MAX);
	}
}

static uint32_t own_sessions(struct lab *l, struct mf_session_facts *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < mf_engine_session_slots(l->net.side[0].engine, 0); i++)
		n += mf_engine_session(l->net.side[0].engine, 0, i, f);
	return n;
}

static void exchange(void **state, const char *to, const struct testnet_options *o)
{
	struct mf_session_facts f;
	struct netapp *a;
	struct lab l;

	(void)state;
	open_lab(&l, o);
	assert_int_equal(dial(&l, to), MF_OK);
	run(&l, 1200);
	assert_int_equal(l.u.heard & (MF_STREAM_OPENED | MF_STREAM_FAILED), MF_STREAM_OPENED);
	a = l.server.first;
	assert_non_null(a);
	assert_int_equal(own_sessions(&l, &f), 1);
	assert_int_equal(f.state, MF_SESSION_ESTABLISHED);
	assert_int_equal(f.hop, MF_HOP_ID_FIRST_INTERFACE);
	assert_int_equal(f.dst.port, PORT);
	/* The server compares what it reads. */
	l.u.n_out = 300000;
	netapp_far_bytes(a, 0, l.u.out, l.u.n_out);
	for (size_t wrote = 0; wrote < 200000; run(&l, 1))
		wrote += netapp_write(a, 200000 - wrote);
	run(&l, 3000);
	assert_int_equal(a->down, 300000);
	assert_int_equal(l.u.n_in, 200000);
	/* The app says goodbye, we answer; what is left of it goes by itself. */
	netapp_shutdown(a);
	run(&l, 100);
	assert_true(l.u.eof);
	l.u.st.out->ops->stream_close(&l.u.st, false);
	assert_null(l.u.st.impl);
	run(&l, 100);
	assert_true(a->eof);
	assert_int_equal(mf_tcp_state(&a->tcp), MF_TCP_TIME_WAIT);
	netapps_advance(&l.server, 61 * MF_SEC);
	assert_true(a->closed);
	assert_int_equal(a->end, MF_TCP_END_DONE);
	assert_int_equal(own_sessions(&l, &f), 0);
	close_lab(&l);
}

static void test_exchange_ip4(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 1 };

	exchange(state, "10.9.0.2:853", &o);
}

static void test_exchange_ip6(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 2, .tunnel = { "fd09::1", "fd09::2" } };

	exchange(state, "[fd09::2]:853", &o);
}

static void test_refused(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 3 };
	struct testnet_item *syn;
	struct mf_session_facts f;
	uint8_t rst[64];
	struct lab l;
	uint32_t n;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(dial(&l, "10.9.0.2:1"), MF_OK);
	run(&l, 50);
	syn = netapps_other(&l.server);
	assert_non_null(syn);
	n = testnet_tcp4(rst, "10.9.0.2", "10.9.0.1", 1, mf_load_be16(syn->bytes + 20), 0,
			 mf_load_be32(syn->bytes + 24) + 1, MF_TCP_RST | MF_TCP_ACK, NULL, 0);
	testnet_app_send(&l.net.side[1], rst, n, 0, 0, false, 0, 0);
	free(syn);
	run(&l, 50);
	assert_true(l.u.heard & MF_STREAM_FAILED);
	assert_int_equal(l.u.st.error, MF_STREAM_E_REFUSED);
	l.u.st.out->ops->stream_close(&l.u.st, true);
	assert_int_equal(own_sessions(&l, &f), 0);
	close_lab(&l);
}

/* Closed by hand: the user hears of it, and may close what is no longer there. */
static void test_closed_by_hand(void **state)
{
	struct testnet_options o = { .n_workers = 1, .seed = 4 };
	struct mf_session_facts f;
	struct lab l;

	(void)state;
	open_lab(&l, &o);
	assert_int_equal(dial(&l, "10.9.0.2:853"), MF_OK);
	run(&l, 1200);
	assert_int_equal(own_sessions(&l, &f), 1);
	assert_int_equal(mf_engine_session_close(l.net.side[0].engine, 0, f.ref), MF_OK);
	run(&l, 50);
	assert_true(l.u.heard & MF_STREAM_FAILED);
	assert_int_equal(l.server.first->end, MF_TCP_END_RESET);
	l.u.st.out->ops->stream_close(&l.u.st, true);
	assert_int_equal(own_sessions(&l, &f), 0);
	close_lab(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange_ip4),
		cmocka_unit_test(test_exchange_ip6),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_closed_by_hand),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
