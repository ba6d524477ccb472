/* mcastctl's ADDRESS:PORT. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "ctl/target.h"

static void assert_target(const char *string, const char *expected_address, uint16_t expected_port)
{
	char text[INET6_ADDRSTRLEN];
	struct address address;
	uint16_t port;
	char why[WHY_MAX];

	assert_int_equal(target_parse(string, &address, &port, why), 0);
	assert_string_equal(address_format(&address, text), expected_address);
	assert_int_equal(port, expected_port);
}

static void assert_refused(const char *string, const char *expected)
{
	struct address address = {.family = AF_UNSPEC};
	uint16_t port = 7;
	char why[WHY_MAX] = "";

	assert_int_equal(target_parse(string, &address, &port, why), -EINVAL);
	assert_non_null(strstr(why, expected));
	assert_int_equal(address.family, AF_UNSPEC);
	assert_int_equal(port, 7);
}

static void ipv4_needs_no_brackets(void **state)
{
	(void)state;
	assert_target("233.252.0.1:5004", "233.252.0.1", 5004);
	assert_target("233.252.0.1:65535", "233.252.0.1", 65535);
}

static void ipv6_is_in_brackets(void **state)
{
	(void)state;
	assert_target("[ff15::1]:5004", "ff15::1", 5004);
	assert_target("[FF15:0::1]:1", "ff15::1", 1);
}

static void ipv6_without_brackets_is_ambiguous(void **state)
{
	(void)state;
	assert_refused("ff15::1:5004", "goes in brackets");
	assert_refused("::", "goes in brackets");
}

static void the_port_must_be_there(void **state)
{
	(void)state;
	assert_refused("", "port is missing");
	assert_refused("233.252.0.1", "port is missing");
	assert_refused("[ff15::1]", "port is missing");
	assert_refused("[ff15::1]5004", "port is missing");
}

static void the_port_must_be_one(void **state)
{
	(void)state;
	assert_refused("233.252.0.1:", "not a number from 1");
	assert_refused("233.252.0.1:0", "not a number from 1");
	assert_refused("233.252.0.1:65536", "not a number from 1");
	assert_refused("233.252.0.1:-1", "not a number from 1");
	assert_refused("233.252.0.1:5004x", "not a number from 1");
	assert_refused("[ff15::1]:99999999999999999999999", "not a number from 1");
}

static void the_address_must_be_one(void **state)
{
	(void)state;
	assert_refused(":5004", "not an IPv4 address");
	assert_refused("news:5004", "not an IPv4 address");
	assert_refused("[]:5004", "not an IPv4 address");
	assert_refused("[ff15::1:5004", "no closing bracket");
	assert_refused("[233.252.0.1]:5004", "not an IPv4 address");
	assert_refused("[ff02::1%eth0]:5004", "not an IPv4 address");
	assert_refused("[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]:1",
		"not an IPv4 address");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_needs_no_brackets),
		cmocka_unit_test(ipv6_is_in_brackets),
		cmocka_unit_test(ipv6_without_brackets_is_ambiguous),
		cmocka_unit_test(the_port_must_be_there),
		cmocka_unit_test(the_port_must_be_one),
		cmocka_unit_test(the_address_must_be_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
