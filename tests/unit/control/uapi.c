/* SPDX-License-Identifier: Apache-2.0
 *
 * Transcripts, byte for byte, against a whole engine; and random requests against a simple model.
 */
#include "control/uapi.h"

#include "support/testnet.h"
#include "unit.h"

/* Private and public keys of the two engines (tests/support/testnet.c), in hex. */
#define PRIVATE_A "c809f3e5317e9575c9b5ed78b638b7ce530dabe85ddab614220241801ddf0669"
#define PUBLIC_B  "c38be6035d55116a5cc476140ec1d816125f591c67c05cd16017bdc368ed7c7d"
#define PUBLIC_A  "1c8828f7137324c58b2804928624ea2326f1674537c062e251e2753ca7fcca4c"
#define PUBLIC_C  "b1ce6ab6b1df7c1a7ed5e4fb8a2a5ef2b9a5a9a7b66f5be2fbf1f7a1bb1f3c5a"
#define ZERO_KEY  "0000000000000000000000000000000000000000000000000000000000000000"
#define SOME_PSK  "188515093e952f5f22e865cef3012e72f8b5f0b598ac0309d5dacce3b70fcf52"

static struct testnet net;

static int open_net(void **state)
{
	(void)state;
	testnet_open(&net, &(struct testnet_options){ .seed = 1 });
	return 0;
}

static int close_net(void **state)
{
	(void)state;
	testnet_close(&net);
	return 0;
}

/* The answers to all of `text`, given `step` bytes at a time; free() them. */
static char *talk(const char *text, size_t step, bool *open)
{
	struct mf_uapi *u = mf_uapi_new(net.side[0].engine, "wg0");
	struct mf_text got = { 0 };
	size_t n = strlen(text);

	assert_non_null(u);
	*open = true;
	for (size_t at = 0; at < n && *open; at += step) {
		struct mf_span out;

		*open = mf_uapi_input(u, text + at, mf_min(step, n - at), net.now);
		while ((out = mf_uapi_output(u)).n) {
			size_t k = mf_min(out.n, 7);

			mf_text_add(&got, (const char *)out.p, k);
			*open = mf_uapi_sent(u, k, net.now) && *open;
		}
	}
	mf_uapi_free(u);
	return got.s ? got.s : strdup("");
}

static void ask(const char *request, const char *answer)
{
	bool open;
	char *got = talk(request, SIZE_MAX / 2, &open);

	assert_string_equal(got, answer);
	assert_true(open);
	free(got);
}

#define FRESH                                                                               \
	"private_key=" PRIVATE_A "\nlisten_port=51000\n"                                    \
	"public_key=" PUBLIC_B "\npreshared_key=" ZERO_KEY "\nprotocol_version=1\n"         \
	"endpoint=192.0.2.2:51001\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n" \
	"tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\n"                         \
	"allowed_ip=0.0.0.0/0\nallowed_ip=::/0\nerrno=0\n\n"

static void test_get(void **state)
{
	(void)state;
	ask("get=1\n\n", FRESH);
	ask("get=1\n\nget=1\n\n", FRESH FRESH);
}

static void test_chunks_make_no_difference(void **state)
{
	static const char *const request = "set=1\nlisten_port=51000\npublic_key=" PUBLIC_B
					   "\nprotocol_version=1\n\nget=1\n\n";

	(void)state;
	for (size_t step = 1; step < strlen(request); step++) {
		bool open;
		char *got = talk(request, step, &open);

		assert_string_equal(got, "errno=0\n\n" FRESH);
		free(got);
	}
}

