/* The subjects that groups go to. A subject is known from its group's first datagram on. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct subject {
	char *group, *name;
	uint64_t refused_until_ns; /* 0: it is permitted, as far as is known */
};

struct subjects {
	struct subject *items; /* by group */
	size_t count;
	size_t last; /* the one that was found last */
};

/* The subject of a group at this site, until the next call; or NULL without memory. */
struct subject *subjects_find(
	struct subjects *subjects, const char *pattern, const char *site, const char *group);

/* Frees all. */
void subjects_clear(struct subjects *subjects);
