/* SPDX-License-Identifier: Apache-2.0
 *
 * transport - one question to one server, over UDP, TCP (RFC 7766), TLS (RFC 7858) or HTTPS (RFC
 * 8484), through an outbound of the host stack: so what asks inside a VPN and what asks outside
 * differ in nothing but the outbound.
 *
 * A struct mf_transport belongs to one server; it keeps and reuses connections and sockets. One
 * thread: the worker's. What has happened in an outbound is only noted (mf_stream.wake); work is
 * done in mf_transport_run, which the resolver calls in its turn. Nothing here tries another
 * server: that is upstream.c's.
 *
 * Every question has EDNS. A server so old that it answers FORMERR to that is not asked again
 * without: its FORMERR is the answer.
 */
#ifndef MF_RESOLVER_TRANSPORT_H
#define MF_RESOLVER_TRANSPORT_H

#include "base/log.h"
#include "base/wheel.h"
#include "crypto/tls.h"
#include "host/outbound.h"
#include "proto/dns/message.h"

enum mf_dns_scheme { MF_DNS_OVER_UDP, MF_DNS_OVER_TCP, MF_DNS_OVER_TLS, MF_DNS_OVER_HTTPS };

enum { MF_DNS_BOOTSTRAP_MAX = 4 };

/* A server as the profile names it. Strings live as long as the configuration. */
struct mf_dns_server {
	uint32_t hop;     /* asked through this interface; 0: as its group says */
	const char *text; /* as written, for people */
	uint8_t scheme;   /* enum mf_dns_scheme */
	const char *name; /* for the certificate and SNI; NULL: the address */
	const char *path; /* HTTPS: "/dns-query" */
	uint8_t n_addrs;  /* 0: `name` still has to be resolved (bootstrap) */
	/* With port; the port stands in addr[0] even if n_addrs is 0, or is 0: the scheme's own. */
	struct mf_endpoint addr[MF_DNS_BOOTSTRAP_MAX];
};

/* Why there was no answer. */
enum mf_transport_error {
	MF_TRANSPORT_OK,
	/* No way to the server: the interface is down, ICMP says so, refused, reset. */
	MF_TRANSPORT_UNREACHABLE,
	MF_TRANSPORT_TIMEOUT,
	MF_TRANSPORT_TLS,    /* certificate or handshake */
	MF_TRANSPORT_HTTP,   /* status other than 200, wrong type */
	MF_TRANSPORT_BROKEN, /* malformed, or answers to what was not asked */
	MF_TRANSPORT_RESOURCES,
};
const char *mf_transport_error_text(enum mf_transport_error e);

/* A question on its way. The asker embeds it in an object of its own, zeroed, so no memory is
 * taken for it. */
struct mf_ask {
	/* The asker's: */
	const struct mf_dns_name *name; /* lives until done */
	uint16_t type;
	bool dnssec_ok, cd;
	mf_nsec deadline; /* done is called then at the latest */
	/* UDP: sent again after so long a silence, then after twice that; 0: 1 s. */
	mf_nsec patience;
	/* The answer (mf_dns_answer_check has passed it; truncated answers over UDP have been
	 * asked for again over TCP by the transport), or why there is none. The bytes live
	 * during the call. Only called from mf_transport_run, never from mf_transport_ask; it
	 * may ask and cancel anything, but free and reset no transport. */
	void (*done)(struct mf_ask *a, enum mf_transport_error err, struct mf_span answer,
		     mf_nsec now);
	/* The transport's: */
	struct mf_transport *transport; /* NULL: it is not open */
	struct mf_ask *next, **prev;
	struct mf_timer timer;
	mf_nsec asked;
	uint16_t id;
	uint8_t which, err, state, tries;
	uint32_t sockets;
	int32_t stream_id;
	void *conn;
	uint8_t mix[32];
};

struct mf_transport_env {
	void *ctx;
	/* The outbound that leads to the servers of this transport now; NULL: its interface is
	 * not there. */
	struct mf_outbound *(*outbound)(void *ctx, uint32_t hop);
	/* Something has happened: call mf_transport_run of all soon. */
	void (*wake)(void *ctx);
	struct mf_pkt_pool *pool;
	struct mf_rng rng;
	struct mf_tls_context *tls; /* NULL: no encrypted transports */
	bool mix_case;              /* 0x20 in questions over UDP */
	const struct mf_log *log;
};

/* X(name, "text") */
#define MF_TRANSPORT_COUNTER_LIST(X)                                             \
	X(asked, "questions sent to servers")                                    \
	X(answered, "answers that fit their question")                           \
	X(tcp_again, "truncated answers asked for again over TCP")               \
	X(spoofed, "answers with a wrong id, port, question or case of letters") \
	X(malformed, "malformed answers")                                        \
	X(unexpected, "answers to nothing that is open, late or twice")          \
	X(connections, "connections opened to servers")                          \
	X(reused, "questions on a connection that was there")                    \
	X(tls_failed, "connections that failed in TLS")                          \
	X(errors, "questions that ended without an answer")
struct mf_transport_counters {
#define X(name, text) uint64_t name;
	MF_TRANSPORT_COUNTER_LIST(X)
#undef X
};
static inline void mf_transport_counters_add(struct mf_transport_counters *sum,
					     const struct mf_transport_counters *n)
{
#define X(name, text) sum->name += n->name;
	MF_TRANSPORT_COUNTER_LIST(X)
#undef X
}

/* `hop`: whose outbound; `server`, `env` and `count` live longer. Without env->tls all questions to
 * encrypted servers fail. NULL: out of memory. */
struct mf_transport *mf_transport_new(const struct mf_transport_env *env,
				      const struct mf_dns_server *server, uint32_t hop,
				      struct mf_transport_counters *count);
/* Questions that are open are forgotten: `done` is not called. Not from within `done`. */
void mf_transport_free(struct mf_transport *t);
/* Asks; `done` comes later, once, at a->deadline at the latest. `which`: index into
 * server->addr. MF_E_FULL: 256 are open. */
MF_MUST_CHECK mf_err mf_transport_ask(struct mf_transport *t, struct mf_ask *a, unsigned which,
				      mf_nsec now);
/* Takes the question back; `done` is not called. Nothing happens if it is not open. */
void mf_transport_cancel(struct mf_transport *t, struct mf_ask *a);
/* Does what can be done now; returns when it wants to be called though nothing happens
 * (time-outs, idle connections), MF_NEVER for never. */
mf_nsec mf_transport_run(struct mf_transport *t, mf_nsec now);
/* The network has changed: connections and sockets are given up, open questions are asked anew.
 * Not from within `done`. */
void mf_transport_reset(struct mf_transport *t, mf_nsec now);

#endif
