/* How long a membership's turn lasts, with a clock that the test controls. It joins on lo; its
 * socket is another one then, to which nothing leaves this process. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <event2/event.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "groups/group.h"
#include "range.h"

/* What a turn reads at most, in batches: receive.c. */
#define TURN_MAX 10

static uint64_t now_ns; /* of all clocks, which stand still */

/* Instead of libc's. */
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	(void)clock;
	*ret = (struct timespec){
		.tv_sec = (time_t)(now_ns / NS_PER_S), .tv_nsec = (long)(now_ns % NS_PER_S)};
	return 0;
}

static struct config_group config = {.name = "news", .port = 5004, .receive_buffer = 65536};
static struct interface lo = {.name = "lo", .flags = IFF_UP};
static struct group_context context;
static struct forgotten forgotten;
static struct group *group;
static struct membership *membership;
static int writer;
static unsigned batches; /* delivered */
static uint64_t batch_ns; /* what each takes */

static void put_batch(void)
{
	for (unsigned i = 0; i < BATCH_MAX; i++)
		assert_int_equal(send(writer, "x", 1, MSG_DONTWAIT), 1);
}

/* Takes its time, in which as much arrives. */
static void deliver(struct outlet *outlet, const struct batch *batch)
{
	(void)outlet;
	assert_int_equal(batch->count, BATCH_MAX);
	now_ns += batch_ns;
	if (++batches < 100)
		put_batch();
}

static struct outlet outlet = {
	.deliver = deliver, .needs = NEED_DATAGRAMS | NEED_PAYLOAD | NEED_PROMPT};

/* Has the membership read from a socket of this process. */
static void join(void)
{
	int fds[2];

	membership_update(membership, &(struct interface_list){.items = &lo, .count = 1});
	assert_int_equal(membership->state, MEMBERSHIP_JOINED);
	membership_stop_listening(membership);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, fds), 0);
	assert_int_equal(dup2(fds[0], membership->fd), membership->fd);
	close(fds[0]);
	writer = fds[1];
	assert_int_equal(membership_listen(membership), 0);
}

static int set_up(void **state)
{
	(void)state;
	now_ns = 1000 * NS_PER_S;
	batch_ns = batches = 0;
	address_parse("233.252.0.1", &config.address);
	lo.index = if_nametoindex("lo");
	context = (struct group_context){
		.base = event_base_new(), .arena = arena_new(NULL), .forgotten = &forgotten};
	list_init(&context.unicasts);
	list_init(&context.postponed);
	context.rounds = rounds_new(context.base, &membership_round_callbacks);
	assert_non_null(context.rounds);
	assert_int_equal(store_new(NULL, &context.store), 0);
	assert_int_equal(counters_open(-1, &context.counters), 0);
	assert_int_equal(group_new(&context, &config, NULL, &group), 0);
	assert_int_equal(group_attach(group, &outlet), 0);
	membership = membership_new(group, "lo");
	assert_non_null(membership);
	join();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	group_detach(group, &outlet);
	membership_free(membership); /* which reads what is left */
	close(writer);
	group_free(group);
	store_free(context.store);
	arena_free(context.arena);
	counters_free(context.counters);
	rounds_free(context.rounds);
	event_base_free(context.base);
	forgotten_clear(&forgotten);
	return 0;
}

static unsigned take_turn(void)
{
	unsigned before = batches;

	assert_int_equal(event_base_loop(context.base, EVLOOP_NONBLOCK | EVLOOP_ONCE), 0);
	return batches - before;
}

static void a_turn_ends_however_long_its_outlets_take(void **state)
{
	(void)state;
	batch_ns = NS_PER_S;
	put_batch();
	assert_int_equal(take_turn(), TURN_MAX);
	assert_int_equal(take_turn(), 2);
}

static void the_time_that_a_turn_takes_does_not_lengthen_the_next_one(void **state)
{
	(void)state;
	put_batch();
	take_turn();
	for (batch_ns = 1000; batch_ns < NS_PER_S; batch_ns *= 3)
		assert_int_equal(take_turn(), 2);
}

static void after_a_wait_a_turn_is_longer(void **state)
{
	(void)state;
	put_batch();
	take_turn();
	now_ns += 5 * NS_PER_MS;
	assert_int_equal(take_turn(), TURN_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_turn_ends_however_long_its_outlets_take, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			the_time_that_a_turn_takes_does_not_lengthen_the_next_one, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(after_a_wait_a_turn_is_longer, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
