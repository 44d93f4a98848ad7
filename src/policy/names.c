/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/names.h"

#include <stdlib.h>

struct mf_names *mf_names_new(const struct mf_name_rule *rule, uint32_t n)
{
	struct mf_names *t = calloc(1, sizeof(*t) + n * sizeof(*rule));

	if (!t)
		return NULL;
	for (; t->n < n; t->n++) {
		t->rule[t->n] = rule[t->n];
		t->rule[t->n].set_name = strdup(rule[t->n].set_name);
		t->rule[t->n].file = rule[t->n].file ? strdup(rule[t->n].file) : NULL;
		if (t->rule[t->n].set_name && !t->rule[t->n].file == !rule[t->n].file)
			continue;
		t->n++;
		mf_names_free(t);
		return NULL;
	}
	return t;
}

void mf_names_free(struct mf_names *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < t->n; i++) {
		free((char *)t->rule[i].set_name);
		free((char *)t->rule[i].file);
	}
	free(t);
}

const struct mf_name_rule *mf_names_find(const struct mf_names *t, const char *name, size_t n)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (mf_domain_set_has(t->rule[i].set, name, n, NULL))
			return &t->rule[i];
	return NULL;
}

void mf_names_explain(const struct mf_names *t, const char *name, size_t n,
		      struct mf_name_verdict *out)
{
	uint32_t i = 0;

	*out = (struct mf_name_verdict){ 0 };
	while (i < t->n && !mf_domain_set_has(t->rule[i].set, name, n, &out->match))
		i++;
	if (i == t->n)
		return;
	out->rule = &t->rule[i];
	while (++i < t->n && !out->also)
		if (t->rule[i].hop != out->rule->hop &&
		    mf_domain_set_has(t->rule[i].set, name, n, NULL))
			out->also = &t->rule[i];
}
