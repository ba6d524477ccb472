/* What /metrics is made of: parts, each of which makes its metrics piece by piece. */
#pragma once

#include <stdbool.h>

#include "http/context.h"
#include "http/exposition.h"

/* Where a part has come to: zero at its beginning, and its own until it is done. */
struct metrics_cursor {
	size_t family; /* the metric */
	size_t index; /* the group, handler or whatever the sample is of */
};

/* Appends at most about HTTP_PIECE bytes. Returns whether these were the last ones of the part. */
typedef bool (*metrics_part)(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text);
