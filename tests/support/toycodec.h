/* SPDX-License-Identifier: Apache-2.0
 *
 * toycodec - a proxy protocol for tests of what drives codecs, and its server.
 *
 * Request: 'T', port (2), length of the name, name (or the address as text). Then messages in both
 * directions: length (2, big-endian, 1..TOY_MESSAGE_MAX), payload XOR 0x5a; length 0: the end. The
 * server begins with 'Y', or with 'N' and a byte which is the fault. With `raw` there are no
 * messages, but bytes as they are.
 */
#ifndef MF_TOYCODEC_H
#define MF_TOYCODEC_H

#include "proxy/codec_layer.h"

enum { TOY_MESSAGE_MAX = 20000 };

struct toy_config {
	bool handshake; /* payload only after the 'Y' */
	bool end;       /* length 0 is sent */
	bool ends_both; /* ... and ends both directions, says the codec */
	bool raw;
};
extern const struct mf_codec_kind toy_kind; /* its config: struct toy_config */

/* What a server makes of `n` bytes of a client. */
struct toy_heard {
	char name[256];
	uint16_t port;
	size_t request; /* bytes of it, 0: not complete */
	uint8_t *payload;
	size_t n;
	bool end;
};
void toy_hear(struct toy_heard *h, const uint8_t *p, size_t n, bool raw);
void toy_heard_free(struct toy_heard *h);
/* One message: writes it to `out` (n + 2 bytes), returns its length. n 0: the end. */
size_t toy_message(uint8_t *out, const void *payload, size_t n);

#endif
