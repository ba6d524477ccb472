#include "http/status.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "control/values.h"
#include "handlers/ledger.h"
#include "http/page.h"
#include "http/recent_events.h"

/* For how long a document is given to further readers. */
#define FRESH_NS NS_PER_S

/* Groups or handlers of a piece. The kernel is asked for what it has dropped, for each membership.
 */
#define VISITS 32

/* Where a document has come to. */
struct cursor {
	size_t part;
	bool begun; /* the part */
	char last[GROUP_NAME_MAX + 1]; /* the last name of the part's list; empty: none yet */
};

struct document {
	unsigned references;
	uint64_t begun_ns; /* CLOCK_MONOTONIC */
	bool senders; /* it may have addresses of senders */
	bool is_complete;
	struct cursor cursor;
	struct text text;
};

struct status {
	struct document *latest; /* NULL: there is none */
};

/* ---- What is in it: zeros and empty lists are left out ---- */

static void put_count(struct text *text, const char *name, uint64_t count)
{
	if (count)
		json_put_number(text, name, count);
}

static void put_error(struct text *text, const char *name, const char *error)
{
	if (error)
		json_put_string(text, name, error);
}

/* "lastReceived": lastReceivedMs */
static void put_ms(struct text *text, const char *name, uint64_t ns)
{
	char in_ms[64];

	snprintf(in_ms, sizeof(in_ms), "%sMs", name);
	put_count(text, in_ms, ns / NS_PER_MS);
}

static void put_several(
	struct text *text, const struct value *value, void *object, const void *record)
{
	uint64_t room[VALUES_MAX];
	const uint64_t *counts = value_read_all(value, object, record, room);
	bool are_any = false;

	for (unsigned i = 0; i < value->count; i++) {
		if (counts[i] && !are_any)
			json_put_open(text, value->name, '{');
		are_any |= counts[i] != 0;
		if (value->name_at(i))
			put_count(text, value->name_at(i), counts[i]);
	}
	if (are_any)
		json_put_close(text, '}');
}

static void put_value(struct text *text, const struct value *value, uint64_t number)
{
	uint64_t now;

	switch (value->unit) {
	case VALUE_NUMBER:
	case VALUE_MS:
	case VALUE_PERCENT:
		put_count(text, value->name, number);
		break;
	case VALUE_FLAG:
		if (number)
			json_put_true(text, value->name);
		break;
	case VALUE_NS:
		put_count(text, value->name, number / NS_PER_MS);
		break;
	case VALUE_NS_FINE:
		put_count(text, value->name, number / 1000);
		break;
	case VALUE_SECONDS:
	case VALUE_TIME:
		put_ms(text, value->name, number);
		break;
	case VALUE_SINCE:
		now = clock_ns(CLOCK_MONOTONIC);
		put_ms(text, value->name, number && now > number ? now - number : 0);
		break;
	}
}

/* What answers of the control socket have, by the same table, under the same names. */
static void put_values(
	struct text *text, const struct value_table *table, void *object, const void *record)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct value *value = &table->rows[i];

		if (!value->name)
			continue;
		if (value->by)
			put_several(text, value, object, record);
		else
			put_value(text, value, value_read(value, object, record));
	}
}

static void put_strings(struct text *text, const char *name, const struct string_list *list)
{
	if (!list->count)
		return;
	json_put_open(text, name, '[');
	for (size_t i = 0; i < list->count; i++)
		json_put_string(text, NULL, list->items[i]);
	json_put_close(text, ']');
}

static void put_sources(struct text *text, const struct address_list *list)
{
	char string[INET6_ADDRSTRLEN];

	if (!list->count)
		return;
	json_put_open(text, "sources", '[');
	for (size_t i = 0; i < list->count; i++)
		json_put_string(text, NULL, address_format(&list->items[i], string));
	json_put_close(text, ']');
}

