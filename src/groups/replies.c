#include "groups/replies.h"

#include <errno.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/timer.h"
#include "groups/group.h"
#include "groups/uncounted.h"
#include "net/multicast.h"

/* Reads per turn: more would make the memberships wait. */
#define TURN_BATCHES 2

/* Errors that may be pending before what is queued at the end. */
#define DRAIN_ERRORS_MAX 8

/* Counts what was received, without what sources refuses. Returns how many datagrams remain. */
static unsigned accept_replies(struct way *way, unsigned count)
{
	struct group_counters *counters = way->group->counters;
	struct datagram *datagrams = way->group->context->arena->datagrams;
	unsigned accepted = 0;

	for (unsigned i = 0; i < count; i++) {
		struct address source = endpoint_address(&datagrams[i].source);

		if (!config_group_takes(way->group->config, &source)) {
			counters->refused++;
			continue;
		}
		counters->received_bytes += datagrams[i].size;
		counters->truncated += datagrams[i].truncated;
		datagrams[accepted++] = datagrams[i];
	}
	counters->received += accepted;
	counters->replies += accepted;
	if (accepted)
		counters->last_received_ns = clock_ns(CLOCK_REALTIME_COARSE);
	return accepted;
}

static unsigned needs_of(const struct way *way)
{
	return way->group->needs | NEED_SOURCE | NEED_DATAGRAMS | NEED_PAYLOAD;
}

/* Reads once. Returns 1 when there may be more, 0 when not, or a negative errno. */
static int receive(struct way *way)
{
	struct group *group = way->group;
	struct arena_received received;
	struct arena *arena = group->context->arena;
	int fd = way->out->fd, r;

	if (way->asks_again)
		replies_apply_needs(way);
	uncounted_begin(arena, group->counters);
	r = arena_receive(arena, fd, needs_of(way), false, &received);
	/* An error of a datagram that was sent is pending, or more of them are queued. */
	if (r < 0)
		send_socket_discard_errors(fd);
	arena_deliver(arena, way->origin, accept_replies(way, received.count), group->outlets.items,
		group->outlets.count);
	uncounted_end(arena);
	return r < 0 ? r : received.is_full;
}

static const struct timeval pause_after_refusal = {.tv_sec = 1};

/* That replies cannot be read, and that they can again, is told once. why: NULL: they can. */
static void tell(struct way *way, const char *why)
{
	const char *group = way->group->config->name, *interface = way->origin->interface;
	struct log_fields fields = {.group = group, .interface = interface};

	if (way->is_unread == (why != NULL))
		return;
	way->is_unread = why;
	if (why)
		log_event(
			LOG_WARNING, &fields, "group %s: replies on %s: %s", group, interface, why);
	else
		log_event(LOG_NOTICE, &fields, "group %s: replies on %s are read again", group,
			interface);
}

static void on_reply(evutil_socket_t fd, short what, void *argument)
{
	struct way *way = argument;
	char why[WHY_MAX];
	int r = 1;

	(void)what;
	for (int i = 0; i < TURN_BATCHES && r > 0; i++)
		r = receive(way);
	if (r >= 0 || r == -EAGAIN || socket_check_read(fd, why) >= 0) {
		tell(way, NULL);
		return;
	}
	tell(way, why);
	/* It stays readable: it is tried once a second. */
	event_del(way->replied);
	timer_start(way->resumed, &pause_after_refusal);
}

static void on_resumed(evutil_socket_t fd, short what, void *argument)
{
	struct way *way = argument;

	(void)fd, (void)what;
	if (event_add(way->replied, NULL) < 0)
		timer_start(way->resumed, &pause_after_refusal);
}

void replies_apply_needs(struct way *way)
{
	way->asks_again = way->origin &&
			  arena_want(way->out->fd, way->group->config->address.family,
				  needs_of(way), false) < 0;
}

void replies_apply_buffer(struct way *way)
{
	if (way->origin)
		socket_set_receive_buffer(way->out->fd, way->group->config->receive_buffer);
}

int replies_open(struct way *way, char why[static WHY_MAX])
{
	const struct config_group *config = way->group->config;
	const struct send_socket *options = sender_options(way->sender);
	int fd = way->out->fd;

	way->origin = origin_new(config->name, &config->address, (uint16_t)config->port,
		options->interface, options->ifindex);
	if (!way->origin)
		return because(why, -ENOMEM, "out of memory");
	way->origin->is_reply = true;
	way->dropped = 0;
	replies_apply_buffer(way);
	replies_apply_needs(way);
	way->is_unread = false;
	way->resumed = evtimer_new(way->group->context->base, on_resumed, way);
	way->replied = event_new(
		way->group->context->base, fd, EV_READ | EV_PERSIST, on_reply, way);
	return !way->resumed || !way->replied || event_add(way->replied, NULL) < 0
		       ? because(why, -ENOMEM, "out of memory")
		       : 0;
}

static void close_event(struct event **event)
{
	if (*event)
		event_free(take(*event));
}

void replies_close(struct way *way)
{
	if (!way->origin)
		return;
	close_event(&way->replied);
	close_event(&way->resumed);
	way->group->counters->kernel_dropped += replies_count_drops(way);
	send_socket_stop_receiving(way->out->fd);
	for (int errors = 0; errors < DRAIN_ERRORS_MAX;) {
		int r = receive(way);

		if (!r || r == -EAGAIN)
			break;
		errors += r < 0;
	}
	origin_unref(take(way->origin));
}

uint32_t replies_count_drops(struct way *way)
{
	uint32_t now, more;

	if (!way->origin || socket_drops(way->out->fd, &now) < 0)
		return 0;
	more = now - way->dropped;
	way->dropped = now;
	return more;
}
