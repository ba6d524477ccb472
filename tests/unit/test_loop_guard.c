/* Which copies of a payload are relayed: the rules one by one, then rings and senders at random. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "data/loop_guard.h"
#include "range.h"

/* Copies of an address that are relayed before it is tested. */
#define COPIES 64

static struct address host(unsigned number)
{
	return (struct address){.family = AF_INET, .v4.s_addr = htonl(0x0a000000 | number)};
}

static enum loop_verdict judge(
	struct loop_guard *guard, const char *payload, unsigned source, uint64_t ms)
{
	struct address address = host(source);

	return loop_guard_judge(guard, payload, strlen(payload), &address, ms * NS_PER_MS);
}

/* How many of count copies are relayed, one every interval from *ms on, which goes on. */
static unsigned relayed(struct loop_guard *guard, const char *payload, unsigned source,
	unsigned count, unsigned interval_ms, uint64_t *ms)
{
	unsigned passed = 0;

	for (unsigned i = 0; i < count; i++, *ms += interval_ms)
		passed += judge(guard, payload, source, *ms) == LOOP_NONE;
	return passed;
}

static void the_first_address_is_never_dropped(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	assert_non_null(guard);
	assert_int_equal(relayed(guard, "beat", 1, 10000, 1, &ms), 10000);
	for (unsigned i = 0; i < 100000; i++) /* 100,000/s */
		assert_int_equal(judge(guard, "fast", 1, ms + i / 100), LOOP_NONE);
	loop_guard_free(guard);
}

static void copies_of_another_address_are_dropped_after_64_and_reported_once(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	judge(guard, "query", 1, ms);
	assert_int_equal(relayed(guard, "query", 2, COPIES, 1, &ms), COPIES);
	assert_int_equal(judge(guard, "query", 2, ms), LOOP_FOUND);
	assert_int_equal(judge(guard, "query", 2, ms), LOOP_AGAIN);
	/* The next payload that the same address brings back is not news. */
	judge(guard, "other", 1, ms);
	assert_int_equal(relayed(guard, "other", 2, COPIES, 1, &ms), COPIES);
	assert_int_equal(judge(guard, "other", 2, ms), LOOP_AGAIN);
	loop_guard_free(guard);
}

/* Each of some payloads once by host 1, and more often than COPIES by host 2. */
static void circulate(struct loop_guard *guard, unsigned count, uint64_t *ms)
{
	char payload[16];

	for (unsigned i = 0; i < count; i++, *ms += 5000) {
		snprintf(payload, sizeof(payload), "ring %u", i);
		judge(guard, payload, 1, *ms);
		assert_int_equal(relayed(guard, payload, 2, COPIES + 1, 1, ms), COPIES);
	}
}

static void of_an_address_that_brought_back_three_payloads_no_copy_is_relayed(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;
	char payload[16];

	(void)state;
	circulate(guard, 3, &ms);
	for (unsigned i = 0; i < 100; i++, ms += 10000) {
		snprintf(payload, sizeof(payload), "next %u", i);
		assert_int_equal(judge(guard, payload, 1, ms), LOOP_NONE);
		assert_int_equal(judge(guard, payload, 2, ms), LOOP_AGAIN);
		assert_int_equal(judge(guard, payload, 3, ms), LOOP_NONE);
		/* What it is the first to send is its own. */
		snprintf(payload, sizeof(payload), "own %u", i);
		assert_int_equal(judge(guard, payload, 2, ms), LOOP_NONE);
	}
	loop_guard_free(guard);
}

/* A ring of which only one address is heard: 16 copies, then one in each of two pauses. */
static void find_lone_ring(struct loop_guard *guard, const char *payload, uint64_t *ms)
{
	enum loop_verdict verdict = LOOP_NONE;

	for (unsigned i = 0; i < 200 && verdict == LOOP_NONE; i++, *ms += 1) {
		uint32_t pause_ms;

		verdict = judge(guard, payload, 1, *ms);
		pause_ms = loop_guard_take_pause(guard);
		if (!pause_ms)
			continue;
		*ms += pause_ms;
		loop_guard_end_pause(guard);
		judge(guard, payload, 1, *ms);
		loop_guard_was_queued(guard, true, *ms * NS_PER_MS);
	}
	assert_int_not_equal(verdict, LOOP_NONE);
}

static void a_host_whose_address_the_relays_of_a_ring_keep_is_not_known_for_a_relay(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;
	char payload[16];

	(void)state;
	for (unsigned i = 0; i < 5; i++, ms += 10000) {
		snprintf(payload, sizeof(payload), "kept %u", i);
		find_lone_ring(guard, payload, &ms);
	}
	judge(guard, "search", 2, ms);
	assert_int_equal(judge(guard, "search", 1, ms), LOOP_NONE);
	loop_guard_free(guard);
}

