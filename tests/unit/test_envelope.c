/* What a message at a broker carries beside the payload, and the numbers of what leaves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "data/numbers.h"
#include "formats/envelope.h"

#define LONGEST "0123456789012345678901234567890123456789012345678901234567890123"

static void names_of_sites_are_short_and_plain(void **state)
{
	static const char *const good[] = {"a", "plant-1", "PLANT_2", LONGEST},
				 *const bad[] = {"", "a b", "a.b", "a/b", "a*", "\xc3\xa4", "a>",
					 "a+", "a#", LONGEST "4"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		assert_true(envelope_is_site(good[i], strlen(good[i])));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_false(envelope_is_site(bad[i], strlen(bad[i])));
	assert_false(envelope_is_site("a\0b", 3));
}

static void an_id_is_read_as_it_was_written(void **state)
{
	char text[ENVELOPE_ID_MAX];
	struct envelope_id id;
	size_t length = envelope_write_id(text, "plant-1", 0x9f3c2a61d04b77e8, 4711);

	(void)state;
	assert_string_equal(text, "plant-1/9f3c2a61d04b77e8/4711");
	assert_int_equal(length, strlen(text));
	assert_int_equal(envelope_read_id(text, length, &id), 0);
	assert_string_equal(id.site, "plant-1");
	assert_int_equal(id.run, 0x9f3c2a61d04b77e8);
	assert_int_equal(id.number, 4711);
	length = envelope_write_id(text, LONGEST, 1, UINT64_MAX);
	assert_int_equal(length, ENVELOPE_ID_MAX - 1);
	assert_string_equal(text, LONGEST "/0000000000000001/18446744073709551615");
	assert_int_equal(envelope_read_id(text, length, &id), 0);
	assert_int_equal(id.number, UINT64_MAX);
}

static void what_is_no_id_is_refused(void **state)
{
	static const char *const bad[] = {"", "/", "plant-1", "plant-1/",
		"plant-1/9f3c2a61d04b77e8", "plant-1/9f3c2a61d04b77e8/",
		"plant-1/9f3c2a61d04b77e8/0", "plant-1/9f3c2a61d04b77e8/01",
		"plant-1/9f3c2a61d04b77e8/-1", "plant-1/9f3c2a61d04b77e8/1 ",
		"plant-1/9f3c2a61d04b77e8/18446744073709551616",
		"plant-1/9f3c2a61d04b77e8/99999999999999999999", "plant-1/9f3c2a61d04b77e/1",
		"plant-1/9f3c2a61d04b77e88/1", "plant-1/9F3C2A61D04B77E8/1", "/9f3c2a61d04b77e8/1",
		"a.b/9f3c2a61d04b77e8/1", LONGEST "4/9f3c2a61d04b77e8/1"};
	struct envelope_id id = {.number = 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(envelope_read_id(bad[i], strlen(bad[i]), &id), -EINVAL);
	assert_int_equal(envelope_read_id("plant-1/9f3c2a61d04b77e8/1", 25, &id), -EINVAL);
	assert_int_equal(id.number, 7);
}

static struct datagram datagram = {.size = 5,
	.ttl = 3,
	.timestamp_ns = 1795552430123456789,
	.source.v4 = {.sin_family = AF_INET}};

static void where_it_came_from_is_said_in_the_names_of_all_formats(void **state)
{
	char text[ENVELOPE_FROM_MAX];
	struct address group;
	struct origin *origin;
	size_t length;

	(void)state;
	datagram.source.v4.sin_port = htons(5004);
	datagram.source.v4.sin_addr.s_addr = htonl(0x0a000007);
	assert_int_equal(address_parse("233.252.0.1", &group), 0);
	origin = origin_new("news", &group, 5004, "eth0", 2);
	length = envelope_write_from(text, origin, &datagram);
	assert_string_equal(text, "source=10.0.0.7 sourcePort=5004 interface=eth0 ttl=3 "
				  "timestamp=2026-11-24T20:33:50.123456789Z");
	assert_int_equal(length, strlen(text));
	origin_unref(origin);
}

static void the_longest_fits_and_no_line_is_forged(void **state)
{
	struct datagram longest = {.ttl = 255,
		.timestamp_ns = UINT64_MAX,
		.source.v6 = {.sin6_family = AF_INET6, .sin6_port = 0xffff}};
	char text[ENVELOPE_FROM_MAX];
	struct address group;
	struct origin *origin;

	(void)state;
	memset(&longest.source.v6.sin6_addr, 0xff, 16);
	assert_int_equal(address_parse("233.252.0.1", &group), 0);
	origin = origin_new("news", &group, 5004, "a\r\n\x01\x7f bcdefghi", 2);
	assert_true(envelope_write_from(text, origin, &longest) < ENVELOPE_FROM_MAX);
	assert_non_null(strstr(text, " interface=a\?\?\?\? bcdefghi ttl=255 "));
	origin_unref(origin);
}

/* ---- Numbers ---- */

