/* SPDX-License-Identifier: Apache-2.0
 *
 * Datagrams of a client. The input is a script of packets: a byte that says how, two bytes of length, and so
 * many bytes, which are a datagram as they are, or the frames of an Initial packet that is sealed properly, so
 * that they are read; or such a packet with a byte bent. Ranges stay sorted and apart, and a name is a host name.
 */
#include <stdlib.h>

#include "base/endian.h"
#include "sniffed.h"
#include "support/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n);

enum how {
	RAW = 1,        /* as it is */
	V2 = 2,         /* else v1 */
	OTHER_ID = 4,   /* another id */
	OLD_KEYS = 8,   /* but the keys of the first */
	COALESCED = 16, /* another packet follows in the same datagram */
	BENT = 32,
	NUMBER = 192, /* length of the packet number, less one */
};

static struct mf_sniffer *sniffer;
static struct mf_sniff_quic q;
static struct hello_bytes datagram;

static void check_ranges(void)
{
	MF_ASSERT(q.n_ranges <= MF_SNIFF_RANGES && q.datagrams <= MF_SNIFF_INITIALS_MAX);
	for (unsigned i = 0; i < q.n_ranges; i++) {
		MF_ASSERT(q.have[i][0] < q.have[i][1] && q.have[i][1] <= MF_SNIFF_HELLO_MAX);
		MF_ASSERT(i == 0 || q.have[i - 1][1] < q.have[i][0]);
	}
}

static void add_packet(uint8_t how, const uint8_t *p, size_t n)
{
	static const uint8_t one[] = { 1, 2, 3, 4, 5, 6, 7, 8 },
			     two[] = { 8, 7, 6, 5, 4, 3, 2, 1, 0 };
	struct mf_span first = mf_span(one, sizeof(one));
	struct hello_initial i = { .version = how & V2 ? HELLO_QUIC_V2 : HELLO_QUIC_V1,
				   .keys_from = first,
				   .dcid = first,
				   .token = mf_span("token", how & OTHER_ID ? 5 : 0),
				   .number_len = (uint8_t)((how & NUMBER) >> 6) + 1,
				   .number = how,
				   .frames = mf_span(p, n),
				   .payload = 30 };
	size_t begin = datagram.n;

	if (how & OTHER_ID)
		i.dcid = mf_span(two, sizeof(two));
	if (!(how & OLD_KEYS))
		i.keys_from = i.dcid;
	hello_initial(&datagram, &i);
	if (how & BENT)
		datagram.b[begin + how % (datagram.n - begin)] ^= how;
}

static void deliver(void)
{
	uint8_t *copy = malloc(datagram.n ? datagram.n : 1);
	struct mf_span d = mf_span(copy, datagram.n);
	struct mf_sniff_name name;
	enum mf_sniff_verdict v;

	MF_ASSERT(copy);
	memcpy(copy, datagram.b, datagram.n);
	(void)mf_sniff_quic_begins(d);
	v = mf_sniff_quic(sniffer, &q, d, &name);
	check_sniffed(v, &name);
	check_ranges();
	MF_ASSERT(v != MF_SNIFF_MORE || q.datagrams < MF_SNIFF_INITIALS_MAX);
	free(copy);
	datagram.n = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t n)
{
	if (!sniffer)
		sniffer = mf_sniffer_new();
	MF_ASSERT(sniffer);
	memset(&q, 0, sizeof(q));
	datagram.n = 0;
	for (unsigned steps = 0; n >= 3 && steps < 12; steps++) {
		uint8_t how = in[0];
		size_t len = mf_min(mf_load_be16(in + 1), mf_min(n - 3, 1400));

		if (how & RAW)
			hello_add(&datagram, in + 3, len);
		else
			add_packet(how, in + 3, len);
		if (!(how & COALESCED) || datagram.n > 8000)
			deliver();
		in += 3 + len;
		n -= 3 + len;
	}
	return 0;
}
