#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "data/ring.h"
#include "range.h"

#define GROUP_NAME "news"

static uint8_t payload[DATAGRAM_MAX];

static struct origin *make_origin(const char *group)
{
	struct address address;

	assert_int_equal(address_parse("233.252.0.1", &address), 0);
	return origin_new(group, &address, 5004, "lo", 1);
}

/* Pushes one datagram of size bytes, which begin with number. Returns whether it was taken. */
static bool push(struct ring *ring, struct origin *origin, uint32_t number, uint32_t size)
{
	struct datagram datagram = {
		.payload = payload, .size = size, .ttl = 7, .timestamp_ns = number};
	struct batch batch = {.origin = origin, .count = 1, .datagrams = &datagram};

	memcpy(payload, &number, sizeof(number));
	return ring_push(ring, &batch, 0) == 1;
}

static uint32_t number_of(const struct datagram *datagram)
{
	uint32_t number;

	memcpy(&number, datagram->payload, sizeof(number));
	return number;
}

/* Takes everything out; the numbers must go up by one from *next. */
static unsigned drain(struct ring *ring, uint32_t *next)
{
	unsigned count = 0;

	while (ring_take(ring)) {
		while (ring_has_next(ring)) {
			struct batch batch = ring_next(ring, BATCH_MAX);

			assert_in_range(batch.count, 1, BATCH_MAX);
			for (unsigned j = 0; j < batch.count; j++, count++)
				assert_int_equal(number_of(&batch.datagrams[j]), (*next)++);
		}
		ring_return(ring);
	}
	return count;
}

static void keeps_order_over_many_rounds(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t pushed = 0, next = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, UINT64_MAX), 0);
	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < 37 + round; i++)
			assert_true(push(&ring, origin, pushed++, 4 + i % 1400));
		drain(&ring, &next);
	}
	assert_int_equal(next, pushed);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void carries_what_a_datagram_has(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	struct batch batch;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1, UINT64_MAX), 0);
	assert_true(push(&ring, origin, 42, 100));
	assert_true(ring_take(&ring));
	batch = ring_next(&ring, BATCH_MAX);
	assert_string_equal(batch.origin->group, GROUP_NAME);
	assert_int_equal(batch.datagrams[0].size, 100);
	assert_int_equal(batch.datagrams[0].ttl, 7);
	assert_int_equal(batch.datagrams[0].timestamp_ns, 42);
	ring_return(&ring);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void takes_the_largest_and_the_empty_datagram(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	struct datagram empty = {.payload = payload};
	struct batch batch = {.origin = origin, .count = 1, .datagrams = &empty};
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1, UINT64_MAX), 0);
	assert_true(push(&ring, origin, 1, DATAGRAM_MAX));
	assert_int_equal(ring_push(&ring, &batch, 0), 1);
	assert_int_equal(ring.queued, 2);
	assert_int_equal(ring.queued_bytes, DATAGRAM_MAX);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void refuses_what_does_not_fit_and_counts_the_rest(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t taken = 0, next = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 256 * 1024, UINT64_MAX), 0);
	while (push(&ring, origin, taken, 1000))
		taken++;
	assert_int_equal(ring.queued, taken);
	assert_int_equal(ring.queued_bytes, taken * 1000);
	/* At least what was asked for, less what each chunk leaves at its end. */
	assert_in_range(taken, 180, 320);
	assert_int_equal(drain(&ring, &next), taken);
	assert_int_equal(ring.queued, 0);
	assert_int_equal(ring.queued_bytes, 0);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void the_oldest_give_way(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t number = 0, next;
	unsigned dropped = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 256 * 1024, UINT64_MAX), 0);
	for (; number < 1000; number++)
		while (!push(&ring, origin, number, 1000)) {
			unsigned gone = ring_drop_oldest(&ring);

			assert_true(gone > 0);
			dropped += gone;
		}
	assert_int_equal(ring.queued + dropped, 1000);
	next = dropped; /* the newest are all there, in their order */
	drain(&ring, &next);
	assert_int_equal(next, 1000);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void the_oldest_give_way_while_the_reader_is_stuck(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	struct batch held;
	uint32_t number = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 256 * 1024, UINT64_MAX), 0);
	assert_true(push(&ring, origin, number++, 1000));
	assert_true(ring_take(&ring));
	held = ring_next(&ring, BATCH_MAX);
	for (; number < 1000; number++)
		while (!push(&ring, origin, number, 1000))
			assert_true(ring_drop_oldest(&ring) > 0);
	assert_int_equal(number_of(held.datagrams), 0);
	ring_return(&ring);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void no_more_datagrams_are_queued_than_may_be(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t taken = 0, next = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, 100), 0);
	while (push(&ring, origin, taken, 10))
		taken++;
	assert_int_equal(taken, 100);
	assert_int_equal(drain(&ring, &next), 100);
	assert_true(push(&ring, origin, taken, 10));
	ring_destroy(&ring);
	origin_unref(origin);
}

