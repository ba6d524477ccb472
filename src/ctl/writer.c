#include "ctl/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <libsmartcols/libsmartcols.h>
#include <limits.h>
#include <string.h>
#include <sys/ioctl.h>
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

/* Left out when all are 0. */
static bool needs_a_number(const struct column *column)
{
	return column->kind == COLUMN_COUNT || column->kind == COLUMN_VOLUME ||
	       column->kind == COLUMN_TOTAL;
}

/* Left out when it is empty. */
static bool is_optional(const struct column *column)
{
	return column->kind == COLUMN_REMARK || column->kind == COLUMN_WAIT ||
	       needs_a_number(column);
}

static void append_cell(struct text *text, const struct column *column, const json_t *value)
{
	size_t start = text->length;

	if (!value)
		return;
	if ((column->kind == COLUMN_SIZE || column->kind == COLUMN_VOLUME) &&
		json_integer_value(value) > 0)
		text_append_size(text, (uint64_t)json_integer_value(value));
	else if ((column->kind == COLUMN_SUM || column->kind == COLUMN_TOTAL) &&
		 json_is_object(value))
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

/* ---- Tables ---- */

/* A column that is too wide is rather left out than cut to less. */
#define CUT_MIN 10

/* A table that is being made. */
struct making {
	struct libscols_table *table;
	const struct column *columns;
	size_t count;
	size_t *widths; /* of each column, with its heading; 0: it is left out */
	size_t *wanted; /* widths, as they were without a limit */
	bool has_color;
};

static bool is_zero(const json_t *value)
{
	return json_is_integer(value)  ? !json_integer_value(value)
	       : json_is_object(value) ? !sum_counts(value)
				       : !value || json_is_null(value);
}

static const char *alarm_color(
	const struct column *column, const json_t *row, const json_t *value, const char *cell)
{
	switch (column->alarm) {
	case ALARM_RED:
		return is_zero(value) ? NULL : "red";
	case ALARM_YELLOW:
		return is_zero(value) ? NULL : "yellow";
	case ALARM_LOST:
		return is_zero(value) || is_zero(json_object_get(row, "lost")) ? NULL : "red";
	case ALARM_STATE:
		return !strcmp(cell, "joined") || !strcmp(cell, "-") ? NULL
		       : !strcmp(cell, "waiting")                    ? "yellow"
								     : "red";
	default:
		return NULL;
	}
}

static void set_cell(const struct making *making, size_t line, size_t index, const json_t *row,
	const json_t *value, struct text *cell)
{
	struct libscols_line *at = scols_table_get_line(making->table, line);
	const struct column *column = &making->columns[index];
	const char *color = alarm_color(column, row, value, text_string(cell));
	size_t width = text_columns(cell->data, cell->length);

	scols_line_set_data(at, index, text_string(cell));
	if (making->has_color && color)
		scols_cell_set_color(scols_line_get_cell(at, index), color);
	if (width > making->widths[index])
		making->widths[index] = width;
}

/* Fills one column, or leaves it out: an optional one needs anything in it, other than counts of 0.
 */
static void fill_column(const struct making *making, const json_t *rows, size_t index)
{
	const struct column *column = &making->columns[index];
	bool is_filled = !is_optional(column);

	making->widths[index] = column->heading ? strlen(column->heading) : 0;
	for (size_t i = 0; i < json_array_size(rows); i++) {
		const json_t *row = json_array_get(rows, i);
		const json_t *value = json_object_get(row, column->key);
		AUTO_TEXT struct text cell = {0};

		append_cell(&cell, column, value);
		if (!cell.length)
			continue;
		if (!needs_a_number(column) || !is_zero(value))
			is_filled = true;
		set_cell(making, i, index, row, value, &cell);
	}
	if (!is_filled)
		making->widths[index] = 0;
}

/* The column to leave out next: the last one of the highest rank; else to cut: the last remark.
 * count: there is none. */
static size_t least_important(const struct making *making)
{
	size_t least = making->count, remark = making->count;

	for (size_t i = 0; i < making->count; i++) {
		const struct column *column = &making->columns[i];

		if (!making->widths[i])
			continue;
		if (column->rank &&
			(least == making->count || column->rank >= making->columns[least].rank))
			least = i;
		if (column->kind == COLUMN_REMARK)
			remark = i;
	}
	return least < making->count ? least : remark;
}

static void cut_column(const struct making *making, size_t index, size_t width)
{
	making->widths[index] = width;
	for (size_t i = 0; i < scols_table_get_nlines(making->table); i++) {
		struct libscols_line *line = scols_table_get_line(making->table, i);
		const char *data = scols_cell_get_data(scols_line_get_cell(line, index));
		AUTO_TEXT struct text cell = {0};

		if (!data)
			continue;
		text_append_fitted(&cell, data, width, false);
		scols_line_set_data(line, index, text_string(&cell));
	}
}

static size_t total_width(const struct making *making)
{
	size_t total = 0;

	for (size_t i = 0; i < making->count; i++)
		total += making->widths[i] ? making->widths[i] + 1 : 0;
	return total ? total - 1 : 0;
}

/* The widest column of text that is there; count: there is none. */
static size_t find_widest(const struct making *making)
{
	size_t widest = making->count;

	for (size_t i = 0; i < making->count; i++)
		if (making->columns[i].kind == COLUMN_TEXT && making->widths[i] > CUT_MIN &&
			(widest == making->count || making->widths[i] > making->widths[widest]))
			widest = i;
	return widest;
}

/* Names may be long: the widest ones are cut, once nothing else can go. */
static void cut_names(const struct making *making, size_t limit)
{
	size_t total, i;

	while ((total = total_width(making)) > limit && (i = find_widest(making)) < making->count) {
		size_t width = making->widths[i], excess = total - limit;

		cut_column(making, i, width > CUT_MIN + excess ? width - excess : CUT_MIN);
	}
}

/* Leaves columns out, or cuts one of text, until the table is not wider than the limit. */
static void leave_out(const struct making *making, size_t limit)
{
	size_t total;

	while ((total = total_width(making)) > limit) {
		size_t i = least_important(making), rest;
		bool can_be_cut;

		if (i == making->count)
			return;
		rest = total - making->widths[i];
		can_be_cut = !is_right_aligned(&making->columns[i]);
		if (can_be_cut && (rest + CUT_MIN <= limit || !making->columns[i].rank)) {
			cut_column(making, i, rest + CUT_MIN <= limit ? limit - rest : CUT_MIN);
			return;
		}
		making->widths[i] = 0;
	}
}

/* The most important column that was left out and has room now; count: none. */
static size_t find_room(const struct making *making, size_t limit)
{
	size_t best = making->count, total = total_width(making);

	for (size_t i = 0; i < making->count; i++)
		if (!making->widths[i] && making->wanted[i] &&
			total + 1 + making->wanted[i] <= limit &&
			(best == making->count ||
				making->columns[i].rank < making->columns[best].rank))
			best = i;
	return best;
}

/* A wide column may have made room for narrower ones of a higher rank. */
static void fit_table(const struct making *making, size_t limit, struct text *left_out)
{
	size_t i;

	memcpy(making->wanted, making->widths, making->count * sizeof(*making->widths));
	leave_out(making, limit);
	cut_names(making, limit);
	while ((i = find_room(making, limit)) < making->count)
		making->widths[i] = making->wanted[i];
	for (i = 0; i < making->count; i++)
		if (making->wanted[i] && !making->widths[i])
			text_printf(left_out, "%s%s", left_out->length ? ", " : "",
				making->columns[i].heading);
}

static int make_table(const struct making *making, const json_t *rows)
{
	struct libscols_table *table = making->table;

	/* What is not printable is escaped already. But without its own escaping, libsmartcols
	 * loops forever at a character that the locale lacks. */
	scols_table_enable_noencoding(table, !strcmp(nl_langinfo(CODESET), "UTF-8"));
	scols_table_enable_noheadings(table, !making->columns[0].heading);
	scols_table_enable_colors(table, making->has_color);
	for (size_t i = 0; i < making->count; i++)
		if (!scols_table_new_column(table,
			    making->columns[i].heading ? making->columns[i].heading : "", 0,
			    is_right_aligned(&making->columns[i]) ? SCOLS_FL_RIGHT : 0))
			return -ENOMEM;
	for (size_t i = 0; i < json_array_size(rows); i++)
		if (!scols_table_new_line(table, NULL))
			return -ENOMEM;
	for (size_t i = 0; i < making->count; i++)
		fill_column(making, rows, i);
	return 0;
}

/* What libsmartcols puts behind a coloured cell. */
#define NO_COLOR "\x1b[0m"

static size_t trim(const char *line, size_t length)
{
	while (length && line[length - 1] == ' ')
		length--;
	return length;
}

/* Each line without trailing blanks. */
static void append_trimmed(struct text *text, const char *lines)
{
	static const size_t end = sizeof(NO_COLOR) - 1;

	while (*lines) {
		size_t line = strcspn(lines, "\n"), length = trim(lines, line);
		bool is_coloured = length >= end && !memcmp(lines + length - end, NO_COLOR, end);

		text_append(text, lines, is_coloured ? trim(lines, length - end) : length);
		text_append_string(text, is_coloured ? NO_COLOR : "");
		text_append(text, "\n", 1);
		lines += line + (lines[line] == '\n');
	}
}

/* Returns 0 or -ENOMEM. */
static int append_table(struct writer *writer, const struct making *making, const json_t *rows)
{
	AUTO_TEXT struct text left_out = {0};
	AUTO_FREE char *lines = NULL;
	size_t limit = writer->is_wide ? 0 : writer_width();

	if (make_table(making, rows) < 0)
		return -ENOMEM;
	if (limit)
		fit_table(making, limit, &left_out);
	for (size_t i = 0; i < making->count; i++)
		if (!making->widths[i])
			scols_column_set_flags(
				scols_table_get_column(making->table, i), SCOLS_FL_HIDDEN);
	if (scols_print_table_to_string(making->table, &lines) || !lines)
		return -ENOMEM;
	append_trimmed(&writer->out, lines);
	if (left_out.length)
		text_printf(
			&writer->out, "left out: %s; --wide shows them\n", text_string(&left_out));
	return 0;
}

void writer_table(struct writer *writer, const json_t *rows, const struct column *columns,
	size_t column_count, const char *none)
{
	CLEANUP(scols_unref_tablep) struct libscols_table *table = NULL;
	AUTO_FREE size_t *widths = NULL;

	if (!json_array_size(rows)) {
		writer_line(writer, none);
		return;
	}
	table = scols_new_table();
	widths = calloc(2 * column_count, sizeof(*widths));
	if (!table || !widths ||
		append_table(writer,
			&(struct making){table, columns, column_count, widths,
				widths + column_count, writer_has_color()},
			rows) < 0)
		writer->out.failed = true;
}

size_t writer_width(void)
{
	struct winsize size = {0};

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

bool writer_has_color(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no_color && *no_color) && term && *term &&
	       strcmp(term, "dumb");
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
