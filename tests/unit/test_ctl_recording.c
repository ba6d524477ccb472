/* A pcapng file as it is read: blocks across the ends of the buffer, and what is skipped. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/text.h"
#include "ctl/recording.h"

#define CUSTOM 0x0badu

/* In the byte order of the machine. */
static void put32(struct text *file, uint32_t value)
{
	text_append(file, &value, sizeof(value));
}

static void put_preface(struct text *file)
{
	static const uint32_t section[] = {
		0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28};
	static const uint32_t interface[] = {1, 20, 101, 0, 20};

	text_append(file, section, sizeof(section));
	text_append(file, interface, sizeof(interface));
}

/* Without options. The size is a multiple of 4. */
static void put_packet(struct text *file, uint32_t microseconds, const void *data, uint32_t size)
{
	const uint32_t block_size = size + 32;

	put32(file, 6);
	put32(file, block_size);
	put32(file, 0);
	put32(file, 0);
	put32(file, microseconds);
	put32(file, size);
	put32(file, size);
	text_append(file, data, size);
	put32(file, block_size);
}

/* A datagram of one number. */
static void put_number(struct text *file, uint32_t number)
{
	uint8_t packet[32] = {0x45, 0, 0, 32, 0, 0, 0, 0, 1, 17, [20] = 1, 2, 3, 4, 0, 12};

	memcpy(packet + 28, &number, sizeof(number));
	put_packet(file, number, packet, sizeof(packet));
}

static void put_large_block(struct text *file, uint32_t size)
{
	put32(file, CUSTOM);
	put32(file, size);
	memset(text_reserve(file, size - 12), 'x', size - 12);
	file->length += size - 12;
	put32(file, size);
}

/* The file is freed, its bytes live on in the recording. Returns a descriptor for writing more. */
static int open_writable(struct recording *recording, struct text *file)
{
	char path[64];
	int fd = memfd_create("recording", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->data, file->length), file->length);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(recording_open(recording, path), 0);
	text_free(file);
	return fd;
}

static void open_recording(struct recording *recording, struct text *file)
{
	close(open_writable(recording, file));
}

/* As recording_next(), with the reading. */
static int next(struct recording *recording, struct recorded *ret)
{
	int r;

	while ((r = recording_next(recording, ret)) == -EAGAIN)
		assert_int_equal(recording_fill(recording), 0);
	return r;
}

static void assert_number(struct recording *recording, uint32_t expected)
{
	struct recorded recorded;
	uint32_t number;

	assert_int_equal(next(recording, &recorded), 1);
	assert_int_equal(recorded.timestamp_ns, (uint64_t)expected * 1000);
	assert_int_equal(recorded.datagram.size, sizeof(number));
	memcpy(&number, recorded.datagram.data, sizeof(number));
	assert_int_equal(number, expected);
}

/* Blocks of 64 bytes after a preface of 48 lie across every end of the buffer. */
static void all_of_a_large_file_is_read_and_again(void **state)
{
	enum { COUNT = 100000 };
	struct recording recording;
	struct recorded recorded;
	struct text file = {0};

	(void)state;
	put_preface(&file);
	for (uint32_t i = 0; i < COUNT; i++)
		put_number(&file, i);
	open_recording(&recording, &file);
	for (int pass = 0; pass < 2; pass++) {
		for (uint32_t i = 0; i < COUNT; i++)
			assert_number(&recording, i);
		assert_int_equal(next(&recording, &recorded), 0);
		assert_int_equal(recording_rewind(&recording), 0);
	}
	recording_clear(&recording);
}

static void blocks_of_any_size_are_skipped(void **state)
{
	struct recording recording;
	struct recorded recorded;
	struct text file = {0};

	(void)state;
	put_preface(&file);
	put_number(&file, 1);
	put_large_block(&file, 5 * PACKET_RECORD_MAX);
	put_number(&file, 2);
	put_large_block(&file, 12);
	open_recording(&recording, &file);
	assert_number(&recording, 1);
	assert_number(&recording, 2);
	assert_int_equal(next(&recording, &recorded), 0);
	recording_clear(&recording);
}

/* The largest block that is parsed, at any place of the buffer. */
static void the_largest_packets_are_read(void **state)
{
	static uint8_t packet[PACKET_RECORD_MAX - 32] = {
		0x45, 0, 0, 32, 0, 0, 0, 0, 1, 17, [20] = 1, 2, 3, 4, 0, 12};
	struct recording recording;
	struct recorded recorded;
	struct text file = {0};

	(void)state;
	put_preface(&file);
	for (uint32_t i = 0; i < 5; i++) {
		put_packet(&file, i, packet, sizeof(packet));
		put_number(&file, i);
	}
	open_recording(&recording, &file);
	for (uint32_t i = 0; i < 5; i++) {
		assert_int_equal(next(&recording, &recorded), 1);
		assert_int_equal(recorded.timestamp_ns, i * 1000);
		assert_number(&recording, i);
	}
	assert_int_equal(next(&recording, &recorded), 0);
	recording_clear(&recording);
}

