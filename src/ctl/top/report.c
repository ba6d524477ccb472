#include "ctl/top/report.h"

#include "base/json.h"

/* In three decimals; null before there are two looks. */
static void put_rate(struct text *text, const char *name, const struct row *row, double rate)
{
	json_put_member(text, name);
	if (row->has_rates)
		text_printf(text, "%.3f", rate);
	else
		text_append_string(text, "null");
}

static void put_losses(struct text *text, const struct row *row)
{
	json_put_open(text, "lostPerSecond", '{');
	for (size_t i = 0; i < row->loss_count; i++)
		if (row->losses[i].rate > 0)
			put_rate(text, row->losses[i].reason, row, row->losses[i].rate);
	json_put_close(text, '}');
	json_put_number(text, "lost", (uint64_t)row_lost(row));
	json_put_number(text, "queued", (uint64_t)row->queued);
}

static void put_group(struct text *text, const struct row *row)
{
	json_put_open(text, NULL, '{');
	json_put_string(text, "name", row->name);
	put_rate(text, "receivedPerSecond", row, row->rates[COUNTER_IN]);
	put_rate(text, "receivedBitsPerSecond", row, row->rates[COUNTER_IN_BYTES] * 8);
	put_rate(text, "sentPerSecond", row, row->rates[COUNTER_OUT]);
	put_rate(text, "sentBitsPerSecond", row, row->rates[COUNTER_OUT_BYTES] * 8);
	put_losses(text, row);
	json_put_string(text, "lastReceived", *row->last ? row->last : NULL);
	json_put_flag(text, "silent", row->is_silent);
	json_put_string(text, "problem", row->remark);
	json_put_close(text, '}');
}

static void put_handler(struct text *text, const struct row *row)
{
	json_put_open(text, NULL, '{');
	json_put_string(text, "name", row->name);
	put_rate(text, "receivedPerSecond", row, row->rates[COUNTER_IN]);
	put_rate(text, "deliveredPerSecond", row, row->rates[COUNTER_OUT]);
	put_losses(text, row);
	json_put_string(text, "problem", row->remark);
	json_put_close(text, '}');
}

void report_append(struct text *text, const struct feed *feed)
{
	const struct model *model = feed->model;
	char timestamp[TIMESTAMP_MAX];

	json_put_open(text, NULL, '{');
	json_put_string(text, "timestamp", format_timestamp(clock_ns(CLOCK_REALTIME), timestamp));
	if (feed->why.length) {
		AUTO_TEXT struct text why = {0};

		feed_explain(feed, &why);
		json_put_string(text, "error", text_string(&why));
	} else {
		json_put_open(text, "groups", '[');
		for (size_t i = 0; i < model->groups.count; i++)
			put_group(text, model->groups.items[i]);
		json_put_close(text, ']');
		json_put_open(text, "handlers", '[');
		for (size_t i = 0; i < model->handlers.count; i++)
			put_handler(text, model->handlers.items[i]);
		json_put_close(text, ']');
	}
	json_put_close(text, '}');
	text_append(text, "\n", 1);
}
