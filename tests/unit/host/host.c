/* SPDX-License-Identifier: Apache-2.0
 *
 * What is done to all sessions: routes that change, commands, the end of the host stack, and packets that
 * belong to another worker.
 */
#include "hostnet.h"

#include "unit.h"
#include "wire/ip.h"

#define DST "192.0.2.1:80"

static struct hostnet net;

static void open_net(const struct hostnet_options *o)
{
	struct hostnet_options with = *o;

	with.seed = unit_prng("hostnet").state;
	hostnet_open(&net, &with);
	net.out.open_at_once = true;
}

static struct hostnet_app *open_session(unsigned port)
{
	char local[32];

	snprintf(local, sizeof(local), "10.0.0.2:%u", port);
	hostnet_connect(&net, local, DST, NULL);
	hostnet_settle(&net);
	assert_true(net.apps->connected);
	return net.apps;
}

static const struct mf_host_counters *counters(void)
{
	return mf_host_counters(net.host);
}

/* Would the node before the host give it a packet of this session whatever its route says? */
static bool has(const struct hostnet_app *a, uint8_t flags)
{
	char src[MF_ENDPOINT_STRLEN], dst[MF_ENDPOINT_STRLEN];
	struct mf_pkt *p = mf_pkt_small(net.pool);
	bool yes;

	mf_endpoint_format(&a->local, src);
	mf_endpoint_format(&a->remote, dst);
	p->len = (uint32_t)hostnet_tcp(p->data, src, dst, a->tcp.snd_nxt + 1000, 1, flags, NULL, 0);
	assert_int_equal(mf_ip_input(p), MF_DROP_NONE);
	yes = mf_host_has(net.host, p);
	mf_pkt_free(p);
	return yes;
}

static void test_routes_change(void **state)
{
	struct hostnet_app *a, *b;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	a = open_session(1);
	b = open_session(2);
	mf_host_routes_changed(net.host, false);
	assert_int_equal(mf_host_strays(net.host), 0);
	assert_false(has(a, MF_TCP_ACK));

	net.route = 77;
	mf_host_routes_changed(net.host, false);
	assert_int_equal(mf_host_strays(net.host), 2);
	assert_true(has(a, MF_TCP_ACK) && has(b, MF_TCP_ACK));
	assert_int_equal(hostnet_count(&net, MF_SESSION_ESTABLISHED), 2);
	/* They go on as they were. */
	hostnet_write(a, 1000);
	hostnet_settle(&net);
	assert_int_equal(net.out.last->next->n_got, 1000);
	hostnet_abort(a);
	hostnet_settle(&net);
	assert_int_equal(mf_host_strays(net.host), 1);
	assert_false(has(a, MF_TCP_ACK));

	net.route = HOSTNET_HOP;
	mf_host_routes_changed(net.host, false);
	assert_int_equal(mf_host_strays(net.host), 0);
	assert_false(has(b, MF_TCP_ACK));
	assert_int_equal(counters()->closed_by_hand, 0);
	hostnet_close(&net);
}

/* What is over does not hold back the app that begins anew under the same name: that has the new route. */
static void test_routes_change_and_port_is_used_again(void **state)
{
	struct hostnet_app *a;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	a = open_session(1);
	fake_end(net.out.last);
	hostnet_settle(&net);
	hostnet_read(a, 1);
	hostnet_shutdown(a);
	hostnet_settle(&net);
	assert_int_equal(hostnet_count(&net, MF_SESSION_TIME_WAIT), 1);
	net.route = 77;
	mf_host_routes_changed(net.host, false);
	assert_true(has(a, MF_TCP_ACK));
	assert_false(has(a, MF_TCP_SYN));
	assert_int_equal(mf_host_strays(net.host), 0);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
}

static void test_routes_change_and_close(void **state)
{
	struct hostnet_app *a;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	a = open_session(1);
	mf_host_routes_changed(net.host, true);
	assert_int_equal(counters()->sessions, 1);
	net.route = 77;
	mf_host_routes_changed(net.host, true);
	hostnet_settle(&net);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_true(net.out.last->reset);
	assert_int_equal(counters()->closed_by_hand, 1);
	assert_int_equal(counters()->sessions, 0);
	assert_int_equal(mf_host_strays(net.host), 0);
	hostnet_close(&net);
}

static void test_close_one(void **state)
{
	struct mf_session_facts f;
	struct hostnet_app *a;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	a = open_session(1);
	f = hostnet_facts(&net);
	assert_true(mf_host_close(net.host, f.ref));
	hostnet_settle(&net);
	assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_true(net.out.last->reset);
	/* Its name means nothing now, also not when the slot is used again. */
	assert_false(mf_host_close(net.host, f.ref));
	open_session(2);
	assert_int_equal(hostnet_facts(&net).ref.index, f.ref.index);
	assert_false(mf_host_close(net.host, f.ref));
	assert_int_equal(counters()->closed_by_hand, 1);
	hostnet_close(&net);
}

