/* The limits of events, with a clock that the test controls: what is told when, and what it stands
 * for. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/config.h"
#include "groups/events.h"
#include "handlers/handler.h"
#include "range.h"

static uint64_t ahead_ns; /* of the real clock */

/* Instead of libc's; libevent's timers go by it, too. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	long r = syscall(SYS_clock_gettime, clock, ret);

	*ret = ns_timespec(timespec_ns(ret) + ahead_ns);
	return (int)r;
}

static struct event_base *base;
static struct counters *counters;
static struct store *store;
static struct config *config;
static struct handlers *handlers;
static struct groups *groups;
static struct events *events;

/* What was told since told_clear(). */
static struct {
	unsigned count;
	uint64_t weight; /* the sum of the members count */
	unsigned sums;
	char last[1024];
} told;

static uint64_t number_of(const char *json, const char *member)
{
	const char *at = strstr(json, member);

	return at ? strtoull(at + strlen(member), NULL, 10) : 0;
}

static void deliver(struct outlet *outlet, const struct batch *batch)
{
	(void)outlet;
	for (unsigned i = 0; i < batch->count; i++) {
		const struct datagram *datagram = &batch->datagrams[i];

		assert_in_range(datagram->size, 1, sizeof(told.last) - 1);
		memcpy(told.last, datagram->payload, datagram->size);
		told.last[datagram->size] = '\0';
		told.count++;
		if (strstr(told.last, "\"suppressed\""))
			told.sums++;
		else
			told.weight += number_of(told.last, "\"count\":");
	}
}

static struct outlet outlet = {.deliver = deliver};

static int begin(void **state)
{
	struct errors errors = {0};
	struct handlers_plan *handlers_plan;
	int r;

	(void)state;
	memset(&told, 0, sizeof(told));
	base = event_base_new();
	assert_int_equal(counters_open(-1, &counters), 0);
	assert_int_equal(store_new(NULL, &store), 0);
	assert_int_equal(config_load(NULL, handler_config_kinds(), &errors, &config), 0);
	events = events_new(base);
	handlers = handlers_new(&(struct handler_context){.counters = counters});
	groups = groups_new(&(struct groups_setup){.base = base,
		.counters = counters,
		.store = store,
		.notices = events_sink(events)});
	assert_true(events && handlers && groups);
	assert_int_equal(handlers_plan_new(handlers, NULL, config, &handlers_plan), 0);
	while ((r = handlers_prepare(handlers_plan, &errors)) > 0)
		;
	assert_int_equal(r, 0);
	assert_int_equal(groups_begin_change(groups, config, handlers_plan, true), 0);
	while ((r = groups_prepare(groups, &errors)) > 0)
		;
	assert_int_equal(r, 0);
	while (handlers_commit(handlers_plan))
		;
	while (groups_commit(groups))
		;
	while (handlers_retire(handlers_plan, 0))
		;
	events_begin(events, groups);
	assert_int_equal(group_attach(groups_find(groups, EVENTS_GROUP), &outlet), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	events_end(events);
	groups_free(groups);
	assert_int_equal(handlers_free(handlers, clock_ns(CLOCK_MONOTONIC) + NS_PER_S), 0);
	events_free(events);
	config_free(config);
	store_free(store);
	counters_free(counters);
	event_base_free(base);
	return 0;
}

/* Tells what is due after so much time. */
static void pass(uint64_t ns)
{
	ahead_ns += ns;
	event_base_loop(base, EVLOOP_NONBLOCK);
}

static void notice(enum notice_kind kind, enum notice_state state, const char *group)
{
	notice_send(events_sink(events),
		&(struct notice){.kind = kind, .state = state, .group = group, .detail = "joined"});
}

static void silence(enum notice_state state)
{
	notice(NOTICE_SILENCE, state, "news");
}

static void the_first_event_is_told_at_once(void **state)
{
	(void)state;
	notice(NOTICE_MEMBERSHIP, NOTICE_ONCE, "news");
	assert_int_equal(told.count, 0); /* not within the call: its sender may be in a deliver() */
	pass(0);
	assert_int_equal(told.count, 1);
}

static void more_of_a_topic_are_summed_for_a_second(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		notice(NOTICE_MEMBERSHIP, NOTICE_ONCE, "news");
		pass(50 * NS_PER_MS);
	}
	assert_int_equal(told.count, 1);
	pass(NS_PER_S);
	assert_int_equal(told.count, 2);
	assert_int_equal(told.weight, 10);
	pass(10 * NS_PER_S);
	assert_int_equal(told.count, 2);
}

