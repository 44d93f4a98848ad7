/* SPDX-License-Identifier: Apache-2.0
 *
 * file - reads whole files for the loader: profiles, keys, lists. The only place in src/config that
 * touches the file system.
 */
#ifndef MF_CONFIG_FILE_H
#define MF_CONFIG_FILE_H

#include "config/arena.h"
#include "config/config.h"

struct mf_file {
	const char *text; /* in the arena, NUL-terminated */
	size_t n;
	unsigned mode; /* permission bits; 0 if it is not a regular file */
};

/* Reads at most `max` bytes. MF_E_NOT_FOUND and MF_E_SYSTEM (and `why` says what to do), MF_E_RANGE: too
 * long. */
MF_MUST_CHECK mf_err mf_file_read(const char *path, size_t max, struct mf_config_arena *arena,
				  struct mf_file *out, struct mf_errbuf *why);
/* MF_OK if it is a file that could be read; else as mf_file_read. */
MF_MUST_CHECK mf_err mf_file_check(const char *path, struct mf_errbuf *why);
/* True: others than the owner may read or write it. */
bool mf_file_is_shared(const struct mf_file *f);

/* A key in a file of its own: base64, blanks around it. Errors as mf_file_read, and MF_E_PERMISSION
 * (shared), MF_E_MALFORMED. */
MF_MUST_CHECK mf_err mf_file_read_key(const char *path, struct mf_config_arena *arena,
				      struct mf_key *out, struct mf_errbuf *why);

/* A password in a file of its own: its only line, as it stands. Errors as mf_file_read, and
 * MF_E_PERMISSION (shared), MF_E_MALFORMED. */
MF_MUST_CHECK mf_err mf_file_read_password(const char *path, struct mf_config_arena *arena,
					   const char **out, struct mf_errbuf *why);

/* What a list of prefixes is read into. */
struct mf_file_prefixes {
	struct mf_config_arena *arena;
	struct mf_config_prefixes *list; /* appended to */
	uint32_t max;                    /* of all that are in it then */
	const char *path;                /* lives as long as the list */
	bool lenient;                    /* wrong lines are left out without a word */
	struct mf_config_errors *errs;   /* else they go here, with their line */
};
/* Lists of IP ranges as people publish them (policy/list.h). */
void mf_file_read_prefixes(const struct mf_file *f, const struct mf_file_prefixes *to);

#endif
