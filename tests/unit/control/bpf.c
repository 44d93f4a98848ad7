/* SPDX-License-Identifier: Apache-2.0
 *
 * libpcap is the model: its compiler makes the programs, and its interpreter says what they mean.
 */
#include "control/bpf.h"

#include <pcap/pcap.h>

#include "unit.h"

static const char *const expressions[] = {
	"ip",
	"ip6",
	"icmp",
	"icmp6",
	"tcp port 80",
	"udp dst port 53",
	"host 10.10.0.2 and not port 22",
	"net 10.0.0.0/8",
	"ip6 net 2001:db8::/32",
	"tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
	"greater 100",
	"less 80",
	"portrange 1000-2000",
	"ip[8] < 5",
	"ip[2:2] % 7 == 3",
	"ip[0] & 0xf != 5",
	"icmp[icmptype] == icmp-echo or (udp and ip[6:2] & 0x1fff = 0)",
	"ip[4:4] / 3 > 1000 or ip[4:2] ^ 0xff == 9",
	"ip proto 17 or ip6 protochain 6",
};

/* Something like an IP packet: enough of its fields are right for the filters to come far. */
static uint32_t make_packet(struct mf_prng *g, uint8_t out[256])
{
	static const uint8_t protocols[] = { 1, 6, 17, 58, 50 }, ports[] = { 22, 53, 80 };
	uint32_t len = (uint32_t)mf_prng_below(g, 200);

	mf_prng_fill(g, out, 256);
	if (mf_prng_below(g, 2)) {
		out[0] = (uint8_t)(0x40 | (mf_prng_below(g, 4) ? 5 : mf_prng_below(g, 16)));
		out[9] = protocols[mf_prng_below(g, MF_ARRAY_LEN(protocols))];
		if (mf_prng_below(g, 2))
			memset(out + 6, 0, 2);
		if (mf_prng_below(g, 2))
			memcpy(out + 22, (uint8_t[]){ 0, ports[mf_prng_below(g, 3)] }, 2);
		if (mf_prng_below(g, 2))
			memcpy(out + 16, (uint8_t[]){ 10, 10, 0, 2 }, 4);
	} else {
		out[0] = 0x60;
		out[6] = protocols[mf_prng_below(g, MF_ARRAY_LEN(protocols))];
		if (mf_prng_below(g, 2))
			memcpy(out + 24, (uint8_t[]){ 0x20, 1, 0xd, 0xb8 }, 4);
	}
	return len;
}

static size_t convert(const struct bpf_program *from, struct mf_bpf_insn *to)
{
	for (u_int i = 0; i < from->bf_len; i++)
		to[i] = (struct mf_bpf_insn){ from->bf_insns[i].code, from->bf_insns[i].jt,
					      from->bf_insns[i].jf, from->bf_insns[i].k };
	return from->bf_len;
}

static void test_compiled_filters_mean_the_same(void **state)
{
	struct mf_prng g = unit_prng("bpf");
	static struct mf_bpf_insn program[MF_BPF_MAX];

	(void)state;
	for (size_t e = 0; e < MF_ARRAY_LEN(expressions); e++)
		for (int optimize = 0; optimize < 2; optimize++) {
			pcap_t *p = pcap_open_dead(DLT_RAW, 65535);
			struct bpf_program fp;
			uint32_t matched = 0;
			size_t n;

			if (pcap_compile(p, &fp, expressions[e], optimize, PCAP_NETMASK_UNKNOWN))
				fail_msg("%s: %s", expressions[e], pcap_geterr(p));
			n = convert(&fp, program);
			/* A protocol chain needs a loop, which we do not run. */
			if (!mf_bpf_valid(program, n)) {
				assert_non_null(strstr(expressions[e], "protochain"));
				pcap_freecode(&fp);
				pcap_close(p);
				continue;
			}
			for (int i = 0; i < 3000; i++) {
				uint8_t packet[256];
				uint32_t len = make_packet(&g, packet);
				uint32_t want = bpf_filter(fp.bf_insns, packet, len, len);
				uint32_t got = mf_bpf_run(program, packet, len);

				if (got != want)
					fail_msg("%s, packet %d: %u, should be %u", expressions[e],
						 i, got, want);
				matched += got != 0;
			}
			/* A filter that matches nothing or all would prove little. */
			if (matched == 0 || matched == 3000)
				fail_msg("%s: %u of 3000", expressions[e], matched);
			pcap_freecode(&fp);
			pcap_close(p);
		}
}

