/* SPDX-License-Identifier: Apache-2.0
 *
 * tls_shake - the handshake, which OpenSSL does: it is the part of TLS that is long and full of
 * choices. Once it is done OpenSSL is let go, and the records that follow are ours (tls_record.h):
 * an idle connection of OpenSSL's takes 14 to 31 KB and a copy of every byte, ours takes 400 bytes
 * and none. It is the division that kernels make who do TLS.
 *
 * With TLS 1.3 the tickets to resume with come after the handshake, and only OpenSSL can make
 * sessions of them. So its state stays until the first other record has come, and is shown the
 * records before that; whatever it would say to them goes nowhere, because the keys are ours now
 * and no sequence number may be used by two.
 *
 * OpenSSL's error queue is one for the thread, so it is emptied before and after each call: no
 * connection may see another's error.
 */
#include "crypto/tls_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/endian.h"

enum {
	OUT_MAX = 1 << 17, /* bytes of handshake that may wait to be sent */
	/* The explicit nonce of a Finished in TLS 1.2 with AES-GCM: a message of 16 bytes and
	 * the tag follow it. */
	FINISHED_SEALED = 16 + MF_CIPHER_TAG_LEN,
};

/* ---- What OpenSSL reads and writes ----------------------------------------------------------- */

static int bio_read(BIO *b, char *out, size_t n, size_t *done)
{
	struct mf_tls_shake *x = ((struct mf_tls *)BIO_get_data(b))->shake;

	BIO_clear_retry_flags(b);
	*done = x->in ? mf_min(n, x->in->n) : 0;
	if (!*done) {
		BIO_set_retry_read(b);
		return 0;
	}
	memcpy(out, x->in->p, *done);
	x->in->p += *done;
	x->in->n -= *done;
	return 1;
}

static void keep_tail(struct mf_tls_shake *x, const char *bytes, size_t n)
{
	size_t new = mf_min(n, sizeof(x->tail)), old = sizeof(x->tail) - new;

	memmove(x->tail, x->tail + new, old);
	memcpy(x->tail + old, bytes + n - new, new);
}

static int bio_write(BIO *b, const char *bytes, size_t n, size_t *done)
{
	struct mf_tls *t = BIO_get_data(b);

	BIO_clear_retry_flags(b);
	*done = n;
	if (t->shake->over)
		return 1;
	*done = 0;
	if (t->out.n + n > OUT_MAX) {
		BIO_set_retry_write(b);
		return 0;
	}
	if (!mf_tls_queue_add(&t->out, bytes, n))
		return 0;
	keep_tail(t->shake, bytes, n);
	*done = n;
	return 1;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

bool mf_tls_method_init(BIO_METHOD *m)
{
	return BIO_meth_set_read_ex(m, bio_read) == 1 && BIO_meth_set_write_ex(m, bio_write) == 1 &&
	       BIO_meth_set_ctrl(m, bio_ctrl) == 1;
}

static uint8_t from_hex(char ch)
{
	return (uint8_t)(ch <= '9' ? ch - '0' : (ch | 0x20) - 'a' + 10);
}

/* OpenSSL tells the traffic secrets of TLS 1.3 to nobody but a function for key logs. Nothing is
 * logged here. `line` is LABEL RANDOM SECRET, the latter two in hex. */
void mf_tls_note_secret(const SSL *ssl, const char *line)
{
	static const char *const label[2] = { "CLIENT_TRAFFIC_SECRET_0 ",
					      "SERVER_TRAFFIC_SECRET_0 " };
	struct mf_tls_shake *x = ((struct mf_tls *)SSL_get_app_data(ssl))->shake;
	const char *hex = strrchr(line, ' ');
	size_t n = hex ? strlen(++hex) / 2 : 0;

	for (size_t i = 0; i < 2; i++) {
		if (strncmp(line, label[i], strlen(label[i])) != 0 || n > MF_TLS_SECRET_MAX)
			continue;
		for (size_t k = 0; k < n; k++)
			x->secret[i][k] =
				(uint8_t)(from_hex(hex[2 * k]) << 4 | from_hex(hex[2 * k + 1]));
		x->secret_len = (uint8_t)n;
	}
}

/* ---- Its beginning --------------------------------------------------------------------------- */

static bool is_name_char(char ch)
{
	return (ch >= 'a' && ch <= 'z') || (ch >= '0' && ch <= '9') || ch == '-' || ch == '_';
}

/* Lower case and without the last dot. Strict, because OpenSSL takes an empty name for "any name"
 * and one with a dot in front for "anything below". */
static bool copy_name(char out[MF_TLS_NAME_MAX + 1], const char *name)
{
	size_t n = strlen(name);

	if (n && name[n - 1] == '.')
		n--;
	if (!n || n > MF_TLS_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		char ch = name[i];

		out[i] = ch >= 'A' && ch <= 'Z' ? (char)(ch - 'A' + 'a') : ch;
		if (out[i] == '.' ? i == 0 || name[i - 1] == '.' || i + 1 == n
				  : !is_name_char(out[i]))
			return false;
	}
	out[n] = 0;
	return true;
}

/* Only what the certificate's subjectAltName says counts (RFC 9525 6.3), and for an address only an
 * address there. */
static bool expect_name(struct mf_tls_shake *x, const char *name)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(x->ssl);
	struct mf_addr addr;

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
						       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (mf_addr_parse(&addr, name) == MF_OK) {
		mf_addr_format(&addr, x->name);
		return X509_VERIFY_PARAM_set1_ip(param, addr.b, mf_addr_len(&addr)) == 1;
	}
	return copy_name(x->name, name) && X509_VERIFY_PARAM_set1_host(param, x->name, 0) == 1 &&
	       SSL_set_tlsext_host_name(x->ssl, x->name) == 1;
}

