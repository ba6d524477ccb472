/* The ring between an engine and the loop. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/intake.h"
#include "net/address.h"
#include "range.h"

#define MANY 64

static struct intake_account account;
static struct intake_book book = {.lock = PTHREAD_MUTEX_INITIALIZER, .account = &account};
static struct intake *intake;
static uint8_t payload[DATAGRAM_MAX + 1];

static int make(void **state)
{
	(void)state;
	account = (struct intake_account){0};
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 7);
	return intake_new(INTAKE_MIN, &book, &intake);
}

static int clear(void **state)
{
	(void)state;
	intake_unref(intake);
	intake = NULL;
	return 0;
}

static int push(const char *group, uint32_t size, uint64_t token)
{
	return intake_push(intake, &(struct intake_item){group, payload, size, token});
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) == 1;
}

static uint64_t total(const struct intake_account *read)
{
	uint64_t sum = read->sent + read->waiting;

	for (int i = 0; i < INTAKE_DROPS; i++)
		sum += read->dropped[i];
	return sum;
}

static void gives_datagrams_of_one_group_at_a_time(void **state)
{
	struct intake_item items[MANY];

	(void)state;
	assert_int_equal(push("a", 3, 1), 0);
	assert_int_equal(push("a", 0, 2), 0);
	assert_int_equal(push("b", 5, 3), 0);
	assert_int_equal(push("a", 7, 4), 0);
	assert_int_equal(intake_peek(intake, items, MANY), 2);
	assert_string_equal(items[0].group, "a");
	assert_int_equal(items[0].size, 3);
	assert_memory_equal(items[0].payload, payload, 3);
	assert_int_equal(items[1].size, 0);
	assert_int_equal(intake_peek(intake, items, 1), 1);
	intake_settle(intake, 1, 1, INTAKE_SEND);
	assert_int_equal(intake_peek(intake, items, MANY), 1);
	assert_string_equal(items[0].group, "b");
	intake_settle(intake, 1, 0, INTAKE_SEND);
	assert_int_equal(intake_peek(intake, items, MANY), 1);
	assert_int_equal(items[0].token, 4);
}

static void counts_all_that_comes(void **state)
{
	struct intake_account read;

	(void)state;
	push("a", 10, 1);
	push("a", 20, 2);
	push("a", 30, 3);
	intake_drop(intake, INTAKE_OWN);
	intake_drop(intake, INTAKE_DUPLICATE);
	intake_settle(intake, 1, 1, INTAKE_SIZE);
	intake_read_account(&book, &read);
	assert_int_equal(read.taken, 5);
	assert_int_equal(read.sent, 1);
	assert_int_equal(read.dropped[INTAKE_SIZE], 1);
	assert_int_equal(read.dropped[INTAKE_OWN], 1);
	assert_int_equal(read.dropped[INTAKE_DUPLICATE], 1);
	assert_int_equal(read.waiting, 1);
	assert_int_equal(read.waiting_bytes, 30);
	assert_int_equal(total(&read), read.taken);
}

static void gaps_stay_within_their_range(void **state)
{
	struct intake_account read;

	(void)state;
	intake_count_gaps(intake, 5);
	intake_count_gaps(intake, -1);
	intake_read_account(&book, &read);
	assert_int_equal(read.gaps, 4);
	intake_count_gaps(intake, INT64_MIN);
	intake_read_account(&book, &read);
	assert_int_equal(read.gaps, 0);
	for (unsigned i = 0; i < 3; i++)
		intake_count_gaps(intake, INT64_MAX);
	intake_read_account(&book, &read);
	assert_true(read.gaps == UINT64_MAX);
}

static void tells_what_is_done(void **state)
{
	(void)state;
	assert_int_equal(intake_done(intake), 0);
	push("a", 1, 11);
	push("a", 1, 12);
	assert_false(is_readable(intake_done_fd(intake)));
	intake_settle(intake, 1, 0, INTAKE_SEND);
	assert_true(is_readable(intake_done_fd(intake)));
	assert_int_equal(intake_done(intake), 11);
	assert_false(is_readable(intake_done_fd(intake)));
	intake_settle(intake, 0, 1, INTAKE_SEND);
	assert_true(is_readable(intake_done_fd(intake)));
	assert_int_equal(intake_done(intake), 12);
}

static void is_readable_while_something_waits(void **state)
{
	struct intake_item items[MANY];

	(void)state;
	assert_false(is_readable(intake_fd(intake)));
	push("a", 1, 1);
	push("a", 1, 2);
	intake_settle(intake, intake_peek(intake, items, 1), 0, INTAKE_SEND);
	assert_true(is_readable(intake_fd(intake)));
	intake_settle(intake, intake_peek(intake, items, 1), 0, INTAKE_SEND);
	assert_int_equal(intake_peek(intake, items, 1), 0);
	assert_false(is_readable(intake_fd(intake)));
	push("a", 1, 3);
	assert_true(is_readable(intake_fd(intake)));
}

static void a_full_ring_refuses_and_drops_nothing(void **state)
{
	struct intake_item items[MANY];
	struct intake_account read;
	uint64_t token = 0;

	(void)state;
	while (push("a", 1000, token + 1) == 0)
		token++;
	assert_int_equal(push("a", 1000, token + 1), -EAGAIN);
	assert_in_range(token, INTAKE_MIN / 1100, INTAKE_MIN / 1000);
	intake_read_account(&book, &read);
	assert_int_equal(read.taken, token);
	intake_done(intake);
	intake_settle(intake, intake_peek(intake, items, 2), 0, INTAKE_SEND);
	assert_true(is_readable(intake_done_fd(intake)));
	assert_int_equal(push("a", 1000, token + 1), 0);
}

static void what_no_datagram_can_be_waits_without_its_payload(void **state)
{
	struct intake_item item;

	(void)state;
	for (uint64_t token = 1; token <= 1000; token++)
		assert_int_equal(push("a", DATAGRAM_MAX + 1, token), 0);
	assert_int_equal(account.waiting_bytes, 0);
	assert_int_equal(intake_peek(intake, &item, 1), 1);
	assert_null(item.payload);
	assert_int_equal(item.size, DATAGRAM_MAX + 1);
	assert_int_equal(item.token, 1);
}

static void after_stop_nothing_is_taken_and_all_is_sent(void **state)
{
	struct intake_item items[MANY];

	(void)state;
	push("a", 1, 1);
	intake_stop(intake);
	assert_int_equal(push("a", 1, 2), -ESHUTDOWN);
	assert_false(intake_is_finished(intake));
	assert_false(intake_wait_empty(intake, clock_ns(CLOCK_MONOTONIC)));
	intake_settle(intake, intake_peek(intake, items, MANY), 0, INTAKE_SEND);
	assert_true(intake_is_finished(intake));
	assert_true(intake_wait_empty(intake, 0));
	assert_int_equal(intake_done(intake), 1);
	assert_int_equal(account.taken, 1);
}

static void one_that_stays_open_takes_until_its_end(void **state)
{
	struct intake_item items[MANY];

	(void)state;
	intake_stay_open(intake);
	intake_stop(intake);
	assert_int_equal(push("a", 1, 1), 0);
	intake_settle(intake, intake_peek(intake, items, MANY), 0, INTAKE_SEND);
	assert_false(intake_is_finished(intake));
	assert_int_equal(intake_peek(intake, items, MANY), 0);
	assert_int_equal(push("a", 1, 2), 0);
	intake_end(intake);
	assert_int_equal(push("a", 1, 3), -ESHUTDOWN);
	assert_false(intake_is_finished(intake));
	intake_settle(intake, intake_peek(intake, items, MANY), 0, INTAKE_SEND);
	assert_true(intake_is_finished(intake));
	assert_true(is_readable(intake_fd(intake)));
	assert_int_equal(intake_done(intake), 2);
}

static void what_is_abandoned_is_not_done(void **state)
{
	(void)state;
	push("a", 1, 1);
	push("a", 1, 2);
	push("a", 1, 3);
	intake_settle(intake, 1, 0, INTAKE_SEND);
	assert_int_equal(intake_abandon(intake), 2);
	assert_int_equal(intake_done(intake), 1);
	assert_int_equal(account.dropped[INTAKE_SHUTDOWN], 2);
	assert_int_equal(account.waiting, 0);
	assert_int_equal(account.waiting_bytes, 0);
	assert_int_equal(push("a", 1, 4), -ESHUTDOWN);
}

static void what_is_abandoned_while_it_is_sent_is_counted_once(void **state)
{
	struct intake_item items[MANY];

	(void)state;
	push("a", 3, 1);
	push("a", 3, 2);
	assert_int_equal(intake_peek(intake, items, MANY), 2);
	intake_abandon(intake);
	assert_memory_equal(items[1].payload, payload, 3);
	intake_settle(intake, 1, 1, INTAKE_SEND);
	assert_int_equal(account.sent, 0);
	assert_int_equal(account.dropped[INTAKE_SHUTDOWN], 2);
	assert_int_equal(total(&account), account.taken);
	assert_int_equal(intake_done(intake), 0);
}

static void what_a_killed_run_had_waiting_is_dropped(void **state)
{
	struct intake_account earlier = {.taken = 10,
		.sent = 4,
		.dropped[INTAKE_OWN] = 1,
		.waiting = 4,
		.waiting_bytes = 99};

	(void)state;
	assert_int_equal(intake_account_settle(&earlier), 5);
	assert_int_equal(earlier.dropped[INTAKE_SHUTDOWN], 5);
	assert_int_equal(total(&earlier), earlier.taken);
	earlier.sent++;
	assert_int_equal(intake_account_settle(&earlier), 0);
	assert_int_equal(earlier.taken, 11);
}

/* ---- Against a naive model ---- */

