/* When groups are silent, with a clock that the test controls. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "data/notice.h"
#include "groups/group.h"
#include "range.h"

#define GROUPS 10000

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
	uint64_t last_ns; /* how long the last one was silent */
} told;

static void take_notice(struct notice_sink *sink, const struct notice *notice)
{
	(void)sink;
	assert_int_equal(notice->kind, NOTICE_SILENCE);
	told.begins += notice->state == NOTICE_BEGIN;
	told.ends += notice->state == NOTICE_END;
	told.last_ns = notice->nanoseconds;
}

static struct notice_sink sink = {.take = take_notice};
static struct group_context context;
static struct config_group second = {.name = "second", .expect_within = NS_PER_S};
static struct config_group minute = {.name = "minute", .expect_within = 60 * NS_PER_S};
static struct config_group none = {.name = "none"};

static int begin(void **state)
{
	(void)state;
	memset(&told, 0, sizeof(told));
	context = (struct group_context){.base = event_base_new(), .mcastctl = "mcastctl"};
	assert_int_equal(counters_open(-1, &context.counters), 0);
	context.silences = silences_new(context.base, &sink);
	return context.silences ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	silences_free(context.silences);
	counters_free(context.counters);
	event_base_free(context.base);
	return 0;
}

static struct group *watched(const struct config_group *config)
{
	struct group *group;

	assert_int_equal(group_new(&context, config, NULL, &group), 0);
	silence_watch(group);
	return group;
}

static void pass(uint64_t ns)
{
	ahead_ns += ns;
	event_base_loop(context.base, EVLOOP_NONBLOCK);
}

static void a_group_is_silent_after_its_time_and_at_most_100_ms_later(void **state)
{
	struct group *group = watched(&second);

	(void)state;
	pass(990 * NS_PER_MS);
	assert_int_equal(told.begins, 0);
	pass(110 * NS_PER_MS);
	assert_int_equal(told.begins, 1);
	assert_true(group->silence.is_silent);
	assert_in_range(told.last_ns, NS_PER_S, NS_PER_S + 200 * NS_PER_MS);
	pass(10 * NS_PER_S);
	assert_int_equal(told.begins, 1);
	group_free(group);
}

static void a_datagram_ends_it_and_the_time_counts_again(void **state)
{
	struct group *group = watched(&second);

	(void)state;
	pass(5 * NS_PER_S);
	silence_heard(&group->silence);
	assert_int_equal(told.ends, 1);
	assert_in_range(told.last_ns, 5 * NS_PER_S - 50 * NS_PER_MS, 6 * NS_PER_S);
	pass(990 * NS_PER_MS);
	assert_false(group->silence.is_silent);
	pass(110 * NS_PER_MS);
	assert_true(group->silence.is_silent);
	assert_int_equal(told.begins, 2);
	group_free(group);
}

static void a_group_that_receives_is_never_silent(void **state)
{
	struct group *group = watched(&second);

	(void)state;
	for (int i = 0; i < 100; i++) {
		pass(900 * NS_PER_MS);
		silence_heard(&group->silence);
	}
	assert_int_equal(told.begins + told.ends, 0);
	group_free(group);
}

static void a_group_without_the_key_is_not_watched(void **state)
{
	struct group *group = watched(&none);

	(void)state;
	silence_heard(&group->silence);
	pass(3600 * NS_PER_S);
	assert_int_equal(told.begins, 0);
	group_free(group);
}

static void joining_once_more_does_not_count_anew(void **state)
{
	struct group *group = watched(&second);

	(void)state;
	pass(900 * NS_PER_MS);
	silence_watch(group);
	pass(200 * NS_PER_MS);
	assert_int_equal(told.begins, 1);
	group_free(group);
}

