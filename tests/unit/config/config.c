/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/config.c, load.c, check.c and file.c: what depends on files and their modes, and
 * what the golden profiles cannot show.
 */
#include "config_test.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

#include "crypto/x25519.h"

static char dir[] = "/tmp/mf-config-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static const char *file(const char *name, const char *text, unsigned mode)
{
	static char path[256];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	(void)close(fd);
	return path;
}

static int remove_dir(void **state)
{
	static const char *const names[] = { "p.yaml", "a.key", "b.psk", "set.txt" };
	char path[256];

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

#define HEAD "version: 1\ntunnel: {}\napp_routing: {}\n"
#define INLINE_KEY \
	HEAD "interfaces:\n  - name: vpn\n    type: wireguard\n    private_key: " KEY_A "\n"
#define FILE_KEY                                                                              \
	HEAD "interfaces:\n  - name: vpn\n    type: wireguard\n    private_key_file: a.key\n" \
	     "    peers: [{ public_key: " KEY_B ", preshared_key_file: b.psk }]\n"

/* Loads p.yaml; `said` (freed by the caller) is what the loader complains about. */
static mf_err load(const char *text, unsigned mode, struct mf_config **cfg, char **said)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text t = { 0 };
	mf_err err = mf_config_load(file("p.yaml", text, mode), cfg, &errs);

	assert_int_equal(err != MF_OK, errs.n > 0);
	mf_config_errors_print(&errs, &t);
	mf_config_errors_free(&errs);
	*said = t.s;
	return err;
}

static void mode_of_the_profile(void **state)
{
	static const struct {
		const char *text;
		unsigned mode;
		mf_err err;
	} cases[] = {
		{ INLINE_KEY, 0600, MF_OK },
		{ INLINE_KEY, 0400, MF_OK },
		{ INLINE_KEY, 0640, MF_E_PERMISSION },
		{ INLINE_KEY, 0604, MF_E_PERMISSION },
		{ INLINE_KEY, 0620, MF_E_PERMISSION },
		{ INLINE_KEY, 0602, MF_E_PERMISSION },
		{ HEAD, 0644, MF_OK },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_config *cfg;
		char *said;

		assert_int_equal(load(cases[i].text, cases[i].mode, &cfg, &said), cases[i].err);
		assert_int_equal(cfg == NULL, cases[i].err != MF_OK);
		if (cases[i].err) {
			assert_non_null(strstr(said, "p.yaml:7:18: error"));
			assert_non_null(strstr(said, "chmod 600"));
		}
		free(said);
		mf_config_free(cfg);
	}
}

static void keys_from_files(void **state)
{
	struct mf_config *cfg;
	char *said, text[MF_KEY_BASE64_STRLEN];

	(void)state;
	(void)file("a.key", " \n" KEY_A "\r\n", 0600);
	(void)file("b.psk", KEY_C, 0600);
	/* no key in the profile itself, so that may be seen by others */
	assert_int_equal(load(FILE_KEY, 0644, &cfg, &said), MF_OK);
	mf_key_to_base64(&cfg->interfaces[0].private_key, text);
	assert_string_equal(text, KEY_A);
	mf_key_to_base64(&cfg->interfaces[0].public_key, text);
	assert_string_equal(text, KEY_A_PUB);
	assert_string_equal(cfg->interfaces[0].private_key_file, "a.key");
	assert_true(cfg->interfaces[0].peers[0].has_preshared_key);
	mf_key_to_base64(&cfg->interfaces[0].peers[0].preshared_key, text);
	assert_string_equal(text, KEY_C);
	free(said);
	mf_config_free(cfg);
}

static void wrong_key_files(void **state)
{
	static const struct {
		const char *text;
		unsigned mode;
		const char *says;
		mf_err err;
	} cases[] = {
		{ KEY_A, 0644, "chmod 600", MF_E_PERMISSION },
		{ "", 0600, "does not hold a key", MF_E_MALFORMED },
		{ KEY_A " " KEY_A, 0600, "does not hold a key", MF_E_MALFORMED },
		{ "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 0600, "all zero", MF_E_MALFORMED },
	};

	(void)state;
	(void)file("b.psk", KEY_C, 0600);
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_config *cfg;
		char *said;

		(void)file("a.key", cases[i].text, cases[i].mode);
		assert_int_equal(load(FILE_KEY, 0600, &cfg, &said), cases[i].err);
		assert_non_null(strstr(said, "p.yaml:7:23: error"));
		assert_non_null(strstr(said, cases[i].says));
		free(said);
	}
}

static void sets_from_files(void **state)
{
	struct mf_config *cfg;
	char *said;

	(void)state;
	(void)file("set.txt", "# x\n10.1.0.0/16\n\n2001:db8::/32 # y\n", 0644);
	assert_int_equal(load("version: 1\ntunnel: {}\n"
			      "cidr_sets: { s: { cidrs: 10.2.0.0/16, files: set.txt } }\n"
			      "app_routing: { routes: [{ cidr_set: s, to: drop }] }\n",
			      0644, &cfg, &said),
			 MF_OK);
	assert_int_equal(cfg->n_cidr_sets, 1);
	assert_int_equal(cfg->cidr_sets[0].cidrs.n, 3);
	assert_int_equal(cfg->cidr_sets[0].n_inline, 1);
	assert_int_equal(cfg->n_rules, 3);
	assert_int_equal(cfg->rules[2].pos.line, 4);
	assert_non_null(strstr(cfg->rules[2].pos.file, "/set.txt"));
	assert_ptr_equal(cfg->rules[2].route, &cfg->app_routing.routes[0]);
	free(said);
	mf_config_free(cfg);
}

