#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "handlers/queue.h"

static struct origin *make_origin(void)
{
	struct address address;

	assert_int_equal(address_parse("233.252.0.1", &address), 0);
	return origin_new("news", &address, 5004, "lo", 1);
}

/* Pushes count datagrams of one byte, numbered from first. Returns how many were dropped. */
static uint64_t push(struct queue *queue, uint8_t first, unsigned count)
{
	struct origin *origin = make_origin();
	struct datagram datagrams[BATCH_MAX] = {0};
	struct batch batch = {.origin = origin, .count = count, .datagrams = datagrams};
	uint8_t payloads[BATCH_MAX];
	uint64_t dropped;

	for (unsigned i = 0; i < count; i++) {
		payloads[i] = (uint8_t)(first + i);
		datagrams[i].payload = &payloads[i];
		datagrams[i].size = 1;
	}
	dropped = queue_push(queue, &batch);
	origin_unref(origin);
	return dropped;
}

/* Takes all out. Returns the number of the first, and in *ret_lost how many are said to be lost. */
static uint8_t drain(struct queue *queue, uint64_t *ret_lost)
{
	struct batch batch;
	int first = -1;

	*ret_lost = 0;
	while (ring_take(&queue->ring)) {
		while (ring_has_next(&queue->ring)) {
			batch = ring_next(&queue->ring, BATCH_MAX);
			*ret_lost += batch.lost;
			first = first < 0 ? batch.datagrams[0].payload[0] : first;
		}
		ring_return(&queue->ring);
	}
	return (uint8_t)first;
}

static struct config_handler config_of(enum drop_policy policy, int64_t datagrams)
{
	return (struct config_handler){
		.queue = 1 << 20, .queue_datagrams = datagrams, .drop = policy};
}

static void drops_what_comes_where_the_newest_is_to_be_dropped(void **state)
{
	struct config_handler config = config_of(DROP_NEWEST, 3);
	struct queue queue = {0};
	uint64_t lost;

	(void)state;
	assert_int_equal(queue_init(&queue, &config), 0);
	assert_int_equal(push(&queue, 0, 5), 2);
	assert_int_equal(queue.ring.queued, 3);
	assert_int_equal(drain(&queue, &lost), 0);
	push(&queue, 5, 1);
	assert_int_equal(drain(&queue, &lost), 5);
	assert_int_equal(lost, 2);
	queue_destroy(&queue);
}

static void drops_what_waits_where_the_oldest_is_to_be_dropped(void **state)
{
	struct config_handler config = config_of(DROP_OLDEST, 3);
	struct queue queue = {0};
	uint64_t lost;

	(void)state;
	assert_int_equal(queue_init(&queue, &config), 0);
	assert_int_equal(push(&queue, 0, 5), 2);
	assert_int_equal(queue.ring.queued, 3);
	assert_int_equal(drain(&queue, &lost), 2);
	assert_int_equal(lost, 2);
	queue_destroy(&queue);
}

static void keeps_what_waits_when_its_limits_change(void **state)
{
	struct config_handler config = config_of(DROP_NEWEST, 3),
			      wanted = config_of(DROP_OLDEST, 5);
	struct queue queue = {0};
	struct queue_limits limits;
	uint64_t lost;

	(void)state;
	assert_int_equal(queue_init(&queue, &config), 0);
	assert_int_equal(push(&queue, 0, 3), 0);
	wanted.queue = 2 << 20;
	assert_int_equal(queue_prepare(&queue, &wanted, &limits), 0);
	queue_change(&queue, &limits);
	queue_limits_clear(&limits);
	assert_int_equal(push(&queue, 3, 3), 1);
	assert_int_equal(queue.ring.queued, 5);
	assert_int_equal(drain(&queue, &lost), 1);
	queue_destroy(&queue);
}

static void is_full_once_until_its_cost_is_told(void **state)
{
	struct config_handler config = config_of(DROP_NEWEST, 3);
	uint64_t before = clock_ns(CLOCK_MONOTONIC);
	struct queue queue = {0};

	(void)state;
	assert_int_equal(queue_init(&queue, &config), 0);
	assert_int_equal(queue_full_deadline(&queue), 0);
	assert_true(queue_note_full(&queue, 2));
	assert_false(queue_note_full(&queue, 3));
	assert_true(queue_full_deadline(&queue) > before);
	assert_int_equal(queue_end_full(&queue), 5);
	assert_int_equal(queue_full_deadline(&queue), 0);
	assert_true(queue_note_full(&queue, 1));
	queue_destroy(&queue);
}

static void knows_which_limit_it_has_reached(void **state)
{
	struct config_handler config = config_of(DROP_NEWEST, 3);
	struct queue queue = {0};

	(void)state;
	assert_int_equal(queue_init(&queue, &config), 0);
	queue_note_full(&queue, 1);
	assert_false(queue.overflow.by_count);
	queue_end_full(&queue);
	push(&queue, 0, 3);
	queue_note_full(&queue, 1);
	assert_true(queue.overflow.by_count);
	queue_destroy(&queue);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drops_what_comes_where_the_newest_is_to_be_dropped),
		cmocka_unit_test(drops_what_waits_where_the_oldest_is_to_be_dropped),
		cmocka_unit_test(keeps_what_waits_when_its_limits_change),
		cmocka_unit_test(is_full_once_until_its_cost_is_told),
		cmocka_unit_test(knows_which_limit_it_has_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
