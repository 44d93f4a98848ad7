/* SPDX-License-Identifier: Apache-2.0
 *
 * Arbitrary messages into a WireGuard core that has a live session. The input is a script: each step
 * is a byte that says what, and what it needs. Steps that bend a genuine message and repair its mac1
 * get past the first check. Whatever arrives: the session's keys stay, unless a genuine handshake
 * replaces them, and an endpoint never becomes the stranger's.
 */
#include "base/prng.h"
#include "crypto/aead.h"
#include "proto/wg/device.h"
#include "proto/wg/messages.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum step { RAW, BENT, BENT_WITH_MAC1, GENUINE, TIME, SEND, STEPS };

struct node {
	struct mf_wg *wg;
	struct mf_wg_device *device;
	struct mf_wg_peer *peer;
	struct mf_key public_key;
	struct mf_endpoint at;
	struct mf_prng prng;
};

/* What each side has sent lately. */
struct sent {
	struct node *by;
	size_t n;
	uint8_t bytes[160];
};

static struct node one, two;
static struct sent sent[16];
static unsigned n_sent;
static mf_nsec now;
static struct mf_aead *aead;

static struct mf_wg_wall wall(void *ctx)
{
	(void)ctx;
	return (struct mf_wg_wall){ .sec = now / MF_SEC, .nsec = (uint32_t)(now % MF_SEC) };
}

static void host_send(void *ctx, struct mf_wg_device *d, struct mf_wg_peer *p,
		      const struct mf_wg_path *to, const uint8_t *bytes, size_t n, uint8_t tos)
{
	struct sent *m = &sent[n_sent++ % MF_ARRAY_LEN(sent)];

	(void)d;
	(void)p;
	(void)to;
	(void)tos;
	MF_ASSERT(n <= sizeof(m->bytes));
	m->by = ctx;
	m->n = n;
	memcpy(m->bytes, bytes, n);
}

static bool session_up(void *ctx, struct mf_wg_peer *p)
{
	(void)ctx;
	(void)p;
	return false;
}

static void staged_drop(void *ctx, struct mf_wg_peer *p)
{
	(void)ctx;
	(void)p;
}

static void defer(void *ctx, void (*fn)(void *obj), void *obj)
{
	(void)ctx;
	fn(obj);
}

static void node_init(struct node *n, uint8_t id)
{
	struct mf_wg_host host = { .ctx = n,
				   .rng = { .fill = mf_prng_fill, .ctx = &n->prng },
				   .wall_clock = wall,
				   .send = host_send,
				   .session_up = session_up,
				   .staged_drop = staged_drop,
				   .defer = defer };
	struct mf_key key = { .b = { [31] = id } };

	memset(n, 0, sizeof(*n));
	n->prng.state = id;
	n->at = (struct mf_endpoint){ .addr = { .b = { 192, 0, 2, id }, .family = MF_AF_IP4 },
				      .port = id };
	n->wg = mf_wg_new(&host, 1, now);
	MF_ASSERT(n->wg);
	n->device = mf_wg_device_add(n->wg, NULL);
	MF_ASSERT(n->device);
	mf_wg_device_set_private_key(n->device, &key, now);
	mf_wg_device_set_listen_port(n->device, id);
	mf_wg_device_set_up(n->device, true, now);
	MF_ASSERT(mf_wg_device_keys(n->device, &key, &n->public_key));
}

static void meet(struct node *n, const struct node *other)
{
	struct mf_wg_peer_config c = { .public_key = other->public_key, .set = MF_WG_SET_ENDPOINT };

	c.endpoint = other->at;
	MF_ASSERT(mf_wg_peer_set(n->device, &c, now, &n->peer) == MF_OK);
}

static void post(struct mf_wg *wg, struct mf_wg_peer *p, unsigned flags, const struct mf_wg_path *from)
{
	if (flags & MF_WG_POST_ROAM)
		mf_wg_roam(wg, mf_wg_peer_ref(p), from);
	if (flags & MF_WG_POST_POKE)
		mf_wg_poke(wg, mf_wg_peer_ref(p), now);
}

static void data_input(struct node *n, const struct mf_wg_path *from, const uint8_t *m, size_t len)
{
	struct mf_wg_tally t = { .bytes = len };
	struct mf_wg_keypair *k;
	uint8_t plain[256];
	uint64_t counter;

	if (len < MF_WG_DATA_OVERHEAD)
		return;
	k = mf_wg_find(n->wg, mf_load_le32(m + 4));
	counter = mf_load_le64(m + 8);
	if (!k || mf_wg_receive_check(k, now, counter) ||
	    !mf_aead_open(aead, &k->recv, counter, m + MF_WG_DATA_HEADER, len - MF_WG_DATA_HEADER,
			  plain) ||
	    !mf_wg_replay_accept(k, counter))
		return;
	t.n_data = 1;
	post(n->wg, k->peer, mf_wg_received(k, 0, now, &t, from), from);
}

