/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/sets.h"

#include <stdlib.h>

#include "daemon/copies.h"
#include "daemon/reload.h"
#include "daemon/set.h"
#include "platform/clock.h"
#include "platform/random.h"
#include "platform/thread.h"
#include "platform/watch.h"

/* Whoever writes a file is given a moment to finish, but not for ever. */
#define LOOK_AFTER   MF_SEC
#define LOOK_AT_LAST (10 * MF_SEC)
/* What cannot be watched is looked at. */
#define LOOK_EVERY (10 * MF_SEC)

/* Sets, each of them once; owns them. */
struct list {
	struct mf_set **v;
	uint32_t n;
};

/* What the thread reads. Everything in it is the thread's until `done`. */
struct batch {
	struct mf_daemon *daemon;
	struct mf_thread *thread;
	struct mf_set **v; /* belong to a list of the main thread */
	uint32_t n;
	atomic_bool done;
};

struct mf_sets {
	struct mf_source source; /* first: of the watch */
	struct mf_daemon *daemon;
	struct mf_watch *watch;      /* NULL: the system gives none */
	struct list known;           /* in force; their `set` is the engine's */
	struct list next;            /* of the profile that is being prepared */
	struct list again;           /* of the one in force, after a change */
	struct batch batch;          /* thread NULL: none runs */
	const struct mf_config *cfg; /* to be prepared; NULL: none */
	mf_sets_read_fn *done;
	bool preparing;           /* the batch is of `next` */
	struct mf_set_file *cidr; /* files of CIDR sets */
	uint32_t n_cidr;
	mf_nsec look, look_at_last; /* when to look at the files */
	bool unwatched;             /* some of them cannot be watched */
};

/* ---- Lists ----------------------------------------------------------------------------------- */

static struct mf_set *find(const struct list *l, const char *name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (!strcmp(l->v[i]->name, name))
			return l->v[i];
	return NULL;
}

/* False: out of memory; the set is gone. */
static bool append(struct list *l, struct mf_set *s)
{
	struct mf_set **grown = s ? reallocarray(l->v, l->n + 1, sizeof(*grown)) : NULL;

	if (!grown) {
		mf_set_free(s);
		return false;
	}
	l->v = grown;
	l->v[l->n++] = s;
	return true;
}

static void clear(struct list *l)
{
	while (l->n)
		mf_set_free(l->v[--l->n]);
	free(l->v);
	*l = (struct list){ 0 };
}

static bool is_read(const struct mf_config_domain_set *c)
{
	return c->n_files || c->subscription.url;
}

static struct mf_set *make(const struct mf_config *cfg, const struct mf_config_domain_set *c)
{
	char path[MF_COPY_PATH_MAX];
	struct mf_rng rng = mf_random();
	const char *copy = c->subscription.url
				   ? mf_copy_path(cfg->tunnel.name, c->subscription.url, path)
				   : NULL;

	return mf_set_new(c, copy, &rng);
}

/* ---- The thread ------------------------------------------------------------------------------ */

static void read_all(void *arg)
{
	struct batch *b = arg;

	for (uint32_t i = 0; i < b->n; i++)
		mf_set_read(b->v[i]);
	atomic_store(&b->done, true);
	mf_poller_wake(b->daemon->poller);
}

/* Reads those of the list that are to be read. False: there are none. */
static bool begin(struct mf_sets *s, const struct list *l)
{
	struct batch *b = &s->batch;

	b->v = calloc(l->n + 1, sizeof(*b->v));
	b->n = 0;
	for (uint32_t i = 0; b->v && i < l->n; i++)
		if (!l->v[i]->unchanged)
			b->v[b->n++] = l->v[i];
	atomic_store(&b->done, false);
	b->thread = b->n ? mf_thread_start("mf-sets", -1, read_all, b) : NULL;
	if (b->thread)
		return true;
	/* No thread to be had: better late than never. */
	for (uint32_t i = 0; i < b->n; i++)
		mf_set_read(b->v[i]);
	free(b->v);
	b->v = NULL;
	return false;
}

