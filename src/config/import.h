/* SPDX-License-Identifier: Apache-2.0
 *
 * import - turns other programs' configuration files into profiles.
 */
#ifndef MF_IMPORT_H
#define MF_IMPORT_H

#include "config/config.h"
#include "config/file.h"

/* What the user should know about a line that was not taken over as it stands. */
struct mf_import_note {
	uint32_t line; /* 0: the file as a whole */
	bool refused;  /* a link, of which nothing was taken over */
	char *text;
};

enum { MF_IMPORT_NOTES_MAX = 4096 }; /* more are left out, and the last one says so */

struct mf_import {
	/* mf_config_parse accepts it; of links it is the section `interfaces` alone. Holds keys. */
	struct mf_text profile;
	struct mf_import_note *notes;
	uint32_t n_notes, cap_notes;
	uint32_t n_taken; /* of links */
};

/* Reads a wg-quick(8) file that is in memory. `name` is the file's name: it stands in messages, and its
 * last part without ".conf" names the interface. Errors are collected in `errs` (file:line), then the
 * result is MF_E_MALFORMED and `out` is empty. The caller calls mf_import_free in any case. Any thread. */
MF_MUST_CHECK mf_err mf_import_wireguard(const char *text, size_t n, const char *name,
					 struct mf_import *out, struct mf_config_errors *errs);
/* The same for a file; refuses nothing for its mode, but notes if others can read it. */
MF_MUST_CHECK mf_err mf_import_wireguard_file(const char *path, struct mf_import *out,
					      struct mf_config_errors *errs);

/* Reads links by which people share proxies, one a line, or base64 of such lines, or the JSON of SIP008,
 * whose servers are counted as lines. What is not taken is told in the notes.
 * MF_E_NOT_FOUND: nothing was taken. MF_E_RANGE: more than MF_CONFIG_MAX_BYTES; MF_E_NO_MEMORY. The caller
 * calls mf_import_free in any case. Any thread. */
MF_MUST_CHECK mf_err mf_import_links(const char *text, size_t n, struct mf_import *out);
/* The same for a file. Besides MF_E_SYSTEM, and MF_E_NOT_FOUND with an error in `errs`: there is none. */
MF_MUST_CHECK mf_err mf_import_links_file(const char *path, struct mf_import *out,
					  struct mf_config_errors *errs);

/* A file to be imported, with its text in an arena that the caller frees in any case. Errors of
 * mf_file_read, which are told to `errs`. */
MF_MUST_CHECK mf_err mf_import_read(const char *path, struct mf_config_arena **arena,
				    struct mf_file *f, struct mf_config_errors *errs);
/* Adds a note. */
void mf_import_note(struct mf_import *im, uint32_t line, const char *fmt, ...) MF_PRINTF(3, 4);
/* "file:line: note: text" or "file:line: not taken: text", one a line. */
void mf_import_notes_print(const struct mf_import *im, const char *name, struct mf_text *out);
/* An array of {line, message}: the notes of what was taken, or of what was refused. */
void mf_import_notes_json(const struct mf_import *im, bool refused, struct mf_json *j);
/* Wipes and frees; `im` is zero afterwards. */
void mf_import_free(struct mf_import *im);

#endif
