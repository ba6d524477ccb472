/* Reading a membership's socket: in turns that are fair to the other memberships, with pauses where
 * there is traffic and nobody needs it at once. What is read is counted and delivered before the
 * next read. */
#include "groups/receive.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "base/array.h"
#include "base/clock.h"
#include "data/returned_copies.h"
#include "data/loop_guard.h"
#include "groups/group.h"
#include "groups/uncounted.h"
#include "net/multicast.h"

/* A turn is two reads: more would make the other memberships wait, fewer would wait for the event
 * loop more often. There are more of them after a wait: one for each EXTRA_NS that have passed
 * since a membership last had a whole turn, and at most EXTRA_MAX. What arrived while the daemon
 * waited for the processor is read before the next wait fills the receive buffer. What the turns
 * take does not count: outlets that need longer than EXTRA_NS for a batch would else be given more
 * and more, and nobody else anything. */
#define EXTRA_NS (200 * 1000)
#define EXTRA_MAX 8

/* Minimum receive buffer for being read in rounds, in bytes: twice what arrives in one pause at
 * full speed. */
#define ROUNDS_BUFFER (4 << 20)

/* Where fewer bytes were queued, the receive buffer was far from full, however few datagrams there
 * were. */
#define MANY_BYTES (1 << 20)

/* What tells a copy that came back. */
#define COPY_NEEDS (NEED_DATAGRAMS | NEED_SOURCE | NEED_PAYLOAD)

uint32_t membership_count_drops(struct membership *membership)
{
	struct membership_counters *counters = membership->counters;
	uint32_t now, more;

	if (membership->fd < 0 || socket_drops(membership->fd, &now) < 0)
		return 0;
	more = now - (uint32_t)counters->socket_dropped;
	counters->kernel_dropped += more;
	counters->socket_dropped = now;
	membership->group->counters->kernel_dropped += more;
	atomic_fetch_add_explicit(&membership->origin->kernel_dropped, more, memory_order_relaxed);
	return more;
}

static void count(struct membership *membership, const struct arena_received *received)
{
	struct group_counters *group = membership->group->counters;
	struct membership_counters *own = membership->counters;
	uint64_t now = clock_ns(CLOCK_REALTIME_COARSE);

	group->received += received->count;
	group->received_bytes += received->bytes;
	group->truncated += received->truncated;
	group->last_received_ns = now;
	own->received += received->count;
	own->received_bytes += received->bytes;
	own->last_received_ns = now;
}

/* Removes what other senders sent from the arena, and counts again. */
static void refuse_others(struct membership *membership, struct arena_received *received)
{
	struct datagram *datagrams = membership->group->context->arena->datagrams;
	struct group_counters *counters = membership->group->counters;
	unsigned count = 0;

	received->bytes = received->truncated = 0;
	for (unsigned i = 0; i < received->count; i++) {
		struct address source = endpoint_address(&datagrams[i].source);

		if (!config_group_takes(membership->group->config, &source))
			continue;
		received->bytes += datagrams[i].size;
		received->truncated += datagrams[i].truncated;
		datagrams[count++] = datagrams[i];
	}
	counters->refused += received->count - count;
	received->count = count;
}

static bool needs_senders(const struct membership *membership)
{
	return membership->check_sources || report_is_learning(&membership->report);
}

static void check_senders(struct membership *membership, struct arena_received *received)
{
	const struct datagram *datagrams = membership->group->context->arena->datagrams;

	if (membership->check_sources)
		refuse_others(membership, received);
	for (unsigned i = 0; i < received->count && report_is_learning(&membership->report); i++)
		report_learn(&membership->report, &datagrams[i].source);
}

/* The origin of what arrived on an interface, named as it is called now. */
static struct origin *find_arrival(struct membership *membership, unsigned ifindex)
{
	const struct config_group *config = membership->group->config;
	const struct interface *interface;
	struct origin *origin;

