/* How far long work is: a line on standard error that is overwritten, and erased at the end. Only
 * on a terminal. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct progress {
	uint64_t next_ns; /* when a line is due, on CLOCK_MONOTONIC; UINT64_MAX: never */
	bool is_shown;
};

/* The first line is due after a second: what is over sooner needs none. */
void progress_begin(struct progress *progress);

static inline bool progress_is_due(const struct progress *progress, uint64_t now_ns)
{
	return now_ns >= progress->next_ns;
}

/* Shows a line of one's own words, cut to the width of the terminal; the next one is due in a fifth
 * of a second. */
void progress_show(struct progress *progress, struct text *line);

/* To be called before anything else is said, as far as possible: it would overwrite a part of the
 * line. */
void progress_erase(struct progress *progress);