static void the_oldest_give_way_one_by_one_when_there_are_too_many(void **state)
{
	struct origin *a = make_origin("a"), *b = make_origin("b");
	uint32_t number = 0, next = 990;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, 10), 0);
	for (; number < 1000; number++)
		while (!push(&ring, number % 3 ? a : b, number, 10 + number % 7))
			assert_int_equal(ring_drop_oldest(&ring), 1);
	assert_int_equal(ring.queued, 10);
	assert_int_equal(drain(&ring, &next), 10);
	assert_int_equal(ring.queued_bytes, 0);
	ring_destroy(&ring);
	origin_unref(a);
	origin_unref(b);
}

/* Told with what is still queued, or with what comes next. */
static uint32_t lost_in(const struct ring *ring)
{
	const struct ring_chunk *chunk;
	uint32_t lost = ring->lost;

	for (unsigned i = ring->taken ? ring->taken->first_run : 0;
		ring->taken && i < ring->taken->run_count; i++)
		lost += ring->taken->runs[i].lost;
	list_for_each(chunk, &ring->queue, link)
		for (unsigned i = chunk->first_run; i < chunk->run_count; i++)
			lost += chunk->runs[i].lost;
	return lost;
}

/* The reader has a chunk of what was queued so far, and got as much of it. */
static struct batch begin_reading(struct ring *ring, unsigned count)
{
	assert_true(ring_take(ring));
	return ring_next(ring, count);
}

static void what_the_reader_has_not_got_yet_counts_as_queued(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t number = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, 10), 0);
	while (push(&ring, origin, number, 10))
		number++;
	assert_int_equal(begin_reading(&ring, 3).count, 3);
	assert_int_equal(ring.queued, 7);
	assert_int_equal(ring.queued_bytes, 70);
	assert_int_equal(ring_fill(&ring), 70);
	assert_true(ring_since_ns(&ring) > 0);
	while (push(&ring, origin, number, 10))
		number++;
	assert_int_equal(number, 13);
	assert_int_equal(ring.queued, 10);
	assert_int_equal(ring_drop_all(&ring), 10);
	assert_false(ring_has_next(&ring));
	assert_int_equal(ring.queued_bytes, 0);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void what_the_reader_has_not_got_yet_gives_way_first(void **state)
{
	struct origin *a = make_origin("a"), *b = make_origin("b");
	uint32_t number = 0, next = 90;
	struct batch batch;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, 10), 0);
	for (; number < 10; number++)
		assert_true(push(&ring, number % 4 ? a : b, number, 10));
	batch = begin_reading(&ring, 1);
	for (; number < 14; number++)
		while (!push(&ring, a, number, 10))
			assert_int_equal(ring_drop_oldest(&ring), 1);
	/* Of 0 to 13, the reader has 0, and 1 to 3 have given way. */
	assert_int_equal(number_of(ring_next(&ring, 1).datagrams), 4);
	for (; number < 100; number++)
		while (!push(&ring, number % 3 ? a : b, number, 10))
			assert_int_equal(ring_drop_oldest(&ring), 1);
	assert_false(ring_has_next(&ring));
	/* The batch may still be read, its origin as well. */
	assert_int_equal(number_of(batch.datagrams), 0);
	assert_string_equal(batch.origin->group, "b");
	ring_return(&ring);
	assert_int_equal(drain(&ring, &next), 10);
	assert_int_equal(ring.queued_bytes, 0);
	ring_destroy(&ring);
	origin_unref(a);
	origin_unref(b);
}

/* Each number that is missing is told once, whatever was dropped when. */
static void what_was_dropped_is_told_with_what_comes_after(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t number = 0, told = 0, got = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, 10), 0);
	for (unsigned round = 0; round < 50; round++) {
		for (unsigned i = 0; i < 7 + round; i++, number++)
			while (!push(&ring, origin, number, 10))
				ring_lose(&ring, ring_drop_oldest(&ring));
		if (!ring.taken)
			ring_take(&ring);
		for (unsigned i = 0; i < 3 && ring_has_next(&ring); i++) {
			struct batch batch = ring_next(&ring, 1 + i);

			told += batch.lost;
			got += batch.count;
		}
		if (!ring_has_next(&ring))
			ring_return(&ring);
	}
	assert_int_equal(number, got + ring.queued + told + lost_in(&ring));
	ring_destroy(&ring);
	origin_unref(origin);
}

