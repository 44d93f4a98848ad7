/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/proxy/fault.h"

static const struct {
	const char *name, *text, *hint;
} faults[] = {
#define X(NAME, name, text, hint) { #name, text, hint },
	MF_PROXY_FAULT_LIST(X)
#undef X
};
static_assert(MF_ARRAY_LEN(faults) == MF_PROXY_FAULTS, "one line for each fault");

const char *mf_proxy_fault_text(enum mf_proxy_fault f)
{
	return (unsigned)f < MF_PROXY_FAULTS ? faults[f].text : "unknown fault";
}

const char *mf_proxy_fault_hint(enum mf_proxy_fault f)
{
	return (unsigned)f < MF_PROXY_FAULTS ? faults[f].hint : "";
}

const char *mf_proxy_fault_name(enum mf_proxy_fault f)
{
	return (unsigned)f < MF_PROXY_FAULTS ? faults[f].name : "unknown";
}