static void a_relay_that_is_heard_before_the_host_is_not_taken_for_it(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	circulate(guard, 3, &ms);
	assert_int_equal(judge(guard, "next", 2, ms), LOOP_NONE);
	assert_int_equal(judge(guard, "next", 1, ms), LOOP_NONE);
	assert_int_equal(judge(guard, "next", 2, ms), LOOP_AGAIN);
	assert_int_equal(judge(guard, "next", 1, ms), LOOP_NONE);
	loop_guard_free(guard);
}

/* It makes a copy of each datagram, the first of which is heard before the host's. */
static void a_host_beside_a_known_relay_loses_nothing(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	circulate(guard, 3, &ms);
	judge(guard, "beacon", 2, ms);
	for (unsigned i = 0; i < 1000; i++, ms += 20) {
		assert_int_equal(judge(guard, "beacon", 1, ms), LOOP_NONE);
		if (i)
			assert_int_equal(judge(guard, "beacon", 2, ms), LOOP_AGAIN);
	}
	/* Nor when the relay is gone. */
	for (unsigned i = 0; i < 1000; i++, ms += 20)
		assert_int_equal(judge(guard, "beacon", 1, ms), LOOP_NONE);
	loop_guard_free(guard);
}

/* The host's only datagram is read after that of a relay, which goes on. */
static void a_relay_that_is_heard_before_the_host_is_found_after_64_copies(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	assert_int_equal(judge(guard, "query", 2, ms), LOOP_NONE);
	assert_int_equal(judge(guard, "query", 1, ms), LOOP_NONE);
	assert_int_equal(relayed(guard, "query", 2, COPIES - 1, 1, &ms), COPIES - 1);
	assert_int_equal(judge(guard, "query", 2, ms), LOOP_FOUND);
	assert_int_equal(judge(guard, "query", 1, ms), LOOP_NONE);
	loop_guard_free(guard);
}

/* A host at 1/s, and one at 1,000/s that was the first. */
static void the_first_host_passes_beside_a_slower_one(void **state)
{
	struct loop_guard *guard = loop_guard_new();

	(void)state;
	for (uint64_t ms = 0; ms < 60000; ms++) {
		assert_int_equal(judge(guard, "beacon", 1, ms), LOOP_NONE);
		if (ms % 1000 == 500)
			assert_int_equal(judge(guard, "beacon", 2, ms), LOOP_NONE);
	}
	loop_guard_free(guard);
}

static void all_addresses_of_a_ring_are_found_at_once(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	judge(guard, "query", 1, ms);
	relayed(guard, "query", 3, COPIES - 1, 1, &ms);
	judge(guard, "query", 4, ms);
	relayed(guard, "query", 2, COPIES, 1, &ms);
	assert_int_equal(judge(guard, "query", 2, ms), LOOP_FOUND);
	assert_int_equal(judge(guard, "query", 3, ms), LOOP_FOUND);
	assert_int_equal(judge(guard, "query", 3, ms), LOOP_AGAIN);
	assert_int_equal(judge(guard, "query", 4, ms), LOOP_AGAIN);
	loop_guard_free(guard);
}

static void an_address_that_goes_on_in_a_test_is_a_host_again(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	circulate(guard, 3, &ms);
	judge(guard, "beat", 1, ms);
	relayed(guard, "beat", 2, 3000, 1, &ms);
	judge(guard, "next", 1, ms);
	assert_int_equal(relayed(guard, "next", 2, COPIES, 1, &ms), COPIES);
	loop_guard_free(guard);
}

static void the_port_does_not_matter_but_every_byte_and_the_size_do(void **state)
{
	static const unsigned sizes[] = {0, 1, 15, 16, 17, 64, 65, 127, 128, 129, 1472};
	struct loop_guard *guard = loop_guard_new();
	struct address first = host(1), second = host(2);
	uint8_t payload[1472] = {0};
	uint64_t now = NS_PER_S;

	(void)state;
	/* One copy more than allowed of each is dropped; of all others none is. */
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct address other = host(10 + i);

		loop_guard_judge(guard, payload, sizes[i], &first, now);
		for (unsigned j = 0; j < COPIES; j++)
			assert_int_equal(
				loop_guard_judge(guard, payload, sizes[i], &other, now), LOOP_NONE);
		assert_int_not_equal(
			loop_guard_judge(guard, payload, sizes[i], &other, now), LOOP_NONE);
	}
	for (unsigned i = 0; i < sizeof(payload); i++) {
		payload[i] = 1;
		assert_int_equal(
			loop_guard_judge(guard, payload, sizeof(payload), &second, now), LOOP_NONE);
		payload[i] = 0;
	}
	loop_guard_free(guard);
}

