/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/check_proxy.c, check_via.c and load_proxy.c: what depends on files and their modes,
 * and what the golden profiles cannot show.
 */
#include "config_test.h"

#include <fcntl.h>
#include <sys/stat.h>

#define HEAD  "version: 1\ntunnel: {}\napp_routing: {}\ninterfaces:\n"
#define CLASS "  - { name: p, type: "

static char dir[] = "/tmp/mf-proxy-XXXXXX";

static const char *path_of(const char *name)
{
	static char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "p.yaml", "password", "ca.pem" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++)
		(void)unlink(path_of(names[i]));
	return rmdir(dir);
}

static void write_file(const char *name, const char *text, size_t n, unsigned mode)
{
	const char *path = path_of(name);
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
}

/* Loads a profile in a file; `said` (freed by the caller) is what the loader complains about. */
static mf_err load(const char *text, unsigned mode, struct mf_config **cfg, char **said)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text t = { 0 };
	mf_err err;

	write_file("p.yaml", text, strlen(text), mode);
	err = mf_config_load(path_of("p.yaml"), cfg, &errs);
	assert_int_equal(err != MF_OK, errs.n > 0);
	mf_config_errors_print(&errs, &t);
	mf_config_errors_free(&errs);
	*said = t.s;
	return err;
}

#define SERVER "server: \"a.example:1\", "

static void mode_of_the_profile(void **state)
{
	static const char *const secret[] = {
		HEAD CLASS "trojan, " SERVER "password: x }\n",
		HEAD CLASS "vmess, " SERVER "uuid: x }\n",
		HEAD CLASS "trojan, " SERVER "password_file: password, "
			   "websocket: { headers: { Cookie: x } } }\n",
	};
	static const char open_text[] = HEAD CLASS "trojan, " SERVER "password_file: password }\n";
	struct mf_config *cfg;
	char *said;

	(void)state;
	write_file("password", "x\n", 2, 0600);
	for (size_t i = 0; i < MF_ARRAY_LEN(secret); i++) {
		assert_int_equal(load(secret[i], 0600, &cfg, &said), MF_OK);
		mf_config_free(cfg);
		free(said);
		assert_int_equal(load(secret[i], 0640, &cfg, &said), MF_E_PERMISSION);
		assert_non_null(strstr(said, "a key or a password"));
		free(said);
	}
	assert_int_equal(load(open_text, 0644, &cfg, &said), MF_OK);
	assert_string_equal(cfg->interfaces[0].password, "x");
	mf_config_free(cfg);
	free(said);
}

/* Who writes a user in front of a host does not find the password in an error. */
static void passwords_in_hosts(void **state)
{
	static const char *const texts[] = {
		HEAD CLASS "socks5, server: \"user:S3CR3T@h.example:1\" }\n",
		HEAD CLASS "socks5, server: \"socks5://S3CR3T@h.example:1\" }\n",
		HEAD CLASS "trojan, " SERVER "password: x, tls: {}, "
			   "websocket: { host: \"u:S3CR3T@h.example:1\" } }\n",
		HEAD CLASS "wireguard, private_key: \"" KEY_A "\", peers: [{ public_key: \"" KEY_B
			   "\", endpoint: \"u:S3CR3T@h.example:1\" }] }\n",
		"version: 1\ntunnel: {}\napp_routing: {}\ninterfaces: []\ndns: { servers: "
		"[\"https://u:S3CR3T@h.example:1/dns-query\"], listen: [\"u:S3CR3T@10.0.0.1:1\"] "
		"}\n",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(texts); i++) {
		char *said = parse_fails(texts[i]);

		if (strstr(said, "S3CR3T") || !strstr(said, ":1") || !strstr(said, "no user"))
			fail_msg("%s", said);
		free(said);
	}
}

