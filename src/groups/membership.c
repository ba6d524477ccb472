#include "groups/membership.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "groups/joining.h"
#include "net/multicast.h"

/* So few datagrams in one reading are no traffic worth to pause for. */
#define PAUSE_FROM 4

/* What is read in one turn, in batches: waiting for the socket anew for each costs time, and the
 * others wait meanwhile. */
#define TURN_BATCHES 2

/* Bytes of receive buffer without which there are no pauses: of what comes in one, even at full
 * speed, it holds twice as much. */
#define PAUSE_BUFFER (4 << 20)

/* So long there are none where they might be too long, in whole seconds of the clock. */
#define AWAKE_S 2

const char *membership_state_name(enum membership_state state)
{
	static const char *const names[] = {"waiting", "joined", "failed"};

	return names[state];
}

/* was_held tells that it had something to wait for before: that all went well at once is not worth
 * a line. */
static void log_state(const struct membership *membership, bool was_held)
{
	struct log_fields fields = {
		.group = membership->config->name, .interface = membership->interface};

	switch (membership->state) {
	case MEMBERSHIP_JOINED:
		fields.message_id = MESSAGE_JOINED;
		if (was_held)
			log_event(LOG_INFO, &fields, "group %s: joined on %s", fields.group,
				fields.interface);
		break;
	case MEMBERSHIP_WAITING:
		fields.message_id = MESSAGE_WAITING;
		log_event(LOG_NOTICE, &fields, "group %s: waiting for %s: %s", fields.group,
			fields.interface, membership->error);
		break;
	case MEMBERSHIP_FAILED:
		fields.message_id = MESSAGE_NOT_JOINED;
		log_event(LOG_WARNING, &fields, "group %s: not joined on %s: %s", fields.group,
			fields.interface, membership->error);
		break;
	}
}

static void change_state(struct membership *membership, enum membership_state state)
{
	uint64_t now = clock_ns(CLOCK_REALTIME);

	if (state == MEMBERSHIP_JOINED) {
		membership->counters->deaf_ns += now > membership->deaf_since_ns
							 ? now - membership->deaf_since_ns
							 : 0;
	} else if (membership->state == MEMBERSHIP_JOINED) {
		membership->deaf_since_ns = now;
	}
	membership->state = state;
	membership->since_ns = now;
}

void membership_set_state(
	struct membership *membership, enum membership_state state, const char *error)
{
	bool was_held, same_error = error ? membership->error && !strcmp(error, membership->error)
					  : !membership->error;

	if (membership->state == state && same_error)
		return;
	if (membership->state != state || !membership->since_ns)
		change_state(membership, state);
	was_held = membership->error;
	if (membership->error) {
		free(membership->last_error);
		membership->last_error = take(membership->error);
	}
	membership->error = error ? strdup(error) : NULL;
	log_state(membership, was_held);
}

struct membership *membership_new(
	struct membership_owner *owner, const struct config_group *config, const char *interface)
{
	struct membership *membership = calloc(1, sizeof(*membership));
	char key[GROUP_NAME_MAX + 300];

	if (!membership)
		return NULL;
	snprintf(key, sizeof(key), "membership %s %s", config->name, interface);
	membership->owner = owner;
	membership->config = config;
	membership->fd = -1;
	membership->deaf_since_ns = clock_ns(CLOCK_REALTIME);
	membership->interface = strdup(interface);
	membership->counters = counters_take(owner->context->counters, key,
		sizeof(*membership->counters), membership_counters_members());
	if (!membership->interface || !membership->counters) {
		membership_free(membership);
		return NULL;
	}
	return membership;
}

uint32_t membership_count_drops(struct membership *membership)
{
	struct membership_counters *counters = membership->counters;
	uint32_t now = socket_drops(membership->fd),
		 more = now - (uint32_t)counters->socket_dropped;

	counters->kernel_dropped += more;
	counters->socket_dropped = now;
	*membership->owner->kernel_dropped += more;
	atomic_store_explicit(&membership->origin->kernel_dropped, now, memory_order_relaxed);
	return more;
}

