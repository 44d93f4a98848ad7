/* SPDX-License-Identifier: Apache-2.0
 *
 * check_cipher - what shadowsocks and vmess encrypt with, and whether the password fits it.
 */
#include "config/cipher.h"

#include "config/errors.h"
#include "config/load.h"
#include "proto/shadowsocks/shadowsocks.h"
#include "proto/vmess/vmess.h"

#include <strings.h>

bool mf_cipher_is_old(const char *method)
{
	static const char *const old[] = {
		"rc4",       "aes-128-c", "aes-192-c",   "aes-256-c",   "camellia-",   "bf-cfb",
		"cast5-cfb", "des-cfb",   "idea-cfb",    "rc2-cfb",     "seed-cfb",    "salsa20",
		"xsalsa20",  "table",     "aes-128-ofb", "aes-192-ofb", "aes-256-ofb",
	};

	/* stream ciphers; not the AEADs whose names begin with the same word */
	if (!strcasecmp(method, "chacha20") || !strcasecmp(method, "chacha20-ietf") ||
	    !strcasecmp(method, "xchacha20"))
		return true;
	for (size_t i = 0; i < MF_ARRAY_LEN(old); i++)
		if (!strncasecmp(method, old[i], strlen(old[i])) &&
		    strcasecmp(method, "aes-128-ccm") != 0 && strcasecmp(method, "aes-256-ccm") != 0)
			return true;
	return false;
}

static void check_method(struct mf_loader *l, const struct mf_config_interface *i)
{
	struct mf_config_nearest near = { .word = i->method };
	struct mf_config_pos pos = mf_load_pos(&i->src, "method");
	char quoted[MF_CONFIG_QUOTE_LEN], hint[MF_CONFIG_HINT_LEN];

	if (mf_cipher_is_old(i->method)) {
		mf_config_error(
			l->errs, pos,
			"`method`: %s is an old stream cipher: whoever is on the way can change "
			"what it carries without being noticed; let the server use aes-256-gcm or "
			"chacha20-ietf-poly1305",
			mf_config_quote(i->method, quoted));
		return;
	}
	for (int m = 0; m < MF_SS_METHODS; m++)
		mf_config_nearest_try(&near, mf_ss_method_name((enum mf_ss_method)m));
	mf_config_error(l->errs, pos, "`method`: %s is no method that this version knows%s",
			mf_config_quote(i->method, quoted),
			near.name ? mf_config_nearest_hint(&near, hint)
				  : "; aes-256-gcm and chacha20-ietf-poly1305 are the usual ones");
}

static void check_shadowsocks(struct mf_loader *l, const struct mf_config_interface *i)
{
	struct mf_ss_config ss;
	struct mf_errbuf why;
	enum mf_ss_method m;

	if (!i->method)
		return;
	if (!mf_ss_method_find(i->method, &m)) {
		check_method(l, i);
		return;
	}
	if (i->password && mf_ss_config_set(&ss, m, i->password, &why))
		mf_config_error(l->errs,
				mf_load_pos(&i->src, i->password_file ? "password_file" : "password"),
				"`password`: %s", why.text);
	mf_wipe(&ss, sizeof(ss));
}

static void check_vmess(struct mf_loader *l, const struct mf_config_interface *i)
{
	char quoted[MF_CONFIG_QUOTE_LEN];
	enum mf_vmess_security s;

	if (i->security && !mf_vmess_security_find(i->security, &s))
		mf_config_error(l->errs, mf_load_pos(&i->src, "security"),
				"`security` must be auto, aes-128-gcm, chacha20-poly1305, none or "
				"zero, got %s",
				mf_config_quote(i->security, quoted));
}

void mf_load_check_cipher(struct mf_loader *l, const struct mf_config_interface *i)
{
	if (i->type == MF_CONFIG_SHADOWSOCKS)
		check_shadowsocks(l, i);
	else if (i->type == MF_CONFIG_VMESS)
		check_vmess(l, i);
}
