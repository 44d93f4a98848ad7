/* SPDX-License-Identifier: Apache-2.0
 *
 * tree - reads libyaml's events into a tree (see tree.h). Depth and the number of nodes are capped
 * while reading, so that no input costs more than in proportion to its size.
 */
#include "config/tree.h"

#include "config/errors.h"

#include <stdlib.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	struct mf_config_arena *arena;
	struct mf_config_errors *errs;
	const char *file;
	const char *text;
	size_t n;
	struct mf_yaml *root;
	struct mf_yaml *open[MF_CONFIG_MAX_DEPTH + 1]; /* the maps and lists we are in */
	uint32_t depth, nodes;
	const char *key; /* read, its value is still to come */
	struct mf_config_pos key_pos;
	bool stop;   /* nothing more to read */
	bool broken; /* the tree has no end: do not look at it */
};

static struct mf_config_pos pos_of(const struct reader *r, yaml_mark_t mark)
{
	return (struct mf_config_pos){
		.file = r->file,
		.line = (uint32_t)mark.line + 1,
		.col = (uint32_t)mark.column + 1,
	};
}

/* libyaml keeps what it has read, keys included, in buffers of its own. */
static void wipe_parser(yaml_parser_t *p)
{
	if (p->raw_buffer.start)
		mf_wipe(p->raw_buffer.start, (size_t)(p->raw_buffer.end - p->raw_buffer.start));
	if (p->buffer.start)
		mf_wipe(p->buffer.start, (size_t)(p->buffer.end - p->buffer.start));
}

static void wipe_event(yaml_event_t *ev)
{
	if (ev->type == YAML_SCALAR_EVENT && ev->data.scalar.value)
		mf_wipe(ev->data.scalar.value, ev->data.scalar.length);
}

/* The reader fails before the scanner has counted lines. */
static struct mf_config_pos pos_of_byte(const struct reader *r, size_t offset)
{
	struct mf_config_pos pos = { .file = r->file, .line = 1, .col = 1 };

	for (size_t i = 0; i < offset && i < r->n; i++) {
		pos.col++;
		if (r->text[i] != '\n')
			continue;
		pos.line++;
		pos.col = 1;
	}
	return pos;
}

static void scanner_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;

	r->stop = r->broken = true;
	if (p->error == YAML_MEMORY_ERROR)
		mf_config_error(r->errs, (struct mf_config_pos){ .file = r->file },
				"not enough memory to read the profile");
	else if (p->error == YAML_READER_ERROR)
		mf_config_error(r->errs, pos_of_byte(r, p->problem_offset),
				"not a text in UTF-8: %s; take it out",
				p->problem ? p->problem : "unreadable");
	else if (p->context && strstr(p->context, "scanning an alias"))
		mf_config_error(r->errs, pos_of(r, p->context_mark),
				"not valid YAML: what begins with `*` must stand in quotes, as in "
				"\"*.example.com\"");
	else
		mf_config_error(r->errs, pos_of(r, p->problem_mark),
				"not valid YAML: %s; look at the indentation, quotes and brackets "
				"here and in the line before",
				p->problem ? p->problem : "unreadable");
}

static struct mf_yaml *new_node(struct reader *r, enum mf_yaml_type type, yaml_mark_t mark)
{
	struct mf_yaml *node = mf_config_arena_alloc(r->arena, sizeof(*node));
	struct mf_yaml *parent = r->depth ? r->open[r->depth - 1] : NULL;

	if (!node) {
		r->stop = r->broken = true;
		return NULL;
	}
	node->type = type;
	node->pos = pos_of(r, mark);
	if (++r->nodes > MF_YAML_MAX_NODES) {
		mf_config_error(r->errs, node->pos,
				"more than %d values; put long lists into files", MF_YAML_MAX_NODES);
		r->stop = r->broken = true;
	}
	if (!parent) {
		r->root = node;
		return node;
	}
	if (parent->type == MF_YAML_MAP) {
		node->key = r->key;
		node->key_pos = r->key_pos;
		r->key = NULL;
	}
	if (parent->last)
		parent->last->next = node;
	else
		parent->first = node;
	parent->last = node;
	parent->n++;
	return node;
}

/* True: the next scalar is a key. */
static bool key_due(const struct reader *r)
{
	return r->depth && r->open[r->depth - 1]->type == MF_YAML_MAP && !r->key;
}

static void decorations(struct reader *r, const yaml_event_t *ev, const yaml_char_t *anchor,
			const yaml_char_t *tag)
{
	if (anchor)
		mf_config_error(
			r->errs, pos_of(r, ev->start_mark),
			"anchors (&name) are not allowed in a profile; write the value out");
	if (tag)
		mf_config_error(r->errs, pos_of(r, ev->start_mark),
				"tags (!name) are not allowed in a profile; leave it out");
}

