/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of src/config/import.c and wgquick.c beyond the golden files: what comes out means what went in.
 */
#include "config/import.h"

#include "config_test.h"

#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>

static struct mf_config *imported(const char *text, const char *name, struct mf_import *im)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text said = { 0 };

	if (mf_import_wireguard(text, strlen(text), name, im, &errs)) {
		mf_config_errors_print(&errs, &said);
		fail_msg("%s\n%s", said.s, text);
	}
	return parse_ok(im->profile.s, 0);
}

static void same_servers(const struct mf_config_dns_servers *found, const char *want)
{
	char text[200] = "";

	for (uint32_t i = 0; i < found->n; i++) {
		strcat(text, i ? " " : "");
		strcat(text, found->v[i].text);
	}
	assert_string_equal(text, want);
}

static void a_provider(void **state)
{
	static const char text[] = "[Interface]\nPrivateKey=" KEY_A
				   "\nAddress=10.2.0.2/32,fd00::2/128\n"
				   "DNS=10.2.0.1\nMTU=1380\n[Peer]\nPublicKey=" KEY_B "\n"
				   "PresharedKey=" KEY_C "\nAllowedIPs=0.0.0.0/0,::/0\n"
				   "Endpoint=203.0.113.9:51820\nPersistentKeepalive=25\n";
	struct mf_import im;
	struct mf_config *cfg = imported(text, "dir.with.dots/wg0.conf", &im);
	const struct mf_config_interface *i = &cfg->interfaces[0];
	const struct mf_config_peer *p = &i->peers[0];
	char key[MF_KEY_BASE64_STRLEN];

	(void)state;
	assert_string_equal(i->name, "wg0");
	mf_key_to_base64(&i->public_key, key);
	assert_string_equal(key, KEY_A_PUB);
	assert_int_equal(i->mtu, 1380);
	assert_int_equal(cfg->tunnel.mtu, 1380);
	assert_int_equal(cfg->tunnel.addresses.n, 2);
	assert_int_equal(i->addresses.n, 2);
	assert_int_equal(i->n_peers, 1);
	mf_key_to_base64(&p->preshared_key, key);
	assert_string_equal(key, KEY_C);
	assert_true(p->endpoint.is_addr && p->endpoint.port == 51820);
	assert_int_equal(p->persistent_keepalive, 25);
	assert_int_equal(cfg->n_rules, 2);
	assert_int_equal(im.n_notes, 0);
	same_servers(&cfg->dns.vpn_servers, "10.2.0.1");
	mf_config_free(cfg);
	mf_import_free(&im);
	assert_null(im.profile.s);
}

/* Servers that a peer takes packets to are asked through the tunnel; if there are none, all are asked
 * outside. */
