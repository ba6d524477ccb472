#include "groups/merged.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "data/notice.h"
#include "formats/numbers.h"
#include "groups/group.h"

/* A leg is silent when others have brought this many datagrams since, over this time. */
#define SILENT_NS (1 * NS_PER_S)
#define SILENT_MISSED 3

static struct counters *counters_of(const struct merged *merged)
{
	return merged->group->context->counters;
}

const char *merge_leg_name(const struct merge_leg *leg)
{
	return leg->merged->group->config->merge.items[leg->number];
}

/* why: NULL: it was observed. */
static void tell(struct merge_leg *leg, bool is_silent, const char *what, const char *why)
{
	const struct merged *merged = leg->merged;
	const char *name = merged->group->config->name;
	char text[512];

	if (leg->is_silent == is_silent)
		return;
	leg->is_silent = is_silent;
	if (is_silent)
		snprintf(text, sizeof(text),
			"group %s: its leg %s is silent, while others bring datagrams; to find out "
			"why: %s doctor %s",
			name, merge_leg_name(leg), merged->group->context->mcastctl,
			merge_leg_name(leg));
	else
		snprintf(text, sizeof(text), "group %s: its leg %s %s", name, merge_leg_name(leg),
			what);
	notice_send(merged->group->context->notices,
		&(struct notice){.kind = NOTICE_MERGE_LEG_SILENT,
			.state = is_silent ? NOTICE_BEGIN : NOTICE_END,
			.group = name,
			.leg = merge_leg_name(leg),
			.why = why,
			.level = is_silent ? LOG_WARNING : LOG_NOTICE,
			.text = text});
}

static void leg_clear(struct merge_leg *leg, struct counters *counters)
{
	struct group *from = leg->from;

	tell(leg, false, "was taken out while it was silent", "the group or its merge was changed");
	link_remove(&leg->link);
	leg->from = NULL;
	if (from)
		from->context->apply_needs(from);
	for (size_t i = 0; i < ARRAY_SIZE(leg->origins); i++) {
		origin_unref(leg->origins[i].from);
		origin_unref(leg->origins[i].own);
	}
	counters_release(counters, leg->counters);
}

static const struct merge_leg *find_leg(const struct merged *merged, const char *name)
{
	for (unsigned i = 0; merged && i < merged->leg_count; i++)
		if (!strcmp(merge_leg_name(&merged->legs[i]), name))
			return &merged->legs[i];
	return NULL;
}

/* An earlier run may have been killed between counting what it took and judging that. */
static void settle(struct merge_leg_counters *counters)
{
	counters->taken = counters->passed + counters->duplicates + counters->apart;
}

/* The counters of a leg that goes on are taken over when the group is placed. */
static int leg_init(struct merge_leg *leg, struct merged *merged, unsigned number,
	const struct merged *replaced)
{
	const char *name = merged->group->config->merge.items[number];
	char key[2 * GROUP_NAME_MAX + 8];

	*leg = (struct merge_leg){.merged = merged, .number = number};
	if (find_leg(replaced, name))
		return 0;
	snprintf(key, sizeof(key), "leg %s %s", merged->group->config->name, name);
	leg->counters = counters_take(
		counters_of(merged), key, sizeof(*leg->counters), merge_leg_counters_members());
	if (!leg->counters)
		return -ENOMEM;
	settle(leg->counters);
	return 0;
}

int merged_new(struct group *group, const struct merged *replaced, struct merged **ret)
{
	const struct config_group *config = group->config;
	const struct numbering *numbering = &group->numbered.numbering;
	unsigned count = (unsigned)config->merge.count;
	struct merged *merged = calloc(1, sizeof(*merged) + count * sizeof(*merged->legs));

	if (!merged)
		return -ENOMEM;
	merged->group = group;
	merged->merge = merge_new(count, numbering->bits, (uint32_t)config->step);
	for (; merged->merge && merged->leg_count < count; merged->leg_count++)
		if (leg_init(&merged->legs[merged->leg_count], merged, merged->leg_count,
			    replaced) < 0)
			break;
	if (!merged->merge || merged->leg_count < count) {
		merged_free(merged);
		return -ENOMEM;
	}
	*ret = merged;
	return 0;
}

/* The streams do not go on: what is open of them is lost. */
static void lose_streams(struct merged *merged)
{
	const struct numbered *numbered = &merged->group->numbered;

	if (!merged->merge)
		return;
	for (unsigned i = 0; i < merged->leg_count; i++)
		if (merged->legs[i].counters)
			merged->legs[i].counters->lost += merge_leg_open(merged->merge, i);
	if (numbered->counters)
		numbered->counters->lost += merge_open(merged->merge);
	merge_free(take(merged->merge));
}

