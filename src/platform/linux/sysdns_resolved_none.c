/* SPDX-License-Identifier: Apache-2.0
 *
 * sysdns_resolved_none - for a build without libsystemd: systemd-resolved cannot be told anything.
 * A machine that runs it is served through resolv.conf then.
 */
#include <stdlib.h>

#include "platform/linux/sysdns_priv.h"

struct mf_resolve1 {
	char nothing;
};

struct mf_resolve1 *mf_resolve1_new(void)
{
	return calloc(1, sizeof(struct mf_resolve1));
}

void mf_resolve1_free(struct mf_resolve1 *r)
{
	free(r);
}

int mf_resolve1_fd(const struct mf_resolve1 *r)
{
	(void)r;
	return -1;
}

bool mf_resolve1_events(struct mf_resolve1 *r)
{
	(void)r;
	return false;
}

mf_err mf_resolve1_set(struct mf_resolve1 *r, uint32_t ifindex, const struct mf_addr *server,
		       struct mf_errbuf *eb)
{
	(void)r;
	(void)ifindex;
	(void)server;
	return mf_fail(eb, MF_E_NOT_FOUND,
		       "systemd-resolved: this program was built without libsystemd");
}

void mf_resolve1_unset(struct mf_resolve1 *r)
{
	(void)r;
}