static bool offer_alpn(SSL *ssl, const char *alpn)
{
	size_t n = alpn ? strlen(alpn) : 0;

	for (size_t at = 0; at < n; at += 1u + (uint8_t)alpn[at])
		if ((uint8_t)alpn[at] >= mf_min(n - at, sizeof(((struct mf_tls *)0)->alpn)))
			return false;
	return !n || SSL_set_alpn_protos(ssl, (const uint8_t *)alpn, (unsigned)n) == 0;
}

bool mf_tls_shake_new(struct mf_tls *t, const char *name, const char *alpn)
{
	struct mf_tls_shake *x = t->shake = calloc(1, sizeof(*x));
	BIO *bio;

	if (!x)
		return false;
	x->ssl = SSL_new(t->context->ssl);
	bio = x->ssl ? BIO_new(t->context->method) : NULL;
	if (!bio)
		return false;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(x->ssl, bio, bio);
	SSL_set_app_data(x->ssl, t);
	SSL_set_connect_state(x->ssl);
	if (!expect_name(x, name) || !offer_alpn(x->ssl, alpn))
		return false;
	mf_tls_ticket_use(t);
	return true;
}

void mf_tls_shake_free(struct mf_tls *t)
{
	struct mf_tls_shake *x = t->shake;

	if (!x)
		return;
	/* OpenSSL would not resume a session whose connection has not ended with close_notify. */
	if (t->done)
		SSL_set_shutdown(x->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(x->ssl);
	ERR_clear_error();
	mf_wipe(x, sizeof(*x));
	free(x);
	t->shake = NULL;
}

/* ---- Its end --------------------------------------------------------------------------------- */

/* Names why OpenSSL has failed: only texts of its own tables, which hold nothing of ours. */
static mf_err name_failure(struct mf_tls *t)
{
	const struct mf_tls_shake *x = t->shake;
	long verified = SSL_get_verify_result(x->ssl);
	unsigned long e = ERR_peek_error();
	const char *reason = ERR_reason_error_string(e);

	if (x->wrong_key)
		return mf_tls_fail(t, MF_E_CONFLICT, "the key of %s is not the pinned one", x->name);
	if (verified != X509_V_OK)
		return mf_tls_fail(t, MF_E_AUTH, "the certificate is not good for %s: %s", x->name,
				   X509_verify_cert_error_string(verified));
	/* What has come instead of a ServerHello is no record of TLS. */
	if (ERR_GET_LIB(e) == ERR_LIB_SSL && ERR_GET_REASON(e) == SSL_R_WRONG_VERSION_NUMBER &&
	    SSL_get_state(x->ssl) == TLS_ST_CW_CLNT_HELLO)
		reason = "the server does not speak TLS here";
	return mf_tls_fail(t, MF_E_MALFORMED, "TLS with %s failed: %s", x->name,
			   reason ? reason : "the library says not why");
}

static mf_err fail(struct mf_tls *t)
{
	mf_err err = name_failure(t);

	mf_tls_shake_free(t);
	return err;
}

static bool find_alg(const SSL_CIPHER *suite, enum mf_cipher_alg *alg)
{
	static const int nid[MF_CIPHER_ALGS] = {
		[MF_AES_128_GCM] = NID_aes_128_gcm,
		[MF_AES_256_GCM] = NID_aes_256_gcm,
		[MF_CHACHA20_POLY1305] = NID_chacha20_poly1305,
	};

	for (int i = 0; i < MF_CIPHER_ALGS; i++)
		if (SSL_CIPHER_get_cipher_nid(suite) == nid[i]) {
			*alg = (enum mf_cipher_alg)i;
			return true;
		}
	return false;
}

/* Two records have gone under these keys, the Finished of both. */
static bool load_keys_12(struct mf_tls *t, enum mf_cipher_alg alg, bool sha384)
{
	const struct mf_tls_shake *x = t->shake;
	uint8_t master[MF_TLS_SECRET_MAX], client[32], server[32];
	uint64_t nonce = mf_load_be64(x->tail + sizeof(x->tail) - FINISHED_SEALED - 8);
	bool ok = SSL_SESSION_get_master_key(SSL_get_session(x->ssl), master, sizeof(master)) ==
			  sizeof(master) &&
		  SSL_get_client_random(x->ssl, client, sizeof(client)) == sizeof(client) &&
		  SSL_get_server_random(x->ssl, server, sizeof(server)) == sizeof(server) &&
		  mf_tls_halves_init_12(&t->tx, &t->rx, alg, sha384, master, client, server, nonce);

	mf_wipe(master, sizeof(master));
	return ok;
}

/* None has gone under these. */
static bool load_keys(struct mf_tls *t)
{
	const struct mf_tls_shake *x = t->shake;
	const SSL_CIPHER *suite = SSL_get_current_cipher(x->ssl);
	const EVP_MD *md = suite ? SSL_CIPHER_get_handshake_digest(suite) : NULL;
	size_t hash_len = md ? (size_t)EVP_MD_get_size(md) : 0;
	enum mf_cipher_alg alg;

	if (!md || !find_alg(suite, &alg))
		return false;
	if (SSL_version(x->ssl) == TLS1_2_VERSION)
		return load_keys_12(t, alg, hash_len == 48);
	return SSL_version(x->ssl) == TLS1_3_VERSION && x->secret_len == hash_len &&
	       mf_tls_half_init(&t->tx, alg, x->secret[0], hash_len) &&
	       mf_tls_half_init(&t->rx, alg, x->secret[1], hash_len);
}

static void note_alpn(struct mf_tls *t)
{
	const uint8_t *p = NULL;
	unsigned n = 0;

	SSL_get0_alpn_selected(t->shake->ssl, &p, &n);
	if (n && n < sizeof(t->alpn)) /* it is one that we have offered */
		memcpy(t->alpn, p, n);
}

static mf_err take_over(struct mf_tls *t)
{
	struct mf_tls_shake *x = t->shake;

	if (SSL_get_verify_result(x->ssl) != X509_V_OK || !SSL_get0_peer_certificate(x->ssl))
		return fail(t);
	if (!load_keys(t)) {
		mf_tls_shake_free(t);
		return mf_tls_fail(t, MF_E_NO_MEMORY, "TLS failed: out of memory");
	}
	note_alpn(t);
	t->done = true;
	x->over = true;
	x->in = NULL;
	mf_wipe(x->secret, sizeof(x->secret));
	if (!t->context->session_reuse || SSL_version(x->ssl) < TLS1_3_VERSION)
		mf_tls_shake_free(t);
	return MF_OK;
}

mf_err mf_tls_handshake_from(struct mf_tls *t, struct mf_room *in)
{
	struct mf_tls_shake *x = t->shake;
	int r, why;

	if (t->failed)
		return MF_E_GONE;
	if (t->done)
		return MF_OK;
	x->in = in;
	ERR_clear_error();
	r = SSL_do_handshake(x->ssl);
	why = SSL_get_error(x->ssl, r);
	x->in = NULL;
	if (r != 1 && (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE))
		return MF_E_AGAIN;
	return r == 1 ? take_over(t) : fail(t);
}

/* ---- Tickets --------------------------------------------------------------------------------- */

void mf_tls_shake_ticket(struct mf_tls *t, uint8_t *record, size_t n)
{
	struct mf_room in = { record, n };
	uint8_t nothing[1];
	size_t got;

	t->shake->in = &in;
	ERR_clear_error();
	(void)SSL_read_ex(t->shake->ssl, nothing, sizeof(nothing), &got);
	ERR_clear_error();
	t->shake->in = NULL;
}
