#include "groups/membership.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "net/multicast.h"

/* So few datagrams in one reading are no traffic worth to pause for. */
#define PAUSE_FROM 4

/* Bytes of receive buffer. */
#define PAUSE_BUFFER (1 << 20)

const char *membership_state_name(enum membership_state state)
{
	static const char *const names[] = {"waiting", "joined", "failed"};

	return names[state];
}

/* was_held tells that it had something to wait for before: that all went well at once is not worth a line. */
static void log_state(const struct membership *membership, bool was_held)
{
	struct log_fields fields = {.group = membership->config->name, .interface = membership->interface};

	switch (membership->state) {
	case MEMBERSHIP_JOINED:
		fields.message_id = MESSAGE_JOINED;
		if (was_held)
			log_event(LOG_INFO, &fields, "group %s: joined on %s", fields.group, fields.interface);
		break;
	case MEMBERSHIP_WAITING:
		fields.message_id = MESSAGE_WAITING;
		log_event(LOG_NOTICE, &fields, "group %s: waiting for %s: %s", fields.group, fields.interface,
			membership->error);
		break;
	case MEMBERSHIP_FAILED:
		fields.message_id = MESSAGE_NOT_JOINED;
		log_event(LOG_WARNING, &fields, "group %s: not joined on %s: %s", fields.group, fields.interface,
			membership->error);
		break;
	}
}

/* error is NULL when joined. What stays as it was is not said again. */
static void set_state(struct membership *membership, enum membership_state state, const char *error)
{
	bool was_held, same_error = error ? membership->error && !strcmp(error, membership->error) : !membership->error;

	if (membership->state == state && same_error)
		return;
	if (membership->state != state || !membership->since_ns)
		membership->since_ns = clock_ns(CLOCK_REALTIME);
	membership->state = state;
	was_held = membership->error;
	free(membership->error);
	membership->error = error ? strdup(error) : NULL;
	log_state(membership, was_held);
}

struct membership *membership_new(
	struct membership_owner *owner, const struct config_group *config, const char *interface)
{
	struct membership *membership = calloc(1, sizeof(*membership));
	AUTO_FREE char *key = NULL;

	if (!membership || asprintf(&key, "membership %s %s", config->name, interface) < 0) {
		free(membership);
		return NULL;
	}
	membership->owner = owner;
	membership->config = config;
	membership->fd = -1;
	membership->since_ns = clock_ns(CLOCK_REALTIME);
	membership->interface = strdup(interface);
	membership->counters = counters_take(owner->context->counters, key, sizeof(*membership->counters));
	if (!membership->interface || !membership->counters) {
		membership_free(membership);
		return NULL;
	}
	return membership;
}

/* Adds what the kernel has dropped at a socket of the membership since the last look. Returns how many datagrams. */
static uint32_t count_drops(struct membership *membership, int fd)
{
	struct membership_counters *counters = membership->counters;
	uint32_t now = socket_drops(fd), more = now - (uint32_t)counters->socket_dropped;

	counters->kernel_dropped += more;
	counters->socket_dropped = now;
	if (membership->origin)
		atomic_store_explicit(&membership->origin->kernel_dropped, now, memory_order_relaxed);
	return more;
}

uint64_t membership_kernel_dropped(struct membership *membership)
{
	if (membership->fd >= 0)
		count_drops(membership, membership->fd);
	return membership->counters->kernel_dropped;
}

/* Hands on what there is in arena->datagrams. */
static void deliver(struct membership *membership, unsigned count)
{
	struct membership_owner *owner = membership->owner;

	for (unsigned first = 0; first < count; first += BATCH_MAX) {
		struct batch batch = {.origin = membership->origin,
			.count = count - first < BATCH_MAX ? count - first : BATCH_MAX,
			.datagrams = owner->context->arena->datagrams + first};

		owner->deliver(owner, &batch);
	}
}

/* Now and then, for those who record them. */
static void look_at_drops(struct membership *membership)
{
	uint32_t now_s = (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_S);

	if (now_s == membership->looked_s)
		return;
	membership->looked_s = now_s;
	count_drops(membership, membership->fd);
}

