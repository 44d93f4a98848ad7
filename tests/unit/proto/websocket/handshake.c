/* SPDX-License-Identifier: Apache-2.0
 *
 * The handshake: the example of RFC 6455 1.3 byte by byte, early data in its two forms, every
 * answer that is to be refused, and what the answer says of the clock.
 */
#include "proto/websocket/websocket.h"
#include "unit.h"
#include "wsfar.h"

/* RFC 6455 1.3: this nonce is "dGhlIHNhbXBsZSBub25jZQ==". */
static void nonce(void *ctx, void *out, size_t n)
{
	(void)ctx;
	assert_int_equal(n, MF_WS_KEY_LEN);
	memcpy(out, "the sample nonce", n);
}

static uint64_t wall(void *ctx)
{
	(void)ctx;
	return 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT (RFC 9110 5.6.7) */
}

static const struct mf_codec_env env = { .rng = { .fill = nonce }, .wall = wall };

#define ACCEPT  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define SWITCH  "HTTP/1.1 101 Switching Protocols\r\n"
#define CONNECT "Connection: Upgrade\r\n"

static size_t request(struct mf_ws *w, const struct mf_ws_config *cfg, const char *early, char *out,
		      size_t room)
{
	size_t taken, n;

	mf_ws_init(w, cfg, &env);
	n = mf_ws_request(w, mf_span(early, strlen(early)), (uint8_t *)out, room - 1, &taken);
	out[n] = 0;
	if (n)
		assert_int_equal(taken, mf_min(strlen(early), cfg->early_data));
	return n;
}

static void plain(void **state)
{
	static const struct mf_ws_config cfg = { .host = "server.example.com", .path = "/chat" };
	char out[512];
	struct mf_ws w;

	(void)state;
	request(&w, &cfg, "not early", out, sizeof(out));
	assert_string_equal(out, "GET /chat HTTP/1.1\r\n"
				 "Host: server.example.com\r\n"
				 "Upgrade: websocket\r\n"
				 "Connection: Upgrade\r\n"
				 "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
				 "Sec-WebSocket-Version: 13\r\n\r\n");
}

static void more_fields(void **state)
{
	static struct mf_ws_header more[] = { { "User-Agent", "test/1" }, { "X-Empty", "" } };
	static const struct mf_ws_config cfg = {
		.host = "h:8443",
		.path = "/a b/\xc3\xa9?x=%20\r\n",
		.headers = more,
		.n_headers = 2,
	};
	char out[512];
	struct mf_ws w;

	(void)state;
	request(&w, &cfg, "", out, sizeof(out));
	assert_non_null(strstr(out, "GET /a%20b/%C3%A9?x=%20%0D%0A HTTP/1.1\r\nHost: h:8443\r\n"));
	assert_non_null(strstr(out, "\r\nUser-Agent: test/1\r\nX-Empty: \r\n\r\n"));
}

/* base64url without padding of the first six bytes, in a field or behind the path. */
static void early(void **state)
{
	struct mf_ws_config cfg = {
		.host = "h",
		.path = "/x",
		.early_data = 6,
		.early_header = "Sec-WebSocket-Protocol",
	};
	char out[512];
	struct mf_ws w;

	(void)state;
	request(&w, &cfg, "foob\xff\xfe more", out, sizeof(out));
	assert_non_null(strstr(out, "GET /x HTTP/1.1\r\n"));
	assert_non_null(strstr(out, "\r\nSec-WebSocket-Protocol: Zm9vYv_-\r\n\r\n"));
	request(&w, &cfg, "f", out, sizeof(out));
	assert_non_null(strstr(out, "\r\nSec-WebSocket-Protocol: Zg\r\n\r\n"));
	request(&w, &cfg, "", out, sizeof(out));
	assert_null(strstr(out, "Protocol"));
	cfg.early_header = "";
	request(&w, &cfg, "foobar more", out, sizeof(out));
	assert_non_null(strstr(out, "GET /xZm9vYmFy HTTP/1.1\r\n"));
	assert_null(strstr(out, "Protocol"));
}