static void test_set_everything(void **state)
{
	(void)state;
	/* A keepalive that is switched on is sent at once: 148 bytes of handshake. */
	ask("set=1\nfwmark=51820\nlisten_port=4000\n"
	    "public_key=" PUBLIC_B "\npreshared_key=" SOME_PSK "\nendpoint=[2001:db8::7]:99\n"
	    "persistent_keepalive_interval=25\nreplace_allowed_ips=true\nallowed_ip=10.0.0.1/8\n"
	    "public_key=" PUBLIC_C "\nallowed_ip=10.1.0.0/16\nallowed_ip=fd00::/64\n\n",
	    "errno=0\n\n");
	ask("get=1\n\n",
	    "private_key=" PRIVATE_A "\nlisten_port=4000\nfwmark=51820\n"
	    "public_key=" PUBLIC_B "\npreshared_key=" SOME_PSK "\nprotocol_version=1\n"
	    "endpoint=[2001:db8::7]:99\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
	    "tx_bytes=148\nrx_bytes=0\npersistent_keepalive_interval=25\nallowed_ip=10.0.0.0/8\n"
	    "public_key=" PUBLIC_C "\npreshared_key=" ZERO_KEY "\nprotocol_version=1\n"
	    "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
	    "tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\n"
	    "allowed_ip=10.1.0.0/16\nallowed_ip=fd00::/64\nerrno=0\n\n");
	/* An allowed IP that moves, one that goes, and a peer that goes. */
	ask("set=1\npublic_key=" PUBLIC_B "\nallowed_ip=10.1.0.0/16\n"
	    "public_key=" PUBLIC_C "\nallowed_ip=-fd00::/64\n\n",
	    "errno=0\n\n");
	ask("get=1\n\n",
	    "private_key=" PRIVATE_A "\nlisten_port=4000\nfwmark=51820\n"
	    "public_key=" PUBLIC_B "\npreshared_key=" SOME_PSK "\nprotocol_version=1\n"
	    "endpoint=[2001:db8::7]:99\nlast_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
	    "tx_bytes=148\nrx_bytes=0\npersistent_keepalive_interval=25\n"
	    "allowed_ip=10.0.0.0/8\nallowed_ip=10.1.0.0/16\n"
	    "public_key=" PUBLIC_C "\npreshared_key=" ZERO_KEY "\nprotocol_version=1\n"
	    "last_handshake_time_sec=0\nlast_handshake_time_nsec=0\n"
	    "tx_bytes=0\nrx_bytes=0\npersistent_keepalive_interval=0\nerrno=0\n\n");
	ask("set=1\nfwmark=\npublic_key=" PUBLIC_C "\nremove=true\npublic_key=" PUBLIC_B
	    "\nremove=true\n\nget=1\n\n",
	    "errno=0\n\nprivate_key=" PRIVATE_A "\nlisten_port=4000\nerrno=0\n\n");
}

static void test_private_key_goes_and_comes(void **state)
{
	(void)state;
	ask("set=1\nprivate_key=" ZERO_KEY "\nreplace_peers=true\n\nget=1\n\n",
	    "errno=0\n\nlisten_port=51000\nerrno=0\n\n");
	ask("set=1\nprivate_key=" PRIVATE_A "\n\nget=1\n\n",
	    "errno=0\n\nprivate_key=" PRIVATE_A "\nlisten_port=51000\nerrno=0\n\n");
}

static void test_own_key_and_unknown_peers_are_ignored(void **state)
{
	(void)state;
	ask("set=1\npublic_key=" PUBLIC_A "\nallowed_ip=10.0.0.0/8\n"
	    "public_key=" PUBLIC_C "\nupdate_only=true\nallowed_ip=10.0.0.0/8\n"
	    "public_key=" PUBLIC_C "\nremove=true\n\nget=1\n\n",
	    "errno=0\n\n" FRESH);
	/* Our own key comes and makes itself a peer in one request. */
	ask("set=1\nprivate_key=" ZERO_KEY "\n\nset=1\nprivate_key=" PRIVATE_A
	    "\npublic_key=" PUBLIC_A "\n\nget=1\n\n",
	    "errno=0\n\nerrno=0\n\n" FRESH);
}

