/* SPDX-License-Identifier: Apache-2.0
 *
 * Filters: a program that is called valid ends and touches nothing but its packet.
 *
 * byte 0: number of instructions; 8 bytes each (code, jt, jf, k); the packet
 */
#include "control/bpf.h"

#include <stdlib.h>

#include "base/endian.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mf_bpf_insn program[256];
	size_t n = size ? data[0] : 0, at = 1;
	uint8_t *packet;

	if (size < 1 + n * 8)
		return 0;
	for (size_t i = 0; i < n; i++, at += 8)
		program[i] = (struct mf_bpf_insn){ mf_load_le16(data + at), data[at + 2],
						   data[at + 3], mf_load_le32(data + at + 4) };
	if (!mf_bpf_valid(program, n))
		return 0;
	/* Exactly as long as it is, so that one byte too far is seen. */
	packet = malloc(size - at + !(size - at));
	if (!packet)
		abort();
	memcpy(packet, data + at, size - at);
	(void)mf_bpf_run(program, packet, (uint32_t)(size - at));
	free(packet);
	return 0;
}
