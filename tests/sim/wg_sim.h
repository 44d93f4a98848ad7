/* SPDX-License-Identifier: Apache-2.0
 *
 * wg_sim - WireGuard cores on virtual time, with a channel between them that a test can look into,
 * bend and break. Everything follows from the seed.
 *
 * A *node* is a host with one instance, one UDP port and one device (or several). The simulation plays
 * worker and control thread of each: it seals, opens, stages, reports and carries events.
 */
#ifndef MF_WG_SIM_H
#define MF_WG_SIM_H

#include "proto/wg/device.h"
#include "proto/wg/messages.h"
#include "unit.h"

enum {
	SIM_NODES = 4,
	SIM_STAGED = 128,
	SIM_DGRAM = 256,
	SIM_PAYLOAD = 48,
	SIM_LOG = 65536,
	SIM_SEEN = 1 << 17,
};

struct sim;
struct sim_node;

/* What the engine would hang on a peer. */
struct sim_peer {
	struct sim_node *node;
	unsigned staged, staged_dropped;
	uint64_t staged_seq[SIM_STAGED];
	unsigned delivered, keepalives, duplicates; /* received and accepted */
	unsigned events[8];                         /* by enum mf_wg_event */
	unsigned resolves;
	uint64_t next_seq; /* of what we send */
	uint8_t *seen;     /* bit for each sequence number received */
};

struct sim_dgram {
	mf_nsec sent, due;
	uint64_t order;
	struct sim_node *from_node;
	struct mf_endpoint from, to;
	struct mf_addr local; /* source address that the sender asked for */
	uint8_t tos;
	size_t n;
	uint8_t bytes[SIM_DGRAM];
};

/* One line for each datagram that a node has sent. */
struct sim_line {
	mf_nsec at;
	struct sim_node *node;
	uint8_t type, tos;
	uint16_t n;
	bool mac2;
	struct mf_endpoint to;
	struct mf_addr local;
};

struct sim_node {
	struct sim *sim;
	const char *name;
	struct mf_endpoint at; /* where the world sees it */
	struct mf_wg *wg;
	uint16_t port;               /* where its socket is bound */
	struct mf_wg_device *device; /* the first */
	struct mf_key public_key;
	struct mf_prng prng;
	struct mf_aead *aead;
	uint64_t wall_offset; /* seconds added to its wall clock */
	bool wall_stopped;
	uint32_t queue_len; /* what it tells the core */
	bool posts_fail;    /* its event ring is full */
	bool source_check;  /* drop data whose "inner source" does not belong to the peer */
	unsigned drops[MF_DROP_COUNT];
	unsigned pokes, roams, ticks;
};

struct sim {
	uint64_t seed;
	struct mf_prng prng;
	mf_nsec now;
	struct sim_node node[SIM_NODES];
	unsigned nodes;
	struct sim_dgram *flying[8192];
	size_t n_flying;
	uint64_t order;
	/* The channel: in 1/1000; delay in ns. */
	unsigned loss, duplicate;
	mf_nsec delay, jitter;
	bool cut;
	/* May change the datagram; false loses it. */
	bool (*filter)(struct sim *s, struct sim_dgram *d);
	void *filter_ctx;
	struct sim_line log[SIM_LOG];
	size_t n_log;
	struct sim_dgram last[5]; /* the last sent of each type */
};

struct sim *sim_new(uint64_t seed);
void sim_free(struct sim *s);
/* A node with a device that is up. `at` is "192.0.2.1:51820". */
struct sim_node *sim_node_add(struct sim *s, const char *name, const char *at);
/* Makes `to` a peer of `n`, all of 10.0.0.0/8 and fd00::/8 its own; `endpoint` as seen now, if wanted. */
struct mf_wg_peer *sim_peer_add(struct sim_node *n, const struct sim_node *to, bool endpoint);
struct mf_wg_peer *sim_peer_set(struct sim_node *n, const struct mf_wg_peer_config *c);
/* Two nodes that know each other; a has b's endpoint, b does not have a's. */
struct sim *sim_pair(uint64_t seed, struct mf_wg_peer **a, struct mf_wg_peer **b);

struct sim_peer *sim_of(const struct mf_wg_peer *p);
struct mf_wg_peer_info sim_info(const struct mf_wg_peer *p);
bool sim_is_at(const struct mf_wg_peer *p, const struct mf_endpoint *at);

/* Lets time pass. */
void sim_run(struct sim *s, mf_nsec span);
void sim_run_until(struct sim *s, mf_nsec at);
/* Time passes and nobody is awake: what was flying arrives afterwards, timers are late. */
void sim_sleep(struct sim *s, mf_nsec span);

/* Sends (or stages) one packet of data. True: it went out at once. */
bool sim_send(struct mf_wg_peer *p);
/* Sends with the given keypair and counter, whatever they are; nothing is reported. */
void sim_send_raw(struct sim_node *n, const struct mf_wg_keypair *k, uint64_t counter,
		  const struct mf_endpoint *from, const struct mf_endpoint *to);
/* Hands bytes to a node as if they had come from `from`; returns why they were dropped. */
enum mf_drop sim_inject(struct sim_node *n, const struct mf_endpoint *from, const void *bytes,
			size_t len);
void sim_set_keepalive(struct mf_wg_peer *p, uint16_t seconds);
/* Sends data until it arrives: a session stands, confirmed on both sides. */
void sim_connect(struct sim *s, struct mf_wg_peer *a);

/* Lines of the log from `since` on (a value of n_log) that a node sent; type 0 is any, and KEEPALIVE
 * and PAYLOAD tell data messages apart. */
enum { SIM_KEEPALIVE = 100, SIM_DATA = 101 };
unsigned sim_count(const struct sim *s, size_t since, const struct sim_node *n, unsigned type);
const struct sim_line *sim_find(const struct sim *s, size_t since, const struct sim_node *n,
				unsigned type);

struct mf_endpoint sim_endpoint(const char *text);
struct mf_prefix sim_prefix(const char *text);

#endif
