/* SPDX-License-Identifier: Apache-2.0
 *
 * cursor - reads untrusted bytes with a sticky error: after the first read past the end every read
 * gives zero, and the parser checks once, at the end. "All input consumed" is part of that check.
 */
#ifndef MF_CURSOR_H
#define MF_CURSOR_H

#include "base/endian.h"
#include "base/err.h"

struct mf_rd {
	const uint8_t *p, *end;
	bool failed;
};

static inline struct mf_rd mf_rd_init(struct mf_span in)
{
	return (struct mf_rd){ .p = in.p, .end = in.p + in.n };
}

static inline size_t mf_rd_left(const struct mf_rd *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->p);
}

/* The next n bytes, or NULL (and the cursor has failed). */
static inline const uint8_t *mf_rd_bytes(struct mf_rd *r, size_t n)
{
	const uint8_t *p = r->p;

	if (mf_rd_left(r) < n) {
		r->failed = true;
		return NULL;
	}
	r->p += n;
	return p;
}

#define MF_RD(name, host, load)                                  \
	static inline host mf_rd_##name(struct mf_rd *r)         \
	{                                                        \
		const uint8_t *p = mf_rd_bytes(r, sizeof(host)); \
		return p ? load(p) : (host)0;                    \
	}

static inline uint8_t mf_load_u8(const void *p)
{
	return *(const uint8_t *)p;
}

MF_RD(u8, uint8_t, mf_load_u8)
MF_RD(be16, uint16_t, mf_load_be16)
MF_RD(be32, uint32_t, mf_load_be32)
MF_RD(be64, uint64_t, mf_load_be64)
MF_RD(le32, uint32_t, mf_load_le32)
MF_RD(le64, uint64_t, mf_load_le64)

/* MF_E_SHORT if any read failed, MF_E_MALFORMED if bytes are left. */
MF_MUST_CHECK static inline mf_err mf_rd_done(const struct mf_rd *r)
{
	if (r->failed)
		return MF_E_SHORT;
	return r->p == r->end ? MF_OK : MF_E_MALFORMED;
}

#endif
