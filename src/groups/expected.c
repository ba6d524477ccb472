#include "groups/expected.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/timer.h"
#include "base/units.h"
#include "data/notice.h"
#include "groups/group.h"

#define INTERVAL_S 1

struct expectations {
	struct link watched;
	struct event timer; /* while there are such groups */
};

static const struct timeval interval = {.tv_sec = INTERVAL_S};

static void watch(struct group *group)
{
	struct expectations *expectations = group->context->expectations;

	if (link_is_used(&group->expected->watched))
		return;
	if (list_is_empty(&expectations->watched))
		timer_start(&expectations->timer, &interval);
	list_append(&expectations->watched, &group->expected->watched);
}

/* ---- The rate ---- */

/* What arrived since the bound was judged last. */
struct measure {
	uint64_t count, ns;
};

/* What has arrived at the group so far: replies come whether its feed does or not. */
static uint64_t arrived(const struct group *group)
{
	return group->counters->received - group->counters->replies;
}

static struct measure measure_since(
	const struct group *group, const struct rate_bound *bound, uint64_t now_ns)
{
	return (struct measure){
		.count = arrived(group) - bound->counted, .ns = now_ns - bound->counted_ns};
}

/* "a second", "20s", "10m": for people, whose seconds are not those of a timer that is a little
 * late. */
static const char *shown_time(uint64_t ns, char string[static UNIT_STRING_MAX])
{
	uint64_t step = ns < 2 * NS_PER_S ? NS_PER_S / 10 : NS_PER_S;

	ns = (ns + step / 2) / step * step;
	return ns == NS_PER_S ? "a second" : format_duration(ns, string);
}

/* why: NULL: it was measured. */
static void tell_rate(struct group *group, const struct measure *measure, const char *why)
{
	const struct config_group *config = group->config;
	const struct string_list *rate = &config->expect_rate;
	bool begins = group->expected->is_off;
	char in[UNIT_STRING_MAX], text[WHY_MAX];
	const char *time = shown_time(measure->ns, in);

	if (why)
		snprintf(text, sizeof(text), "group %s: %s, while its rate was not as expected",
			config->name, why);
	else if (begins)
		snprintf(text, sizeof(text),
			"group %s: %" PRIu64 " datagram%s in %s, expected: %s%s%s", config->name,
			measure->count, plural(measure->count), time, rate->items[0],
			rate->count > 1 ? " to " : " or more",
			rate->count > 1 ? rate->items[1] : "");
	else
		snprintf(text, sizeof(text),
			"group %s: the rate is as expected again: %" PRIu64 " datagram%s in %s",
			config->name, measure->count, plural(measure->count), time);
	notice_send(group->context->notices, &(struct notice){.kind = NOTICE_RATE,
						     .state = begins ? NOTICE_BEGIN : NOTICE_END,
						     .group = config->name,
						     .why = why,
						     .count = measure->count,
						     .nanoseconds = measure->ns,
						     .level = begins ? LOG_WARNING : LOG_NOTICE,
						     .text = text});
}

static uint64_t period_ns(double rate)
{
	uint64_t ms = (uint64_t)(SLOW_DATAGRAMS / rate * 1000 + 0.5);

	return rate < SLOW_RATE ? (ms + 999) / 1000 * NS_PER_S : NS_PER_S;
}

/* Judges the rate by a bound whose period is over, or is within half a second. *ret_measure is set
 * where the rate was off by it, or is now. */
static void examine_bound(struct group *group, struct rate_bound *bound, double rate,
	uint64_t now_ns, struct measure *ret_measure)
{
	const struct measure measure = measure_since(group, bound, now_ns);
	double count = (double)measure.count, expected = rate * (double)measure.ns / NS_PER_S;
	bool was_off = bound->is_off;

	if (!(rate > 0) || measure.ns + NS_PER_S / 2 < period_ns(rate))
		return;
	bound->is_off = bound == &group->expected->least ? count + 1 < expected
							 : count > expected + 1;
	bound->counted = arrived(group);
	bound->counted_ns = now_ns;
	if (bound->is_off || was_off)
		*ret_measure = measure;
}

