#include "groups/joining.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "net/multicast.h"

/* The socket that a socket unit of systemd has opened for the membership, named GROUP or
 * GROUP%INTERFACE; or -ENOENT. */
static int claim_listening(const struct membership *membership, const struct interface *interface)
{
	struct store *store = membership->owner->context->store;
	const char *group = membership->config->name;
	char name[GROUP_NAME_MAX + IF_NAMESIZE + 2];
	int fd;

	snprintf(name, sizeof(name), "%s%%%s", group, interface->name);
	fd = store_listening(store, name);
	return fd < 0 ? store_listening(store, group) : fd;
}

/* Sees to it that a socket of whatever origin has the receive buffer that is wanted. It may have a
 * greater one. */
static uint64_t raise_receive_buffer(int fd, uint64_t wanted)
{
	uint64_t granted = socket_receive_buffer(fd);

	return granted < wanted ? socket_set_receive_buffer(fd, wanted) : granted;
}

static int open_socket(
	struct membership *membership, const struct interface *interface, char why[static WHY_MAX])
{
	const struct config_group *config = membership->config;
	const struct address_list *sources = config->block_sources.count ? &config->block_sources
									 : &config->sources;
	struct multicast_membership wanted = {
		.group = config->address,
		.port = (uint16_t)config->port,
		.interface = interface->name,
		.ifindex = interface->index,
		.sources = sources->items,
		.source_count = sources->count,
		.exclude = config->block_sources.count > 0,
	};
	AUTO_CLOSE int fd = claim_listening(membership, interface);
	int r;

	if (fd >= 0) {
		r = multicast_adopt_receiver(fd, &wanted, why);
		if (r < 0)
			return r;
		membership->receive_buffer = raise_receive_buffer(fd, config->receive_buffer);
		return take_fd(fd);
	}
	r = multicast_open_receiver(&wanted, why);
	/* After joining: what comes in those microseconds, the default buffer holds. */
	if (r >= 0)
		membership->receive_buffer = socket_set_receive_buffer(r, config->receive_buffer);
	return r;
}

static uint64_t hash_addresses(uint64_t hash, const struct address_list *list)
{
	hash = hash_bytes(hash, &list->count, sizeof(list->count));
	return hash_bytes(hash, list->items, list->count * sizeof(*list->items));
}

/* The beginning of the names that this membership's sockets have with the keeper, whatever they are
 * joined to. */
static void name_membership(const struct membership *membership, char name[static STORE_NAME_MAX])
{
	uint64_t hash = hash_bytes(
		HASH_BEGIN, membership->config->name, strlen(membership->config->name) + 1);

	hash = hash_bytes(hash, membership->interface, strlen(membership->interface));
	snprintf(name, STORE_NAME_MAX, STORED_PREFIX "%016" PRIx64 "-", hash);
}

/* Whatever the socket is joined to changes the name, so that one that is found under it is the
 * right one. */
void membership_name_socket(
	const struct membership *membership, unsigned ifindex, char name[static STORE_NAME_MAX])
{
	const struct config_group *config = membership->config;
	uint64_t hash = hash_bytes(HASH_BEGIN, &ifindex, sizeof(ifindex));
	size_t length;

	hash = hash_bytes(hash, &config->address, sizeof(config->address));
	hash = hash_bytes(hash, &config->port, sizeof(config->port));
	hash = hash_bytes(hash, &config->coalesce, sizeof(config->coalesce));
	hash = hash_addresses(hash, &config->sources);
	hash = hash_addresses(hash, &config->block_sources);
	name_membership(membership, name);
	length = strlen(name);
	snprintf(name + length, STORE_NAME_MAX - length, "%016" PRIx64, hash);
}

/* Makes fd the membership's socket, joined on the interface. On failure it is closed. */
static int adopt(struct membership *membership, const char *interface, unsigned ifindex, int fd)
{
	const struct config_group *config = membership->config;

	membership->origin = origin_new(
		config->name, &config->address, (uint16_t)config->port, interface, ifindex);
	if (!membership->origin) {
		close(fd);
		return -ENOMEM;
	}
	membership->fd = fd;
	event_assign(&membership->readable, membership->owner->context->base, fd,
		EV_READ | EV_PERSIST, membership_on_readable, membership);
	if (event_add(&membership->readable, NULL) < 0) {
		membership_close(membership);
		return -ENOMEM;
	}
	return 0;
}

