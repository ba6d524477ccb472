/* Addresses of both families as text and as socket addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "net/address.h"

static struct address parsed(const char *string)
{
	struct address address = {0};

	assert_int_equal(address_parse(string, &address), 0);
	return address;
}

static void assert_canonical(const char *string, const char *expected)
{
	struct address address = parsed(string);
	char formatted[INET6_ADDRSTRLEN];

	assert_string_equal(address_format(&address, formatted), expected);
}

static void addresses_are_written_as_rfc_5952_has_them(void **state)
{
	(void)state;
	assert_canonical("233.252.0.1", "233.252.0.1");
	assert_canonical("FF15:0:0:0:0:0:0:1", "ff15::1");
	assert_canonical("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
	assert_canonical("::", "::");
	assert_canonical("::ffff:192.0.2.1", "::ffff:192.0.2.1");
}

static void what_is_not_an_address_is_refused(void **state)
{
	static const char *const wrong[] = {"", "news", "233.252.0", "233.252.0.1.1",
		"233.252.0.256", "233.252.0.1:5004", "233.252.0.1%lo", "233.252.0.1 ",
		" 233.252.0.1", "0xe9.252.0.1", "[ff15::1]", "ff15::1%lo", "ff15::1::2", "ff15:::1",
		"12345::", "233.252.0.010x"};
	struct address address = {.family = 99};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(address_parse(wrong[i], &address), -EINVAL);
	assert_int_equal(address.family, 99);
}

static void addresses_are_equal_by_family_and_value(void **state)
{
	struct address v4 = parsed("233.252.0.1"), other = parsed("233.252.0.2");
	struct address v6 = parsed("ff15::1"), other6 = parsed("ff15::2"), none = {0};

	(void)state;
	assert_true(address_equal(&v4, &(struct address){.family = AF_INET, .v4 = v4.v4}));
	assert_true(address_equal(&v6, &(struct address){.family = AF_INET6, .v6 = v6.v6}));
	assert_false(address_equal(&v4, &other));
	assert_false(address_equal(&v6, &other6));
	assert_false(address_equal(&v4, &v6));
	assert_false(address_equal(&v4, &none));
	assert_true(address_equal(&none, &(struct address){0}));
}

static void v4_equality_ignores_what_lies_behind_it(void **state)
{
	struct address a = parsed("233.252.0.1"), b;

	(void)state;
	memset(&b, 0xff, sizeof(b));
	b.family = AF_INET;
	b.v4 = a.v4;
	assert_true(address_equal(&a, &b));
}

static void equal_addresses_hash_equally_whatever_lies_behind_them(void **state)
{
	struct address a = parsed("233.252.0.1"), b;

	(void)state;
	memset(&b, 0xff, sizeof(b));
	b.family = AF_INET;
	b.v4 = a.v4;
	assert_int_equal(address_hash(HASH_BEGIN, &a), address_hash(HASH_BEGIN, &b));
	a = parsed("ff15::1");
	memset(&b, 0xff, sizeof(b));
	b.family = AF_INET6;
	b.v6 = a.v6;
	assert_int_equal(address_hash(HASH_BEGIN, &a), address_hash(HASH_BEGIN, &b));
}

/* An upgraded daemon finds the sockets that an earlier version stored by it. */
static void a_hash_is_that_of_a_zeroed_address(void **state)
{
	struct address v4, v6;

	(void)state;
	memset(&v4, 0, sizeof(v4));
	v4.family = AF_INET;
	inet_pton(AF_INET, "233.252.0.1", &v4.v4);
	assert_int_equal(address_hash(HASH_BEGIN, &v4), hash_bytes(HASH_BEGIN, &v4, sizeof(v4)));
	memset(&v6, 0, sizeof(v6));
	v6.family = AF_INET6;
	inet_pton(AF_INET6, "ff15::1", &v6.v6);
	assert_int_equal(address_hash(HASH_BEGIN, &v6), hash_bytes(HASH_BEGIN, &v6, sizeof(v6)));
}

