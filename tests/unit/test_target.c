/* TARGETs, as people write them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "net/target.h"

static void assert_target(const char *string, const char *expected_address, uint16_t expected_port,
	const char *expected_interface, size_t expected_sources)
{
	AUTO_TARGET struct target target = {0};
	char text[INET6_ADDRSTRLEN];
	char why[WHY_MAX];

	assert_true(target_is_meant(string));
	assert_int_equal(target_parse(string, &target, why), 0);
	assert_string_equal(address_format(&target.address, text), expected_address);
	assert_int_equal(target.port, expected_port);
	assert_int_equal(!target.interface, !expected_interface);
	if (expected_interface)
		assert_string_equal(target.interface, expected_interface);
	assert_int_equal(target.sources.count, expected_sources);
}

static void assert_refused(const char *string, const char *expected)
{
	struct target target = {.port = 7};
	char why[WHY_MAX] = "";

	assert_int_equal(target_parse(string, &target, why), -EINVAL);
	if (!strstr(why, expected))
		fail_msg("'%s': %s", string, why);
	assert_int_equal(target.port, 7);
}

static void ipv4_needs_no_brackets(void **state)
{
	(void)state;
	assert_target("233.252.0.1:5004", "233.252.0.1", 5004, NULL, 0);
	assert_target("233.252.0.1:65535", "233.252.0.1", 65535, NULL, 0);
}

static void ipv6_is_in_brackets(void **state)
{
	(void)state;
	assert_target("[ff15::1]:5004", "ff15::1", 5004, NULL, 0);
	assert_target("[FF15:0::1]:1", "ff15::1", 1, NULL, 0);
}

static void an_interface_is_a_name_an_address_or_a_glob(void **state)
{
	(void)state;
	assert_target("233.252.0.1:5004%eth0", "233.252.0.1", 5004, "eth0", 0);
	assert_target("233.252.0.1:5004%eth0.7", "233.252.0.1", 5004, "eth0.7", 0);
	assert_target("233.252.0.1:5004%eth[01]", "233.252.0.1", 5004, "eth[01]", 0);
	assert_target("[ff15::1]:5004%eth[01]", "ff15::1", 5004, "eth[01]", 0);
	assert_target("233.252.0.1:5004%vlan*", "233.252.0.1", 5004, "vlan*", 0);
	assert_target("233.252.0.1:5004%192.0.2.1", "233.252.0.1", 5004, "192.0.2.1", 0);
	assert_target("[ff02::1]:5004%2001:db8::1", "ff02::1", 5004, "2001:db8::1", 0);
	assert_target("[ff02::1]:5004%a%b", "ff02::1", 5004, "a%b", 0);
}

static void sources_follow_commas(void **state)
{
	AUTO_TARGET struct target target = {0};
	char why[WHY_MAX];

	(void)state;
	assert_target("232.1.1.1:6000,source=192.0.2.7", "232.1.1.1", 6000, NULL, 1);
	assert_target("[ff35::1]:6000%eth0,source=2001:db8::1,source=2001:db8::2", "ff35::1", 6000,
		"eth0", 2);
	assert_int_equal(target_parse("232.1.1.1:6000%eth0,source=192.0.2.7", &target, why), 0);
	assert_string_equal(target.name, "232.1.1.1:6000%eth0");
	assert_int_equal(target_add_source(&target, "192.0.2.8", why), 0);
	assert_int_equal(target.sources.count, 2);
	assert_int_equal(target_add_source(&target, "2001:db8::1", why), -EINVAL);
}

static void a_source_is_a_unicast_address_of_the_family(void **state)
{
	(void)state;
	assert_refused("232.1.1.1:6000,source=x", "is not an IP address");
	assert_refused("232.1.1.1:6000,source=", "is not an IP address");
	assert_refused("232.1.1.1:6000,source=2001:db8::1", "use an IPv4 address");
	assert_refused("[ff35::1]:6000,source=192.0.2.7", "use an IPv6 address");
	assert_refused("232.1.1.1:6000,source=232.1.1.1", "use a unicast address");
}

static void of_a_url_it_says_which_part_to_write(void **state)
{
	(void)state;
	assert_refused("udp://@233.252.0.1:5004", "it is a URL: write 233.252.0.1:5004, and");
	assert_refused(
		"rtp://192.0.2.7@232.1.1.1:6000", "write 232.1.1.1:6000,source=192.0.2.7, and");
	assert_refused("udp://233.252.0.1:5004?localaddr=192.0.2.5", "write 233.252.0.1:5004, and");
	assert_refused("udp://[ff15::1]:5004/", "write [ff15::1]:5004, and");
	assert_refused("://", "it is a URL");
	assert_true(target_is_meant("udp://@233.252.0.1:5004"));
	assert_refused("233.252.0.1/5004", "the port is missing");
	assert_refused("233.252.0.1 5004", "the port is missing");
	assert_true(target_is_meant("233.252.0.1/5004") && target_is_meant("233.252.0.1 5004"));
}

static void other_settings_are_refused(void **state)
{
	(void)state;
	assert_refused("232.1.1.1:6000,colour=red", "unknown setting \"colour\"");
	assert_refused("232.1.1.1:6000,source", "unknown setting \"source\"");
	assert_refused("232.1.1.1:6000,", "unknown setting \"\"");
	assert_refused("232.1.1.1:6000%eth0,eth1", "another interface takes another target");
}

static void what_cannot_be_an_interface_is_refused(void **state)
{
	(void)state;
	assert_refused("233.252.0.1:5004%", "interface is missing");
	assert_refused("233.252.0.1:5004%eth0@if2", "leave out the @");
	assert_refused("233.252.0.1:5004%!eth0", "leaves an interface out");
	assert_refused("233.252.0.1:5004%10.9.0.1/24", "cannot be an interface");
	assert_refused("233.252.0.1:5004%a b", "cannot be an interface");
	assert_refused("[ff02::1]:5004%fe80::1", "is link-local");
	assert_refused("[ff02::1%eth0]:5004", "behind the port");
}

static void ipv6_without_brackets_is_ambiguous(void **state)
{
	(void)state;
	assert_refused("ff15::1:5004", "in brackets");
	assert_refused("::", "in brackets");
}

static void the_port_must_be_there(void **state)
{
	(void)state;
	assert_refused("", "port is missing");
	assert_refused("233.252.0.1", "port is missing");
	assert_refused("233.252.0.1:", "port is missing");
	assert_refused("[ff15::1]", "port is missing");
	assert_refused("[ff15::1]5004", "port is missing");
	assert_refused("[ff15::1]:", "port is missing");
}

static void the_port_must_be_one(void **state)
{
	(void)state;
	assert_refused("233.252.0.1:0", "not a number from 1");
	assert_refused("233.252.0.1:65536", "not a number from 1");
	assert_refused("233.252.0.1:-1", "not a number from 1");
	assert_refused("233.252.0.1:5004x", "not a number from 1");
	assert_refused("[ff15::1]:99999999999999999999999", "not a number from 1");
}

static void the_address_must_be_one(void **state)
{
	(void)state;
	assert_refused(":5004", "not an IP address");
	assert_refused("news:5004", "not an IP address");
	assert_refused("[]:5004", "not an IP address");
	assert_refused("[ff15::1:5004", "no closing bracket");
	assert_refused("[233.252.0.1]:5004", "only an IPv6 address");
	assert_refused(
		"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1", "not an IP address");
}

static void a_name_is_not_meant_as_a_target(void **state)
{
	static const char *const names[] = {"news", "", "cam:5004", "10.0.0", "10.0.0.1.2:5004",
		"eth0%x", "ff", "1234567890123456789012345678901234567890123456789:1"};
	static const char *const meant[] = {"10.0.0.1", "10.0.0.1:x", "10.0.0.1%eth0", "[x",
		"ff15::1", "ff02::1:5004%eth0", "ff02::1%eth0:5004", "ff15::1,source=x",
		"233.252.0.1:5004,source=x"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_false(target_is_meant(names[i]));
	for (size_t i = 0; i < ARRAY_SIZE(meant); i++)
		assert_true(target_is_meant(meant[i]));
}

static void assert_group_name(const char *string, const char *expected)
{
	AUTO_TARGET struct target target = {0};
	AUTO_FREE char *name = NULL;
	char why[WHY_MAX];

	assert_int_equal(target_parse(string, &target, why), 0);
	name = target_group_name(&target);
	assert_string_equal(name, expected);
}

static void a_group_can_have_the_name_that_a_target_makes(void **state)
{
	(void)state;
	assert_group_name("[ff15::1]:5004%eth*,source=2001:db8::1", "[ff15::1]:5004%eth*");
	assert_group_name("233.252.0.1:5004%b\xc3\xbcro", "233.252.0.1:5004%b%C3%BCro");
	assert_group_name("233.252.0.1:5004%a#(b", "233.252.0.1:5004%a%23%28b");
	assert_group_name("233.252.0.1:50004%12345678901234567890123456789012345678901234\xc3\xbc",
		"233.252.0.1:50004%12345678901234567890123456789012345678901234%C");
	assert_group_name("233.252.0.1:5004%1234567890123456789012345678901234567890123456789",
		"233.252.0.1:5004%12345678901234567890123456789012345678901234567");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_needs_no_brackets),
		cmocka_unit_test(ipv6_is_in_brackets),
		cmocka_unit_test(an_interface_is_a_name_an_address_or_a_glob),
		cmocka_unit_test(sources_follow_commas),
		cmocka_unit_test(a_source_is_a_unicast_address_of_the_family),
		cmocka_unit_test(of_a_url_it_says_which_part_to_write),
		cmocka_unit_test(other_settings_are_refused),
		cmocka_unit_test(what_cannot_be_an_interface_is_refused),
		cmocka_unit_test(ipv6_without_brackets_is_ambiguous),
		cmocka_unit_test(the_port_must_be_there),
		cmocka_unit_test(the_port_must_be_one),
		cmocka_unit_test(the_address_must_be_one),
		cmocka_unit_test(a_name_is_not_meant_as_a_target),
		cmocka_unit_test(a_group_can_have_the_name_that_a_target_makes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
