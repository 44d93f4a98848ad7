/* SPDX-License-Identifier: Apache-2.0
 *
 * config - the settings of a proxy (struct mf_proxy_config), which all workers share: who lets go
 * last frees them.
 */
#include <stdlib.h>

#include "proxy/proxy.h"

struct mf_proxy_config *mf_proxy_config_ref(struct mf_proxy_config *c)
{
	(void)__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

/* Strings are given as const because nobody changes them. A path or a header may be a secret. */
static void release(const char *text)
{
	char *p = (char *)(uintptr_t)text;

	if (p)
		mf_wipe(p, strlen(p));
	free(p);
}

static void free_ws(struct mf_ws_config *ws)
{
	for (uint32_t i = 0; i < ws->n_headers; i++) {
		release(ws->headers[i].name);
		release(ws->headers[i].value);
	}
	free(ws->headers);
	release(ws->host);
	release(ws->path);
	release(ws->early_header);
}

void mf_proxy_config_unref(struct mf_proxy_config *c)
{
	if (!c || __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	for (uint32_t i = 0; c->tls && i < c->n_tls; i++)
		mf_tls_context_free(c->tls[i]);
	free(c->tls);
	free_ws(&c->ws);
	release(c->server);
	release(c->tls_name);
	release(c->tls_alpn);
	release(c->obfs.host);
	release(c->obfs.path);
	mf_wipe(c, sizeof(*c));
	free(c);
}