static void other_addresses_are_tested_at_the_same_time(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	judge(guard, "query", 1, ms);
	assert_int_equal(relayed(guard, "query", 3, 10, 1, &ms), 10);
	assert_int_equal(relayed(guard, "query", 2, 2 * COPIES, 1, &ms), COPIES);
	assert_int_equal(judge(guard, "query", 3, ms), LOOP_AGAIN);
	assert_int_equal(judge(guard, "query", 4, ms), LOOP_AGAIN);
	assert_int_equal(judge(guard, "query", 1, ms), LOOP_NONE);
	assert_int_equal(judge(guard, "other", 2, ms), LOOP_NONE);
	loop_guard_free(guard);
}

/* A beacon of one a second, and a ring of a millisecond. */
static void what_the_first_address_sends_again_may_come_back_64_times_again(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	unsigned passed = 0;

	(void)state;
	for (uint64_t beacon = 0; beacon < 100; beacon++) {
		bool circles = judge(guard, "beacon", 1, beacon * 1000) == LOOP_NONE;

		assert_true(circles);
		for (uint64_t ms = 1; circles && ms < 1000; ms++, passed += circles)
			circles = judge(guard, "beacon", 2, beacon * 1000 + ms) == LOOP_NONE;
	}
	assert_in_range(passed, COPIES, 100 * COPIES);
	loop_guard_free(guard);
}

static void what_the_first_address_sends_in_a_test_may_come_back_64_times(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	judge(guard, "query", 1, ms);
	assert_int_equal(relayed(guard, "query", 2, COPIES + 1, 1, &ms), COPIES);
	assert_int_equal(judge(guard, "query", 1, ms), LOOP_NONE);
	ms += 1100;
	assert_int_equal(relayed(guard, "query", 2, 200, 1, &ms), COPIES);
	loop_guard_free(guard);
}

static void a_host_that_sends_more_often_than_the_first_passes(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	unsigned passed = 0;

	(void)state;
	for (uint64_t ms = 0; ms < 60000; ms++) {
		if (ms % 1000 == 0)
			assert_int_equal(judge(guard, "beacon", 1, ms), LOOP_NONE);
		passed += judge(guard, "beacon", 2, ms) == LOOP_NONE;
	}
	assert_in_range(passed, 58990, 59001);
	loop_guard_free(guard);
}

static void equal_beacons_of_several_hosts_pass(void **state)
{
	struct loop_guard *guard = loop_guard_new();

	(void)state;
	for (uint64_t ms = 0; ms < 60000; ms += 20)
		for (unsigned source = 1; source <= 4; source++)
			assert_int_equal(judge(guard, "beacon", source, ms + source), LOOP_NONE);
	loop_guard_free(guard);
}

static void a_and_b_legs_pass(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	char payload[16];

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		snprintf(payload, sizeof(payload), "%u", (unsigned)i);
		assert_int_equal(judge(guard, payload, 1, i / 10), LOOP_NONE);
		assert_int_equal(judge(guard, payload, 2, i / 10 + 3), LOOP_NONE);
	}
	loop_guard_free(guard);
}

static void a_ring_is_silent_as_soon_as_its_copies_are_dropped(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;
	unsigned passed = 0;

	(void)state;
	judge(guard, "query", 1, ms);
	for (; judge(guard, "query", 2, ms) == LOOP_NONE; ms += 3000) /* one copy goes round */
		passed++;
	assert_int_equal(passed, COPIES);
	loop_guard_free(guard);
}

/* An address that is not the first and goes on: 64 copies, then a second without. */
static void a_host_that_goes_on_loses_a_second_and_passes_for_a_minute(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	judge(guard, "beacon", 66, ms); /* somebody else sent it first */
	assert_int_equal(relayed(guard, "beacon", 1, COPIES, 20, &ms), COPIES);
	assert_int_equal(relayed(guard, "beacon", 1, 50, 20, &ms), 0);
	assert_int_equal(relayed(guard, "beacon", 1, 3000, 20, &ms), 3000);
	/* Then 2 s and, after one more minute, 4 s; then it is known. */
	assert_in_range(relayed(guard, "beacon", 1, 3100, 20, &ms), 2995, 3000);
	assert_in_range(relayed(guard, "beacon", 1, 3200, 20, &ms), 2995, 3005);
	assert_int_equal(relayed(guard, "beacon", 1, 50000, 20, &ms), 50000);
	loop_guard_free(guard);
}

static void several_hosts_that_go_on_lose_a_second_each(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	unsigned dropped[5] = {0};

	(void)state;
	judge(guard, "beacon", 66, 0);
	for (uint64_t ms = 0; ms < 50000; ms += 20)
		for (unsigned source = 1; source <= 4; source++)
			dropped[source] += judge(guard, "beacon", source, ms) != LOOP_NONE;
	for (unsigned source = 1; source <= 4; source++)
		assert_in_range(dropped[source], 0, 52);
	loop_guard_free(guard);
}

