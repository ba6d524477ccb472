/* The numbers of datagrams that have come from other sites: which were there already, and which
 * never came. Each sender is a site and a run of it (a random number for each start of a handler
 * and group), and counts from 1. Pure; for one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How far a datagram may come late: older numbers count as seen. */
#define SITES_WINDOW 4096

/* Runs that are remembered; the one that was silent for longest makes room. */
#define SITES_RUNS_MAX 4096

struct sites;

/* Returns NULL without memory. */
struct sites *sites_new(void);
void sites_free(struct sites *sites); /* accepts NULL */

/* Whether this number of the run is new; learns it. *ret_gaps is how many numbers before it are
 * missing now that were not before, or -1 when it fills a gap. The first number of a run that was
 * not known is no gap. Without memory it is new. */
bool sites_see(
	struct sites *sites, const char *site, uint64_t run, uint64_t number, int64_t *ret_gaps);
