/* SPDX-License-Identifier: Apache-2.0
 *
 * sysdns_resolvconf - /etc/resolv.conf: ours goes in, the original comes back.
 *
 * Beside the file there are two names. `fresh` is where ours is written, then it and the file
 * change places in one step (RENAME_EXCHANGE): nobody sees a moment without a file, and what was
 * there, whatever it is, is at `fresh`. From there it goes to `before`. So after a crash at any
 * point the three names tell all:
 *
 *	fresh is ours          never got in place                 remove it
 *	fresh is not ours      has just been taken out            it is `before`
 *	the file is ours       `before` is there                  it goes back
 *	                       no `before`                        there was no file: remove ours
 *	the file is not ours   somebody has written it since      it stays, `before` is of no use
 *
 * A file that is a mount of its own (containers, `ip netns exec`) cannot be exchanged. It is
 * written in place then, and `before` is a copy, whose name has the number of the file: /etc may be
 * that of several such files.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bucket.h"
#include "platform/clock.h"
#include "platform/linux/sysdns_priv.h"

enum {
	PATH_BYTES = 256,
	NAME_BYTES = PATH_BYTES + 64,
	TRIES = 4,  /* to write a file that somebody else writes at the same time */
	FIGHTS = 6, /* that somebody rewrites the file, in a row; then one each FIGHT_EACH */
};

#define FIGHT_EACH (60 * MF_SEC)
#define LOCK_WAIT  (3 * MF_SEC) /* for the process of a run that was killed to put back */
#define LOCK_STEP  (20 * MF_MSEC)

enum standing { ABSENT, OURS, THEIRS };

struct mf_resolvconf {
	struct mf_log log;
	char path[PATH_BYTES], dir[PATH_BYTES];
	char fresh[NAME_BYTES], before[NAME_BYTES];
	const char *base;
	bool mounted;
	int lock; /* -1: not ours to change */
	int inotify, dir_watch, file_watch;
	bool gave_up;
	mf_nsec full_at; /* bucket of fights */
	char *text;      /* ours, as it was written last */
	size_t n_text;
};

/* ---- Reading --------------------------------------------------------------------------------- */

struct content {
	char *p;
	size_t n;
};

/* Reads a regular file as a whole; `flags` may say O_NOFOLLOW. */
static mf_err read_all(const char *path, int flags, struct content *out)
{
	/* O_NONBLOCK: a FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
	struct stat st;
	ssize_t n = 0;

	*out = (struct content){ 0 };
	if (fd < 0)
		return errno == ENOENT ? MF_E_NOT_FOUND : MF_E_SYSTEM;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return MF_E_UNSUPPORTED;
	}
	out->p = malloc(MF_RESOLVCONF_MAX + 1);
	while (out->p && out->n <= MF_RESOLVCONF_MAX &&
	       (n = read(fd, out->p + out->n, MF_RESOLVCONF_MAX + 1 - out->n)) > 0)
		out->n += (size_t)n;
	close(fd);
	if (out->p && n >= 0 && out->n <= MF_RESOLVCONF_MAX)
		return MF_OK;
	errno = out->n > MF_RESOLVCONF_MAX ? EFBIG : errno;
	free(out->p);
	*out = (struct content){ 0 };
	return MF_E_SYSTEM;
}

static struct mf_span span_of(const struct content *c)
{
	return mf_span(c->p ? c->p : "", c->n);
}

static bool exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static enum standing standing_of(const char *path)
{
	struct content c;
	mf_err err = read_all(path, O_NOFOLLOW, &c);
	bool ours = !err && mf_resolvconf_is_ours(span_of(&c));

	free(c.p);
	return err == MF_E_NOT_FOUND ? ABSENT : ours ? OURS : THEIRS;
}

static enum standing standing(const struct mf_resolvconf *f)
{
	struct stat st;

	/* Writing in place is not done in one step: it was cut off after emptying the file. */
	if (f->mounted && !stat(f->path, &st) && !st.st_size && exists(f->before))
		return OURS;
	return standing_of(f->path);
}

