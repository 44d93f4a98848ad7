/* SPDX-License-Identifier: Apache-2.0
 *
 * codeclab - a codec of a proxy and a server of the test's own, with a wire between them that cuts
 * bytes anywhere: payload goes both ways, in spans, rooms and memory of any size. Fuzz targets use
 * it, too.
 */
#ifndef MF_TEST_CODECLAB_H
#define MF_TEST_CODECLAB_H

#include "base/prng.h"
#include "proto/proxy/codec.h"

/* Bytes that grow; all zero: none. */
struct lab_bytes {
	uint8_t *p;
	size_t n, room;
};
void lab_add(struct lab_bytes *b, const void *p, size_t n);
void lab_drop(struct lab_bytes *b, size_t n); /* from the front */
void lab_free(struct lab_bytes *b);
static inline void lab_text(struct lab_bytes *b, const char *s)
{
	lab_add(b, s, strlen(s));
}

enum { LAB_WALL = 1700000000 }; /* what the codecs' clock says */

struct codeclab {
	struct mf_prng g;
	struct mf_codec_env env; /* for the codec; no cipher */
	struct mf_codec *codec;
	/* The server: takes what it can use of `arrived`, puts payload into `heard`; and for as
	 * much payload as it likes from the front of `answer` it puts something into `sent`.
	 * Called again and again. */
	void (*serve)(struct codeclab *lab);
	struct lab_bytes arrived, heard, answer, sent;
	/* The client's side: payload to go, and what has come; bytes on their way to the server. */
	struct lab_bytes say, got, up;
	struct lab_bytes rest; /* come, but not used yet */
};

/* Fills in the generator and the environment. */
void codeclab_init(struct codeclab *l, uint64_t seed);
void codeclab_fini(struct codeclab *l);

/* A move of the client: seal with some spans and some room. */
void codeclab_seal(struct codeclab *l);
/* A move of the client: some of `sent` comes, open with some rooms. */
mf_err codeclab_open(struct codeclab *l);
/* Sends so many random bytes of payload both ways, until all have arrived, and compares them.
 * Asserts that it comes to an end. */
void codeclab_run(struct codeclab *l, size_t up, size_t down);
/* `n` bytes come from a server that looks at nothing; in handshakes the client says what it has
 * to. Payload is in `got`. The first error, or MF_OK when all has been used that can be. */
mf_err codeclab_feed(struct codeclab *l, const void *p, size_t n);

/* For servers: all that has arrived is payload, and some of the answer goes as it is. */
void codeclab_serve_raw(struct codeclab *l);

#endif
