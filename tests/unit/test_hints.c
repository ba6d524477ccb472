/* When the log has a hint about a group that receives nothing: by its own rhythm, by what others
 * receive, with a clock that the test controls. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "groups/group.h"
#include "groups/group_set.h"
#include "groups/hints.h"
#include "net/rp_filter.h"

#define CHECK_S 60
#define GROUPS 10000

static uint64_t ahead_ns; /* of the real clock */

/* Instead of libc's; libevent's timers go by it, too. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	long r = syscall(SYS_clock_gettime, clock, ret);

	*ret = ns_timespec(timespec_ns(ret) + ahead_ns);
	return (int)r;
}

/* ---- The rhythm ---- */

/* Checks each minute for a time. In each period of seconds, count datagrams come. Returns when
 * it ends. */
static uint32_t run(struct quiet *quiet, uint32_t from_s, uint32_t to_s, uint32_t period_s,
	uint64_t count, uint64_t *received)
{
	for (uint32_t now = from_s; now < to_s; now += CHECK_S) {
		*received += (now / period_s - (now - CHECK_S) / period_s) * count;
		quiet_check(quiet, *received, now);
	}
	return to_s;
}

/* After how many seconds without a datagram it counts as stopped, in checks of a minute. */
static uint32_t stops_after(const struct quiet *quiet)
{
	for (uint32_t s = 0; s < 1000000; s += CHECK_S)
		if (quiet_state(quiet, quiet->since_s + s) == QUIET_STOPPED)
			return s;
	return UINT32_MAX;
}

static void what_never_received_is_quiet_after_a_minute(void **state)
{
	struct quiet quiet = {0};

	(void)state;
	quiet_begin(&quiet, 0, 1000);
	assert_false(quiet_check(&quiet, 0, 1050));
	assert_int_equal(quiet_state(&quiet, 1054), QUIET_NOT);
	assert_int_equal(quiet_state(&quiet, 1059), QUIET_NEVER);
	assert_true(quiet_check(&quiet, 1, 1070));
	assert_int_equal(quiet_state(&quiet, 1071), QUIET_NOT);
	assert_int_equal(quiet_state(&quiet, 100000), QUIET_NOT); /* one datagram is no rhythm */
}

static void an_earlier_run_that_received_is_not_never(void **state)
{
	struct quiet quiet = {0};

	(void)state;
	quiet_begin(&quiet, 7, 1000);
	assert_int_equal(quiet_state(&quiet, 5000), QUIET_NOT);
}

static void a_steady_stream_stops_after_a_minute(void **state)
{
	struct quiet quiet = {0};
	uint64_t received = 0;

	(void)state;
	quiet_begin(&quiet, 0, 1000);
	run(&quiet, 1060, 1600, 1, 25, &received);
	assert_int_equal(stops_after(&quiet), CHECK_S);
}

static void announcements_may_be_late_by_many_times_their_period(void **state)
{
	struct quiet quiet = {0};
	uint64_t received = 0;

	(void)state;
	quiet_begin(&quiet, 0, 1000);
	run(&quiet, 1060, 10000, 300, 1, &received);
	assert_in_range(stops_after(&quiet), 20 * 300, 20 * 360);
	run(&quiet, 10000, 20000, 10, 1, &received); /* the rhythm has changed */
	assert_in_range(stops_after(&quiet), 20 * 10, 20 * 15);
}

static void a_long_pause_is_forgotten_after_a_while(void **state)
{
	struct quiet quiet = {0};
	uint64_t received = 0;

	(void)state;
	quiet_begin(&quiet, 0, 1000);
	run(&quiet, 1060, 2000, 1, 25, &received);
	run(&quiet, 10010, 10070, 1, 25, &received); /* after eight thousand seconds */
	assert_true(stops_after(&quiet) > 3600);
	run(&quiet, 10070, 13000, 1, 25, &received);
	assert_int_equal(stops_after(&quiet), CHECK_S);
}

/* ---- The choice ---- */

static void others_that_receive_make_it_strange(void **state)
{
	struct hint_facts facts = {.state = QUIET_NOT, .others_receive = true};

	(void)state;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
	facts.state = QUIET_NEVER;
	assert_int_equal(hint_choose(&facts), HINT_NEVER);
	facts.state = QUIET_STOPPED;
	assert_int_equal(hint_choose(&facts), HINT_STOPPED);
	facts.group_receives = true;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
}

static void where_all_is_quiet_only_what_never_received_is_told(void **state)
{
	struct hint_facts facts = {.state = QUIET_STOPPED};

	(void)state;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
	facts.state = QUIET_NEVER;
	assert_int_equal(hint_choose(&facts), HINT_ALONE);
	facts.told = HINT_ALONE;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
}

