/* All standard output of mcastctl, as a table or as JSON. A table is a list of the keys of the
 * JSON, so that the two cannot differ.
 *
 * Output is buffered and written in whole records: stdio would leave a partial one when
 * interrupted. What came from elsewhere is escaped. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"

struct writer {
	struct text out; /* buffered; freed by the owner */
	bool json; /* show answers as they are, not as tables */
	bool is_wide; /* tables have all their columns also where the terminal is narrower */
	bool has_utf8; /* the locale's own, see main() */
	int error; /* of the first failed write; nothing is written after it */
};

enum column_kind {
	COLUMN_TEXT, /* a string; a list of strings; an object of numbers as "full 3, rate 1" */
	COLUMN_REMARK, /* the same; the column is left out when it is empty */
	COLUMN_NUMBER,
	COLUMN_COUNT, /* a number; the column is left out when all are 0 */
	COLUMN_SIZE, /* bytes */
	COLUMN_VOLUME, /* bytes; the column is left out when all are 0 */
	COLUMN_SUM, /* of an object of numbers */
	COLUMN_TOTAL, /* the same; the column is left out when all are 0 */
	COLUMN_AGE, /* a timestamp as "3s ago", null as "never" */
	COLUMN_WAIT, /* seconds as "12ms"; the column is left out when it is empty */
};

/* How a cell is coloured on a terminal. */
enum column_alarm {
	ALARM_NONE,
	ALARM_RED, /* where it is neither empty nor 0 */
	ALARM_YELLOW, /* likewise */
	ALARM_LOST, /* red where the row's "lost" has a number that is not 0 */
	ALARM_STATE, /* "joined" is good, "waiting" yellow, all else red */
};

struct column {
	const char *heading; /* one word, so that the line of headings is not ambiguous */
	const char *key; /* in each row; an absent one leaves the cell empty */
	enum column_kind kind;
	int rank; /* on a terminal that is too narrow, those with the highest are left out first;
		     0: never */
	enum column_alarm alarm;
};

/* rows is an array of objects. Without any, the words in none are the output. Without headings (all
 * NULL) there is no line for them. Where standard output is no terminal, no column is left out for
 * want of room, and nothing is cut. */
void writer_table(struct writer *writer, const json_t *rows, const struct column *columns,
	size_t column_count, const char *none);

/* Columns of the terminal at standard output; 0: it is none. */
size_t writer_width(void);

/* Whether colours are wanted: on a terminal, but for one that has none (TERM=dumb), and not with
 * NO_COLOR (https://no-color.org). */
bool writer_has_color(void);

/* The value on a line of its own. */
void writer_value(struct writer *writer, const json_t *value);

/* A line for people. */
void writer_line(struct writer *writer, const char *string);

/* An array of strings, each on a line. Without any, the words in none are the output. */
void writer_lines(struct writer *writer, const json_t *strings, const char *none);

/* Writes what is buffered. Returns 0 or writer->error, a negative errno; -EPIPE means that the
 * reader has gone. */
int writer_flush(struct writer *writer);

/* Writes the first bytes of what is buffered: no more than a pipe that poll(2) calls writable takes
 * without waiting. Returns as writer_flush(). */
int writer_flush_some(struct writer *writer);