void merged_free(struct merged *merged)
{
	if (!merged)
		return;
	link_remove(&merged->link);
	lose_streams(merged);
	for (unsigned i = 0; i < merged->leg_count; i++)
		leg_clear(&merged->legs[i], counters_of(merged));
	free(merged);
}

/* ---- Connections ---- */

static void connect_leg(struct merge_leg *leg, struct group *from)
{
	leg->from = from;
	if (!leg->heard_ns)
		leg->heard_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
	list_append(&from->feeds, &leg->link);
}

/* Whether both are made of the same, in the same way. */
static bool are_alike(const struct merged *merged, const struct merged *from)
{
	const struct config_group *config = merged->group->config, *old = from->group->config;

	return schema_equal(
		       &(struct schema){schema_find(&group_schema, "merge"), 1, sizeof(*config)},
		       config, old) &&
	       numbered_goes_on(&merged->group->numbered, &from->group->numbered);
}

/* Goes on where both are alike. */
static void inherit(struct merged *merged, struct merged *from)
{
	bool goes_on = are_alike(merged, from);

	if (!goes_on)
		lose_streams(from);
	for (unsigned i = 0; i < merged->leg_count; i++) {
		struct merge_leg *leg = &merged->legs[i];
		struct merge_leg *known = (struct merge_leg *)find_leg(from, merge_leg_name(leg));

		if (!known)
			continue;
		leg->counters = take(known->counters);
		leg->is_silent = known->is_silent;
		leg->heard_ns = known->heard_ns;
		leg->missed = known->missed;
		leg->missed_ns = known->missed_ns;
		known->is_silent = false;
	}
	if (!goes_on)
		return;
	merge_free(merged->merge);
	merged->merge = take(from->merge);
	merged->known = from->known;
	for (unsigned i = 0; i < merged->leg_count; i++)
		merged->legs[i].known = from->legs[i].known;
}

static void place_merged(struct group *group, struct group *replaced, merged_find *find,
	const struct group_set *running)
{
	struct merged *merged = group->merged;

	if (replaced && replaced->merged)
		inherit(merged, replaced->merged);
	list_append(&group->context->merged, &merged->link);
	for (unsigned i = 0; i < merged->leg_count; i++) {
		struct merge_leg *leg = &merged->legs[i];
		struct group *from = find(running, merge_leg_name(leg));

		if (from)
			connect_leg(leg, from);
	}
	merged_apply_needs(merged);
}

void merged_place(struct group *group, struct group *replaced, merged_find *find,
	const struct group_set *running)
{
	struct merged *merged;
	struct merge_leg *leg;

	if (replaced)
		list_for_each(leg, &replaced->feeds, link) {
			link_remove(&leg->link);
			leg->from = group;
			list_append(&group->feeds, &leg->link);
		}
	list_for_each(merged, &group->context->merged, link)
		for (unsigned i = 0; i < merged->leg_count && !replaced; i++)
			if (!merged->legs[i].from &&
				!strcmp(merge_leg_name(&merged->legs[i]), group->config->name))
				connect_leg(&merged->legs[i], group);
	if (group->merged)
		place_merged(group, replaced, find, running);
	else if (!list_is_empty(&group->feeds))
		group->context->apply_needs(group);
}

void merged_disconnect(struct group *group)
{
	struct merge_leg *leg;

	list_for_each(leg, &group->feeds, link) {
		link_remove(&leg->link);
		leg->from = NULL;
	}
}

/* The time of arrival tells how far a leg is behind. */
unsigned merged_needs(const struct merge_leg *leg)
{
	return leg->merged->group->needs | NEED_DATAGRAMS | NEED_PAYLOAD | NEED_TIMESTAMP;
}

void merged_apply_needs(struct merged *merged)
{
	for (unsigned i = 0; i < merged->leg_count; i++)
		if (merged->legs[i].from)
			merged->legs[i].from->context->apply_needs(merged->legs[i].from);
}

/* ---- Silent legs ---- */

static void hear(struct merge_leg *leg, unsigned count)
{
	struct merged *merged = leg->merged;

	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC_COARSE);

	for (unsigned i = 0; i < merged->leg_count; i++) {
		merged->legs[i].missed += count;
		merged->legs[i].missed_ns = now_ns;
	}
	leg->missed = 0;
	leg->heard_ns = now_ns;
	tell(leg, false, "brings datagrams again", NULL);
}

void merged_examine(struct merged *merged)
{
	for (unsigned i = 0; i < merged->leg_count; i++) {
		struct merge_leg *leg = &merged->legs[i];

		if (leg->missed >= SILENT_MISSED && leg->missed_ns >= leg->heard_ns + SILENT_NS)
			tell(leg, true, NULL, NULL);
	}
}

/* ---- Traffic ---- */

