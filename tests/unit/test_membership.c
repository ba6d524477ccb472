/* What a membership counts, with a clock and a kernel that the test controls. It joins on lo;
 * nothing is sent. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "groups/group.h"
#include "range.h"

#define YEARS_56 (56ull * 365 * 24 * 3600)
#define MINUTE_NS (60 * NS_PER_S)

static uint64_t wall_ahead_s, boot_ahead_s; /* the clocks are ahead of the real ones */
static bool meminfo_fails;
static uint32_t drops;

/* Instead of libc's. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	long r = syscall(SYS_clock_gettime, clock, ret);

	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		ret->tv_sec += (time_t)wall_ahead_s;
	else if (clock == CLOCK_BOOTTIME)
		ret->tv_sec += (time_t)boot_ahead_s;
	return (int)r;
}

int getsockopt(int fd, int level, int option, void *value, socklen_t *length)
{
	if (level != SOL_SOCKET || option != SO_MEMINFO)
		return (int)syscall(SYS_getsockopt, fd, level, option, value, length);
	if (meminfo_fails) {
		errno = ENOPROTOOPT;
		return -1;
	}
	memset(value, 0, *length);
	((uint32_t *)value)[*length / sizeof(uint32_t) - 1] = drops; /* SK_MEMINFO_DROPS is last */
	return 0;
}

static struct config_group config = {.name = "news", .port = 5004, .receive_buffer = 65536};
static struct interface lo = {.name = "lo", .flags = IFF_UP};
static struct group_context context;
static struct forgotten forgotten;
static struct group *group;
static struct membership *membership;

static void begin_run(int counters_of_before)
{
	context = (struct group_context){
		.base = event_base_new(), .arena = arena_new(NULL), .forgotten = &forgotten};
	list_init(&context.unicasts);
	list_init(&context.postponed);
	context.rounds = rounds_new(context.base, &membership_round_callbacks);
	assert_non_null(context.rounds);
	assert_int_equal(store_new(NULL, &context.store), 0);
	assert_int_equal(counters_open(counters_of_before, &context.counters), 0);
	assert_int_equal(group_new(&context, &config, NULL, &group), 0);
	membership = membership_new(group, "lo");
	assert_non_null(membership);
}

/* Returns the memory of the counters for the next run. */
static int end_run(void)
{
	int fd = dup(counters_fd(context.counters));

	context.stopping = true;
	counters_freeze(context.counters);
	membership_free(membership);
	group_free(group);
	store_free(context.store);
	arena_free(context.arena);
	counters_free(context.counters);
	rounds_free(context.rounds);
	event_base_free(context.base);
	forgotten_clear(&forgotten);
	return fd;
}

static int set_up(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	wall_ahead_s = boot_ahead_s = drops = 0;
	meminfo_fails = false;
	address_parse("233.252.0.1", &config.address);
	lo.index = if_nametoindex("lo");
	begin_run(-1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(end_run());
	return 0;
}

/* Tells the membership of lo, or that there is no interface. */
static void update(size_t count)
{
	membership_update(membership, &(struct interface_list){.items = &lo, .count = count});
}

static void join(void)
{
	update(1);
	assert_int_equal(membership->state, MEMBERSHIP_JOINED);
}

static void unjoined_time_does_not_jump_when_the_clock_is_set(void **state)
{
	(void)state;
	wall_ahead_s = YEARS_56;
	join();
	assert_in_range(membership->counters->unjoined_ns, 0, MINUTE_NS);
}

static void unjoined_time_is_that_between_leaving_and_joining(void **state)
{
	(void)state;
	join();
	boot_ahead_s += 1000; /* joined */
	update(0);
	boot_ahead_s += 120;
	join();
	assert_in_range(
		membership->counters->unjoined_ns, 120 * NS_PER_S, 120 * NS_PER_S + MINUTE_NS);
}

static void an_interface_that_is_replaced_at_once_adds_next_to_nothing(void **state)
{
	(void)state;
	join();
	boot_ahead_s += 1000;
	forgotten_note_gone(&forgotten, &lo.index, 1);
	update(1);
	assert_int_equal(membership->counters->joins, 2);
	update(1);
	assert_int_equal(membership->counters->joins, 2);
	assert_in_range(membership->counters->unjoined_ns, 0, MINUTE_NS);
}

static void the_time_between_two_runs_counts_where_the_first_one_left(void **state)
{
	(void)state;
	join();
	boot_ahead_s += 1000;
	int fd = end_run();

	boot_ahead_s += 120;
	begin_run(fd);
	join();
	assert_int_equal(membership->counters->joins, 2);
	assert_in_range(
		membership->counters->unjoined_ns, 120 * NS_PER_S, 120 * NS_PER_S + MINUTE_NS);
}

static void waiting_goes_on_over_a_restart(void **state)
{
	(void)state;
	update(0);
	boot_ahead_s += 120;
	begin_run(end_run());
	boot_ahead_s += 120;
	join();
	assert_in_range(
		membership->counters->unjoined_ns, 240 * NS_PER_S, 240 * NS_PER_S + MINUTE_NS);
}

static void drops_that_cannot_be_read_count_nothing(void **state)
{
	(void)state;
	join();
	drops = 5;
	assert_int_equal(membership_count_drops(membership), 5);
	meminfo_fails = true;
	assert_int_equal(membership_count_drops(membership), 0);
	meminfo_fails = false;
	drops = 7;
	assert_int_equal(membership_count_drops(membership), 2);
	assert_int_equal(membership->counters->kernel_dropped, 7);
	assert_int_equal(group_kernel_dropped(group), 7);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			unjoined_time_does_not_jump_when_the_clock_is_set, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			unjoined_time_is_that_between_leaving_and_joining, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			an_interface_that_is_replaced_at_once_adds_next_to_nothing, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			the_time_between_two_runs_counts_where_the_first_one_left, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(waiting_goes_on_over_a_restart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			drops_that_cannot_be_read_count_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("membership", tests, NULL, NULL);
}
