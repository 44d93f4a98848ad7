/* SPDX-License-Identifier: Apache-2.0
 *
 * health - what a worker knows of a proxy: what went well and what did not, for `show interfaces`,
 * `status` and the log. Written by the worker, read by any thread: counters one by one, the facts
 * under a sequence lock.
 */
#ifndef MF_PROXY_HEALTH_H
#define MF_PROXY_HEALTH_H

#include "base/base.h"
#include "base/log.h"
#include "proto/proxy/fault.h"

enum { MF_PROXY_DETAIL_MAX = 120 };

/* X(name, "text") */
#define MF_PROXY_COUNTER_LIST(X)                                       \
	X(dialled, "connections begun to the proxy")                   \
	X(connected, "connections that the proxy has taken")           \
	X(answered, "connections on which the proxy has answered")     \
	X(failed, "connections that have failed")                      \
	X(datagrams_up, "datagrams sent through the proxy")            \
	X(datagrams_down, "datagrams that came through the proxy")     \
	X(datagrams_bad, "datagrams from the proxy that did not open") \
	X(datagrams_dropped, "datagrams that could not be sent")
struct mf_proxy_counters {
#define X(name, text) uint64_t name;
	MF_PROXY_COUNTER_LIST(X)
#undef X
	uint64_t fault[MF_PROXY_FAULTS]; /* how often */
};

/* How long something took, of the last connection that had it. */
enum mf_proxy_span {
	MF_PROXY_SPAN_TCP,
	MF_PROXY_SPAN_TLS,
	MF_PROXY_SPAN_TRANSPORT,  /* WebSocket */
	MF_PROXY_SPAN_FIRST_BYTE, /* from the request to the first byte of the answer */
	MF_PROXY_SPANS
};

struct mf_proxy_facts {
	mf_nsec last_ok, last_fault; /* 0: never */
	mf_nsec took[MF_PROXY_SPANS];
	uint32_t fault; /* enum mf_proxy_fault: the last one */
	int32_t skew;   /* seconds that the server's clock is ahead, as far as it says so */
	bool skew_known;
	bool failing; /* the last thing that was heard of it was a fault */
	char detail[MF_PROXY_DETAIL_MAX + 6];
};
static_assert(sizeof(struct mf_proxy_facts) % sizeof(uint64_t) == 0, "copied word by word");

struct mf_proxy_health {
	struct mf_proxy_counters count; /* mf_counter_read by other threads */
	uint32_t seq;                   /* odd: the facts are being written */
	struct mf_proxy_facts facts;
	/* The worker's alone. */
	mf_nsec ended;       /* when it last closed a connection without a byte */
	uint32_t unanswered; /* such connections since somebody has been answered */
	struct mf_log_limit limit_fault, limit_ok;
};

/* When a server was last heard, by all workers. It belongs to the settings: what a server says to
 * those that go on with the old ones does not speak for new ones. */
struct mf_proxy_life {
	mf_nsec heard; /* atomic, to a millisecond; 0: never */
};
/* Something has come from it. Any number of workers. */
void mf_proxy_life_note(struct mf_proxy_life *l, mf_nsec now);
/* Has something, since (and not at) that time? */
bool mf_proxy_life_since(const struct mf_proxy_life *l, mf_nsec since);

/* The worker's. `detail` may be NULL. The log (may be NULL) is told, at a limited rate. What a
 * proxy says of a target is counted, and speaks for the proxy. */
void mf_proxy_health_fault(struct mf_proxy_health *h, enum mf_proxy_fault f, const char *detail,
			   const struct mf_log *log, const char *iface, mf_nsec now);
/* The proxy has answered that it does not do this: a fault to be shown, but it works. */
void mf_proxy_health_cannot(struct mf_proxy_health *h, enum mf_proxy_fault f,
			    const struct mf_log *log, const char *iface, mf_nsec now);
/* The proxy has answered: on a connection, for the first time; or with the first datagram for
 * long. */
void mf_proxy_health_ok(struct mf_proxy_health *h, const struct mf_log *log, const char *iface,
			mf_nsec now);
/* The server has ended a connection without a byte, after it had been sent something at `sent`: is
 * that a fault of its own? Not if it has answered others since then, or most of the time: then it
 * is the end of a target. */
bool mf_proxy_health_blame(struct mf_proxy_health *h, const struct mf_proxy_life *l, mf_nsec sent,
			   mf_nsec now);
/* What it has been said of is gone: it begins anew. */
void mf_proxy_health_forget(struct mf_proxy_health *h);
void mf_proxy_health_took(struct mf_proxy_health *h, enum mf_proxy_span what, mf_nsec span);
void mf_proxy_health_skew(struct mf_proxy_health *h, int32_t seconds);

/* What others see of it. */
enum mf_proxy_state {
	MF_PROXY_UNTRIED, /* nothing has gone through it yet */
	MF_PROXY_UP,      /* the last thing that was heard of it was good */
	MF_PROXY_FAILING, /* ... was a fault */
};
struct mf_proxy_report {
	enum mf_proxy_state state;
	struct mf_proxy_counters count;
	mf_nsec last_ok, last_fault;
	enum mf_proxy_fault fault;
	char detail[MF_PROXY_DETAIL_MAX];
	mf_nsec tcp, tls, transport, first_byte;
	int32_t skew;
	bool skew_known;
};
/* Any thread: adds one worker's view to a report that begins zeroed; the newest facts win. */
void mf_proxy_report_add(struct mf_proxy_report *sum, const struct mf_proxy_health *h);

#endif
