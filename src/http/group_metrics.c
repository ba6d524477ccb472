/* Metrics of groups, their memberships, the interfaces that they send on, and their senders: metric
 * by metric, and each group by group. Groups may come and go between two pieces. */
#include <stdio.h>

#include "formats/numbers.h"
#include "http/metrics.h"
#include "http/samples.h"

static void put_group(const struct family *family, struct group *group)
{
	struct sample_of of = {.object = group,
		.record = group->counters,
		.labels = {{"group", group->config->name}},
		.label_count = 1};

	samples_put(family, &of);
}

static void put_memberships(const struct family *family, struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++) {
		struct membership *membership = group->memberships.items[i];
		struct sample_of of = {.object = membership,
			.record = membership->counters,
			.labels = {{"group", group->config->name},
				{"interface", membership->interface}},
			.label_count = 2};

		samples_put(family, &of);
	}
}

static void put_ways(const struct family *family, struct group *group)
{
	for (size_t i = 0; i < group->outgoing.ways.count; i++) {
		struct way *way = group->outgoing.ways.items[i];
		struct sample_of of = {.object = way,
			.record = way->counters,
			.labels = {{"group", group->config->name},
				{"interface", way->interface ? way->interface : ""}},
			.label_count = 2};

		samples_put(family, &of);
	}
}

static void put_numbered(const struct family *family, struct group *group)
{
	struct sample_of of = {.object = group,
		.record = group->numbered.counters,
		.labels = {{"group", group->config->name}},
		.label_count = 1};

	if (group->numbered.counters)
		samples_put(family, &of);
}

static void put_legs(const struct family *family, struct group *group)
{
	for (unsigned i = 0; group->merged && i < group->merged->leg_count; i++) {
		struct merge_leg *leg = &group->merged->legs[i];
		struct sample_of of = {.object = leg,
			.record = leg->counters,
			.labels = {{"group", group->config->name}, {"leg", merge_leg_name(leg)}},
			.label_count = 2};

		samples_put(family, &of);
	}
}

/* numbers of the stream are NULL where it has none. object has the record. */
static void put_stream(const struct family *family, const struct group *group,
	const struct known_sender *sender, const struct stream_numbers *numbers, void *object)
{
	AUTO_TEXT struct text stream = {0};
	char address[INET6_ADDRSTRLEN], port[8];
	struct sample_of of = {.object = object, .record = object, .label_count = 5};

	if (numbers)
		numbers_append_stream(&group->numbered.numbering, sender->stream, &stream);
	snprintf(port, sizeof(port), "%u", sender->port);
	of.labels[0] = (struct label){"group", group->config->name};
	of.labels[1] = (struct label){"interface", sender->interface};
	of.labels[2] = (struct label){"source", address_format(&sender->address, address)};
	of.labels[3] = (struct label){"port", port};
	of.labels[4] = (struct label){"stream", text_string(&stream)};
	samples_put(family, &of);
}

static void put_streams(const struct family *family, struct group *group)
{
	struct known_sender sender;
	struct stream_numbers numbers;
	unsigned cursor = 0;

	while (known_senders_next(group->sender_watch.known, &cursor, &sender))
		if (numbered_read_stream(&group->numbered, &sender, &numbers))
			put_stream(family, group, &sender, &numbers, &numbers);
}

/* A sender is known once for each of its streams. */
static void put_senders(const struct family *family, struct group *group)
{
	struct known_sender sender;
	struct stream_numbers numbers;
	unsigned cursor = 0;

	while (known_senders_next(group->sender_watch.known, &cursor, &sender)) {
		bool is_numbered = numbered_read_stream(&group->numbered, &sender, &numbers);

		put_stream(family, group, &sender, is_numbered ? &numbers : NULL, &sender);
	}
}

static const struct {
	const struct value_table *table;
	void (*put)(const struct family *family, struct group *group);
	bool only_with_senders;
} tables[] = {
	{&group_values, put_group, false},
	{&membership_values, put_memberships, false},
	{&way_values, put_ways, false},
	{&numbered_values, put_numbered, false},
	{&leg_values, put_legs, false},
	{&sender_values, put_senders, true},
	{&jitter_values, put_streams, true},
	{&stream_values, put_streams, true},
};

/* Continues one metric. Returns whether it is complete. */
static bool put_family(const struct http_context *context, struct metrics_cursor *cursor,
	const struct family *family)
{
	size_t first = groups_after(context->groups, cursor->last), i = first;
	size_t visits = family->value->is_slow ? METRICS_SLOW_VISITS : METRICS_VISITS;

	for (; i < groups_count(context->groups); i++) {
		struct group *group = groups_at(context->groups, i);

		if (family->text->length >= METRICS_PIECE || i - first == visits)
			break;
		if (!group_is_hidden(group))
			tables[cursor->table].put(family, group);
	}
	if (i == groups_count(context->groups))
		return true;
	if (i > first)
		snprintf(cursor->last, sizeof(cursor->last), "%s",
			groups_at(context->groups, i - 1)->config->name);
	return false;
}

/* Continues the metrics of one table. Returns whether they are complete. */
static bool put_table(const struct http_context *context, struct metrics_cursor *cursor,
	const struct value_table *table, struct text *text)
{
	struct family family = {.text = text, .has_head = &cursor->has_head};

	for (; cursor->row < table->count; metrics_advance(cursor)) {
		family.value = &table->rows[cursor->row];
		if (family.value->metric.name && !put_family(context, cursor, &family))
			return false;
	}
	return true;
}

bool metrics_put_groups(
	const struct http_context *context, struct metrics_cursor *cursor, struct text *text)
{
	for (; cursor->table < ARRAY_SIZE(tables); metrics_advance_table(cursor))
		if ((context->senders || !tables[cursor->table].only_with_senders) &&
			!put_table(context, cursor, tables[cursor->table].table, text))
			return false;
	return true;
}
