/* SPDX-License-Identifier: Apache-2.0
 *
 * shown - the first bytes of sessions that show a name, as the tests of settling want them.
 */
#ifndef MF_TEST_SHOWN_H
#define MF_TEST_SHOWN_H

#include "support/hello.h"

enum { SHOWN_MAX = 8192, SHOWN_DATAGRAM = 1200 };

static inline void shown_hello(struct hello_bytes *o, const char *name, size_t pad, bool ech)
{
	*o = (struct hello_bytes){ .n = 0 };
	hello_make(o, &(struct hello_shape){
			      .name = name, .key_share = pad, .name_last = true, .ech = ech });
}

/* A ClientHello in a TLS record, `pad` bytes of it before the name. Returns its length. */
static inline size_t shown_tls(uint8_t out[SHOWN_MAX], const char *name, size_t pad, bool ech)
{
	static struct hello_bytes hello, o;

	shown_hello(&hello, name, pad, ech);
	o.n = 0;
	hello_records(&o, &hello, 16384);
	MF_ASSERT(o.n <= SHOWN_MAX);
	memcpy(out, o.b, o.n);
	return o.n;
}

/* Packet `number` of a client's first Initials: 1200 bytes with n of the ClientHello from `at` on. */
static inline void shown_initial(uint8_t out[SHOWN_DATAGRAM], const struct hello_bytes *hello,
				 uint32_t number, size_t at, size_t n)
{
	static const uint8_t dcid[8] = { 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08 };
	/* first byte, version, ids, token, length, number; tag */
	enum { AROUND = 1 + 4 + 1 + 8 + 1 + 1 + 2 + 1 + 16 };
	static struct hello_bytes frames, o;

	frames.n = o.n = 0;
	hello_crypto(&frames, hello, at, n);
	hello_initial(&o, &(struct hello_initial){ .version = HELLO_QUIC_V1,
						   .keys_from = mf_span(dcid, 8),
						   .dcid = mf_span(dcid, 8),
						   .number = number,
						   .number_len = 1,
						   .frames = mf_span(frames.b, frames.n),
						   .payload = SHOWN_DATAGRAM - AROUND });
	MF_ASSERT(o.n == SHOWN_DATAGRAM);
	memcpy(out, o.b, o.n);
}

#endif
