/* A handler in front of a kind that the test has made. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "handlers/handler.h"
#include "handlers/ledger.h"
#include "handlers/worker.h"

#define LIMIT_NS (15 * NS_PER_S)

/* What the kind was asked for. */
struct calls {
	bool begun;
	unsigned kept_back; /* datagrams */
	unsigned kept_out; /* by the filter */
};

static unsigned fake_needs(const void *settings)
{
	(void)settings;
	return 0;
}

static int fake_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	(void)context, (void)why;
	*ret = *(struct calls *const *)settings;
	return 0;
}

static void fake_begin(void *object)
{
	((struct calls *)object)->begun = true;
}

static void fake_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	(void)outcome;
	((struct calls *)object)->kept_back += batch->count;
}

static void fake_rotate(void *object, struct outcome *outcome)
{
	struct calls *calls = object;

	outcome->delivered += calls->kept_back;
	calls->kept_back = 0;
}

static void fake_close(void *object)
{
	(void)object;
}

static const struct handler_kind in_loop = {
	.config = {.name = "in-loop"},
	.needs = fake_needs,
	.open = fake_open,
	.begin = fake_begin,
	.deliver = fake_deliver,
	.rotate = fake_rotate,
	.close = fake_close,
};

static const struct handler_kind in_thread = {
	.config = {.name = "in-thread", .may_block = true},
	.needs = fake_needs,
	.open = fake_open,
	.begin = fake_begin,
	.deliver = fake_deliver,
	.rotate = fake_rotate,
	.close = fake_close,
};

#define COPIES 3

static void copy_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	(void)object;
	outcome->delivered += COPIES * batch->count;
}

static unsigned copy_copies(
	void *object, const struct origin *origin, const struct filtered *filtered)
{
	(void)origin;
	((struct calls *)object)->kept_out += filtered->filtered + filtered->over_rate;
	return COPIES;
}

static bool copy_relays(const void *settings, struct config_relay *ret)
{
	(void)settings, (void)ret;
	return false;
}

static const struct handler_kind in_copies = {
	.config = {.name = "in-copies", .relays = copy_relays},
	.needs = fake_needs,
	.open = fake_open,
	.deliver = copy_deliver,
	.close = fake_close,
	.copies = copy_copies,
};

static uint64_t broker_patience(const void *object)
{
	(void)object;
	return NS_PER_MS;
}

static const struct handler_kind of_broker = {
	.config = {.name = "of-broker", .may_block = true, .imports = true},
	.needs = fake_needs,
	.open = fake_open,
	.deliver = fake_deliver,
	.close = fake_close,
	.patience = broker_patience,
};

static const struct handler_kind *const kinds[] = {&in_loop, &in_thread};

struct fixture {
	struct counters *counters;
	struct ledger *ledger;
	struct workers workers;
	struct calls calls;
	struct handler *handler;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	if (!fixture || counters_open(-1, &fixture->counters) < 0)
		return -1;
	workers_init(&fixture->workers);
	*state = fixture;
	return 0;
}

/* Starts a handler of a kind, that gets one datagram out of a number. */
static void start_sampled(struct fixture *fixture, const struct handler_kind *kind, unsigned out_of)
{
	struct calls *settings = &fixture->calls;
	struct config_handler config = {.kind = &kind->config, .settings = &settings, .queue = 1};
	char why[WHY_MAX];

	fixture->calls = (struct calls){0};
	fixture->ledger = ledger_new(fixture->counters, "test");
	config.filter.sample = out_of;
	config.filter.is.max_size = config.filter.is_not.max_size = DATAGRAM_MAX;
	assert_int_equal(handler_start(&config, &(struct handler_context){0}, fixture->ledger,
				 &fixture->workers, why, &fixture->handler),
		0);
}

static void start(struct fixture *fixture, const struct handler_kind *kind)
{
	start_sampled(fixture, kind, 1);
}

