/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections over loopback; what sessions make of them is tested with `direct` (tests/unit/daemon).
 */
#include "platform/socket.h"

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "twonet.h"
#include "unit.h"

enum { SPANS = 3000 };

static const char *cannot;

struct pair {
	int a;   /* ours */
	int far; /* a plain one */
};

static void need(void)
{
	if (cannot) {
		print_message("skipped: %s\n", cannot);
		skip();
	}
}

static struct pair connect_pair(const char *address)
{
	struct mf_socket_options o = { .mark = 0x4d460000 };
	struct mf_endpoint to;
	enum mf_stream_error why;
	struct pair p;
	uint16_t port;
	int server;

	twonet_there = twonet_here; /* loopback has one side */
	server = twonet_server(SOCK_STREAM, address, &port);
	to = twonet_at(address, port);
	p.a = mf_socket_connect(&o, &to, &why);
	assert_int_equal(why, MF_STREAM_E_NONE);
	assert_true(p.a >= 0);
	p.far = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(p.far >= 0);
	close(server);
	return p;
}

static void wait_for(int fd, short events)
{
	struct pollfd pfd = { .fd = fd, .events = events };

	assert_int_equal(poll(&pfd, 1, 5000), 1);
}

static int int_option(int fd, int level, int name)
{
	int v = -1;
	socklen_t len = sizeof(v);

	assert_int_equal(getsockopt(fd, level, name, &v, &len), 0);
	return v;
}

static void check_transfer(const char *address)
{
	struct pair p = connect_pair(address);
	static uint8_t bytes[SPANS * 3], got[SPANS * 3];
	static struct mf_span v[SPANS];
	struct mf_room r[3] = { { got, 1 }, { got + 1, 2 }, { got + 3, sizeof(got) - 3 } };
	enum mf_stream_error why;
	struct mf_addr local = mf_socket_local(p.a), own = twonet_at(address, 0).addr;

	assert_true(mf_addr_equal(&local, &own));
	assert_int_equal(int_option(p.a, SOL_SOCKET, SO_MARK), 0x4d460000);
	assert_int_equal(int_option(p.a, IPPROTO_TCP, 1 /* TCP_NODELAY */), 1);
	/* more spans than one call of the kernel takes */
	for (size_t i = 0; i < SPANS; i++) {
		memset(bytes + 3 * i, (int)(i * 7), 3);
		v[i] = mf_span(bytes + 3 * i, 3);
	}
	assert_int_equal(mf_socket_send(p.a, v, SPANS, &why), sizeof(bytes));
	assert_int_equal(recv(p.far, got, sizeof(got), MSG_WAITALL), sizeof(got));
	assert_memory_equal(got, bytes, sizeof(bytes));
	memset(got, 0, sizeof(got));
	assert_int_equal(mf_socket_recv(p.a, r, 3, &why), MF_STREAM_AGAIN);
	assert_int_equal(send(p.far, bytes, 1000, 0), 1000);
	wait_for(p.a, POLLIN);
	assert_int_equal(mf_socket_recv(p.a, r, 3, &why), 1000);
	assert_memory_equal(got, bytes, 1000);
	assert_true(mf_socket_rtt(p.a) > 0);
	close(p.far);
	wait_for(p.a, POLLIN);
	assert_int_equal(mf_socket_recv(p.a, r, 1, &why), MF_STREAM_EOF);
	mf_socket_close(p.a, false);
}

static void test_gathers_and_scatters(void **state)
{
	(void)state;
	need();
	check_transfer("127.0.0.1");
	check_transfer("::1");
}

static void test_the_end_and_the_reset(void **state)
{
	struct mf_span v = mf_span("x", 1);
	enum mf_stream_error why;
	struct mf_room r;
	struct pair p;
	uint8_t b;

	(void)state;
	need();
	r = (struct mf_room){ &b, 1 };
	p = connect_pair("127.0.0.1");
	mf_socket_shutdown(p.a);
	assert_int_equal(recv(p.far, &b, 1, 0), 0);
	assert_int_equal(send(p.far, "y", 1, 0), 1); /* the other direction goes on */
	wait_for(p.a, POLLIN);
	assert_int_equal(mf_socket_recv(p.a, &r, 1, &why), 1);
	mf_socket_close(p.a, false);
	close(p.far);

	p = connect_pair("127.0.0.1");
	mf_socket_close(p.a, true);
	assert_int_equal(recv(p.far, &b, 1, 0), -1);
	assert_int_equal(errno, ECONNRESET);
	close(p.far);

	p = connect_pair("127.0.0.1");
	mf_socket_close(p.far, true);
	wait_for(p.a, POLLIN);
	assert_int_equal(mf_socket_error(p.a), MF_STREAM_E_RESET);
	assert_int_equal(mf_socket_error(p.a), MF_STREAM_E_NONE); /* it has been taken */
	assert_int_equal(mf_socket_send(p.a, &v, 1, &why), 0);
	assert_int_equal(why, MF_STREAM_E_RESET); /* and no signal */
	mf_socket_close(p.a, false);
}

static enum mf_stream_error refused(const char *address, uint32_t ifindex)
{
	struct mf_socket_options o = { .ifindex = ifindex };
	struct mf_endpoint to = twonet_at(address, 1);
	enum mf_stream_error why;
	int fd = mf_socket_connect(&o, &to, &why);

	if (fd < 0)
		return why;
	wait_for(fd, POLLOUT);
	why = mf_socket_error(fd);
	mf_socket_close(fd, false);
	return why;
}

static void test_why_not(void **state)
{
	(void)state;
	need();
	assert_int_equal(refused("127.0.0.1", 0), MF_STREAM_E_REFUSED);
	assert_int_equal(refused("192.0.2.1", 0), MF_STREAM_E_NET_UNREACHABLE);
	assert_int_equal(refused("192.0.2.1", 99999), MF_STREAM_E_NO_DEVICE);
	assert_int_equal(refused("::ffff:127.0.0.1", 0), MF_STREAM_E_UNSUPPORTED);
}

static void test_out_of_descriptors(void **state)
{
	struct rlimit was, none;

	(void)state;
	need();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = (struct rlimit){ 3, was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(refused("127.0.0.1", 0), MF_STREAM_E_NO_RESOURCES);
	assert_true(mf_socket_raise_limit() == was.rlim_max);
	assert_int_equal(refused("127.0.0.1", 0), MF_STREAM_E_REFUSED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gathers_and_scatters),
		cmocka_unit_test(test_the_end_and_the_reset),
		cmocka_unit_test(test_why_not),
		cmocka_unit_test(test_out_of_descriptors),
	};

	cannot = netns_enter();
	twonet_here = twonet_self();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
