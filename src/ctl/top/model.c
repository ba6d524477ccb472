#include "ctl/top/model.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "base/array.h"
#include "base/sums.h"
#include "ctl/human.h"
#include "net/address.h"

/* ---- Rows ---- */

static void free_row(struct row *row)
{
	free(row->name);
	free(row->label);
	free(row->remark);
	free(row->losses);
	free(row);
}

DEFINE_CLEANUP(struct row *, free_row)

static int compare_name(const void *key, const void *item)
{
	return strcmp(key, (*(struct row *const *)item)->name);
}

static size_t place_of(const struct rows *rows, const char *name)
{
	return lower_bound(name, rows->items, rows->count, sizeof(*rows->items), compare_name);
}

static size_t shown_columns(const char *string)
{
	AUTO_TEXT struct text shown = {0};

	text_append_shown(&shown, string, strlen(string));
	return text_columns(shown.data, shown.length);
}

static struct row *find(const struct rows *rows, const char *name)
{
	size_t i = place_of(rows, name);

	return i < rows->count && !strcmp(rows->items[i]->name, name) ? rows->items[i] : NULL;
}

/* NULL: without memory. */
static struct row *find_or_add(struct rows *rows, const char *name)
{
	CLEANUP(free_rowp) struct row *row = NULL;
	size_t i = rows->next;

	if (i >= rows->count || strcmp(rows->items[i]->name, name))
		i = place_of(rows, name);
	rows->next = i + 1;
	if (i < rows->count && !strcmp(rows->items[i]->name, name))
		return rows->items[i];
	row = calloc(1, sizeof(*row));
	if (!row || !(row->name = strdup(name)) || array_add(rows, row) < 0)
		return NULL;
	row->name_columns = shown_columns(name);
	for (size_t j = 0; j < HISTORY_MAX; j++)
		row->history[j] = NAN;
	memmove(rows->items + i + 1, rows->items + i, (rows->count - 1 - i) * sizeof(row));
	rows->items[i] = row;
	return take(row);
}

static void clear_rows(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		free_row(rows->items[i]);
	free(rows->items);
	*rows = (struct rows){0};
}

/* ---- Counters ---- */

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* The growth of a counter; below 0 where it was set back. */
static int64_t grow(int64_t *counter, int64_t now)
{
	int64_t growth = now;

	sum_subtract(&growth, *counter);
	*counter = now;
	return growth;
}

/* NULL: without memory. */
static const char *intern(struct model *model, const char *reason)
{
	for (size_t i = 0; i < model->reason_count; i++)
		if (!strcmp(model->reasons[i], reason))
			return model->reasons[i];
	if (model->reason_count == REASONS_MAX)
		return "other";
	if (!(model->reasons[model->reason_count] = strdup(reason)))
		return NULL;
	return model->reasons[model->reason_count++];
}

static struct loss *find_loss(struct row *row, const char *reason)
{
	for (size_t i = 0; i < row->loss_count; i++)
		if (!strcmp(row->losses[i].reason, reason))
			return &row->losses[i];
	return NULL;
}

static struct loss *add_loss(struct model *model, struct row *row, const char *reason)
{
	struct loss *losses = array_grow(row->losses, row->loss_count, sizeof(*losses));
	const char *name = intern(model, reason);

	if (losses)
		row->losses = losses;
	if (!losses || !name || row->loss_count >= REASONS_MAX)
		return NULL;
	losses[row->loss_count] = (struct loss){.reason = name};
	return &losses[row->loss_count++];
}

/* One round of a row. */
struct look {
	struct model *model;
	struct row *row;
	double seconds; /* since the one before; 0: there is none */
	bool was_set_back; /* the daemon has restarted, and its counters with it */
};

static void put_counter(struct look *look, enum counter which, int64_t now)
{
	int64_t growth = grow(&look->row->counters[which], now);

	look->was_set_back |= growth < 0;
	look->row->rates[which] = look->seconds > 0 && growth > 0 ? (double)growth / look->seconds
								  : 0;
}

