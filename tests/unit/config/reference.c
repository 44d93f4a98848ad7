/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/schema.c and reference.c: every key is documented and has a home in its struct,
 * the committed page is what the schema says, and the sample profile loads.
 *
 *	reference DOCS      the directory docs/ of the tree
 */
#include "config_test.h"

#include "config/schema.h"

static const char *docs;

static char *slurp(const char *name)
{
	enum { LONGEST = 1 << 18 };
	char path[512], *text = calloc(1, LONGEST + 1);
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", docs, name);
	f = fopen(path, "r");
	if (!f || !text)
		fail_msg("cannot read %s", path);
	(void)!fread(text, 1, LONGEST, f);
	(void)fclose(f);
	return text;
}

static void check_field(const struct mf_schema *s, const struct mf_field *f)
{
	const char *what = f->key;

	if (!f->doc || strlen(f->doc) < 5 || f->doc[strlen(f->doc) - 1] != '.')
		fail_msg("%s in %s is not documented in a sentence", what, s->title);
	if (f->type == MF_FIELD_LATER)
		return;
	if (!f->example)
		fail_msg("%s in %s has no example", what, s->title);
	assert_true(f->at < s->size);
	assert_true(f->at_n < s->size);
	/* the first member of each struct is where it came from */
	assert_true(f->at >= sizeof(struct mf_config_src));
	assert_true(f->min <= f->max);
	assert_false(f->required && f->def);
	if (f->type == MF_FIELD_NUMBER || f->type == MF_FIELD_BYTES || f->type == MF_FIELD_SECONDS ||
	    f->type == MF_FIELD_MILLISECONDS || f->type == MF_FIELD_WORD)
		assert_true(f->size == 1 || f->size == 2 || f->size == 4 || f->size == 8);
	assert_int_equal(f->words != NULL, f->type == MF_FIELD_WORD);
	if (f->only_with)
		assert_non_null(mf_schema_find(s, f->only_with, 0));
	/* one of the lists of servers documents what may stand in all of them */
	if (f->type != MF_FIELD_SERVERS)
		assert_int_equal(f->sub != NULL, f->type == MF_FIELD_MAP || f->type == MF_FIELD_MAPS ||
							 f->type == MF_FIELD_NAMED_MAPS);
}

static unsigned check_schema(const struct mf_schema *s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s->n_fields; i++) {
		check_field(s, &s->fields[i]);
		for (unsigned t = 1; t < MF_CONFIG_TYPES; t++)
			if (mf_field_is_of(&s->fields[i], t))
				assert_ptr_equal(mf_schema_find(s, s->fields[i].key, t),
						 &s->fields[i]);
		n += 1 + (s->fields[i].sub ? check_schema(s->fields[i].sub) : 0);
	}
	return n;
}

static void every_key(void **state)
{
	(void)state;
	assert_true(check_schema(&mf_schema_profile) > 100);
}

/* Each example of a section loads with its key, behind the smallest profile that has room for it. */
static void examples_load(const struct mf_schema *s, const char *before, const char *skip)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		const struct mf_field *f = &s->fields[i];
		struct mf_text text = { 0 };

		if (f->type == MF_FIELD_LATER || !strcmp(f->key, skip))
			continue;
		mf_text_printf(&text, "%s%s: %s\n", before, f->key, f->example);
		mf_config_free(parse_ok(text.s, MF_CONFIG_NO_FILES));
		mf_text_free(&text);
	}
}

#define VPN(ips)                                                                             \
	"interfaces:\n  - name: home-vpn\n    type: wireguard\n    private_key: " KEY_A "\n" \
	"    peers: [{ public_key: " KEY_B ", allowed_ips: " ips " }]\n"

static void examples_of_keys(void **state)
{
	static const struct mf_schema *const sets[] = { &mf_schema_domain_set, &mf_schema_cidr_set };
	const struct mf_field *tunnel = mf_schema_find(&mf_schema_profile, "tunnel", 0);

	(void)state;
	examples_load(tunnel->sub, "version: 1\napp_routing: {}\ntunnel:\n  ", "");
	examples_load(&mf_schema_app_routing,
		      "version: 1\ntunnel: {}\n" VPN("[]") "app_routing:\n  ", "");
	examples_load(&mf_schema_dns,
		      "version: 1\ntunnel: {}\napp_routing: { dns_fallback: drop }\ndns:\n  ",
		      "servers");
	mf_config_free(parse_ok(
		"version: 1\ntunnel: {}\n" VPN("0.0.0.0/0") "dns: { servers: "
							    "[9.9.9.9, \"[2620:fe::fe]:53\"] }\n",
		0));
	for (size_t i = 0; i < MF_ARRAY_LEN(sets); i++) {
		char text[512];

		(void)snprintf(text, sizeof(text),
			       "version: 1\ntunnel: {}\n" VPN(
				       "0.0.0.0/0") "%s:\n  x:\n"
						    "    url: https://lists.example/\n    ",
			       i ? "cidr_sets" : "domain_sets");
		examples_load(sets[i], text, "url");
	}
}

