#include "ctl/top/view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ctl/human.h"
#include "ctl/top/sparkline.h"

/* Lines above the rows, and below them. */
#define HEAD_LINES 3
#define FOOT_LINES 1

/* Minimum lines for the handlers below the groups. */
#define BELOW_MIN 4

#define HISTORY_COLUMNS 12
#define NOTE_COLUMNS 12
#define NAME_MIN 12
#define NAME_NARROW 8

/* From this width on, labels are shown, too. */
#define WIDE_COLUMNS 110

/* After this time without an answer, that is reported. */
#define PATIENCE_NS (3 * NS_PER_S)

#define RED "\x1b[31m"
#define RED_BOLD "\x1b[1;31m"
#define YELLOW "\x1b[33m"
#define DIM "\x1b[2m"
#define HEADING "\x1b[7m"
#define NORMAL "\x1b[0m"

const struct sort_key sort_keys[] = {
	{'n', SORT_NAME, "name"},
	{'r', SORT_IN, "rate"},
	{'b', SORT_BYTES, "bits"},
	{'o', SORT_OUT, "out"},
	{'l', SORT_LOST, "lost"},
	{'w', SORT_QUEUE, "waiting"},
	{'t', SORT_LAST, "time"},
	{0},
};

/* One table in a frame, of groups or of handlers. */
struct drawing {
	const struct view *view;
	const struct model *model;
	struct text *frame;
	struct row **rows; /* those that match the filter, sorted */
	size_t count;
	uint64_t now_ns; /* CLOCK_REALTIME */
	bool is_of_handlers;
	size_t name_width, label_width, history_width, note_width;
};

/* ---- Cells ---- */

struct cell {
	const char *heading, *handler_heading; /* NULL: not of these */
	size_t width;
	void (*put)(struct text *text, const struct drawing *drawing, const struct row *row);
	const char *(*color)(const struct row *row);
	bool (*is_used)(const struct model *model); /* NULL: always */
};

static void put_rate(struct text *text, const struct row *row, double rate)
{
	if (row->has_rates)
		text_append_rate(text, rate);
	else
		text_append(text, "-", 1);
}

static void put_in(struct text *text, const struct drawing *drawing, const struct row *row)
{
	(void)drawing;
	put_rate(text, row, row->rates[COUNTER_IN]);
}

static void put_in_bits(struct text *text, const struct drawing *drawing, const struct row *row)
{
	(void)drawing;
	put_rate(text, row, row->rates[COUNTER_IN_BYTES] * 8);
}

static void put_out(struct text *text, const struct drawing *drawing, const struct row *row)
{
	(void)drawing;
	put_rate(text, row, row->rates[COUNTER_OUT]);
}

static void put_lost(struct text *text, const struct drawing *drawing, const struct row *row)
{
	(void)drawing;
	text_append_count(text, (uint64_t)row_lost(row));
}

static void put_queue(struct text *text, const struct drawing *drawing, const struct row *row)
{
	(void)drawing;
	text_append_count(text, (uint64_t)row->queued);
}

static void put_peak(struct text *text, const struct drawing *drawing, const struct row *row)
{
	(void)drawing;
	text_append_count(text, (uint64_t)row->queued_max);
}

/* Of a group, since it has received; of a handler, since the oldest waits. */
static void put_age(struct text *text, const struct drawing *drawing, const struct row *row)
{
	uint64_t then_ns;

	if (drawing->is_of_handlers && row->oldest_s >= 0)
		text_append_wait(text, row->oldest_s);
	else if (drawing->is_of_handlers || parse_timestamp(row->last, &then_ns) < 0)
		text_append(text, "-", 1);
	else
		text_append_seconds(text,
			drawing->now_ns > then_ns ? (drawing->now_ns - then_ns) / NS_PER_S : 0);
}

static const char *lost_color(const struct row *row)
{
	return row_loss_rate(row) > 0 ? RED_BOLD : row_lost(row) ? RED : "";
}

static const char *age_color(const struct row *row)
{
	return row->is_silent ? YELLOW : "";
}

static bool anything_leaves(const struct model *model)
{
	return model->has_sent;
}

