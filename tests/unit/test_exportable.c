/* Which datagrams leave this network by a broker. The forwards of relays are real sockets on lo,
 * that nothing is sent from. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"
#include "handlers/exportable.h"
#include "handlers/forward.h"
#include "handlers/ledger.h"
#include "net/interface.h"
#include "net/own_addresses.h"

#define IMPORT_PORT 5999
#define RELAY_PORT 45671

static struct import_ports ports;
static char spoof[1];

struct fixture {
	struct link forwards;
	struct forward *forward;
	struct own_addresses own;
	struct exportable *exportable;
	struct handler_context context;
};

static int setup(void **state)
{
	CLEANUP(interface_list_clear) struct interface_list interfaces = {0};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	ports = (struct import_ports){.now = IMPORT_PORT};
	list_init(&fixture->forwards);
	if (interface_list_read(&interfaces) < 0)
		return -1;
	own_addresses_update(&fixture->own, &interfaces);
	fixture->context = (struct handler_context){.name = "test",
		.forwards = &fixture->forwards,
		.own_addresses = &fixture->own,
		.spoof = (struct spoof *)spoof,
		.import_ports = &ports};
	fixture->exportable = exportable_new(&fixture->context);
	*state = fixture;
	return fixture->exportable ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	forward_free(fixture->forward);
	exportable_free(fixture->exportable);
	own_addresses_clear(&fixture->own);
	free(fixture);
	return 0;
}

/* A relay to a group on lo, that this host receives. */
static void relay(struct fixture *fixture, bool keep_source)
{
	struct forward_options options = {.ttl = 1,
		.loop = true,
		.keep_source = keep_source,
		.way = {.port = 5004,
			.interface = "lo",
			.source_port = keep_source ? 0 : RELAY_PORT}};

	assert_int_equal(address_parse("233.252.0.1", &options.way.to), 0);
	assert_int_equal(forward_new(&options, &fixture->context, &fixture->forward), 0);
}

struct sender {
	const char *address;
	uint16_t port;
};

/* How many of these senders' datagrams, which came in by an interface, leave; a bit for each. */
static unsigned export(struct fixture *fixture, const char *group, unsigned ifindex,
	const struct sender *senders, unsigned count)
{
	struct datagram datagrams[BATCH_MAX], room[BATCH_MAX];
	struct batch batch = {.count = count, .datagrams = datagrams};
	const struct datagram *chosen;
	struct address address;
	unsigned left, mask = 0;

	for (unsigned i = 0; i < count; i++) {
		datagrams[i] = (struct datagram){.payload = (const uint8_t *)"hello",
			.size = 5,
			.ttl = (uint8_t)i,
			.source.v4 = {.sin_family = AF_INET, .sin_port = htons(senders[i].port)}};
		inet_pton(AF_INET, senders[i].address, &datagrams[i].source.v4.sin_addr);
	}
	assert_int_equal(address_parse("233.252.0.1", &address), 0);
	batch.origin = origin_new(group, &address, 5004, "eth0", ifindex);
	chosen = exportable_choose(fixture->exportable, &batch, room, &left);
	for (unsigned i = 0; i < left; i++)
		mask |= 1u << chosen[i].ttl;
	if (left == count)
		assert_ptr_equal(chosen, datagrams);
	origin_unref(batch.origin);
	return mask;
}

static void what_came_in_by_a_broker_does_not_leave(void **state)
{
	static const struct sender senders[] = {{"10.0.0.7", 5004}, {"10.0.0.7", IMPORT_PORT},
		{"10.0.0.8", IMPORT_PORT}, {"10.0.0.7", 5005}, {"127.0.0.1", IMPORT_PORT}};

	assert_int_equal(export(*state, "news", 2, senders, 5), 1 << 0 | 1 << 3);
	ports.now = 0;
	assert_int_equal(export(*state, "news", 2, senders, 5), 0x1f);
}

static void neither_does_what_came_in_before_the_port_was_changed(void **state)
{
	static const struct sender senders[] = {
		{"10.0.0.7", 5004}, {"10.0.0.7", IMPORT_PORT}, {"10.0.0.7", 6000}};

	import_ports_set(&ports, 6000);
	import_ports_set(&ports, 6000);
	assert_int_equal(export(*state, "news", 2, senders, 3), 1 << 0);
	import_ports_set(&ports, 0);
	assert_int_equal(export(*state, "news", 2, senders, 3), 1 << 0 | 1 << 1);
	ports.until_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
	assert_int_equal(export(*state, "news", 2, senders, 3), 7);
}

