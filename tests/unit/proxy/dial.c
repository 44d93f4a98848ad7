/* SPDX-License-Identifier: Apache-2.0
 *
 * How the server is reached: addresses in turn (RFC 8305), names that are asked for, what leads
 * there, and which fault it is when it is not.
 */
#include "proxy/dial.h"

#include "host/steps.h"
#include "support/layerlab.h"
#include "unit.h"

static struct layerlab lab;
static struct lab_user user, other;
static struct mf_dial dial;
static struct mf_dial_config config;
static unsigned n_asked;
static bool no_via;
static const char *at_once; /* the answer comes from within the question */

static struct mf_outbound *via(void *ctx)
{
	return no_via ? NULL : ctx;
}

static void resolved(const char *list)
{
	struct mf_addr a[12];
	char text[400], *save = NULL;
	size_t n = 0;

	(void)snprintf(text, sizeof(text), "%s", list);
	for (char *t = strtok_r(text, " ", &save); t; t = strtok_r(NULL, " ", &save))
		assert_int_equal(mf_addr_parse(&a[n++], t), MF_OK);
	mf_dial_resolved(&dial, a, n);
}

static void resolve(void *ctx)
{
	assert_ptr_equal(ctx, &lab.far.out);
	n_asked++;
	if (at_once)
		resolved(at_once);
}

static void make(const char *name, const char *addr)
{
	config = (struct mf_dial_config){
		.name = name,
		.ctx = &lab.far.out,
		.via = via,
		.resolve = resolve,
	};
	assert_int_equal(mf_endpoint_parse(&config.addr, addr), MF_OK);
	if (name)
		config.addr.addr = (struct mf_addr){ 0 };
	mf_dial_init(&dial, &config, &lab.layers, &lab.health, "hk", 10 * MF_SEC);
}

static int open_lab(void **state)
{
	(void)state;
	layerlab_open(&lab, 1, false);
	memset(&user, 0, sizeof(user));
	user.closed = true;
	other = user;
	n_asked = 0;
	no_via = false;
	at_once = NULL;
	return 0;
}

static int close_lab(void **state)
{
	(void)state;
	lab_user_fini(&user);
	lab_user_fini(&other);
	assert_int_equal(dial.out.n_streams, 0);
	layerlab_close(&lab);
	return 0;
}

static void begin(void)
{
	lab_user_fini(&user);
	assert_int_equal(lab_user_open(&user, &lab, &dial.out.out, "example.com:443"), MF_OK);
	layerlab_run(&lab);
}

/* The connection that was begun last goes there. */
static void expect_attempt(unsigned count, const char *to)
{
	char text[MF_ENDPOINT_STRLEN];

	assert_int_equal(lab.far.n_opened, count);
	assert_string_equal(mf_endpoint_format(&lab.far.last->dst, text), to);
}

static void expect_fault(enum mf_proxy_fault f)
{
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.failed);
	assert_int_equal(lab.health.facts.fault, f);
	assert_int_equal(lab.health.facts.failing, true);
	assert_int_equal(lab.far.n_open, 0);
}

static void expect_open(void)
{
	layerlab_run(&lab);
	lab_user_turn(&user);
	assert_true(user.opened);
	assert_int_equal(lab.far.n_open, 1);
}

/* ---- An address ------------------------------------------------------------------------------ */

static void test_an_address_is_dialled(void **state)
{
	(void)state;
	make(NULL, "192.0.2.7:8388");
	begin();
	expect_attempt(1, "192.0.2.7:8388");
	assert_string_equal(lab.far.last->name, "");
	layerlab_pass(&lab, 30 * MF_MSEC);
	fake_open(lab.far.last);
	expect_open();
	assert_int_equal(n_asked, 0);
	assert_int_equal(lab.health.count.dialled, 1);
	assert_int_equal(lab.health.count.connected, 1);
	assert_int_equal(lab.health.facts.took[MF_PROXY_SPAN_TCP], 30 * MF_MSEC);
	lab_user_write(&user, "abc", 3);
	assert_memory_equal(lab.far.last->got, "abc", 3);
	fake_give(lab.far.last, "defg", 4);
	fake_end(lab.far.last);
	for (unsigned i = 0; i < 2; i++) {
		layerlab_run(&lab);
		lab_user_turn(&user);
	}
	assert_int_equal(user.n_got, 4);
	assert_true(user.eof);
	lab_user_shutdown(&user);
	assert_true(lab.far.last->shut);
}