/* Makes a socket of the keeper's this membership's. */
static int adopt_kept(struct membership *membership, const char *interface, unsigned ifindex,
	const char *name, int fd)
{
	int r;

	/* The counters of the earlier run are not there, and so neither is what it has counted
	 * already. */
	if (!membership->counters->joins) {
		membership->counters->socket_dropped = socket_drops(fd);
		membership->counters->joins = 1;
	}
	/* More may be granted by now than when it was opened. */
	membership->receive_buffer = raise_receive_buffer(fd, membership->config->receive_buffer);
	r = adopt(membership, interface, ifindex, fd);
	if (r < 0)
		store_remove(membership->owner->context->store, name);
	else
		membership_apply_needs(membership, true);
	return r;
}

/* Takes back the very socket that is wanted. One that is not joined any more is closed as any
 * other: by a leave, first. The kernel would otherwise undo the next membership of that index when
 * the keeper's copy is closed, at whatever time. */
static bool take_same(struct membership *membership, const struct interface *interface)
{
	const struct group_context *context = membership->owner->context;
	char name[STORE_NAME_MAX];
	int fd;

	membership_name_socket(membership, interface->index, name);
	fd = store_restore(context->store, name);
	membership->coalesces = membership->config->coalesce;
	if (fd < 0 || adopt_kept(membership, interface->name, interface->index, name, fd) < 0)
		return false;
	membership->is_kept = true;
	if (context->joined &&
		!joined_contains(context->joined, &membership->config->address, interface->index)) {
		membership_close(membership);
		return false;
	}
	context->taken_back->sockets++;
	context->taken_back->kernel_dropped += membership_count_drops(membership);
	membership_set_state(membership, MEMBERSHIP_JOINED, NULL);
	return true;
}

/* Receives what waits at sockets that were joined otherwise, and gives them up. What they coalesced
 * is read as such. */
static void take_others(struct membership *membership, unsigned ifindex)
{
	const struct group_context *context = membership->owner->context;
	const struct config_group *config = membership->config;
	char prefix[STORE_NAME_MAX], name[STORE_NAME_MAX];
	int fd;

	name_membership(membership, prefix);
	while ((fd = store_restore_next(context->store, prefix, name)) >= 0) {
		store_remove(context->store, name);
		if (!socket_is_bound_to(fd, &config->address, (uint16_t)config->port)) {
			context->taken_back->lost += leftover_close(fd, context->interfaces);
			continue;
		}
		membership->coalesces = true;
		if (adopt_kept(membership, membership->interface, ifindex, name, fd) >= 0)
			membership_close(membership);
	}
}

void membership_take_back(struct membership *membership, const struct interface *interface)
{
	if (!interface || !take_same(membership, interface))
		take_others(membership, interface ? interface->index : 0);
}

uint64_t leftover_close(int fd, const struct interface_list *interfaces)
{
	uint64_t lost = 0;

	for (size_t i = 0; i < interfaces->count; i++)
		multicast_leave_bound(fd, interfaces->items[i].index);
	while (recv(fd, NULL, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0)
		lost++;
	close(fd);
	return lost;
}

int membership_join(
	struct membership *membership, const struct interface *interface, char why[static WHY_MAX])
{
	int fd = open_socket(membership, interface, why), r;
	char name[STORE_NAME_MAX];

	if (fd < 0)
		return fd;
	membership->counters->socket_dropped = 0;
	membership->counters->joins++;
	membership->coalesces = membership->config->coalesce;
	r = adopt(membership, interface->name, interface->index, fd);
	if (r < 0)
		return r;
	membership_apply_needs(membership, membership->coalesces);
	membership_name_socket(membership, interface->index, name);
	membership->is_kept = store_add(membership->owner->context->store, name, fd);
	return 0;
}