static void put_loop(struct text *text, struct loop_meter *meter, uint64_t now_ns)
{
	json_put_open(text, "loop", '{');
	json_put_number(text, "rounds", meter->rounds);
	json_put_number(text, "busyMicroseconds", meter->busy_ns / 1000);
	json_put_number(text, "longestMicroseconds", loop_meter_longest(meter, now_ns) / 1000);
	json_put_close(text, '}');
}

static bool put_daemon(const struct http_context *context, struct cursor *cursor, struct text *text)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	(void)cursor;
	json_put_string(text, "version", context->version);
	json_put_number(text, "pid", (uint64_t)getpid());
	json_put_number(text, "startedMs", context->started_ns / NS_PER_MS);
	json_put_number(text, "timestampMs", clock_ns(CLOCK_REALTIME) / NS_PER_MS);
	json_put_number(text, "clockMs", now / NS_PER_MS);
	put_loop(text, context->meter, now);
	return true;
}

static void put_event(struct text *text, const struct recent_event *event, bool shows_senders)
{
	struct notice notice = *event->notice;

	if (!shows_senders) {
		notice.source = NULL;
		notice.other_source = NULL;
	}
	notice_append_json(text, &notice, event->happened_ns);
}

static bool put_events(const struct http_context *context, struct cursor *cursor, struct text *text)
{
	const struct recent_event *event;

	(void)cursor;
	json_put_open(text, "events", '[');
	for (unsigned i = 0; i < RECENT_EVENTS_MAX; i++)
		if ((event = recent_events_at(context->recent, i)))
			put_event(text, event, context->senders);
	json_put_close(text, ']');
	return true;
}

static void put_input(struct text *text, struct handler *handler)
{
	struct intake_account account;

	if (!handler_intake(handler))
		return;
	intake_read_account(ledger_input(handler_ledger(handler)), &account);
	json_put_open(text, "input", '{');
	put_values(text, &input_values, &account, &account);
	json_put_close(text, '}');
}

static void put_handler(const struct http_context *context, size_t i, struct text *text)
{
	struct handler *handler = handlers_at(context->handlers, i);
	struct handler_numbers numbers;

	handler_numbers_read(handler, &numbers);
	json_put_open(text, NULL, '{');
	json_put_string(text, "name", handler_name(handler));
	json_put_string(text, "type", handler_type(handler));
	put_error(text, "error", handler_error(handler));
	put_values(text, &handler_values, &numbers, &numbers);
	if (numbers.has_queue)
		json_put_number(text, "queuePercent", numbers.queue_used);
	put_input(text, handler);
	json_put_close(text, '}');
}

static void put_membership(struct text *text, const struct membership *membership)
{
	json_put_open(text, NULL, '{');
	json_put_string(text, "interface", membership->interface);
	if (membership->state != MEMBERSHIP_JOINED) {
		json_put_string(text, "state", membership_state_name(membership->state));
		json_put_number(text, "sinceMs", membership->since_ns / NS_PER_MS);
	}
	put_error(text, "error", membership->error);
	if (membership->counters->joins > 1)
		json_put_number(text, "joins", membership->counters->joins);
	put_count(text, "received", membership->counters->received);
	put_count(text, "kernelDropped", membership->counters->kernel_dropped);
	put_count(text, "notSent",
		outgoing_not_sent(&membership->group->outgoing, membership->interface));
	json_put_close(text, '}');
}

static void put_way(struct text *text, const struct way *way)
{
	char why[WHY_MAX];

	json_put_open(text, NULL, '{');
	json_put_string(text, "interface", way->interface);
	put_error(text, "error", group_way_error(way, why));
	put_count(text, "notSent", way->counters ? way->counters->not_sent : 0);
	json_put_close(text, '}');
}