/* The worker has slept for long: patience begins now, not when it fell asleep. */
static void test_after_a_pause(void **state)
{
	(void)state;
	make(NULL, "192.0.2.7:8388");
	lab.now += 3600 * MF_SEC;
	mf_layers_begin(&lab.layers, lab.now);
	begin();
	layerlab_pass(&lab, 9 * MF_SEC);
	fake_open(lab.far.last);
	expect_open();
	assert_int_equal(lab.health.count.failed, 0);
	assert_int_equal(lab.health.facts.took[MF_PROXY_SPAN_TCP], 9 * MF_SEC);
}

static const struct {
	enum mf_stream_error error;
	enum mf_proxy_fault fault, local; /* the latter if the local internet leads there */
} failures[] = {
	{ MF_STREAM_E_REFUSED, MF_PROXY_REFUSED, MF_PROXY_REFUSED },
	{ MF_STREAM_E_RESET, MF_PROXY_REFUSED, MF_PROXY_REFUSED },
	{ MF_STREAM_E_TIMED_OUT, MF_PROXY_TIMED_OUT, MF_PROXY_TIMED_OUT },
	{ MF_STREAM_E_HOST_UNREACHABLE, MF_PROXY_UNREACHABLE, MF_PROXY_UNREACHABLE },
	{ MF_STREAM_E_NET_UNREACHABLE, MF_PROXY_UNREACHABLE, MF_PROXY_UNREACHABLE },
	{ MF_STREAM_E_PROHIBITED, MF_PROXY_UNREACHABLE, MF_PROXY_UNREACHABLE },
	{ MF_STREAM_E_NO_DEVICE, MF_PROXY_VIA, MF_PROXY_UNREACHABLE },
	{ MF_STREAM_E_NO_RESOURCES, MF_PROXY_RESOURCES, MF_PROXY_RESOURCES },
	{ MF_STREAM_E_UNSUPPORTED, MF_PROXY_VIA, MF_PROXY_UNREACHABLE },
	{ MF_STREAM_E_PROXY, MF_PROXY_VIA, MF_PROXY_UNREACHABLE },
	{ MF_STREAM_E_OTHER, MF_PROXY_UNREACHABLE, MF_PROXY_UNREACHABLE },
};
static_assert(MF_ARRAY_LEN(failures) == MF_STREAM_ERROR_COUNT - 1, "all but NONE");

static void test_every_failure_has_its_fault(void **state)
{
	(void)state;
	for (unsigned i = 0; i < MF_ARRAY_LEN(failures); i++) {
		make(NULL, "192.0.2.7:8388");
		dial.cfg.local = i & 1;
		lab.far.refuse = MF_STREAM_E_NONE;
		begin();
		fake_fail(lab.far.last, failures[i].error);
		expect_fault(i & 1 ? failures[i].local : failures[i].fault);
		assert_string_equal(lab.health.facts.detail, "192.0.2.7:8388");
		lab_user_fini(&user);
		dial.cfg.local = !(i & 1);
		lab.far.refuse = failures[i].error; /* the same at once */
		begin();
		expect_fault(i & 1 ? failures[i].fault : failures[i].local);
		lab_user_fini(&user);
	}
}

static void test_nothing_leads_there(void **state)
{
	(void)state;
	make(NULL, "192.0.2.7:8388");
	no_via = true;
	begin();
	expect_fault(MF_PROXY_VIA);
	assert_int_equal(lab.far.n_opened, 0);
}

static void test_it_does_not_answer(void **state)
{
	(void)state;
	make(NULL, "192.0.2.7:8388");
	begin();
	layerlab_pass(&lab, 9900 * MF_MSEC);
	lab_user_turn(&user);
	assert_false(user.failed);
	layerlab_pass(&lab, 101 * MF_MSEC);
	expect_fault(MF_PROXY_TIMED_OUT);
}

/* ---- Names ----------------------------------------------------------------------------------- */

static void test_a_name_is_asked_for(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	assert_int_equal(lab_user_open(&other, &lab, &dial.out.out, "example.com:80"), MF_OK);
	layerlab_run(&lab);
	assert_int_equal(n_asked, 1);
	assert_int_equal(lab.far.n_opened, 0);
	resolved("192.0.2.1");
	layerlab_run(&lab);
	assert_int_equal(lab.far.n_opened, 2);
	expect_attempt(2, "192.0.2.1:443");
}

