/* What was sent to a broker and is not acknowledged, against a broker that the test plays. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "data/window.h"

#define SILENCE_NS (5 * NS_PER_S)

static struct window window;
static uint64_t now = 1000 * NS_PER_S;
static uint64_t took_ns; /* what was acknowledged last */

static int make(void **state)
{
	(void)state;
	if (window_init(&window, 100, SILENCE_NS) < 0)
		return -1;
	window_connected(&window, now);
	return 0;
}

static int clear(void **state)
{
	(void)state;
	window_clear(&window);
	return 0;
}

static void add(unsigned count)
{
	while (count--)
		assert_non_null(window_add(&window, 200, 10));
}

/* Sends what may be sent. Returns how many that were, the first of which must be this one. */
static unsigned send_from(uint64_t first)
{
	unsigned sent = 0;
	uint64_t number;

	while (window_next(&window, now, &number)) {
		if (!sent++)
			assert_int_equal(number, first);
		window_sent(&window, number, now);
	}
	return sent;
}

static bool acknowledge(uint64_t number)
{
	return window_acknowledge(&window, number, now, &took_ns);
}

/* ---- Acknowledgements ---- */

static void what_is_acknowledged_leaves_room(void **state)
{
	(void)state;
	assert_int_equal(window_room(&window), 100);
	add(100);
	assert_int_equal(window_room(&window), 0);
	assert_int_equal(window.bytes, 1000);
	assert_int_equal(send_from(0), 100);
	for (unsigned i = 0; i < 100; i++)
		assert_true(acknowledge(i));
	assert_int_equal(window_room(&window), 100);
	assert_int_equal(window.bytes, 0);
	assert_int_equal(window.open, 0);
	assert_int_equal(window.resent, 0);
}

static void acknowledgements_come_in_any_order(void **state)
{
	(void)state;
	add(3);
	assert_int_equal(send_from(0), 3);
	assert_true(acknowledge(2));
	assert_true(acknowledge(1));
	assert_int_equal(window.open, 1);
	assert_int_equal(window_room(&window), 97);
	assert_true(acknowledge(0));
	assert_int_equal(window_room(&window), 100);
}

static void an_acknowledgement_is_timed_from_the_first_sending(void **state)
{
	uint64_t begin = now;

	(void)state;
	add(2);
	assert_int_equal(send_from(0), 2);
	now += 30;
	assert_true(acknowledge(1));
	assert_int_equal(took_ns, 30);
	now += SILENCE_NS; /* and it is sent again */
	assert_int_equal(send_from(0), 1);
	now += 5;
	assert_true(acknowledge(0));
	assert_int_equal(took_ns, now - begin);
	add(1);
	assert_int_equal(send_from(2), 1);
	now -= 1; /* by a thread that has read the clock earlier */
	assert_true(acknowledge(2));
	assert_int_equal(took_ns, 0);
}

static void old_and_unknown_numbers_change_nothing(void **state)
{
	(void)state;
	add(2);
	window_disconnected(&window);
	assert_false(acknowledge(0)); /* not sent */
	window_connected(&window, now);
	assert_int_equal(send_from(0), 2);
	assert_true(acknowledge(0));
	assert_false(acknowledge(0));
	assert_false(acknowledge(2));
	assert_false(acknowledge(UINT64_MAX));
	assert_false(window_release(&window, 0));
	assert_false(window_release(&window, 2));
	window_refuse(&window, 0, now);
	window_refuse(&window, 77, now);
	assert_int_equal(window.open, 1);
	assert_null(window_slot(&window, 0));
	assert_null(window_slot(&window, 2));
	assert_non_null(window_slot(&window, 1));
}

static void what_is_released_is_not_sent_again(void **state)
{
	(void)state;
	add(3);
	assert_int_equal(send_from(0), 3);
	assert_true(window_release(&window, 1));
	assert_int_equal(window.bytes, 20);
	window_connected(&window, now);
	assert_int_equal(send_from(0), 2);
	assert_int_equal(window.resent, 2);
}

/* ---- Sending again ---- */

static void nothing_is_sent_without_a_connection(void **state)
{
	uint64_t number;

	(void)state;
	window_disconnected(&window);
	add(1);
	assert_false(window_next(&window, now, &number));
	assert_int_equal(window_deadline(&window), 0);
}