static void end(struct mf_sets *s)
{
	mf_thread_join(s->batch.thread);
	free(s->batch.v);
	s->batch.thread = NULL;
	s->batch.v = NULL;
}

static void tell(const struct mf_sets *s, const struct mf_set *set)
{
	const struct mf_log *log = &s->daemon->log;
	unsigned long long ms = set->took / MF_MSEC;

	if (set->said.s)
		mf_log_lines(log, set->err ? MF_LOG_ERROR : MF_LOG_WARN, set->said.s);
	if (set->err)
		return;
	if (set->left_out)
		mf_logf(log, MF_LOG_WARN, "domain set %s: %u wrong line%s left out", set->name,
			set->left_out, set->left_out == 1 ? " is" : "s are");
	mf_logf(log, MF_LOG_INFO, "domain set %s: %zu name%s in %zu KiB, read in %llu ms",
		set->name, set->count, set->count == 1 ? "" : "s", (set->bytes + 1023) >> 10, ms);
}

/* ---- Watching -------------------------------------------------------------------------------- */

static void watch(struct mf_sets *s, const char *path)
{
	s->unwatched |= !s->watch || mf_watch_add(s->watch, path);
}

static void watch_all(struct mf_sets *s)
{
	s->unwatched = false;
	for (uint32_t i = 0; i < s->known.n; i++)
		for (uint32_t k = 0; k < s->known.v[i]->n_files; k++)
			if (!s->known.v[i]->files[k].copy)
				watch(s, s->known.v[i]->files[k].path);
	for (uint32_t i = 0; i < s->n_cidr; i++)
		watch(s, s->cidr[i].path);
}

static void something_happened(struct mf_daemon *d, struct mf_source *source, uint32_t events)
{
	struct mf_sets *s = d->sets;
	mf_nsec now = mf_clock_now();

	(void)source;
	(void)events;
	if (!mf_watch_read(s->watch))
		return;
	if (s->look_at_last == MF_NEVER)
		s->look_at_last = now + LOOK_AT_LAST;
	s->look = mf_min(now + LOOK_AFTER, s->look_at_last);
}

/* A file that is not as it was; one that is not there is told once. */
static bool has_changed(struct mf_sets *s, struct mf_set_file *f, const char *what, const char *name)
{
	struct mf_file_stamp now = mf_file_stamp(f->path);
	bool gone = mf_file_stamp_is_zero(&now);

	if (gone && !f->missing && !mf_file_stamp_is_zero(&f->stamp))
		mf_logf(&s->daemon->log, MF_LOG_WARN,
			"%s %s: %s is not there any more; the set stays as it is", what, name,
			f->path);
	f->missing = gone;
	if (gone || mf_file_stamp_equal(&now, &f->stamp))
		return false;
	f->stamp = now;
	return true;
}

static void look(struct mf_sets *s)
{
	bool reload = false;

	s->look = s->look_at_last = MF_NEVER;
	for (uint32_t i = 0; i < s->known.n; i++) {
		struct mf_set *k = s->known.v[i];

		for (uint32_t n = 0; n < k->n_files; n++)
			if (!k->files[n].copy && has_changed(s, &k->files[n], "domain set", k->name))
				k->stale = true;
	}
	for (uint32_t i = 0; i < s->n_cidr; i++)
		reload |= has_changed(s, &s->cidr[i], "file", "of a CIDR set");
	watch_all(s);
	if (reload)
		mf_reload_soon(s->daemon, "the file of a CIDR set has changed");
}

static void forget_cidr(struct mf_sets *s)
{
	while (s->n_cidr)
		free(s->cidr[--s->n_cidr].path);
	free(s->cidr);
	s->cidr = NULL;
}

