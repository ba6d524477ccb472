/* What the types of keys do: one row a type. */
#pragma once

#include "config/schema.h"

struct key_behaviour {
	/* Replaces the value at field, or adds to the list there. As key_set(). */
	int (*set)(const struct key *key, void *field, const char *text, char why[static WHY_MAX]);
	bool (*equal)(const void *a, const void *b);
	int (*copy)(void *ret, const void *field); /* into a zeroed field; 0 or -ENOMEM */
	void (*clear)(void *field); /* frees, and leaves the field zeroed */
	bool is_list;
	const char *example; /* a value as one would write it, with its quotes */
};

extern const struct key_behaviour key_types[KEY_TYPES];
