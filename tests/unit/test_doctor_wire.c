/* What the packet socket and its filter let through, on the loopback interface of a network
 * namespace of its own. Without the privilege for one, all are skipped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/codec.h"
#include "ctl/doctor/wire.h"

#define LO 1
#define DEADLINE_NS (10 * NS_PER_S)

static const char *const group_texts[] = {
	"239.1.1.1", "239.1.1.1", "ff15::1:1", "127.0.0.1", "0.0.0.0", "::"};
static const uint16_t ports[] = {5004, 5006, 5004, 6000, 7000, 7000};
enum { GROUP, OTHER_PORT, GROUP6, UNICAST, ANY, ANY6 };

/* From 2001:db8::1 to ff15::1:1, port 5004: there is no route for that on lo. */
static const char to_group6[] =
	"33330001000102000000000186dd60000000000d110720010db8000000000000000000000001ff1500000000"
	"000000000000000100010fa0138c000d6c0468656c6c6f";

/* To 238.129.1.1, with the MAC address of 239.1.1.1: the kernel gives its own frames on lo none. */
static const char to_same_mac[] =
	"01005e010101020000000001080045000021123400000711f014c0000201ee8101010fa0138c000de7516865"
	"6c6c6f";

static struct wire *wire;
static bool has_namespace;

static int enter_namespace(void **state)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	AUTO_CLOSE int fd = -1;

	(void)state;
	if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		printf("no network namespace can be made: %m\n");
		return 0;
	}
	has_namespace = true;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return ioctl(fd, SIOCSIFFLAGS, &request);
}

static struct address address_of(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(text, &address), 0);
	return address;
}

/* With as many more groups. */
static void open_wire(size_t more)
{
	AUTO_FREE struct wire_group *groups = NULL;
	size_t count = ARRAY_SIZE(group_texts);

	if (!has_namespace)
		skip();
	groups = calloc(ARRAY_SIZE(group_texts) + more, sizeof(*groups));
	assert_non_null(groups);
	for (size_t i = 0; i < count; i++)
		groups[i] = (struct wire_group){address_of(group_texts[i]), ports[i]};
	for (size_t i = 0; i < more; i++) {
		groups[count + i].address = address_of("239.7.0.0");
		groups[count + i].address.v4.s_addr |= htonl((uint32_t)i);
		groups[count + i].port = 5004;
	}
	assert_int_equal(wire_open(groups, count + more, &wire), 0);
}

static int close_wire(void **state)
{
	(void)state;
	wire_close(take(wire));
	return 0;
}

static void send_to(const char *text, uint16_t port)
{
	struct address address = address_of(text);
	union endpoint to;
	socklen_t size = address_to_endpoint(&address, port, LO, &to);
	AUTO_CLOSE int fd = socket(address.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ip_mreqn request = {.imr_ifindex = LO};

	if (address.family == AF_INET)
		assert_int_equal(
			setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof(request)), 0);
	assert_int_equal(sendto(fd, "hello", 5, 0, &to.any, size), 5);
}

static void send_frame(const char *hex, uint16_t type)
{
	const struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_ifindex = LO, .sll_protocol = htons(type)};
	AUTO_CLOSE int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	AUTO_TEXT struct text text = {0};

	assert_int_equal(text_append_hex_decoded(&text, hex, strlen(hex)), 0);
	assert_int_equal(
		sendto(fd, text.data, text.length, 0, (const struct sockaddr *)&to, sizeof(to)),
		text.length);
}

/* Reads until this number has come in for a group. */
static void wait_for(size_t group, uint64_t count)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + DEADLINE_NS;

	while (wire_seen(wire, group, LO)->in < count && clock_ns(CLOCK_MONOTONIC) < end_ns) {
		struct pollfd poll_fd = {.fd = wire_fd(wire), .events = POLLIN};

		poll(&poll_fd, 1, 1000);
		wire_read(wire);
	}
	assert_int_equal(wire_seen(wire, group, LO)->in, count);
}

static void send_to_all(void)
{
	send_to("239.1.1.1", 5004);
	send_to("239.1.1.1", 9999);
	send_frame(to_same_mac, ETH_P_IP);
	send_frame(to_group6, ETH_P_IPV6);
	send_to("127.0.0.1", 6000);
	send_to("127.0.0.7", 7000);
	send_to("::1", 7000);
}

/* The last one comes in last. */
static void assert_all_seen(void)
{
	wait_for(ANY6, 1);
	wait_for(GROUP, 1);
	wait_for(GROUP6, 1);
	wait_for(UNICAST, 1);
	wait_for(ANY, 1);
	assert_int_equal(wire_seen(wire, GROUP, LO)->other_port, 1);
	assert_int_equal(wire_seen(wire, GROUP, LO)->collisions, 1);
	assert_int_equal(wire_seen(wire, GROUP, LO)->from_here, 1);
	assert_int_equal(wire_seen(wire, GROUP, LO)->bad_udp_checksums, 0);
	assert_int_equal(wire_seen(wire, OTHER_PORT, LO)->in, 0);
	assert_int_equal(wire_seen(wire, OTHER_PORT, LO)->other_port, 2);
	assert_int_equal(wire_missed(wire), 0);
}

static void groups_of_all_kinds_are_seen(void **state)
{
	(void)state;
	open_wire(0);
	send_to_all();
	assert_all_seen();
}

static void they_are_seen_among_many_others(void **state)
{
	(void)state;
	open_wire(150);
	send_to_all();
	assert_all_seen();
}

static void they_are_seen_among_more_than_are_compared(void **state)
{
	(void)state;
	open_wire(5000);
	send_to_all();
	assert_all_seen();
}

static void a_second_look_begins_from_zero(void **state)
{
	(void)state;
	open_wire(0);
	send_to("239.1.1.1", 5004);
	wait_for(GROUP, 1);
	wire_restart(wire);
	assert_int_equal(wire_seen(wire, GROUP, LO)->in, 0);
	send_to("239.1.1.1", 5004);
	wait_for(GROUP, 1);
}

/* After 10,000 frames, another filter takes the place of the first. */
static void a_flood_is_counted_to_its_end(void **state)
{
	(void)state;
	open_wire(150);
	for (uint64_t count = 1; count <= 12; count++) {
		for (int i = 0; i < 1000; i++)
			send_to("127.0.0.1", 6000);
		wait_for(UNICAST, count * 1000);
	}
	send_to_all();
	wait_for(UNICAST, 12001);
	wait_for(GROUP6, 1);
	assert_int_equal(wire_missed(wire), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(groups_of_all_kinds_are_seen, close_wire),
		cmocka_unit_test_teardown(they_are_seen_among_many_others, close_wire),
		cmocka_unit_test_teardown(they_are_seen_among_more_than_are_compared, close_wire),
		cmocka_unit_test_teardown(a_flood_is_counted_to_its_end, close_wire),
		cmocka_unit_test_teardown(a_second_look_begins_from_zero, close_wire),
	};

	return cmocka_run_group_tests(tests, enter_namespace, NULL);
}
