/* The topics that groups go to. A topic is known from its group's first datagram on. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct topic {
	const char *refusal; /* why the broker does not take it, which was told; NULL: it does */
	uint64_t refused_ns; /* when it was refused last */
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

/* One that was refused within the last shown_ns, and not taken since; NULL: none. */
const struct topic *topics_refused(const struct topics *topics, uint64_t now_ns, uint64_t shown_ns);

/* Frees all. */
void topics_clear(struct topics *topics);
