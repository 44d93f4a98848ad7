/* SPDX-License-Identifier: Apache-2.0
 *
 * endian - integers of a fixed byte order as types of their own, so that mixing them with host
 * integers does not compile; and unaligned loads and stores.
 */
#ifndef MF_ENDIAN_H
#define MF_ENDIAN_H

#include "base/base.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ || __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__,
	      "mixed-endian machines are not supported");
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MF_BE16(v) __builtin_bswap16(v)
#define MF_BE32(v) __builtin_bswap32(v)
#define MF_BE64(v) __builtin_bswap64(v)
#define MF_LE16(v) (v)
#define MF_LE32(v) (v)
#define MF_LE64(v) (v)
#else
#define MF_BE16(v) (v)
#define MF_BE32(v) (v)
#define MF_BE64(v) (v)
#define MF_LE16(v) __builtin_bswap16(v)
#define MF_LE32(v) __builtin_bswap32(v)
#define MF_LE64(v) __builtin_bswap64(v)
#endif

/* mf_be16, mf_be32, ...: one-member structs with alignment 1; mf_load_be16(p), mf_store_be16(p, v);
 * mf_be16_get(x), mf_be16_of(v). */
#define MF_ENDIAN_TYPE(name, host, SWAP)                    \
	struct name##_bytes {                               \
		host raw;                                   \
	} __attribute__((packed));                          \
	typedef struct name##_bytes mf_##name;              \
	static inline host mf_##name##_get(mf_##name x)     \
	{                                                   \
		return SWAP(x.raw);                         \
	}                                                   \
	static inline mf_##name mf_##name##_of(host v)      \
	{                                                   \
		return (mf_##name){ .raw = SWAP(v) };       \
	}                                                   \
	static inline host mf_load_##name(const void *p)    \
	{                                                   \
		host v;                                     \
		memcpy(&v, p, sizeof(v));                   \
		return SWAP(v);                             \
	}                                                   \
	static inline void mf_store_##name(void *p, host v) \
	{                                                   \
		v = SWAP(v);                                \
		memcpy(p, &v, sizeof(v));                   \
	}

MF_ENDIAN_TYPE(be16, uint16_t, MF_BE16)
MF_ENDIAN_TYPE(be32, uint32_t, MF_BE32)
MF_ENDIAN_TYPE(be64, uint64_t, MF_BE64)
MF_ENDIAN_TYPE(le16, uint16_t, MF_LE16)
MF_ENDIAN_TYPE(le32, uint32_t, MF_LE32)
MF_ENDIAN_TYPE(le64, uint64_t, MF_LE64)

#endif
