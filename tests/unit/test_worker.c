/* The queue and the thread in front of a kind that the test has made: it holds what it gets until
 * the test has it settled, and is known to a peer by a name. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "config/schema.h"
#include "handlers/handler.h"
#include "handlers/ledger.h"
#include "handlers/worker.h"

#define LIMIT_NS (15 * NS_PER_S)
#define SIZE 100u /* of each datagram */
#define WINDOW 100u

/* An object of the kind. The lock is for the test, which looks from the loop's side. */
struct object {
	pthread_mutex_t lock;
	bool has_begun, has_ended, is_stuck;
	unsigned held, to_settle;
	size_t groups; /* of subscribe() */
	int wake;
};

static pthread_mutex_t order_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned begun_now, begun_max; /* objects between begin() and close() */

static unsigned hold_needs(const void *settings)
{
	(void)settings;
	return 0;
}

static int hold_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	(void)context, (void)why;
	*ret = *(struct object *const *)settings;
	return 0;
}

static void hold_begin(void *argument)
{
	struct object *object = argument;

	pthread_mutex_lock(&order_lock);
	begun_max = ++begun_now > begun_max ? begun_now : begun_max;
	pthread_mutex_unlock(&order_lock);
	pthread_mutex_lock(&object->lock);
	object->has_begun = true;
	pthread_mutex_unlock(&object->lock);
}

static void hold_deliver(void *argument, const struct batch *batch, struct outcome *outcome)
{
	struct object *object = argument;

	(void)outcome;
	assert_true(object->has_begun);
	assert_in_range(batch->since_ns, 1, clock_ns(CLOCK_MONOTONIC));
	object->held += batch->count;
}

static bool hold_ready(const void *argument)
{
	return ((const struct object *)argument)->held < WINDOW;
}

static int hold_descriptor(const void *argument)
{
	return ((const struct object *)argument)->wake;
}

static void hold_serve(void *argument, struct outcome *outcome)
{
	struct object *object = argument;
	eventfd_t count;

	eventfd_read(object->wake, &count);
	pthread_mutex_lock(&object->lock);
	outcome->delivered += object->to_settle;
	object->held -= object->to_settle;
	object->to_settle = 0;
	while (object->is_stuck) {
		pthread_mutex_unlock(&object->lock);
		poll(NULL, 0, 1);
		pthread_mutex_lock(&object->lock);
	}
	pthread_mutex_unlock(&object->lock);
}

static void hold_subscribe(void *argument, const struct string_list *groups)
{
	struct object *object = argument;

	pthread_mutex_lock(&object->lock);
	object->groups = groups->count;
	pthread_mutex_unlock(&object->lock);
}

static uint64_t hold_held_bytes(const void *argument)
{
	return (uint64_t)SIZE * ((const struct object *)argument)->held;
}

static void hold_finish(void *argument, uint64_t until_ns, struct outcome *outcome)
{
	struct object *object = argument;

	(void)until_ns;
	outcome->dropped[DROP_UNCONFIRMED] += object->held;
	object->held = 0;
}

static void hold_close(void *argument)
{
	struct object *object = argument;

	pthread_mutex_lock(&order_lock);
	begun_now -= object->has_begun;
	pthread_mutex_unlock(&order_lock);
	pthread_mutex_lock(&object->lock);
	object->has_ended = true;
	pthread_mutex_unlock(&object->lock);
}

static const struct handler_kind hold_kind = {
	.config = {.name = "hold", .may_block = true},
	.needs = hold_needs,
	.open = hold_open,
	.begin = hold_begin,
	.deliver = hold_deliver,
	.ready = hold_ready,
	.descriptor = hold_descriptor,
	.serve = hold_serve,
	.subscribe = hold_subscribe,
	.held_bytes = hold_held_bytes,
	.finish = hold_finish,
	.close = hold_close,
	.exclusive = true,
};

/* ---- The test's side ---- */

#define OBJECTS 3

struct fixture {
	struct counters *counters;
	struct ledger *ledger;
	struct workers workers;
	struct object objects[OBJECTS];
	struct handler *handlers[OBJECTS]; /* of one name, as reloads make them */
	uint64_t limit;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture || counters_open(-1, &fixture->counters) < 0)
		return -1;
	workers_init(&fixture->workers);
	fixture->ledger = ledger_new(fixture->counters, "test");
	fixture->limit = clock_ns(CLOCK_MONOTONIC) + LIMIT_NS;
	begun_max = 0;
	for (unsigned i = 0; i < OBJECTS; i++) {
		pthread_mutex_init(&fixture->objects[i].lock, NULL);
		fixture->objects[i].wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	}
	*state = fixture;
	return 0;
}

