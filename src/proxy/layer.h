/* SPDX-License-Identifier: Apache-2.0
 *
 * layer - a connection as a stack of outbounds: the dial layer at the bottom, then TLS, WebSocket
 * or an obfuscation if there are such, and the codec on top, each an outbound (host/outbound.h)
 * whose streams run over streams of the one below. So they combine freely, and a proxy behind a
 * proxy is a taller stack.
 *
 * This file is what they have in common: a layer says how it begins (`work`), and how bytes go
 * through it (`write`, `read`); opening, waking, time-outs, bytes that the layer below does not
 * take, half-close and the rules of readiness are here.
 *
 * One thread: the worker's. What has happened below is only noted (mf_stream.wake); work is done in
 * mf_layers_run, once in a pass before the host stack runs. So nothing of a layer is ever called
 * from within itself, and a stream may be closed at any time.
 */
#ifndef MF_PROXY_LAYER_H
#define MF_PROXY_LAYER_H

#include "base/log.h"
#include "base/wheel.h"
#include "host/outbound.h"
#include "proto/proxy/codec.h"
#include "proxy/health.h"
#include "proxy/held.h"

enum {
	MF_LAYER_DEPTH_MAX = 24,      /* layers over each other, `via` included */
	MF_LAYER_OUT_MAX = 68 * 1024, /* bytes that one `write` may send below */
	MF_LAYER_PART = 64 * 1024,    /* bytes that one `write` is given at most */
	MF_LAYER_SPANS = 64,          /* spans that one `write` is given at most */
};

struct mf_layer;
struct mf_layer_outbound;

/* What a layer waits for memory for. */
enum mf_layer_want { MF_LAYER_TO_SEND, MF_LAYER_TO_READ, MF_LAYER_WANTS };

/* What the layers of one worker share. */
struct mf_layers {
	struct mf_layer *first, **last; /* those with something to do */
	struct mf_wheel wheel;
	struct mf_codec_env env;
	const struct mf_log *log;
	mf_nsec now; /* of this pass */
	/* Working memory, one piece for each layer that is being called, so that one and the one
	 * it calls do not share it. Made when it is first wanted; NULL until then. */
	uint8_t *in[MF_LAYER_DEPTH_MAX], *out[MF_LAYER_DEPTH_MAX];
	unsigned nest;              /* how many are being called */
	struct mf_layer *lingering; /* closed, but what they hold back is still to be sent */
	/* Memory for what connections hold back, and those that wait for some, see
	 * layer_memory.c. Datagrams have their own. */
	struct mf_held_pool held[MF_LAYER_WANTS], pool;
	struct mf_layer *waiting[MF_LAYER_WANTS], **last_waiting[MF_LAYER_WANTS];
	struct mf_timer relief;
	bool running;
	/* Something has to be done soon: mf_layers_run. Not said during a run: see
	 * mf_layers_pending. May be NULL. */
	void (*wake)(void *ctx);
	void *ctx;
};

