/* UDP headers of raw sockets: what RFC 768 says, checked with sums that were made otherwise. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "net/udp_header.h"

static union endpoint endpoint(const char *text, uint16_t port)
{
	struct address address;
	union endpoint result;

	assert_int_equal(address_parse(text, &address), 0);
	address_to_endpoint(&address, port, 0, &result);
	return result;
}

/* RFC 1071, byte by byte: what a receiver adds up must be all ones. */
static uint16_t sum_at_receiver(const struct udphdr *header, const union endpoint *from,
	const union endpoint *to, const uint8_t *payload, size_t size)
{
	uint8_t bytes[12 + sizeof(*header) + 65536] = {0};
	size_t length = 12 + sizeof(*header) + size;
	uint32_t sum = 0;

	memcpy(bytes, &from->v4.sin_addr, 4);
	memcpy(bytes + 4, &to->v4.sin_addr, 4);
	bytes[9] = IPPROTO_UDP;
	memcpy(bytes + 10, &header->len, 2);
	memcpy(bytes + 12, header, sizeof(*header));
	memcpy(bytes + 12 + sizeof(*header), payload, size);
	for (size_t i = 0; i < length; i += 2) {
		sum += (uint32_t)bytes[i] << 8 | bytes[i + 1];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return (uint16_t)sum;
}

static void test_a_header_has_both_ports_and_the_length(void **state)
{
	union endpoint from = endpoint("192.0.2.7", 5004), to = endpoint("239.0.0.1", 1900);
	struct udphdr header;

	(void)state;
	udp_header_write(&header, &from, &to, "hello", 5);
	assert_int_equal(ntohs(header.source), 5004);
	assert_int_equal(ntohs(header.dest), 1900);
	assert_int_equal(ntohs(header.len), 13);
}

static void test_the_checksum_is_right_for_every_size_and_alignment(void **state)
{
	union endpoint from = endpoint("192.0.2.7", 5004), to = endpoint("239.255.255.250", 1900);
	static uint8_t payload[DATAGRAM_MAX_V4 + 8];
	struct udphdr header;

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)(i * 197 + (i >> 7));
	for (size_t size = 0; size < 70; size++)
		for (size_t start = 0; start < 8; start++) {
			udp_header_write(&header, &from, &to, payload + start, size);
			assert_int_equal(
				sum_at_receiver(&header, &from, &to, payload + start, size),
				0xffff);
		}
	udp_header_write(&header, &from, &to, payload, DATAGRAM_MAX_V4);
	assert_int_equal(sum_at_receiver(&header, &from, &to, payload, DATAGRAM_MAX_V4), 0xffff);
}

static void test_large_sums_lose_no_carry(void **state)
{
	union endpoint from = endpoint("255.255.255.255", 65535), to = from;
	static uint8_t payload[DATAGRAM_MAX_V4];
	struct udphdr header;

	(void)state;
	memset(payload, 0xff, sizeof(payload));
	udp_header_write(&header, &from, &to, payload, sizeof(payload));
	assert_int_equal(sum_at_receiver(&header, &from, &to, payload, sizeof(payload)), 0xffff);
}

/* 0 would say that there is no checksum. */
static void test_a_sum_of_zero_is_sent_as_all_ones(void **state)
{
	union endpoint from = endpoint("192.0.2.7", 5004), to = endpoint("239.0.0.1", 1900);
	struct udphdr header;
	uint16_t payload = 0;

	(void)state;
	udp_header_write(&header, &from, &to, &payload, sizeof(payload));
	payload = header.check; /* makes the sum of all other words complete */
	udp_header_write(&header, &from, &to, &payload, sizeof(payload));
	assert_int_equal(header.check, 0xffff);
}

static void test_the_checksum_of_ipv6_is_left_to_the_kernel(void **state)
{
	union endpoint from = endpoint("2001:db8::7", 5004), to = endpoint("ff05::c", 1900);
	struct udphdr header;

	(void)state;
	udp_header_write(&header, &from, &to, "hello", 5);
	assert_int_equal(ntohs(header.source), 5004);
	assert_int_equal(ntohs(header.dest), 1900);
	assert_int_equal(ntohs(header.len), 13);
	assert_int_equal(header.check, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_header_has_both_ports_and_the_length),
		cmocka_unit_test(test_the_checksum_is_right_for_every_size_and_alignment),
		cmocka_unit_test(test_large_sums_lose_no_carry),
		cmocka_unit_test(test_a_sum_of_zero_is_sent_as_all_ones),
		cmocka_unit_test(test_the_checksum_of_ipv6_is_left_to_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
