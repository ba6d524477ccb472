/* What the daemon tells: its groups, in portions, and what they and their handlers have counted at
 * one moment and at another. */
#pragma once

#include "ctl/doctor/subject.h"
#include "ctl/session.h"

struct handler_count {
	char *name;
	char *error; /* why it delivers nothing now; NULL: it does */
	bool is_shared; /* it has several groups */
	uint64_t received, filtered, delivered;
	json_t *dropped; /* by the reason; NULL: nothing */
	json_t *lost; /* the same, without the reasons that the configuration wants */
};

struct handler_counts {
	struct handler_count *items; /* sorted by name */
	size_t count;
};

void handler_counts_clear(struct handler_counts *counts);
const struct handler_count *handler_counts_find(
	const struct handler_counts *counts, const char *name);

struct daemon {
	unsigned pid;
	char *configuration; /* its file; NULL: none */
	bool is_elsewhere; /* in another network namespace */
};

void daemon_clear(struct daemon *daemon);

/* All of these return an exit code. */

/* Connects, and asks for what the daemon is. */
int daemon_ask(struct session *session, struct daemon *ret);

/* Fills in the groups, or the one of this name, with what they have counted. */
int daemon_list(struct session *session, const char *name, struct subjects *subjects);

/* Reads again what they have counted, now as after; of the one group of a name, or of all. */
int daemon_count(struct session *session, const char *name, struct subjects *subjects);

int daemon_count_handlers(struct session *session, struct handler_counts *ret);

/* Reports a group to the network again. Says in its memberships what was possible. */
int daemon_refresh(struct session *session, struct subjects *subjects, struct subject_group *group);
