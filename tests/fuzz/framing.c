/* Messages are the same in whatever pieces their bytes arrive; and a Send that is read without a
 * JSON tree means what jansson reads. */
#include <jansson.h>

#include "base/text.h"
#include "control/framing.h"
#include "control/quick_send.h"
#include "fuzz.h"

/* Bytes that are left between calls, as a client has them. */
struct stream {
	struct framing framing;
	struct text unread, messages;
};

typedef enum frame_result next_frame(
	struct framing *framing, const char *data, size_t size, struct frame *ret);

/* Appends all messages that are there, each with its result and terminator. */
static void take_frames(struct stream *stream, next_frame *next)
{
	struct text *unread = &stream->unread;
	enum frame_result result;

	do {
		const char *bytes = unread->data ? unread->data : "";
		struct frame frame;

		result = next(&stream->framing, bytes, unread->length, &frame);
		CHECK(frame.consumed <= unread->length);
		if (result != FRAME_INCOMPLETE) {
			text_append(&stream->messages, (char[]){(char)result, frame.terminator}, 2);
			CHECK(frame.length <= MESSAGE_MAX || result == FRAME_TOO_LARGE);
		}
		if (result == FRAME_MESSAGE)
			text_append(&stream->messages, frame.message, frame.length);
		unread->length -= frame.consumed;
		if (unread->length)
			memmove(unread->data, bytes + frame.consumed, unread->length);
	} while (result != FRAME_INCOMPLETE);
}

/* Pieces of random length, or all at once where seed is 0. */
static struct stream read_stream(const uint8_t *data, size_t size, uint32_t seed)
{
	struct stream stream = {0};

	for (size_t at = 0, piece; at < size; at += piece) {
		seed = seed ? seed * 1103515245 + 12345 : 0;
		piece = seed ? (seed >> 16) % 9 + 1 : size;
		if (piece > size - at)
			piece = size - at;
		text_append(&stream.unread, data + at, piece);
		take_frames(&stream, framing_next);
	}
	take_frames(&stream, framing_end);
	return stream;
}

static bool is_string(const json_t *value, const struct scanned *text)
{
	return json_string_length(value) == text->size &&
	       !memcmp(json_string_value(value), text->data, text->size);
}

/* Whether jansson reads a message that the quick way takes if it is a Send. */
static bool is_plain(const json_t *message, const char *data, size_t size)
{
	const json_t *parameters = json_object_get(message, "parameters");
	const char *method = json_string_value(json_object_get(message, "method"));

	return method && !strcmp(method, "io.mcastd.Send") && json_object_size(message) == 2 &&
	       json_object_size(parameters) == 2 &&
	       json_is_string(json_object_get(parameters, "group")) &&
	       (json_is_string(json_object_get(parameters, "text")) ||
		       json_is_string(json_object_get(parameters, "base64"))) &&
	       !memchr(data, '\\', size);
}

static void compare_quick_send(const char *data, size_t size)
{
	json_t *message = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	const json_t *parameters = json_object_get(message, "parameters");
	struct quick_send send;

	CHECK(quick_send_read(data, size, &send) == is_plain(message, data, size));
	if (is_plain(message, data, size)) {
		const struct scanned *payload = send.text.data ? &send.text : &send.base64;

		CHECK(is_string(json_object_get(parameters, "group"), &send.group));
		CHECK(is_string(
			json_object_get(parameters, send.text.data ? "text" : "base64"), payload));
	}
	json_decref(message);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint32_t seed = 1;
	struct stream whole, pieces;

	for (size_t i = 0; i < size; i++)
		seed = seed * 31 + data[i];
	whole = read_stream(data, size, 0);
	pieces = read_stream(data, size, seed | 1);
	CHECK(whole.messages.length == pieces.messages.length);
	CHECK(!whole.messages.length ||
		!memcmp(whole.messages.data, pieces.messages.data, whole.messages.length));
	text_free(&whole.unread), text_free(&whole.messages);
	text_free(&pieces.unread), text_free(&pieces.messages);
	compare_quick_send((const char *)data, size);
	return 0;
}
