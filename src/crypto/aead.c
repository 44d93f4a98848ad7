/* SPDX-License-Identifier: Apache-2.0
 *
 * aead - keys, the choice of a back-end, and the way into it.
 */
#include "crypto/aead_backend.h"

#include <stdatomic.h>

/* Best first, measured with bench/micro/crypto (docs of each back-end say where it wins). */
static const struct mf_aead_backend *const backends[] = {
#ifdef MF_HAVE_IPSEC_MB
	&mf_aead_ipsec_mb,
#endif
	&mf_aead_openssl_sodium,
	&mf_aead_openssl,
	&mf_aead_sodium,
};

static const char *const names[] = {
#ifdef MF_HAVE_IPSEC_MB
	"ipsec-mb",
#endif
	"openssl+sodium", "openssl", "sodium", NULL,
};
static_assert(MF_ARRAY_LEN(names) == MF_ARRAY_LEN(backends) + 1, "every back-end has a name");

void mf_aead_key_init(struct mf_aead_key *key, const uint8_t bytes[MF_AEAD_KEY_LEN])
{
	static _Atomic uint64_t last;

	memcpy(key->b, bytes, sizeof(key->b));
	key->serial = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
}

void mf_aead_key_wipe(struct mf_aead_key *key)
{
	mf_wipe(key, sizeof(*key));
}

struct mf_aead *mf_aead_new(const char *backend)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(backends); i++) {
		struct mf_aead *ctx;

		if (backend && strcmp(backend, backends[i]->name) != 0)
			continue;
		ctx = backends[i]->create();
		if (ctx || backend)
			return ctx;
	}
	return NULL;
}

void mf_aead_free(struct mf_aead *ctx)
{
	if (ctx)
		ctx->backend->free(ctx);
}

const char *const *mf_aead_backends(void)
{
	return names;
}

const char *mf_aead_backend(const struct mf_aead *ctx)
{
	return ctx->backend->name;
}

void mf_aead_seal(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		  const uint8_t *src, size_t n, uint8_t *dst)
{
	ctx->backend->seal(ctx, key, counter, src, n, dst);
}

bool mf_aead_open(struct mf_aead *ctx, const struct mf_aead_key *key, uint64_t counter,
		  const uint8_t *src, size_t n, uint8_t *dst)
{
	if (MF_UNLIKELY(n < MF_AEAD_TAG_LEN))
		return false;
	return ctx->backend->open(ctx, key, counter, src, n, dst);
}
