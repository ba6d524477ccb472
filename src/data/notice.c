#include "data/notice.h"

#include <stdlib.h>

#include "base/array.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"

static const struct {
	const char *name, *message_id;
	bool has_duration;
	bool is_measured; /* count is of that duration */
} kinds[NOTICE_KINDS] = {
	[NOTICE_MEMBERSHIP] = {"membership", NULL},
	[NOTICE_RELAY_LOOP] = {"relayLoop", MESSAGE_RELAY_LOOP},
	[NOTICE_SAME_NETWORK_TWICE] = {"sameNetworkTwice", MESSAGE_SAME_NETWORK_TWICE},
	[NOTICE_LOSS] = {"loss", MESSAGE_LOSS},
	[NOTICE_REORDER] = {"reorder", MESSAGE_REORDER},
	[NOTICE_DUPLICATES] = {"duplicates", MESSAGE_DUPLICATES},
	[NOTICE_RATE] = {"rate", MESSAGE_RATE, .has_duration = true, .is_measured = true},
	[NOTICE_UNKNOWN_SENDER] = {"unknownSender", MESSAGE_UNKNOWN_SENDER},
	[NOTICE_SENDER_CONFLICT] = {"senderConflict", MESSAGE_SENDER_CONFLICT},
	[NOTICE_MERGE_LEG_SILENT] = {"mergeLegSilent", MESSAGE_MERGE_LEG_SILENT},
	[NOTICE_SILENCE] = {"silence", MESSAGE_SILENCE, .has_duration = true},
	[NOTICE_SUPPRESSED] = {"suppressed", MESSAGE_SUPPRESSED},
};

const char *notice_name(enum notice_kind kind)
{
	return kinds[kind].name;
}

/* The states of a membership are explained one by one. */
const char *notice_message_id(const struct notice *notice)
{
	if (notice->kind != NOTICE_MEMBERSHIP)
		return kinds[notice->kind].message_id;
	if (!strcmp(notice->detail, "joined"))
		return MESSAGE_JOINED;
	return strcmp(notice->detail, "waiting") ? MESSAGE_NOT_JOINED : MESSAGE_WAITING;
}

uint64_t notice_count(const struct notice *notice)
{
	return notice->count || kinds[notice->kind].is_measured ? notice->count : 1;
}

uint64_t notice_add_count(const struct notice *notice, uint64_t before)
{
	return notice_count(notice) + (kinds[notice->kind].is_measured ? 0 : before);
}

/* Appends the member, if there is a value. */
static void put(struct text *text, const char *name, const char *value)
{
	if (value)
		json_put_string(text, name, value);
}

void notice_append_json(struct text *text, const struct notice *notice, uint64_t timestamp_ns)
{
	static const char *const states[] = {
		[NOTICE_ONCE] = NULL, [NOTICE_BEGIN] = "begin", [NOTICE_END] = "end"};
	char timestamp[TIMESTAMP_MAX], source[INET6_ADDRSTRLEN];

	json_put_open(text, NULL, '{');
	json_put_string(text, "event", notice_name(notice->kind));
	put(text, "state", states[notice->state]);
	put(text, "group", notice->group);
	put(text, "source", notice->source ? address_format(notice->source, source) : NULL);
	put(text, "interface", notice->interface);
	json_put_number(text, "count", notice_count(notice));
	json_put_string(text, "timestamp", format_timestamp(timestamp_ns, timestamp));
	put(text, "handler", notice->handler);
	put(text, "otherInterface", notice->other_interface);
	put(text, "otherSource", notice->other_source);
	put(text, "leg", notice->leg);
	put(text, "membership", notice->detail);
	put(text, "why", notice->why);
	if (kinds[notice->kind].has_duration)
		json_put_number(text, "milliseconds", notice->nanoseconds / NS_PER_MS);
	json_put_close(text, '}');
}

static const char *or_empty(const char *string)
{
	return string ? string : "";
}

uint64_t notice_topic_hash(const struct notice *notice)
{
	const char *group = or_empty(notice->group), *interface = or_empty(notice->interface);
	const char *leg = or_empty(notice->leg);
	uint64_t hash = hash_bytes(HASH_BEGIN, &notice->kind, sizeof(notice->kind));

	hash = hash_bytes(hash, group, strlen(group) + 1);
	hash = hash_bytes(hash, leg, strlen(leg) + 1);
	return notice->source ? address_hash(hash, notice->source)
			      : hash_bytes(hash, interface, strlen(interface));
}

bool notice_topic_equal(const struct notice *a, const struct notice *b)
{
	if (a->kind != b->kind || strcmp(or_empty(a->group), or_empty(b->group)) ||
		strcmp(or_empty(a->leg), or_empty(b->leg)) || !a->source != !b->source)
		return false;
	return a->source ? address_equal(a->source, b->source)
			 : !strcmp(or_empty(a->interface), or_empty(b->interface));
}

struct notice *notice_copy(const struct notice *notice)
{
	struct notice copy = *notice, *ret;
	const char **strings[] = {&copy.group, &copy.interface, &copy.handler,
		&copy.other_interface, &copy.other_source, &copy.leg, &copy.detail, &copy.why,
		&copy.text};
	size_t size = sizeof(copy) + sizeof(*copy.source);
	struct address *source;
	char *at;

	for (size_t i = 0; i < ARRAY_SIZE(strings); i++)
		size += *strings[i] ? strlen(*strings[i]) + 1 : 0;
	ret = malloc(size);
	if (!ret)
		return NULL;
	source = (struct address *)(ret + 1);
	at = (char *)(source + 1);
	if (copy.source)
		*source = *copy.source;
	copy.source = copy.source ? source : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(strings); i++) {
		const char *string = *strings[i];

		*strings[i] = string ? at : NULL;
		at = string ? stpcpy(at, string) + 1 : at;
	}
	*ret = copy;
	return ret;
}