	for (size_t i = 0; i < membership->arrivals.count; i++)
		if (membership->arrivals.items[i]->ifindex == ifindex)
			return membership->arrivals.items[i];
	interface = interface_by_index(membership->group->context->interfaces, ifindex);
	if (!interface || ifindex == membership->origin->ifindex)
		return membership->origin;
	origin = origin_new(
		config->name, &config->address, (uint16_t)config->port, interface->name, ifindex);
	if (origin && array_add(&membership->arrivals, origin) < 0)
		origin_unref(take(origin));
	return origin ? origin : membership->origin;
}

/* Delivers some of what was read, of one interface. */
static void hand_out(
	struct membership *membership, struct origin *origin, unsigned first, unsigned count)
{
	const struct arena *arena = membership->group->context->arena;
	struct group *group = membership->group;

	if (expected_needs(group->config))
		expected_note(group, origin, arena->datagrams + first, count);
	if (group->needs & NEED_SOURCE)
		sender_watch_note(group, origin, arena->datagrams + first, count);
	arena_deliver_some(arena, origin, first, count, group->outlets.items, group->outlets.count);
	if (!list_is_empty(&group->feeds))
		merged_feed(group, origin, arena->datagrams + first, count);
}

/* In runs of datagrams from one interface. */
static void deliver_by_arrival(struct membership *membership, unsigned count)
{
	const struct arena *arena = membership->group->context->arena;
	unsigned next;

	for (unsigned first = 0; first < count; first = next) {
		unsigned ifindex = arena->datagrams[first].ifindex;

		for (next = first + 1; next < count && arena->datagrams[next].ifindex == ifindex;)
			next++;
		hand_out(membership, find_arrival(membership, ifindex), first, next - first);
	}
}

/* Marks what relays of this daemon have sent with the sources of others, and this host got back. */
static void mark_returned_copies(
	struct membership *membership, const struct arena_received *received)
{
	const struct group_context *context = membership->group->context;
	struct returned_copies *copies = loop_guard_copies(context->guard);
	struct datagram *datagrams = context->arena->datagrams;
	uint32_t now_ms = coarse_ms();

	if (!returned_copies_are_expected(copies, now_ms))
		return;
	for (unsigned i = 0; i < received->count; i++)
		datagrams[i].is_returned = returned_copies_take(
			copies, membership, &datagrams[i], membership->origin->ifindex, now_ms);
}

/* Counts what was read. What the group does not take is removed from the arena. */
static void examine(
	struct membership *membership, bool checks, bool watched, struct arena_received *received)
{
	struct group *group = membership->group;

	if (checks)
		check_senders(membership, received);
	if (group->outgoing.echoes || group->outgoing.own)
		outgoing_find_own(group, membership->origin->ifindex, received);
	if (watched || (group->needs & COPY_NEEDS) == COPY_NEEDS)
		mark_returned_copies(membership, received);
	if (watched)
		same_network_examine(membership, received);
	if (received->count)
		count(membership, received);
}

static void deliver(struct membership *membership, unsigned count)
{
	uint32_t now = coarse_s();

	/* Once a second, for pcapng statistics. */
	if (now != membership->drops_read_s) {
		membership->drops_read_s = now;
		membership_count_drops(membership);
	}
	if (membership->any_interface)
		deliver_by_arrival(membership, count);
	else
		hand_out(membership, membership->origin, 0, count);
}

/* Asks the kernel for what the outlets need of datagrams. */
static void ask(struct membership *membership)
{
	const struct group *group = membership->group;

	membership->asks_again = arena_want(membership->fd, group->config->address.family,
					 group->needs |
						 (membership->any_interface ? NEED_INTERFACE : 0),
					 membership->coalesces) < 0;
}

int membership_receive(struct membership *membership, struct arena_received *received)
{
	struct group *group = membership->group;
	bool checks = needs_senders(membership);
	bool watched = group->memberships.count > 1 && same_network_is_watched(group);
	int r;

	if (membership->asks_again)
		ask(membership);
	uncounted_begin(group->context->arena, group->counters);
	r = arena_receive(group->context->arena, membership->fd,
		group->needs | (checks || watched ? NEED_DATAGRAMS | NEED_SOURCE : 0) |
			(watched ? NEED_PAYLOAD : 0) |
			(membership->any_interface ? NEED_INTERFACE : 0),
		membership->coalesces, received);
	if (r >= 0)
		examine(membership, checks, watched, received);
	if (received->count) {
		silence_heard(&group->silence);
		if (group->needs & NEED_DATAGRAMS)
			deliver(membership, received->count);
	}
	uncounted_end(group->context->arena);
	return r;
}

