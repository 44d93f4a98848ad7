/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of operations on one prefix table, each also done on a list that is searched from end to end;
 * both must agree on every value, count and error, and on the addresses around every prefix touched.
 *
 * First byte: bit 0 IPv6, bit 1 sixteen direct bits, bits 2 and 3 how wide values are. An operation: a
 * byte (bits 0 and 1: what; the rest: how many bytes of address follow), a byte of length, the address
 * and, where it has one, a byte of value.
 */
#include "policy/lpm_bulk.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum { OP_INSERT, OP_REMOVE, OP_LOOKUP, OP_LOAD, OPS, MANY = 200 };

struct fuzz {
	struct mf_lpm *t;
	unsigned bits, value_shift;
	struct mf_lpm_entry e[MANY], batch[16];
	size_t n, n_batch;
};

static bool covers(const struct mf_lpm_entry *e, const uint8_t *addr)
{
	for (unsigned i = 0; i < e->len; i++)
		if ((e->addr[i / 8] ^ addr[i / 8]) & (0x80 >> i % 8))
			return false;
	return true;
}

static struct mf_lpm_entry *find(struct fuzz *f, const struct mf_lpm_entry *e)
{
	for (size_t i = 0; i < f->n; i++)
		if (f->e[i].len == e->len && covers(&f->e[i], e->addr))
			return &f->e[i];
	return NULL;
}

static void note(struct fuzz *f, const struct mf_lpm_entry *e)
{
	struct mf_lpm_entry *old = find(f, e);

	*(old ? old : &f->e[f->n++]) = *e;
}

static void check(const struct fuzz *f, const uint8_t addr[16])
{
	const struct mf_lpm_entry *best = NULL;
	uint32_t four[9], want, got[9];
	uint8_t six[9][16];
	unsigned len;

	for (size_t i = 0; i < f->n; i++)
		if (covers(&f->e[i], addr) && (!best || f->e[i].len > best->len))
			best = &f->e[i];
	want = best ? best->value : MF_LPM_NONE;
	for (size_t i = 0; i < MF_ARRAY_LEN(four); i++) {
		four[i] = mf_load_be32(addr);
		memcpy(six[i], addr, 16);
	}
	for (size_t v = 0; v < mf_lpm_bulks; v++) {
		if (!mf_lpm_bulk[v].usable())
			continue;
		if (f->bits == 32)
			mf_lpm_bulk[v].lookup4(f->t, four, got, MF_ARRAY_LEN(got));
		else
			mf_lpm_bulk[v].lookup6(f->t, six, got, MF_ARRAY_LEN(got));
		MF_ASSERT(got[0] == want && got[8] == want);
	}
	MF_ASSERT((f->bits == 32 ? mf_lpm_lookup4(f->t, four[0]) : mf_lpm_lookup6(f->t, addr)) ==
		  want);
	MF_ASSERT(mf_lpm_match(f->t, addr, &len) == want && (!best || len == best->len));
}

/* The first and last address of a prefix, and those beside it. */
static void check_around(const struct fuzz *f, const struct mf_lpm_entry *e)
{
	uint8_t first[16], last[16];
	size_t i;

	memcpy(first, e->addr, 16);
	memcpy(last, e->addr, 16);
	for (unsigned k = e->len; k < f->bits; k++) {
		first[k / 8] &= (uint8_t) ~(0x80 >> k % 8);
		last[k / 8] |= (uint8_t)(0x80 >> k % 8);
	}
	check(f, first);
	check(f, last);
	for (i = f->bits / 8; i-- > 0 && first[i]-- == 0;)
		;
	for (i = f->bits / 8; i-- > 0 && ++last[i] == 0;)
		;
	check(f, first);
	check(f, last);
}

static void flush(struct fuzz *f)
{
	MF_ASSERT(mf_lpm_load(f->t, f->batch, f->n_batch) == MF_OK);
	for (size_t i = 0; i < f->n_batch; i++)
		note(f, &f->batch[i]);
	f->n_batch = 0;
}

static void update(struct fuzz *f, unsigned op, struct mf_lpm_entry e)
{
	struct mf_lpm_entry *old = find(f, &e);

	MF_ASSERT(mf_lpm_get(f->t, e.addr, e.len) == (old ? old->value : MF_LPM_NONE));
	if (op == OP_REMOVE) {
		MF_ASSERT(mf_lpm_remove(f->t, e.addr, e.len) == (old ? MF_OK : MF_E_NOT_FOUND));
		if (old)
			*old = f->e[--f->n];
	} else {
		MF_ASSERT(mf_lpm_insert(f->t, e.addr, e.len, e.value) == MF_OK);
		note(f, &e);
	}
}

/* Reads and does one operation; returns how much it took. */
static size_t operation(struct fuzz *f, const uint8_t *in, size_t n)
{
	unsigned op = in[0] % OPS;
	size_t bytes = mf_min(mf_min((in[0] >> 2) % 17, f->bits / 8), n - 3);
	struct mf_lpm_entry e = { .len = (uint8_t)(in[1] % (f->bits + 1)) };

	/* The shorter ones make tens of thousands of slots anew: no work for a fuzzer. */
	if (f->t->top->bits && e.len < 8 && op != OP_LOOKUP)
		e.len = 8;
	memcpy(e.addr, in + 2, bytes);
	e.value = (1 + (uint32_t)in[2 + bytes]) << f->value_shift;
	if (op == OP_LOAD)
		f->batch[f->n_batch++] = e;
	if (op != OP_LOAD || f->n_batch == MF_ARRAY_LEN(f->batch))
		flush(f);
	if (op == OP_INSERT || op == OP_REMOVE)
		update(f, op, e);
	MF_ASSERT(mf_lpm_count(f->t) == f->n);
	if (op != OP_LOAD)
		check_around(f, &e);
	return 3 + bytes;
}

static bool walked(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct fuzz *f = ctx;
	struct mf_lpm_entry e = { .len = (uint8_t)len }, *old;

	memcpy(e.addr, addr, f->bits / 8);
	old = find(f, &e);
	MF_ASSERT(old && old->value == value);
	*old = f->e[--f->n];
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	static struct fuzz f;

	if (n < 1)
		return 0;
	f = (struct fuzz){ .bits = in[0] & 1 ? 128 : 32, .value_shift = (in[0] >> 2 & 3) * 7 };
	f.t = mf_lpm_new(f.bits, in[0] & 2 ? 16 : 0, NULL);
	MF_ASSERT(f.t);
	for (size_t i = 1; i + 3 <= n && f.n + 32 < MANY;)
		i += operation(&f, in + i, n - i);
	flush(&f);
	for (size_t i = 0; i < f.n; i++)
		check_around(&f, &f.e[i]);
	mf_lpm_walk(f.t, walked, &f);
	MF_ASSERT(f.n == 0);
	mf_lpm_free(f.t);
	return 0;
}
