/* SPDX-License-Identifier: Apache-2.0
 *
 * lpm_block - makes and reads the blocks of a prefix table. See lpm_block.h for the layout.
 */
#include "policy/lpm_block.h"

#include <stdlib.h>

enum { LEAF_SLACK = 4 }; /* a leaf is read with a load of four bytes */

/* Nodes in the making: bytes that grow. Positions are from the start of the buffer, which stands for
 * a multiple of 8. */
struct nodes {
	const struct mf_lpm_entry *e;
	uint8_t *buf;
	size_t used, cap;
	size_t meta; /* where the root's struct mf_lpm_meta goes */
	bool failed; /* out of memory */
};

struct ref {
	size_t at;
	unsigned tag;
};

/* One node before it is written. */
struct sketch {
	uint32_t value[256];
	uint64_t kids[4]; /* bytes that go on to a child */
	uint64_t edge[4]; /* where the leaf changes; before find_edges: where it may */
	size_t n_kids, n_leaves;
	uint32_t max_value;
};

static bool bit(const uint64_t set[4], size_t i)
{
	return set[i / 64] >> (i % 64) & 1;
}

static void set_bit(uint64_t set[4], size_t i)
{
	set[i / 64] |= (uint64_t)1 << (i % 64);
}

/* Room for n bytes at the end, zeroed and starting at a multiple of 4. */
static uint8_t *grow(struct nodes *b, size_t n)
{
	size_t at = mf_round_up(b->used, 4), need = at + n;
	uint8_t *buf;

	if (need > b->cap) {
		buf = b->failed ? NULL : realloc(b->buf, need + need / 2 + 256);
		if (!buf) {
			b->failed = true;
			return NULL;
		}
		b->buf = buf;
		b->cap = need + need / 2 + 256;
	}
	memset(b->buf + b->used, 0, need - b->used);
	b->used = need;
	return b->buf + at;
}

/* How many bytes from `depth` on are the same in all prefixes lo..hi-1, all of which go on behind. */
static size_t shared_bytes(const struct nodes *b, size_t lo, size_t hi, size_t depth)
{
	const uint8_t *first = b->e[lo].addr, *last = b->e[hi - 1].addr;
	size_t end = depth;
	unsigned shortest = 128;

	if (first[depth] != last[depth])
		return 0;
	for (size_t i = lo; i < hi; i++)
		shortest = b->e[i].len < shortest ? b->e[i].len : shortest;
	while (8 * (end + 1) < shortest && first[end] == last[end])
		end++;
	return end - depth;
}

static void paint(struct sketch *s, const struct nodes *b, size_t lo, size_t hi, size_t depth,
		  uint32_t inherit)
{
	memset(s->kids, 0, sizeof(s->kids));
	memset(s->edge, 0, sizeof(s->edge));
	set_bit(s->edge, 0);
	for (size_t i = 0; i < 256; i++)
		s->value[i] = inherit;
	/* The shorter comes first, so the longer paints over it. */
	for (size_t i = lo; i < hi; i++) {
		const struct mf_lpm_entry *e = &b->e[i];
		size_t bits = e->len - 8 * depth, first = e->addr[depth];
		size_t end = first + (bits > 8 ? 1 : (size_t)256 >> bits);

		set_bit(s->edge, first);
		if (end < 256)
			set_bit(s->edge, end);
		if (bits > 8)
			set_bit(s->kids, first);
		else
			for (size_t k = first; k < end; k++)
				s->value[k] = e->value;
	}
}

static void find_edges(struct sketch *s)
{
	s->n_kids = s->n_leaves = 0;
	s->max_value = 0;
	for (size_t w = 0; w < 4; w++) {
		uint64_t edge = s->edge[w];

		for (uint64_t left = edge; left; left &= left - 1) {
			size_t i = 64 * w + (size_t)__builtin_ctzll(left);
			bool kid = bit(s->kids, i);

			s->n_kids += kid;
			if (i && !kid && !bit(s->kids, i - 1) && s->value[i] == s->value[i - 1]) {
				edge ^= left & -left;
				continue;
			}
			s->n_leaves++;
			if (!kid && s->value[i] > s->max_value)
				s->max_value = s->value[i];
		}
		s->edge[w] = edge;
	}
}

static unsigned leaf_tag(const struct sketch *s)
{
	if (s->max_value < MF_LPM_CHILD8 && s->n_kids <= 256 - MF_LPM_CHILD8)
		return MF_LPM_LEAF8;
	return s->max_value < MF_LPM_CHILD16 ? MF_LPM_LEAF16 : MF_LPM_LEAF32;
}

