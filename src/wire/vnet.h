/* SPDX-License-Identifier: Apache-2.0
 *
 * vnet - the virtio network header (virtio 1.2, 5.1.6) that carries offload metadata over a TUN device,
 * to and from struct mf_pkt. Nothing it says is believed before it fits the packet.
 */
#ifndef MF_WIRE_VNET_H
#define MF_WIRE_VNET_H

#include "base/pkt.h"

/* Host byte order, as TUN devices use unless told otherwise. */
struct mf_vnet_hdr {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;
	uint16_t csum_offset;
	uint16_t num_buffers; /* only in the 12-byte form */
};
static_assert(sizeof(struct mf_vnet_hdr) == 12, "virtio-net header");

enum {
	MF_VNET_LEN = 10,
	MF_VNET_MRG_LEN = 12,
	MF_VNET_F_NEEDS_CSUM = 1,
	MF_VNET_F_DATA_VALID = 2,
	MF_VNET_GSO_NONE = 0,
	MF_VNET_GSO_TCPV4 = 1,
	MF_VNET_GSO_UDP = 3, /* fragmentation offload: refused */
	MF_VNET_GSO_TCPV6 = 4,
	MF_VNET_GSO_UDP_L4 = 5,
	MF_VNET_GSO_ECN = 0x80,
};

/* Takes over what the header (of hdr_len 10 or 12 bytes, any alignment) says about packet p, whose data
 * and len are set, and checks it against the packet. Does the work of mf_ip_input as well: on success
 * ip_version, l4_off, l4_proto, offload fields and segments are set and consistent, and mf_gso_begin
 * will accept p. Returns MF_DROP_OFFLOAD_META if header and packet disagree, or mf_ip_input's reason. */
enum mf_drop mf_vnet_decode(struct mf_pkt *p, const void *hdr, size_t hdr_len);

/* Writes the header of hdr_len 10 or 12 bytes for p (after mf_ip_input, offload fields consistent). */
void mf_vnet_encode(const struct mf_pkt *p, void *hdr, size_t hdr_len);

/* Does p's offload metadata fit its headers? p has been through mf_ip_input. MF_DROP_NONE or
 * MF_DROP_OFFLOAD_META; sets p->segments. */
enum mf_drop mf_vnet_check(struct mf_pkt *p);

#endif