static void a_group_that_goes_ends_its_silence_and_no_other(void **state)
{
	struct group *gone = watched(&second), *group = watched(&second), *quiet = watched(&minute);

	(void)state;
	pass(2 * NS_PER_S);
	assert_int_equal(told.begins, 2);
	group_free(gone);
	assert_int_equal(told.ends, 1);
	group_free(quiet); /* it was not silent */
	assert_int_equal(told.ends, 1);
	assert_true(group->silence.is_silent);
	group_free(group);
}

static void what_replaces_a_group_goes_on_with_its_time(void **state)
{
	struct group *group = watched(&second), *next;

	(void)state;
	assert_int_equal(group_new(&context, &second, group, &next), 0);
	pass(900 * NS_PER_MS);
	silence_inherit(next, group);
	next->shares_counters = false;
	group->shares_counters = true;
	group_free(group);
	pass(200 * NS_PER_MS);
	assert_true(next->silence.is_silent);
	assert_int_equal(told.begins, 1);
	group_free(next);
}

/* The loop was held up: what is queued is read before anything is said. */
static void a_group_whose_socket_has_datagrams_is_not_silent_yet(void **state)
{
	struct group *group = watched(&second);
	struct membership membership = {0}, *items[] = {&membership};
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	membership.fd = pair[0];
	group->memberships.items = items;
	group->memberships.count = 1;
	assert_int_equal(write(pair[1], "x", 1), 1);
	pass(5 * NS_PER_S);
	assert_false(group->silence.is_silent);
	silence_heard(&group->silence); /* it was read */
	pass(900 * NS_PER_MS);
	assert_false(group->silence.is_silent);
	pass(200 * NS_PER_MS); /* what stays unread does not hold it off for ever */
	pass(60 * NS_PER_MS);
	assert_true(group->silence.is_silent);
	group->memberships.items = NULL;
	group->memberships.count = 0;
	close(pair[0]);
	close(pair[1]);
	group_free(group);
}

/* Each with a time of its own, in any order. */
static void ten_thousand_groups_are_silent_each_at_its_time(void **state)
{
	static struct config_group configs[GROUPS];
	static struct group *groups[GROUPS];

	(void)state;
	for (unsigned i = 0; i < GROUPS; i++) {
		configs[i] = (struct config_group){
			.name = "g", .expect_within = (1 + i * 7919ull % GROUPS) * NS_PER_S};
		groups[i] = watched(&configs[i]);
	}
	pass(20 * NS_PER_MS); /* the ticks of the coarse clock */
	for (unsigned step = 1; step <= 100; step++) {
		for (unsigned i = 0; i < GROUPS / 100; i++)
			pass(NS_PER_S);
		assert_in_range(told.begins, step * GROUPS / 100, step * GROUPS / 100 + 20);
	}
	for (unsigned i = 0; i < GROUPS; i++)
		group_free(groups[i]);
	assert_int_equal(told.ends, GROUPS);
}

static void ten_thousand_groups_that_are_silent_at_once_take_several_turns(void **state)
{
	static struct group *groups[GROUPS];
	unsigned turns = 0;

	(void)state;
	for (unsigned i = 0; i < GROUPS; i++)
		groups[i] = watched(&second);
	for (ahead_ns += 2 * NS_PER_S; told.begins < GROUPS; turns++)
		event_base_loop(context.base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	assert_in_range(turns, 10, 100);
	for (unsigned i = 0; i < GROUPS; i++)
		group_free(groups[i]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_group_is_silent_after_its_time_and_at_most_100_ms_later),
		TEST(a_datagram_ends_it_and_the_time_counts_again),
		TEST(a_group_that_receives_is_never_silent),
		TEST(a_group_without_the_key_is_not_watched),
		TEST(joining_once_more_does_not_count_anew),
		TEST(a_group_that_goes_ends_its_silence_and_no_other),
		TEST(what_replaces_a_group_goes_on_with_its_time),
		TEST(a_group_whose_socket_has_datagrams_is_not_silent_yet),
		TEST(ten_thousand_groups_are_silent_each_at_its_time),
		TEST(ten_thousand_groups_that_are_silent_at_once_take_several_turns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
