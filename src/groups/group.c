#include "groups/group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/list.h"
#include "groups/joining.h"

static void count(struct membership_owner *owner, const struct arena_received *received)
{
	struct group_counters *counters = container_of(owner, struct group, owner)->counters;

	counters->received += received->count;
	counters->received_bytes += received->bytes;
	counters->truncated += received->truncated;
	counters->last_received_ns = clock_ns(CLOCK_REALTIME_COARSE);
}

static void deliver(struct membership_owner *owner, const struct batch *batch)
{
	struct group *group = container_of(owner, struct group, owner);

	for (size_t i = 0; i < group->outlet_count; i++)
		group->outlets[i]->deliver(group->outlets[i], batch);
}

static struct group_counters *take_counters(struct counters *counters, const char *name)
{
	char key[GROUP_NAME_MAX + 8];

	snprintf(key, sizeof(key), "group %s", name);
	return counters_take(
		counters, key, sizeof(struct group_counters), group_counters_members());
}

int group_new(const struct group_context *context, const struct config_group *config,
	const struct group *replaced, struct group **ret)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group)
		return -ENOMEM;
	group->owner = (struct membership_owner){
		.context = context, .count = count, .deliver = deliver};
	group->counters = replaced ? replaced->counters
				   : take_counters(context->counters, config->name);
	group->shares_counters = replaced;
	group->config = config;
	if (!group->counters) {
		group_free(group);
		return -ENOMEM;
	}
	group->owner.kernel_dropped = &group->counters->kernel_dropped;
	*ret = group;
	return 0;
}

static void free_own_config(struct group *group)
{
	if (group->own_config)
		config_group_clear(group->own_config);
	free(take(group->own_config));
}

int group_own_config(struct group *group)
{
	group->own_config = calloc(1, sizeof(*group->own_config));
	if (!group->own_config || config_group_copy(group->own_config, group->config) < 0) {
		free_own_config(group);
		return -ENOMEM;
	}
	group->config = group->own_config;
	return 0;
}

void group_set_config(struct group *group, const struct config_group *config)
{
	group->config = config;
	for (size_t i = 0; i < group->membership_count; i++)
		group->memberships[i]->config = config;
	if (config != group->own_config)
		free_own_config(group);
}

static void remove_membership(struct group *group, size_t i)
{
	struct membership *membership = group->memberships[i];

	membership_free(membership);
	group->memberships[i] = group->memberships[--group->membership_count];
}

void group_free(struct group *group)
{
	if (!group)
		return;
	while (group->membership_count)
		remove_membership(group, group->membership_count - 1);
	free(group->memberships);
	free(group->outlets);
	if (!group->shares_counters)
		counters_release(group->owner.context->counters, group->counters);
	free_own_config(group);
	free(group);
}

/* Whether the sockets of one serve the other. What waits at a socket that coalesces cannot be read
 * without. */
static bool receives_same(const struct config_group *a, const struct config_group *b)
{
	return address_equal(&a->address, &b->address) && a->port == b->port &&
	       a->receive_buffer == b->receive_buffer && a->coalesce == b->coalesce &&
	       !string_list_compare(&a->interfaces, &b->interfaces) &&
	       !address_list_compare(&a->sources, &b->sources) &&
	       !address_list_compare(&a->block_sources, &b->block_sources);
}

static void move_memberships(struct group *group, struct group *from)
{
	group->memberships = take(from->memberships);
	group->membership_count = from->membership_count;
	from->membership_count = 0;
	for (size_t i = 0; i < group->membership_count; i++) {
		group->memberships[i]->owner = &group->owner;
		group->memberships[i]->config = group->config;
		membership_apply_needs(group->memberships[i], false);
	}
}

void group_inherit(struct group *group, struct group *from)
{
	if (receives_same(group->config, from->config))
		move_memberships(group, from);
	while (from->membership_count)
		remove_membership(from, from->membership_count - 1);
	group->shares_counters = false;
	from->shares_counters = true;
}

static struct membership *find_membership(const struct group *group, const char *interface)
{
	for (size_t i = 0; i < group->membership_count; i++)
		if (!strcmp(group->memberships[i]->interface, interface))
			return group->memberships[i];
	return NULL;
}

