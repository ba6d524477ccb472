/* pcapng: checksums against a simple calculation, the blocks byte for byte, and where the last
 * whole block ends. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/pcapng.h"

/* 2025-11-24T19:33:19.123456789Z */
#define SOME_TIME 1764012799123456789ull

/* ---- The calculation of the RFCs, 16 bits at a time ---- */

static uint32_t plain_sum(uint32_t sum, const uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint16_t read16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t read32(const void *data)
{
	const uint8_t *at = data;

	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
	       (uint32_t)at[3] << 24;
}

/* A received packet's sums are all ones where its checksums are right (RFC 1071, section 1). */
static void assert_checksums(const uint8_t *ip, size_t size)
{
	size_t head = ip[0] >> 4 == 4 ? 20 : 40;
	const uint8_t *udp = ip + head;
	uint32_t sum;

	if (head == 20)
		assert_int_equal(plain_sum(0, ip, 20), 0xffff);
	sum = plain_sum(
		17 + (uint32_t)(size - head), ip + (head == 20 ? 12 : 8), head == 20 ? 8 : 32);
	assert_int_equal(plain_sum(sum, udp, size - head), 0xffff);
	assert_int_not_equal(read16(udp + 6), 0);
}

static void sums_are_those_of_a_simple_calculation(void **state)
{
	uint8_t data[300];

	(void)state;
	srandom(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random();
	for (size_t from = 0; from < 9; from++)
		for (size_t size = 0; from + size <= sizeof(data); size++) {
			uint16_t checksum = pcapng_fold(pcapng_sum(0, data + from, size));

			assert_int_equal(
				ntohs(checksum), (uint16_t)~plain_sum(0, data + from, size));
		}
}

static void the_largest_sum_does_not_overflow(void **state)
{
	size_t size = 65536;
	uint8_t *data = malloc(size);

	(void)state;
	assert_non_null(data);
	memset(data, 0xff, size);
	assert_int_equal(pcapng_fold(pcapng_sum(0, data, size)), 0);
	free(data);
}

/* ---- Datagrams ---- */

struct packet {
	struct text text;
	const uint8_t *ip;
	size_t size;
};

static struct packet make_packet(
	const char *group, const char *source, const void *payload, size_t size)
{
	struct datagram datagram = {
		.payload = payload, .size = (uint32_t)size, .ttl = 7, .timestamp_ns = SOME_TIME};
	struct address address;
	struct pcapng_flow flow;
	struct packet packet = {0};

	assert_int_equal(address_parse(group, &address), 0);
	pcapng_flow_init(&flow, &address, 5004, "news");
	assert_int_equal(address_parse(source, &address), 0);
	address_to_endpoint(&address, 4000, 0, &datagram.source);
	pcapng_append_datagram(&packet.text, &flow, 3, &datagram);
	assert_false(text_failed(&packet.text));
	packet.ip = (const uint8_t *)packet.text.data + 28;
	packet.size = read32(packet.text.data + 20);
	return packet;
}

static void v4_datagrams_are_whole_blocks(void **state)
{
	static const uint8_t expected[] = {6, 0, 0, 0, 80, 0, 0, 0, 3, 0, 0,
		0, /* type, length, interface */
		0x4b, 0x08, 0x7b, 0x18, 0x15, 0x03, 0xff, 0x6e, /* timestamp, its high half first */
		33, 0, 0, 0, 33, 0, 0, 0, /* captured and original length */
		0x45, 0, 0, 33, 0, 0, 0x40, 0, 7, 17, 0xc7, 0xc7, 192, 0, 2, 7, 233, 252, 0,
		1, /* IP */
		0x0f, 0xa0, 0x13, 0x8c, 0, 13, 0xec, 0xd0, 'h', 'e', 'l', 'l', 'o', 0, 0,
		0, /* UDP, payload */
		1, 0, 4, 0, 'n', 'e', 'w', 's', 0, 0, 0, 0, /* comment, end of the options */
		80, 0, 0, 0};
	struct packet packet = make_packet("233.252.0.1", "192.0.2.7", "hello", 5);

	(void)state;
	assert_int_equal(packet.text.length, sizeof(expected));
	assert_memory_equal(packet.text.data, expected, sizeof(expected));
	assert_checksums(packet.ip, packet.size);
	text_free(&packet.text);
}

static void v6_datagrams_have_the_addresses_and_the_hop_limit(void **state)
{
	struct packet packet = make_packet("ff15::1", "2001:db8::7", "hello!", 6);
	struct in6_addr group, source;

	(void)state;
	inet_pton(AF_INET6, "ff15::1", &group);
	inet_pton(AF_INET6, "2001:db8::7", &source);
	assert_int_equal(packet.size, 40 + 8 + 6);
	assert_int_equal(packet.ip[0], 0x60);
	assert_int_equal(read16(packet.ip + 4), 8 + 6);
	assert_int_equal(packet.ip[6], 17);
	assert_int_equal(packet.ip[7], 7);
	assert_memory_equal(packet.ip + 8, &source, 16);
	assert_memory_equal(packet.ip + 24, &group, 16);
	assert_int_equal(read16(packet.ip + 40), 4000);
	assert_int_equal(read16(packet.ip + 42), 5004);
	assert_int_equal(read16(packet.ip + 44), 8 + 6);
	assert_memory_equal(packet.ip + 48, "hello!", 6);
	assert_checksums(packet.ip, packet.size);
	text_free(&packet.text);
}

/* The same packet, behind this Ethernet header. */
static void assert_ethernet(
	const char *group, const char *source, const uint8_t expected[static 14])
{
	struct packet plain = make_packet(group, source, "hello", 5), framed = {0};
	struct datagram datagram = {.payload = (const uint8_t *)"hello",
		.size = 5,
		.ttl = 7,
		.timestamp_ns = SOME_TIME};
	struct address address;
	struct pcapng_flow flow;

	assert_int_equal(address_parse(group, &address), 0);
	pcapng_flow_init_ethernet(&flow, &address, 5004, "news");
	assert_int_equal(address_parse(source, &address), 0);
	address_to_endpoint(&address, 4000, 0, &datagram.source);
	pcapng_append_datagram(&framed.text, &flow, 3, &datagram);
	assert_int_equal(framed.text.length % 4, 0);
	assert_int_equal(pcapng_read_block(framed.text.data).size, framed.text.length);
	assert_int_equal(read32(framed.text.data + 20), plain.size + 14);
	assert_int_equal(read32(framed.text.data + 24), plain.size + 14);
	assert_memory_equal(framed.text.data + 28, expected, 14);
	assert_memory_equal(framed.text.data + 28 + 14, plain.ip, plain.size);
	text_free(&plain.text);
	text_free(&framed.text);
}

static void packets_have_the_ethernet_header_of_their_group(void **state)
{
	(void)state;
	assert_ethernet("233.252.0.1", "192.0.2.7",
		(uint8_t[]){0x01, 0, 0x5e, 0x7c, 0, 1, 2, 0, 192, 0, 2, 7, 8, 0});
	assert_ethernet("255.255.255.255", "192.0.2.7",
		(uint8_t[]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 192, 0, 2, 7, 8, 0});
	assert_ethernet("192.0.2.9", "192.0.2.7",
		(uint8_t[]){2, 0, 192, 0, 2, 9, 2, 0, 192, 0, 2, 7, 8, 0});
	assert_ethernet("ff15::abcd:1", "2001:db8::7:8",
		(uint8_t[]){0x33, 0x33, 0xab, 0xcd, 0, 1, 2, 0, 0, 7, 0, 8, 0x86, 0xdd});
	assert_ethernet("2001:db8::9", "2001:db8::7:8",
		(uint8_t[]){2, 0, 0, 0, 0, 9, 2, 0, 0, 7, 0, 8, 0x86, 0xdd});
}

static void every_size_has_right_checksums_and_lengths(void **state)
{
	static uint8_t payload[DATAGRAM_MAX];
	static const char *const groups[][2] = {
		{"239.255.255.250", "10.20.30.40"}, {"ff02::fb", "fe80::1"}};

	(void)state;
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)random();
	for (size_t size = 0; size <= DATAGRAM_MAX; size += size < 300     ? 1
							    : size < 65000 ? 977
									   : 39)
		for (size_t i = size > DATAGRAM_MAX_V4; i < 2; i++) {
			struct packet packet = make_packet(
				groups[i][0], groups[i][1], payload, size);

			assert_checksums(packet.ip, packet.size);
			assert_int_equal(packet.text.length % 4, 0);
			assert_int_equal(read32(packet.text.data + 4), packet.text.length);
			assert_int_equal(read32(packet.text.data + packet.text.length - 4),
				packet.text.length);
			text_free(&packet.text);
		}
}

/* Of 65,536 payloads of two bytes one makes the sum zero, which would say that there is no checksum
 * (RFC 768). */
static void a_checksum_of_zero_is_written_as_all_ones(void **state)
{
	unsigned ones = 0;

	(void)state;
	for (unsigned number = 0; number < 65536; number++) {
		uint8_t payload[2] = {(uint8_t)(number >> 8), (uint8_t)number};
		struct packet packet = make_packet("233.252.0.1", "192.0.2.7", payload, 2);

		assert_int_not_equal(read16(packet.ip + 26), 0);
		ones += read16(packet.ip + 26) == 0xffff;
		text_free(&packet.text);
	}
	assert_true(ones >= 1);
}

static void only_the_first_interface_of_a_file_has_the_number_of_files(void **state)
{
	struct text text = {0};

	(void)state;
	pcapng_append_interface(&text, true, "eth0", "first");
	assert_int_equal(read32(text.data + 8), 101);
	text_clear(&text);
	pcapng_append_interface(&text, false, "eth1", "second");
	assert_int_equal(read32(text.data + 8), 12);
	text_free(&text);
}

static void long_comments_are_truncated(void **state)
{
	struct pcapng_flow flow;
	struct address group;
	char comment[1000];

	(void)state;
	memset(comment, 'c', sizeof(comment) - 1);
	comment[sizeof(comment) - 1] = '\0';
	assert_int_equal(address_parse("233.252.0.1", &group), 0);
	pcapng_flow_init(&flow, &group, 5004, comment);
	assert_int_equal(flow.options_size, 4 + 100 + 4);
	assert_int_equal(flow.options[2], 100);
}

static void blocks_can_be_told_from_their_heads(void **state)
{
	struct packet packet = make_packet("233.252.0.1", "192.0.2.7", "x", 1);
	struct pcapng_block block = pcapng_read_block(packet.text.data);

	(void)state;
	assert_int_equal(block.type, PCAPNG_BLOCK_PACKET);
	assert_int_equal(block.size, packet.text.length);
	assert_int_equal(block.interface, 3);
	text_free(&packet.text);
}

/* ---- Walking ---- */

/* A file of one section, an interface, statistics and some datagrams. ends[] are where its blocks
 * end. */
static size_t make_file(struct text *text, size_t ends[static 8])
{
	struct pcapng_counts counts = {.received = 3, .delivered = 2, .dropped = 1};
	static const uint8_t large[3000];
	size_t count = 0;

	pcapng_append_section(text, "x86_64", "Linux", "mcastd");
	ends[count++] = text->length;
	pcapng_append_interface(text, true, "eth0", "an interface");
	ends[count++] = text->length;
	for (size_t i = 0; i < 3; i++) {
		struct packet packet = make_packet("ff15::1", "2001:db8::7", large, i * 1500);

		text_append(text, packet.text.data, packet.text.length);
		text_free(&packet.text);
		ends[count++] = text->length;
	}
	pcapng_append_statistics(text, 0, SOME_TIME, &counts);
	ends[count++] = text->length;
	pcapng_append_section(text, "x86_64", "Linux", "mcastd");
	ends[count++] = text->length;
	return count;
}

static int measure_by(int (*way)(int fd, uint64_t size, uint64_t *ret_whole), const void *data,
	size_t size, uint64_t *ret_whole)
{
	FILE *file = tmpfile();
	int r;

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, size, file), size);
	fflush(file);
	r = way(fileno(file), size, ret_whole);
	fclose(file);
	return r;
}

