/* Creating, changing and freeing a group. What it does in between is in traffic.c. */
#include "groups/group.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "groups/group_socket.h"
#include "groups/obstacle.h"
#include "groups/wanted.h"
#include "net/rtnetlink.h"

static struct group_counters *take_counters(struct counters *counters, const char *name)
{
	char key[GROUP_NAME_MAX + 8];

	snprintf(key, sizeof(key), "group %s", name);
	return counters_take(
		counters, key, sizeof(struct group_counters), group_counters_members());
}

int group_new(struct group_context *context, const struct config_group *config,
	const struct group *replaced, struct group **ret)
{
	struct group *group = calloc(1, sizeof(*group));

	if (!group)
		return -ENOMEM;
	group->context = context;
	group->config = config;
	group->owner = owner_of(config);
	group->counters = replaced ? replaced->counters
				   : take_counters(context->counters, config->name);
	group->shares_counters = replaced;
	list_init(&group->feeds);
	if (!group->counters ||
		numbered_init(&group->numbered, context->counters, config, group->counters,
			replaced ? &replaced->numbered : NULL) < 0 ||
		(config->merge.count && merged_new(group, replaced ? replaced->merged : NULL,
						&group->merged) < 0) ||
		expected_new(group) < 0) {
		group_free(group);
		return -ENOMEM;
	}
	group_apply_needs(group);
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
	free_own_config(group);
}

static void remove_membership(struct group *group, size_t i)
{
	membership_free(group->memberships.items[i]);
	group->memberships.items[i] = group->memberships.items[--group->memberships.count];
}

void group_leave(struct group *group)
{
	while (group->memberships.count)
		remove_membership(group, group->memberships.count - 1);
}

void group_free(struct group *group)
{
	if (!group)
		return;
	merged_disconnect(group);
	merged_free(take(group->merged));
	silence_cancel(group);
	refresh_cancel(group);
	link_remove(&group->due);
	group_socket_free(group->socket);
	outgoing_clear(group);
	group_leave(group);
	/* Now only: their last datagrams are of a network and have senders, too. */
	expected_free(group);
	same_network_free(group->same_network);
	sender_watch_clear(group);
	free(group->memberships.items);
	free(group->outlets.items);
	if (!group->shares_counters)
		counters_release(group->context->counters, group->counters);
	numbered_clear(&group->numbered, group->context->counters);
	free_own_config(group);
	free(group);
}

/* Whether the sockets of one serve the other, whose receive buffer may have another size. What is
 * queued at a socket that coalesces can only be read as such. */
static bool receives_same(const struct config_group *a, const struct config_group *b)
{
	return a->coalesce == b->coalesce && !config_group_compare_joins(a, b);
}

/* What the kernel has dropped so far is nothing that the new handlers have missed. */
static void begin_drops(struct membership *membership)
{
	struct origin *origin = membership->origin;

	membership_count_drops(membership);
	if (origin)
		atomic_store_explicit(&origin->kernel_dropped_before,
			atomic_load_explicit(&origin->kernel_dropped, memory_order_relaxed),
			memory_order_relaxed);
}

static void move_memberships(struct group *group, struct group *from)
{
	bool is_resized = group->config->receive_buffer != from->config->receive_buffer;

	group->memberships = from->memberships;
	memset(&from->memberships, 0, sizeof(from->memberships));
	for (size_t i = 0; i < group->memberships.count; i++) {
		group->memberships.items[i]->group = group;
		begin_drops(group->memberships.items[i]);
		membership_apply_needs(group->memberships.items[i], false);
		if (!group->config->refresh)
			refresh_forget(group->memberships.items[i]);
		if (is_resized)
			membership_apply_buffer(group->memberships.items[i]);
	}
}

void group_inherit(struct group *group, struct group *from)
{
	bool goes_on = numbered_goes_on(&group->numbered, &from->numbered);

	if (receives_same(group->config, from->config)) {
		move_memberships(group, from);
		sender_watch_move(group, from, goes_on);
	}
	while (from->memberships.count)
		remove_membership(from, from->memberships.count - 1);
	sender_watch_forget(from);
	numbered_inherit(&group->numbered, &from->numbered, group->counters);
	outgoing_move(group, from);
	same_network_move(group, from);
	silence_inherit(group, from);
	expected_inherit(group, from);
	group->hinted_s = from->hinted_s;
	group->shares_counters = false;
	from->shares_counters = true;
	group_socket_begin(group->socket, from->socket);
}

/* Marks the membership on this interface as wanted, and creates it when there is none. What matches
 * nothing gets one itself, so that answers show that it waits. */
static int want(void *argument, const char *interface)
{
	struct group *group = argument;
	struct membership *membership = group_find_membership(group, interface);

	if (!membership) {
		membership = membership_new(group, interface);
		if (!membership || array_add(&group->memberships, membership) < 0) {
			membership_free(membership);
			return -ENOMEM;
		}
	}
	membership->wanted = true;
	return 0;
}

/* Whether it waited for an interface under another name: a pattern that matched nothing, or an
 * address or alternative name that an interface has now. */
static bool was_alias(const struct membership *membership, const struct interface_list *interfaces)
{
	const struct interface *interface = interface_find(interfaces, membership->interface);

	return interface_is_glob(membership->interface) ||
	       (interface && strcmp(interface->name, membership->interface) != 0);
}

