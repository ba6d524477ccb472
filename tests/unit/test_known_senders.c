/* Which senders of a group are known. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "data/known_senders.h"
#include "range.h"

static struct known_senders *senders;
static struct origin *eth0, *eth1;

static int make(void **state)
{
	struct address group = {.family = AF_INET};

	(void)state;
	senders = known_senders_new(NULL);
	eth0 = origin_new("g", &group, 5000, "eth0", 2);
	eth1 = origin_new("g", &group, 5000, "eth1", 3);
	return senders && eth0 && eth1 ? 0 : -1;
}

static int clear(void **state)
{
	(void)state;
	known_senders_free(senders);
	origin_unref(eth0);
	origin_unref(eth1);
	return 0;
}

static struct datagram from(uint32_t address, uint16_t port)
{
	return (struct datagram){.source.v4 = {.sin_family = AF_INET,
					 .sin_port = htons(port),
					 .sin_addr.s_addr = htonl(address)}};
}

static struct datagram from_v6(const char *address, uint16_t port)
{
	struct datagram datagram = {
		.source.v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)}};

	assert_int_equal(inet_pton(AF_INET6, address, &datagram.source.v6.sin6_addr), 1);
	return datagram;
}

static void note(struct datagram datagram, uint64_t now)
{
	known_senders_note(senders, eth0, &datagram, 1, now);
}

/* "ADDRESS:PORT INTERFACE RECEIVED TIME", those heard last first. */
static const char *all(void)
{
	static char text[8192];
	char address[INET6_ADDRSTRLEN];
	struct known_sender sender;
	unsigned cursor = 0, count = 0;

	*text = '\0';
	while (known_senders_next(senders, &cursor, &sender)) {
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s:%u %s %llu %llu",
			count++ ? ", " : "", address_format(&sender.address, address), sender.port,
			sender.interface, (unsigned long long)sender.received,
			(unsigned long long)sender.last_received_ns);
	}
	assert_int_equal(count, known_senders_count(senders));
	return text;
}

static void nobody_is_known_at_first(void **state)
{
	struct known_sender sender;
	unsigned cursor = 0;

	(void)state;
	assert_string_equal(all(), "");
	assert_false(known_senders_next(NULL, &cursor, &sender));
	assert_int_equal(known_senders_count(NULL), 0);
	assert_int_equal(known_senders_forgotten(NULL), 0);
}

static void each_counts_its_own_and_the_last_heard_comes_first(void **state)
{
	struct datagram batch[] = {from(0xc0000201, 5001), from(0xc0000201, 5001),
		from(0xc0000202, 5001), from(0xc0000201, 5002), from(0xc0000201, 5001)};

	(void)state;
	known_senders_note(senders, eth0, batch, 5, 7);
	assert_string_equal(all(), "192.0.2.1:5001 eth0 3 7, 192.0.2.1:5002 eth0 1 7, "
				   "192.0.2.2:5001 eth0 1 7");
	note(from(0xc0000202, 5001), 9);
	assert_string_equal(all(), "192.0.2.2:5001 eth0 2 9, 192.0.2.1:5001 eth0 3 7, "
				   "192.0.2.1:5002 eth0 1 7");
	assert_int_equal(known_senders_forgotten(senders), 0);
}

static void the_interface_that_it_came_in_by_tells_senders_apart(void **state)
{
	struct datagram datagram = from(0xc0000201, 5001);

	(void)state;
	known_senders_note(senders, eth0, &datagram, 1, 1);
	known_senders_note(senders, eth1, &datagram, 1, 2);
	known_senders_note(senders, eth1, &datagram, 1, 3);
	assert_string_equal(all(), "192.0.2.1:5001 eth1 2 3, 192.0.2.1:5001 eth0 1 1");
}

static void ipv6_senders_differ_in_any_byte_and_not_in_their_scope(void **state)
{
	struct datagram scoped = from_v6("fe80::1", 5001);

	(void)state;
	note(from_v6("fe80::1", 5001), 1);
	note(from_v6("fe80::2", 5001), 2);
	note(from_v6("fe81::2", 5001), 3);
	scoped.source.v6.sin6_scope_id = 3;
	scoped.source.v6.sin6_flowinfo = 7;
	note(scoped, 4);
	assert_string_equal(
		all(), "fe80::1:5001 eth0 2 4, fe81::2:5001 eth0 1 3, fe80::2:5001 eth0 1 2");
}