#define MODEL_MAX 8192

struct expected {
	unsigned group;
	uint32_t size;
	uint64_t token;
};

static struct expected model[MODEL_MAX];
static unsigned model_first, model_count;

static const char *const groups[] = {"a", "news", "a-name-that-is-rather-longer-than-others"};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void push_as_model(uint32_t *seed, uint64_t *token)
{
	uint32_t size = next_random(seed) % 8 ? next_random(seed) % 2000
					      : next_random(seed) % 65528;
	unsigned group = next_random(seed) % 4 ? 0 : next_random(seed) % 3;

	if (model_count == MODEL_MAX || push(groups[group], size, *token + 1) < 0)
		return;
	model[(model_first + model_count++) % MODEL_MAX] = (struct expected){group, size, ++*token};
}

static void peek_as_model(uint32_t *seed)
{
	unsigned most = 1 + next_random(seed) % MANY, count, settled;
	struct intake_item items[MANY];
	uint64_t done = 0;

	count = intake_peek(intake, items, most);
	assert_int_equal(count > 0, model_count > 0);
	for (unsigned i = 0; i < count; i++) {
		const struct expected *expected = &model[(model_first + i) % MODEL_MAX];

		assert_string_equal(items[i].group, groups[expected->group]);
		assert_int_equal(items[i].size, expected->size);
		assert_int_equal(items[i].token, expected->token);
		assert_memory_equal(items[i].payload, payload, expected->size);
	}
	if (count < most && count < model_count)
		assert_int_not_equal(
			model[(model_first + count) % MODEL_MAX].group, model[model_first].group);
	settled = next_random(seed) % (count + 1);
	if (settled)
		done = items[settled - 1].token;
	intake_settle(intake, settled / 2, settled - settled / 2, INTAKE_SEND);
	if (settled)
		assert_int_equal(intake_done(intake), done);
	model_first = (model_first + settled) % MODEL_MAX;
	model_count -= settled;
}

