/* SPDX-License-Identifier: Apache-2.0 */
#include "proto/http/stranger.h"

#include "proto/http/head.h"

mf_err mf_stranger(struct mf_codec *c, struct mf_span in)
{
	mf_err e = mf_http_begins(in);

	if (e == MF_E_SHORT)
		return MF_OK;
	return mf_codec_fail(c, MF_E_MALFORMED, e ? MF_PROXY_PROTOCOL : MF_PROXY_NOT_PROXY);
}
