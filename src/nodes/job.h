/* SPDX-License-Identifier: Apache-2.0
 *
 * job - the unit of cryptography: up to 64 KiB of one peer's packets, sealed or opened in one go.
 *
 * Every worker has a ring of jobs. It publishes the jobs of a frame, then works through them itself;
 * a worker that has nothing to do takes over jobs of a busy one. Results leave in the order in which
 * the jobs were published, whoever did them, so a single peer's traffic uses several cores and its
 * packets stay in order.
 *
 *     FREE --owner--> READY --owner or helper (CAS)--> BUSY --the same--> DONE --owner--> FREE
 *
 * A helper touches only the job and the packet memory it names. Packets are allocated before a job is
 * published and freed after it is done, by the owner; counters, timers, merging and sending are the
 * owner's, too.
 */
#ifndef MF_JOB_H
#define MF_JOB_H

#include "base/pkt.h"
#include "crypto/aead.h"
#include "proto/wg/wg.h"

struct mf_worker;

enum {
	MF_JOBS = 32,          /* in a worker's ring */
	MF_JOB_PACKETS = 64,   /* packets in */
	MF_JOB_SEGMENTS = 128, /* WireGuard messages in a job to open */
};

enum mf_job_state { MF_JOB_FREE, MF_JOB_READY, MF_JOB_BUSY, MF_JOB_DONE };
enum mf_job_kind { MF_JOB_SEAL, MF_JOB_OPEN };

/* One received data message. `plain` is its plaintext's length (padding included) once a helper has
 * opened it in place, -1 if its tag was wrong. */
struct mf_open_message {
	uint8_t *bytes;
	struct mf_wg_keypair *keypair;
	uint32_t len;
	int32_t plain;
	uint8_t in; /* index into the job's in[] */
};

struct mf_job {
	uint8_t kind;
	bool opened; /* plaintexts are in place */
	uint8_t by;  /* the worker who did it */
	uint8_t n_in, n_out;
	uint32_t n_messages;           /* to seal: nonces claimed; to open: entries of message[] */
	uint32_t mtu;                  /* to seal: plaintexts are padded no further */
	struct mf_wg_peer *peer;       /* to seal */
	struct mf_wg_keypair *keypair; /* to seal */
	uint64_t first;                /* to seal: the first counter */
	struct mf_pkt *in[MF_JOB_PACKETS];
	union {
		struct mf_pkt *out[MF_JOB_PACKETS]; /* to seal: gso_size and segments are planned */
		struct mf_open_message message[MF_JOB_SEGMENTS];
	};
};

struct mf_jobs {
	uint32_t state[MF_JOBS]; /* atomic: enum mf_job_state */
	uint32_t head, tail;     /* the owner's; job i is in slot i % MF_JOBS */
	uint64_t helped;         /* jobs that other workers did for this one */
	uint64_t helped_before;  /* the same when the pass began */
	uint32_t leave;     /* jobs that the owner leaves to helpers while it has input to read */
	struct mf_job *job; /* MF_JOBS of them */
};

MF_MUST_CHECK mf_err mf_jobs_init(struct mf_jobs *jobs);
void mf_jobs_fini(struct mf_jobs *jobs);

/* The next free job, not published yet. Works off older ones first when the ring is full. */
struct mf_job *mf_jobs_next(struct mf_worker *w);
/* Publishes the job that mf_jobs_next returned. */
void mf_jobs_publish(struct mf_worker *w);
/* Before a pass reads its inputs: if somebody has helped since the last one and `may_leave`, some jobs are
 * left to him in this one, so that he has work while the owner reads. Nothing came in: leave none. */
void mf_jobs_begin_pass(struct mf_jobs *jobs, bool may_leave);
static inline void mf_jobs_leave_none(struct mf_jobs *jobs)
{
	jobs->leave = 0;
}
/* Does jobs and completes them in order, until all that is left is in the hands of helpers, or left to
 * them. */
void mf_jobs_work(struct mf_worker *w);
/* Jobs published and not completed. */
static inline uint32_t mf_jobs_pending(const struct mf_jobs *jobs)
{
	return jobs->tail - jobs->head;
}
/* Takes over one job of another worker; false: nobody has one to give. */
bool mf_jobs_help(struct mf_worker *w);

/* The two kinds; see nodes/wg_output.c and nodes/wg_input.c. `run` may be called by any worker with its
 * own AEAD context, `complete` by the owner only. A job to open that no helper has opened is opened by
 * `complete`, straight into the merged packet. */
void mf_seal_run(struct mf_job *job, struct mf_aead *aead);
void mf_seal_complete(struct mf_worker *w, struct mf_job *job);
void mf_open_run(struct mf_job *job, struct mf_aead *aead);
void mf_open_complete(struct mf_worker *w, struct mf_job *job);
/* Hands on what mf_open_complete has merged; after the last of a row of jobs. */
void mf_open_flush(struct mf_worker *w);

#endif
