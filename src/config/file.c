/* SPDX-License-Identifier: Apache-2.0
 *
 * file - reads whole files for the loader (see file.h).
 */
#include "config/file.h"

#include "config/errors.h"
#include "config/value.h"

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

mf_err mf_file_read_key(const char *path, struct mf_config_arena *arena, struct mf_key *out,
			struct mf_errbuf *why)
{
	enum { LONGEST = 4096 };
	struct mf_file f;
	const char *p, *end;
	mf_err err = mf_file_read(path, LONGEST, arena, &f, why);

	if (err)
		return err;
	if (mf_file_is_shared(&f))
		return mf_fail(why, MF_E_PERMISSION,
			       "others can read or change %s (mode %04o); run: chmod 600 %s", path,
			       f.mode, path);
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

/* Room for all lines of the file behind what the list has already. */
static bool make_room(const struct mf_file *f, struct mf_config_arena *arena,
		      struct mf_config_prefixes *list)
{
	struct mf_config_prefix *v;
	size_t lines = 1;

	for (size_t i = 0; i < f->n; i++)
		lines += f->text[i] == '\n';
	v = mf_config_arena_alloc(arena, (list->n + lines) * sizeof(*v));
	if (!v)
		return false;
	if (list->n)
		memcpy(v, list->v, list->n * sizeof(*v));
	list->v = v;
	return true;
}

/* The prefix in p..end, with comment and blanks; false: there is none. */
static bool cut(const char **p, const char **end)
{
	const char *comment = memchr(*p, '#', (size_t)(*end - *p));

	if (comment)
		*end = comment;
	while (*p < *end && is_blank(**p))
		(*p)++;
	while (*end > *p && is_blank((*end)[-1]))
		(*end)--;
	return *p < *end;
}

void mf_file_parse_prefixes(const struct mf_file *f, const char *path, uint32_t max,
			    struct mf_config_arena *arena, struct mf_config_prefixes *list,
			    struct mf_config_errors *errs)
{
	struct mf_config_pos pos = { .file = path };
	const char *line = f->text, *stop = f->text + f->n;

	if (f->n >= 3 && !memcmp(line, "\xef\xbb\xbf", 3))
		line += 3;
	if (!make_room(f, arena, list))
		return;
	for (; line < stop; line++) {
		const char *newline = memchr(line, '\n', (size_t)(stop - line));
		const char *start = line, *p = line, *end = newline ? newline : stop;
		char word[MF_PREFIX_STRLEN + 8] = "";
		struct mf_errbuf why;

		line = end;
		pos.line++;
		if (!cut(&p, &end))
			continue;
		pos.col = (uint32_t)(p - start) + 1;
		memcpy(word, p, mf_min((size_t)(end - p), sizeof(word) - 1));
		if (list->n >= max) {
			mf_config_error(errs, pos, "more than %u prefixes in all; use fewer", max);
			return;
		}
		if (mf_value_prefix(word, &list->v[list->n].prefix, &why))
			mf_config_error(errs, pos, "%s", why.text);
		else
			list->v[list->n++].pos = pos;
	}
}
