/* SPDX-License-Identifier: Apache-2.0
 *
 * Literal addresses and names of the hosts file only: no name server is asked.
 */
#include "platform/resolve.h"

#include <poll.h>

#include "unit.h"

static void await(struct mf_system_resolver *r, struct mf_resolved *out)
{
	struct pollfd pfd = { .fd = mf_system_resolver_fd(r), .events = POLLIN };

	while (!mf_system_resolver_take(r, out))
		assert_int_equal(poll(&pfd, 1, 60000), 1);
}

static void test_literals(void **state)
{
	struct mf_system_resolver *r = mf_system_resolver_new();
	struct mf_resolved a;
	char text[MF_ENDPOINT_STRLEN];

	(void)state;
	assert_int_equal(mf_system_resolver_ask(r, "192.0.2.1", 51820, 7), MF_OK);
	await(r, &a);
	assert_int_equal(a.err, MF_OK);
	assert_int_equal(a.tag, 7);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.name, "192.0.2.1");
	assert_string_equal(mf_endpoint_format(&a.addr[0], text), "192.0.2.1:51820");
	assert_int_equal(mf_system_resolver_ask(r, "2001:db8::1", 1, 8), MF_OK);
	await(r, &a);
	assert_int_equal(a.n, 1);
	assert_string_equal(mf_endpoint_format(&a.addr[0], text), "[2001:db8::1]:1");
	assert_false(mf_system_resolver_take(r, &a));
	mf_system_resolver_free(r);
}

static void test_names(void **state)
{
	struct mf_system_resolver *r = mf_system_resolver_new();
	struct mf_resolved a;
	char longest[MF_RESOLVE_NAME_MAX + 1];

	(void)state;
	assert_int_equal(mf_system_resolver_ask(r, "localhost", 53, 1), MF_OK);
	await(r, &a);
	assert_int_equal(a.err, MF_OK);
	assert_true(a.n >= 1);
	assert_int_equal(a.addr[0].port, 53);
	/* a label of 64 bytes cannot be: refused without asking anybody */
	assert_int_equal(mf_system_resolver_ask(r,
						"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
						"aaaaaaaaaaaaaaaa.example",
						53, 2),
			 MF_OK);
	await(r, &a);
	assert_int_not_equal(a.err, MF_OK);
	assert_int_equal(a.n, 0);
	assert_true(a.why[0] != '\0');
	assert_int_equal(mf_system_resolver_ask(r, "", 53, 3), MF_E_MALFORMED);
	memset(longest, 'a', sizeof(longest));
	longest[MF_RESOLVE_NAME_MAX] = '\0';
	assert_int_equal(mf_system_resolver_ask(r, longest, 53, 3), MF_E_MALFORMED);
	mf_system_resolver_free(r);
}

/* As many as fit, none lost, none twice; then there is room again. */
static void test_many_at_once(void **state)
{
	struct mf_system_resolver *r = mf_system_resolver_new();
	bool seen[MF_RESOLVE_PENDING_MAX] = { false };
	struct mf_resolved a;

	(void)state;
	for (uint64_t i = 0; i < MF_RESOLVE_PENDING_MAX; i++)
		assert_int_equal(mf_system_resolver_ask(r, "192.0.2.1", 1, i), MF_OK);
	assert_int_equal(mf_system_resolver_ask(r, "192.0.2.1", 1, 99), MF_E_FULL);
	for (size_t i = 0; i < MF_RESOLVE_PENDING_MAX; i++) {
		await(r, &a);
		assert_true(a.tag < MF_RESOLVE_PENDING_MAX && !seen[a.tag]);
		seen[a.tag] = true;
	}
	assert_int_equal(mf_system_resolver_ask(r, "192.0.2.1", 1, 99), MF_OK);
	/* freed while a question is under way, and with an answer not taken */
	mf_system_resolver_free(r);
	usleep(50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_many_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
