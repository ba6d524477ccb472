/* From a captured packet to the UDP payload in it. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/codec.h"
#include "formats/dissect.h"

#define NULL_LINK 0
#define ETHERNET 1
#define PPP 9
#define RAW 101
#define SLL 113
#define SLL2 276

/* Headers in hexadecimal, of a datagram of "hello". */
#define MACS "01005e7c0001 020000000001 "
#define UDP "1f90 138c 000d 0000 "
#define IP4 "4500 0021 0001 4000 01 11 0000 c0000201 e9fc0001 "
#define IP6_OF(length, next)                                                \
	"60000000 " length " " next " 01 20010db8000000000000000000000001 " \
	"ff150000000000000000000000000001 "
#define HELLO "68656c6c6f"
#define PACKET4 IP4 UDP HELLO
#define PACKET6 IP6_OF("000d", "11") UDP HELLO

/* In memory of exactly its size, so that the sanitizer sees reads past it. */
static enum dissect_result dissect_copy(uint16_t link_type, const void *data, size_t size,
	struct dissected *ret, uint8_t **ret_copy)
{
	*ret_copy = malloc(size ? size : 1);
	if (size)
		memcpy(*ret_copy, data, size);
	return dissect(
		&(struct captured_packet){.link_type = link_type, .data = *ret_copy, .size = size},
		ret);
}

static enum dissect_result dissect_hex(uint16_t link_type, const char *hex, struct text *ret)
{
	struct text packet = {0};
	struct dissected payload = {0};
	enum dissect_result result;
	uint8_t *copy;

	assert_int_equal(text_append_hex_decoded(&packet, hex, strlen(hex)), 0);
	result = dissect_copy(link_type, packet.data, packet.length, &payload, &copy);
	if (result == DISSECT_UDP)
		text_append(ret, payload.data, payload.size);
	free(copy);
	text_free(&packet);
	return result;
}

static void assert_payload(uint16_t link_type, const char *hex, const char *expected)
{
	struct text payload = {0};

	assert_int_equal(dissect_hex(link_type, hex, &payload), DISSECT_UDP);
	assert_string_equal(text_string(&payload), expected);
	text_free(&payload);
}

static void assert_result(uint16_t link_type, const char *hex, enum dissect_result expected)
{
	struct text payload = {0};

	assert_int_equal(dissect_hex(link_type, hex, &payload), expected);
	text_free(&payload);
}

static void all_link_types_are_understood(void **state)
{
	(void)state;
	assert_payload(RAW, PACKET4, "hello");
	assert_payload(RAW, PACKET6, "hello");
	assert_payload(228, PACKET4, "hello");
	assert_payload(229, PACKET6, "hello");
	assert_payload(ETHERNET, MACS "0800" PACKET4, "hello");
	assert_payload(ETHERNET, MACS "86dd" PACKET6, "hello");
	assert_payload(ETHERNET, MACS "8100 0005 0800" PACKET4, "hello");
	assert_payload(ETHERNET, MACS "88a8 0005 8100 0006 86dd" PACKET6, "hello");
	assert_payload(SLL, "0003 0001 0006 0200000000010000 0800" PACKET4, "hello");
	assert_payload(SLL2, "86dd 0000 00000002 0001 00 06 0200000000010000" PACKET6, "hello");
	assert_payload(ETHERNET, MACS "9100 0005 88a8 0006 8100 0007 0800" PACKET4, "hello");
	assert_payload(12, PACKET4, "hello");
	assert_payload(14, PACKET6, "hello");
	assert_payload(PPP, "ff03 0021" PACKET4, "hello");
	assert_payload(PPP, "0057" PACKET6, "hello");
	assert_payload(50, "ff03 21" PACKET4, "hello");
	assert_payload(51, "1100 0001 0023 0021" PACKET4, "hello");
	assert_payload(ETHERNET, MACS "8864 1100 0001 0023 0021" PACKET4, "hello");
	assert_result(127, PACKET4, DISSECT_LINK);
}

static void packets_behind_mpls_labels_are_read(void **state)
{
	(void)state;
	assert_payload(ETHERNET, MACS "8847 00064140" PACKET4, "hello");
	assert_payload(ETHERNET, MACS "8848 00064040 00065140" PACKET6, "hello");
	assert_payload(ETHERNET, MACS "8100 0005 8847 00064140" PACKET4, "hello");
	assert_payload(SLL, "0003 0001 0006 0200000000010000 8847 00064140" PACKET4, "hello");
	assert_payload(PPP, "ff03 0281 00064140" PACKET4, "hello");
	/* The control word of a pseudowire. */
	assert_result(ETHERNET, MACS "8847 00064140 00000000" MACS "0800" PACKET4, DISSECT_NOT_UDP);
}

