/* Reading in rounds, where no outlet needs datagrams at once: all sockets that have some are read,
 * one after the other, and then none for a moment, so that the next round finds more than a few,
 * over however many sockets they are spread. Below saturation, wake-ups are most of the cost of
 * receiving.
 *
 * These sockets are in an epoll instance of their own (epoll(7)), of which the loop hears nothing
 * between rounds. */
#pragma once

#include <event2/event_struct.h>
#include <stdbool.h>

#include "base/list.h"

struct rounds;

/* Embedded in what is read. Zeroed, it is not read in rounds. */
struct round_member {
	struct link link; /* of those that have more to read, or that are held */
	unsigned place; /* in the round that is under way, from 1; 0: none */
	bool is_added;
};

struct round_callbacks {
	/* Is read soon: what that takes can be fetched into the cache, for many at once. */
	void (*expect)(const struct round_member *member);
	/* Reads once what is fair to the others, and sets *ret_count to the number of datagrams.
	 * Returns whether there may be more: then it is called again, after the others and without
	 * a pause, with again; else not before something new has come. */
	bool (*read)(struct round_member *member, bool again, unsigned *ret_count);
	/* A member that is held, after each pause. Whoever is not to be held any longer is
	 * removed there. */
	void (*hold)(struct round_member *member);
};

/* callbacks must live as long. Returns NULL without memory or a descriptor. */
struct rounds *rounds_new(struct event_base *base, const struct round_callbacks *callbacks);

/* No member may be left. Accepts NULL. */
void rounds_free(struct rounds *rounds);

/* Has fd read from now on, and holds the member no longer. Returns 0 or a negative errno. */
int rounds_add(struct rounds *rounds, struct round_member *member, int fd);

/* fd as it was added. Does nothing where the member was not added, and is not held. */
void rounds_remove(struct rounds *rounds, struct round_member *member, int fd);

/* Has fd read no more, and calls hold() for the member every two milliseconds, until it is added or
 * removed. Returns 0, or a negative errno when nothing would call it, and all stays as it was. */
int rounds_hold(struct rounds *rounds, struct round_member *member, int fd);

/* There is one more socket beside these, or one less, that the loop reads at once: while there are
 * such, it looks at them after fewer of these. */
void rounds_note_prompt(struct rounds *rounds, int change);

/* A receive buffer was about to overflow: there is no pause for one to two seconds. */
void rounds_stay_awake(struct rounds *rounds);
