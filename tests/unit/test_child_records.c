/* Datagrams as records of a stream, and their way into a pipe. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "child/records.h"

struct fixture {
	struct records records;
	struct outcome outcome;
	struct origin *origin;
	int reading, writing;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	struct address group;
	int ends[2];

	if (!fixture || address_parse("233.252.0.1", &group) < 0 || pipe2(ends, O_NONBLOCK) < 0)
		return -1;
	fixture->origin = origin_new("news", &group, 5004, "eth0", 2);
	fixture->reading = ends[0];
	fixture->writing = ends[1];
	signal(SIGPIPE, SIG_IGN);
	*state = fixture;
	return fixture->origin ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	records_clear(&fixture->records);
	origin_unref(fixture->origin);
	closep(&fixture->reading);
	closep(&fixture->writing);
	free(fixture);
	return 0;
}

/* Fills the records with count datagrams of the same payload. Returns how many were refused. */
static unsigned fill(struct fixture *fixture, enum framing framing, unsigned count,
	const void *payload, size_t size)
{
	struct datagram datagrams[BATCH_MAX];
	struct batch batch = {.origin = fixture->origin, .count = count, .datagrams = datagrams};

	for (unsigned i = 0; i < count; i++)
		datagrams[i] = (struct datagram){.payload = payload, .size = (uint32_t)size};
	return records_fill(&fixture->records, framing, &batch);
}

static void assert_frame(struct fixture *fixture, enum framing framing, const void *payload,
	size_t size, const void *expected, size_t expected_size)
{
	assert_int_equal(fill(fixture, framing, 1, payload, size), 0);
	assert_int_equal(fixture->records.bytes.length, expected_size);
	assert_memory_equal(fixture->records.bytes.data, expected, expected_size);
	records_clear(&fixture->records);
	fixture->records = (struct records){0};
}

#define FRAME(framing, payload, expected) \
	assert_frame(*state, framing, payload, sizeof(payload) - 1, expected, sizeof(expected) - 1)

static void lines_are_escaped_and_end_in_a_line_feed(void **state)
{
	FRAME(FRAMING_LINES, "hello", "hello\n");
	FRAME(FRAMING_LINES, "", "\n");
	FRAME(FRAMING_LINES, "a\nb\r\t\\\x1b\xff\0", "a\\nb\\r\\t\\\\\\x1b\\xff\\x00\n");
}

static void length_is_in_network_byte_order(void **state)
{
	static const char zeros[300], framed[304] = {0, 0, 1, 44};

	FRAME(FRAMING_LENGTH, "a\nb\0", "\0\0\0\4a\nb\0");
	FRAME(FRAMING_LENGTH, "", "\0\0\0\0");
	assert_frame(*state, FRAMING_LENGTH, zeros, sizeof(zeros), framed, sizeof(framed));
}

static void nul_ends_a_record_and_cannot_be_in_it(void **state)
{
	struct fixture *fixture = *state;

	FRAME(FRAMING_NUL, "a\nb", "a\nb\0");
	FRAME(FRAMING_NUL, "", "\0");
	assert_int_equal(fill(fixture, FRAMING_NUL, 3, "a\0b", 3), 3);
	assert_false(records_left(&fixture->records));
}

static void raw_is_the_payload_alone(void **state)
{
	struct fixture *fixture = *state;
	char data[8];

	FRAME(FRAMING_RAW, "a\nb\r\0\xff", "a\nb\r\0\xff");
	assert_int_equal(fill(fixture, FRAMING_RAW, 2, "ab", 2), 0);
	assert_int_equal(records_write(&fixture->records, fixture->writing, &fixture->outcome), 0);
	assert_int_equal(read(fixture->reading, data, sizeof(data)), 4);
	assert_memory_equal(data, "abab", 4);
}

static void what_has_no_bytes_is_delivered_without_a_reader(void **state)
{
	struct fixture *fixture = *state;

	closep(&fixture->reading);
	fixture->reading = -1;
	assert_int_equal(fill(fixture, FRAMING_RAW, 3, "", 0), 0);
	assert_true(records_left(&fixture->records));
	assert_int_equal(records_write(&fixture->records, fixture->writing, &fixture->outcome), 0);
	assert_int_equal(fixture->outcome.delivered, 3);
	assert_false(records_left(&fixture->records));
}

