/* Checks of each group and handler that no single key allows. config_check_group() is in config.h.
 */
#pragma once

#include "config/config.h"

/* Checks all groups and handlers, each alone. is_partial: a file could not be read, and may define
 * the handlers that are missing. */
void config_check(const struct config *config, bool is_partial, struct errors *errors);