/* Random programs: what we call valid, libpcap calls valid, and both compute the same. */
static void test_random_programs_mean_the_same(void **state)
{
	static const uint16_t codes[] = {
		0x00, 0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x60, 0x80, 0x01, 0x61, 0x81, 0xb1, 0x02,
		0x03, 0x04, 0x0c, 0x14, 0x1c, 0x24, 0x2c, 0x34, 0x3c, 0x44, 0x4c, 0x54, 0x5c, 0x64,
		0x6c, 0x74, 0x7c, 0x84, 0x94, 0x9c, 0xa4, 0xac, 0x05, 0x15, 0x1d, 0x25, 0x2d, 0x35,
		0x3d, 0x45, 0x4d, 0x06, 0x16, 0x07, 0x87, 0x38, 0xb4, 0x55, 0xe0,
	};
	enum { CELLS = MF_BPF_MEMORY };
	struct mf_prng g = unit_prng("bpf programs");
	int valid = 0;

	(void)state;
	for (int round = 0; round < 200000; round++) {
		struct mf_bpf_insn program[CELLS + 8];
		struct bpf_insn theirs[CELLS + 8];
		size_t n = CELLS + 1 + mf_prng_below(&g, 8);
		uint8_t packet[256];
		uint32_t len;

		for (size_t i = 0; i < n; i++) {
			program[i] = (struct mf_bpf_insn){
				codes[mf_prng_below(&g, MF_ARRAY_LEN(codes))],
				(uint8_t)mf_prng_below(&g, 3),
				(uint8_t)mf_prng_below(&g, 3),
				mf_prng_below(&g, 4) ? (uint32_t)mf_prng_below(&g, 40)
						     : (uint32_t)mf_prng_u64(&g),
			};
			/* libpcap's memory is not zero at the start, as ours is. */
			if (i < CELLS)
				program[i] = (struct mf_bpf_insn){ 0x02, 0, 0, (uint32_t)i };
			if (i + 1 == n)
				program[i].code = mf_prng_below(&g, 2) ? 0x06 : 0x16;
			theirs[i] = (struct bpf_insn){ program[i].code, program[i].jt,
						       program[i].jf, program[i].k };
		}
		if (!mf_bpf_valid(program, n))
			continue;
		valid++;
		assert_true(bpf_validate(theirs, (int)n));
		len = make_packet(&g, packet);
		if (mf_bpf_run(program, packet, len) != bpf_filter(theirs, packet, len, len))
			fail_msg("round %d", round);
	}
	assert_in_range(valid, 1000, 200000);
}

static void test_what_is_not_valid(void **state)
{
	static const struct {
		const char *why;
		struct mf_bpf_insn program[2];
		size_t n;
	} cases[] = {
		{ "empty", { { 0 } }, 0 },
		{ "no return at the end", { { 0x00, 0, 0, 1 } }, 1 },
		{ "jump past the end", { { 0x15, 1, 0, 0 }, { 0x06, 0, 0, 1 } }, 2 },
		{ "jump far past the end", { { 0x05, 0, 0, 0xffffffff }, { 0x06, 0, 0, 1 } }, 2 },
		{ "memory cell 16", { { 0x02, 0, 0, 16 }, { 0x06, 0, 0, 1 } }, 2 },
		{ "load from memory cell 16", { { 0x60, 0, 0, 16 }, { 0x06, 0, 0, 1 } }, 2 },
		{ "division by zero", { { 0x34, 0, 0, 0 }, { 0x06, 0, 0, 1 } }, 2 },
		{ "shift by 32", { { 0x64, 0, 0, 32 }, { 0x06, 0, 0, 1 } }, 2 },
		{ "unknown operation", { { 0xb4, 0, 0, 1 }, { 0x06, 0, 0, 1 } }, 2 },
		{ "unknown return", { { 0x0e, 0, 0, 1 } }, 1 },
		{ "code above 8 bits", { { 0x106, 0, 0, 1 } }, 1 },
	};

	(void)state;
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++)
		if (mf_bpf_valid(cases[i].program, cases[i].n))
			fail_msg("%s is called valid", cases[i].why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compiled_filters_mean_the_same),
		cmocka_unit_test(test_random_programs_mean_the_same),
		cmocka_unit_test(test_what_is_not_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