static void json_is_an_object_and_a_line_feed(void **state)
{
	struct fixture *fixture = *state;
	const char *string;

	assert_int_equal(fill(fixture, FRAMING_JSON, 1, "a\nb", 3), 0);
	string = text_string(&fixture->records.bytes);
	assert_memory_equal(string, "{\"group\":\"news\"", 15);
	assert_non_null(strstr(string, "\"text\":\"a\\nb\"}\n"));
	assert_string_equal(strchr(string, '\n'), "\n");
}

static void what_is_written_is_delivered(void **state)
{
	struct fixture *fixture = *state;
	char data[64];

	fill(fixture, FRAMING_LINES, 3, "one", 3);
	assert_true(records_left(&fixture->records));
	assert_int_equal(records_write(&fixture->records, fixture->writing, &fixture->outcome), 0);
	assert_int_equal(fixture->outcome.delivered, 3);
	assert_false(records_left(&fixture->records));
	assert_int_equal(read(fixture->reading, data, sizeof(data)), 12);
	assert_memory_equal(data, "one\none\none\n", 12);
	fill(fixture, FRAMING_LINES, 1, "two", 3);
	assert_int_equal(records_write(&fixture->records, fixture->writing, &fixture->outcome), 0);
	assert_int_equal(read(fixture->reading, data, sizeof(data)), 4);
	assert_memory_equal(data, "two\n", 4);
}

/* Reads count bytes, as the framing by length has them of zeros. */
static void drain(int fd, size_t count)
{
	char data[4096];

	while (count) {
		ssize_t n = read(fd, data, count < sizeof(data) ? count : sizeof(data));

		assert_true(n > 0);
		count -= (size_t)n;
	}
}

static void what_a_full_pipe_does_not_take_is_written_later(void **state)
{
	static const char zeros[30000];
	struct fixture *fixture = *state;

	fill(fixture, FRAMING_LENGTH, 4, zeros, sizeof(zeros));
	assert_int_equal(
		records_write(&fixture->records, fixture->writing, &fixture->outcome), -EAGAIN);
	assert_int_equal(fixture->outcome.delivered, 2);
	assert_true(records_left(&fixture->records));
	drain(fixture->reading, fixture->records.written);
	assert_int_equal(records_write(&fixture->records, fixture->writing, &fixture->outcome), 0);
	assert_int_equal(fixture->outcome.delivered, 4);
	assert_int_equal(outcome_total(&fixture->outcome), 4);
}

static void a_torn_record_is_dropped_and_the_next_one_begins_whole(void **state)
{
	static const char zeros[30000];
	struct fixture *fixture = *state;
	uint32_t length;

	fill(fixture, FRAMING_LENGTH, 4, zeros, sizeof(zeros));
	assert_int_equal(
		records_write(&fixture->records, fixture->writing, &fixture->outcome), -EAGAIN);
	drain(fixture->reading, fixture->records.written);
	records_drop_torn(&fixture->records, &fixture->outcome);
	assert_int_equal(fixture->outcome.dropped[DROP_IO], 1);
	records_drop_torn(&fixture->records, &fixture->outcome);
	assert_int_equal(fixture->outcome.dropped[DROP_IO], 1);
	assert_int_equal(records_write(&fixture->records, fixture->writing, &fixture->outcome), 0);
	assert_int_equal(read(fixture->reading, &length, sizeof(length)), sizeof(length));
	assert_memory_equal(&length, "\0\0\x75\x30", 4);
	drain(fixture->reading, sizeof(zeros));
	assert_int_equal(read(fixture->reading, &length, sizeof(length)), -1);
	assert_int_equal(fixture->outcome.delivered, 3);
	assert_int_equal(outcome_total(&fixture->outcome), 4);
}

static void the_last_record_may_be_the_torn_one(void **state)
{
	static const char zeros[60000];
	struct fixture *fixture = *state;

	fill(fixture, FRAMING_LENGTH, 2, zeros, sizeof(zeros));
	assert_int_equal(
		records_write(&fixture->records, fixture->writing, &fixture->outcome), -EAGAIN);
	records_drop_torn(&fixture->records, &fixture->outcome);
	assert_false(records_left(&fixture->records));
	assert_int_equal(fixture->outcome.delivered, 1);
	assert_int_equal(fixture->outcome.dropped[DROP_IO], 1);
	assert_int_equal(fill(fixture, FRAMING_LENGTH, 1, "x", 1), 0);
	assert_int_equal(fixture->records.bytes.length, 5);
}