static void test_wrong_requests_change_nothing(void **state)
{
	static const char *const lines[] = {
		"nonsense=1\n",
		"nonsense\n",
		"=\n",
		"Listen_port=1\n",
		"listen_port=65536\n",
		"listen_port=-1\n",
		"listen_port=\n",
		"listen_port=1 \n",
		"listen_port=0x10\n",
		"fwmark=4294967296\n",
		"private_key=zz\n",
		"private_key=" PRIVATE_A "00\n",
		"replace_peers=false\n",
		"public_key=00\n",
		"remove=true\n",
		"update_only=true\n",
		"allowed_ip=10.0.0.0/8\n",
		"protocol_version=1\n",
		"endpoint=1.2.3.4:5\n",
		"get=1\n",
		"set=1\n",
		"public_key=" PUBLIC_B "\nlisten_port=5\n",
		"public_key=" PUBLIC_B "\nfwmark=5\n",
		"public_key=" PUBLIC_B "\nremove=false\n",
		"public_key=" PUBLIC_B "\nupdate_only=1\n",
		"public_key=" PUBLIC_B "\nallowed_ip=10.0.0.0/33\n",
		"public_key=" PUBLIC_B "\nallowed_ip=--10.0.0.0/8\n",
		"public_key=" PUBLIC_B "\nallowed_ip=\n",
		"public_key=" PUBLIC_B "\nendpoint=vpn.example.net:51820\n",
		"public_key=" PUBLIC_B "\nendpoint=1.2.3.4\n",
		"public_key=" PUBLIC_B "\nendpoint=1.2.3.4:65536\n",
		"public_key=" PUBLIC_B "\npersistent_keepalive_interval=65536\n",
		"public_key=" PUBLIC_B "\npersistent_keepalive_interval=off\n",
		"public_key=" PUBLIC_B "\npreshared_key=1234\n",
		"public_key=" PUBLIC_B "\nprotocol_version=2\n",
		"public_key=" PUBLIC_B "\nreplace_allowed_ips=yes\n",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(lines); i++) {
		char request[1024];
		bool open;
		char *got;

		/* What stands before and behind a wrong line must not happen either. */
		snprintf(request, sizeof(request),
			 "set=1\n%s%sallowed_ip=1.2.3.0/24\npublic_key=" PUBLIC_C
			 "\nremove=true\n\nget=1\n\n",
			 strncmp(lines[i], "public", 6) ? "fwmark=77\n" : "listen_port=9\nfwmark=78\n",
			 lines[i]);
		got = talk(request, 1000, &open);
		if (strcmp(got, "errno=-22\n\n" FRESH) || !open)
			fail_msg("%s: %s", lines[i], got);
		free(got);
	}
}

static void test_what_is_not_the_protocol_is_closed(void **state)
{
	static const char *const texts[] = { "GET / HTTP/1.1\r\n", "\n", "get=2\n", "set=1 \n" };
	char longer[2000];
	bool open;
	char *got;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(texts); i++) {
		got = talk(texts[i], 100, &open);
		assert_string_equal(got, "errno=-22\n\n");
		assert_false(open);
		free(got);
	}
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	got = talk(longer, 100, &open);
	assert_string_equal(got, "errno=-22\n\n");
	assert_false(open);
	free(got);
	/* Something on a get request is an error, but the next request is served. */
	got = talk("get=1\nfwmark=1\n\nget=1\n\n", 100, &open);
	assert_string_equal(got, "errno=-22\n\n" FRESH);
	free(got);
}

static void test_an_interface_that_has_gone(void **state)
{
	struct mf_uapi *u = mf_uapi_new(net.side[0].engine, "wg1");
	struct mf_span out;

	(void)state;
	assert_true(mf_uapi_input(u, "get=1\n\nset=1\nfwmark=1\n\n", 24, net.now));
	assert_false(mf_uapi_wants(u));
	out = mf_uapi_output(u);
	assert_int_equal(out.n, 22);
	assert_memory_equal(out.p, "errno=-19\n\nerrno=-19\n\n", 22);
	assert_true(mf_uapi_sent(u, 22, net.now));
	assert_true(mf_uapi_wants(u));
	mf_uapi_free(u);
}

