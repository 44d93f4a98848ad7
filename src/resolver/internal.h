/* SPDX-License-Identifier: Apache-2.0
 *
 * internal - what the transports share; for src/resolver only. Two things:
 *
 * struct mf_transport: the open questions of one server and the clock over them. A transport of a
 * scheme embeds it first, has a struct mf_transport_ops, and calls mf_transport_answer or
 * mf_transport_fail when it knows the end of a question. Deadlines are kept here.
 *
 * struct mf_dns_stream: bytes to and from a server, in the clear on our side whatever is on the
 * wire. TLS goes in between as a struct mf_dns_layer; on top, as a struct mf_dns_framing, go
 * messages behind their length (TCP, TLS) or HTTP/2.
 */
#ifndef MF_RESOLVER_INTERNAL_H
#define MF_RESOLVER_INTERNAL_H

#include "base/count.h"
#include "base/wheel.h"
#include "resolver/transport.h"

/* ---- Transports ------------------------------------------------------------------------------ */

enum {
	MF_TRANSPORT_OPEN_MAX = 256, /* questions at a time */
	MF_TRANSPORT_BUCKETS = 64,
};

/* All of it on the worker's thread. */
struct mf_transport_ops {
	size_t size; /* of the struct that embeds struct mf_transport, zeroed before `init` */
	/* MF_E_NO_MEMORY: nothing is kept. */
	mf_err (*init)(struct mf_transport *t);
	/* Closes everything. Questions have been taken out before. */
	void (*fini)(struct mf_transport *t);
	/* A new question: a->id and a->which are set, it is among the open ones. Sends it now,
	 * or with the next run, which comes soon in any case; what fails is told with
	 * mf_transport_fail. */
	void (*ask)(struct mf_transport *t, struct mf_ask *a, mf_nsec now);
	/* The question is taken back, has timed out or failed: forget it. It is still among the
	 * open ones. NULL: nothing to do. */
	void (*forget)(struct mf_transport *t, struct mf_ask *a);
	/* The moment that was set with mf_transport_remind has come. NULL: never set. */
	void (*due)(struct mf_transport *t, struct mf_ask *a, mf_nsec now);
	/* Reads, writes and answers. Returns when it wants to be called again though nothing
	 * happens (its timers on t->wheel need not be counted), MF_NEVER for never. */
	mf_nsec (*run)(struct mf_transport *t, mf_nsec now);
	/* Closes everything and asks the open questions anew. */
	void (*reset)(struct mf_transport *t, mf_nsec now);
};

/* Dispatched by scheme in transport.c. */
extern const struct mf_transport_ops mf_transport_udp;    /* transport_udp.c */
extern const struct mf_transport_ops mf_transport_stream; /* transport_stream.c: all others */

struct mf_transport {
	const struct mf_transport_ops *ops;
	const struct mf_transport_env *env;
	const struct mf_dns_server *server;
	uint32_t hop;
	struct mf_transport_counters *count;
	uint32_t n_open;
	struct mf_ask *open[MF_TRANSPORT_BUCKETS]; /* by id */
	struct mf_ask *ended; /* failed, but the asker does not know yet; a->err says why */
	/* Deadlines. Schemes may put timers of their own on it; ctx is the transport. */
	struct mf_wheel wheel;
};

/* Like mf_transport_new, with the ops of another scheme than the server's: UDP asks over TCP
 * that way. */
struct mf_transport *mf_transport_make(const struct mf_transport_ops *ops,
				       const struct mf_transport_env *env,
				       const struct mf_dns_server *server, uint32_t hop,
				       struct mf_transport_counters *count);

/* Ids are random and differ among the open questions of a transport. NULL: none has it. */
struct mf_ask *mf_transport_find(struct mf_transport *t, uint16_t id);
/* Calls `each` with every open question; it may fail or move the one that it has got, and do
 * nothing else to the list. */
void mf_transport_each(struct mf_transport *t,
		       void (*each)(struct mf_transport *t, struct mf_ask *a, void *arg), void *arg);
/* The end with an answer, which mf_dns_answer_check has passed. Only from ops.run: a->done is
 * called from here, and may ask and take back any question. */
