/* The blocks of a pcapng file: what other writers make of it, and malformed ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/text.h"
#include "formats/dissect.h"
#include "formats/pcapng.h"

#define SECTION 0x0a0d0d0au
#define INTERFACE 1u
#define OBSOLETE_PACKET 2u
#define SIMPLE_PACKET 3u
#define STATISTICS 5u
#define PACKET 6u

#define RAW 101
#define SOME_TIME_NS 1764012799123456789ull

/* A file that is being built, in one of the byte orders. */
struct file {
	struct text bytes;
	bool big_endian;
	size_t block; /* where the last one begins */
};

static void put(struct file *file, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		size_t place = file->big_endian ? size - 1 - i : i;
		char byte = (char)(value >> 8 * place);

		text_append(&file->bytes, &byte, 1);
	}
}

static void put_padded(struct file *file, const void *data, size_t size)
{
	text_append(&file->bytes, data, size);
	text_append(&file->bytes, "\0\0\0", (4 - size % 4) % 4);
}

static void begin(struct file *file, uint32_t type)
{
	file->block = file->bytes.length;
	put(file, type, 4);
	put(file, 0, 4);
}

/* Writes a number over what is there. */
static void patch(struct file *file, size_t offset, uint64_t value, size_t size)
{
	size_t length = file->bytes.length;

	file->bytes.length = offset;
	put(file, value, size);
	file->bytes.length = length;
}

static void finish(struct file *file)
{
	size_t size = file->bytes.length - file->block + 4;

	put(file, size, 4);
	patch(file, file->block + 4, size, 4);
}

static void put_section(struct file *file)
{
	begin(file, SECTION);
	put(file, 0x1a2b3c4d, 4);
	put(file, 1, 2);
	put(file, 0, 2);
	put(file, UINT64_MAX, 8); /* a length that is not known */
	finish(file);
}

/* resolution and offset_seconds: -1 and 0 omit the option. */
static void put_interface(struct file *file, uint16_t link, int resolution, int64_t offset_seconds)
{
	begin(file, INTERFACE);
	put(file, link, 2);
	put(file, 0, 2);
	put(file, 0, 4);
	put(file, 2, 2); /* if_name */
	put(file, 5, 2);
	put_padded(file, "eth0", 5);
	if (resolution >= 0) {
		put(file, 9, 2);
		put(file, 1, 2);
		put_padded(file, &(uint8_t){(uint8_t)resolution}, 1);
	}
	if (offset_seconds) {
		put(file, 14, 2);
		put(file, 8, 2);
		put(file, (uint64_t)offset_seconds, 8);
	}
	put(file, 0, 4);
	finish(file);
}

static void put_packet(struct file *file, uint32_t interface, uint64_t timestamp, const char *data)
{
	begin(file, PACKET);
	put(file, interface, 4);
	put(file, timestamp >> 32, 4);
	put(file, timestamp & UINT32_MAX, 4);
	put(file, strlen(data), 4);
	put(file, strlen(data), 4);
	put_padded(file, data, strlen(data));
	put(file, 1, 2); /* opt_comment */
	put(file, 4, 2);
	put_padded(file, "news", 4);
	put(file, 0, 4);
	finish(file);
}

static void put_preface(struct file *file)
{
	put_section(file);
	put_interface(file, RAW, 9, 0);
}

/* All kinds of blocks. */
static void put_everything(struct file *file)
{
	put_preface(file);
	put_packet(file, 0, SOME_TIME_NS, "first");
	begin(file, STATISTICS);
	put(file, 0, 4);
	put(file, 0, 8);
	finish(file);
	put_interface(file, 1, 0x8a, 7);
	put_packet(file, 1, 5000, "second");
	begin(file, SIMPLE_PACKET);
	put(file, 4, 4);
	put_padded(file, "fast", 4);
	finish(file);
	put_section(file);
	put_interface(file, RAW, -1, 0);
	put_packet(file, 0, 1000000, "third");
}

/* A walk along a file. */
struct walk {
	struct pcapng parser;
	size_t offset;
	enum packet_result result;
	struct captured_packet packet;
	uint8_t *copy; /* what packet.data points into */
};

/* The next block. Of the file, the parser only ever gets as much as it asks for, in a block of
 * memory of just that size: it is seen when it reads past it. */
static enum packet_result step(struct walk *walk, const struct file *file)
{
	size_t rest = file->bytes.length - walk->offset, given = 0, size = 0;

