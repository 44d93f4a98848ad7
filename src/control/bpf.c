/* SPDX-License-Identifier: Apache-2.0 */
#include "control/bpf.h"

#include "base/endian.h"

/* An instruction's code: class, and for each class size and mode, operation and source. */
enum { CLASS_LD, CLASS_LDX, CLASS_ST, CLASS_STX, CLASS_ALU, CLASS_JMP, CLASS_RET, CLASS_MISC };
enum { SIZE_W = 0x00, SIZE_H = 0x08, SIZE_B = 0x10, SIZE_MASK = 0x18 };
enum {
	MODE_IMM = 0x00,
	MODE_ABS = 0x20,
	MODE_IND = 0x40,
	MODE_MEM = 0x60,
	MODE_LEN = 0x80,
	MODE_MSH = 0xa0, /* 4 * (packet[k] & 15): the length of an IPv4 header */
	MODE_MASK = 0xe0,
};
enum {
	ALU_ADD = 0x00,
	ALU_SUB = 0x10,
	ALU_MUL = 0x20,
	ALU_DIV = 0x30,
	ALU_OR = 0x40,
	ALU_AND = 0x50,
	ALU_LSH = 0x60,
	ALU_RSH = 0x70,
	ALU_NEG = 0x80,
	ALU_MOD = 0x90,
	ALU_XOR = 0xa0,
};
enum { JMP_JA = 0x00, JMP_JEQ = 0x10, JMP_JGT = 0x20, JMP_JGE = 0x30, JMP_JSET = 0x40 };
enum { OP_MASK = 0xf0, FROM_X = 0x08 };
enum { RET_K = 0x00, RET_A = 0x10 };
enum { MISC_TAX = 0x00, MISC_TXA = 0x80 };

static bool valid_load(const struct mf_bpf_insn *i)
{
	unsigned size = i->code & SIZE_MASK;

	switch (i->code & MODE_MASK) {
	case MODE_ABS:
	case MODE_IND:
		return (i->code & 7) == CLASS_LD && size != SIZE_MASK;
	case MODE_MSH:
		return (i->code & 7) == CLASS_LDX && size == SIZE_B;
	case MODE_MEM:
		return size == SIZE_W && i->k < MF_BPF_MEMORY;
	case MODE_IMM:
	case MODE_LEN:
		return size == SIZE_W;
	}
	return false;
}

static bool valid_alu(const struct mf_bpf_insn *i)
{
	unsigned op = i->code & OP_MASK;
	bool from_x = i->code & FROM_X;

	if (op > ALU_XOR || (op == ALU_NEG && from_x))
		return false;
	if (from_x)
		return true;
	return ((op != ALU_DIV && op != ALU_MOD) || i->k) &&
	       ((op != ALU_LSH && op != ALU_RSH) || i->k < 32);
}

/* `left`: instructions behind this one. */
static bool valid_jump(const struct mf_bpf_insn *i, size_t left)
{
	if ((i->code & OP_MASK) == JMP_JA)
		return !(i->code & FROM_X) && i->k < left;
	return (i->code & OP_MASK) <= JMP_JSET && i->jt < left && i->jf < left;
}

bool mf_bpf_valid(const struct mf_bpf_insn *program, size_t n)
{
	if (!n || n > MF_BPF_MAX)
		return false;
	for (size_t at = 0; at < n; at++) {
		const struct mf_bpf_insn *i = &program[at];
		bool ok = false;

		if (i->code > 0xff)
			return false;
		switch (i->code & 7) {
		case CLASS_LD:
		case CLASS_LDX:
			ok = valid_load(i);
			break;
		case CLASS_ST:
		case CLASS_STX:
			ok = (i->code & ~7) == 0 && i->k < MF_BPF_MEMORY;
			break;
		case CLASS_ALU:
			ok = valid_alu(i);
			break;
		case CLASS_JMP:
			ok = valid_jump(i, n - at - 1);
			break;
		case CLASS_RET:
			ok = (i->code & ~7) == RET_K || (i->code & ~7) == RET_A;
			break;
		case CLASS_MISC:
			ok = (i->code & ~7) == MISC_TAX || (i->code & ~7) == MISC_TXA;
			break;
		}
		if (!ok)
			return false;
	}
	return (program[n - 1].code & 7) == CLASS_RET;
}