static bool ping(unsigned from)
{
	const char *src = from ? "10.9.0.2" : "10.9.0.1", *dst = from ? "10.9.0.1" : "10.9.0.2";
	struct testnet_item *i;
	uint8_t pkt[64];
	bool got;

	/* What is there already: ICMP errors. */
	while ((i = testnet_app_recv(&net.side[!from])))
		free(i);
	testnet_app_send(&net.side[from], pkt, testnet_udp4(pkt, src, dst, 1, 2, "hello", 5), 0, 0,
			 false, 0, 0);
	testnet_settle(&net);
	i = testnet_app_recv(&net.side[!from]);
	got = i != NULL;
	free(i);
	return got;
}

static uint64_t handshake_time(void)
{
	bool open;
	char *got = talk("get=1\n\n", 1000, &open), *at = strstr(got, "last_handshake_time_sec=");
	uint64_t t;

	assert_non_null(at);
	t = strtoull(at + 24, NULL, 10);
	free(got);
	return t;
}

/* Keepalive, allowed IPs, port, mark and a replacement of all peers by the same: one session for all. */
static void test_sessions_survive_changes(void **state)
{
	static const char *const changes[] = {
		"set=1\npublic_key=" PUBLIC_B "\npersistent_keepalive_interval=25\n\n",
		"set=1\npublic_key=" PUBLIC_B
		"\nreplace_allowed_ips=true\nallowed_ip=10.0.0.0/8\n\n",
		"set=1\nfwmark=9\nlisten_port=4001\n\n",
		"set=1\nprivate_key=" PRIVATE_A "\n\n",
		"set=1\nreplace_peers=true\npublic_key=" PUBLIC_B "\nallowed_ip=10.9.0.0/16\n\n",
		"set=1\npublic_key=" PUBLIC_C "\nallowed_ip=10.200.0.0/16\n\n",
		"set=1\npublic_key=" PUBLIC_C "\nremove=true\n\n",
	};
	uint64_t before;

	(void)state;
	assert_true(ping(0));
	before = handshake_time();
	assert_int_not_equal(before, 0);
	for (size_t i = 0; i < MF_ARRAY_LEN(changes); i++) {
		testnet_advance(&net, 2 * MF_SEC);
		ask(changes[i], "errno=0\n\n");
		testnet_settle(&net);
		if (!ping(0) || !ping(1))
			fail_msg("no traffic after: %s", changes[i]);
		assert_int_equal(handshake_time(), before);
	}
	/* And the allowed IPs are in force at once. */
	ask("set=1\npublic_key=" PUBLIC_B "\nreplace_allowed_ips=true\nallowed_ip=10.10.0.0/16\n\n",
	    "errno=0\n\n");
	assert_false(ping(0));
	assert_false(ping(1));
	ask("set=1\npublic_key=" PUBLIC_B "\nremove=true\n\n", "errno=0\n\n");
	assert_false(ping(0));
}

/* ---- Against a model ---------------------------------------------------------------------------- */

enum { PEERS = 4, PREFIXES = 6 };

struct model {
	bool there[PEERS];
	unsigned keepalive[PEERS];
	int owner[PREFIXES]; /* -1: nobody */
};

static const char *const prefix[PREFIXES] = { "10.0.0.0/8", "10.1.0.0/16", "10.1.2.3/32",
					      "fd00::/8",   "fd01::/16",   "0.0.0.0/0" };

static void peer_key(unsigned i, char out[65])
{
	memset(out, 'a', 64);
	out[1] = (char)('0' + i);
	out[64] = '\0';
}

static void model_remove(struct model *m, unsigned i)
{
	m->there[i] = false;
	m->keepalive[i] = 0;
	for (int k = 0; k < PREFIXES; k++)
		if (m->owner[k] == (int)i)
			m->owner[k] = -1;
}