static void what_this_host_relays_and_receives_does_not_leave(void **state)
{
	static const struct sender senders[] = {
		{"127.0.0.1", RELAY_PORT}, {"10.0.0.7", RELAY_PORT}, {"127.0.0.1", 5004}};
	unsigned lo = if_nametoindex("lo");

	assert_int_equal(export(*state, "news", lo, senders, 3), 7);
	relay(*state, false);
	assert_int_equal(export(*state, "news", lo, senders, 3), 1 << 1 | 1 << 2);
	assert_int_equal(export(*state, "news", lo + 1, senders, 3), 1 << 1 | 1 << 2);
}

static void a_copy_with_the_address_of_its_sender_does_not_leave(void **state)
{
	static const struct sender sender = {"10.0.0.7", 5004};

	relay(*state, true);
	assert_int_equal(export(*state, "news", 2, &sender, 1), 1);
	assert_int_equal(export(*state, "news", 3, &sender, 1), 0);
	assert_int_equal(export(*state, "other", 3, &sender, 1), 1);
	assert_int_equal(export(*state, "news", 2, &sender, 1), 1);
}

static void without_such_a_relay_what_comes_twice_leaves_twice(void **state)
{
	static const struct sender sender = {"10.0.0.7", 5004};

	assert_int_equal(export(*state, "news", 2, &sender, 1), 1);
	assert_int_equal(export(*state, "news", 3, &sender, 1), 1);
}

/* ---- In a handler ---- */

static unsigned fake_needs(const void *settings)
{
	(void)settings;
	return 0;
}

static int fake_open(const void *settings, const struct handler_context *context,
	char why[static WHY_MAX], void **ret)
{
	(void)settings, (void)context, (void)why;
	*ret = spoof;
	return 0;
}

static void fake_deliver(void *object, const struct batch *batch, struct outcome *outcome)
{
	(void)object;
	outcome->delivered += batch->count;
}

static void fake_close(void *object)
{
	(void)object;
}

static const struct handler_kind fake_kind = {
	.config = {.name = "fake", .exports = true},
	.needs = fake_needs,
	.open = fake_open,
	.deliver = fake_deliver,
	.close = fake_close,
};

static void deliver(struct handler *handler, uint16_t port, bool is_reply)
{
	struct datagram datagram = {.payload = (const uint8_t *)"",
		.source.v4 = {.sin_family = AF_INET, .sin_port = htons(port)}};
	struct batch batch = {.count = 1, .datagrams = &datagram};
	struct outlet *outlet = handler_outlet(handler);
	struct address address;

	assert_int_equal(address_parse("233.252.0.1", &address), 0);
	batch.origin = origin_new("news", &address, 5004, "eth0", 2);
	batch.origin->is_reply = is_reply;
	outlet->deliver(outlet, &batch);
	origin_unref(batch.origin);
}

/* With a rate, which they do not use up, and without. */
static void what_does_not_leave_is_filtered(void **state)
{
	struct fixture *fixture = *state;
	struct counters *counters;

	assert_int_equal(counters_open(-1, &counters), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct config_handler config = {.kind = &fake_kind.config,
			.filter = {.sample = 1,
				.is.max_size = DATAGRAM_MAX,
				.is_not.max_size = DATAGRAM_MAX,
				.rate_interval_ns = i ? 3600000000000 : 0}};
		struct ledger *ledger = ledger_new(counters, i ? "limited" : "open");
		struct handler *handler;
		struct account account;
		char why[WHY_MAX];

		assert_int_equal(
			handler_start(&config, &fixture->context, ledger, NULL, why, &handler), 0);
		assert_true(handler_outlet(handler)->needs & NEED_SOURCE);
		deliver(handler, IMPORT_PORT, false);
		deliver(handler, 5004, true);
		deliver(handler, 5004, false);
		handler_account(handler, &account);
		assert_int_equal(account.received, 3);
		assert_int_equal(account.filtered, 2);
		assert_int_equal(account.outcome.delivered, 1);
		handler_retire(handler, 0);
		ledger_unref(ledger);
	}
	counters_free(counters);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(what_came_in_by_a_broker_does_not_leave),
		TEST(neither_does_what_came_in_before_the_port_was_changed),
		TEST(what_this_host_relays_and_receives_does_not_leave),
		TEST(a_copy_with_the_address_of_its_sender_does_not_leave),
		TEST(without_such_a_relay_what_comes_twice_leaves_twice),
		TEST(what_does_not_leave_is_filtered),
	};

	return cmocka_run_group_tests_name("exportable", tests, NULL, NULL);
}
