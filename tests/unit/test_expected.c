/* Which rates are expected, with a clock that the test controls: over what time they are judged,
 * and what is told of it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "data/notice.h"
#include "groups/group.h"
#include "range.h"

static uint64_t ahead_ns; /* of the real clock */

/* Instead of libc's; libevent's timers go by it, too. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	long r = syscall(SYS_clock_gettime, clock, ret);

	*ret = ns_timespec(timespec_ns(ret) + ahead_ns);
	return (int)r;
}

static struct {
	unsigned begins, ends;
	uint64_t count, ns; /* of the last one */
	char text[WHY_MAX], why[WHY_MAX];
} told;

static void take_notice(struct notice_sink *sink, const struct notice *notice)
{
	(void)sink;
	assert_int_equal(notice->kind, NOTICE_RATE);
	told.begins += notice->state == NOTICE_BEGIN;
	told.ends += notice->state == NOTICE_END;
	told.count = notice->count;
	told.ns = notice->nanoseconds;
	snprintf(told.text, sizeof(told.text), "%s", notice->text);
	snprintf(told.why, sizeof(told.why), "%s", notice->why ? notice->why : "");
}

static struct notice_sink sink = {.take = take_notice};
static struct group_context context;
static char *rates[2];
static struct config_group config;
static struct group *group;

static int begin(void **state)
{
	(void)state;
	memset(&told, 0, sizeof(told));
	context = (struct group_context){.base = event_base_new(), .notices = &sink};
	assert_int_equal(counters_open(-1, &context.counters), 0);
	context.expectations = expectations_new(context.base);
	return context.expectations ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	group_free(group);
	group = NULL;
	expectations_free(context.expectations);
	counters_free(context.counters);
	event_base_free(context.base);
	return 0;
}

/* most: NULL: any number is expected. */
static void expect(const char *least, const char *most)
{
	rates[0] = (char *)least;
	rates[1] = (char *)most;
	config = (struct config_group){
		.name = "feed", .expect_rate = {.items = rates, .count = most ? 2 : 1}};
	assert_int_equal(group_new(&context, &config, NULL, &group), 0);
	expected_watch(group);
}

/* Receives this number of datagrams in each second. */
static void receive(unsigned each, unsigned seconds)
{
	for (unsigned i = 0; i < seconds; i++) {
		group->counters->received += each;
		ahead_ns += NS_PER_S;
		event_base_loop(context.base, EVLOOP_NONBLOCK);
	}
}

/* Receives one datagram each this number of seconds. */
static void receive_one_each(unsigned seconds, unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		receive(0, seconds - 1);
		receive(1, 1);
	}
}

static void assert_told(unsigned begins, unsigned ends, const char *text)
{
	assert_int_equal(told.begins, begins);
	assert_int_equal(told.ends, ends);
	assert_string_equal(told.text, text);
}

static void a_fast_rate_is_judged_each_second(void **state)
{
	(void)state;
	expect("50/s", "100/s");
	receive(50, 10);
	assert_told(0, 0, "");
	receive(40, 1);
	assert_told(1, 0, "group feed: 40 datagrams in a second, expected: 50/s to 100/s");
	receive(60, 1);
	assert_told(1, 1, "group feed: the rate is as expected again: 60 datagrams in a second");
	receive(200, 1);
	assert_told(2, 1, "group feed: 200 datagrams in a second, expected: 50/s to 100/s");
}

static void nothing_at_all_is_told_as_none(void **state)
{
	(void)state;
	expect("2/s", NULL);
	receive(0, 1);
	assert_told(1, 0, "group feed: 0 datagrams in a second, expected: 2/s or more");
	assert_int_equal(told.count, 0);
	assert_in_range(told.ns, NS_PER_S, NS_PER_S + 200 * NS_PER_MS);
}

static void one_datagram_more_may_be_of_the_second_before(void **state)
{
	(void)state;
	expect("50/s", "100/s");
	receive(101, 3);
	assert_told(0, 0, "");
}