struct mf_layer_ops {
	const char *name; /* "tls" */
	const char *step; /* what its opening is to users (host/steps.h); NULL: its name */
	size_t size;      /* of the struct that begins with struct mf_layer; zeroed */
	/* It opens what is below by itself: `below` in its outbound is NULL, and `work` is
	 * called also before there is anything below. Patience counts from the beginning. For
	 * the lowest layer. */
	bool lowest;
	/* The end of what is sent cannot be said alone: servers take it for that of both
	 * directions. */
	bool ends_both;
	/* A connection has been allocated and `to` is known (it and its name live during the
	 * call only); the layer below has not begun. NULL: nothing to do. An error:
	 * mf_layer_fault has been called; `end` follows. */
	mf_err (*begin)(struct mf_layer *l, const struct mf_target *to);
	/* Something has happened below, or the timer has fired, or mf_layer_again; also when the
	 * layer is open; never before the layer below has OPENED, and while something is held
	 * back (pending) only for the timer. Does what can be done now, and calls
	 * mf_layer_opened when the layer is. An error: the stream fails; mf_layer_fault has been
	 * called, or the layer below has failed. NULL for layers that are open as soon as the
	 * one below is. */
	mf_err (*work)(struct mf_layer *l, mf_nsec now);
	/* Takes bytes, at most MF_LAYER_PART in MF_LAYER_SPANS spans, none of them empty; sends
	 * what they become with mf_layer_send (in all at most MF_LAYER_OUT_MAX); returns how
	 * many it has taken. Only when the layer is open and nothing is held back in it or
	 * below; is called again until all is taken. 0: not now; then the layer says WRITABLE
	 * later with mf_stream_notify(l->above, ..). */
	size_t (*write)(struct mf_layer *l, const struct mf_span *v, size_t n);
	/* As stream_read, at least one room, none of them empty. The layer is open. If it
	 * returns less than there was room for, layer.c says READABLE again if the layer below
	 * has more or has ended; if the layer itself has more, it sets `more`. MF_STREAM_ERR:
	 * mf_layer_fault has been called, or the layer below has failed. */
	ptrdiff_t (*read)(struct mf_layer *l, const struct mf_room *v, size_t n);
	/* Nothing will be written any more: sends its own end, if it has one. True: the layer
	 * below is to be shut down, too, when all has been sent. NULL: true. */
	bool (*shutdown)(struct mf_layer *l);
	/* Once, at the very end: what it has taken goes, keys are wiped. `reset`: without a
	 * farewell; else it may send one, which is sent before the layer below is closed. The
	 * memory of the struct is layer.c's. NULL: nothing. */
	void (*end)(struct mf_layer *l, bool reset);
	/* The layer below has failed (l->error says how): is that a fault that this layer knows
	 * more of? Then it calls mf_layer_fault. NULL: the error goes up as it is. */
	void (*failed)(struct mf_layer *l);
	/* It has not opened in time: the fault to be said. NULL: MF_PROXY_TIMED_OUT. */
	enum mf_proxy_fault (*late)(struct mf_layer *l);
};

/* One layer of one interface and worker. */
struct mf_layer_outbound {
	struct mf_outbound out; /* ctx: this */
	const struct mf_layer_ops *ops;
	struct mf_layers *layers;
	struct mf_outbound *below;      /* NULL: ops->lowest */
	const void *config;             /* the layer's own */
	struct mf_proxy_health *health; /* of the interface */
	const char *iface;              /* its name */
	mf_nsec patience; /* from when the one below has opened until it has at most; 0: for ever */
	size_t extra;     /* bytes that each connection gets behind ops->size, zeroed */
	struct mf_layer *streams; /* all of them but those that linger */
	uint32_t n_streams;       /* those, too */
	/* The last stream is gone; nothing of it is used after the call. NULL: nobody wants to
	 * know. */
	void (*emptied)(struct mf_layer_outbound *o);
	void *owner; /* for emptied */
};

enum mf_layer_state {
	MF_LAYER_BELOW,     /* the layer below is not open */
	MF_LAYER_WORKING,   /* it is */
	MF_LAYER_OPEN,      /* so is this one */
	MF_LAYER_LINGERING, /* closed, what is held back is sent */
	MF_LAYER_FAILED,    /* waits to be closed */
};

struct mf_layer {
	/* What it runs over: `own`; the lowest layer points it at the connection that it has
	 * chosen. impl NULL: not open. */
	struct mf_stream *below;
	struct mf_stream own;
	struct mf_stream *above; /* NULL: it has been closed */
	struct mf_layer_outbound *of;
	struct mf_layer *next, **prev;            /* with something to do; NULL prev: nothing */
	struct mf_layer *sibling, **sibling_prev; /* of the same outbound, or that linger as well */
	struct {
		struct mf_layer *next, **prev; /* NULL prev: it does not wait */
	} wait[MF_LAYER_WANTS];
	struct mf_timer timer;
	mf_nsec at, until;      /* mf_layer_at; when patience ends; MF_NEVER */
	struct mf_held pending; /* sent, but not taken below */
	struct mf_held rest;    /* come, but not used yet (mf_layer_keep) */
	/* Set by `end`: the layer below is closed so much later, or when the server ends it. */
	mf_nsec linger;
	mf_nsec began, opened; /* when it could begin to work; when it was open; 0: not yet */
	uint8_t state;         /* enum mf_layer_state */
	uint8_t error; /* enum mf_stream_error: it has failed, and that is what is said above */
	bool faulted;  /* mf_layer_fault has been called */
	int8_t end;    /* MF_STREAM_EOF, _ERR: that is what is left to be read below */
	bool dry;      /* the layer below has said that there is no more to read */
	bool full;     /* ... that it takes no more */
	bool blocked;  /* we have said that */
	bool more;     /* set by `read`: there is more, say READABLE again */
	bool midway;   /* it reads on in a message that has begun */
	bool due;      /* the timer has fired */
	bool shut, end_below; /* the end has been said here; is to be said below */
};

