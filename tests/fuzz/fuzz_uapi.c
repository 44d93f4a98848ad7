/* SPDX-License-Identifier: Apache-2.0
 *
 * The UAPI over a whole engine: no crash, no leak, every answer ends with errno and an empty line, and
 * what `get` prints is what `set` takes (but for the three numbers that only `get` has).
 */
#include "control/uapi.h"

#include <stdlib.h>

#include "base/json.h"
#include "support/testnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct testnet net;

static bool feed(struct mf_uapi *u, const void *bytes, size_t n, struct mf_text *all)
{
	bool open = mf_uapi_input(u, bytes, n, net.now);
	struct mf_span out;

	while ((out = mf_uapi_output(u)).n) {
		mf_text_add(all, (const char *)out.p, out.n);
		(void)mf_uapi_sent(u, out.n, net.now);
	}
	return open;
}

/* The lines of a device that can be set again. */
static void settable(const struct mf_text *got, struct mf_text *out)
{
	static const char *const skip[] = { "last_handshake_time_",
					    "tx_bytes=", "rx_bytes=", "errno=" };

	mf_text_printf(out, "set=1\nreplace_peers=true\n");
	for (const char *s = got->s; *s && *s != '\n'; s = strchr(s, '\n') + 1) {
		bool take = true;

		for (size_t i = 0; i < MF_ARRAY_LEN(skip); i++)
			take &= strncmp(s, skip[i], strlen(skip[i])) != 0;
		if (take)
			mf_text_add(out, s, (size_t)(strchr(s, '\n') - s) + 1);
	}
	mf_text_printf(out, "\nget=1\n\n");
}

static void check_round_trip(void)
{
	struct mf_uapi *u = mf_uapi_new(net.side[0].engine, "wg0");
	struct mf_text once = { 0 }, again = { 0 }, set = { 0 };

	MF_ASSERT(feed(u, "get=1\n\n", 7, &once));
	settable(&once, &set);
	MF_ASSERT(feed(u, set.s, set.len, &again));
	MF_ASSERT(!strncmp(again.s, "errno=0\n\n", 9));
	mf_text_free(&set);
	mf_uapi_free(u);
	mf_text_free(&once);
	mf_text_free(&again);
}

/* The first byte says how many bytes come at a time. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char clear[] = "set=1\nreplace_peers=true\n\n";
	size_t step = size ? data[0] + 1u : 1;
	struct mf_text all = { 0 };
	struct mf_uapi *u;
	bool open = true;

	if (!net.side[0].engine)
		testnet_open(&net, &(struct testnet_options){ .seed = 1 });
	u = mf_uapi_new(net.side[0].engine, "wg0");
	for (size_t at = 1; at < size && open; at += step)
		open = feed(u, data + at, mf_min(step, size - at), &all);
	MF_ASSERT(!all.len || (all.len >= 9 && !memcmp(all.s + all.len - 2, "\n\n", 2)));
	mf_uapi_free(u);
	check_round_trip();
	u = mf_uapi_new(net.side[0].engine, "wg0");
	MF_ASSERT(feed(u, clear, sizeof(clear) - 1, &all));
	mf_uapi_free(u);
	mf_text_free(&all);
	testnet_settle(&net);
	return 0;
}
