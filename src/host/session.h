/* SPDX-License-Identifier: Apache-2.0
 *
 * session - what is known of a session outside its worker: facts that any thread may read at any time.
 *
 * The worker publishes them in the session's slot under a sequence lock (Lamport 1977): the counter is odd
 * while it writes, a reader that saw it change tries again. All words are relaxed atomics.
 */
#ifndef MF_SESSION_H
#define MF_SESSION_H

#include "base/addr.h"
#include "flow/table.h"

/* X(NAME, "text"): how far a session is, for TCP as much as for the rest. */
#define MF_SESSION_STATE_LIST(X)                                                    \
	X(FREE, "free")                                                             \
	X(OPENING, "opening")         /* the far side has not answered yet */       \
	X(ACCEPTING, "accepting")     /* it has; the app's handshake is not done */ \
	X(ESTABLISHED, "established") /* or a UDP mapping that has been answered */ \
	X(UNREPLIED, "unreplied")     /* UDP, echo: nothing has come back yet */    \
	X(APP_CLOSED, "app-closed")   /* the app has sent its FIN */                \
	X(FAR_CLOSED, "far-closed")   /* the far side has */                        \
	X(CLOSING, "closing")         /* both have */                               \
	X(TIME_WAIT, "time-wait")
enum mf_session_state {
#define X(name, text) MF_SESSION_##name,
	MF_SESSION_STATE_LIST(X)
#undef X
		MF_SESSION_STATE_COUNT
};
const char *mf_session_state_text(enum mf_session_state s);

/* A multiple of 8 bytes, no pointers. Times are of the boot clock. */
struct mf_session_facts {
	uint32_t worker;
	struct mf_flow_ref ref;
	uint8_t proto;               /* IP protocol: TCP, UDP, ICMP, ICMPv6 */
	uint8_t state;               /* enum mf_session_state; FREE: the slot is empty */
	bool stray;                  /* the routes in force would send a new one elsewhere */
	uint8_t kind;                /* enum mf_session_kind: which time-out applies */
	uint32_t hop;                /* id of the interface that carries it */
	struct mf_endpoint app, dst; /* UDP: dst is the last one sent to */
	uint32_t remotes;            /* UDP: different ones spoken to, as far as remembered */
	uint32_t pad;
	mf_nsec started, last;             /* last: a packet in either direction */
	uint64_t bytes_up, bytes_down;     /* payload from the app, to the app */
	uint64_t packets_up, packets_down; /* as on the wire */
	uint64_t rate_up, rate_down; /* bytes/s over the last second or more that had traffic */
	mf_nsec rate_at;             /* when the rates were taken */
	mf_nsec rtt_app, rtt_far;    /* 0: unknown */
	uint32_t rule;               /* by which its name was settled, UINT32_MAX: by none */
	uint32_t pad2;
	char name[64]; /* that it has shown; of a longer one the end; empty: none */
};
static_assert(sizeof(struct mf_session_facts) % 8 == 0, "copied as words");

enum mf_session_kind {
	MF_SESSION_TCP,
	MF_SESSION_UDP,
	MF_SESSION_DNS,
	MF_SESSION_QUIC,
	MF_SESSION_ECHO
};

/* Where the facts stand in a session's slot. */
struct mf_session_public {
	uint32_t seq; /* odd: being written */
	uint32_t pad;
	struct mf_session_facts facts;
};
/* By the session's worker. */
void mf_session_write_facts(struct mf_session_public *pub, const struct mf_session_facts *facts);
/* Any thread. */
void mf_session_read_facts(const struct mf_session_public *pub, struct mf_session_facts *out);

#endif