static void all_of_the_queue_can_be_thrown_away(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, UINT64_MAX), 0);
	for (uint32_t number = 0; number < 500; number++)
		assert_true(push(&ring, origin, number, 1000));
	assert_int_equal(ring_drop_all(&ring), 500);
	assert_int_equal(ring_drop_all(&ring), 0);
	assert_false(ring_take(&ring));
	assert_int_equal(ring.queued_bytes, 0);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void origins_are_kept_apart_and_let_go(void **state)
{
	struct origin *a = make_origin("a"), *b = make_origin("b");
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1, UINT64_MAX), 0);
	push(&ring, a, 0, 10);
	push(&ring, b, 1, 10);
	push(&ring, a, 2, 10);
	/* Whoever made them may go before the ring is read. */
	origin_unref(a);
	origin_unref(b);
	assert_true(ring_take(&ring));
	assert_string_equal(ring_next(&ring, BATCH_MAX).origin->group, "a");
	assert_string_equal(ring_next(&ring, BATCH_MAX).origin->group, "b");
	assert_string_equal(ring_next(&ring, BATCH_MAX).origin->group, "a");
	assert_false(ring_has_next(&ring));
	ring_return(&ring);
	ring_destroy(&ring);
}

static void many_origins_end_a_chunk_and_not_the_ring(void **state)
{
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 256 * 1024, UINT64_MAX), 0);
	for (uint32_t i = 0; i < RING_CHUNK_RUNS + 10; i++) {
		struct origin *origin = make_origin(GROUP_NAME);

		assert_true(push(&ring, origin, i, 4));
		origin_unref(origin);
	}
	assert_int_equal(ring.queued, RING_CHUNK_RUNS + 10);
	assert_int_equal(
		list_first(&ring.queue, struct ring_chunk, link)->run_count, RING_CHUNK_RUNS);
	ring_destroy(&ring);
}

static void how_full_it_is_goes_by_what_is_scarcer(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1, 10), 0);
	assert_int_equal(ring_fill(&ring), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(push(&ring, origin, i, 4));
	assert_int_equal(ring_fill(&ring), 30);
	ring_drop_all(&ring);
	ring_destroy(&ring);

	assert_int_equal(ring_init(&ring, 1, UINT64_MAX), 0);
	for (uint32_t i = 0; i < 2; i++)
		assert_true(push(&ring, origin, i, DATAGRAM_MAX));
	assert_int_equal(ring_fill(&ring), 50);
	/* The reader's chunk takes room, too. */
	assert_true(ring_take(&ring));
	assert_int_equal(ring_fill(&ring), 50);
	ring_destroy(&ring);
	origin_unref(origin);
}

/* Fills the ring. Returns how many it has taken. */
static unsigned fill(struct ring *ring, struct origin *origin, uint32_t *pushed)
{
	uint32_t before = *pushed;

	while (push(ring, origin, *pushed, 1400))
		++*pushed;
	return *pushed - before;
}

static void resize(struct ring *ring, uint64_t bytes, uint64_t most)
{
	struct ring_segment *segment;

	assert_int_equal(ring_prepare(ring, bytes, &segment), 0);
	ring_resize(ring, bytes, most, segment);
}

static void has_other_limits_without_losing_what_is_queued(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t pushed = 0, next = 0;
	unsigned small, large;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, UINT64_MAX), 0);
	small = fill(&ring, origin, &pushed);
	/* The reader has a chunk meanwhile. */
	assert_true(ring_take(&ring));
	assert_int_equal(number_of(ring_next(&ring, 1).datagrams), next++);
	resize(&ring, 4 << 20, UINT64_MAX);
	large = small + fill(&ring, origin, &pushed);
	assert_in_range(large, small * 3, small * 5);
	while (ring_has_next(&ring))
		assert_int_equal(number_of(ring_next(&ring, 1).datagrams), next++);
	ring_return(&ring);
	/* Smaller: what is beyond the limit stays, and nothing more is taken. */
	resize(&ring, 1 << 20, UINT64_MAX);
	assert_false(push(&ring, origin, pushed, 1400));
	drain(&ring, &next);
	assert_int_equal(next, pushed);
	assert_int_equal(fill(&ring, origin, &pushed), small);
	/* By number. */
	resize(&ring, 4 << 20, small + 10);
	assert_int_equal(fill(&ring, origin, &pushed), 10);
	drain(&ring, &next);
	assert_int_equal(next, pushed);
	ring_destroy(&ring);
	origin_unref(origin);
}

