#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "data/filter.h"

/* A filter whose keys have these values: name, value, name, value, ..., NULL. */
static struct filter make_filter(const char *const *keys)
{
	struct config_filter config = {0};
	struct filter filter;
	char why[WHY_MAX];

	assert_int_equal(schema_defaults(&filter_schema, &config), 0);
	for (; *keys; keys += 2)
		if (schema_set(&filter_schema, &config, keys[0], keys[1], why) < 0)
			fail_msg("%s: %s", keys[0], why);
	assert_int_equal(filter_init(&filter, &config), 0);
	schema_clear(&filter_schema, &config);
	return filter;
}

#define FILTER(...) make_filter((const char *const[]){__VA_ARGS__, NULL})

static struct datagram make_datagram(const char *payload, const char *source)
{
	struct datagram datagram = {
		.payload = (const uint8_t *)payload, .size = (uint32_t)strlen(payload)};
	struct address address;

	assert_int_equal(address_parse(source, &address), 0);
	address_to_endpoint(&address, 4000, 0, &datagram.source);
	return datagram;
}

static bool passes(struct filter *filter, const char *payload, const char *source)
{
	struct datagram datagram = make_datagram(payload, source), passed[BATCH_MAX];
	struct batch batch = {.count = 1, .datagrams = &datagram};
	struct filtered rejected;
	unsigned count = filter_apply(filter, &batch, 1000 * NS_PER_S, passed, &rejected);

	assert_int_equal(count + rejected.filtered + rejected.over_rate, 1);
	return count;
}

/* How many of count equal datagrams pass at this time. */
static unsigned pass_at(struct filter *filter, uint64_t now_ns, unsigned count)
{
	struct datagram datagrams[BATCH_MAX], passed[BATCH_MAX];
	struct batch batch = {.count = count, .datagrams = datagrams};
	struct filtered rejected;
	unsigned through;

	for (unsigned i = 0; i < count; i++)
		datagrams[i] = make_datagram("x", "192.0.2.1");
	through = filter_apply(filter, &batch, now_ns, passed, &rejected);
	assert_int_equal(through + rejected.filtered + rejected.over_rate, count);
	return through;
}

static void without_keys_everything_passes(void **state)
{
	struct filter filter = FILTER(NULL);

	(void)state;
	assert_true(filter.is_open);
	assert_int_equal(filter_needs(&filter), 0);
	filter_clear(&filter);
}

static void only_listed_sources_pass(void **state)
{
	struct filter filter = FILTER(
		"filter.sources", "10.1.0.0/17", "filter.sources", "2001:db8::/33");

	(void)state;
	assert_int_equal(filter_needs(&filter), NEED_SOURCE);
	assert_true(passes(&filter, "x", "10.1.127.255"));
	assert_false(passes(&filter, "x", "10.1.128.0"));
	assert_true(passes(&filter, "x", "2001:db8:7fff::1"));
	assert_false(passes(&filter, "x", "2001:db8:8000::1"));
	filter_clear(&filter);
}

static void blocked_sources_do_not_pass(void **state)
{
	struct filter filter = FILTER(
		"filter.sources", "10.0.0.0/8", "filter.block_sources", "10.0.0.7");

	(void)state;
	assert_true(passes(&filter, "x", "10.0.0.6"));
	assert_false(passes(&filter, "x", "10.0.0.7"));
	filter_clear(&filter);
}

static void sizes_are_inclusive(void **state)
{
	struct filter filter = FILTER("filter.min_size", "2", "filter.max_size", "3");

	(void)state;
	assert_false(passes(&filter, "1", "192.0.2.1"));
	assert_true(passes(&filter, "12", "192.0.2.1"));
	assert_true(passes(&filter, "123", "192.0.2.1"));
	assert_false(passes(&filter, "1234", "192.0.2.1"));
	filter_clear(&filter);
}

static void a_text_prefix_is_compared(void **state)
{
	struct filter filter = FILTER("filter.prefix", "MC");

	(void)state;
	assert_true(passes(&filter, "MCAST", "192.0.2.1"));
	assert_true(passes(&filter, "MC", "192.0.2.1"));
	assert_false(passes(&filter, "M", "192.0.2.1"));
	assert_false(passes(&filter, "XMC", "192.0.2.1"));
	filter_clear(&filter);
}

static void a_hexadecimal_prefix_is_compared(void **state)
{
	struct filter filter = FILTER("filter.prefix", "0x4d01FF");

	(void)state;
	assert_true(passes(&filter, "M\x01\xff...", "192.0.2.1"));
	assert_false(passes(&filter, "0x4d01FF", "192.0.2.1"));
	filter_clear(&filter);
}

