/* What happened to memberships and to sending, for the log. Where many groups share an interface,
 * one line says what the same event did to all of them: a link with ten thousand memberships
 * that goes down and up would fill the journal. */
#pragma once

#include <stdbool.h>

struct transitions;

enum transition {
	TRANSITION_JOINED,
	TRANSITION_JOINED_BUT, /* reason: what to know about it */
	TRANSITION_WAITING,
	TRANSITION_FAILED,
	TRANSITION_LEFT, /* the links have changed, and it is not wanted any more */
	TRANSITION_FORGOTTEN, /* by the kernel */
	TRANSITION_NOT_REFRESHED, /* another program has the group */
	TRANSITION_REFRESHED, /* no more */
	TRANSITION_REJOINING, /* to be refreshed */
	TRANSITION_SENDING, /* again */
	TRANSITION_NOT_SENDING,
	/* What "mcastctl doctor" would explain, and the line names it: groups/hints.h. Without a
	 * reason. */
	TRANSITION_NOTHING_YET,
	TRANSITION_NOTHING_BUT_OTHERS,
	TRANSITION_NOTHING_ANY_MORE,
	TRANSITION_NOTHING_BY_RP_FILTER,
};

/* mcastctl as in struct group_context. Returns NULL without memory. */
struct transitions *transitions_new(const char *mcastctl);

/* Logs what is left. Accepts NULL. */
void transitions_free(struct transitions *transitions);

/* Between the two, transitions are gathered, and then logged: up to 8 of one kind, interface and
 * reason with a line each, more with one line. May be nested. */
void transitions_begin(struct transitions *transitions);
void transitions_end(struct transitions *transitions);

/* Outside of begin and end, or where transitions is NULL, it is logged at once. reason is NULL
 * where the kind has none. */
void transition_add(struct transitions *transitions, enum transition kind, const char *group,
	const char *interface, const char *reason);