uint64_t membership_kernel_dropped(struct membership *membership)
{
	if (membership->fd >= 0)
		membership_count_drops(membership);
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

static uint32_t now_s(void)
{
	return (uint32_t)(clock_ns(CLOCK_MONOTONIC_COARSE) / NS_PER_S);
}

/* Now and then, for those who record them. */
static void look_at_drops(struct membership *membership)
{
	uint32_t now = now_s();

	if (now == membership->looked_s)
		return;
	membership->looked_s = now;
	membership_count_drops(membership);
}

/* Reads once, and hands on what there was. Returns as arena_receive(). */
static int receive(struct membership *membership, struct arena_received *received)
{
	struct membership_owner *owner = membership->owner;
	int r = arena_receive(owner->context->arena, membership->fd, owner->needs,
		membership->coalesces, received);

	if (r < 0)
		return r;
	owner->count(owner, received);
	if (!(owner->needs & NEED_DATAGRAMS))
		return 0;
	look_at_drops(membership);
	deliver(membership, received->count);
	return 0;
}

/* Whether nobody wants datagrams at once, and the receive buffer holds what comes in a pause. */
static bool may_pause(const struct membership *membership)
{
	return !(membership->owner->needs & NEED_PROMPT) &&
	       membership->receive_buffer >= PAUSE_BUFFER && membership->awake_until_s <= now_s();
}

/* Reads what there is, but not more than is fair to the others. Returns how to go on: to let some
 * more gather where there is traffic, and the socket is drained. */
static enum pause_next take_turn(struct membership *membership)
{
	struct arena_received received = {.is_full = true};
	unsigned count = 0;

	for (int i = 0; i < TURN_BATCHES && received.is_full; i++) {
		receive(membership, &received);
		count += received.count;
	}
	if ((count < PAUSE_FROM && !membership->pause.goes_on) || !may_pause(membership))
		return PAUSE_ENDS;
	return received.is_full ? PAUSE_GOES_ON : PAUSE_AGAIN;
}

/* Where a pause fills a quarter of the receive buffer, which is twice what was asked for, the next
 * one may fill all of it. */
enum pause_next membership_resume(struct pause_member *member)
{
	struct membership *membership = container_of(member, struct membership, pause);
	enum pause_next next;

	if (!member->goes_on && socket_backlog(membership->fd) > membership->receive_buffer / 2)
		membership->awake_until_s = now_s() + AWAKE_S;
	next = take_turn(membership);
	/* What cannot be waited for is read from here. */
	if (next == PAUSE_ENDS && event_add(&membership->readable, NULL) < 0)
		next = PAUSE_AGAIN;
	return next;
}

void membership_on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct membership *membership = argument;

	(void)fd, (void)what;
	if (take_turn(membership) != PAUSE_AGAIN)
		return;
	event_del(&membership->readable);
	pause_add(membership->owner->context->pause, &membership->pause);
}

/* What the kernel has taken for us is ours to account for: it is read to the end before the socket
 * goes. */
static void leave(struct membership *membership)
{
	struct arena_received received;
	char name[STORE_NAME_MAX];
	int r;

	if (membership->is_kept) {
		membership_name_socket(membership, membership->origin->ifindex, name);
		store_remove(membership->owner->context->store, name);
	}
	multicast_leave(membership->fd, &membership->config->address, membership->origin->ifindex);
	/* An error on a receiving socket (ENETDOWN) is read off by the call that returns it. */
	do
		r = receive(membership, &received);
	while (r >= 0 || r == -ENETDOWN);
}

void membership_close(struct membership *membership)
{
	if (membership->fd < 0)
		return;
	if (!membership->is_kept || !membership->owner->context->stopping)
		leave(membership);
	membership_count_drops(membership);
	pause_cancel(&membership->pause);
	event_del(&membership->readable);
	close(membership->fd);
	membership->fd = -1;
	membership->asked = 0;
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
	free(membership->last_error);
	free(membership);
}

/* Whether the socket is still joined on this interface. The kernel keeps a membership while its
 * interface is down, but not over all that may happen to it, and the socket is not told. */
static bool is_joined_on(const struct membership *membership, const struct interface *interface)
{
	const struct joined *joined = membership->owner->context->joined;

	if (membership->fd < 0 || membership->origin->ifindex != interface->index)
		return false;
	if (!joined || joined_contains(joined, &membership->config->address, interface->index))
		return true;
	log_event(LOG_WARNING,
		&(struct log_fields){MESSAGE_FORGOTTEN, .group = membership->config->name,
			.interface = interface->name},
		"group %s: the kernel has forgotten the membership on %s; joining again",
		membership->config->name, interface->name);
	return false;
}

void membership_update(
	struct membership *membership, const struct interface *interface, bool is_new)
{
	char why[WHY_MAX] = "out of memory";

	if (interface && !is_new && is_joined_on(membership, interface))
		return;
	membership_close(membership);
	if (!interface)
		membership_set_state(membership, MEMBERSHIP_WAITING,
			interface_is_glob(membership->interface)
				? "no interface that can do multicast matches"
				: "there is no such interface");
	else if (!(interface->flags & IFF_UP))
		membership_set_state(membership, MEMBERSHIP_WAITING, "the interface is down");
	else if (membership_join(membership, interface, why) < 0)
		membership_set_state(membership, MEMBERSHIP_FAILED, why);
	else
		membership_set_state(membership, MEMBERSHIP_JOINED, NULL);
}

void membership_apply_needs(struct membership *membership, bool in_any_case)
{
	unsigned needs = membership->owner->needs;

	if (membership->fd < 0 || (!in_any_case && membership->asked == (needs & NEED_ALL)))
		return;
	membership->asked = needs & NEED_ALL;
	arena_want(
		membership->fd, membership->config->address.family, needs, membership->coalesces);
}