static void on_scalar(struct reader *r, const yaml_event_t *ev)
{
	const char *value = (const char *)ev->data.scalar.value;
	size_t n = ev->data.scalar.length;
	bool has_nul = memchr(value, 0, n) != NULL;
	struct mf_yaml *node;
	char *text;

	decorations(r, ev, ev->data.scalar.anchor, ev->data.scalar.tag);
	if (has_nul)
		mf_config_error(r->errs, pos_of(r, ev->start_mark),
				"a NUL character is not allowed here; take the \\0 out");
	text = mf_config_arena_text(r->arena, value, n);
	if (!text) {
		r->stop = r->broken = true;
		return;
	}
	if (key_due(r)) {
		r->key = text;
		r->key_pos = pos_of(r, ev->start_mark);
		return;
	}
	node = new_node(r, has_nul ? MF_YAML_BAD : MF_YAML_SCALAR, ev->start_mark);
	if (!node)
		return;
	node->text = text;
	node->plain = ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

static void on_open(struct reader *r, const yaml_event_t *ev, enum mf_yaml_type type)
{
	struct mf_yaml *node;

	if (type == MF_YAML_MAP)
		decorations(r, ev, ev->data.mapping_start.anchor, ev->data.mapping_start.tag);
	else
		decorations(r, ev, ev->data.sequence_start.anchor, ev->data.sequence_start.tag);
	if (key_due(r)) {
		mf_config_error(r->errs, pos_of(r, ev->start_mark),
				"a key must be a plain word, not a list or a map");
		r->stop = r->broken = true;
		return;
	}
	if (r->depth == MF_CONFIG_MAX_DEPTH) {
		mf_config_error(r->errs, pos_of(r, ev->start_mark),
				"maps and lists are nested more than %d deep", MF_CONFIG_MAX_DEPTH);
		r->stop = r->broken = true;
		return;
	}
	node = new_node(r, type, ev->start_mark);
	if (node)
		r->open[r->depth++] = node;
}

static int by_key_then_place(const void *a, const void *b)
{
	const struct mf_yaml *x = *(const struct mf_yaml *const *)a;
	const struct mf_yaml *y = *(const struct mf_yaml *const *)b;
	int d = strcmp(x->key, y->key);

	if (d)
		return d;
	if (x->key_pos.line != y->key_pos.line)
		return x->key_pos.line < y->key_pos.line ? -1 : 1;
	return x->key_pos.col < y->key_pos.col ? -1 : x->key_pos.col > y->key_pos.col;
}

static void find_duplicates(struct reader *r, const struct mf_yaml *map)
{
	struct mf_yaml **sorted;
	uint32_t n = 0, first = 0;

	if (map->n < 2)
		return;
	sorted = calloc(map->n, sizeof(struct mf_yaml *));
	if (!sorted) {
		r->stop = r->broken = true;
		return;
	}
	for (struct mf_yaml *e = map->first; e; e = e->next)
		sorted[n++] = e;
	qsort(sorted, n, sizeof(struct mf_yaml *), by_key_then_place);
	for (uint32_t i = 1; i < n; i++) {
		char quoted[MF_CONFIG_QUOTE_LEN];

		if (strcmp(sorted[i]->key, sorted[first]->key) != 0) {
			first = i;
			continue;
		}
		mf_config_error(r->errs, sorted[i]->key_pos,
				"key %s is given twice, first in line %u; remove one of them",
				mf_config_quote(sorted[i]->key, quoted), sorted[first]->key_pos.line);
		sorted[i]->type = MF_YAML_BAD;
	}
	free(sorted);
}

static void on_close(struct reader *r)
{
	struct mf_yaml *node = r->open[--r->depth];

	if (node->type == MF_YAML_MAP)
		find_duplicates(r, node);
}

static void on_alias(struct reader *r, const yaml_event_t *ev)
{
	mf_config_error(r->errs, pos_of(r, ev->start_mark),
			"aliases (*name) are not allowed in a profile; write the value out");
	if (key_due(r))
		r->stop = r->broken = true;
	else
		(void)new_node(r, MF_YAML_BAD, ev->start_mark);
}

static void on_event(struct reader *r, const yaml_event_t *ev)
{
	switch (ev->type) {
	case YAML_DOCUMENT_START_EVENT:
		if (!r->root)
			break;
		mf_config_error(r->errs, pos_of(r, ev->start_mark),
				"a second document starts here; a profile is one document, "
				"remove the `---`");
		r->stop = true;
		break;
	case YAML_SCALAR_EVENT:
		on_scalar(r, ev);
		break;
	case YAML_SEQUENCE_START_EVENT:
		on_open(r, ev, MF_YAML_LIST);
		break;
	case YAML_MAPPING_START_EVENT:
		on_open(r, ev, MF_YAML_MAP);
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		on_close(r);
		break;
	case YAML_ALIAS_EVENT:
		on_alias(r, ev);
		break;
	case YAML_STREAM_END_EVENT:
		r->stop = true;
		break;
	default:
		break;
	}
}

struct mf_yaml *mf_yaml_read(struct mf_config_arena *arena, const char *text, size_t n,
			     const char *file, struct mf_config_errors *errs)
{
	struct reader r = { .arena = arena, .errs = errs, .file = file };

	/* told that it is UTF-8, libyaml does not look for a byte order mark */
	if (n >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
		text += 3;
		n -= 3;
	}
	r.text = text;
	r.n = n;
	if (!yaml_parser_initialize(&r.parser)) {
		mf_config_error(errs, (struct mf_config_pos){ .file = file },
				"not enough memory to read the profile");
		return NULL;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, n);
	while (!r.stop) {
		yaml_event_t ev;

		if (!yaml_parser_parse(&r.parser, &ev)) {
			scanner_error(&r);
			break;
		}
		on_event(&r, &ev);
		wipe_event(&ev);
		yaml_event_delete(&ev);
	}
	wipe_parser(&r.parser);
	yaml_parser_delete(&r.parser);
	return r.broken ? NULL : r.root;
}

const struct mf_yaml *mf_yaml_get(const struct mf_yaml *map, const char *key)
{
	if (!map || map->type != MF_YAML_MAP)
		return NULL;
	for (const struct mf_yaml *e = map->first; e; e = e->next)
		if (!strcmp(e->key, key))
			return e;
	return NULL;
}
