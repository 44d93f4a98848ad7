/* SPDX-License-Identifier: Apache-2.0
 *
 * wgquick - reads configuration files of wg-quick(8) and `wg setconf` as VPN providers hand them out:
 * keys in any case, odd spacing, CRLF, a byte order mark, lists with commas and in several lines.
 */
#ifndef MF_CONFIG_WGQUICK_H
#define MF_CONFIG_WGQUICK_H

#include "config/arena.h"
#include "config/import.h"

enum { MF_WGQUICK_MAX_PREFIXES = 8192, MF_WGQUICK_MAX_PEERS = 1024 };

struct mf_wgquick {
	struct mf_config_interface interface; /* without name; src.pos: its section, line 0 = none */
	struct mf_config_dns_servers dns;     /* by their addresses, each once */
	bool has_private_key;
	bool table_off; /* no routes wanted */
};

/* Errors (file:line) go to `errs`, what is not taken over becomes a note. Everything is allocated from
 * the arena; `name` must live as long. */
void mf_wgquick_read(struct mf_config_arena *arena, const char *text, size_t n, const char *name,
		     struct mf_wgquick *out, struct mf_import *notes, struct mf_config_errors *errs);

#endif