/* Retires it, and waits until its thread, if any, has ended. */
static void stop_handler(struct fixture *fixture)
{
	uint64_t limit = clock_ns(CLOCK_MONOTONIC) + LIMIT_NS;

	handler_retire(fixture->handler, limit);
	assert_int_equal(workers_wait(&fixture->workers, limit), 0);
	ledger_unref(fixture->ledger);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	workers_destroy(&fixture->workers);
	counters_free(fixture->counters);
	free(fixture);
	return 0;
}

static void deliver_from(struct fixture *fixture, unsigned count, bool is_reply)
{
	struct datagram datagrams[BATCH_MAX] = {0};
	struct address group;
	struct outlet *outlet = handler_outlet(fixture->handler);
	struct batch batch = {.count = count, .datagrams = datagrams};

	for (unsigned i = 0; i < count; i++)
		datagrams[i].payload = (const uint8_t *)"";
	assert_int_equal(address_parse("233.252.0.1", &group), 0);
	batch.origin = origin_new("news", &group, 5004, "eth0", 2);
	batch.origin->is_reply = is_reply;
	outlet->deliver(outlet, &batch);
	origin_unref(batch.origin);
}

static void deliver(struct fixture *fixture, unsigned count)
{
	deliver_from(fixture, count, false);
}

static void every_kind_begins(void **state)
{
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		start(fixture, kinds[i]);
		handler_begin(fixture->handler);
		stop_handler(fixture);
		assert_true(fixture->calls.begun);
	}
}

static void every_kind_rotates_and_settles_what_it_kept_back(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		uint64_t limit = clock_ns(CLOCK_MONOTONIC) + LIMIT_NS;

		start(fixture, kinds[i]);
		handler_begin(fixture->handler);
		deliver(fixture, 3);
		assert_int_equal(handler_rotate(fixture->handler), 0);
		do {
			handler_account(fixture->handler, &account);
			assert_true(clock_ns(CLOCK_MONOTONIC) < limit);
		} while (account.outcome.delivered < 3);
		assert_int_equal(account.received, 3);
		assert_true(account_balances(&account));
		stop_handler(fixture);
	}
}

static void what_is_filtered_counts_for_each_copy(void **state)
{
	struct fixture *fixture = *state;
	struct account account;

	start_sampled(fixture, &in_copies, 5);
	deliver(fixture, 10);
	handler_account(fixture->handler, &account);
	assert_int_equal(account.received, COPIES * 10);
	assert_int_equal(account.filtered, COPIES * 8);
	assert_int_equal(account.outcome.delivered, COPIES * 2);
	assert_int_equal(fixture->calls.kept_out, 8);
	deliver_from(fixture, 1, true);
	handler_account(fixture->handler, &account);
	assert_int_equal(account.filtered, COPIES * 9);
	assert_true(account_balances(&account));
	stop_handler(fixture);
}

static size_t count_interfaces(struct ledger *ledger)
{
	struct ledger_interface *interface;
	size_t count = 0;

	list_for_each(interface, &ledger->interfaces, link)
		count++;
	return count;
}

static void an_interface_that_comes_back_has_its_numbers(void **state)
{
	struct fixture *fixture = *state;
	struct ledger *ledger = ledger_new(fixture->counters, "test");
	struct ledger_interface *interface = ledger_interface(ledger, "eth0");

	ledger_interface_received(interface, 2, &(struct outcome){.delivered = 2});
	ledger_interface_unref(ledger, interface);
	assert_int_equal(count_interfaces(ledger), 1);
	interface = ledger_interface(ledger, "eth0");
	assert_int_equal(interface->account->received, 2);
	assert_true(account_balances(interface->account));
	ledger_interface_unref(ledger, interface);
	ledger_unref(ledger);
}