static void each_group_is_a_run_of_its_own_that_begins_with_1(void **state)
{
	struct numbers *numbers = numbers_new(), *others = numbers_new();
	uint64_t news, feed, other, run, number;

	(void)state;
	assert_int_equal(numbers_next(numbers, "news", 0, &news, &number), 0);
	assert_int_equal(number, 1);
	assert_int_equal(numbers_next(numbers, "feed", 0, &feed, &number), 0);
	assert_int_equal(number, 1);
	assert_int_equal(numbers_next(numbers, "news", 0, &run, &number), 0);
	assert_int_equal(number, 2);
	assert_true(run == news && run != feed);
	assert_int_equal(numbers_next(others, "news", 0, &other, &number), 0);
	assert_true(other != news);
	numbers_free(numbers);
	numbers_free(others);
	numbers_free(NULL);
}

static void what_the_queue_dropped_has_numbers(void **state)
{
	struct numbers *numbers = numbers_new();
	uint64_t run, number;

	(void)state;
	numbers_next(numbers, "news", 3, &run, &number);
	assert_int_equal(number, 4);
	numbers_next(numbers, "news", 0, &run, &number);
	assert_int_equal(number, 5);
	numbers_free(numbers);
}

static void many_groups_are_found_and_no_more_than_a_limit(void **state)
{
	struct numbers *numbers = numbers_new();
	uint64_t first, run, number;
	char name[16];

	(void)state;
	assert_int_equal(numbers_next(numbers, "0", 0, &first, &number), 0);
	for (unsigned i = 1; i < 1000; i++) {
		snprintf(name, sizeof(name), "%u", i * 7919 % 100003);
		assert_int_equal(numbers_next(numbers, name, i, &run, &number), 0);
	}
	for (unsigned i = 1; i < 1000; i++) {
		snprintf(name, sizeof(name), "%u", i * 7919 % 100003);
		assert_int_equal(numbers_next(numbers, name, 0, &run, &number), 0);
		assert_int_equal(number, i + 2);
	}
	for (unsigned i = 0; i < NUMBERS_GROUPS_MAX; i++) {
		snprintf(name, sizeof(name), "more%u", i);
		assert_int_equal(numbers_next(numbers, name, 0, &run, &number), 0);
	}
	assert_int_equal(numbers_next(numbers, "0", 0, &run, &number), 0);
	assert_int_equal(number, 1);
	assert_true(run != first);
	numbers_free(numbers);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_sites_are_short_and_plain),
		cmocka_unit_test(an_id_is_read_as_it_was_written),
		cmocka_unit_test(what_is_no_id_is_refused),
		cmocka_unit_test(where_it_came_from_is_said_in_the_names_of_all_formats),
		cmocka_unit_test(the_longest_fits_and_no_line_is_forged),
		cmocka_unit_test(each_group_is_a_run_of_its_own_that_begins_with_1),
		cmocka_unit_test(what_the_queue_dropped_has_numbers),
		cmocka_unit_test(many_groups_are_found_and_no_more_than_a_limit),
	};

	return cmocka_run_group_tests_name("envelope", tests, NULL, NULL);
}
