#include "groups/follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "groups/group.h"
#include "net/background.h"
#include "net/link_monitor.h"
#include "net/portions.h"

/* How long the loop waits for the links to be listed. */
#define LOOK_NS (10 * NS_PER_MS)

struct follow {
	struct background *background;
	struct portions portions; /* of those that are due */
	struct forgotten *forgotten;
	struct transitions *transitions;
	const struct follow_callbacks *callbacks;
	void *argument;
	struct link due; /* groups */
	bool is_open; /* from the first reading to the end of the last group */
	bool all; /* the next reading concerns all groups */
	bool reads; /* in the background */
	bool wants_joined; /* the next reading has the kernel's memberships, too: those that a
			      change of routes only does not remove */
	bool reads_joined; /* this one has */
	bool again; /* something has changed since that began */
	bool is_outdated; /* what it reads is older than what was used meanwhile */
	uint64_t look_until_ns; /* nobody waits any longer; CLOCK_MONOTONIC */
	struct interface_list interfaces;
	struct interface_changes changes;
	struct { /* written in the background */
		struct interface_list interfaces;
		struct joined joined;
		int r, joined_r;
		uint32_t began;
	} read;
};

static void read_links(void *argument)
{
	struct follow *follow = argument;

	follow->read.r = interface_list_read(&follow->read.interfaces);
	follow->read.joined_r = follow->reads_joined ? joined_read(&follow->read.joined) : -ENODATA;
}

static void begin_reading(struct follow *follow)
{
	if (!follow->is_open)
		transitions_begin(follow->transitions);
	follow->is_open = follow->reads = true;
	follow->again = follow->is_outdated = false;
	follow->reads_joined = follow->wants_joined;
	follow->wants_joined = false;
	follow->read.began = forgotten_tick(follow->forgotten);
	background_start(follow->background);
}

static void drop_reading(struct follow *follow)
{
	interface_list_clear(&follow->read.interfaces);
	joined_clear(&follow->read.joined);
}

static void end(struct follow *follow)
{
	forgotten_clear(follow->forgotten);
	transitions_end(follow->transitions);
	follow->is_open = false;
	follow->callbacks->done(follow->argument);
}

static bool reconcile_next(void *argument)
{
	struct follow *follow = argument;
	struct group *group = list_first(&follow->due, struct group, due);

	if (group) {
		link_remove(&group->due);
		if (group_reconcile(group, &follow->interfaces) < 0)
			log_error("group %s: joining: out of memory", group->config->name);
	}
	if (!list_is_empty(&follow->due))
		return true;
	if (!follow->reads)
		end(follow);
	return false;
}

/* What has changed since the last reading. An interface that was deleted may be back, and look the
 * same. */
static int compare(struct follow *follow)
{
	const struct forgotten *forgotten = follow->forgotten;
	struct {
		unsigned *items;
		size_t count;
	} gone = {0};
	int r = 0;

	for (size_t i = 0; i < forgotten->gone.count && r >= 0; i++)
		r = array_add(&gone, forgotten->gone.items[i].ifindex);
	r = r < 0 ? r
		  : interface_list_compare(&follow->interfaces, &follow->read.interfaces,
			    gone.items, gone.count, &follow->changes);
	free(gone.items);
	return r;
}

/* Without memory for the comparison, all groups are concerned. */
static void take_interfaces(struct follow *follow)
{
	struct interface_list before;

	if (compare(follow) < 0)
		follow->all = true;
	if (follow->read.joined_r >= 0)
		forgotten_note_joined(
			follow->forgotten, &follow->read.joined, follow->read.began, false);
	follow->callbacks->changed(follow->argument);
	follow->all = false;
	free(follow->changes.items);
	follow->changes = (struct interface_changes){0};
	before = follow->interfaces;
	follow->interfaces = follow->read.interfaces;
	follow->read.interfaces = (struct interface_list){0};
	interface_list_clear(&before);
}

static void on_read(void *argument)
{
	struct follow *follow = argument;

	follow->reads = false;
	if (follow->read.r < 0)
		log_error("listing the network interfaces: %s", strerror(-follow->read.r));
	else if (!follow->is_outdated)
		take_interfaces(follow);
	drop_reading(follow);
	follow->wants_joined |= follow->reads_joined && follow->is_outdated;
	if (follow->again || follow->is_outdated)
		begin_reading(follow);
	portions_start(&follow->portions);
}

struct follow *follow_new(struct event_base *base, struct forgotten *forgotten,
	struct transitions *transitions, const struct follow_callbacks *callbacks, void *argument)
{
	struct follow *follow = calloc(1, sizeof(*follow));

	if (!follow)
		return NULL;
	list_init(&follow->due);
	follow->forgotten = forgotten;
	follow->transitions = transitions;
	follow->callbacks = callbacks;
	follow->argument = argument;
	portions_init(&follow->portions, base, reconcile_next, follow);
	follow->background = background_new(base, false, read_links, on_read, follow);
	if (!follow->background) {
		follow_free(follow);
		return NULL;
	}
	return follow;
}

void follow_free(struct follow *follow)
{
	if (!follow)
		return;
	background_free(follow->background);
	portions_stop(&follow->portions);
	if (follow->is_open)
		transitions_end(follow->transitions);
	drop_reading(follow);
	interface_list_clear(&follow->interfaces);
	free(follow);
}

const struct interface_list *follow_interfaces(const struct follow *follow)
{
	return &follow->interfaces;
}

void follow_links(struct follow *follow, const struct link_change *change)
{
	bool routes_only = change && !change->links_changed;

	if (!change)
		follow->all = true;
	else if (change->gone_count &&
		 forgotten_note_gone(follow->forgotten, change->gone, change->gone_count) < 0)
		follow->all = true;
	follow->wants_joined |= !routes_only;
	if (follow->reads)
		follow->again = true;
	else
		begin_reading(follow);
}

void follow_group(struct follow *follow, struct group *group)
{
	if (!link_is_used(&group->due) &&
		(follow->all || group_is_concerned(group, &follow->changes)))
		list_append(&follow->due, &group->due);
}

int follow_read_now(struct follow *follow)
{
	struct interface_list interfaces = {0};
	struct joined joined = {0};
	uint32_t began = forgotten_tick(follow->forgotten);
	int r = interface_list_read(&interfaces);

	follow->is_outdated = follow->reads;
	if (r < 0)
		return r;
	interface_list_clear(&follow->interfaces);
	follow->interfaces = interfaces;
	if (joined_read(&joined) >= 0)
		forgotten_note_joined(follow->forgotten, &joined, began, true);
	transitions_begin(follow->transitions);
	return 0;
}

void follow_settle(struct follow *follow)
{
	struct group *group;

	while ((group = list_first(&follow->due, struct group, due)))
		link_remove(&group->due);
	portions_stop(&follow->portions);
	transitions_end(follow->transitions);
	if (follow->reads)
		return;
	if (follow->is_open)
		end(follow);
	else
		forgotten_clear(follow->forgotten);
}

/* A reading that was under way may have begun before the change, so there may be a second one. */
void follow_look(struct follow *follow)
{
	static const struct link_change look = {.routes_changed = true};
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	follow_links(follow, &look);
	if (!follow->again)
		follow->look_until_ns = now + LOOK_NS;
	while (follow->reads && (now = clock_ns(CLOCK_MONOTONIC)) < follow->look_until_ns)
		background_wait_for(follow->background, follow->look_until_ns - now);
}