static void start(struct fixture *fixture, unsigned i)
{
	struct object *object = &fixture->objects[i];
	struct config_handler config = {
		.kind = &hold_kind.config, .settings = &object, .queue = 1 << 20};
	char why[WHY_MAX];

	config.filter.sample = 1;
	config.filter.is.max_size = config.filter.is_not.max_size = DATAGRAM_MAX;
	assert_int_equal(handler_start(&config, &(struct handler_context){0}, fixture->ledger,
				 &fixture->workers, why, &fixture->handlers[i]),
		0);
}

static void begin(struct fixture *fixture, unsigned i)
{
	start(fixture, i);
	handler_begin(fixture->handlers[i]);
}

static void retire(struct fixture *fixture, unsigned i, uint64_t deadline_ns)
{
	handler_retire(take(fixture->handlers[i]), deadline_ns);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned i = 0; i < OBJECTS; i++) {
		pthread_mutex_lock(&fixture->objects[i].lock);
		fixture->objects[i].is_stuck = false;
		pthread_mutex_unlock(&fixture->objects[i].lock);
		retire(fixture, i, 0);
	}
	assert_int_equal(workers_wait(&fixture->workers, fixture->limit), 0);
	workers_destroy(&fixture->workers);
	assert_true(account_balances(fixture->ledger->account));
	ledger_unref(fixture->ledger);
	counters_free(fixture->counters);
	for (unsigned i = 0; i < OBJECTS; i++)
		close(fixture->objects[i].wake);
	free(fixture);
	return 0;
}

static void with_batch(
	unsigned count, void (*take_batch)(void *, const struct batch *), void *taker)
{
	static const uint8_t payload[SIZE];
	struct datagram datagrams[BATCH_MAX] = {0};
	struct batch batch = {.count = count, .datagrams = datagrams};
	struct address group;

	for (unsigned k = 0; k < count; k++)
		datagrams[k] = (struct datagram){.payload = payload, .size = SIZE};
	assert_int_equal(address_parse("233.252.0.1", &group), 0);
	batch.origin = origin_new("news", &group, 5004, "eth0", 2);
	take_batch(taker, &batch);
	origin_unref(batch.origin);
}

static void take_by_outlet(void *taker, const struct batch *batch)
{
	struct outlet *outlet = taker;

	outlet->deliver(outlet, batch);
}

static void take_by_worker(void *taker, const struct batch *batch)
{
	worker_push(taker, batch);
}

static void deliver(struct fixture *fixture, unsigned i, unsigned count)
{
	with_batch(count, take_by_outlet, handler_outlet(fixture->handlers[i]));
}

static void push(struct worker *worker, unsigned count)
{
	with_batch(count, take_by_worker, worker);
}

static struct account look(struct fixture *fixture)
{
	struct account account;

	workers_account(fixture->ledger, &account);
	assert_true(account_balances(&account));
	return account;
}

static void settle(struct fixture *fixture, unsigned i, unsigned count)
{
	struct object *object = &fixture->objects[i];

	pthread_mutex_lock(&object->lock);
	object->to_settle += count;
	pthread_mutex_unlock(&object->lock);
	eventfd_write(object->wake, 1);
}

static void stick(struct fixture *fixture, unsigned i)
{
	struct object *object = &fixture->objects[i];

	pthread_mutex_lock(&object->lock);
	object->is_stuck = true;
	pthread_mutex_unlock(&object->lock);
	eventfd_write(object->wake, 1);
}

static bool has_begun(struct fixture *fixture, unsigned i)
{
	bool has;

	pthread_mutex_lock(&fixture->objects[i].lock);
	has = fixture->objects[i].has_begun;
	pthread_mutex_unlock(&fixture->objects[i].lock);
	return has;
}

static size_t groups_of(struct fixture *fixture, unsigned i)
{
	size_t count;

	pthread_mutex_lock(&fixture->objects[i].lock);
	count = fixture->objects[i].groups;
	pthread_mutex_unlock(&fixture->objects[i].lock);
	return count;
}