static void copies_that_become_more_while_they_pass_are_dropped_again(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	judge(guard, "query", 1, ms);
	relayed(guard, "query", 2, COPIES, 10, &ms);
	assert_int_equal(relayed(guard, "query", 2, 100, 10, &ms), 0);
	assert_int_equal(judge(guard, "query", 2, ms), LOOP_NONE);
	/* 100 came during the test of a second: twice as many and a few more pass. */
	assert_in_range(relayed(guard, "query", 2, 1000, 1, &ms), 200, 220);
	loop_guard_free(guard);
}

static void a_payload_that_was_silent_for_long_is_new(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	uint64_t ms = 1000;

	(void)state;
	judge(guard, "query", 1, ms);
	relayed(guard, "query", 2, 2 * COPIES, 1, &ms);
	ms += 6000;
	assert_int_equal(relayed(guard, "query", 2, 1000, 1, &ms), 1000);
	loop_guard_free(guard);
}

/* Payloads of an attacker, each sent several times by two addresses, to displace others. */
static void floods_do_not_hide_a_ring(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	unsigned passed = 0, number = 0;
	char payload[16];

	(void)state;
	judge(guard, "query", 1, 0);
	for (uint64_t ms = 1; ms < 1000; ms++) {
		passed += judge(guard, "query", 2, ms) == LOOP_NONE;
		for (unsigned i = 0; i < 20; i++, number++) {
			snprintf(payload, sizeof(payload), "%u", number);
			judge(guard, payload, 3 + number % 2, ms);
			snprintf(payload, sizeof(payload), "%u", number / 3 * 3);
			judge(guard, payload, 4, ms);
			judge(guard, payload, 3, ms);
		}
	}
	assert_in_range(passed, COPIES, COPIES + 4);
	loop_guard_free(guard);
}

/* ---- Rings and senders at random ---- */

#define RELAYS 4
#define NETS 4
#define HOSTS 10 /* 1 and up; then the addresses of relays */

struct relay {
	int from, to;
	bool both, guarded, keeps_source;
	double delay_min, delay_max, loss; /* s, s, share */
	double late[NETS]; /* s: how long it takes to hear what is on a network */
};

/* A datagram that arrives at a network at this time. source: a host's number, or that of a relay's
 * address. */
struct arrival {
	uint64_t us;
	uint32_t payload, source;
	int net, sender; /* the relay that has sent it; -1: a host */
	int reader; /* the relay that hears it late, plus 1; 0: all that are not late */
};

static struct {
	struct {
		struct arrival *items;
		size_t count;
	} heap;
	uint64_t random;
	struct relay relays[RELAYS];
	int relay_count;
	struct loop_guard *guards[RELAYS];
	/* Relays that do not read a network for a moment. */
	struct {
		bool is_paused;
		int net;
		struct arrival queue[64];
		unsigned count;
	} pauses[RELAYS];
	/* What each relay has relayed of each address, and what the first has dropped. */
	unsigned relayed[RELAYS][HOSTS + RELAYS * NETS], dropped;
} sim;

static double chance(void)
{
	sim.random ^= sim.random << 13;
	sim.random ^= sim.random >> 7;
	sim.random ^= sim.random << 17;
	return (double)(sim.random >> 11) / 9007199254740992.0;
}

static int pick(int count)
{
	return (int)(chance() * count);
}

/* From least to 10^decades times as much, small and large ones alike. */
static double scale(double least, int decades)
{
	for (int i = pick(decades); i > 0; i--)
		least *= 10;
	return least * (1 + 9 * chance());
}

static uint32_t relay_address(int relay, int net)
{
	return (uint32_t)(HOSTS + relay * NETS + net);
}

static void push(struct arrival arrival)
{
	size_t i = sim.heap.count;

	assert_int_equal(array_add(&sim.heap, arrival), 0);
	for (; i && sim.heap.items[(i - 1) / 2].us > arrival.us; i = (i - 1) / 2)
		sim.heap.items[i] = sim.heap.items[(i - 1) / 2];
	sim.heap.items[i] = arrival;
}

static struct arrival pop(void)
{
	struct arrival *items = sim.heap.items, first = *items, last = items[--sim.heap.count];
	size_t i = 0, child;

	for (; (child = 2 * i + 1) < sim.heap.count; i = child) {
		if (child + 1 < sim.heap.count && items[child + 1].us < items[child].us)
			child++;
		if (items[child].us >= last.us)
			break;
		items[i] = items[child];
	}
	items[i] = last;
	return first;
}

/* What a daemon relays, as handlers/relayable.h has it: nothing that comes from an address of its
 * own; and to keep a source only what comes from the network of that address. */
