/* The block "relay" of a group: what is read, and what is refused, in which words. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "handlers/handler.h"

struct fixture {
	char path[32];
	struct config *config, *other;
	struct errors errors;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	int fd;

	strcpy(fixture->path, "/tmp/test_relay.XXXXXX");
	fd = mkstemp(fixture->path);
	*state = fixture;
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	unlink(fixture->path);
	config_free(fixture->config);
	config_free(fixture->other);
	errors_clear(&fixture->errors);
	free(fixture);
	return 0;
}

static int load(struct fixture *fixture, const char *text, struct config **ret)
{
	FILE *file = fopen(fixture->path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	errors_clear(&fixture->errors);
	return config_load(fixture->path, handler_config_kinds(), &fixture->errors, ret);
}

static const struct config *load_good(struct fixture *fixture, const char *text)
{
	if (load(fixture, text, &fixture->config) < 0)
		fail_msg("%s", fixture->errors.lines[0]);
	return fixture->config;
}

static void assert_refused(struct fixture *fixture, const char *text, const char *expected)
{
	AUTO_TEXT struct text line = {0};

	text_printf(&line, "%s:%s", fixture->path, expected);
	assert_int_not_equal(load(fixture, text, &fixture->config), 0);
	assert_string_equal(fixture->errors.lines[0], text_string(&line));
	assert_int_equal(errors_total(&fixture->errors), 1);
}

#define GROUP(keys) "groups: { a: { address = \"233.252.0.1\"; port = 1;\n" keys " }; };\n"
#define OUT(keys) "handlers: { out: { type = \"udp\"; port = 2; " keys " }; };\n"
#define TO6 "address = \"2001:db8::9\"; "
#define LAN "interfaces = [\"eth0\", \"vlan*\"];\n"

static void a_block_is_a_handler_of_its_group(void **state)
{
	const struct config *config = load_good(*state,
		GROUP("relay: { rate = \"5/s\"; filter: { min_size = 9; }; ttl = 255; };\n" LAN
		      "handlers = [\"log\"];"));
	const struct string_list *handlers = &config->groups[0].handlers;
	const struct config_handler *handler = config_find_handler(config, "a.relay");

	assert_int_equal(handlers->count, 2);
	assert_string_equal(handlers->items[0], "log");
	assert_string_equal(handlers->items[1], "a.relay");
	assert_string_equal(handler->kind->name, "relay");
	assert_int_equal(handler->filter.rate_interval_ns, 200000000);
	assert_int_equal(handler->filter.is.min_size, 9);
	assert_int_equal(handler->place.line, 2);
}

static void an_empty_block_is_a_relay(void **state)
{
	const struct config *config = load_good(*state, GROUP(LAN "relay: { };"));

	assert_non_null(config_find_handler(config, "a.relay"));
}

/* So that a reload opens it again. */
static void a_relay_differs_when_its_group_does(void **state)
{
	static const char *const others[] = {
		"groups: { a: { address = \"233.252.0.2\"; port = 1; " LAN " relay: { }; }; };",
		"groups: { a: { address = \"233.252.0.1\"; port = 2; " LAN " relay: { }; }; };",
		GROUP("interfaces = [\"eth0\", \"eth1\"]; relay: { };"),
		GROUP(LAN "relay: { to = \"eth1\"; };")};
	struct fixture *fixture = *state;
	const struct config_handler *relay = config_find_handler(
		load_good(fixture, GROUP(LAN "relay: { };")), "a.relay");

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		config_free(take(fixture->other));
		assert_int_equal(load(fixture, others[i], &fixture->other), 0);
		assert_false(config_handler_equal(
			relay, config_find_handler(fixture->other, "a.relay")));
	}
	config_free(take(fixture->other));
	assert_int_equal(load(fixture, GROUP("ttl = 9; " LAN "relay: { };"), &fixture->other), 0);
	assert_true(config_handler_equal(relay, config_find_handler(fixture->other, "a.relay")));
}

static void a_copied_group_names_its_relay(void **state)
{
	const struct config *config = load_good(*state, GROUP(LAN "relay: { };"));
	CLEANUP(config_group_clear) struct config_group copy = {0};

	assert_int_equal(config_group_copy(&copy, &config->groups[0]), 0);
	assert_true(config_group_equal(&copy, &config->groups[0]));
	assert_string_equal(copy.handlers.items[0], "a.relay");
}