static void a_slow_rate_is_judged_over_the_time_of_ten_datagrams(void **state)
{
	(void)state;
	expect("30/m", NULL);
	receive(0, 19);
	assert_told(0, 0, "");
	receive(3, 1);
	assert_told(1, 0, "group feed: 3 datagrams in 20s, expected: 30/m or more");
	assert_int_equal(told.count, 3);
	assert_in_range(told.ns, 20 * NS_PER_S, 20 * NS_PER_S + 500 * NS_PER_MS);
	receive_one_each(2, 10);
	assert_told(1, 1, "group feed: the rate is as expected again: 10 datagrams in 20s");
}

static void a_slow_rate_as_it_is_expected_is_no_event(void **state)
{
	(void)state;
	expect("20/m", "30/m");
	receive_one_each(3, 40);
	receive_one_each(2, 60);
	assert_told(0, 0, "");
}

static void more_than_a_slow_rate_is_an_event(void **state)
{
	(void)state;
	expect("20/m", "30/m");
	receive(1, 19);
	assert_told(0, 0, "");
	receive(1, 1);
	assert_told(1, 0, "group feed: 20 datagrams in 20s, expected: 20/m to 30/m");
}

static void at_most_a_slow_rate_needs_no_least(void **state)
{
	(void)state;
	expect("0/s", "1/m");
	receive(0, 600);
	assert_told(0, 0, "");
	receive(1, 600);
	assert_told(1, 0, "group feed: 600 datagrams in 10m, expected: 0/s to 1/m");
}

static void a_slow_least_does_not_hold_up_a_fast_most(void **state)
{
	(void)state;
	expect("1/m", "100/s");
	receive(200, 1);
	assert_told(1, 0, "group feed: 200 datagrams in a second, expected: 1/m to 100/s");
	receive(100, 1);
	assert_told(1, 1, "group feed: the rate is as expected again: 100 datagrams in a second");
}

/* Rates that are no whole number of seconds, and the slowest that there is. */
static void the_time_is_a_whole_number_of_seconds(void **state)
{
	static const struct {
		const char *rate;
		unsigned seconds;
	} periods[] = {{"2/s", 1}, {"1/s", 10}, {"70/m", 9}, {"20/m", 30}, {"7/m", 86},
		{"1/h", 36000}, {"1/d", 864000}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
		expect(periods[i].rate, NULL);
		told.begins = 0;
		receive(0, 1);
		if (periods[i].seconds > 1) {
			assert_int_equal(told.begins, 0);
			ahead_ns += (periods[i].seconds - 3) * NS_PER_S;
			receive(0, 1);
			assert_int_equal(told.begins, 0);
			receive(0, 1);
		}
		assert_int_equal(told.begins, 1);
		group_free(group);
	}
	group = NULL;
}

static void a_group_that_goes_says_why_its_rate_is_told_no_more(void **state)
{
	(void)state;
	expect("50/s", NULL);
	receive(0, 1);
	group->counters->received += 3;
	group_free(group);
	group = NULL;
	assert_told(1, 1,
		"group feed: the group or its expect_rate was changed, while its rate was not as "
		"expected");
	assert_string_equal(told.why, "the group or its expect_rate was changed");
	assert_int_equal(told.count, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_fast_rate_is_judged_each_second),
		TEST(nothing_at_all_is_told_as_none),
		TEST(one_datagram_more_may_be_of_the_second_before),
		TEST(a_slow_rate_is_judged_over_the_time_of_ten_datagrams),
		TEST(a_slow_rate_as_it_is_expected_is_no_event),
		TEST(more_than_a_slow_rate_is_an_event),
		TEST(at_most_a_slow_rate_needs_no_least),
		TEST(a_slow_least_does_not_hold_up_a_fast_most),
		TEST(the_time_is_a_whole_number_of_seconds),
		TEST(a_group_that_goes_says_why_its_rate_is_told_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
