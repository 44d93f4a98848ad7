/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/log.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/json.h"
#include "platform/clock.h"

enum { KEPT_LINES = 256, KEPT_LEN = 232 };

struct kept {
	int64_t sec;
	uint32_t nsec;
	uint8_t level;
	char text[KEPT_LEN];
};

struct mf_logger {
	pthread_mutex_t lock;
	bool json;
	bool journal;
	enum mf_log_level level;
	uint64_t written; /* lines so far; the latest KEPT_LINES are in the ring */
	struct kept kept[KEPT_LINES];
};

static const char *const level_name[] = { "error", "warning", "info", "debug" };
static const int level_priority[] = { 3, 4, 6, 7 }; /* syslog(3) */

/* JOURNAL_STREAM names the device and inode of the stream that the journal reads (systemd.exec(5)):
 * standard error may have been led elsewhere since. */
static bool under_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

struct mf_logger *mf_logger_new(bool json, enum mf_log_level level)
{
	struct mf_logger *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	l->json = json;
	l->level = level;
	l->journal = under_journal();
	return l;
}

void mf_logger_free(struct mf_logger *l)
{
	if (!l)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void keep(struct mf_logger *l, const struct mf_wall *now, enum mf_log_level level,
		 const char *line)
{
	struct kept *k = &l->kept[l->written++ % KEPT_LINES];

	k->sec = now->sec;
	k->nsec = now->nsec;
	k->level = (uint8_t)level;
	snprintf(k->text, sizeof(k->text), "%s", line);
}

static void stamp(const struct mf_wall *now, char out[40])
{
	time_t sec = (time_t)now->sec;
	struct tm tm;
	size_t n;

	gmtime_r(&sec, &tm);
	n = strftime(out, 40, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, 40 - n, ".%03uZ", now->nsec / 1000000);
}

static void print(const struct mf_logger *l, const struct mf_wall *now, enum mf_log_level level,
		  const char *line)
{
	struct mf_text t = { 0 };
	char when[40];

	stamp(now, when);
	if (l->json) {
		struct mf_json j = mf_json_init(&t);

		mf_json_object(&j);
		mf_json_kv_string(&j, "time", when);
		mf_json_kv_string(&j, "level", level_name[level]);
		mf_json_kv_string(&j, "message", line);
		mf_json_end(&j);
		mf_text_add(&t, "\n", 1);
	} else if (l->journal) {
		mf_text_printf(&t, "<%d>%s\n", level_priority[level], line);
	} else {
		mf_text_printf(&t, "%s %s: %s\n", when, level_name[level], line);
	}
	/* One write, so that lines of several threads do not mix. */
	if (!t.failed)
		(void)!write(STDERR_FILENO, t.s, t.len);
	mf_text_free(&t);
}

static void write_line(void *ctx, enum mf_log_level level, const char *line)
{
	struct mf_logger *l = ctx;
	struct mf_wall now = mf_clock_wall();

	pthread_mutex_lock(&l->lock);
	keep(l, &now, level, line);
	print(l, &now, level, line);
	pthread_mutex_unlock(&l->lock);
}

struct mf_log mf_logger_log(struct mf_logger *l)
{
	return (struct mf_log){ .write = write_line, .ctx = l, .level = l->level };
}

void mf_logger_read(struct mf_logger *l, uint32_t max, mf_control_log_fn *line, void *to)
{
	uint64_t i;

	pthread_mutex_lock(&l->lock);
	i = l->written - mf_min(l->written, mf_min(max, KEPT_LINES));
	for (; i < l->written; i++) {
		const struct kept *k = &l->kept[i % KEPT_LINES];
		struct mf_control_log_line one = {
			.time = { .sec = (uint64_t)k->sec, .nsec = k->nsec },
			.level = (enum mf_log_level)k->level,
			.text = k->text,
		};

		line(to, &one);
	}
	pthread_mutex_unlock(&l->lock);
}

void mf_log_lines(const struct mf_log *log, enum mf_log_level level, const char *text)
{
	for (const char *end; text && *text; text = *end ? end + 1 : end) {
		end = strchrnul(text, '\n');
		if (end > text)
			mf_logf(log, level, "%.*s", (int)(end - text), text);
	}
}
