#include "ctl/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <libsmartcols/libsmartcols.h>
#include <limits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/sums.h"
#include "ctl/human.h"
#include "ctl/json.h"

DEFINE_CLEANUP(struct libscols_table *, scols_unref_table)

static int64_t sum_counts(const json_t *counts)
{
	const char *name;
	json_t *count;
	int64_t sum = 0;

	json_object_foreach((json_t *)counts, name, count)
	{
		sum_add(&sum, json_integer_value(count));
	}
	return sum;
}

/* A list as "a, b"; an object of numbers as "full 3, rate 1", without those that are 0. */
static void append_text(struct text *text, const json_t *value)
{
	const char *separator = "", *name;
	json_t *item;
	size_t i;

	if (json_is_string(value))
		text_append_shown(text, json_string_value(value), json_string_length(value));
	else if (!json_is_null(value) && !json_is_array(value) && !json_is_object(value))
		text_append_value(text, value);
	json_array_foreach(value, i, item)
	{
		text_append_string(text, i ? ", " : "");
		append_text(text, item);
	}
	json_object_foreach((json_t *)value, name, item)
	{
		if (!json_integer_value(item))
			continue;
		text_append_string(text, separator);
		text_append_shown(text, name, strlen(name));
		text_append(text, " ", 1);
		text_append_value(text, item);
		separator = ", ";
	}
}

/* Left out when it is empty. */
static bool is_optional(const struct column *column)
{
	return column->kind == COLUMN_REMARK || column->kind == COLUMN_COUNT ||
	       column->kind == COLUMN_WAIT;
}

static void append_cell(struct text *text, const struct column *column, const json_t *value)
{
	size_t start = text->length;

	if (!value)
		return;
	if (column->kind == COLUMN_SIZE && json_integer_value(value) > 0)
		text_append_size(text, (uint64_t)json_integer_value(value));
	else if (column->kind == COLUMN_SUM && json_is_object(value))
		text_printf(text, "%" PRId64, sum_counts(value));
	else if (column->kind == COLUMN_AGE && json_is_null(value))
		text_append_string(text, "never");
	else if (column->kind == COLUMN_AGE && json_is_string(value))
		text_append_age(text, json_string_value(value), clock_ns(CLOCK_REALTIME));
	else if (column->kind == COLUMN_WAIT && json_is_number(value))
		text_append_wait(text, json_number_value(value));
	else
		append_text(text, value);
	if (text->length == start && !is_optional(column))
		text_append(text, "-", 1);
}

static bool is_right_aligned(const struct column *column)
{
	return column->kind != COLUMN_TEXT && column->kind != COLUMN_REMARK;
}

/* Fills one column. Returns whether anything is in it, other than counts of 0. */
static bool fill_column(
	struct libscols_table *table, const json_t *rows, const struct column *column, size_t index)
{
	bool filled = false;

	for (size_t i = 0; i < json_array_size(rows); i++) {
		struct libscols_line *line = scols_table_get_line(table, i);
		const json_t *value = json_object_get(json_array_get(rows, i), column->key);
		AUTO_TEXT struct text cell = {0};

		append_cell(&cell, column, value);
		if (!cell.length)
			continue;
		if (column->kind != COLUMN_COUNT || json_integer_value(value))
			filled = true;
		scols_line_set_data(line, index, text_string(&cell));
	}
	return filled;
}

static struct libscols_table *new_table(
	const json_t *rows, const struct column *columns, size_t column_count)
{
	CLEANUP(scols_unref_tablep) struct libscols_table *table = scols_new_table();

	if (!table)
		return NULL;
	/* What is not printable is escaped already. But without its own escaping, libsmartcols
	 * loops forever at a character that the locale lacks. */
	scols_table_enable_noencoding(table, !strcmp(nl_langinfo(CODESET), "UTF-8"));
	scols_table_enable_noheadings(table, !columns[0].heading);
	for (size_t i = 0; i < column_count; i++)
		if (!scols_table_new_column(table, columns[i].heading ? columns[i].heading : "", 0,
			    is_right_aligned(&columns[i]) ? SCOLS_FL_RIGHT : 0))
			return NULL;
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (!scols_table_new_line(table, NULL))
			return NULL;
	for (size_t i = 0; i < column_count; i++)
		if (!fill_column(table, rows, &columns[i], i) && is_optional(&columns[i]))
			scols_column_set_flags(scols_table_get_column(table, i), SCOLS_FL_HIDDEN);
	return take(table);
}

/* Each line without trailing blanks. */
static void append_trimmed(struct text *text, const char *lines)
{
	while (*lines) {
		size_t line = strcspn(lines, "\n"), length = line;

		while (length && lines[length - 1] == ' ')
			length--;
		text_append(text, lines, length);
		text_append(text, "\n", 1);
		lines += line + (lines[line] == '\n');
	}
}

void writer_table(struct writer *writer, const json_t *rows, const struct column *columns,
	size_t column_count, const char *none)
{
	CLEANUP(scols_unref_tablep) struct libscols_table *table = NULL;
	AUTO_FREE char *lines = NULL;

	if (!json_array_size(rows)) {
		writer_line(writer, none);
		return;
	}
	table = new_table(rows, columns, column_count);
	if (!table || scols_print_table_to_string(table, &lines) || !lines) {
		writer->out.failed = true;
		return;
	}
	append_trimmed(&writer->out, lines);
}

void writer_value(struct writer *writer, const json_t *value)
{
	text_append_value(&writer->out, value);
	text_append(&writer->out, "\n", 1);
}

void writer_line(struct writer *writer, const char *string)
{
	text_append_shown(&writer->out, string, strlen(string));
	text_append(&writer->out, "\n", 1);
}

void writer_lines(struct writer *writer, const json_t *strings, const char *none)
{
	for (size_t i = 0; i < json_array_size(strings); i++)
		if (json_is_string(json_array_get(strings, i)))
			writer_line(writer, json_string_value(json_array_get(strings, i)));
	if (!json_array_size(strings))
		writer_line(writer, none);
}

int writer_flush(struct writer *writer)
{
	if (!writer->error && text_failed(&writer->out))
		writer->error = -ENOMEM;
	if (!writer->error)
		writer->error = write_all(STDOUT_FILENO, writer->out.data, writer->out.length);
	text_clear(&writer->out);
	return writer->error;
}

int writer_flush_some(struct writer *writer)
{
	struct text *out = &writer->out;
	size_t size = out->length < PIPE_BUF ? out->length : PIPE_BUF;

	if (!writer->error && text_failed(out))
		writer->error = -ENOMEM;
	if (!writer->error)
		writer->error = write_all(STDOUT_FILENO, out->data, size);
	if (writer->error || size == out->length) {
		text_clear(out);
		return writer->error;
	}
	out->length -= size;
	memmove(out->data, out->data + size, out->length);
	return 0;
}
