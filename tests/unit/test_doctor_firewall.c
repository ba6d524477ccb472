/* What is known of a packet filter, from the kernel's messages. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/cleanup.h"
#include "base/codec.h"
#include "ctl/doctor/firewall.h"
#include "firewall_messages.h"
#include "net/rtnetlink.h"

typedef int take_message(struct firewall *firewall, const struct nlmsghdr *message);

static void take_all(struct firewall *firewall, const char *base64, take_message *take_one)
{
	AUTO_TEXT struct text text = {0};
	const struct nlmsghdr *message;
	const void *data;
	size_t size;

	assert_int_equal(text_append_base64_decoded(&text, base64, strlen(base64)), 0);
	data = text.data;
	size = text.length;
	while ((message = rtnetlink_next(&data, &size)) && message->nlmsg_type != NLMSG_DONE)
		assert_int_equal(take_one(firewall, message), 0);
}

static void read_saved(struct firewall *ret)
{
	*ret = (struct firewall){0};
	take_all(ret, saved_chains, firewall_take_chain);
	take_all(ret, saved_rules, firewall_take_rule);
	assert_int_equal(firewall_resolve(ret), 0);
}

static const struct firewall_chain *find(
	const struct firewall *firewall, const char *family, const char *table, const char *name)
{
	for (size_t i = 0; i < firewall->chain_count; i++) {
		const struct firewall_chain *chain = &firewall->chains[i];

		if (!strcmp(chain->family, family) && !strcmp(chain->table, table) &&
			!strcmp(chain->name, name))
			return chain;
	}
	fail_msg("no chain %s %s %s", family, table, name);
	return NULL;
}

static void base_chains_have_hook_policy_and_device(void **state)
{
	struct firewall firewall;
	const struct firewall_chain *chain;

	(void)state;
	read_saved(&firewall);
	assert_int_equal(firewall.chain_count, 6);
	chain = find(&firewall, "inet", "filter", "input");
	assert_int_equal(chain->hook, HOOK_INPUT);
	assert_int_equal(chain->priority, -1);
	assert_true(chain->drops_by_policy);
	assert_false(chain->is_iptables);
	chain = find(&firewall, "netdev", "nd", "ing");
	assert_int_equal(chain->hook, HOOK_INGRESS);
	assert_int_equal(chain->priority, 5);
	assert_int_equal(chain->device_count, 1);
	assert_true(firewall_has_device(chain, "lo"));
	assert_false(firewall_has_device(chain, "eth0"));
	chain = find(&firewall, "ip", "raw", "PREROUTING");
	assert_int_equal(chain->hook, HOOK_PREROUTING);
	assert_int_equal(chain->priority, -300);
	assert_true(chain->is_iptables);
	assert_false(chain->drops_by_policy);
	firewall_clear(&firewall);
}

static void a_chain_of_several_devices_has_each_of_them(void **state)
{
	struct firewall_chain chain = {.devices = {"lo", "eth0", "vlan*"}, .device_count = 3};

	(void)state;
	assert_true(firewall_has_device(&chain, "lo"));
	assert_true(firewall_has_device(&chain, "eth0"));
	assert_true(firewall_has_device(&chain, "vlan7"));
	assert_false(firewall_has_device(&chain, "eth01"));
	assert_false(firewall_has_device(&chain, "vla"));
	chain.has_more_devices = true;
	assert_true(firewall_has_device(&chain, "eth1"));
	chain = (struct firewall_chain){.hook = HOOK_INGRESS};
	assert_true(firewall_has_device(&chain, "eth1"));
}

static void rules_that_drop_are_counted_where_the_base_chain_leads(void **state)
{
	struct firewall firewall;

	(void)state;
	read_saved(&firewall);
	/* reject, drop, and drop in the chain that it jumps to */
	assert_int_equal(find(&firewall, "inet", "filter", "input")->dropping_rules, 3);
	/* drop, a verdict map, and the two chains that this may lead to */
	assert_int_equal(find(&firewall, "inet", "filter", "output")->dropping_rules, 4);
	assert_int_equal(find(&firewall, "ip", "filter", "INPUT")->dropping_rules, 2);
	assert_int_equal(find(&firewall, "ip6", "filter", "OUTPUT")->dropping_rules, 1);
	firewall_clear(&firewall);
}

static bool is_at(const void *argument, const struct firewall_chain *chain)
{
	return chain->hook == *(const enum firewall_hook *)argument;
}

static void a_rule_that_dropped_is_found_behind_a_jump(void **state)
{
	struct firewall before, after;
	const struct firewall_rule *rule;
	enum firewall_hook hook = HOOK_INPUT;
	uint64_t packets = 0;

	(void)state;
	read_saved(&before);
	read_saved(&after);
	for (size_t i = 0; i < before.rule_count; i++)
		before.rules[i].packets = 0;
	rule = firewall_grown(&before, &after, is_at, &hook, &packets);
	assert_non_null(rule);
	assert_string_equal(rule->table_chain, "bad");
	assert_string_equal(after.chains[rule->chain].name, "input");
	assert_int_equal(packets, 7);
	hook = HOOK_INGRESS;
	assert_null(firewall_grown(&before, &after, is_at, &hook, &packets));
	hook = HOOK_INPUT;
	assert_null(firewall_grown(&after, &after, is_at, &hook, &packets));
	firewall_clear(&before);
	firewall_clear(&after);
}

