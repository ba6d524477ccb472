#include "ctl/receiver.h"

#include <errno.h>

#include "base/array.h"
#include "groups/arena.h"
#include "net/interface.h"
#include "net/multicast.h"

/* As the default of a group's receive_buffer. */
#define RECEIVE_BUFFER (4 << 20)

#define OTHERS 2

struct membership {
	int fd;
	struct origin *origin;
	uint32_t dropped; /* as the kernel counts it, modulo 2^32 */
};

struct receiver {
	struct arena *arena;
	unsigned needs;
	struct membership *items;
	size_t count;
	struct pollfd *fds; /* of the items, then the others */
	size_t next; /* the item to read next; those behind it may be readable */
	uint64_t dropped;
};

#define AUTO_INTERFACES CLEANUP(interface_list_clear)

static int join(struct receiver *receiver, const struct target *target,
	const struct interface *interface, char why[static WHY_MAX])
{
	struct multicast_membership wanted = {
		.group = target->address,
		.reach = multicast_reach(&target->address),
		.port = target->port,
		.interface = interface->name,
		.ifindex = interface->index,
		.sources = target->sources.items,
		.source_count = target->sources.count,
	};
	struct membership membership = {.fd = -1,
		.origin = origin_new(target->name, &target->address, target->port, interface->name,
			interface->index)};
	int r = membership.origin ? array_add(receiver, membership) : -ENOMEM;
	struct membership *item = r < 0 ? NULL : &receiver->items[receiver->count - 1];

	if (!item) {
		origin_unref(membership.origin);
		return because(why, -ENOMEM, "out of memory");
	}
	item->fd = r = multicast_open_receiver(&wanted, why);
	if (r < 0)
		return r;
	socket_set_receive_buffer(item->fd, RECEIVE_BUFFER);
	return arena_want(item->fd, target->address.family, receiver->needs, false);
}

/* Why nothing arrives on the interface now. It is joined all the same: that may change. */
static void warn_of_silence(const struct session *session, const struct target *target,
	const struct interface_list *interfaces, const struct interface *interface)
{
	const struct interface *master = interface->port_of ? interface_by_index(interfaces,
								      interface->port_of)
							    : NULL;

	if (!(interface->flags & IFF_UP))
		session_fail(session, EXIT_DONE, "%s: %s is down", target->name, interface->name);
	else if (master)
		session_fail(session, EXIT_DONE,
			"%s: %s is a port of the %s %s: datagrams arrive there, name %s",
			target->name, interface->name, interface->port_kind, master->name,
			master->name);
	else if (target->address.family == AF_INET6 && interface->ipv6 == IPV6_DISABLED)
		session_fail(session, EXIT_DONE,
			"%s: IPv6 is disabled on %s (sysctl net.ipv6.conf.%s.disable_ipv6=0)",
			target->name, interface->name, interface->name);
	else if (!(interface->flags & IFF_RUNNING))
		session_fail(
			session, EXIT_DONE, "%s: %s has no carrier", target->name, interface->name);
}

/* Joins on all interfaces that are meant; on none is an error. */
static int join_target(struct receiver *receiver, const struct session *session,
	const struct target *target, const struct interface_list *interfaces,
	char why[static WHY_MAX])
{
	const char *pattern = target->interface ? target->interface : "*";
	const struct interface *named = interface_find(interfaces, pattern);
	size_t before = receiver->count;
	struct address address;
	int r = 0;

	if (!address_is_multicast(&target->address))
		return because(why, -EINVAL,
			"it is not a multicast address: \"mcastd %s\" receives broadcast and "
			"unicast",
			target->name);
	if (named && !interface_is_glob(pattern)) {
		warn_of_silence(session, target, interfaces, named);
		return join(receiver, target, named, why);
	}
	if (!interface_is_glob(pattern) && address_parse(pattern, &address) == 0)
		return because(
			why, -ENODEV, "no interface of this host has the address %s", pattern);
	if (!interface_is_glob(pattern))
		return because(why, -ENODEV, "there is no interface %s", pattern);
	for (size_t i = 0; i < interfaces->count && r >= 0; i++)
		if (interface_matches(interfaces, &interfaces->items[i], pattern))
			r = join(receiver, target, &interfaces->items[i], why);
	if (r >= 0 && receiver->count == before)
		return because(why, -ENODEV,
			"no interface that can do multicast matches %s: name one", pattern);
	return r;
}