void mf_transport_answer(struct mf_transport *t, struct mf_ask *a, struct mf_span answer,
			 mf_nsec now);
/* The end without one. From anywhere: a->done is called later, in mf_transport_run. */
void mf_transport_fail(struct mf_transport *t, struct mf_ask *a, enum mf_transport_error err);
/* ops.due is called at `when`, if the question is still open then. Replaces the last one. */
void mf_transport_remind(struct mf_transport *t, struct mf_ask *a, mf_nsec when);
/* Gives the open question to another transport, which asks it anew under an id of its own. */
void mf_transport_move(struct mf_transport *to, struct mf_ask *a, mf_nsec now);
/* The message that asks `a`: id as given (a->id; 0 for HTTPS, RFC 8484 4.1), `pad` for encrypted
 * transports. `out` holds MF_TRANSPORT_QUESTION_MAX bytes; returns its length. */
enum { MF_TRANSPORT_QUESTION_MAX = 600 };
size_t mf_transport_question(const struct mf_transport *t, const struct mf_ask *a, uint16_t id,
			     bool pad, uint8_t *out);
/* The outbound for this transport, NULL: none now. */
static inline struct mf_outbound *mf_transport_outbound(const struct mf_transport *t)
{
	return t->env->outbound(t->env->ctx, t->hop);
}

/* ---- Streams --------------------------------------------------------------------------------- */

/* The life of a stream. CLOSED may be opened; from OPENING to READY it only goes forward. */
enum mf_dns_stream_state {
	MF_DNS_STREAM_CLOSED,
	MF_DNS_STREAM_OPENING,   /* the outbound connects */
	MF_DNS_STREAM_HANDSHAKE, /* of the layer; skipped without one */
	MF_DNS_STREAM_READY,
	MF_DNS_STREAM_ENDED,  /* the server has ended it in order: what it has sent is in `in` */
	MF_DNS_STREAM_FAILED, /* `error` says why */
};

/* Bytes in a queue, in one piece. */
struct mf_dns_bytes {
	uint8_t *p;
	size_t cap, begin, end;
};

enum {
	MF_DNS_STREAM_IN = 2 + MF_DNS_MESSAGE_MAX, /* a whole message with its length */
	MF_DNS_STREAM_OUT = 16384,
};

struct mf_dns_stream;

/* What lies between the server's bytes and ours: TLS (stream_tls.c). */
struct mf_dns_layer {
	/* Before the stream is opened; keeps its state in x->tls. `name`, or an address as text:
	 * for SNI and the certificate. False: out of memory, or x->transport->env has no TLS. */
	bool (*open)(struct mf_dns_stream *x, const char *name, const char *alpn);
	void (*close)(struct mf_dns_stream *x);
	/* In state HANDSHAKE and READY: moves as much as can be moved between the server
	 * (mf_dns_stream_get, _put) and x->in, x->out. At the end of the handshake the state
	 * becomes READY, at the end of everything ENDED, or mf_dns_stream_fail. */
	void (*run)(struct mf_dns_stream *x);
};
extern const struct mf_dns_layer mf_dns_layer_tls;

struct mf_dns_stream {
	struct mf_stream s;               /* the far half */
	struct mf_transport *transport;   /* whose */
	const struct mf_dns_layer *layer; /* NULL: none */
	struct mf_tls *tls;               /* the layer's */
	uint8_t state;                    /* enum mf_dns_stream_state */
	uint8_t error;                    /* enum mf_transport_error, in FAILED */
	bool readable, writable;          /* as far as is known, of `s` */
	bool heard; /* bytes for us have come since somebody last set this to false */
	bool full;  /* `in` was, at the end of the last run */
	struct mf_dns_bytes in, out; /* in the clear: from the server, to the server */
};

/* Begins. `to` is server->addr[which]; `layer` NULL: plain TCP, and name and alpn mean nothing.
 * What goes wrong shows in the state, never in a call back. Takes MF_DNS_STREAM_IN + _OUT bytes
 * of memory. x->transport is set before. */
void mf_dns_stream_open(struct mf_dns_stream *x, const struct mf_endpoint *to,
			const struct mf_dns_layer *layer, const char *name, const char *alpn);
