/* What no single key can tell. config_check_group() is in config.h. */
#pragma once

#include "config/config.h"

/* Checks all groups and handlers, each alone. is_partial: a file could not be read, so that a
 * handler that is nowhere may be in there. */
void config_check(const struct config *config, bool is_partial, struct errors *errors);
