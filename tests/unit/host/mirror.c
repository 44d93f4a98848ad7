/* SPDX-License-Identifier: Apache-2.0
 *
 * The outbound that docs/host-stack.md shows: it keeps to the seam's contract.
 */
#include "examples/mirror.h"

#include "unit.h"

static struct mirror mirror;
static struct mf_stream stream;
static int woken;

static void wake(struct mf_stream *s)
{
	assert_ptr_equal(s, &stream);
	woken++;
}

static int open_mirror(void **state)
{
	(void)state;
	memset(&mirror, 0, sizeof(mirror));
	mirror.out = (struct mf_outbound){ .ops = &mirror_ops, .ctx = &mirror };
	stream = (struct mf_stream){ .out = &mirror.out, .wake = wake };
	woken = 0;
	return 0;
}

static mf_err try(const char *to)
{
	struct mf_target target = { 0 };

	assert_int_equal(mf_endpoint_parse(&target.addr, to), MF_OK);
	return mirror_ops.stream_open(&mirror.out, &stream, &target);
}

static uint32_t take_ready(void)
{
	uint32_t ready = stream.ready;

	stream.ready = 0;
	return ready;
}

static size_t write_two(const void *a, size_t n_a, const void *b, size_t n_b)
{
	struct mf_span v[] = { mf_span(a, n_a), mf_span(b, n_b) };

	return mirror_ops.stream_write(&stream, v, 2);
}

static ptrdiff_t read_two(uint8_t *a, size_t n_a, uint8_t *b, size_t n_b)
{
	struct mf_room v[] = { { a, n_a }, { b, n_b } };

	return mirror_ops.stream_read(&stream, v, 2);
}

static void test_what_is_written_comes_back(void **state)
{
	struct mf_stream_info info;
	uint8_t a[4], b[100];

	(void)state;
	assert_int_equal(try("192.0.2.1:7"), MF_OK);
	assert_int_equal(take_ready(), MF_STREAM_OPENED | MF_STREAM_WRITABLE);
	assert_int_equal(read_two(a, sizeof(a), b, sizeof(b)), MF_STREAM_AGAIN);
	assert_int_equal(write_two("hel", 3, "lo, world", 9), 12);
	assert_int_equal(take_ready(), MF_STREAM_READABLE);
	assert_int_equal(read_two(a, 4, b, 3), 7);
	assert_memory_equal(a, "hell", 4);
	assert_memory_equal(b, "o, ", 3);
	assert_int_equal(read_two(a, 4, b, sizeof(b)), 5);
	assert_memory_equal(a, "worl", 4);
	assert_memory_equal(b, "d", 1);
	assert_int_equal(read_two(a, 4, b, 3), MF_STREAM_AGAIN);
	mirror_ops.stream_info(&stream, &info);
	assert_string_equal(info.device, "mirror");
	mirror_ops.stream_close(&stream, false);
	assert_null(stream.impl);
}

/* The end comes behind what is still there, and only then. */
static void test_half_close(void **state)
{
	uint8_t a[4], b[4];

	(void)state;
	assert_int_equal(try("[2001:db8::1]:7"), MF_OK);
	assert_int_equal(write_two("bye", 3, "", 0), 3);
	mirror_ops.stream_shutdown(&stream);
	assert_true(take_ready() & MF_STREAM_READABLE);
	assert_int_equal(read_two(a, 4, b, 4), 3);
	assert_int_equal(read_two(a, 4, b, 4), MF_STREAM_EOF);
	mirror_ops.stream_close(&stream, false);
}

/* Nothing is taken beyond the buffer; WRITABLE comes once, when there is room again. */
static void test_backpressure(void **state)
{
	static uint8_t bytes[MIRROR_BYTES + 100], back[MIRROR_BYTES];
	uint8_t one[1], more[1];

	(void)state;
	assert_int_equal(try("192.0.2.1:7"), MF_OK);
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7 + i / 256);
	assert_int_equal(write_two(bytes, 10, bytes + 10, sizeof(bytes) - 10), MIRROR_BYTES);
	assert_int_equal(write_two(bytes, 1, bytes, 1), 0);
	(void)take_ready();
	assert_int_equal(read_two(one, 1, more, 1), 2);
	assert_int_equal(take_ready(), MF_STREAM_WRITABLE);
	assert_int_equal(write_two(bytes + MIRROR_BYTES, 2, "", 0), 2);
	assert_int_equal(read_two(back, sizeof(back), one, 1), MIRROR_BYTES);
	assert_int_equal(take_ready(), 0);
	assert_memory_equal(back, bytes + 2, MIRROR_BYTES);
	mirror_ops.stream_close(&stream, true);
}

static void test_refusals(void **state)
{
	struct mf_stream streams[MIRROR_STREAMS];

	(void)state;
	assert_int_not_equal(try("192.0.2.1:8"), MF_OK);
	assert_int_equal(stream.error, MF_STREAM_E_REFUSED);
	assert_int_equal(woken, 0);
	for (size_t i = 0; i < MIRROR_STREAMS; i++) {
		assert_int_equal(try("192.0.2.1:7"), MF_OK);
		streams[i] = stream;
	}
	assert_int_not_equal(try("192.0.2.1:7"), MF_OK);
	assert_int_equal(stream.error, MF_STREAM_E_NO_RESOURCES);
	mirror_ops.stream_close(&streams[3], true);
	assert_int_equal(try("192.0.2.1:7"), MF_OK);
}

#define MIRROR(test) cmocka_unit_test_setup(test, open_mirror)

int main(void)
{
	const struct CMUnitTest tests[] = {
		MIRROR(test_what_is_written_comes_back),
		MIRROR(test_half_close),
		MIRROR(test_backpressure),
		MIRROR(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
