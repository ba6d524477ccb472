#include "groups/same_network.h"

#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/log.h"
#include "data/notice.h"
#include "data/twins.h"
#include "groups/group.h"

/* In whole seconds of the clock, which is why a watch may be shorter by one. */
#define WATCH_S 2
#define INTERVAL_S 60

/* Copies after which it is said, and datagrams without a copy after which it is over. */
#define MATCHES_MIN 3
#define SINGLE_MIN 8

void same_network_free(struct same_network *same)
{
	if (!same)
		return;
	free(same->own);
	free(same);
}

void same_network_move(struct group *group, struct group *from)
{
	group->same_network = take(from->same_network);
}

void same_network_expect(struct group *group)
{
	if (group->same_network)
		group->same_network->next_s = 0;
}

static void report(const struct group *group, enum notice_state state, const char *text)
{
	const struct same_network *same = group->same_network;

	notice_send(group->context->notices,
		&(struct notice){.kind = NOTICE_SAME_NETWORK_TWICE,
			.state = state,
			.group = group->config->name,
			.interface = same->interfaces[0],
			.other_interface = same->interfaces[1],
			.level = state == NOTICE_BEGIN ? LOG_WARNING : LOG_NOTICE,
			.text = text});
}

/* Without one of its interfaces, a relay has nowhere to send. */
static const char *find_fix(const struct group *group)
{
	if (group->config->duplicates == DUPLICATES_DROP)
		return "the second copies are dropped";
	return config_group_is_relayed(group->config)
		       ? "set duplicates = \"drop\""
		       : "list one of them in interfaces, or set duplicates = \"drop\"";
}

/* A copy came in by the first interface, of a datagram that came in by the second. */
static void find(struct group *group, const char *interface, const char *other)
{
	struct same_network *same = group->same_network;
	char text[512];

	strcpy(same->interfaces[0], other);
	strcpy(same->interfaces[1], interface);
	same->is_found = true;
	snprintf(text, sizeof(text),
		"group %s: %s and %s bring the same datagrams: they are on the same network, or a "
		"router or another relay that keeps sources joins them; %s",
		group->config->name, other, interface, find_fix(group));
	report(group, NOTICE_BEGIN, text);
}

static void lose(struct group *group)
{
	struct same_network *same = group->same_network;
	char text[512];

	same->is_found = false;
	same->matches = 0;
	snprintf(text, sizeof(text), "group %s: %s and %s no longer bring the same datagrams",
		group->config->name, same->interfaces[0], same->interfaces[1]);
	report(group, NOTICE_END, text);
}

void same_network_update(struct group *group)
{
	struct same_network *same = group->same_network;

	if (same && same->is_found &&
		!(group_is_joined_on(group, same->interfaces[0]) &&
			group_is_joined_on(group, same->interfaces[1])))
		lose(group);
}

/* Begins to watch for a second, after what the last one has shown. */
static void begin(struct group *group, uint32_t now_s)
{
	struct same_network *same = group->same_network;

	if (same->seen && !same->matched)
		same->matches = 0;
	if (same->is_found && same->seen >= SINGLE_MIN && !same->matched)
		lose(group);
	same->seen = same->matched = 0;
	same->next_s = now_s + INTERVAL_S;
	same->until_s = now_s + WATCH_S;
}

bool same_network_is_watched(struct group *group)
{
	struct same_network *same = group->same_network;
	uint32_t now_s = coarse_s();

	if (!same)
		same = group->same_network = calloc(1, sizeof(*same));
	if (!same)
		return false;
	if (now_s >= same->next_s)
		begin(group, now_s);
	return group->config->duplicates == DUPLICATES_DROP || now_s < same->until_s;
}

/* NULL without memory. */
static struct twins *twins_of(struct group *group)
{
	struct twins **twins = group->config->duplicates == DUPLICATES_DROP
				       ? &group->same_network->own
				       : &group->context->twins;

	if (!*twins)
		*twins = twins_new(TWINS_SETS, TWINS_WINDOW_MS);
	return *twins;
}

static void match(struct membership *membership, unsigned other)
{
	struct group *group = membership->group;
	struct same_network *same = group->same_network;

	same->matched++;
	if (++same->matches < MATCHES_MIN || same->is_found)
		return;
	for (size_t i = 0; i < group->memberships.count; i++) {
		const struct origin *origin = group->memberships.items[i]->origin;

		if (origin && origin->ifindex == other)
			find(group, membership->origin->interface, origin->interface);
	}
}

void same_network_examine(struct membership *membership, struct arena_received *received)
{
	struct group *group = membership->group;
	struct datagram *datagrams = group->context->arena->datagrams;
	uint32_t now_ms = coarse_ms();
	struct twins *twins = twins_of(group);
	bool drops = group->config->duplicates == DUPLICATES_DROP;
	unsigned rest = 0, other;

	for (unsigned i = 0; twins && i < received->count; i++) {
		bool is_returned = datagrams[i].is_returned, is_copy;

		if (is_returned && !drops) {
			datagrams[rest++] = datagrams[i];
			continue;
		}
		is_copy = twins_take(
			twins, group, &datagrams[i], membership->origin->ifindex, now_ms, &other);
		group->same_network->seen += !is_returned;
		if (is_copy && !is_returned)
			match(membership, other);
		if (is_copy && drops) {
			group->counters->duplicates++;
			received->bytes -= datagrams[i].size;
			received->truncated -= datagrams[i].truncated;
		} else {
			datagrams[rest++] = datagrams[i];
		}
	}
	if (twins)
		received->count = rest;
}