static void passwords_from_files(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		unsigned mode;
		mf_err err;
		const char *password;
	} cases[] = {
		{ "secret\n", 7, 0600, MF_OK, "secret" },
		{ "secret\r\n", 8, 0400, MF_OK, "secret" },
		{ " se cret ", 9, 0600, MF_OK, " se cret " },
		{ "s\xff", 2, 0600, MF_OK, "s\xff" },
		{ "secret\n", 7, 0644, MF_E_PERMISSION, NULL },
		{ "two\nlines\n", 10, 0600, MF_E_MALFORMED, NULL },
		{ "secret\n\n", 8, 0600, MF_E_MALFORMED, NULL },
		{ "sec\0ret", 7, 0600, MF_E_MALFORMED, NULL },
		{ "\n", 1, 0600, MF_E_MALFORMED, NULL },
		{ "", 0, 0600, MF_E_MALFORMED, NULL },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_config *cfg;
		char *said;

		write_file("password", cases[i].bytes, cases[i].n, cases[i].mode);
		assert_int_equal(load(HEAD CLASS "trojan, " SERVER "password_file: password }\n",
				      0600, &cfg, &said),
				 cases[i].err);
		if (cfg)
			assert_string_equal(cfg->interfaces[0].password, cases[i].password);
		else
			assert_non_null(strstr(said, "`password_file`: "));
		if (said)
			assert_null(strstr(said, "secret"));
		mf_config_free(cfg);
		free(said);
	}
}

/* A key of the 2022 edition in a file is looked at, too. */
static void keys_from_files(void **state)
{
	static const char text[] = HEAD CLASS "shadowsocks, " SERVER
					      "method: 2022-blake3-aes-128-gcm, "
					      "password_file: password }\n";
	struct mf_config *cfg;
	char *said;

	(void)state;
	write_file("password", "AAECAwQFBgcICQoLDA0ODw==\n", 25, 0600);
	assert_int_equal(load(text, 0600, &cfg, &said), MF_OK);
	mf_config_free(cfg);
	free(said);
	write_file("password", "AAECAwQFBgcICQoLDA0OD===\n", 25, 0600);
	assert_int_equal(load(text, 0600, &cfg, &said), MF_E_MALFORMED);
	assert_null(strstr(said, "AAEC"));
	free(said);
}

static const char certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIBgDCCASegAwIBAgIUC0qAZlLhXnSIcIygUyjSoBmCe9QwCgYIKoZIzj0EAwIw\n"
	"FTETMBEGA1UEAwwKY2EuZXhhbXBsZTAgFw0yNjExMjIwNjI1MDlaGA8yMTI2MTAy\n"
	"OTA2MjUwOVowFTETMBEGA1UEAwwKY2EuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqG\n"
	"SM49AwEHA0IABBhdp2iueJSvDqrXkrA6r9cskyYESc+XUbRt5KlteOJD877XrWVU\n"
	"xFPypEyZcDpZn/1S4nLwrnJGaIi5I8yFJvOjUzBRMB0GA1UdDgQWBBThCS4nBU8R\n"
	"BEKUNBPR+Xgb49Id9DAfBgNVHSMEGDAWgBThCS4nBU8RBEKUNBPR+Xgb49Id9DAP\n"
	"BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIAlhcVFIGyEi6/Sosj3T\n"
	"MBuVl+eiK/yz+XKDL2HNhcnpAiAI/6hhCxmMLDDFGUNkS07KRTBAkefZCNPUBmjK\n"
	"fB1oog==\n"
	"-----END CERTIFICATE-----\n";

static void authorities(void **state)
{
	static const char text[] = HEAD CLASS "http, " SERVER "tls: { ca_file: ca.pem } }\n";
	static const char *const wrong[] = {
		"",
		"text\n",
		"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
	};
	struct mf_config *cfg;
	char *said;

	(void)state;
	write_file("ca.pem", certificate, strlen(certificate), 0644);
	assert_int_equal(load(text, 0644, &cfg, &said), MF_OK);
	assert_int_equal(cfg->interfaces[0].tls.ca_pem.n, strlen(certificate));
	assert_memory_equal(cfg->interfaces[0].tls.ca_pem.p, certificate, strlen(certificate));
	assert_string_equal(cfg->interfaces[0].tls.ca_file, "ca.pem");
	mf_config_free(cfg);
	free(said);
	for (size_t i = 0; i < MF_ARRAY_LEN(wrong); i++) {
		write_file("ca.pem", wrong[i], strlen(wrong[i]), 0644);
		assert_int_equal(load(text, 0644, &cfg, &said), MF_E_MALFORMED);
		assert_non_null(strstr(said, "`ca_file`: there is no certificate"));
		free(said);
	}
}

