/* How far long work is, on standard error: on a terminal a line that is overwritten, and erased at
 * the end; elsewhere nothing, or on demand a line a second. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

struct progress {
	uint64_t next_ns; /* when a line is due, on CLOCK_MONOTONIC; UINT64_MAX: never */
	bool is_shown;
	bool is_terminal;
};

/* The first line is due after a second: what is over sooner needs none. is_wanted: also where
 * standard error is no terminal, or one that cannot overwrite. */
void progress_begin(struct progress *progress, bool is_wanted);

static inline bool progress_is_due(const struct progress *progress, uint64_t now_ns)
{
	return now_ns >= progress->next_ns;
}

/* Shows a line of one's own words, cut to the width of the terminal. */
void progress_show(struct progress *progress, struct text *line);

/* To be called before anything else is said, as far as possible: it would overwrite a part of the
 * line. */
void progress_erase(struct progress *progress);
