/* What comes back of relays that keep sources. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "data/returned_copies.h"

static const int first, second; /* takers */

static struct datagram datagram(const char *source, uint16_t port, const char *payload)
{
	struct datagram result = {
		.payload = (const uint8_t *)payload, .size = (uint32_t)strlen(payload)};

	result.source.v4.sin_family = AF_INET;
	result.source.v4.sin_port = htons(port);
	inet_pton(AF_INET, source, &result.source.v4.sin_addr);
	return result;
}

static void expect(struct returned_copies *copies, const struct datagram *sent, unsigned ifindex)
{
	returned_copies_expect(copies, &sent->source, sent->payload, sent->size, ifindex, 0);
}

static void a_copy_has_the_source_the_port_the_payload_and_the_interface(void **state)
{
	struct returned_copies *copies = returned_copies_new();
	struct datagram sent = datagram("192.0.2.1", 5, "abc");
	struct datagram others[] = {datagram("192.0.2.2", 5, "abc"),
		datagram("192.0.2.1", 6, "abc"), datagram("192.0.2.1", 5, "abd")};

	(void)state;
	expect(copies, &sent, 2);
	for (unsigned i = 0; i < 3; i++)
		assert_false(returned_copies_take(copies, &first, &others[i], 2, 0));
	assert_false(returned_copies_take(copies, &first, &sent, 3, 0));
	assert_true(returned_copies_take(copies, &first, &sent, 2, 0));
	free(copies);
}

static void each_taker_gets_as_many_as_were_sent(void **state)
{
	struct returned_copies *copies = returned_copies_new();
	struct datagram sent = datagram("192.0.2.1", 5, "abc");

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		expect(copies, &sent, 2);
	for (unsigned i = 0; i < 3; i++)
		assert_true(returned_copies_take(copies, &first, &sent, 2, 0));
	assert_false(returned_copies_take(copies, &first, &sent, 2, 0));
	for (unsigned i = 0; i < 3; i++)
		assert_true(returned_copies_take(copies, &second, &sent, 2, 0));
	assert_false(returned_copies_take(copies, &second, &sent, 2, 0));
	free(copies);
}

static void a_copy_is_taken_by_any_interface_where_the_one_is_not_known(void **state)
{
	struct returned_copies *copies = returned_copies_new();
	struct datagram sent = datagram("192.0.2.1", 5, "abc");

	(void)state;
	expect(copies, &sent, 0);
	assert_true(returned_copies_take(copies, &first, &sent, 7, 0));
	assert_false(returned_copies_take(copies, &first, &sent, 7, 0));
	free(copies);
}

static void a_copy_that_does_not_arrive_is_forgotten(void **state)
{
	struct returned_copies *copies = returned_copies_new();
	struct datagram sent = datagram("192.0.2.1", 5, "abc");

	(void)state;
	assert_false(returned_copies_are_expected(copies, 0));
	expect(copies, &sent, 2);
	assert_true(returned_copies_are_expected(copies, RETURNED_COPIES_MS - 1));
	assert_false(returned_copies_are_expected(copies, RETURNED_COPIES_MS));
	assert_false(returned_copies_take(copies, &first, &sent, 2, RETURNED_COPIES_MS));
	assert_false(returned_copies_are_expected(NULL, 0));
	free(copies);
}

static void what_is_sent_again_after_that_is_expected_again(void **state)
{
	struct returned_copies *copies = returned_copies_new();
	struct datagram sent = datagram("192.0.2.1", 5, "abc");

	(void)state;
	for (uint32_t now = 0; now < 10 * RETURNED_COPIES_MS; now += RETURNED_COPIES_MS / 4) {
		returned_copies_expect(copies, &sent.source, sent.payload, sent.size, 2, now);
		assert_true(returned_copies_take(copies, &first, &sent, 2, now));
		assert_false(returned_copies_take(copies, &first, &sent, 2, now));
	}
	free(copies);
}

static void the_last_of_many_is_expected(void **state)
{
	struct returned_copies *copies = returned_copies_new();
	struct datagram sent = datagram("192.0.2.1", 5, "");

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		sent.payload = (const uint8_t *)&i;
		sent.size = sizeof(i);
		expect(copies, &sent, 2);
		assert_true(returned_copies_take(copies, &first, &sent, 2, 0));
	}
	free(copies);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_has_the_source_the_port_the_payload_and_the_interface),
		cmocka_unit_test(each_taker_gets_as_many_as_were_sent),
		cmocka_unit_test(a_copy_is_taken_by_any_interface_where_the_one_is_not_known),
		cmocka_unit_test(a_copy_that_does_not_arrive_is_forgotten),
		cmocka_unit_test(what_is_sent_again_after_that_is_expected_again),
		cmocka_unit_test(the_last_of_many_is_expected),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