/* Wrong lines, with and without `lenient`; and as a Clash rule provider writes prefixes. */
static void wrong_lines_of_sets(void **state)
{
#define SET_FILE(lenient)                           \
	"version: 1\ntunnel: {}\napp_routing: {}\n" \
	"cidr_sets: { s: { files: set.txt, lenient: " lenient " } }\n"
	struct mf_text lines = { 0 };
	struct mf_config *cfg;
	char *said;

	(void)state;
	mf_text_printf(&lines, "payload:\n  - 10.1.0.0/16\n  - IP-CIDR,10.2.0.0/16,no-resolve\n");
	for (int i = 0; i < 25; i++)
		mf_text_printf(&lines, "two words\n");
	mf_text_printf(&lines, "  - 10.3.0.0/16\n");
	(void)file("set.txt", lines.s, 0644);
	mf_text_free(&lines);
	assert_int_equal(load(SET_FILE("true"), 0644, &cfg, &said), MF_OK);
	assert_int_equal(cfg->cidr_sets[0].cidrs.n, 3);
	assert_int_equal(cfg->cidr_sets[0].n_inline, 0);
	assert_int_equal(cfg->cidr_sets[0].cidrs.v[2].pos.line, 29);
	free(said);
	mf_config_free(cfg);
	assert_int_equal(load(SET_FILE("false"), 0644, &cfg, &said), MF_E_MALFORMED);
	assert_non_null(strstr(said, "/set.txt:4: error: "));
	assert_non_null(strstr(said, "/set.txt:23: error: "));
	assert_null(strstr(said, "/set.txt:24: error: "));
	assert_non_null(strstr(said, "/set.txt:23: error: 5 lines behind this one are wrong, too"));
	free(said);
}

/* One that a subscription may bring, and one that nothing brings. */
static void missing_files_of_sets(void **state)
{
	static const char *const kinds[] = { "cidr_sets", "domain_sets" };

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(kinds); i++) {
		struct mf_config *cfg;
		char text[256], *said;

		(void)snprintf(text, sizeof(text),
			       "version: 1\ntunnel: {}\napp_routing: {}\n%s: { s: { files: no.txt, "
			       "url: \"https://a.example/\" } }\n",
			       kinds[i]);
		assert_int_equal(load(text, 0644, &cfg, &said), MF_OK);
		free(said);
		mf_config_free(cfg);
		(void)snprintf(
			text, sizeof(text),
			"version: 1\ntunnel: {}\napp_routing: {}\n%s: { s: { files: no.txt } }\n",
			kinds[i]);
		assert_int_equal(load(text, 0644, &cfg, &said), MF_E_MALFORMED);
		assert_non_null(strstr(said, "/no.txt: No such file"));
		free(said);
	}
}

static void unreadable(void **state)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;

	(void)state;
	assert_int_equal(mf_config_load("/nonexistent/p.yaml", &cfg, &errs), MF_E_NOT_FOUND);
	assert_non_null(strstr(errs.v[0].text, "/nonexistent/p.yaml"));
	assert_non_null(strstr(errs.v[0].text, "mintflow import"));
	assert_int_equal(mf_config_load(dir, &cfg, &errs), MF_E_SYSTEM);
	assert_int_equal(errs.n, 2);
	assert_non_null(strstr(errs.v[1].text, "directory"));
	mf_config_errors_free(&errs);
}

static void too_long(void **state)
{
	char *text = malloc(MF_CONFIG_MAX_BYTES + 2);
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;
	char *said;

	(void)state;
	assert_non_null(text);
	memset(text, '#', MF_CONFIG_MAX_BYTES + 1);
	text[MF_CONFIG_MAX_BYTES + 1] = '\0';
	assert_int_equal(mf_config_parse(text, MF_CONFIG_MAX_BYTES + 1, "t", 0, &cfg, &errs),
			 MF_E_MALFORMED);
	assert_int_equal(load(text, 0600, &cfg, &said), MF_E_RANGE);
	free(said);
	/* one byte less is read, and found empty */
	text[MF_CONFIG_MAX_BYTES] = '\0';
	assert_int_equal(load(text, 0600, &cfg, &said), MF_E_MALFORMED);
	assert_non_null(strstr(said, "empty"));
	free(said);
	free(text);
	mf_config_errors_free(&errs);
}

static void files_are_left_alone_when_told_so(void **state)
{
	struct mf_config *cfg = parse_ok(FILE_KEY "cidr_sets: { s: { files: [/nonexistent] } }\n",
					 MF_CONFIG_NO_FILES);

	(void)state;
	assert_true(mf_key_is_zero(&cfg->interfaces[0].private_key));
	assert_int_equal(cfg->cidr_sets[0].n_files, 1);
	assert_int_equal(cfg->cidr_sets[0].cidrs.n, 0);
	mf_config_free(cfg);
}