static void groups_of_one_address_may_relay_to_each_other(void **state)
{
	load_good(*state, "groups: {\n"
			  "hub: { address = \"233.252.0.1\"; port = 1; interfaces = \"lan\";\n"
			  "  relay: { to = \"vlan*\"; }; };\n"
			  "spokes: { address = \"233.252.0.1\"; port = 1; interfaces = \"vlan*\";\n"
			  "  relay: { to = \"lan\"; }; };\n"
			  "};");
}

/* clang-format off */
#define REFUSED(X) \
	X(a_relay_on_default_interfaces, GROUP("relay: { };"), \
		"2: groups.a.relay: a relay on default interfaces would relay into VPN, WAN and docker0: name them, " \
		"interfaces = [\"eth0\", \"eth1\"];") \
	X(a_relay_whose_group_only_leaves_interfaces_out, GROUP("interfaces = [\"!docker0\"]; relay: { to = \"eth0\"; };"), \
		"2: groups.a.relay: a relay on default interfaces would relay into VPN, WAN and docker0: name them, " \
		"interfaces = [\"eth0\", \"eth1\"];") \
	X(a_relay_of_unicast, \
		"groups: { a: { address = \"192.0.2.1\"; port = 1; " LAN "relay: { }; }; };", \
		"2: groups.a.relay: cannot relay 192.0.2.1, which is no multicast address: use a handler of type udp, " \
		"which sends to one") \
	X(to_that_only_leaves_out, GROUP(LAN "relay: { to = [\"!eth1\"]; };"), \
		"3: groups.a.relay.to: only leaves interfaces out, name those to send on") \
	X(to_that_is_empty, GROUP(LAN "relay: { to = []; };"), \
		"3: groups.a.relay.to: is empty, which would select nothing: leave the key out for its default") \
	X(to_that_is_no_interface, GROUP(LAN "relay: { to = \"eth1,eth2\"; };"), \
		"3: groups.a.relay.to: \"eth1,eth2\" is a list in one string, write [\"eth0\", \"eth1\"]") \
	X(one_interface, GROUP("interfaces = \"eth0\";\nrelay: { };"), \
		"3: groups.a.relay: has no other interface than eth0, which the datagrams come from: name others in " \
		"interfaces or in to") \
	X(one_interface_to_itself, GROUP("interfaces = \"eth0\";\nrelay: { to = \"eth0\"; };"), \
		"3: groups.a.relay.to: has no other interface than eth0, which the datagrams come from: name others") \
	X(ttl_0, GROUP(LAN "relay: { ttl = 0; };"), \
		"3: groups.a.relay.ttl: 0 is out of range, use 1 to 255") \
	X(a_queue, GROUP(LAN "relay: { queue = \"4M\"; };"), \
		"3: groups.a.relay: unknown key \"queue\", known: to, ttl, keep_source, loop, source_address, " \
		"source_port, dscp, filter.sources, filter.block_sources, filter.min_size, filter.max_size, " \
		"filter.prefix, filter.match, filter.not.sources, filter.not.block_sources, filter.not.min_size, " \
		"filter.not.max_size, filter.not.prefix, filter.not.match, rate, burst, sample") \
	X(a_key_of_the_group, GROUP(LAN "relay: { interfaces = \"eth0\"; };"), \
		"3: groups.a.relay: unknown key \"interfaces\", known: to, ttl, keep_source, loop, source_address, " \
		"source_port, dscp, filter.sources, filter.block_sources, filter.min_size, filter.max_size, " \
		"filter.prefix, filter.match, filter.not.sources, filter.not.block_sources, filter.not.min_size, " \
		"filter.not.max_size, filter.not.prefix, filter.not.match, rate, burst, sample") \
	X(a_block_that_is_none, GROUP(LAN "relay = true;"), \
		"3: groups.a.relay: is true or false, write relay: { ... };") \
	X(a_misspelt_block, GROUP(LAN "realy: { };"), \
		"3: groups.a: unknown key \"realy\", did you mean \"relay\"?") \
	X(burst_without_rate, GROUP(LAN "relay: {\nburst = 2; };"), \
		"4: groups.a.relay.burst: has no effect without rate, add one: rate = \"1000/s\";") \
	X(source_address_of_another_family, GROUP(LAN "relay: { source_address = \"2001:db8::1\"; };"), \
		"3: groups.a.relay.source_address: is not of the group's family, use an IPv4 address") \
	X(source_address_of_nobody, GROUP(LAN "relay: { source_address = \"0.0.0.0\"; };"), \
		"3: groups.a.relay.source_address: cannot be sent from, use an address of this host") \
	X(source_address_of_everybody, GROUP(LAN "relay: { source_address = \"255.255.255.255\"; };"), \
		"3: groups.a.relay.source_address: cannot be sent from, use an address of this host") \
	X(source_port_beside_keep_source, GROUP(LAN "relay: { source_port = 1; keep_source = true; };"), \
		"3: groups.a.relay.source_port: has no effect with keep_source = true, remove one of them") \
	X(a_relay_that_is_named, GROUP(LAN "relay: { }; handlers = [\"a.relay\"];"), \
		"1: groups.a.handlers: \"a.relay\" is there by itself, remove it") \
	X(a_type_relay, "handlers: { h: { type = \"relay\"; }; };", \
		"1: handlers.h.type: \"relay\" is a block of a group, write groups: { NAME: { ... relay: { ... }; }; };") \
	X(an_address_that_is_none, "groups: { a: { address = \"x\"; port = 1;\n" LAN " relay: { }; }; };", \
		"1: groups.a.address: \"x\" is not an IP address, write one such as \"233.252.0.1\" or \"ff15::1\"") \
	X(a_relay_of_another_group, \
		"groups: { a: { address = \"233.252.0.1\"; port = 1;\n" LAN " relay: { }; };\n" \
		"b: { address = \"233.252.0.2\"; port = 1; handlers = [\"a.relay\"]; }; };", \
		"4: groups.b.handlers: \"a.relay\" is for its own group only, remove it") \
	X(a_filter_of_the_other_family, GROUP(LAN "relay: { filter: { sources = [\"2001:db8::1\", \"2001:db8:9::/48\"]; }; };"), \
		"3: groups.a.relay.filter.sources: names IPv6 senders only, and those of the group are IPv4: no datagram is like that, " \
		"name IPv4 addresses") \
	X(a_source_that_the_other_family_cannot_keep, GROUP("handlers = [\"log\", \"out\"];") OUT(TO6 "keep_source = true;"), \
		"2: groups.a.handlers: \"out\" has keep_source = true and sends to an IPv6 address, which no IPv4 sender of the group " \
		"can send to; set keep_source = false in it, or an IPv4 address") \
	X(an_address_that_is_none_with_a_kept_source, \
		"groups: { a: { port = 1;\naddress = \"x\"; handlers = [\"out\"]; }; };\n" OUT(TO6 "keep_source = true;"), \
		"2: groups.a.address: \"x\" is not an IP address, write one such as \"233.252.0.1\" or \"ff15::1\"") \
	X(a_source_of_a_leg_that_the_other_family_cannot_keep, \
		"groups: { a: { address = \"233.252.0.1\"; port = 1; }; b: { address = \"ff15::1\"; port = 1; };\n" \
		"m: { merge = [\"a\", \"b\"]; handlers = [\"out\"]; }; };\n" OUT(TO6 "keep_source = true;"), \
		"2: groups.m.handlers: \"out\" has keep_source = true and sends to an IPv6 address, which no IPv4 sender of the group " \
		"can send to; set keep_source = false in it, or an IPv4 address")