static void put_loss(struct look *look, const char *reason, int64_t now)
{
	struct loss *loss = find_loss(look->row, reason);
	int64_t growth;

	if (!loss && !now)
		return;
	if (!loss && !(loss = add_loss(look->model, look->row, reason))) {
		look->model->has_failed = true;
		return;
	}
	growth = grow(&loss->count, now);
	look->was_set_back |= growth < 0;
	if (growth < 0 || look->seconds <= 0)
		growth = 0; /* what was before the first look is not of interest here */
	sum_add(&loss->since, growth);
	loss->rate = growth ? (double)growth / look->seconds : 0;
}

/* What counts as lost, the daemon says. */
static void put_losses(struct look *look, const json_t *object)
{
	const char *reason;
	json_t *count;

	json_object_foreach(json_object_get(object, "lost"), reason, count)
		put_loss(look, reason, json_integer_value(count));
}

/* Returns whether it differs: nearly never. */
static bool set_string(struct model *model, char **string, const char *now)
{
	if (now && *string && !strcmp(*string, now))
		return false;
	free(*string);
	*string = now ? strdup(now) : NULL;
	model->has_failed |= now && !*string;
	return true;
}

static void set_label(struct look *look, const char *label)
{
	if (set_string(look->model, &look->row->label, label))
		look->row->label_columns = label ? shown_columns(label) : 0;
}

static struct look begin_look(
	struct model *model, struct rows *rows, const json_t *object, uint64_t now_ns)
{
	const char *name = json_string_value(json_object_get(object, "name"));
	struct look look = {.model = model, .row = name ? find_or_add(rows, name) : NULL};

	if (!look.row) {
		model->has_failed = true;
		return look;
	}
	if (look.row->seen_ns && now_ns > look.row->seen_ns)
		look.seconds = (double)(now_ns - look.row->seen_ns) / 1e9;
	look.row->seen_ns = now_ns;
	look.row->round = model->round;
	return look;
}

static void end_look(struct look *look)
{
	struct row *row = look->row;

	row->has_rates = look->seconds > 0 && !look->was_set_back;
	if (row->has_rates)
		return;
	memset(row->rates, 0, sizeof(row->rates));
	for (size_t i = 0; i < row->loss_count; i++)
		row->losses[i].rate = 0;
}

/* ---- Handlers ---- */

void model_put_handler(struct model *model, const json_t *handler, uint64_t now_ns)
{
	struct look look = begin_look(model, &model->handlers, handler, now_ns);
	const json_t *oldest = json_object_get(handler, "oldestQueued");
	const char *error = json_string_value(json_object_get(handler, "error"));

	if (!look.row)
		return;
	put_counter(&look, COUNTER_IN, number(handler, "received"));
	put_counter(&look, COUNTER_OUT, number(handler, "delivered"));
	put_losses(&look, handler);
	look.row->queued = number(handler, "queued");
	look.row->queued_max = number(handler, "queuedMax");
	look.row->oldest_s = json_is_number(oldest) ? json_number_value(oldest) : -1;
	look.row->state = error ? ROW_FAILED : ROW_GOOD;
	set_label(&look, json_string_value(json_object_get(handler, "type")));
	set_string(model, &look.row->remark, error);
	end_look(&look);
}

/* ---- Groups ---- */

static int64_t queue_of(const struct model *model, const json_t *group)
{
	const json_t *names = json_object_get(group, "handlers");
	int64_t most = 0;

	for (size_t i = 0; i < json_array_size(names); i++) {
		const char *name = json_string_value(json_array_get(names, i));
		const struct row *handler = name ? find(&model->handlers, name) : NULL;

		if (handler && handler->queued > most)
			most = handler->queued;
	}
	return most;
}

/* The membership that is worst off. */
static void put_state(struct look *look, const json_t *group)
{
	const json_t *memberships = json_object_get(group, "memberships"), *worst = NULL;
	enum row_state state = ROW_GOOD;
	AUTO_TEXT struct text remark = {0};

	for (size_t i = 0; i < json_array_size(memberships); i++) {
		const json_t *membership = json_array_get(memberships, i);
		const char *word = json_string_value(json_object_get(membership, "state"));
		enum row_state its = !word || !strcmp(word, "joined") ? ROW_GOOD
				     : !strcmp(word, "failed")        ? ROW_FAILED
								      : ROW_WAITING;

		if (its > state) {
			state = its;
			worst = membership;
		}
	}
	look->row->state = state;
	if (worst) {
		const char *interface = json_string_value(json_object_get(worst, "interface"));
		const char *error = json_string_value(json_object_get(worst, "error"));

		text_printf(&remark, "%s %s%s%s", interface ? interface : "",
			state == ROW_FAILED ? "failed" : "waiting", error ? ": " : "",
			error ? error : "");
	}
	set_string(look->model, &look->row->remark, worst ? text_string(&remark) : NULL);
}

