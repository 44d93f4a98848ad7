/* SPDX-License-Identifier: Apache-2.0
 *
 * stranger - who answers in place of a proxy that should. Often it is a web server: proxies hide
 * behind one, and leave it those that they do not know.
 */
#ifndef MF_PROTO_HTTP_STRANGER_H
#define MF_PROTO_HTTP_STRANGER_H

#include "proto/proxy/codec.h"

/* The first bytes of an answer are not those of the protocol. MF_OK: more must come to tell who
 * it is; else the codec's fault is set (NOT_PROXY: a web server; PROTOCOL: who knows), and this
 * is the error to return. */
MF_MUST_CHECK mf_err mf_stranger(struct mf_codec *c, struct mf_span in);

#endif
