/* SPDX-License-Identifier: Apache-2.0
 *
 * tun_io - packets in and out of one queue of a TUN device.
 *
 * The kernel hands over and takes one packet (or super-packet) in each system call. A read has two
 * places to land, so that small packets stay small; see mf_pkt_land.
 */
#include "platform/linux/tun_priv.h"

#include "wire/gso.h"
#include "wire/vnet.h"

#include <errno.h>
#include <sys/uio.h>
#include <unistd.h>

int mf_tun_queue_fd(const struct mf_tun_queue *q)
{
	return q->fd;
}

const struct mf_tun_counters *mf_tun_queue_counters(const struct mf_tun_queue *q)
{
	return &q->count;
}

uint32_t mf_tun_queue_tx_features(const struct mf_tun_queue *q)
{
	return q->tx_features;
}

void mf_tun_queue_limit_tx(struct mf_tun_queue *q, uint32_t features)
{
	q->tx_features &= features;
}

mf_err mf_tun_queue_state(const struct mf_tun_queue *q)
{
	return q->gone ? MF_E_GONE : MF_OK;
}

void mf_tun_queue_flush(struct mf_tun_queue *q)
{
	if (q->small)
		mf_pkt_free(q->small);
	if (q->large)
		mf_pkt_free(q->large);
	q->small = q->large = NULL;
}

static bool have_landing(struct mf_tun_queue *q, struct mf_pkt_pool *pool)
{
	if (!q->small)
		q->small = mf_pkt_small(pool);
	if (!q->large)
		q->large = mf_pkt_large(pool);
	return q->small && q->large;
}

/* What the header says, if it is true; else p is marked for the drop node. */
static void believe(struct mf_tun_queue *q, struct mf_pkt *p, const uint8_t *hdr)
{
	enum mf_drop reason = mf_vnet_decode(p, hdr, MF_VNET_LEN);

	if (MF_LIKELY(reason == MF_DROP_NONE))
		return;
	p->drop = (uint16_t)reason;
	p->flags &= (uint8_t)~MF_PKT_NEEDS_CSUM;
	p->gso_type = MF_GSO_NONE;
	p->gso_size = 0;
	p->segments = 1;
	if (reason == MF_DROP_OFFLOAD_META)
		mf_count(&q->count.rx_bad_meta, 1);
}

/* One packet, or NULL: nothing is there. */
static struct mf_pkt *recv_one(struct mf_tun_queue *q)
{
	size_t hdr = q->vnet ? MF_VNET_LEN : 0;
	uint8_t *start = q->small->data - hdr;
	struct iovec iov[2] = { { .iov_base = start, .iov_len = hdr + MF_PKT_SMALL_MAX },
				{ .iov_base = q->large->data, .iov_len = MF_PKT_LARGE_MAX } };
	struct mf_pkt *p;
	ssize_t n;

	for (;;) {
		n = readv(q->fd, iov, 2);
		if (n > (ssize_t)hdr)
			break;
		if (n >= 0) {
			mf_count(&q->count.rx_empty, 1);
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno == EBADFD || errno == ENODEV)
			q->gone = true;
		else if (errno != EAGAIN)
			mf_count(&q->count.rx_errors, 1);
		return NULL;
	}
	p = mf_pkt_land(q->small, q->large, (size_t)n - hdr);
	if (hdr)
		believe(q, p, start);
	if (p == q->small)
		q->small = NULL;
	else
		q->large = NULL;
	return p;
}

size_t mf_tun_recv(struct mf_tun_queue *q, struct mf_pkt_pool *pool, struct mf_pkt **out,
		   size_t max, size_t byte_budget)
{
	size_t n = 0, bytes = 0;

	while (n < max && bytes < byte_budget) {
		struct mf_pkt *p;

		if (!have_landing(q, pool)) {
			mf_count(&q->count.rx_no_buffer, 1);
			break;
		}
		p = recv_one(q);
		if (!p)
			break;
		bytes += p->len;
		mf_count(&q->count.rx_segments, p->segments);
		mf_count(&q->count.rx_super, p->segments > 1);
		out[n++] = p;
	}
	mf_count(&q->count.rx_packets, n);
	mf_count(&q->count.rx_bytes, bytes);
	return n;
}

