#include "groups/groups.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "groups/joining.h"
#include "groups/registry.h"

struct groups *groups_new(struct event_base *base, struct counters *counters, struct store *store)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return NULL;
	groups->context = (struct group_context){.base = base,
		.arena = arena_new(),
		.senders = senders_new(base),
		.pause = pause_new(base, membership_resume),
		.counters = counters,
		.store = store,
		.taken_back = &groups->taken_back};
	if (!groups->context.arena || !groups->context.senders || !groups->context.pause) {
		groups_free(groups);
		return NULL;
	}
	return groups;
}

void groups_free(struct groups *groups)
{
	if (!groups)
		return;
	groups->context.stopping = store_exists(groups->context.store);
	group_set_clear(&groups->set);
	pause_free(groups->context.pause);
	senders_free(groups->context.senders);
	arena_free(groups->context.arena);
	free(groups);
}

struct group *groups_find(const struct groups *groups, const char *name)
{
	return group_set_find(&groups->set, name);
}

size_t groups_count(const struct groups *groups)
{
	return groups->set.count;
}

struct group *groups_at(const struct groups *groups, size_t i)
{
	return groups->set.items[i];
}

/* Says once how many memberships have a smaller receive buffer than they want, and what would mend
 * it. */
static void warn_of_short_buffers(struct groups *groups)
{
	uint64_t wanted = 0, granted = UINT64_MAX;
	size_t count = 0;

	for (size_t i = 0; i < groups->set.count; i++) {
		const struct group *group = groups->set.items[i];

		for (size_t j = 0; j < group->membership_count; j++) {
			const struct membership *membership = group->memberships[j];

			if (membership->fd < 0 ||
				membership->receive_buffer >= group->config->receive_buffer)
				continue;
			count++;
			wanted = group->config->receive_buffer > wanted
					 ? group->config->receive_buffer
					 : wanted;
			granted = membership->receive_buffer < granted ? membership->receive_buffer
								       : granted;
		}
	}
	if (count && count != groups->short_buffers)
		log_warning("%zu memberships got a receive buffer of %" PRIu64
			    " bytes where %" PRIu64 " are wanted, and may lose datagrams in a "
			    "burst; sysctl -w net.core.rmem_max=%" PRIu64 " mends it",
			count, granted, wanted, wanted);
	groups->short_buffers = count;
}

/* The first thing of all: a socket that is given up after another was joined would take that
 * membership with it, where the interface was made anew with the same index. */
static int take_back(struct groups *groups, const struct interface_list *interfaces)
{
	struct store *store = groups->context.store;
	char name[STORE_NAME_MAX];
	int r = 0, fd;

	if (groups->is_settled || !store_exists(store))
		return 0;
	groups->is_settled = true;
	for (size_t i = 0; i < groups->set.count && r >= 0; i++)
		r = group_take_back(groups->set.items[i], interfaces);
	while ((fd = store_restore_next(store, STORED_PREFIX, name)) >= 0) {
		store_remove(store, name);
		groups->taken_back.lost += leftover_close(fd, interfaces);
	}
	return r;
}

void groups_reconcile(struct groups *groups, const struct link_change *change)
{
	struct interface_list interfaces = {0};
	struct joined joined = {0};
	int r = interface_list_read(&interfaces);

	if (r < 0)
		log_error("listing the network interfaces: %s", strerror(-r));
	if (joined_read(&joined) >= 0)
		groups->context.joined = &joined;
	groups->context.interfaces = &interfaces;
	r = r < 0 ? r : take_back(groups, &interfaces);
	for (size_t i = 0; i < groups->set.count && r >= 0; i++)
		r = group_reconcile(groups->set.items[i], &interfaces, change);
	if (r >= 0)
		senders_reconcile(groups->context.senders, &interfaces);
	if (r == -ENOMEM)
		log_error("joining groups: out of memory");
	groups->context.joined = NULL;
	groups->context.interfaces = NULL;
	joined_clear(&joined);
	interface_list_clear(&interfaces);
	warn_of_short_buffers(groups);
}

const struct taken_back *groups_taken_back(const struct groups *groups)
{
	return &groups->taken_back;
}

static int compare_name(const void *name, const void *item)
{
	return strcmp(name, *(const char *const *)item);
}

static bool tap_wants(const struct tap *tap, const struct group *group)
{
	return !tap->name_count || bsearch(group->config->name, tap->names, tap->name_count,
					   sizeof(*tap->names), compare_name);
}

/* The groups that a tap may be attached to, one after the other: as many as it names, or all. NULL:
 * there is none of that name. */
static size_t tap_group_count(const struct groups *groups, const struct tap *tap)
{
	return tap->name_count ? tap->name_count : groups->set.count;
}

static struct group *tap_group(const struct groups *groups, const struct tap *tap, size_t i)
{
	return tap->name_count ? groups_find(groups, tap->names[i]) : groups->set.items[i];
}

/* A subscriber that cannot be attached for want of memory misses the group, and nothing else
 * breaks. */
void groups_attach_taps(struct groups *groups, struct group *group)
{
	for (struct tap *tap = groups->taps; tap; tap = tap->next)
		if (tap_wants(tap, group) && group_attach(group, &tap->outlet) < 0)
			log_error("group %s: attaching a subscriber: out of memory",
				group->config->name);
}

int groups_add_tap(struct groups *groups, struct tap *tap)
{
	size_t count = tap_group_count(groups, tap);
	int r = 0;

	tap->next = groups->taps;
	groups->taps = tap;
	for (size_t i = 0; i < count && r >= 0; i++) {
		struct group *group = tap_group(groups, tap, i);

		if (group)
			r = group_attach(group, &tap->outlet);
	}
	if (r < 0)
		groups_remove_tap(groups, tap);
	return r;
}

void groups_remove_tap(struct groups *groups, struct tap *tap)
{
	size_t count = tap_group_count(groups, tap);
	struct tap **link;

	for (link = &groups->taps; *link && *link != tap; link = &(*link)->next)
		;
	if (*link)
		*link = tap->next;
	for (size_t i = 0; i < count; i++) {
		struct group *group = tap_group(groups, tap, i);

		if (group)
			group_detach(group, &tap->outlet);
	}
}

int groups_join(struct groups *groups, const struct config_group *config, struct handlers *handlers)
{
	struct interface_list interfaces = {0};
	struct group *group;
	int r = group_new(&groups->context, config, NULL, &group);

	if (r < 0)
		return r;
	r = group_own_config(group);
	group->until_stop = true;
	for (size_t i = 0; i < config->handlers.count && r >= 0; i++) {
		struct handler *handler = handlers_find(handlers, config->handlers.items[i]);

		r = handler ? group_attach(group, handler_outlet(handler)) : -ENOENT;
	}
	r = r < 0 ? r : group_set_add(&groups->set, group);
	if (r < 0) {
		group_set_free_group(group);
		return r;
	}
	groups_attach_taps(groups, group);
	if (interface_list_read(&interfaces) == 0)
		group_reconcile(group, &interfaces, NULL);
	interface_list_clear(&interfaces);
	warn_of_short_buffers(groups);
	return 0;
}

int groups_leave(struct groups *groups, const char *name)
{
	struct group *group = groups_find(groups, name);

	if (!group)
		return -ENOENT;
	if (!group->until_stop)
		return -EPERM;
	group_set_remove(&groups->set, group);
	group_set_free_group(group);
	return 0;
}
