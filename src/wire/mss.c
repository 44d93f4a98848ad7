/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/mss.h"

#include "wire/csum.h"
#include "wire/ip4.h"
#include "wire/ip6.h"

enum { END = 0, NOP = 1, MSS = 2, MSS_LEN = 4 };

/* Where the value of the MSS option is, NULL: there is none, or the options are damaged before it. */
static uint8_t *find(uint8_t *at, const uint8_t *end)
{
	while (at < end && *at != END) {
		if (*at == NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return NULL;
		if (*at == MSS)
			return at[1] == MSS_LEN ? at + 2 : NULL;
		at += at[1];
	}
	return NULL;
}

/* A value at an odd distance from the header lies across two words of the sum, its bytes swapped. */
static uint16_t word_at(const uint8_t *value, const uint8_t *header)
{
	uint16_t w = mf_csum_load(value);

	return (value - header) % 2 ? __builtin_bswap16(w) : w;
}

bool mf_mss_clamp_syn(struct mf_pkt *p, uint32_t mtu)
{
	uint32_t headers = (uint32_t)((p->ip_version == 4 ? sizeof(struct mf_ip4_hdr)
							  : sizeof(struct mf_ip6_hdr)) +
				      sizeof(struct mf_tcp_hdr));
	struct mf_tcp_hdr *t = (void *)(p->data + p->l4_off);
	uint8_t *header = (uint8_t *)t, *value;
	size_t len = mf_tcp_hdr_len(t);
	uint16_t before;

	if (len < sizeof(*t) || len > p->len - p->l4_off || mtu <= headers)
		return false;
	value = find(header + sizeof(*t), header + len);
	if (!value || mf_load_be16(value) <= mtu - headers)
		return false;
	before = word_at(value, header);
	mf_store_be16(value, (uint16_t)(mtu - headers));
	/* A checksum that is still to be completed covers only the pseudo-header so far. */
	if (!(p->flags & MF_PKT_NEEDS_CSUM))
		mf_csum_store(&t->csum, mf_csum_update(mf_csum_load(&t->csum), before,
						       word_at(value, header)));
	return true;
}
