/* Classic pcap files, and which files are captures. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/cleanup.h"
#include "base/text.h"
#include "formats/capture.h"

#define MICROSECONDS 0xa1b2c3d4
#define NANOSECONDS 0xa1b23c4d
#define MODIFIED 0xa1b2cd34

static void put(struct text *file, bool big_endian, uint64_t value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		text_append(file,
			&(uint8_t){(uint8_t)(value >> 8 * (big_endian ? size - 1 - i : i))}, 1);
}

static void put_header(struct text *file, bool big_endian, uint32_t magic, uint32_t link_type)
{
	put(file, big_endian, magic, 4);
	put(file, big_endian, 2, 2);
	put(file, big_endian, 4, 2);
	put(file, big_endian, 0, 4);
	put(file, big_endian, 0, 4);
	put(file, big_endian, 96, 4);
	put(file, big_endian, link_type, 4);
}

static void put_packet(struct text *file, bool big_endian, bool is_modified, uint32_t seconds,
	uint32_t ticks, const char *data)
{
	put(file, big_endian, seconds, 4);
	put(file, big_endian, ticks, 4);
	put(file, big_endian, (uint32_t)strlen(data), 4);
	put(file, big_endian, 1500, 4);
	if (is_modified)
		put(file, big_endian, 0x01020304, 8);
	text_append(file, data, strlen(data));
}

struct walk {
	struct capture capture;
	size_t offset;
	struct captured_packet packet;
	uint8_t *copy; /* what packet.data points into */
};

/* The next record. The parser gets no more than it asks for, in memory of that size. */
static enum packet_result step(struct walk *walk, const struct text *file)
{
	enum packet_result result;
	size_t given = 0, size = 0;

	do {
		free(walk->copy);
		walk->copy = malloc(given ? given : 1);
		if (given)
			memcpy(walk->copy, file->data + walk->offset, given);
		result = capture_next(&walk->capture, walk->copy, given, &size, &walk->packet);
		if (result != PACKET_MORE)
			break;
		assert_true(size > given && size <= PACKET_RECORD_MAX);
		given = size;
	} while (given <= file->length - walk->offset);
	if (result == PACKET_READ || result == PACKET_NONE)
		walk->offset += size;
	return result;
}

static void walk_clear(struct walk *walk)
{
	capture_clear(&walk->capture);
	free(walk->copy);
	*walk = (struct walk){0};
}

static void assert_packet(
	struct walk *walk, const struct text *file, uint64_t timestamp_ns, const char *data)
{
	assert_int_equal(step(walk, file), PACKET_READ);
	assert_true(walk->packet.is_timed);
	assert_int_equal(walk->packet.link_type, 113);
	assert_int_equal(walk->packet.timestamp_ns, timestamp_ns);
	assert_int_equal(walk->packet.size, strlen(data));
	assert_memory_equal(walk->packet.data, data, strlen(data));
}

static void every_form_is_read_in_both_byte_orders(void **state)
{
	static const struct {
		uint32_t magic, tick_ns;
	} forms[] = {{MICROSECONDS, 1000}, {NANOSECONDS, 1}, {MODIFIED, 1000}};

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(forms); i++) {
		bool big_endian = i % 2, is_modified = forms[i / 2].magic == MODIFIED;
		struct text file = {0};
		struct walk walk = {0};

		/* Four bytes of Ethernet's checksum, which is no part of the link type. */
		put_header(&file, big_endian, forms[i / 2].magic, 0x44000000 | 113);
		put_packet(&file, big_endian, is_modified, 1764012799, 123456, "first");
		put_packet(&file, big_endian, is_modified, UINT32_MAX, 0, "");
		put_packet(&file, big_endian, is_modified, 0, 999999, "third");
		assert_int_equal(step(&walk, &file), PACKET_NONE);
		assert_packet(&walk, &file, 1764012799000000000 + 123456ull * forms[i / 2].tick_ns,
			"first");
		assert_packet(&walk, &file, UINT32_MAX * 1000000000ull, "");
		assert_packet(&walk, &file, 999999ull * forms[i / 2].tick_ns, "third");
		assert_int_equal(walk.offset, file.length);
		assert_null(capture_end(&walk.capture, walk.copy, 0));
		walk_clear(&walk);
		text_free(&file);
	}
}

static void a_file_that_ends_in_a_record_is_cut_short(void **state)
{
	struct text file = {0};
	size_t length;

	(void)state;
	put_header(&file, false, MICROSECONDS, 113);
	put_packet(&file, false, false, 1, 0, "first");
	length = file.length;
	for (file.length--; file.length > 4; file.length--) {
		struct walk walk = {0};

		while (step(&walk, &file) != PACKET_MORE)
			assert_true(walk.offset < length);
		if (walk.offset < file.length)
			assert_non_null(strstr(
				capture_end(&walk.capture, (uint8_t *)file.data + walk.offset,
					file.length - walk.offset),
				"cut short"));
		walk_clear(&walk);
	}
	text_free(&file);
}