/* Reads once, and hands on what there was. Returns how many datagrams, or a negative errno. */
static int receive(struct membership *membership)
{
	struct membership_owner *owner = membership->owner;
	struct arena_received received;
	int r = arena_receive(owner->context->arena, membership->fd, owner->needs, membership->config->coalesce, &received);

	if (r < 0)
		return r;
	owner->count(owner, &received);
	if (!(owner->needs & NEED_DATAGRAMS))
		return (int)received.count;
	look_at_drops(membership);
	deliver(membership, received.count);
	return (int)received.count;
}

/* Whether to let some more datagrams gather: there is traffic, the socket is drained, nobody wants them at once, and the
 * buffer holds what may come in two milliseconds at full speed. */
static bool may_pause(const struct membership *membership, int count)
{
	return count >= PAUSE_FROM && count < BATCH_MAX && !(membership->owner->needs & NEED_PROMPT) &&
	       membership->receive_buffer >= PAUSE_BUFFER;
}

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct membership *membership = argument;

	(void)fd, (void)what;
	if (may_pause(membership, receive(membership)))
		pause_add(membership->owner->context->pause, &membership->pause);
}

/* What the kernel has taken for us is ours to account for: it is read to the end before the socket goes. */
static void leave(struct membership *membership)
{
	int r;

	if (membership->is_kept)
		keeper_remove(&membership->owner->context->keeper, membership->name);
	multicast_leave(membership->fd, &membership->config->address, membership->origin->ifindex);
	/* An error on a receiving socket (ENETDOWN) is read off by the call that returns it. */
	do
		r = receive(membership);
	while (r > 0 || r == -ENETDOWN);
}

void membership_close(struct membership *membership)
{
	if (membership->fd < 0)
		return;
	if (!membership->is_kept || !membership->owner->context->stopping)
		leave(membership);
	count_drops(membership, membership->fd);
	pause_cancel(&membership->pause);
	event_del(&membership->readable);
	close(membership->fd);
	membership->fd = -1;
	membership->is_kept = false;
	membership->receive_buffer = 0;
	origin_unref(membership->origin);
	membership->origin = NULL;
}

void membership_free(struct membership *membership)
{
	if (!membership)
		return;
	membership_close(membership);
	counters_release(membership->owner->context->counters, membership->counters);
	free(membership->interface);
	free(membership->error);
	free(membership);
}

/* The socket that a socket unit of systemd has opened for the membership, named GROUP or GROUP%INTERFACE; or -ENOENT. */
static int claim_listening(const struct membership *membership, const struct interface *interface)
{
	const struct socket_keeper *keeper = &membership->owner->context->keeper;
	const char *group = membership->config->name;
	char name[GROUP_NAME_MAX + IF_NAMESIZE + 2];
	int fd;

	snprintf(name, sizeof(name), "%s%%%s", group, interface->name);
	fd = keeper_claim(keeper, name);
	return fd < 0 ? keeper_claim(keeper, group) : fd;
}

static int open_socket(
	struct membership *membership, const struct interface *interface, char why[static WHY_MAX])
{
	const struct config_group *config = membership->config;
	const struct address_list *sources =
		config->block_sources.count ? &config->block_sources : &config->sources;
	struct multicast_membership wanted = {
		.group = config->address,
		.port = (uint16_t)config->port,
		.interface = interface->name,
		.ifindex = interface->index,
		.sources = sources->items,
		.source_count = sources->count,
		.exclude = config->block_sources.count > 0,
		.receive_buffer = config->receive_buffer,
	};
	AUTO_CLOSE int fd = claim_listening(membership, interface);
	int r;

	if (fd < 0)
		return multicast_open_receiver(&wanted, why);
	r = multicast_adopt_receiver(fd, &wanted, why);
	return r < 0 ? r : take_fd(fd);
}

/* The name under which the keeper has the socket: whatever it was opened with changes it, so that a socket that is found
 * under it is the right one. */
static void name_socket(struct membership *membership, const struct interface *interface)
{
	const struct config_group *config = membership->config;
	uint64_t hash = hash_bytes(HASH_BEGIN, config->name, strlen(config->name) + 1);

	hash = hash_bytes(hash, interface, sizeof(interface->name) + sizeof(interface->index));
	hash = hash_bytes(hash, &config->address, sizeof(config->address));
	hash = hash_bytes(hash, &config->port, sizeof(config->port));
	hash = hash_bytes(hash, &config->receive_buffer, sizeof(config->receive_buffer));
	hash = hash_bytes(hash, &config->coalesce, sizeof(config->coalesce));
	hash = hash_bytes(hash, config->sources.items, config->sources.count * sizeof(*config->sources.items));
	hash = hash_bytes(hash, "", 1);
	hash = hash_bytes(hash, config->block_sources.items,
		config->block_sources.count * sizeof(*config->block_sources.items));
	snprintf(membership->name, sizeof(membership->name), KEEPER_PREFIX "%016" PRIx64, hash);
}