static void write_leaves(const struct sketch *s, struct mf_lpm_node *node, unsigned tag)
{
	uint32_t kid = mf_lpm_first_child(tag), n = 0;
	uint8_t *to = node->leaf;

	memcpy(node->edge, s->edge, sizeof(node->edge));
	for (unsigned w = 0; w < 4; w++) {
		node->before |= n << 8 * w;
		for (uint64_t left = s->edge[w]; left; left &= left - 1) {
			size_t i = 64 * w + (size_t)__builtin_ctzll(left);
			uint32_t leaf = bit(s->kids, i) ? kid++ : s->value[i];

			for (unsigned k = 0; k < 1u << tag; k++)
				*to++ = (uint8_t)(leaf >> 8 * k);
			n++;
		}
	}
}

static struct ref make_tree(struct nodes *b, size_t lo, size_t hi, size_t depth, uint32_t inherit);

/* Reserves the block's description right behind the first node that is written: the root. */
static void add_meta(struct nodes *b)
{
	uint8_t *at;

	if (b->meta)
		return;
	at = grow(b, sizeof(struct mf_lpm_meta));
	if (at)
		b->meta = (size_t)(at - b->buf);
}

/* Makes the children of a node (one for each run of prefixes with the same byte that go beyond it) and
 * fills in the references in front of the node. */
static void make_children(struct nodes *b, const struct sketch *s, size_t at, size_t lo, size_t hi,
			  size_t depth)
{
	size_t k = 0;

	for (size_t i = lo, end; i < hi; i = end) {
		uint8_t byte = b->e[i].addr[depth];
		struct ref r;
		uint32_t rel;

		end = i + 1;
		if (b->e[i].len <= 8 * (depth + 1))
			continue;
		while (end < hi && b->e[end].addr[depth] == byte)
			end++;
		r = make_tree(b, i, end, depth + 1, s->value[byte]);
		if (b->failed)
			return;
		rel = (uint32_t)(r.at - at) | r.tag;
		memcpy(b->buf + at - 4 * ++k, &rel, sizeof(rel));
	}
	MF_ASSERT(k == s->n_kids);
}

static struct ref make_node(struct nodes *b, size_t lo, size_t hi, size_t depth, uint32_t inherit)
{
	struct ref r = { 0 };
	struct sketch s;
	size_t start, bytes;
	uint8_t *p;

	paint(&s, b, lo, hi, depth, inherit);
	find_edges(&s);
	r.tag = leaf_tag(&s);
	start = mf_round_up(b->used, 4) + 4 * s.n_kids;
	r.at = mf_round_up(start, 8);
	bytes = offsetof(struct mf_lpm_node, leaf) + (s.n_leaves << r.tag);
	p = grow(b, r.at - mf_round_up(b->used, 4) + bytes);
	if (!p)
		return r;
	write_leaves(&s, (void *)(b->buf + r.at), r.tag);
	add_meta(b);
	if (s.n_kids && !b->failed)
		make_children(b, &s, r.at, lo, hi, depth);
	return r;
}

static struct ref make_skip(struct nodes *b, size_t lo, size_t hi, size_t depth, uint32_t inherit,
			    size_t n)
{
	struct ref r = { .at = mf_round_up(b->used, 8), .tag = MF_LPM_SKIP }, child;
	struct mf_lpm_skip s = { .miss = inherit, .n = (uint8_t)n };

	if (!grow(b, r.at - mf_round_up(b->used, 4) + sizeof(s)))
		return r;
	add_meta(b);
	child = make_node(b, lo, hi, depth + n, inherit);
	if (b->failed)
		return r;
	memcpy(s.key, b->e[lo].addr + depth, n);
	s.child = (uint32_t)(child.at - r.at) | child.tag;
	memcpy(b->buf + r.at, &s, sizeof(s));
	return r;
}

/* Nodes for prefixes lo..hi-1, which agree in the first `depth` bytes. */
static struct ref make_tree(struct nodes *b, size_t lo, size_t hi, size_t depth, uint32_t inherit)
{
	size_t n = shared_bytes(b, lo, hi, depth);

	/* Skipping one byte would be no faster than a node for it. */
	return n >= 2 ? make_skip(b, lo, hi, depth, inherit, n)
		      : make_node(b, lo, hi, depth, inherit);
}

static size_t stride(const struct mf_lpm_meta *m)
{
	return m->alen + 1u + m->vlen;
}

static uint8_t *packed(const uint8_t *root, const struct mf_lpm_meta *m, size_t i)
{
	return (uint8_t *)(i < m->head ? root - m->root + i * stride(m)
				       : root + m->tail + (i - m->head) * stride(m));
}

static struct mf_lpm_meta measure(const struct mf_lpm_entry *e, size_t n)
{
	unsigned bits = 1;
	uint32_t values = 0;

	for (size_t i = 0; i < n; i++) {
		bits = e[i].len > bits ? e[i].len : bits;
		values |= e[i].value;
	}
	return (struct mf_lpm_meta){
		.n = (uint32_t)n,
		.alen = (bits + 7) / 8 & 31,
		.vlen = (values >> 24   ? 4
			 : values >> 16 ? 3
			 : values >> 8  ? 2
					: 1),
	};
}