/* The origin of a leg's datagrams, as one of the merged group. NULL without memory. */
static struct origin *find_origin(struct merge_leg *leg, struct origin *from)
{
	struct address address = {0};
	struct origin *own;
	unsigned at;

	for (size_t i = 0; i < ARRAY_SIZE(leg->origins); i++)
		if (leg->origins[i].from == from)
			return leg->origins[i].own;
	address_parse(from->address, &address);
	own = origin_new(leg->merged->group->config->name, &address, from->port, from->interface,
		from->ifindex);
	if (!own)
		return NULL;
	at = leg->next_origin++ % ARRAY_SIZE(leg->origins);
	origin_unref(leg->origins[at].from);
	origin_unref(leg->origins[at].own);
	leg->origins[at].from = origin_ref(from);
	leg->origins[at].own = own;
	return own;
}

/* *ret_numbered: whether it is numbered. */
static enum merge_verdict judge(
	struct merge_leg *leg, const struct datagram *datagram, bool *ret_numbered)
{
	struct merged *merged = leg->merged;
	struct numbers numbers;
	struct merge_number number;

	*ret_numbered = numbers_read(
		&merged->group->numbered.numbering, datagram->payload, datagram->size, &numbers);
	if (!*ret_numbered)
		return merge_take(merged->merge, leg->number, NULL, datagram->payload,
			datagram->size, datagram->timestamp_ns);
	number = (struct merge_number){.first = numbers.first, .count = numbers.count};
	memcpy(number.stream, numbers.stream, sizeof(number.stream));
	return merge_take(merged->merge, leg->number, &number, datagram->payload, datagram->size,
		datagram->timestamp_ns);
}

static void add_difference(struct merge_leg_counters *counters, const struct sequence_counts *now,
	const struct sequence_counts *before)
{
	counters->unique += now->unique - before->unique;
	counters->lost += now->lost - before->lost;
	counters->reordered += now->reordered - before->reordered;
	counters->repeated += now->duplicates - before->duplicates;
	counters->late += now->late - before->late;
	counters->restarts += now->restarts - before->restarts;
}

/* Adds what a batch has changed to the counters of the leg and of the group. */
static void count_numbers(struct merge_leg *leg, unsigned numbered, unsigned unnumbered)
{
	struct merged *merged = leg->merged;
	const struct sequence_counts *now = merge_leg_counts(merged->merge, leg->number);

	add_difference(leg->counters, now, &leg->known);
	leg->known = *now;
	now = merge_counts(merged->merge);
	numbered_add_merged(merged->group, now, &merged->known, numbered, unnumbered);
	merged->known = *now;
}

static void deliver(struct group *group, struct origin *origin, const struct datagram *datagrams,
	unsigned count)
{
	struct batch batch = {.origin = origin, .count = count, .datagrams = datagrams};
	struct group_counters *counters = group->counters;

	counters->received += count;
	for (unsigned i = 0; i < count; i++) {
		counters->received_bytes += datagrams[i].size;
		counters->truncated += datagrams[i].truncated;
	}
	counters->last_received_ns = clock_ns(CLOCK_REALTIME_COARSE);
	silence_heard(&group->silence);
	for (size_t i = 0; i < group->outlets.count; i++)
		group->outlets.items[i]->deliver(group->outlets.items[i], &batch);
}

/* Takes up to BATCH_MAX datagrams. */
static void take_batch(struct merge_leg *leg, struct origin *origin,
	const struct datagram *datagrams, unsigned count)
{
	struct group *group = leg->merged->group;
	struct datagram passed[BATCH_MAX];
	unsigned passed_count = 0, numbered_count = 0, apart_count = 0;
	bool is_numbered;

	for (unsigned i = 0; i < count; i++) {
		enum merge_verdict verdict = judge(leg, &datagrams[i], &is_numbered);

		apart_count += verdict == MERGE_APART;
		if (verdict != MERGE_PASSES)
			continue;
		passed[passed_count++] = datagrams[i];
		numbered_count += is_numbered;
	}
	leg->counters->taken += count;
	leg->counters->passed += passed_count;
	leg->counters->apart += apart_count;
	leg->counters->duplicates += count - passed_count - apart_count;
	group->counters->duplicates += count - passed_count;
	hear(leg, count);
	if (group->numbered.counters)
		count_numbers(leg, numbered_count, passed_count - numbered_count);
	if (passed_count)
		deliver(group, origin, passed, passed_count);
}

void merged_feed(
	struct group *from, struct origin *origin, const struct datagram *datagrams, unsigned count)
{
	struct merge_leg *leg;

	list_for_each(leg, &from->feeds, link) {
		struct origin *own = find_origin(leg, origin);

		for (unsigned first = 0; first < count && own; first += BATCH_MAX)
			take_batch(leg, own, datagrams + first,
				count - first < BATCH_MAX ? count - first : BATCH_MAX);
	}
}