/* The most early data that there is fits; in a smaller room nothing is written. */
static void rooms(void **state)
{
	struct mf_ws_config cfg = {
		.host = "h",
		.path = "/",
		.early_data = UINT32_MAX,
		.early_header = "Sec-WebSocket-Protocol",
	};
	static uint8_t payload[2 * MF_WS_EARLY_MAX], out[MF_WS_REQUEST_MAX];
	size_t taken, n;
	struct mf_ws w;

	(void)state;
	mf_ws_init(&w, &cfg, &env);
	n = mf_ws_request(&w, mf_span(payload, sizeof(payload)), out, sizeof(out), &taken);
	assert_int_equal(taken, MF_WS_EARLY_MAX);
	assert_true(n > MF_WS_EARLY_MAX * 4 / 3 && n < sizeof(out));
	for (size_t room = 0; room < n; room++) {
		assert_int_equal(
			mf_ws_request(&w, mf_span(payload, sizeof(payload)), out, room, &taken), 0);
		assert_int_equal(taken, 0);
	}
	assert_int_equal(mf_ws_request(&w, mf_span(payload, sizeof(payload)), out, n, &taken), n);
}

static void line_break(void *arg)
{
	char out[512];
	struct mf_ws w;

	request(&w, arg, "", out, sizeof(out));
}

static void no_line_breaks(void **state)
{
	struct mf_ws_header name = { "A\n", "b" }, value = { "A", "b\r\nC: d" };
	struct mf_ws_config bad[] = {
		{ .host = "h\r\nX: y", .path = "/" },
		{ .host = "h", .path = "/", .headers = &name, .n_headers = 1 },
		{ .host = "h", .path = "/", .headers = &value, .n_headers = 1 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++)
		assert_true(unit_aborts(line_break, &bad[i]));
}

/* The server's answer, with 2 bytes of a frame behind it; in one piece, and byte by byte. */
static mf_err answer(struct mf_ws *w, const struct mf_ws_config *cfg, const char *early,
		     const char *text, bool bytewise)
{
	char bytes[1024], out[512];
	struct mf_codec_in in = { .p = (uint8_t *)bytes };
	size_t n = (size_t)snprintf(bytes, sizeof(bytes), "%s\x89%c", text, 0);
	mf_err err;

	assert_true(n < sizeof(bytes));
	request(w, cfg, early, out, sizeof(out));
	do {
		in.n = bytewise ? in.n + 1 : n;
		err = mf_ws_answer(w, &in);
	} while (err == MF_E_SHORT && in.n < n);
	assert_int_equal(w->upgraded, err == MF_OK);
	if (err == MF_OK)
		assert_ptr_equal(in.p, bytes + strlen(text));
	if (err == MF_OK && !bytewise)
		assert_int_equal(in.n, 2);
	return err;
}

static const struct mf_ws_config simple = { .host = "h", .path = "/" };

static void accepted(void **state)
{
	static const char *const good[] = {
		SWITCH UPGRADE CONNECT ACCEPT "\r\n",
		"HTTP/1.1 101\r\nupgrade: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n" ACCEPT
		"\r\n",
		SWITCH "Server: nginx\r\n" CONNECT ACCEPT UPGRADE "X: y\r\n\r\n",
	};
	struct mf_ws w;

	(void)state;
	for (size_t i = 0; i < 2 * MF_ARRAY_LEN(good); i++) {
		assert_int_equal(answer(&w, &simple, "", good[i / 2], i % 2), MF_OK);
		assert_int_equal(w.status, 101);
		assert_false(w.skew_known);
	}
}

static void refused(void **state)
{
	static const char *const bad[] = {
		"SSH-2.0-OpenSSH_9.2p1 Debian\r\n",
		SWITCH CONNECT ACCEPT "\r\n",
		SWITCH "Upgrade: h2c\r\n" CONNECT ACCEPT "\r\n",
		SWITCH UPGRADE ACCEPT "\r\n",
		SWITCH UPGRADE "Connection: close\r\n" ACCEPT "\r\n",
		SWITCH UPGRADE CONNECT "\r\n",
		SWITCH UPGRADE CONNECT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n\r\n",
		SWITCH UPGRADE CONNECT "Sec-WebSocket-Accept:\r\n\r\n",
		SWITCH UPGRADE CONNECT ACCEPT
		"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		SWITCH UPGRADE CONNECT ACCEPT "Sec-WebSocket-Protocol: chat\r\n\r\n",
	};
	struct mf_ws w;

	(void)state;
	for (size_t i = 0; i < 2 * MF_ARRAY_LEN(bad); i++) {
		assert_int_equal(answer(&w, &simple, "", bad[i / 2], i % 2), MF_E_MALFORMED);
		assert_int_equal(w.fault, MF_PROXY_TRANSPORT);
		assert_non_null(w.detail);
	}
}

static void other_status(void **state)
{
	struct mf_ws w;

	(void)state;
	assert_int_equal(answer(&w, &simple, "",
				"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false),
			 MF_E_MALFORMED);
	assert_int_equal(w.fault, MF_PROXY_HTTP_STATUS);
	assert_int_equal(w.status, 404);
}

static void too_long(void **state)
{
	static char text[2 * MF_HTTP_HEAD_MAX];
	struct mf_codec_in in = { .p = (uint8_t *)text, .n = sizeof(text) };
	char out[512];
	struct mf_ws w;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, SWITCH "X: ", sizeof(SWITCH "X: ") - 1);
	request(&w, &simple, "", out, sizeof(out));
	assert_int_equal(mf_ws_answer(&w, &in), MF_E_MALFORMED);
	assert_int_equal(w.fault, MF_PROXY_TRANSPORT);
}

/* A subprotocol only if we have named one: as early data, or in a field of the configuration. */
static void subprotocol(void **state)
{
	static const char text[] = SWITCH UPGRADE CONNECT ACCEPT
		"Sec-WebSocket-Protocol: Zm9v\r\n\r\n";
	struct mf_ws_header own = { "sec-websocket-protocol", "Zm9v" };
	struct mf_ws_config cfg = {
		.host = "h",
		.path = "/",
		.early_data = 100,
		.early_header = "Sec-WebSocket-Protocol",
	};
	struct mf_ws w;

	(void)state;
	assert_int_equal(answer(&w, &cfg, "foo", text, false), MF_OK);
	assert_int_equal(answer(&w, &cfg, "", text, false), MF_E_MALFORMED);
	cfg.early_header = "";
	assert_int_equal(answer(&w, &cfg, "foo", text, false), MF_E_MALFORMED);
	cfg.early_header = "X-Early";
	assert_int_equal(answer(&w, &cfg, "foo", text, false), MF_E_MALFORMED);
	cfg.headers = &own;
	cfg.n_headers = 1;
	assert_int_equal(answer(&w, &cfg, "", text, false), MF_OK);
}

static void skew(void **state)
{
	static const struct {
		const char *date;
		int32_t skew;
		bool known;
	} cases[] = {
		{ "Sun, 06 Nov 1994 08:49:37 GMT", 0, true },
		{ "Sun, 06 Nov 1994 08:52:00 GMT", 143, true },
		{ "Sun, 06 Nov 1994 07:49:37 GMT", -3600, true },
		{ "yesterday", 0, false },
		{ "Fri, 31 Dec 9999 23:59:59 GMT", 0, false },
	};
	struct mf_ws w;

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char text[256];

		(void)snprintf(text, sizeof(text), "HTTP/1.1 400 Bad Request\r\nDate: %s\r\n\r\n",
			       cases[i].date);
		assert_int_equal(answer(&w, &simple, "", text, false), MF_E_MALFORMED);
		assert_int_equal(w.skew_known, cases[i].known);
		assert_int_equal(w.skew, cases[i].skew);
	}
}

