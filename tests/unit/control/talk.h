/* SPDX-License-Identifier: Apache-2.0
 *
 * talk - what somebody at the control socket asks, and hears.
 */
#ifndef MF_TEST_CONTROL_TALK_H
#define MF_TEST_CONTROL_TALK_H

#include "unit.h"

#include "control/control.h"

/* One line, and all that comes back; the caller frees it. NULL: nothing did. */
static inline char *talk_line(struct mf_control *control, const char *request, mf_nsec now)
{
	struct mf_control_conn *conn = mf_control_open(control);
	struct mf_text got = { 0 };
	struct mf_span out;

	assert_non_null(conn);
	(void)mf_control_input(conn, request, strlen(request), now);
	(void)mf_control_input(conn, "\n", 1, now);
	while ((out = mf_control_output(conn)).n) {
		mf_text_add(&got, (const char *)out.p, out.n);
		(void)mf_control_sent(conn, out.n, now);
	}
	mf_control_close(conn);
	return got.s;
}

#endif
