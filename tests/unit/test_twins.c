/* Which datagrams are copies that came in by another interface. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "data/twins.h"
#include "range.h"

static struct twins *twins;

/* Whether a datagram of the sender is a copy. */
static bool takes_from(unsigned sender, const char *payload, unsigned ifindex, uint32_t ms)
{
	struct datagram datagram = {.payload = (const uint8_t *)payload,
		.size = (uint32_t)strlen(payload),
		.source.v4 = {.sin_family = AF_INET,
			.sin_port = htons((uint16_t)sender),
			.sin_addr.s_addr = htonl(0x0a000001)}};
	unsigned other = 0;
	bool is_copy = twins_take(twins, NULL, &datagram, ifindex, ms, &other);

	assert_true(!is_copy || (other && other != ifindex));
	return is_copy;
}

static bool takes(const char *payload, unsigned ifindex, uint32_t ms)
{
	return takes_from(5000, payload, ifindex, ms);
}

static int make(void **state)
{
	(void)state;
	twins = twins_new(TWINS_SETS, TWINS_WINDOW_MS);
	return twins ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	free(twins);
	return 0;
}

static void a_copy_that_is_taken_first_is_one_as_well(void **state)
{
	(void)state;
	assert_false(takes("a", 2, 100));
	assert_true(takes("a", 3, 90));
	assert_false(takes("b", 2, 5000));
	assert_false(takes("b", 3, 5000 - TWINS_WINDOW_MS));
}

static void the_copy_by_another_interface_is_one(void **state)
{
	(void)state;
	assert_false(takes("a", 2, 100));
	assert_true(takes("a", 3, 101));
	assert_true(takes("a", 4, 102));
	assert_false(takes("b", 3, 103));
	assert_true(takes("b", 2, 103));
}

static void another_sender_or_owner_or_a_later_one_is_none(void **state)
{
	struct datagram datagram = {.source.v6 = {.sin6_family = AF_INET6}};
	unsigned other;

	(void)state;
	assert_false(takes("a", 2, 0));
	assert_false(takes_from(5001, "a", 3, 1));
	assert_false(takes("a", 3, TWINS_WINDOW_MS));
	assert_false(twins_take(twins, NULL, &datagram, 2, 0, &other));
	assert_false(twins_take(twins, &other, &datagram, 3, 0, &other));
	/* The scope is the interface that it came in by. */
	datagram.source.v6.sin6_scope_id = 3;
	assert_true(twins_take(twins, NULL, &datagram, 3, 0, &other));
	assert_int_equal(other, 2);
}

static void what_a_sender_repeats_is_none(void **state)
{
	(void)state;
	for (uint32_t ms = 0; ms < 10000; ms++)
		assert_false(takes("beat", 2, ms));
}

static void repeated_ones_pass_once_each(void **state)
{
	unsigned passed = 0;

	(void)state;
	for (uint32_t ms = 0; ms < 10000; ms += 10) {
		passed += !takes("beat", 2, ms);
		passed += !takes("beat", 3, ms + 3);
	}
	assert_int_equal(passed, 1000);
}

/* Bursts that one interface brings at once. */
static void bursts_pass_once_each(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		assert_false(takes("beat", 2, 0));
	for (unsigned i = 0; i < 50; i++)
		assert_true(takes("beat", 3, 5));
	assert_false(takes("beat", 3, 5));
}

static void an_interface_that_lost_some_is_not_behind_for_long(void **state)
{
	unsigned passed = 0;

	(void)state;
	for (uint32_t ms = 0; ms < 10000; ms += 20) {
		takes("beat", 2, ms);
		if (ms % 200)
			takes("beat", 3, ms + 3);
	}
	/* The first one fails. */
	for (uint32_t ms = 10000; ms < 11000; ms += 20)
		passed += !takes("beat", 3, ms);
	assert_in_range(passed, 45, 50);
}

static void memory_is_bounded(void **state)
{
	unsigned copies = 0;
	char payload[16] = "";

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		memcpy(payload, &(unsigned){i | 0x01010101u}, sizeof(i));
		takes(payload, 2, 0);
	}
	for (unsigned i = 0; i < 100; i++) {
		payload[0] = (char)('a' + i % 26);
		payload[5] = (char)('a' + i / 26);
		payload[4] = 'x';
		takes(payload, 2, 1);
		copies += takes(payload, 3, 2);
	}
	assert_int_equal(copies, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_copy_that_is_taken_first_is_one_as_well, make, clear),
		cmocka_unit_test_setup_teardown(the_copy_by_another_interface_is_one, make, clear),
		cmocka_unit_test_setup_teardown(
			another_sender_or_owner_or_a_later_one_is_none, make, clear),
		cmocka_unit_test_setup_teardown(what_a_sender_repeats_is_none, make, clear),
		cmocka_unit_test_setup_teardown(repeated_ones_pass_once_each, make, clear),
		cmocka_unit_test_setup_teardown(bursts_pass_once_each, make, clear),
		cmocka_unit_test_setup_teardown(
			an_interface_that_lost_some_is_not_behind_for_long, make, clear),
		cmocka_unit_test_setup_teardown(memory_is_bounded, make, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
