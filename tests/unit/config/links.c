/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/links.c and the readers of links below it, beyond the golden files: known answers,
 * names, limits, secrets.
 */
#include "config_test.h"

#include "config/base64.h"
#include "config/import.h"
#include "config/uri.h"

#define UUID "b831381d-6324-4d53-ad4f-8cda48b30811"

/* The interfaces that a list becomes. */
static struct mf_config *taken(const char *text, struct mf_import *im)
{
	struct mf_text whole = { 0 };
	struct mf_config *cfg;

	if (mf_import_links(text, strlen(text), im)) {
		mf_import_notes_print(im, "t", &whole);
		fail_msg("nothing is taken of %s\n%s", text, whole.s ? whole.s : "");
	}
	mf_text_printf(&whole, "version: 1\ntunnel: {}\napp_routing: {}\n%s", im->profile.s);
	cfg = parse_ok(whole.s, 0);
	mf_text_free(&whole);
	return cfg;
}

static char *refused(const char *text)
{
	struct mf_text said = { 0 };
	struct mf_import im;

	assert_int_equal(mf_import_links(text, strlen(text), &im), MF_E_NOT_FOUND);
	assert_null(im.profile.s);
	assert_int_equal(im.n_taken, 0);
	mf_import_notes_print(&im, "t", &said);
	mf_import_free(&im);
	return said.s;
}

static void holds(char *said, const char *link, const char *sentence)
{
	if (sentence ? !said || !strstr(said, sentence) : said != NULL)
		fail_msg("%s: %s", link, said ? said : "(nothing)");
	free(said);
}

/* It is taken, and this is said of it; NULL: nothing is. */
static void takes(const char *link, const char *sentence)
{
	struct mf_text said = { 0 };
	struct mf_import im;

	mf_config_free(taken(link, &im));
	mf_import_notes_print(&im, "t", &said);
	mf_import_free(&im);
	holds(said.s, link, sentence);
}

static void refuses(const char *link, const char *sentence)
{
	holds(refused(link), link, sentence);
}

static void same(const char *a, const char *b)
{
	if (!b)
		assert_null(a);
	else
		assert_string_equal(a ? a : "(none)", b);
}

/* ---- base64 ----------------------------------------------------------------------------------------- */

/* RFC 4648, section 10, and what people make of it. */
static void base64(void **state)
{
	static const struct {
		const char *text, *bytes;
	} cases[] = {
		{ "", "" },
		{ "Zg==", "f" },
		{ "Zm8=", "fo" },
		{ "Zm9v", "foo" },
		{ "Zm9vYg==", "foob" },
		{ "Zm9vYmE=", "fooba" },
		{ "Zm9vYmFy", "foobar" },
		{ "Zm9vYg", "foob" },
		{ " Zm 9v\r\nYmE\t", "fooba" },
		{ "-_-_", "\xfb\xff\xbf" },
		{ "+/+/", "\xfb\xff\xbf" },
		{ "Zm9v=", "foo" },
		{ "Z", NULL },
		{ "Zm9vY", NULL },
		{ "Zm9v!", NULL },
		{ "Zg==Zg==", NULL },
	};
	struct mf_config_arena *arena = mf_config_arena_new();

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		size_t n = 99;

		same(mf_base64_read(arena, cases[i].text, strlen(cases[i].text), &n), cases[i].bytes);
		if (cases[i].bytes)
			assert_int_equal(n, strlen(cases[i].bytes));
	}
	mf_config_arena_free(arena);
}

