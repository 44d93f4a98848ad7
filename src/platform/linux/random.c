/* SPDX-License-Identifier: Apache-2.0
 *
 * random - getrandom(2).
 */
#include "platform/random.h"

#include <errno.h>
#include <sys/random.h>

static void fill(void *ctx, void *out, size_t n)
{
	uint8_t *p = out;

	(void)ctx;
	while (n) {
		/* Up to 256 bytes come whole once the generator is seeded; more may be cut by a signal. */
		ssize_t r = getrandom(p, mf_min(n, 256), 0);

		if (r < 0 && errno == EINTR)
			continue;
		/* Keys without randomness are worse than no program. */
		MF_ASSERT(r > 0);
		p += r;
		n -= (size_t)r;
	}
}

struct mf_rng mf_random(void)
{
	return (struct mf_rng){ .fill = fill };
}
