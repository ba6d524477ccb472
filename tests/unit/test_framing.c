/* The framing of the control socket. Every case is also fed one byte at a time: where the kernel
 * cuts the stream must not matter. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "control/framing.h"

#define TOO_LARGE "(too large)"

/* Reads a stream that arrives in pieces, as a connection does: takes off the front what is consumed
 * and keeps the rest. What comes out is written as MESSAGE and '|' for NUL or '/' for LF. */
static void feed(struct framing *framing, struct text *buffer, bool end, struct text *seen)
{
	for (;;) {
		struct frame frame;
		enum frame_result result = (end ? framing_end : framing_next)(
			framing, buffer->data, buffer->length, &frame);

		assert_true(frame.consumed <= buffer->length);
		if (result == FRAME_MESSAGE)
			text_append(seen, frame.message, frame.length);
		else if (result == FRAME_TOO_LARGE)
			text_append_string(seen, TOO_LARGE);
		if (result != FRAME_INCOMPLETE)
			text_append_string(seen, frame.terminator ? "/" : "|");
		memmove(buffer->data, buffer->data + frame.consumed,
			buffer->length - frame.consumed);
		buffer->length -= frame.consumed;
		if (result == FRAME_INCOMPLETE)
			return;
	}
}

static void assert_frames_in_pieces(
	const char *stream, size_t size, size_t piece, bool end, const char *expected)
{
	struct framing framing = {0};
	struct text buffer = {0}, seen = {0};

	for (size_t at = 0; at < size; at += piece) {
		text_append(&buffer, stream + at, size - at < piece ? size - at : piece);
		feed(&framing, &buffer, false, &seen);
	}
	if (end) {
		text_reserve(&buffer, 1);
		feed(&framing, &buffer, true, &seen);
		assert_int_equal(buffer.length, 0);
	}
	assert_string_equal(text_string(&seen), expected);
	text_free(&buffer);
	text_free(&seen);
}

#define assert_frames(stream, expected) check_frames(stream, sizeof(stream) - 1, false, expected)
#define assert_frames_at_end(stream, expected) \
	check_frames(stream, sizeof(stream) - 1, true, expected)

static void check_frames(const char *stream, size_t size, bool end, const char *expected)
{
	for (size_t piece = 1; piece <= size; piece++)
		assert_frames_in_pieces(stream, size, piece, end, expected);
}

static void nul_ends_a_message(void **state)
{
	(void)state;
	assert_frames("{\"a\":1}\0{}\0", "{\"a\":1}|{}|");
}

static void lf_ends_a_message(void **state)
{
	(void)state;
	assert_frames("{\"a\":1}\n{}\n", "{\"a\":1}/{}/");
}

static void both_terminators_may_alternate(void **state)
{
	(void)state;
	assert_frames("{}\0{}\n{}\0{}\n", "{}|{}/{}|{}/");
}

static void unfinished_messages_wait(void **state)
{
	(void)state;
	assert_frames("{}\0{\"a\":", "{}|");
	assert_frames("[]\n[1", "[]/");
}

static void lf_inside_an_open_value_belongs_to_it(void **state)
{
	(void)state;
	assert_frames("{\n  \"a\": [\n1]\n}\0", "{\n  \"a\": [\n1]\n}|");
	assert_frames("{\n}\n", "{\n}/");
}

static void lf_inside_a_string_belongs_to_it(void **state)
{
	(void)state;
	assert_frames("\"a\nb\"\0", "\"a\nb\"|");
}

static void brackets_and_quotes_inside_strings_do_not_count(void **state)
{
	(void)state;
	assert_frames("{\"a\":\"}{[\"}\n{}\n", "{\"a\":\"}{[\"}/{}/");
	assert_frames("{\"a\":\"\\\"{\"}\n{}\n", "{\"a\":\"\\\"{\"}/{}/");
	assert_frames("{\"a\":\"\\\\\"}\n{}\n", "{\"a\":\"\\\\\"}/{}/");
}

static void empty_lines_are_nothing(void **state)
{
	(void)state;
	assert_frames("\n\r\n  \t\n{}\n\n\n{}\n", "{}/{}/");
	assert_frames_at_end("{}\n\n \n", "{}/");
}

static void an_empty_line_does_not_choose_the_framing(void **state)
{
	(void)state;
	assert_frames("\n{\n}\0", "{\n}|");
}

static void one_malformed_line_does_not_swallow_the_next(void **state)
{
	(void)state;
	assert_frames("{}\n{\"open\n{}\n", "{}/{\"open/{}/");
	assert_frames("nonsense\n{}\n", "nonsense/{}/");
	assert_frames("}}}\n{}\n", "}}}/{}/");
}

static void nul_ends_a_malformed_message_too(void **state)
{
	(void)state;
	assert_frames("{\"open\0{}\0", "{\"open|{}|");
}