static void pack(uint8_t *root, const struct mf_lpm_meta *m, const struct mf_lpm_entry *e)
{
	for (size_t i = 0; i < m->n; i++) {
		uint8_t *p = packed(root, m, i);

		memcpy(p, e[i].addr, m->alen);
		p[m->alen] = e[i].len;
		for (unsigned k = 0; k < m->vlen; k++)
			p[m->alen + 1u + k] = (uint8_t)(e[i].value >> 8 * k);
	}
}

/* Puts nodes and prefixes into a block of their own. */
static uint8_t *assemble(const struct nodes *b, size_t root, const struct mf_lpm_entry *e, size_t n)
{
	struct mf_lpm_meta m = measure(e, n);
	size_t es = stride(&m), bytes = b->used + n * es + es + LEAF_SLACK;
	size_t at = root;
	uint8_t *block = malloc(bytes);

	if (!block)
		return NULL;
	/* Align the root if there are prefixes enough to fill the gap. */
	at = mf_round_up((uintptr_t)block + root, MF_CACHE_LINE) - (uintptr_t)block;
	if (at - root > n * es)
		at = root;
	m.root = (uint16_t)at;
	m.head = (uint8_t)mf_min(mf_min((at - root) / es, n), UINT8_MAX);
	m.tail = (uint32_t)(b->used - root);
	memcpy(block + at - root, b->buf, b->used);
	memcpy(block + at + b->meta - root, &m, sizeof(m));
	pack(block + at, &m, e);
	return block + at;
}

mf_err mf_lpm_block_make(uint64_t *slot, const struct mf_lpm_entry *e, size_t n, uint32_t inherit)
{
	struct nodes b = { .e = e };
	struct ref root;
	uint8_t *p = NULL;

	if (n == 0) {
		*slot = mf_lpm_direct(inherit);
		return MF_OK;
	}
	root = make_tree(&b, 0, n, 0, inherit);
	if (!b.failed)
		p = assemble(&b, root.at, e, n);
	free(b.buf);
	if (!p)
		return MF_E_NO_MEMORY;
	*slot = (uint64_t)(uintptr_t)p | root.tag;
	return MF_OK;
}

/* The root, or NULL for a direct slot. */
static const uint8_t *open_block(uint64_t slot, const struct mf_lpm_meta **m)
{
	const uint8_t *p = (const uint8_t *)(uintptr_t)(slot & ~(uint64_t)MF_LPM_TAG);
	unsigned tag = slot & MF_LPM_TAG;
	const struct mf_lpm_node *node = (const void *)p;
	size_t bytes = sizeof(struct mf_lpm_skip);

	if (tag == MF_LPM_DIRECT)
		return NULL;
	if (tag != MF_LPM_SKIP) {
		bytes = (node->before >> 24) + mf_lpm_popcount(node->edge[3]);
		bytes = offsetof(struct mf_lpm_node, leaf) + (bytes << tag);
	}
	*m = (const void *)(p + mf_round_up(bytes, 4));
	return p;
}

void *mf_lpm_block_start(uint64_t slot)
{
	const struct mf_lpm_meta *m;
	const uint8_t *root = open_block(slot, &m);

	return root ? (void *)(root - m->root) : NULL;
}

struct mf_lpm_size mf_lpm_block_size(uint64_t slot)
{
	struct mf_lpm_size size = { 0 };
	const struct mf_lpm_meta *m;
	size_t asked;

	if (!open_block(slot, &m))
		return size;
	size.n = m->n;
	size.rib_bytes = m->n * stride(m) + sizeof(*m);
	/* assemble() asks for less than one prefix more than it uses. */
	asked = m->root + m->tail + (size_t)(m->n - m->head + 1) * stride(m) + LEAF_SLACK;
	size.bytes = mf_lpm_malloced(asked);
	return size;
}

void mf_lpm_block_entry(uint64_t slot, size_t i, struct mf_lpm_entry *e)
{
	const struct mf_lpm_meta *m = NULL;
	const uint8_t *root = open_block(slot, &m), *p;

	MF_ASSERT(root && i < m->n);
	p = packed(root, m, i);
	memset(e, 0, sizeof(*e));
	memcpy(e->addr, p, m->alen);
	e->len = p[m->alen];
	for (unsigned k = 0; k < m->vlen; k++)
		e->value |= (uint32_t)p[m->alen + 1u + k] << 8 * k;
}

size_t mf_lpm_block_find(uint64_t slot, const struct mf_lpm_entry *e, bool *equal)
{
	const struct mf_lpm_meta *m;
	const uint8_t *root = open_block(slot, &m);
	size_t lo = 0, hi = root ? m->n : 0;
	struct mf_lpm_entry mid;

	*equal = false;
	while (lo < hi) {
		size_t i = lo + (hi - lo) / 2;
		int c;

		mf_lpm_block_entry(slot, i, &mid);
		c = mf_lpm_entry_cmp(&mid, e);
		if (c == 0)
			*equal = true;
		if (c < 0)
			lo = i + 1;
		else
			hi = i;
	}
	return lo;
}
