/* SPDX-License-Identifier: Apache-2.0
 *
 * testnet - engines in memory, joined by a wire that can lose, on virtual time: for tests and benchmarks of
 * everything above the platform.
 */
#ifndef MF_TESTNET_H
#define MF_TESTNET_H

#include "base/prng.h"
#include "engine/engine.h"

enum { TESTNET_SIDES = 2, TESTNET_PORTS = 8 };

struct testnet;
struct testnet_side;

/* A packet or datagram (batch) on its way. */
struct testnet_item {
	struct testnet_item *next;
	struct mf_endpoint from, to;
	uint8_t gso_type, tos;
	uint16_t gso_size;
	uint32_t segments, len;
	bool needs_csum;
	uint16_t csum_start, csum_offset;
	uint8_t bytes[];
};

struct testnet_queue {
	struct testnet_item *head, **tail;
	uint32_t n;
};

/* A local UDP port as the engine has opened it. */
struct testnet_port {
	struct testnet_side *side;
	struct testnet_queue *in; /* datagrams that have arrived */
	struct testnet_queue own; /* what `in` is, but for the first port */
	uint16_t port;
	uint32_t mark;
	bool open;
};

struct testnet_side {
	struct testnet *net;
	struct mf_engine *engine;
	struct mf_addr address; /* outside */
	uint16_t port;          /* of the first interface */
	struct testnet_port ports[TESTNET_PORTS];
	struct testnet_queue tun_in;  /* what apps have sent */
	struct testnet_queue tun_out; /* what apps have received */
	struct testnet_queue udp_in;  /* datagrams that have arrived at the first port opened */
	uint16_t refuse_port;         /* udp_open fails for it */
	uint32_t released;            /* ports that workers have let go of */
	uint32_t woken;               /* how often the engine has woken a worker */
	/* The last name that it has asked for, and how many. */
	struct {
		char name[256];
		uint16_t port;
		uint64_t tag;
		unsigned n;
	} asked;
	bool split_gso; /* the wire delivers single datagrams, as without UDP_GRO */
	uint64_t sent;  /* datagrams */
};

struct testnet {
	mf_nsec now;
	struct mf_prng prng;
	struct testnet_side side[TESTNET_SIDES];
	uint32_t lose_per_1000;
	bool cut;           /* nothing gets through */
	bool only_worker_0; /* the other workers have threads of their own */
	bool swallow;       /* udp-output succeeds, nothing is kept: benchmarks */
	enum mf_log_level log_level;
};

struct testnet_options {
	unsigned n_workers;
	uint64_t seed;
	const char *aead;
	bool no_merge;
	const char *extra_peer;            /* YAML added to the peer of both sides */
	const char *routes;                /* YAML of app_routing.routes; NULL: everything to wg0 */
	const char *tunnel[TESTNET_SIDES]; /* tunnel address; NULL: 10.9.0.1 / 10.9.0.2 */
	const char *interfaces;            /* YAML of more interfaces, for both sides */
	const char *limits;                /* YAML of `limits`, in one line */
	const char *sessions;              /* the same of `sessions` */
	uint32_t mtu;
	uint32_t fwmark;              /* of wg0; 0: none */
	uint16_t port[TESTNET_SIDES]; /* of wg0; 0: 51000, 51001 */
	uint64_t memory;              /* of each engine; 0: 48 MiB */
	uint32_t max_sessions;        /* of each engine; 0: the default */
	bool outside6;                /* the wire between them is IPv6 */
	bool no_peer;                 /* wg0 has no peer */
	/* Instead of all that is above about profiles; NULL: the one made from it. Read, not kept. */
	const struct mf_config *config[TESTNET_SIDES];
};

/* Two engines with one WireGuard interface each ("wg0"), peers of each other, allowed IPs 0/0 and ::/0.
 * Exits with a message when anything fails: this is for tests. */
void testnet_open(struct testnet *t, const struct testnet_options *o);
void testnet_close(struct testnet *t);
/* Gives one side the profile that these options make. `report` and `eb` may be NULL. */
mf_err testnet_apply(struct testnet *t, unsigned side, const struct testnet_options *o,
		     struct mf_apply_report *report, struct mf_errbuf *eb);

/* An app's packet; gso_size 0 for an ordinary one. */
void testnet_app_send(struct testnet_side *s, const void *bytes, uint32_t len, uint8_t gso_type,
		      uint16_t gso_size, bool needs_csum, uint16_t csum_start, uint16_t csum_offset);
/* What an app got, or NULL; free() it. */
struct testnet_item *testnet_app_recv(struct testnet_side *s);

/* Runs everything until nothing is left to do at this moment. */
void testnet_settle(struct testnet *t);
/* Lets time pass, in steps up to each deadline. */
void testnet_advance(struct testnet *t, mf_nsec by);

/* A UDP packet 10.9.0.x to 10.9.0.y (or any addresses) with a payload of n bytes; returns its length. */
uint32_t testnet_udp4(uint8_t *out, const char *src, const char *dst, uint16_t sport,
		      uint16_t dport, const void *payload, uint32_t n);
uint32_t testnet_tcp4(uint8_t *out, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		      uint32_t seq, uint32_t ack, uint8_t flags, const void *payload, uint32_t n);

/* The same over IPv6. */
uint32_t testnet_udp6(uint8_t *out, const char *src, const char *dst, uint16_t sport,
		      uint16_t dport, const void *payload, uint32_t n);
uint32_t testnet_tcp6(uint8_t *out, const char *src, const char *dst, uint16_t sport, uint16_t dport,
		      uint32_t seq, uint32_t ack, uint8_t flags, const void *payload, uint32_t n);
/* Puts the pseudo-header's sum where the TCP or UDP checksum of a packet without options is, as for
 * offload. Returns where the L4 header is; its checksum is 16 (TCP) or 6 (UDP) behind. */
uint16_t testnet_unfinish(uint8_t *packet, uint32_t len);
/* Are the IP and L4 checksums of a packet without options right? */
bool testnet_csum_ok(const uint8_t *packet, uint32_t len);

/* The equation of the ledger: what came in has ended or is held. */
bool testnet_balanced(const struct testnet_side *s);

#endif
