/* SPDX-License-Identifier: Apache-2.0
 *
 * pcapng - writes the blocks of a pcapng file, in host byte order and with times in nanoseconds.
 *
 * Source: draft-ietf-opsawg-pcapng, sections 4.1 (section header), 4.2 (interface description), 4.3
 * (enhanced packet), 4.6 (interface statistics).
 */
#ifndef MF_PCAPNG_H
#define MF_PCAPNG_H

#include "base/json.h"

enum {
	MF_LINKTYPE_RAW = 101,                 /* starts with an IPv4 or IPv6 header */
	MF_LINKTYPE_WIRESHARK_UPPER_PDU = 252, /* a dissector's name, then what it dissects */
};

void mf_pcapng_begin(struct mf_text *out, const char *application);
/* Interfaces are numbered 0, 1, ... in the order of these calls. */
void mf_pcapng_interface(struct mf_text *out, uint16_t linktype, uint32_t snaplen, const char *name,
			 const char *description);

struct mf_pcapng_packet {
	uint32_t interface;
	uint64_t time;        /* nanoseconds since 1970 */
	uint32_t len;         /* of the packet */
	struct mf_span head;  /* put in front of `bytes`, and counted in its length; may be empty */
	struct mf_span bytes; /* what there is of the packet */
	const char *comment;  /* NULL: none */
};
void mf_pcapng_packet(struct mf_text *out, const struct mf_pcapng_packet *p);

/* Statistics of an interface: packets that could not be captured. */
void mf_pcapng_statistics(struct mf_text *out, uint32_t interface, uint64_t time, uint64_t missed);

#endif