static bool is_relayable(int index, const struct arrival *arrival)
{
	const struct relay *relay = &sim.relays[index];
	struct address source = host(arrival->source);
	bool is_host = arrival->source < HOSTS;
	bool passes;

	if (relay->keeps_source &&
		arrival->net != (is_host ? 0 : (int)(arrival->source - HOSTS) % NETS))
		return false;
	passes = loop_guard_judge(sim.guards[index], &arrival->payload, sizeof(arrival->payload),
			 &source, arrival->us * 1000) == LOOP_NONE;
	sim.relayed[index][arrival->source] += passes;
	sim.dropped += !index && !passes;
	return passes;
}

static void relay(int index, const struct arrival *arrival)
{
	const struct relay *relay = &sim.relays[index];
	int to = relay->from == arrival->net                ? relay->to
		 : relay->both && relay->to == arrival->net ? relay->from
							    : -1;
	double delay = relay->delay_min + chance() * (relay->delay_max - relay->delay_min);
	bool is_own = arrival->source >= HOSTS && (int)(arrival->source - HOSTS) / NETS == index;

	if (to < 0 || arrival->sender == index || is_own)
		return;
	if (relay->guarded && !is_relayable(index, arrival))
		return;
	if (chance() < relay->loss)
		return;
	push((struct arrival){.us = arrival->us + (uint64_t)(delay * 1e6) + 1,
		.payload = arrival->payload,
		.source = relay->keeps_source ? arrival->source : relay_address(index, to),
		.net = to,
		.sender = index});
}

/* A guarded relay may be asked to pause. What a paused one does not read yet is queued. */
static void read_at(int index, const struct arrival *arrival)
{
	struct loop_guard *guard = sim.guards[index];
	uint32_t ms;

	if (sim.pauses[index].is_paused && sim.pauses[index].net == arrival->net) {
		if (sim.pauses[index].count < 64)
			sim.pauses[index].queue[sim.pauses[index].count++] = *arrival;
		return;
	}
	relay(index, arrival);
	ms = sim.relays[index].guarded ? loop_guard_take_pause(guard) : 0;
	if (!ms)
		return;
	sim.pauses[index].is_paused = true;
	sim.pauses[index].net = arrival->net;
	sim.pauses[index].count = 0;
	push((struct arrival){.us = arrival->us + ms * 1000ull, .net = -1, .sender = index});
}

static void end_pause(int index, uint64_t us)
{
	loop_guard_end_pause(sim.guards[index]);
	for (unsigned i = 0; i < sim.pauses[index].count; i++) {
		sim.pauses[index].queue[i].us = us;
		relay(index, &sim.pauses[index].queue[i]);
	}
	loop_guard_was_queued(sim.guards[index], sim.pauses[index].count < 64, us * 1000);
	sim.pauses[index].is_paused = false;
}

/* All relays hear what is on a network, some of them late. */
static void hear(struct arrival arrival)
{
	uint64_t us = arrival.us;

	for (int i = 0; i < sim.relay_count; i++) {
		double late = sim.relays[i].late[arrival.net];

		arrival.reader = i + 1;
		arrival.us = us + (uint64_t)(late * 1e6);
		if (late > 0)
			push(arrival);
		else
			read_at(i, &arrival);
	}
}

/* Returns whether it became silent after at most this many arrivals. */
static bool run(unsigned most)
{
	while (sim.heap.count && most--) {
		struct arrival arrival = pop();

		if (arrival.net < 0)
			end_pause(arrival.sender, arrival.us);
		else if (arrival.reader)
			read_at(arrival.reader - 1, &arrival);
		else
			hear(arrival);
	}
	return !sim.heap.count;
}

static void add_relay(int from, int to, bool both, bool guarded, bool keeps, double slow)
{
	struct relay *relay = &sim.relays[sim.relay_count++];

	relay->from = from;
	relay->to = to;
	relay->both = both;
	relay->guarded = guarded;
	relay->keeps_source = keeps;
	memset(relay->late, 0, sizeof(relay->late));
	relay->delay_max = slow * (0.25 + chance() * 0.75);
	relay->delay_min = chance() < 0.3 ? 0.0001 : relay->delay_max * (0.25 + chance() * 0.75);
	relay->loss = chance() < 0.5 ? 0 : chance() * 0.15;
}

/* Two to four relays: in a ring, side by side, or one way out and the others back. The first is
 * guarded, and hears the host, on network 0. Returns what kind it is. */
