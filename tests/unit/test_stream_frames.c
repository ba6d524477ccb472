/* The datagrams of a group's stream: each behind its length. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "groups/stream_frames.h"

#define BYTES(text) (const uint8_t *)(text), sizeof(text) - 1

static void nothing_is_picked_before_a_datagram_is_whole(void **state)
{
	static const char bytes[] = "\0\0\0\5hello";
	struct iovec vector;
	unsigned count;

	(void)state;
	for (size_t size = 0; size < sizeof(bytes) - 1; size++) {
		assert_int_equal(
			stream_pick((const uint8_t *)bytes, size, 100, &vector, 1, &count), 0);
		assert_int_equal(count, 0);
		assert_int_equal(stream_count((const uint8_t *)bytes, size, 100), size > 0);
	}
	assert_int_equal(stream_pick(BYTES(bytes), 100, &vector, 1, &count), 9);
	assert_int_equal(count, 1);
	assert_int_equal(vector.iov_len, 5);
	assert_memory_equal(vector.iov_base, "hello", 5);
}

static void datagrams_are_picked_in_their_order_as_far_as_there_is_room(void **state)
{
	static const char bytes[] = "\0\0\0\1a\0\0\0\0\0\0\0\2bc\0\0\0\1d";
	struct iovec vectors[3];
	unsigned count;

	(void)state;
	assert_int_equal(stream_pick(BYTES(bytes), 100, vectors, 3, &count), 15);
	assert_int_equal(count, 3);
	assert_int_equal(vectors[1].iov_len, 0);
	assert_memory_equal(vectors[2].iov_base, "bc", 2);
	assert_int_equal(stream_count(BYTES(bytes), 100), 4);
}

static void a_length_over_the_maximum_is_wrong(void **state)
{
	uint32_t length;

	(void)state;
	assert_int_equal(stream_next(BYTES("\0\0\xff\xe3"), 65507, &length), STREAM_PARTIAL);
	assert_int_equal(stream_next(BYTES("\0\0\xff\xe4"), 65507, &length), STREAM_WRONG);
	assert_int_equal(length, 65508);
	assert_int_equal(stream_next(BYTES("\xff\xff\xff\xff"), 65507, &length), STREAM_WRONG);
}

static void what_comes_before_a_wrong_length_is_picked(void **state)
{
	struct iovec vectors[4];
	unsigned count;

	(void)state;
	assert_int_equal(stream_pick(BYTES("\0\0\0\1a\0\1\0\0x"), 100, vectors, 4, &count), 5);
	assert_int_equal(count, 1);
	assert_int_equal(stream_count(BYTES("\0\0\0\1a\0\1\0\0x"), 100), 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_picked_before_a_datagram_is_whole),
		cmocka_unit_test(datagrams_are_picked_in_their_order_as_far_as_there_is_room),
		cmocka_unit_test(a_length_over_the_maximum_is_wrong),
		cmocka_unit_test(what_comes_before_a_wrong_length_is_picked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