static void multicast_ends_where_its_blocks_end(void **state)
{
	static const char *const yes[] = {"224.0.0.0", "239.255.255.255", "ff00::", "ffff::1"};
	static const char *const no[] = {"223.255.255.255", "240.0.0.0", "255.255.255.255",
		"fe80::1", "::", "::ffff:224.0.0.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		struct address address = parsed(yes[i]);

		assert_true(address_is_multicast(&address));
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		struct address address = parsed(no[i]);

		assert_false(address_is_multicast(&address));
	}
	assert_false(address_is_multicast(&(struct address){0}));
}

static void only_link_and_node_local_need_a_scope(void **state)
{
	static const char *const yes[] = {"ff02::1", "ff12::1", "ff01::1", "fe80::1"};
	static const char *const no[] = {
		"ff05::1", "ff15::1", "2001:db8::1", "224.0.0.1", "169.254.0.1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		struct address address = parsed(yes[i]);

		assert_true(address_needs_scope(&address));
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		struct address address = parsed(no[i]);

		assert_false(address_needs_scope(&address));
	}
}

static void endpoints_give_address_and_port_back(void **state)
{
	static const char *const strings[] = {"192.0.2.7", "2001:db8::7", "ff15::1"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		struct address address = parsed(strings[i]), back;
		union endpoint endpoint;
		socklen_t length = address_to_endpoint(&address, 5004, 3, &endpoint);

		assert_int_equal(length, address.family == AF_INET ? sizeof(struct sockaddr_in)
								   : sizeof(struct sockaddr_in6));
		back = endpoint_address(&endpoint);
		assert_true(address_equal(&address, &back));
		assert_int_equal(endpoint_port(&endpoint), 5004);
	}
}

static void endpoint_scope_is_set_only_where_it_is_needed(void **state)
{
	struct address link_local = parsed("ff02::1"), global = parsed("ff15::1");
	union endpoint endpoint;

	(void)state;
	address_to_endpoint(&link_local, 1, 7, &endpoint);
	assert_int_equal(endpoint.v6.sin6_scope_id, 7);
	address_to_endpoint(&global, 1, 7, &endpoint);
	assert_int_equal(endpoint.v6.sin6_scope_id, 0);
}

static void assert_endpoint(const char *string, uint16_t port, const char *expected)
{
	struct address address = parsed(string);
	char formatted[ENDPOINT_STRING_MAX];
	union endpoint endpoint;

	address_to_endpoint(&address, port, 0, &endpoint);
	assert_string_equal(endpoint_format(&endpoint, formatted), expected);
}

static void endpoints_of_both_families_can_be_told_apart(void **state)
{
	char formatted[ENDPOINT_STRING_MAX];

	(void)state;
	assert_endpoint("192.0.2.1", 5004, "192.0.2.1:5004");
	assert_endpoint("2001:db8::1", 65535, "[2001:db8::1]:65535");
	assert_endpoint("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535,
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
	assert_string_equal(endpoint_format(&(union endpoint){0}, formatted), "-");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_written_as_rfc_5952_has_them),
		cmocka_unit_test(what_is_not_an_address_is_refused),
		cmocka_unit_test(addresses_are_equal_by_family_and_value),
		cmocka_unit_test(v4_equality_ignores_what_lies_behind_it),
		cmocka_unit_test(equal_addresses_hash_equally_whatever_lies_behind_them),
		cmocka_unit_test(a_hash_is_that_of_a_zeroed_address),
		cmocka_unit_test(multicast_ends_where_its_blocks_end),
		cmocka_unit_test(only_link_and_node_local_need_a_scope),
		cmocka_unit_test(endpoints_give_address_and_port_back),
		cmocka_unit_test(endpoint_scope_is_set_only_where_it_is_needed),
		cmocka_unit_test(endpoints_of_both_families_can_be_told_apart),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
