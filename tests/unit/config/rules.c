/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/rules.c: routes unrolled into rules, against a model that looks at every pair.
 */
#include "config_test.h"

enum { MAX = 24 };

struct item {
	struct mf_prefix prefix;
	unsigned to;
};

static const char *const targets[] = { "a", "b", "direct", "drop", "reject" };

/* From few, so that equal ones are frequent. */
static struct mf_prefix random_prefix(struct mf_prng *g)
{
	static const char *const few[] = { "0.0.0.0/0",  "::/0",         "10.0.0.0/8",
					   "10.0.0.0/9", "10.128.0.0/9", "0.0.0.0/1",
					   "::/1",       "2001:db8::/32" };
	struct mf_prefix p;

	assert_int_equal(mf_prefix_parse(&p, few[mf_prng_below(g, MF_ARRAY_LEN(few))]), MF_OK);
	return p;
}

/* As sets of one to three prefixes or as single routes. */
static void write_routes(struct mf_prng *g, const struct item *items, unsigned n, struct mf_text *out)
{
	struct mf_text sets = { 0 }, routes = { 0 };

	mf_text_printf(&sets, "cidr_sets:\n  unused: { cidrs: 192.0.2.0/24 }\n");
	mf_text_printf(&routes, "app_routing:\n  routes:\n");
	for (unsigned i = 0; i < n;) {
		unsigned together = 0, most = (unsigned)mf_prng_below(g, 4);
		char text[MF_PREFIX_STRLEN];

		if (!most) {
			mf_text_printf(&routes, "    - { cidr: \"%s\", to: %s }\n",
				       mf_prefix_format(&items[i].prefix, text),
				       targets[items[i].to]);
			i++;
			continue;
		}
		mf_text_printf(&sets, "  s%u: { cidrs: [", i);
		mf_text_printf(&routes, "    - { cidr_set: s%u, to: %s }\n", i, targets[items[i].to]);
		do
			mf_text_printf(&sets, "\"%s\", ",
				       mf_prefix_format(&items[i + together].prefix, text));
		while (++together < most && i + together < n && items[i + together].to == items[i].to);
		mf_text_printf(&sets, "] }\n");
		i += together;
	}
	mf_text_add(out, sets.s, sets.len);
	mf_text_add(out, routes.s, routes.len);
	mf_text_free(&sets);
	mf_text_free(&routes);
}

static void routes_against_model(void **state)
{
	struct mf_prng g = unit_prng("routes");
	unsigned loaded = 0;

	(void)state;
	for (int round = 0; round < 1500; round++) {
		unsigned n = 1 + (unsigned)mf_prng_below(&g, round % 2 ? 4 : MAX), clashes = 0;
		struct item items[MAX], kept[MAX];
		unsigned n_kept = 0;
		struct mf_text text = { 0 };
		struct mf_config_errors errs = { 0 };
		struct mf_config *cfg;

		for (unsigned i = 0; i < n; i++) {
			bool again = false, clash = false;

			items[i].prefix = random_prefix(&g);
			items[i].to = (unsigned)mf_prng_below(&g, MF_ARRAY_LEN(targets));
			/* the first one of a prefix is the one that others must agree with */
			for (unsigned k = 0; k < n_kept; k++)
				if (mf_prefix_equal(&kept[k].prefix, &items[i].prefix)) {
					again = true;
					clash = kept[k].to != items[i].to;
				}
			clashes += clash;
			if (!again)
				kept[n_kept++] = items[i];
		}
		mf_text_printf(&text, "version: 1\ntunnel: {}\ninterfaces:\n"
				      "  - { name: a, type: wireguard, private_key: " KEY_A " }\n"
				      "  - { name: b, type: wireguard, private_key: " KEY_B " }\n");
		write_routes(&g, items, n, &text);
		if ((mf_config_parse(text.s, text.len, "t", 0, &cfg, &errs) == MF_OK) !=
			    (clashes == 0) ||
		    errs.n != clashes)
			fail_msg("round %d: %u clashes, %u errors:\n%s", round, clashes, errs.n,
				 text.s);
		if (!clashes) {
			loaded++;
			assert_int_equal(cfg->n_rules, n_kept);
			for (unsigned k = 0; k < n_kept; k++) {
				const struct mf_config_rule *r = &cfg->rules[k];

				assert_true(mf_prefix_equal(&r->prefix, &kept[k].prefix));
				assert_int_equal(r->action, kept[k].to < 2 ? MF_CONFIG_TO_INTERFACE
									   : kept[k].to - 1);
				if (kept[k].to < 2)
					assert_int_equal(r->interface, kept[k].to);
				assert_non_null(r->route);
			}
		}
		mf_config_free(cfg);
		mf_config_errors_free(&errs);
		mf_text_free(&text);
	}
	assert_true(loaded > 100);
}

#define PEERS(tunnel, ips)                                               \
	"version: 1\ntunnel: { address: [" tunnel "] }\ninterfaces:\n"   \
	"  - name: a\n    type: wireguard\n    private_key: " KEY_A "\n" \
	"    peers: [{ public_key: " KEY_B ", allowed_ips: [" ips "] }]\n"

/* Design rule 7. */
static void without_app_routing(void **state)
{
	static const char *const good[] = {
		PEERS("10.0.0.1/32", "0.0.0.0/0"),
		PEERS("\"fd00::1/64\"", "\"::/0\""),
		PEERS("10.0.0.1/32, \"fd00::1/64\"", "10.0.0.0/8, 0.0.0.0/0, \"::/0\""),
		PEERS("", "0.0.0.0/0"),
		PEERS("", "\"::/0\""),
	};
	static const char *const bad[] = {
		PEERS("10.0.0.1/32", "\"::/0\""),
		PEERS("10.0.0.1/32, \"fd00::1/64\"", "0.0.0.0/0"),
		PEERS("10.0.0.1/32", "10.0.0.0/8"),
		PEERS("10.0.0.1/32", "0.0.0.0/1, 128.0.0.0/1"),
		PEERS("", ""),
		PEERS("10.0.0.1/32", "10.0.0.0/8") "app_routing: { enabled: false }\n",
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(good); i++) {
		struct mf_config *cfg = parse_ok(good[i], 0);

		assert_false(cfg->app_routing.enabled);
		assert_int_equal(cfg->n_rules, cfg->interfaces[0].peers[0].allowed_ips.n);
		for (uint32_t k = 0; k < cfg->n_rules; k++) {
			assert_int_equal(cfg->rules[k].action, MF_CONFIG_TO_INTERFACE);
			assert_int_equal(cfg->rules[k].interface, 0);
			assert_null(cfg->rules[k].route);
		}
		mf_config_free(cfg);
	}
	for (size_t i = 0; i < MF_ARRAY_LEN(bad); i++) {
		char *said = parse_fails(bad[i]);

		assert_non_null(strstr(said, "app_routing"));
		free(said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_against_model),
		cmocka_unit_test(without_app_routing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
