/* SPDX-License-Identifier: Apache-2.0
 *
 * sandbox - capabilities(7) by libcap, prctl(2).
 */
#include "platform/sandbox.h"

#include <errno.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>

enum { KEEP_MAX = 6 };

mf_err mf_sandbox_no_dumps(struct mf_errbuf *eb)
{
	struct rlimit none = { 0, 0 };

	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return mf_fail(eb, MF_E_SYSTEM, "cannot switch core dumps off: %s", strerror(errno));
	return MF_OK;
}

static size_t wanted(const struct mf_sandbox_options *o, cap_value_t out[KEEP_MAX])
{
	size_t n = 0;

	if (o->net_admin)
		out[n++] = CAP_NET_ADMIN;
	if (o->net_bind_service)
		out[n++] = CAP_NET_BIND_SERVICE;
	if (o->net_raw)
		out[n++] = CAP_NET_RAW;
	if (o->dac_read_search)
		out[n++] = CAP_DAC_READ_SEARCH;
	if (o->files) {
		out[n++] = CAP_DAC_OVERRIDE;
		out[n++] = CAP_FOWNER;
	}
	return n;
}

/* So that no program started from here can get them back. Needs CAP_SETPCAP; whoever lacks it could
 * not have used them for much either. */
static void shrink_bounding_set(const cap_value_t *keep, size_t n)
{
	for (cap_value_t c = 0; c < cap_max_bits(); c++) {
		bool kept = false;

		for (size_t i = 0; i < n; i++)
			kept |= keep[i] == c;
		if (!kept)
			(void)cap_drop_bound(c);
	}
	(void)cap_reset_ambient();
}

static int set_capabilities(const cap_value_t *keep, size_t n)
{
	cap_t have = cap_get_proc(), want = cap_init();
	int r = have && want ? 0 : -1;

	for (size_t i = 0; i < n && !r; i++) {
		cap_flag_value_t permitted = CAP_CLEAR;

		r = cap_get_flag(have, keep[i], CAP_PERMITTED, &permitted);
		if (r || permitted == CAP_CLEAR)
			continue;
		r = cap_set_flag(want, CAP_PERMITTED, 1, &keep[i], CAP_SET);
		r = r ? r : cap_set_flag(want, CAP_EFFECTIVE, 1, &keep[i], CAP_SET);
	}
	if (!r)
		r = cap_set_proc(want);
	cap_free(have);
	cap_free(want);
	return r;
}

mf_err mf_sandbox_enter(const struct mf_sandbox_options *o, struct mf_errbuf *eb)
{
	cap_value_t keep[KEEP_MAX];
	size_t n = wanted(o, keep);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return mf_fail(eb, MF_E_SYSTEM, "cannot set no_new_privs: %s", strerror(errno));
	shrink_bounding_set(keep, n);
	if (set_capabilities(keep, n) < 0)
		return mf_fail(eb, MF_E_SYSTEM, "cannot drop capabilities: %s", strerror(errno));
	return MF_OK;
}
