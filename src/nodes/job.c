/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes/job.h"

#include <stdlib.h>

#include "nodes/worker.h"

/* As many as a helper does while the owner reads 256 KiB: measured with bench/micro/engine.c. */
enum { LEAVE = 6 };

mf_err mf_jobs_init(struct mf_jobs *jobs)
{
	*jobs = (struct mf_jobs){ 0 };
	jobs->job = calloc(MF_JOBS, sizeof(*jobs->job));
	return jobs->job ? MF_OK : MF_E_NO_MEMORY;
}

void mf_jobs_fini(struct mf_jobs *jobs)
{
	MF_ASSERT(jobs->head == jobs->tail);
	free(jobs->job);
	*jobs = (struct mf_jobs){ 0 };
}

static uint32_t state_of(const struct mf_jobs *jobs, uint32_t i)
{
	return __atomic_load_n(&jobs->state[i % MF_JOBS], __ATOMIC_ACQUIRE);
}

static void set_state(struct mf_jobs *jobs, uint32_t i, enum mf_job_state s)
{
	__atomic_store_n(&jobs->state[i % MF_JOBS], (uint32_t)s, __ATOMIC_RELEASE);
}

static bool claim(struct mf_jobs *jobs, uint32_t slot)
{
	uint32_t ready = MF_JOB_READY;

	return __atomic_compare_exchange_n(&jobs->state[slot], &ready, (uint32_t)MF_JOB_BUSY, false,
					   __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

static void run(struct mf_worker *w, struct mf_job *job)
{
	struct mf_aead *aead = w->aead;

	job->by = (uint8_t)w->index;
	if (job->kind == MF_JOB_SEAL)
		mf_seal_run(job, aead);
	else
		mf_open_run(job, aead);
}

static void complete(struct mf_worker *w, struct mf_job *job)
{
	if (job->kind == MF_JOB_SEAL)
		mf_seal_complete(w, job);
	else
		mf_open_complete(w, job);
}

struct mf_job *mf_jobs_next(struct mf_worker *w)
{
	struct mf_jobs *jobs = &w->jobs;

	/* Full: the oldest is ours to do, or a helper is at it and will be done within a job's time. */
	while (mf_jobs_pending(jobs) == MF_JOBS)
		mf_jobs_work(w);
	return &jobs->job[jobs->tail % MF_JOBS];
}

/* A sleeping worker is worth waking for two jobs waiting, not for one: waking costs as much as a
 * small job. */
static void wake_a_helper(struct mf_worker *w)
{
	for (unsigned i = 1; i < w->n_workers; i++) {
		struct mf_worker *other = w->peers[(w->index + i) % w->n_workers];

		if (__atomic_load_n(&other->sleeping, __ATOMIC_RELAXED)) {
			w->host.wake_worker(w->host.ctx, other->index);
			return;
		}
	}
}

void mf_jobs_publish(struct mf_worker *w)
{
	struct mf_jobs *jobs = &w->jobs;

	jobs->job[jobs->tail % MF_JOBS].opened = false;
	set_state(jobs, jobs->tail, MF_JOB_READY);
	jobs->tail++;
	if (w->n_workers > 1 && mf_jobs_pending(jobs) == 2)
		wake_a_helper(w);
}

/* Completes the oldest job, doing it first if nobody has begun. False: a helper is at it. */
static bool finish_oldest(struct mf_worker *w)
{
	struct mf_jobs *jobs = &w->jobs;
	struct mf_job *job = &jobs->job[jobs->head % MF_JOBS];
	uint32_t s = state_of(jobs, jobs->head);

	if (s == MF_JOB_READY && claim(jobs, jobs->head % MF_JOBS)) {
		if (job->kind == MF_JOB_SEAL)
			mf_seal_run(job, w->aead);
	} else if (s != MF_JOB_DONE && state_of(jobs, jobs->head) != MF_JOB_DONE) {
		return false;
	} else {
		mf_count(&jobs->helped, 1);
	}
	complete(w, job);
	set_state(jobs, jobs->head, MF_JOB_FREE);
	jobs->head++;
	return true;
}

/* Does a later job while a helper is at the oldest. */
static bool run_a_later_one(struct mf_worker *w)
{
	struct mf_jobs *jobs = &w->jobs;

	if (mf_jobs_pending(jobs) <= jobs->leave)
		return false;
	for (uint32_t i = jobs->head + 1; i != jobs->tail; i++) {
		struct mf_job *job = &jobs->job[i % MF_JOBS];

		if (state_of(jobs, i) != MF_JOB_READY || !claim(jobs, i % MF_JOBS))
			continue;
		run(w, job);
		set_state(jobs, i, MF_JOB_DONE);
		return true;
	}
	return false;
}

void mf_jobs_begin_pass(struct mf_jobs *jobs, bool may_leave)
{
	jobs->leave = may_leave && jobs->helped != jobs->helped_before ? LEAVE : 0;
	jobs->helped_before = jobs->helped;
}

void mf_jobs_work(struct mf_worker *w)
{
	struct mf_jobs *jobs = &w->jobs;

	while (jobs->head != jobs->tail)
		if (!finish_oldest(w) && !run_a_later_one(w))
			break;
	mf_open_flush(w);
}

bool mf_jobs_help(struct mf_worker *w)
{
	for (unsigned i = 1; i < w->n_workers; i++) {
		struct mf_worker *other = w->peers[(w->index + i) % w->n_workers];
		struct mf_jobs *jobs = &other->jobs;

		for (uint32_t slot = 0; slot < MF_JOBS; slot++) {
			if (__atomic_load_n(&jobs->state[slot], __ATOMIC_RELAXED) != MF_JOB_READY ||
			    !claim(jobs, slot))
				continue;
			run(w, &jobs->job[slot]);
			__atomic_store_n(&jobs->state[slot], (uint32_t)MF_JOB_DONE, __ATOMIC_SEQ_CST);
			if (__atomic_load_n(&other->sleeping, __ATOMIC_SEQ_CST))
				w->host.wake_worker(w->host.ctx, other->index);
			return true;
		}
	}
	return false;
}
