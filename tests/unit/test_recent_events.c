/* The last events for the status page. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "http/recent_events.h"

static struct events_watcher *watcher;

/* Instead of that of the events: the test tells them itself. */
void events_watch(struct events *events, struct events_watcher *new_watcher)
{
	(void)events;
	watcher = new_watcher;
}

static struct events *const events = (struct events *)&watcher;

static void tell(unsigned number)
{
	char group[16];
	const struct notice notice = {
		.kind = NOTICE_MEMBERSHIP, .group = group, .text = "for the log"};

	snprintf(group, sizeof(group), "g%u", number);
	watcher->told(watcher, &notice, number);
}

static void the_last_ones_are_kept_the_oldest_first(void **state)
{
	struct recent_events recent = {0};

	(void)state;
	recent_events_begin(&recent, events);
	assert_null(recent_events_at(&recent, 0));
	for (unsigned i = 1; i <= 3; i++)
		tell(i);
	assert_string_equal(recent_events_at(&recent, 0)->notice->group, "g1");
	assert_int_equal(recent_events_at(&recent, 2)->happened_ns, 3);
	assert_null(recent_events_at(&recent, 3));
	for (unsigned i = 4; i <= RECENT_EVENTS_MAX + 2; i++)
		tell(i);
	assert_string_equal(recent_events_at(&recent, 0)->notice->group, "g3");
	assert_null(recent_events_at(&recent, 0)->notice->text);
	assert_int_equal(recent_events_at(&recent, RECENT_EVENTS_MAX - 1)->happened_ns,
		RECENT_EVENTS_MAX + 2);
	recent_events_end(&recent);
}

static void at_the_end_all_are_forgotten_and_none_is_returned(void **state)
{
	struct recent_events recent = {0};

	(void)state;
	recent_events_begin(&recent, events);
	tell(1);
	recent_events_begin(&recent, events);
	assert_non_null(recent_events_at(&recent, 0));
	recent_events_end(&recent);
	assert_null(watcher);
	assert_null(recent_events_at(&recent, 0));
	recent_events_end(&recent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_ones_are_kept_the_oldest_first),
		cmocka_unit_test(at_the_end_all_are_forgotten_and_none_is_returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
