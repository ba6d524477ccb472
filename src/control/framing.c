#include "control/framing.h"

/* Advances by one byte of JSON, to know whether a value is open. */
static void follow(struct framing *framing, char byte)
{
	if (framing->in_string) {
		if (framing->escaped)
			framing->escaped = false;
		else if (byte == '\\')
			framing->escaped = true;
		else if (byte == '"')
			framing->in_string = false;
		return;
	}
	if (byte == '"')
		framing->in_string = true;
	else if (byte == '{' || byte == '[')
		framing->depth++;
	else if (byte == '}' || byte == ']')
		framing->depth--;
}

/* The number of bytes from data[i] on that are plain text within a string. */
static size_t plain_run(const struct framing *framing, const char *data, size_t i, size_t size)
{
	size_t start = i;

	if (!framing->in_string || framing->escaped)
		return 0;
	while (i < size && data[i] != '"' && data[i] != '\\' && data[i] != '\n' && data[i] != '\0')
		i++;
	return i - start;
}

static bool ends_message(const struct framing *framing, char byte)
{
	if (byte == '\0')
		return true;
	return byte == '\n' && (framing->lines || framing->discarding ||
				       (framing->depth <= 0 && !framing->in_string));
}

static bool is_blank(const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != ' ' && data[i] != '\t' && data[i] != '\r' && data[i] != '\n')
			return false;
	return true;
}

/* The message that lies at data[0..length) is complete. */
static enum frame_result finish(struct framing *framing, const char *data, size_t length,
	char terminator, struct frame *ret)
{
	bool too_large = framing->discarding || length > MESSAGE_MAX;

	*ret = (struct frame){.message = data, .length = length, .terminator = terminator};
	*framing = (struct framing){.lines = terminator == '\n'};
	return too_large ? FRAME_TOO_LARGE : FRAME_MESSAGE;
}

enum frame_result framing_next(
	struct framing *framing, const char *data, size_t size, struct frame *ret)
{
	size_t start = 0;

	for (size_t i = framing->scanned; i < size; i++) {
		bool lines = framing->lines;
		enum frame_result result;

		i += plain_run(framing, data, i, size);
		if (i == size)
			break;
		if (!ends_message(framing, data[i])) {
			if (!framing->discarding)
				follow(framing, data[i]);
			continue;
		}
		result = finish(framing, data + start, i - start, data[i], ret);
		ret->consumed = i + 1;
		if (result == FRAME_TOO_LARGE || !is_blank(ret->message, ret->length))
			return result;
		/* An empty line between messages is ignored; it does not choose the framing. */
		framing->lines = lines;
		start = i + 1;
	}
	framing->scanned = size - start;
	if (framing->scanned > MESSAGE_MAX)
		framing->discarding = true;
	*ret = (struct frame){.consumed = framing->discarding ? size : start};
	if (framing->discarding)
		framing->scanned = 0;
	return FRAME_INCOMPLETE;
}

enum frame_result framing_end(
	struct framing *framing, const char *data, size_t size, struct frame *ret)
{
	enum frame_result result = framing_next(framing, data, size, ret);
	size_t start = ret->consumed;

	if (result != FRAME_INCOMPLETE)
		return result;
	if (!framing->discarding && is_blank(data + start, size - start))
		return FRAME_INCOMPLETE;
	result = finish(framing, data + start, size - start, '\n', ret);
	ret->consumed = size;
	return result;
}
