/* SPDX-License-Identifier: Apache-2.0
 *
 * config_test - parsing text in a test: what comes out, or what was said about it.
 */
#ifndef MF_CONFIG_TEST_H
#define MF_CONFIG_TEST_H

#include "unit.h"

#include "config/config.h"

#define KEY_A     "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
#define KEY_A_PUB "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define KEY_B     "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_C     "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="

/* The configuration, or a failed test with what the loader said. */
static inline struct mf_config *parse_ok(const char *text, unsigned flags)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg;
	struct mf_text said = { 0 };

	if (mf_config_parse(text, strlen(text), "t.yaml", flags, &cfg, &errs)) {
		mf_config_errors_print(&errs, &said);
		fail_msg("does not load:\n%s\n%s", said.s, text);
	}
	assert_int_equal(errs.n, 0);
	return cfg;
}

/* What the loader says; the caller frees it. The text must not load. */
static inline char *parse_fails(const char *text)
{
	struct mf_config_errors errs = { 0 };
	struct mf_config *cfg = (struct mf_config *)&errs;
	struct mf_text said = { 0 };

	assert_int_equal(mf_config_parse(text, strlen(text), "t.yaml", 0, &cfg, &errs),
			 MF_E_MALFORMED);
	assert_null(cfg);
	assert_true(errs.n > 0);
	mf_config_errors_print(&errs, &said);
	mf_config_errors_free(&errs);
	return said.s;
}

#endif