/* The interface with what each type must have. */
static const char *const proxies[MF_CONFIG_TYPES] = {
	[MF_CONFIG_SHADOWSOCKS] = "server: a.example:1\n    method: aes-128-gcm\n    password: x\n",
	[MF_CONFIG_VMESS] = "server: a.example:1\n    uuid: x\n",
	[MF_CONFIG_VLESS] = "server: a.example:1\n    uuid: x\n    tls: {}\n",
	[MF_CONFIG_TROJAN] = "server: a.example:1\n    password: x\n",
	[MF_CONFIG_SOCKS5] = "server: a.example:1\n    password: x\n    username: x\n",
	[MF_CONFIG_HTTP] = "server: a.example:1\n    password: x\n    username: x\n",
};

static void example_of_proxy(const struct mf_field *f, enum mf_config_type type)
{
	const char *given = proxies[type];
	struct mf_text text = { 0 }, key = { 0 };

	mf_text_printf(&key, "%s: ", f->key);
	mf_text_printf(&text, "version: 1\napp_routing: {}\ntunnel: {}\ninterfaces:\n  - %s%s\n",
		       strcmp(f->key, "name") ? "name: x\n    " : "",
		       strcmp(f->key, "type") ? "" : "private_key: " KEY_A);
	if (strcmp(f->key, "type") != 0)
		mf_text_printf(&text, "    type: %s\n", mf_schema_types[type]);
	for (const char *line = given; strcmp(f->key, "type") && *line;) {
		size_t n = strcspn(line, "\n");
		const char *name = line + strspn(line, " ");
		bool same = !strncmp(name, key.s, key.len) ||
			    (!strcmp(f->key, "password_file") && !strncmp(name, "password: ", 10));

		if (!same)
			mf_text_printf(&text, "    %.*s\n", (int)(n - (size_t)(name - line)), name);
		line += n + 1;
	}
	mf_text_printf(&text, "    %s: %s\n", f->key, f->example);
	mf_config_free(parse_ok(text.s, MF_CONFIG_NO_FILES));
	mf_text_free(&text);
	mf_text_free(&key);
}

static void examples_of_proxies(void **state)
{
	const struct mf_schema *s = &mf_schema_interface;
	unsigned n = 0;

	(void)state;
	for (size_t i = 0; i < s->n_fields; i++)
		for (unsigned t = MF_CONFIG_SHADOWSOCKS; t < MF_CONFIG_TYPES; t++)
			if (mf_field_is_of(&s->fields[i], t) && s->fields[i].type != MF_FIELD_LATER) {
				example_of_proxy(&s->fields[i], (enum mf_config_type)t);
				n++;
			}
	assert_true(n > 50);
	examples_load(
		&mf_schema_websocket,
		"version: 1\napp_routing: {}\ntunnel: {}\ninterfaces:\n  - name: x\n"
		"    type: vmess\n    server: a.example:1\n    uuid: x\n    websocket:\n      ",
		"");
	examples_load(&mf_schema_tls,
		      "version: 1\napp_routing: {}\ntunnel: {}\ninterfaces:\n  - name: x\n"
		      "    type: vmess\n    server: a.example:1\n    uuid: x\n    tls:\n      ",
		      "");
	examples_load(&mf_schema_obfs,
		      "version: 1\napp_routing: {}\ntunnel: {}\ninterfaces:\n  - name: x\n"
		      "    type: shadowsocks\n    server: a.example:1\n    method: aes-128-gcm\n"
		      "    password: x\n    obfs:\n      ",
		      "");
}

static void page_is_current(void **state)
{
	char *page = slurp("profile.md");
	struct mf_text made = { 0 };

	(void)state;
	mf_config_print_reference(&made);
	if (strcmp(made.s, page) != 0)
		fail_msg("docs/profile.md is out of date: profile-doc > docs/profile.md");
	mf_text_free(&made);
	free(page);
}

static void sample_loads(void **state)
{
	char *text = slurp("examples/profile.yaml");
	struct mf_config *cfg = parse_ok(text, 0);

	(void)state;
	assert_int_equal(cfg->n_interfaces, 2);
	assert_true(cfg->n_rules > 4);
	mf_config_free(cfg);
	free(text);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key),           cmocka_unit_test(examples_of_keys),
		cmocka_unit_test(examples_of_proxies), cmocka_unit_test(page_is_current),
		cmocka_unit_test(sample_loads),
	};

	if (argc < 2)
		return 2;
	docs = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
