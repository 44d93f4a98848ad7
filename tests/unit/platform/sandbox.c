/* SPDX-License-Identifier: Apache-2.0
 *
 * Each case in a child: there is no way back out of a sandbox.
 */
#include "platform/sandbox.h"

#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "netns.h"
#include "platform/udp.h"
#include "unit.h"

/* What the child's checks returned: 0 is right. */
static int in_child(int (*checks)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(checks());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool has(cap_value_t c)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t v = CAP_CLEAR;

	cap_get_flag(caps, c, CAP_EFFECTIVE, &v);
	cap_free(caps);
	return v == CAP_SET;
}

static int no_dumps(void)
{
	struct rlimit r;

	if (mf_sandbox_no_dumps(NULL))
		return 1;
	if (getrlimit(RLIMIT_CORE, &r) || r.rlim_cur || r.rlim_max)
		return 2;
	return prctl(PR_GET_DUMPABLE) == 0 ? 0 : 3;
}

static bool can_mark(void)
{
	struct mf_udp_options o = { .family = MF_AF_IP4, .mark = 0x4d460000 };
	struct mf_udp *u = mf_udp_open(&o, NULL, NULL);
	bool yes = u != NULL;

	mf_udp_close(u);
	return yes;
}

static int keeps_what_is_wanted(void)
{
	struct mf_sandbox_options o = { .net_admin = true };

	if (!can_mark())
		return 1;
	if (mf_sandbox_enter(&o, NULL))
		return 2;
	if (!has(CAP_NET_ADMIN) || has(CAP_NET_RAW) || has(CAP_SYS_ADMIN) || has(CAP_SETUID) ||
	    has(CAP_DAC_OVERRIDE) || has(CAP_SYS_PTRACE) || has(CAP_NET_BIND_SERVICE))
		return 3;
	if (!can_mark())
		return 4;
	if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		return 5;
	/* even root's programs do not get them back */
	if (cap_get_bound(CAP_SYS_ADMIN) != 0 || cap_get_bound(CAP_NET_ADMIN) != 1)
		return 6;
	return unshare(CLONE_NEWNET) == 0 ? 7 : 0;
}

static int keeps_powers_over_files(void)
{
	struct mf_sandbox_options o = { .files = true };

	if (mf_sandbox_enter(&o, NULL))
		return 1;
	return has(CAP_DAC_OVERRIDE) && has(CAP_FOWNER) && !has(CAP_NET_ADMIN) && !has(CAP_CHOWN)
		       ? 0
		       : 2;
}

static int keeps_nothing(void)
{
	struct mf_sandbox_options o = { 0 };

	if (mf_sandbox_enter(&o, NULL))
		return 1;
	if (has(CAP_NET_ADMIN) || can_mark())
		return 2;
	/* twice is harmless */
	return mf_sandbox_enter(&o, NULL) ? 3 : 0;
}

static void test_no_core_dumps(void **state)
{
	(void)state;
	assert_int_equal(in_child(no_dumps), 0);
}

static void test_capabilities(void **state)
{
	(void)state;
	if (!has(CAP_NET_ADMIN) || !has(CAP_SETPCAP) || !has(CAP_SYS_ADMIN))
		skip();
	assert_int_equal(in_child(keeps_what_is_wanted), 0);
	assert_int_equal(in_child(keeps_powers_over_files), 0);
	assert_int_equal(in_child(keeps_nothing), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_core_dumps),
		cmocka_unit_test(test_capabilities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
