/* All that mcastctl writes on standard output goes through here, as a table or as JSON, so that the
 * two cannot drift: a table is a list of the keys that the JSON has.
 *
 * Output is gathered and written in whole records, because stdio would tear the last one when
 * interrupted. What came from elsewhere is escaped. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct writer {
	struct text out; /* not written yet */
	bool json; /* show answers as they are, not as tables */
	int error; /* of the first write that failed; nothing is written after it */
};

enum column_kind {
	COLUMN_TEXT, /* a string; a list of strings; an object of numbers as "full 3, rate 1" */
	COLUMN_REMARK, /* the same, and the column is left out when there is nothing in it */
	COLUMN_NUMBER,
	COLUMN_COUNT, /* a number, and the column is left out when there is nothing but 0 in it */
	COLUMN_SIZE, /* bytes */
	COLUMN_SUM, /* of an object of numbers */
	COLUMN_AGE, /* a timestamp as "3s ago", null as "never" */
	COLUMN_WAIT, /* seconds as "12ms", and the column is left out when there is nothing in it */
};

struct column {
	const char *heading;
	const char *key; /* in each row; an absent one leaves the cell empty */
	enum column_kind kind;
};

/* rows is an array of objects. Without any, the words in none are the output. Column headings may
 * be NULL, all of them: then there is no line of headings. */
void writer_table(struct writer *writer, const json_t *rows, const struct column *columns,
	size_t column_count, const char *none);

/* The value on a line of its own. */
void writer_value(struct writer *writer, const json_t *value);

/* A line for people. */
void writer_line(struct writer *writer, const char *string);

/* Writes out what is gathered. Returns 0 or writer->error, a negative errno; -EPIPE means that
 * nobody reads any more. */
int writer_flush(struct writer *writer);

void writer_clear(struct writer *writer);
