/* SPDX-License-Identifier: Apache-2.0
 *
 * reference - docs/profile.md from the schema, so that it cannot say anything else than the loader.
 */
#include "config/config.h"
#include "config/schema.h"

static const char intro[] =
	"<!-- Made by tools/profile_doc.c from src/config/schema.c; do not edit. -->\n"
	"# Profile reference\n"
	"\n"
	"A profile is one YAML document. Unknown keys, duplicate keys, wrong types and values out "
	"of\n"
	"range are errors, and `mintflow check -c PROFILE` prints all of them with line and "
	"column.\n"
	"There are no anchors, aliases or tags; a profile has at most %d KiB and is at most %d "
	"levels\n"
	"deep.\n"
	"\n"
	"- A profile that holds a key or a password, and a file with one that a `…_file` key "
	"names,\n"
	"  must not be readable or writable by others: `chmod 600`.\n"
	"- Relative paths are relative to the profile.\n"
	"- Where a list of prefixes, addresses or paths is expected, a single value may stand "
	"without\n"
	"  brackets. IPv6 goes into quotes: `[\"::/0\"]`.\n"
	"- Sizes are powers of 1024: `K`, `KiB`, `M`, `MiB`, `G`, `GiB`. Times are in `ms`, `s`, "
	"`m`, `h` "
	"or\n"
	"  `d`; a number alone is seconds.\n"
	"- A complete example: [examples/profile.yaml](examples/profile.yaml). A profile from a\n"
	"  `wg-quick` file: `mintflow import wireguard FILE`. Interfaces from links that people "
	"share:\n"
	"  `mintflow import link LINK`, `mintflow import subscription FILE`.\n";

static void default_of(const struct mf_field *f, struct mf_text *out)
{
	if (f->required)
		mf_text_printf(out, "required");
	else if (f->def)
		mf_text_printf(out, "`%s`", f->def);
	else if (f->def_text)
		mf_text_printf(out, "%s", f->def_text);
	else if (f->type == MF_FIELD_MAP)
		mf_text_printf(out, "its defaults");
	else if (f->type == MF_FIELD_LATER)
		mf_text_printf(out, "–");
	else
		mf_text_printf(out, "empty");
}

static void row(const struct mf_field *f, struct mf_text *out)
{
	char form[MF_FIELD_FORM_LEN];

	mf_text_printf(out, "| `%s` | %s | ", f->key, mf_field_form(f, form));
	default_of(f, out);
	mf_text_printf(out, " | ");
	if (f->types) {
		mf_text_printf(out, "*");
		mf_field_print_types(f, out);
		mf_text_printf(out, ":* ");
	}
	mf_text_printf(out, "%s | ", f->doc);
	if (!f->example)
		mf_text_printf(out, "–");
	else if (f->sub && !strncmp(f->example, "see ", 4))
		mf_text_printf(out, "%s", f->example);
	else
		mf_text_printf(out, "`%s: %s`", f->key, f->example);
	mf_text_printf(out, " |\n");
}

static void section(const struct mf_schema *s, struct mf_text *out)
{
	mf_text_printf(out, "\n## %s\n%s\n\n", s->title, s->doc);
	mf_text_printf(out,
		       "| key | value | default | meaning | example |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < s->n_fields; i++)
		row(&s->fields[i], out);
	for (size_t i = 0; i < s->n_fields; i++)
		if (s->fields[i].sub)
			section(s->fields[i].sub, out);
}

void mf_config_print_reference(struct mf_text *out)
{
	mf_text_printf(out, intro, MF_CONFIG_MAX_BYTES >> 10, MF_CONFIG_MAX_DEPTH);
	section(&mf_schema_profile, out);
}
