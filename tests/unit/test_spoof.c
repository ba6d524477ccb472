/* Sending with another host's address: which sockets are used, and when ports are given back. On lo
 * only, and as root. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/spoof.h"

#define RUN 8
#define EPHEMERAL 40123 /* in net.ipv4.ip_local_port_range, as it is by default */
#define FIXED 20123

static int setup(void **state)
{
	struct spoof *spoof = NULL;
	char why[WHY_MAX];
	int r = spoof_new(why, &spoof);

	if (r < 0 && r != -EPERM)
		fail_msg("%s", why);
	*state = spoof;
	return 0;
}

static int teardown(void **state)
{
	spoof_free(*state);
	return 0;
}

static union endpoint endpoint(const char *text, uint16_t port)
{
	struct address address;
	union endpoint result;

	assert_int_equal(address_parse(text, &address), 0);
	address_to_endpoint(&address, port, 0, &result);
	return result;
}

static int send_from(struct spoof *spoof, uint16_t port, size_t last_size)
{
	struct spoof_way way = {.to = endpoint("239.255.7.7", 9),
		.to_length = sizeof(struct sockaddr_in),
		.ifindex = if_nametoindex("lo"),
		.ttl = 1};
	union endpoint from = endpoint("192.0.2.7", port);
	struct iovec vectors[RUN];
	unsigned refused;

	for (unsigned i = 0; i < RUN; i++)
		vectors[i] = (struct iovec){"payload", i % 2 ? last_size : 7};
	return spoof_send(spoof, &way, &from, vectors, RUN, &refused);
}

/* Whether a program that shares nothing gets the port. */
static bool is_free(uint16_t port)
{
	union endpoint own = endpoint("0.0.0.0", port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool result = bind(fd, &own.any, sizeof(own.v4)) == 0;

	close(fd);
	return result;
}

static struct spoof *wanted(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static void test_a_run_takes_its_port_and_single_datagrams_do_not(void **state)
{
	struct spoof *spoof = wanted(state);

	assert_int_equal(send_from(spoof, EPHEMERAL, 6), RUN);
	assert_true(is_free(EPHEMERAL));
	assert_int_equal(send_from(spoof, EPHEMERAL, 7), RUN);
	assert_false(is_free(EPHEMERAL));
}

static void test_ports_that_are_not_sent_from_are_given_back(void **state)
{
	struct spoof *spoof = wanted(state);
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	assert_int_equal(send_from(spoof, EPHEMERAL, 7), RUN);
	assert_int_equal(send_from(spoof, FIXED, 7), RUN);
	spoof_release_idle(spoof, now + 5 * NS_PER_S);
	assert_false(is_free(EPHEMERAL));
	assert_false(is_free(FIXED));
	spoof_release_idle(spoof, now + 601 * NS_PER_S);
	assert_true(is_free(EPHEMERAL));
	assert_true(is_free(FIXED));
	assert_int_equal(send_from(spoof, EPHEMERAL, 7), RUN);
	assert_int_equal(send_from(spoof, FIXED, 7), RUN);
}

/* One that can be bound only once is closed, and the raw socket takes its place. */
static void test_what_has_no_socket_left_is_sent_all_the_same(void **state)
{
	struct spoof *spoof = wanted(state);

	for (uint16_t port = FIXED; port < FIXED + 80; port++) {
		assert_int_equal(send_from(spoof, port, 7), RUN);
		spoof_release_idle(spoof, clock_ns(CLOCK_MONOTONIC) + 601 * NS_PER_S);
	}
	assert_int_equal(send_from(spoof, EPHEMERAL, 7), RUN);
	assert_true(is_free(EPHEMERAL));
}

static void test_ports_under_1024_are_not_taken(void **state)
{
	struct spoof *spoof = wanted(state);

	assert_int_equal(send_from(spoof, 1023, 7), RUN);
	assert_true(is_free(1023));
}

static void test_a_source_of_the_other_family_is_refused(void **state)
{
	struct spoof *spoof = wanted(state);
	struct spoof_way way = {.to = endpoint("239.255.7.7", 9),
		.to_length = sizeof(struct sockaddr_in),
		.ttl = 1};
	union endpoint from = endpoint("2001:db8::7", 5004);
	unsigned refused = 0;

	assert_int_equal(spoof_send(spoof, &way, &from, &(struct iovec){"x", 1}, 1, &refused),
		-EAFNOSUPPORT);
	assert_int_equal(refused, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_run_takes_its_port_and_single_datagrams_do_not),
		TEST(test_ports_that_are_not_sent_from_are_given_back),
		TEST(test_what_has_no_socket_left_is_sent_all_the_same),
		TEST(test_ports_under_1024_are_not_taken),
		TEST(test_a_source_of_the_other_family_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
