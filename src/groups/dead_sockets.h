/* Sockets of groups that an earlier run had and this one has not: a stop leaves their files, as
 * they may be stored for the next run, and nobody listens on them any more. */
#pragma once

#include <stdint.h>

struct groups;

/* Removes them from the directory of the group sockets, below run_directory, after a start: files
 * of this process's user that are older than started_ns (CLOCK_REALTIME), as a newer one may be
 * another daemon's that is about to listen. */
void dead_sockets_remove(
	const struct groups *groups, const char *run_directory, uint64_t started_ns);