/* Byte for byte what we wrote. */
static bool stands(const struct mf_resolvconf *f)
{
	struct content c;
	bool same = f->text && !read_all(f->path, O_NOFOLLOW, &c);

	if (!same)
		return false;
	same = c.n == f->n_text && !memcmp(c.p, f->text, c.n);
	free(c.p);
	return same;
}

/* What the original says; empty: there is none, or it leads nowhere. */
static struct content original(const struct mf_resolvconf *f)
{
	struct content c;

	(void)!read_all(standing(f) == OURS ? f->before : f->path, 0, &c);
	return c;
}

bool mf_resolvconf_leads_to_stub(const struct mf_resolvconf *f)
{
	struct content c = original(f);
	bool stub = mf_resolvconf_is_stub(span_of(&c));

	free(c.p);
	return stub;
}

/* ---- Whose file it is ------------------------------------------------------------------------ */

bool mf_netns_is_foreign(void)
{
	char mine[64], first[64];
	ssize_t a = readlink("/proc/self/ns/net", mine, sizeof(mine));
	ssize_t b = readlink("/proc/1/ns/net", first, sizeof(first));

	return a > 0 && b > 0 && (a != b || memcmp(mine, first, (size_t)a) != 0);
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;
	int ra = lstat(a, &x), rb = lstat(b, &y);

	return ra ? rb != 0 : !rb && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* In a network namespace of our own, is it still the file of the machine around it? Its programs
 * cannot reach our server. */
static bool is_the_machines(const struct mf_resolvconf *f)
{
	char path[NAME_BYTES], dir[NAME_BYTES];

	snprintf(path, sizeof(path), "/proc/1/root%s", f->path);
	snprintf(dir, sizeof(dir), "/proc/1/root%s", f->dir);
	return mf_netns_is_foreign() && same_file(f->dir, dir) && same_file(f->path, path);
}

/* Is the file, or where a link leads, a mount of its own? */
static bool is_mounted(const char *path, unsigned long long *ino)
{
	struct statx sx;

	if (statx(AT_FDCWD, path, 0, STATX_INO, &sx))
		return false;
	*ino = sx.stx_ino;
	return sx.stx_attributes & sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT;
}

/* The lock is on the directory, because the file is exchanged; a mount stays, and several may be in
 * one directory. */
static mf_err take_lock(struct mf_resolvconf *f, mf_nsec wait, struct mf_errbuf *eb)
{
	mf_nsec end = mf_clock_now() + wait;

	if (f->lock >= 0)
		return MF_OK;
	f->lock = open(f->mounted ? f->path : f->dir, O_RDONLY | O_CLOEXEC);
	if (f->lock < 0)
		return mf_fail(eb, MF_E_SYSTEM, "%s: %s", f->dir, strerror(errno));
	while (flock(f->lock, LOCK_EX | LOCK_NB)) {
		if (errno == EWOULDBLOCK && mf_clock_now() < end) {
			mf_clock_sleep(LOCK_STEP);
			continue;
		}
		close(f->lock);
		f->lock = -1;
		return mf_fail(eb, MF_E_CONFLICT, "%s is in the hands of another MintFlow", f->path);
	}
	return MF_OK;
}

static void drop_lock(struct mf_resolvconf *f)
{
	if (f->lock >= 0)
		close(f->lock);
	f->lock = -1;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static bool write_fd(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return false;
		p += k;
		n -= (size_t)k;
	}
	return fsync(fd) == 0;
}

/* A new file at `fresh`; false: errno. */
static bool write_fresh(const struct mf_resolvconf *f, const char *p, size_t n)
{
	int fd, saved;
	bool ok;

	if (unlink(f->fresh) && errno != ENOENT)
		return false;
	fd = open(f->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return false;
	ok = fchmod(fd, 0644) == 0 && write_fd(fd, p, n);
	saved = errno;
	close(fd);
	if (!ok)
		(void)unlink(f->fresh);
	errno = saved;
	return ok;
}

/* What has been taken out is the original, unless it is an older one of ours. */
static bool keep_fresh(const struct mf_resolvconf *f)
{
	if (standing_of(f->fresh) == OURS)
		return unlink(f->fresh) == 0;
	return rename(f->fresh, f->before) == 0;
}

/* `fresh` and the file change places; false: errno. */
static bool exchange(const struct mf_resolvconf *f)
{
	if (renameat2(AT_FDCWD, f->fresh, AT_FDCWD, f->path, RENAME_EXCHANGE) == 0)
		return keep_fresh(f);
	if (errno == ENOENT) {
		/* There was none. Or there is one now: the caller looks again. */
		if (renameat2(AT_FDCWD, f->fresh, AT_FDCWD, f->path, RENAME_NOREPLACE))
			return errno == EEXIST;
		return unlink(f->before) == 0 || errno == ENOENT;
	}
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	/* A file system that cannot exchange. */
	if (standing_of(f->path) != OURS && rename(f->path, f->before))
		return false;
	return rename(f->fresh, f->path) == 0;
}

/* Bytes and times of an open file into one that stays the same file. */
static bool copy_to(int fd, const struct content *c, const struct stat *st)
{
	struct timespec times[2] = { st->st_atim, st->st_mtim };

	return write_fd(fd, c->p, c->n) && futimens(fd, times) == 0;
}

/* `before` becomes a copy of the file. */
static bool copy_original(const struct mf_resolvconf *f)
{
	struct content c;
	struct stat st;
	bool ok = false;
	int fd;

	if (stat(f->path, &st) || read_all(f->path, O_NOFOLLOW, &c))
		return false;
	(void)unlink(f->fresh);
	fd = open(f->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		ok = copy_to(fd, &c, &st);
		close(fd);
	}
	free(c.p);
	return ok && rename(f->fresh, f->before) == 0;
}

static bool write_in_place(const struct mf_resolvconf *f, const char *p, size_t n)
{
	int fd;
	bool ok;

	if (standing(f) != OURS && !copy_original(f))
		return false;
	fd = open(f->path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write_fd(fd, p, n);
	close(fd);
	return ok;
}

/* ---- Putting back ---------------------------------------------------------------------------- */

static bool back_in_place(const struct mf_resolvconf *f)
{
	struct content c;
	struct stat st;
	bool ok;
	int fd;

	if (stat(f->before, &st) || read_all(f->before, O_NOFOLLOW, &c))
		return false;
	fd = open(f->path, O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC);
	ok = fd >= 0 && copy_to(fd, &c, &st);
	if (fd >= 0)
		close(fd);
	free(c.p);
	return ok && unlink(f->before) == 0;
}

static bool bring_back(const struct mf_resolvconf *f)
{
	if (!exists(f->before))
		return unlink(f->path) == 0;
	return f->mounted ? back_in_place(f) : rename(f->before, f->path) == 0;
}

/* By the table at the top. The lock is ours. */
static mf_err put_back(struct mf_resolvconf *f, bool *done, struct mf_errbuf *eb)
{
	bool left = exists(f->fresh) || exists(f->before), ok = true;
	enum standing now;

	if (exists(f->fresh))
		ok = f->mounted ? unlink(f->fresh) == 0 : keep_fresh(f);
	now = standing(f);
	if (now == OURS || (now == ABSENT && exists(f->before))) {
		*done = true;
		ok = bring_back(f) && ok;
	} else if (exists(f->before)) {
		ok = unlink(f->before) == 0 && ok;
	}
	*done |= left;
	if (ok)
		return MF_OK;
	return mf_fail(eb, MF_E_SYSTEM, "%s cannot be put back: %s; the original is %s", f->path,
		       strerror(errno), exists(f->before) ? f->before : "lost");
}

mf_err mf_resolvconf_undo(struct mf_resolvconf *f, bool *done, struct mf_errbuf *eb)
{
	mf_err err = MF_OK;

	*done = false;
	if (f->lock >= 0)
		err = put_back(f, done, eb);
	drop_lock(f);
	f->gave_up = false;
	free(f->text);
	f->text = NULL;
	return err;
}

mf_err mf_resolvconf_repair(struct mf_resolvconf *f, bool *done, struct mf_errbuf *eb)
{
	mf_err err;

	*done = false;
	if (!exists(f->fresh) && !exists(f->before) && standing(f) != OURS)
		return MF_OK;
	err = is_the_machines(f) ? MF_OK : take_lock(f, 0, eb);
	if (f->lock >= 0)
		err = put_back(f, done, eb);
	drop_lock(f);
	return err;
}

/* ---- Ours ------------------------------------------------------------------------------------ */

/* Composes f->text anew. False: out of memory. */
static bool compose(struct mf_resolvconf *f, const char *tunnel, const struct mf_addr *server)
{
	bool none = standing(f) == ABSENT || (standing(f) == OURS && !exists(f->before));
	struct content c = original(f);
	char undo[2 * NAME_BYTES + 16], *text = malloc(c.n + MF_RESOLVCONF_HEAD);

	if (none)
		snprintf(undo, sizeof(undo), "rm %s", f->path);
	else if (f->mounted)
		snprintf(undo, sizeof(undo), "cat %s > %s", f->before, f->path);
	else
		snprintf(undo, sizeof(undo), "mv -f %s %s", f->before, f->path);
	if (text) {
		free(f->text);
		f->text = text;
		f->n_text = mf_resolvconf_compose(text, tunnel, server, undo, span_of(&c));
	}
	free(c.p);
	return text != NULL;
}

/* Until what stands there is ours and fits the original that was there: somebody may write at the
 * same time. */
static mf_err install(struct mf_resolvconf *f, const char *tunnel, const struct mf_addr *server,
		      struct mf_errbuf *eb)
{
	for (int i = 0; i < TRIES; i++) {
		if (!compose(f, tunnel, server))
			return mf_fail(eb, MF_E_NO_MEMORY, "not enough memory");
		if (stands(f))
			return MF_OK;
		if (f->mounted ? write_in_place(f, f->text, f->n_text)
			       : write_fresh(f, f->text, f->n_text) && exchange(f))
			continue;
		return mf_fail(eb, MF_E_SYSTEM, "%s cannot be written: %s", f->path, strerror(errno));
	}
	return stands(f) ? MF_OK
			 : mf_fail(eb, MF_E_AGAIN, "%s is written by another program all the time",
				   f->path);
}

/* Somebody has rewritten the file. False: once too often. */
static bool fight(struct mf_resolvconf *f, bool asked, mf_nsec now)
{
	if (f->gave_up && !asked)
		return false;
	if (mf_bucket_has(f->full_at, now, FIGHT_EACH, FIGHTS)) {
		mf_bucket_take(&f->full_at, now, FIGHT_EACH);
		f->gave_up = false;
		return true;
	}
	if (!f->gave_up)
		mf_logf(&f->log, MF_LOG_ERROR,
			"%s: another program has rewritten it %d times in a row; it can have it: "
			"names are no longer asked of MintFlow. Stop that program, or say "
			"`dns.system: off`",
			f->path, FIGHTS);
	f->gave_up = true;
	return false;
}

static mf_err begin(struct mf_resolvconf *f, struct mf_errbuf *eb)
{
	struct stat st;
	mf_err err;

	if (is_the_machines(f))
		return mf_fail(eb, MF_E_CONFLICT,
			       "%s is that of the whole machine, not of this network namespace; "
			       "bind another file over it",
			       f->path);
	if (!lstat(f->path, &st) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return mf_fail(eb, MF_E_UNSUPPORTED, "%s is neither a file nor a link", f->path);
	err = take_lock(f, LOCK_WAIT, eb);
	/* Whoever had it before us may have been killed while we waited. */
	if (!err)
		err = put_back(f, &(bool){ false }, eb);
	return err;
}

mf_err mf_resolvconf_apply(struct mf_resolvconf *f, const char *tunnel, const struct mf_addr *server,
			   bool asked, mf_nsec now, struct mf_errbuf *eb)
{
	bool first = f->lock < 0;
	enum standing was;
	mf_err err = first ? begin(f, eb) : MF_OK;

	was = standing(f);
	if (!err && !first && f->text && !stands(f)) {
		if (!fight(f, asked, now))
			return mf_fail(eb, MF_E_FULL, "%s is another program's", f->path);
		mf_logf(&f->log, MF_LOG_WARN, "%s was %s by another program; it is set again%s",
			f->path,
			was == ABSENT ? "removed"
			: was == OURS ? "edited"
				      : "rewritten",
			was == THEIRS ? ", and theirs comes back at the end" : "");
	}
	if (!err)
		err = install(f, tunnel, server, eb);
	if (err && first) {
		(void)!mf_resolvconf_undo(f, &(bool){ false }, NULL);
		return err;
	}
	mf_resolvconf_watch(f);
	return err;
}

/* ---- Watching -------------------------------------------------------------------------------- */

void mf_resolvconf_watch(struct mf_resolvconf *f)
{
	enum { DIR_EVENTS = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM };

	if (f->inotify < 0)
		return;
	f->dir_watch = inotify_add_watch(f->inotify, f->dir, DIR_EVENTS | IN_ONLYDIR);
	/* Who writes to the file that is mounted here does so in another directory. */
	if (f->mounted)
		f->file_watch = inotify_add_watch(f->inotify, f->path, IN_CLOSE_WRITE);
}

bool mf_resolvconf_events(struct mf_resolvconf *f)
{
	_Alignas(struct inotify_event) char buf[4096];
	bool touched = false;
	ssize_t n;

	while ((n = read(f->inotify, buf, sizeof(buf))) > 0)
		for (ssize_t at = 0; at < n;) {
			const struct inotify_event *e = (const void *)(buf + at);

			touched |= (e->mask & IN_Q_OVERFLOW) ||
				   (e->len && !strcmp(e->name, f->base)) ||
				   (!e->len && e->wd == f->file_watch);
			at += (ssize_t)(sizeof(*e) + e->len);
		}
	return touched;
}

int mf_resolvconf_fd(const struct mf_resolvconf *f)
{
	return f->inotify;
}

/* ---- Life ------------------------------------------------------------------------------------ */

/* `path` has no links that lead to a mount. */
static bool name_files(struct mf_resolvconf *f, const char *path, const char *number)
{
	size_t n = strlen(path);

	if (path[0] != '/' || n >= sizeof(f->path))
		return false;
	memcpy(f->path, path, n + 1);
	f->base = strrchr(f->path, '/') + 1;
	n = (size_t)(f->base - f->path);
	memcpy(f->dir, path, n);
	f->dir[n > 1 ? n - 1 : n] = '\0';
	snprintf(f->fresh, sizeof(f->fresh), "%s.new-mintflow%s", path, number);
	snprintf(f->before, sizeof(f->before), "%s.before-mintflow%s", path, number);
	return true;
}

static bool find_files(struct mf_resolvconf *f, const char *path)
{
	unsigned long long ino;
	char number[24], *real;
	bool named;

	f->mounted = is_mounted(path, &ino);
	if (!f->mounted)
		return name_files(f, path, "");
	snprintf(number, sizeof(number), ".%llu", ino);
	real = realpath(path, NULL);
	named = real && name_files(f, real, number);
	free(real);
	return named;
}

struct mf_resolvconf *mf_resolvconf_new(const char *path, const struct mf_log *log)
{
	struct mf_resolvconf *f = calloc(1, sizeof(*f));

	if (!f || !find_files(f, path ? path : "/etc/resolv.conf")) {
		free(f);
		return NULL;
	}
	f->log = *log;
	f->lock = f->dir_watch = f->file_watch = -1;
	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	return f;
}

void mf_resolvconf_free(struct mf_resolvconf *f)
{
	if (!f)
		return;
	if (f->inotify >= 0)
		close(f->inotify);
	drop_lock(f);
	free(f->text);
	free(f);
}
