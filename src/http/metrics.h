/* What /metrics is made of: parts, each of which makes its metrics piece by piece. */
#pragma once

#include <stdbool.h>

#include "control/values.h"
#include "http/context.h"

/* Bytes of a piece: some 700 samples, which take the loop a tenth of a millisecond. Larger ones
 * than of other pages, as these are many. */
#define METRICS_PIECE 65536

/* Objects that are visited for a piece, where few of them have a sample. */
#define METRICS_VISITS 1024
#define METRICS_SLOW_VISITS 64

struct handler_samples;

/* Where a part has come to: zero at its beginning, and its own until it is done. */
struct metrics_cursor {
	size_t table;
	size_t row; /* in the table: the metric */
	bool has_head; /* of the metric */
	size_t index; /* of the object, where none come and go */
	char last[GROUP_NAME_MAX + 1]; /* name of the last group; empty: none yet */
	struct handler_samples *handlers; /* NULL: there are none yet */
};

/* Appends at most about METRICS_PIECE bytes. Returns whether these were the last ones of the part.
 */
typedef bool (*metrics_part)(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text);

/* The next metric. */
static inline void metrics_advance(struct metrics_cursor *cursor)
{
	cursor->row++;
	cursor->has_head = false;
	cursor->index = 0;
	*cursor->last = '\0';
}

static inline void metrics_advance_table(struct metrics_cursor *cursor)
{
	cursor->table++;
	cursor->row = 0;
}

bool metrics_put_groups(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text);

/* Metrics of handlers. What is shown of one is of one moment, so that its account balances. */
bool metrics_put_handlers(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text);
void handler_samples_free(struct handler_samples *samples); /* accepts NULL */
extern const struct value_table handler_info_values;

/* All metrics, table by table: for the manual. NULL at the end. */
extern const struct value_table *const metrics_tables[];