static void does_as_a_naive_model(void **state)
{
	uint32_t seed = 14;
	uint64_t token = 0;

	(void)state;
	for (unsigned round = 0; round < 40000; round++) {
		/* Full for a time, and empty for a time. */
		if (next_random(&seed) % 100 < (round / 2000 % 2 ? 97u : 60u))
			push_as_model(&seed, &token);
		else
			peek_as_model(&seed);
	}
	assert_int_equal(account.waiting, model_count);
	assert_int_equal(total(&account), account.taken);
	assert_in_range(token, 10000, 40000);
}

/* ---- With threads ---- */

#define THREADS 3
#define EACH 20000

static void *push_each(void *argument)
{
	uint64_t thread = (uint64_t)(uintptr_t)argument;

	for (uint64_t i = 0; i < EACH; i++) {
		struct intake_item item = {"a", payload, (uint32_t)(i % 300), thread << 32 | i};
		int r;

		if (thread == 0)
			while ((r = intake_push(intake, &item)) == -EAGAIN)
				poll(&(struct pollfd){intake_done_fd(intake), POLLIN, 0}, 1, 1);
		else
			r = intake_push_wait(intake, &item);
		if (r < 0)
			abort();
		if (i % 16 == 0)
			intake_drop(intake, INTAKE_OWN);
	}
	return NULL;
}

