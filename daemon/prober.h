/* SPDX-License-Identifier: Apache-2.0
 *
 * prober - `mintflow test`: a URL fetched through one interface, over a bridge and in a thread of
 * its own; one at a time. Main thread.
 */
#ifndef MF_DAEMON_PROBER_H
#define MF_DAEMON_PROBER_H

#include "daemon/internal.h"

/* NULL: out of memory. */
struct mf_prober *mf_prober_new(struct mf_daemon *d);
/* When the bridges have been closed, before the engine goes. Waits for the thread. */
void mf_prober_free(struct mf_prober *p);

/* As struct mf_control_host has them. */
MF_MUST_CHECK mf_err mf_prober_begin(struct mf_prober *p, uint32_t hop, const char *url,
				     struct mf_errbuf *eb);
void mf_prober_end(struct mf_prober *p);
/* Gives the answer to mf_control_probed when it is there. The main thread is woken for it. */
void mf_prober_tick(struct mf_prober *p);

#endif
