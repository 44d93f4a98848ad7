/* SPDX-License-Identifier: Apache-2.0
 *
 * facts - what an answer says.
 */
#include "proto/dns/internal.h"

mf_err mf_dns_soa_minimum(struct mf_span msg, const struct mf_dns_rr *rr, uint32_t *minimum)
{
	size_t at = rr->rdata, end = at + rr->rdlen;

	for (int i = 0; i < 2; i++)
		if (mf_dns_name_read(msg, &at, NULL))
			return MF_E_MALFORMED;
	if (at > end || end - at != 20)
		return MF_E_MALFORMED;
	*minimum = mf_load_be32(msg.p + at + 16);
	return MF_OK;
}
