/* The topics that groups go to. A topic is known from its group's first datagram on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topic {
	bool is_refused; /* was told already */
	uint64_t again_ns; /* when the next one may be published; 0: any time */
	char *group, *name;
};

struct topics {
	struct topic **items; /* by group */
	size_t count;
};

/* The topic of a group at this site, which stays where it is; or NULL without memory. */
struct topic *topics_find(
	struct topics *topics, const char *pattern, const char *site, const char *group);

/* Frees all. */
void topics_clear(struct topics *topics);