static void each_record_can_be_a_message(void **state)
{
	struct fixture *fixture = *state;
	char data[8];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	fill(fixture, FRAMING_RAW, 2, "", 0);
	assert_int_equal(records_send(&fixture->records, ends[0], &fixture->outcome), 0);
	fill(fixture, FRAMING_RAW, 2, "abc", 3);
	assert_int_equal(records_send(&fixture->records, ends[0], &fixture->outcome), 0);
	assert_int_equal(fixture->outcome.delivered, 4);
	assert_false(records_left(&fixture->records));
	for (int i = 0; i < 4; i++)
		assert_int_equal(read(ends[1], data, sizeof(data)), i < 2 ? 0 : 3);
	assert_int_equal(read(ends[1], data, sizeof(data)), -1);
	close(ends[0]);
	close(ends[1]);
}

static void a_message_that_has_no_room_is_sent_later_and_never_torn(void **state)
{
	static const char zeros[60000];
	struct fixture *fixture = *state;
	char data[sizeof(zeros)];
	unsigned sent;
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	fill(fixture, FRAMING_RAW, BATCH_MAX, zeros, sizeof(zeros));
	assert_int_equal(records_send(&fixture->records, ends[0], &fixture->outcome), -EAGAIN);
	sent = (unsigned)fixture->outcome.delivered;
	assert_true(sent > 0 && sent < BATCH_MAX);
	records_drop_torn(&fixture->records, &fixture->outcome);
	assert_int_equal(outcome_total(&fixture->outcome), sent);
	while (records_left(&fixture->records)) {
		assert_int_equal(read(ends[1], data, sizeof(data)), sizeof(data));
		records_send(&fixture->records, ends[0], &fixture->outcome);
	}
	assert_int_equal(fixture->outcome.delivered, BATCH_MAX);
	close(ends[0]);
	close(ends[1]);
}

static void the_first_that_is_left_can_be_dropped_and_so_can_all(void **state)
{
	struct fixture *fixture = *state;

	fill(fixture, FRAMING_RAW, 5, "abc", 3);
	records_drop_first(&fixture->records, DROP_SIZE, &fixture->outcome);
	assert_int_equal(fixture->outcome.dropped[DROP_SIZE], 1);
	assert_true(records_left(&fixture->records));
	records_drop_all(&fixture->records, DROP_ABSENT, &fixture->outcome);
	assert_int_equal(fixture->outcome.dropped[DROP_ABSENT], 4);
	assert_false(records_left(&fixture->records));
	assert_int_equal(fill(fixture, FRAMING_RAW, 1, "abc", 3), 0);
	assert_int_equal(fixture->records.bytes.length, 3);
}

static void nothing_is_torn_between_records(void **state)
{
	struct fixture *fixture = *state;

	fill(fixture, FRAMING_LINES, 2, "x", 1);
	closep(&fixture->reading);
	fixture->reading = -1;
	assert_int_equal(
		records_write(&fixture->records, fixture->writing, &fixture->outcome), -EPIPE);
	records_drop_torn(&fixture->records, &fixture->outcome);
	assert_int_equal(outcome_total(&fixture->outcome), 0);
	assert_true(records_left(&fixture->records));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lines_are_escaped_and_end_in_a_line_feed),
		TEST(length_is_in_network_byte_order),
		TEST(nul_ends_a_record_and_cannot_be_in_it),
		TEST(raw_is_the_payload_alone),
		TEST(what_has_no_bytes_is_delivered_without_a_reader),
		TEST(json_is_an_object_and_a_line_feed),
		TEST(what_is_written_is_delivered),
		TEST(what_a_full_pipe_does_not_take_is_written_later),
		TEST(a_torn_record_is_dropped_and_the_next_one_begins_whole),
		TEST(the_last_record_may_be_the_torn_one),
		TEST(nothing_is_torn_between_records),
		TEST(each_record_can_be_a_message),
		TEST(a_message_that_has_no_room_is_sent_later_and_never_torn),
		TEST(the_first_that_is_left_can_be_dropped_and_so_can_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
