/* SPDX-License-Identifier: Apache-2.0
 *
 * What a TLS server sends, before there is a key and (if the first bit says so) after a true
 * handshake. The first byte says how many bytes come at a time, too.
 *
 * Whatever comes: bytes without the key become no plaintext, a connection that has failed stays so
 * and says why, and what is outgoing stays bounded.
 */
#include "support/tlslab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mf_tls_context *context;
static SSL_CTX *server_context;

static void prepare(void)
{
	static const struct tlslab_cert cert = { .san = "DNS:dns.example" };
	struct tlslab_ca ca;

	tlslab_ca_make(&ca);
	context = tlslab_client(&ca, false);
	server_context = tlslab_server(&ca, &cert, NULL);
	SSL_CTX_set_num_tickets(server_context, 0);
	tlslab_ca_free(&ca);
}

static void handshake(struct mf_tls *t)
{
	SSL *ssl = tlslab_accept(server_context);

	MF_ASSERT(tlslab_handshake(t, ssl, SIZE_MAX, NULL) == MF_OK);
	MF_ASSERT(mf_tls_write(t, mf_span("question", 8)) == MF_OK);
	SSL_free(ssl);
}

static mf_err feed(struct mf_tls *t, struct mf_span in)
{
	uint8_t plain[64];
	mf_err err = mf_tls_feed(t, in);
	bool end = false;
	ptrdiff_t n;

	if (err)
		return err;
	err = mf_tls_handshake(t);
	if (err)
		return err;
	n = mf_tls_read(t, plain, sizeof(plain), &end);
	MF_ASSERT(n <= 0 && !end);
	return n < 0 ? (mf_err)n : MF_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size ? data[0] / 2 + 1u : 1;
	struct mf_tls *t;
	mf_err err = MF_E_AGAIN;

	if (!context)
		prepare();
	t = mf_tls_new(context, "dns.example", "\2h2");
	MF_ASSERT(t);
	if (size && data[0] & 1)
		handshake(t);
	for (size_t at = 1; at < size && (err == MF_OK || err == MF_E_AGAIN); at += step)
		err = feed(t, mf_span(data + at, mf_min(step, size - at)));
	MF_ASSERT(mf_tls_outgoing(t).n < 1 << 17);
	if (err && err != MF_E_AGAIN) {
		MF_ASSERT(*mf_tls_error(t) && mf_tls_handshake(t) == MF_E_GONE);
		MF_ASSERT(mf_tls_write(t, mf_span("x", 1)) == MF_E_GONE);
	}
	mf_tls_free(t);
	return 0;
}