static void packets_behind_llc_and_snap_are_read(void **state)
{
	(void)state;
	assert_payload(ETHERNET, MACS "0029 aaaa03 000000 0800" PACKET4 "0000", "hello");
	assert_payload(ETHERNET, MACS "8100 0005 003d aaaa03 000000 86dd" PACKET6, "hello");
	assert_payload(
		SLL, "0003 0001 0006 0200000000010000 0004 aaaa03 000000 0800" PACKET4, "hello");
	/* A spanning tree's; another organization's; a length within. */
	assert_result(ETHERNET, MACS "0026 424203 0000000000", DISSECT_NOT_UDP);
	assert_result(ETHERNET, MACS "0029 aaaa03 00000c 0800" PACKET4, DISSECT_NOT_UDP);
	assert_result(ETHERNET, MACS "0029 aaaa03 000000 0029 424203 0000000000", DISSECT_NOT_UDP);
}

#define AH(next) next "04 0000 00000001 00000002 000000000000000000000000 "

static void packets_behind_an_authentication_header_are_read(void **state)
{
	(void)state;
	assert_payload(RAW, "4500 0039 0001 4000 01 33 0000 c0000201 e9fc0001" AH("11") UDP HELLO,
		"hello");
	assert_payload(RAW, IP6_OF("0025", "33") AH("11") UDP HELLO, "hello");
	assert_payload(RAW, IP6_OF("002d", "00") "3300 050200000000" AH("11") UDP HELLO, "hello");
	assert_result(RAW, IP6_OF("0025", "33") AH("06") UDP HELLO, DISSECT_NOT_UDP);
	assert_result(
		RAW, IP6_OF("0028", "2c") "3300 0001 00000007" AH("11") UDP, DISSECT_FRAGMENT);
	assert_result(RAW, IP6_OF("000d", "33") "11ff 000000000000" HELLO, DISSECT_BROKEN);
}

/* The number of IPv6 differs, and so does the byte order of what is no LOOP. */
static void loopback_of_any_system_is_understood(void **state)
{
	(void)state;
	assert_payload(NULL_LINK, "02000000" PACKET4, "hello");
	assert_payload(NULL_LINK, "00000002" PACKET4, "hello");
	assert_payload(NULL_LINK, "0a000000" PACKET6, "hello");
	assert_payload(NULL_LINK, "18000000" PACKET6, "hello");
	assert_payload(NULL_LINK, "1c000000" PACKET6, "hello");
	assert_payload(NULL_LINK, "0000001e" PACKET6, "hello");
	assert_payload(108, "00000002" PACKET4, "hello");
	assert_payload(108, "00000018" PACKET6, "hello");
	assert_result(NULL_LINK, "07000000" PACKET4, DISSECT_NOT_UDP);
}

static void addresses_and_ports_are_told(void **state)
{
	struct dissected datagram;
	struct text packet = {0};
	char string[INET6_ADDRSTRLEN];
	uint8_t *copy;

	(void)state;
	text_append_hex_decoded(&packet, PACKET4, strlen(PACKET4));
	assert_int_equal(
		dissect_copy(RAW, packet.data, packet.length, &datagram, &copy), DISSECT_UDP);
	assert_string_equal(address_format(&datagram.source, string), "192.0.2.1");
	assert_string_equal(address_format(&datagram.destination, string), "233.252.0.1");
	assert_int_equal(datagram.source_port, 8080);
	assert_int_equal(datagram.destination_port, 5004);
	free(copy);
	text_free(&packet);
}

static void padding_of_the_link_is_no_payload(void **state)
{
	(void)state;
	assert_payload(ETHERNET, MACS "0800" PACKET4 "00000000000000", "hello");
	assert_payload(RAW, IP4 "1f90 138c 0008 0000" HELLO, "");
	assert_payload(RAW, IP4 "1f90 138c 000b 0000" HELLO, "hel");
}

/* What UDP HELLO is with this checksum, put together from fragments. */
static enum dissect_result dissect_whole_hex(const char *hex, sa_family_t family)
{
	struct dissected datagram = {.fragment.protocol = IPPROTO_UDP};
	struct text packet = {0};
	enum dissect_result result;
	char *data;

	assert_int_equal(
		address_parse(family == AF_INET ? "192.0.2.1" : "2001:db8::1", &datagram.source),
		0);
	assert_int_equal(
		address_parse(family == AF_INET ? "233.252.0.1" : "ff15::1", &datagram.destination),
		0);
	assert_int_equal(text_append_hex_decoded(&packet, hex, strlen(hex)), 0);
	data = memcpy(malloc(packet.length), packet.data, packet.length);
	result = dissect_whole((const uint8_t *)data, packet.length, &datagram);
	if (result == DISSECT_UDP)
		assert_int_equal(datagram.size, 5);
	free(data);
	text_free(&packet);
	return result;
}

