/* SPDX-License-Identifier: Apache-2.0 */
#include "control/pcapng.h"

enum { BLOCK_INTERFACE = 1, BLOCK_STATISTICS = 5, BLOCK_PACKET = 6, BLOCK_SECTION = 0x0a0d0d0a };
enum { OPT_END = 0, OPT_COMMENT = 1 };
enum { SHB_USERAPPL = 4, IF_NAME = 2, IF_DESCRIPTION = 3, IF_TSRESOL = 9, ISB_IFDROP = 5 };

static void u16(struct mf_text *out, uint16_t v)
{
	mf_text_add(out, (const char *)&v, sizeof(v));
}

static void u32(struct mf_text *out, uint32_t v)
{
	mf_text_add(out, (const char *)&v, sizeof(v));
}

static void bytes(struct mf_text *out, struct mf_span b)
{
	if (b.n)
		mf_text_add(out, (const char *)b.p, b.n);
}

static void padding(struct mf_text *out, size_t n)
{
	mf_text_add(out, "\0\0\0", mf_round_up(n, 4) - n);
}

static void option(struct mf_text *out, uint16_t code, const void *value, size_t n)
{
	u16(out, code);
	u16(out, (uint16_t)n);
	mf_text_add(out, value, n);
	padding(out, n);
}

static void text_option(struct mf_text *out, uint16_t code, const char *text)
{
	if (text)
		option(out, code, text, mf_min(strlen(text), UINT16_MAX));
}

/* A block's length stands at both ends; the first is filled in when it is known. */
static size_t begin(struct mf_text *out, uint32_t type)
{
	size_t at = out->len;

	u32(out, type);
	u32(out, 0);
	return at;
}

static void end(struct mf_text *out, size_t at)
{
	uint32_t n = (uint32_t)(out->len - at + sizeof(uint32_t));

	u32(out, n);
	if (!out->failed)
		memcpy(out->s + at + 4, &n, sizeof(n));
}

void mf_pcapng_begin(struct mf_text *out, const char *application)
{
	size_t at = begin(out, BLOCK_SECTION);

	u32(out, 0x1a2b3c4d); /* tells the byte order */
	u16(out, 1);          /* version 1.0 */
	u16(out, 0);
	u32(out, UINT32_MAX); /* length of the section: unknown */
	u32(out, UINT32_MAX);
	text_option(out, SHB_USERAPPL, application);
	option(out, OPT_END, "", 0);
	end(out, at);
}

void mf_pcapng_interface(struct mf_text *out, uint16_t linktype, uint32_t snaplen, const char *name,
			 const char *description)
{
	size_t at = begin(out, BLOCK_INTERFACE);

	u16(out, linktype);
	u16(out, 0);
	u32(out, snaplen);
	text_option(out, IF_NAME, name);
	text_option(out, IF_DESCRIPTION, description);
	option(out, IF_TSRESOL, "\x09", 1); /* 10^-9 s */
	option(out, OPT_END, "", 0);
	end(out, at);
}

void mf_pcapng_packet(struct mf_text *out, const struct mf_pcapng_packet *p)
{
	size_t at = begin(out, BLOCK_PACKET), n = p->head.n + p->bytes.n;

	u32(out, p->interface);
	u32(out, (uint32_t)(p->time >> 32));
	u32(out, (uint32_t)p->time);
	u32(out, (uint32_t)n);
	u32(out, p->len + (uint32_t)p->head.n);
	bytes(out, p->head);
	bytes(out, p->bytes);
	padding(out, n);
	text_option(out, OPT_COMMENT, p->comment);
	option(out, OPT_END, "", 0);
	end(out, at);
}

void mf_pcapng_statistics(struct mf_text *out, uint32_t interface, uint64_t time, uint64_t missed)
{
	size_t at = begin(out, BLOCK_STATISTICS);

	u32(out, interface);
	u32(out, (uint32_t)(time >> 32));
	u32(out, (uint32_t)time);
	option(out, ISB_IFDROP, &missed, sizeof(missed));
	option(out, OPT_END, "", 0);
	end(out, at);
}
