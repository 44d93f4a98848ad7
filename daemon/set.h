/* SPDX-License-Identifier: Apache-2.0
 *
 * set - one domain set of the profile: what it is made of, and how that is read.
 *
 * A struct mf_set is filled on the main thread, read on another (mf_set_read touches nothing
 * else), and looked at on the main thread again. Files are read whole, into memory of our own: a
 * file that is mapped could be cut short under us.
 */
#ifndef MF_DAEMON_SET_H
#define MF_DAEMON_SET_H

#include "base/json.h"
#include "config/config.h"
#include "policy/domain_set.h"

enum {
	MF_SET_FILE_MAX = 1 << 28,  /* bytes of a file */
	MF_SET_ERRORS_SHOWN = 5,    /* of one file; the others are counted */
	MF_SET_FILE_CHANGES_MAX = 3 /* times that it is read again because of that */
};

/* What tells one state of a file from another. All zero: it is not there. */
struct mf_file_stamp {
	uint64_t device, inode, size;
	int64_t modified, changed; /* ns since 1970 */
};
/* Of a file now. */
struct mf_file_stamp mf_file_stamp(const char *path);
bool mf_file_stamp_equal(const struct mf_file_stamp *a, const struct mf_file_stamp *b);
bool mf_file_stamp_is_zero(const struct mf_file_stamp *s);

/* A whole file in memory, at most `max` bytes; *text is the caller's. If it changes while it is
 * read it is read again, and if that does not help, what was read last counts. MF_E_NOT_FOUND,
 * MF_E_SYSTEM, MF_E_RANGE (too long), MF_E_NO_MEMORY, with `why`. Any thread. */
MF_MUST_CHECK mf_err mf_file_slurp(const char *path, size_t max, char **text, size_t *n,
				   struct mf_file_stamp *stamp, struct mf_errbuf *why);

struct mf_set_file {
	char *path;
	bool copy; /* of what was fetched: it may be missing, and what is wrong in it is left out */
	bool missing;               /* that it is not there any more has been told */
	struct mf_file_stamp stamp; /* as it was read */
};

struct mf_set {
	char *name;
	char **domains; /* entries of the profile */
	struct mf_set_file *files;
	uint32_t n_domains, n_files;
	bool lenient;
	bool optional; /* files may be missing, as a subscription may bring them */
	uint8_t key[16];
	/* Main thread: its files have changed; it is the same as the one in force. */
	bool stale, unchanged;

	/* What came of it. */
	mf_err err; /* not MF_OK: `said` tells, a line for each place, and there is no set */
	struct mf_domain_set *set;
	struct mf_text said;
	uint32_t left_out; /* wrong lines that were */
	size_t count, bytes;
	mf_nsec took;
};

/* From the profile; `copy` is the path of what was fetched, NULL if it has no url. NULL: out of
 * memory. */
struct mf_set *mf_set_new(const struct mf_config_domain_set *from, const char *copy,
			  const struct mf_rng *rng);
void mf_set_free(struct mf_set *s);
/* Made of the same, and the files have not changed since `old` was read. */
bool mf_set_is_current(const struct mf_set *s, const struct mf_set *old);
/* Reads it. Any thread. */
void mf_set_read(struct mf_set *s);

/* A list that has been fetched for a set: MF_OK if it may take the place of the copy; else
 * `why`. Any thread. */
MF_MUST_CHECK mf_err mf_set_judge(struct mf_span text, bool domains, bool lenient,
				  struct mf_errbuf *why);

#endif
