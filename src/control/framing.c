#include "control/framing.h"

#include <stdint.h>
#include <string.h>

/* Short, so that searching for one terminator does not run far past the other. */
#define SEARCH_STEP 512

/* How much deeper a byte leads that is in no string. */
static const signed char nesting[256] = {['{'] = 1, ['['] = 1, ['}'] = -1, [']'] = -1};

/* Advances to the byte at message[length], to know whether a value is open. In variables of its
 * own: for all that the compiler knows, the message may be in the struct. */
static void follow(struct framing *framing, const char *message, size_t length)
{
	bool in_string = framing->in_string, escaped = framing->escaped;
	size_t at = framing->followed;
	int depth = framing->depth;

	while (at < length) {
		if (escaped) {
			escaped = false;
		} else if (in_string) {
			while (at < length && message[at] != '"' && message[at] != '\\')
				at++;
			escaped = at < length && message[at] == '\\';
			in_string = at == length || escaped;
		} else {
			while (at < length && message[at] != '"')
				depth += nesting[(uint8_t)message[at++]];
			in_string = at < length;
		}
		at++;
	}
	framing->in_string = in_string;
	framing->escaped = escaped;
	framing->depth = depth;
	framing->followed = length;
}

/* Whether the terminator at message[length] ends the message. Only an LF that may be within a value
 * has the bytes before it followed: that costs much more than to search for one. */
static bool ends_message(struct framing *framing, const char *message, size_t length)
{
	if (message[length] == '\0' || framing->lines || framing->discarding)
		return true;
	follow(framing, message, length);
	return framing->depth <= 0 && !framing->in_string;
}

/* The place of the first NUL or LF at or after a place, or size. */
static size_t find_terminator(const char *data, size_t at, size_t size)
{
	for (; at < size; at += SEARCH_STEP) {
		size_t step = size - at < SEARCH_STEP ? size - at : SEARCH_STEP;
		const char *lf = memchr(data + at, '\n', step);
		const char *nul = memchr(data + at, '\0', lf ? (size_t)(lf - data) - at : step);

		if (nul || lf)
			return (size_t)((nul ? nul : lf) - data);
	}
	return size;
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

	for (size_t i = framing->scanned; (i = find_terminator(data, i, size)) < size; i++) {
		bool lines = framing->lines;
		enum frame_result result;

		if (!ends_message(framing, data + start, i - start))
			continue;
		result = finish(framing, data + start, i - start, data[i], ret);
		ret->consumed = i + 1;
		if (result == FRAME_TOO_LARGE || !is_blank(ret->message, ret->length))
			return result;
		/* An empty line between messages is ignored; it does not choose the framing. */
		framing->lines = lines;
		start = i + 1;
	}
	framing->scanned = size - start;
	*ret = (struct frame){.consumed = start};
	if (framing->discarding || framing->scanned > MESSAGE_MAX) {
		framing_discard(framing);
		ret->consumed = size;
	}
	return FRAME_INCOMPLETE;
}

void framing_discard(struct framing *framing)
{
	framing->discarding = true;
	framing->scanned = framing->followed = 0;
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