/* Only those with which something is wrong. */
static void put_ways(struct text *text, const struct ways *ways)
{
	bool are_any = false;

	for (size_t i = 0; i < ways->count; i++) {
		const struct way *way = ways->items[i];

		if (!way->error && !way->refused && !(way->counters && way->counters->not_sent))
			continue;
		if (!are_any)
			json_put_open(text, "outgoing", '[');
		are_any = true;
		put_way(text, way);
	}
	if (are_any)
		json_put_close(text, ']');
}

static void put_memberships(struct text *text, const struct group *group)
{
	json_put_open(text, "memberships", '[');
	for (size_t i = 0; i < group->memberships.count; i++)
		put_membership(text, group->memberships.items[i]);
	json_put_close(text, ']');
}

static void put_senders(struct text *text, const struct known_senders *senders)
{
	struct known_sender sender;
	unsigned cursor = 0;
	bool are_any = false;
	char address[INET6_ADDRSTRLEN];

	while (known_senders_next(senders, &cursor, &sender)) {
		if (!are_any)
			json_put_open(text, "senders", '[');
		are_any = true;
		json_put_open(text, NULL, '{');
		json_put_string(text, "source", address_format(&sender.address, address));
		json_put_number(text, "sourcePort", sender.port);
		json_put_string(text, "interface", sender.interface);
		put_count(text, "received", sender.received);
		put_count(text, "lastReceivedMs", sender.last_received_ns / NS_PER_MS);
		json_put_close(text, '}');
	}
	if (are_any)
		json_put_close(text, ']');
}

static void put_group(const struct http_context *context, size_t i, struct text *text)
{
	struct group *group = groups_at(context->groups, i);
	const struct config_group *config = group->config;
	char address[INET6_ADDRSTRLEN];

	if (config->is_events)
		return;
	json_put_open(text, NULL, '{');
	json_put_string(text, "name", config->name);
	json_put_string(text, "address",
		config->merge.count ? "" : address_format(&config->address, address));
	json_put_number(text, "port", config->port);
	put_values(text, &group_values, group, group->counters);
	if (context->senders) {
		put_sources(text, &config->sources);
		put_senders(text, group->sender_watch.known);
	}
	put_strings(text, "handlers", &config->handlers);
	put_strings(text, "inputs", &config->inputs);
	put_memberships(text, group);
	put_ways(text, &group->outgoing.ways);
	json_put_close(text, '}');
}

/* ---- Lists, which may change between two pieces ---- */

struct list {
	const char *name;
	size_t (*count)(const struct http_context *context);
	size_t (*after)(const struct http_context *context, const char *name);
	const char *(*name_at)(const struct http_context *context, size_t i);
	void (*put)(const struct http_context *context, size_t i, struct text *text);
};

static size_t count_handlers(const struct http_context *context)
{
	return handlers_count(context->handlers);
}

static size_t handlers_after_name(const struct http_context *context, const char *name)
{
	return handlers_after(context->handlers, name);
}

static const char *handler_name_at(const struct http_context *context, size_t i)
{
	return handler_name(handlers_at(context->handlers, i));
}

static size_t count_groups(const struct http_context *context)
{
	return groups_count(context->groups);
}

static size_t groups_after_name(const struct http_context *context, const char *name)
{
	return groups_after(context->groups, name);
}

static const char *group_name_at(const struct http_context *context, size_t i)
{
	return groups_at(context->groups, i)->config->name;
}

/* Both are sorted by name: the list goes on behind the last one. */
static bool put_list(const struct list *list, const struct http_context *context,
	struct cursor *cursor, struct text *text)
{
	size_t full = text->length + HTTP_PIECE, i = list->after(context, cursor->last);
	size_t end = i + VISITS < list->count(context) ? i + VISITS : list->count(context);

	if (!cursor->begun)
		json_put_open(text, list->name, '[');
	cursor->begun = true;
	for (; i < end && text->length < full && !text_failed(text); i++) {
		snprintf(cursor->last, sizeof(cursor->last), "%s", list->name_at(context, i));
		list->put(context, i, text);
	}
	if (i < list->count(context))
		return false;
	json_put_close(text, ']');
	return true;
}

