/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as an IP packet: whatever mf_ip_input accepts, everything else of wire/ip and wire/nat may
 * be asked about it.
 */
#include <stdlib.h>

#include "fix_ip4.h"
#include "wire/ip.h"
#include "wire/nat.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

static void ask(struct mf_pkt *p, size_t n)
{
	struct mf_addr to = mf_ip_dst(p);

	MF_ASSERT(p->len <= n && p->l4_off <= p->len);
	MF_ASSERT(mf_ip_peek_len(p->data, n) == p->len);
	mf_ip_martian_source(p);
	mf_ip_martian_destination(p);
	mf_ip_is_fragment(p);
	mf_flow_hash(p);
	mf_ip_set_ecn(p->data, MF_ECN_CE);
	MF_ASSERT(mf_ip_ecn(p->data) == MF_ECN_CE);
	mf_ip_ttl(p->data);
	to.b[1] ^= 0x55;
	mf_nat_source(p, &to);
	mf_nat_destination(p, &to);
	/* what we changed is as well formed as it was */
	MF_ASSERT(mf_ip_input(p) == MF_DROP_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_pkt p = { .data = malloc(n + !n) };

	if (n)
		memcpy(p.data, in, n);
	p.len = (uint32_t)n;
	fix_ip4(p.data, p.len);
	if (mf_ip_input(&p) == MF_DROP_NONE)
		ask(&p, n);
	free(p.data);
	return 0;
}
