/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/dns_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/copies.h"
#include "platform/clock.h"
#include "proto/dns/cache.h"

#define SAVE_EVERY (10 * 60 * MF_SEC)

/* ---- What the answers depend on -------------------------------------------------------------- */

static uint64_t mix(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3; /* FNV-1a */
	return h;
}

/* The names of the hops, whose numbers are in the file, and the way out. */
static uint64_t world_of(const struct mf_daemon *d)
{
	const struct mf_snapshot *snap = mf_engine_snapshot(d->engine);
	struct mf_route_path path = { 0 };
	uint64_t h = 0xcbf29ce484222325;

	for (uint32_t i = 0; i < snap->n_hops; i++) {
		h = mix(h, &i, sizeof(i));
		h = mix(h, snap->hop[i].name, strlen(snap->hop[i].name));
	}
	if (mf_route_lookup_default(d->mark, &path))
		return h;
	h = mix(h, path.ifname, strlen(path.ifname));
	return mix(h, path.gateway.b, sizeof(path.gateway.b));
}

static struct mf_dns_cache_when when(const struct mf_daemon *d)
{
	return (struct mf_dns_cache_when){
		.now = mf_clock_now(),
		.wall = (uint64_t)mf_clock_wall().sec,
		.world = world_of(d),
	};
}

/* ---- On the worker that has the resolver ----------------------------------------------------- */

struct task {
	struct mf_engine *engine;
	struct mf_dns_cache_when when;
	uint8_t *bytes;
	size_t n, cap;
	mf_err err;
};

static void take_out(struct mf_worker *w, void *ctx)
{
	struct task *t = ctx;

	(void)w;
	t->n = mf_dns_cache_save(mf_resolver_cache(mf_engine_resolver(t->engine)), t->bytes, t->cap,
				 &t->when);
}

static void put_in(struct mf_worker *w, void *ctx)
{
	struct task *t = ctx;

	(void)w;
	t->err = mf_dns_cache_load(mf_resolver_cache(mf_engine_resolver(t->engine)),
				   mf_span(t->bytes, t->n), &t->when);
}

/* ---- Load ------------------------------------------------------------------------------------ */

/* A regular file, as large as a cache at most; false: errno says why not. */
static bool read_file(const char *path, struct task *t)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;
	ssize_t n = 1;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size > t->cap) {
		close(fd);
		errno = EFBIG;
		return false;
	}
	while (n > 0 && t->n < t->cap) {
		n = read(fd, t->bytes + t->n, t->cap - t->n);
		t->n += n > 0 ? (size_t)n : 0;
	}
	close(fd);
	return n >= 0;
}

static void tell_loaded(struct mf_daemon *d, const struct task *t)
{
	const struct mf_dns_cache *cache = mf_resolver_cache(mf_engine_resolver(d->engine));
	uint64_t n = mf_counter_read(&mf_dns_cache_counters(cache)->entries);
	const char *why = t->err == MF_E_CONFLICT ? "is of other interfaces or of another network"
			  : t->err == MF_E_RANGE  ? "was written later than now, by our clock"
						  : "holds no answers";

	if (t->err)
		mf_logf(&d->log, t->err == MF_E_CONFLICT ? MF_LOG_INFO : MF_LOG_WARN,
			"dns.cache_file: %s %s: left out", d->config->dns.cache_path, why);
	else
		mf_logf(&d->log, MF_LOG_INFO,
			"dns.cache_file: %" PRIu64 " answers are known from before", n);
}

void mf_dns_file_load(struct mf_daemon *d)
{
	const struct mf_config_dns *c = &d->config->dns;
	struct task t = { .engine = d->engine, .cap = c->cache_bytes };
	char buf[128];

	d->dns_file_next = mf_clock_now() + SAVE_EVERY;
	if (!c->enabled || !c->cache_path)
		return;
	t.bytes = malloc(t.cap);
	if (t.bytes && read_file(c->cache_path, &t)) {
		t.when = when(d);
		mf_engine_call(d->engine, 0, put_in, &t, t.when.now);
		tell_loaded(d, &t);
	} else if (errno != ENOENT) {
		mf_logf(&d->log, MF_LOG_WARN, "dns.cache_file: cannot read %s: %s", c->cache_path,
			strerror_r(errno, buf, sizeof(buf)));
	}
	free(t.bytes);
}

/* ---- Save ------------------------------------------------------------------------------------ */

void mf_dns_file_save(struct mf_daemon *d)
{
	const struct mf_config_dns *c = &d->config->dns;
	struct task t = { .engine = d->engine, .cap = c->cache_bytes };
	struct mf_errbuf eb;

	if (!c->enabled || !c->cache_path)
		return;
	t.bytes = malloc(t.cap);
	if (!t.bytes)
		return;
	memset(t.bytes, 0, t.cap); /* its pages are made here, not while the worker waits */
	t.when = when(d);
	mf_engine_call(d->engine, 0, take_out, &t, t.when.now);
	if (t.n <= t.cap) {
		bool failed = mf_file_replace(c->cache_path, mf_span(t.bytes, t.n), false, &eb) !=
			      MF_OK;

		if (failed && !d->dns_file_failed)
			mf_logf(&d->log, MF_LOG_WARN, "dns.cache_file: %s", eb.text);
		d->dns_file_failed = failed;
	}
	free(t.bytes);
}

mf_nsec mf_dns_file_tick(struct mf_daemon *d, mf_nsec now)
{
	if (now >= d->dns_file_next) {
		mf_dns_file_save(d);
		d->dns_file_next = now + SAVE_EVERY;
	}
	return d->dns_file_next;
}