static void a_better_reason_is_told_too_but_not_within_the_hour(void **state)
{
	struct hint_facts facts = {
		.state = QUIET_NEVER, .others_receive = true, .told = HINT_ALONE};

	(void)state;
	assert_int_equal(hint_choose(&facts), HINT_NEVER);
	facts.was_lately = true;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
	facts.was_lately = false;
	facts.told = HINT_NEVER;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
	facts.rp_filter_drops = true;
	assert_int_equal(hint_choose(&facts), HINT_RP_FILTER);
}

static void rp_filter_is_told_wherever_nothing_comes(void **state)
{
	struct hint_facts facts = {
		.state = QUIET_STOPPED, .rp_filter_drops = true, .is_told_otherwise = true};

	(void)state;
	assert_int_equal(hint_choose(&facts), HINT_RP_FILTER);
	facts.state = QUIET_NOT;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
}

static void what_expects_something_is_told_by_that(void **state)
{
	struct hint_facts facts = {
		.state = QUIET_NEVER, .others_receive = true, .is_told_otherwise = true};

	(void)state;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
	facts.others_receive = false;
	assert_int_equal(hint_choose(&facts), HINT_NONE);
}

/* ---- The counter of the kernel ---- */

static void the_counter_is_found_by_its_name(void **state)
{
	uint64_t value;

	(void)state;
	assert_int_equal(rp_filter_parse("IpExt: A B\nIpExt: 1 2\nTcpExt: SyncookiesSent "
					 "IPReversePathFilter Other\nTcpExt: 5 123456789012 7\n",
				 &value),
		0);
	assert_true(value == 123456789012);
	assert_int_equal(rp_filter_dropped(&value), 0);
}

static void a_text_without_it_has_no_counter(void **state)
{
	static const char *const texts[] = {"", "\n", "TcpExt:", "TcpExt: IPReversePathFilter\n",
		"TcpExt: A\nTcpExt: 1\n", "TcpExt: A IPReversePathFilter\nTcpExt: 1\n",
		"TcpExt: IPReversePathFilter\nTcpExt: x\n",
		"TcpExt: xIPReversePathFilter IPReversePathFilters\nTcpExt: 1 2\n",
		"TcpExt: A B\nTcpExt: 1 2\nTcpExt: IPReversePathFilter\nTcpExt: 3\n"};
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		assert_int_equal(rp_filter_parse(texts[i], &value), -ENODATA);
	assert_int_equal(value, 7);
}

/* ---- All together ---- */

static struct group_set set;
static struct hints *hints;
static struct transitions *transitions;
static struct event_base *base;
static struct group groups[GROUPS];
static struct config_group configs[GROUPS];
static struct group_counters group_counters[GROUPS];
static struct membership_counters counters[GROUPS];
static struct membership memberships[GROUPS];
static struct membership *items[GROUPS];
static struct origin *eth0;
static int log_pipe[2], old_stderr;
static unsigned passed_s;

/* Each group of the count has one membership on eth0, where it is joined now. */
static void make(unsigned count)
{
	memset(groups, 0, sizeof(groups));
	memset(configs, 0, sizeof(configs));
	memset(counters, 0, sizeof(counters));
	memset(memberships, 0, sizeof(memberships));
	base = event_base_new();
	set = (struct group_set){calloc(count, sizeof(*set.items)), count};
	eth0 = origin_new("g", &(struct address){.family = AF_INET}, 1, "eth0", 2);
	for (unsigned i = 0; i < count; i++) {
		configs[i].name = "g";
		assert_int_equal(address_parse("233.252.0.1", &configs[i].address), 0);
		memberships[i].group = &groups[i];
		memberships[i].counters = &counters[i];
		memberships[i].origin = eth0;
		memberships[i].interface = "eth0";
		hint_begin(&memberships[i].hint, 0);
		items[i] = &memberships[i];
		groups[i].config = &configs[i];
		groups[i].counters = &group_counters[i];
		groups[i].memberships.items = &items[i];
		groups[i].memberships.count = 1;
		set.items[i] = &groups[i];
	}
	passed_s = 0;
	transitions = transitions_new("mcastctl");
	hints = hints_new(base, &set, transitions);
	assert_non_null(hints);
	assert_int_equal(pipe2(log_pipe, O_NONBLOCK), 0);
	old_stderr = dup(STDERR_FILENO);
	dup2(log_pipe[1], STDERR_FILENO);
}

static void clear(void)
{
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(log_pipe[0]);
	close(log_pipe[1]);
	hints_free(hints);
	transitions_free(transitions);
	event_base_free(base);
	origin_unref(eth0);
	free(set.items);
}

