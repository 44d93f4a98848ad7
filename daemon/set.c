/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/set.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/clock.h"
#include "policy/list.h"

/* ---- Files ----------------------------------------------------------------------------------- */

static struct mf_file_stamp stamp_of(const struct stat *st)
{
	return (struct mf_file_stamp){
		.device = (uint64_t)st->st_dev,
		.inode = (uint64_t)st->st_ino,
		.size = (uint64_t)st->st_size,
		.modified = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec,
		.changed = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec,
	};
}

struct mf_file_stamp mf_file_stamp(const char *path)
{
	struct stat st;

	return stat(path, &st) ? (struct mf_file_stamp){ 0 } : stamp_of(&st);
}

bool mf_file_stamp_equal(const struct mf_file_stamp *a, const struct mf_file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->modified == b->modified && a->changed == b->changed;
}

bool mf_file_stamp_is_zero(const struct mf_file_stamp *s)
{
	return mf_file_stamp_equal(s, &(struct mf_file_stamp){ 0 });
}

static mf_err cannot(const char *path, struct mf_errbuf *why)
{
	char buf[128];

	return mf_fail(why, errno == ENOENT ? MF_E_NOT_FOUND : MF_E_SYSTEM, "cannot read %s: %s",
		       path, strerror_r(errno, buf, sizeof(buf)));
}

static mf_err no_memory(const char *path, struct mf_errbuf *why)
{
	return mf_fail(why, MF_E_NO_MEMORY, "not enough memory to read %s", path);
}

/* To the end, which may have moved since somebody looked at its size. */
static mf_err read_all(int fd, const char *path, size_t max, char **text, size_t *n,
		       struct mf_errbuf *why)
{
	for (;;) {
		ssize_t got = read(fd, *text + *n, max + 1 - *n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return cannot(path, why);
		*n += (size_t)got;
		if (!got || *n > max)
			return MF_OK;
	}
}

static mf_err read_once(int fd, const char *path, size_t max, char **text, size_t *n,
			struct mf_file_stamp *stamp, struct mf_errbuf *why)
{
	size_t room;
	struct stat st;
	mf_err err;