static void topics_do_not_wait_for_each_other(void **state)
{
	(void)state;
	notice(NOTICE_MEMBERSHIP, NOTICE_ONCE, "news");
	notice(NOTICE_MEMBERSHIP, NOTICE_ONCE, "other");
	notice(NOTICE_SILENCE, NOTICE_BEGIN, "news");
	pass(0);
	assert_int_equal(told.count, 3);
}

static void an_end_is_told_at_once(void **state)
{
	(void)state;
	silence(NOTICE_BEGIN);
	pass(0);
	silence(NOTICE_END);
	pass(0);
	assert_int_equal(told.count, 2);
	assert_non_null(strstr(told.last, "\"end\""));
}

static void a_state_that_flaps_is_told_once_a_second_and_last_as_it_is(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) { /* 10 s */
		silence(NOTICE_BEGIN);
		pass(50 * NS_PER_MS);
		silence(NOTICE_END);
		pass(50 * NS_PER_MS);
	}
	assert_in_range(told.count, 9, 12);
	silence(NOTICE_BEGIN);
	pass(3 * NS_PER_S);
	assert_non_null(strstr(told.last, "\"begin\""));
	assert_int_equal(told.weight, 201);
}

static void many_topics_have_a_hundred_events_a_second_and_all_are_told(void **state)
{
	char group[16];

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(group, sizeof(group), "g%d", i);
		notice(NOTICE_SILENCE, NOTICE_BEGIN, group);
	}
	pass(0);
	assert_int_equal(told.count, 100);
	assert_int_equal(told.sums, 1);
	assert_int_equal(number_of(told.last, "\"count\":"), 401);
	pass(900 * NS_PER_MS);
	assert_int_equal(told.count, 100);
	for (int i = 1; i < 6; i++)
		pass(NS_PER_S);
	assert_int_equal(told.weight, 500);
	assert_in_range(told.sums, 5, 6);
}

static void senders_beyond_those_that_are_told_apart_count_as_one(void **state)
{
	struct address source = {.family = AF_INET};

	(void)state;
	for (uint32_t i = 0; i < 5000; i++) {
		source.v4.s_addr = htonl(i);
		notice_send(events_sink(events),
			&(struct notice){
				.kind = NOTICE_RELAY_LOOP, .group = "news", .source = &source});
	}
	for (int i = 0; i < 20; i++)
		pass(NS_PER_S);
	assert_int_equal(told.weight, 5000);
	assert_int_equal(told.count - told.sums, 1024 + 1);
}

static void the_datagrams_of_a_ring_add_up(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++)
		notice_send(events_sink(events),
			&(struct notice){.kind = NOTICE_RELAY_LOOP, .group = "news", .count = 64});
	pass(0);
	assert_int_equal(told.count, 1);
	assert_int_equal(told.weight, 192);
}

static void rates_that_wait_together_are_told_as_the_last_one(void **state)
{
	static const uint64_t counts[] = {7, 30, 0};

	(void)state;
	for (int i = 0; i < 3; i++)
		notice_send(events_sink(events),
			&(struct notice){.kind = NOTICE_RATE, .group = "news", .count = counts[i]});
	pass(0);
	assert_int_equal(told.count, 1);
	assert_non_null(strstr(told.last, "\"count\":0,"));
}

