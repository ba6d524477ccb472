/* Checks of groups and handlers that no single key allows. config_check_group() is in config.h. */
#pragma once

#include "config/config.h"

/* Checks all groups and handlers, each alone. is_partial: a file could not be read, and may define
 * the handlers that are missing. */
void config_check(const struct config *config, bool is_partial, struct errors *errors);

/* Finds names that are defined twice, groups that would receive the same datagrams, and handlers
 * that would write the same file, in a configuration that is still in the order of the files. Adds
 * one error for each, at the later place and naming the first. Takes n log n. Returns 0 or -ENOMEM.
 */
int find_clashes(const struct config *config, struct errors *errors);
