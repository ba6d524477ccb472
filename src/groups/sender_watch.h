/* For whom the senders of a group are kept (data/known_senders): where an outlet needs the source
 * of datagrams anyway, and for SENDER_WATCH_S after somebody asked for them. Then the kernel is
 * asked for the source, too; it stops by itself, and what is known is forgotten. */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "data/known_senders.h"

struct event_base;
struct group;
struct membership;
struct origin;
struct sender_watches;

/* How long senders are kept after they were asked for, in seconds. */
#define SENDER_WATCH_S 30

/* Embedded in the group; zeroed at first. */
struct sender_watch {
	struct known_senders *known; /* NULL: nobody is */
	struct link asked; /* while they are kept because somebody asked */
	uint32_t until_s; /* then, CLOCK_MONOTONIC_COARSE */
};

/* What all groups share. apply_needs() is called for a group that begins or stops to be asked: its
 * needs may have changed. Returns NULL without memory. */
struct sender_watches *sender_watches_new(
	struct event_base *base, void (*apply_needs)(struct group *group));

/* No group may be left. Accepts NULL. */
void sender_watches_free(struct sender_watches *watches);

/* Keeps the senders of the group from now on, or goes on. Not to be called from a deliver(). */
void sender_watch_ask(struct group *group);

/* Whether it was asked lately. */
static inline bool sender_watch_is_asked(const struct sender_watch *watch)
{
	return link_is_used(&watch->asked);
}

/* Datagrams of the group were received. For a group with NEED_SOURCE among its needs. */
void sender_watch_note(struct group *group, const struct origin *origin,
	const struct datagram *datagrams, unsigned count);

/* Forgets the senders: the group no longer has NEED_SOURCE among its needs. */
void sender_watch_forget(struct group *group);

/* Continues in the group that replaces this one, and receives the same. keeps: those that are
 * known, too. */
void sender_watch_move(struct group *group, struct group *from, bool keeps);

/* Before the group is freed. */
void sender_watch_clear(struct group *group);