static int measure(const void *data, size_t size, uint64_t *ret_whole)
{
	return measure_by(pcapng_measure, data, size, ret_whole);
}

static void a_file_torn_at_any_place_is_measured(void **state)
{
	struct text text = {0};
	size_t ends[8], count = make_file(&text, ends), whole = 0, next = 0;
	uint64_t found;

	(void)state;
	for (size_t size = 1; size <= text.length; size++) {
		if (next < count && size == ends[next])
			whole = ends[next++];
		assert_int_equal(measure(text.data, size, &found), 0);
		assert_int_equal(found, whole);
	}
	assert_int_equal(next, count);
	text_free(&text);
}

static void zeros_at_the_end_are_torn_off(void **state)
{
	static const char zeros[5000];
	struct text text = {0};
	size_t ends[8], length;
	uint64_t found;

	(void)state;
	make_file(&text, ends);
	length = text.length;
	text_append(&text, zeros, sizeof(zeros));
	assert_int_equal(measure(text.data, text.length, &found), 0);
	assert_int_equal(found, length);
	text_free(&text);
}

/* As where the size was extended first, and only some pages of the data reached the disk. */
static void a_file_torn_at_any_place_with_zeros_behind_is_measured(void **state)
{
	static const char zeros[5000];
	size_t ends[8], count, whole = 0, next = 0;
	struct text text = {0}, torn = {0};
	uint64_t found;

	(void)state;
	count = make_file(&text, ends);
	for (size_t size = 1; size <= text.length; size++) {
		text_clear(&torn);
		text_append(&torn, text.data, size);
		text_append(&torn, zeros, sizeof(zeros));
		/* The last bytes of a block may be zeros. */
		while (next < count && !memcmp(torn.data, text.data, ends[next]))
			whole = ends[next++];
		if (!whole)
			continue;
		assert_int_equal(measure(torn.data, torn.length, &found), 0);
		assert_int_equal(found, whole);
	}
	assert_int_equal(next, count);
	text_free(&text);
	text_free(&torn);
}

