#include "groups/hints.h"

#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "groups/group.h"
#include "groups/group_set.h"
#include "net/portions.h"
#include "net/rp_filter.h"

/* Between two hints about one group. */
#define HINT_S 3600

/* Groups that are examined in one step. */
#define STEP_MAX 64

enum phase {
	PHASE_COUNT, /* who has received, and where */
	PHASE_TELL,
	PHASE_NONE, /* until hints_check() */
};

struct hints {
	const struct group_set *set;
	struct transitions *transitions;
	struct portions portions;
	enum phase phase;
	size_t at; /* the next group */
	uint32_t check; /* number of the check */
	struct {
		unsigned *items;
		size_t count;
	} active; /* indexes of interfaces by which something came, sorted */
	bool has_before;
	uint64_t before; /* what rp_filter had dropped at the last check, when has_before */
	bool rp_filter_drops; /* since then */
};

enum hint hint_choose(const struct hint_facts *facts)
{
	enum hint hint = HINT_NONE;

	if (facts->state == QUIET_NOT || facts->group_receives || facts->was_lately)
		return HINT_NONE;
	if (facts->rp_filter_drops)
		hint = HINT_RP_FILTER;
	else if (facts->is_told_otherwise)
		hint = HINT_NONE;
	else if (facts->others_receive)
		hint = facts->state == QUIET_NEVER ? HINT_NEVER : HINT_STOPPED;
	else if (facts->state == QUIET_NEVER)
		hint = HINT_ALONE;
	return hint > facts->told ? hint : HINT_NONE;
}

void hint_begin(struct hint_member *member, uint64_t received)
{
	quiet_begin(&member->quiet, received, coarse_s());
}

static int compare_index(const void *key, const void *item)
{
	unsigned a = *(const unsigned *)key, b = *(const unsigned *)item;

	return (a > b) - (a < b);
}

/* Where it would be among those that are active. */
static size_t position(const struct hints *hints, unsigned ifindex)
{
	return lower_bound(
		&ifindex, hints->active.items, hints->active.count, sizeof(ifindex), compare_index);
}

static bool is_active(const struct hints *hints, unsigned ifindex)
{
	size_t i = position(hints, ifindex);

	return i < hints->active.count && hints->active.items[i] == ifindex;
}

/* Without memory it is not noted, and what is told may be less. */
static void note_active(struct hints *hints, unsigned ifindex)
{
	size_t i = position(hints, ifindex), count = hints->active.count;

	if (is_active(hints, ifindex) || array_add(&hints->active, ifindex) < 0)
		return;
	memmove(hints->active.items + i + 1, hints->active.items + i,
		(count - i) * sizeof(ifindex));
	hints->active.items[i] = ifindex;
}

/* A membership with something to know about it has been logged with that. */
static bool is_examined(const struct membership *membership)
{
	return membership->fd >= 0 && !membership->error;
}

static void count(struct hints *hints, struct membership *membership)
{
	struct hint_member *member = &membership->hint;

	if (!is_examined(membership) ||
		!quiet_check(&member->quiet, membership->counters->received, coarse_s()))
		return;
	member->heard = hints->check;
	member->told = HINT_NONE;
	note_active(hints, membership->origin->ifindex);
}

/* Whether the group receives elsewhere what is missing here, where the configuration has not named
 * this interface. */
static bool receives_elsewhere(
	const struct hints *hints, const struct membership *membership, enum quiet_state state)
{
	const struct group *group = membership->group;

	if (string_list_has(&group->config->interfaces, membership->interface))
		return false;
	if (state == QUIET_NEVER && group->counters->received)
		return true;
	for (size_t i = 0; i < group->memberships.count; i++)
		if (group->memberships.items[i]->hint.heard == hints->check)
			return true;
	return false;
}

static void tell(const struct hints *hints, struct membership *membership, enum hint hint)
{
	static const enum transition kinds[] = {
		[HINT_ALONE] = TRANSITION_NOTHING_YET,
		[HINT_NEVER] = TRANSITION_NOTHING_BUT_OTHERS,
		[HINT_STOPPED] = TRANSITION_NOTHING_ANY_MORE,
		[HINT_RP_FILTER] = TRANSITION_NOTHING_BY_RP_FILTER,
	};
	struct group *group = membership->group;

	membership->hint.told = hint;
	group->hinted_s = coarse_s();
	transition_add(
		hints->transitions, kinds[hint], group->config->name, membership->interface, NULL);
}

static void examine(struct hints *hints, struct membership *membership)
{
	const struct group *group = membership->group;
	struct hint_facts facts;
	enum hint hint;

	if (!is_examined(membership))
		return;
	facts = (struct hint_facts){.state = quiet_state(&membership->hint.quiet, coarse_s()),
		.told = membership->hint.told,
		.rp_filter_drops = hints->rp_filter_drops &&
				   group->config->address.family == AF_INET,
		.is_told_otherwise = group->config->expect_within,
		.was_lately = group->hinted_s && coarse_s() - group->hinted_s < HINT_S};
	if (facts.state == QUIET_NOT)
		return;
	facts.others_receive = is_active(hints, membership->origin->ifindex);
	facts.group_receives = receives_elsewhere(hints, membership, facts.state);
	hint = hint_choose(&facts);
	if (hint != HINT_NONE)
		tell(hints, membership, hint);
}

static void visit(struct hints *hints, struct group *group)
{
	if (!address_is_multicast(&group->config->address))
		return;
	for (size_t i = 0; i < group->memberships.count; i++)
		if (hints->phase == PHASE_COUNT)
			count(hints, group->memberships.items[i]);
		else
			examine(hints, group->memberships.items[i]);
}

/* Groups that come and go in between are left out, or visited twice: neither does harm. */
static bool step(void *argument)
{
	struct hints *hints = argument;

	if (hints->at == 0 && hints->phase == PHASE_TELL)
		transitions_begin(hints->transitions);
	for (unsigned i = 0; i < STEP_MAX && hints->at < hints->set->count; i++)
		visit(hints, hints->set->items[hints->at++]);
	if (hints->at < hints->set->count)
		return true;
	hints->at = 0;
	if (hints->phase++ == PHASE_TELL)
		transitions_end(hints->transitions);
	return hints->phase != PHASE_NONE;
}

static void read_rp_filter(struct hints *hints)
{
	uint64_t now = 0;
	bool is_read = rp_filter_dropped(&now) == 0;

	hints->rp_filter_drops = is_read && hints->has_before && now > hints->before;
	hints->has_before = is_read;
	hints->before = now;
}

void hints_check(struct hints *hints)
{
	if (hints->phase != PHASE_NONE)
		return;
	read_rp_filter(hints);
	free(take(hints->active.items));
	hints->active.count = 0;
	hints->check++;
	hints->phase = PHASE_COUNT;
	portions_start(&hints->portions);
}

struct hints *hints_new(
	struct event_base *base, const struct group_set *set, struct transitions *transitions)
{
	struct hints *hints = calloc(1, sizeof(*hints));

	if (!hints)
		return NULL;
	hints->set = set;
	hints->transitions = transitions;
	hints->phase = PHASE_NONE;
	portions_init(&hints->portions, base, step, hints);
	read_rp_filter(hints);
	return hints;
}

void hints_free(struct hints *hints)
{
	if (!hints)
		return;
	portions_stop(&hints->portions);
	free(hints->active.items);
	free(hints);
}
