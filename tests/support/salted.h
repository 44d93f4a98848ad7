/* SPDX-License-Identifier: Apache-2.0
 *
 * salted - streams of bytes that can be checked: byte number i is a function of a salt and i, so what is lost,
 * doubled or somebody else's shows at once, however it was cut.
 */
#ifndef MF_SALTED_H
#define MF_SALTED_H

#include "proto/tcp/tcp.h"

/* The n bytes from number `from` on. */
void salted_fill(uint8_t *out, uint64_t salt, uint64_t from, size_t n);
bool salted_right(const uint8_t *bytes, uint64_t salt, uint64_t from, size_t n);

/* Send or read up to n bytes; return how many, which are added to *at. What is read must be right. */
size_t salted_send(struct mf_tcp_env *env, struct mf_tcp *c, uint64_t salt, uint64_t *at, size_t n);
size_t salted_read(struct mf_tcp_env *env, struct mf_tcp *c, uint64_t salt, uint64_t *at, size_t n);

#endif