/* Whom the certificate is for is what the request's Host says, without a port. */
static void host_of_websocket(void **state)
{
	static const struct {
		const char *host, *name;
	} known[] = {
		{ "www.example.com", "www.example.com" },
		{ "www.example.com:8443", "www.example.com" },
		{ "\"[2001:db8::1]:8443\"", "2001:db8::1" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(known); i++) {
		char text[512];
		struct mf_config *cfg;

		(void)snprintf(text, sizeof(text),
			       HEAD CLASS "trojan, " SERVER
					  "password: x, tls: {}, websocket: { host: %s } }\n",
			       known[i].host);
		cfg = parse_ok(text, 0);
		assert_string_equal(cfg->interfaces[0].websocket.host_name, known[i].name);
		mf_config_free(cfg);
	}
}

static void pins(void **state)
{
	static const char *const forms[] = {
		"\"X3pGTSOuJeEVw989IJ/cEtXUEmy52zs1TZQrU06KUKg=\"",
		"5f7a464d23ae25e115c3df3d209fdc12d5d4126cb9db3b354d942b534e8a50a8",
		"5F7A464D23AE25E115C3DF3D209FDC12D5D4126CB9DB3B354D942B534E8A50A8",
		("\"5f:7a:46:4d:23:ae:25:e1:15:c3:df:3d:20:9f:dc:12:d5:d4:12:6c:b9:db:3b:35:4d:94:"
		 "2b:53:4e:8a:50:a8\""),
	};
	static const uint8_t first[] = { 0x5f, 0x7a, 0x46, 0x4d }, last[] = { 0x50, 0xa8 };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(forms); i++) {
		char text[512];
		struct mf_config *cfg;

		(void)snprintf(text, sizeof(text),
			       HEAD CLASS "trojan, " SERVER
					  "password: x, tls: { pin_sha256: %s } }\n",
			       forms[i]);
		cfg = parse_ok(text, 0);
		assert_memory_equal(cfg->interfaces[0].tls.pin, first, sizeof(first));
		assert_memory_equal(cfg->interfaces[0].tls.pin + 30, last, sizeof(last));
		mf_config_free(cfg);
	}
}

/* What the engine relies on without looking. */
static void defaults(void **state)
{
	struct mf_config *cfg = parse_ok(HEAD "  - { name: a, type: trojan, " SERVER
					      "password: x, via: b }\n"
					      "  - { name: b, type: http, " SERVER "via: direct }\n"
					      "  - { name: c, type: vmess, " SERVER
					      "uuid: x, websocket: { early_data_header: path } }\n",
					 0);
	const struct mf_config_interface *i = cfg->interfaces;

	(void)state;
	assert_true(i[0].tls.enabled && i[0].tls.session_resumption && !i[0].tls.insecure);
	assert_false(i[0].websocket.enabled || i[0].obfs.enabled);
	assert_true(i[0].via_interface);
	assert_int_equal(i[0].via_index, 1);
	assert_int_equal(i[0].udp, MF_CONFIG_UDP_PROXY);
	assert_int_equal(i[0].connect_timeout_ms, 10000);
	assert_int_equal(i[0].first_byte_timeout_ms, 30000);
	assert_false(i[1].via_interface || i[1].tls.enabled);
	assert_int_equal(i[1].udp, MF_CONFIG_UDP_REJECT);
	assert_string_equal(i[2].security, "auto");
	assert_string_equal(i[2].websocket.path, "/");
	assert_string_equal(i[2].websocket.early_data_header, "");
	assert_int_equal(i[2].websocket.early_data, 0);
	assert_false(i[2].tls.enabled);
	mf_config_free(cfg);
}