static int open_all(struct receiver *receiver, const struct session *session,
	const struct target *targets, size_t count)
{
	AUTO_INTERFACES struct interface_list interfaces = {0};
	char why[WHY_MAX];
	int r = interface_list_read(&interfaces);

	if (r < 0)
		return session_fail(
			session, EXIT_REFUSED, "listing the interfaces: %s", strerror(-r));
	for (size_t i = 0; i < count; i++)
		if (join_target(receiver, session, &targets[i], &interfaces, why) < 0)
			return session_fail(session, EXIT_REFUSED, "%s: %s", targets[i].name, why);
	receiver->fds = calloc(receiver->count + OTHERS, sizeof(*receiver->fds));
	for (size_t i = 0; i < receiver->count && receiver->fds; i++)
		receiver->fds[i] = (struct pollfd){receiver->items[i].fd, POLLIN, 0};
	receiver->next = receiver->count;
	return receiver->fds ? EXIT_DONE
			     : session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
}

int receiver_open(const struct session *session, const struct target *targets, size_t count,
	unsigned needs, struct receiver **ret)
{
	CLEANUP(receiver_closep) struct receiver *receiver = calloc(1, sizeof(*receiver));
	int code;

	if (receiver)
		receiver->arena = arena_new(NULL);
	if (!receiver || !receiver->arena)
		return session_fail(session, EXIT_REFUSED, "%s", strerror(ENOMEM));
	receiver->needs = needs | NEED_DATAGRAMS | NEED_PAYLOAD;
	code = open_all(receiver, session, targets, count);
	if (!code)
		*ret = take(receiver);
	return code;
}

void receiver_close(struct receiver *receiver)
{
	if (!receiver)
		return;
	for (size_t i = 0; i < receiver->count; i++) {
		closep(&receiver->items[i].fd);
		origin_unref(receiver->items[i].origin);
	}
	arena_free(receiver->arena);
	free(receiver->items);
	free(receiver->fds);
	free(receiver);
}

size_t receiver_count(const struct receiver *receiver)
{
	return receiver->count;
}

const struct origin *receiver_origin(const struct receiver *receiver, size_t i)
{
	return receiver->items[i].origin;
}

/* Reads the next of those that are readable. Returns 1, or 0 when none is left. */
static int read_ready(struct receiver *receiver, struct batch *ret)
{
	struct arena_received received;

	while (receiver->next < receiver->count) {
		size_t i = receiver->next++;

		/* An error of the socket (ENETDOWN) is cleared by the call that returns it. */
		if (!receiver->fds[i].revents ||
			arena_receive(receiver->arena, receiver->items[i].fd, receiver->needs,
				false, &received) < 0 ||
			!received.count)
			continue;
		*ret = (struct batch){.origin = receiver->items[i].origin,
			.count = received.count,
			.datagrams = receiver->arena->datagrams};
		return 1;
	}
	return 0;
}

int receiver_next(struct receiver *receiver, struct pollfd others[static OTHERS],
	uint64_t deadline_ns, struct batch *ret)
{
	int r = read_ready(receiver, ret);

	if (r)
		return r;
	memcpy(receiver->fds + receiver->count, others, OTHERS * sizeof(*others));
	r = poll_until(receiver->fds, receiver->count + OTHERS, deadline_ns);
	memcpy(others, receiver->fds + receiver->count, OTHERS * sizeof(*others));
	if (r <= 0)
		return r == -EINTR ? 0 : r;
	receiver->next = 0;
	return read_ready(receiver, ret);
}

void receiver_leave(struct receiver *receiver)
{
	for (size_t i = 0; i < receiver->count; i++)
		multicast_leave_bound(receiver->items[i].fd, receiver->items[i].origin->ifindex);
}

uint64_t receiver_dropped(struct receiver *receiver)
{
	for (size_t i = 0; i < receiver->count; i++) {
		uint32_t now;

		if (socket_drops(receiver->items[i].fd, &now) < 0)
			continue;
		receiver->dropped += (uint32_t)(now - receiver->items[i].dropped);
		receiver->items[i].dropped = now;
	}
	return receiver->dropped;
}