static void a_connection_goes_back_to_the_oldest_that_is_open(void **state)
{
	(void)state;
	add(5);
	assert_int_equal(send_from(0), 5);
	acknowledge(0);
	acknowledge(1);
	acknowledge(3);
	window_disconnected(&window);
	add(1);
	assert_true(acknowledge(2)); /* was on its way */
	window_connected(&window, now);
	assert_int_equal(send_from(4), 2);
	assert_int_equal(window.resent, 1);
}

static void a_silence_goes_back(void **state)
{
	(void)state;
	add(4);
	assert_int_equal(send_from(0), 4);
	now += NS_PER_S;
	acknowledge(0);
	assert_int_equal(window_deadline(&window), now + SILENCE_NS);
	now += SILENCE_NS - 1;
	assert_int_equal(send_from(0), 0);
	now++;
	assert_int_equal(send_from(1), 3);
	assert_int_equal(window_deadline(&window), now + SILENCE_NS);
	assert_int_equal(send_from(1), 0);
}

static void an_acknowledgement_that_was_lost_is_a_silence_although_later_ones_come(void **state)
{
	(void)state;
	add(40);
	assert_int_equal(send_from(0), 40);
	for (unsigned i = 1; i < 10; i++) {
		assert_true(acknowledge(i));
		now += NS_PER_S / 2;
		assert_int_equal(send_from(0), 0);
	}
	now += NS_PER_S;
	assert_true(window_deadline(&window) <= now);
	assert_int_equal(send_from(0), 31);
	assert_true(acknowledge(0));
	assert_int_equal(send_from(0), 0);
}

static void a_pause_of_the_senders_is_no_silence(void **state)
{
	(void)state;
	add(1);
	assert_int_equal(send_from(0), 1);
	assert_true(acknowledge(0));
	now += 10 * SILENCE_NS;
	assert_int_equal(window_deadline(&window), 0);
	add(1);
	assert_int_equal(send_from(1), 1);
	assert_int_equal(send_from(1), 0);
	assert_int_equal(window.resent, 0);
}

static void times_of_several_threads_are_no_silence(void **state)
{
	uint64_t number;

	(void)state;
	add(2);
	assert_int_equal(send_from(0), 2);
	window_acknowledge(
		&window, 0, now + 1000, &took_ns); /* by a thread that has read the clock later */
	assert_false(window_next(&window, now, &number));
	assert_false(window_next(&window, 0, &number));
	window_acknowledge(&window, 1, now, &took_ns);
	add(1);
	assert_true(window_next(&window, now - 1000, &number));
	window_sent(&window, number, now - 1000);
	assert_false(window_next(&window, now - 1000, &number));
	assert_int_equal(window.resent, 0);
}

static void quiet_resends_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		now += 10000 + (i % 3 ? 0 : 60 * NS_PER_S);
		add(1);
		assert_int_equal(send_from(i), 1);
		now += 300000;
		if (i % 3 == 2)
			for (unsigned k = 3; k--;)
				assert_true(acknowledge(i - k));
	}
	assert_int_equal(window.resent, 0);
}

/* ---- Refusals ---- */

static void a_refusal_pauses_and_then_sends_one_probe(void **state)
{
	(void)state;
	add(10);
	assert_int_equal(send_from(0), 10);
	for (unsigned i = 0; i < 10; i++)
		window_refuse(&window, i, now);
	assert_int_equal(window_deadline(&window), now + 50 * NS_PER_MS);
	assert_int_equal(send_from(0), 0);
	now += 50 * NS_PER_MS;
	assert_int_equal(send_from(0), 1);
	window_refuse(&window, 3, now); /* of those before */
	assert_int_equal(send_from(0), 0);
	assert_true(acknowledge(0));
	assert_int_equal(send_from(1), 9);
}

static void pauses_double_up_to_a_second_and_begin_anew(void **state)
{
	unsigned ms = 50;

	(void)state;
	add(2);
	assert_int_equal(send_from(0), 2);
	for (unsigned i = 0; i < 8; i++) {
		window_refuse(&window, 0, now);
		assert_int_equal(window_deadline(&window), now + ms * NS_PER_MS);
		now += ms * NS_PER_MS;
		assert_int_equal(send_from(0), 1);
		ms = 2 * ms < 1000 ? 2 * ms : 1000;
	}
	assert_int_equal(ms, 1000);
	assert_true(acknowledge(0));
	assert_int_equal(send_from(1), 1);
	window_refuse(&window, 1, now);
	assert_int_equal(window_deadline(&window), now + 50 * NS_PER_MS);
}