/* Waiting for the name and connecting are told apart; where it was found, too. */
static void test_steps(void **state)
{
	struct mf_steps steps = { 0 };
	char text[MF_ENDPOINT_STRLEN];

	(void)state;
	lab.steps = &steps;
	make("px.example.net", "0.0.0.0:443");
	begin();
	layerlab_pass(&lab, 70 * MF_MSEC);
	resolved("192.0.2.7 2001:db8::7");
	layerlab_run(&lab);
	layerlab_pass(&lab, 300 * MF_MSEC); /* the second address is tried meanwhile, and wins */
	fake_open(lab.far.last);
	expect_open();
	assert_int_equal(steps.n, 2);
	assert_string_equal(steps.step[0].what, "resolve");
	assert_int_equal(steps.step[0].took, 70 * MF_MSEC);
	assert_string_equal(steps.step[1].what, "connect");
	assert_int_equal(steps.step[1].took, 300 * MF_MSEC);
	assert_string_equal(mf_endpoint_format(&steps.server, text), "[2001:db8::7]:443");
	assert_null(steps.failed);
	lab_user_fini(&user);

	steps = (struct mf_steps){ 0 };
	make(NULL, "192.0.2.7:443");
	begin();
	fake_fail(lab.far.last, MF_STREAM_E_REFUSED);
	expect_fault(MF_PROXY_REFUSED);
	assert_int_equal(steps.n, 0);
	assert_string_equal(steps.failed, "connect");
	assert_int_equal(steps.fault, MF_PROXY_REFUSED);
	lab_user_fini(&user);
}

static void test_an_answer_from_within_the_question(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	at_once = "192.0.2.1";
	begin();
	expect_attempt(1, "192.0.2.1:443");
	fake_open(lab.far.last);
	expect_open();
}

static void test_a_name_without_addresses(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	resolved("");
	expect_fault(MF_PROXY_NAME);
	assert_string_equal(lab.health.facts.detail, "proxy.example");
	begin(); /* it is not asked again at once */
	expect_fault(MF_PROXY_NAME);
	assert_int_equal(n_asked, 1);
	layerlab_pass(&lab, 3 * MF_SEC);
	begin();
	assert_int_equal(n_asked, 2);
}

static void test_a_question_without_an_answer(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	layerlab_pass(&lab, 10100 * MF_MSEC);
	expect_fault(MF_PROXY_NAME);
	begin(); /* it was lost: once more */
	assert_int_equal(n_asked, 2);
}

static void test_old_addresses_are_used_and_asked_for_again(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	resolved("192.0.2.1");
	layerlab_run(&lab);
	fake_open(lab.far.last);
	expect_open();
	layerlab_pass(&lab, 59 * MF_SEC);
	begin();
	assert_int_equal(n_asked, 1);
	layerlab_pass(&lab, 2 * MF_SEC);
	begin();
	assert_int_equal(n_asked, 2);
	expect_attempt(3, "192.0.2.1:443");
	resolved(""); /* what is known stays */
	begin();
	expect_attempt(4, "192.0.2.1:443");
	resolved("192.0.2.2");
	begin();
	expect_attempt(5, "192.0.2.2:443");
	mf_dial_refresh(&dial);
	assert_int_equal(n_asked, 3);
}

static void test_they_are_asked_for_again_when_all_have_failed(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	resolved("192.0.2.1 192.0.2.2");
	layerlab_pass(&lab, 3 * MF_SEC);
	fake_fail(lab.far.last, MF_STREAM_E_REFUSED);
	layerlab_run(&lab);
	assert_int_equal(n_asked, 1);
	fake_fail(lab.far.last->next, MF_STREAM_E_HOST_UNREACHABLE);
	expect_fault(MF_PROXY_REFUSED); /* which says more than "unreachable" */
	assert_int_equal(n_asked, 2);
}

static void test_behind_a_proxy_the_name_goes_as_it_is(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	dial.cfg.by_name = true;
	begin();
	assert_int_equal(n_asked, 0);
	assert_int_equal(lab.far.n_opened, 1);
	assert_string_equal(lab.far.last->name, "proxy.example");
	assert_int_equal(lab.far.last->dst.port, 443);
	fake_fail(lab.far.last, MF_STREAM_E_REFUSED);
	expect_fault(MF_PROXY_REFUSED);
	assert_int_equal(lab.far.n_opened, 1);
	assert_string_equal(lab.health.facts.detail, "proxy.example:443");
}

/* ---- Several addresses ----------------------------------------------------------------------- */