/* Random bytes come back, whatever the alphabet and the padding. */
static void base64_against_model(void **state)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	struct mf_prng g = unit_prng("base64");
	struct mf_config_arena *arena = mf_config_arena_new();

	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint8_t bytes[100];
		size_t n = mf_prng_below(&g, sizeof(bytes)), len, out = 0;
		bool url = mf_prng_below(&g, 2), pad = mf_prng_below(&g, 2);
		char text[200], *read;

		mf_prng_fill(&g, bytes, sizeof(bytes));
		for (size_t bit = 0; bit < 8 * n; bit += 6) {
			unsigned v = 0;

			for (size_t b = bit; b < bit + 6; b++)
				v = v << 1 | (b < 8 * n ? bytes[b / 8] >> (7 - b % 8) & 1 : 0);
			text[out++] = url && v == 62 ? '-' : url && v == 63 ? '_' : digits[v];
		}
		while (pad && out % 4)
			text[out++] = '=';
		read = mf_base64_read(arena, text, out, &len);
		assert_non_null(read);
		assert_int_equal(len, n);
		assert_memory_equal(read, bytes, n);
	}
	mf_config_arena_free(arena);
}

/* ---- URIs ------------------------------------------------------------------------------------------- */

static void uris(void **state)
{
	static const struct {
		const char *text, *user, *host, *path, *query, *tag;
		uint16_t port;
	} cases[] = {
		{ "host", NULL, "host", "", "", "", 0 },
		{ "host:1", NULL, "host", "", "", "", 1 },
		{ "u@host:65535/?a=b#t", "u", "host", "", "a=b", "t", 65535 },
		{ "a@b/c@[::1]:2/p/q?x#y?z#", "a@b/c", "::1", "p/q", "x", "y?z#", 2 },
		{ "u@[::1]", "u", "::1", "", "", "", 0 },
		{ "@host:1#a@b", "", "host", "", "", "a@b", 1 },
		{ "host:", NULL, "host", "", "", "", 0 },
		{ "host:0", NULL, NULL, NULL, NULL, NULL, 0 },
		{ "host:65536", NULL, NULL, NULL, NULL, NULL, 0 },
		{ "host:1x", NULL, NULL, NULL, NULL, NULL, 0 },
		{ ":1", NULL, NULL, NULL, NULL, NULL, 0 },
		{ "[::1", NULL, NULL, NULL, NULL, NULL, 0 },
		{ "[]:1", NULL, NULL, NULL, NULL, NULL, 0 },
		{ "[::1]1", NULL, NULL, NULL, NULL, NULL, 0 },
		{ "", NULL, NULL, NULL, NULL, NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_uri u;
		char text[100];

		strcpy(text, cases[i].text);
		assert_int_equal(mf_uri_cut(text, &u) == NULL, cases[i].host != NULL);
		if (!cases[i].host)
			continue;
		same(u.user, cases[i].user);
		same(u.host, cases[i].host);
		same(u.path, cases[i].path);
		same(u.query, cases[i].query);
		same(u.tag, cases[i].tag);
		assert_int_equal(u.port, cases[i].port);
	}
}

static void parameters(void **state)
{
	struct mf_config_arena *arena = mf_config_arena_new();
	const struct mf_uri u = {
		.query = "a=1&b&c=&D=%41%3d+%zz%4&a=2&bad=%ff&nul=%00&=x&last=%e2%82%ac"
	};

	(void)state;
	same(mf_uri_param(&u, arena, "a"), "1");
	same(mf_uri_param(&u, arena, "b"), NULL);
	same(mf_uri_param(&u, arena, "c"), NULL);
	same(mf_uri_param(&u, arena, "d"), "A=+%zz%4");
	same(mf_uri_param(&u, arena, "bad"), NULL);
	same(mf_uri_param(&u, arena, "nul"), NULL);
	same(mf_uri_param(&u, arena, "las"), NULL);
	same(mf_uri_param(&u, arena, "last"), "\xe2\x82\xac");
	same(mf_uri_decode(arena, "%0a"), NULL);
	same(mf_uri_decode(arena, "%c0%80"), NULL);
	same(mf_uri_decode(arena, "%ed%a0%80"), NULL);
	same(mf_uri_decode(arena, ""), "");
	mf_config_arena_free(arena);
}

/* ---- Links ------------------------------------------------------------------------------------------ */

static void shadowsocks(void **state)
{
	struct mf_import im;
	struct mf_config *cfg = taken(
		"ss://"
		"2022-blake3-aes-256-gcm:YctPZ6U7xPPcU%2Bgp3u%2B0tx%2FtRizJN9K8y%2BuKlW2qjlI%3D"
		"@192.168.100.1:8888#Example3",
		&im);
	const struct mf_config_interface *i = &cfg->interfaces[0];

	(void)state;
	assert_int_equal(im.n_taken, 1);
	assert_int_equal(i->type, MF_CONFIG_SHADOWSOCKS);
	assert_string_equal(i->name, "Example3");
	assert_string_equal(i->method, "2022-blake3-aes-256-gcm");
	assert_string_equal(i->password, "YctPZ6U7xPPcU+gp3u+0tx/tRizJN9K8y+uKlW2qjlI=");
	assert_string_equal(i->server.host, "192.168.100.1");
	assert_int_equal(i->server.port, 8888);
	assert_false(i->tls.enabled || i->websocket.enabled || i->obfs.enabled);
	mf_config_free(cfg);
	mf_import_free(&im);
	assert_null(im.profile.s);
}

static void vless(void **state)
{
	struct mf_import im;
	struct mf_config *cfg =
		taken("vless://" UUID "@[2001:db8::1]:443?encryption=none&security=tls"
		      "&sni=example.com&alpn=h2%2Chttp%2F1.1&type=ws&host=example.com"
		      "&path=%2Fvl%3Fed%3D2560#n%20m",
		      &im);
	const struct mf_config_interface *i = &cfg->interfaces[0];

	(void)state;
	assert_int_equal(i->type, MF_CONFIG_VLESS);
	assert_string_equal(i->uuid, UUID);
	assert_true(i->tls.enabled && i->websocket.enabled);
	assert_string_equal(i->tls.server_name, "example.com");
	assert_int_equal(i->tls.n_alpn, 1);
	assert_string_equal(i->tls.alpn[0], "http/1.1");
	assert_false(i->tls.insecure);
	assert_string_equal(i->websocket.path, "/vl");
	assert_string_equal(i->websocket.host, "example.com");
	assert_int_equal(i->websocket.early_data, 2560);
	assert_string_equal(i->websocket.early_data_header, "Sec-WebSocket-Protocol");
	assert_string_equal(i->server.host, "2001:db8::1");
	mf_config_free(cfg);
	mf_import_free(&im);
}

/* Where `ed` may stand in a path. */
static void early_data(void **state)
{
	static const struct {
		const char *path, *left;
		uint32_t early;
	} cases[] = {
		{ "/x", "/x", 0 },
		{ "/x?ed=10", "/x", 10 },
		{ "/x?ed=10&a=b", "/x?a=b", 10 },
		{ "/x?a=b&ed=10", "/x?a=b", 10 },
		{ "/x?a=b&ed=10&c", "/x?a=b&c", 10 },
		{ "/x?red=10", "/x?red=10", 0 },
		{ "/x?ed=", "/x?ed=", 0 },
		{ "/ed=10", "/ed=10", 0 },
		{ "/x?ed=0", "/x", 0 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_text link = { 0 };
		struct mf_config *cfg;
		struct mf_import im;

		mf_text_printf(&link, "trojan://p@a.example?type=ws&path=");
		for (const char *p = cases[i].path; *p; p++)
			mf_text_printf(&link, "%%%02x", (unsigned char)*p);
		cfg = taken(link.s, &im);
		assert_string_equal(cfg->interfaces[0].websocket.path, cases[i].left);
		assert_int_equal(cfg->interfaces[0].websocket.early_data, cases[i].early);
		mf_config_free(cfg);
		mf_import_free(&im);
		mf_text_free(&link);
	}
}

static void wireguard(void **state)
{
	static const char with[] = "wg://" KEY_A "@wg.example:1?publickey=" KEY_B
				   "&address=10.0.0.2%2C%20fd00::2/64"
				   "&allowedips=10.0.0.7/8%2C%20fd00::/8,192.0.2.1&keepalive=25#w";
	struct mf_import im;
	struct mf_config *cfg = taken(with, &im);
	const struct mf_config_peer *p = &cfg->interfaces[0].peers[0];
	char text[MF_PREFIX_STRLEN];

	(void)state;
	assert_int_equal(im.n_notes, 0);
	assert_int_equal(cfg->interfaces[0].addresses.n, 2);
	assert_int_equal(p->persistent_keepalive, 25);
	assert_int_equal(p->allowed_ips.n, 3);
	assert_string_equal(mf_prefix_format(&p->allowed_ips.v[0].prefix, text), "10.0.0.0/8");
	assert_string_equal(mf_prefix_format(&p->allowed_ips.v[1].prefix, text), "fd00::/8");
	assert_string_equal(mf_prefix_format(&p->allowed_ips.v[2].prefix, text), "192.0.2.1/32");
	mf_config_free(cfg);
	mf_import_free(&im);
}

static void wireguard_left_out(void **state)
{
	static const char start[] = "wg://" KEY_A "@wg.example:1?publickey=" KEY_B
				    "&address=10.0.0.2&";
	static const struct {
		const char *param, *note, *refusal;
	} cases[] = {
		{ "keepalive=99999#w", "`keepalive` is not taken over", NULL },
		{ "persistentkeepalive=soon#w", "`keepalive` is not taken over", NULL },
		{ "mtu=much#w", "`mtu` is not taken over", NULL },
		{ "dns=9.9.9.9#w", "`dns` is not taken over", NULL },
		{ "listenport=51820#w", "`listenport` is not taken over", NULL },
		{ "listenport=0&mtu=0#w", NULL, NULL },
		{ "allowedips=10.0.0.0/33#w", NULL, "`allowedips`: \"10.0.0.0/33\"" },
		{ "allowed_ips=0.0.0.0/0%2Call#w", NULL, "`allowedips`: \"all\"" },
		{ "allowedips=%2C#w", NULL, "`allowedips` has no prefix" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_text link = { 0 };

		mf_text_printf(&link, "%s%s", start, cases[i].param);
		if (cases[i].refusal)
			refuses(link.s, cases[i].refusal);
		else
			takes(link.s, cases[i].note);
		mf_text_free(&link);
	}
}

static void vmess_alter_id(void **state)
{
	static const char link[] = "vmess://" UUID "@vm.example:443?";
	static const char *const none[] = { "alterId=0#v", "aid=0#v", "alterId=#v" };
	static const char *const others[] = { "alterId=64", "aid=64", "alterid=1", "alterId=0&aid=2" };
	char text[200];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(none); i++) {
		snprintf(text, sizeof(text), "%s%s", link, none[i]);
		takes(text, NULL);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(others); i++) {
		snprintf(text, sizeof(text), "%s%s", link, others[i]);
		refuses(text, "alterId is not 0");
	}
}

/* In JSON, too, IPv6 may stand in brackets. */
static void brackets(void **state)
{
	static const char *const links[] = {
		/* {"ps":"v","add":"[2001:db8::1]","port":443,"id":"x"} */
		"vmess://eyJwcyI6InYiLCJhZGQiOiJbMjAwMTpkYjg6OjFdIiwicG9ydCI6NDQzLCJpZCI6IngifQ==",
		"{\"servers\":[{\"server\":\"[2001:db8::1]\",\"server_port\":443,\"password\":"
		"\"p\","
		"\"method\":\"aes-128-gcm\"}]}",
		"trojan://p@[2001:db8::1]:443",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(links); i++) {
		struct mf_import im;
		struct mf_config *cfg = taken(links[i], &im);

		assert_true(cfg->interfaces[0].server.is_addr);
		assert_string_equal(cfg->interfaces[0].server.host, "2001:db8::1");
		assert_int_equal(cfg->interfaces[0].server.port, 443);
		mf_config_free(cfg);
		mf_import_free(&im);
	}
	refuses("{\"servers\":[{\"server\":\"[a.example]\",\"server_port\":443,\"password\":\"p\","
		"\"method\":\"aes-128-gcm\"}]}",
		"what is in the brackets is not an IPv6 address");
}

static void names_in_scripts(void **state)
{
	static const char *const links[] = {
		"vless://" UUID "@a.example:1?security=tls&type=ws&sni=b%C3%BCcher.example"
		"&host=b%C3%BCcher.example#v",
		"vmess://" UUID "@a.example:1?security=tls&type=ws&sni=B%C3%9CCHER.example"
		"&host=b\xc3\xbc"
		"cher.example#v",
		"trojan://p@a.example?type=ws&peer=b%C3%BCcher.example&host=b%C3%BCcher.example",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(links); i++) {
		struct mf_import im;
		struct mf_config *cfg = taken(links[i], &im);

		assert_string_equal(cfg->interfaces[0].tls.server_name, "xn--bcher-kva.example");
		assert_string_equal(cfg->interfaces[0].websocket.host, "xn--bcher-kva.example");
		mf_config_free(cfg);
		mf_import_free(&im);
	}
	refuses("trojan://p@a.example?sni=b%C3%BCcher%20.example", "`server_name`");
	takes("trojan://p@a.example?sni=a.example&host=b%C3%BCcher%20.example#t", NULL);
}

/* The reasons are the true ones. */
static void reasons(void **state)
{
	(void)state;
	refuses("trojan://p%0aw@a.example:443", "its password has a character");
	refuses("trojan://a.example:443", "it has no password");
	refuses("trojan://@a.example:443", "it has no password");
	refuses("vless://p%ffw@a.example:443", "its uuid has a character");
	refuses("vless://@a.example:443", "it has no uuid");
	takes("trojan://p@a.example#a%0Ab",
	      "its name cannot be used, and it is called `a.example`");
	takes("ss://YWVzLTEyOC1nY206cEBhLmV4YW1wbGU6MQ#%ff", "its name cannot be used");
	takes("{\"servers\":[{\"server\":\"a.example\",\"server_port\":1,\"password\":\"p\","
	      "\"method\":\"aes-128-gcm\",\"remarks\":\"a\\u0007\"}]}",
	      "its name cannot be used");
	takes("trojan://p@a.example#", "it has no name");
	/* {"ps":"a\n","add":"a.example","port":1,"id":"x"} */
	takes("vmess://eyJwcyI6ImFcbiIsImFkZCI6ImEuZXhhbXBsZSIsInBvcnQiOjEsImlkIjoieCJ9",
	      "its name cannot be used");
}

static void ends_of_lines(void **state)
{
	static const char *const ends[] = { "\n", "\r\n", "\r" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(ends); i++) {
		struct mf_text list = { 0 }, said = { 0 };
		struct mf_config *cfg;
		struct mf_import im;

		mf_text_printf(&list,
			       "trojan://p@a.example#one%s%s# two%strojan://p@a.example#two%snone",
			       ends[i], ends[i], ends[i], ends[i]);
		cfg = taken(list.s, &im);
		assert_int_equal(cfg->n_interfaces, 2);
		assert_string_equal(cfg->interfaces[1].name, "two");
		mf_import_notes_print(&im, "t", &said);
		assert_string_equal(said.s, "t:5: not taken: it is no link\n");
		mf_config_free(cfg);
		mf_import_free(&im);
		mf_text_free(&said);
		mf_text_free(&list);
	}
}

/* Who reads the notes knows what of a link has no effect. */
static void left_out(void **state)
{
	static const char ss[] = "ss://aes-128-gcm:p@ss.example:1?";
	static const struct {
		const char *params, *note;
	} cases[] = {
		{ "uot=1#s", "`uot` is not taken over" },
		{ "uot=0&udp=1#s", NULL },
		{ "udp=0#s", "`udp` is not taken over" },
		{ "plugin=obfs-local%3Bobfs%3Dtls%3Bobfs-host%3Da.example%3Bobfs-uri%3D/#s", NULL },
		{ "plugin=obfs-local%3Bobfs%3Dtls%3B#s", NULL },
		{ "plugin=obfs-local%3Bobfs%3Dtls%3Bfast-open#s",
		  "option \"fast-open\" is not taken over" },
		{ "plugin=obfs-local%3Bobfs%3Dtls%3Bx%3D%5C%3Bobfs%3By%3D1#s",
		  "options \"x\" and 1 more are not taken over" },
		{ "plugin=v2ray-plugin%3Bmux%3D0%3Btls%3BcertRaw%3DMIIB#s",
		  "`certRaw` is not taken" },
		{ "plugin=v2ray-plugin%3Bmux%3D0%3Bloglevel%3Dnone#s",
		  "\"loglevel\" is not taken" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		char link[200];

		snprintf(link, sizeof(link), "%s%s", ss, cases[i].params);
		takes(link, cases[i].note);
	}
	takes("vless://" UUID "@a.example:1?security=tls&pcs=00#v", "`pcs` is not taken over");
	takes("vmess://" UUID "@a.example:1?security=tls&ech=x#v", "`ech` is not taken over");
	takes("trojan://p@a.example?pcs=&ech=#t", NULL);
}

/* What cannot be read is not left out: without it the rest would mean something else. */
static void garbled(void **state)
{
	static const struct {
		const char *link, *key;
	} cases[] = {
		{ "ss://aes-128-gcm:p@ss.example:1?plugin=v2ray-plugin%0a%3Btls", "`plugin`" },
		{ "trojan://p@tr.example?sni=%22%0a", "`sni`" },
		{ "trojan://p@tr.example?SNI=%ff", "`sni`" },
		{ "vless://" UUID "@vl.example:1?security=%00", "`security`" },
		{ "https://h.example:1?sni=%7f", "`sni`" },
		{ "wg://" KEY_A "@wg.example?publickey=" KEY_B "&allowedips=%0a", "`allowedips`" },
		{ "wg://" KEY_A "@wg.example?publickey=%0a", "`publickey`" },
		{ "{\"servers\":[{\"server\":\"a.example\",\"server_port\":1,\"password\":\"p\","
		  "\"method\":\"aes-128-gcm\",\"plugin\":\"obfs-local\\n\"}]}",
		  "`plugin`" },
		/* {"add":"a.example","port":1,"id":"x","sni":"a\n"} */
		{ "vmess://eyJhZGQiOiJhLmV4YW1wbGUiLCJwb3J0IjoxLCJpZCI6IngiLCJzbmkiOiJhXG4ifQ==",
		  "`sni`" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++)
		refuses(cases[i].link, cases[i].key);
	takes("trojan://p@tr.example?sni=&nobody=%0a#t", NULL);
}

/* Many with one name: all are different, none is longer than a name may be. */
static void names(void **state)
{
	struct mf_text list = { 0 };
	struct mf_config *cfg;
	struct mf_import im;

	(void)state;
	for (int i = 0; i < 64; i++)
		mf_text_printf(&list, "trojan://p@a.example#%s\n",
			       i % 2 ? "the%20same%20long%20name" : "..");
	cfg = taken(list.s, &im);
	assert_int_equal(cfg->n_interfaces, 64);
	assert_string_equal(cfg->interfaces[0].name, "a.example");
	assert_string_equal(cfg->interfaces[1].name, "the-same-long-n");
	assert_string_equal(cfg->interfaces[3].name, "the-same-long-2");
	assert_string_equal(cfg->interfaces[63].name, "the-same-lon-32");
	mf_config_free(cfg);
	mf_import_free(&im);
	mf_text_free(&list);
}

static void too_many(void **state)
{
	struct mf_text list = { 0 }, said = { 0 };
	struct mf_config *cfg;
	struct mf_import im;

	(void)state;
	for (int i = 0; i < 70; i++)
		mf_text_printf(&list, "trojan://p@a.example#n%d\n", i);
	cfg = taken(list.s, &im);
	assert_int_equal(cfg->n_interfaces, 64);
	assert_int_equal(im.n_taken, 64);
	mf_import_notes_print(&im, "t", &said);
	assert_null(strstr(said.s, "t:64:"));
	assert_non_null(strstr(said.s, "t:65: not taken: a profile has at most 64 interfaces\n"));
	assert_non_null(strstr(said.s, "t:70: not taken:"));
	mf_config_free(cfg);
	mf_import_free(&im);
	mf_text_free(&said);
	list.len = 0;
	for (int i = 0; i < 2 * MF_IMPORT_NOTES_MAX; i++)
		mf_text_printf(&list, "nothing\n");
	assert_int_equal(mf_import_links(list.s, list.len, &im), MF_E_NOT_FOUND);
	assert_int_equal(im.n_notes, MF_IMPORT_NOTES_MAX);
	mf_import_free(&im);
	mf_text_free(&list);
}

static void too_long(void **state)
{
	char *text = test_malloc(MF_CONFIG_MAX_BYTES + 1);
	struct mf_import im;

	(void)state;
	memset(text, '\n', MF_CONFIG_MAX_BYTES + 1);
	assert_int_equal(mf_import_links(text, MF_CONFIG_MAX_BYTES + 1, &im), MF_E_RANGE);
	mf_import_free(&im);
	assert_int_equal(mf_import_links(text, MF_CONFIG_MAX_BYTES, &im), MF_E_NOT_FOUND);
	mf_import_free(&im);
	test_free(text);
}

/* A link that is refused, or taken with a word about it, is not quoted where it is secret. */
static void secrets(void **state)
{
	static const char *const links[] = {
		"ss://S3CR3T",
		"ss://S3CR3T@a.example:1",
		"ss://S3CR3T:aes-128-gcm@a.example:1",
		"ss://rc4-md5S3CR3T:x@a.example:1",
		"ss://2022-blake3-aes-128-gcm:S3CR3T@a.example:1",
		"ss://aes-128-gcm:S3CR3T@a.example",
		"ss://aes-128-gcm:S3CR3T@a.example:1?plugin=x",
		"vmess://S3CR3T",
		"vmess://S3CR3TS3CR3TS3CR3TS3CR3TS3CR3TS3CR3T@a.example:1",
		"vmess://x:S3CR3T@a.example:1",
		"vless://S3CR3T@a.example:1?security=reality",
		"vless://S3CR3T@a.example:1x",
		"trojan://S3CR3T@a.example:1?type=grpc",
		"trojan://S3CR3T",
		"socks5://S3CR3T@a.example:1",
		"socks5://:S3CR3T@a.example:1",
		"wireguard://S3CR3T@a.example:1?publickey=x",
		"wg://S3CR3T@a.example:1",
		"tuic://x:S3CR3T@a.example:1",
		"S3CR3T",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(links); i++) {
		char *said = refused(links[i]);

		if (!said || strstr(said, "S3CR3T"))
			fail_msg("%s: %s", links[i], said ? said : "(nothing)");
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64),
		cmocka_unit_test(base64_against_model),
		cmocka_unit_test(uris),
		cmocka_unit_test(parameters),
		cmocka_unit_test(shadowsocks),
		cmocka_unit_test(vless),
		cmocka_unit_test(early_data),
		cmocka_unit_test(names),
		cmocka_unit_test(too_many),
		cmocka_unit_test(too_long),
		cmocka_unit_test(secrets),
		cmocka_unit_test(wireguard),
		cmocka_unit_test(wireguard_left_out),
		cmocka_unit_test(vmess_alter_id),
		cmocka_unit_test(garbled),
		cmocka_unit_test(left_out),
		cmocka_unit_test(reasons),
		cmocka_unit_test(ends_of_lines),
		cmocka_unit_test(names_in_scripts),
		cmocka_unit_test(brackets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