/* Whether no outlet needs datagrams at once, and the receive buffer holds what arrives between two
 * rounds. */
static bool waits_for_rounds(const struct membership *membership)
{
	return !(membership->group->needs & NEED_PROMPT) &&
	       membership->receive_buffer >= ROUNDS_BUFFER;
}

/* Whether a quarter of the receive buffer was used, of which the kernel allows twice what was
 * granted: the next pause may fill all of it. first is what was read of it. */
static bool was_nearly_full(const struct membership *membership, const struct arena_received *first)
{
	if (!first->is_full && first->read_bytes < MANY_BYTES)
		return false;
	return socket_backlog(membership->fd) + first->read_bytes > membership->receive_buffer / 2;
}

/* began_ns: the second batch, of which the first is taken to have lasted as long. */
static unsigned extra_batches(const struct group_context *context, uint64_t began_ns)
{
	uint64_t took = clock_ns(CLOCK_MONOTONIC) - began_ns,
		 passed = began_ns - context->full_turn_ns,
		 count = passed > took ? (passed - took) / EXTRA_NS : 0;

	return count < EXTRA_MAX ? (unsigned)count : EXTRA_MAX;
}

/* Reads on after the first batch of a turn, which was full. */
static int read_on(struct membership *membership, struct arena_received *received, unsigned *count)
{
	struct group_context *context = membership->group->context;
	uint64_t began_ns = clock_ns(CLOCK_MONOTONIC);
	unsigned batches;
	int r;

	r = membership_receive(membership, received);
	*count += received->read;
	if (!received->is_full)
		return r;
	for (batches = extra_batches(context, began_ns); batches && received->is_full; batches--) {
		r = membership_receive(membership, received);
		*count += received->read;
	}
	context->full_turn_ns = clock_ns(CLOCK_MONOTONIC);
	return r;
}

/* After a read that failed: whether the kernel refuses all of them. Then none is tried any more,
 * and membership_retry() finds out what becomes of it. */
static bool is_refused(struct membership *membership)
{
	char why[WHY_MAX];

	if (socket_check_read(membership->fd, why) >= 0)
		return false;
	membership_stop_listening(membership);
	membership->is_unread = true;
	retry_add(membership->group->context->retries, &membership->retry);
	return true;
}

/* Reads what is queued, but not more than is fair to the other memberships. With fills, it may have
 * filled up since the last time. Returns whether there may be more. */
static bool take_turn(struct membership *membership, bool fills, unsigned *ret_count)
{
	struct arena_received received;
	int r = membership_receive(membership, &received);

	*ret_count = received.read;
	if (fills && was_nearly_full(membership, &received))
		rounds_stay_awake(membership->group->context->rounds);
	if (received.is_full)
		r = read_on(membership, &received, ret_count);
	/* A pending error of the socket is not all that there was. */
	if (r < 0 && r != -EAGAIN)
		return !is_refused(membership);
	if (membership->check_sources == CHECK_UNTIL_DRAINED && !received.is_full)
		membership->check_sources = CHECK_NEVER;
	return received.is_full;
}

static void stop_prompt(struct membership *membership)
{
	if (!membership->prompt)
		return;
	event_free(take(membership->prompt));
	rounds_note_prompt(membership->group->context->rounds, -1);
}

/* Reads nothing for as long as the guard against rings asks, and the receive buffer allows: the
 * guard wants to see how much comes. Returns whether it does so. */
