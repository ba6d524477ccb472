/* Values as they stand in a file, with the type that they were written in. A value of the wrong
 * type is refused, with the right way to write it. */
#pragma once

#include <stdint.h>

#include "config/schema.h"

enum value_type {
	VALUE_NUMBER,
	VALUE_FRACTION,
	VALUE_BOOL,
	VALUE_STRING,
	VALUE_ARRAY,
	VALUE_LIST,
	VALUE_GROUP,
};

struct value {
	enum value_type type;
	int64_t number; /* of VALUE_NUMBER, and 0 or 1 of VALUE_BOOL */
	const char *string; /* of VALUE_STRING */
};

/* "is a number" */
const char *value_type_name(enum value_type type);

/* Sets the key, or adds to its list, as key_set(). The caller passes the items of an array one by
 * one. */
int key_set_value(
	const struct key *key, void *settings, const struct value *value, char why[static WHY_MAX]);
