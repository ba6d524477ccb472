/* Which interface and which source address are chosen to send with. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "net/send_socket.h"

#define UP (IFF_UP | INTERFACE_LOWER_UP)

static struct interface links[] = {
	{.name = "lo", .index = 1, .flags = UP | IFF_LOOPBACK, .ipv6 = IPV6_ENABLED},
	{.name = "eth0", .index = 2, .flags = UP, .ipv6 = IPV6_ENABLED, .splits_runs = true},
	{.name = "eth1", .index = 3, .flags = UP, .ipv6 = IPV6_DISABLED},
	{.name = "down0", .index = 4, .ipv6 = IPV6_ENABLED},
	{.name = "tiny0", .index = 5, .flags = UP, .ipv6 = IPV6_ABSENT},
	{.name = "cut0", .index = 6, .flags = IFF_UP, .ipv6 = IPV6_ENABLED},
};

static struct interface_address addresses[] = {
	{.ifindex = 1, .address = {.family = AF_INET}, .is_tentative = false},
	{.ifindex = 2, .address = {.family = AF_INET}, .is_tentative = false},
	{.ifindex = 2, .address = {.family = AF_INET6}, .is_tentative = true},
	{.ifindex = 3, .address = {.family = AF_INET6}, .is_tentative = false},
	{.ifindex = 1, .address = {.family = AF_INET6}, .is_tentative = true, .is_duplicate = true},
	{.ifindex = 6, .address = {.family = AF_INET6}, .is_tentative = true},
};
static const char *const strings[] = {
	"127.0.0.1", "192.0.2.1", "2001:db8::1", "fe80::1", "2001:db8::2", "2001:db8::3"};

static struct interface_name alternatives[] = {{2, "uplink"}};

static const struct interface_list list = {.items = links,
	.count = ARRAY_SIZE(links),
	.addresses = {addresses, ARRAY_SIZE(addresses)},
	.alternatives = {alternatives, ARRAY_SIZE(alternatives)},
	.splits_runs = true};

static int fill_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++)
		assert_int_equal(address_parse(strings[i], &addresses[i].address), 0);
	return 0;
}

static struct send_socket chosen;
static char why[WHY_MAX];

static int choose(sa_family_t family, const char *name, const char *source)
{
	chosen = (struct send_socket){.family = family};
	*why = '\0';
	if (source)
		assert_int_equal(address_parse(source, &chosen.source), 0);
	return send_socket_choose(&chosen, &list, name, why);
}

static const char *source_of(void)
{
	static char string[INET6_ADDRSTRLEN];

	return address_format(&chosen.source, string);
}

static void an_interface_is_found_by_each_of_its_names(void **state)
{
	static const char *const names[] = {"eth0", "uplink", "192.0.2.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		assert_int_equal(choose(AF_INET, names[i], NULL), 0);
		assert_int_equal(chosen.ifindex, 2);
		assert_string_equal(chosen.interface, "eth0");
		assert_string_equal(source_of(), "192.0.2.1");
		assert_true(chosen.splits_runs);
	}
}

static void lo_sends_from_its_own_address(void **state)
{
	(void)state;
	assert_int_equal(choose(AF_INET, "lo", NULL), 0);
	assert_string_equal(source_of(), "127.0.0.1");
	assert_false(chosen.splits_runs);
}

static void the_route_leaves_the_choice_to_the_kernel(void **state)
{
	(void)state;
	assert_int_equal(choose(AF_INET, NULL, NULL), 0);
	assert_int_equal(chosen.ifindex, 0);
	assert_int_equal(chosen.source.family, AF_UNSPEC);
	assert_true(chosen.splits_runs);
}

static void what_is_missing_is_named(void **state)
{
	static const struct {
		sa_family_t family;
		const char *name, *source, *why;
		int r;
	} cases[] = {
		{AF_INET, "eth9", NULL, "there is no interface eth9", -ENODEV},
		{AF_INET, "eth*x", NULL, "no interface matches eth*x", -ENODEV},
		{AF_INET, "192.0.2.9", NULL, "no interface of this host has the address 192.0.2.9",
			-ENODEV},
		{AF_INET, "down0", NULL, "down0 is down", -ENETDOWN},
		{AF_INET, "eth1", NULL, "eth1 has no IPv4 address", -EADDRNOTAVAIL},
		{AF_INET6, "eth0", NULL,
			"the address 2001:db8::1 of eth0 is still checked for duplicates",
			-EADDRNOTAVAIL},
		{AF_INET6, "lo", NULL, "another host has the address 2001:db8::2 of lo",
			-EADDRNOTAVAIL},
		{AF_INET6, "cut0", NULL, "cut0 has no carrier", -EADDRNOTAVAIL},
		{AF_INET6, "eth1", NULL, "IPv6 is disabled on eth1", -EADDRNOTAVAIL},
		{AF_INET6, "tiny0", NULL, "tiny0 does no IPv6", -EADDRNOTAVAIL},
		{AF_INET, "eth1", "192.0.2.9", "no interface has the source_address 192.0.2.9",
			-EADDRNOTAVAIL},
		{AF_INET6, NULL, "2001:db8::9", "no interface has the source_address 2001:db8::9",
			-EADDRNOTAVAIL},
		{AF_INET6, NULL, "2001:db8::1",
			"the address 2001:db8::1 of eth0 is still checked for duplicates",
			-EADDRNOTAVAIL},
		{AF_INET6, "eth0", "fe80::1", "eth0 does not have the source_address fe80::1",
			-EADDRNOTAVAIL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(
			choose(cases[i].family, cases[i].name, cases[i].source), cases[i].r);
		assert_non_null(strstr(why, cases[i].why));
	}
}

static void another_interfaces_address_is_taken_where_it_is_given(void **state)
{
	(void)state;
	assert_int_equal(choose(AF_INET, "eth1", "192.0.2.1"), 0);
	assert_int_equal(chosen.ifindex, 3);
	assert_string_equal(source_of(), "192.0.2.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_interface_is_found_by_each_of_its_names),
		cmocka_unit_test(lo_sends_from_its_own_address),
		cmocka_unit_test(the_route_leaves_the_choice_to_the_kernel),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(another_interfaces_address_is_taken_where_it_is_given),
	};

	return cmocka_run_group_tests(tests, fill_addresses, NULL);
}