static void the_end_of_the_stream_ends_a_message(void **state)
{
	(void)state;
	assert_frames_at_end("{}", "{}/");
	assert_frames_at_end("{}\n{\"a\":", "{}/{\"a\":/");
	assert_frames_at_end("{}\0{}", "{}|{}/");
	assert_frames_at_end("", "");
	assert_frames_at_end("{}\0", "{}|");
}

/* A stream with one message of size bytes between two small ones. */
static struct text large_stream(size_t size, char terminator)
{
	struct text stream = {0};
	char *room;

	text_append(&stream, "{}", 2);
	text_append(&stream, &terminator, 1);
	room = text_reserve(&stream, size);
	memset(room, 'x', size);
	room[0] = room[size - 1] = '"';
	stream.length += size;
	text_append(&stream, &terminator, 1);
	text_append(&stream, "[]", 2);
	text_append(&stream, &terminator, 1);
	return stream;
}

static void assert_large(size_t size, char terminator, size_t piece, const char *expected)
{
	struct text stream = large_stream(size, terminator);

	assert_frames_in_pieces(stream.data, stream.length, piece, false, expected);
	text_free(&stream);
}

static void a_message_over_the_limit_is_passed_over(void **state)
{
	static const size_t pieces[] = {1, 1000, 4096, 1 << 20};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		assert_large(MESSAGE_MAX + 1, '\0', pieces[i], "{}|" TOO_LARGE "|[]|");
		assert_large(MESSAGE_MAX + 1, '\n', pieces[i], "{}/" TOO_LARGE "/[]/");
		assert_large(MESSAGE_MAX * 3, '\0', pieces[i], "{}|" TOO_LARGE "|[]|");
		assert_large(MESSAGE_MAX * 3, '\n', pieces[i], "{}/" TOO_LARGE "/[]/");
	}
}

static void a_message_of_the_limit_comes_through(void **state)
{
	struct text stream = large_stream(MESSAGE_MAX, '\0');
	struct framing framing = {0};
	struct frame frame;

	(void)state;
	assert_int_equal(framing_next(&framing, stream.data, stream.length, &frame), FRAME_MESSAGE);
	assert_int_equal(
		framing_next(&framing, stream.data + 3, stream.length - 3, &frame), FRAME_MESSAGE);
	assert_int_equal(frame.length, MESSAGE_MAX);
	assert_int_equal(frame.consumed, MESSAGE_MAX + 1);
	text_free(&stream);
}

static void an_endless_message_takes_no_endless_memory(void **state)
{
	struct text buffer = {0}, seen = {0};
	struct framing framing = {0};
	char piece[4096];

	(void)state;
	memset(piece, '[', sizeof(piece));
	for (unsigned i = 0; i < 1000; i++) {
		text_append(&buffer, piece, sizeof(piece));
		feed(&framing, &buffer, false, &seen);
		assert_true(buffer.length <= MESSAGE_MAX + sizeof(piece));
	}
	assert_int_equal(seen.length, 0);
	feed(&framing, &buffer, true, &seen);
	assert_string_equal(text_string(&seen), TOO_LARGE "/");
	text_free(&buffer);
	text_free(&seen);
}

static void incomplete_input_is_not_scanned_again(void **state)
{
	struct framing framing = {0};
	struct frame frame;
	char data[] = "{\"a\":1";

	(void)state;
	assert_int_equal(framing_next(&framing, data, 6, &frame), FRAME_INCOMPLETE);
	assert_int_equal(frame.consumed, 0);
	assert_int_equal(framing.scanned, 6);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(nul_ends_a_message),
		cmocka_unit_test(lf_ends_a_message),
		cmocka_unit_test(both_terminators_may_alternate),
		cmocka_unit_test(unfinished_messages_wait),
		cmocka_unit_test(lf_inside_an_open_value_belongs_to_it),
		cmocka_unit_test(lf_inside_a_string_belongs_to_it),
		cmocka_unit_test(brackets_and_quotes_inside_strings_do_not_count),
		cmocka_unit_test(empty_lines_are_nothing),
		cmocka_unit_test(an_empty_line_does_not_choose_the_framing),
		cmocka_unit_test(one_malformed_line_does_not_swallow_the_next),
		cmocka_unit_test(nul_ends_a_malformed_message_too),
		cmocka_unit_test(the_end_of_the_stream_ends_a_message),
		cmocka_unit_test(a_message_over_the_limit_is_passed_over),
		cmocka_unit_test(a_message_of_the_limit_comes_through),
		cmocka_unit_test(an_endless_message_takes_no_endless_memory),
		cmocka_unit_test(incomplete_input_is_not_scanned_again),
	};

	return cmocka_run_group_tests_name("framing", tests, NULL, NULL);
}
