/* The programs at group sockets from one run of the daemon to the next: at a stop, their
 * connections go to the fd store, and the next run goes on with them before it reads a membership.
 * Programs stay connected, and miss nothing. */
#pragma once

struct group_set;
struct store;

/* At the stop. */
void stored_programs_save(const struct group_set *groups, struct store *store);

/* At the start, when the groups are there: what no group has a socket for is closed. Returns how
 * many stay connected. */
unsigned stored_programs_restore(const struct group_set *groups, struct store *store);
