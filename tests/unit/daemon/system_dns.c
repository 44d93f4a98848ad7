/* SPDX-License-Identifier: Apache-2.0
 *
 * Which address the machine's programs are given, and what the keeper does with messages that are
 * none. The keeper has an /etc of its own here.
 */
#include "daemon/system_dns.h"

#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include "daemon/dns_keeper.h"
#include "unit.h"

/* ---- Which address --------------------------------------------------------------------------- */

static bool everything(void *ctx, const struct mf_addr *a)
{
	(void)ctx;
	(void)a;
	return true;
}

/* Only what is in this prefix goes into the tunnel. */
static bool in_prefix(void *ctx, const struct mf_addr *a)
{
	return mf_prefix_contains(ctx, a);
}

static struct mf_addr addr(const char *text)
{
	struct mf_addr a;

	assert_int_equal(mf_addr_parse(&a, text), MF_OK);
	return a;
}

static struct mf_config_prefix prefix(const char *text)
{
	struct mf_config_prefix p = { 0 };

	assert_int_equal(mf_prefix_parse(&p.prefix, text), MF_OK);
	return p;
}

/* "-": none. */
static void expect(const struct mf_config *cfg, const char *address,
		   bool (*goes_in)(void *ctx, const struct mf_addr *a), void *ctx, const char *want)
{
	struct mf_config_prefix p = prefix(address);
	struct mf_config_prefixes list = { .v = &p, .n = 1 };
	char text[MF_ADDR_STRLEN] = "-";
	struct mf_addr got;

	if (mf_system_dns_server(cfg, &list, goes_in, ctx, &got))
		mf_addr_format(&got, text);
	assert_string_equal(text, want);
}

static void test_neighbours(void **state)
{
	struct mf_config cfg = { .dns.hijack = true };
	static const char *const rows[][2] = {
		{ "10.66.0.2/30", "10.66.0.1" },     { "10.66.0.1/30", "10.66.0.2" },
		{ "10.66.0.6/31", "10.66.0.7" },     { "10.66.0.7/31", "10.66.0.6" },
		{ "10.66.0.7/32", "198.51.100.53" }, { "10.66.7.9/8", "10.0.0.1" },
		{ "fd66::2/126", "fd66::1" },        { "fd66::1/64", "fd66::2" },
		{ "fd66::1/127", "fd66::" },         { "fd66::1/128", "198.51.100.53" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(rows); i++)
		expect(&cfg, rows[i][0], everything, NULL, rows[i][1]);
}

/* Never ours, the network's or the broadcast address, and always inside. */
static void test_any_prefix(void **state)
{
	struct mf_prng rng = unit_prng("tunnel");
	struct mf_config cfg = { .dns.hijack = true };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct mf_config_prefix p = { 0 };
		struct mf_config_prefixes list = { .v = &p, .n = 1 };
		bool v6 = mf_prng_below(&rng, 2);
		unsigned bits = v6 ? 128 : 32, host;
		struct mf_prefix net;
		struct mf_addr got;
		uint8_t raw[16], last;

		mf_prng_fill(&rng, raw, sizeof(raw));
		p.prefix.addr = v6 ? mf_addr_ip6(raw) : mf_addr_ip4(raw);
		p.prefix.len = (uint8_t)(8 + mf_prng_below(&rng, bits - 8)); /* up to /31, /127 */
		host = bits - p.prefix.len;
		net = mf_prefix_mask(p.prefix);
		assert_true(mf_system_dns_server(&cfg, &list, everything, NULL, &got));
		assert_true(mf_prefix_contains(&p.prefix, &got));
		assert_false(mf_addr_equal(&p.prefix.addr, &got));
		last = got.b[mf_addr_len(&got) - 1];
		if (host > 1) {
			assert_false(mf_addr_equal(&net.addr, &got));
			assert_int_not_equal(last & ((1u << mf_min(host, 8)) - 1),
					     (1u << mf_min(host, 8)) - 1);
		}
	}
}

