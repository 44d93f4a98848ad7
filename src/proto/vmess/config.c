/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/vmess/header.h"

static const char *const names[] = {
	[MF_VMESS_AUTO] = "auto",
	[MF_VMESS_AES_128_GCM] = "aes-128-gcm",
	[MF_VMESS_CHACHA20_POLY1305] = "chacha20-poly1305",
	[MF_VMESS_NONE] = "none",
	[MF_VMESS_ZERO] = "zero",
};
static_assert(MF_ARRAY_LEN(names) == MF_VMESS_SECURITIES, "a name for each");

bool mf_vmess_security_find(const char *name, enum mf_vmess_security *out)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0) {
			*out = (enum mf_vmess_security)i;
			return true;
		}
	return false;
}

const char *mf_vmess_security_name(enum mf_vmess_security s)
{
	MF_ASSERT((unsigned)s < MF_VMESS_SECURITIES);
	return names[s];
}

void mf_vmess_config_set_uuid(struct mf_vmess_config *c, const uint8_t uuid[MF_UUID_LEN])
{
	static const char salt[] = "c48619fe-8f02-49e0-b9e9-edf763e17e21";
	const struct mf_span v[] = { mf_span(uuid, MF_UUID_LEN), mf_span(salt, sizeof(salt) - 1) };
	uint8_t key[MF_VMESS_KDF_LEN];

	mf_digest(MF_MD5, v, 2, c->key);
	mf_vmess_kdf(key, c->key, "AES Auth ID Encryption", NULL, 0);
	mf_cipher_key_init(&c->auth_id_key, MF_AES_128_GCM, key);
	mf_wipe(key, sizeof(key));
}
