#include "http/samples.h"

#include "base/clock.h"

/* Numbers, or billionths of the unit in which the metric is. */
static bool is_decimal(const struct value *value)
{
	return value->unit != VALUE_NUMBER && value->unit != VALUE_FLAG;
}

static uint64_t to_billionths(const struct value *value, uint64_t number)
{
	uint64_t now;

	switch (value->unit) {
	case VALUE_MS:
		return number * NS_PER_MS;
	case VALUE_PERCENT:
		return number * (NS_PER_S / 100);
	case VALUE_SINCE:
		now = clock_ns(CLOCK_MONOTONIC);
		return number && now > number ? now - number : 0;
	case VALUE_NUMBER:
	case VALUE_FLAG:
	case VALUE_NS:
	case VALUE_NS_FINE:
	case VALUE_SECONDS:
	case VALUE_TIME:
		break;
	}
	return number;
}

static void put_number(struct text *text, const struct value *value, const struct sample_of *of,
	size_t label_count, uint64_t number)
{
	if (is_decimal(value))
		exposition_decimal(text, &value->metric, of->labels, label_count,
			to_billionths(value, number));
	else
		exposition_number(text, &value->metric, of->labels, label_count, number);
}

static void put_several(struct text *text, const struct value *value, struct sample_of *of)
{
	const uint64_t *numbers = (const uint64_t *)((const char *)of->record + value->offset);
	struct label *label = &of->labels[of->label_count];

	label->name = value->by;
	for (unsigned i = 0; i < value->count; i++) {
		label->value = value->name_at(i);
		put_number(text, value, of, of->label_count + 1, numbers[i]);
	}
}

void samples_put(const struct family *family, struct sample_of *of)
{
	const struct value *value = family->value;
	bool applies = !value->applies || value->applies(of->object);
	uint64_t number = 0;

	if (!value->metric.name || (!applies && value->is_optional))
		return;
	if (!value->by)
		number = value_read(value, of->object, of->record);
	if (!applies && !number)
		return;
	if (!*family->has_head)
		exposition_head(family->text, &value->metric);
	*family->has_head = true;
	if (value->by)
		put_several(family->text, value, of);
	else
		put_number(family->text, value, of, of->label_count, number);
}

void samples_put_all(struct text *text, const struct value_table *table, struct sample_of *of)
{
	for (size_t i = 0; i < table->count; i++) {
		struct family family = {text, &table->rows[i], &(bool){false}};

		samples_put(&family, of);
	}
}