static void test_listen_and_hijack(void **state)
{
	struct mf_config_dns_listen listen[] = {
		{ .at = { .addr = addr("127.0.0.1"), .port = 5353 } },
		{ .at = { .addr = addr("10.66.0.3"), .port = 5353 }, .in_tunnel = true },
		{ .at = { .addr = addr("0.0.0.0"), .port = 53 } },
		{ .at = { .addr = addr("10.66.0.9"), .port = 53 }, .in_tunnel = true },
	};
	struct mf_config cfg = { .dns = { .listen = listen, .n_listen = 4, .hijack = true } };
	struct mf_prefix in = prefix("10.66.0.0/24").prefix;
	struct mf_prefix nowhere = prefix("240.0.0.0/8").prefix;
	struct mf_prefix doc = prefix("2001:db8::/32").prefix;

	(void)state;
	expect(&cfg, "10.66.0.2/24", in_prefix, &in, "10.66.0.9");
	expect(&cfg, "10.66.0.2/24", in_prefix, &nowhere, "127.0.0.1");
	cfg.dns.n_listen = 2;
	expect(&cfg, "10.66.0.2/24", in_prefix, &in, "10.66.0.1");
	expect(&cfg, "10.66.0.2/24", in_prefix, &nowhere, "-");
	expect(&cfg, "fd66::1/128", in_prefix, &doc, "2001:db8::53");
	cfg.dns.hijack = false;
	expect(&cfg, "10.66.0.2/24", in_prefix, &in, "-");
	listen[0].at.port = 53;
	expect(&cfg, "10.66.0.2/24", in_prefix, &in, "127.0.0.1");
	listen[0].at.addr = addr("::");
	expect(&cfg, "10.66.0.2/24", in_prefix, &in, "::1");
}

/* ---- Keeper ---------------------------------------------------------------------------------- */

static const char theirs[] = "nameserver 192.0.2.53\n";

static void no_line(void *ctx, enum mf_log_level level, const char *line)
{
	(void)ctx;
	(void)level;
	(void)line;
}

static struct mf_dns_request good(void)
{
	struct mf_dns_request r;

	memset(&r, 0, sizeof(r));
	r.kind = MF_DNS_SET;
	r.want.way = MF_SYSDNS_RESOLV_CONF;
	r.want.ifindex = 1;
	strcpy(r.want.tunnel, "mint0");
	r.want.server = addr("10.66.0.1");
	return r;
}

static bool begins(const char *text)
{
	char buf[256] = "";
	FILE *f = fopen("/etc/resolv.conf", "re");
	bool yes;

	if (!f)
		return false;
	yes = fread(buf, 1, sizeof(buf) - 1, f) > 0 && !strncmp(buf, text, strlen(text));
	fclose(f);
	return yes;
}

/* 0: after a good message and then this one the keeper has ended, and everything is as before. */
static int ends_at(const void *bytes, size_t n)
{
	static const struct mf_log log = { .write = no_line };
	struct mf_dns_request r = good();
	struct mf_dns_answer a;
	int pair[2], status;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return 10;
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		mf_dns_keeper_run(pair[1], &log);
	}
	close(pair[1]);
	if (send(pair[0], &r, sizeof(r), 0) != (ssize_t)sizeof(r))
		return 11;
	do
		if (recv(pair[0], &a, sizeof(a), 0) != (ssize_t)sizeof(a))
			return 12;
	while (a.kind != MF_DNS_DONE);
	if (!begins("# MintFlow"))
		return 13;
	if (send(pair[0], bytes, n, 0) != (ssize_t)n)
		return 14;
	while (recv(pair[0], &a, sizeof(a), 0) > 0)
		;
	if (waitpid(pid, &status, 0) != pid || status)
		return 15;
	close(pair[0]);
	return begins(theirs) ? 0 : 16;
}

static int bad_messages(void)
{
	struct mf_dns_request bad[8];
	uint8_t large[sizeof(bad[0]) + 1] = { 0 };
	struct mf_dns_request r = good();
	int failed;

	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		bad[i] = r;
	bad[0].kind = 0;
	bad[1].kind = MF_DNS_CHECK + 1;
	bad[2].want.way = (enum mf_sysdns_way)77;
	bad[3].want.ifindex = 0;
	bad[4].want.ifindex = UINT32_MAX;
	strcpy(bad[5].want.tunnel, "a\nb"); /* a line of its own in resolv.conf */
	memset(bad[6].want.tunnel, 'x', sizeof(bad[6].want.tunnel));
	bad[7].want.server.family = 5;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		if ((failed = ends_at(&bad[i], sizeof(bad[i]))))
			return failed + 20 * (int)i;
	memcpy(large, &r, sizeof(r));
	failed = ends_at(large, sizeof(large));
	return failed ? failed : ends_at(&r, sizeof(r) - 1);
}

static int in_an_etc_of_its_own(int (*checks)(void))
{
	FILE *f;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("tmpfs", "/etc", "tmpfs", 0, NULL))
		return 255;
	f = fopen("/etc/resolv.conf", "we");
	if (!f || fputs(theirs, f) < 0 || fclose(f))
		return 9;
	return checks();
}

static void test_bad_messages(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(in_an_etc_of_its_own(bad_messages));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 255) {
		print_message("skipped: mounts need root\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_any_prefix),
		cmocka_unit_test(test_listen_and_hijack),
		cmocka_unit_test(test_bad_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