static void put_label(struct look *look, const json_t *group)
{
	const char *address = json_string_value(json_object_get(group, "address"));
	char string[ENDPOINT_STRING_MAX] = "";

	if (address && *address)
		format_address_port(address, (unsigned)number(group, "port"), string);
	set_label(look, string);
}

void model_put_group(struct model *model, const json_t *group, uint64_t now_ns)
{
	struct look look = begin_look(model, &model->groups, group, now_ns);
	const char *last = json_string_value(json_object_get(group, "lastReceived"));

	if (!look.row)
		return;
	put_counter(&look, COUNTER_IN, number(group, "received"));
	put_counter(&look, COUNTER_IN_BYTES, number(group, "receivedBytes"));
	put_counter(&look, COUNTER_OUT, number(group, "sent"));
	put_counter(&look, COUNTER_OUT_BYTES, number(group, "sentBytes"));
	put_losses(&look, group);
	look.row->queued = queue_of(model, group);
	look.row->is_silent = json_is_true(json_object_get(group, "silent"));
	snprintf(look.row->last, sizeof(look.row->last), "%s", last ? last : "");
	put_label(&look, group);
	put_state(&look, group);
	end_look(&look);
}

/* ---- Rounds ---- */

void model_begin(struct model *model)
{
	model->round++;
	model->has_failed = false;
	model->groups.next = model->handlers.next = 0;
}

/* Removes what was not in this round. */
static void sweep(struct rows *rows, unsigned round)
{
	size_t kept = 0;

	for (size_t i = 0; i < rows->count; i++)
		if (rows->items[i]->round == round)
			rows->items[kept++] = rows->items[i];
		else
			free_row(rows->items[i]);
	rows->count = kept;
}

static void record(struct rows *rows, size_t at, bool is_missed)
{
	for (size_t i = 0; i < rows->count; i++) {
		struct row *row = rows->items[i];
		float rate = (float)row->rates[COUNTER_IN];

		row->has_rates &= !is_missed;
		if (!row->has_rates)
			rate = NAN;
		else if (row_loss_rate(row) > 0)
			rate = -rate;
		row->history[at] = rate;
	}
}

static void advance(struct model *model, bool is_missed)
{
	model->at = (model->at + 1) % HISTORY_MAX;
	record(&model->groups, model->at, is_missed);
	record(&model->handlers, model->at, is_missed);
}

void model_end(struct model *model)
{
	sweep(&model->groups, model->round);
	sweep(&model->handlers, model->round);
	advance(model, false);
	memset(model->group_rates, 0, sizeof(model->group_rates));
	model->has_sent = false;
	for (size_t i = 0; i < model->groups.count; i++) {
		model->has_sent |= model->groups.items[i]->counters[COUNTER_OUT] != 0;
		for (int j = 0; j < COUNTERS; j++)
			model->group_rates[j] += model->groups.items[i]->rates[j];
	}
}

void model_miss(struct model *model)
{
	advance(model, true);
}

static void forget(struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		for (size_t j = 0; j < rows->items[i]->loss_count; j++)
			rows->items[i]->losses[j].since = 0;
}

void model_forget_losses(struct model *model)
{
	forget(&model->groups);
	forget(&model->handlers);
}

void model_clear(struct model *model)
{
	clear_rows(&model->groups);
	clear_rows(&model->handlers);
	for (size_t i = 0; i < model->reason_count; i++)
		free(model->reasons[i]);
	*model = (struct model){0};
}

int64_t row_lost(const struct row *row)
{
	int64_t lost = 0;

	for (size_t i = 0; i < row->loss_count; i++)
		sum_add(&lost, row->losses[i].since);
	return lost;
}

double row_loss_rate(const struct row *row)
{
	double rate = 0;

	for (size_t i = 0; i < row->loss_count; i++)
		rate += row->losses[i].rate;
	return rate;
}