/* Makes fd, which is joined on the interface, the membership's socket. On failure it is closed. */
static int adopt(struct membership *membership, const struct interface *interface, int fd)
{
	const struct config_group *config = membership->config;

	membership->origin = origin_new(
		config->name, &config->address, (uint16_t)config->port, interface->name, interface->index);
	if (!membership->origin) {
		close(fd);
		return -ENOMEM;
	}
	membership->fd = fd;
	membership->pause.readable = &membership->readable;
	event_assign(&membership->readable, membership->owner->context->base, fd, EV_READ | EV_PERSIST, on_readable,
		membership);
	if (event_add(&membership->readable, NULL) < 0) {
		membership_close(membership);
		return -ENOMEM;
	}
	/* More may be granted by now than when it was opened. */
	if (socket_receive_buffer(fd) < config->receive_buffer)
		socket_set_receive_buffer(fd, config->receive_buffer);
	membership->receive_buffer = socket_receive_buffer(fd);
	membership_apply_needs(membership);
	return 0;
}

/* Takes the socket of an earlier run back. One that is not joined any more is closed as any other: by a leave, first. The kernel
 * would otherwise undo the next membership of that index when the keeper's copy is closed, at whatever time. */
static int take_back(struct membership *membership, const struct interface *interface)
{
	const struct group_context *context = membership->owner->context;
	int fd = keeper_claim(&context->keeper, membership->name), r;

	if (fd < 0)
		return fd;
	membership->is_kept = true;
	r = adopt(membership, interface, fd);
	if (r < 0)
		return r;
	if (context->joined && !joined_contains(context->joined, &membership->config->address, interface->index)) {
		membership_close(membership);
		return -ENOENT;
	}
	context->taken_back->sockets++;
	context->taken_back->kernel_dropped += count_drops(membership, fd);
	return 0;
}

static int join(struct membership *membership, const struct interface *interface, char why[static WHY_MAX])
{
	int fd, r;

	name_socket(membership, interface);
	if (take_back(membership, interface) >= 0)
		return 0;
	fd = open_socket(membership, interface, why);
	if (fd < 0)
		return fd;
	membership->counters->socket_dropped = 0;
	r = adopt(membership, interface, fd);
	if (r >= 0)
		membership->is_kept = keeper_put(&membership->owner->context->keeper, membership->name, fd);
	return r;
}

/* Whether the socket is still joined on this interface. The kernel keeps a membership while its interface is down, but not
 * over all that may happen to it, and the socket is not told. */
static bool is_joined_on(const struct membership *membership, const struct interface *interface)
{
	const struct joined *joined = membership->owner->context->joined;

	if (membership->fd < 0 || membership->origin->ifindex != interface->index)
		return false;
	if (!joined || joined_contains(joined, &membership->config->address, interface->index))
		return true;
	log_event(LOG_WARNING,
		&(struct log_fields){MESSAGE_FORGOTTEN, .group = membership->config->name, .interface = interface->name},
		"group %s: the kernel has forgotten the membership on %s; joining again", membership->config->name,
		interface->name);
	return false;
}

void membership_update(struct membership *membership, const struct interface *interface, bool is_new)
{
	char why[WHY_MAX] = "out of memory";

	if (interface && !is_new && is_joined_on(membership, interface))
		return;
	membership_close(membership);
	if (!interface)
		set_state(membership, MEMBERSHIP_WAITING,
			interface_is_glob(membership->interface) ? "no interface that can do multicast matches"
								 : "there is no such interface");
	else if (!(interface->flags & IFF_UP))
		set_state(membership, MEMBERSHIP_WAITING, "the interface is down");
	else if (join(membership, interface, why) < 0)
		set_state(membership, MEMBERSHIP_FAILED, why);
	else
		set_state(membership, MEMBERSHIP_JOINED, NULL);
}

void membership_apply_needs(struct membership *membership)
{
	if (membership->fd >= 0)
		arena_want(membership->fd, membership->config->address.family, membership->owner->needs,
			membership->config->coalesce);
}