static void resolvers(void **state)
{
	static const struct {
		const char *dns, *allowed, *vpn, *direct;
		uint32_t notes;
	} cases[] = {
		{ "9.9.9.9", "0.0.0.0/0", "9.9.9.9", "", 0 },
		{ "2620:fe::fe, 10.0.0.1,corp.example", "0.0.0.0/0,::/0", "2620:fe::fe 10.0.0.1",
		  "", 1 },
		{ "9.9.9.9,172.31.0.1", "172.16.0.0/12", "172.31.0.1", "", 1 },
		{ ",,192.168.7.7,192.168.7.7,", "10.0.0.0/8", "", "192.168.7.7", 1 },
		{ "1.0.0.1,1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5,1.0.0.6,1.0.0.7,1.0.0.8,1.0.0.9",
		  "0.0.0.0/0", "1.0.0.1 1.0.0.2 1.0.0.3 1.0.0.4 1.0.0.5 1.0.0.6 1.0.0.7 1.0.0.8",
		  "", 1 },
		{ "corp.example", "0.0.0.0/0", "", "", 1 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_config *cfg;
		struct mf_import im;
		char text[400];

		snprintf(text, sizeof(text),
			 "[Interface]\nPrivateKey=" KEY_A "\nAddress=10.2.0.2\nDNS=%s\n[Peer]\n"
			 "PublicKey=" KEY_B "\nAllowedIPs=%s\n",
			 cases[i].dns, cases[i].allowed);
		cfg = imported(text, "wg0.conf", &im);
		same_servers(&cfg->dns.vpn_servers, cases[i].vpn);
		same_servers(&cfg->dns.direct_servers, cases[i].direct);
		assert_string_equal(cfg->app_routing.dns_fallback, *cases[i].vpn ? "wg0" : "direct");
		assert_int_equal(cfg->dns.enabled, *cases[i].vpn || *cases[i].direct);
		assert_int_equal(im.n_notes, cases[i].notes);
		mf_config_free(cfg);
		mf_import_free(&im);
	}
}

static void names(void **state)
{
	static const struct {
		const char *path, *name;
	} cases[] = {
		{ "wg0.conf", "wg0" },
		{ "/etc/wireguard/home.conf", "home" },
		{ "no-suffix", "no-suffix" },
		{ "mint0.conf", "wg0" },
		{ "direct.conf", "wg0" },
		{ ".conf", ".conf" },
		{ "..", "wg0" },
		{ "a b(c).conf", "a-b-c-" },
		{ "x/", "wg0" },
		{ "123456789012345678.conf", "123456789012345" },
		{ "evil\n- name: x.conf", "evil---name--x" },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_import im;
		struct mf_config *cfg =
			imported("[Interface]\nPrivateKey=" KEY_A "\n", cases[i].path, &im);

		assert_string_equal(cfg->interfaces[0].name, cases[i].name);
		mf_config_free(cfg);
		mf_import_free(&im);
	}
}

/* Random allowed IPs: the rules are the union, and a prefix is with the last peer that names it. */
static void allowed_ips_against_model(void **state)
{
	struct mf_prng g = unit_prng("allowed IPs");

	(void)state;
	for (int round = 0; round < 400; round++) {
		static const char *const keys[] = { KEY_A_PUB, KEY_B, KEY_C };
		int owner[40], n_owned = 0;
		struct mf_text text = { 0 };
		struct mf_import im;
		struct mf_config *cfg;
		uint32_t found = 0;

		memset(owner, -1, sizeof(owner));
		mf_text_printf(&text, "[Interface]\nPrivateKey = " KEY_B "\n");
		for (int p = 0; p < 3; p += 1 + (p == 0)) { /* not the interface's own key */
			mf_text_printf(&text, "[Peer]\nPublicKey = %s\n", keys[p]);
			for (uint64_t n = mf_prng_below(&g, 30); n; n--) {
				uint64_t k = mf_prng_below(&g, MF_ARRAY_LEN(owner));

				owner[k] = p;
				mf_text_printf(&text, "AllowedIPs = 10.%u.0.%u/16\n", (unsigned)k,
					       (unsigned)mf_prng_below(&g, 256));
			}
		}
		for (size_t k = 0; k < MF_ARRAY_LEN(owner); k++)
			n_owned += owner[k] >= 0;
		cfg = imported(text.s, "t.conf", &im);
		assert_int_equal(cfg->n_rules, n_owned);
		for (uint32_t p = 0; p < 2; p++) {
			const struct mf_config_prefixes *ips =
				&cfg->interfaces[0].peers[p].allowed_ips;
			bool seen[40] = { false };

			for (uint32_t k = 0; k < ips->n; k++) {
				uint8_t which = ips->v[k].prefix.addr.b[1];

				assert_int_equal(owner[which], p ? 2 : 0);
				found += !seen[which];
				seen[which] = true;
			}
		}
		assert_int_equal(found, n_owned);
		mf_config_free(cfg);
		mf_import_free(&im);
		mf_text_free(&text);
	}
}

static void fwmark_and_auto_route(void **state)
{
	struct mf_import im;
	struct mf_config *cfg;

	(void)state;
	cfg = imported("[Interface]\nPrivateKey=" KEY_A "\nFwMark=0x10\nTable=off\n", "a", &im);
	assert_int_equal(cfg->interfaces[0].fwmark, 16);
	assert_false(cfg->tunnel.auto_route);
	mf_config_free(cfg);
	mf_import_free(&im);
	cfg = imported("[Interface]\nPrivateKey=" KEY_A "\nFwMark=0x10\n", "a", &im);
	assert_int_equal(cfg->interfaces[0].fwmark, 0);
	assert_true(cfg->tunnel.auto_route);
	mf_config_free(cfg);
	mf_import_free(&im);
}

static void from_a_file(void **state)
{
	char path[] = "/tmp/mf-import-XXXXXX";
	static const char text[] = "[Interface]\nPrivateKey=" KEY_A "\nPostUp=echo \"hi\"\n";
	struct mf_config_errors errs = { 0 };
	struct mf_text out = { 0 };
	struct mf_json j = mf_json_init(&out);
	struct mf_import im;
	json_t *v;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(mf_import_wireguard_file(path, &im, &errs), MF_OK);
	mf_import_notes_json(&im, false, &j);
	v = json_loads(out.s, 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(v, 0), "line")), 3);
	assert_int_equal(json_array_size(v), im.n_notes);
	json_decref(v);
	mf_import_free(&im);
	mf_text_free(&out);
	/* others may read it: taken, with a word about it */
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(mf_import_wireguard_file(path, &im, &errs), MF_OK);
	assert_non_null(strstr(im.notes[im.n_notes - 1].text, "chmod 600"));
	mf_import_free(&im);
	(void)close(fd);
	(void)unlink(path);
	assert_int_equal(mf_import_wireguard_file(path, &im, &errs), MF_E_NOT_FOUND);
	assert_int_equal(errs.n, 1);
	mf_config_errors_free(&errs);
}

static void too_much(void **state)
{
	struct mf_config_errors errs = { 0 };
	struct mf_text text = { 0 };
	struct mf_import im;

	(void)state;
	mf_text_printf(&text, "[Interface]\nPrivateKey=" KEY_A "\n[Peer]\nPublicKey=" KEY_B "\n");
	for (int i = 0; i <= 8192; i++)
		mf_text_printf(&text, "AllowedIPs=10.%d.%d.0/24\n", i >> 8, i & 255);
	assert_int_equal(mf_import_wireguard(text.s, text.len, "t", &im, &errs), MF_E_MALFORMED);
	assert_int_equal(errs.n, 1);
	assert_int_equal(errs.v[0].pos.line, 4 + 8193);
	assert_null(im.profile.s);
	mf_config_errors_free(&errs);
	mf_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_provider),
		cmocka_unit_test(resolvers),
		cmocka_unit_test(names),
		cmocka_unit_test(allowed_ips_against_model),
		cmocka_unit_test(fwmark_and_auto_route),
		cmocka_unit_test(from_a_file),
		cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
