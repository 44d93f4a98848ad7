/* SPDX-License-Identifier: Apache-2.0
 *
 * session - see session.h. The sequence lock: the release fence keeps the odd number before every word that
 * is written, the acquire fence keeps every word that is read before the second look at the number (Boehm,
 * "Can seqlocks get along with programming language memory models?", 2012).
 */
#include "host/session.h"

enum { WORDS = sizeof(struct mf_session_facts) / sizeof(uint64_t) };

const char *mf_session_state_text(enum mf_session_state s)
{
	static const char *const text[] = {
#define X(name, t) [MF_SESSION_##name] = t,
		MF_SESSION_STATE_LIST(X)
#undef X
	};

	return s < MF_SESSION_STATE_COUNT ? text[s] : "?";
}

void mf_session_write_facts(struct mf_session_public *pub, const struct mf_session_facts *facts)
{
	const uint64_t *from = (const void *)facts;
	uint64_t *to = (void *)&pub->facts;
	uint32_t seq = pub->seq;

	__atomic_store_n(&pub->seq, seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	for (unsigned i = 0; i < WORDS; i++)
		if (to[i] != from[i]) /* most are as they were */
			__atomic_store_n(&to[i], from[i], __ATOMIC_RELAXED);
	__atomic_store_n(&pub->seq, seq + 2, __ATOMIC_RELEASE);
}

void mf_session_read_facts(const struct mf_session_public *pub, struct mf_session_facts *out)
{
	const uint64_t *from = (const void *)&pub->facts;
	uint64_t *to = (void *)out;
	uint32_t seq;

	do {
		seq = __atomic_load_n(&pub->seq, __ATOMIC_ACQUIRE);
		for (unsigned i = 0; i < WORDS; i++)
			to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (seq & 1 || seq != __atomic_load_n(&pub->seq, __ATOMIC_RELAXED));
}
