/* SPDX-License-Identifier: Apache-2.0
 *
 * What an HTTPS server says after the handshake, into a session that has asked questions. The first
 * byte says how many bytes come at a time, the second how many questions are open, the third which
 * of them nobody waits for.
 *
 * Whatever comes: every question ends at most once, only with status 200 is there an answer, none
 * is longer than a DNS message, all that are not whole stay within their bound, and what we send
 * stays in proportion.
 */
#include "resolver/https_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { QUESTIONS = 32, SENT_MAX = 1 << 20 };

static size_t sent, room;
static unsigned ended[QUESTIONS];

static bool take(void *ctx, struct mf_span bytes)
{
	(void)ctx;
	MF_ASSERT(bytes.p && bytes.n);
	if (bytes.n > room)
		return false;
	room -= bytes.n;
	sent += bytes.n;
	return true;
}

static void collect(struct mf_https_session *s)
{
	struct mf_https_request *r;

	while ((r = mf_https_session_ended(s))) {
		unsigned *times = r->owner;

		MF_ASSERT(r->outcome != MF_HTTPS_OPEN && r->n_answer <= MF_HTTPS_ANSWER_MAX);
		MF_ASSERT(r->outcome != MF_HTTPS_ANSWERED || (r->status == 200 && r->right_type));
		MF_ASSERT(!times || ++*times == 1);
		mf_https_request_free(r);
	}
}

/* Returns the number of questions that the session took. */
static uint32_t ask(struct mf_https_session *s, unsigned n, uint8_t abandon)
{
	static const uint8_t question[128] = { 1 };
	uint32_t taken = 0;

	for (unsigned i = 0; i < n; i++) {
		struct mf_https_request *r =
			mf_https_session_ask(s, mf_span(question, sizeof(question)), &ended[i]);

		if (!r)
			continue;
		taken++;
		MF_ASSERT(mf_https_session_find(s, r->stream) == r);
		if (abandon >> i % 8 & 1)
			mf_https_request_abandon(r);
	}
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_https_options o = { .authority = "dns.example", .path = "/dns-query", .write = take };
	struct mf_https_session *s = mf_https_session_new(&o);
	size_t step = size > 0 ? data[0] + 1u : 1;
	uint32_t running;

	MF_ASSERT(s);
	memset(ended, 0, sizeof(ended));
	sent = 0;
	room = 4096;
	running = ask(s, size > 1 ? data[1] % QUESTIONS : 1, size > 2 ? data[2] : 0);
	for (size_t at = 3; at < size; at += step) {
		size_t n = mf_min(step, size - at);

		if (mf_https_session_send(s) != MF_OK ||
		    mf_https_session_feed(s, mf_span(data + at, n)) != MF_OK)
			break;
		collect(s);
		room += 64; /* the network takes less than we would like to say */
		MF_ASSERT(mf_https_session_running(s) <= running);
	}
	collect(s);
	MF_ASSERT(sent <= 4096 + 64 * size);
	mf_https_session_leave(s);
	if (mf_https_session_send(s) != MF_OK)
		collect(s);
	mf_https_session_free(s);
	return 0;
}
