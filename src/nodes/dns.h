/* SPDX-License-Identifier: Apache-2.0
 *
 * dns - the internal DNS server as the first worker sees it: where questions come in, and where
 * answers leave.
 *
 * Three front ends, told apart by the tag of a struct mf_dns_client: datagrams that enter the
 * tunnel (the node dns-input), TCP sessions that the host stack ends here (an outbound that nobody
 * is behind but the resolver), and sockets of the program around the engine.
 */
#ifndef MF_NODES_DNS_H
#define MF_NODES_DNS_H

#include "resolver/resolver.h"

struct mf_worker;

enum mf_dns_tag { MF_DNS_TAG_TUNNEL, MF_DNS_TAG_STREAM, MF_DNS_TAG_SOCKET };

/* Sockets that the program listens on; the worker's thread calls. All NULL: there are none. */
struct mf_dns_sockets {
	void *ctx;
	/* Asks what has come in since the last time (mf_resolver_query with MF_DNS_TAG_SOCKET)
	 * and answers what can be at once; returns how many questions that were. */
	uint32_t (*poll)(void *ctx, struct mf_resolver *r, mf_nsec now);
	/* An answer that came later, as in struct mf_resolver_port. */
	void (*answer)(void *ctx, const struct mf_dns_client *c, const uint8_t *msg, size_t n);
};

/* X(name, "text"): mf_counter_read. */
#define MF_DNS_FRONT_COUNTER_LIST(X)                                         \
	X(tunnel_queries, "questions in datagrams that entered the tunnel")  \
	X(stream_queries, "questions over TCP in the tunnel")                \
	X(streams, "TCP sessions with questions that are open")              \
	X(streams_refused, "TCP sessions refused because too many are open") \
	X(no_buffer, "answers lost because no packet was free")
struct mf_dns_front_counters {
#define X(name, text) uint64_t name;
	MF_DNS_FRONT_COUNTER_LIST(X)
#undef X
};

struct mf_dns_stream;

/* Belongs to the engine; everything in it is the first worker's. */
struct mf_dns {
	struct mf_worker *worker;
	struct mf_resolver *resolver;
	const struct mf_resolver_config *config; /* that it has */
	struct mf_log log;
	struct mf_dns_sockets sockets;
	struct mf_outbound streams;
	struct mf_dns_stream *open; /* TCP sessions */
	uint32_t n_open;
	size_t out_bytes; /* of memory for answers that they have not read */
	bool due;         /* something has happened: the resolver wants to run */
	mf_nsec next;     /* when it wants to run next */
	uint64_t adopted; /* atomic: generation of the snapshot that the resolver knows */
	struct mf_dns_front_counters count;
	uint8_t out[MF_DNS_MESSAGE_MAX];
};

/* MF_E_NO_MEMORY. `learned`, `tls` belong to the caller. */
MF_MUST_CHECK mf_err mf_dns_open(struct mf_dns **out, struct mf_worker *w, struct mf_learned *learned,
				 uint64_t cache_bytes, struct mf_tls_context *tls,
				 const struct mf_rng *rng, const struct mf_log *log, mf_nsec now);
/* After the sessions have ended. NULL is fine. */
void mf_dns_close(struct mf_dns *d);
/* There is another snapshot (w->snap). */
void mf_dns_configure(struct mf_dns *d, mf_nsec now);
/* Once in a pass: sockets, and what the resolver has to do. Returns how much that was. */
uint32_t mf_dns_run(struct mf_dns *d, mf_nsec now);

/* ---- dns_stream.c ---------------------------------------------------------------------------- */

void mf_dns_stream_init(struct mf_dns *d);
/* Frees what is still open: whoever has such a stream must not touch it any more. */
void mf_dns_stream_fini(struct mf_dns *d);
void mf_dns_stream_answer(struct mf_dns *d, const struct mf_dns_client *c, const uint8_t *msg,
			  size_t n);

/* ---- dns_input.c ----------------------------------------------------------------------------- */

/* Does this packet (after ip-input, from an app) carry a question for us? */
bool mf_dns_is_asked(const struct mf_worker *w, const struct mf_pkt *p);
void mf_dns_input_answer(struct mf_dns *d, const struct mf_dns_client *c, const uint8_t *msg,
			 size_t n);

#endif