/* The checksums are Python's. */
static void the_checksum_of_what_is_put_together_is_verified(void **state)
{
	(void)state;
	assert_int_equal(dissect_whole_hex("1f90 138c 000d dce6" HELLO, AF_INET), DISSECT_UDP);
	assert_int_equal(dissect_whole_hex("1f90 138c 000d 5c15" HELLO, AF_INET6), DISSECT_UDP);
	assert_int_equal(
		dissect_whole_hex("1f90 138c 000d dce6" HELLO, AF_INET6), DISSECT_FRAGMENT);
	assert_int_equal(
		dissect_whole_hex("1f90 138c 000d dce6 68656c6c70", AF_INET), DISSECT_FRAGMENT);
	assert_int_equal(dissect_whole_hex("1f90 138c 000d 0000 68656c6c70", AF_INET),
		DISSECT_UDP); /* none */
	assert_int_equal(dissect_whole_hex("1f90 138c 000e 0000" HELLO, AF_INET),
		DISSECT_FRAGMENT); /* longer */
}

static void headers_may_have_options(void **state)
{
	(void)state;
	assert_payload(RAW, "4600 0025 0001 0000 01 11 0000 c0000201 e9fc0001 94040000" UDP HELLO,
		"hello");
	assert_payload(RAW, IP6_OF("0015", "00") "1100 050200000000" UDP HELLO, "hello");
	assert_payload(RAW,
		IP6_OF("0025",
			"00") "3c00 050200000000 1101 0000 00000000 00000000 00000000" UDP HELLO,
		"hello");
	/* A fragment header on a datagram that is whole, RFC 6946. */
	assert_payload(RAW, IP6_OF("0015", "2c") "1100 0000 00000007" UDP HELLO, "hello");
}

static void fragments_are_recognised(void **state)
{
	(void)state;
	assert_result(
		RAW, "4500 001c 0001 2000 01 11 0000 c0000201 e9fc0001" UDP, DISSECT_FRAGMENT);
	assert_result(RAW, "4500 0021 0001 0001 01 11 0000 c0000201 e9fc0001" UDP HELLO,
		DISSECT_FRAGMENT);
	assert_result(RAW, IP6_OF("0010", "2c") "1100 0001 00000007" UDP, DISSECT_FRAGMENT);
	assert_result(RAW, IP6_OF("0015", "2c") "1100 0008 00000007" UDP HELLO, DISSECT_FRAGMENT);
}

static void other_protocols_are_recognised(void **state)
{
	(void)state;
	assert_result(ETHERNET, MACS "0806 0001080006040001", DISSECT_NOT_UDP);
	assert_result(
		RAW, "4500 0021 0001 0000 01 06 0000 c0000201 e9fc0001" UDP HELLO, DISSECT_NOT_UDP);
	assert_result(RAW, IP6_OF("0008", "3a") "8000000000000000", DISSECT_NOT_UDP);
	assert_result(RAW, "55", DISSECT_NOT_UDP);
}

static void an_event_of_mcastd_is_no_datagram(void **state)
{
	(void)state;
	assert_result(RAW, IP6_OF("000d", "11") "0000 0000 000d 0000" HELLO, DISSECT_NOT_UDP);
}

static void contradictions_are_recognised(void **state)
{
	(void)state;
	/* The IP header: 16 bytes long; longer than the packet; another version than Ethernet says.
	 */
	assert_result(
		RAW, "4400 0021 0001 0000 01 11 0000 c0000201 e9fc0001" UDP HELLO, DISSECT_BROKEN);
	assert_result(
		RAW, "4500 0013 0001 0000 01 11 0000 c0000201 e9fc0001" UDP HELLO, DISSECT_BROKEN);
	assert_result(ETHERNET, MACS "0800" PACKET6, DISSECT_BROKEN);
	assert_result(ETHERNET, MACS "86dd" IP4 IP4 UDP, DISSECT_BROKEN);
	/* UDP: shorter than its header, longer than the packet, no room for its header. */
	assert_result(RAW, IP4 "1f90 138c 0007 0000" HELLO, DISSECT_BROKEN);
	assert_result(RAW, IP4 "1f90 138c 000e 0000" HELLO "00", DISSECT_BROKEN);
	assert_result(
		RAW, "4500 001b 0001 0000 01 11 0000 c0000201 e9fc0001" UDP HELLO, DISSECT_BROKEN);
	/* Fragments: with nothing in it, not of whole units before the last, too far behind. */
	assert_result(RAW, "4500 0014 0001 2000 01 11 0000 c0000201 e9fc0001", DISSECT_BROKEN);
	assert_result(
		RAW, "4500 0021 0001 2000 01 11 0000 c0000201 e9fc0001" UDP HELLO, DISSECT_BROKEN);
	assert_result(
		RAW, "4500 0021 0001 1fff 01 11 0000 c0000201 e9fc0001" UDP HELLO, DISSECT_BROKEN);
	/* An extension header that is longer than the packet. */
	assert_result(RAW, IP6_OF("0008", "00") "11ff 000000000000" UDP HELLO, DISSECT_BROKEN);
}