/* Pages reach the disk out of order: whole blocks behind a gap must not be cut off. */
static void a_gap_before_whole_blocks_is_no_partial_block(void **state)
{
	struct text text = {0};
	size_t ends[8], count = make_file(&text, ends);
	uint64_t found;

	(void)state;
	for (size_t gap = 1; gap < count - 1; gap++) {
		struct text damaged = {0};

		text_append(&damaged, text.data, text.length);
		/* From the middle of one block into the middle of the next. */
		memset(damaged.data + ends[gap] - 20, 0, 40);
		assert_int_equal(measure(damaged.data, damaged.length, &found), -EBADMSG);
		assert_int_equal(found, ends[gap - 1]);
		text_free(&damaged);
	}
	text_free(&text);
}

static void whole_blocks_after_zeros_are_not_taken_for_zeros(void **state)
{
	static const char zeros[4096];
	struct text text = {0};
	size_t ends[8], length;
	uint64_t found;

	(void)state;
	make_file(&text, ends);
	length = text.length;
	text_append(&text, zeros, sizeof(zeros));
	make_file(&text, ends);
	assert_int_equal(measure(text.data, text.length, &found), -EBADMSG);
	assert_int_equal(found, length);
	text_free(&text);
}

static void what_follows_the_blocks_and_is_no_block_of_ours_is_told_apart(void **state)
{
	static const struct {
		const char *data;
		size_t size;
	} tails[] = {{"notes", 5}, {"\x06\0\0\1", 4}, {"\x02\0\0\0\x40\0\0\0xyz", 11},
		{"\x06\0\0\0\0\0\x20\0xyz", 11}, {"\x06\0\0\0\x0c\0\0\0xyzxyz", 14}};
	struct text text = {0};
	size_t ends[8], length;
	uint64_t found;

	(void)state;
	make_file(&text, ends);
	length = text.length;
	for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
		text.length = length;
		text_append(&text, tails[i].data, tails[i].size);
		assert_int_equal(measure(text.data, text.length, &found), -EBADMSG);
		assert_int_equal(found, length);
	}
	text_free(&text);
}

