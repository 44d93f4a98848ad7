/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/vnet.h"

#include "known.h"
#include "packets.h"
#include "unit.h"

static uint8_t payload[65536];

/* A super-packet and the header that a kernel would send with it. */
static struct mf_vnet_hdr make(struct spec *s, uint8_t version, uint8_t proto, uint8_t *b,
			       struct mf_pkt *p)
{
	struct mf_prng g = { .state = version * 7u + proto };
	struct mf_vnet_hdr h = { .flags = MF_VNET_F_NEEDS_CSUM, .gso_size = 1000 };

	random_spec(&g, s);
	s->version = version;
	s->proto = proto;
	s->tcp_opts = proto == TCP ? 12 : 0;
	s->payload = payload;
	s->n = 5500;
	*p = (struct mf_pkt){ .data = b };
	p->len = (uint32_t)slow_build(s, b);
	slow_unfinish_csum(s, b, p->len);
	h.csum_start = (uint16_t)slow_ip_len(s);
	h.csum_offset = (uint16_t)slow_csum_off(proto);
	h.hdr_len = (uint16_t)slow_hdr_len(s);
	h.gso_type = proto == UDP ? MF_VNET_GSO_UDP_L4
				  : (version == 4 ? MF_VNET_GSO_TCPV4 : MF_VNET_GSO_TCPV6);
	return h;
}

static void test_round_trip(void **state)
{
	static const uint8_t kinds[][3] = { { 4, TCP, MF_GSO_TCP4 },
					    { 6, TCP, MF_GSO_TCP6 },
					    { 4, UDP, MF_GSO_UDP },
					    { 6, UDP, MF_GSO_UDP } };
	static const size_t lens[] = { MF_VNET_LEN, MF_VNET_MRG_LEN };
	static uint8_t b[8000], out[12];

	(void)state;
	for (size_t k = 0; k < 8; k++) {
		const uint8_t *kind = kinds[k / 2];
		struct mf_vnet_hdr h;
		struct mf_pkt p;
		struct spec s;

		h = make(&s, kind[0], kind[1], b, &p);
		assert_int_equal(mf_vnet_decode(&p, &h, lens[k % 2]), MF_DROP_NONE);
		assert_int_equal(p.gso_type, kind[2]);
		assert_int_equal(p.gso_size, 1000);
		assert_int_equal(p.segments, 6);
		assert_int_equal(p.flags, MF_PKT_NEEDS_CSUM);
		assert_int_equal(p.csum_start, h.csum_start);
		assert_int_equal(p.csum_offset, h.csum_offset);
		assert_int_equal(p.l4_proto, kind[1]);
		memset(out, 0xff, sizeof(out));
		mf_vnet_encode(&p, out, lens[k % 2]);
		assert_memory_equal(out, &h, lens[k % 2]);
		if (kind[1] == TCP) { /* CWR asks the kernel to clear it after the first */
			b[p.l4_off + 13] |= CWR;
			mf_vnet_encode(&p, out, lens[k % 2]);
			assert_int_equal(out[1], h.gso_type | MF_VNET_GSO_ECN);
		}
	}
}

static void test_plain_packet(void **state)
{
	struct mf_vnet_hdr h = { 0 };
	uint8_t b[100], out[12], zero[12] = { 0 };
	struct mf_pkt p = { .data = b, .len = sizeof(tcp4) };

	(void)state;
	memcpy(b, tcp4, sizeof(tcp4));
	assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), MF_DROP_NONE);
	assert_int_equal(p.segments, 1);
	assert_int_equal(p.l4_off, 20);
	mf_vnet_encode(&p, out, MF_VNET_MRG_LEN);
	assert_memory_equal(out, zero, 12);
	h.flags = MF_VNET_F_DATA_VALID;
	assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), MF_DROP_NONE);
	p.len = 10;
	assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), MF_DROP_IP_TRUNCATED);
}