/* Every prefix of a datagram is one that was not captured as a whole, and no byte past it is read.
 */
static void assert_cuts(uint16_t link_type, const char *hex)
{
	struct text packet = {0};

	assert_int_equal(text_append_hex_decoded(&packet, hex, strlen(hex)), 0);
	for (size_t size = 0; size < packet.length; size++) {
		struct dissected payload;
		uint8_t *copy;

		assert_int_equal(
			dissect_copy(link_type, packet.data, size, &payload, &copy), DISSECT_CUT);
		free(copy);
	}
	text_free(&packet);
}

static void truncated_packets_are_recognised(void **state)
{
	(void)state;
	assert_cuts(RAW, PACKET4);
	assert_cuts(RAW, PACKET6);
	assert_cuts(RAW, "4600 0025 0001 0000 01 11 0000 c0000201 e9fc0001 94040000" UDP HELLO);
	assert_cuts(RAW, IP6_OF("001d", "00") "1101 0502 00000000 00000000 00000000" UDP HELLO);
	assert_cuts(ETHERNET, MACS "8100 0005 0800" PACKET4);
	assert_cuts(ETHERNET, MACS "8847 00064040 00065140" PACKET6);
	assert_cuts(ETHERNET, MACS "0029 aaaa03 000000 0800" PACKET4);
	assert_cuts(RAW, IP6_OF("0025", "33") AH("11") UDP HELLO);
	assert_cuts(SLL, "0003 0001 0006 0200000000010000 0800" PACKET4);
	assert_cuts(SLL2, "86dd 0000 00000002 0001 00 06 0200000000010000" PACKET6);
}

/* Whether what was found points into the packet. */
static bool is_within(enum dissect_result result)
{
	return result == DISSECT_UDP || result == DISSECT_FRAGMENT;
}

static void mutate_and_dissect(const char *hex, uint16_t link_type, uint64_t *seed)
{
	struct text packet = {0};
	struct dissected payload;
	uint8_t *copy;

	assert_int_equal(text_append_hex_decoded(&packet, hex, strlen(hex)), 0);
	for (int n = 0; n < 3; n++) {
		*seed = *seed * 6364136223846793005u + 1442695040888963407u;
		packet.data[(*seed >> 33) % packet.length] = (char)(*seed >> 56);
	}
	if (is_within(dissect_copy(link_type, packet.data, packet.length, &payload, &copy))) {
		assert_true(payload.data >= copy);
		assert_true(payload.data + payload.size <= copy + packet.length);
	}
	free(copy);
	text_free(&packet);
}

static void mutated_packets_do_no_harm(void **state)
{
	static const uint16_t link_types[] = {ETHERNET, RAW, SLL, SLL2, NULL_LINK, PPP};
	uint64_t seed = 20;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		uint16_t link_type = link_types[i % 6];

		mutate_and_dissect(MACS "88a8 0005 8100 0006 86dd" PACKET6, link_type, &seed);
		mutate_and_dissect(PACKET4, link_type, &seed);
		mutate_and_dissect(MACS "8847 00064040 00065140" PACKET6, link_type, &seed);
		mutate_and_dissect(MACS "0029 aaaa03 000000 0800" PACKET4, link_type, &seed);
		mutate_and_dissect(IP6_OF("0025", "33") AH("11") UDP HELLO, link_type, &seed);
		mutate_and_dissect(
			IP6_OF("001d", "00") "2c00 050200000000 1100 0000 00000007" UDP HELLO,
			link_type, &seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_link_types_are_understood),
		cmocka_unit_test(packets_behind_mpls_labels_are_read),
		cmocka_unit_test(packets_behind_llc_and_snap_are_read),
		cmocka_unit_test(packets_behind_an_authentication_header_are_read),
		cmocka_unit_test(loopback_of_any_system_is_understood),
		cmocka_unit_test(addresses_and_ports_are_told),
		cmocka_unit_test(padding_of_the_link_is_no_payload),
		cmocka_unit_test(the_checksum_of_what_is_put_together_is_verified),
		cmocka_unit_test(headers_may_have_options),
		cmocka_unit_test(fragments_are_recognised),
		cmocka_unit_test(other_protocols_are_recognised),
		cmocka_unit_test(an_event_of_mcastd_is_no_datagram),
		cmocka_unit_test(contradictions_are_recognised),
		cmocka_unit_test(truncated_packets_are_recognised),
		cmocka_unit_test(mutated_packets_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
