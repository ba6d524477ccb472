/* The queue of memberships that are reported again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>

#include "base/cleanup.h"
#include "net/report.h"

#define GROUPS 3
#define ROUNDS 40

static struct reports *reports;
static struct event_base *base;
static struct report of_group[GROUPS];
static unsigned ended;

static void add(struct report *report)
{
	struct address group;
	int last = (int)(report - of_group);

	address_parse("233.252.0.1", &group);
	group.v4.s_addr += htonl((uint32_t)last);
	assert_int_equal(report_add(reports, report, &group, 1, false), 0);
}

/* Nothing is joined here: the kernel refuses each of them. */
static int begin(struct report *report, struct multicast_membership *ret)
{
	*ret = (struct multicast_membership){.group = report->group, .ifindex = report->ifindex};
	return -1;
}

static void add_again(struct report *report, const struct report_result *result)
{
	assert_false(result->is_reported);
	assert_true(result->there_r < 0);
	if (++ended == GROUPS * ROUNDS)
		event_base_loopbreak(base);
	else
		add(report);
}

static void a_queue_that_is_never_empty_does_not_grow(void **state)
{
	static const struct report_callbacks callbacks = {begin, add_again};

	(void)state;
	base = event_base_new();
	reports = reports_new(base, &callbacks);
	assert_non_null(reports);
	for (size_t i = 0; i < GROUPS; i++)
		add(&of_group[i]);
	event_base_dispatch(base);
	assert_int_equal(ended, GROUPS * ROUNDS);
	for (size_t i = 0; i < GROUPS; i++) {
		assert_in_range(of_group[i].position, 0, 2 * GROUPS);
		report_cancel(&of_group[i]);
	}
	reports_free(reports);
	event_base_free(base);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_queue_that_is_never_empty_does_not_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
