#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "data/loop_guard.h"

static int setup(void **state)
{
	*state = loop_guard_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	loop_guard_free(*state);
	return 0;
}

static bool seen(struct loop_guard *guard, const char *payload, const char *source, uint8_t ttl,
	uint32_t now_ms)
{
	struct datagram datagram = {
		.payload = (const uint8_t *)payload, .size = (uint32_t)strlen(payload), .ttl = ttl};
	struct address address;

	assert_int_equal(address_parse(source, &address), 0);
	address_to_endpoint(&address, 4000, 0, &datagram.source);
	return loop_guard_has_seen(guard, &datagram, now_ms);
}

static void what_comes_back_is_seen(void **state)
{
	assert_false(seen(*state, "a", "10.0.0.1", 64, 1000));
	assert_true(seen(*state, "a", "10.0.0.3", 61, 1002));
	assert_true(seen(*state, "a", "10.0.0.3", 58, 1004));
}

static void what_its_sender_repeats_passes(void **state)
{
	assert_false(seen(*state, "beat", "10.0.0.1", 64, 1000));
	assert_false(seen(*state, "beat", "10.0.0.1", 64, 1001));
}

static void another_sender_as_near_passes(void **state)
{
	assert_false(seen(*state, "beat", "10.0.0.1", 64, 1000));
	assert_false(seen(*state, "beat", "10.0.0.2", 64, 1001));
}

static void another_payload_passes(void **state)
{
	assert_false(seen(*state, "12345678a", "10.0.0.1", 64, 1000));
	assert_false(seen(*state, "12345678b", "10.0.0.3", 62, 1001));
	assert_false(seen(*state, "12345678", "10.0.0.3", 62, 1001));
	assert_false(seen(*state, "", "10.0.0.3", 62, 1001));
}

static void after_the_window_it_passes(void **state)
{
	assert_false(seen(*state, "a", "10.0.0.1", 64, 1000));
	assert_false(seen(*state, "a", "10.0.0.3", 62, 1250));
}

static void the_clock_may_wrap(void **state)
{
	assert_false(seen(*state, "a", "10.0.0.1", 64, UINT32_MAX - 1));
	assert_true(seen(*state, "a", "10.0.0.3", 62, 5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_comes_back_is_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(what_its_sender_repeats_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(another_sender_as_near_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(another_payload_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(after_the_window_it_passes, setup, teardown),
		cmocka_unit_test_setup_teardown(the_clock_may_wrap, setup, teardown),
	};

	return cmocka_run_group_tests_name("loop_guard", tests, NULL, NULL);
}