/* With a server that computes the answer by other code, and a key of its own each time. */
static void with_wslay(void **state)
{
	struct mf_prng g = unit_prng("handshake");
	const struct mf_codec_env seeded = { .rng = { .fill = mf_prng_fill, .ctx = &g },
					     .wall = wall };

	(void)state;
	for (int i = 0; i < 50; i++) {
		uint8_t out[512];
		struct mf_codec_in in;
		struct wsfar far;
		struct mf_ws w;
		size_t n, taken;

		wsfar_init(&far, &g, false);
		mf_ws_init(&w, &simple, &seeded);
		n = mf_ws_request(&w, mf_span(NULL, 0), out, sizeof(out), &taken);
		assert_true(n > 0 && taken == 0);
		wsfar_input(&far, out, n);
		in = (struct mf_codec_in){ .p = far.out.p, .n = far.out.n };
		assert_int_equal(mf_ws_answer(&w, &in), MF_OK);
		assert_int_equal(in.n, 0);
		wsfar_fini(&far);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain),          cmocka_unit_test(more_fields),
		cmocka_unit_test(early),          cmocka_unit_test(rooms),
		cmocka_unit_test(no_line_breaks), cmocka_unit_test(accepted),
		cmocka_unit_test(refused),        cmocka_unit_test(other_status),
		cmocka_unit_test(too_long),       cmocka_unit_test(subprotocol),
		cmocka_unit_test(skew),           cmocka_unit_test(with_wslay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
