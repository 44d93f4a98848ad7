/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as a packet (the first two: which error, and offload metadata) that we send an ICMP error
 * or a reset about: the answer is well formed and its checksum right.
 */
#include <stdlib.h>

#include "fix_ip4.h"
#include "wire/csum.h"
#include "wire/icmp.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

static void check_answer(struct mf_pkt *r)
{
	struct mf_pkt again;

	if (!r)
		return;
	again = *r;
	MF_ASSERT(mf_ip_input(&again) == MF_DROP_NONE && again.len == r->len);
	MF_ASSERT(again.l4_off == r->l4_off && again.l4_proto == r->l4_proto);
	if (r->l4_proto == MF_IPPROTO_ICMP)
		MF_ASSERT(mf_csum_fold(mf_csum_add(r->data + r->l4_off, r->len - r->l4_off, 0)) ==
			  0xffff);
	else
		MF_ASSERT(mf_ip_l4_csum_ok(r));
	mf_pkt_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_addr us4 = mf_addr_ip4("\x0a\x01\x01\x01");
	struct mf_addr us6 =
		mf_addr_ip6("\xfd\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01");
	struct mf_pkt_pool *pool;
	struct mf_pkt p = { 0 };

	if (n < 1 + MF_VNET_LEN)
		return 0;
	p.len = (uint32_t)(n - 1 - MF_VNET_LEN);
	p.data = malloc(p.len + !p.len);
	memcpy(p.data, in + 1 + MF_VNET_LEN, p.len);
	fix_ip4(p.data, p.len);
	pool = mf_pkt_pool_new(2, 0);
	if (mf_vnet_decode(&p, in + 1, MF_VNET_LEN) == MF_DROP_NONE) {
		const struct mf_addr *us = p.ip_version == 4 ? &us4 : &us6;
		unsigned what = in[0] % (MF_ICMP_TTL_EXCEEDED + 1);

		mf_icmp_path_mtu(&p);
		check_answer(mf_icmp_error(pool, &p, us, (enum mf_icmp_error)what, in[0] * 100u));
		check_answer(mf_tcp_reset(pool, &p));
	}
	mf_pkt_pool_free(pool);
	free(p.data);
	return 0;
}
