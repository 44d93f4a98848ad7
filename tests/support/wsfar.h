/* SPDX-License-Identifier: Apache-2.0
 *
 * wsfar - a WebSocket server in memory, by wslay and OpenSSL: the far side of proto/websocket, and
 * a second opinion on it. Whatever wslay refuses stops the test.
 */
#ifndef MF_WSFAR_H
#define MF_WSFAR_H

#include <wslay/wslay.h>

#include "base/base.h"
#include "base/prng.h"

struct wsfar_bytes {
	uint8_t *p;
	size_t n, cap;
};

struct wsfar {
	wslay_event_context_ptr ws;
	struct mf_prng *prng;       /* sizes of fragments */
	struct wsfar_bytes in;      /* from the client, not read yet */
	struct wsfar_bytes out;     /* for the client: the test takes from it */
	struct wsfar_bytes got;     /* payload of data that came */
	struct wsfar_bytes request; /* the client's, whole, with a NUL behind it */
	struct wsfar_bytes source;  /* what is to be sent in fragments */
	char extra[256];            /* more lines of the answer to it, each with CR LF */
	bool upgraded;
	size_t frames; /* of data, that came */
	unsigned pongs, pings;
	uint8_t pong[125]; /* the last one's payload */
	size_t n_pong;
	uint16_t code; /* of the client's close frame */
	bool closed;   /* it has come */
};

/* With `upgraded` the handshake is thought to be over. */
void wsfar_init(struct wsfar *f, struct mf_prng *prng, bool upgraded);
void wsfar_fini(struct wsfar *f);
/* Bytes from the client: answers the request (status 101), then reads frames. */
void wsfar_input(struct wsfar *f, const void *p, size_t n);
/* A message in one frame, or in fragments of any size; opcode as wslay has it. */
void wsfar_send(struct wsfar *f, uint8_t opcode, const void *p, size_t n, bool fragments);
void wsfar_close(struct wsfar *f, uint16_t code);

void wsfar_append(struct wsfar_bytes *b, const void *p, size_t n);
/* Takes n bytes away from the front. */
void wsfar_drop(struct wsfar_bytes *b, size_t n);

#endif
