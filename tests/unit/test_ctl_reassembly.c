/* IP packets from their fragments. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "formats/reassembly.h"

#define S 1000000000ull

static uint8_t pattern[65536];

static struct dissected fragment(uint32_t identification, size_t offset, size_t size, bool more)
{
	struct dissected ret = {
		.source = {.family = AF_INET, .v4.s_addr = 1},
		.destination = {.family = AF_INET, .v4.s_addr = 2},
		.data = pattern + offset,
		.size = size,
		.fragment = {.identification = identification,
			.offset = (uint32_t)offset,
			.more = more,
			.protocol = IPPROTO_UDP},
	};

	return ret;
}

/* Takes one, and returns how large the packet is that became whole; 0: none. */
static size_t take_at(
	struct reassembly *reassembly, struct dissected part, uint32_t interface, uint64_t now_ns)
{
	const uint8_t *data;
	size_t size = 0;
	int r;

	part.data = memcpy(malloc(part.size), part.data, part.size);
	r = reassembly_take(reassembly, &part, interface, now_ns, &data, &size);
	free((void *)part.data);
	assert_true(r == 0 || r == 1);
	if (r == 1)
		assert_memory_equal(data, pattern, size);
	return r == 1 ? size : 0;
}

static size_t take_one(struct reassembly *reassembly, uint32_t identification, size_t offset,
	size_t size, bool more)
{
	return take_at(reassembly, fragment(identification, offset, size, more), 0, 0);
}

static int fill(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 + i / 256);
	return 0;
}

static void fragments_in_any_order_make_the_packet(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	assert_int_equal(take_one(&reassembly, 1, 0, 16, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 16, 8, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 24, 5, false), 29);
	assert_int_equal(take_one(&reassembly, 1, 24, 5, false), 0);
	assert_int_equal(take_one(&reassembly, 1, 0, 16, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 16, 8, true), 29);
	assert_int_equal(reassembly.incomplete, 0);
	reassembly_clear(&reassembly);
}

static void the_largest_packet_is_put_together(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	for (size_t offset = 0; offset < 65528; offset += 8)
		assert_int_equal(take_one(&reassembly, 1, offset, 8, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 65528, 7, false), 65535);
	reassembly_clear(&reassembly);
}

static void packets_are_told_apart(void **state)
{
	struct reassembly reassembly = {0};
	struct dissected part = fragment(1, 0, 8, true), last = fragment(1, 8, 8, false);

	(void)state;
	assert_int_equal(take_at(&reassembly, part, 0, 0), 0);
	last.source.v4.s_addr = 9;
	assert_int_equal(take_at(&reassembly, last, 0, 0), 0);
	last = fragment(2, 8, 8, false);
	assert_int_equal(take_at(&reassembly, last, 0, 0), 0);
	last = fragment(1, 8, 8, false);
	last.place = 5;
	assert_int_equal(take_at(&reassembly, last, 0, 0), 0);
	last.place = 0;
	assert_int_equal(take_at(&reassembly, last, 3, 0), 0);
	assert_int_equal(take_at(&reassembly, last, 0, 0), 16);
	reassembly_end(&reassembly);
	assert_int_equal(reassembly.incomplete, 4);
	reassembly_clear(&reassembly);
}

static void copies_of_a_fragment_change_nothing(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	assert_int_equal(take_one(&reassembly, 1, 0, 16, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 0, 16, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 0, 8, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 16, 3, false), 19);
	reassembly_clear(&reassembly);
}

/* first, second: the ends of two fragments that contradict each other; a last one does not help. */
static void assert_incomplete(struct dissected first, struct dissected second)
{
	struct reassembly reassembly = {0};

	assert_int_equal(take_at(&reassembly, first, 0, 0), 0);
	assert_int_equal(take_at(&reassembly, second, 0, 0), 0);
	assert_int_equal(take_one(&reassembly, 1, 0, 8, true), 0);
	assert_int_equal(take_one(&reassembly, 1, 0, 64, false), 0);
	reassembly_end(&reassembly);
	assert_int_equal(reassembly.incomplete, 1);
	reassembly_clear(&reassembly);
}

static void fragments_that_contradict_each_other_are_not_used(void **state)
{
	struct dissected other = fragment(1, 8, 16, true);

	(void)state;
	assert_incomplete(fragment(1, 8, 16, true), fragment(1, 16, 16, true)); /* overlap */
	other.data++;
	assert_incomplete(fragment(1, 8, 16, true), other); /* other bytes */
	assert_incomplete(fragment(1, 16, 8, false), fragment(1, 24, 8, true)); /* behind the end */
	assert_incomplete(fragment(1, 16, 8, false), fragment(1, 24, 8, false)); /* two ends */
	assert_incomplete(fragment(1, 16, 8, true), fragment(1, 8, 8, false)); /* an end before */
}

static void what_is_missing_for_long_is_incomplete(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	take_at(&reassembly, fragment(1, 0, 8, true), 0, 100 * S);
	take_at(&reassembly, fragment(2, 0, 8, true), 0, 101 * S);
	assert_int_equal(take_at(&reassembly, fragment(1, 8, 8, false), 0, 130 * S + 1), 0);
	assert_int_equal(reassembly.incomplete, 1);
	assert_int_equal(take_at(&reassembly, fragment(2, 8, 8, false), 0, 131 * S), 16);
	/* The clock was set back. */
	assert_int_equal(take_at(&reassembly, fragment(1, 0, 8, true), 0, 7 * S), 0);
	assert_int_equal(reassembly.incomplete, 2);
	reassembly_clear(&reassembly);
}

