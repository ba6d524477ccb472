/* What a subscriber missed of each group since it was last told. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "control/outbox.h"

struct gap;

/* Zeroed, there are none. */
struct gaps {
	struct gap **items; /* sorted by group */
	size_t count, room;
};

static inline bool gaps_any(const struct gaps *gaps)
{
	return gaps->count;
}

/* Without memory it is not counted. */
void gaps_count(struct gaps *gaps, const char *group, unsigned count);

/* Adds an answer for each group to the output, and forgets them; without memory they stay. */
void gaps_tell(struct gaps *gaps, char terminator, struct outbox *output);
void gaps_clear(struct gaps *gaps);