static const char *make_topology(double slow)
{
	int others = 1 + pick(3), kind = pick(3);

	sim.relay_count = 0;
	memset(sim.pauses, 0, sizeof(sim.pauses));
	memset(sim.relayed, 0, sizeof(sim.relayed));
	sim.dropped = 0;
	add_relay(0, 1, kind < 2, true, pick(4) == 0, 0.0001);
	switch (kind) {
	case 0:
		for (int i = 1; i <= others; i++)
			add_relay(i, i == others ? 0 : i + 1, true, pick(2), pick(4) == 0, slow);
		return "ring";
	case 1:
		slow = others > 1 && slow > 0.25 ? 0.25 : slow;
		/* Two that are not guarded form a ring of their own; and one of slow relays turns
		 * without the daemon for longer than it tests. */
		for (int i = 1; i <= others; i++)
			add_relay(0, 1, true, i > 1 || pick(2), pick(4) == 0, slow);
		return "side by side";
	default:
		for (int i = 1; i <= others; i++)
			add_relay(1, 0, false, pick(2), pick(4) == 0, slow);
		return "one way out";
	}
}

/* A datagram of a host to network 0. */
static void say(uint64_t us, uint32_t payload, uint32_t source)
{
	push((struct arrival){
		.us = us, .payload = payload, .source = source, .net = 0, .sender = -1});
}

/* Not tried, as the daemon cannot tell: that a relay which keeps the source brings back what the
 * daemon has relayed with the source kept, as it comes from where its sender is. */
static bool can_tell(void)
{
	bool kept = false, kept_by_other = false;

	for (int i = 0; i < sim.relay_count; i++) {
		const struct relay *relay = &sim.relays[i];

		*(relay->guarded ? &kept : &kept_by_other) |= relay->keeps_source;
	}
	return !kept || !kept_by_other;
}

/* The most that this relay has relayed of the address of another one. */
static unsigned most_relayed(int index)
{
	unsigned most = 0;

	for (unsigned i = HOSTS; i < HOSTS + RELAYS * NETS; i++)
		most = sim.relayed[index][i] > most ? sim.relayed[index][i] : most;
	return most;
}

static void rings_at_random_are_bounded(void **state)
{
	uint64_t start_us = 1000000;

	(void)state;
	sim.random = 7;
	for (uint32_t i = 0; i < 1500; start_us += 10000000000ull) {
		const char *kind = make_topology(scale(0.0001, 4));
		unsigned originals = pick(2) ? 1 : 1 + (unsigned)pick(20);
		double spread = pick(2) ? 0.001 : chance() * 2;

		if (!can_tell())
			continue;
		i++;
		for (unsigned j = 0; j < originals; j++)
			say(start_us + (uint64_t)(chance() * spread * 1e6), i, 1);
		/* Relays that keep the source bring more of its address than it has sent. */
		if (!run(100000) || most_relayed(0) > COPIES * sim.relayed[0][1])
			fail_msg("%u, %s of %d relays: %u copies of %u", i, kind, sim.relay_count,
				most_relayed(0), sim.relayed[0][1]);
	}
}

/* Two to four guarded relays of the same two networks. Each hears one of them late: to some of them
 * another relay is the first that sends a payload. Returns the time of a hop in s. */
static double make_side_by_side(int count, int decades, double hops_late)
{
	double hop = scale(0.0001, decades);

	sim.relay_count = 0;
	memset(sim.pauses, 0, sizeof(sim.pauses));
	memset(sim.relayed, 0, sizeof(sim.relayed));
	for (int i = 0; i < count; i++) {
		add_relay(0, 1, true, true, false, hop);
		sim.relays[i].late[pick(2)] = chance() * hop * hops_late;
	}
	return hop;
}

static void check_side_by_side(uint32_t number, unsigned most)
{
	for (int i = 0; i < sim.relay_count; i++)
		if (most_relayed(i) > most)
			fail_msg("%u, relay %d of %d: %u copies", number, i, sim.relay_count,
				most_relayed(i));
}

static void relays_side_by_side_are_bounded_whichever_address_is_heard_first(void **state)
{
	uint64_t start_us = 1000000;

	(void)state;
	sim.random = 12;
	for (uint32_t i = 0; i < 1000; i++, start_us += 10000000000ull) {
		unsigned originals = pick(2) ? 1 : 1 + (unsigned)pick(20);
		double hop = make_side_by_side(2 + (int)i % 3, 3, 1);

		for (unsigned j = 0; j < originals; j++)
			say(start_us + (uint64_t)(chance() * hop * 1e6), 5000000 + i, 1);
		if (!run(1000000))
			fail_msg("%u, %d relays: goes on", i, sim.relay_count);
		check_side_by_side(i, originals * COPIES);
	}
}

/* Where the host is heard after its datagram came round several times. */
static void relays_side_by_side_fall_silent_however_late_they_hear_the_host(void **state)
{
	uint64_t start_us = 1000000;

	(void)state;
	sim.random = 13;
	for (uint32_t i = 0; i < 300; i++, start_us += 10000000000ull) {
		make_side_by_side(2 + (int)i % 3, 2, 20);
		say(start_us, 6000000 + i, 1);
		if (!run(1000000))
			fail_msg("%u, %d relays: goes on", i, sim.relay_count);
		check_side_by_side(i, 3 * COPIES);
	}
}

