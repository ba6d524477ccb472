/* The framing of the control socket, both ends: pure, bytes in and messages out.
 *
 * A message ends with NUL, as Varlink has it, or with LF, so that `echo ... | socat` and three
 * lines of Python work. NUL always ends one. LF does where no JSON value is open; once a message
 * has ended with LF, every LF does, so that one malformed line does not swallow the next. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define MESSAGE_MAX (128 * 1024)

struct framing {
	size_t scanned; /* bytes of the unfinished message already looked at */
	int depth; /* of brackets */
	bool in_string, escaped;
	bool lines; /* the last message ended with LF */
	bool discarding; /* the unfinished message is over MESSAGE_MAX */
};

enum frame_result {
	FRAME_INCOMPLETE, /* needs more bytes; consume what is asked for, keep the rest */
	FRAME_MESSAGE,
	FRAME_TOO_LARGE, /* one message that was over MESSAGE_MAX has ended */
};

struct frame {
	const char *message; /* points into the data; not terminated */
	size_t length; /* without the terminator */
	size_t consumed; /* bytes to take off the front of the data, also when incomplete */
	char terminator; /* with which the message ended, and the reply is to end */
};

/* Looks for one message at the start of data, which starts where the last call's consumed bytes
 * ended. */
enum frame_result framing_next(
	struct framing *framing, const char *data, size_t size, struct frame *ret);

/* The same at the end of the stream: what is left counts as a message. FRAME_INCOMPLETE when
 * nothing is. */
enum frame_result framing_end(
	struct framing *framing, const char *data, size_t size, struct frame *ret);