/* What is logged while this passes: the number of lines with the word. */
static unsigned lines_logged(const char *word, uint64_t ns)
{
	int real = dup(STDERR_FILENO), file = memfd_create("log", 0);
	char text[4096] = "";
	unsigned lines = 0;

	dup2(file, STDERR_FILENO);
	pass(ns);
	dup2(real, STDERR_FILENO);
	assert_true(pread(file, text, sizeof(text) - 1, 0) >= 0);
	for (const char *at = text; (at = strstr(at, word)); at++)
		lines++;
	close(real);
	close(file);
	return lines;
}

/* Who sends a notice for each datagram gives a text with some of them only. */
static void a_line_of_the_log_outlives_the_notices_without_one(void **state)
{
	struct notice ring = {.kind = NOTICE_RELAY_LOOP, .group = "news", .level = LOG_WARNING};

	(void)state;
	ring.text = "a ring";
	notice_send(events_sink(events), &ring);
	ring.text = NULL;
	notice_send(events_sink(events), &ring);
	assert_int_equal(lines_logged("a ring (and 1 event", 0), 1);
	notice_send(events_sink(events), &ring);
	assert_int_equal(lines_logged("a ring", NS_PER_S), 0);
	assert_int_equal(told.count, 2);
}

static void while_nobody_listens_nothing_waits(void **state)
{
	struct group *group = groups_find(groups, EVENTS_GROUP);

	(void)state;
	group_detach(group, &outlet);
	notice(NOTICE_MEMBERSHIP, NOTICE_ONCE, "news");
	group_attach(group, &outlet);
	pass(NS_PER_S);
	assert_int_equal(told.count, 0);
}

static unsigned watched;

static void on_told(
	struct events_watcher *watcher, const struct notice *notice, uint64_t happened_ns)
{
	(void)watcher;
	assert_string_equal(notice->group, "news");
	assert_in_range(happened_ns, 1, clock_ns(CLOCK_REALTIME));
	watched++;
}

static void a_watcher_sees_what_nobody_else_hears(void **state)
{
	struct group *group = groups_find(groups, EVENTS_GROUP);
	struct events_watcher watcher = {.told = on_told};

	(void)state;
	watched = 0;
	group_detach(group, &outlet);
	events_watch(events, &watcher);
	notice(NOTICE_MEMBERSHIP, NOTICE_ONCE, "news");
	pass(NS_PER_S);
	assert_int_equal(watched, 1);
	events_watch(events, NULL);
	notice(NOTICE_MEMBERSHIP, NOTICE_ONCE, "news");
	pass(NS_PER_S);
	assert_int_equal(watched, 1);
	group_attach(group, &outlet);
}

static void what_waits_is_told_at_the_end(void **state)
{
	(void)state;
	silence(NOTICE_BEGIN);
	pass(0);
	silence(NOTICE_END);
	pass(0);
	silence(NOTICE_BEGIN);
	events_end(events);
	assert_int_equal(told.count, 3);
	silence(NOTICE_END);
	pass(5 * NS_PER_S);
	assert_int_equal(told.count, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_event_is_told_at_once),
		TEST(more_of_a_topic_are_summed_for_a_second),
		TEST(topics_do_not_wait_for_each_other),
		TEST(an_end_is_told_at_once),
		TEST(a_state_that_flaps_is_told_once_a_second_and_last_as_it_is),
		TEST(many_topics_have_a_hundred_events_a_second_and_all_are_told),
		TEST(senders_beyond_those_that_are_told_apart_count_as_one),
		TEST(the_datagrams_of_a_ring_add_up),
		TEST(rates_that_wait_together_are_told_as_the_last_one),
		TEST(a_line_of_the_log_outlives_the_notices_without_one),
		TEST(while_nobody_listens_nothing_waits),
		TEST(a_watcher_sees_what_nobody_else_hears),
		TEST(what_waits_is_told_at_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