	do {
		free(walk->copy);
		walk->copy = malloc(given ? given : 1);
		memcpy(walk->copy, file->bytes.data + walk->offset, given);
		walk->result = pcapng_next(&walk->parser, walk->copy, given, &size, &walk->packet);
		if (walk->result != PACKET_MORE)
			break;
		assert_true(size > given && size <= PACKET_RECORD_MAX);
		given = size;
	} while (given <= rest);
	if (walk->result != PACKET_BAD && walk->result != PACKET_MORE)
		walk->offset += size;
	return walk->result;
}

static void walk_clear(struct walk *walk)
{
	pcapng_clear(&walk->parser);
	free(walk->copy);
	*walk = (struct walk){0};
}

/* Skips blocks without packets. */
static enum packet_result step_to_packet(struct walk *walk, const struct file *file)
{
	while (step(walk, file) == PACKET_NONE)
		if (walk->offset >= file->bytes.length)
			break;
	return walk->result;
}

static void assert_packet(struct walk *walk, const struct file *file, uint16_t link_type,
	uint64_t timestamp_ns, const char *data)
{
	assert_int_equal(step_to_packet(walk, file), PACKET_READ);
	assert_int_equal(walk->packet.link_type, link_type);
	assert_int_equal(walk->packet.timestamp_ns, timestamp_ns);
	assert_int_equal(walk->packet.size, strlen(data));
	assert_memory_equal(walk->packet.data, data, strlen(data));
}

static void both_byte_orders_and_several_sections_are_read(void **state)
{
	(void)state;
	for (int big_endian = 0; big_endian < 2; big_endian++) {
		struct file file = {.big_endian = big_endian};
		struct walk walk = {0};

		put_everything(&file);
		file.big_endian = !big_endian; /* each section has its own */
		put_everything(&file);
		for (int i = 0; i < 2; i++) {
			assert_packet(&walk, &file, RAW, SOME_TIME_NS, "first");
			assert_packet(&walk, &file, 1, 7000000000 + 5000 * 1000000000ull / 1024,
				"second");
			assert_int_equal(step(&walk, &file), PACKET_READ);
			assert_false(walk.packet.is_timed);
			assert_int_equal(walk.packet.link_type, RAW); /* the first interface's */
			assert_int_equal(walk.packet.size, 4);
			assert_memory_equal(walk.packet.data, "fast", 4);
			assert_packet(&walk, &file, RAW, 1000000000, "third");
		}
		assert_int_equal(walk.offset, file.bytes.length);
		walk_clear(&walk);
		text_free(&file.bytes);
	}
}

static void assert_time(int resolution, int64_t offset, uint64_t timestamp, uint64_t expected_ns)
{
	struct file file = {0};
	struct walk walk = {0};

	put_section(&file);
	put_interface(&file, RAW, resolution, offset);
	put_packet(&file, 0, timestamp, "x");
	assert_packet(&walk, &file, RAW, expected_ns, "x");
	walk_clear(&walk);
	text_free(&file.bytes);
}

static void every_resolution_becomes_nanoseconds(void **state)
{
	(void)state;
	assert_time(-1, 0, 1764012799123456, 1764012799123456000); /* microseconds */
	assert_time(9, 0, SOME_TIME_NS, SOME_TIME_NS);
	assert_time(0, 0, 1764012799, 1764012799000000000);
	assert_time(3, 0, 1764012799123, 1764012799123000000);
	assert_time(12, 0, 1764012799123456, 1764012799123);
	assert_time(0x80, 0, 1764012799, 1764012799000000000);
	assert_time(0x80 | 10, 0, 1536, 1500000000);
	assert_time(0x80 | 32, 0, 0x180000000, 1500000000);
	assert_time(9, 100, 1, 100000000001);
	assert_time(9, -1, 1500000000, 500000000);
}

static void no_timestamp_overflows(void **state)
{
	(void)state;
	assert_time(0, 0, UINT64_MAX, UINT64_MAX);
	assert_time(0, INT64_MAX, UINT64_MAX, UINT64_MAX);
	assert_time(0, INT64_MIN, UINT64_MAX, UINT64_MAX);
	assert_time(9, INT64_MIN, UINT64_MAX, 0);
	assert_time(0x7f, 0, UINT64_MAX, 0);
	assert_time(0xff, 0, UINT64_MAX, 0);
	assert_time(0xff, 2, UINT64_MAX, 2000000000);
}