/* Each packet is captured twice, with its copies between its fragments. */
static void a_copy_of_the_last_fragment_is_no_part_of_the_next_packet(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	for (uint64_t now_ns = 100 * S; now_ns < 120 * S; now_ns += 6 * S) {
		for (int copy = 0; copy < 2; copy++)
			assert_int_equal(
				take_at(&reassembly, fragment(1, 0, 16, true), 0, now_ns), 0);
		assert_int_equal(take_at(&reassembly, fragment(1, 16, 3, false), 0, now_ns), 19);
		assert_int_equal(take_at(&reassembly, fragment(1, 16, 3, false), 0, now_ns), 0);
	}
	reassembly_end(&reassembly);
	assert_int_equal(reassembly.incomplete, 0);
	reassembly_clear(&reassembly);
}

static void other_fragments_soon_after_are_no_copies(void **state)
{
	struct reassembly reassembly = {0};
	struct dissected other = fragment(1, 0, 16, true);

	(void)state;
	other.data++;
	take_one(&reassembly, 1, 0, 16, true);
	assert_int_equal(take_one(&reassembly, 1, 16, 3, false), 19);
	take_at(&reassembly, other, 0, 0); /* other bytes */
	take_at(&reassembly, fragment(2, 16, 3, false), 0, 0); /* another packet */
	reassembly_end(&reassembly);
	assert_int_equal(reassembly.incomplete, 2);
	take_one(&reassembly, 1, 16, 3, true); /* others follow */
	reassembly_end(&reassembly);
	take_one(&reassembly, 1, 16, 8, false); /* another size */
	reassembly_end(&reassembly);
	take_at(&reassembly, fragment(1, 16, 3, false), 0, 2 * S); /* later */
	reassembly_end(&reassembly);
	assert_int_equal(reassembly.incomplete, 5);
	reassembly_clear(&reassembly);
}

static void what_contradicts_a_packet_of_another_time_begins_the_next_one(void **state)
{
	struct reassembly reassembly = {0};
	struct dissected other = fragment(1, 0, 16, true);

	(void)state;
	other.data++;
	assert_int_equal(take_at(&reassembly, other, 0, 100 * S), 0);
	assert_int_equal(take_at(&reassembly, fragment(1, 0, 16, true), 0, 106 * S), 0);
	assert_int_equal(take_at(&reassembly, fragment(1, 16, 3, false), 0, 106 * S), 19);
	assert_int_equal(reassembly.incomplete, 1);
	reassembly_clear(&reassembly);
}

static void what_is_rejected_is_counted_and_forgotten(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	take_one(&reassembly, 1, 0, 16, true);
	assert_int_equal(take_one(&reassembly, 1, 16, 3, false), 19);
	reassembly_reject(&reassembly);
	assert_int_equal(reassembly.incomplete, 1);
	take_one(&reassembly, 1, 16, 3, false);
	reassembly_end(&reassembly);
	assert_int_equal(reassembly.incomplete, 2);
	reassembly_clear(&reassembly);
}

static void of_many_packets_the_latest_are_remembered(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	for (uint32_t i = 0; i < 3 * REASSEMBLY_MAX; i++) {
		take_one(&reassembly, i, 0, 16, true);
		assert_int_equal(take_one(&reassembly, i, 16, 3, false), 19);
		assert_true(reassembly.whole.count <= REASSEMBLY_MAX);
	}
	take_one(&reassembly, 2 * REASSEMBLY_MAX, 16, 3, false);
	reassembly_end(&reassembly);
	assert_int_equal(reassembly.incomplete, 0);
	reassembly_clear(&reassembly);
}

static void of_too_many_the_oldest_are_incomplete(void **state)
{
	struct reassembly reassembly = {0};

	(void)state;
	for (uint32_t i = 0; i < REASSEMBLY_MAX + 3; i++)
		take_one(&reassembly, i, 0, 8, true);
	assert_int_equal(reassembly.incomplete, 3);
	assert_int_equal(take_one(&reassembly, 3, 8, 8, false), 16);
	assert_int_equal(take_one(&reassembly, 2, 8, 8, false), 0);
	reassembly_clear(&reassembly);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_in_any_order_make_the_packet),
		cmocka_unit_test(the_largest_packet_is_put_together),
		cmocka_unit_test(packets_are_told_apart),
		cmocka_unit_test(copies_of_a_fragment_change_nothing),
		cmocka_unit_test(fragments_that_contradict_each_other_are_not_used),
		cmocka_unit_test(what_is_missing_for_long_is_incomplete),
		cmocka_unit_test(a_copy_of_the_last_fragment_is_no_part_of_the_next_packet),
		cmocka_unit_test(other_fragments_soon_after_are_no_copies),
		cmocka_unit_test(what_contradicts_a_packet_of_another_time_begins_the_next_one),
		cmocka_unit_test(what_is_rejected_is_counted_and_forgotten),
		cmocka_unit_test(of_many_packets_the_latest_are_remembered),
		cmocka_unit_test(of_too_many_the_oldest_are_incomplete),
	};

	return cmocka_run_group_tests(tests, fill, NULL);
}
