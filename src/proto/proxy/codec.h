/* SPDX-License-Identifier: Apache-2.0
 *
 * codec - a proxy protocol without I/O: payload in, bytes for the proxy out, and the other way
 * round. What drives one is src/proxy/codec_layer.c for sessions, and src/proxy/dgram*.c for
 * datagrams.
 *
 * A codec is a struct that begins with a struct mf_codec; src/proto/NAME has a function that
 * initialises it from that protocol's settings, for one target. It takes no memory. One thread.
 *
 * Everything in `in` comes from the server and is hostile until its tag is checked. After an error
 * `fault` says why, and only `wipe` is called.
 */
#ifndef MF_PROTO_PROXY_CODEC_H
#define MF_PROTO_PROXY_CODEC_H

#include "crypto/cipher.h"
#include "proto/proxy/fault.h"
#include "proto/proxy/target.h"

/* What all codecs of a worker share. */
struct mf_codec_env {
	struct mf_cipher *cipher;
	struct mf_rng rng;
	uint64_t (*wall)(void *ctx); /* seconds since 1970 */
	void *ctx;
};

/* What has come and is not used up yet, in one piece. The codec may change it in place (it
 * decrypts there), and takes bytes from the front: p moves on, n shrinks. The caller keeps what
 * is left, as it is, in front of what comes next; it always has room for MF_CODEC_IN_MAX bytes
 * in all. */
struct mf_codec_in {
	uint8_t *p;
	size_t n;
};
enum {
	MF_CODEC_IN_MAX = 72 * 1024, /* the longest message of a server, with room to spare */
	MF_CODEC_OUT_MIN = 2048,     /* least room that seal and finish are given */
};

struct mf_codec;

struct mf_codec_ops {
	const char *name;
	/* The proxy has to answer before payload may go: seal without payload and open take
	 * turns until `opened`. Else the request goes in front of the first payload. */
	bool handshake;
	/* `finish` says the end of what we send in the protocol itself (VMess). */
	bool has_end;
	/* Servers take the end of what we send for the end of both directions. */
	bool ends_both;
	/* One stream carries datagrams to and from any target (Trojan); else to its own alone. */
	bool dgram_any;

	/* ---- Sessions ------------------------------------------------------------------------ */

	/* Takes payload from the n spans, in their order, and writes what the proxy gets for it,
	 * at most `room` bytes (at least MF_CODEC_OUT_MIN); *len: how many. Returns how many
	 * bytes of payload it has taken. The first call writes the request, too, also if there
	 * is no payload. Later calls without payload write nothing, but for a handshake's next
	 * message if it is our turn. */
	size_t (*seal)(struct mf_codec *c, const struct mf_span *v, size_t n, uint8_t *out,
		       size_t room, size_t *len);
	/* With has_end, else NULL: writes the end of what we send, returns how many bytes.
	 * Nothing is sealed after it. */
	size_t (*finish)(struct mf_codec *c, uint8_t *out, size_t room);
	/* Uses up what it can of `in`, and fills the rooms with payload, in their order; *got:
	 * how many bytes. It stops when the rooms are full, or when more must come (MF_OK in
	 * both cases). Payload straight into a room where that is possible: the rooms are where
	 * it stays. `in` may be empty: there may be payload that did not fit before. MF_E_GONE:
	 * the server has said its end, no payload comes after *got. Other errors: it is broken,
	 * see `fault`; *got is 0. */
	mf_err (*open)(struct mf_codec *c, struct mf_codec_in *in, const struct mf_room *v,
		       size_t n, size_t *got);

	/* ---- Datagrams in a stream; NULL: it cannot ------------------------------------------ */

	/* Writes one datagram (the first time after the request); returns how many bytes, 0: it
	 * does not fit this protocol or `room`. `to` counts only with dgram_any. */
	size_t (*seal_dgram)(struct mf_codec *c, const struct mf_proxy_target *to,
			     struct mf_span payload, uint8_t *out, size_t room);
	/* The next datagram: *payload points into `in` (before p, and is good until the next
	 * call), *from is its sender; family 0: the codec's target, or a name that says no
	 * address. MF_E_SHORT: more must come. MF_E_GONE: the end. */
	mf_err (*open_dgram)(struct mf_codec *c, struct mf_codec_in *in, struct mf_span *payload,
			     struct mf_endpoint *from);

	/* Keys out of memory. */
	void (*wipe)(struct mf_codec *c);
};

/* Begins each protocol's struct. */
struct mf_codec {
	const struct mf_codec_ops *ops;
	const struct mf_codec_env *env;
	const struct mf_proxy_target *to; /* its bytes live until `begun` */
	bool begun;                       /* the request, which names the target, is written */
	bool opened;                      /* handshakes: the proxy has said yes */
	/* Sessions: from now on bytes go, or come, as they are, so that the caller may leave out
	 * seal, or open, and need not copy. What is left in `in` is payload then. Never taken
	 * back. */
	bool raw_up, raw_down;
	/* Sessions: open cannot go on before so many bytes are in `in`; 0: it does not know. Who has
	 * no memory to spare asks for no more. */
	uint32_t need;
	bool proven;   /* the proxy has shown that it has our key, or has said yes */
	uint8_t fault; /* enum mf_proxy_fault, after an error */
	int32_t skew;  /* with CLOCK: seconds that the server is ahead, if it says so */
};

/* For codecs. */
static inline mf_err mf_codec_fail(struct mf_codec *c, mf_err e, enum mf_proxy_fault f)
{
	c->fault = (uint8_t)f;
	return e;
}

/* Payload as it is, from spans to `out`, and from `in` to rooms, as much as there is and fits;
 * how many bytes. */
size_t mf_codec_gather(const struct mf_span *v, size_t n, uint8_t *out, size_t room);
size_t mf_codec_scatter(struct mf_codec_in *in, const struct mf_room *v, size_t n);
/* ops.wipe of codecs that keep no keys. */
void mf_codec_no_keys(struct mf_codec *c);
/* Takes n bytes that have been used away from the front. */
static inline void mf_codec_skip(struct mf_codec_in *in, size_t n)
{
	in->p += n;
	in->n -= n;
}

/* ---- Datagrams as packets (Shadowsocks, SOCKS5) ---------------------------------------------- */

enum { MF_PACKET_OVERHEAD_MAX = 512 }; /* most that a packet codec adds to a payload */

struct mf_packet_codec;
struct mf_packet_ops {
	const char *name;
	/* One datagram for the proxy; `out` does not overlap the payload. Returns how many
	 * bytes, 0: it does not fit `room`. */
	size_t (*seal)(struct mf_packet_codec *c, const struct mf_proxy_target *to,
		       struct mf_span payload, uint8_t *out, size_t room);
	/* One datagram from the proxy, opened in place: *payload points into it, *from is who
	 * sent it to the proxy; family 0: it is given by name. An error: it is to be dropped,
	 * `fault` says why; nothing has changed. */
	mf_err (*open)(struct mf_packet_codec *c, uint8_t *in, size_t n, struct mf_span *payload,
		       struct mf_endpoint *from);
	void (*wipe)(struct mf_packet_codec *c);
};
/* Begins each protocol's struct: one for each local port of an app. */
struct mf_packet_codec {
	const struct mf_packet_ops *ops;
	const struct mf_codec_env *env;
	uint8_t fault;
};

/* For codecs. */
static inline mf_err mf_packet_fail(struct mf_packet_codec *c, mf_err e, enum mf_proxy_fault f)
{
	c->fault = (uint8_t)f;
	return e;
}

#endif
