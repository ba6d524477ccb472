/* Members of answers of the control socket, by the table of values. */
#pragma once

#include "base/text.h"
#include "control/values.h"

/* Appends members from this row to the end of its section. Returns the first row of the next. */
const struct value *members_put(
	struct text *text, const struct value *row, void *object, const void *record);