static void examine_rate(struct group *group, uint64_t now_ns)
{
	struct expected *expected = group->expected;
	struct measure measure = {0};
	double least, most;
	char why[WHY_MAX];

	config_expected_rate(&group->config->expect_rate, &least, &most, why);
	examine_bound(group, &expected->least, least, now_ns, &measure);
	examine_bound(group, &expected->most, most, now_ns, &measure);
	if ((expected->least.is_off || expected->most.is_off) == expected->is_off)
		return;
	expected->is_off = !expected->is_off;
	tell_rate(group, &measure, NULL);
}

/* The group or its expectation goes, and nobody has judged the rate again. */
static void end_rate(struct group *group)
{
	struct expected *expected = group->expected;
	const struct rate_bound *bound = expected->least.is_off ? &expected->least
								: &expected->most;
	const struct measure measure = measure_since(group, bound, clock_ns(CLOCK_MONOTONIC));

	expected->is_off = false;
	tell_rate(group, &measure, "the group or its expect_rate was changed");
}

/* ---- Senders ---- */

static bool is_expected(const struct config_group *config, const struct address *source)
{
	for (size_t i = 0; i < config->expect_senders.count; i++)
		if (prefix_contains(&config->expect_senders.items[i], source))
			return true;
	return false;
}

/* Datagrams of one sender. */
static void examine_sender(struct group *group, const struct origin *origin,
	const union endpoint *from, unsigned count)
{
	struct address source = endpoint_address(from);
	char address[INET6_ADDRSTRLEN], text[WHY_MAX];

	if (!memcmp(&group->expected->known, from, sizeof(*from)))
		return;
	if (is_expected(group->config, &source)) {
		group->expected->known = *from;
		return;
	}
	snprintf(text, sizeof(text),
		"group %s: %u datagram%s of %s on %s, which is not in expect_senders",
		group->config->name, count, plural(count), address_format(&source, address),
		origin->interface);
	notice_send(group->context->notices, &(struct notice){.kind = NOTICE_UNKNOWN_SENDER,
						     .group = group->config->name,
						     .interface = origin->interface,
						     .source = &source,
						     .count = count,
						     .level = LOG_WARNING,
						     .text = text});
}

/* why: NULL: it was observed. */
static void tell_conflict(struct group *group, const char *why)
{
	const struct expected *expected = group->expected;
	char sender[INET6_ADDRSTRLEN], other[INET6_ADDRSTRLEN], text[WHY_MAX];

	address_format(&expected->rivals[0], sender);
	address_format(&expected->rivals[1], other);
	if (expected->is_conflict)
		snprintf(text, sizeof(text), "group %s: %s and %s send at the same time",
			group->config->name, sender, other);
	else if (why)
		snprintf(text, sizeof(text), "group %s: %s, while senders were in conflict",
			group->config->name, why);
	else
		snprintf(text, sizeof(text), "group %s: one sender at a time again",
			group->config->name);
	notice_send(group->context->notices,
		&(struct notice){.kind = NOTICE_SENDER_CONFLICT,
			.state = expected->is_conflict ? NOTICE_BEGIN : NOTICE_END,
			.group = group->config->name,
			.source = &expected->rivals[0],
			.other_source = other,
			.why = why,
			.level = expected->is_conflict ? LOG_WARNING : LOG_NOTICE,
			.text = text});
}

static void end_conflict(struct group *group, const char *why)
{
	group->expected->is_conflict = false;
	tell_conflict(group, why);
}

/* Another sender is heard than before. */
static void change_sender(struct group *group, const struct address *source)
{
	struct expected *expected = group->expected;
	uint32_t now_s = coarse_s();

	expected->other = expected->sender;
	expected->sender = *source;
	if (expected->other.family == AF_UNSPEC)
		return;
	if (expected->changes && now_s - expected->changed_s > CONFLICT_WITHIN_S)
		expected->changes = 0;
	expected->changes++;
	expected->changed_s = now_s;
	if (expected->changes < CONFLICT_CHANGES || expected->is_conflict)
		return;
	expected->is_conflict = true;
	expected->rivals[0] = expected->other;
	expected->rivals[1] = expected->sender;
	tell_conflict(group, NULL);
	watch(group);
}