static bool has_ended(struct fixture *fixture, unsigned i)
{
	bool has;

	pthread_mutex_lock(&fixture->objects[i].lock);
	has = fixture->objects[i].has_ended;
	pthread_mutex_unlock(&fixture->objects[i].lock);
	return has;
}

static void pause_until_limit(struct fixture *fixture)
{
	assert_true(clock_ns(CLOCK_MONOTONIC) < fixture->limit);
	poll(NULL, 0, 1);
}

#define WAIT_UNTIL(fixture, condition) \
	while (!(condition))           \
	pause_until_limit(fixture)

/* ---- What is queued ---- */

static void what_the_kind_holds_is_queued_with_its_bytes(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 0);
	deliver(fixture, 0, 10);
	WAIT_UNTIL(fixture, look(fixture).held == 10);
	assert_int_equal(look(fixture).queued, 10);
	assert_int_equal(look(fixture).queued_bytes, 10 * SIZE);
	settle(fixture, 0, 4);
	WAIT_UNTIL(fixture, look(fixture).outcome.delivered == 4);
	assert_int_equal(look(fixture).queued, 6);
	assert_int_equal(look(fixture).held, 6);
	assert_int_equal(look(fixture).queued_bytes, 6 * SIZE);
	settle(fixture, 0, 6);
	WAIT_UNTIL(fixture, look(fixture).queued == 0);
	assert_int_equal(look(fixture).queued_bytes, 0);
	assert_int_equal(look(fixture).oldest_ns, 0);
}

static void bytes_and_datagrams_agree_at_every_look(void **state)
{
	struct fixture *fixture = *state;
	unsigned delivered = 0, settled = 0;

	begin(fixture, 0);
	for (unsigned i = 0; settled < 5000; i++) {
		struct account account = look(fixture);

		assert_int_equal(account.queued_bytes, SIZE * account.queued);
		assert_true(account.held <= WINDOW + BATCH_MAX);
		assert_true(clock_ns(CLOCK_MONOTONIC) < fixture->limit);
		if (account.held && account.outcome.delivered == settled) {
			settle(fixture, 0, (unsigned)account.held);
			settled += (unsigned)account.held;
		}
		if (delivered - settled < 1000)
			deliver(fixture, 0, 1 + i % BATCH_MAX), delivered += 1 + i % BATCH_MAX;
	}
}

/* The oldest give way in whatever the thread has begun, while it goes on. */
static void no_more_wait_than_may_at_every_look(void **state)
{
	struct fixture *fixture = *state;
	struct config_handler config = {
		.queue = 1 << 20, .queue_datagrams = 150, .drop = DROP_OLDEST};
	struct worker *worker = NULL;
	struct account account;
	unsigned asked = 0;

	assert_int_equal(worker_start(&fixture->workers, &hold_kind, &fixture->objects[0], &config,
				 fixture->ledger, &worker),
		0);
	worker_begin(worker);
	do {
		push(worker, 1 + asked % BATCH_MAX);
		account = look(fixture);
		assert_true(account.queued - account.held <= 150 + BATCH_MAX);
		assert_int_equal(account.queued_bytes, SIZE * account.queued);
		assert_true(clock_ns(CLOCK_MONOTONIC) < fixture->limit);
		if (account.held && account.outcome.delivered == asked) {
			settle(fixture, 0, (unsigned)account.held);
			asked += (unsigned)account.held;
		}
	} while (asked < 5000);
	assert_true(account.outcome.dropped[DROP_QUEUE] > 0);
	worker_retire(worker, 0);
}

/* The queue's chunks are coarse: each of these is taken before the next one comes. */
static void the_oldest_is_that_of_what_the_kind_holds(void **state)
{
	struct fixture *fixture = *state;
	uint64_t oldest;

	begin(fixture, 0);
	deliver(fixture, 0, 1);
	WAIT_UNTIL(fixture, look(fixture).held == 1);
	oldest = look(fixture).oldest_ns;
	assert_true(oldest > 0);
	/* Times of arrival are those of the kernel's ticks. */
	WAIT_UNTIL(fixture, clock_ns(CLOCK_MONOTONIC_COARSE) > oldest);
	for (unsigned i = 2; i <= 90; i++) {
		deliver(fixture, 0, 1);
		WAIT_UNTIL(fixture, look(fixture).held == i);
		assert_int_equal(look(fixture).oldest_ns, oldest);
	}
	settle(fixture, 0, 80);
	WAIT_UNTIL(fixture, look(fixture).held == 10);
	assert_true(look(fixture).oldest_ns > oldest);
	settle(fixture, 0, 10);
	WAIT_UNTIL(fixture, look(fixture).held == 0);
	assert_int_equal(look(fixture).oldest_ns, 0);
}