/* As 'zcat day.pcap0.gz day.pcap1.gz' gives them. */
static void one_file_after_the_other_is_read(void **state)
{
	static const struct {
		uint32_t magic, tick_ns;
		bool big_endian;
	} files[] = {{MICROSECONDS, 1000, false}, {MICROSECONDS, 1000, false},
		{NANOSECONDS, 1, true}, {MODIFIED, 1000, true}, {NANOSECONDS, 1, false}};
	struct text file = {0};
	struct walk walk = {0};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(files); i++) {
		put_header(&file, files[i].big_endian, files[i].magic, 113);
		put_packet(&file, files[i].big_endian, files[i].magic == MODIFIED, i, 5, "packet");
	}
	for (uint32_t i = 0; i < ARRAY_SIZE(files); i++) {
		assert_int_equal(step(&walk, &file), PACKET_NONE);
		assert_packet(&walk, &file, i * 1000000000ull + 5 * files[i].tick_ns, "packet");
	}
	assert_int_equal(walk.offset, file.length);
	walk_clear(&walk);
	text_free(&file);
}

static void the_next_file_may_have_another_link_type(void **state)
{
	struct text file = {0};
	struct walk walk = {0};

	(void)state;
	put_header(&file, false, MICROSECONDS, 1);
	put_header(&file, false, MICROSECONDS, 113);
	put_packet(&file, false, false, 1, 0, "packet");
	assert_int_equal(step(&walk, &file), PACKET_NONE);
	assert_int_equal(step(&walk, &file), PACKET_NONE);
	assert_packet(&walk, &file, 1000000000, "packet");
	walk_clear(&walk);
	text_free(&file);
}

static void put_section(struct text *file)
{
	static const uint32_t words[] = {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28,
		1, 20, 113, 0, 20, 3, 20, 4, 0x68736966, 20};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		put(file, false, words[i], 4);
}

static void a_file_of_the_other_format_may_follow(void **state)
{
	struct text file = {0};
	struct walk walk = {0};
	size_t packets = 0;

	(void)state;
	for (int i = 0; i < 2; i++) {
		put_section(&file);
		put_header(&file, i, MICROSECONDS, 113);
		put_packet(&file, i, false, 1, 0, "fish");
	}
	while (walk.offset < file.length) {
		enum packet_result result = step(&walk, &file);

		assert_true(result == PACKET_NONE || result == PACKET_READ);
		if (result == PACKET_READ)
			assert_memory_equal(walk.packet.data, "fish", 4);
		packets += result == PACKET_READ;
	}
	assert_int_equal(packets, 4);
	walk_clear(&walk);
	text_free(&file);
}

/* In the year 2055, with other lengths than a header would have. */
static void a_packet_whose_time_is_a_magic_number_is_a_packet(void **state)
{
	struct text file = {0};
	struct walk walk = {0};

	(void)state;
	put_header(&file, false, MICROSECONDS, 113);
	put_packet(&file, false, false, MICROSECONDS, 0x40002, "packet");
	assert_int_equal(step(&walk, &file), PACKET_NONE);
	assert_packet(&walk, &file, MICROSECONDS * 1000000000ull + 0x40002 * 1000, "packet");
	walk_clear(&walk);
	text_free(&file);
}

/* The file, which is freed, is refused for this reason. */
static void assert_bad(struct text *file, const char *why)
{
	struct walk walk = {0};
	enum packet_result result;

	while ((result = step(&walk, file)) == PACKET_NONE || result == PACKET_READ)
		;
	assert_int_equal(result, PACKET_BAD);
	assert_non_null(strstr(walk.capture.why, why));
	walk_clear(&walk);
	text_free(file);
}

static void what_is_malformed_is_refused(void **state)
{
	struct text file = {0};

	(void)state;
	put_header(&file, true, NANOSECONDS, 1);
	file.data[5] = 3;
	assert_bad(&file, "version");
	put_header(&file, false, MICROSECONDS, 1);
	put(&file, false, 0, 8);
	put(&file, false, PACKET_RECORD_MAX, 4);
	put(&file, false, 0, 4);
	assert_bad(&file, "larger than 1 MiB");
	put_header(&file, false, MICROSECONDS, 1);
	put_packet(&file, false, false, 1, 0, "packet");
	for (int i = 0; i < 100; i++)
		put(&file, false, 0, 8);
	assert_bad(&file, "zeros");
}

static void assert_other(const char *data, size_t size, const char *why)
{
	struct text file = {0};

	text_append(&file, data, size);
	assert_bad(&file, why);
}

static void other_files_are_told_apart(void **state)
{
	struct capture capture = {0};

	(void)state;
	assert_other("\x1f\x8b\x08\0\0\0\0\0", 8, "zcat");
	assert_other("\x28\xb5\x2f\xfd\0\0\0\0", 8, "zstdcat");
	assert_other("{\"group\":\"news\"}", 16, "neither a pcap nor a pcapng");
	assert_non_null(strstr(capture_end(&capture, (const uint8_t *)"", 0), "empty"));
	assert_non_null(strstr(capture_end(&capture, (const uint8_t *)"no", 2), "neither"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_form_is_read_in_both_byte_orders),
		cmocka_unit_test(a_file_that_ends_in_a_record_is_cut_short),
		cmocka_unit_test(one_file_after_the_other_is_read),
		cmocka_unit_test(the_next_file_may_have_another_link_type),
		cmocka_unit_test(a_file_of_the_other_format_may_follow),
		cmocka_unit_test(a_packet_whose_time_is_a_magic_number_is_a_packet),
		cmocka_unit_test(what_is_malformed_is_refused),
		cmocka_unit_test(other_files_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