void expected_note(struct group *group, const struct origin *origin,
	const struct datagram *datagrams, unsigned count)
{
	const struct config_group *config = group->config;
	unsigned next;

	for (unsigned i = 0; i < count; i = next) {
		const union endpoint *from = &datagrams[i].source;
		struct address source;

		for (next = i + 1;
			next < count && !memcmp(&datagrams[next].source, from, sizeof(*from));)
			next++;
		if (config->expect_senders.count)
			examine_sender(group, origin, from, next - i);
		if (!config->expect_one_sender)
			continue;
		source = endpoint_address(from);
		if (!address_equal(&group->expected->sender, &source))
			change_sender(group, &source);
	}
}

/* ---- All groups ---- */

static bool expects_rate(const struct group *group)
{
	return group->config->expect_rate.count;
}

/* For as long as its configuration is in force. */
static bool is_watched(const struct group *group)
{
	return expects_rate(group) || group->merged;
}

static void examine(struct group *group, uint64_t now_ns)
{
	struct expected *expected = group->expected;

	if (expects_rate(group))
		examine_rate(group, now_ns);
	if (group->merged)
		merged_examine(group->merged);
	if (expected->is_conflict && coarse_s() - expected->changed_s > CONFLICT_WITHIN_S)
		end_conflict(group, NULL);
	if (!is_watched(group) && !expected->is_conflict)
		link_remove(&expected->watched);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
	struct expectations *expectations = argument;
	uint64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	struct expected *expected;

	(void)fd, (void)what;
	list_for_each(expected, &expectations->watched, watched)
		examine(expected->group, now_ns);
	if (!list_is_empty(&expectations->watched))
		timer_start(&expectations->timer, &interval);
}

struct expectations *expectations_new(struct event_base *base)
{
	struct expectations *expectations = calloc(1, sizeof(*expectations));

	if (!expectations)
		return NULL;
	list_init(&expectations->watched);
	evtimer_assign(&expectations->timer, base, on_timer, expectations);
	return expectations;
}

void expectations_free(struct expectations *expectations)
{
	if (!expectations)
		return;
	evtimer_del(&expectations->timer);
	free(expectations);
}

unsigned expected_needs(const struct config_group *config)
{
	return config->expect_senders.count || config->expect_one_sender
		       ? NEED_DATAGRAMS | NEED_SOURCE
		       : 0;
}

int expected_new(struct group *group)
{
	if (!is_watched(group) && !expected_needs(group->config))
		return 0;
	group->expected = calloc(1, sizeof(*group->expected));
	if (!group->expected)
		return -ENOMEM;
	group->expected->group = group;
	return 0;
}

static void watch_alone(struct group *group)
{
	silence_watch(group);
	if (!is_watched(group) || link_is_used(&group->expected->watched))
		return;
	group->expected->least = group->expected->most = (struct rate_bound){
		.counted = arrived(group), .counted_ns = clock_ns(CLOCK_MONOTONIC)};
	watch(group);
}

void expected_watch(struct group *group)
{
	struct merge_leg *leg;

	watch_alone(group);
	list_for_each(leg, &group->feeds, link)
		watch_alone(leg->merged->group);
}

void expected_free(struct group *group)
{
	struct expected *expected = group->expected;

	if (!expected)
		return;
	link_remove(&expected->watched);
	if (expected->is_conflict)
		end_conflict(group, "the group or its expect_one_sender was changed");
	if (expected->is_off)
		end_rate(group);
	free(take(group->expected));
}

static bool expects_same(const struct group *group, const struct group *from)
{
	static const char *const keys[] = {"expect_rate", "expect_senders", "expect_one_sender"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (key_compare(schema_find(&group_schema, keys[i]), group->config, from->config))
			return false;
	return true;
}

void expected_inherit(struct group *group, struct group *from)
{
	struct expected *expected = from->expected;

	if (!expected || !group->expected || !expects_same(group, from))
		return;
	from->expected = group->expected;
	from->expected->group = from;
	group->expected = expected;
	expected->group = group;
}
