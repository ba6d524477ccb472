/* The directives of the first pass over a page, by the table of values that answers and metrics are
 * made of:
 *
 *   @METRICS@          all metrics
 *   @VALUES@           the fields of io.mcastd that are metrics, too */
#include "control/values.h"
#include "http/metrics.h"
#include "tables.h"

static void append_labels(
	struct text *out, const struct value_table *table, const struct value *value)
{
	if (!*table->labels && !value->by)
		return;
	text_append_string(out, "{_");
	append_plain_string(out, table->labels);
	if (value->by && *table->labels)
		text_append_string(out, ", ");
	if (value->by)
		append_plain_string(out, value->by);
	text_append_string(out, "_}");
}

/* Where the answers of the control socket have the same. */
static void append_field(
	struct text *out, const struct value_table *table, const struct value *value)
{
	if (!value->name)
		return;
	text_append_string(out, " _");
	append_plain_string(out, table->type);
	text_append_string(out, "._");
	text_append_string(out, "*");
	append_plain_string(out, value->name);
	text_append_string(out, "*");
}

static const char *const type_names[] = {[METRIC_COUNTER] = "counter",
	[METRIC_GAUGE] = "gauge",
	[METRIC_SUM] = "sum of a summary",
	[METRIC_COUNT] = "count of a summary"};

static void append_metric(
	struct text *out, const struct value_table *table, const struct value *value)
{
	text_append_string(out, "*");
	append_plain_string(out, value->metric.name);
	text_append_string(out, "*");
	append_labels(out, table, value);
	text_printf(out, ", %s", type_names[value->metric.type]);
	text_append_string(out, "\n\t");
	append_sentence(out, value->metric.help);
	append_field(out, table, value);
	text_append_string(out, "\n\n");
}

static void put_metrics(struct text *out, const char *argument)
{
	(void)argument;
	for (size_t i = 0; metrics_tables[i]; i++)
		for (size_t j = 0; j < metrics_tables[i]->count; j++)
			if (metrics_tables[i]->rows[j].metric.name)
				append_metric(out, metrics_tables[i], &metrics_tables[i]->rows[j]);
}

static void append_field_help(struct text *out, const struct value *value)
{
	text_append_string(out, "*");
	append_plain_string(out, value->name);
	text_append_string(out, "*\n\t");
	append_sentence(out, value->metric.help);
	text_append_string(out, "\n\n");
}

/* The fields of each type of the interface that are metrics as well. */
static void put_values(struct text *out, const char *argument)
{
	(void)argument;
	for (size_t i = 0; metrics_tables[i]; i++) {
		const struct value_table *table = metrics_tables[i];

		if (!table->type)
			continue;
		text_printf(out, "*%s*\n\n", table->type);
		for (size_t j = 0; j < table->count; j++)
			if (table->rows[j].name && table->rows[j].metric.name)
				append_field_help(out, &table->rows[j]);
	}
}

const struct directive directives[] = {
	{"METRICS", put_metrics},
	{"VALUES", put_values},
	{NULL, NULL},
};

const bool directives_are_some = true;
