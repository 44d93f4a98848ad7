/* SPDX-License-Identifier: Apache-2.0
 *
 * hostnet - a host stack between apps in memory and a fake outbound, on virtual time. The apps' end of a TCP
 * connection is a struct mf_tcp of its own, or packets made by hand.
 *
 * What always holds is asserted here and in no test: every packet that went in has ended exactly once, what
 * comes out is well formed with right checksums, bytes arrive as they were sent, and at the end every
 * packet is back in its pool.
 */
#ifndef MF_HOSTNET_H
#define MF_HOSTNET_H

#include "base/prng.h"
#include "fakeout.h"
#include "host/host.h"
#include "proto/tcp/conn.h"

enum { HOSTNET_DROP = 1, HOSTNET_REJECT, HOSTNET_HOP = 5, HOSTNET_OTHER, HOSTNET_BATCH = 64 };

/* Where sessions go that show a name. */
struct hostnet_rule {
	const char *name;
	uint32_t hop;
};

/* A packet on its way: copied, in one piece. */
struct hostnet_wire {
	struct hostnet_wire *next;
	uint8_t gso_type;
	uint16_t gso_size, csum_start, csum_offset;
	bool needs_csum;
	uint32_t segments, len;
	uint8_t bytes[];
};

struct hostnet_queue {
	struct hostnet_wire *head, **tail;
	uint32_t n;
};

struct hostnet;

/* The app's end of a connection. Byte number i of what an end sends is a function of (salt, i). */
struct hostnet_app {
	struct hostnet_app *next;
	struct hostnet *net;
	struct mf_tcp tcp;
	struct mf_endpoint local, remote;
	uint64_t up, down;                 /* bytes written, bytes read */
	uint64_t salt;                     /* of what it writes; what it reads has salt + 1 */
	bool connected, eof, closed, deaf; /* deaf: gets no packets any more */
	enum mf_tcp_end end;
};

struct hostnet {
	mf_nsec now;
	struct mf_prng prng;
	struct mf_pkt_pool *pool, *app_pool;
	struct mf_host_config cfg;
	struct mf_host *host;
	struct fakeout out, other; /* what carries HOSTNET_HOP and HOSTNET_OTHER */
	bool down;                 /* the interfaces carry nothing */
	uint32_t route;            /* what the routes say now */
	bool settles;              /* names may say otherwise */
	struct hostnet_rule rules[4];
	bool learned;  /* there are learned routes */
	uint32_t held; /* how many times they are */
	struct mf_tcp_env app_env;
	struct hostnet_app *apps;
	struct hostnet_queue up, to_apps;
	struct hostnet_queue raw; /* packets for addresses where no app is */
	uint32_t lose_per_1000;

	/* Wire packets. */
	uint64_t injected, consumed, taken, emitted, handed;
	uint64_t drops[MF_DROP_COUNT];
	unsigned handed_to;
};

struct hostnet_options {
	uint64_t seed;
	uint32_t n_small, n_large; /* of the host's pool; 0: 1024, 128 */
	struct mf_host_config cfg; /* zeros: defaults */
	uint64_t budget;           /* 0: 4 MiB */
	struct mf_owners *owners;
	unsigned worker;
};

void hostnet_open(struct hostnet *n, const struct hostnet_options *o);
void hostnet_close(struct hostnet *n);

/* Runs until nothing is left to do at this moment, but at most so many rounds that a loop is noticed. */
void hostnet_settle(struct hostnet *n);
/* Lets time pass, in steps up to each deadline. */
void hostnet_advance(struct hostnet *n, mf_nsec by);

/* Begins to connect; "10.0.0.2:1000". */
struct hostnet_app *hostnet_connect(struct hostnet *n, const char *local, const char *remote,
				    const struct mf_tcp_config *cfg);
/* Writes these bytes, in one segment if they fit. The app must not use hostnet_write. */
void hostnet_say(struct hostnet_app *a, const void *bytes, size_t n);
/* Write and read up to so many bytes; return how many. What is read is compared. */
size_t hostnet_write(struct hostnet_app *a, size_t n);
size_t hostnet_read(struct hostnet_app *a, size_t n);
void hostnet_shutdown(struct hostnet_app *a);
void hostnet_abort(struct hostnet_app *a);
/* The app is gone without a word. */
void hostnet_forget(struct hostnet_app *a);

/* Lets the far side give the app n bytes more. */
void hostnet_give(struct fake_stream *st, const struct hostnet_app *a, size_t n);
/* What the far side has got is what the app has written, so far. */
void hostnet_check_got(const struct fake_stream *st, const struct hostnet_app *a);

/* A packet by hand: it reaches the host with the next settle. */
void hostnet_send(struct hostnet *n, const void *bytes, size_t len);
/* A TCP segment by hand; returns its length. */
size_t hostnet_tcp(uint8_t *out, const char *src, const char *dst, uint32_t seq, uint32_t ack,
		   uint8_t flags, const void *payload, size_t len);
/* The next raw packet, NULL: none; free() it. */
struct hostnet_wire *hostnet_raw(struct hostnet *n);

/* How many sessions other threads would see in this state. */
unsigned hostnet_count(const struct hostnet *n, enum mf_session_state state);
/* The facts of the only session; asserted that there is exactly one. */
struct mf_session_facts hostnet_facts(const struct hostnet *n);

#endif
