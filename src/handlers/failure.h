/* Why a handler delivers nothing now: one line of the log where that begins, one where it ends, and
 * meanwhile the handler's error, in the same words. A kind that may block has one in its object,
 * and returns failure_text() in handler_kind.error; only its thread uses it. */
#pragma once

#include <stdbool.h>

#include "base/log.h"

struct failure {
	const char *name; /* the handler's */
	int error; /* a negative errno; 0: nothing is wrong */
	bool is_logged; /* this error is */
	bool was_logged; /* this one, or another one since something was delivered last */
	struct log_limit limit;
	char text[2 * WHY_MAX];
};

/* Whether there is something to tell of this error, a negative errno: it is another one than that
 * which is shown, or the log has no line of it yet and takes one. Spares the caller to find out
 * how to fix it, for each datagram. */
bool failure_is_new(const struct failure *failure, int error);

/* Shows it, and logs it where the log takes a line. */
void failure_tell(struct failure *failure, int error, const char *format, ...) PRINTF_LIKE(3, 4);

/* Shows it, and does not log it: the kind has done that. */
void failure_show(struct failure *failure, int error, const char *format, ...) PRINTF_LIKE(3, 4);

/* Something is delivered again. Returns whether the log has to have a line of that. */
bool failure_end(struct failure *failure);

/* For handler_kind.error: NULL where nothing is wrong. */
const char *failure_text(const struct failure *failure);
