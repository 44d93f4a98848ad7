/* SPDX-License-Identifier: Apache-2.0
 *
 * load_proxy - the setters of what only proxies have: protocols for ALPN, fields of a request (see
 * setter.h).
 */
#include "config/errors.h"
#include "config/setter.h"
#include "config/value.h"

#include <strings.h>

/* RFC 7301, section 3.1, as far as people write it. */
static bool protocol_entry(struct mf_loader *l, const struct mf_field *f,
			   const struct mf_yaml *item, void *out)
{
	const char *text = mf_load_scalar(l, f, item);
	enum { LONGEST = 15 }; /* as crypto/tls.h keeps it; none that is registered is longer */

	if (!text)
		return false;
	*(const char **)out = text;
	if (strlen(text) <= LONGEST && mf_value_visible(text))
		return true;
	mf_config_error(l->errs, item->pos, "`%s`: a protocol has a name such as h2 or http/1.1",
			f->key);
	return false;
}

void mf_set_protocols(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		      void *section)
{
	mf_load_list(l, f, node, section, sizeof(const char *), protocol_entry);
}

/* ---- Fields of a request --------------------------------------------------------------------------- */

/* Fields that the handshake writes itself (RFC 6455, section 4.1), or that would change what the request
 * is. */
static const char *reserved(const char *name)
{
	static const char *const own[] = {
		"Connection",           "Content-Length",
		"Sec-WebSocket-Accept", "Sec-WebSocket-Extensions",
		"Sec-WebSocket-Key",    "Sec-WebSocket-Version",
		"Transfer-Encoding",    "Upgrade",
	};

	if (!strcasecmp(name, "Host"))
		return "it has a key of its own, `host`";
	for (size_t i = 0; i < MF_ARRAY_LEN(own); i++)
		if (!strcasecmp(name, own[i]))
			return "it is written by MintFlow itself";
	return NULL;
}

const char *mf_load_header_name(const char *name)
{
	enum { LONGEST = 64 };

	if (strlen(name) > LONGEST)
		return "it is longer than 64 bytes";
	if (!mf_value_token(name))
		return "no field can be called so";
	return reserved(name);
}

/* What it says is not repeated: it may be a credential. */
static bool header(struct mf_loader *l, const struct mf_yaml *e, struct mf_config_header *out)
{
	const struct mf_field f = { .key = e->key, .type = MF_FIELD_SECRET };
	char quoted[MF_CONFIG_QUOTE_LEN];
	const char *bad = mf_load_header_name(e->key);

	if (bad) {
		mf_config_error(l->errs, e->key_pos, "%s in `headers`: %s",
				mf_config_quote(e->key, quoted), bad);
		return false;
	}
	*out = (struct mf_config_header){ .name = e->key, .value = mf_load_scalar(l, &f, e) };
	if (!out->value || mf_load_is_hidden(l, e->pos, e->key, out->value))
		return false;
	if (!*out->value || !mf_value_field(out->value)) {
		mf_config_error(l->errs, e->pos,
				"`%s` in `headers` must be printable ASCII in one line, without "
				"blanks around it",
				e->key);
		return false;
	}
	if (!l->secret.line)
		l->secret = e->pos;
	return true;
}

static void find_duplicates(struct mf_loader *l, const struct mf_yaml *node)
{
	for (const struct mf_yaml *e = node->first; e; e = e->next)
		for (const struct mf_yaml *d = node->first; d != e; d = d->next)
			if (!strcasecmp(d->key, e->key)) {
				mf_config_error(l->errs, e->key_pos,
						"the same field as in line %u; remove one of them",
						d->key_pos.line);
				break;
			}
}

void mf_set_headers(struct mf_loader *l, const struct mf_field *f, const struct mf_yaml *node,
		    void *section)
{
	struct mf_config_header *v;
	uint32_t n = 0;

	if (!mf_load_names(l, f, node, "texts"))
		return;
	v = mf_config_arena_alloc(l->arena, node->n * sizeof(*v));
	if (!v)
		return;
	for (const struct mf_yaml *e = node->first; e; e = e->next)
		if (e->type != MF_YAML_BAD && header(l, e, &v[n]))
			n++;
	find_duplicates(l, node);
	*(struct mf_config_header **)mf_load_at(section, f->at) = v;
	*(uint32_t *)mf_load_at(section, f->at_n) = n;
}
