/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/password.h"
#include "crypto/digest.h"
#include "crypto/sodium_ready.h"

void mf_password_md5(uint8_t out[MF_PASSWORD_KEY_LEN], const char *password)
{
	struct mf_span v[] = { mf_span(out, MF_MD5_LEN), mf_span(password, strlen(password)) };

	static_assert(MF_PASSWORD_KEY_LEN == 2 * MF_MD5_LEN, "two steps");
	mf_digest(MF_MD5, v + 1, 1, out);
	mf_digest(MF_MD5, v, 2, out + MF_MD5_LEN);
}

bool mf_password_base64(uint8_t *out, size_t want, struct mf_span text)
{
	const char *begin = (const char *)text.p, *end = NULL;
	size_t n = 0;

	mf_sodium_ready();
	if (sodium_base642bin(out, want, begin, text.n, NULL, &n, &end,
			      sodium_base64_VARIANT_ORIGINAL) == 0 &&
	    n == want && end == begin + text.n)
		return true;
	mf_wipe(out, want);
	return false;
}
