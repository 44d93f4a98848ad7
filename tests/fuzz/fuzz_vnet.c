/* SPDX-License-Identifier: Apache-2.0
 *
 * Any virtio header before any packet: what is accepted is written back as it was read.
 */
#include <stdlib.h>

#include "fix_ip4.h"
#include "wire/vnet.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	struct mf_pkt p = { 0 }, again;
	uint8_t hdr[MF_VNET_LEN];

	if (n < MF_VNET_LEN)
		return 0;
	p.len = (uint32_t)(n - MF_VNET_LEN);
	p.data = malloc(p.len + !p.len);
	memcpy(p.data, in + MF_VNET_LEN, p.len);
	fix_ip4(p.data, p.len);
	if (mf_vnet_decode(&p, in, MF_VNET_LEN) == MF_DROP_NONE) {
		MF_ASSERT(mf_vnet_check(&p) == MF_DROP_NONE);
		mf_vnet_encode(&p, hdr, MF_VNET_LEN);
		again = p;
		MF_ASSERT(mf_vnet_decode(&again, hdr, MF_VNET_LEN) == MF_DROP_NONE);
		MF_ASSERT(again.gso_type == p.gso_type && again.gso_size == p.gso_size &&
			  again.flags == p.flags && again.segments == p.segments &&
			  again.len == p.len && again.l4_off == p.l4_off);
	}
	free(p.data);
	return 0;
}