static void obsolete_packet_blocks_are_read(void **state)
{
	struct file file = {0};
	struct walk walk = {0};

	(void)state;
	put_preface(&file);
	put_packet(&file, 0, 7, "old");
	patch(&file, file.block, OBSOLETE_PACKET, 4);
	patch(&file, file.block + 10, 99, 2); /* how many were dropped */
	assert_packet(&walk, &file, RAW, 7, "old");
	walk_clear(&walk);
	text_free(&file.bytes);
}

static void other_blocks_are_skipped_whatever_their_size(void **state)
{
	static const uint8_t huge[] = {0xad, 0x0b, 0, 0, 0xfc, 0xff, 0xff, 0xff};
	struct pcapng parser = {.in_section = true};
	struct captured_packet packet;
	size_t size;

	(void)state;
	assert_int_equal(pcapng_next(&parser, huge, sizeof(huge), &size, &packet), PACKET_NONE);
	assert_int_equal(size, 0xfffffffc);
}

/* The file is bad, in its last block, for that reason; it is freed. */
static void assert_bad(struct file *file, const char *why)
{
	struct walk walk = {0};

	assert_int_equal(step_to_packet(&walk, file), PACKET_BAD);
	assert_non_null(walk.parser.why);
	assert_non_null(strstr(walk.parser.why, why));
	assert_int_equal(walk.offset, file->block);
	walk_clear(&walk);
	text_free(&file->bytes);
	*file = (struct file){0};
}

static void impossible_lengths_are_refused(void **state)
{
	static const uint32_t lengths[] = {0, 4, 11, 13, 59, UINT32_MAX};
	struct file file = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		put_preface(&file);
		put_packet(&file, 0, 7, "data");
		patch(&file, file.block + 4, lengths[i], 4);
		assert_bad(&file, "impossible length");
	}
	put_preface(&file);
	put_packet(&file, 0, 7, "data");
	patch(&file, file.block + 4, PACKET_RECORD_MAX + 4, 4);
	assert_bad(&file, "larger than 1 MiB");
	put_preface(&file);
	put_packet(&file, 0, 7, "data");
	patch(&file, file.bytes.length - 4, 12, 4);
	assert_bad(&file, "differ");
}

static void what_goes_past_its_block_is_refused(void **state)
{
	struct file file = {0};

	(void)state;
	put_preface(&file);
	put_packet(&file, 0, 7, "data");
	patch(&file, file.block + 20, 21, 4); /* it has 4, and 12 of options */
	assert_bad(&file, "goes past its block");
	put_preface(&file);
	put_packet(&file, 0, 7, "data");
	patch(&file, file.block + 20, UINT32_MAX, 4);
	assert_bad(&file, "goes past its block");
	put_preface(&file);
	put_packet(&file, 1, 7, "data");
	assert_bad(&file, "not described");
	put_section(&file);
	put_interface(&file, RAW, 9, 0);
	patch(&file, file.block + 18, 21, 2); /* of the first option: 20 bytes are left */
	assert_bad(&file, "option");
}

static void blocks_that_are_too_short_are_refused(void **state)
{
	static const uint32_t types[] = {SECTION, INTERFACE, PACKET, OBSOLETE_PACKET};
	struct file file = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		put_preface(&file);
		begin(&file, types[i]);
		put(&file, 0x1a2b3c4d, 4);
		finish(&file);
		assert_bad(&file, "too short");
	}
}

static void interfaces_are_those_of_the_section(void **state)
{
	struct file file = {0};

	(void)state;
	put_preface(&file);
	put_section(&file);
	put_packet(&file, 0, 7, "data");
	assert_bad(&file, "not described");
}

static void interfaces_have_a_limit(void **state)
{
	struct file file = {0};

	(void)state;
	put_section(&file);
	for (size_t i = 0; i <= PCAPNG_INTERFACES_MAX; i++)
		put_interface(&file, RAW, -1, 0);
	assert_bad(&file, "too many interfaces");
}

static void what_is_no_section_is_refused(void **state)
{
	struct file file = {0};

	(void)state;
	text_append(&file.bytes, "\x0a\x0d\x0d\x0a\x1c\0\0\0nope", 12);
	assert_bad(&file, "byte order");
	text_append(&file.bytes, "{\"group\":\"news\"}", 16);
	assert_bad(&file, "not a pcapng");
	put_section(&file);
	patch(&file, 12, 2, 2);
	assert_bad(&file, "version");
}