/* The longest path that the codec of simple-obfs takes (it stops the program at a longer one). */
static void longest_obfs_path(void **state)
{
	enum { MOST = 1024 };
	char path[MOST + 2] = "/", text[MOST + 400];
	char *said;

	(void)state;
	for (size_t n = MOST; n <= MOST + 1; n++) {
		memset(path + 1, 'a', n - 1);
		(void)snprintf(text, sizeof(text),
			       HEAD CLASS "shadowsocks, " SERVER
					  "method: aes-128-gcm, password: x, "
					  "obfs: { mode: http, host: a.example, path: %s } }\n",
			       path);
		if (n == MOST) {
			mf_config_free(parse_ok(text, 0));
			continue;
		}
		said = parse_fails(text);
		assert_non_null(strstr(said, "it is longer than 1024 bytes"));
		free(said);
	}
}

/* Interfaces with random `via`: what loads ends at the internet, what does not has a circle or is too
 * long. */
static void via_against_model(void **state)
{
	enum { N = 9, MOST = 6 };
	struct mf_prng g = unit_prng("via");
	unsigned loaded = 0, circles = 0;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct mf_text text = { 0 };
		struct mf_config_errors errs = { 0 };
		struct mf_config *cfg;
		uint64_t via[N];
		bool good = true;

		mf_text_printf(&text, HEAD);
		for (unsigned i = 0; i < N; i++) {
			/* mostly further down, so that not all have circles */
			via[i] = mf_prng_below(&g, 8) ? i + 1 + mf_prng_below(&g, N - i)
						      : mf_prng_below(&g, N + 1);
			mf_text_printf(&text, "  - { name: p%u, type: http, " SERVER, i);
			if (via[i] >= N)
				mf_text_printf(&text, "}\n");
			else
				mf_text_printf(&text, "via: p%u }\n", (unsigned)via[i]);
		}
		for (unsigned i = 0; i < N; i++) {
			unsigned steps = 0;

			for (uint64_t at = i; at < N && steps <= N; at = via[at])
				steps++;
			circles += steps > N;
			good = good && steps <= MOST;
		}
		assert_int_equal(mf_config_parse(text.s, text.len, "t", 0, &cfg, &errs) == MF_OK,
				 good);
		loaded += good;
		mf_config_free(cfg);
		mf_config_errors_free(&errs);
		mf_text_free(&text);
	}
	assert_true(loaded > 100 && circles > 100);
}

static void no_secret_in_messages(void **state)
{
	static const char *const shapes[] = {
		"trojan, password: [S3CR3T] }",
		"trojan, password: { S3CR3T: 1 } }",
		"trojan, password: x, uuid: S3CR3T }",
		"trojan, pasword: S3CR3T }",
		"vmess, uuid: S3CR3TS3CR3TS3CR3TS3CR3TS3CR3TS3CR3T }",
		"shadowsocks, method: 2022-blake3-aes-128-gcm, password: S3CR3T }",
		"socks5, password: S3CR3T }",
		"vmess, uuid: x, websocket: { headers: { Cookie: \"S3CR3T\\n\" } } }",
		"vmess, uuid: x, websocket: { headers: { Cookie: [S3CR3T] } } }",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(shapes); i++) {
		char text[512], *said;

		(void)snprintf(text, sizeof(text), HEAD "  - { name: p, " SERVER "type: %s\n",
			       shapes[i]);
		said = parse_fails(text);
		if (strstr(said, "S3CR3T"))
			fail_msg("a secret is shown:\n%s", said);
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mode_of_the_profile),
		cmocka_unit_test(passwords_in_hosts),
		cmocka_unit_test(passwords_from_files),
		cmocka_unit_test(keys_from_files),
		cmocka_unit_test(authorities),
		cmocka_unit_test(host_of_websocket),
		cmocka_unit_test(pins),
		cmocka_unit_test(defaults),
		cmocka_unit_test(longest_obfs_path),
		cmocka_unit_test(via_against_model),
		cmocka_unit_test(no_secret_in_messages),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