/* Marks the membership on this interface as wanted, and makes it when there is none. */
static int want(struct group *group, const char *interface)
{
	struct membership *membership = find_membership(group, interface), **grown;

	if (!membership) {
		grown = realloc(group->memberships, (group->membership_count + 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		group->memberships = grown;
		membership = membership_new(&group->owner, group->config, interface);
		if (!membership)
			return -ENOMEM;
		group->memberships[group->membership_count++] = membership;
	}
	membership->wanted = true;
	return 0;
}

/* A pattern that matches nothing is wanted itself: a membership that waits for it shows in answers.
 */
static int want_pattern(
	struct group *group, const char *pattern, const struct interface_list *interfaces)
{
	bool matched = false;
	int r = 0;

	if (!interface_is_glob(pattern))
		return want(group, pattern);
	for (size_t i = 0; i < interfaces->count && r >= 0; i++) {
		if (!interface_matches(&interfaces->items[i], pattern))
			continue;
		matched = true;
		r = want(group, interfaces->items[i].name);
	}
	return matched || r < 0 ? r : want(group, pattern);
}

static int want_all(struct group *group, const struct interface_list *interfaces)
{
	const struct string_list *patterns = &group->config->interfaces;
	int r = patterns->count ? 0 : want_pattern(group, "*", interfaces);

	for (size_t i = 0; i < patterns->count && r >= 0; i++)
		r = want_pattern(group, patterns->items[i], interfaces);
	return r;
}

/* Where to send when nobody says otherwise. */
static void choose_send_interface(struct group *group, const struct interface_list *interfaces)
{
	const char *name = group->config->send_interface;
	const struct interface *interface;

	if (!name && group->membership_count == 1)
		name = group->memberships[0]->interface;
	interface = name ? interface_find(interfaces, name) : NULL;
	group->send_ifindex = interface ? interface->index : 0;
}

static void update(struct membership *membership, const struct interface_list *interfaces,
	const struct link_change *change)
{
	const struct interface *interface = interface_find(interfaces, membership->interface);

	membership_update(membership, interface,
		interface && change && link_change_is_new(change, interface->index));
}

/* Has a membership for each interface that is wanted, and no other. */
static int make_memberships(struct group *group, const struct interface_list *interfaces)
{
	int r;

	for (size_t i = 0; i < group->membership_count; i++)
		group->memberships[i]->wanted = false;
	r = want_all(group, interfaces);
	if (r < 0)
		return r;
	for (size_t i = group->membership_count; i-- > 0;)
		if (!group->memberships[i]->wanted)
			remove_membership(group, i);
	return 0;
}

int group_take_back(struct group *group, const struct interface_list *interfaces)
{
	int r = make_memberships(group, interfaces);

	for (size_t i = 0; r >= 0 && i < group->membership_count; i++)
		membership_take_back(group->memberships[i],
			interface_find(interfaces, group->memberships[i]->interface));
	return r;
}

int group_reconcile(struct group *group, const struct interface_list *interfaces,
	const struct link_change *change)
{
	int r = make_memberships(group, interfaces);

	if (r < 0)
		return r;
	for (size_t i = 0; i < group->membership_count; i++)
		update(group->memberships[i], interfaces, change);
	choose_send_interface(group, interfaces);
	return 0;
}

static void apply_needs(struct group *group)
{
	unsigned needs = 0;

	for (size_t i = 0; i < group->outlet_count; i++)
		needs |= NEED_DATAGRAMS | group->outlets[i]->needs;
	if (needs == group->owner.needs)
		return;
	group->owner.needs = needs;
	for (size_t i = 0; i < group->membership_count; i++)
		membership_apply_needs(group->memberships[i], false);
}

int group_attach(struct group *group, struct outlet *outlet)
{
	struct outlet **grown = realloc(group->outlets, (group->outlet_count + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	group->outlets = grown;
	group->outlets[group->outlet_count++] = outlet;
	apply_needs(group);
	return 0;
}

void group_detach(struct group *group, struct outlet *outlet)
{
	for (size_t i = 0; i < group->outlet_count; i++) {
		if (group->outlets[i] != outlet)
			continue;
		group->outlets[i] = group->outlets[--group->outlet_count];
		break;
	}
	apply_needs(group);
}

uint64_t group_kernel_dropped(struct group *group)
{
	for (size_t i = 0; i < group->membership_count; i++)
		membership_kernel_dropped(group->memberships[i]);
	return group->counters->kernel_dropped;
}