static void what_has_no_address_is_nobody(void **state)
{
	(void)state;
	note((struct datagram){0}, 1);
	assert_string_equal(all(), "");
	assert_int_equal(known_senders_forgotten(senders), 0);
}

static void the_longest_silent_gives_way(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < KNOWN_SENDERS_MAX; i++)
		note(from(i, 1), i);
	note(from(0, 1), 100); /* no longer the longest silent */
	assert_int_equal(known_senders_forgotten(senders), 0);
	note(from(1000, 1), 101);
	assert_int_equal(known_senders_forgotten(senders), 1);
	assert_int_equal(known_senders_count(senders), KNOWN_SENDERS_MAX);
	assert_non_null(strstr(all(), "0.0.0.0:1 eth0 2 100"));
	assert_null(strstr(all(), "0.0.0.1:1 "));
	note(from(1, 1), 102); /* is new again */
	assert_int_equal(known_senders_forgotten(senders), 2);
	assert_non_null(strstr(all(), "0.0.0.1:1 eth0 1 102"));
}

/* Against a plain search, with senders that come and go at random. */
static void a_second_opinion_agrees(void **state)
{
	struct plain {
		uint32_t address;
		uint64_t received, last;
	} plain[KNOWN_SENDERS_MAX] = {0};
	size_t count = 0;
	uint64_t forgotten = 0;
	unsigned cursor = 0;
	struct known_sender sender;

	(void)state;
	srandom(1);
	for (uint64_t now = 1; now < 50000; now++) {
		uint32_t address = 1 + (uint32_t)random() % (now % 3 ? 60 : 200);
		size_t i = 0, oldest = 0;

		note(from(address, 1), now);
		while (i < count && plain[i].address != address)
			i++;
		if (i == KNOWN_SENDERS_MAX) {
			for (size_t j = 0; j < count; j++)
				oldest = plain[j].last < plain[oldest].last ? j : oldest;
			i = oldest;
			forgotten++;
		} else if (i == count) {
			count++;
		}
		if (plain[i].address != address)
			plain[i] = (struct plain){.address = address};
		plain[i].received++;
		plain[i].last = now;
	}
	assert_int_equal(known_senders_forgotten(senders), forgotten);
	assert_int_equal(known_senders_count(senders), count);
	while (known_senders_next(senders, &cursor, &sender)) {
		size_t i = 0;

		while (i < count && plain[i].address != ntohl(sender.address.v4.s_addr))
			i++;
		assert_true(i < count);
		assert_int_equal(sender.received, plain[i].received);
		assert_int_equal(sender.last_received_ns, plain[i].last);
	}
}

/* A flood of spoofed addresses: a constant for each, far below what receiving one costs. */
static void a_million_spoofed_senders_take_no_time(void **state)
{
	struct timespec time;
	uint64_t begun;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	begun = timespec_ns(&time);
	for (uint32_t i = 0; i < 1000000; i++)
		note(from(i * 2654435761u, (uint16_t)(1 + i)), i);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	print_message("%u ns each\n", (unsigned)((timespec_ns(&time) - begun) / 1000000));
	assert_in_range((timespec_ns(&time) - begun) / 1000000, 0, 2000);
	assert_int_equal(known_senders_forgotten(senders), 1000000 - KNOWN_SENDERS_MAX);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nobody_is_known_at_first),
		TEST(each_counts_its_own_and_the_last_heard_comes_first),
		TEST(the_interface_that_it_came_in_by_tells_senders_apart),
		TEST(ipv6_senders_differ_in_any_byte_and_not_in_their_scope),
		TEST(what_has_no_address_is_nobody),
		TEST(the_longest_silent_gives_way),
		TEST(a_second_opinion_agrees),
		TEST(a_million_spoofed_senders_take_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