static const struct cell cells[] = {
	{"IN/s", "IN/s", 6, put_in, NULL, NULL},
	{"BIT/s", NULL, 6, put_in_bits, NULL, NULL},
	{"OUT/s", NULL, 6, put_out, NULL, anything_leaves},
	{NULL, "DELIV/s", 7, put_out, NULL, NULL},
	{"LOST", "LOST", 6, put_lost, lost_color, NULL},
	{"QUEUE", "QUEUE", 6, put_queue, NULL, NULL},
	{NULL, "PEAK", 6, put_peak, NULL, NULL},
	{"LAST", "OLDEST", 6, put_age, age_color, NULL},
};

static const char *heading_of(const struct drawing *drawing, const struct cell *cell)
{
	return drawing->is_of_handlers ? cell->handler_heading : cell->heading;
}

static bool is_shown(const struct drawing *drawing, const struct cell *cell)
{
	return heading_of(drawing, cell) && (!cell->is_used || cell->is_used(drawing->model));
}

static void put_color(const struct drawing *drawing, const char *color)
{
	text_append_string(drawing->frame, drawing->view->has_color ? color : "");
}

/* ---- Widths ---- */

static size_t longest(const struct drawing *drawing, bool is_label)
{
	size_t most = 0;

	for (size_t i = 0; i < drawing->count; i++) {
		const struct row *row = drawing->rows[i];
		size_t columns = is_label ? row->label_columns : row->name_columns;

		most = columns > most ? columns : most;
	}
	return most;
}

static size_t at_most(size_t number, size_t limit)
{
	return number < limit ? number : limit;
}

static size_t less(size_t number, size_t by)
{
	return number > by ? number - by : 0;
}

/* The numbers have what they need; name, label, history and note share the rest. */
static void measure(struct drawing *drawing)
{
	size_t width = drawing->view->width, rest = width ? width : SIZE_MAX / 2;
	size_t name = longest(drawing, false);

	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		if (is_shown(drawing, &cells[i]))
			rest = less(rest, cells[i].width + 1);
	name = name > NAME_MIN ? name : NAME_MIN;
	drawing->name_width = at_most(name, less(rest, HISTORY_COLUMNS + NOTE_COLUMNS + 2));
	if (drawing->name_width < NAME_MIN)
		drawing->name_width = at_most(NAME_MIN, rest);
	/* On a screen that is narrower than this, the numbers at the right are cut. */
	if (drawing->name_width < NAME_NARROW)
		drawing->name_width = NAME_NARROW;
	rest = less(rest, drawing->name_width);
	if (drawing->is_of_handlers || !width || width >= WIDE_COLUMNS) {
		drawing->label_width = at_most(longest(drawing, true), less(rest, 2) / 3);
		rest = less(rest, drawing->label_width + 1);
	}
	if (drawing->view->has_history) {
		drawing->history_width = rest / 2 > HISTORY_COLUMNS ? rest / 2 : HISTORY_COLUMNS;
		drawing->history_width = at_most(drawing->history_width, HISTORY_MAX / 2);
		drawing->history_width = at_most(drawing->history_width, less(rest, 1));
		rest = less(rest, drawing->history_width + 1);
	}
	drawing->note_width = less(rest, 1);
}

/* ---- Rows ---- */

static void append_reasons(struct text *note, const struct row *row)
{
	for (size_t i = 0; i < row->loss_count; i++) {
		const struct loss *loss = &row->losses[i];

		if (!loss->since)
			continue;
		text_append_string(note, note->length ? ", " : "");
		text_append_string(note, loss->reason);
		text_append(note, " ", 1);
		if (loss->rate > 0)
			text_append_rate(note, loss->rate);
		else
			text_printf(note, "%" PRId64, loss->since);
		text_append_string(note, loss->rate > 0 ? "/s" : "");
	}
}

/* What is wrong, the worst first. */
static void put_note(const struct drawing *drawing, const struct row *row)
{
	AUTO_TEXT struct text note = {0};
	bool is_bad = row->state == ROW_FAILED || row_loss_rate(row) > 0;

	if (row_loss_rate(row) > 0)
		append_reasons(&note, row);
	if (row->remark)
		text_printf(&note, "%s%s", note.length ? ", " : "", row->remark);
	if (row->is_silent)
		text_printf(&note, "%ssilent", note.length ? ", " : "");
	if (row_loss_rate(row) <= 0)
		append_reasons(&note, row);
	if (!note.length || !drawing->note_width)
		return;
	text_append(drawing->frame, " ", 1);
	put_color(drawing, is_bad || (!row->remark && !row->is_silent) ? RED : YELLOW);
	text_append_fitted(drawing->frame, text_string(&note),
		drawing->view->width ? drawing->note_width : text_columns(note.data, note.length),
		false);
	put_color(drawing, NORMAL);
}