/* Writes up to three pieces as one packet. 0 or -errno. */
static int write_pieces(struct mf_tun_queue *q, const struct iovec *iov, int n)
{
	ssize_t r;

	do
		r = n == 1 ? write(q->fd, iov->iov_base, iov->iov_len) : writev(q->fd, iov, n);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

/* Writes `len` bytes at `data`, with a virtio header before them if the device wants one and `meta`'s tail
 * behind them; `meta` NULL: an ordinary packet. The header goes in front of the data where there is room,
 * so that the kernel has one piece less to look at. */
static int write_raw(struct mf_tun_queue *q, uint8_t *data, size_t len, const struct mf_pkt *meta,
		     size_t headroom)
{
	uint8_t hdr[MF_VNET_LEN] = { 0 };
	struct iovec iov[3];
	int n = 0;

	if (q->vnet) {
		if (meta)
			mf_vnet_encode(meta, hdr, MF_VNET_LEN);
		if (headroom >= MF_VNET_LEN) {
			data -= MF_VNET_LEN;
			len += MF_VNET_LEN;
			memcpy(data, hdr, MF_VNET_LEN);
		} else {
			iov[n++] = (struct iovec){ hdr, MF_VNET_LEN };
		}
	}
	iov[n++] = (struct iovec){ data, len };
	if (meta && meta->tail_len)
		/* an iovec is not const, but it is only read */
		iov[n++] = (struct iovec){ (void *)(uintptr_t)meta->tail, meta->tail_len };
	return write_pieces(q, iov, n);
}

/* The features that writing p whole needs. */
static uint32_t needs(const struct mf_pkt *p)
{
	uint32_t f = p->flags & MF_PKT_NEEDS_CSUM ? MF_TUN_VNET | MF_TUN_CSUM : 0;

	switch (p->gso_type) {
	case MF_GSO_TCP4:
		return f | MF_TUN_VNET | MF_TUN_TSO4;
	case MF_GSO_TCP6:
		return f | MF_TUN_VNET | MF_TUN_TSO6;
	case MF_GSO_UDP:
		return f | MF_TUN_VNET | (p->ip_version == 4 ? MF_TUN_USO4 : MF_TUN_USO6);
	default:
		return f;
	}
}

static void count_drop(struct mf_tun_queue *q, int err, uint32_t segments)
{
	switch (err) {
	case -EAGAIN:
	case -ENOBUFS:
	case -ENOMEM:
		mf_count(&q->count.tx_drop_busy, segments);
		break;
	case -EBADFD:
	case -ENODEV:
		q->gone = true;
		mf_count(&q->count.tx_drop_down, segments);
		break;
	case -EIO: /* what a device that is down says */
		mf_count(&q->count.tx_drop_down, segments);
		break;
	default:
		mf_count(&q->count.tx_drop_invalid, segments);
		break;
	}
}

/* Cuts p, which is one piece, and writes the segments; spoils p. Returns whether all went out. */
static bool send_segments(struct mf_tun_queue *q, struct mf_pkt *p)
{
	size_t headroom = mf_pkt_headroom(p), len;
	struct mf_gso g;
	uint8_t *seg;
	bool all = true;

	if (mf_gso_begin(&g, p) != MF_DROP_NONE) {
		mf_count(&q->count.tx_drop_invalid, p->segments);
		return false;
	}
	while ((len = mf_gso_next(&g, &seg)) != 0) {
		int r = write_raw(q, seg, len, NULL, headroom + (size_t)(seg - p->data));

		if (r) {
			count_drop(q, r, 1);
			all = false;
			continue;
		}
		mf_count(&q->count.tx_segments, 1);
		mf_count(&q->count.tx_bytes, len);
	}
	mf_count(&q->count.tx_packets, all);
	mf_count(&q->count.tx_software, 1);
	return all;
}

/* The same for one that may have a tail. */
static enum mf_drop send_cut(struct mf_tun_queue *q, struct mf_pkt_pool *pool, struct mf_pkt *p)
{
	struct mf_pkt *whole = mf_pkt_linear(pool, p);
	bool ok;

	if (!whole)
		return MF_DROP_BUFFERS;
	ok = send_segments(q, whole);
	if (whole != p)
		mf_pkt_free(whole);
	return ok ? MF_DROP_NONE : MF_DROP_TUN_SEND;
}

/* The one feature of `need` that a refusal is blamed on. */
static uint32_t offload_bit(uint8_t gso_type, uint32_t need)
{
	return gso_type == MF_GSO_NONE ? MF_TUN_CSUM : need & ~(uint32_t)(MF_TUN_VNET | MF_TUN_CSUM);
}

static enum mf_drop send_one(struct mf_tun_queue *q, struct mf_pkt_pool *pool, struct mf_pkt *p)
{
	uint32_t need = needs(p);
	uint8_t gso_type = p->gso_type;
	enum mf_drop drop;
	int r;

	if ((need & q->tx_features) != need ||
	    (gso_type == MF_GSO_UDP && p->segments > q->uso_segments))
		return send_cut(q, pool, p);
	r = write_raw(q, p->data, p->len, p, mf_pkt_headroom(p));
	if (r == -EINVAL && need) {
		/* Either this kernel does not know the offload or it dislikes the packet. Only the first
		 * is a reason to give the offload up: then the pieces go through. */
		drop = send_cut(q, pool, p);
		if (drop)
			return drop;
		mf_count(&q->count.tx_refused, 1);
		q->tx_features &= ~offload_bit(gso_type, need);
		return MF_DROP_NONE;
	}
	if (r) {
		count_drop(q, r, p->segments);
		return MF_DROP_TUN_SEND;
	}
	mf_count(&q->count.tx_packets, 1);
	mf_count(&q->count.tx_segments, p->segments);
	mf_count(&q->count.tx_bytes, mf_pkt_len(p));
	mf_count(&q->count.tx_super, p->segments > 1);
	return MF_DROP_NONE;
}

size_t mf_tun_send(struct mf_tun_queue *q, struct mf_pkt_pool *pool, struct mf_pkt *const *pkts,
		   size_t n)
{
	size_t sent = 0;

	for (size_t i = 0; i < n; i++) {
		pkts[i]->drop = (uint16_t)send_one(q, pool, pkts[i]);
		sent += !pkts[i]->drop;
	}
	return sent;
}
