/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_layer - the layer that carries a stream in TLS (crypto/tls.h).
 */
#ifndef MF_PROXY_TLS_LAYER_H
#define MF_PROXY_TLS_LAYER_H

#include "crypto/tls.h"
#include "proxy/layer.h"

/* Lives as long as the outbound. */
struct mf_tls_layer_config {
	struct mf_tls_context *context; /* this worker's */
	const char *name;               /* SNI, and whom the certificate is for */
	const char *alpn;               /* as mf_tls_new wants it; NULL: none */
	/* What runs in it says its own end (VMess), so it is none of ours if TLS does not. Else a
	 * transport that ends without close_notify is a reset: nobody can tell whether bytes are
	 * missing. */
	bool cut_is_end;
};

/* As mf_layer_outbound_init. `patience`: for the handshake. */
void mf_tls_layer_init(struct mf_layer_outbound *o, const struct mf_tls_layer_config *cfg,
		       struct mf_layers *ls, struct mf_outbound *below,
		       struct mf_proxy_health *health, const char *iface, mf_nsec patience);

#endif
