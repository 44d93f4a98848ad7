/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pump.h"

#include "platform/socket.h"

/* What is left of the last read goes to the stream. True: nothing is. */
static bool drain_up(struct mf_pump *p)
{
	struct mf_span span = { p->up, p->up_n };
	size_t taken = p->up_n ? p->stream.out->ops->stream_write(&p->stream, &span, 1) : 0;

	p->up_n -= taken;
	memmove(p->up, p->up + taken, p->up_n);
	return !p->up_n;
}

bool mf_pump_up(struct mf_pump *p, bool *moved)
{
	enum mf_stream_error why;

	*moved = false;
	while (drain_up(p) && p->readable && !p->near_end) {
		struct mf_room room = { p->up, p->size };
		ptrdiff_t got = mf_socket_recv(p->in->fd, &room, 1, &why);

		if (got == MF_STREAM_ERR)
			return false;
		if (got == MF_STREAM_EOF) {
			p->near_end = true;
			p->stream.out->ops->stream_shutdown(&p->stream);
		} else if (got == MF_STREAM_AGAIN) {
			p->readable = false;
		} else {
			p->up_n = (size_t)got;
			*moved = true;
		}
	}
	return true;
}

bool mf_pump_down(struct mf_pump *p)
{
	enum mf_stream_error why = MF_STREAM_E_NONE;

	for (;;) {
		struct mf_span span = { p->down + p->down_at, p->down_n - p->down_at };
		struct mf_room room = { p->down, p->size };
		ptrdiff_t got;

		p->down_at += span.n ? mf_socket_send(p->in->fd, &span, 1, &why) : 0;
		if (why)
			return false;
		if (p->down_at < p->down_n)
			return true;
		got = p->stream.out->ops->stream_read(&p->stream, &room, 1);
		if (got == MF_STREAM_AGAIN)
			return true;
		if (got < 0)
			return false;
		p->down_at = 0;
		p->down_n = (size_t)got;
	}
}