/* "counter udp dport 7 drop" has counted whatever went by. */
static void a_counter_in_front_of_a_match_does_not_tell_what_was_dropped(void **state)
{
	struct firewall firewall;

	(void)state;
	read_saved(&firewall);
	for (size_t i = 0; i < firewall.rule_count; i++)
		if (!strcmp(firewall.rules[i].table_chain, "input"))
			assert_int_equal(firewall.rules[i].packets, 0);
	firewall_clear(&firewall);
}

static void assert_command(struct firewall_chain chain, const char *address, const char *expected)
{
	char command[FIREWALL_COMMAND_MAX];
	struct address group;

	assert_int_equal(address_parse(address, &group), 0);
	firewall_accept_command(&chain, &group, 5004, command, sizeof(command));
	assert_string_equal(command, expected);
}

static void a_command_lets_a_group_through(void **state)
{
	(void)state;
	assert_command(
		(struct firewall_chain){.family = "inet", .table = "filter", .name = "input"},
		"239.1.1.1",
		"nft insert rule inet filter input ip daddr 239.1.1.1 udp dport 5004 accept");
	assert_command((struct firewall_chain){.family = "netdev", .table = "t", .name = "c"},
		"ff15::1", "nft insert rule netdev t c ip6 daddr ff15::1 udp dport 5004 accept");
	assert_command(
		(struct firewall_chain){
			.family = "ip", .table = "filter", .name = "INPUT", .is_iptables = true},
		"239.1.1.1", "iptables -I INPUT -d 239.1.1.1 -p udp --dport 5004 -j ACCEPT");
	assert_command(
		(struct firewall_chain){
			.family = "ip6", .table = "raw", .name = "PREROUTING", .is_iptables = true},
		"ff15::1",
		"ip6tables -t raw -I PREROUTING -d ff15::1 -p udp --dport 5004 -j ACCEPT");
}

static void a_chain_of_the_other_family_needs_no_command(void **state)
{
	(void)state;
	assert_command((struct firewall_chain){.family = "ip6", .table = "f", .name = "c"},
		"239.1.1.1", "");
	assert_command(
		(struct firewall_chain){.family = "ip", .table = "f", .name = "c"}, "ff15::1", "");
}

static void a_name_that_nft_would_read_otherwise_is_in_no_command(void **state)
{
	static const char *const names[] = {"a'; reboot '", "in put", "a;flush", "$(reboot)",
		"`reboot`", "-f", "", "1", "a\nb", "\xc3\xa9"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct firewall_chain table = {.family = "inet", .name = "input"};
		struct firewall_chain chain = {.family = "inet", .table = "filter"};

		snprintf(table.table, sizeof(table.table), "%s", names[i]);
		snprintf(chain.name, sizeof(chain.name), "%s", names[i]);
		chain.is_iptables = table.is_iptables = i % 2;
		assert_command(table, "239.1.1.1", "");
		assert_command(chain, "239.1.1.1", "");
	}
}

static void a_command_without_room_is_none(void **state)
{
	struct firewall_chain chain = {.family = "inet", .table = "filter", .name = "input"};
	char command[40];
	struct address group;

	(void)state;
	assert_int_equal(address_parse("239.1.1.1", &group), 0);
	firewall_accept_command(&chain, &group, 5004, command, sizeof(command));
	assert_string_equal(command, "");
}

static void a_command_lets_reports_leave(void **state)
{
	struct firewall_chain nft = {.family = "inet", .table = "filter", .name = "output"};
	struct firewall_chain iptables = {
		.family = "ip6", .table = "filter", .name = "OUTPUT", .is_iptables = true};
	char command[FIREWALL_COMMAND_MAX];

	(void)state;
	firewall_accept_reports_command(&nft, AF_INET, true, command, sizeof(command));
	assert_string_equal(command, "nft insert rule inet filter output ip protocol igmp accept");
	firewall_accept_reports_command(&nft, AF_INET6, true, command, sizeof(command));
	assert_string_equal(
		command, "nft insert rule inet filter output meta l4proto ipv6-icmp accept");
	firewall_accept_reports_command(&iptables, AF_INET6, true, command, sizeof(command));
	assert_string_equal(command, "ip6tables -I OUTPUT -p ipv6-icmp -j ACCEPT");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base_chains_have_hook_policy_and_device),
		cmocka_unit_test(a_chain_of_several_devices_has_each_of_them),
		cmocka_unit_test(rules_that_drop_are_counted_where_the_base_chain_leads),
		cmocka_unit_test(a_rule_that_dropped_is_found_behind_a_jump),
		cmocka_unit_test(a_counter_in_front_of_a_match_does_not_tell_what_was_dropped),
		cmocka_unit_test(a_command_lets_a_group_through),
		cmocka_unit_test(a_chain_of_the_other_family_needs_no_command),
		cmocka_unit_test(a_name_that_nft_would_read_otherwise_is_in_no_command),
		cmocka_unit_test(a_command_without_room_is_none),
		cmocka_unit_test(a_command_lets_reports_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