static void a_probe_that_nobody_answers_is_sent_again(void **state)
{
	(void)state;
	add(2);
	assert_int_equal(send_from(0), 2);
	window_refuse(&window, 0, now);
	now += 50 * NS_PER_MS;
	assert_int_equal(send_from(0), 1);
	now += SILENCE_NS;
	assert_int_equal(send_from(0), 1);
	window_connected(&window, now);
	assert_int_equal(send_from(0), 1);
	assert_true(window_release(&window, 0));
	assert_int_equal(send_from(1), 1);
	assert_true(acknowledge(1));
	assert_false(window.is_probing);
}

static void what_was_on_its_way_before_a_pause_does_not_end_it(void **state)
{
	(void)state;
	add(3);
	assert_int_equal(send_from(0), 3);
	window_refuse(&window, 1, now);
	assert_true(acknowledge(0));
	now += 50 * NS_PER_MS;
	assert_int_equal(send_from(1), 1);
	window_refuse(&window, 1, now);
	assert_int_equal(window_deadline(&window), now + 100 * NS_PER_MS);
}

static void a_refusal_for_good_is_an_answer(void **state)
{
	(void)state;
	add(10);
	assert_int_equal(send_from(0), 10);
	for (unsigned i = 0; i < 9; i++) {
		now += SILENCE_NS / 2;
		assert_true(window_release(&window, i));
		assert_int_equal(send_from(0), 0);
	}
	assert_int_equal(window.resent, 0);
	now += SILENCE_NS;
	assert_int_equal(send_from(9), 1);
}

/* ---- The end, and memory ---- */

static void abandoning_tells_what_was_sent(void **state)
{
	unsigned sent;

	(void)state;
	add(5);
	assert_int_equal(send_from(0), 5);
	assert_true(acknowledge(2));
	window_disconnected(&window);
	add(3);
	assert_int_equal(window_abandon(&window, &sent), 7);
	assert_int_equal(sent, 4);
	assert_int_equal(window.bytes, 0);
	assert_int_equal(window_room(&window), 100);
	assert_int_equal(window_abandon(&window, &sent), 0);
}

static void large_buffers_are_given_back(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		struct window_slot *slot = window_add(&window, i % 2 ? 60000 : 100, 0);

		assert_non_null(slot);
		memset(slot->data, 1, slot->size);
		assert_int_equal(send_from(i), 1);
		assert_true(acknowledge(i));
	}
	for (size_t i = 0; i <= window.mask; i++)
		assert_in_range(window.slots[i].room, 0, 2048);
	assert_non_null(window_add(&window, 0, 7));
	assert_null(window_slot(&window, 1000)->data);
}

/* ---- Any broker ---- */

#define TOTAL 600
#define PIPE 4096

static uint64_t random_state;

static unsigned chance(unsigned bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 20) % bound);
}

/* One that keeps numbers once, in the order in which they came. */
struct broker {
	bool is_up, refuses, is_healthy;
	uint64_t pipe[PIPE]; /* sent, and not read yet */
	unsigned piped;
	uint64_t stored[TOTAL];
	unsigned stored_count;
	bool has[TOTAL], has_refused[TOTAL];
};

/* What the test knows of each number by itself. */
static struct model {
	bool is_acknowledged, is_released;
} model[TOTAL];

static unsigned added;

static void check_against_model(void)
{
	unsigned open = 0, low = added;

	for (unsigned i = added; i--;)
		if (!model[i].is_acknowledged && !model[i].is_released)
			open++, low = i;
	assert_int_equal(window.open, open);
	assert_int_equal(window.bytes, 10 * open);
	assert_int_equal(window.low, low);
	assert_int_equal(window_room(&window), 100 - (added - low));
}

static void answer(struct broker *broker, unsigned number)
{
	bool is_new = !model[number].is_acknowledged && !model[number].is_released;

	if (broker->refuses) {
		window_refuse(&window, number, now);
		return;
	}
	if (!broker->has[number] && !broker->is_healthy && !chance(50)) {
		broker->has_refused[number] = true;
		assert_int_equal(window_release(&window, number), is_new);
		model[number].is_released |= is_new;
		return;
	}
	if (!broker->has[number] && !broker->has_refused[number])
		broker->stored[broker->stored_count++] = number;
	broker->has[number] = true;
	for (unsigned times = broker->is_healthy ? 1 : chance(4); times--; is_new = false) {
		assert_int_equal(acknowledge(number), is_new);
		model[number].is_acknowledged |= is_new;
	}
}

