/* SPDX-License-Identifier: Apache-2.0
 *
 * base64 - reads base64 (RFC 4648, sections 4 and 5) as people paste it: either alphabet, with or without
 * its padding, with blanks in between. Keys, which must not be read so leniently, have base/key.h.
 */
#ifndef MF_CONFIG_BASE64_H
#define MF_CONFIG_BASE64_H

#include "config/arena.h"

/* What the text stands for, with a NUL behind it that *out_n does not count. NULL: it is no base64 (or
 * memory ran out). */
char *mf_base64_read(struct mf_config_arena *arena, const char *text, size_t n, size_t *out_n);

#endif