static void what_is_no_datagram_is_counted(void **state)
{
	static const uint8_t tcp[20] = {0x45, 0, 0, 20, 0, 0, 0, 0, 1, 6};
	static const uint8_t fragment[28] = {0x45, 0, 0, 28, 0, 0, 0x20, 0, 1, 17};
	static const uint8_t broken[20] = {0x40, 0, 0, 20, 0, 0, 0, 0, 1, 17};
	struct recording recording;
	struct recorded recorded;
	struct text file = {0};

	(void)state;
	put_preface(&file);
	put_packet(&file, 0, tcp, sizeof(tcp));
	put_packet(&file, 0, fragment, sizeof(fragment));
	put_packet(&file, 0, fragment, sizeof(fragment));
	put_packet(&file, 0, broken, sizeof(broken));
	put_packet(&file, 0, tcp, 8);
	open_recording(&recording, &file);
	assert_int_equal(next(&recording, &recorded), 0);
	assert_int_equal(recording.skipped[DISSECT_NOT_UDP], 1);
	assert_int_equal(recording.skipped[DISSECT_FRAGMENT], 1); /* of one datagram */
	assert_int_equal(recording.skipped[DISSECT_BROKEN], 1);
	assert_int_equal(recording.skipped[DISSECT_CUT], 1);
	assert_int_equal(recording.skipped[DISSECT_LINK], 0);
	recording_clear(&recording);
}

static void assert_cut(struct text *file, size_t length)
{
	struct recording recording;
	struct recorded recorded;

	file->length = length;
	open_recording(&recording, file);
	assert_number(&recording, 1);
	assert_int_equal(next(&recording, &recorded), -EBADMSG);
	assert_non_null(strstr(recording.why, "cut short"));
	recording_clear(&recording);
}

static void a_torn_end_is_an_error_after_the_whole_blocks(void **state)
{
	struct text file = {0};

	(void)state;
	for (size_t cut = 1; cut < 64; cut++) {
		put_preface(&file);
		put_number(&file, 1);
		put_number(&file, 2);
		assert_cut(&file, file.length - cut);
	}
	put_preface(&file);
	put_number(&file, 1);
	put_large_block(&file, 3 * PACKET_RECORD_MAX);
	assert_cut(&file, file.length - 1);
}

/* Later additions do not belong to this recording. */
static void a_file_that_grows_has_an_end(void **state)
{
	struct recording recording;
	struct recorded recorded;
	struct text file = {0}, more = {0};
	int fd;

	(void)state;
	put_preface(&file);
	put_number(&file, 1);
	put_number(&more, 2);
	fd = open_writable(&recording, &file);
	assert_int_equal(write(fd, more.data, more.length), more.length);
	close(fd);
	for (int pass = 0; pass < 2; pass++) {
		assert_number(&recording, 1);
		assert_int_equal(next(&recording, &recorded), 0);
		assert_int_equal(recording_rewind(&recording), 0);
	}
	recording_clear(&recording);
	text_free(&more);
}

static void malformed_blocks_are_named_by_their_place(void **state)
{
	struct recording recording;
	struct recorded recorded;
	struct text file = {0};

	(void)state;
	put_preface(&file);
	put_number(&file, 1);
	put_large_block(&file, 2 * PACKET_RECORD_MAX);
	put32(&file, 6);
	put32(&file, 3);
	open_recording(&recording, &file);
	assert_number(&recording, 1);
	assert_int_equal(next(&recording, &recorded), -EBADMSG);
	assert_int_equal(recording.offset, 48 + 64 + 2 * PACKET_RECORD_MAX);
	recording_clear(&recording);
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
	struct recording recording;

	(void)state;
	assert_int_equal(recording_open(&recording, "/nonexistent/file"), -ENOENT);
	recording_clear(&recording);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_a_large_file_is_read_and_again),
		cmocka_unit_test(blocks_of_any_size_are_skipped),
		cmocka_unit_test(the_largest_packets_are_read),
		cmocka_unit_test(what_is_no_datagram_is_counted),
		cmocka_unit_test(a_torn_end_is_an_error_after_the_whole_blocks),
		cmocka_unit_test(a_file_that_grows_has_an_end),
		cmocka_unit_test(malformed_blocks_are_named_by_their_place),
		cmocka_unit_test(a_file_that_is_not_there_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
