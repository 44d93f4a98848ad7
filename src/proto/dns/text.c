/* SPDX-License-Identifier: Apache-2.0
 *
 * text - types and rcodes as people write them.
 */
#include "proto/dns/message.h"

#include <stdio.h>
#include <strings.h>

static const struct {
	const char *text;
	uint16_t type;
} types[] = {
#define X(name, n) { #name, n },
	MF_DNS_TYPE_LIST(X)
#undef X
};

static const char *const rcodes[] = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
				      "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
				      "NXRRSET", "NOTAUTH", "NOTZONE" };

const char *mf_dns_type_format(uint16_t type, char out[16])
{
	for (size_t i = 0; i < MF_ARRAY_LEN(types); i++) {
		if (types[i].type == type) {
			snprintf(out, 16, "%s", types[i].text);
			return out;
		}
	}
	snprintf(out, 16, "TYPE%u", type);
	return out;
}

/* RFC 3597 5: "TYPE" and a decimal number; 0: it is none. */
static uint16_t parse_number(const char *s)
{
	unsigned v = 0;

	if (strncasecmp(s, "TYPE", 4) != 0 || !s[4])
		return 0;
	for (s += 4; *s >= '0' && *s <= '9' && v <= UINT16_MAX; s++)
		v = v * 10 + (unsigned)(*s - '0');
	return *s || v > UINT16_MAX ? 0 : (uint16_t)v;
}

uint16_t mf_dns_type_parse(const char *text)
{
	for (size_t i = 0; i < MF_ARRAY_LEN(types); i++)
		if (strcasecmp(types[i].text, text) == 0)
			return types[i].type;
	return parse_number(text);
}

const char *mf_dns_rcode_format(unsigned rcode, char out[16])
{
	if (rcode < MF_ARRAY_LEN(rcodes))
		snprintf(out, 16, "%s", rcodes[rcode]);
	else if (rcode == MF_DNS_BADVERS)
		snprintf(out, 16, "BADVERS");
	else
		snprintf(out, 16, "RCODE%u", rcode);
	return out;
}