static void deliver(struct node *n, const struct mf_endpoint *from, const uint8_t *m, size_t len)
{
	struct mf_wg_handshake_in in = { .local_port = n->at.port,
					 .from = { .remote = *from },
					 .n = len };
	uint8_t *exact = malloc(len ? len : 1); /* so that reading beyond it is noticed */

	MF_ASSERT(exact);
	memcpy(exact, m, len);
	in.bytes = exact;
	if (len >= 4 && mf_load_le32(exact) == MF_WG_MSG_DATA)
		data_input(n, &in.from, exact, len);
	else
		(void)mf_wg_handshake_input(n->wg, now, &in);
	free(exact);
}

static struct node *other_of(const struct node *n)
{
	return n == &one ? &two : &one;
}

static void send_data(struct node *n)
{
	struct mf_wg_tally t = { .n_data = 1, .bytes = 48 };
	uint8_t m[48];
	struct mf_wg_claimed c;
	unsigned flags;

	if (mf_wg_claim(n->peer, now, 1, &c, &flags) == MF_WG_CLAIM_OK) {
		mf_store_le32(m, MF_WG_MSG_DATA);
		mf_store_le32(m + 4, c.keypair->remote_index);
		mf_store_le64(m + 8, c.first);
		memset(m + 16, 0, 16);
		mf_aead_seal(aead, &c.keypair->send, c.first, m + 16, 16, m + 16);
		host_send(n, NULL, NULL, NULL, m, sizeof(m), 0);
		flags |= mf_wg_sent(n->peer, 0, now, &t);
	}
	post(n->wg, n->peer, flags, NULL);
}

/* Delivers everything, so that a session stands. */
static void settle(unsigned from)
{
	for (unsigned i = from; i < n_sent; i++) {
		struct sent m = sent[i % MF_ARRAY_LEN(sent)];

		deliver(other_of(m.by), &m.by->at, m.bytes, m.n);
	}
}

static void repair_mac1(struct node *victim, struct sent *m)
{
	size_t at = m->n - sizeof(struct mf_wg_macs);

	if (m->n >= 92)
		mf_blake2s_mac(victim->wg->noise.hasher, m->bytes + at,
			       victim->device->cookie.mac1_key, MF_WG_KEY_LEN, m->bytes, at);
}

static const struct mf_endpoint stranger = { .addr = { .b = { 198, 51, 100, 1 }, .family = MF_AF_IP4 },
					     .port = 666 };

/* Does the sender's key vouch for this byte? Not for types, indices and macs of handshake messages: a
 * message that is new and bent only there is still a proof, whoever brings it. */
static bool proven(const struct sent *m, size_t at)
{
	switch (m->n) {
	case sizeof(struct mf_wg_msg_initiation):
		return at >= 8 && at < m->n - sizeof(struct mf_wg_macs);
	case sizeof(struct mf_wg_msg_response):
		return at >= 12 && at < m->n - sizeof(struct mf_wg_macs);
	default:
		return true;
	}
}

/* One step; returns how many bytes it took. */
static size_t step(const uint8_t *p, size_t n)
{
	struct node *victim = p[0] & 0x80 ? &two : &one;
	struct sent m = sent[(n > 1 ? p[1] : 0) % MF_ARRAY_LEN(sent)];
	size_t len, at;

	switch ((p[0] & 0x7f) % STEPS) {
	case RAW:
		len = n > 1 ? mf_min(p[1], n - 2) : 0;
		deliver(victim, &stranger, p + mf_min(2, n), len);
		return 2 + len;
	case BENT:
	case BENT_WITH_MAC1:
		if (n < 4 || !m.n || !p[3])
			return 4;
		at = p[2] % m.n;
		m.bytes[at] ^= p[3];
		if ((p[0] & 0x7f) % STEPS == BENT_WITH_MAC1)
			repair_mac1(victim, &m);
		deliver(victim, proven(&m, at) ? &stranger : &m.by->at, m.bytes, m.n);
		return 4;
	case GENUINE:
		if (m.n)
			deliver(other_of(m.by), &m.by->at, m.bytes, m.n);
		return 2;
	case TIME:
		now += (n > 1 ? (mf_nsec)p[1] * p[1] : 1) * 20 * MF_MSEC;
		mf_wg_tick(one.wg, now);
		mf_wg_tick(two.wg, now);
		return 2;
	default:
		send_data(victim);
		return 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t took;

	now = 1000 * MF_SEC;
	memset(sent, 0, sizeof(sent));
	n_sent = 0;
	if (!aead)
		aead = mf_aead_new(NULL);
	MF_ASSERT(aead);
	node_init(&one, 1);
	node_init(&two, 2);
	meet(&one, &two);
	meet(&two, &one);
	send_data(&one);
	settle(0);
	send_data(&one);
	send_data(&two);
	settle(3);
	MF_ASSERT(mf_wg_has_session(one.peer, now) && mf_wg_has_session(two.peer, now));
	for (; size; data += took, size -= took) {
		took = mf_min(step(data, size), size);
		/* A bent message proves nothing, so the stranger is never taken for the peer. (A genuine
		 * one never comes from there.) */
		MF_ASSERT(!mf_endpoint_equal(&mf_wg_peer_path(one.peer)->remote, &stranger));
		MF_ASSERT(!mf_endpoint_equal(&mf_wg_peer_path(two.peer)->remote, &stranger));
	}
	mf_wg_free(one.wg);
	mf_wg_free(two.wg);
	return 0;
}
