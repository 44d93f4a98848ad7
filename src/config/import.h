/* SPDX-License-Identifier: Apache-2.0
 *
 * import - turns other programs' configuration files into profiles.
 */
#ifndef MF_IMPORT_H
#define MF_IMPORT_H

#include "config/config.h"

/* What the user should know about a line that was not taken over as it stands. */
struct mf_import_note {
	uint32_t line; /* 0: the file as a whole */
	char *text;
};

struct mf_import {
	struct mf_text profile; /* complete; mf_config_parse accepts it. Holds the private key */
	struct mf_import_note *notes;
	uint32_t n_notes, cap_notes;
};

/* Reads a wg-quick(8) file that is in memory. `name` is the file's name: it stands in messages, and its
 * last part without ".conf" names the interface. Errors are collected in `errs` (file:line), then the
 * result is MF_E_MALFORMED and `out` is empty. The caller calls mf_import_free in any case. Any thread. */
MF_MUST_CHECK mf_err mf_import_wireguard(const char *text, size_t n, const char *name,
					 struct mf_import *out, struct mf_config_errors *errs);
/* The same for a file; refuses nothing for its mode, but notes if others can read it. */
MF_MUST_CHECK mf_err mf_import_wireguard_file(const char *path, struct mf_import *out,
					      struct mf_config_errors *errs);
/* "file:line: note: text", one a line; and an array of {line, message}. */
void mf_import_notes_print(const struct mf_import *im, const char *name, struct mf_text *out);
void mf_import_notes_json(const struct mf_import *im, struct mf_json *j);
/* Wipes and frees; `im` is zero afterwards. */
void mf_import_free(struct mf_import *im);

#endif
