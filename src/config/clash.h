/* Groups and handlers that get into each other's way. */
#pragma once

#include "config/config.h"

/* Finds names that are defined twice, and groups that would receive the same, in a configuration
 * that still has all in the order of the files. Adds one error for each, at the later place and
 * naming the first. Takes n log n. Returns 0 or -ENOMEM. */
int find_clashes(const struct config *config, struct errors *errors);
