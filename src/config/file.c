/* SPDX-License-Identifier: Apache-2.0
 *
 * file - reads whole files for the loader (see file.h).
 */
#include "config/file.h"

#include "config/errors.h"
#include "policy/list.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *reason(int e, char buf[128])
{
	return strerror_r(e, buf, 128);
}

static mf_err read_fd(int fd, const char *path, size_t max, struct mf_config_arena *arena,
		      struct mf_file *out, struct mf_errbuf *why)
{
	char buf[128], *text;
	struct stat st;
	size_t room = max + 1, n = 0;

	if (fstat(fd, &st) < 0)
		return mf_fail(why, MF_E_SYSTEM, "cannot read %s: %s", path, reason(errno, buf));
	if (S_ISDIR(st.st_mode))
		return mf_fail(why, MF_E_SYSTEM, "%s is a directory; name a file", path);
	if (S_ISREG(st.st_mode)) {
		out->mode = st.st_mode & 07777;
		room = mf_min(room, (size_t)st.st_size);
	}
	text = mf_config_arena_alloc(arena, room + 1);
	if (!text)
		return mf_fail(why, MF_E_NO_MEMORY, "not enough memory to read %s", path);
	while (n < room) {
		ssize_t got = read(fd, text + n, room - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return mf_fail(why, MF_E_SYSTEM, "cannot read %s: %s", path,
				       reason(errno, buf));
		if (!got)
			break;
		n += (size_t)got;
	}
	if (n > max)
		return mf_fail(why, MF_E_RANGE, "%s is longer than %zu KiB; shorten or split it",
			       path, max >> 10);
	text[n] = '\0';
	out->text = text;
	out->n = n;
	return MF_OK;
}

mf_err mf_file_read(const char *path, size_t max, struct mf_config_arena *arena,
		    struct mf_file *out, struct mf_errbuf *why)
{
	char buf[128];
	mf_err err;
	int fd;

	*out = (struct mf_file){ 0 };
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return mf_fail(why, errno == ENOENT ? MF_E_NOT_FOUND : MF_E_SYSTEM,
			       "cannot open %s: %s", path, reason(errno, buf));
	err = read_fd(fd, path, max, arena, out, why);
	(void)close(fd);
	return err;
}

mf_err mf_file_check(const char *path, struct mf_errbuf *why)
{
	struct stat st;
	char buf[128];

	if (stat(path, &st) < 0 || access(path, R_OK) < 0)
		return mf_fail(why, errno == ENOENT ? MF_E_NOT_FOUND : MF_E_SYSTEM,
			       "cannot open %s: %s", path, reason(errno, buf));
	if (!S_ISREG(st.st_mode))
		return mf_fail(why, MF_E_SYSTEM, "%s is not a file that can be read", path);
	return MF_OK;
}

bool mf_file_is_shared(const struct mf_file *f)
{
	return f->mode & (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A small file that only its owner may touch. */
static mf_err read_secret(const char *path, struct mf_config_arena *arena, struct mf_file *out,
			  struct mf_errbuf *why)
{
	enum { LONGEST = 4096 };
	mf_err err = mf_file_read(path, LONGEST, arena, out, why);

	if (!err && mf_file_is_shared(out))
		return mf_fail(why, MF_E_PERMISSION,
			       "others can read or change %s (mode %04o); run: chmod 600 %s", path,
			       out->mode, path);
	return err;
}

mf_err mf_file_read_key(const char *path, struct mf_config_arena *arena, struct mf_key *out,
			struct mf_errbuf *why)
{
	struct mf_file f;
	const char *p, *end;
	mf_err err = read_secret(path, arena, &f, why);

	if (err)
		return err;
	p = f.text;
	end = f.text + f.n;
	while (p < end && is_blank(*p))
		p++;
	while (end > p && is_blank(end[-1]))
		end--;
	if (mf_key_from_base64(out, p, (size_t)(end - p)))
		return mf_fail(why, MF_E_MALFORMED,
			       "%s does not hold a key: 44 characters of base64 are expected", path);
	return MF_OK;
}

mf_err mf_file_read_password(const char *path, struct mf_config_arena *arena, const char **out,
			     struct mf_errbuf *why)
{
	struct mf_file f;
	mf_err err = read_secret(path, arena, &f, why);
	size_t n;

	if (err)
		return err;
	n = f.n;
	if (n && f.text[n - 1] == '\n')
		n--;
	if (n && f.text[n - 1] == '\r')
		n--;
	if (!n || memchr(f.text, '\n', n) || memchr(f.text, '\0', n))
		return mf_fail(why, MF_E_MALFORMED,
			       "%s does not hold a password: one line of text is expected", path);
	*out = mf_config_arena_text(arena, f.text, n);
	return *out ? MF_OK : mf_fail(why, MF_E_NO_MEMORY, "not enough memory to read %s", path);
}

/* Room for one more; the arena takes nothing back, so it doubles. */
static bool make_room(const struct mf_file_prefixes *to, uint32_t *cap)
{
	struct mf_config_prefixes *list = to->list;
	struct mf_config_prefix *v;

	if (list->n < *cap)
		return true;
	*cap = list->n < 32 ? 64 : 2 * list->n;
	v = mf_config_arena_alloc(to->arena, *cap * sizeof(*v));
	if (!v)
		return false;
	if (list->n)
		memcpy(v, list->v, list->n * sizeof(*v));
	list->v = v;
	return true;
}

struct reading {
	const struct mf_file_prefixes *to;
	uint32_t cap; /* of the list; what it came with is full */
};

static mf_err take_prefix(void *ctx, const struct mf_prefix *p, uint32_t line, struct mf_errbuf *eb)
{
	struct reading *r = ctx;
	struct mf_config_prefixes *list = r->to->list;

	if (list->n >= r->to->max) {
		mf_config_error(r->to->errs,
				(struct mf_config_pos){ .file = r->to->path, .line = line },
				"more than %u prefixes in all; use fewer", r->to->max);
		return mf_fail(eb, MF_E_FULL, "too many prefixes");
	}
	if (!make_room(r->to, &r->cap))
		return MF_E_NO_MEMORY;
	list->v[list->n++] = (struct mf_config_prefix){
		.prefix = *p,
		.pos = { .file = r->to->path, .line = line },
	};
	return MF_OK;
}

static void report_lines(const struct mf_file_prefixes *to, const struct mf_list_report *report)
{
	struct mf_config_pos pos = { .file = to->path };

	for (uint32_t i = 0; i < report->n_errors; i++) {
		pos.line = report->error[i].line;
		mf_config_error(to->errs, pos, "%s", report->error[i].text);
	}
	if (report->bad > report->n_errors)
		mf_config_error(to->errs, pos, "%u lines behind this one are wrong, too",
				report->bad - report->n_errors);
}

void mf_file_read_prefixes(const struct mf_file *f, const struct mf_file_prefixes *to)
{
	struct reading r = { .to = to, .cap = to->list->n };
	const struct mf_list_sink sink = { .ctx = &r, .cidr = take_prefix };
	struct mf_list_report report;

	if (mf_list_read(mf_span(f->text, f->n), MF_LIST_CIDRS, &sink, &report) == MF_E_NO_MEMORY)
		mf_config_error(to->errs, (struct mf_config_pos){ .file = to->path },
				"not enough memory to read this file");
	if (!to->lenient)
		report_lines(to, &report);
}