/* One section for one peer, as text and in the model. */
static void random_section(struct mf_prng *g, struct model *m, struct mf_text *text)
{
	unsigned i = (unsigned)mf_prng_below(g, PEERS);
	bool only = mf_prng_below(g, 4) == 0, remove = mf_prng_below(g, 6) == 0;
	bool acts = !only || m->there[i];
	char key[65];

	peer_key(i, key);
	mf_text_printf(text, "public_key=%s\n", key);
	if (only)
		mf_text_printf(text, "update_only=true\n");
	if (remove) {
		mf_text_printf(text, "remove=true\n");
		model_remove(m, i);
		return;
	}
	m->there[i] |= acts;
	if (mf_prng_below(g, 3) == 0) {
		unsigned k = (unsigned)mf_prng_below(g, 100);

		mf_text_printf(text, "persistent_keepalive_interval=%u\n", k);
		if (acts)
			m->keepalive[i] = k;
	}
	if (mf_prng_below(g, 4) == 0) {
		mf_text_printf(text, "replace_allowed_ips=true\n");
		for (int k = 0; acts && k < PREFIXES; k++)
			if (m->owner[k] == (int)i)
				m->owner[k] = -1;
	}
	for (uint64_t n = mf_prng_below(g, 4); n; n--) {
		unsigned k = (unsigned)mf_prng_below(g, PREFIXES);
		bool minus = mf_prng_below(g, 3) == 0;

		mf_text_printf(text, "allowed_ip=%s%s\n", minus ? "-" : "", prefix[k]);
		if (acts && minus && m->owner[k] == (int)i)
			m->owner[k] = -1;
		else if (acts && !minus)
			m->owner[k] = (int)i;
	}
}

static void compare(const struct model *m, uint64_t round)
{
	bool open;
	char *got = talk("get=1\n\n", 1000, &open);

	for (unsigned i = 0; i < PEERS; i++) {
		char key[65], line[96], *at, *end;

		peer_key(i, key);
		snprintf(line, sizeof(line), "public_key=%s\n", key);
		at = strstr(got, line);
		if ((at != NULL) != m->there[i])
			fail_msg("round %lu: peer %u is %s there", (unsigned long)round, i,
				 at ? "" : "not");
		if (!at)
			continue;
		end = strstr(at + 1, "public_key=");
		if (!end)
			end = at + strlen(at);
		snprintf(line, sizeof(line), "keepalive_interval=%u\n", m->keepalive[i]);
		assert_true(strstr(at, line) && strstr(at, line) < end);
		for (int k = 0; k < PREFIXES; k++) {
			char *found;

			snprintf(line, sizeof(line), "allowed_ip=%s\n", prefix[k]);
			found = strstr(at, line);
			if ((found && found < end) != (m->owner[k] == (int)i))
				fail_msg("round %lu: peer %u, %s", (unsigned long)round, i,
					 prefix[k]);
		}
	}
	free(got);
}

static void test_random_requests(void **state)
{
	struct mf_prng g = unit_prng("uapi");
	struct model m = { .owner = { -1, -1, -1, -1, -1, -1 } };

	(void)state;
	ask("set=1\nreplace_peers=true\n\n", "errno=0\n\n");
	for (uint64_t round = 0; round < 2000; round++) {
		struct mf_text text = { 0 };

		mf_text_printf(&text, "set=1\n");
		for (uint64_t n = mf_prng_below(&g, 4); n; n--)
			random_section(&g, &m, &text);
		mf_text_printf(&text, "\n");
		ask(text.s, "errno=0\n\n");
		compare(&m, round);
		testnet_settle(&net);
		mf_text_free(&text);
	}
}

#define NET(test) cmocka_unit_test_setup_teardown(test, open_net, close_net)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET(test_get),
		NET(test_chunks_make_no_difference),
		NET(test_set_everything),
		NET(test_private_key_goes_and_comes),
		NET(test_own_key_and_unknown_peers_are_ignored),
		NET(test_wrong_requests_change_nothing),
		NET(test_what_is_not_the_protocol_is_closed),
		NET(test_an_interface_that_has_gone),
		NET(test_sessions_survive_changes),
		NET(test_random_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
