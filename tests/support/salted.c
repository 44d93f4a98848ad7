/* SPDX-License-Identifier: Apache-2.0
 *
 * salted - see salted.h.
 */
#include "salted.h"

static uint8_t byte_at(uint64_t salt, uint64_t i)
{
	uint64_t z = (salt + i / 8) * 0x9e3779b97f4a7c15u;

	return (uint8_t)((z ^ z >> 29) >> (i % 8 * 8));
}

void salted_fill(uint8_t *out, uint64_t salt, uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = byte_at(salt, from + i);
}

bool salted_right(const uint8_t *bytes, uint64_t salt, uint64_t from, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != byte_at(salt, from + i))
			return false;
	return true;
}

size_t salted_send(struct mf_tcp_env *env, struct mf_tcp *c, uint64_t salt, uint64_t *at, size_t n)
{
	size_t done = 0, part;

	while (done < n && (part = mf_min(n - done, mf_tcp_send_room(c))) > 0) {
		struct mf_pkt *p = part > MF_PKT_SMALL_MAX ? mf_pkt_large(env->pool)
							   : mf_pkt_small(env->pool);

		if (!p)
			break;
		part = mf_min(part, mf_tcp_send_chunk(c));
		salted_fill(p->data, salt, *at, part);
		p->len = (uint32_t)part;
		mf_tcp_send(env, c, p);
		*at += part;
		done += part;
	}
	return done;
}

size_t salted_read(struct mf_tcp_env *env, struct mf_tcp *c, uint64_t salt, uint64_t *at, size_t n)
{
	struct mf_span v[16];
	size_t done = 0, k;

	while (done < n && (k = mf_tcp_recv_spans(c, v, MF_ARRAY_LEN(v), NULL)) > 0) {
		size_t round = 0;

		for (size_t i = 0; i < k && done + round < n; i++) {
			size_t part = mf_min(v[i].n, n - done - round);

			MF_ASSERT(salted_right(v[i].p, salt, *at, part));
			*at += part;
			round += part;
		}
		mf_tcp_recv_done(env, c, round);
		done += round;
	}
	return done;
}