static void blocks_across_the_edges_of_the_buffer_are_found(void **state)
{
	struct text text = {0};
	size_t ends[8], before = 0;
	uint64_t found;

	(void)state;
	make_file(&text, ends);
	while (text.length < 3 * 1024 * 1024) {
		struct packet packet = make_packet("ff15::1", "2001:db8::7", text.data,
			(size_t)random() % DATAGRAM_MAX % text.length);

		before = text.length;
		text_append(&text, packet.text.data, packet.text.length);
		text_free(&packet.text);
	}
	assert_int_equal(measure(text.data, text.length, &found), 0);
	assert_int_equal(found, text.length);
	assert_int_equal(measure(text.data, text.length - 1, &found), 0);
	assert_int_equal(found, before);
	text_free(&text);
}

static void assert_foreign(const void *data, size_t size)
{
	uint64_t found;

	assert_int_equal(measure(data, size, &found), -EBADMSG);
}

static void files_of_others_are_told_apart(void **state)
{
	struct text text = {0};
	size_t ends[8];

	(void)state;
	make_file(&text, ends);
	assert_foreign("notes", 5);
	assert_foreign("\n", 1 + 1);
	assert_foreign("{\"group\":\"news\"}\n", 17);
	assert_foreign(
		"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0", 24); /* pcap */
	text.data[8] ^= 0x01; /* the byte order magic */
	assert_foreign(text.data, text.length);
	text.data[8] ^= 0x01;
	text.data[ends[0] + 8] = 1; /* LINKTYPE_ETHERNET */
	assert_foreign(text.data, text.length);
	text.data[ends[0] + 8] = PCAPNG_LINK_RAW;
	text.data[ends[0] + 12] ^= 1; /* snapshot length */
	assert_foreign(text.data, text.length);
	text_free(&text);
}