/* Whatever is wrong, no message repeats a key. */
static void no_secret_in_messages(void **state)
{
	static const char secret[] = "Geheim5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fB";
	static const char *const shapes[] = {
		"private_key: %s",
		"private_key: [%s]",
		"private_key: { %s: 1 }",
		"private_key: '%s",
		"private_key: %s\n    private_key: %s",
		"privat_key: %s",
		"private_key: %s=\n    peers: [{ public_key: x, preshared_key: %s }]",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(shapes); i++) {
		char text[1024], *said;
		int n = snprintf(text, sizeof(text),
				 HEAD "interfaces:\n  - name: vpn\n    type: wireguard\n    ");

		/* shapes are ours */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
		(void)snprintf(text + n, sizeof(text) - (size_t)n, shapes[i], secret, secret);
#pragma GCC diagnostic pop
		strcat(text, "\n");
		said = parse_fails(text);
		if (strstr(said, "Geheim"))
			fail_msg("a secret is shown:\n%s", said);
		free(said);
	}
}

static void many_errors(void **state)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text text = { 0 }, said = { 0 };
	struct mf_config *cfg;

	(void)state;
	for (int i = 0; i < 250; i++)
		mf_text_printf(&text, "key%d: 1\n", i);
	assert_int_equal(mf_config_parse(text.s, text.len, "t", 0, &cfg, &errs), MF_E_MALFORMED);
	assert_int_equal(errs.n, MF_CONFIG_MAX_ERRORS);
	assert_int_equal(errs.n + errs.not_kept, 252); /* and two required keys are missing */
	mf_config_errors_print(&errs, &said);
	assert_non_null(strstr(said.s, "152 more errors"));
	mf_config_errors_free(&errs);
	mf_text_free(&said);
	mf_text_free(&text);
}

static void errors_as_json(void **state)
{
	static const char text[] = "version: 1\ntunnel: { mtu: \"x\\\"\" }\napp_routing: {}\n";
	struct mf_config_errors errs = { 0 };
	struct mf_text out = { 0 };
	struct mf_json j = mf_json_init(&out);
	struct mf_config *cfg;
	json_t *v, *e;

	(void)state;
	assert_int_equal(mf_config_parse(text, strlen(text), "t.yaml", 0, &cfg, &errs),
			 MF_E_MALFORMED);
	mf_config_errors_json(&errs, &j);
	v = json_loads(out.s, 0, NULL);
	assert_int_equal(json_array_size(v), 1);
	e = json_array_get(v, 0);
	assert_string_equal(json_string_value(json_object_get(e, "file")), "t.yaml");
	assert_int_equal(json_integer_value(json_object_get(e, "line")), 2);
	assert_int_equal(json_integer_value(json_object_get(e, "col")), 16);
	assert_non_null(strstr(json_string_value(json_object_get(e, "message")), "mtu"));
	json_decref(v);
	mf_text_free(&out);
	mf_config_errors_free(&errs);
}

static void defaults(void **state)
{
	struct mf_config *cfg = parse_ok(INLINE_KEY, 0);
	const struct mf_config_interface *i = mf_config_find_interface(cfg, "vpn");

	(void)state;
	assert_string_equal(cfg->tunnel.name, "mint0");
	assert_int_equal(cfg->tunnel.mtu, 0);
	assert_true(cfg->tunnel.auto_route && cfg->tunnel.exclude_lan);
	assert_true(cfg->tunnel.offload.tso && cfg->tunnel.offload.uso && cfg->tunnel.offload.gso &&
		    cfg->tunnel.offload.gro && cfg->tunnel.offload.checksum &&
		    cfg->tunnel.offload.coalesce);
	assert_int_equal(cfg->limits.memory, 48u << 20);
	assert_int_equal(cfg->limits.workers, 0);
	assert_int_equal(cfg->limits.staged_packets, 128);
	assert_true(cfg->app_routing.enabled);
	assert_non_null(i);
	assert_int_equal(i->type, MF_CONFIG_WIREGUARD);
	assert_int_equal(i->listen_port, 0);
	assert_int_equal(i->mtu, 0);
	assert_int_equal(i->fwmark, 0);
	assert_null(mf_config_find_interface(cfg, "vp"));
	mf_config_free(cfg);
	mf_config_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mode_of_the_profile),
		cmocka_unit_test(keys_from_files),
		cmocka_unit_test(wrong_key_files),
		cmocka_unit_test(sets_from_files),
		cmocka_unit_test(wrong_lines_of_sets),
		cmocka_unit_test(missing_files_of_sets),
		cmocka_unit_test(unreadable),
		cmocka_unit_test(too_long),
		cmocka_unit_test(files_are_left_alone_when_told_so),
		cmocka_unit_test(no_secret_in_messages),
		cmocka_unit_test(many_errors),
		cmocka_unit_test(errors_as_json),
		cmocka_unit_test(defaults),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
