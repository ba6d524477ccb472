/* The members of a JSON object, by rows: what may stand there, and where it goes. jansson's own
 * unpacking does not say which member has the wrong type. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/errors.h"

enum parameter_type {
	PARAMETER_NAME, /* const char *, a string without NUL */
	PARAMETER_TEXT, /* struct parameter_text, any string */
	PARAMETER_NUMBER, /* int64_t */
	PARAMETER_FLAG, /* bool */
	PARAMETER_NAMES, /* json_t *, an array of strings without NUL, borrowed */
	PARAMETER_OBJECT, /* json_t *, borrowed */
};

struct parameter_text {
	const char *data;
	size_t size;
};

struct parameter {
	const char *name;
	enum parameter_type type;
	bool required;
	void *value; /* stays as it is when the member is absent or null, which is the same in
			Varlink */
};

/* Reads an object. Returns 0; or -EINVAL with the member to blame in *ret_name, which lives as long
 * as the object and the rows, and what is wrong in why. */
int parameters_read(const json_t *object, const struct parameter *rows, size_t count,
	const char **ret_name, char why[static WHY_MAX]);
