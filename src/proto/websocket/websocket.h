/* SPDX-License-Identifier: Apache-2.0
 *
 * websocket - the client of a WebSocket (RFC 6455) that carries a stream of bytes in binary frames,
 * without I/O: handshake.c asks for it, frame.c is what follows. Where messages begin and end means
 * nothing.
 *
 * The frames are our own: the library wslay masks byte by byte, slower than AES-GCM encrypts, and
 * holds 5 KiB for each connection. In the tests it is the server.
 *
 * What has been read of a connection lies in `in` of whoever drives it until it is used, so that
 * this takes no memory. One thread.
 */
#ifndef MF_PROTO_WEBSOCKET_H
#define MF_PROTO_WEBSOCKET_H

#include "base/err.h"
#include "proto/http/head.h"
#include "proto/proxy/codec.h"

/* Names and values without CR and LF (asserted). */
struct mf_ws_header {
	const char *name, *value;
};
struct mf_ws_config {
	const char *host; /* of the Host field; with port unless it is the scheme's own */
	const char *path; /* begins with '/'; what cannot stand in a URL is percent-encoded */
	struct mf_ws_header *headers; /* more fields */
	uint32_t n_headers;
	uint32_t early_data; /* so many bytes of the first payload go into the handshake; 0: none */
	const char *early_header; /* the field that they go into; "": behind the path */
};

enum {
	MF_WS_REQUEST_MAX = 16 * 1024,
	MF_WS_EARLY_MAX = 4096, /* more early data is not sent, whatever the configuration says */
	MF_WS_KEY_LEN = 16,
	MF_WS_CONTROL_MAX = 125, /* payload of a ping, pong or close (RFC 6455 5.5) */
	MF_WS_OVERHEAD = 14,     /* most that a frame of ours adds to its payload */
	MF_WS_REPLY_MAX = 256,   /* most that mf_ws_reply writes */
};

struct mf_ws {
	const struct mf_ws_config *config;
	const struct mf_codec_env *env;
	const char *detail; /* after an error: what exactly; a constant, NULL: the fault says it all */
	uint64_t left; /* payload of the data frame that is being read which has not come yet */
	union {
		uint8_t key[MF_WS_KEY_LEN];      /* of the handshake, until `upgraded` */
		uint8_t ping[MF_WS_CONTROL_MAX]; /* payload of the last one, for the pong */
	};
	uint8_t n_ping;
	uint8_t fault;      /* enum mf_proxy_fault, after an error */
	uint16_t status;    /* of the answer to the handshake */
	uint16_t code;      /* of the server's close frame; 0: it had none */
	int32_t skew;       /* seconds that the server's Date is ahead of us */
	bool skew_known;    /* there was one */
	bool early_sent;    /* the request has early data in a field */
	bool upgraded;      /* the answer was 101: frames follow */
	bool in_message;    /* the last data frame was not the last of its message */
	bool pong, closing; /* to be sent: a pong; closing: our close frame has been sent */
	bool closed;        /* the server's has come */
};

/* `cfg` and `env` must outlive w. */
void mf_ws_init(struct mf_ws *w, const struct mf_ws_config *cfg, const struct mf_codec_env *env);

/* Writes the request (RFC 6455 4.1), with the first bytes of `early` if the configuration says so
 * (*taken: how many of them went in); returns its length. 0: `room` is too small for this
 * configuration. */
size_t mf_ws_request(struct mf_ws *w, struct mf_span early, uint8_t *out, size_t room, size_t *taken);
/* Reads the answer; used bytes leave the front of `in`. MF_E_SHORT: more must come; MF_E_MALFORMED:
 * see `fault`. */
MF_MUST_CHECK mf_err mf_ws_answer(struct mf_ws *w, struct mf_codec_in *in);

/* Payload of the n spans, in their order, as one binary frame with a mask of its own (RFC 6455
 * 5.3); takes what fits and returns how many bytes. *len: what was written; 0 if there is no
 * payload or no room for any. Not after our close frame (asserted). */
size_t mf_ws_seal(struct mf_ws *w, const struct mf_span *v, size_t n, uint8_t *out, size_t room,
		  size_t *len);
/* As mf_codec_ops.open; text is payload, too. What must be answered is written by mf_ws_reply
 * afterwards. MF_E_GONE: the server has closed it, `code` says with which status. MF_E_MALFORMED:
 * see `fault`. */
MF_MUST_CHECK mf_err mf_ws_open(struct mf_ws *w, struct mf_codec_in *in, const struct mf_room *v,
				size_t n, size_t *got);
/* Is there something to be sent by mf_ws_reply? */
bool mf_ws_must_reply(const struct mf_ws *w);
/* Writes the pong to the last ping, and a close frame if the server has sent one, or if `close`
 * (status 1000); nothing after that. Returns how many bytes; `out` has MF_WS_REPLY_MAX. */
size_t mf_ws_reply(struct mf_ws *w, bool close, uint8_t *out);

#endif