static void all_conditions_must_hold(void **state)
{
	struct filter filter = FILTER("filter.match", "u8@0 == 77", "filter.match", "contains CAST",
		"filter.min_size", "6");

	(void)state;
	assert_true(passes(&filter, "MxCAST", "192.0.2.1"));
	assert_false(passes(&filter, "MCAST", "192.0.2.1"));
	assert_false(passes(&filter, "XxCAST", "192.0.2.1"));
	assert_false(passes(&filter, "MxxAST", "192.0.2.1"));
	filter_clear(&filter);
}

static void what_not_describes_is_returned_out(void **state)
{
	struct filter filter = FILTER(
		"filter.not.prefix", "ALARM", "filter.not.sources", "192.0.2.1");

	(void)state;
	assert_false(passes(&filter, "ALARM 1", "192.0.2.1"));
	assert_true(passes(&filter, "ALARM 1", "192.0.2.2"));
	assert_true(passes(&filter, "news", "192.0.2.1"));
	filter_clear(&filter);
}

static void not_comes_after_what_is_asked_for(void **state)
{
	struct filter filter = FILTER("filter.prefix", "A", "filter.not.match", "contains B");

	(void)state;
	assert_true(passes(&filter, "AC", "192.0.2.1"));
	assert_false(passes(&filter, "AB", "192.0.2.1"));
	assert_false(passes(&filter, "C", "192.0.2.1"));
	filter_clear(&filter);
}

static void one_in_so_many_is_a_sample(void **state)
{
	struct filter filter = FILTER("sample", "10");
	unsigned passed = 0;

	(void)state;
	for (unsigned i = 0; i < 10; i++)
		passed += pass_at(&filter, 0, 37);
	assert_int_equal(passed, 37);
	filter_clear(&filter);
}

static void a_rate_lets_its_burst_through_and_then_its_pace(void **state)
{
	struct filter filter = FILTER("rate", "100/s", "burst", "5");
	uint64_t now = 1000 * NS_PER_S;

	(void)state;
	assert_int_equal(pass_at(&filter, now, 60), 5);
	assert_int_equal(pass_at(&filter, now + 9 * NS_PER_MS, 60), 0);
	assert_int_equal(pass_at(&filter, now + 10 * NS_PER_MS, 60), 1);
	assert_int_equal(pass_at(&filter, now + 40 * NS_PER_MS, 60), 3);
	assert_int_equal(pass_at(&filter, now + 10 * NS_PER_S, 60), 5);
	filter_clear(&filter);
}

static void without_burst_a_second_may_come_at_once(void **state)
{
	struct filter filter = FILTER("rate", "30/s");

	(void)state;
	assert_int_equal(pass_at(&filter, 1000 * NS_PER_S, 60), 30);
	filter_clear(&filter);
}

static void a_slow_rate_lets_one_through(void **state)
{
	struct filter filter = FILTER("rate", "1/m");

	(void)state;
	assert_int_equal(pass_at(&filter, 1000 * NS_PER_S, 60), 1);
	assert_int_equal(pass_at(&filter, 1059 * NS_PER_S, 60), 0);
	assert_int_equal(pass_at(&filter, 1060 * NS_PER_S, 60), 1);
	filter_clear(&filter);
}

static void what_is_filtered_costs_nothing_of_the_rate(void **state)
{
	struct filter filter = FILTER("rate", "1/s", "burst", "1", "filter.prefix", "y");

	(void)state;
	assert_int_equal(pass_at(&filter, 1000 * NS_PER_S, 60), 0);
	assert_true(passes(&filter, "y", "192.0.2.1"));
	filter_clear(&filter);
}

static void a_huge_burst_does_not_overflow(void **state)
{
	struct filter filter = FILTER("rate", "1/d", "burst", "1000000000");

	(void)state;
	assert_int_equal(pass_at(&filter, 1000 * NS_PER_S, 60), 60);
	filter_clear(&filter);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_keys_everything_passes),
		cmocka_unit_test(only_listed_sources_pass),
		cmocka_unit_test(blocked_sources_do_not_pass),
		cmocka_unit_test(sizes_are_inclusive),
		cmocka_unit_test(a_text_prefix_is_compared),
		cmocka_unit_test(a_hexadecimal_prefix_is_compared),
		cmocka_unit_test(all_conditions_must_hold),
		cmocka_unit_test(what_not_describes_is_returned_out),
		cmocka_unit_test(not_comes_after_what_is_asked_for),
		cmocka_unit_test(one_in_so_many_is_a_sample),
		cmocka_unit_test(a_rate_lets_its_burst_through_and_then_its_pace),
		cmocka_unit_test(without_burst_a_second_may_come_at_once),
		cmocka_unit_test(a_slow_rate_lets_one_through),
		cmocka_unit_test(what_is_filtered_costs_nothing_of_the_rate),
		cmocka_unit_test(a_huge_burst_does_not_overflow),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