/* Pushes a datagram, for which the oldest give way. Returns how often something was dropped. */
static unsigned push_for_the_oldest(
	struct ring *ring, struct origin *origin, uint32_t number, uint32_t *dropped)
{
	unsigned calls = 0;

	for (; !push(ring, origin, number, 1400); calls++)
		*dropped += ring_drop_oldest(ring);
	return calls;
}

static void what_is_beyond_a_smaller_number_gives_way_by_the_chunk(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t pushed = 0, dropped = 0, next;
	unsigned calls;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 4 << 20, UINT64_MAX), 0);
	while (pushed < 20000)
		assert_true(push(&ring, origin, pushed++, 4));
	/* The reader has got one of a chunk. */
	assert_int_equal(begin_reading(&ring, 1).count, 1);
	resize(&ring, 4 << 20, 10);
	calls = push_for_the_oldest(&ring, origin, pushed++, &dropped);
	assert_int_equal(ring.queued, 10);
	assert_int_equal(dropped, pushed - 1 - 10);
	/* One by one only in the chunk of those that stay. */
	assert_true(calls < 3000);
	assert_false(ring_has_next(&ring));
	ring_return(&ring);
	next = pushed - 10;
	assert_int_equal(drain(&ring, &next), 10);
	assert_int_equal(ring.queued_bytes, 0);
	/* By size. */
	resize(&ring, 4 << 20, UINT64_MAX);
	fill(&ring, origin, &pushed);
	resize(&ring, 1, UINT64_MAX);
	dropped = 0;
	push_for_the_oldest(&ring, origin, pushed++, &dropped);
	assert_true(ring.chunks_queued <= 4);
	next = pushed - (uint32_t)ring.queued;
	drain(&ring, &next);
	assert_int_equal(next, pushed);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void a_ring_that_has_shrunk_is_full(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t pushed = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 4 << 20, UINT64_MAX), 0);
	fill(&ring, origin, &pushed);
	resize(&ring, 1 << 20, UINT64_MAX);
	assert_int_equal(ring_fill(&ring), 100);
	resize(&ring, 4 << 20, 10);
	assert_int_equal(ring_fill(&ring), 100);
	ring_destroy(&ring);
	origin_unref(origin);
}

static void returns_the_memory_of_a_ring_that_has_grown_when_it_retires(void **state)
{
	struct origin *origin = make_origin(GROUP_NAME);
	uint32_t pushed = 0;
	struct ring ring;

	(void)state;
	assert_int_equal(ring_init(&ring, 1 << 20, UINT64_MAX), 0);
	assert_true(push(&ring, origin, pushed++, 4));
	assert_true(ring_take(&ring));
	resize(&ring, 4 << 20, UINT64_MAX);
	fill(&ring, origin, &pushed);
	assert_int_equal(ring_retire(&ring), pushed);
	assert_false(push(&ring, origin, pushed, 4));
	ring_return(&ring);
	assert_false(push(&ring, origin, pushed, 4));
	ring_destroy(&ring);
	origin_unref(origin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_order_over_many_rounds),
		cmocka_unit_test(carries_what_a_datagram_has),
		cmocka_unit_test(takes_the_largest_and_the_empty_datagram),
		cmocka_unit_test(refuses_what_does_not_fit_and_counts_the_rest),
		cmocka_unit_test(the_oldest_give_way),
		cmocka_unit_test(the_oldest_give_way_while_the_reader_is_stuck),
		cmocka_unit_test(no_more_datagrams_are_queued_than_may_be),
		cmocka_unit_test(the_oldest_give_way_one_by_one_when_there_are_too_many),
		cmocka_unit_test(what_the_reader_has_not_got_yet_counts_as_queued),
		cmocka_unit_test(what_the_reader_has_not_got_yet_gives_way_first),
		cmocka_unit_test(what_was_dropped_is_told_with_what_comes_after),
		cmocka_unit_test(all_of_the_queue_can_be_thrown_away),
		cmocka_unit_test(origins_are_kept_apart_and_let_go),
		cmocka_unit_test(many_origins_end_a_chunk_and_not_the_ring),
		cmocka_unit_test(how_full_it_is_goes_by_what_is_scarcer),
		cmocka_unit_test(has_other_limits_without_losing_what_is_queued),
		cmocka_unit_test(what_is_beyond_a_smaller_number_gives_way_by_the_chunk),
		cmocka_unit_test(a_ring_that_has_shrunk_is_full),
		cmocka_unit_test(returns_the_memory_of_a_ring_that_has_grown_when_it_retires),
	};

	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
