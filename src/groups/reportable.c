#include "groups/reportable.h"

#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/array.h"
#include "groups/group.h"

void reportable_begin(
	struct reportable *reportable, const struct group_context *context, bool wants_holders)
{
	*reportable = (struct reportable){.context = context,
		.wants_holders = wants_holders,
		.changes = same_groups_changes(context->same_groups)};
}

static int compare_sockets(const void *a, const void *b)
{
	const struct udp_socket *left = a, *right = b;

	return address_compare(&left->address, &right->address);
}

void reportable_read(struct reportable *reportable)
{
	struct udp_sockets *holders = &reportable->holders;

	reportable->has_joined = joined_read(&reportable->joined) >= 0;
	if (reportable->wants_holders && udp_sockets_read(holders) >= 0 && holders->count)
		qsort(holders->items, holders->count, sizeof(*holders->items), compare_sockets);
}

void reportable_clear(struct reportable *reportable)
{
	joined_clear(&reportable->joined);
	udp_sockets_clear(&reportable->holders);
	reportable->has_joined = false;
}

static bool is_joined(const struct membership *membership)
{
	return membership->state == MEMBERSHIP_JOINED && membership->fd >= 0 &&
	       address_is_multicast(&membership->group->config->address);
}

/* Where the daemon has joined or left meanwhile, the numbers may not belong together. */
static bool is_shared(const struct reportable *reportable, const struct membership *membership)
{
	const struct address *group = &membership->group->config->address;
	unsigned ifindex = membership->origin->ifindex;

	return reportable->has_joined &&
	       reportable->changes == same_groups_changes(reportable->context->same_groups) &&
	       joined_users(&reportable->joined, group, ifindex) >
		       same_groups_count(reportable->context->same_groups, group, ifindex);
}

bool reportable_is_unclear(const struct reportable *reportable, const struct membership *membership)
{
	return !reportable->wants_holders && !membership->refreshed.is_shared &&
	       is_joined(membership) && is_shared(reportable, membership);
}

struct inodes {
	uint64_t *items;
	size_t count;
};

/* Adds the sockets of this process that have the group, on any interface. */
static void add_own(
	const struct reportable *reportable, const struct address *group, struct inodes *own)
{
	const struct interface_list *interfaces = reportable->context->interfaces;
	struct stat status;

	for (size_t i = 0; i < interfaces->count; i++) {
		const struct membership *same = NULL;

		while ((same = same_groups_next(reportable->context->same_groups, group,
				interfaces->items[i].index, same)))
			if (fstat(same->fd, &status) == 0)
				array_add(own, status.st_ino);
	}
}

static bool is_among(const struct inodes *inodes, uint64_t inode)
{
	for (size_t i = 0; i < inodes->count; i++)
		if (inodes->items[i] == inode)
			return true;
	return false;
}

static int compare_address(const void *key, const void *item)
{
	return address_compare(key, &((const struct udp_socket *)item)->address);
}

/* A socket of another program that is bound to the group; or NULL. */
static const struct udp_socket *find_holder(
	const struct reportable *reportable, const struct address *group)
{
	const struct udp_sockets *holders = &reportable->holders;
	size_t i = lower_bound(
		group, holders->items, holders->count, sizeof(*holders->items), compare_address);
	const struct udp_socket *found = NULL;
	struct inodes own = {0};

	add_own(reportable, group, &own);
	for (; !found && i < holders->count && address_equal(&holders->items[i].address, group);
		i++)
		if (!is_among(&own, holders->items[i].inode))
			found = &holders->items[i];
	free(own.items);
	return found;
}

/* Only sockets that are bound to the group are found for sure. */
static void explain_shared(const struct reportable *reportable, const struct membership *membership,
	char why[static WHY_MAX])
{
	const struct udp_socket *holder;

	if (!reportable->wants_holders && membership->refreshed.impossible) {
		snprintf(why, WHY_MAX, "%s", membership->refreshed.impossible);
		return;
	}
	holder = find_holder(reportable, &membership->group->config->address);
	if (holder)
		snprintf(why, WHY_MAX,
			"a program of uid %u has joined it there, too, so the kernel reports no "
			"change: end that program, or have it leave and join; ss -lunp sport = %u "
			"shows it",
			(unsigned)holder->uid, holder->port);
	else
		snprintf(why, WHY_MAX,
			"another program has joined it there, too, so the kernel reports no "
			"change: end that program, or have it leave and join; ss -lunp shows those "
			"that receive UDP");
}

static bool is_of_no_use(const struct reportable *reportable, const struct membership *membership,
	char why[static WHY_MAX])
{
	const struct interface *interface;

	if (!address_is_multicast(&membership->group->config->address))
		return because(why, true, "the address is no multicast, and never reported");
	if (!is_joined(membership))
		return because(why, true, "it is not joined%s%s", membership->error ? ": " : "",
			membership->error ? membership->error : "");
	interface = interface_by_index(
		reportable->context->interfaces, membership->origin->ifindex);
	if (!interface)
		return false;
	if (interface->flags & IFF_LOOPBACK)
		return because(why, true, "nothing leaves this host by %s", interface->name);
	if (!(interface->flags & IFF_UP))
		return because(why, true, "%s is down, and it is reported when that is up",
			interface->name);
	if (!(interface->flags & INTERFACE_LOWER_UP))
		return because(why, true, "%s has no carrier, and it is reported with the next one",
			interface->name);
	return false;
}

enum reportable_state reportable_examine(const struct reportable *reportable,
	const struct membership *membership, char why[static WHY_MAX])
{
	if (is_of_no_use(reportable, membership, why))
		return REPORTABLE_TO_NOBODY;
	if (!reportable->has_joined)
		return REPORTABLE;
	switch (joined_reports(&reportable->joined, &membership->group->config->address,
		membership->origin->ifindex)) {
	case JOINED_REPORTS_ANSWERS:
		snprintf(why, WHY_MAX,
			"a querier of IGMPv2 or IGMPv1 was heard there, and the kernel answers it: "
			"nothing is to be refreshed");
		return REPORTABLE_TO_NOBODY;
	case JOINED_REPORTS_JOINS:
		if (!is_shared(reportable, membership))
			return REPORTABLE_BY_JOINING;
		break;
	case JOINED_REPORTS_CHANGES:
		if (!is_shared(reportable, membership))
			return REPORTABLE;
		break;
	}
	explain_shared(reportable, membership, why);
	return REPORTABLE_SHARED;
}