static void put_cell(const struct drawing *drawing, const struct cell *cell, const struct row *row)
{
	AUTO_TEXT struct text text = {0};
	const char *color = cell->color ? cell->color(row) : "";

	cell->put(&text, drawing, row);
	text_append(drawing->frame, " ", 1);
	put_color(drawing, color);
	text_append_fitted(drawing->frame, text_string(&text), cell->width, true);
	put_color(drawing, *color ? NORMAL : "");
}

static void put_row(const struct drawing *drawing, const struct row *row)
{
	struct text *frame = drawing->frame;
	bool has_color = drawing->view->has_color;

	put_color(drawing, row->state == ROW_FAILED                      ? RED
			   : row->state == ROW_WAITING || row->is_silent ? YELLOW
									 : "");
	text_append_fitted(frame, row->name, drawing->name_width, false);
	put_color(drawing, NORMAL);
	if (drawing->label_width) {
		text_append(frame, " ", 1);
		text_append_fitted(
			frame, row->label ? row->label : "", drawing->label_width, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++)
		if (is_shown(drawing, &cells[i]))
			put_cell(drawing, &cells[i], row);
	if (drawing->history_width) {
		text_append(frame, " ", 1);
		sparkline_append(frame, drawing->model, row, drawing->history_width,
			drawing->view->has_utf8, has_color ? RED : "", has_color ? NORMAL : "");
	}
	put_note(drawing, row);
	text_append(frame, "\n", 1);
}

static void put_headings(const struct drawing *drawing)
{
	struct text *frame = drawing->frame;
	bool is_of_handlers = drawing->is_of_handlers;

	put_color(drawing, HEADING);
	text_append_fitted(frame, is_of_handlers ? "HANDLER" : "GROUP", drawing->name_width, false);
	if (drawing->label_width) {
		text_append(frame, " ", 1);
		text_append_fitted(
			frame, is_of_handlers ? "TYPE" : "ADDRESS", drawing->label_width, false);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cells); i++) {
		if (!is_shown(drawing, &cells[i]))
			continue;
		text_append(frame, " ", 1);
		text_append_fitted(frame, heading_of(drawing, &cells[i]), cells[i].width, true);
	}
	if (drawing->history_width) {
		text_append(frame, " ", 1);
		text_append_fitted(frame, "HISTORY", drawing->history_width, false);
	}
	if (drawing->note_width) {
		text_append(frame, " ", 1);
		text_append_fitted(
			frame, "NOTE", drawing->view->width ? drawing->note_width : 4, false);
	}
	put_color(drawing, NORMAL);
	text_append(frame, "\n", 1);
}

/* ---- Which rows, in which order ---- */

static int compare_numbers(double a, double b)
{
	return a < b ? 1 : a > b ? -1 : 0; /* the largest first */
}

static int compare_by(const struct row *a, const struct row *b, enum sort sort)
{
	switch (sort) {
	case SORT_IN:
		return compare_numbers(a->rates[COUNTER_IN], b->rates[COUNTER_IN]);
	case SORT_BYTES:
		return compare_numbers(a->rates[COUNTER_IN_BYTES], b->rates[COUNTER_IN_BYTES]);
	case SORT_OUT:
		return compare_numbers(a->rates[COUNTER_OUT], b->rates[COUNTER_OUT]);
	case SORT_LOST:
		return compare_numbers((double)row_lost(a), (double)row_lost(b));
	case SORT_QUEUE:
		return compare_numbers((double)a->queued, (double)b->queued);
	case SORT_LAST:
		return strcmp(b->last, a->last);
	default:
		return 0;
	}
}

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct row *left = *(struct row *const *)a, *right = *(struct row *const *)b;
	const struct view *view = context;
	int order = compare_by(left, right, view->sort);

	order = order ? order : strcmp(left->name, right->name);
	return view->is_reversed ? -order : order;
}