/* The end in any state; nothing is left. */
void mf_dns_stream_close(struct mf_dns_stream *x);
/* Does what can be done now: connects, shakes hands, writes `out`, fills `in`. Calls nobody
 * back. If it has stopped because `in` was full, call it again when something has been taken out
 * (mf_dns_stream_more says so). */
void mf_dns_stream_run(struct mf_dns_stream *x);
bool mf_dns_stream_more(const struct mf_dns_stream *x);
/* Queues bytes for the server, all or none; they leave with the next run. False: no room. In
 * every state before ENDED. */
bool mf_dns_stream_write(struct mf_dns_stream *x, const struct mf_span *v, size_t n);
/* What has come from the server and has not been taken out; and: take n bytes of it out. */
static inline struct mf_span mf_dns_stream_peek(const struct mf_dns_stream *x)
{
	return mf_span(x->in.p + x->in.begin, x->in.end - x->in.begin);
}
void mf_dns_stream_take(struct mf_dns_stream *x, size_t n);

/* For layers: bytes to and from the wire, as many as go. put: how many were taken. get: how many
 * came, 0: none now; the end of the stream and failures become the state. */
size_t mf_dns_stream_put(struct mf_dns_stream *x, struct mf_span v);
size_t mf_dns_stream_get(struct mf_dns_stream *x, struct mf_room v);
void mf_dns_stream_fail(struct mf_dns_stream *x, enum mf_transport_error why);
/* Where a layer puts bytes for us, at least 1 unless `in` is full; and: n have been put there. */
struct mf_room mf_dns_stream_room(struct mf_dns_stream *x);
void mf_dns_stream_filled(struct mf_dns_stream *x, size_t n);
/* What waits to be written, and: n bytes have been written. */
struct mf_span mf_dns_stream_waiting(const struct mf_dns_stream *x);
void mf_dns_stream_written(struct mf_dns_stream *x, size_t n);

/* ---- Connections ----------------------------------------------------------------------------- */

struct mf_dns_conn;
struct mf_https_session;

/* How questions and answers stand in the bytes of a connection. */
struct mf_dns_framing {
	const struct mf_dns_layer *layer; /* NULL: none */
	const char *alpn;
	mf_nsec idle; /* how long a connection stays after the last answer */
	/* Queues the question in c->stream, in any state before ENDED. False: not now. */
	bool (*send)(struct mf_dns_conn *c, struct mf_ask *a);
	/* Takes what has come out of c->stream: mf_dns_conn_answer, mf_transport_fail,
	 * mf_dns_conn_again; a connection that is of no use any more: mf_dns_stream_fail. Also
	 * in ENDED and FAILED. True: something has been queued. */
	bool (*take)(struct mf_dns_conn *c, mf_nsec now);
	/* A question that was sent is forgotten. NULL: nothing to do. */
	void (*forget)(struct mf_dns_conn *c, struct mf_ask *a);
	/* The connection is about to be closed: c->session goes. NULL: nothing to do. */
	void (*end)(struct mf_dns_conn *c);
};
extern const struct mf_dns_framing mf_dns_framing_https; /* https.c */

/* A connection to one address of a server; the questions on it have a->conn, and a->state is one
 * of these. */
enum { MF_DNS_QUEUED, MF_DNS_SENT };
struct mf_dns_conn {
	struct mf_dns_stream stream;
	const struct mf_dns_framing *framing;
	struct mf_https_session *session; /* the framing's */
	struct mf_timer timer;
	uint32_t n_open, n_queued; /* questions */
	bool worked;               /* an answer has come */
	uint8_t which;             /* index into server->addr */
	mf_nsec heard;             /* when bytes came last, or it was opened */
	mf_nsec unheard; /* when the first question was sent after which nothing came, 0: none */
};
/* What came for `a`, if it is an answer to `question`. A stream has no forgers, so what is wrong
 * with it is the server's own, and the end of the question. */
void mf_dns_conn_answer(struct mf_dns_conn *c, struct mf_ask *a, struct mf_span question,
			struct mf_span answer, mf_nsec now);
/* The server has not looked at the question: it is queued again, or fails, if that goes on. */
void mf_dns_conn_again(struct mf_dns_conn *c, struct mf_ask *a, enum mf_transport_error why);

#endif
