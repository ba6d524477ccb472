/* The framing of the control socket, both ends: pure, bytes in and messages out.
 *
 * A message ends with NUL, as in Varlink, or with LF, so that `echo ... | socat` and three lines of
 * Python work. NUL always ends a message. LF ends it where no JSON value is open; once a message
 * has ended with LF, every LF ends one, so that a malformed line does not swallow the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MESSAGE_MAX (128 * 1024)

struct framing {
	size_t scanned; /* bytes of the unfinished message that do not end it */
	size_t followed; /* of these: those that depth, in_string and escaped take into account */
	int depth; /* of brackets */
	bool in_string, escaped;
	bool lines; /* the last message ended with LF */
	bool discarding; /* the unfinished message, which is over MESSAGE_MAX */
};

enum frame_result {
	FRAME_INCOMPLETE, /* needs more bytes after those that are not consumed */
	FRAME_MESSAGE,
	FRAME_TOO_LARGE, /* a message over MESSAGE_MAX has ended */
};

struct frame {
	const char *message; /* points into the data; not terminated */
	size_t length; /* without the terminator */
	size_t consumed; /* bytes to remove from the front of the data, also when incomplete */
	char terminator; /* of the message, and of its reply */
};

/* Finds the next message. data starts where the consumed bytes of the last call ended. */
enum frame_result framing_next(
	struct framing *framing, const char *data, size_t size, struct frame *ret);

/* The same at the end of the stream: the remaining bytes are a message. FRAME_INCOMPLETE when there
 * are none. */
enum frame_result framing_end(
	struct framing *framing, const char *data, size_t size, struct frame *ret);

/* The unfinished message, whose bytes the caller removes, is discarded up to its end: it is
 * FRAME_TOO_LARGE then. */
void framing_discard(struct framing *framing);