static bool matches(const struct row *row, const char *filter)
{
	return !*filter || strcasestr(row->name, filter) ||
	       (row->label && strcasestr(row->label, filter)) ||
	       (row->remark && strcasestr(row->remark, filter));
}

/* Fills in the rows: to be freed. Returns 0 or -ENOMEM. */
static int choose(
	struct drawing *drawing, const struct rows *rows, struct view *view, const char *filter)
{
	drawing->rows = calloc(rows->count + 1, sizeof(*drawing->rows));
	if (!drawing->rows)
		return -ENOMEM;
	for (size_t i = 0; i < rows->count; i++)
		if (matches(rows->items[i], filter))
			drawing->rows[drawing->count++] = rows->items[i];
	/* Rows are sorted by name already. */
	if (view->sort != SORT_NAME || view->is_reversed)
		qsort_r(drawing->rows, drawing->count, sizeof(*drawing->rows), compare_rows, view);
	return 0;
}

/* ---- The frame ---- */

/* Ends a line that must not be longer than the frame is wide. */
static void put_line(
	const struct view *view, struct text *frame, struct text *line, const char *color)
{
	text_append_string(frame, view->has_color ? color : "");
	if (view->width)
		text_append_fitted(frame, text_string(line), view->width, false);
	else
		text_append_shown(frame, line->data, line->length);
	text_append_string(frame, view->has_color && *color ? NORMAL : "");
	text_append(frame, "\n", 1);
	frame->failed |= line->failed;
}

static void append_state(struct text *line, const struct daemon_status *status)
{
	uint64_t started_ns, now_ns = clock_ns(CLOCK_REALTIME);

	text_printf(line, "mcastd %s, pid %" PRId64, status->version, status->pid);
	if (parse_timestamp(status->started, &started_ns) == 0 && now_ns > started_ns) {
		text_append_string(line, ", up ");
		text_append_seconds(line, (now_ns - started_ns) / NS_PER_S);
	}
	text_printf(line, "   %" PRId64 " group%s, %" PRId64 " joined", status->groups,
		plural((uint64_t)status->groups), status->joined);
	if (status->waiting)
		text_printf(line, ", %" PRId64 " waiting", status->waiting);
	if (status->failed)
		text_printf(line, ", %" PRId64 " failed", status->failed);
	text_printf(line, "   %" PRId64 " handler%s", status->handlers,
		plural((uint64_t)status->handlers));
}

/* The daemon; or in red, that it is not there. */
static void put_state(
	const struct view *view, const struct feed *feed, uint64_t now_ns, struct text *frame)
{
	AUTO_TEXT struct text line = {0};
	bool is_late = feed->is_busy && now_ns > feed->begun_ns + PATIENCE_NS;

	if (!feed->why.length && !is_late) {
		append_state(&line, &feed->status);
		put_line(view, frame, &line,
			feed->status.failed || feed->status.waiting ? YELLOW : "");
		return;
	}
	text_append_string(&line, "mcastd ");
	if (feed->why.length)
		text_append(&line, feed->why.data, feed->why.length);
	else
		text_append_string(&line, "does not answer");
	if (feed->answered_ns) {
		text_append_string(&line, ", last seen ");
		text_append_seconds(&line, (now_ns - feed->answered_ns) / NS_PER_S);
		text_append_string(&line, now_ns - feed->answered_ns >= NS_PER_S ? " ago" : "");
	}
	text_append_string(&line, feed->why.length ? "; trying again: " : ": ");
	text_append_shown(&line, feed->session->socket, strlen(feed->session->socket));
	put_line(view, frame, &line, RED_BOLD);
}

static void append_losses(struct text *line, const struct rows *rows, const char *what)
{
	double rate = 0;
	int64_t lost = 0;

	for (size_t i = 0; i < rows->count; i++) {
		rate += row_loss_rate(rows->items[i]);
		lost += row_lost(rows->items[i]);
	}
	if (!lost)
		return;
	text_printf(line, "   %s lost ", what);
	text_append_count(line, (uint64_t)lost);
	if (rate > 0) {
		text_append_string(line, " (");
		text_append_rate(line, rate);
		text_append_string(line, "/s)");
	}
}