/* What was no interface is not left: what it means now has memberships. */
static void leave_unwanted(struct group *group, const struct interface_list *interfaces, size_t i)
{
	const struct membership *membership = group->memberships.items[i];
	char why[WHY_MAX];

	if (group->is_settled && !was_alias(membership, interfaces))
		membership_tell_left(membership, obstacle_explain_left(group->config,
							 membership->interface, interfaces, why));
	remove_membership(group, i);
}

/* Gives it a membership for each interface that is wanted, and no other. */
static int make_memberships(struct group *group, const struct interface_list *interfaces)
{
	int r;

	for (size_t i = 0; i < group->memberships.count; i++)
		group->memberships.items[i]->wanted = false;
	r = wanted_interfaces(group->config, interfaces, want, group);
	for (size_t i = group->memberships.count; i-- > 0 && r >= 0;)
		if (!group->memberships.items[i]->wanted)
			leave_unwanted(group, interfaces, i);
	return r < 0 ? r : 0;
}

int group_restore(struct group *group, const struct interface_list *interfaces)
{
	int r = config_group_is_made_here(group->config) ? 0 : make_memberships(group, interfaces);

	for (size_t i = 0; r >= 0 && i < group->memberships.count; i++) {
		struct membership *membership = group->memberships.items[i];

		membership_restore(membership, interface_find(interfaces, membership->interface));
	}
	return r;
}

static bool is_joined(const struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++)
		if (group->memberships.items[i]->state == MEMBERSHIP_JOINED)
			return true;
	return false;
}

static bool has_joined_leg(const struct merged *merged)
{
	for (unsigned i = 0; i < merged->leg_count; i++)
		if (merged->legs[i].from && is_joined(merged->legs[i].from))
			return true;
	return false;
}

int group_reconcile(struct group *group, const struct interface_list *interfaces)
{
	int r;

	if (config_group_is_made_here(group->config)) {
		if (group->merged && has_joined_leg(group->merged))
			expected_watch(group);
		group_apply_needs(group);
		return 0;
	}
	r = make_memberships(group, interfaces);
	if (r < 0)
		return r;
	for (size_t i = 0; i < group->memberships.count; i++) {
		membership_update(group->memberships.items[i], interfaces);
		if (group->memberships.items[i]->state == MEMBERSHIP_JOINED)
			expected_watch(group); /* one that was joined before a reload */
	}
	group->is_settled = true;
	refresh_watch(group);
	same_network_update(group);
	if (!group->context->receive_only)
		r = outgoing_update(group, interfaces);
	group_apply_needs(group);
	return r;
}

/* Whether a configured list means an interface that has changed. One that names none means all. */
static bool are_concerned(
	const struct string_list *patterns, const struct interface_changes *changes)
{
	bool is_default = true;

	for (size_t i = 0; i < patterns->count; i++) {
		if (*patterns->items[i] == '!')
			continue;
		is_default = false;
		if (interface_changes_concern(changes, patterns->items[i]))
			return true;
	}
	return is_default && changes->count;
}

/* Whether the kernel may have removed a membership. */
static bool seems_left(const struct group *group)
{
	for (size_t i = 0; i < group->memberships.count; i++) {
		const struct membership *membership = group->memberships.items[i];

		if (membership->fd >= 0 &&
			forgotten_seems_left(group->context->forgotten, &group->config->address,
				membership->origin->ifindex, membership->touched))
			return true;
	}
	return false;
}

bool group_is_concerned(const struct group *group, const struct interface_changes *changes)
{
	const struct config_group *config = group->config;
	const struct ways *extras = &group->outgoing.extras;
	char string[INET6_ADDRSTRLEN];

	if (config_group_is_made_here(config))
		return false;
	/* The first two depend on routes, which may change with any interface, or without one. */
	if (!address_is_multicast(&config->address) || outgoing_follows_route(group) ||
		seems_left(group) || are_concerned(&config->interfaces, changes))
		return true;
	if (config->send_interface.count && are_concerned(&config->send_interface, changes))
		return true;
	if (config->source_address.family != AF_UNSPEC &&
		interface_changes_concern(changes, address_format(&config->source_address, string)))
		return true;
	/* They were opened with what was read at that moment. */
	for (size_t i = 0; i < extras->count; i++)
		if (interface_changes_concern(changes, extras->items[i]->interface) ||
			!interface_by_index(changes->after, extras->items[i]->ifindex))
			return true;
	return false;
}

bool group_delivers_to(const struct group *group, const struct outlet *outlet)
{
	for (size_t i = 0; i < group->outlets.count; i++)
		if (group->outlets.items[i] == outlet)
			return true;
	return false;
}

bool group_takes_input(const struct group *group, const char *handler)
{
	return string_list_has(&group->config->inputs, handler);
}

uint64_t group_smallest_buffer(const struct group *group)
{
	uint64_t smallest = UINT64_MAX;

	for (size_t i = 0; i < group->memberships.count; i++) {
		const struct membership *membership = group->memberships.items[i];

		if (membership->fd >= 0 && membership->receive_buffer < smallest)
			smallest = membership->receive_buffer;
	}
	return smallest;
}