static void what_does_not_fit_waits_and_is_dropped_in_the_end(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	begin(fixture, 0);
	for (unsigned i = 0; i < 5; i++)
		deliver(fixture, 0, BATCH_MAX);
	WAIT_UNTIL(fixture, look(fixture).held >= WINDOW);
	account = look(fixture);
	assert_int_equal(account.queued, 5 * BATCH_MAX);
	retire(fixture, 0, clock_ns(CLOCK_MONOTONIC));
	WAIT_UNTIL(fixture, look(fixture).queued == 0);
	assert_int_equal(look(fixture).outcome.dropped[DROP_UNCONFIRMED], account.held);
	assert_int_equal(
		look(fixture).outcome.dropped[DROP_SHUTDOWN], 5 * BATCH_MAX - account.held);
}

/* ---- What comes in ---- */

static struct string_list *make_groups(const char *const *names, size_t count)
{
	struct string_list *groups = calloc(1, sizeof(*groups));

	for (size_t i = 0; i < count; i++)
		assert_int_equal(string_list_add(groups, names[i]), 0);
	return groups;
}

static void groups_change_while_the_kind_takes_no_more(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	struct fixture *fixture = *state;
	struct config_handler config = {.queue = 1 << 20};
	struct worker *worker = NULL;

	assert_int_equal(worker_start(&fixture->workers, &hold_kind, &fixture->objects[0], &config,
				 fixture->ledger, &worker),
		0);
	worker_begin(worker);
	for (unsigned i = 0; i < 5; i++)
		push(worker, BATCH_MAX);
	WAIT_UNTIL(fixture, look(fixture).held >= WINDOW);
	worker_subscribe(worker, make_groups(names, 3));
	WAIT_UNTIL(fixture, groups_of(fixture, 0) == 3);
	worker_subscribe(worker, make_groups(names, 1));
	WAIT_UNTIL(fixture, groups_of(fixture, 0) == 1);
	assert_true(look(fixture).held >= WINDOW);
	worker_retire(worker, 0);
}

/* ---- One after the other ---- */

static void a_successor_begins_once_its_predecessor_has_ended(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 0);
	deliver(fixture, 0, 1);
	WAIT_UNTIL(fixture, look(fixture).held == 1);
	stick(fixture, 0);
	begin(fixture, 1);
	retire(fixture, 0, fixture->limit);
	deliver(fixture, 1, 5);
	begin(fixture, 2);
	retire(fixture, 1, fixture->limit);
	deliver(fixture, 2, 7);
	assert_int_equal(look(fixture).queued, 13);
	assert_false(has_begun(fixture, 1));
	assert_false(has_begun(fixture, 2));
	pthread_mutex_lock(&fixture->objects[0].lock);
	fixture->objects[0].is_stuck = false;
	pthread_mutex_unlock(&fixture->objects[0].lock);
	WAIT_UNTIL(fixture, has_begun(fixture, 2) && look(fixture).held == 7);
	assert_int_equal(look(fixture).outcome.dropped[DROP_UNCONFIRMED], 6);
	assert_int_equal(begun_max, 1);
}

static void a_handler_that_was_removed_and_came_back_begins_once_it_has_ended(void **state)
{
	struct fixture *fixture = *state;
	struct ledger *before = fixture->ledger;

	begin(fixture, 0);
	deliver(fixture, 0, 1);
	WAIT_UNTIL(fixture, look(fixture).held == 1);
	stick(fixture, 0);
	retire(fixture, 0, fixture->limit);
	fixture->ledger = ledger_new(fixture->counters, "test");
	begin(fixture, 1);
	deliver(fixture, 1, 5);
	/* By now it would have begun. */
	poll(NULL, 0, 20);
	assert_false(has_begun(fixture, 1));
	pthread_mutex_lock(&fixture->objects[0].lock);
	fixture->objects[0].is_stuck = false;
	pthread_mutex_unlock(&fixture->objects[0].lock);
	WAIT_UNTIL(fixture, has_begun(fixture, 1) && look(fixture).held == 5);
	assert_true(has_ended(fixture, 0));
	assert_int_equal(begun_max, 1);
	ledger_unref(before);
}