	if (fstat(fd, &st))
		return cannot(path, why);
	if (!S_ISREG(st.st_mode))
		return mf_fail(why, MF_E_SYSTEM, "%s is not a file that can be read", path);
	*stamp = stamp_of(&st);
	*n = 0;
	if ((uint64_t)st.st_size > max)
		return mf_fail(why, MF_E_RANGE, "%s is longer than %zu MiB; split it", path,
			       max >> 20);
	/* One that grows meanwhile is read again. */
	room = (size_t)st.st_size;
	*text = malloc(room + 1);
	if (!*text)
		return no_memory(path, why);
	err = read_all(fd, path, room, text, n, why);
	*n = mf_min(*n, room);
	if (err) {
		free(*text);
		*text = NULL;
	}
	return err;
}

mf_err mf_file_slurp(const char *path, size_t max, char **text, size_t *n,
		     struct mf_file_stamp *stamp, struct mf_errbuf *why)
{
	*text = NULL;
	for (int i = 0;; i++) {
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		mf_err err = fd < 0 ? cannot(path, why)
				    : read_once(fd, path, max, text, n, stamp, why);
		struct mf_file_stamp now = mf_file_stamp(path);

		if (fd >= 0)
			close(fd);
		if (err || i == MF_SET_FILE_CHANGES_MAX || mf_file_stamp_equal(&now, stamp))
			return err;
		free(*text);
		*text = NULL;
		mf_clock_sleep(100 * MF_MSEC);
	}
}

/* ---- What it is made of ---------------------------------------------------------------------- */

static bool copy_domains(struct mf_set *s, const struct mf_config_domain_set *from)
{
	s->domains = calloc(from->n_domains + 1, sizeof(*s->domains));
	for (; s->domains && s->n_domains < from->n_domains; s->n_domains++)
		if (!(s->domains[s->n_domains] = strdup(from->domains[s->n_domains])))
			return false;
	return s->domains;
}

static bool copy_files(struct mf_set *s, const struct mf_config_domain_set *from, const char *copy)
{
	s->files = calloc(from->n_files + 1, sizeof(*s->files));
	for (; s->files && s->n_files < from->n_files; s->n_files++)
		if (!(s->files[s->n_files].path = strdup(from->paths[s->n_files])))
			return false;
	if (!s->files || !copy)
		return s->files;
	s->files[s->n_files].copy = true;
	s->files[s->n_files].path = strdup(copy);
	return s->files[s->n_files++].path;
}

struct mf_set *mf_set_new(const struct mf_config_domain_set *from, const char *copy,
			  const struct mf_rng *rng)
{
	struct mf_set *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->lenient = from->lenient;
	s->optional = copy != NULL;
	rng->fill(rng->ctx, s->key, sizeof(s->key));
	s->name = strdup(from->name);
	if (s->name && copy_domains(s, from) && copy_files(s, from, copy))
		return s;
	mf_set_free(s);
	return NULL;
}

void mf_set_free(struct mf_set *s)
{
	if (!s)
		return;
	for (uint32_t i = 0; i < s->n_domains; i++)
		free(s->domains[i]);
	for (uint32_t i = 0; i < s->n_files; i++)
		free(s->files[i].path);
	free(s->domains);
	free(s->files);
	free(s->name);
	mf_text_free(&s->said);
	mf_domain_set_free(s->set);
	free(s);
}

bool mf_set_is_current(const struct mf_set *s, const struct mf_set *old)
{
	if (s->lenient != old->lenient || s->n_domains != old->n_domains ||
	    s->n_files != old->n_files || s->optional != old->optional)
		return false;
	for (uint32_t i = 0; i < s->n_domains; i++)
		if (strcmp(s->domains[i], old->domains[i]) != 0)
			return false;
	for (uint32_t i = 0; i < s->n_files; i++) {
		struct mf_file_stamp now = mf_file_stamp(s->files[i].path);

		if (strcmp(s->files[i].path, old->files[i].path) != 0 ||
		    !mf_file_stamp_equal(&now, &old->files[i].stamp))
			return false;
	}
	return true;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static mf_err add(void *ctx, enum mf_domain_kind kind, const char *name, size_t n, bool except,
		  uint32_t line, struct mf_errbuf *eb)
{
	(void)line;
	return mf_domain_builder_add(ctx, kind, name, n, except, eb);
}

static mf_err read_list(struct mf_domain_builder *b, struct mf_span text,
			struct mf_list_report *report)
{
	const struct mf_list_sink sink = { .ctx = b, .domain = add };

	return mf_list_read(text, MF_LIST_DOMAINS, &sink, report);
}

static void tell_lines(struct mf_text *said, const char *path, const struct mf_list_report *r)
{
	uint32_t n = (uint32_t)mf_min(r->n_errors, MF_SET_ERRORS_SHOWN);

	for (uint32_t i = 0; i < n; i++)
		mf_text_printf(said, "%s:%u: error: %s\n", path, r->error[i].line, r->error[i].text);
	if (r->bad > n)
		mf_text_printf(said, "%s: and %u more line%s that %s wrong\n", path, r->bad - n,
			       r->bad - n == 1 ? "" : "s", r->bad - n == 1 ? "is" : "are");
}

static mf_err read_file(struct mf_set *s, struct mf_domain_builder *b, struct mf_set_file *f)
{
	struct mf_list_report report = { 0 };
	struct mf_errbuf why;
	char *text;
	size_t n;
	mf_err err = mf_file_slurp(f->path, MF_SET_FILE_MAX, &text, &n, &f->stamp, &why);

	if (err == MF_E_NOT_FOUND && (f->copy || s->optional))
		return MF_OK;
	if (err) {
		mf_text_printf(&s->said, "domain set %s: %s\n", s->name, why.text);
		return err;
	}
	err = read_list(b, mf_span(text, n), &report);
	free(text);
	if (err) {
		mf_text_printf(&s->said, "%s:%u: error: domain set %s: %s\n", f->path, report.lines,
			       s->name, mf_err_text(err));
		return err;
	}
	if (!report.bad)
		return MF_OK;
	s->left_out += report.bad;
	tell_lines(&s->said, f->path, &report);
	return s->lenient || f->copy ? MF_OK : MF_E_MALFORMED;
}

static mf_err read_inline(struct mf_set *s, struct mf_domain_builder *b)
{
	char name[MF_LIST_LINE_MAX];
	mf_err err = MF_OK;

	for (uint32_t i = 0; i < s->n_domains && !err; i++) {
		enum mf_domain_kind kind;
		struct mf_errbuf why;

		err = mf_list_entry(s->domains[i], strlen(s->domains[i]), &kind, name, sizeof(name),
				    &why);
		if (!err)
			err = mf_domain_builder_add(b, kind, name, strlen(name), false, &why);
		if (err)
			mf_text_printf(&s->said, "domain set %s: %s\n", s->name, why.text);
	}
	return err;
}

void mf_set_read(struct mf_set *s)
{
	mf_nsec began = mf_clock_now();
	struct mf_domain_builder *b = mf_domain_builder_new(s->key);

	s->err = b ? read_inline(s, b) : MF_E_NO_MEMORY;
	/* All of them, so that all that is wrong is told at once. */
	for (uint32_t i = 0; b && i < s->n_files; i++) {
		mf_err one = read_file(s, b, &s->files[i]);

		s->err = s->err ? s->err : one;
	}
	if (!s->err) {
		s->set = mf_domain_builder_finish(b);
		b = NULL;
		s->err = s->set ? MF_OK : MF_E_NO_MEMORY;
	}
	mf_domain_builder_free(b);
	if (s->err == MF_E_NO_MEMORY)
		mf_text_printf(&s->said, "domain set %s: not enough memory\n", s->name);
	if (s->set) {
		s->count = mf_domain_set_count(s->set);
		s->bytes = mf_domain_set_bytes(s->set);
	}
	s->took = mf_clock_now() - began;
}

/* ---- What was fetched ------------------------------------------------------------------------ */

static mf_err take_prefix(void *ctx, const struct mf_prefix *p, uint32_t line, struct mf_errbuf *eb)
{
	(void)ctx;
	(void)p;
	(void)line;
	(void)eb;
	return MF_OK;
}

/* What servers send instead of a list: no list begins so. */
static bool is_markup(struct mf_span text)
{
	size_t i = 0;

	if (text.n >= 3 && !memcmp(text.p, "\xef\xbb\xbf", 3))
		i = 3;
	while (i < text.n && (text.p[i] == ' ' || (text.p[i] >= '\t' && text.p[i] <= '\r')))
		i++;
	return i < text.n && text.p[i] == '<';
}

static mf_err judge_report(const struct mf_list_report *r, bool lenient, struct mf_errbuf *why)
{
	if (!r->entries)
		return mf_fail(why, MF_E_MALFORMED, "there is no entry in it");
	if (r->bad && !lenient)
		return mf_fail(why, MF_E_MALFORMED, "line %u: %s%s", r->error[0].line,
			       r->error[0].text, r->bad > 1 ? "; and other lines" : "");
	if (r->bad > r->entries)
		return mf_fail(why, MF_E_MALFORMED, "most of it is wrong, as line %u: %s",
			       r->error[0].line, r->error[0].text);
	return MF_OK;
}

mf_err mf_set_judge(struct mf_span text, bool domains, bool lenient, struct mf_errbuf *why)
{
	static const uint8_t key[16]; /* nobody looks anything up in it */
	const struct mf_list_sink cidrs = { .cidr = take_prefix };
	struct mf_domain_builder *b = domains ? mf_domain_builder_new(key) : NULL;
	struct mf_list_report report = { 0 };
	mf_err err;

	if (is_markup(text)) {
		mf_domain_builder_free(b);
		return mf_fail(why, MF_E_MALFORMED, "it is a web page, not a list");
	}
	if (domains)
		err = b ? read_list(b, text, &report) : MF_E_NO_MEMORY;
	else
		err = mf_list_read(text, MF_LIST_CIDRS, &cidrs, &report);
	mf_domain_builder_free(b);
	if (err)
		return mf_fail(why, err, "line %u: %s", report.lines, mf_err_text(err));
	return judge_report(&report, lenient, why);
}
