/* What top says to programs: one JSON object a round. */
#pragma once

#include "ctl/top/feed.h"

/* Appends a line. */
void report_append(struct text *text, const struct feed *feed);