/* Reads some of what was sent. It ends to refuse when nothing is on its way: else it would take
 * what was sent behind what it has refused, and no order could hold. */
static void broker_step(struct broker *broker)
{
	unsigned count = broker->is_healthy ? broker->piped : chance(broker->piped + 1);

	if (!broker->is_up)
		return;
	for (unsigned i = 0; i < count; i++)
		answer(broker, (unsigned)broker->pipe[i]);
	broker->piped -= count;
	memmove(broker->pipe, broker->pipe + count, broker->piped * sizeof(*broker->pipe));
	if (broker->refuses)
		broker->refuses = broker->piped || (!broker->is_healthy && chance(3));
	else
		broker->refuses = !broker->is_healthy && !chance(20);
}

/* The connection is lost, with all that was on its way; or there is one again. */
static void connection_step(struct broker *broker)
{
	if (broker->is_up && !broker->is_healthy && !chance(30)) {
		broker->is_up = false;
		broker->piped = 0;
		window_disconnected(&window);
	} else if (!broker->is_up && (broker->is_healthy || !chance(5))) {
		broker->is_up = true;
		window_connected(&window, now);
	}
}

static void sender_step(struct broker *broker)
{
	uint64_t number;

	for (unsigned i = chance(20); i && added < TOTAL && window_room(&window); i--, added++)
		assert_non_null(window_add(&window, chance(3000), 10));
	while (broker->piped < PIPE && window_next(&window, now, &number)) {
		assert_true(broker->is_up);
		assert_true(number < added && window_slot(&window, number)->is_open);
		broker->pipe[broker->piped++] = number;
		window_sent(&window, number, now);
	}
}

static void run_with(uint64_t seed)
{
	static struct broker all;
	struct broker *broker = &all;
	unsigned steps = 0;

	all = (struct broker){.is_up = true};
	random_state = seed;
	memset(model, 0, sizeof(model));
	for (added = 0; added < TOTAL || window.open; steps++) {
		assert_true(steps < 100000);
		broker->is_healthy = added == TOTAL;
		now += chance(4) ? chance(2000000) : chance(2) * NS_PER_S;
		connection_step(broker);
		sender_step(broker);
		broker_step(broker);
		check_against_model();
		if (!broker->piped && window.open && broker->is_up && window_deadline(&window))
			now = window_deadline(&window);
	}
	for (unsigned i = 0; i < TOTAL; i++)
		assert_true(model[i].is_acknowledged ? broker->has[i] : broker->has_refused[i]);
	for (unsigned i = 1; i < broker->stored_count; i++)
		assert_true(broker->stored[i - 1] < broker->stored[i]);
}

static void any_broker_gets_all_of_it_in_order(void **state)
{
	for (uint64_t seed = 1; seed <= 200; seed++) {
		run_with(seed * 0x9e3779b97f4a7c15ull);
		clear(state);
		make(state);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clear)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_is_acknowledged_leaves_room),
		TEST(acknowledgements_come_in_any_order),
		TEST(an_acknowledgement_is_timed_from_the_first_sending),
		TEST(old_and_unknown_numbers_change_nothing),
		TEST(what_is_released_is_not_sent_again),
		TEST(nothing_is_sent_without_a_connection),
		TEST(a_connection_goes_back_to_the_oldest_that_is_open),
		TEST(a_silence_goes_back),
		TEST(an_acknowledgement_that_was_lost_is_a_silence_although_later_ones_come),
		TEST(a_pause_of_the_senders_is_no_silence),
		TEST(times_of_several_threads_are_no_silence),
		TEST(quiet_resends_nothing),
		TEST(a_refusal_pauses_and_then_sends_one_probe),
		TEST(pauses_double_up_to_a_second_and_begin_anew),
		TEST(a_probe_that_nobody_answers_is_sent_again),
		TEST(what_was_on_its_way_before_a_pause_does_not_end_it),
		TEST(a_refusal_for_good_is_an_answer),
		TEST(abandoning_tells_what_was_sent),
		TEST(large_buffers_are_given_back),
		TEST(any_broker_gets_all_of_it_in_order),
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