/* The guarded relay never hears the host itself, or hears it under the address that the ring's
 * copies have: only a pause shows that these are no host's. Rings of up to 6 ms. */
static const char *make_lone_topology(int kind, int *ret_host)
{
	double slow = scale(0.0001, 1);

	sim.relay_count = 0;
	*ret_host = 0;
	if (kind == 0) {
		add_relay(1, 0, false, true, false, 0.0001);
		add_relay(0, 1, pick(2), false, false, slow);
		return "one way against one way";
	}
	if (kind == 1) {
		add_relay(0, 1, pick(2), true, true, 0.0001);
		add_relay(0, 1, true, false, true, slow);
		return "two that keep the source";
	}
	add_relay(0, 1, true, true, false, 0.0001);
	add_relay(1, 2, true, false, false, slow);
	if (kind == 3)
		add_relay(2, 3, true, false, false, slow);
	add_relay(sim.relay_count, 0, true, false, false, slow);
	*ret_host = 2;
	return "ring with a far host";
}

static void rings_of_a_host_that_is_not_heard_end(void **state)
{
	uint64_t start_us = 1000000;

	(void)state;
	sim.random = 10;
	for (uint32_t i = 3000000; i < 3001000; i++, start_us += 10000000000ull) {
		int host_net, kind = pick(4);
		const char *name = make_lone_topology(kind, &host_net);
		unsigned originals = pick(2) ? 1 : 1 + (unsigned)pick(20), most;

		memset(sim.relayed, 0, sizeof(sim.relayed));
		for (unsigned j = 0; j < originals; j++)
			push((struct arrival){.us = start_us + (uint64_t)(chance() * 1e6),
				.payload = i,
				.source = 1,
				.net = host_net,
				.sender = -1});
		if (!run(100000))
			fail_msg("%u, %s: goes on", i, name);
		most = kind == 1 ? sim.relayed[0][1] : most_relayed(0);
		/* In both directions, each copy of one makes those of the other count anew. */
		if (most > originals * (kind < 2 ? COPIES : 20 * COPIES))
			fail_msg("%u, %s: %u copies of %u", i, name, most, originals);
	}
}

/* Has a host send the payload at this rate, between two times in s. */
static void add_host(uint64_t start_us, uint32_t payload, uint32_t source, double period,
	double from, double to, double jitter)
{
	for (double at = from; at < to; at += period * (1 + jitter * (chance() - 0.5)))
		say(start_us + (uint64_t)(at * 1e6), payload, source);
}

/* Up to eight hosts, of which the first goes on, and sends no less than every 32nd. */
static void equal_senders_at_random_pass(void **state)
{
	uint64_t start_us = 1000000;

	(void)state;
	sim.random = 8;
	for (uint32_t i = 0; i < 500; i++, start_us += 1000000000) {
		double period = scale(0.001, 3);
		double to = period * (20 + chance() * 200);

		make_topology(0);
		sim.relay_count = 1;
		add_host(start_us, 1000000 + i, 1, period, 0, to, chance());
		for (int j = pick(8); j > 0; j--)
			add_host(start_us, 1000000 + i, (uint32_t)(1 + j), period / (1 + pick(31)),
				period * chance() * 30, to, chance());
		assert_true(run(UINT32_MAX));
		assert_int_equal(sim.dropped, 0);
	}
}

/* Bursts of equal datagrams, of one host: that it pauses when the reader does is no sign. */
static void bursts_of_a_host_pass(void **state)
{
	uint64_t start_us = 1000000;

	(void)state;
	sim.random = 11;
	for (uint32_t i = 4000000; i < 4000200; i++, start_us += 100000000) {
		double period = scale(0.01, 2);
		int burst = 1 + pick(60);

		make_topology(0);
		sim.relay_count = 1;
		for (int j = 0; j < 50; j++)
			for (int k = 0; k < burst; k++)
				say(start_us + (uint64_t)(j * period * 1e6) + k * 10ull, i, 1);
		assert_true(run(UINT32_MAX));
		assert_int_equal(sim.dropped, 0);
	}
}

/* A host whose payloads change often, and are repeated meanwhile: as long as the reader pauses, all
 * that it reads is late. */
