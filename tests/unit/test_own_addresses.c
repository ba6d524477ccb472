/* Whose the source of a datagram is. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/interface.h"
#include "net/own_addresses.h"

enum { LO = 1, ETH0, ETH1 };

static enum owner find(const struct own_addresses *own, const char *text, unsigned ifindex)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return own_addresses_find(own, &address, ifindex);
}

static void update(struct own_addresses *own, const char *const texts[], size_t count)
{
	static struct interface interfaces[] = {{.name = "lo", .index = LO, .flags = IFF_LOOPBACK},
		{.name = "eth0", .index = ETH0}, {.name = "eth1", .index = ETH1}};
	struct interface_address addresses[8];
	struct interface_list list = {.items = interfaces, .count = 3};
	char text[64];

	for (size_t i = 0; i < count; i++) {
		char *slash = strchrnul(strcpy(text, texts[i]), '/');

		addresses[i] = (struct interface_address){.ifindex = i % 2 ? ETH1 : ETH0};
		if (*slash)
			addresses[i].prefix_length = (uint8_t)atoi(slash + 1);
		*slash = '\0';
		assert_int_equal(address_parse(text, &addresses[i].address), 0);
	}
	list.addresses.items = addresses;
	list.addresses.count = count;
	own_addresses_update(own, &list);
}

/* Of eth0 and eth1 in turn. */
static const char *const some[] = {
	"192.0.2.1", "198.51.100.1", "fe80::1", "fe80::1", "2001:db8::1", "2001:db8:1::1"};

static void an_address_is_that_of_its_interface(void **state)
{
	struct own_addresses own = {0};

	(void)state;
	update(&own, some, ARRAY_SIZE(some));
	assert_int_equal(find(&own, "192.0.2.1", ETH0), OWNER_THIS);
	assert_int_equal(find(&own, "192.0.2.1", ETH1), OWNER_ELSEWHERE);
	assert_int_equal(find(&own, "2001:db8:1::1", ETH0), OWNER_ELSEWHERE);
	assert_int_equal(find(&own, "2001:db8:1::1", ETH1), OWNER_THIS);
	assert_int_equal(find(&own, "192.0.2.2", ETH0), OWNER_OTHER);
	assert_int_equal(find(&own, "::1", ETH0), OWNER_OTHER);
	own_addresses_clear(&own);
}

static void an_address_of_two_interfaces_is_that_of_either(void **state)
{
	struct own_addresses own = {0};

	(void)state;
	update(&own, some, ARRAY_SIZE(some));
	assert_int_equal(find(&own, "fe80::1", ETH0), OWNER_THIS);
	assert_int_equal(find(&own, "fe80::1", ETH1), OWNER_THIS);
	own_addresses_clear(&own);
}

static void on_lo_and_where_the_interface_is_not_known_every_address_may_come(void **state)
{
	struct own_addresses own = {0};

	(void)state;
	update(&own, some, ARRAY_SIZE(some));
	assert_int_equal(find(&own, "192.0.2.1", LO), OWNER_THIS);
	assert_int_equal(find(&own, "198.51.100.1", 0), OWNER_THIS);
	assert_int_equal(find(&own, "192.0.2.9", LO), OWNER_OTHER);
	own_addresses_clear(&own);
}

static void addresses_that_have_gone_are_other_hosts(void **state)
{
	struct own_addresses own = {0};

	(void)state;
	assert_int_equal(find(&own, "192.0.2.1", ETH0), OWNER_OTHER);
	update(&own, some, ARRAY_SIZE(some));
	update(&own, some, 1);
	assert_int_equal(find(&own, "192.0.2.1", ETH1), OWNER_ELSEWHERE);
	assert_int_equal(find(&own, "198.51.100.1", ETH0), OWNER_OTHER);
	own_addresses_clear(&own);
}

static void a_host_of_another_interfaces_network_is_not_here(void **state)
{
	static const char *const networks[] = {"192.0.2.1/24", "198.51.100.1/24", "2001:db8::1/64",
		"2001:db8:1::1/64", "10.0.0.1/7", "198.51.100.2/32"};
	struct own_addresses own = {0};

	(void)state;
	update(&own, networks, ARRAY_SIZE(networks));
	assert_int_equal(find(&own, "192.0.2.9", ETH0), OWNER_OTHER);
	assert_int_equal(find(&own, "192.0.2.9", ETH1), OWNER_ELSEWHERE_ON_LINK);
	assert_int_equal(find(&own, "2001:db8::9", ETH1), OWNER_ELSEWHERE_ON_LINK);
	assert_int_equal(find(&own, "203.0.113.9", ETH1), OWNER_OTHER);
	assert_int_equal(find(&own, "10.0.0.9", ETH1), OWNER_OTHER);
	assert_int_equal(find(&own, "0.0.0.0", ETH1), OWNER_OTHER);
	own_addresses_clear(&own);
}

static void networks_that_are_on_both_interfaces_tell_nothing(void **state)
{
	static const char *const networks[] = {"10.0.0.1/8", "10.8.0.1/16", "fe80::1/64",
		"2001:db8::1/64", "169.254.0.1/16", "192.0.2.1/24"};
	struct own_addresses own = {0};

	(void)state;
	update(&own, networks, ARRAY_SIZE(networks));
	assert_int_equal(find(&own, "10.8.0.9", ETH0), OWNER_OTHER);
	assert_int_equal(find(&own, "10.8.0.9", ETH1), OWNER_OTHER);
	/* Every link has its own. */
	assert_int_equal(find(&own, "fe80::9", ETH1), OWNER_OTHER);
	assert_int_equal(find(&own, "169.254.0.9", ETH1), OWNER_OTHER);
	own_addresses_clear(&own);
}

static void an_interface_without_an_address_may_be_of_any_network(void **state)
{
	static const char *const networks[] = {
		"192.0.2.1/24", "fe80::1/64", "2001:db8::1/64", "169.254.0.1/16"};
	struct own_addresses own = {0};

	(void)state;
	update(&own, networks, ARRAY_SIZE(networks));
	assert_int_equal(find(&own, "192.0.2.9", ETH1), OWNER_OTHER);
	assert_int_equal(find(&own, "2001:db8::9", ETH1), OWNER_OTHER);
	own_addresses_clear(&own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_is_that_of_its_interface),
		cmocka_unit_test(an_address_of_two_interfaces_is_that_of_either),
		cmocka_unit_test(on_lo_and_where_the_interface_is_not_known_every_address_may_come),
		cmocka_unit_test(addresses_that_have_gone_are_other_hosts),
		cmocka_unit_test(a_host_of_another_interfaces_network_is_not_here),
		cmocka_unit_test(networks_that_are_on_both_interfaces_tell_nothing),
		cmocka_unit_test(an_interface_without_an_address_may_be_of_any_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