static void a_simple_packet_is_cut_at_the_snap_length_of_its_interface(void **state)
{
	struct file file = {0};
	struct walk walk = {0};

	(void)state;
	put_preface(&file);
	patch(&file, 28 + 12, 3, 4);
	begin(&file, SIMPLE_PACKET);
	put(&file, 1500, 4);
	put_padded(&file, "cut", 3);
	finish(&file);
	assert_int_equal(step_to_packet(&walk, &file), PACKET_READ);
	assert_int_equal(walk.packet.size, 3);
	walk_clear(&walk);
	text_free(&file.bytes);
}

static void a_simple_packet_without_its_interface_is_refused(void **state)
{
	struct file file = {0};

	(void)state;
	put_section(&file);
	begin(&file, SIMPLE_PACKET);
	put(&file, 0, 4);
	finish(&file);
	assert_bad(&file, "not described");
	put_preface(&file);
	begin(&file, SIMPLE_PACKET);
	put(&file, 5, 4);
	put(&file, 0, 4);
	finish(&file);
	assert_bad(&file, "past its block");
}

static void no_truncated_file_is_read_past_its_end(void **state)
{
	struct file file = {0};
	size_t length;

	(void)state;
	put_everything(&file);
	length = file.bytes.length;
	for (size_t cut = 0; cut < length; cut++) {
		struct walk walk = {0};

		file.bytes.length = cut;
		while (walk.offset < cut && step(&walk, &file) != PACKET_MORE)
			assert_int_not_equal(walk.result, PACKET_BAD);
		walk_clear(&walk);
	}
	text_free(&file.bytes);
}

/* Deterministic, of the C standard's example. */
static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void mutate(struct file *file, uint64_t *seed)
{
	static const uint8_t edges[] = {0, 1, 4, 0x7f, 0x80, 0xff};

	for (uint32_t n = next_random(seed) % 4 + 1; n; n--) {
		size_t at = next_random(seed) % file->bytes.length;

		switch (next_random(seed) % 4) {
		case 0:
			file->bytes.data[at] = (char)next_random(seed);
			break;
		case 1:
			file->bytes.data[at] = (char)edges[next_random(seed) % sizeof(edges)];
			break;
		case 2:
			file->bytes.data[at] ^= (char)(1u << next_random(seed) % 8);
			break;
		case 3:
			patch(file, at & ~(size_t)3, next_random(seed) % 200, 4);
			break;
		}
	}
}

/* Whatever the bytes are, the walk ends, and no packet lies outside of the file. */
static void walk_all(const struct file *file)
{
	struct walk walk = {0};

	while (walk.offset < file->bytes.length) {
		enum packet_result result = step(&walk, file);
		struct dissected datagram;

		if (result == PACKET_BAD || result == PACKET_MORE)
			break;
		if (result == PACKET_READ)
			dissect(&walk.packet, &datagram);
	}
	walk_clear(&walk);
}

static void mutated_files_do_no_harm(void **state)
{
	uint64_t seed = 20;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct file file = {.big_endian = i % 2};

		put_everything(&file);
		mutate(&file, &seed);
		walk_all(&file);
		text_free(&file.bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_byte_orders_and_several_sections_are_read),
		cmocka_unit_test(every_resolution_becomes_nanoseconds),
		cmocka_unit_test(no_timestamp_overflows),
		cmocka_unit_test(obsolete_packet_blocks_are_read),
		cmocka_unit_test(other_blocks_are_skipped_whatever_their_size),
		cmocka_unit_test(impossible_lengths_are_refused),
		cmocka_unit_test(what_goes_past_its_block_is_refused),
		cmocka_unit_test(blocks_that_are_too_short_are_refused),
		cmocka_unit_test(interfaces_are_those_of_the_section),
		cmocka_unit_test(interfaces_have_a_limit),
		cmocka_unit_test(what_is_no_section_is_refused),
		cmocka_unit_test(a_simple_packet_is_cut_at_the_snap_length_of_its_interface),
		cmocka_unit_test(a_simple_packet_without_its_interface_is_refused),
		cmocka_unit_test(no_truncated_file_is_read_past_its_end),
		cmocka_unit_test(mutated_files_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
