/* SPDX-License-Identifier: Apache-2.0
 *
 * What a TLS server sends that has the keys and means harm: records of any type and content. The
 * first byte says which version, and how much room there is for what they carry; then, for each
 * record, its type, the length of its content, and that.
 *
 * Whatever comes: payload is what the data records carried, in their order and no more of it, a
 * connection that has failed stays so and says why, and what is outgoing stays bounded.
 */
#include "crypto/tls_internal.h"

#include <stdlib.h>

#include "support/tlslab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { WIRE_MAX = 1 << 18 };

static struct mf_tls_context *context;
static SSL_CTX *server_context;
static struct mf_tls *connection[2]; /* established: copied for each input */
static uint8_t wire[WIRE_MAX], carried[WIRE_MAX];
static size_t n_wire, n_carried;

static struct mf_tls *connect_by(int version)
{
	struct mf_tls *t = mf_tls_new(context, "dns.example", NULL);
	SSL *ssl = tlslab_accept(server_context);

	MF_ASSERT(SSL_set_max_proto_version(ssl, version) == 1);
	MF_ASSERT(t && tlslab_handshake(t, ssl, SIZE_MAX, NULL) == MF_OK);
	MF_ASSERT(!t->shake && !t->in.n && !t->out.n);
	SSL_free(ssl);
	return t;
}

static void prepare(void)
{
	static const struct tlslab_cert cert = { .san = "DNS:dns.example" };
	struct tlslab_ca ca;

	tlslab_ca_make(&ca);
	context = tlslab_client(&ca, false);
	server_context = tlslab_server(&ca, &cert, NULL);
	SSL_CTX_set_num_tickets(server_context, 0);
	connection[0] = connect_by(TLS1_2_VERSION);
	connection[1] = connect_by(TLS1_3_VERSION);
	tlslab_ca_free(&ca);
}

static void seal(struct mf_tls_half *tx, const uint8_t *data, size_t size)
{
	n_wire = n_carried = 0;
	while (size >= 2 && n_wire + 256 + MF_TLS_OVERHEAD <= WIRE_MAX) {
		struct mf_span v = mf_span(data + 2, mf_min(data[1], size - 2));

		n_wire += mf_tls_record_seal(context->cipher, tx, data[0], &v, 1, wire + n_wire);
		if (data[0] == MF_TLS_DATA) {
			memcpy(carried + n_carried, v.p, v.n);
			n_carried += v.n;
		}
		data += 2 + v.n;
		size -= 2 + v.n;
	}
}

/* Returns how many bytes of payload came. Those of a type 0 hold their own type, as padding does. */
static size_t open_all(struct mf_tls *t, size_t n_room, bool padded)
{
	static uint8_t out[512];
	struct mf_room in = { wire, n_wire };
	size_t total = 0, got;
	mf_err err;

	do {
		struct mf_room room[2] = { { out, n_room }, { out + n_room, n_room } };

		err = mf_tls_open(t, &in, room, 2, &got);
		MF_ASSERT(got <= 2 * n_room && in.p + in.n == wire + n_wire);
		if (!padded) {
			MF_ASSERT(total + got <= n_carried);
			MF_ASSERT(!memcmp(out, carried + total, got));
		}
		total += got;
	} while (err == MF_OK && got);
	MF_ASSERT(mf_tls_outgoing(t).n < 1 << 12);
	MF_ASSERT((err == MF_E_MALFORMED) == (*mf_tls_error(t) != 0));
	if (err == MF_E_MALFORMED)
		MF_ASSERT(mf_tls_open(t, &in, &(struct mf_room){ out, 1 }, 1, &got) == err && !got);
	return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_tls *t = malloc(sizeof(*t));
	struct mf_tls_half tx;
	bool padded = false;

	if (!context)
		prepare();
	MF_ASSERT(t);
	if (!size) {
		free(t);
		return 0;
	}
	*t = *connection[data[0] & 1];
	tx = t->rx;
	tx.nonce = 1;
	for (size_t i = 1; i + 1 < size; i += 2u + data[i + 1])
		padded |= !data[i];
	seal(&tx, data + 1, size - 1);
	(void)open_all(t, 1 + data[0] / 2u, padded);
	mf_tls_free(t);
	return 0;
}