static void put_totals(
	const struct view *view, const struct model *model, size_t matching, struct text *frame)
{
	AUTO_TEXT struct text line = {0};
	const double *rates = model->group_rates;
	size_t start;
	bool has_lost;

	text_append_string(&line, "in ");
	text_append_rate(&line, rates[COUNTER_IN]);
	text_append_string(&line, "/s ");
	text_append_rate(&line, rates[COUNTER_IN_BYTES] * 8);
	text_append_string(&line, "bit/s   out ");
	text_append_rate(&line, rates[COUNTER_OUT]);
	text_append_string(&line, "/s ");
	text_append_rate(&line, rates[COUNTER_OUT_BYTES] * 8);
	text_append_string(&line, "bit/s");
	start = line.length;
	append_losses(&line, &model->groups, "groups");
	append_losses(&line, &model->handlers, "handlers");
	has_lost = line.length > start;
	if (view->height && matching > view->page)
		text_printf(&line, "   %zu-%zu of %zu", view->offset + 1,
			at_most(view->offset + view->page, matching), matching);
	put_line(view, frame, &line, has_lost ? RED : "");
}

static const char *sort_name(const struct view *view)
{
	const struct sort_key *key = sort_keys;

	while (key->sort != view->sort)
		key++;
	return key->name;
}

static void put_foot(const struct view *view, struct text *frame)
{
	AUTO_TEXT struct text line = {0};

	if (view->is_typing || *view->filter) {
		text_append(&line, "/", 1);
		text_append_string(&line, view->filter);
		text_append_string(&line,
			view->is_typing ? "_   Enter: keep it   Esc: all" : "   Esc: all   ");
	}
	if (!view->is_typing) {
		text_printf(
			&line, "by %s%s   ", sort_name(view), view->is_reversed ? " reversed" : "");
		for (const struct sort_key *key = sort_keys; key->key; key++)
			text_printf(&line, "%c ", key->key);
		text_printf(&line, "sort  R reverse  / filter  h %s  z zero  q quit",
			view->shows_handlers ? "groups" : "handlers");
	}
	put_line(view, frame, &line, DIM);
}

/* A table of at most lines lines, or of all without a height. Returns how many it has. */
static size_t put_table(struct drawing *drawing, size_t first, size_t lines)
{
	size_t count = less(drawing->count, first);

	measure(drawing);
	put_headings(drawing);
	if (drawing->view->height)
		count = at_most(count, less(lines, 1));
	for (size_t i = 0; i < count; i++)
		put_row(drawing, drawing->rows[first + i]);
	return count + 1;
}

static void limit_offset(struct view *view, size_t count)
{
	view->page = view->height ? less(view->height, HEAD_LINES + FOOT_LINES) : count;
	view->offset = at_most(view->offset, less(count, view->page));
}

int view_draw(struct view *view, const struct feed *feed, uint64_t now_ns, struct text *frame)
{
	const struct model *model = feed->model;
	struct drawing main = {.view = view,
		.model = model,
		.frame = frame,
		.now_ns = clock_ns(CLOCK_REALTIME),
		.is_of_handlers = view->shows_handlers};
	struct drawing below = main;
	size_t lines = less(view->height, HEAD_LINES + FOOT_LINES - 1), used;
	int r = choose(&main, view->shows_handlers ? &model->handlers : &model->groups, view,
		view->filter);

	if (r == 0)
		r = choose(&below, &model->handlers, view, "");
	below.is_of_handlers = true;
	if (r == 0) {
		limit_offset(view, main.count);
		put_state(view, feed, now_ns, frame);
		put_totals(view, model, main.count, frame);
		used = put_table(&main, view->offset, lines);
		if (!view->shows_handlers && below.count &&
			(!view->height || used + BELOW_MIN <= lines)) {
			text_append(frame, "\n", 1);
			used += 1 + put_table(&below, 0, less(lines, used + 1));
		}
		for (; view->height && used < lines; used++)
			text_append(frame, "\n", 1);
		if (view->height)
			put_foot(view, frame);
	}
	free(main.rows);
	free(below.rows);
	return r == 0 && text_failed(frame) ? -ENOMEM : r;
}