/* Changes one thing of a good header or packet; false: nothing left to change. */
static bool spoil(struct mf_vnet_hdr *h, struct mf_pkt *p, int what)
{
	bool tcp = p->data[9] == TCP;

	switch (what) {
	case 0:
		h->gso_size = 0;
		return true;
	case 1:
		h->gso_type = MF_VNET_GSO_UDP; /* fragmentation offload */
		return true;
	case 2:
		h->gso_type = MF_VNET_GSO_TCPV6;
		return true;
	case 3:
		h->gso_type = tcp ? MF_VNET_GSO_UDP_L4 : MF_VNET_GSO_TCPV4;
		return true;
	case 4:
		h->gso_type = 0x40;
		return true;
	case 5:
		h->gso_type = MF_VNET_GSO_ECN;
		return true;
	case 6:
		h->flags = 0; /* neither to be completed nor checked */
		return true;
	case 7:
		h->csum_start += 2;
		return true;
	case 8:
		h->csum_offset += 2;
		return true;
	case 9:
		h->flags |= 4;
		return true;
	case 10: /* TCP header longer than the packet, UDP length that does not fit */
		if (tcp) {
			mf_store_be16(p->data + 2, 50);
			p->len = 50;
		} else {
			p->data[25] ^= 1;
		}
		break;
	case 11: /* TCP header too short */
		p->data[32] = 0x40;
		if (tcp)
			return true;
		p->data[9] = 99; /* UDP no more */
		break;
	case 12:
		mf_store_be16(p->data + 6, 0x2000);
		break;
	default:
		return false;
	}
	mf_store_be16(p->data + 10, 0);
	mf_store_be16(p->data + 10, slow_finish(slow_sum(p->data, 20, 0)));
	return true;
}

static void test_contradictions(void **state)
{
	static uint8_t b[8000];

	(void)state;
	for (int udp = 0; udp < 2; udp++)
		for (int what = 0;; what++) {
			struct mf_vnet_hdr h;
			struct mf_pkt p;
			struct spec s;

			h = make(&s, 4, udp ? UDP : TCP, b, &p);
			if (!spoil(&h, &p, what))
				break;
			assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), MF_DROP_OFFLOAD_META);
		}
}

static void test_plain_csum_range(void **state)
{
	uint8_t b[100];
	struct mf_pkt p = { .data = b, .len = sizeof(tcp4) };
	struct {
		uint16_t start, offset;
		enum mf_drop want;
	} cases[] = {
		{ 20, 16, MF_DROP_NONE },
		{ 52, 0, MF_DROP_NONE }, /* an inner packet's */
		{ sizeof(tcp4) - 2, 0, MF_DROP_NONE },
		{ sizeof(tcp4) - 1, 0, MF_DROP_OFFLOAD_META },
		{ 20, sizeof(tcp4) - 22, MF_DROP_OFFLOAD_META }, /* odd */
		{ 20, sizeof(tcp4) - 20, MF_DROP_OFFLOAD_META },
		{ 18, 16, MF_DROP_OFFLOAD_META },
		{ 65535, 16, MF_DROP_OFFLOAD_META },
		{ 20, 65534, MF_DROP_OFFLOAD_META },
		{ 65535, 65535, MF_DROP_OFFLOAD_META },
	};

	(void)state;
	memcpy(b, tcp4, sizeof(tcp4));
	for (size_t i = 0; i < MF_ARRAY_LEN(cases); i++) {
		struct mf_vnet_hdr h = { .flags = MF_VNET_F_NEEDS_CSUM,
					 .csum_start = cases[i].start,
					 .csum_offset = cases[i].offset };

		assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), cases[i].want);
	}
}

/* The kernel merged on receipt and has checked all sums; there is no pseudo-header sum then. */
static void test_checked_super_packet(void **state)
{
	static uint8_t b[8000], want[8000];

	(void)state;
	for (int k = 0; k < 4; k++) {
		struct mf_vnet_hdr h;
		struct mf_pkt p;
		struct spec s;

		h = make(&s, k & 1 ? 4 : 6, k & 2 ? TCP : UDP, b, &p);
		memcpy(want, b, p.len);
		slow_fill_csums(b, slow_ip_len(&s), s.proto, p.len);
		h.flags = MF_VNET_F_DATA_VALID;
		h.csum_start = h.csum_offset = 0;
		assert_int_equal(mf_vnet_decode(&p, &h, MF_VNET_LEN), MF_DROP_NONE);
		assert_int_equal(p.flags, MF_PKT_NEEDS_CSUM);
		assert_memory_equal(b, want, p.len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_plain_packet),
		cmocka_unit_test(test_contradictions),
		cmocka_unit_test(test_plain_csum_range),
		cmocka_unit_test(test_checked_super_packet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