static void test_close_all(void **state)
{
	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	for (unsigned i = 1; i <= 5; i++)
		open_session(i);
	mf_host_close_all(net.host);
	hostnet_settle(&net);
	for (const struct hostnet_app *a = net.apps; a; a = a->next)
		assert_int_equal(a->end, MF_TCP_END_RESET);
	assert_int_equal(net.out.n_open, 0);
	assert_int_equal(counters()->closed_by_hand, 5);
	hostnet_close(&net);
}

/* The far sides see resets, the apps nothing: they may be going on with another program. */
static void test_end(void **state)
{
	struct fake_stream *st;
	uint64_t emitted;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	open_session(1);
	st = net.out.last;
	hostnet_write(net.apps, 100000);
	emitted = net.emitted;
	mf_host_free(net.host);
	assert_true(st->reset);
	assert_null(st->s);
	assert_int_equal(net.emitted, emitted);
	net.host = NULL;
	hostnet_close(&net);
}

static void test_totals(void **state)
{
	const struct mf_hop_totals *t;
	struct mf_session_facts f;
	struct hostnet_app *a;

	(void)state;
	open_net(&(struct hostnet_options){ 0 });
	a = open_session(1);
	t = mf_host_hop(net.host, HOSTNET_HOP);
	assert_int_equal(t->sessions, 1);
	assert_int_equal(t->opened, 1);
	assert_int_equal(mf_host_hop(net.host, HOSTNET_HOP + 1)->opened, 0);
	/* A steady stream for a while: 100 KiB/s up, half of it down. */
	for (unsigned i = 0; i < 50; i++) {
		hostnet_write(a, 10240);
		hostnet_give(net.out.last, a, 5120);
		hostnet_advance(&net, 100 * MF_MSEC);
		hostnet_read(a, SIZE_MAX);
	}
	f = hostnet_facts(&net);
	assert_int_equal(f.bytes_up, 512000);
	assert_int_equal(f.bytes_down, 256000);
	assert_int_equal(t->bytes_up, 512000);
	assert_int_equal(t->bytes_down, 256000);
	assert_in_range(f.rate_up, 92160, 112640);
	assert_in_range(f.rate_down, 46080, 56320);
	assert_true(f.packets_up >= 50 * 7 && f.packets_down >= 50 * 4);
	assert_true(f.rtt_far == MF_MSEC && f.started < f.last);
	/* Hops beyond the last one share it. */
	assert_ptr_equal(mf_host_hop(net.host, 1000), mf_host_hop(net.host, MF_HOST_HOPS - 1));
	hostnet_abort(a);
	hostnet_settle(&net);
	assert_int_equal(t->sessions, 0);
	assert_int_equal(t->opened, 1);
	hostnet_close(&net);
}

/* ---- Two workers ----------------------------------------------------------------------------------- */

static uint64_t claim_of(const struct mf_owners *o, const struct hostnet_app *a)
{
	struct mf_flow_table *t = mf_flow_table_new(1, sizeof(struct mf_flow),
						    sizeof(struct mf_flow), mf_owners_hash_key(o));
	struct mf_flow_key k = { .sport = a->local.port,
				 .dport = a->remote.port,
				 .family = MF_AF_IP4,
				 .proto = MF_IPPROTO_TCP };
	uint64_t hash;

	memcpy(k.src, a->local.addr.b, 4);
	memcpy(k.dst, a->remote.addr.b, 4);
	hash = mf_flow_hash_key(t, &k);
	mf_flow_table_free(t);
	return hash;
}

static void test_owners(void **state)
{
	static const uint8_t hash_key[16] = { 1, 2, 3 };
	struct mf_owners *o = mf_owners_new(100, hash_key);
	struct hostnet_app *a;
	uint8_t b[64];
	uint64_t hash;

	(void)state;
	open_net(&(struct hostnet_options){ .owners = o, .worker = 3 });
	a = open_session(1);
	hash = claim_of(o, a);
	assert_int_equal(mf_owners_find(o, hash), 3);
	hostnet_abort(a);
	hostnet_settle(&net);
	assert_int_equal(mf_owners_find(o, hash), MF_OWNER_NONE);
	assert_int_equal(net.handed, 0);

	/* Somebody else's session: its packets are his, a SYN as much as the rest. */
	a->local.port = 9;
	mf_owners_claim(
		o,
		claim_of(o, &(struct hostnet_app){ .local = { .addr = a->local.addr, .port = 1 },
						   .remote = a->remote }),
		5);
	hostnet_send(&net, b, hostnet_tcp(b, "10.0.0.2:1", DST, 5, 6, MF_TCP_ACK, NULL, 0));
	hostnet_send(&net, b, hostnet_tcp(b, "10.0.0.2:1", DST, 5, 0, MF_TCP_SYN, NULL, 0));
	hostnet_settle(&net);
	assert_int_equal(net.handed, 2);
	assert_int_equal(net.handed_to, 5);
	assert_int_equal(counters()->handed_over, 2);
	assert_int_equal(counters()->sessions, 0);
	hostnet_close(&net);
	assert_int_equal(mf_owners_find(o, hash), 5);
	mf_owners_free(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_change),
		cmocka_unit_test(test_routes_change_and_port_is_used_again),
		cmocka_unit_test(test_routes_change_and_close),
		cmocka_unit_test(test_close_one),
		cmocka_unit_test(test_close_all),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_totals),
		cmocka_unit_test(test_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