/* `held_max`: bytes that all connections and mappings together may hold back. `log` may be
 * NULL. */
void mf_layers_init(struct mf_layers *ls, const struct mf_codec_env *env, const struct mf_log *log,
		    size_t held_max, mf_nsec now);
/* All connections have been closed; those that linger are gone at once. */
void mf_layers_fini(struct mf_layers *ls);
/* A pass begins: what is opened in it begins now, however long ago the last run was. */
void mf_layers_begin(struct mf_layers *ls, mf_nsec now);
/* Does what is to be done, and what that leads to, up to a bound; returns how many turns it
 * gave. */
uint32_t mf_layers_run(struct mf_layers *ls, mf_nsec now);
/* When it wants to be called though nothing happens, MF_NEVER: never. Something is to be done
 * now. */
mf_nsec mf_layers_deadline(const struct mf_layers *ls);
bool mf_layers_pending(const struct mf_layers *ls);
/* Bytes that are held back now. */
size_t mf_layers_held(const struct mf_layers *ls);

/* Fills in `o`: streams of `ops` over `below`. Belongs to the caller, who keeps it until
 * n_streams is 0. */
void mf_layer_outbound_init(struct mf_layer_outbound *o, const struct mf_layer_ops *ops,
			    struct mf_layers *ls, struct mf_outbound *below, const void *config,
			    struct mf_proxy_health *health, const char *iface, mf_nsec patience);
/* All its streams fail, with this error; their owners close them. Those that are closed already
 * and linger are gone at once. */
void mf_layer_outbound_end(struct mf_layer_outbound *o, enum mf_stream_error why);

/* ---- For layers ------------------------------------------------------------------------------ */

/* The handshake is done: bytes may flow. */
void mf_layer_opened(struct mf_layer *l);
/* Calls `work` once more, soon; or (at) then: one time for each layer; MF_NEVER takes it back. */
void mf_layer_again(struct mf_layer *l);
void mf_layer_at(struct mf_layer *l, mf_nsec when);
/* Says why the connection fails: to health and log (`detail` may be NULL, must hold no secrets),
 * and what the app sees. Returns MF_E_GONE, for `work`. The first one of a connection counts. */
mf_err mf_layer_fault(struct mf_layer *l, enum mf_proxy_fault f, const char *detail);

/* Where what is to be sent is made: MF_LAYER_OUT_MAX bytes, good until the end of this call of
 * the layer. NULL: out of memory; the fault has been said. */
uint8_t *mf_layer_out(struct mf_layer *l);
/* Sends bytes below; what is not taken is held back and goes first later. Any bytes, also those
 * of mf_layer_out. Too much held back is a fault. */
void mf_layer_send(struct mf_layer *l, const void *p, size_t n);
/* Is memory short for what is read? Then no more is asked for than the end of a message. */
bool mf_layer_pressed(const struct mf_layer *l);
/* Does the end of what is sent below end both directions? */
bool mf_layer_ends_both(const struct mf_layer *l);
/* Is anything held back here or below? Then no `write` comes; WRITABLE will. */
bool mf_layer_blocked(struct mf_layer *l);

/* What has come and was not used, and behind it up to `want` bytes more from below
 * (MF_CODEC_IN_MAX in all); in working memory, good until the next one or the end of this call
 * of the layer, to be changed at will. `*end`: what read said if no bytes came: MF_STREAM_AGAIN,
 * _EOF, _ERR; else a positive number. NULL p: out of memory; the fault has been said. */
struct mf_codec_in mf_layer_fill(struct mf_layer *l, size_t want, ptrdiff_t *end);
/* What of that is not used yet: kept for next time; without it, it is gone. False: too much is
 * held in all; the fault has been said. */
MF_MUST_CHECK bool mf_layer_keep(struct mf_layer *l, struct mf_codec_in in);

/* Past the layer: bytes as they are, straight to and from the one below, as stream_write and
 * stream_read. For a layer (or a part of its life) that changes nothing; nothing may be held
 * back, no rest be left. */
size_t mf_layer_pass(struct mf_layer *l, const struct mf_span *v, size_t n);
ptrdiff_t mf_layer_take(struct mf_layer *l, const struct mf_room *v, size_t n);

#endif