static bool put_handlers(
	const struct http_context *context, struct cursor *cursor, struct text *text)
{
	static const struct list handlers = {
		"handlers", count_handlers, handlers_after_name, handler_name_at, put_handler};

	return put_list(&handlers, context, cursor, text);
}

static bool put_groups(const struct http_context *context, struct cursor *cursor, struct text *text)
{
	static const struct list groups = {
		"groups", count_groups, groups_after_name, group_name_at, put_group};

	return put_list(&groups, context, cursor, text);
}

/* ---- Documents ---- */

static void document_unref(struct document *document)
{
	if (!document || --document->references)
		return;
	text_free(&document->text);
	free(document);
}

/* Each returns whether it is done. */
static bool (*const parts[])(const struct http_context *context, struct cursor *cursor,
	struct text *text) = {put_daemon, put_events, put_handlers, put_groups};

/* Makes the next piece. */
static void extend(struct document *document, const struct http_context *context)
{
	struct cursor *cursor = &document->cursor;
	struct text *text = &document->text;

	if (!text->length)
		json_put_open(text, NULL, '{');
	if (!parts[cursor->part](context, cursor, text))
		return;
	*cursor = (struct cursor){.part = cursor->part + 1};
	if (cursor->part < ARRAY_SIZE(parts))
		return;
	json_put_close(text, '}');
	text_append_string(text, "\n");
	document->is_complete = true;
}

static bool is_fresh(const struct document *document, const struct http_context *context)
{
	return document && !text_failed(&document->text) && document->senders == context->senders &&
	       clock_ns(CLOCK_MONOTONIC) - document->begun_ns < FRESH_NS;
}

/* A reference to one that is fresh, or to a new one. NULL without memory. */
static struct document *get_document(const struct http_context *context)
{
	struct status *status = context->status;
	struct document *document = status->latest;

	if (!is_fresh(document, context)) {
		status_forget(status);
		document = calloc(1, sizeof(*document));
		if (!document)
			return NULL;
		*document = (struct document){.references = 1,
			.begun_ns = clock_ns(CLOCK_MONOTONIC),
			.senders = context->senders};
		status->latest = document;
	}
	document->references++;
	return document;
}

struct status *status_new(void)
{
	return calloc(1, sizeof(struct status));
}

void status_free(struct status *status)
{
	if (status)
		status_forget(status);
	free(status);
}

void status_forget(struct status *status)
{
	document_unref(take(status->latest));
}

/* ---- Readers ---- */

struct reader {
	struct answer answer;
	const struct http_context *context;
	struct document *document;
	size_t sent;
};

static bool next(struct answer *answer, struct text *text)
{
	struct reader *reader = container_of(answer, struct reader, answer);
	struct document *document = reader->document;
	size_t rest;

	if (reader->sent == document->text.length && !document->is_complete)
		extend(document, reader->context);
	if (text_failed(&document->text)) {
		text->failed = true;
		return true;
	}
	rest = document->text.length - reader->sent;
	if (rest > HTTP_PIECE)
		rest = HTTP_PIECE;
	text_append(text, document->text.data + reader->sent, rest);
	reader->sent += rest;
	return document->is_complete && reader->sent == document->text.length;
}

static void free_reader(struct answer *answer)
{
	struct reader *reader = container_of(answer, struct reader, answer);

	document_unref(reader->document);
	free(reader);
}

static struct answer *open_reader(const struct http_context *context)
{
	struct reader *reader = calloc(1, sizeof(*reader));

	if (!reader)
		return NULL;
	*reader = (struct reader){.answer = {.next = next, .free = free_reader},
		.context = context,
		.document = get_document(context)};
	if (!reader->document) {
		free(reader);
		return NULL;
	}
	return &reader->answer;
}

const struct http_page status_page = {
	.path = "/status.json", .type = "application/json", .open = open_reader};
