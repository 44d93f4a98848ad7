/* SPDX-License-Identifier: Apache-2.0
 *
 * show_probe - the answer to `test`.
 */
#ifndef MF_SHOW_PROBE_H
#define MF_SHOW_PROBE_H

#include "control/internal.h"
#include "control/probe.h"

void mf_report_probe(struct mf_control *c, struct mf_report *r, const struct mf_probe *p);
/* Of one that has failed: "hk: tls: the proxy's certificate is not good (...); look at ..." */
void mf_probe_say(const struct mf_probe *p, struct mf_text *out);

#endif