static void files_of_the_other_link_type_are_told_apart(void **state)
{
	struct text raw = {0}, ethernet = {0};
	uint64_t found;

	(void)state;
	pcapng_append_section(&raw, "x86_64", "Linux", "mcastd");
	pcapng_append_interface(&raw, true, "eth0", "first");
	pcapng_append_interface(&raw, false, "eth1", "second");
	pcapng_append_section(&ethernet, "x86_64", "Linux", "mcastd");
	pcapng_append_ethernet_interface(&ethernet, "eth0", "first");
	pcapng_append_ethernet_interface(&ethernet, "eth1", "second");
	assert_int_equal(
		measure_by(pcapng_measure_ethernet, ethernet.data, ethernet.length, &found), 0);
	assert_int_equal(found, ethernet.length);
	assert_foreign(ethernet.data, ethernet.length);
	assert_int_equal(
		measure_by(pcapng_measure_ethernet, raw.data, raw.length, &found), -EBADMSG);
	text_free(&raw);
	text_free(&ethernet);
}

static void no_length_in_a_file_is_trusted(void **state)
{
	static const uint32_t lengths[] = {
		0, 1, 4, 8, 11, 13, 1u << 20, 1u << 31, UINT32_MAX, UINT32_MAX - 3};
	struct text text = {0};
	size_t ends[8];
	uint64_t found;

	(void)state;
	make_file(&text, ends);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		memcpy(text.data + ends[2] + 4, &lengths[i], sizeof(lengths[i]));
		assert_int_equal(measure(text.data, text.length, &found), -EBADMSG);
		assert_int_equal(found, ends[2]);
	}
	text_free(&text);
}

static void a_file_with_a_malformed_first_block_is_not_emptied(void **state)
{
	struct text text = {0};
	size_t ends[8];

	(void)state;
	make_file(&text, ends);
	text.data[4] = 0; /* of its length */
	assert_foreign(text.data, text.length);
	text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_those_of_a_simple_calculation),
		cmocka_unit_test(the_largest_sum_does_not_overflow),
		cmocka_unit_test(v4_datagrams_are_whole_blocks),
		cmocka_unit_test(v6_datagrams_have_the_addresses_and_the_hop_limit),
		cmocka_unit_test(packets_have_the_ethernet_header_of_their_group),
		cmocka_unit_test(every_size_has_right_checksums_and_lengths),
		cmocka_unit_test(a_checksum_of_zero_is_written_as_all_ones),
		cmocka_unit_test(only_the_first_interface_of_a_file_has_the_number_of_files),
		cmocka_unit_test(long_comments_are_truncated),
		cmocka_unit_test(blocks_can_be_told_from_their_heads),
		cmocka_unit_test(a_file_torn_at_any_place_is_measured),
		cmocka_unit_test(zeros_at_the_end_are_torn_off),
		cmocka_unit_test(a_file_torn_at_any_place_with_zeros_behind_is_measured),
		cmocka_unit_test(a_gap_before_whole_blocks_is_no_partial_block),
		cmocka_unit_test(whole_blocks_after_zeros_are_not_taken_for_zeros),
		cmocka_unit_test(what_follows_the_blocks_and_is_no_block_of_ours_is_told_apart),
		cmocka_unit_test(blocks_across_the_edges_of_the_buffer_are_found),
		cmocka_unit_test(files_of_others_are_told_apart),
		cmocka_unit_test(files_of_the_other_link_type_are_told_apart),
		cmocka_unit_test(no_length_in_a_file_is_trusted),
		cmocka_unit_test(a_file_with_a_malformed_first_block_is_not_emptied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
