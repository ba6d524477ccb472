/* What the files of the table of values (control/values.h) share. */
#pragma once

#include "base/cleanup.h"
#include "control/values.h"

/* Where the answer has members that are no values, and at the end of all. */
#define SECTION_END  \
	{            \
		NULL \
	}

/* Of a value that has a sample only once there is something (applies). */
static inline bool value_never(const void *object)
{
	(void)object;
	return false;
}