/* clang-format on */

static void families_that_go_together_are_no_mistake(void **state)
{
	static const char *const good[] = {GROUP("handlers = [\"out\"];") OUT(TO6),
		"groups: { a: { address = \"ff15::1\"; port = 1; handlers = [\"out\"]; }; };\n" OUT(
			TO6 "keep_source = true;"),
		"groups: { a: { address = \"ff15::1\"; port = 1; }; b: { address = \"ff15::2\"; "
		"port = 1; }; m: { merge = [\"a\", \"b\"]; handlers = [\"out\"]; }; };\n" OUT(
			TO6 "keep_source = true;"),
		GROUP(LAN "relay: { filter: { sources = [\"2001:db8::1\", \"192.0.2.0/24\"]; }; "
			  "};")};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		load_good(fixture, good[i]);
		config_free(take(fixture->config));
	}
}

#define DEFINE(name, text, expected)                    \
	static void name##_is_refused(void **state)     \
	{                                               \
		assert_refused(*state, text, expected); \
	}
REFUSED(DEFINE)

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown),
#define REFUSED_TEST(name, text, expected) TEST(name##_is_refused)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(a_block_is_a_handler_of_its_group)
			TEST(an_empty_block_is_a_relay) TEST(a_relay_differs_when_its_group_does)
				TEST(a_copied_group_names_its_relay)
					TEST(groups_of_one_address_may_relay_to_each_other)
						TEST(families_that_go_together_are_no_mistake)
							REFUSED(REFUSED_TEST)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
