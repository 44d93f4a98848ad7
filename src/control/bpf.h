/* SPDX-License-Identifier: Apache-2.0
 *
 * bpf - runs a packet filter that a client has compiled: the classic BPF machine (McCanne and Jacobson,
 * USENIX 1993), which libpcap's compiler aims at.
 *
 * Why our own: the program that forwards packets then needs neither libpcap nor its eight libraries;
 * only `mintflow capture` loads them, and filter expressions are parsed with the user's rights.
 */
#ifndef MF_BPF_H
#define MF_BPF_H

#include "base/base.h"

enum { MF_BPF_MAX = 4096, MF_BPF_MEMORY = 16 };

struct mf_bpf_insn {
	uint16_t code;
	uint8_t jt, jf; /* instructions to skip */
	uint32_t k;
};

/* Whether every instruction is known, every jump leads forward to an instruction, every memory cell
 * exists, nothing divides by a constant zero, and the last instruction returns: then running it ends,
 * and touches nothing but the packet. */
bool mf_bpf_valid(const struct mf_bpf_insn *program, size_t n);

/* How many bytes of the packet the program wants, 0: none, it does not match. The program has been
 * found valid. Any thread. */
uint32_t mf_bpf_run(const struct mf_bpf_insn *program, const uint8_t *packet, uint32_t len);

#endif