static void test_families_take_turns(void **state)
{
	static const char *const order[] = {
		"[2001:db8::1]:443", "192.0.2.1:443", "[2001:db8::2]:443",
		"192.0.2.2:443",     "192.0.2.3:443",
	};

	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	resolved("2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2 192.0.2.3");
	layerlab_run(&lab);
	for (unsigned i = 0; i < MF_ARRAY_LEN(order); i++) {
		expect_attempt(i + 1, order[i]);
		layerlab_pass(&lab, 240 * MF_MSEC);
		assert_int_equal(lab.far.n_opened, i + 1);
		layerlab_pass(&lab, 10 * MF_MSEC);
	}
	assert_int_equal(lab.far.n_open, MF_ARRAY_LEN(order));
	fake_open(lab.far.last->next->next); /* the first to connect wins, the others are closed */
	expect_open();
	assert_non_null(lab.far.last->next->next->s);

	begin(); /* and is the first one next time */
	expect_attempt(6, "[2001:db8::2]:443");
	layerlab_pass(&lab, 251 * MF_MSEC);
	expect_attempt(7, "[2001:db8::1]:443");
	resolved("192.0.2.1 2001:db8::2"); /* also in a new answer */
	begin();
	expect_attempt(8, "[2001:db8::2]:443");
}

static void test_after_a_failure_the_next_one_comes_at_once(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	resolved("192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4");
	layerlab_run(&lab);
	layerlab_pass(&lab, 251 * MF_MSEC);
	expect_attempt(2, "192.0.2.2:443");
	fake_fail(lab.far.last->next, MF_STREAM_E_REFUSED);
	layerlab_run(&lab);
	expect_attempt(3, "192.0.2.3:443"); /* though the second one may still answer */
	fake_open(lab.far.last->next);
	expect_open();
}

static void test_more_addresses_than_there_is_room_for(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	resolved("192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6 192.0.2.7 192.0.2.8 "
		 "192.0.2.9 192.0.2.10");
	layerlab_pass(&lab, 9 * MF_SEC);
	expect_attempt(MF_DIAL_ADDRS_MAX, "192.0.2.8:443");
}

static void test_all_fail_at_once(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	lab.far.refuse = MF_STREAM_E_NET_UNREACHABLE;
	resolved("192.0.2.1 2001:db8::1");
	expect_fault(MF_PROXY_UNREACHABLE);
	assert_string_equal(lab.health.facts.detail, "[2001:db8::1]:443");
}

static void test_closed_while_it_tries(void **state)
{
	(void)state;
	make("proxy.example", "0.0.0.0:443");
	begin();
	resolved("192.0.2.1 192.0.2.2");
	layerlab_pass(&lab, 300 * MF_MSEC);
	assert_int_equal(lab.far.n_open, 2);
	lab_user_close(&user, false);
	assert_int_equal(lab.far.n_open, 0);
	begin();
	lab_user_close(&user, true);
	assert_int_equal(lab.far.n_open, 0);
}

static void test_addresses_for_datagrams(void **state)
{
	char text[MF_ENDPOINT_STRLEN];
	struct mf_endpoint e;

	(void)state;
	make("proxy.example", "0.0.0.0:443");
	assert_false(mf_dial_address(&dial, 0, &e));
	assert_int_equal(n_asked, 1);
	resolved("192.0.2.1 2001:db8::1");
	assert_true(mf_dial_address(&dial, 3, &e));
	assert_string_equal(mf_endpoint_format(&e, text), "[2001:db8::1]:443");
	make(NULL, "192.0.2.9:53");
	assert_true(mf_dial_address(&dial, 1, &e));
	assert_string_equal(mf_endpoint_format(&e, text), "192.0.2.9:53");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_lab, close_lab)
	const struct CMUnitTest tests[] = {
		T(test_an_address_is_dialled),
		T(test_after_a_pause),
		T(test_every_failure_has_its_fault),
		T(test_nothing_leads_there),
		T(test_it_does_not_answer),
		T(test_a_name_is_asked_for),
		T(test_steps),
		T(test_an_answer_from_within_the_question),
		T(test_a_name_without_addresses),
		T(test_a_question_without_an_answer),
		T(test_old_addresses_are_used_and_asked_for_again),
		T(test_they_are_asked_for_again_when_all_have_failed),
		T(test_behind_a_proxy_the_name_goes_as_it_is),
		T(test_families_take_turns),
		T(test_after_a_failure_the_next_one_comes_at_once),
		T(test_more_addresses_than_there_is_room_for),
		T(test_all_fail_at_once),
		T(test_closed_while_it_tries),
		T(test_addresses_for_datagrams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
