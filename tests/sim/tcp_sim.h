/* SPDX-License-Identifier: Apache-2.0
 *
 * tcp_sim - TCP against itself on virtual time. Everything follows from the seed.
 *
 * A *flow* is a connection and its two *ends*; each end has an environment and packets of its own, and an
 * app that writes, reads and closes as the test says. All flows share two *links* (tcp_link.c), one for
 * each direction, which may lose, reorder, duplicate, delay, queue, cut and merge.
 *
 * What always holds is asserted here and in no test: bytes arrive as they were sent, checksums are right,
 * the right edge of a window never moves back, nothing is sent beyond it, a connection's books agree with
 * its lists after every turn, timers do not spin, and at the end every packet is back in its pool.
 */
#ifndef MF_TCP_SIM_H
#define MF_TCP_SIM_H

#include "proto/tcp/conn.h"
#include "unit.h"
#include "wire/gro.h"

enum { SIM_FLOWS = 4, SIM_OUT = 4096 };

struct sim;
struct sim_end;

/* When an app says that it has nothing more to send. */
enum sim_close {
	SIM_CLOSE_SENT, /* as soon as it has sent all */
	SIM_CLOSE_EOF,  /* when it has read the other's end as well */
	SIM_CLOSE_NEVER,
};

struct sim_app {
	uint64_t total;     /* bytes to send */
	uint32_t write_max; /* each write has 1 to so many bytes; 0: what suits the connection best */
	mf_nsec write_every; /* pause between writes; 0: none */
	uint32_t read_max;   /* each read has 1 to so many bytes; 0: all there is */
	mf_nsec read_every;  /* pause between reads; 0: none */
	mf_nsec read_from;   /* since the start of the flow: reads nothing before */
	enum sim_close close;
	mf_nsec abort_at;     /* since the start of the flow; 0: never */
	mf_nsec accept_delay; /* the passive end holds the SYN for so long */
	bool silent_abort;
};

/* A segment on its way, as a filter and the log see it. Numbers count from the SYN, which is 0. */
struct sim_seg {
	mf_nsec at;
	struct sim_end *from;
	uint32_t seq, ack, len; /* len: payload */
	uint32_t window;        /* scaled */
	uint8_t flags, n_sack;
	bool again; /* some of it was sent before */
};

struct sim_end {
	struct sim *sim;
	struct sim_end *peer;
	const char *name;
	unsigned side;
	bool passive;
	struct mf_endpoint at;
	struct mf_tcp_config cfg;
	struct sim_app app;
	struct mf_prng prng, rng;
	struct mf_pkt_pool *pool;
	struct mf_tcp_env env;
	struct mf_gro gro;
	struct mf_tcp tcp;
	struct mf_pkt *out[SIM_OUT]; /* emitted in this turn */
	unsigned n_out;

	/* What has happened. */
	bool used, connected, shut, eof, closed, freed;
	enum mf_tcp_end why;
	uint64_t sent, received, salt; /* salt: of the bytes that this end sends */
	mf_nsec connected_at, closed_at, received_at, start;
	struct mf_tcp_info last; /* when it was freed */
	unsigned drops[MF_DROP_COUNT];

	/* Wake-ups of the app. */
	mf_nsec next_write, next_read, accept_at, abort_at;

	/* Of the wire. */
	uint32_t iss, highest, edge;
	uint8_t wscale;
	bool iss_known, edge_known;
	unsigned n_segs, n_data, n_again, n_rst;
	uint64_t bytes_out, bytes_again; /* payload */
	uint32_t max_segment, min_window;
};

/* Chances are of 10000. */
struct sim_link {
	unsigned loss, duplicate, reorder;
	mf_nsec delay, jitter, reorder_by;
	uint64_t rate;  /* bit/s; 0: no bottleneck */
	uint32_t queue; /* bytes that may wait for it */
	uint32_t mtu;   /* what is longer comes back as ICMP; 0: nothing is */
	bool cut;       /* super-packets become segments, and are lost one by one */
	mf_nsec merge;  /* what arrives within so long is merged; 0: nothing is */
	bool dead;
	/* May look at the segment (and at what it likes in ctx); false loses it. */
	bool (*filter)(void *ctx, const struct sim_seg *g);
	void *ctx;

	mf_nsec busy_until, last_due;
	unsigned n_lost, n_overflowed, n_too_big;
	uint64_t bytes; /* carried, headers included */
};

struct sim_frame;

struct sim {
	struct mf_prng prng;
	mf_nsec now;
	struct sim_end end[SIM_FLOWS][2];
	unsigned flows;
	struct sim_link link[2]; /* away from end 0, away from end 1 */
	struct mf_pkt_pool *pool;
	struct sim_frame **flying; /* a heap */
	size_t n_flying, room;
	uint64_t order;
	/* Every segment, if wanted. */
	bool log_on;
	struct sim_seg *log;
	size_t n_log, log_room;
	void (*watch)(struct sim *s); /* after each instant */
	void *watch_ctx;
};

/* 10 ms each way, no bottleneck, segments of one MTU: links cut. */
struct sim *sim_new(uint64_t seed);
/* Asserts that nothing was lost of what belongs to an end. Connections may be in any state. */
void sim_free(struct sim *s);

/* A flow whose ends are set up but not started; f[0] opens it, f[1] waits. Change cfg and app, then start. */
struct sim_end *sim_flow(struct sim *s);
void sim_start(struct sim_end *f);
/* Both ends open it. */
void sim_start_both(struct sim_end *f);

void sim_run_until(struct sim *s, mf_nsec at);
void sim_run(struct sim *s, mf_nsec span);
/* Until every end is closed; fails if that takes longer than `span`. */
void sim_finish(struct sim *s, mf_nsec span);
/* Until this end has received n bytes; fails as above. */
void sim_until_received(struct sim_end *e, uint64_t n, mf_nsec span);
/* An end's app does something now. */
void sim_turn(struct sim_end *e);

/* Both ends have closed in the ordinary way, and each has what the other has sent. */
void sim_assert_complete(const struct sim_end *f);
const struct mf_tcp_counters *sim_counters(const struct sim_end *e);
struct mf_tcp_info sim_info(const struct sim_end *e);

/* ---- tcp_link.c ---- */

/* Takes what the end has emitted, and frees it. */
void sim_transmit(struct sim_end *e, struct mf_pkt *p);
/* Hard unreachability, as ICMP would tell the sender of the segment with this number. */
void sim_unreachable(struct sim_end *e, uint32_t seq);
/* When the next frame arrives. */
mf_nsec sim_next_arrival(const struct sim *s);
/* Hands over all that arrives now. */
void sim_arrive(struct sim *s);
void sim_link_free(struct sim *s);
/* Called by it for each packet that has arrived; the end owns it. */
void sim_receive(struct sim_end *e, struct mf_pkt *p);

/* Segments of the log since `from` that this end sent and that satisfy `is` (NULL: all). */
unsigned sim_count(const struct sim *s, size_t from, const struct sim_end *e,
		   bool (*is)(const struct sim_seg *g));

#endif