static void a_host_that_repeats_many_payloads_is_seldom_paused_for(void **state)
{
	struct loop_guard *guard = loop_guard_new();
	unsigned paused_ms = 0, queued = 0;
	uint64_t until_ms = 0;
	char payload[16];

	(void)state;
	for (uint64_t ms = 1000; ms < 61000; ms++) {
		uint32_t asked_ms;

		queued++;
		if (ms < until_ms)
			continue;
		if (until_ms)
			loop_guard_end_pause(guard);
		for (; queued; queued--) {
			snprintf(payload, sizeof(payload), "%u", (unsigned)(ms - queued + 1) / 20);
			assert_int_equal(judge(guard, payload, 1, ms), LOOP_NONE);
		}
		if (until_ms)
			loop_guard_was_queued(guard, true, ms * NS_PER_MS);
		until_ms = 0;
		asked_ms = loop_guard_take_pause(guard);
		assert_in_range(asked_ms, 0, 100);
		paused_ms += asked_ms;
		until_ms = asked_ms ? ms + asked_ms : 0;
	}
	assert_in_range(paused_ms, 1, 8 * 100 + 600);
	loop_guard_free(guard);
}

/* Regular hosts that begin and end at random lose a second each at most. */
static void equal_senders_that_end_lose_a_second(void **state)
{
	uint64_t start_us = 1000000;
	unsigned alarms = 0;

	(void)state;
	sim.random = 9;
	for (uint32_t i = 0; i < 100; i++, start_us += 1000000000) {
		double may_lose = 0;

		make_topology(0);
		sim.relay_count = 1;
		for (int j = 1 + pick(8); j > 0; j--) {
			double period = scale(0.01, 2), from = chance() * 10;

			add_host(start_us, 2000000 + i, (uint32_t)j, period, from,
				from + chance() * 40, 0);
			may_lose += 2 + 2 / period;
		}
		assert_true(run(UINT32_MAX));
		assert_in_range(sim.dropped, 0, (unsigned)may_lose);
		alarms += sim.dropped > 0;
	}
	assert_in_range(alarms, 1, 100);
}

static int make_guards(void **state)
{
	(void)state;
	for (int i = 0; i < RELAYS; i++)
		if (!(sim.guards[i] = loop_guard_new()))
			return -1;
	return 0;
}

static int free_guards(void **state)
{
	(void)state;
	for (int i = 0; i < RELAYS; i++)
		loop_guard_free(sim.guards[i]);
	free(sim.heap.items);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_address_is_never_dropped),
		cmocka_unit_test(copies_of_another_address_are_dropped_after_64_and_reported_once),
		cmocka_unit_test(of_an_address_that_brought_back_three_payloads_no_copy_is_relayed),
		cmocka_unit_test(
			a_host_whose_address_the_relays_of_a_ring_keep_is_not_known_for_a_relay),
		cmocka_unit_test(a_relay_that_is_heard_before_the_host_is_not_taken_for_it),
		cmocka_unit_test(a_host_beside_a_known_relay_loses_nothing),
		cmocka_unit_test(a_relay_that_is_heard_before_the_host_is_found_after_64_copies),
		cmocka_unit_test(the_first_host_passes_beside_a_slower_one),
		cmocka_unit_test(all_addresses_of_a_ring_are_found_at_once),
		cmocka_unit_test(an_address_that_goes_on_in_a_test_is_a_host_again),
		cmocka_unit_test(the_port_does_not_matter_but_every_byte_and_the_size_do),
		cmocka_unit_test(other_addresses_are_tested_at_the_same_time),
		cmocka_unit_test(what_the_first_address_sends_again_may_come_back_64_times_again),
		cmocka_unit_test(what_the_first_address_sends_in_a_test_may_come_back_64_times),
		cmocka_unit_test(a_host_that_sends_more_often_than_the_first_passes),
		cmocka_unit_test(equal_beacons_of_several_hosts_pass),
		cmocka_unit_test(a_and_b_legs_pass),
		cmocka_unit_test(a_ring_is_silent_as_soon_as_its_copies_are_dropped),
		cmocka_unit_test(a_host_that_goes_on_loses_a_second_and_passes_for_a_minute),
		cmocka_unit_test(several_hosts_that_go_on_lose_a_second_each),
		cmocka_unit_test(copies_that_become_more_while_they_pass_are_dropped_again),
		cmocka_unit_test(a_payload_that_was_silent_for_long_is_new),
		cmocka_unit_test(floods_do_not_hide_a_ring),
		cmocka_unit_test(rings_at_random_are_bounded),
		cmocka_unit_test(relays_side_by_side_are_bounded_whichever_address_is_heard_first),
		cmocka_unit_test(relays_side_by_side_fall_silent_however_late_they_hear_the_host),
		cmocka_unit_test(rings_of_a_host_that_is_not_heard_end),
		cmocka_unit_test(equal_senders_at_random_pass),
		cmocka_unit_test(bursts_of_a_host_pass),
		cmocka_unit_test(a_host_that_repeats_many_payloads_is_seldom_paused_for),
		cmocka_unit_test(equal_senders_that_end_lose_a_second),
	};

	return cmocka_run_group_tests(tests, make_guards, free_guards);
}
