#include "control/members.h"

#include "base/clock.h"
#include "base/json.h"

/* Every one, also those with 0: readers need not know them beforehand. */
static void put_several(
	struct text *text, const struct value *value, void *object, const void *record)
{
	uint64_t room[VALUES_MAX];
	const uint64_t *counts = value_read_all(value, object, record, room);

	json_put_open(text, value->name, '{');
	for (unsigned i = 0; i < value->count; i++)
		if (value->name_at(i))
			json_put_number(text, value->name_at(i), counts[i]);
	json_put_close(text, '}');
}

static void put_time(struct text *text, const char *name, uint64_t ns)
{
	char string[TIMESTAMP_MAX];

	json_put_string(text, name, ns ? format_timestamp(ns, string) : NULL);
}

static void put_seconds(struct text *text, const char *name, uint64_t ns)
{
	json_put_member(text, name);
	text_printf(text, "%llu.%09llu", (unsigned long long)(ns / NS_PER_S),
		(unsigned long long)(ns % NS_PER_S));
}

static void put_age(struct text *text, const char *name, uint64_t since_ns)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (since_ns)
		put_seconds(text, name, now > since_ns ? now - since_ns : 0);
	else
		json_put_string(text, name, NULL);
}

static void put_value(
	struct text *text, const struct value *value, void *object, const void *record)
{
	uint64_t number = value_read(value, object, record);

	switch (value->unit) {
	case VALUE_NUMBER:
	case VALUE_MS:
	case VALUE_PERCENT:
		json_put_number(text, value->name, number);
		break;
	case VALUE_FLAG:
		json_put_flag(text, value->name, number);
		break;
	case VALUE_NS:
		json_put_number(text, value->name, number / NS_PER_MS);
		break;
	case VALUE_SECONDS:
		put_seconds(text, value->name, number);
		break;
	case VALUE_NS_FINE:
		json_put_number(text, value->name, number / 1000);
		break;
	case VALUE_TIME:
		put_time(text, value->name, number);
		break;
	case VALUE_SINCE:
		put_age(text, value->name, number);
		break;
	}
}

static void put_member(
	struct text *text, const struct value *value, void *object, const void *record)
{
	if (value->is_optional && !value->applies(object))
		json_put_string(text, value->name, NULL);
	else if (value->by)
		put_several(text, value, object, record);
	else
		put_value(text, value, object, record);
}

const struct value *members_put(
	struct text *text, const struct value *row, void *object, const void *record)
{
	for (; !value_ends_section(row); row++)
		if (row->name)
			put_member(text, row, object, record);
	return row + 1;
}
