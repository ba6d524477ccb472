/* Groups and handlers that conflict with each other. */
#pragma once

#include "config/config.h"

/* Finds names that are defined twice, groups that would receive the same datagrams, and handlers
 * that would write the same file, in a configuration that is still in the order of the files. Adds
 * one error for each, at the later place and naming the first. Takes n log n. Returns 0 or -ENOMEM.
 */
int find_clashes(const struct config *config, struct errors *errors);
