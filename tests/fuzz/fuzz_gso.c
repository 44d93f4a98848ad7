/* SPDX-License-Identifier: Apache-2.0
 *
 * Any virtio header before any packet, cut: every segment is a well-formed packet, together they have
 * all payload, and what follows the current one is as it was.
 */
#include <stdlib.h>

#include "fix_ip4.h"
#include "wire/gso.h"
#include "wire/ip.h"
#include "wire/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

static void cut(struct mf_pkt *p, const uint8_t *copy)
{
	size_t max = mf_gso_max_len(p), len, n = 0, payload = 0, hdr = 0;
	uint8_t *seg, first[MF_GSO_HDR_MAX], *end = p->data;
	uint32_t total = p->len;
	bool super = p->gso_type != MF_GSO_NONE;
	struct mf_gso g;

	hdr = mf_gso_first_header(p, first);
	if (mf_gso_begin(&g, p))
		return;
	MF_ASSERT(!!hdr == super);
	while ((len = mf_gso_next(&g, &seg))) {
		struct mf_pkt v = { .data = seg, .len = (uint32_t)len };

		MF_ASSERT(len <= max && seg >= p->data && seg + len <= p->data + total);
		MF_ASSERT(mf_ip_input(&v) == MF_DROP_NONE && v.len == len);
		if (n++ == 0)
			MF_ASSERT(!memcmp(seg, first, hdr));
		payload += len - hdr;
		end = seg + len;
		if (super)
			MF_ASSERT(!memcmp(end, copy + (end - p->data),
					  total - (size_t)(end - p->data)));
		memset(seg, 0x5a, len);
	}
	MF_ASSERT(n == mf_gso_count(&g) && end == p->data + total && payload == total - hdr);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_pkt p = { 0 };
	uint8_t *copy;

	if (n < MF_VNET_LEN)
		return 0;
	p.len = (uint32_t)(n - MF_VNET_LEN);
	p.data = malloc(p.len + !p.len);
	copy = malloc(p.len + !p.len);
	memcpy(p.data, in + MF_VNET_LEN, p.len);
	fix_ip4(p.data, p.len);
	memcpy(copy, p.data, p.len);
	if (mf_vnet_decode(&p, in, MF_VNET_LEN) == MF_DROP_NONE)
		cut(&p, copy);
	free(copy);
	free(p.data);
	return 0;
}