static void note_cidr(struct mf_sets *s, const struct mf_config *cfg)
{
	uint32_t n = 0;

	forget_cidr(s);
	for (uint32_t i = 0; i < cfg->n_cidr_sets; i++)
		n += cfg->cidr_sets[i].n_files;
	s->cidr = calloc(n + 1, sizeof(*s->cidr));
	for (uint32_t i = 0; s->cidr && i < cfg->n_cidr_sets; i++)
		for (uint32_t k = 0; k < cfg->cidr_sets[i].n_files; k++) {
			struct mf_set_file *f = &s->cidr[s->n_cidr];

			f->path = strdup(cfg->cidr_sets[i].paths[k]);
			if (!f->path)
				return;
			f->stamp = mf_file_stamp(f->path);
			s->n_cidr++;
		}
}

/* ---- A profile ------------------------------------------------------------------------------- */

static void finish(struct mf_sets *s, mf_err err)
{
	mf_sets_read_fn *done = s->done;
	struct mf_text said = { 0 };

	for (uint32_t i = 0; i < s->next.n; i++) {
		struct mf_set *n = s->next.v[i];

		if (n->err && n->said.s)
			mf_text_add(&said, n->said.s, n->said.len);
		else if (!n->unchanged)
			tell(s, n);
		err = err ? err : n->err;
	}
	s->cfg = NULL;
	s->done = NULL;
	if (err)
		clear(&s->next);
	done(s->daemon, err, said.s ? said.s : mf_err_text(err));
	mf_text_free(&said);
}

static void prepare(struct mf_sets *s)
{
	bool whole = true;

	for (uint32_t i = 0; i < s->cfg->n_domain_sets && whole; i++) {
		const struct mf_config_domain_set *c = &s->cfg->domain_sets[i];
		const struct mf_set *old;

		if (!is_read(c))
			continue;
		whole = append(&s->next, make(s->cfg, c));
		old = find(&s->known, c->name);
		if (whole && old && !old->stale && !old->err)
			s->next.v[s->next.n - 1]->unchanged =
				mf_set_is_current(s->next.v[s->next.n - 1], old);
	}
	s->preparing = whole && begin(s, &s->next);
	if (!s->preparing)
		finish(s, whole ? MF_OK : MF_E_NO_MEMORY);
}

void mf_sets_prepare(struct mf_sets *s, const struct mf_config *cfg, mf_sets_read_fn *done)
{
	MF_ASSERT(!s->cfg);
	s->cfg = cfg;
	s->done = done;
	if (!s->batch.thread)
		prepare(s);
}

mf_err mf_sets_stage(struct mf_sets *s)
{
	struct mf_engine *e = s->daemon->engine;
	mf_err err = MF_OK;

	for (uint32_t i = 0; i < s->next.n && !err; i++) {
		struct mf_set *n = s->next.v[i];

		if (n->unchanged)
			continue;
		err = mf_engine_set_domains(e, n->name, n->set);
		n->set = NULL;
	}
	for (uint32_t i = 0; i < s->known.n && !err; i++)
		if (!find(&s->next, s->known.v[i]->name))
			err = mf_engine_set_domains(e, s->known.v[i]->name, NULL);
	return err;
}

void mf_sets_settle(struct mf_sets *s, bool in_force)
{
	if (!in_force) {
		clear(&s->next);
		return;
	}
	/* Those that have not changed know how their files were when they were read. */
	for (uint32_t i = 0; i < s->next.n; i++)
		for (uint32_t k = 0; s->next.v[i]->unchanged && k < s->known.n; k++)
			if (!strcmp(s->known.v[k]->name, s->next.v[i]->name)) {
				struct mf_set *old = s->known.v[k];

				s->known.v[k] = s->next.v[i];
				s->next.v[i] = old;
				break;
			}
	clear(&s->known);
	s->known = s->next;
	s->next = (struct list){ 0 };
	note_cidr(s, s->daemon->config);
	watch_all(s);
}

/* ---- Changes --------------------------------------------------------------------------------- */

static const struct mf_config_domain_set *in_profile(const struct mf_config *cfg, const char *name)
{
	for (uint32_t i = 0; i < cfg->n_domain_sets; i++)
		if (!strcmp(cfg->domain_sets[i].name, name))
			return &cfg->domain_sets[i];
	return NULL;
}

