/* SPDX-License-Identifier: Apache-2.0
 *
 * vnet - reads, checks and writes virtio network headers.
 */
#include "wire/vnet.h"
#include "wire/csum.h"
#include "wire/ip.h"
#include "wire/tcp.h"
#include "wire/udp.h"

/* The L4 header of a super-packet, 0 if it is not what gso_type says. */
static size_t gso_l4_len(const struct mf_pkt *p)
{
	size_t n = p->len - p->l4_off, len;

	switch (p->gso_type) {
	case MF_GSO_TCP4:
	case MF_GSO_TCP6:
		if (p->ip_version != (p->gso_type == MF_GSO_TCP4 ? 4 : 6) ||
		    p->l4_proto != MF_IPPROTO_TCP || n < sizeof(struct mf_tcp_hdr))
			return 0;
		len = mf_tcp_hdr_len((const void *)(p->data + p->l4_off));
		return len >= sizeof(struct mf_tcp_hdr) && len <= n ? len : 0;
	case MF_GSO_UDP:
		if (p->l4_proto != MF_IPPROTO_UDP || n < sizeof(struct mf_udp_hdr) ||
		    mf_load_be16(p->data + p->l4_off + offsetof(struct mf_udp_hdr, len)) != n)
			return 0;
		return sizeof(struct mf_udp_hdr);
	default:
		return 0;
	}
}

static enum mf_drop check_gso(struct mf_pkt *p)
{
	size_t l4_len = gso_l4_len(p), payload;

	if (!l4_len || !p->gso_size || !(p->flags & MF_PKT_NEEDS_CSUM) || p->csum_start != p->l4_off ||
	    p->csum_offset != (p->gso_type == MF_GSO_UDP ? MF_UDP_CSUM_OFF : MF_TCP_CSUM_OFF) ||
	    mf_ip_is_fragment(p))
		return MF_DROP_OFFLOAD_META;
	payload = p->len - p->l4_off - l4_len;
	p->segments = payload ? (uint32_t)((payload + p->gso_size - 1) / p->gso_size) : 1;
	return MF_DROP_NONE;
}

enum mf_drop mf_vnet_check(struct mf_pkt *p)
{
	if (p->gso_type != MF_GSO_NONE)
		return check_gso(p);
	p->segments = 1;
	if (p->gso_size)
		return MF_DROP_OFFLOAD_META;
	/* A checksum over a part of a datagram would be wrong wherever it is completed. The start may
	 * be further in: the kernel leaves the checksum of an inner packet to us. */
	if ((p->flags & MF_PKT_NEEDS_CSUM) &&
	    (p->csum_start < p->l4_off || p->csum_start + p->csum_offset + 2u > p->len ||
	     (p->csum_offset & 1) || mf_ip_is_fragment(p)))
		return MF_DROP_OFFLOAD_META;
	return MF_DROP_NONE;
}

/* Puts the pseudo-header sum where the finished checksum of a super-packet was. */
static void ask_for_csum(struct mf_pkt *p)
{
	uint32_t n = p->len - p->l4_off;
	uint64_t sum;

	p->flags |= MF_PKT_NEEDS_CSUM;
	p->csum_start = p->l4_off;
	p->csum_offset = p->gso_type == MF_GSO_UDP ? MF_UDP_CSUM_OFF : MF_TCP_CSUM_OFF;
	if (p->ip_version == 4)
		sum = mf_csum_pseudo4(p->data + offsetof(struct mf_ip4_hdr, src), p->l4_proto, n);
	else
		sum = mf_csum_pseudo6(p->data + offsetof(struct mf_ip6_hdr, src), p->l4_proto, n);
	mf_csum_store(p->data + p->csum_start + p->csum_offset, mf_csum_fold(sum));
}

static bool take_gso_type(struct mf_pkt *p, const struct mf_vnet_hdr *h)
{
	switch (h->gso_type & ~MF_VNET_GSO_ECN) {
	case MF_VNET_GSO_NONE:
		/* Some senders leave a size in here; it means nothing. */
		p->gso_type = MF_GSO_NONE;
		p->gso_size = 0;
		return h->gso_type == MF_VNET_GSO_NONE;
	case MF_VNET_GSO_TCPV4:
		p->gso_type = MF_GSO_TCP4;
		break;
	case MF_VNET_GSO_TCPV6:
		p->gso_type = MF_GSO_TCP6;
		break;
	case MF_VNET_GSO_UDP_L4:
		if (h->gso_type & MF_VNET_GSO_ECN)
			return false;
		p->gso_type = MF_GSO_UDP;
		break;
	default:
		return false;
	}
	p->gso_size = h->gso_size;
	return h->gso_size != 0;
}

enum mf_drop mf_vnet_decode(struct mf_pkt *p, const void *hdr, size_t hdr_len)
{
	struct mf_vnet_hdr h = { 0 };
	enum mf_drop r;

	MF_ASSERT(hdr_len == MF_VNET_LEN || hdr_len == MF_VNET_MRG_LEN);
	memcpy(&h, hdr, hdr_len);
	p->flags &= (uint8_t)~MF_PKT_NEEDS_CSUM;
	p->gso_type = MF_GSO_NONE;
	p->gso_size = 0;
	p->segments = 1;
	r = mf_ip_input(p);
	if (r || MF_LIKELY(!h.flags && !h.gso_type))
		return r;
	if ((h.flags & ~(MF_VNET_F_NEEDS_CSUM | MF_VNET_F_DATA_VALID)) || !take_gso_type(p, &h))
		return MF_DROP_OFFLOAD_META;
	if (h.flags & MF_VNET_F_NEEDS_CSUM) {
		p->flags |= MF_PKT_NEEDS_CSUM;
		p->csum_start = h.csum_start;
		p->csum_offset = h.csum_offset;
	} else if (p->gso_type != MF_GSO_NONE) {
		/* Merged on receipt by the kernel, which has checked the sums of all parts. */
		if (!(h.flags & MF_VNET_F_DATA_VALID) || !gso_l4_len(p))
			return MF_DROP_OFFLOAD_META;
		ask_for_csum(p);
	}
	return mf_vnet_check(p);
}

void mf_vnet_encode(const struct mf_pkt *p, void *hdr, size_t hdr_len)
{
	struct mf_vnet_hdr h = { 0 };

	MF_ASSERT(hdr_len == MF_VNET_LEN || hdr_len == MF_VNET_MRG_LEN);
	if (p->flags & MF_PKT_NEEDS_CSUM) {
		h.flags = MF_VNET_F_NEEDS_CSUM;
		h.csum_start = p->csum_start;
		h.csum_offset = p->csum_offset;
	}
	if (p->gso_type != MF_GSO_NONE) {
		const struct mf_tcp_hdr *t = (const void *)(p->data + p->l4_off);

		h.gso_size = p->gso_size;
		if (p->gso_type == MF_GSO_UDP) {
			h.gso_type = MF_VNET_GSO_UDP_L4;
			h.hdr_len = (uint16_t)(p->l4_off + sizeof(struct mf_udp_hdr));
		} else {
			h.gso_type = p->gso_type == MF_GSO_TCP4 ? MF_VNET_GSO_TCPV4
								: MF_VNET_GSO_TCPV6;
			h.hdr_len = (uint16_t)(p->l4_off + mf_tcp_hdr_len(t));
			if (t->flags & MF_TCP_CWR)
				h.gso_type |= MF_VNET_GSO_ECN;
		}
	}
	memcpy(hdr, &h, hdr_len);
}
