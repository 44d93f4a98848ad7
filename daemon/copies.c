/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/copies.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/blake2s.h"

#define STATE_DIR "/var/lib/mintflow"

enum { NAME_BYTES = 16, FACTS_MAX = 4096, PATH_ROOM = MF_COPY_PATH_MAX + 16 };

/* What the service manager made for us (systemd.exec(5): a list with colons), or our own. */
static bool directory(const char *tunnel, char out[MF_COPY_PATH_MAX])
{
	const char *given = getenv("STATE_DIRECTORY");
	int n = given && *given
			? snprintf(out, MF_COPY_PATH_MAX, "%.*s", (int)strcspn(given, ":"), given)
			: snprintf(out, MF_COPY_PATH_MAX, STATE_DIR "/%s", tunnel);

	return n > 0 && n < MF_COPY_PATH_MAX;
}

const char *mf_copy_path(const char *tunnel, const char *url, char out[MF_COPY_PATH_MAX])
{
	struct mf_blake2s *h = mf_blake2s_new();
	uint8_t hash[MF_BLAKE2S_LEN];
	size_t n;

	if (!h)
		return NULL;
	mf_blake2s_hash(h, hash, url, strlen(url));
	mf_blake2s_free(h);
	if (!directory(tunnel, out))
		return NULL;
	n = strlen(out);
	if (n + 1 + 2 * NAME_BYTES + sizeof(".list") > MF_COPY_PATH_MAX)
		return NULL;
	out[n++] = '/';
	for (size_t i = 0; i < NAME_BYTES; i++, n += 2)
		snprintf(out + n, 3, "%02x", hash[i]);
	strcpy(out + n, ".list");
	return out;
}

mf_err mf_copies_open(const char *tunnel, struct mf_errbuf *eb)
{
	char dir[MF_COPY_PATH_MAX], buf[128];

	if (!directory(tunnel, dir))
		return mf_fail(eb, MF_E_RANGE, "the name of the state directory is too long");
	if (!getenv("STATE_DIRECTORY"))
		(void)mkdir(STATE_DIR, 0700); /* if it fails, so does what follows */
	if (mkdir(dir, 0700) && errno != EEXIST)
		return mf_fail(eb, MF_E_SYSTEM, "cannot make %s: %s", dir,
			       strerror_r(errno, buf, sizeof(buf)));
	return MF_OK;
}

static void facts_path(const char *path, char out[PATH_ROOM])
{
	snprintf(out, PATH_ROOM, "%s.facts", path);
}

bool mf_copy_facts(const char *path, struct mf_copy_facts *out)
{
	char name[PATH_ROOM], text[FACTS_MAX];
	ssize_t n;
	int fd;

	facts_path(path, name);
	fd = access(path, R_OK) ? -1 : open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text));
	close(fd);
	return n > 0 && !mf_copy_facts_parse(mf_span(text, (size_t)n), out);
}

static bool write_all(int fd, struct mf_span text)
{
	while (text.n) {
		ssize_t n = write(fd, text.p, text.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		text.p += n;
		text.n -= (size_t)n;
	}
	return true;
}

mf_err mf_file_replace(const char *path, struct mf_span text, bool lasting, struct mf_errbuf *eb)
{
	char tmp[PATH_ROOM + 8], buf[128];
	int fd, err = 0;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		err = errno;
	else if (!write_all(fd, text) || (lasting && fsync(fd)))
		err = errno;
	if (fd >= 0)
		close(fd);
	if (!err && rename(tmp, path))
		err = errno;
	if (!err)
		return MF_OK;
	unlink(tmp);
	return mf_fail(eb, MF_E_SYSTEM, "cannot write %s: %s", path,
		       strerror_r(err, buf, sizeof(buf)));
}

mf_err mf_copy_write(const char *path, struct mf_span text, const struct mf_copy_facts *facts,
		     struct mf_errbuf *eb)
{
	char name[PATH_ROOM], said[FACTS_MAX];
	mf_err err;

	facts_path(path, name);
	/* Without facts for a moment: better to fetch once too often than to think the old list
	 * is the new. */
	if (text.p)
		(void)unlink(name);
	err = text.p ? mf_file_replace(path, text, true, eb) : MF_OK;
	if (!err)
		err = mf_file_replace(name,
				      mf_span(said, mf_copy_facts_print(facts, said, sizeof(said))),
				      true, eb);
	return err;
}