static void a_predecessor_that_is_stuck_past_its_deadline_does_not_count(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 0);
	WAIT_UNTIL(fixture, has_begun(fixture, 0));
	stick(fixture, 0);
	begin(fixture, 1);
	deliver(fixture, 1, 3);
	assert_false(has_begun(fixture, 1));
	/* Its thread waits by now, and nothing but the retirement tells it when to look again. */
	poll(NULL, 0, 20);
	retire(fixture, 0, clock_ns(CLOCK_MONOTONIC));
	WAIT_UNTIL(fixture, has_begun(fixture, 1));
	WAIT_UNTIL(fixture, look(fixture).held == 3);
	assert_false(has_ended(fixture, 0));
}

static void what_is_retired_before_its_predecessor_has_ended_never_begins(void **state)
{
	struct fixture *fixture = *state;

	begin(fixture, 0);
	WAIT_UNTIL(fixture, has_begun(fixture, 0));
	begin(fixture, 1);
	deliver(fixture, 1, 3);
	retire(fixture, 1, clock_ns(CLOCK_MONOTONIC));
	WAIT_UNTIL(fixture, look(fixture).queued == 0);
	assert_int_equal(look(fixture).outcome.dropped[DROP_SHUTDOWN], 3);
	WAIT_UNTIL(fixture, has_ended(fixture, 1));
	assert_false(has_begun(fixture, 1));
}

/* ---- Errors ---- */

static void the_error_is_that_of_the_object_in_force(void **state)
{
	struct fixture *fixture = *state;
	struct object *first = &fixture->objects[0], *second = &fixture->objects[1];
	char longer[2 * LEDGER_ERROR_MAX];

	begin(fixture, 0);
	assert_null(handler_error(fixture->handlers[0]));
	ledger_set_error(fixture->ledger, first, "connecting: refused");
	assert_string_equal(handler_error(fixture->handlers[0]), "connecting: refused");
	start(fixture, 1);
	ledger_set_error(fixture->ledger, second, "too early");
	assert_string_equal(handler_error(fixture->handlers[0]), "connecting: refused");
	handler_begin(fixture->handlers[1]);
	retire(fixture, 0, clock_ns(CLOCK_MONOTONIC));
	assert_null(handler_error(fixture->handlers[1]));
	ledger_set_error(fixture->ledger, second, "no stream");
	ledger_set_error(fixture->ledger, first, "too late");
	ledger_set_error(fixture->ledger, first, NULL);
	assert_string_equal(handler_error(fixture->handlers[1]), "no stream");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	ledger_set_error(fixture->ledger, second, longer);
	assert_int_equal(strlen(handler_error(fixture->handlers[1])), LEDGER_ERROR_MAX - 1);
	ledger_set_error(fixture->ledger, second, NULL);
	assert_null(handler_error(fixture->handlers[1]));
}

static void what_is_left_is_taken_once_by_the_next_object(void **state)
{
	struct fixture *fixture = *state;
	struct string_list left = {0};

	ledger_take_left(fixture->ledger, &left);
	assert_int_equal(left.count, 0);
	assert_int_equal(ledger_leave(fixture->ledger, "one"), 0);
	assert_int_equal(ledger_leave(fixture->ledger, "two"), 0);
	ledger_take_left(fixture->ledger, &left);
	assert_int_equal(left.count, 2);
	assert_string_equal(left.items[0], "one");
	assert_string_equal(left.items[1], "two");
	string_list_clear(&left);
	ledger_take_left(fixture->ledger, &left);
	assert_int_equal(left.count, 0);
	assert_int_equal(ledger_leave(fixture->ledger, "freed with the ledger"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_the_kind_holds_is_queued_with_its_bytes),
		TEST(bytes_and_datagrams_agree_at_every_look),
		TEST(no_more_wait_than_may_at_every_look),
		TEST(the_oldest_is_that_of_what_the_kind_holds),
		TEST(what_does_not_fit_waits_and_is_dropped_in_the_end),
		TEST(groups_change_while_the_kind_takes_no_more),
		TEST(a_successor_begins_once_its_predecessor_has_ended),
		TEST(a_handler_that_was_removed_and_came_back_begins_once_it_has_ended),
		TEST(a_predecessor_that_is_stuck_past_its_deadline_does_not_count),
		TEST(what_is_retired_before_its_predecessor_has_ended_never_begins),
		TEST(the_error_is_that_of_the_object_in_force),
		TEST(what_is_left_is_taken_once_by_the_next_object),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