static void of_many_interfaces_that_are_gone_the_rest_is_one_sum(void **state)
{
	struct fixture *fixture = *state;
	struct ledger *ledger = ledger_new(fixture->counters, "test");
	const struct outcome outcome = {.delivered = 1, .dropped = {[DROP_ABSENT] = 1}};
	struct ledger_interface *in_use = ledger_interface(ledger, "eth0");
	struct account rest;
	char name[16];

	for (unsigned i = 0; i < LEDGER_UNUSED_MAX + 10; i++) {
		struct ledger_interface *interface;

		snprintf(name, sizeof(name), "veth%u", i);
		interface = ledger_interface(ledger, name);
		ledger_interface_received(interface, 2, &outcome);
		ledger_received(ledger, 2, &outcome);
		ledger_interface_unref(ledger, interface);
	}
	assert_int_equal(count_interfaces(ledger), LEDGER_UNUSED_MAX + 1);
	ledger_other_interfaces(ledger, ledger->account, &rest);
	assert_int_equal(rest.received, 20);
	assert_int_equal(rest.outcome.delivered, 10);
	assert_int_equal(rest.outcome.dropped[DROP_ABSENT], 10);
	ledger_interface_unref(ledger, in_use);
	ledger_unref(ledger);
}

static void counters_of_other_names_restart_from_zero(void **state)
{
	static const char *const before[] = {"pauses", NULL}, *const after[] = {"restarts", NULL};
	struct fixture *fixture = *state;
	struct ledger *ledger = ledger_new(fixture->counters, "test");
	struct account account;

	ledger_set_kind(ledger, ledger_kind_hash("test", before));
	ledger_received(ledger, 1, &(struct outcome){.delivered = 1, .counted = {1}});
	workers_account(ledger, &account);
	assert_int_equal(account.outcome.counted[0], 1);
	ledger_set_kind(ledger, ledger_kind_hash("test", before));
	workers_account(ledger, &account);
	assert_int_equal(account.outcome.counted[0], 1);
	ledger_set_kind(ledger, ledger_kind_hash("test", after));
	workers_account(ledger, &account);
	assert_int_equal(account.outcome.counted[0], 0);
	assert_int_equal(account.outcome.delivered, 1);
	ledger_unref(ledger);
}

static bool is_prompt(const struct fixture *fixture)
{
	return handler_outlet(fixture->handler)->needs & NEED_PROMPT;
}

/* Whether the group of a handler may pause depends on whether something comes in by it, too. */
static void what_is_on_the_way_from_group_to_group_is_needed_at_once(void **state)
{
	struct fixture *fixture = *state;
	char *name = (char *)"test";
	struct config_group group = {
		.name = (char *)"news", .inputs = {.items = &name, .count = 1}};
	struct config with = {.groups = &group, .group_count = 1}, without = {0};

	start(fixture, &of_broker);
	assert_false(is_prompt(fixture));
	assert_int_equal(handler_prepare_inputs(fixture->handler, &with), 0);
	handler_follow_inputs(fixture->handler);
	assert_true(is_prompt(fixture));
	/* A reload that is not applied. */
	assert_int_equal(handler_prepare_inputs(fixture->handler, &without), 0);
	handler_forget_prepared(fixture->handler);
	assert_true(is_prompt(fixture));
	assert_int_equal(handler_prepare_inputs(fixture->handler, &without), 0);
	handler_follow_inputs(fixture->handler);
	assert_false(is_prompt(fixture));
	stop_handler(fixture);
}

static void every_kind_has_room_for_its_counters(void **state)
{
	(void)state;
	for (size_t i = 0; handler_config_kinds()[i]; i++) {
		const struct handler_kind *kind = container_of(
			handler_config_kinds()[i], struct handler_kind, config);
		size_t count = 0;

		while (kind->counters && kind->counters[count])
			count++;
		assert_true(count <= COUNTED_MAX);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_kind_begins),
		TEST(every_kind_rotates_and_settles_what_it_kept_back),
		TEST(what_is_filtered_counts_for_each_copy),
		TEST(an_interface_that_comes_back_has_its_numbers),
		TEST(of_many_interfaces_that_are_gone_the_rest_is_one_sum),
		TEST(counters_of_other_names_restart_from_zero),
		TEST(what_is_on_the_way_from_group_to_group_is_needed_at_once),
		cmocka_unit_test(every_kind_has_room_for_its_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