static bool begins_guard_pause(struct membership *membership)
{
	struct group_context *context = membership->group->context;
	struct loop_guard *guard = context->guard;
	uint32_t ms = guard ? loop_guard_take_pause(guard) : 0;

	if (!ms)
		return false;
	if (membership->is_unread || membership->receive_buffer < ROUNDS_BUFFER) {
		loop_guard_refuse_pause(guard);
		return false;
	}
	if (rounds_hold(context->rounds, &membership->round, membership->fd) < 0) {
		loop_guard_refuse_pause(guard);
		return false;
	}
	stop_prompt(membership);
	membership->guard_pause_ns = clock_ns(CLOCK_MONOTONIC) + ms * NS_PER_MS;
	return true;
}

/* The pause that the guard asked for is over when it is, or when the receive buffer does not allow
 * more. */
static void hold(struct round_member *member)
{
	struct membership *membership = container_of(member, struct membership, round);
	struct loop_guard *guard = membership->group->context->guard;
	struct arena_received received;
	unsigned count;

	if (!membership->guard_pause_ns) {
		/* The loop could not be asked to go on. */
		take_turn(membership, false, &count);
	} else if (clock_ns(CLOCK_MONOTONIC) < membership->guard_pause_ns &&
		   socket_backlog(membership->fd) <= membership->receive_buffer / 2) {
		return;
	} else {
		membership->guard_pause_ns = 0;
		loop_guard_end_pause(guard);
		membership_receive(membership, &received);
		loop_guard_was_queued(guard, !received.is_full, clock_ns(CLOCK_MONOTONIC_COARSE));
	}
	membership_listen(membership);
}

/* Of many groups with little traffic, nothing is in the cache. */
static void expect(const struct round_member *member)
{
	const struct membership *membership = container_of(member, struct membership, round);
	const struct group *group = membership->group;

	__builtin_prefetch(&membership->check_sources);
	__builtin_prefetch(membership->counters, 1);
	__builtin_prefetch(&group->outgoing);
	__builtin_prefetch(&group->silence, 1);
	__builtin_prefetch(group->counters, 1);
	__builtin_prefetch(&group->counters->refused, 1);
}

static bool read_in_round(struct round_member *member, bool again, unsigned *ret_count)
{
	struct membership *membership = container_of(member, struct membership, round);
	bool more = take_turn(membership, !again, ret_count);

	return !begins_guard_pause(membership) && more;
}

const struct round_callbacks membership_round_callbacks = {expect, read_in_round, hold};

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct membership *membership = argument;
	unsigned count;

	(void)fd, (void)what;
	take_turn(membership, false, &count);
	begins_guard_pause(membership);
}

int membership_listen(struct membership *membership)
{
	struct group_context *context = membership->group->context;
	bool in_rounds = waits_for_rounds(membership);

	if (membership->fd < 0 || membership->guard_pause_ns || membership->is_unread ||
		(in_rounds ? membership->round.is_added : membership->prompt != NULL))
		return 0;
	if (in_rounds) {
		int r = rounds_add(context->rounds, &membership->round, membership->fd);

		if (r >= 0)
			stop_prompt(membership);
		return r;
	}
	membership->prompt = event_new(
		context->base, membership->fd, EV_READ | EV_PERSIST, on_readable, membership);
	if (!membership->prompt || event_add(membership->prompt, NULL) < 0) {
		if (membership->prompt)
			event_free(take(membership->prompt));
		return -ENOMEM;
	}
	rounds_note_prompt(context->rounds, 1);
	rounds_remove(context->rounds, &membership->round, membership->fd);
	return 0;
}

void membership_stop_listening(struct membership *membership)
{
	struct group_context *context = membership->group->context;

	stop_prompt(membership);
	rounds_remove(context->rounds, &membership->round, membership->fd);
	if (membership->guard_pause_ns)
		loop_guard_refuse_pause(context->guard);
	membership->guard_pause_ns = 0;
}

void membership_apply_needs(struct membership *membership, bool force)
{
	uint8_t needs = membership->group->needs & (NEED_TIMESTAMP | NEED_TTL);

	membership_listen(membership);
	if (membership->fd < 0 || (!force && membership->asked == needs))
		return;
	membership->asked = needs;
	ask(membership);
}