/* What was read again takes the place of what is in force. */
static void take(struct mf_sets *s)
{
	struct mf_errbuf eb = { "" };
	mf_err err = MF_OK;
	bool some = false;

	for (uint32_t i = 0; i < s->again.n && !err; i++) {
		struct mf_set *n = s->again.v[i];

		tell(s, n);
		if (n->err) {
			mf_logf(&s->daemon->log, MF_LOG_ERROR,
				"domain set %s: it stays as it was before", n->name);
			continue;
		}
		err = mf_engine_set_domains(s->daemon->engine, n->name, n->set);
		n->set = NULL;
		some = true;
	}
	if (some && !err)
		err = mf_engine_apply_domains(s->daemon->engine, s->daemon->config, &eb);
	if (err)
		mf_logf(&s->daemon->log, MF_LOG_ERROR, "domain sets: they stay as they are: %s",
			mf_err_text(err));
	/* Also what is wrong now is not read again before it changes; a reload of the profile
	 * tells. */
	for (uint32_t i = 0; i < s->again.n; i++)
		for (uint32_t k = 0; k < s->known.n; k++)
			if (!strcmp(s->known.v[k]->name, s->again.v[i]->name)) {
				struct mf_set *old = s->known.v[k];

				s->again.v[i]->stale |= old->stale;
				s->known.v[k] = s->again.v[i];
				s->again.v[i] = old;
			}
	clear(&s->again);
}

static void read_again(struct mf_sets *s)
{
	for (uint32_t i = 0; i < s->known.n; i++) {
		const struct mf_config_domain_set *c;

		if (!s->known.v[i]->stale)
			continue;
		s->known.v[i]->stale = false;
		c = in_profile(s->daemon->config, s->known.v[i]->name);
		if (c)
			(void)append(&s->again, make(s->daemon->config, c));
	}
	if (s->again.n && !begin(s, &s->again))
		take(s);
}

void mf_sets_refresh(struct mf_sets *s, const char *name)
{
	struct mf_set *k = find(&s->known, name);

	if (k)
		k->stale = true;
	mf_poller_wake(s->daemon->poller);
}

bool mf_sets_busy(const struct mf_sets *s)
{
	for (uint32_t i = 0; i < s->known.n; i++)
		if (s->known.v[i]->stale)
			return true;
	return s->batch.thread || s->cfg;
}

mf_nsec mf_sets_tick(struct mf_sets *s, mf_nsec now)
{
	if (s->batch.thread && atomic_load(&s->batch.done)) {
		end(s);
		if (s->preparing) {
			s->preparing = false;
			finish(s, MF_OK);
		} else {
			take(s);
		}
	}
	if (now >= s->look)
		look(s);
	if (s->unwatched)
		s->look = mf_min(s->look, now + LOOK_EVERY);
	if (!s->batch.thread && s->cfg)
		prepare(s);
	else if (!s->batch.thread && !s->next.n)
		read_again(s);
	return s->look;
}

/* ---- A life ---------------------------------------------------------------------------------- */

struct mf_sets *mf_sets_new(struct mf_daemon *d)
{
	struct mf_sets *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->daemon = d;
	s->batch.daemon = d;
	s->look = s->look_at_last = MF_NEVER;
	s->watch = mf_watch_new();
	s->source = (struct mf_source){ s->watch ? mf_watch_fd(s->watch) : -1, something_happened };
	if (s->watch && mf_daemon_watch(d, &s->source, MF_POLL_READ)) {
		mf_watch_free(s->watch);
		s->watch = NULL;
	}
	return s;
}

void mf_sets_free(struct mf_sets *s)
{
	if (!s)
		return;
	end(s); /* reading takes a second or two */
	if (s->watch)
		mf_daemon_unwatch(s->daemon, &s->source);
	mf_watch_free(s->watch);
	forget_cidr(s);
	clear(&s->known);
	clear(&s->next);
	clear(&s->again);
	free(s);
}
