/* SPDX-License-Identifier: Apache-2.0 */
#include "platform/notify.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "unit.h"

/* Listens where NOTIFY_SOCKET says; '@' means an abstract name. */
static int listen_at(const char *name)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	size_t n = strlen(name);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(sa.sun_path, name, n);
	if (name[0] == '@')
		sa.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&sa,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	setenv("NOTIFY_SOCKET", name, 1);
	return fd;
}

static const char *heard(int fd)
{
	static char text[256];
	ssize_t n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static void exercise(const char *name)
{
	int fd = listen_at(name);

	assert_int_equal(mf_notify_ready("2 interfaces"), MF_OK);
	assert_string_equal(heard(fd), "READY=1\nSTATUS=2 interfaces");
	assert_int_equal(mf_notify_status("%d of %d", 1, 2), MF_OK);
	assert_string_equal(heard(fd), "STATUS=1 of 2");
	assert_int_equal(mf_notify_reloading(), MF_OK);
	assert_int_equal(strncmp(heard(fd), "RELOADING=1\nMONOTONIC_USEC=", 27), 0);
	assert_int_equal(mf_notify_stopping(), MF_OK);
	assert_string_equal(heard(fd), "STOPPING=1");
	close(fd);
	assert_int_equal(mf_notify_stopping(), MF_E_SYSTEM);
}

static void test_abstract_and_path_names(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@mf-notify-%d", (int)getpid());
	exercise(name);
	snprintf(name, sizeof(name), "/tmp/mf-notify-%d", (int)getpid());
	exercise(name);
	unlink(name);
}

static void test_silent_without_a_manager(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(mf_notify_ready("x"), MF_OK);
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(mf_notify_ready("x"), MF_OK);
	setenv("NOTIFY_SOCKET", "@", 1);
	assert_int_equal(mf_notify_ready("x"), MF_OK);
}

static void test_watchdog(void **state)
{
	char pid[32];

	(void)state;
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	assert_true(mf_notify_watchdog() == MF_NEVER);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_true(mf_notify_watchdog() == 15 * MF_SEC);
	setenv("WATCHDOG_PID", "1", 1);
	assert_true(mf_notify_watchdog() == MF_NEVER);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	assert_true(mf_notify_watchdog() == 15 * MF_SEC);
	setenv("WATCHDOG_USEC", "0", 1);
	assert_true(mf_notify_watchdog() == MF_NEVER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abstract_and_path_names),
		cmocka_unit_test(test_silent_without_a_manager),
		cmocka_unit_test(test_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