/* False: the packet ends before it. */
static bool load_packet(const uint8_t *packet, uint32_t len, uint64_t at, unsigned size, uint32_t *out)
{
	uint32_t n = size == SIZE_W ? 4 : size == SIZE_H ? 2 : 1;

	if (at + n > len)
		return false;
	packet += at;
	*out = n == 4 ? mf_load_be32(packet) : n == 2 ? mf_load_be16(packet) : *packet;
	return true;
}

/* False: division by zero, which ends the program. */
static bool calculate(unsigned op, uint32_t *a, uint32_t v)
{
	switch (op) {
	case ALU_ADD:
		*a += v;
		break;
	case ALU_SUB:
		*a -= v;
		break;
	case ALU_MUL:
		*a *= v;
		break;
	case ALU_DIV:
	case ALU_MOD:
		if (!v)
			return false;
		*a = op == ALU_DIV ? *a / v : *a % v;
		break;
	case ALU_OR:
		*a |= v;
		break;
	case ALU_AND:
		*a &= v;
		break;
	case ALU_XOR:
		*a ^= v;
		break;
	case ALU_LSH:
		*a = v < 32 ? *a << v : 0;
		break;
	case ALU_RSH:
		*a = v < 32 ? *a >> v : 0;
		break;
	default:
		*a = 0 - *a;
	}
	return true;
}

static bool holds(unsigned op, uint32_t a, uint32_t v)
{
	switch (op) {
	case JMP_JEQ:
		return a == v;
	case JMP_JGT:
		return a > v;
	case JMP_JGE:
		return a >= v;
	default:
		return a & v;
	}
}

struct machine {
	uint32_t a, x, memory[MF_BPF_MEMORY];
};

static bool load(struct machine *m, const struct mf_bpf_insn *i, const uint8_t *packet, uint32_t len)
{
	uint32_t *to = (i->code & 7) == CLASS_LD ? &m->a : &m->x;

	switch (i->code & MODE_MASK) {
	case MODE_ABS:
		return load_packet(packet, len, i->k, i->code & SIZE_MASK, to);
	case MODE_IND:
		return load_packet(packet, len, (uint64_t)m->x + i->k, i->code & SIZE_MASK, to);
	case MODE_MSH:
		if (!load_packet(packet, len, i->k, SIZE_B, to))
			return false;
		*to = (*to & 15) * 4;
		return true;
	case MODE_MEM:
		*to = m->memory[i->k];
		return true;
	case MODE_LEN:
		*to = len;
		return true;
	default:
		*to = i->k;
		return true;
	}
}

uint32_t mf_bpf_run(const struct mf_bpf_insn *program, const uint8_t *packet, uint32_t len)
{
	struct machine m = { 0 };

	for (const struct mf_bpf_insn *i = program;; i++) {
		uint32_t v = i->code & FROM_X ? m.x : i->k;
		unsigned op = i->code & OP_MASK;

		switch (i->code & 7) {
		case CLASS_LD:
		case CLASS_LDX:
			if (!load(&m, i, packet, len))
				return 0;
			break;
		case CLASS_ST:
			m.memory[i->k] = m.a;
			break;
		case CLASS_STX:
			m.memory[i->k] = m.x;
			break;
		case CLASS_ALU:
			if (!calculate(op, &m.a, v))
				return 0;
			break;
		case CLASS_JMP:
			if (op == JMP_JA)
				i += i->k;
			else
				i += holds(op, m.a, v) ? i->jt : i->jf;
			break;
		case CLASS_RET:
			return op == RET_A ? m.a : i->k;
		default:
			if ((i->code & ~7) == MISC_TXA)
				m.a = m.x;
			else
				m.x = m.a;
		}
	}
}
