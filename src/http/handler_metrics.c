/* Metrics of handlers. All numbers are read first, as those of one handler must be of one moment;
 * then they are shown metric by metric. */
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "handlers/ledger.h"
#include "http/metrics.h"
#include "http/samples.h"

/* Handlers that are read for a piece. */
#define READ_AT_ONCE 128

struct interface_sample {
	char *name; /* NULL: what went to interfaces that are gone */
	struct account account;
};

struct handler_sample {
	char *name;
	const char *type;
	const char *const *counted; /* names of account.outcome.counted, or NULL */
	struct handler_numbers numbers;
	bool has_input;
	struct intake_account input;
	struct {
		struct interface_sample *items;
		size_t count;
	} interfaces;
};

struct handler_samples {
	bool complete;
	struct {
		struct handler_sample *items;
		size_t count;
	} list;
};

void handler_samples_free(struct handler_samples *samples)
{
	if (!samples)
		return;
	for (size_t i = 0; i < samples->list.count; i++) {
		struct handler_sample *sample = &samples->list.items[i];

		for (size_t j = 0; j < sample->interfaces.count; j++)
			free(sample->interfaces.items[j].name);
		free(sample->interfaces.items);
		free(sample->name);
	}
	free(samples->list.items);
	free(samples);
}

/* ---- Reading ---- */

static bool read_interface(
	struct handler_sample *sample, const char *name, const struct account *account)
{
	struct interface_sample interface = {.account = *account};

	if (name && !(interface.name = strdup(name)))
		return false;
	if (array_add(&sample->interfaces, interface) >= 0)
		return true;
	free(interface.name);
	return false;
}

static bool read_interfaces(struct handler_sample *sample, struct handler *handler)
{
	const struct ledger *ledger = handler_ledger(handler);
	const struct ledger_interface *interface;
	struct account rest;

	if (!handler_has_interfaces(handler))
		return true;
	list_for_each(interface, &ledger->interfaces, link)
		if (!read_interface(sample, interface->name, interface->account))
			return false;
	ledger_other_interfaces(ledger, &sample->numbers.account, &rest);
	return !rest.received || read_interface(sample, NULL, &rest);
}

static bool read_handler(struct handler_samples *samples, struct handler *handler)
{
	struct handler_sample sample = {.type = handler_type(handler),
		.counted = handler_counters(handler),
		.has_input = handler_intake(handler)};

	struct handler_sample *last;

	sample.name = strdup(handler_name(handler));
	if (!sample.name || array_add(&samples->list, sample) < 0) {
		free(sample.name);
		return false;
	}
	last = &samples->list.items[samples->list.count - 1];
	handler_numbers_read(handler, &last->numbers);
	if (last->has_input)
		intake_read_account(ledger_input(handler_ledger(handler)), &last->input);
	return read_interfaces(last, handler);
}

/* Reads the next ones. Handlers may have come and gone since the last ones. Returns false without
 * memory. */
static bool read_more(const struct handlers *handlers, struct handler_samples *samples)
{
	size_t count = samples->list.count, last = count + READ_AT_ONCE;
	size_t i = count ? handlers_after(handlers, samples->list.items[count - 1].name) : 0;

	for (; i < handlers_count(handlers) && samples->list.count < last; i++)
		if (!read_handler(samples, handlers_at(handlers, i)))
			return false;
	samples->complete = i == handlers_count(handlers);
	return true;
}

/* ---- Showing ---- */

static void put_handler(const struct family *family, struct handler_sample *sample)
{
	struct sample_of of = {.object = &sample->numbers,
		.record = &sample->numbers,
		.labels = {{"handler", sample->name}},
		.label_count = 1};

	samples_put(family, &of);
}

static void put_info(const struct family *family, struct handler_sample *sample)
{
	struct sample_of of = {
		.labels = {{"handler", sample->name}, {"type", sample->type}}, .label_count = 2};

	samples_put(family, &of);
}

static void put_counted(const struct family *family, struct handler_sample *sample)
{
	const char *const *names = sample->counted;
	struct sample_of of = {.labels = {{"handler", sample->name}}, .label_count = 1};

	for (size_t i = 0; names && names[i]; i++) {
		of.record = &sample->numbers.account.outcome.counted[i];
		if (!strcmp(names[i], family->value->name))
			samples_put(family, &of);
	}
}

static void put_interfaces(const struct family *family, struct handler_sample *sample)
{
	for (size_t i = 0; i < sample->interfaces.count; i++) {
		struct interface_sample *interface = &sample->interfaces.items[i];
		struct sample_of of = {.object = &interface->account,
			.record = &interface->account,
			.labels = {{"handler", sample->name},
				{"interface", interface->name ? interface->name : ""}},
			.label_count = 2};

		samples_put(family, &of);
	}
}

static void put_input(const struct family *family, struct handler_sample *sample)
{
	struct sample_of of = {.object = &sample->input,
		.record = &sample->input,
		.labels = {{"handler", sample->name}},
		.label_count = 1};

	if (sample->has_input)
		samples_put(family, &of);
}

static uint64_t one(void *object)
{
	(void)object;
	return 1;
}

static const struct value info_rows[] = {
	{NULL,
		{"mcastd_handler_info", METRIC_GAUGE,
			"The type of the handler, as a label; always 1."},
		.read = one},
};

const struct value_table handler_info_values = {
	NULL, "handler, type", info_rows, ARRAY_SIZE(info_rows)};

static const struct {
	const struct value_table *table;
	void (*put)(const struct family *family, struct handler_sample *sample);
} tables[] = {
	{&handler_info_values, put_info},
	{&handler_values, put_handler},
	{&counted_values, put_counted},
	{&interface_values, put_interfaces},
	{&input_values, put_input},
};

/* Continues one metric. Returns whether it is complete. */
static bool put_family(struct metrics_cursor *cursor, const struct family *family)
{
	const struct handler_samples *samples = cursor->handlers;

	for (size_t visits = 0; cursor->index < samples->list.count; cursor->index++, visits++) {
		if (family->text->length >= METRICS_PIECE || visits == METRICS_VISITS)
			return false;
		tables[cursor->table].put(family, &samples->list.items[cursor->index]);
	}
	return true;
}

/* Continues the metrics of one table. Returns whether they are complete. */
static bool put_table(
	struct metrics_cursor *cursor, const struct value_table *table, struct text *text)
{
	struct family family = {.text = text, .has_head = &cursor->has_head};

	for (; cursor->row < table->count; metrics_advance(cursor)) {
		family.value = &table->rows[cursor->row];
		if (family.value->metric.name && !put_family(cursor, &family))
			return false;
	}
	return true;
}

bool metrics_put_handlers(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	if (!cursor->handlers && !(cursor->handlers = calloc(1, sizeof(*cursor->handlers)))) {
		text->failed = true;
		return false;
	}
	if (!cursor->handlers->complete) {
		text->failed = !read_more(context->handlers, cursor->handlers);
		return false;
	}
	for (; cursor->table < ARRAY_SIZE(tables); metrics_advance_table(cursor))
		if (!put_table(cursor, tables[cursor->table].table, text))
			return false;
	return true;
}
