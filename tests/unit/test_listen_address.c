/* Where a server listens, as the configuration has it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "net/listen_address.h"

static struct listen_address parse(const char *string)
{
	struct listen_address address;
	char why[WHY_MAX];

	assert_int_equal(listen_address_parse(string, &address, why), 0);
	return address;
}

static void assert_refused(const char *string, const char *expected)
{
	struct listen_address address;
	char why[WHY_MAX];

	assert_int_equal(listen_address_parse(string, &address, why), -EINVAL);
	if (!strstr(why, expected))
		fail_msg("%s: %s", string, why);
}

static void an_address_has_a_port(void **state)
{
	struct listen_address four = parse("127.0.0.1:9184"), six = parse("[::1]:65535");

	(void)state;
	assert_int_equal(four.address.family, AF_INET);
	assert_int_equal(four.port, 9184);
	assert_null(four.path);
	assert_int_equal(six.address.family, AF_INET6);
	assert_int_equal(six.port, 65535);
}

static void a_path_is_a_unix_socket(void **state)
{
	(void)state;
	assert_string_equal(parse("/run/a:1").path, "/run/a:1");
}

static void what_is_wrong_is_said(void **state)
{
	char path[200];

	(void)state;
	assert_refused("127.0.0.1", "has no port, write 127.0.0.1:9184");
	assert_refused("::1", "has no port, write [::1]:9184");
	assert_refused("[::1]", "write 127.0.0.1:9184");
	assert_refused("::1:9184", "has no port");
	assert_refused("[127.0.0.1]:80", "is none of");
	assert_refused("localhost:9184", "is none of");
	assert_refused("9184", "is none of");
	assert_refused(":9184", "is none of");
	assert_refused("", "is none of");
	assert_refused("[::1]9184", "is none of");
	assert_refused("[::1:9184", "is none of");
	assert_refused("[fe80::1%eth0]:9184", "is none of");
	assert_refused("127.0.0.1:", "between 1 and 65535");
	assert_refused("127.0.0.1:0", "between 1 and 65535");
	assert_refused("127.0.0.1:65536", "between 1 and 65535");
	assert_refused("127.0.0.1:80x", "between 1 and 65535");
	assert_refused("233.252.0.1:80", "can connect to");
	assert_refused("[ff15::1]:80", "can connect to");
	assert_refused("[::ffff:127.0.0.1]:80", "write 127.0.0.1:80");
	assert_refused("[fe80::1]:80", "is a link-local address");
	assert_refused("/run/", "is a directory");
	memset(path, 'a', sizeof(path));
	path[0] = '/';
	path[108] = '\0';
	assert_refused(path, "longer than 107 bytes");
}

static void the_same_place_written_otherwise_is_equal(void **state)
{
	struct listen_address a = parse("[::1]:9184"), b = parse("[0:0::1]:09184");
	struct listen_address c = parse("127.0.0.1:9184"), d = parse("/a"), e = parse("/b");

	(void)state;
	assert_true(listen_address_equal(&a, &b));
	assert_false(listen_address_equal(&a, &c));
	assert_false(listen_address_equal(&a, &d));
	assert_false(listen_address_equal(&d, &e));
	assert_true(listen_address_equal(&d, &d));
}

static void loopback_is_known(void **state)
{
	static const struct {
		const char *string;
		bool is_loopback;
	} cases[] = {{"127.0.0.1:1", true}, {"127.9.9.9:1", true}, {"[::1]:1", true},
		{"0.0.0.0:1", false}, {"[::]:1", false}, {"192.0.2.1:1", false}, {"/a", false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct listen_address address = parse(cases[i].string);

		assert_int_equal(listen_address_is_loopback(&address), cases[i].is_loopback);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_address_has_a_port),
		cmocka_unit_test(a_path_is_a_unix_socket),
		cmocka_unit_test(what_is_wrong_is_said),
		cmocka_unit_test(the_same_place_written_otherwise_is_equal),
		cmocka_unit_test(loopback_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