static void takes_from_threads_in_their_order(void **state)
{
	uint64_t next[THREADS] = {0}, count = 0;
	struct intake_item items[MANY];
	pthread_t threads[THREADS];

	(void)state;
	for (uintptr_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, push_each, (void *)i), 0);
	while (count < (uint64_t)THREADS * EACH) {
		unsigned taken = intake_peek(intake, items, MANY);

		for (unsigned i = 0; i < taken; i++)
			assert_int_equal(items[i].token & 0xffffffff, next[items[i].token >> 32]++);
		intake_settle(intake, taken, 0, INTAKE_SEND);
		count += taken;
		if (!taken)
			poll(&(struct pollfd){intake_fd(intake), POLLIN, 0}, 1, -1);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(account.sent, THREADS * EACH);
	assert_int_equal(total(&account), account.taken);
}

static void *push_until_stopped(void *argument)
{
	int *r = argument;

	do
		*r = intake_push_wait(intake, &(struct intake_item){"a", payload, 1000, 1});
	while (*r == 0);
	return NULL;
}

static void stop_wakes_who_waits_for_room(void **state)
{
	pthread_t thread;
	int r = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, push_until_stopped, &r), 0);
	while (push("a", 1000, 1) == 0)
		;
	intake_stop(intake);
	pthread_join(thread, NULL);
	assert_int_equal(r, -ESHUTDOWN);
}

static void *wait_empty(void *argument)
{
	*(bool *)argument = intake_wait_empty(intake, clock_ns(CLOCK_MONOTONIC) + 60 * NS_PER_S);
	return NULL;
}

static void whoever_ends_waits_until_nothing_waits(void **state)
{
	struct intake_item item;
	bool is_empty = false;
	pthread_t thread;

	(void)state;
	push("a", 1, 1);
	push("a", 1, 2);
	intake_stop(intake);
	assert_int_equal(pthread_create(&thread, NULL, wait_empty, &is_empty), 0);
	while (intake_peek(intake, &item, 1))
		intake_settle(intake, 1, 0, INTAKE_SEND);
	pthread_join(thread, NULL);
	assert_true(is_empty);
	assert_int_equal(intake_done(intake), 2);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gives_datagrams_of_one_group_at_a_time),
		TEST(counts_all_that_comes),
		TEST(gaps_stay_within_their_range),
		TEST(tells_what_is_done),
		TEST(is_readable_while_something_waits),
		TEST(a_full_ring_refuses_and_drops_nothing),
		TEST(what_no_datagram_can_be_waits_without_its_payload),
		TEST(after_stop_nothing_is_taken_and_all_is_sent),
		TEST(one_that_stays_open_takes_until_its_end),
		TEST(what_is_abandoned_is_not_done),
		TEST(what_is_abandoned_while_it_is_sent_is_counted_once),
		TEST(what_a_killed_run_had_waiting_is_dropped),
		TEST(does_as_a_naive_model),
		TEST(takes_from_threads_in_their_order),
		TEST(stop_wakes_who_waits_for_room),
		TEST(whoever_ends_waits_until_nothing_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