static const char *logged(void)
{
	static char text[65536];
	ssize_t n = read(log_pipe[0], text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* In steps, each of which has the first group receive some. */
static void pass(unsigned seconds, uint64_t received)
{
	for (unsigned s = 0; s < seconds; s += 10) {
		counters[0].received += received;
		ahead_ns += 10 * NS_PER_S;
		if ((passed_s += 10) % CHECK_S == 0)
			hints_check(hints);
		for (int i = 0; i < 5; i++) {
			ahead_ns += 2 * NS_PER_MS; /* the portions rest */
			event_base_loop(base, EVLOOP_NONBLOCK);
		}
	}
}

static void a_group_beside_one_that_receives_is_told_of_once(void **state)
{
	(void)state;
	make(2);
	configs[0].name = "busy";
	configs[1].name = "missed";
	pass(50, 1);
	assert_string_equal(logged(), "");
	pass(60, 1);
	assert_string_equal(logged(),
		"group missed: no datagram yet on eth0, while other groups receive there; "
		"to find out why: mcastctl doctor missed\n");
	pass(4 * 3600, 1);
	assert_string_equal(logged(), "");
	clear();
}

/* The second group receives, too. */
static void stream(unsigned seconds)
{
	for (unsigned s = 0; s < seconds; s += 10) {
		counters[1].received += 250;
		pass(10, 1);
	}
}

static void a_group_that_stops_is_told_of_at_most_once_an_hour(void **state)
{
	static const char line[] =
		"group feed: no datagrams any more on eth0, while other groups receive there; to "
		"find out why: mcastctl doctor feed\n";

	(void)state;
	make(2);
	configs[1].name = "feed";
	stream(300);
	assert_string_equal(logged(), "");
	pass(300, 1);
	assert_string_equal(logged(), line);
	stream(1800); /* until that pause is forgotten */
	pass(300, 1);
	assert_string_equal(logged(), "");
	stream(3600);
	pass(300, 1);
	assert_string_equal(logged(), line);
	clear();
}

static void where_all_is_quiet_a_stream_that_ends_is_not_told(void **state)
{
	(void)state;
	make(1);
	pass(300, 1);
	pass(24 * 3600, 0);
	assert_string_equal(logged(), "");
	clear();
}

static void what_is_named_is_told_although_it_comes_by_another_interface(void **state)
{
	struct membership *both[] = {&memberships[0], &memberships[1]};
	char *named[] = {"eth0"};

	(void)state;
	make(2);
	set.count = 1; /* one group with two memberships */
	groups[0].memberships.items = both;
	groups[0].memberships.count = 2;
	memberships[1].group = &groups[0];
	group_counters[0].received = 1;
	pass(300, 1);
	assert_string_equal(logged(), "");
	configs[0].interfaces.items = named;
	configs[0].interfaces.count = 1;
	pass(60, 1);
	assert_non_null(strstr(logged(), "group g: no datagram yet on eth0, while"));
	group_counters[0].received = 0;
	clear();
}

static uint64_t cpu_ns(void)
{
	struct timespec time;

	syscall(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &time);
	return timespec_ns(&time);
}

static void ten_thousand_groups_have_one_line_and_take_some_milliseconds(void **state)
{
	uint64_t begun;
	unsigned checks = 0;
	const char *line;

	(void)state;
	make(GROUPS);
	begun = cpu_ns();
	/* On a busy machine a portion is short, and a check takes many. */
	do {
		pass(CHECK_S, 1);
		checks++;
	} while (!*(line = logged()) && checks < 1000);
	assert_string_equal(line,
		"eth0: 9999 groups have received no datagram yet, while other groups receive "
		"there; to find out why: mcastctl doctor\n");
	assert_in_range((cpu_ns() - begun) / checks, 0, 100 * NS_PER_MS);
	pass(3600, 1);
	assert_string_equal(logged(), "");
	clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_never_received_is_quiet_after_a_minute),
		cmocka_unit_test(an_earlier_run_that_received_is_not_never),
		cmocka_unit_test(a_steady_stream_stops_after_a_minute),
		cmocka_unit_test(announcements_may_be_late_by_many_times_their_period),
		cmocka_unit_test(a_long_pause_is_forgotten_after_a_while),
		cmocka_unit_test(others_that_receive_make_it_strange),
		cmocka_unit_test(where_all_is_quiet_only_what_never_received_is_told),
		cmocka_unit_test(a_better_reason_is_told_too_but_not_within_the_hour),
		cmocka_unit_test(rp_filter_is_told_wherever_nothing_comes),
		cmocka_unit_test(what_expects_something_is_told_by_that),
		cmocka_unit_test(the_counter_is_found_by_its_name),
		cmocka_unit_test(a_text_without_it_has_no_counter),
		cmocka_unit_test(a_group_beside_one_that_receives_is_told_of_once),
		cmocka_unit_test(a_group_that_stops_is_told_of_at_most_once_an_hour),
		cmocka_unit_test(where_all_is_quiet_a_stream_that_ends_is_not_told),
		cmocka_unit_test(what_is_named_is_told_although_it_comes_by_another_interface),
		cmocka_unit_test(ten_thousand_groups_have_one_line_and_take_some_milliseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
